#include "crypto/identity.h"

#include "base/table.h"

#include <sodium.h>

tl_err tl_crypto_init(void)
{
    uint8_t key[TL_TABLE_KEY_SIZE];
    if (sodium_init() < 0)
        return TL_ERR_IO;
    randombytes_buf(key, sizeof key);
    tl_table_start(key);
    return TL_OK;
}

/* True for a canonical encoding of a point of the prime-order subgroup, except the neutral point.
 * An honest key pair has no other points. libsodium up to 1.0.20 lets points through whose torsion
 * part has order 2 (CVE-2025-69277); one secret would have two node IDs. So we multiply by the
 * group order less one ourselves and look for -P. */
static bool is_usable(const uint8_t key[32])
{
    static const uint8_t order_less_one[32] = {0xEC, 0xD3, 0xF5, 0x5C, 0x1A,       0x63,
                                               0x12, 0x58, 0xD6, 0x9C, 0xF7,       0xA2,
                                               0xDE, 0xF9, 0xDE, 0x14, [31] = 0x10};
    uint8_t negated[32];
    if (crypto_scalarmult_ed25519_noclamp(negated, order_less_one, key) != 0)
        return false; /* not canonical, not on the curve, or of small order */
    negated[31] ^= 0x80;
    return memcmp(negated, key, 32) == 0;
}

tl_err tl_identity_from_seed(const uint8_t seed[32], tl_identity *ret_identity)
{
    tl_identity id;
    tl_err e = TL_ERR_AUTH;
    memcpy(id.seed, seed, sizeof id.seed);
    if (crypto_sign_seed_keypair(id.id.key, id.sign_key, seed) != 0 ||
        crypto_sign_ed25519_sk_to_curve25519(id.noise_key, id.sign_key) != 0 ||
        crypto_sign_ed25519_pk_to_curve25519(id.noise_public, id.id.key) != 0)
        goto out;
    *ret_identity = id;
    e = TL_OK;
out:
    tl_identity_clear(&id);
    return e;
}

tl_err tl_identity_new(tl_rand *rand, tl_identity *ret_identity)
{
    uint8_t seed[32];
    tl_rand_bytes(rand, seed, sizeof seed);
    tl_err e = tl_identity_from_seed(seed, ret_identity);
    sodium_memzero(seed, sizeof seed);
    return e;
}

void tl_identity_clear(tl_identity *identity)
{
    sodium_memzero(identity, sizeof *identity);
}

tl_err tl_node_id_parse(tl_slice hex, tl_node_id *ret_id)
{
    uint8_t key[32];
    tl_err e = tl_hex_parse(hex, false, key, sizeof key);
    return e ? e : tl_node_id_from_bytes(key, ret_id);
}

tl_err tl_node_id_parse_form(tl_slice hex, tl_node_id *ret_id)
{
    return tl_hex_parse(hex, false, ret_id->key, sizeof ret_id->key);
}

tl_err tl_node_id_from_bytes(const uint8_t key[32], tl_node_id *ret_id)
{
    if (!is_usable(key))
        return TL_ERR_AUTH;
    memcpy(ret_id->key, key, sizeof ret_id->key);
    return TL_OK;
}

void tl_node_id_write(char ret_hex[TL_NODE_ID_HEX + 1], const tl_node_id *id)
{
    tl_hex_write(ret_hex, id->key, sizeof id->key);
}

bool tl_node_id_eq(const tl_node_id *a, const tl_node_id *b)
{
    return memcmp(a->key, b->key, sizeof a->key) == 0;
}

int tl_node_id_cmp(const tl_node_id *a, const tl_node_id *b)
{
    return memcmp(a->key, b->key, sizeof a->key);
}

tl_err tl_node_id_noise_public(const tl_node_id *id, uint8_t ret_public[32])
{
    uint8_t image[32];
    if (crypto_sign_ed25519_pk_to_curve25519(image, id->key) != 0)
        return TL_ERR_AUTH;
    memcpy(ret_public, image, sizeof image);
    return TL_OK;
}
