/* What the schema refuses, and what the audit finds when somebody changed the file by hand. */
#include "books.h"

#include "base/json.h"

/* --- the schema --- */

typedef struct {
    tl_store_job job;
    const char *sql;
} sql_job;

static tl_err run_sql(tl_store_job *j, tl_db *db)
{
    return tl_db_run(db, ((sql_job *)j)->sql, TL_DB_WITHOUT);
}

static tl_err sql(const book *b, const char *text)
{
    sql_job j = {.job.work = run_sql, .sql = text};
    return tl_store_do(b->store, &j.job);
}

#define OPEN_ENTRY "INSERT INTO entries VALUES ((SELECT max(id) FROM transfers), "

static void no_entry_is_written_but_by_a_transfer(void **state)
{
    books *s = *state;
    trade(s, "q", 3, 20);
    assert_int_equal(begin(s, TL_LEDGER_SERVED, "open"), TL_OK);
    const book *b = &s->provider;
    static const char *const refused[] = {
        OPEN_ENTRY "'post', 1, 2, 5)",                       /* it is held */
        OPEN_ENTRY "'release', 3, 4, 1027)",                 /* the same */
        "INSERT INTO entries VALUES (999, 'post', 1, 2, 5)", /* no such transfer */
        "UPDATE entries SET amount = amount + 1",
        "UPDATE entries SET credit = 3",
        "DELETE FROM entries",
        "DELETE FROM transfers",
        "DELETE FROM accounts",
        "UPDATE accounts SET debits = debits - 1 WHERE debits > 0",
        "UPDATE accounts SET kind = 'spent' WHERE kind = 'earned'",
        "UPDATE transfers SET amount = 1 WHERE state = 'posted'",
        "UPDATE transfers SET peer = randomblob(32)",
        "UPDATE transfers SET state = 'held' WHERE state = 'posted'",
        "UPDATE transfers SET state = 'voided' WHERE state = 'posted'",
        "UPDATE transfers SET peer_signature = NULL WHERE state = 'posted'",
        "UPDATE transfers SET state = 'posted' WHERE state = 'held'", /* nothing signed */
    };
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        assert_int_not_equal(sql(b, refused[i]), TL_OK);
    assert_int_equal(sql(b, "UPDATE transfers SET state = 'voided' WHERE state = 'held'"), TL_OK);
    assert_int_equal(sql(b, "UPDATE transfers SET state = 'posted' WHERE state = 'voided'"),
                     TL_ERR_INVALID); /* a provider's void is final */
    json_t *a = audit(b);
    assert_string_equal(first_problem(a), "");
    json_decref(a);
}

static void amounts_that_are_no_money_do_not_enter(void **state)
{
    books *s = *state;
    static const int64_t bad[] = {-1, INT64_MIN, TL_MONEY_MAX + 1, INT64_MAX};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        tl_book_op op = {.what = TL_BOOK_BEGIN, .entry = question_of(s, TL_LEDGER_SERVED, "bad")};
        op.entry.held = bad[i];
        assert_int_equal(run_op(&s->provider, &op), TL_ERR_INVALID);
        op.entry = question_of(s, TL_LEDGER_SERVED, "bad");
        op.entry.price = bad[i];
        assert_int_equal(run_op(&s->provider, &op), TL_ERR_INVALID);
    }
    tl_book_op op = {.what = TL_BOOK_BEGIN, .entry = question_of(s, TL_LEDGER_SERVED, "good")};
    op.entry.held = TL_MONEY_MAX;
    assert_int_equal(run_op(&s->provider, &op), TL_OK);
    op.entry = question_of(s, TL_LEDGER_SERVED, "one more"); /* the account would run over */
    assert_int_equal(run_op(&s->provider, &op), TL_ERR_INVALID);
}

/* --- the audit --- */

/* Does what `text` says, with the triggers that would refuse it out of the way. */
static void tamper(book *b, const char *text)
{
    char all[1024];
    tl_store_close(b->store);
    snprintf(all, sizeof all,
             "DROP TRIGGER transfers_posted; DROP TRIGGER transfers_signed; "
             "DROP TRIGGER transfers_fixed; DROP TRIGGER transfers_states; "
             "DROP TRIGGER transfers_post; DROP TRIGGER transfers_leave_held; "
             "DROP TRIGGER entries_stay; DROP TRIGGER entries_kept; DROP TRIGGER accounts_grow; "
             "%s",
             text);
    alter(b->path, all);
    b->store = open_at(b->path);
}

static void assert_found(books *s, const char *change, const char *words)
{
    tamper(&s->provider, change);
    json_t *a = audit(&s->provider);
    if (!strstr(first_problem(a), words))
        fail_msg("\"%s\" is not about \"%s\"", first_problem(a), words);
    json_decref(a);
}

static void three_trades(books *s)
{
    trade(s, "q1", 3, 20);
    trade(s, "q2", 1, 1);
    trade(s, "q3", 0, 4);
    json_t *a = audit(&s->provider);
    assert_string_equal(first_problem(a), "");
    assert_int_equal(json_integer_value(json_object_get(a, "transactions")), 3);
    assert_int_equal(json_integer_value(json_object_get(a, "receipts")), 3);
    assert_int_equal(json_integer_value(json_object_get(a, "unsigned")), 0);
    json_decref(a);
}

static void a_changed_amount_is_named(void **state)
{
    three_trades(*state);
    assert_found(*state, "UPDATE transfers SET amount = 3 WHERE request = 'q2'", "request q2 with");
}

static void an_entry_turned_round_is_named_though_all_sums_are_made_anew(void **state)
{
    three_trades(*state);
    assert_found(
        *state,
        "UPDATE entries SET debit = credit, credit = debit WHERE phase = 'post' AND amount > 0;"
        "UPDATE accounts SET debits = (SELECT coalesce(sum(amount), 0) FROM entries WHERE debit = "
        "id),"
        " credits = (SELECT coalesce(sum(amount), 0) FROM entries WHERE credit = id)",
        "names a wrong account");
}

static void an_entry_with_the_account_of_another_peer_is_named(void **state)
{
    three_trades(*state);
    assert_found(*state, "UPDATE accounts SET peer = zeroblob(32)", "names a wrong account");
}

static void changed_tokens_are_named(void **state)
{
    three_trades(*state);
    assert_found(*state, "UPDATE transfers SET tokens_in = tokens_in + 1 WHERE request = 'q3'",
                 "request q3 with");
}

static void a_changed_entry_is_named(void **state)
{
    three_trades(*state);
    assert_found(*state, "UPDATE entries SET amount = 24 WHERE phase = 'post' AND transfer = 1",
                 "request q1 with");
}

static void a_lost_entry_is_named(void **state)
{
    three_trades(*state);
    assert_found(*state, "DELETE FROM entries WHERE phase = 'release' AND transfer = 3",
                 "request q3 with");
}

static void a_changed_sum_is_named(void **state)
{
    three_trades(*state);
    assert_found(*state, "UPDATE accounts SET debits = debits + 1 WHERE kind = 'owed'",
                 "account owed of");
}

static void a_turned_entry_is_named(void **state)
{
    three_trades(*state);
    assert_found(*state,
                 "UPDATE entries SET debit = credit, credit = debit "
                 "WHERE phase = 'post' AND transfer = 1",
                 "account");
}

static void a_changed_signature_of_the_consumer_is_named(void **state)
{
    three_trades(*state);
    assert_found(*state, "UPDATE transfers SET peer_signature = randomblob(64) WHERE id = 2",
                 "request q2 with");
}

static void a_changed_signature_of_the_provider_is_named(void **state)
{
    three_trades(*state);
    assert_found(*state, "UPDATE transfers SET own_signature = randomblob(64) WHERE id = 2",
                 "this node's signature is wrong");
}

static void a_changed_network_is_named(void **state)
{
    three_trades(*state);
    assert_found(*state, "UPDATE transfers SET network = randomblob(32) WHERE id = 2",
                 "request q2 with");
}

static void a_posted_transfer_made_held_again_is_named(void **state)
{
    three_trades(*state);
    assert_found(*state, "UPDATE transfers SET state = 'held' WHERE id = 1", "request q1 with");
}

static void of_many_problems_the_first_stands_first(void **state)
{
    three_trades(*state);
    assert_found(*state, "UPDATE transfers SET peer_signature = randomblob(64)", "request q1 with");
}

/* More than one job checks. */
static void a_long_ledger_is_checked_to_its_end(void **state)
{
    books *s = *state;
    char request[16];
    for (int i = 0; i < 250; i++) {
        snprintf(request, sizeof request, "q%d", i);
        assert_int_equal(post(s, request, 1, 1, NULL), TL_OK);
    }
    json_t *a = audit(&s->provider);
    assert_int_equal(json_integer_value(json_object_get(a, "transactions")), 250);
    assert_int_equal(json_integer_value(json_object_get(a, "unsigned")), 250);
    assert_string_equal(first_problem(a), "");
    json_decref(a);
    assert_found(s, "UPDATE transfers SET own_signature = randomblob(64) WHERE id = 250",
                 "request q249 with");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_BOOKS(no_entry_is_written_but_by_a_transfer),
        WITH_BOOKS(amounts_that_are_no_money_do_not_enter),
        WITH_BOOKS(a_changed_amount_is_named),
        WITH_BOOKS(an_entry_turned_round_is_named_though_all_sums_are_made_anew),
        WITH_BOOKS(an_entry_with_the_account_of_another_peer_is_named),
        WITH_BOOKS(changed_tokens_are_named),
        WITH_BOOKS(a_changed_entry_is_named),
        WITH_BOOKS(a_lost_entry_is_named),
        WITH_BOOKS(a_changed_sum_is_named),
        WITH_BOOKS(a_turned_entry_is_named),
        WITH_BOOKS(a_changed_signature_of_the_consumer_is_named),
        WITH_BOOKS(a_changed_signature_of_the_provider_is_named),
        WITH_BOOKS(a_changed_network_is_named),
        WITH_BOOKS(a_posted_transfer_made_held_again_is_named),
        WITH_BOOKS(of_many_problems_the_first_stands_first),
        WITH_BOOKS(a_long_ledger_is_checked_to_its_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
