/* sendqueue.h - bytes that wait for a socket, in blocks, so that nothing written is ever moved and
 * many frames leave in one writev. Touches no socket itself. */
#ifndef TL_IO_SENDQUEUE_H
#define TL_IO_SENDQUEUE_H

#include "base/slice.h"

#include <sys/uio.h>

#define TL_SENDQUEUE_BLOCK                                                                         \
    65536                   /* of ordinary blocks; a larger reservation gets one of its own        \
                             */
#define TL_SENDQUEUE_IOV 16 /* blocks of one writev: a mebibyte, more than a socket takes */

typedef struct tl_sendblock tl_sendblock;

/* Zero-initialise to begin. Its owner bounds `bytes`. */
typedef struct {
    tl_sendblock *first, *last;
    size_t bytes; /* committed and not consumed */
} tl_sendqueue;

/* Room for `n` bytes that lie together behind what is committed. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_sendqueue_reserve(tl_sendqueue *q, size_t n, uint8_t **ret_room);
/* The first `n` bytes of the last reservation are written. */
void tl_sendqueue_commit(tl_sendqueue *q, size_t n);
/* The front of the queue; returns how many entries were filled. */
int tl_sendqueue_peek(const tl_sendqueue *q, struct iovec ret_iov[TL_SENDQUEUE_IOV]);
/* Drops `n` bytes, at most `bytes`, from the front. An empty queue holds no memory. */
void tl_sendqueue_consume(tl_sendqueue *q, size_t n);
void tl_sendqueue_clear(tl_sendqueue *q);

#endif
