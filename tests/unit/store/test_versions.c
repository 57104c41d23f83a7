/* test_versions.c - from every earlier version forward. data/version-N.sql is a database of version N
 * with rows; who adds a step to store/migrations.c adds the one before it. */
#include "home.h"

#include "store/mark.h"
#include "store/migrations.h"
#include "store/networks.h"

static const tl_mark old_mark = {{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
                                 41}; /* as the files say */

/* Makes the database of an earlier version, and its mark, as that version left them. */
static void make_version(const home *h, size_t version)
{
    char path[512], head[160];
    int fd;
    snprintf(path, sizeof path, TL_STORE_VERSIONS "/version-%zu.sql", version);
    content c = read_file(path);
    if (!c.there)
        fail_msg("%s is missing", path);
    c.p[c.n] = 0;
    snprintf(head, sizeof head,
             "PRAGMA application_id = %d; PRAGMA user_version = %zu; PRAGMA journal_mode = WAL",
             TL_STORE_APPLICATION, version);
    remove(h->db);
    alter(h->db, (const char *)c.p);
    alter(h->db, head);
    free(c.p);
    assert_int_equal(tl_mark_open(h->mark, &old_mark, &fd, NULL), TL_OK);
    close(fd);
}

/* All statements that make the schema, by name. */
static char *schema_of(const char *path)
{
    sqlite3 *db;
    sqlite3_stmt *row;
    tl_buf out = {0};
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db,
                                        "SELECT name || ': ' || coalesce(sql, '') "
                                        "FROM sqlite_schema ORDER BY name",
                                        -1, &row, NULL),
                     SQLITE_OK);
    while (sqlite3_step(row) == SQLITE_ROW)
        assert_int_equal(tl_buf_printf(&out, "%s\n", (const char *)sqlite3_column_text(row, 0)),
                         TL_OK);
    sqlite3_finalize(row);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    char *text = strndup((const char *)tl_buf_begin(&out), out.len);
    tl_buf_clear(&out);
    return text;
}

static void every_earlier_version_becomes_what_a_new_store_is_and_keeps_its_rows(void **state)
{
    home *h = *state;
    char fresh[128];
    snprintf(fresh, sizeof fresh, "%s/fresh.db", h->dir);
    tl_store_close(open_at(fresh));
    char *want = schema_of(fresh);
    assert_true(tl_store_steps_n > 1);
    for (size_t version = 1; version < tl_store_steps_n; version++) {
        tl_store_state st;
        make_version(h, version);
        tl_store *s = open_at(h->db);
        tl_store_state_of(s, &st);
        assert_false(st.created);
        assert_false(st.restored);
        assert_int_equal(st.commits, old_mark.commits + tl_store_steps_n - version);
        tl_store_close(s);
        char *got = schema_of(h->db);
        assert_string_equal(got, want);
        free(got);
        assert_int_equal(number_in(h->db, "PRAGMA user_version"), tl_store_steps_n);
        assert_int_equal(number_in(h->db, "SELECT count(*) FROM networks WHERE name = 'lab' "
                                          "AND ca_seed = x'07070707070707070707070707070707"
                                          "07070707070707070707070707070707'"),
                         1);
        assert_int_equal(number_in(h->db, "SELECT count(*) FROM networks"), 2);
        assert_int_equal(number_in(h->db, "SELECT count(*) FROM members"), 2);
        assert_int_equal(number_in(h->db, "SELECT count(*) FROM invites WHERE state = 'open'"), 1);
        assert_int_equal(number_in(h->db, "SELECT count(*) FROM invites WHERE state = 'used'"), 1);
        assert_int_equal(number_in(h->db, "SELECT count(*) FROM objects"), 2);
        assert_int_equal(number_in(h->db, "SELECT count(*) FROM joins"), 1);
        assert_int_equal(number_in(h->db, "SELECT count(*) FROM recovery WHERE stage = 0"),
                         version >= 10); /* a backup as before: neither withdrawn nor taken over */
        tl_store_close(open_at(h->db));  /* its mark has grown with it */
    }
    free(want);
}

static void
a_copy_without_its_mark_is_another_life_of_this_nodes_backup_from_its_first_commit(void **state)
{
    home *h = *state;
    make_version(h, tl_store_steps_n - 1);
    remove(h->mark);
    tl_store_close(open_at(h->db));
    assert_int_equal(number_in(h->db, "SELECT count(*) FROM recovery WHERE stage = 2 AND "
                                      "instance != x'0707070707070707'"),
                     1);
    make_version(h, tl_store_steps_n - 1); /* its twin has its mark */
    tl_store_close(open_at(h->db));
    assert_int_equal(number_in(h->db, "SELECT count(*) FROM recovery WHERE stage = 0 AND "
                                      "instance = x'0707070707070707'"),
                     1);
}

/* Debits and credits of all accounts that are not the sums of their entries. */
#define UNEVEN                                                                                     \
    "SELECT count(*) FROM accounts a WHERE "                                                       \
    "debits != (SELECT coalesce(sum(amount), 0) FROM entries WHERE debit = a.id) OR "              \
    "credits != (SELECT coalesce(sum(amount), 0) FROM entries WHERE credit = a.id)"
#define BALANCE "SELECT balance_micro FROM balances"

static void a_ledger_of_an_earlier_version_keeps_its_sums_and_goes_on(void **state)
{
    home *h = *state;
    make_version(h, 2);
    assert_int_equal(number_in(h->db, BALANCE), 15);
    tl_store_close(open_at(h->db));
    assert_int_equal(number_in(h->db, BALANCE), 15);
    assert_int_equal(number_in(h->db, "SELECT count(*) FROM transfers"), 7);
    assert_int_equal(number_in(h->db, "SELECT count(*) FROM entries"), 16);
    assert_int_equal(number_in(h->db, UNEVEN), 0);
    /* A question that was under way, */
    alter(h->db, "UPDATE transfers SET state = 'posted', tokens_in = 1, tokens_out = 2, amount = 8,"
                 " signed_at = 2, own_signature = zeroblob(64) WHERE request = 'under-way'");
    assert_int_equal(number_in(h->db, BALANCE), 23);
    /* one at a price and one at none of a peer that is new, */
    for (int amount = 0; amount <= 4; amount += 4) {
        char sql[600];
        snprintf(sql, sizeof sql,
                 "INSERT INTO transfers (kind, role, state, request, peer, network, model, at,"
                 " price, held, cap_in, cap_out, consumer_order, tokens_in, tokens_out, amount,"
                 " signed_at, own_signature, peer_signature) VALUES ('question', 'asked', 'posted',"
                 " 'new-%d', zeroblob(32), x'', 'm', 2, %d, 0, 9, 9, '', 1, 1, %d, 2,"
                 " zeroblob(64), zeroblob(64))",
                 amount, amount, amount);
        alter(h->db, sql);
    }
    assert_int_equal(number_in(h->db, BALANCE " WHERE peer = hex(zeroblob(32))"), -4);
    assert_int_equal(number_in(h->db, "SELECT count(*) FROM entries"), 20);
    assert_int_equal(number_in(h->db, UNEVEN), 0);
    tl_store_close(open_at(h->db));
}

static void what_a_debtor_proposed_in_vain_goes_with_an_earlier_version(void **state)
{
    home *h = *state;
    make_version(h, 5);
    assert_int_equal(number_in(h->db, "SELECT count(*) FROM transfers"), 10);
    tl_store_close(open_at(h->db));
    assert_int_equal(number_in(h->db, "SELECT count(*) FROM transfers"), 9);
    assert_int_equal(number_in(h->db, "SELECT count(*) FROM transfers WHERE request = 'in-vain'"),
                     0);
    assert_int_equal(number_in(h->db, "SELECT count(*) FROM transfers WHERE request = 'proposed' "
                                      "AND state = 'held'"),
                     1);
    assert_int_equal(number_in(h->db, "SELECT count(*) FROM transfers WHERE request = 'signed' "
                                      "AND state = 'voided'"),
                     1);
    assert_int_equal(number_in(h->db, BALANCE), 15);
    assert_int_equal(number_in(h->db, UNEVEN), 0);
}

#define STEPS_MAX 16

/* This program as a later one, with one more step. */
static tl_err open_later(const home *h, const char *step, tl_store **ret, tl_why *why)
{
    const char *steps[STEPS_MAX];
    tl_store_config c = tl_store_config_default();
    assert_true(c.steps_n < STEPS_MAX);
    memcpy(steps, c.steps, c.steps_n * sizeof *steps);
    steps[c.steps_n++] = step;
    c.steps = steps;
    return tl_store_open(h->db, &c, ret, why);
}

static void a_step_that_fails_changes_nothing(void **state)
{
    const home *h = *state;
    tl_store *s = open_at(h->db);
    tl_why why;
    assert_int_equal(put_row(s, 1, 1), TL_OK);
    uint64_t commits = commits_of(s);
    tl_store_close(s);
    s = NULL;
    assert_int_equal(open_later(h, "CREATE TABLE more (a) STRICT;", &s, &why), TL_ERR_IO);
    assert_int_equal(
        open_later(h, "CREATE TABLE more (a INT) STRICT; INSERT INTO none VALUES (1);", &s, &why),
        TL_ERR_IO);
    assert_null(s);
    assert_int_equal(number_in(h->db, "SELECT count(*) FROM sqlite_schema WHERE name = 'more'"), 0);
    assert_int_equal(number_in(h->db, "PRAGMA user_version"), tl_store_steps_n);
    s = open_at(h->db); /* the program of before goes on */
    assert_int_equal(commits_of(s), commits);
    assert_int_equal(row_of(s, 1), 1);
    tl_store_close(s);
}

static void a_later_program_takes_it_on_and_then_this_one_refuses(void **state)
{
    const home *h = *state;
    tl_store *s = open_at(h->db);
    tl_why why;
    assert_int_equal(put_row(s, 1, 1), TL_OK);
    tl_store_close(s);
    assert_int_equal(open_later(h, "CREATE TABLE more (a INT) STRICT;", &s, &why), TL_OK);
    assert_int_equal(row_of(s, 1), 1);
    tl_store_close(s);
    assert_int_equal(number_in(h->db, "SELECT count(*) FROM sqlite_schema WHERE name = 'more'"), 1);
    assert_int_equal(refused_at(h->db, &why), TL_ERR_FORBIDDEN);
    assert_memory_equal(why.text, "E_STORE_NEWER:", 14);
}

/* A node killed between two steps goes on from the first: each step is a transaction of its own. */
static void a_version_in_between_is_taken_on(void **state)
{
    const home *h = *state;
    tl_store_config c = tl_store_config_default();
    tl_store *s;
    tl_why why;
    c.steps_n = 1;
    assert_int_equal(tl_store_open(h->db, &c, &s, &why), TL_OK);
    assert_int_equal(put_row(s, 1, 1), TL_OK);
    tl_store_close(s);
    assert_int_equal(number_in(h->db, "PRAGMA user_version"), 1);
    s = open_at(h->db);
    assert_int_equal(row_of(s, 1), 1);
    tl_store_close(s);
    assert_int_equal(number_in(h->db, "PRAGMA user_version"), tl_store_steps_n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_HOME(every_earlier_version_becomes_what_a_new_store_is_and_keeps_its_rows),
        IN_HOME(a_copy_without_its_mark_is_another_life_of_this_nodes_backup_from_its_first_commit),
        IN_HOME(a_ledger_of_an_earlier_version_keeps_its_sums_and_goes_on),
        IN_HOME(what_a_debtor_proposed_in_vain_goes_with_an_earlier_version),
        IN_HOME(a_step_that_fails_changes_nothing),
        IN_HOME(a_later_program_takes_it_on_and_then_this_one_refuses),
        IN_HOME(a_version_in_between_is_taken_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
