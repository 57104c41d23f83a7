/* keys.h - from a Noise secret to the packet keys that libngtcp2 holds, and its callbacks that use
 * them. The only module here that knows both ngtcp2 and crypto/aead. Keeps no connection state. */
#ifndef TL_QUIC_KEYS_H
#define TL_QUIC_KEYS_H

#include "crypto/aead.h"
#include "quic/frames.h"
#include "quic/quic.h"
#include "quic/quic_compat.h"

/* RFC 9001 section 6.6: one AES-GCM key may protect 2^23 packets. We change keys well before that,
 * with either suite. This also bounds what one stolen key opens. */
#define TL_KEY_UPDATE_PACKETS (UINT64_C(1) << 22)

/* The connection to which keys belong. */
typedef struct {
    tl_quic_counters *counters; /* of packets that open and of those that do not */
    /* May the library have this packet of application data? False: it is lost. */
    bool (*admits)(void *user, const tl_frames_streams *streams);
    void *user;
} tl_keys_owner;

/* The suite of a connection in ngtcp2's terms. A new key follows after `key_update_packets`
 * packets. */
ngtcp2_crypto_ctx tl_keys_crypto_ctx(tl_aead_alg alg, uint64_t key_update_packets);

/* --- Installing keys. A failed call takes nothing over. `owner` must
 * outlive the connection. TL_ERR_NOMEM. --- */
/* Both directions of Initial. `dcid` is the client's first connection ID, or the one from a
 * Retry. */
TL_CHECK tl_err tl_keys_install_initial(ngtcp2_conn *conn, const ngtcp2_cid *dcid, bool client,
                                        const tl_keys_owner *owner);
TL_CHECK tl_err tl_keys_install_handshake(ngtcp2_conn *conn, tl_aead_alg alg, const uint8_t rx[32],
                                          const uint8_t tx[32], const tl_keys_owner *owner);
TL_CHECK tl_err tl_keys_install_application(ngtcp2_conn *conn, tl_aead_alg alg,
                                            const uint8_t rx[32], const uint8_t tx[32],
                                            const tl_keys_owner *owner);
/* What ngtcp2's update_key asks for: the next secrets, packet keys and IVs. */
TL_CHECK tl_err tl_keys_next(tl_aead_alg alg, const uint8_t rx[32], const uint8_t tx[32],
                             uint8_t ret_rx[32], uint8_t ret_tx[32],
                             ngtcp2_crypto_aead_ctx *ret_rx_ctx, uint8_t *ret_rx_iv,
                             ngtcp2_crypto_aead_ctx *ret_tx_ctx, uint8_t *ret_tx_iv,
                             const tl_keys_owner *owner);

/* The key of Retry's integrity tag. It is public, as in RFC 9001 5.8, but another than the one
 * there. */
TL_CHECK tl_err tl_keys_retry(ngtcp2_crypto_aead *ret_aead, ngtcp2_crypto_aead_ctx *ret_ctx);
void tl_keys_free_ctx(ngtcp2_crypto_aead_ctx *ctx);

/* --- callbacks, as ngtcp2 types them --- */
int tl_keys_encrypt(uint8_t *dest, const ngtcp2_crypto_aead *aead,
                    const ngtcp2_crypto_aead_ctx *aead_ctx, const uint8_t *plaintext,
                    size_t plaintextlen, const uint8_t *nonce, size_t noncelen, const uint8_t *aad,
                    size_t aadlen);
int tl_keys_decrypt(uint8_t *dest, const ngtcp2_crypto_aead *aead,
                    const ngtcp2_crypto_aead_ctx *aead_ctx, const uint8_t *ciphertext,
                    size_t ciphertextlen, const uint8_t *nonce, size_t noncelen, const uint8_t *aad,
                    size_t aadlen);
int tl_keys_hp_mask(uint8_t *dest, const ngtcp2_crypto_cipher *hp,
                    const ngtcp2_crypto_cipher_ctx *hp_ctx, const uint8_t *sample);
void tl_keys_delete_aead(ngtcp2_conn *conn, ngtcp2_crypto_aead_ctx *aead_ctx, void *user_data);
void tl_keys_delete_cipher(ngtcp2_conn *conn, ngtcp2_crypto_cipher_ctx *cipher_ctx,
                           void *user_data);

#endif
