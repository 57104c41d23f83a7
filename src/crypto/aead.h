/* aead.h - the packet suites of QUIC: AES-128-GCM and ChaCha20-Poly1305 with their
 * header-protection masks, and the HKDF that makes their keys (RFC 9001 section 5). Knows nothing
 * of packets or handshakes.
 *
 * A key is prepared once; per packet only the nonce is set, since most of what OpenSSL costs on a
 * 1400-byte packet is preparation. */
#ifndef TL_CRYPTO_AEAD_H
#define TL_CRYPTO_AEAD_H

#include "base/slice.h"

typedef enum { TL_AEAD_AES_128_GCM = 1, TL_AEAD_CHACHA20_POLY1305 = 2 } tl_aead_alg;

#define TL_AEAD_TAG_SIZE   16
#define TL_AEAD_NONCE_SIZE 12
#define TL_AEAD_KEY_MAX    32
#define TL_HP_SAMPLE_SIZE  16
#define TL_HP_MASK_SIZE    5

/* 16 or 32. */
size_t tl_aead_key_size(tl_aead_alg alg);

/* --- sealing and opening --- */
typedef struct tl_aead tl_aead;
typedef enum { TL_AEAD_SEAL, TL_AEAD_OPEN } tl_aead_direction;

/* Copies the key. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_aead_new(tl_aead_alg alg, tl_aead_direction direction, const uint8_t *key,
                            tl_aead **ret_aead);
/* Wipes. */
void tl_aead_free(tl_aead *a);

/* Writes plain.n + TL_AEAD_TAG_SIZE bytes to `ret`, which may be plain.p. TL_ERR_INVALID: the
 * library refused, which is a bug of ours. */
TL_CHECK tl_err tl_aead_seal(tl_aead *a, const uint8_t nonce[TL_AEAD_NONCE_SIZE], tl_slice ad,
                             tl_slice plain, uint8_t *ret);
/* Writes sealed.n - TL_AEAD_TAG_SIZE bytes to `ret`, which may be sealed.p. TL_ERR_AUTH for every
 * failure, too short an input among them; `ret` is then undefined. */
TL_CHECK tl_err tl_aead_open(tl_aead *a, const uint8_t nonce[TL_AEAD_NONCE_SIZE], tl_slice ad,
                             tl_slice sealed, uint8_t *ret);

/* --- header protection (RFC 9001 sections 5.4.3 and 5.4.4) --- */
typedef struct tl_hp tl_hp;

/* Copies the key (tl_aead_key_size bytes). TL_ERR_NOMEM. */
TL_CHECK tl_err tl_hp_new(tl_aead_alg alg, const uint8_t *key, tl_hp **ret_hp);
/* Wipes. */
void tl_hp_free(tl_hp *h);
TL_CHECK tl_err tl_hp_mask(tl_hp *h, const uint8_t sample[TL_HP_SAMPLE_SIZE],
                           uint8_t ret_mask[TL_HP_MASK_SIZE]);

/* --- HKDF with SHA-256 (RFC 5869), and Expand-Label (RFC 8446 section 7.1) --- */
#define TL_HKDF_SIZE      32
#define TL_HKDF_LABEL_MAX 32 /* prefix and label together; ours are half as long */

void tl_hkdf_extract(tl_slice salt, tl_slice secret, uint8_t ret_prk[TL_HKDF_SIZE]);
/* `prefix` is "tls13 " in TLS; Context is empty. n is at most TL_HKDF_SIZE. */
void tl_hkdf_expand_label(const uint8_t prk[TL_HKDF_SIZE], const char *prefix, const char *label,
                          uint8_t *ret, size_t n);

/* True where AES runs in hardware, so that AES-128-GCM is the faster suite. */
bool tl_cpu_has_aes(void);

#endif
