#include "node/pausefile.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[64], path[96];

static int setup(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/teale-pause-XXXXXX");
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/paused", dir);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(dir);
}

static void lay(const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void a_pause_is_kept_until_it_is_removed(void **state)
{
    (void)state;
    tl_unix until = 7;
    tl_why why;
    struct stat st;
    assert_false(tl_pausefile_read(path, &until));
    assert_int_equal(until, 7);
    assert_int_equal(tl_pausefile_write(path, 1700000000, &why), TL_OK);
    assert_true(tl_pausefile_read(path, &until));
    assert_int_equal(until, 1700000000);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(tl_pausefile_write(path, TL_PAUSE_NO_END, &why), TL_OK);
    assert_true(tl_pausefile_read(path, &until));
    assert_int_equal(until, TL_PAUSE_NO_END);
    assert_int_equal(tl_pausefile_remove(path, &why), TL_OK);
    assert_false(tl_pausefile_read(path, &until));
    assert_int_equal(tl_pausefile_remove(path, &why), TL_OK);
}

static void a_spoilt_file_is_a_pause_without_end(void **state)
{
    (void)state;
    static const char *const texts[] = {"",     "\n",      "soon\n",
                                        "-5\n", "12 34\n", "1234567890123456\n"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        tl_unix until = 7;
        lay(texts[i]);
        assert_true(tl_pausefile_read(path, &until));
        assert_int_equal(until, TL_PAUSE_NO_END);
    }
}

static void where_it_cannot_be_kept_the_cause_is_told(void **state)
{
    (void)state;
    tl_why why = {0};
    assert_int_equal(tl_pausefile_write("/nowhere/at/all/paused", 5, &why), TL_ERR_IO);
    assert_non_null(strstr(why.text, "/nowhere/at/all/paused"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_pause_is_kept_until_it_is_removed, setup, teardown),
        cmocka_unit_test_setup_teardown(a_spoilt_file_is_a_pause_without_end, setup, teardown),
        cmocka_unit_test_setup_teardown(where_it_cannot_be_kept_the_cause_is_told, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
