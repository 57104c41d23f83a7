/* network_state.h - what the sources of net/network share. Not for other modules. */
#ifndef TL_NET_NETWORK_STATE_H
#define TL_NET_NETWORK_STATE_H

#include "io/netmon.h"
#include "io/portmap.h"
#include "net/endpoint.h"
#include "net/network.h"

/* What a peer would be told of us, as of the last on_change. */
typedef struct {
    tl_sock sock4, sock6;
    tl_nat_type type;
    size_t n;
    tl_candidate candidates[TL_CANDIDATES_MAX];
} tl_told;

#define NAMES_MAX (TL_STUN_SERVERS_MAX + 1) /* and the relay's */

typedef struct {
    tl_network *network;
    char text[TL_HOST_MAX + 6]; /* HOST:PORT as given */
    char host[TL_HOST_MAX];
    uint16_t port; /* 0: no server here */
    tl_resolve *resolve;
    bool failed; /* said once */
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
    bool moved;
    tl_told told;
    uint64_t changes;
    tl_portmap *portmap; /* NULL: not wanted */
    void (*on_stopped)(void *user);
    void *stopped_user;
    tl_defer stopped;

    /* network_stun.c */
    tl_behaviour *behaviour;
    tl_timer behaviour_due;
    tl_time due_at;       /* when that was to fire: much later means that we slept */
    tl_addr seen4, seen6; /* the last public addresses that were known */
    tl_timer round_due;
    bool round_wanted; /* when all names are resolved, whatever came of it */
    tl_timer names_due;
    tl_time names_wait; /* until the next try, while some name has no address */
    bool names_changed; /* since the last round */
    size_t n_names;
    tl_stun_name names[NAMES_MAX]; /* the first is the relay's, or empty (port 0) */
    bool relay_is_local;
    tl_time suspected_at;
    tl_network_look *looks, *looks_now; /* that wait for a round's end; that are being told of it */
    tl_defer looks_done;
    tl_timer looks_due;
    tl_time looks_until;

    tl_network_counters counters; /* gathered when asked for */
};

/* Something of ours changed: on_change follows soon, if it is anything a peer would be told. */
void tl_network_tell(tl_network *w, bool moved);

/* --- network_stun.c --- */

TL_CHECK tl_err tl_network_stun_start(tl_network *w, const tl_network_config *config);
void tl_network_stun_end(tl_network *w);
/* The network or the sockets changed: names and behaviour are asked anew. */
void tl_network_stun_anew(tl_network *w);
/* False: no server's answer, somebody else's to judge. */
bool tl_network_stun_take(tl_network *w, tl_sock sock, const tl_addr *from, tl_slice datagram,
                          const tl_stun *stun);

#endif
