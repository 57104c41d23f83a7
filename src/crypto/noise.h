/* noise.h - Noise_IK_25519_ChaChaPoly_BLAKE2s (Noise Protocol Framework, revision 34). Knows
 * nothing of how its messages travel. No heap, clock or socket.
 *
 *   IK:  <- s
 *        ...
 *        -> e, es, s, ss   (message 1)
 *        <- e, ee, se      (message 2)                                                       */
#ifndef TL_CRYPTO_NOISE_H
#define TL_CRYPTO_NOISE_H

#include "base/rand.h"
#include "base/slice.h"
#include "crypto/blake2s.h" /* for tl_hmac_blake2s, on which quic's keys build */

#define TL_NOISE_HASH_SIZE     32
#define TL_NOISE_MESSAGE_MAX   65535          /* Noise revision 34, section 3 */
#define TL_NOISE_MSG1_OVERHEAD (32 + 48 + 16) /* e, encrypted s, payload tag */
#define TL_NOISE_MSG2_OVERHEAD (32 + 16)

/* What one side keeps through the handshake. Zeroed by tl_noise_clear. */
typedef struct {
    uint8_t ck[32], h[32]; /* chaining key, handshake hash */
    uint8_t k[32];         /* cipher key of the symmetric state */
    uint64_t n;            /* its nonce */
    bool has_k;
    uint8_t s[32], s_public[32]; /* own static */
    uint8_t e[32], e_public[32]; /* own ephemeral */
    uint8_t rs_public[32]; /* remote static: given to the initiator, learned by the responder */
    uint8_t re_public[32]; /* remote ephemeral */
    bool initiator;
    uint8_t messages; /* how many are done: 0, 1, 2 */
} tl_noise;

/* The initiator knows its peer (rs_public). Keys are copied. */
void tl_noise_init_initiator(tl_noise *n, tl_slice prologue, const uint8_t s[32],
                             const uint8_t s_public[32], const uint8_t rs_public[32]);
void tl_noise_init_responder(tl_noise *n, tl_slice prologue, const uint8_t s[32],
                             const uint8_t s_public[32]);
/* Wipes. */
void tl_noise_clear(tl_noise *n);

/* Writes the message that is due (first the initiator's, then the responder's): exactly payload.n +
 * the overhead above, into ret_message of `cap` bytes. The ephemeral key comes from `rand`.
 * TL_ERR_TOO_LARGE: over cap or TL_NOISE_MESSAGE_MAX. TL_ERR_AUTH: a DH gave zero (small-order
 * key). On failure the state is as before the call. */
TL_CHECK tl_err tl_noise_write(tl_noise *n, tl_rand *rand, tl_slice payload, uint8_t *ret_message,
                               size_t cap, size_t *ret_n);
/* As tl_noise_write with a given ephemeral private key, for test vectors. */
TL_CHECK tl_err tl_noise_write_with_ephemeral(tl_noise *n, const uint8_t e[32], tl_slice payload,
                                              uint8_t *ret_message, size_t cap, size_t *ret_n);
/* Reads the message that is due; ret_payload has room for message.n bytes and does not overlap it.
 * On
 * failure the state is as before the call and nothing decrypted is left in ret_payload.
 * TL_ERR_SHORT, TL_ERR_TOO_LARGE, TL_ERR_AUTH (did not decrypt, or a key that is of small order or
 * not canonical). */
TL_CHECK tl_err tl_noise_read(tl_noise *n, tl_slice message, uint8_t *ret_payload, size_t *ret_n);

/* After both messages. Split() as in the specification: k1 initiator to responder, k2 back. */
void tl_noise_split(const tl_noise *n, uint8_t ret_k1[32], uint8_t ret_k2[32]);
/* HMAC-BLAKE2s(ck, label || h): one secret per label. */
void tl_noise_export(const tl_noise *n, tl_slice label, uint8_t ret_secret[32]);

#endif
