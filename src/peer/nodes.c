/* The nodes that relay, as a part of the whole: what they need to know of it, and which connection a datagram
 * from one of them is of. */
#include "peer/state.h"

static bool is_fellow(void *user, const tl_node_id *node)
{
    const tl_peers *p = user;
    return p->events.is_member && p->events.is_member(p->user, node);
}

static bool is_relay(void *user, const tl_addr *addr)
{
    return tl_udp_leg_at(user, addr);
}

static void on_attached(void *user)
{
    const tl_peers *p = user;
    if (p->events.on_attached)
        p->events.on_attached(p->user);
}

static void on_relayed(void *user, const tl_node_id *node, uint64_t bytes)
{
    const tl_peers *p = user;
    if (p->events.on_relayed)
        p->events.on_relayed(p->user, node, bytes);
}

static bool introduces(void *user, const tl_node_id *node, const tl_addr *addr)
{
    tl_addr seen;
    return tl_introducers_is(((const tl_peers *)user)->introducers, node, addr, &seen);
}

static void on_introducible(void *user)
{
    const tl_peers *p = user;
    if (p->events.on_introducible)
        p->events.on_introducible(p->user);
}

static void on_nodes_changed(void *user)
{
    on_attached(user);
    on_introducible(user); /* those that relay introduce, too */
}

static bool is_ours(void *user, const tl_relayer_name *name)
{
    const tl_peers *p = user;
    return is_fellow(user, &name->id) ||
           (p->events.is_door && p->events.is_door(p->user, &name->addr));
}

static tl_err introducers_new(tl_peers *p)
{
    tl_introducers_config config = {.identity = p->config.identity,
                                    .rand = p->config.rand,
                                    .table = p->config.table,
                                    .udp = p->config.udp,
                                    .udp_user = p->config.udp_user,
                                    .relayers = p->relayers,
                                    .env = p->config.env,
                                    .user = p,
                                    .is_relay = is_relay,
                                    .is_ours = is_ours,
                                    .on_changed = on_introducible};
    return tl_introducers_new(&config, &p->introducers);
}

tl_err tl_nodes_new(tl_peers *p)
{
    tl_relayers_config config = {.identity = p->config.identity,
                                 .rand = p->config.rand,
                                 .table = p->config.table,
                                 .udp = p->config.udp,
                                 .udp_user = p->config.udp_user,
                                 .env = p->config.env,
                                 .user = p,
                                 .is_fellow = is_fellow,
                                 .is_relay = is_relay,
                                 .introduces = introduces,
                                 .on_attached = on_nodes_changed,
                                 .on_relayed = on_relayed};
    if (!p->config.udp)
        return TL_OK;
    tl_err e = tl_relayers_new(&config, &p->relayers);
    if (e)
        return e;
    e = introducers_new(p);
    if (e) {
        tl_relayers_free(p->relayers);
        p->relayers = NULL;
        return e;
    }
    tl_relays_join_nodes(p->config.relays, p->relayers);
    return TL_OK;
}

tl_introducers *tl_peers_introducers(const tl_peers *p)
{
    return p->introducers;
}

tl_relayers *tl_peers_relayers(const tl_peers *p)
{
    return p->relayers;
}

/* This node may be attached to one other both for its relaying and for its introductions. */
bool tl_nodes_on_control(tl_peers *p, const tl_addr *from, tl_slice datagram)
{
    tl_control c;
    if (!p->relayers)
        return false;
    bool taken = tl_relayers_on_control(p->relayers, from, datagram);
    if (tl_control_peek(datagram) == TL_CONTROL_ATTACHED && !tl_control_parse(datagram, &c))
        taken |= tl_introducers_on_attached(p->introducers, from, &c);
    return taken;
}

bool tl_conn_by_node(const tl_peer_conn *conn, tl_relayer_name *ret_name)
{
    return conn->relayed && tl_relays_node_of(conn->peers->config.relays, conn->relayed, ret_name);
}

static bool is_direct_from(const tl_peers *p, tl_path_id path, const tl_addr *from)
{
    tl_direct_way way;
    return path && p->config.direct && tl_direct_way_of(p->config.direct, path, &way) &&
           tl_addr_eq(&way.remote, from);
}

/* The payload was written by any peer that has a session with us there. So it is of a direct way only if it
 * is of a connection whose way leads to just that address, or of a connection with that very node. An ID that
 * is not in use yet belongs to a connection that moves to its peer's session there; an ID that nobody knows,
 * to a new connection over the session whose mark the datagram bears. */
tl_path_id tl_nodes_path_of(tl_peers *p, tl_sock sock, const tl_addr *from, tl_slice datagram)
{
    bool client;
    tl_path_id known = tl_quic_path_of(p->quic, datagram, &client);
    if (known && tl_relayers_is_at(p->relayers, known, from)) {
        tl_relayers_arrived(p->relayers, known, datagram.n);
        return known;
    }
    const tl_quic_conn *quic = tl_quic_conn_of(p->quic, datagram);
    const tl_node_id *peer = quic ? tl_quic_conn_peer(quic) : NULL;
    bool own = p->config.direct &&
               (is_direct_from(p, known, from) || !peer || tl_relayers_is(p->relayers, peer, from));
    tl_path_id session = peer ? tl_relayers_with(p->relayers, from, peer)
                              : tl_relayers_marked(p->relayers, from, datagram);
    if (session && !is_direct_from(p, known, from))
        return client && known ? known : session;
    return own ? tl_direct_path_of(p->config.direct, sock, from, known, client) : 0;
}

void tl_nodes_on_registered(tl_peers *p)
{
    tl_contact *c;
    tl_peer_conn *conn;
    tl_relayer_name name;
    DL_FOREACH (p->contacts, c)
        DL_FOREACH (c->conns, conn)
            if (conn->connected && tl_conn_by_node(conn, &name))
                tl_outage_replace_session(conn);
}

void tl_nodes_on_warning(tl_peer_conn *conn)
{
    tl_relayer_name name;
    if (tl_conn_by_node(conn, &name))
        tl_outage_replace_session(conn);
}
