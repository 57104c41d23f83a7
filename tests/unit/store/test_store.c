#include "home.h"
#include "store/db_state.h"

#include <sys/stat.h>

static void a_new_store_is_made_whole_and_closed_to_others(void **state)
{
    const home *h = *state;
    tl_store *s = open_at(h->db);
    tl_store_state st;
    struct stat f;
    tl_store_state_of(s, &st);
    assert_true(st.created);
    assert_false(st.restored);
    assert_int_equal(put_row(s, 1, 5), TL_OK);
    const char *const names[] = {h->db, h->wal, h->mark};
    for (int i = 0; i < 3; i++) {
        assert_int_equal(stat(names[i], &f), 0);
        assert_int_equal(f.st_mode & 07777, 0600);
    }
    tl_store_close(s);
    assert_false(is_there(h->wal)); /* written back */

    s = open_at(h->db);
    tl_store_state_of(s, &st);
    assert_false(st.created);
    assert_int_equal(row_of(s, 1), 5);
    tl_store_close(s);
}

static void jobs_run_in_order_and_each_is_told_once(void **state)
{
    const home *h = *state;
    tl_store *s = open_at(h->db);
    enum { N = 1000 };
    row_job *p = calloc(N, sizeof *p);
    int order = 0;
    for (int i = 0; i < N; i++) {
        p[i] = (row_job){.job = {.work = write_row, .done = note_done},
                         .key = (uint8_t)(i % 250),
                         .value = 1,
                         .order = &order};
        tl_store_submit(s, &p[i].job);
    }
    tl_store_close(s);
    for (int i = 0; i < N; i++) {
        assert_int_equal(p[i].came, i + 1);
        assert_int_equal(p[i].told, i < 250 ? TL_OK : TL_ERR_EXISTS);
    }
    assert_int_equal(order, N);
    free(p);
}

static void a_job_that_fails_leaves_nothing_and_hurts_no_other(void **state)
{
    const home *h = *state;
    tl_store *s = open_at(h->db);
    int order = 0;
    row_job p[3];
    for (int i = 0; i < 3; i++) {
        p[i] = (row_job){.job = {.work = write_row, .done = note_done},
                         .key = (uint8_t)i,
                         .value = 1,
                         .order = &order,
                         .want = i == 1 ? TL_ERR_FORBIDDEN : TL_OK};
        tl_store_submit(s, &p[i].job);
    }
    row_job wait = {.job.work = read_row};
    assert_int_equal(tl_store_do(s, &wait.job), TL_OK);
    tl_store_collect(s);
    assert_int_equal(p[0].told, TL_OK);
    assert_int_equal(p[1].told, TL_ERR_FORBIDDEN);
    assert_int_equal(p[2].told, TL_OK);
    assert_int_equal(row_of(s, 0), 1);
    assert_int_equal(row_of(s, 1), -1);
    assert_int_equal(row_of(s, 2), 1);
    assert_int_equal(put_row(s, 3, -1), TL_ERR_INVALID); /* CHECK (at >= 0) */
    assert_int_equal(put_row(s, 3, 1), TL_OK);
    tl_store_close(s);
}

static void reading_commits_nothing(void **state)
{
    const home *h = *state;
    tl_store *s = open_at(h->db);
    assert_int_equal(put_row(s, 1, 1), TL_OK);
    uint64_t commits = commits_of(s);
    assert_int_equal(row_of(s, 1), 1);
    assert_int_equal(commits_of(s), commits);
    assert_int_equal(put_row(s, 2, 1), TL_OK);
    assert_int_equal(commits_of(s), commits + 1);
    tl_store_close(s);
}

static void jobs_that_may_wait_share_the_commit_of_one_in_haste(void **state)
{
    const home *h = *state;
    tl_store_config c = tl_store_config_default();
    tl_store *s;
    tl_why why;
    int order = 0;
    row_job p[5];
    c.wait_max_ms = 1000000; /* by themselves they would not end in this test */
    assert_int_equal(tl_store_open(h->db, &c, &s, &why), TL_OK);
    uint64_t commits = commits_of(s);
    for (int i = 0; i < 5; i++)
        p[i] = (row_job){.job = {.work = write_row, .done = note_done, .may_wait_ms = 1000000},
                         .key = (uint8_t)i,
                         .value = 1,
                         .order = &order};
    for (int i = 0; i < 4; i++)
        tl_store_submit(s, &p[i].job);
    assert_false(tl_store_is_idle(s));
    assert_int_equal(commits_of(s), commits);
    row_job hasty = {.job.work = read_row, .key = 3};
    assert_int_equal(tl_store_do(s, &hasty.job), TL_OK); /* in order: it reads what waited */
    assert_int_equal(hasty.found, 1);
    assert_int_equal(commits_of(s), commits + 1);
    tl_store_submit(s, &p[4].job);
    tl_store_stop(s); /* the end is in haste, too */
    for (int i = 0; i < 5; i++)
        assert_int_equal(p[i].told, TL_OK);
    assert_int_equal(order, 5);
    assert_int_equal(commits_of(s), commits + 2);
    tl_store_close(s);
}

static void a_job_that_reads_goes_before_what_waits_and_commits_nothing(void **state)
{
    const home *h = *state;
    tl_store_config c = tl_store_config_default();
    tl_store *s;
    tl_why why;
    int order = 0;
    c.wait_max_ms = 1000000;
    assert_int_equal(tl_store_open(h->db, &c, &s, &why), TL_OK);
    uint64_t commits = commits_of(s);
    row_job write = {.job = {.work = write_row, .done = note_done, .may_wait_ms = 1000000},
                     .key = 1,
                     .value = 1,
                     .order = &order};
    row_job read = {.job = {.work = read_row, .reads = true}, .key = 1};
    tl_store_submit(s, &write.job);
    assert_int_equal(tl_store_do(s, &read.job), TL_OK);
    assert_int_equal(read.found, -1); /* not there yet */
    assert_int_equal(commits_of(s), commits);
    assert_false(tl_store_is_idle(s));
    row_job hasty = {.job.work = read_row, .key = 1}; /* its twin, which does not say so */
    assert_int_equal(tl_store_do(s, &hasty.job), TL_OK);
    assert_int_equal(hasty.found, 1);
    assert_int_equal(commits_of(s), commits + 1);
    tl_store_close(s);
    assert_int_equal(write.told, TL_OK);
}

static void a_job_waits_no_longer_than_it_may(void **state)
{
    const home *h = *state;
    tl_store_config c = tl_store_config_default();
    tl_store *s;
    tl_why why;
    int order = 0;
    c.wait_max_ms = 1; /* less than the job allows */
    assert_int_equal(tl_store_open(h->db, &c, &s, &why), TL_OK);
    row_job one = {.job = {.work = write_row, .done = note_done, .may_wait_ms = 1000000},
                   .key = 1,
                   .value = 1,
                   .order = &order};
    tl_store_submit(s, &one.job);
    while (!tl_store_is_idle(s)) /* nothing else comes */
        tl_store_collect(s);
    assert_int_equal(one.told, TL_OK);
    tl_store_close(s);
}

/* A statement that is planned anew for each value costs more than its work. */
static tl_err read_prepared(tl_store_job *j, tl_db *db)
{
    row_job *r = (row_job *)j;
    sqlite3_stmt *row;
    for (int i = 0; i < 20; i++) {
        tl_err e =
            tl_db_find(db, "SELECT id FROM transfers WHERE peer = ? AND request = ? AND role = ?",
                       TL_DB_WITH(tl_db_bytes("12345678901234567890123456789012", 32),
                                  tl_db_text("r"), tl_db_text(i % 2 ? "asked" : "served")),
                       &row);
        if (e != TL_ERR_NOT_FOUND)
            return e ? e : TL_ERR_EXISTS;
    }
    for (sqlite3_stmt *s = NULL; (s = sqlite3_next_stmt(db->sqlite, s));)
        r->value += sqlite3_stmt_status(s, SQLITE_STMTSTATUS_REPREPARE, 0);
    return TL_OK;
}

static void a_statement_is_prepared_once_whatever_its_values(void **state)
{
    const home *h = *state;
    tl_store *s = open_at(h->db);
    row_job r = {.job.work = read_prepared};
    assert_int_equal(tl_store_do(s, &r.job), TL_OK);
    assert_int_equal(r.value, 0);
    tl_store_close(s);
}

/* What SQLite says of this connection: a text for each question. */
typedef struct {
    tl_store_job job;
    char said[8][16];
    tl_err schema;
} ask_job;

static const char *const questions[][2] = {
    {"PRAGMA synchronous", "2"},          {"PRAGMA journal_mode", "wal"},
    {"PRAGMA foreign_keys", "1"},         {"PRAGMA trusted_schema", "0"},
    {"PRAGMA locking_mode", "exclusive"}, {"PRAGMA busy_timeout", "4321"},
    {"PRAGMA query_only", "0"},           {"PRAGMA cell_size_check", "1"},
};

static tl_err ask(tl_store_job *j, tl_db *db)
{
    ask_job *a = (ask_job *)j;
    for (int i = 0; i < 8; i++) {
        sqlite3_stmt *row;
        tl_err e = tl_db_find(db, questions[i][0], TL_DB_WITHOUT, &row);
        if (!e)
            e = tl_db_take_text(row, 0, a->said[i], sizeof a->said[i]);
        if (e)
            return e;
    }
    /* Defensive: this is not heard, and so the next is refused. */
    tl_err e = tl_db_run(db, "PRAGMA writable_schema = ON", TL_DB_WITHOUT);
    a->schema = tl_db_run(db, "DELETE FROM sqlite_schema", TL_DB_WITHOUT);
    return e;
}

static void the_connection_waits_for_the_disk_and_trusts_no_schema(void **state)
{
    const home *h = *state;
    tl_store_config c = tl_store_config_default();
    tl_store *s;
    tl_why why;
    ask_job a = {.job.work = ask};
    assert_true(c.busy_ms >= 1000); /* a reader is waited for */
    c.busy_ms = 4321;
    assert_int_equal(tl_store_open(h->db, &c, &s, &why), TL_OK);
    assert_int_equal(tl_store_do(s, &a.job), TL_OK);
    for (int i = 0; i < 8; i++)
        assert_string_equal(a.said[i], questions[i][1]);
    assert_int_equal(a.schema, TL_ERR_IO);
    tl_store_close(s);
    tl_store_close(open_at(h->db));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_HOME(a_new_store_is_made_whole_and_closed_to_others),
        IN_HOME(jobs_run_in_order_and_each_is_told_once),
        IN_HOME(a_job_that_fails_leaves_nothing_and_hurts_no_other),
        IN_HOME(reading_commits_nothing),
        IN_HOME(jobs_that_may_wait_share_the_commit_of_one_in_haste),
        IN_HOME(a_job_that_reads_goes_before_what_waits_and_commits_nothing),
        IN_HOME(a_job_waits_no_longer_than_it_may),
        IN_HOME(a_statement_is_prepared_once_whatever_its_values),
        IN_HOME(the_connection_waits_for_the_disk_and_trusts_no_schema),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
