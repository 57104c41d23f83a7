#include "quic/acks.h"

/* As libngtcp2 counts, 0.12 to 1.11. Were it otherwise, the times would differ, and nothing be held. */
#define SHARE_OF_ROUND_TRIP 8

void tl_acks_on_read(tl_quic_conn *c)
{
    bool of_data = c->data_came && !c->end_came;
    c->data_came = c->end_came = false;
    c->ack_may_wait = of_data && c->now - c->data_at < TL_ACKS_HOLD && c->state == TL_QUIC_OPEN;
    if (of_data)
        c->data_at = c->now;
}

tl_time tl_acks_expiry(const tl_quic_conn *c)
{
    tl_time expiry = ngtcp2_conn_get_expiry(c->ng);
    if (!c->ack_may_wait)
        return expiry;
    tl_ngtcp2_info info;
    tl_ngtcp2_get_info(c->ng, &info);
    bool held =
        info.bytes_in_flight == 0 && expiry == c->data_at + info.smoothed_rtt / SHARE_OF_ROUND_TRIP;
    return held ? c->data_at + TL_ACKS_HOLD : expiry;
}
