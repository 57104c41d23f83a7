/* version.h - the version-independent head of our QUIC packets, and the swap of their version
 * field. Pure functions on bytes; nothing is decrypted here.
 *
 * libngtcp2 knows only QUIC v1 and v2. It is told v1. The four version bytes of every long header
 * are swapped on the way in and out, so that our packets never claim on the wire to be QUIC with
 * TLS:
 *
 *    0               1               5        6
 *   +---------------+---------------+--------+------+--------+------+-- - -
 *   |1 1 type x x x | version       | DCID n | DCID | SCID n | SCID | ...     long header
 *   +---------------+---------------+--------+------+--------+------+-- - -
 *   |0 1 x x x x x x| DCID (8 bytes) | ...                                    short header
 *   +---------------+----------------+-- - - */
#ifndef TL_QUIC_VERSION_H
#define TL_QUIC_VERSION_H

#include "base/slice.h"

#define TL_QUIC_WIRE_VERSION                                                                       \
    UINT32_C(0x54450001)    /* "TE", 1; not of the reserved form 0x?a?a?a?a                        \
                             */
#define TL_QUIC_CID_SIZE 8  /* of every ID we choose but a client's first */
#define TL_QUIC_CID_MAX  20 /* RFC 9000 17.2 */

typedef struct {
    bool is_long;
    tl_slice dcid; /* borrows the datagram's bytes */
    tl_slice scid; /* empty in a short header */
} tl_quic_head;

/* Reads the first packet's head. TL_ERR_SHORT: truncated. TL_ERR_PROTO: the fixed bit is clear
 * (such first bytes belong to STUN and control datagrams), an ID is too long, or the version is not
 * ours. */
TL_CHECK tl_err tl_quic_head_parse(tl_slice datagram, tl_quic_head *ret_head);

/* Changes our version to v1 in every packet of the datagram. TL_ERR_PROTO: a packet has another
 * version or a length that does not fit; the caller must drop the bytes. */
TL_CHECK tl_err tl_quic_version_in(uint8_t *datagram, size_t n);
/* Changes v1 to our version in every packet that libngtcp2 wrote. */
void tl_quic_version_out(uint8_t *datagram, size_t n);

#endif
