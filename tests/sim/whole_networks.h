/* whole_networks.h - private networks of whole nodes: the test is their authority. Certificates go
 * over the control stream as one message, to those that claim the network; members/ has its own
 * tests. */
#ifndef TEALE_SIM_WHOLE_NETWORKS_H
#define TEALE_SIM_WHOLE_NETWORKS_H

#include "whole_credit.h"

/* The node is in the network from now on, by this name; its capabilities say so. */
void whole_node_join(whole_node *n, const tl_identity *authority, const char *name, tl_role role);
/* `member` is revoked, at this node alone. */
void whole_node_revoke(whole_node *n, const tl_identity *authority, const whole_node *member);
/* The node has a group key, and shows tags. */
void whole_node_hide(whole_node *n, const tl_identity *authority, uint8_t group);
/* Asks for the network alone. */
void whole_node_ask_for(whole_node *n, question_record *q, const tl_node_id *network,
                        const char *model);
/* A liar: asks `peer` for the network without looking whether it may. */
void whole_node_claim(whole_node *n, question_record *q, const tl_node_id *network,
                      const whole_node *peer, const char *model);

/* Looks on at what others list of our networks. */
void whole_networks_go_on(whole_node *n);
/* Of tl_peers_events. */
void whole_networks_on_hello(void *user, const tl_peer *peer);
void whole_networks_on_told(void *user, const tl_peer *peer, const char *name,
                            const json_t *payload);

#endif
