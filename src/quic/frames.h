/* frames.h - finds frames in a decrypted packet that make libngtcp2 0.12 abort and that our
 * protocol does not use. A pure function on bytes; judges nothing else.
 *
 * Any peer can make libngtcp2 abort the process: it sends a NEW_CONNECTION_ID with a Retire Prior
 * To, and then an older ID twice. None of our nodes retires IDs that way. So the field must be
 * 0. */
#ifndef TL_QUIC_FRAMES_H
#define TL_QUIC_FRAMES_H

#include "base/slice.h"

/* False: there is a frame that must not reach the library. A malformed frame is left to the
 * library: it stops reading there, as this function does. */
bool tl_frames_are_bearable(tl_slice frames);

#endif
