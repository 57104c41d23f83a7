#include "harness.h"

#include <stdlib.h>

#define CHAT   "/v1/chat/completions"
#define HELLO  "{\"model\":\"m1\",\"messages\":[]}"
#define STREAM "{\"model\":\"m1\",\"stream\":true}"

static void a_question_reaches_the_node_byte_for_byte(void **state)
{
    (void)state;
    harness h;
    client c;
    const char *body =
        " {\"x\":[1,2.50,\"\\u00e9\"],\"model\":\"m1\",\"stream\":false , \"tools\":[]}\n";
    harness_init(&h, NULL);
    fake_ask *a = asked(&h, &c, CHAT, "Content-Type: application/json; charset=utf-8\r\n", body);
    assert_true(tl_slice_eq(a->ask.body, tl_slice_str(body)));
    assert_string_equal(a->ask.model, "m1");
    assert_string_equal(a->ask.path, CHAT);
    assert_string_equal(a->ask.content_type, "application/json; charset=utf-8");
    assert_int_equal(strlen(a->ask.id), 32);
    assert_false(a->ask.streaming);
    assert_false(a->ask.has_peer);
    assert_false(a->ask.from_peer);
    client_close(&c);
    harness_clear(&h);
}

static void a_whole_answer_has_its_length_and_tells_who_gave_it(void **state)
{
    (void)state;
    harness h;
    client c;
    harness_init(&h, NULL);
    fake_ask *a = asked(&h, &c, CHAT, "", HELLO);
    fake_head(a, 200, "application/json");
    fake_body(a, "{\"a\"");
    fake_body(a, ":1}");
    harness_run_for(&h, 20 * TL_MS);
    assert_int_equal(c.in.len, 0); /* held until its end */
    fake_end(a);
    WAIT_UNTIL(&h, client_answered(&c));
    assert_int_equal(client_status(&c), 200);
    assert_true(client_has(&c, "\r\nContent-Length: 7\r\n"));
    assert_true(client_has(&c, "\r\nContent-Type: application/json\r\n"));
    assert_true(client_has(&c,
                           "\r\nX-Teale-Peer: a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5"
                           "a5a5a5a5a5a5a5\r\n"));
    assert_true(client_has(&c, "\r\nX-Teale-Path: relayed\r\n"));
    assert_true(client_has(&c, "\r\nX-Teale-Request: "));
    assert_true(client_has(&c, "\r\nX-Content-Type-Options: nosniff\r\n"));
    assert_string_equal(client_body(&c), "{\"a\":1}");
    client_close(&c);
    harness_clear(&h);
}

static void a_streamed_answer_arrives_chunk_by_chunk(void **state)
{
    (void)state;
    harness h;
    client c;
    harness_init(&h, NULL);
    fake_ask *a = asked(&h, &c, CHAT, "", STREAM);
    assert_true(a->ask.streaming);
    fake_head(a, 200, "text/event-stream");
    WAIT_UNTIL(&h, client_has(&c, "\r\n\r\n")); /* the head does not wait for a chunk */
    fake_body(a, "data: 1\n\n");
    WAIT_UNTIL(&h, client_has(&c, "\r\n9\r\ndata: 1\n\n\r\n"));
    assert_false(client_has(&c, "0\r\n\r\n"));
    fake_body(a, "data: [DONE]\n\n");
    fake_end(a);
    WAIT_UNTIL(&h, client_has(&c, "\r\ne\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"));
    assert_false(c.ended); /* kept alive */
    client_close(&c);
    harness_clear(&h);
}

static void head_and_first_chunk_leave_together(void **state)
{
    (void)state;
    harness h;
    client c;
    harness_init(&h, NULL);
    fake_ask *a = asked(&h, &c, CHAT, "", STREAM);
    fake_head(a, 200, "text/event-stream");
    fake_body(a, "data: 1\n\n");
    WAIT_UNTIL(&h, c.in.len > 0);
    assert_true(client_has(&c, "data: 1")); /* in one read */
    fake_end(a);
    client_close(&c);
    harness_clear(&h);
}

static void an_http_1_0_client_gets_its_stream_until_the_close(void **state)
{
    (void)state;
    harness h;
    client c;
    harness_init(&h, NULL);
    client_open(&h, &c);
    client_send(&c,
                "POST " CHAT " HTTP/1.0\r\nHost: localhost\r\nContent-Length: 28\r\n\r\n" STREAM);
    WAIT_UNTIL(&h, h.node.ask_n == 1);
    fake_head(h.node.asks[0], 200, "text/event-stream");
    fake_body(h.node.asks[0], "data: 1\n\n");
    fake_end(h.node.asks[0]);
    WAIT_UNTIL(&h, c.ended);
    assert_false(client_has(&c, "chunked"));
    assert_string_equal(client_body(&c), "data: 1\n\n");
    client_close(&c);
    harness_clear(&h);
}

/* --- failures --- */

static void every_failure_before_the_answer_has_its_status_and_code(void **state)
{
    (void)state;
    static const struct {
        tl_fail fail;
        int status;
        const char *code;
    } rows[] = {
        {TL_FAIL_MODEL_NOT_LOADED, 404, "model_not_found"},
        {TL_FAIL_QUEUE_FULL, 429, "queue_full"},
        {TL_FAIL_UNAVAILABLE, 503, "unavailable"},
        {TL_FAIL_INTERNAL, 502, "peer_failed"},
        {TL_FAIL_TIMEOUT, 504, "timeout"},
        {TL_FAIL_CANCELLED, 502, "peer_failed"},
        {TL_FAIL_FORBIDDEN, 403, "forbidden"},
        {TL_FAIL_PAYMENT_REQUIRED, 402, "payment_required"},
        {TL_FAIL_NO_PROVIDER, 503, "no_provider"},
        {TL_FAIL_PEER_FAILED, 502, "peer_failed"},
        {TL_FAIL_BACKEND_UNREACHABLE, 503, "backend_unreachable"},
        {TL_FAIL_BACKEND_AUTH, 502, "backend_auth"},
        {TL_FAIL_BACKEND_ERROR, 502, "backend_error"},
    };
    harness h;
    harness_init(&h, NULL);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        client c;
        char code[64];
        fake_ask *a = asked(&h, &c, CHAT, "", i % 2 ? HELLO : STREAM);
        fake_fail(a, rows[i].fail, "because");
        WAIT_UNTIL(&h, client_answered(&c));
        assert_int_equal(client_status(&c), rows[i].status);
        snprintf(code, sizeof code, "\"code\":\"%s\"}}", rows[i].code);
        assert_non_null(strstr(client_body(&c), code));
        assert_non_null(strstr(client_body(&c), "{\"error\":{\"message\":\"because\",\"type\":\""));
        assert_true(client_has(&c, "X-Teale-Request: "));
        bool later = rows[i].status == 429 || rows[i].status == 503;
        assert_int_equal(client_has(&c, "\r\nRetry-After: 2\r\n"), later);
        client_close(&c);
    }
    harness_clear(&h);
}

static void a_model_nobody_knows_is_404_and_a_known_one_without_provider_503(void **state)
{
    (void)state;
    harness h;
    harness_init(&h, NULL);
    h.node.models = "{\"models\":[{\"id\":\"m1\",\"local\":false,\"peers\":[]},"
                    "{\"id\":\"qwen3:8b\",\"local\":false,\"peers\":[]}]}";
    static const struct {
        const char *body;
        int status;
        const char *says;
    } rows[] = {
        {HELLO, 503, "\"nobody\""},
        {"{\"model\":\"m2\"}", 404, "\"nobody; did you mean 'm1'?\""},
        {"{\"model\":\"other\"}", 404, "\"nobody\""},
        {"{\"model\":\"qwen3\"}", 404, "\"nobody; did you mean 'qwen3:8b'?\""},
        {"{\"model\":\"teale-auto\"}", 503, "\"nobody\""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        client c;
        fake_ask *a = asked(&h, &c, CHAT, "", rows[i].body);
        fake_fail(a, TL_FAIL_NO_PROVIDER, "nobody");
        WAIT_UNTIL(&h, client_answered(&c));
        assert_int_equal(client_status(&c), rows[i].status);
        assert_true(client_has(&c, rows[i].says));
        client_close(&c);
    }
    harness_clear(&h);
}

static void the_backends_own_refusals_pass_with_their_bodies(void **state)
{
    (void)state;
    static const int statuses[] = {200, 201, 400, 404, 413, 422, 429};
    harness h;
    harness_init(&h, NULL);
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
        client c;
        fake_ask *a = asked(&h, &c, CHAT, "", i % 2 ? HELLO : STREAM);
        fake_head(a, statuses[i], "application/json");
        fake_body(a, "{\"theirs\":1}");
        fake_end(a);
        WAIT_UNTIL(&h, client_answered(&c));
        assert_int_equal(client_status(&c), statuses[i]);
        assert_true(client_has(&c, "{\"theirs\":1}"));
        assert_int_equal(client_has(&c, "\r\nRetry-After: 7\r\n"), statuses[i] == 429);
        client_close(&c);
    }
    harness_clear(&h);
}

static void a_head_that_makes_no_sense_is_cancelled_and_502(void **state)
{
    (void)state;
    static const int statuses[] = {0, 100, 199, 302, 401, 500, 999};
    harness h;
    harness_init(&h, NULL);
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
        client c;
        fake_ask *a = asked(&h, &c, CHAT, "", STREAM);
        fake_head(a, statuses[i], "application/json");
        assert_true(a->cancelled); /* already: from inside on_head */
        WAIT_UNTIL(&h, client_answered(&c));
        assert_int_equal(client_status(&c), 502);
        client_close(&c);
    }
    harness_clear(&h);
}

static void an_answer_without_a_head_or_with_two_is_cancelled_and_502(void **state)
{
    (void)state;
    harness h;
    client c;
    harness_init(&h, NULL);
    for (int i = 0; i < 3; i++) {
        fake_ask *a = asked(&h, &c, CHAT, "", HELLO);
        if (i != 0)
            fake_head(a, 200, "application/json");
        if (i == 1)
            fake_head(a, 200, "application/json");
        else
            fake_body(a, "{}");
        assert_int_equal(a->cancelled, i != 2);
        if (i == 2)
            fake_end(a);
        WAIT_UNTIL(&h, client_answered(&c));
        assert_int_equal(client_status(&c), i == 2 ? 200 : 502);
        client_close(&c);
    }
    harness_clear(&h);
}

static void a_content_type_cannot_smuggle_a_header(void **state)
{
    (void)state;
    harness h;
    client c;
    harness_init(&h, NULL);
    fake_ask *a = asked(&h, &c, CHAT, "", HELLO);
    fake_head(a, 200, "text/plain\r\nSet-Cookie: a=b");
    fake_end(a);
    WAIT_UNTIL(&h, client_answered(&c));
    assert_false(client_has(&c, "\r\nSet-Cookie"));
    assert_true(client_has(&c, "\r\nContent-Type: application/octet-stream\r\n"));
    client_close(&c);
    harness_clear(&h);
}

static void a_failure_inside_a_stream_is_an_error_event_then_the_close(void **state)
{
    (void)state;
    static const struct {
        const char *sent, *separator;
    } rows[] = {
        {"data: 1\n\n", ""},
        {"data: 1\r\n\r\n", ""},
        {"data: 1\n", "\n"},
        {"data: {\"h", "\n\n"},
    };
    harness h;
    harness_init(&h, NULL);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        client c;
        char wanted[200];
        fake_ask *a = asked(&h, &c, CHAT, "", STREAM);
        fake_head(a, 200, "text/event-stream; charset=utf-8");
        fake_body(a, rows[i].sent);
        fake_fail(a, TL_FAIL_PEER_FAILED, "lost");
        WAIT_UNTIL(&h, c.ended);
        snprintf(wanted, sizeof wanted,
                 "\r\n%sevent: error\ndata: {\"error\":{\"message\":\"lost\",\"type\":"
                 "\"server_error\",\"param\":null,\"code\":\"peer_failed\"}}\n\n\r\n0\r\n\r\n",
                 rows[i].separator);
        assert_true(client_has(&c, wanted));
        assert_false(client_has(&c, "[DONE]"));
        client_close(&c);
    }
    harness_clear(&h);
}

static void a_provider_s_stream_does_not_speak_for_the_node(void **state)
{
    (void)state;
    harness h;
    client c;
    harness_init(&h, NULL);
    fake_ask *a = asked(&h, &c, CHAT, "", STREAM);
    fake_head(a, 200, "text/event-stream");
    fake_body(a,
              ": queue position=4000000000 wait_s=99999999\n\ndata: 1\n\n: waiting for=path secon");
    fake_body(
        a, "ds=9 peer=3f9a\n\nevent: error\ndata: {\"error\":{\"code\":\"invalid_api_key\"}}\n\n");
    fake_fail(a, TL_FAIL_PEER_FAILED, "lost");
    WAIT_UNTIL(&h, c.ended);
    assert_true(client_has(&c, "data: 1\n\n"));
    assert_false(client_has(&c, "queue"));
    assert_false(client_has(&c, "waiting"));
    assert_false(client_has(&c, "event: error\ndata: {\"error\":{\"code\":\"invalid_api_key\"}}"));
    assert_true(client_has(&c, "data: {\"error\":{\"code\":\"invalid_api_key\"}}\n\n"));
    assert_true(client_has(&c, "event: error\ndata: {\"error\":{\"message\":\"lost\""));
    client_close(&c);
    harness_clear(&h);
}

static void a_failure_inside_another_body_leaves_it_visibly_unfinished(void **state)
{
    (void)state;
    harness h;
    client c;
    harness_init(&h, NULL);
    fake_ask *a = asked(&h, &c, CHAT, "", STREAM);
    fake_head(a, 200, "application/x-ndjson");
    fake_body(a, "{}\n");
    fake_fail(a, TL_FAIL_BACKEND_ERROR, "died");
    WAIT_UNTIL(&h, c.ended);
    assert_true(client_has(&c, "{}\n"));
    assert_false(client_has(&c, "0\r\n\r\n"));
    assert_false(client_has(&c, "died"));
    client_close(&c);
    harness_clear(&h);
}

static void a_whole_answer_that_breaks_off_is_an_error_and_not_half_an_answer(void **state)
{
    (void)state;
    harness h;
    client c;
    harness_init(&h, NULL);
    fake_ask *a = asked(&h, &c, CHAT, "", HELLO);
    fake_head(a, 200, "application/json");
    fake_body(a, "{\"half\":");
    fake_fail(a, TL_FAIL_BACKEND_ERROR, "died");
    WAIT_UNTIL(&h, client_answered(&c));
    assert_int_equal(client_status(&c), 502);
    assert_false(client_has(&c, "half"));
    client_close(&c);
    harness_clear(&h);
}

/* --- bodies that are no question --- */

static void headers_choose_the_peer_and_never_widen_a_private_question(void **state)
{
    (void)state;
    /* RFC 8032 7.1, test 1's public key */
    static const char id[] = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
    harness h;
    client c;
    char line[128];
    harness_init(&h, NULL);
    snprintf(line, sizeof line, "X-Teale-Ask-Peer: %s\r\n", id);
    fake_ask *a = asked(&h, &c, CHAT, line, HELLO);
    char hex[TL_NODE_ID_HEX + 1];
    tl_node_id_write(hex, &a->ask.peer);
    assert_true(a->ask.has_peer);
    assert_string_equal(hex, id);
    client_close(&c);

    char *text = post(CHAT, "X-Teale-Ask-Peer: d75a\r\n", HELLO);
    exchange(&h, &c, text);
    assert_int_equal(client_status(&c), 400);
    free(text);
    client_close(&c);

    static const struct {
        const char *name, *code;
        int status;
    } refused[] = {{"bob", "ambiguous_peer", 400},
                   {"nobody", "peer_not_found", 404},
                   {"", "invalid_node_id", 400}};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        snprintf(line, sizeof line, "X-Teale-Ask-Peer: %s\r\n", refused[i].name);
        text = post(CHAT, line, HELLO);
        exchange(&h, &c, text);
        assert_int_equal(client_status(&c), refused[i].status);
        assert_true(client_has(&c, refused[i].code));
        free(text);
        client_close(&c);
    }
    a = asked(&h, &c, CHAT, "X-Teale-Ask-Peer: mum\r\n", HELLO); /* their twin */
    tl_node_id_write(hex, &a->ask.peer);
    assert_string_equal(hex, id);
    client_close(&c);

    text = post(CHAT, "X-Teale-PTN: family\r\n", HELLO);
    exchange(&h, &c, text);
    assert_int_equal(client_status(&c), 403);
    free(text);
    client_close(&c);
    harness_clear(&h);
}

/* What a browser would run or show as a page of ours is bytes. */
static void an_answer_is_never_a_page_of_this_origin(void **state)
{
    (void)state;
    static const struct {
        const char *type, *shown;
    } rows[] = {{"application/json; charset=utf-8", "application/json; charset=utf-8"},
                {"text/html", "application/octet-stream"},
                {"image/svg+xml", "application/octet-stream"},
                {"image/png", "image/png"}};
    harness h;
    client c;
    harness_init(&h, NULL);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char line[100];
        fake_ask *a = asked(&h, &c, CHAT, "", HELLO);
        fake_head(a, 200, rows[i].type);
        fake_body(a, "<script>alert(1)</script>");
        fake_end(a);
        WAIT_UNTIL(&h, client_answered(&c));
        snprintf(line, sizeof line, "\r\nContent-Type: %s\r\n", rows[i].shown);
        assert_true(client_has(&c, line));
        assert_true(client_has(&c, "\r\nX-Content-Type-Options: nosniff\r\n"));
        assert_true(client_has(&c, "\r\nContent-Security-Policy: default-src 'none'; sandbox; "));
        client_close(&c);
    }
    harness_clear(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_question_reaches_the_node_byte_for_byte),
        cmocka_unit_test(a_whole_answer_has_its_length_and_tells_who_gave_it),
        cmocka_unit_test(a_streamed_answer_arrives_chunk_by_chunk),
        cmocka_unit_test(head_and_first_chunk_leave_together),
        cmocka_unit_test(an_http_1_0_client_gets_its_stream_until_the_close),
        cmocka_unit_test(every_failure_before_the_answer_has_its_status_and_code),
        cmocka_unit_test(a_model_nobody_knows_is_404_and_a_known_one_without_provider_503),
        cmocka_unit_test(the_backends_own_refusals_pass_with_their_bodies),
        cmocka_unit_test(a_head_that_makes_no_sense_is_cancelled_and_502),
        cmocka_unit_test(an_answer_without_a_head_or_with_two_is_cancelled_and_502),
        cmocka_unit_test(a_content_type_cannot_smuggle_a_header),
        cmocka_unit_test(a_failure_inside_a_stream_is_an_error_event_then_the_close),
        cmocka_unit_test(a_provider_s_stream_does_not_speak_for_the_node),
        cmocka_unit_test(a_failure_inside_another_body_leaves_it_visibly_unfinished),
        cmocka_unit_test(a_whole_answer_that_breaks_off_is_an_error_and_not_half_an_answer),
        cmocka_unit_test(headers_choose_the_peer_and_never_widen_a_private_question),
        cmocka_unit_test(an_answer_is_never_a_page_of_this_origin),
    };
    if (tl_crypto_init())
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
