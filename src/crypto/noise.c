#include "crypto/noise.h"

#include <assert.h>
#include <endian.h>
#include <sodium.h>

#define TAG_SIZE 16
#define KEY_SIZE 32

static const char protocol_name[] = "Noise_IK_25519_ChaChaPoly_BLAKE2s";

/* --- symmetric state: Noise revision 34, section 5.2 --- */

/* HKDF with two outputs; ret_1 may be `ck`. */
static void hkdf(const uint8_t ck[32], tl_slice input, uint8_t ret_1[32], uint8_t ret_2[32])
{
    uint8_t temp[32];
    tl_hmac_blake2s(ck, input, (tl_slice){NULL, 0}, temp);
    tl_hmac_blake2s(temp, TL_SLICE_LIT("\x01"), (tl_slice){NULL, 0}, ret_1);
    tl_hmac_blake2s(temp, tl_slice_of(ret_1, 32), TL_SLICE_LIT("\x02"), ret_2);
    sodium_memzero(temp, sizeof temp);
}

static void mix_hash(tl_noise *n, tl_slice data)
{
    tl_blake2s hash;
    tl_blake2s_init(&hash);
    tl_blake2s_update(&hash, tl_slice_of(n->h, sizeof n->h));
    tl_blake2s_update(&hash, data);
    tl_blake2s_final(&hash, n->h);
}

/* MixKey(DH(secret, public)). */
static tl_err mix_dh(tl_noise *n, const uint8_t secret[32], const uint8_t public[32])
{
    uint8_t shared[32];
    tl_err e = TL_ERR_AUTH;
    if (crypto_scalarmult_curve25519(shared, secret, public) == 0 &&
        !sodium_is_zero(shared, sizeof shared)) {
        hkdf(n->ck, tl_slice_of(shared, sizeof shared), n->ck, n->k);
        n->n = 0;
        n->has_k = true;
        e = TL_OK;
    }
    sodium_memzero(shared, sizeof shared);
    return e;
}

/* 32 zero bits, then the counter, little-endian: section 12.3. */
static void next_nonce(tl_noise *n, uint8_t ret_nonce[12])
{
    uint64_t le = htole64(n->n++);
    memset(ret_nonce, 0, 4);
    memcpy(ret_nonce + 4, &le, 8);
}

/* EncryptAndHash; in IK a key is always there by then. Writes plain.n + 16 bytes. */
static void encrypt_and_hash(tl_noise *n, tl_slice plain, uint8_t *ret_cipher)
{
    uint8_t nonce[12];
    assert(n->has_k);
    next_nonce(n, nonce);
    crypto_aead_chacha20poly1305_ietf_encrypt(ret_cipher, NULL, plain.p, plain.n, n->h, sizeof n->h,
                                              NULL, nonce, n->k);
    mix_hash(n, tl_slice_of(ret_cipher, plain.n + TAG_SIZE));
}

/* DecryptAndHash. Writes cipher.n - 16 bytes. */
static tl_err decrypt_and_hash(tl_noise *n, tl_slice cipher, uint8_t *ret_plain)
{
    uint8_t nonce[12];
    assert(n->has_k);
    next_nonce(n, nonce);
    if (crypto_aead_chacha20poly1305_ietf_decrypt(ret_plain, NULL, NULL, cipher.p, cipher.n, n->h,
                                                  sizeof n->h, nonce, n->k) != 0)
        return TL_ERR_AUTH;
    mix_hash(n, cipher);
    return TL_OK;
}

/* --- handshake state --- */

static void init(tl_noise *n, bool initiator, tl_slice prologue, const uint8_t s[32],
                 const uint8_t s_public[32], const uint8_t responder_public[32])
{
    *n = (tl_noise){.initiator = initiator};
    memcpy(n->s, s, sizeof n->s);
    memcpy(n->s_public, s_public, sizeof n->s_public);
    tl_blake2s hash; /* the name is longer than a hash, so it is hashed: section 5.2 */
    tl_blake2s_init(&hash);
    tl_blake2s_update(&hash, tl_slice_of(protocol_name, sizeof protocol_name - 1));
    tl_blake2s_final(&hash, n->h);
    memcpy(n->ck, n->h, sizeof n->ck);
    mix_hash(n, prologue);
    mix_hash(n, tl_slice_of(responder_public, KEY_SIZE)); /* the pre-message "<- s" */
}

void tl_noise_init_initiator(tl_noise *n, tl_slice prologue, const uint8_t s[32],
                             const uint8_t s_public[32], const uint8_t rs_public[32])
{
    init(n, true, prologue, s, s_public, rs_public);
    memcpy(n->rs_public, rs_public, sizeof n->rs_public);
}

void tl_noise_init_responder(tl_noise *n, tl_slice prologue, const uint8_t s[32],
                             const uint8_t s_public[32])
{
    init(n, false, prologue, s, s_public, s_public);
}

void tl_noise_clear(tl_noise *n)
{
    sodium_memzero(n, sizeof *n);
}

/* True for u < 2^255 - 19. X25519 would take other encodings of the same point; we do not. */
static bool is_canonical(const uint8_t u[32])
{
    if (u[31] != 0x7F)
        return u[31] < 0x7F;
    for (int i = 30; i > 0; i--)
        if (u[i] != 0xFF)
            return true;
    return u[0] < 0xED;
}

/* -> e, es, s, ss */
static tl_err write_message_1(tl_noise *n, tl_slice payload, uint8_t *out)
{
    memcpy(out, n->e_public, KEY_SIZE);
    mix_hash(n, tl_slice_of(n->e_public, KEY_SIZE));
    tl_err e = mix_dh(n, n->e, n->rs_public);
    if (e)
        return e;
    encrypt_and_hash(n, tl_slice_of(n->s_public, KEY_SIZE), out + KEY_SIZE);
    e = mix_dh(n, n->s, n->rs_public);
    if (e)
        return e;
    encrypt_and_hash(n, payload, out + 2 * KEY_SIZE + TAG_SIZE);
    return TL_OK;
}

/* <- e, ee, se */
static tl_err write_message_2(tl_noise *n, tl_slice payload, uint8_t *out)
{
    memcpy(out, n->e_public, KEY_SIZE);
    mix_hash(n, tl_slice_of(n->e_public, KEY_SIZE));
    tl_err e = mix_dh(n, n->e, n->re_public);
    if (!e)
        e = mix_dh(n, n->e, n->rs_public);
    if (e)
        return e;
    encrypt_and_hash(n, payload, out + KEY_SIZE);
    return TL_OK;
}

static tl_err read_ephemeral(tl_noise *n, const uint8_t *p)
{
    if (!is_canonical(p))
        return TL_ERR_AUTH;
    memcpy(n->re_public, p, KEY_SIZE);
    mix_hash(n, tl_slice_of(p, KEY_SIZE));
    return TL_OK;
}

static tl_err read_message_1(tl_noise *n, tl_slice message, uint8_t *out)
{
    tl_err e = read_ephemeral(n, message.p);
    if (!e)
        e = mix_dh(n, n->s, n->re_public);
    if (!e)
        e = decrypt_and_hash(n, tl_slice_of(message.p + KEY_SIZE, KEY_SIZE + TAG_SIZE),
                             n->rs_public);
    if (!e && !is_canonical(n->rs_public))
        e = TL_ERR_AUTH;
    if (!e)
        e = mix_dh(n, n->s, n->rs_public);
    if (e)
        return e;
    size_t at = 2 * KEY_SIZE + TAG_SIZE;
    return decrypt_and_hash(n, tl_slice_of(message.p + at, message.n - at), out);
}

static tl_err read_message_2(tl_noise *n, tl_slice message, uint8_t *out)
{
    tl_err e = read_ephemeral(n, message.p);
    if (!e)
        e = mix_dh(n, n->e, n->re_public);
    if (!e)
        e = mix_dh(n, n->s, n->re_public);
    if (e)
        return e;
    return decrypt_and_hash(n, tl_slice_of(message.p + KEY_SIZE, message.n - KEY_SIZE), out);
}

tl_err tl_noise_write(tl_noise *n, tl_rand *rand, tl_slice payload, uint8_t *ret_message,
                      size_t cap, size_t *ret_n)
{
    uint8_t ephemeral[32];
    tl_rand_bytes(rand, ephemeral, sizeof ephemeral);
    tl_err e = tl_noise_write_with_ephemeral(n, ephemeral, payload, ret_message, cap, ret_n);
    sodium_memzero(ephemeral, sizeof ephemeral);
    return e;
}

tl_err tl_noise_write_with_ephemeral(tl_noise *n, const uint8_t e[32], tl_slice payload,
                                     uint8_t *ret_message, size_t cap, size_t *ret_n)
{
    assert(n->messages == (n->initiator ? 0 : 1));
    size_t overhead = n->initiator ? TL_NOISE_MSG1_OVERHEAD : TL_NOISE_MSG2_OVERHEAD;
    if (cap > TL_NOISE_MESSAGE_MAX)
        cap = TL_NOISE_MESSAGE_MAX;
    if (cap < overhead || payload.n > cap - overhead)
        return TL_ERR_TOO_LARGE;
    tl_noise next = *n;
    memcpy(next.e, e, sizeof next.e);
    crypto_scalarmult_curve25519_base(next.e_public, next.e);
    tl_err err = n->initiator ? write_message_1(&next, payload, ret_message)
                              : write_message_2(&next, payload, ret_message);
    if (!err) {
        next.messages++;
        *n = next;
        *ret_n = payload.n + overhead;
    }
    tl_noise_clear(&next);
    return err;
}

tl_err tl_noise_read(tl_noise *n, tl_slice message, uint8_t *ret_payload, size_t *ret_n)
{
    assert(n->messages == (n->initiator ? 1 : 0));
    size_t overhead = n->initiator ? TL_NOISE_MSG2_OVERHEAD : TL_NOISE_MSG1_OVERHEAD;
    if (message.n < overhead)
        return TL_ERR_SHORT;
    if (message.n > TL_NOISE_MESSAGE_MAX)
        return TL_ERR_TOO_LARGE;
    tl_noise next = *n;
    tl_err e = n->initiator ? read_message_2(&next, message, ret_payload)
                            : read_message_1(&next, message, ret_payload);
    if (!e) {
        next.messages++;
        *n = next;
        *ret_n = message.n - overhead;
    }
    tl_noise_clear(&next);
    return e;
}

void tl_noise_split(const tl_noise *n, uint8_t ret_k1[32], uint8_t ret_k2[32])
{
    assert(n->messages == 2);
    hkdf(n->ck, (tl_slice){NULL, 0}, ret_k1, ret_k2);
}

void tl_noise_export(const tl_noise *n, tl_slice label, uint8_t ret_secret[32])
{
    tl_hmac_blake2s(n->ck, label, tl_slice_of(n->h, sizeof n->h), ret_secret);
}
