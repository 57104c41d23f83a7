#include "cli/files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[64], path[128];
static tl_why why;

static int make_dir(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/teale-files-XXXXXX");
    if (!mkdtemp(dir))
        return -1;
    snprintf(path, sizeof path, "%s/file", dir);
    return 0;
}

static int remove_dir(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(dir);
}

static void a_new_file_is_private_and_reads_back(void **state)
{
    (void)state;
    struct stat st;
    tl_buf back = {0};
    umask(0);
    assert_int_equal(tl_file_create(path, TL_SLICE_LIT("secret\0bytes"), &why), TL_OK);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(tl_file_read(path, 12, &back, &why), TL_OK);
    assert_true(tl_slice_eq(tl_buf_slice(&back), TL_SLICE_LIT("secret\0bytes")));
    tl_buf_clear(&back);
}

static void a_file_that_is_there_is_never_written_over(void **state)
{
    (void)state;
    tl_buf back = {0};
    assert_int_equal(tl_file_create(path, TL_SLICE_LIT("first"), &why), TL_OK);
    assert_int_equal(tl_file_create(path, TL_SLICE_LIT("second"), &why), TL_ERR_EXISTS);
    assert_non_null(strstr(why.text, "exists already"));
    assert_int_equal(tl_file_read(path, 100, &back, &why), TL_OK);
    assert_true(tl_slice_eq(tl_buf_slice(&back), TL_SLICE_LIT("first")));
    tl_buf_clear(&back);
}

static void a_link_that_leads_elsewhere_is_not_followed_when_a_file_is_made(void **state)
{
    (void)state;
    char target[160];
    snprintf(target, sizeof target, "%s/elsewhere", dir);
    assert_int_equal(symlink(target, path), 0);
    assert_int_equal(tl_file_create(path, TL_SLICE_LIT("x"), &why), TL_ERR_EXISTS);
    assert_int_equal(access(target, F_OK), -1);
}

static void a_file_longer_than_the_bound_is_refused_and_one_that_fits_is_read(void **state)
{
    (void)state;
    tl_buf back = {0};
    assert_int_equal(tl_file_create(path, TL_SLICE_LIT("12345"), &why), TL_OK);
    assert_int_equal(tl_file_read(path, 4, &back, &why), TL_ERR_TOO_LARGE);
    tl_buf_clear(&back);
    assert_int_equal(tl_file_read(path, 5, &back, &why), TL_OK);
    tl_buf_clear(&back);
}

static void what_is_no_file_is_named(void **state)
{
    (void)state;
    tl_buf back = {0};
    assert_int_equal(tl_file_read(path, 4, &back, &why), TL_ERR_NOT_FOUND);
    assert_non_null(strstr(why.text, path));
    assert_int_equal(tl_file_read(dir, 4, &back, &why), TL_ERR_INVALID);
    assert_int_equal(tl_file_read("/dev/zero", 4, &back, &why), TL_ERR_INVALID);
    tl_buf_clear(&back);
}

static void a_pipe_is_read_unless_nobody_writes_into_it(void **state)
{
    (void)state;
    tl_buf back = {0};
    char fifo[160], name[32];
    int ends[2];
    snprintf(fifo, sizeof fifo, "%s/fifo", dir);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    assert_int_equal(tl_file_read(fifo, 100, &back, &why), TL_ERR_INVALID); /* and not for ever */
    assert_non_null(strstr(why.text, "nobody writes"));
    assert_int_equal(unlink(fifo), 0);
    assert_int_equal(pipe(ends), 0); /* as the shell's <(COMMAND) */
    assert_int_equal(write(ends[1], "abc", 3), 3);
    close(ends[1]);
    snprintf(name, sizeof name, "/dev/fd/%d", ends[0]);
    assert_int_equal(tl_file_read(name, 100, &back, &why), TL_OK);
    assert_true(tl_slice_eq(tl_buf_slice(&back), TL_SLICE_LIT("abc")));
    close(ends[0]);
    tl_buf_clear(&back);
}

static void a_pipe_whose_writer_stops_in_the_middle_is_given_up(void **state)
{
    (void)state;
    tl_buf back = {0};
    char name[32];
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], "a", 1), 1);
    snprintf(name, sizeof name, "/dev/fd/%d", ends[0]);
    alarm(40); /* it was waited for without end */
    assert_int_equal(tl_file_read(name, 100, &back, &why), TL_ERR_INVALID);
    alarm(0);
    assert_non_null(strstr(why.text, "nobody writes"));
    close(ends[0]);
    close(ends[1]);
    tl_buf_clear(&back);
}

static void a_file_that_cannot_be_made_names_the_cause(void **state)
{
    (void)state;
    char below[160];
    snprintf(below, sizeof below, "%s/none/file", dir);
    assert_int_equal(tl_file_create(below, TL_SLICE_LIT("x"), &why), TL_ERR_IO);
    assert_non_null(strstr(why.text, below));
    assert_int_equal(tl_file_create("/dev/full", TL_SLICE_LIT("x"), &why), TL_ERR_EXISTS);
}

static void a_path_begins_in_the_home_directory_where_a_shell_says_so(void **state)
{
    (void)state;
    char full[PATH_MAX], longest[PATH_MAX + 1];
    setenv("HOME", "/h", 1);
    assert_true(tl_path_expand(TL_SLICE_LIT("~/a b"), full));
    assert_string_equal(full, "/h/a b");
    assert_true(tl_path_expand(tl_slice_of("~/abc", 3), full));
    assert_string_equal(full, "/h/a");
    assert_true(tl_path_expand(TL_SLICE_LIT("~eve/a"), full));
    assert_string_equal(full, "~eve/a");
    assert_true(tl_path_expand(TL_SLICE_LIT("./~/a"), full));
    assert_string_equal(full, "./~/a");
    assert_false(tl_path_expand(TL_SLICE_LIT(""), full));
    memset(longest, 'x', sizeof longest);
    assert_true(tl_path_expand(tl_slice_of(longest, PATH_MAX - 1), full));
    assert_false(tl_path_expand(tl_slice_of(longest, PATH_MAX), full));
    memcpy(longest, "~/", 2); /* with the home directory it is longer */
    assert_false(tl_path_expand(tl_slice_of(longest, PATH_MAX - 1), full));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_dir, remove_dir)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_new_file_is_private_and_reads_back),
        TEST(a_file_that_is_there_is_never_written_over),
        TEST(a_link_that_leads_elsewhere_is_not_followed_when_a_file_is_made),
        TEST(a_file_longer_than_the_bound_is_refused_and_one_that_fits_is_read),
        TEST(what_is_no_file_is_named),
        TEST(a_pipe_is_read_unless_nobody_writes_into_it),
        TEST(a_pipe_whose_writer_stops_in_the_middle_is_given_up),
        TEST(a_file_that_cannot_be_made_names_the_cause),
        cmocka_unit_test(a_path_begins_in_the_home_directory_where_a_shell_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
