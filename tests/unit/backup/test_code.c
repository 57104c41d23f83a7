#include "backup/code.h"

#include "base/rand.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static int set_up(void **state)
{
    (void)state;
    return tl_crypto_init();
}

static tl_buf blob_of(size_t n, uint64_t seed)
{
    tl_rand rand = tl_rand_seeded(seed);
    tl_buf blob = {0};
    uint8_t *room;
    assert_int_equal(tl_buf_reserve(&blob, n, &room), TL_OK);
    tl_rand_bytes(&rand, room, n);
    tl_buf_added(&blob, n);
    return blob;
}

/* Makes all fragments, and the blob again from those of the bit mask `which`. */
static void cut_and_join(const tl_buf *blob, unsigned k, unsigned n, unsigned which)
{
    tl_buf fragment[TL_FRAGMENTS_MAX] = {0}, back = {0};
    tl_slice there[TL_FRAGMENTS_MAX];
    uint8_t index[TL_FRAGMENTS_MAX];
    unsigned m = 0;
    for (unsigned i = 0; i < n; i++) {
        assert_int_equal(tl_code_make(tl_buf_slice(blob), k, n, i, &fragment[i]), TL_OK);
        assert_int_equal(fragment[i].len, tl_code_fragment_size(blob->len, k));
        if (which & 1u << i && m < k) {
            there[m] = tl_buf_slice(&fragment[i]);
            index[m++] = (uint8_t)i;
        }
    }
    assert_int_equal(m, k);
    assert_int_equal(tl_code_join(there, index, k, n, blob->len, &back), TL_OK);
    assert_true(tl_slice_eq(tl_buf_slice(&back), tl_buf_slice(blob)));
    tl_buf_clear(&back);
    for (unsigned i = 0; i < n; i++)
        tl_buf_clear(&fragment[i]);
}

static unsigned bits(unsigned x)
{
    return (unsigned)__builtin_popcount(x);
}

static void any_k_fragments_make_the_blob_again(void **state)
{
    (void)state;
    tl_buf blob = blob_of(1237, 1);
    for (unsigned n = 1; n <= 7; n++)
        for (unsigned k = 1; k <= n; k++)
            for (unsigned which = 0; which < 1u << n; which++)
                if (bits(which) == k)
                    cut_and_join(&blob, k, n, which);
    tl_buf_clear(&blob);
}

static void the_largest_code_bears_the_loss_of_any_half(void **state)
{
    (void)state;
    tl_buf blob = blob_of(100000, 2);
    tl_rand rand = tl_rand_seeded(3);
    for (int round = 0; round < 40; round++) {
        unsigned which;
        do {
            which = (unsigned)tl_rand_below(&rand, 1u << 16);
        } while (bits(which) < 8);
        cut_and_join(&blob, 8, TL_FRAGMENTS_MAX, which);
    }
    tl_buf_clear(&blob);
}

static void blobs_of_every_small_size_and_of_the_largest_come_back(void **state)
{
    (void)state;
    for (size_t n = 1; n <= 70; n++) {
        tl_buf blob = blob_of(n, n);
        cut_and_join(&blob, 5, 9, 0x1e8);
        cut_and_join(&blob, 16, 16, 0xffff);
        tl_buf_clear(&blob);
    }
    tl_buf blob = blob_of(TL_BLOB_MAX, 4);
    cut_and_join(&blob, 3, 6, 0x2a);
    tl_buf_clear(&blob);
}

static void the_first_fragments_are_the_blob_itself(void **state)
{
    (void)state;
    tl_buf blob = blob_of(300, 5), out = {0};
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(tl_code_make(tl_buf_slice(&blob), 3, 5, i, &out), TL_OK);
    assert_true(tl_slice_eq(tl_buf_slice(&out), tl_buf_slice(&blob)));
    tl_buf_clear(&out);
    tl_buf_clear(&blob);
}

/* x times y in GF(2^8) with the polynomial 0x11d. */
static uint8_t times(uint8_t x, uint8_t y)
{
    unsigned product = 0, at = x;
    for (; y; y >>= 1, at = at << 1 ^ (at & 0x80 ? 0x11d : 0))
        product ^= y & 1 ? at : 0;
    return (uint8_t)product;
}

static uint8_t inverse_of(uint8_t x)
{
    uint8_t y = 1;
    while (times(x, y) != 1)
        y++;
    return y;
}

/* So that another program can make them. */
static void the_other_fragments_are_the_sums_that_the_document_says(void **state)
{
    (void)state;
    tl_buf blob = blob_of(400, 8), out = {0};
    for (unsigned i = 4; i < 9; i++) {
        assert_int_equal(tl_code_make(tl_buf_slice(&blob), 4, 9, i, &out), TL_OK);
        for (size_t at = 0; at < 100; at++) {
            uint8_t sum = 0;
            for (unsigned j = 0; j < 4; j++)
                sum ^= times(inverse_of((uint8_t)(i ^ j)), tl_buf_begin(&blob)[j * 100 + at]);
            assert_int_equal(tl_buf_begin(&out)[at], sum);
        }
        tl_buf_consume(&out, out.len);
    }
    tl_buf_clear(&out);
    tl_buf_clear(&blob);
}

static void what_does_not_fit_the_code_is_refused(void **state)
{
    (void)state;
    tl_buf blob = blob_of(90, 6), out = {0}, a = {0}, b = {0};
    tl_slice all = tl_buf_slice(&blob);
    assert_int_equal(tl_code_make(all, 0, 3, 0, &out), TL_ERR_INVALID);
    assert_int_equal(tl_code_make(all, 4, 3, 0, &out), TL_ERR_INVALID);
    assert_int_equal(tl_code_make(all, 2, TL_FRAGMENTS_MAX + 1, 0, &out), TL_ERR_INVALID);
    assert_int_equal(tl_code_make(all, 2, 3, 3, &out), TL_ERR_INVALID);
    assert_int_equal(tl_code_make(tl_slice_of(NULL, 0), 2, 3, 0, &out), TL_ERR_INVALID);
    assert_false(tl_code_fits(TL_BLOB_MAX + 1, 1, 1));
    assert_true(tl_code_fits(TL_BLOB_MAX, 1, 1));
    assert_int_equal(out.len, 0);
    assert_int_equal(tl_code_make(all, 2, 3, 0, &a), TL_OK);
    assert_int_equal(tl_code_make(all, 2, 3, 2, &b), TL_OK);
    tl_slice there[2] = {tl_buf_slice(&a), tl_buf_slice(&b)};
    assert_int_equal(tl_code_join(there, (uint8_t[]){0, 0}, 2, 3, 90, &out), TL_ERR_INVALID);
    assert_int_equal(tl_code_join(there, (uint8_t[]){0, 3}, 2, 3, 90, &out), TL_ERR_INVALID);
    assert_int_equal(tl_code_join(there, (uint8_t[]){0, 2}, 2, 3, 92, &out), TL_ERR_INVALID);
    assert_int_equal(tl_code_join(there, (uint8_t[]){0, 2}, 2, 3, 0, &out), TL_ERR_INVALID);
    assert_int_equal(out.len, 0);
    assert_int_equal(tl_code_join(there, (uint8_t[]){0, 2}, 2, 3, 90, &out), TL_OK);
    assert_true(tl_slice_eq(tl_buf_slice(&out), all));
    tl_buf_clear(&out);
    tl_buf_clear(&a);
    tl_buf_clear(&b);
    tl_buf_clear(&blob);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_k_fragments_make_the_blob_again),
        cmocka_unit_test(the_largest_code_bears_the_loss_of_any_half),
        cmocka_unit_test(blobs_of_every_small_size_and_of_the_largest_come_back),
        cmocka_unit_test(the_first_fragments_are_the_blob_itself),
        cmocka_unit_test(the_other_fragments_are_the_sums_that_the_document_says),
        cmocka_unit_test(what_does_not_fit_the_code_is_refused),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
