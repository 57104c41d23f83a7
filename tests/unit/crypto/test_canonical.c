#include "crypto/canonical.h"

#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static json_t *parsed(tl_slice text)
{
    json_t *value;
    tl_why why;
    if (tl_json_parse(text, 64, &value, &why))
        fail_msg("%s", why.text);
    return value;
}

static void assert_canonical(tl_slice text, tl_slice expected)
{
    tl_buf out = {0};
    json_t *value = parsed(text);
    assert_int_equal(tl_canonical_write(&out, value), TL_OK);
    if (!tl_slice_eq(tl_buf_slice(&out), expected))
        fail_msg("got %.*s", (int)out.len, (const char *)tl_buf_begin(&out));
    json_decref(value);
    tl_buf_clear(&out);
}

#define ASSERT_CANONICAL(text, expected)                                                           \
    assert_canonical(TL_SLICE_LIT(text), TL_SLICE_LIT(expected))

static tl_slice read_file(const char *dir, const char *name, uint8_t *room, size_t cap)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/jcs/%s%s", TL_TEST_DATA, dir, name);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    size_t n = fread(room, 1, cap, f);
    assert_true(n > 0 && n < cap);
    fclose(f);
    return tl_slice_of(room, n);
}

static void the_published_documents_come_out_to_the_byte(void **state)
{
    (void)state;
    static const char *const names[] = {"arrays.json",  "french.json", "structures.json",
                                        "unicode.json", "values.json", "weird.json"};
    static uint8_t in[4096], out[4096];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        tl_slice given = read_file("input/", names[i], in, sizeof in);
        tl_slice expected = read_file("output/", names[i], out, sizeof out);
        assert_canonical(given, expected);
        assert_canonical(expected, expected);
    }
}

static void the_examples_of_rfc_8785_section_3_come_out(void **state)
{
    (void)state;
    ASSERT_CANONICAL("{\n  \"numbers\": [333333333.33333329, 1E30, 4.50,\n"
                     "              2e-3, 0.000000000000000000000000001],\n"
                     "  \"string\": \"\\u20ac$\\u000F\\u000aA'\\u0042\\u0022\\u005c\\\\\\\"\\/\",\n"
                     "  \"literals\": [null, true, false]\n}",
                     "{\"literals\":[null,true,false],\"numbers\":[333333333.3333333,1e+30,4.5,"
                     "0.002,1e-27],\"string\":\"\xE2\x82\xAC$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"}");
    ASSERT_CANONICAL("{\"\\u20ac\":1,\"\\r\":2,\"\\ufb33\":3,\"1\":4,\"\\ud83d\\ude00\":5,"
                     "\"\\u0080\":6,\"\\u00f6\":7}",
                     "{\"\\r\":2,\"1\":4,\"\xC2\x80\":6,\"\xC3\xB6\":7,\"\xE2\x82\xAC\":1,"
                     "\"\xF0\x9F\x98\x80\":5,\"\xEF\xAC\xB3\":3}");
}

/* Everything is after what comes before it: surrogates (U+10000 and up) lie below U+E000. */
static void keys_are_in_utf_16_order(void **state)
{
    (void)state;
    static const char *const ordered[] = {
        "",
        "\x01",
        " ",
        "A",
        "Aa",
        "B",
        "a",
        "\x7F",
        "\xC2\x80",
        "\xDF\xBF",
        "\xE0\xA0\x80",
        "\xED\x9F\xBF",     /* U+D7FF */
        "\xF0\x90\x80\x80", /* U+10000 */
        "\xF0\x90\x80\x80\xEE\x80\x80",
        "\xF0\x9F\x98\x80",
        "\xF4\x8F\xBF\xBF", /* U+10FFFF */
        "\xEE\x80\x80",     /* U+E000 */
        "\xEF\xBF\xBD",
        "\xEF\xBF\xBF",
        "\xEF\xBF\xBFz",
    };
    size_t n = sizeof ordered / sizeof *ordered;
    for (size_t i = 0; i < n; i++)
        for (size_t j = i + 1; j < n; j++)
            for (int swapped = 0; swapped < 2; swapped++) {
                tl_buf out = {0}, low = {0}, high = {0};
                json_t *o = json_object();
                json_object_set_new(o, ordered[swapped ? j : i], json_integer(1));
                json_object_set_new(o, ordered[swapped ? i : j], json_integer(1));
                json_t *a = json_string(ordered[i]), *b = json_string(ordered[j]);
                assert_int_equal(tl_canonical_write(&out, o), TL_OK);
                assert_int_equal(tl_canonical_write(&low, a), TL_OK);
                assert_int_equal(tl_canonical_write(&high, b), TL_OK);
                assert_memory_equal(tl_buf_begin(&out) + 1, tl_buf_begin(&low), low.len);
                assert_memory_equal(tl_buf_begin(&out) + out.len - high.len - 3,
                                    tl_buf_begin(&high), high.len);
                json_decref(o);
                json_decref(a);
                json_decref(b);
                tl_buf_clear(&out);
                tl_buf_clear(&low);
                tl_buf_clear(&high);
            }
}

static void only_what_must_be_escaped_is_and_in_one_way(void **state)
{
    (void)state;
    ASSERT_CANONICAL("\"\\u0000\\u0001\\u0007\\u000b\\u000e\\u001f\\u007f\"",
                     "\"\\u0000\\u0001\\u0007\\u000b\\u000e\\u001f\x7F\"");
    ASSERT_CANONICAL("\"\\u0008\\u0009\\u000a\\u000c\\u000d\"", "\"\\b\\t\\n\\f\\r\"");
    ASSERT_CANONICAL("\"\\\"\\\\\\/<>&'\"", "\"\\\"\\\\/<>&'\"");
    ASSERT_CANONICAL("\"\\u2028\\u00e9\\ud83d\\ude00\"",
                     "\"\xE2\x80\xA8\xC3\xA9\xF0\x9F\x98\x80\"");
    ASSERT_CANONICAL("{\"\\u000a\\\"\":1}", "{\"\\n\\\"\":1}");
    ASSERT_CANONICAL("\"A\\u030a\"", "\"A\xCC\x8A\""); /* not normalised */
}

static void write_number(tl_buf *out, uint64_t bits)
{
    double d;
    memcpy(&d, &bits, sizeof d);
    json_t *v = json_real(d);
    assert_non_null(v);
    assert_int_equal(tl_canonical_write(out, v), TL_OK);
    json_decref(v);
}

static void the_numbers_of_rfc_8785_appendix_b_come_out(void **state)
{
    (void)state;
    static const struct {
        uint64_t bits;
        const char *text;
    } v[] = {
        {0x0000000000000000, "0"},
        {0x8000000000000000, "0"},
        {0x0000000000000001, "5e-324"},
        {0x8000000000000001, "-5e-324"},
        {0x7fefffffffffffff, "1.7976931348623157e+308"},
        {0xffefffffffffffff, "-1.7976931348623157e+308"},
        {0x4340000000000000, "9007199254740992"},
        {0xc340000000000000, "-9007199254740992"},
        {0x4430000000000000, "295147905179352830000"},
        {0x44b52d02c7e14af5, "9.999999999999997e+22"},
        {0x44b52d02c7e14af6, "1e+23"},
        {0x44b52d02c7e14af7, "1.0000000000000001e+23"},
        {0x444b1ae4d6e2ef4e, "999999999999999700000"},
        {0x444b1ae4d6e2ef4f, "999999999999999900000"},
        {0x444b1ae4d6e2ef50, "1e+21"},
        {0x3eb0c6f7a0b5ed8c, "9.999999999999997e-7"},
        {0x3eb0c6f7a0b5ed8d, "0.000001"},
        {0x41b3de4355555553, "333333333.3333332"},
        {0x41b3de4355555554, "333333333.33333325"},
        {0x41b3de4355555555, "333333333.3333333"},
        {0x41b3de4355555556, "333333333.3333334"},
        {0x41b3de4355555557, "333333333.33333343"},
        {0xbecbf647612f3696, "-0.0000033333333333333333"},
        {0x43143ff3c1cb0959, "1424953923781206.2"},
        {0x3d30000000000000, "5.684341886080802e-14"}, /* 2^-44: the nearer one reads back wrong */
    };
    for (size_t i = 0; i < sizeof v / sizeof *v; i++) {
        tl_buf out = {0};
        write_number(&out, v[i].bits);
        assert_true(tl_slice_eq(tl_buf_slice(&out), tl_slice_str(v[i].text)));
        tl_buf_clear(&out);
    }
}

/* The sequence that json-canonicalization's testdata/README.md defines, after its fixed part and a
 * run of 2000: the words of SHA-256 hashed over and over. */
typedef struct {
    uint64_t fixed[256];
    size_t fixed_n, i;
    uint8_t block[32];
    size_t used;
} sequence;

static void sequence_begin(sequence *s)
{
    static uint8_t text[8192];
    tl_slice file = read_file("", "es6-numbers-static.txt", text, sizeof text - 1);
    *s = (sequence){.used = 32};
    text[file.n] = 0;
    for (char *p = strtok((char *)text, "\n"); p; p = strtok(NULL, "\n")) {
        assert_true(s->fixed_n < 256);
        s->fixed[s->fixed_n++] = strtoull(p, NULL, 16);
    }
}

static uint64_t sequence_next(sequence *s)
{
    size_t i = s->i++;
    if (i < s->fixed_n)
        return s->fixed[i];
    if (i < s->fixed_n + 2000)
        return 0x0010000000000000 + (i - s->fixed_n);
    for (;;) {
        if (s->used == sizeof s->block) {
            crypto_hash_sha256(s->block, s->block, sizeof s->block);
            s->used = 0;
        }
        uint64_t v = 0;
        for (int k = 7; k >= 0; k--)
            v = v << 8 | s->block[s->used + (size_t)k];
        s->used += 8;
        if (v << 1 && (v >> 52 & 0x7FF) != 0x7FF)
            return v;
    }
}

static void a_hundred_thousand_numbers_have_the_published_checksums(void **state)
{
    (void)state;
    static const struct {
        size_t lines;
        const char *sha256;
    } published[] = {{1000, "be18b62b6f69cdab33a7e0dae0d9cfa869fda80ddc712221570f9f40a5878687"},
                     {10000, "b9f7a8e75ef22a835685a52ccba7f7d6bdc99e34b010992cbc5864cd12be6892"},
                     {100000, "22776e6d4b49fa294a0d0f349268e5c28808fe7e0cb2bcbe28f63894e494d4c7"}};
    sequence s;
    crypto_hash_sha256_state running;
    tl_buf line = {0};
    size_t met = 0;
    sequence_begin(&s);
    crypto_hash_sha256_init(&running);
    for (size_t n = 1; met < 3; n++) {
        uint64_t bits = sequence_next(&s);
        assert_int_equal(tl_buf_printf(&line, "%llx,", (unsigned long long)bits), TL_OK);
        write_number(&line, bits);
        assert_int_equal(tl_buf_append_str(&line, "\n"), TL_OK);
        crypto_hash_sha256_update(&running, tl_buf_begin(&line), line.len);
        tl_buf_consume(&line, line.len);
        if (n == published[met].lines) {
            crypto_hash_sha256_state so_far = running;
            uint8_t digest[32];
            char hex[65];
            crypto_hash_sha256_final(&so_far, digest);
            tl_hex_write(hex, digest, sizeof digest);
            assert_string_equal(hex, published[met++].sha256);
        }
    }
    tl_buf_clear(&line);
}

static void integers_are_written_as_the_doubles_they_are(void **state)
{
    (void)state;
    ASSERT_CANONICAL("0", "0");
    ASSERT_CANONICAL("-0", "0");
    ASSERT_CANONICAL("-0.0", "0");
    ASSERT_CANONICAL("1.0", "1");
    ASSERT_CANONICAL("1732262400", "1732262400");
    ASSERT_CANONICAL("9007199254740992", "9007199254740992");
    ASSERT_CANONICAL("-9007199254740992", "-9007199254740992");
    ASSERT_CANONICAL("9007199254740994", "9007199254740994");
    ASSERT_CANONICAL("-9223372036854775808", "-9223372036854776000");
    ASSERT_CANONICAL("1e20", "100000000000000000000");
}

static void assert_refused(json_t *value)
{
    tl_buf out = {0};
    assert_non_null(value);
    assert_int_equal(tl_buf_append_str(&out, "before"), TL_OK);
    assert_int_equal(tl_canonical_write(&out, value), TL_ERR_INVALID);
    assert_true(tl_slice_eq(tl_buf_slice(&out), TL_SLICE_LIT("before")));
    tl_buf_clear(&out);
    json_decref(value);
}

/* Two numbers that one double stands for must not share one signature. */
static void an_integer_that_no_double_holds_is_refused(void **state)
{
    (void)state;
    assert_refused(json_integer(9007199254740993));
    assert_refused(json_integer(-9007199254740993));
    assert_refused(json_integer(INT64_MAX));
    assert_refused(json_integer(INT64_MAX - 512));
    ASSERT_CANONICAL("9223372036854774784", "9223372036854775000"); /* 2^63 - 1024 */
    assert_refused(parsed(TL_SLICE_LIT("{\"a\":[1,{\"b\":9007199254740993}]}")));
}

static void a_string_that_is_no_utf_8_is_refused(void **state)
{
    (void)state;
    assert_refused(json_string_nocheck("a\xFF"));
    json_t *o = json_object();
    json_object_set_new_nocheck(o, "\xED\xA0\x80", json_null());
    assert_refused(o);
}

static json_t *nested(int depth)
{
    json_t *v = json_array();
    while (--depth > 0) {
        json_t *outer = depth % 2 ? json_array() : json_object();
        if (depth % 2)
            json_array_append_new(outer, v);
        else
            json_object_set_new(outer, "k", v);
        v = outer;
    }
    return v;
}

static void depth_64_is_the_deepest(void **state)
{
    (void)state;
    tl_buf out = {0};
    json_t *deepest = nested(64);
    assert_int_equal(tl_canonical_write(&out, deepest), TL_OK);
    json_decref(deepest);
    tl_buf_clear(&out);
    assert_refused(nested(65));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_published_documents_come_out_to_the_byte),
        cmocka_unit_test(the_examples_of_rfc_8785_section_3_come_out),
        cmocka_unit_test(keys_are_in_utf_16_order),
        cmocka_unit_test(only_what_must_be_escaped_is_and_in_one_way),
        cmocka_unit_test(the_numbers_of_rfc_8785_appendix_b_come_out),
        cmocka_unit_test(a_hundred_thousand_numbers_have_the_published_checksums),
        cmocka_unit_test(integers_are_written_as_the_doubles_they_are),
        cmocka_unit_test(an_integer_that_no_double_holds_is_refused),
        cmocka_unit_test(a_string_that_is_no_utf_8_is_refused),
        cmocka_unit_test(depth_64_is_the_deepest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
