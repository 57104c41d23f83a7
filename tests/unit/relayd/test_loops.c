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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loops_end_cleanly_while_a_mailbox_is_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
