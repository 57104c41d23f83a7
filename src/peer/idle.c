/* Which idle connections end: those of no use, and the coldest of too many. */
#include "peer/state.h"

void tl_idle_begin(tl_peer_conn *conn)
{
    tl_peers *p = conn->peers;
    conn->judge_at = p->events.keeps ? tl_peers_now(p) + TL_PEERS_IDLE_MAX : TL_NEVER;
    tl_peers_due(p, conn->judge_at);
}

void tl_idle_judge(tl_peer_conn *conn, tl_time now)
{
    const tl_peers *p = conn->peers;
    bool idle = !conn->streams && !conn->contact->wishes && !conn->closing &&
                now - conn->idle_since >= TL_PEERS_IDLE_MAX;
    if (idle && !p->events.keeps(p->user, &conn->contact->peer->id))
        tl_conn_close(conn, TL_CODE_GOODBYE, "idle, and neither side may ask the other");
    tl_idle_begin(conn);
}

size_t tl_peers_warm(const tl_peers *p)
{
    size_t n = 0;
    const tl_contact *c;
    const tl_peer_conn *conn;
    DL_FOREACH (p->contacts, c)
        DL_FOREACH (c->conns, conn)
            n += conn->connected && conn->client && !conn->closing && !conn->retiring;
    return n;
}

void tl_idle_close_cold(tl_peers *p)
{
    size_t idle = 0;
    tl_peer_conn *coldest = NULL, *conn;
    tl_contact *c;
    DL_FOREACH (p->contacts, c)
        DL_FOREACH (c->conns, conn)
            if (conn->connected && conn->client && !conn->closing && !conn->retiring &&
                !conn->streams && !c->wishes) {
                idle++;
                if (!coldest || conn->idle_since < coldest->idle_since)
                    coldest = conn;
            }
    if (idle > TL_PEERS_WARM_MAX)
        tl_conn_close(coldest, TL_CODE_GOODBYE, "idle");
}
