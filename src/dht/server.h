/* server.h - answers the queries of other nodes of the DHT, and keeps items for them. Sans-IO. It
 * knows no nodes: it asks for the closest ones through a function that it is given.
 *
 * The address of a query may be forged, and then its answer goes to a victim. So all answers to an
 * address, to its network and to everybody are bounded (dht/sources.h), and an answer without an
 * item is at most TL_DHT_SERVER_FACTOR times as long as its query, with the IP and UDP headers
 * counted: `nodes6` is cut first, then `nodes`. What is beyond these bounds gets no answer. */
#ifndef TL_DHT_SERVER_H
#define TL_DHT_SERVER_H

#include "base/rand.h"
#include "base/time.h"
#include "dht/items.h"

#define TL_DHT_SERVER_FACTOR        3
#define TL_DHT_SERVER_ANSWER_MAX    1280         /* the largest item with its key and token */
#define TL_DHT_SERVER_NODES         8            /* of each family in an answer */
#define TL_DHT_SERVER_TOKEN_ROTATES (5 * TL_MIN) /* BEP 5: a token is good for 5 to 10 minutes */

typedef enum {
    TL_DHT_SERVER_DROP_ADDRESS,   /* port 0 */
    TL_DHT_SERVER_DROP_READ_ONLY, /* we do not serve, and it was no ping */
    TL_DHT_SERVER_DROP_QUERIES,   /* too many queries from this address or network */
    TL_DHT_SERVER_DROP_BYTES,     /* this address or network was answered enough */
    TL_DHT_SERVER_DROP_SUM,       /* everybody together was */
    TL_DHT_SERVER_DROP_NOMEM,
    TL_DHT_SERVER_DROPS,
} tl_dht_server_drop;
/* "read_only"; static storage. */
const char *tl_dht_server_drop_name(tl_dht_server_drop drop);

typedef struct {
    uint64_t queries[TL_KRPC_METHODS]; /* all, also dropped ones */
    uint64_t answers, errors;          /* that were sent */
    uint64_t dropped[TL_DHT_SERVER_DROPS];
    uint64_t stored, refreshed,
        replaced;                 /* puts that were taken: new items, the same, newer ones */
    uint64_t refused;             /* puts that were answered with an error */
    uint64_t pushed_out, expired; /* items that are gone */
} tl_dht_server_counters;

/* How the server asks the node that it is part of. The functions may not call the server. */
typedef struct {
    /* The nodes of that family closest to `target`, as compact nodes; at most `max`. Returns how
     * many. */
    size_t (*closest)(void *user, const tl_dht_id *target, tl_addr_family family, size_t max,
                      uint8_t *ret_nodes);
    /* Did somebody at this address answer us lately? Then it is not forged. NULL: nobody is known. */
    bool (*knows)(void *user, const tl_addr *addr);
    /* Our ID among the nodes of that family. */
    tl_dht_id (*id)(void *user, tl_addr_family family);
    void *user;
} tl_dht_server_nodes;

typedef struct tl_dht_server tl_dht_server;

/* Borrows `rand` for its life; copies `nodes`. It starts read-only, behind an unknown NAT.
 * TL_ERR_NOMEM. */
TL_CHECK tl_err tl_dht_server_new(tl_rand *rand, const tl_dht_server_nodes *nodes, tl_time now,
                                  tl_dht_server **ret_server);
void tl_dht_server_free(tl_dht_server *s);

/* Does it answer more than pings (BEP 43: not where others cannot reach us)? What it stored stays. */
void tl_dht_server_set_serving(tl_dht_server *s, bool serving);
/* What its answers to pings tell of our NAT. */
void tl_dht_server_set_nat(tl_dht_server *s, tl_control_nat nat);
/* The node ID that its answers to pings tell; NULL: none. Copies. */
void tl_dht_server_set_key(tl_dht_server *s, const uint8_t key[TL_KRPC_KEY_SIZE]);

/* A query came from `from`; `query_n`: bytes of its datagram. True: send `ret_answer` back. The
 * sender is not yet known to be there; whether it becomes a node is the caller's to decide. */
bool tl_dht_server_on_query(tl_dht_server *s, const tl_addr *from, const tl_krpc *query,
                            size_t query_n, tl_time now, uint8_t ret_answer[TL_KRPC_MAX],
                            size_t *ret_n);
/* Forgets what is old. */
void tl_dht_server_on_timer(tl_dht_server *s, tl_time now);
/* When to call it; TL_NEVER: nothing is kept. */
tl_time tl_dht_server_expiry(const tl_dht_server *s);

/* Keeps an item of ours as if it had been put: where we are among the closest to its target.
 * TL_ERR_NOMEM. TL_ERR_BUSY: no room. TL_ERR_REPLAY: a newer one is kept. */
TL_CHECK tl_err tl_dht_server_keep(tl_dht_server *s, const tl_dht_item *item, tl_time now);
/* Looks an item up. False: not kept. */
bool tl_dht_server_find(const tl_dht_server *s, const tl_dht_id *target, tl_time now,
                        tl_dht_item *ret_item);

size_t tl_dht_server_stored(const tl_dht_server *s);
const tl_dht_server_counters *tl_dht_server_counters_of(const tl_dht_server *s);

#endif
