/* Makes and frees the whole, takes what the relays and direct tell, and has what the owner tells all
 * peers and asks of one. run.c drives it. */
#include "peer/state.h"

#include <stdlib.h>

bool tl_peers_knows(const tl_peers *p, const tl_node_id *id)
{
    const tl_peer *peer = tl_peer_table_find(p->config.table, id);
    return (peer && peer->proven) || (p->events.is_member && p->events.is_member(p->user, id));
}

static bool knows(void *user, const tl_node_id *id)
{
    return tl_peers_knows(user, id);
}

/* All ways of one peer are one group. Whoever holds many keys still has one session for each peer
 * that the relay names. */
static uint64_t group_of(void *user, tl_path_id id)
{
    uint64_t group = id;
    const tl_path *path = tl_path_find(user, id);
    if (path)
        memcpy(&group, path->peer.key, sizeof group);
    return group;
}

tl_err tl_peers_new(const tl_peers_config *config, const tl_peers_events *events, void *user,
                    tl_peers **ret_peers)
{
    tl_peers *p = calloc(1, sizeof *p);
    if (!p)
        return TL_ERR_NOMEM;
    p->config = *config;
    p->events = *events;
    p->user = user;
    p->next_path = 1;
    p->due = TL_NEVER;
    tl_quic_config q = tl_quic_config_default(config->identity, config->rand);
    q.handshake_timeout = config->connect_within;
    q.keepalive = 0; /* our heartbeats keep the connection alive */
    tl_err e = tl_quic_new(&q, &p->quic);
    if (e) {
        free(p);
        return e;
    }
    tl_quic_set_held(p->quic, tl_traffic_is_held, p);
    tl_quic_set_known(p->quic, knows, p);
    tl_quic_set_groups(p->quic, group_of, p);
    e = tl_nodes_new(p);
    if (e) {
        tl_quic_free(p->quic);
        free(p);
        return e;
    }
    *ret_peers = p;
    return TL_OK;
}

void tl_peers_prove(tl_peers *p, const tl_node_id *id)
{
    tl_peer *peer = tl_peer_table_find(p->config.table, id);
    if (!peer || peer->proven)
        return;
    peer->proven = true;
    tl_peer_conn *conn;
    if (peer->contact)
        DL_FOREACH (peer->contact->conns, conn)
            tl_quic_conn_know(conn->quic);
}

const tl_peers_counters *tl_peers_counters_of(const tl_peers *p)
{
    return &p->counters;
}

const tl_quic_counters *tl_peers_quic_counters(const tl_peers *p)
{
    return tl_quic_counters_of(p->quic);
}

/* --- the link's and direct's events --- */

void tl_peers_on_registered(tl_peers *p)
{
    tl_contact *c;
    tl_peer_conn *conn;
    DL_FOREACH (p->contacts, c) {
        tl_contact_dial_on_registered(c);
        DL_FOREACH (c->conns, conn)
            tl_outage_on_registered(conn);
    }
    tl_nodes_on_registered(p);
    tl_peers_wake(p);
}

void tl_peers_on_ready(tl_peers *p, tl_path_id id)
{
    tl_path *path = tl_path_find(p, id);
    if (!path)
        return;
    tl_path_opened(path);
    tl_contact *c = tl_contact_find(p, &path->peer);
    tl_peer_conn *conn = tl_conn_of_path(p, path);
    if (c && c->dial_path == id)
        tl_contact_dial_on_ready(c);
    else if (conn && conn->outage.asked == id)
        tl_outage_on_ready(conn);
    p->sweep = true; /* the session may have come too late for both */
    tl_peers_wake(p);
}

void tl_peers_on_ended(tl_peers *p, tl_path_id id, const char *why)
{
    tl_path *path = tl_path_find(p, id);
    if (!path)
        return;
    tl_contact *c = tl_contact_find(p, &path->peer);
    tl_peer_conn *conn = tl_conn_of_path(p, path);
    bool warm = conn && conn->relayed == id && tl_conn_is_direct(conn);
    tl_path_drop(p, id, false);
    if (conn && conn->relayed == id)
        conn->relayed = 0;
    /* If the relay is lost, or what a node relayed, that says nothing of the peer. */
    size_t relay = tl_relays_telling(p->config.relays);
    bool relay_stands = relay < TL_RELAYS_MAX &&
                        tl_relay_link_is_registered(tl_relays_link(p->config.relays, relay));
    if (warm && relay_stands)
        tl_control_probe(conn, TL_PROBE_ENDED);
    bool refused = strcmp(why, "busy") == 0 || strcmp(why, "rate_limited") == 0;
    if (c && c->dial_path == id)
        tl_contact_dial_on_ended(c, why, refused);
    else if (conn && conn->outage.asked == id)
        tl_outage_on_ended(conn, refused);
    else if (conn && conn->connected)
        tl_conn_note(conn, TL_TASK_CHOOSE | TL_TASK_STRANDED | TL_TASK_SESSION);
    tl_peers_wake(p);
}

void tl_peers_on_relay_leaving(tl_peers *p, size_t relay)
{
    tl_contact *c;
    tl_peer_conn *conn;
    size_t at;
    DL_FOREACH (p->contacts, c)
        DL_FOREACH (c->conns, conn)
            if (conn->relayed && tl_relays_of(p->config.relays, conn->relayed, &at) && at == relay)
                tl_outage_replace_session(conn);
    tl_peers_wake(p);
}

void tl_peers_on_ways(tl_peers *p, const tl_node_id *id)
{
    tl_contact *c = tl_contact_find(p, id);
    tl_peer_conn *conn;
    if (!c)
        return;
    tl_contact_dial_on_ways(c);
    DL_FOREACH (c->conns, conn)
        tl_conn_note(conn, TL_TASK_CHOOSE);
}

void tl_peers_on_looked(tl_peers *p, const tl_node_id *id, const tl_whereabouts *where,
                        const char *why)
{
    tl_contact *c = tl_contact_find(p, id);
    if (where && p->introducers)
        tl_introducers_know(p->introducers, id, where);
    if (c)
        tl_contact_dial_on_looked(c, where ? NULL : why);
    tl_peers_wake(p);
}

void tl_peers_on_silent(tl_peers *p, const tl_node_id *id)
{
    tl_udp_way *w;
    DL_FOREACH (p->udp_ways, w)
        if (tl_node_id_eq(&w->peer, id))
            tl_udp_doubt(p, w);
    if (p->relayers) { /* the peer may ask to be introduced to us now */
        tl_relayers_doubt(p->relayers);
        tl_introducers_doubt(p->introducers);
    }
}

bool tl_peers_deals_with(const tl_peers *p, const tl_node_id *id)
{
    return tl_contact_find(p, id) != NULL;
}

/* --- told and asked --- */

void tl_peers_set_capabilities(tl_peers *p, json_t *capabilities)
{
    bool same = p->capabilities && json_equal(p->capabilities, capabilities);
    json_decref(p->capabilities);
    p->capabilities = capabilities;
    if (same)
        return;
    tl_contact *c;
    tl_peer_conn *conn;
    DL_FOREACH (p->contacts, c)
        DL_FOREACH (c->conns, conn)
            if (conn->control)
                tl_control_send_hello(conn);
    tl_peers_wake(p);
}

tl_err tl_peers_tell(tl_peers *p, const tl_node_id *peer, const char *name, json_t *payload)
{
    tl_contact *c = tl_contact_find(p, peer);
    tl_peer_conn *conn = c ? tl_contact_best(c) : NULL;
    if (conn && !conn->hello_seen) /* a second connection that has just begun */
        DL_FOREACH (c->conns, conn)
            if (conn->connected && conn->hello_seen)
                break;
    if (!conn)
        return TL_ERR_NOT_FOUND;
    tl_peers_wake(p);
    return tl_control_tell(conn, name, payload);
}

size_t tl_peers_beat(tl_peers *p)
{
    size_t told = 0;
    tl_contact *c;
    tl_peer_conn *conn;
    DL_FOREACH (p->contacts, c)
        DL_FOREACH (c->conns, conn)
            if (conn->control) {
                tl_control_beat(conn, NULL);
                told++;
            }
    tl_peers_wake(p);
    return told;
}

void tl_peers_say_goodbye(tl_peers *p, const char *reason)
{
    tl_contact *c;
    tl_peer_conn *conn;
    p->goodbye = true;
    DL_FOREACH (p->contacts, c)
        DL_FOREACH (c->conns, conn)
            if (conn->control)
                tl_control_send_goodbye(conn, reason);
    tl_peers_wake(p);
}

void tl_peers_close_all(tl_peers *p, const char *reason)
{
    tl_contact *c;
    tl_peer_conn *conn;
    tl_peers_run(p);
    DL_FOREACH (p->contacts, c)
        DL_FOREACH (c->conns, conn)
            tl_conn_close(conn, TL_CODE_GOODBYE, reason);
    tl_peers_run(p);
}

tl_via tl_peers_via(const tl_peers *p, tl_quic_stream *s)
{
    (void)p;
    const tl_peer_conn *conn = tl_quic_conn_user(tl_quic_stream_conn(s));
    return conn ? tl_conn_via(conn) : TL_VIA_RELAYED;
}

static void count_bytes(const tl_contact *c, tl_peer_facts *f)
{
    const tl_peer_conn *conn;
    f->bytes_in = c->gone_in;
    f->bytes_out = c->gone_out;
    DL_FOREACH (c->conns, conn) {
        f->bytes_in += tl_quic_conn_bytes_in(conn->quic);
        f->bytes_out += tl_quic_conn_bytes_out(conn->quic);
    }
}

static bool is_silent(const tl_peer_conn *conn)
{
    tl_time quiet = tl_peers_now(conn->peers) - tl_quic_conn_heard_at(conn->quic);
    return tl_conn_is_lost(conn) ||
           (conn->streams && quiet >= TL_PEERS_SILENT + 2 * tl_quic_conn_rtt(conn->quic));
}

bool tl_peers_facts(const tl_peers *p, const tl_peer *peer, tl_peer_facts *ret_facts)
{
    const tl_peer_conn *conn = peer->contact ? tl_contact_best(peer->contact) : NULL;
    if (!conn)
        return false;
    *ret_facts = (tl_peer_facts){.via = tl_conn_via(conn),
                                 .rtt = tl_quic_conn_rtt(conn->quic),
                                 .since = conn->path_since,
                                 .streams = conn->streams,
                                 .asked = conn->asked,
                                 .relay = TL_RELAYS_MAX,
                                 .why = conn->chosen,
                                 .connected_at = conn->connected_at,
                                 .dialled = conn->client,
                                 .lost = tl_conn_is_lost(conn),
                                 .silent = is_silent(conn)};
    count_bytes(peer->contact, ret_facts);
    const tl_path *session = conn->relayed ? tl_path_find(p, conn->relayed) : NULL;
    const tl_udp_way *w = session ? session->udp : NULL;
    if (conn->relayed)
        (void)tl_relays_of(p->config.relays, conn->relayed, &ret_facts->relay);
    ret_facts->by_node = tl_conn_by_node(conn, &ret_facts->node);
    ret_facts->by_udp = tl_conn_udp_way(conn) || ret_facts->by_node;
    ret_facts->udp = w ? w->state : TL_UDP_NONE;
    ret_facts->leg = w && w->leg ? w->leg->leg.state : TL_LEG_RESTING;
    tl_direct_way way;
    if (p->config.direct &&
        tl_direct_way_of(p->config.direct, tl_quic_conn_path(conn->quic), &way)) {
        ret_facts->remote = way.remote;
        ret_facts->by_tcp = way.tcp;
        ret_facts->rtt = ret_facts->rtt ? ret_facts->rtt : way.rtt;
    }
    return true;
}

tl_err tl_peers_ping(tl_peers *p, const tl_node_id *peer, tl_peer_pong *g)
{
    const tl_peer *found = tl_peer_table_find(p->config.table, peer);
    tl_peer_conn *conn = found && found->contact ? tl_contact_best(found->contact) : NULL;
    if (!conn || !conn->control)
        return TL_ERR_NOT_FOUND;
    tl_control_beat(conn, g);
    tl_peers_wake(p);
    return TL_OK;
}

void tl_peers_free(tl_peers *p)
{
    if (!p)
        return;
    tl_contact *c, *next_c;
    tl_peer_conn *conn, *next;
    DL_FOREACH_SAFE (p->contacts, c, next_c) {
        DL_FOREACH_SAFE (c->conns, conn, next) {
            tl_control_clear(conn);
            free(conn);
        }
        c->peer->contact = NULL;
        free(c);
    }
    tl_udp_free_all(p);
    if (p->relayers)
        tl_relays_join_nodes(p->config.relays, NULL);
    tl_introducers_free(p->introducers);
    tl_relayers_free(p->relayers);
    tl_paths_free(p);
    json_decref(p->capabilities);
    tl_quic_free(p->quic);
    free(p);
}
