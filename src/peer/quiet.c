/* A relay that stops carrying datagrams without telling: it hangs, or a network between it and one of the
 * two nodes is gone. The client of the connection notices, and asks another relay for a session. Each
 * side's owner is asked whether its own connection to the relay lives (on_relay_doubted).
 *
 *   A relay that falls silent under a question is doubted, and another one asked for a session, at most
 *   (TL_QUIET_LOOKS + 1) * TL_QUIET_EVERY and one round trip after its last packet. */
#include "peer/state.h"

#define TL_QUIET_EVERY                                                                             \
    (500 * TL_MS)        /* between two looks, and two packets that the peer is asked for */
#define TL_QUIET_LOOKS 3 /* without a packet, and as many more as fit into a round trip */

/* Is there a question, a relay that carries it, and another relay? */
static bool is_wanted(const tl_peer_conn *conn)
{
    return conn->client && conn->connected && !conn->closing && conn->streams && conn->relayed &&
           !tl_conn_is_lost(conn) && !tl_conn_is_direct(conn) && !conn->outage.replaces &&
           tl_relays_has_other(conn->peers->config.relays, &conn->contact->peer->id, conn->relayed,
                               false);
}

static void look_again(tl_peer_conn *conn, tl_time now)
{
    conn->quiet.look_at = now + TL_QUIET_EVERY;
    tl_quic_conn_set_keepalive(conn->quic, TL_QUIET_EVERY);
    tl_peers_due(conn->peers, conn->quiet.look_at);
}

void tl_quiet_begin(tl_peer_conn *conn)
{
    if (conn->quiet.look_at != TL_NEVER || !is_wanted(conn))
        return;
    conn->quiet.heard = tl_quic_conn_heard(conn->quic);
    conn->quiet.looks = 0;
    look_again(conn, tl_peers_now(conn->peers));
}

static void on_quiet(tl_peer_conn *conn)
{
    tl_peers *p = conn->peers;
    size_t relay;
    if (p->events.on_relay_doubted && tl_relays_of(p->config.relays, conn->relayed, &relay))
        p->events.on_relay_doubted(p->user, relay);
    tl_outage_replace_session(conn);
}

tl_time tl_quiet_on_timer(tl_peer_conn *conn, tl_time now)
{
    tl_quiet *q = &conn->quiet;
    if (now < q->look_at)
        return q->look_at;
    q->look_at = TL_NEVER;
    if (!is_wanted(conn)) {
        tl_quic_conn_set_keepalive(conn->quic, conn->streams ? TL_WATCH_EVERY : 0);
        return TL_NEVER;
    }
    uint64_t heard = tl_quic_conn_heard(conn->quic);
    q->looks = heard == q->heard ? q->looks + 1 : 0;
    q->heard = heard;
    look_again(conn, now);
    if (q->looks >= TL_QUIET_LOOKS + tl_quic_conn_rtt(conn->quic) / TL_QUIET_EVERY) {
        q->looks = 0;
        on_quiet(conn);
    }
    return q->look_at;
}
