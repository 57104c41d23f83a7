#include "ask/asker.h"

#include "ask/bill.h"
#include "ask/server.h"
#include "wire/cluster.h"
#include "wire/streamframe.h"

#include <assert.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <utlist.h>

#define BODY_FRAME       (256u << 10) /* the request's body goes out in frames of this */
/* Frames of an answer, beside those that are worth their handling (wire/streamframe.h). A model server
 * may write byte by byte: no faster than this, and at once what its node keeps for us at most. */
#define FRAMES_PER_SEC   1000
#define FRAMES_AT_ONCE   (TL_SERVER_PENDING_MAX / (TL_FRAME_HEAD + 1))
/* A node says every TL_SERVER_PROGRESS_EVERY that it works. Words that waited come together. */
#define PROGRESS_PER_SEC 1
#define PROGRESS_AT_ONCE 16

/*  WISHING --a stream--> ASKING --the answer's head--> ANSWERING
 *  ANSWERING --inferenceComplete--> OVER
 *  WISHING, ASKING, ANSWERING --failed or cancelled--> OVER --> freed
 *
 * A question that ends while its stream is read is freed by read_on, any other at once. */
typedef enum {
    WISHING,   /* for a stream */
    ASKING,    /* the request goes out, the answer's head is awaited */
    ANSWERING, /* body bytes come */
    OVER,      /* the sink has its end, or cancelled */
} question_state;

typedef struct question {
    tl_exchange exchange; /* first: the handle */
    tl_stream_owner owner;
    tl_peer_wish wish;
    tl_asker *asker;
    tl_exchange_sink sink;
    void *user;
    question_state state;
    tl_ask ask;
    char model[TL_MODEL_MAX];
    tl_quic_stream *stream;
    tl_buf head;      /* the request's message, and heads of body frames, not yet taken */
    size_t body_sent; /* bytes of the body whose frame head was written */
    size_t body_left; /* of that frame, not yet taken by the stream */
    bool fin_sent;
    tl_frame_reader reader;
    bool paused;   /* the sink wants no body */
    bool resumed;  /* tl_asker_run reads on */
    bool reading;  /* inside read_on: calls of the sink are made from there */
    bool has_body; /* a byte of it came */
    tl_bill bill;  /* from the request on */
    uint64_t progresses;
    tl_progress progress; /* the last */
    tl_time asked_at;
    tl_time heard_at; /* the answer's head, or the last bytes of its body, came; 0: none has */
    tl_time deadline;
    struct question *prev, *next;
} question;

struct tl_asker {
    tl_env env;
    tl_peers *peers;
    tl_asker_times times;
    const tl_pay *pay; /* NULL: nobody keeps accounts */
    question *questions;
    bool any_resumed;
    tl_time due; /* may be too early */
};

tl_err tl_asker_new(const tl_env *env, tl_peers *peers, const tl_asker_times *times,
                    tl_asker **ret_asker)
{
    tl_asker *a = calloc(1, sizeof *a);
    if (!a)
        return TL_ERR_NOMEM;
    *a = (tl_asker){.env = *env, .peers = peers, .times = *times, .due = TL_NEVER};
    *ret_asker = a;
    return TL_OK;
}

void tl_asker_set_times(tl_asker *a, const tl_asker_times *times)
{
    a->times = *times;
}

void tl_asker_set_pay(tl_asker *a, const tl_pay *pay)
{
    a->pay = pay;
}

tl_time tl_asker_first_byte(const tl_asker *a)
{
    return a->times.first_byte;
}

static void set_state(question *q, question_state to)
{
    static const unsigned from[] = {[ASKING] = 1u << WISHING,
                                    [ANSWERING] = 1u << ASKING,
                                    [OVER] = 1u << WISHING | 1u << ASKING | 1u << ANSWERING};
    assert(from[to] & 1u << q->state);
    assert(to == OVER || q->stream);
    q->state = to;
}

static void free_question(question *q)
{
    assert(q->state == OVER && !q->reading);
    tl_peers_unwish(q->asker->peers, &q->wish);
    if (q->stream)
        tl_quic_stream_set_user(q->stream, NULL);
    tl_buf_clear(&q->head);
    tl_frame_reader_clear(&q->reader);
    DL_DELETE(q->asker->questions, q);
    free(q);
}

/* None while the sink is the slow one. */
static void set_deadline(question *q, tl_time within)
{
    bool none = within == TL_NEVER || q->paused;
    q->deadline = none ? TL_NEVER : tl_env_now(&q->asker->env) + within;
    q->asker->due = tl_time_min(q->asker->due, q->deadline);
}

/* The stream's end is ours to declare: what the peer may still send is not wanted. */
static void drop_stream(question *q)
{
    if (!q->stream)
        return;
    tl_quic_stream_set_user(q->stream, NULL);
    tl_quic_stream_reset(q->stream, TL_CODE_CANCELLED);
    q->stream = NULL;
    tl_env_wake(&q->asker->env);
}

static tl_time silent_for(const question *q)
{
    return q->heard_at ? tl_env_now(&q->asker->env) - q->heard_at : 0;
}

/* No call follows. */
static void end(question *q)
{
    /* who did not read on does not know what has come meanwhile */
    tl_bill_end(&q->bill, q->paused ? TL_PAY_LOST : TL_PAY_GIVEN_UP, silent_for(q));
    set_state(q, OVER);
    drop_stream(q);
    if (!q->reading)
        free_question(q);
}

static void fail_as(question *q, const tl_failure *failure)
{
    tl_exchange_sink sink = q->sink;
    void *user = q->user;
    /* its own act, or its silence: without a head nothing is owed */
    tl_bill_end(&q->bill, q->bill.charged ? TL_PAY_GIVEN_UP : TL_PAY_FAILED, 0);
    end(q);
    sink.on_fail(user, failure);
}

static void fail(question *q, tl_fail f, const char *message)
{
    fail_as(q, &(tl_failure){.fail = f, .message = message});
}

/* --- the request --- */

static tl_fail write_request(question *q, tl_why *why)
{
    tl_cluster_message m = {.type = TL_CLUSTER_REQUEST,
                            .u.request = {.streaming = q->ask.streaming, .progress = true}};
    tl_buf text = {0};
    memcpy(m.u.request.id, q->ask.id, sizeof q->ask.id);
    memcpy(m.u.request.model, q->model, sizeof q->model);
    memcpy(m.u.request.path, q->ask.path, sizeof q->ask.path);
    if (q->ask.has_network)
        tl_node_id_write(m.u.request.ptn_id, &q->ask.network);
    memcpy(m.u.request.content_type, q->ask.content_type, sizeof q->ask.content_type);
    m.u.request.max_price = q->ask.max_price;
    m.u.request.price = q->ask.price;
    m.u.request.price_version = q->ask.price_version;
    tl_fail f = tl_bill_open(&q->bill, q->asker->pay, &q->ask, q->model, m.u.request.order, why);
    if (f != TL_FAIL_COUNT)
        return f;
    tl_err e = tl_cluster_write(&text, &m);
    if (!e)
        e = tl_frame_append(&q->head, TL_FRAME_MESSAGE, tl_buf_slice(&text));
    tl_buf_clear(&text);
    (void)tl_why_set(why, e, "out of memory");
    return e ? TL_FAIL_INTERNAL : TL_FAIL_COUNT;
}

/* Writes on: heads first, then the part of the body that belongs to the last head. */
static tl_err write_on(question *q)
{
    tl_slice body = q->ask.body;
    while (!q->fin_sent) {
        size_t n = 0;
        tl_err e;
        if (q->head.len) {
            e = tl_quic_stream_write(q->stream, tl_buf_slice(&q->head), false, &n);
            tl_buf_consume(&q->head, n);
            if (e || q->head.len)
                return e;
        } else if (q->body_left) {
            const uint8_t *from = body.p + q->body_sent - q->body_left;
            e = tl_quic_stream_write(q->stream, tl_slice_of(from, q->body_left), false, &n);
            q->body_left -= n;
            if (e || q->body_left)
                return e;
        } else if (q->body_sent < body.n) {
            size_t more = body.n - q->body_sent;
            uint8_t head[TL_FRAME_HEAD];
            q->body_left = more < BODY_FRAME ? more : BODY_FRAME;
            q->body_sent += q->body_left;
            tl_frame_head_write(head, TL_FRAME_BODY, q->body_left);
            if ((e = tl_buf_append(&q->head, tl_slice_of(head, sizeof head))))
                return e;
        } else {
            if ((e = tl_quic_stream_write(q->stream, tl_slice_of(NULL, 0), true, &n)))
                return e;
            q->fin_sent = true;
        }
    }
    return TL_OK;
}

static void go_on_writing(question *q)
{
    tl_err e = write_on(q);
    tl_env_wake(&q->asker->env);
    /* TL_ERR_CLOSED: the peer reads no more, but may have said why: its answer is still read. */
    if (e && e != TL_ERR_CLOSED)
        fail(q, TL_FAIL_PEER_FAILED, "the request could not be sent");
}

/* --- the answer --- */

/* Nobody is charged more than was agreed on, nor for another network. */
static bool is_as_agreed(const question *q, const tl_cluster_response *r)
{
    tl_node_id network;
    if (r->price.given && r->price.value > q->ask.price.value)
        return false;
    return !r->ptn_id[0] ||
           (q->ask.has_network && !tl_node_id_parse_form(tl_slice_str(r->ptn_id), &network) &&
            tl_node_id_eq(&network, &q->ask.network));
}

static void on_response(question *q, const tl_cluster_response *r)
{
    tl_answer_head head = {.status = r->status,
                           .peer = q->ask.peer,
                           .via = tl_peers_via(q->asker->peers, q->stream),
                           .has_network = q->ask.has_network,
                           .network = q->ask.network,
                           .price = tl_maybe_of(r->price.value)};
    memcpy(head.content_type, r->content_type, sizeof head.content_type);
    memcpy(head.retry_after, r->retry_after, sizeof head.retry_after);
    tl_bill_head(&q->bill, r->status, head.content_type);
    q->heard_at = tl_env_now(&q->asker->env);
    set_state(q, ANSWERING);
    q->sink.on_head(q->user, &head);
}

static tl_time age(const question *q)
{
    return tl_env_now(&q->asker->env) - q->asked_at;
}

/* A peer that only ever says that it works, and one that only ever sends a head, has an end, too. */
static bool may_wait_on(const question *q)
{
    return q->has_body || age(q) < TL_ASKER_PROGRESS_MAX;
}

/* The peer's own limits bound what it works at, so ours begins anew. */
static void on_progress(question *q, const tl_cluster_progress *p)
{
    unsigned wait = p->wait_seconds < TL_WAIT_SECONDS_MAX ? p->wait_seconds : TL_WAIT_SECONDS_MAX;
    q->progress = (tl_progress){p->queue_position, wait};
    q->progresses++;
    if (q->state == ASKING && may_wait_on(q))
        set_deadline(q, q->asker->times.first_byte);
    if (!q->has_body && q->sink.on_progress)
        q->sink.on_progress(q->user, &q->progress);
}

static void on_complete(question *q, const tl_cluster_complete *c)
{
    tl_answer_end end = {c->tokens_in, c->tokens_out, 0};
    tl_bill_end(&q->bill, TL_PAY_ANSWERED, 0);
    set_state(q, OVER); /* the stream ends by itself: read_on looks */
    q->sink.on_end(q->user, &end);
}

static void on_error(question *q, const tl_cluster_error *r)
{
    tl_fail f;
    if (tl_fail_parse(tl_slice_str(r->detail), &f) && tl_fail_parse(tl_slice_str(r->code), &f))
        f = TL_FAIL_INTERNAL;
    unsigned after = r->retry_after < TL_WAIT_SECONDS_MAX ? r->retry_after : TL_WAIT_SECONDS_MAX;
    tl_bill_fail(&q->bill, f);
    fail_as(q, &(tl_failure){.fail = f,
                             .message = r->message,
                             .retry_after = f == TL_FAIL_QUEUE_FULL ? after : 0,
                             .price = r->price,
                             .price_version = r->price_version});
}

static const char *message_id(const tl_cluster_message *m)
{
    switch (m->type) {
    case TL_CLUSTER_PROGRESS: return m->u.progress.id;
    case TL_CLUSTER_RESPONSE: return m->u.response.id;
    case TL_CLUSTER_COMPLETE: return m->u.complete.id;
    case TL_CLUSTER_ERROR: return m->u.error.id;
    default: return "";
    }
}

/* Nothing of it is wrong but that it never ends: to us that is the same. */
static bool is_flood(const question *q)
{
    return q->progresses > PROGRESS_AT_ONCE + PROGRESS_PER_SEC * (age(q) / TL_SEC) ||
           tl_frame_is_flood(&q->reader, FRAMES_AT_ONCE, FRAMES_PER_SEC, age(q));
}

static tl_err on_message(question *q, tl_slice text)
{
    tl_cluster_message m;
    tl_err e = tl_cluster_parse(text, &m);
    if (e)
        return e;
    bool ours = strcmp(message_id(&m), q->ask.id) == 0;
    if (ours && m.type == TL_CLUSTER_RESPONSE && q->state == ASKING &&
        tl_answer_status_passes(m.u.response.status)) {
        if (is_as_agreed(q, &m.u.response))
            on_response(q, &m.u.response);
        else
            fail(q, TL_FAIL_PEER_FAILED, "the peer asks more than it bid, or for another network");
    } else if (ours && m.type == TL_CLUSTER_PROGRESS)
        on_progress(q, &m.u.progress);
    else if (ours && m.type == TL_CLUSTER_COMPLETE && q->state == ANSWERING)
        on_complete(q, &m.u.complete);
    else if (ours && m.type == TL_CLUSTER_ERROR)
        on_error(q, &m.u.error);
    else
        e = TL_ERR_PROTO;
    tl_cluster_message_clear(&m);
    return e;
}

static bool wants_more(const question *q)
{
    return q->state != OVER && !q->paused;
}

/* One peeked piece of the stream, as far as the sink takes it. Returns how many bytes were used. */
static size_t take(question *q, tl_slice in, tl_err *ret_e)
{
    tl_slice rest = in;
    tl_frame_piece piece;
    tl_err e = TL_OK;
    while (!e && wants_more(q) && !(e = tl_frame_next(&q->reader, &rest, &piece))) {
        if (piece.kind == TL_FRAME_MESSAGE)
            e = on_message(q, piece.bytes);
        else if (q->state != ANSWERING)
            e = TL_ERR_PROTO;
        else {
            q->has_body = true;
            q->heard_at = tl_env_now(&q->asker->env);
            tl_bill_body(&q->bill, piece.bytes);
            q->sink.on_body(q->user, piece.bytes);
        }
        if (!e && q->state != OVER && is_flood(q))
            e = TL_ERR_PROTO;
    }
    if (e == TL_ERR_SHORT && is_flood(q)) /* of empty frames, which are no pieces */
        e = TL_ERR_PROTO;
    *ret_e = e == TL_ERR_SHORT ? TL_OK : e;
    return in.n - rest.n;
}

/* The answer is complete, or the question was ended from inside a call of its sink. */
static void leave(question *q)
{
    bool fin = false;
    /* With its end the stream closes by itself; else the peer has more to say than it should. */
    if (q->stream && !(tl_quic_stream_peek(q->stream, &fin).n == 0 && fin && q->fin_sent))
        drop_stream(q);
    free_question(q);
}

/* Reads until the stream is dry, the sink pauses, or the question is over. */
static void read_on(question *q)
{
    bool fin = false;
    tl_slice in;
    tl_err e = TL_OK;
    assert(q->stream && !q->reading && q->state != OVER);
    q->reading = true;
    while (!e && wants_more(q) && (in = tl_quic_stream_peek(q->stream, &fin)).n) {
        size_t n = take(q, in, &e);
        if (q->stream)
            tl_quic_stream_consume(q->stream, n);
    }
    q->reading = false;
    if (q->state == OVER)
        leave(q);
    else if (q->paused)
        return;
    else if (e)
        fail(q, TL_FAIL_PEER_FAILED, "the peer spoke nonsense");
    else if (fin)
        fail(q, TL_FAIL_PEER_FAILED, "the peer ended the answer in its middle");
    else if (q->state == ANSWERING && may_wait_on(q))
        set_deadline(q, q->asker->times.silence);
}

static question *of_owner(tl_stream_owner *o)
{
    return (question *)((char *)o - offsetof(question, owner));
}

static question *of_wish(tl_peer_wish *w)
{
    return (question *)((char *)w - offsetof(question, wish));
}

static void on_readable(tl_stream_owner *o)
{
    question *q = of_owner(o);
    tl_asker *a = q->asker; /* the question may be over, and gone, afterwards */
    if (!q->paused)
        read_on(q);
    tl_env_wake(&a->env);
}

static void on_writable(tl_stream_owner *o)
{
    go_on_writing(of_owner(o));
}

static void on_reset(tl_stream_owner *o)
{
    fail(of_owner(o), TL_FAIL_PEER_FAILED, "the peer gave the request up");
}

static void on_closed(tl_stream_owner *o, const char *why)
{
    question *q = of_owner(o);
    q->stream = NULL;
    tl_bill_end(&q->bill, TL_PAY_LOST, silent_for(q));
    fail(q, TL_FAIL_PEER_FAILED, why);
}

static void on_stream(tl_peer_wish *w, tl_quic_stream *s)
{
    question *q = of_wish(w);
    q->owner = (tl_stream_owner){on_readable, on_writable, on_reset, on_closed};
    q->stream = s;
    set_state(q, ASKING);
    tl_quic_stream_set_user(s, &q->owner);
    set_deadline(q, q->asker->times.first_byte);
    tl_why why;
    tl_fail f = write_request(q, &why);
    if (f == TL_FAIL_COUNT)
        go_on_writing(q);
    else
        fail(q, f, why.text);
}

static void on_no_stream(tl_peer_wish *w, tl_err e, const char *why)
{
    (void)e;
    fail(of_wish(w), TL_FAIL_PEER_FAILED, why);
}

/* --- the handle --- */

static void cancel(tl_exchange *x)
{
    end((question *)x);
}

static void set_paused(tl_exchange *x, bool on)
{
    question *q = (question *)x;
    assert(q->state != OVER);
    if (q->paused && !on) { /* goes on from tl_asker_run, not from inside this call */
        q->resumed = q->asker->any_resumed = true;
        tl_env_wake(&q->asker->env);
    }
    if (on)
        q->deadline = TL_NEVER; /* it is we who are slow */
    q->paused = on;
}

tl_err tl_asker_ask(tl_asker *a, const tl_ask *ask, const char *model, const tl_exchange_sink *sink,
                    void *user, tl_exchange **ret_exchange)
{
    question *q = calloc(1, sizeof *q);
    if (!q)
        return TL_ERR_NOMEM;
    q->exchange = (tl_exchange){cancel, set_paused};
    q->asker = a;
    q->sink = *sink;
    q->user = user;
    q->asked_at = tl_env_now(&a->env);
    q->ask = *ask;
    snprintf(q->model, sizeof q->model, "%s", model);
    q->wish = (tl_peer_wish){.peer = ask->peer, .on_stream = on_stream, .on_failed = on_no_stream};
    tl_err e = tl_peers_wish(a->peers, &q->wish);
    if (e) {
        free(q);
        return e;
    }
    DL_APPEND(a->questions, q);
    set_deadline(q, a->times.first_byte); /* a connection has its own, shorter one */
    *ret_exchange = &q->exchange;
    return TL_OK;
}

/* --- driving --- */

static question *next_resumed(const tl_asker *a)
{
    question *q;
    DL_FOREACH (a->questions, q)
        if (q->resumed)
            return q;
    return NULL;
}

void tl_asker_run(tl_asker *a)
{
    if (!a->any_resumed)
        return;
    /* A call of a sink may change the list: each search begins anew. */
    for (question *q; (q = next_resumed(a));) {
        q->resumed = false;
        if (q->state != ANSWERING)
            set_deadline(q, a->times.first_byte);
        if (q->stream)
            read_on(q);
    }
    a->any_resumed = false;
}

/* Also finds out when the next one will be. */
static question *next_overdue(tl_asker *a, tl_time now)
{
    question *q;
    a->due = TL_NEVER;
    DL_FOREACH (a->questions, q) {
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what was freed left its list */
        if (now >= q->deadline)
            return q;
        a->due = tl_time_min(a->due, q->deadline);
    }
    return NULL;
}

void tl_asker_on_timer(tl_asker *a)
{
    tl_time now = tl_env_now(&a->env);
    if (now < a->due)
        return;
    for (question *q; (q = next_overdue(a, now));)
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what was freed left its list */
        fail(q, TL_FAIL_TIMEOUT,
             q->state == ANSWERING ? "the peer fell silent" : "the peer did not answer in time");
}

tl_time tl_asker_expiry(const tl_asker *a)
{
    return a->due;
}

void tl_asker_free(tl_asker *a)
{
    if (!a)
        return;
    while (a->questions)
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what was freed left its list */
        end(a->questions);
    free(a);
}
