#include "config/config.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[64];
static char path[128];

static int make_dir(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/teale-config-XXXXXX");
    if (!mkdtemp(dir))
        return -1;
    snprintf(path, sizeof path, "%s/teale.toml", dir);
    return 0;
}

static int remove_dir(void **state)
{
    (void)state;
    char command[160];
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    return system(command);
}

static void write_text(const char *text)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
}

static const char *text_now(void)
{
    static char text[20000];
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    text[fread(text, 1, sizeof text - 1, f)] = 0;
    fclose(f);
    return text;
}

static void a_missing_file_is_an_empty_one(void **state)
{
    (void)state;
    tl_settings s;
    assert_int_equal(tl_settings_load(path, &s, NULL), TL_OK);
    assert_int_equal(s.requests_max, 1024);
}

static void a_saved_setting_is_read_back_and_the_file_is_private(void **state)
{
    (void)state;
    tl_settings s;
    struct stat st;
    assert_int_equal(tl_settings_save(path, "udp_port", "4711", NULL), TL_OK);
    assert_int_equal(tl_settings_save(path, "wan_relay_url", "wss://r.example/ws", NULL), TL_OK);
    assert_int_equal(tl_settings_load(path, &s, NULL), TL_OK);
    assert_int_equal(s.udp_port, 4711);
    assert_string_equal(s.wan_relay_url.item[0], "wss://r.example/ws");
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
}

static void a_refused_save_leaves_the_file_untouched(void **state)
{
    (void)state;
    tl_why why;
    write_text("# mine\nudp_port = 1\n");
    assert_int_equal(tl_settings_save(path, "udp_port", "x", &why), TL_ERR_INVALID);
    assert_int_equal(tl_settings_save(path, "udp_prt", "2", &why), TL_ERR_NOT_FOUND);
    assert_string_equal(text_now(), "# mine\nudp_port = 1\n");
    assert_int_equal(tl_settings_save(path, "udp_port", "2", &why), TL_OK);
    assert_string_equal(text_now(), "# mine\nudp_port = 2\n");
}

static void a_wrong_file_is_not_written_to(void **state)
{
    (void)state;
    tl_why why;
    tl_settings s = tl_settings_default(), before = s;
    write_text("udp_port = 1\nudp_prt = 2\n");
    assert_int_equal(tl_settings_save(path, "ask", "any", &why), TL_ERR_NOT_FOUND);
    assert_non_null(strstr(why.text, "teale.toml:2: unknown setting \"udp_prt\""));
    assert_string_equal(text_now(), "udp_port = 1\nudp_prt = 2\n");
    assert_int_equal(tl_settings_load(path, &s, &why), TL_ERR_INVALID);
    assert_memory_equal(&s, &before, sizeof s);
}

static void a_link_is_followed_and_stays_a_link(void **state)
{
    (void)state;
    char link_path[160];
    struct stat st;
    write_text("udp_port = 1\n");
    snprintf(link_path, sizeof link_path, "%s/link.toml", dir);
    assert_int_equal(symlink("teale.toml", link_path), 0);
    assert_int_equal(tl_settings_save(link_path, "udp_port", "2", NULL), TL_OK);
    assert_int_equal(lstat(link_path, &st), 0);
    assert_true(S_ISLNK(st.st_mode));
    assert_string_equal(text_now(), "udp_port = 2\n");
}

static void what_is_no_plain_file_is_refused_and_never_waited_for(void **state)
{
    (void)state;
    tl_settings s;
    tl_why why;
    assert_int_equal(tl_settings_load(dir, &s, &why), TL_ERR_IO);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(tl_settings_load(path, &s, &why), TL_ERR_IO);
    assert_non_null(strstr(why.text, "not a plain file"));
    assert_int_equal(tl_settings_save(path, "ask", "any", &why), TL_ERR_IO);
}

static void a_write_that_fails_leaves_the_old_file_and_no_litter(void **state)
{
    (void)state;
    tl_why why;
    write_text("# a comment of more than sixteen bytes\nudp_port = 1\n");
    struct rlimit was, little;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
    little = was;
    little.rlim_cur = 16;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &little), 0);
    tl_err e = tl_settings_save(path, "udp_port", "2", &why);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
    assert_int_equal(e, TL_ERR_IO);
    assert_non_null(strstr(why.text, "It is unchanged"));
    assert_string_equal(text_now(), "# a comment of more than sixteen bytes\nudp_port = 1\n");
    char command[160];
    snprintf(command, sizeof command, "test \"$(ls -A '%s' | wc -l)\" = 1", dir);
    assert_int_equal(system(command), 0);
}

static void a_missing_directory_is_an_error_with_its_name(void **state)
{
    (void)state;
    tl_why why;
    char far[160];
    snprintf(far, sizeof far, "%s/none/teale.toml", dir);
    assert_int_equal(tl_settings_save(far, "ask", "any", &why), TL_ERR_IO);
    assert_non_null(strstr(why.text, "/none"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_missing_file_is_an_empty_one, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(a_saved_setting_is_read_back_and_the_file_is_private,
                                        make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(a_refused_save_leaves_the_file_untouched, make_dir,
                                        remove_dir),
        cmocka_unit_test_setup_teardown(a_wrong_file_is_not_written_to, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(a_link_is_followed_and_stays_a_link, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(what_is_no_plain_file_is_refused_and_never_waited_for,
                                        make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(a_write_that_fails_leaves_the_old_file_and_no_litter,
                                        make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(a_missing_directory_is_an_error_with_its_name, make_dir,
                                        remove_dir),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
