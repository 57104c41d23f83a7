#include "base/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_has_a_name),
        cmocka_unit_test(a_reason_is_cut_and_never_overruns),
        cmocka_unit_test(a_reason_may_be_part_of_the_next),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
