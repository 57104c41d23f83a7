#include "router_scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* --- providers --- */

static void cancel(tl_exchange *x)
{
    provider *p = (provider *)x;
    assert_false(p->over);
    p->over = p->cancelled = true;
}

static void set_paused(tl_exchange *x, bool on)
{
    provider *p = (provider *)x;
    assert_false(p->over);
    p->paused = on;
}

static tl_err add_provider(router_scene *s, unsigned who, const tl_ask *ask, const char *model,
                           const tl_exchange_sink *sink, void *user, tl_exchange **ret_exchange)
{
    tl_err e = s->ask_err;
    s->ask_err = TL_OK;
    if (e)
        return e;
    assert_in_range(s->n_providers, 0, 31);
    provider *p = &s->providers[s->n_providers++];
    *p = (provider){{cancel, set_paused}, .sink = *sink, .user = user, .who = who, .ask = *ask};
    snprintf(p->body, sizeof p->body, "%.*s", (int)ask->body.n, (const char *)ask->body.p);
    snprintf(p->model, sizeof p->model, "%s", model);
    p->ask.body = tl_slice_of(NULL, 0);
    *ret_exchange = &p->exchange;
    return TL_OK;
}

provider *router_scene_at(router_scene *s, unsigned who)
{
    assert_in_range(s->n_providers, 1, 32);
    provider *p = &s->providers[s->n_providers - 1];
    assert_int_equal(p->who, who);
    assert_false(p->over);
    return p;
}

void provider_progress(provider *p)
{
    p->sink.on_progress(p->user, &(tl_progress){0});
}

void provider_queued(provider *p, unsigned position, unsigned wait_seconds)
{
    p->sink.on_progress(p->user, &(tl_progress){position, wait_seconds});
}

void provider_head(provider *p)
{
    provider_head_of(p, 200, "");
}

void provider_head_of(provider *p, int status, const char *type)
{
    tl_answer_head head = {
        .status = status, .retry_after = "7", .via = TL_VIA_DIRECT, .peer = p->ask.peer};
    snprintf(head.content_type, sizeof head.content_type, "%s", type);
    if (p->who == OWN)
        head.peer = (tl_node_id){{0}};
    p->sink.on_head(p->user, &head);
}

void provider_body(provider *p, const char *text)
{
    p->sink.on_body(p->user, tl_slice_str(text));
}

void provider_end_with(provider *p, uint64_t tokens)
{
    tl_answer_end end = {5, tokens, 0};
    p->over = true;
    p->sink.on_end(p->user, &end);
}

void provider_end(provider *p)
{
    provider_end_with(p, 6);
}

void provider_asks(provider *p, int64_t price)
{
    p->over = true;
    p->sink.on_fail(p->user, &(tl_failure){.fail = TL_FAIL_PAYMENT_REQUIRED,
                                           .message = "the price is another one now",
                                           .price = tl_maybe_of(price),
                                           .price_version = {true, 9}});
}

void router_scene_bids(tl_peer *p, int64_t price, int64_t version)
{
    tl_bid *bid = tl_bids_get(&p->bids, p->models[0]);
    assert_non_null(bid);
    bid->price = price;
    bid->version = version;
}

void provider_fail(provider *p, tl_fail fail, const char *message)
{
    char text[300]; /* gone when the call returns */
    snprintf(text, sizeof text, "%s", message);
    p->over = true;
    p->sink.on_fail(p->user, &(tl_failure){.fail = fail, .message = text});
    memset(text, 'x', sizeof text);
}

/* --- in place of ask/asker.c and peer/peers.c --- */

static router_scene *of_asker(tl_asker *a)
{
    return (router_scene *)(void *)a;
}

tl_err tl_asker_ask(tl_asker *a, const tl_ask *ask, const char *model, const tl_exchange_sink *sink,
                    void *user, tl_exchange **ret_exchange)
{
    assert_true(ask->has_peer);
    return add_provider(of_asker(a), ask->peer.key[0], ask, model, sink, user, ret_exchange);
}

tl_time tl_asker_first_byte(const tl_asker *a)
{
    (void)a;
    return 300 * TL_SEC;
}

size_t tl_peers_warm(const tl_peers *peers)
{
    (void)peers;
    return 0;
}

bool tl_peers_facts(const tl_peers *peers, const tl_peer *peer, tl_peer_facts *ret_facts)
{
    const router_scene *s = (const router_scene *)(const void *)peers;
    const peer_fact *f = &s->facts[peer->id.key[0]];
    if (f->connected)
        *ret_facts = (tl_peer_facts){.rtt = f->rtt, .silent = f->silent};
    return f->connected;
}

tl_err tl_peers_wish(tl_peers *peers, tl_peer_wish *w)
{
    router_scene *s = (router_scene *)(void *)peers;
    tl_err e = s->wish_err;
    s->wish_err = TL_OK;
    if (e)
        return e;
    assert_true(w->connection_only);
    assert_in_range(s->n_wishes, 0, 31);
    s->wishes[s->n_wishes++] = w;
    return TL_OK;
}

static size_t place_of(const router_scene *s, unsigned who)
{
    size_t i = 0;
    while (i < s->n_wishes && s->wishes[i]->peer.key[0] != who)
        i++;
    return i;
}

static tl_peer_wish *take_wish(router_scene *s, unsigned who)
{
    size_t i = place_of(s, who);
    assert_true(i < s->n_wishes);
    tl_peer_wish *w = s->wishes[i];
    s->wishes[i] = s->wishes[--s->n_wishes];
    return w;
}

void tl_peers_unwish(tl_peers *peers, tl_peer_wish *w)
{
    (void)take_wish((router_scene *)(void *)peers, w->peer.key[0]);
}

bool router_scene_meets(const router_scene *s, unsigned who)
{
    return place_of(s, who) < s->n_wishes;
}

void router_scene_connects(router_scene *s, unsigned who)
{
    tl_peer_wish *w = take_wish(s, who);
    w->on_stream(w, NULL);
    tl_router_run(s->router);
}

void router_scene_connects_not(router_scene *s, unsigned who)
{
    tl_peer_wish *w = take_wish(s, who);
    w->on_failed(w, TL_ERR_TIMEOUT, "no answer");
    tl_router_run(s->router);
}

/* --- the world --- */

static size_t local_count(void *user)
{
    router_scene *s = user;
    size_t n = 0;
    while (n < 4 && s->models[n])
        n++;
    return n;
}

static const char *local_model(void *user, size_t i)
{
    return ((router_scene *)user)->models[i];
}

static tl_err local_ask(void *user, const tl_ask *ask, const tl_exchange_sink *sink,
                        void *sink_user, tl_exchange **ret_exchange)
{
    assert_false(ask->has_peer);
    return add_provider(user, OWN, ask, ask->model, sink, sink_user, ret_exchange);
}

static tl_err ask_old(void *user, const tl_ask *ask, const tl_exchange_sink *sink, void *sink_user,
                      tl_exchange **ret_exchange)
{
    router_scene *s = user;
    assert_true(ask->has_peer);
    tl_err e = add_provider(s, ask->peer.key[0], ask, ask->model, sink, sink_user, ret_exchange);
    if (!e)
        s->providers[s->n_providers - 1].in_clear = true;
    return e;
}

static const char *local_error(void *user)
{
    return ((router_scene *)user)->local_error;
}

static tl_err discover(void *user, const char *model)
{
    router_scene *s = user;
    s->discovers++;
    snprintf(s->discovered, sizeof s->discovered, "%s", model);
    return s->discover_err;
}

static const char *relay_hopeless(void *user)
{
    return ((router_scene *)user)->relay_hopeless;
}

static const char *relay_error(void *user)
{
    return ((router_scene *)user)->relay_error;
}

static void on_done(void *user, const tl_ask *ask, const tl_answer_head *head, tl_fail fail)
{
    router_scene *s = user;
    assert_string_equal(ask->id, "00112233445566778899aabbccddeeff");
    s->dones++;
    s->done = fail;
    s->done_by = head->peer.key[0];
}

static bool has_near(void *user)
{
    return ((router_scene *)user)->has_near;
}

static const char *alias_of(void *user, const tl_node_id *peer)
{
    const router_scene *s = user;
    return peer->key[0] == 3 ? s->alias : NULL;
}

/* --- the scene --- */

tl_node_id router_scene_id(unsigned who)
{
    return (tl_node_id){{(uint8_t)who}};
}

void router_scene_init(router_scene *s)
{
    static const tl_router_world world = {
        local_count, local_model,          local_ask,           local_error,
        discover,    relay_hopeless,       relay_error,         on_done,
        ask_old,     .has_near = has_near, .alias_of = alias_of};
    tl_node_id own = router_scene_id(OWN);
    *s = (router_scene){.env = {.now = 1000 * TL_SEC},
                        .access = {.ask_any = true, .running = true},
                        .local_error = "",
                        .relay_error = "still connecting"};
    s->clock = fake_env_of(&s->env);
    assert_int_equal(tl_router_new(&own, &s->clock, &s->access, &s->table, (tl_peers *)(void *)s,
                                   (tl_asker *)(void *)s, &world, s, &s->router),
                     TL_OK);
    assert_int_equal(tl_router_expiry(s->router), TL_NEVER);
}

void router_scene_clear(router_scene *s)
{
    tl_router_free(s->router);
    for (size_t i = 0; i < s->n_providers; i++)
        assert_true(s->providers[i].over);
    tl_peer_table_clear(&s->table);
    members_clear(&s->members);
}

void router_scene_join(router_scene *s, tl_role ours)
{
    members_init(&s->members, ours);
    s->access.book = s->members.book;
    s->access.env = &s->clock;
}

void router_scene_member(router_scene *s, unsigned who)
{
    tl_node_id id = router_scene_id(who);
    members_add(&s->members, &id, TL_ROLE_PROVIDER, TL_PTN_NO_END);
}

void router_scene_shows(router_scene *s, unsigned who, tl_role role)
{
    tl_node_id id = router_scene_id(who);
    members_add(&s->members, &id, role, TL_PTN_NO_END);
    tl_router_on_book(s->router);
    tl_router_run(s->router);
}

void router_scene_claims(router_scene *s, tl_peer *p)
{
    char hex[TL_NODE_ID_HEX + 1];
    tl_node_id_write(hex, &s->members.lab->id);
    json_t *capabilities = json_pack("{s:[s]}", "ptnIDs", hex);
    assert_true(tl_peer_describe(p, NULL, capabilities));
    json_decref(capabilities);
    p->listed = true;
    p->available = true;
}

tl_ask router_scene_private(const router_scene *s, const char *model)
{
    tl_ask ask = router_scene_question(model);
    ask.scoped = ask.has_network = true;
    ask.network = s->members.lab->id;
    return ask;
}

static char *copy(const char *text)
{
    char *p = strdup(text);
    assert_non_null(p);
    return p;
}

tl_peer *router_scene_peer(router_scene *s, unsigned who, const char *model)
{
    tl_node_id id = router_scene_id(who);
    tl_peer *p = tl_peer_table_get(&s->table, &id);
    assert_non_null(p);
    p->available = true;
    p->tier = 2;
    s->facts[who] = (peer_fact){true, 20 * TL_MS};
    assert_null(p->models);
    if (!model)
        return p;
    p->models = calloc(1, sizeof *p->models);
    assert_non_null(p->models);
    p->models[0] = copy(model);
    p->n_models = 1;
    return p;
}

tl_ask router_scene_question(const char *model)
{
    tl_ask ask = {.id = "00112233445566778899aabbccddeeff",
                  .path = "/v1/chat/completions",
                  .content_type = "application/json",
                  .streaming = true,
                  .body = TL_SLICE_LIT(QUESTION)};
    snprintf(ask.model, sizeof ask.model, "%s", model);
    return ask;
}

tl_ask router_scene_question_to(const char *model, unsigned who)
{
    tl_ask ask = router_scene_question(model);
    ask.has_peer = true;
    ask.peer = router_scene_id(who);
    return ask;
}

void router_scene_ask_full(router_scene *s, listener *l, const tl_ask *ask)
{
    listener_quiet = true;
    assert_int_equal(tl_router_ask(s->router, ask, &listener_sink, l, &l->exchange), TL_OK);
    listener_quiet = false;
    tl_router_run(s->router);
}

void router_scene_ask(router_scene *s, listener *l, const char *model)
{
    tl_ask ask = router_scene_question(model);
    router_scene_ask_full(s, l, &ask);
}

static provider *asked_before(router_scene *s, listener *l, unsigned who)
{
    tl_ask ask = router_scene_question_to("m", who);
    router_scene_ask_full(s, l, &ask);
    return router_scene_at(s, who);
}

void router_scene_served(router_scene *s, unsigned who)
{
    listener l = {0};
    provider *p = asked_before(s, &l, who);
    provider_head(p);
    provider_end(p);
    assert_int_equal(l.calls[ON_END], 1);
    s->n_providers--;
}

void router_scene_failed(router_scene *s, unsigned who, tl_fail fail)
{
    listener l = {0};
    provider *p = asked_before(s, &l, who);
    provider_fail(p, fail, "no");
    if (fail == TL_FAIL_PEER_FAILED) { /* it has a second chance */
        provider_fail(router_scene_at(s, who), fail, "no");
        s->n_providers--;
    }
    assert_int_equal(l.calls[ON_FAIL], 1);
    s->n_providers--;
}

void router_scene_discovered(router_scene *s, const char *model)
{
    char latest[TL_MODEL_MAX + 8];
    snprintf(latest, sizeof latest, "%s:latest", model);
    s->discovered[0] = 0;
    tl_router_on_discovered(s->router, model, true);
    tl_router_run(s->router);
    if (strcmp(s->discovered, latest) == 0) {
        tl_router_on_discovered(s->router, latest, true);
        tl_router_run(s->router);
    }
}

void router_scene_pass(router_scene *s, tl_time time)
{
    s->env.now += time;
    if (s->env.now >= tl_router_expiry(s->router))
        tl_router_on_timer(s->router);
}
