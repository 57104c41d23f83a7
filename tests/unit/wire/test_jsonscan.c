#include "base/json.h"
#include "wire/jsonscan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Any value, from a copy of exactly its size; also checks that nothing shorter of an accepted
 * object or array is accepted. */
static bool accepts(const char *text, size_t n)
{
    tl_json_kind kind;
    uint8_t *copy = malloc(n ? n : 1);
    assert_non_null(copy);
    memcpy(copy, text, n);
    bool good = tl_jsonscan_check(tl_slice_of(copy, n), 0, &kind) == TL_OK;
    free(copy);
    return good;
}

static const char *const good[] = {
    "{}",
    "[]",
    " {\n}\t\r",
    "[ ]",
    "null",
    "true",
    "false",
    "0",
    "-0",
    "1",
    "-1",
    "10",
    "0.5",
    "-0.5",
    "1e5",
    "1E+5",
    "1e-5",
    "0e1",
    "1.25e10",
    "\"\"",
    "\"a\"",
    "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"",
    "\"\\u0041\"",
    "\"\\uD83D\\uDE00\"",
    "\"\\ud83d\\ude00\"",
    "\"\\uFFFF\"",
    "\"\xC3\xA9\"",
    "\"\xE2\x82\xAC\"",
    "\"\xF0\x9F\x98\x80\"",
    "\"\xF4\x8F\xBF\xBF\"",
    "\"\x7F\"",
    "[1,2]",
    "[[],[[]]]",
    "{\"a\":1}",
    "{\"a\":{\"b\":[{}]}}",
    "{\"a\":1,\"b\":2}",
    "{\"\":0}",
    "[{\"a\":[]},[],{}]",
    "[ 1 , \"x\" , { \"a\" : null } ]",
    "\"\xEE\x80\x80\"",
    "\"\xED\x9F\xBF\"",
    "\"\\u0000\"",
};

static const char *const bad[] = {
    "",
    " ",
    "{",
    "}",
    "[",
    "]",
    "{]",
    "[}",
    "[1",
    "[1,",
    "[1,]",
    "[,1]",
    "[,]",
    "[1 2]",
    "[1,,2]",
    "{\"a\"}",
    "{\"a\":}",
    "{\"a\":1,}",
    "{,}",
    "{\"a\" 1}",
    "{\"a\":1 \"b\":2}",
    "{a:1}",
    "{1:1}",
    "{'a':1}",
    "{\"a\":1}}",
    "[]]",
    "[] x",
    "{}{}",
    "1 2",
    "nul",
    "nulll",
    "True",
    "tru",
    "falsee",
    "NaN",
    "Infinity",
    "-Infinity",
    "+1",
    "-",
    "--1",
    "01",
    "-01",
    "00",
    "1.",
    ".5",
    "-.5",
    "1.e5",
    "1e",
    "1e+",
    "1E-",
    "1.5.5",
    "0x1",
    "1_0",
    "1a",
    "\"",
    "\"a",
    "a\"",
    "'a'",
    "\"\\\"",
    "\"\\",
    "\"\\x\"",
    "\"\\u\"",
    "\"\\u12\"",
    "\"\\u123\"",
    "\"\\u12G4\"",
    "\"\\U0041\"",
    "\"\n\"",
    "\"\t\"",
    "\"\x01\"",
    "\"\x1F\"",
    "\"\\uD800\"",
    "\"\\uDC00\"",
    "\"\\uD83D\\u0041\"",
    "\"\\uD83D\\uD83D\"",
    "\"\\uD83Dx\"",
    "\"\\uD83D\\n\"",
    "\"\\uDE00\\uD83D\"",
    "\"\x80\"",
    "\"\xC3\"",
    "\"\xC3(\"",
    "\"\xC0\x80\"",
    "\"\xC1\xBF\"",
    "\"\xE0\x80\x80\"",
    "\"\xED\xA0\x80\"",
    "\"\xF0\x80\x80\x80\"",
    "\"\xF4\x90\x80\x80\"",
    "\"\xF5\x80\x80\x80\"",
    "\"\xFF\"",
    "\"\xE2\x82\"",
    "\xEF\xBB\xBF{}",
    "{\"a\":1}\x01",
    "//\n{}",
    "{}/*x*/",
    "[\"a\\",
    "{\"\xFF\":1}",
    "{\"a\n\":1}",
    "\xC2\xA0{}",
    "[1,\xC3\xA9]",
    "\x0C[]",
    "\x0B[]",
    "[1\x00]",
};

static void every_legal_text_is_taken(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        if (!accepts(good[i], strlen(good[i])))
            fail_msg("refused: %s", good[i]);
}

static void every_illegal_text_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (accepts(bad[i], strlen(bad[i])))
            fail_msg("taken: %s", bad[i]);
    assert_false(accepts("[1]\0", 4));
    assert_false(accepts("\"\0\"", 3));
}

static void jansson_says_the_same_of_each(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        json_t *v = NULL;
        assert_int_equal(tl_json_parse(tl_slice_str(good[i]), 100, &v, NULL), TL_OK);
        json_decref(v);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        json_t *v = NULL;
        if (strlen(bad[i]) && tl_json_parse(tl_slice_str(bad[i]), 100, &v, NULL) == TL_OK)
            fail_msg("jansson takes: %s", bad[i]);
    }
}

static void a_text_cut_anywhere_is_refused(void **state)
{
    (void)state;
    static const char text[] =
        "{\"a\":[1.5e3,true,false,null,\"\\u00e9\\uD83D\\uDE00\xE2\x82\xAC\"],\"b\":{}}";
    for (size_t n = 0; n < sizeof text - 1; n++)
        assert_false(accepts(text, n));
    assert_true(accepts(text, sizeof text - 1));
}

/* The fast path looks at 64 bytes at a time: each place in it must see each kind of byte. */
static void long_strings_hide_nothing(void **state)
{
    (void)state;
    for (size_t n = 1; n < 200; n += 7) {
        for (size_t i = 0; i < n; i++) {
            char text[210];
            memset(text, 'x', sizeof text);
            text[0] = text[n + 1] = '"';
            assert_true(accepts(text, n + 2));
            text[i + 1] = '"';
            assert_false(accepts(text, n + 2));
            text[i + 1] = '\x1f';
            assert_false(accepts(text, n + 2));
            text[i + 1] = '\x80';
            assert_false(accepts(text, n + 2));
            text[i + 1] = '\\';
            assert_false(accepts(text, n + 2));
            text[i + 1] = '\x7f';
            assert_true(accepts(text, n + 2));
        }
    }
}

static void members_come_in_order_with_their_kinds(void **state)
{
    (void)state;
    static const char text[] = " { \"s\" : \"a\\\"b\" , \"n\":-1.5, \"o\":{\"x\":[1]},\"a\":[ "
                               "],\"t\":true,\"f\":false,\"z\":null } ";
    static const struct {
        const char *key, *value;
        tl_json_kind kind;
    } wanted[] = {{"s", "\"a\\\"b\"", TL_JSON_STRING},  {"n", "-1.5", TL_JSON_NUMBER},
                  {"o", "{\"x\":[1]}", TL_JSON_OBJECT}, {"a", "[ ]", TL_JSON_ARRAY},
                  {"t", "true", TL_JSON_TRUE},          {"f", "false", TL_JSON_FALSE},
                  {"z", "null", TL_JSON_NULL}};
    tl_jsonscan s;
    tl_json_member m;
    bool done;
    assert_int_equal(tl_jsonscan_begin(&s, TL_SLICE_LIT(text), 16), TL_OK);
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        assert_int_equal(tl_jsonscan_next(&s, &m, &done), TL_OK);
        assert_false(done);
        assert_true(tl_slice_eq(m.key, tl_slice_str(wanted[i].key)));
        assert_true(tl_slice_eq(m.value, tl_slice_str(wanted[i].value)));
        assert_int_equal(m.kind, wanted[i].kind);
    }
    assert_int_equal(tl_jsonscan_next(&s, &m, &done), TL_OK);
    assert_true(done);
}

static void inner_objects_can_be_read_in_the_same_pass(void **state)
{
    (void)state;
    tl_jsonscan s, inner;
    tl_slice key;
    tl_json_kind kind;
    tl_json_member m;
    bool done;
    assert_int_equal(tl_jsonscan_begin(&s, TL_SLICE_LIT("{\"a\":{\"b\":1},\"c\":2}"), 2), TL_OK);
    assert_int_equal(tl_jsonscan_key(&s, &key, &done), TL_OK);
    assert_int_equal(tl_jsonscan_peek(&s, &kind), TL_OK);
    assert_int_equal(kind, TL_JSON_OBJECT);
    assert_int_equal(tl_jsonscan_enter(&s, &inner), TL_OK);
    assert_int_equal(tl_jsonscan_next(&inner, &m, &done), TL_OK);
    assert_true(tl_slice_eq(m.key, TL_SLICE_LIT("b")));
    assert_int_equal(tl_jsonscan_next(&inner, &m, &done), TL_OK);
    assert_true(done);
    tl_jsonscan_leave(&s, &inner);
    assert_int_equal(tl_jsonscan_next(&s, &m, &done), TL_OK);
    assert_true(tl_slice_eq(m.key, TL_SLICE_LIT("c")));
    assert_int_equal(tl_jsonscan_next(&s, &m, &done), TL_OK);
    assert_true(done);
    assert_int_equal(tl_jsonscan_begin(&s, TL_SLICE_LIT("{\"a\":{\"b\":1}}"), 1), TL_OK);
    assert_int_equal(tl_jsonscan_key(&s, &key, &done), TL_OK);
    assert_int_equal(tl_jsonscan_enter(&s, &inner), TL_ERR_PROTO);
}

static void only_an_object_can_be_begun(void **state)
{
    (void)state;
    tl_jsonscan s;
    static const char *const texts[] = {"", " ", "[]", "1", "\"{}\"", "x{}"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_int_equal(tl_jsonscan_begin(&s, tl_slice_str(texts[i]), 0), TL_ERR_PROTO);
}

/* `n` objects or arrays inside each other. */
static char *nested(size_t n, char open, char close)
{
    char *text = malloc(6 * n + 1), *p = text;
    assert_non_null(text);
    for (size_t i = 0; i < n; i++) {
        *p++ = open;
        if (open == '{' && i + 1 < n) {
            memcpy(p, "\"a\":", 4);
            p += 4;
        }
    }
    memset(p, close, n);
    p[n] = 0;
    return text;
}

static void depth_is_counted_from_the_outermost_value(void **state)
{
    (void)state;
    tl_json_kind kind;
    static const char brackets[] = "{}[]";
    for (int i = 0; i < 4; i += 2) {
        char *at = nested(16, brackets[i], brackets[i + 1]),
             *over = nested(17, brackets[i], brackets[i + 1]);
        assert_int_equal(tl_jsonscan_check(tl_slice_str(at), 16, &kind), TL_OK);
        assert_int_equal(tl_jsonscan_check(tl_slice_str(over), 16, &kind), TL_ERR_PROTO);
        assert_int_equal(tl_jsonscan_check(tl_slice_str(over), 0, &kind), TL_OK);
        free(at);
        free(over);
        char *most = nested(TL_JSONSCAN_DEPTH, brackets[i], brackets[i + 1]);
        char *more = nested(TL_JSONSCAN_DEPTH + 1, brackets[i], brackets[i + 1]);
        assert_int_equal(tl_jsonscan_check(tl_slice_str(most), 0, &kind), TL_OK);
        assert_int_equal(tl_jsonscan_check(tl_slice_str(more), 0, &kind), TL_ERR_PROTO);
        free(most);
        free(more);
    }
}

static void closing_brackets_must_match_at_every_level(void **state)
{
    (void)state;
    assert_true(accepts("[{\"a\":[{\"b\":[]}]}]", 18));
    assert_false(accepts("[{\"a\":[{\"b\":[]]}}]", 18));
    assert_false(accepts("[{\"a\":[{\"b\":[}]}]]", 18));
}

static void strings_are_read_with_their_escapes_undone(void **state)
{
    (void)state;
    char text[32];
    size_t n;
    assert_int_equal(tl_jsonscan_string(TL_SLICE_LIT("\"a\\n\\u00e9\\u20AC\\ud83d\\ude00\\/\""),
                                        text, sizeof text, &n),
                     TL_OK);
    assert_string_equal(text, "a\n\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80/");
    assert_int_equal(n, strlen(text));
    assert_int_equal(tl_jsonscan_string(TL_SLICE_LIT("key"), text, sizeof text, &n), TL_OK);
    assert_string_equal(text, "key");
    assert_int_equal(tl_jsonscan_string(TL_SLICE_LIT("\"abc\""), text, 4, &n), TL_OK);
    assert_int_equal(tl_jsonscan_string(TL_SLICE_LIT("\"abcd\""), text, 4, &n), TL_ERR_TOO_LARGE);
    assert_int_equal(tl_jsonscan_string(TL_SLICE_LIT("\"\""), text, 0, &n), TL_ERR_TOO_LARGE);
    assert_int_equal(tl_jsonscan_string(TL_SLICE_LIT("\"\\u0000\""), text, sizeof text, &n),
                     TL_ERR_PROTO);
    assert_int_equal(tl_jsonscan_string(TL_SLICE_LIT("\"\\ud800\""), text, sizeof text, &n),
                     TL_ERR_PROTO);
    assert_int_equal(tl_jsonscan_string(TL_SLICE_LIT("\"\xff\""), text, sizeof text, &n),
                     TL_ERR_PROTO);
    assert_int_equal(tl_jsonscan_string(TL_SLICE_LIT("\"a\\\""), text, sizeof text, &n),
                     TL_ERR_PROTO);
}

/* What jansson and we refuse in a message of our own, and model servers take. */
static void a_body_that_is_handed_on_may_have_a_mark_and_half_pairs(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool message, body;
    } rows[] = {
        {"{\"a\":\"\\ud83d\"}", false, true},
        {"{\"a\":[{\"b\":\"\\udc00 \\ud83dx\\ud83d\"}]}", false, true},
        {"{\"\\ud83d\":1}", false, true},
        {"\xEF\xBB\xBF{\"a\":\"b\"}", false, true},
        {"{\"a\":\"\\ud83d\\ude00\"}", true, true},
        {"{\"a\":\"\\ud83\"}", false, false},
        {"{\"a\":\"\\ud83g\"}", false, false},
        {"\xEF\xBB{}", false, false},
        {"\xEF\xBB\xBF\xEF\xBB\xBF{}", false, false},
        {"\xEF\xBB\xBF", false, false},
        {"{\"a\":\"\xed\xa0\xbd\"}", false, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (int body = 0; body <= 1; body++) {
            tl_jsonscan s;
            tl_json_member m;
            bool done = false;
            tl_slice text = tl_slice_str(rows[i].text);
            tl_err e = body ? tl_jsonscan_begin_body(&s, text, 0) : tl_jsonscan_begin(&s, text, 0);
            while (!e && !done)
                e = tl_jsonscan_next(&s, &m, &done);
            if ((e == TL_OK) != (body ? rows[i].body : rows[i].message))
                fail_msg("row %zu as %s: %d", i, body ? "body" : "message", e);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_legal_text_is_taken),
        cmocka_unit_test(every_illegal_text_is_refused),
        cmocka_unit_test(jansson_says_the_same_of_each),
        cmocka_unit_test(a_text_cut_anywhere_is_refused),
        cmocka_unit_test(long_strings_hide_nothing),
        cmocka_unit_test(members_come_in_order_with_their_kinds),
        cmocka_unit_test(inner_objects_can_be_read_in_the_same_pass),
        cmocka_unit_test(only_an_object_can_be_begun),
        cmocka_unit_test(a_body_that_is_handed_on_may_have_a_mark_and_half_pairs),
        cmocka_unit_test(depth_is_counted_from_the_outermost_value),
        cmocka_unit_test(closing_brackets_must_match_at_every_level),
        cmocka_unit_test(strings_are_read_with_their_escapes_undone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
