/* The header of the PROXY protocol: what is taken of it, and what is refused. */
#include "wire/proxyhead.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static tl_err parse(const void *bytes, size_t n, tl_proxyhead *ret)
{
    return tl_proxyhead_parse(tl_slice_of(bytes, n), ret);
}

/* `text` and a byte behind it, which is not the header's; "" as `client`: none is told. */
static void good(const void *bytes, size_t n, const char *client)
{
    uint8_t all[TL_PROXYHEAD_MAX + 1];
    char shown[TL_ADDR_TEXT_MAX] = "";
    tl_proxyhead head;
    memcpy(all, bytes, n);
    all[n] = 'G';
    assert_int_equal(parse(all, n + 1, &head), TL_OK);
    assert_int_equal(head.n, n);
    if (head.has_client)
        tl_addr_write(shown, &head.client);
    assert_string_equal(shown, client);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(parse(all, i, &head), TL_ERR_SHORT);
}

static void good_text(const char *text, const char *client)
{
    good(text, strlen(text), client);
}

static void bad_text(const char *text)
{
    tl_proxyhead head;
    assert_int_equal(parse(text, strlen(text), &head), TL_ERR_PROTO);
}

static void version_1_names_the_client_of_ipv4_and_ipv6(void **state)
{
    (void)state;
    good_text("PROXY TCP4 192.0.2.7 10.0.0.1 56324 443\r\n", "192.0.2.7:56324");
    good_text("PROXY TCP4 192.168.255.254 255.255.255.255 65535 65535\r\n",
              "192.168.255.254:65535");
    good_text("PROXY TCP6 2001:db8::7 2001:db8::1 1 0\r\n", "[2001:db8::7]:1");
}

static void a_mapped_ipv4_client_is_an_ipv4_client(void **state)
{
    (void)state;
    good_text("PROXY TCP6 ::ffff:192.0.2.7 ::1 1 2\r\n", "192.0.2.7:1");
}

static void unknown_tells_no_client_whatever_follows_it(void **state)
{
    (void)state;
    good_text("PROXY UNKNOWN\r\n", "");
    good_text("PROXY UNKNOWN 192.0.2.7 10.0.0.1 1 2 and more\r\n", "");
}

static void a_line_of_version_1_that_differs_in_one_thing_is_refused(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "PROXY TCP4 192.0.2.7 10.0.0.1 56324 443 \r\n",
        "PROXY  TCP4 192.0.2.7 10.0.0.1 56324 443\r\n",
        "PROXY TCP4 192.0.2.7  10.0.0.1 56324 443\r\n",
        "PROXY TCP4 192.0.2.7 10.0.0.1 56324\r\n",
        "PROXY TCP4 192.0.2.7 10.0.0.1 56324 65536\r\n",
        "PROXY TCP4 192.0.2.7 10.0.0.1 056324 443\r\n",
        "PROXY TCP4 192.0.2.7 10.0.0.1 +1 443\r\n",
        "PROXY TCP4 192.0.2.07 10.0.0.1 1 443\r\n",
        "PROXY TCP4 2001:db8::7 10.0.0.1 1 443\r\n",
        "PROXY TCP4 192.0.2.7 ::1 1 443\r\n",
        "PROXY TCP6 192.0.2.7 ::1 1 443\r\n",
        "PROXY TCP6 fe80::1%1 ::1 1 443\r\n",
        "PROXY TCP4 0.0.0.0 10.0.0.1 1 443\r\n",
        "PROXY TCP4 224.0.0.1 10.0.0.1 1 443\r\n",
        "PROXY TCP6 ff02::1 ::1 1 443\r\n",
        "PROXY tcp4 192.0.2.7 10.0.0.1 1 443\r\n",
        "PROXY UDP4 192.0.2.7 10.0.0.1 1 443\r\n",
        "PROXY\r\n\r\n",
        "PROXY TCP4 192.0.2.7 10.0.0.1 1 443\n",
        "PROXY TCP4 192.0.2.7 10.0.0.1 1 443\rX",
        "PROXY TCP4 192.0.2.7\n10.0.0.1 1 443\r\n",
        "PROXY \r\n",
        "GET / HTTP/1.1\r\n",
        "PROXIES TCP4",
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        bad_text(lines[i]);
}

static void a_line_of_107_bytes_is_taken_and_a_longer_one_is_not(void **state)
{
    (void)state;
    char line[200] = "PROXY UNKNOWN ";
    tl_proxyhead head;
    memset(line + 14, 'x', sizeof line - 14);
    memcpy(line + 105, "\r\n", 2);
    good(line, 107, "");
    memcpy(line + 105, "x\r\n", 3);
    assert_int_equal(parse(line, 106, &head), TL_ERR_SHORT);
    assert_int_equal(parse(line, 107, &head), TL_ERR_TOO_LARGE);
    assert_int_equal(parse(line, 108, &head), TL_ERR_TOO_LARGE);
}

/* --- version 2 --- */

#define MARK "\r\n\r\n\0\r\nQUIT\n"

typedef struct {
    size_t n;
    uint8_t bytes[TL_PROXYHEAD_MAX + 16];
} header;

static header v2(uint8_t command, uint8_t kind, const void *body, size_t n)
{
    header h = {.n = 16 + n};
    memcpy(h.bytes, MARK, 12);
    h.bytes[12] = command;
    h.bytes[13] = kind;
    h.bytes[14] = (uint8_t)(n >> 8);
    h.bytes[15] = (uint8_t)n;
    if (n)
        memcpy(h.bytes + 16, body, n);
    return h;
}

static tl_err verdict(header h)
{
    tl_proxyhead head;
    return parse(h.bytes, h.n, &head);
}

#define INET  "\xC0\0\2\7\x0A\0\0\1\xDC\x04\1\xBB"
#define INET6 "\x20\1\x0D\xB8\0\0\0\0\0\0\0\0\0\0\0\7\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\0\5\1\xBB"

static void version_2_names_the_client_of_ipv4_and_ipv6(void **state)
{
    (void)state;
    header h = v2(0x21, 0x11, INET, 12);
    good(h.bytes, h.n, "192.0.2.7:56324");
    h = v2(0x21, 0x12, INET, 12); /* a client of HTTP/3 */
    good(h.bytes, h.n, "192.0.2.7:56324");
    h = v2(0x21, 0x21, INET6, 36);
    good(h.bytes, h.n, "[2001:db8::7]:5");
    memcpy(h.bytes + 16, "\0\0\0\0\0\0\0\0\0\0\xFF\xFF\xC0\0\2\7", 16);
    good(h.bytes, h.n, "192.0.2.7:5");
}

static void local_unspec_and_unix_tell_no_client(void **state)
{
    (void)state;
    uint8_t path[216] = "/run/client";
    header h = v2(0x20, 0x00, NULL, 0);
    good(h.bytes, h.n, "");
    h = v2(0x20, 0x11, INET, 12); /* what stands behind LOCAL is to be ignored */
    good(h.bytes, h.n, "");
    h = v2(0x20, 0xFF, "?", 1);
    good(h.bytes, h.n, "");
    h = v2(0x21, 0x00, NULL, 0);
    good(h.bytes, h.n, "");
    h = v2(0x21, 0x31, path, sizeof path);
    good(h.bytes, h.n, "");
    assert_int_equal(verdict(v2(0x21, 0x31, path, sizeof path - 1)), TL_ERR_PROTO);
}

static void what_follows_the_addresses_is_skipped_if_its_lengths_are_right(void **state)
{
    (void)state;
    static const char tlvs[] = INET "\4\0\3abc\2\0\0";
    size_t n = sizeof tlvs - 1;
    header h = v2(0x21, 0x11, tlvs, n);
    good(h.bytes, h.n, "192.0.2.7:56324");
    assert_int_equal(verdict(v2(0x21, 0x11, tlvs, n - 1)), TL_ERR_PROTO);
    assert_int_equal(verdict(v2(0x21, 0x11, tlvs, n - 4)), TL_ERR_PROTO);
    h.bytes[16 + 12 + 2]++;
    assert_int_equal(verdict(h), TL_ERR_PROTO);
}

static void other_versions_commands_families_and_lengths_are_refused(void **state)
{
    (void)state;
    static const uint8_t commands[] = {0x11, 0x31, 0x22, 0x2F, 0x01};
    static const uint8_t kinds[] = {0x01, 0x02, 0x10, 0x13, 0x14, 0x20, 0x30, 0x33, 0x41, 0xF1};
    assert_int_equal(verdict(v2(0x21, 0x11, INET, 12)), TL_OK);
    for (size_t i = 0; i < sizeof commands; i++)
        assert_int_equal(verdict(v2(commands[i], 0x11, INET, 12)), TL_ERR_PROTO);
    for (size_t i = 0; i < sizeof kinds; i++)
        assert_int_equal(verdict(v2(0x21, kinds[i], INET6, 36)), TL_ERR_PROTO);
    assert_int_equal(verdict(v2(0x21, 0x11, INET, 11)), TL_ERR_PROTO);
    assert_int_equal(verdict(v2(0x21, 0x21, INET6, 35)), TL_ERR_PROTO);
    assert_int_equal(verdict(v2(0x21, 0x11, "\0\0\0\0\x0A\0\0\1\0\1\0\1", 12)), TL_ERR_PROTO);
}

static void a_header_of_4096_bytes_is_taken_and_a_longer_one_is_not(void **state)
{
    (void)state;
    uint8_t body[TL_PROXYHEAD_MAX] = {0};
    size_t n = TL_PROXYHEAD_MAX - 16, tlv = n - 12 - 3;
    memcpy(body, INET, 12);
    body[12] = 4;
    body[13] = (uint8_t)(tlv >> 8);
    body[14] = (uint8_t)tlv;
    header h = v2(0x21, 0x11, body, n);
    good(h.bytes, h.n, "192.0.2.7:56324");
    tl_proxyhead head;
    h = v2(0x21, 0x11, body, n + 1);
    assert_int_equal(parse(h.bytes, 15, &head), TL_ERR_SHORT);
    assert_int_equal(parse(h.bytes, 16, &head), TL_ERR_TOO_LARGE); /* told by its first bytes */
}

static void what_begins_like_a_header_is_told_from_other_bytes(void **state)
{
    (void)state;
    assert_true(tl_proxyhead_begins(TL_SLICE_LIT("PROXY anything")));
    assert_true(tl_proxyhead_begins(tl_slice_of(MARK "\x91", 13)));
    assert_false(tl_proxyhead_begins(TL_SLICE_LIT("PROX")));
    assert_false(tl_proxyhead_begins(TL_SLICE_LIT("GET / HTTP/1.1\r\n")));
    assert_false(tl_proxyhead_begins(tl_slice_of(NULL, 0)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(version_1_names_the_client_of_ipv4_and_ipv6),
        cmocka_unit_test(a_mapped_ipv4_client_is_an_ipv4_client),
        cmocka_unit_test(unknown_tells_no_client_whatever_follows_it),
        cmocka_unit_test(a_line_of_version_1_that_differs_in_one_thing_is_refused),
        cmocka_unit_test(a_line_of_107_bytes_is_taken_and_a_longer_one_is_not),
        cmocka_unit_test(version_2_names_the_client_of_ipv4_and_ipv6),
        cmocka_unit_test(local_unspec_and_unix_tell_no_client),
        cmocka_unit_test(what_follows_the_addresses_is_skipped_if_its_lengths_are_right),
        cmocka_unit_test(other_versions_commands_families_and_lengths_are_refused),
        cmocka_unit_test(a_header_of_4096_bytes_is_taken_and_a_longer_one_is_not),
        cmocka_unit_test(what_begins_like_a_header_is_told_from_other_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
