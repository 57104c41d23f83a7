/* The owner takes the machine back: `pause` and `resume`, the setting, and what a restart finds. */
#include "node/node.h"
#include "node/pausefile.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static tl_loop *loop;
static tl_node *node;
static tl_settings settings;
static tl_timer guard;
static char dir[64], port_file[96], pause_file[96];

static void timed_out(void *user)
{
    (void)user;
    fail_msg("nothing happened for 15 s");
}

static void start(void)
{
    static const uint8_t seed[32] = {7};
    tl_identity identity;
    tl_why why;
    assert_int_equal(tl_identity_from_seed(seed, &identity), TL_OK);
    assert_int_equal(tl_node_new(loop, &settings, &identity, port_file, NULL, &node, &why), TL_OK);
    assert_int_equal(tl_node_start(node, &why), TL_OK);
}

static void restart(void)
{
    tl_node_free(node);
    start();
}

static int setup(void **state)
{
    (void)state;
    settings = tl_settings_default();
    settings.lan_enabled = false;
    settings.nat_direct = false;
    snprintf(dir, sizeof dir, "/tmp/teale-pause-XXXXXX");
    assert_non_null(mkdtemp(dir));
    snprintf(port_file, sizeof port_file, "%s/udp_port", dir);
    snprintf(pause_file, sizeof pause_file, "%s/paused", dir);
    assert_int_equal(tl_crypto_init(), TL_OK);
    assert_int_equal(tl_loop_new(&loop), TL_OK);
    tl_timer_init(&guard, loop, timed_out, NULL);
    start();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    tl_node_free(node);
    tl_timer_stop(&guard);
    tl_loop_free(loop);
    unlink(port_file);
    unlink(pause_file);
    return rmdir(dir);
}

static void stop_loop(void *user)
{
    tl_loop_stop(user);
}

static json_t *result; /* of the last call; NULL: it failed with: */
static char code[32];

static void on_done(void *user, json_t *r, const tl_node_failure *failure)
{
    (void)user;
    result = json_incref(r);
    snprintf(code, sizeof code, "%s", failure ? failure->code : "");
    tl_loop_stop(loop);
}

static void call(const char *verb, const char *args)
{
    json_t *a = json_loads(args, 0, NULL);
    tl_call *c;
    json_decref(result);
    result = NULL;
    assert_non_null(a);
    assert_int_equal(tl_node_call(node, verb, a, on_done, NULL, &c), TL_OK);
    json_decref(a);
    tl_timer_set(&guard, tl_loop_now(loop) + 15 * TL_SEC);
    tl_loop_run(loop);
    tl_timer_stop(&guard);
}

static void check_share(bool paused, bool has_end)
{
    json_t *s = tl_node_status(node);
    const json_t *share = json_object_get(s, "share");
    assert_int_equal(json_is_true(json_object_get(share, "paused")), paused);
    assert_int_equal(json_is_string(json_object_get(share, "until")), has_end);
    assert_int_equal(json_integer_value(json_object_get(share, "running")), 0);
    assert_true(json_is_integer(json_object_get(json_object_get(share, "queued"), "private")));
    assert_true(json_is_integer(json_object_get(json_object_get(share, "queued"), "public")));
    json_decref(s);
}

static void a_pause_holds_until_its_owner_resumes_also_over_restarts(void **state)
{
    (void)state;
    check_share(false, false);
    call("pause", "{}");
    assert_true(json_is_true(json_object_get(result, "paused")));
    assert_true(json_is_null(json_object_get(result, "until")));
    check_share(true, false);
    restart();
    check_share(true, false);
    call("pause", "{\"for_s\":7200,\"now\":true}");
    assert_true(json_is_string(json_object_get(result, "until")));
    restart();
    check_share(true, true);
    call("resume", "{}");
    assert_true(json_is_false(json_object_get(result, "paused")));
    check_share(false, false);
    restart();
    check_share(false, false);
    json_decref(result);
    result = NULL;
}

static void a_pause_with_an_end_ends_by_itself(void **state)
{
    (void)state;
    tl_why why;
    assert_int_equal(tl_pausefile_write(pause_file, tl_loop_unix() - 1, &why), TL_OK);
    restart(); /* it ended while the node was down */
    check_share(false, false);
    assert_int_equal(access(pause_file, F_OK), -1);
    call("pause", "{\"for_s\":1}");
    check_share(true, true);
    for (int i = 0; i < 400 && access(pause_file, F_OK) == 0; i++) {
        tl_timer_set(&guard, TL_NEVER);
        tl_timer timer;
        tl_timer_init(&timer, loop, stop_loop, loop);
        tl_timer_set(&timer, tl_loop_clock(loop) + 10 * TL_MS);
        tl_loop_run(loop);
        tl_timer_stop(&timer);
    }
    check_share(false, false);
    json_decref(result);
    result = NULL;
}

static void the_setting_pauses_too_and_resume_says_so(void **state)
{
    (void)state;
    settings.share_pause = true;
    assert_int_equal(tl_node_setting_changed(node, &settings, "share_pause", NULL), TL_OK);
    check_share(true, false);
    call("resume", "{}");
    assert_null(result);
    assert_string_equal(code, "E_SETTING");
    check_share(true, false);
    settings.share_pause = false;
    assert_int_equal(tl_node_setting_changed(node, &settings, "share_pause", NULL), TL_OK);
    check_share(false, false);
}

static void a_pause_of_no_time_or_of_a_century_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"{\"for_s\":0}", "{\"for_s\":-5}", "{\"for_s\":315360001}",
                                      "{\"for_s\":\"2h\"}", "{\"now\":1}"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        call("pause", bad[i]);
        assert_null(result);
        assert_string_equal(code, "E_INVALID");
        check_share(false, false);
    }
    call("pause", "{\"for_s\":315360000}");
    assert_non_null(result);
    check_share(true, true);
    json_decref(result);
    result = NULL;
}

static void the_slots_are_what_is_set_else_four(void **state)
{
    (void)state;
    static const unsigned set[] = {0, 7, 1024};
    for (size_t i = 0; i < 3; i++) {
        settings.share_slots = set[i];
        assert_int_equal(tl_node_setting_changed(node, &settings, "share_slots", NULL), TL_OK);
        json_t *s = tl_node_status(node);
        json_int_t slots =
            json_integer_value(json_object_get(json_object_get(s, "share"), "slots"));
        assert_int_equal(slots, set[i] ? set[i] : 4);
        json_decref(s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_pause_holds_until_its_owner_resumes_also_over_restarts,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(a_pause_with_an_end_ends_by_itself, setup, teardown),
        cmocka_unit_test_setup_teardown(the_setting_pauses_too_and_resume_says_so, setup, teardown),
        cmocka_unit_test_setup_teardown(a_pause_of_no_time_or_of_a_century_is_refused, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(the_slots_are_what_is_set_else_four, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
