/* kinds.h - what a datagram is, by its first bytes and its size: the kinds that share the node's one
 * UDP port. Pure, and reads at most three bytes: says nothing of the rest.
 *
 *   0x00..0x03                              STUN (its cookie is still to be looked at)
 *   0x0C and a type                         control
 *   `d`, a digit, ..., `e` at the end       KRPC, the DHT's messages: a bencoded dictionary
 *   0x80..0xBF                              a relayed packet: its token
 *   0x40..0x7F, 0xC0..0xFF                  QUIC. No connection ID of ours begins with a digit (quic/cid),
 *                                           so a short header that is for us is never KRPC */
#ifndef TL_NET_KINDS_H
#define TL_NET_KINDS_H

#include "base/slice.h"

typedef enum {
    TL_DATAGRAM_SHORT, /* empty, or too short for the kind that its first byte shows */
    TL_DATAGRAM_STUN,
    TL_DATAGRAM_CONTROL,
    TL_DATAGRAM_KRPC,
    TL_DATAGRAM_TOKEN, /* however short it is */
    TL_DATAGRAM_QUIC,
    TL_DATAGRAM_UNKNOWN,
} tl_datagram_kind;

tl_datagram_kind tl_datagram_kind_of(const uint8_t *p, size_t n);

#endif
