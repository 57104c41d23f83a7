#include "relayd/outqueue.h"

#include <stdlib.h>

#define BLOCK_SIZE 4096 /* small frames share a block; a larger one gets a block of its size */

struct tl_outblock {
    tl_outblock *next;
    tl_relay_chunk *chunk; /* holds the bytes; NULL: they are in `data` */
    const uint8_t *bytes;
    size_t head, n, cap; /* bytes[head .. head+n) wait; `data` has room for `cap` bytes in all */
    uint8_t data[];
};

static tl_outblock *append_block(tl_outqueue *q, size_t cap)
{
    tl_outblock *b = malloc(sizeof *b + cap);
    if (!b)
        return NULL;
    *b = (tl_outblock){.bytes = b->data, .cap = cap};
    if (q->last)
        q->last->next = b;
    else
        q->first = b;
    q->last = b;
    return b;
}

tl_err tl_outqueue_add(tl_outqueue *q, tl_slice bytes)
{
    tl_outblock *b = q->last;
    if (!b || b->chunk || b->cap - b->head - b->n < bytes.n) {
        b = append_block(q, bytes.n > BLOCK_SIZE ? bytes.n : BLOCK_SIZE);
        if (!b)
            return TL_ERR_NOMEM;
    }
    memcpy(b->data + b->head + b->n, bytes.p, bytes.n);
    b->n += bytes.n;
    q->bytes += bytes.n;
    return TL_OK;
}

tl_err tl_outqueue_add_shared(tl_outqueue *q, tl_slice bytes, tl_relay_chunk *chunk)
{
    tl_outblock *b = append_block(q, 0);
    if (!b) {
        tl_relay_chunk_unref(chunk);
        return TL_ERR_NOMEM;
    }
    b->chunk = chunk;
    b->bytes = bytes.p;
    b->n = bytes.n;
    q->bytes += bytes.n;
    return TL_OK;
}

int tl_outqueue_peek(const tl_outqueue *q, struct iovec *ret_iov, int cap)
{
    int n = 0;
    for (const tl_outblock *b = q->first; b && n < cap; b = b->next)
        ret_iov[n++] = (struct iovec){(void *)(uintptr_t)(b->bytes + b->head), b->n};
    return n;
}

static void drop_first(tl_outqueue *q)
{
    tl_outblock *b = q->first;
    q->first = b->next;
    if (!q->first)
        q->last = NULL;
    if (b->chunk)
        tl_relay_chunk_unref(b->chunk);
    free(b);
}

void tl_outqueue_consume(tl_outqueue *q, size_t n)
{
    q->bytes -= n;
    while (q->first && n >= q->first->n) {
        n -= q->first->n;
        drop_first(q);
    }
    if (n && q->first) {
        q->first->head += n;
        q->first->n -= n;
    }
}

void tl_outqueue_clear(tl_outqueue *q)
{
    while (q->first)
        drop_first(q);
    q->bytes = 0;
}
