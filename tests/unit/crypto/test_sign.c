#include "crypto/sign.h"

#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>

#include <cmocka.h>

#define PURPOSES 18

static tl_identity signer(uint64_t seed)
{
    tl_rand rand = tl_rand_seeded(seed);
    tl_identity id;
    assert_int_equal(tl_identity_new(&rand, &id), TL_OK);
    return id;
}

static void bare_signatures_are_those_of_rfc_8032(void **state)
{
    (void)state;
    const struct {
        const char *seed;
        tl_slice body;
        const char *signature;
    } v[] = {
        /* section 7.1, tests 1 to 3 */
        {"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
         {NULL, 0},
         "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
         "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"},
        {"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb", TL_SLICE_LIT("\x72"),
         "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
         "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"},
        {"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
         TL_SLICE_LIT("\xaf\x82"),
         "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
         "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"}};
    for (size_t i = 0; i < sizeof v / sizeof *v; i++) {
        uint8_t seed[32];
        tl_identity id;
        tl_signature s, parsed;
        char hex[2 * TL_SIGNATURE_SIZE + 1];
        assert_int_equal(tl_hex_parse(tl_slice_str(v[i].seed), false, seed, 32), TL_OK);
        assert_int_equal(tl_identity_from_seed(seed, &id), TL_OK);
        assert_int_equal(tl_sign_bare(&id, v[i].body, &s), TL_OK);
        tl_signature_write(hex, &s);
        assert_string_equal(hex, v[i].signature);
        assert_int_equal(tl_signature_parse(tl_slice_str(v[i].signature), &parsed), TL_OK);
        assert_int_equal(tl_sign_bare_verify(&id.id, v[i].body, &parsed), TL_OK);
    }
}

static void a_signature_is_good_for_its_own_purpose_alone(void **state)
{
    (void)state;
    tl_identity id = signer(1);
    tl_slice body = TL_SLICE_LIT("body");
    for (int made = 0; made < PURPOSES; made++) {
        tl_signature s;
        assert_int_equal(tl_sign(&id, (tl_sign_purpose)made, body, &s), TL_OK);
        for (int asked = 0; asked < PURPOSES; asked++)
            assert_int_equal(tl_sign_verify(&id.id, (tl_sign_purpose)asked, body, &s),
                             asked == made ? TL_OK : TL_ERR_AUTH);
        assert_int_equal(tl_sign_bare_verify(&id.id, body, &s), TL_ERR_AUTH);
    }
    tl_signature bare;
    assert_int_equal(tl_sign_bare(&id, body, &bare), TL_OK);
    assert_int_equal(tl_sign_bare_verify(&id.id, body, &bare), TL_OK);
    for (int asked = 0; asked < PURPOSES; asked++)
        assert_int_equal(tl_sign_verify(&id.id, (tl_sign_purpose)asked, body, &bare), TL_ERR_AUTH);
}

/* Spelled out once more, from docs/protocol.md "Identity", so that no purpose is renamed
 * unnoticed. */
static void the_signed_bytes_are_prefix_purpose_nul_body(void **state)
{
    (void)state;
    static const char *const names[PURPOSES] = {
        "register",      "offer",       "answer",        "candidate",  "punch-intro", "punch-ready",
        "relay-request", "relay-offer", "relay-migrate", "invite",     "join",        "revocation",
        "receipt",       "nat-hint",    "price",         "settlement", "group-key",   "attach"};
    tl_identity id = signer(2);
    for (int p = 0; p < PURPOSES; p++) {
        tl_buf whole = {0};
        tl_signature s;
        assert_int_equal(tl_buf_printf(&whole, "teale/v1/%s%cbody", names[p], 0), TL_OK);
        assert_int_equal(tl_sign(&id, (tl_sign_purpose)p, TL_SLICE_LIT("body"), &s), TL_OK);
        assert_int_equal(tl_sign_bare_verify(&id.id, tl_buf_slice(&whole), &s), TL_OK);
        tl_buf_clear(&whole);
    }
}

static void a_flipped_bit_anywhere_ends_a_signature(void **state)
{
    (void)state;
    tl_identity id = signer(3), other = signer(4);
    uint8_t body[] = "what was said";
    tl_slice said = tl_slice_of(body, sizeof body);
    tl_signature s;
    assert_int_equal(tl_sign(&id, TL_SIGN_OFFER, said, &s), TL_OK);
    for (size_t bit = 0; bit < 8 * sizeof s.bytes; bit++) {
        tl_signature bad = s;
        bad.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_equal(tl_sign_verify(&id.id, TL_SIGN_OFFER, said, &bad), TL_ERR_AUTH);
    }
    for (size_t bit = 0; bit < 8 * sizeof body; bit++) {
        body[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_equal(tl_sign_verify(&id.id, TL_SIGN_OFFER, said, &s), TL_ERR_AUTH);
        body[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (size_t n = 0; n < sizeof body; n++)
        assert_int_equal(tl_sign_verify(&id.id, TL_SIGN_OFFER, tl_slice_of(body, n), &s),
                         TL_ERR_AUTH);
    assert_int_equal(tl_sign_verify(&other.id, TL_SIGN_OFFER, said, &s), TL_ERR_AUTH);
    assert_int_equal(tl_sign_verify(&id.id, TL_SIGN_OFFER, said, &s), TL_OK);
}

/* S + L signs the same for a lax verifier: RFC 8032 section 5.1.7 asks to refuse it. */
static void a_signature_has_one_form(void **state)
{
    (void)state;
    static const uint8_t order[32] = {0xED, 0xD3, 0xF5, 0x5C, 0x1A, 0x63, 0x12, 0x58,       0xD6,
                                      0x9C, 0xF7, 0xA2, 0xDE, 0xF9, 0xDE, 0x14, [31] = 0x10};
    tl_identity id = signer(5);
    tl_signature s;
    assert_int_equal(tl_sign_bare(&id, TL_SLICE_LIT("x"), &s), TL_OK);
    sodium_add(s.bytes + 32, order, 32);
    assert_int_equal(tl_sign_bare_verify(&id.id, TL_SLICE_LIT("x"), &s), TL_ERR_AUTH);
    sodium_sub(s.bytes + 32, order, 32);
    assert_int_equal(tl_sign_bare_verify(&id.id, TL_SLICE_LIT("x"), &s), TL_OK);
}

static void a_large_body_and_an_empty_one_are_signed(void **state)
{
    (void)state;
    tl_identity id = signer(6);
    tl_signature s;
    uint8_t *big = test_calloc(1, 1 << 20);
    tl_slice body = tl_slice_of(big, 1 << 20);
    assert_int_equal(tl_sign(&id, TL_SIGN_RECEIPT, body, &s), TL_OK);
    assert_int_equal(tl_sign_verify(&id.id, TL_SIGN_RECEIPT, body, &s), TL_OK);
    test_free(big);
    assert_int_equal(tl_sign(&id, TL_SIGN_RECEIPT, (tl_slice){NULL, 0}, &s), TL_OK);
    assert_int_equal(tl_sign_verify(&id.id, TL_SIGN_RECEIPT, (tl_slice){NULL, 0}, &s), TL_OK);
}

static void a_signature_is_128_digits_of_any_case(void **state)
{
    (void)state;
    tl_signature s, parsed;
    char hex[2 * TL_SIGNATURE_SIZE + 1];
    for (size_t i = 0; i < sizeof s.bytes; i++)
        s.bytes[i] = (uint8_t)(0xAB + i);
    tl_signature_write(hex, &s);
    assert_int_equal(tl_signature_parse(tl_slice_str(hex), &parsed), TL_OK);
    assert_memory_equal(&parsed, &s, sizeof s);
    for (char *p = hex; *p; p++)
        if (*p >= 'a')
            *p = (char)(*p - 'a' + 'A');
    assert_int_equal(tl_signature_parse(tl_slice_str(hex), &parsed), TL_OK);
    assert_memory_equal(&parsed, &s, sizeof s);
    for (size_t n = 0; n < 128; n++)
        assert_int_equal(tl_signature_parse(tl_slice_of(hex, n), &parsed), TL_ERR_PROTO);
    hex[127] = 'g';
    assert_int_equal(tl_signature_parse(tl_slice_str(hex), &parsed), TL_ERR_PROTO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bare_signatures_are_those_of_rfc_8032),
        cmocka_unit_test(a_signature_is_good_for_its_own_purpose_alone),
        cmocka_unit_test(the_signed_bytes_are_prefix_purpose_nul_body),
        cmocka_unit_test(a_flipped_bit_anywhere_ends_a_signature),
        cmocka_unit_test(a_signature_has_one_form),
        cmocka_unit_test(a_large_body_and_an_empty_one_are_signed),
        cmocka_unit_test(a_signature_is_128_digits_of_any_case),
    };
    if (tl_crypto_init())
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
