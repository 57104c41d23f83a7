#define TL_QUIC_TIMED_C
#include "quic/timed.h"

void tl_timed_sent(tl_quic_conn *c, size_t n)
{
    c->burst += n;
}

void tl_timed_pause(tl_quic_conn *c)
{
    if (c->burst)
        ngtcp2_conn_update_pkt_tx_time(c->ng, c->now);
    c->burst = 0;
}

/* libngtcp2 does not know of a burst yet. The pause after it begins when the burst was sent. If the
 * end of the pause is the first time that libngtcp2 waits for, and this time has passed, libngtcp2
 * is told of that time first: nothing else was due by then. */
static void catch_up(tl_quic_conn *c, tl_time now)
{
    tl_time before = ngtcp2_conn_get_expiry(c->ng);
    tl_timed_pause(c);
    tl_time end = ngtcp2_conn_get_expiry(c->ng);
    if (end >= before || end > now)
        return;
    if (ngtcp2_conn_handle_expiry(c->ng, end) && !c->failure)
        c->failure = TL_ERR_NOMEM; /* no other error is possible here; the writer ends the
                                      connection */
    c->now = end;
}

void tl_timed_begin(tl_quic_conn *c, tl_time now)
{
    if (now <= c->now)
        return;
    if (c->burst)
        catch_up(c, now);
    c->now = now;
}

int tl_timed_read(tl_quic_conn *c, const ngtcp2_path *path, const uint8_t *data, size_t n,
                  tl_time now)
{
    tl_timed_begin(c, now);
    return ngtcp2_conn_read_pkt(c->ng, path, NULL, data, n, c->now);
}

int tl_timed_expire(tl_quic_conn *c, tl_time now)
{
    tl_timed_begin(c, now);
    return ngtcp2_conn_handle_expiry(c->ng, c->now);
}

int tl_timed_migrate(tl_quic_conn *c, const ngtcp2_path *path, tl_time now)
{
    tl_timed_begin(c, now);
    return ngtcp2_conn_initiate_immediate_migration(c->ng, path, c->now);
}

ngtcp2_ssize tl_timed_close(tl_quic_conn *c, ngtcp2_path *ret_path, uint8_t *dest, size_t cap,
                            const ngtcp2_ccerr *err, tl_time now)
{
    tl_timed_begin(c, now);
    return ngtcp2_conn_write_connection_close(c->ng, ret_path, NULL, dest, cap, err, c->now);
}

ngtcp2_ssize tl_timed_write(tl_quic_conn *c, ngtcp2_path *ret_path, uint8_t *dest, size_t cap,
                            const tl_timed_offer *offer, ngtcp2_ssize *ret_taken, tl_time now)
{
    tl_timed_begin(c, now);
    return ngtcp2_conn_writev_stream(c->ng, ret_path, NULL, dest, cap, ret_taken, offer->flags,
                                     offer->id, offer->vec, offer->count, c->now);
}
