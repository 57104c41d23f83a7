/* Requests that a hostile web page, or a hostile hand, would send; each beside a twin that passes.
 */
#include "harness.h"

#include <stdio.h>
#include <stdlib.h>

#define BODY      "{\"model\":\"m\"}"
#define LENGTH    "Content-Length: 13\r\n"
#define POST_CHAT "POST /v1/chat/completions HTTP/1.1\r\n"
#define HOST      "Host: localhost\r\n"

/* How the node answered: 0 means that the question reached a model. */
static int outcome(harness *h, const char *request)
{
    client c;
    size_t before = h->node.ask_n;
    client_open(h, &c);
    client_send(&c, request);
    WAIT_UNTIL(h, h->node.ask_n > before || client_answered(&c));
    int status = client_status(&c);
    if (status) {
        /* what follows a refused head is never read as a request */
        assert_int_equal(h->node.ask_n, before);
        assert_true(client_has(&c, "\"error\":{\"message\""));
    }
    client_close(&c);
    return status;
}

/* --- request smuggling --- */

typedef struct {
    const char *bad, *twin;
    int status;
} smuggling_row;

static void refuse_and_pass(const smuggling_row *rows, size_t n)
{
    harness h;
    harness_init(&h, NULL);
    for (size_t i = 0; i < n; i++) {
        int bad = outcome(&h, rows[i].bad), twin = outcome(&h, rows[i].twin);
        if (bad != rows[i].status || twin != 0)
            fail_msg("row %zu: %d instead of %d, its twin %d", i, bad, rows[i].status, twin);
    }
    harness_clear(&h);
}

static void two_readings_of_a_length_never_reach_a_model(void **state)
{
    (void)state;
    static const smuggling_row rows[] = {
        /* bare LF */
        {"POST /v1/chat/completions HTTP/1.1\n" HOST LENGTH "\r\n" BODY,
         POST_CHAT HOST LENGTH "\r\n" BODY, 400},
        {POST_CHAT "Host: localhost\n" LENGTH "\r\n" BODY, POST_CHAT HOST LENGTH "\r\n" BODY, 400},
        {POST_CHAT HOST LENGTH "\n" BODY, POST_CHAT HOST LENGTH "\r\n" BODY, 400},
        /* bare CR */
        {POST_CHAT HOST "X: a\rContent-Length: 0\r\n" LENGTH "\r\n" BODY,
         POST_CHAT HOST "X: a Content-Length: 0\r\n" LENGTH "\r\n" BODY, 400},
        /* lengths */
        {POST_CHAT HOST LENGTH LENGTH "\r\n" BODY, POST_CHAT HOST LENGTH "\r\n" BODY, 400},
        {POST_CHAT HOST LENGTH "Content-Length: 1\r\n\r\n" BODY,
         POST_CHAT HOST LENGTH "Content-Lengths: 1\r\n\r\n" BODY, 400},
        {POST_CHAT HOST "Content-Length: 13, 13\r\n\r\n" BODY, POST_CHAT HOST LENGTH "\r\n" BODY,
         400},
        {POST_CHAT HOST "Content-Length: +13\r\n\r\n" BODY, POST_CHAT HOST LENGTH "\r\n" BODY, 400},
        {POST_CHAT HOST "Content-Length: 0x0d\r\n\r\n" BODY,
         POST_CHAT HOST "Content-Length: 0013\r\n\r\n" BODY, 400},
        {POST_CHAT HOST "Content-Length: -1\r\n\r\n" BODY, POST_CHAT HOST LENGTH "\r\n" BODY, 400},
        {POST_CHAT HOST "Content-Length: 1 3\r\n\r\n" BODY, POST_CHAT HOST LENGTH "\r\n" BODY, 400},
        {POST_CHAT HOST "Content-Length: 18446744073709551629\r\n\r\n" BODY,
         POST_CHAT HOST LENGTH "\r\n" BODY, 400},
        {POST_CHAT HOST "Content-Length : 13\r\n\r\n" BODY, POST_CHAT HOST LENGTH "\r\n" BODY, 400},
        {POST_CHAT HOST "Content-Length\t: 13\r\n\r\n" BODY,
         POST_CHAT HOST "Content-Length:\t13\r\n\r\n" BODY, 400},
    };
    refuse_and_pass(rows, sizeof rows / sizeof *rows);
}

static void two_readings_of_a_transfer_coding_never_reach_a_model(void **state)
{
    (void)state;
    static const smuggling_row rows[] = {
        /* transfer codings */
        {POST_CHAT HOST LENGTH "Transfer-Encoding: chunked\r\n\r\nd\r\n" BODY "\r\n0\r\n\r\n",
         POST_CHAT HOST "Transfer-Encoding: chunked\r\n\r\nd\r\n" BODY "\r\n0\r\n\r\n", 400},
        {POST_CHAT HOST "Transfer-Encoding: gzip, chunked\r\n\r\nd\r\n" BODY "\r\n0\r\n\r\n",
         POST_CHAT HOST "Transfer-Encoding: CHUNKED\r\n\r\nd\r\n" BODY "\r\n0\r\n\r\n", 501},
        {POST_CHAT HOST "Transfer-Encoding: xchunked\r\n\r\nd\r\n" BODY "\r\n0\r\n\r\n",
         POST_CHAT HOST "Transfer-Encoding: chunked\r\n\r\nd\r\n" BODY "\r\n0\r\n\r\n", 501},
        {POST_CHAT HOST "Transfer-Encoding: identity\r\n" LENGTH "\r\n" BODY,
         POST_CHAT HOST LENGTH "\r\n" BODY, 400},
        {POST_CHAT HOST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\nd\r\n" BODY
                        "\r\n0\r\n\r\n",
         POST_CHAT HOST "Transfer-Encoding: chunked\r\n\r\nd\r\n" BODY "\r\n0\r\n\r\n", 400},
        {"POST /v1/chat/completions HTTP/1.0\r\n" HOST
         "Transfer-Encoding: chunked\r\n\r\nd\r\n" BODY "\r\n0\r\n\r\n",
         POST_CHAT HOST "Transfer-Encoding: chunked\r\n\r\nd\r\n" BODY "\r\n0\r\n\r\n", 400},
        {POST_CHAT HOST "Transfer-Encoding:\x0b"
                        "chunked\r\n\r\nd\r\n" BODY "\r\n0\r\n\r\n",
         POST_CHAT HOST "Transfer-Encoding: chunked\r\n\r\nd\r\n" BODY "\r\n0\r\n\r\n", 400},
        /* chunks */
        {POST_CHAT HOST "Transfer-Encoding: chunked\r\n\r\nd\n" BODY "\r\n0\r\n\r\n",
         POST_CHAT HOST "Transfer-Encoding: chunked\r\n\r\nd\r\n" BODY "\r\n0\r\n\r\n", 400},
        {POST_CHAT HOST "Transfer-Encoding: chunked\r\n\r\nc\r\n" BODY "\r\n0\r\n\r\n",
         POST_CHAT HOST "Transfer-Encoding: chunked\r\n\r\n0D\r\n" BODY "\r\n0\r\n\r\n", 400},
        {POST_CHAT HOST "Transfer-Encoding: chunked\r\n\r\nd;\n\r\n" BODY "\r\n0\r\n\r\n",
         POST_CHAT HOST "Transfer-Encoding: chunked\r\n\r\nd;a\r\n" BODY "\r\n0\r\n\r\n", 400},
    };
    refuse_and_pass(rows, sizeof rows / sizeof *rows);
}

static void two_readings_of_a_line_never_reach_a_model(void **state)
{
    (void)state;
    static const smuggling_row rows[] = {
        /* lines and names */
        {POST_CHAT HOST "X: a\r\n b\r\n" LENGTH "\r\n" BODY,
         POST_CHAT HOST "X: a b\r\n" LENGTH "\r\n" BODY, 400},
        {"\r\n" POST_CHAT HOST LENGTH "\r\n" BODY, POST_CHAT HOST LENGTH "\r\n" BODY, 400},
        {POST_CHAT HOST LENGTH ": x\r\n\r\n" BODY, POST_CHAT HOST LENGTH "a: x\r\n\r\n" BODY, 400},
        {POST_CHAT HOST LENGTH "a b: x\r\n\r\n" BODY, POST_CHAT HOST LENGTH "a-b: x\r\n\r\n" BODY,
         400},
        {"POST  /v1/chat/completions HTTP/1.1\r\n" HOST LENGTH "\r\n" BODY,
         POST_CHAT HOST LENGTH "\r\n" BODY, 400},
        {"POST /v1/chat/completions\r\n" HOST LENGTH "\r\n" BODY, POST_CHAT HOST LENGTH "\r\n" BODY,
         400},
        {"POST /v1/chat/completions HTTP/2.0\r\n" HOST LENGTH "\r\n" BODY,
         POST_CHAT HOST LENGTH "\r\n" BODY, 505},
        {"POST http://localhost@a/v1/chat/completions HTTP/1.1\r\n" HOST LENGTH "\r\n" BODY,
         "POST http://localhost/v1/chat/completions HTTP/1.1\r\n" HOST LENGTH "\r\n" BODY, 400},
        {"POST http://evil.example/v1/chat/completions HTTP/1.1\r\n" HOST LENGTH "\r\n" BODY,
         "POST http://localhost/v1/chat/completions HTTP/1.1\r\nHost: evil.example\r\n" LENGTH
         "\r\n" BODY,
         403},
        {POST_CHAT LENGTH "\r\n" BODY, POST_CHAT HOST LENGTH "\r\n" BODY, 400},
        {POST_CHAT HOST HOST LENGTH "\r\n" BODY, POST_CHAT HOST LENGTH "\r\n" BODY, 400},
        {POST_CHAT HOST LENGTH "Expect: 200-ok\r\n\r\n" BODY,
         POST_CHAT HOST LENGTH "Expect: 100-continue\r\n\r\n" BODY, 417},
    };
    refuse_and_pass(rows, sizeof rows / sizeof *rows);
}

static void what_follows_a_malformed_request_is_not_a_request(void **state)
{
    (void)state;
    harness h;
    harness_init(&h, NULL);
    /* a second, good question hidden where a lenient reader would find one */
    assert_int_equal(outcome(&h, POST_CHAT HOST
                             "Content-Length: 0\r\nContent-Length: 13\r\n\r\n" POST_CHAT HOST LENGTH
                             "\r\n" BODY),
                     400);
    harness_run_for(&h, 20 * TL_MS);
    assert_int_equal(h.node.ask_n, 0);
    harness_clear(&h);
}

static void a_head_of_more_than_16_KiB_or_64_lines_is_431(void **state)
{
    (void)state;
    harness h;
    harness_init(&h, NULL);
    for (int lines = 0; lines <= 1; lines++) {
        for (int over = 0; over <= 1; over++) {
            tl_buf head = {0};
            assert_int_equal(tl_buf_append_str(&head, POST_CHAT HOST LENGTH), TL_OK);
            for (int i = 0; i < (lines ? 62 + over : 1); i++) {
                assert_int_equal(tl_buf_append_str(&head, "X: "), TL_OK);
                for (int k = 0; k < (lines ? 1 : 16200 + over * 200); k++)
                    assert_int_equal(tl_buf_append_str(&head, "y"), TL_OK);
                assert_int_equal(tl_buf_append_str(&head, "\r\n"), TL_OK);
            }
            assert_int_equal(tl_buf_append(&head, TL_SLICE_LIT("\r\n" BODY "\0")), TL_OK);
            assert_int_equal(outcome(&h, (char *)tl_buf_begin(&head)), over ? 431 : 0);
            tl_buf_clear(&head);
        }
    }
    harness_clear(&h);
}

/* --- hostile web pages --- */

typedef struct {
    const char *headers;
    int status;
    const char *code;
} page_row;

static void walk(harness *h, const page_row *rows, size_t n, const char *allowed_origin)
{
    for (size_t i = 0; i < n; i++) {
        client c;
        char *text;
        assert_true(asprintf(&text, "GET /v1/models HTTP/1.1\r\n%s\r\n", rows[i].headers) > 0);
        exchange(h, &c, text);
        if (client_status(&c) != rows[i].status)
            fail_msg("row %zu: %d instead of %d for %s", i, client_status(&c), rows[i].status,
                     rows[i].headers);
        if (rows[i].code)
            assert_true(client_has(&c, rows[i].code));
        bool cors = rows[i].status == 200 && strstr(rows[i].headers, allowed_origin);
        assert_int_equal(client_has(&c, "\r\nAccess-Control-Allow-Origin: "), cors);
        free(text);
        client_close(&c);
    }
}

static void only_our_own_names_are_served(void **state)
{
    (void)state;
    static const page_row rows[] = {
        {"Host: localhost\r\n", 200, NULL},
        {"Host: LocalHost:11435\r\n", 200, NULL},
        {"Host: 127.0.0.1\r\n", 200, NULL},
        {"Host: 127.8.9.10:80\r\n", 200, NULL},
        {"Host: [::1]:11435\r\n", 200, NULL},
        {"Host: [::ffff:127.0.0.1]\r\n", 200, NULL},
        {"Host: my.box:11435\r\n", 200, NULL}, /* allowed by the settings */
        {"Host: MY.BOX\r\n", 200, NULL},
        {"Host: evil.example\r\n", 403, "host_not_allowed"},
        {"Host: localhost.evil.example\r\n", 403, "host_not_allowed"},
        {"Host: evil-localhost\r\n", 403, "host_not_allowed"},
        {"Host: 127.0.0.1.evil.example\r\n", 403, "host_not_allowed"},
        {"Host: 0.0.0.0\r\n", 403, "host_not_allowed"},
        {"Host: 128.0.0.1\r\n", 403, "host_not_allowed"},
        {"Host: 192.168.1.2\r\n", 403, "host_not_allowed"},
        {"Host: [::]\r\n", 403, "host_not_allowed"},
        {"Host: [fe80::1]\r\n", 403, "host_not_allowed"},
        {"Host: 2130706433\r\n", 403, "host_not_allowed"},
        {"Host: 127.1\r\n", 403, "host_not_allowed"},
        {"Host: 0177.0.0.1\r\n", 403, "host_not_allowed"},
        {"Host: my.box.evil.example\r\n", 403, "host_not_allowed"},
        {"Host: localhost@evil.example\r\n", 400, NULL},
        {"Host: localhost:99999\r\n", 403, "host_not_allowed"},
        {"Host: localhost:11435:1\r\n", 403, "host_not_allowed"},
    };
    harness h;
    tl_api_config config = harness_config();
    config.allowed_hosts.n = 1;
    snprintf(config.allowed_hosts.item[0], 256, "my.box");
    harness_init(&h, &config);
    walk(&h, rows, sizeof rows / sizeof *rows, "none");
    harness_clear(&h);
}

static void only_our_own_pages_and_allowed_ones_are_served(void **state)
{
    (void)state;
    static const page_row rows[] = {
        {"Host: localhost:11435\r\n", 200, NULL}, /* no browser */
        {"Host: localhost:11435\r\nOrigin: http://localhost:11435\r\n", 200, NULL},
        {"Host: 127.0.0.1:11435\r\nOrigin: http://127.0.0.1:11435\r\nSec-Fetch-Site: "
         "same-origin\r\n",
         200, NULL},
        {"Host: localhost:11435\r\nOrigin: https://app.example\r\n", 200, NULL},
        {"Host: localhost:11435\r\nOrigin: https://app.example\r\nSec-Fetch-Site: cross-site\r\n",
         200, NULL},
        {"Host: localhost:11435\r\nSec-Fetch-Site: none\r\n", 200, NULL}, /* typed by the user */
        {"Host: localhost:11435\r\nSec-Fetch-Site: same-site\r\n", 200, NULL},
        {"Host: localhost:11435\r\nOrigin: http://localhost:3000\r\n", 403, "origin_not_allowed"},
        {"Host: localhost:11435\r\nOrigin: http://127.0.0.1:11435\r\n", 403, "origin_not_allowed"},
        {"Host: localhost:11435\r\nOrigin: https://evil.example\r\n", 403, "origin_not_allowed"},
        {"Host: localhost:11435\r\nOrigin: https://app.example.evil\r\n", 403,
         "origin_not_allowed"},
        {"Host: localhost:11435\r\nOrigin: http://app.example\r\n", 403, "origin_not_allowed"},
        {"Host: localhost:11435\r\nOrigin: https://app.example:8443\r\n", 403,
         "origin_not_allowed"},
        {"Host: localhost:11435\r\nOrigin: null\r\n", 403, "origin_not_allowed"},
        {"Host: localhost:11435\r\nOrigin:\r\n", 403, "origin_not_allowed"},
        {"Host: localhost:11435\r\nOrigin: file://localhost:11435\r\n", 403, "origin_not_allowed"},
        {"Host: localhost:11435\r\nOrigin: http://\r\n", 403, "origin_not_allowed"},
        {"Host: localhost:11435\r\nOrigin: http://localhost:11435\r\nOrigin: "
         "https://evil.example\r\n",
         403, "origin_not_allowed"},
        {"Host: localhost:11435\r\nSec-Fetch-Site: cross-site\r\n", 403, "origin_not_allowed"},
        {"Host: localhost:11435\r\nOrigin: http://localhost:11435\r\nSec-Fetch-Site: "
         "cross-site\r\n",
         403, "origin_not_allowed"},
        {"Host: evil.example\r\nOrigin: http://evil.example\r\n", 403,
         "host_not_allowed"}, /* rebinding */
    };
    harness h;
    tl_api_config config = harness_config();
    config.allowed_origins.n = 1;
    snprintf(config.allowed_origins.item[0], 256, "https://app.example");
    harness_init(&h, &config);
    walk(&h, rows, sizeof rows / sizeof *rows, "Origin: https://app.example\r\n");
    harness_clear(&h);
}

static void lists_changed_while_running_hold_from_the_next_request_on(void **state)
{
    (void)state;
    static const char request[] = "GET /health HTTP/1.1\r\nHost: my.box\r\n\r\n";
    harness h;
    client c;
    tl_string_list hosts = {.n = 1, .item = {"my.box"}}, none = {0};
    harness_init(&h, NULL);
    exchange(&h, &c, request);
    assert_int_equal(client_status(&c), 403);
    client_close(&c);
    tl_api_set_allowed(h.api, &hosts, &none);
    exchange(&h, &c, request);
    assert_int_equal(client_status(&c), 200);
    client_close(&c);
    harness_clear(&h);
}

static void a_preflight_is_answered_for_allowed_pages_alone(void **state)
{
    (void)state;
    harness h;
    client c;
    tl_api_config config = harness_config();
    config.allowed_origins.n = 1;
    snprintf(config.allowed_origins.item[0], 256, "https://app.example");
    harness_init(&h, &config);
    exchange(&h, &c,
             "OPTIONS /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
             "Origin: https://app.example\r\nAccess-Control-Request-Method: POST\r\n"
             "Access-Control-Request-Headers: authorization,content-type,x-stainless-os\r\n"
             "Access-Control-Request-Private-Network: true\r\n\r\n");
    assert_int_equal(client_status(&c), 204);
    assert_true(client_has(&c, "\r\nAccess-Control-Allow-Origin: https://app.example\r\n"));
    assert_true(client_has(&c, "\r\nAccess-Control-Allow-Methods: POST, OPTIONS\r\n"));
    assert_true(client_has(
        &c, "\r\nAccess-Control-Allow-Headers: authorization,content-type,x-stainless-os\r\n"));
    assert_true(client_has(&c, "\r\nAccess-Control-Allow-Private-Network: true\r\n"));
    assert_true(client_has(&c, "\r\nVary: Origin\r\n"));
    client_close(&c);
    exchange(&h, &c,
             "OPTIONS /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
             "Origin: https://evil.example\r\nAccess-Control-Request-Method: POST\r\n\r\n");
    assert_int_equal(client_status(&c), 403);
    assert_false(client_has(&c, "Access-Control-"));
    client_close(&c);
    harness_clear(&h);
}

/* The browser is the owner's, so the connection is, too. */
static void an_allowed_page_asks_and_reads_and_changes_nothing_without_the_key(void **state)
{
    (void)state;
    static const char *const changes[] = {
        "PUT /v1/app/settings",
        "POST /v1/app/ptn",
        "DELETE /v1/app/ptn/home",
        "PUT /v1/app/aliases/ab",
        "POST /v1/app/pause",
        "POST /v1/app/qr",
        "POST /v1/app/ptn/join",
        "POST /v1/app/ptn/home/key",
        "POST /v1/app/peers/ab/ping",
        "PUT /v1/app/ptn/a/price",
        "POST /v1/app/wallet/settlements",
    };
    static const struct {
        const char *headers;
        bool passes;
    } rows[] = {
        {"Origin: https://app.example\r\n", false},
        {"Origin: https://app.example\r\nSec-Fetch-Site: cross-site\r\n", false},
        {"Origin: https://app.example\r\nAuthorization: Bearer tl-wrong\r\n", false},
        {"Origin: https://app.example\r\nAuthorization: Bearer " KEY "\r\n", true},
        {"Origin: http://localhost\r\n", true}, /* the node's own page, also if it is listed */
        {"", true},
    };
    harness h;
    client c;
    char text[400];
    tl_api_config config = harness_config();
    config.allowed_origins = (tl_string_list){2, {"https://app.example", "http://localhost"}};
    harness_init(&h, &config);
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++)
        for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
            if (i > 0 && rows[k].passes) /* the fake node would never answer some of them */
                continue;
            snprintf(text, sizeof text,
                     "%s HTTP/1.1\r\nHost: localhost\r\n%sContent-Length: 2\r\n\r\n[]", changes[i],
                     rows[k].headers);
            exchange(&h, &c, text);
            if ((client_status(&c) != 401) != rows[k].passes)
                fail_msg("%s, %s: %d", changes[i], rows[k].headers, client_status(&c));
            client_close(&c);
        }
    exchange(&h, &c,
             "GET /v1/app HTTP/1.1\r\nHost: localhost\r\nOrigin: https://app.example\r\n\r\n");
    assert_int_equal(client_status(&c), 200);
    client_close(&c);
    harness_clear(&h);
}

/* --- the key --- */

static void a_page_that_is_allowed_can_read_why_its_body_is_refused(void **state)
{
    (void)state;
    harness h;
    client c;
    tl_api_config config = harness_config();
    config.allowed_origins.n = 1;
    snprintf(config.allowed_origins.item[0], 256, "https://app.example");
    harness_init(&h, &config);
    for (int allowed = 0; allowed <= 1; allowed++) {
        exchange(&h, &c,
                 allowed ? "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
                           "Origin: https://app.example\r\nContent-Length: 30000000\r\n\r\n"
                         : "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
                           "Origin: https://evil.example\r\nContent-Length: 30000000\r\n\r\n");
        assert_int_equal(client_status(&c), allowed ? 413 : 403);
        assert_int_equal(client_has(&c, "\r\nAccess-Control-Allow-Origin: "), allowed);
        client_close(&c);
    }
    harness_clear(&h);
}

static void beyond_loopback_the_key_is_needed(void **state)
{
    (void)state;
    static const struct {
        const char *target, *header;
        int status;
    } rows[] = {
        {"/v1/models", "Authorization: Bearer " KEY "\r\n", 200},
        {"/v1/models", "authorization: bearer " KEY "\r\n", 200},
        {"/v1/models", "", 401},
        {"/v1/models", "Authorization: Bearer " KEY "x\r\n", 401},
        {"/v1/models", "Authorization: Bearer tl-0123456789abcdef0123456789abcdee\r\n", 401},
        {"/v1/models", "Authorization: Bearer\r\n", 401},
        {"/v1/models", "Authorization: Bearer \r\n", 401},
        {"/v1/models", "Authorization: " KEY "\r\n", 401},
        {"/v1/models", "Authorization: Basic " KEY "\r\n", 401},
        {"/v1/models", "Authorization: Bearer " KEY "\r\nAuthorization: Bearer x\r\n", 401},
        {"/v1/models?key=" KEY, "", 401},
        {"/v1/app", "", 401},
        {"/v1/events", "", 401},
        {"/metrics", "", 401},
        {"/nowhere", "", 401}, /* says not even what exists */
        {"/control/env", "", 401},
        {"/control/env", "Authorization: Bearer " KEY "\r\n", 404},
        {"/health", "", 200},
        {"/", "", 200},
        {"/js/main.js", "", 200},
        {"/css/base.css", "", 200},
    };
    harness h;
    tl_api_config config = harness_config();
    assert_int_equal(tl_addr_parse(TL_SLICE_LIT("0.0.0.0:0"), &config.listen[0]), TL_OK);
    harness_init(&h, &config);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        client c;
        char *text;
        assert_true(asprintf(&text, "GET %s HTTP/1.1\r\nHost: localhost\r\n%s\r\n", rows[i].target,
                             rows[i].header) > 0);
        exchange(&h, &c, text);
        if (client_status(&c) != rows[i].status)
            fail_msg("row %zu: %d instead of %d", i, client_status(&c), rows[i].status);
        assert_int_equal(client_has(&c, "\r\nWWW-Authenticate: Bearer\r\n"), rows[i].status == 401);
        free(text);
        client_close(&c);
    }
    harness_clear(&h);
}

static void on_loopback_any_key_or_none_will_do(void **state)
{
    (void)state;
    static const char *const headers[] = {"", "Authorization: Bearer " KEY "\r\n",
                                          "Authorization: Bearer sk-something-else\r\n"};
    harness h;
    harness_init(&h, NULL);
    for (size_t i = 0; i < 3; i++) {
        client c;
        char *text;
        assert_true(asprintf(&text, "GET /v1/models HTTP/1.1\r\nHost: localhost\r\n%s\r\n",
                             headers[i]) > 0);
        exchange(&h, &c, text);
        assert_int_equal(client_status(&c), 200);
        free(text);
        client_close(&c);
    }
    harness_clear(&h);
}

static void beyond_loopback_without_a_key_nothing_listens(void **state)
{
    (void)state;
    harness h;
    tl_api *api = NULL;
    tl_why why;
    harness_init(&h, NULL);
    tl_api_config config = harness_config();
    assert_int_equal(tl_addr_parse(TL_SLICE_LIT("0.0.0.0:0"), &config.listen[0]), TL_OK);
    config.key[0] = 0;
    assert_int_equal(tl_api_new(h.loop, &h.node, &config, &api, &why), TL_ERR_INVALID);
    memcpy(config.key, KEY, sizeof KEY);
    assert_int_equal(tl_api_new(h.loop, &h.node, &config, &api, &why), TL_OK);
    tl_api_free(api);
    harness_clear(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_readings_of_a_length_never_reach_a_model),
        cmocka_unit_test(two_readings_of_a_transfer_coding_never_reach_a_model),
        cmocka_unit_test(two_readings_of_a_line_never_reach_a_model),
        cmocka_unit_test(what_follows_a_malformed_request_is_not_a_request),
        cmocka_unit_test(a_head_of_more_than_16_KiB_or_64_lines_is_431),
        cmocka_unit_test(only_our_own_names_are_served),
        cmocka_unit_test(only_our_own_pages_and_allowed_ones_are_served),
        cmocka_unit_test(lists_changed_while_running_hold_from_the_next_request_on),
        cmocka_unit_test(a_preflight_is_answered_for_allowed_pages_alone),
        cmocka_unit_test(an_allowed_page_asks_and_reads_and_changes_nothing_without_the_key),
        cmocka_unit_test(a_page_that_is_allowed_can_read_why_its_body_is_refused),
        cmocka_unit_test(beyond_loopback_the_key_is_needed),
        cmocka_unit_test(on_loopback_any_key_or_none_will_do),
        cmocka_unit_test(beyond_loopback_without_a_key_nothing_listens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
