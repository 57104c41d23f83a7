/* Asking providers: one, and beside it another when it is silent; the first byte decides. */
#include "ask/modelname.h"
#include "ask/refusal.h"
#include "ask/router_state.h"

#include <assert.h>
#include <stdio.h>

/* For so long a provider may be silent until another one is asked beside it. To one that is not
 * connected yet a session and a handshake take a few round trips. One that works says so every
 * TL_SERVER_PROGRESS_EVERY; a lost packet does not count as silence. */
#define PATIENCE_DIALLING    (1 * TL_SEC)
#define PATIENCE_ASKED       (2500 * TL_MS)
#define PATIENCE_WORKING     (2 * TL_SERVER_PROGRESS_EVERY + 1 * TL_SEC)
/* After this silence it makes room for another one, if two are under way: one that is connected and
 * said nothing, and one that has said that it works or sent a head. One that is not even connected
 * makes room at once. */
#define STALE_MUTE           (5 * TL_SEC)
#define STALE_WORKING        (10 * TL_SEC)
/* Where nobody gives any sign of life, no other is asked after this: a question that nobody answers
 * ends in time. */
#define BESIDE_WITHIN        (6 * TL_SEC)
/* How often it is looked whether another provider has come to be known. */
#define LOOK_EVERY           (5 * TL_SEC)
/* A peer that fails later than this after it was asked is not asked again: 10 s are promised in
 * all. */
#define SECOND_CHANCE_WITHIN (5 * TL_SEC)

static tl_time now_of(const tl_route *x)
{
    return tl_env_now(&x->router->env);
}

static tl_time later(tl_time t, tl_time by)
{
    return by > TL_NEVER - t ? TL_NEVER : t + by;
}

/* --- attempts --- */

static tl_buf take_held(tl_attempt *a)
{
    tl_buf held = a->held;
    a->route->router->held -= held.len;
    a->held = (tl_buf){0};
    return held;
}

/* The provider no longer works for this route. */
static tl_exchange *let_go(tl_attempt *a)
{
    tl_router *r = a->route->router;
    tl_exchange *exchange = a->exchange;
    tl_peer *p = a->local ? NULL : tl_peer_table_find(r->table, &a->id);
    if (p && p->asking)
        p->asking--;
    a->exchange = NULL;
    if (a->route->winner == a)
        a->route->winner = NULL;
    tl_buf held = take_held(a);
    tl_buf_clear(&held);
    return exchange;
}

void tl_route_drop(tl_attempt *a)
{
    tl_exchange_cancel(let_go(a));
    tl_buf_clear(&a->body);
}

/* Its exchange is over by itself. */
static void retire(tl_attempt *a)
{
    (void)let_go(a);
    tl_buf_clear(&a->body);
}

void tl_route_cancel_attempts(tl_route *x)
{
    for (size_t i = 0; i < TL_ROUTE_TRIES_AT_ONCE; i++)
        if (x->attempts[i].exchange)
            tl_route_drop(&x->attempts[i]);
}

size_t tl_route_under_way(const tl_route *x)
{
    size_t n = 0;
    for (size_t i = 0; i < TL_ROUTE_TRIES_AT_ONCE; i++)
        n += x->attempts[i].exchange != NULL;
    return n;
}

static bool is_connected(const tl_attempt *a)
{
    tl_peer_facts facts;
    const tl_peer *p = tl_peer_table_find(a->route->router->table, &a->id);
    if (a->in_clear)
        return true; /* there is nothing to connect but a session */
    return p && tl_peers_facts(a->route->router->peers, p, &facts);
}

static void blame(const tl_attempt *a, tl_blame what)
{
    if (!a->local)
        tl_merits_blame(&a->route->router->merits, &a->id, what, now_of(a->route));
}

/* From when on the provider counts as silent. Of one that works: at the limit for the first byte,
 * whatever it says; it may still come, but another one is asked, too. The model server of this
 * machine is never overtaken, nor is a peer that was named. */
static tl_time quiet_from(const tl_attempt *a)
{
    if (a->local || a->route->ask.has_peer)
        return TL_NEVER;
    tl_time patience = PATIENCE_ASKED;
    if (a->sign == TL_SIGN_WORKS)
        patience = PATIENCE_WORKING;
    else if (a->sign == TL_SIGN_NONE && !is_connected(a))
        patience = PATIENCE_DIALLING;
    return tl_time_min(a->heard + patience,
                       later(a->works_from, tl_asker_first_byte(a->route->router->asker)));
}

/* From when on it makes room. */
static tl_time stale_from(const tl_attempt *a)
{
    tl_time stale = a->sign != TL_SIGN_NONE ? STALE_WORKING : is_connected(a) ? STALE_MUTE : 0;
    return tl_time_max(quiet_from(a), a->heard + stale);
}

/* --- the provider's answer --- */

static void heard(tl_attempt *a)
{
    a->heard = a->route->heard_at = now_of(a->route);
}

static void on_progress(void *user, const tl_progress *progress)
{
    tl_attempt *a = user;
    tl_route_told(a, progress);
    /* A head and then nothing but words is how a bad provider would hold a question. */
    if (a->sign == TL_SIGN_HEAD && !tl_merits_served(&a->route->router->merits, &a->id))
        return;
    if (a->sign == TL_SIGN_NONE)
        a->sign = TL_SIGN_WORKS;
    heard(a);
}

static void on_head(void *user, const tl_answer_head *head)
{
    tl_attempt *a = user;
    assert(a->route->state == TL_ROUTE_TRYING && a->sign != TL_SIGN_HEAD);
    a->sign = TL_SIGN_HEAD;
    a->head = *head;
    a->head.has_network = a->network.given;
    a->head.network = a->network.id;
    if (a->local) {
        a->head.peer = a->id;
        a->head.via = TL_VIA_LOCAL;
        a->head.price = tl_maybe_of(0);
    }
    heard(a);
}

/* The answer is this one's. The others are left; those that were silent when it came have let the
 * question down. False: the sink has cancelled. */
static bool win(tl_route *x, tl_attempt *a)
{
    tl_time now = now_of(x);
    assert(a->sign == TL_SIGN_HEAD);
    for (size_t i = 0; i < TL_ROUTE_TRIES_AT_ONCE; i++) {
        tl_attempt *other = &x->attempts[i];
        if (other == a || !other->exchange)
            continue;
        if (now >= quiet_from(other))
            blame(other, TL_BLAME_SILENT);
        tl_route_drop(other);
    }
    x->head = a->head;
    x->winner = a->exchange ? a : NULL;
    tl_route_set_deadline(x, TL_NEVER);
    tl_route_set_state(x, TL_ROUTE_ANSWERING);
    return tl_route_tell_head(x);
}

bool tl_route_tell_head(tl_route *x)
{
    bool gone = false;
    x->gone = &gone;
    x->sink.on_head(x->user, &x->head);
    if (!gone)
        x->gone = NULL;
    return !gone;
}

void tl_route_tell_rest(tl_route *x, tl_buf *rest, const tl_answer_end *end)
{
    bool gone = false;
    x->end = *end;
    if (x->paused) { /* before the head, or inside it */
        assert(!x->held.len);
        x->held = *rest;
        *rest = (tl_buf){0};
    } else if (rest->len) {
        x->gone = &gone;
        x->sink.on_body(x->user, tl_buf_slice(rest));
        if (!gone)
            x->gone = NULL;
    }
    tl_buf_clear(rest);
    if (gone)
        return;
    if (x->held.len)
        tl_route_set_state(x, TL_ROUTE_ENDING);
    else
        tl_route_finish(x, end);
}

/* Another provider may have the model, or room for the question. */
static bool is_refusal(const tl_attempt *a)
{
    return a->head.status == 404 || a->head.status == 429;
}

static bool is_held(const tl_attempt *a)
{
    const tl_route *x = a->route;
    return x->state == TL_ROUTE_TRYING &&
           (is_refusal(a) || !tl_answer_is_live(x->ask.streaming, &a->head));
}

static void pass_on(tl_route *x, tl_slice bytes)
{
    if (!x->paused)
        x->sink.on_body(x->user, bytes);
    else if (tl_buf_append(&x->held, bytes)) /* the sink paused inside on_head */
        tl_route_fail(x, TL_FAIL_INTERNAL, "out of memory");
}

static void on_body(void *user, tl_slice bytes)
{
    tl_attempt *a = user;
    tl_route *x = a->route;
    assert(!x->paused && !x->held.len);
    a->body_at = a->body_at ? a->body_at : now_of(x);
    if (is_held(a)) {
        heard(a);
        if (tl_buf_append(&a->held, bytes)) {
            tl_route_fail(x, TL_FAIL_INTERNAL, "out of memory");
            return;
        }
        x->router->held += bytes.n;
        if (a->held.len <= TL_ANSWER_HELD_MAX && x->router->held <= TL_ROUTE_HELD_SUM)
            return;
        tl_buf all = take_held(a); /* too much to hold: it goes on, whatever may come behind it */
        if (win(x, a))
            pass_on(x, tl_buf_slice(&all));
        tl_buf_clear(&all);
        return;
    }
    if (x->state == TL_ROUTE_TRYING && !win(x, a))
        return;
    assert(x->winner == a);
    pass_on(x, bytes);
}

static void failed(tl_attempt *a, const tl_failure *failure);

/* The whole refusal is here: it is shown if nobody else answers. */
static void on_refusal(tl_attempt *a, tl_buf *body)
{
    tl_route *x = a->route;
    char server[192], why[256];
    tl_route_whose(a, server, sizeof server);
    snprintf(why, sizeof why, "%s answers with status %d", server, a->head.status);
    tl_buf_clear(&x->refusal);
    x->refusal_head = a->head;
    if (a->local) {
        x->refusal = *body;
        *body = (tl_buf){0};
        x->has_refusal = true;
    } else {
        x->has_refusal = !tl_refusal_write(tl_buf_slice(body), a->head.status, server, &x->refusal);
        snprintf(x->refusal_head.content_type, sizeof x->refusal_head.content_type,
                 "application/json");
    }
    tl_buf_clear(body);
    failed(a, &(tl_failure){.fail = a->head.status == 404 ? TL_FAIL_MODEL_NOT_LOADED
                                                          : TL_FAIL_QUEUE_FULL,
                            .message = why});
}

static void on_end(void *user, const tl_answer_end *end)
{
    tl_attempt *a = user;
    tl_route *x = a->route;
    tl_buf held = take_held(a);
    retire(a);
    if (x->state == TL_ROUTE_TRYING && is_refusal(a)) {
        on_refusal(a, &held);
        return;
    }
    if (!a->local && a->head.status < 300)
        tl_merits_praise(&x->router->merits, &a->id);
    tl_route_learn(a, end);
    if (x->state == TL_ROUTE_TRYING && !win(x, a))
        tl_buf_clear(&held);
    else if (x->held.len) { /* bytes that the sink has not taken yet: nothing was held */
        x->end = *end;
        tl_route_set_state(x, TL_ROUTE_ENDING);
    } else
        tl_route_tell_rest(x, &held, end);
}

void tl_route_resume(tl_route *x)
{
    tl_buf held = x->held;
    bool gone = false;
    assert(x->resumed && !x->paused && held.len);
    x->resumed = false;
    x->held = (tl_buf){0};
    x->gone = &gone;
    x->sink.on_body(x->user, tl_buf_slice(&held));
    tl_buf_clear(&held);
    if (gone)
        return;
    x->gone = NULL;
    if (x->state == TL_ROUTE_ENDING)
        tl_route_finish(x, &x->end);
    else if (!x->paused)
        tl_exchange_set_paused(x->winner->exchange, false);
}

/* --- its failure --- */

static tl_blame blame_for(tl_fail f)
{
    switch (f) {
    case TL_FAIL_PEER_FAILED: return TL_BLAME_LOST;
    case TL_FAIL_TIMEOUT: return TL_BLAME_SILENT;
    case TL_FAIL_QUEUE_FULL:
    case TL_FAIL_UNAVAILABLE:
    case TL_FAIL_MODEL_NOT_LOADED:
    case TL_FAIL_NO_PROVIDER:
    case TL_FAIL_PAYMENT_REQUIRED:
    case TL_FAIL_FORBIDDEN: return TL_BLAME_REFUSED;
    default: return TL_BLAME_FAULT;
    }
}

/* Was it perhaps only a connection that had died unnoticed? Then the same peer is asked once more,
 * over a new one, unless another provider has the question. Or has the question overtaken our
 * certificate, which goes by another stream? Then that has come by now. */
static bool take_second_chance(tl_route *x, const tl_attempt *a, tl_fail f)
{
    bool perhaps = f == TL_FAIL_PEER_FAILED || (f == TL_FAIL_FORBIDDEN && a->network.given);
    if (!perhaps || x->second_chance || tl_route_under_way(x) ||
        now_of(x) - a->begun >= SECOND_CHANCE_WITHIN)
        return false;
    x->second_chance = true;
    if (f == TL_FAIL_PEER_FAILED)
        x->lost = a->id;
    tl_route_untry(x, &a->id);
    return true;
}

/* Of two numbers of seconds, where 0 is none. */
static unsigned sooner(unsigned a, unsigned b)
{
    return !a || (b && b < a) ? b : a;
}

/* A false "duplicate" must not keep the client's name for a day. */
static tl_fail shown(tl_fail f)
{
    return f == TL_FAIL_DUPLICATE ? TL_FAIL_PEER_FAILED : f;
}

/* The attempt is over, and another provider may be asked. */
static void failed(tl_attempt *a, const tl_failure *failure)
{
    tl_route *x = a->route;
    tl_fail f = failure->fail;
    /* Its first attempt may have been worked at. Any other peer that says so never had the question. */
    bool told_twice = f == TL_FAIL_DUPLICATE && x->ask.named && tl_node_id_eq(&x->lost, &a->id);
    if (!tl_route_take_price(x, a, failure) && !take_second_chance(x, a, f))
        blame(a, told_twice ? TL_BLAME_LOST : blame_for(f));
    x->fail = told_twice ? f : shown(f);
    x->retry_after = sooner(x->retry_after, failure->retry_after);
    snprintf(x->why, sizeof x->why, "%s", failure->message);
    bool silent = f == TL_FAIL_PEER_FAILED || f == TL_FAIL_TIMEOUT;
    bool late = silent && now_of(x) - x->heard_at >= TL_ROUTE_FIND_WITHIN;
    if (!silent)
        x->heard_at = now_of(x);
    if (tl_route_under_way(x)) {
        tl_route_look(x);
    } else if (late || told_twice) {
        tl_route_give_in(x);
    } else {
        x->router->counters.retried++;
        tl_route_go_on(x);
    }
}

static void on_fail(void *user, const tl_failure *failure)
{
    tl_attempt *a = user;
    tl_route *x = a->route;
    tl_failure told = *failure;
    char why[256];
    retire(a);
    tl_route_say_whose(a, told.message[0] ? told.message : tl_fail_name(told.fail), why,
                       sizeof why);
    told.message = why;
    if (x->state == TL_ROUTE_ANSWERING) {
        blame(a, blame_for(told.fail));
        tl_route_fail(x, shown(told.fail), why);
        return;
    }
    x->has_refusal = false;
    failed(a, &told);
}

void tl_route_end_attempt(tl_attempt *a, tl_fail f, const char *why)
{
    tl_route *x = a->route;
    char text[256];
    tl_route_say_whose(a, why, text, sizeof text);
    tl_route_drop(a);
    if (x->state == TL_ROUTE_ANSWERING) {
        tl_route_fail(x, f, text);
        return;
    }
    x->has_refusal = false;
    x->second_chance = true; /* not this one again */
    failed(a, &(tl_failure){.fail = f, .message = text});
}

static const tl_exchange_sink attempt_sink = {on_head, on_body, on_end, on_fail, on_progress};

/* --- asking --- */

static tl_attempt *free_place(tl_route *x)
{
    for (size_t i = 0; i < TL_ROUTE_TRIES_AT_ONCE; i++)
        if (!x->attempts[i].exchange)
            return &x->attempts[i];
    return NULL;
}

static tl_err ask_provider(tl_attempt *a, const tl_provider *c)
{
    tl_route *x = a->route;
    tl_router *r = x->router;
    tl_ask ask = x->ask;
    if (strcmp(c->model, ask.model) != 0) {
        tl_err e = tl_model_replace(ask.content_type, ask.body, c->model, &a->body);
        if (e)
            return e;
        ask.body = tl_buf_slice(&a->body);
    }
    /* The peer may have charged what it delivered: the second question is another one. */
    if (x->second_chance && !ask.named && strlen(ask.id) + 3 <= sizeof ask.id)
        memcpy(ask.id + strlen(ask.id), "-2", 3);
    ask.has_peer = !c->local;
    ask.peer = c->id;
    ask.has_network = c->network.given;
    ask.network = c->network.id;
    ask.price =
        tl_maybe_of(c->price.value); /* one that is not known: 0, until the provider says more */
    ask.price_version = c->price_version;
    if (c->in_clear)
        return r->world.ask_old(r->user, &ask, &attempt_sink, a, &a->exchange);
    if (!c->local)
        return tl_asker_ask(r->asker, &ask, c->model, &attempt_sink, a, &a->exchange);
    memcpy(ask.model, c->model, sizeof ask.model);
    return r->world.local_ask(r->user, &ask, &attempt_sink, a, &a->exchange);
}

void tl_route_try(tl_route *x, const tl_provider *c)
{
    tl_router *r = x->router;
    tl_attempt *a = free_place(x);
    assert(a && x->n_tried < TL_ROUTE_TRIES_MAX);
    x->tried[x->n_tried++] = c->id;
    *a = (tl_attempt){.route = x,
                      .id = c->id,
                      .local = c->local,
                      .in_clear = c->in_clear,
                      .network = c->network,
                      .begun = now_of(x)};
    memcpy(a->model, c->model, sizeof a->model);
    a->heard = a->works_from = a->begun;
    tl_err e = ask_provider(a, c);
    if (e) {
        tl_buf_clear(&a->body);
        if (tl_route_under_way(x)) /* the one that has the question may still answer */
            tl_route_set_deadline(x, a->begun + LOOK_EVERY);
        else if (e == TL_ERR_PROTO)
            tl_route_fail(x, TL_FAIL_INTERNAL,
                          "the request's body has no single \"model\" to fill in");
        else
            tl_route_fail(x, TL_FAIL_UNAVAILABLE, "out of memory, or too many connections");
        return;
    }
    if (c->local)
        r->counters.local++;
    else
        tl_peer_table_find(r->table, &c->id)->asking++;
    tl_route_set_state(x, TL_ROUTE_TRYING);
    if (x->paused)
        tl_exchange_set_paused(a->exchange, true);
    tl_route_look(x);
}

/* --- another one beside it --- */

/* When all that are under way are silent, and one of them makes room: now or later. */
static tl_time another_from(tl_route *x, tl_attempt **ret_room)
{
    tl_time at = 0, room_at = TL_NEVER;
    tl_attempt *room = NULL;
    for (size_t i = 0; i < TL_ROUTE_TRIES_AT_ONCE; i++) {
        tl_attempt *a = &x->attempts[i];
        if (!a->exchange)
            continue;
        at = tl_time_max(at, tl_route_beside_from(a, quiet_from(a)));
        if (!room || stale_from(a) < room_at) {
            room = a;
            room_at = stale_from(a);
        }
    }
    bool full = tl_route_under_way(x) == TL_ROUTE_TRIES_AT_ONCE;
    *ret_room = full ? room : NULL;
    return full ? tl_time_max(at, room_at) : at;
}

/* In clear nobody is asked beside one over Noise, unless all of those would make room. */
static tl_time in_clear_from(const tl_route *x)
{
    tl_time at = 0;
    for (size_t i = 0; i < TL_ROUTE_TRIES_AT_ONCE; i++)
        if (x->attempts[i].exchange && !x->attempts[i].in_clear)
            at = tl_time_max(at, stale_from(&x->attempts[i]));
    return at;
}

/* Nobody else is known: perhaps the relay knows somebody. */
static void search_beside(tl_route *x)
{
    tl_router *r = x->router;
    char name[TL_MODEL_MAX];
    if (x->searching || !tl_access_asks_others(r->access) || r->world.relay_hopeless(r->user) ||
        !tl_route_search_name(x, name))
        return;
    x->searching = !r->world.discover(r->user, name);
}

static bool has_sign(const tl_route *x)
{
    for (size_t i = 0; i < TL_ROUTE_TRIES_AT_ONCE; i++)
        if (x->attempts[i].exchange && x->attempts[i].sign != TL_SIGN_NONE)
            return true;
    return false;
}

void tl_route_look(tl_route *x)
{
    tl_router *r = x->router;
    tl_time now = now_of(x);
    tl_attempt *room = NULL;
    tl_provider c;
    assert(x->state == TL_ROUTE_TRYING);
    tl_time at = x->paused ? TL_NEVER : another_from(x, &room);
    if (now < at) {
        tl_route_set_deadline(x, at);
        return;
    }
    if (r->draining || (!has_sign(x) && now - x->heard_at >= BESIDE_WITHIN)) {
        tl_route_set_deadline(x, TL_NEVER);
        return;
    }
    if (!tl_route_choose(x, &c)) {
        search_beside(x);
        tl_route_set_deadline(x, now + LOOK_EVERY);
        return;
    }
    if (c.in_clear && now < in_clear_from(x)) {
        search_beside(x);
        tl_route_set_deadline(x, tl_time_min(in_clear_from(x), now + LOOK_EVERY));
        return;
    }
    if (room) {
        blame(room, TL_BLAME_SILENT);
        tl_route_drop(room);
    }
    r->counters.overtaken++;
    tl_route_try(x, &c);
}
