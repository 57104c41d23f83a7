#include "io/stream.h"
#include "io/tunnel.h"

#include <netdb.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

/* A proxy with a script: when so many bytes of a step have come, it sends that step's answer. */
typedef struct {
    size_t wait;
    const char *answer;
    size_t n;
    bool close;
} step;

static tl_loop *loop;
static tl_listener *listener;
static tl_timer guard;
static tl_tunnel *tunnel;
static tl_stream *stream;
static const step *script;
static tl_poll *proxy_poll;
static int proxy_fd, result_fd;
static size_t got;
static unsigned connections;
static char asked[1024]; /* all that the proxy heard on its last connection */
static size_t asked_n;
static tl_err result;
static char reason[512];

static void timed_out(void *user)
{
    (void)user;
    fail_msg("nothing happened for 5 s");
}

static void proxy_hangs_up(void)
{
    tl_poll_free(proxy_poll);
    proxy_poll = NULL;
    if (proxy_fd >= 0)
        close(proxy_fd);
    proxy_fd = -1;
}

static void proxy_readable(void *user, int events)
{
    (void)user, (void)events;
    ssize_t n = recv(proxy_fd, asked + asked_n, sizeof asked - asked_n, 0);
    if (n <= 0) {
        proxy_hangs_up();
        return;
    }
    asked_n += (size_t)n;
    got += (size_t)n;
    while (script->wait && got >= script->wait) {
        got -= script->wait;
        if (script->n)
            assert_int_equal(send(proxy_fd, script->answer, script->n, 0), script->n);
        if ((script++)->close) {
            proxy_hangs_up();
            return;
        }
    }
}

static void on_accept(void *user, int fd, const tl_addr *remote)
{
    (void)user, (void)remote;
    proxy_hangs_up();
    connections++;
    got = asked_n = 0;
    proxy_fd = fd;
    assert_int_equal(tl_poll_new(loop, fd, proxy_readable, NULL, &proxy_poll), TL_OK);
    tl_poll_set(proxy_poll, TL_POLL_READ);
}

static int setup(void **state)
{
    (void)state;
    tl_addr any;
    tl_why why;
    proxy_fd = result_fd = -1;
    connections = 0;
    reason[0] = 0;
    if (tl_loop_new(&loop) || tl_addr_parse_ip(TL_SLICE_LIT("127.0.0.1"), &any) ||
        tl_listen(loop, &any, 4, on_accept, NULL, &listener, &why))
        return -1;
    tl_timer_init(&guard, loop, timed_out, NULL);
    tl_timer_set(&guard, tl_loop_now(loop) + 5 * TL_SEC);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    proxy_hangs_up();
    if (result_fd >= 0)
        close(result_fd);
    tl_listener_free(listener);
    tl_timer_stop(&guard);
    tl_loop_free(loop);
    return 0;
}

static void on_done(void *user, int fd, tl_err e, const char *why)
{
    (void)user;
    result_fd = fd;
    result = e;
    snprintf(reason, sizeof reason, "%s", why ? why : "");
    tl_tunnel_free(tunnel);
    tunnel = NULL;
    tl_loop_stop(loop);
}

static tl_proxy proxy_of(const char *scheme_and_login)
{
    char url[128];
    tl_proxy p;
    tl_why why;
    snprintf(url, sizeof url, "%s127.0.0.1:%u", scheme_and_login, tl_listener_addr(listener).port);
    assert_int_equal(tl_proxy_parse(url, &p, &why), TL_OK);
    return p;
}

static void run(const char *scheme_and_login, const char *host, const step *steps)
{
    tl_proxy p = proxy_of(scheme_and_login);
    script = steps;
    assert_int_equal(tl_tunnel_start(loop, &p, host, 443, on_done, NULL, &tunnel), TL_OK);
    memset(&p, 0, sizeof p); /* it was copied */
    tl_loop_run(loop);
    assert_null(tunnel);
}

#define SEND(wait_n, s)                                                                            \
    {                                                                                              \
        .wait = (wait_n), .answer = (s), .n = sizeof(s) - 1                                        \
    }

static void a_tunnel_hands_over_what_leads_to_the_host(void **state)
{
    (void)state;
    static const step steps[] = {SEND(57, "HTTP/1.1 200 OK\r\n\r\n"), SEND(5, "world"), {0}};
    char heard[6] = "";
    run("http://", "relay.test", steps);
    assert_int_equal(result, TL_OK);
    assert_int_equal(connections, 1);
    asked[asked_n] = 0;
    assert_string_equal(asked, "CONNECT relay.test:443 HTTP/1.1\r\nHost: relay.test:443\r\n\r\n");
    assert_int_equal(send(result_fd, "hello", 5, 0), 5);
    tl_timer_set(&guard, tl_loop_now(loop) + 5 * TL_SEC);
    while (recv(result_fd, heard, 5, MSG_PEEK) != 5)
        proxy_readable(NULL, 0);
    assert_int_equal(recv(result_fd, heard, 5, 0), 5);
    assert_string_equal(heard, "world");
}

/* What the names of this test are: the first address of "two.test" is one that the proxy does not
 * reach. */
static void socks5_tries_the_next_address_of_the_name(void **state)
{
    (void)state;
    static const step steps[] = {SEND(3, "\x05\x00"),
                                 SEND(10, "\x05\x04\x00\x01\0\0\0\0\0\0"),
                                 SEND(3, "\x05\x00"),
                                 SEND(10, "\x05\x00\x00\x01\0\0\0\0\0\0"),
                                 {0}};
    run("socks5://", "two.test", steps);
    assert_int_equal(result, TL_OK);
    assert_int_equal(connections, 2);
    assert_memory_equal(asked, "\x05\x01\x00\x05\x01\x00\x01\xc0\x00\x02\x02\x01\xbb", 13);
}

static void socks5_says_why_the_last_address_failed(void **state)
{
    (void)state;
    static const step steps[] = {SEND(3, "\x05\x00"),
                                 SEND(10, "\x05\x04\x00\x01\0\0\0\0\0\0"),
                                 SEND(3, "\x05\x00"),
                                 SEND(10, "\x05\x05\x00\x01\0\0\0\0\0\0"),
                                 {0}};
    run("socks5://", "two.test", steps);
    assert_int_equal(result, TL_ERR_UNREACHABLE);
    assert_int_equal(connections, 2);
    assert_non_null(strstr(reason, "192.0.2.2:443: connection refused"));
}

/* Names have their addresses from here; see the link arguments. */
int __real_getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                       struct addrinfo **ret);
int __wrap_getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                       struct addrinfo **ret);
int __wrap_getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                       struct addrinfo **ret)
{
    struct addrinfo *second;
    struct addrinfo plain = *hints;
    plain.ai_flags = AI_NUMERICHOST;
    if (strcmp(host, "two.test") != 0)
        return __real_getaddrinfo(host, service, hints, ret);
    if (__real_getaddrinfo("192.0.2.1", service, &plain, ret) ||
        __real_getaddrinfo("192.0.2.2", service, &plain, &second))
        return EAI_FAIL;
    (*ret)->ai_next = second;
    return 0;
}

static void socks5h_leaves_the_name_to_the_proxy(void **state)
{
    (void)state;
    static const step steps[] = {
        SEND(4, "\x05\x02"), SEND(8, "\x01\x00"), SEND(17, "\x05\x00\x00\x01\0\0\0\0\0\0"), {0}};
    run("socks5h://ann:pw@", "relay.test", steps);
    assert_int_equal(result, TL_OK);
    assert_memory_equal(asked + 4,
                        "\x01\x03"
                        "ann\x02"
                        "pw\x05\x01\x00\x03\x0arelay.test\x01\xbb",
                        25);
}

static void a_proxy_that_hangs_up_is_named(void **state)
{
    (void)state;
    static const step steps[] = {{.wait = 1, .answer = "", .n = 0, .close = true}, {0}};
    char shown[TL_PROXY_SHOWN_MAX];
    tl_proxy p = proxy_of("http://");
    tl_proxy_show(shown, &p);
    run("http://ann:secret@", "relay.test", steps);
    assert_int_equal(result, TL_ERR_CLOSED);
    assert_int_equal(result_fd, -1);
    assert_non_null(strstr(reason, shown));
    assert_non_null(strstr(reason, "closed the connection without an answer"));
    assert_null(strstr(reason, "secret"));
}

static void a_proxy_that_is_not_there_is_named(void **state)
{
    (void)state;
    tl_proxy p = proxy_of("http://ann:secret@");
    tl_listener_free(listener);
    listener = NULL;
    assert_int_equal(tl_tunnel_start(loop, &p, "relay.test", 443, on_done, NULL, &tunnel), TL_OK);
    tl_loop_run(loop);
    assert_int_equal(result, TL_ERR_UNREACHABLE);
    assert_non_null(strstr(reason, "the proxy http://127.0.0.1:"));
    assert_non_null(strstr(reason, "Connection refused"));
}

static void a_tunnel_may_be_given_up_at_any_time(void **state)
{
    (void)state;
    static const step silent[] = {{0}};
    tl_proxy p = proxy_of("http://");
    tl_why why;
    script = silent;
    assert_int_equal(tl_tunnel_start(loop, &p, "relay.test", 443, on_done, NULL, &tunnel), TL_OK);
    tl_tunnel_late(tunnel, 10, &why);
    assert_non_null(strstr(why.text, "did not answer within 10 s"));
    tl_tunnel_free(tunnel);
    tunnel = NULL;
    assert_int_equal(tl_tunnel_start(loop, &p, "relay.test", 443, on_done, NULL, &tunnel), TL_OK);
    tl_timer stop;
    tl_timer_init(&stop, loop, (void (*)(void *))tl_loop_stop, loop);
    tl_timer_set(&stop, tl_loop_now(loop) + 50 * TL_MS);
    tl_loop_run(loop);
    assert_int_equal(connections, 1);
    tl_tunnel_late(tunnel, 10, &why);
    assert_non_null(strstr(why.text, "did not connect to relay.test:443 within 10 s"));
    tl_tunnel_free(tunnel);
    tunnel = NULL;
    tl_timer_stop(&stop);
}

/* --- under a stream --- */

static void on_stream_error(void *user, tl_err e, const char *why)
{
    (void)user;
    result = e;
    snprintf(reason, sizeof reason, "%s", why);
    tl_stream_free(stream);
    stream = NULL;
    tl_loop_stop(loop);
}

static void an_error_of_tls_names_the_proxy_before_it(void **state)
{
    (void)state;
    static const step steps[] = {
        SEND(57, "HTTP/1.1 200 OK\r\n\r\n"), SEND(1, "HTTP/1.1 400 Bad Request\r\n\r\n"), {0}};
    static const tl_stream_events events = {.on_error = on_stream_error};
    tl_proxy p = proxy_of("http://");
    tl_tls *tls;
    tl_why why;
    script = steps;
    assert_int_equal(tl_tls_client(NULL, &tls, &why), TL_OK);
    assert_int_equal(tl_stream_connect_by(loop, &p, "relay.test", 443, tls, &events, NULL, &stream),
                     TL_OK);
    tl_loop_run(loop);
    tl_tls_unref(tls);
    assert_int_equal(result, TL_ERR_PROTO);
    assert_non_null(strstr(reason, "relay.test does not speak TLS"));
    assert_non_null(strstr(reason, "(through the proxy http://127.0.0.1:"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_tunnel_hands_over_what_leads_to_the_host, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(socks5_tries_the_next_address_of_the_name, setup, teardown),
        cmocka_unit_test_setup_teardown(socks5_says_why_the_last_address_failed, setup, teardown),
        cmocka_unit_test_setup_teardown(socks5h_leaves_the_name_to_the_proxy, setup, teardown),
        cmocka_unit_test_setup_teardown(a_proxy_that_hangs_up_is_named, setup, teardown),
        cmocka_unit_test_setup_teardown(a_proxy_that_is_not_there_is_named, setup, teardown),
        cmocka_unit_test_setup_teardown(a_tunnel_may_be_given_up_at_any_time, setup, teardown),
        cmocka_unit_test_setup_teardown(an_error_of_tls_names_the_proxy_before_it, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
