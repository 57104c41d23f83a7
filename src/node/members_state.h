/* members_state.h - what the sources for private networks in node/ share: node_members.c (the world
 * of members/), node_greets.c, and node_ptn.c, node_ptn_lists.c, node_ptn_keys.c (the verbs). Nothing else includes
 * it. */
#ifndef TL_NODE_MEMBERS_STATE_H
#define TL_NODE_MEMBERS_STATE_H

#include "node/state.h"
#include "node/verbs.h"

struct tl_member_dial;
struct tl_ptn_call;

/* When the last open invite of a network ends. */
typedef struct {
    tl_node_id network;
    tl_unix until; /* 0: none is open */
} tl_invited;

struct tl_members_held {
    tl_members_stored *answers;   /* what could not be handed to the store */
    struct tl_member_dial *dials; /* wishes for connections */
    struct tl_ptn_call *calls;    /* verbs that are not answered yet */
    tl_invited invited[TL_NETWORKS_MAX];
    size_t n_invited;
};

/* One call of a verb, while members/ or the store works on it. */
typedef struct tl_ptn_call {
    tl_members_op op; /* first */
    tl_node *node;
    tl_call *call; /* NULL: answered, or the node leaves */
    json_t *(*result)(struct tl_ptn_call *c);
    tl_node_id network;
    tl_invite invite;
    bool again;     /* ptn.revoke: it was revoked already */
    bool stranger;  /* ptn.revoke: nothing is known of it as a member */
    bool keep;      /* ptn.revoke: the members of the admin that this node has met */
    json_t *fallen; /* ptn.revoke: members who go out with the admin, as the answer tells them */
    tl_buf text;    /* of the invite */
    tl_timer timer; /* ptn.join: how long the caller waits */
    struct tl_ptn_call *prev, *next;
} tl_ptn_call;

/* NULL: out of memory; then the call has failed. `result` makes the answer of a call that went well. */
tl_ptn_call *tl_ptn_call_new(tl_node *n, tl_call *call, json_t *(*result)(tl_ptn_call *c));
void tl_ptn_call_free(tl_ptn_call *c);
/* Answers with a refusal. `words` "": those of the refusal. */
void tl_ptn_refuse(tl_call *call, tl_refusal r, const char *words);
/* The same of what this node itself did: where its store took nothing, with the cause. */
void tl_ptn_refuse_here(const tl_node *n, tl_call *call, tl_refusal r, const char *words);
/* The network that `args` name. NULL: the call has failed. */
tl_membership *tl_ptn_network(tl_node *n, const json_t *args, tl_call *call);
/* RFC 3339; null: never, or not known (0). */
json_t *tl_ptn_time_json(tl_unix at);

#endif
