#include "direct/strangers.h"

#include <string.h>

void tl_strangers_init(tl_strangers *s, bool singly, tl_time now)
{
    *s = (tl_strangers){
        .singly = singly,
        .looked = tl_ratelimit_make(TL_STRANGERS_LOOKED_SECOND, TL_STRANGERS_LOOKED_SECOND, now),
        .all = tl_ratelimit_make(TL_STRANGERS_SECOND, TL_STRANGERS_BURST, now)};
}

/* Of a neighbour with IPv6 the half of the address that is its own: the other half is all neighbours'. */
static tl_origin origin_of(const tl_strangers *s, const tl_addr *a)
{
    tl_origin o = {{(uint8_t)a->family}};
    if (!s->singly)
        return tl_origin_network(a);
    memcpy(o.bytes + 1, a->bytes + (a->family == TL_ADDR_V6 ? 8 : 0), sizeof o.bytes - 1);
    return o;
}

/* Could one of that network be answered? */
static bool could(tl_strangers *s, const tl_origin *network, tl_time now)
{
    return tl_origin_could(&s->networks, tl_slice_of(network->bytes, sizeof network->bytes),
                           TL_STRANGERS_NETWORK_SECOND, TL_STRANGERS_NETWORK_BURST, now) &&
           tl_ratelimit_when(&s->all, 1, now) <= now;
}

bool tl_strangers_may_ask(tl_strangers *s, const tl_addr *addr, tl_time now)
{
    tl_origin network = origin_of(s, addr);
    return could(s, &network, now) && tl_ratelimit_take(&s->looked, 1, now);
}

bool tl_strangers_take(tl_strangers *s, const tl_addr *addr, tl_time now)
{
    tl_origin network = origin_of(s, addr);
    return could(s, &network, now) &&
           tl_origin_take(&s->networks, tl_slice_of(network.bytes, sizeof network.bytes),
                          TL_STRANGERS_NETWORK_SECOND, TL_STRANGERS_NETWORK_BURST, now) &&
           tl_ratelimit_take(&s->all, 1, now);
}
