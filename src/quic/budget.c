#include "quic/budget.h"

#include "quic/conn.h"
#include "quic/door.h"
#include "quic/window.h"

#include <utlist.h>

#define LIB_BASE        (1024 * 1024) /* an idle connection takes 65 KiB */
#define LIB_WINDOWS     3             /* in pieces of 8 KiB: twice the bytes; and the holes */
#define STREAMS_PER_SEC 32            /* of a stranger: one good answer, and it is none any more */
#define STREAMS_TOLD    16 /* a peer is told of new streams when they are a 16th of all */

static uint64_t lesser(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static tl_budget_grant known_grant(const tl_quic_config *config)
{
    return (tl_budget_grant){config->streams_max, config->conn_window, config->unread_max,
                             config->send_max};
}

static tl_budget_grant stranger_grant(const tl_quic_config *config)
{
    return (tl_budget_grant){
        .streams = (uint32_t)lesser(config->streams_max, config->stranger_streams_max),
        .conn_window = lesser(config->conn_window, config->stranger_window),
        .send_max = lesser(config->send_max, TL_BUDGET_SEND * config->stranger_window),
        .unread_max = lesser(config->unread_max, TL_BUDGET_UNREAD * config->stranger_window),
    };
}

void tl_budget_conn_init(tl_quic_conn *c)
{
    c->memory.whole = &c->quic->memory;
    c->lib_memory.whole = &c->memory;
    c->mem = tl_quic_mem(&c->lib_memory);
    c->granted = stranger_grant(&c->quic->config);
    c->streams_rate = tl_ratelimit_make(STREAMS_PER_SEC, c->granted.streams, c->now);
    tl_window_conn_init(c);
}

bool tl_budget_look_up(tl_quic_conn *c)
{
    const tl_quic *q = c->quic;
    c->known = q->knows && q->knows(q->knows_user, &c->peer);
    if (c->known)
        c->granted = known_grant(&q->config);
    tl_window_conn_init(c);
    return c->known;
}

void tl_budget_fill(const tl_quic_conn *c, ngtcp2_transport_params *params)
{
    params->initial_max_data = c->granted.conn_window;
    params->initial_max_streams_bidi = c->granted.streams;
}

void tl_budget_on_known(tl_quic_conn *c)
{
    if (c->known)
        return;
    tl_door_on_known(c);
    c->known = true;
    uint32_t streams = c->granted.streams;
    c->granted = known_grant(&c->quic->config);
    if (!c->ng)
        return;
    if (c->granted.streams > streams)
        ngtcp2_conn_extend_max_streams_bidi(c->ng, c->granted.streams - streams);
    tl_budget_on_timer(c); /* what was withheld */
    tl_window_refill(c);
    tl_qconn_ready(c);
}

/* How many the peer is told of at once: telling each alone would cost a short question two
 * datagrams more. */
static uint32_t told_at_once(const tl_quic_conn *c)
{
    return (c->granted.streams + STREAMS_TOLD - 1) / STREAMS_TOLD;
}

void tl_budget_on_timer(tl_quic_conn *c)
{
    uint32_t n = c->known ? c->streams_over : told_at_once(c);
    if (!c->ng || c->streams_over < told_at_once(c))
        return;
    if (!c->known && !tl_ratelimit_take(&c->streams_rate, n, c->now))
        return;
    ngtcp2_conn_extend_max_streams_bidi(c->ng, n);
    c->streams_over -= n;
    tl_qconn_ready(c);
}

void tl_budget_on_stream_over(tl_quic_conn *c)
{
    c->streams_over++;
    tl_budget_on_timer(c);
}

tl_time tl_budget_expiry(tl_quic_conn *c)
{
    if (c->known || c->streams_over < told_at_once(c))
        return TL_NEVER;
    return tl_ratelimit_when(&c->streams_rate, told_at_once(c), c->now);
}

static bool holds_too_much(const tl_quic_conn *c)
{
    return c->lib_memory.n > LIB_BASE + LIB_WINDOWS * c->granted.conn_window + c->sending;
}

static tl_quic_conn *largest(const tl_quic *q)
{
    tl_quic_conn *worst = NULL, *c;
    DL_FOREACH (q->conns, c)
        if (c->ng && (!worst || c->memory.n > worst->memory.n))
            worst = c;
    return worst;
}

/* What connections that have ended hold until their owner is told. */
static size_t leaving(const tl_quic *q)
{
    size_t n = 0;
    const tl_quic_conn *c;
    if (q->memory.n <= q->config.memory_max)
        return 0;
    DL_FOREACH (q->conns, c)
        n += c->ng ? 0 : c->memory.n;
    return n;
}

void tl_budget_enforce(tl_quic *q, tl_quic_conn *c, tl_time now)
{
    if (c && c->ng && holds_too_much(c)) {
        q->counters.closed_holes++;
        tl_qconn_refuse(c, "too many holes in its streams", now);
    }
    while (q->memory.n - leaving(q) > q->config.memory_max) {
        if (!(c = tl_door_heaviest(q)) && !(c = largest(q)))
            return;
        q->counters.closed_memory++;
        tl_qconn_refuse(c, "out of memory for connections", now);
    }
}
