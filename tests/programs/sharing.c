#include "sharing.h"

#include "base/log.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>

/* --- the server --- */

static pthread_mutex_t last_question = PTHREAD_MUTEX_INITIALIZER;

static bool is_welcome(model_server *m, const parrot_request *r)
{
    char want[128];
    if (!m->key)
        return true;
    snprintf(want, sizeof want, "Bearer %s", m->key);
    bool ok = strcmp(r->authorization, want) == 0;
    m->refused_keys += !ok;
    return ok;
}

static bool answer_one(scripted *s, model_server *m, parrot_conn *c, const parrot_request *r)
{
    if (!is_welcome(m, r))
        return parrot_answer_error(c, 401, "", "no_key");
    if (strcmp(r->path, "/v1/models") == 0) {
        m->looks++;
        return m->list ? parrot_answer(c, m->list_status ? m->list_status : 200, "",
                                       "application/json", m->list)
                       : parrot_answer_error(c, 404, "", "not_found");
    }
    if (m->extra_path && strcmp(r->path, m->extra_path) == 0)
        return parrot_answer(c, 200, "", "application/json", m->extra);
    if (strcmp(r->method, "POST") != 0)
        return parrot_answer_error(c, 404, "", "not_found");
    pthread_mutex_lock(&last_question);
    snprintf(m->path, sizeof m->path, "%.63s", r->path);
    snprintf(m->content_type, sizeof m->content_type, "%s", r->content_type);
    pthread_mutex_unlock(&last_question);
    s->requests++;
    if (m->instead) {
        m->instead(s, c, r);
        return false;
    }
    if (!parrot_send_text(c, m->answer))
        return false;
    if (m->hold)
        scripted_await_gone(s, c);
    return !m->hold && !m->close;
}

void serve_models(scripted *s, parrot_conn *c)
{
    union {
        const void *arg;
        model_server *m;
    } u = {s->arg};
    parrot_request r;
    bool go = true;
    while (go && parrot_read(c, &r) == PARROT_REQUEST) {
        go = answer_one(s, u.m, c, &r);
        tl_buf_clear(&r.body);
    }
}

/* --- the backend --- */

static void on_change(void *user)
{
    share *k = user;
    k->changes++;
}

static void guard_due(void *user)
{
    (void)user;
    fail_msg("nothing ended within 30 s");
}

static void stop_loop(void *user)
{
    tl_loop_stop(user);
}

tl_backend_config share_config(const char *url)
{
    tl_backend_config config = tl_backend_config_default();
    snprintf(config.url, sizeof config.url, "%s", url);
    config.health_interval = 20 * TL_MS;
    memset(config.search_ports, 0, sizeof config.search_ports); /* never a real one */
    return config;
}

void share_init(share *k, const tl_backend_config *config)
{
    static const tl_backend_events events = {on_change};
    tl_why why = {0};
    tl_log_set_level(TL_LOG_ERROR);
    *k = (share){0};
    assert_int_equal(tl_loop_new(&k->loop), TL_OK);
    if (tl_backend_new(k->loop, config, &events, k, &k->backend, &why) != TL_OK)
        fail_msg("%s", why.text);
    tl_timer_init(&k->guard, k->loop, guard_due, NULL);
    assert_int_equal(k->changes, 0); /* nothing from inside */
}

void share_clear(share *k)
{
    tl_timer_stop(&k->guard);
    tl_backend_free(k->backend);
    tl_loop_free(k->loop);
}

void share_run_for(share *k, tl_time time)
{
    tl_timer timer;
    tl_timer_init(&timer, k->loop, stop_loop, k->loop);
    tl_timer_set(&timer, tl_loop_clock(k->loop) + time);
    tl_loop_run(k->loop);
    tl_timer_stop(&timer);
}

void share_await(share *k, tl_backend_state state)
{
    for (int i = 0; i < 10000 && tl_backend_state_of(k->backend) != state; i++)
        share_run_for(k, TL_MS);
    if (tl_backend_state_of(k->backend) != state)
        fail_msg("state %d, not %d: %s", tl_backend_state_of(k->backend), state,
                 tl_backend_error(k->backend));
}

/* --- questions --- */

static void one_less(share *k)
{
    if (--k->running == 0)
        tl_loop_stop(k->loop);
}

static void on_head(void *user, const tl_answer_head *head)
{
    told *t = user;
    t->heads++;
    t->head = *head;
    if (t->in_head)
        t->in_head(t);
}

static void on_body(void *user, tl_slice bytes)
{
    told *t = user;
    assert_int_equal(t->heads, 1);
    t->bodies++;
    t->body_n += bytes.n;
    if (!t->drop_body)
        assert_int_equal(tl_buf_append(&t->body, bytes), TL_OK);
    if (t->in_body)
        t->in_body(t);
}

static void on_end(void *user, const tl_answer_end *end)
{
    told *t = user;
    assert_int_equal(t->heads, 1);
    t->ends++;
    t->end = *end;
    if (t->in_end)
        t->in_end(t);
    one_less(t->k);
}

static void on_fail(void *user, const tl_failure *failure)
{
    told *t = user;
    t->fails++;
    t->fail = failure->fail;
    snprintf(t->message, sizeof t->message, "%s", failure->message);
    if (t->in_end)
        t->in_end(t);
    one_less(t->k);
}

tl_ask share_question(const char *body)
{
    tl_ask ask = {.id = "00112233445566778899aabbccddeeff",
                  .model = "m1",
                  .path = "/v1/chat/completions",
                  .content_type = "application/json",
                  .body = tl_slice_str(body)};
    return ask;
}

void share_ask_full(share *k, told *t, const tl_ask *ask)
{
    static const tl_exchange_sink sink = {on_head, on_body, on_end, on_fail};
    t->k = k;
    assert_int_equal(tl_backend_ask(k->backend, ask, &sink, t, &t->exchange), TL_OK);
    assert_int_equal(t->heads + t->fails, 0); /* nothing from inside */
    k->running++;
}

void share_ask(share *k, told *t, const char *body)
{
    tl_ask ask = share_question(body);
    share_ask_full(k, t, &ask);
}

void share_run(share *k)
{
    tl_timer_set(&k->guard, tl_loop_clock(k->loop) + 30 * TL_SEC);
    if (k->running)
        tl_loop_run(k->loop);
    tl_timer_stop(&k->guard);
}

void share_cancel(told *t)
{
    tl_exchange_cancel(t->exchange);
    one_less(t->k);
}

const char *told_text(told *t)
{
    assert_int_equal(tl_buf_append(&t->body, tl_slice_of("", 1)), TL_OK);
    return (const char *)tl_buf_begin(&t->body);
}
