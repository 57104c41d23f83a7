/* The rules about Host, Origin and the key, one at a time, without a server. */
#include "api/guard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static tl_string_list hosts, origins;
static tl_addr listen_[3];
static tl_guard guard = {&hosts, &origins, listen_, 0};

static int setup(void **state)
{
    (void)state;
    memset(&hosts, 0, sizeof hosts);
    memset(&origins, 0, sizeof origins);
    guard.listen_n = 0;
    return 0;
}

static void list(tl_string_list *l, const char *first, const char *second)
{
    snprintf(l->item[0], sizeof l->item[0], "%s", first);
    snprintf(l->item[1], sizeof l->item[1], "%s", second);
    l->n = 2;
}

static tl_http1_head head_of(const char *host, const char *origin)
{
    tl_http1_head h = {.host = tl_slice_str(host)};
    if (origin)
        h.headers[h.header_count++] =
            (tl_http1_header){TL_SLICE_LIT("origin"), tl_slice_str(origin)};
    return h;
}

static tl_guard_verdict verdict(const char *host, const char *origin)
{
    tl_http1_head h = head_of(host, origin);
    return tl_guard_check(&guard, &h);
}

static void listen_at(const char *ip)
{
    assert_int_equal(tl_addr_parse_ip(tl_slice_str(ip), &listen_[guard.listen_n++]), TL_OK);
}

static void loopback_is_a_host_of_ours_and_no_other_address_is(void **state)
{
    (void)state;
    assert_int_equal(verdict("127.0.0.1:11435", NULL), TL_GUARD_PASS);
    assert_int_equal(verdict("[::1]:11435", NULL), TL_GUARD_PASS);
    assert_int_equal(verdict("LocalHost", NULL), TL_GUARD_PASS);
    assert_int_equal(verdict("192.0.2.7", NULL), TL_GUARD_HOST);
    assert_int_equal(verdict("localhost.example", NULL), TL_GUARD_HOST);
    assert_int_equal(verdict("", NULL), TL_GUARD_HOST);
    assert_int_equal(verdict("localhost:x", NULL), TL_GUARD_HOST);
}

static void an_address_we_listen_at_is_a_host_of_ours(void **state)
{
    (void)state;
    listen_at("192.0.2.7");
    listen_at("192.0.2.8");
    listen_at("192.0.2.9");
    guard.listen_n = 2; /* the third is not ours any more */
    assert_int_equal(verdict("192.0.2.7:80", NULL), TL_GUARD_PASS);
    assert_int_equal(verdict("192.0.2.8", NULL), TL_GUARD_PASS);
    assert_int_equal(verdict("[::ffff:192.0.2.8]", NULL), TL_GUARD_PASS);
    assert_int_equal(verdict("192.0.2.9", NULL), TL_GUARD_HOST);
    guard.listen_n = 0;
    assert_int_equal(verdict("192.0.2.7:80", NULL), TL_GUARD_HOST);
}

/* Nobody is reached at it; and a browser takes 0.0.0.0 for this machine. */
static void the_address_that_means_all_is_no_host_and_makes_every_address_one(void **state)
{
    (void)state;
    listen_at("198.51.100.1");
    assert_int_equal(verdict("192.0.2.7", NULL), TL_GUARD_HOST);
    listen_at("0.0.0.0");
    assert_int_equal(verdict("0.0.0.0:11435", NULL), TL_GUARD_HOST);
    assert_int_equal(verdict("[::]:11435", NULL), TL_GUARD_HOST);
    assert_int_equal(verdict("[::ffff:0.0.0.0]:11435", NULL), TL_GUARD_HOST);
    assert_int_equal(verdict("192.0.2.7", NULL), TL_GUARD_PASS);
    assert_int_equal(verdict("192.0.2.7.example", NULL), TL_GUARD_HOST);
    assert_int_equal(verdict("box.example", NULL), TL_GUARD_HOST); /* may be made to lead here */
    assert_int_equal(verdict("192.0.2.7", "http://evil.example"), TL_GUARD_ORIGIN);
}

static void each_host_of_the_settings_is_allowed_and_none_beyond_the_list(void **state)
{
    (void)state;
    list(&hosts, "one.example", "two.example:8080");
    assert_int_equal(verdict("one.example:99", NULL), TL_GUARD_PASS);
    assert_int_equal(verdict("two.example:8080", NULL), TL_GUARD_PASS);
    assert_int_equal(verdict("two.example:8081", NULL), TL_GUARD_HOST);
    hosts.n = 1;
    assert_int_equal(verdict("two.example:8080", NULL), TL_GUARD_HOST);
}

static void our_own_page_may_ask_by_either_scheme(void **state)
{
    (void)state;
    assert_int_equal(verdict("localhost:1", "http://localhost:1"), TL_GUARD_PASS);
    assert_int_equal(verdict("localhost:1", "https://localhost:1"), TL_GUARD_PASS);
    assert_int_equal(verdict("localhost:1", "ftp://localhost:1"), TL_GUARD_ORIGIN);
    assert_int_equal(verdict("localhost:1", "http://localhost:2"), TL_GUARD_ORIGIN);
    assert_int_equal(verdict("localhost:1", "http://localhost:11"), TL_GUARD_ORIGIN);
    assert_int_equal(verdict("localhost:1", "http://"), TL_GUARD_ORIGIN);
    assert_int_equal(verdict("localhost:1", "http:/"), TL_GUARD_ORIGIN);
    assert_int_equal(verdict("localhost:1", ""), TL_GUARD_ORIGIN);
}

/* The longest host there may be, and one more. */
static void the_longest_host_is_compared_whole(void **state)
{
    (void)state;
    char host[TL_HOST_MAX + 1], origin[TL_HOST_MAX + 16];
    memset(host, 'a', sizeof host);
    host[TL_HOST_MAX - 1] = 0;
    list(&hosts, host, "x");
    snprintf(origin, sizeof origin, "http://%s", host);
    assert_int_equal(verdict(host, origin), TL_GUARD_PASS);
    origin[strlen(origin) - 1] = 'b';
    assert_int_equal(verdict(host, origin), TL_GUARD_ORIGIN);
    host[TL_HOST_MAX - 1] = 'a';
    host[TL_HOST_MAX] = 0;
    assert_int_equal(verdict(host, NULL), TL_GUARD_HOST);
}

static void each_origin_of_the_settings_is_allowed_and_the_browser_told(void **state)
{
    (void)state;
    list(&origins, "https://one.example", "https://two.example");
    assert_int_equal(verdict("localhost", "https://one.example"), TL_GUARD_PASS_CORS);
    assert_int_equal(verdict("localhost", "https://two.example"), TL_GUARD_PASS_CORS);
    assert_int_equal(verdict("localhost", "https://two.example.net"), TL_GUARD_ORIGIN);
    assert_int_equal(verdict("elsewhere", "https://two.example"), TL_GUARD_HOST);
    origins.n = 1;
    assert_int_equal(verdict("localhost", "https://two.example"), TL_GUARD_ORIGIN);
}

static void two_origins_are_refused_even_if_both_are_allowed(void **state)
{
    (void)state;
    list(&origins, "https://one.example", "https://two.example");
    tl_http1_head h = head_of("localhost", "https://one.example");
    assert_int_equal(tl_guard_check(&guard, &h), TL_GUARD_PASS_CORS);
    h.headers[h.header_count++] = h.headers[0];
    assert_int_equal(tl_guard_check(&guard, &h), TL_GUARD_ORIGIN);
}

static bool has_key(const char *value, const char *key)
{
    tl_http1_head h = {.header_count = 1};
    h.headers[0] = (tl_http1_header){TL_SLICE_LIT("authorization"), tl_slice_str(value)};
    return tl_guard_has_key(&h, key);
}

static void a_key_is_the_whole_of_what_follows_bearer(void **state)
{
    (void)state;
    assert_true(has_key("Bearer secret", "secret"));
    assert_true(has_key("bearer k", "k"));
    assert_false(has_key("Bearer secre", "secret"));
    assert_false(has_key("Bearer secrets", "secret"));
    assert_false(has_key("Basic secret", "secret"));
    assert_false(has_key("Bearer", "secret"));
    assert_false(has_key("Bearer ", ""));
    assert_false(has_key("", ""));
    assert_false(has_key("Bearing secret", "secret"));
}

static void two_keys_are_none(void **state)
{
    (void)state;
    tl_http1_head h = {.header_count = 1};
    h.headers[0] = h.headers[1] =
        (tl_http1_header){TL_SLICE_LIT("authorization"), TL_SLICE_LIT("Bearer k")};
    assert_true(tl_guard_has_key(&h, "k"));
    h.header_count = 2;
    assert_false(tl_guard_has_key(&h, "k"));
    h.header_count = 0;
    assert_false(tl_guard_has_key(&h, "k"));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup(name, setup)
    const struct CMUnitTest tests[] = {
        T(loopback_is_a_host_of_ours_and_no_other_address_is),
        T(an_address_we_listen_at_is_a_host_of_ours),
        T(the_address_that_means_all_is_no_host_and_makes_every_address_one),
        T(each_host_of_the_settings_is_allowed_and_none_beyond_the_list),
        T(our_own_page_may_ask_by_either_scheme),
        T(the_longest_host_is_compared_whole),
        T(each_origin_of_the_settings_is_allowed_and_the_browser_told),
        T(two_origins_are_refused_even_if_both_are_allowed),
        T(a_key_is_the_whole_of_what_follows_bearer),
        T(two_keys_are_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
