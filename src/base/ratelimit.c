#include "base/ratelimit.h"

__extension__ typedef unsigned __int128 u128; /* a rate times nanoseconds overflows 64 bits */

tl_ratelimit tl_ratelimit_make(uint64_t per_sec, uint64_t burst, tl_time now)
{
    return (tl_ratelimit){.per_sec = per_sec, .burst = burst, .tokens = burst, .at = now};
}

/* Exact: the fraction of a token is carried over, so that the smallest steps still add up to the
 * rate. */
static void refill(tl_ratelimit *r, tl_time now)
{
    if (now <= r->at)
        return;
    u128 credit = (u128)(now - r->at) * r->per_sec + r->part;
    r->at = now;
    if (credit / TL_SEC >= r->burst - r->tokens) {
        r->tokens = r->burst;
        r->part = 0;
        return;
    }
    r->tokens += (uint64_t)(credit / TL_SEC);
    r->part = (uint64_t)(credit % TL_SEC);
}

bool tl_ratelimit_take(tl_ratelimit *r, uint64_t n, tl_time now)
{
    if (r->per_sec == 0)
        return true;
    refill(r, now);
    if (r->tokens < n)
        return false;
    r->tokens -= n;
    return true;
}

tl_time tl_ratelimit_when(tl_ratelimit *r, uint64_t n, tl_time now)
{
    if (r->per_sec == 0)
        return now;
    refill(r, now);
    if (r->tokens >= n)
        return now;
    u128 wait = ((u128)(n - r->tokens) * TL_SEC - r->part + r->per_sec - 1) / r->per_sec;
    return wait >= TL_NEVER - r->at ? TL_NEVER : r->at + (tl_time)wait;
}
