/* Which way a connection goes: at its client, the choice among the relay and the direct ways; at
 * both ends, what follows from it. */
#include "peer/state.h"

#include "base/log.h"
#include "path/choice.h"

#define AGAIN_AFTER (20 * TL_MS) /* no spare connection ID was there: a round trip brings one */

/* Checks say that a way's small STUN packets pass. Whether QUIC's do (some networks drop what they
 * do not know), QUIC must say: after a switch, and while questions are under way. */
#define PROOF_EVERY (400 * TL_MS) /* such a look; the peer is asked for a sign of life as often */
#define PROOF_QUIET 3             /* looks in vain, and a round trip more: it carries nothing */
#define PROOF_AFTER (2 * TL_SEC)  /* of a switch, also without questions */

static bool is_relayed(const tl_peer_conn *conn)
{
    return tl_path_find(conn->peers, tl_quic_conn_path(conn->quic)) != NULL;
}

tl_via tl_conn_via(const tl_peer_conn *conn)
{
    tl_direct_way way;
    const tl_peers *p = conn->peers;
    if (!p->config.direct ||
        !tl_direct_way_of(p->config.direct, tl_quic_conn_path(conn->quic), &way))
        return TL_VIA_RELAYED;
    return way.lan ? TL_VIA_LAN : TL_VIA_DIRECT;
}

static void prove(tl_peer_conn *conn, bool wanted)
{
    if (!conn->peers->config.direct || !wanted || !conn->client || conn->proof_at != TL_NEVER ||
        is_relayed(conn))
        return;
    conn->proof_heard = tl_quic_conn_heard_here(conn->quic);
    conn->proof_quiet = 0;
    conn->proof_at = tl_peers_now(conn->peers) + PROOF_EVERY;
    tl_quic_conn_set_keepalive(conn->quic, PROOF_EVERY);
    tl_peers_due(conn->peers, conn->proof_at);
}

void tl_conn_path_is(tl_peer_conn *conn)
{
    tl_peers *p = conn->peers;
    tl_path_id id = tl_quic_conn_path(conn->quic);
    tl_path *path = tl_path_find(p, id);
    if (path) { /* not dropped to make room for a stranger's */
        path->used = true;
        conn->relayed = id;
        conn->relayed_since = tl_peers_now(p);
    }
    if (!conn->connected)
        return;
    bool best = tl_contact_best(conn->contact) == conn;
    bool active = conn->streams > 0;
    if (p->config.direct && best && (id != conn->path || active != conn->was_active))
        tl_direct_using(p->config.direct, &conn->contact->peer->id, id, active);
    conn->was_active = active;
    prove(conn, active || id != conn->path);
    if (id == conn->path)
        return;
    bool first = conn->path == 0;
    conn->path = id;
    conn->path_since = tl_peers_now(p);
    if (first)
        return;
    p->events.on_path(p->user, conn->contact->peer);
}

static size_t list_ways(tl_peer_conn *conn, tl_way *ret_ways)
{
    tl_peers *p = conn->peers;
    tl_direct_way direct[TL_DIRECT_WAYS_MAX];
    size_t n = 0, count = tl_direct_ways(p->config.direct, &conn->contact->peer->id, direct);
    const tl_path *session = conn->relayed ? tl_path_find(p, conn->relayed) : NULL;
    if (is_relayed(conn))
        conn->relayed_rtt = tl_quic_conn_rtt(conn->quic);
    if (session && session->open && tl_relay_link_is_registered(p->config.link))
        ret_ways[n++] = (tl_way){.id = session->id,
                                 .kind = TL_WAY_RELAYED,
                                 .usable = true,
                                 .rtt = conn->relayed_rtt,
                                 .usable_since = conn->relayed_since};
    for (size_t i = 0; i < count; i++)
        ret_ways[n++] = (tl_way){.id = direct[i].path,
                                 .kind = direct[i].lan ? TL_WAY_LAN : TL_WAY_DIRECT,
                                 .usable = true,
                                 .rtt = direct[i].rtt,
                                 .usable_since = direct[i].since,
                                 .losses = direct[i].losses};
    for (size_t i = 0; i < n && n > 1; i++)
        ret_ways[i].usable = ret_ways[i].id != conn->barren;
    return n;
}

static void count_move(tl_peers *p, bool from_relay, bool to_relay)
{
    if (from_relay && !to_relay)
        p->counters.upgrades++;
    else if (!from_relay && to_relay)
        p->counters.fallbacks++;
    else
        p->counters.switches++;
}

tl_time tl_conn_choose(tl_peer_conn *conn, tl_time now)
{
    tl_peers *p = conn->peers;
    tl_way ways[TL_DIRECT_WAYS_MAX + 1];
    conn->choose_at = TL_NEVER;
    if (!p->config.direct || !conn->client || !conn->connected || conn->closing)
        return TL_NEVER;
    size_t n = list_ways(conn, ways);
    tl_path_id present = tl_quic_conn_path(conn->quic);
    tl_choice_state state = {present, conn->switched_at, 2 * tl_quic_conn_rtt(conn->quic)};
    tl_choice choice = tl_choose(ways, n, &state, now);
    conn->choose_at = choice.again_at;
    if (choice.id == 0) { /* it had a direct way, and that is gone */
        if (!is_relayed(conn))
            tl_conn_lost_path(conn);
        return conn->choose_at;
    }
    conn->chosen = choice.why;
    if (choice.id == present)
        return conn->choose_at;
    bool was_relayed = is_relayed(conn);
    if (tl_quic_conn_migrate(conn->quic, choice.id, now)) {
        conn->choose_at = now + AGAIN_AFTER;
        tl_peers_due(p, conn->choose_at);
        return conn->choose_at;
    }
    conn->switched_at = now;
    conn->barren = 0;
    count_move(p, was_relayed, is_relayed(conn));
    if (conn->lost) {
        conn->lost = false;
        p->counters.recovered++;
    }
    tl_conn_path_is(conn);
    tl_conn_want_session(conn);
    tl_peers_wake(p);
    return conn->choose_at;
}

/* Looks are counted, not time: a process that was stopped for long hears before it judges. */
static tl_time look_for_proof(tl_peer_conn *conn, tl_time now)
{
    tl_direct_way way;
    if (now < conn->proof_at)
        return conn->proof_at;
    conn->proof_at = TL_NEVER;
    if (conn->closing || (!conn->streams && now >= conn->switched_at + PROOF_AFTER) ||
        !tl_direct_way_of(conn->peers->config.direct, tl_quic_conn_path(conn->quic), &way)) {
        tl_quic_conn_set_keepalive(conn->quic, conn->streams ? TL_WATCH_EVERY : 0);
        return TL_NEVER;
    }
    uint64_t heard = tl_quic_conn_heard_here(conn->quic);
    bool stuck = heard == conn->proof_heard || tl_quic_conn_timeouts(conn->quic) >= PROOF_QUIET;
    conn->proof_quiet = stuck ? conn->proof_quiet + 1 : 0;
    if (!stuck)
        conn->barren = 0;
    conn->proof_heard = heard;
    conn->proof_at = now + PROOF_EVERY;
    tl_quic_conn_set_keepalive(conn->quic, PROOF_EVERY);
    if (conn->proof_quiet >= PROOF_QUIET + way.rtt / PROOF_EVERY) {
        conn->proof_quiet = 0;
        conn->barren = way.path;
        tl_direct_on_barren(conn->peers->config.direct, way.path);
        conn->choose_at = now;
    }
    return conn->proof_at;
}

tl_time tl_conn_ways_on_timer(tl_peer_conn *conn, tl_time now)
{
    tl_time proof_at = look_for_proof(conn, now);
    return tl_time_min(proof_at,
                       now >= conn->choose_at ? tl_conn_choose(conn, now) : conn->choose_at);
}

void tl_peers_on_ways(tl_peers *p, const tl_node_id *id)
{
    const tl_peer *peer = tl_peer_table_find(p->config.table, id);
    tl_peer_conn *conn;
    if (!peer || !peer->contact)
        return;
    DL_FOREACH (peer->contact->conns, conn) {
        conn->choose_at = tl_peers_now(p);
        tl_peers_due(p, tl_conn_choose(conn, tl_peers_now(p)));
    }
    tl_peers_wake(p);
}

void tl_peers_on_moved(tl_peers *p)
{
    tl_contact *c;
    tl_peer_conn *conn;
    DL_FOREACH (p->contacts, c)
        DL_FOREACH (c->conns, conn)
            if (conn->connected && conn->client)
                tl_control_probe(conn, TL_PROBE_STALE);
    tl_peers_wake(p);
}

tl_path_id tl_peers_new_path(tl_peers *p)
{
    tl_path_id id;
    do
        id = p->next_path++;
    while (id == 0 || tl_path_find(p, id));
    return id;
}

bool tl_peers_deals_with(const tl_peers *p, const tl_node_id *id)
{
    const tl_peer *peer = tl_peer_table_find(p->config.table, id);
    return peer && peer->contact;
}

void tl_peers_on_train(tl_peers *p, tl_sock sock, const tl_addr *from, uint8_t *data, size_t n,
                       size_t segment)
{
    const tl_env *env = &p->config.env;
    tl_time now = tl_peers_now(p);
    if (!p->config.direct || segment == 0)
        return;
    for (size_t at = 0; at < n; at += segment) {
        size_t len = n - at < segment ? n - at : segment;
        bool client;
        tl_path_id known = tl_quic_path_of(p->quic, tl_slice_of(data + at, len), &client);
        tl_path_id path = tl_direct_path_of(p->config.direct, sock, from, known, client);
        if (path)
            tl_quic_on_datagram(p->quic, path, data + at, len, now, env->wall(env->user));
    }
    tl_peers_wake(p);
}
