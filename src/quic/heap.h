/* heap.h - the connections of a node, ordered by expiry: a binary heap, so that the next timer
 * costs nothing to find and a packet costs a few swaps. Sets no timers. */
#ifndef TL_QUIC_HEAP_H
#define TL_QUIC_HEAP_H

#include "quic/state.h"

#define TL_HEAP_NONE SIZE_MAX /* heap_i of a connection that is not in it */

/* Sets c->expiry and moves the connection to its place; TL_NEVER takes it out. q->heap has room for
 * every connection. */
void tl_quic_heap_set(tl_quic_conn *c, tl_time expiry);
/* The connection that is due first, or NULL. */
tl_quic_conn *tl_quic_heap_top(const tl_quic *q);

#endif
