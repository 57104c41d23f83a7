/* What all links have counted, together. */
#include "peer/relays.h"

tl_relay_link_counters tl_relays_counters(const tl_relays *r)
{
    tl_relay_link_counters sum = {0};
    _Static_assert(sizeof sum % sizeof(uint64_t) == 0, "every counter is one number");
    for (size_t i = 0; i < TL_RELAYS_MAX; i++) {
        const uint64_t *of = (const uint64_t *)tl_relay_link_counters_of(tl_relays_link(r, i));
        for (size_t k = 0; k < sizeof sum / sizeof(uint64_t); k++)
            ((uint64_t *)&sum)[k] += of[k];
    }
    return sum;
}
