/* mark.h - connection IDs by which the receiver of a connection's first datagrams knows over which path
 * they came, where the path itself does not tell: several relay sessions at one node that relays share an
 * address. Pure functions on bytes.
 *
 *    0                               4                               8
 *   +-------------------------------+-------------------------------+
 *   | random                        | BLAKE2s(mark, random), first 4 |   the client's first SCID
 *   +-------------------------------+-------------------------------+
 *
 * The client's SCID stands in each long header that it sends, and stays the same after a Retry. */
#ifndef TL_QUIC_MARK_H
#define TL_QUIC_MARK_H

#include "quic/version.h"

/* Writes the second half of an ID whose first half is random. */
void tl_quic_mark_write(tl_slice mark, uint8_t cid[TL_QUIC_CID_SIZE]);
bool tl_quic_mark_is(tl_slice mark, tl_slice cid);

#endif
