/* The pointers of those whose fragments this node holds: they stay in the DHT while this node is in it,
 * so that a laptop that is lost is found again without its owner. */
#include "node/fragments_state.h"

#include "backup/pointer.h"
#include "dht/dht.h"

#include <stdlib.h>

#define LOOK_EVERY TL_MIN

bool tl_node_is_pointer(const tl_node_id *recovery, tl_slice packed, tl_dht_item *ret_item)
{
    tl_dht_item item;
    if (tl_pointer_unpack(packed, &item) || memcmp(item.key, recovery->key, sizeof item.key) != 0)
        return false;
    *ret_item = item;
    return true;
}

static tl_node_pointer *find(const tl_node_fragments *f, const tl_node_id *owner)
{
    tl_node_pointer *p;
    HASH_FIND(hh, f->pointers, owner, sizeof *owner, p);
    return p;
}

static bool has_room(const tl_node_fragments *f, bool stranger)
{
    size_t strangers = 0;
    for (const tl_node_pointer *p = f->pointers; p; p = p->hh.next)
        strangers += p->stranger;
    return HASH_COUNT(f->pointers) < TL_POINTERS_MAX &&
           (!stranger || strangers < TL_POINTERS_MAX / 3);
}

static void release(const tl_node_fragments *f, const tl_node_pointer *p)
{
    tl_dht *dht = tl_node_dht_core(f->node);
    tl_dht_id target = tl_dht_item_target(&p->item);
    if (dht)
        tl_dht_release(dht, &target);
}

static void hold(const tl_node_fragments *f, const tl_node_pointer *p)
{
    tl_dht *dht = tl_node_dht_core(f->node);
    if (dht) /* a newer one is there, or there is no room: then it is looked at again */
        (void)!tl_dht_hold(dht, &p->item, tl_loop_now(f->node->loop));
}

static void drop(tl_node_fragments *f, tl_node_pointer *p)
{
    release(f, p);
    HASH_DELETE(hh, f->pointers, p);
    free(p);
}

bool tl_node_keep_pointer(tl_node_fragments *f, const tl_node_id *owner, const tl_dht_item *item,
                          bool stranger)
{
    tl_node_pointer *p = find(f, owner);
    bool same_key = p && !memcmp(p->item.key, item->key, sizeof item->key);
    if (same_key && item->seq < p->item.seq)
        return false;
    if (p && !same_key) {
        drop(f, p); /* new words */
        p = NULL;
    }
    if (!p) {
        if (!has_room(f, stranger) || !(p = calloc(1, sizeof *p)))
            return false;
        p->owner = *owner;
        p->stranger = stranger;
        if (!TL_TABLE_ADD(hh, f->pointers, owner, sizeof p->owner, p)) {
            free(p);
            return false;
        }
    }
    p->item = *item;
    f->pointers_at = tl_time_min(f->pointers_at, tl_loop_now(f->node->loop) + LOOK_EVERY);
    hold(f, p);
    return true;
}

void tl_node_drop_pointer(tl_node_fragments *f, const tl_node_id *owner)
{
    tl_node_pointer *p = find(f, owner);
    if (p)
        drop(f, p);
}

void tl_node_clear_pointers(tl_node_fragments *f)
{
    tl_node_pointer *p, *next;
    HASH_ITER (hh, f->pointers, p, next) {
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what was freed left the table */
        HASH_DELETE(hh, f->pointers, p);
        free(p);
    }
}

void tl_node_follow_pointers(tl_node_fragments *f, tl_time now)
{
    const tl_dht *dht = tl_node_dht_core(f->node);
    if (now < f->pointers_at)
        return;
    f->pointers_at = f->pointers ? now + LOOK_EVERY : TL_NEVER;
    for (const tl_node_pointer *p = f->pointers; dht && p; p = p->hh.next) {
        tl_dht_kept kept;
        tl_dht_id target = tl_dht_item_target(&p->item);
        if (!tl_dht_kept_of(dht, &target, &kept))
            hold(f, p);
    }
}
