/* acks.h - when the acknowledgement of a packet that came alone leaves. Decides only when
 * libngtcp2 is called again; writes no packet.
 *
 * libngtcp2 acknowledges every second packet at once, and one that comes alone after an eighth of the
 * round trip. The tokens of an answer come alone, one after the other. Where the last two of them came
 * within TL_ACKS_HOLD, the next is awaited so long, and one acknowledgement tells of two. So the
 * peer of a stream of tokens sleeps through every second token.
 *
 *   held:  the packet brought bytes of a stream and not its end,
 *          the one before it came less than TL_ACKS_HOLD earlier,
 *          nothing of ours is under way (its timers are libngtcp2's own),
 *          and the timer for which libngtcp2 asks is that of this acknowledgement.
 *
 * TL_ACKS_HOLD is less than the max_ack_delay of RFC 9000 18.2, which the peer adds to its timeouts,
 * and leaves a loop 3 ms to wake. */
#ifndef TL_QUIC_ACKS_H
#define TL_QUIC_ACKS_H

#include "quic/state.h"

#define TL_ACKS_HOLD (35 * TL_MS)
#define TL_ACKS_MAX  (40 * TL_MS) /* told to the peer: max_ack_delay */

/* A datagram was read. While it was read, c->data_came and c->end_came were set. */
void tl_acks_on_read(tl_quic_conn *c);

/* When libngtcp2 wants to be called: its own time, or that of the acknowledgement that is held. */
TL_CHECK tl_time tl_acks_expiry(const tl_quic_conn *c);

#endif
