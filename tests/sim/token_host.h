/* token_host.h - the relay's tokens on a host of the simulator's internet: what a relay does with
 * `token || datagram`, by UDP and by the WebSockets of a relay_host, with offers and RelayMigrate.
 * Small and strict; any node of a test that uses it gets offers for its sessions.
 *
 * Memory is the simulator's; running out of it aborts. */
#ifndef TEALE_SIM_TOKEN_HOST_H
#define TEALE_SIM_TOKEN_HOST_H

#include "crypto/identity.h"
#include "inet.h"
#include "relay/stunserver.h"
#include "relay_host.h"

#define TOKEN_HOST_SESSIONS 64

typedef struct {
    uint8_t token[16];
    relay_host_conn *conn;
    uint8_t epoch; /* of the connection */
    tl_node_id node;
    bool bound, by_udp;
    tl_addr at;
    uint64_t sequence, pending; /* of RelayMigrate: the last one accepted, the one under way */
    tl_addr pending_at;
    uint8_t nonce[16];
} token_side;

typedef struct {
    char id[65];
    bool live;
    token_side side[2];
} token_session;

typedef struct {
    sim *sim;
    sim_host *host;
    relay_host *relay;
    tl_stunserver *stun;
    tl_stun_site site;
    bool silent;                /* answers nothing by UDP, and passes nothing on */
    bool offers;                /* false: an old relay */
    relay_host_conn *answering; /* whose relayReady is passing through */
    size_t n;
    token_session sessions[TOKEN_HOST_SESSIONS];
    uint64_t by_udp, by_websocket; /* datagrams passed on, by how they left */
    uint64_t dropped_token, dropped_source, dropped_short, migrated;
} token_host;

token_host *token_host_new(sim *s, sim_inet *in, relay_host *r, const char *ip, tl_time delay);
void token_host_free(token_host *h);
tl_addr token_host_addr(const token_host *h);
/* What relayWarning says of every session. */
void token_host_warn(token_host *h, tl_unix ends_at);

#endif
