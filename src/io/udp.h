/* udp.h - a non-blocking UDP socket that moves trains of datagrams: recvmmsg and GRO in, GSO
 * (UDP_SEGMENT) out. Interprets nothing; whoever owns it watches the descriptor. */
#ifndef TL_IO_UDP_H
#define TL_IO_UDP_H

#include "base/addr.h"

typedef struct tl_udp tl_udp;

/* Binds `local` (port 0: the kernel chooses); an IPv6 socket leaves the IPv4 port alone. Nothing is
 * fragmented, and no ICMP message, which anybody may have written, makes the kernel refuse a size:
 * what a path carries is for probes to find out. `buffer_bytes` is asked for as send and receive
 * buffer each; the kernel may give less. TL_ERR_EXISTS: the port is in use. TL_ERR_IO with `why`.
 * TL_ERR_NOMEM. */
TL_CHECK tl_err tl_udp_open(const tl_addr *local, size_t buffer_bytes, tl_udp **ret_udp,
                            tl_why *why);
/* As tl_udp_open, but receives into the buffer of `other`: for many sockets that say little. The
 * trains of either are valid until the next tl_udp_receive of any socket of that buffer. They may
 * be closed in any order. */
TL_CHECK tl_err tl_udp_open_beside(const tl_addr *local, size_t buffer_bytes, const tl_udp *other,
                                   tl_udp **ret_udp, tl_why *why);
void tl_udp_close(tl_udp *u);
int tl_udp_fd(const tl_udp *u);
tl_addr tl_udp_local(const tl_udp *u); /* with the real port */

/* Datagrams of one sender, back to back: all `segment` bytes long but the last, which may be
 * shorter. */
typedef struct {
    tl_addr from;
    uint8_t *data; /* the socket's buffer: valid, and free to be changed, until the next
                      tl_udp_receive */
    size_t n;
    size_t segment; /* 0 when n is 0: an empty datagram */
} tl_udp_train;

#define TL_UDP_TRAINS_MAX 16 /* one recvmmsg; 64 KiB each: 1 MiB of buffer */

/* Reads what is there: *ret_n (1 to TL_UDP_TRAINS_MAX) trains. TL_ERR_AGAIN: nothing now.
 * TL_ERR_IO: the socket is broken; an ICMP error of some earlier datagram is no error here. */
TL_CHECK tl_err tl_udp_receive(tl_udp *u, tl_udp_train ret_trains[TL_UDP_TRAINS_MAX],
                               size_t *ret_n);

/* Sends `n` bytes as datagrams of `segment` bytes (not 0), the last possibly shorter, in as few
 * calls as the kernel allows. Of nothing nothing is sent. TL_ERR_AGAIN: the socket is full and
 * nothing was sent; when it fills in the middle the rest is lost. TL_ERR_TOO_LARGE: larger than the
 * interface carries (EMSGSIZE): lost, as a router would. TL_ERR_UNREACHABLE: no route, refused by a
 * firewall: lost as well. TL_ERR_IO. */
TL_CHECK tl_err tl_udp_send(tl_udp *u, const tl_addr *to, const uint8_t *data, size_t n,
                            size_t segment);
/* As tl_udp_send, but keeps the rest: with TL_OK, *ret_n bytes are gone, whole datagrams; fewer
 * than `n` mean that the socket is full, and the others may be offered once it is writable. */
TL_CHECK tl_err tl_udp_send_some(tl_udp *u, const tl_addr *to, const uint8_t *data, size_t n,
                                 size_t segment, size_t *ret_n);

#endif
