#include "ask/router.h"

#include "ask/modelname.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <utlist.h>

/* A peer that fails later than this after it was asked is not asked again: 10 s are promised in
 * all. */
#define SECOND_CHANCE_WITHIN (5 * TL_SEC)

/*  NEW --a provider is known--> TRYING --the answer's head--> ANSWERING
 *  NEW, TRYING --none is known--> FINDING --the relay answered, came or went--> NEW
 *  TRYING --the provider failed--> TRYING (another one)
 *  any of them --answered, failed or cancelled--> freed
 *
 * There is an inner exchange in TRYING and ANSWERING, and in no other state. */
typedef enum {
    NEW,       /* the next tl_router_run looks for a provider */
    FINDING,   /* the relay is asked who serves the model */
    TRYING,    /* a provider has the question */
    ANSWERING, /* it answers: no other can take over */
} route_state;

typedef struct route {
    tl_exchange exchange; /* first: the handle */
    tl_router *router;
    tl_exchange_sink sink;
    void *user;
    route_state state;
    tl_ask ask;    /* its body is `body` */
    tl_buf body;   /* as asked */
    tl_buf sent;   /* with the model's name replaced; empty when it was not */
    bool searched; /* the relay was asked for this question */
    size_t n_tried;
    tl_node_id tried[TL_ROUTE_TRIES_MAX];
    tl_exchange *inner;
    bool local;          /* `inner` is the local model server's */
    tl_answer_head head; /* ANSWERING */
    bool paused;
    bool second_chance; /* the one that a question has was used: a provider was asked again */
    tl_time asked_at, tried_at;
    tl_time deadline; /* of FINDING; TL_NEVER before the first and while a provider has it */
    tl_fail fail;     /* of the last provider tried */
    char why[256];
    struct route *prev, *next;
} route;

struct tl_router {
    tl_node_id own;
    tl_env env;
    const tl_access *access;
    tl_peer_table *table;
    tl_peers *peers;
    tl_asker *asker;
    tl_router_world world;
    void *user;
    bool draining;
    route *routes;
    size_t running;
    bool any_new;
    tl_time due; /* may be too early */
    tl_router_counters counters;
};

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
    *ret_router = r;
    return TL_OK;
}

void tl_router_drain(tl_router *r)
{
    r->draining = true;
}

size_t tl_router_running(const tl_router *r)
{
    return r->running;
}

const tl_router_counters *tl_router_counters_of(const tl_router *r)
{
    return &r->counters;
}

static void set_state(route *x, route_state to)
{
    static const unsigned from[] = {[NEW] = 1u << FINDING,
                                    [FINDING] = 1u << NEW | 1u << TRYING,
                                    [TRYING] = 1u << NEW | 1u << TRYING,
                                    [ANSWERING] = 1u << TRYING};
    assert(from[to] & 1u << x->state);
    assert((to == ANSWERING) == (x->inner != NULL));
    x->state = to;
}

/* The provider under way no longer works for this route. */
static void let_go(route *x)
{
    assert(!x->inner || x->n_tried);
    if (x->inner && !x->local) {
        tl_peer *p = tl_peer_table_find(x->router->table, &x->tried[x->n_tried - 1]);
        if (p && p->asking)
            p->asking--;
    }
    x->inner = NULL;
}

static void free_route(route *x)
{
    tl_exchange *inner = x->inner;
    let_go(x);
    if (inner)
        tl_exchange_cancel(inner);
    tl_buf_clear(&x->body);
    tl_buf_clear(&x->sent);
    x->router->running--;
    DL_DELETE(x->router->routes, x);
    if (x->router->draining)
        tl_env_wake(&x->router->env); /* it may have been the last */
    free(x);
}

static void fail(route *x, tl_fail f, const char *why)
{
    tl_exchange_sink sink = x->sink;
    void *user = x->user;
    char text[256];
    snprintf(text, sizeof text, "%s", why);
    x->router->counters.failed++;
    x->router->world.on_done(x->router->user, &x->ask, &x->head, f);
    free_route(x);
    sink.on_fail(user, f, text);
}

/* --- the provider's answer --- */

static void next_provider(route *x);

static void on_head(void *user, const tl_answer_head *head)
{
    route *x = user;
    set_state(x, ANSWERING);
    x->head = *head;
    if (x->local) {
        x->head.peer = x->router->own;
        x->head.via = TL_VIA_LOCAL;
    }
    x->sink.on_head(x->user, &x->head);
}

static void on_body(void *user, tl_slice bytes)
{
    route *x = user;
    assert(x->state == ANSWERING && !x->paused);
    x->sink.on_body(x->user, bytes);
}

static void on_end(void *user, const tl_answer_end *end)
{
    route *x = user;
    tl_exchange_sink sink = x->sink;
    void *sink_user = x->user;
    assert(x->state == ANSWERING);
    x->router->counters.answered++;
    x->router->world.on_done(x->router->user, &x->ask, &x->head, TL_FAIL_COUNT);
    let_go(x);
    free_route(x);
    sink.on_end(sink_user, end);
}

/* What another provider may do better. */
static bool is_worth_another_try(tl_fail f)
{
    return f != TL_FAIL_TIMEOUT && f != TL_FAIL_CANCELLED && f != TL_FAIL_INTERNAL &&
           f != TL_FAIL_PAYMENT_REQUIRED;
}

static void on_fail(void *user, tl_fail f, const char *message)
{
    route *x = user;
    let_go(x);
    if (x->state == ANSWERING || !is_worth_another_try(f)) {
        fail(x, f, message);
        return;
    }
    x->fail = f;
    snprintf(x->why, sizeof x->why, "%s", message[0] ? message : tl_fail_name(f));
    tl_time now = tl_env_now(&x->router->env);
    if (f == TL_FAIL_PEER_FAILED && now - x->asked_at >= TL_ROUTE_FIND_WITHIN) {
        fail(x, f, message);
        return;
    }
    x->router->counters.retried++;
    /* A connection that had died unnoticed: the same peer is asked once more over a new one. */
    bool soon = now - x->tried_at < SECOND_CHANCE_WITHIN;
    if (f == TL_FAIL_PEER_FAILED && soon && !x->second_chance) {
        x->second_chance = true;
        x->n_tried--;
    }
    next_provider(x);
}

static const tl_exchange_sink inner_sink = {on_head, on_body, on_end, on_fail};

/* --- choosing --- */

static bool is_auto(const route *x)
{
    return strcmp(x->ask.model, TL_MODEL_AUTO) == 0;
}

static bool was_tried(const route *x, const tl_node_id *id)
{
    for (size_t i = 0; i < x->n_tried; i++)
        if (tl_node_id_eq(&x->tried[i], id))
            return true;
    return false;
}

/* The name under which `p` serves what is asked for; NULL if it does not. */
static const char *model_of_peer(const route *x, const tl_peer *p)
{
    if (is_auto(x))
        return p->n_models ? p->models[0] : NULL;
    return tl_peer_serves(p, x->ask.model) ? x->ask.model : NULL;
}

/* Compared in this order, smaller is better. */
typedef struct {
    uint64_t key[5];
} merit;

static bool is_failing(const route *x, const tl_peer *p)
{
    return tl_env_now(&x->router->env) < p->unusable_until;
}

static merit merit_of(const route *x, const tl_peer *p)
{
    tl_peer_facts facts = {0};
    bool connected = tl_peers_facts(x->router->peers, p, &facts);
    bool failing = is_failing(x, p);
    uint64_t load = p->asking > p->running ? p->asking : p->running;
    if (is_auto(x)) /* the best route: connected, then the better machine */
        return (merit){{failing, !connected, (uint64_t)p->tier, load, facts.rtt}};
    return (merit){{failing, load, !connected, facts.rtt, (uint64_t)p->tier}};
}

static bool is_better(const merit *a, const merit *b)
{
    for (size_t i = 0; i < sizeof a->key / sizeof *a->key; i++)
        if (a->key[i] != b->key[i])
            return a->key[i] < b->key[i];
    return false;
}

static tl_peer *choose_peer(const route *x)
{
    tl_peer *best = NULL, *p, *next;
    merit best_merit = {{0}};
    HASH_ITER (hh, x->router->table->peers, p, next) {
        if (!p->available || !model_of_peer(x, p) || was_tried(x, &p->id) ||
            tl_access_to_peer(x->router->access, &p->id))
            continue;
        merit m = merit_of(x, p);
        if (!best || is_better(&m, &best_merit)) {
            best = p;
            best_merit = m;
        }
    }
    return best;
}

/* The local server's name for what is asked for; NULL if it does not serve it. */
static const char *local_model(const route *x)
{
    tl_router *r = x->router;
    size_t n = r->world.local_count(r->user);
    if ((x->ask.has_peer && !tl_node_id_eq(&x->ask.peer, &r->own)) || was_tried(x, &r->own))
        return NULL;
    for (size_t i = 0; i < n; i++) {
        const char *model = r->world.local_model(r->user, i);
        if (is_auto(x) || strcmp(model, x->ask.model) == 0)
            return model;
    }
    return NULL;
}

/* --- trying --- */

/* x->ask with the body for `model`. */
static tl_err fit_body(route *x, const char *model)
{
    tl_buf_clear(&x->sent);
    x->ask.body = tl_buf_slice(&x->body);
    if (strcmp(model, x->ask.model) == 0)
        return TL_OK;
    tl_err e = tl_model_replace(x->ask.body, model, &x->sent);
    if (!e)
        x->ask.body = tl_buf_slice(&x->sent);
    return e;
}

/* `model` may lie in memory that goes when the list of models changes. */
static void try_provider(route *x, const tl_node_id *id, const char *model, bool local)
{
    tl_router *r = x->router;
    char name[TL_MODEL_MAX];
    snprintf(name, sizeof name, "%s", model);
    tl_err e = fit_body(x, name);
    if (e == TL_ERR_PROTO) {
        fail(x, TL_FAIL_INTERNAL, "the request's body has no single \"model\" to fill in");
        return;
    }
    tl_ask ask = x->ask;
    ask.has_peer = !local;
    ask.peer = *id;
    if (local)
        memcpy(ask.model, name, sizeof ask.model);
    x->tried[x->n_tried++] = *id;
    set_state(x, TRYING);
    x->tried_at = tl_env_now(&r->env);
    x->deadline = TL_NEVER;
    x->local = local;
    if (!e)
        e = local ? r->world.local_ask(r->user, &ask, &inner_sink, x, &x->inner)
                  : tl_asker_ask(r->asker, &ask, name, &inner_sink, x, &x->inner);
    if (e) {
        fail(x, TL_FAIL_UNAVAILABLE, "out of memory, or too many connections");
        return;
    }
    if (local)
        r->counters.local++;
    else
        tl_peer_table_find(r->table, id)->asking++;
    if (x->paused)
        tl_exchange_set_paused(x->inner, true);
}

/* --- finding --- */

static void no_provider(route *x)
{
    tl_router *r = x->router;
    char text[256];
    const char *local = r->world.local_error(r->user), *relay = r->world.relay_hopeless(r->user);
    if (x->why[0]) { /* somebody was asked: why it failed says more */
        fail(x, x->fail, x->why);
    } else if (!tl_access_asks_others(r->access)) {
        fail(x, TL_FAIL_NO_PROVIDER, "no member of your networks serves this model (setting: ask)");
    } else if (local[0] && relay) {
        fail(x, TL_FAIL_BACKEND_UNREACHABLE, local);
    } else if (relay || !x->searched) {
        snprintf(text, sizeof text,
                 "nobody known serves \"%.100s\", and no relay can be asked: %.100s", x->ask.model,
                 relay ? relay : r->world.relay_error(r->user));
        fail(x, TL_FAIL_NO_PROVIDER, text);
    } else {
        snprintf(text, sizeof text, "nobody at the relay serves \"%.150s\" now", x->ask.model);
        fail(x, is_auto(x) ? TL_FAIL_NO_PROVIDER : TL_FAIL_MODEL_NOT_LOADED, text);
    }
}

/* Asks the relay, now or as soon as it is connected. */
static void find(route *x)
{
    tl_router *r = x->router;
    if (x->searched || !tl_access_asks_others(r->access) || r->world.relay_hopeless(r->user)) {
        no_provider(x);
        return;
    }
    set_state(x, FINDING);
    if (x->deadline == TL_NEVER) {
        x->deadline = x->asked_at + TL_ROUTE_FIND_WITHIN;
        r->due = tl_time_min(r->due, x->deadline);
    }
    /* Not connected: tl_router_on_relay tries again, until the deadline; but whoever was asked
     * already has waited long enough. */
    if (r->world.discover(r->user, is_auto(x) ? "" : x->ask.model)) {
        if (x->why[0])
            no_provider(x);
        else
            tl_env_wake(&r->env);
    }
}

static void next_provider(route *x)
{
    tl_router *r = x->router;
    if (r->draining) {
        fail(x, TL_FAIL_UNAVAILABLE, "this node is shutting down");
        return;
    }
    if (x->n_tried == TL_ROUTE_TRIES_MAX || (x->n_tried && x->ask.has_peer)) {
        no_provider(x);
        return;
    }
    const char *model = local_model(x);
    if (model) {
        try_provider(x, &r->own, model, true);
        return;
    }
    tl_peer *p = x->ask.has_peer ? NULL : choose_peer(x);
    if (x->ask.has_peer && !tl_node_id_eq(&x->ask.peer, &r->own) &&
        !tl_access_to_peer(r->access, &x->ask.peer)) {
        /* Who was named is asked, whatever is known of it. */
        p = tl_peer_table_get(r->table, &x->ask.peer);
        if (!is_auto(x))
            model = x->ask.model;
    }
    if (p && !model)
        model = model_of_peer(x, p);
    /* Before one that failed a moment ago is asked again, the relay may know a better one. */
    bool look_first = p && model && !x->ask.has_peer && is_failing(x, p) && !x->searched &&
                      !r->world.relay_hopeless(r->user);
    if (p && model && !look_first)
        try_provider(x, &p->id, model, false);
    else
        find(x);
}

static void look_again(route *x)
{
    set_state(x, NEW);
    x->router->any_new = true;
}

void tl_router_on_discovered(tl_router *r, const char *model, bool ok)
{
    route *x;
    (void)ok; /* who is known by now is all there is */
    DL_FOREACH (r->routes, x)
        if (x->state == FINDING && strcmp(model, is_auto(x) ? "" : x->ask.model) == 0) {
            x->searched = true;
            look_again(x);
        }
    tl_env_wake(&r->env);
}

void tl_router_on_relay(tl_router *r)
{
    route *x;
    DL_FOREACH (r->routes, x)
        if (x->state == FINDING)
            look_again(x); /* its deadline stays */
    tl_env_wake(&r->env);
}

/* --- the handle --- */

static void cancel(tl_exchange *exchange)
{
    free_route((route *)exchange);
}

static void set_paused(tl_exchange *exchange, bool on)
{
    route *x = (route *)exchange;
    x->paused = on;
    if (x->inner)
        tl_exchange_set_paused(x->inner, on);
}

tl_err tl_router_ask(tl_router *r, const tl_ask *ask, const tl_exchange_sink *sink, void *user,
                     tl_exchange **ret_exchange)
{
    route *x = calloc(1, sizeof *x);
    if (!x)
        return TL_ERR_NOMEM;
    x->exchange = (tl_exchange){cancel, set_paused};
    x->router = r;
    x->sink = *sink;
    x->user = user;
    x->ask = *ask;
    x->asked_at = tl_env_now(&r->env);
    x->deadline = TL_NEVER;
    if (tl_buf_append(&x->body, ask->body)) {
        free(x);
        return TL_ERR_NOMEM;
    }
    DL_APPEND(r->routes, x);
    r->running++;
    r->counters.asked++;
    r->any_new = true;
    tl_env_wake(&r->env);
    *ret_exchange = &x->exchange;
    return TL_OK;
}

/* --- driving --- */

static route *next_new(const tl_router *r)
{
    route *x;
    DL_FOREACH (r->routes, x)
        if (x->state == NEW)
            return x;
    return NULL;
}

void tl_router_run(tl_router *r)
{
    if (!r->any_new)
        return;
    /* A call of a sink may change the list: each search begins anew. */
    for (route *x; (x = next_new(r));)
        next_provider(x);
    r->any_new = false;
}

/* Also finds out when the next one will be. */
static route *next_overdue(tl_router *r, tl_time now)
{
    route *x;
    r->due = TL_NEVER;
    DL_FOREACH (r->routes, x) {
        if (x->state == FINDING && now >= x->deadline)
            return x;
        r->due = tl_time_min(r->due, x->deadline);
    }
    return NULL;
}

void tl_router_on_timer(tl_router *r)
{
    tl_time now = tl_env_now(&r->env);
    if (now < r->due)
        return;
    for (route *x; (x = next_overdue(r, now));)
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what was freed left its list */
        no_provider(x);
}

tl_time tl_router_expiry(const tl_router *r)
{
    return r->due;
}

void tl_router_free(tl_router *r)
{
    if (!r)
        return;
    while (r->routes)
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what was freed left its list */
        free_route(r->routes);
    free(r);
}
