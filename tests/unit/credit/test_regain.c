/* Books that are an older copy: what both have signed since comes back from the peer. */
#include "pair.h"

static void trade_all(pair *p, const char *prefix, int n)
{
    char request[32];
    for (int i = 0; i < n; i++) {
        snprintf(request, sizeof request, "%s%d", prefix, i);
        assert_true(trade(p, request, 1, 1));
    }
}

static void what_a_restored_provider_earned_since_its_copy_comes_back(void **state)
{
    pair *p = *state;
    trade_all(p, "before", 3);
    content copy = keep_books(&p->b);
    trade_all(p, "since", 2 * TL_BOOK_READ_MAX + 5);
    int64_t owed = balance(&p->b);
    put_books_back(&p->b, &copy);
    assert_int_equal(balance(&p->b), 6);
    connect_pair(p);
    assert_even(p, owed);
    assert_int_equal(tl_credit_counters_of(p->b.credit)->regained, 2 * TL_BOOK_READ_MAX + 5);
    assert_int_equal(tl_credit_counters_of(p->b.credit)->malformed, 0);
    assert_int_equal(tl_credit_counters_of(p->a.credit)->malformed, 0);
    connect_pair(p); /* again: once each */
    assert_even(p, owed);
    assert_false(trade(p, "since0", 1, 1)); /* it is charged already */
    assert_true(trade(p, "after", 1, 1));
    assert_even(p, owed + 2);
}

static void what_a_restored_consumer_owes_since_its_copy_comes_back(void **state)
{
    pair *p = *state;
    trade_all(p, "before", 2);
    content copy = keep_books(&p->a);
    trade_all(p, "since", 7);
    put_books_back(&p->a, &copy);
    connect_pair(p);
    assert_even(p, 18);
    assert_int_equal(p->a.served_n, 2 + 7 + 7); /* and its thanks, which the copy lacked, too */
}

static void what_was_asked_over_a_connection_that_ended_is_asked_again(void **state)
{
    pair *p = *state;
    content copy = keep_books(&p->b);
    trade_all(p, "since", 3);
    put_books_back(&p->b, &copy);
    p->a.is_silent = true; /* the answer is lost */
    connect_pair(p);
    assert_int_equal(balance(&p->b), 0);
    p->a.is_silent = false;
    pass_time(p, TL_CREDIT_AGAIN_FIRST);
    assert_even(p, 6);
    unsigned told = p->b.told;
    pass_time(p, TL_MIN);
    assert_int_equal(p->b.told, told);
}

static void who_knows_no_such_question_is_asked_a_few_times(void **state)
{
    pair *p = *state;
    assert_true(trade(p, "q", 1, 1));
    content copy = keep_books(&p->b);
    put_books_back(&p->b, &copy);
    p->a.is_silent = true;
    unsigned told = p->b.told;
    connect_pair(p);
    for (int s = 0; s < 3600; s++)
        pass_time(p, TL_SEC);
    assert_in_range(p->b.told - told, 2, 8);
}

static void a_signature_that_the_copy_lacks_comes_back(void **state)
{
    pair *p = *state;
    p->a.is_silent = true;
    assert_true(trade(p, "q", 1, 1));
    content copy = keep_books(&p->b);
    p->a.is_silent = false;
    connect_pair(p);
    assert_int_equal(unsigned_at(&p->b), 0);
    put_books_back(&p->b, &copy);
    assert_int_equal(unsigned_at(&p->b), 1);
    connect_pair(p);
    assert_int_equal(unsigned_at(&p->b), 0);
    assert_even(p, 2);
}

static void what_one_side_alone_has_signed_or_altered_brings_nothing_back(void **state)
{
    pair *p = *state;
    tl_receipt r = {.consumer = p->a.self.id,
                    .provider = p->b.self.id,
                    .request = "made-up",
                    .model = "llama",
                    .tokens_in = 1,
                    .tokens_out = 1,
                    .amount = 2,
                    .at = WALL};
    content copy = keep_books(&p->b);
    put_books_back(&p->b, &copy);
    connect_pair(p);
    assert_int_equal(tl_receipt_sign(&r, &p->b.self), TL_OK);
    assert_int_equal(tl_receipt_sign(&r, &p->a.self), TL_OK);
    tl_receipt forged = r;
    forged.provider_signature.bytes[5] ^= 1;
    say_receipt(&p->a, &forged);
    assert_int_equal(balance(&p->b), 0);
    say_receipt(&p->a, &r); /* its twin is right */
    assert_int_equal(balance(&p->b), 2);
}

static void books_that_are_no_copy_take_nothing_so(void **state)
{
    pair *p = *state;
    tl_receipt r = {.consumer = p->a.self.id,
                    .provider = p->b.self.id,
                    .request = "old",
                    .model = "llama",
                    .tokens_in = 1,
                    .tokens_out = 1,
                    .amount = 2,
                    .at = WALL};
    connect_pair(p);
    assert_int_equal(tl_receipt_sign(&r, &p->b.self), TL_OK);
    assert_int_equal(tl_receipt_sign(&r, &p->a.self), TL_OK);
    say_receipt(&p->a, &r);
    assert_int_equal(balance(&p->b), 0);
}

static void on_settled(void *user, tl_settle_result r, int64_t balance_after)
{
    (void)balance_after;
    *(tl_settle_result *)user = r;
}

static void a_settlement_that_a_restored_debtor_made_comes_back(void **state)
{
    pair *p = *state;
    trade_all(p, "q", 5);
    content copy = keep_books(&p->a);
    tl_settle_result result = TL_SETTLE_AWAY;
    tl_credit_settle(p->b.credit, &p->a.self.id, 4, on_settled, &result);
    settle_down(p);
    assert_int_equal(result, TL_SETTLE_SETTLED);
    assert_even(p, 6);
    put_books_back(&p->a, &copy);
    connect_pair(p);
    assert_even(p, 6);
}

static void pages_that_are_asked_for_without_end_are_bounded(void **state)
{
    pair *p = *state;
    trade_all(p, "q", 3);
    unsigned told = p->b.told;
    json_t *wanted = json_pack("{s:i, s:i}", "since", 0, "after", 0);
    for (int i = 0; i < 3 * TL_CREDIT_PAGES_A_MINUTE; i++) {
        say(&p->a, "receiptsWanted", wanted);
        settle_down(p);
    }
    json_decref(wanted);
    assert_int_equal(p->b.told - told, TL_CREDIT_PAGES_A_MINUTE);
    json_t *bad = json_pack("{s:i, s:i}", "since", -1, "after", 0);
    uint64_t malformed = tl_credit_counters_of(p->b.credit)->malformed;
    say(&p->a, "receiptsWanted", bad);
    settle_down(p);
    json_decref(bad);
    assert_int_equal(tl_credit_counters_of(p->b.credit)->malformed, malformed + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_PAIR(what_a_restored_provider_earned_since_its_copy_comes_back),
        WITH_PAIR(what_a_restored_consumer_owes_since_its_copy_comes_back),
        WITH_PAIR(what_was_asked_over_a_connection_that_ended_is_asked_again),
        WITH_PAIR(who_knows_no_such_question_is_asked_a_few_times),
        WITH_PAIR(a_signature_that_the_copy_lacks_comes_back),
        WITH_PAIR(what_one_side_alone_has_signed_or_altered_brings_nothing_back),
        WITH_PAIR(books_that_are_no_copy_take_nothing_so),
        WITH_PAIR(a_settlement_that_a_restored_debtor_made_comes_back),
        WITH_PAIR(pages_that_are_asked_for_without_end_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
