#include "quic/window.h"

#include <assert.h>

#define GROW_WITHIN_RTTS 2 /* if half a window is read in less, the sender waits for credit */
#define GIVE_AT_ONCE                                                                               \
    8 /* credit is told when so many parts of the window would be one: each telling is
                              a packet that the peer must acknowledge */

uint64_t tl_window_first(const tl_quic_config *config)
{
    return config->stream_window < TL_WINDOW_FIRST ? config->stream_window : TL_WINDOW_FIRST;
}

void tl_window_conn_init(tl_quic_conn *c)
{
    c->credit = c->granted.conn_window;
    c->unread = c->grown = 0;
}

void tl_window_stream_init(tl_quic_stream *s)
{
    s->window = tl_window_first(&s->source.conn->quic->config);
    s->round_n = 0;
    s->round_at = s->source.conn->now;
}

/* Changes the window, and with it the sum of what the connection's windows have grown by. */
static void resize(tl_quic_stream *s, uint64_t window)
{
    s->source.conn->grown += window - s->window; /* modulo 2^64: a window that shrinks subtracts */
    s->window = window;
}

void tl_window_stream_clear(tl_quic_stream *s)
{
    resize(s, tl_window_first(&s->source.conn->quic->config));
}

void tl_window_refill(tl_quic_conn *c)
{
    const tl_budget_grant *g = &c->granted;
    uint64_t bound = g->unread_max > g->conn_window ? g->unread_max : g->conn_window;
    uint64_t room = bound > c->unread ? bound - c->unread : 0;
    uint64_t target = room < g->conn_window ? room : g->conn_window;
    if (c->ng && target > c->credit) {
        ngtcp2_conn_extend_max_offset(c->ng, target - c->credit);
        c->credit = target;
    }
}

void tl_window_on_received(tl_quic_stream *s, size_t n)
{
    tl_quic_conn *c = s->source.conn;
    c->credit -= n < c->credit ? n : c->credit; /* libngtcp2 lets no more than the credit in */
    c->unread += n;
    tl_window_refill(c);
}

void tl_window_on_dropped(tl_quic_stream *s, size_t n)
{
    tl_quic_conn *c = s->source.conn;
    assert(n <= c->unread);
    c->unread -= n;
    tl_window_refill(c);
}

/* The next size of the window, after half of it was read since the round began. */
static uint64_t next_size(const tl_quic_stream *s)
{
    const tl_quic_conn *c = s->source.conn;
    const tl_quic_config *config = &c->quic->config;
    if (s->rx.n > s->window / 2) {
        uint64_t first = tl_window_first(config);
        return s->window / 2 > first ? s->window / 2 : first;
    }
    tl_ngtcp2_info info;
    tl_ngtcp2_get_info(c->ng, &info);
    bool hungry = c->now - s->round_at < GROW_WITHIN_RTTS * info.smoothed_rtt;
    uint64_t larger = 2 * s->window < config->stream_window ? 2 * s->window : config->stream_window;
    if (!hungry || c->grown + (larger - s->window) > c->granted.unread_max / 2)
        return s->window;
    return larger;
}

tl_err tl_window_on_consumed(tl_quic_stream *s, size_t n)
{
    tl_quic_conn *c = s->source.conn;
    tl_window_on_dropped(s, n);
    if (!c->ng || s->finished)
        return TL_OK;
    uint64_t give = n;
    s->round_n += n;
    if (s->round_n >= s->window / 2) {
        uint64_t was = s->window;
        resize(s, next_size(s));
        s->round_n = 0;
        s->round_at = c->now;
        if (s->window >= was)
            give += s->window - was;
        else
            s->owed += was - s->window;
    }
    uint64_t kept = give < s->owed ? give : s->owed;
    s->owed -= kept;
    s->give += give - kept;
    if (!s->give || s->give < s->window / GIVE_AT_ONCE)
        return TL_OK;
    give = s->give;
    s->give = 0;
    return ngtcp2_conn_extend_max_stream_offset(c->ng, s->id, give) ? TL_ERR_NOMEM : TL_OK;
}
