/* fastaead.h - the packet suites by Intel's IPsec Multi-Buffer library, for keys that protect much.
 * It makes the same bytes as OpenSSL in a third to a half of the time. Absent where the program was
 * built without the library, or where the library does not suit the processor. aead.c alone uses
 * it. */
#ifndef TL_CRYPTO_FASTAEAD_H
#define TL_CRYPTO_FASTAEAD_H

#include "crypto/aead.h"

typedef struct tl_fastaead tl_fastaead;

/* Copies the key. NULL: absent, or no memory. The first call prepares the library: 0.4 ms, and 4 MB
 * of its code become resident. That is why only busy keys come here. */
tl_fastaead *tl_fastaead_new(tl_aead_alg alg, const uint8_t *key);
/* Wipes. */
void tl_fastaead_free(tl_fastaead *f);

/* As tl_aead_seal and tl_aead_open. */
void tl_fastaead_seal(tl_fastaead *f, const uint8_t nonce[TL_AEAD_NONCE_SIZE], tl_slice ad,
                      tl_slice plain, uint8_t *ret);
TL_CHECK tl_err tl_fastaead_open(tl_fastaead *f, const uint8_t nonce[TL_AEAD_NONCE_SIZE],
                                 tl_slice ad, tl_slice sealed, uint8_t *ret);

#endif
