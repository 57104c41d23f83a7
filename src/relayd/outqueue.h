/* outqueue.h - the bytes that one connection could not take at once: copies, and references to
 * chunks for which many connections wait. Touches no socket; the relay machine bounds it
 * (queue_max). */
#ifndef TL_RELAYD_OUTQUEUE_H
#define TL_RELAYD_OUTQUEUE_H

#include "relay/relay.h"

#include <sys/uio.h>

typedef struct tl_outblock tl_outblock;

/* Begins zero-initialised. An empty queue holds no memory. */
typedef struct {
    tl_outblock *first, *last;
    size_t bytes;
} tl_outqueue;

/* Appends a copy of `bytes`. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_outqueue_add(tl_outqueue *q, tl_slice bytes);
/* Appends `bytes`, which lie in the chunk. Takes over the reference, even when the call fails.
 * TL_ERR_NOMEM. */
TL_CHECK tl_err tl_outqueue_add_shared(tl_outqueue *q, tl_slice bytes, tl_relay_chunk *chunk);
/* Fills `ret_iov` with the front of the queue, at most `cap` pieces; returns how many. */
int tl_outqueue_peek(const tl_outqueue *q, struct iovec *ret_iov, int cap);
/* Drops `n` bytes (at most `bytes`) from the front. */
void tl_outqueue_consume(tl_outqueue *q, size_t n);
void tl_outqueue_clear(tl_outqueue *q);

#endif
