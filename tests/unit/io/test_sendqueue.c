#include "io/sendqueue.h"

#include "base/rand.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static uint8_t pattern(uint64_t at)
{
    return (uint8_t)(at * 131 + (at >> 9));
}

static void put(tl_sendqueue *q, size_t n, uint64_t *written)
{
    uint8_t *room;
    assert_int_equal(tl_sendqueue_reserve(q, n, &room), TL_OK);
    for (size_t i = 0; i < n; i++)
        room[i] = pattern(*written + i);
    tl_sendqueue_commit(q, n);
    *written += n;
}

/* Checks the front of the queue against the pattern; returns how much one writev would offer. */
static size_t look(const tl_sendqueue *q, uint64_t at)
{
    struct iovec iov[TL_SENDQUEUE_IOV];
    int n = tl_sendqueue_peek(q, iov);
    size_t total = 0;
    for (int i = 0; i < n; i++)
        for (size_t k = 0; k < iov[i].iov_len; k++, total++)
            if (((uint8_t *)iov[i].iov_base)[k] != pattern(at + total))
                fail_msg("wrong byte at %zu", total);
    return total;
}

static void bytes_leave_in_the_order_they_came_whatever_the_sizes(void **state)
{
    (void)state;
    tl_rand r = tl_rand_seeded(3);
    tl_sendqueue q = {0};
    uint64_t written = 0, read = 0;
    for (int i = 0; i < 2000; i++) {
        if (q.bytes < 1000000)
            put(&q, 1 + tl_rand_below(&r, i % 50 ? 3000 : 200000), &written);
        size_t offered = look(&q, read);
        assert_true(offered > 0 && offered <= q.bytes);
        size_t taken = tl_rand_below(&r, offered + 1);
        tl_sendqueue_consume(&q, taken);
        read += taken;
        assert_int_equal(q.bytes, written - read);
    }
    tl_sendqueue_clear(&q);
    assert_int_equal(q.bytes, 0);
}

static void an_empty_queue_offers_nothing_and_holds_no_memory(void **state)
{
    (void)state;
    tl_sendqueue q = {0};
    struct iovec iov[TL_SENDQUEUE_IOV];
    uint64_t written = 0;
    assert_int_equal(tl_sendqueue_peek(&q, iov), 0);
    put(&q, 10, &written);
    put(&q, TL_SENDQUEUE_BLOCK, &written);
    tl_sendqueue_consume(&q, q.bytes);
    assert_int_equal(tl_sendqueue_peek(&q, iov), 0);
    assert_null(q.first);
}

static void a_reservation_that_is_not_committed_leaves_no_trace(void **state)
{
    (void)state;
    tl_sendqueue q = {0};
    uint8_t *room;
    uint64_t written = 0;
    put(&q, 100, &written);
    assert_int_equal(tl_sendqueue_reserve(&q, 50, &room), TL_OK);
    assert_int_equal(look(&q, 0), 100);
    assert_int_equal(tl_sendqueue_reserve(&q, 2 * TL_SENDQUEUE_BLOCK, &room), TL_OK);
    assert_int_equal(look(&q, 0), 100);
    put(&q, 5, &written);
    assert_int_equal(look(&q, 0), 105);
    tl_sendqueue_clear(&q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_leave_in_the_order_they_came_whatever_the_sizes),
        cmocka_unit_test(an_empty_queue_offers_nothing_and_holds_no_memory),
        cmocka_unit_test(a_reservation_that_is_not_committed_leaves_no_trace),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
