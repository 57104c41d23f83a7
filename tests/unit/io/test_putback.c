/* Several files put in place at once: all or none, wherever it stops. */
#include "io/putback.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { FILES = 3 };

typedef struct {
    char home[64], dir[96], fresh[112], path[FILES][96];
    tl_putback file[FILES];
} place;

static const char *const contents[FILES] = {"settings", "database", "key"};

static int make_place(void **state)
{
    place *p = calloc(1, sizeof *p);
    snprintf(p->home, sizeof p->home, "/tmp/test_putback.XXXXXX");
    assert_non_null(mkdtemp(p->home));
    snprintf(p->dir, sizeof p->dir, "%s/restore", p->home);
    snprintf(p->fresh, sizeof p->fresh, "%s.new", p->dir);
    for (int i = 0; i < FILES; i++) {
        snprintf(p->path[i], sizeof p->path[i], "%s/%s", p->home, contents[i]);
        p->file[i] = (tl_putback){p->path[i], tl_slice_str(contents[i]), i == 0};
    }
    *state = p;
    return 0;
}

static int remove_place(void **state)
{
    place *p = *state;
    char command[96];
    snprintf(command, sizeof command, "rm -rf %s", p->home);
    int rc = system(command);
    free(p);
    return rc;
}

static bool is_there(const char *path)
{
    return access(path, F_OK) == 0;
}

static void put_file(const char *path, const char *content)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(content, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static void assert_content(const char *path, const char *content)
{
    char text[64] = "";
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    assert_true(fread(text, 1, sizeof text - 1, f) > 0);
    assert_string_equal(text, content);
    assert_int_equal(fclose(f), 0);
}

static void assert_all_in_place(const place *p)
{
    struct stat st;
    for (int i = 0; i < FILES; i++) {
        assert_content(p->path[i], contents[i]);
        assert_int_equal(stat(p->path[i], &st), 0);
        assert_int_equal(st.st_mode & 07777, 0600);
    }
    assert_false(is_there(p->dir));
    assert_false(is_there(p->fresh));
}

static void all_files_are_put_in_place_closed_to_others(void **state)
{
    const place *p = *state;
    tl_why why = {""};
    umask(0);
    assert_int_equal(tl_putback_write(p->dir, p->file, FILES, &why), TL_OK);
    assert_all_in_place(p);
}

static void where_one_is_there_nothing_is_written(void **state)
{
    const place *p = *state;
    tl_why why = {""};
    put_file(p->path[2], "mine");
    assert_int_equal(tl_putback_write(p->dir, p->file, FILES, &why), TL_ERR_EXISTS);
    assert_non_null(strstr(why.text, p->path[2]));
    assert_content(p->path[2], "mine");
    assert_false(is_there(p->path[0]));
    assert_false(is_there(p->path[1]));
    assert_false(is_there(p->dir));
}

static void a_spare_file_that_is_there_stays(void **state)
{
    const place *p = *state;
    tl_why why = {""};
    put_file(p->path[0], "mine");
    assert_int_equal(tl_putback_write(p->dir, p->file, FILES, &why), TL_OK);
    assert_content(p->path[0], "mine");
    assert_content(p->path[1], contents[1]);
    assert_content(p->path[2], contents[2]);
    assert_false(is_there(p->dir));
}

/* The state in which a machine may have died, after `moved` of the files had their names. */
static void die_after(const place *p, int moved)
{
    assert_int_equal(mkdir(p->dir, 0700), 0);
    for (int i = 0; i < FILES; i++) {
        char part[128];
        snprintf(part, sizeof part, "%s/%d", p->dir, i);
        put_file(i < moved ? p->path[i] : part, contents[i]);
    }
}

static void a_machine_that_died_goes_on_at_its_next_start(void **state)
{
    place *p = *state;
    for (int moved = 0; moved <= FILES; moved++) {
        tl_why why = {""};
        bool done;
        umask(077);
        die_after(p, moved);
        assert_int_equal(tl_putback_finish(p->dir, p->file, FILES, &done, &why), TL_OK);
        assert_true(done);
        assert_all_in_place(p);
        for (int i = 0; i < FILES; i++)
            unlink(p->path[i]);
    }
}

/* The database was moved to its name; then the machine died, and somebody moved it away. */
static void a_key_is_not_put_beside_a_database_that_is_gone(void **state)
{
    place *p = *state;
    tl_why why = {""};
    bool done;
    die_after(p, 2);
    unlink(p->path[1]);
    assert_int_equal(tl_putback_finish(p->dir, p->file, FILES, &done, &why), TL_ERR_NOT_FOUND);
    assert_false(done);
    assert_false(is_there(p->path[2]));
    assert_non_null(strstr(why.text, p->path[1]));
    put_file(p->path[1], contents[1]);
    assert_int_equal(tl_putback_finish(p->dir, p->file, FILES, &done, &why), TL_OK);
    assert_all_in_place(p);
}

static void what_was_not_whole_is_thrown_away(void **state)
{
    const place *p = *state;
    char part[128];
    tl_why why = {""};
    bool done = true;
    assert_int_equal(mkdir(p->fresh, 0700), 0);
    snprintf(part, sizeof part, "%s/0", p->fresh);
    put_file(part, "half");
    assert_int_equal(tl_putback_finish(p->dir, p->file, FILES, &done, &why), TL_OK);
    assert_false(done);
    assert_false(is_there(p->fresh));
    assert_false(is_there(p->path[0]));
    assert_int_equal(tl_putback_finish(p->dir, p->file, FILES, &done, &why), TL_OK);
    assert_false(done);
}

static void one_that_cannot_be_written_leaves_nothing(void **state)
{
    place *p = *state;
    tl_why why = {""};
    if (geteuid() == 0)
        snprintf(p->dir, sizeof p->dir, "%s/no-such-directory/restore", p->home);
    else
        assert_int_equal(chmod(p->home, 0500), 0);
    assert_int_equal(tl_putback_write(p->dir, p->file, FILES, &why), TL_ERR_IO);
    assert_int_equal(chmod(p->home, 0700), 0);
    for (int i = 0; i < FILES; i++)
        assert_false(is_there(p->path[i]));
}

#define IN_PLACE(test) cmocka_unit_test_setup_teardown(test, make_place, remove_place)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_PLACE(all_files_are_put_in_place_closed_to_others),
        IN_PLACE(where_one_is_there_nothing_is_written),
        IN_PLACE(a_spare_file_that_is_there_stays),
        IN_PLACE(a_machine_that_died_goes_on_at_its_next_start),
        IN_PLACE(a_key_is_not_put_beside_a_database_that_is_gone),
        IN_PLACE(what_was_not_whole_is_thrown_away),
        IN_PLACE(one_that_cannot_be_written_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
