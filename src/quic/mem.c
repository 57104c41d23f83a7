#include "quic/mem.h"

#include <sodium.h>
#include <string.h>

/* Before each block: its size, padded so that the block stays aligned. */
typedef union {
    size_t n;
    max_align_t align;
} header;

static void *mem_malloc(size_t n, void *user_data)
{
    (void)user_data;
    if (n > SIZE_MAX - sizeof(header))
        return NULL;
    header *h = malloc(sizeof *h + n);
    if (!h)
        return NULL;
    h->n = n;
    return h + 1;
}

static void mem_free(void *p, void *user_data)
{
    (void)user_data;
    if (!p)
        return;
    header *h = (header *)p - 1;
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

const ngtcp2_mem *tl_quic_mem(void)
{
    static const ngtcp2_mem mem = {NULL, mem_malloc, mem_free, mem_calloc, mem_realloc};
    return &mem;
}
