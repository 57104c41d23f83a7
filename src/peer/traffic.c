/* Datagrams, in both directions. Only this file chooses by a path's kind where a datagram is sent:
 * a relayed one through the relay link, or with its token by UDP to the relay; a direct one through
 * direct/ to a UDP socket. */
#include "peer/state.h"

/* Names its connection only by an ID that the receiver chose: the first byte of RFC 9000 17.3. */
static bool is_short(const uint8_t *datagram)
{
    return (datagram[0] & 0x80) == 0;
}

/* --- in --- */

static void take(tl_peers *p, tl_path_id path, uint8_t *data, size_t n)
{
    const tl_env *env = &p->config.env;
    tl_quic_on_datagram(p->quic, path, data, n, tl_peers_now(p), env->wall(env->user));
    tl_peers_wake(p);
}

void tl_peers_on_datagram(tl_peers *p, tl_path_id id, uint8_t *data, size_t n)
{
    tl_path *path = tl_path_find(p, id);
    if (path)
        path->heard = true;
    take(p, id, data, n);
}

/* The path of a datagram that the relay passed on without saying of which session it is: that on which
 * its connection ID is in use. An ID that is not in use yet belongs to a connection that moves to the
 * session, or to its way by UDP. 0: it is of no connection that goes over this relay. */
static tl_path_id path_of_payload(tl_peers *p, bool by_udp, tl_slice datagram)
{
    tl_quic_conn *quic = tl_quic_conn_of(p->quic, datagram);
    const tl_peer_conn *conn = quic ? tl_quic_conn_user(quic) : NULL;
    tl_path *session = conn && conn->relayed ? tl_path_find(p, conn->relayed) : NULL;
    bool client;
    if (!session || !session->udp)
        return 0;
    tl_path_id known = tl_quic_path_of(p->quic, datagram, &client);
    const tl_path *at_home = known ? tl_path_find(p, known) : NULL;
    if (client)
        return known;
    if (!known)
        return by_udp ? session->udp->path : session->id;
    bool relayed = at_home && at_home->kind != TL_PATH_DIRECT;
    return relayed ? known : 0;
}

static void take_payload(tl_peers *p, bool by_udp, uint8_t *data, size_t n)
{
    tl_path_id path = path_of_payload(p, by_udp, tl_slice_of(data, n));
    if (path)
        take(p, path, data, n);
    else
        p->counters.relay_strays++;
}

void tl_peers_on_payload(tl_peers *p, uint8_t *data, size_t n)
{
    if (tl_stun_is(tl_slice_of(data, n)))
        tl_udp_on_knock(p, tl_slice_of(data, n));
    else if (n)
        take_payload(p, false, data, n);
    tl_peers_wake(p);
}

/* What a relay passed on may have been written by any peer that has a session with us there. So it
 * counts as having come by a direct way only if it is of a connection whose way leads to just that
 * address: a node that is a relay, too. */
static tl_path_id path_from_relay(tl_peers *p, tl_sock sock, const tl_addr *from, tl_slice datagram)
{
    tl_direct_way way;
    bool client;
    tl_path_id known = tl_quic_path_of(p->quic, datagram, &client);
    if (known && p->config.direct && tl_direct_way_of(p->config.direct, known, &way) &&
        tl_addr_eq(&way.remote, from))
        return tl_direct_path_of(p->config.direct, sock, from, known, client);
    return path_of_payload(p, true, datagram);
}

void tl_peers_on_train(tl_peers *p, tl_sock sock, const tl_addr *from, uint8_t *data, size_t n,
                       size_t segment)
{
    bool pipe = tl_sock_is_pipe(sock); /* it leads to one node, whatever else has that address */
    bool relay = !pipe && tl_udp_leg_at(p, from) != NULL;
    bool node = !pipe && !relay && p->relayers && tl_relayers_heard(p->relayers, from);
    if ((!p->config.direct && !relay && !node) || segment == 0)
        return;
    tl_path_id path = 0;
    for (size_t at = 0; at < n; at += segment) {
        size_t len = n - at < segment ? n - at : segment;
        tl_slice datagram = tl_slice_of(data + at, len);
        bool client;
        if (relay || node) {
            path = relay ? path_from_relay(p, sock, from, datagram)
                         : tl_nodes_path_of(p, sock, from, datagram);
            p->counters.relay_strays += !path;
        } else {
            tl_path_id known = tl_quic_path_of(p->quic, datagram, &client);
            if (!known || known != path) /* else as the datagram before it, from the same address */
                path = tl_direct_path_of(p->config.direct, sock, from, known, client);
        }
        if (path)
            take(p, path, data + at, len);
    }
    tl_peers_wake(p);
}

/* --- out --- */

bool tl_traffic_is_held(void *user, tl_path_id id)
{
    const tl_peers *p = user;
    const tl_path *path = tl_path_find(p, id);
    size_t relay;
    if (!path)
        return false; /* datagrams for that path are lost, not kept */
    switch (path->kind) {
    case TL_PATH_SESSION:
        return tl_relays_of(p->config.relays, id, &relay) && !p->events.may_send(p->user, relay);
    case TL_PATH_DIRECT: return p->config.direct && tl_direct_is_held(p->config.direct, id);
    case TL_PATH_RELAY_UDP:
    case TL_PATH_LENT: return false;
    }
    return false;
}

/* May a datagram of the session go as a packet with the token? The receiver must know its connection
 * ID, which it does when it has sent over the relay session; and where our UDP is bound, the packet would
 * make the relay send to the WebSocket. */
static bool goes_as_packet(const tl_peers *p, const tl_path *session, const uint8_t *datagram)
{
    return session->udp && session->heard && !tl_udp_is_bound(session->udp) &&
           tl_peers_now(p) >= session->text_until && is_short(datagram);
}

static void send_through_relay(tl_peers *p, const tl_path *session, const tl_quic_output *o)
{
    if (p->relayers && tl_relayers_has(p->relayers, o->path)) {
        (void)!tl_relayers_send(p->relayers, o->path, p->out, o->n, o->segment);
        return;
    }
    for (size_t at = 0; at < o->n; at += o->segment) {
        const uint8_t *data = p->out + at;
        tl_slice datagram = tl_slice_of(data, o->n - at < o->segment ? o->n - at : o->segment);
        /* On an error it is lost, as on any network; the link counts it. */
        if (!goes_as_packet(p, session, data) ||
            tl_relays_send_packet(p->config.relays, o->path, datagram) == TL_ERR_NOT_FOUND)
            (void)!tl_relays_send(p->config.relays, o->path, datagram);
    }
}

/* While the way is not bound (it was lost, and the client has not moved yet), packets with the token
 * go by the WebSocket. */
static void send_with_token(tl_peers *p, const tl_udp_way *w, const tl_quic_output *o)
{
    if (w && tl_udp_is_bound(w)) {
        (void)!tl_udp_leg_send(p, w->leg, tl_slice_of(w->token, sizeof w->token), p->out, o->n,
                               o->segment);
        return;
    }
    for (size_t at = 0; w && at < o->n; at += o->segment) {
        size_t n = o->n - at < o->segment ? o->n - at : o->segment;
        if (is_short(p->out + at))
            (void)!tl_relays_send_packet(p->config.relays, w->session, tl_slice_of(p->out + at, n));
    }
}

static void send_train(tl_peers *p, const tl_quic_output *o)
{
    const tl_path *path = tl_path_find(p, o->path);
    if (!path) {
        p->counters.pathless++;
        return;
    }
    switch (path->kind) {
    case TL_PATH_SESSION: send_through_relay(p, path, o); break;
    case TL_PATH_RELAY_UDP: send_with_token(p, path->udp, o); break;
    case TL_PATH_DIRECT:
        /* On an error it is lost, as on any network; the owner of the sockets counts it. */
        (void)!tl_direct_send(p->config.direct, o->path, p->out, o->n, o->segment);
        break;
    case TL_PATH_LENT: p->counters.pathless++; break;
    }
}

size_t tl_traffic_first(tl_peers *p, tl_path_id path, uint8_t *ret_room, size_t cap)
{
    tl_quic_output o;
    while (tl_quic_next_output(p->quic, p->out, tl_peers_now(p), &o)) {
        if (o.path != path) {
            send_train(p, &o);
            continue;
        }
        size_t n = o.n < o.segment ? o.n : o.segment;
        if (n > cap)
            return 0;
        memcpy(ret_room, p->out, n);
        return n;
    }
    return 0;
}

void tl_traffic_send(tl_peers *p)
{
    tl_quic_output o;
    while (tl_quic_next_output(p->quic, p->out, tl_peers_now(p), &o))
        send_train(p, &o);
}
