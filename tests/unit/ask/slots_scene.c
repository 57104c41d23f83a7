#include "slots_scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <utlist.h>

#include <cmocka.h>

#define DELTA "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n"

static void free_served(served *v)
{
    v->scene->n_running--;
    DL_DELETE(v->scene->running, v);
    tl_buf_clear(&v->body);
    free(v);
}

static void cancel(tl_exchange *x)
{
    free_served((served *)x);
}

static void set_paused(tl_exchange *x, bool on)
{
    ((served *)x)->paused = on;
}

static tl_err ask_server(void *user, const tl_ask *ask, const tl_exchange_sink *sink,
                         void *sink_user, tl_exchange **ret_exchange)
{
    slots_scene *s = user;
    if (s->refuses)
        return s->refuses;
    served *v = calloc(1, sizeof *v);
    assert_non_null(v);
    *v = (served){.exchange = {cancel, set_paused, NULL},
                  .scene = s,
                  .sink = *sink,
                  .user = sink_user,
                  .ask = *ask};
    assert_int_equal(sscanf(ask->id, "%u-%u", &v->prompt, &v->left), 2);
    assert_int_equal(tl_buf_append(&v->body, ask->body), TL_OK);
    DL_APPEND(s->running, v);
    s->n_running++;
    s->n_started++;
    *ret_exchange = &v->exchange;
    return TL_OK;
}

void slots_scene_init(slots_scene *s, unsigned slots, unsigned queue_max, tl_time wait_max)
{
    *s = (slots_scene){.env = {.now = TL_SEC}, .tells_usage = true};
    tl_env env = fake_env_of(&s->env);
    tl_slots_config config = {slots, queue_max, wait_max};
    assert_int_equal(tl_slots_new(&env, &config, ask_server, s, &s->slots), TL_OK);
}

void slots_scene_clear(slots_scene *s)
{
    tl_slots_facts f;
    tl_slots_facts_of(s->slots, &f);
    assert_int_equal(f.running + f.queued[0] + f.queued[1], 0);
    tl_slots_free(s->slots);
    assert_null(s->running);
}

static tl_node_id node(unsigned number)
{
    tl_node_id id = {{0}};
    memcpy(id.key, &number, sizeof number);
    return id;
}

tl_err slots_scene_try(slots_scene *s, const slots_question *q, listener *l)
{
    tl_ask ask = {.model = "m",
                  .streaming = true,
                  .path = "/v1/chat/completions",
                  .content_type = "application/json",
                  .body = tl_slice_str(q->body ? q->body : "{\"model\":\"m\"}"),
                  .from_peer = true,
                  .requester = node(q->member),
                  .has_network = q->private,
                  .network = node(q->network)};
    if (q->bid >= 0)
        ask.max_price = tl_maybe_of(q->bid);
    ask.price = tl_maybe_of(q->price);
    snprintf(ask.id, sizeof ask.id, "%u-%u", q->prompt, q->generated);
    listener_quiet = true;
    tl_err e = tl_slots_ask(s->slots, &ask, &listener_sink, l, &l->exchange);
    listener_quiet = false;
    return e;
}

void slots_scene_ask(slots_scene *s, const slots_question *q, listener *l)
{
    assert_int_equal(slots_scene_try(s, q, l), TL_OK);
    assert_true(listener_heard_nothing(l));
}

void slots_scene_pass(slots_scene *s, tl_time time)
{
    s->env.now += time;
    if (s->env.now >= tl_slots_expiry(s->slots)) {
        listener_quiet = true;
        tl_slots_on_timer(s->slots);
        listener_quiet = false;
    }
    tl_slots_run(s->slots);
}

served *slots_scene_served(slots_scene *s, const listener *l)
{
    served *v;
    DL_FOREACH (s->running, v) {
        /* What slots hands to the server leads to the listener alone through slots. */
        tl_exchange *const *mine = &l->exchange;
        if (*mine && v->user == (void *)*mine)
            return v;
    }
    return NULL;
}

void served_head(served *v, int status)
{
    tl_answer_head head = {.status = status};
    snprintf(head.content_type, sizeof head.content_type, "text/event-stream");
    v->headed = true;
    v->sink.on_head(v->user, &head);
}

void served_tokens(served *v, unsigned n)
{
    tl_buf text = {0};
    for (unsigned i = 0; i < n; i++)
        assert_int_equal(tl_buf_append_str(&text, DELTA), TL_OK);
    v->left -= n;
    v->streamed += n;
    v->sink.on_body(v->user, tl_buf_slice(&text));
    tl_buf_clear(&text);
}

void served_end(served *v)
{
    tl_answer_end end = {v->prompt, v->streamed};
    tl_exchange_sink sink = v->sink;
    void *user = v->user;
    free_served(v);
    sink.on_end(user, &end);
}

void served_fail(served *v, tl_fail fail)
{
    tl_exchange_sink sink = v->sink;
    void *user = v->user;
    free_served(v);
    sink.on_fail(user, &(tl_failure){.fail = fail, .message = "scripted"});
}

static void tell_usage(served *v)
{
    char text[128];
    snprintf(text, sizeof text,
             "data: {\"usage\":{\"prompt_tokens\":%u,\"completion_tokens\":%u}}\n\n", v->prompt,
             v->streamed);
    v->sink.on_body(v->user, tl_slice_str(text));
}

void slots_scene_stream(slots_scene *s, tl_time time, unsigned tokens)
{
    served *v, *next;
    slots_scene_pass(s, time);
    DL_FOREACH_SAFE (s->running, v, next) {
        if (v->paused)
            continue;
        if (!v->headed)
            served_head(v, 200);
        if (v->left)
            served_tokens(v, v->left < tokens ? v->left : tokens);
        if (v->left)
            continue;
        if (s->tells_usage)
            tell_usage(v);
        served_end(v);
    }
}
