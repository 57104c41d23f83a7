/* size.h - how large a packet may be: libngtcp2's path MTU discovery finds what a path carries, but
 * never notices that the path carries less later (a router or tunnel changed, and no ICMP message
 * tells). Only answers; writes nothing. */
#ifndef TL_QUIC_SIZE_H
#define TL_QUIC_SIZE_H

#include "quic/state.h"

/* Bytes to offer libngtcp2 for the next packet. */
size_t tl_size_limit(const tl_quic_conn *c, tl_time now);
/* To call after libngtcp2 was told of its timer. Two probe timeouts in a row with large packets
 * under way mean that large packets vanish. Packets then keep to the size that every path carries,
 * until it is time to try larger ones again. */
void tl_size_on_timer(tl_quic_conn *c, tl_time now);
/* Does the same when a stream's bytes are under way for long and none of them is acknowledged.
 * Small packets of other streams may arrive in this time, and then there is no probe timeout. */
void tl_size_on_stream(tl_quic_conn *c, const tl_quic_stream *s, tl_time now);
/* The connection is on another path: all begins anew. */
void tl_size_on_path(tl_quic_conn *c);

#endif
