#include "relay/timers.h"

#include <assert.h>
#include <stdlib.h>

tl_err tl_relay_timers_reserve(tl_relay_timers *h, size_t n)
{
    if (n < h->cap)
        return TL_OK;
    size_t cap = h->cap ? h->cap * 2 : 64;
    while (cap <= n)
        cap *= 2;
    tl_relay_heap_item *heap = realloc(h->heap, cap * sizeof *heap);
    if (!heap)
        return TL_ERR_NOMEM;
    h->heap = heap;
    h->cap = cap;
    return TL_OK;
}

void tl_relay_timers_clear(tl_relay_timers *h)
{
    free(h->heap);
    *h = (tl_relay_timers){0};
}

/* Indices begin at 1: heap[0] stays unused, and i/2 is the parent of i. */
static void put(tl_relay_timers *h, size_t i, tl_relay_heap_item item)
{
    h->heap[i] = item;
    item.timer->place = i;
}

static void settle(tl_relay_timers *h, size_t i, tl_relay_timer *t)
{
    while (i > 1 && h->heap[i / 2].at > t->at) {
        put(h, i, h->heap[i / 2]);
        i /= 2;
    }
    for (;;) {
        size_t child = 2 * i;
        if (child > h->n)
            break;
        if (child < h->n && h->heap[child + 1].at < h->heap[child].at)
            child++;
        if (h->heap[child].at >= t->at)
            break;
        put(h, i, h->heap[child]);
        i = child;
    }
    put(h, i, (tl_relay_heap_item){.at = t->at, .timer = t});
}

static void take_out(tl_relay_timers *h, tl_relay_timer *t)
{
    size_t i = t->place;
    tl_relay_timer *last = h->heap[h->n--].timer;
    t->place = 0;
    if (last != t)
        settle(h, i, last);
}

void tl_relay_timer_set(tl_relay_timers *h, tl_relay_timer *t, tl_time at)
{
    t->at = at;
    if (at == TL_NEVER) {
        if (t->place)
            take_out(h, t);
        return;
    }
    if (!t->place) {
        assert(h->n + 1 < h->cap); /* tl_relay_timers_reserve made the room */
        h->n++;
        settle(h, h->n, t);
        return;
    }
    settle(h, t->place, t);
}

tl_time tl_relay_timers_expiry(const tl_relay_timers *h)
{
    return h->n ? h->heap[1].at : TL_NEVER;
}

tl_relay_timer *tl_relay_timers_due(tl_relay_timers *h, tl_time now)
{
    if (!h->n || h->heap[1].at > now)
        return NULL;
    tl_relay_timer *t = h->heap[1].timer;
    take_out(h, t);
    return t;
}
