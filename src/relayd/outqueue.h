/* outqueue.h - what one connection could not take at once: copies of bytes, and references to
 * chunks that many connections wait for. Touches no socket; its bound is the relay machine's
 * (queue_max). */
#ifndef TL_RELAYD_OUTQUEUE_H
#define TL_RELAYD_OUTQUEUE_H

#include "relay/relay.h"

#include <sys/uio.h>

typedef struct tl_outblock tl_outblock;

/* Zero-initialise to begin. An empty queue holds no memory. */
typedef struct {
    tl_outblock *first, *last;
    size_t bytes;
} tl_outqueue;

/* Copies. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_outqueue_add(tl_outqueue *q, tl_slice bytes);
/* Takes the reference, also when it fails. `bytes` lies in the chunk. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_outqueue_add_shared(tl_outqueue *q, tl_slice bytes, tl_relay_chunk *chunk);
/* The front, at most `cap` pieces; returns how many. */
int tl_outqueue_peek(const tl_outqueue *q, struct iovec *ret_iov, int cap);
/* Drops `n` (at most `bytes`) from the front. */
void tl_outqueue_consume(tl_outqueue *q, size_t n);
void tl_outqueue_clear(tl_outqueue *q);

#endif
