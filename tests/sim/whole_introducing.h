/* whole_introducing.h - a whole_node that introduces others to each other: relay/introducer behind its UDP port. Also
 * how a whole_node asks to be introduced.
 *
 * Memory is the simulator's; running out of it aborts. */
#ifndef TEALE_SIM_WHOLE_INTRODUCING_H
#define TEALE_SIM_WHOLE_INTRODUCING_H

#include "relay/introducer.h"
#include "whole_node.h"

typedef struct whole_introducing {
    whole_node *node;
    tl_attached *attached;
    tl_introducer *core;
    tl_addr addr; /* where others reach it */
} whole_introducing;

/* From now on the node, which is in the public network, introduces anybody. */
void whole_introducing_start(whole_node *n);
void whole_introducing_free(whole_node *n);
tl_relayer_name whole_introducing_name(const whole_node *n);
/* False: it is nothing for a node that introduces, or this one is none. */
bool whole_introducing_on_control(whole_node *n, const tl_addr *from, tl_slice datagram);
void whole_introducing_on_timer(whole_node *n);
tl_time whole_introducing_expiry(const whole_node *n);

/* As tl_direct_world has them. */
bool whole_introducing_ask(void *node, const tl_node_id *peer,
                           const uint8_t nonce[TL_CONTROL_NONCE_SIZE], unsigned nth);
bool whole_introducing_is(void *node, const tl_node_id *by, const tl_addr *from, tl_addr *ret_seen);
/* Is the node attached to that one? */
bool whole_introducing_is_attached(const whole_node *n, const whole_node *to);

#endif
