/* What is kept alive: when it is looked after, and with which sequence. */
#include "dht/freshness.h"
#include "dht/kept.h"

#include "dht/dht.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define NOW  (1000 * TL_SEC)
#define WALL INT64_C(1750000000)

static tl_identity identity;
static tl_kept_list list;

static int begin(void **state)
{
    (void)state;
    list = (tl_kept_list){.republish = 3600 * TL_SEC};
    return tl_identity_from_seed((const uint8_t[32]){7}, &identity);
}

static int finish(void **state)
{
    (void)state;
    tl_kept_clear(&list);
    return 0;
}

static tl_kept *publish(const char *value, int64_t last)
{
    assert_int_equal(
        tl_kept_publish(&list, &identity, TL_SLICE_LIT("teale"), tl_slice_str(value), last, NOW),
        TL_OK);
    tl_dht_id target = tl_dht_target_of_key(identity.id.key, TL_SLICE_LIT("teale"));
    return tl_kept_find(&list, &target);
}

static tl_dht_item signed_item(int64_t seq, const char *value)
{
    tl_dht_item item;
    assert_int_equal(
        tl_dht_item_sign(&identity, TL_SLICE_LIT("teale"), seq, tl_slice_str(value), &item), TL_OK);
    return item;
}

static void stored(tl_kept *k, unsigned asked, unsigned had, unsigned took, bool whole)
{
    const tl_kept_stored s = {.asked = asked, .had = had, .took = took, .whole = whole};
    tl_kept_on_stored(&list, k, &s, NOW);
}

static void the_sequence_is_the_time_or_above_the_last_one(void **state)
{
    (void)state;
    tl_kept *k = publish("1:a", 0);
    assert_true(tl_kept_sign(k, WALL));
    assert_int_equal(k->item.seq, WALL);
    assert_int_equal(tl_dht_item_verify(&k->item), TL_OK);
    assert_true(tl_kept_sign(k, WALL + 5)); /* nothing changed */
    assert_int_equal(k->item.seq, WALL);
    publish("1:b", 0);
    assert_true(tl_kept_sign(k, WALL - 100)); /* the clock was set back */
    assert_int_equal(k->item.seq, WALL + 1);
    publish("1:c", WALL + 50); /* as the store knows */
    assert_true(tl_kept_sign(k, WALL));
    assert_int_equal(k->item.seq, WALL + 51);
}

static void an_old_one_is_signed_anew_and_goes_to_all_holders(void **state)
{
    (void)state;
    tl_kept *k = publish("1:a", 0);
    assert_true(tl_kept_sign(k, WALL));
    stored(k, 8, 0, 8, true);
    assert_true(tl_kept_sign(k, WALL + TL_DHT_RECORD_RENEW - 1));
    assert_int_equal(k->item.seq, WALL);
    assert_true(tl_kept_sign(k, WALL + TL_DHT_RECORD_RENEW));
    assert_int_equal(k->item.seq, WALL + TL_DHT_RECORD_RENEW);
    assert_int_equal(tl_dht_item_verify(&k->item), TL_OK);
    assert_true(tl_kept_is_whole_due(&list, k, NOW + TL_SEC));
    tl_dht_item other = signed_item(WALL, "1:b"); /* another one's is as its owner signed it */
    tl_kept_drop(&list, &k->target);
    assert_int_equal(tl_kept_hold(&list, &other, NOW), TL_OK);
    tl_dht_id target = tl_dht_item_target(&other);
    k = tl_kept_find(&list, &target);
    assert_true(tl_kept_sign(k, WALL + 10 * TL_DHT_RECORD_RENEW));
    assert_int_equal(k->item.seq, WALL);
}

static void a_later_one_of_our_own_key_is_outdone(void **state)
{
    (void)state;
    tl_kept *k = publish("1:a", 0);
    assert_true(tl_kept_sign(k, WALL));
    tl_dht_item other = signed_item(WALL + 1000, "1:x");
    assert_int_equal(k->outdone, 0);
    tl_kept_found(k, &other, WALL);
    assert_int_equal(k->outdone, 1);
    assert_true(tl_kept_sign(k, WALL));
    assert_int_equal(k->item.seq, WALL + 1001);
    assert_true(tl_slice_eq(tl_dht_item_value(&k->item), TL_SLICE_LIT("1:a")));
}

/* A broken file, or a thief of the key: to count on from there would end in silence. */
static void a_sequence_that_cannot_be_is_passed_over(void **state)
{
    (void)state;
    const int64_t latest = WALL + TL_DHT_SEQ_AHEAD;
    tl_kept *k = publish("1:a", INT64_MAX);
    assert_true(tl_kept_sign(k, WALL + TL_DHT_SEQ_AHEAD)); /* a time after EARLIEST */
    assert_int_equal(k->item.seq, WALL + TL_DHT_SEQ_AHEAD);
    assert_false(k->cannot_sign);

    tl_dht_item thiefs = signed_item(latest + TL_DHT_SEQ_AHEAD + 1, "1:x"),
                may_be = signed_item(latest + TL_DHT_SEQ_AHEAD, "1:x");
    tl_kept_found(k, &thiefs, latest);
    assert_false(k->changed);
    tl_kept_found(k, &may_be, latest);
    assert_true(k->changed);
    assert_true(tl_kept_sign(k, latest));
    assert_int_equal(k->item.seq, latest + TL_DHT_SEQ_AHEAD + 1);
    publish("1:b", 0); /* now it is above what may be: what was signed last by us is, too */
    assert_true(tl_kept_sign(k, latest + 1));
    assert_int_equal(k->item.seq, latest + TL_DHT_SEQ_AHEAD + 2);
}

static void a_clock_that_is_not_set_hides_no_sequence(void **state)
{
    (void)state;
    tl_kept *k = publish("1:a", TL_DHT_SEQ_EARLIEST + 1000);
    assert_true(tl_kept_sign(k, 5));
    assert_int_equal(k->item.seq, TL_DHT_SEQ_EARLIEST + 1001);
}

static void the_same_value_again_changes_nothing_and_another_is_due_at_once(void **state)
{
    (void)state;
    tl_kept *k = publish("1:a", 0);
    assert_true(tl_kept_sign(k, WALL));
    stored(k, 8, 0, 8, true);
    publish("1:a", 0);
    assert_false(k->changed);
    assert_null(tl_kept_due(&list, NOW));
    publish("1:b", 0);
    assert_ptr_equal(tl_kept_due(&list, NOW), k);
}

static void calm_doubles_the_time_to_an_hour_and_storm_halves_it_to_a_minute(void **state)
{
    (void)state;
    tl_kept *k = publish("1:a", 0);
    assert_true(tl_kept_sign(k, WALL));
    stored(k, 8, 0, 8, true);
    assert_true(k->interval == TL_KEPT_FIRST);
    for (unsigned i = 0; i < 10; i++)
        stored(k, 9, 6, 3, false);
    assert_true(k->interval == 3600 * TL_SEC && k->next == NOW + 3600 * TL_SEC);
    for (unsigned i = 0; i < 10; i++)
        stored(k, 9, 5, 4, false);
    assert_true(k->interval == TL_KEPT_MIN);
}

static void while_nobody_takes_it_it_is_tried_again_soon_and_then_later(void **state)
{
    (void)state;
    tl_kept *k = publish("1:a", 0);
    tl_time last = 0;
    for (unsigned i = 0; i < 20; i++) {
        stored(k, 0, 0, 0, true);
        assert_true(k->next - NOW >= last && k->next - NOW <= TL_KEPT_RETRY_MAX);
        last = k->next - NOW;
    }
    assert_true(last == TL_KEPT_RETRY_MAX);
}

static void holders_that_have_it_get_it_again_before_they_forget_it(void **state)
{
    (void)state;
    tl_kept *k = publish("1:a", 0);
    assert_true(tl_kept_is_whole_due(&list, k, NOW));
    stored(k, 8, 0, 8, true);
    assert_false(tl_kept_is_whole_due(&list, k, NOW + 40 * TL_MIN));
    assert_true(tl_kept_is_whole_due(&list, k, NOW + 45 * TL_MIN));
}

static void of_anothers_item_the_newest_is_held(void **state)
{
    (void)state;
    tl_dht_item old = signed_item(5, "1:a"), same = signed_item(6, "1:b"),
                newer = signed_item(7, "1:c");
    assert_int_equal(tl_kept_hold(&list, &same, NOW), TL_OK);
    assert_int_equal(tl_kept_hold(&list, &same, NOW), TL_OK);
    assert_int_equal(tl_kept_hold(&list, &old, NOW), TL_ERR_REPLAY);
    assert_int_equal(list.all[0]->item.seq, 6);
    tl_kept_found(list.all[0], &old, WALL);
    assert_int_equal(list.all[0]->item.seq, 6);
    tl_kept_found(list.all[0], &newer, WALL);
    assert_int_equal(list.all[0]->item.seq, 7);
    assert_int_equal(list.n, 1);
    tl_dht_id target = tl_dht_item_target(&newer);
    tl_kept_drop(&list, &target);
    assert_int_equal(list.n, 0);
}

static void who_refuses_a_refresh_has_it_still_and_many_such_get_a_later_sequence(void **state)
{
    (void)state;
    const tl_kept_stored few = {.asked = 8, .had = 8, .took = 6, .stayed = 2, .whole = true};
    const tl_kept_stored all = {.asked = 8, .had = 8, .took = 0, .stayed = 8, .whole = true};
    tl_kept *k = publish("1:a", 0);
    assert_true(tl_kept_sign(k, WALL));
    stored(k, 8, 0, 8, true);
    tl_kept_on_stored(&list, k, &few, NOW);
    assert_int_equal(k->holders, 8);
    assert_false(k->changed);
    tl_kept_on_stored(&list, k, &all, NOW + TL_MIN);
    assert_int_equal(k->holders, 8);
    assert_int_equal(k->failed, 0);
    assert_true(k->stored == NOW); /* it was not stored now */
    assert_true(k->changed);
    assert_ptr_equal(tl_kept_due(&list, NOW + TL_MIN), k);
    assert_true(tl_kept_sign(k, WALL));
    assert_int_equal(k->item.seq, WALL + 1);

    /* one of another cannot be signed anew: it stays with them, and is looked at as before */
    tl_identity other;
    assert_int_equal(tl_identity_from_seed((const uint8_t[32]){8}, &other), TL_OK);
    tl_dht_item item;
    assert_int_equal(tl_dht_item_sign(&other, TL_SLICE_LIT("x"), 5, TL_SLICE_LIT("1:a"), &item),
                     TL_OK);
    assert_int_equal(tl_kept_hold(&list, &item, NOW), TL_OK);
    tl_dht_id target = tl_dht_item_target(&item);
    k = tl_kept_find(&list, &target);
    tl_kept_on_stored(&list, k, &all, NOW);
    assert_int_equal(k->holders, 8);
    assert_false(k->changed);
    assert_true(k->next > NOW);
}

static void what_is_no_bencoding_or_too_long_is_refused(void **state)
{
    (void)state;
    static char longest[TL_DHT_VALUE_MAX + 2];
    snprintf(longest, sizeof longest, "%d:", TL_DHT_VALUE_MAX - 4);
    memset(longest + 4, 'x', sizeof longest - 4);
    const struct {
        tl_slice salt, value;
        bool right;
    } tries[] = {
        {TL_SLICE_LIT("s"), TL_SLICE_LIT("i1e"), true},
        {TL_SLICE_LIT("s"), TL_SLICE_LIT("i1"), false},
        {TL_SLICE_LIT("s"), TL_SLICE_LIT(""), false},
        {tl_slice_of(longest, TL_DHT_SALT_MAX), TL_SLICE_LIT("i1e"), true},
        {tl_slice_of(longest, TL_DHT_SALT_MAX + 1), TL_SLICE_LIT("i1e"), false},
        {TL_SLICE_LIT("t"), tl_slice_of(longest, TL_DHT_VALUE_MAX), true},
        {TL_SLICE_LIT("u"), tl_slice_of(longest, TL_DHT_VALUE_MAX + 1), false},
    };
    for (size_t i = 0; i < sizeof tries / sizeof *tries; i++)
        assert_int_equal(tl_kept_publish(&list, &identity, tries[i].salt, tries[i].value, 0, NOW) ==
                             TL_OK,
                         tries[i].right);
}

static void there_are_256_at_most(void **state)
{
    (void)state;
    char salt[8];
    for (unsigned i = 0; i <= TL_DHT_KEPT_MAX; i++) {
        int n = snprintf(salt, sizeof salt, "%u", i);
        tl_err e = tl_kept_publish(&list, &identity, tl_slice_of(salt, (size_t)n),
                                   TL_SLICE_LIT("i1e"), 0, NOW);
        assert_int_equal(e, i < TL_DHT_KEPT_MAX ? TL_OK : TL_ERR_BUSY);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, finish)

int main(void)
{
    if (tl_crypto_init())
        return 1;
    const struct CMUnitTest tests[] = {
        TEST(the_sequence_is_the_time_or_above_the_last_one),
        TEST(an_old_one_is_signed_anew_and_goes_to_all_holders),
        TEST(a_later_one_of_our_own_key_is_outdone),
        TEST(a_sequence_that_cannot_be_is_passed_over),
        TEST(a_clock_that_is_not_set_hides_no_sequence),
        TEST(the_same_value_again_changes_nothing_and_another_is_due_at_once),
        TEST(calm_doubles_the_time_to_an_hour_and_storm_halves_it_to_a_minute),
        TEST(who_refuses_a_refresh_has_it_still_and_many_such_get_a_later_sequence),
        TEST(while_nobody_takes_it_it_is_tried_again_soon_and_then_later),
        TEST(holders_that_have_it_get_it_again_before_they_forget_it),
        TEST(of_anothers_item_the_newest_is_held),
        TEST(what_is_no_bencoding_or_too_long_is_refused),
        TEST(there_are_256_at_most),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
