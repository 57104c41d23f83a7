#include "wire/stun.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Every rule beside the message that differs from the refused one in that alone. */

static const tl_stun_id id = {{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}};

typedef struct {
    uint8_t bytes[600];
    size_t n;
} message;

static message from_hex(const char *hex)
{
    message m = {.n = strlen(hex) / 2};
    assert_true(m.n <= sizeof m.bytes);
    assert_int_equal(tl_hex_parse(tl_slice_str(hex), false, m.bytes, m.n), TL_OK);
    return m;
}

static message of_writer(const tl_stun_writer *w)
{
    message m = {.n = w->n};
    memcpy(m.bytes, w->bytes, w->n);
    return m;
}

/* Reads from a copy of exactly `n` bytes, so that the sanitizer sees a read beyond. `ret` borrows
 * nothing. */
static tl_err read_copy(const uint8_t *bytes, size_t n, tl_stun *ret)
{
    uint8_t *copy = malloc(n ? n : 1);
    assert_non_null(copy);
    memcpy(copy, bytes, n);
    tl_err e = tl_stun_read(tl_slice_of(copy, n), ret);
    free(copy);
    return e;
}

static tl_err read_message(const message *m, tl_stun *ret)
{
    return read_copy(m->bytes, m->n, ret);
}

static tl_err read_hex(const char *hex)
{
    message m = from_hex(hex);
    tl_stun s;
    return read_message(&m, &s);
}

static void assert_addr(const tl_addr *a, const char *expected)
{
    char text[TL_ADDR_TEXT_MAX];
    tl_addr_write(text, a);
    assert_string_equal(text, expected);
}

/* A header and `attributes` behind it, all in hex, the length as it must be. */
static message with_attributes(const char *attributes)
{
    message head = from_hex("000100002112a4420102030405060708090a0b0c"), m = from_hex(attributes);
    assert_true(head.n + m.n <= sizeof m.bytes);
    memmove(m.bytes + head.n, m.bytes, m.n);
    head.bytes[2] = (uint8_t)(m.n >> 8);
    head.bytes[3] = (uint8_t)m.n;
    memcpy(m.bytes, head.bytes, head.n);
    m.n += head.n;
    return m;
}

static tl_err read_attributes(const char *attributes)
{
    message m = with_attributes(attributes);
    tl_stun s;
    return read_message(&m, &s);
}

static void only_the_stun_header_is_taken_for_stun(void **state)
{
    (void)state;
    message m = with_attributes("");
    assert_true(tl_stun_is(tl_slice_of(m.bytes, m.n)));
    assert_false(tl_stun_is(tl_slice_of(m.bytes, m.n - 1)));
    assert_false(tl_stun_is(tl_slice_of(NULL, 0)));
    m.bytes[0] = 0x40;
    assert_false(tl_stun_is(tl_slice_of(m.bytes, m.n)));
    m.bytes[0] = 0x3F;
    assert_true(tl_stun_is(tl_slice_of(m.bytes, m.n)));
    m.bytes[7] ^= 1;
    assert_false(tl_stun_is(tl_slice_of(m.bytes, m.n)));
}

static void another_method_is_refused(void **state)
{
    (void)state;
    assert_int_equal(read_hex("000100002112a4420102030405060708090a0b0c"), TL_OK);
    assert_int_equal(read_hex("000200002112a4420102030405060708090a0b0c"), TL_ERR_PROTO);
    assert_int_equal(read_hex("000300002112a4420102030405060708090a0b0c"), TL_ERR_PROTO);
    assert_int_equal(read_hex("002100002112a4420102030405060708090a0b0c"), TL_ERR_PROTO);
    assert_int_equal(read_hex("020100002112a4420102030405060708090a0b0c"), TL_ERR_PROTO);
    assert_int_equal(read_hex("200100002112a4420102030405060708090a0b0c"), TL_ERR_PROTO);
    assert_int_equal(read_hex("011100002112a4420102030405060708090a0b0c"), TL_OK);
}

static void the_length_must_be_exact(void **state)
{
    (void)state;
    /* SOFTWARE "abcd" */
    assert_int_equal(read_hex("000100082112a4420102030405060708090a0b0c8022000461626364"), TL_OK);
    assert_int_equal(read_hex("000100042112a4420102030405060708090a0b0c8022000461626364"),
                     TL_ERR_PROTO);
    assert_int_equal(read_hex("0001000c2112a4420102030405060708090a0b0c8022000461626364"),
                     TL_ERR_PROTO);
    assert_int_equal(read_hex("000100092112a4420102030405060708090a0b0c802200046162636400"),
                     TL_ERR_PROTO); /* exact, and no multiple of four */
}

static void an_attribute_must_lie_within_the_message(void **state)
{
    (void)state;
    assert_int_equal(read_attributes("8022000461626364"), TL_OK);
    assert_int_equal(read_attributes("8022000561626364"), TL_ERR_PROTO);
    assert_int_equal(read_attributes("8022ffff61626364"), TL_ERR_PROTO);
    assert_int_equal(read_attributes("8022000361626364"), TL_OK); /* padding is not looked at */
}

static void a_value_has_its_attributes_length(void **state)
{
    (void)state;
    static const struct {
        const char *good, *bad;
    } pairs[] = {
        {"002000080001a147e112a643", "002000040001a147"},         /* XOR-MAPPED-ADDRESS */
        {"002000080001a147e112a643", "002000080002a147e112a643"}, /* a family of another length */
        {"002000080001a147e112a643", "002000080003a147e112a643"}, /* no family */
        {"000100080001a147e112a643", "000100070001a147e112a600"}, /* MAPPED-ADDRESS */
        {"802b00080001a147e112a643", "802b0000"},                 /* RESPONSE-ORIGIN */
        {"802c00080001a147e112a643", "802c000c0001a147e112a64300000000"}, /* OTHER-ADDRESS */
        {"0003000400000006", "000300020006ffff"},                         /* CHANGE-REQUEST */
        {"002400046e0001ff", "002400056e0001ff00000000"},                 /* PRIORITY */
        {"00250000", "0025000400000000"},                                 /* USE-CANDIDATE */
        {"0009000400000414", "0009000300000400"},                         /* ERROR-CODE */
        {"000a000200020000", "000a000100020000"},                         /* UNKNOWN-ATTRIBUTES */
    };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        assert_int_equal(read_attributes(pairs[i].good), TL_OK);
        assert_int_equal(read_attributes(pairs[i].bad), TL_ERR_PROTO);
    }
}

static void an_error_code_lies_between_300_and_699(void **state)
{
    (void)state;
    static const struct {
        const char *hex;
        int code; /* 0: refused */
    } cases[] = {{"0009000400000300", 300}, {"0009000400000663", 699}, {"0009000400000200", 0},
                 {"0009000400000700", 0},   {"0009000400000464", 0},   {"00090004fffffc14", 420}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        message m = with_attributes(cases[i].hex);
        tl_stun s = {0};
        assert_int_equal(read_message(&m, &s), cases[i].code ? TL_OK : TL_ERR_PROTO);
        assert_int_equal(s.error, cases[i].code);
    }
}

static void a_username_is_at_most_508_bytes(void **state)
{
    (void)state;
    char hex[1200];
    for (unsigned n = 508; n <= 512; n += 4) {
        snprintf(hex, sizeof hex, "0006%04x%0*d", n, (int)(2 * n), 0);
        assert_int_equal(read_attributes(hex), n == 508 ? TL_OK : TL_ERR_PROTO);
    }
}

static void at_most_24_attributes_are_read(void **state)
{
    (void)state;
    char hex[8 * (TL_STUN_ATTRIBUTES_MAX + 1) + 1] = "";
    for (int n = 1; n <= TL_STUN_ATTRIBUTES_MAX + 1; n++) {
        strcat(hex, "80220000");
        assert_int_equal(read_attributes(hex), n <= TL_STUN_ATTRIBUTES_MAX ? TL_OK : TL_ERR_PROTO);
    }
}

static void unknown_attributes_are_listed_where_they_may_not_be_skipped(void **state)
{
    (void)state;
    message m = with_attributes("000200007fff000401020304ffff0000802a0000c0010000");
    tl_stun s;
    assert_int_equal(read_message(&m, &s), TL_OK);
    assert_int_equal(s.n_unknown, 2);
    assert_int_equal(s.unknown[0], 0x0002);
    assert_int_equal(s.unknown[1], 0x7FFF);
    m = with_attributes("7f0000007f0100007f0200007f0300007f0400007f0500007f0600007f0700007f080000");
    assert_int_equal(read_message(&m, &s), TL_OK);
    assert_int_equal(s.n_unknown, TL_STUN_UNKNOWN_MAX);
}

static void of_two_of_a_kind_the_first_counts(void **state)
{
    (void)state;
    message m = with_attributes("0003000400000004"
                                "0003000400000002"
                                "0024000400000001"
                                "0024000400000002"
                                "000600016100000000060001620000000009000400000414000900040000041500"
                                "0100080001000101020304000100080001000105060708");
    tl_stun s;
    assert_int_equal(tl_stun_read(tl_slice_of(m.bytes, m.n), &s), TL_OK);
    assert_true(s.change_ip && !s.change_port);
    assert_int_equal(s.priority, 1);
    assert_int_equal(s.error, 420);
    assert_true(tl_slice_eq(s.username, TL_SLICE_LIT("a")));
    assert_addr(&s.mapped, "1.2.3.4:1");
}

static void the_xored_address_goes_before_the_plain_one(void **state)
{
    (void)state;
    message m = with_attributes("000100080001000101020304"
                                "002000080001a147e112a643");
    tl_stun s;
    assert_int_equal(read_message(&m, &s), TL_OK);
    assert_addr(&s.mapped, "192.0.2.1:32853");
    m = with_attributes("000100080001000101020304"); /* RFC 3489: the plain one alone */
    assert_int_equal(read_message(&m, &s), TL_OK);
    assert_addr(&s.mapped, "1.2.3.4:1");
}

static void a_fingerprint_is_last_and_right(void **state)
{
    (void)state;
    tl_stun_writer w;
    tl_stun s;
    tl_stun_begin(&w, TL_STUN_REQUEST, &id);
    tl_stun_finish(&w);
    message good = of_writer(&w), bad = good;
    assert_int_equal(read_message(&good, &s), TL_OK);
    assert_true(s.fingerprint);
    bad.bytes[bad.n - 1] ^= 1;
    assert_int_equal(read_message(&bad, &s), TL_ERR_PROTO);

    tl_stun_begin(&w, TL_STUN_REQUEST, &id);
    tl_stun_finish(&w);
    tl_stun_put_priority(&w, 1);
    assert_int_equal(read_copy(w.bytes, w.n, &s), TL_ERR_PROTO);
}

static void nothing_but_a_fingerprint_follows_the_integrity(void **state)
{
    (void)state;
    tl_slice key = TL_SLICE_LIT("key");
    for (int follower = 0; follower < 3; follower++) {
        tl_stun_writer w;
        tl_stun s;
        tl_stun_begin(&w, TL_STUN_REQUEST, &id);
        assert_int_equal(tl_stun_put_integrity(&w, key), TL_OK);
        if (follower == 1)
            tl_stun_put_priority(&w, 1);
        if (follower == 2)
            assert_int_equal(tl_stun_put_integrity(&w, key), TL_OK);
        tl_stun_finish(&w);
        assert_int_equal(read_copy(w.bytes, w.n, &s), follower ? TL_ERR_PROTO : TL_OK);
    }
}

static void the_integrity_code_is_whole(void **state)
{
    (void)state;
    char hex[200];
    for (unsigned n = 16; n <= 36; n += 4) { /* RFC 8489 would let it be cut; ours never is */
        snprintf(hex, sizeof hex, "001c%04x%0*d", n, (int)(2 * n), 0);
        assert_int_equal(read_attributes(hex), n == TL_STUN_MAC ? TL_OK : TL_ERR_PROTO);
    }
}

static void what_follows_a_sha1_code_is_not_believed(void **state)
{
    (void)state;
    tl_stun s;
    char hex[200];
    snprintf(hex, sizeof hex, "00080014%040d0024000400000001", 0);
    message m = with_attributes(hex);
    assert_int_equal(read_message(&m, &s), TL_OK);
    assert_false(s.has_priority);
    snprintf(hex, sizeof hex, "002400040000000100080014%040d", 0);
    m = with_attributes(hex);
    assert_int_equal(read_message(&m, &s), TL_OK);
    assert_true(s.has_priority);
}

static void a_refused_message_leaves_the_result_alone(void **state)
{
    (void)state;
    tl_stun s, before;
    memset(&s, 0x5A, sizeof s);
    before = s;
    message m = with_attributes("002400046e0001ff0025000400000000");
    assert_int_equal(read_message(&m, &s), TL_ERR_PROTO);
    assert_memory_equal(&s, &before, sizeof s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_stun_header_is_taken_for_stun),
        cmocka_unit_test(another_method_is_refused),
        cmocka_unit_test(the_length_must_be_exact),
        cmocka_unit_test(an_attribute_must_lie_within_the_message),
        cmocka_unit_test(a_value_has_its_attributes_length),
        cmocka_unit_test(an_error_code_lies_between_300_and_699),
        cmocka_unit_test(a_username_is_at_most_508_bytes),
        cmocka_unit_test(at_most_24_attributes_are_read),
        cmocka_unit_test(unknown_attributes_are_listed_where_they_may_not_be_skipped),
        cmocka_unit_test(of_two_of_a_kind_the_first_counts),
        cmocka_unit_test(the_xored_address_goes_before_the_plain_one),
        cmocka_unit_test(a_fingerprint_is_last_and_right),
        cmocka_unit_test(nothing_but_a_fingerprint_follows_the_integrity),
        cmocka_unit_test(the_integrity_code_is_whole),
        cmocka_unit_test(what_follows_a_sha1_code_is_not_believed),
        cmocka_unit_test(a_refused_message_leaves_the_result_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
