/* rfc4571.h - datagrams in a byte stream (RFC 4571 section 2), as nodes of one local network send them over TCP
 * (docs/protocol.md "On the local network"). Pure codec: no heap, clock or socket.
 *
 *     0        2
 *     +--------+------------- - -
 *     | length | length bytes           length: u16 big-endian, does not count itself
 *     +--------+------------- - -
 *
 * A frame of no bytes is a null packet (RFC 4571 section 2), and is passed over. */
#ifndef TL_WIRE_RFC4571_H
#define TL_WIRE_RFC4571_H

#include "base/slice.h"

#define TL_RFC4571_HEAD      2
/* The largest datagram that nodes send each other is 1444 bytes. The rest is room for those to come. */
#define TL_RFC4571_FRAME_MAX 2048

/* Takes the next frame from `data`, of which *at bytes are taken already, and moves *at behind it. The frame lies
 * within `data`, and may be changed there. TL_ERR_SHORT: no whole frame is left; the bytes from *at are to come
 * again, with more behind them. TL_ERR_TOO_LARGE: a frame over TL_RFC4571_FRAME_MAX, told from its head alone: the
 * stream cannot be read any further, and *at stays before it. */
TL_CHECK tl_err tl_rfc4571_next(uint8_t *data, size_t n, size_t *at, uint8_t **ret_frame,
                                size_t *ret_n);
/* The head of a frame of `n` bytes; 1 to TL_RFC4571_FRAME_MAX. */
void tl_rfc4571_head_write(uint8_t ret_head[TL_RFC4571_HEAD], size_t n);

#endif
