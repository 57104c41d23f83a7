/* Hands the events of each part to the others. */
#include "node/accounts.h"
#include "node/lan_state.h"
#include "node/names.h"
#include "node/reach.h"
#include "node/state.h"
#include "node/unreached.h"

#include "ask/modelname.h"
#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>

#define RELAY_TIME_MIN 1735689600.0 /* 2025-01-01 */

/* --- the model server --- */

static bool is_up(const tl_node *n)
{
    return n->backend && tl_backend_state_of(n->backend) == TL_BACKEND_UP;
}

static size_t local_count(void *user)
{
    const tl_node *n = user;
    return is_up(n) ? tl_backend_model_count(n->backend) : 0;
}

static const char *local_model(void *user, size_t i)
{
    const tl_node *n = user;
    return tl_backend_model(n->backend, i);
}

static const char *local_error(void *user)
{
    const tl_node *n = user;
    return n->backend && !is_up(n) ? tl_backend_error(n->backend) : "";
}

static tl_err ask_backend(void *user, const tl_ask *ask, const tl_exchange_sink *sink,
                          void *sink_user, tl_exchange **ret_exchange)
{
    tl_node *n = user;
    return tl_backend_ask(n->backend, ask, sink, sink_user, ret_exchange);
}

bool tl_node_is_shared(const tl_node *n, const char *model)
{
    const tl_string_list *only = &n->settings.share_models;
    for (size_t i = 0; i < only->n; i++)
        if (tl_model_fits(only->item[i], model) != TL_MODEL_OTHER)
            return true;
    return only->n == 0;
}

const char *tl_node_serves(const tl_node *n, const char *model)
{
    const char *best = NULL;
    tl_model_fit best_fit = TL_MODEL_OTHER;
    size_t count = is_up(n) ? tl_backend_model_count(n->backend) : 0;
    for (size_t i = 0; i < count; i++) {
        const char *listed = tl_backend_model(n->backend, i);
        tl_model_fit fit = tl_model_fits(model, listed);
        if (fit < best_fit && tl_node_is_shared(n, listed)) {
            best = listed;
            best_fit = fit;
        }
    }
    return best;
}

static const char *serves(void *user, const char *model)
{
    return tl_node_serves(user, model);
}

void tl_node_tell_capabilities(tl_node *n)
{
    if (n->aside.state >= TL_ASIDE_LEAVING)
        return; /* peers would believe it of the machine that is this node now */
    size_t count = local_count(n), n_models = 0;
    const char **models = calloc(count ? count : 1, sizeof *models);
    if (!models)
        return;
    for (size_t i = 0; i < count; i++)
        if (tl_node_is_shared(n, tl_backend_model(n->backend, i)))
            models[n_models++] = tl_backend_model(n->backend, i);
    json_t *bids = tl_node_idle_bids(n), *ptns = tl_node_ptns(n);
    json_t *relay = tl_node_relaying_capability(n);
    json_t *relayed_by = tl_node_relayed_capability(n);
    json_t *introduces = tl_node_introduces_capability(n);
    json_t *introduced_by = tl_node_introduced_capability(n);
    if (tl_peers_relayers(n->peers))
        tl_relayers_set_relaying(tl_peers_relayers(n->peers), relay != NULL);
    tl_capabilities c = {.hardware = &n->hardware,
                         .models = models,
                         .n_models = n_models,
                         .available = n_models && tl_access_serves_others(&n->access) &&
                                      !tl_node_is_paused(n),
                         .paused = n_models && tl_node_is_paused(n),
                         .requests_max = n->settings.requests_max,
                         .bids = bids,
                         .ptns = ptns,
                         .relay = relay,
                         .relayed_by = relayed_by,
                         .fragments = tl_node_takes_fragments(n),
                         .introduces = introduces,
                         .introduced_by = introduced_by,
                         .members_only = n_models && tl_access_for_strangers(&n->access) &&
                                         tl_access_serves_others(&n->access)};
    json_t *for_relay = tl_capabilities_json(&c), *for_peers = tl_capabilities_json(&c);
    free(models);
    json_decref(bids);
    json_decref(ptns);
    json_decref(relay);
    json_decref(relayed_by);
    json_decref(introduces);
    json_decref(introduced_by);
    if (for_relay)
        tl_relays_set_capabilities(n->relays, for_relay);
    if (for_peers)
        tl_peers_set_capabilities(n->peers, for_peers);
}

/* --- the relay --- */

/* A relay that tells no time, or one from before this program existed, tells nothing. */
static void keep_time(tl_node *n)
{
    double date = tl_relay_link_date(tl_relays_link(n->relays, tl_relays_telling(n->relays))) +
                  TL_UNIX_TO_SIGNAL_DATE;
    bool told = date > RELAY_TIME_MIN;
    double behind = date - (double)tl_loop_unix();
    bool off = told && (behind > TL_OFFER_SKEW_SECONDS || behind < -TL_OFFER_SKEW_SECONDS);
    n->relay_time_known = told;
    n->relay_ahead = date - (double)tl_loop_now(n->loop) / (double)TL_SEC;
    if (off && !n->clock_told)
        tl_log(TL_LOG_WARN,
               "this machine's clock is %.0f s %s the relay's: peers refuse our offers of direct "
               "paths; set the clock (timedatectl set-ntp true)",
               behind < 0 ? -behind : behind, behind < 0 ? "ahead of" : "behind");
    n->clock_told = off;
}

static void link_registered(void *user)
{
    tl_node *n = user;
    keep_time(n);
    tl_relay_pair_registered(n->client);
    tl_err e = tl_node_ask_everybody(n); /* so that the providers are known before a question */
    if (e)
        tl_log(TL_LOG_DEBUG, "relay: cannot ask who is there: %s", tl_err_name(e));
    if (n->network)
        tl_node_set_relay_udp(n);
    tl_direct_on_registered(n->direct);
    tl_peers_on_registered(n->peers);
    tl_router_on_relay(n->router);
}

static void link_refused(void *user, const char *code, const char *message)
{
    tl_node *n = user;
    if (!strcmp(code, "replaced"))
        tl_node_keeping_doubt(n);
    tl_relay_pair_refused(n->client, code, message);
}

static void link_peer(void *user, const tl_relay_peer *peer)
{
    tl_node *n = user;
    tl_peer *p = tl_peer_table_get(&n->table, &peer->id);
    if (!p)
        return;
    tl_peer_is_listed_as(&n->table, p, peer->in_clear);
    p->listed = true;
    p->round = n->table.round;
    p->nat_type = peer->nat_type;
    /* What the peer said over its own connection is newer, and the relay cannot have invented
     * it. */
    if (!p->contact || !p->n_models)
        (void)tl_peer_describe(p, peer->name, peer->capabilities);
}

static void link_discovered(void *user, const char *model, bool ok)
{
    tl_node *n = user;
    if (!model[0] && ok) {
        tl_peer_table_end_round(&n->table);
        tl_node_look_for_members(n);
        tl_node_on_listed(n);
    }
    tl_router_on_discovered(n->router, model, ok);
    if (!model[0])
        tl_node_looks_done(n);
}

static tl_path_id link_asked(void *user, const tl_node_id *from)
{
    return tl_peers_on_asked(((tl_node *)user)->peers, from);
}

static void link_ready(void *user, tl_path_id path)
{
    tl_node *n = user;
    tl_peers_on_ready(n->peers, path);
    tl_legacy_on_ready(n->legacy, path);
}

static void link_ended(void *user, tl_path_id path, const char *why)
{
    tl_node *n = user;
    tl_peers_on_ended(n->peers, path, why);
    tl_legacy_on_ended(n->legacy, path, why);
}

static void link_datagram(void *user, tl_path_id path, uint8_t *data, size_t len)
{
    tl_node *n = user;
    if (!tl_node_old_datagram(n, path, tl_slice_of(data, len)))
        tl_peers_on_datagram(n->peers, path, data, len);
}

static void link_offer(void *user, tl_path_id path, const tl_relay_offer *offer)
{
    tl_peers_on_offer(((tl_node *)user)->peers, path, offer);
}

static void link_warning(void *user, tl_path_id path, tl_unix ends_at)
{
    tl_node *n = user;
    tl_log(TL_LOG_INFO, "relay: a session ends in %lld s; another way is being looked for",
           (long long)(ends_at - tl_loop_unix()));
    tl_peers_on_warning(n->peers, path);
}

static void link_goodbye(void *user, unsigned in_seconds)
{
    tl_relay_pair_goodbye(((tl_node *)user)->client, in_seconds);
}

static void link_payload(void *user, uint8_t *data, size_t len)
{
    tl_peers_on_payload(((tl_node *)user)->peers, data, len);
}

static void link_signal(void *user, tl_signal_type type, const tl_node_id *from, tl_slice payload)
{
    tl_node_signalled(user, type, from, payload);
}

static void link_signal_failed(void *user, const char *session)
{
    tl_direct_on_signal_failed(((tl_node *)user)->direct, session);
}

/* The relay's word alone makes no entry: who joined is listed, with its models and its proven key,
 * by the discovery that the next look begins. So does one that it does not name. */
static void link_presence(void *user, const tl_node_id *peer, bool joined)
{
    tl_node *n = user;
    if (joined)
        n->list_is_old = true;
    else
        tl_peer_table_left(&n->table, peer);
}

tl_err tl_node_ask_everybody(tl_node *n)
{
    bool running = n->discovering; /* then the relay is not asked twice */
    tl_err e = tl_relays_discover(n->relays, "", tl_loop_now(n->loop));
    if (e)
        return e;
    if (running)
        return TL_OK;
    n->list_is_old = false;
    n->discovered_at = tl_loop_now(n->loop);
    n->discovering = true;
    tl_relay_pair_rearm(n->client);
    tl_peer_table_begin_round(&n->table);
    return TL_OK;
}

static tl_err discover(void *user, const char *model)
{
    tl_node *n = user;
    tl_err e = model[0] ? tl_relays_discover(n->relays, model, tl_loop_now(n->loop))
                        : tl_node_ask_everybody(n);
    if (e == TL_ERR_CLOSED)
        tl_relay_pair_hurry(n->client);
    return e;
}

bool tl_node_wants_no_relay(const tl_node *n)
{
    return n->settings.wan_enabled && !n->settings.wan_relay_url.n;
}

static const char *relay_hopeless(void *user)
{
    return tl_unreached_relay(user);
}

static const char *relay_error(void *user)
{
    const tl_node *n = user;
    const char *error = tl_relay_pair_error(n->client);
    return error[0] ? error : "still connecting";
}

static void client_leaving(void *user, size_t i)
{
    tl_peers_on_relay_leaving(((tl_node *)user)->peers, i);
}

static void client_state(void *user, size_t i)
{
    static const char *const names[] = {"offline", "connecting", "connected"};
    tl_node *n = user;
    const tl_relay_client *c = tl_relay_pair_client(n->client, i);
    if (c)
        tl_node_emit(n, "RelayState",
                     json_pack("{s:s, s:s, s:s}", "state", names[tl_relay_client_state(c)], "relay",
                               tl_relay_client_url(c), "error", tl_relay_client_error(c)));
    if (tl_relay_pair_state(n->client) == TL_RELAY_OFF)
        tl_router_on_relay(n->router);
    tl_node_wake(n);
}

static void client_writable(void *user)
{
    tl_node_wake(user);
}

/* --- peers --- */

static void peers_stream(void *user, const tl_node_id *peer, tl_quic_stream *s)
{
    tl_server_on_stream(((tl_node *)user)->server, peer, s);
}

static void peers_joined(void *user, const tl_peer *p)
{
    tl_node_emit_peer(user, "PeerJoined", p, NULL);
    tl_node_dht_reached(user, p);
}

static void peers_left(void *user, const tl_peer *p, const char *why)
{
    tl_node *n = user;
    if (n->members)
        tl_members_on_left(n->members, &p->id);
    tl_node_again_left(n, &p->id);
    tl_node_lan_left(n, &p->id);
    tl_node_emit_peer(user, "PeerLeft", p, why);
    if (n->router && n->stage != TL_NODE_GONE)
        tl_router_on_left(n->router);
}

static void peers_path(void *user, const tl_peer *p)
{
    tl_node_emit_peer(user, "PathChanged", p, NULL);
    tl_node_dht_reached(user, p);
}

static void peers_hello(void *user, const tl_peer *p)
{
    tl_node *n = user;
    if (n->members)
        tl_members_on_hello(n->members, &p->id);
    tl_node_credit_hello(n, &p->id);
    tl_node_fragments_hello(n, &p->id);
    tl_node_again_hello(n, &p->id);
    tl_node_lan_hello(n, &p->id);
    tl_router_on_hello(n->router, &p->id);
    tl_node_relayed_dealt(n);
}

static void peers_told(void *user, const tl_peer *p, const char *name, const json_t *payload)
{
    tl_node *n = user;
    if (n->members && strncmp(name, "ptn", 3) == 0)
        tl_members_on_told(n->members, &p->id, name, payload);
    else
        (void)tl_node_credit_told(user, &p->id, name, payload); /* else a newer node's */
}

static const char *peers_relay_wanted(void *user)
{
    const tl_node *n = user;
    tl_relay_pair_hurry(n->client);
    return tl_unreached_peer(n);
}

static bool peers_may_send(void *user, size_t relay)
{
    return !tl_relay_pair_is_full(((tl_node *)user)->client, relay);
}

static void peers_relay_doubted(void *user, size_t relay)
{
    tl_relay_pair_doubt_one(((tl_node *)user)->client, relay);
}

static uint32_t peers_running(void *user)
{
    return (uint32_t)tl_server_running(((tl_node *)user)->server);
}

static bool peers_is_member(void *user, const tl_node_id *peer)
{
    return tl_access_is_member(&((tl_node *)user)->access, peer);
}

static bool peers_keeps(void *user, const tl_node_id *peer)
{
    return tl_access_keeps(&((tl_node *)user)->access, peer);
}

/* --- requests --- */

/* `peer` zero: nobody answered. */
static void emit_request(tl_node *n, const char *role, const tl_ask *ask, const tl_node_id *peer,
                         tl_fail fail)
{
    static const tl_node_id nobody;
    char hex[TL_NODE_ID_HEX + 1];
    if (!n->listeners)
        return;
    tl_node_id_write(hex, peer);
    tl_node_emit(n, "Request",
                 json_pack("{s:s, s:s, s:s, s:s?, s:s}", "request", ask->id, "role", role, "model",
                           ask->model, "peer", tl_node_id_eq(peer, &nobody) ? NULL : hex, "result",
                           fail == TL_FAIL_COUNT ? "ok" : tl_fail_name(fail)));
}

static void route_done(void *user, const tl_ask *ask, const tl_answer_head *head, tl_fail fail)
{
    if (fail == TL_FAIL_COUNT && head->via != TL_VIA_PLAINTEXT)
        tl_peers_prove(((tl_node *)user)->peers, &head->peer);
    emit_request(user, "asked", ask, &head->peer, fail);
}

static void served_done(void *user, const tl_ask *ask, tl_fail fail, const tl_answer_end *end)
{
    tl_node *n = user;
    if (fail == TL_FAIL_COUNT && !end->refused)
        tl_peers_prove(n->peers, &ask->requester);
    if (fail == TL_FAIL_COUNT && end->streamed) {
        tl_paces_note(tl_router_paces(n->router), &n->identity.id, ask->model, end->tokens_out,
                      end->streamed);
        tl_node_bids_are_stale(n);
    }
    emit_request(user, "served", ask, &ask->requester, fail);
}

/* Nothing proves who asks in clear. */
static void served_in_clear(void *user, const tl_ask *ask, tl_fail fail, const tl_answer_end *end)
{
    (void)end;
    emit_request(user, "served", ask, &ask->requester, fail);
}

/* --- putting it together --- */

static tl_err wire_peers(tl_node *n)
{
    static const tl_relay_link_events link_events = {
        link_registered, link_refused, link_peer,     link_discovered, link_asked,
        link_ready,      link_ended,   link_datagram, link_signal,     link_signal_failed,
        link_presence,   link_offer,   link_warning,  link_payload,    link_goodbye};
    static const tl_relay_pair_events client_events = {client_state, client_writable,
                                                       client_leaving};
    static const tl_peers_events peers_events = {peers_stream,
                                                 peers_joined,
                                                 peers_left,
                                                 peers_path,
                                                 peers_relay_wanted,
                                                 peers_may_send,
                                                 peers_running,
                                                 peers_is_member,
                                                 peers_hello,
                                                 peers_told,
                                                 .keeps = peers_keeps,
                                                 .bids = tl_node_bids_json,
                                                 .on_relay_doubted = peers_relay_doubted,
                                                 .on_attached = tl_node_on_attached,
                                                 .on_relayed = tl_node_on_relayed,
                                                 .is_door = tl_node_is_door,
                                                 .on_sought = tl_node_on_sought,

                                                 .on_introducible = tl_node_on_introducible};
    tl_err e =
        tl_relays_new(&n->identity, &n->rand, &n->table, n->name, &link_events, n, &n->relays);
    if (!e)
        e = tl_node_wire_direct(n);
    if (!e)
        e = tl_relay_pair_new(n->loop, &n->rand, n->relays, &client_events, n, &n->client);
    if (e)
        return e;
    tl_peers_config config = {.identity = &n->identity,
                              .rand = &n->rand,
                              .table = &n->table,
                              .relays = n->relays,
                              .direct = n->direct,
                              .udp = &tl_node_udp,
                              .udp_user = n,
                              .env = n->env,
                              .connect_within = n->settings.timeout_connect_secs * TL_SEC};
    memcpy(config.display_name, n->name, sizeof config.display_name);
    return tl_peers_new(&config, &peers_events, n, &n->peers);
}

static const char *alias_of(void *user, const tl_node_id *peer)
{
    const tl_node *n = user;
    return tl_naming_alias(&n->names->naming, peer);
}

tl_err tl_node_wire(tl_node *n)
{
    static const tl_server_backend server_backend = {serves, tl_node_ask_for_others, served_done,
                                                     tl_node_price};
    static const tl_server_backend in_clear = {serves, tl_node_ask_for_others, served_in_clear,
                                               tl_node_price};
    static const tl_router_world world = {
        local_count,         local_model,          ask_backend, local_error,     discover,
        relay_hopeless,      relay_error,          route_done,  tl_node_ask_old, tl_node_lan_look,
        tl_node_lan_is_near, tl_node_lan_has_near, alias_of};
    tl_server_policy policy = {0};
    tl_asker_times times = {0};
    tl_err e = wire_peers(n);
    if (!e)
        e = tl_node_wire_reconnect(n);
    if (!e)
        e = tl_node_wire_again(n);
    if (!e)
        e = tl_node_wire_lan(n);
    if (!e)
        e = tl_asker_new(&n->env, n->peers, &times, &n->asker);
    if (!e)
        e = tl_server_new(&n->env, &n->access, &policy, &server_backend, n, &n->server);
    if (!e)
        e = tl_node_wire_slots(n);
    if (!e)
        e = tl_node_wire_legacy(n, &in_clear);
    if (!e)
        e = tl_router_new(&n->identity.id, &n->env, &n->access, &n->table, n->peers, n->asker,
                          &world, n, &n->router);
    if (!e) {
        tl_node_apply_limits(n);
        tl_node_apply_prices(n);
    }
    return e;
}
