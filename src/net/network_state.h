/* network_state.h - what the sources of net/network share. No other module may include it. */
#ifndef TL_NET_NETWORK_STATE_H
#define TL_NET_NETWORK_STATE_H

#include "io/netmon.h"
#include "io/portmap.h"
#include "io/sleepwatch.h"
#include "net/endpoint.h"
#include "net/network.h"
#include "peer/peer_table.h"

/* What we would tell a peer about us, as it was at the last on_change. */
typedef struct {
    tl_sock sock4, sock6;
    tl_nat_type type;
    size_t n;
    tl_candidate candidates[TL_CANDIDATES_MAX];
} tl_told;

#define NAMES_MAX (TL_STUN_SERVERS_MAX + TL_RELAYS_MAX)

typedef struct {
    tl_network *network;
    char text[TL_HOST_MAX + 6]; /* HOST:PORT as given */
    char host[TL_HOST_MAX];
    uint16_t port; /* 0: this entry is empty */
    bool local;    /* a relay's on this machine: any address will do */
    tl_resolve *resolve;
    bool failed;   /* it was logged once */
    char why[160]; /* the last look-up failed for this; "" = it did not, or there was none */
    size_t n;
    tl_addr addrs[2]; /* one of each family */
} tl_stun_name;

struct tl_network {
    tl_loop *loop;
    tl_rand *rand;
    tl_network_events events;
    void *user;
    tl_endpoint *endpoint;
    tl_netmon *netmon;
    tl_timer tell_due;
    unsigned why; /* of the next on_change */
    tl_sleepwatch *sleepwatch;
    tl_told told;
    uint64_t changes;
    tl_portmap *portmap; /* NULL: port mapping is switched off */
    void (*on_stopped)(void *user);
    void *stopped_user;
    tl_defer stopped;

    /* network_stun.c */
    tl_behaviour *behaviour;
    tl_timer behaviour_due;
    tl_addr seen4, seen6; /* the public addresses known last */
    tl_timer round_due;
    bool round_wanted; /* a round begins when every look-up is over, with or without an address */
    tl_timer names_due;
    tl_time names_wait; /* time until the next try, while some name has no address */
    bool names_changed; /* an address changed since the last round */
    size_t n_names;
    tl_stun_name names[NAMES_MAX]; /* the first TL_RELAYS_MAX are our relays', or empty */
    tl_time suspected_at;
    tl_network_look *looks, *looks_now; /* looks that wait for the end of the round; looks that are
                                           being told of it */
    tl_defer looks_done;
    tl_timer looks_due;
    tl_time looks_until;

    tl_network_counters counters; /* gathered when they are asked for */
};

/* Something of ours changed. on_change follows soon, if it is something that we would tell a peer, or if
 * `why` (tl_network_why) is not 0. */
void tl_network_tell(tl_network *w, unsigned why);

/* --- network_stun.c --- */

TL_CHECK tl_err tl_network_stun_start(tl_network *w, const tl_network_config *config);
void tl_network_stun_end(tl_network *w);
/* The network or the sockets changed: looks names up anew, and asks for the NAT's behaviour
 * anew. */
void tl_network_stun_anew(tl_network *w);
/* False: it is not a server's answer; another module must look at it. */
bool tl_network_stun_take(tl_network *w, tl_sock sock, const tl_addr *from, tl_slice datagram,
                          const tl_stun *stun);

#endif
