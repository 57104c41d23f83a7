#include "ask/usage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* Counts `text` in pieces of every size: the cuts must never matter. */
static void counts(const char *type, const char *text, uint64_t in, uint64_t out)
{
    size_t n = strlen(text);
    for (size_t step = 1; step <= n; step++) {
        tl_usage u;
        tl_usage_init(&u, type);
        for (size_t at = 0; at < n; at += step)
            tl_usage_observe(&u, tl_slice_of(text + at, n - at < step ? n - at : step));
        tl_answer_end end = tl_usage_end(&u);
        assert_int_equal(end.tokens_in, in);
        assert_int_equal(end.tokens_out, out);
    }
}

#define SSE "text/event-stream; charset=utf-8"

static void the_servers_own_usage_is_taken(void **state)
{
    (void)state;
    counts("application/json",
           "{\n \"choices\":[{\"message\":{\"content\":\"hi\"}}],\n \"usage\" : "
           "{\"prompt_tokens\": 12, \"completion_tokens\":34,\n\"total_tokens\":46}}",
           12, 34);
    counts(SSE,
           "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}],\"usage\":null}\n\n"
           "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":6,"
           "\"completion_tokens_details\":{\"completion_tokens\":99}}}\n\ndata: [DONE]\n\n",
           5, 6);
}

static void bytes_that_are_no_text_are_not_looked_into(void **state)
{
    (void)state;
    const char *text = "{\"usage\":{\"prompt_tokens\":12,\"completion_tokens\":34}}";
    counts("application/octet-stream", text, 0, 0);
    counts("application/json", text, 12, 34);
}

static void without_usage_events_with_content_are_counted(void **state)
{
    (void)state;
    counts(SSE,
           "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n"
           "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n"
           "data: {\"choices\":[{\"delta\":{\"content\":\" \\\"b\\\"\"}}]}\r\n\r\n"
           "data: {\"choices\":[{\"delta\":{\"reasoning_content\":\"c\"}}]}\n\n"
           "data: {\"choices\":[{\"delta\":{\"content\":null}}]}\n\n"
           "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n",
           0, 3);
}

static void text_that_looks_like_usage_inside_an_answer_is_only_text(void **state)
{
    (void)state;
    counts(
        SSE,
        "data: "
        "{\"choices\":[{\"delta\":{\"content\":\"\\\"usage\\\":{\\\"prompt_tokens\\\":7}\"}}]}\n\n",
        0, 1);
    counts("application/json",
           "{\"choices\":[{\"usage\":{\"prompt_tokens\":7}}],\"x\":\"usage\",\"y\":{\"prompt_"
           "tokens\":8}}",
           0, 0);
}

static void nonsense_counts_nothing_and_a_broken_event_spoils_only_itself(void **state)
{
    (void)state;
    counts(
        SSE,
        "data: {\"a\":\"never closed\n\ndata: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n",
        0, 1);
    counts("application/json", "]]}}\"\\", 0, 0);
    counts("application/json", "{\"usage\":{\"prompt_tokens\":\"12\",\"completion_tokens\":-3}}", 0,
           0);
}

static void the_other_paths_of_the_api_are_counted_too(void **state)
{
    (void)state;
    counts(SSE,
           "data: {\"choices\":[{\"text\":\"a\"}]}\n\ndata: {\"choices\":[{\"text\":\"b\"}]}\n\n",
           0, 2);
    counts(SSE,
           "data: {\"type\":\"response.output_text.delta\",\"delta\":\"a\"}\n\n"
           "data: {\"type\":\"response.output_text.delta\",\"delta\":\"b\"}\n\n",
           0, 2);
    counts(
        SSE,
        "data: {\"type\":\"response.output_text.delta\",\"delta\":\"a\"}\n\n"
        "data: {\"type\":\"response.completed\",\"response\":{\"output\":[{\"usage\":{\"input_"
        "tokens\":1}}],\"usage\":{\"input_tokens\":7,\"input_tokens_details\":{\"input_tokens\":9},"
        "\"output_tokens\":8}}}\n\n",
        7, 8);
    counts("application/json", "{\"usage\":{\"input_tokens\":3,\"output_tokens\":4}}", 3, 4);
    counts("application/json", "{\"x\":{\"usage\":{\"input_tokens\":3,\"output_tokens\":4}}}", 0,
           0);
}

static tl_answer_end delivered(const char *text, uint64_t asked)
{
    tl_usage u;
    tl_usage_init(&u, SSE);
    tl_usage_observe(&u, tl_slice_str(text));
    return tl_usage_delivered(&u, asked);
}

#define TWO                                                                                        \
    "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n"                                    \
    "data: {\"choices\":[{\"delta\":{\"content\":\"b\"}}]}\n\n"

static void what_was_delivered_is_the_usage_unless_it_is_more_than_the_bytes_can_hold(void **state)
{
    (void)state;
    tl_answer_end end = delivered(TWO, 401);
    assert_int_equal(end.tokens_in, 101);
    assert_int_equal(end.tokens_out, 2);
    end =
        delivered(TWO "data: {\"usage\":{\"prompt_tokens\":90,\"completion_tokens\":3}}\n\n", 401);
    assert_int_equal(end.tokens_in, 90);
    assert_int_equal(end.tokens_out, 3);
    end = delivered(TWO "data: {\"usage\":{\"prompt_tokens\":402,\"completion_tokens\":99999}}\n\n",
                    401);
    assert_int_equal(end.tokens_in, 101);
    assert_int_equal(end.tokens_out, 2);
}

static void the_frame_of_a_stream_and_its_comments_make_no_token(void **state)
{
    (void)state;
    static char pad[4096];
    memset(pad, ':', sizeof pad - 2);
    pad[sizeof pad - 2] = '\n';
    tl_usage u;
    tl_usage_init(&u, SSE);
    tl_usage_observe(&u, tl_slice_str(TWO));
    tl_usage_observe(&u, tl_slice_str(pad));
    tl_usage_observe(&u, tl_slice_str(": {\"delta\":{\"content\":\"nobody sees this\"}}\n"));
    assert_int_equal(tl_usage_delivered(&u, 40).tokens_out, 2);
    tl_usage v = u; /* its twin: what was said, with what a stream does not show */
    tl_usage_observe(&v, tl_slice_str("data: {\"usage\":{\"completion_tokens\":66}}\n\n"));
    assert_int_equal(tl_usage_delivered(&v, 40).tokens_out, 66);
    tl_usage_observe(&u, tl_slice_str("data: {\"usage\":{\"completion_tokens\":67}}\n\n"));
    assert_int_equal(tl_usage_delivered(&u, 40).tokens_out, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_servers_own_usage_is_taken),
        cmocka_unit_test(bytes_that_are_no_text_are_not_looked_into),
        cmocka_unit_test(without_usage_events_with_content_are_counted),
        cmocka_unit_test(text_that_looks_like_usage_inside_an_answer_is_only_text),
        cmocka_unit_test(nonsense_counts_nothing_and_a_broken_event_spoils_only_itself),
        cmocka_unit_test(the_other_paths_of_the_api_are_counted_too),
        cmocka_unit_test(what_was_delivered_is_the_usage_unless_it_is_more_than_the_bytes_can_hold),
        cmocka_unit_test(the_frame_of_a_stream_and_its_comments_make_no_token),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
