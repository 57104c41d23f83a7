/* blake2s.h - BLAKE2s-256 (RFC 7693) without key. It uses no heap and cannot fail, which OpenSSL's
 * digest contexts cannot promise. Noise hashes a few dozen short strings per handshake with it. */
#ifndef TL_CRYPTO_BLAKE2S_H
#define TL_CRYPTO_BLAKE2S_H

#include "base/slice.h"

#define TL_BLAKE2S_SIZE  32
#define TL_BLAKE2S_BLOCK 64

typedef struct {
    uint32_t h[8];
    uint64_t counter; /* bytes compressed so far */
    uint8_t block[TL_BLAKE2S_BLOCK];
    size_t held; /* bytes waiting in `block` */
} tl_blake2s;

void tl_blake2s_init(tl_blake2s *b);
void tl_blake2s_update(tl_blake2s *b, tl_slice s);
/* Wipes `b`; init it again before another use. */
void tl_blake2s_final(tl_blake2s *b, uint8_t ret_digest[TL_BLAKE2S_SIZE]);

/* HMAC-BLAKE2s over a || b with a 32-byte key: Noise revision 34, section 4.3. */
void tl_hmac_blake2s(const uint8_t key[32], tl_slice a, tl_slice b, uint8_t ret_mac[32]);

#endif
