#include "net/kinds.h"

#include "base/rand.h"
#include "quic/cid.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static tl_datagram_kind kind_of_text(const char *text)
{
    return tl_datagram_kind_of((const uint8_t *)text, strlen(text));
}

static void a_dictionary_whose_first_key_has_a_length_is_krpc(void **state)
{
    (void)state;
    assert_int_equal(kind_of_text("d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe"),
                     TL_DATAGRAM_KRPC);
    assert_int_equal(kind_of_text("d1:e"), TL_DATAGRAM_KRPC); /* the least that looks like it */
    assert_int_equal(kind_of_text("d9:e"), TL_DATAGRAM_KRPC);
}

static void what_differs_in_one_byte_is_none(void **state)
{
    (void)state;
    assert_int_equal(kind_of_text("d1:aaaaaaaaaaaaaaaaaaaaaaaaa"), TL_DATAGRAM_QUIC);
    assert_int_equal(kind_of_text("d/:aaaaaaaaaaaaaaaaaaaaaaaae"), TL_DATAGRAM_QUIC);
    assert_int_equal(kind_of_text("d::aaaaaaaaaaaaaaaaaaaaaaaae"), TL_DATAGRAM_QUIC);
    assert_int_equal(kind_of_text("l1:aaaaaaaaaaaaaaaaaaaaaaaae"), TL_DATAGRAM_QUIC);
    assert_int_equal(kind_of_text("de"), TL_DATAGRAM_SHORT);
    assert_int_equal(kind_of_text("d1e"), TL_DATAGRAM_SHORT);
}

static void each_first_byte_has_its_kind(void **state)
{
    uint8_t p[64] = {0};
    (void)state;
    for (unsigned first = 0; first < 256; first++) {
        p[0] = (uint8_t)first;
        tl_datagram_kind kind = tl_datagram_kind_of(p, sizeof p);
        tl_datagram_kind want = first < 4                       ? TL_DATAGRAM_STUN
                                : first == 0x0C                 ? TL_DATAGRAM_CONTROL
                                : first < 0x40                  ? TL_DATAGRAM_UNKNOWN
                                : first >= 0x80 && first < 0xC0 ? TL_DATAGRAM_TOKEN
                                                                : TL_DATAGRAM_QUIC;
        assert_int_equal(kind, want);
    }
}

static void what_is_too_short_for_its_kind_is_short(void **state)
{
    uint8_t p[21] = {0};
    (void)state;
    assert_int_equal(tl_datagram_kind_of(NULL, 0), TL_DATAGRAM_SHORT);
    assert_int_equal(tl_datagram_kind_of(p, 19), TL_DATAGRAM_SHORT);
    assert_int_equal(tl_datagram_kind_of(p, 20), TL_DATAGRAM_STUN);
    p[0] = 0x0C;
    assert_int_equal(tl_datagram_kind_of(p, 1), TL_DATAGRAM_SHORT);
    assert_int_equal(tl_datagram_kind_of(p, 2), TL_DATAGRAM_CONTROL);
    p[0] = 0x40;
    assert_int_equal(tl_datagram_kind_of(p, 20), TL_DATAGRAM_SHORT);
    assert_int_equal(tl_datagram_kind_of(p, 21), TL_DATAGRAM_QUIC);
    p[0] = 0x80;
    assert_int_equal(tl_datagram_kind_of(p, 1), TL_DATAGRAM_TOKEN);
}

/* A short header: `d` as its first byte, then our connection ID. All else is what the peer encrypted. */
static void no_short_header_to_an_id_of_ours_is_krpc(void **state)
{
    tl_rand rng = tl_rand_seeded(11);
    uint8_t packet[40];
    size_t digits = 0;
    (void)state;
    for (int i = 0; i < 20000; i++) {
        tl_rand_bytes(&rng, packet, sizeof packet);
        packet[0] = 'd';
        packet[sizeof packet - 1] = 'e';
        digits += tl_datagram_kind_of(packet, sizeof packet) == TL_DATAGRAM_KRPC;
        tl_quic_cid_make(&rng, packet + 1, 8);
        assert_int_equal(tl_datagram_kind_of(packet, sizeof packet), TL_DATAGRAM_QUIC);
    }
    assert_in_range(digits, 500, 1100); /* of random IDs, 10 in 256 */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_dictionary_whose_first_key_has_a_length_is_krpc),
        cmocka_unit_test(what_differs_in_one_byte_is_none),
        cmocka_unit_test(each_first_byte_has_its_kind),
        cmocka_unit_test(what_is_too_short_for_its_kind_is_short),
        cmocka_unit_test(no_short_header_to_an_id_of_ours_is_krpc),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
