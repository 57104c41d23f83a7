/* Questions of ours to a node of the old protocol. */
#include "legacy_scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define QUESTION "{\"model\":\"m\",\"messages\":[]}"
#define CHUNK(id, words)                                                                           \
    "{\"inferenceChunk\":{\"_0\":{\"requestID\":\"" id "\",\"chunk\":{\"id\":\"c\",\"choices\":[{" \
    "\"index\":0,\"delta\":{\"content\":\"" words "\"}}]}}}}"
#define EVENT(words)                                                                               \
    "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"" words "\"}}]}\n\n"
#define COMPLETE(id) "{\"inferenceComplete\":{\"_0\":{\"requestID\":\"" id "\",\"tokensOut\":4}}}"
#define ERROR(id, code)                                                                            \
    "{\"inferenceError\":{\"requestID\":\"" id "\",\"errorMessage\":\"it is so\"" code "}}"
#define ID_B "10112233-4455-6677-8899-aabbccddeeff"

static legacy_scene s;
static listener a, b;

static int setup(void **state)
{
    (void)state;
    legacy_scene_init(&s);
    a = b = (listener){0};
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    legacy_scene_clear(&s);
    listener_clear(&a);
    listener_clear(&b);
    return 0;
}

/* `a` has asked peer 2 over path 1, which is ready. */
static void asked(bool streaming)
{
    legacy_ask(&s, &a, 2, '0', streaming, QUESTION);
    assert_int_equal(s.n_said, 0);
    tl_legacy_on_ready(s.legacy, 1);
    legacy_run(&s);
}

static void a_question_waits_for_its_session_and_its_answer_is_a_stream_of_events(void **state)
{
    (void)state;
    asked(true);
    assert_int_equal(a.calls[ON_PROGRESS], 1); /* the session is a sign of life */
    const said_message *m = legacy_last(&s);
    assert_true(m->path == 1 && m->message.type == TL_LEGACY_REQUEST);
    assert_string_equal(m->message.id, ID_A);
    legacy_hear(&s, 1, CHUNK(ID_A, "one"));
    assert_true(a.head.status == 200 && a.head.via == TL_VIA_PLAINTEXT);
    assert_true(a.head.peer.key[0] == 2);
    assert_string_equal(a.head.content_type, "text/event-stream");
    legacy_hear(&s, 1, CHUNK("00112233-4455-6677-8899-AABBCCDDEEFF", "two")); /* a Mac's manner */
    legacy_hear(&s, 1, COMPLETE(ID_A));
    assert_true(listener_body_is(&a, EVENT("one") EVENT("two") "data: [DONE]\n\n"));
    assert_int_equal(a.calls[ON_END], 1);
    assert_int_equal(a.end.tokens_out, 4);
}

static void a_whole_answer_comes_at_once_and_every_chunk_is_a_sign_of_life(void **state)
{
    (void)state;
    asked(false);
    legacy_hear(&s, 1, CHUNK(ID_A, "one"));
    legacy_hear(&s, 1, CHUNK(ID_A, " two"));
    assert_true(listener_heard_nothing(&a));
    assert_int_equal(a.calls[ON_PROGRESS], 3);
    legacy_hear(&s, 1, COMPLETE(ID_A));
    assert_string_equal(a.head.content_type, "application/json");
    assert_non_null(memmem(tl_buf_begin(&a.body), a.body.len, "\"content\":\"one two\"", 19));
    assert_int_equal(a.calls[ON_END], 1);
}

static void questions_to_one_peer_share_a_session_and_are_told_apart_by_id(void **state)
{
    (void)state;
    asked(true);
    legacy_ask(&s, &b, 2, '1', true, QUESTION);
    assert_int_equal(s.n_said, 2);
    assert_int_equal(legacy_last(&s)->path, 1);
    legacy_hear(&s, 1, CHUNK(ID_B, "of b"));
    legacy_hear(&s, 1, CHUNK(ID_A, "of a"));
    legacy_hear(&s, 1, COMPLETE(ID_B));
    legacy_hear(&s, 1, CHUNK(ID_B, "late"));
    legacy_hear(&s, 1, COMPLETE(ID_A));
    assert_true(listener_body_is(&a, EVENT("of a") "data: [DONE]\n\n"));
    assert_true(listener_body_is(&b, EVENT("of b") "data: [DONE]\n\n"));
    assert_int_equal(tl_legacy_counters_of(s.legacy)->ignored, 1);
    assert_int_equal(s.n_closed, 0);
}

static void another_peer_cannot_answer(void **state)
{
    (void)state;
    asked(true);
    tl_path_id theirs = legacy_accept(&s, 3);
    legacy_hear(&s, theirs, CHUNK(ID_A, "forged"));
    legacy_hear(&s, theirs, COMPLETE(ID_A));
    legacy_hear(&s, theirs, ERROR(ID_A, ""));
    assert_true(listener_heard_nothing(&a));
    legacy_hear(&s, 1, ERROR(ID_A, ""));
    assert_int_equal(a.calls[ON_FAIL], 1);
}

static void a_session_that_the_peer_opened_carries_our_questions_too(void **state)
{
    (void)state;
    tl_path_id theirs = legacy_accept(&s, 2);
    legacy_ask(&s, &a, 2, '0', true, QUESTION);
    assert_int_equal(legacy_last(&s)->path, theirs);
    legacy_hear(&s, theirs, COMPLETE(ID_A));
    assert_int_equal(a.calls[ON_END], 1);
}

static void cancelling_closes_the_session_unless_another_question_is_on_it(void **state)
{
    (void)state;
    asked(true);
    legacy_ask(&s, &b, 2, '1', true, QUESTION);
    listener_cancel(&a);
    legacy_run(&s);
    assert_int_equal(s.n_closed, 0);
    legacy_hear(&s, 1, CHUNK(ID_A, "nobody"));
    legacy_hear(&s, 1, CHUNK(ID_B, "x"));
    assert_int_equal(b.calls[ON_BODY], 1);
    listener_cancel(&b);
    assert_true(legacy_is_closed(&s, 1));
    legacy_run(&s);
}

static void what_cannot_be_sent_fails_soon_and_never_inside_the_call(void **state)
{
    (void)state;
    s.open_err = TL_ERR_CLOSED;
    legacy_ask(&s, &a, 2, '0', true, QUESTION); /* the listener is quiet inside */
    assert_int_equal(a.fail, TL_FAIL_PEER_FAILED);
    s.open_err = TL_OK;
    legacy_ask(&s, &b, 2, '1', true, "{\"stop\":\"a\",\"stop\":\"b\"}");
    assert_int_equal(b.fail, TL_FAIL_UNAVAILABLE);
    size_t n = TL_LEGACY_MESSAGE_MAX;
    char *large = malloc(n + 1);
    assert_non_null(large);
    memset(large, ' ', n);
    memcpy(large, "{\"a\":1", 6);
    large[n - 1] = '}';
    large[n] = 0;
    listener l = {0};
    legacy_ask(&s, &l, 2, '2', true, large);
    assert_int_equal(l.fail, TL_FAIL_UNAVAILABLE);
    assert_non_null(strstr(l.message, "3 MiB"));
    large[n - 400] = '}'; /* the twin */
    large[n - 399] = 0;
    listener_clear(&l);
    l = (listener){0};
    legacy_ask(&s, &l, 2, '3', true, large);
    assert_int_equal(l.calls[ON_FAIL], 0);
    listener_cancel(&l);
    free(large);
}

static void a_session_that_ends_fails_its_questions(void **state)
{
    (void)state;
    asked(true);
    tl_legacy_on_ended(s.legacy, 1, "closed by the relay or the peer");
    assert_int_equal(a.calls[ON_FAIL], 0);
    legacy_run(&s);
    assert_int_equal(a.fail, TL_FAIL_PEER_FAILED);
    assert_string_equal(a.message, "closed by the relay or the peer");
    assert_int_equal(s.n_closed, 0);
    /* The next question opens another. */
    legacy_ask(&s, &b, 2, '1', true, QUESTION);
    tl_legacy_on_ready(s.legacy, 2);
    legacy_run(&s);
    assert_int_equal(legacy_last(&s)->path, 2);
    legacy_hear(&s, 2, COMPLETE(ID_B));
}

static void errors_are_known_by_their_code_and_a_mac_sends_none(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        tl_fail want;
    } rows[] = {
        {ERROR(ID_A, ",\"code\":\"model_not_loaded\""), TL_FAIL_MODEL_NOT_LOADED},
        {ERROR(ID_A, ",\"code\":\"queue_full\""), TL_FAIL_QUEUE_FULL},
        {ERROR(ID_A, ",\"code\":\"unavailable\""), TL_FAIL_UNAVAILABLE},
        {ERROR(ID_A, ",\"code\":\"timeout\""), TL_FAIL_TIMEOUT},
        {ERROR(ID_A, ",\"code\":\"internal_error\""), TL_FAIL_INTERNAL},
        {ERROR(ID_A, ",\"code\":\"payment_required\""), TL_FAIL_INTERNAL},
        {ERROR(ID_A, ",\"code\":\"peer_failed\""), TL_FAIL_INTERNAL},
        {ERROR(ID_A, ",\"code\":7"), TL_FAIL_INTERNAL},
        {ERROR(ID_A, ""), TL_FAIL_INTERNAL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        listener l = {0};
        legacy_ask(&s, &l, 2, '0', true, QUESTION);
        tl_legacy_on_ready(s.legacy, 1);
        legacy_hear(&s, 1, rows[i].text);
        assert_int_equal(l.fail, rows[i].want);
        assert_string_equal(l.message, "it is so");
    }
}

static void each_wait_has_its_end(void **state)
{
    (void)state;
    legacy_ask(&s, &a, 2, '0', true, QUESTION);
    legacy_pass(&s, 10 * TL_SEC - 1);
    assert_int_equal(a.calls[ON_FAIL], 0);
    legacy_pass(&s, 1);
    assert_int_equal(a.fail, TL_FAIL_PEER_FAILED);
    assert_true(legacy_is_closed(&s, 1));
    /* To the first chunk; heartbeats are answered all the while. */
    legacy_ask(&s, &b, 2, '1', true, QUESTION);
    tl_legacy_on_ready(s.legacy, 2);
    for (int i = 0; i < 299; i++) {
        legacy_pass(&s, TL_SEC);
        legacy_hear(&s, 2, "{\"heartbeatAck\":{}}");
    }
    assert_int_equal(b.calls[ON_FAIL], 0);
    legacy_pass(&s, TL_SEC);
    assert_int_equal(b.fail, TL_FAIL_TIMEOUT);
    /* Between chunks. */
    listener_clear(&a);
    a = (listener){0};
    legacy_ask(&s, &a, 2, '0', true, QUESTION);
    tl_legacy_on_ready(s.legacy, 3);
    legacy_hear(&s, 3, CHUNK(ID_A, "one"));
    legacy_pass(&s, 120 * TL_SEC - 1);
    assert_int_equal(a.calls[ON_FAIL], 0);
    legacy_pass(&s, 1);
    assert_int_equal(a.fail, TL_FAIL_TIMEOUT);
    assert_true(legacy_is_closed(&s, 3));
}

static void only_words_keep_a_question_waiting_longer(void **state)
{
    (void)state;
    asked(true);
    legacy_hear(&s, 1, CHUNK(ID_A, ""));
    legacy_pass(&s, 100 * TL_SEC);
    legacy_hear(&s, 1, CHUNK(ID_A, "one")); /* words do */
    for (int i = 0; i < 11; i++) {
        legacy_pass(&s, 10 * TL_SEC);
        legacy_hear(&s, 1, CHUNK(ID_A, ""));
    }
    assert_int_equal(a.calls[ON_FAIL], 0);
    legacy_pass(&s, 10 * TL_SEC);
    assert_int_equal(a.fail, TL_FAIL_TIMEOUT);
    assert_true(legacy_is_closed(&s, 1));
}

static void chunks_without_a_word_are_taken_up_to_a_bound(void **state)
{
    (void)state;
    asked(false);
    for (int i = 0; i < 4096; i++)
        legacy_hear(&s, 1, CHUNK(ID_A, ""));
    legacy_hear(&s, 1, CHUNK(ID_A, "word")); /* is none of them */
    assert_int_equal(a.calls[ON_FAIL], 0);
    legacy_hear(&s, 1, CHUNK(ID_A, ""));
    assert_int_equal(a.fail, TL_FAIL_PEER_FAILED);
    assert_true(legacy_is_closed(&s, 1));
}

static void what_is_held_of_all_answers_has_a_bound(void **state)
{
    (void)state;
    enum { N = 9, PIECE = 1000000 };
    static listener l[N];
    char *text = malloc(PIECE + 300);
    assert_non_null(text);
    for (unsigned i = 0; i < N; i++) {
        l[i] = (listener){0};
        legacy_ask(&s, &l[i], 2 + i, (char)('0' + i), false, QUESTION);
        tl_legacy_on_ready(s.legacy, i + 1);
    }
    unsigned failed = 0;
    for (unsigned i = 0; i < 4 * N; i++) {
        int n = sprintf(text,
                        "{\"inferenceChunk\":{\"requestID\":\"%u0112233-4455-6677-8899-aabbccddeeff"
                        "\",\"chunk\":{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"",
                        i % N);
        memset(text + n, 'x', PIECE);
        strcpy(text + n + PIECE, "\"}}]}}}");
        legacy_hear(&s, i % N + 1, text);
        failed += i < 33 && l[i % N].calls[ON_FAIL];
    }
    assert_int_equal(failed, 0); /* 33 MB are within 32 MiB */
    for (unsigned i = 0; i < N; i++) {
        failed += l[i].calls[ON_FAIL];
        if (l[i].calls[ON_FAIL])
            assert_int_equal(l[i].fail, TL_FAIL_PEER_FAILED);
        else
            listener_cancel(&l[i]);
        listener_clear(&l[i]);
    }
    assert_int_equal(failed, 1); /* its place is room for the others */
    free(text);
}

static void a_silent_peer_is_asked_for_a_sign_of_life_and_it_is_told(void **state)
{
    (void)state;
    asked(true);
    legacy_pass(&s, TL_LEGACY_BEAT_AFTER);
    assert_int_equal(legacy_said(&s, TL_LEGACY_HEARTBEAT), 1);
    unsigned before = a.calls[ON_PROGRESS];
    legacy_hear(&s, 1, "{\"heartbeatAck\":{\"_0\":{}}}");
    assert_int_equal(a.calls[ON_PROGRESS], before + 1);
    legacy_hear(&s, 1, COMPLETE(ID_A));
    legacy_pass(&s, 10 * TL_SEC); /* nobody waits any more */
    assert_int_equal(legacy_said(&s, TL_LEGACY_HEARTBEAT), 1);
}

static void what_comes_while_the_sink_is_paused_is_kept_up_to_a_bound(void **state)
{
    (void)state;
    asked(true);
    listener_pause(&a, true);
    legacy_hear(&s, 1, CHUNK(ID_A, "one"));
    legacy_hear(&s, 1, COMPLETE(ID_A));
    legacy_pass(&s, 1000 * TL_SEC); /* it is we who are slow */
    assert_int_equal(a.calls[ON_BODY] + a.calls[ON_END] + a.calls[ON_FAIL], 0);
    listener_pause(&a, false);
    assert_int_equal(a.calls[ON_BODY], 0);
    legacy_run(&s);
    assert_true(listener_body_is(&a, EVENT("one") "data: [DONE]\n\n"));
    assert_int_equal(a.calls[ON_END], 1);

    char *text = malloc((1u << 20) + 300);
    assert_non_null(text);
    int n = sprintf(text, "{\"inferenceChunk\":{\"requestID\":\"" ID_B "\",\"chunk\":{\"x\":\"");
    memset(text + n, 'x', 1u << 20);
    strcpy(text + n + (1u << 20), "\"}}}");
    legacy_ask(&s, &b, 2, '1', true, QUESTION);
    tl_legacy_on_ready(s.legacy, 2);
    listener_pause(&b, true);
    for (int i = 0; i < 3; i++)
        legacy_hear(&s, 2, text);
    assert_int_equal(b.calls[ON_FAIL], 0);
    legacy_hear(&s, 2, text);
    assert_int_equal(b.calls[ON_FAIL], 1);
    assert_true(legacy_is_closed(&s, 2));
    free(text);
}

static void cancel_now(listener *l)
{
    listener_cancel(l);
}

static void a_sink_may_cancel_inside_any_call(void **state)
{
    (void)state;
    static const listener_call calls[] = {ON_PROGRESS, ON_HEAD, ON_BODY};
    for (size_t i = 0; i < 3; i++) {
        listener l = {.inside = {[ON_HEAD] = NULL}};
        l.inside[calls[i]] = cancel_now;
        legacy_ask(&s, &l, 2, '0', true, QUESTION);
        tl_path_id path = s.next_path - 1;
        tl_legacy_on_ready(s.legacy, path);
        if (calls[i] != ON_PROGRESS)
            legacy_hear(&s, path, CHUNK(ID_A, "one"));
        legacy_run(&s);
        assert_true(legacy_is_closed(&s, path));
        assert_null(l.exchange);
        listener_clear(&l);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_question_waits_for_its_session_and_its_answer_is_a_stream_of_events),
        TEST(a_whole_answer_comes_at_once_and_every_chunk_is_a_sign_of_life),
        TEST(questions_to_one_peer_share_a_session_and_are_told_apart_by_id),
        TEST(another_peer_cannot_answer),
        TEST(a_session_that_the_peer_opened_carries_our_questions_too),
        TEST(cancelling_closes_the_session_unless_another_question_is_on_it),
        TEST(what_cannot_be_sent_fails_soon_and_never_inside_the_call),
        TEST(a_session_that_ends_fails_its_questions),
        TEST(errors_are_known_by_their_code_and_a_mac_sends_none),
        TEST(each_wait_has_its_end),
        TEST(only_words_keep_a_question_waiting_longer),
        TEST(chunks_without_a_word_are_taken_up_to_a_bound),
        TEST(what_is_held_of_all_answers_has_a_bound),
        TEST(a_silent_peer_is_asked_for_a_sign_of_life_and_it_is_told),
        TEST(what_comes_while_the_sink_is_paused_is_kept_up_to_a_bound),
        TEST(a_sink_may_cancel_inside_any_call),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
