/* inet.h - an internet for the simulator's hosts: addresses, local networks behind NATs (nested as
 * one likes, private ranges may overlap), routes between them. One host of the simulation is the
 * cloud; each member has a link to it, whose faults are those of the member's local network.
 *
 * Memory is the simulator's; running out of it aborts. */
#ifndef TEALE_SIM_INET_H
#define TEALE_SIM_INET_H

#include "nat.h"
#include "sim.h"

typedef struct sim_inet sim_inet;
typedef struct sim_site sim_site;

/* `core`: what happens to a datagram between the borders of two sites (the public network's hosts
 * being their own border). Without delay, two NATs would see each other's packets at once. */
sim_inet *sim_inet_new(sim *s, const sim_faults *core);
sim_link *sim_inet_core(sim_inet *in);
/* Frees the NATs it made, too. */
void sim_inet_free(sim_inet *in);

/* A local network behind NAT for IPv4, a firewall for IPv6 (which filters as the NAT does).
 * `outer`: the network that the NAT's address `ip` is of; NULL: the public one. */
sim_site *sim_inet_site(sim_inet *in, sim_site *outer, const sim_nat_kind *kind, const char *ip);
sim_nat *sim_site_nat(sim_site *site);
/* Whom the public network takes a datagram from `inside` for, after all NATs on the way (NULL:
 * there is none). Makes the mappings, as the datagram would. */
tl_addr sim_site_out(sim_inet *in, sim_site *site, const tl_addr *inside, const tl_addr *remote);

/* Gives the host an address ("10.0.0.2", "2001:db8::2") in `site` (NULL: the public network),
 * reached by its link `path`; at the first address of a path the link is made, with `faults`. */
sim_link *sim_inet_join(sim_inet *in, sim_host *h, uint32_t path, sim_site *site, const char *ip,
                        const sim_faults *faults);
/* It leaves the address behind (the link stays). */
void sim_inet_leave(sim_inet *in, sim_host *h, const char *ip);

/* What a host sends: an address and port of its own, and whereto. A host in the public network may
 * write any address as its own. */
void sim_inet_send(sim_host *h, uint32_t path, const tl_addr *from, const tl_addr *to,
                   const uint8_t *data, size_t n);
/* Takes apart what a host's on_datagram is given. False: altered on the way beyond recognition. */
bool sim_inet_read(const uint8_t *data, size_t n, tl_addr *ret_from, tl_addr *ret_to,
                   tl_slice *ret_payload);

/* Sees every datagram where it comes out at a member; returns false to swallow it. */
typedef bool (*sim_inet_tap)(void *user, sim_host *to, const tl_addr *from, const tl_addr *at,
                             tl_slice payload);
void sim_inet_set_tap(sim_inet *in, sim_inet_tap tap, void *user);
/* How many datagrams went to this address, as written by a sender, wherever it led. */
uint64_t sim_inet_sent_to(const sim_inet *in, const tl_addr *to);

/* For tests: an address from text that is one. */
tl_addr sim_addr(const char *ip, uint16_t port);

#endif
