#include "api/key.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[64], path[96];

static int setup(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/teale-key-XXXXXX");
    if (!mkdtemp(dir))
        return -1;
    snprintf(path, sizeof path, "%s/api-key", dir);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(dir); /* fails when anything else was left there */
}

static void write_file(const char *text, mode_t mode)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    assert_int_equal(chmod(path, mode), 0);
}

static void the_first_start_makes_a_private_key_and_the_next_finds_it(void **state)
{
    (void)state;
    char first[TL_API_KEY_MAX], second[TL_API_KEY_MAX];
    struct stat st;
    assert_int_equal(tl_api_key_load_or_create(path, first, NULL), TL_OK);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(strlen(first), 3 + 43);
    assert_memory_equal(first, "tl-", 3);
    assert_int_equal(tl_api_key_load_or_create(path, second, NULL), TL_OK);
    assert_string_equal(first, second);
    unlink(path);
    assert_int_equal(tl_api_key_load_or_create(path, second, NULL), TL_OK);
    assert_string_not_equal(first, second);
}

static void a_key_file_open_to_others_is_refused_and_its_twin_passes(void **state)
{
    (void)state;
    char key[TL_API_KEY_MAX] = "untouched";
    tl_why why;
    static const mode_t loose[] = {0640, 0604, 0620, 0602, 0610, 0644};
    for (size_t i = 0; i < sizeof loose / sizeof *loose; i++) {
        write_file("tl-0123456789abcdefghij\n", loose[i]);
        assert_int_equal(tl_api_key_load_or_create(path, key, &why), TL_ERR_FORBIDDEN);
        assert_non_null(strstr(why.text, path));
        assert_string_equal(key, "untouched");
    }
    write_file("tl-0123456789abcdefghij\n", 0600);
    assert_int_equal(tl_api_key_load_or_create(path, key, &why), TL_OK);
    assert_string_equal(key, "tl-0123456789abcdefghij");
}

static void what_is_no_key_is_refused_and_left_alone(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "\n",
        "tl-short\n",
        "sk-0123456789abcdefghij\n",
        "tl-0123456789 abcdefghij\n",
        "tl-0123456789abcdefghij\n\n",
        "tl-0123456789abcdefghij\nmore\n",
        "tl-0123456789abcdef+/ghij\n",
        "tl-0123456789012345678901234567890123456789012345678901234567890123456789\n",
    };
    char key[TL_API_KEY_MAX];
    struct stat st;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        write_file(bad[i], 0600);
        assert_int_equal(tl_api_key_load_or_create(path, key, NULL), TL_ERR_PROTO);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_size, strlen(bad[i]));
    }
}

static void a_link_a_directory_or_a_fifo_is_refused_without_waiting(void **state)
{
    (void)state;
    char key[TL_API_KEY_MAX];
    assert_int_equal(symlink("/dev/null", path), 0);
    assert_int_equal(tl_api_key_load_or_create(path, key, NULL), TL_ERR_FORBIDDEN);
    unlink(path);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(tl_api_key_load_or_create(path, key, NULL), TL_ERR_FORBIDDEN);
    unlink(path);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(tl_api_key_load_or_create(path, key, NULL), TL_ERR_FORBIDDEN);
    rmdir(path);
}

static void only_the_very_key_is_the_key(void **state)
{
    (void)state;
    assert_true(tl_api_key_is("tl-abc", TL_SLICE_LIT("tl-abc")));
    assert_false(tl_api_key_is("tl-abc", TL_SLICE_LIT("tl-abd")));
    assert_false(tl_api_key_is("tl-abc", TL_SLICE_LIT("tl-ab")));
    assert_false(tl_api_key_is("tl-abc", TL_SLICE_LIT("tl-abcd")));
    assert_false(tl_api_key_is("tl-abc", (tl_slice){NULL, 0}));
    assert_false(tl_api_key_is("", (tl_slice){NULL, 0})); /* no key admits nobody */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_first_start_makes_a_private_key_and_the_next_finds_it,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(a_key_file_open_to_others_is_refused_and_its_twin_passes,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_no_key_is_refused_and_left_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(a_link_a_directory_or_a_fifo_is_refused_without_waiting,
                                        setup, teardown),
        cmocka_unit_test(only_the_very_key_is_the_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
