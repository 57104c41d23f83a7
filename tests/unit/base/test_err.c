#include "base/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>

static void every_code_has_a_name(void **state)
{
    (void)state;
    for (int e = TL_ERR_CANCELLED; e <= 0; e++)
        assert_true(strlen(tl_err_name((tl_err)e)) > 0);
    assert_string_equal(tl_err_name(TL_ERR_AUTH), "not authentic");
}

static void a_reason_is_cut_and_never_overruns(void **state)
{
    (void)state;
    tl_why why;
    char big[2000];
    memset(big, 'a', sizeof big - 1);
    big[sizeof big - 1] = 0;
    assert_int_equal(tl_why_set(&why, TL_ERR_IO, "%s", big), TL_ERR_IO);
    assert_int_equal(strlen(why.text), sizeof why.text - 1);
    assert_int_equal(tl_why_set(NULL, TL_ERR_BUSY, "x"), TL_ERR_BUSY);
}

static void a_reason_may_be_part_of_the_next(void **state)
{
    (void)state;
    tl_why why;
    assert_int_equal(tl_why_set(&why, TL_ERR_IO, "no space left"), TL_ERR_IO);
    assert_int_equal(tl_why_set(&why, TL_ERR_IO, "cannot write: %s", why.text), TL_ERR_IO);
    assert_string_equal(why.text, "cannot write: no space left");
}

static void a_file_that_failed_is_named_with_cause_and_remedy(void **state)
{
    (void)state;
    static const struct {
        int error;
        const char *remedy; /* NULL: none is known */
    } cases[] = {{ENOSPC, "Free some space"},       {EDQUOT, "Free some space"},
                 {EROFS, "mount it writable"},      {EACCES, "the owner and the mode"},
                 {EPERM, "the owner and the mode"}, {EIO, NULL}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tl_why why;
        char begins[128];
        assert_int_equal(tl_why_file(&why, "write", "/x/key", cases[i].error), TL_ERR_IO);
        snprintf(begins, sizeof begins, "cannot write /x/key: %s", strerror(cases[i].error));
        assert_memory_equal(why.text, begins, strlen(begins));
        if (cases[i].remedy)
            assert_non_null(strstr(why.text, cases[i].remedy));
        else
            assert_string_equal(why.text, begins);
    }
}

static void a_long_path_leaves_room_for_the_remedy(void **state)
{
    (void)state;
    tl_why why;
    char path[1024];
    memset(path, 'p', sizeof path - 1);
    path[sizeof path - 1] = 0;
    assert_int_equal(tl_why_file(&why, "make the directory", path, EROFS), TL_ERR_IO);
    assert_non_null(strstr(why.text, "(--home DIR)"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_has_a_name),
        cmocka_unit_test(a_reason_is_cut_and_never_overruns),
        cmocka_unit_test(a_reason_may_be_part_of_the_next),
        cmocka_unit_test(a_file_that_failed_is_named_with_cause_and_remedy),
        cmocka_unit_test(a_long_path_leaves_room_for_the_remedy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
