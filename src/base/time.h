/* time.h - units of time. Machines are handed the time; only io/loop reads a clock. */
#ifndef TL_BASE_TIME_H
#define TL_BASE_TIME_H

#include <stdint.h>

typedef uint64_t tl_time; /* monotonic, nanoseconds, from an arbitrary start */

#define TL_US    UINT64_C(1000)
#define TL_MS    (1000 * TL_US)
#define TL_SEC   (1000 * TL_MS)
#define TL_MIN   (60 * TL_SEC)
#define TL_NEVER UINT64_MAX

typedef int64_t tl_unix; /* wall clock, seconds since 1970-01-01T00:00:00Z */

/* Dates in relay signalling count from 2001-01-01T00:00:00Z (docs/protocol.md). */
#define TL_UNIX_TO_SIGNAL_DATE 978307200

static inline tl_time tl_time_min(tl_time a, tl_time b)
{
    return a < b ? a : b;
}
static inline tl_time tl_time_max(tl_time a, tl_time b)
{
    return a > b ? a : b;
}

#endif
