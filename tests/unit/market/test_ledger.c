#include "market/ledger.h"

#include "base/rand.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* --- what a question costs --- */

static void a_question_costs_its_tokens_by_the_price_rounded_up(void **state)
{
    (void)state;
    static const struct {
        int64_t in, out, price, amount;
    } v[] = {{0, 0, 1000, 0},
             {1, 0, 1, 1},
             {500, 500, 1, 1},
             {500, 501, 1, 2},
             {10, 10, 0, 0},
             {10, 20, 1000, 30},
             {3, 0, 333, 1},
             {4, 0, 333, 2},
             {TL_MONEY_MAX, 0, 1000, TL_MONEY_MAX},
             {1000, 0, TL_MONEY_MAX, TL_MONEY_MAX},
             {0, 999, TL_MONEY_MAX, 8998192055486251}};
    for (size_t i = 0; i < sizeof v / sizeof *v; i++) {
        int64_t amount = -1;
        assert_int_equal(tl_ledger_amount(v[i].in, v[i].out, v[i].price, &amount), TL_OK);
        assert_int_equal(amount, v[i].amount);
    }
}

static void what_is_negative_or_too_much_has_no_amount(void **state)
{
    (void)state;
    static const int64_t v[][3] = {{-1, 0, 1},
                                   {0, -1, 1},
                                   {1, 1, -1},
                                   {INT64_MIN, 0, 1},
                                   {TL_MONEY_MAX + 1, 0, 0},
                                   {0, INT64_MAX, 1},
                                   {1, 0, INT64_MAX},
                                   {TL_MONEY_MAX, 1, 1000},
                                   {1001, 0, TL_MONEY_MAX},
                                   {TL_MONEY_MAX, TL_MONEY_MAX, TL_MONEY_MAX}};
    for (size_t i = 0; i < sizeof v / sizeof *v; i++) {
        int64_t amount = 77;
        assert_int_equal(tl_ledger_amount(v[i][0], v[i][1], v[i][2], &amount), TL_ERR_INVALID);
        assert_int_equal(amount, 77);
    }
}

static void the_measure_of_a_prompt_is_a_quarter_of_its_bytes_rounded_up(void **state)
{
    (void)state;
    assert_int_equal(tl_ledger_prompt_tokens(0), 0);
    assert_int_equal(tl_ledger_prompt_tokens(1), 1);
    assert_int_equal(tl_ledger_prompt_tokens(4), 1);
    assert_int_equal(tl_ledger_prompt_tokens(5), 2);
    assert_int_equal(tl_ledger_prompt_tokens(UINT64_MAX), TL_MONEY_MAX);
    assert_int_equal(tl_ledger_answer_tokens(0), 1024);
    assert_int_equal(tl_ledger_answer_tokens(7), 7);
    assert_int_equal(tl_ledger_answer_tokens(UINT64_MAX), TL_MONEY_MAX);
}

/* --- claims --- */

static const tl_node_id self = {{1}}, peer = {{2}}, stranger = {{3}}, net = {{4}};

static tl_ledger_entry asked(void)
{
    return (tl_ledger_entry){.kind = TL_LEDGER_QUESTION,
                             .role = TL_LEDGER_ASKED,
                             .state = TL_LEDGER_HELD,
                             .request = "q",
                             .peer = peer,
                             .has_network = true,
                             .network = net,
                             .model = "m",
                             .price = 1000,
                             .cap = {10, 20}};
}

static tl_receipt claimed(void)
{
    return (tl_receipt){.request = "q",
                        .consumer = self,
                        .provider = peer,
                        .has_network = true,
                        .network = net,
                        .model = "m",
                        .tokens_in = 10,
                        .tokens_out = 20,
                        .amount = 30,
                        .at = 7};
}

static void a_claim_for_what_was_seen_is_signed(void **state)
{
    (void)state;
    tl_ledger_entry e = asked();
    tl_receipt r = claimed();
    assert_int_equal(tl_ledger_judge(&e, &r), TL_CLAIM_OK);
    e.state = TL_LEDGER_VOIDED; /* by a crash */
    assert_int_equal(tl_ledger_judge(&e, &r), TL_CLAIM_OK);
    r.tokens_out = 5; /* deflated: a gift */
    r.amount = 3;
    assert_int_equal(tl_ledger_judge(&e, &r), TL_CLAIM_OK);
}

static void an_inflated_claim_is_not_signed(void **state)
{
    (void)state;
    tl_ledger_entry e = asked();
    tl_receipt r = claimed();
    r.tokens_in = 11;
    assert_int_equal(tl_ledger_judge(&e, &r), TL_CLAIM_COUNTS);
    r = claimed();
    r.tokens_out = 21;
    assert_int_equal(tl_ledger_judge(&e, &r), TL_CLAIM_COUNTS);
    r = claimed();
    r.amount = 31;
    assert_int_equal(tl_ledger_judge(&e, &r), TL_CLAIM_AMOUNT);
    r = claimed();
    r.tokens_out = 0; /* fewer tokens than the money asked for them */
    assert_int_equal(tl_ledger_judge(&e, &r), TL_CLAIM_AMOUNT);
    e.price = 0; /* a free question stays free */
    r = claimed();
    assert_int_equal(tl_ledger_judge(&e, &r), TL_CLAIM_AMOUNT);
    r.amount = 0;
    assert_int_equal(tl_ledger_judge(&e, &r), TL_CLAIM_OK);
}

static void a_claim_of_another_question_peer_network_or_model_is_not_signed(void **state)
{
    (void)state;
    tl_ledger_entry e = asked();
    tl_receipt r = claimed();
    r.request[0] = 'p';
    assert_int_equal(tl_ledger_judge(&e, &r), TL_CLAIM_OTHER);
    r = claimed();
    r.provider = stranger;
    assert_int_equal(tl_ledger_judge(&e, &r), TL_CLAIM_OTHER);
    r = claimed();
    r.has_network = false;
    assert_int_equal(tl_ledger_judge(&e, &r), TL_CLAIM_OTHER);
    r = claimed();
    r.network = stranger;
    assert_int_equal(tl_ledger_judge(&e, &r), TL_CLAIM_OTHER);
    r = claimed();
    r.model[0] = 'n';
    assert_int_equal(tl_ledger_judge(&e, &r), TL_CLAIM_OTHER);
    r = claimed();
    e.role = TL_LEDGER_SERVED;
    assert_int_equal(tl_ledger_judge(&e, &r), TL_CLAIM_OTHER);
}

static void a_question_is_paid_once(void **state)
{
    (void)state;
    tl_ledger_entry e = asked();
    tl_receipt r = claimed();
    e.state = TL_LEDGER_POSTED;
    e.has_receipt = true;
    e.receipt = r;
    assert_int_equal(tl_ledger_judge(&e, &r), TL_CLAIM_AGAIN);
    r.at++;
    assert_int_equal(tl_ledger_judge(&e, &r), TL_CLAIM_OTHER);
    r = claimed();
    r.amount--;
    assert_int_equal(tl_ledger_judge(&e, &r), TL_CLAIM_OTHER);
}

static void for_what_failed_nothing_is_signed(void **state)
{
    (void)state;
    tl_ledger_entry e = asked();
    tl_receipt r = claimed();
    e.state = TL_LEDGER_VOIDED;
    e.cap = (tl_tokens){0, 0};
    assert_int_equal(tl_ledger_judge(&e, &r), TL_CLAIM_NOTHING);
    r.tokens_in = r.tokens_out = r.amount = 0;
    assert_int_equal(tl_ledger_judge(&e, &r), TL_CLAIM_NOTHING);
}

/* --- what a peer may owe --- */

static void a_peer_owes_no_more_than_its_limit(void **state)
{
    (void)state;
    tl_ledger_sums s = {0};
    assert_int_equal(tl_ledger_hold(&s, 60, 100), TL_OK);
    assert_int_equal(tl_ledger_hold(&s, 41, 100), TL_ERR_FORBIDDEN);
    assert_int_equal(tl_ledger_hold(&s, 40, 100), TL_OK);
    assert_int_equal(s.held, 100);
    assert_int_equal(tl_ledger_hold(&s, 1, 100), TL_ERR_FORBIDDEN);
    assert_int_equal(tl_ledger_hold(&s, 0, 100), TL_OK); /* what is free is free */
    tl_ledger_release(&s, 60);
    assert_int_equal(tl_ledger_count(&s, TL_LEDGER_QUESTION, TL_LEDGER_SERVED, 50), TL_OK);
    assert_int_equal(tl_ledger_hold(&s, 11, 100), TL_ERR_FORBIDDEN);
    assert_int_equal(tl_ledger_hold(&s, 10, 100), TL_OK);
    assert_int_equal(tl_ledger_hold(&s, 1, 0), TL_ERR_FORBIDDEN); /* the limit was lowered */
}

static void who_paid_or_served_may_owe_so_much_more(void **state)
{
    (void)state;
    tl_ledger_sums s = {0};
    assert_int_equal(tl_ledger_count(&s, TL_LEDGER_QUESTION, TL_LEDGER_SERVED, 100), TL_OK);
    assert_int_equal(tl_ledger_hold(&s, 1, 100), TL_ERR_FORBIDDEN);
    assert_int_equal(tl_ledger_count(&s, TL_LEDGER_SETTLEMENT, TL_LEDGER_SERVED, 30), TL_OK);
    assert_int_equal(tl_ledger_balance(&s), 70);
    assert_int_equal(tl_ledger_hold(&s, 30, 100), TL_OK);
    assert_int_equal(tl_ledger_count(&s, TL_LEDGER_QUESTION, TL_LEDGER_ASKED, 90), TL_OK);
    assert_int_equal(tl_ledger_balance(&s), -20);
    assert_int_equal(tl_ledger_hold(&s, 91, 100), TL_ERR_FORBIDDEN);
    assert_int_equal(tl_ledger_hold(&s, 90, 100), TL_OK);
    assert_int_equal(tl_ledger_count(&s, TL_LEDGER_SETTLEMENT, TL_LEDGER_ASKED, 20), TL_OK);
    assert_int_equal(tl_ledger_balance(&s), 0);
}

static void no_amount_makes_a_sum_run_over(void **state)
{
    (void)state;
    tl_ledger_sums s = {0};
    assert_int_equal(tl_ledger_hold(&s, -1, 100), TL_ERR_INVALID);
    assert_int_equal(tl_ledger_hold(&s, 1, -1), TL_ERR_INVALID);
    assert_int_equal(tl_ledger_hold(&s, INT64_MAX, 100), TL_ERR_INVALID);
    assert_int_equal(tl_ledger_hold(&s, TL_MONEY_MAX, TL_MONEY_MAX), TL_OK);
    assert_int_equal(tl_ledger_hold(&s, 1, TL_MONEY_MAX), TL_ERR_FORBIDDEN);
    assert_int_equal(tl_ledger_count(&s, TL_LEDGER_QUESTION, TL_LEDGER_SERVED, -1), TL_ERR_INVALID);
    assert_int_equal(tl_ledger_count(&s, TL_LEDGER_QUESTION, TL_LEDGER_SERVED, TL_MONEY_MAX),
                     TL_OK);
    assert_int_equal(tl_ledger_count(&s, TL_LEDGER_QUESTION, TL_LEDGER_SERVED, 1), TL_ERR_INVALID);
    assert_int_equal(s.earned, TL_MONEY_MAX);
}

/* A's books and B's say the same, with opposite signs, after whatever passed between the two. */
static void two_sides_of_one_account_are_each_others_opposite(void **state)
{
    (void)state;
    tl_rand rand = tl_rand_seeded(8);
    tl_ledger_sums a = {0}, b = {0};
    for (int i = 0; i < 10000; i++) {
        tl_ledger_kind kind = (tl_ledger_kind)tl_rand_below(&rand, 2);
        tl_ledger_role role = (tl_ledger_role)tl_rand_below(&rand, 2);
        int64_t amount = (int64_t)tl_rand_below(&rand, 1000000);
        assert_int_equal(tl_ledger_count(&a, kind, role, amount), TL_OK);
        assert_int_equal(tl_ledger_count(&b, kind, (tl_ledger_role)!role, amount), TL_OK);
        assert_int_equal(tl_ledger_balance(&a), -tl_ledger_balance(&b));
    }
}

static void no_more_is_settled_than_is_owed(void **state)
{
    (void)state;
    tl_ledger_sums s = {.earned = 10};
    tl_ledger_role role = TL_LEDGER_ASKED;
    assert_int_equal(tl_ledger_may_settle(&s, 11, &role), TL_ERR_INVALID);
    assert_int_equal(tl_ledger_may_settle(&s, 0, &role), TL_ERR_INVALID);
    assert_int_equal(tl_ledger_may_settle(&s, -1, &role), TL_ERR_INVALID);
    assert_int_equal(tl_ledger_may_settle(&s, 10, &role), TL_OK);
    assert_int_equal(role, TL_LEDGER_SERVED);
    s.spent = 15;
    assert_int_equal(tl_ledger_may_settle(&s, 5, &role), TL_OK);
    assert_int_equal(role, TL_LEDGER_ASKED);
    assert_int_equal(tl_ledger_may_settle(&s, 6, &role), TL_ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_question_costs_its_tokens_by_the_price_rounded_up),
        cmocka_unit_test(what_is_negative_or_too_much_has_no_amount),
        cmocka_unit_test(the_measure_of_a_prompt_is_a_quarter_of_its_bytes_rounded_up),
        cmocka_unit_test(a_claim_for_what_was_seen_is_signed),
        cmocka_unit_test(an_inflated_claim_is_not_signed),
        cmocka_unit_test(a_claim_of_another_question_peer_network_or_model_is_not_signed),
        cmocka_unit_test(a_question_is_paid_once),
        cmocka_unit_test(for_what_failed_nothing_is_signed),
        cmocka_unit_test(a_peer_owes_no_more_than_its_limit),
        cmocka_unit_test(who_paid_or_served_may_owe_so_much_more),
        cmocka_unit_test(no_amount_makes_a_sum_run_over),
        cmocka_unit_test(two_sides_of_one_account_are_each_others_opposite),
        cmocka_unit_test(no_more_is_settled_than_is_owed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
