/* frames.h - a look at the frames of a decrypted packet, for what libngtcp2 0.12 cannot bear and
 * our protocol has no use for. Pure function on bytes; judges nothing else.
 *
 * NEW_CONNECTION_ID with a Retire Prior To, followed by the same older ID twice, makes libngtcp2
 * abort the process, whoever the peer is. No implementation of ours retires IDs that way: the field
 * must be 0. */
#ifndef TL_QUIC_FRAMES_H
#define TL_QUIC_FRAMES_H

#include "base/slice.h"

/* False: a frame that must not reach the library. What is malformed is left to it: it stops there,
 * as this does. */
bool tl_frames_are_bearable(tl_slice frames);

#endif
