/* tomb.h - what outlives a connection: the CONNECTION_CLOSE that ended it, repeated to a peer that
 * has not heard it. Also the datagrams that belong to no living connection and wait to be sent.
 * Opens no packets. */
#ifndef TL_QUIC_TOMB_H
#define TL_QUIC_TOMB_H

#include "quic/state.h"

/* Takes over the connection's IDs and sends `packet` once. Without memory, or with too many tombs,
 * the peer notices the end only by its idle timeout. */
void tl_quic_tomb_raise(tl_quic_conn *c, tl_path_id path, tl_slice packet, tl_time now);
/* A datagram came for a closed connection. */
void tl_quic_tomb_on_datagram(tl_quic *q, tl_quic_tomb *t, tl_path_id path);
/* When the oldest tomb is to be freed; TL_NEVER: there is none. */
tl_time tl_quic_tombs_expiry(const tl_quic *q);
void tl_quic_tombs_on_timer(tl_quic *q, tl_time now);
void tl_quic_tombs_clear(tl_quic *q);

/* Copies the packet. If too many wait, it is dropped. */
void tl_quic_loose_push(tl_quic *q, tl_path_id path, tl_slice packet);
/* Writes the oldest waiting packet into `buf` (TL_QUIC_PACKET_MAX bytes). False: none waits. */
bool tl_quic_loose_pop(tl_quic *q, uint8_t *buf, tl_quic_output *ret_output);

#endif
