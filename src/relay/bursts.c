#include "relay/bursts.h"

#include <stdlib.h>

/* How far back a burst for the same place is looked for: datagrams of some pairs come mixed. */
#define LOOK_BACK 8

static bool grow(void **items, size_t *cap, size_t size, size_t n)
{
    if (n < *cap)
        return true;
    size_t more = *cap ? 2 * *cap : 64;
    void *p = realloc(*items, more * size);
    if (!p)
        return false;
    *items = p;
    *cap = more;
    return true;
}

static bool is_same_way(const tl_burst_way *a, const tl_burst_way *b)
{
    return a->socket == b->socket && tl_addr_eq(&a->remote, &b->remote) &&
           tl_addr_eq(&a->local, &b->local);
}

/* The newest burst for that place, if the datagram may follow in it. */
static tl_burst *find_open(tl_bursts *b, const tl_burst_way *way, size_t n)
{
    for (size_t i = b->n; i > 0 && i + LOOK_BACK > b->n; i--) {
        tl_burst *burst = &b->items[i - 1];
        if (!is_same_way(&burst->way, way))
            continue;
        bool fits = !burst->closed && n <= burst->size && burst->count < TL_BURST_SEGMENTS_MAX &&
                    burst->bytes + n <= TL_BURST_BYTES_MAX;
        return fits ? burst : NULL;
    }
    return NULL;
}

tl_err tl_bursts_add(tl_bursts *b, const tl_burst_way *way, tl_slice bytes)
{
    if (b->piece_n >= TL_BURSTS_DATAGRAMS_MAX)
        return TL_ERR_BUSY;
    if (!grow((void **)&b->pieces, &b->piece_cap, sizeof *b->pieces, b->piece_n) ||
        !grow((void **)&b->items, &b->cap, sizeof *b->items, b->n))
        return TL_ERR_NOMEM;
    b->pieces[b->piece_n++] = (tl_burst_piece){.bytes = bytes};
    uint32_t index = (uint32_t)b->piece_n;
    tl_burst *burst = find_open(b, way, bytes.n);
    if (burst) {
        b->pieces[burst->last - 1].next = index;
    } else {
        burst = &b->items[b->n++];
        *burst = (tl_burst){.way = *way, .size = bytes.n, .first = index};
    }
    burst->last = index;
    burst->count++;
    burst->bytes += bytes.n;
    burst->closed = bytes.n < burst->size;
    return TL_OK;
}

size_t tl_bursts_gather(const tl_bursts *b, const tl_burst *burst,
                        struct iovec ret_iov[TL_BURST_SEGMENTS_MAX])
{
    size_t n = 0;
    for (uint32_t i = burst->first; i; i = b->pieces[i - 1].next) {
        tl_slice s = b->pieces[i - 1].bytes;
        ret_iov[n++] = (struct iovec){(void *)(uintptr_t)s.p, s.n};
    }
    return n;
}

void tl_bursts_reset(tl_bursts *b)
{
    b->n = b->piece_n = 0;
}

void tl_bursts_clear(tl_bursts *b)
{
    free(b->items);
    free(b->pieces);
    *b = (tl_bursts){0};
}
