#include "base/rand.h"
#include "quic/chunks.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static uint8_t byte_at(uint64_t position)
{
    return (uint8_t)(position * 31 + (position >> 8));
}

static void append(tl_chunks *q, uint64_t *end, size_t n)
{
    uint8_t *data = malloc(n + 1);
    for (size_t i = 0; i < n; i++)
        data[i] = byte_at(*end + i);
    assert_int_equal(tl_chunks_append(q, tl_slice_of(data, n)), TL_OK);
    *end += n;
    free(data);
}

static void expect_bytes(tl_slice s, uint64_t position)
{
    for (size_t i = 0; i < s.n; i++)
        assert_int_equal(s.p[i], byte_at(position + i));
}

/* As a stream sends: appends, takes slices from the cursor, moves it, drops what is acknowledged.
 */
static void a_send_queue_keeps_every_byte_in_order(void **state)
{
    (void)state;
    tl_chunk_pool pool = {0};
    for (uint64_t seed = 0; seed < 200; seed++) {
        tl_rand rand = tl_rand_seeded(seed);
        tl_chunks q = {.pool = &pool};
        uint64_t end = 0, sent = 0, acked = 0;
        for (int step = 0; step < 400; step++) {
            append(&q, &end, tl_rand_below(&rand, seed % 2 ? 100 : 40000));
            tl_slice slices[4];
            size_t want = tl_rand_below(&rand, 30000), covered = 0;
            size_t count = tl_chunks_unsent(&q, want, slices, 4);
            for (size_t i = 0; i < count; i++) {
                expect_bytes(slices[i], sent + covered);
                covered += slices[i].n;
            }
            assert_true(covered <= want && covered <= end - sent);
            assert_true(covered == want || covered == end - sent || count == 4);
            size_t move = covered ? tl_rand_below(&rand, covered + 1) : 0;
            tl_chunks_advance(&q, move);
            sent += move;
            size_t drop = tl_rand_below(&rand, sent - acked + 1);
            tl_chunks_drop(&q, drop);
            acked += drop;
            assert_int_equal(q.n, end - acked);
            assert_int_equal(q.sent, sent - acked);
        }
        tl_chunks_clear(&q);
        assert_int_equal(q.n, 0);
    }
    assert_true(pool.n <= TL_CHUNK_POOL_MAX);
    tl_chunk_pool_clear(&pool);
}

/* As a stream receives: appends, looks at the front, drops. */
static void a_receive_queue_keeps_every_byte_in_order(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 100; seed++) {
        tl_rand rand = tl_rand_seeded(seed);
        tl_chunks q = {0};
        uint64_t begin = 0, end = 0;
        for (int step = 0; step < 400; step++) {
            append(&q, &end, tl_rand_below(&rand, 3000));
            while (q.n && tl_rand_below(&rand, 3)) {
                tl_slice front = tl_chunks_front(&q);
                assert_true(front.n > 0 && front.n <= q.n);
                expect_bytes(front, begin);
                size_t n = 1 + tl_rand_below(&rand, front.n);
                tl_chunks_drop(&q, n);
                begin += n;
            }
            assert_int_equal(q.n, end - begin);
        }
        tl_chunks_clear(&q);
    }
}

static void an_empty_queue_holds_no_memory_of_its_own(void **state)
{
    (void)state;
    tl_chunks q = {0};
    uint64_t end = 0;
    append(&q, &end, 100000);
    tl_chunks_drop(&q, 100000);
    assert_null(q.first);
    assert_null(q.last);
    assert_int_equal(tl_chunks_front(&q).n, 0);
    append(&q, &end, 10);
    assert_int_equal(tl_chunks_front(&q).n, 10);
    tl_chunks_clear(&q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_send_queue_keeps_every_byte_in_order),
        cmocka_unit_test(a_receive_queue_keeps_every_byte_in_order),
        cmocka_unit_test(an_empty_queue_holds_no_memory_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
