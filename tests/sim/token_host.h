/* token_host.h - the UDP port of a relay_host on the simulator's internet, as relayd/udp is that of the
 * real one: STUN to relay/stunserver, tokens and control datagrams to the relay itself, and what the relay
 * sends by UDP out. The relay then names this port in its offers.
 *
 * Memory is the simulator's; running out of it aborts. */
#ifndef TEALE_SIM_TOKEN_HOST_H
#define TEALE_SIM_TOKEN_HOST_H

#include "inet.h"
#include "relay/stunserver.h"
#include "relay_host.h"

typedef struct {
    sim *sim;
    sim_host *host;
    relay_host *relay;
    tl_stunserver *stun;
    tl_stun_site site;
    bool silent; /* takes nothing and sends nothing */
} token_host;

/* Starts the relay anew: before any node connects. */
token_host *token_host_new(sim *s, sim_inet *in, relay_host *r, const char *ip, tl_time delay);
/* Before the relay_host is. */
void token_host_free(token_host *h);
const tl_tokens_counters *token_host_counters(const token_host *h);
/* Of the datagrams that were passed on, those that left by UDP. */
uint64_t token_host_by_udp(const token_host *h);

#endif
