#include "io/loop.h"
#include "net/lantcp.h"
#include "wire/rfc4571.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define DATAGRAMS 64

/* One side. What it hears is noted. */
typedef struct {
    tl_lantcp *lan;
    bool stranger_here; /* no address is near */
    bool trusts, echoes, dials_elsewhere;
    tl_sock opened, heard_on;
    unsigned opens, closes, datagrams, writable;
    size_t bytes, last_n;
    uint8_t last[TL_RFC4571_FRAME_MAX];
} side;

static tl_loop *loop;
static side one, two;
static tl_timer guard, turn;
static bool (*until)(void);
static const tl_node_id node_one = {{1}}, node_two = {{2}};

static bool is_near(void *user, const tl_addr *addr)
{
    (void)addr;
    return !((side *)user)->stranger_here;
}

static bool is_expected(void *user, const tl_addr *addr)
{
    (void)user, (void)addr;
    return false;
}

static bool is_known(void *user, const tl_node_id *node)
{
    (void)user, (void)node;
    return false;
}

static void on_open(void *user, tl_sock sock, const tl_node_id *node, const tl_addr *remote)
{
    side *s = user;
    assert_true(tl_sock_is_pipe(sock));
    assert_true(tl_node_id_eq(node, &node_two));
    assert_true(s->dials_elsewhere || remote->port == tl_lantcp_port(two.lan));
    s->opens++;
    s->opened = sock;
}

/* As the node judges: what begins with 'x' is nothing. */
static bool on_datagram(void *user, tl_sock sock, const tl_addr *remote, uint8_t *data, size_t n)
{
    side *s = user;
    (void)remote;
    s->datagrams++;
    s->bytes += n;
    s->heard_on = sock;
    s->last_n = n;
    memcpy(s->last, data, n);
    if (s->trusts)
        tl_lantcp_prove(s->lan, sock, &node_one);
    if (s->echoes)
        assert_int_equal(tl_lantcp_send(s->lan, sock, data, n, n), TL_OK);
    return data[0] != 'x';
}

static void on_closed(void *user, tl_sock sock)
{
    (void)sock;
    ((side *)user)->closes++;
}

static void on_writable(void *user)
{
    ((side *)user)->writable++;
}

static void timed_out(void *user)
{
    (void)user;
    fail_msg("nothing happened for 10 s");
}

static void look(void *user)
{
    (void)user;
    if (until())
        tl_loop_stop(loop);
    else
        tl_timer_set(&turn, tl_loop_now(loop) + TL_MS);
}

static void run_until(bool (*condition)(void))
{
    until = condition;
    tl_timer_set(&guard, tl_loop_now(loop) + 10 * TL_SEC);
    tl_timer_set(&turn, tl_loop_now(loop));
    tl_loop_run(loop);
    tl_timer_stop(&guard);
}

static void side_open(side *s)
{
    static const tl_lantcp_events events = {is_near,     is_expected, is_known,   on_open,
                                            on_datagram, on_closed,   on_writable};
    tl_why why;
    assert_int_equal(tl_lantcp_new(loop, 0, &events, s, &s->lan, &why), TL_OK);
}

static int set_up(void **state)
{
    (void)state;
    memset(&one, 0, sizeof one);
    memset(&two, 0, sizeof two);
    assert_int_equal(tl_loop_new(&loop), TL_OK);
    tl_timer_init(&guard, loop, timed_out, NULL);
    tl_timer_init(&turn, loop, look, NULL);
    side_open(&one);
    side_open(&two);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    tl_lantcp_free(one.lan);
    tl_lantcp_free(two.lan);
    tl_timer_stop(&turn);
    tl_loop_free(loop);
    return 0;
}

static tl_addr at(const side *s)
{
    tl_addr a;
    assert_int_equal(tl_addr_parse_ip(tl_slice_str("127.0.0.1"), &a), TL_OK);
    a.port = tl_lantcp_port(s->lan);
    return a;
}

static bool is_open(void)
{
    return one.opens;
}

static void connect_sides(void)
{
    tl_addr there = at(&two);
    assert_int_equal(tl_lantcp_dial(one.lan, &node_two, &there), TL_OK);
    run_until(is_open);
}

static bool two_heard(void)
{
    return two.datagrams >= DATAGRAMS;
}

static bool two_heard_one(void)
{
    return two.datagrams;
}

static bool one_heard(void)
{
    return one.datagrams > DATAGRAMS; /* and the first */
}

static void datagrams_come_whole_and_in_order_in_both_directions(void **state)
{
    uint8_t train[DATAGRAMS * 1200 - 400];
    (void)state;
    connect_sides();
    two.trusts = two.echoes = true;
    for (size_t i = 0; i < sizeof train; i++)
        train[i] = (uint8_t)('A' + i / 1200 % 20);
    assert_int_equal(tl_lantcp_send(one.lan, one.opened, train, 1, 1), TL_OK);
    run_until(two_heard_one); /* as a check does, before anything larger comes */
    two.datagrams = 0;
    two.bytes = 0;
    assert_int_equal(tl_lantcp_send(one.lan, one.opened, train, sizeof train, 1200), TL_OK);
    run_until(two_heard);
    assert_int_equal(two.bytes, sizeof train);
    assert_int_equal(two.last_n, 800); /* the last of the train is shorter */
    assert_memory_equal(two.last, train + sizeof train - 800, 800);
    run_until(one_heard);
    assert_int_equal(one.bytes, sizeof train + 1);
    assert_memory_equal(one.last, train + sizeof train - 800, 800);
}

static bool one_is_closed(void)
{
    return one.closes;
}

static void who_is_no_neighbour_is_closed_at_once(void **state)
{
    (void)state;
    two.stranger_here = true;
    tl_addr there = at(&two);
    assert_int_equal(tl_lantcp_dial(one.lan, &node_two, &there), TL_OK);
    run_until(one_is_closed);
    assert_int_equal(tl_lantcp_counted(two.lan)->ends[TL_LANTCP_FOREIGN], 1);
    assert_int_equal(tl_lantcp_counted(two.lan)->accepted, 0);
}

static bool nobody_is_refused(void)
{
    return tl_lantcp_counted(one.lan)->ends[TL_LANTCP_BROKEN];
}

static void where_nobody_listens_the_pipe_is_told_closed(void **state)
{
    (void)state;
    tl_addr there = at(&two);
    tl_lantcp_free(two.lan);
    two.lan = NULL;
    assert_int_equal(tl_lantcp_dial(one.lan, &node_two, &there), TL_OK);
    run_until(nobody_is_refused);
    assert_int_equal(one.closes, 1);
    assert_int_equal(one.opens, 0);
}

static void a_second_dial_to_the_same_place_is_none(void **state)
{
    tl_lantcp_pipe pipes[TL_LANTCP_OF_NODE];
    (void)state;
    connect_sides();
    tl_addr there = at(&two);
    assert_int_equal(tl_lantcp_dial(one.lan, &node_two, &there), TL_OK);
    assert_int_equal(tl_lantcp_counted(one.lan)->dialled, 1);
    assert_int_equal(tl_lantcp_pipes(one.lan, &node_two, pipes), 1);
    assert_int_equal(pipes[0].sock, one.opened);
    assert_int_equal(tl_lantcp_pipes(one.lan, &node_one, pipes), 0);
}

/* --- what strangers send --- */

static int raw_connect(void)
{
    struct sockaddr_storage ss;
    tl_addr there = at(&two);
    socklen_t len = tl_addr_to_sockaddr(&there, &ss);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&ss, len), 0);
    return fd;
}

static bool two_closed_one(void)
{
    return two.closes;
}

static void expect_end(tl_lantcp_end why)
{
    run_until(two_closed_one);
    assert_int_equal(tl_lantcp_counted(two.lan)->ends[why], 1);
}

static void a_frame_over_the_largest_size_ends_the_pipe(void **state)
{
    (void)state;
    int fd = raw_connect();
    assert_int_equal(write(fd,
                           "\xFF\xFF"
                           "abc",
                           5),
                     5);
    expect_end(TL_LANTCP_MALFORMED);
    assert_int_equal(two.datagrams, 0);
    close(fd);
}

static void frames_of_no_kind_end_the_pipe_after_some_and_one_does_not(void **state)
{
    (void)state;
    int fd = raw_connect();
    assert_int_equal(write(fd, "\0\3xyz", 5), 5);
    run_until(two_heard_one);
    assert_int_equal(two.closes, 0);
    for (int i = 1; i < TL_LANTCP_GARBAGE; i++)
        assert_int_equal(write(fd, "\0\3xyz", 5), 5);
    expect_end(TL_LANTCP_MALFORMED);
    assert_int_equal(tl_lantcp_counted(two.lan)->unknown, TL_LANTCP_GARBAGE);
    close(fd);
}

static void send_much(int fd)
{
    static uint8_t frame[2 + 1000] = {1000 >> 8, 1000 & 0xFF, 'A'};
    for (size_t n = 0; n <= TL_LANTCP_UNPROVEN_BYTES; n += sizeof frame)
        assert_int_equal(write(fd, frame, sizeof frame), (ssize_t)sizeof frame);
}

static bool two_heard_much(void)
{
    return two.bytes > TL_LANTCP_UNPROVEN_BYTES;
}

static void who_has_not_proven_who_he_is_may_send_little_and_who_has_may_send_more(void **state)
{
    (void)state;
    int fd = raw_connect();
    send_much(fd);
    expect_end(TL_LANTCP_UNKNOWN);
    close(fd);

    two.datagrams = 0;
    two.bytes = 0;
    fd = raw_connect();
    assert_int_equal(write(fd, "\0\1A", 3), 3);
    run_until(two_heard_one);
    tl_lantcp_prove(two.lan, two.heard_on, &node_one);
    send_much(fd);
    run_until(two_heard_much);
    assert_int_equal(two.closes, 1);
    close(fd);
}

/* --- a reader that does not read --- */

static int reader = -1;

static bool one_is_writable(void)
{
    uint8_t room[65536];
    while (recv(reader, room, sizeof room, MSG_DONTWAIT) > 0)
        ;
    return one.writable;
}

/* A reader of its own, which reads only where it is told to. */
static void dial_reader(void)
{
    struct sockaddr_storage ss;
    int small = 4096, listener = socket(AF_INET, SOCK_STREAM, 0);
    tl_addr here = at(&two);
    here.port = 0;
    setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    socklen_t len = tl_addr_to_sockaddr(&here, &ss);
    assert_int_equal(bind(listener, (struct sockaddr *)&ss, len), 0);
    assert_int_equal(listen(listener, 1), 0);
    len = sizeof ss;
    assert_int_equal(getsockname(listener, (struct sockaddr *)&ss, &len), 0);
    here.port = tl_addr_from_sockaddr((struct sockaddr *)&ss).port;
    one.dials_elsewhere = true;
    assert_int_equal(tl_lantcp_dial(one.lan, &node_two, &here), TL_OK);
    run_until(is_open);
    reader = accept(listener, NULL, NULL);
    assert_true(reader >= 0);
    close(listener);
}

static void a_pipe_that_is_full_says_so_drops_the_rest_and_takes_more_later(void **state)
{
    static uint8_t block[40 * 1000];
    tl_err e = TL_OK;
    (void)state;
    dial_reader();
    for (int i = 0; i < 1000 && !tl_lantcp_is_full(one.lan, one.opened); i++)
        e = tl_lantcp_send(one.lan, one.opened, block, sizeof block, 1000);
    assert_int_equal(e, TL_OK); /* nothing is lost before it is full */
    assert_true(tl_lantcp_is_full(one.lan, one.opened));
    for (int i = 0; i < 10 && !e; i++)
        e = tl_lantcp_send(one.lan, one.opened, block, sizeof block, 1000);
    assert_int_equal(e, TL_ERR_AGAIN);
    assert_true(tl_lantcp_counted(one.lan)->dropped > 0);
    run_until(one_is_writable);
    assert_false(tl_lantcp_is_full(one.lan, one.opened));
    close(reader);
}

static void our_addresses_that_are_gone_take_their_pipes_along(void **state)
{
    tl_interface own = {.prefix = 8};
    (void)state;
    connect_sides();
    own.addr = at(&one);
    tl_lantcp_on_change(one.lan, &own, 1);
    assert_int_equal(one.closes, 0);
    own.addr.bytes[3] = 9;
    tl_lantcp_on_change(one.lan, &own, 1);
    assert_int_equal(one.closes, 1);
    assert_int_equal(tl_lantcp_send(one.lan, one.opened, (const uint8_t *)"A", 1, 1),
                     TL_ERR_NOT_FOUND);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(datagrams_come_whole_and_in_order_in_both_directions),
        TEST(who_is_no_neighbour_is_closed_at_once),
        TEST(where_nobody_listens_the_pipe_is_told_closed),
        TEST(a_second_dial_to_the_same_place_is_none),
        TEST(a_frame_over_the_largest_size_ends_the_pipe),
        TEST(frames_of_no_kind_end_the_pipe_after_some_and_one_does_not),
        TEST(who_has_not_proven_who_he_is_may_send_little_and_who_has_may_send_more),
        TEST(a_pipe_that_is_full_says_so_drops_the_rest_and_takes_more_later),
        TEST(our_addresses_that_are_gone_take_their_pipes_along),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
