#include "wire/streamframe.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* "{}" as a message, "abc" as a body, an empty body, "z" as a body. */
static const uint8_t sample[] = {0,   0,   0, 3, 0, '{', '}', 0, 0, 0, 4, 1, 'a',
                                 'b', 'c', 0, 0, 0, 1,   1,   0, 0, 0, 2, 1, 'z'};

/* Feeds `text` in pieces of `step` bytes; messages come out as (m), body bytes as they are. */
static tl_err feed(tl_frame_reader *r, tl_slice text, size_t step, tl_buf *out)
{
    for (size_t at = 0; at < text.n; at += step) {
        tl_slice in = tl_slice_of(text.p + at, text.n - at < step ? text.n - at : step);
        tl_frame_piece piece;
        tl_err e;
        while ((e = tl_frame_next(r, &in, &piece)) == TL_OK) {
            if (piece.kind == TL_FRAME_BODY)
                assert_true(piece.bytes.n > 0);
            else
                assert_int_equal(tl_buf_append_str(out, "("), TL_OK);
            assert_int_equal(tl_buf_append(out, piece.bytes), TL_OK);
            if (piece.kind == TL_FRAME_MESSAGE)
                assert_int_equal(tl_buf_append_str(out, ")"), TL_OK);
        }
        if (e != TL_ERR_SHORT)
            return e;
        assert_int_equal(in.n, 0);
    }
    return TL_OK;
}

static void frames_come_out_the_same_however_the_bytes_are_cut(void **state)
{
    (void)state;
    for (size_t step = 1; step <= sizeof sample; step++) {
        tl_frame_reader r = {0};
        tl_buf out = {0};
        assert_int_equal(feed(&r, tl_slice_of(sample, sizeof sample), step, &out), TL_OK);
        assert_true(tl_slice_eq(tl_buf_slice(&out), TL_SLICE_LIT("({})abcz")));
        assert_true(tl_frame_is_between(&r));
        tl_frame_reader_clear(&r);
        tl_buf_clear(&out);
    }
}

static void a_stream_cut_inside_a_frame_is_noticed_at_every_length(void **state)
{
    (void)state;
    for (size_t n = 0; n <= sizeof sample; n++) {
        tl_frame_reader r = {0};
        tl_buf out = {0};
        assert_int_equal(feed(&r, tl_slice_of(sample, n), sizeof sample, &out), TL_OK);
        bool boundary = n == 0 || n == 7 || n == 15 || n == 20 || n == sizeof sample;
        assert_int_equal(tl_frame_is_between(&r), boundary);
        tl_frame_reader_clear(&r);
        tl_buf_clear(&out);
    }
}

static void a_bodys_first_byte_does_not_wait_for_its_frame(void **state)
{
    (void)state;
    const uint8_t text[] = {0, 0x10, 0, 0, 1, 'x'};
    tl_frame_reader r = {0};
    tl_slice in = tl_slice_of(text, sizeof text);
    tl_frame_piece piece;
    assert_int_equal(tl_frame_next(&r, &in, &piece), TL_OK);
    assert_int_equal(piece.kind, TL_FRAME_BODY);
    assert_true(tl_slice_eq(piece.bytes, TL_SLICE_LIT("x")));
    tl_frame_reader_clear(&r);
}

static tl_err head_alone(uint32_t length, uint8_t kind)
{
    uint8_t head[] = {(uint8_t)(length >> 24), (uint8_t)(length >> 16), (uint8_t)(length >> 8),
                      (uint8_t)length, kind};
    tl_frame_reader r = {0};
    tl_slice in = tl_slice_of(head, sizeof head);
    tl_frame_piece piece;
    tl_err e = tl_frame_next(&r, &in, &piece);
    tl_frame_reader_clear(&r);
    return e;
}

static void lengths_and_kinds_out_of_bounds_are_refused_from_the_head_alone(void **state)
{
    (void)state;
    assert_int_equal(head_alone(TL_FRAME_MAX, 1), TL_ERR_SHORT);
    assert_int_equal(head_alone(TL_FRAME_MAX + 1, 1), TL_ERR_TOO_LARGE);
    assert_int_equal(head_alone(UINT32_MAX, 1), TL_ERR_TOO_LARGE);
    assert_int_equal(head_alone(TL_FRAME_MESSAGE_MAX + 1, 0), TL_ERR_SHORT);
    assert_int_equal(head_alone(TL_FRAME_MESSAGE_MAX + 2, 0), TL_ERR_TOO_LARGE);
    assert_int_equal(head_alone(0, 1), TL_ERR_PROTO);
    assert_int_equal(head_alone(2, 2), TL_ERR_PROTO);
    assert_int_equal(head_alone(2, 1), TL_ERR_SHORT);
}

static void after_an_error_nothing_more_is_read(void **state)
{
    (void)state;
    const uint8_t text[] = {0, 0, 0, 0, 1, 0, 0, 0, 2, 1, 'x'};
    tl_frame_reader r = {0};
    tl_slice in = tl_slice_of(text, sizeof text);
    tl_frame_piece piece;
    assert_int_equal(tl_frame_next(&r, &in, &piece), TL_ERR_PROTO);
    assert_int_equal(tl_frame_next(&r, &in, &piece), TL_ERR_PROTO);
    assert_false(tl_frame_is_between(&r));
    tl_frame_reader_clear(&r);
}

static void what_is_written_reads_back(void **state)
{
    (void)state;
    tl_buf wire = {0}, out = {0};
    tl_frame_reader r = {0};
    assert_int_equal(tl_frame_append(&wire, TL_FRAME_MESSAGE, TL_SLICE_LIT("{}")), TL_OK);
    assert_int_equal(tl_frame_append(&wire, TL_FRAME_BODY, TL_SLICE_LIT("abc")), TL_OK);
    assert_true(tl_slice_eq(tl_buf_slice(&wire), tl_slice_of(sample, 15)));
    assert_int_equal(feed(&r, tl_buf_slice(&wire), 4, &out), TL_OK);
    assert_true(tl_slice_eq(tl_buf_slice(&out), TL_SLICE_LIT("({})abc")));
    assert_int_equal(tl_frame_append(&wire, TL_FRAME_BODY, tl_slice_of("", TL_FRAME_MAX)),
                     TL_ERR_TOO_LARGE);
    assert_int_equal(wire.len, 15);
    tl_frame_reader_clear(&r);
    tl_buf_clear(&wire);
    tl_buf_clear(&out);
}

static void more_frames_than_their_bytes_and_their_time_are_worth_are_a_flood(void **state)
{
    (void)state;
    static const struct {
        size_t n, frames; /* each of n bytes */
        uint64_t burst, per_sec;
        tl_time age;
        bool flood;
    } rows[] = {
        {0, 10, 10, 0, TL_MIN, false},    {0, 11, 10, 0, TL_MIN, true}, /* empty ones */
        {1, 10, 10, 0, 0, false},         {1, 11, 10, 0, 0, true},
        {1, 130, 10, 2, TL_MIN, false},   {1, 135, 10, 2, TL_MIN, true},
        {1, 12, 10, 2, TL_SEC - 1, true}, {1, 12, 10, 2, TL_SEC, false},
        {64, 10000, 0, 0, 0, false},      {63, 10000, 0, 0, 0, true},
        {63, 10000, 200, 0, 0, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        static const char bytes[64];
        tl_frame_reader r = {0};
        tl_buf wire = {0};
        tl_frame_piece piece;
        for (size_t f = 0; f < rows[i].frames; f++)
            assert_int_equal(tl_frame_append(&wire, TL_FRAME_BODY, tl_slice_of(bytes, rows[i].n)),
                             TL_OK);
        tl_slice in = tl_buf_slice(&wire);
        while (tl_frame_next(&r, &in, &piece) == TL_OK)
            ;
        assert_int_equal(r.frames, rows[i].frames);
        assert_int_equal(r.bytes, rows[i].frames * rows[i].n);
        assert_int_equal(tl_frame_is_flood(&r, rows[i].burst, rows[i].per_sec, rows[i].age),
                         rows[i].flood);
        tl_frame_reader_clear(&r);
        tl_buf_clear(&wire);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_come_out_the_same_however_the_bytes_are_cut),
        cmocka_unit_test(a_stream_cut_inside_a_frame_is_noticed_at_every_length),
        cmocka_unit_test(a_bodys_first_byte_does_not_wait_for_its_frame),
        cmocka_unit_test(lengths_and_kinds_out_of_bounds_are_refused_from_the_head_alone),
        cmocka_unit_test(after_an_error_nothing_more_is_read),
        cmocka_unit_test(what_is_written_reads_back),
        cmocka_unit_test(more_frames_than_their_bytes_and_their_time_are_worth_are_a_flood),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
