/* nat.h - a NAT in memory: mapping and filtering of RFC 4787 in any pairing, hairpinning, port
 * preservation, lifetimes, reboots, port mappings. Pure translation of addresses: carries no
 * datagrams (inet.h does) and knows nothing of what is in them.
 *
 * Memory is the simulator's; running out of it aborts. */
#ifndef TEALE_SIM_NAT_H
#define TEALE_SIM_NAT_H

#include "nat/behaviour.h"

typedef struct {
    tl_nat_mapping mapping; /* TL_MAPPING_NONE: a firewall, which translates nothing */
    tl_nat_filtering filtering;
    bool preserve_ports; /* where the port is free; else, and without, ports are random */
    bool hairpin;
    tl_time lifetime; /* of a mapping and of a contact, since something last went out. 0: 120 s */
} sim_nat_kind;

typedef struct sim_nat sim_nat;

/* Borrows `rand`. `ip` is the address outside; its port does not matter. */
sim_nat *sim_nat_new(tl_rand *rand, const sim_nat_kind *kind, const tl_addr *ip);
void sim_nat_free(sim_nat *n);
const sim_nat_kind *sim_nat_kind_of(const sim_nat *n);
const tl_addr *sim_nat_ip(const sim_nat *n);

/* A datagram goes out: who it seems to be from. */
tl_addr sim_nat_out(sim_nat *n, const tl_addr *inside, const tl_addr *remote, tl_time now);
/* A datagram comes to `outside`: whom it is for. False: it is dropped. */
bool sim_nat_in(sim_nat *n, const tl_addr *remote, const tl_addr *outside, tl_time now,
                tl_addr *ret_inside);

/* A reboot: every mapping is gone, but those made with sim_nat_map. */
void sim_nat_reboot(sim_nat *n);
/* Another address outside; every mapping is gone. */
void sim_nat_move(sim_nat *n, const tl_addr *ip);
/* A port mapping for `inside` that anyone may come in by. */
tl_addr sim_nat_map(sim_nat *n, const tl_addr *inside);
/* Dynamic mappings that live now. */
size_t sim_nat_mappings(const sim_nat *n, tl_time now);

#endif
