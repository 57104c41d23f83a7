/* Making connections: a session at the relay, QUIC over it, and another session when the first is
 * gone. */
#include "peer/state.h"

#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>

/* --- paths --- */

tl_path *tl_path_find(const tl_peers *p, tl_path_id id)
{
    tl_path *path;
    HASH_FIND(hh, p->paths, &id, sizeof id, path);
    return path;
}

tl_path *tl_path_new(tl_peers *p, const tl_node_id *peer, bool ours)
{
    tl_path *path = calloc(1, sizeof *path);
    if (!path)
        return NULL;
    do
        path->id = p->next_path++;
    while (path->id == 0 || tl_path_find(p, path->id));
    path->peer = *peer;
    path->ours = ours;
    path->made = tl_peers_now(p);
    HASH_ADD(hh, p->paths, id, sizeof path->id, path);
    return path;
}

void tl_path_drop(tl_peers *p, tl_path_id id, bool tell)
{
    tl_path *path = tl_path_find(p, id);
    if (!path)
        return;
    if (tell)
        tl_relay_link_close(p->config.link, id);
    HASH_DEL(p->paths, path);
    free(path);
}

/* The connection that uses a path, or keeps it warm, or asked for it. */
static tl_peer_conn *conn_of_path(tl_peers *p, const tl_path *path)
{
    const tl_peer *peer = tl_peer_table_find(p->config.table, &path->peer);
    tl_peer_conn *conn;
    if (!peer || !peer->contact)
        return NULL;
    DL_FOREACH (peer->contact->conns, conn)
        if (conn->reopening == path->id || conn->relayed == path->id ||
            tl_quic_conn_path(conn->quic) == path->id)
            return conn;
    return NULL;
}

void tl_path_finish(tl_peers *p, tl_path_id id)
{
    tl_path *path = tl_path_find(p, id);
    if (path && !conn_of_path(p, path))
        path->finished = p->any_finished = true;
}

void tl_paths_drop_finished(tl_peers *p)
{
    tl_path *path, *next;
    if (!p->any_finished)
        return;
    p->any_finished = false;
    HASH_ITER (hh, p->paths, path, next)
        if (path->finished)
            tl_path_drop(p, path->id, true);
}

/* False: this peer has enough. */
static bool make_room(tl_peers *p, const tl_node_id *from)
{
    size_t waiting = 0, of_peer = 0;
    tl_path *path, *next, *oldest = NULL;
    HASH_ITER (hh, p->paths, path, next) /* in the order they were made */
    {
        of_peer += tl_node_id_eq(&path->peer, from);
        if (path->ours || path->used)
            continue;
        waiting++;
        if (!oldest)
            oldest = path;
    }
    if (of_peer >= TL_PATHS_OF_PEER_MAX)
        return false;
    if (waiting >= TL_PATHS_WAITING_MAX)
        tl_path_drop(p, oldest->id, true);
    return true;
}

/* Of a connection that went direct, the client keeps a session at the relay; nothing comes over it
 * as long as all is well. The latest is the one, should it have lost others. */
static void keep_warm(tl_peers *p, tl_path *path)
{
    const tl_peer *peer = tl_peer_table_find(p->config.table, &path->peer);
    tl_peer_conn *conn = peer && peer->contact ? tl_contact_best(peer->contact) : NULL;
    if (!conn || conn->client || tl_conn_via(conn) == TL_VIA_RELAYED)
        return;
    tl_path *before = conn->relayed ? tl_path_find(p, conn->relayed) : NULL;
    if (before)
        before->used = false;
    path->used = true;
    conn->relayed = path->id;
}

tl_path_id tl_peers_on_asked(tl_peers *p, const tl_node_id *from)
{
    if (p->goodbye || !make_room(p, from) || HASH_COUNT(p->paths) >= TL_RELAY_SESSIONS_MAX)
        return 0;
    tl_path *path = tl_path_new(p, from, false);
    if (!path)
        return 0;
    path->open = true;
    keep_warm(p, path);
    tl_peers_due(p, path->made + TL_PATH_UNUSED_MAX);
    tl_peers_wake(p);
    return path->id;
}

tl_time tl_paths_on_timer(tl_peers *p, tl_time now)
{
    tl_time due = TL_NEVER;
    tl_path *path, *next;
    HASH_ITER (hh, p->paths, path, next) {
        if (path->ours || path->used)
            continue;
        if (now >= path->made + TL_PATH_UNUSED_MAX)
            tl_path_drop(p, path->id, true);
        else
            due = tl_time_min(due, path->made + TL_PATH_UNUSED_MAX);
    }
    return due;
}

/* --- dialling --- */

static void fail_dial(tl_contact *c, tl_err e, const char *why)
{
    tl_peers *p = c->peers;
    p->counters.dial_failures++;
    c->peer->unusable_until = tl_peers_now(p) + TL_PEERS_OUTAGE_MAX;
    tl_contact_dial_stop(c);
    if (!tl_contact_best(c)) /* the peer's own attempt may have succeeded */
        tl_contact_fail_wishes(c, e, why);
    tl_peers_look(p); /* forgets the contact */
}

/* Asks the relay for a session, as soon as it is connected. */
static void open_session(tl_contact *c)
{
    tl_peers *p = c->peers;
    if (!tl_relay_link_is_registered(p->config.link)) {
        const char *hopeless = p->events.on_relay_wanted(p->user);
        c->dial = TL_DIAL_RELAY;
        if (hopeless)
            fail_dial(c, TL_ERR_UNREACHABLE, hopeless);
        return;
    }
    tl_path *path = tl_path_new(p, &c->peer->id, true);
    tl_err e = path ? tl_relay_link_open(p->config.link, &c->peer->id, path->id) : TL_ERR_NOMEM;
    if (e) {
        if (path)
            tl_path_drop(p, path->id, false);
        fail_dial(c, e, "the relay takes no more sessions now");
        return;
    }
    c->dial = TL_DIAL_OPENING;
    c->dial_path = path->id;
}

void tl_contact_dial_start(tl_contact *c)
{
    tl_peers *p = c->peers;
    p->counters.dials++;
    if (p->config.direct)
        tl_direct_want(p->config.direct, &c->peer->id);
    c->dial_deadline = tl_peers_now(p) + p->config.connect_within;
    tl_peers_due(p, c->dial_deadline);
    open_session(c);
}

void tl_contact_dial_stop(tl_contact *c)
{
    tl_peers *p = c->peers;
    tl_peer_conn *conn = c->dial_conn;
    tl_path_id path = c->dial_path;
    c->dial = TL_DIAL_NONE;
    c->dial_conn = NULL;
    c->dial_path = 0;
    tl_peers_look(p);
    if (conn)
        tl_conn_close(conn, TL_CODE_NONE, "given up");
    else if (path)
        tl_path_drop(p, path, true);
}

/* The session of the attempt stands: QUIC starts at once. */
static void begin_handshake(tl_contact *c)
{
    tl_peers *p = c->peers;
    const tl_env *env = &p->config.env;
    tl_quic_conn *quic;
    tl_err e = tl_quic_dial(p->quic, &c->peer->id, c->dial_path, tl_peers_now(p),
                            env->wall(env->user), &quic);
    if (e) {
        fail_dial(c, e, "too many connections");
        return;
    }
    c->dial_conn = tl_contact_add_conn(c, quic, true);
    if (c->dial_conn)
        c->dial_conn->relayed = c->dial_path;
    else {
        tl_quic_conn_close(quic, TL_CODE_NONE, "out of memory", tl_peers_now(p));
        fail_dial(c, TL_ERR_NOMEM, "out of memory");
        return;
    }
    c->dial = TL_DIAL_HANDSHAKE;
    tl_peers_wake(p);
}

void tl_contact_dial_connected(tl_contact *c, tl_peer_conn *conn)
{
    if (conn == c->dial_conn) {
        c->dial = TL_DIAL_NONE;
        c->dial_conn = NULL;
        c->dial_path = 0;
        return;
    }
    /* The peer's attempt was faster. Ours goes on only if it is the one that would stay: were both
     * sides to give up theirs for the other's, none would be left. */
    bool ours_stays = tl_node_id_cmp(&c->peers->config.identity->id, &c->peer->id) < 0;
    if (c->dial != TL_DIAL_NONE && !ours_stays)
        tl_contact_dial_stop(c);
}

tl_time tl_contact_dial_on_timer(tl_contact *c, tl_time now)
{
    if (c->dial == TL_DIAL_NONE)
        return TL_NEVER;
    if (now < c->dial_deadline)
        return c->dial_deadline;
    static const char *const why[] = {
        [TL_DIAL_RELAY] = "the relay cannot be reached",
        [TL_DIAL_OPENING] = "the peer did not answer through the relay",
        [TL_DIAL_HANDSHAKE] = "the peer did not finish the handshake",
    };
    fail_dial(c, TL_ERR_TIMEOUT, why[c->dial]);
    return TL_NEVER;
}

/* --- finding a lost path again --- */

static void outage(tl_peer_conn *conn)
{
    tl_conn_close(conn, TL_CODE_OUTAGE, "the connection through the relay was lost");
}

/* The client asks for another session; the server waits to be found. */
static void try_reopen(tl_peer_conn *conn)
{
    tl_peers *p = conn->peers;
    tl_time now = tl_peers_now(p);
    conn->reopen_at = TL_NEVER;
    if (!conn->client || conn->reopening || conn->relayed || conn->closing)
        return;
    if (!tl_relay_link_is_registered(p->config.link)) {
        (void)p->events.on_relay_wanted(p->user); /* tl_peers_on_registered brings us back */
        return;
    }
    tl_path *path = tl_path_new(p, &conn->contact->peer->id, true);
    if (path && !tl_relay_link_open(p->config.link, &path->peer, path->id)) {
        conn->reopening = path->id;
        return;
    }
    if (path)
        tl_path_drop(p, path->id, false);
    conn->reopen_at = now + conn->reopen_pause;
    conn->reopen_pause *= 2;
    tl_peers_due(p, conn->reopen_at);
}

void tl_conn_want_session(tl_peer_conn *conn)
{
    if (!conn->client || conn->relayed || conn->reopening || conn->reopen_at != TL_NEVER)
        return;
    conn->reopen_pause = TL_REOPEN_FIRST;
    conn->reopen_at = tl_peers_now(conn->peers);
    tl_peers_due(conn->peers, conn->reopen_at);
}

void tl_conn_lost_path(tl_peer_conn *conn)
{
    tl_peers *p = conn->peers;
    if (conn->lost)
        return;
    p->counters.outages++;
    conn->lost = true;
    conn->lost_at = tl_peers_now(p);
    conn->reopen_pause = TL_REOPEN_FIRST;
    conn->reopen_at = conn->lost_at;
    tl_peers_due(p, conn->lost_at);
}

tl_time tl_conn_path_on_timer(tl_peer_conn *conn, tl_time now)
{
    if (!conn->lost) {
        if (now >= conn->reopen_at)
            try_reopen(conn);
        return conn->reopen_at;
    }
    if (now >= conn->lost_at + TL_PEERS_OUTAGE_MAX) {
        conn->lost = false; /* on_closed follows */
        outage(conn);
        return TL_NEVER;
    }
    if (now >= conn->reopen_at)
        try_reopen(conn);
    return tl_time_min(conn->reopen_at, conn->lost_at + TL_PEERS_OUTAGE_MAX);
}

/* A new session for a connection that lost its own: QUIC moves over. */
static void move_over(tl_peer_conn *conn, tl_path_id path)
{
    tl_peers *p = conn->peers;
    tl_path_id old = tl_quic_conn_path(conn->quic);
    conn->reopening = 0;
    conn->relayed_rtt = 0;
    if (!conn->lost && tl_conn_via(conn) != TL_VIA_RELAYED) {
        conn->relayed = path; /* only to be kept warm */
        return;
    }
    if (tl_quic_conn_migrate(conn->quic, path, tl_peers_now(p))) {
        tl_path_drop(p, path, true);
        conn->reopen_at = tl_peers_now(p) + conn->reopen_pause;
        conn->reopen_pause *= 2;
        tl_peers_due(p, conn->reopen_at);
        return;
    }
    tl_path_drop(p, old, false);
    conn->relayed = path;
    conn->lost = false;
    p->counters.recovered++;
    tl_control_probe(conn, TL_PROBE_NEW_PATH);
    tl_conn_path_is(conn);
    tl_peers_wake(p);
}

/* --- the link's events --- */

void tl_peers_on_registered(tl_peers *p)
{
    tl_contact *c;
    tl_peer_conn *conn;
    DL_FOREACH (p->contacts, c) {
        if (c->dial == TL_DIAL_RELAY)
            open_session(c);
        DL_FOREACH (c->conns, conn)
            if (conn->lost || (conn->connected && conn->reopen_at != TL_NEVER))
                try_reopen(conn);
    }
    tl_peers_wake(p);
}

void tl_peers_on_ready(tl_peers *p, tl_path_id id)
{
    tl_path *path = tl_path_find(p, id);
    if (!path)
        return;
    path->open = true;
    const tl_peer *peer = tl_peer_table_find(p->config.table, &path->peer);
    tl_contact *c = peer ? peer->contact : NULL;
    tl_peer_conn *conn = conn_of_path(p, path);
    if (c && c->dial == TL_DIAL_OPENING && c->dial_path == id)
        begin_handshake(c);
    else if (conn && conn->reopening == id)
        move_over(conn, id);
    else
        tl_path_drop(p, id, true);
}

void tl_peers_on_ended(tl_peers *p, tl_path_id id, const char *why)
{
    tl_path *path = tl_path_find(p, id);
    if (!path)
        return;
    const tl_peer *peer = tl_peer_table_find(p->config.table, &path->peer);
    tl_contact *c = peer ? peer->contact : NULL;
    tl_peer_conn *conn = conn_of_path(p, path);
    bool dialling = c && c->dial_path == id;
    tl_path_drop(p, id, false);
    if (dialling && c->dial == TL_DIAL_OPENING) {
        c->dial_path = 0;
        if (tl_relay_link_is_registered(p->config.link))
            fail_dial(c, TL_ERR_UNREACHABLE, why);
        else
            c->dial = TL_DIAL_RELAY; /* until its deadline the relay may come back */
    } else if (conn && conn->reopening == id) {
        conn->reopening = 0;
        conn->reopen_at = tl_peers_now(p) + conn->reopen_pause;
        conn->reopen_pause *= 2;
        tl_peers_due(p, conn->reopen_at);
    } else if (conn && conn->connected) {
        if (conn->relayed == id)
            conn->relayed = 0;
        if (tl_quic_conn_path(conn->quic) != id)
            tl_conn_want_session(conn); /* the warm one, that is */
        else if (tl_conn_choose(conn, tl_peers_now(p)), tl_quic_conn_path(conn->quic) == id)
            tl_conn_lost_path(conn);
    }
    tl_peers_wake(p);
}
