/* What a node does after its network changed: the guarantees of peer/phases.h. */
#include "peer/phases.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define T0 (50 * TL_SEC)

static tl_node_id peer(uint8_t n)
{
    return (tl_node_id){.key = {n}};
}

static void add(tl_phases *p, uint8_t n, tl_phases_rank rank)
{
    tl_node_id id = peer(n);
    tl_phases_add(p, &id, rank, true);
}

static void carries(tl_phases *p, uint8_t n, tl_time now)
{
    tl_node_id id = peer(n);
    tl_phases_on_carries(p, &id, now);
}

static void fails(tl_phases *p, uint8_t n, tl_time now)
{
    tl_node_id id = peer(n);
    tl_phases_on_failed(p, &id, now);
}

static tl_step expect(tl_phases *p, tl_step_type type, tl_time now)
{
    tl_step step;
    assert_true(tl_phases_next(p, now, &step));
    assert_int_equal(step.type, type);
    return step;
}

static tl_step expect_told(tl_phases *p, tl_phase phase, tl_phase_state state, tl_time now)
{
    tl_step step = expect(p, TL_STEP_TELL, now);
    assert_string_equal(tl_phase_name(step.phase), tl_phase_name(phase));
    assert_string_equal(tl_phase_state_name(step.state), tl_phase_state_name(state));
    return step;
}

static void expect_renew(tl_phases *p, uint8_t n, tl_time now)
{
    tl_step step = expect(p, TL_STEP_RENEW, now);
    assert_int_equal(step.peer.key[0], n);
}

static void expect_nothing(tl_phases *p, tl_time now)
{
    tl_step step;
    assert_false(tl_phases_next(p, now, &step));
}

/* Up to the begin of REESTABLISH, where no connection that was added has carried. */
static void to_reestablish(tl_phases *p)
{
    tl_time at = T0 + TL_PHASES_MIGRATION_WITHIN;
    tl_phases_start(p, T0);
    tl_phases_on_timer(p, at);
    tl_phases_on_address(p, at);
    expect_told(p, TL_PHASE_MIGRATION, TL_PHASE_BEGINS, at);
    expect_told(p, TL_PHASE_MIGRATION, TL_PHASE_FAILED, at);
    expect_told(p, TL_PHASE_STUN, TL_PHASE_BEGINS, at);
    expect_told(p, TL_PHASE_STUN, TL_PHASE_DONE, at);
    expect_told(p, TL_PHASE_REESTABLISH, TL_PHASE_BEGINS, at);
    expect(p, TL_STEP_ANNOUNCE, at);
}

static void where_all_carry_on_each_phase_ends_at_once(void **state)
{
    (void)state;
    tl_phases p;
    tl_phases_begin(&p, T0);
    add(&p, 1, TL_RANK_ANSWER);
    add(&p, 2, TL_RANK_OTHER);
    tl_phases_start(&p, T0);
    tl_step step = expect_told(&p, TL_PHASE_MIGRATION, TL_PHASE_BEGINS, T0);
    assert_int_equal(step.counts.connections, 2);
    assert_int_equal(step.counts.answers, 1);
    assert_int_equal(step.after, 0);
    expect_nothing(&p, T0);
    tl_time at = T0 + 300 * TL_MS;
    carries(&p, 1, at);
    expect_nothing(&p, at);
    carries(&p, 2, at);
    step = expect_told(&p, TL_PHASE_MIGRATION, TL_PHASE_DONE, at);
    assert_int_equal(step.counts.carry, 2);
    assert_int_equal(step.after, 300 * TL_MS);
    expect_told(&p, TL_PHASE_STUN, TL_PHASE_BEGINS, at);
    expect_nothing(&p, at);
    tl_phases_on_address(&p, at + TL_MS);
    step = expect_told(&p, TL_PHASE_STUN, TL_PHASE_DONE, at + TL_MS);
    assert_true(step.counts.address);
    expect_told(&p, TL_PHASE_REESTABLISH, TL_PHASE_BEGINS, at + TL_MS);
    step = expect_told(&p, TL_PHASE_REESTABLISH, TL_PHASE_DONE, at + TL_MS);
    assert_int_equal(step.counts.wanted, 0);
    expect(&p, TL_STEP_ANNOUNCE, at + TL_MS);
    expect_nothing(&p, at + TL_MS);
    assert_int_equal(p.phase, TL_PHASE_RESTING);
    assert_int_equal(tl_phases_expiry(&p), TL_NEVER);
}

static void a_node_without_connections_and_servers_is_done_in_a_moment(void **state)
{
    (void)state;
    tl_phases p;
    tl_phases_begin(&p, T0);
    tl_phases_start(&p, T0);
    expect_told(&p, TL_PHASE_MIGRATION, TL_PHASE_BEGINS, T0);
    expect_told(&p, TL_PHASE_MIGRATION, TL_PHASE_DONE, T0);
    expect_told(&p, TL_PHASE_STUN, TL_PHASE_BEGINS, T0);
    tl_phases_no_address(&p, T0);
    tl_step step = expect_told(&p, TL_PHASE_STUN, TL_PHASE_FAILED, T0);
    assert_false(step.counts.address);
    expect_told(&p, TL_PHASE_REESTABLISH, TL_PHASE_BEGINS, T0);
    expect_told(&p, TL_PHASE_REESTABLISH, TL_PHASE_DONE, T0);
    expect(&p, TL_STEP_ANNOUNCE, T0); /* what else it publishes holds */
    expect_nothing(&p, T0);
}

static void each_phase_is_over_in_time_whatever_is_missing(void **state)
{
    (void)state;
    tl_phases p;
    tl_phases_begin(&p, T0);
    add(&p, 1, TL_RANK_OTHER);
    tl_phases_start(&p, T0);
    expect_told(&p, TL_PHASE_MIGRATION, TL_PHASE_BEGINS, T0);
    assert_int_equal(tl_phases_expiry(&p), T0 + 2 * TL_SEC);
    tl_phases_on_timer(&p, T0 + 2 * TL_SEC - 1);
    expect_nothing(&p, T0 + 2 * TL_SEC - 1);
    tl_phases_on_timer(&p, T0 + 2 * TL_SEC);
    expect_told(&p, TL_PHASE_MIGRATION, TL_PHASE_FAILED, T0 + 2 * TL_SEC);
    expect_told(&p, TL_PHASE_STUN, TL_PHASE_BEGINS, T0 + 2 * TL_SEC);
    assert_int_equal(tl_phases_expiry(&p), T0 + 5 * TL_SEC);
    tl_phases_on_timer(&p, T0 + 5 * TL_SEC);
    expect_told(&p, TL_PHASE_STUN, TL_PHASE_FAILED, T0 + 5 * TL_SEC);
    expect_told(&p, TL_PHASE_REESTABLISH, TL_PHASE_BEGINS, T0 + 5 * TL_SEC);
    expect(&p, TL_STEP_ANNOUNCE, T0 + 5 * TL_SEC);
    expect_renew(&p, 1, T0 + 5 * TL_SEC);
    assert_int_equal(tl_phases_expiry(&p), T0 + 10 * TL_SEC);
    tl_phases_on_timer(&p, T0 + 10 * TL_SEC);
    tl_step step = expect_told(&p, TL_PHASE_REESTABLISH, TL_PHASE_FAILED, T0 + 10 * TL_SEC);
    assert_int_equal(step.counts.wanted, 1);
    assert_int_equal(step.counts.back, 0);
    assert_int_equal(tl_phases_expiry(&p), TL_NEVER);
}

static void a_loop_that_was_late_tells_all_phases_at_once(void **state)
{
    (void)state;
    tl_phases p;
    tl_time at = T0 + TL_MIN;
    tl_phases_begin(&p, T0);
    add(&p, 1, TL_RANK_OTHER);
    tl_phases_start(&p, T0);
    tl_phases_on_timer(&p, at);
    expect_told(&p, TL_PHASE_MIGRATION, TL_PHASE_BEGINS, at);
    expect_told(&p, TL_PHASE_MIGRATION, TL_PHASE_FAILED, at);
    expect_told(&p, TL_PHASE_STUN, TL_PHASE_BEGINS, at);
    expect_told(&p, TL_PHASE_STUN, TL_PHASE_FAILED, at);
    expect_told(&p, TL_PHASE_REESTABLISH, TL_PHASE_BEGINS, at);
    expect_told(&p, TL_PHASE_REESTABLISH, TL_PHASE_FAILED, at);
    expect(&p, TL_STEP_ANNOUNCE, at);
    expect_nothing(&p, at);
}

static void answers_come_first_then_the_order_of_the_seed(void **state)
{
    (void)state;
    tl_phases p;
    tl_phases_begin(&p, T0);
    add(&p, 1, TL_RANK_OTHER);
    add(&p, 2, TL_RANK_OWNER);
    add(&p, 3, TL_RANK_HOLDER);
    tl_phases_add(&p, NULL, TL_RANK_BOOTSTRAP, false);
    add(&p, 4, TL_RANK_ANSWER);
    add(&p, 5, TL_RANK_HOLDER);
    to_reestablish(&p);
    tl_time at = T0 + 2 * TL_SEC;
    expect_renew(&p, 4, at);
    expect(&p, TL_STEP_BOOTSTRAP, at);
    expect_renew(&p, 3, at);
    expect_renew(&p, 5, at);
    expect_renew(&p, 2, at);
    expect_nothing(&p, at); /* four places, of which the bootstrap nodes need none */
    fails(&p, 4, at);
    expect_renew(&p, 1, at);
    expect_nothing(&p, at);
}

static void a_try_that_takes_long_gives_its_place_and_may_still_succeed(void **state)
{
    (void)state;
    tl_phases p;
    tl_phases_begin(&p, T0);
    for (uint8_t i = 1; i <= 6; i++)
        add(&p, i, TL_RANK_OTHER);
    to_reestablish(&p);
    tl_time at = T0 + 2 * TL_SEC;
    for (uint8_t i = 1; i <= TL_PHASES_AT_ONCE; i++)
        expect_renew(&p, i, at);
    expect_nothing(&p, at);
    assert_int_equal(tl_phases_expiry(&p), at + TL_PHASES_TRY);
    expect_nothing(&p, at + TL_PHASES_TRY - 1);
    at += TL_PHASES_TRY;
    expect_renew(&p, 5, at);
    expect_renew(&p, 6, at);
    expect_nothing(&p, at);
    assert_int_equal(tl_phases_expiry(&p), T0 + 10 * TL_SEC);
    for (uint8_t i = 1; i <= 5; i++)
        carries(&p, i, at);
    expect_nothing(&p, at);
    fails(&p, 6, at);
    tl_step step = expect_told(&p, TL_PHASE_REESTABLISH, TL_PHASE_FAILED, at);
    assert_int_equal(step.counts.wanted, 6);
    assert_int_equal(step.counts.back, 5);
}

static void nobody_is_tried_twice_and_nobody_who_carries(void **state)
{
    (void)state;
    tl_phases p;
    tl_phases_begin(&p, T0);
    add(&p, 1, TL_RANK_OTHER);
    add(&p, 2, TL_RANK_OTHER);
    to_reestablish(&p);
    tl_time at = T0 + 2 * TL_SEC;
    carries(&p, 2, at); /* late, and without us */
    expect_renew(&p, 1, at);
    fails(&p, 1, at);
    fails(&p, 1, at);
    fails(&p, 2, at);
    tl_step step = expect_told(&p, TL_PHASE_REESTABLISH, TL_PHASE_FAILED, at);
    assert_int_equal(step.counts.wanted, 1);
    expect_nothing(&p, at + TL_MIN);
}

/* They were lost before the change, so there is nothing to migrate. */
static void peers_lost_before_are_not_waited_for_and_connected_anew(void **state)
{
    (void)state;
    tl_phases p;
    tl_node_id lost = peer(9);
    tl_phases_begin(&p, T0);
    tl_phases_add(&p, &lost, TL_RANK_HOLDER, false);
    tl_phases_start(&p, T0);
    expect_told(&p, TL_PHASE_MIGRATION, TL_PHASE_BEGINS, T0);
    tl_step step = expect_told(&p, TL_PHASE_MIGRATION, TL_PHASE_DONE, T0);
    assert_int_equal(step.counts.connections, 0);
    expect_told(&p, TL_PHASE_STUN, TL_PHASE_BEGINS, T0);
    tl_phases_on_address(&p, T0);
    expect_told(&p, TL_PHASE_STUN, TL_PHASE_DONE, T0);
    step = expect_told(&p, TL_PHASE_REESTABLISH, TL_PHASE_BEGINS, T0);
    assert_int_equal(step.counts.wanted, 1);
    expect(&p, TL_STEP_ANNOUNCE, T0);
    expect_renew(&p, 9, T0);
    carries(&p, 9, T0 + TL_SEC);
    step = expect_told(&p, TL_PHASE_REESTABLISH, TL_PHASE_DONE, T0 + TL_SEC);
    assert_int_equal(step.counts.back, 1);
}

static void bootstrap_nodes_count_where_there_are_some(void **state)
{
    (void)state;
    for (int some = 0; some < 2; some++) {
        tl_phases p;
        tl_phases_begin(&p, T0);
        tl_phases_add(&p, NULL, TL_RANK_BOOTSTRAP, false);
        tl_phases_start(&p, T0);
        tl_phases_on_address(&p, T0);
        for (int i = 0; i < 5; i++)
            expect(&p, TL_STEP_TELL, T0);
        expect(&p, TL_STEP_ANNOUNCE, T0);
        expect(&p, TL_STEP_BOOTSTRAP, T0);
        expect_nothing(&p, T0);
        if (some)
            tl_phases_on_bootstrap(&p, T0 + TL_MS);
        else
            tl_phases_no_bootstrap(&p, T0 + TL_MS);
        tl_step step = expect_told(&p, TL_PHASE_REESTABLISH, TL_PHASE_DONE, T0 + TL_MS);
        assert_int_equal(step.counts.wanted, some);
        assert_int_equal(step.counts.back, some);
    }
}

static void another_change_begins_anew_and_forgets(void **state)
{
    (void)state;
    tl_phases p;
    tl_phases_begin(&p, T0);
    add(&p, 1, TL_RANK_OTHER);
    to_reestablish(&p);
    expect_renew(&p, 1, T0 + 2 * TL_SEC);
    tl_time at = T0 + 3 * TL_SEC;
    tl_phases_begin(&p, at);
    add(&p, 2, TL_RANK_OTHER);
    tl_phases_start(&p, at);
    expect_told(&p, TL_PHASE_MIGRATION, TL_PHASE_BEGINS, at);
    carries(&p, 1, at);
    expect_nothing(&p, at);
    assert_int_equal(tl_phases_expiry(&p), at + 2 * TL_SEC);
    carries(&p, 2, at);
    expect_told(&p, TL_PHASE_MIGRATION, TL_PHASE_DONE, at);
    expect_told(&p, TL_PHASE_STUN, TL_PHASE_BEGINS, at); /* the address was of the last network */
    expect_nothing(&p, at);
}

static void an_address_that_comes_late_is_announced_again(void **state)
{
    (void)state;
    tl_phases p;
    tl_phases_begin(&p, T0);
    add(&p, 1, TL_RANK_OTHER);
    to_reestablish(&p);
    tl_time at = T0 + 2 * TL_SEC;
    expect_renew(&p, 1, at);
    expect_nothing(&p, at);
    tl_phases_on_address(&p, at); /* the other family's */
    expect(&p, TL_STEP_ANNOUNCE, at);
    expect_nothing(&p, at);
}

static void more_peers_than_there_is_room_for_are_left_out(void **state)
{
    (void)state;
    tl_phases p;
    tl_phases_begin(&p, T0);
    for (unsigned i = 0; i < TL_PHASES_PEERS_MAX + 10; i++)
        add(&p, (uint8_t)i, TL_RANK_OTHER);
    tl_phases_add(&p, NULL, TL_RANK_BOOTSTRAP, false);
    tl_phases_start(&p, T0);
    tl_step step = expect_told(&p, TL_PHASE_MIGRATION, TL_PHASE_BEGINS, T0);
    assert_int_equal(step.counts.connections, TL_PHASES_PEERS_MAX);
    for (unsigned i = 0; i < TL_PHASES_PEERS_MAX; i++)
        carries(&p, (uint8_t)i, T0);
    expect_told(&p, TL_PHASE_MIGRATION, TL_PHASE_DONE, T0);
    expect_told(&p, TL_PHASE_STUN, TL_PHASE_BEGINS, T0);
    tl_phases_on_address(&p, T0);
    for (int i = 0; i < 2; i++)
        expect(&p, TL_STEP_TELL, T0);
    expect(&p, TL_STEP_ANNOUNCE, T0);
    expect(&p, TL_STEP_BOOTSTRAP, T0); /* for these there is always room */
}

static void at_rest_nothing_matters(void **state)
{
    (void)state;
    tl_phases p;
    tl_phases_init(&p);
    carries(&p, 1, T0);
    fails(&p, 1, T0);
    tl_phases_on_bootstrap(&p, T0);
    tl_phases_on_address(&p, T0);
    tl_phases_on_timer(&p, T0 + TL_MIN);
    expect_nothing(&p, T0 + TL_MIN);
    assert_int_equal(tl_phases_expiry(&p), TL_NEVER);
}

/* Those who ask us something are free to come in any number, and to stay silent. */
static void strangers_take_one_place_and_come_last(void **state)
{
    (void)state;
    tl_phases p;
    tl_time at = T0 + TL_PHASES_MIGRATION_WITHIN;
    tl_phases_begin(&p, T0);
    for (uint8_t i = 0; i < 40; i++)
        add(&p, (uint8_t)(100 + i), i < 20 ? TL_RANK_GUEST : TL_RANK_ASKING);
    add(&p, 1, TL_RANK_HOLDER);
    add(&p, 2, TL_RANK_OTHER);
    tl_phases_add(&p, NULL, TL_RANK_BOOTSTRAP, false);
    to_reestablish(&p);
    expect(&p, TL_STEP_BOOTSTRAP, at);
    expect_renew(&p, 1, at);
    expect_renew(&p, 2, at);
    expect_renew(&p, 120, at);
    expect_nothing(&p, at); /* though a place is free */
    assert_int_equal(tl_phases_expiry(&p), at + TL_PHASES_TRY);
    expect_renew(&p, 121, at + TL_PHASES_TRY);
    expect_nothing(&p, at + TL_PHASES_TRY);
}

static void the_bootstrap_nodes_wait_for_no_place(void **state)
{
    (void)state;
    tl_phases p;
    tl_time at = T0 + TL_PHASES_MIGRATION_WITHIN;
    tl_phases_begin(&p, T0);
    for (uint8_t i = 1; i <= 24; i++)
        add(&p, i, TL_RANK_ANSWER);
    tl_phases_add(&p, NULL, TL_RANK_BOOTSTRAP, false);
    to_reestablish(&p);
    for (uint8_t i = 1; i <= TL_PHASES_AT_ONCE; i++)
        expect_renew(&p, i, at);
    expect(&p, TL_STEP_BOOTSTRAP, at);
    expect_nothing(&p, at);
    expect_renew(&p, TL_PHASES_AT_ONCE + 1, at + TL_PHASES_TRY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strangers_take_one_place_and_come_last),
        cmocka_unit_test(the_bootstrap_nodes_wait_for_no_place),
        cmocka_unit_test(where_all_carry_on_each_phase_ends_at_once),
        cmocka_unit_test(a_node_without_connections_and_servers_is_done_in_a_moment),
        cmocka_unit_test(each_phase_is_over_in_time_whatever_is_missing),
        cmocka_unit_test(a_loop_that_was_late_tells_all_phases_at_once),
        cmocka_unit_test(answers_come_first_then_the_order_of_the_seed),
        cmocka_unit_test(a_try_that_takes_long_gives_its_place_and_may_still_succeed),
        cmocka_unit_test(nobody_is_tried_twice_and_nobody_who_carries),
        cmocka_unit_test(peers_lost_before_are_not_waited_for_and_connected_anew),
        cmocka_unit_test(bootstrap_nodes_count_where_there_are_some),
        cmocka_unit_test(another_change_begins_anew_and_forgets),
        cmocka_unit_test(an_address_that_comes_late_is_announced_again),
        cmocka_unit_test(more_peers_than_there_is_room_for_are_left_out),
        cmocka_unit_test(at_rest_nothing_matters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
