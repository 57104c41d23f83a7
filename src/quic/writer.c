#include "quic/writer.h"

#include "quic/acks.h"
#include "quic/conn.h"
#include "quic/paths.h"
#include "quic/quiet.h"
#include "quic/size.h"
#include "quic/stream.h"
#include "quic/timed.h"
#include "quic/version.h"

#include <assert.h>
#include <utlist.h>

#define SEGMENTS_MAX 64 /* Linux UDP_MAX_SEGMENTS */
#define SLICES_MAX   4  /* chunks one packet may span; the rest goes into the next */
#define PROBES_MAX   64 /* streams looked at per batch */

/* libngtcp2 tells of a STOP_SENDING only when the stream is wholly over, a round trip later. But it
 * refuses to write from the moment the STOP_SENDING came. So we ask for an impossible length, which
 * writes nothing: libngtcp2 checks SHUT_WR first, and answers INVALID_ARGUMENT for a healthy
 * stream. */
static bool peer_stopped(tl_quic_conn *c, const tl_quic_stream *s)
{
    ngtcp2_vec impossible = {NULL, NGTCP2_MAX_VARINT + 1};
    tl_timed_offer o = {.id = s->id, .vec = &impossible, .count = 1};
    return tl_timed_write(c, NULL, NULL, 0, &o, NULL, c->now) == NGTCP2_ERR_STREAM_SHUT_WR;
}

static void look_at_streams(tl_quic_conn *c)
{
    for (int i = 0; i < PROBES_MAX && c->streams; i++) {
        tl_quic_stream *s = c->probe ? c->probe : c->streams;
        if (!s->finished && !s->fin_sent && !s->reset_here && !s->reset_there && peer_stopped(c, s))
            tl_qstream_on_stopped(s);
        tl_size_on_stream(c, s, c->now);
        c->probe = s->next;
        if (!c->probe)
            break; /* once around the list is enough */
    }
}

static bool is_settling(const tl_quic_conn *c)
{
    return c->moves_unsettled >= TL_QUIC_MOVES_SETTLE;
}

/* The stream whose turn it is; NULL: none may send. When the connection's credit is spent, only a
 * fin without bytes can go. */
static tl_quic_stream *pick(tl_quic_conn *c)
{
    if (!c->sendable || c->state != TL_QUIC_OPEN || is_settling(c))
        return NULL;
    if (ngtcp2_conn_get_max_data_left(c->ng))
        return c->sendable;
    tl_quic_stream *s;
    DL_FOREACH2(c->sendable, s, send_next)
    if (s->tx.sent == s->tx.n)
        return s;
    return NULL;
}

/* What waits must wait for an acknowledgement: the congestion window is full. */
static bool is_full(const tl_quic_conn *c)
{
    return c->sendable && ngtcp2_conn_get_cwnd_left(c->ng) == 0;
}

/* The bytes of a stream that go into one packet. */
typedef struct {
    ngtcp2_vec vec[SLICES_MAX];
    size_t count, n;
    bool fin;
} offer;

static void make_offer(const tl_quic_stream *s, offer *o)
{
    tl_slice slices[SLICES_MAX];
    o->count = tl_chunks_unsent(&s->tx, TL_QUIC_PACKET_MAX, slices, SLICES_MAX);
    o->n = 0;
    for (size_t i = 0; i < o->count; i++) {
        o->vec[i] = (ngtcp2_vec){(uint8_t *)(uintptr_t)slices[i].p, slices[i].n};
        o->n += slices[i].n;
    }
    o->fin = s->fin_queued && s->tx.sent + o->n == s->tx.n;
}

/* `n` bytes of the offer are in a packet. */
static void account(tl_quic_stream *s, const offer *o, size_t n)
{
    if (s->tx.sent == 0)
        s->acked_at = s->source.conn->now;
    tl_chunks_advance(&s->tx, n);
    if (o->fin && n == o->n)
        s->fin_sent = true;
    tl_qstream_unschedule(s);
    tl_qstream_schedule(s); /* at the end of the list, if it has more */
}

/* A stream could not be written. False: the connection cannot be written either. */
static bool set_aside(tl_quic_stream *s, ngtcp2_ssize rv)
{
    switch (rv) {
    case NGTCP2_ERR_STREAM_DATA_BLOCKED: /* waits for extend_max_stream_data */
    case NGTCP2_ERR_STREAM_NOT_FOUND: tl_qstream_unschedule(s); return true;
    case NGTCP2_ERR_STREAM_SHUT_WR: tl_qstream_on_stopped(s); return true;
    default: return false;
    }
}

/* Writes one packet. 0: there is nothing to send, or not now. */
static ngtcp2_ssize write_packet(tl_quic_conn *c, uint8_t *dest, tl_time now, tl_path_id *ret_path)
{
    ngtcp2_path_storage ps;
    ngtcp2_path_storage_zero(&ps);
    for (;;) {
        tl_quic_stream *s = pick(c);
        offer o = {.count = 0};
        uint32_t flags = NGTCP2_WRITE_STREAM_FLAG_NONE;
        ngtcp2_ssize taken = -1;
        if (s) {
            make_offer(s, &o);
            flags = NGTCP2_WRITE_STREAM_FLAG_MORE | (o.fin ? NGTCP2_WRITE_STREAM_FLAG_FIN : 0);
        }
        tl_timed_offer what = {s ? s->id : -1, o.vec, o.count, flags};
        ngtcp2_ssize n =
            tl_timed_write(c, &ps.path, dest, tl_size_limit(c, now), &what, &taken, now);
        if (s && taken >= 0)
            account(s, &o, (size_t)taken);
        if (n == NGTCP2_ERR_WRITE_MORE)
            continue; /* there is room left in this packet for the next stream */
        if (n < 0 && s && set_aside(s, n))
            continue;
        if (n > 0)
            *ret_path = tl_quic_path_get(&ps.path, c->client);
        return n;
    }
}

static void hold(tl_quic *q, tl_path_id path, const uint8_t *packet, size_t n)
{
    assert(q->held.n == 0);
    q->held.path = path;
    q->held.n = n;
    memcpy(q->held.packet, packet, n);
}

/* Is everything sent acknowledged, with nothing waiting? Then all RETIRE_CONNECTION_ID are
 * acknowledged too, and the moves have settled. False: not yet. */
static bool settle_moves(tl_quic_conn *c)
{
    tl_ngtcp2_info info;
    if (c->moves_unsettled == 0)
        return true;
    tl_ngtcp2_get_info(c->ng, &info);
    if (info.bytes_in_flight == 0)
        c->moves_unsettled = 0;
    return c->moves_unsettled == 0;
}

/* Where nothing waits to be sent, a timer of libngtcp2 that is due so soon counts as due. On a short path
 * that is the acknowledgement of a packet that came alone (an eighth of the round trip): it leaves
 * with this turn of the loop, and not with a turn of its own. Times told later are not before this one
 * (timed.h), so the round trip seems shorter by no more than that. */
#define SOON (200 * TL_US)

/* libngtcp2 0.12 may send so much before the end of a pause, and forgets the pause when it is told the time
 * within this span. */
#define EARLY TL_MS

/* All that may be sent now is sent. If nothing waits, or what waits is for an acknowledgement to make
 * room in the congestion window, pacing is told only before the next packet, so that the end of a pause
 * does not wake a node that cannot send then. A timer that is due by now may lead to more to send: then the
 * connection stays ready. */
static void rest(tl_quic_conn *c)
{
    bool full = is_full(c);
    if (c->sendable && !full)
        tl_timed_pause(c);
    else if (!c->sendable)
        (void)settle_moves(c);
    tl_time due = tl_acks_expiry(c), soon = c->now + (c->sendable ? 0 : SOON);
    if (c->expired_at != c->now && (due <= soon || (full && due <= c->now + EARLY))) {
        (void)tl_qconn_on_timer(c, full ? c->now : tl_time_max(due, c->now));
        return;
    }
    tl_qconn_not_ready(c);
    tl_qconn_update_expiry(c);
}

bool tl_writer_fill(tl_quic_conn *c, uint8_t *buf, tl_time now, tl_quic_output *ret_output)
{
    tl_quic_output out = {0};
    if (c->failure) {
        tl_qconn_fail(c, NGTCP2_ERR_CALLBACK_FAILURE, now);
        return false;
    }
    tl_timed_begin(c, now);
    if (!is_full(c))
        tl_timed_pause(c);
    look_at_streams(c);
    size_t quantum = ngtcp2_conn_get_send_quantum(c->ng);
    size_t count = 0;
    ngtcp2_ssize rv = 0;
    while (count < SEGMENTS_MAX && out.n + TL_QUIC_PACKET_MAX <= TL_QUIC_OUTPUT_MAX) {
        if (c->burst >= quantum)
            tl_timed_pause(c);
        tl_path_id path = 0;
        rv = write_packet(c, buf + out.n, now, &path);
        if (rv == 0 && is_settling(c) && settle_moves(c))
            continue; /* what waited for this may go now */
        if (rv <= 0)
            break;
        size_t n = (size_t)rv;
        tl_quic_version_out(buf + out.n, n);
        tl_timed_sent(c, n);
        if (count == 0) {
            out.path = path;
            out.segment = n;
        } else if (path != out.path || n > out.segment) {
            hold(c->quic, path, buf + out.n, n);
            break;
        }
        out.n += n;
        count++;
        if (n < out.segment)
            break;
    }
    tl_quiet_on_sent(c);
    if (rv == NGTCP2_ERR_NO_VIABLE_PATH)
        tl_qconn_bar(c);
    else if (rv == 0)
        rest(c);
    else if (rv < 0)
        tl_qconn_fail(c, (int)rv, now);
    if (out.n == 0)
        return false;
    *ret_output = out;
    return true;
}
