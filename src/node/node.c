#include "node/accounts.h"
#include "node/lan_state.h"
#include "node/names.h"
#include "node/reach.h"
#include "node/state.h"
#include "node/verbs.h"

#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* --- driving --- */

static void finish_drain(tl_node *n);

static tl_time expiry(const tl_node *n)
{
    tl_time at = tl_time_min(tl_peers_expiry(n->peers), tl_asker_expiry(n->asker));
    at = tl_time_min(at, tl_time_min(tl_direct_expiry(n->direct), tl_legacy_expiry(n->legacy)));
    at = tl_time_min(at, tl_time_min(tl_server_expiry(n->server), tl_router_expiry(n->router)));
    at = tl_time_min(at, tl_node_bids_expiry(n));
    at = tl_time_min(at, tl_reconnect_expiry(n->reconnect));
    at = tl_time_min(at, tl_node_slots_expiry(n));
    at = tl_time_min(at, tl_node_dht_expiry(n));
    at = tl_time_min(at, tl_time_min(tl_node_relaying_expiry(n), tl_node_introducing_expiry(n)));
    at = tl_time_min(at, tl_time_min(tl_node_relayed_expiry(n), tl_node_again_expiry(n)));
    at = tl_time_min(at, tl_time_min(tl_node_keeping_expiry(n), tl_node_aside_expiry(n)));
    at = tl_time_min(at, tl_node_lan_expiry(n));
    if (n->credit)
        at = tl_time_min(at, tl_credit_expiry(n->credit));
    at = tl_time_min(at, tl_time_min(tl_node_scope_expiry(n), tl_node_reciprocity_expiry(n)));
    at = tl_time_min(at, tl_node_fragments_expiry(n));
    if (n->members && n->stage == TL_NODE_RUNNING)
        at = tl_time_min(at, tl_members_expiry(n->members));
    return n->stage >= TL_NODE_DRAINING && n->stage < TL_NODE_GONE
               ? tl_time_min(at, n->drain_deadline)
               : at;
}

static void note(tl_node_sign *s, uint64_t count, tl_time now)
{
    if (count != s->count)
        *s = (tl_node_sign){count, now};
}

static void run(void *user)
{
    tl_node *n = user;
    tl_node_go_on_with_claims(n);
    /* Each part's work may give another part work. After 8 rounds the rest waits for the next turn
     * of the loop. */
    for (int i = 0; i < 8; i++) {
        n->again = false;
        if (n->credit)
            tl_credit_run(n->credit);
        tl_calls_run(n);
        tl_node_run_members(n);
        tl_node_follow_book(n);
        tl_node_follow_relayed(n);
        tl_node_run_keeping(n);
        tl_node_run_aside(n);
        tl_router_run(n->router);
        tl_asker_run(n->asker);
        tl_slots_run(n->slots);
        tl_legacy_run(n->legacy);
        tl_node_run_direct(n);
        tl_node_run_relaying(n);
        tl_node_run_introducing(n);
        tl_node_beat_bids(n);
        if (n->backend) /* a question is on its way to the model server before its peer hears that it came */
            tl_backend_go(n->backend);
        tl_peers_run(n->peers);
        if (!n->again)
            break;
    }
    tl_time now = tl_loop_now(n->loop);
    note(&n->late, tl_direct_counters_of(n->direct)->offers_refused[TL_OFFER_LATE], now);
    note(&n->holes, tl_peers_quic_counters(n->peers)->black_holes, now);
    tl_relay_pair_rearm(n->client);
    finish_drain(n);
    tl_timer_set(&n->timer, n->table.looks.behind ? now : expiry(n));
}

void tl_node_wake(tl_node *n)
{
    n->again = true;
    tl_loop_defer(n->loop, &n->work, run, n);
}

static void on_timer(void *user)
{
    tl_node *n = user;
    tl_direct_on_timer(n->direct);
    tl_peers_on_timer(n->peers);
    tl_reconnect_on_timer(n->reconnect);
    tl_asker_on_timer(n->asker);
    tl_legacy_on_timer(n->legacy);
    tl_router_on_timer(n->router);
    tl_server_on_timer(n->server);
    tl_node_slots_on_timer(n);
    tl_node_relaying_on_timer(n);
    tl_node_dht_on_timer(n);
    tl_node_introducing_on_timer(n);
    tl_node_again_on_timer(n);
    tl_node_lan_on_timer(n);
    if (n->credit)
        tl_credit_on_timer(n->credit);
    if (n->members && n->stage == TL_NODE_RUNNING)
        tl_members_on_timer(n->members);
    tl_node_reciprocity_on_timer(n);
    tl_node_keeping_on_timer(n);
    tl_node_fragments_on_timer(n);
    tl_node_wake(n);
}

static tl_time env_now(void *user)
{
    return tl_loop_now(((tl_node *)user)->loop);
}

static tl_unix env_wall(void *user)
{
    (void)user;
    return tl_loop_unix();
}

static void env_wake(void *user)
{
    tl_node_wake(user);
}

/* --- life --- */

static void set_name(tl_node *n)
{
    snprintf(n->name, sizeof n->name, "%s", n->settings.display_name);
    if (!n->name[0] && gethostname(n->name, sizeof n->name - 1))
        snprintf(n->name, sizeof n->name, "node");
    if (!tl_utf8_is(tl_slice_str(n->name)))
        snprintf(n->name, sizeof n->name, "node");
}

tl_err tl_node_new(tl_loop *loop, const tl_settings *settings, const tl_identity *identity,
                   const char *port_file, const char *store, tl_node **ret_node, tl_why *why)
{
    tl_node *n = calloc(1, sizeof *n);
    tl_sysinfo *info = malloc(sizeof *info);
    if (!n || !info) {
        free(n);
        free(info);
        return tl_why_set(why, TL_ERR_NOMEM, "out of memory");
    }
    n->loop = loop;
    n->settings = *settings;
    n->identity = *identity;
    if (port_file)
        snprintf(n->port_file, sizeof n->port_file, "%s", port_file);
    n->rand = tl_rand_system();
    n->env = (tl_env){env_now, env_wall, env_wake, n};
    n->ptns_until = TL_PTN_NO_END;
    n->started = tl_loop_now(loop);
    tl_node_id_write(n->hex, &identity->id);
    set_name(n);
    tl_sysinfo_read("", info);
    tl_hardware_parse(info, &n->hardware);
    free(info);
    tl_timer_init(&n->timer, loop, on_timer, n);
    tl_err e = store ? tl_node_open_store(n, store, why) : TL_OK;
    if (e) {
        tl_node_free(n);
        return e;
    }
    e = tl_networks_new(&identity->id, &n->book);
    if (!e)
        e = tl_node_open_reciprocity(n);
    if (!e)
        e = tl_node_wire(n);
    if (!e)
        e = tl_node_wire_credit(n);
    if (e) {
        tl_node_free(n);
        return tl_why_set(why, e, "the node could not be set up: %s", tl_err_name(e));
    }
    e = tl_node_open_names(n, why);
    if (!e)
        e = tl_node_open_members(n, why);
    if (!e && (e = tl_node_load_reciprocity(n)))
        e = tl_why_set(why, e, "what others did for this node could not be read: %s",
                       tl_err_name(e));
    if (!e)
        e = tl_node_open_fragments(n, store, why);
    if (!e)
        e = tl_node_open_keeping(n, why);
    if (e) {
        tl_node_free(n);
        return e;
    }
    *ret_node = n;
    return TL_OK;
}

void tl_node_set_option_of(tl_node *n, const char *(*option_of)(void *user, const char *key),
                           void *user)
{
    n->option_of = option_of;
    n->option_user = user;
}

tl_err tl_node_start(tl_node *n, tl_why *why)
{
    tl_node_read_pause(n);
    tl_err e = tl_node_apply_share(n, why);
    if (e)
        return e;
    n->stage = TL_NODE_RUNNING;
    tl_node_begin_aside(n);
    tl_node_apply_access(n);
    tl_node_tell_capabilities(n);
    tl_node_apply_network(n);
    tl_node_read_relayed(n);
    tl_node_again_members(n);
    tl_node_apply_relay(n);
    tl_node_wake(n);
    return TL_OK;
}

void tl_node_free(tl_node *n)
{
    if (!n)
        return;
    n->stage = TL_NODE_GONE;
    tl_node_keep_deeds(n);
    tl_node_stop_store(n); /* what waited is stored, and told while all parts are there */
    tl_node_free_keeping(n);
    tl_node_stop_credit(n);
    tl_relay_pair_free(n->client);
    tl_router_free(n->router);
    tl_asker_free(n->asker);
    tl_legacy_free(n->legacy);
    tl_server_free(n->server);
    tl_slots_free(n->slots);
    tl_backend_free(n->backend);
    tl_node_close_members(n);
    tl_node_close_fragments(n);
    tl_reconnect_free(n->reconnect);
    tl_node_free_again(n);
    tl_node_free_lan(n);
    tl_direct_free(n->direct); /* gives back path ids of peers */
    tl_peers_free(n->peers);
    tl_node_free_relaying(n);
    tl_node_free_dht(n);
    tl_node_free_introducing(n);
    tl_network_free(n->network);
    tl_relays_free(n->relays);
    tl_peer_table_clear(&n->table);
    tl_calls_clear(n);
    tl_node_bids_clear(n);
    tl_reciprocity_free(n->deeds);
    tl_node_free_names(n);
    tl_networks_free(n->book);
    tl_node_free_store(n);
    tl_node_free_credit(n);
    json_decref(n->ptns_told);
    tl_timer_stop(&n->timer);
    tl_defer_cancel(n->loop, &n->work);
    tl_identity_clear(&n->identity);
    free(n);
}

const tl_networks *tl_node_networks(const tl_node *n)
{
    return n->book;
}

const char *tl_node_name_of(const tl_node *n)
{
    return n->name;
}

bool tl_node_has_backend(const tl_node *n)
{
    return n->backend && tl_backend_state_of(n->backend) != TL_BACKEND_NONE;
}

const tl_node_id *tl_node_id_of(const tl_node *n)
{
    return &n->identity.id;
}

/* --- draining: DRAINING until nothing runs, LEAVING until the relay has taken our goodbye --- */

static void network_stopped(void *user)
{
    tl_node *n = user;
    n->network_stopped = true;
    tl_node_wake(n);
}

static void leave(tl_node *n)
{
    n->stage = TL_NODE_LEAVING;
    tl_node_save_relayed(n);
    tl_node_save_dht(n);
    tl_node_drop_ptn_calls(n);
    tl_calls_end(n);
    n->drain_deadline = tl_loop_now(n->loop) + TL_NODE_GOODBYE_WITHIN;
    tl_legacy_stop(n->legacy);
    tl_peers_close_all(n->peers, "shutting down");
    tl_node_leave_lan(n);
    tl_relay_pair_stop(n->client, "shutting down");
    n->network_stopped = !n->network;
    if (n->network) {
        n->drain_deadline += TL_NODE_UNMAP_WITHIN;
        tl_network_stop(n->network, network_stopped, n);
    }
}

static void finish_drain(tl_node *n)
{
    tl_time now = tl_loop_now(n->loop);
    bool idle = tl_server_is_idle(n->server) && tl_legacy_is_idle(n->legacy) &&
                !tl_router_running(n->router) && tl_node_relaying_is_over(n);
    if (n->stage == TL_NODE_DRAINING && (idle || now >= n->drain_deadline))
        leave(n);
    if (n->stage == TL_NODE_LEAVING &&
        ((tl_relay_pair_is_closed(n->client) && n->network_stopped && tl_node_store_is_idle(n)) ||
         now >= n->drain_deadline)) {
        n->stage = TL_NODE_GONE;
        n->on_drained(n->drained_user);
    }
}

void tl_node_drain(tl_node *n, tl_time deadline, void (*on_done)(void *user), void *user)
{
    n->on_drained = on_done;
    n->drained_user = user;
    if (n->stage >= TL_NODE_DRAINING)
        deadline = 0; /* the second call: end at once */
    else
        n->stage = TL_NODE_DRAINING;
    n->drain_deadline = deadline;
    tl_node_apply_access(n);
    tl_router_drain(n->router);
    tl_node_apply_slots(n, false);
    tl_node_leave_relaying(n);
    tl_node_tell_capabilities(n);
    tl_peers_say_goodbye(n->peers, "shutting down");
    tl_node_wake(n);
}

/* --- questions --- */

tl_err tl_node_ask(tl_node *n, const tl_ask *ask, const tl_exchange_sink *sink, void *user,
                   tl_exchange **ret_exchange)
{
    if (ask->named && n->credit)
        return tl_node_ask_named(n, ask, sink, user, ret_exchange);
    return tl_router_ask(n->router, ask, sink, user, ret_exchange);
}
