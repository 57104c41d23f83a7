/* stun.h - the relay's UDP sockets: hands what comes in to the STUN server (relay/stunserver) and
 * sends what it answers. Decides nothing. */
#ifndef TL_RELAYD_STUN_H
#define TL_RELAYD_STUN_H

#include "io/loop.h"
#include "relay/stunserver.h"

typedef struct tl_relayd_stun tl_relayd_stun;

/* Opens the `n` (at least 1) addresses, at most two of a family. Two of a family become
 * four sockets, as RFC 5780 has it: both of their ports on each, and where these are one port, that
 * and the next. Wakes only for datagrams. TL_ERR_EXISTS, TL_ERR_IO with words; TL_ERR_NOMEM. */
TL_CHECK tl_err tl_relayd_stun_new(tl_loop *loop, const tl_addr *udp, size_t n,
                                   tl_relayd_stun **ret_stun, tl_why *why);
/* Closes the sockets; the server stays, to be read. */
void tl_relayd_stun_stop(tl_relayd_stun *s);
void tl_relayd_stun_free(tl_relayd_stun *s);

const tl_stunserver *tl_relayd_stun_server(const tl_relayd_stun *s);
/* The first address given, with its real port. */
tl_addr tl_relayd_stun_addr(const tl_relayd_stun *s);
/* Appends ` udp=ADDR:PORT[,...]`, every socket, the first address first. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_relayd_stun_write_ready(const tl_relayd_stun *s, tl_buf *out);

#endif
