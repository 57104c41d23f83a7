#include "wire/proxytalk.h"

#include "wire/http1.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static tl_proxy proxy;
static tl_proxytalk talk;
static tl_buf out;
static tl_why why;

static void begin(const char *url, const char *host)
{
    assert_int_equal(tl_proxy_parse(url, &proxy, &why), TL_OK);
    tl_buf_clear(&out);
    why.text[0] = 0;
    assert_int_equal(tl_proxytalk_start(&talk, &proxy, host, 443, &out), TL_OK);
}

static void said(const void *bytes, size_t n)
{
    assert_int_equal(out.len, n);
    assert_memory_equal(tl_buf_begin(&out), bytes, n);
    tl_buf_consume(&out, out.len);
}

static tl_err hear(const void *bytes, size_t n)
{
    return tl_proxytalk_on_bytes(&talk, tl_slice_of(bytes, n), &out, &why);
}
#define SAID(s) said(s, sizeof(s) - 1)
#define HEAR(s) hear(s, sizeof(s) - 1)

static void end(void)
{
    tl_proxytalk_clear(&talk);
    tl_buf_clear(&out);
}

/* The whole answer gets this verdict, and so does each way to cut it in two. */
static void answered(const char *url, const char *answer, size_t n, tl_err e, const char *words)
{
    for (size_t cut = 0; cut < n; cut++) {
        begin(url, "relay.example.org");
        tl_err got = TL_ERR_AGAIN;
        if (cut)
            got = hear(answer, cut);
        if (got == TL_ERR_AGAIN)
            got = hear(answer + cut, n - cut);
        if (got != e || (words && !strstr(why.text, words)))
            fail_msg("cut at %zu: %d, %s", cut, got, why.text);
        assert_int_equal(talk.state, e ? TL_PROXYTALK_FAILED : TL_PROXYTALK_OPEN);
        end();
    }
}
#define ANSWERED(url, s, e, words) answered(url, s, sizeof(s) - 1, e, words)

static void connect_names_the_host_and_opens_on_2xx(void **state)
{
    (void)state;
    begin("http://proxy:3128", "relay.example.org");
    SAID("CONNECT relay.example.org:443 HTTP/1.1\r\nHost: relay.example.org:443\r\n\r\n");
    assert_int_equal(HEAR("HTTP/1.1 200 Connection established\r\n\r\n"), TL_OK);
    end();
    begin("http://proxy:3128", "2001:db8::1");
    SAID("CONNECT [2001:db8::1]:443 HTTP/1.1\r\nHost: [2001:db8::1]:443\r\n\r\n");
    assert_int_equal(HEAR("HTTP/1.0 204 OK\r\nContent-Length: 7\r\nProxy-Agent: x\r\n\r\n"), TL_OK);
    end();
    ANSWERED("http://proxy:3128", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", TL_OK,
             NULL);
}

static void connect_shows_its_login(void **state)
{
    (void)state;
    begin("http://Aladdin:open%20sesame@proxy:3128", "r"); /* RFC 7617 2 */
    SAID("CONNECT r:443 HTTP/1.1\r\nHost: r:443\r\n"
         "Proxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n\r\n");
    end();
}

static void each_refusal_of_an_http_proxy_has_its_words(void **state)
{
    (void)state;
    static const char bare[] = "http://proxy:3128", login[] = "http://anne:secret@proxy:3128";
    static const char wants[] = "HTTP/1.1 407 no\r\nProxy-Authenticate: Basic realm=\"x\"\r\n\r\n";
    ANSWERED(bare, wants, TL_ERR_AUTH, "wants a login");
    ANSWERED(login, wants, TL_ERR_AUTH, "refused the user or the password");
    ANSWERED(login, "HTTP/1.1 407 no\r\nProxy-Authenticate: NTLM\r\n\r\n", TL_ERR_AUTH,
             "does not speak");
    ANSWERED(login, "HTTP/1.1 401 no\r\n\r\n", TL_ERR_AUTH,
             "refused the user or the password (HTTP 401)");
    ANSWERED(bare, "HTTP/1.1 403 no\r\n\r\n<html>", TL_ERR_FORBIDDEN, "does not allow");
    ANSWERED(bare, "HTTP/1.1 502 no\r\n\r\n", TL_ERR_UNREACHABLE,
             "cannot connect to relay.example.org:443: HTTP 502");
    ANSWERED(bare, "HTTP/1.1 405 no\r\n\r\n", TL_ERR_PROTO, "is it a web server?");
    ANSWERED(bare, "HTTP/1.1 302 no\r\nLocation: http://x/\r\n\r\n", TL_ERR_PROTO,
             "HTTP 302 where a connection");
    assert_null(strstr(why.text, "secret"));
}

static void an_http_proxy_that_lies_is_found_out(void **state)
{
    (void)state;
    static const char bare[] = "http://proxy:3128";
    ANSWERED(bare, "SSH-2.0-OpenSSH_9.2\r\n", TL_ERR_PROTO, "does not speak HTTP");
    ANSWERED(bare, "HTTP/9.9 xyz\r\n\r\n", TL_ERR_PROTO, "does not speak HTTP");
    ANSWERED(bare, "\x05\xff", TL_ERR_PROTO, "speaks SOCKS5");
    begin(bare, "r");
    assert_int_equal(HEAR("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<html>"),
                     TL_ERR_PROTO);
    assert_non_null(strstr(why.text, "6 bytes of its own"));
    end();
    begin(bare, "r");
    assert_int_equal(HEAR("HTTP/1.1 200 OK\r\n"), TL_ERR_AGAIN);
    tl_err e = TL_ERR_AGAIN;
    for (int i = 0; e == TL_ERR_AGAIN && i < 10000; i++)
        e = HEAR("X-Pad: 01234567890123456789\r\n");
    assert_int_equal(e, TL_ERR_TOO_LARGE);
    assert_true(talk.in.len <= TL_HTTP1_HEAD_MAX + 64);
    end();
    begin(bare, "r");
    assert_int_equal(HEAR("HTTP/1.1 20"), TL_ERR_AGAIN);
    assert_int_equal(tl_proxytalk_on_end(&talk, &why), TL_ERR_CLOSED);
    assert_non_null(strstr(why.text, "in the middle"));
    end();
    begin(bare, "r");
    assert_int_equal(tl_proxytalk_on_end(&talk, &why), TL_ERR_CLOSED);
    assert_non_null(strstr(why.text, "without an answer"));
    end();
    begin(bare, "r");
    tl_proxytalk_late(&talk, 10, &why);
    assert_string_equal(why.text,
                        "the proxy http://proxy:3128 did not connect to r:443 within 10 s");
    end();
}

static void socks_asks_for_a_name(void **state)
{
    (void)state;
    begin("socks5h://proxy:1080", "relay.example.org");
    SAID("\x05\x01\x00");
    assert_int_equal(HEAR("\x05\x00"), TL_ERR_AGAIN);
    SAID("\x05\x01\x00\x03\x11relay.example.org\x01\xbb");
    assert_int_equal(HEAR("\x05\x00\x00\x01\x7f\x00\x00\x01\x12\x34"), TL_OK);
    end();
}

static void socks_asks_for_addresses_as_such(void **state)
{
    (void)state;
    begin("socks5h://proxy:1080", "192.0.2.1");
    SAID("\x05\x01\x00");
    assert_int_equal(HEAR("\x05\x00"), TL_ERR_AGAIN);
    SAID("\x05\x01\x00\x01\xc0\x00\x02\x01\x01\xbb");
    end();
    begin("socks5://proxy:1080", "2001:db8::1");
    SAID("\x05\x01\x00");
    assert_int_equal(HEAR("\x05\x00"), TL_ERR_AGAIN);
    SAID("\x05\x01\x00\x04\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\x01\xbb");
    end();
}

static void socks_logs_in(void **state)
{
    (void)state;
    begin("socks5h://anne:secret@proxy:1080", "r");
    SAID("\x05\x02\x00\x02");
    assert_int_equal(HEAR("\x05\x02"), TL_ERR_AGAIN);
    SAID("\x01\x04"
         "anne\x06"
         "secret");
    assert_int_equal(HEAR("\x01\x00"), TL_ERR_AGAIN);
    SAID("\x05\x01\x00\x03\x01r\x01\xbb");
    assert_int_equal(HEAR("\x05\x00\x00\x03\x01x\x00\x00"), TL_OK);
    end();
    begin("socks5h://anne:secret@proxy:1080", "r"); /* it may want no login all the same */
    SAID("\x05\x02\x00\x02");
    assert_int_equal(HEAR("\x05\x00"), TL_ERR_AGAIN);
    SAID("\x05\x01\x00\x03\x01r\x01\xbb");
    end();
}

/* Feeds `greeting` and what follows it one after the other. */
static void socks_fails(const char *url, const void *answer, size_t n, tl_err e, const char *words)
{
    begin(url, "r");
    tl_err got = TL_ERR_AGAIN;
    for (size_t i = 0; got == TL_ERR_AGAIN && i < n; i++)
        got = hear((const char *)answer + i, 1);
    if (got != e || !strstr(why.text, words))
        fail_msg("%d, %s (expected: %s)", got, why.text, words);
    assert_null(strstr(why.text, "secret"));
    end();
}
#define SOCKS_FAILS(url, s, e, words) socks_fails(url, s, sizeof(s) - 1, e, words)

static void each_refusal_and_lie_of_a_socks_proxy_has_its_words(void **state)
{
    (void)state;
    static const char bare[] = "socks5h://proxy:1", login[] = "socks5h://anne:secret@proxy:1";
    SOCKS_FAILS(bare, "\x05\xff", TL_ERR_AUTH, "wants a login");
    SOCKS_FAILS(login, "\x05\xff", TL_ERR_AUTH, "does not speak");
    SOCKS_FAILS(bare, "\x05\x02", TL_ERR_PROTO, "not offered (method 2)");
    SOCKS_FAILS(login, "\x05\x01", TL_ERR_PROTO, "not offered (method 1)");
    SOCKS_FAILS(bare, "HTTP/1.1 400", TL_ERR_PROTO, "speaks HTTP, not SOCKS5");
    SOCKS_FAILS(bare, "SSH-2.0", TL_ERR_PROTO, "does not speak SOCKS5");
    SOCKS_FAILS(login, "\x05\x02\x01\x01", TL_ERR_AUTH, "refused the user or the password");
    SOCKS_FAILS(login, "\x05\x02\x05\x00", TL_ERR_PROTO, "rules of a SOCKS5 login");
    SOCKS_FAILS(bare, "\x05\x00\x05\x02", TL_ERR_FORBIDDEN, "does not allow a connection to r:443");
    SOCKS_FAILS(bare, "\x05\x00\x05\x05", TL_ERR_UNREACHABLE, "r:443: connection refused");
    SOCKS_FAILS(bare, "\x05\x00\x05\x63", TL_ERR_UNREACHABLE, "r:443: unknown reason");
    SOCKS_FAILS(bare, "\x05\x00\x04\x00", TL_ERR_PROTO, "does not speak SOCKS5");
    SOCKS_FAILS(bare, "\x05\x00\x05\x00\x00\x09\x00", TL_ERR_PROTO, "rules of SOCKS5");
    SOCKS_FAILS(bare, "\x05\x00\x05\x00\x07\x01\x00", TL_ERR_PROTO, "rules of SOCKS5");
}

static void what_a_socks_proxy_says_too_much_is_a_lie(void **state)
{
    (void)state;
    begin("socks5h://proxy:1", "r");
    assert_int_equal(HEAR("\x05\x00\x05\x00"), TL_ERR_PROTO); /* an answer before the question */
    assert_non_null(strstr(why.text, "2 bytes of its own"));
    end();
    begin("socks5h://proxy:1", "r");
    assert_int_equal(HEAR("\x05\x00"), TL_ERR_AGAIN);
    assert_int_equal(HEAR("\x05\x00\x00\x01\0\0\0\0\0\0<"), TL_ERR_PROTO);
    assert_non_null(strstr(why.text, "1 bytes of its own"));
    end();
    begin("socks5h://proxy:1", "r");
    assert_int_equal(HEAR("\x05\x00"), TL_ERR_AGAIN);
    assert_int_equal(HEAR("\x05\x00\x00\x01\0\0\0\0\0\0"), TL_OK);
    end();
}

static void a_host_that_is_too_long_is_refused(void **state)
{
    (void)state;
    char host[TL_HOST_MAX + 1];
    memset(host, 'a', sizeof host);
    host[TL_HOST_MAX] = 0;
    assert_int_equal(tl_proxy_parse("socks5h://p:1", &proxy, &why), TL_OK);
    assert_int_equal(tl_proxytalk_start(&talk, &proxy, host, 1, &out), TL_ERR_TOO_LARGE);
    host[TL_HOST_MAX - 1] = 0;
    assert_int_equal(tl_proxytalk_start(&talk, &proxy, host, 1, &out), TL_OK);
    assert_int_equal(HEAR("\x05\x00"), TL_ERR_AGAIN);
    assert_int_equal(out.len, 3 + 5 + 253 + 2);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(connect_names_the_host_and_opens_on_2xx),
        cmocka_unit_test(connect_shows_its_login),
        cmocka_unit_test(each_refusal_of_an_http_proxy_has_its_words),
        cmocka_unit_test(an_http_proxy_that_lies_is_found_out),
        cmocka_unit_test(socks_asks_for_a_name),
        cmocka_unit_test(socks_asks_for_addresses_as_such),
        cmocka_unit_test(socks_logs_in),
        cmocka_unit_test(each_refusal_and_lie_of_a_socks_proxy_has_its_words),
        cmocka_unit_test(what_a_socks_proxy_says_too_much_is_a_lie),
        cmocka_unit_test(a_host_that_is_too_long_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
