/* The pointers of those whose fragments this node holds: they stay in the DHT while this node is in it,
 * so that a laptop that is lost is found again without its owner. */
#include "node/fragments_state.h"
#include "node/reach.h"

#include "backup/pointer.h"
#include "dht/dht.h"
#include "store/fragments.h"

#define LOOK_EVERY TL_MIN

bool tl_node_is_pointer(const tl_node_id *recovery, tl_slice packed, tl_dht_item *ret_item)
{
    tl_dht_item item;
    if (tl_pointer_unpack(packed, &item) || memcmp(item.key, recovery->key, sizeof item.key) != 0)
        return false;
    *ret_item = item;
    return true;
}

/* --- the DHT, as the pointers see it --- */

static bool is_member(void *user, const tl_node_id *owner)
{
    const tl_node_fragments *f = user;
    return tl_node_is_fellow(f->node, owner);
}

static bool is_held(void *user, const tl_dht_id *target)
{
    const tl_node_fragments *f = user;
    const tl_dht *dht = tl_node_dht_core(f->node);
    tl_dht_kept kept;
    return dht && tl_dht_kept_of(dht, target, &kept);
}

static void hold(void *user, const tl_dht_item *item)
{
    const tl_node_fragments *f = user;
    tl_dht *dht = tl_node_dht_core(f->node);
    if (dht) /* a newer one is there, or there is no room: then it is looked at again */
        (void)!tl_dht_hold(dht, item, tl_loop_now(f->node->loop));
}

static void release(void *user, const tl_dht_id *target)
{
    const tl_node_fragments *f = user;
    tl_dht *dht = tl_node_dht_core(f->node);
    if (dht)
        tl_dht_release(dht, target);
}

static void evicted(void *user, const tl_node_id *owner)
{
    const tl_node_fragments *f = user;
    (void)!tl_store_put_fragment_pointer(f->node->store, owner, tl_slice_of(NULL, 0));
}

const tl_pointers_world tl_node_pointers_world = {is_member, is_held, hold, release, evicted};

/* --- what the holder and the start hand over --- */

static void look_later(tl_node_fragments *f)
{
    f->pointers_at = tl_time_min(f->pointers_at, tl_loop_now(f->node->loop) + LOOK_EVERY);
}

tl_err tl_node_keep_pointer(tl_node_fragments *f, const tl_node_id *owner, tl_slice packed,
                            const tl_dht_item *item)
{
    tl_err e = tl_pointers_keep(f->pointers, owner, item);
    if (e)
        return e;
    look_later(f);
    return tl_store_put_fragment_pointer(f->node->store, owner, packed);
}

void tl_node_load_pointer(tl_node_fragments *f, const tl_node_id *owner, tl_slice packed)
{
    tl_dht_item item;
    tl_node_id recovery;
    if (packed.n <= sizeof recovery.key)
        return;
    memcpy(recovery.key, packed.p,
           sizeof recovery.key); /* its first bytes are the key that signed it */
    if (!tl_node_is_pointer(&recovery, packed, &item))
        return;
    if (!tl_pointers_load(f->pointers, owner, &item))
        look_later(f);
}

void tl_node_follow_pointers(tl_node_fragments *f, tl_time now)
{
    if (now < f->pointers_at)
        return;
    f->pointers_at = tl_pointers_count(f->pointers) ? now + LOOK_EVERY : TL_NEVER;
    if (tl_node_dht_core(f->node))
        tl_pointers_hold_all(f->pointers);
}
