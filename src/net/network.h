/* network.h - the node's place on the network: its UDP port, interfaces, public addresses, the
 * NAT's behaviour and port mapping, kept fresh. Owns endpoint, netmon, portmap and behaviour; knows
 * no peer: datagrams that are not its own go to the functions it is given. */
#ifndef TL_NET_NETWORK_H
#define TL_NET_NETWORK_H

#include "io/loop.h"
#include "nat/behaviour.h"

typedef struct tl_network tl_network;

typedef struct {
    const char *const *stun_servers; /* HOST:PORT; borrowed for the call */
    size_t n_stun_servers;
    uint16_t port;         /* of both families; 0: the one of last time, else any */
    const char *port_file; /* where the port is kept over restarts; NULL: nowhere */
    bool port_mapping;
} tl_network_config;

typedef struct {
    /* A STUN message that is no server's answer. */
    void (*on_stun)(void *user, tl_sock sock, const tl_addr *from, tl_slice datagram,
                    const tl_stun *stun);
    /* Datagrams that may be QUIC's, back to back, `segment` bytes each but the last. */
    void (*on_train)(void *user, tl_sock sock, const tl_addr *from, uint8_t *data, size_t n,
                     size_t segment);
    /* What we would tell a peer changed: addresses, NAT, mapping. `moved`: the network itself did
     * (an interface, a route, the public address), so that what stood may stand no more. */
    void (*on_change)(void *user, bool moved);
} tl_network_events;

TL_CHECK tl_err tl_network_new(tl_loop *loop, tl_rand *rand, const tl_network_config *config,
                               const tl_network_events *events, void *user,
                               tl_network **ret_network, tl_why *why);
/* Gives the port mapping back, at most 2 s; then on_done. */
void tl_network_stop(tl_network *w, void (*on_done)(void *user), void *user);
void tl_network_free(tl_network *w);

/* The relay's own STUN server, from registerAck; "" = none. Asked where a peer's candidate may be,
 * and anywhere if the relay is `local`: on this machine, as its URL says. */
void tl_network_set_relay_stun(tl_network *w, const char *hostport, bool local);

/* As tl_udp_send. TL_ERR_NOT_FOUND: no such socket any more. */
TL_CHECK tl_err tl_network_send(tl_network *w, tl_sock sock, const tl_addr *to, const uint8_t *data,
                                size_t n, size_t segment);
/* Further sockets, for the birthday search; returns how many there are. */
size_t tl_network_open_sockets(tl_network *w, tl_sock *ret_socks, size_t n);
void tl_network_close_socket(tl_network *w, tl_sock sock);

tl_sock tl_network_sock4(const tl_network *w); /* 0: none */
tl_sock tl_network_sock6(const tl_network *w);
uint16_t tl_network_port(const tl_network *w);
const tl_interface *tl_network_interfaces(const tl_network *w, size_t *ret_n);
size_t tl_network_candidates(const tl_network *w, tl_candidate ret[TL_CANDIDATES_MAX]);
const tl_nat_facts *tl_network_facts(const tl_network *w);
size_t tl_network_stun_reports(const tl_network *w, tl_stun_report ret[TL_STUN_SERVERS_MAX]);
const tl_behaviour_counters *tl_network_stun_counters(const tl_network *w);
tl_time tl_network_keepalive(const tl_network *w);
/* "PCP", "NAT-PMP", "UPnP", or NULL; and the address it maps, or why there is none (NULL when there
 * is one). */
const char *tl_network_mapped_by(const tl_network *w);
tl_addr tl_network_mapped(const tl_network *w);
const char *tl_network_mapping_error(const tl_network *w);

/* Asks every STUN server anew (a full round; mostly one round trip, with a server
 * that is down 4.5 s, at most 8 s) and calls on_done, once, never from
 * inside; not at all when the network is freed before. */
typedef struct tl_network_look {
    void (*on_done)(void *user);
    void *user;
    struct tl_network_look *next;
    tl_network *network; /* NULL: over */
} tl_network_look;
void tl_network_look_start(tl_network *w, tl_network_look *l);
void tl_network_unlook(tl_network_look *l);
/* Something looks wrong (a direct path fell silent): has our public address changed? Quick and
 * cheap; on_change follows if so. At most one in a second. */
void tl_network_suspect(tl_network *w);

typedef struct {
    uint64_t changes; /* of the network */
    uint64_t datagrams_in, datagrams_out, bytes_in, bytes_out;
    uint64_t dropped_short, dropped_malformed, dropped_control, dropped_unknown;
    uint64_t send_errors, too_large, rebuilt; /* rebuilt: sockets that broke and were replaced */
} tl_network_counters;
const tl_network_counters *tl_network_counters_of(const tl_network *w);

#endif
