#include "ask/modelname.h"
#include "ask/router_state.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <utlist.h>

/* For so long the relay is asked for a better provider than one that has just failed. */
#define FIND_BETTER_WITHIN (2500 * TL_MS)

static void on_met(void *user)
{
    tl_router_on_relay(user); /* who waits looks again */
}

void tl_router_on_listed(tl_router *r)
{
    tl_meet_look(r->meet);
    tl_standby_look(r->standby);
}

void tl_router_on_left(tl_router *r)
{
    tl_standby_look(r->standby);
}

tl_err tl_router_new(const tl_node_id *own, const tl_env *env, const tl_access *access,
                     tl_peer_table *table, tl_peers *peers, tl_asker *asker,
                     const tl_router_world *world, void *user, tl_router **ret_router)
{
    tl_router *r = calloc(1, sizeof *r);
    if (!r)
        return TL_ERR_NOMEM;
    *r = (tl_router){.own = *own,
                     .env = *env,
                     .access = access,
                     .table = table,
                     .peers = peers,
                     .asker = asker,
                     .world = *world,
                     .user = user,
                     .due = TL_NEVER};
    tl_err e = tl_meet_new(env, access, table, peers, on_met, r, &r->meet);
    if (!e)
        e = tl_standby_new(own, env, access, &r->merits, table, peers, &r->standby);
    if (e) {
        tl_meet_free(r->meet);
        free(r);
        return e;
    }
    *ret_router = r;
    return TL_OK;
}

void tl_router_drain(tl_router *r)
{
    r->draining = true;
}

void tl_router_set_price_max(tl_router *r, tl_maybe most)
{
    r->price_max = most;
}

tl_paces *tl_router_paces(tl_router *r)
{
    return &r->paces;
}

size_t tl_router_running(const tl_router *r)
{
    return r->running;
}

const tl_router_counters *tl_router_counters_of(const tl_router *r)
{
    return &r->counters;
}

void tl_route_set_state(tl_route *x, tl_route_state to)
{
    static const unsigned from[] = {
        [TL_ROUTE_NEW] = 1u << TL_ROUTE_FINDING,
        [TL_ROUTE_FINDING] = 1u << TL_ROUTE_NEW | 1u << TL_ROUTE_TRYING,
        [TL_ROUTE_TRYING] = 1u << TL_ROUTE_NEW | 1u << TL_ROUTE_FINDING | 1u << TL_ROUTE_TRYING,
        [TL_ROUTE_ANSWERING] = 1u << TL_ROUTE_NEW | 1u << TL_ROUTE_FINDING | 1u << TL_ROUTE_TRYING,
        [TL_ROUTE_ENDING] = 1u << TL_ROUTE_ANSWERING};
    assert(from[to] & 1u << x->state);
    assert(to == TL_ROUTE_TRYING ? tl_route_under_way(x) > 0
                                 : tl_route_under_way(x) <= (to == TL_ROUTE_ANSWERING));
    x->state = to;
}

void tl_route_set_deadline(tl_route *x, tl_time at)
{
    x->deadline = at;
    x->router->due = tl_time_min(x->router->due, at);
}

static void free_route(tl_route *x)
{
    tl_route_cancel_attempts(x);
    tl_route_unreach(x);
    tl_buf_clear(&x->body);
    tl_buf_clear(&x->held);
    tl_buf_clear(&x->refusal);
    x->router->running--;
    DL_DELETE(x->router->routes, x);
    if (x->gone)
        *x->gone = true;
    if (x->router->draining)
        tl_env_wake(&x->router->env); /* it may have been the last */
    free(x);
}

void tl_route_fail(tl_route *x, tl_fail f, const char *why)
{
    tl_exchange_sink sink = x->sink;
    void *user = x->user;
    char text[768];
    snprintf(text, sizeof text, "%s", why);
    tl_failure failure = {
        .fail = f, .message = text, .retry_after = f == TL_FAIL_QUEUE_FULL ? x->retry_after : 0};
    x->router->counters.failed++;
    x->router->world.on_done(x->router->user, &x->ask, &x->head, f);
    free_route(x);
    sink.on_fail(user, &failure);
}

void tl_route_finish(tl_route *x, const tl_answer_end *end)
{
    tl_exchange_sink sink = x->sink;
    void *user = x->user;
    tl_answer_end told = *end;
    x->router->counters.answered += !x->refused;
    x->router->counters.failed += x->refused;
    x->router->world.on_done(x->router->user, &x->ask, &x->head,
                             x->refused ? x->fail : TL_FAIL_COUNT);
    free_route(x);
    sink.on_end(user, &told);
}

void tl_route_give_in(tl_route *x)
{
    tl_answer_end end = {0};
    if (!x->has_refusal) {
        tl_route_fail(x, x->fail, x->why);
        return;
    }
    tl_buf rest = x->refusal;
    x->refusal = (tl_buf){0};
    x->refused = true;
    x->head = x->refusal_head;
    tl_route_set_deadline(x, TL_NEVER);
    tl_route_set_state(x, TL_ROUTE_ANSWERING);
    if (tl_route_tell_head(x))
        tl_route_tell_rest(x, &rest, &end);
    else
        tl_buf_clear(&rest);
}

/* --- finding --- */

/* There are nodes that this node does not ask in clear. */
static void tell_left_alone(tl_route *x, size_t n)
{
    char text[256];
    snprintf(
        text, sizeof text,
        "\"%.100s\" is served by %zu node%s of the old protocol alone, in clear through the relay "
        "(setting: legacy_plaintext)",
        x->ask.model, n, n == 1 ? "" : "s");
    tl_route_fail(x, TL_FAIL_NO_PROVIDER, text);
}

/* Is the peer that was named connected, and lists nothing that was asked for? */
static bool serves_nothing(const tl_route *x)
{
    tl_peer_facts facts;
    const tl_peer *p = tl_peer_table_find(x->router->table, &x->ask.peer);
    return p && tl_peers_facts(x->router->peers, p, &facts) && !tl_route_serves(x, p);
}

/* No relay was asked, for that cause. Where the local network was looked through, that comes first. */
static void say_unreached(const tl_route *x, const char *cause, char *ret, size_t cap)
{
    const tl_router *r = x->router;
    bool near = r->world.has_near && r->world.has_near(r->user);
    const char *nobody = near ? "nobody on the local network" : "nobody known";
    char peer[TL_NODE_ID_HEX + 1];
    tl_node_id_write(peer, &x->ask.peer);
    if (near && x->ask.has_peer)
        snprintf(ret, cap,
                 "the peer %.16s is not found on the local network, and no relay can be asked: "
                 "%.500s",
                 peer, cause);
    else if (tl_route_is_auto(x))
        snprintf(ret, cap, "%s shares a model, and no relay can be asked: %.500s", nobody, cause);
    else
        snprintf(ret, cap, "%s serves \"%.100s\", and no relay can be asked: %.500s", nobody,
                 x->ask.model, cause);
}

/* This node itself was named. `local`: why its model server cannot be asked, or "". */
static void fail_own(tl_route *x, const char *local)
{
    char text[TL_MODEL_MAX + 64];
    snprintf(text, sizeof text, "this node itself does not serve \"%.150s\"", x->ask.model);
    if (local[0])
        tl_route_fail(x, TL_FAIL_BACKEND_UNREACHABLE, local);
    else
        tl_route_fail(x, TL_FAIL_MODEL_NOT_LOADED, text);
}

static void no_provider(tl_route *x)
{
    tl_router *r = x->router;
    char text[768], peer[TL_NODE_ID_HEX + 1]; /* room for the relay's whole error */
    const tl_peer *dear;
    int64_t price;
    size_t left_alone = x->why[0] ? 0 : tl_route_left_alone(x);
    /* "qwen@famly": a network's name that is none reads as part of the model's. */
    const char *at = strrchr(x->ask.model, '@');
    char network[TL_MODEL_MAX + 48] = "";
    if (at && at[1])
        snprintf(network, sizeof network, " (this node is in no network \"%.100s\")", at + 1);
    const char *local = r->world.local_error(r->user), *relay = r->world.relay_hopeless(r->user);
    if (x->why[0]) { /* somebody was asked: why it failed says more */
        tl_route_give_in(x);
    } else if (x->ask.has_peer && tl_node_id_eq(&x->ask.peer, &r->own) && !x->ask.scoped) {
        fail_own(x, local);
    } else if ((dear = tl_route_too_dear(x, &price))) {
        tl_route_fail_too_dear(x, dear, price);
    } else if (x->ask.scoped) {
        tl_route_no_member(x);
    } else if (x->ask.has_peer && serves_nothing(x)) {
        tl_node_id_write(peer, &x->ask.peer);
        snprintf(text, sizeof text, "the peer %.16s is connected, and shares no model%s", peer,
                 tl_route_is_auto(x) ? " with this node" : " of that name");
        tl_route_fail(x, TL_FAIL_NO_PROVIDER, text);
    } else if (left_alone && (x->searched || x->ask.has_peer)) {
        tell_left_alone(x, left_alone);
    } else if (!tl_access_asks_others(r->access)) {
        tl_route_fail(x, TL_FAIL_NO_PROVIDER,
                      "no member of your networks serves this model (setting: ask)");
    } else if (local[0] && relay && !x->ask.has_peer) {
        tl_route_fail(x, TL_FAIL_BACKEND_UNREACHABLE, local);
    } else if (relay || !x->searched) {
        say_unreached(x, relay ? relay : r->world.relay_error(r->user), text, sizeof text);
        tl_route_fail(x, TL_FAIL_NO_PROVIDER, text);
    } else if (x->ask.has_peer) {
        tl_node_id_write(peer, &x->ask.peer);
        snprintf(text, sizeof text,
                 "the peer %.16s is not at the relay, or does not serve \"%.150s\"", peer,
                 x->ask.model);
        tl_route_fail(x, TL_FAIL_NO_PROVIDER, text);
    } else if (tl_route_fail_resting(x)) {
        return;
    } else if (!r->access->ask_any) {
        snprintf(
            text, sizeof text,
            "no member of this node's networks serves \"%.150s\" now, and no other node is asked "
            "(setting: ask)%s",
            x->ask.model, network);
        tl_route_fail(x, TL_FAIL_MODEL_NOT_LOADED, text);
    } else if (tl_route_is_auto(x)) {
        snprintf(text, sizeof text, "nobody in reach shares a model now%s%.500s",
                 local[0] ? ", and here: " : "", local);
        tl_route_fail(x, TL_FAIL_NO_PROVIDER, text);
    } else {
        snprintf(text, sizeof text, "nobody at the relay serves \"%.150s\" now%s", x->ask.model,
                 network);
        tl_route_fail(x, TL_FAIL_MODEL_NOT_LOADED, text);
    }
}

bool tl_route_search_name(const tl_route *x, char ret_name[TL_MODEL_MAX])
{
    if (tl_route_is_auto(x)) {
        ret_name[0] = 0;
        return x->searched == 0;
    }
    snprintf(ret_name, TL_MODEL_MAX, "%s", x->ask.model);
    return x->searched == 0 ||
           (x->searched == 1 && tl_model_latest(x->ask.model, ret_name, TL_MODEL_MAX));
}

/* Has the relay asked who serves the model, now or as soon as it is connected. `second_best`: somebody
 * is known already who has failed a moment ago. False: the relay is not asked. */
static bool search(tl_route *x, bool second_best)
{
    tl_router *r = x->router;
    char name[TL_MODEL_MAX];
    if (x->waited || !tl_access_asks_others(r->access) || r->world.relay_hopeless(r->user) ||
        !tl_route_search_name(x, name))
        return false;
    /* Not connected: tl_router_on_relay tries again. But a question for which somebody is known, or
     * was asked in vain, does not wait for that. */
    if (r->world.discover(r->user, name)) {
        if (second_best || x->why[0])
            return false;
        tl_env_wake(&r->env);
    }
    tl_time latest =
        tl_time_max(x->asked_at + TL_ROUTE_FIND_WITHIN, x->heard_at + FIND_BETTER_WITHIN);
    if (second_best)
        latest = tl_time_min(latest, tl_env_now(&r->env) + FIND_BETTER_WITHIN);
    tl_route_set_state(x, TL_ROUTE_FINDING);
    tl_route_set_deadline(x, tl_time_min(x->deadline, latest));
    return true;
}

void tl_route_go_on(tl_route *x)
{
    tl_provider c;
    int64_t price;
    if (x->router->draining) {
        tl_route_fail(x, TL_FAIL_UNAVAILABLE, "this node is shutting down");
        return;
    }
    if (tl_route_is_out(x))
        return;
    if (x->state == TL_ROUTE_TRYING)
        x->deadline = TL_NEVER;
    if (!tl_route_choose(x, &c)) {
        if (tl_route_reach(x))
            return;
        bool last = x->n_tried == TL_ROUTE_TRIES_MAX || (x->n_tried && x->ask.has_peer);
        bool waits = !last && search(x, tl_route_too_dear(x, &price));
        waits = !last && (tl_route_look_near(x, waits) || waits);
        if (last || !(tl_route_wait_for_members(x) || waits))
            no_provider(x);
    } else if ((!c.failing && (!c.in_clear || x->ask.has_peer)) || !search(x, true)) {
        tl_route_try(x, &c);
    }
}

static void look_again(tl_route *x)
{
    tl_route_set_state(x, TL_ROUTE_NEW);
    x->router->any_new = true;
}

void tl_router_on_discovered(tl_router *r, const char *model, bool ok)
{
    tl_route *x;
    char name[TL_MODEL_MAX];
    (void)ok; /* who is known by now is all there is */
    DL_FOREACH (r->routes, x)
        if (tl_route_search_name(x, name) && strcmp(model, name) == 0) {
            x->searched += x->searching || x->state == TL_ROUTE_FINDING;
            if (x->state == TL_ROUTE_FINDING)
                look_again(x);
            else if (x->searching && x->state == TL_ROUTE_TRYING)
                tl_route_set_deadline(x, tl_env_now(&r->env));
            x->searching = false;
        }
    tl_env_wake(&r->env);
}

void tl_router_on_relay(tl_router *r)
{
    tl_route *x;
    DL_FOREACH (r->routes, x)
        if (x->state == TL_ROUTE_FINDING)
            look_again(x); /* its deadline stays */
    tl_env_wake(&r->env);
}

/* --- the handle --- */

static void cancel(tl_exchange *exchange)
{
    free_route((tl_route *)exchange);
}

static void set_paused(tl_exchange *exchange, bool on)
{
    tl_route *x = (tl_route *)exchange;
    x->paused = on;
    x->resumed = !on && x->held.len;
    if (x->resumed) { /* from tl_router_run, not from inside this call; the provider waits for it */
        x->router->any_new = true;
        tl_env_wake(&x->router->env);
        return;
    }
    for (size_t i = 0; i < TL_ROUTE_TRIES_AT_ONCE; i++)
        if (x->attempts[i].exchange && !x->held.len) {
            tl_exchange_set_paused(x->attempts[i].exchange, on);
            x->attempts[i].heard = x->heard_at = tl_env_now(&x->router->env);
            x->attempts[i].held_up |= on;
        }
    /* While the sink is the slow one, nobody is overtaken; then patience begins anew. */
    if (x->state == TL_ROUTE_TRYING)
        tl_route_set_deadline(x, on ? TL_NEVER : tl_env_now(&x->router->env));
}

tl_err tl_router_ask(tl_router *r, const tl_ask *ask, const tl_exchange_sink *sink, void *user,
                     tl_exchange **ret_exchange)
{
    tl_route *x = calloc(1, sizeof *x);
    if (!x)
        return TL_ERR_NOMEM;
    x->exchange = (tl_exchange){cancel, set_paused, tl_route_progress};
    x->router = r;
    x->sink = *sink;
    x->user = user;
    x->ask = *ask;
    if (!x->ask.max_price.given)
        x->ask.max_price = r->price_max;
    x->asked_at = x->heard_at = tl_env_now(&r->env);
    x->deadline = TL_NEVER;
    if (tl_buf_append(&x->body, ask->body)) {
        free(x);
        return TL_ERR_NOMEM;
    }
    x->ask.body = tl_buf_slice(&x->body);
    DL_APPEND(r->routes, x);
    r->running++;
    r->counters.asked++;
    r->any_new = true;
    tl_env_wake(&r->env);
    *ret_exchange = &x->exchange;
    return TL_OK;
}

/* --- driving --- */

static tl_route *next_new(const tl_router *r)
{
    tl_route *x;
    DL_FOREACH (r->routes, x)
        if (x->state == TL_ROUTE_NEW || x->resumed)
            return x;
    return NULL;
}

void tl_router_run(tl_router *r)
{
    if (!r->any_new)
        return;
    /* A call of a sink may change the list: each search begins anew. */
    for (tl_route *x; (x = next_new(r));)
        if (x->resumed)
            tl_route_resume(x);
        else
            tl_route_go_on(x);
    r->any_new = false;
}

/* Also finds out when the next one will be. */
static tl_route *next_overdue(tl_router *r, tl_time now)
{
    tl_route *x;
    r->due = TL_NEVER;
    DL_FOREACH (r->routes, x) {
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what was freed left its list */
        if (now >= x->deadline)
            return x;
        r->due = tl_time_min(r->due, x->deadline);
    }
    return NULL;
}

void tl_router_on_timer(tl_router *r)
{
    tl_time now = tl_env_now(&r->env);
    tl_meet_on_timer(r->meet);
    tl_standby_on_timer(r->standby);
    if (now < r->due)
        return;
    for (tl_route *x; (x = next_overdue(r, now));)
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what was freed left its list */
        if (x->state == TL_ROUTE_TRYING) {
            tl_route_look(x);
        } else {
            /* FINDING, or NEW if the relay's word came in the same turn of the loop. Whoever is
             * known is asked, if only one that has failed. */
            x->waited = true;
            tl_route_go_on(x);
        }
}

tl_time tl_router_expiry(const tl_router *r)
{
    tl_time at = tl_time_min(tl_meet_expiry(r->meet), tl_standby_expiry(r->standby));
    return tl_time_min(r->due, at);
}

void tl_router_free(tl_router *r)
{
    if (!r)
        return;
    while (r->routes)
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what was freed left its list */
        free_route(r->routes);
    tl_merits_clear(&r->merits);
    tl_paces_clear(&r->paces);
    tl_warmth_clear(&r->warmth);
    free(r->candidates);
    tl_meet_free(r->meet);
    tl_standby_free(r->standby);
    free(r);
}
