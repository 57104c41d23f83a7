#include "api/state.h"

#include "api/passed.h"
#include "api/question.h"
#include "api/scope.h"
#include "api/strain.h"
#include "ask/bodytype.h"
#include "ask/modelname.h"
#include "base/log.h"
#include "wire/multipart.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

/* An answer that is not live is held until its end. Then a model server that dies in the middle gives
 * an error with a status, and not half an answer. A longer one is streamed all the same.
 *
 *   ASKED --the head--> HOLDING --too long to hold, or a stream--> STREAMING
 *   any state --the answer ends, fails or is malformed, or the client is gone--> freed */
typedef enum {
    ASK_ASKED,     /* nothing came yet */
    ASK_HOLDING,   /* head and bytes are kept here */
    ASK_STREAMING, /* the head went out; bytes go on as they come */
} ask_state;

struct tl_api_ask {
    tl_api *api;
    tl_httpd_req *r;
    tl_exchange *exchange; /* NULL after its end */
    ask_state state;
    tl_time asked_at;
    bool streaming; /* the client asked for a stream */
    bool sse;       /* the answer is a stream of events */
    bool paused;
    bool told;                            /* the client is told what its question waits for */
    bool opened;                          /* its head went out for that */
    tl_timer waiting;                     /* what it waits for is looked at next */
    tl_time event_at, queued_at, word_at; /* not before, the event and the two kinds of comment */
    tl_time bytes_at;                     /* STREAMING: when bytes last went on, or could */
    tl_waits_for silence;                 /* what was told of the present one; UNKNOWN: nothing */
    unsigned line_ends; /* LFs at the end of what was sent so far: 2 = between two events */
    char id[sizeof((tl_ask *)NULL)->id];
    char model[TL_MODEL_MAX];
    bool scoped;         /* to a private network: its members alone are asked */
    tl_answer_head head; /* unless ASKED */
    tl_buf held;         /* HOLDING: the body so far */
    tl_strain strain;    /* of a stream of events */
};

static void set_state(tl_api_ask *a, ask_state to)
{
    assert(to == a->state + 1);
    a->state = to;
}

static void ask_free(tl_api_ask *a)
{
    assert(!a->exchange);
    a->api->counters.asks_active--;
    tl_timer_stop(&a->waiting);
    tl_buf_clear(&a->held);
    free(a);
}

/* --- the answer's head --- */

static void route_headers(tl_api_ask *a)
{
    tl_httpd_header(a->r, "X-Teale-Request", a->id);
    if (a->state == ASK_ASKED)
        return;
    char peer[TL_NODE_ID_HEX + 1]; /* and other values */
    tl_node_id_write(peer, &a->head.peer);
    tl_httpd_header(a->r, "X-Teale-Peer", peer);
    tl_httpd_header(a->r, "X-Teale-Path", tl_via_name(a->head.via));
    if (a->head.has_network) {
        tl_node_id_write(peer, &a->head.network);
        tl_httpd_header(a->r, "X-Teale-PTN", peer);
    }
    if (a->head.price.given) {
        snprintf(peer, sizeof peer, "%lld", (long long)a->head.price.value);
        tl_httpd_header(a->r, "X-Teale-Price", peer);
    }
    const char *retry_after = tl_passed_retry_after(a->head.retry_after);
    if (a->head.status == 429 && !*retry_after)
        retry_after = TL_API_RETRY_AFTER;
    if (*retry_after)
        tl_httpd_header(a->r, "Retry-After", retry_after);
}

static void fail(tl_api_ask *a, const tl_failure *failure);

static void cancel(tl_api_ask *a)
{
    if (a->exchange)
        tl_exchange_cancel(a->exchange);
    a->exchange = NULL;
}

static void give_up(tl_api_ask *a, const char *nonsense)
{
    cancel(a);
    fail(a, &(tl_failure){.fail = TL_FAIL_PEER_FAILED, .message = nonsense});
}

/* From now on it is told when no bytes come. */
static void begin_silence(tl_api_ask *a)
{
    tl_time now = tl_loop_now(a->api->loop);
    a->bytes_at = now;
    if (a->told && a->sse)
        tl_timer_set(&a->waiting, now + a->api->config.silent_first);
}

static void begin(tl_api_ask *a)
{
    set_state(a, ASK_STREAMING);
    begin_silence(a);
    if (a->opened)
        return;
    route_headers(a);
    tl_api_count(a->api, a->r, a->head.status);
    tl_httpd_begin(a->r, a->head.status, tl_passed_type(a->head.content_type));
}

static void on_head(void *user, const tl_answer_head *head)
{
    tl_api_ask *a = user;
    if (a->state != ASK_ASKED || !tl_answer_status_passes(head->status)) {
        give_up(a, "the answer's head is malformed");
        return;
    }
    a->head = *head;
    a->sse = tl_answer_is_events(head->content_type);
    set_state(a, ASK_HOLDING);
    tl_timer_stop(&a->waiting);
    bool fits = !a->opened || (a->sse && head->status == 200);
    if (fits && tl_answer_is_live(a->streaming, head))
        begin(a);
}

/* --- its body --- */

static void note_line_ends(tl_api_ask *a, tl_slice bytes)
{
    size_t i = bytes.n;
    unsigned ends = 0;
    while (i && ends < 2 && (bytes.p[i - 1] == '\n' || bytes.p[i - 1] == '\r'))
        ends += bytes.p[--i] == '\n';
    a->line_ends = i ? ends : (a->line_ends + ends > 2 ? 2 : a->line_ends + ends);
}

static void pass_on(tl_api_ask *a, tl_slice bytes)
{
    note_line_ends(a, bytes);
    a->bytes_at = tl_loop_now(a->api->loop);
    a->silence = TL_WAITS_UNKNOWN;
    if (tl_httpd_write(a->r, bytes) || a->paused || !a->exchange)
        return;
    a->paused = true;
    tl_exchange_set_paused(a->exchange, true);
}

/* Comments and events named "error" are the node's own word, which no provider has. */
static void pass_events(tl_api_ask *a, tl_slice bytes)
{
    tl_buf kept = {0};
    if (tl_strain_feed(&a->strain, bytes, &kept))
        give_up(a, "out of memory");
    else if (kept.len)
        pass_on(a, tl_buf_slice(&kept));
    tl_buf_clear(&kept);
}

static void note_first_byte(tl_api_ask *a)
{
    if (!a->asked_at)
        return;
    a->api->counters.first_bytes++;
    a->api->counters.first_byte_seconds +=
        (double)(tl_loop_now(a->api->loop) - a->asked_at) / (double)TL_SEC;
    a->asked_at = 0;
}

static void on_body(void *user, tl_slice bytes)
{
    tl_api_ask *a = user;
    note_first_byte(a);
    if (a->state == ASK_ASKED) {
        give_up(a, "the answer has no head");
        return;
    }
    if (a->state == ASK_HOLDING && a->held.len + bytes.n > TL_ANSWER_HELD_MAX) {
        if (a->opened) {
            give_up(a, "the answer is no stream, and too long to hold");
            return;
        }
        begin(a);
        pass_on(a, tl_buf_slice(&a->held));
        tl_buf_clear(&a->held);
    }
    if (a->state == ASK_STREAMING && a->sse)
        pass_events(a, bytes);
    else if (a->state == ASK_STREAMING)
        pass_on(a, bytes);
    else if (tl_buf_append(&a->held, bytes))
        give_up(a, "out of memory");
}

/* --- its end --- */

static void on_end(void *user, const tl_answer_end *end)
{
    tl_api_ask *a = user;
    (void)end; /* the node counts tokens */
    a->exchange = NULL;
    if (a->state == ASK_STREAMING) {
        tl_httpd_end(a->r);
    } else if (a->state == ASK_HOLDING && a->opened) {
        tl_api_queue_answer(a->r, a->head.status, tl_buf_slice(&a->held));
        tl_httpd_end(a->r);
    } else if (a->state == ASK_HOLDING) {
        route_headers(a);
        tl_api_count(a->api, a->r, a->head.status);
        tl_httpd_respond(a->r, a->head.status, tl_passed_type(a->head.content_type),
                         tl_buf_slice(&a->held));
    } else {
        give_up(a, "the answer ended before it began");
        return;
    }
    ask_free(a);
}

/* Inside a stream of events, an error is one more event. */
static void send_error_event(tl_api_ask *a, int status, const char *code, const char *message)
{
    static const char *const separators[] = {"\n\n", "\n", ""};
    tl_buf text = {0};
    tl_err e = tl_buf_printf(&text, "%sevent: error\ndata: ", separators[a->line_ends]);
    if (!e)
        e = tl_api_error_text(&text, status, code, NULL, message);
    if (!e)
        e = tl_buf_append_str(&text, "\n\n");
    if (!e)
        (void)tl_httpd_write(a->r, tl_buf_slice(&text));
    tl_buf_clear(&text);
}

/* Reports a failure to the client. An answer that has not begun becomes an error, and an event
 * stream gets an error event. Any other answer breaks off, so that no client takes it for whole. */
static void fail(tl_api_ask *a, const tl_failure *failure)
{
    tl_fail f = failure->fail;
    int status = tl_api_fail_status(f);
    const char *code = tl_api_fail_code(f);
    const char *message = failure->message[0] ? failure->message : tl_fail_name(f);
    char hint[TL_API_HINT_MAX] = "", text[1024];
    /* Of a network's members the router has said which it is. */
    if (f == TL_FAIL_NO_PROVIDER && !a->scoped && !tl_api_model_may_come(a->api, a->model, hint)) {
        status = 404;
        code = "model_not_found";
    }
    if (*hint && (size_t)snprintf(text, sizeof text, "%s%s", message, hint) < sizeof text)
        message = text;
    if (a->state != ASK_STREAMING && !a->opened) {
        a->head.status = 0; /* of an answer that did not come about */
        a->head.retry_after[0] = 0;
        route_headers(a);
        tl_api_error_after(a->api, a->r, status, code, status == 404 ? "model" : NULL,
                           failure->retry_after, message);
    } else {
        a->api->counters.broken_off++;
        tl_log(TL_LOG_INFO, "api: request %s broke off: %s: %s", tl_httpd_name(a->r), code,
               tl_log_safe(tl_slice_str(message)).text);
        bool events = a->sse || a->opened;
        if (events)
            send_error_event(a, status, code, message);
        tl_httpd_close_after(a->r);
        if (events)
            tl_httpd_end(a->r);
        else
            tl_httpd_abort(a->r);
    }
    ask_free(a);
}

static void on_fail(void *user, const tl_failure *failure)
{
    tl_api_ask *a = user;
    a->exchange = NULL;
    fail(a, failure);
}

/* --- the client --- */

static void on_gone(void *user)
{
    tl_api_ask *a = user;
    a->api->counters.cancelled++;
    cancel(a);
    ask_free(a);
}

static void on_drained(void *user)
{
    tl_api_ask *a = user;
    if (!a->paused)
        return;
    a->paused = false;
    a->bytes_at = tl_loop_now(a->api->loop);
    if (a->exchange)
        tl_exchange_set_paused(a->exchange, false);
}

/* --- what it waits for --- */

/* Its first word comes in a stream of events that is opened for it: what follows, an error too, is an
 * event then. */
static void tell_client(tl_api_ask *a, const tl_progress *p, tl_time waited)
{
    if (!a->opened) {
        a->opened = true;
        a->line_ends = 2;
        tl_httpd_header(a->r, "X-Teale-Request", a->id);
        tl_api_count(a->api, a->r, 200);
        tl_httpd_begin(a->r, 200, "text/event-stream");
    }
    tl_api_queue_comment(a->r, p, waited, NULL);
}

/* In the middle of an answer: is it the client who is slow, or does nothing come? A comment stands between two
 * events alone. */
static void look_for_silence(tl_api_ask *a)
{
    const tl_api_config *c = &a->api->config;
    tl_time now = tl_loop_now(a->api->loop), from = a->bytes_at + c->silent_first;
    tl_timer_set(&a->waiting, now < from ? from : now + c->queue_look);
    if (now < from || a->paused || a->line_ends < 2)
        return;
    tl_progress p = {.waits_for = tl_exchange_progress(a->exchange).waits_for};
    if (p.waits_for == TL_WAITS_UNKNOWN || (p.waits_for == a->silence && now < a->word_at))
        return;
    a->silence = p.waits_for;
    a->word_at = now + c->silent_every;
    bool ours = tl_node_id_eq(&a->head.peer, tl_node_id_of(a->api->node));
    tl_api_queue_comment(a->r, &p, now - a->bytes_at, ours ? NULL : &a->head.peer);
}

/* What the question waits for; then, where the answer is a stream of events, what that waits for. */
static void on_waiting(void *user)
{
    tl_api_ask *a = user;
    if (a->state == ASK_STREAMING) {
        look_for_silence(a);
        return;
    }
    tl_time now = tl_loop_now(a->api->loop), waited = now - a->asked_at;
    tl_progress p = tl_exchange_progress(a->exchange);
    const tl_api_config *c = &a->api->config;
    tl_timer_set(&a->waiting, now + c->queue_look);
    if (now >= a->event_at) {
        a->event_at = now + c->queue_every;
        tl_node_tell_waiting(a->api->node, a->id, a->model, &p, waited);
    }
    bool due = p.position ? now >= a->queued_at : waited >= c->wait_first && now >= a->word_at;
    if (!a->told || !due)
        return;
    a->queued_at = now + c->queue_every;
    a->word_at = now + c->wait_every;
    tell_client(a, &p, waited);
}

/* --- the question --- */

/* The Content-Type, which decides how the body is read. False: refused. */
static bool type_parse(tl_api *api, tl_httpd_req *r, tl_ask *ask)
{
    tl_slice type = tl_http1_header_find(tl_httpd_head(r), "content-type", NULL);
    const tl_ask_path *path = tl_ask_path_find(tl_httpd_path(r));
    if (type.n >= sizeof ask->content_type) {
        tl_api_error(api, r, 415, "unsupported_media_type", NULL,
                     "the Content-Type is longer than %zu bytes", sizeof ask->content_type - 1);
        return false;
    }
    /* curl -d names a form where it is told nothing; what is no JSON then is refused as such */
    static const char curl[] = "application/x-www-form-urlencoded";
    bool says_nothing =
        type.n == 0 || (type.n == sizeof curl - 1 && path->body & TL_ASK_PATH_JSON &&
                        memcmp(type.p, curl, type.n) == 0);
    if (says_nothing)
        type = TL_SLICE_LIT("application/json");
    memcpy(ask->content_type, type.p, type.n);
    ask->content_type[type.n] = 0;
    if (tl_body_type_fits(path, ask->content_type))
        return true;
    tl_api_error(api, r, 415, "unsupported_media_type", NULL,
                 "%s takes a body of the Content-Type %s; the request's is another", path->path,
                 tl_body_type_words(path));
    return false;
}

/* Reads what the headers add to a question. False: the request is refused and answered already. */
static bool headers_parse(tl_api *api, tl_httpd_req *r, tl_ask *ask)
{
    const tl_http1_head *head = tl_httpd_head(r);
    size_t peers;
    tl_slice peer = tl_http1_header_find(head, "x-teale-ask-peer", &peers);
    tl_scope_refusal no;
    if (!tl_scope_read_headers(head, ask, &no)) {
        tl_api_error(api, r, no.status, no.code, no.param, "%s", no.message);
        return false;
    }
    if (peers > 1) {
        tl_api_error(api, r, 400, "invalid_node_id", NULL, "X-Teale-Ask-Peer must name one node");
        return false;
    }
    if (peers == 1 && !tl_api_find_peer(api, r, peer, &ask->peer))
        return false;
    ask->has_peer = peers == 1;
    if (ask->has_peer && tl_node_id_eq(&ask->peer, tl_node_id_of(api->node)) &&
        !tl_node_has_backend(api->node)) {
        tl_api_error(api, r, 400, "own_node", NULL,
                     "that is this node itself (\"%s\"), and it has no model server of its own",
                     tl_log_safe(tl_slice_str(tl_node_name_of(api->node))).text);
        return false;
    }
    return type_parse(api, r, ask);
}

static bool body_parse(tl_api *api, tl_httpd_req *r, tl_ask *ask)
{
    tl_question q;
    tl_why why;
    const char *param;
    tl_err e = tl_question_parse(ask->content_type, tl_httpd_body(r), &q, &param, &why);
    if (e) {
        bool form = tl_multipart_is(ask->content_type);
        const char *code = e == TL_ERR_PROTO       ? form ? "invalid_form" : "invalid_json"
                           : e == TL_ERR_TOO_LARGE ? "too_deep"
                           : e == TL_ERR_NOT_FOUND ? "missing_required_parameter"
                                                   : "invalid_value";
        tl_api_error(api, r, 400, code, param, "%s", why.text);
        return false;
    }
    memcpy(ask->model, q.model, sizeof ask->model);
    ask->streaming = q.streaming;
    ask->body = tl_httpd_body(r);
    return true;
}

/* The node did not take the question. */
static void ask_refused(tl_api *api, tl_httpd_req *r, tl_err e)
{
    if (e == TL_ERR_EXISTS)
        tl_api_error(api, r, 409, "duplicate_request", NULL,
                     "a request with this X-Teale-Request was made within a day; it is not worked "
                     "at again");
    else if (e == TL_ERR_BUSY)
        tl_api_error(api, r, 503, "unavailable", NULL,
                     "this node keeps no more names of requests: leave X-Teale-Request out");
    else
        tl_api_error(api, r, 500, "internal_error", NULL, "out of memory");
}

static bool is_listed(void *user, const char *model)
{
    return tl_node_lists(user, model);
}

tl_scope_view tl_api_scope_view(const tl_api *api)
{
    return (tl_scope_view){.book = tl_node_networks(api->node),
                           .now = tl_loop_unix(),
                           .owner_key = api->config.key,
                           .client_key = api->config.client_key,
                           .is_listed = is_listed,
                           .user = api->node};
}

/* The private network. Where the model's name holds it, `renamed` becomes the body without it.
 * False: refused. */
static bool scope_find(tl_api *api, tl_httpd_req *r, tl_ask *ask, tl_buf *renamed)
{
    tl_scope_view view = tl_api_scope_view(api);
    tl_scope_refusal no;
    bool is_renamed;
    if (!tl_scope_find(&view, tl_httpd_head(r), ask, &is_renamed, &no)) {
        tl_api_error(api, r, no.status, no.code, no.param, "%s", no.message);
        return false;
    }
    if (!is_renamed)
        return true;
    tl_err e = tl_model_replace(ask->content_type, ask->body, ask->model, renamed);
    if (e == TL_ERR_PROTO)
        tl_api_error(api, r, 400, "invalid_value", "model",
                     "the body has no single 'model' from which the network can be taken");
    else if (e)
        tl_api_error(api, r, 500, "internal_error", NULL, "out of memory");
    ask->body = tl_buf_slice(renamed);
    return !e;
}

static void name_question(tl_api *api, tl_ask *ask)
{
    uint8_t random[16];
    if (ask->named)
        return; /* by the client */
    tl_rand_bytes(&api->rand, random, sizeof random);
    tl_hex_write(ask->id, random, sizeof random);
}

static void ask_node(tl_api *api, tl_httpd_req *r, const tl_ask *wanted)
{
    static const tl_exchange_sink sink = {on_head, on_body, on_end, on_fail};
    static const tl_httpd_watch_events watch = {.on_gone = on_gone, .on_drained = on_drained};
    tl_ask ask = *wanted;
    name_question(api, &ask);
    tl_slice path = tl_httpd_path(r);
    snprintf(ask.path, sizeof ask.path, "%.*s", (int)path.n, (const char *)path.p);

    tl_api_ask *a = calloc(1, sizeof *a);
    if (a)
        *a = (tl_api_ask){.api = api, .r = r, .streaming = ask.streaming, .scoped = ask.scoped};
    tl_err e = a ? tl_node_ask(api->node, &ask, &sink, a, &a->exchange) : TL_ERR_NOMEM;
    if (e) {
        free(a);
        ask_refused(api, r, e);
        return;
    }
    memcpy(a->id, ask.id, sizeof a->id);
    memcpy(a->model, ask.model, sizeof a->model);
    a->asked_at = tl_loop_now(api->loop);
    a->told = ask.streaming && tl_api_queue_streams(ask.path);
    tl_timer_init(&a->waiting, api->loop, on_waiting, a);
    tl_timer_set(&a->waiting, a->asked_at + api->config.queue_first);
    tl_log(TL_LOG_DEBUG, "api: request %s is question %s, %s, for model %s", tl_httpd_name(r),
           a->id, ask.path, tl_log_safe(tl_slice_str(a->model)).text);
    api->counters.asks_active++;
    tl_httpd_drop_body(r);
    tl_httpd_watch(r, &watch, a);
}

void tl_api_on_ask(tl_api *api, tl_httpd_req *r)
{
    tl_ask ask = {0};
    tl_buf renamed = {0};
    if (headers_parse(api, r, &ask) && body_parse(api, r, &ask) &&
        scope_find(api, r, &ask, &renamed))
        ask_node(api, r, &ask);
    tl_buf_clear(&renamed);
}
