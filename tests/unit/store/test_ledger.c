#include "books.h"

#include "base/json.h"

static void assert_clean(const book *b)
{
    json_t *a = audit(b);
    assert_string_equal(first_problem(a), "");
    json_decref(a);
}

static void assert_mirrored(const books *s, json_int_t owed_to_provider)
{
    assert_int_equal(balance_of(&s->provider), owed_to_provider);
    assert_int_equal(balance_of(&s->consumer), -owed_to_provider);
    assert_clean(&s->provider);
    assert_clean(&s->consumer);
}

/* --- questions --- */

static void a_question_is_held_posted_and_signed_by_both(void **state)
{
    books *s = *state;
    tl_receipt r;
    assert_int_equal(begin(s, TL_LEDGER_ASKED, "q"), TL_OK);
    assert_int_equal(begin(s, TL_LEDGER_SERVED, "q"), TL_OK);
    assert_mirrored(s, 0);
    json_t *w = report(&s->provider, TL_REPORT_WALLET);
    assert_int_equal(json_integer_value(json_object_get(w, "held_micro")), 1027);
    json_decref(w);
    assert_int_equal(post(s, "q", 3, 20, &r), TL_OK);
    assert_true(r.by_provider && !r.by_consumer);
    assert_int_equal(balance_of(&s->provider), 23);
    assert_int_equal(over(s, "q", 3, 20), TL_OK);
    assert_int_equal(balance_of(&s->consumer), 0); /* nothing is owed that nobody claimed */
    assert_int_equal(claim(s, &r), TL_CLAIM_OK);
    assert_true(r.by_provider && r.by_consumer);
    assert_int_equal(tl_receipt_verify(&r), TL_OK);
    assert_int_equal(sign(s, &r), TL_OK);
    assert_mirrored(s, 23);
    w = report(&s->provider, TL_REPORT_WALLET);
    assert_int_equal(json_integer_value(json_object_get(w, "held_micro")), 0);
    json_decref(w);
}

static void one_request_is_charged_once_whatever_is_said_again(void **state)
{
    books *s = *state;
    tl_receipt r, again, other;
    trade(s, "q", 3, 20);
    assert_int_equal(begin(s, TL_LEDGER_SERVED, "q"), TL_ERR_EXISTS);
    assert_int_equal(begin(s, TL_LEDGER_ASKED, "q"), TL_ERR_EXISTS);
    assert_int_equal(post(s, "q", 3, 20, NULL), TL_ERR_EXISTS);
    assert_int_equal(void_it(s, "q"), TL_OK); /* too late: nothing changes */
    assert_mirrored(s, 23);
    /* the provider asks for the signature again: it is the same one */
    assert_int_equal(begin(s, TL_LEDGER_SERVED, "p"), TL_OK);
    assert_int_equal(begin(s, TL_LEDGER_ASKED, "p"), TL_OK);
    assert_int_equal(post(s, "p", 3, 4, &r), TL_OK);
    again = other = r;
    assert_int_equal(claim(s, &r), TL_CLAIM_OK);
    assert_int_equal(claim(s, &again), TL_CLAIM_AGAIN);
    assert_memory_equal(&again.consumer_signature, &r.consumer_signature, TL_SIGNATURE_SIZE);
    assert_int_equal(sign(s, &again), TL_OK);
    assert_int_equal(sign(s, &r), TL_ERR_EXISTS);
    /* another claim for the same question is not signed */
    other.at++;
    other.by_consumer = false;
    assert_int_equal(tl_receipt_sign(&other, &s->provider.self), TL_OK);
    assert_int_equal(claim(s, &other), TL_CLAIM_OTHER);
    assert_mirrored(s, 30);
}

static void what_failed_is_not_owed_and_may_be_asked_again(void **state)
{
    books *s = *state;
    tl_receipt r;
    assert_int_equal(begin(s, TL_LEDGER_ASKED, "q"), TL_OK);
    assert_int_equal(begin(s, TL_LEDGER_SERVED, "q"), TL_OK);
    assert_int_equal(void_it(s, "q"), TL_OK);
    assert_int_equal(over(s, "q", 0, 0), TL_OK);
    assert_mirrored(s, 0);
    /* a provider that claims it all the same gets nothing */
    assert_int_equal(post(s, "q", 1, 1, &r), TL_OK);
    assert_int_equal(claim(s, &r), TL_CLAIM_NOTHING);
    assert_int_equal(balance_of(&s->consumer), 0);
    trade(s, "p", 1, 1);
    assert_int_equal(begin(s, TL_LEDGER_ASKED, "q"), TL_OK); /* once more */
    assert_clean(&s->consumer);
}

static void inflated_foreign_and_forged_claims_are_refused(void **state)
{
    books *s = *state;
    tl_receipt r, bad;
    assert_int_equal(begin(s, TL_LEDGER_ASKED, "q"), TL_OK);
    assert_int_equal(post(s, "q", 3, 21, &r), TL_OK);
    assert_int_equal(over(s, "q", 3, 20), TL_OK);
    assert_int_equal(claim(s, &r), TL_CLAIM_COUNTS);
    bad = r;
    bad.tokens_out = 20; /* the amount is still that of 21 */
    bad.by_consumer = bad.by_provider = false;
    assert_int_equal(tl_receipt_sign(&bad, &s->provider.self), TL_OK);
    assert_int_equal(claim(s, &bad), TL_CLAIM_AMOUNT);
    bad.amount = 23;
    tl_book_op op = {.what = TL_BOOK_CLAIM, .entry.receipt = bad};
    assert_int_equal(run_op(&s->consumer, &op), TL_ERR_AUTH); /* changed after it was signed */
    assert_int_equal(tl_receipt_sign(&bad, &s->provider.self), TL_OK);
    snprintf(bad.request, sizeof bad.request, "never");
    assert_int_equal(tl_receipt_sign(&bad, &s->provider.self), TL_OK);
    assert_int_equal(claim(s, &bad), TL_CLAIM_UNKNOWN);
    snprintf(bad.request, sizeof bad.request, "q");
    assert_int_equal(tl_receipt_sign(&bad, &s->provider.self), TL_OK);
    assert_int_equal(claim(s, &bad), TL_CLAIM_OK); /* its accepted twin */
    assert_int_equal(balance_of(&s->consumer), -23);
}

static void a_signature_under_another_amount_is_no_signature(void **state)
{
    books *s = *state;
    tl_receipt r, less;
    assert_int_equal(begin(s, TL_LEDGER_ASKED, "q"), TL_OK);
    assert_int_equal(post(s, "q", 3, 20, &r), TL_OK);
    less = r;
    less.amount = 1;
    assert_int_equal(tl_receipt_sign(&less, &s->consumer.self), TL_OK);
    assert_int_equal(sign(s, &less), TL_ERR_NOT_FOUND);
    less.amount = r.amount; /* the right body, with the signature under the other one */
    assert_int_equal(sign(s, &less), TL_ERR_AUTH);
    assert_int_equal(sign(s, &r), TL_ERR_AUTH); /* not signed at all */
    assert_int_equal(claim(s, &r), TL_CLAIM_OK);
    assert_int_equal(sign(s, &r), TL_OK);
}

/* A consumer that died before its disk had the question still pays, by its order. */
static void a_question_that_never_reached_the_disk_is_known_by_its_order(void **state)
{
    books *s = *state;
    tl_receipt r, twice;
    assert_int_equal(post(s, "q", 3, 20, &r), TL_OK);
    twice = r;
    assert_int_equal(claim(s, &r), TL_CLAIM_UNKNOWN);
    tl_book_op op = {
        .what = TL_BOOK_CLAIM, .has_order = true, .entry = question_of(s, TL_LEDGER_ASKED, "q")};
    op.entry.receipt = r;
    assert_int_equal(run_op(&s->consumer, &op), TL_OK);
    assert_int_equal(op.claim, TL_CLAIM_OK);
    assert_int_equal(claim(s, &twice), TL_CLAIM_AGAIN);
    assert_int_equal(sign(s, &op.entry.receipt), TL_OK);
    assert_mirrored(s, 23);
    /* and for no more than the order allows */
    assert_int_equal(post(s, "p", 3, 1025, &r), TL_OK);
    op.entry = question_of(s, TL_LEDGER_ASKED, "p");
    op.entry.receipt = r;
    assert_int_equal(run_op(&s->consumer, &op), TL_OK);
    assert_int_equal(op.claim, TL_CLAIM_COUNTS);
}

static void what_is_not_signed_is_read_in_order_until_it_is_refused(void **state)
{
    books *s = *state;
    char request[8];
    for (int i = 0; i < TL_BOOK_READ_MAX + 3; i++) {
        snprintf(request, sizeof request, "q%d", i);
        assert_int_equal(post(s, request, 1, 1, NULL), TL_OK);
    }
    tl_book_op *op = tl_book_op_new(TL_BOOK_UNSIGNED);
    op->entry.peer = s->consumer.self.id;
    assert_int_equal(run_op(&s->provider, op), TL_OK);
    assert_int_equal(op->n, TL_BOOK_READ_MAX);
    assert_string_equal(op->entries[0].request, "q0");
    int64_t after = op->after;
    tl_book_op_free(op);
    tl_book_op no = {.what = TL_BOOK_REFUSED, .entry.peer = s->consumer.self.id, .why = "unknown"};
    snprintf(no.entry.request, sizeof no.entry.request, "q65");
    assert_int_equal(run_op(&s->provider, &no), TL_OK);
    op = tl_book_op_new(TL_BOOK_UNSIGNED);
    op->entry.peer = s->consumer.self.id;
    op->after = after;
    assert_int_equal(run_op(&s->provider, op), TL_OK);
    assert_int_equal(op->n, 2);
    assert_string_equal(op->entries[1].request, "q66");
    tl_book_op_free(op);
    json_t *a = audit(&s->provider);
    assert_int_equal(json_integer_value(json_object_get(a, "unsigned")), TL_BOOK_READ_MAX + 3);
    assert_string_equal(first_problem(a), "");
    json_decref(a);
}

static void a_name_is_taken_for_a_day(void **state)
{
    books *s = *state;
    tl_book_op op = {.what = TL_BOOK_NAME, .entry = {.request = "mine", .at = NOW}};
    assert_int_equal(run_op(&s->consumer, &op), TL_OK);
    assert_int_equal(run_op(&s->consumer, &op), TL_ERR_EXISTS);
    op.entry.at = NOW + TL_BOOK_DAY - 1;
    assert_int_equal(run_op(&s->consumer, &op), TL_ERR_EXISTS);
    op.entry.at = NOW + TL_BOOK_DAY;
    assert_int_equal(run_op(&s->consumer, &op), TL_OK);
    op.what = TL_BOOK_UNNAME;
    assert_int_equal(run_op(&s->consumer, &op), TL_OK);
    op.what = TL_BOOK_NAME;
    assert_int_equal(run_op(&s->consumer, &op), TL_OK);
}

/* --- at the start --- */

typedef struct {
    int peers, served, named;
    tl_ledger_sums sums;
    unsigned unsigned_n, paid_n;
} loaded;

static void on_peer(void *user, const tl_node_id *peer, const tl_ledger_sums *sums,
                    unsigned unsigned_n, unsigned paid_n)
{
    loaded *l = user;
    (void)peer;
    l->peers++;
    l->sums = *sums;
    l->unsigned_n = unsigned_n;
    l->paid_n = paid_n;
}

static void on_served(void *user, const tl_node_id *peer, const char *request, tl_unix at)
{
    loaded *l = user;
    (void)peer;
    (void)request;
    assert_int_equal(at, NOW);
    l->served++;
}

static void on_named(void *user, const char *request, tl_unix at)
{
    loaded *l = user;
    assert_string_equal(request, "mine");
    assert_int_equal(at, NOW);
    l->named++;
}

static loaded load_at(const book *b, tl_unix now)
{
    static const tl_ledger_loaded calls = {on_peer, on_served, on_named, NULL};
    loaded l = {0};
    assert_int_equal(tl_ledger_load(b->store, now, &calls, &l), TL_OK);
    return l;
}

static void a_start_voids_what_a_crash_left_and_knows_the_rest(void **state)
{
    books *s = *state;
    tl_receipt r;
    trade(s, "q", 3, 20);
    assert_int_equal(post(s, "p", 1, 1, &r), TL_OK);
    assert_int_equal(begin(s, TL_LEDGER_SERVED, "cut"), TL_OK);
    assert_int_equal(begin(s, TL_LEDGER_ASKED, "p"), TL_OK);
    tl_book_op op = {.what = TL_BOOK_NAME, .entry = {.request = "mine", .at = NOW}};
    assert_int_equal(run_op(&s->provider, &op), TL_OK);
    loaded l = load_at(&s->provider, NOW + 10);
    assert_int_equal(l.peers, 1);
    assert_int_equal(l.sums.earned, 25);
    assert_int_equal(l.unsigned_n, 1);
    assert_int_equal(l.served, 2);
    assert_int_equal(l.named, 1);
    l = load_at(&s->provider, NOW + TL_BOOK_DAY);
    assert_int_equal(l.served, 0);
    assert_int_equal(l.named, 0);
    json_t *w = report(&s->provider, TL_REPORT_WALLET);
    assert_int_equal(json_integer_value(json_object_get(w, "held_micro")), 0);
    json_decref(w);
    assert_int_equal(begin(s, TL_LEDGER_SERVED, "cut"), TL_OK);
    /* the consumer's crash: what it asked for, it pays, up to its cap */
    l = load_at(&s->consumer, NOW + 10);
    assert_int_equal(l.sums.spent, 23);
    assert_int_equal(claim(s, &r), TL_CLAIM_OK);
    assert_int_equal(sign(s, &r), TL_OK);
    assert_mirrored(s, 25);
}

/* --- settlements --- */

static tl_settlement settlement_of(const books *s, const char *id, int64_t amount)
{
    tl_settlement t = {.creditor = s->provider.self.id,
                       .debtor = s->consumer.self.id,
                       .amount = amount,
                       .at = NOW + 9};
    snprintf(t.id, sizeof t.id, "%s", id);
    return t;
}

static tl_err settle_op(const book *b, tl_book_what what, const tl_settlement *t, bool confirmed)
{
    tl_book_op op = {.what = what, .entry.settlement = *t, .confirmed = confirmed};
    return run_op(b, &op);
}

static size_t unconfirmed(const book *b, const tl_node_id *peer)
{
    tl_book_op *op = tl_book_op_new(TL_BOOK_UNCONFIRMED);
    op->entry.peer = *peer;
    assert_int_equal(run_op(b, op), TL_OK);
    size_t n = op->n;
    tl_book_op_free(op);
    return n;
}

static void a_settlement_that_both_signed_lowers_the_debt_once(void **state)
{
    books *s = *state;
    trade(s, "q", 3, 20);
    tl_settlement t = settlement_of(s, "s1", 20), u = settlement_of(s, "s0", 24);
    assert_int_equal(tl_settlement_sign(&t, &s->provider.self), TL_OK);
    assert_int_equal(settle_op(&s->provider, TL_BOOK_PROPOSE, &t, false), TL_OK);
    assert_int_equal(unconfirmed(&s->provider, &s->consumer.self.id), 0); /* its person tells it */
    assert_int_equal(tl_settlement_sign(&t, &s->consumer.self), TL_OK);
    assert_int_equal(tl_settlement_sign(&u, &s->provider.self), TL_OK);
    assert_int_equal(tl_settlement_sign(&u, &s->consumer.self), TL_OK);
    assert_int_equal(settle_op(&s->consumer, TL_BOOK_SETTLE, &u, false), TL_ERR_FORBIDDEN);
    assert_int_equal(settle_op(&s->provider, TL_BOOK_SETTLE, &u, true), TL_ERR_FORBIDDEN);
    assert_int_equal(settle_op(&s->consumer, TL_BOOK_SETTLE, &t, false), TL_OK);
    assert_int_equal(unconfirmed(&s->consumer, &s->provider.self.id), 1);
    assert_int_equal(settle_op(&s->provider, TL_BOOK_SETTLE, &t, true), TL_OK);
    assert_int_equal(settle_op(&s->provider, TL_BOOK_SETTLE, &t, true), TL_ERR_EXISTS);
    tl_book_op done = {.what = TL_BOOK_CONFIRMED, .entry.peer = s->provider.self.id};
    snprintf(done.entry.request, sizeof done.entry.request, "s1");
    assert_int_equal(run_op(&s->consumer, &done), TL_OK);
    assert_int_equal(unconfirmed(&s->consumer, &s->provider.self.id), 0);
    assert_mirrored(s, 3);
}

static void a_proposal_moves_nothing_until_the_creditor_signs(void **state)
{
    books *s = *state;
    trade(s, "q", 3, 20);
    tl_settlement t = settlement_of(s, "s1", 20);
    assert_int_equal(tl_settlement_sign(&t, &s->consumer.self), TL_OK);
    assert_int_equal(settle_op(&s->consumer, TL_BOOK_PROPOSE, &t, false), TL_OK);
    assert_int_equal(settle_op(&s->provider, TL_BOOK_PROPOSE, &t, false), TL_OK);
    assert_mirrored(s, 23);
    assert_int_equal(unconfirmed(&s->consumer, &s->provider.self.id), 1);
    tl_book_op there = {.what = TL_BOOK_PROPOSED, .entry.peer = s->consumer.self.id};
    assert_int_equal(run_op(&s->provider, &there), TL_OK);
    assert_true(tl_settlement_eq(&there.entry.settlement, &t));
    /* a newer one replaces it */
    tl_settlement u = settlement_of(s, "s2", 5);
    assert_int_equal(tl_settlement_sign(&u, &s->consumer.self), TL_OK);
    assert_int_equal(settle_op(&s->provider, TL_BOOK_PROPOSE, &u, false), TL_OK);
    assert_int_equal(run_op(&s->provider, &there), TL_OK);
    assert_string_equal(there.entry.settlement.id, "s2");
    assert_int_equal(tl_settlement_sign(&u, &s->provider.self), TL_OK);
    assert_int_equal(settle_op(&s->provider, TL_BOOK_SETTLE, &u, false), TL_OK);
    assert_int_equal(settle_op(&s->consumer, TL_BOOK_SETTLE, &u, true), TL_OK);
    assert_int_equal(run_op(&s->provider, &there), TL_ERR_NOT_FOUND);
    assert_mirrored(s, 18);
}

/* --- history --- */

static void note_history(tl_report *r, tl_err e)
{
    assert_int_equal(e, TL_OK);
    *(bool *)r->user = true;
}

static json_t *history(const book *b, tl_unix since, const tl_node_id *peer)
{
    bool done = false;
    tl_report r = {.what = TL_REPORT_HISTORY,
                   .self = b->self.id,
                   .since = since,
                   .done = note_history,
                   .user = &done};
    if (peer) {
        r.has_peer = true;
        r.peer = *peer;
    }
    tl_report_submit(b->store, &r);
    while (!done)
        tl_store_collect(b->store);
    return r.result;
}

static void the_history_tells_every_entry_oldest_first(void **state)
{
    books *s = *state;
    trade(s, "q", 3, 20);
    assert_int_equal(begin(s, TL_LEDGER_SERVED, "later"), TL_OK);
    json_t *h = history(&s->provider, 0, NULL), *list = json_object_get(h, "entries");
    assert_int_equal(json_array_size(list), 2);
    json_t *first = json_array_get(list, 0), *second = json_array_get(list, 1);
    assert_int_equal(json_object_size(first), 13);
    assert_string_equal(tl_json_string(first, "at", ""), "2027-01-15T08:00:00Z");
    assert_string_equal(tl_json_string(first, "request", ""), "q");
    assert_string_equal(tl_json_string(first, "kind", ""), "question");
    assert_string_equal(tl_json_string(first, "role", ""), "served");
    assert_string_equal(tl_json_string(first, "state", ""), "posted");
    assert_true(json_is_null(json_object_get(first, "ptn_id")));
    assert_int_equal(json_integer_value(json_object_get(first, "amount_micro")), 23);
    tl_receipt r;
    assert_int_equal(tl_receipt_read(json_object_get(first, "receipt"), &r), TL_OK);
    assert_true(r.by_consumer && r.by_provider);
    assert_int_equal(tl_receipt_verify(&r), TL_OK);
    assert_string_equal(tl_json_string(second, "state", ""), "held");
    assert_true(json_is_null(json_object_get(second, "receipt")));
    assert_true(json_is_null(json_object_get(second, "tokens_in")));
    json_decref(h);
    h = history(&s->provider, NOW + 1, NULL);
    assert_int_equal(json_array_size(json_object_get(h, "entries")), 0);
    json_decref(h);
    h = history(&s->provider, NOW, &s->consumer.self.id);
    assert_int_equal(json_array_size(json_object_get(h, "entries")), 2);
    json_decref(h);
    h = history(&s->provider, NOW, &s->provider.self.id);
    assert_int_equal(json_array_size(json_object_get(h, "entries")), 0);
    json_decref(h);
}

/* Reads the claims q0, q1, ... to the last in pages, in the order that the report has. */
static void read_in_pages(books *s, bool newest, size_t limit, size_t all)
{
    char request[16];
    tl_report r = {
        .what = TL_REPORT_HISTORY, .limit = limit, .newest = newest, .done = note_history};
    size_t n = 0, pages = 0;
    for (bool more = true; more; pages++) {
        bool done = false;
        tl_report page = r;
        page.user = &done;
        tl_report_submit(s->provider.store, &page);
        while (!done)
            tl_store_collect(s->provider.store);
        json_t *list = json_object_get(page.result, "entries");
        assert_true(json_array_size(list) <= limit);
        for (size_t i = 0; i < json_array_size(list); i++, n++) {
            snprintf(request, sizeof request, "q%zu", newest ? all - 1 - n : n);
            assert_string_equal(tl_json_string(json_array_get(list, i), "request", ""), request);
        }
        const json_t *next = json_object_get(page.result, "next");
        more = next != NULL;
        r.after_at = json_integer_value(json_object_get(next, "at"));
        r.after_id = json_integer_value(json_object_get(next, "id"));
        json_decref(page.result);
    }
    assert_int_equal(n, all);
    assert_int_equal(pages, (all + limit) / limit); /* a full one may not be the last */
}

static void a_history_is_read_in_pages_from_either_end(void **state)
{
    books *s = *state;
    char request[16];
    for (int i = 0; i < 4500; i++) {
        snprintf(request, sizeof request, "q%d", i);
        assert_int_equal(begin(s, TL_LEDGER_SERVED, request), TL_OK);
    }
    read_in_pages(s, false, 1000, 4500);
    read_in_pages(s, true, 1000, 4500);
    read_in_pages(s, true, 2500, 4500); /* more than one job reads a page */
    read_in_pages(s, false, 1500, 4500);
}

/* More than one job reads. */
static void a_long_history_is_whole(void **state)
{
    books *s = *state;
    char request[16];
    for (int i = 0; i < 2100; i++) {
        snprintf(request, sizeof request, "q%d", i);
        assert_int_equal(begin(s, TL_LEDGER_SERVED, request), TL_OK);
    }
    json_t *h = history(&s->provider, 0, NULL), *list = json_object_get(h, "entries");
    assert_int_equal(json_array_size(list), 2100);
    for (int i = 0; i < 2100; i++) {
        snprintf(request, sizeof request, "q%d", i);
        assert_string_equal(tl_json_string(json_array_get(list, (size_t)i), "request", ""),
                            request);
    }
    json_decref(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_BOOKS(a_question_is_held_posted_and_signed_by_both),
        WITH_BOOKS(one_request_is_charged_once_whatever_is_said_again),
        WITH_BOOKS(what_failed_is_not_owed_and_may_be_asked_again),
        WITH_BOOKS(inflated_foreign_and_forged_claims_are_refused),
        WITH_BOOKS(a_signature_under_another_amount_is_no_signature),
        WITH_BOOKS(a_question_that_never_reached_the_disk_is_known_by_its_order),
        WITH_BOOKS(what_is_not_signed_is_read_in_order_until_it_is_refused),
        WITH_BOOKS(a_name_is_taken_for_a_day),
        WITH_BOOKS(a_start_voids_what_a_crash_left_and_knows_the_rest),
        WITH_BOOKS(a_settlement_that_both_signed_lowers_the_debt_once),
        WITH_BOOKS(a_proposal_moves_nothing_until_the_creditor_signs),
        WITH_BOOKS(the_history_tells_every_entry_oldest_first),
        WITH_BOOKS(a_history_is_read_in_pages_from_either_end),
        WITH_BOOKS(a_long_history_is_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
