#include "quic/size.h"

#include "quic/quiet.h"

#define SIZE_BASE   1200           /* RFC 9000 14: every path must carry this */
#define TIMEOUTS    2              /* one may be chance, at the end of a burst */
#define STUCK_AFTER TL_SEC         /* many times what it takes to mend a loss on any path */
#define SMALL_FOR   (600 * TL_SEC) /* RFC 8899 5.1.1, PMTU_RAISE_TIMER */

size_t tl_size_limit(const tl_quic_conn *c, tl_time now)
{
    return now < c->small_until ? SIZE_BASE : TL_QUIC_PACKET_MAX;
}

static void stay_small(tl_quic_conn *c, tl_time now)
{
    if (now < c->small_until || ngtcp2_conn_get_path_max_tx_udp_payload_size(c->ng) <= SIZE_BASE)
        return;
    c->small_until = now + SMALL_FOR;
    c->quic->counters.black_holes++;
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
    c->small_until = 0;
}
