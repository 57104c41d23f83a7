#include "base/origin.h"

#include "base/table.h"

#include <string.h>

static tl_origin prefix(const tl_addr *addr, unsigned bits4, unsigned bits6)
{
    tl_addr a = tl_addr_normal(*addr);
    bool v4 = a.family == TL_ADDR_V4;
    unsigned bits = v4 ? bits4 : bits6;
    tl_origin o = {.bytes = {(uint8_t)(v4 ? bits : 128 + bits)}};
    memcpy(o.bytes + 1, a.bytes, bits / 8);
    return o;
}

tl_origin tl_origin_address(const tl_addr *a)
{
    return prefix(a, 32, 64);
}

tl_origin tl_origin_network(const tl_addr *a)
{
    return prefix(a, 24, 48);
}

bool tl_origin_take(tl_origin_budgets *b, tl_slice key, unsigned per_sec, unsigned burst,
                    tl_time now)
{
    tl_time *full_at = &b->full_at[tl_table_hash(key.p, key.n) % TL_ORIGIN_BUDGETS];
    tl_time each = TL_SEC / per_sec, from = *full_at > now ? *full_at : now;
    if (from + each > now + burst * each)
        return false;
    *full_at = from + each;
    return true;
}
