/* Questions to the model server: what passes, what fails and how, cancelling and pausing. */
#include "backend/backend.h"

#include "sharing.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>

#define CHUNKED                                                                                    \
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"

/* One question to a server that answers so; what it told is in `t`. */
static void ask_once(model_server *m, told *t)
{
    share k;
    scripted s;
    scripted_start(&s, 0, serve_models, m);
    tl_backend_config config = share_config(s.url);
    config.first_byte = config.silence = 100 * TL_MS;
    share_init(&k, &config);
    share_await(&k, TL_BACKEND_UP);
    share_ask(&k, t, "{\"model\":\"m1\"}");
    share_run(&k);
    assert_int_equal(t->ends + t->fails, 1);
    assert_int_equal(tl_backend_running(k.backend), 0);
    share_clear(&k);
    scripted_stop(&s);
}

static void a_question_is_answered_with_head_body_and_end(void **state)
{
    (void)state;
    model_server m = {.list = LIST_ONE, .answer = OK_HELLO};
    told t = {0};
    ask_once(&m, &t);
    assert_int_equal(t.ends, 1);
    assert_int_equal(t.head.status, 200);
    assert_string_equal(t.head.content_type, "text/plain");
    assert_string_equal(t.head.retry_after, "");
    assert_int_equal(t.head.via, TL_VIA_LOCAL);
    assert_string_equal(told_text(&t), "hello");
    assert_string_equal(m.path, "/v1/chat/completions");
    assert_string_equal(m.content_type, "application/json");
    tl_buf_clear(&t.body);
}

static void statuses_pass_or_fail_as_the_table_says(void **state)
{
    (void)state;
    static const struct {
        int status;
        bool passes;
        tl_fail fail;
    } cases[] = {
        {200, true, 0},
        {201, true, 0},
        {400, true, 0},
        {404, true, 0},
        {413, true, 0},
        {422, true, 0},
        {429, true, 0},
        {302, false, TL_FAIL_BACKEND_ERROR},
        {401, false, TL_FAIL_BACKEND_AUTH},
        {403, false, TL_FAIL_BACKEND_AUTH},
        {405, false, TL_FAIL_BACKEND_ERROR},
        {418, false, TL_FAIL_BACKEND_ERROR},
        {500, false, TL_FAIL_BACKEND_ERROR},
        {503, false, TL_FAIL_BACKEND_ERROR},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char answer[256];
        snprintf(answer, sizeof answer,
                 "HTTP/1.1 %d X\r\nContent-Type: application/json\r\nRetry-After: 7\r\n"
                 "Content-Length: 33\r\n\r\n{\"error\":{\"message\":\"too big\x1b[2J\"}}",
                 cases[i].status);
        model_server m = {.list = LIST_ONE, .answer = answer};
        told t = {0};
        ask_once(&m, &t);
        assert_int_equal(t.heads, cases[i].passes);
        if (cases[i].passes) {
            assert_int_equal(t.head.status, cases[i].status);
            assert_string_equal(t.head.retry_after, "7");
            assert_int_equal(t.body_n, 33);
        } else {
            assert_int_equal(t.fail, cases[i].fail);
            assert_non_null(strstr(t.message, "status "));
            assert_null(strchr(t.message, '\x1b'));
        }
        tl_buf_clear(&t.body);
    }
}

static void a_failing_servers_words_reach_the_asker(void **state)
{
    (void)state;
    static const struct {
        const char *body, *message;
    } cases[] = {
        {"{\"error\":{\"message\":\"needs 9 GiB\"}}",
         "the model server failed with status 500: needs 9 GiB"},
        {"{\"error\":\"needs 9 GiB\"}", "the model server failed with status 500: needs 9 GiB"},
        {"<html>", "the model server failed with status 500"},
        {"", "the model server failed with status 500"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char answer[256];
        snprintf(answer, sizeof answer, "HTTP/1.1 500 X\r\nContent-Length: %zu\r\n\r\n%s",
                 strlen(cases[i].body), cases[i].body);
        model_server m = {.list = LIST_ONE, .answer = answer};
        told t = {0};
        ask_once(&m, &t);
        assert_string_equal(t.message, cases[i].message);
    }
}

static void a_failing_server_that_talks_on_is_not_listened_to(void **state)
{
    (void)state;
    char *answer = malloc(70000);
    snprintf(answer, 70000, "HTTP/1.1 500 X\r\nContent-Length: 9999999\r\n\r\n");
    size_t n = strlen(answer);
    memset(answer + n, 'x', 69999 - n);
    answer[69999] = 0;
    model_server m = {.list = LIST_ONE, .answer = answer, .hold = true};
    told t = {0};
    ask_once(&m, &t);
    assert_int_equal(t.fail, TL_FAIL_BACKEND_ERROR);
    free(answer);
}

static void headers_of_the_server_are_made_harmless(void **state)
{
    (void)state;
    static const struct {
        const char *type, *retry, *want_type, *want_retry;
    } cases[] = {
        {"text/event-stream; charset=utf-8", "120", "text/event-stream; charset=utf-8", "120"},
        {"text/\xc3\xa4", "1", "application/octet-stream", "1"},
        {"text/\x01plain", "1", "application/octet-stream", "1"},
        {"", "", "application/octet-stream", ""},
        {"a/b", "12345678901234567890123456789012", "a/b", ""},
        {"a/b", "1\x7f", "a/b", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char answer[512];
        snprintf(
            answer, sizeof answer,
            "HTTP/1.1 429 X\r\nContent-Type: %s\r\nRetry-After: %s\r\nContent-Length: 0\r\n\r\n",
            cases[i].type, cases[i].retry);
        model_server m = {.list = LIST_ONE, .answer = answer};
        told t = {0};
        ask_once(&m, &t);
        assert_int_equal(t.ends, 1);
        assert_string_equal(t.head.content_type, cases[i].want_type);
        assert_string_equal(t.head.retry_after, cases[i].want_retry);
    }
}

static void a_broken_answer_fails_after_what_came_of_it(void **state)
{
    (void)state;
    static const struct {
        const char *answer;
        bool hold, ends;
        tl_fail fail;
        const char *body;
    } cases[] = {
        {CHUNKED "5\r\nhello\r\n0\r\n\r\n", false, true, 0, "hello"},
        {CHUNKED "5\r\nhello\r\n", false, false, TL_FAIL_BACKEND_ERROR, "hello"},
        {CHUNKED "5\r\nhello\r\nsquawk\r\n", false, false, TL_FAIL_BACKEND_ERROR, "hello"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", false, true, 0, "hello"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello", false, false, TL_FAIL_BACKEND_ERROR,
         "hello"},
        {"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello", false, true, 0, "hello"},
        {"squawk", false, false, TL_FAIL_BACKEND_ERROR, ""},
        {"HTTP/1.1 101 X\r\n\r\nhello", false, false, TL_FAIL_BACKEND_ERROR, ""},
        {"HTTP/1.1 100 X\r\n\r\n", false, false, TL_FAIL_BACKEND_ERROR, ""},
        {"", false, false, TL_FAIL_BACKEND_ERROR, ""},
        {"", true, false, TL_FAIL_TIMEOUT, ""},
        {"HTTP/1.1 200 OK\r\nContent-", true, false, TL_FAIL_TIMEOUT, ""},
        {CHUNKED "5\r\nhello\r\n", true, false, TL_FAIL_TIMEOUT, "hello"},
        {CHUNKED, true, false, TL_FAIL_TIMEOUT, ""},
        {"HTTP/1.1 500 X\r\nContent-Length: 9\r\n\r\n", true, false, TL_FAIL_BACKEND_ERROR, ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        model_server m = {
            .list = LIST_ONE, .answer = cases[i].answer, .hold = cases[i].hold, .close = true};
        told t = {0};
        ask_once(&m, &t);
        if (t.ends != cases[i].ends || (t.fails && t.fail != cases[i].fail))
            fail_msg("case %zu: %s %s", i, tl_fail_name(t.fail), t.message);
        assert_string_equal(told_text(&t), cases[i].body);
        tl_buf_clear(&t.body);
    }
}

static void a_dead_server_is_unreachable(void **state)
{
    (void)state;
    share k;
    scripted s;
    model_server m = {.list = LIST_ONE, .answer = OK_HELLO};
    scripted_start(&s, 0, serve_models, &m);
    tl_backend_config config = share_config(s.url);
    config.health_interval = TL_MIN;
    share_init(&k, &config);
    share_await(&k, TL_BACKEND_UP);
    scripted_stop(&s);
    told t = {0};
    share_ask(&k, &t, "{}");
    share_run(&k);
    assert_int_equal(t.fail, TL_FAIL_BACKEND_UNREACHABLE);
    assert_null(strstr(t.message, "127.0.0.1")); /* its address is no concern of a peer */
    share_await(&k, TL_BACKEND_DOWN);            /* the failure was reason to look at once */
    share_clear(&k);
}

static void usage_is_counted_from_what_passes(void **state)
{
    (void)state;
    model_server m = {
        .list = LIST_ONE,
        .answer = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 68\r\n\r\n"
                  "{\"choices\":[],\"usage\":{\"prompt_tokens\":12,\"completion_tokens\":34567}}"};
    told t = {0};
    ask_once(&m, &t);
    assert_int_equal(t.ends, 1);
    assert_int_equal(t.end.tokens_in, 12);
    assert_int_equal(t.end.tokens_out, 34567);
    tl_buf_clear(&t.body);
}

/* --- the question --- */

static uint8_t big[TL_BODY_MAX];

static void compare_big(scripted *s, parrot_conn *c, const parrot_request *r)
{
    (void)s;
    bool same = r->body.len == sizeof big && memcmp(tl_buf_begin(&r->body), big, sizeof big) == 0;
    parrot_send_text(c, same ? OK_HELLO : "HTTP/1.1 400 X\r\nContent-Length: 0\r\n\r\n");
}

static void a_body_of_sixteen_mebibytes_arrives_to_the_byte(void **state)
{
    (void)state;
    share k;
    scripted s;
    model_server m = {.list = LIST_ONE, .instead = compare_big};
    for (size_t i = 0; i < sizeof big; i++)
        big[i] = (uint8_t)(i * 2654435761u >> 11);
    scripted_start(&s, 0, serve_models, &m);
    tl_backend_config config = share_config(s.url);
    share_init(&k, &config);
    share_await(&k, TL_BACKEND_UP);
    tl_ask ask = share_question("");
    snprintf(ask.content_type, sizeof ask.content_type, "application/x-strange; a=\"b\"");
    uint8_t *copy = malloc(sizeof big);
    memcpy(copy, big, sizeof big);
    ask.body = tl_slice_of(copy, sizeof big);
    told t = {0};
    share_ask_full(&k, &t, &ask);
    memset(copy, 0, sizeof big); /* borrowed only until the call returned */
    free(copy);
    share_run(&k);
    assert_int_equal(t.head.status, 200);
    assert_string_equal(m.content_type, "application/x-strange; a=\"b\"");
    tl_buf_clear(&t.body);
    share_clear(&k);
    scripted_stop(&s);
}

static void only_the_shared_paths_reach_the_server(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        bool passes;
    } cases[] = {
        {"/v1/chat/completions", true},    {"/v1/embeddings", true},   {"/api/delete", false},
        {"/v1/chat/completions?x", false}, {"/v1/../api/pull", false}, {"", false},
    };
    share k;
    scripted s;
    model_server m = {.list = LIST_ONE, .answer = OK_HELLO};
    scripted_start(&s, 0, serve_models, &m);
    tl_backend_config config = share_config(s.url);
    share_init(&k, &config);
    share_await(&k, TL_BACKEND_UP);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        tl_ask ask = share_question("{}");
        snprintf(ask.path, sizeof ask.path, "%s", cases[i].path);
        told t = {0};
        int before = s.requests;
        share_ask_full(&k, &t, &ask);
        share_run(&k);
        assert_int_equal(t.ends, cases[i].passes);
        assert_int_equal(s.requests - before, cases[i].passes);
        if (!cases[i].passes)
            assert_int_equal(t.fail, TL_FAIL_FORBIDDEN);
        tl_buf_clear(&t.body);
    }
    tl_ask ask = share_question("{}");
    snprintf(ask.content_type, sizeof ask.content_type, "a/b\r\nX-Smuggled: 1");
    told t = {0};
    share_ask_full(&k, &t, &ask);
    share_run(&k);
    assert_int_equal(t.fail, TL_FAIL_INTERNAL);
    share_clear(&k);
    scripted_stop(&s);
}

static void more_than_allowed_at_once_is_queue_full(void **state)
{
    (void)state;
    share k;
    scripted s;
    model_server m = {.list = LIST_ONE, .answer = CHUNKED "5\r\nhello\r\n", .hold = true};
    scripted_start(&s, 0, serve_models, &m);
    tl_backend_config config = share_config(s.url);
    config.running_max = 2;
    share_init(&k, &config);
    share_await(&k, TL_BACKEND_UP);
    told t[4] = {0};
    for (int i = 0; i < 3; i++)
        share_ask(&k, &t[i], "{}");
    while (t[0].heads + t[1].heads < 2 || !t[2].fails) /* the test's time limit ends it */
        share_run_for(&k, TL_MS);
    assert_int_equal(t[0].heads + t[1].heads, 2);
    assert_int_equal(t[2].fails, 1);
    assert_int_equal(t[2].fail, TL_FAIL_QUEUE_FULL);
    share_cancel(&t[0]); /* one place is free again */
    share_ask(&k, &t[3], "{}");
    while (!t[3].heads && !t[3].fails)
        share_run_for(&k, TL_MS);
    assert_int_equal(t[3].heads, 1);
    share_cancel(&t[1]);
    share_cancel(&t[3]);
    for (int i = 0; i < 4; i++)
        tl_buf_clear(&t[i].body);
    share_clear(&k);
    scripted_stop(&s);
}

/* --- cancelling, pausing, many --- */

static void cancel_in_call(told *t)
{
    share_cancel(t);
}

static void cancelling_hangs_up_on_the_server_at_once(void **state)
{
    (void)state;
    share k;
    scripted s;
    model_server m = {.list = LIST_ONE, .answer = CHUNKED "5\r\nhello\r\n", .hold = true};
    scripted_start(&s, 0, serve_models, &m);
    tl_backend_config config = share_config(s.url);
    share_init(&k, &config);
    share_await(&k, TL_BACKEND_UP);

    told outside = {0}, in_head = {.in_head = cancel_in_call},
         in_body = {.in_body = cancel_in_call}, early = {0};
    share_ask(&k, &outside, "{}");
    share_run_for(&k, 30 * TL_MS);
    assert_int_equal(outside.bodies, 1);
    assert_int_equal(s.gone, 0);
    tl_time begun = tl_loop_clock(k.loop);
    share_cancel(&outside);
    while (s.gone < 1 && tl_loop_clock(k.loop) - begun < 5 * TL_SEC)
        share_run_for(&k, TL_MS);
    assert_true(tl_loop_clock(k.loop) - begun < 100 * TL_MS);

    share_ask(&k, &in_head, "{}");
    share_ask(&k, &in_body, "{}");
    share_run(&k);
    share_ask(&k, &early, "{}");
    share_cancel(&early);
    while (s.gone < 3 && tl_loop_clock(k.loop) - begun < 5 * TL_SEC)
        share_run_for(&k, TL_MS);
    assert_int_equal(s.gone, 3);
    assert_int_equal(outside.fails + in_head.fails + in_body.fails + early.fails, 0);
    assert_int_equal(in_head.bodies, 0);
    assert_int_equal(in_body.bodies, 1);
    assert_int_equal(tl_backend_running(k.backend), 0);
    assert_int_equal(tl_backend_state_of(k.backend), TL_BACKEND_UP);
    tl_buf_clear(&outside.body);
    tl_buf_clear(&in_body.body);
    share_clear(&k);
    scripted_stop(&s);
}

#define FLOOD (64u << 20)
static atomic_size_t flooded;

static void flood(scripted *s, parrot_conn *c, const parrot_request *r)
{
    (void)s, (void)r;
    static const uint8_t block[64 << 10] = {1};
    parrot_send_text(c, CHUNKED);
    for (flooded = 0; flooded < FLOOD; flooded += sizeof block)
        if (!parrot_send_chunk(c, block, sizeof block))
            return;
    parrot_send_text(c, "0\r\n\r\n");
}

static void pause_in_call(told *t)
{
    tl_exchange_set_paused(t->exchange, true);
}

static void a_pause_reaches_the_server_and_loses_nothing(void **state)
{
    (void)state;
    share k;
    scripted s;
    model_server m = {.list = LIST_ONE, .instead = flood};
    scripted_start(&s, 0, serve_models, &m);
    tl_backend_config config = share_config(s.url);
    config.silence = 500 * TL_MS; /* a busy machine's pauses are shorter */
    share_init(&k, &config);
    share_await(&k, TL_BACKEND_UP);
    told t = {.in_body = pause_in_call, .drop_body = true};
    share_ask(&k, &t, "{}");
    share_run_for(&k, 700 * TL_MS); /* longer than the silence, which is ours */
    assert_int_equal(t.bodies, 1);
    assert_int_equal(t.fails, 0);
    assert_true(flooded < FLOOD / 2);
    t.in_body = NULL;
    tl_exchange_set_paused(t.exchange, false);
    share_run(&k);
    assert_int_equal(t.ends, 1);
    assert_int_equal(t.body_n, FLOOD);
    share_clear(&k);
    scripted_stop(&s);
}

static void pausing_before_a_failure_does_not_hide_it(void **state)
{
    (void)state;
    share k;
    scripted s;
    model_server m = {.list = LIST_ONE,
                      .answer = "HTTP/1.1 500 X\r\nContent-Length: 5\r\n\r\nhello"};
    scripted_start(&s, 0, serve_models, &m);
    tl_backend_config config = share_config(s.url);
    share_init(&k, &config);
    share_await(&k, TL_BACKEND_UP);
    told t = {0};
    share_ask(&k, &t, "{}");
    tl_exchange_set_paused(t.exchange, true);
    share_run(&k);
    assert_int_equal(t.fail, TL_FAIL_BACKEND_ERROR);
    share_clear(&k);
    scripted_stop(&s);
}

static sem_t all_began;

static void speak_when_all_began(scripted *s, parrot_conn *c, const parrot_request *r)
{
    (void)s, (void)r;
    parrot_send_text(c, CHUNKED "6\r\nbegun \r\n");
    sem_wait(&all_began);
    for (int i = 0; i < 10; i++)
        parrot_send_chunk(c, "word ", 5);
    parrot_send_text(c, "0\r\n\r\n");
}

static void two_hundred_answers_stream_side_by_side(void **state)
{
    (void)state;
    enum { N = 200 };
    share k;
    scripted s;
    static told t[N];
    model_server m = {.list = LIST_ONE, .instead = speak_when_all_began};
    memset(t, 0, sizeof t);
    sem_init(&all_began, 0, 0);
    scripted_start(&s, 0, serve_models, &m);
    tl_backend_config config = share_config(s.url);
    share_init(&k, &config);
    share_await(&k, TL_BACKEND_UP);
    for (int i = 0; i < N; i++)
        share_ask(&k, &t[i], "{}");
    int begun = 0;
    for (int turn = 0; turn < 5000 && begun < N; turn++) {
        share_run_for(&k, TL_MS);
        begun = 0;
        for (int i = 0; i < N; i++)
            begun += t[i].bodies > 0;
    }
    assert_int_equal(begun, N); /* every one has its first word before any has its last */
    assert_int_equal(tl_backend_running(k.backend), N);
    for (int i = 0; i < N; i++)
        sem_post(&all_began);
    share_run(&k);
    for (int i = 0; i < N; i++) {
        assert_int_equal(t[i].ends, 1);
        assert_int_equal(t[i].body.len, 56);
        tl_buf_clear(&t[i].body);
    }
    share_clear(&k);
    scripted_stop(&s);
    sem_destroy(&all_began);
}

static void freeing_the_backend_fails_what_runs(void **state)
{
    (void)state;
    share k;
    scripted s;
    model_server m = {.list = LIST_ONE, .answer = CHUNKED "5\r\nhello\r\n", .hold = true};
    scripted_start(&s, 0, serve_models, &m);
    tl_backend_config config = share_config(s.url);
    share_init(&k, &config);
    share_await(&k, TL_BACKEND_UP);
    told running = {0}, queued = {0};
    share_ask(&k, &running, "{}");
    share_run_for(&k, 30 * TL_MS);
    share_ask(&k, &queued, "{}");
    share_clear(&k);
    assert_int_equal(running.fails + queued.fails, 2);
    assert_int_equal(running.fail, TL_FAIL_UNAVAILABLE);
    scripted_stop(&s);
    tl_buf_clear(&running.body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_question_is_answered_with_head_body_and_end),
        cmocka_unit_test(statuses_pass_or_fail_as_the_table_says),
        cmocka_unit_test(a_failing_servers_words_reach_the_asker),
        cmocka_unit_test(a_failing_server_that_talks_on_is_not_listened_to),
        cmocka_unit_test(headers_of_the_server_are_made_harmless),
        cmocka_unit_test(a_broken_answer_fails_after_what_came_of_it),
        cmocka_unit_test(a_dead_server_is_unreachable),
        cmocka_unit_test(usage_is_counted_from_what_passes),
        cmocka_unit_test(a_body_of_sixteen_mebibytes_arrives_to_the_byte),
        cmocka_unit_test(only_the_shared_paths_reach_the_server),
        cmocka_unit_test(more_than_allowed_at_once_is_queue_full),
        cmocka_unit_test(cancelling_hangs_up_on_the_server_at_once),
        cmocka_unit_test(a_pause_reaches_the_server_and_loses_nothing),
        cmocka_unit_test(pausing_before_a_failure_does_not_hide_it),
        cmocka_unit_test(two_hundred_answers_stream_side_by_side),
        cmocka_unit_test(freeing_the_backend_fails_what_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
