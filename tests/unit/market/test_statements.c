/* On whose word a node counts as reciprocal. */
#include "people.h"

#include "market/receipt.h"

/* --- whose word counts --- */

static void what_strangers_sign_for_each_other_is_worth_nothing(void **state)
{
    (void)state;
    assert_int_equal(take(praise(CARL, HELPER, 100 * ENOUGH)), TL_DEEDS_STRANGER);
    assert_int_equal(take(praise(HELPER, CARL, 100 * ENOUGH)), TL_DEEDS_STRANGER);
    assert_false(is(HELPER));
    assert_false(is(CARL));
    assert_int_equal(take(praise(ANNA, HELPER, ENOUGH)), TL_DEEDS_TAKEN);
    assert_true(is(HELPER));
}

/* A receipt that two strangers made names neither us nor a member: there is no door for it. What comes as
 * a statement with the signature of a receipt is forged. */
static void a_receipt_that_strangers_made_is_no_statement(void **state)
{
    (void)state;
    tl_receipt r = {.request = "q",
                    .consumer = people[CARL].id,
                    .provider = people[HELPER].id,
                    .model = "m",
                    .tokens_in = 50 * ENOUGH,
                    .tokens_out = 50 * ENOUGH,
                    .at = NOW};
    json_t *o;
    tl_deeds d;
    assert_int_equal(tl_receipt_sign(&r, &people[CARL]), TL_OK);
    assert_int_equal(tl_receipt_sign(&r, &people[HELPER]), TL_OK);
    assert_int_equal(tl_receipt_write(&r, &o), TL_OK);
    assert_int_equal(tl_deeds_read(o, &d), TL_ERR_PROTO);
    json_decref(o);
    d = praise(ANNA, HELPER, ENOUGH);
    d.signature = r.provider_signature;
    assert_int_equal(take(d), TL_DEEDS_FORGED);
    assert_false(is(HELPER));
    assert_int_equal(take(praise(ANNA, HELPER, ENOUGH)), TL_DEEDS_TAKEN);
}

static void a_members_praise_of_itself_is_worth_nothing(void **state)
{
    (void)state;
    assert_int_equal(take(praise(ANNA, ANNA, 100 * ENOUGH)), TL_DEEDS_STRANGER);
    assert_false(is(ANNA));
    assert_int_equal(take(praise(BEN, ANNA, ENOUGH)), TL_DEEDS_TAKEN);
    assert_true(is(ANNA));
}

static void two_that_praise_each_other_count_among_their_fellow_members_alone(void **state)
{
    (void)state;
    tl_reciprocity *elsewhere;
    tl_deeds a = praise(ANNA, BEN, ENOUGH), b = praise(BEN, ANNA, ENOUGH);
    assert_int_equal(take(a), TL_DEEDS_TAKEN);
    assert_int_equal(take(b), TL_DEEDS_TAKEN);
    assert_true(is(ANNA) && is(BEN));
    members[ANNA] = members[BEN] =
        false; /* as another node sees them, which is in none of theirs */
    assert_int_equal(tl_reciprocity_new(&people[OTHER].id, &world, NULL, &elsewhere), TL_OK);
    assert_int_equal(tl_reciprocity_take(elsewhere, &a, NOW), TL_DEEDS_STRANGER);
    assert_int_equal(tl_reciprocity_take(elsewhere, &b, NOW), TL_DEEDS_STRANGER);
    assert_false(tl_reciprocity_is(elsewhere, &people[ANNA].id, NOW));
    assert_false(tl_reciprocity_is(elsewhere, &people[BEN].id, NOW));
    tl_reciprocity_free(elsewhere);
}

static void statements_of_us_or_by_us_tell_us_nothing(void **state)
{
    (void)state;
    assert_int_equal(take(praise(ANNA, US, ENOUGH)), TL_DEEDS_OURS);
    assert_int_equal(take(praise(US, HELPER, ENOUGH)), TL_DEEDS_OURS);
    assert_false(is(US));
    assert_false(is(HELPER));
}

static void who_is_revoked_counts_no_more_and_is_forgotten(void **state)
{
    (void)state;
    assert_int_equal(take(praise(ANNA, HELPER, ENOUGH)), TL_DEEDS_TAKEN);
    assert_int_equal(take(praise(BEN, OTHER, ENOUGH)), TL_DEEDS_TAKEN);
    assert_true(is(HELPER));
    members[ANNA] = false;
    assert_false(is(HELPER)); /* at once, whoever has swept */
    assert_int_equal(tl_reciprocity_count(table), 2);
    tl_reciprocity_sweep(table, NOW);
    assert_int_equal(tl_reciprocity_count(table), 1);
    assert_int_equal(forgotten, 1);
    assert_true(tl_node_id_eq(&last_forgotten, &people[ANNA].id));
    assert_true(is(OTHER)); /* its twin */
    members[ANNA] = true;   /* it is back, with nothing: it must say it again */
    assert_false(is(HELPER));
    assert_int_equal(take(praise(ANNA, HELPER, ENOUGH)), TL_DEEDS_TAKEN);
    assert_true(is(HELPER));
}

/* --- replays, numbers, times --- */

static void a_statement_is_taken_once_and_an_older_one_never_again(void **state)
{
    (void)state;
    tl_deeds old = praise(ANNA, HELPER, 5 * ENOUGH), new = praise(ANNA, HELPER, ENOUGH / 2);
    new.sequence = old.sequence + 1;
    assert_int_equal(tl_deeds_sign(&new, &people[ANNA]), TL_OK);
    assert_int_equal(take(old), TL_DEEDS_TAKEN);
    assert_int_equal(take(old), TL_DEEDS_OLD);
    assert_true(is(HELPER));
    assert_int_equal(take(new), TL_DEEDS_TAKEN); /* it takes the place of the other */
    assert_false(is(HELPER));
    assert_int_equal(take(old), TL_DEEDS_OLD);
    assert_int_equal(take(new), TL_DEEDS_OLD);
    assert_false(is(HELPER));
    assert_int_equal(tl_reciprocity_count(table), 1);
    tl_deeds of_ben = old;
    of_ben.by = people[BEN].id; /* another signer has numbers of its own */
    assert_int_equal(tl_deeds_sign(&of_ben, &people[BEN]), TL_OK);
    assert_int_equal(take(of_ben), TL_DEEDS_TAKEN);
    assert_true(is(HELPER));
}

static void a_statement_ends_and_falls_as_deeds_do(void **state)
{
    (void)state;
    assert_int_equal(take(praise(ANNA, HELPER, 10 * ENOUGH)), TL_DEEDS_TAKEN);
    assert_true(is_at(HELPER, NOW + TL_DEEDS_LIFE - 1));
    assert_false(is_at(HELPER, NOW + TL_DEEDS_LIFE));
    tl_reciprocity_sweep(table, NOW + TL_DEEDS_LIFE - 1);
    assert_int_equal(tl_reciprocity_count(table), 1);
    tl_reciprocity_sweep(table, NOW + TL_DEEDS_LIFE);
    assert_int_equal(tl_reciprocity_count(table), 0);
    assert_int_equal(forgotten, 0); /* the signer is a member still */
    tl_deeds d = praise(BEN, OTHER, ENOUGH + ENOUGH / 2);
    assert_int_equal(take(d), TL_DEEDS_TAKEN);
    assert_true(is_at(OTHER, NOW + 15 * DAY));
    assert_false(is_at(OTHER, NOW + 20 * DAY));
}

static void a_statement_that_ended_or_is_of_the_future_is_not_taken(void **state)
{
    (void)state;
    tl_deeds d = praise(ANNA, HELPER, ENOUGH);
    assert_int_equal(tl_reciprocity_take(table, &d, NOW + TL_DEEDS_LIFE), TL_DEEDS_EXPIRED);
    assert_int_equal(tl_reciprocity_take(table, &d, NOW - TL_RECIPROCITY_AHEAD - 1),
                     TL_DEEDS_EARLY);
    assert_int_equal(tl_reciprocity_count(table), 0);
    assert_int_equal(tl_reciprocity_take(table, &d, NOW - TL_RECIPROCITY_AHEAD), TL_DEEDS_TAKEN);
}

static void a_forged_statement_changes_nothing(void **state)
{
    (void)state;
    tl_deeds good = praise(ANNA, HELPER, ENOUGH / 2), bad = good;
    assert_int_equal(take(good), TL_DEEDS_TAKEN);
    bad.sequence++;
    bad.count[TL_DEED_SERVED] = 100 * ENOUGH;
    assert_int_equal(take(bad), TL_DEEDS_FORGED);
    assert_false(is(HELPER));
    assert_int_equal(tl_deeds_sign(&bad, &people[ANNA]), TL_OK); /* its twin */
    assert_int_equal(take(bad), TL_DEEDS_TAKEN);
    assert_true(is(HELPER));
}

static void a_statement_worth_nothing_takes_no_room(void **state)
{
    (void)state;
    assert_int_equal(take(praise(ANNA, HELPER, ENOUGH / 100 - 1)), TL_DEEDS_NOTHING);
    assert_int_equal(tl_reciprocity_count(table), 0);
    assert_int_equal(take(praise(ANNA, HELPER, ENOUGH / 100)), TL_DEEDS_TAKEN);
}

/* --- floods --- */

static tl_deeds made_up(uint32_t by, uint32_t node, int64_t tokens, tl_unix issued_at)
{
    tl_deeds d = {.count = {0, tokens, 0},
                  .sequence = issued_at,
                  .issued_at = issued_at,
                  .expires_at = NOW + 1000};
    memcpy(d.by.key, &by, sizeof by);
    memcpy(d.node.key, &node, sizeof node);
    d.by.key[31] = 0x81; /* a member */
    d.node.key[31] = 0x40;
    return d;
}

/* As if their signatures had been checked: what a table holds does not depend on it. */
static tl_deeds_verdict load(const tl_deeds *d)
{
    return tl_reciprocity_load(table, d, NOW);
}

static void one_signer_has_so_many_and_its_oldest_makes_room(void **state)
{
    (void)state;
    assert_int_equal(take(praise(ANNA, HELPER, ENOUGH)), TL_DEEDS_TAKEN);
    for (uint32_t i = 0; i < 3 * TL_RECIPROCITY_OF_SIGNER; i++) {
        tl_deeds d = made_up(1, i, 2 * ENOUGH, NOW - 1000 + i);
        assert_int_equal(load(&d), TL_DEEDS_TAKEN);
    }
    assert_int_equal(tl_reciprocity_count(table), 1 + TL_RECIPROCITY_OF_SIGNER);
    tl_deeds oldest = made_up(1, 0, ENOUGH, 1),
             newest = made_up(1, 3 * TL_RECIPROCITY_OF_SIGNER - 1, ENOUGH, 1);
    assert_false(tl_reciprocity_is(table, &oldest.node, NOW));
    assert_true(tl_reciprocity_is(table, &newest.node, NOW));
    assert_true(is(HELPER)); /* of another signer */
}

static void no_flood_of_little_praise_hides_who_praises_much(void **state)
{
    (void)state;
    assert_int_equal(take(praise(ANNA, HELPER, ENOUGH)), TL_DEEDS_TAKEN);
    tl_deeds d;
    size_t taken = 0;
    for (uint32_t i = 0; i < 10 * TL_RECIPROCITY_OF_NODE; i++) {
        d = made_up(i + 1, 0, ENOUGH / 100, NOW);
        d.node = people[HELPER].id;
        taken += load(&d) == TL_DEEDS_TAKEN;
    }
    assert_int_equal(taken, TL_RECIPROCITY_OF_NODE - 1);
    assert_int_equal(tl_reciprocity_count(table), TL_RECIPROCITY_OF_NODE);
    assert_true(is(HELPER));
    d = made_up(1, 0, ENOUGH / 100, NOW); /* a newer one of a signer that has one finds its place */
    d.node = people[HELPER].id;
    d.sequence++;
    assert_int_equal(load(&d), TL_DEEDS_TAKEN);
    assert_int_equal(take(praise(BEN, HELPER, ENOUGH)), TL_DEEDS_TAKEN); /* worth more than most */
    assert_int_equal(tl_reciprocity_count(table), TL_RECIPROCITY_OF_NODE);
}

static void what_is_dropped_or_has_ended_leaves_its_room_to_others(void **state)
{
    (void)state;
    tl_deeds d;
    for (int round = 0; round < 3; round++) { /* swept away, and then full again */
        tl_reciprocity_sweep(table, NOW + 1000);
        assert_int_equal(tl_reciprocity_count(table), 0);
        for (uint32_t i = 0; i < TL_RECIPROCITY_OF_NODE; i++) {
            d = made_up(i + 1, 0, ENOUGH, NOW);
            assert_int_equal(load(&d), TL_DEEDS_TAKEN);
        }
        d = made_up(1000, 0, ENOUGH / 2, NOW);
        assert_int_equal(load(&d), TL_DEEDS_FULL);
    }
    d.expires_at += 1000; /* the others have ended, and are not swept away yet */
    assert_int_equal(tl_reciprocity_load(table, &d, NOW + 999), TL_DEEDS_FULL);
    assert_int_equal(tl_reciprocity_load(table, &d, NOW + 1000), TL_DEEDS_TAKEN);
    assert_int_equal(tl_reciprocity_count(table), TL_RECIPROCITY_OF_NODE);
}

static void all_together_are_bounded_and_who_has_most_makes_room(void **state)
{
    (void)state;
    assert_int_equal(take(praise(ANNA, HELPER, ENOUGH)), TL_DEEDS_TAKEN);
    uint32_t signers = 2 * TL_RECIPROCITY_ALL / TL_RECIPROCITY_OF_SIGNER, subject = 0;
    for (uint32_t g = 0; g < signers; g++)
        for (uint32_t i = 0; i < TL_RECIPROCITY_OF_SIGNER; i++) {
            tl_deeds d = made_up(g + 1, subject++, ENOUGH, NOW);
            assert_int_equal(load(&d), TL_DEEDS_TAKEN);
            assert_true(tl_reciprocity_count(table) <= TL_RECIPROCITY_ALL);
        }
    assert_int_equal(tl_reciprocity_count(table), TL_RECIPROCITY_ALL);
    assert_true(is(HELPER)); /* who signed one statement keeps it */
}

/* --- what we say --- */

static void what_we_say_is_our_own_record_and_never_what_others_told(void **state)
{
    (void)state;
    tl_deeds d;
    bool is_new;
    assert_int_equal(take(praise(ANNA, HELPER, 50 * ENOUGH)), TL_DEEDS_TAKEN);
    assert_int_equal(tl_reciprocity_tell(table, &people[HELPER].id, &people[US], NOW, &d, &is_new),
                     TL_ERR_NOT_FOUND);
    tl_reciprocity_add_served(table, &people[HELPER].id, ENOUGH / 100 - 1, NOW);
    assert_int_equal(tl_reciprocity_tell(table, &people[HELPER].id, &people[US], NOW, &d, &is_new),
                     TL_ERR_NOT_FOUND); /* too little to be told */
    tl_reciprocity_add_served(table, &people[HELPER].id, 1, NOW);
    assert_int_equal(tl_reciprocity_tell(table, &people[HELPER].id, &people[US], NOW, &d, &is_new),
                     TL_OK);
    tl_reciprocity_add_served(table, &people[HELPER].id, 500 - ENOUGH / 100, NOW);
    tl_reciprocity_add_relayed(table, &people[HELPER].id, 700, NOW);
    tl_reciprocity_set_held(table, &people[HELPER].id, 3, NOW);
    assert_int_equal(tl_reciprocity_tell(table, &people[HELPER].id, &people[US], NOW, &d, &is_new),
                     TL_OK);
    assert_true(is_new);
    assert_int_equal(tl_deeds_verify(&d), TL_OK);
    assert_int_equal(d.count[TL_DEED_SERVED], 500);
    assert_int_equal(d.count[TL_DEED_RELAYED], 700);
    assert_int_equal(d.count[TL_DEED_HELD], 3);
    assert_int_equal(d.expires_at, NOW + TL_DEEDS_LIFE);
}

static void it_is_signed_anew_where_it_is_old_or_more_was_done_and_its_number_grows(void **state)
{
    (void)state;
    tl_deeds first, d;
    bool is_new;
    const tl_node_id *helper = &people[HELPER].id;
    tl_reciprocity_add_served(table, helper, 1000, NOW);
    assert_int_equal(tl_reciprocity_tell(table, helper, &people[US], NOW, &first, &is_new), TL_OK);
    assert_int_equal(tl_reciprocity_tell(table, helper, &people[US], NOW, &d, &is_new), TL_OK);
    assert_false(is_new);
    assert_int_equal(tl_reciprocity_tell(table, helper, &people[US], NOW + 599, &d, &is_new),
                     TL_OK);
    assert_false(is_new);
    assert_memory_equal(&d, &first, sizeof d);
    tl_reciprocity_add_served(table, helper, 1000, NOW);
    assert_int_equal(tl_reciprocity_tell(table, helper, &people[US], NOW, &d, &is_new), TL_OK);
    assert_true(is_new);
    assert_int_equal(d.sequence, first.sequence + 1);
    first = d;
    assert_int_equal(tl_reciprocity_tell(table, helper, &people[US], NOW + 600, &d, &is_new),
                     TL_OK);
    assert_true(is_new);
    assert_true(d.sequence > first.sequence);
    first = d; /* the clock was set back: the number grows all the same */
    assert_int_equal(tl_reciprocity_tell(table, helper, &people[US], NOW - 9999, &d, &is_new),
                     TL_OK);
    assert_true(is_new);
    assert_int_equal(d.sequence, first.sequence + 1);
    assert_int_equal(tl_reciprocity_count(table), 1);
    assert_false(is(HELPER)); /* what we say is not counted twice */
}

static void a_fragment_that_was_proven_within_a_day_is_a_whole_one(void **state)
{
    (void)state;
    tl_deeds d;
    bool is_new;
    const tl_node_id *helper = &people[HELPER].id;
    tl_reciprocity_set_held(table, helper, 1, NOW - DAY + 60);
    assert_int_equal(tl_reciprocity_tell(table, helper, &people[US], NOW, &d, &is_new), TL_OK);
    assert_int_equal(d.count[TL_DEED_HELD], 1);
}

/* Who asks again and again must not have it signed, and stored, each time. */
static void parts_of_a_fragment_are_neither_told_nor_a_reason_to_sign_anew(void **state)
{
    (void)state;
    tl_deeds d;
    bool is_new;
    const tl_node_id *helper = &people[HELPER].id, *other = &people[OTHER].id;
    tl_reciprocity_set_held(table, helper, 1, NOW - 3 * DAY); /* 0.93 are left */
    assert_int_equal(tl_reciprocity_tell(table, helper, &people[US], NOW, &d, &is_new),
                     TL_ERR_NOT_FOUND);
    tl_reciprocity_set_held(table, other, 2, NOW - 3 * DAY); /* 1.87 */
    assert_int_equal(tl_reciprocity_tell(table, other, &people[US], NOW, &d, &is_new), TL_OK);
    assert_true(is_new);
    assert_int_equal(d.count[TL_DEED_HELD], 1);
    assert_int_equal(tl_reciprocity_tell(table, other, &people[US], NOW + 1, &d, &is_new), TL_OK);
    assert_false(is_new);
}

static void our_own_ones_load_until_they_end_and_their_numbers_go_on(void **state)
{
    (void)state;
    tl_deeds d = praise(US, HELPER, 1000), next;
    bool is_new;
    d.sequence = NOW + 77;
    assert_int_equal(tl_reciprocity_load(table, &d, NOW + TL_DEEDS_LIFE), TL_DEEDS_EXPIRED);
    assert_int_equal(tl_reciprocity_count(table), 0);
    assert_int_equal(tl_reciprocity_load(table, &d, NOW + TL_DEEDS_LIFE - 1), TL_DEEDS_TAKEN);
    assert_int_equal(tl_reciprocity_count(table), 1);
    tl_reciprocity_add_served(table, &people[HELPER].id, 5000, NOW);
    assert_int_equal(
        tl_reciprocity_tell(table, &people[HELPER].id, &people[US], NOW, &next, &is_new), TL_OK);
    assert_true(is_new);
    assert_int_equal(next.sequence, NOW + 78);
}

static void collect(void *user, const tl_deeds *d)
{
    size_t *n = user;
    assert_false(tl_node_id_eq(&d->by, &people[US].id));
    ++*n;
}

static void statements_of_members_are_handed_on_and_of_no_one_else(void **state)
{
    (void)state;
    tl_deeds d;
    bool is_new;
    size_t n = 0;
    tl_reciprocity_add_served(table, &people[HELPER].id, 1000, NOW);
    assert_int_equal(tl_reciprocity_tell(table, &people[HELPER].id, &people[US], NOW, &d, &is_new),
                     TL_OK);
    assert_int_equal(take(praise(ANNA, HELPER, 1000)), TL_DEEDS_TAKEN);
    assert_int_equal(take(praise(BEN, HELPER, 1000)), TL_DEEDS_TAKEN);
    tl_reciprocity_each(table, &people[HELPER].id, NOW, collect, &n);
    assert_int_equal(n, 2);
    members[BEN] = false;
    tl_reciprocity_each(table, &people[HELPER].id, NOW, collect, &n);
    assert_int_equal(n, 3);
    tl_reciprocity_each(table, &people[OTHER].id, NOW, collect, &n);
    assert_int_equal(n, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_strangers_sign_for_each_other_is_worth_nothing),
        TEST(a_receipt_that_strangers_made_is_no_statement),
        TEST(a_members_praise_of_itself_is_worth_nothing),
        TEST(two_that_praise_each_other_count_among_their_fellow_members_alone),
        TEST(statements_of_us_or_by_us_tell_us_nothing),
        TEST(who_is_revoked_counts_no_more_and_is_forgotten),
        TEST(a_statement_is_taken_once_and_an_older_one_never_again),
        TEST(a_statement_ends_and_falls_as_deeds_do),
        TEST(a_statement_that_ended_or_is_of_the_future_is_not_taken),
        TEST(a_forged_statement_changes_nothing),
        TEST(a_statement_worth_nothing_takes_no_room),
        TEST(one_signer_has_so_many_and_its_oldest_makes_room),
        TEST(no_flood_of_little_praise_hides_who_praises_much),
        TEST(what_is_dropped_or_has_ended_leaves_its_room_to_others),
        TEST(all_together_are_bounded_and_who_has_most_makes_room),
        TEST(what_we_say_is_our_own_record_and_never_what_others_told),
        TEST(it_is_signed_anew_where_it_is_old_or_more_was_done_and_its_number_grows),
        TEST(a_fragment_that_was_proven_within_a_day_is_a_whole_one),
        TEST(parts_of_a_fragment_are_neither_told_nor_a_reason_to_sign_anew),
        TEST(our_own_ones_load_until_they_end_and_their_numbers_go_on),
        TEST(statements_of_members_are_handed_on_and_of_no_one_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
