/* node_net_report.h - a node's reports on its network as JSON: the NAT, `netcheck`, `doctor`,
 * `why`. Gathers what network, direct and peers know, and never judges it: tell/doctor and
 * tell/story do. Only for the sources of node/. */
#ifndef TL_NODE_NODE_NET_REPORT_H
#define TL_NODE_NODE_NET_REPORT_H

#include "base/json.h"
#include "node/state.h"

/* Everything known at one moment. Pointers are borrowed until the next turn of the loop. */
typedef struct {
    const char *off;   /* why no UDP socket is wanted; NULL: one is wanted */
    const char *error; /* why there is no socket although one is wanted */
    uint16_t port;     /* 0: there is no socket */
    uint16_t wanted_port;
    tl_nat_facts nat;
    tl_stun_report stun[TL_STUN_SERVERS_MAX];
    size_t n_stun;
    tl_stun_unnamed unnamed[TL_STUN_UNNAMED_MAX];
    size_t n_unnamed;
    bool relay_connected;
    const tl_interface *interfaces;
    size_t n_interfaces;
    tl_candidate candidates[TL_CANDIDATES_MAX];
    size_t n_candidates;
    bool mapping_on, direct_on;
    const char *mapped_by; /* NULL: there is no port mapping */
    tl_addr mapped;
    const char *mapping_error; /* NULL: none known */
} tl_net_view;
void tl_net_view_of(const tl_node *n, tl_net_view *ret_view);

/* `nat` of the status: type, tesseras_type, mapping, filtering, public, mapped_by, ipv6 and more.
 * All functions of this file return NULL when they are out of memory. */
json_t *tl_net_nat_json(const tl_net_view *v);
json_t *tl_net_check_json(const tl_net_view *v);

/* The rule that chose the path of a connected peer. */
const char *tl_net_rule(const tl_peer_facts *facts);
/* Milliseconds with three decimals; null when unknown. */
json_t *tl_net_ms_json(tl_time t);
/* "IP:PORT"; null when the family is NONE. */
json_t *tl_net_addr_json(const tl_addr *a);

#endif
