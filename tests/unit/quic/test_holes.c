#include "quic/holes.h"

#include "base/rand.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define SPAN 400

/* Byte by byte, what the module keeps as ranges. */
static size_t ranges_behind_holes(const bool *there, uint64_t *ret_front)
{
    size_t n = 0, i = 0;
    while (i < SPAN && there[i])
        i++;
    *ret_front = i;
    for (; i < SPAN; i++)
        n += there[i] && !there[i - 1];
    return n;
}

static void ranges_are_those_that_a_look_at_every_byte_finds(void **state)
{
    (void)state;
    tl_rand rand = tl_rand_seeded(5);
    for (int run = 0; run < 300; run++) {
        tl_meter m = {0};
        tl_holes h = {.meter = &m};
        bool there[SPAN] = {false};
        for (int k = 0; k < 120; k++) {
            uint64_t begin = tl_rand_below(&rand, SPAN), n = tl_rand_below(&rand, 12);
            uint64_t end = begin + n < SPAN ? begin + n : SPAN, front;
            if (begin == end)
                continue;
            assert_true(tl_holes_may_come(&h, begin, end));
            assert_int_equal(tl_holes_add(&h, begin, end), TL_OK);
            memset(there + begin, true, end - begin);
            assert_int_equal(h.n, ranges_behind_holes(there, &front));
            assert_int_equal(h.front, front);
            assert_int_equal(m.n, h.cap * sizeof *h.v);
            for (size_t i = 0; i < h.n; i++) {
                assert_true(there[h.v[i].begin] && !there[h.v[i].begin - 1]);
                assert_true(there[h.v[i].end - 1]);
                assert_true(h.v[i].end == SPAN || !there[h.v[i].end]);
            }
        }
        tl_holes_clear(&h);
        assert_int_equal(m.n, 0);
    }
}

static void a_hole_too_many_may_not_come_and_what_fills_one_may(void **state)
{
    (void)state;
    tl_holes h = {0};
    for (uint64_t i = 0; i < TL_HOLES_MAX; i++) {
        assert_true(tl_holes_may_come(&h, 10 * (i + 1), 10 * (i + 1) + 5));
        assert_int_equal(tl_holes_add(&h, 10 * (i + 1), 10 * (i + 1) + 5), TL_OK);
    }
    assert_false(tl_holes_may_come(&h, 1000000, 1000001)); /* behind all */
    assert_false(tl_holes_may_come(&h, 7, 8));             /* in a hole, touching nothing */
    assert_true(tl_holes_may_come(&h, 15, 16));            /* at the end of a range */
    assert_true(tl_holes_may_come(&h, 17, 20));            /* at its begin */
    assert_true(tl_holes_may_come(&h, 0, 3));              /* at the front */
    assert_int_equal(tl_holes_add(&h, 0, 10), TL_OK);
    assert_int_equal(h.n, TL_HOLES_MAX - 1);
    assert_true(tl_holes_may_come(&h, 1000000, 1000001));
    tl_holes_clear(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranges_are_those_that_a_look_at_every_byte_finds),
        cmocka_unit_test(a_hole_too_many_may_not_come_and_what_fills_one_may),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
