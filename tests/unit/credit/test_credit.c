#include "pair.h"

#include <pthread.h>

/* --- holds --- */

static void a_charge_is_signed_by_both(void **state)
{
    pair *p = *state;
    assert_true(trade(p, "q", 10, 20));
    assert_even(p, 30);
    assert_int_equal(unsigned_at(&p->b), 0);
    assert_int_equal(tl_credit_counters_of(p->a.credit)->signed_out, 1);
    assert_int_equal(tl_credit_counters_of(p->b.credit)->signed_in, 1);
}

static void a_question_beyond_the_credit_is_refused_before_any_work(void **state)
{
    pair *p = *state;
    tl_credit_served *s, *t;
    /* 10 tokens of prompt and 999990 of the answer make a stranger's credit of 1000000 */
    assert_int_equal(serve(p, "q1", 1000, 999991, &s), TL_ERR_FORBIDDEN);
    assert_int_equal(serve(p, "q2", 1000, 999990, &s), TL_OK);
    assert_int_equal(serve(p, "q3", 1000, 1, &t), TL_ERR_FORBIDDEN);
    tl_credit_waive(s);
    assert_int_equal(serve(p, "q3", 1000, 1, &t), TL_OK);
    tl_credit_waive(t);
    p->b.is_member = true;
    assert_int_equal(serve(p, "q1", 1000, 999991, &s), TL_OK);
    tl_credit_waive(s);
    assert_int_equal(serve(p, "q4", TL_MONEY_MAX, TL_MONEY_MAX, &s), TL_ERR_FORBIDDEN);
    settle_down(p);
    assert_even(p, 0);
}

static void a_free_question_needs_no_credit_and_has_a_receipt(void **state)
{
    pair *p = *state;
    tl_credit_limits none = {0, 0};
    tl_credit_question q = question_to(&p->a, "q", 0);
    char order[TL_ORDER_MAX];
    tl_credit_asked *asked;
    tl_credit_served *served;
    tl_why why;
    tl_credit_set_limits(p->b.credit, &none);
    assert_int_equal(tl_credit_ask(p->a.credit, &q, order, &asked), TL_OK);
    q.peer = p->a.self.id;
    q.order = order; /* the claim brings it back: at no price nothing else tells of the question */
    assert_int_equal(tl_credit_serve(p->b.credit, &q, &served, &why), TL_OK);
    assert_true(tl_credit_delivered(served, (tl_tokens){1000000, 1000000}));
    json_t *h = report(&p->b, TL_REPORT_HISTORY);
    assert_int_equal(json_array_size(json_object_get(h, "entries")), 0); /* nothing to hold */
    json_decref(h);
    tl_credit_charge(served, (tl_tokens){10, 20});
    tl_credit_over(asked, TL_CREDIT_ANSWERED, (tl_tokens){10, 20}, 0);
    settle_down(p);
    h = report(&p->a, TL_REPORT_HISTORY);
    const json_t *e = json_array_get(json_object_get(h, "entries"), 0);
    assert_int_equal(json_integer_value(json_object_get(e, "amount_micro")), 0);
    assert_true(json_is_object(json_object_get(e, "receipt")));
    assert_string_equal(tl_json_string(e, "state", ""), "posted");
    json_decref(h);
    assert_even(p, 0);
}

static void of_a_free_question_no_more_is_signed_than_was_seen(void **state)
{
    pair *p = *state;
    tl_credit_question q = question_to(&p->a, "q", 0);
    char order[TL_ORDER_MAX];
    tl_credit_asked *asked;
    tl_credit_served *served;
    tl_why why;
    assert_int_equal(tl_credit_ask(p->a.credit, &q, order, &asked), TL_OK);
    q.peer = p->a.self.id;
    q.order = order;
    assert_int_equal(tl_credit_serve(p->b.credit, &q, &served, &why), TL_OK);
    tl_credit_charge(served, (tl_tokens){10, 21});
    tl_credit_over(asked, TL_CREDIT_ANSWERED, (tl_tokens){10, 20}, 0);
    settle_down(p);
    assert_int_equal(tl_credit_counters_of(p->a.credit)->not_signed, 1);
    assert_int_equal(tl_credit_counters_of(p->a.credit)->signed_out, 0);
    assert_even(p, 0);
}

static void an_answer_that_outgrows_its_hold_ends_where_credit_ends(void **state)
{
    pair *p = *state;
    tl_credit_limits few = {2000, 2000};
    tl_credit_served *s;
    tl_credit_set_limits(p->b.credit, &few);
    assert_int_equal(serve(p, "q", 1000, 0, &s), TL_OK); /* names no limit: holds 1034 */
    assert_true(tl_credit_delivered(s, (tl_tokens){10, 1024}));
    assert_true(tl_credit_delivered(s, (tl_tokens){10, 1025}));
    assert_true(tl_credit_delivered(s, (tl_tokens){10, 1990}));
    assert_false(tl_credit_delivered(s, (tl_tokens){10, 1991}));
    tl_credit_charge(s, (tl_tokens){10, 1990});
    settle_down(p);
    assert_int_equal(balance(&p->b), 2000);
    assert_int_equal(serve(p, "p", 1000, 1, &s), TL_ERR_FORBIDDEN);
}

static void the_same_request_again_is_neither_worked_nor_charged(void **state)
{
    pair *p = *state;
    tl_credit_served *s, *t;
    assert_int_equal(serve(p, "q", 1000, 10, &s), TL_OK);
    assert_int_equal(serve(p, "q", 1000, 10, &t), TL_ERR_EXISTS); /* while it runs */
    tl_credit_charge(s, (tl_tokens){1, 1});
    assert_int_equal(serve(p, "q", 1000, 10, &t), TL_ERR_EXISTS); /* before the commit */
    settle_down(p);
    assert_int_equal(serve(p, "q", 1000, 10, &t), TL_ERR_EXISTS);
    restart(&p->b);
    assert_int_equal(serve(p, "q", 1000, 10, &t), TL_ERR_EXISTS);
    /* after a day the store alone knows it: the answer ends, and is not charged */
    pass_time(p, TL_BOOK_DAY * TL_SEC);
    assert_int_equal(serve(p, "q", 1000, 10, &t), TL_OK);
    settle_down(p);
    assert_false(tl_credit_delivered(t, (tl_tokens){0, 0}));
    tl_credit_charge(t, (tl_tokens){5, 5});
    settle_down(p);
    assert_int_equal(balance(&p->b), 2);
    assert_int_equal(tl_credit_sums_of(p->b.credit, &p->a.self.id).held, 0);
}

static void note_begun(void *user)
{
    ++*(int *)user;
}

static void only_the_store_tells_that_an_old_request_is_new(void **state)
{
    pair *p = *state;
    tl_credit_question q = question_to(&p->b, "q", 1000);
    tl_credit_served *s;
    tl_why why;
    int told = 0;
    assert_true(trade(p, "q", 1, 1));
    pass_time(p, TL_BOOK_DAY * TL_SEC);
    q.peer = p->a.self.id;
    q.on_begun = note_begun;
    q.user = &told;
    assert_int_equal(tl_credit_serve(p->b.credit, &q, &s, &why), TL_OK);
    assert_false(tl_credit_begun(s)); /* so nothing of the answer goes out */
    settle_down(p);
    assert_true(tl_credit_begun(s));
    assert_int_equal(told, 1);
    assert_true(tl_credit_is_known(s));
    tl_credit_waive(s);
    q.request = "new";
    assert_int_equal(tl_credit_serve(p->b.credit, &q, &s, &why), TL_OK);
    settle_down(p);
    assert_true(told == 2 && tl_credit_begun(s) && !tl_credit_is_known(s));
    tl_credit_waive(s);
    q.request = "over"; /* the handle is gone before the store tells */
    assert_int_equal(tl_credit_serve(p->b.credit, &q, &s, &why), TL_OK);
    tl_credit_waive(s);
    settle_down(p);
    assert_int_equal(told, 2);
    q.request = "free"; /* nothing is given away that has a price */
    q.price = 0;
    assert_int_equal(tl_credit_serve(p->b.credit, &q, &s, &why), TL_OK);
    assert_true(tl_credit_begun(s));
    settle_down(p);
    assert_int_equal(told, 2);
    tl_credit_waive(s);
    settle_down(p);
}

/* The store has too much to do, or cannot read: then nobody knows whether the ID is an old one. */
static void what_the_store_cannot_say_is_new_is_not_given_away(void **state)
{
    pair *p = *state;
    tl_credit_question q = question_to(&p->b, "q", 1000);
    tl_credit_served *s;
    tl_why why;
    int told = 0;
    q.peer = p->a.self.id;
    q.on_begun = note_begun;
    q.user = &told;
    for (int fails = 1; fails >= 0; fails--) {
        p->b.disk_fails = fails;
        assert_int_equal(tl_credit_serve(p->b.credit, &q, &s, &why), TL_OK);
        settle_down(p);
        p->b.disk_fails = false;
        assert_int_equal(told, fails ? 1 : 2);
        assert_int_equal(tl_credit_is_unsure(s), fails);
        assert_int_equal(tl_credit_delivered(s, (tl_tokens){1, 1}), !fails);
        tl_credit_charge(s, (tl_tokens){1, 1});
        settle_down(p);
        assert_int_equal(balance(&p->b), fails ? 0 : 2);
    }
}

static size_t held_rows(party *b)
{
    json_t *h = report(b, TL_REPORT_HISTORY), *e;
    size_t n = 0, i;
    json_array_foreach (json_object_get(h, "entries"), i, e)
        n += strcmp(tl_json_string(e, "state", ""), "held") == 0;
    json_decref(h);
    return n;
}

typedef struct {
    tl_store_job job;
    pthread_mutex_t shut;
} gate;

static tl_err wait_at_gate(tl_store_job *j, tl_db *db)
{
    gate *g = (gate *)j;
    (void)db;
    pthread_mutex_lock(&g->shut);
    pthread_mutex_unlock(&g->shut);
    return TL_OK;
}

static void what_failed_is_new_at_once_and_leaves_no_hold(void **state)
{
    pair *p = *state;
    tl_credit_served *s;
    gate g = {.job = {.work = wait_at_gate, .reads = true}, .shut = PTHREAD_MUTEX_INITIALIZER};
    assert_int_equal(serve(p, "q", 1000, 1, &s), TL_OK);
    settle_down(p);
    assert_int_equal(held_rows(&p->b), 1);
    /* It is asked again before the store has come to void it. */
    pthread_mutex_lock(&g.shut);
    tl_store_submit(p->b.store, &g.job);
    tl_credit_waive(s);
    assert_int_equal(serve(p, "q", 1000, 1, &s), TL_OK);
    pthread_mutex_unlock(&g.shut);
    settle_down(p);
    assert_true(tl_credit_begun(s));
    assert_false(tl_credit_is_known(s));
    assert_true(tl_credit_delivered(s, (tl_tokens){1, 1}));
    tl_credit_waive(s);
    settle_down(p);
    assert_int_equal(held_rows(&p->b), 0);
    assert_int_equal(serve(p, "q", 1000, 1, &s), TL_OK); /* the twin: it is charged once */
    tl_credit_charge(s, (tl_tokens){1, 1});
    settle_down(p);
    assert_int_equal(balance(&p->b), 2);
    assert_int_equal(serve(p, "q", 1000, 1, &s), TL_ERR_EXISTS);
}

static void what_failed_may_be_asked_again(void **state)
{
    pair *p = *state;
    tl_credit_served *s;
    assert_int_equal(serve(p, "q", 1000, 10, &s), TL_OK);
    tl_credit_waive(s);
    assert_int_equal(serve(p, "q", 1000, 10, &s), TL_OK); /* also before the void is on the disk */
    tl_credit_waive(s);
    settle_down(p);
    assert_true(trade(p, "q", 1, 1));
    assert_even(p, 2);
}

/* --- claims --- */

static void a_claim_that_comes_before_the_end_of_the_answer_waits_for_it(void **state)
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
    tl_credit_charge(served, (tl_tokens){10, 20});
    settle_down(p);
    assert_int_equal(unsigned_at(&p->b), 1);
    assert_int_equal(balance(&p->a), 0);
    tl_credit_over(asked, TL_CREDIT_ANSWERED, (tl_tokens){10, 20}, 0);
    settle_down(p);
    assert_int_equal(unsigned_at(&p->b), 0);
    assert_even(p, 30);
}

/* Asks, and ends so; then `b` claims so much. True: it was signed. */
static bool claimed(pair *p, const char *request, tl_credit_end end, tl_tokens seen,
                    tl_tokens charged)
{
    tl_credit_question q = question_to(&p->a, request, 1000);
    char order[TL_ORDER_MAX];
    tl_credit_asked *asked;
    tl_credit_served *served;
    tl_why why;
    unsigned before = unsigned_at(&p->b);
    assert_int_equal(tl_credit_ask(p->a.credit, &q, order, &asked), TL_OK);
    tl_credit_over(asked, end, seen, 0);
    q.peer = p->a.self.id;
    q.order = order;
    assert_int_equal(tl_credit_serve(p->b.credit, &q, &served, &why), TL_OK);
    tl_credit_charge(served, charged);
    settle_down(p);
    return unsigned_at(&p->b) == before;
}

static void no_more_is_signed_than_was_seen(void **state)
{
    pair *p = *state;
    assert_true(claimed(p, "q1", TL_CREDIT_ANSWERED, (tl_tokens){10, 20}, (tl_tokens){10, 20}));
    assert_true(claimed(p, "q2", TL_CREDIT_ANSWERED, (tl_tokens){10, 20}, (tl_tokens){10, 19}));
    assert_false(claimed(p, "q3", TL_CREDIT_ANSWERED, (tl_tokens){10, 20}, (tl_tokens){10, 21}));
    assert_false(claimed(p, "q4", TL_CREDIT_ANSWERED, (tl_tokens){10, 20}, (tl_tokens){11, 20}));
    assert_int_equal(tl_credit_counters_of(p->a.credit)->not_signed, 2);
    assert_int_equal(balance(&p->a), -59);
}

/* A provider that says so itself, without this program. */
static void assert_claimed_by_hand(pair *p, const char *request, int64_t out, unsigned refused)
{
    tl_receipt r = {.consumer = p->a.self.id,
                    .provider = p->b.self.id,
                    .tokens_in = 10,
                    .tokens_out = out,
                    .amount = 10 + out,
                    .at = WALL,
                    .model = "llama"};
    snprintf(r.request, sizeof r.request, "%s", request);
    assert_int_equal(tl_receipt_sign(&r, &p->b.self), TL_OK);
    say_receipt(&p->b, &r);
    assert_int_equal(tl_credit_counters_of(p->a.credit)->not_signed, refused);
}

static void no_answer_costs_more_tokens_than_the_question_allowed(void **state)
{
    pair *p = *state;
    tl_credit_question q = question_to(&p->a, "q", 1000);
    char order[TL_ORDER_MAX];
    tl_credit_asked *asked;
    assert_int_equal(tl_credit_ask(p->a.credit, &q, order, &asked), TL_OK);
    tl_credit_over(asked, TL_CREDIT_ANSWERED, (tl_tokens){10, 5000000}, 0);
    assert_claimed_by_hand(p, "q", 101, 1);
    assert_int_equal(balance(&p->a), 0);
    assert_claimed_by_hand(p, "q", 100, 1);
    assert_int_equal(balance(&p->a), -110);
    q.request = "lost";
    assert_int_equal(tl_credit_ask(p->a.credit, &q, order, &asked), TL_OK);
    tl_credit_over(asked, TL_CREDIT_LOST, (tl_tokens){0, 0}, 0);
    assert_claimed_by_hand(p, "lost", 101, 2);
    /* an honest one, whose model server says so: both agree */
    assert_true(claimed(p, "r", TL_CREDIT_ANSWERED, (tl_tokens){10, 101}, (tl_tokens){10, 101}));
    assert_int_equal(balance(&p->b), 110);
}

/* Asks for an answer of any length, of which so much came before `silent` passed and it ended so. True: a
 * claim of `charged` is signed. */
static bool signs(pair *p, tl_credit_end end, tl_tokens seen, tl_time silent, tl_tokens charged)
{
    static unsigned n;
    char request[32], order[TL_ORDER_MAX];
    snprintf(request, sizeof request, "cut-%u", n++);
    tl_credit_question q = question_to(&p->a, request, 1000);
    tl_credit_asked *asked;
    q.max_tokens = 0;
    assert_int_equal(tl_credit_ask(p->a.credit, &q, order, &asked), TL_OK);
    tl_credit_over(asked, end, seen, silent);
    tl_receipt r = {.consumer = p->a.self.id,
                    .provider = p->b.self.id,
                    .tokens_in = charged.in,
                    .tokens_out = charged.out,
                    .amount = charged.in + charged.out,
                    .at = WALL,
                    .model = "llama"};
    snprintf(r.request, sizeof r.request, "%s", request);
    assert_int_equal(tl_receipt_sign(&r, &p->b.self), TL_OK);
    int64_t before = balance(&p->a);
    say_receipt(&p->b, &r);
    return balance(&p->a) == before - r.amount;
}

/* The body of question_to has 40 bytes: 10 tokens, and never more than 20. */
static void
of_an_answer_that_broke_off_no_more_is_signed_than_was_seen_and_can_be_on_the_way(void **state)
{
    pair *p = *state;
    const int64_t way = TL_LEDGER_IN_FLIGHT, second = TL_LEDGER_PER_SECOND;
    const struct {
        tl_credit_end end;
        int64_t seen;
        tl_time silent;
        int64_t in, out; /* the most */
    } v[] = {{TL_CREDIT_UNSEEN, 0, 0, 10, way},
             {TL_CREDIT_UNSEEN, 0, 60 * TL_SEC, 10, way},
             {TL_CREDIT_GIVEN_UP, 0, 0, 20, way},
             {TL_CREDIT_GIVEN_UP, 3, 60 * TL_SEC, 20, 3 + way},
             {TL_CREDIT_LOST, 0, 0, 20, way}, /* a head, and the provider closes at once */
             {TL_CREDIT_LOST, 500, 900 * TL_MS, 20, 500 + way},
             {TL_CREDIT_LOST, 500, 30 * TL_SEC, 20, 500 + way + 30 * second},
             {TL_CREDIT_LOST, 0, 3600 * TL_SEC, 20, way + 60 * second}};
    for (size_t i = 0; i < sizeof v / sizeof *v; i++) {
        tl_tokens seen = {v[i].seen ? 10 : 0, v[i].seen};
        assert_false(signs(p, v[i].end, seen, v[i].silent, (tl_tokens){v[i].in, v[i].out + 1}));
        assert_false(signs(p, v[i].end, seen, v[i].silent, (tl_tokens){v[i].in + 1, v[i].out}));
        assert_true(signs(p, v[i].end, seen, v[i].silent, (tl_tokens){v[i].in, v[i].out}));
    }
    assert_false(signs(p, TL_CREDIT_FAILED, (tl_tokens){0, 0}, 0, (tl_tokens){1, 0}));
    /* an honest provider charges no more than the question allowed: the whole answer was on the way */
    int64_t before = balance(&p->b);
    assert_true(claimed(p, "q", TL_CREDIT_LOST, (tl_tokens){0, 0}, (tl_tokens){40, 101}));
    assert_int_equal(balance(&p->b), before + 20 + 100);
}

static void claims_and_signatures_that_come_again_change_nothing(void **state)
{
    pair *p = *state;
    assert_true(trade(p, "q", 10, 20));
    json_t *h = report(&p->b, TL_REPORT_HISTORY);
    json_t *receipt = json_object_get(json_array_get(json_object_get(h, "entries"), 0), "receipt");
    json_t *payload = json_pack("{s:[{s:O}]}", "receipts", "receipt", receipt);
    for (int i = 0; i < 3; i++) {
        say(&p->a, "receipts", payload);
        say(&p->b, "receipts", payload);
        settle_down(p);
    }
    json_decref(payload);
    json_decref(h);
    assert_even(p, 30);
    assert_int_equal(tl_credit_counters_of(p->b.credit)->signed_in, 1);
}

static tl_receipt last_receipt(party *p)
{
    tl_receipt r;
    json_t *h = report(p, TL_REPORT_HISTORY), *list = json_object_get(h, "entries");
    const json_t *last = json_array_get(list, json_array_size(list) - 1);
    assert_int_equal(tl_receipt_read(json_object_get(last, "receipt"), &r), TL_OK);
    json_decref(h);
    return r;
}

static void a_signature_under_another_amount_or_of_another_node_does_not_count(void **state)
{
    pair *p = *state;
    tl_identity thief;
    uint8_t seed[32] = {9};
    assert_int_equal(tl_identity_from_seed(seed, &thief), TL_OK);
    p->a.is_silent = true;
    assert_true(trade(p, "q", 10, 20));
    tl_receipt right = last_receipt(&p->b), r = right;
    r.amount = 1;
    assert_int_equal(tl_receipt_sign(&r, &p->a.self), TL_OK);
    say_receipt(&p->a, &r);
    assert_int_equal(unsigned_at(&p->b), 1);
    r = right; /* of another pair of nodes */
    r.consumer = thief.id;
    assert_int_equal(tl_receipt_sign(&r, &thief), TL_OK);
    say_receipt(&p->a, &r);
    assert_int_equal(unsigned_at(&p->b), 1);
    r = right; /* a signature that is none */
    r.by_consumer = true;
    say_receipt(&p->a, &r);
    assert_int_equal(unsigned_at(&p->b), 1);
    assert_int_equal(tl_credit_counters_of(p->b.credit)->malformed, 3);
    r = right;
    assert_int_equal(tl_receipt_sign(&r, &p->a.self), TL_OK);
    say_receipt(&p->a, &r);
    assert_even(p, 30);
    assert_int_equal(unsigned_at(&p->b), 0);
}

static void messages_that_are_none_are_counted_and_harm_nothing(void **state)
{
    pair *p = *state;
    static const char *const names[] = {"receipt",    "receiptRefused", "settle",
                                        "settleDone", "settleRefused",  "receiptOther"};
    static const char *const texts[] = {"{}",
                                        "{\"receipt\":null}",
                                        "{\"receipt\":{\"amount\":-1}}",
                                        "{\"settlement\":[]}",
                                        "{\"requestID\":\"\",\"reason\":3}",
                                        "{\"settlementID\":\"a b\"}"};
    unsigned n = 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        for (size_t k = 0; k < sizeof texts / sizeof *texts; k++, n++) {
            json_t *o = json_loads(texts[k], 0, NULL);
            say(&p->a, names[i], o);
            json_decref(o);
        }
    settle_down(p);
    assert_int_equal(tl_credit_counters_of(p->b.credit)->malformed, n);
    assert_true(trade(p, "q", 1, 1));
    assert_even(p, 2);
}

/* --- a partner that never signs --- */

static void a_partner_that_never_signs_gets_no_more_work(void **state)
{
    pair *p = *state;
    char request[16];
    unsigned n = 0;
    p->a.is_silent = true;
    p->b.is_member = true;
    for (; n < TL_CREDIT_UNSIGNED_MAX; n++) {
        snprintf(request, sizeof request, "q%u", n);
        charge_at_once(p, request);
    }
    settle_down(p);
    assert_true(trade(p, "busy", 1, 1)); /* it may be slow */
    pass_time(p, TL_CREDIT_SIGN_WITHIN + 1);
    assert_false(trade(p, "late", 1, 1));
    /* a new connection gives it time to sign, once */
    connect_pair(p);
    assert_true(trade(p, "again", 1, 1));
    pass_time(p, TL_CREDIT_SIGN_WITHIN + 1);
    connect_pair(p);
    assert_false(trade(p, "too late", 1, 1));
    p->a.is_silent = false; /* it mends its ways */
    connect_pair(p);
    assert_int_equal(unsigned_at(&p->b), 0);
    assert_true(trade(p, "good", 1, 1));
    assert_even(p, 2 * (TL_CREDIT_UNSIGNED_MAX + 3));
}

/* --- the pace --- */

/* A control stream closes on whoever says too much (peer/state.h). */
static void many_receipts_go_in_few_messages_and_none_is_left_out(void **state)
{
    pair *p = *state;
    char request[16];
    p->b.is_member = true;
    for (int i = 0; i < 1000; i++) {
        snprintf(request, sizeof request, "q%d", i);
        charge_at_once(p, request);
    }
    tl_time begun = p->now;
    settle_down(p);
    uint64_t seconds = (p->now - begun) / TL_SEC + 1;
    assert_int_equal(unsigned_at(&p->b), 0);
    assert_in_range(p->b.told, 1000 / TL_CREDIT_SAY_MAX, 10 * seconds + 1);
    assert_in_range(p->a.told, 1, 10 * seconds + 1);
    assert_in_range(seconds, 1, 30);
    assert_even(p, 2000);
}

static void a_signature_counts_also_where_its_account_knew_of_no_unsigned_receipt(void **state)
{
    pair *p = *state;
    for (unsigned known = 1; known <= 2; known++) { /* of two */
        char first[8], second[8];
        snprintf(first, sizeof first, "a%u", known);
        snprintf(second, sizeof second, "b%u", known);
        p->a.is_silent = true;
        assert_true(trade(p, first, 10, 20));
        assert_true(trade(p, second, 10, 20));
        assert_int_equal(unsigned_at(&p->b), 2);
        tl_ledger_sums sums = tl_credit_sums_of(p->b.credit, &p->a.self.id);
        tl_credit_on_loaded_peer(p->b.credit, &p->a.self.id, &sums, known, 0);
        p->a.is_silent = false;
        connect_pair(p);
        assert_int_equal(unsigned_at(&p->b), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_PAIR(a_charge_is_signed_by_both),
        WITH_PAIR(a_question_beyond_the_credit_is_refused_before_any_work),
        WITH_PAIR(a_free_question_needs_no_credit_and_has_a_receipt),
        WITH_PAIR(of_a_free_question_no_more_is_signed_than_was_seen),
        WITH_PAIR(an_answer_that_outgrows_its_hold_ends_where_credit_ends),
        WITH_PAIR(the_same_request_again_is_neither_worked_nor_charged),
        WITH_PAIR(only_the_store_tells_that_an_old_request_is_new),
        WITH_PAIR(what_the_store_cannot_say_is_new_is_not_given_away),
        WITH_PAIR(what_failed_is_new_at_once_and_leaves_no_hold),
        WITH_PAIR(what_failed_may_be_asked_again),
        WITH_PAIR(a_claim_that_comes_before_the_end_of_the_answer_waits_for_it),
        WITH_PAIR(no_more_is_signed_than_was_seen),
        WITH_PAIR(no_answer_costs_more_tokens_than_the_question_allowed),
        WITH_PAIR(
            of_an_answer_that_broke_off_no_more_is_signed_than_was_seen_and_can_be_on_the_way),
        WITH_PAIR(claims_and_signatures_that_come_again_change_nothing),
        WITH_PAIR(a_signature_under_another_amount_or_of_another_node_does_not_count),
        WITH_PAIR(messages_that_are_none_are_counted_and_harm_nothing),
        WITH_PAIR(a_partner_that_never_signs_gets_no_more_work),
        WITH_PAIR(many_receipts_go_in_few_messages_and_none_is_left_out),
        WITH_PAIR(a_signature_counts_also_where_its_account_knew_of_no_unsigned_receipt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
