#include "io/wsclient.h"

#include "base/log.h"
#include "io/sendqueue.h"
#include "wire/wsupgrade.h"

#include <stdio.h>
#include <stdlib.h>

#define READ_SIZE     65536 /* bytes of one read: as much as the kernel usually holds for us */
#define READS_A_TURN  8     /* then other connections get their turn */
#define MASKS_AT_ONCE 64    /* masking keys fetched from the kernel together */

/* CONNECTING -> UPGRADING -> OPEN -> CLOSING -> OVER, and from each state directly to OVER. */
typedef enum {
    CONNECTING, /* TCP, TLS */
    UPGRADING,  /* the request is sent; waits for the response */
    OPEN,
    CLOSING, /* our close frame is queued; waits for the peer's */
    OVER,    /* on_closed was called, or is about to be */
} ws_state;

struct tl_wsclient {
    tl_loop *loop;
    tl_rand *rand;
    tl_wsclient_events events;
    void *user;
    tl_wsurl url;
    char proxy[TL_PROXY_SHOWN_MAX]; /* "": straight to the relay */
    ws_state state;
    tl_stream *stream;
    tl_timer timer; /* the time limit of opening, later of closing */
    tl_defer flush;
    char key[TL_WS_KEY_SIZE];
    size_t scanned;
    tl_buf in;
    tl_ws_reader reader;
    tl_sendqueue out;
    bool was_full, blocked;
    bool reached; /* the stream was open: with TLS, the certificate was right */
    uint8_t masks[MASKS_AT_ONCE][4];
    unsigned masks_left;
    struct {
        uint8_t *payload;
        size_t n;
        uint8_t mask[4];
    } begun;        /* a message between begin and commit */
    unsigned depth; /* how many of our functions are on the stack */
    bool freed;     /* freed in a callback: the outermost of our functions frees the memory */
};

static void set_state(tl_wsclient *ws, ws_state state)
{
    ws->state = state;
}

static void destroy(tl_wsclient *ws)
{
    tl_ws_reader_clear(&ws->reader);
    tl_buf_clear(&ws->in);
    tl_sendqueue_clear(&ws->out);
    free(ws);
}

static void enter(tl_wsclient *ws)
{
    ws->depth++;
}

/* True: `ws` still exists. */
static bool leave(tl_wsclient *ws)
{
    bool alive = !ws->freed;
    if (--ws->depth == 0 && !alive)
        destroy(ws);
    return alive;
}

static void over(tl_wsclient *ws, tl_err e, unsigned code, const char *why)
{
    if (ws->state == OVER)
        return;
    bool through = ws->state == UPGRADING && ws->proxy[0]; /* before, the stream names the proxy */
    tl_why text;
    (void)tl_why_set(&text, e, "%s%s%s%s", why, through ? " (through the proxy " : "",
                     through ? ws->proxy : "", through ? ")" : "");
    set_state(ws, OVER);
    tl_timer_stop(&ws->timer);
    tl_defer_cancel(ws->loop, &ws->flush);
    tl_stream_free(ws->stream);
    ws->stream = NULL;
    ws->events.on_closed(ws->user, e, code, text.text);
}

/* --- out --- */

static void flush_now(tl_wsclient *ws)
{
    if (ws->state != OPEN && ws->state != CLOSING && ws->state != UPGRADING)
        return;
    tl_err e = TL_OK;
    while (ws->out.bytes && !e) {
        struct iovec iov[TL_SENDQUEUE_IOV];
        int n_iov = tl_sendqueue_peek(&ws->out, iov);
        size_t n = 0;
        e = tl_stream_writev(ws->stream, iov, n_iov, &n);
        if (!e)
            tl_sendqueue_consume(&ws->out, n);
    }
    if (e && e != TL_ERR_AGAIN) {
        over(ws, e, 0, "the connection broke while writing");
        return;
    }
    bool blocked = ws->out.bytes > 0;
    if (blocked != ws->blocked)
        tl_stream_want_write(ws->stream, blocked);
    ws->blocked = blocked;
    if (ws->was_full && ws->out.bytes < TL_WSCLIENT_FULL / 2) {
        ws->was_full = false;
        if (ws->state == OPEN)
            ws->events.on_writable(ws->user);
    }
}

static void on_flush(void *user)
{
    tl_wsclient *ws = user;
    enter(ws);
    flush_now(ws);
    (void)leave(ws);
}

static void flush_soon(tl_wsclient *ws)
{
    if (!ws->blocked)
        tl_loop_defer(ws->loop, &ws->flush, on_flush, ws);
}

/* A masking key that the author of the payload cannot predict (RFC 6455 5.3). */
static const uint8_t *next_mask(tl_wsclient *ws)
{
    if (ws->masks_left == 0) {
        tl_rand_bytes(ws->rand, ws->masks, sizeof ws->masks);
        ws->masks_left = MASKS_AT_ONCE;
    }
    return ws->masks[--ws->masks_left];
}

/* Begins a frame of any kind. The caller fills the room for the payload, which is masked later. */
static tl_err begin_frame(tl_wsclient *ws, tl_ws_opcode opcode, size_t n, uint8_t **ret_room)
{
    size_t header_n = tl_ws_header_size(n, true);
    if (n > TL_WSCLIENT_QUEUE_MAX || ws->out.bytes + header_n + n > TL_WSCLIENT_QUEUE_MAX)
        return TL_ERR_BUSY;
    uint8_t *room;
    tl_err e = tl_sendqueue_reserve(&ws->out, header_n + n, &room);
    if (e)
        return e;
    memcpy(ws->begun.mask, next_mask(ws), 4);
    uint8_t header[TL_WS_HEADER_MAX];
    tl_ws_header_write(header, opcode, true, n, ws->begun.mask);
    memcpy(room, header, header_n);
    ws->begun.payload = room + header_n;
    ws->begun.n = n;
    *ret_room = ws->begun.payload;
    return TL_OK;
}

void tl_wsclient_commit(tl_wsclient *ws)
{
    tl_ws_mask(ws->begun.payload, ws->begun.n, ws->begun.mask, 0);
    tl_sendqueue_commit(&ws->out, tl_ws_header_size(ws->begun.n, true) + ws->begun.n);
    if (ws->out.bytes >= TL_WSCLIENT_FULL)
        ws->was_full = true;
    flush_soon(ws);
}

tl_err tl_wsclient_begin(tl_wsclient *ws, tl_ws_opcode opcode, size_t n, uint8_t **ret_room)
{
    if (ws->state != OPEN)
        return TL_ERR_CLOSED;
    return begin_frame(ws, opcode, n, ret_room);
}

static tl_err send_frame(tl_wsclient *ws, tl_ws_opcode opcode, tl_slice payload)
{
    uint8_t *room;
    tl_err e = begin_frame(ws, opcode, payload.n, &room);
    if (e)
        return e;
    if (payload.n)
        memcpy(room, payload.p, payload.n);
    tl_wsclient_commit(ws);
    return TL_OK;
}

tl_err tl_wsclient_send(tl_wsclient *ws, tl_ws_opcode opcode, tl_slice payload)
{
    return ws->state == OPEN ? send_frame(ws, opcode, payload) : TL_ERR_CLOSED;
}

bool tl_wsclient_is_full(const tl_wsclient *ws)
{
    return ws->was_full;
}

bool tl_wsclient_is_authentic(const tl_wsclient *ws)
{
    return ws->url.tls && ws->reached;
}

size_t tl_wsclient_queued(const tl_wsclient *ws)
{
    return ws->out.bytes;
}

static tl_err send_close(tl_wsclient *ws, uint16_t code, const char *reason)
{
    uint8_t payload[TL_WS_CONTROL_MAX];
    size_t n = code == TL_WS_NO_STATUS ? 0 : tl_ws_close_write(payload, code, reason);
    return send_frame(ws, TL_WS_CLOSE, tl_slice_of(payload, n));
}

void tl_wsclient_close(tl_wsclient *ws, uint16_t code, const char *reason)
{
    if (ws->state == CLOSING || ws->state == OVER)
        return;
    if (ws->state == OPEN && !send_close(ws, code, reason)) {
        set_state(ws, CLOSING);
        tl_timer_set(&ws->timer, tl_loop_now(ws->loop) + TL_WSCLIENT_CLOSE_WITHIN);
        return;
    }
    /* It is not open yet, or there is no room for the frame. There is nothing to wait for, but
     * on_closed must not come from inside this call: the timer makes it. */
    set_state(ws, CLOSING);
    tl_timer_set(&ws->timer, tl_loop_now(ws->loop));
}

/* --- in --- */

/* Closes because the peer broke the protocol; its further bytes are ignored. */
static void fail(tl_wsclient *ws, uint16_t code)
{
    char why[64];
    snprintf(why, sizeof why, "it sent an illegal WebSocket frame (%u)", code);
    if (ws->state == OPEN && !send_close(ws, code, ""))
        flush_now(ws);
    over(ws, TL_ERR_PROTO, 0, why);
}

static void peer_closed(tl_wsclient *ws, unsigned code, tl_slice reason)
{
    char why[200];
    tl_safe safe = tl_log_safe(reason);
    snprintf(why, sizeof why, "closed by it, code %u%s%s", code, reason.n ? ": " : "", safe.text);
    if (ws->state == OPEN && !send_close(ws, (uint16_t)code, ""))
        flush_now(ws);
    over(ws, TL_ERR_CLOSED, code, why);
}

/* Hands one event on to the owner. */
static void on_event(tl_wsclient *ws, const tl_ws_event *ev)
{
    tl_slice payload = tl_slice_of(ev->payload, ev->n);
    switch (ev->kind) {
    case TL_WS_EVENT_MESSAGE:
        if (ws->state == OPEN)
            ws->events.on_message(ws->user, ev->opcode, ev->payload, ev->n);
        break;
    case TL_WS_EVENT_PING:
        /* If there is no room for a pong, the peer does not read, and will not miss the pong. */
        if (ws->state == OPEN && send_frame(ws, TL_WS_PONG, payload))
            break;
        break;
    case TL_WS_EVENT_PONG:
        if (ws->state == OPEN)
            ws->events.on_pong(ws->user, payload);
        break;
    case TL_WS_EVENT_CLOSE: peer_closed(ws, ev->close_code, payload); break;
    case TL_WS_EVENT_FAIL: fail(ws, ev->close_code); break;
    case TL_WS_EVENT_MORE:
    case TL_WS_EVENT_PART: break;
    }
}

/* Takes every whole frame from `in`. Returns how many bytes the next frame needs; 0: not known. */
static size_t take_frames(tl_wsclient *ws)
{
    size_t used = 0, need = 0;
    while ((ws->state == OPEN || ws->state == CLOSING) && !ws->freed && used < ws->in.len) {
        tl_ws_event ev;
        tl_ws_reader_next(&ws->reader, tl_buf_begin(&ws->in) + used, ws->in.len - used, &ev);
        if (ev.kind == TL_WS_EVENT_MORE) {
            need = ev.need;
            break;
        }
        used += ev.used;
        on_event(ws, &ev);
    }
    if (!ws->freed)
        tl_buf_consume(&ws->in, used);
    return need;
}

static const char *upgrade_refused(tl_wsclient *ws, const tl_http1_head *head, char why[200])
{
    if (head->status != 101) {
        snprintf(why, 200, "it answered HTTP %d where a WebSocket was expected%s", head->status,
                 head->status == 404 ? " (is the path right? usually /ws)" : "");
        return why;
    }
    return tl_ws_upgrade_confirm(head, ws->key) ? "its upgrade to WebSocket is not valid" : NULL;
}

static void take_response(tl_wsclient *ws)
{
    tl_http1_head head;
    tl_err e = tl_http1_response_parse(tl_buf_slice(&ws->in), &ws->scanned, &head);
    if (e == TL_ERR_SHORT)
        return;
    char text[200];
    const char *why = e ? "it does not speak HTTP" : upgrade_refused(ws, &head, text);
    if (why) {
        over(ws, TL_ERR_PROTO, 0, why);
        return;
    }
    tl_buf_consume(&ws->in, head.head_n);
    tl_timer_stop(&ws->timer);
    set_state(ws, OPEN);
    ws->events.on_open(ws->user);
}

/* Reads once. TL_ERR_AGAIN: nothing is there. */
static tl_err read_some(tl_wsclient *ws, size_t need)
{
    size_t room_n = need > ws->in.len + READ_SIZE ? need - ws->in.len : READ_SIZE;
    uint8_t *room;
    tl_err e = tl_buf_reserve(&ws->in, room_n, &room);
    size_t n = 0;
    if (!e)
        e = tl_stream_read(ws->stream, room, room_n, &n);
    if (!e)
        tl_buf_added(&ws->in, n);
    return e;
}

static void on_readable(void *user)
{
    tl_wsclient *ws = user;
    tl_err e = TL_OK;
    size_t need = 0;
    enter(ws);
    for (int i = 0; i < READS_A_TURN && !e && !ws->freed && ws->state != OVER; i++) {
        e = read_some(ws, need);
        if (e)
            break;
        if (ws->state == UPGRADING)
            take_response(ws);
        if (!ws->freed)
            need = take_frames(ws);
    }
    if (!ws->freed && ws->in.len == 0)
        tl_buf_clear(&ws->in); /* an idle connection holds no buffer */
    if (!ws->freed && e && e != TL_ERR_AGAIN)
        over(ws, e, 0, e == TL_ERR_CLOSED ? "it closed the connection" : "the connection broke");
    (void)leave(ws);
}

/* --- opening --- */

static void on_stream_open(void *user)
{
    tl_wsclient *ws = user;
    tl_buf request = {0};
    uint8_t *room;
    enter(ws);
    tl_err e = tl_ws_upgrade_ask(&request, ws->rand, ws->url.authority, ws->url.path, ws->key);
    if (!e)
        e = tl_sendqueue_reserve(&ws->out, request.len, &room);
    if (e) {
        over(ws, e, 0, "out of memory");
    } else {
        memcpy(room, tl_buf_begin(&request), request.len);
        tl_sendqueue_commit(&ws->out, request.len);
        set_state(ws, UPGRADING);
        ws->reached = true;
        flush_now(ws);
    }
    tl_buf_clear(&request);
    (void)leave(ws);
}

static void on_stream_error(void *user, tl_err e, const char *why)
{
    tl_wsclient *ws = user;
    enter(ws);
    over(ws, e, 0, why);
    (void)leave(ws);
}

static void on_timer(void *user)
{
    tl_wsclient *ws = user;
    enter(ws);
    if (ws->state == CLOSING)
        over(ws, TL_OK, 0, "closed");
    else
        over(ws, TL_ERR_TIMEOUT, 0,
             ws->state == CONNECTING ? "no connection within 10 s"
                                     : "no WebSocket answer within 10 s");
    (void)leave(ws);
}

static const tl_stream_events stream_events = {
    .on_open = on_stream_open,
    .on_readable = on_readable,
    .on_writable = on_flush,
    .on_error = on_stream_error,
};

tl_err tl_wsclient_connect(tl_loop *loop, const tl_wsurl *url, const tl_proxy *proxy, tl_tls *tls,
                           tl_rand *rand, const tl_wsclient_events *events, void *user,
                           tl_wsclient **ret_ws)
{
    tl_wsclient *ws = calloc(1, sizeof *ws);
    if (!ws)
        return TL_ERR_NOMEM;
    *ws = (tl_wsclient){.loop = loop, .rand = rand, .events = *events, .user = user, .url = *url};
    tl_ws_reader_init(&ws->reader, false, TL_WSCLIENT_MESSAGE_MAX);
    if (proxy)
        tl_proxy_show(ws->proxy, proxy);
    tl_err e = tl_stream_connect_by(loop, proxy, url->host, url->port, url->tls ? tls : NULL,
                                    &stream_events, ws, &ws->stream);
    if (e) {
        destroy(ws);
        return e;
    }
    tl_timer_init(&ws->timer, loop, on_timer, ws);
    /* The stream's own limit is the same. It goes first: it tells for whom it waited. */
    tl_timer_set(&ws->timer, tl_loop_now(loop) + TL_WSCLIENT_OPEN_WITHIN + 100 * TL_MS);
    *ret_ws = ws;
    return TL_OK;
}

void tl_wsclient_free(tl_wsclient *ws)
{
    if (!ws || ws->freed)
        return;
    if (ws->state != OVER) {
        set_state(ws, OVER);
        tl_timer_stop(&ws->timer);
        tl_defer_cancel(ws->loop, &ws->flush);
        tl_stream_free(ws->stream);
        ws->stream = NULL;
    }
    ws->freed = true;
    if (ws->depth == 0)
        destroy(ws);
}
