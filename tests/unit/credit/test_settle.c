#include "pair.h"

typedef struct {
    int calls;
    tl_settle_result r;
    int64_t balance;
} settled;

static void on_settled(void *user, tl_settle_result r, int64_t balance_after)
{
    settled *s = user;
    s->calls++;
    s->r = r;
    s->balance = balance_after;
}

/* Starts it, and lets everything happen that happens without time passing. */
static settled settle(party *p, int64_t amount)
{
    settled s = {0};
    tl_credit_settle(p->credit, &other(p)->self.id, amount, on_settled, &s);
    assert_int_equal(s.calls, 0);
    settle_down(p->pair);
    if (s.calls == 0)
        pass_time(p->pair, TL_CREDIT_SETTLE_WITHIN);
    assert_int_equal(s.calls, 1);
    return s;
}

static void expect(party *p, int64_t amount, tl_settle_result r, int64_t balance_after)
{
    settled s = settle(p, amount);
    assert_int_equal(s.r, r);
    if (r == TL_SETTLE_SETTLED || r == TL_SETTLE_PROPOSED)
        assert_int_equal(s.balance, balance_after);
}

static void the_creditor_says_so_and_the_debtors_node_signs(void **state)
{
    pair *p = *state;
    assert_true(trade(p, "q", 10, 20));
    expect(&p->b, 12, TL_SETTLE_SETTLED, 18);
    assert_even(p, 18);
    expect(&p->b, 18, TL_SETTLE_SETTLED, 0);
    assert_even(p, 0);
}

static void more_than_is_owed_is_not_settled(void **state)
{
    pair *p = *state;
    expect(&p->b, 1, TL_SETTLE_TOO_MUCH, 0); /* nothing ever passed */
    assert_true(trade(p, "q", 10, 20));
    expect(&p->b, 31, TL_SETTLE_TOO_MUCH, 0);
    expect(&p->a, 31, TL_SETTLE_TOO_MUCH, 0);
    expect(&p->b, 0, TL_SETTLE_TOO_MUCH, 0);
    expect(&p->b, -5, TL_SETTLE_TOO_MUCH, 0);
    expect(&p->b, TL_MONEY_MAX, TL_SETTLE_TOO_MUCH, 0);
    assert_even(p, 30);
    expect(&p->b, 30, TL_SETTLE_SETTLED, 0);
}

/* By the debtor's books less is owed: it has not seen the claim yet. */
static void a_debtor_does_not_sign_for_more_than_its_books_say(void **state)
{
    pair *p = *state;
    assert_true(trade(p, "q", 10, 20));
    p->cut = true;
    assert_true(trade(p, "p", 10, 20));
    p->cut = false; /* without a hello: the claim is not told again */
    expect(&p->b, 60, TL_SETTLE_TOO_MUCH, 0);
    connect_pair(p);
    expect(&p->b, 60, TL_SETTLE_SETTLED, 0);
    assert_even(p, 0);
}

static size_t entries_of(party *p)
{
    json_t *h = report(p, TL_REPORT_HISTORY);
    size_t n = json_array_size(json_object_get(h, "entries"));
    json_decref(h);
    return n;
}

static void with_a_peer_that_is_away_nothing_is_recorded(void **state)
{
    pair *p = *state;
    assert_true(trade(p, "q", 10, 20));
    p->cut = true;
    expect(&p->b, 12, TL_SETTLE_AWAY, 0);
    assert_int_equal(entries_of(&p->b), 1);
    p->cut = false;
    p->b.is_silent = true; /* connected, and nothing comes */
    expect(&p->b, 12, TL_SETTLE_AWAY, 0);
    assert_int_equal(entries_of(&p->b), 1);
    assert_even(p, 30);
}

static void a_debtor_proposes_and_the_creditor_completes_it(void **state)
{
    pair *p = *state;
    assert_true(trade(p, "q", 10, 20));
    expect(&p->a, 12, TL_SETTLE_PROPOSED, -30);
    assert_even(p, 30);
    p->cut = true; /* it is signed already: nobody needs to be there */
    expect(&p->b, 12, TL_SETTLE_SETTLED, 18);
    assert_int_equal(balance(&p->a), -30);
    connect_pair(p);
    assert_even(p, 18);
    assert_int_equal(entries_of(&p->a), 2);
    assert_int_equal(entries_of(&p->b), 2);
}

static void a_proposal_reaches_a_creditor_that_was_away(void **state)
{
    pair *p = *state;
    assert_true(trade(p, "q", 10, 20));
    p->cut = true;
    expect(&p->a, 12, TL_SETTLE_PROPOSED, -30);
    restart(&p->a);
    connect_pair(p);
    p->cut = true;
    expect(&p->b, 12, TL_SETTLE_SETTLED, 18);
    restart(&p->b);
    connect_pair(p);
    assert_even(p, 18);
}

static void another_amount_than_the_proposed_one_makes_the_proposal_void(void **state)
{
    pair *p = *state;
    assert_true(trade(p, "q", 10, 20));
    expect(&p->a, 12, TL_SETTLE_PROPOSED, -30);
    expect(&p->b, 10, TL_SETTLE_SETTLED, 20);
    assert_even(p, 20);
    p->cut = true;
    expect(&p->b, 12, TL_SETTLE_AWAY, 0); /* it is not there any more */
}

/* The debtor's node has signed, and its answer is lost: both agree after the next hello. */
static void an_answer_that_is_lost_is_told_again(void **state)
{
    pair *p = *state;
    settled s = {0};
    assert_true(trade(p, "q", 10, 20));
    p->a.is_silent = true;
    tl_credit_settle(p->b.credit, &p->a.self.id, 12, on_settled, &s);
    settle_down(p);
    assert_int_equal(s.calls, 0);
    pass_time(p, TL_CREDIT_SETTLE_WITHIN);
    assert_int_equal(s.r, TL_SETTLE_AWAY);
    assert_int_equal(balance(&p->a), -18);
    assert_int_equal(balance(&p->b), 30);
    p->a.is_silent = false;
    restart(&p->a);
    restart(&p->b);
    connect_pair(p);
    assert_even(p, 18);
    connect_pair(p); /* and once is enough */
    assert_even(p, 18);
}

static void say_settlement(party *from, const tl_settlement *t)
{
    json_t *o, *payload;
    assert_int_equal(tl_settlement_write(t, &o), TL_OK);
    payload = json_pack("{s:o}", "settlement", o);
    say(from, "settle", payload);
    json_decref(payload);
    settle_down(from->pair);
}

static void a_forged_settlement_changes_nothing(void **state)
{
    pair *p = *state;
    assert_true(trade(p, "q", 10, 20));
    tl_settlement t = {.id = "s", .creditor = p->b.self.id, .debtor = p->a.self.id, .amount = 5};
    assert_int_equal(tl_settlement_sign(&t, &p->a.self), TL_OK);
    t.by_creditor = true; /* the debtor makes the creditor's signature up */
    say_settlement(&p->a, &t);
    assert_even(p, 30);
    assert_int_equal(tl_credit_counters_of(p->b.credit)->malformed, 1);
    t.creditor = p->a.self.id; /* between a node and itself, or others */
    t.debtor = p->b.self.id;
    t.by_creditor = false;
    say_settlement(&p->a, &t);
    assert_even(p, 30);
    tl_settlement u = {.id = "u", .creditor = p->b.self.id, .debtor = p->a.self.id, .amount = 5};
    assert_int_equal(tl_settlement_sign(&u, &p->b.self), TL_OK); /* its accepted twin */
    say_settlement(&p->b, &u);
    assert_even(p, 25);
    say_settlement(&p->b, &u);
    assert_even(p, 25);
    u.amount = 25; /* the same name for another amount */
    assert_int_equal(tl_settlement_sign(&u, &p->b.self), TL_OK);
    say_settlement(&p->b, &u);
    assert_even(p, 25);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_PAIR(the_creditor_says_so_and_the_debtors_node_signs),
        WITH_PAIR(more_than_is_owed_is_not_settled),
        WITH_PAIR(a_debtor_does_not_sign_for_more_than_its_books_say),
        WITH_PAIR(with_a_peer_that_is_away_nothing_is_recorded),
        WITH_PAIR(a_debtor_proposes_and_the_creditor_completes_it),
        WITH_PAIR(a_proposal_reaches_a_creditor_that_was_away),
        WITH_PAIR(another_amount_than_the_proposed_one_makes_the_proposal_void),
        WITH_PAIR(an_answer_that_is_lost_is_told_again),
        WITH_PAIR(a_forged_settlement_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
