#include "quic/holes.h"

#include <stdlib.h>

#define CAP_FIRST 8

/* The first range that ends at or after `at`. */
static size_t find(const tl_holes *h, uint64_t at)
{
    size_t low = 0, high = h->n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (h->v[mid].end < at)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static bool touches(const tl_holes *h, size_t i, uint64_t end)
{
    return i < h->n && h->v[i].begin <= end;
}

bool tl_holes_may_come(const tl_holes *h, uint64_t begin, uint64_t end)
{
    return h->n < TL_HOLES_MAX || begin <= h->front || touches(h, find(h, begin), end);
}

static tl_err grow(tl_holes *h)
{
    size_t cap = h->cap ? 2 * h->cap : CAP_FIRST;
    tl_hole_range *v = realloc(h->v, cap * sizeof *v);
    if (!v)
        return TL_ERR_NOMEM;
    tl_meter_add(h->meter, (cap - h->cap) * sizeof *v);
    h->v = v;
    h->cap = cap;
    return TL_OK;
}

static void take_out(tl_holes *h, size_t i, size_t count)
{
    if (count == 0)
        return;
    memmove(h->v + i, h->v + i + count, (h->n - i - count) * sizeof *h->v);
    h->n -= count;
}

/* The bytes from `front` on are there up to `end`: ranges that begin by then are no longer behind a
 * hole. */
static void advance(tl_holes *h, uint64_t end)
{
    size_t i = 0;
    h->front = end > h->front ? end : h->front;
    for (; touches(h, i, h->front); i++)
        h->front = h->v[i].end > h->front ? h->v[i].end : h->front;
    take_out(h, 0, i);
    if (h->cap && h->n == 0)
        tl_holes_clear(h);
}

tl_err tl_holes_add(tl_holes *h, uint64_t begin, uint64_t end)
{
    if (begin <= h->front) {
        advance(h, end);
        return TL_OK;
    }
    size_t i = find(h, begin), last = i;
    if (!touches(h, i, end)) {
        tl_err e = h->n == h->cap ? grow(h) : TL_OK;
        if (e)
            return e;
        memmove(h->v + i + 1, h->v + i, (h->n - i) * sizeof *h->v);
        h->v[i] = (tl_hole_range){begin, end};
        h->n++;
        return TL_OK;
    }
    while (touches(h, last + 1, end))
        last++;
    h->v[i].begin = begin < h->v[i].begin ? begin : h->v[i].begin;
    h->v[i].end = end > h->v[last].end ? end : h->v[last].end;
    take_out(h, i + 1, last - i);
    return TL_OK;
}

void tl_holes_clear(tl_holes *h)
{
    tl_meter_subtract(h->meter, h->cap * sizeof *h->v);
    free(h->v);
    h->v = NULL;
    h->n = h->cap = 0;
}
