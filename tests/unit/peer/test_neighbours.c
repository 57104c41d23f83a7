#include "peer/neighbours.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define START (1000 * TL_SEC)

/* The first byte of a node's key is its number. */
static struct {
    bool known[256], connected[256], refuses, full;
    unsigned tries[256], all, over;
} world;
static tl_neighbours *n;
static tl_time now;

static tl_node_id node(int i)
{
    return (tl_node_id){.key = {(uint8_t)i}};
}

static bool is_known(void *user, const tl_node_id *id)
{
    (void)user;
    return world.known[id->key[0]];
}

static bool is_connected(void *user, const tl_node_id *id)
{
    (void)user;
    return world.connected[id->key[0]];
}

static bool has_room(void *user)
{
    (void)user;
    return !world.full;
}

static bool begin(void *user, const tl_node_id *id)
{
    (void)user;
    world.tries[id->key[0]]++;
    world.all++;
    return !world.refuses;
}

static void on_over(void *user)
{
    (void)user;
    world.over++;
}

static int set_up(void **state)
{
    static const tl_neighbours_world calls = {is_known, is_connected, has_room, begin, on_over};
    (void)state;
    memset(&world, 0, sizeof world);
    now = START;
    return tl_neighbours_new(&calls, NULL, &n);
}

static int tear_down(void **state)
{
    (void)state;
    tl_neighbours_free(n);
    return 0;
}

/* Until then, as a loop does it. */
static void run_until(tl_time end)
{
    while (tl_neighbours_expiry(n) <= end) {
        now = tl_time_max(now, tl_neighbours_expiry(n));
        tl_neighbours_on_timer(n, now);
    }
    now = end;
}

static void found(int i)
{
    tl_node_id id = node(i);
    tl_neighbours_found(n, &id, now);
}

static void connected(int i)
{
    tl_node_id id = node(i);
    world.connected[i] = true;
    tl_neighbours_on_connected(n, &id, now);
}

static void hello(int i)
{
    tl_node_id id = node(i);
    tl_neighbours_on_hello(n, &id);
}

static void failed(int i)
{
    tl_node_id id = node(i);
    tl_neighbours_on_failed(n, &id, now);
}

static void left(int i)
{
    tl_node_id id = node(i);
    world.connected[i] = false;
    tl_neighbours_on_left(n, &id, now);
}

static void one_that_is_known_is_connected_to_as_soon_as_it_is_found(void **state)
{
    (void)state;
    world.known[1] = true;
    found(1);
    found(2);
    run_until(now);
    assert_int_equal(world.tries[1], 1);
    assert_int_equal(world.tries[2], 0); /* its twin is a stranger */
    run_until(now + 60 * TL_SEC);
    assert_int_equal(world.tries[2], 0);
}

static void strangers_are_connected_to_while_somebody_looks_for_what_nobody_known_has(void **state)
{
    (void)state;
    assert_false(tl_neighbours_want(n, now)); /* nobody is there */
    found(1);
    found(2);
    assert_true(tl_neighbours_want(n, now));
    run_until(now);
    assert_int_equal(world.all, 2);
    connected(1);
    hello(1);
    assert_int_equal(world.over, 0);
    failed(2);
    assert_int_equal(world.over, 1);          /* the last has spoken, or will not */
    assert_false(tl_neighbours_want(n, now)); /* the one is there, the other failed just now */
    run_until(now + TL_NEIGHBOURS_STRANGE);
    assert_true(tl_neighbours_want(n, now));
    run_until(now);
    assert_int_equal(world.tries[2], 2);
}

static void sixteen_strangers_at_a_time(void **state)
{
    (void)state;
    for (int i = 1; i <= 100; i++)
        found(i);
    assert_true(tl_neighbours_want(n, now));
    run_until(now);
    assert_int_equal(world.all, TL_NEIGHBOURS_STRANGERS);
    for (int i = 1; i <= TL_NEIGHBOURS_STRANGERS; i++)
        failed(i);
    run_until(now + TL_SEC);
    assert_int_equal(world.all, 2 * TL_NEIGHBOURS_STRANGERS);
}

/* However many are announced. Those that are left out have their turn later. */
static void so_many_strangers_are_tried_in_sum_and_nobody_waits_for_the_rest(void **state)
{
    (void)state;
    for (int i = 1; i <= 128; i++)
        found(i);
    tl_time began = now;
    assert_true(tl_neighbours_want(n, now));
    for (int k = 0; k < 20 && !world.over; k++) {
        run_until(now + TL_SEC);
        (void)tl_neighbours_want(n, now);
        for (int i = 1; i <= 128; i++)
            if (world.tries[i])
                failed(i);
    }
    assert_int_equal(world.over, 1);
    assert_true(world.all >= TL_NEIGHBOURS_NEW_BURST);
    for (int k = 0; k < 100; k++) {
        (void)tl_neighbours_want(n, now);
        run_until(now + TL_SEC);
        for (int i = 1; i <= 128; i++)
            if (world.tries[i])
                failed(i);
        assert_true(world.all <=
                    TL_NEIGHBOURS_NEW_BURST + TL_NEIGHBOURS_NEW_PER_SEC * ((now - began) / TL_SEC));
    }
    assert_true(world.all >= 100);
    world.known[128] = true; /* one that is known is not counted */
    tl_neighbours_look(n, now);
    unsigned before = world.tries[128];
    run_until(now);
    assert_int_equal(world.tries[128], before + 1);
}

static void a_wish_for_strangers_ends(void **state)
{
    (void)state;
    for (int i = 1; i <= 100; i++)
        found(i);
    assert_true(tl_neighbours_want(n, now));
    run_until(now + TL_NEIGHBOURS_WANTED + TL_SEC);
    assert_int_equal(world.all, TL_NEIGHBOURS_STRANGERS);
    for (int i = 1; i <= TL_NEIGHBOURS_STRANGERS; i++)
        failed(i);
    run_until(now + 10 * TL_SEC);
    assert_int_equal(world.all, TL_NEIGHBOURS_STRANGERS);
    assert_int_equal(world.over, 1);
}

static void one_that_stays_silent_is_tried_ever_more_rarely(void **state)
{
    (void)state;
    world.known[1] = true;
    found(1);
    for (unsigned i = 0; i < 1000; i++) {
        unsigned before = world.all;
        run_until(now);
        if (world.all > before)
            failed(1);
        now += TL_SEC;
    }
    /* 2, 4, 8 ... 300 s apart */
    assert_in_range(world.tries[1], 9, 11);
    found(1); /* at another address now */
    run_until(now);
    assert_in_range(world.tries[1], 10, 12);
}

static void who_left_is_connected_to_again_and_a_stranger_is_not(void **state)
{
    (void)state;
    world.known[1] = true;
    found(1);
    found(2);
    run_until(now);
    connected(1);
    hello(1);
    connected(2);
    hello(2);
    left(1);
    left(2);
    run_until(now + TL_NEIGHBOURS_BACK - TL_MS);
    assert_int_equal(world.tries[1], 1);
    run_until(now + TL_MS);
    assert_int_equal(world.tries[1], 2);
    assert_int_equal(world.tries[2], 0);
}

static void a_stranger_that_becomes_known_is_connected_to(void **state)
{
    (void)state;
    found(1);
    run_until(now);
    assert_int_equal(world.tries[1], 0);
    world.known[1] = true;
    tl_neighbours_look(n, now);
    run_until(now);
    assert_int_equal(world.tries[1], 1);
}

static void nobody_is_connected_to_unasked_where_there_is_no_room(void **state)
{
    (void)state;
    world.known[1] = world.full = true;
    found(1);
    run_until(now + 5 * TL_SEC);
    assert_int_equal(world.all, 0);
    world.full = false;
    run_until(now + TL_SEC);
    assert_int_equal(world.all, 1);
}

static void a_hello_that_does_not_come_keeps_nobody_waiting(void **state)
{
    (void)state;
    found(1);
    assert_true(tl_neighbours_want(n, now));
    run_until(now);
    connected(1);
    run_until(now + TL_NEIGHBOURS_HELLO);
    assert_int_equal(world.over, 1);
}

static void what_is_gone_is_not_tried_and_waited_for_no_longer(void **state)
{
    tl_node_id id = node(1);
    (void)state;
    found(1);
    assert_true(tl_neighbours_want(n, now));
    tl_neighbours_gone(n, &id);
    assert_int_equal(world.over, 1);
    run_until(now + TL_SEC);
    assert_int_equal(world.all, 0);
}

static void the_table_is_bounded(void **state)
{
    (void)state;
    for (int i = 0; i < 2 * TL_NEIGHBOURS_MAX; i++) {
        tl_node_id id = {.key = {0, (uint8_t)i, (uint8_t)(i >> 8)}};
        tl_neighbours_found(n, &id, now);
    }
    assert_true(tl_neighbours_want(n, now));
    run_until(now + TL_SEC);
    assert_int_equal(world.all, TL_NEIGHBOURS_STRANGERS);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(one_that_is_known_is_connected_to_as_soon_as_it_is_found),
        TEST(strangers_are_connected_to_while_somebody_looks_for_what_nobody_known_has),
        TEST(sixteen_strangers_at_a_time),
        TEST(so_many_strangers_are_tried_in_sum_and_nobody_waits_for_the_rest),
        TEST(a_wish_for_strangers_ends),
        TEST(one_that_stays_silent_is_tried_ever_more_rarely),
        TEST(who_left_is_connected_to_again_and_a_stranger_is_not),
        TEST(a_stranger_that_becomes_known_is_connected_to),
        TEST(nobody_is_connected_to_unasked_where_there_is_no_room),
        TEST(a_hello_that_does_not_come_keeps_nobody_waiting),
        TEST(what_is_gone_is_not_tried_and_waited_for_no_longer),
        TEST(the_table_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
