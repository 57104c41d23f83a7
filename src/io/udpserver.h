/* udpserver.h - a non-blocking UDP socket of a server: reads a batch of small datagrams, each with
 * the address it was sent to, and sends from that address, also when bound to a wildcard.
 * Interprets nothing; whoever owns it watches the descriptor. (Trains of large datagrams between
 * nodes are io/udp's.) */
#ifndef TL_IO_UDPSERVER_H
#define TL_IO_UDPSERVER_H

#include "base/addr.h"

typedef struct tl_udpserver tl_udpserver;

/* Binds `local` (port 0: the kernel chooses); IPv6 takes IPv6 alone. TL_ERR_EXISTS: the port is in
 * use; TL_ERR_IO; both with words of advice in `why`. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_udpserver_open(const tl_addr *local, tl_udpserver **ret_server, tl_why *why);
void tl_udpserver_close(tl_udpserver *u);
int tl_udpserver_fd(const tl_udpserver *u);
tl_addr tl_udpserver_local(const tl_udpserver *u); /* with the real port */

#define TL_UDPSERVER_BATCH        32   /* one recvmmsg */
#define TL_UDPSERVER_DATAGRAM_MAX 2048 /* more than an Ethernet frame carries */

typedef struct {
    tl_addr from;
    tl_addr to;     /* one of the machine's own; family NONE: a broadcast or multicast address */
    tl_slice bytes; /* until the next receive; of one too long: empty */
} tl_udpserver_datagram;

/* Reads what is there: *ret_n (1 to TL_UDPSERVER_BATCH) datagrams. TL_ERR_AGAIN: nothing now.
 * TL_ERR_IO: the socket is broken; an ICMP error of some earlier datagram is no error here. */
TL_CHECK tl_err tl_udpserver_receive(tl_udpserver *u,
                                     tl_udpserver_datagram ret_datagrams[TL_UDPSERVER_BATCH],
                                     size_t *ret_n);
/* One datagram, from the machine's address `source` (the port is the socket's). TL_ERR_AGAIN: the
 * socket is full. TL_ERR_UNREACHABLE: the kernel will not: no route, a firewall, a broadcast
 * address. Either way it is lost. */
TL_CHECK tl_err tl_udpserver_send(tl_udpserver *u, const tl_addr *source, const tl_addr *to,
                                  tl_slice bytes);

#endif
