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

/* The i-th address, each in a /16 of its own. */
static tl_addr far_apart(unsigned i)
{
    return (tl_addr){
        .family = TL_ADDR_V4, .port = 1, .bytes = {(uint8_t)(20 + i / 256), (uint8_t)i, 7, 1}};
}

/* A mutable item whose value is a text of `n` bytes in all. Signatures are not this module's. */
static tl_dht_item item_of(unsigned key, int64_t seq, const char *text)
{
    tl_dht_item item = {.is_mutable = true, .seq = seq, .n_salt = 5};
    memcpy(item.key, &key, sizeof key);
    memcpy(item.salt, "teale", 5);
    char value[TL_DHT_VALUE_MAX + 1];
    int n = snprintf(value, sizeof value, "%zu:%s", strlen(text), text);
    assert_in_range(n, 1, TL_DHT_VALUE_MAX);
    item.n_value = (uint16_t)n;
    memcpy(item.value, value, (size_t)n);
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

/* --- shares, and what goes when there is no room --- */

static tl_dht_put_result put_from(const tl_dht_item *item, tl_addr from, tl_time now)
{
    size_t pushed_out;
    return tl_dht_items_put(&items, item, NONE, &from, &own, now, &pushed_out);
}

static bool is_kept(const tl_dht_item *item, tl_time now)
{
    tl_dht_item got;
    tl_dht_id target = tl_dht_item_target(item);
    return tl_dht_items_find(&items, &target, now, &got);
}

/* A mutable item whose value is as long as it may be. */
static tl_dht_item longest_item(unsigned key)
{
    char text[997] = {0};
    memset(text, 'x', 996);
    tl_dht_item item = item_of(key, 1, text);
    assert_int_equal(item.n_value, TL_DHT_VALUE_MAX);
    return item;
}

static tl_addr in_block(unsigned i)
{
    return (tl_addr){
        .family = TL_ADDR_V4, .port = 1, .bytes = {198, 18, (uint8_t)(i / 256), (uint8_t)i}};
}

static void a_block_has_its_share(void **state)
{
    (void)state;
    size_t taken = 0;
    for (unsigned i = 0; i < 2000; i++) { /* eight of each /24 */
        tl_dht_item item = item_of(i, 1, "x");
        taken += put_from(&item, in_block(i * 32), START) == TL_DHT_PUT_NEW;
    }
    assert_int_equal(taken, TL_DHT_ITEMS_PER_BLOCK);
    tl_dht_item other = item_of(9999, 1, "x");
    assert_int_equal(put_by(&other, 1, START), TL_DHT_PUT_NEW);
}

static void shares_are_of_bytes_too(void **state)
{
    (void)state;
    size_t of_network = 0, of_block = 0;
    for (unsigned i = 0; i < 256; i++) {
        tl_dht_item item = longest_item(i);
        of_network += put_from(&item, in_block(i), START) == TL_DHT_PUT_NEW;
    }
    assert_int_equal(of_network, TL_DHT_BYTES_PER_NETWORK / 1005);
    for (unsigned i = 0; i < 1000; i++) {
        tl_dht_item item = longest_item(1000 + i);
        of_block += put_from(&item, in_block(256 * (1 + i / 20) + i % 20), START) == TL_DHT_PUT_NEW;
    }
    assert_int_equal(of_network + of_block, TL_DHT_BYTES_PER_BLOCK / 1005);
    tl_dht_item other = longest_item(9999);
    assert_int_equal(put_by(&other, 1, START), TL_DHT_PUT_NEW);
}

/* Honest nodes, one a /16, have put 1500 items. */
static void put_honest(tl_time now)
{
    for (unsigned i = 0; i < 1500; i++) {
        tl_dht_item item = item_of(i, 1, "honest");
        assert_int_equal(put_by(&item, i, now), TL_DHT_PUT_NEW);
    }
}

static size_t honest_left(tl_time now)
{
    size_t left = 0;
    for (unsigned i = 0; i < 1500; i++) {
        tl_dht_item item = item_of(i, 1, "honest");
        left += is_kept(&item, now);
    }
    return left;
}

/* Puts `n` long items that are near our ID. */
static void besiege(tl_addr (*from)(unsigned i), unsigned n, tl_time now)
{
    for (unsigned made = 0, key = 100000; made < n; key++) {
        tl_dht_item item = longest_item(key);
        tl_dht_id target = tl_dht_item_target(&item);
        if (target.b[0] >= 16)
            continue;
        (void)put_from(&item, from(made++), now);
    }
}

static tl_addr in_a_48(unsigned i)
{
    return (tl_addr){.family = TL_ADDR_V6,
                     .port = 1,
                     .bytes = {0x2A, 1, 2, 3, 4, 5, (uint8_t)(i / 8), (uint8_t)i}};
}

static tl_addr in_a_32(unsigned i)
{
    return (tl_addr){.family = TL_ADDR_V6,
                     .port = 1,
                     .bytes = {0x2A, 1, 2, 3, (uint8_t)(i / 8), (uint8_t)(i / 2048), 0, 0}};
}

static void who_has_one_ipv6_prefix_puts_nobodys_item_out(void **state)
{
    (void)state;
    put_honest(START);
    besiege(in_a_48, 2500, START);
    assert_int_equal(honest_left(START), 1500);
    assert_true(items.bytes <= 1500 * 20 + TL_DHT_BYTES_PER_NETWORK);
    besiege(in_a_32, 2500, START);
    assert_int_equal(honest_left(START), 1500);
    assert_true(items.bytes <= 1500 * 20 + TL_DHT_BYTES_PER_BLOCK);
}

static void one_that_is_kept_alive_is_not_put_out_by_those_who_come_with_many_networks(void **state)
{
    (void)state;
    put_honest(START);
    besiege(far_apart, 6000, START + TL_DHT_ITEM_SETTLED);
    assert_int_equal(honest_left(START + TL_DHT_ITEM_SETTLED), 1500);
    assert_true(items.bytes > TL_DHT_ITEM_BYTES_MAX - 1005); /* it was full */
}

static void young_ones_make_room_for_nearer_ones(void **state)
{
    (void)state;
    put_honest(START);
    besiege(far_apart, 6000, START + TL_DHT_ITEM_SETTLED - 1);
    assert_true(honest_left(START + TL_DHT_ITEM_SETTLED) < 1500);
}

static void fill_table(void)
{
    for (unsigned i = 0; i < TL_DHT_ITEMS_MAX; i++) {
        tl_dht_item item = item_of(i, 1, "x");
        assert_int_equal(put_by(&item, i / TL_DHT_ITEMS_PER_ADDRESS, START), TL_DHT_PUT_NEW);
    }
}

static void when_all_is_full_who_has_most_makes_room_for_who_has_less(void **state)
{
    (void)state;
    size_t pushed_out;
    tl_addr from = far_apart(200), same = far_apart(0);
    fill_table();
    tl_dht_item more = item_of(9000, 1, "x"), less = item_of(9001, 1, "x");
    assert_int_equal(tl_dht_items_put(&items, &more, NONE, &same, &own, START, &pushed_out),
                     TL_DHT_PUT_FULL);
    assert_int_equal(pushed_out, 0);
    assert_int_equal(tl_dht_items_put(&items, &less, NONE, &from, &own, START + TL_DHT_ITEM_SETTLED,
                                      &pushed_out),
                     TL_DHT_PUT_NEW);
    assert_int_equal(pushed_out, 1);
    assert_int_equal(items.n, TL_DHT_ITEMS_MAX);
}

/* One item of each block: nobody has more than another. */
static void among_equals_the_farthest_makes_room_for_a_nearer_one(void **state)
{
    (void)state;
    size_t pushed_out;
    tl_dht_item highest = item_of(0, 1, "x");
    for (unsigned i = 0; i < TL_DHT_ITEMS_MAX; i++) {
        tl_dht_item item = item_of(i, 1, "x");
        tl_dht_id target = tl_dht_item_target(&item), of_highest = tl_dht_item_target(&highest);
        if (memcmp(&target, &of_highest, sizeof target) > 0)
            highest = item;
        assert_int_equal(put_by(&item, i, START), TL_DHT_PUT_NEW);
    }
    tl_dht_item near = highest, far = highest;
    tl_dht_id limit = tl_dht_item_target(&highest);
    for (unsigned i = 9000; near.seq == 1 || far.seq == 1; i++) {
        tl_dht_item item = item_of(i, 2, "x");
        tl_dht_id target = tl_dht_item_target(&item);
        if (target.b[0] < 0x80)
            near = item;
        if (memcmp(&target, &limit, sizeof target) > 0)
            far = item;
    }
    tl_addr from = far_apart(9000);
    assert_int_equal(tl_dht_items_put(&items, &far, NONE, &from, &own, START, &pushed_out),
                     TL_DHT_PUT_FULL);
    assert_int_equal(pushed_out, 0);
    assert_int_equal(tl_dht_items_put(&items, &near, NONE, &from, &own, START, &pushed_out),
                     TL_DHT_PUT_NEW);
    assert_int_equal(pushed_out, 1);
    assert_false(is_kept(&highest, START));
    assert_int_equal(items.n, TL_DHT_ITEMS_MAX);
}

static void all_values_together_are_bounded(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 3000; i++) {
        tl_dht_item item = longest_item(i);
        (void)put_by(&item, i, START);
        assert_true(items.bytes <= TL_DHT_ITEM_BYTES_MAX);
    }
    assert_true(items.bytes > TL_DHT_ITEM_BYTES_MAX - 2000);
    assert_true(items.n < 3000);
}

static void an_item_that_grows_puts_no_other_out(void **state)
{
    (void)state;
    for (unsigned i = 0; i < TL_DHT_ITEM_BYTES_MAX / 1005; i++) { /* all but 722 bytes */
        tl_dht_item item = longest_item(i);
        assert_int_equal(put_by(&item, i, START), TL_DHT_PUT_NEW);
    }
    tl_dht_item small = item_of(9000, 1, "x"), grown = longest_item(9000), got;
    tl_dht_id target = tl_dht_item_target(&small);
    grown.seq = 2;
    size_t pushed_out;
    assert_int_equal(put_by(&small, 9000, START), TL_DHT_PUT_NEW);
    size_t before = items.n;
    tl_addr from = far_apart(9000);
    assert_int_equal(tl_dht_items_put(&items, &grown, NONE, &from, &own, START, &pushed_out),
                     TL_DHT_PUT_FULL);
    assert_int_equal(pushed_out, 0);
    assert_int_equal(items.n, before);
    assert_true(tl_dht_items_find(&items, &target, START, &got));
    assert_int_equal(got.seq, 1); /* the shorter one stays */
    grown = item_of(9000, 2, "xy");
    assert_int_equal(put_by(&grown, 9000, START), TL_DHT_PUT_NEWER);
    assert_true(items.bytes <= TL_DHT_ITEM_BYTES_MAX);
}

static void what_grows_stays_within_its_share(void **state)
{
    (void)state;
    for (unsigned i = 0; i < TL_DHT_ITEMS_PER_NETWORK; i++) {
        tl_dht_item item = item_of(i, 1, "x");
        assert_int_equal(put_from(&item, in_block(i), START), TL_DHT_PUT_NEW);
    }
    size_t grown = 0;
    for (unsigned i = 0; i < TL_DHT_ITEMS_PER_NETWORK; i++) {
        tl_dht_item item = longest_item(i);
        item.seq = 2;
        grown += put_from(&item, in_block(i), START) == TL_DHT_PUT_NEWER;
    }
    assert_true(grown > 50 && grown < TL_DHT_ITEMS_PER_NETWORK);
    assert_int_equal(items.n, TL_DHT_ITEMS_PER_NETWORK);
    assert_true(items.bytes <= TL_DHT_BYTES_PER_NETWORK);
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
        with_items(a_block_has_its_share),
        with_items(shares_are_of_bytes_too),
        with_items(who_has_one_ipv6_prefix_puts_nobodys_item_out),
        with_items(one_that_is_kept_alive_is_not_put_out_by_those_who_come_with_many_networks),
        with_items(young_ones_make_room_for_nearer_ones),
        with_items(when_all_is_full_who_has_most_makes_room_for_who_has_less),
        with_items(among_equals_the_farthest_makes_room_for_a_nearer_one),
        with_items(all_values_together_are_bounded),
        with_items(an_item_that_grows_puts_no_other_out),
        with_items(what_grows_stays_within_its_share),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
