/* registry.h - the registered nodes: finds them by ID, and lists them for `discover`. Sends
 * nothing. */
#ifndef TL_RELAY_REGISTRY_H
#define TL_RELAY_REGISTRY_H

#include "base/table.h"
#include "crypto/identity.h"
#include "relay/index.h"
#include "relay/limits.h"
#include "relay/profile.h"

/* A page of discoverResponse ends early, before it would be longer than this or than the longest
 * message. With capabilities of 32 KiB each, 500 peers would be 16 MiB. */
#define TL_RELAY_PAGE_BYTES_MAX (1u << 20)

struct tl_relay_member;

struct tl_relay_node {
    tl_node_id id;
    char hex[TL_NODE_ID_HEX + 1];    /* the ID as it stands in messages */
    char wg_hex[TL_NODE_ID_HEX + 1]; /* "" when the node gave none */
    tl_signal_features features;
    tl_limit limit;           /* what it may send, where there are limits (tiers.c) */
    uint64_t sequence;        /* grows with each join; the registry is in this order */
    tl_relay_conn *conn;      /* the node's socket; NULL: it is at another relay, */
    struct tl_fed_seat *away; /* and that one is here. Else NULL */
    uint64_t epoch; /* of its registration, as the relays agreed; grows with each (federation.h) */
    struct tl_relay_member *sessions; /* sessions of which it is a member */
    uint32_t session_count;
    uint32_t opening_count;     /* sessions that it opened and that are not answered yet */
    uint32_t asked_count;       /* sessions that wait for its answer */
    struct tl_fed_claim *claim; /* the epoch is not agreed yet; else NULL */
    bool is_news;               /* its join waits to be told */
    bool is_announced;          /* its join was told, so its leave must be */
    bool knows_changed;         /* it was told that its list is old, and has not asked since */
    uint32_t leaves_from, joins_from; /* what is before it in the next round it knows */
    struct tl_relay_node *prev_news, *next_news;
    tl_relay_profile profile;
    tl_relay_holdings *holdings; /* the node's names in the index, never NULL */
    UT_hash_handle hh;
};

static inline const char *tl_relay_node_name(const tl_relay_node *n)
{
    return n->profile.display_name;
}

typedef struct {
    uint64_t next_sequence;
    tl_relay_node *table;
    tl_relay_index index;
} tl_relay_registry;

/* Bytes of memory that the node takes. */
static inline size_t tl_relay_node_memory(const tl_relay_node *n)
{
    return sizeof *n + n->profile.size + n->holdings->memory;
}

tl_relay_node *tl_relay_registry_find(const tl_relay_registry *g, const tl_node_id *id);
/* NULL also if `hex` is not a node ID. */
tl_relay_node *tl_relay_registry_find_hex(const tl_relay_registry *g, tl_slice hex);
/* Adds a node, or gives the node of that ID what it registers now. The caller sets `conn`. Copies.
 * *ret_joined: the node was not there before. TL_ERR_NOMEM: nothing changed. */
TL_CHECK tl_err tl_relay_registry_put(tl_relay_registry *g, const tl_node_id *id,
                                      const tl_signal_register *r, tl_relay_node **ret_node,
                                      bool *ret_joined);
/* Takes the node out and frees it. */
void tl_relay_registry_remove(tl_relay_registry *g, tl_relay_node *n);

/* A question, and the work of its answer. */
typedef struct {
    const tl_signal_discover *filter;
    size_t bytes_max;
    double (*last_seen)(const void *user, const tl_relay_node *n);
    const void *user;
    /* The answer sets it: how many nodes were looked at; eight of a node's names cost as much as another node. */
    size_t passed;
} tl_relay_query;

/* Appends the discoverResponse for `asker`, at most bytes_max long. A node passes the filters as
 * follows. minRAMGB: it has at least this much. minTier: its tier is this number or lower (1 is the
 * most capable). modelID: it has the model loaded or can swap to it. ptnID: it lists the network.
 * TL_ERR_INVALID: the cursor is not one that we gave. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_relay_registry_list(const tl_relay_registry *g, const tl_relay_node *asker,
                                       tl_relay_query *query, tl_buf *out);

#endif
