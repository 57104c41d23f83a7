/* A question in the form of the old protocol, chunks put together to an answer, and an answer of a model
 * server cut into chunks. */
#include "legacy/answer.h"
#include "legacy/feed.h"
#include "legacy/question.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* --- the question --- */

static void check_question(const char *body, const char *want)
{
    tl_buf out = {0};
    tl_err e = tl_legacy_question_write(&out, tl_slice_str(body));
    if (!want) {
        assert_int_equal(e, TL_ERR_PROTO);
        assert_int_equal(out.len, 0);
    } else if (e || !tl_slice_eq(tl_buf_slice(&out), tl_slice_str(want))) {
        fail_msg("%s: %d %.*s", body, e, (int)out.len, (char *)tl_buf_begin(&out));
    }
    tl_buf_clear(&out);
}

static void a_question_keeps_its_bytes_but_for_stop_and_stream(void **state)
{
    (void)state;
    check_question("{\"stop\": \"x\", \"stream\":false,\"seed\":1.50e2}",
                   "{\"stop\": [\"x\"], \"stream\":true,\"seed\":1.50e2}");
    check_question("{\"stop\":[\"x\"],\"stream\":true}", "{\"stop\":[\"x\"],\"stream\":true}");
    check_question(" {\"messages\":[{\"stop\":\"x\"}]}",
                   "{\"stream\":true,\"messages\":[{\"stop\":\"x\"}]}");
    check_question("{\"stop\":null,\"stream\":null}", "{\"stop\":null,\"stream\":true}");
    check_question("{ \n}\n", "{\"stream\":true \n}\n");
    check_question("{\"sto\\u0070\":\"\\\"\"}", "{\"stream\":true,\"sto\\u0070\":[\"\\\"\"]}");
}

static void a_question_that_old_nodes_would_drop_is_refused(void **state)
{
    (void)state;
    check_question("{\"stop\":\"a\",\"stop\":\"b\"}", NULL);
    check_question("{\"stream\":true,\"stream\":true}", NULL);
    check_question("{\"messages\":\"\\ud800\"}", NULL);
    check_question("{\"a\":1", NULL);
    check_question("[]", NULL);
    check_question("", NULL);
    check_question("{\"a\":1}", "{\"stream\":true,\"a\":1}");
}

/* --- the answer --- */

static void add(tl_legacy_answer *a, const char *chunk)
{
    json_t *o;
    assert_int_equal(tl_json_parse(tl_slice_str(chunk), 16, &o, NULL), TL_OK);
    assert_int_equal(tl_legacy_answer_add(a, o), TL_OK);
    json_decref(o);
}

static json_t *written(tl_legacy_answer *a, uint64_t in, uint64_t out_tokens)
{
    tl_buf out = {0};
    json_t *o;
    assert_int_equal(tl_legacy_answer_write(a, in, out_tokens, 1700000000, &out), TL_OK);
    assert_int_equal(tl_json_parse(tl_buf_slice(&out), 16, &o, NULL), TL_OK);
    tl_buf_clear(&out);
    tl_legacy_answer_clear(a);
    return o;
}

static void check_json(json_t *got, const char *want)
{
    json_t *o;
    assert_int_equal(tl_json_parse(tl_slice_str(want), 16, &o, NULL), TL_OK);
    if (!json_equal(got, o)) {
        char *text = json_dumps(got, 0);
        fail_msg("%s", text);
    }
    json_decref(o);
    json_decref(got);
}

static void chunks_become_one_completion(void **state)
{
    (void)state;
    tl_legacy_answer a = {0};
    add(&a, "{\"id\":\"c1\",\"created\":1795915117,\"model\":\"m\",\"choices\":[{\"index\":0,"
            "\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null}]}");
    add(&a, "{\"id\":\"c1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"one\"}}]}");
    add(&a, "{\"choices\":[{\"index\":0,\"delta\":{\"content\":\" \\\"two\\u0000\"}}]}");
    add(&a, "{\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"length\"}]}");
    check_json(
        written(&a, 7, 4),
        "{\"id\":\"c1\",\"object\":\"chat.completion\",\"created\":1795915117,\"model\":\"m\","
        "\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":"
        "\"one \\\"two\\u0000\"},\"finish_reason\":\"length\"}],\"usage\":{\"prompt_tokens\":"
        "7,\"completion_tokens\":4,\"total_tokens\":11}}");
}

static void tool_calls_and_several_choices_are_put_together(void **state)
{
    (void)state;
    tl_legacy_answer a = {0};
    add(&a, "{\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"t\","
            "\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"a\\\"\"}}]}}]}");
    add(&a, "{\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":"
            "{\"arguments\":\":1}\"}}]},\"finish_reason\":\"tool_calls\"},{\"index\":1,\"delta\":"
            "{\"content\":\"x\",\"reasoning_content\":\"y\"}}],\"usage\":{\"prompt_tokens\":1,"
            "\"completion_tokens\":2,\"total_tokens\":3}}");
    check_json(
        written(&a, 9, 9),
        "{\"id\":\"\",\"object\":\"chat.completion\",\"created\":1700000000,\"model\":\"\","
        "\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":null,"
        "\"tool_calls\":[{\"id\":\"t\",\"type\":\"function\",\"function\":{\"name\":\"f\","
        "\"arguments\":\"{\\\"a\\\":1}\"}}]},\"finish_reason\":\"tool_calls\"},{\"index\":1,"
        "\"message\":{\"role\":\"assistant\",\"content\":\"x\",\"reasoning_content\":\"y\"},"
        "\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2,"
        "\"total_tokens\":3}}");
}

static void of_a_usage_three_numbers_are_kept(void **state)
{
    (void)state;
    tl_legacy_answer a = {0};
    add(&a, "{\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2,\"total_tokens\":4,"
            "\"a\":[{},{},{}]}}");
    json_t *o = written(&a, 9, 9);
    check_json(json_incref(json_object_get(o, "usage")),
               "{\"prompt_tokens\":1,\"completion_tokens\":2,\"total_tokens\":4}");
    json_decref(o);
}

static void a_chunk_says_something_or_nothing(void **state)
{
    (void)state;
    static const struct {
        const char *chunk;
        bool says;
    } rows[] = {
        {"{\"choices\":[{\"delta\":{\"content\":\"x\"}}]}", true},
        {"{\"choices\":[{\"delta\":{\"reasoning\":\"x\"}}]}", true},
        {"{\"choices\":[{},{\"delta\":{\"tool_calls\":[{\"function\":{\"arguments\":\"1\"}}]"
         "}}]}",
         true},
        {"{\"choices\":[{\"delta\":{\"content\":\"\",\"role\":\"assistant\"}}]}", false},
        {"{\"choices\":[{\"delta\":{\"tool_calls\":[{},7,{\"function\":{}}]}}]}", false},
        {"{\"choices\":[],\"usage\":{\"x\":\"y\"}}", false},
        {"{}", false}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        json_t *o;
        assert_int_equal(tl_json_parse(tl_slice_str(rows[i].chunk), 16, &o, NULL), TL_OK);
        assert_int_equal(tl_legacy_chunk_says(o), rows[i].says);
        json_decref(o);
    }
}

static void odd_chunks_add_nothing(void **state)
{
    (void)state;
    tl_legacy_answer a = {0};
    add(&a, "{\"choices\":7,\"usage\":[],\"created\":1e300,\"id\":5}");
    add(&a,
        "{\"choices\":[null,{\"index\":-1},{\"index\":8,\"delta\":{\"content\":\"far\"}},"
        "{\"index\":1e300},{\"index\":0,\"delta\":{\"content\":[],\"tool_calls\":[{\"index\":64,"
        "\"function\":{\"arguments\":\"x\"}},{\"index\":-5},7]}}]}");
    json_t *o = written(&a, 0, 0);
    assert_int_equal(json_array_size(json_object_get(o, "choices")), 1);
    json_decref(o);
}

static void an_answer_has_a_bound(void **state)
{
    (void)state;
    tl_legacy_answer a = {0};
    char *text = malloc((1u << 20) + 1);
    assert_non_null(text);
    memset(text, 'x', 1u << 20);
    text[1u << 20] = 0;
    json_t *chunk =
        json_pack("{s:[{s:i, s:{s:s}}]}", "choices", "index", 0, "delta", "content", text);
    for (int i = 0; i < 4; i++)
        assert_int_equal(tl_legacy_answer_add(&a, chunk), TL_OK);
    assert_int_equal(tl_legacy_answer_add(&a, chunk), TL_ERR_TOO_LARGE);
    tl_legacy_answer_clear(&a);
    json_decref(chunk);
    free(text);
}

/* --- a model server's answer --- */

#define EVENT(content)                                                                             \
    "data: {\"id\":\"c\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{"      \
    "\"content\":\"" content "\"}}]}\n\n"

static void events_are_cut_into_chunks_whatever_pieces_they_come_in(void **state)
{
    (void)state;
    static const char text[] = ": hello\r\nevent: x\n" EVENT(
        "one") "data:{\"choices\":[]}\r\n\r\n" EVENT(" two") "data: [DONE]\n\n";
    for (size_t step = 1; step < sizeof text; step++) {
        tl_legacy_feed f = tl_legacy_feed_new(200, "text/event-stream; charset=utf-8", "m", 9);
        char said[32] = "";
        unsigned n = 0;
        json_t *chunk;
        for (size_t at = 0; at < sizeof text - 1; at += step) {
            size_t left = sizeof text - 1 - at;
            assert_int_equal(
                tl_legacy_feed_put(&f, tl_slice_of(text + at, left < step ? left : step)), TL_OK);
            tl_err e;
            while (!(e = tl_legacy_feed_next(&f, false, &chunk))) {
                const json_t *c = json_array_get(json_object_get(chunk, "choices"), 0);
                strcat(said, tl_json_string(json_object_get(c, "delta"), "content", ""));
                assert_string_equal(tl_json_string(chunk, "object", ""), "chat.completion.chunk");
                assert_string_equal(tl_json_string(chunk, "model", ""), "m");
                json_decref(chunk);
                n++;
            }
            assert_int_equal(e, TL_ERR_SHORT);
        }
        assert_int_equal(tl_legacy_feed_next(&f, true, &chunk), TL_ERR_SHORT);
        assert_int_equal(n, 3);
        assert_string_equal(said, "one two");
        tl_legacy_feed_clear(&f);
    }
}

static void a_whole_answer_is_one_chunk(void **state)
{
    (void)state;
    tl_legacy_feed f = tl_legacy_feed_new(200, "application/json", "m", 9);
    json_t *chunk;
    assert_int_equal(
        tl_legacy_feed_put(
            &f, TL_SLICE_LIT("{\"object\":\"chat.completion\",\"choices\":[{\"message\":{\"role\":"
                             "\"assistant\",\"content\":\"ok\"},\"finish_reason\":\"stop\"}]}")),
        TL_OK);
    assert_int_equal(tl_legacy_feed_next(&f, false, &chunk), TL_ERR_SHORT);
    assert_int_equal(tl_legacy_feed_next(&f, true, &chunk), TL_OK);
    check_json(chunk, "{\"object\":\"chat.completion.chunk\",\"choices\":[{\"delta\":{\"role\":"
                      "\"assistant\",\"content\":\"ok\"},\"finish_reason\":\"stop\",\"index\":0}],"
                      "\"id\":\"chatcmpl-0\",\"created\":9,\"model\":\"m\"}");
    assert_int_equal(tl_legacy_feed_next(&f, true, &chunk), TL_ERR_SHORT);
    tl_legacy_feed_clear(&f);
}

static void refusals_and_nonsense_are_told_apart(void **state)
{
    (void)state;
    static const struct {
        int status;
        const char *type, *text;
        tl_err want;
        const char *words;
    } rows[] = {
        {400, "application/json", "{\"error\":{\"message\":\"no\"}}", TL_ERR_CLOSED, "no"},
        {500, "text/html", "<html>", TL_ERR_CLOSED, ""},
        {200, "text/event-stream", "data: {\"error\":\"died\"}\n\n", TL_ERR_CLOSED, "died"},
        {200, "text/event-stream", "data: {\"error\":null,\"choices\":[]}\n\n", TL_OK, ""},
        {200, "text/event-stream", "data: {nonsense\n\n", TL_ERR_PROTO, ""},
        {200, "text/event-stream", "data: {\"choices\":[7]}\n\n", TL_ERR_PROTO, ""},
        {200, "application/json", "[]", TL_ERR_PROTO, ""},
        {200, "application/json", "{}", TL_ERR_PROTO, ""},
        {200, "application/json", "{\"choices\":[]}", TL_OK, ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        tl_legacy_feed f = tl_legacy_feed_new(rows[i].status, rows[i].type, "m", 9);
        json_t *chunk = NULL;
        assert_int_equal(tl_legacy_feed_put(&f, tl_slice_str(rows[i].text)), TL_OK);
        if (tl_legacy_feed_next(&f, true, &chunk) != rows[i].want)
            fail_msg("%s", rows[i].text);
        assert_string_equal(f.words, rows[i].words);
        json_decref(chunk);
        tl_legacy_feed_clear(&f);
    }
}

static void a_line_has_a_bound(void **state)
{
    (void)state;
    static char piece[1u << 16];
    tl_legacy_feed f = tl_legacy_feed_new(200, "text/event-stream", "m", 9);
    json_t *chunk;
    tl_err e = TL_ERR_SHORT;
    memset(piece, 'x', sizeof piece);
    unsigned n = 0;
    for (; e == TL_ERR_SHORT && n < 100; n++) {
        e = tl_legacy_feed_put(&f, tl_slice_of(piece, sizeof piece));
        if (!e)
            e = tl_legacy_feed_next(&f, false, &chunk);
    }
    assert_int_equal(e, TL_ERR_TOO_LARGE);
    assert_int_equal(n, TL_LEGACY_EVENT_MAX / sizeof piece + 1);
    tl_legacy_feed_clear(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_question_keeps_its_bytes_but_for_stop_and_stream),
        cmocka_unit_test(a_question_that_old_nodes_would_drop_is_refused),
        cmocka_unit_test(chunks_become_one_completion),
        cmocka_unit_test(tool_calls_and_several_choices_are_put_together),
        cmocka_unit_test(of_a_usage_three_numbers_are_kept),
        cmocka_unit_test(a_chunk_says_something_or_nothing),
        cmocka_unit_test(odd_chunks_add_nothing),
        cmocka_unit_test(an_answer_has_a_bound),
        cmocka_unit_test(events_are_cut_into_chunks_whatever_pieces_they_come_in),
        cmocka_unit_test(a_whole_answer_is_one_chunk),
        cmocka_unit_test(refusals_and_nonsense_are_told_apart),
        cmocka_unit_test(a_line_has_a_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
