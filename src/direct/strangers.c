#include "direct/strangers.h"

void tl_strangers_init(tl_strangers *s, tl_time now)
{
    *s = (tl_strangers){
        .looked = tl_ratelimit_make(TL_STRANGERS_LOOKED_SECOND, TL_STRANGERS_LOOKED_SECOND, now),
        .all = tl_ratelimit_make(TL_STRANGERS_SECOND, TL_STRANGERS_BURST, now)};
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
    tl_origin network = tl_origin_network(addr);
    return could(s, &network, now) && tl_ratelimit_take(&s->looked, 1, now);
}

bool tl_strangers_take(tl_strangers *s, const tl_addr *addr, tl_time now)
{
    tl_origin network = tl_origin_network(addr);
    return could(s, &network, now) &&
           tl_origin_take(&s->networks, tl_slice_of(network.bytes, sizeof network.bytes),
                          TL_STRANGERS_NETWORK_SECOND, TL_STRANGERS_NETWORK_BURST, now) &&
           tl_ratelimit_take(&s->all, 1, now);
}
