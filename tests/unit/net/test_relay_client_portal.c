/* A relay client behind a captive portal: when it asks for one, what it tells, and that it goes on by
 * itself. */
#include "relay_client_scene.h"

#include <string.h>

#define LOGIN "http://login.hotel.example/"

static void start_abroad(const char *url)
{
    name(url);
    assert_int_equal(try_start(NULL), TL_OK);
    run_for(0);
    assert_int_equal(net.dials, 1);
}

static void ended(tl_err e, const char *why)
{
    assert_non_null(net.ws);
    net.ws->events->on_closed(net.ws->user, e, 0, why);
}

static void a_foreign_certificate_leads_to_a_question_and_its_answer_is_told(void **state)
{
    (void)state;
    start_abroad("wss://relay.example.org/ws");
    ended(TL_ERR_AUTH, "the certificate is for another name");
    assert_int_equal(net.portals, 1);
    assert_true(net.strange);
    assert_string_equal(net.portal_host, "relay.example.org");
    assert_string_equal(tl_relay_client_error(client), "the certificate is for another name");
    portal(LOGIN);
    assert_string_equal(tl_relay_client_portal(client), LOGIN);
    assert_string_equal(tl_relay_client_error(client), "E_CAPTIVE_PORTAL: this network asks you to "
                                                       "log in: open " LOGIN " in a browser");
    const char *url;
    assert_string_equal(tl_relay_client_cause(client, 0, &url),
                        "the certificate is for another name");
}

static void the_relay_is_tried_every_few_seconds_until_the_login_is_done(void **state)
{
    (void)state;
    start_abroad("wss://relay.example.org/ws");
    for (unsigned i = 0; i < 20; i++) {
        ended(TL_ERR_AUTH, "foreign");
        if (net.on_portal)
            portal(LOGIN);
        unsigned dials = net.dials;
        run_for(TL_RELAY_PORTAL_RETRY);
        assert_int_equal(net.dials, dials + 1);
        assert_non_null(strstr(tl_relay_client_error(client), LOGIN));
    }
    welcome();
    assert_string_equal(tl_relay_client_portal(client), "");
    assert_string_equal(tl_relay_client_error(client), "");
}

static void a_portal_that_is_gone_is_forgotten_while_the_relay_is_away(void **state)
{
    (void)state;
    start_abroad("wss://relay.example.org/ws");
    ended(TL_ERR_AUTH, "foreign");
    portal(LOGIN);
    run_for(TL_RELAY_PORTAL_RETRY);
    ended(TL_ERR_UNREACHABLE, "nothing listens there");
    assert_false(net.strange);
    portal(NULL);
    assert_string_equal(tl_relay_client_portal(client), "");
    run_for(TL_RELAY_PORTAL_RETRY);
    if (net.ws)
        ended(TL_ERR_UNREACHABLE, "nothing listens there");
    assert_string_equal(tl_relay_client_error(client), "nothing listens there");
}

static void nothing_is_asked_where_no_portal_can_be(void **state)
{
    (void)state;
    start(1); /* on this machine */
    closed("refused");
    assert_int_equal(net.portals, 0);
    config.n_urls = 0;
    name("wss://relay.example.org/ws");
    assert_int_equal(try_start(NULL), TL_OK);
    run_for(0);
    net.authentic = true; /* the relay's own server, with a wrong path */
    ended(TL_ERR_PROTO, "it answered HTTP 404");
    assert_int_equal(net.portals, 0);
    net.authentic = false;
    next_dial();
    ended(TL_ERR_PROTO, "does not speak TLS");
    assert_int_equal(net.portals, 1);
    portal(NULL);
    strcpy(config.proxy, "http://proxy:3128"); /* the proxy would answer */
    assert_int_equal(try_start(NULL), TL_OK);
    run_for(0);
    assert_int_equal(net.proxy.port, 3128);
    ended(TL_ERR_PROTO, "does not speak TLS");
    assert_int_equal(net.portals, 1);
}

static void a_relay_that_is_away_for_long_is_seldom_asked_about(void **state)
{
    (void)state;
    start_abroad("wss://relay.example.org/ws");
    tl_time began = loop.now;
    for (unsigned i = 0; i < 40; i++) {
        ended(TL_ERR_UNREACHABLE, "nothing listens there");
        if (net.on_portal)
            portal(NULL);
        next_dial();
    }
    assert_true(net.portals > 2);
    assert_true(net.portals <= 1 + (loop.now - began) / TL_RELAY_PORTAL_EVERY);
}

static void a_question_under_way_ends_with_the_client(void **state)
{
    (void)state;
    start_abroad("wss://relay.example.org/ws");
    ended(TL_ERR_AUTH, "foreign");
    assert_non_null(net.on_portal);
    tl_relay_client_stop(client, "switched off");
    assert_null(net.on_portal);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(a_foreign_certificate_leads_to_a_question_and_its_answer_is_told),
        T(the_relay_is_tried_every_few_seconds_until_the_login_is_done),
        T(a_portal_that_is_gone_is_forgotten_while_the_relay_is_away),
        T(nothing_is_asked_where_no_portal_can_be),
        T(a_relay_that_is_away_for_long_is_seldom_asked_about),
        T(a_question_under_way_ends_with_the_client),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
