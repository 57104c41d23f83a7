#include "market/bid.h"

#include <stdlib.h>

__extension__ typedef unsigned __int128 wide;

static int64_t bounded(wide price)
{
    return price > (wide)TL_PRICE_MAX ? TL_PRICE_MAX : (int64_t)price;
}

static wide divided_up(wide a, wide by)
{
    return a / by + (a % by != 0);
}

/* 1000 tokens take 10^6 / speed seconds, in which kwh * watts / (1000 * 3600) is spent a second.
 * 2^53 * 2^64 * 5 and 18 * 2^64 both fit. */
int64_t tl_bid_cost(const tl_bid_facts *f)
{
    if (!f->speed || f->kwh_micro <= 0)
        return 0;
    return bounded(divided_up((wide)(uint64_t)f->kwh_micro * f->watts * 5, (wide)f->speed * 18));
}

int64_t tl_bid_price(const tl_bid_facts *f)
{
    int64_t cost = tl_bid_cost(f);
    int64_t idle = f->floor_micro > cost ? f->floor_micro : cost;
    uint64_t slots = f->slots ? f->slots : 1;
    if (idle <= 0)
        return 0;
    return bounded(divided_up((wide)(uint64_t)idle * (slots + f->running), slots));
}

tl_price_verdict tl_price_agree(int64_t now, tl_maybe seen, tl_maybe maximum)
{
    if (maximum.given && now > maximum.value)
        return TL_PRICE_ABOVE;
    return now > (seen.given ? seen.value : 0) ? TL_PRICE_RISEN : TL_PRICE_AGREED;
}

/* --- the bids of one node --- */

void tl_bids_clear(tl_bids *b)
{
    for (size_t i = 0; i < b->n; i++)
        free(b->bid[i].model);
    free(b->bid);
    *b = (tl_bids){0};
}

tl_bid *tl_bids_find(const tl_bids *b, const char *model)
{
    for (size_t i = 0; i < b->n; i++)
        if (strcmp(b->bid[i].model, model) == 0)
            return &b->bid[i];
    return NULL;
}

tl_bid *tl_bids_get(tl_bids *b, const char *model)
{
    tl_bid *bid = tl_bids_find(b, model);
    if (bid || b->n == TL_BIDS_MAX)
        return bid;
    tl_bid *more = realloc(b->bid, (b->n + 1) * sizeof *more);
    if (!more)
        return NULL;
    b->bid = more;
    more[b->n] = (tl_bid){.model = strdup(model)};
    return more[b->n].model ? &more[b->n++] : NULL;
}

/* A whole number in its range, which must be there. */
static bool read_number(const json_t *object, const char *key, int64_t most, int64_t *ret)
{
    const json_t *v = json_object_get(object, key);
    if (!json_is_integer(v) || json_integer_value(v) < 0 || json_integer_value(v) > most)
        return false;
    *ret = json_integer_value(v);
    return true;
}

static bool read_bid(const json_t *entry, tl_bid *ret)
{
    int64_t slots, slots_free, queued;
    if (!read_number(entry, "microPerKToken", TL_PRICE_MAX, &ret->price) ||
        !read_number(entry, "version", TL_PRICE_MAX, &ret->version))
        return false;
    ret->has_slots = read_number(entry, "slots", UINT32_MAX, &slots) && slots > 0 &&
                     read_number(entry, "slotsFree", slots, &slots_free) &&
                     read_number(entry, "queued", UINT32_MAX, &queued);
    if (ret->has_slots) {
        ret->slots = (uint32_t)slots;
        ret->slots_free = (uint32_t)slots_free;
        ret->queued = (uint32_t)queued;
    }
    return true;
}

tl_err tl_bids_read(const json_t *list, tl_bids *ret_bids)
{
    tl_bids bids = {0};
    size_t i, names = 0;
    const json_t *entry;
    json_array_foreach (list, i, entry) {
        tl_bid read = {0};
        const char *model = tl_json_string(entry, "model", "");
        names += strlen(model);
        if (bids.n == TL_BIDS_MAX || names > TL_BIDS_NAMES)
            break;
        if (!model[0] || tl_bids_find(&bids, model) || !read_bid(entry, &read))
            continue;
        tl_bid *bid = tl_bids_get(&bids, model);
        if (!bid) {
            tl_bids_clear(&bids);
            return TL_ERR_NOMEM;
        }
        read.model = bid->model;
        *bid = read;
    }
    tl_bids_clear(ret_bids);
    *ret_bids = bids;
    return TL_OK;
}

static json_t *bid_json(const tl_bid *b)
{
    json_t *o = json_pack("{s:s, s:I, s:I}", "model", b->model, "microPerKToken",
                          (json_int_t)b->price, "version", (json_int_t)b->version);
    if (!o || !b->has_slots)
        return o;
    if (!json_object_set_new(o, "slots", json_integer(b->slots)) &&
        !json_object_set_new(o, "slotsFree", json_integer(b->slots_free)) &&
        !json_object_set_new(o, "queued", json_integer(b->queued)))
        return o;
    json_decref(o);
    return NULL;
}

json_t *tl_bids_json(const tl_bids *b)
{
    json_t *list = json_array();
    size_t names = 0;
    for (size_t i = 0; list && i < b->n; i++) {
        names += strlen(b->bid[i].model);
        if (names > TL_BIDS_NAMES)
            break;
        if (!json_array_append_new(list, bid_json(&b->bid[i])))
            continue;
        json_decref(list);
        list = NULL;
    }
    return list;
}
