/* A client whose question waits in a provider's queue. */
#include "harness.h"

#include <stdio.h>

#define CHAT   "/v1/chat/completions"
#define STREAM "{\"model\":\"m1\",\"stream\":true}"
#define PLACE  ": queue position=3 wait_s=40\n\n"

static fake_ask *waiting(harness *h, client *c, const char *path, const char *body)
{
    tl_api_config config = harness_config();
    config.queue_first = 20 * TL_MS;
    config.queue_every = 40 * TL_MS;
    config.queue_look = 10 * TL_MS;
    config.wait_first = 20 * TL_SEC;
    harness_init(h, &config);
    fake_ask *a = asked(h, c, path, "", body);
    a->progress = (tl_progress){3, 40};
    return a;
}

static size_t count(const client *c, const char *text)
{
    size_t n = 0, len = strlen(text);
    tl_slice all = tl_buf_slice(&c->in);
    for (size_t i = 0; i + len <= all.n; i++)
        n += memcmp(all.p + i, text, len) == 0;
    return n;
}

static void a_stream_that_waits_is_told_its_place_until_its_answer_comes(void **state)
{
    (void)state;
    harness h;
    client c;
    fake_ask *a = waiting(&h, &c, CHAT, STREAM);
    WAIT_UNTIL(&h, client_has(&c, PLACE));
    assert_int_equal(client_status(&c), 200);
    assert_true(client_has(&c, "\r\nContent-Type: text/event-stream\r\n"));
    assert_true(client_has(&c, "\r\nX-Teale-Request: "));
    WAIT_UNTIL(&h, count(&c, PLACE) == 3);
    a->progress = (tl_progress){0}; /* its turn */
    fake_head(a, 200, "text/event-stream");
    fake_body(a, "data: 1\n\n");
    fake_end(a);
    WAIT_UNTIL(&h, client_has(&c, "data: 1\n\n\r\n0\r\n\r\n"));
    assert_int_equal(count(&c, "HTTP/1.1 "), 1);
    assert_int_equal(count(&c, PLACE), 3);
    client_close(&c);
    harness_clear(&h);
}

static void a_stream_whose_answer_is_long_in_coming_is_told_what_it_waits_for(void **state)
{
    static const char *const words[] = {"peer", "answer", "model"};
    (void)state;
    for (int i = 0; i < 3; i++) {
        tl_api_config config = harness_config();
        char word[40];
        harness h;
        client c;
        config.queue_first = 20 * TL_MS;
        config.queue_look = 10 * TL_MS;
        config.wait_first = 60 * TL_MS;
        config.wait_every = 40 * TL_MS;
        harness_init(&h, &config);
        fake_ask *a = asked(&h, &c, CHAT, "", STREAM);
        a->progress = (tl_progress){.waits_for = (tl_waits_for)(TL_WAITS_PEER + i)};
        snprintf(word, sizeof word, ": waiting for=%s seconds=0\n\n", words[i]);
        WAIT_UNTIL(&h, count(&c, word) == 2);
        assert_int_equal(client_status(&c), 200);
        assert_true(client_has(&c, "\r\nContent-Type: text/event-stream\r\n"));
        if (i == 0) {
            fake_fail(a, TL_FAIL_TIMEOUT, "no answer");
            WAIT_UNTIL(&h, client_has(&c, "event: error\ndata: {\"error\":"));
        } else {
            fake_head(a, 200, "text/event-stream");
            fake_body(a, "data: 1\n\n");
            fake_end(a);
            WAIT_UNTIL(&h, client_has(&c, "data: 1\n\n\r\n0\r\n\r\n"));
        }
        assert_int_equal(count(&c, "HTTP/1.1 "), 1);
        client_close(&c);
        harness_clear(&h);
    }
}

#define SILENT_FIRST (60 * TL_MS)

/* A question whose answer has begun; the answer's last bytes were `last`. */
static fake_ask *answering(harness *h, client *c, const char *body, const char *type,
                           const char *last)
{
    tl_api_config config = harness_config();
    config.queue_look = 10 * TL_MS;
    config.silent_first = SILENT_FIRST;
    config.silent_every = 40 * TL_MS;
    harness_init(h, &config);
    fake_ask *a = asked(h, c, CHAT, "", body);
    a->progress = (tl_progress){.waits_for = TL_WAITS_MODEL};
    fake_head(a, 200, type);
    fake_body(a, last);
    return a;
}

static void a_stream_that_falls_silent_in_the_middle_is_told_why_until_words_come(void **state)
{
    (void)state;
    harness h;
    client c;
    fake_ask *a = answering(&h, &c, STREAM, "text/event-stream", "data: 1\n\n");
    WAIT_UNTIL(&h, count(&c, ": waiting for=model seconds=0 peer=") == 2);
    a->progress.waits_for = TL_WAITS_PATH;
    WAIT_UNTIL(&h, count(&c, ": waiting for=path seconds=0 peer=") == 2);
    fake_body(a, "data: 2\n\n");
    WAIT_UNTIL(&h, client_has(&c, "data: 2\n\n"));
    fake_end(a);
    WAIT_UNTIL(&h, client_has(&c, "\r\n0\r\n\r\n"));
    assert_int_equal(count(&c, "HTTP/1.1 "), 1);
    client_close(&c);
    harness_clear(&h);
}

static void an_answer_of_this_node_names_no_peer_in_its_silence(void **state)
{
    (void)state;
    harness h;
    client c;
    fake_ask *a = answering(&h, &c, STREAM, "text/event-stream", "data: 1\n\n");
    memset(h.node.id.key, 0xA5, sizeof h.node.id.key); /* as fake_head says */
    WAIT_UNTIL(&h, client_has(&c, ": waiting for=model seconds=0\n\n"));
    fake_end(a);
    client_close(&c);
    harness_clear(&h);
}

static void nothing_is_told_inside_an_event_nor_in_what_is_no_stream_of_events(void **state)
{
    static const struct {
        const char *body, *type, *last;
        bool told;
    } rows[] = {{STREAM, "text/event-stream", "data: 1\n\n", true},
                {STREAM, "text/event-stream", "data: 1\n", false},
                {STREAM, "text/event-stream", "data: 1", false},
                {STREAM, "application/json", "{}\n\n", false},
                {"{\"model\":\"m1\"}", "text/event-stream", "data: 1\n\n", false}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        harness h;
        client c;
        fake_ask *a = answering(&h, &c, rows[i].body, rows[i].type, rows[i].last);
        harness_run_for(&h, 4 * SILENT_FIRST);
        if (rows[i].told)
            WAIT_UNTIL(&h, client_has(&c, "\r\n: waiting for="));
        assert_int_equal(client_has(&c, "waiting for="), rows[i].told);
        fake_end(a);
        client_close(&c);
        harness_clear(&h);
    }
}

static void whoever_listens_hears_of_each_question_that_waits(void **state)
{
    (void)state;
    static const char *const bodies[] = {"{\"model\":\"m1\"}", STREAM};
    for (size_t i = 0; i < 2; i++) {
        harness h;
        client c;
        fake_ask *a = waiting(&h, &c, CHAT, bodies[i]);
        WAIT_UNTIL(&h, h.node.told_waiting >= 2);
        assert_string_equal(h.node.waits_for, "queue");
        a->progress = (tl_progress){.waits_for = TL_WAITS_MODEL};
        WAIT_UNTIL(&h, !strcmp(h.node.waits_for, "model"));
        fake_head(a, 200, i ? "text/event-stream" : "application/json");
        unsigned told = h.node.told_waiting;
        harness_run_for(&h, 100 * TL_MS);
        assert_int_equal(h.node.told_waiting, told); /* an answer has begun */
        fake_end(a);
        client_close(&c);
        harness_run_for(&h, 20 * TL_MS);
        harness_clear(&h);
    }
}

static void one_that_does_not_wait_is_told_nothing(void **state)
{
    (void)state;
    harness h;
    client c;
    fake_ask *a = waiting(&h, &c, CHAT, STREAM);
    a->progress = (tl_progress){0};
    harness_run_for(&h, 100 * TL_MS);
    assert_int_equal(c.in.len, 0);
    fake_head(a, 400, "application/json"); /* so that a refusal has its own status */
    fake_body(a, "{}");
    fake_end(a);
    WAIT_UNTIL(&h, client_answered(&c));
    assert_int_equal(client_status(&c), 400);
    client_close(&c);
    harness_clear(&h);
}

static void only_who_wants_a_stream_of_events_is_told(void **state)
{
    (void)state;
    static const struct {
        const char *path, *body;
    } rows[] = {{CHAT, "{\"model\":\"m1\"}"}, {"/v1/audio/speech", STREAM}};
    for (size_t i = 0; i < 2; i++) {
        harness h;
        client c;
        fake_ask *a = waiting(&h, &c, rows[i].path, rows[i].body);
        harness_run_for(&h, 100 * TL_MS);
        assert_int_equal(c.in.len, 0);
        a->retry_after = 77;
        fake_fail(a, TL_FAIL_QUEUE_FULL, "this node's queue is full");
        WAIT_UNTIL(&h, client_answered(&c));
        assert_int_equal(client_status(&c), 429);
        assert_true(client_has(&c, "\r\nRetry-After: 77\r\n"));
        assert_true(client_has(&c, "\"code\":\"queue_full\""));
        client_close(&c);
        harness_clear(&h);
    }
}

static void what_fails_after_the_first_word_is_an_event(void **state)
{
    (void)state;
    harness h;
    client c;
    fake_ask *a = waiting(&h, &c, CHAT, STREAM);
    WAIT_UNTIL(&h, client_has(&c, PLACE));
    fake_fail(a, TL_FAIL_QUEUE_FULL, "this node's queue is full");
    WAIT_UNTIL(&h, client_has(&c, "\r\n0\r\n\r\n"));
    assert_true(client_has(&c, "event: error\ndata: {\"error\":"));
    assert_true(client_has(&c, "\"code\":\"queue_full\""));
    assert_int_equal(count(&c, "HTTP/1.1 "), 1);
    client_close(&c);
    harness_clear(&h);
}

static void an_answer_that_is_no_stream_is_one_event(void **state)
{
    (void)state;
    static const struct {
        int status;
        const char *body, *event;
    } rows[] = {{400, "{\"error\":\n{\"code\":\"x\"}}",
                 "\r\ndata: {\"error\":{\"code\":\"x\"}}\n\n"}, /* its word, not the node's */
                {422, "{\"a\":1}", "event: error\ndata: {\"error\":"},
                {200, "{\"a\":\r\n1}", "\r\ndata: {\"a\":1}\n\n"},
                {404, "not JSON\n", "event: error\ndata: {\"error\":"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        harness h;
        client c;
        fake_ask *a = waiting(&h, &c, CHAT, STREAM);
        WAIT_UNTIL(&h, client_has(&c, PLACE));
        fake_head(a, rows[i].status, "application/json");
        fake_body(a, rows[i].body);
        fake_end(a);
        WAIT_UNTIL(&h, client_has(&c, "\r\n0\r\n\r\n"));
        assert_true(client_has(&c, rows[i].event));
        client_close(&c);
        harness_clear(&h);
    }
}

static void a_client_that_goes_while_it_waits_is_forgotten(void **state)
{
    (void)state;
    harness h;
    client c;
    fake_ask *a = waiting(&h, &c, CHAT, STREAM);
    WAIT_UNTIL(&h, client_has(&c, PLACE));
    client_reset(&c);
    WAIT_UNTIL(&h, a->cancelled);
    client_close(&c);
    harness_clear(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stream_whose_answer_is_long_in_coming_is_told_what_it_waits_for),
        cmocka_unit_test(a_stream_that_falls_silent_in_the_middle_is_told_why_until_words_come),
        cmocka_unit_test(an_answer_of_this_node_names_no_peer_in_its_silence),
        cmocka_unit_test(nothing_is_told_inside_an_event_nor_in_what_is_no_stream_of_events),
        cmocka_unit_test(whoever_listens_hears_of_each_question_that_waits),
        cmocka_unit_test(a_stream_that_waits_is_told_its_place_until_its_answer_comes),
        cmocka_unit_test(one_that_does_not_wait_is_told_nothing),
        cmocka_unit_test(only_who_wants_a_stream_of_events_is_told),
        cmocka_unit_test(what_fails_after_the_first_word_is_an_event),
        cmocka_unit_test(an_answer_that_is_no_stream_is_one_event),
        cmocka_unit_test(a_client_that_goes_while_it_waits_is_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
