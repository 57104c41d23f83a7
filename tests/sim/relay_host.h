/* relay_host.h - a real tl_relay on a host of the simulator, and the WebSocket connections to it:
 * each message is one datagram of a link without faults, which makes the link a TCP connection. */
#ifndef TEALE_SIM_RELAY_HOST_H
#define TEALE_SIM_RELAY_HOST_H

#include "relay/relay.h"
#include "sim.h"

#define RELAY_HOST_CONNS 16
#define RELAY_HOST_NAME  "relay.test" /* the authority that nodes sign */

typedef struct relay_host relay_host;

typedef struct {
    relay_host *host;
    uint32_t path; /* our name for the link; the node's is 1 */
    sim_link *link;
    tl_relay_conn *conn; /* NULL: not connected */
    uint8_t epoch; /* of the connection: leads every datagram, so that none outlives its own */
} relay_host_conn;

struct relay_host {
    sim *sim;
    sim_host *host;
    tl_relay *relay;
    size_t n;
    relay_host_conn conns[RELAY_HOST_CONNS];
    /* A hostile relay: sees every text on its way to a node, and may change it within `cap`. */
    void (*tamper)(void *user, uint8_t *text, size_t *n, size_t cap);
    void *tamper_user;
    tl_relay_limits limits; /* in force after relay_host_restart, if they are on */
    tl_addr udp;            /* its UDP port; family NONE: it has none */
    void (*send_bursts)(void *user, const tl_bursts *bursts);
    void *bursts_user;
};

relay_host *relay_host_new(sim *s);
void relay_host_free(relay_host *r);
/* A link of `delay` one way from `node`, which calls it 1. Not connected yet. */
relay_host_conn *relay_host_plug(relay_host *r, sim_host *node, tl_time delay);
/* The same; the node calls the link `path`. */
relay_host_conn *relay_host_plug_as(relay_host *r, sim_host *node, uint32_t path, tl_time delay);
/* The WebSocket opens, or goes away without a word; the node's side is the caller's. */
void relay_host_connect(relay_host_conn *c);
void relay_host_disconnect(relay_host_conn *c);
/* A hostile relay says this frame (a whole one, as `tamper` saw it) to a node. */
void relay_host_say(relay_host_conn *c, tl_slice frame);
/* What the relay has to send goes out: something came to it by another way than by a connection. */
void relay_host_drain(relay_host *r);
/* As if the process was started anew: every connection and session is gone. */
void relay_host_restart(relay_host *r);

#endif
