#include "ask/server_state.h"

#include "ask/bodytype.h"
#include "ask/modelname.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <utlist.h>

tl_err tl_server_new(const tl_env *env, const tl_access *access, const tl_server_policy *policy,
                     const tl_server_backend *backend, void *backend_user, tl_server **ret_server)
{
    tl_server *s = calloc(1, sizeof *s);
    if (!s)
        return TL_ERR_NOMEM;
    *s = (tl_server){.env = *env,
                     .places = tl_places_new(access, tl_env_now(env)),
                     .policy = *policy,
                     .backend = *backend,
                     .backend_user = backend_user,
                     .due = TL_NEVER};
    tl_server_set_policy(s, policy);
    *ret_server = s;
    return TL_OK;
}

void tl_server_set_policy(tl_server *s, const tl_server_policy *policy)
{
    s->policy = *policy;
    s->places.running_max = policy->running_max;
}

tl_places *tl_server_places(tl_server *s)
{
    return &s->places;
}

void tl_server_set_others(tl_server *s, const tl_server_others *others, void *user)
{
    s->others = others;
    s->others_user = user;
}

size_t tl_server_running(const tl_server *s)
{
    return s->places.running;
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
static bool holds_place(tl_request_state state)
{
    return state == TL_REQUEST_BODY || state == TL_REQUEST_RUNNING || state == TL_REQUEST_ENDING;
}

void tl_request_drop_body(tl_request *r)
{
    tl_buf_clear(&r->body);
    if (r->guest)
        tl_places_discharge(&r->server->places, r->guest, r->charged);
    r->charged = 0;
}

static void leave(tl_request *r)
{
    tl_request_drop_body(r);
    if (r->guest)
        tl_places_leave(&r->server->places, r->guest, r->whole);
    r->guest = NULL;
}

void tl_request_set_state(tl_request *r, tl_request_state to)
{
    static const unsigned from[] = {
        [TL_REQUEST_UNPROVEN] = 1u << TL_REQUEST_HEAD,
        [TL_REQUEST_BODY] = 1u << TL_REQUEST_HEAD | 1u << TL_REQUEST_UNPROVEN,
        [TL_REQUEST_RUNNING] = 1u << TL_REQUEST_BODY,
        [TL_REQUEST_ENDING] = 1u << TL_REQUEST_RUNNING,
        [TL_REQUEST_REFUSED] =
            1u << TL_REQUEST_HEAD | 1u << TL_REQUEST_UNPROVEN | 1u << TL_REQUEST_BODY};
    assert(from[to] & 1u << r->state);
    assert(!r->exchange);
    r->progress_at = TL_NEVER;
    r->state = to;
    if (!holds_place(to))
        leave(r);
}

/* Until the request is there: an absolute time from the beginning; while its body is read, also
 * policy.body_idle from now. Refused: TL_SERVER_REFUSED_WITHIN from now, and this is called once. Else
 * TL_SERVER_STALL_MAX from now, while we wait for the peer and not for the backend. */
void tl_request_set_deadline(tl_request *r)
{
    tl_server *s = r->server;
    tl_time now = tl_env_now(&s->env);
    switch (r->state) {
    case TL_REQUEST_HEAD: r->deadline = r->opened_at + TL_SERVER_HEAD_WITHIN; break;
    case TL_REQUEST_UNPROVEN: r->deadline = now + TL_SERVER_PROOF_WITHIN; break;
    case TL_REQUEST_BODY:
        r->deadline = tl_time_min(now + s->policy.body_idle, r->opened_at + TL_SERVER_READ_WITHIN);
        break;
    case TL_REQUEST_REFUSED: r->deadline = now + TL_SERVER_REFUSED_WITHIN; break;
    case TL_REQUEST_RUNNING: r->deadline = r->paused ? now + TL_SERVER_STALL_MAX : TL_NEVER; break;
    case TL_REQUEST_ENDING: r->deadline = now + TL_SERVER_STALL_MAX; break;
    }
    r->taken = 0;
    s->due = tl_time_min(s->due, r->deadline);
}

/* The stream is over or given up by the caller. */
static void free_request(tl_request *r)
{
    assert(!r->exchange || r->state == TL_REQUEST_RUNNING);
    if (r->exchange)
        tl_exchange_cancel(r->exchange);
    tl_request_close_bill(r, true); /* cut short: what was delivered is owed */
    if (r->stream)
        tl_quic_stream_set_user(r->stream, NULL);
    tl_frame_reader_clear(&r->reader);
    json_decref(r->other.payload);
    tl_outbox_clear(&r->out);
    leave(r);
    DL_DELETE(r->server->requests, r);
    free(r);
}

void tl_request_give_up(tl_request *r, uint64_t code)
{
    tl_quic_stream_reset(r->stream, code);
    free_request(r);
}

void tl_request_lapse(tl_request *r, const char *why)
{
    tl_server *s = r->server;
    bool running = r->state == TL_REQUEST_RUNNING;
    r->lapsed = true;
    if (running) {
        tl_answer_end seen = tl_usage_end(&r->usage);
        tl_exchange_cancel(r->exchange);
        r->exchange = NULL;
        s->counters.failed++;
        s->backend.on_done(s->backend_user, &r->ask, TL_FAIL_FORBIDDEN, &seen);
        tl_request_close_bill(r, true); /* what was delivered is owed */
    }
    if (r->out.pending.len || r->state == TL_REQUEST_ENDING) { /* what is not read is not sent */
        tl_request_give_up(r, TL_CODE_CANCELLED);
        return;
    }
    tl_request_send_error(r, running ? TL_REQUEST_ENDING : TL_REQUEST_REFUSED,
                          &(tl_failure){.fail = TL_FAIL_FORBIDDEN, .message = why});
}

/* --- the request --- */

/* False: refused, with the reason sent. */
static bool admit(tl_request *r)
{
    tl_server *s = r->server;
    const char *why = NULL, *model = s->backend.serves(s->backend_user, r->ask.model);
    tl_question_of who = {.peer = &r->peer,
                          .path = r->ask.path,
                          .served = model,
                          .network = r->ask.has_network ? &r->ask.network : NULL};
    tl_fail fail = tl_places_enter(&s->places, &who, tl_env_now(&s->env), &r->guest, &why);
    if (fail == TL_FAIL_COUNT) {
        snprintf(r->ask.model, sizeof r->ask.model, "%s", model);
        return tl_request_agree(r);
    }
    s->counters.refused++;
    s->counters.refused_claims += fail == TL_FAIL_FORBIDDEN && r->ask.has_network;
    tl_request_send_error(r, TL_REQUEST_REFUSED, &(tl_failure){fail, why, 0});
    return false;
}

/* Has the peer shown no certificate of the network that it names? It may be on its way. */
static bool is_unproven(const tl_request *r)
{
    return r->ask.has_network && tl_access_for_peer(r->server->places.access, &r->peer,
                                                    &r->ask.network) == TL_ACCESS_UNPROVEN;
}

/* TL_ERR_CLOSED: the request is over. TL_ERR_AGAIN: nothing more is read until the certificate has come. */
static tl_err on_request_head(tl_request *r, const tl_cluster_request *q)
{
    memcpy(r->id, q->id, sizeof r->id);
    tl_ask *a = &r->ask;
    *a = (tl_ask){.streaming = q->streaming, .from_peer = true, .requester = r->peer};
    memcpy(a->id, q->id, sizeof a->id);
    a->has_network = q->ptn_id[0] && !tl_hex_parse(tl_slice_str(q->ptn_id), false, a->network.key,
                                                   sizeof a->network.key);
    memcpy(a->model, q->model, sizeof a->model);
    memcpy(a->path, q->path, sizeof a->path);
    memcpy(a->content_type, q->content_type, sizeof a->content_type);
    a->max_price = q->max_price;
    a->price = q->price;
    a->price_version = q->price_version;
    r->wants_progress = q->progress;
    tl_request_note_pay(r, q);
    if (is_unproven(r)) {
        tl_request_set_state(r, TL_REQUEST_UNPROVEN);
        tl_request_set_deadline(r);
        return TL_ERR_AGAIN;
    }
    if (!admit(r))
        return TL_ERR_CLOSED;
    tl_request_set_state(r, TL_REQUEST_BODY);
    return TL_OK;
}

/* False: refused, with the reason sent. */
static bool on_request_body(tl_request *r, tl_slice bytes)
{
    tl_fail fail = TL_FAIL_QUEUE_FULL;
    char text[64];
    const char *why;
    if (r->body.len + bytes.n > TL_BODY_MAX) {
        fail = TL_FAIL_INTERNAL;
        snprintf(text, sizeof text, "the request's body is over %u MiB", TL_BODY_MAX >> 20);
        why = text;
    } else {
        why = tl_places_charge(&r->server->places, r->guest, bytes.n);
        r->charged += why ? 0 : bytes.n;
    }
    if (!why && tl_buf_append(&r->body, bytes))
        why = "this node has no memory for the request now";
    if (!why)
        return true;
    r->server->counters.refused++;
    tl_request_send_error(r, TL_REQUEST_REFUSED, &(tl_failure){fail, why, 0});
    return false;
}

/* The question goes to the model that was admitted, whatever name stands in the body: the asker
 * decides neither which names we have, nor which of them we share. The Content-Type is written anew:
 * the model server must read the body as we do. */
static tl_err fill_in_model(tl_request *r)
{
    bool same;
    tl_buf other = {0};
    tl_slice body = tl_buf_slice(&r->body);
    char type[sizeof r->ask.content_type] = {0};
    tl_err e = tl_body_type_write(r->ask.content_type, type, sizeof type);
    if (e)
        return e;
    memcpy(r->ask.content_type, type, sizeof type);
    e = tl_model_compare(r->ask.content_type, body, r->ask.model, &same);
    if (e || same)
        return e;
    if ((e = tl_model_replace(r->ask.content_type, body, r->ask.model, &other)))
        return e;
    tl_buf_clear(&r->body); /* the charge stays: a name is no matter */
    r->body = other;
    return TL_OK;
}

static void run_request(tl_request *r)
{
    tl_server *s = r->server;
    const tl_ask_path *path = tl_ask_path_find(tl_slice_str(r->ask.path)); /* it was admitted */
    bool fits = tl_body_type_fits(path, r->ask.content_type);
    r->pay.asked = r->body.len; /* as it came, whatever model is filled in */
    tl_err e = fits ? fill_in_model(r) : TL_ERR_INVALID;
    if (e) {
        s->counters.refused++;
        tl_failure failure = {.fail = e == TL_ERR_NOMEM ? TL_FAIL_UNAVAILABLE : TL_FAIL_INTERNAL};
        failure.message = e == TL_ERR_NOMEM ? "this node is out of memory"
                          : !fits ? "the request's Content-Type is none that its path takes"
                                  : "the request's body must have one \"model\", and no name that "
                                    "some server takes for it";
        tl_request_send_error(r, TL_REQUEST_REFUSED, &failure);
        return;
    }
    if (!tl_request_open_bill(r))
        return;
    tl_request_set_state(r, TL_REQUEST_RUNNING);
    tl_request_set_deadline(r);
    r->ask.body = tl_buf_slice(&r->body);
    e = s->backend.ask(s->backend_user, &r->ask, &tl_request_sink, r, &r->exchange);
    r->ask.body = tl_slice_of(NULL, 0);
    tl_buf_clear(&r->body); /* the backend has a copy: the charge stays */
    if (e) {
        s->counters.failed++;
        tl_failure failure = {.fail = TL_FAIL_UNAVAILABLE, .message = "this node is out of memory"};
        tl_request_send_error(r, TL_REQUEST_ENDING, &failure);
    } else if (r->wants_progress) {
        tl_request_tell_progress(r);
    }
}

/* TL_ERR_EXISTS: the stream is somebody else's, and `r->other` its first message. */
static tl_err note_other(tl_request *r, const tl_cluster_other *m)
{
    const tl_server *s = r->server;
    if (r->state != TL_REQUEST_HEAD || !s->others || !s->others->takes(s->others_user, m->name))
        return TL_ERR_PROTO;
    r->other = *m;
    json_incref(r->other.payload);
    return TL_ERR_EXISTS;
}

/* Frees the request. */
static void hand_over(tl_request *r)
{
    tl_server *s = r->server;
    tl_quic_stream *stream = r->stream;
    tl_frame_reader reader = r->reader;
    tl_cluster_other m = r->other;
    tl_node_id peer = r->peer;
    r->reader = (tl_frame_reader){0};
    r->other.payload = NULL;
    free_request(r);
    s->others->on_stream(s->others_user, &peer, stream, &m, &reader);
    json_decref(m.payload);
}

/* As take_all. */
static tl_err take_piece(tl_request *r, const tl_frame_piece *piece)
{
    if (piece->kind == TL_FRAME_BODY) {
        if (r->state != TL_REQUEST_BODY)
            return TL_ERR_PROTO;
        return on_request_body(r, piece->bytes) ? TL_OK : TL_ERR_CLOSED;
    }
    tl_cluster_message m;
    tl_err e = tl_cluster_parse(piece->bytes, &m);
    if (e)
        return e;
    bool right = m.type == TL_CLUSTER_REQUEST && r->state == TL_REQUEST_HEAD;
    if (m.type == TL_CLUSTER_OTHER)
        e = note_other(r, &m.u.other);
    else
        e = right ? on_request_head(r, &m.u.request) : TL_ERR_PROTO;
    tl_cluster_message_clear(&m);
    return e;
}

/* Everything in `in`. TL_ERR_CLOSED: the request is refused (and perhaps freed). TL_ERR_AGAIN: it is
 * UNPROVEN, and `in` is what was not read. TL_ERR_EXISTS: it is somebody else's, and the same. */
static tl_err take_all(tl_request *r, tl_slice *in)
{
    tl_frame_piece piece;
    tl_err e;
    while (!(e = tl_frame_next(&r->reader, in, &piece)))
        if ((e = take_piece(r, &piece)))
            return e;
        else if (tl_frame_is_flood(&r->reader, TL_SERVER_FRAMES, 0, 0))
            return TL_ERR_PROTO;
    if (tl_frame_is_flood(&r->reader, TL_SERVER_FRAMES, 0, 0))
        return TL_ERR_PROTO; /* of empty frames, which are no pieces */
    if (e == TL_ERR_SHORT && r->state == TL_REQUEST_HEAD &&
        r->reader.message.len + r->reader.left > TL_SERVER_REQUEST_MAX)
        return TL_ERR_TOO_LARGE;
    return e == TL_ERR_SHORT ? TL_OK : e;
}

static void on_readable(tl_stream_owner *o)
{
    tl_request *r = (tl_request *)o;
    tl_server *s = r->server;
    tl_quic_stream *stream = r->stream;
    bool fin = false;
    tl_slice in;
    while (r->state != TL_REQUEST_UNPROVEN && (in = tl_quic_stream_peek(stream, &fin)).n) {
        tl_slice rest = in;
        tl_err e = r->state == TL_REQUEST_REFUSED ? TL_OK : take_all(r, &rest);
        if (e == TL_ERR_AGAIN || e == TL_ERR_EXISTS)
            tl_quic_stream_consume(stream, in.n - rest.n);
        if (e == TL_ERR_AGAIN)
            break;
        if (e == TL_ERR_EXISTS) {
            hand_over(r);
            tl_env_wake(&s->env);
            return;
        }
        if (e == TL_ERR_CLOSED) {
            /* Refused: this stays the stream's owner, unless memory ran out. */
            if (tl_quic_stream_user(stream) != o)
                return;
        } else if (e) {
            s->counters.malformed++;
            tl_request_give_up(r, TL_CODE_PROTOCOL);
            return;
        }
        tl_quic_stream_consume(stream, in.n);
    }
    tl_env_wake(&s->env);
    if (r->state != TL_REQUEST_HEAD && r->state != TL_REQUEST_BODY)
        return;
    tl_request_set_deadline(r);
    if (!fin)
        return;
    if (r->state == TL_REQUEST_BODY && tl_frame_is_between(&r->reader)) {
        run_request(r);
    } else {
        s->counters.malformed++;
        tl_request_give_up(r, TL_CODE_PROTOCOL);
    }
}

void tl_request_prove(tl_request *r)
{
    tl_quic_stream *stream = r->stream;
    tl_stream_owner *o = &r->owner;
    assert(r->state == TL_REQUEST_UNPROVEN);
    if (admit(r))
        tl_request_set_state(r, TL_REQUEST_BODY);
    else if (tl_quic_stream_user(stream) != o)
        return; /* it is freed */
    on_readable(o);
}

static void on_writable(tl_stream_owner *o)
{
    tl_request_flush((tl_request *)o);
}

/* The peer gave the request up, unless it was served, failed or refused already. */
static void count_cancelled(const tl_request *r)
{
    r->server->counters.cancelled +=
        r->state != TL_REQUEST_ENDING && r->state != TL_REQUEST_REFUSED;
}

static void on_reset(tl_stream_owner *o)
{
    tl_request *r = (tl_request *)o;
    count_cancelled(r);
    tl_request_give_up(r, TL_CODE_CANCELLED);
}

static void on_closed(tl_stream_owner *o, const char *why)
{
    (void)why;
    tl_request *r = (tl_request *)o;
    count_cancelled(r);
    r->stream = NULL;
    free_request(r);
}

void tl_server_on_stream(tl_server *s, const tl_node_id *peer, tl_quic_stream *stream)
{
    tl_request *r = calloc(1, sizeof *r);
    if (!r) {
        tl_quic_stream_reset(stream, TL_CODE_CANCELLED);
        return;
    }
    r->owner = (tl_stream_owner){on_readable, on_writable, on_reset, on_closed};
    r->server = s;
    r->stream = stream;
    r->out = (tl_outbox){.stream = stream, .sum = &s->places.pending};
    r->peer = *peer;
    r->opened_at = tl_env_now(&s->env);
    r->progress_at = TL_NEVER;
    tl_request_set_deadline(r);
    DL_APPEND(s->requests, r);
    tl_quic_stream_set_user(stream, r);
}

/* A request with a deadline or a progress message that is due. Also finds out when the next one
 * will be. */
static tl_request *next_overdue(tl_server *s, tl_time now)
{
    tl_request *r;
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
    for (tl_request *r; (r = next_overdue(s, now));) {
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what was freed left its list */
        if (now < r->deadline) {
            tl_request_tell_progress(r);
            continue;
        }
        if (r->state == TL_REQUEST_UNPROVEN) {
            tl_request_prove(r);
            continue;
        }
        bool reading = r->state == TL_REQUEST_HEAD || r->state == TL_REQUEST_BODY;
        if (reading)
            s->counters.malformed++;
        else
            count_cancelled(r);
        tl_request_give_up(r, reading ? TL_CODE_PROTOCOL : TL_CODE_CANCELLED);
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
        tl_request_give_up(s->requests, TL_CODE_CANCELLED);
    tl_places_clear(&s->places);
    free(s);
}
