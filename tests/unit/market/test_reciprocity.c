/* Who counts as reciprocal: the rule, and what this node has seen itself. */
#include "people.h"

/* --- the rule --- */

static void each_kind_of_deed_alone_makes_a_node_reciprocal_at_its_mark(void **state)
{
    (void)state;
    const tl_node_id *helper = &people[HELPER].id;
    assert_false(is(HELPER));
    tl_reciprocity_add_served(table, helper, TL_RECIPROCITY_TOKENS - 1, NOW);
    assert_false(is(HELPER));
    tl_reciprocity_add_served(table, helper, 1, NOW);
    assert_true(is(HELPER));
    assert_false(is(OTHER));
    tl_reciprocity_add_relayed(table, &people[OTHER].id, TL_RECIPROCITY_BYTES - 1, NOW);
    assert_false(is(OTHER));
    tl_reciprocity_add_relayed(table, &people[OTHER].id, 1, NOW);
    assert_true(is(OTHER));
    tl_reciprocity_set_held(table, &people[CARL].id, TL_RECIPROCITY_FRAGMENTS - 1, NOW);
    assert_false(is(CARL));
    tl_reciprocity_set_held(table, &people[CARL].id, TL_RECIPROCITY_FRAGMENTS, NOW);
    assert_true(is(CARL));
    tl_reciprocity_set_held(table, &people[CARL].id, 0, NOW); /* it holds nothing any more */
    assert_false(is(CARL));
}

static void parts_of_the_marks_add_up(void **state)
{
    (void)state;
    tl_reciprocity_add_served(table, &people[HELPER].id, TL_RECIPROCITY_TOKENS / 2, NOW);
    tl_reciprocity_add_relayed(table, &people[HELPER].id, TL_RECIPROCITY_BYTES / 4, NOW);
    assert_false(is(HELPER));
    assert_int_equal(take(praise(ANNA, HELPER, TL_RECIPROCITY_TOKENS / 4)), TL_DEEDS_TAKEN);
    assert_true(is(HELPER));
}

static void a_deed_halves_in_its_time_and_of_last_years_nothing_is_left(void **state)
{
    (void)state;
    tl_reciprocity_account a;
    tl_reciprocity_add_served(table, &people[HELPER].id, 2 * ENOUGH, NOW);
    assert_true(is_at(HELPER, NOW + TL_RECIPROCITY_HALF_LIFE));
    assert_false(is_at(HELPER, NOW + TL_RECIPROCITY_HALF_LIFE + 60));
    tl_reciprocity_explain(table, &people[HELPER].id, NOW + 365 * DAY, &a);
    assert_true(a.own[TL_DEED_SERVED] < 2 * ENOUGH / 4000);
    tl_reciprocity_add_served(table, &people[OTHER].id, 1000 * ENOUGH, NOW - 365 * DAY);
    assert_false(is(OTHER)); /* its twin */
    tl_reciprocity_add_served(table, &people[OTHER].id, 1000 * ENOUGH, NOW - 200 * DAY);
    assert_true(is(OTHER));
}

/* The formula of the header, whatever the order and the pace of the deeds. */
static void what_is_left_of_many_deeds_is_the_sum_of_what_is_left_of_each(void **state)
{
    (void)state;
    tl_rand rand = tl_rand_seeded(7);
    tl_unix at[500];
    tl_reciprocity_account a;
    double want = 0;
    for (int round = 0; round < 2; round++) { /* in their order, and backwards */
        int node = round ? OTHER : HELPER;
        for (int i = 0; i < 500 && !round; i++)
            at[i] = NOW - 500 + i - (tl_unix)tl_rand_below(&rand, 90 * DAY);
        for (int i = 0; i < 500; i++)
            tl_reciprocity_add_served(table, &people[node].id, 1000 + i % 7,
                                      at[round ? 499 - i : i]);
    }
    for (int i = 0; i < 500; i++)
        want += (1000 + i % 7) * exp2(-(double)(NOW - at[i]) / TL_RECIPROCITY_HALF_LIFE);
    tl_reciprocity_explain(table, &people[HELPER].id, NOW, &a);
    assert_true(fabs((double)a.own[TL_DEED_SERVED] - want) < 1 + want * 1e-9);
    int64_t forward = a.own[TL_DEED_SERVED];
    tl_reciprocity_explain(table, &people[OTHER].id, NOW, &a);
    assert_true(a.own[TL_DEED_SERVED] > 0 && forward > 0);
    want = 0; /* backwards the i-th deed has another size */
    for (int i = 0; i < 500; i++)
        want += (1000 + i % 7) * exp2(-(double)(NOW - at[499 - i]) / TL_RECIPROCITY_HALF_LIFE);
    assert_true(fabs((double)a.own[TL_DEED_SERVED] - want) < 1 + want * 1e-9);
}

static void a_clock_that_was_set_back_makes_no_deed_larger(void **state)
{
    (void)state;
    tl_reciprocity_account a;
    tl_reciprocity_add_served(table, &people[HELPER].id, 5000, NOW);
    tl_reciprocity_explain(table, &people[HELPER].id, NOW - 100 * DAY, &a);
    assert_int_equal(a.own[TL_DEED_SERVED], 5000);
    assert_false(a.is);
}

static void our_own_deeds_and_no_deeds_count_nothing(void **state)
{
    (void)state;
    tl_reciprocity_add_served(table, &people[US].id, 10 * ENOUGH, NOW);
    tl_reciprocity_add_served(table, &people[HELPER].id, 0, NOW);
    tl_reciprocity_add_served(table, &people[HELPER].id, -10 * ENOUGH, NOW);
    tl_reciprocity_add_relayed(table, &people[HELPER].id, INT64_MIN, NOW);
    assert_false(is(US));
    assert_false(is(HELPER));
    tl_reciprocity_add_served(table, &people[HELPER].id, ENOUGH, NOW);
    assert_true(is(HELPER));
}

static void the_explanation_has_the_figures_and_says_what_is_missing(void **state)
{
    (void)state;
    tl_reciprocity_account a;
    tl_reciprocity_explain(table, &people[HELPER].id, NOW, &a);
    assert_string_equal(a.words,
                        "not reciprocal: 0.00 of 1: neither this node nor a fellow member has seen "
                        "it help; still needed: 64.0 MiB relayed, 10000 tokens served or 16 "
                        "fragments held");
    tl_reciprocity_add_relayed(table, &people[HELPER].id, 16 << 20, NOW);
    tl_reciprocity_explain(table, &people[HELPER].id, NOW, &a);
    assert_string_equal(a.words,
                        "not reciprocal: 0.25 of 1: for this node 16.0 MiB relayed, 0 tokens "
                        "served, 0 fragments held; still needed: 48.0 MiB relayed, 7500 tokens "
                        "served or 12 fragments held");
    assert_int_equal(take(praise(ANNA, HELPER, 7500)), TL_DEEDS_TAKEN);
    tl_reciprocity_explain(table, &people[HELPER].id, NOW, &a);
    assert_string_equal(a.words,
                        "reciprocal: 1.00 of 1: for this node 16.0 MiB relayed, 0 tokens served, 0 "
                        "fragments held; for 1 fellow member 0.0 MiB relayed, 7500 tokens served, "
                        "0 fragments held");
    assert_int_equal(a.own[TL_DEED_RELAYED], 16 << 20);
    assert_int_equal(a.told[TL_DEED_SERVED], 7500);
    assert_int_equal(a.tellers, 1);
}

static void the_longest_explanation_has_room(void **state)
{
    (void)state;
    tl_reciprocity_account a;
    tl_reciprocity_add_served(table, &people[HELPER].id, TL_NUMBER_EXACT_MAX, NOW);
    tl_reciprocity_add_relayed(table, &people[HELPER].id, TL_NUMBER_EXACT_MAX, NOW);
    tl_reciprocity_set_held(table, &people[HELPER].id, TL_NUMBER_EXACT_MAX, NOW);
    for (int i = ANNA; i <= BEN; i++) {
        tl_deeds d = praise(i, HELPER, TL_NUMBER_EXACT_MAX);
        d.count[TL_DEED_RELAYED] = d.count[TL_DEED_HELD] = TL_NUMBER_EXACT_MAX;
        assert_int_equal(tl_deeds_sign(&d, &people[i]), TL_OK);
        assert_int_equal(take(d), TL_DEEDS_TAKEN);
    }
    tl_reciprocity_explain(table, &people[HELPER].id, NOW, &a);
    assert_true(a.is);
    assert_int_equal(a.told[TL_DEED_SERVED], TL_NUMBER_EXACT_MAX);
    assert_true(strlen(a.words) < sizeof a.words - 1);
    assert_non_null(strstr(a.words, "fragments held;"));
}

static int64_t tokens_of(const tl_node_id *id)
{
    tl_reciprocity_account a;
    tl_reciprocity_explain(table, id, NOW, &a);
    return a.own[TL_DEED_SERVED];
}

static void there_is_room_for_so_many_and_the_least_worth_makes_it(void **state)
{
    (void)state;
    tl_node_id id = {{0}};
    tl_reciprocity_kept kept;
    size_t there = 0;
    tl_reciprocity_add_served(table, &people[HELPER].id, 5, NOW);
    tl_reciprocity_add_relayed(table, &people[HELPER].id, 1, NOW);
    for (uint32_t i = 1; i < TL_RECIPROCITY_OWN_MAX; i++) {
        memcpy(id.key, &i, sizeof i);
        tl_reciprocity_add_served(table, &id, 10, NOW);
    }
    assert_int_equal(tokens_of(&people[HELPER].id),
                     5); /* it was the first of just as many as fit */
    tl_reciprocity_add_served(table, &people[OTHER].id, 10, NOW);
    assert_int_equal(tokens_of(&people[OTHER].id), 10);
    assert_int_equal(tokens_of(&people[HELPER].id), 0);
    assert_false(tl_reciprocity_next_changed(table, &kept)); /* there is nothing to keep of it */
    for (uint32_t i = 1; i < TL_RECIPROCITY_OWN_MAX; i++) {
        memcpy(id.key, &i, sizeof i);
        there += tokens_of(&id) == 10;
    }
    assert_int_equal(there, TL_RECIPROCITY_OWN_MAX - 1);
    tl_reciprocity_add_served(table, &people[HELPER].id, 11, NOW); /* it comes back with more */
    assert_int_equal(tokens_of(&people[HELPER].id), 11);
}

static void of_many_that_did_little_none_pushes_out_who_did_much(void **state)
{
    (void)state;
    tl_node_id id = {{0}};
    tl_reciprocity_add_served(table, &people[HELPER].id, ENOUGH, NOW);
    for (uint32_t i = 0; i < TL_RECIPROCITY_OWN_MAX + 100; i++) {
        memcpy(id.key, &i, sizeof i);
        tl_reciprocity_add_served(table, &id, 10 + (i == TL_RECIPROCITY_OWN_MAX + 99), NOW);
    }
    assert_true(is(HELPER));
    tl_reciprocity_account a;
    tl_reciprocity_explain(table, &id, NOW, &a);
    assert_int_equal(a.own[TL_DEED_SERVED], 11); /* more than the least: it has its place */
    uint32_t late = TL_RECIPROCITY_OWN_MAX + 1;  /* no more than the least: none */
    memcpy(id.key, &late, sizeof late);
    tl_reciprocity_explain(table, &id, NOW, &a);
    assert_int_equal(a.own[TL_DEED_SERVED], 0);
}

/* --- over a restart --- */

static void what_is_to_be_kept_is_told_once_and_loads_back(void **state)
{
    (void)state;
    tl_reciprocity_kept kept, more;
    tl_reciprocity *again;
    tl_reciprocity_account a;
    assert_false(tl_reciprocity_next_changed(table, &kept));
    tl_reciprocity_add_served(table, &people[OTHER].id, 1000, NOW); /* the ledger has it */
    assert_false(tl_reciprocity_next_changed(table, &kept));
    tl_reciprocity_add_relayed(table, &people[HELPER].id, 1 << 20, NOW);
    tl_reciprocity_add_relayed(table, &people[HELPER].id, 1 << 20, NOW);
    tl_reciprocity_set_held(table, &people[HELPER].id, 4, NOW);
    assert_true(tl_reciprocity_next_changed(table, &kept));
    assert_false(tl_reciprocity_next_changed(table, &more));
    tl_reciprocity_set_held(table, &people[OTHER].id, 0, NOW); /* that changes something, too */
    assert_true(tl_reciprocity_next_changed(table, &more));
    assert_true(tl_node_id_eq(&more.node, &people[OTHER].id));
    assert_int_equal(tl_reciprocity_new(&people[US].id, &world, NULL, &again), TL_OK);
    tl_reciprocity_load_kept(again, &kept);
    tl_reciprocity_explain(again, &people[HELPER].id, NOW, &a);
    assert_int_equal(a.own[TL_DEED_RELAYED], 2 << 20);
    assert_int_equal(a.own[TL_DEED_HELD], 4);
    tl_deeds d = praise(ANNA, HELPER, ENOUGH), bad = praise(CARL, HELPER, ENOUGH);
    assert_int_equal(tl_reciprocity_load(again, &d, NOW), TL_DEEDS_TAKEN);
    assert_int_equal(tl_reciprocity_load(again, &d, NOW), TL_DEEDS_OLD);
    assert_int_equal(tl_reciprocity_load(again, &bad, NOW), TL_DEEDS_STRANGER);
    assert_true(tl_reciprocity_is(again, &people[HELPER].id, NOW));
    tl_reciprocity_free(again);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_kind_of_deed_alone_makes_a_node_reciprocal_at_its_mark),
        TEST(parts_of_the_marks_add_up),
        TEST(a_deed_halves_in_its_time_and_of_last_years_nothing_is_left),
        TEST(what_is_left_of_many_deeds_is_the_sum_of_what_is_left_of_each),
        TEST(a_clock_that_was_set_back_makes_no_deed_larger),
        TEST(our_own_deeds_and_no_deeds_count_nothing),
        TEST(the_explanation_has_the_figures_and_says_what_is_missing),
        TEST(the_longest_explanation_has_room),
        TEST(there_is_room_for_so_many_and_the_least_worth_makes_it),
        TEST(of_many_that_did_little_none_pushes_out_who_did_much),
        TEST(what_is_to_be_kept_is_told_once_and_loads_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
