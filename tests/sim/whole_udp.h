/* whole_udp.h - the UDP side of a whole_node (the `user` of all of them): hands what comes from its
 * network to direct and peers, as the real node does, and what peers sends to the relay's UDP port to
 * the network. */
#ifndef TEALE_SIM_WHOLE_UDP_H
#define TEALE_SIM_WHOLE_UDP_H

#include "whole_net.h"

#include "peer/peers.h"

extern const tl_peers_udp whole_udp;
extern const whole_net_events whole_udp_net_events;

/* Sets the link's events of sessions with tokens. */
void whole_udp_events(tl_relay_link_events *events);
/* A direct way to the peer fell silent: what the real node does then. */
void whole_udp_on_silent(void *node, const tl_node_id *peer);

#endif
