#include "base/alike.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static bool alike(const char *a, const char *b)
{
    char one[TL_ALIKE_KEY_MAX], two[TL_ALIKE_KEY_MAX];
    tl_alike_key(tl_slice_str(a), one);
    tl_alike_key(tl_slice_str(b), two);
    return !strcmp(one, two);
}

static void disguises_of_a_name_look_like_it(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"bob", "BOB"},
        {"bob", "b0b"},                            /* zero */
        {"bob", "b\u043Eb"},                       /* Cyrillic o */
        {"BOB", "\u0412\u041E\u0412"},             /* all Cyrillic */
        {"bob", "b\u03BFb"},                       /* Greek omicron */
        {"bob", "b\u00F3b"},                       /* accent */
        {"bob", "bo\u0301b"},                      /* the same, decomposed */
        {"bob", "b\u200Bo\u2060b"},                /* nothing between */
        {"bob", "\uFF42\uFF4F\uFF42"},             /* full width */
        {"bob", "\U0001D41B\U0001D428\U0001D41B"}, /* bold of mathematics */
        {"bob", "\u24D1\u24DE\u24D1"},             /* in circles */
        {"ace", "\u0430\u0441\u0435"},             /* Cyrillic */
        {"Alice", "A1ice"},
        {"Alice", "Al\u0456ce"},
        {"alice", "aIice"},
        {"modem", "modern"},
        {"www", "vvvvvv"},
        {"gpu-1", "gpu\u2010l"}, /* hyphen */
        {"a b", "a\u00A0b"},
        {"\u2113ab", "lab"},
        {"\u13A0\u13A2", "DT"}, /* Cherokee */
        {"3f9a", "3f9\u0430"},
        {"\u017Eofie", "zofie"},
        {"alice", "alice\u2800"},     /* a blank of braille */
        {"alice", "\u1EA1lice"},      /* a with a dot below */
        {"alice", "a\u0323lice"},     /* the same, decomposed */
        {"alice", "al\u01D0ce"},      /* i with a caron */
        {"alice", "a\u05BDlice"},     /* a point of Hebrew */
        {"alice", "al\u0268c\u0247"}, /* strokes */
        {"alice", "alice\uFFF9\U000E0041"},
        {"alice", "alice\U0001D173"},
        {"AIA", "\uA4EE\uA4F2\uA4EE"}, /* Lisu */
        {"VUHX", "\u142F\u144C\u157C\u1541"},
        {"alfie", "al\uFB01e"}, /* a ligature */
        {"strasse", "stra\u00DFe"},
        {"\u0439", "\u0438\u0306"},       /* Cyrillic, composed and not */
        {"\u0434\u0434", "\u0414\u0434"}, /* letter case */
        {"\u03AE", "\u03B7\u0301"},       /* Greek */
        {"\u0389", "\u0397\u0301"},
        {"\u304C", "\u304B\u3099"}, /* kana */
        {"a b", "a  b"},
        {"a b", " a \u3000b\u2003 "},
        {"", " \u2800 "},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (!alike(rows[i][0], rows[i][1]))
            fail_msg("%s and %s", rows[i][0], rows[i][1]);
}

static void other_names_do_not_look_alike(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"bob", "bib"},
        {"bob", "bobb"},
        {"anna", "ana"},
        {"gpu1", "gpu2"},
        {"gpu-1", "gpu_1"},
        {"\u5BB6", "\u68EE"},
        {"\u0434\u043E\u043C", "dom"},
        {"", "a"},
        {"a b", "ab"},
        {"\u00A8", ""}, /* accents that stand alone are seen */
        {"alice", "al\u0269cy"},
        {"\u0905", "\u0906"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (alike(rows[i][0], rows[i][1]))
            fail_msg("%s and %s", rows[i][0], rows[i][1]);
}

static void a_name_of_two_alphabets_or_with_something_unseen_is_disguised(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        bool is;
    } rows[] = {
        {"bob", false},
        {"Zo\u00EB's Mac", false},
        {"\u0418\u0432\u0430\u043D", false},
        {"\u0418\u0432\u0430\u043D 2", false},
        {"\u5BB6 gpu", false}, /* letters of these cannot pass for each other */
        {"\u0627\u0644\u0645", false},
        {"b\u043Eb", true},
        {"b\u03BFb", true},
        {"\u0430\u03BF", true},
        {"bo\uFF42", true},
        {"b\u200Bob", true},
        {"bob\uFE0F", true},
        {"", false},
        {"a b ", false},
        {"  ", true}, /* nothing is seen */
        {"\u3000", true},
        {"\u0301", true},
        {"alice\u2800", true},
        {"\uFFA0", true},
        {"\uA4EE\uA4F2\uA4EE", true},  /* Lisu */
        {"\u24D0\u24D1", true},        /* all in costume */
        {"\u592A\u90CE\uFF11", false}, /* a digit of full width in Japanese */
        {"\uFF41\uFF42", false},
        {"\u1112\u1161\u11AB", true}, /* a Korean syllable in pieces */
        {"\uD55C", false},
        {"\u0939\u093F\u0928\u094D\u0926\u0940", false}, /* Hindi */
        {"\u1403\u14C4", false},                         /* Inuktitut */
        {"\u1403I", true},
        {"Ph\u1EA1m", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (tl_alike_is_disguised(tl_slice_str(rows[i].name)) != rows[i].is)
            fail_msg("%s", rows[i].name);
}

/* Of each character alone, and twice. */
static void each_character_has_a_key_within_its_room(void **state)
{
    (void)state;
    char key[TL_ALIKE_KEY_MAX];
    for (uint32_t c = 0x80; c < 0x110000; c++) {
        uint8_t utf8[8];
        size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
        uint32_t rest = c;
        for (size_t i = n; i-- > 1; rest >>= 6)
            utf8[i] = utf8[n + i] = (uint8_t)(0x80 | (rest & 0x3F));
        utf8[0] = utf8[n] = (uint8_t)((n == 2 ? 0xC0 : n == 3 ? 0xE0 : 0xF0) | rest);
        tl_alike_key(tl_slice_of(utf8, n), key);
        size_t once = strlen(key);
        assert_true(once <= 2 * n);
        tl_alike_key(tl_slice_of(utf8, 2 * n), key);
        assert_int_equal(strlen(key), 2 * once);
    }
}

static void any_bytes_have_a_key_within_its_room(void **state)
{
    (void)state;
    char key[TL_ALIKE_KEY_MAX], text[400];
    memset(text, 'm', sizeof text);
    tl_alike_key(tl_slice_of(text, sizeof text), key);
    assert_int_equal(strlen(key), 2 * TL_ALIKE_TEXT_MAX);
    for (int byte = 0; byte < 256; byte++) {
        memset(text, byte, sizeof text);
        for (size_t n = 0; n < 5; n++) {
            tl_alike_key(tl_slice_of(text, n), key);
            assert_true(strlen(key) <= 2 * n);
            (void)tl_alike_is_disguised(tl_slice_of(text, n));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(disguises_of_a_name_look_like_it),
        cmocka_unit_test(other_names_do_not_look_alike),
        cmocka_unit_test(a_name_of_two_alphabets_or_with_something_unseen_is_disguised),
        cmocka_unit_test(each_character_has_a_key_within_its_room),
        cmocka_unit_test(any_bytes_have_a_key_within_its_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
