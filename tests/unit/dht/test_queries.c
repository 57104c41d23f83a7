/* Queries under way: what answers them, and who is left alone. */
#include "dht/queries.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static tl_rand rand_of_test;
static tl_queries q;
static const tl_query_for what = {.owner = 7};

static int begin(void **state)
{
    (void)state;
    rand_of_test = tl_rand_seeded(1);
    tl_queries_init(&q);
    return 0;
}

static int finish(void **state)
{
    (void)state;
    tl_queries_clear(&q);
    return 0;
}

static tl_addr addr_of(unsigned host)
{
    return (tl_addr){.family = TL_ADDR_V4, .port = 6881, .bytes = {20, 0, 0, (uint8_t)host}};
}

static void ask(unsigned host, tl_time now, uint8_t tid[TL_QUERIES_TID])
{
    tl_addr to = addr_of(host);
    assert_int_equal(tl_queries_add(&q, &to, &what, &rand_of_test, now, tid), TL_OK);
}

static bool answer(unsigned host, const uint8_t *tid, size_t n, tl_time now)
{
    tl_addr from = addr_of(host);
    tl_query query;
    return tl_queries_answer(&q, &from, tl_slice_of(tid, n), now, &query);
}

static void an_answer_counts_once_and_from_the_address_that_was_asked(void **state)
{
    (void)state;
    uint8_t tid[TL_QUERIES_TID], wrong[TL_QUERIES_TID];
    ask(1, 100, tid);
    assert_false(answer(2, tid, 4, 200));
    for (unsigned bit = 0; bit < 32; bit++) {
        memcpy(wrong, tid, sizeof wrong);
        wrong[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_false(answer(1, wrong, 4, 200));
    }
    for (size_t n = 0; n < 4; n++)
        assert_false(answer(1, tid, n, 200));
    assert_true(answer(1, tid, 4, 200));
    assert_false(answer(1, tid, 4, 200));
}

static void a_late_answer_still_counts(void **state)
{
    (void)state;
    uint8_t tid[TL_QUERIES_TID];
    tl_query_event event;
    tl_query query;
    ask(1, 0, tid);
    assert_true(tl_queries_expiry(&q) == TL_QUERIES_SOFT_FIRST);
    assert_false(tl_queries_next_event(&q, TL_QUERIES_SOFT_FIRST - 1, &event, &query));
    assert_true(tl_queries_next_event(&q, TL_QUERIES_SOFT_FIRST, &event, &query));
    assert_int_equal(event, TL_QUERY_LATE);
    assert_false(tl_queries_next_event(&q, TL_QUERIES_HARD - 1, &event, &query));
    assert_true(answer(1, tid, 4, TL_QUERIES_HARD - 1));
}

static void what_is_not_answered_ends_after_five_seconds(void **state)
{
    (void)state;
    uint8_t tid[TL_QUERIES_TID];
    tl_query_event event;
    tl_query query;
    ask(1, 0, tid);
    assert_true(tl_queries_next_event(&q, TL_QUERIES_HARD, &event, &query));
    assert_int_equal(event, TL_QUERY_SILENT);
    assert_int_equal(query.what.owner, 7);
    assert_false(answer(1, tid, 4, TL_QUERIES_HARD));
    assert_true(tl_queries_expiry(&q) == TL_NEVER);
}

static void fall_silent(unsigned host, tl_time now, bool others_answer)
{
    uint8_t tid[TL_QUERIES_TID], other[TL_QUERIES_TID];
    tl_query_event event;
    tl_query query;
    ask(host, now, tid);
    if (others_answer) {
        ask(200, now, other);
        assert_true(answer(200, other, 4, now + 1));
    }
    while (tl_queries_next_event(&q, now + TL_QUERIES_HARD, &event, &query))
        ;
}

static void who_was_silent_twice_is_left_alone_for_ten_minutes(void **state)
{
    (void)state;
    tl_addr a = addr_of(1), b = addr_of(2);
    tl_time second = TL_MIN + TL_QUERIES_HARD;
    fall_silent(1, 0, true);
    assert_false(tl_queries_is_silent(&q, &a, TL_MIN));
    fall_silent(1, TL_MIN, true);
    assert_true(tl_queries_is_silent(&q, &a, second + TL_QUERIES_SILENT_FOR - 1));
    assert_false(tl_queries_is_silent(&q, &a, second + TL_QUERIES_SILENT_FOR));
    assert_false(tl_queries_is_silent(&q, &b, second));
    a.port++; /* else a liar who names wrong ports of a node would have us leave the node alone */
    assert_false(tl_queries_is_silent(&q, &a, second));
}

static void a_network_is_pinged_twice_in_ten_minutes_whatever_its_ports(void **state)
{
    (void)state;
    tl_addr victim = addr_of(1), beside = addr_of(2), other = addr_of(3);
    other.bytes[2] = 1; /* another network */
    for (unsigned i = 0; i < 500; i++) {
        victim.port = (uint16_t)(1000 + i);
        assert_int_equal(tl_queries_may_ping(&q, &victim, i * TL_SEC), i < TL_QUERIES_PINGS);
    }
    assert_false(tl_queries_may_ping(&q, &beside, 500 * TL_SEC));
    assert_true(tl_queries_may_ping(&q, &other, 500 * TL_SEC));
    assert_false(tl_queries_may_ping(&q, &victim, TL_QUERIES_PINGS_FOR));
    assert_true(tl_queries_may_ping(&q, &victim, TL_QUERIES_PINGS_FOR + TL_QUERIES_PINGS_UNIT));
}

static void while_nobody_answers_it_is_our_own_network_that_is_away(void **state)
{
    (void)state;
    tl_addr a = addr_of(1);
    fall_silent(1, 0, false);
    fall_silent(1, TL_MIN, false);
    assert_false(tl_queries_is_silent(&q, &a, 2 * TL_MIN));
}

static void there_are_256_at_most(void **state)
{
    (void)state;
    uint8_t tid[TL_QUERIES_MAX][TL_QUERIES_TID], more[TL_QUERIES_TID];
    tl_addr a = addr_of(1);
    for (unsigned i = 0; i < TL_QUERIES_MAX; i++)
        ask(1, 0, tid[i]);
    assert_int_equal(tl_queries_add(&q, &a, &what, &rand_of_test, 0, more), TL_ERR_BUSY);
    assert_true(answer(1, tid[100], 4, 1));
    ask(1, 1, more);
    assert_true(answer(1, more, 4, 2));
}

static void the_soft_time_follows_the_round_trips(void **state)
{
    (void)state;
    uint8_t tid[TL_QUERIES_TID];
    for (unsigned i = 0; i < 50; i++) {
        ask(1, i * TL_SEC, tid);
        assert_true(answer(1, tid, 4, i * TL_SEC + 400 * TL_MS));
    }
    ask(1, 100 * TL_SEC, tid);
    tl_time soft = tl_queries_expiry(&q) - 100 * TL_SEC;
    assert_true(soft >= 400 * TL_MS && soft < 600 * TL_MS);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, finish)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_answer_counts_once_and_from_the_address_that_was_asked),
        TEST(a_late_answer_still_counts),
        TEST(what_is_not_answered_ends_after_five_seconds),
        TEST(who_was_silent_twice_is_left_alone_for_ten_minutes),
        TEST(a_network_is_pinged_twice_in_ten_minutes_whatever_its_ports),
        TEST(while_nobody_answers_it_is_our_own_network_that_is_away),
        TEST(there_are_256_at_most),
        TEST(the_soft_time_follows_the_round_trips),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
