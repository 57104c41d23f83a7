#include "cli/overrides.h"

#include "base/log.h"
#include "cli/lock.h"
#include "cli/logfile.h"
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[64];
static char path[128];

static int make_dir(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/teale-run-XXXXXX");
    if (!mkdtemp(dir))
        return -1;
    snprintf(path, sizeof path, "%s/file", dir);
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

static tl_args args;
static tl_why why;

static void give(const char *first, ...)
{
    static const tl_option options[] = {{"share", 0, "", ""},     {"share-key-file", 0, "", ""},
                                        {"model", 0, "", ""},     {"relay", 0, "", ""},
                                        {"private", 0, NULL, ""}, {"api", 0, "", ""},
                                        {"udp", 0, "", ""},       {"insecure-relay", 0, NULL, ""},
                                        {"log-level", 0, "", ""}, {"home", 0, "", ""},
                                        {NULL, 0, NULL, NULL}};
    static const tl_option *const tables[] = {options, NULL};
    static char *argv[40];
    int n = 0;
    va_list ap;
    va_start(ap, first);
    for (const char *w = first; w; w = va_arg(ap, const char *))
        argv[n++] = (char *)(uintptr_t)w;
    va_end(ap);
    assert_int_equal(tl_args_parse(n, argv, tables, &args, &why), TL_OK);
}

static void options_win_over_the_file_and_leave_the_rest(void **state)
{
    (void)state;
    tl_settings s;
    write_text("udp_port = 5\nask = \"networks\"\nshare_models = [\"x\"]\n");
    give("--udp=7", "--relay", "ws://a/ws", "--relay=wss://b/ws", "--private", "--insecure-relay",
         "--share=auto", "--model=m1", "--model=m2", "--api=127.0.0.1:0", "--log-level=debug",
         NULL);
    assert_int_equal(tl_overrides_load(path, &args, &s, &why), TL_OK);
    assert_int_equal(s.udp_port, 7);
    assert_string_equal(s.ask, "networks");
    assert_true(s.wan_enabled);
    assert_true(s.wan_allow_insecure_relay);
    assert_int_equal(s.wan_relay_url.n, 2);
    assert_string_equal(s.wan_relay_url.item[1], "wss://b/ws");
    assert_string_equal(s.share_with, "networks");
    assert_int_equal(s.share_models.n, 2);
    assert_string_equal(s.share, "auto");
    assert_string_equal(s.api_listen, "127.0.0.1:0");
    assert_string_equal(s.log_level, "debug");
    assert_string_equal(tl_overrides_option(&args, "wan_enabled"), "relay");
    assert_null(tl_overrides_option(&args, "ask"));
    assert_true(tl_overrides_any(&args));
}

static void without_options_the_file_stands_alone(void **state)
{
    (void)state;
    tl_settings s;
    write_text("udp_port = 5\n");
    give("--home=/x", NULL);
    assert_false(tl_overrides_any(&args));
    assert_int_equal(tl_overrides_load(path, &args, &s, &why), TL_OK);
    assert_int_equal(s.udp_port, 5);
    assert_false(s.wan_enabled);
}

static void the_environment_keeps_a_node_off_the_local_network(void **state)
{
    (void)state;
    tl_settings s;
    write_text("udp_port = 5\n");
    give("--home=/x", NULL);
    assert_int_equal(setenv("TEALE_LAN", "on", 1), 0);
    assert_int_equal(tl_overrides_load(path, &args, &s, &why), TL_OK);
    assert_true(s.lan_enabled);
    assert_int_equal(setenv("TEALE_LAN", "off", 1), 0);
    assert_int_equal(tl_overrides_load(path, &args, &s, &why), TL_OK);
    assert_false(s.lan_enabled);
}

static void a_bad_option_is_named(void **state)
{
    (void)state;
    tl_settings s;
    give("--udp=70000", NULL);
    assert_int_equal(tl_overrides_load(path, &args, &s, &why), TL_ERR_INVALID);
    assert_string_equal(why.text, "--udp: udp_port must be a whole number from 0 to 65535");
    give("--relay=http://a", NULL);
    assert_int_equal(tl_overrides_load(path, &args, &s, &why), TL_ERR_INVALID);
    give("--relay=ws://a", NULL);
    assert_int_equal(tl_overrides_load(path, &args, &s, &why), TL_OK);
}

static void a_key_file_is_made_absolute(void **state)
{
    (void)state;
    tl_settings s;
    char here[400], expected[512];
    assert_non_null(getcwd(here, sizeof here));
    give("--share-key-file=k.txt", NULL);
    assert_int_equal(tl_overrides_load(path, &args, &s, &why), TL_OK);
    snprintf(expected, sizeof expected, "%s/k.txt", here);
    assert_string_equal(s.backend_key_file, expected);
    give("--share-key-file=/k.txt", NULL);
    assert_int_equal(tl_overrides_load(path, &args, &s, &why), TL_OK);
    assert_string_equal(s.backend_key_file, "/k.txt");
}

static void one_process_has_the_lock_until_it_ends(void **state)
{
    (void)state;
    int fd, go[2], status;
    char c;
    assert_int_equal(pipe(go), 0);
    assert_false(tl_lock_is_taken(path));
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        int rc = tl_lock_take(path, &fd, NULL);
        c = rc ? 'x' : 'y';
        (void)!write(go[1], &c, 1);
        pause();
        _exit(0);
    }
    assert_int_equal(read(go[0], &c, 1), 1);
    assert_int_equal(c, 'y');
    assert_true(tl_lock_is_taken(path));
    assert_int_equal(tl_lock_take(path, &fd, &why), TL_ERR_EXISTS);
    char number[32];
    snprintf(number, sizeof number, "process %ld,", (long)child);
    assert_non_null(strstr(why.text, number));
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_false(tl_lock_is_taken(path));
    assert_int_equal(tl_lock_take(path, &fd, &why), TL_OK);
    close(fd);
    close(go[0]);
    close(go[1]);
}

static void a_full_log_is_turned_over_and_private(void **state)
{
    (void)state;
    struct stat st;
    char old[160];
    snprintf(old, sizeof old, "%s.1", path);
    int was = dup(STDERR_FILENO);
    assert_int_equal(tl_logfile_use(path, &why), TL_OK);
    tl_log(TL_LOG_INFO, "first");
    assert_int_equal(truncate(path, TL_LOGFILE_MAX - 1), 0);
    tl_log(TL_LOG_INFO, "still fits");
    assert_int_not_equal(stat(old, &st), 0);
    tl_log(TL_LOG_INFO, "second file");
    tl_log_set_sink(NULL, NULL);
    assert_true(dup2(was, STDERR_FILENO) >= 0);
    close(was);
    assert_int_equal(stat(old, &st), 0);
    assert_true(st.st_size >= TL_LOGFILE_MAX);
    assert_int_equal(stat(path, &st), 0);
    assert_true(st.st_size > 0 && st.st_size < 200);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink("elsewhere", path), 0);
    int fd;
    assert_int_equal(tl_logfile_open(path, &fd, &why), TL_ERR_IO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(options_win_over_the_file_and_leave_the_rest, make_dir,
                                        remove_dir),
        cmocka_unit_test_setup_teardown(without_options_the_file_stands_alone, make_dir,
                                        remove_dir),
        cmocka_unit_test_setup_teardown(the_environment_keeps_a_node_off_the_local_network,
                                        make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(a_bad_option_is_named, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(a_key_file_is_made_absolute, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(one_process_has_the_lock_until_it_ends, make_dir,
                                        remove_dir),
        cmocka_unit_test_setup_teardown(a_full_log_is_turned_over_and_private, make_dir,
                                        remove_dir),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
