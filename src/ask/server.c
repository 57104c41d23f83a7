#include "ask/server.h"

#include "ask/guests.h"
#include "ask/modelname.h"
#include "ask/outbox.h"
#include "ask/usage.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <utlist.h>

/*  HEAD --inferenceRequest--> BODY --the request's end--> RUNNING --answered or failed--> ENDING
 *  HEAD, BODY --refused--> REFUSED
 *  any of them --the stream is over, or given up--> freed
 *
 * The backend's calls come in RUNNING alone. */
typedef enum {
    HEAD,    /* inferenceRequest is awaited */
    BODY,    /* admitted; the client's bytes come in */
    RUNNING, /* the backend has it */
    ENDING,  /* the last message is written, or waits in `pending` */
    REFUSED, /* the same, and what still comes of the request is thrown away */
} request_state;

typedef struct request {
    tl_stream_owner owner; /* first: the stream's user points here */
    tl_server *server;
    tl_quic_stream *stream;
    request_state state;
    tl_node_id peer;
    char id[TL_CLUSTER_ID_MAX];
    tl_ask ask;
    tl_frame_reader reader;
    tl_buf body;
    size_t charged; /* for the body, until the backend is done with it */
    tl_time opened_at;
    tl_time deadline; /* as set_deadline says */
    bool wants_progress;
    tl_time progress_at; /* TL_NEVER: not RUNNING, not wanted, or the first byte has come */
    tl_exchange *exchange;
    tl_usage usage;
    tl_guest *guest; /* of who asks, from its admission on */
    bool whole;      /* answered */
    tl_outbox out;
    size_t taken; /* of what waited in it since the deadline was set */
    bool paused;  /* the backend, until the stream takes more */
    struct request *prev, *next;
} request;

struct tl_server {
    tl_env env;
    const tl_access *access;
    tl_server_policy policy;
    tl_server_backend backend;
    void *backend_user;
    request *requests;
    tl_guests guests;
    size_t running; /* those of them that hold a place */
    size_t pending; /* bytes of all of them */
    size_t bodies;  /* bytes charged for bodies */
    tl_time due;    /* may be too early */
    tl_server_counters counters;
};

tl_err tl_server_new(const tl_env *env, const tl_access *access, const tl_server_policy *policy,
                     const tl_server_backend *backend, void *backend_user, tl_server **ret_server)
{
    tl_server *s = calloc(1, sizeof *s);
    if (!s)
        return TL_ERR_NOMEM;
    *s = (tl_server){.env = *env,
                     .access = access,
                     .policy = *policy,
                     .backend = *backend,
                     .backend_user = backend_user,
                     .guests = tl_guests_new(tl_env_now(env)),
                     .due = TL_NEVER};
    *ret_server = s;
    return TL_OK;
}

void tl_server_set_policy(tl_server *s, const tl_server_policy *policy)
{
    s->policy = *policy;
}

size_t tl_server_running(const tl_server *s)
{
    return s->running;
}

bool tl_server_is_idle(const tl_server *s)
{
    return !s->requests;
}

const tl_server_counters *tl_server_counters_of(const tl_server *s)
{
    return &s->counters;
}

/* Of policy.running_max: from admission until the stream is over. */
static bool holds_place(request_state state)
{
    return state == BODY || state == RUNNING || state == ENDING;
}

/* NULL: charged. Else why not. */
static const char *charge(request *r, size_t n)
{
    tl_server *s = r->server;
    const char *why = "this node has no memory for the request now";
    if (s->bodies + n > TL_SERVER_BODIES_MAX ||
        !tl_guests_take(&s->guests, r->guest, n, TL_SERVER_BODIES_MAX, &why))
        return why;
    s->bodies += n;
    r->charged += n;
    return NULL;
}

static void drop_body(request *r)
{
    tl_buf_clear(&r->body);
    r->server->bodies -= r->charged;
    if (r->guest)
        tl_guests_return(&r->server->guests, r->guest, r->charged);
    r->charged = 0;
}

static void leave(request *r)
{
    drop_body(r);
    if (r->guest)
        tl_guests_leave(&r->server->guests, r->guest, r->whole);
    r->guest = NULL;
}

static void set_state(request *r, request_state to)
{
    static const unsigned from[] = {[BODY] = 1u << HEAD,
                                    [RUNNING] = 1u << BODY,
                                    [ENDING] = 1u << RUNNING,
                                    [REFUSED] = 1u << HEAD | 1u << BODY};
    assert(from[to] & 1u << r->state);
    assert(!r->exchange);
    r->progress_at = TL_NEVER;
    r->server->running += holds_place(to);
    r->server->running -= holds_place(r->state);
    r->state = to;
    if (!holds_place(to))
        leave(r);
}

/* Until the request is there: an absolute time from the beginning; while its body is read, also
 * policy.body_idle from now. Refused: TL_SERVER_REFUSED_WITHIN from now, and this is called once. Else
 * TL_SERVER_STALL_MAX from now, while we wait for the peer and not for the backend. */
static void set_deadline(request *r)
{
    tl_server *s = r->server;
    tl_time now = tl_env_now(&s->env);
    switch (r->state) {
    case HEAD: r->deadline = r->opened_at + TL_SERVER_HEAD_WITHIN; break;
    case BODY:
        r->deadline = tl_time_min(now + s->policy.body_idle, r->opened_at + TL_SERVER_READ_WITHIN);
        break;
    case REFUSED: r->deadline = now + TL_SERVER_REFUSED_WITHIN; break;
    case RUNNING: r->deadline = r->paused ? now + TL_SERVER_STALL_MAX : TL_NEVER; break;
    case ENDING: r->deadline = now + TL_SERVER_STALL_MAX; break;
    }
    r->taken = 0;
    s->due = tl_time_min(s->due, r->deadline);
}

/* The stream is over or given up by the caller. */
static void free_request(request *r)
{
    assert(!r->exchange || r->state == RUNNING);
    if (r->exchange)
        tl_exchange_cancel(r->exchange);
    if (r->stream)
        tl_quic_stream_set_user(r->stream, NULL);
    tl_frame_reader_clear(&r->reader);
    tl_outbox_clear(&r->out);
    leave(r);
    r->server->running -= holds_place(r->state);
    DL_DELETE(r->server->requests, r);
    free(r);
}

/* The peer broke the protocol, or memory is out: nothing more can be said on this stream. */
static void give_up(request *r, uint64_t code)
{
    tl_quic_stream_reset(r->stream, code);
    free_request(r);
}

/* --- out --- */

/* All answers together keep too much, and this one a part of it. */
static bool is_over_the_sum(const request *r)
{
    return r->out.pending.len && r->server->pending > TL_SERVER_PENDING_SUM;
}

/* The backend was held back, and half of what is kept at most is left: it goes on. */
static void go_on_if_there_is_room(request *r)
{
    if (r->state != RUNNING || !r->paused || r->out.pending.len > TL_SERVER_PENDING_MAX / 2 ||
        is_over_the_sum(r))
        return;
    r->paused = false;
    set_deadline(r);
    tl_exchange_set_paused(r->exchange, false);
}

/* Sends what waits, then the end when it is due; gives up when memory is out. */
static void flush(request *r)
{
    size_t n;
    if (tl_outbox_flush(&r->out, &n)) {
        give_up(r, TL_CODE_CANCELLED);
        return;
    }
    r->taken += n;
    if (r->state == ENDING && r->taken >= TL_SERVER_TAKES)
        set_deadline(r);
    go_on_if_there_is_room(r);
    if (!r->out.pending.len && (r->state == ENDING || r->state == REFUSED)) /* again: no harm */
        (void)!tl_quic_stream_write(r->stream, tl_slice_of(NULL, 0), true, &n);
}

static tl_err put_message(request *r, const tl_cluster_message *m)
{
    tl_env_wake(&r->server->env);
    return tl_outbox_put_message(&r->out, m);
}

/* On the wire there are eight codes; the others travel in `detail` (ask/exchange.h). */
static void send_error(request *r, request_state next, tl_fail fail, const char *message)
{
    tl_cluster_message m = {.type = TL_CLUSTER_ERROR};
    tl_fail code = fail;
    if (fail > TL_FAIL_PAYMENT_REQUIRED) {
        code = fail == TL_FAIL_BACKEND_UNREACHABLE || fail == TL_FAIL_NO_PROVIDER
                   ? TL_FAIL_UNAVAILABLE
                   : TL_FAIL_INTERNAL;
        snprintf(m.u.error.detail, sizeof m.u.error.detail, "%s", tl_fail_name(fail));
    }
    memcpy(m.u.error.id, r->id, sizeof r->id);
    snprintf(m.u.error.code, sizeof m.u.error.code, "%s", tl_fail_name(code));
    snprintf(m.u.error.message, sizeof m.u.error.message, "%s", message);
    set_state(r, next);
    drop_body(r);
    set_deadline(r);
    if (put_message(r, &m))
        give_up(r, TL_CODE_CANCELLED);
    else
        flush(r);
}

/* --- the backend's answer --- */

static void on_head(void *user, const tl_answer_head *head)
{
    request *r = user;
    assert(r->state == RUNNING);
    tl_cluster_message m = {.type = TL_CLUSTER_RESPONSE, .u.response = {.status = head->status}};
    memcpy(m.u.response.id, r->id, sizeof r->id);
    snprintf(m.u.response.content_type, sizeof m.u.response.content_type, "%s", head->content_type);
    snprintf(m.u.response.retry_after, sizeof m.u.response.retry_after, "%s", head->retry_after);
    tl_usage_init(&r->usage, head->content_type);
    if (put_message(r, &m))
        give_up(r, TL_CODE_CANCELLED);
}

static void on_body(void *user, tl_slice bytes)
{
    request *r = user;
    assert(r->state == RUNNING && !r->paused);
    tl_usage_observe(&r->usage, bytes);
    r->progress_at = TL_NEVER;
    while (bytes.n) {
        tl_slice now =
            tl_slice_of(bytes.p, bytes.n < TL_FRAME_MESSAGE_MAX ? bytes.n : TL_FRAME_MESSAGE_MAX);
        if (tl_outbox_put_frame(&r->out, TL_FRAME_BODY, now)) {
            give_up(r, TL_CODE_CANCELLED);
            return;
        }
        bytes = tl_slice_of(bytes.p + now.n, bytes.n - now.n);
    }
    if (r->out.pending.len > TL_SERVER_PENDING_MAX || is_over_the_sum(r)) {
        r->paused = true;
        set_deadline(r);
        tl_exchange_set_paused(r->exchange, true);
    }
    tl_env_wake(&r->server->env);
}

static void on_end(void *user, const tl_answer_end *end)
{
    request *r = user;
    tl_answer_end seen = tl_usage_end(&r->usage);
    tl_cluster_message m = {
        .type = TL_CLUSTER_COMPLETE,
        .u.complete = {.tokens_in = end->tokens_in ? end->tokens_in : seen.tokens_in,
                       .tokens_out = end->tokens_out ? end->tokens_out : seen.tokens_out}};
    memcpy(m.u.complete.id, r->id, sizeof r->id);
    r->exchange = NULL;
    drop_body(r);
    r->whole = true;
    r->server->counters.served++;
    r->server->counters.tokens_in += m.u.complete.tokens_in;
    r->server->counters.tokens_out += m.u.complete.tokens_out;
    set_state(r, ENDING);
    set_deadline(r);
    tl_answer_end told = {m.u.complete.tokens_in, m.u.complete.tokens_out};
    r->server->backend.on_done(r->server->backend_user, &r->ask, TL_FAIL_COUNT, &told);
    if (put_message(r, &m))
        give_up(r, TL_CODE_CANCELLED);
    else
        flush(r);
}

static void on_fail(void *user, tl_fail fail, const char *message)
{
    request *r = user;
    r->exchange = NULL;
    tl_answer_end seen = tl_usage_end(&r->usage);
    r->server->counters.failed++;
    r->server->backend.on_done(r->server->backend_user, &r->ask, fail, &seen);
    send_error(r, ENDING, fail, message);
}

static const tl_exchange_sink sink = {on_head, on_body, on_end, on_fail};

/* --- the request --- */

/* False: refused, with the reason sent. */
static bool admit(request *r)
{
    tl_server *s = r->server;
    static const tl_fail fails[] = {[TL_ACCESS_NOT_SHARED] = TL_FAIL_MODEL_NOT_LOADED,
                                    [TL_ACCESS_LEAVING] = TL_FAIL_UNAVAILABLE,
                                    [TL_ACCESS_NO_MEMBER] = TL_FAIL_FORBIDDEN};
    tl_access_verdict verdict = tl_access_for_peer(s->access, &r->peer);
    tl_fail fail;
    const char *why = NULL, *model = NULL;
    bool member = tl_access_is_member(s->access, &r->peer);
    if (verdict) {
        fail = fails[verdict];
        why = tl_access_words(verdict);
    } else if (!(model = s->backend.serves(s->backend_user, r->ask.model))) {
        fail = TL_FAIL_MODEL_NOT_LOADED;
        why = "this node does not serve the model";
    } else if (s->running >= s->policy.running_max) {
        fail = TL_FAIL_QUEUE_FULL;
        why = "this node answers as many requests as it takes";
    } else {
        r->guest = tl_guests_enter(&s->guests, &r->peer, member, s->policy.running_max,
                                   tl_env_now(&s->env), &why);
        if (r->guest) {
            snprintf(r->ask.model, sizeof r->ask.model, "%s", model);
            return true;
        }
        fail = TL_FAIL_QUEUE_FULL;
    }
    s->counters.refused++;
    send_error(r, REFUSED, fail, why);
    return false;
}

/* False: the request is over. */
static bool on_request_head(request *r, const tl_cluster_request *q)
{
    memcpy(r->id, q->id, sizeof r->id);
    tl_ask *a = &r->ask;
    *a = (tl_ask){.streaming = q->streaming, .from_peer = true, .requester = r->peer};
    snprintf(a->id, sizeof a->id, "%.32s", q->id);
    memcpy(a->model, q->model, sizeof a->model);
    memcpy(a->path, q->path, sizeof a->path);
    memcpy(a->content_type, q->content_type, sizeof a->content_type);
    r->wants_progress = q->progress;
    if (!admit(r))
        return false;
    set_state(r, BODY);
    return true;
}

/* False: refused, with the reason sent. */
static bool on_request_body(request *r, tl_slice bytes)
{
    tl_fail fail = TL_FAIL_QUEUE_FULL;
    char text[64];
    const char *why;
    if (r->body.len + bytes.n > TL_BODY_MAX) {
        fail = TL_FAIL_INTERNAL;
        snprintf(text, sizeof text, "the request's body is over %u MiB", TL_BODY_MAX >> 20);
        why = text;
    } else {
        why = charge(r, bytes.n);
    }
    if (!why && tl_buf_append(&r->body, bytes))
        why = "this node has no memory for the request now";
    if (!why)
        return true;
    r->server->counters.refused++;
    send_error(r, REFUSED, fail, why);
    return false;
}

/* The backend has the question and no byte of the body came yet. While the peer does not read, it
 * is told nothing. */
static void tell_progress(request *r)
{
    tl_server *s = r->server;
    tl_cluster_message m = {.type = TL_CLUSTER_PROGRESS};
    assert(r->state == RUNNING);
    r->progress_at = tl_env_now(&s->env) + TL_SERVER_PROGRESS_EVERY;
    s->due = tl_time_min(s->due, r->progress_at);
    if (r->out.pending.len)
        return;
    memcpy(m.u.progress.id, r->id, sizeof r->id);
    if (put_message(r, &m))
        give_up(r, TL_CODE_CANCELLED);
}

/* The question goes to the model that was admitted, whatever name stands in the body: the asker
 * decides neither which names we have, nor which of them we share. */
static tl_err fill_in_model(request *r)
{
    bool same;
    tl_buf other = {0};
    tl_slice body = tl_buf_slice(&r->body);
    tl_err e = tl_model_compare(r->ask.content_type, body, r->ask.model, &same);
    if (e || same)
        return e;
    if ((e = tl_model_replace(r->ask.content_type, body, r->ask.model, &other)))
        return e;
    tl_buf_clear(&r->body); /* the charge stays: a name is no matter */
    r->body = other;
    return TL_OK;
}

static void run_request(request *r)
{
    tl_server *s = r->server;
    tl_err e = fill_in_model(r);
    if (e) {
        s->counters.refused++;
        send_error(r, REFUSED, e == TL_ERR_NOMEM ? TL_FAIL_UNAVAILABLE : TL_FAIL_INTERNAL,
                   e == TL_ERR_NOMEM ? "this node is out of memory"
                                     : "the request's body has no single \"model\"");
        return;
    }
    set_state(r, RUNNING);
    set_deadline(r);
    r->ask.body = tl_buf_slice(&r->body);
    e = s->backend.ask(s->backend_user, &r->ask, &sink, r, &r->exchange);
    r->ask.body = tl_slice_of(NULL, 0);
    tl_buf_clear(&r->body); /* the backend has a copy: the charge stays */
    if (e) {
        s->counters.failed++;
        send_error(r, ENDING, TL_FAIL_UNAVAILABLE, "this node is out of memory");
    } else if (r->wants_progress) {
        tell_progress(r);
    }
}

static tl_err take_piece(request *r, const tl_frame_piece *piece)
{
    if (piece->kind == TL_FRAME_BODY) {
        if (r->state != BODY)
            return TL_ERR_PROTO;
        return on_request_body(r, piece->bytes) ? TL_OK : TL_ERR_CLOSED;
    }
    tl_cluster_message m;
    tl_err e = tl_cluster_parse(piece->bytes, &m);
    if (e)
        return e;
    bool right = m.type == TL_CLUSTER_REQUEST && r->state == HEAD;
    bool go_on = right && on_request_head(r, &m.u.request);
    tl_cluster_message_clear(&m);
    return go_on ? TL_OK : right ? TL_ERR_CLOSED : TL_ERR_PROTO;
}

/* Everything in `in`. TL_ERR_CLOSED: the request is refused (and perhaps freed). */
static tl_err take_all(request *r, tl_slice in)
{
    tl_frame_piece piece;
    tl_err e;
    while (!(e = tl_frame_next(&r->reader, &in, &piece)))
        if ((e = take_piece(r, &piece)))
            return e;
    if (e == TL_ERR_SHORT && r->state == HEAD &&
        r->reader.message.len + r->reader.left > TL_SERVER_REQUEST_MAX)
        return TL_ERR_TOO_LARGE;
    return e == TL_ERR_SHORT ? TL_OK : e;
}

static void on_readable(tl_stream_owner *o)
{
    request *r = (request *)o;
    tl_server *s = r->server;
    tl_quic_stream *stream = r->stream;
    bool fin = false;
    tl_slice in;
    while ((in = tl_quic_stream_peek(stream, &fin)).n) {
        tl_err e = r->state == REFUSED ? TL_OK : take_all(r, in);
        if (e == TL_ERR_CLOSED) {
            /* Refused: this stays the stream's owner, unless memory ran out. */
            if (tl_quic_stream_user(stream) != o)
                return;
        } else if (e) {
            s->counters.malformed++;
            give_up(r, TL_CODE_PROTOCOL);
            return;
        }
        tl_quic_stream_consume(stream, in.n);
    }
    tl_env_wake(&s->env);
    if (r->state != HEAD && r->state != BODY)
        return;
    set_deadline(r);
    if (!fin)
        return;
    if (r->state == BODY && tl_frame_is_between(&r->reader)) {
        run_request(r);
    } else {
        s->counters.malformed++;
        give_up(r, TL_CODE_PROTOCOL);
    }
}

static void on_writable(tl_stream_owner *o)
{
    flush((request *)o);
}

/* The peer gave the request up, unless it was served, failed or refused already. */
static void count_cancelled(const request *r)
{
    r->server->counters.cancelled += r->state != ENDING && r->state != REFUSED;
}

static void on_reset(tl_stream_owner *o)
{
    request *r = (request *)o;
    count_cancelled(r);
    give_up(r, TL_CODE_CANCELLED);
}

static void on_closed(tl_stream_owner *o, const char *why)
{
    (void)why;
    request *r = (request *)o;
    count_cancelled(r);
    r->stream = NULL;
    free_request(r);
}

void tl_server_on_stream(tl_server *s, const tl_node_id *peer, tl_quic_stream *stream)
{
    request *r = calloc(1, sizeof *r);
    if (!r) {
        tl_quic_stream_reset(stream, TL_CODE_CANCELLED);
        return;
    }
    r->owner = (tl_stream_owner){on_readable, on_writable, on_reset, on_closed};
    r->server = s;
    r->stream = stream;
    r->out = (tl_outbox){.stream = stream, .sum = &s->pending};
    r->peer = *peer;
    r->opened_at = tl_env_now(&s->env);
    r->progress_at = TL_NEVER;
    set_deadline(r);
    DL_APPEND(s->requests, r);
    tl_quic_stream_set_user(stream, r);
}

/* A request with a deadline or a progress message that is due. Also finds out when the next one
 * will be. */
static request *next_overdue(tl_server *s, tl_time now)
{
    request *r;
    s->due = TL_NEVER;
    DL_FOREACH (s->requests, r) {
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what was freed left its list */
        if (now >= r->deadline || now >= r->progress_at)
            return r;
        s->due = tl_time_min(s->due, tl_time_min(r->deadline, r->progress_at));
    }
    return NULL;
}

void tl_server_on_timer(tl_server *s)
{
    tl_time now = tl_env_now(&s->env);
    if (now < s->due)
        return;
    for (request *r; (r = next_overdue(s, now));) {
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what was freed left its list */
        if (now < r->deadline) {
            tell_progress(r);
            continue;
        }
        bool reading = r->state == HEAD || r->state == BODY;
        if (reading)
            s->counters.malformed++;
        else
            count_cancelled(r);
        give_up(r, reading ? TL_CODE_PROTOCOL : TL_CODE_CANCELLED);
    }
}

tl_time tl_server_expiry(const tl_server *s)
{
    return s->due;
}

void tl_server_free(tl_server *s)
{
    if (!s)
        return;
    while (s->requests)
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what was freed left its list */
        give_up(s->requests, TL_CODE_CANCELLED);
    tl_guests_clear(&s->guests);
    free(s);
}
