/* To which of those that were found a node attaches, and which it leaves (peer/introducers_choice.c). */
#include "introducers_scene.h"

#define IDLE (60 * TL_MIN) /* after so long a stranger by whom nothing came may be left */

static bool is_attached_to(int i)
{
    tl_addr seen;
    return tl_introducers_is(it, &nodes[i].identity.id, &nodes[i].addr, &seen);
}

static void find_node(int i)
{
    tl_relayer_name name = name_of(i);
    tl_introducers_found(it, &name);
}

static void those_of_our_networks_come_before_strangers(void **state)
{
    (void)state;
    trusted = 0;
    for (int i = 0; i < 6; i++)
        find_node(i);
    run_for(TL_SEC);
    assert_int_equal(attached(), TL_INTRODUCERS_FOUND);
    assert_true(is_attached_to(0));
}

static void one_of_our_networks_takes_the_place_of_a_stranger_at_once(void **state)
{
    (void)state;
    find_node(1);
    find_node(2);
    run_for(TL_SEC);
    assert_int_equal(attached(), TL_INTRODUCERS_FOUND);
    trusted = 0;
    find_node(0);
    run_for(TL_SEC);
    assert_int_equal(attached(), TL_INTRODUCERS_FOUND);
    assert_true(is_attached_to(0));
    run_for(3 * IDLE); /* and stays */
    assert_true(is_attached_to(0));
}

static void strangers_by_whom_nothing_came_are_left_for_others_after_an_hour(void **state)
{
    (void)state;
    find_node(1);
    find_node(2);
    run_for(TL_SEC);
    assert_false(tl_introducers_wants(it));
    find_node(3);
    find_node(4);
    run_for(IDLE - 2 * TL_SEC);
    assert_true(is_attached_to(1) && is_attached_to(2));
    tl_introducers_worked(it, &nodes[1].addr);
    run_for(2 * TL_MIN);
    assert_int_equal(attached(), TL_INTRODUCERS_FOUND);
    assert_true(is_attached_to(1) && !is_attached_to(2));
}

static void without_another_one_an_idle_stranger_stays_and_one_is_looked_for(void **state)
{
    (void)state;
    find_node(1);
    find_node(2);
    run_for(IDLE + 2 * TL_MIN);
    assert_true(is_attached_to(1) && is_attached_to(2));
    assert_true(tl_introducers_wants(it));
    find_node(3);
    run_for(TL_SEC);
    assert_int_equal(attached(), TL_INTRODUCERS_FOUND);
    assert_true(is_attached_to(3));
}

/* Two of one host, by names that it made up, are one. */
static void one_host_never_holds_both_places(void **state)
{
    (void)state;
    for (int i = 0; i < 8; i++) {
        nodes[i].addr = nodes[0].addr;
        nodes[i].addr.port = (uint16_t)(6881 + i);
        find_node(i);
    }
    run_for(2 * IDLE);
    assert_int_equal(attached(), 1);
    assert_true(tl_introducers_wants(it));
    find_node(9);
    run_for(70 * TL_SEC);
    assert_int_equal(attached(), TL_INTRODUCERS_FOUND);
    assert_true(is_attached_to(9));
}

static void a_false_name_at_the_ip_of_one_of_ours_keeps_nobody_from_it(void **state)
{
    (void)state;
    nodes[1].silent = true;
    nodes[1].addr = nodes[0].addr;
    nodes[1].addr.port = 9;
    find_node(1);
    run_for(20 * TL_SEC);
    assert_int_equal(attached(), 0);
    find_node(0);
    run_for(20 * TL_SEC);
    assert_int_equal(attached(), 0); /* a stranger there is as good as the other */
    trusted = 0;
    find_node(0);
    run_for(70 * TL_SEC);
    assert_int_equal(attached(), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(those_of_our_networks_come_before_strangers),
        TEST(one_of_our_networks_takes_the_place_of_a_stranger_at_once),
        TEST(strangers_by_whom_nothing_came_are_left_for_others_after_an_hour),
        TEST(without_another_one_an_idle_stranger_stays_and_one_is_looked_for),
        TEST(one_host_never_holds_both_places),
        TEST(a_false_name_at_the_ip_of_one_of_ours_keeps_nobody_from_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
