#include "cli/out.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* What `print` writes to stdout. */
static const char *printed(void (*print)(void))
{
    static char text[4096];
    FILE *f = tmpfile();
    assert_non_null(f);
    fflush(stdout);
    int was = dup(STDOUT_FILENO);
    assert_true(was >= 0 && dup2(fileno(f), STDOUT_FILENO) >= 0);
    print();
    fflush(stdout);
    assert_true(dup2(was, STDOUT_FILENO) >= 0);
    close(was);
    rewind(f);
    text[fread(text, 1, sizeof text - 1, f)] = 0;
    fclose(f);
    return text;
}

static void print_table(void)
{
    static const char *const heads[] = {"NODE", "NAME", "RTT", NULL};
    static const char *const cells[] = {
        "3f9a", "caf\xC3\xA9", "1.0 ms", "0", "\x1b[31m\ta\xFF\xC2\x9B", "-"};
    tl_table t;
    tl_table_begin(&t, heads);
    for (size_t i = 0; i < 6; i++)
        tl_table_add(&t, cells[i]);
    assert_int_equal(tl_table_end(&t), TL_OK);
}

static void a_table_is_aligned_and_harmless(void **state)
{
    (void)state;
    tl_out_init();
    assert_string_equal(printed(print_table), "NODE  NAME    RTT\n"
                                              "3f9a  caf\xC3\xA9    1.0 ms\n"
                                              "0     [31ma\xEF\xBF\xBD  -\n");
}

static void what_is_no_terminal_gets_no_colour(void **state)
{
    (void)state;
    FILE *f = tmpfile();
    assert_non_null(f);
    tl_out_init();
    assert_string_equal(tl_out_colour(f, TL_COLOUR_GOOD), "");
    assert_string_equal(tl_out_end(f), "");
    fclose(f);
}

static void print_raw(void)
{
    tl_out_text(stdout, TL_SLICE_LIT("a\x1b[1m\n\xFF"), true);
}

static void a_pipe_gets_the_bytes_as_they_are(void **state)
{
    (void)state;
    tl_out_init();
    assert_string_equal(printed(print_raw), "a\x1b[1m\n\xFF");
}

#define EVIL                                                                                       \
    "a\x1b[2J\xE2\x80\xAE"                                                                         \
    "b\xC2\x9B"                                                                                    \
    "c\x7F\xE2\x81\xA7"                                                                            \
    "d"

static void print_lines(void)
{
    tl_out_line("key", EVIL);
    tl_out_plain(EVIL "\n");
}

static void print_evil_json(void)
{
    json_t *o = json_pack("{s:s}", "name", EVIL "\xF3\xA0\x81\x81");
    tl_out_json(o);
    json_decref(o);
}

static void messages(void)
{
    int was = dup(STDERR_FILENO);
    assert_true(was >= 0 && dup2(STDOUT_FILENO, STDERR_FILENO) >= 0);
    tl_out_error("it says %s", EVIL);
    tl_out_note("%s\nnext", EVIL);
    tl_progress_done(1, 2, "step", "%s\n", EVIL);
    assert_true(dup2(was, STDERR_FILENO) >= 0);
    close(was);
}

static void words_of_others_neither_move_the_cursor_nor_turn_a_line_around(void **state)
{
    (void)state;
    tl_out_init();
    assert_string_equal(printed(print_lines), "key: a[2Jbcd\na[2Jbcd");
    assert_string_equal(printed(messages), "teale: it says a[2Jbcd\na[2Jbcd\nnext\n"
                                           "[1/2] step       a[2Jbcd\n");
}

static void json_holds_them_escaped_and_is_the_same_value(void **state)
{
    (void)state;
    const char *text = printed(print_evil_json);
    assert_string_equal(text, "{\"name\":\"a\\u001B[2J\\u202Eb\\u009Bc\\u007F\\u2067d"
                              "\\uDB40\\uDC41\"}\n");
    json_t *o = json_loads(text, 0, NULL);
    assert_string_equal(tl_json_string(o, "name", ""), EVIL "\xF3\xA0\x81\x81");
    json_decref(o);
}

static void print_object(void)
{
    json_t *o = json_pack("{s:s, s:f}", "a", "caf\xC3\xA9", "b", 0.266);
    tl_out_json(o);
    json_decref(o);
}

static void json_is_one_line(void **state)
{
    (void)state;
    assert_string_equal(printed(print_object), "{\"a\":\"caf\xC3\xA9\",\"b\":0.266}\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_table_is_aligned_and_harmless),
        cmocka_unit_test(what_is_no_terminal_gets_no_colour),
        cmocka_unit_test(a_pipe_gets_the_bytes_as_they_are),
        cmocka_unit_test(words_of_others_neither_move_the_cursor_nor_turn_a_line_around),
        cmocka_unit_test(json_holds_them_escaped_and_is_the_same_value),
        cmocka_unit_test(json_is_one_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
