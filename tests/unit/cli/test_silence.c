#include "cli/silence.h"

#include "cli/out.h"

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <cmocka.h>

/* Standard output and error, in a pipe or on a terminal. */
typedef struct {
    int from, out, err; /* read here; the two as they were */
} screen;

static void take_over(screen *s, int from, int to)
{
    fflush(stdout);
    *s = (screen){from, dup(STDOUT_FILENO), dup(STDERR_FILENO)};
    assert_true(dup2(to, STDOUT_FILENO) >= 0 && dup2(to, STDERR_FILENO) >= 0);
    close(to);
    setenv("TERM", "xterm", 1);
    setenv("NO_COLOR", "1", 1);
    tl_out_init();
}

static void on_terminal(screen *s, unsigned short columns)
{
    struct winsize size = {.ws_row = 24, .ws_col = columns};
    struct termios raw = {0};
    int from, to;
    cfmakeraw(&raw);
    assert_int_equal(openpty(&from, &to, NULL, &raw, &size), 0);
    take_over(s, from, to);
}

static void in_pipe(screen *s)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    take_over(s, ends[0], ends[1]);
}

/* Gives the two back; returns all that was written. */
static const char *end(const screen *s)
{
    static char text[4096];
    struct pollfd ready = {s->from, POLLIN, 0};
    size_t n = 0;
    ssize_t got;
    fflush(stdout);
    fflush(stderr);
    while (n < sizeof text - 1 && poll(&ready, 1, 0) > 0 && ready.revents & POLLIN &&
           (got = read(s->from, text + n, sizeof text - 1 - n)) > 0)
        n += (size_t)got;
    text[n] = 0;
    dup2(s->out, STDOUT_FILENO);
    dup2(s->err, STDERR_FILENO);
    close(s->out);
    close(s->err);
    close(s->from);
    tl_out_init();
    return text;
}

#define DRAW(words)                                                                                \
    "\x1b"                                                                                         \
    "7\x1b[B\r\x1b[K" words "\x1b"                                                                 \
    "8"
#define ROOM                                                                                       \
    "\x1b"                                                                                         \
    "D\x1b[A"

static void on_a_terminal_a_line_below_the_text_counts_and_goes(void **state)
{
    (void)state;
    screen s;
    tl_silence q = {.why = ""};
    on_terminal(&s, 80);
    printf("half a sen");
    tl_silence_tick(&q, TL_SEC); /* words come */
    tl_silence_say(&q, "[gpu] 3f9a0000", "; its path is being looked at", 10 * TL_SEC);
    tl_silence_tick(&q, 13 * TL_SEC);
    tl_silence_tick(&q, 14 * TL_SEC);
    tl_silence_end(&q);
    printf("tence");
    tl_silence_tick(&q, 15 * TL_SEC);
    tl_silence_end(&q);
    assert_string_equal(
        end(&s),
        "half a sen" ROOM DRAW("no word from [gpu] 3f9a0000 for 3 s; its path is being looked at")
            DRAW("no word from [gpu] 3f9a0000 for 4 s; its path is being looked at")
                DRAW("") "tence");
}

static void what_is_longer_than_the_terminal_is_cut_between_characters(void **state)
{
    static const struct {
        unsigned short columns;
        const char *shown;
    } rows[] = {{21, "no word from \xC3\xA4"
                     "bcd f"},
                {15, "no word from "},
                {16, "no word from \xC3\xA4"}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char expected[80];
        screen s;
        tl_silence q = {.why = ""};
        on_terminal(&s, rows[i].columns);
        tl_silence_say(&q,
                       "\xC3\xA4"
                       "bcd",
                       "", 0);
        tl_silence_tick(&q, 3 * TL_SEC);
        const char *text = end(&s);
        snprintf(expected, sizeof expected,
                 ROOM "\x1b"
                      "7\x1b[B\r\x1b[K%s\x1b"
                      "8",
                 rows[i].shown);
        assert_string_equal(text, expected);
        tl_silence_end(&q);
    }
}

static void an_error_in_the_silence_takes_its_line_away_first(void **state)
{
    (void)state;
    screen s;
    tl_silence q = {.why = ""};
    on_terminal(&s, 80);
    tl_silence_say(&q, "gpu", "", 0);
    tl_silence_tick(&q, 3 * TL_SEC);
    tl_out_error("gone");
    tl_silence_end(&q);
    assert_string_equal(end(&s), ROOM DRAW("no word from gpu for 3 s") DRAW("") "teale: gone\n");
}

static void a_pipe_gets_a_line_after_five_seconds_and_each_ten_of_each_silence(void **state)
{
    (void)state;
    screen s;
    tl_silence q = {.why = ""};
    in_pipe(&s);
    for (tl_time begun = 0; begun <= 100 * TL_SEC; begun += 100 * TL_SEC) {
        tl_silence_say(&q, "gpu", "", begun);
        for (tl_time t = 0; t < 16 * TL_SEC; t += 200 * TL_MS) {
            if (t == 7 * TL_SEC) /* said again, for another cause */
                tl_silence_say(&q, "gpu", "; its path is being looked at", begun);
            tl_silence_tick(&q, begun + t);
        }
        tl_silence_end(&q);
    }
    assert_string_equal(end(&s), "no word from gpu for 5 s\n"
                                 "no word from gpu for 15 s; its path is being looked at\n"
                                 "no word from gpu for 5 s\n"
                                 "no word from gpu for 15 s; its path is being looked at\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(on_a_terminal_a_line_below_the_text_counts_and_goes),
        cmocka_unit_test(what_is_longer_than_the_terminal_is_cut_between_characters),
        cmocka_unit_test(an_error_in_the_silence_takes_its_line_away_first),
        cmocka_unit_test(a_pipe_gets_a_line_after_five_seconds_and_each_ten_of_each_silence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
