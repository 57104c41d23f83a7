/* Which provider is asked next. */
#include "ask/modelname.h"
#include "ask/router_state.h"

#include <stdio.h>

/* A stranger is asked when a node that served us well has so many more questions under way. So
 * strangers come to be known, too, where there is work for more than one node. */
#define STRANGER_LOAD 2

bool tl_route_is_auto(const tl_route *x)
{
    return strcmp(x->ask.model, TL_MODEL_AUTO) == 0;
}

bool tl_route_was_tried(const tl_route *x, const tl_node_id *id)
{
    for (size_t i = 0; i < x->n_tried; i++)
        if (tl_node_id_eq(&x->tried[i], id))
            return true;
    return false;
}

/* The name under which `p` serves what is asked for, and how well it fits; NULL if it does not. */
static const char *model_of_peer(const tl_route *x, const tl_peer *p, tl_model_fit *ret_fit)
{
    const char *best = NULL;
    *ret_fit = TL_MODEL_OTHER;
    if (tl_route_is_auto(x)) {
        *ret_fit = TL_MODEL_SAME;
        return p->n_models ? p->models[0] : NULL;
    }
    for (size_t i = 0; i < p->n_models && *ret_fit != TL_MODEL_SAME; i++) {
        tl_model_fit fit = tl_model_fits(x->ask.model, p->models[i]);
        if (fit < *ret_fit) {
            best = p->models[i];
            *ret_fit = fit;
        }
    }
    return best;
}

bool tl_route_serves(const tl_route *x, const tl_peer *p)
{
    tl_model_fit fit;
    return model_of_peer(x, p, &fit);
}

/* Compared in this order, smaller is better. */
typedef struct {
    uint64_t key[8];
} merit;

/* Until when the node stands behind those that have not failed; 0: it does not. */
static tl_time behind_until(const tl_router *r, const tl_peer *p)
{
    tl_time until = tl_time_max(p->unusable_until, tl_merits_behind_until(&r->merits, &p->id));
    return tl_env_now(&r->env) < until ? until : 0;
}

static merit merit_of(const tl_route *x, const tl_peer *p, tl_model_fit fit)
{
    tl_router *r = x->router;
    tl_peer_facts facts = {0};
    bool connected = tl_peers_facts(r->peers, p, &facts);
    bool stranger =
        !tl_access_is_member(r->access, &p->id) && !tl_merits_served(&r->merits, &p->id);
    uint64_t behind = behind_until(r, p);
    uint64_t load = p->asking > p->running ? p->asking : p->running;
    uint64_t tier = (uint64_t)p->tier;
    if (tl_route_is_auto(x)) /* the best route: connected, then the better machine */
        return (merit){{p->in_clear, behind, fit, stranger, !connected, tier, load, facts.rtt}};
    load += stranger ? STRANGER_LOAD : 0;
    return (merit){{p->in_clear, behind, fit, load, stranger, !connected, facts.rtt, tier}};
}

static bool is_better(const merit *a, const merit *b)
{
    for (size_t i = 0; i < sizeof a->key / sizeof *a->key; i++)
        if (a->key[i] != b->key[i])
            return a->key[i] < b->key[i];
    return false;
}

static bool may_ask(const tl_route *x, const tl_peer *p)
{
    tl_route_network n;
    return tl_route_may_ask(x, p, &n);
}

size_t tl_route_left_alone(const tl_route *x)
{
    tl_model_fit fit;
    size_t n = 0;
    for (const tl_peer *p = x->router->table->peers; p; p = p->hh.next)
        n += p->in_clear && p->listed && model_of_peer(x, p, &fit) && !may_ask(x, p);
    return n;
}

static const tl_peer *best_peer(const tl_route *x)
{
    const tl_peer *best = NULL;
    tl_peer *p, *next;
    merit best_merit = {{0}};
    HASH_ITER (hh, x->router->table->peers, p, next) {
        tl_model_fit fit;
        if (!p->available || tl_route_was_tried(x, &p->id) || !may_ask(x, p) ||
            !model_of_peer(x, p, &fit))
            continue;
        merit m = merit_of(x, p, fit);
        if (!best || is_better(&m, &best_merit)) {
            best = p;
            best_merit = m;
        }
    }
    return best;
}

/* The local server's name for what is asked for; NULL if it does not serve it. */
static const char *local_model(const tl_route *x)
{
    tl_router *r = x->router;
    size_t n = r->world.local_count(r->user);
    const char *best = NULL;
    tl_model_fit fit, best_fit = TL_MODEL_OTHER;
    if (tl_route_was_tried(x, &r->own) ||
        (x->ask.scoped && !tl_access_serves(r->access, &x->ask.network)))
        return NULL;
    for (size_t i = 0; i < n && best_fit != TL_MODEL_SAME; i++) {
        const char *model = r->world.local_model(r->user, i);
        fit = tl_route_is_auto(x) ? TL_MODEL_SAME : tl_model_fits(x->ask.model, model);
        if (fit < best_fit) {
            best = model;
            best_fit = fit;
        }
    }
    return best;
}

/* Who was named is asked, whatever is known of it, and nobody in its place. */
static const tl_peer *named_peer(const tl_route *x)
{
    tl_router *r = x->router;
    const tl_peer *p = x->n_tried ? NULL : tl_peer_table_get(r->table, &x->ask.peer);
    return p && may_ask(x, p) ? p : NULL;
}

bool tl_route_choose(const tl_route *x, tl_provider *ret_provider)
{
    tl_router *r = x->router;
    if (x->n_tried == TL_ROUTE_TRIES_MAX)
        return false;
    bool own_named = x->ask.has_peer && tl_node_id_eq(&x->ask.peer, &r->own);
    const char *model = x->ask.has_peer && !own_named ? NULL : local_model(x);
    if (model) {
        *ret_provider =
            (tl_provider){.id = r->own, .local = true, .network = {x->ask.scoped, x->ask.network}};
        snprintf(ret_provider->model, sizeof ret_provider->model, "%s", model);
        return true;
    }
    if (own_named)
        return false;
    const tl_peer *p = x->ask.has_peer ? named_peer(x) : best_peer(x);
    if (!p)
        return false;
    tl_model_fit fit;
    model = model_of_peer(x, p, &fit);
    if (!model && x->ask.has_peer && !tl_route_is_auto(x))
        model = x->ask.model;
    if (!model)
        return false;
    *ret_provider = (tl_provider){
        .id = p->id, .in_clear = p->in_clear, .failing = !x->ask.has_peer && behind_until(r, p)};
    if (!tl_route_may_ask(x, p, &ret_provider->network))
        return false;
    snprintf(ret_provider->model, sizeof ret_provider->model, "%s", model);
    return true;
}
