#include "dht/freshness.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define WALL INT64_C(1796031000)

static tl_freshness f;

static int setup(void **state)
{
    (void)state;
    memset(&f, 0, sizeof f);
    return 0;
}

static tl_freshness_verdict give(unsigned peer, int64_t seq)
{
    tl_node_id id = {.key = {1, (uint8_t)(peer >> 8), (uint8_t)peer}};
    return tl_freshness_of(&f, &id, seq, WALL);
}

static void a_record_of_a_year_ago_is_old_and_one_of_a_day_is_not(void **state)
{
    (void)state;
    assert_int_equal(give(1, WALL - 365 * 86400), TL_FRESH_OLD);
    assert_int_equal(give(1, WALL - TL_DHT_RECORD_AGE_MAX - 1), TL_FRESH_OLD);
    assert_int_equal(give(1, WALL - TL_DHT_RECORD_AGE_MAX), TL_FRESH);
    assert_int_equal(give(2, 0), TL_FRESH_OLD);
    assert_int_equal(give(2, WALL), TL_FRESH);
}

static void a_clock_that_is_off_by_its_time_zone_changes_nothing(void **state)
{
    (void)state;
    assert_int_equal(give(1, WALL - 14 * 3600 - TL_DHT_RECORD_RENEW - 2 * 3600), TL_FRESH);
    assert_int_equal(give(2, WALL + 14 * 3600), TL_FRESH);
}

static void a_sequence_that_lies_ahead_is_taken(void **state)
{
    (void)state;
    assert_int_equal(give(1, WALL + 5 * 365 * INT64_C(86400)), TL_FRESH);
    assert_int_equal(give(1, WALL + 5 * 365 * INT64_C(86400) + 1), TL_FRESH);
}

static void an_older_record_than_was_followed_is_a_roll_back(void **state)
{
    (void)state;
    assert_int_equal(give(1, WALL - 10), TL_FRESH);
    assert_int_equal(give(1, WALL - 11), TL_FRESH_ROLLED_BACK);
    assert_int_equal(give(2, WALL - 11), TL_FRESH); /* another peer's */
    assert_int_equal(give(1, WALL - 10), TL_FRESH); /* the same again */
    assert_int_equal(give(1, WALL), TL_FRESH);
    assert_int_equal(give(1, WALL - 10), TL_FRESH_ROLLED_BACK);
}

static void what_is_remembered_is_bounded_and_whom_nobody_looked_for_makes_room(void **state)
{
    (void)state;
    for (unsigned i = 0; i < TL_FRESHNESS_PEERS; i++)
        assert_int_equal(give(i, WALL), TL_FRESH);
    assert_int_equal(give(0, WALL), TL_FRESH);
    assert_int_equal(give(TL_FRESHNESS_PEERS, WALL), TL_FRESH);
    assert_int_equal(f.n, TL_FRESHNESS_PEERS);
    assert_int_equal(give(0, WALL - 1), TL_FRESH_ROLLED_BACK); /* looked for a short while ago */
    assert_int_equal(give(2, WALL - 1), TL_FRESH_ROLLED_BACK);
    assert_int_equal(give(1, WALL - 1), TL_FRESH); /* that one made room */
}

#define TEST(t) cmocka_unit_test_setup(t, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_record_of_a_year_ago_is_old_and_one_of_a_day_is_not),
        TEST(a_clock_that_is_off_by_its_time_zone_changes_nothing),
        TEST(a_sequence_that_lies_ahead_is_taken),
        TEST(an_older_record_than_was_followed_is_a_roll_back),
        TEST(what_is_remembered_is_bounded_and_whom_nobody_looked_for_makes_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
