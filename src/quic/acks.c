#include "quic/acks.h"

/* As libngtcp2 counts, 0.12 to 1.11. Were it otherwise, the times would differ, and nothing be held. */
#define SHARE_OF_ROUND_TRIP 8

void tl_acks_on_read(tl_quic_conn *c)
{
    bool of_data = c->data_came && !c->end_came;
    c->data_came = c->end_came = false;
    c->ack_due = 0;
    if (!of_data)
        return;
    tl_time since = c->now - c->data_at;
    c->data_at = c->now;
    if (since >= TL_ACKS_HOLD || c->state != TL_QUIC_OPEN)
        return;
    tl_ngtcp2_info info;
    tl_ngtcp2_get_info(c->ng, &info);
    if (info.bytes_in_flight == 0)
        c->ack_due = c->now + info.smoothed_rtt / SHARE_OF_ROUND_TRIP;
}

tl_time tl_acks_expiry(const tl_quic_conn *c)
{
    tl_time expiry = ngtcp2_conn_get_expiry(c->ng);
    return c->ack_due && expiry == c->ack_due ? c->data_at + TL_ACKS_HOLD : expiry;
}
