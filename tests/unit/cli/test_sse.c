#include "cli/sse.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char seen[4096];

static void note(void *user, const char *name, tl_slice data)
{
    (void)user;
    size_t n = strlen(seen);
    snprintf(seen + n, sizeof seen - n, "%s<%.*s>", name, (int)data.n, (const char *)data.p);
}

static const char stream[] = ": comment\n"
                             "data: {\"a\":1}\n\n"
                             "event: error\r\ndata:x\r\ndata:  y\r\n\r\n"
                             "id: 5\n\n"
                             "data: [DONE]\n\n"
                             "data: cut";
static const char expected[] = "<{\"a\":1}>error<x\n y><[DONE]>";

static void events_are_found_however_the_bytes_are_cut(void **state)
{
    (void)state;
    for (size_t step = 1; step <= sizeof stream; step++) {
        tl_sse s = {0};
        seen[0] = 0;
        for (size_t at = 0; at < sizeof stream - 1; at += step) {
            size_t n = sizeof stream - 1 - at < step ? sizeof stream - 1 - at : step;
            assert_int_equal(tl_sse_feed(&s, tl_slice_of(stream + at, n), note, NULL), TL_OK);
        }
        assert_string_equal(seen, expected);
        tl_sse_clear(&s);
    }
}

static void comments_are_told_to_who_wants_them(void **state)
{
    (void)state;
    tl_slice t = TL_SLICE_LIT(": waiting for=model seconds=15\n\ndata: 1\n\n");
    for (int wants = 0; wants < 2; wants++) {
        tl_sse s = {.comments = wants};
        seen[0] = 0;
        assert_int_equal(tl_sse_feed(&s, t, note, NULL), TL_OK);
        assert_string_equal(seen, wants ? ":<waiting for=model seconds=15><1>" : "<1>");
        tl_sse_clear(&s);
    }
}

static void a_long_event_name_is_cut_and_harms_nothing(void **state)
{
    (void)state;
    tl_sse s = {0};
    seen[0] = 0;
    tl_slice t =
        TL_SLICE_LIT("event: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\ndata: 1\n\n");
    assert_int_equal(tl_sse_feed(&s, t, note, NULL), TL_OK);
    assert_non_null(strstr(seen, "aaa<1>"));
    tl_sse_clear(&s);
}

static void an_event_over_the_bound_is_refused(void **state)
{
    (void)state;
    char *big = malloc(TL_SSE_EVENT_MAX + 1);
    assert_non_null(big);
    memset(big, 'x', TL_SSE_EVENT_MAX + 1);
    tl_sse s = {0};
    assert_int_equal(tl_sse_feed(&s, tl_slice_of(big, TL_SSE_EVENT_MAX), note, NULL), TL_OK);
    assert_int_equal(tl_sse_feed(&s, tl_slice_of(big, 1), note, NULL), TL_ERR_TOO_LARGE);
    tl_sse_clear(&s);
    memcpy(big, "data:", 5);
    big[TL_SSE_EVENT_MAX / 2] = '\n';
    s = (tl_sse){0};
    tl_slice line = tl_slice_of(big, TL_SSE_EVENT_MAX / 2 + 1);
    assert_int_equal(tl_sse_feed(&s, line, note, NULL), TL_OK);
    assert_int_equal(tl_sse_feed(&s, line, note, NULL), TL_OK);
    assert_int_equal(tl_sse_feed(&s, line, note, NULL), TL_ERR_TOO_LARGE);
    tl_sse_clear(&s);
    free(big);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_are_found_however_the_bytes_are_cut),
        cmocka_unit_test(comments_are_told_to_who_wants_them),
        cmocka_unit_test(a_long_event_name_is_cut_and_harms_nothing),
        cmocka_unit_test(an_event_over_the_bound_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
