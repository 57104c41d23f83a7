/* The model server is looked at while it answers questions, too; but never so that it breaks them off. */
#include "backend/backend.h"

#include "sharing.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

/* A server that is up, and answers no question to its end. */
static tl_time begin_held(share *k, scripted *s, model_server *m)
{
    *m = (model_server){.list = LIST_ONE,
                        .answer = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello",
                        .hold = true};
    scripted_start(s, 0, serve_models, m);
    tl_backend_config config = share_config(s->url);
    share_init(k, &config);
    share_await(k, TL_BACKEND_UP);
    return config.health_interval;
}

static void a_server_that_breaks_off_then_is_asked_nothing_while_it_answers(void **state)
{
    (void)state;
    share k;
    scripted s;
    model_server m;
    parrot_server = "uvicorn";
    tl_time period = begin_held(&k, &s, &m);
    assert_string_equal(tl_backend_kind(k.backend), "llama-cpp-python");
    told first = {0}, second = {0};
    share_ask(&k, &first, "{}");
    share_ask(&k, &second, "{}");
    share_run_for(&k, 40 * TL_MS);
    int looks = m.looks;
    share_run_for(&k, 10 * period);
    share_cancel(&first);
    share_run_for(&k, 2 * period);
    assert_int_equal(m.looks, looks);
    share_cancel(&second); /* now the look that was owed is taken */
    for (int i = 0; i < 2000 && m.looks == looks; i++)
        share_run_for(&k, TL_MS);
    assert_true(m.looks > looks);
    tl_buf_clear(&first.body);
    tl_buf_clear(&second.body);
    share_clear(&k);
    scripted_stop(&s);
    parrot_server = "parrot";
}

/* Questions run one after the other without a pause: any time is a time to look. */
static void models_that_change_are_noticed_while_questions_run(void **state)
{
    (void)state;
    share k;
    scripted s;
    model_server m;
    tl_time period = begin_held(&k, &s, &m);
    told running = {0};
    share_ask(&k, &running, "{}");
    share_run_for(&k, 2 * period);
    m.list = LIST_TWO;
    for (int i = 0; i < 2000 && tl_backend_model_count(k.backend) < 2; i++)
        share_run_for(&k, TL_MS);
    assert_int_equal(tl_backend_model_count(k.backend), 2);
    assert_int_equal(running.fails, 0);
    m.list = "[]"; /* no list of models, while it answers: it is busy, and not down */
    share_run_for(&k, 4 * period);
    assert_int_equal(tl_backend_state_of(k.backend), TL_BACKEND_UP);
    assert_int_equal(tl_backend_model_count(k.backend), 2);
    share_cancel(&running);
    share_await(&k, TL_BACKEND_DOWN);
    tl_buf_clear(&running.body);
    share_clear(&k);
    scripted_stop(&s);
}

static void a_refused_connection_is_looked_into_whatever_else_runs(void **state)
{
    (void)state;
    share k;
    scripted s;
    model_server m = {.list = LIST_ONE,
                      .answer = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello",
                      .hold = true};
    parrot_server = "uvicorn"; /* else looks would keep a connection that is not refused */
    scripted_start(&s, 0, serve_models, &m);
    tl_backend_config config = share_config(s.url);
    config.silence = TL_MIN;
    share_init(&k, &config);
    share_await(&k, TL_BACKEND_UP);
    told running = {0}, refused = {0};
    share_ask(&k, &running, "{}");
    share_run_for(&k, 40 * TL_MS);
    assert_int_equal(running.bodies, 1);
    scripted_deafen(&s);
    share_ask(&k, &refused, "{}");
    share_await(&k, TL_BACKEND_DOWN);
    assert_int_equal(refused.fail, TL_FAIL_BACKEND_UNREACHABLE);
    assert_int_equal(running.fails, 0);
    share_cancel(&running);
    tl_buf_clear(&running.body);
    share_clear(&k);
    scripted_stop(&s);
    parrot_server = "parrot";
}

/* The first look is answered; then looks wait for ever, and questions are answered in part. */
static void answer_one_look(scripted *s, parrot_conn *c)
{
    parrot_request r;
    while (parrot_read(c, &r) == PARROT_REQUEST) {
        bool is_question = strcmp(r.method, "POST") == 0;
        tl_buf_clear(&r.body);
        if (is_question)
            parrot_send_text(c, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello");
        else if (s->requests++ < 1 && parrot_answer(c, 200, "", "application/json", s->arg))
            continue;
        scripted_await_gone(s, c);
        return;
    }
}

static void a_server_too_busy_to_be_looked_at_is_not_down(void **state)
{
    (void)state;
    share k;
    scripted s;
    scripted_start(&s, 0, answer_one_look, LIST_ONE_VLLM);
    tl_backend_config config = share_config(s.url);
    config.look_limit = 50 * TL_MS;
    share_init(&k, &config);
    share_await(&k, TL_BACKEND_UP);
    while (s.requests < 2)
        share_run_for(&k, TL_MS); /* the second look has begun */
    told t = {0};
    share_ask(&k, &t, "{}");
    for (int i = 0; i < 2000 && s.gone == 0; i++)
        share_run_for(&k, TL_MS);
    share_run_for(&k, 5 * TL_MS);
    assert_int_equal(s.gone, 1); /* it has given up */
    assert_int_equal(tl_backend_state_of(k.backend), TL_BACKEND_UP);
    share_cancel(&t); /* now the same silence means that it is down */
    share_await(&k, TL_BACKEND_DOWN);
    tl_buf_clear(&t.body);
    share_clear(&k);
    scripted_stop(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_server_that_breaks_off_then_is_asked_nothing_while_it_answers),
        cmocka_unit_test(models_that_change_are_noticed_while_questions_run),
        cmocka_unit_test(a_refused_connection_is_looked_into_whatever_else_runs),
        cmocka_unit_test(a_server_too_busy_to_be_looked_at_is_not_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
