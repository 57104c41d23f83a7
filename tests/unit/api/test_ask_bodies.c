/* The bodies of questions: what is taken, what is refused, and what is told of it. */
#include "harness.h"

#include <stdlib.h>

#define CHAT  "/v1/chat/completions"
#define HELLO "{\"model\":\"m1\",\"messages\":[]}"

static void a_wrong_body_is_told_where_it_is_wrong(void **state)
{
    (void)state;
    char deep[2000] = "{\"model\":\"m\",\"a\":";
    memset(deep + strlen(deep), '[', 300);
    strcat(deep, "1");
    memset(deep + strlen(deep), ']', 300);
    strcat(deep, "}");
    const struct {
        const char *body, *message;
    } rows[] = {
        {"", "the request has no body; it must be a JSON object"},
        {"[1]", "the body is not a JSON object"},
        {"{\"model\":\"m\",\n\"a\":01}", "the body is not one valid JSON object: line 2, column "},
        {"\xEF\xBB\xBF{\"model\":\"m\",\n\n\"a\":}", "JSON object: line 3, column "},
        {"{\"b\":{\"c\":1,\"c\":2},\n\"a\":}", "JSON object: line 2, column "},
        {"{\"b\":\"\\u0000\",\n\"a\":}", "JSON object: line 2, column "},
        {"{\"b\":\"\\ud800\",\n\"a\":}", "JSON object\""},
        {"{\"b\":1e999,\n\"a\":}", "JSON object\""},
        {deep, "the body is nested deeper than 256 levels"},
    };
    harness h;
    harness_init(&h, NULL);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        client c;
        char *text = post(CHAT, "", rows[i].body);
        exchange(&h, &c, text);
        assert_int_equal(client_status(&c), 400);
        assert_true(client_has(&c, rows[i].message));
        free(text);
        client_close(&c);
    }
    harness_clear(&h);
}

static void what_is_no_question_is_400_and_its_twin_passes(void **state)
{
    (void)state;
    static const struct {
        const char *bad, *twin, *code, *param;
    } rows[] = {
        {"", HELLO, "invalid_json", "null"},
        {"{\"model\":\"m\"", "{\"model\":\"m\"}", "invalid_json", "null"},
        {"[{\"model\":\"m\"}]", "{\"model\":\"m\"}", "invalid_json", "null"},
        {"{\"model\":\"m\"}x", "{\"model\":\"m\"} ", "invalid_json", "null"},
        {"{\"model\":\"m\",\"a\":01}", "{\"model\":\"m\",\"a\":10}", "invalid_json", "null"},
        {"{\"model\":\"m\",\"a\":\"\xFF\"}", "{\"model\":\"m\",\"a\":\"\xC3\xBF\"}", "invalid_json",
         "null"},
        {"{\"messages\":[]}", HELLO, "missing_required_parameter", "\"model\""},
        {"{\"model\":7}", "{\"model\":\"7\"}", "invalid_value", "\"model\""},
        {"{\"model\":\"\"}", "{\"model\":\" \"}", "invalid_value", "\"model\""},
        {"{\"model\":\"a\",\"model\":\"b\"}", "{\"model\":\"a\",\"mode\":\"b\"}", "invalid_value",
         "\"model\""},
        {"{\"model\":\"a\",\"mod\\u0065l\":\"b\"}", "{\"model\":\"a\",\"mod\\u0066l\":\"b\"}",
         "invalid_value", "\"model\""},
        {"{\"model\":\"a\",\"Model\":\"b\"}", "{\"model\":\"a\",\"Models\":\"b\"}", "invalid_value",
         "\"model\""},
        {"{\"model\":\"a\",\"\\u017ftream\":true}", "{\"model\":\"a\",\"Streams\":true}",
         "invalid_value", "\"stream\""},
        {"{\"model\":\"a\",\"stream\":1}", "{\"model\":\"a\",\"stream\":null}", "invalid_value",
         "\"stream\""},
        {"{\"model\":\"a\",\"stream\":true,\"stream\":true}", "{\"model\":\"a\",\"stream\":true}",
         "invalid_value", "\"stream\""},
    };
    harness h;
    harness_init(&h, NULL);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        client c;
        char wanted[128];
        char *text = post(CHAT, "", rows[i].bad);
        exchange(&h, &c, text);
        assert_int_equal(client_status(&c), 400);
        snprintf(wanted, sizeof wanted,
                 "\"type\":\"invalid_request_error\",\"param\":%s,\"code\":\"%s\"", rows[i].param,
                 rows[i].code);
        assert_non_null(strstr(client_body(&c), wanted));
        free(text);
        client_close(&c);
        (void)asked(&h, &c, CHAT, "", rows[i].twin);
        client_close(&c);
    }
    harness_clear(&h);
}

static void nesting_is_bounded(void **state)
{
    (void)state;
    harness h;
    client c;
    harness_init(&h, NULL);
    static const int by[] = {0, 1, 2000, 5000}; /* the last two are beyond our parsers' own ends */
    for (size_t k = 0; k < sizeof by / sizeof *by; k++) {
        int over = by[k];
        tl_buf body = {0};
        assert_int_equal(tl_buf_append_str(&body, "{\"model\":\"m\",\"h\":\"\\ud800\",\"a\":"),
                         TL_OK);
        for (int i = 0; i < 255 + over; i++)
            assert_int_equal(tl_buf_append_str(&body, "["), TL_OK);
        for (int i = 0; i < 255 + over; i++)
            assert_int_equal(tl_buf_append_str(&body, "]"), TL_OK);
        assert_int_equal(tl_buf_append(&body, tl_slice_of("}", 2)), TL_OK);
        char *text = post(CHAT, "", (const char *)tl_buf_begin(&body));
        client_open(&h, &c);
        client_send(&c, text);
        WAIT_UNTIL(&h, over ? client_answered(&c) : h.node.ask_n == 1);
        assert_int_equal(client_status(&c), over ? 400 : 0);
        assert_int_equal(client_has(&c, "\"code\":\"too_deep\""), over > 0);
        assert_int_equal(client_has(&c, "nested deeper than 256 levels"), over > 0);
        free(text);
        tl_buf_clear(&body);
        client_close(&c);
    }
    harness_clear(&h);
}

static void every_path_of_a_model_server_goes_the_same_way(void **state)
{
    (void)state;
    static const char form[] =
        "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nm1\r\n--b--";
    static const struct {
        const char *path;
        bool json, form;
    } rows[] = {
        {"/v1/completions", true, false},
        {"/v1/embeddings", true, false},
        {"/v1/responses", true, false},
        {"/v1/rerank", true, false},
        {"/rerank", true, false},
        {"/v1/audio/speech", true, false},
        {"/v1/audio/transcriptions", false, true},
        {"/v1/audio/translations", false, true},
        {"/v1/images/generations", true, false},
        {"/v1/images/edits", true, true},
        {"/v1/images/variations", false, true},
    };
    static const char type[] = "Content-Type: multipart/form-data; boundary=b\r\n";
    harness h;
    harness_init(&h, NULL);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (int as_form = 0; as_form < 2; as_form++) {
            client c;
            char *text = post(rows[i].path, as_form ? type : "", as_form ? form : HELLO);
            size_t before = h.node.ask_n;
            client_open(&h, &c);
            client_send(&c, text);
            free(text);
            WAIT_UNTIL(&h, h.node.ask_n > before || client_answered(&c));
            bool taken = as_form ? rows[i].form : rows[i].json;
            assert_int_equal(h.node.ask_n, before + taken);
            if (taken) {
                const tl_ask *ask = &h.node.asks[before]->ask;
                assert_string_equal(ask->path, rows[i].path);
                assert_string_equal(ask->model, "m1");
                assert_true(tl_slice_eq(ask->body, tl_slice_str(as_form ? form : HELLO)));
            } else {
                assert_int_equal(client_status(&c), 415);
            }
            client_close(&c);
        }
    harness_clear(&h);
}

static void a_body_of_a_third_type_is_refused_and_json_in_any_spelling_is_taken(void **state)
{
    (void)state;
    static const struct {
        const char *field;
        bool taken;
    } rows[] = {
        {"", true},
        {"Content-Type: Application/JSON; charset=utf-8\r\n", true},
        {"Content-Type: application/x-www-form-urlencoded\r\n", true}, /* curl -d */
        {"Content-Type: application/x-www-form-urlencoded; charset=utf-8\r\n", false},
        {"Content-Type: text/plain\r\n", false},
    };
    harness h;
    harness_init(&h, NULL);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        client c;
        char *text = post("/v1/images/edits", rows[i].field, HELLO);
        size_t before = h.node.ask_n;
        client_open(&h, &c);
        client_send(&c, text);
        free(text);
        WAIT_UNTIL(&h, h.node.ask_n > before || client_answered(&c));
        assert_int_equal(h.node.ask_n, before + rows[i].taken);
        if (!rows[i].taken) {
            assert_int_equal(client_status(&c), 415);
            assert_true(client_has(&c, "application/json or multipart/form-data"));
        }
        client_close(&c);
    }
    harness_clear(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wrong_body_is_told_where_it_is_wrong),
        cmocka_unit_test(what_is_no_question_is_400_and_its_twin_passes),
        cmocka_unit_test(nesting_is_bounded),
        cmocka_unit_test(every_path_of_a_model_server_goes_the_same_way),
        cmocka_unit_test(a_body_of_a_third_type_is_refused_and_json_in_any_spelling_is_taken),
    };
    if (tl_crypto_init())
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
