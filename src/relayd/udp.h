/* udp.h - the relay's UDP sockets: hands relayed and control datagrams that come in to the relay
 * (relay/relay), all others to the STUN server (relay/stunserver), and sends what they answer. Decides
 * nothing. */
#ifndef TL_RELAYD_UDP_H
#define TL_RELAYD_UDP_H

#include "io/loop.h"
#include "relay/bursts.h"
#include "relay/stunserver.h"
#include "relay/tokens.h"

typedef struct tl_relayd_udp tl_relayd_udp;
struct tl_relayd_hub;

/* Opens the `n` (at least 1) addresses, at most two of a family. Two of a family become four
 * sockets, as in RFC 5780: each address with both ports. If both have the same port, the next port
 * is the second. `loops` loops (1: this one alone) have the same addresses, and this one is number
 * `index`: the first gets what belongs to no session, each gets what is for its own sessions. Reads
 * nothing before tl_relayd_udp_attach. TL_ERR_EXISTS and TL_ERR_IO, with `why`; TL_ERR_NOMEM. */
TL_CHECK tl_err tl_relayd_udp_new(tl_loop *loop, const tl_addr *udp, size_t n, unsigned index,
                                  unsigned loops, tl_relayd_udp **ret_udp, tl_why *why);
/* From now on it reads. Borrows the hub until tl_relayd_udp_stop. */
void tl_relayd_udp_attach(tl_relayd_udp *s, struct tl_relayd_hub *hub);
/* Sends them; what a socket does not take is lost. */
void tl_relayd_udp_send(tl_relayd_udp *s, const tl_bursts *bursts);
/* Closes the sockets; the counters can still be read. */
void tl_relayd_udp_stop(tl_relayd_udp *s);
void tl_relayd_udp_free(tl_relayd_udp *s);

const tl_stunserver *tl_relayd_udp_stun(const tl_relayd_udp *s);
/* The sockets, with their real ports, in the order of the numbers in tl_burst_way. */
void tl_relayd_udp_config(const tl_relayd_udp *s, tl_tokens_config *config);
/* The first address given, with its real port. */
tl_addr tl_relayd_udp_addr(const tl_relayd_udp *s);
/* Appends ` udp=ADDR:PORT[,...]` with every socket; the first address comes first. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_relayd_udp_write_ready(const tl_relayd_udp *s, tl_buf *out);

#endif
