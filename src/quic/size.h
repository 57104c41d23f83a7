/* size.h - how large a packet may be: libngtcp2's path MTU discovery finds what a path carries, but
 * never notices that the path carries less later (a router or tunnel changed, and no ICMP message
 * tells). Only answers; writes nothing. */
#ifndef TL_QUIC_SIZE_H
#define TL_QUIC_SIZE_H

#include "quic/state.h"

/* Bytes to offer libngtcp2 for the next packet. */
size_t tl_size_limit(const tl_quic_conn *c, tl_time now);
/* To call after libngtcp2 was told of its timer. Two probe timeouts in a row with large packets
 * under way are a sign that large packets vanish. Packets then keep to the size that every path
 * carries for 10 s. If large ones vanish again when they are tried again, that is a black hole: it
 * is counted, and packets keep small for 10 minutes. An outage gives the first sign, too, but not
 * the second. */
void tl_size_on_timer(tl_quic_conn *c, tl_time now);
/* Does the same when a stream's bytes are under way for long and none of them is acknowledged.
 * Small packets of other streams may arrive in this time, and then there is no probe timeout. */
void tl_size_on_stream(tl_quic_conn *c, const tl_quic_stream *s, tl_time now);
/* Something that was under way was acknowledged. */
void tl_size_on_ack(tl_quic_conn *c);
/* The connection is on another path: all begins anew. */
void tl_size_on_path(tl_quic_conn *c);

#endif
