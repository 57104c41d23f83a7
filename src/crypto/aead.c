#include "crypto/aead.h"

#include <assert.h>
#include <openssl/evp.h>
#include <sodium.h>
#include <stdlib.h>
#if defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#endif

struct tl_aead {
    EVP_CIPHER_CTX *ctx;
};

struct tl_hp {
    tl_aead_alg alg;
    EVP_CIPHER_CTX *aes;    /* AES only */
    uint8_t chacha_key[32]; /* ChaCha20 only */
};

size_t tl_aead_key_size(tl_aead_alg alg)
{
    return alg == TL_AEAD_AES_128_GCM ? 16 : 32;
}

static const EVP_CIPHER *aead_cipher(tl_aead_alg alg)
{
    return alg == TL_AEAD_AES_128_GCM ? EVP_aes_128_gcm() : EVP_chacha20_poly1305();
}

tl_err tl_aead_new(tl_aead_alg alg, tl_aead_direction direction, const uint8_t *key,
                   tl_aead **ret_aead)
{
    tl_aead *a = malloc(sizeof *a);
    if (!a)
        return TL_ERR_NOMEM;
    a->ctx = EVP_CIPHER_CTX_new();
    if (!a->ctx || EVP_CipherInit_ex(a->ctx, aead_cipher(alg), NULL, key, NULL,
                                     direction == TL_AEAD_SEAL) != 1) {
        tl_aead_free(a);
        return TL_ERR_NOMEM;
    }
    *ret_aead = a;
    return TL_OK;
}

void tl_aead_free(tl_aead *a)
{
    if (!a)
        return;
    EVP_CIPHER_CTX_free(a->ctx); /* cleanses the key schedule */
    free(a);
}

tl_err tl_aead_seal(tl_aead *a, const uint8_t nonce[TL_AEAD_NONCE_SIZE], tl_slice ad,
                    tl_slice plain, uint8_t *ret)
{
    int n;
    if (EVP_EncryptInit_ex(a->ctx, NULL, NULL, NULL, nonce) != 1 ||
        EVP_EncryptUpdate(a->ctx, NULL, &n, ad.p, (int)ad.n) != 1)
        return TL_ERR_INVALID;
    if (plain.n && EVP_EncryptUpdate(a->ctx, ret, &n, plain.p, (int)plain.n) != 1)
        return TL_ERR_INVALID;
    if (EVP_EncryptFinal_ex(a->ctx, ret + plain.n, &n) != 1 ||
        EVP_CIPHER_CTX_ctrl(a->ctx, EVP_CTRL_AEAD_GET_TAG, TL_AEAD_TAG_SIZE, ret + plain.n) != 1)
        return TL_ERR_INVALID;
    return TL_OK;
}

tl_err tl_aead_open(tl_aead *a, const uint8_t nonce[TL_AEAD_NONCE_SIZE], tl_slice ad,
                    tl_slice sealed, uint8_t *ret)
{
    int n;
    if (sealed.n < TL_AEAD_TAG_SIZE)
        return TL_ERR_AUTH;
    size_t plain_n = sealed.n - TL_AEAD_TAG_SIZE;
    uint8_t tag[TL_AEAD_TAG_SIZE]; /* OpenSSL takes it by a pointer to non-const */
    memcpy(tag, sealed.p + plain_n, sizeof tag);
    if (EVP_DecryptInit_ex(a->ctx, NULL, NULL, NULL, nonce) != 1 ||
        EVP_CIPHER_CTX_ctrl(a->ctx, EVP_CTRL_AEAD_SET_TAG, sizeof tag, tag) != 1 ||
        EVP_DecryptUpdate(a->ctx, NULL, &n, ad.p, (int)ad.n) != 1)
        return TL_ERR_AUTH;
    if (plain_n && EVP_DecryptUpdate(a->ctx, ret, &n, sealed.p, (int)plain_n) != 1)
        return TL_ERR_AUTH;
    if (EVP_DecryptFinal_ex(a->ctx, ret + plain_n, &n) != 1)
        return TL_ERR_AUTH;
    return TL_OK;
}

tl_err tl_hp_new(tl_aead_alg alg, const uint8_t *key, tl_hp **ret_hp)
{
    tl_hp *h = calloc(1, sizeof *h);
    if (!h)
        return TL_ERR_NOMEM;
    h->alg = alg;
    if (alg == TL_AEAD_AES_128_GCM) {
        h->aes = EVP_CIPHER_CTX_new();
        if (!h->aes || EVP_EncryptInit_ex(h->aes, EVP_aes_128_ecb(), NULL, key, NULL) != 1) {
            tl_hp_free(h);
            return TL_ERR_NOMEM;
        }
        EVP_CIPHER_CTX_set_padding(h->aes, 0);
    } else {
        memcpy(h->chacha_key, key, sizeof h->chacha_key);
    }
    *ret_hp = h;
    return TL_OK;
}

void tl_hp_free(tl_hp *h)
{
    if (!h)
        return;
    EVP_CIPHER_CTX_free(h->aes);
    sodium_memzero(h, sizeof *h);
    free(h);
}

tl_err tl_hp_mask(tl_hp *h, const uint8_t sample[TL_HP_SAMPLE_SIZE],
                  uint8_t ret_mask[TL_HP_MASK_SIZE])
{
    if (h->alg == TL_AEAD_AES_128_GCM) {
        uint8_t block[16];
        int n;
        if (EVP_EncryptUpdate(h->aes, block, &n, sample, TL_HP_SAMPLE_SIZE) != 1)
            return TL_ERR_INVALID;
        memcpy(ret_mask, block, TL_HP_MASK_SIZE);
        return TL_OK;
    }
    /* RFC 9001 5.4.4: the sample is a little-endian block counter and a nonce. */
    static const uint8_t zeros[TL_HP_MASK_SIZE];
    uint32_t counter = (uint32_t)sample[0] | (uint32_t)sample[1] << 8 | (uint32_t)sample[2] << 16 |
                       (uint32_t)sample[3] << 24;
    crypto_stream_chacha20_ietf_xor_ic(ret_mask, zeros, TL_HP_MASK_SIZE, sample + 4, counter,
                                       h->chacha_key);
    return TL_OK;
}

void tl_hkdf_extract(tl_slice salt, tl_slice secret, uint8_t ret_prk[TL_HKDF_SIZE])
{
    crypto_auth_hmacsha256_state st;
    crypto_auth_hmacsha256_init(&st, salt.p, salt.n);
    crypto_auth_hmacsha256_update(&st, secret.p, secret.n);
    crypto_auth_hmacsha256_final(&st, ret_prk);
    sodium_memzero(&st, sizeof st);
}

void tl_hkdf_expand_label(const uint8_t prk[TL_HKDF_SIZE], const char *prefix, const char *label,
                          uint8_t *ret, size_t n)
{
    uint8_t info[2 + 1 + TL_HKDF_LABEL_MAX + 1 + 1];
    size_t prefix_n = strlen(prefix), label_n = strlen(label), at = 0;
    assert(n <= TL_HKDF_SIZE && prefix_n + label_n <= TL_HKDF_LABEL_MAX);
    info[at++] = 0;
    info[at++] = (uint8_t)n;
    info[at++] = (uint8_t)(prefix_n + label_n);
    memcpy(info + at, prefix, prefix_n);
    memcpy(info + at + prefix_n, label, label_n);
    at += prefix_n + label_n;
    info[at++] = 0; /* no Context */
    info[at++] = 1; /* HKDF-Expand's counter: one block is enough */

    uint8_t block[TL_HKDF_SIZE];
    tl_hkdf_extract(tl_slice_of(prk, TL_HKDF_SIZE), tl_slice_of(info, at), block);
    memcpy(ret, block, n);
    sodium_memzero(block, sizeof block);
}

bool tl_cpu_has_aes(void)
{
#if defined(__x86_64__) || defined(__i386__)
    return __builtin_cpu_supports("aes") && __builtin_cpu_supports("pclmul");
#elif defined(__aarch64__) && defined(__linux__)
    return (getauxval(AT_HWCAP) & (1 << 3 /* HWCAP_AES */)) != 0;
#else
    return false;
#endif
}
