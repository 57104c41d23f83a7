/* sendqueue.h - holds bytes that wait for a socket. They lie in blocks, so that no byte is moved
 * after it was written, and many frames leave in one writev. Touches no socket itself. */
#ifndef TL_IO_SENDQUEUE_H
#define TL_IO_SENDQUEUE_H

#include "base/slice.h"

#include <sys/uio.h>

#define TL_SENDQUEUE_BLOCK                                                                         \
    65536                   /* size of a block; a larger reservation gets a block of its own \ */
#define TL_SENDQUEUE_IOV 16 /* blocks in one writev: 1 MiB, more than a socket takes */

typedef struct tl_sendblock tl_sendblock;

/* Begins zero-initialised. Its owner bounds `bytes`. */
typedef struct {
    tl_sendblock *first, *last;
    size_t bytes; /* committed and not consumed */
} tl_sendqueue;

/* Gives room for `n` bytes that lie together, behind the committed bytes. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_sendqueue_reserve(tl_sendqueue *q, size_t n, uint8_t **ret_room);
/* Commits the first `n` bytes of the last reservation: the caller has written them. */
void tl_sendqueue_commit(tl_sendqueue *q, size_t n);
/* Fills `ret_iov` from the front of the queue; returns how many entries were filled. */
int tl_sendqueue_peek(const tl_sendqueue *q, struct iovec ret_iov[TL_SENDQUEUE_IOV]);
/* Drops `n` bytes from the front; `n` is at most `bytes`. An empty queue holds no memory. */
void tl_sendqueue_consume(tl_sendqueue *q, size_t n);
void tl_sendqueue_clear(tl_sendqueue *q);

#endif
