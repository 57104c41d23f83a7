/* lookup.h - one search for the nodes nearest to a target, in one address family. It says whom to ask
 * next, and is told what came back. Sends nothing; knows no items: its owner does.
 *
 * Nodes lie. These rules keep a search right while a part of the nodes answers with lies:
 *
 *  - Disjoint paths (S/Kademlia): TL_LOOKUP_PATHS, each of which begins at other nodes. What a node names
 *    belongs to the path that it belongs to, unless another path has it already. Each path asks its own
 *    TL_LOOKUP_PATH_K nearest nodes, whatever the others found. Liars name liars alone, and nearer ones than
 *    an honest node far from the target knows: they take the paths that meet them. One path that meets
 *    none is enough, for the nodes nearest of all are nearer than any liar.
 *  - Rings. The plain ring is the K nearest nodes, as every program of the DHT sees it. The careful
 *    ring is the K nearest of those which fit their address (BEP 42), of at most two a network. It grows
 *    where more of them are very near than so large a DHT has by chance. Each path's own nearest are
 *    chosen alike, without such a crowd. The search goes on until all of these have answered. So who
 *    puts many nodes beside a key makes us ask and store at more of them, and at the others all the same.
 *  - A search that ends where nodes are sparser than they usually are around a target was misled. It then
 *    asks all nodes that it began with, and more and more of each path's, until it ends where it should.
 *  - Nobody is asked whose ID does not fit its address and is nearer than any ID is by chance. Lies of
 *    nodes right beside the target cost nothing to tell, and would cost us a time-out each.
 *  - Named nodes that do not answer cost a place in no ring. One IP is asked twice at most. An ID that has not
 *    answered keeps no other address of it out but of its own path.
 *
 *   fresh --next--> asked --answer--> answered
 *                     |--late--> late --answer--> answered
 *                     \--silent--> failed                                                    */
#ifndef TL_DHT_LOOKUP_H
#define TL_DHT_LOOKUP_H

#include "dht/id.h"
#include "wire/krpc.h"

#define TL_LOOKUP_K        8
#define TL_LOOKUP_ALPHA    3 /* queries at once that are not late */
#define TL_LOOKUP_PATHS    8 /* of a search that must not be misled */
#define TL_LOOKUP_PATH_K   3
#define TL_LOOKUP_PATH_MAX 24
#define TL_LOOKUP_SPARSE   2u /* so many bits fewer than usual: one of a hundred searches by chance */
#define TL_LOOKUP_FIRSTS   2 /* nodes that a path begins with: one may be gone */
#define TL_LOOKUP_FAIR                                                                             \
    3 /* every so manieth query is of the path that asked least, not the nearest */
#define TL_LOOKUP_NODES_MAX   160 /* the farthest fresh one makes room */
#define TL_LOOKUP_PER_HOST    2
#define TL_LOOKUP_PER_NETWORK 2   /* of the careful ring */
#define TL_LOOKUP_ASKED_MAX   128 /* in sum: liars can name new nodes for ever */
#define TL_LOOKUP_CROWD_MAX   16  /* nodes of a crowd that are asked for all that */
#define TL_LOOKUP_RINGS_MAX   (2 * TL_LOOKUP_K + TL_LOOKUP_CROWD_MAX)
#define TL_LOOKUP_NO_CROWD    160 /* for `usual`: nothing is known */
/* Bits above the usual ones of the eighth nearest. One node of a thousand lookups is so near by chance. */
#define TL_LOOKUP_TOO_NEAR    13

typedef enum {
    TL_LOOKUP_FRESH,
    TL_LOOKUP_ASKED,
    TL_LOOKUP_LATE,
    TL_LOOKUP_ANSWERED,
    TL_LOOKUP_FAILED,
} tl_lookup_state;

typedef struct {
    tl_dht_id id;
    bool has_id; /* false: an address that may be a node; such ones are last */
    bool fits;   /* BEP 42 */
    uint8_t state, hops;
    uint8_t common; /* bits that its ID has in common with the target */
    uint8_t path;   /* `paths` of the lookup: none */
    uint8_t rings;  /* of the flags below */
    uint8_t n_token;
    bool holds; /* an item of this target; its owner sets it */
    tl_addr addr;
    uint64_t network, host;
    int64_t seq; /* of that item */
    uint8_t token[TL_KRPC_TOKEN_MAX];
} tl_lookup_node;

#define TL_LOOKUP_PLAIN   1u
#define TL_LOOKUP_CAREFUL 2u
#define TL_LOOKUP_OWN     4u /* of its path */

typedef struct {
    tl_dht_id target;
    unsigned paths, usual;
    bool all_seeds;                        /* every node that it began with is asked */
    unsigned path_k;                       /* how many of its own nearest nodes each path asks */
    unsigned asked, answered;              /* in sum */
    unsigned of_path[TL_LOOKUP_PATHS + 1]; /* asked */
    size_t n;
    tl_lookup_node *nodes[TL_LOOKUP_NODES_MAX]; /* owned; the nearest first */
} tl_lookup;

/* `usual`: how many bits the eighth nearest node of a target has in common with it, usually. */
void tl_lookup_init(tl_lookup *l, const tl_dht_id *target, unsigned paths, unsigned usual);
void tl_lookup_clear(tl_lookup *l);

/* A node to begin with, the nearest first. `id` NULL: not known. */
void tl_lookup_seed(tl_lookup *l, const tl_dht_id *id, const tl_addr *addr);
/* The node that `by` named; `host` as tl_queries_host. */
void tl_lookup_named(tl_lookup *l, const tl_lookup_node *by, const tl_dht_id *id,
                     const tl_addr *addr);

/* The next node to ask; it is asked now. NULL: none for the moment. Valid while the lookup is. */
tl_lookup_node *tl_lookup_next(tl_lookup *l);
/* It could not be asked now, after all. */
void tl_lookup_not_asked(tl_lookup *l, tl_lookup_node *node);
/* The node that is asked at this address, late ones included. NULL: none. */
tl_lookup_node *tl_lookup_asked(tl_lookup *l, const tl_addr *addr);
/* It answered, with this ID. What it named comes after this. */
void tl_lookup_on_answer(tl_lookup *l, tl_lookup_node *node, const tl_dht_id *id, tl_slice token);
void tl_lookup_on_late(tl_lookup *l, tl_lookup_node *node);
void tl_lookup_on_silent(tl_lookup *l, tl_lookup_node *node);
/* Nobody is left to ask, and nobody who is not late is waited for. */
bool tl_lookup_is_done(tl_lookup *l);

/* How many nodes answered of those in either ring (set in `rings`): the nearest first. */
size_t tl_lookup_rings(tl_lookup *l, tl_lookup_node *ret_nodes[TL_LOOKUP_RINGS_MAX]);
/* Takes out of `nodes`, which are sorted, the `most` that are to be named to others: the nearest, but no crowd
 * instead of all others. Returns how many; they are in the front then. */
size_t tl_lookup_without_crowd(const tl_dht_id *target, unsigned usual, tl_dht_node *nodes,
                               size_t n, size_t most);
/* Bits that the K nearest nodes that answered have in common with the target; of those which fit their
 * address, at most two a network: who answers with IDs of his choice, for one address or many ports, must not
 * make the DHT look denser than it is. False: fewer than K. */
bool tl_lookup_density(tl_lookup *l, unsigned *ret_bits);

#endif
