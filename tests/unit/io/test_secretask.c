#include "io/secretask.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define SECRET "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define LONG   (60 * TL_SEC)

static char dir[] = "/tmp/teale-secretask-XXXXXX";

static int set_up(void **state)
{
    (void)state;
    strcpy(dir + strlen(dir) - 6, "XXXXXX");
    unsetenv("FAKE_MODE");
    return !mkdtemp(dir) || setenv("FAKE_KEYCHAIN", dir, 1);
}

static int tear_down(void **state)
{
    char command[64];
    (void)state;
    snprintf(command, sizeof command, "rm -rf %s", dir);
    return system(command);
}

static tl_secret_answer ask(const char *mode, tl_secret_op op, tl_time within)
{
    static const tl_secret_wait nobody;
    tl_secret_request r = {.op = op, .node = "abcd", .home = "0123", .secret = SECRET};
    tl_secret_answer a;
    setenv("FAKE_MODE", mode, 1);
    tl_secret_ask(TL_FAKE_KEYCHAIN, &r, within, &nobody, &a);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* the program is gone, whatever it did */
    return a;
}

static void what_is_stored_is_found_until_it_is_erased(void **state)
{
    (void)state;
    assert_int_equal(ask("", TL_SECRET_LOOKUP, LONG).outcome, TL_SECRET_ABSENT);
    assert_int_equal(ask("", TL_SECRET_STORE, LONG).outcome, TL_SECRET_OK);
    tl_secret_answer a = ask("", TL_SECRET_LOOKUP, LONG);
    assert_int_equal(a.outcome, TL_SECRET_OK);
    assert_string_equal(a.secret, SECRET);
    assert_int_equal(ask("", TL_SECRET_ERASE, LONG).outcome, TL_SECRET_OK);
    assert_int_equal(ask("", TL_SECRET_LOOKUP, LONG).outcome, TL_SECRET_ABSENT);
    assert_int_equal(ask("", TL_SECRET_ERASE, LONG).outcome, TL_SECRET_OK);
}

static void each_failure_has_its_cause_and_a_remedy(void **state)
{
    static const struct {
        tl_secret_outcome outcome;
        tl_err e;
        const char *words;
    } cases[] = {
        {TL_SECRET_NO_BUS, TL_ERR_UNREACHABLE, "log in"},
        {TL_SECRET_NO_SERVICE, TL_ERR_UNREACHABLE, "install or start gnome-keyring"},
        {TL_SECRET_NOT_OURS, TL_ERR_FORBIDDEN, "unset DBUS_SESSION_BUS_ADDRESS"},
        {TL_SECRET_LOCKED, TL_ERR_FORBIDDEN, "gnome-keyring-daemon --replace --unlock"},
        {TL_SECRET_DISMISSED, TL_ERR_FORBIDDEN, "try again"},
        {TL_SECRET_NO_COLLECTION, TL_ERR_UNREACHABLE, "make a default keyring"},
        {TL_SECRET_GARBAGE, TL_ERR_PROTO, "something else than a key"},
        {TL_SECRET_FAILED, TL_ERR_IO, "the keychain failed"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tl_why why;
        tl_secret_answer a = ask(tl_secret_outcome_name(cases[i].outcome), TL_SECRET_LOOKUP, LONG);
        assert_int_equal(a.outcome, cases[i].outcome);
        assert_string_equal(a.text, "it says\\x1b[31m so"); /* no escape sequence comes through */
        assert_int_equal(tl_secret_explain(&a, &why), cases[i].e);
        assert_non_null(strstr(why.text, cases[i].words));
    }
}

static void an_answer_that_is_none_is_refused(void **state)
{
    static const char *const modes[] = {"deaf",    "mute",   "crash", "short",
                                        "version", "number", "nohex"};
    (void)state;
    assert_int_equal(ask("", TL_SECRET_STORE, LONG).outcome, TL_SECRET_OK);
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        tl_why why;
        tl_secret_answer a = ask(modes[i], TL_SECRET_LOOKUP, LONG);
        assert_int_equal(a.outcome, TL_SECRET_BROKEN);
        assert_string_equal(a.secret, "");
        assert_int_equal(tl_secret_explain(&a, &why), TL_ERR_IO);
        assert_non_null(strstr(why.text, "without an answer"));
    }
    tl_secret_answer a = ask("endless", TL_SECRET_LOOKUP, LONG);
    assert_int_equal(a.outcome, TL_SECRET_OK);
    assert_true(strlen(a.text) < sizeof a.text);
}

static void a_keychain_that_hangs_is_given_up_in_time(void **state)
{
    static const char *const modes[] = {"hang", "silent"};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct timespec t0, t1;
        tl_why why;
        clock_gettime(CLOCK_MONOTONIC, &t0);
        tl_secret_answer a = ask(modes[i], TL_SECRET_LOOKUP, TL_SEC);
        clock_gettime(CLOCK_MONOTONIC, &t1);
        assert_int_equal(a.outcome, TL_SECRET_HUNG);
        assert_in_range(t1.tv_sec - t0.tv_sec, 1, 15);
        assert_int_equal(tl_secret_explain(&a, &why), TL_ERR_TIMEOUT);
    }
}

static void count_tick(void *user, tl_time waited)
{
    assert_true(waited > 0);
    ++*(int *)user;
}

static void whoever_waits_is_told_that_time_passes(void **state)
{
    int ticks = 0;
    const tl_secret_wait wait = {count_tick, &ticks};
    tl_secret_request r = {.op = TL_SECRET_PROBE};
    tl_secret_answer a;
    (void)state;
    setenv("FAKE_MODE", "hang", 1);
    tl_secret_ask(TL_FAKE_KEYCHAIN, &r, TL_SEC, &wait, &a);
    assert_int_equal(a.outcome, TL_SECRET_HUNG);
    assert_in_range(ticks, 2, 10);
}

static void without_the_program_there_is_no_keychain(void **state)
{
    static const tl_secret_wait nobody;
    tl_secret_request r = {.op = TL_SECRET_PROBE};
    tl_secret_answer a;
    tl_why why;
    (void)state;
    tl_secret_ask("/nowhere/teale-keychain", &r, LONG, &nobody, &a);
    assert_int_equal(a.outcome, TL_SECRET_NO_HELPER);
    assert_int_equal(tl_secret_explain(&a, &why), TL_ERR_IO);
    assert_non_null(strstr(why.text, "/nowhere/teale-keychain"));
}

static void signals_of_the_caller_stay_as_they_were(void **state)
{
    struct sigaction before;
    (void)state;
    signal(SIGPIPE, SIG_DFL);
    assert_int_equal(ask("deaf", TL_SECRET_PROBE, LONG).outcome, TL_SECRET_BROKEN);
    assert_int_equal(sigaction(SIGPIPE, NULL, &before), 0);
    assert_ptr_equal(before.sa_handler, SIG_DFL);
}

static void only_what_a_person_can_mend_is_waited_for(void **state)
{
    (void)state;
    assert_true(tl_secret_may_pass(TL_SECRET_LOCKED));
    assert_true(tl_secret_may_pass(TL_SECRET_NO_BUS));
    assert_false(tl_secret_may_pass(TL_SECRET_OK));
    assert_false(tl_secret_may_pass(TL_SECRET_ABSENT));
    assert_false(tl_secret_may_pass(TL_SECRET_GARBAGE));
    assert_false(tl_secret_may_pass(TL_SECRET_NOT_OURS));
    assert_false(tl_secret_may_pass(TL_SECRET_NO_HELPER));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_stored_is_found_until_it_is_erased),
        TEST(each_failure_has_its_cause_and_a_remedy),
        TEST(an_answer_that_is_none_is_refused),
        TEST(a_keychain_that_hangs_is_given_up_in_time),
        TEST(whoever_waits_is_told_that_time_passes),
        TEST(without_the_program_there_is_no_keychain),
        TEST(signals_of_the_caller_stay_as_they_were),
        TEST(only_what_a_person_can_mend_is_waited_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
