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
        cmocka_unit_test(without_the_attribute_nothing_verifies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
