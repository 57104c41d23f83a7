/* gateway.h - finds the router through which our packets go to the internet. It asks the kernel
 * (rtnetlink; IPv4). Sends no packet to anyone. */
#ifndef TL_IO_GATEWAY_H
#define TL_IO_GATEWAY_H

#include "base/addr.h"

/* `ret_gateway` has the family NONE if the route goes through no router but over a point-to-point
 * link, such as a VPN's. `ret_own` is our own address on packets that take this route. Both have
 * port 0. TL_ERR_UNREACHABLE: there is no route to the internet. TL_ERR_IO. */
TL_CHECK tl_err tl_gateway_find(tl_addr *ret_gateway, tl_addr *ret_own);

#endif
