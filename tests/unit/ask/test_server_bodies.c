/* The bodies of requests: how much of them is kept, of whom, and which model they ask. */
#include "server_scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* --- the word that it works --- */

/* How many of them were said since `at`, and nothing else. */
static void lay_body(tl_quic_stream *stream, size_t n)
{
    static uint8_t blanks[1 << 20];
    uint8_t head[TL_FRAME_HEAD];
    memset(blanks, ' ', sizeof blanks);
    for (size_t now; n; n -= now) {
        now = n < sizeof blanks ? n : sizeof blanks;
        tl_frame_head_write(head, TL_FRAME_BODY, now);
        fake_lay(stream, tl_slice_of(head, sizeof head));
        fake_lay(stream, tl_slice_of(blanks, now));
        fake_arrives(stream);
    }
}

static void a_body_may_be_twenty_six_mebibytes_and_not_a_byte_more(void **state)
{
    (void)state;
    server_scene s;
    server_scene_init(&s);
    for (size_t more = 0; more < 2; more++) {
        tl_quic_stream *stream = server_scene_ask(&s, QUESTION, false);
        lay_body(stream, TL_BODY_MAX - sizeof QUESTION + 1);
        for (size_t i = 0; i < 2 * more; i++) /* the second one of them comes after the refusal */
            fake_lay_text(stream, TL_FRAME_BODY, " ");
        fake_arrives(stream);
        if (more)
            server_scene_check_error(stream, "internal_error", "");
        fake_ends(stream);
        assert_int_equal(s.n_jobs, 1);
        if (!more)
            job_fail(&s.jobs[0], TL_FAIL_TIMEOUT, "slow");
    }
    assert_int_equal(s.jobs[0].body.len, TL_BODY_MAX);
    assert_int_equal(tl_server_counters_of(s.server)->refused, 1);
    server_scene_over(s.streams[0]);
    server_scene_over(s.streams[1]);
    server_scene_clear(&s);
}

#define WHOLE (TL_BODY_MAX - sizeof QUESTION + 1) /* behind QUESTION */

static void bodies_have_a_limit_in_sum_until_they_are_answered(void **state)
{
    (void)state;
    enum { N = TL_PLACES_BODIES_MAX / TL_BODY_MAX, LEFT = TL_PLACES_BODIES_MAX % TL_BODY_MAX };
    server_scene s;
    tl_server_policy policy = {1024, BODY_IDLE};
    tl_quic_stream *streams[N];
    server_scene_init(&s);
    server_scene_join(&s, TL_ROLE_PROVIDER);
    members_add_all(&s.members, TL_ROLE_CONSUMER);
    tl_server_set_policy(s.server, &policy);
    for (size_t i = 0; i < N; i++, s.peer++) {
        streams[i] = server_scene_ask(&s, QUESTION, false);
        lay_body(streams[i], WHOLE);
    }
    tl_quic_stream *fits = server_scene_ask(&s, QUESTION, false); /* to the last byte */
    lay_body(fits, LEFT - sizeof QUESTION + 1);
    assert_int_equal(fits->out.len, 0);
    tl_quic_stream *one_more = server_scene_open(&s);
    fake_lay_text(one_more, TL_FRAME_MESSAGE, REQUEST);
    fake_lay_text(one_more, TL_FRAME_BODY, " ");
    fake_lay_text(one_more, TL_FRAME_BODY, "and what comes behind it");
    fake_arrives(one_more);
    server_scene_check_error(one_more, "queue_full", "");
    fake_resets(streams[0]); /* its room is free again */
    tl_quic_stream *then = server_scene_ask(&s, QUESTION, false);
    lay_body(then, WHOLE);
    assert_int_equal(then->out.len, 0);
    fake_ends(then); /* the backend has a copy: that counts until it is done */
    server_scene_check_error(server_scene_ask(&s, QUESTION, false), "queue_full", "");
    job_head(&s.jobs[0]);
    server_scene_check_error(server_scene_ask(&s, QUESTION, false), "queue_full", "");
    job_end(&s.jobs[0], (tl_answer_end){0, 0});
    assert_int_equal(server_scene_ask(&s, QUESTION, false)->out.len, 0);
    assert_int_equal(tl_server_counters_of(s.server)->refused, 3);
    server_scene_clear(&s);
}

static void a_strangers_bodies_leave_room_for_others(void **state)
{
    (void)state;
    server_scene s;
    tl_server_policy policy = {1024, BODY_IDLE};
    server_scene_init(&s);
    tl_server_set_policy(s.server, &policy);
    for (s.peer = PEER; s.peer < PEER + 6; s.peer++) { /* each: one body, and no second */
        tl_quic_stream *first = server_scene_ask(&s, QUESTION, false);
        lay_body(first, WHOLE);
        assert_int_equal(first->out.len, 0);
        tl_quic_stream *second = server_scene_ask(&s, QUESTION, false);
        assert_int_equal(second->out.len, 0);
        lay_body(second, TL_PLACES_BODIES_MAX / 8 - TL_BODY_MAX);
        server_scene_check_error(second, "queue_full", "");
    }
    tl_quic_stream *last = server_scene_ask(&s, QUESTION, false);
    lay_body(last, WHOLE);
    assert_int_equal(last->out.len, 0); /* 182 of 192 MiB */
    s.peer++;
    tl_quic_stream *too_many = server_scene_ask(&s, QUESTION, false);
    lay_body(too_many, 10u << 20);
    server_scene_check_error(too_many, "queue_full", "");
    server_scene_join(&s, TL_ROLE_PROVIDER); /* from now on */
    members_add_all(&s.members, TL_ROLE_CONSUMER);
    s.peer++;
    tl_quic_stream *known = server_scene_ask(&s, QUESTION, false);
    lay_body(known, WHOLE);
    assert_int_equal(known->out.len, 0);
    server_scene_clear(&s);
}

static void the_admitted_model_is_asked_whatever_the_body_says(void **state)
{
    (void)state;
    static const struct {
        const char *asked, *body, *expected; /* NULL: refused */
    } rows[] = {
        {"m", "{\"model\":\"m\",\"x\":1.0}", "{\"model\":\"m\",\"x\":1.0}"},
        {"m", "{\"model\":\"secret\"}", "{\"model\":\"m\"}"},
        {"l", "{\"model\":\"l\"}", "{\"model\":\"l:latest\"}"},
        {"l", "{\"model\":\"l:latest\"}", "{\"model\":\"l:latest\"}"},
        {"m", "{\"model\":\"m\",\"model\":\"secret\"}", NULL},
        {"m", "{\"model\":\"m\",\"Model\":\"secret\"}", NULL},
        {"m", "{\"Model\":\"m\"}", NULL},
        {"m", "{}", NULL},
        {"m", "", NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        server_scene s;
        server_scene_init(&s);
        tl_quic_stream *stream = server_scene_open(&s);
        fake_lay_text(stream, TL_FRAME_MESSAGE,
                      rows[i].asked[0] == 'm' ? REQUEST : REQUEST_FOR("l"));
        fake_lay_text(stream, TL_FRAME_BODY, rows[i].body);
        fake_ends(stream);
        assert_int_equal(s.n_jobs, rows[i].expected != NULL);
        if (rows[i].expected) {
            assert_true(tl_slice_eq(tl_buf_slice(&s.jobs[0].body), tl_slice_str(rows[i].expected)));
            assert_string_equal(s.jobs[0].ask.model, rows[i].asked[0] == 'm' ? "m" : "l:latest");
        } else {
            server_scene_check_error(stream, "internal_error", "");
            server_scene_over(stream);
        }
        assert_int_equal(tl_server_running(s.server), rows[i].expected != NULL);
        server_scene_clear(&s);
    }
}

#define IMAGE(type)                                                                                \
    "{\"inferenceRequest\":{\"requestID\":\"r1\",\"model\":\"m\",\"streaming\":true,\"path\":"     \
    "\"/v1/images/edits\",\"contentType\":\"" type "\"}}"
#define FORM "--x\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nm\r\n--x--\r\n"

/* A server that reads a form where we read JSON would find another model in it. */
static void the_model_server_reads_a_body_as_we_do(void **state)
{
    (void)state;
    static const struct {
        const char *request, *body, *type; /* NULL: refused */
    } rows[] = {
        {IMAGE("Application/JSON ; charset=latin1"), QUESTION, "application/json"},
        {IMAGE(""), QUESTION, "application/json"},
        {IMAGE("multipart/form-data; y=z; Boundary=x"), FORM, "multipart/form-data; boundary=x"},
        {IMAGE("multipart/form-data; boundary=x; boundary*=y"), FORM, NULL},
        {IMAGE("application/x-www-form-urlencoded"), QUESTION, NULL},
        {IMAGE("text/plain"), QUESTION, NULL},
        {IMAGE("application/json, multipart/form-data"), QUESTION, NULL},
        {"{\"inferenceRequest\":{\"requestID\":\"r1\",\"model\":\"m\",\"streaming\":true,\"path\":"
         "\"/v1/chat/completions\",\"contentType\":\"multipart/form-data; boundary=x\"}}",
         FORM, NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        server_scene s;
        server_scene_init(&s);
        tl_quic_stream *stream = server_scene_open(&s);
        fake_lay_text(stream, TL_FRAME_MESSAGE, rows[i].request);
        fake_lay_text(stream, TL_FRAME_BODY, rows[i].body);
        fake_ends(stream);
        assert_int_equal(s.n_jobs, rows[i].type != NULL);
        if (rows[i].type) {
            assert_string_equal(s.jobs[0].ask.content_type, rows[i].type);
            assert_true(tl_slice_eq(tl_buf_slice(&s.jobs[0].body), tl_slice_str(rows[i].body)));
        } else {
            server_scene_check_error(stream, "internal_error", "");
            server_scene_over(stream);
        }
        server_scene_clear(&s);
    }
}

static void what_still_comes_of_a_refused_request_is_thrown_away(void **state)
{
    (void)state;
    server_scene s;
    server_scene_init(&s);
    s.access.sharing = false;
    tl_quic_stream *stream = server_scene_ask(&s, "{", false);
    server_scene_check_error(stream, "model_not_loaded", "");
    lay_body(stream, 3u << 20);
    assert_int_equal(stream->in.len, 0);
    fake_lay(stream, TL_SLICE_LIT("nonsense"));
    fake_ends(stream);
    assert_int_equal(tl_server_counters_of(s.server)->malformed, 0);
    server_scene_check_error(stream, "model_not_loaded", ""); /* said once */
    server_scene_over(stream);
    assert_int_equal(tl_server_counters_of(s.server)->cancelled, 0);
    server_scene_clear(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_body_may_be_twenty_six_mebibytes_and_not_a_byte_more),
        cmocka_unit_test(bodies_have_a_limit_in_sum_until_they_are_answered),
        cmocka_unit_test(a_strangers_bodies_leave_room_for_others),
        cmocka_unit_test(the_admitted_model_is_asked_whatever_the_body_says),
        cmocka_unit_test(the_model_server_reads_a_body_as_we_do),
        cmocka_unit_test(what_still_comes_of_a_refused_request_is_thrown_away),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
