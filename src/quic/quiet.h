/* quiet.h - how long the peer has acknowledged nothing of what was sent to it, counted in probe
 * timeouts (RFC 9002 6.2), because libngtcp2 1.x does not tell its own count. Only looks; sends
 * nothing.
 *
 *   n timeouts: bytes are under way, and for PTO x (2^n - 1) none was acknowledged */
#ifndef TL_QUIC_QUIET_H
#define TL_QUIC_QUIET_H

#include "quic/state.h"

/* Packets were written: time counts from the first packet that is not acknowledged. */
void tl_quiet_on_sent(tl_quic_conn *c);
/* A datagram was read. True: it acknowledged something. */
bool tl_quiet_on_read(tl_quic_conn *c);
/* The connection is on another path: counting begins anew. */
void tl_quiet_on_path(tl_quic_conn *c);
/* The count at c->now. */
size_t tl_quiet_timeouts(const tl_quic_conn *c);

#endif
