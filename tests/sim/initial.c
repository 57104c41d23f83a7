#include "initial.h"

#include "crypto/aead.h"
#include "quic/version.h"

#include <stdlib.h>

typedef struct {
    uint8_t key[16], iv[12], hp[16];
} keys;

static keys keys_of(tl_slice dcid, bool client)
{
    keys k;
    uint8_t prk[32], secret[32];
    tl_hkdf_extract(TL_SLICE_LIT("teale/v1 initial key"), dcid, prk);
    tl_hkdf_expand_label(prk, "teale ", client ? "client in" : "server in", secret, sizeof secret);
    tl_hkdf_expand_label(secret, "teale ", "quic key", k.key, sizeof k.key);
    tl_hkdf_expand_label(secret, "teale ", "quic iv", k.iv, sizeof k.iv);
    tl_hkdf_expand_label(secret, "teale ", "quic hp", k.hp, sizeof k.hp);
    return k;
}

static void mask_of(const keys *k, const uint8_t *sample, uint8_t ret[5])
{
    tl_hp *hp;
    if (tl_hp_new(TL_AEAD_AES_128_GCM, k->hp, &hp) || tl_hp_mask(hp, sample, ret))
        abort();
    tl_hp_free(hp);
}

static void nonce_of(const keys *k, uint64_t number, uint8_t ret[12])
{
    memcpy(ret, k->iv, 12);
    for (int i = 0; i < 8; i++)
        ret[11 - i] ^= (uint8_t)(number >> (8 * i));
}

static uint64_t varint(const uint8_t *p, size_t *at)
{
    size_t len = (size_t)1 << (p[*at] >> 6);
    uint64_t v = p[*at] & 0x3F;
    for (size_t i = 1; i < len; i++)
        v = v << 8 | p[*at + i];
    *at += len;
    return v;
}

/* The library's AEAD covers the header with its own version in it. */
static void as_library(uint8_t *head)
{
    memcpy(head + 1, "\0\0\0\1", 4);
}

/* IDs and lengths of the header; what a real middle box would check again is taken on trust. */
static bool read_head(const uint8_t *d, size_t n, initial *in)
{
    if (n < 100 || (d[0] & 0xB0) != 0x80)
        return false;
    size_t at = 5;
    in->dcid_n = d[at++];
    if (in->dcid_n > 20)
        return false;
    memcpy(in->dcid, d + at, in->dcid_n);
    at += in->dcid_n;
    in->scid_n = d[at++];
    if (in->scid_n > 20)
        return false;
    memcpy(in->scid, d + at, in->scid_n);
    at += in->scid_n;
    uint64_t token = varint(d, &at);
    if (token > n - at - 30)
        return false;
    at += token;
    uint64_t length = varint(d, &at);
    if (length > n - at || length < 24)
        return false;
    in->head_n = at;
    in->packet_n = at + length;
    return true;
}

bool initial_open(const uint8_t *datagram, size_t n, tl_slice key_dcid, bool from_client,
                  initial *ret_initial)
{
    initial in = {0};
    uint8_t head[300], mask[5], nonce[12];
    if (!read_head(datagram, n, &in) || in.head_n + 4 > sizeof head)
        return false;
    keys k = keys_of(key_dcid, from_client);
    memcpy(head, datagram, in.head_n + 4);
    mask_of(&k, datagram + in.head_n + 4, mask);
    head[0] ^= mask[0] & 0x0F;
    size_t number_n = (head[0] & 3u) + 1;
    for (size_t i = 0; i < number_n; i++) {
        head[in.head_n + i] ^= mask[1 + i];
        in.packet_number = in.packet_number << 8 | head[in.head_n + i];
    }
    as_library(head);
    nonce_of(&k, in.packet_number, nonce);
    size_t head_n = in.head_n + number_n;
    tl_aead *a;
    if (tl_aead_new(TL_AEAD_AES_128_GCM, TL_AEAD_OPEN, k.key, &a))
        abort();
    tl_err e = tl_aead_open(a, nonce, tl_slice_of(head, head_n),
                            tl_slice_of(datagram + head_n, in.packet_n - head_n), in.plain);
    tl_aead_free(a);
    if (e)
        return false;
    in.plain_n = in.packet_n - head_n - TL_AEAD_TAG_SIZE;
    *ret_initial = in;
    return true;
}

size_t initial_seal(const initial *in, tl_slice key_dcid, bool from_client, uint8_t *ret,
                    size_t cap)
{
    size_t at = 0, head_n;
    uint8_t mask[5], nonce[12], plain[INITIAL_PLAIN_MAX] = {0};
    ret[at++] = 0xC0 | 3; /* Initial, four bytes of packet number */
    as_library(ret);
    at = 5;
    ret[at++] = (uint8_t)in->dcid_n;
    memcpy(ret + at, in->dcid, in->dcid_n);
    at += in->dcid_n;
    ret[at++] = (uint8_t)in->scid_n;
    memcpy(ret + at, in->scid, in->scid_n);
    at += in->scid_n;
    if (in->token.n >= 64) /* a varint of two bytes */
        ret[at++] = 0x40;
    ret[at++] = (uint8_t)in->token.n;
    if (in->token.n)
        memcpy(ret + at, in->token.p, in->token.n);
    at += in->token.n;
    size_t plain_n = 1200 - at - 2 - 4 - TL_AEAD_TAG_SIZE;
    if (plain_n < in->plain_n)
        plain_n = in->plain_n;
    memcpy(plain, in->plain, in->plain_n); /* the rest are PADDING frames */
    size_t length = 4 + plain_n + TL_AEAD_TAG_SIZE;
    ret[at++] = (uint8_t)(0x40 | length >> 8);
    ret[at++] = (uint8_t)length;
    head_n = at;
    if (head_n + length > cap)
        abort();
    for (int i = 0; i < 4; i++)
        ret[at++] = (uint8_t)(in->packet_number >> (24 - 8 * i));
    keys k = keys_of(key_dcid, from_client);
    nonce_of(&k, in->packet_number, nonce);
    tl_aead *a;
    if (tl_aead_new(TL_AEAD_AES_128_GCM, TL_AEAD_SEAL, k.key, &a) ||
        tl_aead_seal(a, nonce, tl_slice_of(ret, at), tl_slice_of(plain, plain_n), ret + at))
        abort();
    tl_aead_free(a);
    mask_of(&k, ret + head_n + 4, mask);
    ret[0] ^= mask[0] & 0x0F;
    for (int i = 0; i < 4; i++)
        ret[head_n + (size_t)i] ^= mask[1 + i];
    for (int i = 0; i < 4; i++)
        ret[1 + i] = (uint8_t)(TL_QUIC_WIRE_VERSION >> (24 - 8 * i));
    return head_n + length;
}

bool initial_crypto(initial *in, uint8_t **ret_data, size_t *ret_n)
{
    size_t at = 0;
    while (at < in->plain_n) {
        uint64_t type = varint(in->plain, &at);
        if (type == 0)
            continue;
        if (type == 2) { /* ACK */
            varint(in->plain, &at);
            varint(in->plain, &at);
            uint64_t ranges = varint(in->plain, &at);
            varint(in->plain, &at);
            for (uint64_t i = 0; i < 2 * ranges; i++)
                varint(in->plain, &at);
            continue;
        }
        if (type != 6)
            return false;
        uint64_t offset = varint(in->plain, &at), n = varint(in->plain, &at);
        if (offset)
            return false;
        *ret_data = in->plain + at;
        *ret_n = n;
        return true;
    }
    return false;
}
