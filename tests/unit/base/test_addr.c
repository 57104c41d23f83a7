#include "base/addr.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static tl_addr addr(const char *text)
{
    tl_addr a;
    assert_int_equal(tl_addr_parse(tl_slice_str(text), &a), TL_OK);
    return a;
}

static tl_addr ip(const char *text)
{
    tl_addr a;
    assert_int_equal(tl_addr_parse_ip(tl_slice_str(text), &a), TL_OK);
    return a;
}

static void an_address_is_written_as_it_was_read(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "192.0.2.1:80", "0.0.0.0:0",   "255.255.255.255:65535",   "[2001:db8::1]:443",
        "[::]:0",       "[::1]:11435", "[fe80::1:2:3:4]:1",       "[::ffff:192.0.2.1]:80",
        "127.0.0.1:1",  "10.0.0.1:9",  "[1:2:3:4:5:6:7:8]:65535",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        char text[TL_ADDR_TEXT_MAX];
        tl_addr a = addr(texts[i]);
        tl_addr_write(text, &a);
        assert_string_equal(text, texts[i]);
    }
}

static void what_is_no_address_and_port_is_refused_and_nothing_written(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        ":",
        ":80",
        "192.0.2.1",
        "192.0.2.1:",
        "192.0.2.1:65536",
        "192.0.2.1:99999",
        "192.0.2.1:+80",
        "192.0.2.1:-1",
        "192.0.2.1: 80",
        "192.0.2.1:80 ",
        " 192.0.2.1:80",
        "192.0.2.1:080",
        "192.0.2.1:0x50",
        "192.0.2:80",
        "192.0.2.256:80",
        "192.0.2.01:80",
        "192.0.2.1.1:80",
        "3221225985:80",
        "0300.0.2.1:80",
        "2001:db8::1",
        "2001:db8::1:80",
        "[2001:db8::1]",
        "[2001:db8::1]80",
        "[2001:db8::1]:",
        "[2001:db8::1",
        "2001:db8::1]:80",
        "[192.0.2.1]:80",
        "[]:80",
        "[::1]]:80",
        "[[::1]]:80",
        "[1::2::3]:80",
        "[::g]:80",
        "[::1%1]:80",
        "[::1%lo]:80",
        "example.org:80",
        "localhost:80",
        "192.0.2.1:80:80",
    };
    tl_addr a, before;
    memset(&a, 0x55, sizeof a);
    memcpy(&before, &a, sizeof a);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        assert_int_equal(tl_addr_parse(tl_slice_str(texts[i]), &a), TL_ERR_PROTO);
        assert_memory_equal(&a, &before, sizeof a);
    }
    assert_int_equal(tl_addr_parse(TL_SLICE_LIT("192.0.2.1\0:80"), &a), TL_ERR_PROTO);
    assert_int_equal(tl_addr_parse((tl_slice){NULL, 0}, &a), TL_ERR_PROTO);
}

static void a_literal_without_port_is_read_as_strictly(void **state)
{
    (void)state;
    tl_addr a;
    assert_int_equal(ip("192.0.2.1").family, TL_ADDR_V4);
    assert_int_equal(ip("192.0.2.1").port, 0);
    assert_int_equal(ip("2001:db8::1").family, TL_ADDR_V6);
    static const char *const texts[] = {"",         "192.0.2.1:80", "[::1]",
                                        "::1%1",    "localhost",    "1.2.3",
                                        "1.2.3.4 ", "01.2.3.4",     "::ffff:1.2.3"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_int_equal(tl_addr_parse_ip(tl_slice_str(texts[i]), &a), TL_ERR_PROTO);
    char longest[200];
    memset(longest, '1', sizeof longest);
    assert_int_equal(tl_addr_parse_ip(tl_slice_of(longest, sizeof longest), &a), TL_ERR_PROTO);
    assert_int_equal(tl_addr_parse_ip(TL_SLICE_LIT("192.0.2.1\0"), &a), TL_ERR_PROTO);
}

static void a_cut_text_never_reads_past_its_end(void **state)
{
    (void)state;
    static const char text[] = "[2001:db8:1:2:3:4:5:6]:65535";
    for (size_t n = 0; n < sizeof text - 1; n++) {
        char *exact = test_malloc(n + 1);
        tl_addr a;
        uint16_t port;
        char host[TL_HOST_MAX];
        memcpy(exact, text, n);
        exact[n] = '9'; /* what would be read if the length were not heeded */
        bool whole = n > sizeof "[2001:db8:1:2:3:4:5:6]:" - 1;
        assert_int_equal(tl_addr_parse(tl_slice_of(exact, n), &a), whole ? TL_OK : TL_ERR_PROTO);
        whole = whole || n == sizeof "[2001:db8:1:2:3:4:5:6]" - 1;
        assert_int_equal(tl_hostport_parse(tl_slice_of(exact, n), 7, host, &port),
                         whole ? TL_OK : TL_ERR_PROTO);
        test_free(exact);
    }
}

static void a_mapped_address_is_normal_as_ipv4(void **state)
{
    (void)state;
    tl_addr mapped = addr("[::ffff:192.0.2.1]:80"), plain = addr("192.0.2.1:80");
    tl_addr other = addr("[::fffe:192.0.2.1]:80");
    assert_false(tl_addr_eq(&mapped, &plain));
    tl_addr normal = tl_addr_normal(mapped);
    assert_true(tl_addr_eq(&normal, &plain));
    normal = tl_addr_normal(other);
    assert_true(tl_addr_eq(&normal, &other));
    normal = tl_addr_normal(plain);
    assert_true(tl_addr_eq(&normal, &plain));
}

static void loopback_is_known_in_every_form(void **state)
{
    (void)state;
    static const char *const yes[] = {"127.0.0.1", "127.255.255.254", "::1", "::ffff:127.0.0.1"};
    static const char *const no[] = {"126.255.255.255", "128.0.0.1",       "::",         "::2",
                                     "0.0.0.0",         "::ffff:10.0.0.1", "2001:db8::1"};
    for (size_t i = 0; i < sizeof yes / sizeof *yes; i++) {
        tl_addr a = ip(yes[i]);
        assert_true(tl_addr_is_loopback(&a));
    }
    for (size_t i = 0; i < sizeof no / sizeof *no; i++) {
        tl_addr a = ip(no[i]);
        assert_false(tl_addr_is_loopback(&a));
    }
    tl_addr none = {.family = TL_ADDR_NONE};
    assert_false(tl_addr_is_loopback(&none));
}

static void equality_looks_at_port_and_zone(void **state)
{
    (void)state;
    tl_addr a = addr("[fe80::1]:80"), b = a;
    assert_true(tl_addr_eq(&a, &b));
    b.port = 81;
    assert_false(tl_addr_eq(&a, &b));
    assert_true(tl_addr_same_ip(&a, &b));
    b = a;
    b.scope = 2;
    assert_false(tl_addr_eq(&a, &b));
    assert_false(tl_addr_same_ip(&a, &b));
    tl_addr v4 = ip("0.0.0.0"), v6 = ip("::");
    assert_false(tl_addr_same_ip(&v4, &v6));
}

static void a_socket_address_goes_there_and_back(void **state)
{
    (void)state;
    tl_addr all[] = {addr("192.0.2.1:80"), addr("[2001:db8::1]:443"), addr("[fe80::1]:1")};
    all[2].scope = 4000000000;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        struct sockaddr_storage ss;
        socklen_t n = tl_addr_to_sockaddr(&all[i], &ss);
        assert_int_equal(n, i ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in));
        tl_addr back = tl_addr_from_sockaddr((struct sockaddr *)&ss);
        assert_true(tl_addr_eq(&back, &all[i]));
    }
    struct sockaddr_storage ss = {.ss_family = AF_UNIX};
    tl_addr none = tl_addr_from_sockaddr((struct sockaddr *)&ss);
    assert_int_equal(none.family, TL_ADDR_NONE);
    assert_int_equal(tl_addr_to_sockaddr(&none, &ss), 0);
}

static void the_longest_address_fits_its_text(void **state)
{
    (void)state;
    tl_addr a = addr("[1111:2222:3333:4444:5555:6666:7777:8888]:65535");
    char text[TL_ADDR_TEXT_MAX];
    a.scope = UINT32_MAX;
    tl_addr_write(text, &a);
    assert_string_equal(text, "[1111:2222:3333:4444:5555:6666:7777:8888%4294967295]:65535");
    tl_addr none = {.family = TL_ADDR_NONE};
    tl_addr_write_ip(text, &none);
    assert_string_equal(text, "-");
}

static void a_host_and_port_is_split(void **state)
{
    (void)state;
    static const struct {
        const char *text, *host;
        uint16_t port;
    } v[] = {
        {"example.org:443", "example.org", 443},
        {"example.org", "example.org", 7},
        {"stun.l.google.com:19302", "stun.l.google.com", 19302},
        {"my_relay-1.lan:0", "my_relay-1.lan", 0},
        {"192.0.2.1", "192.0.2.1", 7},
        {"192.0.2.1:65535", "192.0.2.1", 65535},
        {"[::1]", "::1", 7},
        {"[::1]:80", "::1", 80},
    };
    for (size_t i = 0; i < sizeof v / sizeof *v; i++) {
        char host[TL_HOST_MAX];
        uint16_t port;
        assert_int_equal(tl_hostport_parse(tl_slice_str(v[i].text), 7, host, &port), TL_OK);
        assert_string_equal(host, v[i].host);
        assert_int_equal(port, v[i].port);
    }
}

static void what_is_no_host_and_port_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",           ":",          ":80",       "host:",       "host:x",
        "host:65536", "host:00080", "host:1:2",  "::1",         "[::1",
        "[::1]x",     "[::1]:",     "[]",        "[host]:80",   "[1.2.3.4]:80",
        "ho st",      "host/",      "user@host", "http://host", "h\xC3\xB6st",
        "host\n",     "a%b",        "*",         "host:80?",
    };
    char host[TL_HOST_MAX] = "before";
    uint16_t port = 1;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_int_equal(tl_hostport_parse(tl_slice_str(texts[i]), 7, host, &port), TL_ERR_PROTO);
    assert_int_equal(tl_hostport_parse(TL_SLICE_LIT("host\0"), 7, host, &port), TL_ERR_PROTO);
    assert_string_equal(host, "before");
    assert_int_equal(port, 1);
}

static void a_host_of_253_characters_is_the_longest(void **state)
{
    (void)state;
    char text[300], host[TL_HOST_MAX];
    uint16_t port;
    memset(text, 'a', sizeof text);
    assert_int_equal(tl_hostport_parse(tl_slice_of(text, 253), 7, host, &port), TL_OK);
    assert_int_equal(strlen(host), 253);
    assert_int_equal(tl_hostport_parse(tl_slice_of(text, 254), 7, host, &port), TL_ERR_PROTO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_is_written_as_it_was_read),
        cmocka_unit_test(what_is_no_address_and_port_is_refused_and_nothing_written),
        cmocka_unit_test(a_literal_without_port_is_read_as_strictly),
        cmocka_unit_test(a_cut_text_never_reads_past_its_end),
        cmocka_unit_test(a_mapped_address_is_normal_as_ipv4),
        cmocka_unit_test(loopback_is_known_in_every_form),
        cmocka_unit_test(equality_looks_at_port_and_zone),
        cmocka_unit_test(a_socket_address_goes_there_and_back),
        cmocka_unit_test(the_longest_address_fits_its_text),
        cmocka_unit_test(a_host_and_port_is_split),
        cmocka_unit_test(what_is_no_host_and_port_is_refused),
        cmocka_unit_test(a_host_of_253_characters_is_the_longest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
