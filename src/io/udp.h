/* udp.h - a non-blocking UDP socket that moves trains of datagrams: in with recvmmsg and GRO, out
 * with GSO (UDP_SEGMENT). Interprets nothing, and does not watch its descriptor: the owner does. */
#ifndef TL_IO_UDP_H
#define TL_IO_UDP_H

#include "base/addr.h"

#include <sys/uio.h>

typedef struct tl_udp tl_udp;

/* Binds `local` (port 0: the kernel chooses). An IPv6 socket leaves the IPv4 port free. No datagram
 * is fragmented. No ICMP message makes the kernel refuse a size, because anybody can write such a
 * message: probes find out what a path carries. The send buffer and the receive buffer are each
 * asked to be `buffer_bytes`; the kernel may give less. TL_ERR_EXISTS: the port is in use.
 * TL_ERR_IO with `why`. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_udp_open(const tl_addr *local, size_t buffer_bytes, tl_udp **ret_udp,
                            tl_why *why);
/* Lets other loops of this process open the same address. TL_ERR_IO with `why`. */
TL_CHECK tl_err tl_udp_share(tl_udp *u, tl_why *why);
/* Opens an address that was shared so, as one of `loops` sockets. The kernel gives each datagram to one
 * of them: relayed packets (the first byte is 0x80 to 0xBF) by their second byte modulo `loops`, in
 * the order in which the sockets were opened; all others to the first. `other` as below, or NULL. */
TL_CHECK tl_err tl_udp_open_joined(const tl_addr *local, size_t buffer_bytes, unsigned loops,
                                   const tl_udp *other, tl_udp **ret_udp, tl_why *why);
/* Like tl_udp_open, but receives into the buffer of `other`: for many sockets with little traffic.
 * The trains of all these sockets are valid until the next tl_udp_receive on any of them. The
 * sockets may be closed in any order. */
TL_CHECK tl_err tl_udp_open_beside(const tl_addr *local, size_t buffer_bytes, const tl_udp *other,
                                   tl_udp **ret_udp, tl_why *why);
void tl_udp_close(tl_udp *u);
int tl_udp_fd(const tl_udp *u);
tl_addr tl_udp_local(const tl_udp *u); /* with the real port */

/* Datagrams of one sender, back to back. Each is `segment` bytes long; only the last may be
 * shorter. */
typedef struct {
    tl_addr from;
    tl_addr to;    /* the address of this machine that they were sent to, with its interface if it
                      is link-local; family NONE: a broadcast or multicast address */
    uint8_t *data; /* in the socket's buffer: valid until the next tl_udp_receive, and may be
                      changed */
    size_t n;
    size_t segment; /* 0 when n is 0: an empty datagram */
} tl_udp_train;

#define TL_UDP_TRAINS_MAX 16 /* in one recvmmsg; 64 KiB each: 1 MiB of buffer */

/* Reads what is there: *ret_n (1 to TL_UDP_TRAINS_MAX) trains. TL_ERR_AGAIN: nothing is there now.
 * TL_ERR_IO: the socket is broken. An ICMP error for an earlier datagram is not an error here. */
TL_CHECK tl_err tl_udp_receive(tl_udp *u, tl_udp_train ret_trains[TL_UDP_TRAINS_MAX],
                               size_t *ret_n);

/* Sends `n` bytes as datagrams of `segment` bytes (not 0), in as few calls as the kernel allows.
 * The last datagram may be shorter. If `n` is 0, nothing is sent. TL_ERR_AGAIN: the socket is full
 * and nothing was sent. If it becomes full in the middle, the rest is lost. TL_ERR_TOO_LARGE: a
 * datagram is larger than the interface carries (EMSGSIZE), and is lost as at a router.
 * TL_ERR_UNREACHABLE: there is no route, or a firewall refused; the bytes are lost too.
 * TL_ERR_IO. */
TL_CHECK tl_err tl_udp_send(tl_udp *u, const tl_addr *to, const uint8_t *data, size_t n,
                            size_t segment);
/* Like tl_udp_send, from this machine's address `local` (its port is not used; NULL or family NONE:
 * the kernel chooses). If the machine does not have that address any more, the kernel chooses. */
TL_CHECK tl_err tl_udp_send_from(tl_udp *u, const tl_addr *local, const tl_addr *to,
                                 const uint8_t *data, size_t n, size_t segment);
/* Like tl_udp_send_from, with `prefix` (at most TL_UDP_PREFIX_MAX bytes; may be empty) in front of
 * each datagram. `n` and `segment` do not count it. The bytes of the train are not moved for it. */
#define TL_UDP_PREFIX_MAX 64
TL_CHECK tl_err tl_udp_send_prefixed(tl_udp *u, const tl_addr *local, const tl_addr *to,
                                     tl_slice prefix, const uint8_t *data, size_t n,
                                     size_t segment);
/* Like tl_udp_send, but does not lose the rest. With TL_OK, *ret_n bytes were sent, in whole
 * datagrams. If *ret_n is less than `n`, the socket is full, and the caller may offer the rest when
 * it is writable. */
TL_CHECK tl_err tl_udp_send_some(tl_udp *u, const tl_addr *to, const uint8_t *data, size_t n,
                                 size_t segment, size_t *ret_n);

/* Datagrams for one place: `count` pieces, each a datagram of `segment` bytes; only the last may be
 * shorter. At most TL_UDP_PIECES_MAX, and 65000 bytes in all. */
#define TL_UDP_PIECES_MAX 64
typedef struct {
    const tl_addr *to, *local; /* local: as for tl_udp_send_from */
    struct iovec *pieces;
    size_t count, segment;
} tl_udp_message;
#define TL_UDP_MESSAGES_MAX 64
/* Sends the messages (at most TL_UDP_MESSAGES_MAX) in as few calls as the kernel allows. What it does
 * not take is lost. */
void tl_udp_send_messages(tl_udp *u, const tl_udp_message *messages, size_t n);

#endif
