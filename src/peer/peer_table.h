/* peer_table.h - what is known of other nodes: their names, their models, whether they take
 * questions. Pure memory: never opens a connection, and never checks a key (a node ID is its own
 * proof). */
#ifndef TL_PEER_PEER_TABLE_H
#define TL_PEER_PEER_TABLE_H

#include "base/addr.h"
#include "base/json.h"
#include "base/table.h"
#include "base/time.h"
#include "crypto/identity.h"
#include "market/bid.h"
#include "nat/type.h"
#include "path/via.h"
#include "wire/codes.h"

#define TL_PEERS_MAX       4096 /* nodes remembered; in a larger network, discovery is by model */
#define TL_PEER_MODELS_MAX 256  /* models of one node; more are ignored */
#define TL_PEER_NAME_MAX   64
/* Relays of ours at a time. Two: when one dies, the other carries. More would cost every relay a socket
 * for each node, and each change of presence a message. */
#define TL_RELAYS_MAX      2
#define TL_PEER_PTNS_MAX   64 /* networks that one node says it is in; more are ignored */

struct tl_contact; /* the connections to a peer (peer/state.h) */

/* Which of our networks a node claims, as peer/claims.h has found it: a bit for each. */
typedef struct {
    bool known;
    uint64_t networks;     /* which ours were, in their order: a bit belongs to a place */
    uint64_t version;      /* of our networks and their group keys */
    tl_unix until;         /* tags are others then */
    uint64_t ours, tagged; /* tagged: of `ours`, those that only a member can claim so */
} tl_peer_claims;

/* A node that relays for others, and where. */
typedef struct {
    tl_node_id id;
    tl_addr addr;
} tl_relayer_name;
#define TL_RELAYER_ADDRS_MAX 2 /* of a node that relays: one of each family */
#define TL_RELAYED_BY_MAX    2 /* nodes to which a node says that it is attached */

/* What a node says of relaying (docs/protocol.md "A node that relays"). Nothing in it is verified. */
typedef struct {
    size_t n_addrs; /* it relays for others, there; 0: it does not */
    tl_addr addrs[TL_RELAYER_ADDRS_MAX];
    bool fellows_only; /* for those of its networks */
    bool full;
    size_t n_by; /* it is reached through these */
    tl_relayer_name by[TL_RELAYED_BY_MAX];
} tl_peer_relaying;

#define TL_INTRODUCED_BY_MAX 4
/* What a node says of introductions (docs/protocol.md "Introducers"). Nothing in it is verified. */
typedef struct {
    size_t n_addrs; /* it introduces others, there: strangers reach it */
    tl_addr addrs[TL_RELAYER_ADDRS_MAX];
    size_t n_by; /* it is attached to these */
    tl_relayer_name by[TL_INTRODUCED_BY_MAX];
} tl_peer_introducing;

/* How much of this turn of the loop went into claims (peer/claims.h). */
typedef struct {
    size_t spent;
    bool behind; /* a node was not looked at for that */
} tl_peer_looks;

typedef struct {
    tl_node_id id;
    char name[TL_PEER_NAME_MAX]; /* printable; "" = unknown */
    tl_nat_type nat_type;        /* as the relay lists it */
    int tier;                    /* 1 to 4 */
    bool available;              /* the node says that it takes questions */
    bool paused;                 /* it says that it takes none since its owner has paused it */
    size_t n_models;
    char **models;
    size_t n_ptns; /* what it shows as ptnIDs: networks, or tags (peer/claims.h). No proof */
    uint8_t (*ptns)[32];
    tl_peer_claims claims;
    tl_peer_looks *looks; /* its table's */
    bool members_only;    /* it takes questions of its networks alone */
    bool reads_first;     /* it reads the datagram that rides in a relayOpen */
    uint32_t round;       /* the last discovery that listed the node */
    /* Of our relays (peer/relays): at which the node is, as bits, and the round trip to it over each,
     * 0: not measured. */
    unsigned at_relays;
    tl_time relay_rtt[TL_RELAYS_MAX];
    tl_time relayer_rtt; /* the same over a node that relays */
    tl_peer_relaying relaying;
    tl_peer_introducing introducing;
    bool takes_fragments; /* it says that it holds fragments of backups for others */
    bool kept;     /* it is to be remembered: it is from an earlier run, or this node wanted it */
    tl_unix seen;  /* when it was last connected, as far as it is remembered; 0: never */
    bool proven;   /* a question between us was answered whole, either way */
    bool listed;   /* the relay lists the node as present */
    bool in_clear; /* it speaks the old protocol alone (tl_peer_is_listed_as) */
    /* Until then other nodes come first: no connection to this one could be made. 0: since then one
     * was. (What its answers were like is another thing: ask/merit.) */
    tl_time unusable_until;
    /* The relays refused a session with it, because they are too busy or the two of us have had their
     * time: none is asked for until then. The pause doubles; 0: the last one was granted. */
    tl_time refused_until, refused_pause;
    unsigned asking;  /* questions of ours that the node is answering */
    uint64_t running; /* questions the node answers in all, by its last heartbeat */
    tl_bids bids;     /* its standing bids, as it told them last, or as the relay lists them */
    tl_via told_via;  /* the kind of way that listeners were last told of */
    struct tl_contact *contact; /* NULL: there is no connection, and none is being made */
    UT_hash_handle hh;
} tl_peer;

/* Nodes that are known to speak Noise. What the relay lists today must not make such a node look
 * like one of the old protocol. The relay can invent listed ones, but not those with which a
 * connection stood: so each kind has a bound of its own. About 100 bytes each. Once one was forgotten, no node that is
 * new to the table counts as one of the old protocol: it may be the one. */
#define TL_PEER_KEYED_MAX 8192

typedef struct {
    tl_node_id id;
    UT_hash_handle hh;
} tl_peer_keyed;

/* Zero-initialise to begin. */
typedef struct {
    tl_peer *peers;
    tl_peer_looks looks;
    uint32_t round;
    uint32_t none_older_in;  /* 1 + the round in which all that can be forgotten are listed */
    tl_peer_keyed *keyed[2]; /* listed with their key; a connection stood. The oldest first */
    bool forgot_keys;        /* one of those was forgotten, or there was no memory for it */
} tl_peer_table;

void tl_peer_table_clear(tl_peer_table *t);
tl_peer *tl_peer_table_find(const tl_peer_table *t, const tl_node_id *id);
/* Finds or adds a node. When the table is full, a node without a connection is forgotten. NULL: out
 * of memory, or all TL_PEERS_MAX nodes are connected. */
tl_peer *tl_peer_table_get(tl_peer_table *t, const tl_node_id *id);
size_t tl_peer_table_count(const tl_peer_table *t);

/* Takes over what a node says of itself. Unknown or malformed fields keep their old value or their
 * default, so that a mistake in one field does not hide the node. Returns true if something
 * changed. */
bool tl_peer_describe(tl_peer *p, const char *name, const json_t *capabilities);
bool tl_peer_serves(const tl_peer *p, const char *model);

/* The relay lists the node, `in_clear`: without the key that belongs to its ID. It then counts as one
 * that speaks the old protocol alone, unless it is known to speak Noise, or may be a node of which
 * that was forgotten. */
void tl_peer_is_listed_as(tl_peer_table *t, tl_peer *p, bool in_clear);
/* A connection to the node stands, secured by its key: it speaks Noise, whatever a relay says. */
void tl_peer_has_key(tl_peer_table *t, tl_peer *p);
/* Nodes that the relay lists as present and that speak the old protocol alone. */
size_t tl_peer_table_in_clear(const tl_peer_table *t);

/* A discovery of all nodes begins. When it ends, nodes that it did not list are forgotten, unless
 * they are connected. Pointers to forgotten peers become invalid. */
void tl_peer_table_begin_round(tl_peer_table *t);
void tl_peer_table_end_round(tl_peer_table *t);
/* The relay says that the node has left: it is not listed any more, and it is forgotten, unless it
 * is connected. */
void tl_peer_table_left(tl_peer_table *t, const tl_node_id *id);

#endif
