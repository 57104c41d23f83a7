/* introbudget.h - how many signatures of PunchIntros and PunchRequests for this node are checked. Anybody may write any
 * source address and any initiator, so each who may be somebody has a budget that the others do not use up. Pure
 * arithmetic on the time it is handed: reads no datagram.
 *
 *   that name one node which this node knows   <=  4 +  1 x seconds; all of these <= 80 + 40 x seconds
 *   PunchRequests from one introducer          <= 100 + 50 x seconds; from all    <= 200 + 100 x seconds
 *   PunchIntros from one IPv4 address or /64   <=  8 +  4 x seconds
 *                    from one /24 or /48       <= 32 + 16 x seconds; from all     <= 120 + 60 x seconds
 *
 * Those whose address is proven (relay/attached.h, tl_attached_vouches) count in none of these. */
#ifndef TL_DIRECT_INTROBUDGET_H
#define TL_DIRECT_INTROBUDGET_H

#include "base/origin.h"
#include "base/ratelimit.h"
#include "crypto/identity.h"

/* Nonces that are kept: above what those, the proven and strangers (direct/strangers.h) make in 61 s. */
#define TL_INTROBUDGET_NONCES_MAX 24576

/* Members are private. */
typedef struct {
    tl_origin_budgets nodes, introducers, addresses, networks;
    tl_ratelimit known, requests, intros;
} tl_introbudget;

void tl_introbudget_init(tl_introbudget *b, tl_time now);
/* May the signature of one more be checked? `known`: the node that it names, if this node knows it; else NULL.
 * `request`: it is a PunchRequest, from where an introducer of this node is. */
bool tl_introbudget_take(tl_introbudget *b, const tl_node_id *known, bool request,
                         const tl_addr *from, tl_time now);

#endif
