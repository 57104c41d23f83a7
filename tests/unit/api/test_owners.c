/* Who counts as the node's owner over HTTP, and what the others may do. The tests' own connections are the
 * owner's, as the kernel says; what a proxy passed on is not. */
#include "harness.h"

#include <stdio.h>
#include <stdlib.h>

/* The status of a request; its body is 2 bytes, or none. */
static int outcome(harness *h, const char *line, const char *headers, bool body)
{
    client c;
    char text[600];
    snprintf(text, sizeof text, "%s HTTP/1.1\r\nHost: localhost\r\n%s%s", line, headers,
             body ? "Content-Length: 2\r\n\r\n[]" : "\r\n");
    exchange(h, &c, text);
    int status = client_status(&c);
    client_close(&c);
    return status;
}

#define WITH(key) "Authorization: Bearer " key "\r\n"

static void the_clients_key_asks_and_reads_beyond_loopback_and_changes_nothing(void **state)
{
    (void)state;
    static const char *const reads[] = {"GET /v1/models", "GET /v1/app", "GET /v1/app/settings",
                                        "GET /metrics"};
    static const char *const changes[] = {
        "PUT /v1/app/settings", "POST /v1/app/ptn", "POST /v1/app/ptn/home/key",
        "POST /v1/app/pause",   "POST /v1/app/qr",  "POST /v1/app/wallet/settlements"};
    harness h;
    client c;
    tl_api_config config = harness_config();
    assert_int_equal(tl_addr_parse(TL_SLICE_LIT("0.0.0.0:0"), &config.listen[0]), TL_OK);
    harness_init(&h, &config);
    for (size_t i = 0; i < sizeof reads / sizeof *reads; i++) {
        assert_int_equal(outcome(&h, reads[i], "", false), 401);
        assert_int_not_equal(outcome(&h, reads[i], WITH(CLIENT_KEY), false), 401);
        assert_int_not_equal(outcome(&h, reads[i], WITH(KEY), false), 401);
    }
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++)
        assert_int_equal(outcome(&h, changes[i], WITH(CLIENT_KEY), true), 401);
    assert_int_not_equal(outcome(&h, changes[0], WITH(KEY), true), 401);
    fake_ask *a = asked(&h, &c, "/v1/chat/completions", WITH(CLIENT_KEY), "{\"model\":\"m\"}");
    assert_non_null(a);
    client_close(&c);
    client_open_unix(&h, &c);
    client_send(&c, "GET /control/env HTTP/1.1\r\nHost: localhost\r\n\r\n");
    WAIT_UNTIL(&h, client_answered(&c));
    assert_true(client_has(&c, "\"api_key\":\"" CLIENT_KEY "\",\"owner_key\":\"" KEY "\""));
    client_close(&c);
    harness_clear(&h);
}

static void the_clients_key_makes_nobody_the_owner_on_loopback(void **state)
{
    (void)state;
    static const char page[] = "Origin: https://app.example\r\n";
    harness h;
    char headers[200];
    tl_api_config config = harness_config();
    config.allowed_origins = (tl_string_list){1, {"https://app.example"}};
    harness_init(&h, &config);
    snprintf(headers, sizeof headers, "%s%s", page, WITH(CLIENT_KEY));
    assert_int_equal(outcome(&h, "PUT /v1/app/settings", headers, true), 401);
    assert_int_equal(outcome(&h, "PUT /v1/app/settings", "Via: 1.1 a\r\n" WITH(CLIENT_KEY), true),
                     401);
    assert_int_equal(outcome(&h, "GET /v1/models", headers, false),
                     200); /* of this node: not 403 */
    snprintf(headers, sizeof headers, "%s%s", page, WITH(KEY));
    assert_int_not_equal(outcome(&h, "PUT /v1/app/settings", headers, true), 401);
    harness_clear(&h);
}

static int change(harness *h, const char *headers)
{
    client c;
    char text[600];
    snprintf(text, sizeof text, "PUT /v1/app/settings HTTP/1.1\r\n%sContent-Length: 2\r\n\r\n[]",
             headers);
    exchange(h, &c, text);
    int status = client_status(&c);
    client_close(&c);
    return status;
}

static int look(harness *h, const char *headers)
{
    client c;
    char text[600];
    snprintf(text, sizeof text, "GET /v1/app HTTP/1.1\r\n%s\r\n", headers);
    exchange(h, &c, text);
    int status = client_status(&c);
    client_close(&c);
    return status;
}

static void what_a_proxy_passed_on_changes_nothing_without_the_owners_key(void **state)
{
    (void)state;
    static const char *const passed_on[] = {
        "Host: localhost\r\nX-Forwarded-For: 203.0.113.9\r\n",
        "Host: localhost\r\nx-forwarded-proto: https\r\n",
        "Host: localhost\r\nForwarded: for=203.0.113.9\r\n",
        "Host: localhost\r\nVia: 1.1 Caddy\r\n",
        "Host: localhost\r\nX-Real-IP: 203.0.113.9\r\n",
        "Host: localhost\r\nCf-Ray: 1\r\n",
        "Host: localhost\r\nTailscale-User-Login: eve\r\n",
        "Host: node.example.ts.net\r\n",
        "Host: node.example.ts.net\r\nOrigin: https://node.example.ts.net\r\n",
    };
    static const char *const own[] = {
        "Host: localhost\r\n", "Host: 127.0.0.1:11435\r\n",
        "Host: localhost\r\nViable: 1\r\nForwarded-By: x\r\nX-Forwarded: 1\r\nCfx: 1\r\n"};
    harness h;
    char keyed[400];
    tl_api_config config = harness_config();
    config.allowed_hosts = (tl_string_list){1, {"node.example.ts.net"}};
    harness_init(&h, &config);
    for (size_t i = 0; i < sizeof passed_on / sizeof *passed_on; i++) {
        snprintf(keyed, sizeof keyed, "%sAuthorization: Bearer " KEY "\r\n", passed_on[i]);
        if (change(&h, passed_on[i]) != 401 || change(&h, keyed) == 401)
            fail_msg("%s: %d, %d", passed_on[i], change(&h, passed_on[i]), change(&h, keyed));
        assert_int_equal(look(&h, passed_on[i]), 200); /* reads as before */
    }
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        assert_int_not_equal(change(&h, own[i]), 401);
    harness_clear(&h);
}

static void a_service_worker_of_another_program_is_replaced_by_one_that_does_nothing(void **state)
{
    (void)state;
    static const char *const paths[] = {"/sw.js", "/", "/js/main.js", "/v1/app"};
    harness h;
    client c;
    char text[300];
    harness_init(&h, NULL);
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        snprintf(text, sizeof text,
                 "GET %s HTTP/1.1\r\nHost: localhost\r\nService-Worker: script\r\n\r\n", paths[i]);
        exchange(&h, &c, text);
        assert_int_equal(client_status(&c), 200);
        assert_true(client_has(&c, "\r\nContent-Type: text/javascript"));
        assert_true(client_has(&c, "\r\nService-Worker-Allowed: /\r\n"));
        assert_true(client_has(&c, "\r\nCache-Control: no-store\r\n"));
        assert_true(client_has(&c, "skipWaiting"));
        assert_false(client_has(&c, "sandbox"));
        client_close(&c);
    }
    exchange(&h, &c, "GET /sw.js HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_int_equal(client_status(&c), 404);
    client_close(&c);
    exchange(&h, &c, "GET /sw.js HTTP/1.1\r\nHost: evil\r\nService-Worker: script\r\n\r\n");
    assert_int_equal(client_status(&c), 403);
    client_close(&c);
    client_open_unix(&h, &c);
    client_send(&c, "GET /control/doctor HTTP/1.1\r\nHost: localhost\r\n\r\n");
    WAIT_UNTIL(&h, client_answered(&c));
    assert_true(client_has(&c, "a browser had a service worker"));
    assert_true(client_has(&c, "teale up --boot"));
    client_close(&c);
    harness_clear(&h);
}

static void listen_(harness *h, client *c, const char *header)
{
    char text[200];
    snprintf(text, sizeof text, "GET /v1/events HTTP/1.1\r\nHost: localhost\r\n%s\r\n", header);
    client_send(c, text);
    WAIT_UNTIL(h, client_has(c, ": connected") || client_has(c, "too many event streams"));
}

static void others_leave_the_owner_a_part_of_the_event_streams(void **state)
{
    (void)state;
    enum { ALL = 256, FOREIGN = 192 };
    static client c[ALL + 1];
    static const char other[] = "Via: 1.1 proxy\r\n";
    harness h;
    client owners;
    harness_init(&h, NULL);
    for (int i = 0; i <= FOREIGN; i++) {
        client_open(&h, &c[i]);
        listen_(&h, &c[i], other);
        assert_int_equal(client_has(&c[i], ": connected"), i < FOREIGN);
    }
    client_close(&c[FOREIGN]);
    client_open_unix(&h, &owners);
    listen_(&h, &owners, "");
    assert_true(client_has(&owners, ": connected"));
    for (int i = FOREIGN; i < ALL; i++) {
        client_open(&h, &c[i]);
        listen_(&h, &c[i], "");
        assert_int_equal(client_has(&c[i], ": connected"), i < ALL - 1);
    }
    /* one of the others goes, and another one has its place */
    client_close(&c[0]);
    client_close(&c[ALL - 1]);
    client_open(&h, &c[0]);
    listen_(&h, &c[0], other);
    for (int i = 0; i < 50 && !client_has(&c[0], ": connected"); i++) { /* the node saw it leave? */
        client_close(&c[0]);
        harness_run_for(&h, 20 * TL_MS);
        client_open(&h, &c[0]);
        listen_(&h, &c[0], other);
    }
    assert_true(client_has(&c[0], ": connected"));
    for (int i = 0; i < ALL - 1; i++)
        client_close(&c[i]);
    client_close(&owners);
    harness_clear(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_clients_key_asks_and_reads_beyond_loopback_and_changes_nothing),
        cmocka_unit_test(the_clients_key_makes_nobody_the_owner_on_loopback),
        cmocka_unit_test(what_a_proxy_passed_on_changes_nothing_without_the_owners_key),
        cmocka_unit_test(a_service_worker_of_another_program_is_replaced_by_one_that_does_nothing),
        cmocka_unit_test(others_leave_the_owner_a_part_of_the_event_streams),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
