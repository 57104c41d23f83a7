#include "peer/state.h"

#include "base/log.h"

#include <stdlib.h>

/* What is for the relay waits while its connection takes nothing. */
static bool is_held(void *user, tl_path_id path)
{
    const tl_peers *p = user;
    return tl_path_find(p, path) && !p->events.may_send(p->user);
}

tl_err tl_peers_new(const tl_peers_config *config, const tl_peers_events *events, void *user,
                    tl_peers **ret_peers)
{
    tl_peers *p = calloc(1, sizeof *p);
    if (!p)
        return TL_ERR_NOMEM;
    p->config = *config;
    p->events = *events;
    p->user = user;
    p->next_path = 1;
    p->due = TL_NEVER;
    tl_quic_config q = tl_quic_config_default(config->identity, config->rand);
    q.handshake_timeout = config->connect_within;
    q.keepalive = 0; /* the heartbeats are */
    tl_err e = tl_quic_new(&q, &p->quic);
    if (e) {
        free(p);
        return e;
    }
    tl_quic_set_held(p->quic, is_held, p);
    *ret_peers = p;
    return TL_OK;
}

const tl_peers_counters *tl_peers_counters_of(const tl_peers *p)
{
    return &p->counters;
}

const tl_quic_counters *tl_peers_quic_counters(const tl_peers *p)
{
    return tl_quic_counters_of(p->quic);
}

/* --- contacts --- */

tl_contact *tl_contact_get(tl_peers *p, const tl_node_id *id)
{
    tl_peer *peer = tl_peer_table_get(p->config.table, id);
    if (!peer)
        return NULL;
    if (peer->contact)
        return peer->contact;
    tl_contact *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->peers = p;
    c->peer = peer;
    peer->contact = c;
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what was freed left its list */
    DL_APPEND(p->contacts, c);
    return c;
}

bool tl_contact_tidy(tl_contact *c, const char *why)
{
    tl_peers *p = c->peers;
    if (c->joined && !tl_contact_best(c)) {
        c->joined = false;
        p->events.on_left(p->user, c->peer, why);
    }
    if (c->conns || c->wishes || c->dial != TL_DIAL_NONE)
        return false;
    if (p->config.direct)
        tl_direct_drop(p->config.direct, &c->peer->id);
    DL_DELETE(p->contacts, c);
    c->peer->contact = NULL;
    free(c);
    return true;
}

/* One whose path stands before one that looks for its path, the keeper before the one that retires.
 */
static int rank(const tl_peer_conn *conn)
{
    return (conn->lost ? 0 : 2) + (conn->retiring ? 0 : 1);
}

tl_peer_conn *tl_contact_best(const tl_contact *c)
{
    tl_peer_conn *best = NULL, *conn;
    DL_FOREACH (c->conns, conn)
        if (conn->connected && (!best || rank(conn) > rank(best)))
            best = conn;
    return best;
}

tl_peer_conn *tl_contact_add_conn(tl_contact *c, tl_quic_conn *quic, bool client)
{
    tl_peer_conn *conn = calloc(1, sizeof *conn);
    if (!conn)
        return NULL;
    *conn = (tl_peer_conn){.peers = c->peers,
                           .contact = c,
                           .quic = quic,
                           .client = client,
                           .retire_at = TL_NEVER,
                           .heartbeat_at = TL_NEVER,
                           .reopen_at = TL_NEVER,
                           .choose_at = TL_NEVER,
                           .proof_at = TL_NEVER,
                           .probe_at = TL_NEVER,
                           .watch_at = TL_NEVER};
    tl_quic_conn_set_user(quic, conn);
    DL_APPEND(c->conns, conn);
    return conn;
}

void tl_conn_close(tl_peer_conn *conn, uint64_t code, const char *why)
{
    if (conn->closing)
        return;
    conn->closing = why;
    tl_quic_conn_close(conn->quic, code, why, tl_peers_now(conn->peers));
    tl_peers_wake(conn->peers);
}

/* --- wishes --- */

tl_err tl_peers_wish(tl_peers *p, tl_peer_wish *w)
{
    tl_contact *c = tl_contact_get(p, &w->peer);
    if (!c)
        return TL_ERR_BUSY;
    w->contact = c;
    DL_APPEND(c->wishes, w);
    tl_peers_look(p); /* tl_peers_run serves it, or dials */
    return TL_OK;
}

void tl_peers_unwish(tl_peers *p, tl_peer_wish *w)
{
    if (!w->contact)
        return;
    DL_DELETE(w->contact->wishes, w);
    w->contact = NULL;
    tl_peers_look(p); /* the contact may be without purpose now */
}

void tl_contact_serve_wishes(tl_contact *c)
{
    tl_peer_conn *conn = tl_contact_best(c);
    while (conn && c->wishes) {
        tl_peer_wish *w = c->wishes;
        tl_quic_stream *s = NULL;
        tl_err e = w->connection_only ? TL_OK : tl_quic_stream_open(conn->quic, &s);
        if (e == TL_ERR_AGAIN)
            return; /* TL_QUIC_STREAMS_AVAILABLE brings us back */
        DL_DELETE(c->wishes, w);
        w->contact = NULL;
        if (e) {
            w->on_failed(w, e, "no stream could be opened");
            continue;
        }
        if (s) {
            conn->streams++;
            tl_control_watch(conn);
            tl_conn_path_is(conn);
        }
        if (tl_peers_now(c->peers) - conn->heard_at >= TL_PEERS_STALE_AFTER)
            tl_control_probe(conn, TL_PROBE_STALE);
        w->on_stream(w, s);
    }
}

void tl_contact_fail_wishes(tl_contact *c, tl_err e, const char *why)
{
    while (c->wishes) {
        tl_peer_wish *w = c->wishes;
        DL_DELETE(c->wishes, w);
        w->contact = NULL;
        w->on_failed(w, e, why);
    }
}

/* --- what QUIC tells --- */

static void mark_retiring(tl_peers *p, tl_contact *c)
{
    /* The connection whose client has the smaller node ID stays (QUIC.md "Both may dial at once").
     */
    bool ours_stays = tl_node_id_cmp(&p->config.identity->id, &c->peer->id) < 0;
    tl_peer_conn *conn, *keeper = NULL;
    DL_FOREACH (c->conns, conn)
        if (conn->connected && conn->client == ours_stays && !conn->lost)
            keeper = conn;
    if (!keeper)
        return;
    DL_FOREACH (c->conns, conn)
        if (conn->connected && conn != keeper && !conn->retiring) {
            conn->retiring = true;
            conn->retire_at = tl_peers_now(p) + TL_RETIRE_AFTER;
            tl_peers_due(p, conn->retire_at);
        }
}

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
    conn->connected = true;
    conn->connected_at = conn->idle_since = conn->heard_at = tl_peers_now(p);
    tl_conn_path_is(conn);
    if (conn->client) {
        conn->choose_at = conn->connected_at;
        conn->heartbeat_at = conn->connected_at + TL_PEERS_HEARTBEAT;
        tl_peers_due(p, conn->choose_at);
        if (tl_control_open(conn)) {
            tl_conn_close(conn, TL_CODE_NONE, "out of memory");
            return;
        }
    }
    tl_contact_dial_connected(c, conn);
    mark_retiring(p, c);
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
        return; /* of a peer, and never stood */
    tl_contact *c = conn->contact;
    bool dialled = c->dial_conn == conn;
    char why[128];
    snprintf(why, sizeof why, "%s", ev->why[0] ? ev->why : tl_err_name(ev->error));
    tl_control_clear(conn);
    if (conn->reopening)
        tl_path_drop(p, conn->reopening, true);
    tl_path_id relayed = conn->relayed, path = tl_quic_conn_path(ev->conn);
    DL_DELETE(c->conns, conn);
    tl_path_finish(p, path);
    if (relayed && relayed != path)
        tl_path_finish(p, relayed);
    free(conn);
    if (dialled) {
        c->dial_conn = NULL;
        tl_contact_dial_stop(c);
        p->counters.dial_failures++;
        c->peer->unusable_until = tl_peers_now(p) + TL_PEERS_OUTAGE_MAX;
        if (!tl_contact_best(c))
            tl_contact_fail_wishes(c, ev->error ? ev->error : TL_ERR_CLOSED, why);
    }
    if (!tl_contact_tidy(c, why))
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
    tl_control_watch(conn);
    tl_conn_path_is(conn);
    p->events.on_stream(p->user, &conn->contact->peer->id, ev->stream);
}

static void on_stream_closed(tl_peers *p, const tl_quic_event *ev)
{
    tl_peer_conn *conn = tl_quic_conn_user(ev->conn);
    tl_stream_owner *o = tl_quic_stream_user(ev->stream);
    if (conn && ev->stream != conn->control && conn->streams) {
        if (--conn->streams == 0) {
            conn->idle_since = tl_peers_now(p);
            tl_conn_path_is(conn);
            if (conn->retiring) {
                conn->retire_at = tl_peers_now(p) + TL_RETIRE_AFTER;
                tl_peers_due(p, conn->retire_at);
            }
        }
    }
    if (o)
        o->on_closed(o, conn && conn->closing ? conn->closing : "the connection to the peer broke");
}

static void on_path_changed(tl_peers *p, tl_quic_conn *quic)
{
    tl_peer_conn *conn = tl_quic_conn_user(quic);
    if (!conn)
        return;
    if (conn->lost)
        p->counters.recovered++;
    conn->lost = false;
    tl_conn_path_is(conn);
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
            tl_control_heard(conn);
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
    case TL_QUIC_PATH_CHANGED: on_path_changed(p, ev->conn); break;
    case TL_QUIC_CLOSED: on_closed(p, ev); break;
    }
}

/* --- driving --- */

/* New wishes without a connection dial; contacts without a purpose go. */
static void look_after_contacts(tl_peers *p)
{
    tl_contact *c, *next;
    if (!p->look)
        return;
    p->look = false;
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what was freed left its list */
    DL_FOREACH_SAFE (p->contacts, c, next) {
        tl_contact_serve_wishes(c);
        if (c->wishes && c->dial == TL_DIAL_NONE && !tl_contact_best(c))
            tl_contact_dial_start(c);
        (void)tl_contact_tidy(c, "not needed");
    }
}

static void send_output(tl_peers *p)
{
    tl_quic_output o;
    while (tl_quic_next_output(p->quic, p->out, tl_peers_now(p), &o)) {
        if (p->config.direct && !tl_path_find(p, o.path)) {
            /* Lost like a datagram on any network; who owns the sockets counts it. */
            (void)!tl_direct_send(p->config.direct, o.path, p->out, o.n, o.segment);
            continue;
        }
        for (size_t at = 0; at < o.n; at += o.segment) {
            size_t n = o.n - at < o.segment ? o.n - at : o.segment;
            /* Lost like a datagram on any network; the link counts it. */
            if (tl_relay_link_send(p->config.link, o.path, tl_slice_of(p->out + at, n)))
                continue;
        }
    }
}

void tl_peers_run(tl_peers *p)
{
    if (p->in_run)
        return;
    p->in_run = true;
    tl_quic_event ev;
    look_after_contacts(p);
    while (tl_quic_next_event(p->quic, &ev))
        on_event(p, &ev);
    look_after_contacts(p);
    send_output(p);
    tl_paths_drop_finished(p);
    p->in_run = false;
}

/* Keeps the most recently used few of the idle connections that we dialled. */
static void close_cold(tl_peers *p)
{
    size_t idle = 0;
    tl_peer_conn *coldest = NULL, *conn;
    tl_contact *c;
    DL_FOREACH (p->contacts, c)
        DL_FOREACH (c->conns, conn)
            if (conn->connected && conn->client && !conn->retiring && !conn->streams &&
                !c->wishes) {
                idle++;
                if (!coldest || conn->idle_since < coldest->idle_since)
                    coldest = conn;
            }
    if (idle > TL_PEERS_WARM_MAX)
        tl_conn_close(coldest, TL_CODE_GOODBYE, "idle");
}

static tl_time conn_on_timer(tl_peer_conn *conn, tl_time now)
{
    tl_peers *p = conn->peers;
    if (now >= conn->heartbeat_at) {
        conn->heartbeat_at = now + TL_PEERS_HEARTBEAT;
        tl_control_beat(conn, NULL);
        close_cold(p);
    }
    if (now >= conn->retire_at) {
        conn->retire_at = TL_NEVER; /* set again when the last stream closes */
        if (!conn->streams)
            tl_conn_close(conn, TL_CODE_DUPLICATE, "duplicate connection");
    }
    if (now >= conn->probe_at) {
        conn->probe_at = TL_NEVER;
        tl_conn_close(conn, TL_CODE_OUTAGE, "the peer no longer answers");
    }
    tl_time due = tl_time_min(conn->heartbeat_at, tl_time_min(conn->retire_at, conn->probe_at));
    due = tl_time_min(due, tl_control_watch_on_timer(conn, now));
    due = tl_time_min(due, tl_conn_ways_on_timer(conn, now));
    return tl_time_min(due, tl_conn_path_on_timer(conn, now));
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
    }
    tl_peers_run(p);
}

tl_time tl_peers_expiry(const tl_peers *p)
{
    return tl_time_min(p->due, tl_quic_expiry(p->quic));
}

void tl_peers_on_datagram(tl_peers *p, tl_path_id path, uint8_t *data, size_t n)
{
    const tl_env *env = &p->config.env;
    tl_quic_on_datagram(p->quic, path, data, n, tl_peers_now(p), env->wall(env->user));
    tl_peers_wake(p);
}

/* --- told and asked --- */

void tl_peers_set_capabilities(tl_peers *p, json_t *capabilities)
{
    bool same = p->capabilities && json_equal(p->capabilities, capabilities);
    json_decref(p->capabilities);
    p->capabilities = capabilities;
    if (same)
        return;
    tl_contact *c;
    tl_peer_conn *conn;
    DL_FOREACH (p->contacts, c)
        DL_FOREACH (c->conns, conn)
            if (conn->control)
                tl_control_send_hello(conn);
    tl_peers_wake(p);
}

void tl_peers_say_goodbye(tl_peers *p, const char *reason)
{
    tl_contact *c;
    tl_peer_conn *conn;
    p->goodbye = true;
    DL_FOREACH (p->contacts, c)
        DL_FOREACH (c->conns, conn)
            if (conn->control)
                tl_control_send_goodbye(conn, reason);
    tl_peers_wake(p);
}

void tl_peers_close_all(tl_peers *p, const char *reason)
{
    tl_contact *c;
    tl_peer_conn *conn;
    tl_peers_run(p);
    DL_FOREACH (p->contacts, c)
        DL_FOREACH (c->conns, conn)
            tl_conn_close(conn, TL_CODE_GOODBYE, reason);
    tl_peers_run(p);
}

tl_via tl_peers_via(const tl_peers *p, tl_quic_stream *s)
{
    (void)p;
    const tl_peer_conn *conn = tl_quic_conn_user(tl_quic_stream_conn(s));
    return conn ? tl_conn_via(conn) : TL_VIA_RELAYED;
}

bool tl_peers_facts(const tl_peers *p, const tl_peer *peer, tl_peer_facts *ret_facts)
{
    const tl_peer_conn *conn = peer->contact ? tl_contact_best(peer->contact) : NULL;
    if (!conn)
        return false;
    *ret_facts = (tl_peer_facts){.via = tl_conn_via(conn),
                                 .rtt = tl_quic_conn_rtt(conn->quic),
                                 .since = conn->path_since,
                                 .streams = conn->streams,
                                 .why = conn->chosen,
                                 .connected_at = conn->connected_at};
    tl_direct_way way;
    if (p->config.direct &&
        tl_direct_way_of(p->config.direct, tl_quic_conn_path(conn->quic), &way)) {
        ret_facts->remote = way.remote;
        ret_facts->rtt = ret_facts->rtt ? ret_facts->rtt : way.rtt;
    }
    return true;
}

tl_err tl_peers_ping(tl_peers *p, const tl_node_id *peer, tl_peer_pong *g)
{
    const tl_peer *found = tl_peer_table_find(p->config.table, peer);
    tl_peer_conn *conn = found && found->contact ? tl_contact_best(found->contact) : NULL;
    if (!conn || !conn->control)
        return TL_ERR_NOT_FOUND;
    tl_control_beat(conn, g);
    tl_peers_wake(p);
    return TL_OK;
}

void tl_peers_free(tl_peers *p)
{
    if (!p)
        return;
    tl_contact *c, *next_c;
    tl_peer_conn *conn, *next;
    DL_FOREACH_SAFE (p->contacts, c, next_c) {
        DL_FOREACH_SAFE (c->conns, conn, next) {
            tl_control_clear(conn);
            free(conn);
        }
        c->peer->contact = NULL;
        free(c);
    }
    tl_path *path, *next_path;
    HASH_ITER (hh, p->paths, path, next_path) {
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what was freed left its list */
        HASH_DEL(p->paths, path);
        free(path);
    }
    json_decref(p->capabilities);
    tl_quic_free(p->quic);
    free(p);
}
