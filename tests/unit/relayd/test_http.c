#include "relayd/http.h"

#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static tl_rand rnd;
static tl_relay *relay;
static tl_stunserver *stun; /* of one test */

static int setup(void **state)
{
    (void)state;
    rnd = tl_rand_seeded(1);
    tl_relay_config config = tl_relay_config_default();
    return sodium_init() < 0 || tl_relay_new(&config, &rnd, &relay) ? -1 : 0;
}

static int teardown(void **state)
{
    (void)state;
    tl_relay_free(relay);
    return 0;
}

/* The status answered to a request of that first line and those further header lines. */
static int answer(const char *line, const char *headers, const char *token, bool *ret_upgraded,
                  tl_buf *out)
{
    char request[1000];
    snprintf(request, sizeof request, "%s HTTP/1.1\r\nHost: x\r\n%s\r\n", line, headers);
    tl_http1_head head;
    size_t scanned = 0;
    int status;
    assert_int_equal(tl_http1_request_parse(tl_slice_str(request), &scanned, &head, &status),
                     TL_OK);
    tl_relayd_view view = {.wants_peers = tl_relayd_http_look(&head) == TL_RELAYD_NEEDS_PEERS};
    tl_relayd_view_add(&view, relay, stun, 0);
    assert_int_equal(tl_relayd_http_answer(&head, &view, token, out, ret_upgraded), TL_OK);
    tl_relayd_view_clear(&view);
    tl_http1_head response;
    scanned = 0;
    assert_int_equal(tl_http1_response_parse(tl_buf_slice(out), &scanned, &response), TL_OK);
    if (response.status != 101) {
        assert_true(response.has_content_length);
        assert_int_equal(out->len - response.head_n, response.content_length);
        assert_false(response.keep_alive);
    }
    return response.status;
}

static int status_of(const char *line, const char *headers, const char *token)
{
    tl_buf out = {0};
    bool upgraded;
    int status = answer(line, headers, token, &upgraded, &out);
    assert_int_equal(upgraded, status == 101);
    tl_buf_clear(&out);
    return status;
}

#define UPGRADE                                                                                    \
    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"                   \
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

static void each_path_and_method_has_its_status(void **state)
{
    (void)state;
    assert_int_equal(status_of("GET /health", "", ""), 200);
    assert_int_equal(status_of("GET /health?probe=1", "", ""), 200);
    assert_int_equal(status_of("GET /metrics", "", ""), 200);
    assert_int_equal(status_of("GET /", "", ""), 404);
    assert_int_equal(status_of("GET /healthz", "", ""), 404);
    assert_int_equal(status_of("POST /health", "Content-Length: 0\r\n", ""), 405);
    assert_int_equal(status_of("DELETE /ws", "", ""), 405);
}

static bool metrics_have(const char *words)
{
    tl_buf out = {0};
    bool upgraded;
    assert_int_equal(answer("GET /metrics", "", "", &upgraded, &out), 200);
    bool have = memmem(tl_buf_begin(&out), out.len, words, strlen(words)) != NULL;
    tl_buf_clear(&out);
    return have;
}

static void the_metrics_of_stun_are_there_exactly_with_the_service(void **state)
{
    (void)state;
    assert_true(metrics_have("teale_relay_nodes 0"));
    assert_false(metrics_have("teale_relay_stun_"));
    assert_int_equal(tl_stunserver_new(&stun), TL_OK);
    assert_true(metrics_have("teale_relay_nodes 0"));
    assert_true(metrics_have("teale_relay_stun_requests_total 0"));
    tl_stunserver_free(stun);
    stun = NULL;
}

static void the_upgrade_is_answered_with_the_key_of_rfc_6455(void **state)
{
    (void)state;
    tl_buf out = {0};
    bool upgraded;
    assert_int_equal(answer("GET /ws?node=abc", UPGRADE, "", &upgraded, &out), 101);
    assert_true(upgraded);
    assert_int_equal(tl_buf_append(&out, tl_slice_of("", 1)), TL_OK);
    assert_non_null(strstr((char *)tl_buf_begin(&out), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    tl_buf_clear(&out);
}

static void a_wrong_upgrade_is_refused_and_says_what_is_spoken(void **state)
{
    (void)state;
    assert_int_equal(status_of("GET /ws", "", ""), 426);
    assert_int_equal(status_of("GET /ws", "Connection: Upgrade\r\nUpgrade: h2c\r\n", ""), 426);
    assert_int_equal(
        status_of("GET /ws",
                  "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 8\r\n"
                  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
                  ""),
        426);
    assert_int_equal(
        status_of("GET /ws",
                  "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                  "Sec-WebSocket-Key: c2hvcnQ=\r\n",
                  ""),
        400);
    assert_int_equal(status_of("GET /ws", UPGRADE "Content-Length: 5\r\n", ""), 400);
    assert_int_equal(status_of("GET /ws", UPGRADE "Content-Length: 0\r\n", ""), 101);
}

static void peers_are_the_operators_alone(void **state)
{
    (void)state;
    assert_int_equal(status_of("GET /peers", "", ""), 404);
    assert_int_equal(status_of("GET /peers", "Authorization: Bearer \r\n", ""), 404);
    assert_int_equal(status_of("GET /peers", "", "token"), 401);
    assert_int_equal(status_of("GET /peers", "Authorization: Bearer token\r\n", "token"), 200);
    assert_int_equal(status_of("GET /peers", "Authorization: bearer token\r\n", "token"), 200);
    static const char *const wrong[] = {
        "Authorization: Bearer tokem\r\n",
        "Authorization: Bearer toke\r\n",
        "Authorization: Bearer tokenn\r\n",
        "Authorization: Bearer  token\r\n",
        "Authorization: Basic token\r\n",
        "Authorization: Bearer\r\n",
        "Authorization: token\r\n",
        "Authorization: Bearer token\r\nAuthorization: Bearer token\r\n",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        if (status_of("GET /peers", wrong[i], "token") != 403)
            fail_msg("let in: %s", wrong[i]);
}

static void a_request_that_does_not_parse_gets_the_status_it_earned(void **state)
{
    (void)state;
    static const int statuses[] = {400, 417, 431, 501, 503, 505};
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
        tl_buf out = {0};
        tl_http1_head response;
        size_t scanned = 0;
        assert_int_equal(tl_relayd_http_refuse(statuses[i], &out), TL_OK);
        assert_int_equal(tl_http1_response_parse(tl_buf_slice(&out), &scanned, &response), TL_OK);
        assert_int_equal(response.status, statuses[i]);
        tl_buf_clear(&out);
    }
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(each_path_and_method_has_its_status),
        T(the_metrics_of_stun_are_there_exactly_with_the_service),
        T(the_upgrade_is_answered_with_the_key_of_rfc_6455),
        T(a_wrong_upgrade_is_refused_and_says_what_is_spoken),
        T(peers_are_the_operators_alone),
        T(a_request_that_does_not_parse_gets_the_status_it_earned),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
