/* ratelimit.h - token bucket. Pure arithmetic on the time it is handed. */
#ifndef TL_BASE_RATELIMIT_H
#define TL_BASE_RATELIMIT_H

#include "base/time.h"

#include <stdbool.h>

typedef struct {
    uint64_t per_sec; /* tokens gained a second; 0 = no limit at all */
    uint64_t burst;   /* most tokens held */
    uint64_t tokens;
    tl_time at; /* when `tokens` was true */
} tl_ratelimit;

/* Starts full. */
tl_ratelimit tl_ratelimit_make(uint64_t per_sec, uint64_t burst, tl_time now);
/* Takes `n` tokens if they are there; takes none and returns false otherwise. */
bool tl_ratelimit_take(tl_ratelimit *r, uint64_t n, tl_time now);
/* When `n` (at most burst) tokens will be there; `now` if they are already. */
tl_time tl_ratelimit_when(tl_ratelimit *r, uint64_t n, tl_time now);

#endif
