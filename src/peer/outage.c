/* What happens when a connection loses its path: the client asks for another session at the relay,
 * and the server waits for the client. Both want the relay back soon: the server, while it has
 * questions under way.
 *
 * Guarantee: a connection whose path is gone is on another path, or closed, TL_PEERS_OUTAGE_MAX
 * later at most. */
#include "peer/state.h"

#include <assert.h>

static void set_state(tl_peer_conn *conn, tl_outage_state state)
{
    conn->outage.state = state;
    conn->outage.lost_at = tl_peers_now(conn->peers);
}

/* `at`: the time, in the state DUE. `asked`: the session, in the state ASKED. */
static void set_reopen(tl_peer_conn *conn, tl_reopen_state state, tl_time at, tl_path_id asked)
{
    tl_outage *o = &conn->outage;
    assert((state == TL_REOPEN_DUE) == (at != TL_NEVER));
    assert((state == TL_REOPEN_ASKED) == (asked != 0));
    o->reopen = state;
    o->reopen_at = at;
    o->asked = asked;
    tl_peers_due(conn->peers, at);
}

static void rest(tl_peer_conn *conn)
{
    set_reopen(conn, TL_REOPEN_RESTING, TL_NEVER, 0);
}

/* Tries again after a pause, and doubles the pause. */
static void again(tl_peer_conn *conn)
{
    tl_outage *o = &conn->outage;
    set_reopen(conn, TL_REOPEN_DUE, tl_peers_now(conn->peers) + o->pause, 0);
    o->pause =
        tl_time_min(2 * o->pause, tl_conn_is_lost(conn) ? TL_REOPEN_LOST_MAX : TL_REOPEN_WARM_MAX);
}

static void begin(tl_peer_conn *conn)
{
    conn->outage.pause = TL_REOPEN_FIRST;
    set_reopen(conn, TL_REOPEN_DUE, tl_peers_now(conn->peers), 0);
}

/* A session that is only to be kept warm is not worth a place at a node that relays. */
static bool can_open(const tl_peer_conn *conn)
{
    const tl_relays *relays = conn->peers->config.relays;
    bool needed = tl_conn_is_lost(conn) || conn->relayed;
    return tl_relays_is_registered(relays) ||
           (needed && tl_relays_can_open(relays, &conn->contact->peer->id));
}

static void try_reopen(tl_peer_conn *conn)
{
    tl_peers *p = conn->peers;
    if (conn->outage.reopen == TL_REOPEN_ASKED)
        return;
    rest(conn);
    bool wants = conn->client || (tl_conn_is_lost(conn) && conn->streams);
    conn->outage.replaces &= conn->relayed != 0;
    if (!wants || (conn->relayed && !conn->outage.replaces) || conn->closing)
        return;
    const tl_node_id *peer = &conn->contact->peer->id;
    if (conn->outage.replaces &&
        !tl_relays_has_other(p->config.relays, peer, conn->relayed, true)) {
        again(conn);
        return;
    }
    if (!tl_relays_is_registered(p->config.relays) && tl_conn_is_lost(conn))
        (void)p->events.on_relay_wanted(p->user); /* the owner goes on dialling the relay */
    /* Where no relay carries it, a new direct way is what there is to hope for. */
    if (!can_open(conn)) {
        if (tl_conn_is_lost(conn) && p->config.direct)
            tl_direct_hurry(p->config.direct, peer);
        again(conn);
        return;
    }
    if (!conn->client)
        return;
    const tl_path *path = tl_path_new(p, TL_PATH_SESSION, &conn->contact->peer->id, true);
    if (path && !tl_relays_open(p->config.relays, &path->peer, path->id, conn->relayed)) {
        set_reopen(conn, TL_REOPEN_ASKED, TL_NEVER, path->id);
        return;
    }
    if (path)
        tl_path_drop(p, path->id, false);
    again(conn);
}

void tl_outage_want_session(tl_peer_conn *conn)
{
    if (conn->client && !conn->relayed && conn->outage.reopen == TL_REOPEN_RESTING)
        begin(conn);
}

void tl_outage_replace_session(tl_peer_conn *conn)
{
    if (!conn->client || !conn->relayed || conn->closing || conn->outage.replaces)
        return;
    conn->outage.replaces = true;
    if (conn->outage.reopen != TL_REOPEN_ASKED)
        begin(conn);
    tl_peers_due(conn->peers, tl_peers_now(conn->peers));
}

void tl_outage_begin(tl_peer_conn *conn)
{
    if (tl_conn_is_lost(conn))
        return;
    conn->peers->counters.outages++;
    set_state(conn, TL_OUTAGE_LOST);
    conn->outage.began = true;
    conn->outage.heard = tl_quic_conn_heard(conn->quic);
    conn->outage.barren = 0;
    tl_peers_due(conn->peers, conn->outage.lost_at + TL_PEERS_OUTAGE_MAX);
    if (conn->outage.reopen != TL_REOPEN_ASKED)
        begin(conn);
}

void tl_outage_begin_if_stranded(tl_peer_conn *conn)
{
    const tl_path *path = tl_conn_path(conn);
    if (!path || path->state == TL_PATH_GONE)
        tl_outage_begin(conn);
}

void tl_outage_over(tl_peer_conn *conn)
{
    if (!tl_conn_is_lost(conn))
        return;
    conn->peers->counters.recovered++;
    set_state(conn, TL_OUTAGE_STANDS);
}

void tl_outage_on_registered(tl_peer_conn *conn)
{
    if (conn->connected && conn->outage.reopen != TL_REOPEN_ASKED &&
        (tl_conn_is_lost(conn) || conn->outage.reopen == TL_REOPEN_DUE)) {
        conn->outage.pause = TL_REOPEN_FIRST;
        try_reopen(conn);
    }
}

/* `path` is the connection's session from now on. */
static void take_session(tl_peer_conn *conn, tl_path_id path)
{
    tl_outage *o = &conn->outage;
    rest(conn);
    if (o->replaces && conn->relayed) {
        o->old = conn->relayed;
        o->old_until = tl_peers_now(conn->peers) + TL_REOPEN_OVERLAP;
        tl_peers_due(conn->peers, o->old_until);
        conn->peers->counters.relays_changed++;
    }
    o->replaces = false;
    conn->relayed = path;
    tl_udp_follow(conn);
}

static void forget_old(tl_peer_conn *conn)
{
    conn->outage.old = 0;
    conn->outage.old_until = TL_NEVER;
    conn->peers->sweep = true;
    tl_peers_wake(conn->peers);
}

/* A connection that has a direct way keeps the new session warm. Any other moves to it. */
void tl_outage_on_ready(tl_peer_conn *conn)
{
    tl_peers *p = conn->peers;
    tl_path_id path = conn->outage.asked;
    assert(conn->outage.reopen == TL_REOPEN_ASKED);
    conn->relayed_rtt = 0;
    if (!tl_conn_is_lost(conn) && tl_conn_is_direct(conn)) {
        take_session(conn, path);
        if (tl_watch_doubts(&conn->watch))
            tl_control_probe(conn, tl_quic_conn_rtt(conn->quic) <= TL_PROBE_BACK_RTT
                                       ? TL_PROBE_BACK
                                       : TL_PROBE_NEW_PATH);
        return;
    }
    if (tl_quic_conn_migrate(conn->quic, path, tl_peers_now(p))) {
        tl_path_drop(p, path, true);
        again(conn);
        return;
    }
    bool stood = conn->outage.replaces;
    take_session(conn, path);
    tl_outage_over(conn);
    tl_control_probe(conn, stood ? TL_PROBE_STALE : TL_PROBE_NEW_PATH);
    tl_conn_note(conn, TL_TASK_USE);
}

void tl_outage_on_ended(tl_peer_conn *conn, bool refused)
{
    assert(conn->outage.reopen == TL_REOPEN_ASKED);
    if (refused)
        conn->outage.pause = tl_time_max(conn->outage.pause, TL_REOPEN_REFUSED);
    if (tl_conn_is_lost(conn) && conn->peers->config.direct)
        tl_direct_hurry(conn->peers->config.direct, &conn->contact->peer->id);
    again(conn);
}

tl_time tl_outage_on_timer(tl_peer_conn *conn, tl_time now)
{
    const tl_outage *o = &conn->outage;
    tl_time over_at = tl_conn_is_lost(conn) ? o->lost_at + TL_PEERS_OUTAGE_MAX : TL_NEVER;
    if (now >= over_at) {
        set_state(conn, TL_OUTAGE_STANDS); /* the close follows; this must not happen twice */
        rest(conn);
        tl_conn_close(conn, TL_CODE_OUTAGE,
                      tl_conn_is_direct(conn)
                          ? "the direct connection was lost, and no other way was found"
                          : "the connection through the relay was lost");
        return TL_NEVER;
    }
    if (now >= o->reopen_at)
        try_reopen(conn);
    if (now >= o->old_until)
        forget_old(conn);
    return tl_time_min(tl_time_min(o->reopen_at, o->old_until), over_at);
}
