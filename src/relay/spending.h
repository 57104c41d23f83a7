/* spending.h - how many bytes of signalling each sender may still send to each node. Remembers only
 * those that sent something lately. Sends nothing. */
#ifndef TL_RELAY_SPENDING_H
#define TL_RELAY_SPENDING_H

#include "base/ratelimit.h"
#include "base/table.h"

/* From whom to whom: both are numbers of connections, or `from` is that of an address and
 * `of_address` is 1. */
typedef struct {
    uint64_t to, from, of_address;
} tl_relay_spender;

typedef struct tl_relay_spent {
    tl_relay_spender key;
    tl_ratelimit limit;
    struct tl_relay_spent *prev, *next; /* utlist, the oldest first */
    UT_hash_handle hh;
} tl_relay_spent;

/* Begins zero-initialised. */
typedef struct {
    tl_relay_spent *table, *oldest;
} tl_relay_spending;

/* Takes `n` of the bytes that `who` gains at `per_sec` up to `burst`. False: too few are left, or
 * there is no memory. */
bool tl_relay_spending_take(tl_relay_spending *s, const tl_relay_spender *who, size_t n,
                            uint64_t per_sec, uint64_t burst, tl_time now);
void tl_relay_spending_clear(tl_relay_spending *s);

#endif
