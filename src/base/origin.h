/* origin.h - where a datagram came from, as far as budgets go: an address, the network that one customer may have, or
 * the block that one provider may have. And a budget for each of many origins, in a fixed room. Pure arithmetic on the time it is handed.
 *
 * Each origin has one of TL_ORIGIN_BUDGETS buckets. Which one is chosen by the keyed hash of base/table, so nobody
 * knows with whom he shares one. For each bucket, in any t seconds
 *
 *     taken <= burst + rate x t                                                                  */
#ifndef TL_BASE_ORIGIN_H
#define TL_BASE_ORIGIN_H

#include "base/addr.h"
#include "base/time.h"

#include <string.h>

#define TL_ORIGIN_BUDGETS 1024 /* 8 KiB; few of a flood's sources share one with somebody honest */

/* Compared as bytes. */
typedef struct {
    uint8_t bytes[9]; /* how many bits count, and these */
} tl_origin;

/* An IPv4 address, or an IPv6 /64: one machine has as many of its addresses as it likes. */
tl_origin tl_origin_address(const tl_addr *a);
/* An IPv4 /24, or an IPv6 /48. */
tl_origin tl_origin_network(const tl_addr *a);

/* An IPv4 /16, or an IPv6 /32. */
tl_origin tl_origin_block(const tl_addr *a);
static inline bool tl_origin_eq(const tl_origin *a, const tl_origin *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

/* Zero-initialise: all buckets are full then. */
typedef struct {
    tl_time full_at[TL_ORIGIN_BUDGETS]; /* when the bucket is full again */
} tl_origin_budgets;

/* Could one be taken? Takes none. Arguments as below. */
bool tl_origin_could(const tl_origin_budgets *b, tl_slice key, unsigned per_sec, unsigned burst,
                     tl_time now);
/* Takes one of the bucket of these bytes, which gains `per_sec` a second and holds at most `burst`; both are more than
 * 0, and the same at each call. */
bool tl_origin_take(tl_origin_budgets *b, tl_slice key, unsigned per_sec, unsigned burst,
                    tl_time now);

#endif
