#include "api/strain.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const struct {
    const char *in, *out;
} rows[] = {
    {"data: 1\n\ndata: 2\n\n", "data: 1\n\ndata: 2\n\n"},
    {"data: 1\r\n\r\nid: 3\r\ndata: 2\r\n\r\n", "data: 1\r\n\r\nid: 3\r\ndata: 2\r\n\r\n"},
    {"data: 1\r\rdata: 2\r\r", "data: 1\r\rdata: 2\r\r"},
    {"data: a: b\n\n", "data: a: b\n\n"},
    {": queue position=3 wait_s=4\n\ndata: 1\n\n", "data: 1\n\n"},
    {":\r\n\r\ndata: 1\r\n\r\n: waiting for=path seconds=9\r\n\r\n", "data: 1\r\n\r\n"},
    {": a\r\rdata: 1\r\r: b\r\r", "data: 1\r\r"},
    {"data: 1\n: inside\ndata: 2\n\n", "data: 1\ndata: 2\n\n"},
    {"event: error\ndata: {\"error\":{}}\n\n", "data: {\"error\":{}}\n\n"},
    {"event:error\r\ndata: 1\r\n\r\n", "data: 1\r\n\r\n"},
    {"data: 1\revent: error\r\n\r\n", "data: 1\r\r\n"},
    {"event: errors\ndata: 1\n\n", "event: errors\ndata: 1\n\n"},
    {"event: err\ndata: 1\n\n", "event: err\ndata: 1\n\n"},
    {"event: response.error\ndata: 1\n\n", "event: response.error\ndata: 1\n\n"},
    {"event:  error\ndata: 1\n\n", "event:  error\ndata: 1\n\n"},
    {"event\ne\ndata: 1\n\n", "event\ne\ndata: 1\n\n"},
    {"\xEF\xBB\xBF: queue position=3 wait_s=4\n\ndata: 1\n\n", "data: 1\n\n"},
    {"\xEF\xBB\xBF"
     "event: error\ndata: 1\n\n",
     "data: 1\n\n"},
    {"\xEF\xBB"
     "data: 1\n\n",
     "\xEF\xBB"
     "data: 1\n\n"},
    {"data: \xEF\xBB\xBF\n\xEF\xBB\xBF: 1\n\n", "data: \xEF\xBB\xBF\n\xEF\xBB\xBF: 1\n\n"},
    {"\n\n\ndata: 1\n\n\n\n\ndata: 2\n\n", "data: 1\n\ndata: 2\n\n"},
    {"data: 1\n\nevent: er", "data: 1\n\n"},
    {"data: cut", "data: cut"},
};

static void strained(const char *in, size_t n, size_t step, tl_buf *out)
{
    tl_strain s = {0};
    for (size_t at = 0; at < n; at += step)
        assert_int_equal(
            tl_strain_feed(&s, tl_slice_of(in + at, n - at < step ? n - at : step), out), TL_OK);
}

static void
a_provider_has_no_comments_and_no_event_named_error_however_the_bytes_are_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (size_t step = 1; step <= strlen(rows[i].in); step++) {
            tl_buf out = {0};
            strained(rows[i].in, strlen(rows[i].in), step, &out);
            if (!tl_slice_eq(tl_buf_slice(&out), tl_slice_str(rows[i].out)))
                fail_msg("row %zu, step %zu: %.*s", i, step, (int)out.len,
                         (const char *)tl_buf_begin(&out));
            tl_buf_clear(&out);
        }
}

static void a_name_that_ends_for_a_reader_in_c_at_a_nul_is_left_out_too(void **state)
{
    static const char in[] = "event: error\0x\ndata: 1\n\n";
    (void)state;
    for (size_t step = 1; step < sizeof in; step++) {
        tl_buf out = {0};
        strained(in, sizeof in - 1, step, &out);
        assert_true(tl_slice_eq(tl_buf_slice(&out), TL_SLICE_LIT("data: 1\n\n")));
        tl_buf_clear(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            a_provider_has_no_comments_and_no_event_named_error_however_the_bytes_are_cut),
        cmocka_unit_test(a_name_that_ends_for_a_reader_in_c_at_a_nul_is_left_out_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
