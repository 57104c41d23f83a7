#include "node/facts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static tl_loop *loop;
static tl_node *node;
static tl_settings settings;
static tl_timer guard;

static void timed_out(void *user)
{
    (void)user;
    fail_msg("nothing happened for 15 s");
}

static void run(void)
{
    tl_timer_set(&guard, tl_loop_now(loop) + 15 * TL_SEC);
    tl_loop_run(loop);
    tl_timer_set(&guard, TL_NEVER);
}

static int setup(void **state)
{
    (void)state;
    static const uint8_t seed[32] = {7};
    tl_identity identity;
    tl_why why;
    settings = tl_settings_default();
    settings.lan_enabled = false;
    snprintf(settings.display_name, sizeof settings.display_name, "here");
    assert_int_equal(tl_crypto_init(), TL_OK);
    assert_int_equal(tl_identity_from_seed(seed, &identity), TL_OK);
    assert_int_equal(tl_loop_new(&loop), TL_OK);
    tl_timer_init(&guard, loop, timed_out, NULL);
    assert_int_equal(tl_node_new(loop, &settings, &identity, NULL, NULL, &node, &why), TL_OK);
    assert_int_equal(tl_node_start(node, &why), TL_OK);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    tl_node_free(node);
    tl_timer_stop(&guard);
    tl_loop_free(loop);
    return 0;
}

static const char *string_at(const json_t *o, const char *a, const char *b)
{
    return tl_json_string(json_object_get(o, a), b, "(none)");
}

static void the_status_has_the_fields_that_scripts_rely_on(void **state)
{
    (void)state;
    static const char *const fields[] = {"version", "node_id", "display_name", "uptime_s", "wan",
                                         "nat",     "peers",   "backend",      "requests", "ptns"};
    static const char *const wan[] = {"enabled", "state", "relay", "relay_rtt_ms", "error"};
    static const char *const nat[] = {"type",   "tesseras_type", "mapping", "filtering",
                                      "public", "mapped_by",     "ipv6"};
    json_t *s = tl_node_status(node);
    assert_non_null(s);
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        assert_non_null(json_object_get(s, fields[i]));
    for (size_t i = 0; i < sizeof wan / sizeof *wan; i++)
        assert_non_null(json_object_get(json_object_get(s, "wan"), wan[i]));
    for (size_t i = 0; i < sizeof nat / sizeof *nat; i++)
        assert_non_null(json_object_get(json_object_get(s, "nat"), nat[i]));
    assert_string_equal(string_at(s, "wan", "state"), "offline");
    assert_string_equal(string_at(s, "nat", "type"), "unknown");
    assert_string_equal(string_at(s, "backend", "state"), "none");
    assert_string_equal(tl_json_string(s, "display_name", ""), "here");
    assert_int_equal(strlen(tl_json_string(s, "node_id", "")), 64);
    json_decref(s);
    s = tl_node_peers(node);
    assert_true(json_is_array(json_object_get(s, "peers")));
    json_decref(s);
    s = tl_node_models(node);
    assert_true(json_is_array(json_object_get(s, "models")));
    json_decref(s);
}

static tl_err set(const char *key, const char *text)
{
    assert_int_equal(tl_settings_set(&settings, key, text, NULL), TL_OK);
    return tl_node_setting_changed(node, &settings, key, NULL);
}

static void settings_take_effect_live_or_ask_for_a_restart(void **state)
{
    (void)state;
    assert_int_equal(set("wan_relay_url", "ws://127.0.0.1:9/ws"), TL_OK);
    assert_int_equal(set("wan_enabled", "true"), TL_OK);
    json_t *s = tl_node_status(node);
    assert_string_equal(string_at(s, "wan", "state"), "connecting");
    assert_string_equal(string_at(s, "wan", "relay"), "ws://127.0.0.1:9/ws");
    json_decref(s);
    assert_int_equal(set("wan_enabled", "false"), TL_OK);
    s = tl_node_status(node);
    assert_string_equal(string_at(s, "wan", "state"), "offline");
    json_decref(s);
    assert_int_equal(set("requests_max", "5"), TL_OK);
    assert_int_equal(set("share_with", "networks"), TL_OK);
    assert_int_equal(set("api_listen", "127.0.0.1:1"), TL_ERR_AGAIN);
    assert_int_equal(set("udp_port", "7"), TL_ERR_AGAIN);
}

static void a_relay_in_the_clear_is_refused_beyond_this_machine_unless_allowed(void **state)
{
    (void)state;
    assert_int_equal(set("wan_relay_url", "ws://192.0.2.1:9/ws"), TL_OK);
    assert_int_equal(set("wan_enabled", "true"), TL_OK);
    json_t *s = tl_node_status(node);
    assert_string_equal(string_at(s, "wan", "state"), "offline");
    assert_non_null(strstr(string_at(s, "wan", "error"), "wan_allow_insecure_relay"));
    json_decref(s);
    assert_int_equal(set("wan_allow_insecure_relay", "true"), TL_OK);
    s = tl_node_status(node);
    assert_string_equal(string_at(s, "wan", "state"), "connecting");
    json_decref(s);
}

/* --- questions without anybody to ask --- */
static tl_fail failed_with;
static char failed_why[256];

static void on_head(void *user, const tl_answer_head *head)
{
    (void)user;
    (void)head;
    fail_msg("nobody could have answered");
}

static void on_body(void *user, tl_slice bytes)
{
    (void)user;
    (void)bytes;
}

static void on_end(void *user, const tl_answer_end *end)
{
    (void)user;
    (void)end;
    fail_msg("nobody could have answered");
}

static void on_fail(void *user, const tl_failure *failure)
{
    (void)user;
    failed_with = failure->fail;
    snprintf(failed_why, sizeof failed_why, "%s", failure->message);
    tl_loop_stop(loop);
}

static const tl_exchange_sink sink = {on_head, on_body, on_end, on_fail};

static void a_question_with_nobody_to_ask_fails_at_once_but_not_from_inside(void **state)
{
    (void)state;
    tl_ask ask = {
        .id = "1", .model = "m", .path = "/v1/chat/completions", .body = TL_SLICE_LIT("{}")};
    tl_exchange *x;
    failed_with = TL_FAIL_COUNT;
    assert_int_equal(tl_node_ask(node, &ask, &sink, NULL, &x), TL_OK);
    assert_int_equal(failed_with, TL_FAIL_COUNT);
    run();
    assert_int_equal(failed_with, TL_FAIL_NO_PROVIDER);
    assert_non_null(strstr(failed_why, "wan_enabled"));
}

static void the_facts_of_a_node_are_a_copy_of_one_moment(void **state)
{
    (void)state;
    tl_ask ask = {
        .id = "1", .model = "m", .path = "/v1/chat/completions", .body = TL_SLICE_LIT("{}")};
    tl_exchange *x;
    tl_node_facts before, after;
    tl_node_facts_of(node, &before);
    assert_false(before.relay_connected);
    assert_int_equal(before.backend, TL_BACKEND_NONE);
    assert_int_equal(before.asked.failed, 0);
    assert_int_equal(tl_node_ask(node, &ask, &sink, NULL, &x), TL_OK);
    tl_node_facts_of(node, &after);
    assert_int_equal(after.asked_running, 1);
    run();
    assert_int_equal(after.asked_running, 1);
    tl_node_facts_of(node, &after);
    assert_int_equal(before.asked.failed, 0);
    assert_int_equal(after.asked.failed, 1);
    assert_int_equal(after.asked_running, 0);
}

static void drained(void *user)
{
    *(bool *)user = true;
    tl_loop_stop(loop);
}

static void draining_ends_and_new_questions_are_refused(void **state)
{
    (void)state;
    bool done = false;
    tl_ask ask = {
        .id = "1", .model = "m", .path = "/v1/chat/completions", .body = TL_SLICE_LIT("{}")};
    tl_exchange *x;
    tl_node_drain(node, tl_loop_now(loop) + 10 * TL_SEC, drained, &done);
    assert_false(done);
    assert_int_equal(tl_node_ask(node, &ask, &sink, NULL, &x), TL_OK);
    while (!done)
        run();
    assert_int_equal(failed_with, TL_FAIL_UNAVAILABLE);
}

static unsigned events;
static char event_name[32];

static void on_event(void *user, const char *name, const json_t *data)
{
    (void)user;
    events++;
    snprintf(event_name, sizeof event_name, "%s", name);
    assert_int_equal(strlen(tl_json_string(data, "at", "")), strlen("2026-01-01T00:00:00Z"));
}

static void a_listener_hears_of_the_relay_until_it_is_removed(void **state)
{
    (void)state;
    tl_node_listener l = {.on_event = on_event};
    events = 0;
    tl_node_listen(node, &l);
    assert_int_equal(set("wan_relay_url", "ws://127.0.0.1:9/ws"), TL_OK);
    assert_int_equal(set("wan_enabled", "true"), TL_OK);
    assert_int_equal(events, 1);
    assert_string_equal(event_name, "RelayState");
    tl_node_unlisten(node, &l);
    assert_int_equal(set("wan_enabled", "false"), TL_OK);
    assert_int_equal(events, 1);
}

/* --- ping --- */
static void on_result(void *user, tl_time rtt, tl_via via, bool more, const char *why)
{
    (void)user;
    (void)via;
    assert_int_equal(rtt, 0);
    assert_false(more);
    snprintf(failed_why, sizeof failed_why, "%s", why);
    tl_loop_stop(loop);
}

static void a_ping_without_a_relay_to_come_fails_at_once_and_says_why(void **state)
{
    (void)state;
    tl_node_id peer = *tl_node_id_of(node);
    peer.key[0] ^= 1;
    tl_node_ping *p;
    assert_int_equal(tl_node_ping_start(node, &peer, 3, false, on_result, NULL, &p), TL_OK);
    run();
    assert_non_null(strstr(failed_why, "wan_enabled"));
    tl_node_ping_free(p);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_status_has_the_fields_that_scripts_rely_on),
        TEST(the_facts_of_a_node_are_a_copy_of_one_moment),
        TEST(settings_take_effect_live_or_ask_for_a_restart),
        TEST(a_relay_in_the_clear_is_refused_beyond_this_machine_unless_allowed),
        TEST(a_question_with_nobody_to_ask_fails_at_once_but_not_from_inside),
        TEST(draining_ends_and_new_questions_are_refused),
        TEST(a_listener_hears_of_the_relay_until_it_is_removed),
        TEST(a_ping_without_a_relay_to_come_fails_at_once_and_says_why),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
