/* Peers that break off, dawdle, never end or speak nonsense: what it costs them, and that nothing
 * of theirs stays. */
#include "server_scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const tl_server_counters *counters(server_scene *s)
{
    return tl_server_counters_of(s->server);
}

/* --- nonsense --- */

typedef struct {
    const char *name;
    const char *message, *body, *second; /* frames, in this order; NULL: none */
    const char *raw;                     /* behind them */
    bool taken;
} story;

static const story stories[] = {
    {"whole", REQUEST, QUESTION, NULL, NULL, true},
    {"nothing", NULL, NULL, NULL, NULL, false},
    {"a body alone", NULL, QUESTION, NULL, NULL, false},
    {"two requests", REQUEST, QUESTION, REQUEST, NULL, false},
    {"no JSON", "nonsense", QUESTION, NULL, NULL, false},
    {"no JSON before a request", "nonsense", NULL, REQUEST, NULL, false},
    {"another message", "{\"goodbye\":{\"reason\":\"x\"}}", QUESTION, NULL, NULL, false},
    {"an unknown message", "{\"unheardOf\":{}}", QUESTION, NULL, NULL, false},
    {"no model", "{\"inferenceRequest\":{\"requestID\":\"r1\"}}", QUESTION, NULL, NULL, false},
    {"cut in a frame's head", REQUEST, QUESTION, NULL, "x", false},
    {"cut in a frame", REQUEST, QUESTION, NULL, "\1\1\1\1\1", false},
    {"no such kind of frame", REQUEST, QUESTION, NULL, "\1\1\1\1\7", false},
};

static void nonsense_on_a_stream_costs_that_stream(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof stories / sizeof *stories; i++) {
        const story *t = &stories[i];
        server_scene s;
        server_scene_init(&s);
        tl_quic_stream *stream = server_scene_open(&s);
        if (t->message)
            fake_lay_text(stream, TL_FRAME_MESSAGE, t->message);
        if (t->body)
            fake_lay_text(stream, TL_FRAME_BODY, t->body);
        if (t->second)
            fake_lay_text(stream, TL_FRAME_MESSAGE, t->second);
        if (t->raw)
            fake_lay(stream, tl_slice_str(t->raw));
        fake_ends(stream);
        if (s.n_jobs != t->taken || counters(&s)->malformed != !t->taken)
            fail_msg("%s", t->name);
        if (!t->taken)
            server_scene_check_reset(stream, TL_CODE_PROTOCOL);
        assert_int_equal(tl_server_running(s.server), t->taken);
        server_scene_clear(&s);
    }
}

static void bytes_behind_a_request_break_off_its_answer(void **state)
{
    (void)state;
    server_scene s;
    job *j;
    server_scene_init(&s);
    tl_quic_stream *stream = server_scene_running(&s, &j);
    job_head(j);
    fake_lay_text(stream, TL_FRAME_BODY, "more");
    fake_arrives(stream);
    assert_true(j->cancelled);
    server_scene_check_reset(stream, TL_CODE_PROTOCOL);
    assert_int_equal(counters(&s)->malformed, 1);
    server_scene_clear(&s);
}

static void a_request_message_that_comes_in_pieces_is_no_way_to_fill_our_memory(void **state)
{
    (void)state;
    for (size_t more = 0; more < 2; more++) {
        server_scene s;
        uint8_t head[TL_FRAME_HEAD];
        server_scene_init(&s);
        tl_quic_stream *stream = server_scene_open(&s);
        tl_frame_head_write(head, TL_FRAME_MESSAGE, TL_SERVER_REQUEST_MAX + more);
        fake_lay(stream, tl_slice_of(head, sizeof head));
        fake_lay(stream, TL_SLICE_LIT("{\"inference"));
        fake_arrives(stream);
        assert_int_equal(stream->reset, more);
        assert_int_equal(counters(&s)->malformed, more);
        server_scene_clear(&s);
    }
}

/* --- peers that break off --- */

static void a_peer_that_gives_up_frees_everything_and_the_backend_hears_of_it(void **state)
{
    (void)state;
    enum { HEAD, BODY, RUNNING, ANSWERING, PAUSED, ENDING, REFUSED, STATES };
    for (int when = 0; when < STATES; when++)
        for (int closed = 0; closed < 2; closed++) {
            server_scene s;
            job *j = NULL;
            tl_quic_stream *stream;
            server_scene_init(&s);
            s.access.sharing = when != REFUSED;
            if (when == HEAD)
                stream = server_scene_open(&s);
            else if (when == BODY || when == REFUSED)
                stream = server_scene_ask(&s, "{", false);
            else
                stream = server_scene_running(&s, &j);
            if (when >= ANSWERING && j)
                job_head(j);
            if (when == PAUSED) {
                stream->room = 0;
                job_body_until_paused(j);
            }
            if (when == ENDING)
                job_end(j, (tl_answer_end){0, 0});
            if (closed) {
                fake_closes(stream, "the connection to the peer broke");
                assert_false(stream->reset); /* it is no handle any more */
                stream->user = NULL;
            } else {
                fake_resets(stream);
                server_scene_check_reset(stream, TL_CODE_CANCELLED);
            }
            if (j)
                assert_int_equal(j->cancelled, when != ENDING);
            assert_int_equal(counters(&s)->cancelled, when < ENDING);
            assert_int_equal(s.dones, when == ENDING); /* not told of what the peer gave up */
            assert_true(tl_server_is_idle(s.server));
            assert_int_equal(tl_server_running(s.server), 0);
            server_scene_clear(&s);
        }
}

static void a_peer_that_stops_reading_does_not_hold_the_backend_up(void **state)
{
    (void)state;
    server_scene s;
    job *j;
    server_scene_init(&s);
    tl_quic_stream *stream = server_scene_running(&s, &j);
    job_head(j);
    stream->write_err = TL_ERR_CLOSED; /* its reset is on the way */
    job_body(j, TL_SLICE_LIT("x"));
    assert_false(j->paused);
    fake_resets(stream);
    assert_true(j->cancelled);

    stream = server_scene_running(&s, &j);
    stream->room = 0;
    job_head(j);
    job_body_until_paused(j);
    stream->write_err = TL_ERR_CLOSED;
    fake_makes_room(stream, 0);
    assert_false(j->paused); /* what waited is dropped */
    server_scene_clear(&s);
}

static void an_answer_with_a_hole_is_never_sent(void **state)
{
    (void)state;
    enum { IN_HEAD, IN_BODY, IN_END, IN_FAIL, WAITING, WAYS };
    for (int way = 0; way < WAYS; way++) {
        server_scene s;
        job *j;
        server_scene_init(&s);
        tl_quic_stream *stream = server_scene_running(&s, &j);
        if (way != IN_HEAD)
            job_head(j);
        if (way == WAITING) {
            stream->room = 0;
            job_body(j, TL_SLICE_LIT("x"));
        }
        stream->write_err = TL_ERR_NOMEM;
        switch (way) {
        case IN_HEAD: job_head(j); break;
        case IN_BODY: job_body(j, TL_SLICE_LIT("x")); break;
        case IN_END: job_end(j, (tl_answer_end){0, 0}); break;
        case IN_FAIL: job_fail(j, TL_FAIL_TIMEOUT, "slow"); break;
        default: fake_makes_room(stream, 1); break;
        }
        server_scene_check_reset(stream, TL_CODE_CANCELLED); /* from inside the backend's call */
        assert_int_equal(j->cancelled, way == IN_HEAD || way == IN_BODY || way == WAITING);
        assert_true(tl_server_is_idle(s.server));
        server_scene_clear(&s);
    }
    server_scene s; /* nor is a refusal */
    server_scene_init(&s);
    s.access.sharing = false;
    tl_quic_stream *stream = server_scene_open(&s);
    stream->write_err = TL_ERR_NOMEM;
    fake_lay_text(stream, TL_FRAME_MESSAGE, REQUEST);
    fake_arrives(stream);
    server_scene_check_reset(stream, TL_CODE_CANCELLED);
    server_scene_clear(&s);
}

/* --- time --- */

/* A request that is made of nothing, or of single bytes, and comes in one go. */
static void a_flood_of_frames_costs_its_stream(void **state)
{
    (void)state;
    static const struct {
        const char *bytes; /* of each frame */
        unsigned n;
        bool taken;
    } rows[] = {{"", 1000, true}, {"", 1100, false}, {" ", 1000, true}, {" ", 1100, false}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        server_scene s;
        server_scene_init(&s);
        tl_quic_stream *stream = server_scene_open(&s);
        fake_lay_text(stream, TL_FRAME_MESSAGE, REQUEST);
        fake_lay_text(stream, TL_FRAME_BODY, QUESTION);
        for (unsigned n = 0; n < rows[i].n; n++)
            fake_lay_text(stream, TL_FRAME_BODY, rows[i].bytes);
        fake_ends(stream);
        assert_int_equal(s.n_jobs, rows[i].taken);
        assert_int_equal(counters(&s)->malformed, !rows[i].taken);
        if (!rows[i].taken)
            server_scene_check_reset(stream, TL_CODE_PROTOCOL);
        server_scene_clear(&s);
    }
}

static void a_silent_stream_is_given_up(void **state)
{
    (void)state;
    for (int said = 0; said < 3; said++) {
        server_scene s;
        server_scene_init(&s);
        tl_quic_stream *stream = server_scene_open(&s);
        server_scene_pass(&s, TL_SERVER_HEAD_WITHIN - 1);
        fake_lay(stream, TL_SLICE_LIT("")); /* nothing */
        fake_arrives(stream);
        if (said >= 1) {
            fake_lay_text(stream, TL_FRAME_MESSAGE, REQUEST);
            fake_arrives(stream);
            server_scene_pass(&s, BODY_IDLE - 1);
        }
        if (said >= 2) {
            fake_lay_text(stream, TL_FRAME_BODY, "x");
            fake_arrives(stream);
            server_scene_pass(&s, BODY_IDLE - 1);
        }
        assert_false(stream->reset);
        assert_int_equal(tl_server_expiry(s.server), s.env.now + 1);
        server_scene_pass(&s, 1);
        server_scene_check_reset(stream, TL_CODE_PROTOCOL);
        assert_int_equal(counters(&s)->malformed, 1);
        assert_int_equal(tl_server_expiry(s.server), TL_NEVER);
        server_scene_clear(&s);
    }
}

static void a_body_that_never_ends_is_given_up_however_steadily_it_comes(void **state)
{
    (void)state;
    server_scene s;
    server_scene_init(&s);
    tl_quic_stream *stream = server_scene_ask(&s, "x", false);
    tl_quic_stream *ends = server_scene_ask(&s, QUESTION, false);
    for (tl_time t = 0; t < TL_SERVER_READ_WITHIN; t += 20 * TL_SEC) {
        assert_false(stream->reset);
        fake_lay_text(stream, TL_FRAME_BODY, "x");
        fake_arrives(stream);
        fake_lay_text(ends, TL_FRAME_BODY, " ");
        fake_arrives(ends);
        if (t + 20 * TL_SEC >= TL_SERVER_READ_WITHIN)
            fake_ends(ends);
        server_scene_pass(&s, 20 * TL_SEC);
    }
    server_scene_check_reset(stream, TL_CODE_PROTOCOL);
    assert_int_equal(s.n_jobs, 1); /* just in time */
    server_scene_pass(&s, 10 * TL_SERVER_READ_WITHIN);
    assert_false(ends->reset); /* how long the backend takes is its own affair */
    server_scene_clear(&s);
}

static void a_refused_request_that_never_ends_is_given_up(void **state)
{
    (void)state;
    server_scene s;
    server_scene_init(&s);
    s.access.sharing = false;
    tl_quic_stream *stream = server_scene_ask(&s, "x", false);
    for (tl_time t = 0; t < TL_SERVER_REFUSED_WITHIN; t += 2 * TL_SEC) {
        assert_false(stream->reset);
        fake_lay_text(stream, TL_FRAME_BODY, "x");
        fake_arrives(stream);
        server_scene_pass(&s, 2 * TL_SEC);
    }
    server_scene_check_reset(stream, TL_CODE_CANCELLED);
    assert_int_equal(counters(&s)->refused, 1);
    assert_int_equal(counters(&s)->malformed + counters(&s)->cancelled, 0);
    server_scene_clear(&s);
}

static void a_peer_that_does_not_read_pins_the_backend_for_a_minute(void **state)
{
    (void)state;
    for (int reads = 0; reads < 2; reads++) {
        server_scene s;
        job *j;
        server_scene_init(&s);
        tl_quic_stream *stream = server_scene_running(&s, &j);
        server_scene_pass(&s, 10 * TL_MIN);
        assert_int_equal(tl_server_expiry(s.server), TL_NEVER); /* we wait for the backend */
        job_head(j);
        stream->room = 0;
        job_body_until_paused(j);
        fake_makes_room(stream, TL_SERVER_PENDING_MAX / 2); /* not yet enough, and it ... */
        server_scene_pass(&s, TL_SERVER_STALL_MAX - 1);
        fake_makes_room(stream, 10); /* ... dribbles */
        assert_true(j->paused);
        if (reads)
            fake_makes_room(stream, TL_SERVER_PENDING_MAX);
        assert_int_equal(j->paused, !reads);
        server_scene_pass(&s, 1);
        assert_int_equal(j->cancelled, !reads);
        assert_int_equal(counters(&s)->cancelled, !reads);
        if (!reads)
            server_scene_check_reset(stream, TL_CODE_CANCELLED);
        server_scene_pass(&s, 10 * TL_MIN); /* we wait for the backend again */
        assert_int_equal(stream->reset, !reads);
        server_scene_clear(&s);
    }
}

static void
an_answer_that_is_there_is_left_when_the_peer_takes_less_than_64_kib_a_minute(void **state)
{
    (void)state;
    for (size_t less = 0; less < 2; less++) {
        server_scene s;
        job *j;
        server_scene_init(&s);
        tl_quic_stream *stream = server_scene_running(&s, &j);
        job_head(j);
        stream->room = 0;
        job_body_until_paused(j);
        server_scene_pass(&s, TL_SERVER_STALL_MAX - 1);
        job_end(j, (tl_answer_end){0, 0}); /* the limit begins anew */
        for (int i = 0; i < 5; i++) {
            server_scene_pass(&s, TL_SERVER_STALL_MAX - 1);
            assert_int_equal(stream->reset, less && i > 0);
            if (!stream->reset)
                fake_makes_room(stream, TL_SERVER_TAKES - less);
        }
        assert_int_equal(stream->reset, less);
        assert_int_equal(counters(&s)->cancelled, 0); /* it was served */
        if (!less) {
            fake_makes_room(stream, 2 * TL_SERVER_PENDING_MAX);
            server_scene_over(stream);
        }
        server_scene_clear(&s);
    }
}

static void of_many_only_the_overdue_are_left(void **state)
{
    (void)state;
    server_scene s;
    server_scene_init(&s);
    tl_quic_stream *streams[6];
    for (int i = 0; i < 6; i++) {
        streams[i] = server_scene_open(&s);
        server_scene_pass(&s, i == 2 ? 10 * TL_SEC : 0);
    }
    server_scene_pass(&s, TL_SERVER_HEAD_WITHIN - 10 * TL_SEC);
    for (int i = 0; i < 6; i++)
        assert_int_equal(streams[i]->reset, i < 3);
    assert_int_equal(tl_server_expiry(s.server), s.env.now + 10 * TL_SEC);
    server_scene_clear(&s);
}

/* --- the end --- */

static void freeing_the_server_cancels_what_runs(void **state)
{
    (void)state;
    server_scene s;
    job *j;
    server_scene_init(&s);
    tl_quic_stream *stream = server_scene_running(&s, &j);
    tl_quic_stream *reading = server_scene_ask(&s, "x", false);
    server_scene_clear(&s); /* looks that nobody is left as an owner */
    assert_true(j->cancelled);
    (void)stream, (void)reading;
    tl_server_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nonsense_on_a_stream_costs_that_stream),
        cmocka_unit_test(bytes_behind_a_request_break_off_its_answer),
        cmocka_unit_test(a_request_message_that_comes_in_pieces_is_no_way_to_fill_our_memory),
        cmocka_unit_test(a_peer_that_gives_up_frees_everything_and_the_backend_hears_of_it),
        cmocka_unit_test(a_peer_that_stops_reading_does_not_hold_the_backend_up),
        cmocka_unit_test(an_answer_with_a_hole_is_never_sent),
        cmocka_unit_test(a_flood_of_frames_costs_its_stream),
        cmocka_unit_test(a_silent_stream_is_given_up),
        cmocka_unit_test(a_body_that_never_ends_is_given_up_however_steadily_it_comes),
        cmocka_unit_test(a_refused_request_that_never_ends_is_given_up),
        cmocka_unit_test(a_peer_that_does_not_read_pins_the_backend_for_a_minute),
        cmocka_unit_test(
            an_answer_that_is_there_is_left_when_the_peer_takes_less_than_64_kib_a_minute),
        cmocka_unit_test(of_many_only_the_overdue_are_left),
        cmocka_unit_test(freeing_the_server_cancels_what_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
