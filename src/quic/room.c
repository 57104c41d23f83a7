#include "quic/room.h"

#include <assert.h>

#define STREAM_FLOOR                                                                               \
    (1024 * 1024)              /* fills any path of up to 1 ms, and pauses in the writer's loop */
#define STREAM_MIN (16 * 1024) /* an answer made of tokens goes on when all else is spent */
#define WORTH      (STREAM_FLOOR / 4)

static uint64_t lesser(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t left(uint64_t bound, uint64_t n)
{
    return bound > n ? bound - n : 0;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static uint64_t window_of(const tl_quic_conn *c)
{
    tl_ngtcp2_info info;
    if (!c->ng)
        return 0;
    tl_ngtcp2_get_info(c->ng, &info);
    return info.cwnd;
}

size_t tl_room_of(const tl_quic_stream *s)
{
    const tl_quic_conn *c = s->source.conn;
    uint64_t all = c->quic->config.send_memory_max;
    uint64_t own = left(STREAM_FLOOR, s->tx.n), shared = left(2 * window_of(c), c->sending);
    uint64_t room = lesser(larger(own, shared), left(c->granted.send_max, c->sending));
    room = lesser(room, left(c->known ? all : all / 2, c->quic->sending));
    return (size_t)larger(room, left(STREAM_MIN, s->tx.n));
}

bool tl_room_is_worth(const tl_quic_stream *s)
{
    return s->tx.n <= STREAM_MIN / 2 || tl_room_of(s) >= WORTH;
}

void tl_room_take(tl_quic_stream *s, size_t n)
{
    s->source.conn->sending += n;
    s->source.conn->quic->sending += n;
}

void tl_room_give_back(tl_quic_stream *s, size_t n)
{
    tl_quic_conn *c = s->source.conn;
    assert(n <= c->sending && c->sending <= c->quic->sending);
    c->sending -= n;
    c->quic->sending -= n;
}
