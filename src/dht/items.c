#include "dht/items.h"

#include "base/table.h"

#include <stdlib.h>
#include <utlist.h>

struct tl_dht_stored {
    tl_dht_id target;
    tl_time put;
    bool is_ours;
    tl_dht_prefix address, network; /* of the one who put it first */
    bool is_mutable;
    uint8_t key[32], sig[64];
    int64_t seq;
    uint8_t n_salt;
    uint16_t n_value;
    tl_dht_stored *prev, *next;
    UT_hash_handle hh;
    uint8_t bytes[]; /* salt, then value */
};

static size_t bytes_of(const tl_dht_stored *one)
{
    return (size_t)one->n_salt + one->n_value;
}

static bool link_in(tl_dht_items *s, tl_dht_stored *one)
{
    if (!TL_TABLE_ADD(hh, s->table, target, sizeof one->target, one))
        return false;
    DL_APPEND(s->order, one);
    s->n++;
    s->bytes += bytes_of(one);
    return true;
}

static void unlink_from(tl_dht_items *s, tl_dht_stored *one)
{
    /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): it is in the table */
    HASH_DELETE(hh, s->table, one);
    DL_DELETE(s->order, one);
    s->n--;
    s->bytes -= bytes_of(one);
}

static void forget(tl_dht_items *s, tl_dht_stored *one)
{
    unlink_from(s, one);
    free(one);
}

void tl_dht_items_clear(tl_dht_items *s)
{
    while (s->order)
        forget(s, s->order);
}

size_t tl_dht_items_prune(tl_dht_items *s, tl_time now)
{
    size_t before = s->n;
    while (s->order && now - s->order->put >= TL_DHT_ITEM_KEPT)
        forget(s, s->order);
    return before - s->n;
}

tl_time tl_dht_items_expiry(const tl_dht_items *s)
{
    return s->order ? s->order->put + TL_DHT_ITEM_KEPT : TL_NEVER;
}

static tl_dht_stored *find(const tl_dht_items *s, const tl_dht_id *target, tl_time now)
{
    tl_dht_stored *one;
    HASH_FIND(hh, s->table, target, sizeof *target, one);
    return one && now - one->put < TL_DHT_ITEM_KEPT ? one : NULL;
}

bool tl_dht_items_find(const tl_dht_items *s, const tl_dht_id *target, tl_time now,
                       tl_dht_item *ret_item)
{
    const tl_dht_stored *one = find(s, target, now);
    if (!one)
        return false;
    *ret_item = (tl_dht_item){.is_mutable = one->is_mutable,
                              .seq = one->seq,
                              .n_salt = one->n_salt,
                              .n_value = one->n_value};
    memcpy(ret_item->key, one->key, sizeof one->key);
    memcpy(ret_item->sig, one->sig, sizeof one->sig);
    memcpy(ret_item->salt, one->bytes, one->n_salt);
    memcpy(ret_item->value, one->bytes + one->n_salt, one->n_value);
    return true;
}

/* --- what may take the place of what --- */

static tl_dht_put_result judge(const tl_dht_stored *kept, const tl_dht_item *item, tl_maybe cas)
{
    if (!kept)
        return TL_DHT_PUT_NEW;
    if (!item->is_mutable)
        return TL_DHT_PUT_AGAIN;
    if (cas.given && cas.value != kept->seq)
        return TL_DHT_PUT_CAS;
    if (item->seq > kept->seq)
        return TL_DHT_PUT_NEWER;
    tl_slice value = tl_slice_of(kept->bytes + kept->n_salt, kept->n_value);
    if (item->seq == kept->seq && tl_slice_eq(value, tl_dht_item_value(item)))
        return TL_DHT_PUT_AGAIN;
    return TL_DHT_PUT_SEQ;
}

tl_dht_put_result tl_dht_items_look(const tl_dht_items *s, const tl_dht_item *item, tl_maybe cas,
                                    tl_time now)
{
    tl_dht_id target = tl_dht_item_target(item);
    return judge(find(s, &target, now), item, cas);
}

/* --- room --- */

/* Has the one who puts as many items as one may have? */
static bool has_share(const tl_dht_items *s, const tl_dht_stored *new)
{
    size_t of_address = 0, of_network = 0;
    const tl_dht_stored *one;
    DL_FOREACH (s->order, one) {
        of_address += !one->is_ours && tl_dht_prefix_eq(&one->address, &new->address);
        of_network += !one->is_ours && tl_dht_prefix_eq(&one->network, &new->network);
    }
    return of_address < TL_DHT_ITEMS_PER_ADDRESS && of_network < TL_DHT_ITEMS_PER_NETWORK;
}

/* The item farthest from our ID, if it is farther than `new`. */
static tl_dht_stored *find_farther(tl_dht_items *s, const tl_dht_stored *new, const tl_dht_id *own)
{
    tl_dht_stored *one, *farthest = NULL;
    const tl_dht_id *limit = &new->target;
    DL_FOREACH (s->order, one)
        if (!one->is_ours && tl_dht_id_cmp(own, &one->target, limit) > 0) {
            farthest = one;
            limit = &one->target;
        }
    return farthest;
}

static bool make_room(tl_dht_items *s, const tl_dht_stored *new, const tl_dht_id *own,
                      size_t *ret_pushed_out)
{
    *ret_pushed_out = 0;
    while (s->n >= TL_DHT_ITEMS_MAX || s->bytes + bytes_of(new) > TL_DHT_ITEM_BYTES_MAX) {
        tl_dht_stored *farther = find_farther(s, new, own);
        if (!farther)
            return false;
        forget(s, farther);
        (*ret_pushed_out)++;
    }
    return true;
}

/* --- put --- */

static tl_dht_stored *copy_of(const tl_dht_item *item, const tl_addr *from, tl_time now)
{
    tl_dht_stored *one = calloc(1, sizeof *one + item->n_salt + item->n_value);
    if (!one)
        return NULL;
    one->target = tl_dht_item_target(item);
    one->put = now;
    one->is_ours = !from;
    if (from) {
        one->address = tl_dht_prefix_address(from);
        one->network = tl_dht_prefix_network(from);
    }
    one->is_mutable = item->is_mutable;
    memcpy(one->key, item->key, sizeof one->key);
    memcpy(one->sig, item->sig, sizeof one->sig);
    one->seq = item->seq;
    one->n_salt = item->n_salt;
    one->n_value = item->n_value;
    memcpy(one->bytes, item->salt, item->n_salt);
    memcpy(one->bytes + item->n_salt, item->value, item->n_value);
    return one;
}

/* Takes `one`. */
static tl_dht_put_result add(tl_dht_items *s, tl_dht_stored *one, tl_dht_put_result as)
{
    if (link_in(s, one))
        return as;
    free(one);
    return TL_DHT_PUT_NOMEM;
}

/* Takes `new`. It counts as put by the one who put the older one, so who replaces another one's item
 * uses up nobody's share. Where there is no room for a longer one, the older one stays. */
static tl_dht_put_result replace(tl_dht_items *s, tl_dht_stored *old, tl_dht_stored *new,
                                 const tl_dht_id *own, size_t *ret_pushed_out)
{
    new->is_ours = old->is_ours;
    new->address = old->address;
    new->network = old->network;
    unlink_from(s, old);
    bool room = make_room(s, new, own, ret_pushed_out);
    free(room ? old : new);
    tl_dht_put_result result = add(s, room ? new : old, TL_DHT_PUT_NEWER);
    return room ? result : TL_DHT_PUT_FULL;
}

tl_dht_put_result tl_dht_items_put(tl_dht_items *s, const tl_dht_item *item, tl_maybe cas,
                                   const tl_addr *from, const tl_dht_id *own, tl_time now,
                                   size_t *ret_pushed_out)
{
    *ret_pushed_out = 0;
    (void)tl_dht_items_prune(s, now);
    tl_dht_id target = tl_dht_item_target(item);
    tl_dht_stored *kept = find(s, &target, now), *new;
    tl_dht_put_result result = judge(kept, item, cas);
    if (result == TL_DHT_PUT_AGAIN) {
        kept->put = now;
        DL_DELETE(s->order, kept);
        DL_APPEND(s->order, kept);
    }
    if (result != TL_DHT_PUT_NEW && result != TL_DHT_PUT_NEWER)
        return result;
    if (!(new = copy_of(item, from, now)))
        return TL_DHT_PUT_NOMEM;
    if (kept)
        return replace(s, kept, new, own, ret_pushed_out);
    if ((!from || has_share(s, new)) && make_room(s, new, own, ret_pushed_out))
        return add(s, new, TL_DHT_PUT_NEW);
    free(new);
    return TL_DHT_PUT_FULL;
}
