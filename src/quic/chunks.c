#include "quic/chunks.h"

#include <assert.h>
#include <stdlib.h>

struct tl_chunk {
    tl_chunk *next;
    size_t begin, end, cap; /* content is data[begin .. end) */
    uint8_t data[];
};

static tl_chunk *chunk_new(const tl_chunks *q, size_t want)
{
    tl_chunk_pool *pool = q->pool;
    size_t cap = want < TL_CHUNK_MIN ? TL_CHUNK_MIN : want > TL_CHUNK_MAX ? TL_CHUNK_MAX : want;
    tl_chunk *c;
    if (cap == TL_CHUNK_MAX && pool && pool->free) {
        c = pool->free;
        pool->free = c->next;
        pool->n--;
    } else {
        c = malloc(sizeof *c + cap);
    }
    if (!c)
        return NULL;
    *c = (tl_chunk){.cap = cap};
    tl_meter_add(q->meter, sizeof *c + cap);
    return c;
}

static void chunk_free(const tl_chunks *q, tl_chunk *c)
{
    tl_chunk_pool *pool = q->pool;
    tl_meter_subtract(q->meter, sizeof *c + c->cap);
    if (c->cap < TL_CHUNK_MAX || !pool || pool->n == TL_CHUNK_POOL_MAX) {
        free(c);
        return;
    }
    c->next = pool->free;
    pool->free = c;
    pool->n++;
}

void tl_chunk_pool_clear(tl_chunk_pool *pool)
{
    while (pool->free) {
        tl_chunk *c = pool->free;
        pool->free = c->next;
        free(c);
    }
    pool->n = 0;
}

static void chain_free(const tl_chunks *q, tl_chunk *c)
{
    while (c) {
        tl_chunk *next = c->next;
        chunk_free(q, c);
        c = next;
    }
}

/* A chain with room for `n` bytes, or NULL. The more a queue holds already, the larger the chunks:
 * received data comes one packet at a time. */
static tl_chunk *chain_new(const tl_chunks *q, size_t n)
{
    tl_chunk *first = NULL, **tail = &first;
    while (n) {
        tl_chunk *c = chunk_new(q, n > q->n ? n : q->n);
        if (!c) {
            chain_free(q, first);
            return NULL;
        }
        *tail = c;
        tail = &c->next;
        n -= n < c->cap ? n : c->cap;
    }
    return first;
}

static void fill(tl_chunk *c, tl_slice *bytes)
{
    size_t k = c->cap - c->end < bytes->n ? c->cap - c->end : bytes->n;
    memcpy(c->data + c->end, bytes->p, k);
    c->end += k;
    bytes->p += k;
    bytes->n -= k;
}

tl_err tl_chunks_append(tl_chunks *q, tl_slice bytes)
{
    if (bytes.n == 0)
        return TL_OK;
    size_t room = q->last ? q->last->cap - q->last->end : 0;
    tl_chunk *more = NULL;
    if (room < bytes.n) {
        more = chain_new(q, bytes.n - room);
        if (!more)
            return TL_ERR_NOMEM;
    }
    q->n += bytes.n;
    if (room)
        fill(q->last, &bytes);
    for (tl_chunk *c = more; c; c = c->next) {
        if (q->last)
            q->last->next = c;
        else
            q->first = c;
        q->last = c;
        fill(c, &bytes);
    }
    return TL_OK;
}

tl_slice tl_chunks_front(const tl_chunks *q)
{
    if (q->n == 0)
        return (tl_slice){NULL, 0};
    return tl_slice_of(q->first->data + q->first->begin, q->first->end - q->first->begin);
}

void tl_chunks_drop(tl_chunks *q, size_t n)
{
    assert(n <= q->n);
    q->n -= n;
    q->sent = q->sent > n ? q->sent - n : 0;
    while (q->first) {
        tl_chunk *c = q->first;
        size_t k = c->end - c->begin < n ? c->end - c->begin : n;
        c->begin += k;
        n -= k;
        if (c->begin < c->end)
            break;
        q->first = c->next;
        if (q->cursor == c)
            q->cursor = NULL;
        if (!q->first)
            q->last = NULL;
        chunk_free(q, c);
    }
    if (q->cursor && q->cursor_offset < q->cursor->begin)
        q->cursor_offset = q->cursor->begin;
}

/* The chunk and offset of the next unsent byte; NULL when there is none. */
static const tl_chunk *at_cursor(const tl_chunks *q, size_t *ret_offset)
{
    if (q->sent == q->n)
        return NULL;
    const tl_chunk *c = q->cursor ? q->cursor : q->first;
    size_t offset = q->cursor ? q->cursor_offset : c->begin;
    while (offset == c->end) {
        c = c->next;
        offset = c->begin;
    }
    *ret_offset = offset;
    return c;
}

size_t tl_chunks_unsent(const tl_chunks *q, size_t want, tl_slice *ret_slices, size_t max)
{
    size_t offset, count = 0;
    const tl_chunk *c = at_cursor(q, &offset);
    while (c && count < max && want) {
        size_t k = c->end - offset < want ? c->end - offset : want;
        if (k)
            ret_slices[count++] = tl_slice_of(c->data + offset, k);
        want -= k;
        c = c->next;
        offset = c ? c->begin : 0;
    }
    return count;
}

void tl_chunks_advance(tl_chunks *q, size_t n)
{
    assert(n <= q->n - q->sent);
    if (n == 0)
        return;
    if (!q->cursor) {
        q->cursor = q->first;
        q->cursor_offset = q->first->begin;
    }
    q->sent += n;
    while (n) {
        size_t k = q->cursor->end - q->cursor_offset;
        if (k > n)
            k = n;
        q->cursor_offset += k;
        n -= k;
        if (n) {
            q->cursor = q->cursor->next;
            q->cursor_offset = q->cursor->begin;
        }
    }
}

void tl_chunks_clear(tl_chunks *q)
{
    chain_free(q, q->first);
    *q = (tl_chunks){.pool = q->pool, .meter = q->meter};
}
