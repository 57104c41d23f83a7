/* A relay client: which relays it may dial, how it is welcomed, and what a hostile relay can say. */
#include "relay_client_scene.h"

#include <stdio.h>
#include <string.h>

/* --- URLs --- */

static void only_relays_that_may_be_dialled_are_begun_with(void **state)
{
    (void)state;
    static const struct {
        const char *url;
        bool insecure;
        tl_err error;
    } rows[] = {
        {"wss://relay.example/ws", false, TL_OK},
        {"ws://127.0.0.1:8080/ws", false, TL_OK},
        {"ws://localhost:8080/ws", false, TL_OK},
        {"ws://relay.example/ws", false, TL_ERR_INVALID},
        {"ws://relay.example/ws", true, TL_OK},
        {"http://relay.example/", true, TL_ERR_INVALID},
        {"", true, TL_ERR_INVALID},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        tl_why why = {""};
        config.n_urls = 0;
        config.allow_insecure = rows[i].insecure;
        name(rows[i].url);
        tl_err e = try_start(&why);
        if (e != rows[i].error || (e && !why.text[0]))
            fail_msg("%s: error %d (%s)", rows[i].url, e, why.text);
    }
}

static void none_and_too_many_relays_are_refused(void **state)
{
    (void)state;
    tl_why why;
    assert_int_equal(try_start(&why), TL_ERR_INVALID);
    for (unsigned i = 0; i < TL_RELAY_URLS_MAX; i++)
        name("ws://127.0.0.1:1/ws");
    config.n_urls = TL_RELAY_URLS_MAX + 1;
    assert_int_equal(try_start(&why), TL_ERR_INVALID);
    config.n_urls = TL_RELAY_URLS_MAX;
    assert_int_equal(try_start(&why), TL_OK);
}

static void a_private_ca_that_cannot_be_read_is_told(void **state)
{
    (void)state;
    tl_why why;
    name("wss://relay.example/ws");
    snprintf(config.ca_file, sizeof config.ca_file, "/nonexistent/ca.pem");
    assert_int_equal(try_start(&why), TL_ERR_IO);
    assert_non_null(strstr(why.text, "/nonexistent/ca.pem"));
    config.n_urls = 0; /* without TLS it is not read */
    name("ws://127.0.0.1:1/ws");
    assert_int_equal(try_start(&why), TL_OK);
}

static void settings_that_are_refused_leave_a_running_client_alone(void **state)
{
    (void)state;
    start(1);
    welcome();
    config.n_urls = 0;
    assert_int_equal(try_start(NULL), TL_ERR_INVALID);
    assert_int_equal(tl_relay_client_state(client), TL_RELAY_CONNECTED);
    assert_int_equal(net.closes, 0);
    config.n_urls = 0;
    name("ws://127.0.0.1:9009/ws"); /* and taken, it starts anew */
    assert_int_equal(try_start(NULL), TL_OK);
    run_for(0);
    assert_int_equal(net.dials, 2);
    assert_string_equal(net.authority, "127.0.0.1:9009");
}

/* --- welcome --- */

static void a_node_is_connected_once_the_relay_has_registered_it(void **state)
{
    (void)state;
    assert_int_equal(tl_relay_client_state(client), TL_RELAY_OFF);
    assert_string_equal(tl_relay_client_url(client), "");
    start(1);
    assert_string_equal(tl_relay_client_url(client), "ws://127.0.0.1:8001/ws");
    opened();
    assert_int_equal(net.texts, 0); /* the challenge comes first */
    challenge();
    assert_int_equal(net.texts, 1);
    assert_memory_equal(net.said, "{\"register\"", 11);
    assert_int_equal(tl_relay_client_state(client), TL_RELAY_CONNECTING);
    assert_int_equal(tl_relay_client_connects(client), 0);
    unsigned before = states;
    ack(300);
    assert_int_equal(tl_relay_client_state(client), TL_RELAY_CONNECTED);
    assert_int_equal(states, before + 1);
    assert_int_equal(tl_relay_client_connects(client), 1);
    assert_string_equal(tl_relay_client_error(client), "");
    assert_false(tl_relay_client_is_closed(client));
}

static void a_relay_without_a_challenge_is_registered_with_after_two_seconds(void **state)
{
    (void)state;
    start(1);
    opened();
    run_for(TL_RELAY_GREETING_WITHIN - 1);
    assert_int_equal(net.texts, 0);
    run_for(1);
    assert_int_equal(net.texts, 1);
    ack(300);
    assert_int_equal(tl_relay_client_state(client), TL_RELAY_CONNECTED);
}

static void a_relay_that_does_not_register_us_is_left(void **state)
{
    (void)state;
    start(1);
    opened();
    challenge();
    run_for(TL_RELAY_REGISTER_WITHIN - 1);
    assert_int_equal(net.closes, 0);
    run_for(1);
    assert_int_equal(net.closes, 1);
    assert_non_null(strstr(tl_relay_client_error(client), "did not answer the registration"));
    closed("closed");
    assert_non_null(strstr(tl_relay_client_error(client), "did not answer the registration"));
    next_dial();
    welcome();
}

/* --- what a hostile relay says --- */

static void words_of_a_relay_are_bounded_and_safe_to_print(void **state)
{
    (void)state;
    char text[3000], message[2000];
    memset(message, 'a', sizeof message - 1);
    message[sizeof message - 1] = 0;
    snprintf(text, sizeof text,
             "{\"error\":{\"code\":\"unauthorized\",\"message\":\"\\u001b[31mred\\n%s\"}}",
             message);
    start(1);
    opened();
    challenge();
    hear(text);
    const char *error = tl_relay_client_error(client);
    assert_true(strlen(error) < 512);
    assert_non_null(strstr(error, "unauthorized"));
    for (const char *p = error; *p; p++)
        assert_true(*p >= 0x20 && *p < 0x7F);
    assert_int_equal(tl_relay_client_state(client), TL_RELAY_CONNECTING);
    assert_int_equal(net.closes, 1);
    closed("the relay closed"); /* the relay's words say more */
    assert_non_null(strstr(tl_relay_client_error(client), "unauthorized"));
    next_dial();
    welcome(); /* refused once is not refused for ever */
}

static void what_is_no_text_and_what_answers_nothing_is_ignored(void **state)
{
    (void)state;
    uint8_t bytes[] = "{\"registerAck\":{}}";
    start(1);
    opened();
    challenge();
    net.ws->events->on_message(net.ws->user, TL_WS_BINARY, bytes, sizeof bytes - 1);
    pong();
    assert_int_equal(tl_relay_client_rtt(client), 0);
    hear("nonsense");
    hear("{\"registerAck\":7}");
    assert_int_equal(tl_relay_client_state(client), TL_RELAY_CONNECTING);
    assert_int_equal(net.closes, 0);
    ack(300);
    assert_int_equal(tl_relay_client_state(client), TL_RELAY_CONNECTED);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(only_relays_that_may_be_dialled_are_begun_with),
        T(none_and_too_many_relays_are_refused),
        T(a_private_ca_that_cannot_be_read_is_told),
        T(settings_that_are_refused_leave_a_running_client_alone),
        T(a_node_is_connected_once_the_relay_has_registered_it),
        T(a_relay_without_a_challenge_is_registered_with_after_two_seconds),
        T(a_relay_that_does_not_register_us_is_left),
        T(words_of_a_relay_are_bounded_and_safe_to_print),
        T(what_is_no_text_and_what_answers_nothing_is_ignored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
