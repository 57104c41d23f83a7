#include "wire/stun.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* RFC 5769 sections 2.1 to 2.3. Their MESSAGE-INTEGRITY is HMAC-SHA1, which nothing here verifies.
 */
static const char rfc5769_request[] =
    "000100582112a442b7e7a701bc34d686fa87dfae"
    "802200105354554e207465737420636c69656e74"
    "002400046e0001ff80290008932ff9b151263b36"
    "000600096576746a3a68367659202020"
    "000800149aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a280280004e57a3bcf";
static const char rfc5769_response_v4[] =
    "0101003c2112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220"
    "002000080001a147e112a643"
    "000800142b91f599fd9e90c38c7489f92af9ba53f06be7d780280004c07d4c96";
static const char rfc5769_response_v6[] =
    "010100482112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220"
    "002000140002a1470113a9faa5d3f179bc25f4b5bed2b9d9"
    "00080014a382954e4be67bf11784c97c8292c275bfe3ed4180280004c8fb0b4c";

/* RFC 8489 appendix B.1 as erratum 6268 corrects it: the printed message has a wrong length and no
 * PASSWORD-ALGORITHM. The key is SHA-256 of "マトリックス:example.org:TheMatrIX". */
static const char rfc8489_request[] =
    "000100902112a44278ad3433c6ad72c029da412e"
    "001e00204a3cf38fef6992bda952c6780417da0f24819415569e60b205c46e41407f1704"
    "001500296f624d61744a6f733241414143662f2f3439396b39353464364f4c33346f4c39465354767936347341"
    "000000"
    "0014000b6578616d706c652e6f726700001d000400020000"
    "001c0020b5c7bf005b6c52a21c51c5e892f819241362"
    "96cb927c43149309278cc6518e65";
static const char rfc8489_key[] =
    "dd295a613b9058c3c23d6dc7165bda072304d989c9d0af3a8c7e184b4f9bb4a1";

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

static tl_addr addr(const char *text)
{
    tl_addr a;
    assert_int_equal(tl_addr_parse(tl_slice_str(text), &a), TL_OK);
    return a;
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

/* --- other people's messages --- */

static void the_request_of_rfc_5769_is_read(void **state)
{
    (void)state;
    message m = from_hex(rfc5769_request);
    tl_stun s;
    assert_int_equal(tl_stun_read(tl_slice_of(m.bytes, m.n), &s), TL_OK);
    assert_int_equal(s.class, TL_STUN_REQUEST);
    static const uint8_t expected_id[] = {0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34,
                                          0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae};
    assert_memory_equal(s.id.bytes, expected_id, TL_STUN_ID);
    assert_true(tl_slice_eq(s.username, TL_SLICE_LIT("evtj:h6vY")));
    assert_true(s.has_priority);
    assert_int_equal(s.priority, 0x6e0001ff);
    assert_true(s.fingerprint);
    assert_int_equal(s.n_unknown, 0);
    assert_int_equal(s.mac_at, 0);
    assert_int_equal(
        tl_stun_verify(tl_slice_of(m.bytes, m.n), &s, TL_SLICE_LIT("VOkJxbRl1RmTxUk/WvJxBt")),
        TL_ERR_AUTH); /* SHA-1 proves nothing here */
}

static void the_addresses_of_rfc_5769s_responses_are_read(void **state)
{
    (void)state;
    message v4 = from_hex(rfc5769_response_v4), v6 = from_hex(rfc5769_response_v6);
    tl_stun s;
    assert_int_equal(read_message(&v4, &s), TL_OK);
    assert_int_equal(s.class, TL_STUN_SUCCESS);
    assert_true(s.fingerprint);
    assert_addr(&s.mapped, "192.0.2.1:32853");
    assert_int_equal(read_message(&v6, &s), TL_OK);
    assert_true(s.fingerprint);
    assert_addr(&s.mapped, "[2001:db8:1234:5678:11:2233:4455:6677]:32853");
}

static void the_integrity_of_rfc_8489_appendix_b1_verifies(void **state)
{
    (void)state;
    message m = from_hex(rfc8489_request);
    uint8_t key[32];
    assert_int_equal(tl_hex_parse(tl_slice_str(rfc8489_key), false, key, sizeof key), TL_OK);
    tl_stun s;
    tl_slice datagram = tl_slice_of(m.bytes, m.n);
    assert_int_equal(tl_stun_read(datagram, &s), TL_OK);
    assert_int_equal(s.n_unknown, 0);
    assert_int_equal(tl_stun_verify(datagram, &s, tl_slice_of(key, sizeof key)), TL_OK);
    key[31] ^= 1;
    assert_int_equal(tl_stun_verify(datagram, &s, tl_slice_of(key, sizeof key)), TL_ERR_AUTH);
}

/* --- round trips --- */

static void what_is_written_is_read_back(void **state)
{
    (void)state;
    static const uint16_t types[] = {0x0002, 0x7FFF, 0x0027};
    tl_addr mapped = addr("[2001:db8::7]:1"), plain = addr("192.0.2.9:9"),
            origin = addr("192.0.2.1:3478"), other = addr("[2001:db8::2]:65535");
    tl_stun_writer w;
    tl_stun s;
    tl_stun_begin(&w, TL_STUN_ERROR, &id);
    tl_stun_put_mapped(&w, &plain);
    tl_stun_put_xor_mapped(&w, &mapped);
    tl_stun_put_origin(&w, &origin);
    tl_stun_put_other(&w, &other);
    tl_stun_put_username(&w, TL_SLICE_LIT("0123456789abcdef0"));
    tl_stun_put_priority(&w, 0x89ABCDEF);
    tl_stun_put_change(&w, true, false);
    tl_stun_put_software(&w);
    tl_stun_put_error(&w, 420, "Unknown Attribute");
    tl_stun_put_unknown(&w, types, 3);
    assert_int_equal(tl_stun_put_integrity(&w, TL_SLICE_LIT("key")), TL_OK);
    tl_stun_finish(&w);

    tl_slice datagram = tl_slice_of(w.bytes, w.n);
    assert_int_equal(tl_stun_read(datagram, &s), TL_OK);
    assert_int_equal(s.class, TL_STUN_ERROR);
    assert_memory_equal(s.id.bytes, id.bytes, TL_STUN_ID);
    assert_true(tl_addr_eq(&s.mapped, &mapped));
    assert_true(tl_addr_eq(&s.origin, &origin));
    assert_true(tl_addr_eq(&s.other, &other));
    assert_true(tl_slice_eq(s.username, TL_SLICE_LIT("0123456789abcdef0")));
    assert_true(s.has_priority && s.has_change && s.change_ip && !s.change_port && s.fingerprint);
    assert_int_equal(s.priority, 0x89ABCDEF);
    assert_int_equal(s.error, 420);
    assert_int_equal(s.n_unknown, 0);
    assert_int_equal(tl_stun_verify(datagram, &s, TL_SLICE_LIT("key")), TL_OK);
    assert_int_equal(tl_stun_verify(datagram, &s, TL_SLICE_LIT("kez")), TL_ERR_AUTH);
}

static void every_class_is_written_and_read_back(void **state)
{
    (void)state;
    static const uint16_t types[] = {0x0001, 0x0011, 0x0101, 0x0111}; /* RFC 8489 section 5 */
    for (int c = TL_STUN_REQUEST; c <= TL_STUN_ERROR; c++) {
        tl_stun_writer w;
        tl_stun s;
        tl_stun_begin(&w, (tl_stun_class)c, &id);
        assert_int_equal(w.bytes[0] << 8 | w.bytes[1], types[c]);
        assert_int_equal(read_copy(w.bytes, w.n, &s), TL_OK);
        assert_int_equal(s.class, c);
        assert_int_equal(s.mapped.family, TL_ADDR_NONE);
        assert_int_equal(s.other.family, TL_ADDR_NONE);
        assert_int_equal(s.origin.family, TL_ADDR_NONE);
    }
}

static void both_flags_of_a_change_request_travel(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        tl_stun_writer w;
        tl_stun s;
        tl_stun_begin(&w, TL_STUN_REQUEST, &id);
        tl_stun_put_change(&w, i & 1, i & 2);
        assert_int_equal(read_copy(w.bytes, w.n, &s), TL_OK);
        assert_true(s.has_change);
        assert_int_equal(s.change_ip, i & 1);
        assert_int_equal(s.change_port, (i & 2) != 0);
    }
}

static void a_message_of_everything_at_its_longest_fits(void **state)
{
    (void)state;
    char name[TL_STUN_USERNAME_MAX], reason[200];
    uint16_t types[TL_STUN_UNKNOWN_MAX + 1] = {0};
    tl_addr a = addr("[2001:db8::7]:1");
    tl_stun_writer w;
    tl_stun s;
    memset(name, 'n', sizeof name);
    memset(reason, 'r', sizeof reason);
    reason[sizeof reason - 1] = 0;
    tl_stun_begin(&w, TL_STUN_ERROR, &id);
    tl_stun_put_mapped(&w, &a);
    tl_stun_put_xor_mapped(&w, &a);
    tl_stun_put_origin(&w, &a);
    tl_stun_put_other(&w, &a);
    tl_stun_put_username(&w, tl_slice_of(name, sizeof name));
    tl_stun_put_priority(&w, 1);
    tl_stun_put_change(&w, true, true);
    tl_stun_put_software(&w);
    tl_stun_put_error(&w, 699, reason);
    tl_stun_put_unknown(&w, types, TL_STUN_UNKNOWN_MAX + 1);
    assert_int_equal(tl_stun_put_integrity(&w, tl_slice_of(name, sizeof name)), TL_OK);
    tl_stun_finish(&w);
    assert_true(w.n <= TL_STUN_MAX);
    assert_int_equal(read_copy(w.bytes, w.n, &s), TL_OK);
    assert_int_equal(s.username.n, TL_STUN_USERNAME_MAX);
}

/* --- what must not get through --- */

static void no_beginning_of_a_message_is_taken_for_the_message(void **state)
{
    (void)state;
    const char *const whole[] = {rfc5769_request, rfc5769_response_v4, rfc5769_response_v6,
                                 rfc8489_request};
    for (size_t i = 0; i < 4; i++) {
        message m = from_hex(whole[i]);
        tl_stun s;
        for (size_t n = 0; n < m.n; n++)
            assert_int_equal(read_copy(m.bytes, n, &s), TL_ERR_PROTO);
        assert_int_equal(read_copy(m.bytes, m.n, &s), TL_OK);
    }
}

/* As above, but with the length in the header made to fit, so that only an attribute is cut. */
static void a_cut_attribute_is_refused(void **state)
{
    (void)state;
    message m = from_hex(rfc8489_request);
    static const size_t ends[] = {20, 56, 104, 120, 128, 164}; /* between attributes */
    size_t whole = 0;
    for (size_t n = 20; n <= m.n; n++) {
        tl_stun s;
        m.bytes[2] = (uint8_t)((n - 20) >> 8);
        m.bytes[3] = (uint8_t)(n - 20);
        if (n == ends[whole]) {
            assert_int_equal(read_copy(m.bytes, n, &s), TL_OK);
            whole++;
        } else {
            assert_int_equal(read_copy(m.bytes, n, &s), TL_ERR_PROTO);
        }
    }
    assert_int_equal(whole, 6);
}

static void every_flipped_bit_breaks_the_fingerprint_or_more(void **state)
{
    (void)state;
    message m = from_hex(rfc5769_response_v4);
    for (size_t bit = 0; bit < 8 * m.n; bit++) {
        tl_stun s;
        message b = m;
        b.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        tl_err e = read_message(&b, &s);
        /* the type of the FINGERPRINT itself is the one thing that it does not cover */
        if (bit / 8 == m.n - 8 || bit / 8 == m.n - 7)
            assert_true(e || !s.fingerprint);
        else
            assert_int_equal(e, TL_ERR_PROTO);
    }
}

static void every_flipped_bit_before_it_breaks_the_integrity(void **state)
{
    (void)state;
    message m = from_hex(rfc8489_request);
    uint8_t key[32];
    assert_int_equal(tl_hex_parse(tl_slice_str(rfc8489_key), false, key, sizeof key), TL_OK);
    for (size_t bit = 0; bit < 8 * m.n; bit++) {
        tl_stun s;
        message b = m;
        b.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        tl_slice datagram = tl_slice_of(b.bytes, b.n);
        if (tl_stun_read(datagram, &s) == TL_OK)
            assert_int_equal(tl_stun_verify(datagram, &s, tl_slice_of(key, sizeof key)),
                             TL_ERR_AUTH);
    }
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

static void without_the_attribute_nothing_verifies(void **state)
{
    (void)state;
    message m = from_hex(rfc8489_request);
    tl_stun s;
    tl_slice datagram = tl_slice_of(m.bytes, m.n);
    assert_int_equal(tl_stun_read(datagram, &s), TL_OK);
    s.mac_at = 0;
    assert_int_equal(tl_stun_verify(datagram, &s, TL_SLICE_LIT("")), TL_ERR_AUTH);
    s.mac_at = m.n - 35; /* a view of some other datagram */
    assert_int_equal(tl_stun_verify(datagram, &s, TL_SLICE_LIT("")), TL_ERR_AUTH);
    s.mac_at = SIZE_MAX;
    assert_int_equal(tl_stun_verify(datagram, &s, TL_SLICE_LIT("")), TL_ERR_AUTH);
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
        cmocka_unit_test(the_request_of_rfc_5769_is_read),
        cmocka_unit_test(the_addresses_of_rfc_5769s_responses_are_read),
        cmocka_unit_test(the_integrity_of_rfc_8489_appendix_b1_verifies),
        cmocka_unit_test(what_is_written_is_read_back),
        cmocka_unit_test(every_class_is_written_and_read_back),
        cmocka_unit_test(both_flags_of_a_change_request_travel),
        cmocka_unit_test(a_message_of_everything_at_its_longest_fits),
        cmocka_unit_test(no_beginning_of_a_message_is_taken_for_the_message),
        cmocka_unit_test(a_cut_attribute_is_refused),
        cmocka_unit_test(every_flipped_bit_breaks_the_fingerprint_or_more),
        cmocka_unit_test(every_flipped_bit_before_it_breaks_the_integrity),
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
        cmocka_unit_test(without_the_attribute_nothing_verifies),
        cmocka_unit_test(what_follows_a_sha1_code_is_not_believed),
        cmocka_unit_test(a_refused_message_leaves_the_result_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
