/* Which provider is asked next: gathers what is known of each, and lets ask/rank.c decide. */
#include "ask/router_state.h"

#include <stdio.h>
#include <stdlib.h>

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

static bool may_ask(const tl_route *x, const tl_peer *p)
{
    tl_route_network n;
    return tl_route_may_ask(x, p, &n);
}

size_t tl_route_left_alone(const tl_route *x)
{
    size_t n = 0;
    for (const tl_peer *p = x->router->table->peers; p; p = p->hh.next)
        n += p->in_clear && p->listed && tl_route_serves(x, p) && !may_ask(x, p);
    return n;
}

/* --- the facts --- */

/* Until when the node stands behind those that have not failed; 0: it does not. */
static tl_time behind_until(const tl_router *r, const tl_peer *p)
{
    tl_time until = tl_time_max(p->unusable_until, tl_merits_behind_until(&r->merits, &p->id));
    return tl_env_now(&r->env) < until ? until : 0;
}

static tl_rank_may may_of(const tl_route *x, const tl_peer *p, tl_route_network *ret_network)
{
    if (!tl_route_may_ask(x, p, ret_network))
        return p->in_clear ? TL_RANK_CLEAR : x->ask.scoped ? TL_RANK_NO_MEMBER : TL_RANK_PRIVATE;
    if (!p->available && !x->ask.has_peer)
        return p->paused ? TL_RANK_PAUSED : TL_RANK_CLOSED;
    return tl_route_was_tried(x, &p->id) ? TL_RANK_TRIED : TL_RANK_MAY;
}

/* A network's price is the one that its book tells; another node's is its bid, as far as it is
 * known. The old protocol knows no price. */
static void price_of(const tl_route *x, const tl_peer *p, tl_route_candidate *c)
{
    const tl_networks *book = x->router->access->book;
    const tl_bid *bid = tl_bids_find(&p->bids, c->model);
    tl_membership *n = c->network.given && book ? tl_networks_by_id(book, &c->network.id) : NULL;
    int64_t version = 0;
    if (n) {
        c->facts.price = tl_maybe_of(tl_ptn_price_of(n->ptn, &version));
        c->price_version = tl_maybe_of(version);
    } else if (p->in_clear) {
        c->facts.price = tl_maybe_of(0);
    } else if (bid) {
        c->facts.price = tl_maybe_of(bid->price);
        c->price_version = tl_maybe_of(bid->version);
    }
}

static void load_of(const tl_peer *p, tl_route_candidate *c)
{
    const tl_bid *bid = tl_bids_find(&p->bids, c->model);
    uint64_t told = p->running;
    if (bid && bid->has_slots) {
        c->facts.slots = bid->slots;
        c->facts.slots_free = bid->slots_free;
        c->facts.queued = bid->queued;
        told = (uint64_t)bid->slots - bid->slots_free + bid->queued;
    }
    c->facts.load = p->asking > told ? p->asking : told;
}

/* False: the peer does not list the model. */
static bool gather(const tl_route *x, const tl_peer *p, size_t known, tl_route_candidate *ret)
{
    tl_router *r = x->router;
    tl_peer_facts path = {0};
    tl_model_fit fit;
    tl_route_candidate c = {.peer = p, .model = model_of_peer(x, p, &fit)};
    if (!c.model && x->ask.has_peer && !tl_route_is_auto(x))
        c.model = x->ask.model; /* who was named is asked, whatever it lists */
    if (!c.model)
        return false;
    bool cold = x->warm.known && !tl_node_id_eq(&x->warm.node, &p->id);
    c.facts = (tl_rank_facts){.may = may_of(x, p, &c.network),
                              .in_clear = p->in_clear,
                              .behind_until = behind_until(r, p),
                              .fit = fit,
                              .unread = cold ? x->warm.bytes / 4 : 0,
                              .stranger = !tl_access_is_member(r->access, &p->id) &&
                                          !tl_merits_served(&r->merits, &p->id),
                              .speed = tl_paces_speed(&r->paces, &p->id, c.model),
                              .connected = tl_peers_facts(r->peers, p, &path),
                              .tier = p->tier,
                              .known = known};
    c.facts.member = c.network.given;
    c.facts.rtt = path.rtt;
    price_of(x, p, &c);
    load_of(p, &c);
    *ret = c;
    return true;
}

/* Room for all that the table can hold is kept from the first question on. */
static bool has_room(tl_router *r)
{
    if (!r->candidates)
        r->candidates = malloc(TL_PEERS_MAX * sizeof *r->candidates);
    return r->candidates;
}

/* All that list the model, in the order in which they came to be known; 0, too, when memory is
 * out. */
static size_t gather_all(const tl_route *x, tl_rank_field *ret_field)
{
    tl_router *r = x->router;
    size_t n = 0, known = 0;
    tl_rank_field field = tl_rank_begin(tl_route_is_auto(x), x->ask.max_price);
    if (!has_room(r))
        return 0;
    for (const tl_peer *p = r->table->peers; p && n < TL_PEERS_MAX; p = p->hh.next)
        if (gather(x, p, known++, &r->candidates[n]))
            tl_rank_see(&field, &r->candidates[n++].facts);
    *ret_field = field;
    return n;
}

/* The beginning of the conversation may be in somebody's cache. */
static void read_talk(tl_route *x)
{
    if (x->talk_read)
        return;
    x->talk_read = true;
    if (strcmp(x->ask.path, "/v1/chat/completions") == 0)
        x->talk = tl_warmth_read(&x->router->warmth, x->ask.model, tl_buf_slice(&x->body),
                                 tl_env_now(&x->router->env), &x->warm);
}

static bool best_peer(tl_route *x, tl_route_candidate *ret)
{
    const tl_router *r = x->router;
    const tl_route_candidate *best = NULL;
    tl_rank_field field;
    tl_rank_key best_key = {{0}};
    read_talk(x);
    size_t n = gather_all(x, &field);
    for (size_t i = 0; i < n; i++) {
        const tl_route_candidate *c = &r->candidates[i];
        if (c->facts.may != TL_RANK_MAY)
            continue;
        tl_rank_key key = tl_rank_key_of(&field, &c->facts);
        if (!best || tl_rank_before(&key, &best_key)) {
            best = c;
            best_key = key;
        }
    }
    if (best)
        *ret = *best;
    return best;
}

/* Who was named is asked, whatever is known of it, and nobody in its place. */
static bool named_peer(tl_route *x, tl_route_candidate *ret)
{
    tl_router *r = x->router;
    const tl_peer *p = x->n_tried ? NULL : tl_peer_table_get(r->table, &x->ask.peer);
    tl_rank_field field = tl_rank_begin(false, x->ask.max_price);
    read_talk(x);
    if (!p || !gather(x, p, 0, ret))
        return false;
    tl_rank_see(&field, &ret->facts);
    return ret->facts.may == TL_RANK_MAY;
}

const tl_peer *tl_route_too_dear(const tl_route *x, int64_t *ret_price)
{
    tl_rank_field field;
    const tl_peer *cheapest = NULL;
    size_t n = x->ask.max_price.given ? gather_all(x, &field) : 0;
    for (size_t i = 0; i < n; i++) {
        const tl_route_candidate *c = &x->router->candidates[i];
        bool meant = !x->ask.has_peer || tl_node_id_eq(&c->peer->id, &x->ask.peer);
        if (!meant || c->facts.may != TL_RANK_TOO_DEAR ||
            (cheapest && c->facts.price.value >= *ret_price))
            continue;
        cheapest = c->peer;
        *ret_price = c->facts.price.value;
    }
    return cheapest;
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

bool tl_route_choose(tl_route *x, tl_provider *ret_provider)
{
    tl_router *r = x->router;
    tl_route_candidate c;
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
    if (own_named || !(x->ask.has_peer ? named_peer(x, &c) : best_peer(x, &c)))
        return false;
    *ret_provider = (tl_provider){.id = c.peer->id,
                                  .in_clear = c.peer->in_clear,
                                  .failing = !x->ask.has_peer && c.facts.behind_until,
                                  .network = c.network,
                                  .price = c.facts.price,
                                  .price_version = c.price_version};
    snprintf(ret_provider->model, sizeof ret_provider->model, "%s", c.model);
    return true;
}

void tl_router_prepare(tl_router *r, const tl_ask *ask)
{
    tl_route x = {.router = r, .ask = *ask, .talk_read = true};
    tl_route_candidate c;
    if (!x.ask.max_price.given)
        x.ask.max_price = r->price_max;
    if (r->draining || (!x.ask.has_peer && local_model(&x)))
        return;
    bool found = x.ask.has_peer ? named_peer(&x, &c) : best_peer(&x, &c);
    if (found && !c.peer->in_clear)
        tl_standby_want(r->standby, &c.peer->id);
    else if (!found && !x.ask.has_peer)
        (void)!r->world.discover(r->user, tl_route_is_auto(&x) ? "" : x.ask.model);
}

/* --- the whole order, for people --- */

static void rank_local(const tl_route *x, tl_ranked *list, size_t *n)
{
    if (!local_model(x))
        return;
    list[*n] = (tl_ranked){.may = true,
                           .facts.price = {true, 0},
                           .has_network = x->ask.scoped,
                           .network = x->ask.network};
    snprintf(list[*n].reason, sizeof list->reason, "this machine's own model server has the model");
    ++*n;
}

tl_err tl_router_rank(tl_router *r, const tl_ask *ask, tl_ranked **ret_list, size_t *ret_n)
{
    tl_route x = {.router = r, .ask = *ask, .talk_read = true};
    tl_rank_field field;
    size_t done = 0;
    if (!x.ask.max_price.given)
        x.ask.max_price = r->price_max;
    if (!x.ask.path[0])
        snprintf(x.ask.path, sizeof x.ask.path, "/v1/chat/completions");
    size_t n = gather_all(&x, &field);
    tl_ranked *list = calloc(n + 1, sizeof *list);
    tl_rank_facts *facts = calloc(n + 1, sizeof *facts);
    size_t *order = calloc(n + 1, sizeof *order);
    for (size_t i = 0; facts && i < n; i++)
        facts[i] = r->candidates[i].facts;
    tl_err e = list && facts && order ? tl_rank_sort(&field, facts, n, order) : TL_ERR_NOMEM;
    if (!e)
        rank_local(&x, list, &done);
    for (size_t i = 0; !e && i < n; i++) {
        const tl_route_candidate *c = &r->candidates[order[i]];
        tl_ranked *to = &list[done++];
        *to = (tl_ranked){.peer = c->peer,
                          .may = c->facts.may == TL_RANK_MAY,
                          .facts = c->facts,
                          .has_network = c->network.given,
                          .network = c->network.id};
        tl_rank_reason(&field, &c->facts, i ? &facts[order[i - 1]] : NULL,
                       i + 1 < n ? &facts[order[i + 1]] : NULL, to->reason);
    }
    free(facts);
    free(order);
    if (e) {
        free(list);
        return e;
    }
    *ret_list = list;
    *ret_n = done;
    return TL_OK;
}
