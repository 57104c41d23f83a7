#include "relayd/outqueue.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* What the queue would write, whole. */
static tl_buf content(const tl_outqueue *q)
{
    struct iovec iov[64];
    tl_buf all = {0};
    int n = tl_outqueue_peek(q, iov, 64);
    for (int i = 0; i < n; i++)
        assert_int_equal(tl_buf_append(&all, tl_slice_of(iov[i].iov_base, iov[i].iov_len)), TL_OK);
    return all;
}

static void assert_content(const tl_outqueue *q, const char *expected)
{
    tl_buf all = content(q);
    assert_int_equal(all.len, strlen(expected));
    if (all.len)
        assert_memory_equal(tl_buf_begin(&all), expected, all.len);
    assert_int_equal(q->bytes, all.len);
    tl_buf_clear(&all);
}

static void bytes_come_out_in_the_order_they_went_in(void **state)
{
    (void)state;
    tl_outqueue q = {0};
    char word[] = "one ";
    assert_int_equal(tl_outqueue_add(&q, tl_slice_str(word)), TL_OK);
    memcpy(word, "XXXX", 4); /* it was copied */
    assert_int_equal(tl_outqueue_add(&q, tl_slice_str("two ")), TL_OK);
    assert_content(&q, "one two ");
    tl_outqueue_consume(&q, 2);
    assert_content(&q, "e two ");
    assert_int_equal(tl_outqueue_add(&q, tl_slice_str("three")), TL_OK);
    assert_content(&q, "e two three");
    tl_outqueue_consume(&q, 11);
    assert_content(&q, "");
    assert_null(q.first);
}

static void what_is_left_is_the_same_however_it_is_consumed(void **state)
{
    (void)state;
    enum { N = 20000 };
    static uint8_t bytes[N];
    for (size_t i = 0; i < N; i++)
        bytes[i] = (uint8_t)(i * 31 + (i >> 8));
    for (size_t step = 1; step < 9000; step = step * 3 + 1) {
        tl_outqueue q = {0};
        for (size_t at = 0, len = 1; at < N; at += len, len = len * 2 % 5000 + 1) {
            size_t n = len < N - at ? len : N - at;
            assert_int_equal(tl_outqueue_add(&q, tl_slice_of(bytes + at, n)), TL_OK);
        }
        for (size_t at = 0; at < N; at += step) {
            tl_buf all = content(&q);
            assert_true(all.len > 0);
            assert_memory_equal(tl_buf_begin(&all), bytes + at, all.len);
            tl_buf_clear(&all);
            tl_outqueue_consume(&q, step < q.bytes ? step : q.bytes);
        }
        assert_int_equal(q.bytes, 0);
    }
}

static void clearing_frees_what_waits(void **state)
{
    (void)state;
    tl_outqueue q = {0};
    assert_int_equal(tl_outqueue_add(&q, tl_slice_str("waits")), TL_OK);
    tl_outqueue_clear(&q); /* the leak sanitizer watches */
    assert_int_equal(q.bytes, 0);
    assert_null(q.first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_come_out_in_the_order_they_went_in),
        cmocka_unit_test(what_is_left_is_the_same_however_it_is_consumed),
        cmocka_unit_test(clearing_frees_what_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
