/* What a relay client tells of an outage: in the log once for each cause, and of the right relay. */
#include "relay_client_scene.h"

#include "base/log.h"

#include <stdio.h>
#include <string.h>

static char warned[512], informed[512];
static unsigned warnings, infos;

static void on_log(void *user, tl_log_level level, const char *line)
{
    (void)user;
    if (level <= TL_LOG_WARN) {
        snprintf(warned, sizeof warned, "%s", line);
        warnings++;
    } else if (level == TL_LOG_INFO) {
        snprintf(informed, sizeof informed, "%s", line);
        infos++;
    }
}

static int begin_listening(void **state)
{
    warnings = infos = 0;
    warned[0] = informed[0] = 0;
    tl_log_set_sink(on_log, NULL);
    return setup(state);
}

static int end_listening(void **state)
{
    tl_log_set_sink(NULL, NULL);
    return teardown(state);
}

static void refuse_us(void)
{
    opened();
    challenge();
    hear("{\"error\":{\"code\":\"unauthorized\",\"message\":\"no proof\",\"about\":\"register\"}}");
    closed("closed by it");
}

static void an_outage_is_told_once_with_its_cause_and_so_is_its_end(void **state)
{
    (void)state;
    start(1);
    for (unsigned i = 0; i < 50; i++) {
        closed("cannot look up relay.example: no answer from DNS");
        assert_int_equal(warnings, 1);
        next_dial();
    }
    assert_string_equal(warned, "relay: cannot use ws://127.0.0.1:8001/ws: cannot look up "
                                "relay.example: no answer from DNS; it is tried again, and told "
                                "when it works");
    assert_int_equal(infos, 0);
    welcome();
    assert_int_equal(infos, 1);
    assert_non_null(strstr(informed, "connected to ws://127.0.0.1:8001/ws, after "));
    assert_non_null(strstr(informed, " 50 failures"));
    closed("reset"); /* the next outage is told again */
    assert_int_equal(warnings, 2);
    assert_string_equal(warned, "relay: lost ws://127.0.0.1:8001/ws: reset");
    next_dial();
    closed("cannot look up relay.example: no answer from DNS");
    assert_int_equal(warnings, 3);
    next_dial();
    closed("cannot look up relay.example: no answer from DNS");
    assert_int_equal(warnings, 3);
}

static void a_connection_at_the_first_try_tells_of_no_outage(void **state)
{
    (void)state;
    start(1);
    welcome();
    assert_int_equal(warnings, 0);
    assert_string_equal(informed, "relay: connected to ws://127.0.0.1:8001/ws");
}

static void another_cause_is_told_but_causes_that_alternate_fill_no_journal(void **state)
{
    (void)state;
    start(1);
    closed("refused");
    next_dial();
    closed("the certificate expired");
    assert_int_equal(warnings, 2);
    assert_non_null(strstr(warned, "certificate"));
    for (unsigned i = 0; i < 20; i++) {
        next_dial();
        closed(i % 2 ? "refused" : "the certificate expired");
    }
    assert_int_equal(warnings, TL_RELAY_TOLD_MAX);
}

static void a_refused_registration_is_told_with_the_relays_reason_once(void **state)
{
    (void)state;
    start(1);
    for (unsigned i = 0; i < 5; i++) {
        refuse_us();
        assert_int_equal(warnings, 1);
        assert_non_null(strstr(warned, "refused us (unauthorized): no proof"));
        assert_string_equal(tl_relay_client_error(client), "refused us (unauthorized): no proof");
        next_dial();
    }
}

static void of_two_relays_each_has_its_own_cause(void **state)
{
    (void)state;
    const char *url;
    start(2);
    assert_string_equal(tl_relay_client_cause(client, 0, &url), "");
    for (unsigned i = 0; i < 3; i++) {
        refuse_us();
        assert_string_equal(tl_relay_client_url(client), "ws://127.0.0.1:8001/ws");
        assert_non_null(strstr(tl_relay_client_error(client), "refused us"));
        next_dial();
        assert_string_equal(net.authority, "127.0.0.1:8002");
        assert_string_equal(tl_relay_client_url(client), "ws://127.0.0.1:8001/ws");
        closed("nothing listens there");
        assert_string_equal(tl_relay_client_url(client), "ws://127.0.0.1:8002/ws");
        assert_string_equal(tl_relay_client_error(client), "nothing listens there");
        next_dial();
    }
    assert_int_equal(warnings, 2);
    assert_non_null(strstr(tl_relay_client_cause(client, 0, &url), "refused us"));
    assert_string_equal(url, "ws://127.0.0.1:8001/ws");
    assert_string_equal(tl_relay_client_cause(client, 1, &url), "nothing listens there");
    assert_string_equal(url, "ws://127.0.0.1:8002/ws");
    assert_null(tl_relay_client_cause(client, 2, &url));
    refuse_us();
    next_dial();
    welcome();
    assert_string_equal(tl_relay_client_url(client), "ws://127.0.0.1:8002/ws");
    assert_string_equal(tl_relay_client_cause(client, 0, &url), "");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, begin_listening, end_listening)
    const struct CMUnitTest tests[] = {
        T(an_outage_is_told_once_with_its_cause_and_so_is_its_end),
        T(a_connection_at_the_first_try_tells_of_no_outage),
        T(another_cause_is_told_but_causes_that_alternate_fill_no_journal),
        T(a_refused_registration_is_told_with_the_relays_reason_once),
        T(of_two_relays_each_has_its_own_cause),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
