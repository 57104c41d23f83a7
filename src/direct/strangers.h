/* strangers.h - how many introductions by nodes that nobody knows are answered. Pure arithmetic on the time it is
 * handed: reads no datagram and sends none.
 *
 * Node IDs cost nothing, so what is counted is the address that the introducer saw: all of an IPv4 /24 or of an
 * IPv6 /48 together. Networks that the hash puts in one place share its limit. Neighbours on the local network are all
 * of one such network, and count singly.
 *
 *   signatures looked at       <= 50 + 50 x seconds
 *   answered for one network   <=  8 +  1 x seconds
 *   answered in all            <= 20 + 10 x seconds                                                    */
#ifndef TL_DIRECT_STRANGERS_H
#define TL_DIRECT_STRANGERS_H

#include "base/origin.h"
#include "base/ratelimit.h"

#define TL_STRANGERS_LOOKED_SECOND  50
#define TL_STRANGERS_NETWORK_SECOND 1
#define TL_STRANGERS_NETWORK_BURST  8 /* two attempts of one node; a home may have some */
#define TL_STRANGERS_SECOND         10
#define TL_STRANGERS_BURST          20

typedef struct {
    tl_ratelimit looked, all;
    tl_origin_budgets networks;
    bool singly;
} tl_strangers;

/* `singly`: each address counts for itself. */
void tl_strangers_init(tl_strangers *s, bool singly, tl_time now);
/* May the signature of one more be looked at, which says it is from `addr`? False also where it would not be
 * answered. A false source wastes what is looked at, and nothing of what is answered. */
bool tl_strangers_may_ask(tl_strangers *s, const tl_addr *addr, tl_time now);
/* Its signature is right: may it be answered? */
bool tl_strangers_take(tl_strangers *s, const tl_addr *addr, tl_time now);

#endif
