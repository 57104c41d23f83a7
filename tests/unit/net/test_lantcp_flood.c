/* Floods of connections on the local network. Each address of 127/8 is a machine here. */
#include "io/loop.h"
#include "net/lantcp.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define FDS_MAX 512
#define KNOWN                                                                                      \
    255 /* the first byte of the key of a node that we know; who is at 127.0.0.200 and above is expected */

static tl_loop *loop;
static tl_lantcp *lan;
static tl_timer guard, turn;
static int fds[FDS_MAX];
static size_t n_fds, n_heard;
static tl_sock heard_on;
static uint64_t awaited; /* connections that were accepted or refused */

static bool is_near(void *user, const tl_addr *addr)
{
    (void)user, (void)addr;
    return true;
}

static bool is_expected(void *user, const tl_addr *addr)
{
    (void)user;
    return addr->bytes[3] >= 200;
}

static bool is_known(void *user, const tl_node_id *node)
{
    (void)user;
    return node->key[0] == KNOWN;
}

static void on_open(void *user, tl_sock sock, const tl_node_id *node, const tl_addr *remote)
{
    (void)user, (void)sock, (void)node, (void)remote;
}

/* What begins with 'k' is a check: it proves a key, which is the one byte that follows and the last of the address. */
static bool on_datagram(void *user, tl_sock sock, const tl_addr *remote, uint8_t *data, size_t n)
{
    (void)user;
    n_heard++;
    heard_on = sock;
    if (data[0] == 'k' && n == 2) {
        tl_node_id made_up = {{data[1], remote->bytes[3]}};
        tl_lantcp_prove(lan, sock, &made_up);
    }
    return true;
}

static void on_closed(void *user, tl_sock sock)
{
    (void)user, (void)sock;
}

static void on_writable(void *user)
{
    (void)user;
}

static void timed_out(void *user)
{
    (void)user;
    fail_msg("nothing happened for 10 s");
}

static bool (*until)(void);

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

static int set_up(void **state)
{
    static const tl_lantcp_events events = {is_near,     is_expected, is_known,   on_open,
                                            on_datagram, on_closed,   on_writable};
    tl_why why;
    (void)state;
    n_fds = n_heard = 0;
    awaited = 0;
    assert_int_equal(tl_loop_new(&loop), TL_OK);
    tl_timer_init(&guard, loop, timed_out, NULL);
    tl_timer_init(&turn, loop, look, NULL);
    assert_int_equal(tl_lantcp_new(loop, 0, &events, NULL, &lan, &why), TL_OK);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (size_t i = 0; i < n_fds; i++)
        close(fds[i]);
    tl_lantcp_free(lan);
    tl_timer_stop(&turn);
    tl_loop_free(loop);
    return 0;
}

static uint64_t crowded(void)
{
    return tl_lantcp_counted(lan)->ends[TL_LANTCP_CROWDED];
}

/* Each connection is accepted, or refused, or both: it makes room later. */
static bool all_are_judged(void)
{
    return tl_lantcp_counted(lan)->accepted + crowded() >= awaited;
}

static size_t standing(size_t *ret_proven)
{
    return tl_lantcp_count(lan, ret_proven);
}

/* A connection from 127.0.0.`from`, judged by the time it returns. -1: it was refused. */
static int knock(uint8_t from)
{
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7F000000U + from)};
    struct sockaddr_in there = {.sin_family = AF_INET,
                                .sin_port = htons(tl_lantcp_port(lan)),
                                .sin_addr.s_addr = htonl(0x7F000001U)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0 && n_fds < FDS_MAX);
    fds[n_fds++] = fd;
    assert_int_equal(bind(fd, (struct sockaddr *)&here, sizeof here), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&there, sizeof there), 0);
    uint64_t accepted = tl_lantcp_counted(lan)->accepted;
    awaited = accepted + crowded() + 1;
    run_until(all_are_judged);
    if (tl_lantcp_counted(lan)->accepted > accepted)
        return fd;
    close(fds[--n_fds]);
    return -1;
}

static bool is_heard(void)
{
    return n_heard;
}

/* Says there who it is, with a key of that number. */
static tl_sock prove(int fd, uint8_t key)
{
    const uint8_t frame[] = {0, 2, 'k', key};
    n_heard = 0;
    assert_int_equal(write(fd, frame, sizeof frame), (ssize_t)sizeof frame);
    run_until(is_heard);
    return heard_on;
}

static bool stands(tl_sock sock)
{
    tl_addr local;
    return tl_lantcp_local(lan, sock, &local);
}

static void a_flood_from_two_addresses_keeps_no_third_one_out_nor_throws_it_out(void **state)
{
    size_t proven;
    (void)state;
    for (int i = 0; i < TL_LANTCP_ACCEPT_BURST; i++) {
        knock(2);
        knock(3);
    }
    assert_int_equal(standing(&proven), 2 * TL_LANTCP_UNPROVEN_OF_ORIGIN);
    int third = knock(4);
    assert_true(third >= 0);
    for (int i = 0; i < 8; i++) {
        knock(2);
        knock(3);
    }
    assert_true(stands(prove(third, 'A')));
    assert_int_equal(standing(&proven), 2 * TL_LANTCP_UNPROVEN_OF_ORIGIN + 1);
    assert_int_equal(proven, 1);
}

/* Keys cost nothing. It gains 8 a second once the burst is spent. */
static void keys_that_one_address_makes_up_take_the_places_of_one_origin(void **state)
{
    size_t proven = 0;
    (void)state;
    for (uint8_t key = 1; proven < TL_LANTCP_OF_ORIGIN; standing(&proven)) {
        int fd = knock(2);
        if (fd >= 0)
            prove(fd, key++);
    }
    for (tl_time full = tl_loop_now(loop);
         tl_loop_now(loop) < full + TL_SEC;) /* its rate lets more in */
        assert_int_equal(knock(2), -1);
    assert_int_equal(standing(&proven), TL_LANTCP_OF_ORIGIN);
    assert_int_equal(proven, TL_LANTCP_OF_ORIGIN); /* none of them made room for an unproven one */
    assert_true(stands(prove(knock(3), 'A')));
    assert_int_equal(standing(&proven), TL_LANTCP_OF_ORIGIN + 1);
}

static void where_all_places_of_the_unproven_are_taken_the_largest_origin_makes_room(void **state)
{
    enum { FLOODS = TL_LANTCP_UNPROVEN / TL_LANTCP_UNPROVEN_OF_ORIGIN };
    size_t proven;
    (void)state;
    int first = knock(99);
    for (int i = 0; i < TL_LANTCP_UNPROVEN_OF_ORIGIN; i++)
        for (uint8_t from = 2; from < 2 + FLOODS; from++)
            knock(from);
    assert_int_equal(standing(&proven), TL_LANTCP_UNPROVEN);
    int last = knock(100);
    assert_int_equal(standing(&proven), TL_LANTCP_UNPROVEN);
    for (int i = 0; i < 3; i++)
        for (uint8_t from = 2; from < 2 + FLOODS; from++)
            knock(from);
    assert_true(stands(prove(first, 'A'))); /* the oldest of all */
    assert_true(stands(prove(last, 'B')));
    assert_int_equal(standing(&proven), TL_LANTCP_UNPROVEN);
    assert_int_equal(proven, 2);
}

/* Four addresses of one machine, and as many keys as it likes, take all places. `first` is of a node that we know. */
static void fill_all_places(tl_sock *ret_first)
{
    uint8_t keys[4] = {1, 1, 1, 1};
    size_t proven = 0;
    *ret_first = prove(knock(2), KNOWN);
    for (size_t i = 0; proven < TL_LANTCP_ACCEPTED; i++, standing(&proven)) {
        int fd = knock((uint8_t)(2 + i % 4));
        if (fd >= 0)
            prove(fd, keys[i % 4]++);
    }
}

static void proven_strangers_of_few_addresses_make_room_for_one_of_another(void **state)
{
    tl_sock known;
    size_t proven;
    (void)state;
    fill_all_places(&known);
    int first = knock(10);
    assert_true(first >= 0);
    assert_int_equal(standing(&proven), TL_LANTCP_ACCEPTED);
    assert_int_equal(proven, TL_LANTCP_ACCEPTED - 1);
    tl_sock stranger = prove(first, 1);
    for (int i = 0; i < 100; i++) /* they want the place back */
        knock((uint8_t)(2 + i % 4));
    assert_true(stands(stranger));
    assert_true(stands(known));
    for (uint8_t i = 0; i < 8; i++)
        assert_true(stands(prove(knock((uint8_t)(20 + i)), 1)));
    assert_true(stands(stranger));
    assert_true(stands(known)); /* its pipe is the oldest of all */
    assert_true(standing(&proven) <= TL_LANTCP_ACCEPTED);
}

/* As many addresses as there are places: none has more than a newcomer's would. */
static void where_nobody_has_more_than_a_newcomer_one_that_is_expected_is_let_in(void **state)
{
    size_t proven = 0;
    (void)state;
    for (uint8_t from = 2; proven < TL_LANTCP_ACCEPTED; standing(&proven)) {
        int fd = knock(from);
        if (fd >= 0)
            prove(fd, 1), from++;
    }
    for (tl_time full = tl_loop_now(loop); tl_loop_now(loop) < full + TL_SEC;)
        assert_int_equal(knock(190), -1);
    assert_true(stands(prove(knock(200), 1)));
    assert_int_equal(standing(&proven), TL_LANTCP_ACCEPTED);
}

/* Some of those that come seldom may share a budget with the flood: by lot, and not many. */
static void a_flood_of_eight_addresses_leaves_room_for_those_that_come_seldom(void **state)
{
    size_t let_in = 0;
    (void)state;
    for (int i = 0; i < 12; i++)
        for (uint8_t from = 2; from < 22; from++)
            knock(from);
    for (uint8_t i = 0; i < 8; i++) {
        for (tl_time began = tl_loop_now(loop); tl_loop_now(loop) < began + 250 * TL_MS;)
            for (uint8_t from = 2; from < 10; from++)
                knock(from);
        let_in += knock((uint8_t)(100 + i)) >= 0;
        assert_true(knock((uint8_t)(200 + i)) >= 0); /* it is expected */
    }
    assert_true(let_in >= 6);
}

static void all_addresses_together_are_accepted_so_often(void **state)
{
    (void)state;
    tl_time began = tl_loop_now(loop);
    for (int i = 0; i < 6; i++)
        for (uint8_t from = 2; from < 42; from++)
            knock(from);
    uint64_t seconds = (tl_loop_now(loop) - began) / TL_SEC + 1;
    uint64_t accepted = tl_lantcp_counted(lan)->accepted;
    assert_true(accepted >= TL_LANTCP_ACCEPT_SUM_BURST);
    assert_true(accepted <= TL_LANTCP_ACCEPT_SUM_BURST + TL_LANTCP_ACCEPT_SUM_RATE * seconds);
}

static void one_address_is_accepted_so_often(void **state)
{
    (void)state;
    tl_time began = tl_loop_now(loop);
    for (int i = 0; i < 100; i++)
        knock(2);
    uint64_t seconds = (tl_loop_now(loop) - began) / TL_SEC + 1;
    uint64_t accepted = tl_lantcp_counted(lan)->accepted;
    assert_true(accepted >= TL_LANTCP_ACCEPT_BURST);
    assert_true(accepted <= TL_LANTCP_ACCEPT_BURST + TL_LANTCP_ACCEPT_RATE * seconds);
}

static void of_one_address_the_oldest_stranger_makes_room(void **state)
{
    size_t proven;
    (void)state;
    tl_sock first = prove(knock(2), 'A'); /* heard, and proven: it is none of the strangers */
    int strangers[TL_LANTCP_UNPROVEN_OF_ORIGIN + 4];
    for (size_t i = 0; i < sizeof strangers / sizeof *strangers; i++)
        strangers[i] = knock(2);
    assert_int_equal(standing(&proven), TL_LANTCP_UNPROVEN_OF_ORIGIN + 1);
    assert_int_equal(proven, 1);
    assert_true(stands(first));
    assert_int_equal(crowded(), 4);
    for (size_t i = 4; i < sizeof strangers / sizeof *strangers; i++)
        assert_true(stands(prove(strangers[i], (uint8_t)(1 + i))));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_flood_from_two_addresses_keeps_no_third_one_out_nor_throws_it_out),
        TEST(keys_that_one_address_makes_up_take_the_places_of_one_origin),
        TEST(where_all_places_of_the_unproven_are_taken_the_largest_origin_makes_room),
        TEST(proven_strangers_of_few_addresses_make_room_for_one_of_another),
        TEST(where_nobody_has_more_than_a_newcomer_one_that_is_expected_is_let_in),
        TEST(a_flood_of_eight_addresses_leaves_room_for_those_that_come_seldom),
        TEST(all_addresses_together_are_accepted_so_often),
        TEST(one_address_is_accepted_so_often),
        TEST(of_one_address_the_oldest_stranger_makes_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
