/* room.h - how many bytes a local writer may have in the send buffers: they follow what the path
 * takes in a round trip, and are bounded for each stream, each connection and in all. Holds no
 * bytes.
 *
 *   sending of a connection <= max(2 x cwnd, 1 MiB for each stream), <= granted.send_max
 *   sending of all          <= send_memory_max; strangers add only while it is below a half
 *   each stream             may always have 16 KiB
 *
 * Twice the congestion window: what is under way, and as much again while its acknowledgement
 * comes back. A writer that finds no room waits for TL_QUIC_STREAM_WRITABLE. */
#ifndef TL_QUIC_ROOM_H
#define TL_QUIC_ROOM_H

#include "quic/state.h"

/* Bytes that a write to the stream may add now. */
size_t tl_room_of(const tl_quic_stream *s);
/* Is there so much room that waking the writer is worth its cost? Asked when bytes of the stream
 * were acknowledged. A stream without room has bytes to be acknowledged, so it is asked again. */
bool tl_room_is_worth(const tl_quic_stream *s);
void tl_room_take(tl_quic_stream *s, size_t n);
void tl_room_give_back(tl_quic_stream *s, size_t n);

#endif
