#include "base/plain.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

/* Writes the code point in UTF-8, without looking at what it is. */
static size_t encode(uint32_t c, uint8_t ret[4])
{
    if (c < 0x80) {
        ret[0] = (uint8_t)c;
        return 1;
    }
    size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = n - 1; i > 0; i--, c >>= 6)
        ret[i] = (uint8_t)(0x80 | (c & 0x3F));
    ret[0] = (uint8_t)((n == 2 ? 0xC0 : n == 3 ? 0xE0 : 0xF0) | c);
    return n;
}

static tl_plain judge(uint32_t c)
{
    uint8_t bytes[4];
    size_t n = encode(c, bytes), taken;
    tl_plain plain = tl_plain_next(tl_slice_of(bytes, n), &taken);
    if (taken != n)
        fail_msg("U+%04X: %zu bytes of %zu", c, taken, n);
    return plain;
}

static void what_a_terminal_obeys_is_hidden(void **state)
{
    (void)state;
    for (uint32_t c = 0; c < 0x20; c++)
        assert_int_equal(judge(c), TL_PLAIN_HIDDEN);
    for (uint32_t c = 0x20; c < 0x7F; c++)
        assert_int_equal(judge(c), TL_PLAIN_SHOWN);
    for (uint32_t c = 0x7F; c < 0xA0; c++)
        assert_int_equal(judge(c), TL_PLAIN_HIDDEN);
    assert_int_equal(judge(0xA0), TL_PLAIN_SHOWN);
}

/* UAX 9, table 4: every explicit control of direction, and their neighbours. */
static void what_turns_text_around_is_hidden(void **state)
{
    (void)state;
    static const uint32_t hidden[] = {0x061C, 0x200E, 0x200F, 0x2028,  0x2029,  0x202A, 0x202B,
                                      0x202C, 0x202D, 0x202E, 0x2066,  0x2067,  0x2068, 0x2069,
                                      0xFFF9, 0xFFFA, 0xFFFB, 0xE0001, 0xE0041, 0xE007F};
    static const uint32_t shown[] = {0x061B, 0x061D, 0x200D, 0x2010, 0x2027,  0x202F,
                                     0x2065, 0x206A, 0xFFF8, 0xFFFC, 0xE0080, 0x1F600};
    for (size_t i = 0; i < sizeof hidden / sizeof *hidden; i++)
        assert_int_equal(judge(hidden[i]), TL_PLAIN_HIDDEN);
    for (size_t i = 0; i < sizeof shown / sizeof *shown; i++)
        assert_int_equal(judge(shown[i]), TL_PLAIN_SHOWN);
}

static void every_script_is_shown(void **state)
{
    (void)state;
    assert_true(
        tl_plain_is(TL_SLICE_LIT("caf\xC3\xA9 \xE6\x97\xA5 \xD7\xA9\xD7\x9C\xD7\x95\xD7\x9D "
                                 "\xD8\xB3\xD9\x84\xD8\xA7\xD9\x85 \xF0\x9F\x98\x80")));
    assert_true(tl_plain_is(TL_SLICE_LIT("")));
    assert_false(tl_plain_is(TL_SLICE_LIT("a\xE2\x80\xAE"
                                          "b")));
    assert_false(tl_plain_is(TL_SLICE_LIT("a\x1b[m")));
    assert_false(tl_plain_is(TL_SLICE_LIT("a\xFF")));
}

static void a_byte_that_is_no_utf8_is_one_byte(void **state)
{
    (void)state;
    static const char *const texts[] = {"\xFF", "\xC3", "\xE2\x80", "\xED\xA0\x80", "\x80x"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        size_t n;
        assert_int_equal(tl_plain_next(tl_slice_str(texts[i]), &n), TL_PLAIN_BROKEN);
        assert_int_equal(n, 1);
    }
}

static void a_name_that_another_chose_passes_for_nothing_but_a_name(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"", ""},
        {"vm", "\"vm\""},
        {"[mum]", "\"'mum'\""},
        {"x\" [mum] \"y", "\"x' 'mum' 'y\""},
        {"0123456789012345678901234567890123456789012345678901234567890123",
         "\"0123456789012345678901234567890123456789012345678901234567890123\""},
        {"012345678901234567890123456789012345678901234567890123456789012\u00e9",
         "\"012345678901234567890123456789012345678901234567890123456789012\""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char said[TL_PLAIN_QUOTED_MAX];
        tl_plain_quote(said, rows[i][0]);
        assert_string_equal(said, rows[i][1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_that_another_chose_passes_for_nothing_but_a_name),
        cmocka_unit_test(what_a_terminal_obeys_is_hidden),
        cmocka_unit_test(what_turns_text_around_is_hidden),
        cmocka_unit_test(every_script_is_shown),
        cmocka_unit_test(a_byte_that_is_no_utf8_is_one_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
