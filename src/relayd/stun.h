/* stun.h - the relay's UDP sockets: hands datagrams that come in to the STUN server
 * (relay/stunserver), and sends its answers. Decides nothing. */
#ifndef TL_RELAYD_STUN_H
#define TL_RELAYD_STUN_H

#include "io/loop.h"
#include "relay/stunserver.h"

typedef struct tl_relayd_stun tl_relayd_stun;

/* Opens the `n` (at least 1) addresses, at most two of a family. Two of a family become four
 * sockets, as in RFC 5780: each address with both ports. If both have the same port, the next port
 * is the second. Wakes only for datagrams. TL_ERR_EXISTS and TL_ERR_IO, with `why`;
 * TL_ERR_NOMEM. */
TL_CHECK tl_err tl_relayd_stun_new(tl_loop *loop, const tl_addr *udp, size_t n,
                                   tl_relayd_stun **ret_stun, tl_why *why);
/* Closes the sockets; the server's counters can still be read. */
void tl_relayd_stun_stop(tl_relayd_stun *s);
void tl_relayd_stun_free(tl_relayd_stun *s);

const tl_stunserver *tl_relayd_stun_server(const tl_relayd_stun *s);
/* The first address given, with its real port. */
tl_addr tl_relayd_stun_addr(const tl_relayd_stun *s);
/* Appends ` udp=ADDR:PORT[,...]` with every socket; the first address comes first. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_relayd_stun_write_ready(const tl_relayd_stun *s, tl_buf *out);

#endif
