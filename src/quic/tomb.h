/* tomb.h - what outlives a connection: the CONNECTION_CLOSE it ended with, repeated to a peer that
 * has not heard it; and datagrams outside any connection, waiting to be sent. */
#ifndef TL_QUIC_TOMB_H
#define TL_QUIC_TOMB_H

#include "quic/state.h"

/* Takes over the connection's IDs and sends `packet` once. Without memory, or with too many tombs,
 * the peer learns by its idle timeout. */
void tl_quic_tomb_raise(tl_quic_conn *c, tl_path_id path, tl_slice packet, tl_time now);
/* A datagram came for it. */
void tl_quic_tomb_on_datagram(tl_quic *q, tl_quic_tomb *t, tl_path_id path);
/* When the oldest is to go; TL_NEVER: there is none. */
tl_time tl_quic_tombs_expiry(const tl_quic *q);
void tl_quic_tombs_on_timer(tl_quic *q, tl_time now);
void tl_quic_tombs_clear(tl_quic *q);

/* Copies. Dropped when too many wait. */
void tl_quic_loose_push(tl_quic *q, tl_path_id path, tl_slice packet);
/* Writes the oldest into `buf` (TL_QUIC_PACKET_MAX bytes). */
bool tl_quic_loose_pop(tl_quic *q, uint8_t *buf, tl_quic_output *ret_output);

#endif
