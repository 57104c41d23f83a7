/* members.h - this node's part in its private networks, as it is played between nodes: shows
 * certificates and checks those of others, hands on lists of revoked nodes, prices and group keys,
 * joins, admits, renews, promotes, revokes and leaves. Sans-IO: time, connections and the store are
 * the world's. What others show ends in the book (ptn/networks.h), which judges.
 *
 * Messages on the control stream, after the hello of both sides (docs/protocol.md "Private
 * networks"): ptnHello, ptnList, ptnPrice, ptnKey, ptnJoin, ptnJoined, ptnRefused, ptnRenew,
 * ptnRenewed, ptnLeave, ptnMembers, ptnDeedsWanted, ptnDeeds.
 *
 * A network is named to a peer only where the peer lists it itself, openly or by its tag, or has
 * shown a certificate of it. Nothing is acknowledged before the store has it. */
#ifndef TL_MEMBERS_MEMBERS_H
#define TL_MEMBERS_MEMBERS_H

#include "base/env.h"
#include "market/reciprocity.h"
#include "ptn/authority.h"

/* What one peer may have us check: certificates, lists, requests to join. Each costs one to three
 * signatures, 60 to 80 us each. 64 networks shown at once, and some joins.
 *
 *   checks of one peer <= burst + rate x seconds; of all strangers together the same with _ALL */
#define TL_MEMBERS_CHECKS_BURST     80
#define TL_MEMBERS_CHECKS_RATE      2
#define TL_MEMBERS_CHECKS_ALL_BURST 2000 /* 1000 nodes that join at once */
#define TL_MEMBERS_CHECKS_ALL_RATE  500  /* about a tenth of a processor */
/* Certificates of other members that an admin tells another admin: all of a network, once. */
#define TL_MEMBERS_ROLL_BURST       4096
#define TL_MEMBERS_ROLL_RATE        20
#define TL_MEMBERS_ADMITTING_MAX    2048 /* joins that wait for the store */
#define TL_MEMBERS_JOINS_MAX        32   /* invites that this node is trying to use */
#define TL_MEMBERS_ANSWER_WITHIN    (10 * TL_SEC)
#define TL_MEMBERS_RETRY_FIRST      (1 * TL_SEC) /* between attempts to join; doubles */
#define TL_MEMBERS_RETRY_MAX        (60 * TL_SEC)
#define TL_MEMBERS_JOIN_GRACE       (24 * 3600) /* seconds after an invite's end that a join is tried */
#define TL_MEMBERS_WARM             8 /* members to whom a connection is kept for each network */
#define TL_MEMBERS_LIST_LIFE        (24 * 3600) /* seconds; then an admin signs the list anew */

/* Nodes of which members are asked what those did for them. One is asked about again after
 * TL_MEMBERS_DEEDS_AGAIN; of more than so many the one that was asked about first is forgotten, but not
 * within TL_MEMBERS_DEEDS_WITHIN. So, whoever makes us ask:
 *
 *   nodes asked about in DEEDS_WITHIN <= DEEDS_MAX
 *
 * and each member gets at most a message each DEEDS_EVERY for them, and 8 more of those that are full. */
#define TL_MEMBERS_DEEDS_MAX    256
#define TL_MEMBERS_DEEDS_WITHIN (60 * TL_SEC)
#define TL_MEMBERS_DEEDS_AGAIN  (10 * TL_MIN)
#define TL_MEMBERS_DEEDS_GATHER (100 * TL_MS) /* what is asked in this time goes in one message */
#define TL_MEMBERS_DEEDS_EVERY  TL_SEC
#define TL_MEMBERS_DEEDS_NODES  32 /* in a message: nodes, or statements */
/* To one message of a member; and such messages a second, after a burst: 32 KiB a second. */
#define TL_MEMBERS_DEEDS_SAID   64
#define TL_MEMBERS_DEEDS_RATE   1
#define TL_MEMBERS_DEEDS_BURST  16
/* Statements of others on one node that are handed on. */
#define TL_MEMBERS_DEEDS_OTHERS 8

typedef struct tl_members tl_members;

/* Called when a piece of work is on the disk, or could not be put there. */
typedef struct tl_members_stored tl_members_stored;
struct tl_members_stored {
    void (*on_stored)(tl_members_stored *s, tl_err e);
    /* for the world's use while it has the work */
    tl_members_stored *next;
    tl_err e;
};

/* An invite that is spent; without a `certificate` only the node that spent it before has success.
 * After TL_OK `ret_certificate` is a new reference to the certificate that
 * is in the store for the node: the one given, or, where the same node spent it before, the one
 * from then. TL_ERR_EXISTS: another node spent it. TL_ERR_FORBIDDEN: withdrawn. TL_ERR_NOT_FOUND:
 * not known, or not spent and no certificate was given. */
typedef struct tl_members_spend {
    tl_members_stored stored;
    tl_node_id network, node;
    uint8_t nonce[TL_INVITE_NONCE];
    json_t *certificate, *ret_certificate;
} tl_members_spend;

/* The certificates of all members that the store has. */
typedef struct tl_members_listing tl_members_listing;
struct tl_members_listing {
    /* `certificates`: JSON texts, borrowed for the call. */
    void (*on_listed)(tl_members_listing *l, tl_err e, const char *const *certificates, size_t n);
    tl_node_id network;
};

typedef enum {
    TL_MEMBERSHIP_JOINED,
    TL_MEMBERSHIP_RENEWED,
    TL_MEMBERSHIP_PROMOTED,
    TL_MEMBERSHIP_WAS_REVOKED,
    TL_MEMBERSHIP_HAS_EXPIRED,
    TL_MEMBERSHIP_HAS_LEFT,
} tl_membership_event;
/* "joined"; static storage. */
const char *tl_membership_event_name(tl_membership_event e);

/* What is around. All are called from inside tl_members_...; none may call back into it, but through
 * `stored`, and that later. `user` is tl_members_config's. */
typedef struct {
    /* --- connections --- */
    /* As tl_peers_tell. */
    tl_err (*tell)(void *user, const tl_node_id *peer, const char *name, json_t *payload);
    /* A connection is wanted: tl_members_on_hello follows, or tl_members_on_unreachable. */
    void (*connect)(void *user, const tl_node_id *peer);
    /* Does the peer list the network, openly or by a tag that we recognise? */
    bool (*claims)(void *user, const tl_node_id *peer, const tl_membership *n);
    /* Nodes that are present and claim the network, up to `max`. */
    size_t (*present)(void *user, const tl_membership *n, tl_node_id *ret, size_t max);
    /* --- the store: all copy before they return, and run in order. `s` may be NULL. --- */
    void (*save_network)(void *user, const tl_membership *n, tl_members_stored *s);
    void (*save_objects)(void *user, const tl_membership *n, tl_members_stored *s);
    void (*save_invite)(void *user, const tl_invite *invite, tl_members_stored *s);
    /* TL_ERR_NOT_FOUND, TL_ERR_EXISTS: it was used. */
    void (*withdraw_invite)(void *user, const tl_node_id *network,
                            const uint8_t nonce[TL_INVITE_NONCE], tl_members_stored *s);
    void (*spend_invite)(void *user, tl_members_spend *spend);
    void (*save_member)(void *user, const tl_node_id *network, const tl_node_id *node,
                        const json_t *certificate, tl_unix last_seen, tl_members_stored *s);
    /* Of a member whose certificate is there. */
    void (*save_seen)(void *user, const tl_node_id *network, const tl_node_id *node,
                      tl_unix last_seen);
    /* It left. `issued_at`: of the newest certificate of it that was seen. */
    void (*drop_member)(void *user, const tl_node_id *network, const tl_node_id *node,
                        tl_unix issued_at);
    void (*list_members)(void *user, tl_members_listing *l);
    void (*save_join)(void *user, const tl_node_id *network, const char *invite, const char *name,
                      tl_unix at, tl_members_stored *s);
    void (*drop_join)(void *user, const tl_node_id *network);
    /* --- told --- */
    void (*on_event)(void *user, const tl_membership *n, const tl_node_id *node,
                     tl_membership_event e);
    /* The node is out of this network: everything between us that belongs to it ends now. This node
     * itself may be the one. */
    void (*on_revoked)(void *user, const tl_membership *n, const tl_node_id *node);
    /* A new statement is in the table of deeds. NULL: it is not kept. */
    void (*save_deeds)(void *user, const tl_deeds *d);
} tl_members_world;

typedef struct {
    const tl_identity *identity; /* borrowed for the life of tl_members, like all pointers here */
    tl_rand *rand;
    tl_networks *book;
    const tl_members_world *world;
    void *user;
    tl_env env;
    tl_reciprocity *deeds; /* what nodes did for whom; NULL: it is not asked or told */
} tl_members_config;

TL_CHECK tl_err tl_members_new(const tl_members_config *config, tl_members **ret_members);
/* The store has answered everything by then. */
void tl_members_free(tl_members *m);
void tl_members_on_timer(tl_members *m);
tl_time tl_members_expiry(const tl_members *m);

/* --- what comes in --- */
void tl_members_on_hello(tl_members *m, const tl_node_id *peer);
void tl_members_on_told(tl_members *m, const tl_node_id *peer, const char *name,
                        const json_t *payload);
void tl_members_on_left(tl_members *m, const tl_node_id *peer);
/* A connection that was wanted did not come to stand; `why` is for a person. */
void tl_members_on_unreachable(tl_members *m, const tl_node_id *peer, const char *why);
/* The relay lists other nodes than before: look for members among them soon. */
void tl_members_on_present(tl_members *m);

/* --- what a person asks for --- */

/* One piece of work, in the caller's memory until on_done, which comes once, perhaps from inside the
 * call that begins it. */
typedef struct tl_members_op tl_members_op;
struct tl_members_op {
    void (*on_done)(tl_members_op *op);
    /* the result */
    tl_refusal refusal;
    char words[256]; /* "": those of the refusal */
    tl_node_id network, node;
    tl_cert cert;    /* create, join, promote, renew */
    int64_t number;  /* revoke: the sequence; price: the version */
    tl_unix at;      /* revoke: since when */
    size_t told;     /* revoke: members that were told at once */
    size_t not_kept; /* revoke: members that this node has never met, and does not sign for */
    /* private */
    tl_members_stored stored;
    tl_members *members;
    int kind;
    tl_membership_event event;
    json_t *certificate;
    char old_name[TL_PTN_NAME_MAX + 1]; /* rename: as it was, if the disk does not take it */
    tl_old_names old_names;
    tl_members_op *prev, *next;
    bool queued;
};

/* EXISTS: a network is called so here, and not `again`. */
void tl_members_create(tl_members *m, tl_members_op *op, const char *name, bool again);
/* What this node calls the network; nothing that was signed changes. EXISTS: another one is called so. */
void tl_members_rename(tl_members *m, tl_members_op *op, tl_membership *n, const char *name);
/* The text is appended to `text`, and nonce, network and inviter are filled in, before this
 * returns; the invite is good with on_done. */
void tl_members_invite(tl_members *m, tl_members_op *op, const tl_membership *n, tl_invite *invite,
                       tl_buf *text);
void tl_members_withdraw(tl_members *m, tl_members_op *op, const tl_membership *n,
                         const uint8_t nonce[TL_INVITE_NONCE]);
/* `name`: what this node shall call the network; "": as the invite does. Ends when it is joined or
 * refused. */
void tl_members_join(tl_members *m, tl_members_op *op, const char *invite, const char *name);
/* The caller does not wait any more: on_done will not come. What was begun goes on. */
void tl_members_unwait(tl_members *m, tl_members_op *op);
/* Where `node` is an admin, members whom it admitted go out with it. With `keep_members` this node signs
 * for them in its place, for those that it has met: the same role, for the same time. It begins at
 * once, with those that are connected, and signs for a few at each turn. */
void tl_members_revoke(tl_members *m, tl_members_op *op, tl_membership *n, const tl_node_id *node,
                       bool keep_members);
void tl_members_promote(tl_members *m, tl_members_op *op, tl_membership *n, const tl_node_id *node);
/* `node` may be this one: then an admin that is there is asked, where this node is none. `lifetime`:
 * seconds, 0: no end, -1: as before. */
void tl_members_renew(tl_members *m, tl_members_op *op, tl_membership *n, const tl_node_id *node,
                      int64_t lifetime);
/* `del`: also where the authority's key is, which is lost with it; else NOT_CA's opposite, INVALID. */
void tl_members_leave(tl_members *m, tl_members_op *op, tl_membership *n, bool del);
void tl_members_price(tl_members *m, tl_members_op *op, tl_membership *n, int64_t micro);
/* A new API key of the network, made here ("tl-" and 43 characters). */
void tl_members_new_api_key(tl_members *m, tl_members_op *op, tl_membership *n);
/* The authority's key, from a file; the lists are taken where they verify. */
void tl_members_import(tl_members *m, tl_members_op *op, const tl_identity *ca, const char *name,
                       const json_t *revocations, const json_t *price);

/* --- joins that are under way: their networks are in the book, without a certificate --- */
/* One that the store kept, at start. TL_ERR_INVALID: it cannot be read, or there are too many. */
TL_CHECK tl_err tl_members_load_join(tl_members *m, const char *invite, const char *name);
/* Why the join of this network is not done yet; NULL: none is under way. "" where nothing has failed
 * yet. */
const char *tl_members_waiting(const tl_members *m, const tl_node_id *network);
/* Is the node connected, and has it shown a certificate of the network? */
bool tl_members_is_online(const tl_members *m, const tl_node_id *network, const tl_node_id *node);

/* Asks the members that are connected, and those that come within ten minutes, what the node did for
 * them; what they have signed of it ends in the table of deeds. Cheap; asks once in ten minutes. */
void tl_members_ask_deeds(tl_members *m, const tl_node_id *node);

typedef struct {
    uint64_t checks, refused_rate; /* signatures checked; what was not, for the rate */
    uint64_t malformed, old_lists, bad_lists, joins_admitted, joins_refused;
    uint64_t deeds_taken,
        deeds_refused; /* statements; those that nobody asked for are refused, too */
} tl_members_counters;
const tl_members_counters *tl_members_counters_of(const tl_members *m);

#endif
