#include "crypto/fastaead.h"

#ifdef TL_HAVE_IPSEC_MB

#include <intel-ipsec-mb.h>
#include <openssl/crypto.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdlib.h>

#define KEY_ALIGN 64 /* MB_LIBRARY: gcm_key_data is read with aligned vector loads */

struct tl_fastaead {
    struct gcm_key_data gcm; /* first: aligned */
    struct gcm_context_data gcm_state;
    struct chacha20_poly1305_context_data chacha_state;
    uint8_t chacha_key[32];
    tl_aead_alg alg;
    const IMB_MGR *lib;
};

static IMB_MGR *prepare(void)
{
    IMB_MGR *m = alloc_mb_mgr(0);
    if (!m)
        return NULL;
    init_mb_mgr_auto(m, NULL); /* tests itself */
    uint64_t needed = IMB_FEATURE_AESNI | IMB_FEATURE_PCLMULQDQ;
    if (imb_get_errno(m) == 0 && (m->features & needed) == needed)
        return m;
    free_mb_mgr(m);
    return NULL;
}

/* Prepared once in a process and kept; threads may come here at the same time. The calls below use
 * only its table of functions. */
static const IMB_MGR *library(void)
{
    static _Atomic(IMB_MGR *) kept;
    IMB_MGR *m = atomic_load(&kept);
    if (m)
        return m;
    m = prepare();
    IMB_MGR *other = NULL;
    if (!m || atomic_compare_exchange_strong(&kept, &other, m))
        return m;
    free_mb_mgr(m);
    return other;
}

tl_fastaead *tl_fastaead_new(tl_aead_alg alg, const uint8_t *key)
{
    const IMB_MGR *lib = library();
    if (!lib)
        return NULL;
    size_t n = (sizeof(tl_fastaead) + KEY_ALIGN - 1) / KEY_ALIGN * KEY_ALIGN;
    tl_fastaead *f = aligned_alloc(KEY_ALIGN, n);
    if (!f)
        return NULL;
    memset(f, 0, n);
    f->alg = alg;
    f->lib = lib;
    if (alg == TL_AEAD_AES_128_GCM)
        IMB_AES128_GCM_PRE(lib, key, &f->gcm);
    else
        memcpy(f->chacha_key, key, sizeof f->chacha_key);
    return f;
}

void tl_fastaead_free(tl_fastaead *f)
{
    if (!f)
        return;
    sodium_memzero(f, sizeof *f);
    free(f);
}

static void chacha(tl_fastaead *f, bool seal, const uint8_t *nonce, tl_slice ad, tl_slice in,
                   uint8_t *ret, uint8_t tag[TL_AEAD_TAG_SIZE])
{
    IMB_CHACHA20_POLY1305_INIT(f->lib, f->chacha_key, &f->chacha_state, nonce, ad.p, ad.n);
    if (seal)
        IMB_CHACHA20_POLY1305_ENC_UPDATE(f->lib, f->chacha_key, &f->chacha_state, ret, in.p, in.n);
    else
        IMB_CHACHA20_POLY1305_DEC_UPDATE(f->lib, f->chacha_key, &f->chacha_state, ret, in.p, in.n);
    IMB_CHACHA20_POLY1305_ENC_FINALIZE(f->lib, &f->chacha_state, tag, TL_AEAD_TAG_SIZE);
}

void tl_fastaead_seal(tl_fastaead *f, const uint8_t nonce[TL_AEAD_NONCE_SIZE], tl_slice ad,
                      tl_slice plain, uint8_t *ret)
{
    if (f->alg == TL_AEAD_AES_128_GCM)
        IMB_AES128_GCM_ENC(f->lib, &f->gcm, &f->gcm_state, ret, plain.p, plain.n, nonce, ad.p, ad.n,
                           ret + plain.n, TL_AEAD_TAG_SIZE);
    else
        chacha(f, true, nonce, ad, plain, ret, ret + plain.n);
}

tl_err tl_fastaead_open(tl_fastaead *f, const uint8_t nonce[TL_AEAD_NONCE_SIZE], tl_slice ad,
                        tl_slice sealed, uint8_t *ret)
{
    if (sealed.n < TL_AEAD_TAG_SIZE)
        return TL_ERR_AUTH;
    tl_slice body = tl_slice_of(sealed.p, sealed.n - TL_AEAD_TAG_SIZE);
    uint8_t tag[TL_AEAD_TAG_SIZE];
    if (f->alg == TL_AEAD_AES_128_GCM)
        IMB_AES128_GCM_DEC(f->lib, &f->gcm, &f->gcm_state, ret, body.p, body.n, nonce, ad.p, ad.n,
                           tag, TL_AEAD_TAG_SIZE);
    else
        chacha(f, false, nonce, ad, body, ret, tag);
    bool same = CRYPTO_memcmp(tag, sealed.p + body.n, TL_AEAD_TAG_SIZE) == 0;
    sodium_memzero(tag, sizeof tag); /* after a forgery: the tag that would be right */
    return same ? TL_OK : TL_ERR_AUTH;
}

#else

tl_fastaead *tl_fastaead_new(tl_aead_alg alg, const uint8_t *key)
{
    (void)alg, (void)key;
    return NULL;
}

void tl_fastaead_free(tl_fastaead *f)
{
    (void)f;
}

void tl_fastaead_seal(tl_fastaead *f, const uint8_t nonce[TL_AEAD_NONCE_SIZE], tl_slice ad,
                      tl_slice plain, uint8_t *ret)
{
    (void)f, (void)nonce, (void)ad, (void)plain, (void)ret;
}

tl_err tl_fastaead_open(tl_fastaead *f, const uint8_t nonce[TL_AEAD_NONCE_SIZE], tl_slice ad,
                        tl_slice sealed, uint8_t *ret)
{
    (void)f, (void)nonce, (void)ad, (void)sealed, (void)ret;
    return TL_ERR_AUTH;
}

#endif
