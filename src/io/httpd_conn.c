/* The connections of the HTTP server: accepts them, reads requests, and bounds their time. */
#include "io/httpd_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* The least that must come of a body within its time limit, unless it ends before: by single bytes
 * nobody holds a place. */
#define BODY_STEP (16u << 10)
#define READS_MAX 4 /* reads per turn of the loop, so that one upload does not starve the others */

static void process(tl_httpd_req *r);

/* --- memory --- */

static void request_clear(tl_httpd_req *r)
{
    tl_httpd_drop_body(r);
    tl_buf_clear(&r->head_bytes);
    tl_buf_clear(&r->headers);
    free(r->head);
    r->head = NULL;
    r->scanned = 0;
    r->note = 0;
    r->name[0] = 0;
    r->body_came = 0;
    r->chunks = (tl_chunked){0};
    r->watch = NULL;
    r->is_head_method = r->begun = r->ended = r->chunked = r->no_body = r->over = false;
}

void tl_httpd_conn_free(tl_httpd_req *r)
{
    tl_httpd *h = r->h;
    r->dead = true;
    tl_timer_stop(&r->timer);
    tl_defer_cancel(h->loop, &r->defer);
    tl_stream_free(r->stream);
    r->stream = NULL;
    request_clear(r);
    tl_buf_clear(&r->in);
    tl_buf_clear(&r->out);
    tl_httpd_conn_unlink(r); /* `r` is freed when this turn of the loop ends */
}

void tl_httpd_conn_gone(tl_httpd_req *r)
{
    if (r->dead)
        return;
    const tl_httpd_watch_events *watch = r->watch;
    void *user = r->watch_user;
    r->watch = NULL;
    if (r->state == TL_HTTPD_BUSY || r->state == TL_HTTPD_FLUSH)
        r->h->stats.gone++;
    tl_httpd_conn_free(r);
    if (watch)
        watch->on_gone(user);
}

/* --- states and their times --- */

static void state_set(tl_httpd_req *r, tl_httpd_state state)
{
    r->state = state;
    r->since = tl_loop_now(r->h->loop);
    tl_httpd_conn_arm(r);
}

void tl_httpd_conn_arm(tl_httpd_req *r)
{
    const tl_httpd_config *c = &r->h->config;
    tl_time at = TL_NEVER;
    switch (r->state) {
    case TL_HTTPD_IDLE: at = r->since + c->idle; break;
    case TL_HTTPD_HEAD: at = r->since + c->head; break;
    case TL_HTTPD_BODY: at = r->since + c->body; break;
    case TL_HTTPD_LINGER: at = r->since + TL_HTTPD_LINGER_NS; break;
    case TL_HTTPD_BUSY:
    case TL_HTTPD_FLUSH:
        if (r->out.len)
            at = r->since + c->stalled;
        break;
    }
    tl_timer_set(&r->timer, at);
}

static void reading_set(tl_httpd_req *r, bool on)
{
    if (r->reading == on || r->dead)
        return;
    r->reading = on;
    tl_stream_want_read(r->stream, on);
}

static void on_due(void *user)
{
    tl_httpd_req *r = user;
    tl_httpd *h = r->h;
    switch (r->state) {
    case TL_HTTPD_IDLE:
    case TL_HTTPD_LINGER: tl_httpd_conn_gone(r); return;
    case TL_HTTPD_HEAD:
        h->stats.timed_out++;
        tl_httpd_conn_refuse(r, 408, "the request's head took too long");
        return;
    case TL_HTTPD_BODY:
        h->stats.timed_out++;
        tl_httpd_conn_refuse(r, 408, "no more of the request's body came for too long");
        return;
    case TL_HTTPD_BUSY:
    case TL_HTTPD_FLUSH:
        if (r->out.len && tl_loop_now(h->loop) >= r->since + h->config.stalled) {
            h->stats.stalled++;
            tl_httpd_conn_gone(r);
        } else {
            tl_httpd_conn_arm(r);
        }
        return;
    }
}

/* --- answers of our own, and the end of any answer --- */

void tl_httpd_conn_refuse(tl_httpd_req *r, int status, const char *message)
{
    tl_buf body = {0};
    r->close_after = true;
    state_set(r, TL_HTTPD_BUSY);
    r->h->events->on_refusal(r->h->user, r, status, message, &body);
    tl_httpd_respond(r, status, r->h->events->refusal_type, tl_buf_slice(&body));
    tl_buf_clear(&body);
}

static void refuse_malformed(tl_httpd_req *r, int status, const char *message)
{
    r->h->stats.malformed++;
    tl_httpd_conn_refuse(r, status, message);
}

static void refuse_body(tl_httpd_req *r)
{
    char text[96];
    size_t most = r->h->config.body_max;
    bool whole = most >= (1 << 20) && most % (1 << 20) == 0;
    snprintf(text, sizeof text, "the request's body is too large: at most %zu %s are taken",
             whole ? most >> 20 : most, whole ? "MiB" : "bytes");
    refuse_malformed(r, 413, text);
}

/* Does what a callback must not do itself: ends a broken connection, sends a head that no write has
 * followed yet, goes on with a pipelined request. */
static void on_defer(void *user)
{
    tl_httpd_req *r = user;
    if (r->broken) {
        tl_httpd_conn_gone(r);
    } else {
        if (r->out.len && !r->blocked)
            tl_httpd_flush(r);
        if (!r->dead && r->state == TL_HTTPD_IDLE && r->in.len)
            process(r);
    }
}

void tl_httpd_conn_later(tl_httpd_req *r)
{
    tl_loop_defer(r->h->loop, &r->defer, on_defer, r);
}

void tl_httpd_flushed(tl_httpd_req *r)
{
    bool closing = r->close_after;
    request_clear(r);
    if (r->peer_ended) {
        r->state = TL_HTTPD_IDLE; /* the answer is complete: this client does not count as gone */
        tl_httpd_conn_gone(r);
        return;
    }
    if (closing) {
        tl_buf_clear(&r->in);
        tl_stream_shutdown(r->stream);
        state_set(r, TL_HTTPD_LINGER);
    } else {
        if (!r->in.len)
            tl_buf_clear(&r->in);
        tl_buf_clear(&r->out);
        state_set(r, TL_HTTPD_IDLE);
        tl_httpd_conn_later(r);
    }
    reading_set(r, true);
}

/* --- the request --- */

static void deliver(tl_httpd_req *r)
{
    if (!r->in.len)
        tl_buf_clear(&r->in);
    state_set(r, TL_HTTPD_BUSY);
    r->h->events->on_request(r->h->user, r);
}

/* The head is whole: keeps its bytes, asks the handler, decides what comes next. */
static void on_whole_head(tl_httpd_req *r)
{
    tl_httpd *h = r->h;
    int status;
    size_t scanned = 0;
    tl_slice bytes = tl_slice_of(tl_buf_begin(&r->in), r->head->head_n);
    if (tl_buf_append(&r->head_bytes, bytes) ||
        tl_http1_request_parse(tl_buf_slice(&r->head_bytes), &scanned, r->head, &status)) {
        tl_httpd_break(r);
        return;
    }
    tl_buf_consume(&r->in, r->head->head_n);
    h->stats.requests++;
    r->is_head_method = tl_slice_eq(r->head->method, TL_SLICE_LIT("HEAD"));
    bool close_after = !r->head->keep_alive || r->head->minor == 0 || h->draining;
    bool has_body = r->head->chunked || r->head->content_length > 0;
    state_set(r, TL_HTTPD_BUSY);
    r->close_after = close_after || has_body; /* a refusal leaves the body unread */
    if (!h->events->on_head(h->user, r))
        return;
    /* After on_head, which sets the headers that let a page read the refusal. */
    if (r->head->content_length > h->config.body_max) {
        refuse_body(r);
        return;
    }
    r->close_after = close_after;
    if (!has_body) {
        deliver(r);
        return;
    }
    if (r->head->expect_continue && r->in.len == 0) {
        static char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
        tl_httpd_send(r, &(struct iovec){go_on, sizeof go_on - 1}, 1);
    }
    state_set(r, TL_HTTPD_BODY);
}

static const char *malformed_text(int status)
{
    switch (status) {
    case 417: return "only Expect: 100-continue is understood";
    case 431: return "the request's head is too large";
    case 501: return "only the transfer coding chunked is understood";
    case 505: return "only HTTP/1.0 and HTTP/1.1 are understood";
    default: return "the request is malformed";
    }
}

/* True: there was progress. */
static bool on_head_bytes(tl_httpd_req *r)
{
    int status = 400;
    if (!r->head && !(r->head = malloc(sizeof *r->head))) {
        tl_httpd_break(r);
        return false;
    }
    tl_err e = tl_http1_request_parse(tl_buf_slice(&r->in), &r->scanned, r->head, &status);
    if (e == TL_ERR_SHORT)
        return false;
    if (e)
        refuse_malformed(r, status, malformed_text(status));
    else
        on_whole_head(r);
    return true;
}

/* True: the data was taken. False: the request is refused, or the connection is broken. */
static bool body_add(tl_httpd_req *r, tl_slice data)
{
    tl_httpd *h = r->h;
    size_t bodies_max = h->config.bodies_max + (r->tcp ? 0 : h->config.body_max);
    if (h->bodies_n + data.n > bodies_max) {
        h->stats.overloaded++;
        tl_httpd_conn_refuse(r, 503, "too many large requests at once");
        return false;
    }
    if (tl_buf_append(&r->body, data)) {
        tl_httpd_break(r);
        return false;
    }
    h->bodies_n += data.n;
    r->body_counted += data.n;
    return true;
}

static bool on_sized_bytes(tl_httpd_req *r)
{
    uint64_t need = r->head->content_length - r->body.len;
    size_t n = r->in.len < need ? r->in.len : (size_t)need;
    if (!body_add(r, tl_slice_of(tl_buf_begin(&r->in), n)))
        return !r->broken;
    tl_buf_consume(&r->in, n);
    if (r->body.len == r->head->content_length)
        deliver(r);
    return true;
}

static bool on_chunked_bytes(tl_httpd_req *r)
{
    size_t used = 0;
    tl_slice data;
    tl_err e = tl_chunked_next(&r->chunks, tl_buf_slice(&r->in), &used, &data);
    if (e) {
        refuse_malformed(r, e == TL_ERR_TOO_LARGE ? 413 : 400, "the chunked body is malformed");
        return true;
    }
    uint64_t announced = r->chunks.state == TL_CHUNKED_DATA ? r->chunks.left : 0;
    if (r->body.len + data.n + announced > r->h->config.body_max) {
        refuse_body(r);
        return true;
    }
    if (!body_add(r, data))
        return !r->broken;
    tl_buf_consume(&r->in, used);
    if (r->chunks.state == TL_CHUNKED_DONE)
        deliver(r);
    return used > 0;
}

/* Takes one step through what was read. False: more bytes are needed, or the answer must end
 * first. */
static bool step(tl_httpd_req *r)
{
    if (r->in.len == 0)
        return false;
    switch (r->state) {
    case TL_HTTPD_IDLE: state_set(r, TL_HTTPD_HEAD); return true;
    case TL_HTTPD_HEAD: return on_head_bytes(r);
    case TL_HTTPD_BODY: return r->head->chunked ? on_chunked_bytes(r) : on_sized_bytes(r);
    case TL_HTTPD_BUSY:
    case TL_HTTPD_FLUSH: return false;
    case TL_HTTPD_LINGER: tl_buf_clear(&r->in); return false;
    }
    return false;
}

static void process(tl_httpd_req *r)
{
    while (!r->dead && !r->broken && step(r))
        continue;
    if (r->dead || r->broken)
        return;
    if (r->in.len < TL_HTTPD_PIPELINE_MAX)
        return;
    if (r->state == TL_HTTPD_FLUSH)
        reading_set(r, false); /* until the client has read its answers */
    else if (r->state == TL_HTTPD_BUSY)
        tl_httpd_conn_gone(r); /* if we stopped reading, we would not see that the client closes */
}

/* --- the stream --- */

/* The client has closed its sending half. */
static void on_peer_end(tl_httpd_req *r)
{
    if (r->state != TL_HTTPD_FLUSH) {
        tl_httpd_conn_gone(r);
        return;
    }
    r->peer_ended = true;
    r->close_after = true;
    reading_set(r, false);
    tl_httpd_conn_arm(r);
}

static void on_bytes(tl_httpd_req *r, tl_slice bytes)
{
    r->h->stats.bytes_in += bytes.n;
    if (r->state == TL_HTTPD_LINGER)
        return;
    if (r->state == TL_HTTPD_BODY && (r->body_came += bytes.n) >= BODY_STEP) {
        r->body_came = 0;
        state_set(r, TL_HTTPD_BODY); /* the body's time limit begins anew */
    }
    if (tl_buf_append(&r->in, bytes))
        tl_httpd_break(r);
    else
        process(r);
}

static void on_readable(void *user)
{
    tl_httpd_req *r = user;
    for (int i = 0; i < READS_MAX && !r->dead && !r->broken && r->reading; i++) {
        size_t n = 0;
        tl_err e = tl_stream_read(r->stream, r->h->scratch, TL_HTTPD_READ_SIZE, &n);
        if (e == TL_ERR_AGAIN)
            break;
        if (e == TL_ERR_CLOSED)
            on_peer_end(r);
        else if (e)
            tl_httpd_conn_gone(r);
        else
            on_bytes(r, tl_slice_of(r->h->scratch, n));
        if (e || n < TL_HTTPD_READ_SIZE)
            break;
    }
}

static void on_writable(void *user)
{
    tl_httpd_req *r = user;
    tl_httpd_flush(r);
}

static void on_error(void *user, tl_err e, const char *why)
{
    (void)e;
    (void)why;
    tl_httpd_conn_gone(user);
}

static void on_open(void *user)
{
    (void)user;
}

tl_err tl_httpd_conn_new(tl_httpd_door *door, int fd)
{
    static const tl_stream_events events = {
        .on_open = on_open,
        .on_readable = on_readable,
        .on_writable = on_writable,
        .on_error = on_error,
    };
    tl_httpd *h = door->h;
    tl_httpd_req *r = calloc(1, sizeof *r);
    if (!r) {
        close(fd);
        return TL_ERR_NOMEM;
    }
    r->h = h;
    r->tag = door->tag;
    r->tcp = door->tcp;
    r->reading = true;
    tl_timer_init(&r->timer, h->loop, on_due, r);
    tl_err e = tl_stream_accepted(h->loop, fd, NULL, &events, r, &r->stream);
    if (e) {
        free(r);
        return e;
    }
    r->next = h->first;
    if (r->next)
        r->next->prev = r;
    h->first = r;
    h->stats.connections++;
    h->taken[r->tcp]++;
    state_set(r, TL_HTTPD_IDLE);
    return TL_OK;
}
