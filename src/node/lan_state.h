/* lan_state.h - what the sources of node/ share of the local network. No other room includes it. */
#ifndef TL_NODE_LAN_STATE_H
#define TL_NODE_LAN_STATE_H

#include "io/mdns.h"
#include "net/lan.h"
#include "net/lantcp.h"
#include "node/state.h"
#include "node/trials.h"
#include "peer/neighbours.h"

/* One that somebody here waits for. */
typedef struct {
    tl_node_id id;
    tl_time until; /* then it is forgotten; 0: none */
    bool waits;    /* tl_peers_on_looked is owed, when the discovery has had its time */
} tl_lan_sought;
#define TL_NODE_LAN_SOUGHT 8

struct tl_node_lan {
    tl_lantcp *tcp; /* NULL: nobody is heard by TCP */
    tl_mdns *mdns;  /* NULL: the discovery is off */
    tl_lan *table;  /* who is announced */
    tl_neighbours *core;
    tl_trials *trials;
    tl_lan_sought sought[TL_NODE_LAN_SOUGHT];
    uint64_t refused_told; /* strangers that had found no room when all were told again */
    tl_time retell_at;
    bool over;        /* tl_router_on_near_over is owed */
    bool asked;       /* somebody waits for it */
    tl_time settles;  /* by then those who are there have answered; 0: the discovery is off */
    char error[512];  /* why nobody is heard by TCP */
    tl_time back_at;  /* when neighbours whose connection goes another way are tried again */
    uint64_t greeted; /* PunchIntros that went out */
};

/* node_lan.c. After the peers. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_node_wire_lan(tl_node *n);
/* Listens and announces this node, or ceases to, as the settings say and where there is a UDP port. */
void tl_node_apply_lan(tl_node *n);
/* Says goodbye there, and closes what goes by TCP. */
void tl_node_leave_lan(tl_node *n);
/* Before tl_direct_free. */
void tl_node_free_lan(tl_node *n);
/* Are neighbours found and answered? */
bool tl_node_lan_is_on(const tl_node *n);
/* Is the peer announced there? */
bool tl_node_lan_has(const tl_node *n, const tl_node_id *peer);
/* How many nodes are announced there, in n->lan->table; 0 where it is off. */
size_t tl_node_lan_count(const tl_node *n);
/* node_lan_sought.c. A connection to the peer is wanted, and where it is, is not known: its announcement is heard also in
 * a flood of others, and if it was heard, it is told again. True: `alone`, for nobody else looks for it, and the
 * discovery has just begun; tl_peers_on_looked follows. */
bool tl_node_lan_seek(tl_node *n, const tl_node_id *peer, bool alone);
void tl_node_lan_tell_sought(tl_node *n);
bool tl_node_lan_sought_waits(const tl_node *n);
bool tl_node_lan_is_sought(const tl_node *n, const tl_node_id *peer);
/* Strangers that found no room in a flood are told again once there is room. */
void tl_node_lan_retell(tl_node *n);
tl_time tl_node_lan_retell_expiry(const tl_node *n);
/* Tells discovery whose announcements come first. */
void tl_node_lan_prefer(tl_node *n);
/* node_lan_report.c: "lan" of `status`. */
json_t *tl_node_lan_json(const tl_node *n);
/* The nodes that are announced, and of which `is_listed` says that they are not in another list. NULL: out of memory. */
json_t *tl_node_lan_announced(const tl_node *n,
                              bool (*is_listed)(const tl_node *n, const tl_node_id *id));
/* As tl_direct_world has them. */
size_t tl_node_lan_near(void *user, const tl_node_id *peer, tl_addr ret_addrs[TL_DIRECT_NEAR_MAX]);
bool tl_node_lan_greet(void *user, const tl_node_id *peer,
                       const uint8_t nonce[TL_CONTROL_NONCE_SIZE]);
size_t tl_node_lan_pipes(void *user, const tl_node_id *peer,
                         tl_direct_pipe ret_pipes[TL_DIRECT_PIPES_MAX]);
void tl_node_lan_proven(void *user, tl_sock pipe, const tl_node_id *peer);
bool tl_node_lan_is_full(void *user, tl_sock pipe);
TL_CHECK tl_err tl_node_lan_send(tl_node *n, tl_sock pipe, const uint8_t *data, size_t len,
                                 size_t segment);
/* As tl_router_world has them. */
bool tl_node_lan_look(void *user);
bool tl_node_lan_is_near(void *user, const tl_node_id *peer);
bool tl_node_lan_has_near(void *user);
/* Our interfaces, or those whom we know, are others now. */
void tl_node_lan_network_changed(tl_node *n, bool link);
void tl_node_lan_known_changed(tl_node *n);
void tl_node_lan_hello(tl_node *n, const tl_node_id *peer);
void tl_node_lan_left(tl_node *n, const tl_node_id *peer);
void tl_node_lan_on_timer(tl_node *n);
tl_time tl_node_lan_expiry(const tl_node *n);

#endif
