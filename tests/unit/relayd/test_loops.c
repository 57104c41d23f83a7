/* Loops that are made and freed, and never run. */
#include "relayd/loops.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define FULL (4u << 20) /* bytes in a mailbox that make a loop look at it again */

static void loops_end_cleanly_while_a_mailbox_is_full(void **state)
{
    (void)state;
    char name[] = "teale-relay", listen[] = "--listen=127.0.0.1:0", threads[] = "--threads=2";
    char *argv[] = {name, listen, threads, NULL};
    tl_relayd_options options;
    tl_relayd_loops *loops;
    tl_loop *loop;
    tl_why why;
    assert_int_equal(tl_loop_new(&loop), TL_OK);
    assert_int_equal(tl_relayd_options_parse(3, argv, &options, &why), TL_OK);
    assert_int_equal(tl_relayd_loops_new(loop, &options, &loops, &why), TL_OK);
    uint8_t *bytes = calloc(1, FULL);
    assert_non_null(bytes);
    tl_fed_output out = {.kind = TL_FED_TO_NEAR, .bytes = tl_slice_of(bytes, FULL)};
    assert_true(tl_relayd_loops_post(loops, 0, &out) >= FULL);
    free(bytes);
    tl_relayd_loops_free(loops);
    tl_loop_free(loop); /* asserts that no timer is left */
    tl_relayd_options_clear(&options);
}

typedef struct {
    tl_relayd_loops *loops;
    tl_loop *loop;
    tl_timer timer;
    unsigned turns, tries;
} asking;

static void ask_again(void *user)
{
    asking *a = user;
    a->turns += tl_relayd_loops_turn(a->loops);
    if (a->turns == 5 || ++a->tries == 3000) /* half a minute: the machine may be busy */
        tl_relayd_loops_stop(a->loops);
    else
        tl_timer_set(&a->timer, tl_loop_now(a->loop) + 10 * TL_MS);
}

static void a_loop_that_does_not_turn_is_noticed_and_one_that_does_is_not(void **state)
{
    (void)state;
    char name[] = "teale-relay", listen[] = "--listen=127.0.0.1:0", threads[] = "--threads=3";
    char *argv[] = {name, listen, threads, NULL};
    tl_relayd_options options;
    asking a = {.turns = 0};
    tl_why why;
    assert_int_equal(tl_loop_new(&a.loop), TL_OK);
    assert_int_equal(tl_relayd_options_parse(3, argv, &options, &why), TL_OK);
    assert_int_equal(tl_relayd_loops_new(a.loop, &options, &a.loops, &why), TL_OK);
    assert_true(tl_relayd_loops_turn(a.loops));  /* nothing was asked before */
    assert_false(tl_relayd_loops_turn(a.loops)); /* no loop runs yet */
    assert_false(tl_relayd_loops_turn(a.loops));
    tl_timer_init(&a.timer, a.loop, ask_again, &a);
    tl_timer_set(&a.timer, tl_loop_now(a.loop));
    assert_int_equal(tl_relayd_loops_run(a.loops, &why), TL_OK);
    assert_int_equal(a.turns, 5);
    assert_true(tl_relayd_loops_turn(a.loops)); /* they have ended, as they should */
    assert_true(tl_relayd_loops_turn(a.loops));
    tl_relayd_loops_free(a.loops);
    tl_loop_free(a.loop);
    tl_relayd_options_clear(&options);
}

static void all_loops_share_one_bound_of_sessions(void **state)
{
    (void)state;
    char name[] = "teale-relay", listen[] = "--listen=127.0.0.1:0", threads[] = "--threads=2";
    char *argv[] = {name, listen, threads, NULL};
    tl_relayd_options options;
    tl_relayd_loops *loops;
    tl_loop *loop;
    tl_why why;
    assert_int_equal(tl_loop_new(&loop), TL_OK);
    assert_int_equal(tl_relayd_options_parse(3, argv, &options, &why), TL_OK);
    assert_int_equal(tl_relayd_loops_new(loop, &options, &loops, &why), TL_OK);
    tl_relay_limits a = tl_relay_limits_default(), b = a;
    a.max_sessions = b.max_sessions = 3;
    tl_relayd_loops_share(loops, &a);
    tl_relayd_loops_share(loops, &b);
    assert_true(a.take(a.shared) && b.take(b.shared) && b.take(b.shared));
    assert_false(a.take(a.shared) || b.take(b.shared));
    a.give(a.shared);
    assert_true(b.take(b.shared));
    assert_false(a.take(a.shared));
    tl_relayd_loops_free(loops);
    tl_loop_free(loop);
    tl_relayd_options_clear(&options);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loops_end_cleanly_while_a_mailbox_is_full),
        cmocka_unit_test(a_loop_that_does_not_turn_is_noticed_and_one_that_does_is_not),
        cmocka_unit_test(all_loops_share_one_bound_of_sessions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
