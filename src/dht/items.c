#include "dht/items.h"

#include "base/table.h"

#include <stdlib.h>
#include <utlist.h>

/* Who put items: an address, its network, and its block. */
typedef enum { OF_ADDRESS, OF_NETWORK, OF_BLOCK, SHARES } share_kind;

static const struct {
    size_t items, bytes;
} most[SHARES] = {
    [OF_ADDRESS] = {TL_DHT_ITEMS_PER_ADDRESS, TL_DHT_BYTES_PER_ADDRESS},
    [OF_NETWORK] = {TL_DHT_ITEMS_PER_NETWORK, TL_DHT_BYTES_PER_NETWORK},
    [OF_BLOCK] = {TL_DHT_ITEMS_PER_BLOCK, TL_DHT_BYTES_PER_BLOCK},
};

/* What one of them has here. */
struct tl_dht_share {
    struct share_key {
        uint8_t kind;
        tl_origin origin;
    } key;
    size_t n, bytes;
    UT_hash_handle hh;
};
_Static_assert(sizeof(struct share_key) == 1 + sizeof(tl_origin), "a key without holes");

struct tl_dht_stored {
    tl_dht_id target;
    tl_time put, since;           /* last, and first */
    tl_dht_share *shares[SHARES]; /* of the one who put it first; NULL: of this node itself */
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

/* --- shares: each is there as long as an item is charged to it --- */

static struct share_key key_of(share_kind kind, const tl_addr *from)
{
    struct share_key key = {.kind = (uint8_t)kind};
    key.origin = kind == OF_ADDRESS   ? tl_origin_address(from)
                 : kind == OF_NETWORK ? tl_origin_network(from)
                                      : tl_origin_block(from);
    return key;
}

static tl_dht_share *share_of(tl_dht_items *s, share_kind kind, const tl_addr *from)
{
    struct share_key key = key_of(kind, from);
    tl_dht_share *share;
    HASH_FIND(hh, s->shares, &key, sizeof key, share);
    if (share || !(share = calloc(1, sizeof *share)))
        return share;
    share->key = key;
    if (TL_TABLE_ADD(hh, s->shares, key, sizeof key, share))
        return share;
    free(share);
    return NULL;
}

static void drop_if_empty(tl_dht_items *s, tl_dht_share *share)
{
    if (!share || share->n > 0)
        return;
    /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): a share is in the table */
    HASH_DELETE(hh, s->shares, share);
    free(share);
}

static void let_go(tl_dht_items *s, tl_dht_share *const shares[SHARES])
{
    for (unsigned i = 0; i < SHARES; i++)
        drop_if_empty(s, shares[i]);
}

static void charge(const tl_dht_stored *one)
{
    for (unsigned i = 0; i < SHARES && one->shares[i]; i++) {
        one->shares[i]->n++;
        one->shares[i]->bytes += bytes_of(one);
    }
}

static void give_back(const tl_dht_stored *one)
{
    for (unsigned i = 0; i < SHARES && one->shares[i]; i++) {
        one->shares[i]->n--;
        one->shares[i]->bytes -= bytes_of(one);
    }
}

/* Has the one who puts `new` room for it in what one may have? */
static bool has_share(const tl_dht_stored *new)
{
    for (unsigned i = 0; i < SHARES && new->shares[i]; i++)
        if (new->shares[i]->n >= most[i].items ||
            new->shares[i]->bytes + bytes_of(new) > most[i].bytes)
            return false;
    return true;
}

/* How much of the room it has; in items and bytes alike. */
static size_t weight_of(const tl_dht_share *share)
{
    return share ? share->bytes + share->n * (TL_DHT_ITEM_BYTES_MAX / TL_DHT_ITEMS_MAX) : 0;
}

/* --- in the table --- */

static bool link_in(tl_dht_items *s, tl_dht_stored *one)
{
    if (!TL_TABLE_ADD(hh, s->table, target, sizeof one->target, one))
        return false;
    DL_APPEND(s->order, one);
    s->n++;
    s->bytes += bytes_of(one);
    charge(one);
    return true;
}

static void unlink_from(tl_dht_items *s, tl_dht_stored *one)
{
    /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): it is in the table */
    HASH_DELETE(hh, s->table, one);
    DL_DELETE(s->order, one);
    s->n--;
    s->bytes -= bytes_of(one);
    give_back(one);
}

static void discard(tl_dht_items *s, tl_dht_stored *one)
{
    let_go(s, one->shares);
    free(one);
}

static void forget(tl_dht_items *s, tl_dht_stored *one)
{
    unlink_from(s, one);
    discard(s, one);
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

static bool is_ours(const tl_dht_stored *one)
{
    return !one->shares[0];
}

/* Is there more of its block than there will be of the block of `new`? */
static bool has_more(const tl_dht_stored *one, const tl_dht_stored *new)
{
    size_t of_new =
        weight_of(new->shares[OF_BLOCK]) + bytes_of(new) + TL_DHT_ITEM_BYTES_MAX / TL_DHT_ITEMS_MAX;
    return weight_of(one->shares[OF_BLOCK]) > of_new;
}

static bool is_settled(const tl_dht_stored *one, tl_time now)
{
    return now - one->since >= TL_DHT_ITEM_SETTLED;
}

static bool may_go(const tl_dht_stored *one, const tl_dht_stored *new, const tl_dht_id *own,
                   tl_time now)
{
    if (is_ours(one))
        return false;
    return has_more(one, new) ||
           (!is_settled(one, now) && tl_dht_id_cmp(own, &one->target, &new->target) > 0);
}

/* Does `a` go before `b`? */
static bool goes_first(const tl_dht_stored *a, const tl_dht_stored *b, const tl_dht_id *own,
                       tl_time now)
{
    for (unsigned i = SHARES; i-- > 0;)
        if (weight_of(a->shares[i]) != weight_of(b->shares[i]))
            return weight_of(a->shares[i]) > weight_of(b->shares[i]);
    if (is_settled(a, now) != is_settled(b, now))
        return !is_settled(a, now);
    return tl_dht_id_cmp(own, &a->target, &b->target) > 0;
}

static bool make_room(tl_dht_items *s, const tl_dht_stored *new, const tl_dht_id *own, tl_time now,
                      size_t *ret_pushed_out)
{
    while (s->n >= TL_DHT_ITEMS_MAX || s->bytes + bytes_of(new) > TL_DHT_ITEM_BYTES_MAX) {
        tl_dht_stored *one, *first = NULL;
        DL_FOREACH (s->order, one)
            if (may_go(one, new, own, now) && (!first || goes_first(one, first, own, now)))
                first = one;
        if (!first)
            return false;
        unlink_from(s, first);
        for (unsigned i = 0; i < SHARES; i++)
            if (first->shares[i] != new->shares[i])
                drop_if_empty(s, first->shares[i]);
        free(first);
        (*ret_pushed_out)++;
    }
    return true;
}

/* --- put --- */

/* Without its shares. */
static tl_dht_stored *copy_of(const tl_dht_item *item, tl_time now)
{
    tl_dht_stored *one = calloc(1, sizeof *one + item->n_salt + item->n_value);
    if (!one)
        return NULL;
    one->target = tl_dht_item_target(item);
    one->put = one->since = now;
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

/* False: no memory. */
static bool set_shares(tl_dht_items *s, tl_dht_stored *one, const tl_addr *from)
{
    for (unsigned i = 0; from && i < SHARES; i++)
        if (!(one->shares[i] = share_of(s, i, from)))
            return false;
    return true;
}

/* Takes `new`. */
static tl_dht_put_result add(tl_dht_items *s, tl_dht_stored *new, const tl_addr *from,
                             const tl_dht_id *own, tl_time now, size_t *ret_pushed_out)
{
    tl_dht_put_result result = TL_DHT_PUT_NOMEM;
    if (set_shares(s, new, from)) {
        if (!has_share(new) || !make_room(s, new, own, now, ret_pushed_out))
            result = TL_DHT_PUT_FULL;
        else if (link_in(s, new))
            return TL_DHT_PUT_NEW;
    }
    discard(s, new);
    return result;
}

/* Takes `new`. It counts as put by the one who put the older one, so who replaces another one's item
 * uses up nobody's share. Where there is no room for a longer one, the older one stays: what grows puts
 * nobody's item out. */
static tl_dht_put_result replace(tl_dht_items *s, tl_dht_stored *old, tl_dht_stored *new)
{
    memcpy(new->shares, old->shares, sizeof new->shares);
    new->since = old->since;
    unlink_from(s, old);
    bool room = has_share(new) && s->bytes + bytes_of(new) <= TL_DHT_ITEM_BYTES_MAX;
    tl_dht_stored *stays = room ? new : old;
    free(room ? old : new);
    if (!link_in(s, stays)) {
        discard(s, stays);
        return TL_DHT_PUT_NOMEM;
    }
    return room ? TL_DHT_PUT_NEWER : TL_DHT_PUT_FULL;
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
    if (!(new = copy_of(item, now)))
        return TL_DHT_PUT_NOMEM;
    return kept ? replace(s, kept, new) : add(s, new, from, own, now, ret_pushed_out);
}
