#include "crypto/identity.h"

#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>

#include <cmocka.h>

static void unhex(const char *hex, uint8_t *ret, size_t n)
{
    assert_int_equal(tl_hex_parse(tl_slice_str(hex), false, ret, n), TL_OK);
}

static void assert_hex(const uint8_t *got, size_t n, const char *expected)
{
    char hex[129];
    tl_hex_write(hex, got, n);
    assert_string_equal(hex, expected);
}

static void seeds_give_the_public_keys_of_rfc_8032(void **state)
{
    (void)state;
    static const struct {
        const char *seed, *id;
    } v[] = {/* section 7.1, tests 1 to 3 and 1024 */
             {"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
              "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"},
             {"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
              "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"},
             {"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
              "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025"},
             {"f5e5767cf153319517630f226876b86c8160cc583bc013744c6bf255f5cc0ee5",
              "278117fc144c72340f67d0f2316e8386ceffbf2b2428c9c51fef7c597f1d426e"}};
    for (size_t i = 0; i < sizeof v / sizeof *v; i++) {
        uint8_t seed[32];
        tl_identity id;
        char hex[TL_NODE_ID_HEX + 1];
        unhex(v[i].seed, seed, sizeof seed);
        assert_int_equal(tl_identity_from_seed(seed, &id), TL_OK);
        tl_node_id_write(hex, &id.id);
        assert_string_equal(hex, v[i].id);
        assert_memory_equal(id.seed, seed, sizeof seed);
        tl_node_id parsed;
        assert_int_equal(tl_node_id_parse(tl_slice_str(hex), &parsed), TL_OK);
        assert_true(tl_node_id_eq(&parsed, &id.id));
    }
}

static void the_curve25519_image_is_the_one_libsodium_publishes(void **state)
{
    (void)state;
    uint8_t seed[32]; /* libsodium's test/default/ed25519_convert.c */
    tl_identity id;
    unhex("421151a459faeade3d247115f94aedae42318124095afabe4d1451a559faedee", seed, sizeof seed);
    assert_int_equal(tl_identity_from_seed(seed, &id), TL_OK);
    assert_hex(id.noise_public, 32,
               "f1814f0e8ff1043d8a44d25babff3cedcae6c22c3edaa48f857ae70de2baae50");
    assert_hex(id.noise_key, 32,
               "8052030376d47112be7f73ed7a019293dd12ad910b654455798b4667d73de166");
}

static void a_node_id_alone_gives_the_noise_key_of_its_owner(void **state)
{
    (void)state;
    tl_rand rand = tl_rand_seeded(1);
    for (int i = 0; i < 50; i++) {
        tl_identity id;
        uint8_t from_id[32], from_key[32];
        assert_int_equal(tl_identity_new(&rand, &id), TL_OK);
        assert_int_equal(tl_node_id_noise_public(&id.id, from_id), TL_OK);
        assert_memory_equal(from_id, id.noise_public, 32);
        assert_int_equal(crypto_scalarmult_curve25519_base(from_key, id.noise_key), 0);
        assert_memory_equal(from_key, id.noise_public, 32);
    }
}

/* The points of order 1, 2, 4 and 8: four values of y with both signs, then y = p and y = p + 1,
 * the second encodings of 0 and 1. */
static const char *const small_order[] = {
    "0100000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000080",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
};

static void assert_refused(const uint8_t key[32])
{
    tl_node_id id, before;
    char hex[TL_NODE_ID_HEX + 1];
    memset(&id, 0x77, sizeof id);
    before = id;
    assert_int_equal(tl_node_id_from_bytes(key, &id), TL_ERR_AUTH);
    tl_hex_write(hex, key, 32);
    assert_int_equal(tl_node_id_parse(tl_slice_str(hex), &id), TL_ERR_AUTH);
    assert_memory_equal(&id, &before, sizeof id);
}

static void every_small_order_point_is_refused_in_every_encoding(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof small_order / sizeof *small_order; i++) {
        uint8_t key[32], image[32];
        unhex(small_order[i], key, sizeof key);
        assert_refused(key);
        tl_node_id forged;
        memcpy(forged.key, key, sizeof key); /* past the check that a real one went through */
        assert_int_equal(tl_node_id_noise_public(&forged, image), TL_ERR_AUTH);
    }
}

static void an_encoding_at_or_above_p_is_refused(void **state)
{
    (void)state;
    uint8_t key[32];
    memset(key, 0xFF, sizeof key);
    for (int sign = 0; sign <= 0x80; sign += 0x80)
        for (int low = 0xED; low <= 0xFF; low++) {
            key[0] = (uint8_t)low;
            key[31] = (uint8_t)(0x7F | sign);
            assert_refused(key);
        }
}

/* P + T for every T of small order has the same owner as P: two names for one key. libsodium's own
 * check lets the one with T of order 2 pass (CVE-2025-69277). */
static void a_key_moved_by_a_small_order_point_is_refused(void **state)
{
    (void)state;
    tl_rand rand = tl_rand_seeded(2);
    tl_identity id;
    assert_int_equal(tl_identity_new(&rand, &id), TL_OK);
    tl_node_id same;
    assert_int_equal(tl_node_id_from_bytes(id.id.key, &same), TL_OK);
    static const int canonical[] = {2, 4, 5, 6, 7, 8, 9}; /* of the list above, without neutral */
    for (size_t i = 0; i < sizeof canonical / sizeof *canonical; i++) {
        uint8_t torsion[32], moved[32];
        unhex(small_order[canonical[i]], torsion, sizeof torsion);
        assert_int_equal(crypto_core_ed25519_add(moved, id.id.key, torsion), 0);
        assert_memory_not_equal(moved, id.id.key, 32);
        assert_refused(moved);
    }
}

static void a_point_off_the_curve_is_refused(void **state)
{
    (void)state;
    uint8_t key[32] = {2}; /* y = 2 has no x */
    assert_refused(key);
}

static void a_node_id_is_64_lower_case_digits_and_nothing_else(void **state)
{
    (void)state;
    static const char good[] = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
    tl_node_id id;
    assert_int_equal(tl_node_id_parse(tl_slice_str(good), &id), TL_OK);
    for (size_t n = 0; n < 64; n++)
        assert_int_equal(tl_node_id_parse(tl_slice_of(good, n), &id), TL_ERR_PROTO);
    assert_int_equal(tl_node_id_parse(tl_slice_of(good, 65), &id), TL_ERR_PROTO);
    static const char wrong[] = "ADFGgx: \n\t-+/`@\x80\xFF";
    for (size_t at = 0; at < 64; at++)
        for (size_t i = 0; i < sizeof wrong; i++) { /* the NUL too */
            char bad[65];
            memcpy(bad, good, sizeof bad);
            bad[at] = wrong[i];
            assert_int_equal(tl_node_id_parse(tl_slice_of(bad, 64), &id), TL_ERR_PROTO);
        }
}

static void node_ids_have_one_order(void **state)
{
    (void)state;
    tl_rand rand = tl_rand_seeded(3);
    tl_identity a, b;
    assert_int_equal(tl_identity_new(&rand, &a), TL_OK);
    assert_int_equal(tl_identity_new(&rand, &b), TL_OK);
    assert_false(tl_node_id_eq(&a.id, &b.id));
    assert_true((tl_node_id_cmp(&a.id, &b.id) < 0) == (tl_node_id_cmp(&b.id, &a.id) > 0));
    assert_int_equal(tl_node_id_cmp(&a.id, &a.id), 0);
}

static void a_cleared_identity_holds_nothing(void **state)
{
    (void)state;
    tl_rand rand = tl_rand_seeded(4);
    tl_identity id;
    assert_int_equal(tl_identity_new(&rand, &id), TL_OK);
    tl_identity_clear(&id);
    assert_true(sodium_is_zero((const uint8_t *)&id, sizeof id));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(seeds_give_the_public_keys_of_rfc_8032),
        cmocka_unit_test(the_curve25519_image_is_the_one_libsodium_publishes),
        cmocka_unit_test(a_node_id_alone_gives_the_noise_key_of_its_owner),
        cmocka_unit_test(every_small_order_point_is_refused_in_every_encoding),
        cmocka_unit_test(an_encoding_at_or_above_p_is_refused),
        cmocka_unit_test(a_key_moved_by_a_small_order_point_is_refused),
        cmocka_unit_test(a_point_off_the_curve_is_refused),
        cmocka_unit_test(a_node_id_is_64_lower_case_digits_and_nothing_else),
        cmocka_unit_test(node_ids_have_one_order),
        cmocka_unit_test(a_cleared_identity_holds_nothing),
    };
    if (tl_crypto_init())
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
