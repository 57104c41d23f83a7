#include "base/ratelimit.h"

__extension__ typedef unsigned __int128 u128; /* a rate times nanoseconds overflows 64 bits */

tl_ratelimit tl_ratelimit_make(uint64_t per_sec, uint64_t burst, tl_time now)
{
    return (tl_ratelimit){.per_sec = per_sec, .burst = burst, .tokens = burst, .at = now};
}

static void refill(tl_ratelimit *r, tl_time now)
{
    if (now <= r->at)
        return;
    u128 gained = (u128)(now - r->at) * r->per_sec / TL_SEC;
    if (gained == 0)
        return; /* keep `at`, so that small steps add up */
    if (gained >= r->burst - r->tokens) {
        r->tokens = r->burst;
        r->at = now;
        return;
    }
    r->tokens += (uint64_t)gained;
    r->at += (tl_time)(gained * TL_SEC / r->per_sec);
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
    u128 wait = (u128)(n - r->tokens) * TL_SEC + r->per_sec - 1;
    return r->at + (tl_time)(wait / r->per_sec);
}
