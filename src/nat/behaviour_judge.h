/* behaviour_judge.h - what the answers of several STUN servers say together, though one of them may
 * lie. Pure functions; remembers nothing.
 *
 * Every address asked has one voice. An address of ours is what most voices say. One voice
 * against two or more is outvoted; of two voices that differ, neither is. The NAT's mapping is
 * independent of the endpoint when more than half of the server IPs, and at least two, saw the same
 * address and port. */
#ifndef TL_NAT_BEHAVIOUR_JUDGE_H
#define TL_NAT_BEHAVIOUR_JUDGE_H

#include "nat/behaviour.h"

typedef struct {
    tl_addr to;     /* the server's address that was asked */
    tl_addr mapped; /* what it saw */
} tl_voice;

/* Our address as most of them saw it: first the IP by votes, then its port. `present` is what was
 * believed before (family NONE: nothing). It wins a tie. While not `settled` (more voices may
 * come), a single voice does not overturn it. NONE when there is no voice. */
tl_addr tl_judge_public(const tl_voice *v, size_t n, const tl_addr *present, bool settled);

/* UNKNOWN: too few server IPs, or not `settled` and they disagree so far. Never NONE. */
tl_nat_mapping tl_judge_mapping(const tl_voice *v, size_t n, bool settled);

/* Is there one address among them that was asked on two ports? Only then can we tell whether the
 * mapping depends on the address alone, or on the port too. */
bool tl_judge_has_pair(const tl_voice *v, size_t n);

#endif
