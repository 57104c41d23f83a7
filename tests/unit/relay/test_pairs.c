#include "relay/pairs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rand.h"

#define MAX   (600 * TL_SEC)
#define PAUSE (60 * TL_SEC)

static const tl_node_id a = {{1}}, b = {{2}}, c = {{3}};

static tl_relay_pairs make(void)
{
    return (tl_relay_pairs){.session_max = MAX, .pause = PAUSE, .idle_max = 1000};
}

static void all_sessions_of_a_pair_end_with_the_first_of_them(void **state)
{
    (void)state;
    tl_relay_pairs p = make();
    tl_relay_pair *one, *two;
    assert_int_equal(tl_relay_pairs_begin(&p, &a, &b, 0, &one), TL_OK);
    assert_int_equal(tl_relay_pairs_begin(&p, &b, &a, MAX - 1, &two), TL_OK); /* either way round */
    assert_ptr_equal(one, two);
    assert_int_equal(two->since, 0);
    assert_int_equal(tl_relay_pairs_begin(&p, &a, &b, MAX, &two), TL_ERR_BUSY);
    assert_false(tl_relay_pairs_may(&p, &a, &b, MAX));
    assert_true(tl_relay_pairs_may(&p, &a, &c, MAX));
    tl_relay_pairs_end(&p, one, MAX);
    tl_relay_pairs_end(&p, one, MAX);
    assert_false(tl_relay_pairs_may(&p, &a, &b, MAX + PAUSE - 1));
    assert_true(tl_relay_pairs_may(&p, &a, &b, MAX + PAUSE));
    assert_int_equal(tl_relay_pairs_begin(&p, &a, &b, MAX + PAUSE, &one), TL_OK);
    assert_int_equal(one->since, MAX + PAUSE);
    tl_relay_pairs_end(&p, one, MAX + PAUSE);
    tl_relay_pairs_clear(&p);
}

static void closing_and_opening_again_does_not_make_the_time_longer(void **state)
{
    (void)state;
    tl_relay_pairs p = make();
    tl_relay_pair *one;
    assert_int_equal(tl_relay_pairs_begin(&p, &a, &b, 0, &one), TL_OK);
    tl_relay_pairs_end(&p, one, MAX - TL_SEC);
    assert_int_equal(tl_relay_pairs_begin(&p, &a, &b, MAX - TL_MS, &one), TL_OK);
    assert_int_equal(one->since, 0);
    tl_relay_pairs_end(&p, one, MAX);
    assert_int_equal(tl_relay_pairs_begin(&p, &a, &b, MAX + PAUSE / 2, &one), TL_ERR_BUSY);
    tl_relay_pairs_clear(&p);
}

/* The formula of pairs.h: in any session_max + pause, at most session_max with a session. */
static void no_pair_has_more_than_its_share_of_any_window(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 100; seed++) {
        enum { STEPS = 3000 }; /* seconds */
        static bool had[STEPS];
        tl_rand r = tl_rand_seeded(seed);
        tl_relay_pairs p = {.session_max = 20 * TL_SEC, .pause = 5 * TL_SEC, .idle_max = 10};
        tl_relay_pair *open[4] = {NULL};
        for (int t = 0; t < STEPS; t++) {
            tl_time now = (tl_time)t * TL_SEC;
            for (int i = 0; i < 4; i++) {
                bool over = open[i] && now >= open[i]->since + p.session_max;
                if (open[i] && (over || tl_rand_below(&r, 6) == 0)) {
                    tl_relay_pairs_end(&p, open[i], now);
                    open[i] = NULL;
                }
                if (!open[i] && tl_rand_below(&r, 3) == 0 &&
                    tl_relay_pairs_begin(&p, &a, &b, now, &open[i]))
                    open[i] = NULL;
            }
            had[t] = open[0] || open[1] || open[2] || open[3];
        }
        for (int from = 0; from + 25 <= STEPS; from++) {
            int sum = 0;
            for (int t = from; t < from + 25; t++)
                sum += had[t];
            if (sum > 21) /* and the second in which it ends */
                fail_msg("seed %llu: %d s", (unsigned long long)seed, sum);
        }
        for (int i = 0; i < 4; i++)
            if (open[i])
                tl_relay_pairs_end(&p, open[i], STEPS * TL_SEC);
        tl_relay_pairs_clear(&p);
    }
}

static void only_so_many_pairs_are_remembered(void **state)
{
    (void)state;
    tl_relay_pairs p = {.session_max = MAX, .pause = PAUSE, .idle_max = 10};
    tl_relay_pair *one;
    for (uint8_t i = 0; i < 100; i++) {
        tl_node_id other = {{9, i}};
        assert_int_equal(tl_relay_pairs_begin(&p, &a, &other, 0, &one), TL_OK);
        tl_relay_pairs_end(&p, one, MAX);
    }
    assert_int_equal(p.idle_count, 10);
    assert_int_equal(HASH_COUNT(p.table), 10);
    tl_node_id last = {{9, 99}};
    assert_false(tl_relay_pairs_may(&p, &a, &last, MAX));
    assert_true(tl_relay_pairs_may(&p, &a, &last, MAX + PAUSE));
    assert_int_equal(p.idle_count, 0);
    tl_relay_pairs_clear(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_sessions_of_a_pair_end_with_the_first_of_them),
        cmocka_unit_test(closing_and_opening_again_does_not_make_the_time_longer),
        cmocka_unit_test(no_pair_has_more_than_its_share_of_any_window),
        cmocka_unit_test(only_so_many_pairs_are_remembered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
