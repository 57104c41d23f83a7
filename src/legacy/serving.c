/* Questions of others. */
#include "legacy/state.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#define PIECE (64u << 10) /* so much of a model server's answer is turned into chunks at once */

/* --- the end of one --- */

static void give_place_back(tl_old_job *j, bool whole)
{
    tl_places *places = j->legacy->config.places;
    if (!j->guest)
        return;
    tl_places_discharge(places, j->guest, j->charged);
    tl_places_leave(places, j->guest, whole);
    j->guest = NULL;
}

/* The backend is done with it, or is told that nobody wants the answer. */
static void over(tl_old_job *j, bool whole)
{
    tl_exchange *x = j->exchange;
    if (j->session) {
        j->session->used_at = tl_legacy_now(j->legacy);
        j->session->jobs--;
    }
    j->exchange = NULL;
    j->session = NULL;
    give_place_back(j, whole);
    if (x)
        tl_exchange_cancel(x);
    tl_legacy_look(j->legacy);
}

static void done(tl_old_job *j, tl_fail fail, const tl_answer_end *end)
{
    const tl_server_backend *b = &j->legacy->world.backend;
    b->on_done(j->legacy->user, &j->ask, fail, end);
}

/* The old protocol knows six codes. */
static const char *code_of(tl_fail f)
{
    switch (f) {
    case TL_FAIL_MODEL_NOT_LOADED:
    case TL_FAIL_QUEUE_FULL:
    case TL_FAIL_UNAVAILABLE:
    case TL_FAIL_INTERNAL:
    case TL_FAIL_TIMEOUT:
    case TL_FAIL_CANCELLED: return tl_fail_name(f);
    case TL_FAIL_FORBIDDEN:
    case TL_FAIL_PAYMENT_REQUIRED:
    case TL_FAIL_NO_PROVIDER:
    case TL_FAIL_BACKEND_UNREACHABLE: return tl_fail_name(TL_FAIL_UNAVAILABLE);
    default: return tl_fail_name(TL_FAIL_INTERNAL);
    }
}

static void say_error(tl_old_session *s, const char *id, tl_fail f, const char *words)
{
    tl_buf message = {0};
    tl_err e = tl_legacy_write_error(&message, id, code_of(f), words[0] ? words : tl_fail_name(f));
    tl_old_session_say(s, &message, e);
}

static void fail_job(tl_old_job *j, tl_fail f, const char *words)
{
    tl_old_session *s = j->session;
    tl_answer_end seen = tl_usage_end(&j->usage);
    j->legacy->counters.serve_failed++;
    over(j, false);
    say_error(s, j->id, f, words);
    done(j, f, &seen);
}

/* --- the backend's answer --- */

/* Every chunk that is there. False: the job is over. */
static bool say_chunks(tl_old_job *j, bool end)
{
    static const tl_fail by_status[] = {TL_FAIL_MODEL_NOT_LOADED, TL_FAIL_QUEUE_FULL,
                                        TL_FAIL_INTERNAL};
    json_t *chunk;
    tl_err e;
    while (!(e = tl_legacy_feed_next(&j->feed, end, &chunk))) {
        tl_buf message = {0};
        tl_err bad = tl_legacy_write_chunk(&message, j->id, chunk);
        json_decref(chunk);
        tl_old_session_say(j->session, &message, bad);
        if (!j->session)
            return false; /* out of memory: the session has ended */
    }
    if (e == TL_ERR_SHORT)
        return true;
    if (e == TL_ERR_CLOSED)
        fail_job(j,
                 by_status[j->feed.status == 404   ? 0
                           : j->feed.status == 429 ? 1
                                                   : 2],
                 j->feed.words[0] ? j->feed.words : "the model server refused the request");
    else
        fail_job(j, TL_FAIL_BACKEND_ERROR, "the model server's answer is no chat answer");
    return false;
}

static void on_head(void *user, const tl_answer_head *head)
{
    tl_old_job *j = user;
    const tl_env *env = &j->legacy->config.env;
    j->feed =
        tl_legacy_feed_new(head->status, head->content_type, j->ask.model, env->wall(env->user));
    tl_usage_init(&j->usage, head->content_type);
}

static void hold_back_if_full(tl_old_job *j)
{
    if (!tl_old_session_is_full(j->session))
        return;
    j->paused = j->session->holds_back = true;
    tl_legacy_due(j->legacy, j->session->moved_at + TL_SERVER_STALL_MAX);
    tl_exchange_set_paused(j->exchange, true);
}

static void on_body(void *user, tl_slice bytes)
{
    tl_old_job *j = user;
    assert(!j->paused && j->session);
    tl_usage_observe(&j->usage, bytes);
    while (bytes.n) {
        tl_slice now = tl_slice_of(bytes.p, bytes.n < PIECE ? bytes.n : PIECE);
        tl_err e = tl_legacy_feed_put(&j->feed, now);
        if (e) {
            fail_job(j, TL_FAIL_BACKEND_ERROR, "the model server's answer is too long for a chat");
            return;
        }
        if (!say_chunks(j, false))
            return;
        bytes = tl_slice_of(bytes.p + now.n, bytes.n - now.n);
    }
    hold_back_if_full(j);
}

static void on_end(void *user, const tl_answer_end *end)
{
    tl_old_job *j = user;
    tl_legacy_counters *c = &j->legacy->counters;
    tl_buf message = {0};
    j->exchange = NULL;
    if (!say_chunks(j, true))
        return;
    tl_answer_end seen = tl_usage_end(&j->usage), told = *end;
    told.tokens_in = told.tokens_in ? told.tokens_in : seen.tokens_in;
    told.tokens_out = told.tokens_out ? told.tokens_out : seen.tokens_out;
    tl_err e = tl_legacy_write_complete(&message, j->id, told.tokens_in, told.tokens_out);
    tl_old_session *s = j->session;
    c->served++;
    c->tokens_in += told.tokens_in;
    c->tokens_out += told.tokens_out;
    over(j, true);
    tl_old_session_say(s, &message, e);
    done(j, TL_FAIL_COUNT, &told);
}

static void on_fail(void *user, const tl_failure *failure)
{
    tl_old_job *j = user;
    j->exchange = NULL;
    fail_job(j, failure->fail, failure->message);
}

static const tl_exchange_sink sink = {on_head, on_body, on_end, on_fail, NULL};

/* --- the request --- */

/* The model that is asked for, as the model server names it; where none is named, the first that is
 * shared, as the old programs do it. "" = it is not served. */
static void take_model(tl_legacy *l, const json_t *request, char ret[TL_MODEL_MAX])
{
    const json_t *named = json_object_get(request, "model");
    json_t *models = !named || json_is_null(named) ? l->world.models(l->user) : NULL;
    if (models)
        named = json_array_get(models, 0);
    const char *model = json_is_string(named) ? json_string_value(named) : "";
    const char *served = l->world.backend.serves(l->user, model);
    snprintf(ret, TL_MODEL_MAX, "%s", served ? served : "");
    json_decref(models);
}

/* Some model servers read "Model" as "model", and take the last: what was admitted must be all that
 * they can read. */
static bool has_double(json_t *request)
{
    const char *key;
    json_t *value;
    json_object_foreach (request, key, value)
        if ((strcasecmp(key, "model") == 0 && strcmp(key, "model") != 0) ||
            (strcasecmp(key, "stream") == 0 && strcmp(key, "stream") != 0))
            return true;
    return false;
}

/* 32 hex digits of a UUID; of another ID, as many of its characters. */
static void take_id(const char *id, char ret[33])
{
    size_t n = 0;
    for (; *id && n < 32; id++)
        if (*id != '-')
            ret[n++] = *id;
    ret[n] = 0;
}

/* The request as the model server gets it: it always streams, and names the model as the server does. */
static tl_err write_body(const tl_old_job *j, json_t *request, tl_buf *ret_body)
{
    if (json_object_set_new(request, "stream", json_true()) ||
        json_object_set_new(request, "model", json_string(j->ask.model)))
        return TL_ERR_NOMEM;
    return tl_json_write(ret_body, request);
}

static void ask_backend(tl_old_job *j, json_t *request)
{
    tl_legacy *l = j->legacy;
    const tl_server_backend *b = &l->world.backend;
    const char *why = "this node is out of memory";
    tl_buf body = {0};
    tl_err e = write_body(j, request, &body);
    const char *refused = e ? NULL : tl_places_charge(l->config.places, j->guest, body.len);
    if (!e && !refused) {
        j->charged = body.len;
        j->ask.body = tl_buf_slice(&body);
        e = b->ask(l->user, &j->ask, &sink, j, &j->exchange);
        j->ask.body = tl_slice_of(NULL, 0);
    }
    tl_buf_clear(&body);
    if (e || refused)
        fail_job(j, refused ? TL_FAIL_QUEUE_FULL : TL_FAIL_UNAVAILABLE, refused ? refused : why);
}

/* Nothing proves who asks, so nobody would pay. */
static bool has_price(const tl_old_job *j)
{
    const tl_server_backend *b = &j->legacy->world.backend;
    int64_t version;
    return j->ask.model[0] && b->price && b->price(j->legacy->user, &j->ask, &version) > 0;
}

void tl_old_job_begin(tl_old_session *s, const tl_legacy_message *m)
{
    tl_legacy *l = s->legacy;
    if (has_double(m->body)) {
        l->counters.refused++;
        say_error(s, m->id, TL_FAIL_UNAVAILABLE,
                  "\"model\" and \"stream\" are written in small letters alone");
        return;
    }
    tl_old_job *j = calloc(1, sizeof *j);
    if (!j)
        return;
    *j = (tl_old_job){.legacy = l, .session = s};
    memcpy(j->id, m->id, sizeof j->id);
    j->ask = (tl_ask){.streaming = true,
                      .path = "/v1/chat/completions",
                      .content_type = "application/json",
                      .from_peer = true,
                      .requester = s->peer};
    take_id(m->id, j->ask.id);
    take_model(l, m->body, j->ask.model);
    if (has_price(j)) {
        l->counters.refused++;
        free(j);
        say_error(s, m->id, TL_FAIL_PAYMENT_REQUIRED,
                  "this node asks a price, on which nobody can agree by the old protocol");
        return;
    }
    const char *why;
    tl_question_of who = {
        .peer = &s->peer, .in_clear = true, .path = j->ask.path, .served = j->ask.model[0] != 0};
    tl_fail f = tl_places_enter(l->config.places, &who, tl_legacy_now(l), &j->guest, &why);
    if (f != TL_FAIL_COUNT) {
        l->counters.refused++;
        free(j);
        say_error(s, m->id, f, why);
        return;
    }
    DL_APPEND(l->jobs, j);
    s->jobs++;
    ask_backend(j, m->body);
}

/* --- on a session --- */

void tl_old_jobs_ended(tl_old_session *s)
{
    tl_old_job *j;
    DL_FOREACH (s->legacy->jobs, j)
        if (j->session == s) {
            s->legacy->counters.cancelled++;
            over(j, false);
        }
}

void tl_old_jobs_go_on(tl_old_session *s)
{
    tl_old_job *j;
    if (tl_old_session_is_full(s))
        return;
    s->holds_back = false;
    DL_FOREACH (s->legacy->jobs, j)
        if (j->session == s && j->paused) {
            j->paused = false;
            tl_exchange_set_paused(j->exchange, false);
        }
}

static void free_job(tl_old_job *j)
{
    DL_DELETE(j->legacy->jobs, j);
    tl_legacy_feed_clear(&j->feed);
    free(j);
}

void tl_old_jobs_reap(tl_legacy *l)
{
    tl_old_job *j, *next;
    DL_FOREACH_SAFE (l->jobs, j, next)
        if (!j->session)
            free_job(j);
}

void tl_old_jobs_free(tl_legacy *l)
{
    while (l->jobs)
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what was freed left its list */
        free_job(l->jobs);
}
