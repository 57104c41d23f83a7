#include "home.h"

#include "store/wal.h"

static uint64_t count_in(const char *path)
{
    uint64_t n = 999;
    assert_int_equal(tl_wal_commits(path, &n), TL_OK);
    return n;
}

/* A process that writes `n` rows, one a transaction, from `first` on, and is killed. */
static void write_and_die(const home *h, uint8_t first, uint8_t n)
{
    pid_t child = fork();
    int status;
    if (child == 0) {
        tl_store *s = open_at(h->db);
        for (uint8_t i = 0; i < n; i++)
            if (put_row(s, (uint8_t)(first + i), 1))
                _exit(1);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_true(is_there(h->wal));
}

static void a_database_fits_its_log_where_no_transaction_is_missing(void **state)
{
    (void)state;
    assert_true(tl_wal_fits(10, 5, 15));  /* nothing of the log is written back yet */
    assert_true(tl_wal_fits(13, 5, 15));  /* a part */
    assert_true(tl_wal_fits(15, 5, 15));  /* all */
    assert_true(tl_wal_fits(10, 9, 15));  /* another program wrote, too */
    assert_false(tl_wal_fits(9, 5, 15));  /* one is missing */
    assert_false(tl_wal_fits(16, 5, 15)); /* the log is of an older file */
}

static void every_whole_transaction_of_a_log_is_counted(void **state)
{
    const home *h = *state;
    assert_int_equal(count_in(h->wal), 0); /* there is none */
    tl_store_close(open_at(h->db));
    for (uint8_t n = 1; n < 5; n++) {
        write_and_die(h, (uint8_t)(10 * n), n);
        assert_int_equal(count_in(h->wal), n);
        tl_store_close(open_at(h->db)); /* written back */
    }
}

static void a_log_counts_up_to_where_it_is_cut_or_damaged(void **state)
{
    const home *h = *state;
    tl_store_close(open_at(h->db));
    write_and_die(h, 1, 3);
    content good = read_file(h->wal), bad = good;
    uint64_t last = 0;
    for (size_t cut = 0; cut <= good.n; cut += 100) { /* a longer piece has no fewer */
        bad.n = cut;
        write_file(h->wal, &bad);
        uint64_t n = count_in(h->wal);
        assert_true(n >= last && n <= 3);
        last = n;
    }
    bad = (content){malloc(good.n), good.n, true};
    for (size_t at = 0; at < good.n; at += 61) {
        memcpy(bad.p, good.p, good.n);
        bad.p[at] ^= 0x10;
        write_file(h->wal, &bad);
        uint64_t n = count_in(h->wal);
        if (at < 32) /* the header */
            assert_int_equal(n, 0);
        else
            assert_true(n < 3);
    }
    free(bad.p);
    write_file(h->wal, &good);
    assert_int_equal(count_in(h->wal), 3);
    free(good.p);
}

static void assert_refused(const home *h)
{
    content db = read_file(h->db), wal = read_file(h->wal), mark = read_file(h->mark);
    tl_why why;
    assert_int_equal(refused_at(h->db, &why), TL_ERR_REPLAY);
    assert_memory_equal(why.text, "E_STORE_SET_BACK:", 17);
    assert_non_null(strstr(why.text, "-wal"));
    assert_true(strlen(why.text) < sizeof why.text - 1);
    assert_unchanged(h->db, &db);
    assert_unchanged(h->wal, &wal);
    assert_unchanged(h->mark, &mark);
    free(db.p);
    free(wal.p);
    free(mark.p);
}

/* The node died, an older copy was put back, and the log of the newer file was left beside it. By the
 * log alone the count of commits would be right. */
static void an_older_copy_beside_the_log_of_a_newer_file_is_refused(void **state)
{
    const home *h = *state;
    tl_store *s = open_at(h->db);
    assert_int_equal(put_row(s, 1, 1), TL_OK);
    tl_store_close(s);
    content older = read_file(h->db);
    s = open_at(h->db);
    assert_int_equal(put_row(s, 2, 1), TL_OK);
    tl_store_close(s);
    write_and_die(h, 3, 2);
    content newer = read_file(h->db);

    write_file(h->db, &older);
    assert_refused(h);
    content mark = read_file(h->mark);
    remove(h->mark); /* the -wal makes it no better copy */
    assert_refused(h);

    write_file(h->mark, &mark);
    write_file(h->db, &newer); /* the file and its own log: all is there */
    s = open_at(h->db);
    for (uint8_t key = 1; key < 5; key++)
        assert_int_equal(row_of(s, key), 1);
    tl_store_close(s);

    write_file(h->db, &older); /* without the log: as every older copy */
    remove(h->mark);
    s = open_at(h->db);
    assert_int_equal(row_of(s, 1), 1);
    assert_int_equal(row_of(s, 2), -1);
    tl_store_close(s);
    free(older.p);
    free(newer.p);
    free(mark.p);
}

static void names_with_signs_of_a_url_are_names(void **state)
{
    home *h = *state;
    snprintf(h->db, sizeof h->db, "%s/a%%41?b#c d.db", h->dir);
    snprintf(h->wal, sizeof h->wal, "%s-wal", h->db);
    tl_store_close(open_at(h->db));
    write_and_die(h, 1, 2);
    tl_store *s = open_at(h->db);
    assert_int_equal(row_of(s, 2), 1);
    tl_store_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_HOME(a_database_fits_its_log_where_no_transaction_is_missing),
        IN_HOME(every_whole_transaction_of_a_log_is_counted),
        IN_HOME(a_log_counts_up_to_where_it_is_cut_or_damaged),
        IN_HOME(an_older_copy_beside_the_log_of_a_newer_file_is_refused),
        IN_HOME(names_with_signs_of_a_url_are_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
