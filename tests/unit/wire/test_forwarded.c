/* Which proxies are trusted, and whom X-Forwarded-For names through them. */
#include "wire/forwarded.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static tl_proxies proxies;

static int setup(void **state)
{
    (void)state;
    proxies.count = 0;
    return 0;
}

static void trust(const char *text)
{
    tl_why why = {""};
    if (tl_proxies_add(&proxies, text, &why))
        fail_msg("%s", why.text);
}

static void distrust(const char *text, const char *words)
{
    tl_why why = {""};
    size_t before = proxies.count;
    assert_int_equal(tl_proxies_add(&proxies, text, &why), TL_ERR_INVALID);
    assert_non_null(strstr(why.text, words));
    assert_int_equal(proxies.count, before);
}

static bool trusted(const char *text)
{
    tl_addr a;
    assert_int_equal(tl_addr_parse_ip(tl_slice_str(text), &a), TL_OK);
    return tl_proxies_has(&proxies, &a);
}

static void an_address_stands_for_itself_and_a_network_for_all_in_it(void **state)
{
    (void)state;
    trust("192.0.2.7");
    trust("10.0.0.0/8");
    trust("172.16.0.0/12");
    trust("2001:db8::/33");
    trust("::1/128");
    static const char *const inside[] = {"192.0.2.7",      "10.0.0.0",         "10.255.255.255",
                                         "172.31.255.255", "2001:db8:7fff::1", "::1",
                                         "::ffff:10.1.2.3"};
    static const char *const outside[] = {"192.0.2.6",     "192.0.2.8",  "11.0.0.0",
                                          "9.255.255.255", "172.32.0.0", "2001:db8:8000::1",
                                          "::2",           "::10.1.2.3"};
    for (size_t i = 0; i < sizeof inside / sizeof *inside; i++)
        assert_true(trusted(inside[i]));
    for (size_t i = 0; i < sizeof outside / sizeof *outside; i++)
        assert_false(trusted(outside[i]));
}

static void a_network_of_mapped_ipv4_is_one_of_ipv4(void **state)
{
    (void)state;
    trust("::ffff:10.0.0.0/104");
    assert_true(trusted("10.9.9.9"));
    assert_false(trusted("11.0.0.0"));
    distrust("::ffff:0.0.0.0/95", "neither a network of IPv4 nor one of IPv6");
}

static void what_is_no_network_is_refused_with_what_would_be_right(void **state)
{
    (void)state;
    static const char *const none[] = {
        "",          "proxy",       "10.0.0.0/",   "10.0.0.0/33", "::/129",
        "10.0.0/8",  "10.0.0.0/08", "10.0.0.0/ 8", "10.0.0.0/8 ", "10.0.0.0/-1",
        "[::1]/128", "fe80::1%1",   "10.0.0.1:80"};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        distrust(none[i], "is not an address or a network");
    distrust("10.0.0.1/8", "or 10.0.0.0/8");
    distrust("2001:db8::1/32", "or 2001:db8::/32");
    distrust("0.0.0.0/0", "everybody");
    distrust("::/0", "everybody");
    trust("128.0.0.0/1");
    trust("::/1");
}

static void there_is_room_for_256_networks(void **state)
{
    (void)state;
    char text[32];
    for (int i = 0; i < TL_PROXIES_MAX; i++) {
        snprintf(text, sizeof text, "10.0.%d.0/24", i);
        trust(text);
    }
    distrust("11.0.0.0/8", "more than 256");
    assert_true(trusted("10.0.255.1"));
}

/* --- X-Forwarded-For --- */

/* `lines` are header lines, each with its CRLF. */
static tl_err client_of(const char *lines, tl_addr *ret)
{
    static char request[8192];
    static tl_http1_head head;
    size_t scanned = 0;
    int status;
    int n = snprintf(request, sizeof request, "GET /ws HTTP/1.1\r\nHost: x\r\n%s\r\n", lines);
    assert_int_equal(
        tl_http1_request_parse(tl_slice_of(request, (size_t)n), &scanned, &head, &status), TL_OK);
    return tl_forwarded_client(&head, &proxies, ret);
}

static void names(const char *value, const char *client)
{
    char lines[4096], shown[TL_ADDR_TEXT_MAX];
    tl_addr a;
    snprintf(lines, sizeof lines, "x-forwarded-FOR: %s\r\n", value);
    assert_int_equal(client_of(lines, &a), TL_OK);
    assert_int_equal(a.port, 0);
    tl_addr_write_ip(shown, &a);
    assert_string_equal(shown, client);
}

static void fails(const char *value, tl_err e)
{
    char lines[4096];
    tl_addr a = {.port = 7};
    snprintf(lines, sizeof lines, "X-Forwarded-For: %s\r\n", value);
    assert_int_equal(client_of(lines, &a), e);
    assert_int_equal(a.port, 7);
}

static void the_client_is_the_rightmost_that_is_not_trusted(void **state)
{
    (void)state;
    trust("10.0.0.0/8");
    names("192.0.2.7", "192.0.2.7");
    names("198.51.100.1, 192.0.2.7", "192.0.2.7"); /* the client made the left one up */
    names("198.51.100.1, 192.0.2.7, 10.0.0.2,10.0.0.1", "192.0.2.7");
    names("10.0.0.9, 192.0.2.7", "192.0.2.7");
    names("2001:db8::7", "2001:db8::7");
    names("::ffff:192.0.2.7", "192.0.2.7");
}

static void where_all_are_trusted_it_is_the_leftmost(void **state)
{
    (void)state;
    trust("10.0.0.0/8");
    names("10.0.0.3, 10.0.0.2", "10.0.0.3");
}

static void several_lines_are_one_list(void **state)
{
    (void)state;
    tl_addr a;
    char shown[TL_ADDR_TEXT_MAX];
    trust("10.0.0.0/8");
    assert_int_equal(client_of("X-Forwarded-For: 192.0.2.7\r\nX-Forwarded: 192.0.2.9\r\n"
                               "X-Forwarded-For: 10.0.0.2\r\nX-Forwarded-For:\r\n",
                               &a),
                     TL_OK);
    tl_addr_write_ip(shown, &a);
    assert_string_equal(shown, "192.0.2.7");
}

static void ports_brackets_and_empty_elements_are_understood(void **state)
{
    (void)state;
    names("192.0.2.7:4711", "192.0.2.7");
    names("[2001:db8::7]:4711", "2001:db8::7");
    names("[2001:db8::7]", "2001:db8::7");
    names("192.0.2.7 ,, \t,", "192.0.2.7");
}

static void what_the_client_made_up_is_never_read(void **state)
{
    (void)state;
    trust("10.0.0.0/8");
    names("<script>, unknown, 192.0.2.7, 10.0.0.1", "192.0.2.7");
}

static void an_element_that_must_be_read_and_is_no_address_is_malformed(void **state)
{
    (void)state;
    trust("10.0.0.0/8");
    static const char *const none[] = {
        "unknown",       "_hidden",         "192.0.2.7, x", "192.0.2",   "[192.0.2.7]",
        "\"192.0.2.7\"", "0.0.0.0",         "::",           "224.0.0.1", "ff02::1",
        "fe80::1%1",     "192.0.2.7:99999", "x, 10.0.0.1"};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        fails(none[i], TL_ERR_PROTO);
}

static void none_and_an_empty_one_tell_nothing(void **state)
{
    (void)state;
    tl_addr a;
    assert_int_equal(client_of("", &a), TL_ERR_NOT_FOUND);
    assert_int_equal(client_of("Forwarded: for=192.0.2.7\r\n", &a), TL_ERR_NOT_FOUND);
    fails(" , ,", TL_ERR_NOT_FOUND);
}

static void thirty_two_proxies_in_a_row_are_followed_and_no_more(void **state)
{
    (void)state;
    char value[1024] = "192.0.2.7";
    trust("10.0.0.1");
    for (int i = 1; i < TL_FORWARDED_HOPS; i++)
        strcat(value, ",10.0.0.1");
    names(value, "192.0.2.7");
    strcat(value, ",10.0.0.1");
    fails(value, TL_ERR_TOO_LARGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(an_address_stands_for_itself_and_a_network_for_all_in_it, setup),
        cmocka_unit_test_setup(a_network_of_mapped_ipv4_is_one_of_ipv4, setup),
        cmocka_unit_test_setup(what_is_no_network_is_refused_with_what_would_be_right, setup),
        cmocka_unit_test_setup(there_is_room_for_256_networks, setup),
        cmocka_unit_test_setup(the_client_is_the_rightmost_that_is_not_trusted, setup),
        cmocka_unit_test_setup(where_all_are_trusted_it_is_the_leftmost, setup),
        cmocka_unit_test_setup(several_lines_are_one_list, setup),
        cmocka_unit_test_setup(ports_brackets_and_empty_elements_are_understood, setup),
        cmocka_unit_test_setup(what_the_client_made_up_is_never_read, setup),
        cmocka_unit_test_setup(an_element_that_must_be_read_and_is_no_address_is_malformed, setup),
        cmocka_unit_test_setup(none_and_an_empty_one_tell_nothing, setup),
        cmocka_unit_test_setup(thirty_two_proxies_in_a_row_are_followed_and_no_more, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
