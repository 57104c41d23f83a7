#include "base/origin.h"

#include "base/table.h"

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

tl_origin tl_origin_block(const tl_addr *a)
{
    return prefix(a, 16, 32);
}

static size_t bucket_of(tl_slice key)
{
    return tl_table_hash(key.p, key.n) % TL_ORIGIN_BUDGETS;
}

/* When the bucket is full again, once one more is taken. */
static tl_time full_after(const tl_origin_budgets *b, size_t i, unsigned per_sec, tl_time now)
{
    return (b->full_at[i] > now ? b->full_at[i] : now) + TL_SEC / per_sec;
}

bool tl_origin_could(const tl_origin_budgets *b, tl_slice key, unsigned per_sec, unsigned burst,
                     tl_time now)
{
    return full_after(b, bucket_of(key), per_sec, now) <= now + burst * (TL_SEC / per_sec);
}

bool tl_origin_take(tl_origin_budgets *b, tl_slice key, unsigned per_sec, unsigned burst,
                    tl_time now)
{
    if (!tl_origin_could(b, key, per_sec, burst, now))
        return false;
    size_t i = bucket_of(key);
    b->full_at[i] = full_after(b, i, per_sec, now);
    return true;
}
