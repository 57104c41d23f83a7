#include "relay/timers.h"

#include "base/rand.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define TIMERS 200

static tl_time earliest(const tl_relay_timer *t, const bool *set)
{
    tl_time at = TL_NEVER;
    for (size_t i = 0; i < TIMERS; i++)
        if (set[i])
            at = tl_time_min(at, t[i].at);
    return at;
}

static void whatever_is_set_moved_and_unset_the_earliest_comes_first(void **state)
{
    (void)state;
    tl_relay_timers h = {0};
    static tl_relay_timer t[TIMERS];
    static bool set[TIMERS];
    tl_rand rand = tl_rand_seeded(5);
    assert_int_equal(tl_relay_timers_reserve(&h, TIMERS), TL_OK);
    for (int round = 0; round < 20000; round++) {
        size_t i = (size_t)tl_rand_below(&rand, TIMERS);
        if (tl_rand_below(&rand, 4)) {
            tl_relay_timer_set(&h, &t[i], 1000 + tl_rand_below(&rand, 500));
            set[i] = true;
        } else {
            tl_relay_timer_set(&h, &t[i], TL_NEVER);
            set[i] = false;
        }
        assert_int_equal(tl_relay_timers_expiry(&h), earliest(t, set));
    }
    tl_time last = 0, wanted;
    while ((wanted = earliest(t, set)) != TL_NEVER) {
        assert_null(tl_relay_timers_due(&h, wanted - 1));
        tl_relay_timer *due = tl_relay_timers_due(&h, wanted);
        assert_non_null(due);
        assert_int_equal(due->at, wanted);
        assert_int_equal(due->place, 0);
        assert_true(due->at >= last);
        last = due->at;
        set[due - t] = false;
    }
    assert_int_equal(tl_relay_timers_expiry(&h), TL_NEVER);
    tl_relay_timers_clear(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whatever_is_set_moved_and_unset_the_earliest_comes_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
