/* frames.h - reads the frames of a decrypted packet before libngtcp2 does: finds those that make
 * libngtcp2 0.12 abort and that our protocol does not use, and lists what STREAM frames bring. A
 * pure function on bytes.
 *
 * Any peer can make libngtcp2 abort the process: it sends a NEW_CONNECTION_ID with a Retire Prior
 * To, and then an older ID twice. None of our nodes retires IDs that way. So the field must be
 * 0. */
#ifndef TL_QUIC_FRAMES_H
#define TL_QUIC_FRAMES_H

#include "base/slice.h"

/* The bytes of a stream that one frame brings. */
typedef struct {
    uint64_t id, begin, end;
} tl_frames_stream;
#define TL_FRAMES_STREAMS_MAX 16 /* bulk has one in a packet; what is beyond is not listed */
typedef struct {
    tl_frames_stream v[TL_FRAMES_STREAMS_MAX];
    size_t n;
} tl_frames_streams;

/* False: there is a frame that must not reach the library. A malformed frame is left to the
 * library: it stops reading there, as this function does. Frames without bytes are not listed. */
bool tl_frames_are_bearable(tl_slice frames, tl_frames_streams *ret_streams);

#endif
