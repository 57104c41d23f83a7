/* addresses.h - how many connections each address holds. An IPv6 /64, which one customer gets,
 * counts as one address. */
#ifndef TL_RELAY_ADDRESSES_H
#define TL_RELAY_ADDRESSES_H

#include "base/addr.h"

#include "base/table.h"

typedef struct {
    uint8_t key[9]; /* family, then 4 bytes of IPv4 or the first 8 of IPv6 */
    uint32_t conns, unregistered;
    UT_hash_handle hh;
} tl_relay_address;

typedef struct {
    tl_relay_address *table;
} tl_relay_addresses;

/* One connection more, not registered yet. TL_ERR_BUSY: over one of the limits. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_relay_address_add(tl_relay_addresses *t, const tl_addr *addr, uint32_t conns_max,
                                     uint32_t unregistered_max, tl_relay_address **ret_address);
/* One of its connections is gone. Frees the entry with the last. */
void tl_relay_address_drop(tl_relay_addresses *t, tl_relay_address *a, bool was_registered);

#endif
