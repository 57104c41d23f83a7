#include "direct/strangers.h"

#include "base/table.h"

#include <string.h>

void tl_strangers_init(tl_strangers *s, tl_time now)
{
    s->looked = tl_ratelimit_make(TL_STRANGERS_LOOKED_SECOND, TL_STRANGERS_LOOKED_SECOND, now);
    s->all = tl_ratelimit_make(TL_STRANGERS_SECOND, TL_STRANGERS_BURST, now);
    for (size_t i = 0; i < TL_STRANGERS_PLACES; i++)
        s->networks[i] =
            tl_ratelimit_make(TL_STRANGERS_NETWORK_SECOND, TL_STRANGERS_NETWORK_BURST, now);
}

static tl_ratelimit *network_of(tl_strangers *s, const tl_addr *addr)
{
    tl_addr a = tl_addr_normal(*addr);
    uint8_t key[7] = {(uint8_t)a.family};
    memcpy(key + 1, a.bytes, a.family == TL_ADDR_V6 ? 6 : 3);
    return &s->networks[tl_table_hash(key, sizeof key) % TL_STRANGERS_PLACES];
}

bool tl_strangers_may_ask(tl_strangers *s, const tl_addr *addr, tl_time now)
{
    return tl_ratelimit_when(network_of(s, addr), 1, now) <= now &&
           tl_ratelimit_when(&s->all, 1, now) <= now && tl_ratelimit_take(&s->looked, 1, now);
}

bool tl_strangers_take(tl_strangers *s, const tl_addr *addr, tl_time now)
{
    tl_ratelimit *network = network_of(s, addr);
    if (!tl_ratelimit_take(network, 1, now))
        return false;
    if (tl_ratelimit_take(&s->all, 1, now))
        return true;
    tl_ratelimit_give_back(network);
    return false;
}
