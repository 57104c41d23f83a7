#include "crypto/blake2s.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define LONGEST 300 /* past four blocks, so that every way to fill one is met */

static void assert_hex(const uint8_t *got, const char *expected)
{
    char hex[2 * TL_BLAKE2S_SIZE + 1];
    tl_hex_write(hex, got, TL_BLAKE2S_SIZE);
    assert_string_equal(hex, expected);
}

static void digest(tl_slice a, tl_slice b, uint8_t ret[TL_BLAKE2S_SIZE])
{
    tl_blake2s h;
    tl_blake2s_init(&h);
    tl_blake2s_update(&h, a);
    tl_blake2s_update(&h, b);
    tl_blake2s_final(&h, ret);
}

static void the_example_of_rfc_7693_appendix_b_comes_out(void **state)
{
    (void)state;
    uint8_t got[TL_BLAKE2S_SIZE];
    digest(TL_SLICE_LIT("abc"), (tl_slice){NULL, 0}, got);
    assert_hex(got, "508c5e8c327c14e2e1a72ba34eeb452f37458b209ed63a294d999b4c86675982");
    digest((tl_slice){NULL, 0}, (tl_slice){NULL, 0}, got);
    assert_hex(got, "69217a3079908094e11121d042354a7c1f55b6482ca1a51e1b250dfd1ed0eef9");
}

static void every_length_and_cut_agrees_with_openssl(void **state)
{
    (void)state;
    uint8_t data[LONGEST], got[TL_BLAKE2S_SIZE], expected[TL_BLAKE2S_SIZE];
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * 7 + 3);
    for (size_t n = 0; n <= LONGEST; n++) {
        assert_int_equal(EVP_Digest(data, n, expected, NULL, EVP_blake2s256(), NULL), 1);
        for (size_t cut = 0; cut <= n; cut++) {
            digest(tl_slice_of(data, cut), tl_slice_of(data + cut, n - cut), got);
            assert_memory_equal(got, expected, sizeof got);
        }
    }
}

static void hmac_agrees_with_openssl(void **state)
{
    (void)state;
    uint8_t key[32], data[LONGEST], got[32], expected[32];
    unsigned n_expected;
    memset(key, 0xA7, sizeof key);
    memset(data, 0x5C, sizeof data);
    for (size_t n = 0; n <= LONGEST; n++) {
        assert_non_null(HMAC(EVP_blake2s256(), key, sizeof key, data, n, expected, &n_expected));
        assert_int_equal(n_expected, sizeof got);
        tl_hmac_blake2s(key, tl_slice_of(data, n / 3), tl_slice_of(data + n / 3, n - n / 3), got);
        assert_memory_equal(got, expected, sizeof got);
    }
}

static void nothing_stays_behind_in_a_finished_hash(void **state)
{
    (void)state;
    tl_blake2s h;
    uint8_t got[TL_BLAKE2S_SIZE];
    tl_blake2s_init(&h);
    tl_blake2s_update(&h, TL_SLICE_LIT("secret"));
    tl_blake2s_final(&h, got);
    for (size_t i = 0; i < sizeof h; i++)
        assert_int_equal(((uint8_t *)&h)[i], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_example_of_rfc_7693_appendix_b_comes_out),
        cmocka_unit_test(every_length_and_cut_agrees_with_openssl),
        cmocka_unit_test(hmac_agrees_with_openssl),
        cmocka_unit_test(nothing_stays_behind_in_a_finished_hash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
