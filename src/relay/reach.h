/* reach.h - to which addresses a server that anybody can ask by UDP may send. Pure. */
#ifndef TL_RELAY_REACH_H
#define TL_RELAY_REACH_H

#include "base/addr.h"

typedef enum {
    TL_REACH_NONE, /* no machine has it: multicast, broadcast, reserved, unspecified */
    TL_REACH_LOOPBACK,
    TL_REACH_LINK,
    TL_REACH_OTHER,
} tl_reach;

/* A subnet's broadcast address cannot be recognised here, but the kernel sends nothing to one. */
tl_reach tl_reach_of(const tl_addr *addr);
/* May something be sent to `to`, port included, from our address `from`? To loopback only from
 * loopback, and to a link only from that kind of address. */
bool tl_reach_is_allowed(const tl_addr *to, const tl_addr *from);

#endif
