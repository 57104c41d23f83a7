#include "base/when.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <time.h>

#include <cmocka.h>

static tl_unix parsed(const char *text)
{
    tl_unix t = -42;
    if (tl_when_parse(tl_slice_str(text), &t))
        fail_msg("%s is refused", text);
    return t;
}

static void a_time_is_written_and_read_as_the_c_library_does(void **state)
{
    (void)state;
    /* every 11 days and a bit, from 1900 to 2200 */
    for (tl_unix t = -2208988800; t < 7258118400; t += 1000003) {
        char ours[TL_WHEN_TEXT_MAX], theirs[TL_WHEN_TEXT_MAX];
        time_t c = (time_t)t;
        struct tm tm;
        gmtime_r(&c, &tm);
        strftime(theirs, sizeof theirs, "%Y-%m-%dT%H:%M:%SZ", &tm);
        tl_when_write(ours, t);
        assert_string_equal(ours, theirs);
        assert_int_equal(parsed(ours), t);
    }
}

static void the_examples_of_rfc_3339_mean_what_it_says(void **state)
{
    (void)state;
    assert_int_equal(parsed("1985-04-12T23:20:50.52Z"), 482196050);
    assert_int_equal(parsed("1996-12-19T16:39:57-08:00"), parsed("1996-12-20T00:39:57Z"));
    assert_int_equal(parsed("1990-12-31T23:59:60Z"), parsed("1991-01-01T00:00:00Z"));
    assert_int_equal(parsed("1937-01-01T12:00:27.87+00:20"), parsed("1937-01-01T11:40:27Z"));
    assert_int_equal(parsed("2024-02-29t00:00:00z"), parsed("2024-02-29 00:00:00Z"));
}

static void what_is_no_time_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "2026",
                                      "2026-11-29",
                                      "2026-11-29T16:00:00",
                                      "2026-11-29T16:00Z",
                                      "2026-02-29T00:00:00Z",
                                      "2026-13-01T00:00:00Z",
                                      "2026-00-01T00:00:00Z",
                                      "2026-01-32T00:00:00Z",
                                      "2026-01-01T24:00:00Z",
                                      "2026-01-01T00:60:00Z",
                                      "2026-01-01T00:00:61Z",
                                      "2026-01-01T00:00:00.Z",
                                      "2026-01-01T00:00:00+1:00",
                                      "2026-01-01T00:00:00+24:00",
                                      "2026-01-01T00:00:00ZZ",
                                      "-026-01-01T00:00:00Z",
                                      " 2026-01-01T00:00:00Z"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        tl_unix t = 7;
        assert_int_equal(tl_when_parse(tl_slice_str(bad[i]), &t), TL_ERR_PROTO);
        assert_int_equal(t, 7);
    }
    assert_int_equal(parsed("2024-02-29T00:00:00Z"), 1709164800);
}

static void a_time_beyond_four_digits_is_the_nearest(void **state)
{
    (void)state;
    char text[TL_WHEN_TEXT_MAX];
    tl_when_write(text, INT64_MAX);
    assert_string_equal(text, "9999-12-31T23:59:59Z");
    tl_when_write(text, INT64_MIN);
    assert_string_equal(text, "0000-01-01T00:00:00Z");
}

static void durations_have_a_unit_and_are_bounded(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t secs;
    } good[] = {{"30s", 30},    {"5m", 300},      {"24h", 86400},
                {"7d", 604800}, {"007d", 604800}, {"9007199254740991s", TL_SPAN_MAX}};
    static const char *const bad[] = {"",   "s",    "5",   "5 m",   "-5m", "+5m",
                                      "5M", "1.5h", "5mm", "never", "5m ", "h5"};
    int64_t secs;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_int_equal(tl_span_parse(tl_slice_str(good[i].text), &secs), TL_OK);
        assert_int_equal(secs, good[i].secs);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(tl_span_parse(tl_slice_str(bad[i]), &secs), TL_ERR_PROTO);
    assert_int_equal(tl_span_parse(TL_SLICE_LIT("5\0"), &secs), TL_ERR_PROTO);
    assert_int_equal(tl_span_parse(TL_SLICE_LIT("0h"), &secs), TL_ERR_INVALID);
    assert_int_equal(tl_span_parse(TL_SLICE_LIT("9007199254740992s"), &secs), TL_ERR_INVALID);
    assert_int_equal(tl_span_parse(TL_SLICE_LIT("99999999999999999999999d"), &secs),
                     TL_ERR_INVALID);
}

static void durations_are_shown_in_the_unit_that_fits(void **state)
{
    (void)state;
    static const struct {
        int64_t secs;
        const char *text;
    } cases[] = {{-5, "0 s"},   {119, "119 s"},   {120, "2 min"},  {7199, "119 min"},
                 {7200, "2 h"}, {172799, "47 h"}, {172800, "2 d"}, {TL_SPAN_MAX, "104249991374 d"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[TL_WHEN_TEXT_MAX];
        tl_span_write(text, cases[i].secs);
        assert_string_equal(text, cases[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_time_is_written_and_read_as_the_c_library_does),
        cmocka_unit_test(the_examples_of_rfc_3339_mean_what_it_says),
        cmocka_unit_test(what_is_no_time_is_refused),
        cmocka_unit_test(a_time_beyond_four_digits_is_the_nearest),
        cmocka_unit_test(durations_have_a_unit_and_are_bounded),
        cmocka_unit_test(durations_are_shown_in_the_unit_that_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
