/* The HTTP client while requests run: timing, cancelling, pausing, many at once. */
#include "io/httpclient.h"

#include "asking.h"
#include "scripted.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <netinet/in.h>
#include <poll.h>
#include <semaphore.h>
#include <stdio.h>
#include <unistd.h>

/* --- while it runs --- */

static sem_t got_piece;

static void say_piece_by_piece(scripted *s, parrot_conn *c)
{
    if (!scripted_request(s, c))
        return;
    parrot_send_text(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 5; i++) {
        parrot_send_chunk(c, "piece", 5);
        sem_wait(&got_piece); /* the next only after this one was handed on */
    }
    parrot_send_text(c, "0\r\n\r\n");
}

static void post_piece(got *g)
{
    (void)g;
    sem_post(&got_piece);
}

static void bytes_are_handed_on_the_moment_they_come(void **state)
{
    (void)state;
    client k;
    scripted s;
    got g = {.in_body = post_piece};
    sem_init(&got_piece, 0, 0);
    client_init(&k);
    scripted_start(&s, 0, say_piece_by_piece, NULL);
    start_url(&k, &g, s.url);
    run(&k);
    client_clear(&k);
    scripted_stop(&s);
    assert_int_equal(g.err, TL_OK);
    assert_int_equal(g.bodies, 5);
    tl_buf_clear(&g.body);
    sem_destroy(&got_piece);
}

static void cancel_self(got *g)
{
    cancel(g);
}

static void cancel_other(got *g)
{
    if (g->other->request) {
        cancel(g->other);
        g->other->request = NULL;
    }
}

static void cancel_is_allowed_anywhere_and_hangs_up_at_once(void **state)
{
    (void)state;
    client k;
    scripted s;
    client_init(&k);
    scripted_start(&s, 0, say_and_hold, "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nhello");
    got in_head = {.in_head = cancel_self}, in_body = {.in_body = cancel_self};
    start_url(&k, &in_head, s.url);
    start_url(&k, &in_body, s.url);
    run(&k);
    assert_int_equal(in_head.heads, 1);
    assert_int_equal(in_head.bodies + in_head.dones + in_body.dones, 0);
    assert_int_equal(in_body.bodies, 1);

    /* one that runs, from the callbacks of another: from inside libcurl, and from on_done */
    got running = {0}, killer = {.in_body = cancel_other, .other = &running};
    start_url(&k, &running, s.url);
    run_till(&k, &running.bodies, 1);
    assert_int_equal(running.bodies, 1);
    start_url(&k, &killer, s.url);
    run_till(&k, &killer.bodies, 1);
    assert_null(running.request);
    run_for(&k, 20 * TL_MS);
    assert_int_equal(running.dones, 0);
    cancel(&killer); /* and from outside */

    got early = {0};
    start_url(&k, &early, s.url);
    cancel(&early); /* before anything was sent */
    run_for(&k, 20 * TL_MS);
    assert_int_equal(early.heads + early.dones, 0);
    for (int i = 0; i < 2000 && s.gone < 4; i++)
        run_for(&k, 5 * TL_MS);
    assert_int_equal(s.gone, 4);
    client_clear(&k);
    scripted_stop(&s);
    tl_buf_clear(&in_body.body);
    tl_buf_clear(&running.body);
    tl_buf_clear(&killer.body);
}

static void start_other(got *g)
{
    start_url(g->k, g->other, g->other->url);
}

static void a_request_may_be_started_from_a_callback(void **state)
{
    (void)state;
    client k;
    scripted s;
    client_init(&k);
    scripted_start(&s, 0, say_arg, OK_HELLO);
    got third = {0}, second = {.in_done = start_other, .other = &third},
        first = {.in_head = start_other, .other = &second};
    second.url = third.url = s.url;
    start_url(&k, &first, s.url);
    run(&k);
    assert_int_equal(first.err + second.err + third.err, TL_OK);
    assert_int_equal(first.dones + second.dones + third.dones, 3);
    tl_buf_clear(&first.body);
    tl_buf_clear(&second.body);
    tl_buf_clear(&third.body);
    client_clear(&k);
    scripted_stop(&s);
}

/* --- back-pressure --- */

#define FLOOD (96u << 20)
static atomic_size_t flooded;

static void flood(scripted *s, parrot_conn *c)
{
    static uint8_t block[64 << 10];
    bool chunked = s->arg != NULL;
    char head[128];
    if (!scripted_request(s, c))
        return;
    flooded = 0;
    if (chunked)
        snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    else
        snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Length: %u\r\n\r\n", FLOOD);
    parrot_send_text(c, head);
    for (size_t n = 0; n < FLOOD; n += sizeof block) {
        bool ok = chunked ? parrot_send_chunk(c, block, sizeof block)
                          : parrot_send(c, block, sizeof block);
        if (!ok)
            return;
        flooded += sizeof block;
    }
    if (chunked)
        parrot_send_text(c, "0\r\n\r\n");
}

static void pause_self(got *g)
{
    tl_http_set_paused(g->request, true);
    if (g->bodies == 1)
        tl_loop_stop(g->k->loop);
}

static void a_pause_stops_the_server_and_loses_nothing(void **state)
{
    (void)state;
    client k;
    scripted s;
    for (int chunked = 0; chunked < 2; chunked++) {
        client_init(&k);
        scripted_start(&s, 0, flood, chunked ? &k : NULL);
        got g = {.in_body = pause_self, .drop_body = true};
        tl_http_ask ask = tl_http_ask_default();
        ask.url = s.url;
        ask.silence = 500 * TL_MS; /* which a pause does not count against */
        start(&k, &g, &ask);
        run(&k);
        assert_int_equal(g.bodies, 1);
        run_for(&k, 700 * TL_MS);
        assert_int_equal(g.bodies, 1);
        assert_int_equal(g.dones, 0);
        assert_true(flooded < FLOOD / 2); /* the kernel's buffers are full, and nothing is read */
        for (int i = 2; i < 50; i++) {    /* a piece at a time, pausing in every call */
            tl_http_set_paused(g.request, false);
            run_till(&k, &g.bodies, i);
            assert_int_equal(g.bodies, i);
        }
        g.in_body = NULL;
        tl_http_set_paused(g.request, false);
        run(&k);
        assert_int_equal(g.err, TL_OK);
        assert_int_equal(g.body_n, FLOOD);
        client_clear(&k);
        scripted_stop(&s);
    }
}

static void the_end_waits_for_a_paused_body(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        client k;
        scripted s;
        client_init(&k);
        scripted_start(&s, 0, say_and_close, texts[i]);
        got g = {0};
        start_url(&k, &g, s.url);
        tl_http_set_paused(g.request, true); /* before it began */
        run_till(&k, &g.heads, 1);
        run_for(&k, 20 * TL_MS);
        assert_int_equal(g.heads, 1);
        assert_int_equal(g.bodies + g.dones, 0);
        tl_http_set_paused(g.request, false);
        run(&k);
        assert_int_equal(g.err, TL_OK);
        assert_string_equal(body_text(&g), "hello");
        tl_buf_clear(&g.body);
        client_clear(&k);
        scripted_stop(&s);
    }
}

static void cancelling_a_paused_request_frees_it(void **state)
{
    (void)state;
    client k;
    scripted s;
    client_init(&k);
    scripted_start(&s, 0, flood, NULL);
    got g = {.in_body = pause_self, .drop_body = true};
    start_url(&k, &g, s.url);
    run(&k);
    run_for(&k, 20 * TL_MS);
    cancel(&g);
    client_clear(&k);
    scripted_stop(&s);
    assert_true(flooded < FLOOD);
}

static void two_hundred_requests_run_side_by_side(void **state)
{
    (void)state;
    enum { N = 200 };
    client k;
    scripted s;
    static got all[N];
    memset(all, 0, sizeof all);
    client_init(&k);
    scripted_start(&s, 0, say_piece_by_piece, NULL);
    sem_init(&got_piece, 0, 0);
    for (int i = 0; i < N; i++) {
        all[i].in_body = post_piece;
        start_url(&k, &all[i], s.url);
    }
    run(&k);
    for (int i = 0; i < N; i++) {
        assert_int_equal(all[i].err, TL_OK);
        assert_int_equal(all[i].body.len, 25);
        tl_buf_clear(&all[i].body);
    }
    assert_int_equal(s.connections, N);
    client_clear(&k);
    scripted_stop(&s);
    sem_destroy(&got_piece);
}

static void freeing_the_client_ends_what_runs_without_a_word(void **state)
{
    (void)state;
    client k;
    scripted s;
    client_init(&k);
    scripted_start(&s, 0, say_and_hold, "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nhello");
    got running = {0}, queued = {0};
    start_url(&k, &running, s.url);
    run_till(&k, &running.bodies, 1);
    start_url(&k, &queued, s.url);
    client_clear(&k);
    assert_int_equal(running.bodies, 1);
    assert_int_equal(running.dones + queued.dones, 0);
    scripted_stop(&s);
    assert_int_equal(s.gone, 1);
    tl_buf_clear(&running.body);
}

/* Is a connection there to be accepted? */
static bool was_called(int listener)
{
    struct pollfd p = {.fd = listener, .events = POLLIN};
    return poll(&p, 1, 0) == 1;
}

static void a_request_leaves_at_once_where_it_is_told_to_go(void **state)
{
    (void)state;
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof at;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&at, &n), 0);
    char url[64];
    snprintf(url, sizeof url, "http://127.0.0.1:%u/", ntohs(at.sin_port));
    client k;
    got g = {0};
    client_init(&k);
    start_url(&k, &g, url);
    assert_false(was_called(listener)); /* the loop has not turned, nor will it */
    tl_http_go(k.http);
    assert_true(was_called(listener));
    assert_int_equal(g.dones, 0);
    client_clear(&k);
    close(listener);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_leaves_at_once_where_it_is_told_to_go),
        cmocka_unit_test(bytes_are_handed_on_the_moment_they_come),
        cmocka_unit_test(cancel_is_allowed_anywhere_and_hangs_up_at_once),
        cmocka_unit_test(a_request_may_be_started_from_a_callback),
        cmocka_unit_test(a_pause_stops_the_server_and_loses_nothing),
        cmocka_unit_test(the_end_waits_for_a_paused_body),
        cmocka_unit_test(cancelling_a_paused_request_frees_it),
        cmocka_unit_test(two_hundred_requests_run_side_by_side),
        cmocka_unit_test(freeing_the_client_ends_what_runs_without_a_word),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
