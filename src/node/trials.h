/* trials.h - connections that no person and no question asked for: to peers that are known (node_again.c), and to
 * neighbours (node_lan.c). Each is a wish at the peers for a connection alone, and whoever began it is told what came of
 * it. Bounded in number, and in the connections that it leaves to those who ask. */
#ifndef TL_NODE_TRIALS_H
#define TL_NODE_TRIALS_H

#include "node/node.h"

typedef struct tl_trials tl_trials;

/* What came of a trial. on_failed is never called from inside tl_trials_begin, which returns false instead. */
typedef struct {
    void (*on_connected)(tl_node *n, const tl_node_id *peer);
    void (*on_failed)(tl_node *n, const tl_node_id *peer);
} tl_trials_events;

/* At most `most` at once. NULL: out of memory. */
tl_trials *tl_trials_new(tl_node *n, size_t most, const tl_trials_events *events);
/* Ends those that wait, and tells nobody. Before the peers are freed. NULL is allowed. */
void tl_trials_free(tl_trials *t);
/* Begins to connect; one of the events follows. False: it cannot, or `most` wait already. */
bool tl_trials_begin(tl_trials *t, const tl_node_id *peer);

/* What the parts that decide on trials ask of the node; `user` is the tl_node. */
bool tl_trials_is_connected(void *user, const tl_node_id *peer);
/* May one more connection be kept that nobody asked for? */
bool tl_trials_has_room(void *user);

#endif
