/* size.h - how large a packet may be: libngtcp2's path MTU discovery finds what a path carries, but
 * never notices when it comes to carry less (a router or tunnel changed, and no ICMP tells). Only
 * answers; writes nothing. */
#ifndef TL_QUIC_SIZE_H
#define TL_QUIC_SIZE_H

#include "quic/state.h"

/* Bytes to offer libngtcp2 for the next packet. */
size_t tl_size_limit(const tl_quic_conn *c, tl_time now);
/* After libngtcp2 was told of its timer: two probe timeouts in a row with large packets under way
 * mean that they vanish. Packets then stay at what every path carries, until it is time to look
 * again. */
void tl_size_on_timer(tl_quic_conn *c, tl_time now);
/* The same when a stream's bytes have been under way for long without one being acknowledged: small
 * packets of others may arrive all the while, and then there is no probe timeout. */
void tl_size_on_stream(tl_quic_conn *c, const tl_quic_stream *s, tl_time now);
/* Another path begins anew. */
void tl_size_on_path(tl_quic_conn *c);

#endif
