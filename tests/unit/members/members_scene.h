/* members_scene.h - nodes with members/ between them: messages, connections and stores are lists in
 * memory, time stands until a test moves it. */
#ifndef TEALE_TEST_MEMBERS_SCENE_H
#define TEALE_TEST_MEMBERS_SCENE_H

#include "members/members.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define NOW       1800000000
#define NODES_MAX 1024

typedef struct node node;
struct node {
    int nth;
    tl_identity identity;
    tl_rand rand;
    tl_networks *book;
    tl_members *members;
    tl_reciprocity *deeds;
    bool down;         /* nobody reaches it, and it reaches nobody */
    bool hidden;       /* it lists no network */
    bool recognises;   /* it knows by a tag who is of its networks, hidden or not */
    tl_err disk;       /* what its store answers */
    bool disk_holds;   /* its store does not answer until this is false */
    int64_t clock_off; /* seconds */
    /* what it was told */
    size_t events[8], revoked;
    tl_node_id last_revoked;
    size_t told; /* messages that it sent */
    char saved_invite[TL_INVITE_MAX + 1], saved_name[65];
    json_t *saved_lists; /* as the store has them: an array */
    json_t *saved_roll;  /* certificates of members, by their IDs */
    json_t *saved_left;  /* when the certificates of those that left were issued */
    size_t saved_networks, saved_members, saved_deeds;
};

/* The result of an operation, kept after its end. */
typedef struct {
    tl_members_op op;
    bool done;
} ask;

extern node *nodes[NODES_MAX];
/* Every message that passes, before it is delivered; may change it, or return false: it is lost. */
extern bool (*on_the_way)(const node *from, const node *to, const char *name, json_t *payload);

extern const tl_reciprocity_world deeds_world; /* its user is a node */
void note_deeds(void *user, const tl_deeds *d);

void scene_begin(size_t n);
void scene_end(void);
/* Delivers all that is under way. */
void settle(void);
void run_for(tl_time t);
void connect_nodes(node *a, node *b);
void cut(node *a, node *b);
void cut_all(node *a);
/* Its process ends and another begins, which knows what the store has. */
void restart(node *a);
tl_time scene_now(void);
node *node_of(const tl_node_id *id);

ask ask_of(void);
tl_members_op *begin(ask *a);
/* Node 0 makes the network "lab". */
tl_membership *found_lab(void);
/* Its only network. */
tl_membership *lab(const node *a);
/* An invite by `a`. */
char *invite_by(node *a, tl_role role, int64_t valid_seconds);
tl_refusal join(node *a, const char *invite);
/* Founds the lab at 0, and lets all others join with the role. */
void all_join(tl_role role);
/* The revocation by `a` must end with `want`; how many were told at once. */
size_t revoke(node *a, const node *who, tl_refusal want);
tl_refusal promote(node *a, const node *who);
bool is_out(const node *at, const node *who);
tl_unix wall(void);
tl_membership_state state_of(const node *a);
bool may_serve(const node *asker, const node *server);
bool may_ask(const node *server, const node *asker);

#endif
