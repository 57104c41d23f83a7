#include "quic/heap.h"

static void place(tl_quic *q, size_t i, tl_quic_conn *c)
{
    q->heap[i] = c;
    c->heap_i = i;
}

static void up(tl_quic *q, size_t i)
{
    tl_quic_conn *c = q->heap[i];
    while (i && q->heap[(i - 1) / 2]->expiry > c->expiry) {
        place(q, i, q->heap[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    place(q, i, c);
}

static void down(tl_quic *q, size_t i)
{
    tl_quic_conn *c = q->heap[i];
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= q->heap_n)
            break;
        if (child + 1 < q->heap_n && q->heap[child + 1]->expiry < q->heap[child]->expiry)
            child++;
        if (q->heap[child]->expiry >= c->expiry)
            break;
        place(q, i, q->heap[child]);
        i = child;
    }
    place(q, i, c);
}

static void take_out(tl_quic_conn *c)
{
    tl_quic *q = c->quic;
    size_t i = c->heap_i;
    c->heap_i = TL_HEAP_NONE;
    tl_quic_conn *last = q->heap[--q->heap_n];
    if (last == c)
        return;
    place(q, i, last);
    up(q, i);
    down(q, last->heap_i);
}

void tl_quic_heap_set(tl_quic_conn *c, tl_time expiry)
{
    tl_quic *q = c->quic;
    bool in = c->heap_i != TL_HEAP_NONE;
    c->expiry = expiry;
    if (expiry == TL_NEVER) {
        if (in)
            take_out(c);
        return;
    }
    if (!in)
        place(q, q->heap_n++, c);
    up(q, c->heap_i);
    down(q, c->heap_i);
}

tl_quic_conn *tl_quic_heap_top(const tl_quic *q)
{
    return q->heap_n ? q->heap[0] : NULL;
}
