#include "ask/merit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define NOW (1000 * TL_SEC)

static tl_node_id id_of(unsigned n)
{
    return (tl_node_id){.key = {(uint8_t)n, (uint8_t)(n >> 8)}};
}

static const tl_node_id a = {.key = {1}}, b = {.key = {2}};

static void penalties_double_by_kind_up_to_their_most(void **state)
{
    (void)state;
    static const tl_time rows[TL_BLAME_COUNT][8] = {
        [TL_BLAME_LOST] = {5, 10, 20, 40, 80, 160, 300, 300},
        [TL_BLAME_SILENT] = {10, 20, 40, 80, 160, 300, 300, 300},
        [TL_BLAME_FAULT] = {5, 10, 20, 40, 80, 160, 300, 300},
        [TL_BLAME_REFUSED] = {2, 4, 8, 16, 30, 30, 30, 30},
    };
    for (int blame = 0; blame < TL_BLAME_COUNT; blame++) {
        tl_merits m = {0};
        assert_int_equal(tl_merits_behind_until(&m, &a), 0);
        for (int i = 0; i < 8; i++) {
            tl_merits_blame(&m, &a, (tl_blame)blame, NOW);
            assert_int_equal(tl_merits_behind_until(&m, &a), NOW + rows[blame][i] * TL_SEC);
            assert_int_equal(tl_merits_behind_until(&m, &b), 0);
        }
        for (int i = 0; i < 200; i++) /* no shift goes astray */
            tl_merits_blame(&m, &a, (tl_blame)blame, NOW);
        assert_int_equal(tl_merits_behind_until(&m, &a), NOW + rows[blame][7] * TL_SEC);
        tl_merits_clear(&m);
    }
}

static void a_small_failure_does_not_shorten_what_a_great_one_cost(void **state)
{
    (void)state;
    tl_merits m = {0};
    tl_merits_blame(&m, &a, TL_BLAME_SILENT, NOW);
    tl_merits_blame(&m, &a, TL_BLAME_REFUSED, NOW + 1);
    assert_int_equal(tl_merits_behind_until(&m, &a), NOW + 10 * TL_SEC);
    tl_merits_blame(&m, &a, TL_BLAME_LOST, NOW + 9 * TL_SEC); /* the first of its kind */
    assert_int_equal(tl_merits_behind_until(&m, &a), NOW + 14 * TL_SEC);
    tl_merits_clear(&m);
}

static void a_whole_answer_sets_everything_back(void **state)
{
    (void)state;
    tl_merits m = {0};
    for (int i = 0; i < 5; i++)
        tl_merits_blame(&m, &a, TL_BLAME_FAULT, NOW);
    assert_false(tl_merits_served(&m, &a));
    tl_merits_praise(&m, &a);
    assert_true(tl_merits_served(&m, &a));
    assert_false(tl_merits_served(&m, &b));
    assert_int_equal(tl_merits_behind_until(&m, &a), 0);
    tl_merits_blame(&m, &a, TL_BLAME_FAULT, NOW);
    assert_int_equal(tl_merits_behind_until(&m, &a), NOW + 5 * TL_SEC);
    tl_merits_clear(&m);
}

static void three_failures_in_a_row_cost_a_good_name(void **state)
{
    (void)state;
    for (int between = 0; between < 2; between++) {
        tl_merits m = {0};
        tl_merits_praise(&m, &a);
        tl_merits_blame(&m, &a, TL_BLAME_FAULT, NOW);
        tl_merits_blame(&m, &a, TL_BLAME_LOST, NOW);
        assert_true(tl_merits_served(&m, &a));
        if (between)
            tl_merits_praise(&m, &a);
        tl_merits_blame(&m, &a, TL_BLAME_SILENT, NOW);
        assert_int_equal(tl_merits_served(&m, &a), between);
        tl_merits_clear(&m);
    }
}

static void of_too_many_the_ones_without_a_good_name_go_first_and_the_oldest_of_them(void **state)
{
    (void)state;
    tl_merits m = {0};
    tl_node_id id;
    for (unsigned i = 0; i < TL_MERITS_MAX; i++) {
        id = id_of(i);
        if (i < 10)
            tl_merits_praise(&m, &id);
        else
            tl_merits_blame(&m, &id, TL_BLAME_LOST, NOW);
    }
    id = id_of(10);
    tl_merits_blame(&m, &id, TL_BLAME_LOST, NOW); /* now the newest */
    for (unsigned i = TL_MERITS_MAX; i < TL_MERITS_MAX + 2; i++) {
        id = id_of(i);
        tl_merits_blame(&m, &id, TL_BLAME_LOST, NOW);
        assert_int_equal(HASH_COUNT(m.nodes), TL_MERITS_MAX);
    }
    for (unsigned i = 0; i < 14; i++) {
        id = id_of(i);
        bool known = tl_merits_served(&m, &id) || tl_merits_behind_until(&m, &id);
        assert_int_equal(known, i != 11 && i != 12);
    }
    tl_merits_clear(&m);
    for (unsigned i = 0; i < TL_MERITS_MAX + 1; i++) { /* all are good: the oldest */
        id = id_of(i);
        tl_merits_praise(&m, &id);
    }
    id = id_of(0);
    assert_false(tl_merits_served(&m, &id));
    id = id_of(1);
    assert_true(tl_merits_served(&m, &id));
    tl_merits_clear(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(penalties_double_by_kind_up_to_their_most),
        cmocka_unit_test(a_small_failure_does_not_shorten_what_a_great_one_cost),
        cmocka_unit_test(a_whole_answer_sets_everything_back),
        cmocka_unit_test(three_failures_in_a_row_cost_a_good_name),
        cmocka_unit_test(of_too_many_the_ones_without_a_good_name_go_first_and_the_oldest_of_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
