#include "base/base64.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void assert_writes(tl_slice s, const char *expected)
{
    uint8_t text[64];
    assert_int_equal(tl_base64_size(s.n), strlen(expected));
    tl_base64_write(text, s);
    assert_memory_equal(text, expected, strlen(expected));
}

static void assert_parses(const char *text, tl_slice expected)
{
    uint8_t bytes[64];
    size_t n = 99;
    assert_int_equal(tl_base64_parse(tl_slice_str(text), bytes, &n), TL_OK);
    assert_true(tl_slice_eq(tl_slice_of(bytes, n), expected));
}

static void the_vectors_of_rfc_4648_come_out_both_ways(void **state)
{
    (void)state;
    static const struct {
        const char *plain, *text;
    } v[] = {{"", ""},
             {"f", "Zg=="},
             {"fo", "Zm8="},
             {"foo", "Zm9v"},
             {"foob", "Zm9vYg=="},
             {"fooba", "Zm9vYmE="},
             {"foobar", "Zm9vYmFy"}};
    for (size_t i = 0; i < sizeof v / sizeof *v; i++) {
        assert_writes(tl_slice_str(v[i].plain), v[i].text);
        assert_parses(v[i].text, tl_slice_str(v[i].plain));
    }
    assert_writes(TL_SLICE_LIT("\xFB\xEF\xBE\xFF\xFF\xFF"), "++++////");
    assert_parses("++++////", TL_SLICE_LIT("\xFB\xEF\xBE\xFF\xFF\xFF"));
    assert_writes((tl_slice){NULL, 0}, "");
}

static void every_length_goes_there_and_back_in_place(void **state)
{
    (void)state;
    uint8_t plain[300];
    for (size_t i = 0; i < sizeof plain; i++)
        plain[i] = (uint8_t)(i * 37 + (i >> 3));
    for (size_t n = 0; n <= sizeof plain; n++) {
        size_t got, size = tl_base64_size(n);
        uint8_t *text = test_malloc(size + 1);
        tl_base64_write(text, tl_slice_of(plain, n));
        assert_int_equal(tl_base64_parse(tl_slice_of(text, size), text, &got), TL_OK);
        assert_true(tl_slice_eq(tl_slice_of(text, got), tl_slice_of(plain, n)));
        test_free(text);
    }
}

static void a_length_that_is_no_multiple_of_four_is_refused(void **state)
{
    (void)state;
    static const char text[] = "Zm9vYmFyZm9vYmFy";
    uint8_t bytes[16];
    size_t n = 99;
    for (size_t k = 0; k < sizeof text; k++)
        assert_int_equal(tl_base64_parse(tl_slice_of(text, k), bytes, &n),
                         k % 4 ? TL_ERR_PROTO : TL_OK);
}

/* Each byte value at each place of a quad: 64 of them are digits, and '=' only where it may be. */
static void only_the_alphabet_is_read(void **state)
{
    (void)state;
    for (size_t at = 0; at < 8; at++) {
        unsigned good = 0;
        for (int c = 0; c < 256; c++) {
            uint8_t text[8] = {'A', 'A', 'A', 'A', 'A', 'A', 'A', 'A'}, bytes[6];
            size_t n;
            text[at] = (uint8_t)c;
            tl_err e = tl_base64_parse(tl_slice_of(text, 8), bytes, &n);
            assert_true(e == TL_OK || e == TL_ERR_PROTO);
            good += e == TL_OK;
            if (c == '-' || c == '_' || c == '\n' || c == ' ' || c == 0)
                assert_int_equal(e, TL_ERR_PROTO);
        }
        assert_int_equal(good, at == 7 ? 65 : 64);
    }
}

static void padding_stands_only_at_the_end(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "====",     "A===",     "=AAA",     "A=AA", "AA=A", "AA==AAAA",
        "AAA=AAAA", "AAAA====", "AAAAA===", "=",    "=="};
    uint8_t bytes[8];
    size_t n = 99;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(tl_base64_parse(tl_slice_str(bad[i]), bytes, &n), TL_ERR_PROTO);
    assert_int_equal(n, 99);
    assert_parses("AA==", TL_SLICE_LIT("\0"));
    assert_parses("AAA=", TL_SLICE_LIT("\0\0"));
}

/* Of the characters before the padding only those with zero spare bits: one text for one value. */
static void spare_bits_must_be_zero(void **state)
{
    (void)state;
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (int v = 0; v < 64; v++) {
        char two[] = {'/', digits[v], '=', '='}, one[] = {'/', '/', digits[v], '='};
        uint8_t bytes[3];
        size_t n;
        assert_int_equal(tl_base64_parse(tl_slice_of(two, 4), bytes, &n),
                         v % 16 ? TL_ERR_PROTO : TL_OK);
        assert_int_equal(tl_base64_parse(tl_slice_of(one, 4), bytes, &n),
                         v % 4 ? TL_ERR_PROTO : TL_OK);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_vectors_of_rfc_4648_come_out_both_ways),
        cmocka_unit_test(every_length_goes_there_and_back_in_place),
        cmocka_unit_test(a_length_that_is_no_multiple_of_four_is_refused),
        cmocka_unit_test(only_the_alphabet_is_read),
        cmocka_unit_test(padding_stands_only_at_the_end),
        cmocka_unit_test(spare_bits_must_be_zero),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
