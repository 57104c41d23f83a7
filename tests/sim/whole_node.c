#include "whole_introducing.h"
#include "whole_lan.h"
#include "whole_model.h"
#include "whole_networks.h"
#include "whole_relaying.h"
#include "whole_udp.h"

#include <stdio.h>
#include <stdlib.h>
#include <utlist.h>

#define UPLINK 1 /* the link to the relay */

static void *must(void *p)
{
    if (!p)
        abort();
    return p;
}

static void must_ok(tl_err e)
{
    if (e)
        abort();
}

/* --- the environment --- */

static tl_time env_now(void *user)
{
    return sim_now(((whole_node *)user)->sim);
}

static tl_unix env_wall(void *user)
{
    const whole_node *n = user;
    return sim_wall(n->sim) + n->clock_off;
}

static void env_wake(void *user)
{
    whole_node *n = user;
    n->awake = true;
    sim_wake(n->host);
}

/* --- the WebSocket --- */

static tl_err wire_begin(void *wire, size_t n, uint8_t **ret_room)
{
    whole_node *w = wire;
    tl_buf_clear(&w->outgoing);
    must_ok(tl_buf_reserve(&w->outgoing, n, ret_room));
    w->begun = n;
    w->outgoing_as = TL_WS_TEXT;
    return TL_OK;
}

static void send_frame(whole_node *w, tl_ws_opcode opcode, tl_slice payload)
{
    tl_buf frame = {0};
    static const uint8_t mask[4] = {1, 2, 3, 4};
    must_ok(tl_buf_append(&frame, tl_slice_of(&w->uplink->epoch, 1)));
    must_ok(tl_ws_append(&frame, opcode, payload, mask));
    sim_send(w->host, UPLINK, tl_buf_begin(&frame), frame.len);
    tl_buf_clear(&frame);
}

static void wire_commit(void *wire)
{
    whole_node *w = wire;
    tl_buf_added(&w->outgoing, w->begun);
    send_frame(w, w->outgoing_as, tl_buf_slice(&w->outgoing));
}

void whole_node_ping(whole_node *n)
{
    if (n->connected)
        send_frame(n, TL_WS_PING, TL_SLICE_LIT("t"));
}

static tl_err wire_begin_binary(void *wire, size_t n, uint8_t **ret_room)
{
    tl_err e = wire_begin(wire, n, ret_room);
    ((whole_node *)wire)->outgoing_as = TL_WS_BINARY;
    return e;
}

static const tl_relay_wire wire = {wire_begin, wire_commit, wire_begin_binary};

static void on_datagram(void *user, uint32_t path, uint8_t *data, size_t n)
{
    whole_node *w = user;
    w->awake = true;
    if (whole_second_on_datagram(w, path, data, n))
        return;
    if (path == WHOLE_LAN_PATH) {
        whole_lan_on_datagram(w, data, n);
        return;
    }
    if (path != UPLINK) {
        whole_net_on_datagram(&w->net, data, n);
        return;
    }
    if (!w->connected || n < 1 || data[0] != w->uplink->epoch)
        return;
    for (size_t at = 1; at < n && w->connected;) {
        tl_ws_event ev;
        tl_ws_reader_next(&w->reader, data + at, n - at, &ev);
        if (ev.kind == TL_WS_EVENT_MORE || ev.kind == TL_WS_EVENT_FAIL)
            abort();
        at += ev.used;
        if (ev.kind == TL_WS_EVENT_MESSAGE && ev.opcode == TL_WS_TEXT)
            tl_relay_link_on_text(w->link, ev.payload, ev.n, sim_now(w->sim));
        else if (ev.kind == TL_WS_EVENT_MESSAGE)
            tl_relay_link_on_binary(w->link, ev.payload, ev.n);
        if (ev.kind == TL_WS_EVENT_CLOSE)
            whole_node_disconnect(w);
    }
}

static size_t local_count(void *user)
{
    return ((whole_node *)user)->n_models;
}

static const char *local_model(void *user, size_t i)
{
    return ((whole_node *)user)->models[i];
}

static const char *nothing(void *user)
{
    (void)user;
    return "";
}

static const char *not_hopeless(void *user)
{
    (void)user;
    return NULL;
}

static const char *serves(void *user, const char *model)
{
    const whole_node *n = user;
    for (size_t i = 0; i < n->n_models; i++)
        if (strcmp(n->models[i], model) == 0)
            return n->models[i];
    return NULL;
}

/* --- the link's events --- */

static tl_err discover(void *user, const char *model)
{
    whole_node *n = user;
    return tl_relays_discover(n->relays, model, sim_now(n->sim));
}

static void link_registered(void *user)
{
    whole_node *n = user;
    tl_direct_on_registered(n->direct);
    tl_peers_on_registered(n->peers);
    tl_router_on_relay(n->router);
}

static void link_refused(void *user, const char *code, const char *message)
{
    whole_node *n = user;
    (void)message;
    n->refused++;
    snprintf(n->refused_code, sizeof n->refused_code, "%s", code);
}

static void link_peer(void *user, const tl_relay_peer *peer)
{
    if (peer->in_clear)
        return;
    whole_node *n = user;
    tl_peer *p = must(tl_peer_table_get(&n->table, &peer->id));
    p->listed = true;
    (void)tl_peer_describe(p, peer->name, peer->capabilities);
}

static void link_discovered(void *user, const char *model, bool ok)
{
    tl_router_on_discovered(((whole_node *)user)->router, model, ok);
}

static tl_path_id link_asked(void *user, const tl_node_id *from)
{
    return tl_peers_on_asked(((whole_node *)user)->peers, from);
}

static void link_ready(void *user, tl_path_id path)
{
    tl_peers_on_ready(((whole_node *)user)->peers, path);
}

static void link_ended(void *user, tl_path_id path, const char *why)
{
    tl_peers_on_ended(((whole_node *)user)->peers, path, why);
}

static void link_datagram(void *user, tl_path_id path, uint8_t *data, size_t n)
{
    tl_peers_on_datagram(((whole_node *)user)->peers, path, data, n);
}

static void link_signal(void *user, tl_signal_type type, const tl_node_id *from, tl_slice payload)
{
    tl_direct_on_signal(((whole_node *)user)->direct, type, from, payload);
}

static void link_signal_failed(void *user, const char *session)
{
    tl_direct_on_signal_failed(((whole_node *)user)->direct, session);
}

/* --- what direct asks --- */

static const tl_direct_self *direct_self(void *user)
{
    return whole_net_self(&((whole_node *)user)->net);
}

static tl_err direct_signal(void *user, tl_signal_type type, const json_t *payload)
{
    return tl_relays_signal(((whole_node *)user)->relays, type, payload);
}

static tl_err direct_send(void *user, tl_sock sock, const tl_addr *to, const uint8_t *data,
                          size_t n, size_t segment)
{
    if (tl_sock_is_pipe(sock))
        return whole_lan_send(user, data, n, segment);
    return whole_net_send(&((whole_node *)user)->net, sock, to, data, n, segment);
}

static size_t direct_open(void *user, tl_sock *ret_socks, size_t n)
{
    return whole_net_open_sockets(&((whole_node *)user)->net, ret_socks, n);
}

static void direct_close(void *user, tl_sock sock)
{
    whole_net_close_socket(&((whole_node *)user)->net, sock);
}

static bool direct_welcome(void *user, const tl_node_id *peer)
{
    const whole_node *n = user;
    return tl_access_welcomes(&n->access, peer) || tl_peers_deals_with(n->peers, peer);
}

static tl_path_id direct_path(void *user, const tl_node_id *peer)
{
    return tl_peers_new_path(((whole_node *)user)->peers, peer);
}

static void direct_path_gone(void *user, tl_path_id path)
{
    tl_peers_free_path(((whole_node *)user)->peers, path);
}

/* --- the peers' events --- */

static void peers_stream(void *user, const tl_node_id *peer, tl_quic_stream *s)
{
    whole_node *n = user;
    size_t taken;
    if (!n->raw.p) {
        tl_server_on_stream(n->server, peer, s);
        return;
    }
    must_ok(tl_quic_stream_write(s, n->raw, n->raw_fin, &taken));
    if (taken != n->raw.n)
        abort();
}

static void peers_joined(void *user, const tl_peer *p)
{
    (void)p;
    ((whole_node *)user)->joined++;
}

static void peers_left(void *user, const tl_peer *p, const char *why)
{
    (void)p;
    (void)why;
    ((whole_node *)user)->left++;
}

static void peers_path(void *user, const tl_peer *p)
{
    (void)p;
    ((whole_node *)user)->path_changes++;
}

static const char *relay_wanted(void *user)
{
    return ((whole_node *)user)->no_relay ? "it uses no relay" : NULL;
}

static bool may_send(void *user, size_t relay)
{
    (void)relay;
    return !((whole_node *)user)->hold;
}

static uint32_t running(void *user)
{
    return (uint32_t)tl_server_running(((whole_node *)user)->server);
}

static void route_done(void *user, const tl_ask *ask, const tl_answer_head *head, tl_fail fail)
{
    (void)user;
    (void)ask;
    (void)head;
    (void)fail;
}

static void served_done(void *user, const tl_ask *ask, tl_fail fail, const tl_answer_end *end)
{
    (void)user;
    (void)ask;
    (void)fail;
    (void)end;
}

/* --- putting it together --- */

static void build(whole_node *n)
{
    tl_relay_link_events link_events = {
        link_registered, link_refused, link_peer,     link_discovered, link_asked,
        link_ready,      link_ended,   link_datagram, link_signal,     link_signal_failed};
    link_events.on_goodbye = whole_second_on_goodbye;
    if (!n->no_tokens)
        whole_udp_events(&link_events);
    static const tl_peers_events peers_events = {peers_stream,
                                                 peers_joined,
                                                 peers_left,
                                                 peers_path,
                                                 relay_wanted,
                                                 may_send,
                                                 running,
                                                 NULL,
                                                 whole_networks_on_hello,
                                                 whole_networks_on_told,
                                                 whole_node_bids,
                                                 .on_relay_doubted = whole_second_on_doubt,
                                                 .on_attached = whole_relaying_on_attached};
    static const tl_server_backend backend = {serves, whole_model_ask, served_done,
                                              whole_node_price};
    static const tl_router_world world = {local_count, local_model,  whole_model_ask, nothing,
                                          discover,    not_hopeless, nothing,         route_done};
    tl_env env = n->env = (tl_env){env_now, env_wall, env_wake, n};
    tl_asker_times times = {300 * TL_SEC, 120 * TL_SEC};
    static const tl_direct_world direct_world = {direct_self,
                                                 direct_signal,
                                                 direct_send,
                                                 direct_open,
                                                 direct_close,
                                                 direct_welcome,
                                                 direct_path,
                                                 direct_path_gone,
                                                 whole_introducing_ask,
                                                 whole_introducing_is,
                                                 .near = whole_lan_near,
                                                 .greet = whole_lan_greet,
                                                 .pipes = whole_lan_pipes};
    must_ok(tl_direct_new(&n->identity, &n->rand, &env, &direct_world, n, &n->direct));
    must_ok(tl_relays_new(&n->identity, &n->rand, &n->table, "sim", &link_events, n, &n->relays));
    n->link = tl_relays_link(n->relays, 0);
    tl_peers_config config = {.identity = &n->identity,
                              .rand = &n->rand,
                              .table = &n->table,
                              .relays = n->relays,
                              .direct = n->direct,
                              .udp = &whole_udp,
                              .udp_user = n,
                              .env = env,
                              .display_name = "sim",
                              .connect_within = 10 * TL_SEC};
    must_ok(tl_peers_new(&config, &peers_events, n, &n->peers));
    whole_moves_start(n);
    must_ok(tl_asker_new(&env, n->peers, &times, &n->asker));
    must_ok(tl_server_new(&env, &n->access, &n->policy, &backend, n, &n->server));
    must_ok(tl_router_new(&n->identity.id, &env, &n->access, &n->table, n->peers, n->asker, &world,
                          n, &n->router));
    whole_credit_start(n);
    whole_node_tell(n);
}

static void tear_down(whole_node *n)
{
    tl_router_free(n->router);
    tl_asker_free(n->asker);
    tl_server_free(n->server);
    whole_credit_stop(n);
    whole_model_stop(n);
    whole_moves_stop(n);
    tl_direct_free(n->direct);
    tl_peers_free(n->peers);
    n->peers = NULL;
    tl_relays_free(n->relays);
    tl_peer_table_clear(&n->table);
    tl_buf_clear(&n->outgoing);
    tl_ws_reader_clear(&n->reader);
}

static void run_direct(whole_node *n)
{
    tl_direct_event ev;
    while (tl_direct_next_event(n->direct, &ev))
        if (ev.type == TL_DIRECT_WAYS)
            tl_peers_on_ways(n->peers, &ev.peer);
        else
            whole_udp_on_silent(n, &ev.peer);
}

static void flush(void *user)
{
    whole_node *n = user;
    whole_networks_go_on(n);
    do {
        n->awake = false;
        if (n->retell) {
            n->retell = false;
            whole_node_tell(n);
        }
        whole_model_run(n);
        tl_router_run(n->router);
        tl_asker_run(n->asker);
        run_direct(n);
        tl_peers_run(n->peers);
    } while (whole_credit_step(n) || n->awake);
    whole_net_flush(&n->net);
}

static void on_timer(void *user)
{
    whole_node *n = user;
    whole_net_on_timer(&n->net);
    whole_relaying_on_timer(n);
    whole_introducing_on_timer(n);
    whole_second_on_timer(n);
    tl_direct_on_timer(n->direct);
    tl_peers_on_timer(n->peers);
    tl_reconnect_on_timer(n->moves.reconnect);
    tl_asker_on_timer(n->asker);
    tl_router_on_timer(n->router);
    tl_server_on_timer(n->server);
    whole_credit_on_timer(n);
}

static tl_time expiry(void *user)
{
    whole_node *n = user;
    tl_time at = tl_time_min(tl_peers_expiry(n->peers), tl_asker_expiry(n->asker));
    at = tl_time_min(at, tl_time_min(tl_server_expiry(n->server), tl_router_expiry(n->router)));
    at = tl_time_min(at, tl_time_min(whole_model_expiry(n), whole_credit_expiry(n)));
    at = tl_time_min(at, tl_time_min(tl_direct_expiry(n->direct), whole_net_expiry(&n->net)));
    at = tl_time_min(
        at, tl_time_min(whole_relaying_expiry(n), tl_reconnect_expiry(n->moves.reconnect)));
    at = tl_time_min(at, whole_introducing_expiry(n));
    return tl_time_min(at, whole_second_expiry(n));
}

whole_node *whole_node_new_as(sim *s, relay_host *r, tl_time delay, const tl_identity *identity)
{
    static const sim_host_ops ops = {on_datagram, on_timer, expiry, flush};
    whole_node *n = must(calloc(1, sizeof *n));
    n->sim = s;
    n->rand = tl_rand_seeded(tl_rand_u64(sim_rand(s)));
    n->pieces = 1;
    n->fail_with = TL_FAIL_COUNT;
    n->policy = (tl_server_policy){1024, 30 * TL_SEC};
    n->access =
        (tl_access){.share_public = true, .ask_any = true, .sharing = true, .running = true};
    n->identity = *identity;
    n->host = sim_host_new(s, &ops, n);
    whole_net_init(&n->net, s, n->host, &n->rand, &whole_udp_net_events, n);
    build(n);
    n->uplink = relay_host_plug(r, n->host, delay);
    return n;
}

whole_node *whole_node_new(sim *s, relay_host *r, tl_time delay)
{
    tl_identity identity;
    must_ok(tl_identity_new(sim_rand(s), &identity));
    return whole_node_new_as(s, r, delay, &identity);
}

void whole_node_connect(whole_node *n)
{
    relay_host_connect(n->uplink);
    tl_ws_reader_init(&n->reader, false, 4 << 20);
    n->connected = true;
    tl_relay_link_on_open(n->link, RELAY_HOST_NAME, &wire, n, sim_now(n->sim));
    sim_wake(n->host);
}

void whole_node_disconnect(whole_node *n)
{
    if (!n->connected)
        return;
    n->connected = false;
    relay_host_disconnect(n->uplink);
    tl_relay_link_on_closed(n->link);
    tl_ws_reader_clear(&n->reader);
    env_wake(n);
}

void whole_node_restart(whole_node *n)
{
    n->connected = false;
    relay_host_disconnect(n->uplink);
    tear_down(n);
    build(n);
    whole_node_connect(n);
}

void whole_node_free(whole_node *n)
{
    tear_down(n);
    whole_relaying_free(n);
    whole_introducing_free(n);
    whole_second_free(n);
    whole_node_close_accounts(n);
    whole_net_clear(&n->net);
    tl_networks_free(n->book);
    json_decref(n->lies);
    json_decref(n->relayed_lies);
    free(n);
}
