#include "home.h"

#include "store/mark.h"
#include "store/migrations.h"

#include <signal.h>
#include <sys/time.h>

#define REFUSED_WITH(why, code) assert_memory_equal((why).text, code ":", strlen(code ":"))

/* --- what is refused, and left as it is --- */

/* A store with one row, as its process leaves it when it is killed: with its log. */
static void leave_in_the_middle(const home *h, uint8_t key)
{
    pid_t child = fork();
    if (child == 0) {
        tl_store *s = open_at(h->db);
        _exit(put_row(s, key, 1) ? 1 : 0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_true(is_there(h->wal));
}

typedef struct {
    content db, wal, mark;
} all_files;

static all_files read_all(const home *h)
{
    return (all_files){read_file(h->db), read_file(h->wal), read_file(h->mark)};
}

static void assert_all_unchanged(const home *h, all_files *before)
{
    assert_unchanged(h->db, &before->db);
    assert_unchanged(h->wal, &before->wal);
    assert_unchanged(h->mark, &before->mark);
}

static void forget(all_files *f)
{
    free(f->db.p);
    free(f->wal.p);
    free(f->mark.p);
}

/* Opens twice: what is refused once is refused again, in the same words. */
static void assert_refused(const home *h, tl_err want, const char *code)
{
    all_files before = read_all(h);
    for (int i = 0; i < 2; i++) {
        tl_why why = {""};
        assert_int_equal(refused_at(h->db, &why), want);
        if (strncmp(why.text, code, strlen(code)) || why.text[strlen(code)] != ':')
            fail_msg("not %s: %s", code, why.text);
        assert_non_null(strstr(why.text, h->db));
        assert_true(strlen(why.text) < sizeof why.text - 1); /* no remedy was cut */
        assert_all_unchanged(h, &before);
    }
    forget(&before);
}

static void what_was_committed_is_there_after_a_kill(void **state)
{
    const home *h = *state;
    leave_in_the_middle(h, 3);
    tl_store *s = open_at(h->db);
    assert_int_equal(row_of(s, 3), 1);
    tl_store_close(s);
}

static void flip(const char *path, size_t at)
{
    content c = read_file(path);
    assert_true(at < c.n);
    c.p[at] ^= 0xff;
    write_file(path, &c);
    free(c.p);
}

static void a_damaged_page_is_found_and_the_file_is_left_as_it_is(void **state)
{
    const home *h = *state;
    tl_store *s = open_at(h->db);
    assert_int_equal(put_row(s, 1, 1), TL_OK);
    tl_store_close(s);
    content good = read_file(h->db);
    for (size_t page = 1; page * 4096 < good.n; page++) { /* the head of each b-tree page */
        flip(h->db, page * 4096);
        assert_refused(h, TL_ERR_PROTO, "E_STORE_CORRUPT");
        write_file(h->db, &good);
    }
    free(good.p);
    s = open_at(h->db); /* put back, it is good */
    assert_int_equal(row_of(s, 1), 1);
    tl_store_close(s);
}

/* Then its indexes are not compared with their tables, which would take minutes; all else is. */
static void a_large_file_is_checked_too(void **state)
{
    const home *h = *state;
    tl_store_config c = tl_store_config_default();
    tl_store *s = open_at(h->db);
    tl_why why;
    assert_int_equal(put_row(s, 1, 1), TL_OK);
    tl_store_close(s);
    s = NULL;
    c.full_check_max = 4096; /* so this file is a large one */
    flip(h->db, 3 * 4096);
    assert_int_equal(tl_store_open(h->db, &c, &s, &why), TL_ERR_PROTO);
    REFUSED_WITH(why, "E_STORE_CORRUPT");
    assert_null(s);
    flip(h->db, 3 * 4096);
    assert_int_equal(tl_store_open(h->db, &c, &s, &why), TL_OK);
    tl_store_close(s);
}

static void what_is_no_database_is_refused(void **state)
{
    const home *h = *state;
    leave_in_the_middle(h, 1);
    static const char text[] = "this is no database, and longer than the head of one, which has a "
                               "hundred bytes; so SQLite looks at it";
    const content bad[] = {{(uint8_t *)(uintptr_t)text, sizeof text, true}, {NULL, 0, true}};
    content good = read_file(h->db);
    for (int i = 0; i < 2; i++) {
        write_file(h->db, &bad[i]);
        assert_refused(h, TL_ERR_PROTO, "E_STORE_CORRUPT");
    }
    write_file(h->db, &good);
    free(good.p);
    tl_store_close(open_at(h->db));
}

static void a_database_of_another_program_is_refused(void **state)
{
    const home *h = *state;
    alter(h->db, "CREATE TABLE store (id, commits); INSERT INTO store VALUES (1, 2)");
    assert_refused(h, TL_ERR_PROTO, "E_STORE_CORRUPT");
    remove(h->db);
    tl_store_close(open_at(h->db));
}

static void a_newer_version_is_refused_and_the_newest_is_not(void **state)
{
    const home *h = *state;
    char sql[64];
    tl_store_close(open_at(h->db));
    snprintf(sql, sizeof sql, "PRAGMA user_version = %zu", tl_store_steps_n + 1);
    alter(h->db, sql);
    assert_refused(h, TL_ERR_FORBIDDEN, "E_STORE_NEWER");
    snprintf(sql, sizeof sql, "PRAGMA user_version = %zu", tl_store_steps_n);
    alter(h->db, sql);
    tl_store_close(open_at(h->db));
}

static void a_row_without_its_owner_is_corruption(void **state)
{
    const home *h = *state;
    tl_store_close(open_at(h->db));
    alter(h->db, "PRAGMA foreign_keys = OFF; INSERT INTO members VALUES (zeroblob(32), "
                 "zeroblob(32), 'c', '', 0)");
    assert_refused(h, TL_ERR_PROTO, "E_STORE_CORRUPT");
    alter(h->db, "DELETE FROM members");
    tl_store_close(open_at(h->db));
}

static bool is_locked(const home *h)
{
    tl_why why = {""};
    return refused_at(h->db, &why) == TL_ERR_BUSY && !strncmp(why.text, "E_STORE_LOCKED:", 15) &&
           strstr(why.text, "teale down");
}

static void a_second_process_is_refused_while_the_first_has_the_file(void **state)
{
    const home *h = *state;
    int go[2], status;
    char byte = 0;
    assert_int_equal(pipe(go), 0);
    pid_t child = fork(); /* before there is a thread */
    if (child == 0)
        _exit(read(go[0], &byte, 1) == 1 && is_locked(h) ? 0 : 1);
    tl_store *s = open_at(h->db);
    assert_int_equal(write(go[1], &byte, 1), 1);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_true(is_locked(h));                 /* nor by this process twice */
    assert_int_equal(put_row(s, 1, 1), TL_OK); /* which took no harm */
    tl_store_close(s);
    tl_store_close(open_at(h->db));
    close(go[0]);
    close(go[1]);
}

/* --- set back --- */

static void the_mark_judges_by_identity_and_count(void **state)
{
    (void)state;
    tl_mark db = {{1, 2, 3}, 10}, same = db, ahead = db, behind = db, other = db, empty = {{0}, 0};
    ahead.commits = 11;
    behind.commits = 9;
    other.id[0] = 9;
    assert_int_equal(tl_mark_judge(&same, &db), TL_MARK_FITS);
    assert_int_equal(tl_mark_judge(&behind, &db), TL_MARK_FITS);
    assert_int_equal(tl_mark_judge(&ahead, &db), TL_MARK_SET_BACK);
    assert_int_equal(tl_mark_judge(&other, &db), TL_MARK_SET_BACK);
    assert_int_equal(tl_mark_judge(NULL, &db), TL_MARK_MISSING);
    assert_int_equal(tl_mark_judge(NULL, &empty), TL_MARK_FITS);
}

static void a_mark_is_read_as_it_was_written_and_nothing_else_is_one(void **state)
{
    const home *h = *state;
    tl_mark mark = {{0xab, 1, 2}, UINT64_MAX}, read;
    int fd;
    assert_int_equal(tl_mark_read(h->mark, &read, NULL), TL_ERR_NOT_FOUND);
    assert_int_equal(tl_mark_open(h->mark, &mark, &fd, NULL), TL_OK);
    assert_int_equal(tl_mark_read(h->mark, &read, NULL), TL_OK);
    assert_int_equal(read.commits, UINT64_MAX);
    assert_memory_equal(read.id, mark.id, TL_MARK_ID);
    content big = read_file(h->mark);
    mark.commits = 12345;
    assert_int_equal(tl_mark_write(fd, &mark), TL_OK);
    content good = read_file(h->mark);
    for (size_t i = 0; i < good.n; i++) { /* these are no digits, and no part of the head */
        content bad = {malloc(good.n), good.n, true};
        for (const char *c = "x/:"; *c; c++) {
            memcpy(bad.p, good.p, good.n);
            bad.p[i] = (uint8_t)*c;
            write_file(h->mark, &bad);
            assert_int_equal(tl_mark_read(h->mark, &read, NULL), TL_ERR_PROTO);
        }
        bad.n = i;
        memcpy(bad.p, good.p, good.n);
        write_file(h->mark, &bad);
        assert_int_equal(tl_mark_read(h->mark, &read, NULL), TL_ERR_PROTO);
        free(bad.p);
    }
    big.p[big.n - 2] = '6'; /* 2^64 */
    write_file(h->mark, &big);
    assert_int_equal(tl_mark_read(h->mark, &read, NULL), TL_ERR_PROTO);
    free(big.p);
    free(good.p);
    mark.commits = 7;
    assert_int_equal(tl_mark_write(fd, &mark), TL_OK);
    assert_int_equal(tl_mark_read(h->mark, &read, NULL), TL_OK);
    assert_int_equal(read.commits, 7);
    close(fd);
}

static void an_older_copy_is_refused_and_the_newer_one_is_taken_back(void **state)
{
    const home *h = *state;
    tl_store *s = open_at(h->db);
    assert_int_equal(put_row(s, 1, 1), TL_OK);
    tl_store_close(s);
    content older = read_file(h->db);
    s = open_at(h->db);
    assert_int_equal(put_row(s, 2, 1), TL_OK);
    tl_store_close(s);
    content newer = read_file(h->db);

    write_file(h->db, &older);
    assert_refused(h, TL_ERR_REPLAY, "E_STORE_SET_BACK");
    write_file(h->db, &newer);
    s = open_at(h->db);
    assert_int_equal(row_of(s, 2), 1);
    tl_store_close(s);
    free(older.p);
    free(newer.p);
}

static void a_file_that_is_missing_or_another_is_refused_by_its_mark(void **state)
{
    const home *h = *state;
    char away[128];
    tl_why why;
    snprintf(away, sizeof away, "%s/away.db", h->dir);
    tl_store *s = open_at(h->db);
    assert_int_equal(put_row(s, 1, 1), TL_OK);
    tl_store_close(s);
    assert_int_equal(rename(h->db, away), 0);
    assert_int_equal(refused_at(h->db, &why), TL_ERR_REPLAY); /* it is not begun anew in silence */
    REFUSED_WITH(why, "E_STORE_SET_BACK");
    assert_false(is_there(h->db));

    char other[128];
    snprintf(other, sizeof other, "%s/other.db", h->dir);
    s = open_at(other);
    for (uint8_t i = 0; i < 9; i++)
        assert_int_equal(put_row(s, i, 1), TL_OK);
    tl_store_close(s);
    assert_int_equal(rename(other, h->db), 0);
    assert_refused(h, TL_ERR_REPLAY, "E_STORE_SET_BACK");
    assert_int_equal(rename(away, h->db), 0);
    tl_store_close(open_at(h->db));
}

static void a_damaged_mark_is_refused(void **state)
{
    const home *h = *state;
    tl_store_close(open_at(h->db));
    flip(h->mark, 20);
    assert_refused(h, TL_ERR_REPLAY, "E_STORE_SET_BACK");
    flip(h->mark, 20);
    tl_store_close(open_at(h->db));
}

/* Killed between the two: the mark has its name, and no word in it. */
static void a_first_start_that_was_killed_before_it_wrote_the_mark_is_made_again(void **state)
{
    const home *h = *state;
    tl_why why;
    FILE *mark = fopen(h->mark, "w");
    assert_non_null(mark);
    fclose(mark);
    tl_store_close(open_at(h->db));
    assert_int_equal(remove(h->db), 0); /* the twin: a mark that has words stays one */
    assert_int_equal(truncate(h->mark, 20), 0);
    assert_int_equal(refused_at(h->db, &why), TL_ERR_REPLAY);
    REFUSED_WITH(why, "E_STORE_SET_BACK");
}

static void a_log_without_its_file_is_not_played_into_a_new_one(void **state)
{
    const home *h = *state;
    tl_why why;
    leave_in_the_middle(h, 1);
    remove(h->db);
    remove(h->mark);
    assert_int_equal(refused_at(h->db, &why), TL_ERR_PROTO);
    REFUSED_WITH(why, "E_STORE_CORRUPT");
    assert_false(is_there(h->db));
    remove(h->wal);
    tl_store *s = open_at(h->db);
    assert_int_equal(row_of(s, 1), -1);
    tl_store_close(s);
}

/* Its owner removed the mark: the copy is taken, once and for all. */
static void a_copy_without_its_mark_is_taken_and_never_mixed_with_the_lost_one(void **state)
{
    const home *h = *state;
    tl_store_state st;
    tl_store *s = open_at(h->db);
    assert_int_equal(put_row(s, 1, 1), TL_OK);
    tl_store_close(s);
    content older = read_file(h->db);
    s = open_at(h->db);
    assert_int_equal(put_row(s, 2, 1), TL_OK);
    tl_store_close(s);
    content lost = read_file(h->db);

    write_file(h->db, &older);
    remove(h->mark);
    s = open_at(h->db);
    tl_store_state_of(s, &st);
    assert_true(st.restored);
    assert_int_equal(row_of(s, 1), 1);
    assert_int_equal(row_of(s, 2), -1);
    tl_store_close(s);
    s = open_at(h->db);
    tl_store_state_of(s, &st);
    assert_false(st.restored);
    tl_store_close(s);
    write_file(h->db, &lost); /* was found again: but invites may have been used by now */
    assert_refused(h, TL_ERR_REPLAY, "E_STORE_SET_BACK");
    free(older.p);
    free(lost.p);
}

/* Opens the store in a child that its alarm ends after so many microseconds, wherever it is by then. */
static void open_and_end(const home *h, unsigned after_us)
{
    pid_t child = fork();
    if (child == 0) {
        struct itimerval alarm_at = {.it_value.tv_usec = after_us};
        setitimer(ITIMER_REAL, &alarm_at, NULL);
        tl_store *s = open_at(h->db);
        (void)put_row(s, 2, 1);
        for (;;)
            pause();
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM);
}

static void a_copy_that_was_taken_is_opened_again_whenever_its_first_life_ended(void **state)
{
    const home *h = *state;
    tl_store *s = open_at(h->db);
    assert_int_equal(put_row(s, 1, 1), TL_OK);
    tl_store_close(s);
    content copy = read_file(h->db);
    for (unsigned i = 0; i < 60; i++) {
        remove(h->mark);
        remove(h->wal);
        write_file(h->db, &copy);
        if (i == 0)
            leave_in_the_middle(h, 2);
        else
            open_and_end(h, i * 500);
        s = open_at(h->db);
        assert_int_equal(row_of(s, 1), 1);
        if (i == 0)
            assert_int_equal(row_of(s, 2), 1);
        tl_store_close(s);
    }
    free(copy.p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_HOME(what_was_committed_is_there_after_a_kill),
        IN_HOME(a_damaged_page_is_found_and_the_file_is_left_as_it_is),
        IN_HOME(a_large_file_is_checked_too),
        IN_HOME(what_is_no_database_is_refused),
        IN_HOME(a_database_of_another_program_is_refused),
        IN_HOME(a_newer_version_is_refused_and_the_newest_is_not),
        IN_HOME(a_row_without_its_owner_is_corruption),
        IN_HOME(a_second_process_is_refused_while_the_first_has_the_file),
        IN_HOME(the_mark_judges_by_identity_and_count),
        IN_HOME(a_mark_is_read_as_it_was_written_and_nothing_else_is_one),
        IN_HOME(an_older_copy_is_refused_and_the_newer_one_is_taken_back),
        IN_HOME(a_file_that_is_missing_or_another_is_refused_by_its_mark),
        IN_HOME(a_damaged_mark_is_refused),
        IN_HOME(a_first_start_that_was_killed_before_it_wrote_the_mark_is_made_again),
        IN_HOME(a_log_without_its_file_is_not_played_into_a_new_one),
        IN_HOME(a_copy_without_its_mark_is_taken_and_never_mixed_with_the_lost_one),
        IN_HOME(a_copy_that_was_taken_is_opened_again_whenever_its_first_life_ended),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
