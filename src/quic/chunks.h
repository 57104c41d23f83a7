/* chunks.h - a byte queue in linked chunks, whose bytes never move until they are dropped: what a
 * stream sends (kept until it is acknowledged, since libngtcp2 copies nothing) and what it
 * received. Knows nothing of QUIC. */
#ifndef TL_QUIC_CHUNKS_H
#define TL_QUIC_CHUNKS_H

#include "base/slice.h"
#include "quic/mem.h"

#define TL_CHUNK_MIN 1024        /* enough for a stream of a few small messages */
#define TL_CHUNK_MAX (64 * 1024) /* a bulk stream allocates once in 64 KiB */

#define TL_CHUNK_POOL_MAX                                                                          \
    32 /* 2 MiB kept for reuse: giving them back to malloc costs page faults */

typedef struct tl_chunk tl_chunk;

/* Large chunks that queues gave back. Begins zero-initialised; outlives its queues. */
typedef struct {
    tl_chunk *free;
    unsigned n;
} tl_chunk_pool;
void tl_chunk_pool_clear(tl_chunk_pool *pool);

/* To begin, set `pool` and `meter` and zero the rest. `n` bytes are held; tl_chunks_advance passed
 * the first `sent` of them. */
typedef struct {
    tl_chunk_pool *pool; /* borrows for life; NULL: none */
    tl_meter *meter;     /* borrows for life: counts the chunks with their free room; NULL: none */
    tl_chunk *first, *last;
    tl_chunk *cursor;     /* the chunk of the byte at `sent`; NULL: the first chunk */
    size_t cursor_offset; /* of that byte in it */
    size_t n, sent;
} tl_chunks;

/* Copies. TL_ERR_NOMEM, nothing added. */
TL_CHECK tl_err tl_chunks_append(tl_chunks *q, tl_slice bytes);
/* The bytes at the front that lie together in memory; empty when there are none. */
tl_slice tl_chunks_front(const tl_chunks *q);
/* Frees `n` (at most q->n) bytes from the front. */
void tl_chunks_drop(tl_chunks *q, size_t n);

/* Fills up to `max` slices with the bytes from the cursor on, until `want` bytes are covered.
 * Returns how many slices were filled. */
size_t tl_chunks_unsent(const tl_chunks *q, size_t want, tl_slice *ret_slices, size_t max);
/* Moves the cursor over `n` bytes. */
void tl_chunks_advance(tl_chunks *q, size_t n);

/* Frees everything; the queue is empty and usable again. */
void tl_chunks_clear(tl_chunks *q);

#endif
