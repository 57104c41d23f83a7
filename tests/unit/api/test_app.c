/* /v1/app/ptn and /v1/app/wallet: which verb each request becomes, with which arguments, and what is
 * refused before the node hears of it. */
#include "harness.h"

#include <stdio.h>
#include <stdlib.h>

#define ID    "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a" /* RFC 8032 7.1 */
#define NONCE "0123456789abcdef0123456789abcdef"

static char *request_text(const char *method, const char *path, const char *headers,
                          const char *body)
{
    char *text;
    if (asprintf(&text, "%s %s HTTP/1.1\r\nHost: localhost\r\n%sContent-Length: %zu\r\n\r\n%s",
                 method, path, headers, strlen(body), body) < 0)
        abort();
    return text;
}

/* Sends it; the node must get `verb` with `args` (JSON). */
static void expect_verb(harness *h, const char *method, const char *path, const char *body,
                        const char *verb, const char *args)
{
    client c;
    char *text = request_text(method, path, "", body);
    client_open(h, &c);
    client_send(&c, text);
    WAIT_UNTIL(h, h->node.on_call || client_answered(&c));
    if (!h->node.on_call)
        fail_msg("%s %s %s: %s", method, path, body, client_body(&c));
    json_t *wanted = json_loads(args, 0, NULL);
    assert_non_null(wanted);
    assert_string_equal(h->node.verb, verb);
    if (!json_equal(h->node.args, wanted))
        fail_msg("%s %s: %s", method, path, json_dumps(h->node.args, 0));
    json_decref(wanted);
    fake_call_answer(&h->node, "{\"done\":1}", NULL, 0, 0);
    WAIT_UNTIL(h, client_answered(&c));
    assert_int_equal(client_status(&c), 200);
    assert_string_equal(client_body(&c), "{\"done\":1}\n");
    client_close(&c);
    free(text);
}

/* Sends it; the node must hear nothing. */
static void expect_refusal(harness *h, const char *method, const char *path, const char *headers,
                           const char *body, int status, const char *code)
{
    client c;
    char *text = request_text(method, path, headers, body), wanted[80];
    client_open(h, &c);
    client_send(&c, text);
    WAIT_UNTIL(h, h->node.on_call || client_answered(&c));
    if (h->node.on_call || client_status(&c) != status)
        fail_msg("%s %s %s: %s %s", method, path, body, h->node.on_call ? h->node.verb : "",
                 client_body(&c));
    snprintf(wanted, sizeof wanted, "\"code\":\"%s\"", code);
    if (!client_has(&c, wanted))
        fail_msg("%s %s: %s", method, path, client_body(&c));
    client_close(&c);
    free(text);
}

static void each_request_becomes_the_verb_that_the_command_uses(void **state)
{
    (void)state;
    static const struct {
        const char *method, *path, *body, *verb, *args;
    } rows[] = {
        {"GET", "/v1/app/ptn", "", "ptn.list", "{}"},
        {"POST", "/v1/app/ptn", "{\"name\":\"lab\"}", "ptn.create", "{\"name\":\"lab\"}"},
        {"GET", "/v1/app/ptn/" ID, "", "ptn.show", "{\"net\":\"" ID "\"}"},
        {"GET", "/v1/app/ptn/la%62", "", "ptn.show", "{\"net\":\"lab\"}"},
        {"DELETE", "/v1/app/ptn/" ID, "", "ptn.leave", "{\"net\":\"" ID "\"}"},
        {"DELETE", "/v1/app/ptn/lab?delete=true", "", "ptn.leave",
         "{\"net\":\"lab\",\"delete\":true}"},
        {"DELETE", "/v1/app/ptn/lab?delete=no", "", "ptn.leave", "{\"net\":\"lab\"}"},
        {"GET", "/v1/app/ptn/lab/members", "", "ptn.members", "{\"net\":\"lab\"}"},
        {"GET", "/v1/app/ptn/lab/invites", "", "ptn.invites", "{\"net\":\"lab\"}"},
        {"POST", "/v1/app/ptn/lab/invites", "", "ptn.invite",
         "{\"net\":\"lab\",\"role\":\"consumer\"}"},
        {"POST", "/v1/app/ptn/lab/invites",
         "{\"role\":\"provider\",\"expires_s\":60,\"valid_s\":9007199254740991,\"for\":\"" ID "\"}",
         "ptn.invite",
         "{\"net\":\"lab\",\"role\":\"provider\",\"expires_s\":60,\"valid_s\":9007199254740991,"
         "\"for\":\"" ID "\"}"},
        {"POST", "/v1/app/ptn/lab/invites", "{\"valid_s\":null,\"for\":null}", "ptn.invite",
         "{\"net\":\"lab\",\"role\":\"consumer\"}"},
        {"DELETE", "/v1/app/ptn/lab/invites/" NONCE, "", "ptn.withdraw",
         "{\"net\":\"lab\",\"nonce\":\"" NONCE "\"}"},
        {"POST", "/v1/app/ptn/lab/revocations", "{\"node_id\":\"" ID "\"}", "ptn.revoke",
         "{\"net\":\"lab\",\"node_id\":\"" ID "\"}"},
        {"POST", "/v1/app/ptn/lab/revocations", "{\"node_id\":\"" ID "\",\"dry_run\":true}",
         "ptn.revoke", "{\"net\":\"lab\",\"node_id\":\"" ID "\",\"dry_run\":true}"},
        {"POST", "/v1/app/ptn/lab/admins", "{\"node_id\":\"" ID "\"}", "ptn.promote",
         "{\"net\":\"lab\",\"node_id\":\"" ID "\"}"},
        {"POST", "/v1/app/ptn/lab/renewals", "{}", "ptn.renew", "{\"net\":\"lab\"}"},
        {"POST", "/v1/app/ptn/lab/renewals", "{\"node_id\":\"" ID "\",\"valid_s\":5}", "ptn.renew",
         "{\"net\":\"lab\",\"node_id\":\"" ID "\",\"valid_s\":5}"},
        {"GET", "/v1/app/ptn/lab/price", "", "ptn.price", "{\"net\":\"lab\"}"},
        {"PUT", "/v1/app/ptn/lab/price", "{\"price_micro\":0}", "ptn.price",
         "{\"net\":\"lab\",\"price_micro\":0}"},
        {"POST", "/v1/app/ptn/join", "{\"invite\":\"teale:inv1:x\"}", "ptn.join",
         "{\"invite\":\"teale:inv1:x\"}"},
        {"POST", "/v1/app/ptn/lab/key", "", "ptn.key", "{\"net\":\"lab\"}"},
        {"POST", "/v1/app/ptn/lab/key", "{\"new\":true}", "ptn.key",
         "{\"net\":\"lab\",\"new\":true}"},
        {"GET", "/v1/app/sharing", "", "serving", "{}"},
        {"POST", "/v1/app/pause", "", "pause", "{}"},
        {"POST", "/v1/app/pause", "{\"for_s\":900,\"now\":true}", "pause",
         "{\"for_s\":900,\"now\":true}"},
        {"POST", "/v1/app/pause", "{\"for_s\":315360000}", "pause", "{\"for_s\":315360000}"},
        {"POST", "/v1/app/resume", "", "resume", "{}"},
        {"GET", "/v1/app/wallet", "", "wallet.show", "{}"},
        {"GET", "/v1/app/wallet/audit", "", "wallet.audit", "{}"},
        {"GET", "/v1/app/wallet/history", "", "wallet.history", "{}"},
        {"GET", "/v1/app/wallet/history?since=2026-01-31T18:00:00%2B01:00&peer=" ID "&ptn=lab", "",
         "wallet.history", "{\"since\":1769878800,\"peer\":\"" ID "\",\"net\":\"lab\"}"},
        {"GET", "/v1/app/wallet/history?limit=50&order=newest", "", "wallet.history",
         "{\"limit\":50,\"newest\":true}"},
        {"GET", "/v1/app/wallet/history?order=oldest&after=1769878800-42", "", "wallet.history",
         "{\"after\":{\"at\":1769878800,\"id\":42}}"},
        {"GET", "/v1/app/wallet/history?limit=1000", "", "wallet.history", "{\"limit\":1000}"},
        {"POST", "/v1/app/wallet/settlements", "{\"peer\":\"" ID "\",\"amount_micro\":1}",
         "wallet.settle", "{\"peer\":\"" ID "\",\"amount_micro\":1}"},
        {"GET", "/v1/app/wallet/history?peer=Bob%27s%20Mac", "", "wallet.history",
         "{\"peer\":\"Bob's Mac\"}"},
        {"POST", "/v1/app/ptn/lab/revocations", "{\"node_id\":\"mum\"}", "ptn.revoke",
         "{\"net\":\"lab\",\"node_id\":\"mum\"}"},
        {"GET", "/v1/app/aliases", "", "alias.list", "{}"},
        {"PUT", "/v1/app/aliases/" ID, "{\"alias\":\"mum\"}", "alias.set",
         "{\"peer\":\"" ID "\",\"alias\":\"mum\"}"},
        {"PUT", "/v1/app/aliases/Bob%27s%20Mac", "{\"alias\":\"bob\"}", "alias.set",
         "{\"peer\":\"Bob's Mac\",\"alias\":\"bob\"}"},
        {"DELETE", "/v1/app/aliases/mum", "", "alias.remove", "{\"peer\":\"mum\"}"},
    };
    harness h;
    harness_init(&h, NULL);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        expect_verb(&h, rows[i].method, rows[i].path, rows[i].body, rows[i].verb, rows[i].args);
    harness_clear(&h);
}

static void bodies_with_a_wrong_missing_or_unknown_field_are_400(void **state)
{
    (void)state;
    static const struct {
        const char *method, *path, *body, *code;
    } rows[] = {
        {"POST", "/v1/app/ptn", "", "invalid_value"},
        {"POST", "/v1/app/ptn", "{\"name\":\"\"}", "invalid_value"},
        {"POST", "/v1/app/ptn", "{\"name\":null}", "invalid_value"},
        {"POST", "/v1/app/ptn", "{\"name\":5}", "invalid_value"},
        {"POST", "/v1/app/ptn", "{\"name\":\"a\\u0000b\"}", "invalid_value"},
        {"POST", "/v1/app/ptn", "{\"name\":\"lab\",\"role\":\"admin\"}", "invalid_value"},
        {"POST", "/v1/app/ptn", "{\"name\":\"lab\",\"name\":\"lab\"}", "invalid_json"},
        {"POST", "/v1/app/ptn", "[\"lab\"]", "invalid_json"},
        {"POST", "/v1/app/ptn", "{\"name\":\"lab\"} x", "invalid_json"},
        {"POST", "/v1/app/ptn/lab/invites", "{\"role\":\"king\"}", "invalid_value"},
        {"POST", "/v1/app/ptn/lab/invites", "{\"expires_s\":0}", "invalid_value"},
        {"POST", "/v1/app/ptn/lab/invites", "{\"expires_s\":2592001}", "invalid_value"},
        {"POST", "/v1/app/ptn/lab/invites", "{\"expires_s\":1e3}", "invalid_value"},
        {"POST", "/v1/app/ptn/lab/invites", "{\"expires_s\":60.0}", "invalid_value"},
        {"POST", "/v1/app/ptn/lab/invites", "{\"expires_s\":\"60\"}", "invalid_value"},
        {"POST", "/v1/app/ptn/lab/invites", "{\"valid_s\":9007199254740992}", "invalid_value"},
        {"POST", "/v1/app/ptn/lab/invites", "{\"for\":\"\"}", "invalid_value"},
        {"POST", "/v1/app/ptn/lab/revocations", "{}", "invalid_value"},
        {"POST", "/v1/app/ptn/lab/revocations", "{\"node_id\":5}", "invalid_value"},
        {"POST", "/v1/app/ptn/lab/revocations", "{\"node_id\":\"a\\u0000b\"}", "invalid_value"},
        {"PUT", "/v1/app/aliases/" ID, "{}", "invalid_value"},
        {"PUT", "/v1/app/aliases/" ID, "{\"alias\":\"\"}", "invalid_value"},
        {"PUT", "/v1/app/aliases/" ID, "{\"alias\":\"mum\",\"peer\":\"x\"}", "invalid_value"},
        {"PUT", "/v1/app/ptn/lab/price", "{}", "invalid_value"},
        {"PUT", "/v1/app/ptn/lab/price", "{\"price_micro\":-1}", "invalid_value"},
        {"PUT", "/v1/app/ptn/lab/price", "{\"price_micro\":NaN}", "invalid_json"},
        {"PUT", "/v1/app/ptn/lab/price", "{\"price_micro\":9223372036854775808}", "invalid_json"},
        {"POST", "/v1/app/wallet/settlements", "{\"peer\":\"" ID "\",\"amount_micro\":0}",
         "invalid_value"},
        {"POST", "/v1/app/wallet/settlements", "{\"peer\":\"" ID "\"}", "invalid_value"},
        {"GET", "/v1/app/wallet/history?since=yesterday", "", "invalid_value"},
        {"GET", "/v1/app/wallet/history?since=", "", "invalid_value"},
        {"GET", "/v1/app/wallet/history?peer=", "", "invalid_value"},
        {"GET", "/v1/app/wallet/history?limit=0", "", "invalid_value"},
        {"GET", "/v1/app/wallet/history?limit=1001", "", "invalid_value"},
        {"GET", "/v1/app/wallet/history?limit=", "", "invalid_value"},
        {"GET", "/v1/app/wallet/history?limit=99999999999999999999", "", "invalid_value"},
        {"GET", "/v1/app/wallet/history?after=5", "", "invalid_value"},
        {"GET", "/v1/app/wallet/history?after=5-", "", "invalid_value"},
        {"GET", "/v1/app/wallet/history?after=-5", "", "invalid_value"},
        {"GET", "/v1/app/wallet/history?after=5-6-7", "", "invalid_value"},
        {"GET", "/v1/app/wallet/history?order=best", "", "invalid_value"},
        {"POST", "/v1/app/pause", "{\"for_s\":0}", "invalid_value"},
        {"POST", "/v1/app/pause", "{\"for_s\":315360001}", "invalid_value"},
        {"POST", "/v1/app/pause", "{\"now\":1}", "invalid_value"},
        {"POST", "/v1/app/pause", "{\"until\":5}", "invalid_value"},
        {"POST", "/v1/app/resume", "{\"now\":true}", "invalid_value"},
        {"POST", "/v1/app/ptn/lab/key", "{\"new\":\"yes\"}", "invalid_value"},
        {"POST", "/v1/app/ptn/join", "{\"invite\":\"\"}", "invalid_value"},
    };
    harness h;
    harness_init(&h, NULL);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        expect_refusal(&h, rows[i].method, rows[i].path, "", rows[i].body, 400, rows[i].code);
    harness_clear(&h);
}

static void paths_that_name_nothing_are_404(void **state)
{
    (void)state;
    static const char *const paths[][2] = {
        {"GET", "/v1/app/ptn/"},
        {"GET", "/v1/app/ptn//members"},
        {"GET", "/v1/app/ptn/lab/"},
        {"GET", "/v1/app/ptn/lab/nothing"},
        {"GET", "/v1/app/ptn/lab/members/x"},
        {"GET", "/v1/app/wallet/"},
        {"GET", "/v1/app/wallets"},
        {"DELETE", "/v1/app/aliases/"},
        {"DELETE", "/v1/app/aliases/%ff"},
        {"GET", "/v1/app/ptn/%ff"},
        {"GET", "/v1/app/ptn/a%00b"},
        {"GET", "/v1/app/ptn/" ID "00"},
        {"DELETE", "/v1/app/ptn/lab/invites/abc"},
        {"DELETE", "/v1/app/ptn/lab/invites/" NONCE "0"},
    };
    harness h;
    harness_init(&h, NULL);
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        expect_refusal(&h, paths[i][0], paths[i][1], "", "", 404, "not_found");
    harness_clear(&h);
}

static void other_methods_are_405_and_allow_names_the_right_ones(void **state)
{
    (void)state;
    static const struct {
        const char *method, *path, *allow;
    } rows[] = {
        {"DELETE", "/v1/app/ptn", "GET, HEAD, POST, OPTIONS"},
        {"POST", "/v1/app/ptn/lab", "GET, HEAD, DELETE, OPTIONS"},
        {"GET", "/v1/app/ptn/join", "POST, OPTIONS"},
        {"POST", "/v1/app/ptn/lab/price", "GET, HEAD, PUT, OPTIONS"},
        {"GET", "/v1/app/ptn/lab/invites/" NONCE, "DELETE, OPTIONS"},
        {"POST", "/v1/app/aliases", "GET, HEAD, OPTIONS"},
        {"GET", "/v1/app/aliases/mum", "PUT, DELETE, OPTIONS"},
        {"PATCH", "/v1/app/ptn/lab/members", "GET, HEAD, OPTIONS"},
        {"GET", "/v1/app/ptn/lab/key", "POST, OPTIONS"},
        {"GET", "/v1/app/pause", "POST, OPTIONS"},
        {"GET", "/v1/app/qr", "POST, OPTIONS"},
        {"POST", "/v1/app/sharing", "GET, HEAD, OPTIONS"},
        {"PUT", "/v1/app/wallet/settlements", "POST, OPTIONS"},
        {"DELETE", "/v1/chat/completions", "POST, OPTIONS"},
        {"PUT", "/v1/models", "GET, HEAD, OPTIONS"},
    };
    harness h;
    harness_init(&h, NULL);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        client c;
        char *text = request_text(rows[i].method, rows[i].path, "", ""), line[80];
        exchange(&h, &c, text);
        snprintf(line, sizeof line, "Allow: %s\r\n", rows[i].allow);
        assert_int_equal(client_status(&c), 405);
        if (!client_has(&c, line))
            fail_msg("%s %s lacks %s", rows[i].method, rows[i].path, line);
        client_close(&c);
        free(text);
    }
    assert_null(h.node.on_call);
    harness_clear(&h);
}

/* A page elsewhere can make the browser send DELETE and PUT only after a preflight, and that is
 * refused; even if it were sent, the request is refused as a POST is. */
static void pages_of_other_origins_reach_none_of_them(void **state)
{
    (void)state;
    static const char *const rows[][3] = {
        {"POST", "/v1/app/ptn", "{\"name\":\"lab\"}"},
        {"DELETE", "/v1/app/ptn/lab", ""},
        {"PUT", "/v1/app/ptn/lab/price", "{\"price_micro\":0}"},
        {"POST", "/v1/app/ptn/join", "{\"invite\":\"x\"}"},
        {"POST", "/v1/app/ptn/join/preview", "{\"invite\":\"x\"}"},
        {"POST", "/v1/app/ptn/lab/key", ""},
        {"POST", "/v1/app/pause", ""},
        {"POST", "/v1/app/qr?width=1&height=1", "a"},
        {"GET", "/v1/app/sharing", ""},
        {"GET", "/v1/app/wallet", ""},
        {"OPTIONS", "/v1/app/ptn/lab", ""},
    };
    static const char *const origins[] = {"Origin: https://evil.example\r\n", "Origin: null\r\n",
                                          "Sec-Fetch-Site: cross-site\r\n"};
    harness h;
    harness_init(&h, NULL);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (size_t k = 0; k < sizeof origins / sizeof *origins; k++)
            expect_refusal(&h, rows[i][0], rows[i][1], origins[k], rows[i][2], 403,
                           "origin_not_allowed");
    harness_clear(&h);
}

static void an_allowed_page_is_told_all_methods_before_it_asks(void **state)
{
    (void)state;
    tl_api_config config = harness_config();
    client c;
    harness h;
    config.allowed_origins.n = 1;
    snprintf(config.allowed_origins.item[0], sizeof config.allowed_origins.item[0],
             "https://app.example");
    harness_init(&h, &config);
    char *text = request_text("OPTIONS", "/v1/app/ptn/lab",
                              "Origin: https://app.example\r\n"
                              "Access-Control-Request-Method: DELETE\r\n",
                              "");
    exchange(&h, &c, text);
    assert_int_equal(client_status(&c), 204);
    assert_true(client_has(&c, "Access-Control-Allow-Methods: GET, HEAD, DELETE, OPTIONS\r\n"));
    assert_null(h.node.on_call);
    client_close(&c);
    free(text);
    harness_clear(&h);
}

static void the_nodes_refusal_has_openais_shape_and_the_code_in_lower_case(void **state)
{
    (void)state;
    harness h;
    client c;
    harness_init(&h, NULL);
    char *text = post("/v1/app/ptn/join", "", "{\"invite\":\"teale:inv1:x\"}");
    client_open(&h, &c);
    client_send(&c, text);
    WAIT_UNTIL(&h, h.node.on_call);
    fake_call_answer(&h.node, "somebody was faster", "E_INVITE_USED", 5, 409);
    WAIT_UNTIL(&h, client_answered(&c));
    assert_int_equal(client_status(&c), 409);
    assert_string_equal(client_body(&c),
                        "{\"error\":{\"message\":\"somebody was faster\",\"type\":"
                        "\"invalid_request_error\",\"param\":null,\"code\":\"invite_used\"}}");
    client_close(&c);
    free(text);
    harness_clear(&h);
}

static void a_client_that_leaves_gives_up_its_call_and_nothing_else(void **state)
{
    (void)state;
    harness h;
    client c;
    harness_init(&h, NULL);
    char *text = post("/v1/app/ptn/join", "", "{\"invite\":\"teale:inv1:x\"}");
    client_open(&h, &c);
    client_send(&c, text);
    WAIT_UNTIL(&h, h.node.on_call);
    assert_false(h.node.uncalled);
    client_close(&c);
    WAIT_UNTIL(&h, h.node.uncalled);
    free(text);
    harness_clear(&h);
}

static void a_join_that_takes_its_time_is_504_and_goes_on(void **state)
{
    (void)state;
    tl_api_config config = harness_config();
    client c;
    harness h;
    config.join_wait = TL_MS;
    harness_init(&h, &config);
    char *text = post("/v1/app/ptn/join", "", "{\"invite\":\"teale:inv1:x\"}");
    client_open(&h, &c);
    client_send(&c, text);
    WAIT_UNTIL(&h, client_answered(&c));
    assert_int_equal(client_status(&c), 504);
    assert_true(client_has(&c, "the node goes on trying"));
    assert_string_equal(h.node.verb, "ptn.join");
    assert_true(h.node.uncalled);
    client_close(&c);
    free(text);
    harness_clear(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_request_becomes_the_verb_that_the_command_uses),
        cmocka_unit_test(bodies_with_a_wrong_missing_or_unknown_field_are_400),
        cmocka_unit_test(paths_that_name_nothing_are_404),
        cmocka_unit_test(other_methods_are_405_and_allow_names_the_right_ones),
        cmocka_unit_test(pages_of_other_origins_reach_none_of_them),
        cmocka_unit_test(an_allowed_page_is_told_all_methods_before_it_asks),
        cmocka_unit_test(the_nodes_refusal_has_openais_shape_and_the_code_in_lower_case),
        cmocka_unit_test(a_client_that_leaves_gives_up_its_call_and_nothing_else),
        cmocka_unit_test(a_join_that_takes_its_time_is_504_and_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
