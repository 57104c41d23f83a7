/* Whose pointers are kept in the DHT, and which of them. */
#include "backup/pointers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define MEMBERS  200 /* owners of these numbers are members, and those from STRANGER on are not */
#define STRANGER 1000

static tl_pointers *pointers;
static struct {
    tl_dht_id target;
    int64_t seq;
} held[400];
static size_t held_n;
static unsigned evicted_n;
static bool no_members;

static tl_node_id owner_of(unsigned i)
{
    tl_node_id id = {.key = {(uint8_t)i, (uint8_t)(i >> 8), 1}};
    return id;
}

static bool is_member(void *user, const tl_node_id *owner)
{
    (void)user;
    return !no_members && (owner->key[0] | owner->key[1] << 8) < MEMBERS;
}

static size_t where(const tl_dht_id *target)
{
    size_t i = 0;
    while (i < held_n && memcmp(&held[i].target, target, sizeof *target) != 0)
        i++;
    return i;
}

static bool is_held(void *user, const tl_dht_id *target)
{
    (void)user;
    return where(target) < held_n;
}

static void hold(void *user, const tl_dht_item *item)
{
    tl_dht_id target = tl_dht_item_target(item);
    size_t i = where(&target);
    (void)user;
    if (i == held_n)
        held[held_n++].target = target;
    else if (held[i].seq > item->seq)
        return; /* as the DHT does */
    held[i].seq = item->seq;
}

static void release(void *user, const tl_dht_id *target)
{
    size_t i = where(target);
    (void)user;
    if (i < held_n)
        held[i] = held[--held_n];
}

static void evicted(void *user, const tl_node_id *owner)
{
    (void)user;
    assert_false(is_member(NULL, owner));
    evicted_n++;
}

static const tl_pointers_world world = {is_member, is_held, hold, release, evicted};

static int begin(void **state)
{
    (void)state;
    held_n = evicted_n = 0;
    no_members = false;
    return tl_pointers_new(&world, NULL, &pointers);
}

static int end(void **state)
{
    (void)state;
    tl_pointers_free(pointers);
    return 0;
}

/* The pointer under the key `key`. */
static tl_dht_item item_of(unsigned key, int64_t seq)
{
    tl_dht_item item = {.seq = seq};
    item.is_mutable = true;
    item.key[0] = (uint8_t)key;
    item.key[1] = (uint8_t)(key >> 8);
    return item;
}

static tl_err keep(unsigned owner, unsigned key, int64_t seq)
{
    tl_node_id id = owner_of(owner);
    tl_dht_item item = item_of(key, seq);
    return tl_pointers_keep(pointers, &id, &item);
}

static tl_err load(unsigned owner, unsigned key, int64_t seq)
{
    tl_node_id id = owner_of(owner);
    tl_dht_item item = item_of(key, seq);
    return tl_pointers_load(pointers, &id, &item);
}

static void drop(unsigned owner)
{
    tl_node_id id = owner_of(owner);
    tl_pointers_drop(pointers, &id);
}

/* The sequence that is held under the key; -1: none. */
static int64_t held_of(unsigned key)
{
    tl_dht_item item = item_of(key, 0);
    tl_dht_id target = tl_dht_item_target(&item);
    size_t i = where(&target);
    return i < held_n ? held[i].seq : -1;
}

static void strangers_have_a_third_also_after_restarts(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 70; i++)
        assert_int_equal(keep(STRANGER + i, i, 1), i < TL_POINTERS_STRANGERS ? TL_OK : TL_ERR_BUSY);
    assert_int_equal(end(NULL), 0);
    assert_int_equal(begin(NULL), 0);
    for (unsigned i = 0; i < TL_POINTERS_STRANGERS; i++)
        assert_int_equal(load(STRANGER + i, i, 1), TL_OK);
    assert_int_equal(keep(STRANGER + 100, 100, 1), TL_ERR_BUSY);
    assert_int_equal(keep(STRANGER, 0, 2), TL_OK); /* its own, renewed */
    assert_int_equal(keep(5, 200, 1), TL_OK);      /* a member */
}

static void a_members_pointer_takes_the_place_of_a_strangers(void **state)
{
    (void)state;
    for (unsigned i = 0; i < TL_POINTERS_MAX; i++) /* as an earlier version kept them */
        assert_int_equal(load(STRANGER + i, i, 1), TL_OK);
    assert_int_equal(tl_pointers_count(pointers), TL_POINTERS_MAX);
    for (unsigned i = 0; i < TL_POINTERS_MAX; i++)
        assert_int_equal(keep(i, 500 + i, 1), TL_OK);
    assert_int_equal(tl_pointers_count(pointers), TL_POINTERS_MAX);
    assert_int_equal(evicted_n, TL_POINTERS_MAX);
    assert_int_equal(keep(195, 900, 1), TL_ERR_BUSY); /* members make no room for members */
    assert_int_equal(held_of(0), -1);
    assert_int_equal(held_of(500), 1);
}

static void who_is_a_stranger_now_counts_as_one_and_keeps_its_place(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(keep(i, i, 1), TL_OK);
    no_members = true; /* their memberships have ended */
    assert_int_equal(keep(STRANGER, 500, 1), TL_ERR_BUSY);
    assert_int_equal(keep(7, 7, 2), TL_OK);
    assert_int_equal(tl_pointers_count(pointers), 100);
}

static void an_older_one_is_refused_and_new_words_replace_it(void **state)
{
    (void)state;
    assert_int_equal(keep(1, 10, 5), TL_OK);
    assert_int_equal(keep(1, 10, 4), TL_ERR_REPLAY);
    assert_int_equal(keep(1, 10, 5), TL_OK);
    assert_int_equal(held_of(10), 5);
    assert_int_equal(keep(1, 11, 1), TL_OK);
    assert_int_equal(held_of(10), -1);
    assert_int_equal(held_of(11), 1);
    drop(1);
    assert_int_equal(held_of(11), -1);
}

static void who_hands_in_anothers_pointer_cannot_take_it_out_of_the_dht(void **state)
{
    (void)state;
    assert_int_equal(keep(1, 10, 5), TL_OK);
    assert_int_equal(keep(STRANGER, 10, 3), TL_OK); /* an old one of it */
    assert_int_equal(held_of(10), 5);
    held_n = 0; /* the DHT begins anew */
    tl_pointers_hold_all(pointers);
    assert_int_equal(held_of(10), 5);
    assert_int_equal(keep(STRANGER, 11, 1), TL_OK); /* it turns to another */
    assert_int_equal(held_of(10), 5);
    assert_int_equal(keep(STRANGER, 10, 5), TL_OK);
    drop(STRANGER);
    assert_int_equal(held_of(10), 5);
    drop(1);
    assert_int_equal(held_of(10), -1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(strangers_have_a_third_also_after_restarts),
        TEST(a_members_pointer_takes_the_place_of_a_strangers),
        TEST(who_is_a_stranger_now_counts_as_one_and_keeps_its_place),
        TEST(an_older_one_is_refused_and_new_words_replace_it),
        TEST(who_hands_in_anothers_pointer_cannot_take_it_out_of_the_dht),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
