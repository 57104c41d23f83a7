/* Every counter of the node and of the API as Prometheus text: base units, labels from a fixed set,
 * no node IDs. */
#include "api/metrics_part.h"
#include "api/state.h"

#include <stdio.h>

static void write_relay(tl_metrics *w, const tl_node_facts *f)
{
    const tl_relay_link_counters *l = &f->relay;
    tl_metrics_single(w, "teale_relay_connected", "gauge", "1 while registered at the relay.",
                      f->relay_connected);
    static const char *const which[TL_RELAYS_MAX] = {"relay=\"1\"", "relay=\"2\""};
    tl_metrics_family(w, "teale_relays_connected", "gauge",
                      "1 while registered at that relay, of two.");
    for (size_t i = 0; i < TL_RELAYS_MAX; i++)
        tl_metrics_sample(w, "teale_relays_connected", which[i], f->relays[i].connected);
    tl_metrics_family(w, "teale_relays_rtt_seconds", "gauge",
                      "Last round trip to that relay; 0 unknown.");
    for (size_t i = 0; i < TL_RELAYS_MAX; i++)
        tl_metrics_sample(w, "teale_relays_rtt_seconds", which[i],
                          (double)f->relays[i].rtt / (double)TL_SEC);
    tl_metrics_single(w, "teale_relay_rtt_seconds", "gauge",
                      "Last round trip to the relay; 0 unknown.",
                      (double)f->relay_rtt / (double)TL_SEC);
    tl_metrics_single(w, "teale_relay_registrations_total", "counter", "Successful registrations.",
                      (double)f->relay_registrations);
    tl_metrics_family(w, "teale_relay_messages_total", "counter",
                      "Messages exchanged with the relay.");
    tl_metrics_sample(w, "teale_relay_messages_total", "direction=\"in\"", (double)l->messages_in);
    tl_metrics_sample(w, "teale_relay_messages_total", "direction=\"out\"",
                      (double)l->messages_out);
    tl_metrics_family(w, "teale_relay_datagrams_total", "counter",
                      "Datagrams by the relay's WebSocket.");
    tl_metrics_sample(w, "teale_relay_datagrams_total", "direction=\"in\"",
                      (double)l->datagrams_in);
    tl_metrics_sample(w, "teale_relay_datagrams_total", "direction=\"out\"",
                      (double)l->datagrams_out);
    tl_metrics_single(w, "teale_relay_datagrams_dropped_total", "counter",
                      "Datagrams without a session, or over the queue's bound.",
                      (double)l->datagrams_dropped);
    tl_metrics_single(w, "teale_relay_malformed_total", "counter",
                      "Malformed messages from the relay.", (double)l->malformed);
    tl_metrics_single(w, "teale_relay_ignored_total", "counter",
                      "Messages from the relay that this node had no use for.", (double)l->ignored);
    tl_metrics_single(w, "teale_relay_errors_total", "counter", "Errors the relay reported.",
                      (double)l->errors);
    tl_metrics_single(w, "teale_relay_sessions_refused_total", "counter",
                      "Sessions that peers wanted and this node refused.", (double)l->refused);
    tl_metrics_single(w, "teale_relay_peers_refused_total", "counter",
                      "Listed peers whose entry is malformed.", (double)l->peers_refused);
    tl_metrics_single(w, "teale_relay_peers_in_clear_total", "counter",
                      "Listed peers without the key that belongs to their ID.",
                      (double)l->peers_in_clear);
}

static void write_quic(tl_metrics *w, const tl_quic_counters *q)
{
    tl_metrics_family(w, "teale_quic_datagrams_total", "counter", "QUIC datagrams.");
    tl_metrics_sample(w, "teale_quic_datagrams_total", "direction=\"in\"", (double)q->datagrams_in);
    tl_metrics_sample(w, "teale_quic_datagrams_total", "direction=\"out\"",
                      (double)q->datagrams_out);
    tl_metrics_family(w, "teale_quic_bytes_total", "counter", "Bytes of QUIC datagrams.");
    tl_metrics_sample(w, "teale_quic_bytes_total", "direction=\"in\"", (double)q->bytes_in);
    tl_metrics_sample(w, "teale_quic_bytes_total", "direction=\"out\"", (double)q->bytes_out);
    tl_metrics_family(w, "teale_quic_dropped_total", "counter", "Datagrams dropped in silence.");
    tl_metrics_sample(w, "teale_quic_dropped_total", "reason=\"short\"", (double)q->dropped_short);
    tl_metrics_sample(w, "teale_quic_dropped_total", "reason=\"unknown\"",
                      (double)q->dropped_unknown);
    tl_metrics_sample(w, "teale_quic_dropped_total", "reason=\"auth\"", (double)q->dropped_auth);
    tl_metrics_sample(w, "teale_quic_dropped_total", "reason=\"replay\"",
                      (double)q->dropped_replay);
    tl_metrics_sample(w, "teale_quic_dropped_total", "reason=\"limit\"", (double)q->dropped_limit);
    tl_metrics_family(w, "teale_quic_handshakes_total", "counter", "Noise handshakes.");
    tl_metrics_sample(w, "teale_quic_handshakes_total", "result=\"done\"",
                      (double)q->handshakes_done);
    tl_metrics_sample(w, "teale_quic_handshakes_total", "result=\"failed\"",
                      (double)q->handshakes_failed);
    tl_metrics_single(w, "teale_quic_retries_total", "counter", "Retry packets sent under load.",
                      (double)q->retries_sent);
    tl_metrics_family(w, "teale_quic_closed_total", "counter",
                      "Connections closed: the peer cost too much.");
    tl_metrics_sample(w, "teale_quic_closed_total", "reason=\"holes\"", (double)q->closed_holes);
    tl_metrics_sample(w, "teale_quic_closed_total", "reason=\"memory\"", (double)q->closed_memory);
    tl_metrics_single(w, "teale_quic_black_holes_total", "counter",
                      "How often large packets were lost on a path that had carried them.",
                      (double)q->black_holes);
    tl_metrics_single(w, "teale_quic_key_updates_total", "counter", "Key updates.",
                      (double)q->key_updates);
}

static void write_relayed(tl_metrics *w, const tl_node_facts *f)
{
    const tl_peers_counters *p = &f->peers;
    tl_metrics_family(
        w, "teale_relayed_moves_total", "counter",
        "Times a relayed connection that we dialled moved between UDP and the relay's WebSocket.");
    tl_metrics_sample(w, "teale_relayed_moves_total", "to=\"udp\"", (double)p->udp_upgrades);
    tl_metrics_sample(w, "teale_relayed_moves_total", "to=\"websocket\"", (double)p->udp_fallbacks);
    tl_metrics_single(w, "teale_relayed_udp_lost_total", "counter",
                      "Times a way by UDP to the relay fell silent.", (double)p->udp_lost);
    tl_metrics_single(w, "teale_relayed_rebinds_total", "counter",
                      "Times a relay was told our new UDP address, and sends there.",
                      (double)p->migrations);
    tl_metrics_single(w, "teale_relayed_strays_total", "counter",
                      "What came from a relay and belongs to no connection or question of ours.",
                      (double)p->relay_strays);
    tl_metrics_family(
        w, "teale_relayed_packets_total", "counter",
        "Of the datagrams by the relay's WebSocket, those with a token instead of a text.");
    tl_metrics_sample(w, "teale_relayed_packets_total", "direction=\"in\"",
                      (double)f->relay.packets_in);
    tl_metrics_sample(w, "teale_relayed_packets_total", "direction=\"out\"",
                      (double)f->relay.packets_out);
}

static void write_relayers(tl_metrics *w, const tl_node_facts *f)
{
    const tl_relayers_counters *r = &f->relayers;
    tl_metrics_single(
        w, "teale_relayed_by_nodes", "gauge",
        "Nodes that relay, to which this node is attached so that others reach it there.",
        (double)f->relayers_attached);
    tl_metrics_single(w, "teale_relayed_by_node_sessions", "gauge",
                      "Relay sessions of this node at nodes that relay.",
                      (double)f->relayer_sessions);
    tl_metrics_single(w, "teale_peers_relayed_by_node", "gauge",
                      "Of the relayed peers, those whose connection another node relays.",
                      (double)f->paths.by_nodes);
    tl_metrics_single(w, "teale_relayed_by_node_requests_total", "counter",
                      "RelayRequests that this node sent.", (double)r->requests);
    tl_metrics_family(
        w, "teale_relayed_by_node_offers_total", "counter",
        "RelayOffers that came. Refused ones are forged, stale, for others, or too many.");
    tl_metrics_sample(w, "teale_relayed_by_node_offers_total", "result=\"taken\"",
                      (double)r->offers);
    tl_metrics_sample(w, "teale_relayed_by_node_offers_total", "result=\"refused\"",
                      (double)r->offers_refused);
    tl_metrics_single(w, "teale_relayed_by_node_lost_total", "counter",
                      "Relay sessions that ended since the node that relayed fell silent.",
                      (double)r->lost);
}

static void write_peers(tl_metrics *w, const tl_node_facts *f)
{
    const tl_peers_counters *p = &f->peers;
    tl_metrics_single(w, "teale_peers_known", "gauge", "Nodes known, connected or not.",
                      (double)f->peers_known);
    tl_metrics_family(w, "teale_peers_connected", "gauge", "Connected peers by the way to them.");
    tl_metrics_sample(w, "teale_peers_connected", "path=\"direct\"", (double)f->paths.direct);
    tl_metrics_sample(w, "teale_peers_connected", "path=\"lan\"", (double)f->paths.lan);
    tl_metrics_sample(w, "teale_peers_connected", "path=\"relayed\"", (double)f->paths.relayed);
    tl_metrics_single(w, "teale_peers_relayed_by_udp", "gauge",
                      "Of the relayed peers, those that this node reaches by UDP to the relay.",
                      (double)f->paths.relayed_udp);
    tl_metrics_family(w, "teale_connections_total", "counter", "Connections begun.");
    tl_metrics_sample(w, "teale_connections_total", "role=\"dialled\"", (double)p->dials);
    tl_metrics_sample(w, "teale_connections_total", "role=\"accepted\"", (double)p->accepted);
    tl_metrics_single(w, "teale_connection_failures_total", "counter",
                      "Dialled connections that were not established.", (double)p->dial_failures);
    tl_metrics_single(w, "teale_path_outages_total", "counter",
                      "How often a connection lost its path.", (double)p->outages);
    tl_metrics_family(
        w, "teale_path_moves_total", "counter",
        "Times a connection we dialled moved from the relay to a direct path, back, or between "
        "two direct ones.");
    tl_metrics_sample(w, "teale_path_moves_total", "kind=\"upgrade\"", (double)p->upgrades);
    tl_metrics_sample(w, "teale_path_moves_total", "kind=\"fallback\"", (double)p->fallbacks);
    tl_metrics_sample(w, "teale_path_moves_total", "kind=\"relay\"", (double)p->relays_changed);
    tl_metrics_sample(w, "teale_path_moves_total", "kind=\"switch\"", (double)p->switches);
    tl_metrics_single(w, "teale_path_recoveries_total", "counter",
                      "How often it found another path.", (double)p->recovered);
    write_relayed(w, f);
    write_relayers(w, f);
}

/* --- the network and direct paths; all zero without a UDP socket --- */

static void write_nat(tl_metrics *w, const tl_nat_facts *f)
{
    static const char *const tesseras[] = {"Public", "Cone", "Symmetric", "Unknown"};
    char labels[96];
    tl_metrics_family(w, "tesseras_nat_type", "gauge",
                      "The NAT in front of this node: one type is 1.");
    for (size_t i = 0; i < sizeof tesseras / sizeof *tesseras; i++) {
        snprintf(labels, sizeof labels, "type=\"%s\"", tesseras[i]);
        tl_metrics_sample(w, "tesseras_nat_type", labels,
                          strcmp(tl_nat_tesseras_type(f), tesseras[i]) == 0);
    }
    tl_metrics_family(w, "teale_nat_type", "gauge", "The same by finer names: one type is 1.");
    for (size_t i = 0; i < TL_NAT_TYPES; i++) {
        snprintf(labels, sizeof labels, "type=\"%s\"", tl_nat_type_name((tl_nat_type)i));
        tl_metrics_sample(w, "teale_nat_type", labels, tl_nat_type_of(f) == i);
    }
    tl_metrics_single(w, "teale_udp_blocked", "gauge",
                      "1 when no STUN server that was asked answered.", f->udp_blocked);
}

static void write_stun(tl_metrics *w, const tl_behaviour_counters *c)
{
    tl_metrics_single(w, "tesseras_stun_requests_total", "counter",
                      "STUN requests sent, repeats included.", (double)c->requests);
    tl_metrics_single(w, "tesseras_stun_failures_total", "counter",
                      "STUN questions that nobody answered.", (double)c->failures);
    tl_metrics_single(w, "teale_stun_answers_total", "counter", "STUN answers that were accepted.",
                      (double)c->answers);
    tl_metrics_single(w, "teale_stun_strays_total", "counter",
                      "STUN answers that were not accepted: forged, late, from elsewhere.",
                      (double)c->strays);
}

static void write_reconnects(tl_metrics *w, const tl_reconnect_counters *c)
{
    tl_metrics_family(w, "teale_reconnect_phases_total", "counter",
                      "Phases after a change of network that ended, by how.");
    for (tl_phase p = TL_PHASE_MIGRATION; p <= TL_PHASE_REESTABLISH; p++)
        for (int failed = 0; failed < 2; failed++) {
            char labels[64];
            snprintf(labels, sizeof labels, "phase=\"%s\",result=\"%s\"", tl_phase_name(p),
                     tl_phase_state_name(failed ? TL_PHASE_FAILED : TL_PHASE_DONE));
            tl_metrics_sample(w, "teale_reconnect_phases_total", labels,
                              (double)(failed ? c->failed : c->done)[p]);
        }
}

static void write_datagrams(tl_metrics *w, const tl_network_counters *c)
{
    tl_metrics_single(w, "tesseras_network_change_total", "counter",
                      "How often interfaces, routes or the public address changed.",
                      (double)c->changes);
    tl_metrics_family(w, "teale_udp_datagrams_total", "counter",
                      "Datagrams of the node's UDP port.");
    tl_metrics_sample(w, "teale_udp_datagrams_total", "direction=\"in\"", (double)c->datagrams_in);
    tl_metrics_sample(w, "teale_udp_datagrams_total", "direction=\"out\"",
                      (double)c->datagrams_out);
    tl_metrics_family(w, "teale_udp_bytes_total", "counter", "Bytes of them.");
    tl_metrics_sample(w, "teale_udp_bytes_total", "direction=\"in\"", (double)c->bytes_in);
    tl_metrics_sample(w, "teale_udp_bytes_total", "direction=\"out\"", (double)c->bytes_out);
    tl_metrics_family(w, "teale_udp_dropped_total", "counter", "Datagrams dropped in silence.");
    tl_metrics_sample(w, "teale_udp_dropped_total", "reason=\"short\"", (double)c->dropped_short);
    tl_metrics_sample(w, "teale_udp_dropped_total", "reason=\"unknown\"",
                      (double)c->dropped_unknown);
    tl_metrics_sample(w, "teale_udp_dropped_total", "reason=\"krpc\"", (double)c->dropped_krpc);
    tl_metrics_single(w, "teale_udp_send_errors_total", "counter",
                      "Datagrams the system would not send.", (double)c->send_errors);
    tl_metrics_single(w, "teale_udp_too_large_total", "counter",
                      "Datagrams larger than the way out of this machine allows.",
                      (double)c->too_large);
}

static void write_punch_pairs(tl_metrics *w, const char *name, const char *help,
                              const uint64_t counts[TL_CONTROL_NATS][TL_CONTROL_NATS])
{
    char labels[96];
    tl_metrics_family(w, name, "counter", help);
    for (int initiator = 0; initiator < TL_CONTROL_NATS; initiator++)
        for (int target = 0; target < TL_CONTROL_NATS; target++) {
            snprintf(labels, sizeof labels, "initiator_nat=\"%s\",target_nat=\"%s\"",
                     tl_control_nat_name((tl_control_nat)initiator),
                     tl_control_nat_name((tl_control_nat)target));
            tl_metrics_sample(w, name, labels, (double)counts[initiator][target]);
        }
}

static void write_direct(tl_metrics *w, const tl_direct_counters *c,
                         const tl_punch_counters *punches)
{
    write_punch_pairs(w, "tesseras_punch_attempts_total",
                      "Attempts at a direct path, by the NATs of who began and of the other.",
                      punches->attempts);
    write_punch_pairs(w, "teale_punch_successes_total",
                      "Those that found one, by the NATs of who began and of the other.",
                      punches->successes);
    tl_metrics_single(w, "teale_direct_attempts_total", "counter", "Attempts at a direct path.",
                      (double)c->attempts);
    tl_metrics_family(w, "teale_direct_attempts_ended_total", "counter", "How attempts ended.");
    tl_metrics_sample(w, "teale_direct_attempts_ended_total", "result=\"succeeded\"",
                      (double)c->succeeded);
    tl_metrics_sample(w, "teale_direct_attempts_ended_total", "result=\"failed\"",
                      (double)c->failed);
    tl_metrics_single(w, "teale_direct_lost_total", "counter",
                      "Direct paths that stood and fell silent.", (double)c->lost);
    tl_metrics_single(w, "teale_direct_rebinds_total", "counter",
                      "How often a peer's address changed under a direct path.",
                      (double)c->rebinds);
    tl_metrics_single(w, "teale_direct_strays_total", "counter",
                      "Checks that belonged to no session.", (double)c->strays);
    tl_metrics_single(w, "teale_candidates_refused_total", "counter",
                      "Addresses that peers named and this node never sends to.",
                      (double)c->candidates_refused);
    tl_metrics_family(w, "teale_offers_total", "counter",
                      "Offers, answers and candidates of direct paths.");
    tl_metrics_sample(w, "teale_offers_total", "direction=\"in\"", (double)c->offers_in);
    tl_metrics_sample(w, "teale_offers_total", "direction=\"out\"", (double)c->offers_out);
    tl_metrics_family(w, "teale_offers_refused_total", "counter",
                      "Offers, answers and candidates of peers that were refused.");
    for (int v = TL_OFFER_OK + 1; v < TL_OFFER_VERDICTS; v++) {
        char labels[96];
        snprintf(labels, sizeof labels, "reason=\"%s\"", tl_offer_verdict_name(v));
        tl_metrics_sample(w, "teale_offers_refused_total", labels, (double)c->offers_refused[v]);
    }
    tl_metrics_sample(w, "teale_offers_refused_total", "reason=\"unwelcome\"",
                      (double)c->unwelcome);
    tl_metrics_sample(w, "teale_offers_refused_total", "reason=\"rate\"", (double)c->rate_limited);
}

/* Those that this node asked are among the questions of all kinds, too. */
static void write_old(tl_metrics *w, const tl_legacy_counters *c)
{
    static const char name[] = "teale_old_protocol_requests_total";
    tl_metrics_family(w, name, "counter",
                      "Questions in clear, by the old protocol, by role and result.");
    tl_metrics_sample(w, name, "role=\"asked\",result=\"ok\"", (double)c->answered);
    tl_metrics_sample(w, name, "role=\"asked\",result=\"failed\"", (double)c->failed);
    tl_metrics_sample(w, name, "role=\"served\",result=\"ok\"", (double)c->served);
    tl_metrics_sample(w, name, "role=\"served\",result=\"failed\"", (double)c->serve_failed);
    tl_metrics_sample(w, name, "role=\"served\",result=\"cancelled\"", (double)c->cancelled);
    tl_metrics_sample(w, name, "role=\"served\",result=\"refused\"", (double)c->refused);
    tl_metrics_sample(w, name, "role=\"served\",result=\"declined\"", (double)c->declined);
}

static void write_requests(tl_metrics *w, const tl_node_facts *f)
{
    const tl_router_counters *r = &f->asked;
    const tl_server_counters *s = &f->served;
    tl_metrics_family(w, "teale_requests_total", "counter", "Questions by role and result.");
    tl_metrics_sample(w, "teale_requests_total", "role=\"asked\",result=\"ok\"",
                      (double)r->answered);
    tl_metrics_sample(w, "teale_requests_total", "role=\"asked\",result=\"failed\"",
                      (double)r->failed);
    tl_metrics_sample(w, "teale_requests_total", "role=\"served\",result=\"ok\"",
                      (double)s->served);
    tl_metrics_sample(w, "teale_requests_total", "role=\"served\",result=\"failed\"",
                      (double)s->failed);
    tl_metrics_sample(w, "teale_requests_total", "role=\"served\",result=\"cancelled\"",
                      (double)s->cancelled);
    tl_metrics_sample(w, "teale_requests_total", "role=\"served\",result=\"refused\"",
                      (double)s->refused);
    tl_metrics_sample(w, "teale_requests_total", "role=\"served\",result=\"malformed\"",
                      (double)s->malformed);
    tl_metrics_single(
        w, "teale_requests_false_claims_total", "counter",
        "Requests refused since they named a network whose members their senders are not.",
        (double)s->refused_claims);
    tl_metrics_single(w, "teale_requests_retried_total", "counter",
                      "Questions tried at another provider.", (double)r->retried);
    tl_metrics_single(w, "teale_requests_overtaken_total", "counter",
                      "Questions also asked of a second provider since the first was silent.",
                      (double)r->overtaken);
    tl_metrics_single(w, "teale_requests_repriced_total", "counter",
                      "Refusals by providers whose price was not the one that was known.",
                      (double)r->repriced);
    tl_metrics_single(w, "teale_requests_too_dear_total", "counter",
                      "Questions that failed since every provider cost more than the maximum.",
                      (double)r->too_dear);
    tl_metrics_single(w, "teale_requests_local_total", "counter",
                      "Questions given to the local model server.", (double)r->local);
    write_old(w, &f->old);
    tl_metrics_family(w, "teale_requests_active", "gauge", "Questions under way.");
    tl_metrics_sample(w, "teale_requests_active", "role=\"asked\"", (double)f->asked_running);
    tl_metrics_sample(w, "teale_requests_active", "role=\"served\"", (double)f->served_running);
    tl_metrics_family(w, "teale_tokens_served_total", "counter",
                      "Tokens of served requests, as far as known.");
    tl_metrics_sample(w, "teale_tokens_served_total", "direction=\"in\"", (double)s->tokens_in);
    tl_metrics_sample(w, "teale_tokens_served_total", "direction=\"out\"", (double)s->tokens_out);
    tl_metrics_single(w, "teale_backend_up", "gauge", "1 while the shared model server answers.",
                      f->backend == TL_BACKEND_UP);
    tl_metrics_single(w, "teale_backend_models", "gauge", "Models the shared model server has.",
                      (double)f->backend_models);
    tl_metrics_single(w, "teale_backend_running", "gauge",
                      "Exchanges with the shared model server under way.",
                      (double)f->backend_running);
}

/* The queue before the model server, by class. */
static void write_slots(tl_metrics *w, const tl_slots_facts *f)
{
    static const char *const labels[TL_SCHED_CLASSES] = {
        [TL_SCHED_PRIVATE] = "class=\"private\"", [TL_SCHED_PUBLIC] = "class=\"public\""};
    char more[64];
    tl_metrics_family(w, "teale_served_tokens_total", "counter",
                      "Tokens of answers to others, by class and kind, as they are charged.");
    for (int c = 0; c < TL_SCHED_CLASSES; c++) {
        snprintf(more, sizeof more, "%s,kind=\"prompt\"", labels[c]);
        tl_metrics_sample(w, "teale_served_tokens_total", more, (double)f->prompt[c]);
        snprintf(more, sizeof more, "%s,kind=\"generated\"", labels[c]);
        tl_metrics_sample(w, "teale_served_tokens_total", more, (double)f->generated[c]);
    }
    tl_metrics_family(w, "teale_queue_length", "gauge",
                      "Questions of others that wait for a slot.");
    for (int c = 0; c < TL_SCHED_CLASSES; c++)
        tl_metrics_sample(w, "teale_queue_length", labels[c], f->queued[c]);
    tl_metrics_family(w, "teale_queue_wait_seconds", "gauge",
                      "How long a question that came now would wait, as far as it can be told.");
    for (int c = 0; c < TL_SCHED_CLASSES; c++)
        tl_metrics_sample(w, "teale_queue_wait_seconds", labels[c], f->wait_seconds[c]);
    tl_metrics_family(w, "teale_queue_waited_seconds_total", "counter",
                      "Time in the queue of the questions that got a slot, in sum.");
    for (int c = 0; c < TL_SCHED_CLASSES; c++)
        tl_metrics_sample(w, "teale_queue_waited_seconds_total", labels[c],
                          (double)f->waited[c] / (double)TL_SEC);
    tl_metrics_family(w, "teale_queue_left_total", "counter", "Questions that got a slot.");
    for (int c = 0; c < TL_SCHED_CLASSES; c++)
        tl_metrics_sample(w, "teale_queue_left_total", labels[c], (double)f->began[c]);
    tl_metrics_family(w, "teale_queue_refused_total", "counter", "Questions that got none.");
    tl_metrics_sample(w, "teale_queue_refused_total", "reason=\"full\"", (double)f->turned_away);
    tl_metrics_sample(w, "teale_queue_refused_total", "reason=\"late\"", (double)f->late);
    tl_metrics_single(w, "teale_share_slots", "gauge", "Slots of the model server for others.",
                      f->slots);
    tl_metrics_single(w, "teale_share_running", "gauge", "Of these, in use.", f->running);
}

/* By number: an ID in a label would tell whoever reads the metrics which networks these are. */
static void write_networks(tl_metrics *w, const tl_node_facts *f)
{
    char label[40];
    tl_metrics_family(w, "teale_ptn_members", "gauge",
                      "Known members of each private network, this node among them.");
    for (size_t i = 0; i < f->n_networks; i++) {
        snprintf(label, sizeof label, "network=\"%zu\"", i + 1);
        tl_metrics_sample(w, "teale_ptn_members", label, (double)f->network_members[i]);
    }
}

static void write_node(tl_metrics *w, const tl_node_facts *f)
{
    tl_metrics_family(w, "teale_build_info", "gauge", "Always 1; the version is the label.");
    tl_metrics_sample(w, "teale_build_info", "version=\"" TL_VERSION "\"", 1);
    tl_metrics_single(w, "teale_uptime_seconds", "gauge", "Since the node was made.",
                      (double)f->uptime / (double)TL_SEC);
    write_relay(w, f);
    write_quic(w, &f->quic);
    write_peers(w, f);
    write_nat(w, &f->nat);
    write_stun(w, &f->stun);
    write_datagrams(w, &f->datagrams);
    write_reconnects(w, &f->reconnects);
    write_direct(w, &f->direct, &f->punches);
    tl_metrics_dht(w, &f->dht);
    tl_metrics_fragments(w, &f->fragments);
    tl_metrics_lan(w, &f->lan);
    tl_metrics_relaying(w, f);
    write_requests(w, f);
    write_slots(w, &f->slots);
    tl_metrics_single(w, "teale_share_paused", "gauge", "1 while the owner serves nobody else.",
                      f->paused);
    write_networks(w, f);
}

/* --- the API's own --- */

static const char *const route_names[TL_ROUTE_COUNT] = {
    [TL_ROUTE_CHAT] = "chat_completions",
    [TL_ROUTE_COMPLETIONS] = "completions",
    [TL_ROUTE_EMBEDDINGS] = "embeddings",
    [TL_ROUTE_RESPONSES] = "responses",
    [TL_ROUTE_AUDIO] = "audio",
    [TL_ROUTE_IMAGES] = "images",
    [TL_ROUTE_RERANK] = "rerank",
    [TL_ROUTE_MODELS] = "models",
    [TL_ROUTE_APP] = "app",
    [TL_ROUTE_EVENTS] = "events",
    [TL_ROUTE_HEALTH] = "health",
    [TL_ROUTE_METRICS] = "metrics",
    [TL_ROUTE_PAGE] = "page",
    [TL_ROUTE_CONTROL] = "control",
    [TL_ROUTE_NONE] = "none",
};

static void write_answers(tl_metrics *w, const tl_api_counters *c)
{
    char labels[96];
    tl_metrics_family(w, "teale_api_requests_total", "counter", "Requests answered.");
    for (int route = 0; route < TL_ROUTE_COUNT; route++)
        for (int hundred = 2; hundred <= 5; hundred++) {
            if (hundred == 3 && route != TL_ROUTE_PAGE)
                continue; /* nothing else is asked for by ETag */
            snprintf(labels, sizeof labels, "route=\"%s\",status=\"%dxx\"", route_names[route],
                     hundred);
            tl_metrics_sample(w, "teale_api_requests_total", labels,
                              (double)c->answers[route][hundred]);
        }
}

static void write_refusals(tl_metrics *w, const tl_api_counters *c, const tl_httpd_stats *s)
{
    tl_metrics_family(w, "teale_api_refused_total", "counter",
                      "Requests and connections refused before any route saw them.");
    tl_metrics_sample(w, "teale_api_refused_total", "reason=\"host\"", (double)c->refused_host);
    tl_metrics_sample(w, "teale_api_refused_total", "reason=\"origin\"", (double)c->refused_origin);
    tl_metrics_sample(w, "teale_api_refused_total", "reason=\"key\"", (double)c->refused_key);
    tl_metrics_sample(w, "teale_api_refused_total", "reason=\"malformed\"", (double)s->malformed);
    tl_metrics_sample(w, "teale_api_refused_total", "reason=\"timed_out\"", (double)s->timed_out);
    tl_metrics_sample(w, "teale_api_refused_total", "reason=\"overloaded\"", (double)s->overloaded);
}

static void write_api(tl_metrics *w, const tl_api_counters *c, const tl_httpd_stats *s)
{
    write_answers(w, c);
    write_refusals(w, c, s);
    tl_metrics_single(w, "teale_api_connections", "gauge", "Connections open.",
                      (double)s->connections);
    tl_metrics_single(w, "teale_api_connections_total", "counter", "Connections accepted.",
                      (double)s->accepted);
    tl_metrics_single(w, "teale_api_questions_active", "gauge", "Questions being answered.",
                      (double)c->asks_active);
    tl_metrics_single(w, "teale_api_event_streams", "gauge", "Clients of /v1/events.",
                      (double)c->event_streams);
    tl_metrics_single(w, "teale_api_questions_cancelled_total", "counter",
                      "Questions cancelled because their client was gone.", (double)c->cancelled);
    tl_metrics_single(w, "teale_api_answers_broken_off_total", "counter",
                      "Answers that failed after they had begun.", (double)c->broken_off);
    tl_metrics_single(w, "teale_api_clients_stalled_total", "counter",
                      "Clients cut because they did not read their answer.", (double)s->stalled);
    tl_metrics_single(w, "teale_api_received_bytes_total", "counter", "Bytes read from clients.",
                      (double)s->bytes_in);
    tl_metrics_single(w, "teale_api_sent_bytes_total", "counter", "Bytes sent to clients.",
                      (double)s->bytes_out);
    tl_metrics_family(w, "teale_api_first_byte_seconds", "summary",
                      "From a question to the first byte of its answer.");
    tl_metrics_sample(w, "teale_api_first_byte_seconds_sum", "", c->first_byte_seconds);
    tl_metrics_sample(w, "teale_api_first_byte_seconds_count", "", (double)c->first_bytes);
}

void tl_api_on_metrics(tl_api *api, tl_httpd_req *r)
{
    tl_httpd_stats s = tl_httpd_stats_of(api->httpd);
    tl_node_facts f;
    tl_buf out = {0};
    tl_metrics w = {&out, TL_OK};
    tl_node_facts_of(api->node, &f);
    write_node(&w, &f);
    write_api(&w, &api->counters, &s);
    if (w.e) {
        tl_api_error(api, r, 500, "internal_error", NULL, "out of memory");
    } else {
        tl_api_count(api, r, 200);
        tl_httpd_respond(r, 200, "text/plain; version=0.0.4; charset=utf-8", tl_buf_slice(&out));
    }
    tl_buf_clear(&out);
}
