#include "config/dirs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static int clean_environment(void **state)
{
    (void)state;
    static const char *const names[] = {"TEALE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME",
                                        "XDG_RUNTIME_DIR"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        unsetenv(names[i]);
    return setenv("HOME", "/home/u", 1);
}

static void a_home_holds_every_file(void **state)
{
    (void)state;
    tl_paths p;
    assert_int_equal(tl_paths_find("/n/one//", &p, NULL), TL_OK);
    assert_string_equal(p.config, "/n/one/teale.toml");
    assert_string_equal(p.key, "/n/one/wan-identity.key");
    assert_string_equal(p.socket, "/n/one/teale.sock");
    assert_string_equal(p.api_key, "/n/one/api-key");
    assert_string_equal(p.owner_key, "/n/one/owner-key");
    setenv("TEALE_HOME", "/n/two", 1);
    assert_int_equal(tl_paths_find(NULL, &p, NULL), TL_OK);
    assert_string_equal(p.lock, "/n/two/teale.lock");
    assert_int_equal(tl_paths_find("/n/three", &p, NULL), TL_OK);
    assert_string_equal(p.home, "/n/three");
}

static void without_a_home_the_xdg_directories_are_used(void **state)
{
    (void)state;
    tl_paths p;
    assert_int_equal(tl_paths_find(NULL, &p, NULL), TL_OK);
    assert_string_equal(p.home, "");
    assert_string_equal(p.config, "/home/u/.config/teale/teale.toml");
    assert_string_equal(p.key, "/home/u/.local/share/teale/wan-identity.key");
    assert_string_equal(p.socket, "/home/u/.local/share/teale/teale.sock");
    setenv("XDG_CONFIG_HOME", "/c", 1);
    setenv("XDG_DATA_HOME", "/d", 1);
    char run[64] = "/tmp/teale-run-XXXXXX", socket[96];
    assert_non_null(mkdtemp(run));
    snprintf(socket, sizeof socket, "%s/teale/teale.sock", run);
    setenv("XDG_RUNTIME_DIR", run, 1);
    assert_int_equal(tl_paths_find(NULL, &p, NULL), TL_OK);
    assert_string_equal(p.config, "/c/teale/teale.toml");
    assert_string_equal(p.data, "/d/teale");
    assert_string_equal(p.socket, socket);
    assert_string_equal(p.socket_beside, "/d/teale/teale.sock");
    assert_int_equal(rmdir(run), 0);
    setenv("XDG_DATA_HOME", "relative/is/ignored", 1);
    assert_int_equal(tl_paths_find(NULL, &p, NULL), TL_OK);
    assert_string_equal(p.data, "/home/u/.local/share/teale");
}

/* After `su` it is another user's; in a container it may be named and not there. */
static void a_runtime_directory_that_is_not_the_users_own_is_ignored(void **state)
{
    (void)state;
    tl_paths p;
    struct stat st;
    const char *others = geteuid() == 0 ? "/tmp/teale-other" : "/";
    if (geteuid() == 0) {
        assert_int_equal(mkdir(others, 0700), 0);
        assert_int_equal(chown(others, 65534, 65534), 0);
    }
    assert_int_equal(stat(others, &st), 0);
    assert_int_not_equal(st.st_uid, geteuid());
    static const char *const wrong[] = {"", "relative", "/nowhere/run"};
    for (size_t i = 0; i < 4; i++) {
        setenv("XDG_RUNTIME_DIR", i < 3 ? wrong[i] : others, 1);
        assert_int_equal(tl_paths_find(NULL, &p, NULL), TL_OK);
        assert_string_equal(p.socket, "/home/u/.local/share/teale/teale.sock");
        assert_string_equal(p.socket_beside, "");
    }
    if (geteuid() == 0)
        assert_int_equal(rmdir(others), 0);
}

/* The second socket is for those who cannot find the first: it never keeps a node from starting. */
static void a_second_socket_with_too_long_a_name_is_left_out(void **state)
{
    (void)state;
    tl_paths p;
    char run[64] = "/tmp/teale-run-XXXXXX", data[128] = "/";
    assert_non_null(mkdtemp(run));
    setenv("XDG_RUNTIME_DIR", run, 1);
    memset(data + 1, 'd', 107 - strlen("/teale/teale.sock") - 1);
    setenv("XDG_DATA_HOME", data, 1);
    assert_int_equal(tl_paths_find(NULL, &p, NULL), TL_OK);
    assert_int_equal(strlen(p.socket_beside), 107);
    strcat(data, "d");
    setenv("XDG_DATA_HOME", data, 1);
    assert_int_equal(tl_paths_find(NULL, &p, NULL), TL_OK);
    assert_string_equal(p.socket_beside, "");
    assert_int_equal(rmdir(run), 0);
}

static void without_any_home_the_error_says_what_to_set(void **state)
{
    (void)state;
    tl_paths p;
    tl_why why;
    unsetenv("HOME");
    assert_int_equal(tl_paths_find(NULL, &p, &why), TL_ERR_INVALID);
    assert_non_null(strstr(why.text, "TEALE_HOME"));
    assert_int_equal(tl_paths_find("/n", &p, &why), TL_OK);
}

static void a_socket_name_that_fits_is_taken_and_one_byte_more_is_not(void **state)
{
    (void)state;
    tl_paths p;
    tl_why why;
    char home[200] = "/";
    memset(home + 1, 'a', 107 - strlen("/teale.sock") - 1);
    assert_int_equal(tl_paths_find(home, &p, &why), TL_OK);
    assert_int_equal(strlen(p.socket), 107);
    strcat(home, "a");
    assert_int_equal(tl_paths_find(home, &p, &why), TL_ERR_INVALID);
    assert_non_null(strstr(why.text, "shorter --home"));
    char far[3000];
    memset(far, 'b', sizeof far - 1);
    far[0] = '/';
    far[sizeof far - 1] = 0;
    assert_int_equal(tl_paths_find(far, &p, &why), TL_ERR_INVALID);
}

static void directories_are_made_private_and_a_shared_one_is_refused(void **state)
{
    (void)state;
    char dir[64] = "/tmp/teale-paths-XXXXXX", home[128], command[160];
    assert_non_null(mkdtemp(dir));
    snprintf(home, sizeof home, "%s/a/b", dir);
    tl_paths p;
    tl_why why;
    struct stat st;
    assert_int_equal(tl_paths_find(home, &p, &why), TL_OK);
    assert_int_equal(tl_paths_make_config(&p, &why), TL_OK);
    assert_int_equal(tl_paths_make_data(&p, &why), TL_OK);
    assert_int_equal(stat(home, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    assert_int_equal(chmod(home, 0777), 0);
    assert_int_equal(tl_paths_make_data(&p, &why), TL_ERR_FORBIDDEN);
    assert_int_equal(chmod(home, 0755), 0);
    assert_int_equal(tl_paths_make_data(&p, &why), TL_OK);
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    assert_int_equal(system(command), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_home_holds_every_file, clean_environment),
        cmocka_unit_test_setup(without_a_home_the_xdg_directories_are_used, clean_environment),
        cmocka_unit_test_setup(a_runtime_directory_that_is_not_the_users_own_is_ignored,
                               clean_environment),
        cmocka_unit_test_setup(a_second_socket_with_too_long_a_name_is_left_out, clean_environment),
        cmocka_unit_test_setup(without_any_home_the_error_says_what_to_set, clean_environment),
        cmocka_unit_test_setup(a_socket_name_that_fits_is_taken_and_one_byte_more_is_not,
                               clean_environment),
        cmocka_unit_test_setup(directories_are_made_private_and_a_shared_one_is_refused,
                               clean_environment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
