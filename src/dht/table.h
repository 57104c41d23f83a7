/* table.h - the nodes of the DHT that this node knows, of one address family (BEP 5, BEP 32): per number
 * of bits that their ID has in common with ours at most TL_TABLE_K nodes, and a few spare ones. Only
 * nodes that answered us are in it. Sends nothing, and reads no clock.
 *
 * What makes one node better than another, so that it takes the other's place where there is none:
 *  1. it answered the last query;
 *  2. it is not the third of one network (/24 or /48): somebody who has a whole network is two nodes;
 *  3. its ID fits its address (BEP 42): an ID beside a key costs an address, not a moment of computing.
 * Among equals who came first stays: nodes that were there for long stay for long (BEP 5).
 *
 * In the whole table an IP is one node, and a network two, as long as they answer: the deep buckets, which
 * honest nodes leave empty, are no room for one who has many ports. Where the DHT has hardly a node, a node
 * must fit (`deep`). Local addresses are exempt from all this, as from BEP 42. */
#ifndef TL_DHT_TABLE_H
#define TL_DHT_TABLE_H

#include "base/time.h"
#include "dht/id.h"

#define TL_TABLE_K           8  /* BEP 5 */
#define TL_TABLE_SPARES      4  /* of a bucket; nodes that answered while it was full */
#define TL_TABLE_BUCKETS     32 /* so many bits in common and more: the last bucket */
#define TL_TABLE_PER_NETWORK 2
#define TL_TABLE_FAILS       3 /* queries in a row without answer: out, though nobody wants the place */

typedef struct {
    tl_dht_id id;
    bool fits;     /* BEP 42 */
    uint8_t fails; /* queries in a row without answer */
    tl_addr addr;
    uint64_t network; /* tl_dht_addr_network */
    tl_time heard;    /* when it last answered */
    tl_time tended;   /* when it last answered, or was asked for its own sake */
} tl_table_node;

typedef struct {
    uint8_t n, n_spares;
    tl_table_node nodes[TL_TABLE_K], spares[TL_TABLE_SPARES]; /* the newest spare last */
} tl_table_bucket;

typedef struct {
    tl_dht_id self;
    size_t n; /* nodes, without spares */
    unsigned
        deep; /* from this bucket on, nodes must fit; it starts with TL_TABLE_BUCKETS: nowhere */
    tl_table_bucket *buckets[TL_TABLE_BUCKETS]; /* NULL: empty so far */
} tl_table;

void tl_table_init(tl_table *t, const tl_dht_id *self);
void tl_table_clear(tl_table *t);
/* Another ID of ours: all nodes are put in order anew. Some may find no place. */
void tl_table_set_self(tl_table *t, const tl_dht_id *self);

/* A node answered a query of ours. Another node with its ID stays while it answers; the same address
 * with another ID is a new node. Out of memory: it is not taken. */
void tl_table_answered(tl_table *t, const tl_dht_id *id, const tl_addr *addr, tl_time now);
/* A node did not answer. */
void tl_table_failed(tl_table *t, const tl_dht_id *id, const tl_addr *addr);
/* A node that is not there any more: somebody else answered at its address. */
void tl_table_remove(tl_table *t, const tl_dht_id *id, const tl_addr *addr);
/* Would it have a place if it answered? False also if it has one. */
bool tl_table_wants(const tl_table *t, const tl_dht_id *id, const tl_addr *addr);

/* Networks (/24, /48) of which there are nodes; at most `max`. */
size_t tl_table_networks(const tl_table *t, size_t max);
/* Is a node there that answered the last query? */
bool tl_table_has(const tl_table *t, const tl_addr *addr);
/* At most `max` nodes, the nearest to `target` first. Only those that answered the last query. */
size_t tl_table_closest(const tl_table *t, const tl_dht_id *target, size_t max,
                        tl_dht_node *ret_nodes);
/* The node that was tended longest ago; whoever asks it sets `tended`. NULL: there is none. Valid until
 * the table changes. */
tl_table_node *tl_table_oldest(tl_table *t);
/* The most bits that K nodes whose ID fits have in common with ours; 0: there are not so many. */
unsigned tl_table_depth(const tl_table *t);
/* Nodes for tl_dht_save: of each bucket the first, then of each the second, and so on; those that were
 * there for longest first. */
size_t tl_table_list(const tl_table *t, size_t max, tl_dht_node *ret_nodes);

#endif
