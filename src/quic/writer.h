/* writer.h - fills output buffers with a connection's packets, back to back as UDP_SEGMENT wants
 * them. Decides which stream goes next. libngtcp2 makes the packets; nothing is sent here. */
#ifndef TL_QUIC_WRITER_H
#define TL_QUIC_WRITER_H

#include "quic/state.h"

/* Writes what `c` may send now, at most one batch. False: nothing. Then `c` is no longer ready and
 * its expiry is up to date, or it has ended. A packet that does not fit the batch (another path, a
 * larger PMTU probe) is left in q->held and goes first next time. */
bool tl_writer_fill(tl_quic_conn *c, uint8_t *buf, tl_time now, tl_quic_output *ret_output);

#endif
