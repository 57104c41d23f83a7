#include "relay/reach.h"

static tl_reach reach_of_v4(const uint8_t *b)
{
    if (b[0] == 0 || b[0] >= 224)
        return TL_REACH_NONE; /* "this network", multicast, reserved, broadcast */
    if (b[0] == 127)
        return TL_REACH_LOOPBACK;
    return b[0] == 169 && b[1] == 254 ? TL_REACH_LINK : TL_REACH_OTHER;
}

tl_reach tl_reach_of(const tl_addr *addr)
{
    static const uint8_t zero[12]; /* ::/96: unspecified, loopback, and the old IPv4-compatible
                                      addresses */
    tl_addr a = tl_addr_normal(*addr);
    if (a.family == TL_ADDR_V4)
        return reach_of_v4(a.bytes);
    if (tl_addr_is_loopback(&a))
        return TL_REACH_LOOPBACK;
    if (a.family == TL_ADDR_NONE || a.bytes[0] == 0xFF || memcmp(a.bytes, zero, sizeof zero) == 0)
        return TL_REACH_NONE;
    return a.bytes[0] == 0xFE && (a.bytes[1] & 0xC0) == 0x80 ? TL_REACH_LINK : TL_REACH_OTHER;
}

bool tl_reach_is_allowed(const tl_addr *to, const tl_addr *from)
{
    tl_reach r = tl_reach_of(to);
    return to->port != 0 && r != TL_REACH_NONE && tl_reach_of(from) == r;
}
