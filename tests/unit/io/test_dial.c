#include "io/dial.h"
#include "io/stream.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static tl_loop *loop;
static tl_dial *dial;
static tl_timer guard;
static int connected_fd;
static tl_err result;
static char reason[400];

static void timed_out(void *user)
{
    (void)user;
    fail_msg("nothing happened for 5 s");
}

static void on_done(void *user, int fd, tl_err e, const char *why)
{
    (void)user;
    connected_fd = fd;
    result = e;
    snprintf(reason, sizeof reason, "%s", why ? why : "");
    tl_dial_free(dial);
    dial = NULL;
    tl_loop_stop(loop);
}

static int setup(void **state)
{
    (void)state;
    connected_fd = -1;
    reason[0] = 0;
    if (tl_loop_new(&loop))
        return -1;
    tl_timer_init(&guard, loop, timed_out, NULL);
    tl_timer_set(&guard, tl_loop_now(loop) + 5 * TL_SEC);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    if (connected_fd >= 0)
        close(connected_fd);
    tl_timer_stop(&guard);
    tl_loop_free(loop);
    return 0;
}

static tl_addr addr(const char *ip, uint16_t port)
{
    tl_addr a;
    assert_int_equal(tl_addr_parse_ip(tl_slice_str(ip), &a), TL_OK);
    a.port = port;
    return a;
}

/* A listening socket that nobody accepts from; *port 0: any, and set. */
static int listening(const char *ip, uint16_t *port, int backlog)
{
    tl_addr a = addr(ip, *port);
    struct sockaddr_storage ss;
    socklen_t len = tl_addr_to_sockaddr(&a, &ss);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&ss, len), 0);
    assert_int_equal(listen(fd, backlog), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&ss, &len), 0);
    *port = tl_addr_from_sockaddr((struct sockaddr *)&ss).port;
    return fd;
}

/* A listener with a full queue lets connections hang, like a firewall that drops packets. */
#define FILL 4
static void fill_queue(const char *ip, uint16_t port, int ret_fds[FILL])
{
    tl_addr a = addr(ip, port);
    struct sockaddr_storage ss;
    socklen_t len = tl_addr_to_sockaddr(&a, &ss);
    for (int i = 0; i < FILL; i++) {
        ret_fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        if (connect(ret_fds[i], (struct sockaddr *)&ss, len) < 0)
            assert_int_equal(errno, EINPROGRESS);
    }
}

static tl_time run(const tl_addr *addrs, size_t n)
{
    tl_time began = tl_loop_clock(loop);
    assert_int_equal(tl_dial_start_at(loop, addrs, n, on_done, NULL, &dial), TL_OK);
    assert_int_equal(connected_fd, -1);
    tl_loop_run(loop);
    return tl_loop_clock(loop) - began;
}

static void assert_connected_to(const char *ip)
{
    struct sockaddr_storage ss;
    socklen_t len = sizeof ss;
    assert_int_equal(result, TL_OK);
    assert_int_equal(getpeername(connected_fd, (struct sockaddr *)&ss, &len), 0);
    tl_addr got = tl_addr_from_sockaddr((struct sockaddr *)&ss), expected = addr(ip, 0);
    assert_true(tl_addr_same_ip(&got, &expected));
}

static void an_address_that_swallows_packets_costs_its_head_start_and_no_more(void **state)
{
    (void)state;
    uint16_t port = 0;
    int good = listening("127.0.0.1", &port, 8), dead = listening("127.0.0.2", &port, 0),
        fill[FILL];
    fill_queue("127.0.0.2", port, fill);
    tl_addr addrs[] = {addr("127.0.0.2", port), addr("127.0.0.1", port)};
    tl_time took = run(addrs, 2);
    assert_connected_to("127.0.0.1");
    assert_true(took >= TL_DIAL_HEAD_START_NS);
    assert_true(took < TL_DIAL_HEAD_START_NS + TL_SEC);
    for (int i = 0; i < FILL; i++)
        close(fill[i]);
    close(good);
    close(dead);
}

static void an_address_that_refuses_costs_nothing(void **state)
{
    (void)state;
    uint16_t port = 0;
    int good = listening("127.0.0.1", &port, 8);
    tl_addr addrs[] = {addr("127.0.0.2", port), addr("127.0.0.3", port), addr("127.0.0.1", port)};
    tl_time took = run(addrs, 3);
    assert_connected_to("127.0.0.1");
    assert_true(took < TL_DIAL_HEAD_START_NS);
    close(good);
}

static void the_first_that_works_is_taken(void **state)
{
    (void)state;
    uint16_t port = 0;
    int first = listening("127.0.0.2", &port, 8), second = listening("127.0.0.1", &port, 8);
    tl_addr addrs[] = {addr("127.0.0.2", port), addr("127.0.0.1", port)};
    run(addrs, 2);
    assert_connected_to("127.0.0.2");
    close(first);
    close(second);
}

static void when_all_refuse_it_says_so(void **state)
{
    (void)state;
    uint16_t port = 0;
    close(listening("127.0.0.1", &port, 8));
    tl_addr addrs[] = {addr("127.0.0.2", port), addr("127.0.0.1", port)};
    run(addrs, 2);
    assert_int_equal(result, TL_ERR_UNREACHABLE);
    assert_int_equal(connected_fd, -1);
    assert_non_null(strstr(reason, "refused"));
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(an_address_that_swallows_packets_costs_its_head_start_and_no_more),
        T(an_address_that_refuses_costs_nothing),
        T(the_first_that_works_is_taken),
        T(when_all_refuse_it_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
