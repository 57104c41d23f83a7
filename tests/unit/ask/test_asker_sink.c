/* What a sink may do to an asker's exchanges, from outside and from inside each call: the contract
 * of ask/exchange.h. */
#include "asker_scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

/* --- pausing --- */

static void pause_inside(listener *l)
{
    listener_pause(l, true);
}

static void a_pause_holds_the_body_back_and_loses_nothing(void **state)
{
    (void)state;
    asker_scene s;
    listener l = {.inside = {[ON_BODY] = pause_inside}};
    asker_scene_init(&s);
    tl_quic_stream *stream = asker_scene_answering(&s, &l);
    for (int i = 0; i < 3; i++)
        fake_lay_text(stream, TL_FRAME_BODY, "abc");
    fake_lay_text(stream, TL_FRAME_MESSAGE, COMPLETE("r1"));
    fake_ends(stream);
    assert_true(listener_body_is(&l, "abc"));
    fake_arrives(stream);
    tl_asker_run(s.asker);
    assert_true(listener_body_is(&l, "abc"));
    assert_int_equal(tl_asker_expiry(s.asker), s.env.now + SILENCE); /* too early, at most */
    asker_scene_pass(&s, 10 * SILENCE);
    assert_int_equal(l.calls[ON_FAIL], 0); /* it is the sink that is slow */
    assert_int_equal(tl_asker_expiry(s.asker), TL_NEVER);

    unsigned wakes = s.env.wakes;
    listener_pause(&l, false);
    assert_true(listener_body_is(&l, "abc")); /* not from inside */
    assert_true(s.env.wakes > wakes);
    tl_asker_run(s.asker);
    assert_true(listener_body_is(&l, "abcabc"));
    l.inside[ON_BODY] = NULL;
    listener_pause(&l, false);
    tl_asker_run(s.asker);
    assert_true(listener_body_is(&l, "abcabcabc"));
    assert_int_equal(l.calls[ON_END], 1);
    listener_clear(&l);
    asker_scene_clear(&s);
    fake_stream_free(stream);
}

static void a_pause_said_twice_counts_once(void **state)
{
    (void)state;
    asker_scene s;
    listener l = {0};
    asker_scene_init(&s);
    tl_quic_stream *stream = asker_scene_answering(&s, &l);
    listener_pause(&l, true);
    listener_pause(&l, true);
    fake_lay_text(stream, TL_FRAME_BODY, "abc");
    fake_arrives(stream);
    listener_pause(&l, false);
    listener_pause(&l, true); /* before the asker could go on */
    tl_asker_run(s.asker);
    assert_int_equal(l.calls[ON_BODY], 0);
    listener_pause(&l, false);
    listener_pause(&l, false);
    tl_asker_run(s.asker);
    assert_int_equal(l.calls[ON_BODY], 1);
    assert_int_equal(tl_asker_expiry(s.asker), s.env.now + SILENCE);
    asker_scene_pass(&s, SILENCE - 1);
    listener_pause(&l, false); /* is no sign of the peer's */
    tl_asker_run(s.asker);
    asker_scene_pass(&s, 1);
    assert_int_equal(l.fail, TL_FAIL_TIMEOUT);
    listener_clear(&l);
    asker_scene_clear(&s);
    fake_stream_free(stream);
}

static void while_paused_a_question_may_fail_but_not_for_its_own_slowness(void **state)
{
    (void)state;
    asker_scene s;
    listener early = {0}, l = {0};
    tl_quic_stream *stream = fake_stream_new();
    asker_scene_init(&s);
    asker_scene_ask(&s, &early);
    listener_pause(&early, true); /* before it has a stream */
    asker_scene_pass(&s, 2 * FIRST_BYTE);
    assert_true(listener_heard_nothing(&early));
    asker_scene_grant(&s, stream);
    asker_scene_pass(&s, 2 * FIRST_BYTE);
    assert_true(listener_heard_nothing(&early));
    fake_resets(stream);
    assert_int_equal(early.fail, TL_FAIL_PEER_FAILED);

    asker_scene_ask(&s, &l);
    listener_pause(&l, true);
    listener_pause(&l, false); /* the limit begins anew */
    tl_asker_run(s.asker);
    asker_scene_pass(&s, FIRST_BYTE - 1);
    assert_true(listener_heard_nothing(&l));
    listener_pause(&l, false); /* said twice: it does not */
    tl_asker_run(s.asker);
    asker_scene_pass(&s, 1);
    assert_int_equal(l.fail, TL_FAIL_TIMEOUT);
    asker_scene_clear(&s);
    fake_stream_free(stream);
}

/* --- cancelling from outside --- */

static void cancelling_resets_the_stream_and_no_call_follows(void **state)
{
    (void)state;
    for (int when = 0; when < 4; when++) {
        asker_scene s;
        listener l = {0};
        tl_quic_stream *stream = NULL;
        asker_scene_init(&s);
        if (when == 0)
            asker_scene_ask(&s, &l);
        else
            stream = when == 1 ? asker_scene_asked(&s, &l) : asker_scene_answering(&s, &l);
        if (when == 3) { /* resumed, and not gone on yet */
            listener_pause(&l, true);
            listener_pause(&l, false);
        }
        unsigned heads = l.calls[ON_HEAD];
        listener_cancel(&l);
        assert_null(s.peers.wishes);
        tl_asker_run(s.asker);
        asker_scene_pass(&s, 2 * FIRST_BYTE);
        assert_int_equal(l.calls[ON_HEAD], heads);
        assert_int_equal(l.calls[ON_BODY] + l.calls[ON_END] + l.calls[ON_FAIL], 0);
        asker_scene_clear(&s);
        if (stream) {
            assert_true(stream->reset);
            assert_int_equal(stream->code, TL_CODE_CANCELLED);
            assert_null(stream->user);
            fake_stream_free(stream);
        }
    }
}

static void freeing_the_asker_ends_its_questions_without_a_call(void **state)
{
    (void)state;
    asker_scene s;
    listener l[3] = {0};
    asker_scene_init(&s);
    tl_quic_stream *asked = asker_scene_asked(&s, &l[0]);
    tl_quic_stream *answering = asker_scene_answering(&s, &l[1]);
    asker_scene_ask(&s, &l[2]);
    listener_quiet = true;
    asker_scene_clear(&s); /* no wish is left */
    listener_quiet = false;
    assert_true(asked->reset && answering->reset);
    assert_null(asked->user);
    fake_stream_free(asked);
    fake_stream_free(answering);
    tl_asker_free(NULL);
}

/* --- from inside --- */

/* As a sink that is gone before the call returns. */
static void cancel_and_free(listener *l)
{
    listener_cancel(l);
    listener_clear(l);
    free(l);
}

static void a_sink_may_cancel_and_vanish_inside_progress_head_and_body(void **state)
{
    (void)state;
    static const listener_call calls[] = {ON_PROGRESS, ON_HEAD, ON_BODY};
    for (size_t i = 0; i < 3; i++)
        for (size_t piece = 0; piece < 5; piece++) {
            asker_scene s;
            listener *l = calloc(1, sizeof *l);
            assert_non_null(l);
            l->inside[calls[i]] = cancel_and_free;
            asker_scene_init(&s);
            tl_quic_stream *stream = asker_scene_asked(&s, l);
            stream->piece = piece;
            fake_lay_text(stream, TL_FRAME_MESSAGE, PROGRESS("r1"));
            fake_lay_text(stream, TL_FRAME_MESSAGE, RESPONSE("r1"));
            fake_lay_text(stream, TL_FRAME_BODY, "more than one piece");
            fake_lay_text(stream, TL_FRAME_MESSAGE, COMPLETE("r1"));
            fake_ends(stream); /* a call after the cancel would touch freed memory */
            assert_true(stream->reset);
            assert_null(stream->user);
            asker_scene_pass(&s, 2 * FIRST_BYTE);
            asker_scene_clear(&s);
            fake_stream_free(stream);
        }
}

static void a_sink_may_cancel_while_a_resumed_answer_goes_on(void **state)
{
    (void)state;
    asker_scene s;
    listener *l = calloc(1, sizeof *l), second = {0};
    assert_non_null(l);
    asker_scene_init(&s);
    tl_quic_stream *stream = asker_scene_answering(&s, l);
    tl_quic_stream *other = asker_scene_answering(&s, &second);
    listener_pause(l, true);
    listener_pause(&second, true);
    fake_lay_text(stream, TL_FRAME_BODY, "x");
    fake_arrives(stream);
    fake_lay_text(other, TL_FRAME_BODY, "x");
    fake_arrives(other);
    l->inside[ON_BODY] = cancel_and_free;
    listener_pause(l, false);
    listener_pause(&second, false);
    tl_asker_run(s.asker);
    assert_true(stream->reset);
    assert_int_equal(second.calls[ON_BODY], 1);
    listener_clear(&second);
    asker_scene_clear(&s);
    fake_stream_free(stream);
    fake_stream_free(other);
}

typedef struct {
    asker_scene *s;
    listener *other, *fresh;
} mischief;

/* What a sink may do inside any call: cancel another, ask anew, and forget itself where its own
 * exchange is over. */
static void do_mischief(listener *l)
{
    mischief *m = l->user;
    listener_cancel(m->other);
    asker_scene_ask(m->s, m->fresh);
    if (!l->exchange)
        free(l);
}

/* The question comes to the call. */
static void provoke(asker_scene *s, tl_quic_stream *stream, listener_call call, int how)
{
    if (call == ON_PROGRESS) {
        fake_lay_text(stream, TL_FRAME_MESSAGE, PROGRESS("r1"));
        fake_arrives(stream);
        return;
    }
    if (call != ON_FAIL) {
        fake_lay_text(stream, TL_FRAME_MESSAGE, RESPONSE("r1"));
        if (call == ON_BODY)
            fake_lay_text(stream, TL_FRAME_BODY, "x");
        if (call == ON_END)
            fake_lay_text(stream, TL_FRAME_MESSAGE, COMPLETE("r1"));
        fake_arrives(stream);
        return;
    }
    switch (how) {
    case 0: /* by its error */
        fake_lay_text(stream, TL_FRAME_MESSAGE, ERROR("r1", "queue_full", ""));
        fake_arrives(stream);
        break;
    case 1: fake_resets(stream); break;
    case 2: fake_closes(stream, "gone"); break;
    default: asker_scene_pass(s, FIRST_BYTE); break;
    }
}

static void a_sink_may_cancel_others_and_ask_anew_inside_every_call(void **state)
{
    (void)state;
    for (int call = ON_HEAD; call < ON_COUNT; call++)
        for (int how = 0; how < (call == ON_FAIL ? 4 : 1); how++) {
            asker_scene s;
            listener *l = calloc(1, sizeof *l), other = {0}, fresh = {0};
            mischief m = {&s, &other, &fresh};
            assert_non_null(l);
            l->inside[call] = do_mischief;
            l->user = &m;
            asker_scene_init(&s);
            tl_quic_stream *stream = asker_scene_asked(&s, l);
            tl_quic_stream *beside = asker_scene_asked(&s, &other); /* as overdue as the first */
            provoke(&s, stream, call, how);
            assert_true(beside->reset);
            assert_true(listener_heard_nothing(&other));
            assert_non_null(fresh.exchange);
            assert_non_null(s.peers.wishes);
            asker_scene_clear(&s);
            if (call != ON_END && call != ON_FAIL) {
                listener_clear(l);
                free(l);
            }
            fake_stream_free(stream);
            fake_stream_free(beside);
        }
}

static void says(tl_quic_stream *stream, const char *text)
{
    fake_lay_text(stream, TL_FRAME_MESSAGE, text);
    fake_arrives(stream);
}

static void a_place_in_a_peers_queue_and_the_seconds_to_wait_are_handed_on(void **state)
{
    (void)state;
    asker_scene s;
    listener l = {0};
    asker_scene_init(&s);
    tl_quic_stream *stream = asker_scene_asked(&s, &l);
    says(stream,
         "{\"inferenceProgress\":{\"requestID\":\"r1\",\"queuePosition\":3,\"waitSeconds\":7000}}");
    assert_int_equal(l.progress.position, 3);
    assert_int_equal(l.progress.wait_seconds, TL_WAIT_SECONDS_MAX);
    says(stream, PROGRESS("r1"));
    assert_int_equal(l.progress.position, 0);
    says(stream, ERROR("r1", "queue_full", ",\"retryAfter\":70000"));
    assert_int_equal(l.fail, TL_FAIL_QUEUE_FULL);
    assert_int_equal(l.retry_after, TL_WAIT_SECONDS_MAX);
    asker_scene_clear(&s);
    fake_stream_free(stream);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_place_in_a_peers_queue_and_the_seconds_to_wait_are_handed_on),
        cmocka_unit_test(a_pause_holds_the_body_back_and_loses_nothing),
        cmocka_unit_test(a_pause_said_twice_counts_once),
        cmocka_unit_test(while_paused_a_question_may_fail_but_not_for_its_own_slowness),
        cmocka_unit_test(cancelling_resets_the_stream_and_no_call_follows),
        cmocka_unit_test(freeing_the_asker_ends_its_questions_without_a_call),
        cmocka_unit_test(a_sink_may_cancel_and_vanish_inside_progress_head_and_body),
        cmocka_unit_test(a_sink_may_cancel_while_a_resumed_answer_goes_on),
        cmocka_unit_test(a_sink_may_cancel_others_and_ask_anew_inside_every_call),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
