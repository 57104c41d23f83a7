#include "backend/backend_exchange.h"

#include "ask/paths.h"
#include "ask/usage.h"
#include "base/json.h"
#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#define ERROR_BODY_MAX                                                                             \
    4096                          /* bytes kept of a failing server's body, to find its message in
                                     them */
#define ERROR_BODY_SILENCE TL_SEC /* the status is known: the rest is not worth a longer wait */
#define CONNECT_LIMIT      (10 * TL_SEC)

struct tl_backend_exchange_inside {
    tl_loop *loop;
    tl_exchange_sink sink;
    void *user;
    tl_http_request *request;
    tl_defer refusal;
    tl_usage usage;
    int status;
    bool counting;   /* the answer is text that may tell how many tokens were used */
    bool passing;    /* the head went to the sink; else `failure_body` collects the body */
    tl_fail failure; /* the reason of a refusal */
    const char *message;
    tl_buf failure_body;
};

/* --- the end --- */

static void over(tl_backend_exchange *x, const tl_fail *fail)
{
    struct tl_backend_exchange_inside *in = x->inside;
    if (x->on_over)
        x->on_over(x->owner, x, fail);
    tl_defer_cancel(in->loop, &in->refusal);
    if (in->request)
        tl_http_cancel(in->request);
    tl_buf_clear(&in->failure_body);
    free(in);
    free(x);
}

static void end_with(tl_backend_exchange *x, tl_fail fail, const char *message)
{
    tl_exchange_sink sink = x->inside->sink;
    void *user = x->inside->user;
    over(x, &fail);
    sink.on_fail(user, &(tl_failure){.fail = fail, .message = message});
}

void tl_backend_exchange_fail(tl_backend_exchange *x, tl_fail fail, const char *message)
{
    end_with(x, fail, message);
}

static void cancel(tl_exchange *handle)
{
    over((tl_backend_exchange *)handle, NULL);
}

static void set_paused(tl_exchange *handle, bool on)
{
    struct tl_backend_exchange_inside *in = ((tl_backend_exchange *)handle)->inside;
    if (in->request)
        tl_http_set_paused(in->request, on);
}

/* --- the answer --- */

/* Copies a value that is printable ASCII and fits, else `fallback`. It becomes a header of our
 * answer. */
static void copy_field(char *ret, size_t cap, const char *value, const char *fallback)
{
    size_t n = value ? strlen(value) : 0;
    bool ok = n > 0 && n < cap;
    for (size_t i = 0; ok && i < n; i++)
        ok = value[i] >= 0x20 && value[i] < 0x7f;
    snprintf(ret, cap, "%s", ok ? value : fallback);
}

static void on_head(void *user, int status, const tl_http_head *http_head)
{
    tl_backend_exchange *x = user;
    struct tl_backend_exchange_inside *in = x->inside;
    in->status = status;
    in->passing = tl_answer_status_passes(status);
    if (!in->passing) {
        /* If the sink paused, that was for its own body; this body is not for the sink. */
        tl_http_set_paused(in->request, false);
        tl_http_set_silence(in->request, ERROR_BODY_SILENCE);
        return;
    }
    tl_answer_head head = {.status = status, .via = TL_VIA_LOCAL};
    copy_field(head.content_type, sizeof head.content_type,
               tl_http_head_field(http_head, "Content-Type"), "application/octet-stream");
    copy_field(head.retry_after, sizeof head.retry_after,
               tl_http_head_field(http_head, "Retry-After"), "");
    in->counting = strncasecmp(head.content_type, "text/event-stream", 17) == 0 ||
                   strncasecmp(head.content_type, "application/json", 16) == 0;
    tl_usage_init(&in->usage, head.content_type);
    in->sink.on_head(in->user, &head);
}

/* Fails with words like "status 500: model requires more system memory", if the server says as
 * much. */
static void fail_by_status(tl_backend_exchange *x)
{
    struct tl_backend_exchange_inside *in = x->inside;
    char message[400];
    json_t *root = NULL;
    const char *text = "";
    if (tl_json_parse(tl_buf_slice(&in->failure_body), 16, &root, NULL) == TL_OK)
        text = tl_json_string(json_object_get(root, "error"), "message",
                              tl_json_string(root, "error", tl_json_string(root, "message", "")));
    if (in->status == 401 || in->status == 403)
        snprintf(message, sizeof message,
                 "the model server refuses its key (status %d; setting: backend_key_file)",
                 in->status);
    else
        snprintf(message, sizeof message, "the model server failed with status %d%s%s", in->status,
                 text[0] ? ": " : "", tl_log_safe(tl_slice_str(text)).text);
    json_decref(root);
    end_with(x,
             in->status == 401 || in->status == 403 ? TL_FAIL_BACKEND_AUTH : TL_FAIL_BACKEND_ERROR,
             message);
}

static void on_body(void *user, tl_slice bytes)
{
    tl_backend_exchange *x = user;
    struct tl_backend_exchange_inside *in = x->inside;
    if (in->passing) {
        if (in->counting)
            tl_usage_observe(&in->usage, bytes);
        in->sink.on_body(in->user, bytes); /* may cancel the exchange: do nothing after it */
        return;
    }
    size_t room = ERROR_BODY_MAX - in->failure_body.len;
    tl_slice take = {bytes.p, bytes.n < room ? bytes.n : room};
    if (tl_buf_append(&in->failure_body, take) != TL_OK || take.n == room)
        fail_by_status(x);
}

static void on_done(void *user, tl_err e, const char *why)
{
    tl_backend_exchange *x = user;
    struct tl_backend_exchange_inside *in = x->inside;
    in->request = NULL;
    if (e != TL_OK)
        tl_log(TL_LOG_DEBUG, "backend: %s (%s)", why, tl_err_name(e));
    if (in->status && !in->passing) {
        fail_by_status(x);
        return;
    }
    /* libcurl takes a 101 that nobody asked for as a whole answer, but the sink had no head. */
    if (e == TL_OK && !in->passing)
        e = TL_ERR_PROTO;
    switch (e) {
    case TL_OK: {
        tl_exchange_sink sink = in->sink;
        void *sink_user = in->user;
        tl_answer_end end = tl_usage_end(&in->usage);
        over(x, NULL);
        sink.on_end(sink_user, &end);
        return;
    }
    case TL_ERR_UNREACHABLE:
    case TL_ERR_AUTH: /* the server's certificate was refused */
        end_with(x, TL_FAIL_BACKEND_UNREACHABLE, "the model server cannot be reached");
        return;
    case TL_ERR_TIMEOUT:
        end_with(x, TL_FAIL_TIMEOUT,
                 in->passing ? "the model server fell silent in the middle of its answer"
                             : "the model server did not answer in time");
        return;
    case TL_ERR_NOMEM: end_with(x, TL_FAIL_INTERNAL, "out of memory"); return;
    case TL_ERR_CLOSED:
        end_with(x, TL_FAIL_BACKEND_ERROR,
                 in->passing ? "the model server broke off its answer"
                             : "the model server closed the connection without an answer");
        return;
    default: end_with(x, TL_FAIL_BACKEND_ERROR, "the model server's answer is not HTTP"); return;
    }
}

/* --- the question --- */

static tl_backend_exchange *exchange_new(tl_loop *loop, const tl_exchange_sink *sink, void *user)
{
    tl_backend_exchange *x = calloc(1, sizeof *x);
    struct tl_backend_exchange_inside *in = calloc(1, sizeof *in);
    if (!x || !in) {
        free(x);
        free(in);
        return NULL;
    }
    *in = (struct tl_backend_exchange_inside){.loop = loop, .sink = *sink, .user = user};
    x->exchange = (tl_exchange){.cancel = cancel, .set_paused = set_paused};
    x->inside = in;
    return x;
}

static void refuse_now(void *user)
{
    tl_backend_exchange *x = user;
    end_with(x, x->inside->failure, x->inside->message);
}

static void refuse_later(tl_backend_exchange *x, tl_fail fail, const char *message)
{
    x->inside->failure = fail;
    x->inside->message = message;
    tl_loop_defer(x->inside->loop, &x->inside->refusal, refuse_now, x);
}

static tl_err send_question(tl_backend_exchange *x, const tl_backend_route *route,
                            const tl_ask *ask)
{
    static const tl_http_events events = {on_head, on_body, on_done};
    tl_http_ask http_ask = tl_http_ask_default();
    char *url = NULL, *authorization = NULL;
    size_t n = 0;
    tl_err e = TL_ERR_NOMEM;
    if (asprintf(&url, "%s%s", route->base, ask->path) < 0) {
        url = NULL;
        goto out;
    }
    if (asprintf(&authorization, "Bearer %s", route->key) < 0) {
        authorization = NULL;
        goto out;
    }
    http_ask.method = "POST";
    http_ask.url = url;
    if (ask->content_type[0])
        http_ask.fields[n++] = (tl_http_field){"Content-Type", ask->content_type};
    if (route->key[0])
        http_ask.fields[n++] = (tl_http_field){"Authorization", authorization};
    http_ask.body = ask->body;
    http_ask.connect = CONNECT_LIMIT;
    http_ask.first_byte = route->first_byte;
    http_ask.silence = route->silence;
    e = tl_http_start(route->http, &http_ask, &events, x, &x->inside->request, NULL);
out:
    if (authorization)
        explicit_bzero(authorization, strlen(authorization));
    free(authorization);
    free(url);
    return e;
}

tl_err tl_backend_exchange_start(const tl_backend_route *route, const tl_ask *ask,
                                 const tl_exchange_sink *sink, void *user,
                                 tl_backend_exchange **ret_x)
{
    tl_backend_exchange *x = exchange_new(route->loop, sink, user);
    if (!x)
        return TL_ERR_NOMEM;
    tl_err e = TL_OK;
    if (tl_ask_path_find(tl_slice_str(ask->path)))
        e = send_question(x, route, ask);
    else
        refuse_later(x, TL_FAIL_FORBIDDEN, "this path of the model server is not shared");
    if (e == TL_ERR_NOMEM) {
        over(x, NULL);
        return e;
    }
    if (e != TL_OK)
        refuse_later(x, TL_FAIL_INTERNAL, "the question's content type cannot be sent on");
    *ret_x = x;
    return TL_OK;
}

tl_err tl_backend_exchange_refuse(tl_loop *loop, tl_fail fail, const char *message,
                                  const tl_exchange_sink *sink, void *user,
                                  tl_backend_exchange **ret_x)
{
    tl_backend_exchange *x = exchange_new(loop, sink, user);
    if (!x)
        return TL_ERR_NOMEM;
    refuse_later(x, fail, message);
    *ret_x = x;
    return TL_OK;
}
