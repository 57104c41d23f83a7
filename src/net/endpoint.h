/* endpoint.h - the node's UDP sockets: one port for both families, kept over restarts, and further
 * sockets for the birthday search. Tells kinds of datagrams apart (net/kinds): STUN, control, the DHT's
 * KRPC, relayed packets where somebody takes them, QUIC; all else, and the too short, is dropped and
 * counted. Answers none, and knows no peer.
 *
 * What came to one of this machine's addresses is told with a tl_sock that names this address too
 * (nat/candidate.h), and what is sent with this tl_sock leaves from there. The sockets of the search
 * do not tell addresses apart.
 *
 * A socket that the kernel declares broken is replaced by a new one on the same port, with a new
 * tl_sock. */
#ifndef TL_NET_ENDPOINT_H
#define TL_NET_ENDPOINT_H

#include "io/loop.h"
#include "nat/candidate.h"
#include "relay/bursts.h"
#include "wire/stun.h"

#define TL_ENDPOINT_EXTRA_MAX 256 /* for the birthday search (docs/protocol.md) */

typedef struct tl_endpoint tl_endpoint;

typedef struct {
    uint16_t port;         /* 0: the port of last time, or else any */
    const char *port_file; /* the file that keeps the port over restarts, borrowed for life; NULL:
                              none */
} tl_endpoint_config;

/* These are called from the loop. They may call anything here but tl_endpoint_free. */
typedef struct {
    void (*on_stun)(void *user, tl_sock sock, const tl_addr *from, tl_slice datagram,
                    const tl_stun *stun);
    /* Datagrams of one sender, back to back. Each is `segment` bytes long; only the last may be
     * shorter. They may be changed during the call. */
    void (*on_train)(void *user, tl_sock sock, const tl_addr *from, uint8_t *data, size_t n,
                     size_t segment);
    void (*on_rebuilt)(void *user); /* a socket of the port was opened, closed or replaced */
    /* One datagram that begins with 0x0C. False: it is for nobody here. NULL: nobody listens. */
    bool (*on_control)(void *user, tl_sock sock, const tl_addr *from, tl_slice datagram);
    /* One datagram that begins and ends as KRPC does (net/kinds) and came to the port. Nobody else is
     * asked about it. False, and NULL: as with on_control. */
    bool (*on_krpc)(void *user, tl_sock sock, const tl_addr *from, tl_slice datagram);
    /* As on_train, of datagrams that each begin with a token's first byte, however short they are, and
     * came to the port. False: it is for nobody here. NULL: nobody listens. */
    bool (*on_tokens)(void *user, const tl_burst_way *way, uint8_t *data, size_t n, size_t segment);
    /* What on_tokens was given is about to be overwritten. NULL: nobody keeps it. */
    void (*on_read)(void *user);
} tl_endpoint_events;

typedef struct {
    uint64_t datagrams_in, datagrams_out, bytes_in, bytes_out;
    uint64_t dropped_short;     /* empty, or too short for the kind that their first byte shows */
    uint64_t dropped_malformed; /* they have STUN's cookie but are not STUN */
    uint64_t dropped_control;   /* nobody listened */
    uint64_t dropped_krpc;      /* the same */
    uint64_t dropped_unknown;
    uint64_t send_errors, too_large, rebuilt;
} tl_endpoint_counters;

/* TL_ERR_EXISTS: another program uses the configured port. TL_ERR_IO: there is no socket of either
 * family. TL_ERR_NOMEM. If the port file cannot be read or written, this is logged and is not an
 * error. */
TL_CHECK tl_err tl_endpoint_new(tl_loop *loop, const tl_endpoint_config *config,
                                const tl_endpoint_events *events, void *user,
                                tl_endpoint **ret_endpoint, tl_why *why);
void tl_endpoint_free(tl_endpoint *e);

/* The network changed: a family that had no socket may have one now. */
void tl_endpoint_refresh(tl_endpoint *e);

/* Like tl_udp_send. TL_ERR_NOT_FOUND: there is no such socket (any more). TL_ERR_UNREACHABLE also
 * if `to` is not of the socket's family or has port 0. */
TL_CHECK tl_err tl_endpoint_send(tl_endpoint *e, tl_sock sock, const tl_addr *to,
                                 const uint8_t *data, size_t n, size_t segment);
/* The same as tl_udp_send_prefixed does it. */
TL_CHECK tl_err tl_endpoint_send_prefixed(tl_endpoint *e, tl_sock sock, const tl_addr *to,
                                          tl_slice prefix, const uint8_t *data, size_t n,
                                          size_t segment);

/* Where a datagram came from, as bursts write it: the sockets of the port are number 0 (IPv4) and 1
 * (IPv6). False: it came to another socket, or nobody knows to which address. */
bool tl_endpoint_way(tl_endpoint *e, tl_sock sock, const tl_addr *from, tl_burst_way *ret_way);
/* Sends the bursts from the port. What the kernel does not take is lost. */
void tl_endpoint_send_bursts(tl_endpoint *e, const tl_bursts *bursts);

/* Opens up to `n` IPv4 sockets, each on a port of its own. Returns how many were opened. */
size_t tl_endpoint_open(tl_endpoint *e, tl_sock *ret_socks, size_t n);
/* Closes a socket from tl_endpoint_open; leaves any other alone. */
void tl_endpoint_close(tl_endpoint *e, tl_sock sock);

/* They name no address of this machine. 0: there is none. */
tl_sock tl_endpoint_sock4(const tl_endpoint *e);
tl_sock tl_endpoint_sock6(const tl_endpoint *e);
uint16_t tl_endpoint_port(const tl_endpoint *e);
const tl_endpoint_counters *tl_endpoint_counters_of(const tl_endpoint *e);

#endif
