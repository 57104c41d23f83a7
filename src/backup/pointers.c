#include "backup/pointers.h"

#include "base/table.h"

#include <stdlib.h>

typedef struct {
    tl_node_id owner;
    tl_dht_item item;
    tl_dht_id target; /* of the item */
    UT_hash_handle hh;
} kept;

struct tl_pointers {
    const tl_pointers_world *world;
    void *user;
    kept *kept; /* in the order in which they came */
};

tl_err tl_pointers_new(const tl_pointers_world *world, void *user, tl_pointers **ret_pointers)
{
    tl_pointers *p = calloc(1, sizeof *p);
    if (!p)
        return TL_ERR_NOMEM;
    p->world = world;
    p->user = user;
    *ret_pointers = p;
    return TL_OK;
}

void tl_pointers_free(tl_pointers *p)
{
    kept *x, *next;
    if (!p)
        return;
    HASH_ITER (hh, p->kept, x, next) {
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what was freed left the table */
        HASH_DELETE(hh, p->kept, x);
        free(x);
    }
    free(p);
}

static kept *find(const tl_pointers *p, const tl_node_id *owner)
{
    kept *x;
    HASH_FIND(hh, p->kept, owner, sizeof *owner, x);
    return x;
}

static bool is_of(const kept *x, const tl_dht_id *target)
{
    return memcmp(&x->target, target, sizeof *target) == 0;
}

/* One recovery identity may be that of several owners: somebody may hand in what another one's is. NULL: there
 * is none of this target. */
static const kept *newest(const tl_pointers *p, const tl_dht_id *target)
{
    const kept *best = NULL;
    for (const kept *x = p->kept; x; x = x->hh.next)
        if (is_of(x, target) && (!best || x->item.seq > best->item.seq))
            best = x;
    return best;
}

static void drop(tl_pointers *p, kept *x)
{
    tl_dht_id target = x->target;
    HASH_DELETE(hh, p->kept, x);
    free(x);
    if (!newest(p, &target))
        p->world->release(p->user, &target);
}

/* --- room --- */

/* The stranger's that came last: who floods is the last to come. NULL: there is none. */
static kept *last_stranger(const tl_pointers *p, size_t *ret_strangers)
{
    kept *last = NULL;
    *ret_strangers = 0;
    for (kept *x = p->kept; x; x = x->hh.next)
        if (!p->world->is_member(p->user, &x->owner)) {
            last = x;
            ++*ret_strangers;
        }
    return last;
}

static bool make_room(tl_pointers *p, const tl_node_id *owner, bool loads)
{
    size_t strangers;
    bool member = p->world->is_member(p->user, owner);
    kept *last = last_stranger(p, &strangers);
    if (!member && !loads && strangers >= TL_POINTERS_STRANGERS)
        return false;
    if (HASH_COUNT(p->kept) < TL_POINTERS_MAX)
        return true;
    if (!member || !last)
        return false;
    tl_node_id who = last->owner;
    drop(p, last);
    p->world->evicted(p->user, &who);
    return true;
}

/* --- what is kept --- */

static tl_err add(tl_pointers *p, const tl_node_id *owner, const tl_dht_item *item, bool loads)
{
    if (!make_room(p, owner, loads))
        return TL_ERR_BUSY;
    kept *x = calloc(1, sizeof *x);
    if (!x)
        return TL_ERR_NOMEM;
    x->owner = *owner;
    x->item = *item;
    x->target = tl_dht_item_target(item);
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what was freed left the table */
    if (TL_TABLE_ADD(hh, p->kept, owner, sizeof x->owner, x)) {
        p->world->hold(p->user, item);
        return TL_OK;
    }
    free(x);
    return TL_ERR_NOMEM;
}

static tl_err keep(tl_pointers *p, const tl_node_id *owner, const tl_dht_item *item, bool loads)
{
    kept *x = find(p, owner);
    tl_dht_id target = tl_dht_item_target(item);
    if (!x)
        return add(p, owner, item, loads);
    if (is_of(x, &target) && item->seq < x->item.seq)
        return TL_ERR_REPLAY;
    if (!is_of(x, &target)) { /* new words: its place stays its own */
        tl_dht_id before = x->target;
        x->target = target;
        if (!newest(p, &before))
            p->world->release(p->user, &before);
    }
    x->item = *item;
    p->world->hold(p->user, item);
    return TL_OK;
}

tl_err tl_pointers_keep(tl_pointers *p, const tl_node_id *owner, const tl_dht_item *item)
{
    return keep(p, owner, item, false);
}

tl_err tl_pointers_load(tl_pointers *p, const tl_node_id *owner, const tl_dht_item *item)
{
    return keep(p, owner, item, true);
}

void tl_pointers_drop(tl_pointers *p, const tl_node_id *owner)
{
    kept *x = find(p, owner);
    if (x)
        drop(p, x);
}

void tl_pointers_hold_all(tl_pointers *p)
{
    for (const kept *x = p->kept; x; x = x->hh.next)
        if (!p->world->is_held(p->user, &x->target))
            p->world->hold(p->user, &newest(p, &x->target)->item);
}

size_t tl_pointers_count(const tl_pointers *p)
{
    return HASH_COUNT(p->kept);
}

const tl_dht_item *tl_pointers_find(const tl_pointers *p, const tl_node_id *owner)
{
    const kept *x = find(p, owner);
    return x ? &x->item : NULL;
}
