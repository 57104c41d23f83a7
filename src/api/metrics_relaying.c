/* What this node does for others on their way to each other, as Prometheus text: relaying and introductions. */
#include "api/metrics_part.h"

#include <stdio.h>

static void write_results(tl_metrics *w, const char *name, const char *help, const uint64_t *counts)
{
    char labels[32];
    tl_metrics_family(w, name, "counter", help);
    for (int i = 0; i < TL_ASKED_RESULTS; i++) {
        snprintf(labels, sizeof labels, "result=\"%s\"", tl_asked_name((tl_asked)i));
        tl_metrics_sample(w, name, labels, (double)counts[i]);
    }
}

/* The names that teale-relay has, too: this node has no WebSocket of others. */
static void write_relayed_packets(tl_metrics *w, const tl_tokens_counters *t, uint64_t loop)
{
    static const char *const reasons[TL_TOKENS_DROPS] = {
        [TL_TOKENS_DROP_TOKEN] = "reason=\"token\"",
        [TL_TOKENS_DROP_SOURCE] = "reason=\"source\"",
        [TL_TOKENS_DROP_SHORT] = "reason=\"short\"",
        [TL_TOKENS_DROP_SIZE] = "reason=\"size\"",
        [TL_TOKENS_DROP_RATE] = "reason=\"rate\"",
        [TL_TOKENS_DROP_SLOW] = "reason=\"slow\"",
        [TL_TOKENS_DROP_CONTROL] = "reason=\"control\""};
    tl_metrics_family(w, "teale_relay_packets_total", "counter", "Datagrams passed on for others.");
    tl_metrics_sample(w, "teale_relay_packets_total", "from=\"udp\",to=\"udp\"",
                      (double)t->packets[TL_TOKENS_BY_UDP][TL_TOKENS_BY_UDP]);
    tl_metrics_family(w, "teale_relay_packet_bytes_total", "counter", "Bytes of their payloads.");
    tl_metrics_sample(w, "teale_relay_packet_bytes_total", "from=\"udp\",to=\"udp\"",
                      (double)t->bytes[TL_TOKENS_BY_UDP][TL_TOKENS_BY_UDP]);
    tl_metrics_family(w, "teale_relay_packets_dropped_total", "counter",
                      "Datagrams that were not passed on.");
    for (int i = 0; i < TL_TOKENS_DROPS; i++)
        tl_metrics_sample(w, "teale_relay_packets_dropped_total", reasons[i],
                          (double)(t->dropped[i] + (i == TL_TOKENS_DROP_SOURCE ? loop : 0)));
    tl_metrics_family(w, "teale_relay_migrations_total", "counter",
                      "Sides that said they had moved.");
    tl_metrics_sample(w, "teale_relay_migrations_total", "result=\"moved\"", (double)t->moved);
    tl_metrics_sample(w, "teale_relay_migrations_total", "result=\"refused\"", (double)t->refused);
    tl_metrics_sample(w, "teale_relay_migrations_total", "result=\"unanswered\"",
                      (double)t->unanswered);
    tl_metrics_single(w, "teale_relay_udp_sides", "gauge",
                      "Sides of relay sessions that have come.", (double)t->udp_sides);
}

static void write_intros(tl_metrics *w, const char *name, const char *help, const uint64_t *counts)
{
    char labels[64];
    tl_metrics_family(w, name, "counter", help);
    for (int i = 0; i < TL_DIRECT_INTRO_RESULTS; i++) {
        snprintf(labels, sizeof labels, "result=\"%s\"",
                 tl_direct_intro_name((tl_direct_intro_result)i));
        tl_metrics_sample(w, name, labels, (double)counts[i]);
    }
}

static void write_introducing(tl_metrics *w, const tl_node_facts *f)
{
    static const char *const name = "teale_introductions_total";
    const tl_introducing_counts *i = &f->introducing;
    tl_metrics_single(w, "teale_introducing", "gauge",
                      "1 while this node introduces others to each other.", i->serving);
    tl_metrics_single(w, "teale_introducers_attached", "gauge",
                      "Nodes to which this node is attached, so that they introduce others to it.",
                      (double)i->attached_to);
    write_results(w, name, "Introductions asked of this node: taken, and refused.", i->made.intros);
    tl_metrics_sample(w, name, "result=\"answered\"", (double)i->made.answered);
    tl_metrics_sample(w, name, "result=\"answer_refused\"", (double)i->made.readies_refused);
    tl_metrics_single(w, "teale_introductions_own_total", "counter",
                      "Nodes attached to this one that it asked for a direct path for itself.",
                      (double)i->made.calls);
    write_intros(w, "teale_punch_requests_total",
                 "Introductions of others to this node: taken, and refused.", f->direct.intros_in);
    tl_metrics_single(w, "teale_punch_strangers_total", "counter",
                      "Introductions taken of nodes that this node does not know.",
                      (double)f->direct.strangers);
    write_intros(w, "teale_punch_readies_total",
                 "Answers to introductions that this node asked for: taken, and refused.",
                 f->direct.readies_in);
}

static void write_sessions(tl_metrics *w, const tl_node_facts *facts)
{
    const tl_relaying_counts *f = &facts->relaying;
    const tl_peerrelay_counters *c = &f->asked;
    tl_metrics_single(w, "teale_relaying", "gauge", "1 while this node relays for others.",
                      f->serving);
    tl_metrics_single(w, "teale_relaying_attached", "gauge",
                      "Nodes that can be reached through this one.",
                      (double)facts->introducing.attached.attached);
    write_results(w, "teale_relaying_attaches_total", "Nodes that attached, and those refused.",
                  facts->introducing.attached.attaches);
    write_results(w, "teale_relaying_requests_total",
                  "Relay sessions asked for: offered, and refused.", c->requests);
    tl_metrics_family(w, "teale_relaying_ended_total", "counter",
                      "Relay sessions that this node ended.");
    tl_metrics_sample(w, "teale_relaying_ended_total", "reason=\"idle\"", (double)c->ended_idle);
    tl_metrics_sample(w, "teale_relaying_ended_total", "reason=\"session_max\"",
                      (double)c->ended_max);
    tl_metrics_sample(w, "teale_relaying_ended_total", "reason=\"policy\"",
                      (double)c->ended_policy);
    tl_metrics_sample(w, "teale_relaying_ended_total", "reason=\"moved\"", (double)c->ended_moved);
    write_relayed_packets(w, &f->tokens, c->packets_loop);
    tl_metrics_single(w, "tesseras_relay_sessions_active", "gauge",
                      "Sessions relayed for others now.", (double)c->sessions);
    tl_metrics_single(w, "tesseras_relay_bytes_forwarded", "counter", "Bytes relayed for others.",
                      (double)f->tokens.bytes[TL_TOKENS_BY_UDP][TL_TOKENS_BY_UDP]);
}

void tl_metrics_relaying(tl_metrics *w, const tl_node_facts *f)
{
    write_sessions(w, f);
    write_introducing(w, f);
}
