/* The way of a connection. Its client chooses among the relay and the direct ways. Both ends do
 * what follows from the choice. */
#include "peer/state.h"

#define AGAIN_AFTER (20 * TL_MS) /* no connection ID was left: the peer sends one in a round trip */
#define PROOF_AFTER (2 * TL_SEC) /* so long a new way is proven even without questions */
#define LOOK_AFTER  (2 * TL_SEC) /* by then a new way was measured three times */
#define BARREN_MAX                                                                                 \
    2 /* 2.4 s: a network that drops the first packets of a new way is no new process */

/* The round trip of a way that is asked by checks: a direct one, or the relay's UDP. False: the path is
 * none, or leads nowhere any more. */
static bool asked_rtt(const tl_peer_conn *conn, tl_time *ret_rtt)
{
    tl_direct_way way;
    tl_way udp;
    const tl_udp_way *w = tl_conn_udp_way(conn);
    if (w) {
        bool stands = tl_udp_measured(w, &udp);
        *ret_rtt = stands ? udp.rtt : 0;
        return stands;
    }
    bool found = tl_conn_is_direct(conn) &&
                 tl_direct_way_of(conn->peers->config.direct, tl_quic_conn_path(conn->quic), &way);
    *ret_rtt = found ? way.rtt : 0;
    return found;
}

/* Begins to prove that the way carries QUIC, too. Only the client does: only it can leave a way. */
static void prove(tl_peer_conn *conn)
{
    tl_time rtt;
    if (!conn->client || !asked_rtt(conn, &rtt) || conn->proof.state != TL_PROOF_RESTING)
        return;
    tl_proof_begin(&conn->proof, tl_quic_conn_heard_here(conn->quic), tl_peers_now(conn->peers));
    tl_quic_conn_set_keepalive(conn->quic, TL_PROOF_EVERY);
    tl_peers_due(conn->peers, tl_proof_expiry(&conn->proof));
}

static void use_session(tl_peer_conn *conn, tl_path *path)
{
    path->used = true; /* make_room does not drop it for a stranger's session */
    if (conn->relayed != path->id || conn->path != path->id)
        conn->relayed_since = tl_peers_now(conn->peers);
    conn->relayed = path->id;
}

void tl_ways_use(tl_peer_conn *conn)
{
    tl_peers *p = conn->peers;
    tl_path *path = tl_conn_path(conn);
    tl_udp_way *w = tl_conn_udp_way(conn);
    if (w)
        path = tl_path_find(p, w->session);
    if (path && path->kind == TL_PATH_SESSION && path->state == TL_PATH_OPEN)
        use_session(conn, path);
    if (!conn->connected)
        return;
    tl_path_id id = tl_quic_conn_path(conn->quic);
    bool best = tl_contact_best(conn->contact) == conn, active = conn->streams > 0;
    if (p->config.direct && best && (id != conn->path || active != conn->was_active))
        tl_direct_using(p->config.direct, &conn->contact->peer->id, id, active);
    conn->was_active = active;
    tl_udp_follow(conn);
    if (active || id != conn->path)
        prove(conn);
    if (id == conn->path)
        return;
    const tl_path *left = tl_path_find(p, conn->path);
    tl_path *to = tl_conn_path(conn);
    bool first = conn->path == 0;
    bool within = left && to && left->udp && left->udp == to->udp; /* of one relay session */
    conn->path = id;
    conn->path_since = tl_peers_now(p);
    p->sweep = true; /* the path it left may not be needed any more */
    if (to && !first && !conn->client)
        to->text_until = conn->path_since + TL_UDP_TEXT_FOR; /* as in move() */
    if (!first && !within)
        p->events.on_path(p->user, conn->contact->peer);
}

bool tl_ways_stands(const tl_peer_conn *conn)
{
    tl_direct_way direct[TL_DIRECT_WAYS_MAX];
    const tl_udp_way *w = tl_conn_udp_way(conn);
    if (w && w->state != TL_UDP_STANDS)
        return false;
    if (tl_conn_is_lost(conn) || !tl_conn_is_direct(conn))
        return !tl_conn_is_lost(conn);
    size_t n = tl_direct_ways(conn->peers->config.direct, &conn->contact->peer->id, direct);
    for (size_t i = 0; i < n; i++)
        if (direct[i].path == tl_quic_conn_path(conn->quic))
            return true;
    return false;
}

static size_t list_ways(tl_peer_conn *conn, tl_way *ret_ways)
{
    tl_peers *p = conn->peers;
    tl_path_id present = tl_quic_conn_path(conn->quic);
    tl_direct_way direct[TL_DIRECT_WAYS_MAX];
    size_t n = 0, count = 0;
    if (p->config.direct)
        count = tl_direct_ways(p->config.direct, &conn->contact->peer->id, direct);
    const tl_path *session = conn->relayed ? tl_path_find(p, conn->relayed) : NULL;
    if (conn->relayed && conn->relayed == present) {
        conn->relayed_rtt = tl_quic_conn_rtt(conn->quic);
        tl_relays_measured(p->config.relays, &conn->contact->peer->id, present, conn->relayed_rtt);
    }
    tl_relayer_name node;
    bool by_node = tl_conn_by_node(conn, &node);
    if (session && session->state == TL_PATH_OPEN &&
        (by_node || tl_relays_is_registered(p->config.relays)))
        ret_ways[n++] = (tl_way){.id = session->id,
                                 .kind = by_node ? TL_WAY_RELAYED_UDP : TL_WAY_RELAYED,
                                 .usable = true,
                                 .rtt = conn->relayed_rtt,
                                 .usable_since = conn->relayed_since};
    if (n && session->udp && tl_udp_measured(session->udp, &ret_ways[n]))
        n++;
    for (size_t i = 0; i < count; i++)
        ret_ways[n++] = (tl_way){.id = direct[i].path,
                                 .kind = direct[i].tcp   ? TL_WAY_LAN_TCP
                                         : direct[i].lan ? TL_WAY_LAN
                                                         : TL_WAY_DIRECT,
                                 .usable = true,
                                 .rtt = direct[i].least,
                                 .usable_since = direct[i].since,
                                 .losses = direct[i].losses};
    for (size_t i = 0; i < n && n > 1; i++)
        ret_ways[i].usable = ret_ways[i].id == present
                                 ? conn->proof.state != TL_PROOF_BARREN
                                 : ret_ways[i].kind != TL_WAY_RELAYED_UDP || !session->udp->doubted;
    return n;
}

/* The first round trip of a way often says more of two busy machines than of the way. When to look
 * again at ways that are new; TL_NEVER: there is none, or nothing to choose from. */
static tl_time when_measured(const tl_way *ways, size_t n, tl_time now)
{
    tl_time at = TL_NEVER;
    for (size_t i = 0; i < n && n > 1; i++)
        if (ways[i].kind > TL_WAY_RELAYED_UDP && now < ways[i].usable_since + LOOK_AFTER)
            at = tl_time_min(at, ways[i].usable_since + LOOK_AFTER);
    return at;
}

static void count_move(tl_peers *p, tl_path_kind from, tl_path_kind to)
{
    if (from != TL_PATH_DIRECT && to == TL_PATH_DIRECT)
        p->counters.upgrades++;
    else if (from == TL_PATH_DIRECT && to != TL_PATH_DIRECT)
        p->counters.fallbacks++;
    else if (to == TL_PATH_RELAY_UDP)
        p->counters.udp_upgrades++;
    else if (from == TL_PATH_RELAY_UDP)
        p->counters.udp_fallbacks++;
    else
        p->counters.switches++;
}

static tl_path_kind kind_of(const tl_peer_conn *conn)
{
    const tl_path *path = tl_conn_path(conn);
    return path ? path->kind : TL_PATH_SESSION;
}

static void move(tl_peer_conn *conn, const tl_choice *choice, tl_time now)
{
    tl_peers *p = conn->peers;
    tl_path_kind from = kind_of(conn);
    if (tl_quic_conn_migrate(conn->quic, choice->id, now)) {
        conn->choose_at = now + AGAIN_AFTER;
        return;
    }
    tl_choice_made(&conn->choice, choice, now);
    tl_proof_end(&conn->proof);
    count_move(p, from, kind_of(conn));
    tl_path *path = tl_conn_path(conn);
    path->text_until = now + TL_UDP_TEXT_FOR;
    tl_outage_over(conn);
    tl_conn_note(conn, TL_TASK_USE | TL_TASK_SESSION);
}

void tl_ways_choose(tl_peer_conn *conn, tl_time now)
{
    tl_peers *p = conn->peers;
    tl_way ways[TL_DIRECT_WAYS_MAX + 2];
    conn->choose_at = TL_NEVER;
    if ((!p->config.direct && !p->config.udp) || !conn->client || !conn->connected || conn->closing)
        return;
    size_t n = list_ways(conn, ways);
    tl_path_id present = tl_quic_conn_path(conn->quic);
    conn->choice.present = present;
    conn->choice.pto = 2 * tl_quic_conn_rtt(conn->quic);
    tl_choice choice = tl_choose(ways, n, &conn->choice, now);
    conn->choose_at = tl_time_min(choice.again_at, when_measured(ways, n, now));
    if (choice.id) {
        conn->chosen = choice.why;
        if (choice.id != present)
            move(conn, &choice, now);
    } else if (kind_of(conn) != TL_PATH_SESSION) { /* it had another way, which is gone */
        tl_outage_begin(conn);
    }
    tl_peers_due(p, conn->choose_at);
}

/* The peer answers checks, and nothing of the connection has come since its path was lost: the peer is a new process
 * that does not know the connection. Where a relay may come, its session tells that (TL_PROBE_NEW_PATH). */
static bool is_unknown_there(tl_peer_conn *conn)
{
    tl_direct_way ways[TL_DIRECT_WAYS_MAX];
    tl_outage *o = &conn->outage;
    const tl_peers *p = conn->peers;
    bool silent = o->began && tl_quic_conn_heard(conn->quic) == o->heard;
    bool alone = !conn->relayed && !tl_relays_is_registered(p->config.relays) &&
                 p->events.on_relay_wanted(p->user);
    size_t n = tl_direct_ways(p->config.direct, &conn->contact->peer->id, ways);
    bool stands = false;
    for (size_t i = 0; i < n; i++)
        stands |= ways[i].path == tl_quic_conn_path(conn->quic);
    o->barren = silent && alone && stands ? o->barren + 1 : 0;
    return o->barren >= BARREN_MAX;
}

/* The present way carries nothing, although its checks are answered. */
static void on_barren(tl_peer_conn *conn, tl_time now)
{
    tl_udp_way *w = tl_conn_udp_way(conn);
    if (!w && is_unknown_there(conn)) {
        tl_conn_close(conn, TL_CODE_OUTAGE, "the peer started anew");
        return;
    }
    if (w)
        tl_udp_on_barren(conn->peers, w);
    else
        tl_direct_on_barren(conn->peers->config.direct, tl_quic_conn_path(conn->quic));
    conn->choose_at = now;
}

static void look_for_proof(tl_peer_conn *conn, tl_time now)
{
    tl_time rtt;
    if (!tl_proof_is_due(&conn->proof, now))
        return;
    bool wanted = conn->streams || now < conn->choice.switched_at + PROOF_AFTER ||
                  (conn->outage.barren && conn->outage.barren < BARREN_MAX);
    if (conn->closing || !wanted || !asked_rtt(conn, &rtt)) {
        tl_quic_conn_set_keepalive(conn->quic, conn->streams ? TL_WATCH_EVERY : 0);
        tl_proof_end(&conn->proof);
        return;
    }
    bool unanswered = tl_quic_conn_timeouts(conn->quic) >= TL_PROOF_QUIET;
    tl_quic_conn_set_keepalive(conn->quic, TL_PROOF_EVERY);
    if (tl_proof_look(&conn->proof, tl_quic_conn_heard_here(conn->quic), unanswered, rtt, now))
        on_barren(conn, now);
}

tl_time tl_ways_on_timer(tl_peer_conn *conn, tl_time now)
{
    look_for_proof(conn, now);
    if (now >= conn->choose_at)
        tl_ways_choose(conn, now);
    return tl_time_min(tl_proof_expiry(&conn->proof), conn->choose_at);
}
