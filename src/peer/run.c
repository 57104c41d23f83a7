/* Drives the connections: QUIC's events, the tasks noted on connections, and the timers. */
#include "peer/state.h"

#include <stdio.h>

/* --- what QUIC tells --- */

static void on_connected(tl_peers *p, tl_quic_conn *quic)
{
    tl_peer_conn *conn = tl_quic_conn_user(quic);
    if (!conn) { /* dialled by the peer */
        tl_contact *c = tl_contact_get(p, tl_quic_conn_peer(quic));
        conn = c ? tl_contact_add_conn(c, quic, false) : NULL;
        if (!conn) {
            tl_quic_conn_close(quic, TL_CODE_NONE, "too many connections", tl_peers_now(p));
            return;
        }
        p->counters.accepted++;
    }
    tl_contact *c = conn->contact;
    c->peer->unusable_until = 0;
    tl_peer_has_key(p->config.table, c->peer);
    conn->connected = true;
    conn->connected_at = conn->idle_since = tl_peers_now(p);
    tl_watch_sign(&conn->watch, conn->connected_at);
    tl_idle_begin(conn);
    if (conn->client) {
        conn->heartbeat_at = conn->connected_at + TL_PEERS_HEARTBEAT;
        tl_peers_due(p, conn->heartbeat_at);
        if (tl_control_open(conn)) {
            tl_conn_close(conn, TL_CODE_NONE, "out of memory");
            return;
        }
    }
    tl_ways_use(conn);
    tl_conn_note(conn, TL_TASK_CHOOSE | TL_TASK_STRANDED);
    if (!conn->relayed) /* it began on a direct way: another one is worth having */
        tl_conn_note(conn, TL_TASK_SESSION);
    tl_contact_dial_connected(c, conn);
    tl_contact_mark_retiring(c);
    if (!c->joined) {
        c->joined = true;
        p->events.on_joined(p->user, c->peer);
    }
    tl_contact_serve_wishes(c);
}

static void on_closed(tl_peers *p, const tl_quic_event *ev)
{
    tl_peer_conn *conn = tl_quic_conn_user(ev->conn);
    if (!conn)
        return; /* dialled by a peer, and it never stood */
    tl_contact *c = conn->contact;
    bool dialled = c->dial_conn == conn;
    bool client = conn->client;
    bool broke = conn->connected && (conn->broke || ev->error == TL_ERR_TIMEOUT);
    char why[128];
    snprintf(why, sizeof why, "%s", ev->why[0] ? ev->why : tl_err_name(ev->error));
    tl_control_clear(conn);
    tl_contact_remove_conn(conn);
    if (broke && !tl_contact_best(c))
        tl_peers_note_lost(p, &c->peer->id, client);
    if (dialled)
        tl_contact_dial_on_closed(c, ev->error ? ev->error : TL_ERR_CLOSED, why);
    tl_contact_tell_left(c, why);
    tl_peers_look(p);
}

static void on_stream_opened(tl_peers *p, const tl_quic_event *ev)
{
    tl_peer_conn *conn = tl_quic_conn_user(ev->conn);
    if (!conn) {
        tl_quic_stream_reset(ev->stream, TL_CODE_PROTOCOL);
        return;
    }
    if (tl_quic_stream_id(ev->stream) == 0) { /* the client's first is the control stream */
        tl_control_accept(conn, ev->stream);
        return;
    }
    conn->streams++;
    tl_conn_note(conn, TL_TASK_USE);
    p->events.on_stream(p->user, &conn->contact->peer->id, ev->stream);
}

/* RFC 9000 2.1: the lowest bit of its number says who opened it. */
static bool is_ours(const tl_peer_conn *conn, tl_quic_stream *s)
{
    return (tl_quic_stream_id(s) & 1) == (conn->client ? 0 : 1);
}

static void on_stream_closed(tl_peers *p, const tl_quic_event *ev)
{
    tl_peer_conn *conn = tl_quic_conn_user(ev->conn);
    tl_stream_owner *o = tl_quic_stream_user(ev->stream);
    if (conn && ev->stream != conn->control && conn->streams) {
        conn->asked -= conn->asked && is_ours(conn, ev->stream);
        if (--conn->streams == 0) {
            conn->idle_since = tl_peers_now(p);
            tl_conn_note(conn, TL_TASK_USE);
            if (conn->retiring) {
                conn->retire_at = tl_peers_now(p) + TL_RETIRE_AFTER;
                tl_peers_due(p, conn->retire_at);
            }
        }
    }
    if (o)
        o->on_closed(o, conn && conn->closing ? conn->closing : "the connection to the peer broke");
}

static void on_path_changed(tl_quic_conn *quic)
{
    tl_peer_conn *conn = tl_quic_conn_user(quic);
    if (!conn)
        return;
    tl_outage_over(conn);
    tl_conn_note(conn, TL_TASK_USE);
}

static void on_event(tl_peers *p, const tl_quic_event *ev)
{
    tl_stream_owner *o = ev->stream ? tl_quic_stream_user(ev->stream) : NULL;
    tl_peer_conn *conn = tl_quic_conn_user(ev->conn);
    switch (ev->type) {
    case TL_QUIC_CONNECTED: on_connected(p, ev->conn); break;
    case TL_QUIC_STREAM_OPENED: on_stream_opened(p, ev); break;
    case TL_QUIC_STREAM_READABLE:
        if (conn)
            tl_watch_sign(&conn->watch, tl_peers_now(p));
        if (o)
            o->on_readable(o);
        break;
    case TL_QUIC_STREAM_WRITABLE:
        if (o)
            o->on_writable(o);
        break;
    case TL_QUIC_STREAM_RESET:
        if (o)
            o->on_reset(o);
        break;
    case TL_QUIC_STREAM_CLOSED: on_stream_closed(p, ev); break;
    case TL_QUIC_STREAMS_AVAILABLE:
        if (conn)
            tl_contact_serve_wishes(conn->contact);
        break;
    case TL_QUIC_PATH_CHANGED: on_path_changed(ev->conn); break;
    case TL_QUIC_CLOSED: on_closed(p, ev); break;
    }
}

/* --- driving --- */

/* Watches for silence while questions are under way. QUIC's keepalive asks for packets. A heartbeat
 * could not: it is stream data, and flow control may hold it back while the answers are not
 * read. */
static void watch(tl_peer_conn *conn)
{
    if (!conn->streams ||
        !tl_watch_begin(&conn->watch, tl_quic_conn_heard(conn->quic), tl_peers_now(conn->peers)))
        return;
    tl_quic_conn_set_keepalive(conn->quic, TL_WATCH_EVERY);
    tl_peers_due(conn->peers, tl_watch_expiry(&conn->watch));
}

static void do_what_is_noted(tl_peers *p)
{
    while (p->tasks) {
        tl_peer_conn *conn = p->tasks;
        unsigned tasks = conn->tasks;
        conn->tasks = 0;
        DL_DELETE2(p->tasks, conn, task_prev, task_next);
        if (tasks & TL_TASK_CHOOSE)
            tl_ways_choose(conn, tl_peers_now(p));
        if (tasks & TL_TASK_STRANDED)
            tl_outage_begin_if_stranded(conn);
        if (tasks & TL_TASK_SESSION)
            tl_outage_want_session(conn);
        if (tasks & TL_TASK_ASK_LIFE)
            tl_control_probe(conn, TL_PROBE_STALE);
        if (tasks & TL_TASK_USE) {
            watch(conn);
            tl_quiet_begin(conn);
            tl_ways_use(conn);
        }
    }
}

/* Serves wishes. Dials where there are wishes and no connection. */
static void look_after_contacts(tl_peers *p)
{
    tl_contact *c;
    if (!p->look)
        return;
    DL_FOREACH (p->contacts, c) {
        tl_contact_serve_wishes(c);
        if (c->wishes && c->dial == TL_DIAL_NONE && !tl_contact_open(c))
            tl_contact_dial_start(c);
    }
}

/* Forgets contacts that are not needed any more. Called after the output is sent: forgetting a
 * contact closes its direct ways, and the close of its last connection goes over one of them. */
static void tidy_contacts(tl_peers *p)
{
    tl_contact *c, *next;
    if (!p->look)
        return;
    p->look = false;
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what was freed left its list */
    DL_FOREACH_SAFE (p->contacts, c, next)
        tl_contact_tidy(c);
}

static bool handle_events(tl_peers *p)
{
    bool any = false;
    for (tl_quic_event ev; tl_quic_next_event(p->quic, &ev); any = true)
        on_event(p, &ev);
    return any;
}

/* Sending brings events too (the peer gave up a stream); the next run may be a round trip away. No
 * packet is read meanwhile. So a stream tells only that it was reset and closed, and a connection that
 * it was closed: the loop ends, whatever a peer sent. */
void tl_peers_run(tl_peers *p)
{
    if (p->in_run)
        return;
    p->in_run = true;
    do_what_is_noted(p);
    look_after_contacts(p);
    (void)handle_events(p);
    do {
        look_after_contacts(p);
        do_what_is_noted(p);
        tl_traffic_send(p);
    } while (handle_events(p));
    tidy_contacts(p);
    tl_paths_sweep(p);
    p->in_run = false;
}

static void look_for_life(tl_peer_conn *conn, tl_time now)
{
    bool doubted = now >= conn->watch.doubt_at, looked = now >= conn->watch.look_at;
    if (!doubted && !looked)
        return;
    bool busy = conn->streams && !conn->closing;
    /* Answers are worth the time that an outage has (TL_PEERS_OUTAGE_MAX, and the looks). */
    if (doubted && busy && !tl_ways_stands(conn)) {
        tl_watch_excuse(&conn->watch);
        doubted = false;
    }
    switch (tl_watch_on_timer(&conn->watch, tl_quic_conn_heard(conn->quic), busy,
                              tl_conn_is_lost(conn), now)) {
    case TL_WATCH_RESTING: tl_quic_conn_set_keepalive(conn->quic, 0); break;
    case TL_WATCH_LOOKING: break;
    case TL_WATCH_SILENT:
        tl_conn_close(conn, TL_CODE_OUTAGE,
                      doubted ? "the peer no longer answers"
                              : "nothing passes between the peer and us any more");
        break;
    }
}

static tl_time conn_on_timer(tl_peer_conn *conn, tl_time now)
{
    tl_peers *p = conn->peers;
    if (now >= conn->heartbeat_at) {
        conn->heartbeat_at = now + TL_PEERS_HEARTBEAT;
        tl_control_beat(conn, NULL);
        tl_idle_close_cold(p);
    }
    if (now >= conn->retire_at) {
        conn->retire_at = TL_NEVER; /* is set again when the last stream closes */
        if (!conn->streams)
            tl_conn_close(conn, TL_CODE_DUPLICATE, "duplicate connection");
    }
    if (now >= conn->judge_at)
        tl_idle_judge(conn, now);
    look_for_life(conn, now);
    tl_time due = tl_time_min(tl_time_min(conn->heartbeat_at, conn->retire_at), conn->judge_at);
    due = tl_time_min(due, tl_time_min(tl_watch_expiry(&conn->watch), tl_ways_on_timer(conn, now)));
    due = tl_time_min(due, tl_quiet_on_timer(conn, now));
    return tl_time_min(due, tl_outage_on_timer(conn, now));
}

void tl_peers_on_timer(tl_peers *p)
{
    tl_time now = tl_peers_now(p);
    if (now >= tl_quic_expiry(p->quic))
        tl_quic_on_timer(p->quic, now);
    if (now >= p->due) {
        p->due = TL_NEVER;
        tl_contact *c, *next;
        tl_peer_conn *conn;
        DL_FOREACH_SAFE (p->contacts, c, next) {
            DL_FOREACH (c->conns, conn)
                tl_peers_due(p, conn_on_timer(conn, now));
            tl_peers_due(p, tl_contact_dial_on_timer(c, now));
        }
        tl_peers_due(p, tl_paths_on_timer(p, now));
        tl_peers_due(p, tl_udp_on_timer(p, now));
    }
    if (p->relayers) {
        tl_relayers_on_timer(p->relayers);
        tl_introducers_on_timer(p->introducers);
    }
    tl_peers_run(p);
}

tl_time tl_peers_expiry(const tl_peers *p)
{
    tl_time nodes = p->relayers ? tl_time_min(tl_relayers_expiry(p->relayers),
                                              tl_introducers_expiry(p->introducers))
                                : TL_NEVER;
    return tl_time_min(tl_time_min(p->due, nodes), tl_quic_expiry(p->quic));
}
