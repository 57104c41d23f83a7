#include "peer/again.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define START (1000 * TL_SEC)

/* The first byte of a node's key is its number. */
static struct {
    bool can, room;
    bool refuses; /* connect says no */
    tl_again_rank rank[256];
    bool connected[256];
    unsigned tries[256], all;
    int last;
} world;
static tl_again *again;
static tl_time now;

static int number(const tl_node_id *id)
{
    return id->key[0];
}

static tl_node_id node(int i)
{
    tl_node_id id = {.key = {(uint8_t)i}};
    return id;
}

static bool may_seek(void *user)
{
    (void)user;
    return world.can;
}

static bool has_room(void *user)
{
    (void)user;
    return world.room;
}

static tl_again_rank rank(void *user, const tl_node_id *id)
{
    (void)user;
    return world.rank[number(id)];
}

static bool is_connected(void *user, const tl_node_id *id)
{
    (void)user;
    return world.connected[number(id)];
}

static bool begin(void *user, const tl_node_id *id)
{
    (void)user;
    world.last = number(id);
    world.tries[world.last]++;
    world.all++;
    return !world.refuses;
}

static int setup(void **state)
{
    static const tl_again_world functions = {may_seek, has_room, rank, is_connected, begin};
    (void)state;
    memset(&world, 0, sizeof world);
    world.can = world.room = true;
    now = START;
    return tl_again_new(&functions, NULL, &again) != TL_OK;
}

static int teardown(void **state)
{
    (void)state;
    tl_again_free(again);
    return 0;
}

static void add(int i, tl_again_rank r)
{
    tl_node_id id = node(i);
    world.rank[i] = r;
    tl_again_add(again, &id, now);
}

static void run_for(tl_time span)
{
    tl_time end = now + span;
    for (tl_time at; (at = tl_again_expiry(again)) < end;) {
        now = at > now ? at : now + TL_MS;
        tl_again_on_timer(again, now);
    }
    now = end;
}

static void fails(int i)
{
    tl_node_id id = node(i);
    tl_again_on_failed(again, &id, now);
}

static void comes(int i)
{
    tl_node_id id = node(i);
    world.connected[i] = true;
    tl_again_on_connected(again, &id);
}

static void leaves(int i)
{
    tl_node_id id = node(i);
    world.connected[i] = false;
    tl_again_on_left(again, &id, now);
}

static void who_is_known_is_tried_and_then_left_alone_while_it_is_connected(void **state)
{
    (void)state;
    add(1, TL_AGAIN_DEALT);
    run_for(TL_SEC);
    assert_int_equal(world.tries[1], 1);
    comes(1);
    run_for(TL_MIN);
    assert_int_equal(world.all, 1);
    leaves(1);
    run_for(TL_AGAIN_FIRST / 2);
    assert_int_equal(world.all, 1);
    run_for(TL_AGAIN_FIRST);
    assert_int_equal(world.tries[1], 2);
    assert_int_equal(tl_again_counters_of(again)->back, 1);
}

static void strangers_are_not_looked_for(void **state)
{
    (void)state;
    add(1, TL_AGAIN_NEVER);
    run_for(TL_MIN);
    assert_int_equal(world.all, 0);
    add(1, TL_AGAIN_DEALT);
    world.rank[1] = TL_AGAIN_NEVER; /* it is none any more */
    run_for(TL_MIN);
    assert_int_equal(world.all, 0);
}

static void members_come_first(void **state)
{
    (void)state;
    for (int i = 1; i <= 4; i++)
        add(i, i == 4 ? TL_AGAIN_MEMBER : TL_AGAIN_DEALT);
    run_for(TL_AGAIN_APART);
    assert_int_equal(world.last, 4);
}

static void few_are_tried_at_once_and_not_all_in_one_moment(void **state)
{
    (void)state;
    for (int i = 1; i <= 10; i++)
        add(i, TL_AGAIN_DEALT);
    run_for(TL_AGAIN_APART);
    assert_int_equal(world.all, 1);
    run_for(TL_MIN);
    assert_int_equal(world.all, TL_AGAIN_AT_ONCE);
    fails(world.last);
    run_for(TL_AGAIN_APART + TL_MS);
    assert_int_equal(world.all, TL_AGAIN_AT_ONCE + 1);
}

static void who_stays_away_is_tried_ever_less(void **state)
{
    (void)state;
    add(1, TL_AGAIN_MEMBER);
    tl_time before = 0;
    for (int i = 0; i < 12; i++) {
        unsigned tries = world.tries[1];
        tl_time since = now;
        while (world.tries[1] == tries)
            run_for(100 * TL_MS);
        tl_time took = now - since;
        assert_true(took + TL_SEC >= before && took <= TL_AGAIN_MAX + TL_SEC);
        before = took;
        fails(1);
    }
    assert_true(before >= TL_AGAIN_MAX - TL_SEC);
    tl_again_hurry(again, now);
    run_for(TL_SEC);
    assert_int_equal(world.tries[1], 13);
}

static void nobody_is_tried_while_a_relay_tells_or_there_is_no_room(void **state)
{
    (void)state;
    add(1, TL_AGAIN_MEMBER);
    world.can = false;
    run_for(TL_MIN);
    assert_int_equal(world.all, 0);
    world.can = true;
    world.room = false;
    run_for(TL_MIN);
    assert_int_equal(world.all, 0);
    world.room = true;
    run_for(TL_AGAIN_LOOK + TL_MS);
    assert_int_equal(world.all, 1);
}

static void when_somebody_can_be_sought_again_all_are_due(void **state)
{
    (void)state;
    add(1, TL_AGAIN_MEMBER);
    for (int i = 0; i < 8; i++) {
        run_for(TL_AGAIN_MAX + TL_SEC);
        fails(1);
    }
    unsigned tries = world.tries[1];
    run_for(2 * TL_MIN);
    assert_int_equal(world.tries[1], tries);
    world.can = false;
    run_for(TL_AGAIN_MAX); /* its time comes, and nobody can be sought */
    assert_int_equal(world.tries[1], tries);
    world.can = true;
    run_for(TL_AGAIN_LOOK + TL_MS);
    assert_int_equal(world.tries[1], tries + 1);
}

static void a_connection_that_cannot_begin_has_failed(void **state)
{
    (void)state;
    world.refuses = true;
    add(1, TL_AGAIN_DEALT);
    run_for(TL_AGAIN_PAUSE / 2);
    assert_int_equal(world.all, 1);
    assert_int_equal(tl_again_counters_of(again)->failed, 1);
    run_for(TL_AGAIN_PAUSE);
    assert_int_equal(world.all, 2);
}

static void a_full_table_keeps_members_and_who_is_connected(void **state)
{
    (void)state;
    world.can = false;
    world.connected[1] = true;
    for (int i = 1; i <= TL_AGAIN_PEERS; i++)
        add(i, TL_AGAIN_DEALT);
    add(200, TL_AGAIN_DEALT); /* nobody has failed yet: no room */
    tl_node_id id = node(200), member = node(201), first = node(1);
    assert_false(tl_again_seeks(again, &id));
    add(201, TL_AGAIN_MEMBER);
    assert_true(tl_again_seeks(again, &member));
    size_t left = 0;
    for (int i = 1; i <= TL_AGAIN_PEERS; i++) {
        tl_node_id other = node(i);
        left += tl_again_seeks(again, &other);
    }
    assert_int_equal(left, TL_AGAIN_PEERS - 2); /* the first is connected, one made room */
    leaves(1);
    assert_true(tl_again_seeks(again, &first));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(who_is_known_is_tried_and_then_left_alone_while_it_is_connected),
        TEST(strangers_are_not_looked_for),
        TEST(members_come_first),
        TEST(few_are_tried_at_once_and_not_all_in_one_moment),
        TEST(who_stays_away_is_tried_ever_less),
        TEST(nobody_is_tried_while_a_relay_tells_or_there_is_no_room),
        TEST(when_somebody_can_be_sought_again_all_are_due),
        TEST(a_connection_that_cannot_begin_has_failed),
        TEST(a_full_table_keeps_members_and_who_is_connected),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
