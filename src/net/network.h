/* network.h - the node's place on the network: its UDP port, interfaces and public addresses, the
 * NAT's behaviour, and the port mapping. Keeps all of them up to date. Owns endpoint, netmon,
 * portmap and behaviour. Knows no peer: datagrams that are not its own go to the functions it is
 * given. */
#ifndef TL_NET_NETWORK_H
#define TL_NET_NETWORK_H

#include "io/loop.h"
#include "nat/behaviour.h"
#include "relay/bursts.h"

typedef struct tl_network tl_network;

typedef struct {
    const char *const *stun_servers; /* HOST:PORT; borrowed for the call */
    size_t n_stun_servers;
    uint16_t port;         /* of both families; 0: the port of last time, or else any */
    const char *port_file; /* the file that keeps the port over restarts; NULL: none */
    bool port_mapping;
} tl_network_config;

/* Why on_change is called. 0: more is known of the same network. */
typedef enum {
    TL_NETWORK_LINK = 1,    /* an interface or a route changed, or a socket broke */
    TL_NETWORK_ADDRESS = 2, /* servers see us at another public address */
    TL_NETWORK_WOKE = 4,    /* this machine slept: all may be otherwise than it looks */
} tl_network_why;

typedef struct {
    /* A STUN message that is not a server's answer. */
    void (*on_stun)(void *user, tl_sock sock, const tl_addr *from, tl_slice datagram,
                    const tl_stun *stun);
    /* Datagrams that may be QUIC's, back to back. Each is `segment` bytes long; only the last may
     * be shorter. */
    void (*on_train)(void *user, tl_sock sock, const tl_addr *from, uint8_t *data, size_t n,
                     size_t segment);
    /* What we would tell a peer has changed: addresses, NAT, mapping. `why` is made of bits of
     * tl_network_why: where it is not 0, the network itself changed, or may have, so paths that worked
     * may work no more. */
    void (*on_change)(void *user, unsigned why);
    /* A control datagram (it begins with 0x0C). False: it is for nobody here. */
    bool (*on_control)(void *user, tl_sock sock, const tl_addr *from, tl_slice datagram);
    /* As tl_endpoint_events has them. */
    bool (*on_krpc)(void *user, tl_sock sock, const tl_addr *from, tl_slice datagram);
    bool (*on_tokens)(void *user, const tl_burst_way *way, uint8_t *data, size_t n, size_t segment);
    void (*on_read)(void *user);
} tl_network_events;

TL_CHECK tl_err tl_network_new(tl_loop *loop, tl_rand *rand, const tl_network_config *config,
                               const tl_network_events *events, void *user,
                               tl_network **ret_network, tl_why *why);
/* Gives the port mapping back, which takes at most 2 s; then calls on_done. */
void tl_network_stop(tl_network *w, void (*on_done)(void *user), void *user);
void tl_network_free(tl_network *w);

/* The UDP port of one of our relays, as registerAck told it; "" = none. `place` 0 is the nearest relay's:
 * it is a STUN server that is asked, too. The name at another place (below TL_RELAYS_MAX) is only looked
 * up. Datagrams go only to an address that a peer's candidate may have. If that relay is `local` (its
 * URL says that it is on this machine), they go to any address. */
void tl_network_set_relay_udp(tl_network *w, size_t place, const char *hostport, bool local);

/* The addresses behind a relay's HOST:PORT to which datagrams may go: those of tl_network_set_relay_udp,
 * and an address that is written as such. 0: none is known (yet), or none may be asked, for the same
 * reason as there. */
size_t tl_network_relay_addrs(const tl_network *w, const char *hostport, tl_addr ret_addrs[2]);

/* Like tl_udp_send. TL_ERR_NOT_FOUND: this socket is closed. */
TL_CHECK tl_err tl_network_send(tl_network *w, tl_sock sock, const tl_addr *to, const uint8_t *data,
                                size_t n, size_t segment);
/* Like tl_udp_send_prefixed; otherwise the same. */
TL_CHECK tl_err tl_network_send_prefixed(tl_network *w, tl_sock sock, const tl_addr *to,
                                         tl_slice prefix, const uint8_t *data, size_t n,
                                         size_t segment);
/* As tl_endpoint_way and tl_endpoint_send_bursts. */
bool tl_network_way(tl_network *w, tl_sock sock, const tl_addr *from, tl_burst_way *ret_way);
void tl_network_send_bursts(tl_network *w, const tl_bursts *bursts);
/* Opens further sockets, for the birthday search; returns how many were opened. */
size_t tl_network_open_sockets(tl_network *w, tl_sock *ret_socks, size_t n);
void tl_network_close_socket(tl_network *w, tl_sock sock);

tl_sock tl_network_sock4(const tl_network *w); /* 0: there is none */
tl_sock tl_network_sock6(const tl_network *w);
uint16_t tl_network_port(const tl_network *w);
const tl_interface *tl_network_interfaces(const tl_network *w, size_t *ret_n);
size_t tl_network_candidates(const tl_network *w, tl_candidate ret[TL_CANDIDATES_MAX]);
const tl_nat_facts *tl_network_facts(const tl_network *w);
size_t tl_network_stun_reports(const tl_network *w, tl_stun_report ret[TL_STUN_SERVERS_MAX]);
/* The servers that cannot be asked, because their names have no address. */
typedef struct {
    const char *name; /* as the settings name it; borrowed, as `why` is, until the loop runs on */
    const char *why;  /* why it has no address; NULL: the look-up is under way */
} tl_stun_unnamed;
#define TL_STUN_UNNAMED_MAX (TL_STUN_SERVERS_MAX + 1)
size_t tl_network_stun_unnamed(const tl_network *w, tl_stun_unnamed ret[TL_STUN_UNNAMED_MAX]);
const tl_behaviour_counters *tl_network_stun_counters(const tl_network *w);
tl_time tl_network_keepalive(const tl_network *w);
/* The protocol of the port mapping: "PCP", "NAT-PMP", "UPnP", or NULL. Its address. And why there
 * is no mapping; NULL when there is one. */
const char *tl_network_mapped_by(const tl_network *w);
tl_addr tl_network_mapped(const tl_network *w);
const char *tl_network_mapping_error(const tl_network *w);

/* Asks every STUN server anew, in a full round. It mostly takes one round trip; 4.5 s if a server
 * is down; at most 8 s. Then calls on_done once, never from inside this call. If the network is
 * freed before, on_done is not called. */
typedef struct tl_network_look {
    void (*on_done)(void *user);
    void *user;
    struct tl_network_look *next;
    tl_network *network; /* NULL: the look is over */
} tl_network_look;
void tl_network_look_start(tl_network *w, tl_network_look *l);
void tl_network_unlook(tl_network_look *l);
/* To call when something looks wrong (a direct path fell silent): asks whether our public address
 * changed. This is quick and cheap, and done at most once in a second. If it changed, on_change
 * follows. */
void tl_network_suspect(tl_network *w);

typedef struct {
    uint64_t changes; /* how often the network changed */
    uint64_t datagrams_in, datagrams_out, bytes_in, bytes_out;
    uint64_t dropped_short, dropped_malformed, dropped_control, dropped_krpc, dropped_unknown;
    uint64_t send_errors, too_large, rebuilt; /* rebuilt: sockets that broke and were replaced */
} tl_network_counters;
const tl_network_counters *tl_network_counters_of(const tl_network *w);

#endif
