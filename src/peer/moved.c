/* What a change of our network asks of the connections: which stood, which carry again, and which
 * are made anew (peer/reconnect drives this). */
#include "peer/state.h"

void tl_peers_on_moved(tl_peers *p)
{
    tl_contact *c;
    tl_peer_conn *conn;
    tl_udp_on_moved(p);
    if (p->relayers) {
        tl_relayers_on_moved(p->relayers);
        tl_introducers_on_moved(p->introducers);
    }
    DL_FOREACH (p->contacts, c)
        DL_FOREACH (c->conns, conn)
            if (conn->connected && conn->client)
                tl_control_probe(conn, TL_PROBE_STALE);
    tl_peers_wake(p);
}

/* --- what stood --- */

static bool mark(const tl_contact *c, tl_peers_mark *ret)
{
    const tl_peer_conn *conn = tl_contact_best(c);
    if (!conn || conn->closing)
        return false;
    *ret = (tl_peers_mark){.peer = c->peer->id,
                           .streams = conn->streams,
                           .asked = conn->asked,
                           .dialled = conn->client,
                           .connected_at = conn->connected_at,
                           .heard = tl_quic_conn_heard(conn->quic)};
    return true;
}

void tl_peers_mark_each(const tl_peers *p, void (*on_mark)(void *user, const tl_peers_mark *mark),
                        void *user)
{
    const tl_contact *c;
    tl_peers_mark m;
    DL_FOREACH (p->contacts, c)
        if (mark(c, &m))
            on_mark(user, &m);
}

bool tl_peers_mark_of(const tl_peers *p, const tl_node_id *peer, tl_peers_mark *ret_mark)
{
    const tl_contact *c = tl_contact_find(p, peer);
    return c && mark(c, ret_mark);
}

bool tl_peers_heard_since(const tl_peers *p, const tl_peers_mark *m)
{
    const tl_contact *c = tl_contact_find(p, &m->peer);
    const tl_peer_conn *conn;
    if (!c)
        return false;
    DL_FOREACH (c->conns, conn)
        if (conn->connected && !conn->closing &&
            (conn->connected_at > m->connected_at ||
             (conn->connected_at == m->connected_at && tl_quic_conn_heard(conn->quic) > m->heard)))
            return true;
    return false;
}

void tl_peers_call(tl_peers *p, const tl_node_id *peer)
{
    const tl_contact *c = tl_contact_find(p, peer);
    tl_peer_conn *conn = c ? tl_contact_best(c) : NULL;
    if (!conn || !conn->control || conn->closing)
        return;
    tl_control_beat(conn, NULL);
    tl_peers_wake(p);
}

/* --- what was lost --- */

/* Does the one make room before the other? An empty place first, then of those that dialled us the oldest. */
static bool goes_before(const tl_peers_lost_one *a, const tl_peers_lost_one *b)
{
    if (!a->at || !b->at)
        return !a->at && b->at;
    return a->dialled != b->dialled ? b->dialled : a->at < b->at;
}

void tl_peers_note_lost(tl_peers *p, const tl_node_id *peer, bool dialled)
{
    tl_peers_lost_one *place = &p->lost[0];
    for (size_t i = 0; i < TL_PEERS_LOST_MAX; i++) {
        tl_peers_lost_one *l = &p->lost[i];
        if (l->at && tl_node_id_eq(&l->peer, peer)) {
            place = l;
            break;
        }
        if (goes_before(l, place))
            place = l;
    }
    *place = (tl_peers_lost_one){*peer, dialled, tl_peers_now(p)};
}

size_t tl_peers_lost(const tl_peers *p, tl_peers_mark ret_marks[TL_PEERS_LOST_MAX])
{
    size_t n = 0;
    for (size_t i = 0; i < TL_PEERS_LOST_MAX; i++) {
        const tl_peers_lost_one *l = &p->lost[i];
        const tl_contact *c = l->at ? tl_contact_find(p, &l->peer) : NULL;
        if (l->at && tl_peers_now(p) - l->at < TL_PEERS_LOST_FOR && !(c && tl_contact_best(c)))
            ret_marks[n++] = (tl_peers_mark){.peer = l->peer, .dialled = l->dialled};
    }
    return n;
}

/* --- anew --- */

/* The answers live as long as the connection: every way there may be is asked for, now. */
static void find_a_way(tl_peer_conn *conn)
{
    tl_outage_begin_if_stranded(conn);
    tl_outage_want_session(conn);
    tl_conn_note(conn, TL_TASK_CHOOSE);
}

void tl_peers_renew(tl_peers *p, const tl_node_id *peer)
{
    tl_contact *c = tl_contact_find(p, peer);
    tl_peer *known = tl_peer_table_find(p->config.table, peer);
    tl_peer_conn *conn;
    if (known)
        known->unusable_until = 0;
    if (c)
        DL_FOREACH (c->conns, conn) {
            if (!conn->connected || conn->closing)
                continue;
            if (conn->streams)
                find_a_way(conn);
            else
                tl_conn_close(
                    conn, TL_CODE_OUTAGE,
                    "our network changed, and nothing passes on this connection any more");
        }
    if (p->config.direct)
        tl_direct_again(p->config.direct, peer);
    tl_peers_look(p);
}
