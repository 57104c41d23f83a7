#include "api/passed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define BYTES "application/octet-stream"

static void types_that_no_browser_runs_pass_and_others_are_bytes(void **state)
{
    (void)state;
    static const char *const passed[] = {
        "application/json",
        "Application/JSON; charset=utf-8",
        "text/event-stream",
        "text/event-stream;charset=utf-8",
        "text/plain; charset=\"utf-8\"",
        "text/vtt",
        "application/x-subrip",
        "application/x-ndjson",
        "audio/mpeg",
        "audio/wav; codecs=1",
        "image/png",
        "image/webp",
        BYTES,
    };
    static const char *const bytes[] = {
        "",
        "text/html",
        "text/html; charset=utf-8",
        "TEXT/HTML",
        "application/xhtml+xml",
        "text/xml",
        "application/xml",
        "image/svg+xml",
        "IMAGE/SVG+XML",
        "text/javascript",
        "application/javascript",
        "text/css",
        "application/pdf",
        "multipart/form-data",
        "multipart/x-mixed-replace; boundary=x",
        "application/jsonx",
        "text/plainx",
        "application/json, text/html",
        "audio/mpeg,text/html",
        "text/plain\r\nX: 1",
        "text/plain; x=\x80",
        "text",
        "x/y",
    };
    for (size_t i = 0; i < sizeof passed / sizeof *passed; i++)
        assert_string_equal(tl_passed_type(passed[i]), passed[i]);
    for (size_t i = 0; i < sizeof bytes / sizeof *bytes; i++)
        assert_string_equal(tl_passed_type(bytes[i]), BYTES);
    char longest[TL_PASSED_TYPE_MAX + 1] = "audio/";
    memset(longest + 6, 'x', TL_PASSED_TYPE_MAX - 7);
    assert_string_equal(tl_passed_type(longest), longest);
    longest[TL_PASSED_TYPE_MAX - 1] = 'x';
    assert_string_equal(tl_passed_type(longest), BYTES);
}

static void a_wait_is_whole_seconds_of_at_most_a_day(void **state)
{
    (void)state;
    static const char *const passed[] = {"0", "7", "86400"};
    static const char *const dropped[] = {"",
                                          "86401",
                                          "-1",
                                          "1.5",
                                          " 7",
                                          "7\r\nX: y",
                                          "99999999999999999999",
                                          "Fri, 31 Dec 1999 23:59:59 GMT"};
    for (size_t i = 0; i < sizeof passed / sizeof *passed; i++)
        assert_string_equal(tl_passed_retry_after(passed[i]), passed[i]);
    for (size_t i = 0; i < sizeof dropped / sizeof *dropped; i++)
        assert_string_equal(tl_passed_retry_after(dropped[i]), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(types_that_no_browser_runs_pass_and_others_are_bytes),
        cmocka_unit_test(a_wait_is_whole_seconds_of_at_most_a_day),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
