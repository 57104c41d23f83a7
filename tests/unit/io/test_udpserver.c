#include "io/udpserver.h"
#include "ownnet.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static tl_addr addr(const char *text)
{
    tl_addr a;
    assert_int_equal(tl_addr_parse(tl_slice_str(text), &a), TL_OK);
    return a;
}

static tl_udpserver *open_at(const char *local)
{
    tl_udpserver *u;
    tl_why why;
    tl_addr a = addr(local);
    tl_err e = tl_udpserver_open(&a, &u, &why);
    if (e)
        fail_msg("%s: %s", local, why.text);
    return u;
}

/* A plain socket at `ip`, connected to nothing. */
static int client_at(const char *ip, tl_addr *ret_addr)
{
    struct sockaddr_storage ss;
    tl_addr a = {.family = TL_ADDR_NONE};
    assert_int_equal(tl_addr_parse_ip(tl_slice_str(ip), &a), TL_OK);
    socklen_t n = tl_addr_to_sockaddr(&a, &ss);
    int fd = socket(ss.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&ss, n), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&ss, &n), 0);
    *ret_addr = tl_addr_from_sockaddr((struct sockaddr *)&ss);
    return fd;
}

static void send_to(int fd, const tl_udpserver *u, const char *ip, const void *bytes, size_t n)
{
    struct sockaddr_storage ss;
    tl_addr a = {.family = TL_ADDR_NONE};
    assert_int_equal(tl_addr_parse_ip(tl_slice_str(ip), &a), TL_OK);
    a.port = tl_udpserver_local(u).port;
    socklen_t len = tl_addr_to_sockaddr(&a, &ss);
    assert_int_equal(sendto(fd, bytes, n, 0, (struct sockaddr *)&ss, len), n);
}

static void await(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&p, 1, 5000), 1);
}

static void a_batch_is_read_with_its_senders(void **state)
{
    (void)state;
    tl_udpserver *u = open_at("127.0.0.1:0");
    tl_addr from, local = tl_udpserver_local(u);
    int fd = client_at("127.0.0.1", &from);
    static uint8_t bytes[TL_UDPSERVER_DATAGRAM_MAX + 1];
    tl_udpserver_datagram got[TL_UDPSERVER_BATCH];
    size_t n;
    assert_int_equal(tl_udpserver_receive(u, got, &n), TL_ERR_AGAIN);
    send_to(fd, u, "127.0.0.1", "one", 3);
    send_to(fd, u, "127.0.0.1", "", 0);
    send_to(fd, u, "127.0.0.1", bytes, TL_UDPSERVER_DATAGRAM_MAX);
    send_to(fd, u, "127.0.0.1", bytes, TL_UDPSERVER_DATAGRAM_MAX + 1);
    await(tl_udpserver_fd(u));
    assert_int_equal(tl_udpserver_receive(u, got, &n), TL_OK);
    assert_int_equal(n, 4);
    for (size_t i = 0; i < n; i++) {
        assert_true(tl_addr_eq(&got[i].from, &from));
        assert_true(tl_addr_eq(&got[i].to, &local));
    }
    assert_true(tl_slice_eq(got[0].bytes, TL_SLICE_LIT("one")));
    assert_int_equal(got[1].bytes.n, 0);
    assert_int_equal(got[2].bytes.n, TL_UDPSERVER_DATAGRAM_MAX);
    assert_int_equal(got[3].bytes.n, 0); /* too long */
    assert_int_equal(tl_udpserver_receive(u, got, &n), TL_ERR_AGAIN);
    close(fd);
    tl_udpserver_close(u);
}

static void more_than_a_batch_waits_for_the_next_call(void **state)
{
    (void)state;
    tl_udpserver *u = open_at("127.0.0.1:0");
    tl_addr from;
    int fd = client_at("127.0.0.1", &from);
    tl_udpserver_datagram got[TL_UDPSERVER_BATCH];
    size_t n;
    for (uint8_t i = 0; i < TL_UDPSERVER_BATCH + 1; i++)
        send_to(fd, u, "127.0.0.1", &i, 1);
    await(tl_udpserver_fd(u));
    assert_int_equal(tl_udpserver_receive(u, got, &n), TL_OK);
    assert_int_equal(n, TL_UDPSERVER_BATCH);
    assert_int_equal(got[n - 1].bytes.p[0], TL_UDPSERVER_BATCH - 1);
    assert_int_equal(tl_udpserver_receive(u, got, &n), TL_OK);
    assert_int_equal(n, 1);
    assert_int_equal(got[0].bytes.p[0], TL_UDPSERVER_BATCH);
    close(fd);
    tl_udpserver_close(u);
}

/* Asks at `ip` and expects the answer from there. */
static void assert_answers_from(tl_udpserver *u, const char *client, const char *ip)
{
    tl_addr from, expected = {.family = TL_ADDR_NONE};
    int fd = client_at(client, &from);
    tl_udpserver_datagram got[TL_UDPSERVER_BATCH];
    size_t n;
    send_to(fd, u, ip, "?", 1);
    await(tl_udpserver_fd(u));
    assert_int_equal(tl_udpserver_receive(u, got, &n), TL_OK);
    assert_int_equal(tl_addr_parse_ip(tl_slice_str(ip), &expected), TL_OK);
    expected.port = tl_udpserver_local(u).port;
    assert_true(tl_addr_eq(&got[0].to, &expected));
    assert_int_equal(tl_udpserver_send(u, &got[0].to, &got[0].from, TL_SLICE_LIT("!")), TL_OK);

    struct sockaddr_storage ss;
    socklen_t len = sizeof ss;
    char byte;
    await(fd);
    assert_int_equal(recvfrom(fd, &byte, 1, 0, (struct sockaddr *)&ss, &len), 1);
    tl_addr source = tl_addr_from_sockaddr((struct sockaddr *)&ss);
    assert_true(tl_addr_eq(&source, &expected));
    close(fd);
}

static void a_wildcard_answers_from_the_address_that_was_asked(void **state)
{
    (void)state;
    tl_udpserver *u = open_at("0.0.0.0:0");
    assert_answers_from(u, "127.0.0.1", "127.0.0.1");
    assert_answers_from(u, "127.0.0.1", "127.0.0.9");
    tl_udpserver_close(u);
}

static void an_ipv6_wildcard_does_so_too_and_leaves_ipv4_alone(void **state)
{
    (void)state;
    tl_udpserver *u, *four;
    tl_why why;
    tl_addr a = addr("[::]:0"), b = addr("0.0.0.0:0");
    int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in6 one = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    bool has_ipv6 = fd >= 0 && bind(fd, (struct sockaddr *)&one, sizeof one) == 0;
    if (fd >= 0)
        close(fd);
    if (!has_ipv6)
        skip_because("no IPv6 here");
    assert_int_equal(tl_udpserver_open(&a, &u, &why), TL_OK);
    assert_answers_from(u, "::1", "::1");
    b.port = tl_udpserver_local(u).port;
    assert_int_equal(tl_udpserver_open(&b, &four, &why), TL_OK);
    tl_udpserver_close(four);
    tl_udpserver_close(u);
}

static void a_broadcast_address_is_not_sent_to(void **state)
{
    (void)state;
    tl_udpserver *u = open_at("127.0.0.1:0");
    tl_addr source = tl_udpserver_local(u), to = addr("127.255.255.255:9");
    assert_int_equal(tl_udpserver_send(u, &source, &to, TL_SLICE_LIT("!")), TL_ERR_UNREACHABLE);
    tl_udpserver_close(u);
}

static void what_was_sent_to_a_broadcast_address_has_no_destination(void **state)
{
    (void)state;
    tl_udpserver *u = open_at("0.0.0.0:0");
    tl_addr from;
    int fd = client_at("127.0.0.1", &from), on = 1;
    tl_udpserver_datagram got[TL_UDPSERVER_BATCH];
    size_t n;
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &on, sizeof on), 0);
    send_to(fd, u, "127.255.255.255", "?", 1);
    await(tl_udpserver_fd(u));
    assert_int_equal(tl_udpserver_receive(u, got, &n), TL_OK);
    assert_int_equal(got[0].to.family, TL_ADDR_NONE);
    close(fd);
    tl_udpserver_close(u);
}

static void a_port_in_use_and_a_foreign_address_are_named(void **state)
{
    (void)state;
    tl_udpserver *u = open_at("127.0.0.1:0"), *other;
    tl_addr a = tl_udpserver_local(u), foreign = addr("192.0.2.1:9");
    tl_why why;
    assert_int_equal(tl_udpserver_open(&a, &other, &why), TL_ERR_EXISTS);
    assert_non_null(strstr(why.text, "another program uses that port"));
    assert_int_equal(tl_udpserver_open(&foreign, &other, &why), TL_ERR_IO);
    assert_non_null(strstr(why.text, "192.0.2.1:9: this machine does not have that address"));
    tl_udpserver_close(u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_batch_is_read_with_its_senders),
        cmocka_unit_test(more_than_a_batch_waits_for_the_next_call),
        cmocka_unit_test(a_wildcard_answers_from_the_address_that_was_asked),
        cmocka_unit_test(an_ipv6_wildcard_does_so_too_and_leaves_ipv4_alone),
        cmocka_unit_test(a_broadcast_address_is_not_sent_to),
        cmocka_unit_test(what_was_sent_to_a_broadcast_address_has_no_destination),
        cmocka_unit_test(a_port_in_use_and_a_foreign_address_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
