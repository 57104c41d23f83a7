#include "quic/frames.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

/* One of every kind of frame that something may follow, with fields of several lengths. */
#define LIT(s)                                                                                     \
    {                                                                                              \
        (const uint8_t *)(s), sizeof(s) - 1                                                        \
    }

static const tl_slice kinds[] = {
    LIT("\0\0\0"),                                   /* PADDING */
    LIT("\x01"),                                     /* PING */
    LIT("\x02\x40\x07\x01\x02\x03\x04\x05\x06\x07"), /* ACK with two more ranges */
    LIT("\x03\x07\x01\0\x03\x01\x02\x03"),           /* ACK with ECN counts */
    LIT("\x04\x01\x41\x02\x03"),                     /* RESET_STREAM */
    LIT("\x05\x01\x02"),                             /* STOP_SENDING */
    LIT("\x06\x01\x03"
        "abc"), /* CRYPTO */
    LIT("\x07\x02"
        "ab"), /* NEW_TOKEN */
    LIT("\x0a\x80\0\0\x04\x03"
        "abc"), /* STREAM with length */
    LIT("\x0f\x04\xC0\0\0\0\0\0\0\x09\x02"
        "ab"),           /* STREAM with offset, length, fin */
    LIT("\x10\x01"),     /* MAX_DATA */
    LIT("\x11\x01\x02"), /* MAX_STREAM_DATA */
    LIT("\x12\x01"),     /* MAX_STREAMS */
    LIT("\x13\x01"),
    LIT("\x14\x01"),     /* DATA_BLOCKED */
    LIT("\x15\x01\x02"), /* STREAM_DATA_BLOCKED */
    LIT("\x16\x01"),     /* STREAMS_BLOCKED */
    LIT("\x17\x01"),
    LIT("\x18\x01\0\x04"
        "idid"
        "sixteen bytes..."), /* NEW_CONNECTION_ID */
    LIT("\x19\x01"),         /* RETIRE_CONNECTION_ID */
    LIT("\x1a"
        "12345678"), /* PATH_CHALLENGE */
    LIT("\x1b"
        "12345678"), /* PATH_RESPONSE */
    LIT("\x1c\x01\x02\x03"
        "why"), /* CONNECTION_CLOSE */
    LIT("\x1d\x01\x03"
        "why"),
    LIT("\x1e"), /* HANDSHAKE_DONE */
};
#define KINDS (sizeof kinds / sizeof *kinds)

static const tl_slice unbearable = LIT("\x18\x05\x05\x04"
                                       "idid"
                                       "sixteen bytes...");

static tl_frames_streams streams;

static bool judge(tl_slice a, tl_slice b)
{
    uint8_t *both = malloc(a.n + b.n ? a.n + b.n : 1); /* exact, for the address sanitizer */
    memcpy(both, a.p, a.n);
    if (b.n)
        memcpy(both + a.n, b.p, b.n);
    bool ok = tl_frames_are_bearable(tl_slice_of(both, a.n + b.n), &streams);
    free(both);
    return ok;
}

static void every_frame_is_bearable_but_an_id_that_retires_others(void **state)
{
    (void)state;
    for (size_t i = 0; i < KINDS; i++)
        for (size_t k = 0; k < KINDS; k++)
            assert_true(judge(kinds[i], kinds[k]));
    assert_false(tl_frames_are_bearable(unbearable, &streams));
}

static void it_is_found_behind_any_other_frame(void **state)
{
    (void)state;
    for (size_t i = 0; i < KINDS; i++)
        assert_false(judge(kinds[i], unbearable));
}

static void inside_of_data_it_is_data(void **state)
{
    (void)state;
    assert_true(judge(TL_SLICE_LIT("\x08\x04"), unbearable)); /* STREAM to the end of the packet */
    assert_true(judge(TL_SLICE_LIT("\x06\0\x18"), unbearable));
}

static void cut_packets_are_left_to_the_library(void **state)
{
    (void)state;
    for (size_t i = 0; i < KINDS; i++)
        for (size_t n = 0; n < kinds[i].n; n++)
            assert_true(judge(tl_slice_of(kinds[i].p, n), (tl_slice){NULL, 0}));
    assert_true(judge(TL_SLICE_LIT("\x3f"), unbearable)); /* unknown: the library stops there */
    /* Lengths that overflow whatever they are added to. */
    assert_true(judge(TL_SLICE_LIT("\x06\x01\xff\xff\xff\xff\xff\xff\xff\xff"), unbearable));
    assert_true(
        judge(TL_SLICE_LIT("\x02\x01\x01\xff\xff\xff\xff\xff\xff\xff\xff\x01"), unbearable));
}

static void expect_stream(size_t i, uint64_t id, uint64_t begin, uint64_t end)
{
    assert_true(i < streams.n);
    assert_int_equal(streams.v[i].id, id);
    assert_int_equal(streams.v[i].begin, begin);
    assert_int_equal(streams.v[i].end, end);
}

static void the_bytes_of_streams_are_listed(void **state)
{
    (void)state;
    assert_true(judge(TL_SLICE_LIT("\x01\x0f\x04\x40\x64\x02"
                                   "ab\x0a\x08\x03"
                                   "abc"),
                      TL_SLICE_LIT("\x0e\x0c\x05\0\x10\x01\x0c\x10\x07"
                                   "to the end")));
    assert_int_equal(streams.n, 3); /* one has no bytes */
    expect_stream(0, 4, 100, 102);
    expect_stream(1, 8, 0, 3);
    expect_stream(2, 16, 7, 17);
}

static void frames_beyond_the_list_are_not_listed(void **state)
{
    (void)state;
    uint8_t many[4 * (TL_FRAMES_STREAMS_MAX + 5)];
    for (size_t i = 0; i < sizeof many; i += 4)
        memcpy(many + i, "\x0a\x04\x01x", 4);
    assert_true(tl_frames_are_bearable(tl_slice_of(many, sizeof many), &streams));
    assert_int_equal(streams.n, TL_FRAMES_STREAMS_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_frame_is_bearable_but_an_id_that_retires_others),
        cmocka_unit_test(it_is_found_behind_any_other_frame),
        cmocka_unit_test(inside_of_data_it_is_data),
        cmocka_unit_test(the_bytes_of_streams_are_listed),
        cmocka_unit_test(frames_beyond_the_list_are_not_listed),
        cmocka_unit_test(cut_packets_are_left_to_the_library),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
