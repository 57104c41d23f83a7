/* Peers that speak nonsense on a request's stream, on either side: it costs them their request and
 * nobody anything else. */
#include "whole_node.h"
#include "wire/cluster.h"
#include "wire/streamframe.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

typedef struct {
    sim *sim;
    relay_host *relay;
    whole_node *asker, *provider;
} scene;

static scene scene_new(uint64_t seed)
{
    scene s = {.sim = sim_new(sim_seed(seed))};
    s.relay = relay_host_new(s.sim);
    s.asker = whole_node_new(s.sim, s.relay, 5 * TL_MS);
    s.provider = whole_node_new(s.sim, s.relay, 5 * TL_MS);
    whole_node_connect(s.asker);
    whole_node_connect(s.provider);
    whole_node_serve(s.provider, "m");
    sim_run_for(s.sim, 1 * TL_SEC);
    return s;
}

static void scene_free(scene *s)
{
    whole_node_free(s->asker);
    whole_node_free(s->provider);
    relay_host_free(s->relay);
    sim_free(s->sim);
}

/* --- a hostile asker: a stream with given bytes --- */
typedef struct {
    tl_stream_owner owner; /* first */
    tl_peer_wish wish;
    tl_quic_stream *stream;
    tl_slice bytes;
    size_t repeat, at; /* the bytes are sent this often */
    bool fin, reset, closed;
    tl_buf answer;
} raw_stream;

static raw_stream *of_wish(tl_peer_wish *w)
{
    return (raw_stream *)((char *)w - offsetof(raw_stream, wish));
}

static void raw_write(raw_stream *r)
{
    size_t n = 0;
    while (r->stream && r->repeat) {
        tl_slice rest = tl_slice_of(r->bytes.p + r->at, r->bytes.n - r->at);
        if (tl_quic_stream_write(r->stream, rest, r->repeat == 1 && r->fin, &n))
            return;
        r->at += n;
        if (r->at < r->bytes.n)
            return;
        r->at = 0;
        r->repeat--;
    }
}

static void raw_readable(tl_stream_owner *o)
{
    raw_stream *r = (raw_stream *)o;
    bool fin;
    tl_slice in;
    while ((in = tl_quic_stream_peek(r->stream, &fin)).n) {
        if (tl_buf_append(&r->answer, in))
            abort();
        tl_quic_stream_consume(r->stream, in.n);
    }
}

static void raw_writable(tl_stream_owner *o)
{
    raw_write((raw_stream *)o);
}

static void raw_reset(tl_stream_owner *o)
{
    ((raw_stream *)o)->reset = true;
}

static void raw_closed(tl_stream_owner *o, const char *why)
{
    raw_stream *r = (raw_stream *)o;
    (void)why;
    r->closed = true;
    r->stream = NULL;
}

static void raw_opened(tl_peer_wish *w, tl_quic_stream *s)
{
    raw_stream *r = of_wish(w);
    r->owner = (tl_stream_owner){raw_readable, raw_writable, raw_reset, raw_closed};
    r->stream = s;
    tl_quic_stream_set_user(s, r);
    raw_write(r);
}

static void raw_failed(tl_peer_wish *w, tl_err e, const char *why)
{
    (void)w;
    (void)e;
    fail_msg("no stream: %s", why);
}

static void raw_ask(scene *s, raw_stream *r)
{
    r->wish = (tl_peer_wish){
        .peer = s->provider->identity.id, .on_stream = raw_opened, .on_failed = raw_failed};
    if (!r->repeat)
        r->repeat = 1;
    assert_int_equal(tl_peers_wish(s->asker->peers, &r->wish), TL_OK);
    sim_wake(s->asker->host);
}

static void raw_clear(raw_stream *r)
{
    if (r->stream)
        tl_quic_stream_set_user(r->stream, NULL);
    tl_buf_clear(&r->answer);
    *r = (raw_stream){0};
}

#define HEAD                                                                                       \
    "{\"inferenceRequest\":{\"requestID\":\"r\",\"model\":\"m\",\"streaming\":true,\"path\":\"/"   \
    "v1/completions\","                                                                            \
    "\"contentType\":\"application/json\"}}"

static void frame(tl_buf *out, tl_frame_kind kind, const char *text)
{
    assert_int_equal(tl_frame_append(out, kind, tl_slice_str(text)), TL_OK);
}

static void a_request_in_order_is_answered(void **state)
{
    (void)state;
    scene s = scene_new(1);
    tl_buf wire = {0};
    frame(&wire, TL_FRAME_MESSAGE, HEAD);
    frame(&wire, TL_FRAME_BODY, "{\"mo");
    frame(&wire, TL_FRAME_BODY, "del\":\"m\",\"hello\":1}");
    raw_stream r = {.bytes = tl_buf_slice(&wire), .fin = true};
    raw_ask(&s, &r);
    sim_run_for(s.sim, 2 * TL_SEC);
    assert_non_null(memmem(tl_buf_begin(&r.answer), r.answer.len, "\"hello\":1}", 10));
    assert_non_null(memmem(tl_buf_begin(&r.answer), r.answer.len, "inferenceComplete", 17));
    assert_false(r.reset);
    assert_int_equal(tl_server_running(s.provider->server), 0);
    raw_clear(&r);
    tl_buf_clear(&wire);
    scene_free(&s);
}

static void requests_that_break_the_protocol_are_reset_and_counted(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        tl_frame_kind first, second;
        const char *a, *b;
        const char *tail; /* raw bytes behind the frames */
    } cases[] = {
        {"a body before the request", TL_FRAME_BODY, TL_FRAME_MESSAGE, "x", HEAD, ""},
        {"two requests", TL_FRAME_MESSAGE, TL_FRAME_MESSAGE, HEAD, HEAD, ""},
        {"an answer instead of a request", TL_FRAME_MESSAGE, TL_FRAME_BODY,
         "{\"goodbye\":{\"reason\":\"\"}}", "x", ""},
        {"no JSON", TL_FRAME_MESSAGE, TL_FRAME_BODY, "{", "x", ""},
        {"a frame cut short", TL_FRAME_MESSAGE, TL_FRAME_BODY, HEAD, "x", "\x01"},
        {"an unknown kind", TL_FRAME_MESSAGE, TL_FRAME_BODY, HEAD, "x", "\x01\x01\x01\x01\x07"},
    };
    scene s = scene_new(2);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tl_buf wire = {0};
        frame(&wire, cases[i].first, cases[i].a);
        frame(&wire, cases[i].second, cases[i].b);
        assert_int_equal(tl_buf_append_str(&wire, cases[i].tail), TL_OK);
        raw_stream r = {.bytes = tl_buf_slice(&wire), .fin = true};
        raw_ask(&s, &r);
        sim_run_for(s.sim, 2 * TL_SEC);
        if (!r.reset)
            print_error("not reset: %s\n", cases[i].what);
        assert_true(r.reset);
        assert_int_equal(tl_server_counters_of(s.provider->server)->malformed, i + 1);
        assert_int_equal(tl_server_running(s.provider->server), 0);
        raw_clear(&r);
        tl_buf_clear(&wire);
    }
    assert_int_equal(s.asker->left, 0); /* the connection stands all the while */
    scene_free(&s);
}

static void a_body_that_stops_coming_is_given_up(void **state)
{
    (void)state;
    scene s = scene_new(3);
    tl_buf wire = {0};
    frame(&wire, TL_FRAME_MESSAGE, HEAD);
    raw_stream r = {.bytes = tl_buf_slice(&wire)};
    raw_ask(&s, &r);
    sim_run_for(s.sim, 29 * TL_SEC);
    assert_int_equal(tl_server_running(s.provider->server), 1);
    assert_false(r.reset);
    sim_run_for(s.sim, 2 * TL_SEC);
    assert_int_equal(tl_server_running(s.provider->server), 0);
    assert_true(r.reset);
    raw_clear(&r);
    tl_buf_clear(&wire);
    scene_free(&s);
}

static void a_body_over_26_mib_is_refused_and_the_rest_of_it_thrown_away(void **state)
{
    (void)state;
    scene s = scene_new(4);
    static uint8_t mebibyte[1 << 20];
    tl_buf head = {0}, piece = {0};
    raw_stream q = {0};
    frame(&head, TL_FRAME_MESSAGE, HEAD);
    assert_int_equal(tl_frame_append(&piece, TL_FRAME_BODY, tl_slice_of(mebibyte, sizeof mebibyte)),
                     TL_OK);
    q.bytes = tl_buf_slice(&head);
    raw_ask(&s, &q);
    sim_run_for(s.sim, 1 * TL_SEC);
    q.bytes = tl_buf_slice(&piece);
    q.repeat = 30;
    q.fin = true;
    raw_write(&q);
    sim_wake(s.asker->host);
    sim_run_for(s.sim, 30 * TL_SEC);
    assert_non_null(memmem(tl_buf_begin(&q.answer), q.answer.len, "26 MiB", 6));
    assert_int_equal(q.repeat, 0); /* all of it was taken */
    assert_false(q.reset);
    assert_int_equal(tl_server_running(s.provider->server), 0);
    raw_clear(&q);
    tl_buf_clear(&head);
    tl_buf_clear(&piece);
    scene_free(&s);
}

/* --- a hostile provider --- */

static void answers_that_break_the_protocol_fail_the_question_alone(void **state)
{
    (void)state;
    static const char response[] =
        "{\"inferenceResponse\":{\"requestID\":\"0123456789abcdef0123456789abcdef\","
        "\"status\":200,\"contentType\":\"application/json\"}}";
    static const struct {
        const char *what;
        const char *message; /* NULL: none */
        const char *body;
        bool fin;
    } cases[] = {
        {"a body before the answer's head", NULL, "x", false},
        {"an answer to another question", response, NULL, false},
        {"a status that is none",
         "{\"inferenceResponse\":{\"requestID\":\"r\",\"status\":7,\"contentType\":\"\"}}", NULL,
         false},
        {"an end at once", NULL, NULL, true},
        {"no JSON", "nonsense", NULL, false},
        {"a request for an answer", HEAD, NULL, false},
    };
    scene s = scene_new(5);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tl_buf wire = {0};
        question_record q = {0};
        if (cases[i].message)
            frame(&wire, TL_FRAME_MESSAGE, cases[i].message);
        if (cases[i].body)
            frame(&wire, TL_FRAME_BODY, cases[i].body);
        s.provider->raw = wire.len ? tl_buf_slice(&wire) : tl_slice_of("", 0);
        s.provider->raw_fin = cases[i].fin;
        whole_node_ask(s.asker, &q, "m", "{\"model\":\"m\"}");
        if (!sim_run_while(s.sim, question_is_over, &q, 10 * TL_SEC))
            print_error("not over: %s\n", cases[i].what);
        assert_true(q.failed);
        assert_int_equal(q.fail, TL_FAIL_PEER_FAILED);
        assert_false(q.head_seen);
        question_clear(&q);
        tl_buf_clear(&wire);
    }
    s.provider->raw = tl_slice_of(NULL, 0);
    question_record q = {0};
    whole_node_ask(s.asker, &q, "m", "{\"model\":\"m\"}");
    assert_true(sim_run_while(s.sim, question_is_over, &q, 10 * TL_SEC));
    assert_true(q.ended);
    question_clear(&q);
    assert_int_equal(s.asker->left, 0);
    scene_free(&s);
}

static void a_provider_that_says_nothing_is_given_up_after_the_time_allowed(void **state)
{
    (void)state;
    scene s = scene_new(6);
    question_record q = {0};
    s.provider->raw = tl_slice_of("", 0);
    whole_node_ask(s.asker, &q, "m", "{\"model\":\"m\"}");
    sim_run_for(s.sim, 299 * TL_SEC);
    assert_false(question_is_over(&q));
    assert_true(sim_run_while(s.sim, question_is_over, &q, 3 * TL_SEC));
    assert_int_equal(q.fail, TL_FAIL_TIMEOUT);
    question_clear(&q);
    scene_free(&s);
}

static void a_provider_that_falls_silent_is_given_up_sooner(void **state)
{
    (void)state;
    scene s = scene_new(7);
    question_record q = {0};
    s.provider->pieces = 2;
    s.provider->piece_every = 1000 * TL_SEC;
    whole_node_ask(s.asker, &q, "m", "{\"model\":\"m\"}");
    sim_run_for(s.sim, 119 * TL_SEC);
    assert_true(q.head_seen);
    assert_false(question_is_over(&q));
    assert_true(sim_run_while(s.sim, question_is_over, &q, 3 * TL_SEC));
    assert_int_equal(q.fail, TL_FAIL_TIMEOUT);
    sim_run_for(s.sim, 1 * TL_SEC);
    assert_int_equal(whole_node_jobs(s.provider), 0); /* and the model server is told */
    question_clear(&q);
    scene_free(&s);
}

static void many_requests_at_once_are_answered_each_with_its_own(void **state)
{
    (void)state;
    enum { N = 1000 };
    scene s = scene_new(8);
    question_record *q = calloc(N, sizeof *q);
    for (int i = 0; i < N; i++) {
        char body[64];
        snprintf(body, sizeof body, "{\"model\":\"m\",\"n\":%d}", i);
        whole_node_ask(s.asker, &q[i], "m", body);
    }
    for (int i = 0; i < N; i++) {
        char body[64];
        snprintf(body, sizeof body, "{\"model\":\"m\",\"n\":%d}", i);
        assert_true(sim_run_while(s.sim, question_is_over, &q[i], 60 * TL_SEC));
        assert_true(q[i].ended);
        assert_true(tl_slice_eq(tl_buf_slice(&q[i].answer), tl_slice_str(body)));
        question_clear(&q[i]);
    }
    free(q);
    assert_int_equal(s.asker->joined, 1);
    scene_free(&s);
}

int main(void)
{
    if (tl_crypto_init())
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_in_order_is_answered),
        cmocka_unit_test(requests_that_break_the_protocol_are_reset_and_counted),
        cmocka_unit_test(a_body_that_stops_coming_is_given_up),
        cmocka_unit_test(a_body_over_26_mib_is_refused_and_the_rest_of_it_thrown_away),
        cmocka_unit_test(answers_that_break_the_protocol_fail_the_question_alone),
        cmocka_unit_test(a_provider_that_says_nothing_is_given_up_after_the_time_allowed),
        cmocka_unit_test(a_provider_that_falls_silent_is_given_up_sooner),
        cmocka_unit_test(many_requests_at_once_are_answered_each_with_its_own),
    };
    sim_each_test(tests);
    return sim_result();
}
