/* tunnel.h - makes a TCP connection to a name or IP through a proxy (wire/proxytalk): dials the proxy,
 * has it connect, and hands over the descriptor. Never sees a byte of what goes through. */
#ifndef TL_IO_TUNNEL_H
#define TL_IO_TUNNEL_H

#include "io/loop.h"
#include "wire/proxyurl.h"

typedef struct tl_tunnel tl_tunnel;

/* Copies `proxy`, which is not none. on_done is as in tl_dial_start: it gets the descriptor, from
 * which nothing of the tunnel's other end was read, or fd = -1 with an error and words that name the
 * proxy. It is never called from inside this call. With socks5:// this machine looks `host` up, and
 * the proxy is asked for one address after the other. The caller bounds the time. TL_ERR_NOMEM,
 * TL_ERR_TOO_LARGE. */
TL_CHECK tl_err tl_tunnel_start(tl_loop *loop, const tl_proxy *proxy, const char *host,
                                uint16_t port,
                                void (*on_done)(void *user, int fd, tl_err e, const char *why),
                                void *user, tl_tunnel **ret_tunnel);
/* Words for the caller's time limit: who was waited for. */
void tl_tunnel_late(const tl_tunnel *t, unsigned seconds, tl_why *why);
/* Allowed at any time, also inside on_done. */
void tl_tunnel_free(tl_tunnel *t);

#endif
