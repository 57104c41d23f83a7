/* What a sink may do to a backend's exchanges from inside each call: the contract of
 * ask/exchange.h. */
#include "backend/backend.h"

#include "sharing.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <stdlib.h>

#define HOLD   "{\"hold\":1}"
#define BROKEN "HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n"

static const char *answer;

/* HOLD has an answer that never ends, the others `answer`. */
static void serve(scripted *s, parrot_conn *c, const parrot_request *r)
{
    if (tl_slice_eq(tl_buf_slice(&r->body), tl_slice_str(HOLD))) {
        parrot_send_text(c, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello");
        scripted_await_gone(s, c);
    } else {
        parrot_send_text(c, answer);
    }
}

typedef struct {
    share k;
    scripted server;
    model_server models;
} scene;

static void scene_init(scene *s)
{
    *s = (scene){.models = {.list = LIST_ONE, .instead = serve}};
    scripted_start(&s->server, 0, serve_models, &s->models);
    tl_backend_config config = share_config(s->server.url);
    config.health_interval = TL_MIN;
    share_init(&s->k, &config);
    share_await(&s->k, TL_BACKEND_UP);
}

static void scene_clear(scene *s)
{
    assert_int_equal(tl_backend_running(s->k.backend), 0);
    share_clear(&s->k);
    scripted_stop(&s->server);
}

/* As a sink that is gone before the call returns. */
static void cancel_and_free(told *t)
{
    share_cancel(t);
    tl_buf_clear(&t->body);
    free(t);
}

static void a_sink_may_cancel_and_vanish_inside_head_and_body(void **state)
{
    (void)state;
    for (int in_body = 0; in_body < 2; in_body++) {
        scene s;
        told *t = calloc(1, sizeof *t);
        assert_non_null(t);
        answer = OK_HELLO;
        *(in_body ? &t->in_body : &t->in_head) = cancel_and_free;
        scene_init(&s);
        share_ask(&s.k, t, "{}");
        share_run(&s.k); /* a call after the cancel would touch freed memory */
        told next = {0};
        share_ask(&s.k, &next, "{}"); /* the backend is as it was */
        share_run(&s.k);
        assert_string_equal(told_text(&next), "hello");
        tl_buf_clear(&next.body);
        scene_clear(&s);
    }
}

typedef struct {
    told *other, *fresh;
} mischief;

static void do_mischief(told *t)
{
    mischief *m = t->user;
    if (m->fresh->k)
        return; /* a second piece of the body */
    share_cancel(m->other);
    share_ask(t->k, m->fresh, "{}");
    assert_int_equal(m->fresh->heads + m->fresh->fails, 0);
}

static void a_sink_may_cancel_others_and_ask_anew_inside_every_call(void **state)
{
    (void)state;
    enum { IN_HEAD, IN_BODY, IN_END, IN_FAIL, CALLS };
    for (int call = 0; call < CALLS; call++) {
        scene s;
        told other = {0}, fresh = {0}, t = {0};
        mischief m = {&other, &fresh};
        t.user = &m;
        answer = call == IN_FAIL ? BROKEN : OK_HELLO;
        scene_init(&s);
        share_ask(&s.k, &other, HOLD);
        while (!other.bodies)
            share_run_for(&s.k, TL_MS); /* the test's time limit ends it */
        if (call == IN_HEAD)
            t.in_head = do_mischief;
        else if (call == IN_BODY)
            t.in_body = do_mischief;
        else
            t.in_end = do_mischief;
        share_ask(&s.k, &t, "{}");
        share_run(&s.k);
        assert_int_equal(t.ends, call != IN_FAIL);
        assert_int_equal(t.fails, call == IN_FAIL);
        assert_int_equal(fresh.ends + fresh.fails, 1);
        assert_int_equal(other.ends + other.fails, 0);
        tl_buf_clear(&t.body);
        tl_buf_clear(&other.body);
        tl_buf_clear(&fresh.body);
        scene_clear(&s);
    }
}

static void a_question_that_cannot_be_asked_fails_outside_the_function_that_asks(void **state)
{
    (void)state;
    scene s;
    told t = {0}, cancelled = {0};
    scene_init(&s);
    tl_ask ask = share_question("{}");
    ask.path[0] = 'x';
    share_ask_full(&s.k, &t, &ask); /* looks that nothing was called */
    share_ask_full(&s.k, &cancelled, &ask);
    share_cancel(&cancelled);
    share_run(&s.k);
    assert_int_equal(t.fail, TL_FAIL_FORBIDDEN);
    assert_int_equal(cancelled.fails, 0);
    scene_clear(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sink_may_cancel_and_vanish_inside_head_and_body),
        cmocka_unit_test(a_sink_may_cancel_others_and_ask_anew_inside_every_call),
        cmocka_unit_test(a_question_that_cannot_be_asked_fails_outside_the_function_that_asks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
