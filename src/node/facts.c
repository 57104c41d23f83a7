#include "node/facts.h"

#include "node/state.h"

static tl_path_counts count_paths(const tl_node *n)
{
    tl_path_counts counts = {0};
    tl_peer *p, *next;
    tl_peer_facts facts;
    HASH_ITER (hh, n->table.peers, p, next)
        if (tl_peers_facts(n->peers, p, &facts)) {
            counts.direct += facts.via == TL_VIA_DIRECT;
            counts.lan += facts.via == TL_VIA_LAN;
            counts.relayed += facts.via == TL_VIA_RELAYED;
            counts.relayed_udp += facts.by_udp;
            counts.by_nodes += facts.by_node && !facts.lost;
        }
    return counts;
}

void tl_node_facts_of(const tl_node *n, tl_node_facts *ret_facts)
{
    tl_node_facts f = {
        .uptime = tl_loop_now(n->loop) - n->started,
        .relay_connected = tl_relay_pair_state(n->client) == TL_RELAY_CONNECTED,
        .relay_rtt = tl_relay_pair_rtt(n->client),
        .relay_registrations = tl_relay_pair_connects(n->client),
        .relay = tl_relays_counters(n->relays),
        .quic = *tl_peers_quic_counters(n->peers),
        .peers = *tl_peers_counters_of(n->peers),
        .peers_known = tl_peer_table_count(&n->table),
        .peers_in_clear = tl_peer_table_in_clear(&n->table),
        .paths = count_paths(n),
        .direct = *tl_direct_counters_of(n->direct),
        .punches = *tl_direct_punches(n->direct),
        .asked = *tl_router_counters_of(n->router),
        .served = *tl_server_counters_of(n->server),
        .old = *tl_legacy_counters_of(n->legacy),
        .asked_running = tl_router_running(n->router),
        .served_running = tl_server_running(n->server),
    };
    for (size_t i = 0; i < TL_RELAYS_MAX; i++) {
        const tl_relay_client *c = tl_relay_pair_client(n->client, i);
        f.relays[i].connected = c && tl_relay_client_state(c) == TL_RELAY_CONNECTED;
        f.relays[i].rtt = c ? tl_relay_client_rtt(c) : 0;
    }
    const tl_relayers *nodes = tl_peers_relayers(n->peers);
    if (nodes) {
        tl_relayer_facts by[TL_RELAYERS_ATTACHED];
        f.relayers = *tl_relayers_counters_of(nodes);
        f.relayers_attached = tl_relayers_attached(nodes, by);
        f.relayer_sessions = tl_relayers_sessions(nodes);
    }
    if (n->network) {
        f.nat = *tl_network_facts(n->network);
        f.stun = *tl_network_stun_counters(n->network);
        f.datagrams = *tl_network_counters_of(n->network);
        f.reconnects = *tl_reconnect_counters_of(n->reconnect);
    }
    tl_node_relaying_facts_of(n, &f.relaying);
    tl_node_dht_facts_of(n, &f.dht);
    tl_node_fragment_counts_of(n, &f.fragments);
    tl_node_introducing_facts_of(n, &f.introducing);
    tl_node_lan_counts_of(n, &f.lan);
    tl_slots_facts_of(n->slots, &f.slots);
    f.paused = tl_node_is_paused(n);
    if (n->backend) {
        f.backend = tl_backend_state_of(n->backend);
        f.backend_models = tl_backend_model_count(n->backend);
        f.backend_running = tl_backend_running(n->backend);
    }
    for (size_t i = 0; i < tl_networks_count(n->book); i++) {
        const tl_membership *m = tl_networks_at(n->book, i);
        if (!m->left && f.n_networks < TL_NETWORKS_MAX)
            f.network_members[f.n_networks++] = m->n_members + (m->certificate != NULL);
    }
    *ret_facts = f;
}
