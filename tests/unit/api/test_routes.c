/* Every route but the questions: what it answers, to whom, and to which methods. */
#include "harness.h"

#include <stdio.h>
#include <stdlib.h>

#define MODELS                                                                                     \
    "{\"models\":[{\"id\":\"qwen3:8b\",\"local\":true,\"peers\":[]},"                              \
    "{\"id\":\"meta/llama 3\",\"local\":false,\"peers\":[\"aa\",\"bb\"]}]}"

static void get(harness *h, client *c, const char *target)
{
    char *text;
    assert_true(asprintf(&text, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", target) > 0);
    exchange(h, c, text);
    free(text);
}

static json_t *body_json(client *c)
{
    json_error_t error;
    json_t *value = json_loads(client_body(c), JSON_REJECT_DUPLICATES, &error);
    if (!value)
        fail_msg("not JSON: %s", client_body(c));
    return value;
}

/* --- models --- */

static void models_are_listed_as_openai_lists_them(void **state)
{
    (void)state;
    static const char *const ids[] = {"teale-auto", "qwen3:8b", "meta/llama 3"};
    harness h;
    client c;
    harness_init(&h, NULL);
    h.node.models = MODELS;
    get(&h, &c, "/v1/models");
    assert_int_equal(client_status(&c), 200);
    json_t *list = body_json(&c), *data = json_object_get(list, "data");
    assert_string_equal(tl_json_string(list, "object", ""), "list");
    assert_int_equal(json_array_size(data), 3);
    for (size_t i = 0; i < 3; i++) {
        json_t *m = json_array_get(data, i);
        assert_string_equal(tl_json_string(m, "id", ""), ids[i]);
        assert_string_equal(tl_json_string(m, "object", ""), "model");
        assert_true(json_is_integer(json_object_get(m, "created")));
        assert_true(json_is_string(json_object_get(m, "owned_by")));
    }
    assert_int_equal(json_array_size(json_object_get(json_array_get(data, 2), "peers")), 2);
    json_decref(list);
    client_close(&c);
    harness_clear(&h);
}

static void models_are_listed_as_they_are_after_a_look_around(void **state)
{
    (void)state;
    static const char *const targets[] = {"/v1/models", "/v1/models/meta%2Fllama%203", "/v1/app"};
    for (size_t i = 0; i < 3; i++) {
        harness h;
        client c;
        harness_init(&h, NULL);
        h.node.models_after_look = MODELS;
        h.node.look_takes = 20 * TL_MS;
        get(&h, &c, targets[i]);
        assert_int_equal(client_status(&c), 200);
        assert_non_null(strstr(client_body(&c), "meta/llama 3"));
        assert_int_equal(h.node.unlooked, 0);
        client_close(&c);
        harness_clear(&h);
    }
}

static void a_client_that_goes_during_the_look_ends_it(void **state)
{
    (void)state;
    harness h;
    client c;
    harness_init(&h, NULL);
    h.node.look_takes = 60 * TL_MIN;
    client_open(&h, &c);
    client_send(&c, "GET /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n");
    WAIT_UNTIL(&h, h.node.looks == 1);
    assert_int_equal(h.node.unlooked, 0);
    client_close(&c);
    WAIT_UNTIL(&h, h.node.unlooked == 1);
    harness_clear(&h);
}

static void a_model_is_found_by_its_escaped_name(void **state)
{
    (void)state;
    static const struct {
        const char *target;
        const char *id; /* NULL: 404 */
    } rows[] = {
        {"/v1/models/qwen3:8b", "qwen3:8b"},
        {"/v1/models/qwen3%3a8b", "qwen3:8b"},
        {"/v1/models/meta%2Fllama%203", "meta/llama 3"},
        {"/v1/models/meta/llama%203", "meta/llama 3"},
        {"/v1/models/teale-auto", "teale-auto"},
        {"/v1/models/qwen3", NULL},
        {"/v1/models/qwen3:8b%00", NULL},
        {"/v1/models/%FF", NULL},
        {"/v1/models/%3Cscript%3E%22", NULL},
    };
    harness h;
    harness_init(&h, NULL);
    h.node.models = MODELS;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        client c;
        get(&h, &c, rows[i].target);
        json_t *m = body_json(&c);
        assert_int_equal(client_status(&c), rows[i].id ? 200 : 404);
        if (rows[i].id)
            assert_string_equal(tl_json_string(m, "id", ""), rows[i].id);
        else
            assert_string_equal(tl_json_string(json_object_get(m, "error"), "code", ""),
                                "model_not_found");
        bool near = !strcmp(rows[i].target, "/v1/models/qwen3");
        assert_int_equal(client_has(&c, "; did you mean 'qwen3:8b'?"), near);
        json_decref(m);
        client_close(&c);
    }
    harness_clear(&h);
}

/* --- methods and paths --- */

static void wrong_methods_are_405_with_allow(void **state)
{
    (void)state;
    static const struct {
        const char *line, *allow;
    } rows[] = {
        {"GET /v1/chat/completions", "POST, OPTIONS"},
        {"PUT /v1/chat/completions", "POST, OPTIONS"},
        {"DELETE /v1/models/x", "GET, HEAD, OPTIONS"},
        {"POST /v1/models", "GET, HEAD, OPTIONS"},
        {"POST /health", "GET, HEAD, OPTIONS"},
        {"get /health", "GET, HEAD, OPTIONS"},
        {"TRACE /", "GET, HEAD, OPTIONS"},
    };
    harness h;
    harness_init(&h, NULL);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        client c;
        char text[256], allow[64];
        snprintf(text, sizeof text, "%s HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n",
                 rows[i].line);
        snprintf(allow, sizeof allow, "\r\nAllow: %s\r\n", rows[i].allow);
        exchange(&h, &c, text);
        assert_int_equal(client_status(&c), 405);
        assert_true(client_has(&c, allow));
        assert_true(client_has(&c, "\"code\":\"method_not_allowed\""));
        client_close(&c);
    }
    harness_clear(&h);
}

static void head_tells_what_get_would_without_its_body(void **state)
{
    (void)state;
    harness h;
    client c;
    harness_init(&h, NULL);
    client_open(&h, &c);
    client_send(&c, "HEAD /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
                    "HEAD /v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n"
                    "GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    WAIT_UNTIL(&h, c.ended);
    const char *all = client_body(&c);
    assert_true(client_has(&c, "Content-Length: 16\r\n"));
    assert_int_equal(strncmp(all, "HTTP/1.1 200 OK\r\n", 17), 0); /* no body between the heads */
    assert_non_null(strstr(all, "{\"status\":\"ok\"}"));
    client_close(&c);
    harness_clear(&h);
}

static void what_is_nowhere_is_404(void **state)
{
    (void)state;
    static const char *const targets[] = {"/nowhere",
                                          "/v1",
                                          "/v1/models/",
                                          "/V1/models",
                                          "/v1/chat/completions/",
                                          "/../health",
                                          "/%2e%2e/health",
                                          "//health",
                                          "/js/none.js",
                                          "/js/",
                                          "/control/status"};
    harness h;
    harness_init(&h, NULL);
    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
        client c;
        get(&h, &c, targets[i]);
        assert_int_equal(client_status(&c), 404);
        assert_true(client_has(&c, "\"code\":\"not_found\""));
        client_close(&c);
    }
    harness_clear(&h);
}

/* --- the node as a whole --- */

static void health_app_and_metrics_answer(void **state)
{
    (void)state;
    harness h;
    client c;
    harness_init(&h, NULL);
    get(&h, &c, "/health?x=1");
    assert_string_equal(client_body(&c), "{\"status\":\"ok\"}\n");
    client_close(&c);
    get(&h, &c, "/v1/app");
    json_t *app = body_json(&c);
    assert_string_equal(tl_json_string(json_object_get(app, "status"), "version", ""), "fake");
    assert_true(json_is_object(json_object_get(app, "settings")));
    assert_true(json_is_array(json_object_get(app, "models")));
    assert_true(json_is_array(json_object_get(app, "peers")));
    json_decref(app);
    client_close(&c);
    get(&h, &c, "/metrics");
    assert_true(client_has(&c, "Content-Type: text/plain; version=0.0.4"));
    assert_true(client_has(&c, "\nteale_relay_connected 0\n"));
    assert_true(client_has(&c, "teale_api_requests_total{route=\"health\",status=\"2xx\"} 1\n"));
    assert_true(client_has(&c, "teale_api_requests_total{route=\"app\",status=\"2xx\"} 1\n"));
    assert_true(client_has(&c, "teale_api_connections 1\n"));
    client_close(&c);
    harness_clear(&h);
}

static void metrics_name_every_family_once_and_count(void **state)
{
    (void)state;
    harness h;
    client c;
    harness_init(&h, NULL);
    exchange(&h, &c, "GET /health HTTP/1.1\r\nHost: evil.example\r\n\r\n");
    client_close(&c);
    exchange(&h, &c, "GET /health HTTP/1.1\nHost: localhost\r\n\r\n");
    client_close(&c);
    get(&h, &c, "/metrics");
    assert_true(client_has(&c, "teale_api_refused_total{reason=\"host\"} 1\n"));
    assert_true(client_has(&c, "teale_api_refused_total{reason=\"malformed\"} 1\n"));
    const char *text = client_body(&c);
    for (const char *p = strstr(text, "# TYPE "); p; p = strstr(p + 1, "# TYPE ")) {
        char line[128];
        sscanf(p, "%127[^\n]", line);
        assert_null(strstr(p + 1, line));
    }
    client_close(&c);
    harness_clear(&h);
}

/* The value of X-Request-Id, of which there is exactly one. */
static void request_id(client *c, char ret[160])
{
    static const char name[] = "\r\nX-Request-Id: ";
    assert_int_equal(tl_buf_append(&c->in, tl_slice_of("", 1)), TL_OK);
    const char *at = strstr((const char *)tl_buf_begin(&c->in), name);
    assert_non_null(at);
    assert_null(strstr(at + 1, name));
    snprintf(ret, 160, "%.*s", (int)strcspn(at + sizeof name - 1, "\r"), at + sizeof name - 1);
}

static void every_answer_has_a_request_id_and_a_sane_one_is_kept(void **state)
{
    (void)state;
#define GET_WITH(line) "GET /health HTTP/1.1\r\nHost: localhost\r\n" line "\r\n"
    static const struct {
        const char *request;
        int status;
        const char *kept; /* NULL: a new one */
    } rows[] = {
        {GET_WITH(""), 200, NULL},
        {GET_WITH("X-Request-Id: 7f9c-Root=1:a/b+c_d.e\r\n"), 200, "7f9c-Root=1:a/b+c_d.e"},
        {GET_WITH("x-request-id: a b\r\n"), 200, NULL},
        {GET_WITH("X-Request-Id: <b>\r\n"), 200, NULL},
        {GET_WITH("X-Request-Id: \r\n"), 200, NULL},
        {GET_WITH("X-Request-Id: a\r\nX-Request-Id: b\r\n"), 200, NULL},
        {"GET /none HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: r1\r\n\r\n", 404, "r1"},
        {"PUT /health HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: r1\r\n\r\n", 405, "r1"},
        {"GET /health HTTP/1.1\r\nHost: evil.example\r\nX-Request-Id: r1\r\n\r\n", 403, "r1"},
        {"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: r1\r\n"
         "Content-Length: 99999999\r\n\r\n",
         413, "r1"},
        {"nonsense\r\n\r\n", 400, NULL},
    };
    harness h;
    char before[160] = "";
    harness_init(&h, NULL);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        client c;
        char id[160];
        exchange(&h, &c, rows[i].request);
        assert_int_equal(client_status(&c), rows[i].status);
        request_id(&c, id);
        if (rows[i].kept) {
            assert_string_equal(id, rows[i].kept);
        } else {
            assert_int_equal(strlen(id), 32);
            assert_int_equal(strspn(id, "0123456789abcdef"), 32);
            assert_string_not_equal(id, before);
            memcpy(before, id, sizeof before);
        }
        client_close(&c);
    }
    harness_clear(&h);
}

static void a_request_id_has_at_most_128_bytes(void **state)
{
    (void)state;
    harness h;
    harness_init(&h, NULL);
    for (size_t n = 128; n <= 129; n++) {
        client c;
        char own[130] = "", id[160], request[300];
        memset(own, 'r', n);
        snprintf(request, sizeof request, GET_WITH("X-Request-Id: %s\r\n"), own);
        exchange(&h, &c, request);
        request_id(&c, id);
        assert_int_equal(strcmp(id, own) == 0, n == 128);
        client_close(&c);
    }
    harness_clear(&h);
}

/* --- events --- */

static void events_reach_every_listener_as_they_happen(void **state)
{
    (void)state;
    harness h;
    client c[2];
    harness_init(&h, NULL);
    for (int i = 0; i < 2; i++) {
        client_open(&h, &c[i]);
        client_send(&c[i], "GET /v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n");
        WAIT_UNTIL(&h, client_has(&c[i], ": connected"));
        assert_true(client_has(&c[i], "Content-Type: text/event-stream"));
    }
    fake_event(&h.node, "PeerJoined", "{\"at\":\"2026-01-01T00:00:00Z\",\"name\":\"a\\nb\"}");
    for (int i = 0; i < 2; i++)
        WAIT_UNTIL(&h,
                   client_has(&c[i], "event: PeerJoined\ndata: {\"at\":\"2026-01-01T00:00:00Z\","
                                     "\"name\":\"a\\nb\"}\n\n"));
    client_close(&c[0]);
    fake_event(&h.node, "PeerLeft", "{}");
    WAIT_UNTIL(&h, client_has(&c[1], "event: PeerLeft\ndata: {}\n\n"));
    client_close(&c[1]);
    harness_clear(&h);
}

static void an_idle_event_stream_has_a_heartbeat(void **state)
{
    (void)state;
    harness h;
    client c;
    tl_api_config config = harness_config();
    config.heartbeat = 20 * TL_MS;
    harness_init(&h, &config);
    client_open(&h, &c);
    client_send(&c, "GET /v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n");
    WAIT_UNTIL(&h, client_has(&c, ": still here\n\n\r\ne\r\n: still"));
    client_close(&c);
    harness_clear(&h);
}

static void a_listener_that_does_not_listen_is_sent_away(void **state)
{
    (void)state;
    harness h;
    client c;
    harness_init(&h, NULL);
    client_open(&h, &c);
    client_send(&c, "GET /v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n");
    WAIT_UNTIL(&h, client_has(&c, ": connected"));
    client_deafen(&c, true);
    static char json[(1u << 20) + 16];
    size_t n = (size_t)sprintf(json, "{\"a\":\"");
    memset(json + n, 'x', 1u << 20);
    memcpy(json + n + (1u << 20), "\"}", 3);
    for (int i = 0; i < 16; i++)
        fake_event(&h.node, "Request", json);
    client_deafen(&c, false);
    WAIT_UNTIL(&h, c.ended);
    assert_false(client_has(&c, "\r\n0\r\n\r\n")); /* broken off, and visibly so */
    client_close(&c);
    harness_clear(&h);
}

/* --- the control socket --- */

static void get_unix(harness *h, client *c, const char *request)
{
    client_open_unix(h, c);
    client_send(c, request);
    WAIT_UNTIL(h, client_answered(c));
}

static void the_unix_socket_serves_control_and_asks_for_no_host(void **state)
{
    (void)state;
    static const struct {
        const char *path, *has;
    } rows[] = {
        {"/control/status", "{\"version\":\"fake\","},
        {"/control/status", "\"api\":{\"url\":\"http://127.0.0.1:"},
        {"/control/status", "\"others_at\":null}"},
        {"/control/peers", "{\"peers\":[]}"},
        {"/control/models", "{\"models\":[]}"},
        {"/control/env", "\"api_key\":\"unused\",\"owner_key\":\"" KEY "\""},
        {"/control/env", "\"base_url\":\"http://127.0.0.1:"},
        {"/health", "ok"},
    };
    harness h;
    harness_init(&h, NULL);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        client c;
        char text[128];
        snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: teale\r\n\r\n", rows[i].path);
        get_unix(&h, &c, text);
        assert_int_equal(client_status(&c), 200);
        assert_true(client_has(&c, rows[i].has));
        client_close(&c);
    }
    harness_clear(&h);
}

static bool stopped;
static void on_stop(void *user)
{
    (void)user;
    stopped = true;
}

static char changed_key[64];
static tl_err on_setting(void *user, const char *key, tl_why *why)
{
    (void)user;
    snprintf(changed_key, sizeof changed_key, "%s", key);
    if (strcmp(key, "udp_port") == 0)
        return tl_why_set(why, TL_ERR_AGAIN, "saved; takes effect after a restart");
    if (strcmp(key, "nonsense") == 0)
        return tl_why_set(why, TL_ERR_INVALID, "no such setting");
    return TL_OK;
}

static void settings_and_stop_go_to_the_program(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        int status;
        const char *has;
    } rows[] = {
        {"{\"key\":\"display_name\"}", 200, "{\"key\":\"display_name\",\"applied\":true,"},
        {"{\"key\":\"udp_port\"}", 200, "\"applied\":false,\"message\":\"saved; takes effect"},
        {"{\"key\":\"nonsense\"}", 400, "no such setting"},
        {"{\"key\":7}", 400, "invalid_json"},
        {"nonsense", 400, "invalid_json"},
    };
    harness h;
    client c;
    tl_api_config config = harness_config();
    config.hooks = (tl_api_hooks){.stop = on_stop, .setting_changed = on_setting};
    harness_init(&h, &config);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char *text = post("/control/setting", "", rows[i].body);
        get_unix(&h, &c, text);
        assert_int_equal(client_status(&c), rows[i].status);
        assert_true(client_has(&c, rows[i].has));
        free(text);
        client_close(&c);
    }
    stopped = false;
    get_unix(&h, &c, "POST /control/stop HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
    assert_int_equal(client_status(&c), 202);
    assert_true(stopped);
    client_close(&c);
    harness_clear(&h);
}

static void without_a_program_to_ask_settings_and_stop_are_501(void **state)
{
    (void)state;
    static const char *const paths[] = {"/control/setting", "/control/stop"};
    harness h;
    harness_init(&h, NULL);
    for (size_t i = 0; i < 2; i++) {
        client c;
        char *text = post(paths[i], "", "{\"key\":\"x\"}");
        get_unix(&h, &c, text);
        assert_int_equal(client_status(&c), 501);
        free(text);
        client_close(&c);
    }
    harness_clear(&h);
}

static void a_port_in_use_is_an_error_that_names_it(void **state)
{
    (void)state;
    harness h;
    tl_api *api;
    tl_why why;
    harness_init(&h, NULL);
    tl_api_config config = harness_config();
    config.listen[0].port = tl_api_port(h.api);
    assert_int_equal(tl_api_new(h.loop, &h.node, &config, &api, &why), TL_ERR_EXISTS);
    assert_non_null(strstr(why.text, "127.0.0.1:"));
    config.listen_n = 0;
    config.unix_path[0] = h.unix_path;
    assert_int_equal(tl_api_new(h.loop, &h.node, &config, &api, &why), TL_ERR_EXISTS);
    harness_clear(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(models_are_listed_as_openai_lists_them),
        cmocka_unit_test(models_are_listed_as_they_are_after_a_look_around),
        cmocka_unit_test(a_client_that_goes_during_the_look_ends_it),
        cmocka_unit_test(a_model_is_found_by_its_escaped_name),
        cmocka_unit_test(wrong_methods_are_405_with_allow),
        cmocka_unit_test(head_tells_what_get_would_without_its_body),
        cmocka_unit_test(what_is_nowhere_is_404),
        cmocka_unit_test(health_app_and_metrics_answer),
        cmocka_unit_test(metrics_name_every_family_once_and_count),
        cmocka_unit_test(every_answer_has_a_request_id_and_a_sane_one_is_kept),
        cmocka_unit_test(a_request_id_has_at_most_128_bytes),
        cmocka_unit_test(events_reach_every_listener_as_they_happen),
        cmocka_unit_test(an_idle_event_stream_has_a_heartbeat),
        cmocka_unit_test(a_listener_that_does_not_listen_is_sent_away),
        cmocka_unit_test(the_unix_socket_serves_control_and_asks_for_no_host),
        cmocka_unit_test(settings_and_stop_go_to_the_program),
        cmocka_unit_test(without_a_program_to_ask_settings_and_stop_are_501),
        cmocka_unit_test(a_port_in_use_is_an_error_that_names_it),
    };
    if (tl_crypto_init())
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
