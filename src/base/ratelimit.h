/* ratelimit.h - token bucket. Pure arithmetic on the time it is handed. */
#ifndef TL_BASE_RATELIMIT_H
#define TL_BASE_RATELIMIT_H

#include "base/time.h"

#include <stdbool.h>

typedef struct {
    uint64_t per_sec; /* tokens gained a second; 0 = no limit at all */
    uint64_t burst;   /* most tokens held */
    uint64_t tokens;
    uint64_t part; /* of the next token, in token-nanoseconds: below TL_SEC */
    tl_time at;    /* when `tokens` and `part` were true */
} tl_ratelimit;

/* Starts full. */
tl_ratelimit tl_ratelimit_make(uint64_t per_sec, uint64_t burst, tl_time now);
/* Takes `n` tokens if they are there; takes none and returns false otherwise. */
bool tl_ratelimit_take(tl_ratelimit *r, uint64_t n, tl_time now);
/* A token that was taken comes back. */
static inline void tl_ratelimit_give_back(tl_ratelimit *r)
{
    r->tokens += r->tokens < r->burst;
}
/* When `n` (at most burst) tokens will be there: `now` if they are there already, TL_NEVER if that
 * time is past the end of time. */
tl_time tl_ratelimit_when(tl_ratelimit *r, uint64_t n, tl_time now);

#endif
