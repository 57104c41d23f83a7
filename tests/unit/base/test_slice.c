#include "base/slice.h"

#include "base/rand.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void slices_are_equal_by_content(void **state)
{
    (void)state;
    char a[] = "abc", b[] = "abc";
    assert_true(tl_slice_eq(tl_slice_str(a), tl_slice_str(b)));
    assert_false(tl_slice_eq(tl_slice_str(a), tl_slice_of(b, 2)));
    assert_false(tl_slice_eq(TL_SLICE_LIT("abc"), TL_SLICE_LIT("abd")));
    assert_true(tl_slice_eq((tl_slice){NULL, 0}, tl_slice_of(a, 0)));
    assert_int_equal(TL_SLICE_LIT("a\0b").n, 3);
}

static void an_empty_buffer_gives_an_empty_slice_and_room(void **state)
{
    (void)state;
    tl_buf b = {0};
    uint8_t *room = NULL;
    assert_int_equal(tl_buf_slice(&b).n, 0);
    assert_null(tl_buf_begin(&b));
    tl_buf_consume(&b, 5);
    assert_int_equal(tl_buf_append(&b, (tl_slice){NULL, 0}), TL_OK);
    assert_int_equal(tl_buf_reserve(&b, 0, &room), TL_OK);
    assert_non_null(room);
    tl_buf_clear(&b);
    tl_buf_clear(&b);
}

/* A long random life beside a plain model of it. */
static void a_buffer_is_a_queue_of_bytes(void **state)
{
    (void)state;
    enum { MOST = 1 << 16 };
    static uint8_t model[MOST];
    size_t from = 0, to = 0;
    tl_rand rand = tl_rand_seeded(1);
    tl_buf b = {0};
    while (to < MOST - 600) {
        uint8_t bytes[600];
        size_t n = tl_rand_below(&rand, sizeof bytes);
        tl_rand_bytes(&rand, bytes, n);
        if (tl_rand_below(&rand, 2)) {
            assert_int_equal(tl_buf_append(&b, tl_slice_of(bytes, n)), TL_OK);
        } else {
            uint8_t *room;
            assert_int_equal(tl_buf_reserve(&b, n + 10, &room), TL_OK);
            memcpy(room, bytes, n);
            tl_buf_added(&b, n);
        }
        memcpy(model + to, bytes, n);
        to += n;
        size_t k = tl_rand_below(&rand, 700);
        tl_buf_consume(&b, k);
        from = from + k < to ? from + k : to;
        assert_true(tl_slice_eq(tl_buf_slice(&b), tl_slice_of(model + from, to - from)));
        assert_true(b.head + b.len <= b.cap);
    }
    assert_true(b.cap <= 1 << 13); /* consumed space is used again */
    tl_buf_clear(&b);
}

static void an_impossible_size_is_refused_and_the_content_stays(void **state)
{
    (void)state;
    tl_buf b = {0};
    uint8_t *room = NULL;
    assert_int_equal(tl_buf_append_str(&b, "0123456789"), TL_OK);
    tl_buf_consume(&b, 3);
    static const size_t sizes[] = {SIZE_MAX,      SIZE_MAX - 1, SIZE_MAX - 6,    SIZE_MAX - 7,
                                   SIZE_MAX - 10, SIZE_MAX / 2, SIZE_MAX / 2 - 6};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        assert_int_equal(tl_buf_reserve(&b, sizes[i], &room), TL_ERR_NOMEM);
        assert_null(room);
        assert_true(tl_slice_eq(tl_buf_slice(&b), TL_SLICE_LIT("3456789")));
    }
    tl_buf_clear(&b);
}

static void text_is_formatted_behind_the_content(void **state)
{
    (void)state;
    tl_buf b = {0};
    char big[300];
    memset(big, 'x', sizeof big - 1);
    big[sizeof big - 1] = 0;
    assert_int_equal(tl_buf_printf(&b, "%d-%s|", 7, "a"), TL_OK);
    assert_int_equal(tl_buf_printf(&b, "%s", big), TL_OK);
    assert_int_equal(tl_buf_printf(&b, "%s", ""), TL_OK);
    assert_int_equal(b.len, 4 + 299);
    assert_memory_equal(tl_buf_begin(&b), "7-a|xxx", 7);
    tl_buf_clear(&b);
}

static void hex_goes_there_and_back(void **state)
{
    (void)state;
    uint8_t bytes[256], back[256];
    char hex[513];
    for (int i = 0; i < 256; i++)
        bytes[i] = (uint8_t)i;
    tl_hex_write(hex, bytes, sizeof bytes);
    assert_int_equal(strlen(hex), 512);
    assert_memory_equal(hex, "000102030405060708090a0b", 24);
    assert_int_equal(tl_hex_parse(tl_slice_str(hex), false, back, sizeof back), TL_OK);
    assert_memory_equal(back, bytes, sizeof bytes);
}

static void hex_is_exact_in_length_digits_and_case(void **state)
{
    (void)state;
    uint8_t got[2] = {9, 9};
    assert_int_equal(tl_hex_parse(TL_SLICE_LIT("aBcD"), true, got, 2), TL_OK);
    assert_memory_equal(got, "\xAB\xCD", 2);
    got[0] = got[1] = 9;
    assert_int_equal(tl_hex_parse(TL_SLICE_LIT("aBcD"), false, got, 2), TL_ERR_PROTO);
    assert_int_equal(tl_hex_parse(TL_SLICE_LIT("abc"), true, got, 2), TL_ERR_PROTO);
    assert_int_equal(tl_hex_parse(TL_SLICE_LIT("abcde"), true, got, 2), TL_ERR_PROTO);
    assert_int_equal(tl_hex_parse(TL_SLICE_LIT(""), true, got, 2), TL_ERR_PROTO);
    assert_int_equal(tl_hex_parse(TL_SLICE_LIT("abcg"), true, got, 2), TL_ERR_PROTO);
    assert_int_equal(got[0] + got[1], 18);
    assert_int_equal(tl_hex_parse((tl_slice){NULL, 0}, true, got, 0), TL_OK);
    unsigned lower = 0, any = 0;
    for (int c = 0; c < 256; c++) {
        char two[2] = {'0', (char)c};
        lower += tl_hex_parse(tl_slice_of(two, 2), false, got, 1) == TL_OK;
        any += tl_hex_parse(tl_slice_of(two, 2), true, got, 1) == TL_OK;
    }
    assert_int_equal(lower, 16);
    assert_int_equal(any, 22);
}

static void well_formed_utf_8_is_known(void **state)
{
    (void)state;
    static const char *const good[] = {
        "",
        "plain",
        "\x7F",
        "\xC2\x80",
        "\xDF\xBF",
        "\xE0\xA0\x80",
        "\xED\x9F\xBF",
        "\xEE\x80\x80",
        "\xEF\xBF\xBF",
        "\xF0\x90\x80\x80",
        "\xF4\x8F\xBF\xBF",
        "1234567\xC3\xA9",
        "12345678\xC3\xA9",
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(tl_utf8_is(tl_slice_str(good[i])));
    assert_true(tl_utf8_is(TL_SLICE_LIT("a\0b")));
}

static void ill_formed_utf_8_is_refused_at_any_place(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "\x80",
        "\xBF",
        "\xC0\x80",
        "\xC1\xBF",
        "\xC2",
        "\xC2\x41",
        "\xC2\xC2",
        "\xE0\x80\x80",
        "\xE0\x9F\xBF",
        "\xE2\x82",
        "\xE2\x82\x41",
        "\xED\xA0\x80",
        "\xED\xBF\xBF",
        "\xF0\x80\x80\x80",
        "\xF0\x8F\xBF\xBF",
        "\xF0\x90\x80",
        "\xF4\x90\x80\x80",
        "\xF5\x80\x80\x80",
        "\xF8\x88\x80\x80\x80",
        "\xFE",
        "\xFF",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        for (size_t lead = 0; lead < 18; lead++) { /* around the steps of eight bytes */
            char text[64];
            size_t n = strlen(bad[i]);
            memset(text, 'a', sizeof text);
            memcpy(text + lead, bad[i], n);
            assert_false(tl_utf8_is(tl_slice_of(text, lead + n)));
            assert_false(tl_utf8_is(tl_slice_of(text, lead + n + 9)));
        }
}

static size_t encode(uint32_t c, uint8_t *p)
{
    if (c < 0x80) {
        p[0] = (uint8_t)c;
        return 1;
    }
    size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = n; i-- > 1; c >>= 6)
        p[i] = (uint8_t)(0x80 | (c & 0x3F));
    p[0] = (uint8_t)(0xF00 >> n | c); /* n leading ones */
    return n;
}

static void every_code_point_but_surrogates_is_well_formed(void **state)
{
    (void)state;
    for (uint32_t c = 0; c < 0x120000; c++) {
        uint8_t p[4];
        size_t n = encode(c, p);
        bool scalar = c <= 0x10FFFF && !(c >= 0xD800 && c <= 0xDFFF);
        assert_true(tl_utf8_is(tl_slice_of(p, n)) == scalar);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slices_are_equal_by_content),
        cmocka_unit_test(an_empty_buffer_gives_an_empty_slice_and_room),
        cmocka_unit_test(a_buffer_is_a_queue_of_bytes),
        cmocka_unit_test(an_impossible_size_is_refused_and_the_content_stays),
        cmocka_unit_test(text_is_formatted_behind_the_content),
        cmocka_unit_test(hex_goes_there_and_back),
        cmocka_unit_test(hex_is_exact_in_length_digits_and_case),
        cmocka_unit_test(well_formed_utf_8_is_known),
        cmocka_unit_test(ill_formed_utf_8_is_refused_at_any_place),
        cmocka_unit_test(every_code_point_but_surrogates_is_well_formed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
