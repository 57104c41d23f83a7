#include "io/udp.h"
#include "ownnet.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/if.h>

#include <cmocka.h>

#define BUFFER  (256 * 1024)
#define SEGMENT 1200
#define COUNT   40

/* --- what the kernel is made to say (linked with --wrap) --- */

static int calls_allowed = -1; /* then `refusal`; -1: never */
static int refusal;
static unsigned calls;
static unsigned per_call; /* messages one sendmmsg takes; 0: all */

ssize_t __real_sendmsg(int fd, const struct msghdr *msg, int flags);
int __real_sendmmsg(int fd, struct mmsghdr *msgs, unsigned n, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *msg, int flags);
int __wrap_sendmmsg(int fd, struct mmsghdr *msgs, unsigned n, int flags);

static bool refused(void)
{
    calls++;
    if (calls_allowed < 0)
        return false;
    if (calls_allowed-- > 0)
        return false;
    calls_allowed = 0;
    errno = refusal;
    return true;
}

ssize_t __wrap_sendmsg(int fd, const struct msghdr *msg, int flags)
{
    return refused() ? -1 : __real_sendmsg(fd, msg, flags);
}

int __wrap_sendmmsg(int fd, struct mmsghdr *msgs, unsigned n, int flags)
{
    return refused() ? -1
                     : __real_sendmmsg(fd, msgs, per_call && per_call < n ? per_call : n, flags);
}

static void refuse_after(int allowed, int error)
{
    calls_allowed = allowed;
    refusal = error;
    calls = 0;
}

static int kernel_is_honest(void **state)
{
    (void)state;
    refuse_after(-1, 0);
    per_call = 0;
    return 0;
}

/* --- helpers --- */

static tl_addr loopback(tl_addr_family family)
{
    tl_addr a = {.family = family};
    if (family == TL_ADDR_V4) {
        a.bytes[0] = 127;
        a.bytes[3] = 1;
    } else {
        a.bytes[15] = 1;
    }
    return a;
}

static tl_udp *open_on(tl_addr_family family)
{
    tl_addr local = loopback(family);
    tl_udp *u;
    tl_why why;
    if (tl_udp_open(&local, BUFFER, &u, &why))
        fail_msg("%s", why.text);
    return u;
}

static bool wait_for(const tl_udp *u)
{
    struct pollfd p = {tl_udp_fd(u), POLLIN, 0};
    return poll(&p, 1, 5000) == 1;
}

static uint8_t pattern(size_t at)
{
    return (uint8_t)(at * 131 + (at >> 9));
}

static void fill(uint8_t *data, size_t n)
{
    for (size_t i = 0; i < n; i++)
        data[i] = pattern(i);
}

/* Receives until `datagrams` came; their bytes must be the pattern, whatever the trains were. */
static void expect(tl_udp *u, const tl_addr *from, size_t datagrams, size_t bytes)
{
    size_t got = 0, at = 0;
    while (got < datagrams) {
        tl_udp_train trains[TL_UDP_TRAINS_MAX];
        size_t n;
        assert_true(wait_for(u));
        assert_int_equal(tl_udp_receive(u, trains, &n), TL_OK);
        for (size_t i = 0; i < n; i++) {
            assert_true(tl_addr_eq(&trains[i].from, from));
            for (size_t k = 0; k < trains[i].n; k++)
                if (trains[i].data[k] != pattern(at + k))
                    fail_msg("wrong byte at %zu", at + k);
            at += trains[i].n;
            got += trains[i].n ? (trains[i].n + trains[i].segment - 1) / trains[i].segment : 1;
        }
    }
    assert_int_equal(got, datagrams);
    assert_int_equal(at, bytes);
}

static void expect_nothing(tl_udp *u)
{
    tl_udp_train trains[TL_UDP_TRAINS_MAX];
    size_t n;
    assert_int_equal(tl_udp_receive(u, trains, &n), TL_ERR_AGAIN);
}

typedef struct {
    tl_udp *from, *to;
    tl_addr to_addr, from_addr;
    uint8_t data[COUNT * SEGMENT];
} pair;

static void pair_init(pair *p, tl_addr_family family)
{
    p->from = open_on(family);
    p->to = open_on(family);
    p->from_addr = tl_udp_local(p->from);
    p->to_addr = tl_udp_local(p->to);
    fill(p->data, sizeof p->data);
}

static void pair_clear(pair *p)
{
    tl_udp_close(p->from);
    tl_udp_close(p->to);
}

/* Gives `n` bytes to the socket; all of them are taken. */
static void send_whole(pair *p, size_t n)
{
    assert_int_equal(tl_udp_send(p->from, &p->to_addr, p->data, n, SEGMENT), TL_OK);
}

/* --- tests --- */

static void a_train_arrives_as_the_datagrams_it_was_sent_as(tl_addr_family family)
{
    pair p;
    pair_init(&p, family);
    size_t n = sizeof p.data - 7; /* the last is shorter */
    calls = 0;
    send_whole(&p, n);
    assert_int_equal(calls, 1); /* UDP_SEGMENT */
    expect(p.to, &p.from_addr, COUNT, n);
    expect_nothing(p.to);
    pair_clear(&p);
}

static void a_train_arrives_over_ipv4(void **state)
{
    (void)state;
    a_train_arrives_as_the_datagrams_it_was_sent_as(TL_ADDR_V4);
}

static void a_train_arrives_over_ipv6(void **state)
{
    (void)state;
    tl_addr local = loopback(TL_ADDR_V6);
    tl_udp *u;
    tl_why why;
    if (tl_udp_open(&local, BUFFER, &u, &why))
        skip_because("no IPv6 here");
    tl_udp_close(u);
    a_train_arrives_as_the_datagrams_it_was_sent_as(TL_ADDR_V6);
}

static void trains_keep_their_segments_apart(void **state)
{
    (void)state;
    pair p;
    pair_init(&p, TL_ADDR_V4);
    send_whole(&p, 10 * SEGMENT);
    tl_udp_train trains[TL_UDP_TRAINS_MAX];
    size_t n;
    assert_true(wait_for(p.to));
    assert_int_equal(tl_udp_receive(p.to, trains, &n), TL_OK);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(trains[i].segment, SEGMENT);
    if (n == 1) /* gathered: ten in one */
        assert_int_equal(trains[0].n, 10 * SEGMENT);
    pair_clear(&p);
}

static void more_than_one_call_carries_is_sent_in_several(void **state)
{
    (void)state;
    pair p;
    pair_init(&p, TL_ADDR_V4);
    calls = 0;
    /* 130 segments: 64 + 64 + 2 */
    assert_int_equal(tl_udp_send(p.from, &p.to_addr, p.data, 130 * 100, 100), TL_OK);
    assert_int_equal(calls, 3);
    expect(p.to, &p.from_addr, 130, 130 * 100);
    pair_clear(&p);
}

static void an_empty_datagram_is_a_train_of_nothing(void **state)
{
    (void)state;
    pair p;
    pair_init(&p, TL_ADDR_V4);
    struct sockaddr_storage ss;
    socklen_t ss_n = tl_addr_to_sockaddr(&p.to_addr, &ss);
    assert_int_equal(sendto(tl_udp_fd(p.from), "", 0, 0, (struct sockaddr *)&ss, ss_n), 0);
    tl_udp_train trains[TL_UDP_TRAINS_MAX];
    size_t n;
    assert_true(wait_for(p.to));
    assert_int_equal(tl_udp_receive(p.to, trains, &n), TL_OK);
    assert_int_equal(n, 1);
    assert_int_equal(trains[0].n, 0);
    assert_int_equal(trains[0].segment, 0);
    assert_true(tl_addr_eq(&trains[0].from, &p.from_addr));
    pair_clear(&p);
}

static void of_nothing_nothing_is_sent(void **state)
{
    (void)state;
    pair p;
    pair_init(&p, TL_ADDR_V4);
    calls = 0;
    assert_int_equal(tl_udp_send(p.from, &p.to_addr, p.data, 0, 0), TL_OK);
    assert_int_equal(calls, 0);
    pair_clear(&p);
}

static void a_refused_datagram_is_no_error_of_the_socket(void **state)
{
    (void)state;
    pair p;
    pair_init(&p, TL_ADDR_V4);
    tl_udp *gone = open_on(TL_ADDR_V4);
    tl_addr nobody = tl_udp_local(gone);
    tl_udp_close(gone);
    int on = 1; /* so that the kernel tells of the ICMP port unreachable at all */
    assert_int_equal(setsockopt(tl_udp_fd(p.from), IPPROTO_IP, IP_RECVERR, &on, sizeof on), 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(tl_udp_send(p.from, &nobody, p.data, 100, SEGMENT), TL_OK);
        expect_nothing(p.from);
    }
    tl_udp *back = p.to;
    assert_int_equal(tl_udp_send(back, &p.from_addr, p.data, 100, SEGMENT), TL_OK);
    expect(p.from, &p.to_addr, 1, 100);
    pair_clear(&p);
}

static void without_udp_segment_every_datagram_still_arrives(void **state)
{
    (void)state;
    pair p;
    pair_init(&p, TL_ADDR_V4);
    int on = 1; /* the kernel then refuses UDP_SEGMENT, as without checksum offload */
    assert_int_equal(setsockopt(tl_udp_fd(p.from), SOL_SOCKET, SO_NO_CHECK, &on, sizeof on), 0);
    send_whole(&p, sizeof p.data - 7);
    expect(p.to, &p.from_addr, COUNT, sizeof p.data - 7);
    calls = 0;
    send_whole(&p, sizeof p.data);
    assert_int_equal(calls, 1); /* sendmmsg; UDP_SEGMENT is not tried again */
    expect(p.to, &p.from_addr, COUNT, sizeof p.data);
    pair_clear(&p);
}

/* Ten datagrams, the last shorter, each behind the prefix. */
static void send_prefixed(pair *p, unsigned in_calls)
{
    static const uint8_t prefix[16] = "a token of bytes";
    size_t got = 0, n;
    calls = 0;
    assert_int_equal(tl_udp_send_prefixed(p->from, NULL, &p->to_addr, tl_slice_of(prefix, 16),
                                          p->data, 10 * SEGMENT - 5, SEGMENT),
                     TL_OK);
    assert_int_equal(calls, in_calls);
    while (got < 10) {
        tl_udp_train trains[TL_UDP_TRAINS_MAX];
        assert_true(wait_for(p->to));
        assert_int_equal(tl_udp_receive(p->to, trains, &n), TL_OK);
        for (size_t i = 0; i < n; i++)
            for (size_t at = 0; at < trains[i].n; at += trains[i].segment, got++) {
                size_t payload = got < 9 ? SEGMENT : SEGMENT - 5;
                assert_true(trains[i].n - at >= 16 + payload);
                assert_memory_equal(trains[i].data + at, prefix, 16);
                assert_memory_equal(trains[i].data + at + 16, p->data + got * SEGMENT, payload);
            }
    }
    assert_int_equal(got, 10);
    expect_nothing(p->to);
}

static void a_prefix_stands_in_front_of_each_datagram(void **state)
{
    (void)state;
    pair p;
    pair_init(&p, TL_ADDR_V4);
    send_prefixed(&p, 1); /* UDP_SEGMENT */
    int on = 1;
    assert_int_equal(setsockopt(tl_udp_fd(p.from), SOL_SOCKET, SO_NO_CHECK, &on, sizeof on), 0);
    send_prefixed(&p, 3); /* refused; one alone; the rest by sendmmsg */
    send_prefixed(&p, 1);
    pair_clear(&p);
}

static void each_way_of_refusing_udp_segment_is_understood(void **state)
{
    (void)state;
    static const int refusals[] = {EIO, EINVAL, EOPNOTSUPP};
    for (size_t i = 0; i < 3; i++) {
        pair p;
        pair_init(&p, TL_ADDR_V4);
        refuse_after(-1, 0);
        calls_allowed = 0;
        refusal = refusals[i];
        assert_int_equal(tl_udp_send(p.from, &p.to_addr, p.data, 2 * SEGMENT, SEGMENT), TL_ERR_IO);
        assert_int_equal(calls, 2); /* once with it, once a single datagram */
        refuse_after(-1, 0);
        send_whole(&p, sizeof p.data); /* only that one datagram shows that it is not the kernel */
        expect(p.to, &p.from_addr, COUNT, sizeof p.data);
        assert_int_equal(calls, 1);
        pair_clear(&p);
    }
}

static void a_full_socket_sends_nothing_or_tells_how_far_it_came(void **state)
{
    (void)state;
    pair p;
    pair_init(&p, TL_ADDR_V4);
    size_t gone = 7;
    refuse_after(0, EAGAIN);
    assert_int_equal(tl_udp_send_some(p.from, &p.to_addr, p.data, 130 * 100, 100, &gone),
                     TL_ERR_AGAIN);
    assert_int_equal(gone, 7); /* untouched */
    refuse_after(1, EAGAIN);
    assert_int_equal(tl_udp_send_some(p.from, &p.to_addr, p.data, 130 * 100, 100, &gone), TL_OK);
    assert_int_equal(gone, 64 * 100);
    refuse_after(-1, 0);
    assert_int_equal(tl_udp_send(p.from, &p.to_addr, p.data + gone, 130 * 100 - gone, 100), TL_OK);
    expect(p.to, &p.from_addr, 130, 130 * 100);
    refuse_after(1, EAGAIN);
    assert_int_equal(tl_udp_send(p.from, &p.to_addr, p.data, 130 * 100, 100), TL_OK);
    expect(p.to, &p.from_addr, 64, 64 * 100); /* the rest is lost, as it said it would be */
    expect_nothing(p.to);
    pair_clear(&p);
}

static void sendmmsg_that_stops_half_way_is_continued(void **state)
{
    (void)state;
    pair p;
    pair_init(&p, TL_ADDR_V4);
    int on = 1;
    assert_int_equal(setsockopt(tl_udp_fd(p.from), SOL_SOCKET, SO_NO_CHECK, &on, sizeof on), 0);
    per_call = 7;
    send_whole(&p, sizeof p.data - 7);
    expect(p.to, &p.from_addr, COUNT, sizeof p.data - 7);
    pair_clear(&p);
}

static void errors_say_what_became_of_the_datagram(void **state)
{
    (void)state;
    static const struct {
        int error;
        tl_err e;
    } cases[] = {{ENOBUFS, TL_ERR_AGAIN},
                 {EMSGSIZE, TL_ERR_TOO_LARGE},
                 {ENETUNREACH, TL_ERR_UNREACHABLE},
                 {EHOSTUNREACH, TL_ERR_UNREACHABLE},
                 {EPERM, TL_ERR_UNREACHABLE},
                 {EADDRNOTAVAIL, TL_ERR_UNREACHABLE},
                 {EBADF, TL_ERR_IO}};
    pair p;
    pair_init(&p, TL_ADDR_V4);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        refuse_after(0, cases[i].error);
        assert_int_equal(tl_udp_send(p.from, &p.to_addr, p.data, 100, SEGMENT), cases[i].e);
        assert_int_equal(tl_udp_send(p.from, &p.to_addr, p.data, 3 * SEGMENT, SEGMENT), cases[i].e);
    }
    refuse_after(-1, 0);
    send_whole(&p, 100);
    expect(p.to, &p.from_addr, 1, 100);
    pair_clear(&p);
}

static void a_datagram_no_interface_carries_is_too_large(void **state)
{
    (void)state;
    static uint8_t data[65536];
    pair p;
    pair_init(&p, TL_ADDR_V4);
    assert_int_equal(tl_udp_send(p.from, &p.to_addr, data, 65508, 65508), TL_ERR_TOO_LARGE);
    fill(data, 65507); /* what one IPv4 packet can hold */
    assert_int_equal(tl_udp_send(p.from, &p.to_addr, data, 65507, 65507), TL_OK);
    expect(p.to, &p.from_addr, 1, 65507);
    pair_clear(&p);
}

/* Runs in a child, in a network of its own whose loopback carries 1500 bytes. Exit code 77: not
 * permitted. */
static int small_interface(void)
{
    struct ifreq ifr = {.ifr_name = "lo"};
    if (!own_network())
        return 77;
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    ifr.ifr_flags = IFF_UP;
    if (ioctl(fd, SIOCSIFFLAGS, &ifr))
        return 77;
    ifr.ifr_mtu = 1500;
    if (ioctl(fd, SIOCSIFMTU, &ifr))
        return 77;
    close(fd);
    static pair p;
    static uint8_t large[10 * 1473];
    tl_addr to = loopback(TL_ADDR_V4);
    tl_why why;
    if (tl_udp_open(&to, BUFFER, &p.from, &why) || tl_udp_open(&to, BUFFER, &p.to, &why))
        return 1;
    p.to_addr = tl_udp_local(p.to);
    if (tl_udp_send(p.from, &p.to_addr, large, 1473, 1473) != TL_ERR_TOO_LARGE ||
        tl_udp_send(p.from, &p.to_addr, large, sizeof large, 1473) != TL_ERR_TOO_LARGE)
        return 2;
    calls = 0;
    if (tl_udp_send(p.from, &p.to_addr, large, 10 * 1472, 1472) != TL_OK || calls != 1)
        return 3;
    pair_clear(&p);
    return 0;
}

static void trains_too_large_for_the_interface_do_not_cost_udp_segment(void **state)
{
    (void)state;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(small_interface());
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77)
        skip_because("no network namespace can be made");
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void both_families_have_the_same_port_in_two_sockets(void **state)
{
    (void)state;
    tl_addr any6 = {.family = TL_ADDR_V6}, any4 = {.family = TL_ADDR_V4};
    tl_udp *six, *four, *again;
    tl_why why;
    assert_int_equal(tl_udp_open(&any6, BUFFER, &six, &why), TL_OK);
    any4.port = any6.port = tl_udp_local(six).port;
    assert_true(any6.port != 0);
    tl_err e = tl_udp_open(&any4, BUFFER, &four, &why);
    if (e == TL_ERR_EXISTS) /* the kernel chose for IPv6 alone */
        skip_because("another program has the port in IPv4");
    assert_int_equal(e, TL_OK);
    assert_int_equal(tl_udp_open(&any6, BUFFER, &again, &why), TL_ERR_EXISTS);
    assert_non_null(strstr(why.text, "cannot use UDP"));
    tl_addr to = loopback(TL_ADDR_V4), from = to;
    to.port = from.port = any4.port;
    uint8_t data[100];
    fill(data, sizeof data);
    assert_int_equal(tl_udp_send(four, &to, data, sizeof data, sizeof data), TL_OK);
    expect(four, &from, 1, sizeof data);
    expect_nothing(six);
    tl_udp_close(six);
    tl_udp_close(four);
}

static void many_sockets_share_one_buffer_and_keep_their_datagrams(void **state)
{
    (void)state;
    enum { MANY = 256 };
    tl_udp *first = open_on(TL_ADDR_V4), *many[MANY];
    tl_addr local = loopback(TL_ADDR_V4), from = tl_udp_local(first);
    tl_why why;
    uint8_t data[500];
    fill(data, sizeof data);
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(tl_udp_open_beside(&local, 16384, first, &many[i], &why), TL_OK);
        tl_addr to = tl_udp_local(many[i]);
        assert_int_equal(tl_udp_send(first, &to, data, 100 + (size_t)i, 1000), TL_OK);
    }
    const uint8_t *where = NULL;
    for (int i = 0; i < MANY; i++) {
        tl_udp_train trains[TL_UDP_TRAINS_MAX];
        size_t n;
        assert_int_equal(tl_udp_receive(many[i], trains, &n), TL_OK);
        assert_int_equal(n, 1);
        assert_int_equal(trains[0].n, 100 + i);
        assert_memory_equal(trains[0].data, data, trains[0].n);
        assert_true(!where || where == trains[0].data);
        where = trains[0].data;
    }
    tl_udp_close(first); /* any order */
    tl_addr to = tl_udp_local(many[0]);
    from = tl_udp_local(many[1]);
    assert_int_equal(tl_udp_send(many[1], &to, data, 100, 100), TL_OK);
    expect(many[0], &from, 1, 100);
    for (int i = 0; i < MANY; i++)
        tl_udp_close(many[i]);
}

static void an_address_that_is_not_ours_is_an_error_with_its_reason(void **state)
{
    (void)state;
    tl_addr not_ours = {.family = TL_ADDR_V4, .bytes = {192, 0, 2, 1}};
    tl_udp *u;
    tl_why why;
    assert_int_equal(tl_udp_open(&not_ours, BUFFER, &u, &why), TL_ERR_IO);
    assert_non_null(strstr(why.text, "192.0.2.1"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_train_arrives_over_ipv4),
        cmocka_unit_test(a_train_arrives_over_ipv6),
        cmocka_unit_test(trains_keep_their_segments_apart),
        cmocka_unit_test(more_than_one_call_carries_is_sent_in_several),
        cmocka_unit_test(an_empty_datagram_is_a_train_of_nothing),
        cmocka_unit_test(of_nothing_nothing_is_sent),
        cmocka_unit_test(a_refused_datagram_is_no_error_of_the_socket),
        cmocka_unit_test(without_udp_segment_every_datagram_still_arrives),
        cmocka_unit_test(a_prefix_stands_in_front_of_each_datagram),
        cmocka_unit_test_setup(each_way_of_refusing_udp_segment_is_understood, kernel_is_honest),
        cmocka_unit_test_setup(a_full_socket_sends_nothing_or_tells_how_far_it_came,
                               kernel_is_honest),
        cmocka_unit_test_setup(sendmmsg_that_stops_half_way_is_continued, kernel_is_honest),
        cmocka_unit_test_setup(errors_say_what_became_of_the_datagram, kernel_is_honest),
        cmocka_unit_test_setup(a_datagram_no_interface_carries_is_too_large, kernel_is_honest),
        cmocka_unit_test_setup(trains_too_large_for_the_interface_do_not_cost_udp_segment,
                               kernel_is_honest),
        cmocka_unit_test(both_families_have_the_same_port_in_two_sockets),
        cmocka_unit_test(many_sockets_share_one_buffer_and_keep_their_datagrams),
        cmocka_unit_test(an_address_that_is_not_ours_is_an_error_with_its_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
