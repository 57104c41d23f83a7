#include "base/log.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static char last[2048];
static tl_log_level last_level;
static int lines;

static void keep(void *user, tl_log_level level, const char *line)
{
    assert_ptr_equal(user, &lines);
    last_level = level;
    assert_true(strlen(line) < sizeof last);
    strcpy(last, line);
    lines++;
}

static int set_up(void **state)
{
    (void)state;
    lines = 0;
    tl_log_set_sink(keep, &lines);
    tl_log_set_level(TL_LOG_INFO);
    return 0;
}

static void lines_above_the_level_are_not_made(void **state)
{
    (void)state;
    for (int level = TL_LOG_ERROR; level <= TL_LOG_DEBUG; level++) {
        tl_log_set_level((tl_log_level)level);
        for (int l = TL_LOG_ERROR; l <= TL_LOG_DEBUG; l++) {
            int before = lines;
            assert_int_equal(tl_log_wants((tl_log_level)l), l <= level);
            tl_log((tl_log_level)l, "%d", l);
            assert_int_equal(lines - before, l <= level);
        }
    }
    assert_int_equal(last_level, TL_LOG_DEBUG);
}

static void a_long_line_is_cut(void **state)
{
    (void)state;
    static char big[5000];
    memset(big, 'x', sizeof big - 1);
    tl_log(TL_LOG_INFO, "%s", big);
    assert_in_range(strlen(last), 500, sizeof last - 1);
}

static void nothing_can_begin_a_line_of_its_own_or_move_the_cursor(void **state)
{
    (void)state;
    tl_log(TL_LOG_WARN, "peer %s", "a\nteale: info: forged\r\x1B[2J\x7F\t");
    assert_string_equal(last, "peer a?teale: info: forged??[2J??");
    assert_int_equal(last_level, TL_LOG_WARN);
    tl_log(TL_LOG_WARN, "J\xC3\xBCrgen");
    assert_string_equal(last, "J\xC3\xBCrgen");
}

static void untrusted_text_is_shown_byte_by_byte(void **state)
{
    (void)state;
    assert_string_equal(tl_log_safe(TL_SLICE_LIT("qwen3:8b ~!")).text, "qwen3:8b ~!");
    assert_string_equal(tl_log_safe(TL_SLICE_LIT("a\nb\0c\\\x7F\xC3\x1B[")).text,
                        "a\\x0ab\\x00c\\x5c\\x7f\\xc3\\x1b[");
    assert_string_equal(tl_log_safe((tl_slice){NULL, 0}).text, "");
}

static void text_up_to_the_limit_is_whole_and_longer_is_cut_with_dots(void **state)
{
    (void)state;
    uint8_t text[400];
    memset(text, 'a', sizeof text);
    for (size_t n = 0; n <= sizeof text; n++) {
        tl_safe s = tl_log_safe(tl_slice_of(text, n));
        size_t expected = n <= TL_LOG_SAFE_MAX ? n : TL_LOG_SAFE_MAX;
        assert_int_equal(strlen(s.text), expected);
        assert_int_equal(strstr(s.text, "...") != NULL, n > TL_LOG_SAFE_MAX);
    }
    memset(text, 0xFF, sizeof text);
    for (size_t n = 0; n <= sizeof text; n++)
        for (size_t lead = 0; lead < 4 && lead <= n; lead++) {
            memset(text, 'a', lead);
            tl_safe s = tl_log_safe(tl_slice_of(text, n));
            size_t full = lead + 4 * (n - lead);
            assert_int_equal(strstr(s.text, "...") != NULL, full > TL_LOG_SAFE_MAX);
            assert_true(strlen(s.text) <= TL_LOG_SAFE_MAX);
            memset(text, 0xFF, lead);
        }
}

static void longer_text_has_the_room_that_it_is_given(void **state)
{
    (void)state;
    char text[300], out[304], small[4];
    memset(text, 'a', sizeof text);
    for (size_t n = 0; n <= sizeof text; n++) {
        tl_log_safe_write(tl_slice_of(text, n), out, 201);
        assert_int_equal(strlen(out), n < 200 ? n : 200);
        assert_int_equal(strstr(out, "...") != NULL, n > 200);
    }
    tl_log_safe_write(TL_SLICE_LIT("\x1b"), out, sizeof out);
    assert_string_equal(out, "\\x1b");
    tl_log_safe_write(TL_SLICE_LIT("abcd"), small, sizeof small);
    assert_string_equal(small, "...");
    tl_log_safe_write(TL_SLICE_LIT("abc"), small, sizeof small);
    assert_string_equal(small, "abc");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(lines_above_the_level_are_not_made, set_up),
        cmocka_unit_test_setup(a_long_line_is_cut, set_up),
        cmocka_unit_test_setup(nothing_can_begin_a_line_of_its_own_or_move_the_cursor, set_up),
        cmocka_unit_test_setup(untrusted_text_is_shown_byte_by_byte, set_up),
        cmocka_unit_test_setup(text_up_to_the_limit_is_whole_and_longer_is_cut_with_dots, set_up),
        cmocka_unit_test_setup(longer_text_has_the_room_that_it_is_given, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
