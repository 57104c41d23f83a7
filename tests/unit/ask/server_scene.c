#include "server_scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* --- the backend --- */

static const char *serves(void *user, const char *model)
{
    (void)user;
    if (strcmp(model, "l") == 0)
        return "l:latest";
    return strcmp(model, "m") == 0 ? "m" : NULL;
}

static void cancel(tl_exchange *x)
{
    job *j = (job *)x;
    assert_false(j->over);
    j->over = j->cancelled = true;
}

static void set_paused(tl_exchange *x, bool on)
{
    job *j = (job *)x;
    assert_false(j->over);
    assert_true(j->paused != on);
    j->paused = on;
}

static tl_progress progress(const tl_exchange *x)
{
    return ((const job *)x)->progress;
}

static tl_err ask_model_server(void *user, const tl_ask *ask, const tl_exchange_sink *sink,
                               void *sink_user, tl_exchange **ret_exchange)
{
    server_scene *s = user;
    tl_err e = s->ask_err;
    s->ask_err = TL_OK;
    if (e)
        return e;
    assert_in_range(s->n_jobs, 0, 159);
    job *j = &s->jobs[s->n_jobs++];
    *j = (job){{cancel, set_paused, progress}, .sink = *sink, .user = sink_user, .ask = *ask};
    assert_int_equal(tl_buf_append(&j->body, ask->body), TL_OK);
    j->ask.body = tl_slice_of(NULL, 0);
    *ret_exchange = &j->exchange;
    return TL_OK;
}

static tl_err ask_backend(void *user, const tl_ask *ask, const tl_exchange_sink *sink,
                          void *sink_user, tl_exchange **ret_exchange)
{
    server_scene *s = user;
    return s->slots ? tl_slots_ask(s->slots, ask, sink, sink_user, ret_exchange)
                    : ask_model_server(s, ask, sink, sink_user, ret_exchange);
}

static void on_done(void *user, const tl_ask *ask, tl_fail fail, const tl_answer_end *end)
{
    server_scene *s = user;
    assert_string_equal(ask->id, "r1");
    assert_int_equal(ask->body.n, 0); /* it is gone */
    s->dones++;
    s->done = fail;
    s->done_end = *end;
}

void job_head(job *j)
{
    tl_answer_head head = {.status = 200, .content_type = "text/event-stream", .retry_after = "7"};
    j->sink.on_head(j->user, &head);
}

void job_body(job *j, tl_slice bytes)
{
    assert_false(j->paused);
    j->sink.on_body(j->user, bytes);
}

void job_body_until_paused(job *j)
{
    static const uint8_t bytes[64 << 10];
    size_t n = 0;
    for (; !j->paused; n += sizeof bytes)
        job_body(j, tl_slice_of(bytes, sizeof bytes));
    assert_in_range(n, TL_SERVER_PENDING_MAX, TL_SERVER_PENDING_MAX + sizeof bytes);
}

void job_end(job *j, tl_answer_end end)
{
    j->over = true;
    j->sink.on_end(j->user, &end);
}

void job_fail(job *j, tl_fail fail, const char *message)
{
    j->over = true;
    j->sink.on_fail(j->user, &(tl_failure){.fail = fail, .message = message});
}

static int64_t price_of(void *user, const tl_ask *ask, int64_t *ret_version)
{
    const server_scene *s = user;
    assert_true(ask->model[0]);
    *ret_version = s->version;
    return s->price;
}

/* --- the scene --- */

void server_scene_init(server_scene *s)
{
    static const tl_server_backend backend = {serves, ask_backend, on_done, price_of};
    tl_server_policy policy = {RUNNING_MAX, BODY_IDLE};
    *s = (server_scene){.env = {.now = 1000 * TL_SEC},
                        .peer = PEER,
                        .access = {.share_public = true, .sharing = true, .running = true}};
    s->clock = fake_env_of(&s->env);
    assert_int_equal(tl_server_new(&s->clock, &s->access, &policy, &backend, s, &s->server), TL_OK);
    assert_int_equal(tl_server_expiry(s->server), TL_NEVER);
    assert_true(tl_server_is_idle(s->server));
}

void server_scene_join(server_scene *s, tl_role ours)
{
    members_init(&s->members, ours);
    s->access.book = s->members.book;
    s->access.env = &s->clock;
}

void server_scene_queue(server_scene *s, unsigned slots)
{
    tl_slots_config config = {slots, 8, TL_NEVER};
    assert_int_equal(tl_slots_new(&s->clock, &config, ask_model_server, s, &s->slots), TL_OK);
}

void server_scene_forget(server_scene *s)
{
    for (size_t i = 0; i < s->n_jobs; i++) {
        assert_true(s->jobs[i].over);
        tl_buf_clear(&s->jobs[i].body);
    }
    for (size_t i = 0; i < s->n_streams; i++) {
        assert_null(s->streams[i]->user);
        fake_stream_free(s->streams[i]);
    }
    s->n_jobs = s->n_streams = 0;
}

void server_scene_clear(server_scene *s)
{
    tl_server_free(s->server);
    tl_slots_free(s->slots);
    server_scene_forget(s);
    members_clear(&s->members);
}

tl_quic_stream *server_scene_open(server_scene *s)
{
    tl_node_id peer = {{s->peer}};
    assert_in_range(s->n_streams, 0, 159);
    tl_quic_stream *stream = s->streams[s->n_streams++] = fake_stream_new();
    tl_server_on_stream(s->server, &peer, stream);
    assert_non_null(stream->user);
    return stream;
}

tl_quic_stream *server_scene_ask(server_scene *s, const char *body, bool whole)
{
    tl_quic_stream *stream = server_scene_open(s);
    fake_lay_text(stream, TL_FRAME_MESSAGE, REQUEST);
    fake_lay_text(stream, TL_FRAME_BODY, body);
    if (whole)
        fake_ends(stream);
    else
        fake_arrives(stream);
    return stream;
}

tl_quic_stream *server_scene_ask_with(server_scene *s, const char *fields)
{
    char text[512];
    tl_quic_stream *stream = server_scene_open(s);
    snprintf(text, sizeof text,
             "{\"inferenceRequest\":{\"requestID\":\"r1\",\"model\":\"m\",\"streaming\":true,"
             "\"path\":\"/v1/chat/completions\",\"contentType\":\"application/json\"%s}}",
             fields);
    fake_lay_text(stream, TL_FRAME_MESSAGE, text);
    fake_lay_text(stream, TL_FRAME_BODY, QUESTION);
    fake_ends(stream);
    return stream;
}

tl_quic_stream *server_scene_running(server_scene *s, job **ret_job)
{
    tl_quic_stream *stream = server_scene_ask(s, QUESTION, true);
    assert_int_equal(stream->out.len, 0);
    *ret_job = &s->jobs[s->n_jobs - 1];
    assert_false((*ret_job)->over);
    return stream;
}

void server_scene_pass(server_scene *s, tl_time time)
{
    s->env.now += time;
    if (s->env.now >= tl_server_expiry(s->server))
        tl_server_on_timer(s->server);
}

void server_scene_over(tl_quic_stream *stream)
{
    assert_true(stream->out_fin && !stream->reset);
    fake_closes(stream, "both sides are done");
    stream->user = NULL;
}

void server_scene_check_error(tl_quic_stream *stream, const char *code, const char *detail)
{
    size_t at = 0;
    tl_cluster_message m;
    fake_next_message(stream, &at, TL_CLUSTER_ERROR, &m);
    assert_string_equal(m.u.error.id, "r1");
    assert_string_equal(m.u.error.code, code);
    assert_string_equal(m.u.error.detail, detail);
    assert_true(m.u.error.message[0]);
    assert_int_equal(at, stream->out.len);
    assert_true(stream->out_fin);
    assert_false(stream->reset);
    assert_int_equal(stream->in.len, 0); /* what came behind the refused is consumed */
}

void server_scene_check_reset(const tl_quic_stream *stream, uint64_t code)
{
    assert_true(stream->reset);
    assert_int_equal(stream->code, code);
    assert_null(stream->user);
}
