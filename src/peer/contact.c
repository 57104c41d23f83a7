/* One contact: the connections to one peer, and the wishes for streams to it. */
#include "peer/state.h"

#include <assert.h>
#include <stdlib.h>

tl_contact *tl_contact_find(const tl_peers *p, const tl_node_id *id)
{
    const tl_peer *peer = tl_peer_table_find(p->config.table, id);
    return peer ? peer->contact : NULL;
}

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

void tl_contact_tell_left(tl_contact *c, const char *why)
{
    tl_peers *p = c->peers;
    if (!c->joined || tl_contact_best(c))
        return;
    c->joined = false;
    p->events.on_left(p->user, c->peer, why);
}

void tl_contact_tidy(tl_contact *c)
{
    tl_peers *p = c->peers;
    if (c->conns || c->wishes || c->dial != TL_DIAL_NONE)
        return;
    assert(!c->joined && !c->dial_conn);
    if (p->config.direct)
        tl_direct_drop(p->config.direct, &c->peer->id);
    DL_DELETE(p->contacts, c);
    c->peer->contact = NULL;
    free(c);
}

/* --- connections --- */

bool tl_conn_is_lost(const tl_peer_conn *conn)
{
    return conn->outage.state == TL_OUTAGE_LOST;
}

/* A connection that has its path ranks before one that has lost it. After that, the connection that
 * stays ranks before one that retires. */
static int rank(const tl_peer_conn *conn)
{
    return (tl_conn_is_lost(conn) ? 0 : 2) + (conn->retiring ? 0 : 1);
}

static tl_peer_conn *best_of(const tl_contact *c, bool open)
{
    tl_peer_conn *best = NULL, *conn;
    DL_FOREACH (c->conns, conn)
        if (conn->connected && !(open && conn->closing) && (!best || rank(conn) > rank(best)))
            best = conn;
    return best;
}

tl_peer_conn *tl_contact_best(const tl_contact *c)
{
    return best_of(c, false);
}

tl_peer_conn *tl_contact_open(const tl_contact *c)
{
    return best_of(c, true);
}

void tl_contact_mark_retiring(tl_contact *c)
{
    tl_peers *p = c->peers;
    /* Both sides may dial at once. The connection whose client has the smaller node ID stays. */
    bool ours_stays = tl_node_id_cmp(&p->config.identity->id, &c->peer->id) < 0;
    tl_peer_conn *conn, *keeper = NULL;
    DL_FOREACH (c->conns, conn)
        if (conn->connected && conn->client == ours_stays && !tl_conn_is_lost(conn))
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

tl_peer_conn *tl_contact_add_conn(tl_contact *c, tl_quic_conn *quic, bool client)
{
    tl_peer_conn *conn = calloc(1, sizeof *conn);
    if (!conn)
        return NULL;
    *conn = (tl_peer_conn){.peers = c->peers,
                           .contact = c,
                           .quic = quic,
                           .client = client,
                           .watch = tl_watch_new(tl_peers_now(c->peers)),
                           .proof = tl_proof_new(),
                           .outage = {.reopen_at = TL_NEVER, .old_until = TL_NEVER},
                           .quiet = {.look_at = TL_NEVER},
                           .retire_at = TL_NEVER,
                           .judge_at = TL_NEVER,
                           .heartbeat_at = TL_NEVER,
                           .choose_at = TL_NEVER};
    tl_quic_conn_set_user(quic, conn);
    DL_APPEND(c->conns, conn);
    return conn;
}

void tl_contact_remove_conn(tl_peer_conn *conn)
{
    tl_peers *p = conn->peers;
    if (conn->tasks)
        DL_DELETE2(p->tasks, conn, task_prev, task_next);
    DL_DELETE(conn->contact->conns, conn);
    conn->contact->gone_in += tl_quic_conn_bytes_in(conn->quic);
    conn->contact->gone_out += tl_quic_conn_bytes_out(conn->quic);
    tl_quic_conn_set_user(conn->quic, NULL);
    free(conn);
    p->sweep = true; /* its paths may not be needed any more */
}

void tl_conn_close(tl_peer_conn *conn, uint64_t code, const char *why)
{
    if (conn->closing)
        return;
    conn->closing = why;
    conn->broke = code == TL_CODE_OUTAGE;
    tl_quic_conn_close(conn->quic, code, why, tl_peers_now(conn->peers));
    tl_peers_wake(conn->peers);
}

void tl_conn_note(tl_peer_conn *conn, tl_conn_task what)
{
    tl_peers *p = conn->peers;
    if (!conn->tasks)
        DL_APPEND2(p->tasks, conn, task_prev, task_next);
    conn->tasks |= what;
    tl_peers_wake(p);
}

/* --- wishes --- */

tl_err tl_peers_wish(tl_peers *p, tl_peer_wish *w)
{
    tl_contact *c = tl_contact_get(p, &w->peer);
    if (!c)
        return TL_ERR_BUSY;
    w->contact = c;
    w->turn = c->wish_turn;
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
    tl_peers_look(p); /* the contact may not be needed any more */
}

void tl_contact_serve_wishes(tl_contact *c)
{
    tl_peer_conn *conn = tl_contact_open(c);
    while (conn && c->wishes) {
        tl_peer_wish *w = c->wishes;
        tl_quic_stream *s = NULL;
        tl_err e = w->connection_only ? TL_OK : tl_quic_stream_open(conn->quic, &s);
        if (e == TL_ERR_AGAIN)
            return; /* TL_QUIC_STREAMS_AVAILABLE calls this again */
        DL_DELETE(c->wishes, w);
        w->contact = NULL;
        if (e) {
            w->on_failed(w, e, "no stream could be opened");
            continue;
        }
        if (s) {
            conn->streams++;
            conn->asked++;
            tl_conn_note(conn, TL_TASK_USE);
        }
        if (tl_peers_now(c->peers) - conn->watch.sign_at >= TL_PEERS_STALE_AFTER)
            tl_conn_note(conn, TL_TASK_ASK_LIFE);
        w->on_stream(w, s);
    }
}

void tl_contact_fail_wishes(tl_contact *c, tl_err e, const char *why)
{
    unsigned turn = c->wish_turn++;
    while (c->wishes && c->wishes->turn == turn) {
        tl_peer_wish *w = c->wishes;
        DL_DELETE(c->wishes, w);
        w->contact = NULL;
        w->on_failed(w, e, why);
    }
}
