#include "dht/id.h"

#include <assert.h>

int tl_dht_id_cmp(const tl_dht_id *target, const tl_dht_id *a, const tl_dht_id *b)
{
    for (size_t i = 0; i < TL_DHT_ID_SIZE; i++)
        if (a->b[i] != b->b[i])
            return (a->b[i] ^ target->b[i]) < (b->b[i] ^ target->b[i]) ? -1 : 1;
    return 0;
}

unsigned tl_dht_id_common(const tl_dht_id *a, const tl_dht_id *b)
{
    for (unsigned i = 0; i < TL_DHT_ID_SIZE; i++)
        if (a->b[i] != b->b[i])
            return i * 8 + (unsigned)__builtin_clz((unsigned)(a->b[i] ^ b->b[i])) - 24;
    return TL_DHT_ID_BITS;
}

tl_dht_id tl_dht_id_random(tl_rand *rand)
{
    tl_dht_id id;
    tl_rand_bytes(rand, id.b, sizeof id.b);
    return id;
}

tl_dht_id tl_dht_id_beside(const tl_dht_id *of, unsigned common, tl_rand *rand)
{
    assert(common < TL_DHT_ID_BITS);
    tl_dht_id id = tl_dht_id_random(rand);
    memcpy(id.b, of->b, common / 8);
    uint8_t *split = &id.b[common / 8];
    uint8_t other = (uint8_t)(0x80 >> common % 8), kept = (uint8_t) ~(0xFF >> common % 8);
    uint8_t bits = of->b[common / 8];
    *split = (uint8_t)((bits & kept) | (~bits & other) | (*split & (uint8_t) ~(kept | other)));
    return id;
}

/* --- BEP 42 --- */

/* CRC32-C (Castagnoli), reflected. */
static uint32_t crc32c(const uint8_t *p, size_t n)
{
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < n; i++) {
        crc ^= p[i];
        for (unsigned bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? UINT32_C(0x82F63B78) : 0);
    }
    return ~crc;
}

/* The CRC whose first 21 bits an ID begins with. `r` is the last byte of the ID, of which three bits
 * count: so many nodes of one address may have IDs far from each other. */
static uint32_t prefix_of(const tl_addr *addr, uint8_t r)
{
    static const uint8_t mask4[4] = {0x03, 0x0F, 0x3F, 0xFF};
    static const uint8_t mask6[8] = {0x01, 0x03, 0x07, 0x0F, 0x1F, 0x3F, 0x7F, 0xFF};
    bool is_v4 = addr->family == TL_ADDR_V4;
    const uint8_t *mask = is_v4 ? mask4 : mask6;
    size_t n = is_v4 ? sizeof mask4 : sizeof mask6;
    uint8_t masked[8];
    for (size_t i = 0; i < n; i++)
        masked[i] = addr->bytes[i] & mask[i];
    masked[0] |= (uint8_t)((r & 7) << 5);
    return crc32c(masked, n);
}

tl_dht_id tl_dht_id_for(const tl_addr *addr, tl_rand *rand)
{
    assert(addr->family != TL_ADDR_NONE);
    tl_dht_id id = tl_dht_id_random(rand);
    uint32_t crc = prefix_of(addr, id.b[19]);
    id.b[0] = (uint8_t)(crc >> 24);
    id.b[1] = (uint8_t)(crc >> 16);
    id.b[2] = (uint8_t)((crc >> 8 & 0xF8) | (id.b[2] & 7));
    return id;
}

bool tl_dht_id_fits(const tl_dht_id *id, const tl_addr *addr)
{
    if (tl_dht_addr_is_local(addr))
        return true;
    uint32_t crc = prefix_of(addr, id->b[19]);
    return id->b[0] == crc >> 24 && id->b[1] == (crc >> 16 & 0xFF) &&
           (id->b[2] & 0xF8) == (crc >> 8 & 0xF8);
}

bool tl_dht_addr_is_local(const tl_addr *addr)
{
    const uint8_t *b = addr->bytes;
    if (addr->family == TL_ADDR_V6) {
        static const uint8_t loopback[16] = {[15] = 1};
        return (b[0] == 0xFE && (b[1] & 0xC0) == 0x80) || (b[0] & 0xFE) == 0xFC ||
               memcmp(b, loopback, sizeof loopback) == 0;
    }
    return b[0] == 10 || b[0] == 127 || (b[0] == 172 && (b[1] & 0xF0) == 16) ||
           (b[0] == 192 && b[1] == 168) || (b[0] == 169 && b[1] == 254);
}

uint64_t tl_dht_addr_network(const tl_addr *addr)
{
    const uint8_t *b = addr->bytes;
    uint64_t key = 0;
    if (tl_dht_addr_is_local(addr)) { /* the end of the address tells such ones apart */
        const uint8_t *end = addr->family == TL_ADDR_V4 ? b : b + 12;
        for (unsigned i = 0; i < 4; i++)
            key = key << 8 | end[i];
        return UINT64_C(2) << 56 | key << 16 | addr->port;
    }
    unsigned n = addr->family == TL_ADDR_V4 ? 3 : 6;
    for (unsigned i = 0; i < n; i++)
        key = key << 8 | b[i];
    return (addr->family == TL_ADDR_V4 ? 0 : UINT64_C(1) << 56) | key;
}
