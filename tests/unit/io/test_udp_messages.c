#include "io/udp.h"
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

static tl_udp *open_at(const char *local)
{
    tl_udp *u;
    tl_why why;
    tl_addr a = addr(local);
    tl_err e = tl_udp_open(&a, 1 << 20, &u, &why);
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

static void send_to(int fd, const tl_udp *u, const char *ip, const void *bytes, size_t n)
{
    struct sockaddr_storage ss;
    tl_addr a = {.family = TL_ADDR_NONE};
    assert_int_equal(tl_addr_parse_ip(tl_slice_str(ip), &a), TL_OK);
    a.port = tl_udp_local(u).port;
    socklen_t len = tl_addr_to_sockaddr(&a, &ss);
    assert_int_equal(sendto(fd, bytes, n, 0, (struct sockaddr *)&ss, len), n);
}

static void await(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&p, 1, 5000), 1);
}

/* A burst for each of two places, one of them with a shorter end. */
static void messages_for_several_places_leave_together(void **state)
{
    (void)state;
    tl_udp *u = open_at("127.0.0.1:0");
    tl_addr at[2];
    int fd[2] = {client_at("127.0.0.1", &at[0]), client_at("127.0.0.2", &at[1])};
    char bytes[] = "aaaabbbbccdddd";
    struct iovec first[] = {{bytes, 4}, {bytes + 4, 4}, {bytes + 8, 2}},
                 second[] = {{bytes + 10, 4}};
    tl_udp_message messages[] = {
        {.to = &at[0], .pieces = first, .count = 3, .segment = 4},
        {.to = &at[1], .pieces = second, .count = 1, .segment = 4},
        {.to = &at[0], .pieces = second, .count = 1, .segment = 4},
    };
    static const struct {
        int to;
        const char *text;
    } expected[] = {{0, "aaaa"}, {0, "bbbb"}, {0, "cc"}, {0, "dddd"}, {1, "dddd"}};
    tl_udp_send_messages(u, messages, 3);
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        char got[16];
        await(fd[expected[i].to]);
        ssize_t n = recv(fd[expected[i].to], got, sizeof got, 0);
        assert_int_equal(n, strlen(expected[i].text));
        assert_memory_equal(got, expected[i].text, (size_t)n);
    }
    close(fd[0]);
    close(fd[1]);
    tl_udp_close(u);
}

static void a_message_that_cannot_go_costs_the_others_nothing(void **state)
{
    (void)state;
    tl_udp *u = open_at("127.0.0.1:0");
    tl_addr at, broadcast = addr("127.255.255.255:9");
    int fd = client_at("127.0.0.1", &at);
    static char bytes[65508];
    char got[16];
    struct iovec one[] = {{bytes, 4}}, two[] = {{bytes, 4}, {bytes, 4}},
                 long_one[] = {{bytes, 65508}};
    tl_udp_message messages[] = {
        {.to = &broadcast, .pieces = two, .count = 2, .segment = 4},
        {.to = &at, .pieces = long_one, .count = 1, .segment = 65508},
        {.to = &at, .pieces = one, .count = 1, .segment = 4},
    };
    tl_udp_send_messages(u, messages, 3);
    await(fd);
    assert_int_equal(recv(fd, got, sizeof got, 0), 4);
    close(fd);
    tl_udp_close(u);
}

/* Asks at `ip` and expects the answer from there. */
static void assert_answers_from(tl_udp *u, const char *client, const char *ip)
{
    tl_addr from, expected = {.family = TL_ADDR_NONE};
    int fd = client_at(client, &from);
    tl_udp_train got[TL_UDP_TRAINS_MAX];
    size_t n;
    send_to(fd, u, ip, "?", 1);
    await(tl_udp_fd(u));
    assert_int_equal(tl_udp_receive(u, got, &n), TL_OK);
    assert_int_equal(tl_addr_parse_ip(tl_slice_str(ip), &expected), TL_OK);
    expected.port = tl_udp_local(u).port;
    assert_true(tl_addr_eq(&got[0].to, &expected));
    assert_int_equal(tl_udp_send_from(u, &got[0].to, &got[0].from, (const uint8_t *)"!", 1, 1),
                     TL_OK);

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
    tl_udp *u = open_at("0.0.0.0:0");
    assert_answers_from(u, "127.0.0.1", "127.0.0.1");
    assert_answers_from(u, "127.0.0.1", "127.0.0.9");
    tl_udp_close(u);
}

static void an_ipv6_wildcard_does_so_too_and_leaves_ipv4_alone(void **state)
{
    (void)state;
    tl_udp *u, *four;
    tl_why why;
    tl_addr a = addr("[::]:0"), b = addr("0.0.0.0:0");
    int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in6 one = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    bool has_ipv6 = fd >= 0 && bind(fd, (struct sockaddr *)&one, sizeof one) == 0;
    if (fd >= 0)
        close(fd);
    if (!has_ipv6)
        skip_because("no IPv6 here");
    assert_int_equal(tl_udp_open(&a, 1 << 20, &u, &why), TL_OK);
    assert_answers_from(u, "::1", "::1");
    b.port = tl_udp_local(u).port;
    assert_int_equal(tl_udp_open(&b, 1 << 20, &four, &why), TL_OK);
    tl_udp_close(four);
    tl_udp_close(u);
}

static void a_broadcast_address_is_not_sent_to(void **state)
{
    (void)state;
    tl_udp *u = open_at("127.0.0.1:0");
    tl_addr source = tl_udp_local(u), to = addr("127.255.255.255:9");
    assert_int_equal(tl_udp_send_from(u, &source, &to, (const uint8_t *)"!", 1, 1),
                     TL_ERR_UNREACHABLE);
    tl_udp_close(u);
}

static void what_was_sent_to_a_broadcast_address_has_no_destination(void **state)
{
    (void)state;
    tl_udp *u = open_at("0.0.0.0:0");
    tl_addr from;
    int fd = client_at("127.0.0.1", &from), on = 1;
    tl_udp_train got[TL_UDP_TRAINS_MAX];
    size_t n;
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &on, sizeof on), 0);
    send_to(fd, u, "127.255.255.255", "?", 1);
    await(tl_udp_fd(u));
    assert_int_equal(tl_udp_receive(u, got, &n), TL_OK);
    assert_int_equal(got[0].to.family, TL_ADDR_NONE);
    close(fd);
    tl_udp_close(u);
}

static void a_port_in_use_and_a_foreign_address_are_named(void **state)
{
    (void)state;
    tl_udp *u = open_at("127.0.0.1:0"), *other;
    tl_addr a = tl_udp_local(u), foreign = addr("192.0.2.1:9");
    tl_why why;
    assert_int_equal(tl_udp_open(&a, 1 << 20, &other, &why), TL_ERR_EXISTS);
    assert_non_null(strstr(why.text, "another program uses that port"));
    assert_int_equal(tl_udp_open(&foreign, 1 << 20, &other, &why), TL_ERR_IO);
    assert_non_null(strstr(why.text, "192.0.2.1:9: this machine does not have that address"));
    tl_udp_close(u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_for_several_places_leave_together),
        cmocka_unit_test(a_message_that_cannot_go_costs_the_others_nothing),
        cmocka_unit_test(a_wildcard_answers_from_the_address_that_was_asked),
        cmocka_unit_test(an_ipv6_wildcard_does_so_too_and_leaves_ipv4_alone),
        cmocka_unit_test(a_broadcast_address_is_not_sent_to),
        cmocka_unit_test(what_was_sent_to_a_broadcast_address_has_no_destination),
        cmocka_unit_test(a_port_in_use_and_a_foreign_address_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
