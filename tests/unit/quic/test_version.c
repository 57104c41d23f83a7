#include "quic/version.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

/* An Initial (token "tok", 20 bytes), a Handshake (25 bytes) and a short packet, as libngtcp2
 * writes them: version 1, IDs of 8 and 5 bytes. */
static size_t coalesced(uint8_t *d)
{
    static const uint8_t ids[] = "\x08"
                                 "destination"; /* 8 of it */
    size_t at = 0;
    for (int i = 0; i < 2; i++) {
        d[at++] = i ? 0xE3 : 0xC3;
        memcpy(d + at, "\0\0\0\1", 4);
        at += 4;
        memcpy(d + at, ids, 9);
        at += 9;
        memcpy(d + at, "\x05sourc", 6);
        at += 6;
        if (i == 0) {
            memcpy(d + at, "\x03tok", 4);
            at += 4;
        }
        size_t n = i ? 25 : 20;
        d[at++] = 0x40; /* a two-byte varint */
        d[at++] = (uint8_t)n;
        memset(d + at, 0xAA, n);
        at += n;
    }
    memcpy(d + at,
           "\x43"
           "destinatshort packet",
           21);
    return at + 21;
}

static void every_long_packet_of_a_datagram_is_swapped_and_swapped_back(void **state)
{
    (void)state;
    uint8_t d[256], before[256];
    size_t n = coalesced(d);
    memcpy(before, d, n);
    tl_quic_version_out(d, n);
    size_t changed = 0;
    for (size_t i = 0; i < n; i++)
        changed += d[i] != before[i];
    assert_int_equal(changed, 2 * 2); /* 00000001 and 54450001 differ in two bytes */
    assert_int_equal(tl_quic_version_in(d, n), TL_OK);
    assert_memory_equal(d, before, n);
}

static void a_foreign_version_is_refused_in_any_packet(void **state)
{
    (void)state;
    for (int second = 0; second < 2; second++) {
        uint8_t d[256];
        size_t n = coalesced(d);
        assert_int_equal(tl_quic_version_in(d, n), TL_ERR_PROTO); /* plain QUIC v1 */
        n = coalesced(d);
        tl_quic_version_out(d, n);
        d[second ? 46 + 4 : 4] ^= 1;
        assert_int_equal(tl_quic_version_in(d, n), TL_ERR_PROTO);
    }
}

static void a_cut_datagram_is_refused_or_whole_without_its_tail(void **state)
{
    (void)state;
    uint8_t whole[256];
    size_t n = coalesced(whole);
    tl_quic_version_out(whole, n);
    for (size_t cut = 0; cut < n; cut++) {
        uint8_t *d = malloc(cut ? cut : 1); /* exact, for the address sanitizer */
        memcpy(d, whole, cut);
        tl_err e = tl_quic_version_in(d, cut);
        bool at_boundary = cut == 0 || cut == 46 || cut >= 93;
        assert_int_equal(e, at_boundary ? TL_OK : TL_ERR_PROTO);
        free(d);
    }
}

static void heads_are_read(void **state)
{
    (void)state;
    uint8_t d[256];
    tl_quic_head head;
    size_t n = coalesced(d);
    tl_quic_version_out(d, n);
    assert_int_equal(tl_quic_head_parse(tl_slice_of(d, n), &head), TL_OK);
    assert_true(head.is_long);
    assert_true(tl_slice_eq(head.dcid, TL_SLICE_LIT("destinat")));
    assert_true(tl_slice_eq(head.scid, TL_SLICE_LIT("sourc")));
    assert_int_equal(tl_quic_head_parse(tl_slice_of(d + n - 21, 21), &head), TL_OK);
    assert_false(head.is_long);
    assert_true(tl_slice_eq(head.dcid, TL_SLICE_LIT("destinat")));
}

static void heads_that_are_not_ours_are_refused(void **state)
{
    (void)state;
    uint8_t d[256];
    tl_quic_head head;
    size_t n = coalesced(d);
    assert_int_equal(tl_quic_head_parse(tl_slice_of(d, n), &head), TL_ERR_PROTO); /* QUIC v1 */
    tl_quic_version_out(d, n);
    for (size_t cut = 0; cut < 20; cut++)
        assert_int_equal(tl_quic_head_parse(tl_slice_of(d, cut), &head), TL_ERR_SHORT);
    assert_int_equal(tl_quic_head_parse(tl_slice_of(d, 20), &head), TL_OK);
    d[0] &= (uint8_t)~0x40; /* the fixed bit: that would be STUN's range */
    assert_int_equal(tl_quic_head_parse(tl_slice_of(d, n), &head), TL_ERR_PROTO);
    d[0] |= 0x40;
    d[5] = 21; /* RFC 9000: at most 20 */
    assert_int_equal(tl_quic_head_parse(tl_slice_of(d, n), &head), TL_ERR_PROTO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_long_packet_of_a_datagram_is_swapped_and_swapped_back),
        cmocka_unit_test(a_foreign_version_is_refused_in_any_packet),
        cmocka_unit_test(a_cut_datagram_is_refused_or_whole_without_its_tail),
        cmocka_unit_test(heads_are_read),
        cmocka_unit_test(heads_that_are_not_ours_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
