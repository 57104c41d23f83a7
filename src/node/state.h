/* state.h - what the sources of node/node share: node.c (life and driving), node_wiring.c
 * (who tells whom), node_network.c (the network and direct ways), node_settings.c (settings put
 * into force), node_report.c (status, peers, models, events), facts.c, node_ping.c. Nobody
 * else's. */
#ifndef TL_NODE_STATE_H
#define TL_NODE_STATE_H

#include "ask/access.h"
#include "ask/asker.h"
#include "ask/router.h"
#include "ask/server.h"
#include "direct/direct.h"
#include "net/network.h"
#include "net/relay_client.h"
#include "node/hardware.h"
#include "node/node.h"
#include "peer/peers.h"

/* The relay is asked who is there, when somebody looks and the last answer is older than this. */
#define TL_NODE_GOODBYE_WITHIN (1 * TL_SEC) /* for the relay to take our last words */
#define TL_NODE_UNMAP_WITHIN   (1 * TL_SEC) /* and for the router, beyond that */

struct tl_node {
    tl_loop *loop;
    tl_settings settings;
    tl_identity identity;
    char hex[TL_NODE_ID_HEX + 1];
    char name[64];
    tl_rand rand;
    tl_env env;
    tl_hardware hardware;
    tl_peer_table table;
    tl_relay_link *link;
    tl_relay_client *client;
    tl_network *network; /* NULL: wan_enabled is false, or there is no socket */
    tl_direct *direct;
    tl_direct_self self;
    tl_candidate candidates[TL_CANDIDATES_MAX];
    char network_error[512]; /* why there is no network */
    bool network_stopped;
    char port_file[1024];
    tl_access access; /* who may ask us, whom we may ask: tl_node_apply_access keeps it true */
    tl_peers *peers;
    tl_asker *asker;
    tl_router *router;
    tl_server *server;
    tl_backend *backend; /* NULL: nothing is shared */

    tl_defer work;
    tl_timer timer;
    bool again; /* something came up while tl_node_run ran */
    tl_time started;
    tl_time discovered_at; /* the last discovery of everybody; 0 = none */
    bool discovering;      /* it has not been answered yet */
    tl_node_look *looks;   /* waiting for it */
    char wan_error[512];   /* why the relay client could not be started */
    tl_node_listener *listeners;

    enum { TL_NODE_NEW, TL_NODE_RUNNING, TL_NODE_DRAINING, TL_NODE_LEAVING, TL_NODE_GONE } stage;
    tl_time drain_deadline;
    void (*on_drained)(void *user);
    void *drained_user;
};

/* node.c */
void tl_node_wake(tl_node *n);

/* node_wiring.c */
TL_CHECK tl_err tl_node_wire(tl_node *n);
/* Capabilities anew, to relay and peers. */
void tl_node_tell_capabilities(tl_node *n);
bool tl_node_is_shared(const tl_node *n, const char *model);
TL_CHECK tl_err tl_node_ask_everybody(tl_node *n);

/* node_network.c */
TL_CHECK tl_err tl_node_wire_direct(tl_node *n);
/* Opens the UDP port, or closes it, as the settings want. No socket is no reason not to start. */
void tl_node_apply_network(tl_node *n);
/* From registerAck; a socket of the network must be there. */
void tl_node_set_relay_stun(tl_node *n);
/* Does what follows from what direct tells. */
void tl_node_run_direct(tl_node *n);
void tl_node_signalled(tl_node *n, tl_signal_type type, const tl_node_id *from, tl_slice payload);

/* node_look.c */
/* A discovery of everybody has ended. */
void tl_node_looks_done(tl_node *n);

/* node_settings.c */
TL_CHECK tl_err tl_node_apply_share(tl_node *n, tl_why *why);
/* A relay that cannot be used is no reason not to start: status tells. */
void tl_node_apply_relay(tl_node *n);
/* After every change of the stage or of what is shared. */
void tl_node_apply_access(tl_node *n);
void tl_node_apply_limits(tl_node *n);

/* node_report.c */
/* `wan` of the status; NULL: out of memory. */
json_t *tl_node_wan_json(const tl_node *n);
/* PeerJoined, PeerLeft, PathChanged: with the path now and the one told before. `why` NULL: the
 * rule that chose the path. */
void tl_node_emit_peer(tl_node *n, const char *name, const tl_peer *peer, const char *why);
/* NetworkChanged, with what is known of the NAT now. `moved`: interfaces, routes or the public
 * address changed; else more is known of the same network. */
void tl_node_emit_network(tl_node *n, bool moved);
/* Takes the reference to `data`; adds the time. */
void tl_node_emit(tl_node *n, const char *name, json_t *data);
void tl_node_write_time(char ret[32], tl_unix at);

#endif
