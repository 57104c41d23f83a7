#include "wire/portal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static char login[TL_PORTAL_URL_MAX];

static bool is_portal(const char *answer, const char *host, bool strange)
{
    tl_http1_head head;
    size_t scanned = 0;
    login[0] = 0;
    assert_int_equal(tl_http1_response_parse(tl_slice_str(answer), &scanned, &head), TL_OK);
    return tl_portal_answered(&head, host, 80, strange, login);
}

static void yes(const char *answer, bool strange, const char *url)
{
    if (!is_portal(answer, "relay.example.org", strange))
        fail_msg("no portal: %s", answer);
    assert_string_equal(login, url);
}

static void no(const char *answer, bool strange)
{
    if (is_portal(answer, "relay.example.org", strange))
        fail_msg("a portal at %s: %s", login, answer);
}

static void the_question_is_for_a_path_that_nobody_has(void **state)
{
    (void)state;
    tl_rand rng = tl_rand_seeded(1);
    tl_buf out = {0};
    assert_int_equal(tl_portal_ask(&out, &rng, "2001:db8::1", 8080), TL_OK);
    static const char begin[] = "GET /.well-known/teale-";
    assert_memory_equal(tl_buf_begin(&out), begin, sizeof begin - 1);
    assert_int_equal(tl_buf_append(&out, tl_slice_of("", 1)), TL_OK);
    const char *text = (const char *)tl_buf_begin(&out);
    assert_int_equal(strcspn(text + sizeof begin - 1, " "), 16);
    assert_non_null(strstr(text, "\r\nHost: [2001:db8::1]:8080\r\n"));
    tl_buf_clear(&out);
    assert_int_equal(tl_portal_ask(&out, &rng, "relay.example.org", 80), TL_OK);
    assert_int_equal(tl_buf_append(&out, tl_slice_of("", 1)), TL_OK);
    assert_non_null(strstr((const char *)tl_buf_begin(&out), "\r\nHost: relay.example.org\r\n"));
    tl_buf_clear(&out);
}

#define TO(status, url) "HTTP/1.1 " status " x\r\nLocation: " url "\r\n\r\n"
#define PAGE            "HTTP/1.1 200 OK\r\nContent-Type: Text/HTML; charset=utf-8\r\n\r\n"

static void a_redirect_to_another_site_is_a_portals(void **state)
{
    (void)state;
    yes(TO("302", "http://login.hotel.example/in?mac=00:11"), false,
        "http://login.hotel.example/in?mac=00:11");
    yes(TO("303", "https://login.hotel.example"), false, "https://login.hotel.example");
    yes(TO("307", "HTTP://10.0.0.1:8080/"), true, "HTTP://10.0.0.1:8080/");
    yes(TO("301", "http://login.hotel.example/"), true, "http://login.hotel.example/");
    no(TO("301", "http://login.hotel.example/"), false); /* a server that has moved */
    no(TO("302", "https://www.example.org/"), false);    /* the relay's own site */
    no(TO("302", "https://relay.example.org/x"), true);
    no(TO("302", "https://example.org/"), true);
    no(TO("302", "ftp://login.hotel.example/"), true);
    no("HTTP/1.1 302 x\r\n\r\n", true);
    no(TO("200", "http://login.hotel.example/"), true); /* no redirect */
}

static void a_redirect_within_the_host_is_one_where_something_strange_stands(void **state)
{
    (void)state;
    yes(TO("302", "/login"), true, "http://relay.example.org/");
    yes(TO("302", "http://relay.example.org/login"), true, "http://relay.example.org/login");
    no(TO("302", "/login"), false);
    no(TO("302", "http://relay.example.org/login"), false);
}

static void a_page_proves_something_only_where_something_strange_stands(void **state)
{
    (void)state;
    yes(PAGE, true, "http://relay.example.org/");
    no(PAGE, false);
    no("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n", true);
    no("HTTP/1.1 404 no\r\nContent-Type: text/html\r\n\r\n", true);
    no("HTTP/1.1 400 no\r\nContent-Type: text/html\r\n\r\n", true);
}

static void status_511_says_it_itself(void **state)
{
    (void)state;
    yes("HTTP/1.1 511 x\r\n\r\n", false, "http://relay.example.org/");
    yes(TO("511", "http://login.hotel.example/"), false, "http://login.hotel.example/");
}

static void an_address_that_may_not_be_shown_is_replaced_by_the_hosts(void **state)
{
    (void)state;
    char answer[1024], path[300];
    yes(TO("302", "http://login.hotel.example/\"x"), false, "http://relay.example.org/");
    yes(TO("302", "http://login.hotel.example/<b>"), false, "http://relay.example.org/");
    yes(TO("302", "http://login.hotel.example/\xc3\xa4"), false, "http://relay.example.org/");
    memset(path, 'a', sizeof path);
    path[sizeof path - 1] = 0;
    snprintf(answer, sizeof answer, TO("302", "http://h.example/%s"), path);
    yes(answer, false, "http://relay.example.org/");
    snprintf(answer, sizeof answer, TO("302", "http://h.example/%.*s"), 200 - 17, path);
    assert_true(is_portal(answer, "relay.example.org", false));
    assert_int_equal(strlen(login), 200);
}

static void addresses_are_compared_whole(void **state)
{
    (void)state;
    assert_true(is_portal(TO("302", "http://192.0.3.1/"), "192.0.2.1", false));
    assert_false(is_portal(TO("302", "http://192.0.2.1/x"), "192.0.2.1", false));
    assert_true(is_portal(TO("302", "http://7.0.2.1/"), "192.0.2.1", false));
    assert_true(is_portal(TO("302", "http://portal/"), "relay", false));
    assert_false(is_portal(TO("302", "http://RELAY/"), "relay", false));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_question_is_for_a_path_that_nobody_has),
        cmocka_unit_test(a_redirect_to_another_site_is_a_portals),
        cmocka_unit_test(a_redirect_within_the_host_is_one_where_something_strange_stands),
        cmocka_unit_test(a_page_proves_something_only_where_something_strange_stands),
        cmocka_unit_test(status_511_says_it_itself),
        cmocka_unit_test(an_address_that_may_not_be_shown_is_replaced_by_the_hosts),
        cmocka_unit_test(addresses_are_compared_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
