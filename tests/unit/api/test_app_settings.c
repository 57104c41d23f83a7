/* /v1/app/settings, doctor, traffic, why and ping by TCP: what the page asks of the node besides networks
 * and money. */
#include "config/config.h"
#include "harness.h"

#include <stdio.h>
#include <stdlib.h>

#define ID "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a" /* RFC 8032 7.1 */

/* The program around the node: what it was told last, and what it says. */
typedef struct {
    char key[64], text[256];
    size_t n; /* settings in the last call */
    unsigned calls;
    tl_err says;
    const char *explains; /* JSON */
    const char *in_force; /* JSON */
} fake_program;

static tl_err set_settings(void *user, tl_setting_change *changes, size_t n, size_t *ret_refused,
                           tl_why *why)
{
    fake_program *p = user;
    tl_setting_change *last = &changes[n - 1];
    snprintf(p->key, sizeof p->key, "%s", last->to.key);
    snprintf(p->text, sizeof p->text, "%s", last->to.text);
    p->n = n;
    p->calls++;
    *ret_refused = n - 1;
    if (p->says == TL_ERR_AGAIN)
        last->state = tl_why_set(&last->why, p->says, "because \"so\"");
    return p->says && !last->state ? tl_why_set(why, p->says, "because \"so\"") : TL_OK;
}

static json_t *explain(void *user)
{
    return json_loads(((fake_program *)user)->explains, 0, NULL);
}

static json_t *in_force(void *user)
{
    return json_loads(((fake_program *)user)->in_force, 0, NULL);
}

#define SETTINGS                                                                                   \
    "{\"settings\":[{\"key\":\"wan_proxy\",\"value\":\"http://proxy:3128\",\"login\":true},"       \
    "{\"key\":\"backend_key_file\",\"value\":\"\"}]}"

static void begin(harness *h, fake_program *p)
{
    tl_api_config config = harness_config();
    *p = (fake_program){.explains = SETTINGS, .in_force = "{\"backend_key_file\":\"\"}"};
    config.hooks = (tl_api_hooks){
        .set_settings = set_settings, .explain_settings = explain, .settings = in_force, .user = p};
    harness_init(h, &config);
}

static void put(harness *h, client *c, const char *body)
{
    char *text;
    assert_true(asprintf(&text,
                         "PUT /v1/app/settings HTTP/1.1\r\nHost: localhost\r\n"
                         "Content-Length: %zu\r\n\r\n%s",
                         strlen(body), body) > 0);
    exchange(h, c, text);
    free(text);
}

static void get(harness *h, client *c, const char *path)
{
    char text[400];
    snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", path);
    exchange(h, c, text);
}

static void a_setting_is_passed_on_as_config_set_takes_it(void **state)
{
    (void)state;
    static const char *const rows[][3] = {
        {"{\"wan_enabled\":true}", "wan_enabled", "true"},
        {"{\"udp_port\":5000}", "udp_port", "5000"},
        {"{\"display_name\":\"a \\\"b\\\"\"}", "display_name", "\"a \\\"b\\\"\""},
        {"{\"wan_relay_url\":[\"wss://a/ws\",\"wss://b/ws\"]}", "wan_relay_url",
         "[\"wss://a/ws\", \"wss://b/ws\"]"},
        {"{\"nat.direct\":false}", "nat.direct", "false"},
        {"{\"share\":\"auto\"}", "share", "\"auto\""},
    };
    harness h;
    fake_program p;
    begin(&h, &p);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        client c;
        put(&h, &c, rows[i][0]);
        if (client_status(&c) != 200)
            fail_msg("%s: %s", rows[i][0], client_body(&c));
        assert_true(client_has(&c, "\"state\":\"applied\",\"message\":\"in force\""));
        assert_string_equal(p.key, rows[i][1]);
        assert_string_equal(p.text, rows[i][2]);
        client_close(&c);
    }
    assert_int_equal(p.calls, sizeof rows / sizeof *rows);
    harness_clear(&h);
}

static void what_is_wrong_with_one_value_keeps_all_of_them_back(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"{\"wan_enabled\":true,\"udp_port\":70000}", "udp_port must be a whole number from 0"},
        {"{\"udp_port\":70000,\"wan_enabled\":3}",
         "\"param\":\"udp_port\",\"code\":\"invalid_value\",\"values\":{\"udp_port\":\"udp_port "
         "must be"},
        {"{\"udp_port\":70000,\"wan_enabled\":3}",
         ",\"wan_enabled\":\"wan_enabled must be true or false"},
        {"{\"wan_enabled\":\"true\"}", "wan_enabled must be true or false"},
        {"{\"wan_enabled\":null}", "wan_enabled must be true or false"},
        {"{\"wan_relay_url\":\"http://a\"}", "wan_relay_url must be"},
        {"{\"display_name\":\"a\\nb\"}", "must not contain control characters"},
        {"{\"display_name\":\"a\\u0000b\"}", "invalid_"},
        {"{\"wan_enable\":true}", "did you mean \\\"wan_enabled\\\"?"},
        {"{\"wan_enabled\":true,\"wan_enabled\":false}", "invalid_json"},
        {"[\"wan_enabled\"]", "invalid_json"},
        {"{\"nat\":{\"direct\":[[[1]]]}}", "invalid_json"},
        {"", "invalid_json"},
    };
    harness h;
    fake_program p;
    begin(&h, &p);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        client c;
        put(&h, &c, rows[i][0]);
        if (client_status(&c) != 400 || !client_has(&c, rows[i][1]))
            fail_msg("%s: %d %s", rows[i][0], client_status(&c), client_body(&c));
        client_close(&c);
    }
    assert_int_equal(p.calls, 0);
    harness_clear(&h);
}

static void a_change_that_needs_a_restart_or_is_refused_says_so(void **state)
{
    (void)state;
    static const struct {
        tl_err says;
        int status;
        const char *text;
    } rows[] = {{TL_ERR_AGAIN, 200, "\"state\":\"restart\",\"message\":\"because \\\"so\\\"\""},
                {TL_ERR_INVALID, 400, "\"param\":\"udp_port\",\"code\":\"invalid_value\""},
                {TL_ERR_IO, 500, "\"code\":\"not_saved\""}};
    harness h;
    fake_program p;
    begin(&h, &p);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        client c;
        p.says = rows[i].says;
        put(&h, &c, "{\"udp_port\":5000}");
        assert_int_equal(client_status(&c), rows[i].status);
        if (!client_has(&c, rows[i].text))
            fail_msg("%s", client_body(&c));
        client_close(&c);
    }
    harness_clear(&h);
}

static void several_settings_are_passed_on_together_and_refused_together(void **state)
{
    (void)state;
    static const char body[] = "{\"udp_port\":5000,\"wan_proxy\":\"http://proxy:3128\","
                               "\"wan_enabled\":true}";
    harness h;
    fake_program p;
    client c;
    begin(&h, &p);
    put(&h, &c, body);
    assert_int_equal(client_status(&c), 200);
    assert_int_equal(p.calls, 1);
    assert_int_equal(p.n, 2); /* the proxy stays */
    assert_true(client_has(&c, "[{\"key\":\"udp_port\",\"state\":\"applied\""));
    assert_true(client_has(&c, "{\"key\":\"wan_proxy\",\"state\":\"unchanged\""));
    assert_true(client_has(&c, "{\"key\":\"wan_enabled\",\"state\":\"applied\""));
    client_close(&c);
    p.says = TL_ERR_INVALID;
    put(&h, &c, body);
    assert_int_equal(client_status(&c), 400);
    assert_true(client_has(&c, "\"param\":\"wan_enabled\""));
    assert_false(client_has(&c, "\"state\""));
    assert_int_equal(p.calls, 2);
    client_close(&c);
    harness_clear(&h);
}

/* Who may speak to the port must not be able to make the node read a file and send it away. */
static void which_file_is_read_is_said_on_the_command_line_alone(void **state)
{
    (void)state;
    static const char *const bodies[] = {"{\"backend_key_file\":\"/etc/shadow\"}",
                                         "{\"wan_relay_ca_file\":\"/etc/shadow\"}",
                                         "{\"wan_enabled\":true,\"backend_key_file\":\"/a\"}"};
    harness h;
    fake_program p;
    client c;
    begin(&h, &p);
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        put(&h, &c, bodies[i]);
        assert_int_equal(client_status(&c), 403);
        assert_true(client_has(&c, "\"code\":\"command_line_only\""));
        client_close(&c);
    }
    p.explains = "{\"settings\":[{\"key\":\"backend_key_file\",\"value\":\"/home/a/key\"}]}";
    put(&h, &c, "{\"share\":\"http://127.0.0.1:9\"}"); /* it would get that key */
    assert_int_equal(client_status(&c), 403);
    client_close(&c);
    p.explains = SETTINGS;
    p.in_force = "{\"backend_key_file\":\"/home/a/key\"}"; /* by an option */
    put(&h, &c, "{\"share\":\"http://127.0.0.1:9\"}");
    assert_int_equal(client_status(&c), 403);
    client_close(&c);
    p.in_force = "not to be had";
    put(&h, &c, "{\"share\":\"http://127.0.0.1:9\"}");
    assert_int_equal(client_status(&c), 403);
    client_close(&c);
    assert_int_equal(p.calls, 0);
    p.in_force = "{\"backend_key_file\":\"\"}";
    put(&h, &c, "{\"share\":\"http://127.0.0.1:9\"}");
    assert_int_equal(client_status(&c), 200);
    client_close(&c);
    assert_int_equal(p.calls, 1);
    harness_clear(&h);
}

static void a_proxy_that_comes_back_without_its_login_keeps_it(void **state)
{
    (void)state;
    harness h;
    fake_program p;
    client c;
    begin(&h, &p);
    put(&h, &c, "{\"wan_proxy\":\"http://proxy:3128\"}");
    assert_int_equal(client_status(&c), 200);
    assert_true(client_has(&c, "\"state\":\"unchanged\""));
    assert_int_equal(p.calls, 0);
    client_close(&c);
    put(&h, &c, "{\"wan_proxy\":\"http://other:3128\"}");
    assert_int_equal(client_status(&c), 200);
    assert_int_equal(p.calls, 1);
    client_close(&c);
    harness_clear(&h);
}

static void settings_are_read_as_the_program_explains_them(void **state)
{
    (void)state;
    harness h;
    fake_program p;
    client c;
    begin(&h, &p);
    get(&h, &c, "/v1/app/settings");
    assert_int_equal(client_status(&c), 200);
    assert_string_equal(client_body(&c), SETTINGS "\n");
    client_close(&c);
    harness_clear(&h);
    harness_init(&h, NULL); /* a program without settings */
    get(&h, &c, "/v1/app/settings");
    assert_int_equal(client_status(&c), 501);
    client_close(&c);
    harness_clear(&h);
}

static void doctor_traffic_and_why_answer_by_tcp(void **state)
{
    (void)state;
    char hex[TL_NODE_ID_HEX + 1];
    harness h;
    client c;
    harness_init(&h, NULL);
    get(&h, &c, "/v1/app/doctor");
    assert_non_null(strstr(client_body(&c), "{\"checks\":[{\"id\":\"fake\"},{\"id\":\"api\","));
    assert_int_equal(h.node.netlooks, 1);
    client_close(&c);
    get(&h, &c, "/v1/app/traffic");
    assert_string_equal(client_body(&c), "{\"at_ms\":5,\"peers\":[]}\n");
    assert_int_equal(h.node.looks, 0); /* the relay is not asked */
    client_close(&c);
    get(&h, &c, "/v1/app/peers/" ID "/why");
    assert_int_equal(client_status(&c), 200);
    tl_node_id_write(hex, &h.node.why_asked);
    assert_string_equal(hex, ID);
    assert_int_equal(h.node.looks, 1);
    client_close(&c);
    get(&h, &c, "/v1/app/peers/abcd/why");
    assert_int_equal(client_status(&c), 400);
    assert_true(client_has(&c, "invalid_node_id"));
    client_close(&c);
    harness_clear(&h);
}

static void a_ping_streams_its_results_and_ends_with_its_client(void **state)
{
    (void)state;
    harness h;
    client c;
    harness_init(&h, NULL);
    char *text = post("/v1/app/peers/" ID "/ping?count=2", "", "");
    client_open(&h, &c);
    client_send(&c, text);
    WAIT_UNTIL(&h, h.node.on_ping);
    assert_int_equal(h.node.ping_count, 2);
    h.node.on_ping(h.node.ping_user, 12345678, TL_VIA_DIRECT, true, NULL);
    WAIT_UNTIL(&h, client_has(&c, "{\"rtt_ms\":12.346,\"path\":\"direct\",\"via\":\"direct\"}\n"));
    client_close(&c);
    WAIT_UNTIL(&h, h.node.ping_freed);
    free(text);
    text = post("/v1/app/peers/" ID "/ping?count=0", "", "");
    exchange(&h, &c, text);
    assert_int_equal(client_status(&c), 400);
    client_close(&c);
    free(text);
    harness_clear(&h);
}

static void pages_of_other_origins_reach_none_of_them(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "PUT /v1/app/settings", "GET /v1/app/settings",         "GET /v1/app/doctor",
        "GET /v1/app/traffic",  "GET /v1/app/peers/" ID "/why", "POST /v1/app/peers/" ID "/ping"};
    static const char *const guards[][2] = {
        {"Host: localhost\r\nOrigin: https://evil.example\r\n", "origin_not_allowed"},
        {"Host: localhost\r\nSec-Fetch-Site: cross-site\r\n", "origin_not_allowed"},
        {"Host: evil.example\r\n", "host_not_allowed"}};
    harness h;
    fake_program p;
    begin(&h, &p);
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        for (size_t k = 0; k < sizeof guards / sizeof *guards; k++) {
            client c;
            char text[400];
            snprintf(text, sizeof text,
                     "%s HTTP/1.1\r\n%sContent-Length: 20\r\n\r\n{\"wan_enabled\":true}", lines[i],
                     guards[k][0]);
            exchange(&h, &c, text);
            assert_int_equal(client_status(&c), 403);
            assert_true(client_has(&c, guards[k][1]));
            client_close(&c);
        }
    assert_int_equal(p.calls, 0);
    assert_int_equal(h.node.netlooks + h.node.looks, 0);
    harness_clear(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_setting_is_passed_on_as_config_set_takes_it),
        cmocka_unit_test(what_is_wrong_with_one_value_keeps_all_of_them_back),
        cmocka_unit_test(a_change_that_needs_a_restart_or_is_refused_says_so),
        cmocka_unit_test(several_settings_are_passed_on_together_and_refused_together),
        cmocka_unit_test(which_file_is_read_is_said_on_the_command_line_alone),
        cmocka_unit_test(a_proxy_that_comes_back_without_its_login_keeps_it),
        cmocka_unit_test(settings_are_read_as_the_program_explains_them),
        cmocka_unit_test(doctor_traffic_and_why_answer_by_tcp),
        cmocka_unit_test(a_ping_streams_its_results_and_ends_with_its_client),
        cmocka_unit_test(pages_of_other_origins_reach_none_of_them),
    };
    if (tl_crypto_init())
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
