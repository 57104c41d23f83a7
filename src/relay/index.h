/* index.h - finds the nodes that have a model or are in a network, by its name. The registry
 * decides which of them it lists; sends nothing. */
#ifndef TL_RELAY_INDEX_H
#define TL_RELAY_INDEX_H

#include "base/table.h"
#include "relay/relay.h"

typedef struct tl_relay_key tl_relay_key;

/* An entry: one node under one name. */
typedef struct tl_relay_holding {
    tl_relay_key *key; /* NULL: the node stands under that name already */
    tl_relay_node *node;
    uint64_t sequence;                    /* the holders of a name are in this order */
    struct tl_relay_holding *prev, *next; /* utlist of the name's holders */
} tl_relay_holding;

/* All names of one node. */
typedef struct {
    size_t n;
    size_t memory; /* bytes that these names take, as if no other node had them */
    tl_relay_holding item[];
} tl_relay_holdings;

struct tl_relay_key {
    tl_relay_holding *holders; /* never NULL */
    UT_hash_handle hh;
    char text[]; /* the kind, then the name */
};

typedef struct {
    tl_relay_key *table;
} tl_relay_index;

/* Puts `node` under each of `keys` (as in a tl_relay_profile), behind the nodes that stand there.
 * *sequence is the last number that was given out. TL_ERR_NOMEM: nothing changed. */
TL_CHECK tl_err tl_relay_index_add(tl_relay_index *x, tl_relay_node *node, const char *keys,
                                   uint64_t *sequence, tl_relay_holdings **ret_holdings);
/* Takes the node out again and frees `holdings`, which may be NULL. */
void tl_relay_index_remove(tl_relay_index *x, tl_relay_holdings *holdings);

/* NULL: no node has this name. */
const tl_relay_key *tl_relay_index_find(const tl_relay_index *x, char kind, const char *name);
bool tl_relay_holdings_have(const tl_relay_holdings *h, const tl_relay_key *key);

#endif
