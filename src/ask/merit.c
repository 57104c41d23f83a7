#include "ask/merit.h"

#include <stdlib.h>

static const struct {
    tl_time first, most;
} penalties[TL_BLAME_COUNT] = {
    [TL_BLAME_LOST] = {5 * TL_SEC, 5 * TL_MIN},
    [TL_BLAME_SILENT] = {10 * TL_SEC, 5 * TL_MIN},
    [TL_BLAME_FAULT] = {5 * TL_SEC, 5 * TL_MIN},
    [TL_BLAME_REFUSED] = {2 * TL_SEC, 30 * TL_SEC},
};

static tl_merit *find(const tl_merits *m, const tl_node_id *id)
{
    tl_merit *n;
    HASH_FIND(hh, m->nodes, id, sizeof *id, n);
    return n;
}

static void forget(tl_merits *m, tl_merit *n)
{
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what was freed left the table */
    HASH_DELETE(hh, m->nodes, n);
    free(n);
}

/* The one that goes when there is no room: a good name goes after a bad one. */
static tl_merit *least(const tl_merits *m)
{
    for (tl_merit *n = m->nodes; n; n = n->hh.next)
        if (!n->served)
            return n;
    return m->nodes;
}

/* The node's entry, behind all others. NULL: out of memory. */
static tl_merit *touch(tl_merits *m, const tl_node_id *id)
{
    tl_merit *n = find(m, id);
    if (n) {
        HASH_DELETE(hh, m->nodes, n);
    } else {
        if (HASH_COUNT(m->nodes) >= TL_MERITS_MAX)
            forget(m, least(m));
        if (!(n = calloc(1, sizeof *n)))
            return NULL;
        n->id = *id;
    }
    if (TL_TABLE_ADD(hh, m->nodes, id, sizeof n->id, n))
        return n;
    free(n);
    return NULL;
}

void tl_merits_clear(tl_merits *m)
{
    tl_merit *n, *next;
    HASH_ITER (hh, m->nodes, n, next)
        forget(m, n);
}

static tl_time penalty(tl_blame blame, unsigned failed)
{
    tl_time t = penalties[blame].first;
    while (--failed && t < penalties[blame].most)
        t *= 2;
    return tl_time_min(t, penalties[blame].most);
}

void tl_merits_blame(tl_merits *m, const tl_node_id *id, tl_blame blame, tl_time now)
{
    tl_merit *n = touch(m, id);
    if (!n)
        return;
    if (++n->failures >= TL_MERIT_FORGIVEN_MAX)
        n->served = false;
    tl_time until = now + penalty(blame, ++n->failed[blame]);
    n->behind_until = tl_time_max(n->behind_until, until);
}

void tl_merits_praise(tl_merits *m, const tl_node_id *id)
{
    tl_merit *n = touch(m, id);
    if (!n)
        return;
    n->served = true;
    n->failures = 0;
    memset(n->failed, 0, sizeof n->failed);
    n->behind_until = 0;
}

tl_time tl_merits_behind_until(const tl_merits *m, const tl_node_id *id)
{
    const tl_merit *n = find(m, id);
    return n ? n->behind_until : 0;
}

bool tl_merits_served(const tl_merits *m, const tl_node_id *id)
{
    const tl_merit *n = find(m, id);
    return n && n->served;
}
