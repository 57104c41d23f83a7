#include "quic/replay.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

/* A key told by a number. */
static const uint8_t *key(uint32_t n)
{
    static uint8_t keys[4][32];
    static unsigned i;
    uint8_t *k = keys[i++ % 4];
    memset(k, 0, 32);
    memcpy(k, &n, sizeof n);
    return k;
}

static void a_message_counts_once(void **state)
{
    (void)state;
    tl_replay r = {0};
    assert_int_equal(tl_replay_check(&r, key(1), key(100), 50, TL_SEC), TL_OK);
    assert_int_equal(tl_replay_check(&r, key(1), key(100), 50, TL_SEC), TL_ERR_REPLAY);
    assert_int_equal(tl_replay_check(&r, key(1), key(101), 50, TL_SEC), TL_OK); /* same second */
    assert_int_equal(tl_replay_check(&r, key(1), key(100), 50, TL_SEC), TL_ERR_REPLAY);
    tl_replay_clear(&r);
}

static void older_than_the_newest_is_a_replay_and_newer_is_not(void **state)
{
    (void)state;
    tl_replay r = {0};
    assert_int_equal(tl_replay_check(&r, key(1), key(100), 50, TL_SEC), TL_OK);
    assert_int_equal(tl_replay_check(&r, key(1), key(101), 49, TL_SEC), TL_ERR_REPLAY);
    assert_int_equal(tl_replay_check(&r, key(1), key(102), 51, TL_SEC), TL_OK);
    assert_int_equal(tl_replay_check(&r, key(1), key(100), 50, TL_SEC), TL_ERR_REPLAY);
    assert_int_equal(tl_replay_check(&r, key(2), key(103), 1, TL_SEC), TL_OK); /* another client */
    tl_replay_clear(&r);
}

static void dials_within_a_second_are_bounded(void **state)
{
    (void)state;
    tl_replay r = {0};
    for (uint32_t i = 0; i < TL_REPLAY_DIALS_MAX; i++)
        assert_int_equal(tl_replay_check(&r, key(1), key(100 + i), 50, TL_SEC), TL_OK);
    assert_int_equal(tl_replay_check(&r, key(1), key(99), 50, TL_SEC), TL_ERR_BUSY);
    assert_int_equal(tl_replay_check(&r, key(1), key(99), 51, TL_SEC), TL_OK);
    tl_replay_clear(&r);
}

static void a_client_whose_clock_jumped_back_is_let_in_after_an_hour(void **state)
{
    (void)state;
    tl_replay r = {0};
    assert_int_equal(tl_replay_check(&r, key(1), key(100), 1000000, TL_SEC), TL_OK);
    tl_time hour = TL_SEC + TL_REPLAY_MEMORY;
    assert_int_equal(tl_replay_check(&r, key(1), key(101), 50, hour - 1), TL_ERR_REPLAY);
    assert_int_equal(tl_replay_check(&r, key(1), key(101), 50, hour), TL_OK);
    tl_replay_clear(&r);
}

static void the_table_is_bounded_and_forgets_the_longest_unused(void **state)
{
    (void)state;
    tl_replay r = {0};
    for (uint32_t i = 0; i < TL_REPLAY_CLIENTS_MAX; i++)
        assert_int_equal(tl_replay_check(&r, key(i), key(7), 50, TL_SEC), TL_OK);
    assert_int_equal(tl_replay_check(&r, key(0), key(8), 50, TL_SEC), TL_OK); /* used again */
    assert_int_equal(tl_replay_check(&r, key(UINT32_MAX), key(7), 50, TL_SEC), TL_OK);
    assert_int_equal(tl_replay_check(&r, key(0), key(8), 50, TL_SEC), TL_ERR_REPLAY);
    assert_int_equal(tl_replay_check(&r, key(2), key(7), 50, TL_SEC), TL_ERR_REPLAY);
    assert_int_equal(tl_replay_check(&r, key(1), key(7), 50, TL_SEC), TL_OK); /* was forgotten */
    tl_replay_clear(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_counts_once),
        cmocka_unit_test(older_than_the_newest_is_a_replay_and_newer_is_not),
        cmocka_unit_test(dials_within_a_second_are_bounded),
        cmocka_unit_test(a_client_whose_clock_jumped_back_is_let_in_after_an_hour),
        cmocka_unit_test(the_table_is_bounded_and_forgets_the_longest_unused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
