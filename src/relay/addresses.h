/* addresses.h - what each address takes of the relay: connections, memory, and time of the
 * processor. An IPv6 /64, which one customer gets, counts as one address. Sends nothing. */
#ifndef TL_RELAY_ADDRESSES_H
#define TL_RELAY_ADDRESSES_H

#include "base/table.h"
#include "relay/relay.h"

/* Of the processor's time an address gets an eighth, and may take 2 s of it at once: so long do 600
 * nodes of one office need to register again after a restart. */
#define TL_RELAY_WORK_SHARE 8
#define TL_RELAY_WORK_BURST (2 * TL_SEC)

typedef struct tl_relay_address {
    uint8_t key[9]; /* family, then 4 bytes of IPv4 or the first 8 of IPv6 */
    uint32_t conns, unregistered;
    size_t memory;        /* of all its connections */
    tl_time busy_until;   /* when its share will have paid for the work done */
    tl_relay_conn *first; /* its connections, strung together by relay/memory.c */
    UT_hash_handle hh;
    struct tl_relay_address *prev, *next; /* utlist: without connections, and still in debt */
} tl_relay_address;

typedef struct {
    tl_relay_address *table, *indebted;
} tl_relay_addresses;

/* One connection more, not registered yet. TL_ERR_BUSY: over one of the limits. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_relay_address_add(tl_relay_addresses *t, const tl_addr *addr, uint32_t conns_max,
                                     uint32_t unregistered_max, tl_time now,
                                     tl_relay_address **ret_address);
/* One of its connections is gone. Frees the entry with the last, unless it has work to pay for:
 * whoever comes back has not forgotten it. */
void tl_relay_address_drop(tl_relay_addresses *t, tl_relay_address *a, bool was_registered,
                           tl_time now);
/* Frees the entries of those that went. */
void tl_relay_addresses_clear(tl_relay_addresses *t);

/* False: it took more than its share of late. */
static inline bool tl_relay_address_may_work(const tl_relay_address *a, tl_time now)
{
    return a->busy_until <= now + TL_RELAY_WORK_BURST * TL_RELAY_WORK_SHARE;
}
/* `spent` is the processor's time that a message took, about. */
static inline void tl_relay_address_worked(tl_relay_address *a, tl_time spent, tl_time now)
{
    a->busy_until = (a->busy_until > now ? a->busy_until : now) + spent * TL_RELAY_WORK_SHARE;
}

#endif
