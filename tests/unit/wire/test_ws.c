#include "wire/ws.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define BYTES(...) ((const uint8_t[]){__VA_ARGS__}), sizeof((const uint8_t[]){__VA_ARGS__})

/* Reads one frame from a copy of exactly `n` bytes, so that the sanitizer sees a read beyond. */
static tl_ws_event read_one(bool from_client, const uint8_t *bytes, size_t n, char *ret_payload)
{
    tl_ws_reader r;
    tl_ws_event ev;
    uint8_t *copy = malloc(n ? n : 1);
    assert_non_null(copy);
    memcpy(copy, bytes, n);
    tl_ws_reader_init(&r, from_client, 1 << 20);
    tl_ws_reader_next(&r, copy, n, &ev);
    if (ret_payload && ev.n < 200) {
        memcpy(ret_payload, ev.payload ? ev.payload : copy, ev.n);
        ret_payload[ev.n] = 0;
    }
    ev.payload = NULL;
    tl_ws_reader_clear(&r);
    free(copy);
    return ev;
}

static void the_frames_of_rfc_6455_are_read(void **state)
{
    (void)state;
    char text[200];
    tl_ws_event ev = read_one(false, BYTES(0x81, 0x05, 'H', 'e', 'l', 'l', 'o'), text);
    assert_int_equal(ev.kind, TL_WS_EVENT_MESSAGE);
    assert_int_equal(ev.opcode, TL_WS_TEXT);
    assert_int_equal(ev.used, 7);
    assert_string_equal(text, "Hello");
    ev = read_one(true, BYTES(0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58),
                  text);
    assert_int_equal(ev.kind, TL_WS_EVENT_MESSAGE);
    assert_string_equal(text, "Hello");
    ev = read_one(false, BYTES(0x89, 0x05, 'H', 'e', 'l', 'l', 'o'), text);
    assert_int_equal(ev.kind, TL_WS_EVENT_PING);
    assert_string_equal(text, "Hello");
    ev = read_one(true, BYTES(0x8a, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58),
                  text);
    assert_int_equal(ev.kind, TL_WS_EVENT_PONG);
    assert_string_equal(text, "Hello");
}

static void the_length_headers_of_rfc_6455_are_written(void **state)
{
    (void)state;
    uint8_t h[TL_WS_HEADER_MAX];
    assert_int_equal(tl_ws_header_write(h, TL_WS_BINARY, true, 256, NULL), 4);
    assert_memory_equal(h, ((uint8_t[]){0x82, 0x7E, 0x01, 0x00}), 4);
    assert_int_equal(tl_ws_header_write(h, TL_WS_BINARY, true, 65536, NULL), 10);
    assert_memory_equal(h, ((uint8_t[]){0x82, 0x7F, 0, 0, 0, 0, 0, 1, 0, 0}), 10);
}

static void every_length_survives_a_round_trip(void **state)
{
    (void)state;
    static const size_t lengths[] = {0, 1, 125, 126, 127, 65535, 65536, 70000};
    const uint8_t mask[4] = {1, 2, 3, 4};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        for (int masked = 0; masked < 2; masked++) {
            tl_buf out = {0}, payload = {0};
            uint8_t *room;
            assert_int_equal(tl_buf_reserve(&payload, lengths[i] + 1, &room), TL_OK);
            for (size_t k = 0; k < lengths[i]; k++)
                room[k] = (uint8_t)(k * 7);
            tl_buf_added(&payload, lengths[i]);
            assert_int_equal(
                tl_ws_append(&out, TL_WS_BINARY, tl_buf_slice(&payload), masked ? mask : NULL),
                TL_OK);
            assert_int_equal(out.len, tl_ws_header_size(lengths[i], masked) + lengths[i]);
            tl_ws_reader r;
            tl_ws_event ev;
            tl_ws_reader_init(&r, masked, 1 << 20);
            tl_ws_reader_next(&r, tl_buf_begin(&out), out.len, &ev);
            assert_int_equal(ev.kind, TL_WS_EVENT_MESSAGE);
            assert_int_equal(ev.n, lengths[i]);
            assert_int_equal(ev.used, out.len);
            assert_true(ev.in_place);
            if (ev.n)
                assert_memory_equal(ev.payload, payload.data, ev.n);
            tl_ws_reader_clear(&r);
            tl_buf_clear(&out);
            tl_buf_clear(&payload);
        }
    }
}

static void a_frame_cut_short_waits_for_more_and_says_how_much(void **state)
{
    (void)state;
    tl_buf out = {0};
    static const uint8_t payload[300], mask[4] = {9, 8, 7, 6};
    assert_int_equal(tl_ws_append(&out, TL_WS_TEXT, tl_slice_of(payload, sizeof payload), mask),
                     TL_OK);
    for (size_t n = 0; n < out.len; n++) {
        tl_ws_event ev = read_one(true, tl_buf_begin(&out), n, NULL);
        assert_int_equal(ev.kind, TL_WS_EVENT_MORE);
        assert_int_equal(ev.used, 0);
        assert_true(ev.need > n && ev.need <= out.len);
        if (n >= 8)
            assert_int_equal(ev.need, out.len);
    }
    tl_buf_clear(&out);
}

static void assert_refused(bool from_client, const uint8_t *bytes, size_t n, uint16_t code)
{
    tl_ws_event ev = read_one(from_client, bytes, n, NULL);
    assert_int_equal(ev.kind, TL_WS_EVENT_FAIL);
    assert_int_equal(ev.close_code, code);
}

static void assert_taken(bool from_client, const uint8_t *bytes, size_t n)
{
    assert_int_not_equal(read_one(from_client, bytes, n, NULL).kind, TL_WS_EVENT_FAIL);
}

static void every_illegal_frame_is_refused_and_its_legal_twin_taken(void **state)
{
    (void)state;
    /* reserved bits */
    assert_refused(false, BYTES(0xC1, 0x01, 'a'), 1002);
    assert_refused(false, BYTES(0xA1, 0x01, 'a'), 1002);
    assert_refused(false, BYTES(0x91, 0x01, 'a'), 1002);
    assert_taken(false, BYTES(0x81, 0x01, 'a'));
    /* a mask from the server, none from the client */
    assert_refused(false, BYTES(0x81, 0x81, 0, 0, 0, 0, 'a'), 1002);
    assert_refused(true, BYTES(0x81, 0x01, 'a'), 1002);
    assert_taken(true, BYTES(0x81, 0x81, 0, 0, 0, 0, 'a'));
    /* reserved opcodes */
    for (uint8_t op = 0; op < 16; op++) {
        bool reserved = (op >= 3 && op <= 7) || op >= 11;
        tl_ws_event ev = read_one(false, BYTES((uint8_t)(0x80 | op), 0x00), NULL);
        assert_int_equal(ev.kind == TL_WS_EVENT_FAIL, reserved || op == 0);
    }
    /* longer length than needed */
    assert_refused(false, BYTES(0x82, 126, 0, 125), 1002);
    assert_taken(false, BYTES(0x82, 126, 0, 126));
    assert_refused(false, BYTES(0x82, 127, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF), 1002);
    assert_taken(false, BYTES(0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0));
    assert_refused(false, BYTES(0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 0), 1002);
    /* control frames: long, or fragmented */
    assert_refused(false, BYTES(0x89, 126, 0, 126), 1002);
    assert_refused(false, BYTES(0x09, 0x00), 1002);
    assert_taken(false, BYTES(0x89, 0x00));
}

static void a_frame_that_announces_too_much_is_refused_from_its_header(void **state)
{
    (void)state;
    tl_ws_reader r;
    tl_ws_event ev;
    tl_ws_reader_init(&r, true, 1000);
    uint8_t over[] = {0x81, 0xFE, 0x03, 0xE9}, within[] = {0x81, 0xFE, 0x03, 0xE8};
    tl_ws_reader_next(&r, within, sizeof within, &ev);
    assert_int_equal(ev.kind, TL_WS_EVENT_MORE);
    tl_ws_reader_next(&r, over, sizeof over, &ev);
    assert_int_equal(ev.kind, TL_WS_EVENT_FAIL);
    assert_int_equal(ev.close_code, 1009);
    uint8_t enormous[] = {0x82, 0xFF, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF};
    tl_ws_reader_next(&r, enormous, sizeof enormous, &ev);
    assert_int_equal(ev.close_code, 1009);
    tl_ws_reader_clear(&r);
}

/* Feeds frames one behind the other; returns the last event. */
static tl_ws_event feed(tl_ws_reader *r, const char *frames, size_t n, char *ret_text)
{
    static uint8_t copy[512];
    tl_ws_event ev = {.kind = TL_WS_EVENT_MORE};
    memcpy(copy, frames, n);
    for (size_t at = 0; at < n; at += ev.used) {
        tl_ws_reader_next(r, copy + at, n - at, &ev);
        if (ev.kind == TL_WS_EVENT_FAIL || ev.kind == TL_WS_EVENT_MORE)
            break;
    }
    if (ret_text && ev.kind == TL_WS_EVENT_MESSAGE) {
        memcpy(ret_text, ev.payload, ev.n);
        ret_text[ev.n] = 0;
    }
    return ev;
}
#define FEED(r, s, text) feed(r, s, sizeof(s) - 1, text)

static void fragments_become_one_message_with_control_frames_between(void **state)
{
    (void)state;
    char text[64] = "";
    tl_ws_reader r;
    tl_ws_reader_init(&r, false, 100);
    tl_ws_event ev = FEED(&r, "\x01\x03Hel\x89\x00\x80\x02lo", text);
    assert_int_equal(ev.kind, TL_WS_EVENT_MESSAGE);
    assert_int_equal(ev.opcode, TL_WS_TEXT);
    assert_false(ev.in_place);
    assert_string_equal(text, "Hello");
    /* a character may be cut by a fragment's end */
    ev = FEED(&r, "\x01\x01\xC3\x80\x01\xA9", text);
    assert_int_equal(ev.kind, TL_WS_EVENT_MESSAGE);
    assert_string_equal(text, "\xC3\xA9");
    ev = FEED(&r, "\x02\x00\x80\x00", text);
    assert_int_equal(ev.kind, TL_WS_EVENT_MESSAGE);
    assert_int_equal(ev.opcode, TL_WS_BINARY);
    assert_int_equal(ev.n, 0);
    tl_ws_reader_clear(&r);
}

static void fragments_out_of_turn_or_too_long_are_refused(void **state)
{
    (void)state;
    tl_ws_reader r;
    tl_ws_reader_init(&r, false, 4);
    assert_int_equal(FEED(&r,
                          "\x80\x01"
                          "a",
                          NULL)
                         .close_code,
                     1002);
    assert_int_equal(FEED(&r,
                          "\x01\x01"
                          "a\x81\x01"
                          "b",
                          NULL)
                         .close_code,
                     1002);
    tl_ws_reader_clear(&r);
    assert_int_equal(FEED(&r,
                          "\x01\x03"
                          "abc\x80\x02"
                          "de",
                          NULL)
                         .close_code,
                     1009);
    tl_ws_reader_clear(&r);
    assert_int_equal(FEED(&r,
                          "\x01\x03"
                          "abc\x80\x01"
                          "d",
                          NULL)
                         .kind,
                     TL_WS_EVENT_MESSAGE);
    tl_ws_reader_clear(&r);
}

static void text_must_be_utf8_and_binary_need_not(void **state)
{
    (void)state;
    assert_refused(false, BYTES(0x81, 0x02, 0xC3, 0x28), 1007);
    assert_refused(false, BYTES(0x81, 0x01, 0xC3), 1007);
    assert_refused(true, BYTES(0x81, 0x82, 1, 2, 3, 4, 0xC3 ^ 1, 0x28 ^ 2), 1007);
    assert_taken(true, BYTES(0x81, 0x82, 1, 2, 3, 4, 0xC3 ^ 1, 0xA9 ^ 2));
    assert_taken(false, BYTES(0x82, 0x02, 0xC3, 0x28));
}

static void close_frames_carry_legal_codes_and_reasons(void **state)
{
    (void)state;
    static const uint16_t bad[] = {0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535};
    static const uint16_t good[] = {1000, 1001, 1002, 1003, 1007, 1008,
                                    1009, 1010, 1011, 1012, 3000, 4999};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_refused(false, BYTES(0x88, 0x02, (uint8_t)(bad[i] >> 8), (uint8_t)bad[i]), 1002);
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        tl_ws_event ev =
            read_one(false, BYTES(0x88, 0x02, (uint8_t)(good[i] >> 8), (uint8_t)good[i]), NULL);
        assert_int_equal(ev.kind, TL_WS_EVENT_CLOSE);
        assert_int_equal(ev.close_code, good[i]);
    }
    char why[200];
    tl_ws_event ev = read_one(false, BYTES(0x88, 0x05, 0x03, 0xE8, 'b', 'y', 'e'), why);
    assert_int_equal(ev.close_code, 1000);
    assert_string_equal(why, "bye");
    assert_refused(false, BYTES(0x88, 0x04, 0x03, 0xE8, 0xC3, 0x28), 1007);
    assert_refused(false, BYTES(0x88, 0x01, 0x03), 1002);
    assert_int_equal(read_one(false, BYTES(0x88, 0x00), NULL).close_code, TL_WS_NO_STATUS);
}

static void a_close_reason_is_cut_between_characters(void **state)
{
    (void)state;
    uint8_t payload[TL_WS_CONTROL_MAX];
    char reason[200];
    memset(reason, 'a', 122);
    memcpy(reason + 122, "\xC3\xA9", 3); /* byte 123 and 124: does not fit whole */
    assert_int_equal(tl_ws_close_write(payload, 1000, reason), 124);
    assert_int_equal(tl_ws_close_write(payload, 1008, "no"), 4);
    assert_memory_equal(payload, "\x03\xF0no", 4);
}

static void masking_equals_its_definition_at_every_phase_and_length(void **state)
{
    (void)state;
    const uint8_t mask[4] = {0x37, 0xFA, 0x21, 0x3D};
    uint8_t bytes[300];
    for (size_t phase = 0; phase < 4; phase++) {
        for (size_t n = 0; n < sizeof bytes; n++) {
            uint8_t all = 0;
            memset(bytes, 0x55, sizeof bytes);
            uint8_t result = tl_ws_mask(bytes, n, mask, phase);
            for (size_t i = 0; i < n; i++) {
                assert_int_equal(bytes[i], 0x55 ^ mask[(phase + i) & 3]);
                all |= bytes[i];
            }
            assert_int_equal(result, all);
            if (n < sizeof bytes)
                assert_int_equal(bytes[n], 0x55);
        }
    }
}

static void one_high_byte_anywhere_shows_in_the_masks_result(void **state)
{
    (void)state;
    const uint8_t mask[4] = {0, 0, 0, 0};
    uint8_t bytes[130];
    for (size_t i = 0; i < sizeof bytes; i++) {
        memset(bytes, 'a', sizeof bytes);
        assert_true(tl_ws_mask(bytes, sizeof bytes, mask, 0) < 0x80);
        bytes[i] = 0x80;
        assert_true(tl_ws_mask(bytes, sizeof bytes, mask, 0) >= 0x80);
    }
}

static void the_accept_key_is_the_one_of_rfc_6455(void **state)
{
    (void)state;
    char accept[TL_WS_ACCEPT_SIZE];
    assert_int_equal(tl_ws_accept_key(TL_SLICE_LIT("dGhlIHNhbXBsZSBub25jZQ=="), accept), TL_OK);
    assert_string_equal(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    assert_int_equal(tl_ws_accept_key(TL_SLICE_LIT("dGhlIHNhbXBsZSBub25jZQ="), accept),
                     TL_ERR_PROTO);
    assert_int_equal(tl_ws_accept_key(TL_SLICE_LIT("dGhlIHNhbXBsZSBub25jZSE="), accept),
                     TL_ERR_PROTO);
    assert_int_equal(tl_ws_accept_key(TL_SLICE_LIT(""), accept), TL_ERR_PROTO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_frames_of_rfc_6455_are_read),
        cmocka_unit_test(the_length_headers_of_rfc_6455_are_written),
        cmocka_unit_test(every_length_survives_a_round_trip),
        cmocka_unit_test(a_frame_cut_short_waits_for_more_and_says_how_much),
        cmocka_unit_test(every_illegal_frame_is_refused_and_its_legal_twin_taken),
        cmocka_unit_test(a_frame_that_announces_too_much_is_refused_from_its_header),
        cmocka_unit_test(fragments_become_one_message_with_control_frames_between),
        cmocka_unit_test(fragments_out_of_turn_or_too_long_are_refused),
        cmocka_unit_test(text_must_be_utf8_and_binary_need_not),
        cmocka_unit_test(close_frames_carry_legal_codes_and_reasons),
        cmocka_unit_test(a_close_reason_is_cut_between_characters),
        cmocka_unit_test(masking_equals_its_definition_at_every_phase_and_length),
        cmocka_unit_test(one_high_byte_anywhere_shows_in_the_masks_result),
        cmocka_unit_test(the_accept_key_is_the_one_of_rfc_6455),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
