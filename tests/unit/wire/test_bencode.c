#include "wire/bencode.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

/* From a copy of exactly that size, so that the sanitizer sees a read beyond. What was read borrows
 * from it, so only the error is of use. */
static tl_err read_as(const char *text, size_t n, tl_ben_order order)
{
    tl_ben v;
    uint8_t *copy = malloc(n ? n : 1);
    assert_non_null(copy);
    memcpy(copy, text, n);
    tl_err e = tl_ben_parse(tl_slice_of(copy, n), order, &v);
    free(copy);
    return e;
}

static tl_err read_text(const char *text)
{
    return read_as(text, strlen(text), TL_BEN_CANONICAL);
}

static tl_err read_any_order(const char *text)
{
    return read_as(text, strlen(text), TL_BEN_ANY_ORDER);
}

static tl_ben parsed(const char *text)
{
    tl_ben v;
    assert_int_equal(tl_ben_parse(tl_slice_str(text), TL_BEN_CANONICAL, &v), TL_OK);
    return v;
}

static void the_examples_of_bep_3_are_read(void **state)
{
    (void)state;
    tl_ben v = parsed("4:spam");
    assert_int_equal(v.kind, TL_BEN_TEXT);
    assert_true(tl_slice_eq(v.text, TL_SLICE_LIT("spam")));
    assert_int_equal(parsed("i3e").number, 3);
    assert_int_equal(parsed("i-3e").number, -3);
    assert_int_equal(parsed("i0e").number, 0);

    v = parsed("l4:spam4:eggse");
    tl_ben one;
    assert_int_equal(v.kind, TL_BEN_LIST);
    assert_true(tl_ben_next(&v.inside, &one) && tl_slice_eq(one.text, TL_SLICE_LIT("spam")));
    assert_true(tl_ben_next(&v.inside, &one) && tl_slice_eq(one.text, TL_SLICE_LIT("eggs")));
    assert_false(tl_ben_next(&v.inside, &one));

    v = parsed("d4:spaml1:a1:bee");
    tl_slice key;
    assert_true(tl_ben_next_pair(&v.inside, &key, &one));
    assert_true(tl_slice_eq(key, TL_SLICE_LIT("spam")));
    assert_true(tl_slice_eq(one.raw, TL_SLICE_LIT("l1:a1:be")));
    assert_false(tl_ben_next_pair(&v.inside, &key, &one));
}

static void a_key_is_found_in_a_dictionary_alone(void **state)
{
    (void)state;
    tl_ben v = parsed("d1:ai1e2:abi2e1:bi3ee"), one;
    assert_true(tl_ben_find(&v, "ab", &one));
    assert_int_equal(one.number, 2);
    assert_false(tl_ben_find(&v, "c", &one));
    assert_true(tl_ben_find_kind(&v, "b", TL_BEN_NUMBER, &one));
    assert_int_equal(one.number, 3);
    assert_false(tl_ben_find_kind(&v, "b", TL_BEN_TEXT, &one));
    v = parsed("l1:ai1ee");
    assert_false(tl_ben_find(&v, "a", &one));
}

static void numbers_have_one_form_and_64_bits(void **state)
{
    (void)state;
    assert_true(parsed("i9223372036854775807e").number == INT64_MAX);
    assert_true(parsed("i-9223372036854775808e").number == INT64_MIN);
    assert_int_equal(read_text("i9223372036854775808e"), TL_ERR_TOO_LARGE);
    assert_int_equal(read_text("i-9223372036854775809e"), TL_ERR_TOO_LARGE);
    assert_int_equal(read_text("i99999999999999999999999999999999e"), TL_ERR_TOO_LARGE);
    const char *wrong[] = {"i03e", "i00e", "i-0e", "i-03e", "ie", "i-e",
                           "i+3e", "i3.e", "i 3e", "i--3e", "i3:"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(read_text(wrong[i]), TL_ERR_PROTO);
}

static void lengths_have_one_form_and_stay_within_the_bytes(void **state)
{
    (void)state;
    assert_int_equal(read_text("0:"), TL_OK);
    assert_int_equal(read_text("4:spam"), TL_OK);
    assert_int_equal(read_text("5:spam"), TL_ERR_SHORT);
    assert_int_equal(read_text("9223372036854775807:spam"), TL_ERR_SHORT);
    assert_int_equal(read_text("18446744073709551615:spam"), TL_ERR_TOO_LARGE);
    assert_int_equal(read_text("184467440737095516160000:x"), TL_ERR_TOO_LARGE);
    const char *wrong[] = {"04:spam", "00:", "-1:a", "4;spam", ":", "x", "e", "+1:a", "1 :a"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(read_text(wrong[i]), TL_ERR_PROTO);
}

static void nothing_may_stand_behind_the_value(void **state)
{
    (void)state;
    assert_int_equal(read_text("i1e"), TL_OK);
    assert_int_equal(read_text("i1ei1e"), TL_ERR_PROTO);
    assert_int_equal(read_text("i1e\n"), TL_ERR_PROTO);
    assert_int_equal(read_text("lee"), TL_ERR_PROTO);
}

static void keys_are_in_order_unless_any_order_is_taken(void **state)
{
    (void)state;
    assert_int_equal(read_text("d1:ai1e1:bi2ee"), TL_OK);
    assert_int_equal(read_text("d1:bi2e1:ai1ee"), TL_ERR_PROTO);
    assert_int_equal(read_any_order("d1:bi2e1:ai1ee"), TL_OK);
    /* bytes without a sign, and the shorter of two that begin the same */
    assert_int_equal(read_text("d1:\x7Fi1e1:\x80i2ee"), TL_OK);
    assert_int_equal(read_text("d1:ai1e2:aai2ee"), TL_OK);
    assert_int_equal(read_text("d2:aai1e1:ai2ee"), TL_ERR_PROTO);
    /* also in what is inside */
    assert_int_equal(read_text("ld1:bi2e1:ai1eee"), TL_ERR_PROTO);
    assert_int_equal(read_any_order("ld1:bi2e1:ai1eee"), TL_OK);
}

static void a_key_comes_once_in_any_order(void **state)
{
    (void)state;
    assert_int_equal(read_any_order("d1:bi1e1:ai2e1:ci3ee"), TL_OK);
    assert_int_equal(read_any_order("d1:ai1e1:ai2ee"), TL_ERR_PROTO);
    assert_int_equal(read_text("d1:ai1e1:ai2ee"), TL_ERR_PROTO);
    assert_int_equal(read_any_order("d1:bi1e1:ai2e1:bi3ee"), TL_ERR_PROTO);
    assert_int_equal(read_any_order("d1:bi1e1:ci2e1:ai2e1:bi3ee"), TL_ERR_PROTO);
    assert_int_equal(read_any_order("d0:i1e0:i2ee"), TL_ERR_PROTO);
}

static void keys_are_texts_with_values(void **state)
{
    (void)state;
    assert_int_equal(read_text("d0:i1ee"), TL_OK);
    assert_int_equal(read_text("di1ei1ee"), TL_ERR_PROTO);
    assert_int_equal(read_text("dlei1ee"), TL_ERR_PROTO);
    assert_int_equal(read_text("d1:ae"), TL_ERR_PROTO);
    assert_int_equal(read_text("d1:a1:b1:ce"), TL_ERR_PROTO);
}

/* d ai0e bi0e ... with `n` keys, the last of which is out of order. */
static size_t write_keys(char *ret, int n)
{
    size_t at = 0;
    ret[at++] = 'd';
    for (int i = 0; i < n; i++) {
        int key = i == n - 1 ? 0 : i + 1;
        memcpy(ret + at, "2:..i0e", 7);
        ret[at + 2] = (char)('a' + key / 16);
        ret[at + 3] = (char)('a' + key % 16);
        at += 7;
    }
    ret[at++] = 'e';
    return at;
}

static void an_unordered_dictionary_has_few_keys(void **state)
{
    (void)state;
    char text[1500];
    size_t n = write_keys(text, TL_BEN_UNSORTED_MAX);
    assert_int_equal(read_as(text, n, TL_BEN_ANY_ORDER), TL_OK);
    n = write_keys(text, TL_BEN_UNSORTED_MAX + 1);
    assert_int_equal(read_as(text, n, TL_BEN_ANY_ORDER), TL_ERR_PROTO);
    /* an ordered one may have many */
    text[3] = text[4] = 'A';
    n = write_keys(text, 200);
    memcpy(text + n - 8, "2:zzi0ee", 8);
    assert_int_equal(read_as(text, n, TL_BEN_ANY_ORDER), TL_OK);
}

static void depth_is_bounded(void **state)
{
    (void)state;
    char text[1500];
    size_t deep = TL_BEN_DEPTH_MAX + 1;
    memset(text, 'l', deep);
    memset(text + deep, 'e', deep);
    assert_int_equal(read_as(text, 2 * deep, TL_BEN_CANONICAL), TL_OK);
    deep++;
    memset(text, 'l', deep);
    memset(text + deep, 'e', deep);
    assert_int_equal(read_as(text, 2 * deep, TL_BEN_CANONICAL), TL_ERR_TOO_LARGE);
    memset(text, 'l', sizeof text);
    assert_int_equal(read_as(text, sizeof text, TL_BEN_ANY_ORDER), TL_ERR_TOO_LARGE);
    for (size_t i = 0; i + 3 <= sizeof text; i += 3)
        memcpy(text + i, "d0:", 3);
    assert_int_equal(read_as(text, sizeof text, TL_BEN_ANY_ORDER), TL_ERR_TOO_LARGE);
}

static void what_is_cut_anywhere_is_short(void **state)
{
    (void)state;
    const char *text =
        "d1:ad2:id20:abcdefghij01234567891:lli-12eli0eee6:target20:mnopqrstuvwxyz123456e"
        "1:q9:find_node1:t2:aa1:y1:qe";
    assert_int_equal(read_text(text), TL_OK);
    for (size_t n = 0; n < strlen(text); n++)
        assert_int_equal(read_as(text, n, TL_BEN_CANONICAL), TL_ERR_SHORT);
}

static void what_was_read_is_written_the_same(void **state)
{
    (void)state;
    const char *text = "d1:ai-7e1:bl3:xyz0:e1:c4:spame";
    uint8_t out[64];
    tl_ben_writer w = {.p = out, .max = strlen(text)};
    tl_ben_put_mark(&w, 'd');
    tl_ben_put_pair_number(&w, "a", -7);
    tl_ben_put_key(&w, "b");
    tl_ben_put_mark(&w, 'l');
    tl_ben_put_text(&w, TL_SLICE_LIT("xyz"));
    tl_ben_put_text(&w, (tl_slice){0});
    tl_ben_put_mark(&w, 'e');
    tl_ben_put_pair_text(&w, "c", TL_SLICE_LIT("spam"));
    tl_ben_put_mark(&w, 'e');
    assert_false(w.full);
    assert_true(tl_slice_eq(tl_slice_of(out, w.n), tl_slice_str(text)));
    assert_true(tl_ben_is_canonical(tl_slice_of(out, w.n)));
    assert_false(tl_ben_is_canonical(TL_SLICE_LIT("d1:bi1e1:ai1ee")));
}

static void the_extremes_of_numbers_are_written(void **state)
{
    (void)state;
    uint8_t out[64];
    tl_ben_writer w = {.p = out, .max = sizeof out};
    tl_ben_put_number(&w, INT64_MIN);
    assert_true(tl_slice_eq(tl_slice_of(out, w.n), TL_SLICE_LIT("i-9223372036854775808e")));
}

static void a_writer_without_room_says_so_and_stays_within(void **state)
{
    (void)state;
    uint8_t out[8] = {0};
    tl_ben_writer w = {.p = out, .max = 6};
    tl_ben_put_text(&w, TL_SLICE_LIT("abcd"));
    assert_false(w.full);
    assert_int_equal(w.n, 6);
    tl_ben_put_mark(&w, 'e');
    assert_true(w.full);
    w = (tl_ben_writer){.p = out, .max = 4};
    tl_ben_put_text(&w, TL_SLICE_LIT("wxyz"));
    tl_ben_put_mark(&w, 'e'); /* would fit, but nothing follows what did not */
    assert_true(w.full);
    assert_int_equal(out[6], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_examples_of_bep_3_are_read),
        cmocka_unit_test(a_key_is_found_in_a_dictionary_alone),
        cmocka_unit_test(numbers_have_one_form_and_64_bits),
        cmocka_unit_test(lengths_have_one_form_and_stay_within_the_bytes),
        cmocka_unit_test(nothing_may_stand_behind_the_value),
        cmocka_unit_test(keys_are_in_order_unless_any_order_is_taken),
        cmocka_unit_test(a_key_comes_once_in_any_order),
        cmocka_unit_test(keys_are_texts_with_values),
        cmocka_unit_test(an_unordered_dictionary_has_few_keys),
        cmocka_unit_test(depth_is_bounded),
        cmocka_unit_test(what_is_cut_anywhere_is_short),
        cmocka_unit_test(what_was_read_is_written_the_same),
        cmocka_unit_test(the_extremes_of_numbers_are_written),
        cmocka_unit_test(a_writer_without_room_says_so_and_stays_within),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
