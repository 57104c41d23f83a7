/* Every counter of the node and of the API as Prometheus text: base units, labels from a fixed set,
 * no node IDs. */
#include "api/metrics_part.h"
#include "api/state.h"

#include <stdio.h>

typedef tl_metrics writer;

static void family(writer *w, const char *name, const char *type, const char *help)
{
    tl_metrics_family(w, name, type, help);
}

static void sample(writer *w, const char *name, const char *labels, double value)
{
    tl_metrics_sample(w, name, labels, value);
}

static void single(writer *w, const char *name, const char *type, const char *help, double value)
{
    tl_metrics_single(w, name, type, help, value);
}

static void write_relay(writer *w, const tl_node_facts *f)
{
    const tl_relay_link_counters *l = &f->relay;
    single(w, "teale_relay_connected", "gauge", "1 while registered at the relay.",
           f->relay_connected);
    static const char *const which[TL_RELAYS_MAX] = {"relay=\"1\"", "relay=\"2\""};
    family(w, "teale_relays_connected", "gauge", "1 while registered at that relay, of two.");
    for (size_t i = 0; i < TL_RELAYS_MAX; i++)
        sample(w, "teale_relays_connected", which[i], f->relays[i].connected);
    family(w, "teale_relays_rtt_seconds", "gauge", "Last round trip to that relay; 0 unknown.");
    for (size_t i = 0; i < TL_RELAYS_MAX; i++)
        sample(w, "teale_relays_rtt_seconds", which[i], (double)f->relays[i].rtt / (double)TL_SEC);
    single(w, "teale_relay_rtt_seconds", "gauge", "Last round trip to the relay; 0 unknown.",
           (double)f->relay_rtt / (double)TL_SEC);
    single(w, "teale_relay_registrations_total", "counter", "Successful registrations.",
           (double)f->relay_registrations);
    family(w, "teale_relay_messages_total", "counter", "Messages exchanged with the relay.");
    sample(w, "teale_relay_messages_total", "direction=\"in\"", (double)l->messages_in);
    sample(w, "teale_relay_messages_total", "direction=\"out\"", (double)l->messages_out);
    family(w, "teale_relay_datagrams_total", "counter", "Datagrams by the relay's WebSocket.");
    sample(w, "teale_relay_datagrams_total", "direction=\"in\"", (double)l->datagrams_in);
    sample(w, "teale_relay_datagrams_total", "direction=\"out\"", (double)l->datagrams_out);
    single(w, "teale_relay_datagrams_dropped_total", "counter",
           "Datagrams without a session, or over the queue's bound.", (double)l->datagrams_dropped);
    single(w, "teale_relay_malformed_total", "counter", "Malformed messages from the relay.",
           (double)l->malformed);
    single(w, "teale_relay_ignored_total", "counter",
           "Messages from the relay that this node had no use for.", (double)l->ignored);
    single(w, "teale_relay_errors_total", "counter", "Errors the relay reported.",
           (double)l->errors);
    single(w, "teale_relay_sessions_refused_total", "counter",
           "Sessions that peers wanted and this node refused.", (double)l->refused);
    single(w, "teale_relay_peers_refused_total", "counter",
           "Listed peers whose entry is malformed.", (double)l->peers_refused);
    single(w, "teale_relay_peers_in_clear_total", "counter",
           "Listed peers without the key that belongs to their ID.", (double)l->peers_in_clear);
}

static void write_quic(writer *w, const tl_quic_counters *q)
{
    family(w, "teale_quic_datagrams_total", "counter", "QUIC datagrams.");
    sample(w, "teale_quic_datagrams_total", "direction=\"in\"", (double)q->datagrams_in);
    sample(w, "teale_quic_datagrams_total", "direction=\"out\"", (double)q->datagrams_out);
    family(w, "teale_quic_bytes_total", "counter", "Bytes of QUIC datagrams.");
    sample(w, "teale_quic_bytes_total", "direction=\"in\"", (double)q->bytes_in);
    sample(w, "teale_quic_bytes_total", "direction=\"out\"", (double)q->bytes_out);
    family(w, "teale_quic_dropped_total", "counter", "Datagrams dropped in silence.");
    sample(w, "teale_quic_dropped_total", "reason=\"short\"", (double)q->dropped_short);
    sample(w, "teale_quic_dropped_total", "reason=\"unknown\"", (double)q->dropped_unknown);
    sample(w, "teale_quic_dropped_total", "reason=\"auth\"", (double)q->dropped_auth);
    sample(w, "teale_quic_dropped_total", "reason=\"replay\"", (double)q->dropped_replay);
    sample(w, "teale_quic_dropped_total", "reason=\"limit\"", (double)q->dropped_limit);
    family(w, "teale_quic_handshakes_total", "counter", "Noise handshakes.");
    sample(w, "teale_quic_handshakes_total", "result=\"done\"", (double)q->handshakes_done);
    sample(w, "teale_quic_handshakes_total", "result=\"failed\"", (double)q->handshakes_failed);
    single(w, "teale_quic_retries_total", "counter", "Retry packets sent under load.",
           (double)q->retries_sent);
    family(w, "teale_quic_closed_total", "counter", "Connections closed: the peer cost too much.");
    sample(w, "teale_quic_closed_total", "reason=\"holes\"", (double)q->closed_holes);
    sample(w, "teale_quic_closed_total", "reason=\"memory\"", (double)q->closed_memory);
    single(w, "teale_quic_black_holes_total", "counter",
           "How often large packets were lost on a path that had carried them.",
           (double)q->black_holes);
    single(w, "teale_quic_key_updates_total", "counter", "Key updates.", (double)q->key_updates);
}

static void write_relayed(writer *w, const tl_node_facts *f)
{
    const tl_peers_counters *p = &f->peers;
    family(
        w, "teale_relayed_moves_total", "counter",
        "Times a relayed connection that we dialled moved between UDP and the relay's WebSocket.");
    sample(w, "teale_relayed_moves_total", "to=\"udp\"", (double)p->udp_upgrades);
    sample(w, "teale_relayed_moves_total", "to=\"websocket\"", (double)p->udp_fallbacks);
    single(w, "teale_relayed_udp_lost_total", "counter",
           "Times a way by UDP to the relay fell silent.", (double)p->udp_lost);
    single(w, "teale_relayed_rebinds_total", "counter",
           "Times a relay was told our new UDP address, and sends there.", (double)p->migrations);
    single(w, "teale_relayed_strays_total", "counter",
           "What came from a relay and belongs to no connection or question of ours.",
           (double)p->relay_strays);
    family(w, "teale_relayed_packets_total", "counter",
           "Of the datagrams by the relay's WebSocket, those with a token instead of a text.");
    sample(w, "teale_relayed_packets_total", "direction=\"in\"", (double)f->relay.packets_in);
    sample(w, "teale_relayed_packets_total", "direction=\"out\"", (double)f->relay.packets_out);
}

static void write_relayers(writer *w, const tl_node_facts *f)
{
    const tl_relayers_counters *r = &f->relayers;
    single(w, "teale_relayed_by_nodes", "gauge",
           "Nodes that relay, to which this node is attached so that others reach it there.",
           (double)f->relayers_attached);
    single(w, "teale_relayed_by_node_sessions", "gauge",
           "Relay sessions of this node at nodes that relay.", (double)f->relayer_sessions);
    single(w, "teale_peers_relayed_by_node", "gauge",
           "Of the relayed peers, those whose connection another node relays.",
           (double)f->paths.by_nodes);
    single(w, "teale_relayed_by_node_requests_total", "counter",
           "RelayRequests that this node sent.", (double)r->requests);
    family(w, "teale_relayed_by_node_offers_total", "counter",
           "RelayOffers that came. Refused ones are forged, stale, for others, or too many.");
    sample(w, "teale_relayed_by_node_offers_total", "result=\"taken\"", (double)r->offers);
    sample(w, "teale_relayed_by_node_offers_total", "result=\"refused\"",
           (double)r->offers_refused);
    single(w, "teale_relayed_by_node_lost_total", "counter",
           "Relay sessions that ended since the node that relayed fell silent.", (double)r->lost);
}

static void write_peers(writer *w, const tl_node_facts *f)
{
    const tl_peers_counters *p = &f->peers;
    single(w, "teale_peers_known", "gauge", "Nodes known, connected or not.",
           (double)f->peers_known);
    family(w, "teale_peers_connected", "gauge", "Connected peers by the way to them.");
    sample(w, "teale_peers_connected", "path=\"direct\"", (double)f->paths.direct);
    sample(w, "teale_peers_connected", "path=\"lan\"", (double)f->paths.lan);
    sample(w, "teale_peers_connected", "path=\"relayed\"", (double)f->paths.relayed);
    single(w, "teale_peers_relayed_by_udp", "gauge",
           "Of the relayed peers, those that this node reaches by UDP to the relay.",
           (double)f->paths.relayed_udp);
    family(w, "teale_connections_total", "counter", "Connections begun.");
    sample(w, "teale_connections_total", "role=\"dialled\"", (double)p->dials);
    sample(w, "teale_connections_total", "role=\"accepted\"", (double)p->accepted);
    single(w, "teale_connection_failures_total", "counter",
           "Dialled connections that were not established.", (double)p->dial_failures);
    single(w, "teale_path_outages_total", "counter", "How often a connection lost its path.",
           (double)p->outages);
    family(w, "teale_path_moves_total", "counter",
           "Times a connection we dialled moved from the relay to a direct path, back, or between "
           "two direct ones.");
    sample(w, "teale_path_moves_total", "kind=\"upgrade\"", (double)p->upgrades);
    sample(w, "teale_path_moves_total", "kind=\"fallback\"", (double)p->fallbacks);
    sample(w, "teale_path_moves_total", "kind=\"relay\"", (double)p->relays_changed);
    sample(w, "teale_path_moves_total", "kind=\"switch\"", (double)p->switches);
    single(w, "teale_path_recoveries_total", "counter", "How often it found another path.",
           (double)p->recovered);
    write_relayed(w, f);
    write_relayers(w, f);
}

/* --- the network and direct paths; all zero without a UDP socket --- */

static void write_nat(writer *w, const tl_nat_facts *f)
{
    static const char *const tesseras[] = {"Public", "Cone", "Symmetric", "Unknown"};
    char labels[96];
    family(w, "tesseras_nat_type", "gauge", "The NAT in front of this node: one type is 1.");
    for (size_t i = 0; i < sizeof tesseras / sizeof *tesseras; i++) {
        snprintf(labels, sizeof labels, "type=\"%s\"", tesseras[i]);
        sample(w, "tesseras_nat_type", labels, strcmp(tl_nat_tesseras_type(f), tesseras[i]) == 0);
    }
    family(w, "teale_nat_type", "gauge", "The same by finer names: one type is 1.");
    for (size_t i = 0; i < TL_NAT_TYPES; i++) {
        snprintf(labels, sizeof labels, "type=\"%s\"", tl_nat_type_name((tl_nat_type)i));
        sample(w, "teale_nat_type", labels, tl_nat_type_of(f) == i);
    }
    single(w, "teale_udp_blocked", "gauge", "1 when no STUN server that was asked answered.",
           f->udp_blocked);
}

static void write_stun(writer *w, const tl_behaviour_counters *c)
{
    single(w, "tesseras_stun_requests_total", "counter", "STUN requests sent, repeats included.",
           (double)c->requests);
    single(w, "tesseras_stun_failures_total", "counter", "STUN questions that nobody answered.",
           (double)c->failures);
    single(w, "teale_stun_answers_total", "counter", "STUN answers that were accepted.",
           (double)c->answers);
    single(w, "teale_stun_strays_total", "counter",
           "STUN answers that were not accepted: forged, late, from elsewhere.", (double)c->strays);
}

static void write_reconnects(writer *w, const tl_reconnect_counters *c)
{
    family(w, "teale_reconnect_phases_total", "counter",
           "Phases after a change of network that ended, by how.");
    for (tl_phase p = TL_PHASE_MIGRATION; p <= TL_PHASE_REESTABLISH; p++)
        for (int failed = 0; failed < 2; failed++) {
            char labels[64];
            snprintf(labels, sizeof labels, "phase=\"%s\",result=\"%s\"", tl_phase_name(p),
                     tl_phase_state_name(failed ? TL_PHASE_FAILED : TL_PHASE_DONE));
            sample(w, "teale_reconnect_phases_total", labels,
                   (double)(failed ? c->failed : c->done)[p]);
        }
}

static void write_datagrams(writer *w, const tl_network_counters *c)
{
    single(w, "tesseras_network_change_total", "counter",
           "How often interfaces, routes or the public address changed.", (double)c->changes);
    family(w, "teale_udp_datagrams_total", "counter", "Datagrams of the node's UDP port.");
    sample(w, "teale_udp_datagrams_total", "direction=\"in\"", (double)c->datagrams_in);
    sample(w, "teale_udp_datagrams_total", "direction=\"out\"", (double)c->datagrams_out);
    family(w, "teale_udp_bytes_total", "counter", "Bytes of them.");
    sample(w, "teale_udp_bytes_total", "direction=\"in\"", (double)c->bytes_in);
    sample(w, "teale_udp_bytes_total", "direction=\"out\"", (double)c->bytes_out);
    family(w, "teale_udp_dropped_total", "counter", "Datagrams dropped in silence.");
    sample(w, "teale_udp_dropped_total", "reason=\"short\"", (double)c->dropped_short);
    sample(w, "teale_udp_dropped_total", "reason=\"unknown\"", (double)c->dropped_unknown);
    sample(w, "teale_udp_dropped_total", "reason=\"krpc\"", (double)c->dropped_krpc);
    single(w, "teale_udp_send_errors_total", "counter", "Datagrams the system would not send.",
           (double)c->send_errors);
    single(w, "teale_udp_too_large_total", "counter",
           "Datagrams larger than the way out of this machine allows.", (double)c->too_large);
}

static void write_punch_pairs(writer *w, const char *name, const char *help,
                              const uint64_t counts[TL_CONTROL_NATS][TL_CONTROL_NATS])
{
    char labels[96];
    family(w, name, "counter", help);
    for (int initiator = 0; initiator < TL_CONTROL_NATS; initiator++)
        for (int target = 0; target < TL_CONTROL_NATS; target++) {
            snprintf(labels, sizeof labels, "initiator_nat=\"%s\",target_nat=\"%s\"",
                     tl_control_nat_name((tl_control_nat)initiator),
                     tl_control_nat_name((tl_control_nat)target));
            sample(w, name, labels, (double)counts[initiator][target]);
        }
}

static void write_direct(writer *w, const tl_direct_counters *c, const tl_punch_counters *punches)
{
    write_punch_pairs(w, "tesseras_punch_attempts_total",
                      "Attempts at a direct path, by the NATs of who began and of the other.",
                      punches->attempts);
    write_punch_pairs(w, "teale_punch_successes_total",
                      "Those that found one, by the NATs of who began and of the other.",
                      punches->successes);
    single(w, "teale_direct_attempts_total", "counter", "Attempts at a direct path.",
           (double)c->attempts);
    family(w, "teale_direct_attempts_ended_total", "counter", "How attempts ended.");
    sample(w, "teale_direct_attempts_ended_total", "result=\"succeeded\"", (double)c->succeeded);
    sample(w, "teale_direct_attempts_ended_total", "result=\"failed\"", (double)c->failed);
    single(w, "teale_direct_lost_total", "counter", "Direct paths that stood and fell silent.",
           (double)c->lost);
    single(w, "teale_direct_rebinds_total", "counter",
           "How often a peer's address changed under a direct path.", (double)c->rebinds);
    single(w, "teale_direct_strays_total", "counter", "Checks that belonged to no session.",
           (double)c->strays);
    single(w, "teale_candidates_refused_total", "counter",
           "Addresses that peers named and this node never sends to.",
           (double)c->candidates_refused);
    family(w, "teale_offers_total", "counter", "Offers, answers and candidates of direct paths.");
    sample(w, "teale_offers_total", "direction=\"in\"", (double)c->offers_in);
    sample(w, "teale_offers_total", "direction=\"out\"", (double)c->offers_out);
    family(w, "teale_offers_refused_total", "counter",
           "Offers, answers and candidates of peers that were refused.");
    for (int v = TL_OFFER_OK + 1; v < TL_OFFER_VERDICTS; v++) {
        char labels[96];
        snprintf(labels, sizeof labels, "reason=\"%s\"", tl_offer_verdict_name(v));
        sample(w, "teale_offers_refused_total", labels, (double)c->offers_refused[v]);
    }
    sample(w, "teale_offers_refused_total", "reason=\"unwelcome\"", (double)c->unwelcome);
    sample(w, "teale_offers_refused_total", "reason=\"rate\"", (double)c->rate_limited);
}

/* Those that this node asked are among the questions of all kinds, too. */
static void write_old(writer *w, const tl_legacy_counters *c)
{
    static const char name[] = "teale_old_protocol_requests_total";
    family(w, name, "counter", "Questions in clear, by the old protocol, by role and result.");
    sample(w, name, "role=\"asked\",result=\"ok\"", (double)c->answered);
    sample(w, name, "role=\"asked\",result=\"failed\"", (double)c->failed);
    sample(w, name, "role=\"served\",result=\"ok\"", (double)c->served);
    sample(w, name, "role=\"served\",result=\"failed\"", (double)c->serve_failed);
    sample(w, name, "role=\"served\",result=\"cancelled\"", (double)c->cancelled);
    sample(w, name, "role=\"served\",result=\"refused\"", (double)c->refused);
    sample(w, name, "role=\"served\",result=\"declined\"", (double)c->declined);
}

static void write_requests(writer *w, const tl_node_facts *f)
{
    const tl_router_counters *r = &f->asked;
    const tl_server_counters *s = &f->served;
    family(w, "teale_requests_total", "counter", "Questions by role and result.");
    sample(w, "teale_requests_total", "role=\"asked\",result=\"ok\"", (double)r->answered);
    sample(w, "teale_requests_total", "role=\"asked\",result=\"failed\"", (double)r->failed);
    sample(w, "teale_requests_total", "role=\"served\",result=\"ok\"", (double)s->served);
    sample(w, "teale_requests_total", "role=\"served\",result=\"failed\"", (double)s->failed);
    sample(w, "teale_requests_total", "role=\"served\",result=\"cancelled\"", (double)s->cancelled);
    sample(w, "teale_requests_total", "role=\"served\",result=\"refused\"", (double)s->refused);
    sample(w, "teale_requests_total", "role=\"served\",result=\"malformed\"", (double)s->malformed);
    single(w, "teale_requests_false_claims_total", "counter",
           "Requests refused since they named a network whose members their senders are not.",
           (double)s->refused_claims);
    single(w, "teale_requests_retried_total", "counter", "Questions tried at another provider.",
           (double)r->retried);
    single(w, "teale_requests_overtaken_total", "counter",
           "Questions also asked of a second provider since the first was silent.",
           (double)r->overtaken);
    single(w, "teale_requests_repriced_total", "counter",
           "Refusals by providers whose price was not the one that was known.",
           (double)r->repriced);
    single(w, "teale_requests_too_dear_total", "counter",
           "Questions that failed since every provider cost more than the maximum.",
           (double)r->too_dear);
    single(w, "teale_requests_local_total", "counter", "Questions given to the local model server.",
           (double)r->local);
    write_old(w, &f->old);
    family(w, "teale_requests_active", "gauge", "Questions under way.");
    sample(w, "teale_requests_active", "role=\"asked\"", (double)f->asked_running);
    sample(w, "teale_requests_active", "role=\"served\"", (double)f->served_running);
    family(w, "teale_tokens_served_total", "counter",
           "Tokens of served requests, as far as known.");
    sample(w, "teale_tokens_served_total", "direction=\"in\"", (double)s->tokens_in);
    sample(w, "teale_tokens_served_total", "direction=\"out\"", (double)s->tokens_out);
    single(w, "teale_backend_up", "gauge", "1 while the shared model server answers.",
           f->backend == TL_BACKEND_UP);
    single(w, "teale_backend_models", "gauge", "Models the shared model server has.",
           (double)f->backend_models);
    single(w, "teale_backend_running", "gauge", "Exchanges with the shared model server under way.",
           (double)f->backend_running);
}

/* The queue before the model server, by class. */
static void write_slots(writer *w, const tl_slots_facts *f)
{
    static const char *const labels[TL_SCHED_CLASSES] = {
        [TL_SCHED_PRIVATE] = "class=\"private\"", [TL_SCHED_PUBLIC] = "class=\"public\""};
    char more[64];
    family(w, "teale_served_tokens_total", "counter",
           "Tokens of answers to others, by class and kind, as they are charged.");
    for (int c = 0; c < TL_SCHED_CLASSES; c++) {
        snprintf(more, sizeof more, "%s,kind=\"prompt\"", labels[c]);
        sample(w, "teale_served_tokens_total", more, (double)f->prompt[c]);
        snprintf(more, sizeof more, "%s,kind=\"generated\"", labels[c]);
        sample(w, "teale_served_tokens_total", more, (double)f->generated[c]);
    }
    family(w, "teale_queue_length", "gauge", "Questions of others that wait for a slot.");
    for (int c = 0; c < TL_SCHED_CLASSES; c++)
        sample(w, "teale_queue_length", labels[c], f->queued[c]);
    family(w, "teale_queue_wait_seconds", "gauge",
           "How long a question that came now would wait, as far as it can be told.");
    for (int c = 0; c < TL_SCHED_CLASSES; c++)
        sample(w, "teale_queue_wait_seconds", labels[c], f->wait_seconds[c]);
    family(w, "teale_queue_waited_seconds_total", "counter",
           "Time in the queue of the questions that got a slot, in sum.");
    for (int c = 0; c < TL_SCHED_CLASSES; c++)
        sample(w, "teale_queue_waited_seconds_total", labels[c],
               (double)f->waited[c] / (double)TL_SEC);
    family(w, "teale_queue_left_total", "counter", "Questions that got a slot.");
    for (int c = 0; c < TL_SCHED_CLASSES; c++)
        sample(w, "teale_queue_left_total", labels[c], (double)f->began[c]);
    family(w, "teale_queue_refused_total", "counter", "Questions that got none.");
    sample(w, "teale_queue_refused_total", "reason=\"full\"", (double)f->turned_away);
    sample(w, "teale_queue_refused_total", "reason=\"late\"", (double)f->late);
    single(w, "teale_share_slots", "gauge", "Slots of the model server for others.", f->slots);
    single(w, "teale_share_running", "gauge", "Of these, in use.", f->running);
}

/* By number: an ID in a label would tell whoever reads the metrics which networks these are. */
static void write_networks(writer *w, const tl_node_facts *f)
{
    char label[40];
    family(w, "teale_ptn_members", "gauge",
           "Known members of each private network, this node among them.");
    for (size_t i = 0; i < f->n_networks; i++) {
        snprintf(label, sizeof label, "network=\"%zu\"", i + 1);
        sample(w, "teale_ptn_members", label, (double)f->network_members[i]);
    }
}

static void write_results(writer *w, const char *name, const char *help, const uint64_t *counts)
{
    char labels[32];
    family(w, name, "counter", help);
    for (int i = 0; i < TL_ASKED_RESULTS; i++) {
        snprintf(labels, sizeof labels, "result=\"%s\"", tl_asked_name((tl_asked)i));
        sample(w, name, labels, (double)counts[i]);
    }
}

/* The names that teale-relay has, too: this node has no WebSocket of others. */
static void write_relayed_packets(writer *w, const tl_tokens_counters *t, uint64_t loop)
{
    static const char *const reasons[TL_TOKENS_DROPS] = {
        [TL_TOKENS_DROP_TOKEN] = "reason=\"token\"",
        [TL_TOKENS_DROP_SOURCE] = "reason=\"source\"",
        [TL_TOKENS_DROP_SHORT] = "reason=\"short\"",
        [TL_TOKENS_DROP_SIZE] = "reason=\"size\"",
        [TL_TOKENS_DROP_RATE] = "reason=\"rate\"",
        [TL_TOKENS_DROP_SLOW] = "reason=\"slow\"",
        [TL_TOKENS_DROP_CONTROL] = "reason=\"control\""};
    family(w, "teale_relay_packets_total", "counter", "Datagrams passed on for others.");
    sample(w, "teale_relay_packets_total", "from=\"udp\",to=\"udp\"",
           (double)t->packets[TL_TOKENS_BY_UDP][TL_TOKENS_BY_UDP]);
    family(w, "teale_relay_packet_bytes_total", "counter", "Bytes of their payloads.");
    sample(w, "teale_relay_packet_bytes_total", "from=\"udp\",to=\"udp\"",
           (double)t->bytes[TL_TOKENS_BY_UDP][TL_TOKENS_BY_UDP]);
    family(w, "teale_relay_packets_dropped_total", "counter", "Datagrams that were not passed on.");
    for (int i = 0; i < TL_TOKENS_DROPS; i++)
        sample(w, "teale_relay_packets_dropped_total", reasons[i],
               (double)(t->dropped[i] + (i == TL_TOKENS_DROP_SOURCE ? loop : 0)));
    family(w, "teale_relay_migrations_total", "counter", "Sides that said they had moved.");
    sample(w, "teale_relay_migrations_total", "result=\"moved\"", (double)t->moved);
    sample(w, "teale_relay_migrations_total", "result=\"refused\"", (double)t->refused);
    sample(w, "teale_relay_migrations_total", "result=\"unanswered\"", (double)t->unanswered);
    single(w, "teale_relay_udp_sides", "gauge", "Sides of relay sessions that have come.",
           (double)t->udp_sides);
}

static void write_introducing(writer *w, const tl_node_facts *f)
{
    static const char *const name = "teale_introductions_total";
    const tl_introducing_counts *i = &f->introducing;
    char labels[32];
    single(w, "teale_introducing", "gauge", "1 while this node introduces others to each other.",
           i->serving);
    single(w, "teale_introducers_attached", "gauge",
           "Nodes to which this node is attached, so that they introduce others to it.",
           (double)i->attached_to);
    write_results(w, name, "Introductions asked of this node: taken, and refused.", i->made.intros);
    sample(w, name, "result=\"answered\"", (double)i->made.answered);
    sample(w, name, "result=\"answer_refused\"", (double)i->made.readies_refused);
    single(w, "teale_introductions_own_total", "counter",
           "Nodes attached to this one that it asked for a direct path for itself.",
           (double)i->made.calls);
    family(w, "teale_punch_requests_total", "counter",
           "Introductions of others to this node: taken, and refused.");
    for (int r = 0; r < TL_DIRECT_INTRO_RESULTS; r++) {
        snprintf(labels, sizeof labels, "result=\"%s\"",
                 tl_direct_intro_name((tl_direct_intro_result)r));
        sample(w, "teale_punch_requests_total", labels, (double)f->direct.intros_in[r]);
    }
    single(w, "teale_punch_strangers_total", "counter",
           "Introductions taken of nodes that this node does not know.",
           (double)f->direct.strangers);
    family(w, "teale_punch_readies_total", "counter",
           "Answers to introductions that this node asked for: taken, and refused.");
    for (int r = 0; r < TL_DIRECT_INTRO_RESULTS; r++) {
        snprintf(labels, sizeof labels, "result=\"%s\"",
                 tl_direct_intro_name((tl_direct_intro_result)r));
        sample(w, "teale_punch_readies_total", labels, (double)f->direct.readies_in[r]);
    }
}

static void write_relaying(writer *w, const tl_node_facts *facts)
{
    const tl_relaying_counts *f = &facts->relaying;
    const tl_peerrelay_counters *c = &f->asked;
    single(w, "teale_relaying", "gauge", "1 while this node relays for others.", f->serving);
    single(w, "teale_relaying_attached", "gauge", "Nodes that can be reached through this one.",
           (double)facts->introducing.attached.attached);
    write_results(w, "teale_relaying_attaches_total", "Nodes that attached, and those refused.",
                  facts->introducing.attached.attaches);
    write_results(w, "teale_relaying_requests_total",
                  "Relay sessions asked for: offered, and refused.", c->requests);
    family(w, "teale_relaying_ended_total", "counter", "Relay sessions that this node ended.");
    sample(w, "teale_relaying_ended_total", "reason=\"idle\"", (double)c->ended_idle);
    sample(w, "teale_relaying_ended_total", "reason=\"session_max\"", (double)c->ended_max);
    sample(w, "teale_relaying_ended_total", "reason=\"policy\"", (double)c->ended_policy);
    sample(w, "teale_relaying_ended_total", "reason=\"moved\"", (double)c->ended_moved);
    write_relayed_packets(w, &f->tokens, c->packets_loop);
    single(w, "tesseras_relay_sessions_active", "gauge", "Sessions relayed for others now.",
           (double)c->sessions);
    single(w, "tesseras_relay_bytes_forwarded", "counter", "Bytes relayed for others.",
           (double)f->tokens.bytes[TL_TOKENS_BY_UDP][TL_TOKENS_BY_UDP]);
}

static void write_node(writer *w, const tl_node_facts *f)
{
    family(w, "teale_build_info", "gauge", "Always 1; the version is the label.");
    sample(w, "teale_build_info", "version=\"" TL_VERSION "\"", 1);
    single(w, "teale_uptime_seconds", "gauge", "Since the node was made.",
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
    write_relaying(w, f);
    write_introducing(w, f);
    write_requests(w, f);
    write_slots(w, &f->slots);
    single(w, "teale_share_paused", "gauge", "1 while the owner serves nobody else.", f->paused);
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

static void write_answers(writer *w, const tl_api_counters *c)
{
    char labels[96];
    family(w, "teale_api_requests_total", "counter", "Requests answered.");
    for (int route = 0; route < TL_ROUTE_COUNT; route++)
        for (int hundred = 2; hundred <= 5; hundred++) {
            if (hundred == 3 && route != TL_ROUTE_PAGE)
                continue; /* nothing else is asked for by ETag */
            snprintf(labels, sizeof labels, "route=\"%s\",status=\"%dxx\"", route_names[route],
                     hundred);
            sample(w, "teale_api_requests_total", labels, (double)c->answers[route][hundred]);
        }
}

static void write_refusals(writer *w, const tl_api_counters *c, const tl_httpd_stats *s)
{
    family(w, "teale_api_refused_total", "counter",
           "Requests and connections refused before any route saw them.");
    sample(w, "teale_api_refused_total", "reason=\"host\"", (double)c->refused_host);
    sample(w, "teale_api_refused_total", "reason=\"origin\"", (double)c->refused_origin);
    sample(w, "teale_api_refused_total", "reason=\"key\"", (double)c->refused_key);
    sample(w, "teale_api_refused_total", "reason=\"malformed\"", (double)s->malformed);
    sample(w, "teale_api_refused_total", "reason=\"timed_out\"", (double)s->timed_out);
    sample(w, "teale_api_refused_total", "reason=\"overloaded\"", (double)s->overloaded);
}

static void write_api(writer *w, const tl_api_counters *c, const tl_httpd_stats *s)
{
    write_answers(w, c);
    write_refusals(w, c, s);
    single(w, "teale_api_connections", "gauge", "Connections open.", (double)s->connections);
    single(w, "teale_api_connections_total", "counter", "Connections accepted.",
           (double)s->accepted);
    single(w, "teale_api_questions_active", "gauge", "Questions being answered.",
           (double)c->asks_active);
    single(w, "teale_api_event_streams", "gauge", "Clients of /v1/events.",
           (double)c->event_streams);
    single(w, "teale_api_questions_cancelled_total", "counter",
           "Questions cancelled because their client was gone.", (double)c->cancelled);
    single(w, "teale_api_answers_broken_off_total", "counter",
           "Answers that failed after they had begun.", (double)c->broken_off);
    single(w, "teale_api_clients_stalled_total", "counter",
           "Clients cut because they did not read their answer.", (double)s->stalled);
    single(w, "teale_api_received_bytes_total", "counter", "Bytes read from clients.",
           (double)s->bytes_in);
    single(w, "teale_api_sent_bytes_total", "counter", "Bytes sent to clients.",
           (double)s->bytes_out);
    family(w, "teale_api_first_byte_seconds", "summary",
           "From a question to the first byte of its answer.");
    sample(w, "teale_api_first_byte_seconds_sum", "", c->first_byte_seconds);
    sample(w, "teale_api_first_byte_seconds_count", "", (double)c->first_bytes);
}

void tl_api_on_metrics(tl_api *api, tl_httpd_req *r)
{
    tl_httpd_stats s = tl_httpd_stats_of(api->httpd);
    tl_node_facts f;
    tl_buf out = {0};
    writer w = {&out, TL_OK};
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
