/* Path ids: one table of all ways, both sessions at the relay and direct ways. */
#include "peer/state.h"

#include <assert.h>
#include <stdlib.h>

tl_path *tl_path_find(const tl_peers *p, tl_path_id id)
{
    tl_path *path;
    HASH_FIND(hh, p->paths, &id, sizeof id, path);
    return path;
}

static bool is_session(tl_path_kind kind)
{
    return kind == TL_PATH_SESSION || kind == TL_PATH_LENT;
}

/* An id is given out again only after 2^32 others, and never while a connection that stands names
 * it: the id's entry stays until then. Handshakes and closed connections may name an id without an
 * entry, but they are over in seconds. */
static tl_path_id next_id(tl_peers *p)
{
    tl_path_id id;
    do
        id = p->next_path++;
    while (id == 0 || tl_path_find(p, id));
    return id;
}

tl_path *tl_path_new(tl_peers *p, tl_path_kind kind, const tl_node_id *peer, bool ours)
{
    tl_path *path = calloc(1, sizeof *path);
    if (!path)
        return NULL;
    *path = (tl_path){.id = next_id(p),
                      .kind = kind,
                      .state = ours ? TL_PATH_OPENING : TL_PATH_OPEN,
                      .peer = *peer,
                      .ours = ours,
                      .made = tl_peers_now(p)};
    if (!TL_TABLE_ADD(hh, p->paths, id, sizeof path->id, path)) {
        free(path);
        return NULL;
    }
    p->n_sessions += is_session(kind);
    return path;
}

static void path_free(tl_peers *p, tl_path *path)
{
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what was freed left its list */
    HASH_DEL(p->paths, path);
    free(path);
}

void tl_paths_free(tl_peers *p)
{
    tl_path *path, *next;
    HASH_ITER (hh, p->paths, path, next)
        path_free(p, path);
}

tl_peer_conn *tl_conn_of_path(const tl_peers *p, const tl_path *path)
{
    const tl_contact *c = tl_contact_find(p, &path->peer);
    tl_peer_conn *conn;
    if (!c)
        return NULL;
    DL_FOREACH (c->conns, conn)
        if (conn->outage.asked == path->id || conn->relayed == path->id ||
            conn->outage.old == path->id || tl_quic_conn_path(conn->quic) == path->id)
            return conn;
    return NULL;
}

void tl_path_opened(tl_path *path)
{
    if (path->state == TL_PATH_OPENING)
        path->state = TL_PATH_OPEN;
}

void tl_path_end(tl_peers *p, tl_path *path)
{
    assert(path->state != TL_PATH_GONE);
    path->state = TL_PATH_GONE;
    p->n_sessions -= is_session(path->kind);
    p->sweep = true;
}

void tl_path_drop(tl_peers *p, tl_path_id id, bool tell)
{
    tl_path *path = tl_path_find(p, id);
    if (!path || path->state == TL_PATH_GONE)
        return;
    assert(is_session(path->kind));
    tl_udp_end(p, path);
    if (tell)
        tl_relays_close(p->config.relays, id);
    tl_path_end(p, path);
}

/* Is the path needed? A session that a peer opened counts as needed until a connection came over
 * it: tl_paths_on_timer ends it otherwise. A direct way and a session that is lent are needed until
 * their owners say that they are gone, and a way by UDP until its session is. */
static bool is_needed(const tl_peers *p, const tl_path *path)
{
    const tl_contact *c = tl_contact_find(p, &path->peer);
    if (path->kind != TL_PATH_SESSION || (!path->ours && !path->used))
        return true;
    return tl_conn_of_path(p, path) || (c && c->dial_path == path->id);
}

void tl_paths_sweep(tl_peers *p)
{
    tl_path *path, *next;
    if (!p->sweep)
        return;
    HASH_ITER (hh, p->paths, path, next) {
        if (path->state != TL_PATH_GONE && !is_needed(p, path))
            tl_path_drop(p, path->id, true);
        if (path->state == TL_PATH_GONE && !tl_conn_of_path(p, path))
            path_free(p, path);
    }
    p->sweep = false; /* set again when a connection leaves its path */
}

/* --- direct ways --- */

tl_path_id tl_peers_new_path(tl_peers *p, const tl_node_id *peer)
{
    const tl_path *path = tl_path_new(p, TL_PATH_DIRECT, peer, false);
    return path ? path->id : 0;
}

void tl_peers_free_path(tl_peers *p, tl_path_id id)
{
    tl_path *path = tl_path_find(p, id);
    if (!path || path->state == TL_PATH_GONE)
        return;
    assert(path->kind == TL_PATH_DIRECT);
    tl_path_end(p, path);
    tl_peers_wake(p);
}

/* --- sessions for others than QUIC --- */

bool tl_peers_lend(tl_peers *p, tl_path_id id, tl_node_id *ret_peer)
{
    tl_path *path = tl_path_find(p, id);
    if (!path || path->kind != TL_PATH_SESSION || path->state != TL_PATH_OPEN || path->ours ||
        path->used || tl_conn_of_path(p, path))
        return false;
    tl_udp_end(p, path); /* the old protocol knows no tokens */
    path->kind = TL_PATH_LENT;
    *ret_peer = path->peer;
    return true;
}

tl_err tl_peers_lend_new(tl_peers *p, const tl_node_id *peer, tl_path_id *ret_path)
{
    if (!tl_relays_is_registered(p->config.relays))
        return TL_ERR_CLOSED;
    if (p->goodbye || p->n_sessions >= TL_RELAY_SESSIONS_MAX)
        return TL_ERR_BUSY;
    const tl_path *path = tl_path_new(p, TL_PATH_LENT, peer, true);
    if (!path)
        return TL_ERR_NOMEM;
    tl_err e = tl_relays_open_at_relay(p->config.relays, peer, path->id);
    if (e)
        tl_path_drop(p, path->id, false);
    else
        *ret_path = path->id;
    return e;
}

bool tl_peers_is_lent(const tl_peers *p, tl_path_id id)
{
    const tl_path *path = tl_path_find(p, id);
    return path && path->kind == TL_PATH_LENT && path->state != TL_PATH_GONE;
}

void tl_peers_end_lent(tl_peers *p, tl_path_id id)
{
    if (tl_peers_is_lent(p, id))
        tl_path_drop(p, id, true);
    tl_peers_wake(p);
}

/* --- sessions that peers open --- */

static bool waits(const tl_path *path)
{
    return path->kind == TL_PATH_SESSION && path->state != TL_PATH_GONE && !path->ours &&
           !path->used;
}

/* Does `a` make room before `b`? NULL: there is none. */
static bool goes_before(const tl_path *a, const tl_path *b)
{
    if (!b || a->known != b->known)
        return !b || b->known;
    return a->nth > b->nth; /* `b` is the older one */
}

/* False: there is no room for the newcomer, which has no place in the table yet. */
static bool make_room(tl_peers *p, tl_path *newcomer)
{
    size_t waiting = 0, of_peer = 0;
    tl_path *path, *next, *first = NULL;
    HASH_ITER (hh, p->paths, path, next) {
        if (!is_session(path->kind) || path->state == TL_PATH_GONE)
            continue;
        bool theirs = tl_node_id_eq(&path->peer, &newcomer->peer);
        of_peer += theirs;
        waiting += waits(path);
        newcomer->nth += theirs && waits(path);
    }
    if (of_peer >= TL_PATHS_OF_PEER_MAX)
        return false;
    if (waiting < TL_PATHS_WAITING_MAX)
        return true;
    HASH_ITER (hh, p->paths, path, next)
        if (waits(path) && goes_before(path, first))
            first = path;
    if (goes_before(newcomer, first))
        return false;
    tl_path_drop(p, first->id, true);
    return true;
}

/* The client of a direct connection keeps a session at the relay, over which nothing comes while
 * the direct way works. So the server must not close that session for being unused. The latest
 * session is the one: the client may have lost earlier ones. */
static void keep_warm(tl_peers *p, tl_path *path)
{
    const tl_contact *c = tl_contact_find(p, &path->peer);
    tl_peer_conn *conn = c ? tl_contact_best(c) : NULL;
    if (!conn || conn->client || !tl_conn_is_direct(conn))
        return;
    tl_path *before = conn->relayed ? tl_path_find(p, conn->relayed) : NULL;
    if (before)
        before->used = false;
    path->used = true;
    conn->relayed = path->id;
}

tl_path_id tl_peers_on_asked(tl_peers *p, const tl_node_id *from)
{
    tl_path newcomer = {.peer = *from, .known = tl_peers_knows(p, from)};
    if (p->goodbye || !make_room(p, &newcomer) || p->n_sessions >= TL_RELAY_SESSIONS_MAX)
        return 0;
    tl_path *path = tl_path_new(p, TL_PATH_SESSION, from, false);
    if (!path)
        return 0;
    path->known = newcomer.known;
    path->nth = newcomer.nth;
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
        if (path->kind != TL_PATH_SESSION || path->state != TL_PATH_OPEN || path->ours ||
            path->used)
            continue;
        if (now >= path->made + TL_PATH_UNUSED_MAX)
            tl_path_drop(p, path->id, true);
        else
            due = tl_time_min(due, path->made + TL_PATH_UNUSED_MAX);
    }
    return due;
}

/* --- what carries a connection --- */

tl_path *tl_conn_path(const tl_peer_conn *conn)
{
    return tl_path_find(conn->peers, tl_quic_conn_path(conn->quic));
}

bool tl_conn_is_direct(const tl_peer_conn *conn)
{
    const tl_path *path = tl_conn_path(conn);
    return path && path->kind == TL_PATH_DIRECT;
}

tl_udp_way *tl_conn_udp_way(const tl_peer_conn *conn)
{
    const tl_path *path = tl_conn_path(conn);
    return path && path->kind == TL_PATH_RELAY_UDP ? path->udp : NULL;
}

tl_via tl_conn_via(const tl_peer_conn *conn)
{
    tl_direct_way way;
    if (!tl_conn_is_direct(conn))
        return TL_VIA_RELAYED;
    bool found = tl_direct_way_of(conn->peers->config.direct, tl_quic_conn_path(conn->quic), &way);
    return found && way.lan ? TL_VIA_LAN : TL_VIA_DIRECT;
}
