/* limits.h - how many bytes a second one node may have relayed: a token bucket, over all its
 * sessions. Pure arithmetic on the time it is handed.
 *
 * With t seconds since the bucket was made, and no message longer than the burst:
 *
 *     granted ≤ rate × t + rate × burst
 *
 * A message that is longer than the burst waits for a full bucket, and the next one waits until all
 * of it is paid for. So it adds to the right side what it is longer than the burst, once, and not
 * for each such message. */
#ifndef TL_RELAY_LIMITS_H
#define TL_RELAY_LIMITS_H

#include "base/ratelimit.h"

#include <stddef.h>

typedef struct {
    tl_ratelimit bucket;
    tl_time owed_until; /* a long message is paid for until then */
} tl_limit;

/* `rate` in bytes a second; 0: no limit. `burst`: how much of it may come at once. */
tl_limit tl_limit_make(uint64_t rate, tl_time burst, tl_time now);
/* Nothing is left in it: a node that comes back earns what it sends. */
void tl_limit_empty(tl_limit *l);
/* Another rate from now on; the bucket does not get fuller by it. */
void tl_limit_set(tl_limit *l, uint64_t rate, tl_time burst, tl_time now);
/* Grants a datagram of `n` bytes. False: it is to be dropped. */
bool tl_limit_take(tl_limit *l, size_t n, tl_time now);
/* Grants a message of `n` bytes that nobody may drop. False: it must wait. */
bool tl_limit_take_message(tl_limit *l, size_t n, tl_time now);
/* When tl_limit_take_message will grant it. */
tl_time tl_limit_when(tl_limit *l, size_t n, tl_time now);

#endif
