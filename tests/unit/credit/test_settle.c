#include "pair.h"

#include <stdlib.h>
#include <utlist.h>

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

static void with_a_peer_that_is_away_the_balance_stays_and_one_attempt_is_kept(void **state)
{
    pair *p = *state;
    assert_true(trade(p, "q", 10, 20));
    p->cut = true;
    expect(&p->b, 12, TL_SETTLE_AWAY, 0);
    assert_int_equal(entries_of(&p->b), 2);
    p->cut = false;
    p->b.is_silent = true; /* connected, and nothing comes */
    expect(&p->b, 12, TL_SETTLE_AWAY, 0);
    assert_int_equal(entries_of(&p->b), 2);
    assert_even(p, 30);
    p->b.is_silent = false;
    expect(&p->b, 12, TL_SETTLE_SETTLED, 18);
    assert_int_equal(entries_of(&p->b), 2);
    assert_even(p, 18);
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

/* The next message is on nobody's wire any more. */
static json_t *take_message(pair *p, const char *name)
{
    while (!p->messages) {
        tl_credit_run(p->a.credit);
        tl_credit_run(p->b.credit);
        tl_store_collect(p->a.store);
        tl_store_collect(p->b.store);
    }
    message *m = p->messages;
    json_t *payload = m->payload;
    assert_string_equal(m->name, name);
    DL_DELETE(p->messages, m);
    free(m);
    return payload;
}

static tl_settlement take_settlement(pair *p)
{
    tl_settlement s;
    json_t *payload = take_message(p, "settle");
    assert_int_equal(tl_settlement_read(json_object_get(payload, "settlement"), &s), TL_OK);
    json_decref(payload);
    return s;
}

/* The debtor says that it has not posted this one. */
static void refuse(pair *p, const tl_settlement *s)
{
    json_t *no = json_pack("{s:s}", "settlementID", s->id);
    say(&p->a, "settleRefused", no);
    json_decref(no);
}

/* A debtor that keeps its signature back posts what the creditor tried, once, however often that was. */
static void a_settlement_that_was_tried_often_is_posted_once(void **state)
{
    pair *p = *state;
    tl_settlement tried[3];
    assert_true(trade(p, "q", 10, 20));
    for (int i = 0; i < 3; i++) {
        settled s = {0};
        tl_credit_settle(p->b.credit, &p->a.self.id, 30, on_settled, &s);
        tried[i] = take_settlement(p);
        pass_time(p, TL_CREDIT_SETTLE_WITHIN);
        assert_int_equal(s.r, TL_SETTLE_AWAY);
        restart(&p->b);
        p->cut = false;
    }
    for (int i = 0; i < 3; i++) {
        assert_string_equal(tried[i].id, tried[0].id);
        assert_int_equal(tl_settlement_sign(&tried[i], &p->a.self), TL_OK);
        say_settlement(&p->a, &tried[i]);
        assert_int_equal(balance(&p->b), 0);
    }
}

static void a_settlement_that_another_replaced_or_that_was_declined_is_void(void **state)
{
    pair *p = *state;
    settled s = {0};
    assert_true(trade(p, "q", 10, 20));
    tl_credit_settle(p->b.credit, &p->a.self.id, 30, on_settled, &s);
    tl_settlement first = take_settlement(p), second;
    pass_time(p, TL_CREDIT_SETTLE_WITHIN);
    tl_credit_settle(p->b.credit, &p->a.self.id, 20, on_settled, &s);
    json_decref(take_message(p, "settleWithdrawn"));
    refuse(p, &first);
    tl_credit_on_told(p->b.credit, &p->a.self.id, p->messages->name, p->messages->payload);
    json_decref(take_message(p, "settleRefused"));
    second = take_settlement(p);
    refuse(p, &second);
    settle_down(p);
    assert_int_equal(s.r, TL_SETTLE_TOO_MUCH);
    assert_int_equal(tl_settlement_sign(&first, &p->a.self), TL_OK);
    assert_int_equal(tl_settlement_sign(&second, &p->a.self), TL_OK);
    say_settlement(&p->a, &first);
    say_settlement(&p->a, &second);
    assert_even(p, 30);
    tl_credit_settle(p->b.credit, &p->a.self.id, 20, on_settled, &s); /* the twin */
    second = take_settlement(p);
    assert_int_equal(tl_settlement_sign(&second, &p->a.self), TL_OK);
    say_settlement(&p->a, &second);
    assert_int_equal(balance(&p->b), 10);
}

/* The debtor has posted what was tried first, and its word of that is lost. */
static void lose_the_answer(pair *p, int64_t amount)
{
    settled s = {0};
    p->a.is_silent = true;
    tl_credit_settle(p->b.credit, &p->a.self.id, amount, on_settled, &s);
    settle_down(p);
    pass_time(p, TL_CREDIT_SETTLE_WITHIN);
    assert_int_equal(s.r, TL_SETTLE_AWAY);
    assert_int_equal(balance(&p->a), amount - 30);
    assert_int_equal(balance(&p->b), 30);
    p->a.is_silent = false;
}

static void another_amount_waits_until_what_was_tried_before_is_closed(void **state)
{
    pair *p = *state;
    assert_true(trade(p, "q", 10, 20));
    lose_the_answer(p, 12);
    expect(&p->b, 10, TL_SETTLE_EARLIER, 0);
    assert_even(p, 18);
    expect(&p->b, 10, TL_SETTLE_SETTLED, 8);
    assert_even(p, 8);
}

static void the_same_amount_again_is_the_settlement_that_was_tried_before(void **state)
{
    pair *p = *state;
    assert_true(trade(p, "q", 10, 20));
    lose_the_answer(p, 12);
    expect(&p->b, 12, TL_SETTLE_SETTLED, 18);
    assert_even(p, 18);
}

/* Also where it takes the proposal back, and makes the same one again. */
static void of_a_debtor_that_proposes_again_and_again_one_proposal_is_kept(void **state)
{
    pair *p = *state;
    tl_settlement t = {.creditor = p->b.self.id, .debtor = p->a.self.id};
    assert_true(trade(p, "q", 10, 20));
    for (int i = 0; i < 20; i++) {
        pass_time(p, TL_CREDIT_PROPOSED_EVERY);
        t.by_debtor = false;
        t.amount = 1 + i % 2;
        t.at = p->wall;
        snprintf(t.id, sizeof t.id, "p%d", i / 2);
        assert_int_equal(tl_settlement_sign(&t, &p->a.self), TL_OK);
        say_settlement(&p->a, &t);
        if (i % 2 == 0)
            refuse(p, &t);
        settle_down(p);
        assert_int_equal(entries_of(&p->b), 2);
    }
    p->cut = true; /* the twin: the newest is there, signed */
    expect(&p->b, 2, TL_SETTLE_SETTLED, 28);
    assert_int_equal(entries_of(&p->b), 2);
}

static void what_the_debtor_never_heard_of_makes_room_for_another_amount(void **state)
{
    pair *p = *state;
    assert_true(trade(p, "q", 10, 20));
    p->cut = true;
    expect(&p->b, 12, TL_SETTLE_AWAY, 0);
    expect(&p->b, 10, TL_SETTLE_AWAY, 0); /* the peer's word is needed for this, too */
    restart(&p->b);
    p->cut = false;
    expect(&p->b, 10, TL_SETTLE_SETTLED, 20);
    assert_even(p, 20);
    /* a hello comes while its word is awaited */
    p->cut = true;
    expect(&p->b, 5, TL_SETTLE_AWAY, 0);
    settled s = {0};
    tl_credit_settle(p->b.credit, &p->a.self.id, 7, on_settled, &s);
    settle_down(p);
    assert_int_equal(s.calls, 0);
    connect_pair(p);
    assert_int_equal(s.r, TL_SETTLE_SETTLED);
    assert_even(p, 13);
    /* what came to nothing is told with what it was about */
    json_t *h = report(&p->b, TL_REPORT_HISTORY);
    static const struct {
        const char *state;
        int64_t amount;
    } told[] = {{"posted", 30}, {"voided", 12}, {"posted", 10}, {"voided", 5}, {"posted", 7}};
    assert_int_equal(json_array_size(json_object_get(h, "entries")), 5);
    for (size_t i = 0; i < 5; i++) {
        const json_t *e = json_array_get(json_object_get(h, "entries"), i);
        assert_string_equal(tl_json_string(e, "state", ""), told[i].state);
        assert_int_equal(tl_json_number(e, "amount_micro", -1), told[i].amount);
    }
    json_decref(h);
}

static void of_settlements_that_come_at_once_a_debtor_signs_what_it_owes(void **state)
{
    pair *p = *state;
    assert_true(trade(p, "q", 10, 20));
    p->b.is_silent = true;
    for (int i = 0; i < 3; i++) {
        json_t *o, *payload;
        tl_settlement t = {.creditor = p->b.self.id, .debtor = p->a.self.id, .amount = 15 + i};
        snprintf(t.id, sizeof t.id, "s%d", i);
        assert_int_equal(tl_settlement_sign(&t, &p->b.self), TL_OK);
        assert_int_equal(tl_settlement_write(&t, &o), TL_OK);
        payload = json_pack("{s:o}", "settlement", o);
        say(&p->b, "settle", payload);
        json_decref(payload);
    }
    settle_down(p);
    assert_int_equal(balance(&p->a), -15); /* the first alone */
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
    settled s = {0}; /* its accepted twin */
    tl_credit_settle(p->b.credit, &p->a.self.id, 5, on_settled, &s);
    tl_settlement u = take_settlement(p);
    say_settlement(&p->b, &u);
    assert_even(p, 25);
    assert_int_equal(s.r, TL_SETTLE_SETTLED);
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
        WITH_PAIR(with_a_peer_that_is_away_the_balance_stays_and_one_attempt_is_kept),
        WITH_PAIR(a_debtor_proposes_and_the_creditor_completes_it),
        WITH_PAIR(a_proposal_reaches_a_creditor_that_was_away),
        WITH_PAIR(another_amount_than_the_proposed_one_makes_the_proposal_void),
        WITH_PAIR(an_answer_that_is_lost_is_told_again),
        WITH_PAIR(a_settlement_that_was_tried_often_is_posted_once),
        WITH_PAIR(a_settlement_that_another_replaced_or_that_was_declined_is_void),
        WITH_PAIR(another_amount_waits_until_what_was_tried_before_is_closed),
        WITH_PAIR(the_same_amount_again_is_the_settlement_that_was_tried_before),
        WITH_PAIR(of_a_debtor_that_proposes_again_and_again_one_proposal_is_kept),
        WITH_PAIR(what_the_debtor_never_heard_of_makes_room_for_another_amount),
        WITH_PAIR(of_settlements_that_come_at_once_a_debtor_signs_what_it_owes),
        WITH_PAIR(a_forged_settlement_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
