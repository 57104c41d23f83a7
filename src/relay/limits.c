#include "relay/limits.h"

static uint64_t burst_of(uint64_t rate, tl_time burst)
{
    uint64_t bytes = rate * (burst / TL_MS) / 1000;
    return bytes ? bytes : 1;
}

tl_limit tl_limit_make(uint64_t rate, tl_time burst, tl_time now)
{
    return (tl_limit){.bucket = tl_ratelimit_make(rate, burst_of(rate, burst), now)};
}

void tl_limit_empty(tl_limit *l)
{
    l->bucket.tokens = l->bucket.part = 0;
}

void tl_limit_set(tl_limit *l, uint64_t rate, tl_time burst, tl_time now)
{
    if (!l->bucket.per_sec || !rate) {
        *l = tl_limit_make(rate, burst, now);
        return;
    }
    (void)tl_ratelimit_take(&l->bucket, 0, now); /* what was earned at the old rate */
    l->bucket.per_sec = rate;
    l->bucket.burst = burst_of(rate, burst);
    if (l->bucket.tokens > l->bucket.burst)
        l->bucket.tokens = l->bucket.burst;
}

bool tl_limit_take(tl_limit *l, size_t n, tl_time now)
{
    return now >= l->owed_until && tl_ratelimit_take(&l->bucket, n, now);
}

bool tl_limit_take_message(tl_limit *l, size_t n, tl_time now)
{
    if (n <= l->bucket.burst || !l->bucket.per_sec)
        return tl_limit_take(l, n, now);
    if (!tl_limit_take(l, l->bucket.burst, now))
        return false;
    uint64_t rest = n - l->bucket.burst;
    l->owed_until = now + rest / l->bucket.per_sec * TL_SEC +
                    (rest % l->bucket.per_sec * TL_SEC + l->bucket.per_sec - 1) / l->bucket.per_sec;
    l->bucket.at = l->owed_until; /* until then nothing is earned */
    return true;
}

tl_time tl_limit_when(tl_limit *l, size_t n, tl_time now)
{
    uint64_t first = n < l->bucket.burst ? n : l->bucket.burst;
    tl_time from = tl_time_max(now, l->owed_until);
    return l->bucket.per_sec ? tl_ratelimit_when(&l->bucket, first, from) : now;
}
