/* network_internal.h - what the sources of node/network share. Not for other modules. */
#ifndef TL_NODE_NETWORK_INTERNAL_H
#define TL_NODE_NETWORK_INTERNAL_H

#include "io/netmon.h"
#include "node/endpoint.h"
#include "node/network.h"

/* What a peer would be told of us, as of the last on_change. */
typedef struct {
    tl_sock sock4, sock6;
    const char *type; /* of the NAT; static storage */
    size_t n;
    tl_candidate candidates[TL_CANDIDATES_MAX];
} tl_told;

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
    tl_network_look *looks; /* that wait for a round's end */
    tl_defer looks_done;
    void (*on_stopped)(void *user);
    void *stopped_user;
    tl_defer stopped;
    tl_network_counters counters; /* gathered when asked for */
};

/* Something of ours changed: on_change follows soon, if it is anything a peer would be told. */
void tl_network_tell(tl_network *w, bool moved);

#endif
