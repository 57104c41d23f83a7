/* The copy of the database that a backup holds, and what the store keeps of the backup itself. */
#include "books.h"

#include "store/recovery.h"
#include "store/snapshot.h"

typedef struct {
    tl_store_job job; /* first */
    bool lean;
    tl_buf copy;
} snapshot;

static tl_err take(tl_store_job *j, tl_db *db)
{
    snapshot *s = (snapshot *)j;
    return tl_snapshot_take(db, s->lean, &s->copy);
}

static tl_buf copy_of(tl_store *store, bool lean)
{
    snapshot s = {.job = {.work = take, .reads = true}, .lean = lean};
    assert_int_equal(tl_store_do(store, &s.job), TL_OK);
    return s.copy;
}

/* Puts the copy into a home of its own. */
static void put_back(const home *h, tl_buf *copy, char ret_path[128])
{
    static int made;
    snprintf(ret_path, 128, "%s/back-%d.db", h->dir, made++);
    const content c = {tl_buf_begin(copy), copy->len, true};
    write_file(ret_path, &c);
    tl_buf_clear(copy);
}

static void a_copy_opens_as_an_older_copy_with_all_rows_of_its_moment(void **state)
{
    const home *h = *state;
    char path[128];
    tl_store_state st;
    tl_store *s = open_at(h->db);
    assert_int_equal(put_row(s, 1, 5), TL_OK);
    tl_buf copy = copy_of(s, false);
    assert_int_equal(put_row(s, 2, 6), TL_OK); /* later */
    tl_store_close(s);

    put_back(h, &copy, path);
    s = open_at(path);
    tl_store_state_of(s, &st);
    assert_true(st.restored);
    assert_int_equal(row_of(s, 1), 5);
    assert_int_equal(row_of(s, 2), -1);
    assert_int_equal(put_row(s, 2, 7), TL_OK); /* it is a store as any */
    tl_store_close(s);
    s = open_at(path);
    tl_store_state_of(s, &st);
    assert_false(st.restored);
    tl_store_close(s);
}

static void what_was_deleted_is_not_to_be_found_in_the_copy(void **state)
{
    const home *h = *state;
    tl_store *s = open_at(h->db);
    tl_recovery_row row = {.instance = "instance", .sequence = 1};
    memset(row.root, 'Q', sizeof row.root);
    assert_int_equal(tl_store_put_recovery(s, &row, NULL, NULL), TL_OK);
    assert_int_equal(put_row(s, 3, 1), TL_OK); /* it is on the disk */
    tl_buf copy = copy_of(s, false);
    assert_non_null(memmem(tl_buf_begin(&copy), copy.len, row.root, sizeof row.root));
    tl_buf_clear(&copy);
    assert_int_equal(tl_store_drop_recovery(s, NULL, NULL), TL_OK);
    assert_int_equal(put_row(s, 1, 1), TL_OK);
    copy = copy_of(s, false);
    assert_null(memmem(tl_buf_begin(&copy), copy.len, row.root, sizeof row.root));
    tl_buf_clear(&copy);
    tl_store_close(s);
}

static void a_lean_copy_lacks_free_questions_and_its_ledger_is_right(void **state)
{
    books *b = *state;
    char path[128], other[128], request[40];
    trade(b, "paid-1", 1000, 2000);
    for (int i = 0; i < 20; i++) {
        snprintf(request, sizeof request, "void-%d", i);
        assert_int_equal(begin(b, TL_LEDGER_SERVED, request), TL_OK);
        assert_int_equal(void_it(b, request), TL_OK);
    }
    tl_buf whole = copy_of(b->provider.store, false), lean = copy_of(b->provider.store, true);
    assert_true(lean.len <= whole.len);
    put_back(b->home, &lean, path);
    assert_int_equal(number_in(path, "SELECT count(*) FROM transfers"), 1);
    put_back(b->home, &whole, other);
    assert_int_equal(number_in(other, "SELECT count(*) FROM transfers"), 21);
    book back = {.self = b->provider.self, .store = open_at(path)};
    json_t *proof = audit(&back);
    assert_string_equal(first_problem(proof), "");
    assert_int_equal(balance_of(&back), balance_of(&b->provider));
    json_decref(proof);
    tl_store_close(back.store);
}

static void the_row_of_the_backup_comes_back_as_it_was_put(void **state)
{
    const home *h = *state;
    tl_store *s = open_at(h->db);
    tl_recovery_row back = {.sequence = 0}, row = {.instance = {1, 2, 3},
                                                   .sequence = 1795000000,
                                                   .made_at = 1794999999,
                                                   .holders = 9,
                                                   .strangers = true};
    memset(row.root, 7, sizeof row.root);
    assert_int_equal(tl_store_load_recovery(s, &back), TL_ERR_NOT_FOUND);
    assert_int_equal(tl_store_put_recovery(s, &row, NULL, NULL), TL_OK);
    row.sequence++;
    row.elsewhere = true;
    assert_int_equal(tl_store_put_recovery(s, &row, NULL, NULL), TL_OK);
    tl_store_close(s);
    s = open_at(h->db);
    assert_int_equal(tl_store_load_recovery(s, &back), TL_OK);
    assert_memory_equal(back.root, row.root, sizeof row.root);
    assert_memory_equal(back.instance, row.instance, sizeof row.instance);
    assert_int_equal(back.sequence, row.sequence);
    assert_int_equal(back.made_at, row.made_at);
    assert_int_equal(back.holders, 9);
    assert_true(back.strangers && back.elsewhere);
    assert_int_equal(tl_store_drop_recovery(s, NULL, NULL), TL_OK);
    tl_store_close(s);
    s = open_at(h->db);
    assert_int_equal(tl_store_load_recovery(s, &back), TL_ERR_NOT_FOUND);
    tl_store_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_HOME(a_copy_opens_as_an_older_copy_with_all_rows_of_its_moment),
        IN_HOME(what_was_deleted_is_not_to_be_found_in_the_copy),
        WITH_BOOKS(a_lean_copy_lacks_free_questions_and_its_ledger_is_right),
        IN_HOME(the_row_of_the_backup_comes_back_as_it_was_put),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
