/* whole_net.h - a node's place on the simulator's internet, as net/network is on a real one:
 * interfaces, UDP sockets, what STUN servers tell. Watches every datagram that the node sends: to
 * which addresses, and how many before anything came from there.
 *
 * Memory is the simulator's; running out of it aborts. */
#ifndef TEALE_SIM_WHOLE_NET_H
#define TEALE_SIM_WHOLE_NET_H

#include "direct/direct.h"
#include "inet.h"
#include "nat/behaviour.h"

#define WHOLE_NET_SOCK4   1
#define WHOLE_NET_SOCK6   2
#define WHOLE_NET_EXTRA   16 /* the first of further sockets */
#define WHOLE_NET_SOCKETS 300
#define WHOLE_NET_PATH    2 /* the host's first link to the internet; that to the relay is 1 */

typedef struct {
    /* A STUN message that is no server's answer. */
    void (*on_stun)(void *user, tl_sock sock, const tl_addr *from, tl_slice datagram,
                    const tl_stun *stun);
    void (*on_train)(void *user, tl_sock sock, const tl_addr *from, uint8_t *data, size_t n,
                     size_t segment);
    void (*on_change)(void *user, bool moved);
    bool (*on_control)(void *user, tl_sock sock, const tl_addr *from, tl_slice datagram);
} whole_net_events;

/* What went to one address:port before anything came from there. */
typedef struct {
    tl_addr to;
    uint64_t unheard, heard_at, sent;
} whole_net_tally;

typedef struct {
    sim *sim;
    sim_host *host;
    sim_inet *in;
    whole_net_events events;
    void *user;
    bool lan; /* neighbours are answered */
    bool on;  /* it has joined a network once: there are sockets */
    uint16_t port;

    size_t n_interfaces;
    tl_interface interfaces[TL_INTERFACES_MAX];
    uint32_t paths[TL_INTERFACES_MAX];
    uint16_t extra[WHOLE_NET_SOCKETS]; /* ports of further sockets; 0: closed */
    size_t n_servers;
    tl_stun_server servers[TL_STUN_SERVERS_MAX];

    tl_behaviour *behaviour;
    tl_direct_self self;
    tl_candidate candidates[TL_CANDIDATES_MAX];
    tl_addr mapped; /* by a port mapping */
    tl_addr relay;  /* the relay's UDP address: no peer named it */
    tl_addr told4, told6;
    tl_time look_at, change_at, suspected_at;
    bool moved;
    bool rebuilt;     /* the interfaces are others; until the owner says false */
    unsigned changes; /* that were told as moves */

    whole_net_tally *tallies;
    size_t n_tallies, cap_tallies;
    uint64_t forbidden; /* datagrams to where nothing may ever go */
} whole_net;

void whole_net_init(whole_net *w, sim *s, sim_host *host, tl_rand *rand,
                    const whole_net_events *events, void *user);
void whole_net_clear(whole_net *w);

/* A new interface: `site` NULL is the public network. `path`: which link of the host. */
sim_link *whole_net_join(whole_net *w, sim_inet *in, uint32_t path, sim_site *site, const char *ip,
                         uint8_t prefix, const sim_faults *faults);
/* The interface with this address goes. */
void whole_net_leave(whole_net *w, const char *ip);
void whole_net_ask_server(whole_net *w, const tl_addr *server);
/* A port mapping at this NAT for our port; false where there is no IPv4 address. */
bool whole_net_map(whole_net *w, sim_nat *nat);

const tl_direct_self *whole_net_self(whole_net *w);
tl_err whole_net_send(whole_net *w, tl_sock sock, const tl_addr *to, const uint8_t *data, size_t n,
                      size_t segment);
size_t whole_net_open_sockets(whole_net *w, tl_sock *ret_socks, size_t n);
void whole_net_close_socket(whole_net *w, tl_sock sock);
size_t whole_net_extra_sockets(const whole_net *w);
/* As tl_network_suspect. */
void whole_net_suspect(whole_net *w);

void whole_net_on_datagram(whole_net *w, uint8_t *data, size_t n);
void whole_net_flush(whole_net *w);
void whole_net_on_timer(whole_net *w);
tl_time whole_net_expiry(const whole_net *w);

#endif
