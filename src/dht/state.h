/* state.h - what the files of dht.h share. Private to this room. */
#ifndef TL_DHT_STATE_H
#define TL_DHT_STATE_H

#include "base/ratelimit.h"
#include "dht/dht.h"
#include "dht/kept.h"
#include "dht/lookup.h"
#include "dht/queries.h"
#include "dht/server.h"
#include "dht/table.h"

#define FAMILIES    2
#define KEEPING_MAX 4 /* searches for kept items at once */
#define DENSITIES   8 /* of the last searches for random targets */
#define SEEDS_ENOUGH                                                                               \
    8 /* with nodes of so many networks, addresses to begin with are not asked again */
#define SEEDS_OF_LOOKUP 48
#define NODES_OF_LOOKUP 32 /* of the table; the nearest may all be of one who besieges the key */
#define CROWD_BITS      5  /* above the usual ones: one node of 16 targets is so near by chance */
#define PINGS_PER_SEC   8
#define PINGS_BURST     32
#define PINGS_OF_ASKERS 4 /* a quarter of them: addresses of those who ask may be forged */
#define WAIT_FOR_NODES  (10 * TL_SEC) /* while joining; then it is tried with those there are */
#define FILLS           2             /* searches for random targets after joining */
#define DENSITIES_MIN   3             /* with fewer nothing is known */

/* Kinds of our queries (tl_query_for). */
typedef enum {
    QUERY_PING, /* to a node that would have a place in the table */
    QUERY_TEND, /* find_node to the node that was tended longest ago */
    QUERY_LOOK, /* of a search */
    QUERY_PUT,
} query_kind;

typedef enum {
    ASKS_GET,
    ASKS_PUT,
    ASKS_KEPT, /* for an item that we keep alive */
    ASKS_SELF, /* for the nodes nearest to us */
    ASKS_FILL, /* for those of a random target */
} ask_kind;

/*  WAITING --nodes are known, or nobody comes--> LOOKING --nobody is left to ask--> PUTTING (or ENDED)
 *  PUTTING --all answered or were silent--> ENDED, which is freed when nobody looks at it any more  */
typedef enum { ASK_WAITING, ASK_LOOKING, ASK_PUTTING, ASK_ENDED } ask_state;

typedef struct {
    bool is_on;
    tl_lookup lookup;
} ask_family;

typedef struct dht_ask {
    tl_dht_request name;
    ask_kind kind;
    ask_state state;
    tl_dht_id target;
    tl_dht_ask to; /* functions of whoever asked */
    bool is_mutable, has_item;
    bool has_news; /* something came for it since it was last gone on with */
    uint8_t n_salt, salt[TL_DHT_SALT_MAX];
    unsigned quorum, same; /* nodes that had `item` */
    tl_dht_item item;      /* the best that was found; of a put the one to store */
    ask_family family[FAMILIES];
    unsigned puts;        /* under way */
    unsigned should, had; /* of a kept item: nodes that should have it, and that had it already */
    unsigned stayed;      /* of those that had it: answered with an error when it was refreshed */
    bool whole;           /* stored also where it was */
    tl_time began;
    tl_dht_result result;
} dht_ask;

typedef struct {
    bool has_id;
    bool asked; /* in a search for our own neighbourhood */
    tl_dht_node node;
} dht_seed;

typedef struct {
    bool is_on;  /* there is a socket */
    tl_addr own; /* NONE: not known */
    tl_table table;
} dht_family;

struct tl_dht {
    tl_dht_config config;
    dht_family family[FAMILIES]; /* IPv4, IPv6 */
    tl_queries queries;
    tl_ratelimit budget; /* of all our queries */
    tl_ratelimit pings;  /* of those to nodes that others named: a part of it */
    tl_ratelimit back;   /* of those to nodes that asked us: beside these */
    tl_dht_server *server;
    tl_kept_list kept;

    dht_ask *asks[TL_DHT_REQUESTS_MAX + KEEPING_MAX + 2]; /* owned */
    size_t n_asks;
    tl_dht_request last_name;
    bool poked; /* the timer has work at once */

    /* joining */
    dht_seed *seeds; /* the oldest first */
    size_t n_seeds, seeds_cap;
    bool joined;
    tl_time next_join, join_wait;
    unsigned fills;
    tl_time next_fill;
    /* tending */
    tl_time next_tend, tend_period;
    unsigned tended;
    uint8_t densities[DENSITIES]; /* bits, one above; 0 none */
    unsigned next_density;

    tl_dht_counters counters;
};

static inline unsigned tl_dht_family_of(const tl_addr *a)
{
    return a->family == TL_ADDR_V6 ? 1 : 0;
}
static inline tl_addr_family tl_dht_family_at(unsigned index)
{
    return index == 1 ? TL_ADDR_V6 : TL_ADDR_V4;
}

/* --- dht.c --- */

/* May a query go to `to`? */
bool tl_dht_may_ask(tl_dht *d, const tl_addr *to, tl_time now);
/* Sends a query; fills in the ID, `ro`, `want` and `t`. False: it cannot be sent now. */
bool tl_dht_query(tl_dht *d, const tl_addr *to, tl_krpc *query, const tl_query_for *what,
                  tl_time now);
void tl_dht_poke(tl_dht *d);
/* Calls `each` for every node of an answer that may be asked. */
void tl_dht_each_named(tl_dht *d, const tl_addr *from, const tl_krpc *answer, tl_time now,
                       void (*each)(tl_dht *d, void *user, const tl_dht_node *node, tl_time now),
                       void *user);

/* --- dht_asks.c --- */

/* Begins a search of ours. NULL: no room or no memory. */
dht_ask *tl_dht_ask_begin(tl_dht *d, ask_kind kind, const tl_dht_id *target, tl_time now);
void tl_dht_asks_on_answer(tl_dht *d, const tl_query *query, const tl_krpc *answer, tl_time now,
                           tl_unix wall);
void tl_dht_asks_on_late(tl_dht *d, const tl_query *query);
/* Silent, or an error was the answer. */
void tl_dht_asks_on_failed(tl_dht *d, const tl_query *query, bool refused);
/* Goes on with all of them, as far as it goes now. */
void tl_dht_asks_run(tl_dht *d, tl_time now, tl_unix wall);
tl_time tl_dht_asks_expiry(const tl_dht *d);
void tl_dht_asks_clear(tl_dht *d);
/* All begin anew: what was under way is lost. */
void tl_dht_asks_restart(tl_dht *d);

/* --- dht_tend.c --- */

void tl_dht_tend(tl_dht *d, tl_time now);
tl_time tl_dht_tend_expiry(const tl_dht *d);
/* One of our own searches is over. */
void tl_dht_on_searched(tl_dht *d, dht_ask *ask, tl_time now);
/* A node that was tended answered, or did not. */
void tl_dht_on_tended(tl_dht *d, bool answered);
/* A node was named, or asked us (`asked`): it is pinged if the table has a place for it. */
void tl_dht_consider(tl_dht *d, const tl_dht_node *node, bool asked, tl_time now);
size_t tl_dht_nodes(const tl_dht *d);
/* Nodes of SEEDS_ENOUGH networks. */
bool tl_dht_has_enough(const tl_dht *d);
/* How many bits the eighth nearest node has in common with a random target. */
unsigned tl_dht_usual_bits(const tl_dht *d);
void tl_dht_join_again(tl_dht *d, tl_time now);

#endif
