#include "legacy_scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

/* --- the relay --- */

static tl_err open_session(void *user, const tl_node_id *peer, tl_path_id *ret_path)
{
    legacy_scene *s = user;
    (void)peer;
    if (s->open_err)
        return s->open_err;
    *ret_path = s->next_path++;
    return TL_OK;
}

static void close_session(void *user, tl_path_id path)
{
    legacy_scene *s = user;
    assert_true(s->n_closed < sizeof s->closed / sizeof *s->closed);
    s->closed[s->n_closed++] = path;
}

static tl_err send_text(void *user, tl_path_id path, tl_slice text)
{
    legacy_scene *s = user;
    if (s->full)
        return TL_ERR_BUSY;
    assert_false(legacy_is_closed(s, path));
    assert_true(s->n_said < sizeof s->said / sizeof *s->said);
    said_message *m = &s->said[s->n_said++];
    m->path = path;
    assert_int_equal(tl_legacy_parse(text, &m->message), TL_OK);
    assert_non_null(memmem(text.p, text.n, "{\"_0\":", 6));
    return TL_OK;
}

static json_t *models(void *user)
{
    (void)user;
    return json_pack("[s]", "m");
}

static json_t *hardware(void *user)
{
    (void)user;
    return json_object();
}

/* --- the model server --- */

static const char *serves(void *user, const char *model)
{
    (void)user;
    return strcmp(model, "m") == 0 ? "m" : NULL;
}

static void cancel(tl_exchange *x)
{
    legacy_job *j = (legacy_job *)x;
    assert_false(j->over);
    j->over = j->cancelled = true;
}

static void set_paused(tl_exchange *x, bool on)
{
    legacy_job *j = (legacy_job *)x;
    assert_false(j->over);
    j->paused = on;
}

static int64_t price(void *user, const tl_ask *ask, int64_t *ret_version)
{
    (void)ask;
    *ret_version = 1;
    return ((legacy_scene *)user)->price;
}

static tl_err ask_backend(void *user, const tl_ask *ask, const tl_exchange_sink *sink,
                          void *sink_user, tl_exchange **ret_exchange)
{
    legacy_scene *s = user;
    if (s->ask_err)
        return s->ask_err;
    assert_true(s->n_jobs < sizeof s->jobs / sizeof *s->jobs);
    legacy_job *j = &s->jobs[s->n_jobs++];
    *j = (legacy_job){
        .exchange = {cancel, set_paused}, .sink = *sink, .user = sink_user, .ask = *ask};
    snprintf(j->body, sizeof j->body, "%.*s", (int)ask->body.n, (const char *)ask->body.p);
    *ret_exchange = &j->exchange;
    return TL_OK;
}

static void on_done(void *user, const tl_ask *ask, tl_fail fail, const tl_answer_end *end)
{
    legacy_scene *s = user;
    (void)ask, (void)end;
    s->dones++;
    s->done = fail;
}

void legacy_job_status(legacy_job *j, int status, const char *content_type)
{
    tl_answer_head head = {.status = status};
    snprintf(head.content_type, sizeof head.content_type, "%s", content_type);
    j->sink.on_head(j->user, &head);
}

void legacy_job_head(legacy_job *j, const char *content_type)
{
    legacy_job_status(j, 200, content_type);
}

void legacy_job_body(legacy_job *j, const char *text)
{
    assert_false(j->paused);
    j->sink.on_body(j->user, tl_slice_str(text));
}

void legacy_job_end(legacy_job *j)
{
    tl_answer_end end = {0};
    j->over = true;
    j->sink.on_end(j->user, &end);
}

void legacy_job_fail(legacy_job *j, tl_fail f, const char *words)
{
    j->over = true;
    j->sink.on_fail(j->user, &(tl_failure){.fail = f, .message = words});
}

/* --- the scene --- */

tl_node_id legacy_peer(unsigned who)
{
    return (tl_node_id){{(uint8_t)who, (uint8_t)(who >> 8)}};
}

void legacy_scene_init(legacy_scene *s)
{
    static const tl_legacy_world world = {open_session, close_session,
                                          send_text,    models,
                                          hardware,     {serves, ask_backend, on_done, price}};
    static const tl_legacy_times times = {10 * TL_SEC, 300 * TL_SEC, 120 * TL_SEC};
    memset(s, 0, sizeof *s);
    s->env.now = 1000 * TL_SEC;
    s->access = (tl_access){
        .share_public = true, .ask_any = true, .sharing = true, .in_clear = true, .running = true};
    s->places = tl_places_new(&s->access, s->env.now);
    s->places.running_max = 16;
    s->next_path = 1;
    tl_legacy_config config = {.own = legacy_peer(1),
                               .name = "me",
                               .env = fake_env_of(&s->env),
                               .access = &s->access,
                               .places = &s->places};
    assert_int_equal(tl_legacy_new(&config, &times, &world, s, &s->legacy), TL_OK);
}

void legacy_scene_clear(legacy_scene *s)
{
    tl_legacy_free(s->legacy);
    /* Nothing is left of anybody's question. */
    assert_int_equal(s->places.running, 0);
    assert_int_equal(s->places.pending, 0);
    assert_int_equal(s->places.bodies, 0);
    for (size_t i = 0; i < s->n_jobs; i++)
        assert_true(s->jobs[i].over);
    for (size_t i = 0; i < s->n_said; i++)
        tl_legacy_message_clear(&s->said[i].message);
    tl_places_clear(&s->places);
}

void legacy_run(legacy_scene *s)
{
    do {
        s->env.wakes = 0;
        tl_legacy_run(s->legacy);
    } while (s->env.wakes);
}

void legacy_pass(legacy_scene *s, tl_time time)
{
    tl_time until = s->env.now + time;
    for (tl_time at; (at = tl_legacy_expiry(s->legacy)) <= until;) {
        s->env.now = tl_time_max(s->env.now, at);
        tl_legacy_on_timer(s->legacy);
        legacy_run(s);
        assert_true(tl_legacy_expiry(s->legacy) > s->env.now);
    }
    s->env.now = until;
}

void legacy_ask(legacy_scene *s, listener *l, unsigned who, char id, bool streaming,
                const char *body)
{
    tl_ask ask = {.id = "00112233445566778899aabbccddeeff",
                  .model = "m",
                  .streaming = streaming,
                  .path = "/v1/chat/completions",
                  .body = tl_slice_str(body),
                  .has_peer = true,
                  .peer = legacy_peer(who)};
    ask.id[0] = id;
    listener_quiet = true;
    assert_int_equal(tl_legacy_ask(s->legacy, &ask, &listener_sink, l, &l->exchange), TL_OK);
    listener_quiet = false;
    legacy_run(s);
}

tl_path_id legacy_accept(legacy_scene *s, unsigned who)
{
    tl_node_id peer = legacy_peer(who);
    tl_path_id path = s->next_path++;
    tl_legacy_accept(s->legacy, path, &peer);
    return path;
}

void legacy_hear(legacy_scene *s, tl_path_id path, const char *text)
{
    tl_legacy_on_text(s->legacy, path, tl_slice_str(text));
    legacy_run(s);
}

void legacy_hear_request(legacy_scene *s, tl_path_id path, const char *id)
{
    char text[300];
    snprintf(text, sizeof text,
             "{\"inferenceRequest\":{\"_0\":{\"requestID\":\"%s\",\"streaming\":true,\"request\":{"
             "\"model\":\"m\",\"messages\":[]}}}}",
             id);
    legacy_hear(s, path, text);
}

bool legacy_is_closed(const legacy_scene *s, tl_path_id path)
{
    for (size_t i = 0; i < s->n_closed; i++)
        if (s->closed[i] == path)
            return true;
    return false;
}

unsigned legacy_said(const legacy_scene *s, tl_legacy_type type)
{
    unsigned n = 0;
    for (size_t i = 0; i < s->n_said; i++)
        n += s->said[i].message.type == type;
    return n;
}

const said_message *legacy_last(const legacy_scene *s)
{
    assert_true(s->n_said > 0);
    return &s->said[s->n_said - 1];
}
