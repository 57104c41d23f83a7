#include "wire/chunked.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* Reads `text` in pieces of `step` bytes into `out`; *ret_end tells where the body ended. */
static tl_err read_body(tl_slice text, size_t step, tl_buf *out, bool *ret_done, size_t *ret_end)
{
    tl_chunked c = {0};
    size_t at = 0, have = 0;
    while (c.state != TL_CHUNKED_DONE) {
        have = have + step < text.n ? have + step : text.n;
        size_t used = 1;
        while (used) {
            tl_slice data;
            tl_err e = tl_chunked_next(&c, tl_slice_of(text.p + at, have - at), &used, &data);
            if (e)
                return e;
            assert_int_equal(tl_buf_append(out, data), TL_OK);
            at += used;
        }
        if (at == text.n)
            break;
    }
    *ret_done = c.state == TL_CHUNKED_DONE;
    *ret_end = at;
    return TL_OK;
}

static const char good[] = "5\r\nhello\r\n"
                           "00A;note=\"x\"\r\n, chunked \r\n"
                           "5\r\nworld\r\n0\r\nX-Sum: 1\r\nY: 2\r\n\r\n";

static void a_body_is_the_same_in_pieces_of_any_size(void **state)
{
    (void)state;
    for (size_t step = 1; step < sizeof good; step++) {
        tl_buf out = {0};
        bool done;
        size_t end;
        assert_int_equal(read_body(TL_SLICE_LIT(good), step, &out, &done, &end), TL_OK);
        assert_true(done);
        assert_int_equal(end, sizeof good - 1);
        assert_true(tl_slice_eq(tl_buf_slice(&out), TL_SLICE_LIT("hello, chunked world")));
        tl_buf_clear(&out);
    }
}

static void a_body_cut_anywhere_is_not_done(void **state)
{
    (void)state;
    for (size_t cut = 0; cut < sizeof good - 1; cut++) {
        tl_buf out = {0};
        bool done;
        size_t end;
        assert_int_equal(read_body(tl_slice_of(good, cut), 7, &out, &done, &end), TL_OK);
        assert_false(done);
        tl_buf_clear(&out);
    }
}

static void what_follows_the_body_is_left_alone(void **state)
{
    (void)state;
    tl_buf out = {0};
    bool done;
    size_t end;
    tl_slice text = TL_SLICE_LIT("1\r\na\r\n0\r\n\r\nGET / HTTP/1.1\r\n");
    assert_int_equal(read_body(text, text.n, &out, &done, &end), TL_OK);
    assert_true(done);
    assert_memory_equal(text.p + end, "GET /", 5);
    tl_buf_clear(&out);
}

/* Every rejection beside a twin that differs in one place and passes. */
static void two_readings_are_refused_and_their_twins_pass(void **state)
{
    (void)state;
    static const struct {
        const char *bad, *twin;
        tl_err e;
    } rows[] = {
        {"3\nabc\r\n0\r\n\r\n", "3\r\nabc\r\n0\r\n\r\n", TL_ERR_PROTO},
        {"3\r\nabc\n0\r\n\r\n", "3\r\nabc\r\n0\r\n\r\n", TL_ERR_PROTO},
        {"3\r\nabcd\r\n0\r\n\r\n", "4\r\nabcd\r\n0\r\n\r\n", TL_ERR_PROTO},
        {"3\r\nabc\r\n0\n\r\n", "3\r\nabc\r\n0\r\n\r\n", TL_ERR_PROTO},
        {"3\r\nabc\r\n0\r\n\n", "3\r\nabc\r\n0\r\n\r\n", TL_ERR_PROTO},
        {"\r\nabc\r\n0\r\n\r\n", "3\r\nabc\r\n0\r\n\r\n", TL_ERR_PROTO},
        {" 3\r\nabc\r\n0\r\n\r\n", "3\r\nabc\r\n0\r\n\r\n", TL_ERR_PROTO},
        {"3 \r\nabc\r\n0\r\n\r\n", "3\r\nabc\r\n0\r\n\r\n", TL_ERR_PROTO},
        {"+3\r\nabc\r\n0\r\n\r\n", "3\r\nabc\r\n0\r\n\r\n", TL_ERR_PROTO},
        {"0x3\r\nabc\r\n0\r\n\r\n", "03\r\nabc\r\n0\r\n\r\n", TL_ERR_PROTO},
        {"-1\r\nabc\r\n0\r\n\r\n", "3\r\nabc\r\n0\r\n\r\n", TL_ERR_PROTO},
        {"3;a\nb\r\nabc\r\n0\r\n\r\n", "3;a b\r\nabc\r\n0\r\n\r\n", TL_ERR_PROTO},
        {"3;a\rb\r\nabc\r\n0\r\n\r\n", "3;ab\r\nabc\r\n0\r\n\r\n", TL_ERR_PROTO},
        {"3\r\nabc\r\n0\r\nX: a\nb\r\n\r\n", "3\r\nabc\r\n0\r\nX: ab\r\n\r\n", TL_ERR_PROTO},
        {"3\r\nabc\r\n0\r\nX: a\x01\r\n\r\n", "3\r\nabc\r\n0\r\nX: a\r\n\r\n", TL_ERR_PROTO},
        {"000000003\r\nabc\r\n0\r\n\r\n", "00000003\r\nabc\r\n0\r\n\r\n", TL_ERR_TOO_LARGE},
        {"fffffffffffffffff\r\n", "ffffffff\r\n", TL_ERR_TOO_LARGE},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        tl_buf out = {0};
        bool done;
        size_t end;
        assert_int_equal(read_body(tl_slice_str(rows[i].bad), 1000, &out, &done, &end), rows[i].e);
        assert_int_equal(read_body(tl_slice_str(rows[i].twin), 1000, &out, &done, &end), TL_OK);
        tl_buf_clear(&out);
    }
}

static void extensions_and_trailers_are_bounded_together(void **state)
{
    (void)state;
    for (int over = 0; over <= 1; over++) {
        tl_buf text = {0}, out = {0};
        assert_int_equal(tl_buf_append_str(&text, "1;aaaa\r\nx\r\n0\r\n"), TL_OK);
        for (int i = 0; i < TL_CHUNKED_EXTRA_MAX - 4 + over; i++)
            assert_int_equal(tl_buf_append_str(&text, "t"), TL_OK);
        assert_int_equal(tl_buf_append_str(&text, "\r\n\r\n"), TL_OK);
        bool done = false;
        size_t end;
        tl_err e = read_body(tl_buf_slice(&text), 64, &out, &done, &end);
        assert_int_equal(e, over ? TL_ERR_TOO_LARGE : TL_OK);
        assert_int_equal(done, !over);
        tl_buf_clear(&text);
        tl_buf_clear(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_body_is_the_same_in_pieces_of_any_size),
        cmocka_unit_test(a_body_cut_anywhere_is_not_done),
        cmocka_unit_test(what_follows_the_body_is_left_alone),
        cmocka_unit_test(two_readings_are_refused_and_their_twins_pass),
        cmocka_unit_test(extensions_and_trailers_are_bounded_together),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
