#include "wire/rfc4571.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* "abc", a null packet, "z". */
static const uint8_t sample[] = {0, 3, 'a', 'b', 'c', 0, 0, 0, 1, 'z'};

/* Reads as a driver does: `step` bytes more at a time, behind what no frame took. Frames come out in brackets. */
static tl_err feed(const uint8_t *text, size_t n, size_t step, char *ret_out)
{
    uint8_t held[TL_RFC4571_HEAD + TL_RFC4571_FRAME_MAX + 64];
    size_t have = 0, out = 0;
    for (size_t from = 0; from < n; from += step) {
        size_t more = n - from < step ? n - from : step, at = 0, len;
        uint8_t *frame;
        tl_err e;
        memcpy(held + have, text + from, more);
        have += more;
        while (!(e = tl_rfc4571_next(held, have, &at, &frame, &len))) {
            ret_out[out++] = '(';
            memcpy(ret_out + out, frame, len);
            out += len;
            ret_out[out++] = ')';
        }
        if (e != TL_ERR_SHORT)
            return e;
        memmove(held, held + at, have - at);
        have -= at;
    }
    ret_out[out] = 0;
    return have ? TL_ERR_SHORT : TL_OK;
}

static void frames_come_out_the_same_however_the_bytes_are_cut(void **state)
{
    char out[64];
    (void)state;
    for (size_t step = 1; step <= sizeof sample; step++) {
        assert_int_equal(feed(sample, sizeof sample, step, out), TL_OK);
        assert_string_equal(out, "(abc)(z)");
    }
}

static void a_stream_cut_inside_a_frame_gives_the_whole_ones_and_waits(void **state)
{
    char out[64];
    (void)state;
    for (size_t n = 0; n <= sizeof sample; n++) {
        bool between = n == 0 || n == 5 || n == 7 || n == sizeof sample;
        assert_int_equal(feed(sample, n, sizeof sample, out), between ? TL_OK : TL_ERR_SHORT);
        if (n)
            assert_string_equal(out, n < 5 ? "" : n < sizeof sample ? "(abc)" : "(abc)(z)");
    }
}

static void a_frame_that_is_written_is_read_again_at_every_length(void **state)
{
    static uint8_t bytes[TL_RFC4571_HEAD + TL_RFC4571_FRAME_MAX];
    (void)state;
    for (size_t n = 1; n <= TL_RFC4571_FRAME_MAX; n++) {
        uint8_t *frame;
        size_t at = 0, len;
        tl_rfc4571_head_write(bytes, n);
        assert_int_equal(tl_rfc4571_next(bytes, TL_RFC4571_HEAD + n - 1, &at, &frame, &len),
                         TL_ERR_SHORT);
        assert_int_equal(at, 0);
        assert_int_equal(tl_rfc4571_next(bytes, TL_RFC4571_HEAD + n, &at, &frame, &len), TL_OK);
        assert_ptr_equal(frame, bytes + TL_RFC4571_HEAD);
        assert_int_equal(len, n);
        assert_int_equal(at, TL_RFC4571_HEAD + n);
    }
}

static void a_frame_that_is_too_large_ends_the_stream_and_the_largest_does_not(void **state)
{
    static uint8_t bytes[TL_RFC4571_HEAD + TL_RFC4571_FRAME_MAX + 1];
    size_t at = 0, len;
    uint8_t *frame;
    (void)state;
    bytes[0] = TL_RFC4571_FRAME_MAX >> 8;
    bytes[1] = 1;
    assert_int_equal(tl_rfc4571_next(bytes, sizeof bytes, &at, &frame, &len), TL_ERR_TOO_LARGE);
    assert_int_equal(tl_rfc4571_next(bytes, 2, &at, &frame, &len), TL_ERR_TOO_LARGE);
    assert_int_equal(at, 0);
    bytes[1] = 0;
    assert_int_equal(tl_rfc4571_next(bytes, sizeof bytes, &at, &frame, &len), TL_OK);
    assert_int_equal(len, TL_RFC4571_FRAME_MAX);
}

/* RFC 4571 section 2 draws LENGTH as an unsigned 16-bit integer in network order, before the packet. These are the
 * first bytes of a STUN check over TCP as RFC 6544 (section 3) has it: a Binding request of 20 bytes. */
static void a_stun_message_is_framed_as_ice_over_tcp_frames_it(void **state)
{
    uint8_t bytes[] = {0, 20, 0x00, 0x01, 0, 0, 0x21, 0x12, 0xA4, 0x42, 1,
                       2, 3,  4,    5,    6, 7, 8,    9,    10,   11,   12};
    size_t at = 0, len;
    uint8_t *frame;
    (void)state;
    assert_int_equal(tl_rfc4571_next(bytes, sizeof bytes, &at, &frame, &len), TL_OK);
    assert_int_equal(len, 20);
    assert_int_equal(frame[0] << 8 | frame[1], 0x0001);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_come_out_the_same_however_the_bytes_are_cut),
        cmocka_unit_test(a_stream_cut_inside_a_frame_gives_the_whole_ones_and_waits),
        cmocka_unit_test(a_frame_that_is_written_is_read_again_at_every_length),
        cmocka_unit_test(a_frame_that_is_too_large_ends_the_stream_and_the_largest_does_not),
        cmocka_unit_test(a_stun_message_is_framed_as_ice_over_tcp_frames_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
