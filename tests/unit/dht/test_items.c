#include "dht/items.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define START (1000 * TL_SEC)
#define NONE  ((tl_maybe){0})

static tl_dht_items items;
static tl_dht_id own; /* zeros: a target is as far as it is high */

static int begin(void **state)
{
    (void)state;
    items = (tl_dht_items){0};
    memset(&own, 0, sizeof own);
    return 0;
}

static int end(void **state)
{
    (void)state;
    tl_dht_items_clear(&items);
    assert_int_equal(items.n, 0);
    assert_int_equal(items.bytes, 0);
    return 0;
}

/* The i-th address, each in a /24 of its own. */
static tl_addr far_apart(unsigned i)
{
    return (tl_addr){
        .family = TL_ADDR_V4, .port = 1, .bytes = {198, 18, (uint8_t)i, (uint8_t)(i / 256)}};
}

/* A mutable item whose value is a text of `n` bytes in all. Signatures are not this module's. */
static tl_dht_item item_of(unsigned key, int64_t seq, const char *text)
{
    tl_dht_item item = {.is_mutable = true, .seq = seq, .n_salt = 5};
    memcpy(item.key, &key, sizeof key);
    memcpy(item.salt, "teale", 5);
    item.n_value = (uint16_t)sprintf((char *)item.value, "%zu:%s", strlen(text), text);
    return item;
}

static tl_dht_put_result put_by(const tl_dht_item *item, unsigned address, tl_time now)
{
    size_t pushed_out;
    tl_addr from = far_apart(address);
    return tl_dht_items_put(&items, item, NONE, &from, &own, now, &pushed_out);
}

static tl_dht_put_result put(const tl_dht_item *item, tl_maybe cas)
{
    size_t pushed_out;
    tl_addr from = far_apart(0);
    tl_dht_put_result looked = tl_dht_items_look(&items, item, cas, START);
    tl_dht_put_result result = tl_dht_items_put(&items, item, cas, &from, &own, START, &pushed_out);
    assert_int_equal(looked, result);
    return result;
}

static void what_was_put_is_found(void **state)
{
    (void)state;
    tl_dht_item item = item_of(1, 4, "hello"), got;
    tl_dht_id target = tl_dht_item_target(&item);
    assert_false(tl_dht_items_find(&items, &target, START, &got));
    assert_int_equal(put(&item, NONE), TL_DHT_PUT_NEW);
    assert_true(tl_dht_items_find(&items, &target, START, &got));
    assert_memory_equal(&got, &item, sizeof item);
    target.b[0] ^= 1;
    assert_false(tl_dht_items_find(&items, &target, START, &got));
}

static void an_immutable_item_is_found(void **state)
{
    (void)state;
    tl_dht_item item, got;
    assert_int_equal(tl_dht_item_of_value(TL_SLICE_LIT("5:hello"), &item), TL_OK);
    tl_dht_id target = tl_dht_item_target(&item);
    assert_int_equal(put(&item, NONE), TL_DHT_PUT_NEW);
    assert_int_equal(put(&item, NONE), TL_DHT_PUT_AGAIN);
    assert_true(tl_dht_items_find(&items, &target, START, &got));
    assert_memory_equal(&got, &item, sizeof item);
}

static void a_higher_sequence_takes_the_place_of_a_lower_one(void **state)
{
    (void)state;
    tl_dht_item first = item_of(1, 4, "first"), second = item_of(1, 5, "second"), got;
    tl_dht_id target = tl_dht_item_target(&first);
    assert_int_equal(put(&first, NONE), TL_DHT_PUT_NEW);
    assert_int_equal(put(&second, NONE), TL_DHT_PUT_NEWER);
    assert_int_equal(put(&first, NONE), TL_DHT_PUT_SEQ);
    assert_true(tl_dht_items_find(&items, &target, START, &got));
    assert_int_equal(got.seq, 5);
    assert_int_equal(items.n, 1);
    assert_int_equal(items.bytes, 5 + 8);
}

static void the_same_sequence_is_taken_with_the_same_value_alone(void **state)
{
    (void)state;
    tl_dht_item item = item_of(1, 4, "hello"), other = item_of(1, 4, "hullo");
    assert_int_equal(put(&item, NONE), TL_DHT_PUT_NEW);
    assert_int_equal(put(&item, NONE), TL_DHT_PUT_AGAIN);
    assert_int_equal(put(&other, NONE), TL_DHT_PUT_SEQ);
}

static void cas_names_the_sequence_that_is_kept(void **state)
{
    (void)state;
    tl_dht_item first = item_of(1, 4, "first"), second = item_of(1, 5, "second");
    /* nothing is kept, so nothing can conflict */
    assert_int_equal(put(&first, tl_maybe_of(9)), TL_DHT_PUT_NEW);
    assert_int_equal(put(&second, tl_maybe_of(3)), TL_DHT_PUT_CAS);
    assert_int_equal(put(&second, tl_maybe_of(5)), TL_DHT_PUT_CAS);
    assert_int_equal(put(&second, tl_maybe_of(4)), TL_DHT_PUT_NEWER);
    assert_int_equal(put(&second, tl_maybe_of(4)), TL_DHT_PUT_CAS);
    assert_int_equal(put(&second, tl_maybe_of(5)), TL_DHT_PUT_AGAIN);
}

static void items_are_kept_two_hours_since_they_were_last_put(void **state)
{
    (void)state;
    tl_dht_item a = item_of(1, 4, "a"), b = item_of(2, 4, "b"), got;
    tl_dht_id of_a = tl_dht_item_target(&a), of_b = tl_dht_item_target(&b);
    assert_int_equal(tl_dht_items_expiry(&items), TL_NEVER);
    assert_int_equal(put_by(&a, 1, START), TL_DHT_PUT_NEW);
    assert_int_equal(put_by(&b, 1, START), TL_DHT_PUT_NEW);
    assert_int_equal(put_by(&a, 2, START + 60 * TL_MIN), TL_DHT_PUT_AGAIN);
    assert_int_equal(tl_dht_items_expiry(&items), START + 120 * TL_MIN);

    assert_true(tl_dht_items_find(&items, &of_b, START + 120 * TL_MIN - 1, &got));
    assert_false(tl_dht_items_find(&items, &of_b, START + 120 * TL_MIN, &got));
    assert_true(tl_dht_items_find(&items, &of_a, START + 120 * TL_MIN, &got));
    assert_int_equal(tl_dht_items_prune(&items, START + 120 * TL_MIN), 1);
    assert_int_equal(items.n, 1);
    /* an old sequence can be put again where the newer one has gone */
    tl_dht_item old = item_of(2, 3, "old");
    assert_int_equal(put_by(&old, 1, START + 121 * TL_MIN), TL_DHT_PUT_NEW);
}

static void one_that_is_too_old_is_replaced_by_any(void **state)
{
    (void)state;
    tl_dht_item newer = item_of(1, 9, "newer"), older = item_of(1, 2, "older");
    assert_int_equal(put_by(&newer, 1, START), TL_DHT_PUT_NEW);
    assert_int_equal(put_by(&older, 1, START + TL_DHT_ITEM_KEPT - 1), TL_DHT_PUT_SEQ);
    assert_int_equal(put_by(&older, 1, START + TL_DHT_ITEM_KEPT), TL_DHT_PUT_NEW);
    assert_int_equal(items.n, 1);
}

static void an_address_has_its_share(void **state)
{
    (void)state;
    for (unsigned i = 0; i < TL_DHT_ITEMS_PER_ADDRESS; i++) {
        tl_dht_item item = item_of(i, 1, "x");
        assert_int_equal(put_by(&item, 1, START), TL_DHT_PUT_NEW);
    }
    tl_dht_item more = item_of(99, 1, "x"), again = item_of(3, 2, "y");
    assert_int_equal(put_by(&more, 1, START), TL_DHT_PUT_FULL);
    assert_int_equal(put_by(&again, 1, START), TL_DHT_PUT_NEWER);
    assert_int_equal(put_by(&more, 2, START), TL_DHT_PUT_NEW);
    /* what another address puts newer stays charged to the first one */
    tl_dht_item newer = item_of(4, 2, "y"), yet = item_of(98, 1, "x");
    assert_int_equal(put_by(&newer, 2, START), TL_DHT_PUT_NEWER);
    assert_int_equal(put_by(&yet, 1, START), TL_DHT_PUT_FULL);
    /* and is free again when they are forgotten */
    assert_int_equal(put_by(&yet, 1, START + TL_DHT_ITEM_KEPT), TL_DHT_PUT_NEW);
}

static void a_network_has_its_share(void **state)
{
    (void)state;
    size_t pushed_out, taken = 0;
    for (unsigned i = 0; i < 256; i++) {
        tl_addr from = {.family = TL_ADDR_V4, .port = 1, .bytes = {198, 18, 0, (uint8_t)i}};
        tl_dht_item item = item_of(i, 1, "x");
        taken += tl_dht_items_put(&items, &item, NONE, &from, &own, START, &pushed_out) ==
                 TL_DHT_PUT_NEW;
    }
    assert_int_equal(taken, TL_DHT_ITEMS_PER_NETWORK);
    tl_dht_item item = item_of(300, 1, "x");
    assert_int_equal(put_by(&item, 77, START), TL_DHT_PUT_NEW);
}

static void what_the_node_itself_keeps_has_no_share(void **state)
{
    (void)state;
    size_t pushed_out;
    for (unsigned i = 0; i < 2 * TL_DHT_ITEMS_PER_NETWORK; i++) {
        tl_dht_item item = item_of(i, 1, "x");
        assert_int_equal(tl_dht_items_put(&items, &item, NONE, NULL, &own, START, &pushed_out),
                         TL_DHT_PUT_NEW);
    }
}

static tl_dht_id highest_target(void)
{
    tl_dht_id highest = {{0}};
    for (unsigned i = 0; i < TL_DHT_ITEMS_MAX; i++) {
        tl_dht_item item = item_of(i, 1, "x");
        tl_dht_id target = tl_dht_item_target(&item);
        if (memcmp(&target, &highest, sizeof target) > 0)
            highest = target;
    }
    return highest;
}

static void when_all_is_full_the_farthest_makes_room_for_a_nearer_one(void **state)
{
    (void)state;
    tl_dht_item got;
    size_t pushed_out;
    for (unsigned i = 0; i < TL_DHT_ITEMS_MAX; i++) {
        tl_dht_item item = item_of(i, 1, "x");
        assert_int_equal(put_by(&item, i / TL_DHT_ITEMS_PER_ADDRESS, START), TL_DHT_PUT_NEW);
    }
    tl_dht_id highest = highest_target();
    assert_true(tl_dht_items_find(&items, &highest, START, &got));

    /* one nearer to us than that, and one farther */
    tl_dht_item near = item_of(0, 1, "x"), far = near;
    for (unsigned i = TL_DHT_ITEMS_MAX; near.key[3] == 0 || far.key[3] == 0; i++) {
        tl_dht_item item = item_of(i, 1, "x");
        tl_dht_id target = tl_dht_item_target(&item);
        item.key[3] = 0;
        bool is_near = target.b[0]<0x80, is_far = memcmp(&target, &highest, sizeof target)> 0;
        if (is_near)
            near = item_of(i, 1, "x"), near.key[3] = 1;
        if (is_far)
            far = item_of(i, 1, "x"), far.key[3] = 1;
    }
    near.key[3] = far.key[3] = 0;
    tl_addr from = far_apart(200);
    assert_int_equal(tl_dht_items_put(&items, &far, NONE, &from, &own, START, &pushed_out),
                     TL_DHT_PUT_FULL);
    assert_int_equal(pushed_out, 0);
    assert_int_equal(tl_dht_items_put(&items, &near, NONE, &from, &own, START, &pushed_out),
                     TL_DHT_PUT_NEW);
    assert_int_equal(pushed_out, 1);
    assert_false(tl_dht_items_find(&items, &highest, START, &got));
    assert_int_equal(items.n, TL_DHT_ITEMS_MAX);
}

static void all_values_together_are_bounded(void **state)
{
    (void)state;
    char text[990];
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = 0;
    for (unsigned i = 0; i < 3000; i++) {
        tl_dht_item item = item_of(i, 1, text);
        (void)put_by(&item, i / TL_DHT_ITEMS_PER_ADDRESS, START);
        assert_true(items.bytes <= TL_DHT_ITEM_BYTES_MAX);
    }
    assert_true(items.bytes > TL_DHT_ITEM_BYTES_MAX - 2000);
    assert_true(items.n < 3000);
}

/* Short items fill the table, and others grow until there is no room. The last one is the farthest. */
static void an_item_that_grows_stays_within_the_bound(void **state)
{
    (void)state;
    char text[990];
    tl_dht_item got, last = item_of(TL_DHT_ITEMS_MAX - 1, 1, "x");
    tl_dht_id target = tl_dht_item_target(&last);
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = 0;
    for (size_t i = 0; i < sizeof own.b; i++)
        own.b[i] = (uint8_t)~target.b[i];
    for (unsigned i = 0; i < TL_DHT_ITEMS_MAX; i++) {
        tl_dht_item item = item_of(i, 1, "x");
        assert_int_equal(put_by(&item, i / TL_DHT_ITEMS_PER_ADDRESS, START), TL_DHT_PUT_NEW);
    }
    unsigned i = 0;
    for (; items.bytes + 1000 <= TL_DHT_ITEM_BYTES_MAX; i++) {
        tl_dht_item item = item_of(i, 2, text);
        assert_int_equal(put_by(&item, 0, START), TL_DHT_PUT_NEWER);
    }
    assert_true(i > 1000 && i < TL_DHT_ITEMS_MAX - 1);
    tl_dht_item longer = item_of(TL_DHT_ITEMS_MAX - 1, 2, text), other = item_of(i, 2, text);
    other.n_value = longer.n_value = 1000;
    assert_true(items.bytes + 994 > TL_DHT_ITEM_BYTES_MAX);
    assert_int_equal(put_by(&longer, 0, START), TL_DHT_PUT_FULL);
    assert_true(tl_dht_items_find(&items, &target, START, &got));
    assert_int_equal(got.seq, 1); /* the shorter one stays */
    assert_int_equal(put_by(&other, 0, START), TL_DHT_PUT_NEWER);
    assert_false(tl_dht_items_find(&items, &target, START, &got));
    assert_true(items.bytes <= TL_DHT_ITEM_BYTES_MAX);
}

#define with_items(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_items(what_was_put_is_found),
        with_items(an_immutable_item_is_found),
        with_items(a_higher_sequence_takes_the_place_of_a_lower_one),
        with_items(the_same_sequence_is_taken_with_the_same_value_alone),
        with_items(cas_names_the_sequence_that_is_kept),
        with_items(items_are_kept_two_hours_since_they_were_last_put),
        with_items(one_that_is_too_old_is_replaced_by_any),
        with_items(an_address_has_its_share),
        with_items(a_network_has_its_share),
        with_items(what_the_node_itself_keeps_has_no_share),
        with_items(when_all_is_full_the_farthest_makes_room_for_a_nearer_one),
        with_items(all_values_together_are_bounded),
        with_items(an_item_that_grows_stays_within_the_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
