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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_servers_own_usage_is_taken),
        cmocka_unit_test(bytes_that_are_no_text_are_not_looked_into),
        cmocka_unit_test(without_usage_events_with_content_are_counted),
        cmocka_unit_test(text_that_looks_like_usage_inside_an_answer_is_only_text),
        cmocka_unit_test(nonsense_counts_nothing_and_a_broken_event_spoils_only_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
