/* gateway.h - which router our packets to the internet go through, as the kernel would choose it
 * (rtnetlink; IPv4). Sends nothing to anyone. */
#ifndef TL_IO_GATEWAY_H
#define TL_IO_GATEWAY_H

#include "base/addr.h"

/* `ret_gateway` is of the family NONE where the way leads through no router: a point-to-point link,
 * such as a VPN's. `ret_own` is the address of ours that packets through it bear. Both have port 0.
 * TL_ERR_UNREACHABLE: there is no way to the internet. TL_ERR_IO. */
TL_CHECK tl_err tl_gateway_find(tl_addr *ret_gateway, tl_addr *ret_own);

#endif
