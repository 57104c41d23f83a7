#include "relay/output.h"

#include <stdlib.h>

#define KEEP_MAX 1024 /* records kept allocated between calls: for reads of many small messages */

tl_relay_chunk *tl_relay_chunk_new(tl_slice a, tl_slice b)
{
    tl_relay_chunk *chunk = malloc(sizeof *chunk + a.n + b.n);
    if (!chunk)
        return NULL;
    chunk->refs = 1;
    chunk->n = a.n + b.n;
    chunk->next = NULL;
    if (a.n)
        memcpy(chunk->bytes, a.p, a.n);
    if (b.n)
        memcpy(chunk->bytes + a.n, b.p, b.n);
    return chunk;
}

void tl_relay_chunk_unref(tl_relay_chunk *chunk)
{
    if (chunk && --chunk->refs == 0)
        free(chunk);
}

tl_err tl_relay_outputs_push(tl_relay_outputs *q, const tl_relay_output *o)
{
    if (q->n == q->cap) {
        size_t cap = q->cap ? q->cap * 2 : 64;
        tl_relay_output *items = realloc(q->items, cap * sizeof *items);
        if (!items) {
            tl_relay_chunk_unref(o->shared);
            return TL_ERR_NOMEM;
        }
        q->items = items;
        q->cap = cap;
    }
    q->items[q->n++] = *o;
    return TL_OK;
}

bool tl_relay_outputs_pop(tl_relay_outputs *q, tl_relay_output *ret_output)
{
    if (q->head < q->n) {
        *ret_output = q->items[q->head++];
        return true;
    }
    q->head = q->n = 0;
    if (q->cap > KEEP_MAX) {
        free(q->items);
        q->items = NULL;
        q->cap = 0;
    }
    return false;
}

void tl_relay_outputs_forget(tl_relay_outputs *q, const tl_relay_conn *conn)
{
    size_t kept = q->head;
    for (size_t i = q->head; i < q->n; i++) {
        if (q->items[i].conn == conn)
            tl_relay_chunk_unref(q->items[i].shared);
        else
            q->items[kept++] = q->items[i];
    }
    q->n = kept;
}

void tl_relay_outputs_clear(tl_relay_outputs *q)
{
    for (size_t i = q->head; i < q->n; i++)
        tl_relay_chunk_unref(q->items[i].shared);
    free(q->items);
    *q = (tl_relay_outputs){0};
}
