#include "ask/bodytype.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define FORM "multipart/form-data; boundary=x"

static void a_path_takes_the_types_of_its_kind_and_no_third_one(void **state)
{
    (void)state;
    static const struct {
        const char *type;
        bool json, form;
    } rows[] = {
        {"", true, false},
        {"application/json", true, false},
        {"Application/Json; charset=utf-8", true, false},
        {FORM, false, true},
        {"application/jsonp", false, false},
        {"application/json,text/plain", false, false},
        {"application/x-www-form-urlencoded", false, false},
        {"text/plain", false, false},
        {" application/json", false, false},
    };
    const tl_ask_path *json = tl_ask_path_find(TL_SLICE_LIT("/v1/chat/completions"));
    const tl_ask_path *form = tl_ask_path_find(TL_SLICE_LIT("/v1/audio/transcriptions"));
    const tl_ask_path *both = tl_ask_path_find(TL_SLICE_LIT("/v1/images/edits"));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(tl_body_type_fits(json, rows[i].type), rows[i].json);
        assert_int_equal(tl_body_type_fits(form, rows[i].type), rows[i].form);
        assert_int_equal(tl_body_type_fits(both, rows[i].type), rows[i].json || rows[i].form);
    }
    assert_string_equal(tl_body_type_words(both), "application/json or multipart/form-data");
}

static void a_type_is_written_in_one_spelling(void **state)
{
    (void)state;
    char type[sizeof FORM];
    assert_int_equal(tl_body_type_write("", type, sizeof type), TL_OK);
    assert_string_equal(type, "application/json");
    assert_int_equal(tl_body_type_write("APPLICATION/JSON;a=b", type, sizeof type), TL_OK);
    assert_string_equal(type, "application/json");
    assert_int_equal(tl_body_type_write("Multipart/form-data;a=b;boundary=x", type, sizeof type),
                     TL_OK);
    assert_string_equal(type, FORM);
    assert_int_equal(tl_body_type_write("text/plain", type, sizeof type), TL_ERR_PROTO);
    assert_int_equal(tl_body_type_write("", type, sizeof "application/json" - 1), TL_ERR_TOO_LARGE);
    assert_string_equal(type, FORM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_path_takes_the_types_of_its_kind_and_no_third_one),
        cmocka_unit_test(a_type_is_written_in_one_spelling),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
