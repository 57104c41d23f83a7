/* facts.h - what a node has counted and knows at one moment, as plain structs. Every field is a
 * copy: nothing points into the node. Never writes text: api/metrics does that. */
#ifndef TL_NODE_FACTS_H
#define TL_NODE_FACTS_H

#include "ask/router.h"
#include "ask/server.h"
#include "ask/slots.h"
#include "backend/backend.h"
#include "backup/backup.h"
#include "backup/holder.h"
#include "dht/dht.h"
#include "direct/direct.h"
#include "io/mdns.h"
#include "legacy/legacy.h"
#include "net/lan.h"
#include "net/lantcp.h"
#include "net/network.h"
#include "net/relay_pair.h"
#include "node/node.h"
#include "peer/neighbours.h"
#include "peer/reconnect.h"
#include "relay/introducer.h"
#include "relay/peerrelay.h"

/* Connected peers, by the way to them. */
typedef struct {
    size_t direct, lan, relayed;
    size_t relayed_udp; /* of those relayed: to the relay by UDP */
    size_t by_nodes;    /* of these: a node that relays has their relay session */
} tl_path_counts;

/* What is relayed for others; all zero where nothing is. */
typedef struct {
    bool enabled, serving;
    tl_peerrelay_counters asked;
    tl_tokens_counters tokens;
} tl_relaying_counts;

/* Of the DHT; all zero where this node is not in it. */
typedef struct {
    bool on, publishes;
    unsigned holders; /* nodes that have what is published */
    tl_dht_counters counters;
    tl_dht_report report;
} tl_dht_counts;
/* Of the local network; all zero where the discovery is off. */
typedef struct {
    bool on;
    tl_mdns_report discovery;
    size_t nodes; /* that are announced, and believed to be there */
    tl_lan_counters found;
    tl_neighbours_counters tried;
    uint16_t port; /* of TCP */
    size_t pipes, pipes_proven;
    tl_lantcp_counters tcp;
} tl_lan_counts;

/* Introductions: for others, and by others. */
typedef struct {
    bool serving;
    tl_attached_counters
        attached; /* nodes that are attached to this one, to be introduced or relayed for */
    tl_introducer_counters made;
    tl_introducers_counters asked; /* by this node */
    size_t attached_to;
} tl_introducing_counts;

/* Fragments of backups; all zero where there is no store. */
typedef struct {
    tl_holder_counts held; /* for others */
    uint64_t malformed;
    tl_backup_counters own;
    unsigned placed, silent, wanted; /* of our own backup, now */
} tl_fragment_counts;

typedef struct {
    tl_time uptime;

    /* the relay */
    bool relay_connected;
    struct {
        bool connected;
        tl_time rtt; /* 0: not measured */
    } relays[TL_RELAYS_MAX];
    tl_time relay_rtt; /* of the last ping; 0 = unknown */
    uint64_t relay_registrations;
    tl_relay_link_counters relay;

    /* the UDP port, the NAT, datagrams; all zero while there is no UDP port */
    tl_nat_facts nat;
    tl_behaviour_counters stun;
    tl_network_counters datagrams;
    tl_reconnect_counters reconnects;

    /* peers */
    tl_quic_counters quic;
    tl_peers_counters peers;
    size_t peers_known;    /* connected or not */
    size_t peers_in_clear; /* of these, listed now, and of the old protocol alone */
    tl_path_counts paths;
    tl_relayers_counters relayers;
    size_t relayers_attached, relayer_sessions;
    tl_direct_counters direct;
    tl_punch_counters punches;

    tl_relaying_counts relaying;
    tl_dht_counts dht;
    tl_fragment_counts fragments;
    tl_introducing_counts introducing;
    tl_lan_counts lan;

    /* questions */
    tl_router_counters asked;
    tl_server_counters served;
    tl_legacy_counters old; /* by the old protocol */
    size_t asked_running, served_running;
    tl_backend_state backend;
    size_t backend_models, backend_running;
    tl_slots_facts slots;
    bool paused;

    /* private networks, in the order they were joined, without the left ones */
    size_t n_networks;
    size_t network_members[TL_NETWORKS_MAX]; /* that this node knows, itself among them */
} tl_node_facts;

/* node_fragments.c */
void tl_node_fragment_counts_of(const tl_node *n, tl_fragment_counts *ret_counts);
/* node_introduce.c */
void tl_node_introducing_facts_of(const tl_node *n, tl_introducing_counts *ret_facts);
/* Of the table of attached nodes; all zero where there is none. */
const tl_attached_counters *tl_node_attached_counters(const tl_node *n);
/* node_relay_report.c */
void tl_node_relaying_facts_of(const tl_node *n, tl_relaying_counts *ret_facts);
/* node_dht_report.c */
void tl_node_dht_facts_of(const tl_node *n, tl_dht_counts *ret_facts);
/* node_lan_report.c */
void tl_node_lan_counts_of(const tl_node *n, tl_lan_counts *ret_counts);
void tl_node_facts_of(const tl_node *n, tl_node_facts *ret_facts);

#endif
