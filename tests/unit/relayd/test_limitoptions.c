#include "relayd/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define NODE  "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
#define NODE2 "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"

static tl_relayd_options o;
static tl_why why;

static tl_err parse(const char *text)
{
    static char line[1024];
    char *argv[32] = {(char *)(uintptr_t) "teale-relay"};
    int argc = 1;
    snprintf(line, sizeof line, "%s", text);
    for (char *word = strtok(line, " "); word; word = strtok(NULL, " "))
        argv[argc++] = word;
    return tl_relayd_options_parse(argc, argv, &o, &why);
}

static void limits_are_off_and_have_the_defaults_of_the_seed(void **state)
{
    (void)state;
    assert_int_equal(parse(""), TL_OK);
    const tl_relay_limits *l = &o.relay.limits;
    assert_false(l->on);
    assert_int_equal(l->max_sessions, 50);
    assert_int_equal(l->reciprocal_kbps, 256);
    assert_int_equal(l->bootstrap_kbps, 64);
    assert_int_equal(l->idle_timeout, 60 * TL_SEC);
    assert_int_equal(l->session_max, 600 * TL_SEC);
    assert_int_equal(l->session_warn, 30 * TL_SEC);
    assert_int_equal(l->pause, 60 * TL_SEC);
    assert_int_equal(l->burst, 500 * TL_MS);
    assert_int_equal(l->reciprocal_count, 0);
    tl_relayd_options_clear(&o);
}

static void each_value_has_an_option_and_a_key(void **state)
{
    (void)state;
    char path[] = "/tmp/teale-limits-XXXXXX", line[64];
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_true(dprintf(fd, "limits = true\nrelay_max_sessions = 7\nrelay_reciprocal_kbps = 1000\n"
                            "relay_bootstrap_kbps = 10\nrelay_idle_timeout_secs = 5\n"
                            "relay_session_max_secs = 100\nrelay_session_warn_secs = 9\n"
                            "relay_pause_secs = 3\nrelay_burst_ms = 250\n"
                            "reciprocal = [\"" NODE "\", \"" NODE2 "\"]\n") > 0);
    close(fd);
    snprintf(line, sizeof line, "--config %s", path);
    for (int from_file = 0; from_file < 2; from_file++) {
        assert_int_equal(parse(from_file
                                   ? line
                                   : "--limits --relay-max-sessions 7 --relay-reciprocal-kbps 1000 "
                                     "--relay-bootstrap-kbps 10 --relay-idle-timeout-secs 5 "
                                     "--relay-session-max-secs 100 --relay-session-warn-secs 9 "
                                     "--relay-pause-secs 3 --relay-burst-ms 250 "
                                     "--reciprocal " NODE " --reciprocal " NODE2),
                         TL_OK);
        const tl_relay_limits *l = &o.relay.limits;
        assert_true(l->on);
        assert_int_equal(l->max_sessions, 7);
        assert_int_equal(l->reciprocal_kbps, 1000);
        assert_int_equal(l->bootstrap_kbps, 10);
        assert_int_equal(l->idle_timeout, 5 * TL_SEC);
        assert_int_equal(l->session_max, 100 * TL_SEC);
        assert_int_equal(l->session_warn, 9 * TL_SEC);
        assert_int_equal(l->pause, 3 * TL_SEC);
        assert_int_equal(l->burst, 250 * TL_MS);
        assert_int_equal(l->reciprocal_count, 2);
        assert_int_equal(l->reciprocal[0].key[0], 0xd7);
        assert_int_equal(l->reciprocal[1].key[0], 0x3d);
        tl_relayd_options_clear(&o);
    }
    unlink(path);
}

static void each_mistake_is_refused_and_its_twin_is_not(void **state)
{
    (void)state;
    static const struct {
        const char *wrong, *right;
    } cases[] = {
        {"--relay-max-sessions 0", "--relay-max-sessions 1"},
        {"--relay-max-sessions -5", "--relay-max-sessions 5"},
        {"--relay-bootstrap-kbps 64K", "--relay-bootstrap-kbps 64"},
        {"--relay-reciprocal-kbps 4194305", "--relay-reciprocal-kbps 4194304"},
        {"--relay-idle-timeout-secs 86401", "--relay-idle-timeout-secs 86400"},
        {"--relay-burst-ms 19", "--relay-burst-ms 20"},
        {"--relay-session-max-secs 30", "--relay-session-max-secs 31"}, /* the warning is at 30 */
        {"--relay-session-warn-secs 600", "--relay-session-warn-secs 599"},
        {"--relay-pause-secs x", "--relay-pause-secs 0"},
        {"--reciprocal 00", "--reciprocal " NODE},
        {"--reciprocal 0000000000000000000000000000000000000000000000000000000000000000",
         "--reciprocal " NODE2}, /* of small order */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (parse(cases[i].wrong) != TL_ERR_INVALID)
            fail_msg("%s", cases[i].wrong);
        if (parse(cases[i].right))
            fail_msg("%s: %s", cases[i].right, why.text);
        tl_relayd_options_clear(&o);
    }
}

static void an_unknown_key_of_the_file_names_the_nearest(void **state)
{
    (void)state;
    char path[] = "/tmp/teale-limits-XXXXXX", line[64];
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_true(dprintf(fd, "relay_max_session = 7\n") > 0);
    close(fd);
    snprintf(line, sizeof line, "--config %s", path);
    assert_int_equal(parse(line), TL_ERR_INVALID);
    assert_non_null(
        strstr(why.text, "unknown key relay_max_session; did you mean relay_max_sessions?"));
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(limits_are_off_and_have_the_defaults_of_the_seed),
        cmocka_unit_test(each_value_has_an_option_and_a_key),
        cmocka_unit_test(each_mistake_is_refused_and_its_twin_is_not),
        cmocka_unit_test(an_unknown_key_of_the_file_names_the_nearest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
