#include "wire/proxyurl.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static tl_proxy good(const char *text, const char *shown)
{
    tl_proxy p;
    tl_why why = {""};
    char again[TL_PROXY_SHOWN_MAX];
    if (tl_proxy_parse(text, &p, &why))
        fail_msg("%s: %s", text, why.text);
    tl_proxy_show(again, &p);
    assert_string_equal(again, shown);
    return p;
}

static void bad(const char *text, const char *words)
{
    tl_proxy p;
    tl_why why = {""};
    assert_int_equal(tl_proxy_parse(text, &p, &why), TL_ERR_INVALID);
    assert_non_null(strstr(why.text, words));
    assert_null(strstr(why.text, "secret"));
}

static void a_proxy_has_a_scheme_a_host_and_a_port(void **state)
{
    (void)state;
    assert_int_equal(good("http://proxy.example.org:3128", "http://proxy.example.org:3128").kind,
                     TL_PROXY_HTTP);
    assert_int_equal(good("socks5://10.0.0.1:9050/", "socks5://10.0.0.1:9050").kind,
                     TL_PROXY_SOCKS5);
    assert_int_equal(good("SOCKS5H://[::1]:9050", "socks5h://[::1]:9050").kind, TL_PROXY_SOCKS5H);
    good("proxy:8080", "http://proxy:8080"); /* the environment may leave the scheme out */
    good("http://proxy", "http://proxy:1080");
}

static void a_login_is_decoded_and_never_shown(void **state)
{
    (void)state;
    tl_proxy p = good("http://an%20ne:se%3Acr%40t@proxy:3128", "http://proxy:3128");
    assert_true(p.has_login);
    assert_string_equal(p.user, "an ne");
    assert_string_equal(p.password, "se:cr@t");
    p = good("http://anne@proxy:3128", "http://proxy:3128");
    assert_string_equal(p.password, "");
    p = good("socks5h://a:b@c@proxy:1", "socks5h://proxy:1"); /* the last @ ends the login */
    assert_string_equal(p.password, "b@c");
    assert_false(good("http://proxy:3128", "http://proxy:3128").has_login);
    char shown[TL_PROXY_SHOWN_MAX];
    tl_proxy_show_text(shown, "http://anne:secret@proxy:3128");
    assert_string_equal(shown, "http://proxy:3128");
    tl_proxy_show_text(shown, "htp://anne:secret@proxy:3128");
    assert_string_equal(shown, "(not a proxy)");
    tl_proxy_show_text(shown, "none");
    assert_string_equal(shown, "none");
}

static void what_is_no_proxy_is_refused_without_repeating_it(void **state)
{
    (void)state;
    bad("https://anne:secret@proxy:3128", "https://");
    bad("socks4://proxy:1080", "SOCKS4");
    bad("socks://proxy:1080", "SOCKS4");
    bad("ftp://anne:secret@proxy:3128", "begins with");
    bad("http://anne:secret@", "HOST:PORT");
    bad("http://anne:secret@proxy:0", "HOST:PORT");
    bad("http://anne:secret@proxy:65536", "HOST:PORT");
    bad("http://anne:secret@pro xy:80", "HOST:PORT");
    bad("http://anne:secret@proxy:80/x", "ends after its port");
    bad("http://anne:secret%0d@proxy:80", "control character");
    bad("http://anne:secret%4@proxy:80", "wrong %");
    bad("http://anne:secret%zz@proxy:80", "wrong %");
    bad("http://an%3ane:secret@proxy:80", "colon");
    bad("socks5h://anne@proxy:80", "a user and a password");
    bad("", "HOST:PORT");
}

static void a_login_has_at_most_255_bytes(void **state)
{
    (void)state;
    char text[600];
    snprintf(text, sizeof text, "http://u:%0255d@proxy:1", 7);
    assert_int_equal(strlen(good(text, "http://proxy:1").password), 255);
    snprintf(text, sizeof text, "http://u:%0256d@proxy:1", 7);
    bad(text, "255");
}

/* From unit test 1614 of curl 8.9.1. */
static const struct {
    const char *host, *list;
    bool match;
} curls[] = {
    {"www.example.com", "localhost,.example.com,.example.de", true},
    {"www.example.com.", "localhost,.example.com,.example.de", true},
    {"example.com", "localhost,.example.com,.example.de", true},
    {"example.com.", "localhost,.example.com,.example.de", true},
    {"www.example.com", "localhost,.example.com.,.example.de", true},
    {"www.example.com", "localhost,www.example.com.,.example.de", true},
    {"example.com", "localhost,example.com,.example.de", true},
    {"example.com.", "localhost,example.com,.example.de", true},
    {"nexample.com", "localhost,example.com,.example.de", false},
    {"www.example.com", "localhost,example.com,.example.de", true},
    {"127.0.0.1", "127.0.0.1,localhost", true},
    {"127.0.0.1", "127.0.0.1,localhost,", true},
    {"127.0.0.1", "127.0.0.1/8,localhost,", true},
    {"127.0.0.1", "127.0.0.1/28,localhost,", true},
    {"127.0.0.1", "127.0.0.1/31,localhost,", true},
    {"127.0.0.1", "localhost,127.0.0.1", true},
    {"127.0.0.1", "localhost,127.0.0.1.127.0.0.1.127.0.0.1.127.0.0.1.127.0.0.1.127.0.0.1", false},
    {"127.0.0.1", "localhost,127.0.0.1.127.0.0.1.127.0.0.1.127.0.0.1,127.0.0.1", true},
    {"localhost", "localhost,127.0.0.1", true},
    {"localhost", "127.0.0.1,localhost", true},
    {"foobar", "barfoo", false},
    {"foobar", "foobar", true},
    {"192.168.0.1", "foobar", false},
    {"192.168.0.1", "192.168.0.0/16", true},
    {"192.168.0.1", "192.168.0.0/24", true},
    {"192.168.0.1", "192.168.0.0/32", false},
    {"192.168.0.1", "192.168.0.0", false},
    {"192.168.1.1", "192.168.0.0/24", false},
    {"192.168.1.1", "foo, bar, 192.168.0.0/24", false},
    {"192.168.1.1", "foo, bar, 192.168.0.0/16", true},
    {"::1", "foo, bar, 192.168.0.0/16", false},
    {"::1", "foo, bar, ::1/64", true},
    {"bar", "foo, bar, ::1/64", true},
    {"BAr", "foo, bar, ::1/64", true},
    {"BAr", "foo,,,,,              bar, ::1/64", true},
    {"www.example.com", "foo, .example.com", true},
    {"www.example.com", "www2.example.com, .example.net", false},
    {"example.com", ".example.com, .example.net", true},
    {"nonexample.com", ".example.com, .example.net", false},
};

static void no_proxy_follows_the_rules_of_curl(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof curls / sizeof *curls; i++)
        if (tl_proxy_exempt(curls[i].list, curls[i].host) != curls[i].match)
            fail_msg("%s in \"%s\" should be %d", curls[i].host, curls[i].list, curls[i].match);
}

static void the_edges_of_no_proxy(void **state)
{
    (void)state;
    assert_true(tl_proxy_exempt("*", "relay.example.org"));
    assert_true(tl_proxy_exempt("*", "192.0.2.1"));
    assert_false(tl_proxy_exempt("a,*", "relay.example.org")); /* alone, as curl has it */
    assert_false(tl_proxy_exempt("", "relay.example.org"));
    assert_false(tl_proxy_exempt(" , ,. ", "relay.example.org"));
    assert_true(tl_proxy_exempt("a relay.example.org b", "relay.example.org"));
    assert_true(tl_proxy_exempt("2001:db8::/33", "2001:db8:7fff::1"));
    assert_false(tl_proxy_exempt("2001:db8::/33", "2001:db8:8000::1"));
    assert_true(tl_proxy_exempt("[2001:db8::1]", "2001:db8::1"));
    assert_true(tl_proxy_exempt("2001:db8::1/128", "2001:db8::1"));
    assert_false(tl_proxy_exempt("2001:db8::1/129", "2001:db8::1"));
    assert_true(tl_proxy_exempt("0.0.0.0/0", "192.0.2.1"));
    assert_false(tl_proxy_exempt("0.0.0.0/0", "2001:db8::1"));
    assert_false(tl_proxy_exempt("192.0.2.1/33", "192.0.2.1"));
    assert_false(tl_proxy_exempt("192.0.2.1/", "192.0.2.1"));
    assert_false(tl_proxy_exempt("192.0.2.1/x", "192.0.2.1"));
    assert_false(tl_proxy_exempt("192.0.2.1/99999999999", "192.0.2.1"));
    assert_false(tl_proxy_exempt("2.1", "192.0.2.1")); /* an address is no name */
}

/* --- the choice --- */

static const char *env[8][2];

static const char *get(const char *name)
{
    for (size_t i = 0; i < 8; i++)
        if (env[i][0] && !strcmp(env[i][0], name))
            return env[i][1];
    return NULL;
}

static void set(size_t i, const char *name, const char *value)
{
    env[i][0] = name;
    env[i][1] = value;
}

static void chosen(const char *setting, const char *relay, const char *shown, const char *source)
{
    tl_wsurl url;
    tl_proxy p;
    tl_why why = {""};
    const char *from;
    char text[TL_PROXY_SHOWN_MAX];
    assert_int_equal(tl_wsurl_parse(relay, &url, &why), TL_OK);
    assert_int_equal(tl_proxy_choose(setting, get, &url, &p, &from, &why), TL_OK);
    tl_proxy_show(text, &p);
    assert_string_equal(text, shown);
    assert_string_equal(from, source);
}

static void the_environment_names_a_proxy_in_the_order_of_curl(void **state)
{
    (void)state;
    memset(env, 0, sizeof env);
    chosen("", "wss://relay.example.org/ws", "", "");
    set(0, "ALL_PROXY", "http://p4:1");
    chosen("", "wss://relay.example.org/ws", "http://p4:1", "ALL_PROXY");
    set(1, "all_proxy", "socks5h://p3:1");
    chosen("", "wss://relay.example.org/ws", "socks5h://p3:1", "all_proxy");
    set(2, "HTTPS_PROXY", "http://p2:1");
    chosen("", "wss://relay.example.org/ws", "http://p2:1", "HTTPS_PROXY");
    set(3, "https_proxy", "http://p1:1");
    chosen("", "wss://relay.example.org/ws", "http://p1:1", "https_proxy");
    set(3, "https_proxy", ""); /* empty is as not set */
    chosen("", "wss://relay.example.org/ws", "http://p2:1", "HTTPS_PROXY");
    set(4, "HTTP_PROXY", "http://never:1");
    chosen("", "ws://relay.example.org/ws", "socks5h://p3:1", "all_proxy");
    set(5, "http_proxy", "http://p5:1");
    chosen("", "ws://relay.example.org/ws", "http://p5:1", "http_proxy");
    chosen("", "wss://localhost/ws", "", ""); /* this machine needs none */
    chosen("", "ws://127.0.0.1:8080/ws", "", "");
}

static void the_setting_wins_and_no_proxy_holds_for_both(void **state)
{
    (void)state;
    memset(env, 0, sizeof env);
    set(0, "https_proxy", "http://p1:1");
    chosen("socks5h://mine:9", "wss://relay.example.org/ws", "socks5h://mine:9", "wan_proxy");
    chosen("none", "wss://relay.example.org/ws", "", "");
    chosen("socks5h://mine:9", "ws://127.0.0.1:8080/ws", "socks5h://mine:9", "wan_proxy");
    set(1, "NO_PROXY", "example.net");
    chosen("", "wss://relay.example.org/ws", "http://p1:1", "https_proxy");
    set(1, "NO_PROXY", "example.org");
    chosen("", "wss://relay.example.org/ws", "", "");
    chosen("socks5h://mine:9", "wss://relay.example.org/ws", "", "");
    set(2, "no_proxy", "10.0.0.0/8"); /* wins over NO_PROXY */
    chosen("", "wss://relay.example.org/ws", "http://p1:1", "https_proxy");
    chosen("", "wss://10.1.2.3/ws", "", "");
}

static void a_wrong_proxy_is_told_with_what_named_it(void **state)
{
    (void)state;
    tl_wsurl url;
    tl_proxy p;
    tl_why why = {""};
    const char *from;
    memset(env, 0, sizeof env);
    set(0, "https_proxy", "socks4://anne:secret@p:1");
    assert_int_equal(tl_wsurl_parse("wss://relay.example.org/ws", &url, &why), TL_OK);
    assert_int_equal(tl_proxy_choose("", get, &url, &p, &from, &why), TL_ERR_INVALID);
    assert_non_null(strstr(why.text, "https_proxy: SOCKS4"));
    assert_null(strstr(why.text, "secret"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_proxy_has_a_scheme_a_host_and_a_port),
        cmocka_unit_test(a_login_is_decoded_and_never_shown),
        cmocka_unit_test(what_is_no_proxy_is_refused_without_repeating_it),
        cmocka_unit_test(a_login_has_at_most_255_bytes),
        cmocka_unit_test(no_proxy_follows_the_rules_of_curl),
        cmocka_unit_test(the_edges_of_no_proxy),
        cmocka_unit_test(the_environment_names_a_proxy_in_the_order_of_curl),
        cmocka_unit_test(the_setting_wins_and_no_proxy_holds_for_both),
        cmocka_unit_test(a_wrong_proxy_is_told_with_what_named_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
