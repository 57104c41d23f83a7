#include "direct/introbudget.h"

#include <string.h>

void tl_introbudget_init(tl_introbudget *b, tl_time now)
{
    memset(b, 0, sizeof *b);
    b->known = tl_ratelimit_make(40, 80, now);
    b->requests = tl_ratelimit_make(100, 200, now);
    b->intros = tl_ratelimit_make(60, 120, now);
}

static bool take(tl_origin_budgets *b, const tl_origin *o, unsigned per_sec, unsigned burst,
                 tl_time now)
{
    return tl_origin_take(b, tl_slice_of(o->bytes, sizeof o->bytes), per_sec, burst, now);
}

bool tl_introbudget_take(tl_introbudget *b, const tl_node_id *known, bool request,
                         const tl_addr *from, tl_time now)
{
    tl_origin address = tl_origin_address(from), network = tl_origin_network(from);
    if (known && tl_origin_take(&b->nodes, tl_slice_of(known->key, sizeof known->key), 1, 4, now) &&
        tl_ratelimit_take(&b->known, 1, now))
        return true;
    if (request)
        return take(&b->introducers, &address, 50, 100, now) &&
               tl_ratelimit_take(&b->requests, 1, now);
    return take(&b->addresses, &address, 4, 8, now) && take(&b->networks, &network, 16, 32, now) &&
           tl_ratelimit_take(&b->intros, 1, now);
}
