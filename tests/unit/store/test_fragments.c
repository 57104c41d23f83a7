/* What the store keeps of backups: rows and files, over restarts. */
#include "home.h"

#include "store/fragments.h"

#include <sys/stat.h>

#define NOW 1800000000

typedef struct {
    tl_fragment_job job; /* first */
    bool done;
    tl_err error;
} work;

static void on_done(tl_fragment_job *j, tl_err e)
{
    work *w = (work *)j;
    w->done = true;
    w->error = e;
}

static const char *folder_of(const home *h)
{
    static char folder[200];
    snprintf(folder, sizeof folder, "%s/fragments", h->dir);
    return folder;
}

static work work_on(const home *h, int owner, int id)
{
    work w = {.job = {.done = on_done, .row = {.size = 5, .placed_at = NOW}}};
    memset(w.job.row.owner.key, owner, sizeof w.job.row.owner.key);
    memset(w.job.row.id, id, sizeof w.job.row.id);
    snprintf(w.job.folder, sizeof w.job.folder, "%s", folder_of(h));
    return w;
}

static void wait_for(tl_store *s, work *w)
{
    while (!w->done)
        collect_next(s);
}

static tl_err put(tl_store *s, const home *h, int owner, int id, const char *text)
{
    work w = work_on(h, owner, id);
    assert_int_equal(tl_buf_append_str(&w.job.content, text), TL_OK);
    tl_store_put_fragment(s, &w.job);
    wait_for(s, &w);
    tl_buf_clear(&w.job.content);
    return w.error;
}

/* The text, or an error. */
static tl_err get(tl_store *s, const home *h, int owner, int id, const char *want)
{
    work w = work_on(h, owner, id);
    tl_store_get_fragment(s, &w.job);
    wait_for(s, &w);
    if (!w.error)
        assert_true(tl_slice_eq(tl_buf_slice(&w.job.content), tl_slice_str(want)));
    tl_buf_clear(&w.job.content);
    return w.error;
}

typedef struct {
    unsigned owners, fragments, backups, strangers;
    tl_unix heard_at;
    size_t pointer_n, blob_n;
    tl_backup_row row;
} loaded;

static void on_owner(void *user, const tl_node_id *owner, tl_unix heard_at, tl_slice pointer)
{
    loaded *l = user;
    (void)owner;
    l->owners++;
    l->heard_at = heard_at;
    l->pointer_n = pointer.n;
}

static void on_fragment(void *user, const tl_fragment_row *row)
{
    loaded *l = user;
    l->fragments++;
    l->strangers += row->stranger;
    assert_int_equal(row->size, 5);
    assert_int_equal(row->placed_at, NOW);
}

static void on_backup(void *user, const tl_backup_row *row, tl_slice blob)
{
    loaded *l = user;
    l->backups++;
    l->row = *row;
    l->blob_n = blob.n;
}

static loaded load(tl_store *s, const home *h)
{
    static const tl_fragments_loaded calls = {on_owner, on_fragment, on_backup};
    loaded l = {0};
    assert_int_equal(tl_store_load_fragments(s, folder_of(h), &calls, &l), TL_OK);
    return l;
}

/* So many files are in the folder; each is for this user alone. */
static unsigned files(const home *h)
{
    char command[300];
    unsigned n = 0;
    snprintf(command, sizeof command, "find '%s' -type f -perm 600 | wc -l", folder_of(h));
    FILE *f = popen(command, "r");
    assert_int_equal(fscanf(f, "%u", &n), 1);
    pclose(f);
    return n;
}

static void a_fragment_is_there_after_a_restart_with_its_row(void **state)
{
    const home *h = *state;
    tl_store *s = open_at(h->db);
    load(s, h);
    assert_int_equal(put(s, h, 1, 1, "hello"), TL_OK);
    assert_int_equal(put(s, h, 1, 1, "hallo"), TL_OK); /* in its place */
    assert_int_equal(put(s, h, 2, 1, "there"), TL_OK); /* of another owner */
    tl_store_close(s);
    s = open_at(h->db);
    assert_int_equal(load(s, h).fragments, 2);
    assert_int_equal(get(s, h, 1, 1, "hallo"), TL_OK);
    assert_int_equal(get(s, h, 2, 1, "there"), TL_OK);
    assert_int_equal(get(s, h, 2, 2, ""), TL_ERR_NOT_FOUND);
    assert_int_equal(files(h), 2);
    tl_store_close(s);
}

static void one_that_is_dropped_leaves_neither_row_nor_file(void **state)
{
    const home *h = *state;
    tl_store *s = open_at(h->db);
    load(s, h);
    assert_int_equal(put(s, h, 1, 1, "hello"), TL_OK);
    const work w = work_on(h, 1, 1);
    assert_int_equal(tl_store_drop_fragment(s, folder_of(h), &w.job.row.owner, w.job.row.id),
                     TL_OK);
    tl_store_close(s);
    s = open_at(h->db);
    assert_int_equal(load(s, h).fragments, 0);
    assert_int_equal(files(h), 0);
    tl_store_close(s);
}

static void a_file_without_its_row_goes_at_the_start(void **state)
{
    const home *h = *state;
    tl_store *s = open_at(h->db);
    char path[300];
    load(s, h);
    assert_int_equal(put(s, h, 1, 1, "hello"), TL_OK);
    content c = {(uint8_t[]){1}, 1, true};
    snprintf(path, sizeof path, "%s/own-left", folder_of(h));
    write_file(path, &c);
    load(s, h);
    assert_false(is_there(path));
    assert_int_equal(get(s, h, 1, 1, "hello"), TL_OK);
    tl_store_close(s);
}

static void an_owner_is_kept_with_its_pointer(void **state)
{
    const home *h = *state;
    tl_store *s = open_at(h->db);
    const work w = work_on(h, 1, 1);
    load(s, h);
    assert_int_equal(tl_store_put_fragment_owner(s, &w.job.row.owner, NOW), TL_OK);
    assert_int_equal(tl_store_put_fragment_pointer(s, &w.job.row.owner, TL_SLICE_LIT("pointer")),
                     TL_OK);
    assert_int_equal(tl_store_put_fragment_owner(s, &w.job.row.owner, NOW + 9), TL_OK);
    loaded l = load(s, h);
    assert_int_equal(l.owners, 1);
    assert_int_equal(l.heard_at, NOW + 9);
    assert_int_equal(l.pointer_n, 7);
    assert_int_equal(tl_store_drop_fragment_owner(s, &w.job.row.owner), TL_OK);
    assert_int_equal(load(s, h).owners, 0);
    tl_store_close(s);
}

static void our_own_backup_is_kept_with_its_blob_and_places(void **state)
{
    const home *h = *state;
    tl_store *s = open_at(h->db);
    tl_slice blob = TL_SLICE_LIT("a blob"), other = TL_SLICE_LIT("another");
    tl_backup_row r = {.any = true, .blob = {1}, .made_at = NOW, .k = 1, .n = 3, .old_n = 2};
    r.place[2] =
        (tl_backup_place_row){.held = true, .placed_at = 1, .proven_at = 2, .expires_at = 3};
    assert_int_equal(load(s, h).backups, 0);
    assert_int_equal(tl_store_put_backup(s, folder_of(h), &r, &blob), TL_OK);
    loaded l = load(s, h);
    assert_int_equal(l.blob_n, 6);
    assert_int_equal(l.row.n, 3);
    assert_false(l.row.place[0].held);
    assert_true(l.row.place[2].held);
    assert_int_equal(l.row.place[2].proven_at, 2);
    assert_int_equal(l.row.old_n, 2);
    r.blob[0] = 2;
    assert_int_equal(tl_store_put_backup(s, folder_of(h), &r, &other), TL_OK);
    assert_int_equal(load(s, h).blob_n, 7);
    assert_int_equal(files(h), 1); /* the one before is gone */
    r.any = false;
    r.old_n = 0;
    assert_int_equal(tl_store_put_backup(s, folder_of(h), &r, NULL), TL_OK);
    assert_int_equal(load(s, h).backups, 0);
    assert_int_equal(files(h), 0);
    tl_store_close(s);
}

static void a_blob_that_is_lost_is_an_empty_one(void **state)
{
    const home *h = *state;
    tl_store *s = open_at(h->db);
    tl_slice blob = TL_SLICE_LIT("a blob");
    tl_backup_row r = {.any = true, .made_at = NOW, .k = 1, .n = 1};
    char command[300];
    load(s, h);
    assert_int_equal(tl_store_put_backup(s, folder_of(h), &r, &blob), TL_OK);
    assert_int_equal(load(s, h).blob_n, 6);
    snprintf(command, sizeof command, "rm '%s'/own-*", folder_of(h));
    assert_int_equal(system(command), 0);
    loaded l = load(s, h);
    assert_int_equal(l.backups, 1);
    assert_int_equal(l.blob_n, 0);
    tl_store_close(s);
}

static void a_disk_that_takes_no_file_takes_no_row(void **state)
{
    const home *h = *state;
    tl_store *s = open_at(h->db);
    content c = {(uint8_t[]){1}, 1, true};
    write_file(folder_of(h), &c); /* where the folder should be */
    assert_int_equal(put(s, h, 1, 1, "hello"), TL_ERR_IO);
    remove(folder_of(h));
    assert_int_equal(load(s, h).fragments, 0);
    assert_int_equal(put(s, h, 1, 1, "hello"), TL_OK);
    assert_int_equal(load(s, h).fragments, 1);
    tl_store_close(s);
}

/* The folder goes, too. */
static int remove_all(void **state)
{
    const home *h = *state;
    char command[300];
    snprintf(command, sizeof command, "rm -rf '%s'", folder_of(h));
    assert_int_equal(system(command), 0);
    return remove_home(state);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_home, remove_all)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_fragment_is_there_after_a_restart_with_its_row),
        TEST(one_that_is_dropped_leaves_neither_row_nor_file),
        TEST(a_file_without_its_row_goes_at_the_start),
        TEST(an_owner_is_kept_with_its_pointer),
        TEST(our_own_backup_is_kept_with_its_blob_and_places),
        TEST(a_blob_that_is_lost_is_an_empty_one),
        TEST(a_disk_that_takes_no_file_takes_no_row),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
