#include "io/sendqueue.h"

#include <stdlib.h>

struct tl_sendblock {
    tl_sendblock *next;
    size_t begin, end, cap; /* content is data[begin .. end) */
    uint8_t data[];
};

tl_err tl_sendqueue_reserve(tl_sendqueue *q, size_t n, uint8_t **ret_room)
{
    tl_sendblock *b = q->last;
    if (!b || b->cap - b->end < n) {
        size_t cap = n > TL_SENDQUEUE_BLOCK ? n : TL_SENDQUEUE_BLOCK;
        b = malloc(sizeof *b + cap);
        if (!b)
            return TL_ERR_NOMEM;
        *b = (tl_sendblock){.cap = cap};
        if (q->last)
            q->last->next = b;
        else
            q->first = b;
        q->last = b;
    }
    *ret_room = b->data + b->end;
    return TL_OK;
}

void tl_sendqueue_commit(tl_sendqueue *q, size_t n)
{
    q->last->end += n;
    q->bytes += n;
}

int tl_sendqueue_peek(const tl_sendqueue *q, struct iovec ret_iov[TL_SENDQUEUE_IOV])
{
    int n = 0;
    for (tl_sendblock *b = q->first; b && n < TL_SENDQUEUE_IOV; b = b->next)
        if (b->end > b->begin)
            ret_iov[n++] = (struct iovec){b->data + b->begin, b->end - b->begin};
    return n;
}

void tl_sendqueue_consume(tl_sendqueue *q, size_t n)
{
    q->bytes -= n;
    while (q->first) {
        tl_sendblock *b = q->first;
        size_t here = b->end - b->begin;
        if (n < here) {
            b->begin += n;
            return;
        }
        n -= here;
        q->first = b->next;
        if (!q->first)
            q->last = NULL;
        free(b);
    }
}

void tl_sendqueue_clear(tl_sendqueue *q)
{
    while (q->first) {
        tl_sendblock *next = q->first->next;
        free(q->first);
        q->first = next;
    }
    *q = (tl_sendqueue){0};
}
