#include "relay/limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/rand.h"

#define RATE  (64u << 10)
#define BURST (500 * TL_MS)

/* The formula of limits.h, after every grant of a random load, from every earlier grant on. */
static void never_more_is_granted_than_the_formula_allows(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        enum { GRANTS = 64 };
        tl_rand r = tl_rand_seeded(seed);
        uint64_t rate = 1 + tl_rand_below(&r, 1 << 20);
        tl_time burst = (1 + tl_rand_below(&r, 2000)) * TL_MS, now = tl_rand_below(&r, TL_SEC);
        tl_time at[GRANTS];
        uint64_t before[GRANTS], granted = 0, most = rate * (burst / TL_MS) / 1000;
        size_t n = 0;
        tl_limit l = tl_limit_make(rate, burst, now);
        for (int i = 0; i < 4000 && n < GRANTS; i++) {
            size_t bytes = 1 + tl_rand_below(&r, most ? most : 1);
            now += tl_rand_below(&r, 40 * TL_MS);
            bool got = tl_rand_below(&r, 2) ? tl_limit_take(&l, bytes, now)
                                            : tl_limit_take_message(&l, bytes, now);
            if (!got)
                continue;
            at[n] = now;
            before[n++] = granted;
            granted += bytes;
            for (size_t k = 0; k < n; k++) {
                double allowed = (double)rate * (double)(now - at[k]) / (double)TL_SEC +
                                 (double)rate * (double)burst / (double)TL_SEC;
                if ((double)(granted - before[k]) > allowed + 1)
                    fail_msg("seed %llu", (unsigned long long)seed);
            }
        }
    }
}

static void a_limit_is_used_up_to_the_full(void **state)
{
    (void)state;
    tl_limit l = tl_limit_make(RATE, BURST, 0);
    uint64_t granted = 0;
    for (tl_time now = 0; now <= 10 * TL_SEC; now += TL_MS)
        for (int i = 0; i < 4; i++) /* four times what it may */
            granted += tl_limit_take(&l, 1200, now) ? 1200 : 0;
    assert_true(granted <= 10 * RATE + RATE / 2);
    assert_true(granted > 10 * RATE + RATE / 2 - 1300);
}

static void what_is_refused_costs_nothing(void **state)
{
    (void)state;
    tl_limit l = tl_limit_make(RATE, BURST, 0);
    assert_true(tl_limit_take(&l, RATE / 2 - 10, 0));
    assert_false(tl_limit_take(&l, 11, 0));
    assert_true(tl_limit_take(&l, 10, 0));
    assert_false(tl_limit_take(&l, 1, 0));
}

static void a_datagram_longer_than_the_burst_never_passes_and_a_message_waits_for_it(void **state)
{
    (void)state;
    size_t n = RATE * 4; /* paid for in 3.5 s, after the burst */
    tl_limit l = tl_limit_make(RATE, BURST, 0);
    assert_false(tl_limit_take(&l, RATE / 2 + 1, 0));
    assert_true(tl_limit_take_message(&l, n, 0));
    assert_false(tl_limit_take(&l, 1, 3499 * TL_MS));
    assert_int_equal(tl_limit_when(&l, RATE / 4, 0), 3750 * TL_MS);
    assert_false(tl_limit_take_message(&l, RATE / 4, 3750 * TL_MS - 1));
    assert_true(tl_limit_take_message(&l, RATE / 4, 3750 * TL_MS));

    l = tl_limit_make(RATE, BURST, 0);
    assert_true(tl_limit_take(&l, 1, 0)); /* not full: it waits */
    assert_false(tl_limit_take_message(&l, n, 0));
    tl_time when = tl_limit_when(&l, n, 0);
    assert_true(when > 0 && when < TL_MS);
    assert_true(tl_limit_take_message(&l, n, when));
}

static void a_rate_of_zero_is_no_limit(void **state)
{
    (void)state;
    tl_limit l = tl_limit_make(0, BURST, 0);
    for (int i = 0; i < 100; i++)
        assert_true(tl_limit_take(&l, 1u << 30, 0) && tl_limit_take_message(&l, 1u << 30, 0));
    assert_int_equal(tl_limit_when(&l, 1u << 30, 5), 5);
}

static void another_rate_gives_nothing_for_the_change(void **state)
{
    (void)state;
    tl_limit l = tl_limit_make(RATE, BURST, 0);
    assert_true(tl_limit_take(&l, RATE / 2, 0));
    for (int i = 0; i < 100; i++)
        tl_limit_set(&l, i % 2 ? RATE : 4 * RATE, BURST, 0);
    assert_false(tl_limit_take(&l, 1, 0));
    assert_true(tl_limit_take(&l, RATE / 4, 250 * TL_MS));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(never_more_is_granted_than_the_formula_allows),
        cmocka_unit_test(a_limit_is_used_up_to_the_full),
        cmocka_unit_test(what_is_refused_costs_nothing),
        cmocka_unit_test(a_datagram_longer_than_the_burst_never_passes_and_a_message_waits_for_it),
        cmocka_unit_test(a_rate_of_zero_is_no_limit),
        cmocka_unit_test(another_rate_gives_nothing_for_the_change),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
