/* proxyhead.h - the header of the PROXY protocol, versions 1 and 2 (HAProxy's proxy-protocol.txt), by
 * which a proxy says whose connection it passes on. It comes before TLS and before HTTP. Takes any
 * bytes; whether the sender may be believed, its caller decides. Never touches a socket.
 *
 * It is ours because Debian has no library for it in C (only one in Haskell).
 *
 * Of version 2 the checksum (PP2_TYPE_CRC32C) is not computed: TCP has its own, and only trusted
 * proxies are read. */
#ifndef TL_WIRE_PROXYHEAD_H
#define TL_WIRE_PROXYHEAD_H

#include "base/addr.h"
#include "base/err.h"

/* Of the whole header. The longest that load balancers send have names and certificates' subjects in
 * them, some hundred bytes. */
#define TL_PROXYHEAD_MAX (4u << 10)

typedef struct {
    size_t n;        /* bytes of the header; what the client sent begins there */
    bool has_client; /* false: the proxy speaks for itself (LOCAL, UNKNOWN, AF_UNSPEC), or its
                        client has no IP address (AF_UNIX) */
    tl_addr client;  /* mapped IPv4 is IPv4 here */
} tl_proxyhead;

/* TL_ERR_SHORT: every byte belongs to a header, and more of it is to come. TL_ERR_TOO_LARGE: it is
 * longer than TL_PROXYHEAD_MAX, or than the 107 bytes of version 1. TL_ERR_PROTO: no such header, or
 * none that makes sense. */
TL_CHECK tl_err tl_proxyhead_parse(tl_slice bytes, tl_proxyhead *ret_head);
/* True: a header begins here, whole or not, right or not. */
bool tl_proxyhead_begins(tl_slice bytes);

/* Can it be the address of one machine that connects: not the wildcard, and no group. */
bool tl_proxyhead_is_client(const tl_addr *a);

#endif
