/* The bids of a heartbeat, as a stranger writes them. */
#include "market/bid.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static bool same(const tl_bid *a, const tl_bid *b)
{
    return b && a->price == b->price && a->version == b->version && a->has_slots == b->has_slots &&
           a->slots == b->slots && a->slots_free == b->slots_free && a->queued == b->queued;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    json_t *list, *again;
    tl_bids bids = {0}, back = {0};
    if (tl_json_parse(tl_slice_of(data, n), 16, &list, NULL))
        return 0;
    if (tl_bids_read(list, &bids) || bids.n > TL_BIDS_MAX || !(again = tl_bids_json(&bids)))
        abort();
    /* What we took over we can tell again, and understand. */
    if (tl_bids_read(again, &back) || back.n != bids.n)
        abort();
    for (size_t i = 0; i < bids.n; i++)
        if (bids.bid[i].price < 0 || bids.bid[i].price > TL_PRICE_MAX ||
            bids.bid[i].slots_free > bids.bid[i].slots ||
            !same(&bids.bid[i], tl_bids_find(&back, bids.bid[i].model)))
            abort();
    tl_bids_clear(&bids);
    tl_bids_clear(&back);
    json_decref(list);
    json_decref(again);
    return 0;
}
