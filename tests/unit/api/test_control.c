/* What the command line asks on the Unix socket: pings, netcheck, doctor, why. */
#include "harness.h"

#include <stdio.h>
#include <stdlib.h>

static void get_unix(harness *h, client *c, const char *request)
{
    client_open_unix(h, c);
    client_send(c, request);
    WAIT_UNTIL(h, client_answered(c));
}

#define PEER "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a" /* RFC 8032 7.1 */

static void pings_stream_a_line_a_result(void **state)
{
    (void)state;
    harness h;
    client c;
    harness_init(&h, NULL);
    client_open_unix(&h, &c);
    client_send(&c, "GET /control/ping/" PEER "?count=2 HTTP/1.1\r\nHost: x\r\n\r\n");
    WAIT_UNTIL(&h, h.node.on_ping);
    assert_int_equal(h.node.ping_count, 2);
    assert_false(h.node.ping_until_direct);
    h.node.on_ping(h.node.ping_user, 12345678, TL_VIA_RELAYED, true, NULL);
    WAIT_UNTIL(&h,
               client_has(&c, "{\"rtt_ms\":12.346,\"path\":\"relayed\",\"via\":\"relayed\"}\n"));
    h.node.on_ping(h.node.ping_user, 0, TL_VIA_RELAYED, false, "no \"answer\"");
    WAIT_UNTIL(&h, client_has(&c, "{\"error\":\"no \\\"answer\\\"\"}\n\r\n0\r\n\r\n"));
    assert_true(h.node.ping_freed);
    client_close(&c);
    harness_clear(&h);
}

static void a_ping_until_direct_takes_as_many_answers_as_it_needs_or_is_given(void **state)
{
    (void)state;
    static const struct {
        const char *query;
        unsigned count;
    } cases[] = {{"until=direct", TL_API_PING_MAX}, {"count=7&until=direct", 7}};
    for (size_t i = 0; i < 2; i++) {
        harness h;
        client c;
        char text[256];
        harness_init(&h, NULL);
        client_open_unix(&h, &c);
        snprintf(text, sizeof text, "GET /control/ping/" PEER "?%s HTTP/1.1\r\nHost: x\r\n\r\n",
                 cases[i].query);
        client_send(&c, text);
        WAIT_UNTIL(&h, h.node.on_ping);
        assert_int_equal(h.node.ping_count, cases[i].count);
        assert_true(h.node.ping_until_direct);
        h.node.on_ping(h.node.ping_user, 1000000, TL_VIA_DIRECT, false, NULL);
        WAIT_UNTIL(&h, client_has(&c, "\"path\":\"direct\""));
        assert_true(h.node.ping_freed);
        client_close(&c);
        harness_clear(&h);
    }
}

static void netcheck_and_doctor_answer_after_a_fresh_look_at_the_network(void **state)
{
    (void)state;
    harness h;
    client c;
    harness_init(&h, NULL);
    get_unix(&h, &c, "GET /control/netcheck HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_int_equal(client_status(&c), 200);
    assert_string_equal(client_body(&c), "{\"netlooks\":1}\n");
    client_close(&c);
    get_unix(&h, &c, "GET /control/doctor HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_int_equal(h.node.netlooks, 2);
    assert_non_null(strstr(client_body(&c), "{\"checks\":[{\"id\":\"fake\"},{\"id\":\"api\","
                                            "\"state\":\"ok\",\"evidence\":\"http://127.0.0.1:"));
    client_close(&c);
    harness_clear(&h);
}

static void a_client_that_goes_during_the_look_at_the_network_ends_it(void **state)
{
    (void)state;
    harness h;
    client c;
    harness_init(&h, NULL);
    h.node.netlook_takes = 3600 * TL_SEC;
    client_open_unix(&h, &c);
    client_send(&c, "GET /control/doctor HTTP/1.1\r\nHost: x\r\n\r\n");
    WAIT_UNTIL(&h, h.node.netlooks);
    client_close(&c);
    WAIT_UNTIL(&h, h.node.unnetlooked);
    harness_clear(&h);
}

static void an_api_beyond_this_machine_is_a_warning_of_doctors(void **state)
{
    (void)state;
    harness h;
    client c;
    tl_api_config config = harness_config();
    config.listen[0].bytes[0] = 0; /* 0.0.0.1 would be refused: all of it is 0.0.0.0 */
    config.listen[0].bytes[3] = 0;
    harness_init(&h, &config);
    get_unix(&h, &c, "GET /control/doctor HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_non_null(strstr(client_body(&c), "\"state\":\"warning\""));
    assert_non_null(strstr(client_body(&c), "nothing is encrypted"));
    client_close(&c);
    harness_clear(&h);
}

static void peers_and_why_are_told_after_a_look_around(void **state)
{
    (void)state;
    static const char *const targets[] = {"/control/peers", "/control/why/" PEER,
                                          "/control/models"};
    for (size_t i = 0; i < 3; i++) {
        harness h;
        client c;
        char request[200];
        harness_init(&h, NULL);
        snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", targets[i]);
        get_unix(&h, &c, request);
        assert_int_equal(client_status(&c), 200);
        assert_int_equal(h.node.looks, 1);
        client_close(&c);
        get_unix(&h, &c, "GET /control/status HTTP/1.1\r\nHost: x\r\n\r\n");
        assert_int_equal(h.node.looks, 1); /* that comes from memory */
        client_close(&c);
        harness_clear(&h);
    }
}

static void why_names_the_peer_by_its_whole_id(void **state)
{
    (void)state;
    harness h;
    client c;
    char hex[TL_NODE_ID_HEX + 1];
    harness_init(&h, NULL);
    get_unix(&h, &c, "GET /control/why/" PEER " HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_int_equal(client_status(&c), 200);
    tl_node_id_write(hex, &h.node.why_asked);
    assert_string_equal(hex, PEER);
    client_close(&c);
    get_unix(&h, &c, "GET /control/why/abcd HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_int_equal(client_status(&c), 400);
    client_close(&c);
    exchange(&h, &c, "GET /control/doctor HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
    assert_int_equal(client_status(&c), 404); /* not by TCP */
    client_close(&c);
    harness_clear(&h);
}

static void a_ping_whose_client_left_ends(void **state)
{
    (void)state;
    harness h;
    client c;
    harness_init(&h, NULL);
    client_open_unix(&h, &c);
    client_send(&c, "GET /control/ping/" PEER " HTTP/1.1\r\nHost: x\r\n\r\n");
    WAIT_UNTIL(&h, h.node.on_ping);
    assert_int_equal(h.node.ping_count, 4);
    client_close(&c);
    WAIT_UNTIL(&h, h.node.ping_freed);
    harness_clear(&h);
}

static void a_ping_to_nobody_or_without_measure_is_400(void **state)
{
    (void)state;
    static const char *const targets[] = {
        "/control/ping/abc",
        "/control/ping/" PEER "0",
        "/control/ping/" PEER "?count=0",
        "/control/ping/" PEER "?count=1001",
        "/control/ping/" PEER "?count=",
        "/control/ping/" PEER "?n=1",
        "/control/ping/" PEER "?count=00001",
        "/control/ping/" PEER "?until=relayed",
        "/control/ping/" PEER "?&until=direct",
        "/control/ping/" PEER "?count=2until=direct",
        "/control/ping/" PEER "?until=direct&count=2",
        "/control/ping/0000000000000000000000000000000000000000000000000000000000000000"};
    harness h;
    harness_init(&h, NULL);
    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
        client c;
        char text[256];
        snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", targets[i]);
        get_unix(&h, &c, text);
        assert_int_equal(client_status(&c), 400);
        client_close(&c);
    }
    assert_null(h.node.on_ping);
    harness_clear(&h);
}

#define DO(verb) post("/control/do", "", "{\"verb\":\"" verb "\",\"args\":{\"name\":\"lab\"}}")

static void told(harness *h, client *c, char *request)
{
    client_open_unix(h, c);
    client_send(c, request);
    free(request);
}

static void a_command_is_answered_with_what_came_of_it(void **state)
{
    (void)state;
    harness h;
    client c;
    harness_init(&h, NULL);
    told(&h, &c, DO("ptn.create"));
    WAIT_UNTIL(&h, h.node.on_call);
    assert_string_equal(h.node.verb, "ptn.create");
    assert_string_equal(tl_json_string(h.node.args, "name", ""), "lab");
    fake_call_answer(&h.node, "{\"role\":\"admin\"}", NULL, 0, 0);
    WAIT_UNTIL(&h, client_answered(&c));
    assert_int_equal(client_status(&c), 200);
    assert_string_equal(client_body(&c), "{\"role\":\"admin\"}\n");
    client_close(&c);
    told(&h, &c, DO("ptn.join"));
    WAIT_UNTIL(&h, h.node.on_call);
    fake_call_answer(&h.node, "somebody was faster", "E_INVITE_USED", 5, 409);
    WAIT_UNTIL(&h, client_answered(&c));
    assert_int_equal(client_status(&c), 409);
    assert_string_equal(client_body(&c), "{\"error\":{\"code\":\"E_INVITE_USED\",\"exit\":5,"
                                         "\"message\":\"somebody was faster\"}}\n");
    client_close(&c);
    harness_clear(&h);
}

static void a_command_whose_client_left_is_not_answered(void **state)
{
    (void)state;
    harness h;
    client c;
    harness_init(&h, NULL);
    told(&h, &c, DO("ptn.join"));
    WAIT_UNTIL(&h, h.node.on_call);
    client_close(&c);
    WAIT_UNTIL(&h, h.node.uncalled);
    harness_clear(&h);
}

static void a_command_that_is_none_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        int status;
    } cases[] = {{"{\"verb\":\"unknown\",\"args\":{}}", 404},
                 {"{\"verb\":\"busy\",\"args\":{}}", 429},
                 {"{\"verb\":\"ptn.list\"}", 400},
                 {"{\"verb\":\"ptn.list\",\"args\":[]}", 400},
                 {"{\"verb\":1,\"args\":{}}", 400},
                 {"{", 400},
                 {"", 400}};
    harness h;
    harness_init(&h, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        client c;
        told(&h, &c, post("/control/do", "", cases[i].body));
        WAIT_UNTIL(&h, client_answered(&c));
        assert_int_equal(client_status(&c), cases[i].status);
        client_close(&c);
    }
    assert_null(h.node.on_call);
    harness_clear(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pings_stream_a_line_a_result),
        cmocka_unit_test(a_ping_until_direct_takes_as_many_answers_as_it_needs_or_is_given),
        cmocka_unit_test(netcheck_and_doctor_answer_after_a_fresh_look_at_the_network),
        cmocka_unit_test(a_client_that_goes_during_the_look_at_the_network_ends_it),
        cmocka_unit_test(an_api_beyond_this_machine_is_a_warning_of_doctors),
        cmocka_unit_test(peers_and_why_are_told_after_a_look_around),
        cmocka_unit_test(why_names_the_peer_by_its_whole_id),
        cmocka_unit_test(a_ping_whose_client_left_ends),
        cmocka_unit_test(a_ping_to_nobody_or_without_measure_is_400),
        cmocka_unit_test(a_command_is_answered_with_what_came_of_it),
        cmocka_unit_test(a_command_whose_client_left_is_not_answered),
        cmocka_unit_test(a_command_that_is_none_is_refused),
    };
    if (tl_crypto_init())
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
