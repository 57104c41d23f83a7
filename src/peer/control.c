/* The control stream of a connection: hello, heartbeats, goodbye. */
#include "peer/state.h"

#include "base/log.h"

#include <stdlib.h>

static void broken(tl_peer_conn *conn, const char *why)
{
    conn->peers->counters.control_errors++;
    tl_conn_close(conn, TL_CODE_PROTOCOL, why);
}

static void flush(tl_peer_conn *conn)
{
    size_t n;
    if (tl_outbox_flush(&conn->out, &n))
        broken(conn, "out of memory");
    else if (conn->out.pending.len > TL_CONTROL_PENDING_MAX)
        broken(conn, "the control stream is not read");
}

/* Before the control stream stands, nothing: its first message tells all that is true then. */
static void say(tl_peer_conn *conn, const tl_cluster_message *m)
{
    if (!conn->control)
        return;
    if (tl_outbox_put_message(&conn->out, m))
        broken(conn, "out of memory");
    else
        flush(conn);
}

static void send_hello(tl_peer_conn *conn, tl_cluster_type type)
{
    tl_peers *p = conn->peers;
    tl_cluster_message m = {.type = type, .u.hello = {.agent = "teale/" TL_VERSION}};
    memcpy(m.u.hello.display_name, p->config.display_name, sizeof p->config.display_name);
    m.u.hello.capabilities = p->capabilities ? json_incref(p->capabilities) : json_object();
    if (m.u.hello.capabilities)
        say(conn, &m);
    else
        broken(conn, "out of memory");
    tl_cluster_message_clear(&m);
}

void tl_control_send_hello(tl_peer_conn *conn)
{
    send_hello(conn, TL_CLUSTER_HELLO);
}

void tl_control_send_goodbye(tl_peer_conn *conn, const char *reason)
{
    tl_cluster_message m = {.type = TL_CLUSTER_GOODBYE};
    snprintf(m.u.goodbye, sizeof m.u.goodbye, "%s", reason);
    say(conn, &m);
}

static void send_heartbeat(tl_peer_conn *conn, tl_cluster_type type, uint64_t sequence)
{
    tl_peers *p = conn->peers;
    tl_cluster_message m = {.type = type,
                            .u.heartbeat = {sequence, p->events.running(p->user),
                                            tl_json_bool(p->capabilities, "isAvailable", false),
                                            p->events.bids ? p->events.bids(p->user) : NULL}};
    say(conn, &m);
    tl_cluster_message_clear(&m);
}

tl_err tl_control_tell(tl_peer_conn *conn, const char *name, json_t *payload)
{
    if (!conn->control || !conn->hello_seen)
        return TL_ERR_NOT_FOUND;
    tl_cluster_message m = {.type = TL_CLUSTER_OTHER, .u.other.payload = payload};
    snprintf(m.u.other.name, sizeof m.u.other.name, "%s", name);
    tl_buf text = {0};
    tl_err e = tl_cluster_write(&text, &m);
    if (!e && text.len > TL_FRAME_MESSAGE_MAX)
        e = TL_ERR_TOO_LARGE;
    if (!e)
        e = tl_outbox_put_frame(&conn->out, TL_FRAME_MESSAGE, tl_buf_slice(&text));
    tl_buf_clear(&text);
    if (!e)
        flush(conn);
    return e;
}

void tl_control_beat(tl_peer_conn *conn, tl_peer_pong *g)
{
    conn->sequence++;
    if (g) {
        g->sequence = conn->sequence;
        g->sent = tl_peers_now(conn->peers);
        g->conn = conn;
        DL_APPEND(conn->pongs, g);
    }
    send_heartbeat(conn, TL_CLUSTER_HEARTBEAT, conn->sequence);
}

void tl_control_probe(tl_peer_conn *conn, tl_time within)
{
    if (!conn->control || !tl_watch_doubt(&conn->watch, within, tl_quic_conn_heard(conn->quic),
                                          tl_peers_now(conn->peers)))
        return;
    tl_peers_due(conn->peers, tl_watch_expiry(&conn->watch));
    tl_control_beat(conn, NULL);
}

void tl_peers_unping(tl_peer_pong *g)
{
    if (!g->conn)
        return;
    DL_DELETE(g->conn->pongs, g);
    g->conn = NULL;
}

static void on_pong(tl_peer_conn *conn, uint64_t sequence)
{
    tl_peer_pong *g, *next;
    DL_FOREACH_SAFE (conn->pongs, g, next)
        if (g->sequence == sequence) {
            tl_peers_unping(g);
            tl_time rtt = tl_peers_now(conn->peers) - g->sent;
            g->on_pong(g, rtt ? rtt : 1);
            return;
        }
}

static void set_rates(tl_peer_conn *conn, bool known)
{
    uint64_t times = known ? TL_CONTROL_KNOWN : 1;
    tl_time now = tl_peers_now(conn->peers);
    conn->control_known = known;
    conn->control_messages =
        tl_ratelimit_make(times * TL_CONTROL_RATE, times * TL_CONTROL_BURST, now);
    conn->control_bytes =
        tl_ratelimit_make(times * TL_CONTROL_BYTES_RATE, times * TL_CONTROL_BYTES_BURST, now);
}

/* False: the peer says too much, and the connection is closed. */
static bool may_say(tl_peer_conn *conn, tl_ratelimit *rate, size_t n)
{
    if (!conn->control_known && tl_peers_knows(conn->peers, &conn->contact->peer->id))
        set_rates(conn, true);
    if (tl_ratelimit_take(rate, n, tl_peers_now(conn->peers)))
        return true;
    broken(conn, "too much is said on the control stream");
    return false;
}

static bool tells_bids(tl_peers *p)
{
    json_t *bids = p->events.bids ? p->events.bids(p->user) : NULL;
    json_decref(bids);
    return bids;
}

static void on_hello(tl_peer_conn *conn, const tl_cluster_message *m)
{
    tl_peers *p = conn->peers;
    tl_peer *peer = conn->contact->peer;
    bool first = !conn->hello_seen;
    (void)tl_peer_describe(peer, m->u.hello.display_name, m->u.hello.capabilities);
    tl_relays_described(p->config.relays, &peer->id);
    conn->hello_seen = true;
    if (m->type == TL_CLUSTER_HELLO)
        send_hello(conn, TL_CLUSTER_HELLO_ACK);
    if (first && p->events.on_hello)
        p->events.on_hello(p->user, peer);
    if (first && tells_bids(p)) /* before the first question, where it can */
        tl_control_beat(conn, NULL);
}

static void on_message(tl_peer_conn *conn, const tl_cluster_message *m)
{
    tl_peers *p = conn->peers;
    tl_peer *peer = conn->contact->peer;
    switch (m->type) {
    case TL_CLUSTER_HELLO:
    case TL_CLUSTER_HELLO_ACK: on_hello(conn, m); break;
    case TL_CLUSTER_HEARTBEAT:
    case TL_CLUSTER_HEARTBEAT_ACK:
        peer->running = m->u.heartbeat.running;
        if (m->u.heartbeat.bids)
            (void)!tl_bids_read(m->u.heartbeat.bids, &peer->bids);
        if (m->type == TL_CLUSTER_HEARTBEAT)
            send_heartbeat(conn, TL_CLUSTER_HEARTBEAT_ACK, m->u.heartbeat.sequence);
        else
            on_pong(conn, m->u.heartbeat.sequence);
        break;
    case TL_CLUSTER_GOODBYE:
        conn->peers->counters.goodbyes_in++;
        peer->available = false; /* until it says otherwise */
        peer->paused = false;
        break;
    case TL_CLUSTER_OTHER: /* of the rooms above, or of a later version */
        if (p->events.on_told)
            p->events.on_told(p->user, peer, m->u.other.name, m->u.other.payload);
        break;
    default: broken(conn, "a request's message on the control stream"); break;
    }
}

static void on_readable(tl_stream_owner *o)
{
    tl_peer_conn *conn = (tl_peer_conn *)o;
    bool fin = false;
    tl_slice in;
    while (conn->control && (in = tl_quic_stream_peek(conn->control, &fin)).n) {
        tl_slice rest = in;
        tl_frame_piece piece;
        tl_err e;
        if (!may_say(conn, &conn->control_bytes, in.n))
            return;
        while (!(e = tl_frame_next(&conn->reader, &rest, &piece))) {
            tl_cluster_message m;
            if (!may_say(conn, &conn->control_messages, 1))
                return;
            if (piece.kind != TL_FRAME_MESSAGE || tl_cluster_parse(piece.bytes, &m)) {
                e = TL_ERR_PROTO;
                break;
            }
            on_message(conn, &m);
            tl_cluster_message_clear(&m);
        }
        if (e != TL_ERR_SHORT) {
            broken(conn, "nonsense on the control stream");
            return;
        }
        tl_quic_stream_consume(conn->control, in.n);
    }
    if (fin)
        broken(conn, "the control stream ended");
    tl_peers_wake(conn->peers);
}

static void on_writable(tl_stream_owner *o)
{
    flush((tl_peer_conn *)o); /* of a stream that stands */
}

static void on_reset(tl_stream_owner *o)
{
    broken((tl_peer_conn *)o, "the control stream was reset");
}

static void on_closed(tl_stream_owner *o, const char *why)
{
    (void)why;
    ((tl_peer_conn *)o)->control = NULL;
}

static void own(tl_peer_conn *conn, tl_quic_stream *s)
{
    conn->control_owner = (tl_stream_owner){on_readable, on_writable, on_reset, on_closed};
    conn->control = conn->out.stream = s;
    set_rates(conn, tl_peers_knows(conn->peers, &conn->contact->peer->id));
    tl_quic_stream_set_user(s, &conn->control_owner);
}

tl_err tl_control_open(tl_peer_conn *conn)
{
    tl_quic_stream *s;
    tl_err e = tl_quic_stream_open(conn->quic, &s);
    if (e)
        return e;
    own(conn, s);
    send_hello(conn, TL_CLUSTER_HELLO);
    return TL_OK;
}

void tl_control_accept(tl_peer_conn *conn, tl_quic_stream *s)
{
    own(conn, s);
}

void tl_control_clear(tl_peer_conn *conn)
{
    while (conn->pongs) {
        tl_peer_pong *g = conn->pongs;
        tl_peers_unping(g);
        g->on_pong(g, 0);
    }
    if (conn->control)
        tl_quic_stream_set_user(conn->control, NULL);
    conn->control = NULL;
    tl_frame_reader_clear(&conn->reader);
    tl_outbox_clear(&conn->out);
}
