#include "market/bid.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* --- the price --- */

/* 300 W at 30 tokens a second are 833.3 micro-credits for 1000 tokens, where 1 kWh costs 0.3 credits:
 * they take 33.3 s, and 1/360 kWh. */
static const tl_bid_facts plain = {
    .floor_micro = 100, .kwh_micro = 300000, .watts = 300, .speed = 30000, .slots = 4};

static void the_cost_is_the_power_that_1000_tokens_take_rounded_up(void **state)
{
    (void)state;
    tl_bid_facts f = plain;
    assert_int_equal(tl_bid_cost(&f), 834);
    f.speed = 25000; /* 40 s: exactly 1000 */
    assert_int_equal(tl_bid_cost(&f), 1000);
    f.speed = 24999;
    assert_int_equal(tl_bid_cost(&f), 1001);
    f.speed = UINT64_MAX; /* never for nothing */
    assert_int_equal(tl_bid_cost(&f), 1);
}

static void without_a_speed_or_a_price_of_power_there_is_no_cost(void **state)
{
    (void)state;
    for (int what = 0; what < 4; what++) {
        tl_bid_facts f = plain;
        f.speed = what == 1 ? 0 : f.speed;
        f.kwh_micro = what == 2 ? 0 : f.kwh_micro;
        f.watts = what == 3 ? 0 : f.watts;
        assert_int_equal(tl_bid_cost(&f), what ? 0 : 834);
        assert_int_equal(tl_bid_price(&f), what ? 100 : 834); /* then the floor holds */
    }
}

static void the_bid_is_the_floor_or_the_cost_whichever_is_more(void **state)
{
    (void)state;
    tl_bid_facts f = plain;
    f.floor_micro = 834;
    assert_int_equal(tl_bid_price(&f), 834);
    f.floor_micro = 835;
    assert_int_equal(tl_bid_price(&f), 835);
    f.floor_micro = 0;
    assert_int_equal(tl_bid_price(&f), 834);
}

static void load_raises_the_bid_up_to_twice_when_all_slots_are_taken(void **state)
{
    (void)state;
    static const int64_t prices[] = {834, 1043, 1251, 1460, 1668};
    tl_bid_facts f = plain;
    for (uint32_t running = 0; running <= 4; running++) {
        f.running = running;
        assert_int_equal(tl_bid_price(&f), prices[running]);
    }
    f = (tl_bid_facts){.slots = 4, .running = 4}; /* what is free stays free */
    assert_int_equal(tl_bid_price(&f), 0);
    f = (tl_bid_facts){.floor_micro = 10, .running = 1}; /* no slots are told: one */
    assert_int_equal(tl_bid_price(&f), 20);
}

static void no_price_passes_what_json_can_say(void **state)
{
    (void)state;
    tl_bid_facts f = {.floor_micro = TL_PRICE_MAX, .slots = 1};
    assert_int_equal(tl_bid_price(&f), TL_PRICE_MAX);
    f.running = UINT32_MAX;
    assert_int_equal(tl_bid_price(&f), TL_PRICE_MAX);
    f = (tl_bid_facts){.kwh_micro = TL_PRICE_MAX, .watts = UINT64_MAX, .speed = 1, .slots = 1};
    assert_int_equal(tl_bid_cost(&f), TL_PRICE_MAX);
    f.speed = UINT64_MAX; /* 2^53 * 2^64 * 5 / 18 / 2^64 */
    assert_int_equal(tl_bid_cost(&f), TL_PRICE_MAX * 5 / 18 + 1);
}

static void work_begins_at_a_price_that_was_seen_and_is_no_more_than_the_maximum(void **state)
{
    (void)state;
    static const struct {
        int64_t now;
        tl_maybe seen, maximum;
        tl_price_verdict verdict;
    } rows[] = {
        {100, {true, 100}, {false, 0}, TL_PRICE_AGREED},
        {101, {true, 100}, {false, 0}, TL_PRICE_RISEN},
        {99, {true, 100}, {false, 0}, TL_PRICE_AGREED}, /* it has fallen */
        {0, {false, 0}, {false, 0}, TL_PRICE_AGREED},
        {1, {false, 0}, {false, 0}, TL_PRICE_RISEN},
        {100, {true, 100}, {true, 100}, TL_PRICE_AGREED},
        {100, {true, 100}, {true, 99}, TL_PRICE_ABOVE},
        {1, {true, 1}, {true, 0}, TL_PRICE_ABOVE}, /* 0: free only */
        {0, {true, 0}, {true, 0}, TL_PRICE_AGREED},
        {101, {true, 100}, {true, 100}, TL_PRICE_ABOVE}, /* to ask again would not help */
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (tl_price_agree(rows[i].now, rows[i].seen, rows[i].maximum) != rows[i].verdict)
            fail_msg("row %zu", i);
}

/* --- the bids of a node --- */

static json_t *json(const char *text)
{
    json_t *v = json_loads(text, 0, NULL);
    assert_non_null(v);
    return v;
}

static void bids_come_back_as_they_were_told(void **state)
{
    (void)state;
    tl_bids told = {0}, read = {0};
    tl_bid *a = tl_bids_get(&told, "a"), *b = tl_bids_get(&told, "b");
    assert_non_null(b);
    a = tl_bids_find(&told, "a");
    *a = (tl_bid){a->model, 120, 7, true, 4, 1, 3};
    b->price = TL_PRICE_MAX;
    b->version = 8;
    assert_ptr_equal(tl_bids_get(&told, "a"), a);
    json_t *list = tl_bids_json(&told);
    assert_int_equal(tl_bids_read(list, &read), TL_OK);
    json_decref(list);
    assert_int_equal(read.n, 2);
    a = tl_bids_find(&read, "a");
    b = tl_bids_find(&read, "b");
    assert_int_equal(a->price, 120);
    assert_int_equal(a->version, 7);
    assert_true(a->has_slots);
    assert_int_equal(a->slots, 4);
    assert_int_equal(a->slots_free, 1);
    assert_int_equal(a->queued, 3);
    assert_int_equal(b->price, TL_PRICE_MAX);
    assert_false(b->has_slots);
    assert_null(tl_bids_find(&read, "c"));
    tl_bids_clear(&told);
    tl_bids_clear(&read);
}

/* Each beside its accepted twin, which is the last. */
static void what_is_no_bid_is_passed_over(void **state)
{
    (void)state;
    static const char *const entries[] = {
        "1",
        "{\"microPerKToken\":1,\"version\":1}",
        "{\"model\":\"\",\"microPerKToken\":1,\"version\":1}",
        "{\"model\":\"m\",\"version\":1}",
        "{\"model\":\"m\",\"microPerKToken\":1}",
        "{\"model\":\"m\",\"microPerKToken\":-1,\"version\":1}",
        "{\"model\":\"m\",\"microPerKToken\":1.0,\"version\":1}",
        "{\"model\":\"m\",\"microPerKToken\":9007199254740992,\"version\":1}",
        "{\"model\":\"m\",\"microPerKToken\":\"1\",\"version\":1}",
        "{\"model\":\"m\",\"microPerKToken\":1,\"version\":-1}",
        "{\"model\":\"m\",\"microPerKToken\":1,\"version\":1}",
    };
    size_t n = sizeof entries / sizeof *entries;
    for (size_t i = 0; i < n; i++) {
        char text[256];
        tl_bids bids = {0};
        snprintf(text, sizeof text, "[%s,{\"model\":\"n\",\"microPerKToken\":2,\"version\":3}]",
                 entries[i]);
        json_t *list = json(text);
        assert_int_equal(tl_bids_read(list, &bids), TL_OK);
        json_decref(list);
        assert_int_equal(bids.n, i == n - 1 ? 2 : 1);
        assert_non_null(tl_bids_find(&bids, "n"));
        tl_bids_clear(&bids);
    }
}

static void slots_that_cannot_be_are_not_known(void **state)
{
    (void)state;
    static const char *const slots[] = {
        "\"slots\":0,\"slotsFree\":0,\"queued\":0",  "\"slots\":2,\"slotsFree\":3,\"queued\":0",
        "\"slots\":2,\"slotsFree\":-1,\"queued\":0", "\"slots\":2,\"slotsFree\":1",
        "\"slots\":2,\"slotsFree\":2,\"queued\":0",
    };
    for (size_t i = 0; i < 5; i++) {
        char text[256];
        tl_bids bids = {0};
        snprintf(text, sizeof text, "[{\"model\":\"m\",\"microPerKToken\":1,\"version\":1,%s}]",
                 slots[i]);
        json_t *list = json(text);
        assert_int_equal(tl_bids_read(list, &bids), TL_OK);
        json_decref(list);
        assert_int_equal(bids.n, 1);
        assert_int_equal(bids.bid[0].has_slots, i == 4);
        tl_bids_clear(&bids);
    }
}

static void of_two_bids_for_a_model_the_first_counts_and_a_new_list_replaces_the_old(void **state)
{
    (void)state;
    tl_bids bids = {0};
    json_t *list = json("[{\"model\":\"m\",\"microPerKToken\":1,\"version\":1},"
                        "{\"model\":\"m\",\"microPerKToken\":2,\"version\":2}]");
    json_t *empty = json("[]"), *none = json("{\"model\":\"m\"}");
    assert_int_equal(tl_bids_read(list, &bids), TL_OK);
    assert_int_equal(bids.n, 1);
    assert_int_equal(bids.bid[0].price, 1);
    assert_int_equal(tl_bids_read(empty, &bids), TL_OK);
    assert_int_equal(bids.n, 0);
    assert_int_equal(tl_bids_read(none, &bids), TL_OK);
    assert_int_equal(bids.n, 0);
    json_decref(list);
    json_decref(empty);
    json_decref(none);
}

static void a_node_has_so_many_bids_and_no_more(void **state)
{
    (void)state;
    tl_bids told = {0}, read = {0};
    json_t *list = json_array();
    char name[256];
    for (int i = 0; i < 70; i++) {
        snprintf(name, sizeof name, "m%d", i);
        assert_int_equal(tl_bids_get(&told, name) != NULL, i < TL_BIDS_MAX);
        json_array_append_new(
            list, json_pack("{s:s, s:i, s:i}", "model", name, "microPerKToken", 1, "version", 1));
    }
    assert_int_equal(tl_bids_read(list, &read), TL_OK);
    assert_int_equal(read.n, TL_BIDS_MAX);
    json_decref(list);
    tl_bids_clear(&told);
    tl_bids_clear(&read);
    for (int i = 0; i < 40; i++) { /* 10 000 bytes of names */
        snprintf(name, sizeof name, "%0250d", i);
        assert_non_null(tl_bids_get(&told, name));
    }
    list = tl_bids_json(&told);
    assert_int_equal(json_array_size(list), TL_BIDS_NAMES / 250);
    json_decref(list);
    tl_bids_clear(&told);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_cost_is_the_power_that_1000_tokens_take_rounded_up),
        cmocka_unit_test(without_a_speed_or_a_price_of_power_there_is_no_cost),
        cmocka_unit_test(the_bid_is_the_floor_or_the_cost_whichever_is_more),
        cmocka_unit_test(load_raises_the_bid_up_to_twice_when_all_slots_are_taken),
        cmocka_unit_test(no_price_passes_what_json_can_say),
        cmocka_unit_test(work_begins_at_a_price_that_was_seen_and_is_no_more_than_the_maximum),
        cmocka_unit_test(bids_come_back_as_they_were_told),
        cmocka_unit_test(what_is_no_bid_is_passed_over),
        cmocka_unit_test(slots_that_cannot_be_are_not_known),
        cmocka_unit_test(of_two_bids_for_a_model_the_first_counts_and_a_new_list_replaces_the_old),
        cmocka_unit_test(a_node_has_so_many_bids_and_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
