#include "wire/fieldname.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static void a_name_in_another_case_is_alike_and_no_other_name_is(void **state)
{
    (void)state;
    static const struct {
        const char *text, *name;
        tl_field field;
    } rows[] = {
        {"model", "model", TL_FIELD_SAME},
        {"Model", "model", TL_FIELD_ALIKE},
        {"MODEL", "model", TL_FIELD_ALIKE},
        {"modeL", "model", TL_FIELD_ALIKE},
        {"models", "model", TL_FIELD_OTHER},
        {"mode", "model", TL_FIELD_OTHER},
        {"", "model", TL_FIELD_OTHER},
        {"M\xc3\xb6"
         "del",
         "model", TL_FIELD_OTHER},
        {"-odel", "model", TL_FIELD_OTHER},
        {"\xc5\xbftream", "stream", TL_FIELD_ALIKE}, /* the long s */
        {"\xc5\xbetream", "stream", TL_FIELD_OTHER},
        {"to\xe2\x84\xaa"
         "en",
         "token", TL_FIELD_ALIKE}, /* the Kelvin sign */
        {"STREAM", "stream", TL_FIELD_ALIKE},
        {"stream_options", "stream", TL_FIELD_OTHER},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_int_equal(tl_field_is(tl_slice_str(rows[i].text), rows[i].name), rows[i].field);
}

static void of_a_key_its_text_counts_and_not_its_escapes(void **state)
{
    (void)state;
    static const struct {
        const char *key, *name;
        tl_field field;
    } rows[] = {
        {"model", "model", TL_FIELD_SAME},
        {"m\\u006fdel", "model", TL_FIELD_SAME},
        {"m\\u004fdel", "model", TL_FIELD_ALIKE},
        {"\\u017ftream", "stream", TL_FIELD_ALIKE},
        {"\\u017f\\u017ftream", "stream", TL_FIELD_OTHER},
        {"model\\u0000", "model", TL_FIELD_ALIKE},
        {"a key that is longer than every name that we look for", "model", TL_FIELD_OTHER},
        {"m\\nodel", "model", TL_FIELD_OTHER},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_int_equal(tl_field_is_key(tl_slice_str(rows[i].key), rows[i].name), rows[i].field);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_in_another_case_is_alike_and_no_other_name_is),
        cmocka_unit_test(of_a_key_its_text_counts_and_not_its_escapes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
