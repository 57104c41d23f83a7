#include "cli/waiting.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

/* Standard error, in a file. */
static char path[] = "/tmp/teale-waiting-XXXXXX";
static int saved = -1;

static int set_up(void **state)
{
    (void)state;
    strcpy(path + strlen(path) - 6, "XXXXXX");
    int fd = mkstemp(path);
    saved = dup(STDERR_FILENO);
    tl_out_init();
    return fd < 0 || dup2(fd, STDERR_FILENO) < 0 || close(fd);
}

static int tear_down(void **state)
{
    (void)state;
    fflush(stderr);
    dup2(saved, STDERR_FILENO);
    close(saved);
    return unlink(path);
}

static void assert_said(const char *expected)
{
    char text[400] = "";
    fflush(stderr);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    (void)!fread(text, 1, sizeof text - 1, f);
    fclose(f);
    assert_string_equal(text, expected);
}

static void a_pipe_gets_a_line_after_five_seconds_and_each_ten(void **state)
{
    static const tl_cli cli;
    (void)state;
    tl_waiting w = tl_waiting_for(&cli, "the %s", "relay");
    for (tl_time t = 0; t < 4999 * TL_MS; t += 200 * TL_MS)
        tl_waiting_tick(&w, t);
    assert_said("");
    for (tl_time t = 5 * TL_SEC; t < 27 * TL_SEC; t += 200 * TL_MS)
        tl_waiting_tick(&w, t);
    assert_said(
        "waiting for the relay: 5 s\nwaiting for the relay: 15 s\nwaiting for the relay: 25 s\n");
    tl_waiting_end(&w);
    tl_waiting_say(&w, "the peer");
    tl_waiting_tick(&w, 35 * TL_SEC);
    assert_said(
        "waiting for the relay: 5 s\nwaiting for the relay: 15 s\nwaiting for the relay: 25 s\n"
        "waiting for the peer: 35 s\n");
}

static void with_json_or_nothing_to_wait_for_nothing_is_said(void **state)
{
    static const tl_cli json = {.json = true}, cli;
    (void)state;
    tl_waiting w[] = {tl_waiting_for(&json, "the relay"), tl_waiting_for(&cli, "%s", "")};
    for (size_t i = 0; i < 2; i++)
        for (tl_time t = 0; t < TL_MIN; t += TL_SEC)
            tl_waiting_tick(&w[i], t);
    assert_said("");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_pipe_gets_a_line_after_five_seconds_and_each_ten),
        TEST(with_json_or_nothing_to_wait_for_nothing_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
