#include "relay/addresses.h"

#include <stdlib.h>

static void make_key(const tl_addr *addr, uint8_t ret_key[9])
{
    tl_addr a = tl_addr_normal(*addr);
    memset(ret_key, 0, 9);
    ret_key[0] = (uint8_t)a.family;
    memcpy(ret_key + 1, a.bytes, a.family == TL_ADDR_V4 ? 4 : 8);
}

tl_err tl_relay_address_add(tl_relay_addresses *t, const tl_addr *addr, uint32_t conns_max,
                            uint32_t unregistered_max, tl_relay_address **ret_address)
{
    uint8_t key[9];
    tl_relay_address *a;
    make_key(addr, key);
    HASH_FIND(hh, t->table, key, sizeof key, a);
    if (a && (a->conns >= conns_max || a->unregistered >= unregistered_max))
        return TL_ERR_BUSY;
    if (!a) {
        a = calloc(1, sizeof *a);
        if (!a)
            return TL_ERR_NOMEM;
        memcpy(a->key, key, sizeof key);
        if (!TL_TABLE_ADD(hh, t->table, key, sizeof a->key, a)) {
            free(a);
            return TL_ERR_NOMEM;
        }
    }
    a->conns++;
    a->unregistered++;
    *ret_address = a;
    return TL_OK;
}

void tl_relay_address_drop(tl_relay_addresses *t, tl_relay_address *a, bool was_registered)
{
    if (!was_registered)
        a->unregistered--;
    if (--a->conns == 0) {
        HASH_DELETE(hh, t->table, a);
        free(a);
    }
}
