#include "relayd/report.h"

#include "base/json.h"
#include "relay/federation.h"
#include "wire/signal.h"

#include <inttypes.h>

/* --- the relay's counters --- */

typedef struct {
    const char *name, *type, *help;
    uint64_t value;
} family;

static tl_err write_family(tl_buf *out, const family *f)
{
    return tl_buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n%s %" PRIu64 "\n", f->name, f->help,
                         f->name, f->type, f->name, f->value);
}

static tl_err write_errors(const tl_relay_counters *counters, tl_buf *out)
{
    tl_err e =
        tl_buf_append_str(out, "# HELP teale_relay_errors_total Error messages sent to nodes.\n"
                               "# TYPE teale_relay_errors_total counter\n");
    for (int c = 0; !e && c < TL_SIGNAL_CODES; c++)
        e = tl_buf_printf(out, "teale_relay_errors_total{code=\"%s\"} %" PRIu64 "\n",
                          tl_signal_code_name((tl_signal_code)c), counters->errors[c]);
    return e;
}

static tl_err write_reasons(tl_buf *out, const char *name, const char *help, const char *label,
                            const family *values, size_t n)
{
    tl_err e = tl_buf_printf(out, "# HELP %s %s\n# TYPE %s counter\n", name, help, name);
    for (size_t i = 0; !e && i < n; i++)
        e = tl_buf_printf(out, "%s{%s=\"%s\"} %" PRIu64 "\n", name, label, values[i].name,
                          values[i].value);
    return e;
}

static uint64_t datagram_bytes(const tl_tokens_counters *d)
{
    uint64_t sum = 0;
    for (int from = 0; from < TL_TOKENS_CARRIERS; from++)
        for (int to = 0; to < TL_TOKENS_CARRIERS; to++)
            sum += d->bytes[from][to];
    return sum;
}

static tl_err write_told(const uint64_t told[TL_RELAY_TOLDS], tl_buf *out)
{
    const family tellings[] = {{.name = "told", .value = told[TL_RELAY_TOLD_CLIENT]},
                               {.name = "nothing", .value = told[TL_RELAY_TOLD_NOTHING]},
                               {.name = "malformed", .value = told[TL_RELAY_TOLD_MALFORMED]},
                               {.name = "untrusted", .value = told[TL_RELAY_TOLD_UNTRUSTED]}};
    return write_reasons(out, "teale_relay_client_addresses_total",
                         "What proxies in front told of their clients.", "result", tellings,
                         sizeof tellings / sizeof *tellings);
}

static tl_err write_relay(const tl_relay_counters *c, const tl_tokens_counters *d, tl_buf *out)
{
    const family families[] = {
        {"teale_relay_connections", "gauge", "Sockets open now.", c->conns_open},
        {"teale_relay_nodes", "gauge", "Nodes registered now.", c->nodes_registered},
        {"teale_relay_sessions_active", "gauge", "Sessions open now.", c->sessions_active},
        {"teale_relay_sessions_opening", "gauge", "Sessions not answered yet.",
         c->sessions_opening},
        {"teale_relay_queue_bytes", "gauge", "Bytes waiting for readers.", c->queue_bytes},
        {"teale_relay_memory_bytes", "gauge", "Memory that connections take, about.",
         c->memory_bytes},
        {"teale_relay_memory_max_bytes", "gauge", "The most that it may be.", c->memory_max},
        {"teale_relay_connections_total", "counter", "Sockets accepted.", c->conns_accepted},
        {"teale_relay_connections_refused_total", "counter", "Sockets over a limit.",
         c->conns_refused},
        {"teale_relay_registrations_total", "counter", "Registrations accepted.", c->registrations},
        {"teale_relay_registrations_cut_total", "counter",
         "Registrations of which not all names were kept.", c->lists_cut},
        {"teale_relay_replaced_total", "counter", "Sockets replaced by a newer one.", c->replaced},
        {"teale_relay_messages_received_total", "counter", "Text messages received.",
         c->messages_in},
        {"teale_relay_messages_forwarded_total", "counter", "Messages passed on.",
         c->messages_forwarded},
        {"teale_relay_forwarded_bytes_total", "counter", "Payload bytes of relayData passed on.",
         c->bytes_forwarded},
        {"teale_relay_sessions_total", "counter", "Sessions that were answered.",
         c->sessions_opened},
        {"teale_relay_presence_events_total", "counter", "Joins and leaves announced.",
         c->presence_events},
        {"teale_relay_presence_withdrawn_total", "counter",
         "Joins not announced because the node had left again.", c->presence_withdrawn},
        {"teale_relay_presence_summed_total", "counter",
         "Nodes that were told of many joins and leaves at once, without names.",
         c->presence_summed},
        {"teale_relay_presence_lost_total", "counter",
         "Joins and leaves not announced for want of memory.", c->presence_lost},
        {"teale_relay_pauses_total", "counter", "Senders paused for a slow reader.", c->pauses},
        {"teale_relay_limit_waits_total", "counter", "Senders paused because they had their rate.",
         c->waits},
        {"teale_relay_protocol_errors_total", "counter", "Sockets closed for illegal frames.",
         c->closed_protocol},
        {"tesseras_relay_sessions_active", "gauge", "Sessions open now.", c->sessions_active},
        {"tesseras_relay_bytes_forwarded", "counter", "Payload bytes passed on.",
         c->bytes_forwarded + datagram_bytes(d)},
    };
    const family ended[] = {{.name = "busy", .value = c->sessions_busy},
                            {.name = "unanswered", .value = c->sessions_unanswered},
                            {.name = "idle", .value = c->sessions_idle},
                            {.name = "session_max", .value = c->sessions_timed_out}};
    const uint64_t *refused = c->registrations_refused;
    const family refusals[] = {{.name = "invalid", .value = refused[TL_RELAY_REFUSED_INVALID]},
                               {.name = "proof", .value = refused[TL_RELAY_REFUSED_PROOF]},
                               {.name = "identity", .value = refused[TL_RELAY_REFUSED_IDENTITY]},
                               {.name = "rate", .value = refused[TL_RELAY_REFUSED_RATE]},
                               {.name = "memory", .value = refused[TL_RELAY_REFUSED_MEMORY]}};
    const family cuts[] = {{.name = "stalled", .value = c->cut_stalled},
                           {.name = "overflow", .value = c->cut_overflow},
                           {.name = "slow", .value = c->cut_slow},
                           {.name = "unfinished", .value = c->cut_unfinished},
                           {.name = "unregistered", .value = c->cut_unregistered},
                           {.name = "memory", .value = c->cut_memory},
                           {.name = "memory_max", .value = c->cut_budget},
                           {.name = "upgrade_timeout", .value = c->expired_upgrade},
                           {.name = "register_timeout", .value = c->expired_register},
                           {.name = "ttl", .value = c->expired_ttl}};
    tl_err e = TL_OK;
    for (size_t i = 0; !e && i < sizeof families / sizeof *families; i++)
        e = write_family(out, &families[i]);
    if (!e)
        e = write_reasons(out, "teale_relay_sessions_ended_total", "Sessions the relay ended.",
                          "reason", ended, sizeof ended / sizeof *ended);
    if (!e)
        e = write_reasons(out, "teale_relay_connections_ended_total", "Sockets the relay ended.",
                          "reason", cuts, sizeof cuts / sizeof *cuts);
    if (!e)
        e = write_reasons(out, "teale_relay_registrations_refused_total",
                          "Registrations the relay refused.", "reason", refusals,
                          sizeof refusals / sizeof *refusals);
    if (!e)
        e = write_errors(c, out);
    return e;
}

/* --- those of relayed datagrams --- */

static tl_err write_ways(tl_buf *out, const char *name, const char *help,
                         const uint64_t values[TL_TOKENS_CARRIERS][TL_TOKENS_CARRIERS])
{
    static const char *const carriers[TL_TOKENS_CARRIERS] = {
        [TL_TOKENS_BY_UDP] = "udp", [TL_TOKENS_BY_STREAM] = "websocket"};
    tl_err e = tl_buf_printf(out, "# HELP %s %s\n# TYPE %s counter\n", name, help, name);
    for (int from = 0; from < TL_TOKENS_CARRIERS; from++)
        for (int to = 0; !e && to < TL_TOKENS_CARRIERS; to++)
            e = tl_buf_printf(out, "%s{from=\"%s\",to=\"%s\"} %" PRIu64 "\n", name, carriers[from],
                              carriers[to], values[from][to]);
    return e;
}

static tl_err write_datagrams(const tl_tokens_counters *d, tl_buf *out)
{
    const family sides = {"teale_relay_udp_sides", "gauge",
                          "Sides of sessions that have come by UDP.", d->udp_sides};
    const family drops[TL_TOKENS_DROPS] = {
        [TL_TOKENS_DROP_TOKEN] = {.name = "token", .value = d->dropped[TL_TOKENS_DROP_TOKEN]},
        [TL_TOKENS_DROP_SOURCE] = {.name = "source", .value = d->dropped[TL_TOKENS_DROP_SOURCE]},
        [TL_TOKENS_DROP_SHORT] = {.name = "short", .value = d->dropped[TL_TOKENS_DROP_SHORT]},
        [TL_TOKENS_DROP_SIZE] = {.name = "size", .value = d->dropped[TL_TOKENS_DROP_SIZE]},
        [TL_TOKENS_DROP_RATE] = {.name = "rate", .value = d->dropped[TL_TOKENS_DROP_RATE]},
        [TL_TOKENS_DROP_SLOW] = {.name = "slow", .value = d->dropped[TL_TOKENS_DROP_SLOW]},
        [TL_TOKENS_DROP_CONTROL] = {.name = "control", .value = d->dropped[TL_TOKENS_DROP_CONTROL]},
    };
    const family moves[] = {{.name = "moved", .value = d->moved},
                            {.name = "refused", .value = d->refused},
                            {.name = "unanswered", .value = d->unanswered}};
    tl_err e =
        write_ways(out, "teale_relay_packets_total", "Relayed datagrams passed on.", d->packets);
    if (!e)
        e = write_ways(out, "teale_relay_packet_bytes_total", "Bytes of their payloads.", d->bytes);
    if (!e)
        e = write_reasons(out, "teale_relay_packets_dropped_total", "Relayed datagrams dropped.",
                          "reason", drops, sizeof drops / sizeof *drops);
    if (!e)
        e = write_reasons(out, "teale_relay_migrations_total", "RelayMigrates.", "result", moves,
                          sizeof moves / sizeof *moves);
    return e ? e : write_family(out, &sides);
}

/* --- those of STUN --- */

static tl_err write_counter(tl_buf *out, const char *name, const char *help, uint64_t value)
{
    return tl_buf_printf(out,
                         "# HELP teale_relay_stun_%s_total %s\n"
                         "# TYPE teale_relay_stun_%s_total counter\n"
                         "teale_relay_stun_%s_total %" PRIu64 "\n",
                         name, help, name, name, value);
}

static tl_err write_drops(tl_buf *out, const uint64_t dropped[TL_STUN_DROPS])
{
    static const char *const reasons[TL_STUN_DROPS] = {
        [TL_STUN_DROP_MALFORMED] = "malformed", [TL_STUN_DROP_NOT_REQUEST] = "not_a_request",
        [TL_STUN_DROP_ADDRESS] = "address",     [TL_STUN_DROP_RATE] = "rate",
        [TL_STUN_DROP_UNSENT] = "unsent",
    };
    tl_err e = tl_buf_append_str(
        out, "# HELP teale_relay_stun_dropped_total UDP datagrams that got no answer.\n"
             "# TYPE teale_relay_stun_dropped_total counter\n");
    for (int i = 0; !e && i < TL_STUN_DROPS; i++)
        e = tl_buf_printf(out, "teale_relay_stun_dropped_total{reason=\"%s\"} %" PRIu64 "\n",
                          reasons[i], dropped[i]);
    return e;
}

static tl_err write_stun(const tl_stun_counters *c, tl_buf *out)
{
    const struct {
        const char *name, *help;
        uint64_t value;
    } counters[] = {
        {"datagrams", "UDP datagrams received.", c->datagrams},
        {"requests", "STUN Binding requests among them.", c->requests},
        {"answers", "STUN answers sent, errors included.", c->answers},
        {"errors", "Error answers: an attribute was not understood.", c->errors},
        {"received_bytes", "Bytes of the datagrams received.", c->bytes_in},
        {"sent_bytes", "Bytes of the answers sent.", c->bytes_out},
    };
    tl_err e = TL_OK;
    for (size_t i = 0; !e && i < sizeof counters / sizeof *counters; i++)
        e = write_counter(out, counters[i].name, counters[i].help, counters[i].value);
    if (!e)
        e = write_drops(out, c->dropped);
    return e;
}

tl_err tl_relayd_write_metrics(const tl_relay_counters *relay, const tl_tokens_counters *datagrams,
                               const tl_stun_counters *stun, tl_buf *out)
{
    size_t before = out->len;
    tl_err e = write_relay(relay, datagrams, out);
    if (!e)
        e = write_told(relay->told, out);
    if (!e)
        e = write_datagrams(datagrams, out);
    if (!e && stun)
        e = write_stun(stun, out);
    if (e)
        out->len = before;
    return e;
}

/* --- those of the cluster --- */

tl_err tl_relayd_write_cluster(const tl_relayd_view *v, tl_buf *out)
{
    const tl_fed_counters *c = &v->fed;
    if (!v->far)
        return TL_OK;
    const family families[] = {
        {"teale_relay_cluster_relays", "gauge", "Other relays of the cluster now.", c->relays},
        {"teale_relay_cluster_nodes", "gauge", "Nodes of other relays now.", c->away},
        {"teale_relay_cluster_stale_total", "counter",
         "Messages dropped because their node has registered anew.", c->stale},
        {"teale_relay_cluster_malformed_total", "counter",
         "Messages dropped because they were none.", c->malformed},
        {"teale_relay_cluster_moved_total", "counter", "Nodes that went to another relay.",
         c->moved},
        {"teale_relay_cluster_lost_total", "counter", "Relays that went silent.", c->lost},
        {"teale_relay_cluster_refused_total", "counter",
         "Nodes of other relays for which there was no room.", c->refused},
        {"teale_relay_cluster_resyncs_total", "counter",
         "Times that another relay was asked for all its nodes.", c->resyncs},
    };
    const family forwarded[] = {{.name = "out", .value = c->forwarded_out},
                                {.name = "in", .value = c->forwarded_in}};
    tl_err e = write_reasons(out, "teale_relay_cluster_forwarded_total",
                             "Messages between nodes, to and from other relays.", "direction",
                             forwarded, sizeof forwarded / sizeof *forwarded);
    for (size_t i = 0; !e && i < sizeof families / sizeof *families; i++)
        e = write_family(out, &families[i]);
    const family up = {"teale_relay_redis_up", "gauge",
                       "1: Redis answers, and this relay has its lease.", v->far_is_up};
    return e ? e : write_family(out, &up);
}

/* --- JSON --- */

tl_err tl_relayd_write_health(const tl_relayd_view *v, tl_buf *out)
{
    const char *redis = v->far_is_up ? ",\"redis\":\"ok\"" : ",\"redis\":\"down\"";
    return tl_buf_printf(out, "{\"ok\":%s,\"peers\":%" PRIu64 "%s}", v->leaving ? "false" : "true",
                         v->relay.nodes_registered, v->far ? redis : "");
}

static tl_err write_peer(const tl_relay_node_report *p, tl_buf *out)
{
    char observed[TL_ADDR_TEXT_MAX];
    tl_addr_write(observed, &p->observed);
    tl_err e = tl_buf_printf(out, "{\"nodeID\":\"%s\",\"displayName\":", p->node_id);
    if (!e)
        e = tl_json_append_string(out, tl_slice_str(p->name));
    if (!e)
        e = tl_buf_printf(out, ",\"connectedAt\":%.3f,\"idleSeconds\":%.3f,\"observed\":\"%s\"}",
                          p->connected_at, (double)p->idle / (double)TL_SEC, observed);
    return e;
}

tl_err tl_relayd_write_peers(const tl_relay *relay, tl_time now, tl_buf *out)
{
    size_t before = out->len;
    tl_relay_node_report peer;
    tl_err e = TL_OK;
    for (const tl_relay_node *at = NULL;
         !e && (at = tl_relay_node_after(relay, at, now, &peer)) != NULL;) {
        if (out->len)
            e = tl_buf_append_str(out, ",");
        if (!e)
            e = write_peer(&peer, out);
    }
    if (e)
        out->len = before;
    return e;
}
