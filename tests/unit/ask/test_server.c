/* Requests of peers: what reaches the backend, what goes back, and who is refused with which words.
 * Each refusal stands beside the request that differs in one thing and is taken. */
#include "ask/paths.h"
#include "server_scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* --- the word that it works --- */

/* How many of them were said since `at`, and nothing else. */
static unsigned words_since(tl_quic_stream *stream, size_t *at)
{
    unsigned n = 0;
    for (; *at < stream->out.len; n++) {
        tl_cluster_message m;
        fake_next_message(stream, at, TL_CLUSTER_PROGRESS, &m);
        assert_string_equal(m.u.progress.id, "r1");
    }
    return n;
}

static void a_question_that_waits_tells_its_place_and_a_full_queue_when_to_ask_again(void **state)
{
    (void)state;
    server_scene s;
    tl_cluster_message m;
    size_t at = 0;
    server_scene_init(&s);
    tl_quic_stream *stream = server_scene_open(&s);
    fake_lay_text(stream, TL_FRAME_MESSAGE, REQUEST_PROGRESS);
    fake_lay_text(stream, TL_FRAME_BODY, QUESTION);
    fake_arrives(stream);
    fake_ends(stream);
    assert_int_equal(words_since(stream, &at), 1);
    s.jobs[0].progress = (tl_progress){3, 40};
    server_scene_pass(&s, TL_SERVER_PROGRESS_EVERY);
    fake_next_message(stream, &at, TL_CLUSTER_PROGRESS, &m);
    assert_int_equal(m.u.progress.queue_position, 3);
    assert_int_equal(m.u.progress.wait_seconds, 40);
    s.jobs[0].progress = (tl_progress){0};
    server_scene_pass(&s, TL_SERVER_PROGRESS_EVERY);
    fake_next_message(stream, &at, TL_CLUSTER_PROGRESS, &m);
    assert_int_equal(m.u.progress.queue_position, 0);
    s.jobs[0].over = true;
    s.jobs[0].sink.on_fail(s.jobs[0].user, &(tl_failure){TL_FAIL_QUEUE_FULL, "full", 77});
    fake_next_message(stream, &at, TL_CLUSTER_ERROR, &m);
    assert_string_equal(m.u.error.code, "queue_full");
    assert_int_equal(m.u.error.retry_after, 77);
    server_scene_over(stream);
    server_scene_clear(&s);
}

static void a_peer_that_wants_it_is_told_every_two_seconds_that_the_backend_works(void **state)
{
    (void)state;
    for (int wanted = 0; wanted < 2; wanted++) {
        server_scene s;
        size_t at = 0;
        server_scene_init(&s);
        tl_quic_stream *stream = server_scene_open(&s);
        fake_lay_text(stream, TL_FRAME_MESSAGE, wanted ? REQUEST_PROGRESS : REQUEST);
        fake_lay_text(stream, TL_FRAME_BODY, QUESTION);
        fake_arrives(stream);
        assert_int_equal(stream->out.len, 0); /* the backend has nothing yet */
        fake_ends(stream);
        job *j = &s.jobs[0];
        assert_int_equal(words_since(stream, &at), wanted);
        server_scene_pass(&s, TL_SERVER_PROGRESS_EVERY - 1);
        assert_int_equal(words_since(stream, &at), 0);
        server_scene_pass(&s, 1);
        assert_int_equal(words_since(stream, &at), wanted);
        job_head(j);
        tl_cluster_message m;
        fake_next_message(stream, &at, TL_CLUSTER_RESPONSE, &m);
        server_scene_pass(&s, TL_SERVER_PROGRESS_EVERY);
        assert_int_equal(words_since(stream, &at), wanted); /* a head is no byte yet */
        job_body(j, TL_SLICE_LIT("x"));
        at = stream->out.len;
        server_scene_pass(&s, BODY_IDLE);
        assert_int_equal(words_since(stream, &at), 0);
        assert_int_equal(tl_server_expiry(s.server), TL_NEVER);
        server_scene_clear(&s);
    }
}

static void nothing_of_it_piles_up_for_a_peer_that_does_not_read(void **state)
{
    (void)state;
    server_scene s;
    server_scene_init(&s);
    tl_quic_stream *stream = server_scene_open(&s);
    stream->room = 10;
    fake_lay_text(stream, TL_FRAME_MESSAGE, REQUEST_PROGRESS);
    fake_lay_text(stream, TL_FRAME_BODY, QUESTION);
    fake_ends(stream);
    for (int i = 0; i < 5; i++)
        server_scene_pass(&s, TL_SERVER_PROGRESS_EVERY);
    fake_makes_room(stream, 10000);
    size_t at = 0;
    assert_int_equal(words_since(stream, &at), 1);
    server_scene_pass(&s, TL_SERVER_PROGRESS_EVERY);
    assert_int_equal(words_since(stream, &at), 1);
    server_scene_clear(&s);
}

static void a_question_that_is_over_or_has_failed_is_not_worked_at(void **state)
{
    (void)state;
    for (int failed = 0; failed < 2; failed++) {
        server_scene s;
        server_scene_init(&s);
        tl_quic_stream *stream = server_scene_open(&s);
        fake_lay_text(stream, TL_FRAME_MESSAGE, REQUEST_PROGRESS);
        fake_lay_text(stream, TL_FRAME_BODY, QUESTION);
        fake_ends(stream);
        if (failed)
            job_fail(&s.jobs[0], TL_FAIL_TIMEOUT, "slow");
        else
            job_head(&s.jobs[0]), job_end(&s.jobs[0], (tl_answer_end){0, 0});
        size_t said = stream->out.len;
        server_scene_pass(&s, 2 * TL_SERVER_PROGRESS_EVERY);
        assert_int_equal(stream->out.len, said);
        server_scene_clear(&s);
    }
}

/* --- a request and its answer --- */

static void a_request_reaches_the_backend_in_whatever_pieces_it_comes(void **state)
{
    (void)state;
    for (size_t piece = 0; piece < 300; piece += piece < 30 ? 1 : 50) {
        server_scene s;
        server_scene_init(&s);
        tl_quic_stream *stream = server_scene_open(&s);
        stream->piece = piece;
        fake_lay_text(stream, TL_FRAME_MESSAGE, REQUEST);
        fake_lay_text(stream, TL_FRAME_BODY, " {\"mod");
        fake_lay_text(stream, TL_FRAME_BODY, "el\":\"m\"}");
        fake_arrives(stream);
        assert_int_equal(s.n_jobs, 0); /* there may be more */
        fake_ends(stream);
        assert_int_equal(s.n_jobs, 1);
        job *j = &s.jobs[0];
        assert_true(tl_slice_eq(tl_buf_slice(&j->body), tl_slice_str(" {\"model\":\"m\"}")));
        assert_string_equal(j->ask.id, "r1");
        assert_string_equal(j->ask.model, "m");
        assert_string_equal(j->ask.path, "/v1/chat/completions");
        assert_string_equal(j->ask.content_type, "application/json");
        assert_true(j->ask.streaming && j->ask.from_peer);
        assert_int_equal(j->ask.requester.key[0], PEER);
        assert_int_equal(stream->in.len, 0);
        server_scene_clear(&s);
    }
}

static void an_answer_goes_back_as_head_body_and_end(void **state)
{
    (void)state;
    for (int told = 0; told < 2; told++) {
        server_scene s;
        job *j;
        size_t at = 0;
        tl_cluster_message m;
        tl_frame_kind kind;
        tl_slice bytes;
        server_scene_init(&s);
        tl_quic_stream *stream = server_scene_running(&s, &j);
        job_head(j);
        fake_next_message(stream, &at, TL_CLUSTER_RESPONSE, &m);
        assert_string_equal(m.u.response.id, "r1");
        assert_int_equal(m.u.response.status, 200);
        assert_string_equal(m.u.response.content_type, "text/event-stream");
        assert_string_equal(m.u.response.retry_after, "7");
        job_body(j, TL_SLICE_LIT("data: {\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4}}"
                                 "\n\n"));
        assert_true(fake_next_said(stream, &at, &kind, &bytes));
        assert_int_equal(kind, TL_FRAME_BODY);
        assert_int_equal(bytes.n, 59);
        assert_false(stream->out_fin);
        assert_int_equal(s.dones, 0);
        job_end(j, told ? (tl_answer_end){30, 40} : (tl_answer_end){0, 0});
        fake_next_message(stream, &at, TL_CLUSTER_COMPLETE, &m);
        assert_string_equal(m.u.complete.id, "r1");
        assert_int_equal(m.u.complete.tokens_in, told ? 30 : 3); /* else as seen in the answer */
        assert_int_equal(m.u.complete.tokens_out, told ? 40 : 4);
        assert_true(stream->out_fin);
        assert_int_equal(s.dones, 1);
        assert_int_equal(s.done, TL_FAIL_COUNT);
        assert_int_equal(s.done_end.tokens_out, told ? 40 : 4);
        const tl_server_counters *c = tl_server_counters_of(s.server);
        assert_int_equal(c->served, 1);
        assert_int_equal(c->tokens_in, told ? 30 : 3);
        assert_int_equal(c->tokens_out, told ? 40 : 4);
        server_scene_over(stream);
        assert_true(tl_server_is_idle(s.server));
        assert_int_equal(c->failed + c->cancelled + c->refused + c->malformed, 0);
        server_scene_clear(&s);
    }
}

static void a_large_piece_of_an_answer_is_sent_in_frames(void **state)
{
    (void)state;
    static uint8_t big[(2u << 20) + 5];
    static const size_t rooms[] = {100000, SIZE_MAX};
    for (size_t i = 0; i < sizeof big; i++)
        big[i] = (uint8_t)(i * 2654435761u >> 13);
    for (size_t i = 0; i < 2; i++) {
        server_scene s;
        job *j;
        size_t at = 0, got = 0;
        tl_cluster_message m;
        tl_frame_kind kind;
        tl_slice bytes;
        server_scene_init(&s);
        tl_quic_stream *stream = server_scene_running(&s, &j);
        job_head(j);
        stream->room = rooms[i];
        job_body(j, tl_slice_of(big, sizeof big));
        while (j->paused)
            fake_makes_room(stream, rooms[i]);
        stream->room = SIZE_MAX;
        job_end(j, (tl_answer_end){0, 0});
        fake_next_message(stream, &at, TL_CLUSTER_RESPONSE, &m);
        while (got < sizeof big) {
            assert_true(fake_next_said(stream, &at, &kind, &bytes));
            assert_int_equal(kind, TL_FRAME_BODY);
            assert_true(bytes.n <= TL_FRAME_MESSAGE_MAX);
            assert_memory_equal(bytes.p, big + got, bytes.n);
            got += bytes.n;
        }
        fake_next_message(stream, &at, TL_CLUSTER_COMPLETE, &m);
        server_scene_over(stream);
        server_scene_clear(&s);
    }
}

static void a_slow_peer_pauses_the_backend_until_it_takes_more(void **state)
{
    (void)state;
    server_scene s;
    job *j;
    server_scene_init(&s);
    tl_quic_stream *stream = server_scene_running(&s, &j);
    stream->room = 200;
    job_head(j);
    stream->room = 6;
    job_body(j, TL_SLICE_LIT("0123456789"));
    assert_false(j->paused); /* a little is kept */
    fake_makes_room(stream, 9);
    stream->room = 0;
    job_body_until_paused(j);
    size_t half = 16 * (TL_FRAME_HEAD + (64 << 10)) - TL_SERVER_PENDING_MAX / 2;
    fake_makes_room(stream, half - 1);
    assert_true(j->paused);
    fake_makes_room(stream, 1);
    assert_false(j->paused);
    fake_makes_room(stream, 2 * TL_SERVER_PENDING_MAX);
    assert_false(j->paused);
    stream->room = 0;
    job_body_until_paused(j);
    job_end(j, (tl_answer_end){0, 0}); /* may come while paused */
    assert_false(stream->out_fin);
    fake_makes_room(stream, 20);
    assert_false(stream->out_fin);
    fake_makes_room(stream, 2 * TL_SERVER_PENDING_MAX);
    server_scene_over(stream);
    server_scene_clear(&s);
}

static void what_all_answers_keep_has_a_limit_in_sum(void **state)
{
    (void)state;
    enum { N = TL_SERVER_PENDING_SUM / TL_SERVER_PENDING_MAX };
    static const uint8_t bytes[TL_SERVER_PENDING_MAX - 1024]; /* and a head */
    for (unsigned n = N - 1; n <= N + 1; n++) {
        server_scene s;
        tl_server_policy policy = {2 * N, BODY_IDLE};
        job *j;
        server_scene_init(&s);
        tl_server_set_policy(s.server, &policy);
        for (unsigned i = 0; i < n; i++) {
            s.peer = (uint8_t)(10 + i / 8); /* each has its share */
            tl_quic_stream *stream = server_scene_running(&s, &j);
            stream->room = 0;
            job_head(j);
            job_body(j, tl_slice_of(bytes, i < N ? sizeof bytes : sizeof bytes / 2));
            assert_int_equal(j->paused, i >= N);
            if (i < N)
                continue;
            stream->room = 1024; /* a little is read: it goes on only when the sum is less again */
            ((tl_stream_owner *)stream->user)->on_writable(stream->user);
            assert_true(j->paused);
            stream->room = sizeof bytes;
            ((tl_stream_owner *)stream->user)->on_writable(stream->user);
            assert_false(j->paused);
        }
        server_scene_clear(&s);
    }
}

static void a_failure_travels_under_one_of_the_eight_codes(void **state)
{
    (void)state;
    static const struct {
        tl_fail fail;
        const char *code, *detail;
    } rows[] = {
        {TL_FAIL_MODEL_NOT_LOADED, "model_not_loaded", ""},
        {TL_FAIL_QUEUE_FULL, "queue_full", ""},
        {TL_FAIL_TIMEOUT, "timeout", ""},
        {TL_FAIL_PAYMENT_REQUIRED, "payment_required", ""},
        {TL_FAIL_NO_PROVIDER, "unavailable", "no_provider"},
        {TL_FAIL_PEER_FAILED, "internal_error", "peer_failed"},
        {TL_FAIL_BACKEND_UNREACHABLE, "unavailable", "backend_unreachable"},
        {TL_FAIL_BACKEND_AUTH, "internal_error", "backend_auth"},
        {TL_FAIL_BACKEND_ERROR, "internal_error", "backend_error"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        server_scene s;
        job *j;
        server_scene_init(&s);
        tl_quic_stream *stream = server_scene_running(&s, &j);
        job_fail(j, rows[i].fail, "so it is");
        server_scene_check_error(stream, rows[i].code, rows[i].detail);
        assert_int_equal(s.done, rows[i].fail);
        assert_int_equal(tl_server_counters_of(s.server)->failed, 1);
        server_scene_over(stream);
        assert_int_equal(tl_server_counters_of(s.server)->cancelled, 0);
        server_scene_clear(&s);
    }
}

static void a_backend_without_memory_makes_the_node_unavailable(void **state)
{
    (void)state;
    server_scene s;
    server_scene_init(&s);
    s.ask_err = TL_ERR_NOMEM;
    tl_quic_stream *stream = server_scene_ask(&s, QUESTION, true);
    server_scene_check_error(stream, "unavailable", "");
    assert_int_equal(tl_server_counters_of(s.server)->failed, 1);
    assert_int_equal(s.n_jobs, 0);
    server_scene_over(stream);
    server_scene_clear(&s);
}

/* --- refusals --- */

static void who_asks_beyond_its_share_is_refused_and_others_are_not(void **state)
{
    (void)state;
    server_scene s;
    tl_server_policy policy = {16, BODY_IDLE};
    server_scene_init(&s);
    tl_server_set_policy(s.server, &policy);
    tl_quic_stream *first = server_scene_ask(&s, "x", false);
    for (int i = 1; i < 4; i++)
        assert_int_equal(server_scene_ask(&s, "x", false)->out.len, 0);
    server_scene_check_error(server_scene_ask(&s, "x", false), "queue_full", "");
    s.peer = PEER + 1;
    assert_int_equal(server_scene_ask(&s, "x", false)->out.len, 0);
    s.peer = PEER;
    fake_resets(first); /* its place is free again */
    assert_int_equal(server_scene_ask(&s, "x", false)->out.len, 0);
    server_scene_check_error(server_scene_ask(&s, "x", false), "queue_full", "");

    s.peer = PEER + 2; /* one that was served has half of the places */
    policy.running_max = 64;
    tl_server_set_policy(s.server, &policy);
    job *j;
    tl_quic_stream *whole = server_scene_running(&s, &j);
    job_head(j);
    job_end(j, (tl_answer_end){0, 0});
    server_scene_over(whole);
    for (int i = 0; i < 32; i++)
        assert_int_equal(server_scene_ask(&s, "x", false)->out.len, 0);
    server_scene_check_error(server_scene_ask(&s, "x", false), "queue_full", "");
    server_scene_clear(&s);
}

static void instant_resets_do_not_reach_the_backend_for_long(void **state)
{
    (void)state;
    for (int resets = 0; resets < 2; resets++) {
        server_scene s;
        server_scene_init(&s);
        unsigned reached = 0;
        for (int i = 0; i < 750; i++) { /* in a second */
            tl_quic_stream *stream = server_scene_ask(&s, QUESTION, true);
            job *j = s.n_jobs ? &s.jobs[s.n_jobs - 1] : NULL;
            reached += s.n_jobs;
            if (s.n_jobs && !resets) {
                job_head(j);
                job_end(j, (tl_answer_end){0, 0});
                server_scene_over(stream);
            } else {
                fake_resets(stream);
            }
            server_scene_forget(&s);
            server_scene_pass(&s, TL_SEC / 750);
        }
        if (resets)
            assert_int_equal(reached, 128 + 7);
        else
            assert_int_equal(reached, 750); /* the twin lets them be answered */
        server_scene_clear(&s);
    }
}

static void refused_requests_hold_no_place(void **state)
{
    (void)state;
    server_scene s;
    server_scene_init(&s);
    for (int i = 0; i < 40; i++) { /* without an end: they stand until their deadline */
        tl_quic_stream *stream = server_scene_open(&s);
        fake_lay_text(stream, TL_FRAME_MESSAGE, REQUEST_FOR("none"));
        fake_arrives(stream);
        assert_false(stream->reset);
    }
    assert_int_equal(tl_server_running(s.server), 0);
    job *j;
    (void)server_scene_running(&s, &j); /* of the same peer, too */
    server_scene_pass(&s, TL_SERVER_REFUSED_WITHIN);
    for (int i = 0; i < 40; i++)
        server_scene_check_reset(s.streams[i], TL_CODE_CANCELLED);
    server_scene_clear(&s);
}

static void who_may_not_ask_is_refused_with_the_reason(void **state)
{
    (void)state;
    static const struct {
        tl_access access;
        const char *model, *code; /* NULL: taken */
    } rows[] = {
        {{.share_public = true, .sharing = true, .running = true}, "m", NULL},
        {{.share_public = true, .sharing = true, .running = true}, "n", "model_not_loaded"},
        {{.share_public = true, .sharing = false, .running = true}, "m", "model_not_loaded"},
        {{.share_public = true, .sharing = true, .running = false}, "m", "unavailable"},
        {{.sharing = true, .running = true}, "m", "forbidden"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        server_scene s;
        server_scene_init(&s);
        s.access = rows[i].access;
        tl_quic_stream *stream = server_scene_open(&s);
        fake_lay_text(stream, TL_FRAME_MESSAGE,
                      rows[i].model[0] == 'm' ? REQUEST : REQUEST_FOR("n"));
        fake_lay_text(stream, TL_FRAME_BODY, QUESTION);
        fake_ends(stream);
        assert_int_equal(s.n_jobs, rows[i].code == NULL);
        assert_int_equal(tl_server_counters_of(s.server)->refused, rows[i].code != NULL);
        if (rows[i].code) {
            server_scene_check_error(stream, rows[i].code, "");
            server_scene_over(stream);
        }
        server_scene_clear(&s);
    }
}

#define FORM "--x\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nm\r\n--x--\r\n"

static bool takes_form(const char *path)
{
    const tl_ask_path *p = tl_ask_path_find(tl_slice_str(path));
    return p && p->body == TL_ASK_PATH_FORM;
}

static void only_listed_paths_reach_the_backend(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        bool taken;
    } rows[] = {
        {"/v1/chat/completions", true},
        {"/v1/completions", true},
        {"/v1/embeddings", true},
        {"/v1/responses", true},
        {"/v1/audio/speech", true},
        {"/v1/audio/transcriptions", true},
        {"/v1/audio/translations", true},
        {"/v1/images/generations", true},
        {"/v1/images/edits", true},
        {"/v1/images/variations", true},
        {"/v1/rerank", true},
        {"/rerank", true},
        {"/api/pull", false},
        {"/v1/models", false},
        {"/v1/responses/x", false},
        {"/v1/rerank?x", false},
        {"/v1/chat/completions/", false},
        {"/v1/../api/pull", false},
        {"/v1/load_lora_adapter", false},
        {"/", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char request[400];
        server_scene s;
        server_scene_init(&s);
        tl_quic_stream *stream = server_scene_open(&s);
        snprintf(request, sizeof request,
                 "{\"inferenceRequest\":{\"requestID\":\"r1\",\"model\":\"m\",\"streaming\":true,"
                 "\"path\":\"%s\",\"contentType\":\"%s\"}}",
                 rows[i].path,
                 takes_form(rows[i].path) ? "multipart/form-data; boundary=x" : "application/json");
        fake_lay_text(stream, TL_FRAME_MESSAGE, request);
        fake_lay_text(stream, TL_FRAME_BODY, takes_form(rows[i].path) ? FORM : QUESTION);
        fake_ends(stream);
        assert_int_equal(s.n_jobs, rows[i].taken);
        if (!rows[i].taken) {
            server_scene_check_error(stream, "forbidden", "");
            server_scene_over(stream);
        }
        server_scene_clear(&s);
    }
}

static void more_requests_than_allowed_at_once_are_refused(void **state)
{
    (void)state;
    server_scene s;
    job *j;
    server_scene_init(&s);
    tl_quic_stream *silent = server_scene_open(&s); /* says nothing: holds no place */
    tl_quic_stream *first = server_scene_running(&s, &j);
    tl_quic_stream *second = server_scene_ask(&s, "{", false); /* only being read: holds one */
    tl_quic_stream *third = server_scene_ask(&s, QUESTION, true);
    assert_int_equal(tl_server_running(s.server), RUNNING_MAX);
    assert_int_equal(third->out.len, 0);
    tl_quic_stream *fourth = server_scene_ask(&s, QUESTION, true);
    server_scene_check_error(fourth, "queue_full", "");
    assert_int_equal(tl_server_running(s.server), RUNNING_MAX); /* nor does a refused one */
    job_end(j, (tl_answer_end){0, 0});
    tl_quic_stream *fifth = server_scene_ask(&s, QUESTION, true);
    server_scene_check_error(fifth, "queue_full", ""); /* the answer is on its way still */
    server_scene_over(first);
    assert_int_equal(tl_server_running(s.server), RUNNING_MAX - 1);
    tl_quic_stream *sixth = server_scene_ask(&s, QUESTION, true);
    assert_int_equal(sixth->out.len, 0);
    assert_int_equal(s.n_jobs, 3);
    fake_resets(second); /* each leaves its place */
    fake_resets(third);
    assert_int_equal(tl_server_running(s.server), 1);
    fake_resets(sixth);
    fake_resets(silent);
    assert_int_equal(tl_server_running(s.server), 0);
    assert_false(tl_server_is_idle(s.server)); /* two refused ones have not left */
    server_scene_over(fourth);
    server_scene_over(fifth);
    assert_true(tl_server_is_idle(s.server));

    tl_server_policy none = {0, BODY_IDLE};
    tl_server_set_policy(s.server, &none);
    server_scene_check_error(server_scene_ask(&s, QUESTION, true), "queue_full", "");
    server_scene_clear(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_reaches_the_backend_in_whatever_pieces_it_comes),
        cmocka_unit_test(an_answer_goes_back_as_head_body_and_end),
        cmocka_unit_test(a_question_that_waits_tells_its_place_and_a_full_queue_when_to_ask_again),
        cmocka_unit_test(a_peer_that_wants_it_is_told_every_two_seconds_that_the_backend_works),
        cmocka_unit_test(nothing_of_it_piles_up_for_a_peer_that_does_not_read),
        cmocka_unit_test(a_question_that_is_over_or_has_failed_is_not_worked_at),
        cmocka_unit_test(a_large_piece_of_an_answer_is_sent_in_frames),
        cmocka_unit_test(a_slow_peer_pauses_the_backend_until_it_takes_more),
        cmocka_unit_test(what_all_answers_keep_has_a_limit_in_sum),
        cmocka_unit_test(who_asks_beyond_its_share_is_refused_and_others_are_not),
        cmocka_unit_test(instant_resets_do_not_reach_the_backend_for_long),
        cmocka_unit_test(refused_requests_hold_no_place),
        cmocka_unit_test(a_failure_travels_under_one_of_the_eight_codes),
        cmocka_unit_test(a_backend_without_memory_makes_the_node_unavailable),
        cmocka_unit_test(who_may_not_ask_is_refused_with_the_reason),
        cmocka_unit_test(only_listed_paths_reach_the_backend),
        cmocka_unit_test(more_requests_than_allowed_at_once_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
