/* udpserver.h - a non-blocking UDP socket for a server. It reads small datagrams in batches, each
 * with the address it was sent to, and sends from that address, even when bound to a wildcard.
 * Interprets nothing, and does not watch its descriptor: the owner does. (io/udp moves trains of
 * large datagrams between nodes.) */
#ifndef TL_IO_UDPSERVER_H
#define TL_IO_UDPSERVER_H

#include "base/addr.h"

typedef struct tl_udpserver tl_udpserver;

/* Binds `local` (port 0: the kernel chooses). An IPv6 socket takes only IPv6. TL_ERR_EXISTS: the
 * port is in use. TL_ERR_IO. Both tell the remedy in `why`. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_udpserver_open(const tl_addr *local, tl_udpserver **ret_server, tl_why *why);
void tl_udpserver_close(tl_udpserver *u);
int tl_udpserver_fd(const tl_udpserver *u);
tl_addr tl_udpserver_local(const tl_udpserver *u); /* with the real port */

#define TL_UDPSERVER_BATCH        32   /* datagrams in one recvmmsg */
#define TL_UDPSERVER_DATAGRAM_MAX 2048 /* more than an Ethernet frame carries */

typedef struct {
    tl_addr from;
    tl_addr to;     /* one of this machine's addresses; family NONE: a broadcast or multicast
                       address */
    tl_slice bytes; /* valid until the next receive; empty if the datagram was too long */
} tl_udpserver_datagram;

/* Reads what is there: *ret_n (1 to TL_UDPSERVER_BATCH) datagrams. TL_ERR_AGAIN: nothing is there
 * now. TL_ERR_IO: the socket is broken. An ICMP error for an earlier datagram is not an error
 * here. */
TL_CHECK tl_err tl_udpserver_receive(tl_udpserver *u,
                                     tl_udpserver_datagram ret_datagrams[TL_UDPSERVER_BATCH],
                                     size_t *ret_n);
/* Sends one datagram from this machine's address `source`, with the socket's port. TL_ERR_AGAIN:
 * the socket is full. TL_ERR_UNREACHABLE: the kernel refuses: no route, a firewall, a broadcast
 * address. In both cases the datagram is lost. */
TL_CHECK tl_err tl_udpserver_send(tl_udpserver *u, const tl_addr *source, const tl_addr *to,
                                  tl_slice bytes);

#endif
