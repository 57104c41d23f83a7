#include "crypto/blake2s.h"

#include <endian.h>
#include <sodium.h>

static const uint32_t iv[8] = {0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A,
                               0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19};

static const uint8_t sigma[10][16] = {
    {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
    {14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3},
    {11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4},
    {7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8},
    {9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13},
    {2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9},
    {12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11},
    {13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10},
    {6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5},
    {10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0},
};

static inline uint32_t rotr(uint32_t x, int k)
{
    return x >> k | x << (32 - k);
}

/* The mixing function G of RFC 7693 section 3.1 on one column or diagonal of `v`. */
static inline void mix(uint32_t v[16], int a, int b, int c, int d, uint32_t x, uint32_t y)
{
    v[a] += v[b] + x;
    v[d] = rotr(v[d] ^ v[a], 16);
    v[c] += v[d];
    v[b] = rotr(v[b] ^ v[c], 12);
    v[a] += v[b] + y;
    v[d] = rotr(v[d] ^ v[a], 8);
    v[c] += v[d];
    v[b] = rotr(v[b] ^ v[c], 7);
}

static void compress(tl_blake2s *b, const uint8_t block[TL_BLAKE2S_BLOCK], bool last)
{
    uint32_t m[16], v[16];
    for (int i = 0; i < 16; i++) {
        memcpy(&m[i], block + 4 * i, 4);
        m[i] = le32toh(m[i]);
    }
    memcpy(v, b->h, sizeof b->h);
    memcpy(v + 8, iv, sizeof iv);
    v[12] ^= (uint32_t)b->counter;
    v[13] ^= (uint32_t)(b->counter >> 32);
    if (last)
        v[14] = ~v[14];
    for (int r = 0; r < 10; r++) {
        const uint8_t *s = sigma[r];
        for (int i = 0; i < 4; i++)
            mix(v, i, 4 + i, 8 + i, 12 + i, m[s[2 * i]], m[s[2 * i + 1]]);
        for (int i = 0; i < 4; i++)
            mix(v, i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4, m[s[8 + 2 * i]],
                m[s[9 + 2 * i]]);
    }
    for (int i = 0; i < 8; i++)
        b->h[i] ^= v[i] ^ v[i + 8];
    sodium_memzero(m, sizeof m);
    sodium_memzero(v, sizeof v);
}

void tl_blake2s_init(tl_blake2s *b)
{
    *b = (tl_blake2s){0};
    memcpy(b->h, iv, sizeof iv);
    b->h[0] ^= 0x01010000 ^ TL_BLAKE2S_SIZE; /* depth and fan-out 1, no key, digest size */
}

void tl_blake2s_update(tl_blake2s *b, tl_slice s)
{
    while (s.n) {
        if (b->held == sizeof b->block) { /* more follows, so this block is not the last */
            b->counter += sizeof b->block;
            compress(b, b->block, false);
            b->held = 0;
        }
        size_t k = sizeof b->block - b->held;
        if (k > s.n)
            k = s.n;
        memcpy(b->block + b->held, s.p, k);
        b->held += k;
        s = tl_slice_of(s.p + k, s.n - k);
    }
}

void tl_blake2s_final(tl_blake2s *b, uint8_t ret_digest[TL_BLAKE2S_SIZE])
{
    memset(b->block + b->held, 0, sizeof b->block - b->held);
    b->counter += b->held;
    compress(b, b->block, true);
    for (int i = 0; i < 8; i++) {
        uint32_t word = htole32(b->h[i]);
        memcpy(ret_digest + 4 * i, &word, 4);
    }
    sodium_memzero(b, sizeof *b);
}

void tl_hmac_blake2s(const uint8_t key[32], tl_slice a, tl_slice b, uint8_t ret_mac[32])
{
    uint8_t pad[TL_BLAKE2S_BLOCK], inner[TL_BLAKE2S_SIZE];
    tl_blake2s hash;
    for (size_t i = 0; i < sizeof pad; i++)
        pad[i] = (uint8_t)((i < 32 ? key[i] : 0) ^ 0x36);
    tl_blake2s_init(&hash);
    tl_blake2s_update(&hash, tl_slice_of(pad, sizeof pad));
    tl_blake2s_update(&hash, a);
    tl_blake2s_update(&hash, b);
    tl_blake2s_final(&hash, inner);

    for (size_t i = 0; i < sizeof pad; i++)
        pad[i] ^= 0x36 ^ 0x5C;
    tl_blake2s_init(&hash);
    tl_blake2s_update(&hash, tl_slice_of(pad, sizeof pad));
    tl_blake2s_update(&hash, tl_slice_of(inner, sizeof inner));
    tl_blake2s_final(&hash, ret_mac);
    sodium_memzero(pad, sizeof pad);
    sodium_memzero(inner, sizeof inner);
}
