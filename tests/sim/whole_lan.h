/* whole_lan.h - the local network of two whole nodes: each is announced to the other, and a TCP connection leads from
 * the first to the second, which carries datagrams in order and without loss (net/lantcp), as long as it is not cut. What
 * UDP does there is for whole_net to say. */
#ifndef TEALE_SIM_WHOLE_LAN_H
#define TEALE_SIM_WHOLE_LAN_H

#include "whole_node.h"

#define WHOLE_LAN_PATH 9 /* how both hosts call the link of the connection */

typedef struct whole_lan {
    whole_node *ends[2];
    sim_link *wire;
    bool open;      /* the connection stands */
    bool announced; /* each is found by the other */
} whole_lan;

/* Announces them to each other; the first dials when it wants to. `delay`: of the wire, one way. Both have interfaces on
 * one subnet already. `l` lives as long as the nodes. */
void whole_lan_join(whole_lan *l, whole_node *dials, whole_node *answers, tl_time delay);
/* Nothing passes the wire, in silence. */
void whole_lan_cut(whole_lan *l, bool cut);
/* The connection is closed, and both know it. */
void whole_lan_close(whole_lan *l);

/* As tl_direct_world has them; `user` is a whole_node. */
size_t whole_lan_near(void *user, const tl_node_id *peer, tl_addr ret_addrs[TL_DIRECT_NEAR_MAX]);
bool whole_lan_greet(void *user, const tl_node_id *peer,
                     const uint8_t nonce[TL_CONTROL_NONCE_SIZE]);
size_t whole_lan_pipes(void *user, const tl_node_id *peer,
                       tl_direct_pipe ret_pipes[TL_DIRECT_PIPES_MAX]);
tl_err whole_lan_send(whole_node *n, const uint8_t *data, size_t len, size_t segment);
void whole_lan_on_datagram(whole_node *n, uint8_t *data, size_t len);

#endif
