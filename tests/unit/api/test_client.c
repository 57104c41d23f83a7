/* What clients do to a connection: leave, stall, pipeline, send much, send slowly, come in numbers.
 */
#include "harness.h"
#include "ownnet.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>

#define CHAT          "/v1/chat/completions"
#define STREAM        "{\"model\":\"m1\",\"stream\":true}"
#define STREAM_LENGTH "28"

static fake_ask *ask_stream(harness *h, client *c)
{
    size_t before = h->node.ask_n;
    client_open(h, c);
    client_send(c, "POST " CHAT " HTTP/1.1\r\nHost: localhost\r\nContent-Length: " STREAM_LENGTH
                   "\r\n\r\n" STREAM);
    WAIT_UNTIL(h, h->node.ask_n == before + 1);
    return h->node.asks[before];
}

/* --- clients that leave --- */

static void a_client_that_closes_cancels_within_100_ms(void **state)
{
    (void)state;
    harness h;
    client c;
    harness_init(&h, NULL);
    for (int begun = 0; begun <= 1; begun++) {
        for (int reset = 0; reset <= 1; reset++) {
            fake_ask *a = ask_stream(&h, &c);
            if (begun) {
                fake_head(a, 200, "text/event-stream");
                fake_body(a, "data: 1\n\n");
                WAIT_UNTIL(&h, client_has(&c, "data: 1"));
            }
            tl_time left = tl_loop_clock(h.loop);
            if (reset)
                client_reset(&c);
            else
                client_close(&c);
            WAIT_UNTIL(&h, a->cancelled || tl_loop_clock(h.loop) > left + 2 * TL_SEC);
            assert_true(tl_loop_clock(h.loop) - left < 100 * TL_MS);
        }
    }
    harness_clear(&h);
}

static void a_client_that_waits_is_not_cancelled(void **state)
{
    (void)state;
    harness h;
    client c;
    harness_init(&h, NULL);
    fake_ask *a = ask_stream(&h, &c);
    harness_run_for(&h, 300 * TL_MS);
    assert_false(a->over);
    client_close(&c);
    harness_clear(&h);
}

/* Behind a full buffer its close could not be seen. */
static void a_client_that_pipelines_without_end_behind_a_question_is_cut(void **state)
{
    (void)state;
    harness h;
    client c;
    harness_init(&h, NULL);
    for (int over = 0; over <= 1; over++) {
        static const char request[] = "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n";
        fake_ask *a = ask_stream(&h, &c);
        for (size_t n = 0; n < (over ? 80u << 10 : 50u << 10); n += sizeof request - 1)
            client_send(&c, request);
        if (over)
            WAIT_UNTIL(&h, a->cancelled && c.ended);
        else
            harness_run_for(&h, 50 * TL_MS);
        assert_int_equal(a->cancelled, over);
        client_close(&c);
    }
    harness_clear(&h);
}

static void ending_the_api_cancels_what_runs(void **state)
{
    (void)state;
    harness h;
    client c;
    harness_init(&h, NULL);
    fake_ask *a = ask_stream(&h, &c);
    tl_api_free(h.api);
    h.api = NULL;
    assert_true(a->cancelled);
    client_close(&c);
    harness_clear(&h);
}

/* --- clients that stall --- */

static void a_client_that_reads_nothing_pauses_the_node_and_is_bounded(void **state)
{
    (void)state;
    static uint8_t kilobytes[64 << 10];
    harness h;
    client c;
    harness_init(&h, NULL);
    fake_ask *a = ask_stream(&h, &c);
    client_deafen(&c, true);
    fake_head(a, 200, "text/event-stream");
    size_t sent = 0;
    while (!a->paused) {
        memset(kilobytes, 'a' + (int)(sent >> 16) % 26, sizeof kilobytes);
        fake_body_bytes(a, tl_slice_of(kilobytes, sizeof kilobytes));
        sent += sizeof kilobytes;
        assert_true(sent < 64u << 20);
        harness_run_for(&h, TL_MS);
    }
    assert_true(sent > 1u << 20);
    /* 1 MiB of ours, our kernel's buffer, and what the client's kernel takes (6 MiB by default) */
    assert_true(sent < 16u << 20);
    client_deafen(&c, false);
    WAIT_UNTIL(&h, !a->paused);
    fake_end(a);
    WAIT_UNTIL(&h, client_has(&c, "\r\n0\r\n\r\n"));
    assert_true(c.in.len > sent); /* every byte arrived */
    assert_int_equal(a->pauses, 1);
    client_close(&c);
    harness_clear(&h);
}

static void a_client_that_goes_on_reading_nothing_is_cut(void **state)
{
    (void)state;
    static uint8_t megabyte[1 << 20];
    harness h;
    client c;
    tl_api_config config = harness_config();
    config.stalled_timeout = 200 * TL_MS;
    harness_init(&h, &config);
    fake_ask *a = ask_stream(&h, &c);
    client_deafen(&c, true);
    fake_head(a, 200, "text/event-stream");
    while (!a->paused)
        fake_body_bytes(a, tl_slice_of(megabyte, sizeof megabyte));
    tl_time stalled = tl_loop_clock(h.loop);
    harness_run_for(&h, 100 * TL_MS);
    assert_false(a->over);
    WAIT_UNTIL(&h, a->cancelled || tl_loop_clock(h.loop) > stalled + 5 * TL_SEC);
    assert_true(a->cancelled);
    client_close(&c);
    harness_clear(&h);
}

/* --- slow clients --- */

static void a_head_that_takes_too_long_is_408(void **state)
{
    (void)state;
    harness h;
    client c;
    tl_api_config config = harness_config();
    config.head_timeout = 100 * TL_MS;
    harness_init(&h, &config);
    client_open(&h, &c);
    client_send(&c, "GET /health HTTP/1.1\r\nHost: local");
    WAIT_UNTIL(&h, client_answered(&c));
    assert_int_equal(client_status(&c), 408);
    assert_true(client_has(&c, "\"code\":\"request_timeout\""));
    WAIT_UNTIL(&h, c.ended);
    client_close(&c);
    harness_clear(&h);
}

static void a_head_dripping_in_time_is_answered(void **state)
{
    (void)state;
    static const char text[] = "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n";
    harness h;
    client c;
    harness_init(&h, NULL);
    client_open(&h, &c);
    for (size_t i = 0; i < sizeof text - 1; i++) {
        client_send_bytes(&c, tl_slice_of(text + i, 1));
        harness_run_for(&h, TL_MS);
    }
    WAIT_UNTIL(&h, client_answered(&c));
    assert_int_equal(client_status(&c), 200);
    client_close(&c);
    harness_clear(&h);
}

static void a_body_that_stops_coming_is_408(void **state)
{
    (void)state;
    harness h;
    client c;
    tl_api_config config = harness_config();
    config.body_timeout = 100 * TL_MS;
    harness_init(&h, &config);
    client_open(&h, &c);
    client_send(&c, "POST " CHAT " HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{");
    WAIT_UNTIL(&h, client_answered(&c));
    assert_int_equal(client_status(&c), 408);
    client_close(&c);
    harness_clear(&h);
}

static void an_idle_connection_is_closed_in_silence(void **state)
{
    (void)state;
    harness h;
    client c;
    tl_api_config config = harness_config();
    config.idle_timeout = 100 * TL_MS;
    harness_init(&h, &config);
    exchange(&h, &c, "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n");
    size_t n = c.in.len;
    WAIT_UNTIL(&h, c.ended);
    assert_int_equal(c.in.len, n);
    client_close(&c);
    harness_clear(&h);
}

/* --- bodies --- */

static void a_body_of_26_MiB_passes_and_one_byte_more_is_413_at_once(void **state)
{
    (void)state;
    harness h;
    client c;
    harness_init(&h, NULL);
    static const char before[] = "{\"model\":\"m1\",\"messages\":\"", after[] = "\"}";
    size_t fill = TL_BODY_MAX - (sizeof before - 1) - (sizeof after - 1);
    char *body = malloc(TL_BODY_MAX);
    memcpy(body, before, sizeof before - 1);
    memset(body + sizeof before - 1, 'x', fill);
    memcpy(body + sizeof before - 1 + fill, after, sizeof after - 1);
    client_open(&h, &c);
    client_send(&c,
                "POST " CHAT " HTTP/1.1\r\nHost: localhost\r\nContent-Length: 27262976\r\n\r\n");
    client_send_bytes(&c, tl_slice_of(body, TL_BODY_MAX));
    WAIT_UNTIL(&h, h.node.ask_n == 1);
    assert_true(tl_slice_eq(h.node.asks[0]->ask.body, tl_slice_of(body, TL_BODY_MAX)));
    free(body);
    client_close(&c);

    exchange(&h, &c,
             "POST " CHAT " HTTP/1.1\r\nHost: localhost\r\nContent-Length: 27262977\r\n\r\n");
    assert_int_equal(client_status(&c), 413); /* nothing of the body was sent */
    assert_true(client_has(&c, "at most 26 MiB are taken"));
    assert_true(client_has(&c, "Connection: close\r\n"));
    client_close(&c);
    harness_clear(&h);
}

static void a_client_that_sends_too_much_all_the_same_reads_its_413(void **state)
{
    (void)state;
    static uint8_t megabyte[1 << 20];
    harness h;
    client c;
    harness_init(&h, NULL);
    client_open(&h, &c);
    client_send(&c,
                "POST " CHAT " HTTP/1.1\r\nHost: localhost\r\nContent-Length: 31457280\r\n\r\n");
    for (int i = 0; i < 30; i++)
        client_send_bytes(&c, tl_slice_of(megabyte, sizeof megabyte));
    WAIT_UNTIL(&h, client_answered(&c));
    assert_int_equal(client_status(&c), 413);
    client_close(&c);
    harness_clear(&h);
}

static void a_chunked_body_is_put_together(void **state)
{
    (void)state;
    harness h;
    client c;
    harness_init(&h, NULL);
    client_open(&h, &c);
    client_send(&c,
                "POST " CHAT " HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
                "5;note=1\r\n{\"mod\r\n");
    harness_run_for(&h, 10 * TL_MS);
    client_send(&c, "9\r\nel\":\"m1\"}\r\n0\r\nX-Trailer: 1\r\n\r\n");
    WAIT_UNTIL(&h, h.node.ask_n == 1);
    assert_true(tl_slice_eq(h.node.asks[0]->ask.body, TL_SLICE_LIT("{\"model\":\"m1\"}")));
    client_close(&c);
    harness_clear(&h);
}

static void a_chunk_that_announces_too_much_is_413_at_once(void **state)
{
    (void)state;
    harness h;
    client c;
    harness_init(&h, NULL);
    exchange(&h, &c,
             "POST " CHAT " HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
             "1a00001\r\nx");
    assert_int_equal(client_status(&c), 413);
    client_close(&c);
    harness_clear(&h);
}

static void a_client_that_asks_first_is_told_to_go_on(void **state)
{
    (void)state;
    harness h;
    client c;
    harness_init(&h, NULL);
    client_open(&h, &c);
    client_send(&c, "POST " CHAT " HTTP/1.1\r\nHost: localhost\r\nContent-Length: " STREAM_LENGTH
                    "\r\nExpect: 100-continue\r\n\r\n");
    WAIT_UNTIL(&h, client_has(&c, "HTTP/1.1 100 Continue\r\n\r\n"));
    client_send(&c, STREAM);
    WAIT_UNTIL(&h, h.node.ask_n == 1);
    client_close(&c);
    /* and one that is refused is not */
    exchange(&h, &c,
             "POST /nowhere HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n"
             "Expect: 100-continue\r\n\r\n");
    assert_int_equal(client_status(&c), 404);
    assert_false(client_has(&c, "100 Continue"));
    client_close(&c);
    harness_clear(&h);
}

/* --- many --- */

static void pipelined_requests_are_answered_in_order(void **state)
{
    (void)state;
    harness h;
    client c;
    harness_init(&h, NULL);
    client_open(&h, &c);
    client_send(&c, "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
                    "POST " CHAT " HTTP/1.1\r\nHost: localhost\r\nContent-Length: " STREAM_LENGTH
                    "\r\n\r\n" STREAM "GET /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n"
                    "POST " CHAT " HTTP/1.1\r\nHost: localhost\r\nContent-Length: " STREAM_LENGTH
                    "\r\nConnection: close\r\n\r\n" STREAM);
    WAIT_UNTIL(&h, h.node.ask_n == 1);
    WAIT_UNTIL(&h, client_has(&c, "{\"status\":\"ok\"}"));
    assert_false(client_has(&c, "404"));
    fake_head(h.node.asks[0], 200, "text/event-stream");
    fake_body(h.node.asks[0], "data: first\n\n");
    fake_end(h.node.asks[0]);
    WAIT_UNTIL(&h, h.node.ask_n == 2);
    fake_head(h.node.asks[1], 200, "text/event-stream");
    fake_body(h.node.asks[1], "data: second\n\n");
    fake_end(h.node.asks[1]);
    WAIT_UNTIL(&h, c.ended);
    const char *all = client_body(&c);
    const char *first = strstr(all, "data: first"), *missing = strstr(all, "404 Not Found"),
               *second = strstr(all, "data: second");
    assert_true(first && missing && second && first < missing && missing < second);
    client_close(&c);
    harness_clear(&h);
}

static void a_thousand_streams_run_at_once(void **state)
{
    (void)state;
    enum { N = 1000 };
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    if (files.rlim_cur < 2 * N + 64) {
        files.rlim_cur = files.rlim_max < 2 * N + 64 ? files.rlim_max : 2 * N + 64;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    if (files.rlim_cur < 2 * N + 64)
        skip_because("2064 descriptors are not allowed (ulimit -Hn)");
    harness h;
    client *c = calloc(N, sizeof *c);
    harness_init(&h, NULL);
    for (int i = 0; i < N; i++) {
        fake_ask *a = ask_stream(&h, &c[i]);
        fake_head(a, 200, "text/event-stream");
    }
    for (int round = 0; round < 3; round++)
        for (int i = 0; i < N; i++) {
            char text[40];
            snprintf(text, sizeof text, "data: stream %d.%d\n\n", i, round);
            fake_body(h.node.asks[i], text);
        }
    for (int i = 0; i < N; i++)
        fake_end(h.node.asks[i]);
    for (int i = 0; i < N; i++) {
        WAIT_UNTIL(&h, client_has(&c[i], "\r\n0\r\n\r\n"));
        for (int round = 0; round < 3; round++) {
            char text[40];
            snprintf(text, sizeof text, "data: stream %d.%d\n", i, round);
            assert_true(client_has(&c[i], text));
        }
        client_close(&c[i]);
    }
    free(c);
    harness_clear(&h);
}

static void above_the_limit_the_longest_idle_makes_room_and_the_busy_stay(void **state)
{
    (void)state;
    harness h;
    client busy, idle, next, refused;
    tl_api_config config = harness_config();
    config.connections_max = 2;
    harness_init(&h, &config);
    fake_ask *a = ask_stream(&h, &busy);
    exchange(&h, &idle, "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n");
    fake_ask *b = ask_stream(&h, &next);
    WAIT_UNTIL(&h, idle.ended);
    client_open(&h, &refused);
    WAIT_UNTIL(&h, refused.ended);
    assert_int_equal(client_status(&refused), 503);
    assert_true(client_has(&refused, "\r\nRetry-After: "));
    assert_false(a->over);
    assert_false(b->over);
    client_close(&busy);
    client_close(&idle);
    client_close(&next);
    client_close(&refused);
    harness_clear(&h);
}

static void slow_bodies_at_the_tcp_door_leave_the_unix_socket_to_its_owner(void **state)
{
    (void)state;
    static const char slow[] = "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
                               "Content-Length: 100\r\n\r\n{";
    static const char health[] = "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n";
    harness h;
    client stranger[2], refused, owner[2];
    tl_api_config config = harness_config();
    config.connections_max = 2;
    harness_init(&h, &config);
    for (int i = 0; i < 2; i++) {
        client_open(&h, &stranger[i]);
        client_send(&stranger[i], slow);
    }
    harness_run_for(&h, 20 * TL_MS);
    client_open(&h, &refused);
    WAIT_UNTIL(&h, refused.ended);
    assert_int_equal(client_status(&refused), 503);
    assert_true(client_has(&refused, "\r\nRetry-After: "));
    for (int i = 0; i < 2; i++) {
        client_open_unix(&h, &owner[i]);
        client_send(&owner[i], health);
        WAIT_UNTIL(&h, client_answered(&owner[i]));
        assert_int_equal(client_status(&owner[i]), 200);
    }
    for (int i = 0; i < 2; i++) {
        assert_false(stranger[i].ended);
        client_close(&stranger[i]);
        client_close(&owner[i]);
    }
    client_close(&refused);
    harness_clear(&h);
}

static void a_body_that_drips_does_not_keep_its_place(void **state)
{
    (void)state;
    harness h;
    client slow, fast;
    tl_api_config config = harness_config();
    config.body_timeout = 150 * TL_MS;
    harness_init(&h, &config);
    client_open(&h, &slow);
    client_send(&slow, "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
                       "Content-Length: 1000000\r\n\r\n");
    client_open(&h, &fast);
    client_send(&fast, "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
                       "Content-Length: 1000000\r\n\r\n");
    char piece[20001];
    memset(piece, 'x', sizeof piece - 1);
    piece[sizeof piece - 1] = 0;
    for (int i = 0; i < 20 && !client_answered(&slow); i++) {
        client_send(&slow, "x");
        client_send(&fast, piece);
        harness_run_for(&h, 20 * TL_MS);
    }
    assert_int_equal(client_status(&slow), 408);
    assert_false(client_answered(&fast));
    client_close(&slow);
    client_close(&fast);
    harness_clear(&h);
}

static bool drained;
static void on_drained(void *user)
{
    drained = true;
    tl_loop_stop(user);
}

static void draining_lets_answers_end_and_takes_nobody_new(void **state)
{
    (void)state;
    harness h;
    client running, idle, late, events;
    harness_init(&h, NULL);
    fake_ask *a = ask_stream(&h, &running);
    fake_head(a, 200, "text/event-stream");
    exchange(&h, &idle, "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n");
    client_open(&h, &events);
    client_send(&events, "GET /v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n");
    WAIT_UNTIL(&h, client_has(&events, ": connected"));
    drained = false;
    tl_api_drain(h.api, tl_loop_now(h.loop) + WAIT_NS, on_drained, h.loop);
    WAIT_UNTIL(&h, idle.ended && events.ended);
    assert_true(client_has(&events, "\r\n0\r\n\r\n"));
    client_start(&h, &late);
    WAIT_UNTIL(&h, late.ended);
    assert_false(late.open);
    assert_false(drained);
    fake_body(a, "data: 1\n\n");
    fake_end(a);
    WAIT_UNTIL(&h, running.ended);
    assert_true(client_has(&running, "data: 1\n\n\r\n0\r\n\r\n"));
    client_close(&running);
    client_close(&idle);
    client_close(&events);
    WAIT_UNTIL(&h, drained);
    client_close(&late);
    harness_clear(&h);
}

static void draining_ends_at_its_deadline(void **state)
{
    (void)state;
    harness h;
    client c;
    harness_init(&h, NULL);
    fake_ask *a = ask_stream(&h, &c);
    drained = false;
    tl_api_drain(h.api, tl_loop_now(h.loop) + 50 * TL_MS, on_drained, h.loop);
    WAIT_UNTIL(&h, drained);
    assert_false(a->over);
    tl_api_free(h.api);
    h.api = NULL;
    assert_true(a->cancelled);
    client_close(&c);
    harness_clear(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_client_that_closes_cancels_within_100_ms),
        cmocka_unit_test(a_client_that_waits_is_not_cancelled),
        cmocka_unit_test(a_client_that_pipelines_without_end_behind_a_question_is_cut),
        cmocka_unit_test(ending_the_api_cancels_what_runs),
        cmocka_unit_test(a_client_that_reads_nothing_pauses_the_node_and_is_bounded),
        cmocka_unit_test(a_client_that_goes_on_reading_nothing_is_cut),
        cmocka_unit_test(a_head_that_takes_too_long_is_408),
        cmocka_unit_test(a_head_dripping_in_time_is_answered),
        cmocka_unit_test(a_body_that_stops_coming_is_408),
        cmocka_unit_test(an_idle_connection_is_closed_in_silence),
        cmocka_unit_test(a_body_of_26_MiB_passes_and_one_byte_more_is_413_at_once),
        cmocka_unit_test(a_client_that_sends_too_much_all_the_same_reads_its_413),
        cmocka_unit_test(a_chunked_body_is_put_together),
        cmocka_unit_test(a_chunk_that_announces_too_much_is_413_at_once),
        cmocka_unit_test(a_client_that_asks_first_is_told_to_go_on),
        cmocka_unit_test(pipelined_requests_are_answered_in_order),
        cmocka_unit_test(a_thousand_streams_run_at_once),
        cmocka_unit_test(above_the_limit_the_longest_idle_makes_room_and_the_busy_stay),
        cmocka_unit_test(slow_bodies_at_the_tcp_door_leave_the_unix_socket_to_its_owner),
        cmocka_unit_test(a_body_that_drips_does_not_keep_its_place),
        cmocka_unit_test(draining_lets_answers_end_and_takes_nobody_new),
        cmocka_unit_test(draining_ends_at_its_deadline),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
