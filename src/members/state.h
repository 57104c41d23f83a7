/* state.h - what the sources of members/ share. Nothing else includes it.
 *
 *   members.c   makes, drives, hands out what comes in; neighbours and their links
 *   hello.c     certificates, lists, prices and group keys, shown and handed on
 *   admit.c     what an admin answers: joins, renewals, members that leave
 *   joining.c   this node joins
 *   manage.c    what a person has this node do as an admin
 *   keep.c      signs for the members of an admin that was revoked
 *   roll.c      admins tell each other of the members that they know
 *   tend.c      what time brings: renewals, new lists, connections to members
 *   witness.c   members tell each other what a node did for them */
#ifndef TL_MEMBERS_STATE_H
#define TL_MEMBERS_STATE_H

#include "base/json.h"
#include "base/ratelimit.h"
#include "base/table.h"
#include "crypto/idjson.h"
#include "members/members.h"

#include <utlist.h>

#define TL_MEMBERS_RESAY      (10 * TL_MIN) /* a hello again, so that an admin confirms our list */
#define TL_MEMBERS_REPLY      (60 * TL_SEC) /* a hello is answered by one, at most this often */
#define TL_MEMBERS_ROLL_AGAIN (60 * TL_SEC) /* the roll goes to one admin at most this often */
#define TL_MEMBERS_SPREADING  16 /* members that are dialled at once to be told of a list */

/* What we and one neighbour have said of one network. */
typedef struct {
    tl_node_id network;
    bool heard;      /* it showed a certificate of its own that is rightly signed */
    bool ended;      /* it is revoked, and that was told to the world */
    tl_time said_at; /* our last hello of this network; 0: none */
    /* what it has, as it told last, and what we sent */
    int64_t their_sequence, their_price, their_key;
    tl_ptn_digest their_revoked, sent_revoked;
    int64_t sent_sequence, sent_price, sent_key;
    bool sent_lists;
    tl_time rolled_at; /* the roll was sent; 0: not yet */
} tl_member_link;

/* A node with a connection on which both said hello. */
typedef struct {
    tl_node_id id;
    tl_ratelimit checks;
    tl_ratelimit roll; /* certificates of others, which it tells as an admin */
    tl_ratelimit asks; /* its messages ptnDeedsWanted */
    bool asked_deeds; /* on this connection it was asked about the nodes that are asked about now */
    size_t n_links;
    tl_member_link *links; /* up to TL_NETWORKS_MAX */
    UT_hash_handle hh;
} tl_neighbour;

/*  STORING --stored--> DUE --at `at`--> CONNECTING --hello--> ASKED --joined--> ADMITTED --stored--> freed
 *  CONNECTING, ASKED --no connection, no answer, busy--> DUE
 *  any state but ADMITTED --refused for good--> freed
 *  ADMITTED --not stored--> DUE                                              */
typedef enum {
    TL_JOINING_STORING,    /* the store is to keep the invite */
    TL_JOINING_DUE,        /* the inviter is asked at `at` */
    TL_JOINING_CONNECTING, /* a connection to the inviter is wanted */
    TL_JOINING_ASKED,      /* the inviter has the request; its answer is awaited until `at` */
    TL_JOINING_ADMITTED,   /* the certificate is here, and is being stored */
} tl_joining_state;

typedef struct tl_joining {
    tl_members_stored stored; /* first */
    tl_members *members;
    tl_joining_state state;
    tl_invite invite;
    char text[TL_INVITE_MAX + 1];
    char wish[TL_PTN_NAME_MAX + 1]; /* what a person calls the network; "": as the invite does */
    tl_time at, pause;
    char why[256];
    tl_members_op *waiting;
    struct tl_joining *prev, *next;
} tl_joining;

/* What this node does for one network of its own. */
typedef struct tl_tended {
    tl_members_stored stored; /* first; of its objects */
    tl_members *members;
    tl_node_id network;
    bool saving;                   /* the objects are on their way to the store */
    bool changed;                  /* since they went */
    tl_time save_again;            /* after a failure; TL_NEVER */
    tl_members_op *now, *next_ops; /* wait for the saving under way, or for the next */
    /* our own certificate */
    bool expired_told, revoked_told;
    tl_time renew_at, renew_pause; /* next attempt; TL_NEVER: none is due */
    tl_members_op *renewing;       /* a person waits */
    tl_time renew_deadline;
    tl_node_id asked[4]; /* admins that were asked in this attempt */
    size_t n_asked;
    /* lists and connections */
    tl_time refresh_at; /* an admin signs the next list; TL_NEVER */
    bool spread;        /* members that are present are to be told of our list */
    tl_time spread_since;
    tl_time look_at; /* next look for members to connect to */
    size_t turn;     /* of those that are present */
    struct tl_tended *next;
} tl_tended;

typedef struct tl_keeping tl_keeping; /* keep.c */

/* A node about which members are asked. */
typedef struct {
    tl_node_id id;
    tl_time at; /* since when */
    bool due;   /* the members that are connected are asked at `deeds_at` */
    UT_hash_handle hh;
} tl_wanted;

/* A node that was dialled of late, or is being dialled. */
typedef struct {
    tl_node_id id;
    tl_time at;
    bool pending;
    UT_hash_handle hh;
} tl_dialled;
#define TL_MEMBERS_DIALLED_MAX 4096

struct tl_members {
    tl_members_config config;
    tl_neighbour *neighbours;
    tl_ratelimit checks;
    tl_joining *joins;
    size_t n_joins, n_admitting, n_dialling;
    tl_tended *tended;
    tl_dialled *dialled;
    tl_keeping *keeping;
    tl_wanted *wanted;  /* the first that was asked about is the first */
    tl_time deeds_at;   /* TL_NEVER: none is due */
    tl_time deeds_from; /* not before */
    tl_time tick_at;
    tl_members_counters counters;
};

static inline tl_time tl_members_now(const tl_members *m)
{
    return tl_env_now(&m->config.env);
}
static inline tl_unix tl_members_wall(const tl_members *m)
{
    return m->config.env.wall(m->config.env.user);
}
static inline const tl_members_world *tl_members_world_of(const tl_members *m)
{
    return m->config.world;
}

/* members.c */
tl_neighbour *tl_neighbour_find(const tl_members *m, const tl_node_id *id);
/* NULL: nothing was said of this network yet. */
tl_member_link *tl_link_find(const tl_neighbour *nb, const tl_node_id *network);
/* NULL: out of memory, or TL_NETWORKS_MAX. */
tl_member_link *tl_link_get(tl_neighbour *nb, const tl_node_id *network);
/* NULL: out of memory. */
tl_tended *tl_tended_get(tl_members *m, const tl_node_id *network);
/* May `n` signatures be checked for this neighbour now? */
bool tl_members_may_check(tl_members *m, tl_neighbour *nb, uint64_t n);
/* Takes the reference to the payload; NULL: out of memory, nothing is sent. */
bool tl_members_tell(tl_members *m, const tl_node_id *peer, const char *name, json_t *payload);
/* Is its certificate known, and does it hold? Ours is not looked at. */
bool tl_members_holds(const tl_members *m, const tl_node_id *peer, const tl_membership *n);
bool tl_members_is_admin(const tl_members *m, const tl_node_id *peer, const tl_membership *n);
/* A connection is wanted, unless one stands or is on its way. */
void tl_members_connect(tl_members *m, const tl_node_id *peer);
void tl_op_begin(tl_members *m, tl_members_op *op, int kind, const tl_node_id *network);
void tl_op_end(tl_members_op *op, tl_refusal r);
void tl_op_end_with(tl_members_op *op, tl_refusal r, const char *words);
tl_refusal tl_refusal_of_store(tl_err e);
/* Reads the field `ptnID`. NULL: not there, or no network of ours. */
tl_membership *tl_members_network_of(const tl_members *m, const json_t *payload);
void tl_members_rearm(tl_members *m, tl_time at);

/* hello.c */
/* Says to the neighbour what may be said and was not said yet. */
void tl_hello_say(tl_members *m, tl_neighbour *nb);
/* Our certificate of this network is a new one: says it again to all who may hear it. */
void tl_hello_say_again(tl_members *m, const tl_membership *n);
void tl_hello_on_hello(tl_members *m, tl_neighbour *nb, const json_t *payload);
void tl_hello_on_list(tl_members *m, tl_neighbour *nb, const json_t *payload);
void tl_hello_on_price(tl_members *m, tl_neighbour *nb, const json_t *payload);
void tl_hello_on_key(tl_members *m, tl_neighbour *nb, const json_t *payload);
/* Sends what the neighbours lack of the network's objects. Returns how many were told. */
size_t tl_hello_push(tl_members *m, const tl_membership *n);
/* Ends what is between us and nodes that are revoked. */
void tl_hello_end_revoked(tl_members *m, tl_membership *n);
/* Objects of the network changed: stores them, then pushes. `op` (may be NULL) ends with that. */
void tl_objects_changed(tl_members *m, tl_membership *n, tl_members_op *op);
void tl_objects_save_again(tl_members *m, tl_tended *t);

/* admit.c */
void tl_admit_on_join(tl_members *m, tl_neighbour *nb, const json_t *payload);
void tl_admit_on_renew(tl_members *m, tl_neighbour *nb, const json_t *payload);
void tl_admit_on_leave(tl_members *m, tl_neighbour *nb, const json_t *payload);
/* The neighbour shows an older certificate than the one that is known: signs it anew. */
void tl_admit_replace(tl_members *m, tl_neighbour *nb, tl_membership *n);
/* As `cert` is: the same role, for the same time. It is stored, and sent where its node is connected.
 * `seen`: when that was; 0: not now. */
tl_refusal tl_admit_sign_again(tl_members *m, tl_membership *n, const tl_cert *cert, tl_unix seen);
/* The field that tells one request to join from another. */
void tl_join_digest(const char *text, char ret_hex[33]);

/* joining.c */
void tl_joining_on_hello(tl_members *m, const tl_node_id *peer);
void tl_joining_on_left(tl_members *m, const tl_node_id *peer, const char *why);
void tl_joining_on_joined(tl_members *m, const tl_node_id *peer, const json_t *payload);
/* False: the refusal is of no join. */
bool tl_joining_on_refused(tl_members *m, const tl_node_id *peer, const json_t *payload);
void tl_joining_on_present(tl_members *m);
tl_time tl_joining_on_timer(tl_members *m, tl_time now);
/* The network is left, so it is not joined any more. False: that cannot be stopped now. A network of
 * which there is no certificate leaves the book. */
bool tl_joining_cancel(tl_members *m, const tl_node_id *network);
void tl_joining_free_all(tl_members *m);

/* keep.c */
/* Signs for whom this node has met, in the place of the revoked `issuer`, from now on. Returns how many
 * fall that it has not met. */
size_t tl_keep_members(tl_members *m, tl_membership *n, const tl_node_id *issuer);
tl_time tl_keep_on_timer(tl_members *m, tl_time now);
void tl_keep_free_all(tl_members *m);

/* roll.c */
/* The neighbour, an admin as we are, knows of other members than we: it is told of all. */
void tl_roll_send(tl_members *m, const tl_neighbour *nb, const tl_membership *n);
/* A certificate was signed here: connected admins are told. */
void tl_roll_tell(tl_members *m, const tl_membership *n, const json_t *certificate);
void tl_roll_on_members(tl_members *m, tl_neighbour *nb, const json_t *payload);

/* witness.c */
void tl_witness_on_wanted(tl_members *m, tl_neighbour *nb, const json_t *payload);
void tl_witness_on_deeds(tl_members *m, tl_neighbour *nb, const json_t *payload);
/* The neighbour has shown that it is a member. */
void tl_witness_on_member(tl_members *m, tl_neighbour *nb);
tl_time tl_witness_on_timer(tl_members *m, tl_time now);
void tl_witness_free_all(tl_members *m);

/* tend.c */
void tl_tend_on_renewed(tl_members *m, tl_neighbour *nb, const json_t *payload);
void tl_tend_on_refused(tl_members *m, tl_neighbour *nb, const json_t *payload);
/* Asks an admin for our new certificate, or signs it. */
void tl_tend_renew(tl_members *m, tl_tended *t, tl_membership *n);
/* Takes a new certificate of our own, and says it. */
tl_refusal tl_tend_take_own(tl_members *m, tl_membership *n, const json_t *certificate);
tl_time tl_tend_on_timer(tl_members *m, tl_time now);

#endif
