/* Orders: by them a consumer pays what a crash took from its disk, and never what it saw fail. */
#include "pair.h"

#define PRICE 1000

/* `a` asks `b`; the order is what b keeps of it. */
static tl_credit_asked *ask(pair *p, const char *request, int64_t price, char order[TL_ORDER_MAX])
{
    tl_credit_question q = question_to(&p->a, request, price);
    tl_credit_asked *asked;
    assert_int_equal(tl_credit_ask(p->a.credit, &q, order, &asked), TL_OK);
    return asked;
}

static void fail_one(pair *p, const char *request, char order[TL_ORDER_MAX])
{
    tl_credit_over(ask(p, request, PRICE, order), TL_CREDIT_FAILED, (tl_tokens){0, 0}, 0);
}

/* `a` dies before its disk has the question. */
static void lose_one(pair *p, const char *request, int64_t price, char order[TL_ORDER_MAX])
{
    p->a.disk_fails = true;
    (void)ask(p, request, price, order);
    settle_down(p);
    p->a.disk_fails = false;
    restart(&p->a);
    p->cut = false;
}

/* `b` says that it answered with so many tokens. */
static void claim(pair *p, const char *request, int64_t price, int64_t tokens, const char *order)
{
    json_t *o, *payload;
    tl_receipt r = {.consumer = p->a.self.id,
                    .provider = p->b.self.id,
                    .model = "llama",
                    .tokens_out = tokens,
                    .amount = tokens * price / 1000,
                    .at = p->wall};
    snprintf(r.request, sizeof r.request, "%s", request);
    assert_int_equal(tl_receipt_sign(&r, &p->b.self), TL_OK);
    assert_int_equal(tl_receipt_write(&r, &o), TL_OK);
    payload = json_pack("{s:[{s:o,s:s}]}", "receipts", "receipt", o, "order", order);
    say(&p->b, "receipts", payload);
    json_decref(payload);
    settle_down(p);
}

static void what_failed_is_never_charged_however_many_questions_fail_after_it(void **state)
{
    pair *p = *state;
    char first[TL_ORDER_MAX], order[TL_ORDER_MAX], request[16];
    fail_one(p, "first", first);
    for (int i = 0; i < TL_BOOK_SPARE_OF + 3 * TL_CREDIT_PRUNE_EVERY; i++) {
        snprintf(request, sizeof request, "q%d", i);
        fail_one(p, request, order);
        if (i % 32 == 0)
            settle_down(p);
    }
    settle_down(p);
    claim(p, "first", PRICE, 20, first);
    assert_int_equal(balance(&p->a), 0);
    lose_one(p, "lost", PRICE, order); /* the twin: this one may have been answered */
    claim(p, "lost", PRICE, 20, order);
    assert_int_equal(balance(&p->a), -20);
}

static void what_failed_is_not_charged_when_its_row_is_forgotten_either(void **state)
{
    pair *p = *state;
    char first[TL_ORDER_MAX], order[TL_ORDER_MAX], request[16];
    fail_one(p, "first", first);
    settle_down(p);
    pass_time(p, (TL_BOOK_SPARE_DAYS + 1) * TL_BOOK_DAY * TL_SEC);
    for (int i = 0; i <= TL_CREDIT_PRUNE_EVERY; i++) {
        snprintf(request, sizeof request, "q%d", i);
        fail_one(p, request, order);
    }
    settle_down(p);
    json_t *h = report(&p->a, TL_REPORT_HISTORY);
    assert_int_equal(json_array_size(json_object_get(h, "entries")), TL_CREDIT_PRUNE_EVERY + 1);
    json_decref(h);
    claim(p, "first", PRICE, 20, first);
    assert_int_equal(balance(&p->a), 0);
}

/* The disk refuses the start, the end, or both. */
static tl_credit_asked *ask_with(pair *p, const char *request, bool begins, char *order)
{
    p->a.disk_fails = !begins;
    tl_credit_asked *asked = ask(p, request, PRICE, order);
    settle_down(p);
    return asked;
}

static void end_with(pair *p, tl_credit_asked *asked, bool ends, tl_credit_end how, int64_t out)
{
    p->a.disk_fails = !ends;
    tl_credit_over(asked, how, (tl_tokens){0, out}, 0);
    settle_down(p);
    p->a.disk_fails = false;
}

static void what_failed_is_not_charged_by_its_order_where_the_disk_refused_it(void **state)
{
    pair *p = *state;
    char order[4][TL_ORDER_MAX], request[4];
    for (int i = 0; i < 3; i++) {
        snprintf(request, sizeof request, "q%d", i);
        pass_time(p, TL_CREDIT_RETRY_EVERY); /* the disk takes something again */
        end_with(p, ask_with(p, request, i & 1, order[i]), i & 2, TL_CREDIT_FAILED, 0);
        claim(p, request, PRICE, 20, order[i]);
        assert_int_equal(balance(&p->a), 0);
    }
    pass_time(p, TL_CREDIT_RETRY_EVERY);
    restart(&p->a); /* what was refused has been written since */
    p->cut = false;
    for (int i = 0; i < 3; i++) {
        snprintf(request, sizeof request, "q%d", i);
        claim(p, request, PRICE, 20, order[i]);
        assert_int_equal(balance(&p->a), 0);
    }
    /* the twin: an answer that came is paid, and no token more */
    end_with(p, ask_with(p, "q3", false, order[3]), false, TL_CREDIT_ANSWERED, 20);
    claim(p, "q3", PRICE, 21, order[3]);
    assert_int_equal(balance(&p->a), 0);
    claim(p, "q3", PRICE, 20, order[3]);
    assert_int_equal(balance(&p->a), -20);
    pass_time(p, TL_CREDIT_RETRY_EVERY);
    assert_int_equal(balance(&p->a), -20);
}

static void a_question_that_is_asked_again_is_judged_by_its_own_end(void **state)
{
    pair *p = *state;
    char first[TL_ORDER_MAX], second[TL_ORDER_MAX];
    p->a.disk_error = TL_ERR_BUSY; /* the store's queue is full */
    end_with(p, ask_with(p, "q", false, first), false, TL_CREDIT_FAILED, 0);
    tl_credit_asked *again = ask_with(p, "q", true, second);
    pass_time(p, TL_CREDIT_RETRY_EVERY);
    end_with(p, again, true, TL_CREDIT_ANSWERED, 20);
    claim(p, "q", PRICE, 20, second);
    assert_int_equal(balance(&p->a), -20);
}

/* Its row alone would say after a restart that it failed. */
static void where_the_disk_takes_nothing_nothing_is_asked_at_a_price_until_it_does(void **state)
{
    pair *p = *state;
    tl_credit_question q = question_to(&p->a, "r", PRICE), free_one = question_to(&p->a, "free", 0);
    char order[TL_ORDER_MAX];
    tl_credit_asked *first = ask_with(p, "q", false, order), *asked;
    assert_int_equal(tl_credit_ask(p->a.credit, &q, order, &asked), TL_ERR_IO);
    assert_int_equal(tl_credit_ask(p->a.credit, &free_one, order, &asked), TL_OK);
    tl_credit_over(asked, TL_CREDIT_FAILED, (tl_tokens){0, 0}, 0);
    for (int i = 0; i < 3; i++) {
        pass_time(p, TL_CREDIT_RETRY_EVERY);
        assert_int_equal(tl_credit_ask(p->a.credit, &q, order, &asked), TL_ERR_IO);
    }
    p->a.disk_fails = false;
    pass_time(p, TL_CREDIT_RETRY_EVERY);
    assert_int_equal(tl_credit_ask(p->a.credit, &q, order, &asked), TL_OK);
    tl_credit_over(asked, TL_CREDIT_FAILED, (tl_tokens){0, 0}, 0);
    tl_credit_over(first, TL_CREDIT_FAILED, (tl_tokens){0, 0}, 0);
    settle_down(p);
}

/* Neither does it remember more than a number of ends, nor does it forget one. */
static void who_cannot_store_how_questions_ended_asks_for_no_more_at_a_price(void **state)
{
    pair *p = *state;
    tl_credit_question q = question_to(&p->a, "one too many", PRICE);
    char first[TL_ORDER_MAX], order[TL_ORDER_MAX], request[16];
    tl_credit_asked *asked;
    p->a.disk_error = TL_ERR_BUSY;
    end_with(p, ask_with(p, "first", false, first), false, TL_CREDIT_FAILED, 0);
    for (int i = 1; i < TL_CREDIT_WAITING_MAX; i++) {
        snprintf(request, sizeof request, "q%d", i);
        end_with(p, ask_with(p, request, false, order), false, TL_CREDIT_FAILED, 0);
    }
    assert_int_equal(tl_credit_ask(p->a.credit, &q, order, &asked), TL_ERR_BUSY);
    claim(p, "first", PRICE, 20, first);
    assert_int_equal(balance(&p->a), 0);
    pass_time(p, TL_CREDIT_RETRY_EVERY);
    fail_one(p, "one too many", order);
    settle_down(p);
}

static void an_order_with_a_price_holds_for_thirty_days(void **state)
{
    pair *p = *state;
    char lost[TL_ORDER_MAX], other[TL_ORDER_MAX], free_one[TL_ORDER_MAX];
    lose_one(p, "lost", PRICE, lost);
    lose_one(p, "other", PRICE, other);
    lose_one(p, "free", 0, free_one);
    pass_time(p, (TL_BOOK_ORDER_DAYS * TL_BOOK_DAY - 1) * TL_SEC);
    claim(p, "lost", PRICE, 20, lost);
    assert_int_equal(balance(&p->a), -20);
    pass_time(p, TL_SEC);
    claim(p, "other", PRICE, 20, other);
    assert_int_equal(balance(&p->a), -20);
    assert_int_equal(tl_credit_counters_of(p->a.credit)->not_signed, 1);
    claim(p, "free", 0, 20, free_one); /* it costs nothing: the provider's own books need it */
    assert_int_equal(tl_credit_counters_of(p->a.credit)->not_signed, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_PAIR(what_failed_is_never_charged_however_many_questions_fail_after_it),
        WITH_PAIR(what_failed_is_not_charged_when_its_row_is_forgotten_either),
        WITH_PAIR(what_failed_is_not_charged_by_its_order_where_the_disk_refused_it),
        WITH_PAIR(a_question_that_is_asked_again_is_judged_by_its_own_end),
        WITH_PAIR(where_the_disk_takes_nothing_nothing_is_asked_at_a_price_until_it_does),
        WITH_PAIR(who_cannot_store_how_questions_ended_asks_for_no_more_at_a_price),
        WITH_PAIR(an_order_with_a_price_holds_for_thirty_days),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
