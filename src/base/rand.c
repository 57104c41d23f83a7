#include "base/rand.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

static uint64_t splitmix64(uint64_t *x)
{
    uint64_t z = (*x += 0x9E3779B97F4A7C15u);
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

static uint64_t rotl(uint64_t x, int k)
{
    return x << k | x >> (64 - k);
}

tl_rand tl_rand_system(void)
{
    return (tl_rand){.is_system = 1};
}

tl_rand tl_rand_seeded(uint64_t seed)
{
    tl_rand r = {.is_system = 0};
    for (int i = 0; i < 4; i++)
        r.state[i] = splitmix64(&seed);
    return r;
}

/* xoshiro256**, Blackman and Vigna 2018 */
static uint64_t seeded_u64(tl_rand *r)
{
    uint64_t *s = r->state;
    uint64_t result = rotl(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotl(s[3], 45);
    return result;
}

void tl_rand_bytes(tl_rand *r, void *ret, size_t n)
{
    if (r->is_system) {
        randombytes_buf(ret, n);
        return;
    }
    uint8_t *p = ret;
    while (n) {
        uint64_t v = seeded_u64(r);
        size_t k = n < sizeof v ? n : sizeof v;
        memcpy(p, &v, k);
        p += k;
        n -= k;
    }
}

uint64_t tl_rand_u64(tl_rand *r)
{
    uint64_t v;
    tl_rand_bytes(r, &v, sizeof v);
    return v;
}

uint64_t tl_rand_below(tl_rand *r, uint64_t bound)
{
    assert(bound > 0);
    uint64_t reject_above = UINT64_MAX - UINT64_MAX % bound;
    uint64_t v;
    do
        v = tl_rand_u64(r);
    while (v >= reject_above);
    return v % bound;
}
