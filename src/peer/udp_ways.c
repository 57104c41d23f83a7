/* Ways by UDP over the relay. A relay session for which the relay gave us a token has one beside its
 * WebSocket. It is used when a check of ours was answered over it, from end to end. Each side tells the
 * relay by its own packets where to send to: to the UDP address that the token came from last, or to
 * the WebSocket. So a side whose way is not proven or was lost sends the token once over the
 * WebSocket. */
#include "peer/state.h"
#include "relay/signed.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

/* What the checks take for the relay's address and for our socket: they need one of each, and the way
 * keeps its own. */
#define STAND_IN_SOCK 1
static const tl_addr stand_in = {.family = TL_ADDR_V4, .bytes = {100, 64, 0, 1}, .port = 1};

static tl_peer_conn *conn_of(const tl_peers *p, const tl_udp_way *w)
{
    const tl_path *session = tl_path_find(p, w->session);
    return session ? tl_conn_of_path(p, session) : NULL;
}

/* The ways to the peer have changed. */
static void tell(tl_peers *p, const tl_udp_way *w)
{
    tl_peer_conn *conn = conn_of(p, w);
    if (conn)
        tl_conn_note(conn, TL_TASK_CHOOSE);
}

/* `due_at`: see there. */
static void set_state(tl_peers *p, tl_udp_way *w, tl_udp_state state, tl_time due_at)
{
    bool was_bound = tl_udp_is_bound(w), stood = w->state == TL_UDP_STANDS;
    assert(state != TL_UDP_NONE && (state == TL_UDP_RESTING || w->leg || state == TL_UDP_WAITING));
    assert(state != TL_UDP_STANDS || w->state == TL_UDP_PROVING);
    w->state = state;
    w->due_at = due_at;
    w->doubted = false;
    if (was_bound && !tl_udp_is_bound(w)) /* from now on the relay sends to the WebSocket */
        (void)!tl_relays_send_packet(p->config.relays, w->session, tl_slice_of(NULL, 0));
    if (stood != (state == TL_UDP_STANDS))
        tell(p, w);
    tl_peers_due(p, due_at);
}

static void wait(tl_peers *p, tl_udp_way *w, tl_time pause, tl_time now)
{
    w->pause = tl_time_min(2 * pause, TL_UDP_PAUSE_MAX);
    set_state(p, w, TL_UDP_WAITING, now + pause);
}

static void send_token(tl_peers *p, tl_udp_way *w, tl_time now)
{
    w->token_at = now + TL_UDP_TOKEN_EVERY;
    (void)!tl_udp_leg_send(p, w->leg, tl_slice_of(NULL, 0), w->token, sizeof w->token,
                           sizeof w->token);
    tl_peers_due(p, w->token_at);
}

/* --- checks --- */

static void pump(tl_peers *p, tl_udp_way *w, tl_time now)
{
    tl_checks_output o;
    if (!tl_udp_is_bound(w))
        return;
    while (tl_checks_next_output(w->checks, now, &o))
        (void)!tl_udp_leg_send(p, w->leg, tl_slice_of(w->token, sizeof w->token), o.bytes, o.n,
                               o.n);
    tl_peers_due(p, tl_checks_expiry(w->checks));
}

/* Fresh ones for each proof: no answer from before counts. */
static tl_err make_checks(tl_peers *p, tl_udp_way *w)
{
    tl_checks_free(w->checks);
    w->checks = NULL;
    tl_checks_config config = {.rand = p->config.rand,
                               .self = p->config.identity,
                               .peer = &w->peer,
                               .session = w->id,
                               .tag = (uint32_t)tl_rand_u64(p->config.rand),
                               .sock4 = STAND_IN_SOCK,
                               .keepalive = TL_PEERS_HEARTBEAT};
    tl_err e = tl_checks_new(&config, &w->checks);
    if (e)
        return e;
    tl_candidate relay = {.kind = TL_CANDIDATE_SERVER_REFLEXIVE, .addr = stand_in, .priority = 1};
    size_t n;
    tl_checks_add_remote(w->checks, &relay, tl_peers_now(p));
    const tl_pair *pairs = tl_checks_pairs(w->checks, &n);
    assert(n == 1);
    w->pair = pairs[0].id;
    return TL_OK;
}

static void pace(tl_peers *p, tl_udp_way *w, tl_time now)
{
    const tl_peer_conn *conn = conn_of(p, w);
    bool active = conn && conn->streams && tl_quic_conn_path(conn->quic) == w->path;
    bool often = active || w->doubted;
    tl_checks_set_pace(w->checks, w->pair, often ? TL_PACE_ACTIVE : TL_PACE_KEEP, now);
    tl_peers_due(p, tl_checks_expiry(w->checks));
}

/* --- from state to state --- */

static void lose(tl_peers *p, tl_udp_way *w, tl_time now)
{
    if (w->state == TL_UDP_STANDS) {
        bool calm = now >= w->stands_since + TL_UDP_CALM;
        p->counters.udp_lost++;
        w->losses = calm ? 1 : w->losses + 1;
        if (calm || w->losses == 1)
            w->pause = TL_UDP_PAUSE_LOST;
    }
    wait(p, w, w->pause, now);
    tl_udp_leg_doubt(p, w->leg); /* was it our NAT, or is it the peer's side? */
}

static void prove(tl_peers *p, tl_udp_way *w, tl_time now)
{
    send_token(p, w, now);
    w->bound_as = w->leg->leg.seen;
    if (make_checks(p, w)) {
        wait(p, w, TL_UDP_PAUSE_MAX, now);
        return;
    }
    set_state(p, w, TL_UDP_PROVING, now + TL_UDP_PROVE_WITHIN);
    tl_checks_start(w->checks, now);
    pump(p, w, now);
}

static void send_migrate(tl_peers *p, tl_udp_way *w, tl_time now)
{
    const tl_env *env = &p->config.env;
    uint8_t bytes[TL_CONTROL_MAX];
    tl_control c = {.type = TL_CONTROL_RELAY_MIGRATE,
                    .addr = w->leg->leg.seen,
                    .sequence = ++p->udp_sequence,
                    .timestamp = (uint64_t)env->wall(env->user)};
    memcpy(c.token, w->token, sizeof c.token);
    w->sequence = c.sequence;
    w->tries++;
    w->due_at = now + TL_UDP_MIGRATE_EVERY;
    tl_peers_due(p, w->due_at);
    if (tl_control_sign(&c, p->config.identity))
        return;
    size_t n = tl_control_write(&c, bytes);
    (void)!tl_udp_leg_send(p, w->leg, tl_slice_of(NULL, 0), bytes, n, n);
}

static void migrate(tl_peers *p, tl_udp_way *w, tl_time now)
{
    w->tries = 0;
    set_state(p, w, TL_UDP_MOVING, now + TL_UDP_MIGRATE_EVERY);
    send_migrate(p, w, now);
}

/* WAITING, and the pause is over. */
static void begin(tl_peers *p, tl_udp_way *w, tl_time now)
{
    if (!w->leg) {
        w->leg = tl_udp_leg_get(p, w->hostport);
        if (!w->leg) {
            wait(p, w, w->pause, now);
            return;
        }
    }
    if (w->leg->leg.state != TL_LEG_OPEN) {
        w->due_at = TL_NEVER; /* tl_udp_on_leg goes on */
        tl_leg_want(&w->leg->leg, now);
        tl_udp_leg_doubt(p, w->leg);
    } else if (w->bound_as.family != TL_ADDR_NONE && !tl_addr_eq(&w->bound_as, &w->leg->leg.seen)) {
        migrate(p, w, now);
    } else {
        prove(p, w, now);
    }
}

void tl_udp_doubt(tl_peers *p, tl_udp_way *w)
{
    tl_time now = tl_peers_now(p);
    if (w->leg)
        tl_udp_leg_doubt(p, w->leg);
    if (w->state != TL_UDP_STANDS || w->doubted ||
        (w->vouched_at && now < w->vouched_at + TL_UDP_VOUCHED))
        return;
    w->doubted = true;
    w->answered = tl_checks_pair(w->checks, w->pair)->answered;
    pace(p, w, now);
    tl_checks_suspect(w->checks, w->pair, now);
    pump(p, w, now);
}

/* A check was answered: is the doubt over? */
static void heard(tl_peers *p, tl_udp_way *w, tl_time now)
{
    if (!w->doubted || tl_checks_pair(w->checks, w->pair)->answered == w->answered)
        return;
    w->doubted = false;
    w->vouched_at = now;
    pace(p, w, now);
    tell(p, w);
}

static void take_events(tl_peers *p, tl_udp_way *w, tl_time now)
{
    tl_checks_event ev;
    while (w->checks && tl_checks_next_event(w->checks, &ev)) {
        if (ev.type == TL_CHECKS_VALID && w->state == TL_UDP_PROVING) {
            w->stands_since = now;
            set_state(p, w, TL_UDP_STANDS, TL_NEVER);
            pace(p, w, now);
        } else if (ev.type == TL_CHECKS_LOST && w->state == TL_UDP_STANDS) {
            lose(p, w, now);
        } else if (ev.type == TL_CHECKS_SILENT && w->leg) {
            tl_udp_leg_doubt(p, w->leg);
        }
    }
}

void tl_udp_on_leg(tl_peers *p, const tl_udp_leg *leg, tl_time now)
{
    tl_udp_way *w;
    bool open = leg->leg.state == TL_LEG_OPEN;
    DL_FOREACH (p->udp_ways, w) {
        if (w->leg != leg || w->state == TL_UDP_RESTING)
            continue;
        bool moved =
            open && w->bound_as.family != TL_ADDR_NONE && !tl_addr_eq(&w->bound_as, &leg->leg.seen);
        if (!open && tl_udp_is_bound(w))
            lose(p, w, now);
        if (!open && w->state == TL_UDP_WAITING)
            w->due_at = TL_NEVER;
        else if (moved && tl_udp_is_bound(w))
            migrate(p, w, now);
        else if (open && w->state == TL_UDP_WAITING && (moved || w->due_at == TL_NEVER))
            begin(p, w, now);
    }
}

void tl_udp_proceed(tl_peers *p, tl_udp_way *w, tl_time now)
{
    if (w->checks && tl_udp_is_bound(w) && now >= tl_checks_expiry(w->checks))
        tl_checks_on_timer(w->checks, now);
    take_events(p, w, now);
    if (now >= w->due_at)
        switch (w->state) {
        case TL_UDP_NONE:
        case TL_UDP_RESTING:
        case TL_UDP_STANDS: break;
        case TL_UDP_WAITING: begin(p, w, now); break;
        case TL_UDP_PROVING: /* the peer's UDP does not pass, or it has none */
            wait(p, w, tl_time_max(w->pause, TL_UDP_PAUSE_VAIN), now);
            break;
        case TL_UDP_MOVING:
            if (w->tries < TL_UDP_MIGRATE_TRIES)
                send_migrate(p, w, now);
            else
                wait(p, w, tl_time_max(w->pause, TL_UDP_PAUSE_VAIN), now);
            break;
        }
    if (tl_udp_is_bound(w) && now >= w->token_at)
        send_token(p, w, now);
    pump(p, w, now);
}

static tl_time due_of(const tl_udp_way *w)
{
    if (!tl_udp_is_bound(w))
        return w->state == TL_UDP_RESTING ? TL_NEVER : w->due_at;
    return tl_time_min(tl_time_min(w->due_at, w->token_at), tl_checks_expiry(w->checks));
}

tl_time tl_udp_on_timer(tl_peers *p, tl_time now)
{
    tl_time due = TL_NEVER;
    tl_udp_way *w;
    if (!p->udp_ways)
        return TL_NEVER;
    due = tl_udp_legs_on_timer(p, now);
    DL_FOREACH (p->udp_ways, w) {
        tl_udp_proceed(p, w, now);
        due = tl_time_min(due, due_of(w));
    }
    return due;
}

/* --- beginning and ending --- */

void tl_peers_on_offer(tl_peers *p, tl_path_id id, const tl_relay_offer *offer)
{
    tl_path *session = tl_path_find(p, id);
    if (!session || session->kind != TL_PATH_SESSION || session->state == TL_PATH_GONE ||
        session->udp)
        return;
    tl_udp_way *w = calloc(1, sizeof *w);
    tl_path *path = w ? tl_path_new(p, TL_PATH_RELAY_UDP, &session->peer, false) : NULL;
    if (!path) {
        free(w);
        return;
    }
    *w = (tl_udp_way){.session = id,
                      .path = path->id,
                      .peer = session->peer,
                      .state = TL_UDP_NONE,
                      .due_at = TL_NEVER,
                      .pause = TL_UDP_PAUSE_LOST};
    snprintf(w->id, sizeof w->id, "%s", offer->session);
    memcpy(w->token, offer->token, sizeof w->token);
    path->udp = session->udp = w;
    DL_APPEND(p->udp_ways, w);
    if (p->config.udp && offer->udp[0] && strlen(offer->udp) < sizeof w->hostport) {
        snprintf(w->hostport, sizeof w->hostport, "%s", offer->udp);
        w->state = TL_UDP_RESTING;
    }
    tl_peer_conn *conn = tl_conn_of_path(p, session);
    if (conn && conn->relayed == id && (session->ours || conn->connected))
        tl_udp_follow(conn);
    tl_peers_wake(p);
}

void tl_udp_follow(tl_peer_conn *conn)
{
    tl_peers *p = conn->peers;
    tl_time now = tl_peers_now(p);
    const tl_path *session = conn->relayed ? tl_path_find(p, conn->relayed) : NULL;
    tl_udp_way *w = session ? session->udp : NULL;
    if (!w)
        return;
    if (w->state == TL_UDP_RESTING) {
        set_state(p, w, TL_UDP_WAITING, now);
        begin(p, w, now);
    } else if (w->state == TL_UDP_STANDS) {
        pace(p, w, now);
    }
}

void tl_udp_end(tl_peers *p, tl_path *session)
{
    tl_udp_way *w = session->udp;
    if (!w)
        return;
    tl_path *path = tl_path_find(p, w->path); /* it goes with its session, and not before */
    assert(path && path->udp == w);
    session->udp = NULL;
    path->udp = NULL;
    tl_path_end(p, path);
    if (w->leg)
        tl_udp_leg_put(w->leg);
    DL_DELETE(p->udp_ways, w);
    tl_checks_free(w->checks);
    free(w);
}

void tl_udp_free_all(tl_peers *p)
{
    tl_udp_way *w, *next;
    DL_FOREACH_SAFE (p->udp_ways, w, next) {
        tl_checks_free(w->checks);
        free(w);
    }
    p->udp_ways = NULL;
}

void tl_udp_on_barren(tl_peers *p, tl_udp_way *w)
{
    if (w->state == TL_UDP_STANDS)
        lose(p, w, tl_peers_now(p));
}

/* The relay will end the session. Asking it for another one of the pair is in vain: it refuses that for
 * a while. So the connection moves to another relay, while this one still carries; and a direct way is
 * looked for. The other side is warned, too, but only the client asks for a session. */
void tl_peers_on_warning(tl_peers *p, tl_path_id id)
{
    const tl_path *session = tl_path_find(p, id);
    bool relayed = session && session->kind == TL_PATH_SESSION && session->state != TL_PATH_GONE;
    tl_peer_conn *conn = relayed ? tl_conn_of_path(p, session) : NULL;
    if (conn)
        tl_nodes_on_warning(conn);
    if (conn && p->config.direct && !tl_conn_is_direct(conn))
        tl_direct_want(p->config.direct, &session->peer);
    if (conn && conn->relayed == id &&
        tl_relays_has_other(p->config.relays, &session->peer, id, true))
        tl_outage_replace_session(conn);
    tl_peers_wake(p);
}

bool tl_udp_measured(const tl_udp_way *w, tl_way *ret_way)
{
    if (w->state != TL_UDP_STANDS)
        return false;
    const tl_pair *pair = tl_checks_pair(w->checks, w->pair);
    *ret_way = (tl_way){.id = w->path,
                        .kind = TL_WAY_RELAYED_UDP,
                        .usable = true,
                        .rtt = pair->least,
                        .usable_since = w->stands_since,
                        .losses = w->losses};
    return true;
}

/* --- what comes from the relay --- */

static tl_udp_way *way_that_is_asked(const tl_peers *p, const tl_stun *stun)
{
    char name[TL_CHECK_USERNAME + 1];
    tl_udp_way *w;
    DL_FOREACH (p->udp_ways, w) {
        tl_check_username(w->id, name);
        if (tl_slice_eq(stun->username, tl_slice_str(name)))
            return w;
    }
    return NULL;
}

/* A check of a peer, or its answer to one of ours. */
static tl_udp_way *way_of_check(const tl_peers *p, const tl_udp_leg *leg, const tl_stun *stun)
{
    tl_udp_way *w;
    if (stun->class == TL_STUN_REQUEST) {
        w = way_that_is_asked(p, stun);
        return w && w->leg == leg && w->checks ? w : NULL;
    }
    DL_FOREACH (p->udp_ways, w)
        if (w->leg == leg && w->checks && tl_checks_tag_of(stun) == tl_checks_tag(w->checks))
            return w;
    return NULL;
}

/* By the WebSocket, a check gets no answer: it would prove nothing. But it shows that the peer's UDP
 * passes now, so it is time to try ours. Anybody may have written it: a try costs little, and comes
 * at most once in TL_UDP_PAUSE_VAIN. */
void tl_udp_on_knock(tl_peers *p, tl_slice datagram)
{
    tl_stun stun;
    tl_time now = tl_peers_now(p);
    if (tl_stun_read(datagram, &stun) || stun.class != TL_STUN_REQUEST)
        return;
    tl_udp_way *w = way_that_is_asked(p, &stun);
    if (!w || w->state != TL_UDP_WAITING ||
        (w->knocked_at && now < w->knocked_at + TL_UDP_PAUSE_VAIN))
        return;
    w->knocked_at = now;
    begin(p, w, now);
}

bool tl_peers_on_stun(tl_peers *p, const tl_addr *from, tl_slice datagram, const tl_stun *stun)
{
    tl_time now = tl_peers_now(p);
    tl_udp_leg *leg = tl_udp_leg_at(p, from);
    tl_leg_news news;
    if (!leg)
        return false;
    if (tl_leg_on_answer(&leg->leg, stun, now, &news)) {
        if (news != TL_LEG_SAME)
            tl_udp_on_leg(p, leg, now);
        tl_peers_due(p, tl_leg_expiry(&leg->leg));
        tl_peers_wake(p);
        return true;
    }
    tl_udp_way *w = way_of_check(p, leg, stun);
    if (!w || !tl_udp_is_bound(w)) {
        p->counters.relay_strays++;
        return true;
    }
    tl_checks_on_stun(w->checks, STAND_IN_SOCK, &stand_in, datagram, stun, now);
    take_events(p, w, now);
    heard(p, w, now);
    pump(p, w, now);
    tl_peers_wake(p);
    return true;
}

static tl_udp_way *way_that_moves(const tl_peers *p, const tl_udp_leg *leg, uint64_t sequence)
{
    tl_udp_way *w;
    DL_FOREACH (p->udp_ways, w)
        if (w->leg == leg && w->state == TL_UDP_MOVING && w->sequence == sequence)
            return w;
    return NULL;
}

bool tl_peers_on_control(tl_peers *p, const tl_addr *from, tl_slice datagram)
{
    const tl_udp_leg *leg = tl_udp_leg_at(p, from);
    tl_control c;
    if (!leg)
        return tl_nodes_on_control(p, from, datagram);
    tl_control_type type = tl_control_peek(datagram);
    bool known = type == TL_CONTROL_RELAY_PATH || type == TL_CONTROL_RELAY_MIGRATED;
    tl_udp_way *w =
        known && !tl_control_parse(datagram, &c) ? way_that_moves(p, leg, c.sequence) : NULL;
    if (!w) {
        p->counters.relay_strays++;
        return true;
    }
    if (type == TL_CONTROL_RELAY_PATH) {
        uint8_t bytes[TL_CONTROL_MAX];
        tl_control reply = {.type = TL_CONTROL_RELAY_PATH_REPLY};
        memcpy(reply.nonce, c.nonce, sizeof reply.nonce);
        memcpy(reply.token, w->token, sizeof reply.token);
        size_t n = tl_control_write(&reply, bytes);
        (void)!tl_udp_leg_send(p, leg, tl_slice_of(NULL, 0), bytes, n, n);
    } else {
        p->counters.migrations++;
        prove(p, w, tl_peers_now(p));
    }
    tl_peers_wake(p);
    return true;
}
