#include "io/httpclient.h"

#include "asking.h"
#include "ownnet.h"
#include "scripted.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/un.h>
#include <unistd.h>

/* One GET against a script; the answer is in `g`. */
static void get_once(void (*script)(scripted *, parrot_conn *), const char *text, got *g)
{
    client k;
    scripted s;
    scripted_start(&s, 0, script, text);
    client_init(&k);
    start_url(&k, g, s.url);
    run(&k);
    assert_int_equal(g->dones, 1);
    client_clear(&k);
    scripted_stop(&s);
}

/* --- answers --- */

static void an_answer_is_handed_on_with_its_head(void **state)
{
    (void)state;
    got g = {0};
    get_once(say_arg, OK_HELLO, &g);
    assert_int_equal(g.err, TL_OK);
    assert_int_equal(g.status, 200);
    assert_string_equal(g.type, "text/plain");
    assert_string_equal(body_text(&g), "hello");
    tl_buf_clear(&g.body);
}

static void an_interim_answer_is_not_the_head(void **state)
{
    (void)state;
    got g = {0};
    get_once(say_arg, "HTTP/1.1 102 Processing\r\nX-A: b\r\n\r\n" OK_HELLO, &g);
    assert_int_equal(g.err, TL_OK);
    assert_int_equal(g.heads, 1);
    assert_int_equal(g.status, 200);
    tl_buf_clear(&g.body);
}

static void a_redirect_is_an_answer_like_any_other(void **state)
{
    (void)state;
    got g = {0};
    get_once(say_arg,
             "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
             &g);
    assert_int_equal(g.err, TL_OK);
    assert_int_equal(g.status, 302);
}

static void an_answer_is_complete_only_as_it_was_framed(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        tl_err want;
        const char *body;
    } cases[] = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", TL_OK, "hello"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello", TL_ERR_CLOSED, "hello"},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", TL_OK,
         "hello"},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", TL_ERR_CLOSED,
         "hello"},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", TL_ERR_CLOSED, "hel"},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello", TL_ERR_CLOSED, ""},
        {"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello", TL_OK, "hello"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n", TL_ERR_CLOSED, ""},
        {"", TL_ERR_CLOSED, ""},
        {"squawk\r\n\r\n", TL_ERR_PROTO, ""},
        {"\x16\x03\x01\xff\xfe", TL_ERR_PROTO, ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        got g = {0};
        get_once(say_and_close, cases[i].text, &g);
        if (g.err != cases[i].want)
            fail_msg("case %zu: %s (%s), not %s", i, tl_err_name(g.err), g.why,
                     tl_err_name(cases[i].want));
        assert_string_equal(body_text(&g), cases[i].body);
        assert_true((g.err == TL_OK) == (g.why[0] == 0));
        tl_buf_clear(&g.body);
    }
}

static void a_reset_in_the_middle_is_no_end(void **state)
{
    (void)state;
    got g = {0};
    get_once(say_and_reset, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello", &g);
    assert_int_equal(g.err, TL_ERR_CLOSED);
    tl_buf_clear(&g.body);
}

static void say_big_head(scripted *s, parrot_conn *c)
{
    size_t n = *(const size_t *)s->arg;
    static const char first[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n", last[] = "\r\n";
    char line[1024] = "X: ";
    memset(line + 3, 'x', sizeof line - 5);
    memcpy(line + sizeof line - 2, "\r\n", 2);
    if (!scripted_request(s, c))
        return;
    parrot_send_text(c, first);
    for (n -= sizeof first - 1 + sizeof last - 1; n;) {
        size_t take = n >= 2 * sizeof line ? sizeof line : n > sizeof line ? sizeof line / 2 : n;
        parrot_send(c, line, take - 2);
        parrot_send_text(c, "\r\n");
        n -= take;
    }
    parrot_send_text(c, last);
}

static void a_head_may_be_so_large_and_no_larger(void **state)
{
    (void)state;
    for (int over = 0; over < 2; over++) {
        size_t n = TL_HTTP_HEAD_MAX + (size_t)over;
        got g = {0};
        get_once(say_big_head, (const char *)&n, &g);
        assert_int_equal(g.err, over ? TL_ERR_TOO_LARGE : TL_OK);
        assert_int_equal(g.heads, !over);
    }
}

/* --- no answer --- */

static void nobody_listening_is_unreachable(void **state)
{
    (void)state;
    client k;
    scripted s;
    got g = {0};
    scripted_start(&s, 0, say_arg, OK_HELLO);
    scripted_stop(&s);
    client_init(&k);
    start_url(&k, &g, s.url);
    run(&k);
    assert_int_equal(g.err, TL_ERR_UNREACHABLE);
    assert_non_null(strstr(g.why, "127.0.0.1"));
    client_clear(&k);
}

static void a_name_that_does_not_exist_is_unreachable(void **state)
{
    (void)state;
    client k;
    got g = {0};
    client_init(&k);
    /* A label of 64 letters: refused by the resolver before it asks anybody. */
    start_url(&k, &g,
              "http://aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.invalid/");
    run(&k);
    assert_int_equal(g.err, TL_ERR_UNREACHABLE);
    client_clear(&k);
}

/* Uses this machine's own name, if it means 127.0.0.1: the loop looks it up for libcurl. */
static void a_name_is_looked_up(void **state)
{
    (void)state;
    char name[256] = "", url[300];
    struct addrinfo *found = NULL, want = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM};
    assert_int_equal(gethostname(name, sizeof name - 1), 0);
    bool usable =
        strcmp(name, "localhost") != 0 && getaddrinfo(name, NULL, &want, &found) == 0 &&
        ((struct sockaddr_in *)(void *)found->ai_addr)->sin_addr.s_addr == htonl(INADDR_LOOPBACK);
    if (found)
        freeaddrinfo(found);
    if (!usable)
        skip_because("this machine's name is not 127.0.0.1");
    client k;
    scripted s;
    scripted_start(&s, 0, say_arg, OK_HELLO);
    client_init(&k);
    snprintf(url, sizeof url, "http://%s:%u/", name, s.port);
    for (int i = 0; i < 2; i++) {
        got g = {0};
        start_url(&k, &g, url);
        run(&k);
        if (g.err != TL_OK)
            fail_msg("%s: %s", tl_err_name(g.err), g.why);
        tl_buf_clear(&g.body);
    }
    assert_int_equal(s.connections, 1);
    got gone = {0};
    start_url(&k, &gone, url);
    cancel(&gone);
    got looking = {0};
    start_url(&k, &looking, url);
    run_for(&k, 0);
    client_clear(&k); /* also in the middle of a look-up */
    assert_int_equal(gone.dones, 0);
    tl_buf_clear(&looking.body);
    scripted_stop(&s);
}

static void each_wait_has_its_own_limit(void **state)
{
    (void)state;
    client k;
    scripted s;
    client_init(&k);
    scripted_start(&s, 0, say_and_hold, "");
    tl_http_ask ask = tl_http_ask_default();
    char https[64];
    snprintf(https, sizeof https, "https://127.0.0.1:%u/", s.port);
    got tls = {0}, first = {0}, half = {0}, silent = {0};

    ask.url = https; /* accepted by the kernel, and never a word of TLS */
    ask.connect = 50 * TL_MS;
    start(&k, &tls, &ask);
    ask = tl_http_ask_default();
    ask.url = s.url;
    ask.first_byte = 50 * TL_MS;
    start(&k, &first, &ask);
    run(&k);
    assert_int_equal(tls.err, TL_ERR_UNREACHABLE);
    assert_string_equal(tls.why, "no connection within 0.05 s");
    assert_int_equal(first.err, TL_ERR_TIMEOUT);
    assert_string_equal(first.why, "no answer within 0.05 s");

    s.arg = "HTTP/1.1 200 OK\r\nContent-Le";
    start(&k, &half, &ask);
    run(&k);
    assert_int_equal(half.err, TL_ERR_TIMEOUT);

    s.arg = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello";
    ask.silence = 50 * TL_MS;
    start(&k, &silent, &ask);
    run(&k);
    assert_int_equal(silent.err, TL_ERR_TIMEOUT);
    assert_string_equal(silent.why, "nothing more came within 0.05 s");
    assert_string_equal(body_text(&silent), "hello");
    tl_buf_clear(&silent.body);
    client_clear(&k);
    scripted_stop(&s);
    assert_int_equal(s.gone, 3); /* it hung up each time (the TLS one never was a request) */
}

/* --- requests --- */

/* Answers with the request's own head. */
static void say_head(scripted *s, parrot_conn *c)
{
    (void)s;
    char head[4096], out[4200];
    size_t n = 0;
    while (n < sizeof head - 1 && read(c->fd, head + n, 1) == 1) {
        head[++n] = 0;
        if (n >= 4 && strcmp(head + n - 4, "\r\n\r\n") == 0)
            break;
    }
    snprintf(out, sizeof out, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s", n, head);
    parrot_send_text(c, out);
}

static void a_request_says_what_was_asked_for_and_nothing_else(void **state)
{
    (void)state;
    client k;
    scripted s;
    got g = {0}, d = {0};
    char url[128], want[512];
    scripted_start(&s, 0, say_head, NULL);
    client_init(&k);
    snprintf(url, sizeof url, "%s/v1/chat?x=1", s.url);
    tl_http_ask ask = tl_http_ask_default();
    ask.method = "POST";
    ask.url = url;
    ask.body = TL_SLICE_LIT("body");
    ask.fields[0] = (tl_http_field){"Authorization", "Bearer k"};
    ask.fields[1] = (tl_http_field){"X-Empty", ""};
    start(&k, &g, &ask);
    run(&k);
    snprintf(want, sizeof want,
             "POST /v1/chat?x=1 HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nUser-Agent: teale/%s\r\nAccept: "
             "*/*\r\nAccept-Encoding: identity\r\n"
             "Authorization: Bearer k\r\nX-Empty:\r\nContent-Length: 4\r\n\r\n",
             s.port, TL_VERSION);
    assert_string_equal(body_text(&g), want);

    ask = tl_http_ask_default();
    ask.method = "DELETE";
    ask.url = url;
    ask.fields[0] = (tl_http_field){"Content-Type", "application/json"};
    start(&k, &d, &ask);
    run(&k);
    assert_memory_equal(body_text(&d), "DELETE /v1/chat?x=1 HTTP/1.1\r\n", 30);
    assert_non_null(strstr(body_text(&d), "\r\nContent-Type: application/json\r\n"));
    tl_buf_clear(&g.body);
    tl_buf_clear(&d.body);
    client_clear(&k);
    scripted_stop(&s);
}

static void bad_urls_and_fields_are_refused_at_once(void **state)
{
    (void)state;
    static const struct {
        const char *url, *name, *value;
        tl_err want;
    } cases[] = {
        {"http://127.0.0.1:1/", "X", "y", TL_OK},
        {"https://[::1]:1/v1", "X", "", TL_OK},
        {"", "X", "y", TL_ERR_INVALID},
        {"127.0.0.1", "X", "y", TL_ERR_INVALID},
        {"file:///etc/passwd", "X", "y", TL_ERR_INVALID},
        {"ftp://127.0.0.1/", "X", "y", TL_ERR_INVALID},
        {"http://u@127.0.0.1:1/", "X", "y", TL_ERR_INVALID},
        {"http://u:p@127.0.0.1:1/", "X", "y", TL_ERR_INVALID},
        {"http://127.0.0.1:70000/", "X", "y", TL_ERR_INVALID},
        {"http://127.0.0.1:1/a b", "X", "y", TL_ERR_INVALID},
        {"http://127.0.0.1:1/a\r\nb", "X", "y", TL_ERR_INVALID},
        {"http://127.0.0.1:1/", "X", "y\r\nZ: z", TL_ERR_INVALID},
        {"http://127.0.0.1:1/", "X\n", "y", TL_ERR_INVALID},
        {"http://127.0.0.1:1/", "", "y", TL_ERR_INVALID},
    };
    client k;
    client_init(&k);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        tl_http_ask ask = tl_http_ask_default();
        tl_http_request *r;
        tl_why why = {0};
        got g = {.k = &k};
        ask.url = cases[i].url;
        ask.fields[0] = (tl_http_field){cases[i].name, cases[i].value};
        tl_err e = tl_http_start(k.http, &ask, &got_events, &g, &r, &why);
        if (e != cases[i].want)
            fail_msg("case %zu: %s", i, tl_err_name(e));
        if (e == TL_OK)
            tl_http_cancel(r);
        assert_true((e == TL_OK) == (why.text[0] == 0));
    }
    client_clear(&k);
}

static uint8_t big[16 << 20];

static void compare_body(scripted *s, parrot_conn *c)
{
    parrot_request r;
    while (parrot_read(c, &r) == PARROT_REQUEST) {
        bool same = r.body.len == sizeof big && memcmp(tl_buf_begin(&r.body), big, sizeof big) == 0;
        tl_buf_clear(&r.body);
        s->requests++;
        parrot_answer(c, same ? 200 : 400, "", "text/plain", same ? "same" : "different");
    }
    tl_buf_clear(&r.body);
}

static void sixteen_mebibytes_arrive_as_they_are_and_at_once(void **state)
{
    (void)state;
    client k;
    scripted s;
    uint64_t x = 88172645463325252u;
    for (size_t i = 0; i < sizeof big; i++) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        big[i] = (uint8_t)x;
    }
    scripted_start(&s, 0, compare_body, NULL);
    client_init(&k);
    for (int borrow = 0; borrow < 2; borrow++) {
        got g = {0};
        tl_http_ask ask = tl_http_ask_default();
        ask.method = "POST";
        ask.url = s.url;
        ask.body = tl_slice_of(big, sizeof big);
        ask.borrow_body = borrow;
        tl_time begun = tl_loop_clock(k.loop);
        start(&k, &g, &ask);
        run(&k);
        assert_int_equal(g.status, 200);
        /* libcurl would wait a whole second if it first asked with Expect: 100-continue */
        assert_true(tl_loop_clock(k.loop) - begun < 900 * TL_MS);
        tl_buf_clear(&g.body);
    }
    assert_int_equal(s.connections, 1);
    client_clear(&k);
    scripted_stop(&s);
}

static void a_connection_serves_one_request_after_another(void **state)
{
    (void)state;
    client k;
    scripted s;
    scripted_start(&s, 0, say_arg, OK_HELLO);
    client_init(&k);
    for (int i = 0; i < 20; i++) {
        got g = {0};
        start_url(&k, &g, s.url);
        run(&k);
        assert_int_equal(g.err, TL_OK);
        tl_buf_clear(&g.body);
    }
    assert_int_equal(s.requests, 20);
    assert_int_equal(s.connections, 1);
    client_clear(&k);
    scripted_stop(&s);
}

typedef struct {
    size_t n;
    char bytes[256];
} packed;

static void say_packed(scripted *s, parrot_conn *c)
{
    const packed *p = s->arg;
    if (scripted_request(s, c))
        (void)parrot_send(c, p->bytes, p->n);
}

static void a_body_in_a_coding_that_nobody_asked_for_is_read(void **state)
{
    (void)state;
    static const uint8_t gzip[] = {0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02,
                                   0x03, 0xcb, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x86,
                                   0xa6, 0x10, 0x36, 0x05, 0x00, 0x00, 0x00};
    static packed p;
    int n = snprintf(p.bytes, sizeof p.bytes,
                     "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %zu\r\n\r\n",
                     sizeof gzip);
    for (int whole = 1; whole >= 0; whole--) {
        client k;
        scripted s;
        got g = {0};
        tl_http_ask ask = tl_http_ask_default();
        memcpy(p.bytes + n, gzip, sizeof gzip);
        p.bytes[n + 12] ^= whole ? 0 : 0x55; /* its twin: what cannot be read is no answer */
        p.n = (size_t)n + sizeof gzip;
        scripted_start(&s, 0, say_packed, &p);
        client_init(&k);
        ask.url = s.url;
        start(&k, &g, &ask);
        run(&k);
        assert_int_equal(g.err == TL_OK, whole);
        if (whole)
            assert_string_equal(body_text(&g), "hello");
        tl_buf_clear(&g.body);
        client_clear(&k);
        scripted_stop(&s);
    }
}

static void a_connection_closed_while_idle_costs_no_request(void **state)
{
    (void)state;
    client k;
    scripted s;
    scripted_start(&s, 0, say_and_close, OK_HELLO);
    client_init(&k);
    for (int i = 0; i < 6; i++) {
        got g = {0};
        tl_http_ask ask = tl_http_ask_default();
        ask.url = s.url;
        if (i % 2) {
            ask.method = "POST";
            ask.body = tl_slice_of(big, 2 << 20);
        }
        start(&k, &g, &ask);
        run(&k);
        if (g.err != TL_OK)
            fail_msg("%d: %s", i, g.why);
        tl_buf_clear(&g.body);
    }
    assert_int_equal(s.requests, 6);
    client_clear(&k);
    scripted_stop(&s);
}

static void *serve_unix(void *arg)
{
    int fd = accept4(*(int *)arg, NULL, NULL, SOCK_CLOEXEC);
    parrot_conn c = {.fd = fd};
    parrot_request r;
    if (parrot_read(&c, &r) == PARROT_REQUEST)
        parrot_answer(&c, 200, "", "text/plain", r.path);
    tl_buf_clear(&r.body);
    tl_buf_clear(&c.in);
    close(fd);
    return NULL;
}

static void a_unix_socket_is_asked_like_a_host(void **state)
{
    (void)state;
    client k;
    got g = {0}, none = {0};
    pthread_t thread;
    char dir[] = "/tmp/teale-test-XXXXXX";
    struct sockaddr_un sun = {.sun_family = AF_UNIX};
    assert_non_null(mkdtemp(dir));
    snprintf(sun.sun_path, sizeof sun.sun_path, "%s/sock", dir);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&sun, sizeof sun), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(pthread_create(&thread, NULL, serve_unix, &fd), 0);

    client_init(&k);
    tl_http_ask ask = tl_http_ask_default();
    ask.url = "http://teale/v1/status";
    ask.unix_path = sun.sun_path;
    start(&k, &g, &ask);
    run(&k);
    assert_int_equal(g.err, TL_OK);
    assert_string_equal(body_text(&g), "/v1/status");
    pthread_join(thread, NULL);
    close(fd);
    unlink(sun.sun_path);
    rmdir(dir);

    start(&k, &none, &ask); /* nobody answers there, and the name in the URL is not tried instead */
    run(&k);
    assert_int_equal(none.err, TL_ERR_UNREACHABLE);
    tl_buf_clear(&g.body);
    client_clear(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_is_handed_on_with_its_head),
        cmocka_unit_test(an_interim_answer_is_not_the_head),
        cmocka_unit_test(a_redirect_is_an_answer_like_any_other),
        cmocka_unit_test(an_answer_is_complete_only_as_it_was_framed),
        cmocka_unit_test(a_reset_in_the_middle_is_no_end),
        cmocka_unit_test(a_head_may_be_so_large_and_no_larger),
        cmocka_unit_test(nobody_listening_is_unreachable),
        cmocka_unit_test(a_name_that_does_not_exist_is_unreachable),
        cmocka_unit_test(a_name_is_looked_up),
        cmocka_unit_test(each_wait_has_its_own_limit),
        cmocka_unit_test(a_request_says_what_was_asked_for_and_nothing_else),
        cmocka_unit_test(bad_urls_and_fields_are_refused_at_once),
        cmocka_unit_test(sixteen_mebibytes_arrive_as_they_are_and_at_once),
        cmocka_unit_test(a_connection_serves_one_request_after_another),
        cmocka_unit_test(a_body_in_a_coding_that_nobody_asked_for_is_read),
        cmocka_unit_test(a_connection_closed_while_idle_costs_no_request),
        cmocka_unit_test(a_unix_socket_is_asked_like_a_host),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
