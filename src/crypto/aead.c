#define OPENSSL_SUPPRESS_DEPRECATED /* EVP_CIPHER_meth_dup: see quick_cipher */
#include "crypto/aead.h"

#include "crypto/fastaead.h"

#include <assert.h>
#include <openssl/evp.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdlib.h>
#if defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#endif

/* After this many packets a key counts as busy, and is worth what fastaead.h costs. */
#define BUSY_AFTER 256

/* COLD --packet BUSY_AFTER, if a quicker implementation is here--> BUSY */
struct tl_aead {
    EVP_CIPHER_CTX *ctx; /* COLD; NULL in BUSY */
    tl_fastaead *fast;   /* BUSY; NULL in COLD */
    tl_aead_alg alg;
    uint32_t used;                /* packets so far, counted up to BUSY_AFTER */
    uint8_t key[TL_AEAD_KEY_MAX]; /* wiped when it is of no more use */
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

/* A copied method runs OpenSSL 3's built-in code. A provider's code looks its parameters up by name
 * on every packet. Measured on a 1400-byte packet: AES-128-GCM 380 ns instead of 537,
 * ChaCha20-Poly1305 1168 instead of 1452. The bytes are the same. */
static EVP_CIPHER *quick_cipher(const EVP_CIPHER *cipher)
{
#if OPENSSL_VERSION_NUMBER < 0x40000000L
    return EVP_CIPHER_meth_dup(cipher);
#else
    (void)cipher;
    return NULL;
#endif
}

/* The copies are made once in a process and kept; threads may come here at the same time. */
static const EVP_CIPHER *aead_cipher(tl_aead_alg alg)
{
    static _Atomic(EVP_CIPHER *) copies[TL_AEAD_CHACHA20_POLY1305 + 1];
    const EVP_CIPHER *plain =
        alg == TL_AEAD_AES_128_GCM ? EVP_aes_128_gcm() : EVP_chacha20_poly1305();
    EVP_CIPHER *copy = atomic_load(&copies[alg]);
    if (copy)
        return copy;
    copy = quick_cipher(plain);
    if (!copy)
        return plain;
    EVP_CIPHER *other = NULL;
    if (atomic_compare_exchange_strong(&copies[alg], &other, copy))
        return copy;
    EVP_CIPHER_meth_free(copy);
    return other;
}

tl_err tl_aead_new(tl_aead_alg alg, tl_aead_direction direction, const uint8_t *key,
                   tl_aead **ret_aead)
{
    tl_aead *a = calloc(1, sizeof *a);
    if (!a)
        return TL_ERR_NOMEM;
    a->alg = alg;
    memcpy(a->key, key, tl_aead_key_size(alg));
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
    tl_fastaead_free(a->fast);
    sodium_memzero(a, sizeof *a);
    free(a);
}

/* Counts one more packet. */
static void count_use(tl_aead *a)
{
    if (a->used == BUSY_AFTER || ++a->used < BUSY_AFTER)
        return;
    a->fast = tl_fastaead_new(a->alg, a->key);
    sodium_memzero(a->key, sizeof a->key);
    if (a->fast) {
        EVP_CIPHER_CTX_free(a->ctx);
        a->ctx = NULL;
    }
}

/* EVP_Cipher, not EVP_EncryptUpdate: it does no bookkeeping for partial blocks, which AEADs do not
 * have. With `out` NULL it takes associated data, with `in` NULL it finishes; -1 is failure. */
static bool feed(tl_aead *a, uint8_t *out, tl_slice in)
{
    return in.n == 0 || EVP_Cipher(a->ctx, out, in.p, (unsigned)in.n) >= 0;
}

tl_err tl_aead_seal(tl_aead *a, const uint8_t nonce[TL_AEAD_NONCE_SIZE], tl_slice ad,
                    tl_slice plain, uint8_t *ret)
{
    count_use(a);
    if (a->fast) {
        tl_fastaead_seal(a->fast, nonce, ad, plain, ret);
        return TL_OK;
    }
    if (EVP_EncryptInit_ex(a->ctx, NULL, NULL, NULL, nonce) != 1 || !feed(a, NULL, ad) ||
        !feed(a, ret, plain) || EVP_Cipher(a->ctx, ret + plain.n, NULL, 0) < 0 ||
        EVP_CIPHER_CTX_ctrl(a->ctx, EVP_CTRL_AEAD_GET_TAG, TL_AEAD_TAG_SIZE, ret + plain.n) != 1)
        return TL_ERR_INVALID;
    return TL_OK;
}

tl_err tl_aead_open(tl_aead *a, const uint8_t nonce[TL_AEAD_NONCE_SIZE], tl_slice ad,
                    tl_slice sealed, uint8_t *ret)
{
    count_use(a);
    if (a->fast)
        return tl_fastaead_open(a->fast, nonce, ad, sealed, ret);
    if (sealed.n < TL_AEAD_TAG_SIZE)
        return TL_ERR_AUTH;
    tl_slice body = tl_slice_of(sealed.p, sealed.n - TL_AEAD_TAG_SIZE);
    uint8_t tag[TL_AEAD_TAG_SIZE]; /* OpenSSL takes it by a pointer to non-const */
    memcpy(tag, sealed.p + body.n, sizeof tag);
    if (EVP_DecryptInit_ex(a->ctx, NULL, NULL, NULL, nonce) != 1 ||
        EVP_CIPHER_CTX_ctrl(a->ctx, EVP_CTRL_AEAD_SET_TAG, sizeof tag, tag) != 1 ||
        !feed(a, NULL, ad) || !feed(a, ret, body) || EVP_Cipher(a->ctx, ret + body.n, NULL, 0) < 0)
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
