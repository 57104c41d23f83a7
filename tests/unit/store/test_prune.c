/* What of the ledger is forgotten: so much that strangers cannot fill the disk, and nothing that counts. */
#include "books.h"

#include "base/json.h"

static size_t rows_of(const book *b, const char *request_prefix)
{
    json_t *h = report(b, TL_REPORT_HISTORY), *e;
    size_t n = 0, i;
    json_array_foreach (json_object_get(h, "entries"), i, e)
        n += strncmp(tl_json_string(e, "request", ""), request_prefix, strlen(request_prefix)) == 0;
    json_decref(h);
    return n;
}

/* Until there is nothing more to forget. Returns how many claims that nobody signed went. */
static size_t prune(const books *s, tl_unix now)
{
    size_t lost = 0;
    bool more = true;
    for (int i = 0; i < 40 && more; i++) {
        tl_book_op *op = tl_book_op_new(TL_BOOK_PRUNE);
        op->entry.peer = s->consumer.self.id;
        op->entry.at = now;
        assert_int_equal(run_op(&s->provider, op), TL_OK);
        lost += op->n;
        more = op->more;
        tl_book_op_free(op);
    }
    return lost;
}

/* A free question: charged nothing, and signed. */
static void give(const books *s, const char *request, bool is_signed)
{
    tl_book_op op = {.what = TL_BOOK_POST, .entry = question_of(s, TL_LEDGER_SERVED, request)};
    tl_receipt *r = &op.entry.receipt;
    op.entry.price = op.entry.held = 0;
    *r = (tl_receipt){.consumer = s->consumer.self.id,
                      .provider = s->provider.self.id,
                      .model = "llama",
                      .tokens_in = 1,
                      .tokens_out = 1,
                      .at = NOW};
    snprintf(r->request, sizeof r->request, "%s", request);
    assert_int_equal(run_op(&s->provider, &op), TL_OK);
    if (!is_signed)
        return;
    assert_int_equal(tl_receipt_sign(r, &s->consumer.self), TL_OK);
    assert_int_equal(sign(s, r), TL_OK);
}

static void assert_clean(const book *b)
{
    json_t *a = audit(b);
    assert_string_equal(first_problem(a), "");
    json_decref(a);
}

static void of_free_questions_the_newest_thousand_of_a_peer_stay(void **state)
{
    books *s = *state;
    char request[16];
    trade(s, "paid", 3, 20);
    for (int i = 0; i < TL_BOOK_SPARE_OF + 300; i++) {
        snprintf(request, sizeof request, "free%d", i);
        give(s, request, true);
    }
    assert_int_equal(begin(s, TL_LEDGER_SERVED, "open"), TL_OK);
    assert_int_equal(prune(s, NOW), 0);
    assert_int_equal(rows_of(&s->provider, "free"), TL_BOOK_SPARE_OF);
    assert_int_equal(rows_of(&s->provider, "free0"), 0);
    snprintf(request, sizeof request, "free%d", TL_BOOK_SPARE_OF + 299);
    assert_int_equal(rows_of(&s->provider, request), 1);
    assert_int_equal(rows_of(&s->provider, "paid"), 1); /* money stays */
    assert_int_equal(rows_of(&s->provider, "open"), 1);
    assert_int_equal(balance_of(&s->provider), 23);
    assert_clean(&s->provider);
}

static void what_came_to_nothing_is_forgotten_with_its_holds(void **state)
{
    books *s = *state;
    char request[16];
    for (int i = 0; i < TL_BOOK_SPARE_OF + 100; i++) {
        snprintf(request, sizeof request, "void%d", i);
        assert_int_equal(begin(s, TL_LEDGER_SERVED, request), TL_OK);
        assert_int_equal(void_it(s, request), TL_OK);
    }
    assert_int_equal(prune(s, NOW), 0);
    assert_int_equal(rows_of(&s->provider, "void"), TL_BOOK_SPARE_OF);
    assert_clean(&s->provider);
}

static void a_free_claim_that_nobody_signed_goes_after_a_day_and_a_paid_one_never(void **state)
{
    books *s = *state;
    tl_receipt r;
    give(s, "free", false);
    assert_int_equal(post(s, "paid", 1, 1, &r), TL_OK);
    assert_int_equal(prune(s, NOW + TL_BOOK_DAY), 0);
    assert_int_equal(rows_of(&s->provider, "free"), 1);
    assert_int_equal(prune(s, NOW + TL_BOOK_DAY + 1), 1);
    assert_int_equal(rows_of(&s->provider, "free"), 0);
    assert_int_equal(rows_of(&s->provider, "paid"), 1);
    assert_clean(&s->provider);
}

static void unsigned_free_claims_are_forgotten_too_and_told_one_by_one(void **state)
{
    books *s = *state;
    char request[16];
    for (int i = 0; i < TL_BOOK_SPARE_OF + 300; i++) {
        snprintf(request, sizeof request, "free%d", i);
        give(s, request, false);
    }
    assert_int_equal(prune(s, NOW), 300);
    assert_int_equal(rows_of(&s->provider, "free"), TL_BOOK_SPARE_OF);
    assert_clean(&s->provider);
}

static tl_receipt claim_of(const books *s, const char *request, int64_t amount)
{
    tl_receipt r = {.consumer = s->consumer.self.id,
                    .provider = s->provider.self.id,
                    .model = "llama",
                    .tokens_in = 1,
                    .tokens_out = 1,
                    .amount = amount,
                    .at = NOW};
    snprintf(r.request, sizeof r.request, "%s", request);
    return r;
}

/* The order of a question that is not here any more brings back what counts, and nothing else. */
static void a_free_receipt_that_comes_back_makes_no_entry_and_a_paid_one_does(void **state)
{
    books *s = *state;
    static const struct {
        const char *request;
        int64_t amount;
        size_t rows;
    } cases[] = {{"free", 0, 0}, {"paid", 2, 1}};
    for (size_t i = 0; i < 2; i++) {
        tl_book_op claims = {.what = TL_BOOK_CLAIM,
                             .has_order = true,
                             .entry = question_of(s, TL_LEDGER_ASKED, cases[i].request)};
        tl_book_op offers = {.what = TL_BOOK_ADOPT};
        claims.entry.receipt = offers.entry.receipt =
            claim_of(s, cases[i].request, cases[i].amount);
        assert_int_equal(tl_receipt_sign(&claims.entry.receipt, &s->provider.self), TL_OK);
        assert_int_equal(run_op(&s->consumer, &claims), TL_OK);
        assert_int_equal(claims.claim, TL_CLAIM_OK);
        assert_int_equal(rows_of(&s->consumer, cases[i].request), cases[i].rows);
        assert_int_equal(tl_receipt_sign(&offers.entry.receipt, &s->consumer.self), TL_OK);
        assert_int_equal(run_op(&s->provider, &offers), TL_OK);
        assert_int_equal(rows_of(&s->provider, cases[i].request), cases[i].rows);
    }
    assert_int_equal(balance_of(&s->provider), 2);
    assert_clean(&s->consumer);
    assert_clean(&s->provider);
}

typedef struct {
    tl_store_job job;
    const char *request;
    int64_t accounts, transfers, of_request;
} count_job;

static tl_err count(tl_store_job *j, tl_db *db)
{
    count_job *c = (count_job *)j;
    tl_err e = tl_db_number(db, "SELECT count(*) FROM accounts", TL_DB_WITHOUT, 0, &c->accounts);
    if (!e)
        e = tl_db_number(db, "SELECT count(*) FROM transfers", TL_DB_WITHOUT, 0, &c->transfers);
    return e || !c->request ? e
                            : tl_db_number(db, "SELECT count(*) FROM transfers WHERE request = ?",
                                           TL_DB_WITH(tl_db_text(c->request)), 0, &c->of_request);
}

/* As rows_of, where there are so many that the history takes seconds. */
static int64_t rows_named(const book *b, const char *request)
{
    count_job j = {.job.work = count, .request = request};
    assert_int_equal(tl_store_do(b->store, &j.job), TL_OK);
    return j.of_request;
}

typedef struct {
    tl_store_job job;
    const char *network, *state;
    int64_t rows;
} fill_job;

/* So many questions that came to nothing, of 100 peers, each a second after the one before. */
static tl_err fill(tl_store_job *j, tl_db *db)
{
    const fill_job *f = (const fill_job *)j;
    tl_err e = tl_db_run(
        db,
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) "
        "INSERT INTO transfers (kind, role, state, request, peer, network, model, at, price, held, "
        "cap_in, cap_out, consumer_order) SELECT 'question', 'served', ?, 'v' || i || '.', "
        "CAST(printf('%032d', i % 100) AS BLOB), CAST(? AS BLOB), "
        "'m', ? + i, 0, 0, 0, 0, '' FROM n",
        TL_DB_WITH(tl_db_int(f->rows), tl_db_text(f->state), tl_db_text(f->network),
                   tl_db_int(NOW)));
    return e ? e : tl_db_run(db, "UPDATE transfers SET state = 'voided'", TL_DB_WITHOUT);
}

static void of_all_free_questions_the_newest_fifty_thousand_stay(void **state)
{
    books *s = *state;
    fill_job f = {
        .job.work = fill, .network = "", .state = "held", .rows = TL_BOOK_SPARE_MAX + 300};
    count_job j = {.job.work = count};
    assert_int_equal(tl_store_do(s->provider.store, &f.job), TL_OK);
    trade(s, "paid", 3, 20);
    assert_int_equal(prune(s, NOW), 0);
    assert_int_equal(tl_store_do(s->provider.store, &j.job), TL_OK);
    assert_int_equal(j.transfers, TL_BOOK_SPARE_MAX + 1);
    assert_int_equal(rows_named(&s->provider, "v300."), 0);
    assert_int_equal(rows_named(&s->provider, "v301."), 1);
    assert_int_equal(balance_of(&s->provider), 23);
    assert_clean(&s->provider);
}

/* What the provider itself asked, at a price, and what came to nothing. */
static void fail_own(const books *s, const char *request, bool has_network)
{
    tl_book_op op = {.what = TL_BOOK_BEGIN, .entry = question_of(s, TL_LEDGER_ASKED, request)};
    op.entry.peer = s->consumer.self.id;
    op.entry.has_network = has_network;
    assert_int_equal(run_op(&s->provider, &op), TL_OK);
    op.what = TL_BOOK_OVER;
    op.entry.cap = (tl_tokens){0, 0};
    assert_int_equal(run_op(&s->provider, &op), TL_OK);
}

static void of_what_came_to_nothing_in_networks_the_newest_two_hundred_thousand_stay(void **state)
{
    books *s = *state;
    fill_job f = {.job.work = fill,
                  .network = "a network's id of 32 characters.",
                  .state = "voided",
                  .rows = TL_BOOK_FREE_MAX + 300};
    count_job j = {.job.work = count};
    fail_own(s, "own-public", false);
    fail_own(s, "own-member", true);
    assert_int_equal(tl_store_do(s->provider.store, &f.job), TL_OK);
    assert_int_equal(prune(s, NOW), 0);
    assert_int_equal(tl_store_do(s->provider.store, &j.job), TL_OK);
    assert_int_equal(j.transfers, TL_BOOK_FREE_MAX + 2); /* our own are the oldest, and stay */
    assert_int_equal(rows_named(&s->provider, "v300."), 0);
    assert_int_equal(rows_named(&s->provider, "v301."), 1);
}

static void after_ninety_days_only_what_counts_is_left(void **state)
{
    books *s = *state;
    tl_unix then = NOW + TL_BOOK_SPARE_DAYS * TL_BOOK_DAY;
    give(s, "free", true);
    trade(s, "paid", 3, 20);
    tl_book_op member = {.what = TL_BOOK_BEGIN,
                         .entry = question_of(s, TL_LEDGER_SERVED, "member")};
    member.entry.has_network = true;
    assert_int_equal(run_op(&s->provider, &member), TL_OK);
    fail_own(s, "own-public", false);
    fail_own(s, "own-member", true);
    assert_int_equal(prune(s, then), 0);
    assert_int_equal(rows_of(&s->provider, "own-"), 2);
    assert_int_equal(prune(s, then + 1), 0);
    assert_int_equal(rows_of(&s->provider, "own-"), 0);
    assert_int_equal(rows_of(&s->provider, "member"), 1); /* under way */
    assert_int_equal(void_it(s, "member"), TL_OK);
    give(s, "free", true);
    assert_int_equal(prune(s, then), 0);
    assert_int_equal(rows_of(&s->provider, "free"), 1);
    assert_int_equal(rows_of(&s->provider, "member"), 1);
    assert_int_equal(prune(s, then + 1), 0);
    assert_int_equal(rows_of(&s->provider, "free"), 0);
    assert_int_equal(rows_of(&s->provider, "member"), 0);
    assert_int_equal(rows_of(&s->provider, "paid"), 1);
    assert_clean(&s->provider);
}

static void of_a_peer_of_whom_nothing_is_left_no_account_stays(void **state)
{
    books *s = *state;
    count_job j = {.job.work = count};
    give(s, "free", false);
    assert_int_equal(tl_store_do(s->provider.store, &j.job), TL_OK);
    assert_true(j.accounts > 0);
    assert_int_equal(prune(s, NOW + TL_BOOK_DAY + 1), 1);
    assert_int_equal(tl_store_do(s->provider.store, &j.job), TL_OK);
    assert_int_equal(j.accounts, 0);
    trade(s, "again", 1, 1);
    assert_clean(&s->provider);
}

/* --- paid questions --- */

static void pay(const books *s, const char *id, int64_t amount)
{
    tl_settlement t = {.creditor = s->provider.self.id,
                       .debtor = s->consumer.self.id,
                       .amount = amount,
                       .at = NOW};
    snprintf(t.id, sizeof t.id, "%s", id);
    assert_int_equal(tl_settlement_sign(&t, &s->provider.self), TL_OK);
    tl_book_op op = {.what = TL_BOOK_PROPOSE, .entry.settlement = t};
    assert_int_equal(run_op(&s->provider, &op), TL_OK);
    assert_int_equal(tl_settlement_sign(&t, &s->consumer.self), TL_OK);
    op = (tl_book_op){.what = TL_BOOK_SETTLE, .entry.settlement = t, .confirmed = true};
    assert_int_equal(run_op(&s->provider, &op), TL_OK);
}

/* Returns the amount of what went. `paid_of`, `paid_all`: as of the operation. */
static int64_t prune_paid(const books *s, tl_unix now, size_t paid_of, size_t paid_all)
{
    int64_t amount = 0;
    tl_book_op *op = tl_book_op_new(TL_BOOK_PRUNE);
    op->entry.peer = s->consumer.self.id;
    op->entry.at = now;
    op->paid_of = paid_of;
    op->paid_all = paid_all;
    assert_int_equal(run_op(&s->provider, op), TL_OK);
    assert_true(op->n <= paid_of + paid_all);
    for (size_t i = 0; i < op->n; i++) {
        assert_memory_equal(&op->entries[i].peer, &s->consumer.self.id, sizeof(tl_node_id));
        amount += op->entries[i].amount;
    }
    tl_book_op_free(op);
    return amount;
}

static void paid_questions_that_are_settled_go_the_oldest_first_and_no_sum_changes(void **state)
{
    books *s = *state;
    tl_unix later = NOW + TL_BOOK_DAY + 1;
    trade(s, "p1", 3, 20);
    trade(s, "p2", 0, 7);
    trade(s, "p3", 0, 5);
    assert_int_equal(prune_paid(s, later, 9, 9), 0); /* it is owed */
    pay(s, "s1", 31);                                /* of 35: p3 is not settled whole */
    assert_int_equal(prune_paid(s, NOW + TL_BOOK_DAY, 9, 9), 0); /* it may be asked for again */
    assert_int_equal(prune_paid(s, later, 0, 0), 0);             /* there is no need */
    assert_int_equal(prune_paid(s, later, 1, 0), 23);
    assert_int_equal(rows_of(&s->provider, "p1"), 0);
    assert_int_equal(rows_of(&s->provider, "p"), 2);
    assert_clean(&s->provider);
    assert_int_equal(prune_paid(s, later, 0, 9), 7);
    assert_int_equal(prune_paid(s, later, 9, 9), 0);
    assert_int_equal(rows_of(&s->provider, "p3"), 1);
    assert_int_equal(balance_of(&s->provider), 4);
    assert_clean(&s->provider);
    pay(s, "s2", 4);
    trade(s, "p4", 0, 2); /* the money for p3 is not money for this one */
    assert_int_equal(prune_paid(s, later, 9, 9), 5);
    assert_int_equal(rows_of(&s->provider, "p4"), 1);
    assert_int_equal(rows_of(&s->provider, "s"), 2);
    assert_int_equal(balance_of(&s->provider), 2);
    json_t *w = report(&s->provider, TL_REPORT_WALLET);
    assert_int_equal(tl_json_number(w, "earned_micro", 0), 37); /* whatever was forgotten */
    json_decref(w);
    assert_clean(&s->provider);
}

static void a_paid_claim_that_nobody_signed_stays_and_what_is_of_a_network_too(void **state)
{
    books *s = *state;
    tl_unix later = NOW + TL_BOOK_DAY + 1;
    tl_receipt r;
    tl_book_op member = {.what = TL_BOOK_POST, .entry = question_of(s, TL_LEDGER_SERVED, "pm")};
    assert_int_equal(post(s, "p1", 1, 1, &r), TL_OK);
    member.entry.has_network = true;
    member.entry.receipt = r;
    member.entry.receipt.has_network = true;
    snprintf(member.entry.receipt.request, sizeof member.entry.receipt.request, "pm");
    assert_int_equal(run_op(&s->provider, &member), TL_OK);
    trade(s, "p2", 3, 4);
    pay(s, "s1", 11);
    assert_int_equal(prune_paid(s, later, 9, 9), 7);
    assert_int_equal(rows_of(&s->provider, "p1"), 1);
    assert_int_equal(rows_of(&s->provider, "pm"), 1);
    assert_int_equal(rows_of(&s->provider, "p2"), 0);
    assert_clean(&s->provider);
}

/* By whatever program: the schema says so. */
static void what_is_owed_cannot_be_deleted(void **state)
{
    books *s = *state;
    trade(s, "p1", 3, 20);
    pay(s, "s1", 22);
    tl_store_close(s->provider.store);
    sqlite3 *db;
    assert_int_equal(sqlite3_open(s->provider.path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "DELETE FROM entries WHERE phase = 'post'", 0, 0, 0),
                     SQLITE_CONSTRAINT);
    assert_int_equal(sqlite3_exec(db, "DELETE FROM transfers WHERE request = 'p1'", 0, 0, 0),
                     SQLITE_CONSTRAINT);
    assert_int_equal(sqlite3_exec(db, "INSERT INTO carried VALUES (1, 1, 0)", 0, 0, 0), SQLITE_OK);
    sqlite3_close(db); /* and the audit notices a sum that is made up */
    s->provider.store = open_at(s->provider.path);
    json_t *a = audit(&s->provider);
    assert_string_not_equal(first_problem(a), "");
    json_decref(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_BOOKS(of_free_questions_the_newest_thousand_of_a_peer_stay),
        WITH_BOOKS(what_came_to_nothing_is_forgotten_with_its_holds),
        WITH_BOOKS(a_free_claim_that_nobody_signed_goes_after_a_day_and_a_paid_one_never),
        WITH_BOOKS(unsigned_free_claims_are_forgotten_too_and_told_one_by_one),
        WITH_BOOKS(a_free_receipt_that_comes_back_makes_no_entry_and_a_paid_one_does),
        WITH_BOOKS(of_a_peer_of_whom_nothing_is_left_no_account_stays),
        WITH_BOOKS(of_all_free_questions_the_newest_fifty_thousand_stay),
        WITH_BOOKS(of_what_came_to_nothing_in_networks_the_newest_two_hundred_thousand_stay),
        WITH_BOOKS(after_ninety_days_only_what_counts_is_left),
        WITH_BOOKS(paid_questions_that_are_settled_go_the_oldest_first_and_no_sum_changes),
        WITH_BOOKS(a_paid_claim_that_nobody_signed_stays_and_what_is_of_a_network_too),
        WITH_BOOKS(what_is_owed_cannot_be_deleted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
