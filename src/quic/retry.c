#include "quic/retry.h"

#include <sodium.h>

#define NONCE_SIZE crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
#define TAG_SIZE   crypto_aead_xchacha20poly1305_ietf_ABYTES
#define PLAIN_MAX  (8 + NGTCP2_MAX_CIDLEN)
#define AD_SIZE    (4 + 2 * (1 + NGTCP2_MAX_CIDLEN))

static void put_cid(uint8_t *p, const ngtcp2_cid *cid)
{
    p[0] = (uint8_t)cid->datalen;
    memcpy(p + 1, cid->data, cid->datalen);
}

static void write_ad(const tl_retry_context *c, uint8_t ret_ad[AD_SIZE])
{
    memset(ret_ad, 0, AD_SIZE);
    memcpy(ret_ad, &c->path, 4); /* this process alone reads it back: any byte order will do */
    put_cid(ret_ad + 4, &c->client_scid);
    put_cid(ret_ad + 4 + 1 + NGTCP2_MAX_CIDLEN, &c->new_dcid);
}

size_t tl_retry_token_write(const tl_retry_key *key, tl_rand *rand, const tl_retry_context *context,
                            const ngtcp2_cid *original_dcid, tl_time now,
                            uint8_t ret_token[TL_RETRY_TOKEN_MAX])
{
    uint8_t ad[AD_SIZE], plain[PLAIN_MAX];
    write_ad(context, ad);
    memcpy(plain, &now, 8);
    memcpy(plain + 8, original_dcid->data, original_dcid->datalen);
    tl_rand_bytes(rand, ret_token, NONCE_SIZE);
    unsigned long long n;
    crypto_aead_xchacha20poly1305_ietf_encrypt(ret_token + NONCE_SIZE, &n, plain,
                                               8 + original_dcid->datalen, ad, sizeof ad, NULL,
                                               ret_token, key->key);
    return NONCE_SIZE + (size_t)n;
}

tl_err tl_retry_token_open(const tl_retry_key *key, const tl_retry_context *context, tl_slice token,
                           tl_time now, ngtcp2_cid *ret_original_dcid)
{
    uint8_t ad[AD_SIZE], plain[PLAIN_MAX];
    unsigned long long n;
    if (token.n < NONCE_SIZE + 8 + TAG_SIZE || token.n > TL_RETRY_TOKEN_MAX)
        return TL_ERR_AUTH;
    write_ad(context, ad);
    if (crypto_aead_xchacha20poly1305_ietf_decrypt(plain, &n, NULL, token.p + NONCE_SIZE,
                                                   token.n - NONCE_SIZE, ad, sizeof ad, token.p,
                                                   key->key) != 0)
        return TL_ERR_AUTH;
    tl_time made;
    memcpy(&made, plain, 8);
    if (made > now || now - made > TL_RETRY_LIFETIME)
        return TL_ERR_TIMEOUT;
    ngtcp2_cid_init(ret_original_dcid, plain + 8, (size_t)n - 8);
    return TL_OK;
}
