/* Making a connection: a session at the relay, and QUIC over it. Where no relay carries it, QUIC begins on a
 * direct way, as soon as one stands. */
#include "peer/state.h"

#include <assert.h>

static void set_state(tl_contact *c, tl_dial_state state, tl_path_id path, tl_peer_conn *conn)
{
    assert((path != 0) == (state == TL_DIAL_OPENING || state == TL_DIAL_HANDSHAKE));
    assert(state == TL_DIAL_HANDSHAKE ? conn != NULL : !conn || state == TL_DIAL_OPENING);
    c->dial = state;
    c->dial_path = path;
    c->dial_conn = conn;
    if (state == TL_DIAL_NONE)
        tl_peers_look(c->peers); /* the contact may not be needed any more */
}

void tl_contact_dial_stop(tl_contact *c)
{
    tl_peer_conn *conn = c->dial_conn;
    c->peers->sweep = true; /* closes the session, unless a connection uses it */
    set_state(c, TL_DIAL_NONE, 0, NULL);
    if (conn)
        tl_conn_close(conn, TL_CODE_NONE, "given up");
}

void tl_contact_dial_fail(tl_contact *c, tl_err e, const char *why)
{
    tl_peers *p = c->peers;
    p->counters.dial_failures++;
    if (p->relayers && c->dial == TL_DIAL_HANDSHAKE)
        tl_relayers_blame(p->relayers, c->dial_path);
    c->peer->unusable_until = tl_peers_now(p) + TL_PEERS_OUTAGE_MAX;
    tl_contact_dial_stop(c);
    if (!tl_contact_best(c)) /* else the peer's own attempt has succeeded */
        tl_contact_fail_wishes(c, e, why);
}

void tl_contact_dial_on_closed(tl_contact *c, tl_err e, const char *why)
{
    assert(c->dial == TL_DIAL_OPENING || c->dial == TL_DIAL_HANDSHAKE);
    c->dial_conn = NULL;
    tl_contact_dial_fail(c, e, why);
}

/* QUIC begins over `path`, a session or a direct way. TL_ERR_BUSY: there are too many connections. TL_ERR_NOMEM. */
static tl_err begin_quic(tl_contact *c, tl_path_id path, tl_peer_conn **ret_conn)
{
    tl_peers *p = c->peers;
    const tl_env *env = &p->config.env;
    tl_quic_conn *quic;
    tl_slice mark = p->relayers ? tl_relayers_mark(p->relayers, path) : tl_slice_of(NULL, 0);
    tl_err e = tl_quic_dial_marked(p->quic, &c->peer->id, path, mark, tl_peers_now(p),
                                   env->wall(env->user), &quic);
    if (e)
        return e;
    tl_peer_conn *conn = tl_contact_add_conn(c, quic, true);
    if (!conn) {
        tl_quic_conn_close(quic, TL_CODE_NONE, "out of memory", tl_peers_now(p));
        return TL_ERR_NOMEM;
    }
    const tl_path *way = tl_path_find(p, path);
    conn->relayed = way && way->kind == TL_PATH_SESSION ? path : 0;
    *ret_conn = conn;
    return TL_OK;
}

static const char *begin_words(tl_err e)
{
    return e == TL_ERR_NOMEM ? "out of memory" : "too many connections";
}

/* The session of the attempt is none; the dial goes on. */
static void leave_session(tl_contact *c)
{
    tl_peer_conn *conn = c->dial_conn;
    set_state(c, TL_DIAL_DIRECT, 0, NULL);
    if (conn)
        tl_conn_close(conn, TL_CODE_NONE, "given up");
}

/* --- without a relay --- */

/* False: no direct way stands. */
static bool begin_direct(tl_contact *c)
{
    tl_peers *p = c->peers;
    tl_direct_way ways[TL_DIRECT_WAYS_MAX];
    tl_peer_conn *conn;
    size_t n = p->config.direct ? tl_direct_ways(p->config.direct, &c->peer->id, ways) : 0;
    if (!n)
        return false;
    size_t best = 0;
    for (size_t i = 1; i < n; i++)
        if (ways[i].lan > ways[best].lan ||
            (ways[i].lan == ways[best].lan && ways[i].least < ways[best].least))
            best = i;
    tl_err e = begin_quic(c, ways[best].path, &conn);
    if (e)
        tl_contact_dial_fail(c, e, begin_words(e));
    else
        set_state(c, TL_DIAL_HANDSHAKE, ways[best].path, conn);
    tl_peers_wake(p);
    return true;
}

/* Somebody looks where the peer is, from now on or already. */
static bool is_sought(tl_contact *c)
{
    tl_peers *p = c->peers;
    if (!c->sought && !c->looking && p->config.direct && p->events.on_sought) {
        c->sought = true;
        c->looking = p->events.on_sought(p->user, &c->peer->id);
    }
    return c->looking;
}

/* Why a connection did not come about. What is known of the peer says more than what is true of all. */
static const char *words_of(const tl_contact *c, const char *why)
{
    const tl_direct *direct = c->peers->config.direct;
    if (direct && tl_direct_is_near(direct, &c->peer->id))
        return "the peer is announced on the local network, and answers there neither by UDP nor "
               "by TCP: "
               "a firewall may be in the way, or somebody else announces its ID";
    return c->unfound ? c->unfound : why;
}

/* No relay carries the connection, for the reason `why`: it waits for a direct way, or fails. */
static void go_direct(tl_contact *c, tl_err e, const char *why)
{
    const tl_peers *p = c->peers;
    if (begin_direct(c))
        return;
    /* Those who are asked to introduce us now may not know the peer: it is looked for at the same time. */
    bool sought = is_sought(c);
    if (sought || (p->config.direct && tl_direct_is_on(p->config.direct, &c->peer->id)))
        set_state(c, TL_DIAL_DIRECT, 0, NULL);
    else
        tl_contact_dial_fail(c, e, words_of(c, why));
}

/* Without a relay a session is asked of nodes that relay, which may be silent: a direct way that stands
 * meanwhile is not passed over for it. */
static void prefer_direct(tl_contact *c)
{
    tl_peers *p = c->peers;
    tl_direct_way ways[TL_DIRECT_WAYS_MAX];
    if (tl_relays_is_registered(p->config.relays) || !p->config.direct ||
        !tl_direct_ways(p->config.direct, &c->peer->id, ways))
        return;
    p->sweep = true; /* closes the session */
    leave_session(c);
}

void tl_contact_dial_on_ways(tl_contact *c)
{
    if (c->dial == TL_DIAL_OPENING)
        prefer_direct(c);
    if (c->dial != TL_DIAL_RELAY && c->dial != TL_DIAL_DIRECT)
        return;
    if (begin_direct(c) || c->dial != TL_DIAL_DIRECT || c->near_until)
        return;
    go_direct(c, TL_ERR_UNREACHABLE, "no direct path to the peer could be opened");
}

void tl_contact_dial_on_looked(tl_contact *c, const char *why)
{
    tl_peers *p = c->peers;
    c->looking = false;
    c->unfound = why;
    if (c->dial == TL_DIAL_NONE || c->dial == TL_DIAL_HANDSHAKE)
        return;
    if (!why)
        tl_direct_found(p->config.direct, &c->peer->id);
    if (c->dial == TL_DIAL_DIRECT)
        go_direct(c, TL_ERR_UNREACHABLE, "no direct path to the peer could be opened");
}

/* --- through a relay --- */

/* Does the peer take the first datagram with the question for the session, and may it leave now? */
static bool rides_along(const tl_contact *c)
{
    const tl_peers *p = c->peers;
    size_t relay;
    return c->peer->reads_first && tl_relays_best(p->config.relays, &c->peer->id, &relay) &&
           p->events.may_send(p->user, relay);
}

/* The first datagram rode in a relayOpen, and a node that relays has the session after all: there QUIC begins
 * anew, with the session's mark. */
static void drop_first(tl_contact *c)
{
    tl_peer_conn *conn = c->dial_conn;
    tl_relayer_name name;
    if (!conn || !tl_relays_node_of(c->peers->config.relays, c->dial_path, &name))
        return;
    set_state(c, TL_DIAL_OPENING, c->dial_path, NULL);
    tl_conn_close(conn, TL_CODE_NONE, "given up");
}

/* Asks the relay for a session, now or when the relay is connected. Where the peer reads it, the
 * handshake's first datagram rides along: that saves a round trip between the nodes. */
static void open_session(tl_contact *c)
{
    tl_peers *p = c->peers;
    const char *hopeless =
        tl_relays_is_registered(p->config.relays) ? NULL : p->events.on_relay_wanted(p->user);
    if (!tl_relays_can_open(p->config.relays, &c->peer->id)) {
        set_state(c, TL_DIAL_RELAY, 0, NULL);
        if (hopeless)
            go_direct(c, TL_ERR_UNREACHABLE, hopeless);
        else
            (void)is_sought(c); /* the relay may come, and it may not */
        return;
    }
    if (tl_peers_now(p) < c->peer->refused_until) {
        go_direct(c, TL_ERR_UNREACHABLE, "the relay refused a session a moment ago");
        return;
    }
    const tl_path *path = tl_path_new(p, TL_PATH_SESSION, &c->peer->id, true);
    if (!path) {
        tl_contact_dial_fail(c, TL_ERR_NOMEM, "out of memory");
        return;
    }
    tl_path_id id = path->id;
    tl_peer_conn *conn = NULL;
    uint8_t first[TL_RELAY_FIRST_MAX];
    size_t n = 0;
    tl_err e = rides_along(c) ? begin_quic(c, id, &conn) : TL_OK;
    set_state(c, TL_DIAL_OPENING, id, conn);
    if (e) {
        tl_contact_dial_fail(c, e, begin_words(e));
        return;
    }
    if (conn)
        n = tl_traffic_first(p, id, first, sizeof first);
    e = tl_relays_open_with(p->config.relays, &c->peer->id, id, tl_slice_of(first, n));
    if (e) {
        tl_path_drop(p, id, false);
        leave_session(c);
        go_direct(c, e, "the relay takes no more sessions now");
    }
}

/* A peer on the local network is asked there first, and no relay learns of it. */
static void open_near(tl_contact *c)
{
    tl_peers *p = c->peers;
    c->near_until = tl_peers_now(p) + TL_DIAL_NEAR;
    tl_peers_due(p, c->near_until);
    set_state(c, TL_DIAL_DIRECT, 0, NULL);
    (void)begin_direct(c);
}

/* It does not answer there, or not soon. */
static void leave_near(tl_contact *c)
{
    c->near_until = 0;
    if (c->dial == TL_DIAL_DIRECT && !begin_direct(c))
        open_session(c);
}

void tl_contact_dial_start(tl_contact *c)
{
    tl_peers *p = c->peers;
    assert(c->dial == TL_DIAL_NONE);
    p->counters.dials++;
    c->sought = false;
    c->unfound = NULL;
    if (p->config.direct)
        tl_direct_want(p->config.direct, &c->peer->id);
    c->dial_deadline = tl_peers_now(p) + p->config.connect_within;
    tl_peers_due(p, c->dial_deadline);
    c->near_until = 0;
    if (p->config.direct && tl_direct_is_near(p->config.direct, &c->peer->id))
        open_near(c);
    else
        open_session(c);
}

/* The session of the attempt stands: QUIC begins, if it has not yet. */
void tl_contact_dial_on_ready(tl_contact *c)
{
    c->peer->refused_until = c->peer->refused_pause = 0;
    if (c->dial != TL_DIAL_OPENING)
        return;
    drop_first(c);
    tl_peer_conn *conn = c->dial_conn;
    tl_err e = conn ? TL_OK : begin_quic(c, c->dial_path, &conn);
    if (e) {
        tl_contact_dial_fail(c, e, begin_words(e));
        return;
    }
    set_state(c, TL_DIAL_HANDSHAKE, c->dial_path, conn);
    tl_peers_wake(c->peers);
}

/* However often it is tried: a relay that has no room is not asked by each question anew. */
static void wait_longer(tl_peer *peer, tl_time now)
{
    peer->refused_pause = peer->refused_pause
                              ? tl_time_min(2 * peer->refused_pause, TL_DIAL_REFUSED_MAX)
                              : TL_DIAL_REFUSED;
    peer->refused_until = now + peer->refused_pause;
}

void tl_contact_dial_on_ended(tl_contact *c, const char *why, bool refused)
{
    tl_peer_conn *conn = c->dial_conn;
    if (refused)
        wait_longer(c->peer, tl_peers_now(c->peers));
    assert(c->dial == TL_DIAL_OPENING || c->dial == TL_DIAL_HANDSHAKE);
    if (tl_relays_is_registered(c->peers->config.relays)) {
        if (c->dial == TL_DIAL_HANDSHAKE) {
            tl_contact_dial_fail(c, TL_ERR_UNREACHABLE, why);
            return;
        }
        leave_session(c);
        go_direct(c, TL_ERR_UNREACHABLE, why);
        return;
    }
    /* The relay may come back before the dial's deadline. A session that it had may be had elsewhere. */
    bool stood = c->dial == TL_DIAL_HANDSHAKE;
    set_state(c, TL_DIAL_RELAY, 0, NULL);
    if (conn)
        tl_conn_close(conn, TL_CODE_NONE, "given up");
    if (stood && tl_relays_can_open(c->peers->config.relays, &c->peer->id))
        open_session(c);
}

void tl_contact_dial_on_registered(tl_contact *c)
{
    if (c->dial == TL_DIAL_RELAY || (c->dial == TL_DIAL_DIRECT && !c->near_until))
        open_session(c);
}

void tl_contact_dial_connected(tl_contact *c, tl_peer_conn *conn)
{
    if (conn == c->dial_conn) {
        set_state(c, TL_DIAL_NONE, 0, NULL);
        return;
    }
    /* The peer's attempt was faster. Ours goes on only if its connection is the one that stays
     * (tl_contact_mark_retiring). Both sides use that rule, so that they never both give up. */
    bool ours_stays = tl_node_id_cmp(&c->peers->config.identity->id, &c->peer->id) < 0;
    if (c->dial != TL_DIAL_NONE && !ours_stays)
        tl_contact_dial_stop(c);
}

/* Why there is no connection after all this time. */
static const char *late_words(const tl_contact *c)
{
    static const char unheard[] = "the peer did not answer, neither directly nor through those "
                                  "that introduce it: it may be off";
    const tl_peers *p = c->peers;
    bool no_relay = p->events.on_relay_wanted(p->user);
    switch (c->dial) {
    case TL_DIAL_RELAY:
        return !no_relay ? "the relay cannot be reached" : c->unfound ? c->unfound : unheard;
    case TL_DIAL_DIRECT:
        return words_of(c, no_relay ? unheard : "no direct path to the peer could be opened");
    case TL_DIAL_OPENING:
        return no_relay ? "no node that relays had an answer of the peer"
                        : "the peer did not answer through the relay";
    case TL_DIAL_HANDSHAKE: return "the peer did not finish the handshake";
    case TL_DIAL_NONE: break;
    }
    return "";
}

tl_time tl_contact_dial_on_timer(tl_contact *c, tl_time now)
{
    if (c->dial == TL_DIAL_NONE)
        return TL_NEVER;
    if (c->near_until && now >= c->near_until)
        leave_near(c);
    if (c->dial == TL_DIAL_NONE)
        return TL_NEVER;
    if (now < c->dial_deadline)
        return c->near_until ? tl_time_min(c->near_until, c->dial_deadline) : c->dial_deadline;
    tl_contact_dial_fail(c, TL_ERR_TIMEOUT, late_words(c));
    return TL_NEVER;
}

void tl_peers_retry(tl_peers *p, const tl_node_id *peer)
{
    tl_contact *c = tl_contact_find(p, peer);
    if (c && tl_relays_can_open(p->config.relays, peer))
        tl_contact_dial_on_registered(c);
}
