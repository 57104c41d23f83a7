/* The exported key of an authority: what comes back, and what does not. The cost is the lowest that
 * is allowed, but for one test. */
#include "ptn/keyfile.h"
#include "scene.h"

#include <sodium.h>

#define LOW      ((tl_keyfile_cost){1, 8})
#define SECRET   TL_SLICE_LIT("correct horse battery staple")
#define CHECKSUM 32

static tl_keyfile example(void)
{
    static const tl_identity *const gone[] = {&member};
    tl_keyfile k = {.name = "lab"};
    memcpy(k.seed, authority.seed, sizeof k.seed);
    k.revocations = list_of(7, &authority, 1, gone);
    return k;
}

static tl_buf written(const tl_keyfile *k, tl_keyfile_cost cost)
{
    tl_buf out = {0};
    tl_why why = {""};
    assert_int_equal(tl_keyfile_write(&out, k, SECRET, cost, &why), TL_OK);
    return out;
}

static tl_err read_with(const tl_buf *file, tl_slice passphrase, tl_why *why)
{
    tl_keyfile k;
    tl_err e = tl_keyfile_read(tl_buf_slice(file), passphrase, &k, why);
    if (!e)
        tl_keyfile_clear(&k);
    return e;
}

static void make_checksum_right(tl_buf *file)
{
    uint8_t *p = tl_buf_begin(file);
    crypto_generichash(p + file->len - CHECKSUM, CHECKSUM, p, file->len - CHECKSUM, NULL, 0);
}

static void the_key_comes_back_with_name_and_lists(void **state)
{
    (void)state;
    tl_keyfile k = example(), back = {0};
    tl_why why = {""};
    tl_buf file = written(&k, TL_KEYFILE_COST); /* the real one, once */
    assert_int_equal(tl_keyfile_read(tl_buf_slice(&file), SECRET, &back, &why), TL_OK);
    assert_memory_equal(back.seed, authority.seed, 32);
    assert_string_equal(back.name, "lab");
    assert_true(json_equal(back.revocations, k.revocations));
    assert_null(back.price);
    tl_keyfile_clear(&back);
    assert_null(back.revocations);
    tl_keyfile_clear(&k);
    tl_buf_clear(&file);
}

static void the_seed_stands_nowhere_in_the_file_and_two_files_differ(void **state)
{
    (void)state;
    tl_keyfile k = example();
    tl_buf one = written(&k, LOW), two = written(&k, LOW);
    assert_null(memmem(tl_buf_begin(&one), one.len, k.seed, 8));
    assert_null(memmem(tl_buf_begin(&one), one.len, "lab", 3));
    assert_int_equal(one.len, two.len);
    assert_memory_not_equal(tl_buf_begin(&one), tl_buf_begin(&two), one.len);
    tl_keyfile_clear(&k);
    tl_buf_clear(&one);
    tl_buf_clear(&two);
}

static void a_wrong_passphrase_is_told_as_such(void **state)
{
    (void)state;
    tl_keyfile k = example();
    tl_why why = {""};
    tl_buf file = written(&k, LOW), none = {0};
    assert_int_equal(read_with(&file, TL_SLICE_LIT("correct horse"), &why), TL_ERR_AUTH);
    assert_non_null(strstr(why.text, "passphrase"));
    assert_int_equal(read_with(&file, tl_slice_of(NULL, 0), &why), TL_ERR_AUTH);
    assert_int_equal(read_with(&file, SECRET, &why), TL_OK);
    assert_int_equal(tl_keyfile_write(&none, &k, tl_slice_of(NULL, 0), LOW, &why), TL_ERR_INVALID);
    assert_int_equal(none.len, 0);
    tl_keyfile_clear(&k);
    tl_buf_clear(&file);
}

/* 0 to 12: what it is; 13: its version; 14 to 17: its length. */
static tl_err of_a_flip_at(size_t i)
{
    return i == 13 ? TL_ERR_INVALID : TL_ERR_PROTO;
}

static void no_bit_of_a_file_may_change(void **state)
{
    (void)state;
    tl_keyfile k = example();
    tl_why why;
    tl_buf file = written(&k, LOW);
    uint8_t *p = tl_buf_begin(&file);
    for (size_t i = 0; i < file.len; i++)
        for (unsigned bit = 0; bit < 8; bit++) {
            p[i] ^= (uint8_t)(1u << bit);
            why.text[0] = 0;
            tl_err e = read_with(&file, SECRET, &why);
            if (i >= 14 && i < 18)
                assert_true(e == TL_ERR_SHORT || e == TL_ERR_PROTO);
            else
                assert_int_equal(e, of_a_flip_at(i));
            assert_true(strlen(why.text) > 20);
            p[i] ^= (uint8_t)(1u << bit);
        }
    assert_int_equal(read_with(&file, SECRET, &why), TL_OK);
    tl_keyfile_clear(&k);
    tl_buf_clear(&file);
}

/* An attacker makes the checksum right again. */
static void no_altered_file_with_a_right_checksum_is_read(void **state)
{
    (void)state;
    tl_keyfile k = example();
    tl_why why;
    tl_buf file = written(&k, LOW), original = {0};
    assert_int_equal(tl_buf_append(&original, tl_buf_slice(&file)), TL_OK);
    uint8_t *p = tl_buf_begin(&file);
    for (size_t i = 0; i < file.len - CHECKSUM; i++) {
        memcpy(p, tl_buf_begin(&original), file.len);
        p[i] ^= (uint8_t)(1u << i % 8);
        make_checksum_right(&file);
        assert_int_not_equal(read_with(&file, SECRET, &why), TL_OK);
    }
    memcpy(p, tl_buf_begin(&original), file.len);
    make_checksum_right(&file);
    assert_int_equal(read_with(&file, SECRET, &why), TL_OK);
    tl_keyfile_clear(&k);
    tl_buf_clear(&file);
    tl_buf_clear(&original);
}

static void a_file_that_is_cut_or_longer_is_told_as_such(void **state)
{
    (void)state;
    tl_keyfile k = example();
    tl_why why;
    tl_buf file = written(&k, LOW);
    size_t whole = file.len;
    for (file.len = 0; file.len < whole; file.len++) {
        assert_int_equal(read_with(&file, SECRET, &why), TL_ERR_SHORT);
        assert_non_null(strstr(why.text, "cut off"));
    }
    assert_int_equal(read_with(&file, SECRET, &why), TL_OK);
    assert_int_equal(tl_buf_append_str(&file, "\n"), TL_OK);
    assert_int_equal(read_with(&file, SECRET, &why), TL_ERR_PROTO);
    tl_keyfile_clear(&k);
    tl_buf_clear(&file);
}

static void another_version_and_another_file_are_told_as_such(void **state)
{
    (void)state;
    tl_keyfile k = example();
    tl_why why;
    tl_buf file = written(&k, LOW), text = {0};
    tl_buf_begin(&file)[13] = 2;
    make_checksum_right(&file);
    assert_int_equal(read_with(&file, SECRET, &why), TL_ERR_INVALID);
    assert_non_null(strstr(why.text, "version 2"));
    assert_int_equal(tl_buf_append_str(&text, "teale:inv1:abc"), TL_OK);
    assert_int_equal(read_with(&text, SECRET, &why), TL_ERR_PROTO);
    assert_non_null(strstr(why.text, "export-ca-key"));
    tl_keyfile_clear(&k);
    tl_buf_clear(&file);
    tl_buf_clear(&text);
}

static void a_file_cannot_take_all_memory_or_time(void **state)
{
    (void)state;
    static const struct {
        size_t at;
        uint8_t value;
    } dear[] = {{18, 1}, {21, TL_KEYFILE_PASSES_MAX + 1}, {21, 0}, {22, 1}, {23, 0x11}, {25, 7}};
    tl_keyfile k = example();
    tl_why why;
    for (size_t i = 0; i < sizeof dear / sizeof *dear; i++) {
        tl_buf file = written(&k, LOW);
        tl_buf_begin(&file)[dear[i].at] = dear[i].value;
        make_checksum_right(&file);
        assert_int_equal(read_with(&file, SECRET, &why), TL_ERR_INVALID);
        tl_buf_clear(&file);
    }
    tl_buf out = {0};
    tl_keyfile_cost too_dear = {1, TL_KEYFILE_KIB_MAX + 1};
    assert_int_equal(tl_keyfile_write(&out, &k, SECRET, too_dear, &why), TL_ERR_INVALID);
    tl_keyfile_clear(&k);
}

static void a_name_of_the_longest_length_and_a_price_fit(void **state)
{
    (void)state;
    tl_keyfile k = {.price = json_pack("{s:i}", "version", 3)}, back = {0};
    tl_why why;
    memset(k.name, 'n', TL_PTN_NAME_MAX);
    tl_buf file = written(&k, LOW);
    assert_int_equal(tl_keyfile_read(tl_buf_slice(&file), SECRET, &back, &why), TL_OK);
    assert_string_equal(back.name, k.name);
    assert_true(json_equal(back.price, k.price));
    assert_null(back.revocations);
    tl_keyfile_clear(&back);
    tl_keyfile_clear(&k);
    tl_buf_clear(&file);
    tl_buf out = {0};
    assert_int_equal(tl_keyfile_write(&out, &k, SECRET, LOW, &why), TL_ERR_INVALID); /* no name */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_key_comes_back_with_name_and_lists),
        cmocka_unit_test(the_seed_stands_nowhere_in_the_file_and_two_files_differ),
        cmocka_unit_test(a_wrong_passphrase_is_told_as_such),
        cmocka_unit_test(no_bit_of_a_file_may_change),
        cmocka_unit_test(no_altered_file_with_a_right_checksum_is_read),
        cmocka_unit_test(a_file_that_is_cut_or_longer_is_told_as_such),
        cmocka_unit_test(another_version_and_another_file_are_told_as_such),
        cmocka_unit_test(a_file_cannot_take_all_memory_or_time),
        cmocka_unit_test(a_name_of_the_longest_length_and_a_price_fit),
    };
    return cmocka_run_group_tests(tests, scene_set_up, NULL);
}
