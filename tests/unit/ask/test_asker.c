/* One question to one peer: what goes out, what comes back, and every way in which it fails. */
#include "asker_scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* --- the request --- */

static void check_request(tl_quic_stream *s, tl_slice body)
{
    size_t at = 0, got = 0;
    tl_cluster_message m;
    tl_frame_kind kind;
    tl_slice bytes;
    fake_next_message(s, &at, TL_CLUSTER_REQUEST, &m);
    assert_string_equal(m.u.request.id, "r1");
    assert_string_equal(m.u.request.model, "m");
    assert_string_equal(m.u.request.path, "/v1/chat/completions");
    assert_string_equal(m.u.request.content_type, "application/json");
    assert_true(m.u.request.streaming && m.u.request.progress);
    while (fake_next_said(s, &at, &kind, &bytes)) {
        assert_int_equal(kind, TL_FRAME_BODY);
        assert_in_range(bytes.n, 1, 256 << 10);
        assert_true(got + bytes.n <= body.n);
        assert_memory_equal(bytes.p, body.p + got, bytes.n);
        got += bytes.n;
    }
    assert_int_equal(got, body.n);
    assert_int_equal(at, s->out.len);
    assert_true(s->out_fin);
}

static void a_request_goes_out_as_its_message_the_body_in_frames_and_the_end(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, (256 << 10) - 1, 256 << 10, (256 << 10) + 1, 700000};
    static const size_t rooms[] = {1000, 4096, 300000, SIZE_MAX};
    static uint8_t body[700000];
    for (size_t i = 0; i < sizeof body; i++)
        body[i] = (uint8_t)(i * 2654435761u >> 13);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (size_t j = 0; j < sizeof rooms / sizeof *rooms; j++) {
            asker_scene s;
            listener l = {0};
            tl_quic_stream *stream = fake_stream_new();
            tl_slice bytes = tl_slice_of(body, sizes[i]);
            asker_scene_init(&s);
            asker_scene_ask_with(&s, &l, bytes);
            stream->room = 3;
            asker_scene_grant(&s, stream);
            while (!stream->out_fin) {
                stream->room = 0;
                fake_makes_room(stream, rooms[j]);
            }
            check_request(stream, bytes);
            assert_true(listener_heard_nothing(&l));
            asker_scene_clear(&s);
            fake_stream_free(stream);
        }
}

static void no_more_is_asked_for_than_the_peers_can_take(void **state)
{
    (void)state;
    asker_scene s;
    listener l = {0};
    tl_ask ask = {.id = "r1", .peer = {{7}}};
    asker_scene_init(&s);
    s.peers.wish_err = TL_ERR_BUSY;
    assert_int_equal(tl_asker_ask(s.asker, &ask, "m", &listener_sink, &l, &l.exchange),
                     TL_ERR_BUSY);
    assert_null(l.exchange);
    asker_scene_ask(&s, &l);
    assert_non_null(l.exchange);
    asker_scene_clear(&s);
}

static void a_peer_that_stops_reading_is_still_listened_to(void **state)
{
    (void)state;
    asker_scene s;
    listener l = {0};
    tl_quic_stream *stream = fake_stream_new();
    asker_scene_init(&s);
    asker_scene_ask(&s, &l);
    stream->write_err = TL_ERR_CLOSED;
    asker_scene_grant(&s, stream);
    assert_true(listener_heard_nothing(&l));
    fake_lay_text(stream, TL_FRAME_MESSAGE, ERROR("r1", "queue_full", ""));
    fake_arrives(stream);
    assert_int_equal(l.fail, TL_FAIL_QUEUE_FULL);
    asker_scene_clear(&s);
    fake_stream_free(stream);
}

static void a_request_that_cannot_be_sent_whole_fails(void **state)
{
    (void)state;
    asker_scene s;
    listener whole = {0};
    asker_scene_init(&s);
    tl_quic_stream *stream = asker_scene_asked(&s, &whole);
    size_t n = stream->out.len;
    assert_true(stream->out_fin);
    listener_cancel(&whole);
    fake_stream_free(stream);
    for (size_t at = 0; at <= n + 1; at++) {
        listener l = {0};
        stream = fake_stream_new();
        stream->write_err = TL_ERR_NOMEM;
        stream->err_from = at;
        asker_scene_ask(&s, &l);
        asker_scene_grant(&s, stream);
        assert_int_equal(l.calls[ON_FAIL], at <= n);
        assert_int_equal(stream->reset, at <= n);
        if (at <= n) {
            assert_int_equal(l.fail, TL_FAIL_PEER_FAILED);
            assert_string_equal(l.message, "the request could not be sent");
        } else {
            listener_cancel(&l);
        }
        fake_stream_free(stream);
    }
    asker_scene_clear(&s);
}

/* --- the answer --- */

static void an_answer_is_the_same_in_whatever_pieces_it_comes(void **state)
{
    (void)state;
    for (size_t piece = 0; piece < 400; piece += piece < 40 ? 1 : 50) {
        asker_scene s;
        listener l = {0};
        asker_scene_init(&s);
        tl_quic_stream *stream = asker_scene_asked(&s, &l);
        stream->piece = piece;
        fake_lay_text(stream, TL_FRAME_MESSAGE,
                      "{\"inferenceResponse\":{\"requestID\":\"r1\",\"status\":429,\"contentType\":"
                      "\"text/plain\",\"retryAfter\":\"7\"}}");
        fake_lay_text(stream, TL_FRAME_BODY, "hello ");
        fake_lay_text(stream, TL_FRAME_BODY, "world");
        fake_lay_text(stream, TL_FRAME_MESSAGE, COMPLETE("r1"));
        fake_ends(stream);
        assert_int_equal(l.calls[ON_END], 1);
        assert_int_equal(l.head.status, 429);
        assert_string_equal(l.head.content_type, "text/plain");
        assert_string_equal(l.head.retry_after, "7");
        assert_int_equal(l.head.peer.key[0], 7);
        assert_int_equal(l.head.via, TL_VIA_RELAYED);
        assert_true(listener_body_is(&l, "hello world"));
        assert_int_equal(l.end.tokens_in, 3);
        assert_int_equal(l.end.tokens_out, 4);
        assert_null(stream->user);
        assert_int_equal(stream->in.len, 0);
        assert_false(stream->reset);
        listener_clear(&l);
        asker_scene_clear(&s);
        fake_stream_free(stream);
    }
}

static void a_stream_that_goes_on_after_its_answer_is_reset(void **state)
{
    (void)state;
    static const struct {
        bool fin, more, unsent, reset;
    } rows[] = {
        {true, false, false, false},
        {false, false, false, true}, /* no end behind it */
        {true, true, false, true},   /* bytes behind it */
        {true, false, true, true},   /* the request has not gone out whole */
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        asker_scene s;
        listener l = {0};
        tl_quic_stream *stream = fake_stream_new();
        asker_scene_init(&s);
        asker_scene_ask(&s, &l);
        stream->room = rows[i].unsent ? 10 : SIZE_MAX;
        asker_scene_grant(&s, stream);
        fake_lay_text(stream, TL_FRAME_MESSAGE, RESPONSE("r1"));
        fake_lay_text(stream, TL_FRAME_MESSAGE, COMPLETE("r1"));
        if (rows[i].more)
            fake_lay_text(stream, TL_FRAME_BODY, "x");
        stream->in_fin = rows[i].fin;
        fake_arrives(stream);
        assert_int_equal(l.calls[ON_END], 1);
        assert_null(stream->user);
        assert_int_equal(stream->reset, rows[i].reset);
        if (stream->reset)
            assert_int_equal(stream->code, TL_CODE_CANCELLED);
        asker_scene_clear(&s);
        fake_stream_free(stream);
    }
}

static void an_error_has_the_name_that_the_peer_gave_it(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        tl_fail fail;
    } rows[] = {
        {ERROR("r1", "queue_full", ""), TL_FAIL_QUEUE_FULL},
        {ERROR("r1", "model_not_loaded", ""), TL_FAIL_MODEL_NOT_LOADED},
        {ERROR("r1", "internal_error", ",\"detail\":\"backend_error\""), TL_FAIL_BACKEND_ERROR},
        {ERROR("r1", "unavailable", ",\"detail\":\"unheard_of\""), TL_FAIL_UNAVAILABLE},
        {ERROR("r1", "unheard_of", ""), TL_FAIL_INTERNAL},
    };
    for (size_t i = 0; i < 2 * (sizeof rows / sizeof *rows); i++) {
        asker_scene s;
        listener l = {0};
        asker_scene_init(&s);
        tl_quic_stream *stream = i % 2 ? asker_scene_answering(&s, &l) : asker_scene_asked(&s, &l);
        fake_lay_text(stream, TL_FRAME_MESSAGE, rows[i / 2].text);
        fake_ends(stream);
        assert_int_equal(l.calls[ON_FAIL], 1);
        assert_int_equal(l.fail, rows[i / 2].fail);
        assert_string_equal(l.message, "so it is");
        assert_true(stream->reset);
        assert_null(stream->user);
        asker_scene_clear(&s);
        fake_stream_free(stream);
    }
}

typedef struct {
    const char *name;
    struct {
        int kind; /* -1: raw bytes */
        const char *text;
    } says[4];
    bool whole;
} story;

#define MSG(text)                                                                                  \
    {                                                                                              \
        TL_FRAME_MESSAGE, text                                                                     \
    }
#define BODY(text)                                                                                 \
    {                                                                                              \
        TL_FRAME_BODY, text                                                                        \
    }

static const story stories[] = {
    {"whole", {MSG(RESPONSE("r1")), BODY("x"), MSG(COMPLETE("r1"))}, true},
    {"no body", {MSG(RESPONSE("r1")), MSG(COMPLETE("r1"))}, true},
    {"progress", {MSG(PROGRESS("r1")), MSG(RESPONSE("r1")), MSG(COMPLETE("r1"))}, true},
    {"progress in the body",
     {MSG(RESPONSE("r1")), BODY("x"), MSG(PROGRESS("r1")), MSG(COMPLETE("r1"))},
     true},
    {"another's progress", {MSG(PROGRESS("r2")), MSG(RESPONSE("r1")), MSG(COMPLETE("r1"))}, false},
    {"body first", {BODY("x"), MSG(RESPONSE("r1")), MSG(COMPLETE("r1"))}, false},
    {"no head", {MSG(COMPLETE("r1"))}, false},
    {"a refusal", {MSG(RESPONSE_OF("r1", "429")), MSG(COMPLETE("r1"))}, true},
    {"a redirect", {MSG(RESPONSE_OF("r1", "302")), MSG(COMPLETE("r1"))}, false},
    {"a failure as a head", {MSG(RESPONSE_OF("r1", "503")), MSG(COMPLETE("r1"))}, false},
    {"two heads", {MSG(RESPONSE("r1")), MSG(RESPONSE("r1")), MSG(COMPLETE("r1"))}, false},
    {"another's head", {MSG(RESPONSE("r2")), MSG(COMPLETE("r1"))}, false},
    {"another's end", {MSG(RESPONSE("r1")), MSG(COMPLETE("r2"))}, false},
    {"another's error", {MSG(ERROR("r2", "queue_full", ""))}, false},
    {"no JSON", {MSG(RESPONSE("r1")), MSG("nonsense")}, false},
    {"of another kind", {MSG(RESPONSE("r1")), MSG("{\"unheardOf\":{}}")}, false},
    {"a frame of length 0", {MSG(RESPONSE("r1")), {-1, "\0\0\0\0"}}, false},
};

static void nonsense_of_a_peer_fails_the_question_and_resets_the_stream(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof stories / sizeof *stories; i++) {
        asker_scene s;
        listener l = {0};
        asker_scene_init(&s);
        tl_quic_stream *stream = asker_scene_asked(&s, &l);
        for (size_t j = 0; j < 4 && stories[i].says[j].text; j++)
            if (stories[i].says[j].kind < 0)
                fake_lay(stream, tl_slice_of("\0\0\0\0\0", 5));
            else
                fake_lay_text(stream, stories[i].says[j].kind, stories[i].says[j].text);
        fake_ends(stream);
        if (l.calls[ON_END] != stories[i].whole || l.calls[ON_FAIL] == stories[i].whole)
            fail_msg("%s", stories[i].name);
        if (!stories[i].whole) {
            assert_int_equal(l.fail, TL_FAIL_PEER_FAILED);
            assert_string_equal(l.message, "the peer spoke nonsense");
            assert_true(stream->reset);
        }
        listener_clear(&l);
        asker_scene_clear(&s);
        fake_stream_free(stream);
    }
}

/* What is well formed, but never ends or says nothing, fails as nonsense does. `n` frames of it come
 * each second, for a minute. */
static void a_flood_of_frames_is_nonsense_and_a_slow_writer_is_not(void **state)
{
    (void)state;
    static const struct {
        const char *name, *head, *text; /* NULL: no head; a frame of the body */
        unsigned at_once, n;
        bool flood;
    } rows[] = {
        {"progress as promised", NULL, PROGRESS("r1"), 0, 1, false},
        {"progress that waited", NULL, PROGRESS("r1"), 16, 0, false},
        {"progress without end", NULL, PROGRESS("r1"), 0, 3, true},
        {"progress in one go", NULL, PROGRESS("r1"), 17, 0, true},
        {"a byte at a time", RESPONSE("r1"), "x", 0, 1000, false},
        {"what a node keeps", RESPONSE("r1"), "x", 174000, 0, false},
        {"bytes in one go", RESPONSE("r1"), "x", 180000, 0, true},
        {"bytes without end", RESPONSE("r1"), "x", 0, 10000, true},
        {"nothing in one go", RESPONSE("r1"), "", 180000, 0, true},
        {"nothing before the head", NULL, "", 180000, 0, true},
        {"full frames", RESPONSE("r1"),
         "0123456789012345678901234567890123456789012345678901234567890123", 0, 10000, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        asker_scene s;
        listener l = {0};
        asker_scene_init(&s);
        tl_quic_stream *stream = asker_scene_asked(&s, &l);
        if (rows[i].head)
            fake_lay_text(stream, TL_FRAME_MESSAGE, rows[i].head);
        tl_frame_kind kind = rows[i].text[0] == '{' ? TL_FRAME_MESSAGE : TL_FRAME_BODY;
        for (unsigned n = 0; n < rows[i].at_once; n++)
            fake_lay_text(stream, kind, rows[i].text);
        fake_arrives(stream);
        for (unsigned second = 0; second < 60 && !l.calls[ON_FAIL]; second++) {
            asker_scene_pass(&s, TL_SEC);
            for (unsigned n = 0; n < rows[i].n; n++)
                fake_lay_text(stream, kind, rows[i].text);
            fake_arrives(stream);
        }
        if (l.calls[ON_FAIL] != rows[i].flood)
            fail_msg("%s", rows[i].name);
        if (rows[i].flood) {
            assert_int_equal(l.fail, TL_FAIL_PEER_FAILED);
            assert_true(stream->reset);
        }
        listener_clear(&l);
        asker_scene_clear(&s);
        fake_stream_free(stream);
    }
}

/* --- the peer is lost --- */

static void lose(tl_quic_stream *stream, int how)
{
    switch (how) {
    case 0: fake_ends(stream); break;
    case 1: fake_resets(stream); break;
    default: fake_closes(stream, "the connection to the peer broke"); break;
    }
}

static void a_peer_lost_midway_fails_the_question_with_what_is_known(void **state)
{
    (void)state;
    static const char *const words[] = {"the peer ended the answer in its middle",
                                        "the peer gave the request up",
                                        "the connection to the peer broke"};
    for (int how = 0; how < 3; how++)
        for (int answering = 0; answering < 2; answering++) {
            asker_scene s;
            listener l = {0};
            asker_scene_init(&s);
            tl_quic_stream *stream =
                answering ? asker_scene_answering(&s, &l) : asker_scene_asked(&s, &l);
            lose(stream, how);
            assert_int_equal(l.calls[ON_FAIL], 1);
            assert_int_equal(l.fail, TL_FAIL_PEER_FAILED);
            assert_string_equal(l.message, words[how]);
            assert_int_equal(stream->reset, how != 2); /* a closed one is no handle any more */
            if (how != 2)
                assert_null(stream->user);
            asker_scene_clear(&s);
            fake_stream_free(stream);
        }
}

static void a_peer_that_cannot_be_reached_fails_the_question(void **state)
{
    (void)state;
    asker_scene s;
    listener l = {0};
    asker_scene_init(&s);
    asker_scene_ask(&s, &l);
    asker_scene_refuse(&s, "no way to it");
    assert_int_equal(l.fail, TL_FAIL_PEER_FAILED);
    assert_string_equal(l.message, "no way to it");
    asker_scene_clear(&s);
}

/* --- time --- */

static void a_head_is_awaited_for_the_first_limit_from_the_stream_on(void **state)
{
    (void)state;
    asker_scene s;
    listener never = {0}, slow = {0};
    tl_quic_stream *stream = fake_stream_new();
    asker_scene_init(&s);
    assert_int_equal(tl_asker_expiry(s.asker), TL_NEVER);
    asker_scene_ask(&s, &never);
    assert_int_equal(tl_asker_expiry(s.asker), s.env.now + FIRST_BYTE);
    asker_scene_pass(&s, 100 * TL_SEC);
    asker_scene_ask(&s, &slow);
    asker_scene_pass(&s, 199 * TL_SEC);
    assert_true(listener_heard_nothing(&never));
    asker_scene_pass(&s, 1 * TL_SEC);
    assert_int_equal(never.fail, TL_FAIL_TIMEOUT);
    assert_string_equal(never.message, "the peer did not answer in time");
    assert_true(listener_heard_nothing(&slow));
    assert_int_equal(tl_asker_expiry(s.asker), s.env.now + 100 * TL_SEC);

    asker_scene_grant(&s, stream); /* the limit begins anew */
    asker_scene_pass(&s, FIRST_BYTE - 1);
    assert_true(listener_heard_nothing(&slow));
    asker_scene_pass(&s, 1);
    assert_int_equal(slow.fail, TL_FAIL_TIMEOUT);
    assert_true(stream->reset);
    assert_int_equal(tl_asker_expiry(s.asker), TL_NEVER);
    asker_scene_clear(&s);
    fake_stream_free(stream);
}

static void an_answer_may_be_silent_for_the_second_limit(void **state)
{
    (void)state;
    asker_scene s;
    listener l = {0};
    asker_scene_init(&s);
    tl_quic_stream *stream = asker_scene_asked(&s, &l);
    asker_scene_pass(&s, 10 * TL_SEC);
    fake_lay(stream, tl_slice_of("\0\0", 2)); /* of the head: not an answer yet */
    fake_arrives(stream);
    asker_scene_pass(&s, FIRST_BYTE - 10 * TL_SEC - 1);
    assert_true(listener_heard_nothing(&l));
    asker_scene_pass(&s, 1);
    assert_int_equal(l.fail, TL_FAIL_TIMEOUT);
    asker_scene_clear(&s);
    fake_stream_free(stream);

    asker_scene_init(&s);
    l = (listener){0};
    stream = asker_scene_answering(&s, &l);
    for (int i = 0; i < 3; i++) {
        asker_scene_pass(&s, SILENCE - 1);
        fake_lay_text(stream, TL_FRAME_BODY, "x");
        fake_arrives(stream);
    }
    assert_int_equal(l.calls[ON_BODY], 3);
    asker_scene_pass(&s, SILENCE - 1);
    assert_int_equal(l.calls[ON_FAIL], 0);
    asker_scene_pass(&s, 1);
    assert_int_equal(l.fail, TL_FAIL_TIMEOUT);
    assert_string_equal(l.message, "the peer fell silent");
    listener_clear(&l);
    asker_scene_clear(&s);
    fake_stream_free(stream);
}

static void says(tl_quic_stream *stream, const char *text)
{
    fake_lay_text(stream, TL_FRAME_MESSAGE, text);
    fake_arrives(stream);
}

static void a_peer_that_says_that_it_works_is_waited_for(void **state)
{
    (void)state;
    for (int with_head = 0; with_head < 2; with_head++) {
        asker_scene s;
        listener l = {0};
        asker_scene_init(&s);
        tl_quic_stream *stream =
            with_head ? asker_scene_answering(&s, &l) : asker_scene_asked(&s, &l);
        tl_time limit = with_head ? SILENCE : FIRST_BYTE;
        for (unsigned i = 1; i <= 5; i++) {
            asker_scene_pass(&s, limit - 1);
            says(stream, PROGRESS("r1"));
            assert_int_equal(l.calls[ON_PROGRESS], i);
        }
        asker_scene_pass(&s, limit - 1);
        assert_int_equal(l.calls[ON_FAIL], 0);
        asker_scene_pass(&s, 1); /* no word since */
        assert_int_equal(l.fail, TL_FAIL_TIMEOUT);
        asker_scene_clear(&s);
        fake_stream_free(stream);
    }
}

static void a_peer_that_works_for_an_hour_without_a_byte_is_left(void **state)
{
    (void)state;
    for (int with_body = 0; with_body < 2; with_body++) {
        asker_scene s;
        listener l = {0};
        asker_scene_init(&s);
        tl_quic_stream *stream = asker_scene_answering(&s, &l);
        if (with_body)
            fake_lay_text(stream, TL_FRAME_BODY, "x");
        tl_time end = s.env.now + TL_ASKER_PROGRESS_MAX + SILENCE;
        while (s.env.now < end && l.exchange) {
            asker_scene_pass(&s, SILENCE / 2);
            if (l.exchange)
                says(stream, PROGRESS("r1"));
        }
        assert_int_equal(l.calls[ON_FAIL], !with_body);
        assert_true(s.env.now >= end - SILENCE);
        if (with_body) { /* of a body that has begun it says nothing */
            assert_int_equal(l.calls[ON_PROGRESS], 0);
            listener_cancel(&l);
        }
        listener_clear(&l);
        asker_scene_clear(&s);
        fake_stream_free(stream);
    }
}

static void after_an_hour_a_peers_word_that_it_works_moves_no_limit(void **state)
{
    (void)state;
    for (int too_late = 0; too_late < 2; too_late++) {
        asker_scene s;
        listener l = {0};
        asker_scene_init(&s);
        tl_time end = s.env.now + TL_ASKER_PROGRESS_MAX;
        tl_quic_stream *stream = asker_scene_asked(&s, &l);
        while (s.env.now + 200 * TL_SEC < end) {
            says(stream, PROGRESS("r1"));
            asker_scene_pass(&s, 200 * TL_SEC);
        }
        says(stream, PROGRESS("r1"));
        tl_time limit = s.env.now + FIRST_BYTE;
        asker_scene_pass(&s, end - s.env.now - 1 + (tl_time)too_late);
        says(stream, PROGRESS("r1"));
        asker_scene_pass(&s, (too_late ? limit : end - 1 + FIRST_BYTE) - s.env.now - 1);
        assert_int_equal(l.calls[ON_FAIL], 0);
        asker_scene_pass(&s, 1);
        assert_int_equal(l.fail, TL_FAIL_TIMEOUT);
        asker_scene_clear(&s);
        fake_stream_free(stream);
    }
}

static void other_limits_hold_for_what_is_asked_next(void **state)
{
    (void)state;
    asker_scene s;
    listener l = {0};
    asker_scene_init(&s);
    tl_asker_times times = {TL_NEVER, 5 * TL_SEC};
    tl_asker_set_times(s.asker, &times);
    tl_quic_stream *stream = asker_scene_asked(&s, &l);
    assert_int_equal(tl_asker_expiry(s.asker), TL_NEVER);
    fake_lay_text(stream, TL_FRAME_MESSAGE, RESPONSE("r1"));
    fake_arrives(stream);
    assert_int_equal(tl_asker_expiry(s.asker), s.env.now + 5 * TL_SEC);
    asker_scene_clear(&s);
    fake_stream_free(stream);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_goes_out_as_its_message_the_body_in_frames_and_the_end),
        cmocka_unit_test(no_more_is_asked_for_than_the_peers_can_take),
        cmocka_unit_test(a_peer_that_stops_reading_is_still_listened_to),
        cmocka_unit_test(a_request_that_cannot_be_sent_whole_fails),
        cmocka_unit_test(an_answer_is_the_same_in_whatever_pieces_it_comes),
        cmocka_unit_test(a_stream_that_goes_on_after_its_answer_is_reset),
        cmocka_unit_test(an_error_has_the_name_that_the_peer_gave_it),
        cmocka_unit_test(nonsense_of_a_peer_fails_the_question_and_resets_the_stream),
        cmocka_unit_test(a_flood_of_frames_is_nonsense_and_a_slow_writer_is_not),
        cmocka_unit_test(a_peer_lost_midway_fails_the_question_with_what_is_known),
        cmocka_unit_test(a_peer_that_cannot_be_reached_fails_the_question),
        cmocka_unit_test(a_head_is_awaited_for_the_first_limit_from_the_stream_on),
        cmocka_unit_test(an_answer_may_be_silent_for_the_second_limit),
        cmocka_unit_test(a_peer_that_says_that_it_works_is_waited_for),
        cmocka_unit_test(a_peer_that_works_for_an_hour_without_a_byte_is_left),
        cmocka_unit_test(after_an_hour_a_peers_word_that_it_works_moves_no_limit),
        cmocka_unit_test(other_limits_hold_for_what_is_asked_next),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
