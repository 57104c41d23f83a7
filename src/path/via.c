#include "path/via.h"

const char *tl_relay_carrier_name(bool udp)
{
    return udp ? "udp" : "websocket";
}

const char *tl_via_name(tl_via v)
{
    switch (v) {
    case TL_VIA_LOCAL: return "local";
    case TL_VIA_LAN: return "lan";
    case TL_VIA_DIRECT: return "direct";
    case TL_VIA_RELAYED: return "relayed";
    case TL_VIA_PLAINTEXT: return "relayed-plaintext";
    }
    return "unknown";
}

const char *tl_lan_carrier_name(bool tcp)
{
    return tcp ? "tcp" : "udp";
}
