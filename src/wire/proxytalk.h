/* proxytalk.h - what a client says to a proxy until it is connected to the host behind it: HTTP
 * CONNECT (RFC 9110 9.3.6) with Basic authentication (RFC 7617), SOCKS5 (RFC 1928) with a user and a
 * password (RFC 1929). Takes bytes and gives bytes; never touches a socket.
 *
 *   HTTP:    CONNECT HOST:PORT  ->  <- 2xx, the empty line        the tunnel stands
 *   SOCKS5:  05 n methods       ->  <- 05 method
 *            01 user password   ->  <- 01 00                      with method 02 alone
 *            05 01 00 address   ->  <- 05 00 00 address port      the tunnel stands
 *
 * Through the tunnel the client speaks first, in TLS and in HTTP. So a byte of the proxy behind its
 * answer is a lie, and ends the conversation. */
#ifndef TL_WIRE_PROXYTALK_H
#define TL_WIRE_PROXYTALK_H

#include "wire/proxyurl.h"

/*  GREETED --method 02--> LOGGING_IN --ok--> ASKED --answer--> OPEN
 *     \--------------method 00---------------^
 *  HTTP begins in ASKED. FAILED from each of them. */
typedef enum {
    TL_PROXYTALK_GREETED,    /* SOCKS5: our methods are told */
    TL_PROXYTALK_LOGGING_IN, /* SOCKS5: user and password are told */
    TL_PROXYTALK_ASKED,      /* the host is told */
    TL_PROXYTALK_OPEN,       /* the tunnel stands */
    TL_PROXYTALK_FAILED,
} tl_proxytalk_state;

typedef struct {
    const tl_proxy *proxy;
    char host[TL_HOST_MAX]; /* a name, or an address as text */
    uint16_t port;
    tl_proxytalk_state state;
    tl_buf in;      /* of the answer under way, at most TL_HTTP1_HEAD_MAX bytes and one reading */
    size_t scanned; /* of an HTTP head */
} tl_proxytalk;

/* Begins, and appends what to send to `out`. Borrows `proxy` until tl_proxytalk_clear. `host` is copied;
 * IPv6 without brackets. TL_ERR_NOMEM, TL_ERR_TOO_LARGE. */
TL_CHECK tl_err tl_proxytalk_start(tl_proxytalk *t, const tl_proxy *proxy, const char *host,
                                   uint16_t port, tl_buf *out);
void tl_proxytalk_clear(tl_proxytalk *t);

/* Takes what the proxy sent. TL_OK: the tunnel stands. TL_ERR_AGAIN: go on, and send what was
 * appended to `out`. Else it is over, and `why` says it in words that begin with the proxy:
 * TL_ERR_UNREACHABLE (the proxy cannot reach the host), TL_ERR_AUTH (the login), TL_ERR_FORBIDDEN,
 * TL_ERR_PROTO, TL_ERR_TOO_LARGE, TL_ERR_NOMEM. */
TL_CHECK tl_err tl_proxytalk_on_bytes(tl_proxytalk *t, tl_slice bytes, tl_buf *out, tl_why *why);
/* The proxy closed the connection. */
TL_CHECK tl_err tl_proxytalk_on_end(tl_proxytalk *t, tl_why *why);
/* Words for a proxy that lets the time run out. */
void tl_proxytalk_late(const tl_proxytalk *t, unsigned seconds, tl_why *why);

#endif
