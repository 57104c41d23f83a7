#include "ask/modelname.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void becomes(const char *body, const char *name, const char *expected)
{
    tl_buf out = {0};
    assert_int_equal(tl_model_replace(tl_slice_str(body), name, &out), TL_OK);
    assert_true(tl_slice_eq(tl_buf_slice(&out), tl_slice_str(expected)));
    tl_buf_clear(&out);
}

static void is_refused(const char *body)
{
    tl_buf out = {0};
    assert_int_equal(tl_model_replace(tl_slice_str(body), "m", &out), TL_ERR_PROTO);
    assert_int_equal(out.len, 0);
    tl_buf_clear(&out);
}

static void only_the_top_level_name_changes_and_every_other_byte_stays(void **state)
{
    (void)state;
    becomes(" {\"a\" :[1.50,{\"model\":\"x\"}], \"model\" : \"teale-auto\" ,\"b\":\"\\u00e4\"}\n",
            "qwen3:8b",
            " {\"a\" :[1.50,{\"model\":\"x\"}], \"model\" : \"qwen3:8b\" ,\"b\":\"\\u00e4\"}\n");
    becomes("{\"model\":\"teale-auto\"}", "a\"b\\", "{\"model\":\"a\\\"b\\\\\"}");
    becomes("{\"\\u006dodel\":\"teale-auto\"}", "m", "{\"\\u006dodel\":\"m\"}");
}

static void a_body_without_exactly_one_name_is_refused(void **state)
{
    (void)state;
    is_refused("{\"models\":\"x\"}");
    is_refused("{\"model\":1}");
    is_refused("{\"model\":\"x\",\"model\":\"y\"}");
    is_refused("{\"model\":\"x\",\"mo\\u0064el\":\"y\"}");
    is_refused("{\"model\":\"x\"");
    is_refused("[\"model\"]");
    is_refused("");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_top_level_name_changes_and_every_other_byte_stays),
        cmocka_unit_test(a_body_without_exactly_one_name_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
