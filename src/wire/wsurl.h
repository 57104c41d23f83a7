/* wsurl.h - the address of a WebSocket (RFC 6455 section 3): ws:// or wss://, strictly. Pure. */
#ifndef TL_WIRE_WSURL_H
#define TL_WIRE_WSURL_H

#include "base/addr.h"

typedef struct {
    bool tls;
    char host[TL_HOST_MAX]; /* lower case, IPv6 without brackets */
    uint16_t port;
    /* What is signed at registration and sent as Host: lower case, IPv6 in brackets, without the
     * scheme's default port (docs/protocol.md "Registering"). */
    char authority[TL_HOST_MAX + 9];
    char path[256]; /* with the query; "/" when the URL has none */
    bool loopback;  /* `host` is localhost or a literal of the loopback */
} tl_wsurl;

/* TL_ERR_INVALID with the reason: another scheme, no host, port 0, user information, a fragment,
 * characters that may not stand in a request's target. */
TL_CHECK tl_err tl_wsurl_parse(const char *text, tl_wsurl *ret_url, tl_why *why);

#endif
