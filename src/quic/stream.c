#include "quic/stream.h"

#include "quic/conn.h"
#include "quic/events.h"
#include "quic/room.h"
#include "quic/window.h"

#include <stdlib.h>
#include <utlist.h>

tl_err tl_qstream_new(tl_quic_conn *c, int64_t id, tl_quic_stream **ret_stream)
{
    tl_quic_stream *s = calloc(1, sizeof *s);
    if (!s)
        return TL_ERR_NOMEM;
    s->id = id;
    if (!TL_TABLE_ADD(hh, c->by_id, id, sizeof s->id, s)) {
        free(s);
        return TL_ERR_NOMEM;
    }
    tl_quic_source_init(&s->source, c, s);
    s->holes.meter = &c->memory;
    s->tx.pool = s->rx.pool = &c->quic->chunks;
    s->rx.meter = &c->memory;
    tl_meter_add(&c->memory, sizeof *s);
    tl_window_stream_init(s);
    DL_APPEND(c->streams, s);
    *ret_stream = s;
    return TL_OK;
}

/* Forgets what was received and not read. The connection's window must not shrink by these
 * bytes. */
static void drop_received(tl_quic_stream *s)
{
    if (s->rx.n) {
        tl_window_on_dropped(s, s->rx.n);
        tl_qconn_ready(s->source.conn);
    }
    tl_chunks_clear(&s->rx);
}

/* Drops the first `n` bytes of the send buffer: they are acknowledged, or will never be. */
static void drop_sent(tl_quic_stream *s, size_t n)
{
    tl_room_give_back(s, n);
    tl_chunks_drop(&s->tx, n);
}

void tl_qstream_free(tl_quic_stream *s)
{
    tl_quic_conn *c = s->source.conn;
    tl_qstream_unschedule(s);
    drop_received(s);
    tl_window_stream_clear(s);
    tl_quic_source_remove(&s->source);
    if (c->probe == s)
        c->probe = s->next;
    DL_DELETE(c->streams, s);
    HASH_DEL(c->by_id, s);
    tl_holes_clear(&s->holes);
    drop_sent(s, s->tx.n);
    tl_meter_subtract(&c->memory, sizeof *s);
    free(s);
}

static bool has_to_send(const tl_quic_stream *s)
{
    return s->tx.sent < s->tx.n || (s->fin_queued && !s->fin_sent);
}

void tl_qstream_schedule(tl_quic_stream *s)
{
    tl_quic_conn *c = s->source.conn;
    if (s->sendable || s->reset_here || s->reset_there || s->finished || !has_to_send(s))
        return;
    DL_APPEND2(c->sendable, s, send_prev, send_next);
    s->sendable = true;
    tl_qconn_ready(c);
}

void tl_qstream_unschedule(tl_quic_stream *s)
{
    if (s->sendable)
        DL_DELETE2(s->source.conn->sendable, s, send_prev, send_next);
    s->sendable = false;
}

/* Ends both directions. What is being sent stays in memory, because libngtcp2 may still point at
 * it. */
static void cut(tl_quic_stream *s)
{
    tl_qstream_unschedule(s);
    drop_received(s);
    s->write_short = false;
    tl_quic_unnote(&s->source, TL_QUIC_STREAM_READABLE);
    tl_quic_unnote(&s->source, TL_QUIC_STREAM_WRITABLE);
}

void tl_qstream_settle(tl_quic_stream *s)
{
    if (!s->finished || tl_quic_noted(&s->source, TL_QUIC_STREAM_CLOSED))
        return;
    bool cut_off = s->reset_here || s->reset_there;
    if (cut_off || (s->rx.n == 0 && !tl_quic_noted(&s->source, TL_QUIC_STREAM_READABLE)))
        tl_quic_note(&s->source, TL_QUIC_STREAM_CLOSED);
}

tl_err tl_qstream_on_data(tl_quic_stream *s, tl_slice data, bool fin)
{
    tl_err e = tl_chunks_append(&s->rx, data);
    if (e)
        return e;
    tl_window_on_received(s, data.n);
    s->rx_fin = s->rx_fin || fin;
    tl_quic_note(&s->source, TL_QUIC_STREAM_READABLE);
    return TL_OK;
}

bool tl_qstream_admits(void *conn, const tl_frames_streams *frames)
{
    tl_quic_conn *c = conn;
    tl_quic_stream *s[TL_FRAMES_STREAMS_MAX];
    c->opening.n = 0;
    for (size_t i = 0; i < frames->n; i++) {
        int64_t id = (int64_t)frames->v[i].id;
        HASH_FIND(hh, c->by_id, &id, sizeof id, s[i]);
        if (!s[i])
            c->opening.v[c->opening.n++] = frames->v[i];
        if (s[i] && !tl_holes_may_come(&s[i]->holes, frames->v[i].begin, frames->v[i].end))
            return false;
    }
    for (size_t i = 0; i < frames->n; i++)
        if (s[i] && tl_holes_add(&s[i]->holes, frames->v[i].begin, frames->v[i].end))
            return false;
    return true;
}

tl_err tl_qstream_accept(tl_quic_conn *c, int64_t id, tl_quic_stream **ret_stream)
{
    tl_quic_stream *s;
    tl_err e = tl_qstream_new(c, id, &s);
    for (size_t i = 0; !e && i < c->opening.n; i++) {
        const tl_frames_stream *f = &c->opening.v[i];
        if (f->id != (uint64_t)id)
            continue;
        e = tl_holes_add(&s->holes, f->begin, f->end);
        if (e)
            tl_qstream_free(s);
    }
    if (!e)
        *ret_stream = s;
    return e;
}

void tl_qstream_on_acked(tl_quic_stream *s, size_t n)
{
    s->acked_at = s->source.conn->now;
    drop_sent(s, n < s->tx.n ? n : s->tx.n);
    if (s->write_short && tl_room_is_worth(s)) {
        s->write_short = false;
        tl_quic_note(&s->source, TL_QUIC_STREAM_WRITABLE);
    }
}

void tl_qstream_on_reset(tl_quic_stream *s, uint64_t code)
{
    tl_quic_conn *c = s->source.conn;
    if (s->reset_here || s->reset_there)
        return;
    s->reset_there = true;
    s->code = code;
    cut(s);
    tl_quic_note(&s->source, TL_QUIC_STREAM_RESET);
    /* This only queues frames, so it is allowed inside a callback. */
    if (c->ng && !s->finished && tl_ngtcp2_shutdown_write(c->ng, s->id, code))
        c->failure = TL_ERR_NOMEM;
    tl_qconn_ready(c);
}

void tl_qstream_on_stopped(tl_quic_stream *s)
{
    tl_quic_conn *c = s->source.conn;
    tl_qstream_on_reset(s, 0); /* libngtcp2 does not tell the code before the stream is over */
    if (c->ng && !s->finished && tl_ngtcp2_shutdown_read(c->ng, s->id, 0))
        c->failure = TL_ERR_NOMEM;
}

void tl_qstream_on_finished(tl_quic_stream *s, const uint64_t *code)
{
    s->finished = true;
    tl_qstream_unschedule(s);
    drop_sent(s, s->tx.n);
    s->write_short = false;
    tl_quic_unnote(&s->source, TL_QUIC_STREAM_WRITABLE);
    if (code)
        tl_qstream_on_reset(s, *code);
    tl_qstream_settle(s);
}

void tl_qstream_on_conn_ended(tl_quic_stream *s)
{
    s->finished = true;
    tl_qstream_unschedule(s);
    drop_sent(s, s->tx.n);
    tl_quic_unnote(&s->source, TL_QUIC_STREAM_WRITABLE);
    tl_quic_note(&s->source, TL_QUIC_STREAM_CLOSED);
}

/* --- quic.h --- */

tl_err tl_quic_stream_open(tl_quic_conn *c, tl_quic_stream **ret_stream)
{
    if (!c->ng || c->state != TL_QUIC_OPEN)
        return c->ng ? TL_ERR_AGAIN : TL_ERR_CLOSED;
    if (ngtcp2_conn_get_streams_bidi_left(c->ng) == 0) {
        c->want_streams = true;
        return TL_ERR_AGAIN;
    }
    int64_t id;
    if (ngtcp2_conn_open_bidi_stream(c->ng, &id, NULL))
        return TL_ERR_NOMEM;
    tl_err e = tl_qstream_new(c, id, ret_stream);
    if (!e && ngtcp2_conn_set_stream_user_data(c->ng, id, *ret_stream))
        e = TL_ERR_PROTO;
    if (e)
        c->failure = e; /* libngtcp2 has the stream, and nobody would read it */
    return e;
}

tl_err tl_quic_stream_write(tl_quic_stream *s, tl_slice data, bool fin, size_t *ret_n)
{
    if (s->fin_queued || s->reset_here || s->reset_there || s->finished)
        return TL_ERR_CLOSED;
    size_t room = tl_room_of(s);
    size_t n = data.n < room ? data.n : room;
    tl_err e = tl_chunks_append(&s->tx, tl_slice_of(data.p, n));
    if (e)
        return e;
    if (n < data.n)
        s->write_short = true;
    else
        s->fin_queued = fin;
    tl_room_take(s, n);
    tl_qstream_schedule(s);
    *ret_n = n;
    return TL_OK;
}

tl_slice tl_quic_stream_peek(const tl_quic_stream *s, bool *ret_fin)
{
    tl_slice front = tl_chunks_front(&s->rx);
    *ret_fin = s->rx_fin && front.n == s->rx.n && !s->reset_here && !s->reset_there;
    return front;
}

void tl_quic_stream_consume(tl_quic_stream *s, size_t n)
{
    tl_quic_conn *c = s->source.conn;
    if (n > s->rx.n)
        n = s->rx.n;
    if (n == 0)
        return;
    tl_chunks_drop(&s->rx, n);
    if (tl_window_on_consumed(s, n))
        c->failure = TL_ERR_NOMEM;
    tl_qconn_ready(c);
    tl_qstream_settle(s);
}

void tl_quic_stream_reset(tl_quic_stream *s, uint64_t code)
{
    tl_quic_conn *c = s->source.conn;
    if (s->reset_here || tl_quic_noted(&s->source, TL_QUIC_STREAM_CLOSED))
        return;
    bool told = s->reset_there;
    s->reset_here = true;
    cut(s);
    tl_quic_unnote(&s->source, TL_QUIC_STREAM_OPENED);
    tl_quic_unnote(&s->source, TL_QUIC_STREAM_RESET);
    if (c->ng && !s->finished && !told) {
        if (tl_ngtcp2_shutdown(c->ng, s->id, code))
            c->failure = TL_ERR_NOMEM;
        tl_qconn_ready(c);
    }
    tl_qstream_settle(s);
}

uint64_t tl_quic_stream_id(const tl_quic_stream *s)
{
    return (uint64_t)s->id;
}

tl_quic_conn *tl_quic_stream_conn(const tl_quic_stream *s)
{
    return s->source.conn;
}

void tl_quic_stream_set_user(tl_quic_stream *s, void *user)
{
    s->user = user;
}

void *tl_quic_stream_user(const tl_quic_stream *s)
{
    return s->user;
}
