#include "quic/keys.h"

#include "quic/frames.h"

#include <sodium.h>
#include <stdlib.h>

#define LABEL_PREFIX "teale " /* where TLS has "tls13 " */

/* Public constants: they hide packets only from programs that do not speak our version. */
#define INITIAL_SALT TL_SLICE_LIT("teale/v1 initial key")
#define RETRY_KEY    "teale/v1 retry k"
_Static_assert(sizeof RETRY_KEY - 1 == 16, "an AES-128 key");

/* What a ngtcp2_crypto_aead_ctx points to. */
typedef struct {
    tl_aead *aead;
    const tl_keys_owner *owner;
    bool application; /* the packets may hold any frame */
} packet_key;

/* What every key of a level has in common. */
typedef struct {
    tl_aead_alg alg;
    bool application;
    const tl_keys_owner *owner;
} level;

/* One direction at one level, not yet given to ngtcp2. */
typedef struct {
    ngtcp2_crypto_aead_ctx aead;
    ngtcp2_crypto_cipher_ctx hp;
    uint8_t iv[TL_AEAD_NONCE_SIZE];
} direction_keys;

ngtcp2_crypto_ctx tl_keys_crypto_ctx(tl_aead_alg alg, uint64_t key_update_packets)
{
    ngtcp2_crypto_ctx ctx = {0};
    ctx.aead.max_overhead = TL_AEAD_TAG_SIZE;
    ctx.max_encryption = key_update_packets;
    /* RFC 9001 6.6: how many forged packets a key may meet. */
    ctx.max_decryption_failure = alg == TL_AEAD_AES_128_GCM ? UINT64_C(1) << 52 : UINT64_C(1) << 36;
    return ctx;
}

static tl_err packet_key_new(const level *l, tl_aead_direction direction, const uint8_t *key,
                             ngtcp2_crypto_aead_ctx *ret_ctx)
{
    packet_key *k = calloc(1, sizeof *k);
    if (!k)
        return TL_ERR_NOMEM;
    tl_err e = tl_aead_new(l->alg, direction, key, &k->aead);
    if (e) {
        free(k);
        return e;
    }
    k->owner = l->owner;
    k->application = l->application;
    ret_ctx->native_handle = k;
    return TL_OK;
}

void tl_keys_free_ctx(ngtcp2_crypto_aead_ctx *ctx)
{
    packet_key *k = ctx->native_handle;
    if (k)
        tl_aead_free(k->aead);
    free(k);
    ctx->native_handle = NULL;
}

static void direction_free(direction_keys *d)
{
    tl_keys_free_ctx(&d->aead);
    tl_hp_free(d->hp.native_handle);
    sodium_memzero(d, sizeof *d);
}

static tl_err make_packet_key(const level *l, tl_aead_direction direction, const uint8_t secret[32],
                              ngtcp2_crypto_aead_ctx *ret_ctx, uint8_t ret_iv[TL_AEAD_NONCE_SIZE])
{
    uint8_t key[TL_AEAD_KEY_MAX];
    tl_hkdf_expand_label(secret, LABEL_PREFIX, "quic key", key, tl_aead_key_size(l->alg));
    tl_hkdf_expand_label(secret, LABEL_PREFIX, "quic iv", ret_iv, TL_AEAD_NONCE_SIZE);
    tl_err e = packet_key_new(l, direction, key, ret_ctx);
    sodium_memzero(key, sizeof key);
    return e;
}

static tl_err direction_make(const level *l, tl_aead_direction direction, const uint8_t secret[32],
                             direction_keys *ret_keys)
{
    direction_keys d = {0};
    tl_err e = make_packet_key(l, direction, secret, &d.aead, d.iv);
    if (e)
        return e;
    uint8_t hp_key[TL_AEAD_KEY_MAX];
    tl_hp *hp;
    tl_hkdf_expand_label(secret, LABEL_PREFIX, "quic hp", hp_key, tl_aead_key_size(l->alg));
    e = tl_hp_new(l->alg, hp_key, &hp);
    sodium_memzero(hp_key, sizeof hp_key);
    if (e) {
        direction_free(&d);
        return e;
    }
    d.hp.native_handle = hp;
    *ret_keys = d;
    return TL_OK;
}

static tl_err both_make(const level *l, const uint8_t rx_secret[32], const uint8_t tx_secret[32],
                        direction_keys *ret_rx, direction_keys *ret_tx)
{
    direction_keys rx;
    tl_err e = direction_make(l, TL_AEAD_OPEN, rx_secret, &rx);
    if (e)
        return e;
    e = direction_make(l, TL_AEAD_SEAL, tx_secret, ret_tx);
    if (e)
        direction_free(&rx);
    else
        *ret_rx = rx;
    return e;
}

tl_err tl_keys_install_initial(ngtcp2_conn *conn, const ngtcp2_cid *dcid, bool client,
                               const tl_keys_owner *owner)
{
    uint8_t prk[TL_HKDF_SIZE], to_server[32], to_client[32];
    tl_hkdf_extract(INITIAL_SALT, tl_slice_of(dcid->data, dcid->datalen), prk);
    tl_hkdf_expand_label(prk, LABEL_PREFIX, "client in", to_server, sizeof to_server);
    tl_hkdf_expand_label(prk, LABEL_PREFIX, "server in", to_client, sizeof to_client);

    direction_keys rx, tx;
    level l = {.alg = TL_AEAD_AES_128_GCM, .owner = owner};
    tl_err e =
        both_make(&l, client ? to_client : to_server, client ? to_server : to_client, &rx, &tx);
    if (e)
        return e;
    ngtcp2_crypto_ctx ctx = tl_keys_crypto_ctx(TL_AEAD_AES_128_GCM, UINT64_MAX);
    ngtcp2_conn_set_initial_crypto_ctx(conn, &ctx);
    if (ngtcp2_conn_install_initial_key(conn, &rx.aead, rx.iv, &rx.hp, &tx.aead, tx.iv, &tx.hp,
                                        sizeof rx.iv)) {
        direction_free(&rx);
        direction_free(&tx);
        return TL_ERR_NOMEM;
    }
    return TL_OK;
}

tl_err tl_keys_install_handshake(ngtcp2_conn *conn, tl_aead_alg alg, const uint8_t rx_secret[32],
                                 const uint8_t tx_secret[32], const tl_keys_owner *owner)
{
    direction_keys rx, tx;
    level l = {.alg = alg, .owner = owner};
    tl_err e = both_make(&l, rx_secret, tx_secret, &rx, &tx);
    if (e)
        return e;
    if (ngtcp2_conn_install_tx_handshake_key(conn, &tx.aead, tx.iv, sizeof tx.iv, &tx.hp)) {
        direction_free(&rx);
        direction_free(&tx);
        return TL_ERR_NOMEM;
    }
    if (ngtcp2_conn_install_rx_handshake_key(conn, &rx.aead, rx.iv, sizeof rx.iv, &rx.hp)) {
        direction_free(&rx);
        return TL_ERR_NOMEM;
    }
    return TL_OK;
}

tl_err tl_keys_install_application(ngtcp2_conn *conn, tl_aead_alg alg, const uint8_t rx_secret[32],
                                   const uint8_t tx_secret[32], const tl_keys_owner *owner)
{
    direction_keys rx, tx;
    level l = {.alg = alg, .application = true, .owner = owner};
    tl_err e = both_make(&l, rx_secret, tx_secret, &rx, &tx);
    if (e)
        return e;
    if (ngtcp2_conn_install_rx_key(conn, rx_secret, 32, &rx.aead, rx.iv, sizeof rx.iv, &rx.hp)) {
        direction_free(&rx);
        direction_free(&tx);
        return TL_ERR_NOMEM;
    }
    if (ngtcp2_conn_install_tx_key(conn, tx_secret, 32, &tx.aead, tx.iv, sizeof tx.iv, &tx.hp)) {
        direction_free(&tx);
        return TL_ERR_NOMEM;
    }
    return TL_OK;
}

tl_err tl_keys_next(tl_aead_alg alg, const uint8_t rx[32], const uint8_t tx[32], uint8_t ret_rx[32],
                    uint8_t ret_tx[32], ngtcp2_crypto_aead_ctx *ret_rx_ctx, uint8_t *ret_rx_iv,
                    ngtcp2_crypto_aead_ctx *ret_tx_ctx, uint8_t *ret_tx_iv,
                    const tl_keys_owner *owner)
{
    tl_hkdf_expand_label(rx, LABEL_PREFIX, "quic ku", ret_rx, 32);
    tl_hkdf_expand_label(tx, LABEL_PREFIX, "quic ku", ret_tx, 32);
    level l = {.alg = alg, .application = true, .owner = owner};
    ngtcp2_crypto_aead_ctx rx_ctx;
    tl_err e = make_packet_key(&l, TL_AEAD_OPEN, ret_rx, &rx_ctx, ret_rx_iv);
    if (e)
        return e;
    e = make_packet_key(&l, TL_AEAD_SEAL, ret_tx, ret_tx_ctx, ret_tx_iv);
    if (e)
        tl_keys_free_ctx(&rx_ctx);
    else
        *ret_rx_ctx = rx_ctx;
    return e;
}

tl_err tl_keys_retry(ngtcp2_crypto_aead *ret_aead, ngtcp2_crypto_aead_ctx *ret_ctx)
{
    level l = {.alg = TL_AEAD_AES_128_GCM};
    tl_err e = packet_key_new(&l, TL_AEAD_SEAL, (const uint8_t *)RETRY_KEY, ret_ctx);
    if (!e)
        *ret_aead = (ngtcp2_crypto_aead){.max_overhead = TL_AEAD_TAG_SIZE};
    return e;
}

/* --- callbacks --- */

int tl_keys_encrypt(uint8_t *dest, const ngtcp2_crypto_aead *aead,
                    const ngtcp2_crypto_aead_ctx *aead_ctx, const uint8_t *plaintext,
                    size_t plaintextlen, const uint8_t *nonce, size_t noncelen, const uint8_t *aad,
                    size_t aadlen)
{
    (void)aead;
    packet_key *k = aead_ctx->native_handle;
    if (noncelen != TL_AEAD_NONCE_SIZE || tl_aead_seal(k->aead, nonce, tl_slice_of(aad, aadlen),
                                                       tl_slice_of(plaintext, plaintextlen), dest))
        return NGTCP2_ERR_CALLBACK_FAILURE;
    return 0;
}

/* Frames that the library must not read are counted as forged, since no node of ours sends them. */
static bool is_admitted(const tl_keys_owner *owner, tl_slice frames)
{
    tl_frames_streams streams;
    if (!tl_frames_are_bearable(frames, &streams)) {
        owner->counters->dropped_auth++;
        return false;
    }
    if (owner->admits(owner->user, &streams))
        return true;
    owner->counters->dropped_limit++;
    return false;
}

int tl_keys_decrypt(uint8_t *dest, const ngtcp2_crypto_aead *aead,
                    const ngtcp2_crypto_aead_ctx *aead_ctx, const uint8_t *ciphertext,
                    size_t ciphertextlen, const uint8_t *nonce, size_t noncelen, const uint8_t *aad,
                    size_t aadlen)
{
    (void)aead;
    packet_key *k = aead_ctx->native_handle;
    if (noncelen != TL_AEAD_NONCE_SIZE ||
        tl_aead_open(k->aead, nonce, tl_slice_of(aad, aadlen),
                     tl_slice_of(ciphertext, ciphertextlen), dest)) {
        k->owner->counters->dropped_auth++;
        return NGTCP2_ERR_DECRYPT; /* any other code makes ngtcp2 end the connection */
    }
    if (k->application &&
        !is_admitted(k->owner, tl_slice_of(dest, ciphertextlen - TL_AEAD_TAG_SIZE)))
        return NGTCP2_ERR_DECRYPT;
    k->owner->counters->packets_opened++;
    return 0;
}

int tl_keys_hp_mask(uint8_t *dest, const ngtcp2_crypto_cipher *hp,
                    const ngtcp2_crypto_cipher_ctx *hp_ctx, const uint8_t *sample)
{
    (void)hp;
    return tl_hp_mask(hp_ctx->native_handle, sample, dest) ? NGTCP2_ERR_CALLBACK_FAILURE : 0;
}

void tl_keys_delete_aead(ngtcp2_conn *conn, ngtcp2_crypto_aead_ctx *aead_ctx, void *user_data)
{
    (void)conn, (void)user_data;
    tl_keys_free_ctx(aead_ctx);
}

void tl_keys_delete_cipher(ngtcp2_conn *conn, ngtcp2_crypto_cipher_ctx *cipher_ctx, void *user_data)
{
    (void)conn, (void)user_data;
    tl_hp_free(cipher_ctx->native_handle);
    cipher_ctx->native_handle = NULL;
}
