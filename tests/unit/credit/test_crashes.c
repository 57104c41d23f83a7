/* What is left of a charge when a node dies, a disk is full or a connection breaks. */
#include "pair.h"

static void what_was_not_signed_is_signed_after_the_next_hello(void **state)
{
    pair *p = *state;
    char request[16];
    p->b.is_member = true;
    p->cut = true;
    for (int i = 0; i < 2 * TL_BOOK_READ_MAX + 20; i++) {
        snprintf(request, sizeof request, "q%d", i);
        charge_at_once(p, request);
    }
    settle_down(p);
    assert_int_equal(unsigned_at(&p->b), 2 * TL_BOOK_READ_MAX + 20);
    restart(&p->a);
    restart(&p->b);
    connect_pair(p);
    assert_int_equal(unsigned_at(&p->b), 0);
    assert_even(p, 2 * (2 * TL_BOOK_READ_MAX + 20));
}

static void a_claim_or_signature_that_is_lost_is_told_again_by_itself(void **state)
{
    pair *p = *state;
    p->b.is_silent = true; /* the connection that it was told over ends */
    assert_true(trade(p, "claim", 1, 1));
    p->b.is_silent = false;
    assert_int_equal(unsigned_at(&p->b), 1);
    pass_time(p, TL_CREDIT_AGAIN_FIRST);
    assert_int_equal(unsigned_at(&p->b), 0);
    p->a.is_silent = true;
    assert_true(trade(p, "signature", 1, 1));
    p->a.is_silent = false;
    assert_int_equal(unsigned_at(&p->b), 1);
    pass_time(p, TL_CREDIT_AGAIN_FIRST);
    assert_int_equal(unsigned_at(&p->b), 0);
    assert_even(p, 4);
    unsigned told = p->b.told;
    pass_time(p, TL_MIN);
    assert_int_equal(p->b.told, told); /* what is signed is told no more */
}

static void who_never_answers_is_told_its_claims_more_and_more_seldom(void **state)
{
    pair *p = *state;
    char request[16];
    p->a.is_silent = true;
    for (int i = 0; i < TL_BOOK_READ_MAX; i++) {
        snprintf(request, sizeof request, "q%d", i);
        charge_at_once(p, request);
    }
    settle_down(p);
    unsigned told = p->b.told;
    for (int s = 0; s < 3600; s++)
        pass_time(p, TL_SEC);
    /* after 5, 10, 20, 40, 80, 160 s, and then every 5 minutes */
    assert_in_range(p->b.told - told, 12, 2 * 17);
    told = p->b.told;
    p->cut = true; /* away: nothing is told, and nothing wakes this node */
    for (int s = 0; s < 600; s++)
        pass_time(p, TL_SEC);
    assert_true(tl_credit_expiry(p->b.credit) > p->now + TL_MIN);
    p->a.is_silent = false;
    connect_pair(p);
    assert_int_equal(unsigned_at(&p->b), 0);
    assert_even(p, 2 * TL_BOOK_READ_MAX);
}

static void a_consumer_that_died_before_its_disk_had_the_question_pays_by_its_order(void **state)
{
    pair *p = *state;
    p->a.disk_fails = true; /* nothing of it reaches the disk */
    assert_true(trade(p, "q", 10, 20));
    assert_int_equal(unsigned_at(&p->b), 1);
    p->a.disk_fails = false;
    restart(&p->a);
    connect_pair(p);
    assert_int_equal(unsigned_at(&p->b), 0);
    assert_even(p, 30);
}

static void a_provider_that_dies_before_the_commit_charges_nothing(void **state)
{
    pair *p = *state;
    tl_credit_question q = question_to(&p->a, "q", 1000);
    char order[TL_ORDER_MAX];
    tl_credit_asked *asked;
    tl_credit_served *served;
    tl_why why;
    assert_int_equal(tl_credit_ask(p->a.credit, &q, order, &asked), TL_OK);
    q.peer = p->a.self.id;
    assert_int_equal(tl_credit_serve(p->b.credit, &q, &served, &why), TL_OK);
    settle_down(p);
    restart(&p->b);
    tl_credit_over(asked, TL_CREDIT_LOST, (tl_tokens){3, 3}, 0);
    connect_pair(p);
    assert_even(p, 0);
    json_t *w = report(&p->b, TL_REPORT_WALLET);
    assert_int_equal(json_integer_value(json_object_get(w, "held_micro")), 0);
    json_decref(w);
    /* the consumer holds it until it is sure that no claim comes */
    w = report(&p->a, TL_REPORT_WALLET);
    assert_int_equal(json_integer_value(json_object_get(w, "held_micro")), 110);
    json_decref(w);
    pass_time(p, TL_CREDIT_CLAIM_WITHIN);
    w = report(&p->a, TL_REPORT_WALLET);
    assert_int_equal(json_integer_value(json_object_get(w, "held_micro")), 0);
    json_decref(w);
    assert_even(p, 0);
}

/* The answer was whole, and the provider died before its commit: its honest consumer pays. */
static void a_charge_that_a_crash_lost_is_offered_by_the_consumer(void **state)
{
    pair *p = *state;
    assert_true(trade(p, "before", 1, 1));
    p->b.disk_fails = true;
    assert_true(trade(p, "q", 10, 20));
    assert_int_equal(balance(&p->b), 2);
    p->b.disk_fails = false;
    restart(&p->b);
    connect_pair(p);
    assert_even(p, 32);
    assert_int_equal(tl_credit_counters_of(p->b.credit)->adopted, 1);
    connect_pair(p); /* and once is enough */
    assert_even(p, 32);
    /* also where the consumer was killed, too, a moment later */
    p->b.disk_fails = true;
    assert_true(trade(p, "r", 10, 20));
    p->b.disk_fails = false;
    restart(&p->b);
    restart(&p->a);
    p->b.is_silent = true; /* and what it answers is lost, too */
    connect_pair(p);
    assert_int_equal(balance(&p->b), 62);
    assert_int_equal(balance(&p->a), -32);
    p->b.is_silent = false;
    pass_time(p, TL_CREDIT_AGAIN_FIRST); /* it is offered again without another hello */
    assert_even(p, 62);
    unsigned told = p->a.told;
    pass_time(p, 4 * TL_CREDIT_AGAIN_MAX); /* and no more when it is charged */
    assert_int_equal(p->a.told, told);
}

static void say_offer(pair *p, const char *request, int64_t tokens)
{
    tl_receipt r = {.consumer = p->a.self.id,
                    .provider = p->b.self.id,
                    .model = "llama",
                    .tokens_in = tokens,
                    .amount = 1,
                    .at = WALL};
    snprintf(r.request, sizeof r.request, "%s", request);
    assert_int_equal(tl_receipt_sign(&r, &p->a.self), TL_OK);
    say_receipt(&p->a, &r);
}

static void say_offer_of(pair *p, const char *request, int64_t amount, tl_unix at, bool network)
{
    tl_receipt r = {.consumer = p->a.self.id,
                    .provider = p->b.self.id,
                    .has_network = network,
                    .network = p->a.self.id,
                    .model = "llama",
                    .tokens_in = 1000,
                    .amount = amount,
                    .at = at};
    snprintf(r.request, sizeof r.request, "%s", request);
    assert_int_equal(tl_receipt_sign(&r, &p->a.self), TL_OK);
    say_receipt(&p->a, &r);
}

static void
an_offer_beyond_the_credit_of_another_time_or_of_a_foreign_network_is_not_taken(void **state)
{
    pair *p = *state;
    assert_true(trade(p, "q", 1, 1));
    restart(&p->b);
    p->cut = false;
    say_offer_of(p, "much", 1000000, WALL, false); /* 2 are owed already, of a stranger's 1000000 */
    say_offer_of(p, "early", 5, WALL + 7201, false);
    say_offer_of(p, "late", 5, WALL - TL_BOOK_OWED_DAYS * TL_BOOK_DAY - 1, false);
    say_offer_of(p, "foreign", 5, WALL, true);
    assert_int_equal(tl_credit_counters_of(p->b.credit)->adopted, 0);
    assert_int_equal(balance(&p->b), 2);
    say_offer_of(p, "fits", 999998, WALL, false);
    assert_int_equal(tl_credit_counters_of(p->b.credit)->adopted, 1);
    assert_int_equal(balance(&p->b), 1000000);
    say_offer_of(p, "more", 1, WALL, false);
    assert_int_equal(balance(&p->b), 1000000);
}

static void an_offer_for_a_network_is_taken_from_a_member_of_that_one_alone(void **state)
{
    pair *p = *state;
    assert_true(trade(p, "q", 1, 1));
    restart(&p->b);
    p->cut = false;
    p->b.is_member = true;
    p->b.network = p->b.self.id;
    say_offer_of(p, "foreign", 5, WALL, true); /* it names a's ID as the network */
    assert_int_equal(tl_credit_counters_of(p->b.credit)->adopted, 0);
    assert_int_equal(balance(&p->b), 2);
    p->b.network = p->a.self.id;
    say_offer_of(p, "own", 5, WALL, true);
    assert_int_equal(tl_credit_counters_of(p->b.credit)->adopted, 1);
    assert_int_equal(balance(&p->b), 7);
}

static void what_a_peer_offers_is_taken_from_one_that_was_known_and_so_often_alone(void **state)
{
    pair *p = *state;
    char request[16];
    say_offer(p, "stranger", 1); /* with whom nothing ever passed */
    assert_int_equal(tl_credit_counters_of(p->b.credit)->adopted, 0);
    assert_true(trade(p, "q", 1, 1));
    restart(&p->b);
    p->cut = false;
    say_offer(p, "q", 1);       /* it is charged already */
    say_offer(p, "nothing", 0); /* money for no tokens */
    assert_int_equal(tl_credit_counters_of(p->b.credit)->adopted, 0);
    for (int i = 0; i < TL_CREDIT_ADOPT_MAX + 5; i++) {
        snprintf(request, sizeof request, "o%d", i);
        say_offer(p, request, 3);
    }
    assert_int_equal(tl_credit_counters_of(p->b.credit)->adopted, TL_CREDIT_ADOPT_MAX);
    assert_int_equal(balance(&p->b), 2 + TL_CREDIT_ADOPT_MAX);
    json_t *audit = report(&p->b, TL_REPORT_AUDIT);
    assert_true(json_is_true(json_object_get(audit, "ok")));
    json_decref(audit);
}

static void a_claim_that_comes_late_is_signed_all_the_same(void **state)
{
    pair *p = *state;
    p->cut = true;
    assert_true(trade(p, "q", 10, 20));
    pass_time(p, TL_CREDIT_CLAIM_WITHIN);
    restart(&p->a);
    connect_pair(p);
    assert_even(p, 30);
}

static void a_full_disk_loses_no_charge_and_stops_paid_work(void **state)
{
    pair *p = *state;
    tl_credit_served *s;
    p->b.disk_fails = true;
    assert_true(trade(p, "q", 10, 20));
    assert_int_equal(balance(&p->b), 0);
    assert_int_equal(serve(p, "p", 1000, 1, &s), TL_ERR_IO);
    assert_int_equal(serve(p, "free", 0, 1, &s), TL_OK);
    tl_credit_waive(s);
    pass_time(p, TL_CREDIT_RETRY_EVERY);
    assert_int_equal(balance(&p->b), 0);
    p->b.disk_fails = false; /* there is room again */
    pass_time(p, TL_CREDIT_RETRY_EVERY);
    assert_even(p, 30);
    assert_int_equal(serve(p, "p", 1000, 1, &s), TL_OK);
    tl_credit_waive(s);
}

/* Nothing that failed is tried again here: what was not charged leaves nothing to write. */
static void a_disk_that_takes_something_again_is_noticed_where_nothing_waits_for_it(void **state)
{
    pair *p = *state;
    tl_credit_served *s;
    assert_int_equal(serve(p, "q", 1000, 1, &s), TL_OK);
    settle_down(p);
    p->b.disk_fails = true;
    tl_credit_waive(s);
    settle_down(p);
    assert_int_equal(serve(p, "p", 1000, 1, &s), TL_ERR_IO);
    pass_time(p, TL_CREDIT_RETRY_EVERY);
    assert_int_equal(serve(p, "p", 1000, 1, &s), TL_ERR_IO);
    p->b.disk_fails = false;
    pass_time(p, TL_CREDIT_RETRY_EVERY);
    assert_int_equal(serve(p, "p", 1000, 1, &s), TL_OK);
    tl_credit_waive(s);
    settle_down(p);
}

/* Whatever is cut and killed at whatever moment, the two agree in the end, and nothing that was
 * claimed is lost or counted twice. */
static void two_that_are_cut_and_killed_at_random_agree_in_the_end(void **state)
{
    pair *p = *state;
    tl_rand rand = tl_rand_seeded(11);
    int64_t owed = 0;
    p->b.is_member = true;
    p->a.is_member = true;
    for (int i = 0; i < 400; i++) {
        char request[16], order[TL_ORDER_MAX];
        tl_credit_asked *asked;
        tl_credit_served *served = NULL;
        tl_why why;
        snprintf(request, sizeof request, "q%d", i);
        tl_credit_question q = question_to(&p->a, request, 1000);
        assert_int_equal(tl_credit_ask(p->a.credit, &q, order, &asked), TL_OK);
        q.peer = p->a.self.id;
        q.order = order;
        if (tl_credit_serve(p->b.credit, &q, &served, &why))
            fail_msg("%s", why.text);
        uint64_t what = tl_rand_below(&rand, 8);
        p->a.disk_fails = what == 0;
        if (what == 1) { /* the provider dies, and nobody is charged */
            tl_credit_over(asked, TL_CREDIT_LOST, (tl_tokens){1, 1}, 0);
            restart(&p->b);
        } else {
            tl_credit_charge(served, (tl_tokens){2, (int64_t)(i % 50)});
            owed += 2 + i % 50;
            if (what == 2 || what == 0) { /* the consumer dies */
                settle_down(p);
                p->a.disk_fails = false;
                restart(&p->a);
            } else {
                tl_credit_over(asked, TL_CREDIT_ANSWERED, (tl_tokens){2, i % 50}, 0);
            }
            if (what == 3) /* the provider dies, when its commit was asked for */
                restart(&p->b);
            if (what == 4)
                p->cut = true;
            if (what == 5)
                settle_down(p);
        }
        if (p->cut && tl_rand_below(&rand, 3) == 0)
            connect_pair(p);
    }
    connect_pair(p);
    assert_int_equal(unsigned_at(&p->b), 0);
    assert_even(p, owed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_PAIR(what_was_not_signed_is_signed_after_the_next_hello),
        WITH_PAIR(a_claim_or_signature_that_is_lost_is_told_again_by_itself),
        WITH_PAIR(who_never_answers_is_told_its_claims_more_and_more_seldom),
        WITH_PAIR(a_consumer_that_died_before_its_disk_had_the_question_pays_by_its_order),
        WITH_PAIR(a_provider_that_dies_before_the_commit_charges_nothing),
        WITH_PAIR(a_charge_that_a_crash_lost_is_offered_by_the_consumer),
        WITH_PAIR(an_offer_beyond_the_credit_of_another_time_or_of_a_foreign_network_is_not_taken),
        WITH_PAIR(an_offer_for_a_network_is_taken_from_a_member_of_that_one_alone),
        WITH_PAIR(what_a_peer_offers_is_taken_from_one_that_was_known_and_so_often_alone),
        WITH_PAIR(a_claim_that_comes_late_is_signed_all_the_same),
        WITH_PAIR(a_full_disk_loses_no_charge_and_stops_paid_work),
        WITH_PAIR(a_disk_that_takes_something_again_is_noticed_where_nothing_waits_for_it),
        WITH_PAIR(two_that_are_cut_and_killed_at_random_agree_in_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
