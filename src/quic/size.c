#include "quic/size.h"

#include "quic/quiet.h"

#define SIZE_BASE   1200           /* RFC 9000 14: every path must carry this */
#define TIMEOUTS    2              /* one may be chance, at the end of a burst */
#define STUCK_AFTER TL_SEC         /* many times what it takes to mend a loss on any path */
#define TRY_AFTER   (10 * TL_SEC)  /* at the first sign, which chance may give */
#define AGAIN       (10 * TL_SEC)  /* a second sign so soon after the first trial is no chance */
#define SMALL_FOR   (600 * TL_SEC) /* RFC 8899 5.1.1, PMTU_RAISE_TIMER */

size_t tl_size_limit(const tl_quic_conn *c, tl_time now)
{
    return now < c->small_until ? SIZE_BASE : TL_QUIC_PACKET_MAX;
}

static void stay_small(tl_quic_conn *c, tl_time now)
{
    if (now < c->small_until || ngtcp2_conn_get_path_max_tx_udp_payload_size(c->ng) <= SIZE_BASE)
        return;
    bool again = c->hole_suspected && now < c->small_until + AGAIN;
    c->small_since = now;
    c->hole_suspected = !again;
    c->small_until = now + (again ? SMALL_FOR : TRY_AFTER);
    c->quic->counters.black_holes += again;
}

/* Small packets that are answered at once get through where large ones did not. But if their answer
 * takes longer than two probe timeouts, they were lost, too: the path was out, whatever the size. */
void tl_size_on_ack(tl_quic_conn *c)
{
    if (!c->small_since)
        return;
    if (c->hole_suspected && c->now > c->small_since + 2 * ngtcp2_conn_get_pto(c->ng)) {
        c->hole_suspected = false;
        c->small_until = 0;
    }
    c->small_since = 0;
}

void tl_size_on_timer(tl_quic_conn *c, tl_time now)
{
    if (tl_quiet_timeouts(c) >= TIMEOUTS)
        stay_small(c, now);
}

void tl_size_on_stream(tl_quic_conn *c, const tl_quic_stream *s, tl_time now)
{
    if (s->tx.sent && now > s->acked_at + STUCK_AFTER)
        stay_small(c, now);
}

void tl_size_on_path(tl_quic_conn *c)
{
    c->small_until = c->small_since = 0;
    c->hole_suspected = false;
}
