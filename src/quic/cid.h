/* cid.h - the connection IDs that we choose. Pure; the randomness is given.
 *
 * On the one UDP port of a node a datagram that begins with `d` and a digit, and ends with `e`, is a
 * message of the DHT (net/endpoint). `d` is a first byte that a short QUIC header may have, and the
 * connection ID follows it. So no ID of ours begins with a digit, and no short header that comes in can
 * look like such a message. We send no stateless resets, whose second byte would have to obey, too. */
#ifndef TL_QUIC_CID_H
#define TL_QUIC_CID_H

#include "base/rand.h"
#include "base/slice.h"

/* Writes `n` random bytes, at least 1, of which the first is not an ASCII digit. */
void tl_quic_cid_make(tl_rand *rand, uint8_t *ret_cid, size_t n);

#endif
