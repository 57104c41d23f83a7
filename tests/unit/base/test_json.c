#include "base/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define DEPTH 16

static tl_err parse(tl_slice text, tl_why *why)
{
    json_t *value = NULL;
    /* an exact copy, so that the address sanitizer sees a read past the end */
    uint8_t *copy = test_malloc(text.n + 1);
    memcpy(copy, text.p, text.n);
    tl_err e = tl_json_parse(tl_slice_of(copy, text.n), DEPTH, &value, why);
    assert_true((value != NULL) == (e == TL_OK));
    json_decref(value);
    test_free(copy);
    return e;
}

#define ASSERT_PARSES(lit)  assert_int_equal(parse(TL_SLICE_LIT(lit), NULL), TL_OK)
#define ASSERT_REFUSED(lit) assert_int_equal(parse(TL_SLICE_LIT(lit), NULL), TL_ERR_PROTO)

static void documents_of_every_kind_are_read(void **state)
{
    (void)state;
    ASSERT_PARSES("{}");
    ASSERT_PARSES("[]");
    ASSERT_PARSES("\"x\"");
    ASSERT_PARSES("0");
    ASSERT_PARSES("null");
    ASSERT_PARSES(" \t\r\n{ \"a\" : [ 1 , -0.5e+3 , true , false , null ] } \n");
    ASSERT_PARSES("{\"a\":1,\"A\":2}");
    ASSERT_PARSES("\"\\u0000\\ud83d\\ude00 \\\"\\\\\\/\\b\\f\\n\\r\\t\"");
    ASSERT_PARSES("[9223372036854775807,-9223372036854775808,1.7976931348623157e308]");
}

static void what_rfc_8259_forbids_is_refused(void **state)
{
    (void)state;
    ASSERT_REFUSED("");
    ASSERT_REFUSED(" ");
    ASSERT_REFUSED("{");
    ASSERT_REFUSED("{}{}");
    ASSERT_REFUSED("{} x");
    ASSERT_REFUSED("{}\0");
    ASSERT_REFUSED("\0{}");
    ASSERT_REFUSED("{\"a\":1,}");
    ASSERT_REFUSED("[1,]");
    ASSERT_REFUSED("[1 2]");
    ASSERT_REFUSED("{a:1}");
    ASSERT_REFUSED("{'a':1}");
    ASSERT_REFUSED("[01]");
    ASSERT_REFUSED("[+1]");
    ASSERT_REFUSED("[1.]");
    ASSERT_REFUSED("[.5]");
    ASSERT_REFUSED("[1e]");
    ASSERT_REFUSED("[0x10]");
    ASSERT_REFUSED("[NaN]");
    ASSERT_REFUSED("[-Infinity]");
    ASSERT_REFUSED("[True]");
    ASSERT_REFUSED("[\"\\x41\"]");
    ASSERT_REFUSED("[\"\\u12\"]");
    ASSERT_REFUSED("[\"tab\there\"]");
    ASSERT_REFUSED("[\"line\nhere\"]");
    ASSERT_REFUSED("[\"nul\0here\"]");
    ASSERT_REFUSED("[1]//comment");
    ASSERT_REFUSED("\xEF\xBB\xBF{}");
    ASSERT_REFUSED("]");
}

static void duplicate_keys_are_refused_however_they_are_written(void **state)
{
    (void)state;
    ASSERT_REFUSED("{\"a\":1,\"a\":2}");
    ASSERT_REFUSED("{\"a\":1,\"\\u0061\":2}");
    ASSERT_REFUSED("[{\"x\":{\"a\":1,\"b\":2,\"a\":1}}]");
    ASSERT_PARSES("[{\"x\":{\"a\":1,\"b\":2,\"c\":1}},{\"x\":1}]");
}

static void a_zero_byte_is_refused_wherever_it_stands(void **state)
{
    (void)state;
    ASSERT_REFUSED("6\0");
    ASSERT_REFUSED("{}\0");
    ASSERT_REFUSED("{\"a\":6\0}");
    ASSERT_REFUSED("[true\0,1]");
    ASSERT_REFUSED("\"a\0b\"");
    ASSERT_PARSES("[true ,1]");
}

static void text_that_is_no_utf_8_is_refused(void **state)
{
    (void)state;
    ASSERT_PARSES("[\"\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\"]");
    ASSERT_REFUSED("[\"\x80\"]");
    ASSERT_REFUSED("[\"\xC0\x80\"]");
    ASSERT_REFUSED("[\"\xC3\"]");
    ASSERT_REFUSED("[\"\xED\xA0\x80\"]");
    ASSERT_REFUSED("[\"\xF4\x90\x80\x80\"]");
    ASSERT_REFUSED("[\"\xFF\"]");
    ASSERT_REFUSED("[\"\\ud800\"]");
    ASSERT_REFUSED("[\"\\udc00\"]");
    ASSERT_REFUSED("[\"\\ud800\\u0041\"]");
    ASSERT_REFUSED("{\"\xC3\":1}");
}

static void numbers_that_no_type_of_ours_holds_are_refused(void **state)
{
    (void)state;
    ASSERT_REFUSED("[9223372036854775808]");
    ASSERT_REFUSED("[-9223372036854775809]");
    ASSERT_REFUSED("[1e309]");
    ASSERT_REFUSED("{\"a\\u0000b\":1}");
}

static void depth_counts_the_outermost_as_one(void **state)
{
    (void)state;
    char text[2 * DEPTH + 4];
    memset(text, '[', DEPTH);
    memset(text + DEPTH, ']', DEPTH);
    assert_int_equal(parse(tl_slice_of(text, 2 * DEPTH), NULL), TL_OK);
    memset(text, '[', DEPTH + 1);
    memset(text + DEPTH + 1, ']', DEPTH + 1);
    tl_why why;
    assert_int_equal(parse(tl_slice_of(text, 2 * DEPTH + 2), &why), TL_ERR_PROTO);
    assert_non_null(strstr(why.text, "deeper than 16"));
    ASSERT_PARSES("[\"[[[[[[[[[[[[[[[[[[[[[[\\\"[[[[[[[[[[[[[[[[\"]");
    ASSERT_PARSES("[[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],{}]");
}

static void a_million_brackets_are_refused_without_recursion(void **state)
{
    (void)state;
    size_t n = 1 << 20;
    char *text = test_malloc(n);
    memset(text, '[', n);
    assert_int_equal(parse(tl_slice_of(text, n), NULL), TL_ERR_PROTO);
    for (size_t i = 0; i + 5 <= n; i += 5)
        memcpy(text + i, "{\"a\":", 5);
    assert_int_equal(parse(tl_slice_of(text, n), NULL), TL_ERR_PROTO);
    test_free(text);
}

static void an_error_names_its_place(void **state)
{
    (void)state;
    tl_why why;
    assert_int_equal(parse(TL_SLICE_LIT("{\n  \"a\": x\n}"), &why), TL_ERR_PROTO);
    assert_non_null(strstr(why.text, "line 2"));
    assert_int_equal(parse(TL_SLICE_LIT(""), &why), TL_ERR_PROTO);
    assert_non_null(strstr(why.text, "empty"));
}

static void a_document_cut_anywhere_is_refused(void **state)
{
    (void)state;
    static const char text[] = "{\"k\":[1,-2.5e3,true,null,\"\\u00e9\xE2\x82\xAC\"],\"o\":{}}";
    for (size_t n = 0; n < sizeof text - 1; n++)
        assert_int_equal(parse(tl_slice_of(text, n), NULL), TL_ERR_PROTO);
    assert_int_equal(parse(tl_slice_of(text, sizeof text - 1), NULL), TL_OK);
}

static void a_value_is_written_compactly_behind_what_is_there(void **state)
{
    (void)state;
    tl_buf out = {0};
    json_t *value = json_pack("{s:i,s:[b,n,s]}", "a", 1, "b", 1, "x\"\n");
    assert_int_equal(tl_buf_append_str(&out, "> "), TL_OK);
    assert_int_equal(tl_json_write(&out, value), TL_OK);
    assert_true(tl_slice_eq(tl_buf_slice(&out),
                            TL_SLICE_LIT("> {\"a\":1,\"b\":[true,null,\"x\\\"\\n\"]}")));
    json_decref(value);
    tl_buf_clear(&out);
    value = json_string("bare");
    assert_int_equal(tl_json_write(&out, value), TL_OK);
    assert_true(tl_slice_eq(tl_buf_slice(&out), TL_SLICE_LIT("\"bare\"")));
    json_decref(value);
    tl_buf_clear(&out);
}

static void a_document_is_written_as_it_was_read(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "{\"z\":1,\"a\":{\"y\":[],\"b\":{}},\"m\":[[],{},null]}",
        "[0.1,12.345,1.0,-0.5,1e+300,5e-324,100000000000000000000.0,0.30000000000000004]",
        "[9223372036854775807,-9223372036854775808,0,-1]",
        "\"\\u0000\\n\\r\\t\\\"\\\\/\xE2\x82\xAC\"",
        "[true,false,null]",
        "{\"\":{\"\\n\":1}}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        tl_buf out = {0};
        json_t *value;
        assert_int_equal(tl_json_parse(tl_slice_str(texts[i]), DEPTH, &value, NULL), TL_OK);
        assert_int_equal(tl_json_write(&out, value), TL_OK);
        assert_true(tl_slice_eq(tl_buf_slice(&out), tl_slice_str(texts[i])));
        json_decref(value);
        tl_buf_clear(&out);
    }
}

static void a_field_of_another_type_counts_as_absent(void **state)
{
    (void)state;
    json_t *o = json_pack("{s:s,s:i,s:f,s:b,s:n}", "s", "x", "i", 7, "r", 1.5, "b", 1, "n");
    assert_string_equal(tl_json_string(o, "s", "-"), "x");
    assert_string_equal(tl_json_string(o, "i", "-"), "-");
    assert_string_equal(tl_json_string(o, "none", "-"), "-");
    assert_null(tl_json_string(o, "n", NULL));
    assert_float_equal(tl_json_number(o, "i", 0), 7, 0);
    assert_float_equal(tl_json_number(o, "r", 0), 1.5, 0);
    assert_float_equal(tl_json_number(o, "s", -1), -1, 0);
    assert_true(tl_json_bool(o, "b", false));
    assert_true(tl_json_bool(o, "i", true));
    assert_false(tl_json_bool(o, "i", false));
    assert_string_equal(tl_json_string(NULL, "s", "-"), "-");
    json_decref(o);
}

static void assert_string(tl_slice text, const char *expected)
{
    tl_buf out = {0};
    assert_int_equal(tl_json_append_string(&out, text), TL_OK);
    assert_true(tl_slice_eq(tl_buf_slice(&out), tl_slice_str(expected)));
    assert_int_equal(parse(tl_buf_slice(&out), NULL), TL_OK);
    tl_buf_clear(&out);
}

static void any_bytes_become_a_valid_string(void **state)
{
    (void)state;
    assert_string((tl_slice){NULL, 0}, "\"\"");
    assert_string(TL_SLICE_LIT("a\"b\\c/"), "\"a\\\"b\\\\c/\"");
    assert_string(TL_SLICE_LIT("\0\n\x1F\x7F"), "\"\\u0000\\n\\u001f\\u007f\"");
    assert_string(TL_SLICE_LIT("\xE2\x82\xAC\xF0\x9F\x98\x80"), "\"\xE2\x82\xAC\xF0\x9F\x98\x80\"");
    assert_string(TL_SLICE_LIT("a\xFFz"), "\"a\xEF\xBF\xBDz\"");
    assert_string(TL_SLICE_LIT("\xE2\x82"), "\"\xEF\xBF\xBD\xEF\xBF\xBD\"");
    assert_string(TL_SLICE_LIT("\xE2\x82z"), "\"\xEF\xBF\xBD\xEF\xBF\xBDz\"");
    for (int a = 0; a < 256; a++)
        for (int b = 0; b < 256; b += 5) {
            uint8_t two[2] = {(uint8_t)a, (uint8_t)b};
            tl_buf out = {0};
            assert_int_equal(tl_json_append_string(&out, tl_slice_of(two, 2)), TL_OK);
            assert_int_equal(parse(tl_buf_slice(&out), NULL), TL_OK);
            tl_buf_clear(&out);
        }
}

static void a_text_of_too_many_values_makes_no_tree(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t values;
    } rows[] = {{"1", 1},
                {"[1,2,3]", 4},
                {"{\"a\":1,\"b\":[{}]}", 5},
                {"[[],{}]", 4},
                {"[\",,[[{{\\\",\"]", 2}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        tl_slice text = tl_slice_str(rows[i].text);
        json_t *v = NULL;
        tl_why why = {0};
        assert_in_range(tl_json_count(text), rows[i].values, rows[i].values + 2);
        size_t n = tl_json_count(text);
        assert_int_equal(tl_json_parse_bounded(text, 8, n - 1, &v, &why), TL_ERR_PROTO);
        assert_null(v);
        assert_non_null(strstr(why.text, "values"));
        assert_int_equal(tl_json_parse_bounded(text, 8, n, &v, NULL), TL_OK);
        json_decref(v);
    }
}

static void a_list_takes_a_value_or_is_freed(void **state)
{
    (void)state;
    json_t *list = tl_json_append(json_array(), json_integer(7));
    assert_int_equal(json_array_size(list), 1);
    assert_null(tl_json_append(list, NULL));
    assert_null(tl_json_append(NULL, json_integer(7))); /* a sanitizer sees what is not freed */
    assert_null(tl_json_append(NULL, NULL));
}

static void a_time_is_a_string_of_rfc_3339(void **state)
{
    (void)state;
    json_t *at = tl_json_time(1795996800);
    assert_string_equal(json_string_value(at), "2026-11-30T00:00:00Z");
    json_decref(at);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_list_takes_a_value_or_is_freed),
        cmocka_unit_test(a_text_of_too_many_values_makes_no_tree),
        cmocka_unit_test(documents_of_every_kind_are_read),
        cmocka_unit_test(what_rfc_8259_forbids_is_refused),
        cmocka_unit_test(duplicate_keys_are_refused_however_they_are_written),
        cmocka_unit_test(a_zero_byte_is_refused_wherever_it_stands),
        cmocka_unit_test(text_that_is_no_utf_8_is_refused),
        cmocka_unit_test(numbers_that_no_type_of_ours_holds_are_refused),
        cmocka_unit_test(depth_counts_the_outermost_as_one),
        cmocka_unit_test(a_million_brackets_are_refused_without_recursion),
        cmocka_unit_test(an_error_names_its_place),
        cmocka_unit_test(a_document_cut_anywhere_is_refused),
        cmocka_unit_test(a_value_is_written_compactly_behind_what_is_there),
        cmocka_unit_test(a_document_is_written_as_it_was_read),
        cmocka_unit_test(a_field_of_another_type_counts_as_absent),
        cmocka_unit_test(a_time_is_a_string_of_rfc_3339),
        cmocka_unit_test(any_bytes_become_a_valid_string),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
