#include "base/ratelimit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void a_burst_passes_and_then_the_rate(void **state)
{
    (void)state;
    tl_time t = 5 * TL_SEC;
    tl_ratelimit r = tl_ratelimit_make(10, 3, t);
    for (int i = 0; i < 3; i++)
        assert_true(tl_ratelimit_take(&r, 1, t));
    assert_false(tl_ratelimit_take(&r, 1, t));
    assert_false(tl_ratelimit_take(&r, 1, t + 100 * TL_MS - 1));
    assert_true(tl_ratelimit_take(&r, 1, t + 100 * TL_MS));
    assert_false(tl_ratelimit_take(&r, 1, t + 100 * TL_MS));
}

static void a_refusal_takes_nothing(void **state)
{
    (void)state;
    tl_ratelimit r = tl_ratelimit_make(1, 10, 0);
    assert_false(tl_ratelimit_take(&r, 11, 0));
    assert_true(tl_ratelimit_take(&r, 10, 0));
    assert_true(tl_ratelimit_take(&r, 0, 0));
    assert_false(tl_ratelimit_take(&r, 1, 0));
}

static void rest_fills_to_the_burst_and_not_beyond(void **state)
{
    (void)state;
    tl_ratelimit r = tl_ratelimit_make(1000, 5, 0);
    assert_true(tl_ratelimit_take(&r, 5, 0));
    assert_false(tl_ratelimit_take(&r, 6, 3600 * TL_SEC));
    assert_true(tl_ratelimit_take(&r, 5, 3600 * TL_SEC));
    assert_false(tl_ratelimit_take(&r, 1, 3600 * TL_SEC));
}

/* However often it is asked in between, over a long time exactly the rate passes. */
static void small_steps_add_up_to_the_rate(void **state)
{
    (void)state;
    static const struct {
        uint64_t per_sec;
        tl_time step;
    } v[] = {{3, 1 * TL_MS},      {7, 333 * TL_US}, {1000, 100 * TL_US},
             {262144, 1 * TL_US}, {999999999, 1},   {1500000000, 1},
             {65536, 7777},       {700000000, 2},   {UINT64_C(40000000000), 3}};
    for (size_t i = 0; i < sizeof v / sizeof *v; i++) {
        enum { STEPS = 100000 };
        tl_ratelimit r = tl_ratelimit_make(v[i].per_sec, UINT64_MAX / 2, 0);
        assert_true(tl_ratelimit_take(&r, UINT64_MAX / 2, 0));
        uint64_t taken = 0;
        for (uint64_t s = 1; s <= STEPS; s++)
            while (tl_ratelimit_take(&r, v[i].per_sec > 1000000000 ? 20 : 1, s * v[i].step))
                taken += v[i].per_sec > 1000000000 ? 20 : 1;
        double due = (double)v[i].per_sec * (double)(STEPS * v[i].step) / 1e9;
        assert_true((double)taken <= due);
        assert_true((double)taken > due - 21);
    }
}

static void when_tells_the_first_moment_that_take_succeeds(void **state)
{
    (void)state;
    static const uint64_t rates[] = {1, 3, 7, 1000, 262144, 999999999, 3000000000};
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++)
        for (uint64_t n = 1; n <= 100; n += 33) {
            tl_ratelimit r = tl_ratelimit_make(rates[i], 100, 12345);
            assert_true(tl_ratelimit_when(&r, n, 12345) == 12345);
            assert_true(tl_ratelimit_take(&r, 100, 12345));
            assert_false(tl_ratelimit_take(&r, 100, 12346)); /* leaves a fraction behind */
            tl_time at = tl_ratelimit_when(&r, n, 12346);
            tl_ratelimit early = r;
            if (at > 12346)
                assert_false(tl_ratelimit_take(&early, n, at - 1));
            assert_true(tl_ratelimit_take(&r, n, at));
        }
}

static void a_clock_that_stands_or_goes_back_gives_nothing(void **state)
{
    (void)state;
    tl_ratelimit r = tl_ratelimit_make(1000, 1, 10 * TL_SEC);
    assert_true(tl_ratelimit_take(&r, 1, 10 * TL_SEC));
    assert_false(tl_ratelimit_take(&r, 1, 10 * TL_SEC));
    assert_false(tl_ratelimit_take(&r, 1, 0));
    assert_false(tl_ratelimit_take(&r, 1, 10 * TL_SEC));
    assert_true(tl_ratelimit_take(&r, 1, 10 * TL_SEC + TL_MS));
}

static void rate_zero_is_no_limit(void **state)
{
    (void)state;
    tl_ratelimit r = tl_ratelimit_make(0, 0, 0);
    assert_true(tl_ratelimit_take(&r, UINT64_MAX, 0));
    assert_true(tl_ratelimit_take(&r, UINT64_MAX, 0));
    assert_true(tl_ratelimit_when(&r, UINT64_MAX, 77) == 77);
}

static void extremes_do_not_overflow(void **state)
{
    (void)state;
    tl_ratelimit r = tl_ratelimit_make(UINT64_MAX, UINT64_MAX, 0);
    assert_true(tl_ratelimit_take(&r, UINT64_MAX, 0));
    assert_true(tl_ratelimit_take(&r, UINT64_MAX, TL_NEVER - 1));
    r = tl_ratelimit_make(1, UINT64_MAX, 0);
    assert_true(tl_ratelimit_take(&r, UINT64_MAX, 0));
    assert_true(tl_ratelimit_when(&r, UINT64_MAX, 0) == TL_NEVER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_burst_passes_and_then_the_rate),
        cmocka_unit_test(a_refusal_takes_nothing),
        cmocka_unit_test(rest_fills_to_the_burst_and_not_beyond),
        cmocka_unit_test(small_steps_add_up_to_the_rate),
        cmocka_unit_test(when_tells_the_first_moment_that_take_succeeds),
        cmocka_unit_test(a_clock_that_stands_or_goes_back_gives_nothing),
        cmocka_unit_test(rate_zero_is_no_limit),
        cmocka_unit_test(extremes_do_not_overflow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
