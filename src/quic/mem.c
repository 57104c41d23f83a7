#include "quic/mem.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

/* Before each block: its size, padded so that the block stays aligned. */
typedef union {
    size_t n;
    max_align_t align;
} header;

void tl_meter_add(tl_meter *m, size_t n)
{
    for (; m; m = m->whole)
        m->n += n;
}

void tl_meter_subtract(tl_meter *m, size_t n)
{
    for (; m; m = m->whole) {
        assert(m->n >= n);
        m->n -= n;
    }
}

static void *mem_malloc(size_t n, void *user_data)
{
    if (n > SIZE_MAX - sizeof(header))
        return NULL;
    header *h = malloc(sizeof *h + n);
    if (!h)
        return NULL;
    h->n = n;
    tl_meter_add(user_data, sizeof *h + n);
    return h + 1;
}

static void mem_free(void *p, void *user_data)
{
    if (!p)
        return;
    header *h = (header *)p - 1;
    tl_meter_subtract(user_data, sizeof *h + h->n);
    sodium_memzero(p, h->n);
    free(h);
}

static void *mem_calloc(size_t count, size_t n, void *user_data)
{
    if (n && count > SIZE_MAX / n)
        return NULL;
    void *p = mem_malloc(count * n, user_data);
    if (p)
        memset(p, 0, count * n);
    return p;
}

/* Does not use realloc(3), which may leave the old bytes behind. */
static void *mem_realloc(void *p, size_t n, void *user_data)
{
    void *moved = mem_malloc(n, user_data);
    if (moved && p) {
        size_t old = ((header *)p - 1)->n;
        memcpy(moved, p, old < n ? old : n);
        mem_free(p, user_data);
    }
    return moved;
}

ngtcp2_mem tl_quic_mem(tl_meter *m)
{
    return (ngtcp2_mem){m, mem_malloc, mem_free, mem_calloc, mem_realloc};
}
