/* The encrypted backup: what comes back, and that nothing else does. */
#include "backup/payload.h"

#include "backup/fragment.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static tl_recovery keys, others;
static tl_rand rand_;

static tl_payload example(void)
{
    tl_payload p = {.made_at = 1795000000,
                    .database = TL_SLICE_LIT("SQLite format 3, rather"),
                    .settings = TL_SLICE_LIT("wan_enabled = true\n")};
    memset(p.seed, 0x5e, sizeof p.seed);
    return p;
}

static tl_buf sealed(const tl_payload *p)
{
    tl_buf out = {0};
    assert_int_equal(tl_payload_seal(p, keys.blob_key, &rand_, TL_BLOB_MAX, &out), TL_OK);
    return out;
}

static tl_err open_it(tl_slice blob, const tl_recovery *with)
{
    tl_buf plain = {0};
    tl_payload p = {0};
    tl_err e = tl_payload_open(blob, with->blob_key, &plain, &p);
    tl_payload_clear(&plain, &p);
    return e;
}

static void what_was_sealed_comes_back(void **state)
{
    (void)state;
    tl_payload p = example(), back = {0};
    tl_buf blob = sealed(&p), plain = {0};
    assert_int_equal(tl_payload_open(tl_buf_slice(&blob), keys.blob_key, &plain, &back), TL_OK);
    assert_int_equal(back.made_at, p.made_at);
    assert_memory_equal(back.seed, p.seed, sizeof p.seed);
    assert_true(tl_slice_eq(back.database, p.database));
    assert_true(tl_slice_eq(back.settings, p.settings));
    tl_payload_clear(&plain, &back);
    assert_int_equal(back.seed[0], 0);
    tl_buf_clear(&blob);
}

static void without_settings_it_holds_the_rest(void **state)
{
    (void)state;
    tl_payload p = example(), back = {0};
    p.settings = (tl_slice){NULL, 0};
    tl_buf blob = sealed(&p), plain = {0};
    assert_int_equal(tl_payload_open(tl_buf_slice(&blob), keys.blob_key, &plain, &back), TL_OK);
    assert_int_equal(back.settings.n, 0);
    assert_true(tl_slice_eq(back.database, p.database));
    tl_payload_clear(&plain, &back);
    tl_buf_clear(&blob);
    p.database = (tl_slice){NULL, 0};
    assert_int_equal(tl_payload_seal(&p, keys.blob_key, &rand_, TL_BLOB_MAX, &blob),
                     TL_ERR_INVALID);
}

static void nothing_of_the_content_or_of_its_kind_is_to_be_seen(void **state)
{
    (void)state;
    tl_payload p = example();
    tl_buf one = sealed(&p), two = sealed(&p);
    assert_null(memmem(tl_buf_begin(&one), one.len, p.seed, 8));
    assert_null(memmem(tl_buf_begin(&one), one.len, "SQLite", 6));
    assert_null(memmem(tl_buf_begin(&one), one.len, "teale", 5));
    assert_int_equal(one.len, two.len);
    for (size_t i = 0; i + 16 <= one.len; i += 16)
        assert_memory_not_equal(tl_buf_begin(&one) + i, tl_buf_begin(&two) + i, 16);
    tl_buf_clear(&one);
    tl_buf_clear(&two);
}

static void other_words_and_any_altered_bit_are_refused(void **state)
{
    (void)state;
    tl_payload p = example();
    tl_buf blob = sealed(&p);
    assert_int_equal(open_it(tl_buf_slice(&blob), &others), TL_ERR_AUTH);
    for (size_t i = 0; i < 8 * blob.len; i++) {
        tl_buf_begin(&blob)[i / 8] ^= (uint8_t)(1 << i % 8);
        assert_int_equal(open_it(tl_buf_slice(&blob), &keys), TL_ERR_AUTH);
        tl_buf_begin(&blob)[i / 8] ^= (uint8_t)(1 << i % 8);
    }
    for (size_t n = 0; n < blob.len; n++) {
        uint8_t *cut = test_malloc(n ? n : 1);
        memcpy(cut, tl_buf_begin(&blob), n);
        assert_int_equal(open_it(tl_slice_of(cut, n), &keys), TL_ERR_AUTH);
        test_free(cut);
    }
    assert_int_equal(open_it(tl_buf_slice(&blob), &keys), TL_OK);
    tl_buf_clear(&blob);
}

static void what_is_larger_than_friends_may_hold_is_refused(void **state)
{
    (void)state;
    tl_payload p = example();
    tl_buf out = {0};
    uint8_t *noise = test_malloc(100000);
    tl_rand_bytes(&rand_, noise, 100000);
    p.database = tl_slice_of(noise, 100000);
    assert_int_equal(tl_payload_seal(&p, keys.blob_key, &rand_, 100000, &out), TL_ERR_TOO_LARGE);
    assert_int_equal(out.len, 0);
    assert_int_equal(tl_payload_seal(&p, keys.blob_key, &rand_, 101000, &out), TL_OK);
    memset(noise, 0, 100000); /* what compresses fits */
    tl_buf_clear(&out);
    assert_int_equal(tl_payload_seal(&p, keys.blob_key, &rand_, 1000, &out), TL_OK);
    tl_buf_clear(&out);
    test_free(noise);
}

static void the_keys_come_from_the_words_alone_and_differ_from_each_other(void **state)
{
    (void)state;
    uint8_t entropy[TL_PHRASE_ENTROPY], root[TL_RECOVERY_KEY], again[TL_RECOVERY_KEY];
    char text[TL_PHRASE_TEXT];
    tl_recovery r = {{0}};
    memset(entropy, 7, sizeof entropy);
    tl_phrase_write(entropy, text);
    tl_recovery_root(entropy, root);
    memset(entropy, 0, sizeof entropy);
    assert_int_equal(tl_phrase_parse(tl_slice_str(text), entropy, NULL), TL_OK);
    tl_recovery_root(entropy, again);
    assert_memory_equal(root, again, sizeof root);
    assert_memory_not_equal(root, entropy, sizeof root);
    assert_int_equal(tl_recovery_of(root, &r), TL_OK);
    assert_memory_not_equal(r.blob_key, r.pointer_key, TL_RECOVERY_KEY);
    assert_memory_not_equal(r.blob_key, r.identity.seed, TL_RECOVERY_KEY);
    assert_memory_not_equal(r.root, r.identity.seed, TL_RECOVERY_KEY);
    /* It must be so for ever: a phrase on paper outlives programs. */
    char hex[2 * TL_RECOVERY_KEY + 1];
    tl_hex_write(hex, r.identity.id.key, 32);
    assert_string_equal(hex, "93be0c54ca525152bdeeb25d2711f4d38d9f23a14d18400fff73227c81300055");
    tl_hex_write(hex, r.blob_key, 32);
    assert_string_equal(hex, "4253e6b11d0349abbcd422d935e0089056b910421963ab31ec219190f644acc1");
    tl_hex_write(hex, r.pointer_key, 32);
    assert_string_equal(hex, "32b7d5d57515a5a1d4e95d4bb30a539727731ccf69b81a0893d8a7329fc1a6b3");
    tl_recovery_clear(&r);
    for (size_t i = 0; i < sizeof r; i++)
        assert_int_equal(((const uint8_t *)&r)[i], 0);
}

static int make_keys(void **state)
{
    (void)state;
    uint8_t root[TL_RECOVERY_KEY] = {1};
    rand_ = tl_rand_seeded(4);
    assert_int_equal(tl_recovery_of(root, &keys), TL_OK);
    root[31] = 1;
    return tl_recovery_of(root, &others);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_sealed_comes_back),
        cmocka_unit_test(without_settings_it_holds_the_rest),
        cmocka_unit_test(nothing_of_the_content_or_of_its_kind_is_to_be_seen),
        cmocka_unit_test(other_words_and_any_altered_bit_are_refused),
        cmocka_unit_test(what_is_larger_than_friends_may_hold_is_refused),
        cmocka_unit_test(the_keys_come_from_the_words_alone_and_differ_from_each_other),
    };
    return tl_crypto_init() ? 1 : cmocka_run_group_tests(tests, make_keys, NULL);
}
