#include "quic/size.h"

#define SIZE_BASE 1200           /* RFC 9000 14: a path that carries less is none */
#define TIMEOUTS  2              /* one may be bad luck at the end of a burst */
#define SMALL_FOR (600 * TL_SEC) /* RFC 8899 5.1.1, PMTU_RAISE_TIMER */

size_t tl_size_limit(const tl_quic_conn *c, tl_time now)
{
    return now < c->small_until ? SIZE_BASE : TL_QUIC_PACKET_MAX;
}

void tl_size_on_timer(tl_quic_conn *c, tl_time now)
{
    if (tl_ngtcp2_pto_count(c->ng) < TIMEOUTS || now < c->small_until ||
        ngtcp2_conn_get_path_max_tx_udp_payload_size(c->ng) <= SIZE_BASE)
        return;
    c->small_until = now + SMALL_FOR;
    c->quic->counters.black_holes++;
}

void tl_size_on_path(tl_quic_conn *c)
{
    c->small_until = 0;
}
