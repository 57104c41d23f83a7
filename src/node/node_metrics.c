/* The counters as Prometheus text: base units, bounded labels, no node IDs. */
#include "node/node_internal.h"

typedef struct {
    tl_buf *out;
    tl_err e;
} writer;

static void family(writer *w, const char *name, const char *type, const char *help)
{
    if (!w->e)
        w->e = tl_buf_printf(w->out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* `labels` as they stand between the braces; "" = none. */
static void sample(writer *w, const char *name, const char *labels, double value)
{
    if (!w->e)
        w->e = labels[0] ? tl_buf_printf(w->out, "%s{%s} %.15g\n", name, labels, value)
                         : tl_buf_printf(w->out, "%s %.15g\n", name, value);
}

static void single(writer *w, const char *name, const char *type, const char *help, double value)
{
    family(w, name, type, help);
    sample(w, name, "", value);
}

static void write_relay(writer *w, const tl_node *n)
{
    const tl_relay_link_counters *l = tl_relay_link_counters_of(n->link);
    bool connected = tl_relay_client_state(n->client) == TL_RELAY_CONNECTED;
    single(w, "teale_relay_connected", "gauge", "1 while registered at the relay.", connected);
    single(w, "teale_relay_rtt_seconds", "gauge", "Last round trip to the relay; 0 unknown.",
           (double)tl_relay_client_rtt(n->client) / (double)TL_SEC);
    single(w, "teale_relay_registrations_total", "counter", "Successful registrations.",
           (double)tl_relay_client_connects(n->client));
    family(w, "teale_relay_messages_total", "counter", "Messages exchanged with the relay.");
    sample(w, "teale_relay_messages_total", "direction=\"in\"", (double)l->messages_in);
    sample(w, "teale_relay_messages_total", "direction=\"out\"", (double)l->messages_out);
    family(w, "teale_relay_datagrams_total", "counter", "Datagrams carried in relayData.");
    sample(w, "teale_relay_datagrams_total", "direction=\"in\"", (double)l->datagrams_in);
    sample(w, "teale_relay_datagrams_total", "direction=\"out\"", (double)l->datagrams_out);
    single(w, "teale_relay_datagrams_dropped_total", "counter",
           "Datagrams without a session, or over the queue's bound.", (double)l->datagrams_dropped);
    single(w, "teale_relay_malformed_total", "counter", "Messages of the relay that made no sense.",
           (double)l->malformed);
    single(w, "teale_relay_ignored_total", "counter",
           "Messages of the relay that concerned nothing of ours.", (double)l->ignored);
    single(w, "teale_relay_errors_total", "counter", "Errors the relay reported.",
           (double)l->errors);
    single(w, "teale_relay_sessions_refused_total", "counter",
           "Sessions that peers wanted and we did not.", (double)l->refused);
    single(w, "teale_relay_peers_refused_total", "counter",
           "Listed peers whose keys did not belong together.", (double)l->peers_refused);
}

static void write_quic(writer *w, const tl_node *n)
{
    const tl_quic_counters *q = tl_peers_quic_counters(n->peers);
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
    single(w, "teale_quic_key_updates_total", "counter", "Key updates.", (double)q->key_updates);
}

static void write_peers(writer *w, const tl_node *n)
{
    const tl_peers_counters *p = tl_peers_counters_of(n->peers);
    size_t connected = 0;
    tl_peer *peer, *next;
    tl_peer_facts facts;
    HASH_ITER(hh, n->table.peers, peer, next)
    connected += tl_peers_facts(n->peers, peer, &facts);
    single(w, "teale_peers_known", "gauge", "Nodes known, connected or not.",
           (double)tl_peer_table_count(&n->table));
    family(w, "teale_peers_connected", "gauge", "Connected peers by the way to them.");
    sample(w, "teale_peers_connected", "path=\"relayed\"", (double)connected);
    family(w, "teale_connections_total", "counter", "Connections begun.");
    sample(w, "teale_connections_total", "role=\"dialled\"", (double)p->dials);
    sample(w, "teale_connections_total", "role=\"accepted\"", (double)p->accepted);
    single(w, "teale_connection_failures_total", "counter",
           "Dialled connections that did not come about.", (double)p->dial_failures);
    single(w, "teale_path_outages_total", "counter", "Times a connection lost its path.",
           (double)p->outages);
    single(w, "teale_path_recoveries_total", "counter", "Times it found another.",
           (double)p->recovered);
    family(w, "tesseras_nat_type", "gauge", "The NAT in front of this node: one type is 1.");
    sample(w, "tesseras_nat_type", "type=\"Public\"", 0);
    sample(w, "tesseras_nat_type", "type=\"Cone\"", 0);
    sample(w, "tesseras_nat_type", "type=\"Symmetric\"", 0);
    sample(w, "tesseras_nat_type", "type=\"Unknown\"", 1);
}

static void write_requests(writer *w, const tl_node *n)
{
    const tl_router_counters *r = tl_router_counters_of(n->router);
    const tl_server_counters *s = tl_server_counters_of(n->server);
    family(w, "teale_requests_total", "counter", "Questions by role and result.");
    sample(w, "teale_requests_total", "role=\"asked\",result=\"ok\"", (double)r->answered);
    sample(w, "teale_requests_total", "role=\"asked\",result=\"failed\"", (double)r->failed);
    sample(w, "teale_requests_total", "role=\"served\",result=\"ok\"", (double)s->served);
    sample(w, "teale_requests_total", "role=\"served\",result=\"failed\"", (double)s->failed);
    sample(w, "teale_requests_total", "role=\"served\",result=\"cancelled\"", (double)s->cancelled);
    sample(w, "teale_requests_total", "role=\"served\",result=\"refused\"", (double)s->refused);
    sample(w, "teale_requests_total", "role=\"served\",result=\"malformed\"", (double)s->malformed);
    single(w, "teale_requests_retried_total", "counter", "Questions tried at another provider.",
           (double)r->retried);
    single(w, "teale_requests_local_total", "counter", "Questions given to the local model server.",
           (double)r->local);
    family(w, "teale_requests_active", "gauge", "Questions under way.");
    sample(w, "teale_requests_active", "role=\"asked\"", (double)tl_router_running(n->router));
    sample(w, "teale_requests_active", "role=\"served\"", (double)tl_server_running(n->server));
    family(w, "teale_tokens_served_total", "counter",
           "Tokens of served requests, as far as known.");
    sample(w, "teale_tokens_served_total", "direction=\"in\"", (double)s->tokens_in);
    sample(w, "teale_tokens_served_total", "direction=\"out\"", (double)s->tokens_out);
    single(w, "teale_backend_up", "gauge", "1 while the shared model server answers.",
           n->backend && tl_backend_state_of(n->backend) == TL_BACKEND_UP);
    single(w, "teale_backend_models", "gauge", "Models the shared model server has.",
           n->backend ? (double)tl_backend_model_count(n->backend) : 0);
    single(w, "teale_backend_running", "gauge", "Exchanges with the shared model server under way.",
           n->backend ? (double)tl_backend_running(n->backend) : 0);
}

tl_err tl_node_metrics(const tl_node *n, tl_buf *out)
{
    size_t before = out->len;
    writer w = {out, TL_OK};
    family(&w, "teale_build_info", "gauge", "Always 1; the version is the label.");
    sample(&w, "teale_build_info", "version=\"" TL_VERSION "\"", 1);
    single(&w, "teale_uptime_seconds", "gauge", "Since the node was made.",
           (double)(tl_loop_now(n->loop) - n->started) / (double)TL_SEC);
    write_relay(&w, n);
    write_quic(&w, n);
    write_peers(&w, n);
    write_requests(&w, n);
    if (w.e)
        out->len = before;
    return w.e;
}
