/* timed.h - the calls into libngtcp2 that hand it a time. So this module keeps the clock of each
 * connection. Looks into no packets.
 *
 *   time told >= every time told before
 *
 * libngtcp2 1.x ends the process when its time goes back. The `now` of our callers may go back: an
 * event loop reads its clock once for several calls. A `now` before the last time told becomes that
 * last time.
 *
 * The library is told late of bytes that pacing must count, because the end of a pause would wake a
 * node that has nothing to send. The number of bytes sent waits in c->burst until there is more to
 * send, or until the library is to hear a later time. Then the library first hears of these bytes,
 * at the time they were sent. If their pause is over by then, it also hears when the pause ended.
 * So a pause never begins late. And 1.x, which lets a sender catch up on time lost at the end of a
 * pause, counts no idle time as lost.
 *
 * No other file in this room can make these calls: their names are poisoned below. */
#ifndef TL_QUIC_TIMED_H
#define TL_QUIC_TIMED_H

#include "quic/state.h"

/* The calls that follow happen at `now`. Sets c->now to `now`, or to the latest time told before if
 * that is later. */
void tl_timed_begin(tl_quic_conn *c, tl_time now);

/* Each of these calls begins with tl_timed_begin and tells c->now to libngtcp2, whose result it
 * returns. */
TL_CHECK int tl_timed_read(tl_quic_conn *c, const ngtcp2_path *path, const uint8_t *data, size_t n,
                           tl_time now);
TL_CHECK int tl_timed_expire(tl_quic_conn *c, tl_time now);
TL_CHECK int tl_timed_migrate(tl_quic_conn *c, const ngtcp2_path *path, tl_time now);
TL_CHECK ngtcp2_ssize tl_timed_close(tl_quic_conn *c, ngtcp2_path *ret_path, uint8_t *dest,
                                     size_t cap, const ngtcp2_ccerr *err, tl_time now);

/* The bytes of a stream that are to go into a packet; id -1: of no stream. */
typedef struct {
    int64_t id;
    const ngtcp2_vec *vec;
    size_t count;
    uint32_t flags;
} tl_timed_offer;
/* With `dest` NULL and cap 0 it writes nothing and only returns what libngtcp2 would answer. The
 * caller must tell each packet written with tl_timed_sent. */
TL_CHECK ngtcp2_ssize tl_timed_write(tl_quic_conn *c, ngtcp2_path *ret_path, uint8_t *dest,
                                     size_t cap, const tl_timed_offer *offer,
                                     ngtcp2_ssize *ret_taken, tl_time now);

/* --- pacing --- */
/* A packet of `n` bytes was written and leaves now. */
void tl_timed_sent(tl_quic_conn *c, size_t n);
/* The bytes sent so far were sent at c->now: their pause begins there. */
void tl_timed_pause(tl_quic_conn *c);

#ifndef TL_QUIC_TIMED_C
#undef ngtcp2_conn_read_pkt
#undef ngtcp2_conn_write_pkt
#undef ngtcp2_conn_write_stream
#undef ngtcp2_conn_writev_stream
#undef ngtcp2_conn_writev_datagram
#undef ngtcp2_conn_write_connection_close
#pragma GCC poison ngtcp2_conn_read_pkt ngtcp2_conn_read_pkt_versioned
#pragma GCC poison ngtcp2_conn_write_pkt ngtcp2_conn_write_pkt_versioned
#pragma GCC poison ngtcp2_conn_write_stream ngtcp2_conn_write_stream_versioned
#pragma GCC poison ngtcp2_conn_writev_stream ngtcp2_conn_writev_stream_versioned
#pragma GCC poison ngtcp2_conn_writev_datagram ngtcp2_conn_writev_datagram_versioned
#pragma GCC poison ngtcp2_conn_write_connection_close ngtcp2_conn_write_connection_close_versioned
#pragma GCC poison ngtcp2_conn_handle_expiry ngtcp2_conn_update_pkt_tx_time
#pragma GCC poison ngtcp2_conn_initiate_migration ngtcp2_conn_initiate_immediate_migration
#pragma GCC poison ngtcp2_conn_initiate_key_update
#endif

#endif
