#include "ask/pace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static tl_node_id id_of(unsigned n)
{
    return (tl_node_id){.key = {(uint8_t)n, (uint8_t)(n >> 8)}};
}

static const tl_node_id a = {.key = {1}}, b = {.key = {2}};

static void a_speed_belongs_to_one_node_and_one_model(void **state)
{
    (void)state;
    tl_paces p = {0};
    tl_paces_note(&p, &a, "m", 300, 10 * TL_SEC);
    assert_int_equal(tl_paces_speed(&p, &a, "m"), 30000);
    assert_int_equal(tl_paces_speed(&p, &a, "n"), 0);
    assert_int_equal(tl_paces_speed(&p, &b, "m"), 0);
    tl_paces_note(&p, &b, "m", 50, 10 * TL_SEC);
    assert_int_equal(tl_paces_speed(&p, &b, "m"), 5000);
    assert_int_equal(tl_paces_speed(&p, &a, "m"), 30000);
    tl_paces_clear(&p);
}

static void an_answer_moves_the_speed_by_an_eighth(void **state)
{
    (void)state;
    tl_paces p = {0};
    tl_paces_note(&p, &a, "m", 80, 10 * TL_SEC);
    tl_paces_note(&p, &a, "m", 160, 10 * TL_SEC);
    assert_int_equal(tl_paces_speed(&p, &a, "m"), 9000);
    for (int i = 0; i < 100; i++)
        tl_paces_note(&p, &a, "m", 160, 10 * TL_SEC);
    assert_in_range(tl_paces_speed(&p, &a, "m"), 15990, 16000);
    tl_paces_clear(&p);
}

static void what_is_too_short_is_no_measure(void **state)
{
    (void)state;
    for (int what = 0; what < 3; what++) {
        tl_paces p = {0};
        tl_paces_note(&p, &a, "m", TL_PACE_TOKENS_MIN - (what == 1),
                      TL_PACE_TIME_MIN - (what == 2));
        assert_int_equal(tl_paces_speed(&p, &a, "m"), what ? 0 : 400000);
        tl_paces_clear(&p);
    }
}

static void no_number_of_tokens_is_too_large(void **state)
{
    (void)state;
    tl_paces p = {0};
    tl_paces_note(&p, &a, "m", UINT64_MAX, TL_PACE_TIME_MIN);
    assert_int_equal(tl_paces_speed(&p, &a, "m"), TL_PACE_SPEED_MAX);
    tl_paces_note(&p, &b, "m", TL_PACE_TOKENS_MIN, TL_NEVER); /* nor any time too long */
    assert_int_equal(tl_paces_speed(&p, &b, "m"), 1);
    tl_paces_clear(&p);
}

static void of_too_many_the_one_measured_longest_ago_is_forgotten(void **state)
{
    (void)state;
    tl_paces p = {0};
    for (unsigned i = 0; i < TL_PACES_MAX; i++) {
        tl_node_id id = id_of(i);
        tl_paces_note(&p, &id, "m", 100, TL_SEC);
    }
    tl_node_id first = id_of(0), second = id_of(1), one_more = id_of(TL_PACES_MAX);
    tl_paces_note(&p, &first, "m", 100, TL_SEC); /* seen again */
    tl_paces_note(&p, &one_more, "m", 100, TL_SEC);
    assert_int_equal(HASH_COUNT(p.paces), TL_PACES_MAX);
    assert_int_equal(tl_paces_speed(&p, &first, "m"), 100000);
    assert_int_equal(tl_paces_speed(&p, &second, "m"), 0);
    assert_int_equal(tl_paces_speed(&p, &one_more, "m"), 100000);
    tl_paces_clear(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_speed_belongs_to_one_node_and_one_model),
        cmocka_unit_test(an_answer_moves_the_speed_by_an_eighth),
        cmocka_unit_test(what_is_too_short_is_no_measure),
        cmocka_unit_test(no_number_of_tokens_is_too_large),
        cmocka_unit_test(of_too_many_the_one_measured_longest_ago_is_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
