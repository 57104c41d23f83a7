/* whole_relaying.h - a whole_node that relays for others: relay/peerrelay behind its UDP port, and what it says of
 * itself. Also what a whole_node tells of those that relay for it.
 *
 * Memory is the simulator's; running out of it aborts. */
#ifndef TEALE_SIM_WHOLE_RELAYING_H
#define TEALE_SIM_WHOLE_RELAYING_H

#include "relay/peerrelay.h"
#include "whole_node.h"

typedef struct whole_relaying {
    whole_node *node;
    tl_attached *attached;
    tl_peerrelay *relay;
    tl_addr addr; /* where others reach it */
} whole_relaying;

/* From now on the node, which is in the public network, relays for anybody. `limits` NULL: the defaults. */
void whole_relaying_start(whole_node *n, const tl_relay_limits *limits);
void whole_relaying_free(whole_node *n);
/* False: it is nothing for a node that relays, or this one is none. */
bool whole_relaying_on_control(whole_node *n, const tl_addr *from, tl_slice datagram);
bool whole_relaying_on_packet(whole_node *n, const tl_addr *from, uint8_t *data, size_t n_data);
void whole_relaying_on_timer(whole_node *n);
tl_time whole_relaying_expiry(const whole_node *n);

/* tl_peers_events.on_attached: the node will tell it in its capabilities. */
void whole_relaying_on_attached(void *node);
/* Adds to the capabilities what is to be told of relaying. */
void whole_relaying_tell(const whole_node *n, json_t *capabilities);
/* Is the node attached to that one? */
bool whole_relaying_is_attached(const whole_node *n, const whole_node *to);

#endif
