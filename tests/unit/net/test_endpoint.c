#include "io/udp.h"
#include "net/endpoint.h"
#include "net/portfile.h"
#include "ownnet.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define TRAINS 512

typedef struct {
    tl_loop *loop;
    tl_endpoint *endpoint;
    tl_udp *peer; /* on 127.0.0.1 */
    tl_timer deadline;
    char dir[64], port_file[96];
    /* what was seen */
    size_t trains, train_bytes, stuns, rebuilt;
    size_t train_n[TRAINS], train_segment[TRAINS];
    tl_sock last_sock;
    tl_addr last_from;
    tl_stun_class last_class;
    size_t stop_after; /* trains, STUN messages and rebuilt sockets together */
    bool close_in_train;
    tl_timer clock;
    size_t trains_before_clock;
    bool late;
} scene;

static void seen_one(scene *s)
{
    if (s->trains + s->stuns + s->rebuilt >= s->stop_after)
        tl_loop_stop(s->loop);
}

static void on_stun(void *user, tl_sock sock, const tl_addr *from, tl_slice datagram,
                    const tl_stun *stun)
{
    scene *s = user;
    assert_true(datagram.n >= 20);
    s->stuns++;
    s->last_sock = sock;
    s->last_from = *from;
    s->last_class = stun->class;
    seen_one(s);
}

static void on_train(void *user, tl_sock sock, const tl_addr *from, uint8_t *data, size_t n,
                     size_t segment)
{
    scene *s = user;
    for (size_t at = 0; at < n; at += segment)
        assert_true(data[at] >= 0x40);
    if (s->trains < TRAINS) {
        s->train_n[s->trains] = n;
        s->train_segment[s->trains] = segment;
    }
    if (s->trains++ == 0 && s->clock.on_due)
        tl_timer_set(&s->clock, tl_loop_now(s->loop));
    s->train_bytes += n;
    s->last_sock = sock;
    s->last_from = *from;
    if (s->close_in_train)
        tl_endpoint_close(s->endpoint, sock);
    seen_one(s);
}

static void on_rebuilt(void *user)
{
    scene *s = user;
    s->rebuilt++;
    seen_one(s);
}

static void on_deadline(void *user)
{
    scene *s = user;
    s->late = true;
    tl_loop_stop(s->loop);
}

static const tl_endpoint_events events = {
    .on_stun = on_stun, .on_train = on_train, .on_rebuilt = on_rebuilt};

static tl_addr loopback(uint16_t port)
{
    return (tl_addr){.family = TL_ADDR_V4, .port = port, .bytes = {127, 0, 0, 1}};
}

static tl_err open_endpoint(scene *s, uint16_t port, tl_why *why)
{
    tl_endpoint_config c = {.port = port, .port_file = s->port_file};
    return tl_endpoint_new(s->loop, &c, &events, s, &s->endpoint, why);
}

static void setup(scene *s)
{
    *s = (scene){.stop_after = SIZE_MAX};
    tl_why why = {""};
    tl_addr any = loopback(0);
    snprintf(s->dir, sizeof s->dir, "/tmp/tl-endpoint-XXXXXX");
    assert_non_null(mkdtemp(s->dir));
    snprintf(s->port_file, sizeof s->port_file, "%s/port", s->dir);
    assert_int_equal(tl_loop_new(&s->loop), TL_OK);
    tl_timer_init(&s->deadline, s->loop, on_deadline, s);
    assert_int_equal(tl_udp_open(&any, 1 << 20, &s->peer, &why), TL_OK);
    assert_int_equal(open_endpoint(s, 0, &why), TL_OK);
}

static void teardown(scene *s)
{
    tl_timer_stop(&s->deadline);
    tl_endpoint_free(s->endpoint);
    tl_udp_close(s->peer);
    tl_loop_free(s->loop);
    unlink(s->port_file);
    assert_int_equal(rmdir(s->dir), 0); /* nothing else was left behind */
}

/* Runs until `count` trains, STUN messages and rebuilds were seen, at most 10 s. */
static void run_until(scene *s, size_t count)
{
    s->stop_after = count;
    tl_timer_set(&s->deadline, tl_loop_clock(s->loop) + 10 * TL_SEC);
    tl_loop_run(s->loop);
    assert_false(s->late);
}

static void send_to(scene *s, uint16_t port, const void *data, size_t n, size_t segment)
{
    tl_addr to = loopback(port);
    assert_int_equal(tl_udp_send(s->peer, &to, data, n, segment ? segment : 1), TL_OK);
}

/* tl_udp sends no empty datagrams. */
static void send_empty(scene *s)
{
    struct sockaddr_storage ss;
    tl_addr to = loopback(tl_endpoint_port(s->endpoint));
    socklen_t n = tl_addr_to_sockaddr(&to, &ss);
    assert_int_equal(sendto(tl_udp_fd(s->peer), "", 0, 0, (struct sockaddr *)&ss, n), 0);
}

static size_t binding_request(uint8_t ret[TL_STUN_MAX])
{
    tl_stun_writer w;
    tl_stun_id id = {{1, 2, 3}};
    tl_stun_begin(&w, TL_STUN_REQUEST, &id);
    tl_stun_finish(&w);
    memcpy(ret, w.bytes, w.n);
    return w.n;
}

static void datagrams_are_told_apart_by_their_first_byte(void **state)
{
    (void)state;
    scene s;
    setup(&s);
    uint16_t port = tl_endpoint_port(s.endpoint);
    uint8_t bytes[64], stun[TL_STUN_MAX];
    size_t n = binding_request(stun);

    send_empty(&s);
    memset(bytes, 0x40, sizeof bytes);
    send_to(&s, port, bytes, 20, 64); /* one less than any QUIC packet */
    memset(bytes, 0x20, sizeof bytes);
    send_to(&s, port, bytes, 40, 64);
    bytes[0] = 0x0C;
    send_to(&s, port, bytes, 40, 64);
    bytes[0] = 0x01; /* no cookie behind it */
    send_to(&s, port, bytes, 40, 64);
    stun[3] ^= 4; /* a length that is not the datagram's */
    send_to(&s, port, stun, n, 548);
    stun[3] ^= 4;
    send_to(&s, port, stun, n, 548);
    memset(bytes, 0xC3, sizeof bytes);
    send_to(&s, port, bytes, 21, 64);
    run_until(&s, 2);

    const tl_endpoint_counters *c = tl_endpoint_counters_of(s.endpoint);
    assert_int_equal(s.stuns, 1);
    assert_int_equal(s.last_class, TL_STUN_REQUEST);
    assert_int_equal(s.trains, 1);
    assert_int_equal(s.train_n[0], 21);
    tl_addr peer = tl_udp_local(s.peer);
    assert_true(tl_addr_eq(&s.last_from, &peer));
    assert_int_equal(tl_sock_base(s.last_sock), tl_endpoint_sock4(s.endpoint));
    assert_int_equal(c->dropped_short, 2);
    assert_int_equal(c->dropped_unknown, 2);
    assert_int_equal(c->dropped_control, 1);
    assert_int_equal(c->dropped_malformed, 1);
    assert_int_equal(c->datagrams_in, 8);
    assert_int_equal(c->bytes_in, 20 + 40 * 3 + 2 * n + 21);
    teardown(&s);
}

static void a_train_is_handed_on_whole(void **state)
{
    (void)state;
    scene s;
    setup(&s);
    static uint8_t bytes[1200 * 20 + 700];
    memset(bytes, 0x41, sizeof bytes);
    send_to(&s, tl_endpoint_port(s.endpoint), bytes, sizeof bytes, 1200);
    while (s.train_bytes < sizeof bytes)
        run_until(&s, s.trains + 1);
    assert_int_equal(tl_endpoint_counters_of(s.endpoint)->datagrams_in, 21);
    assert_int_equal(s.trains, 1); /* GSO over loopback stays one train where GRO is on */
    assert_int_equal(s.train_segment[0], 1200);
    teardown(&s);
}

static void what_is_mixed_into_a_train_does_not_pass_as_quic(void **state)
{
    (void)state;
    scene s;
    setup(&s);
    uint8_t stun[TL_STUN_MAX], bytes[6 * 28 + 10];
    assert_int_equal(binding_request(stun), 28);
    memset(bytes, 0x41, sizeof bytes);
    memcpy(bytes + 28 * 2, stun, 28); /* quic quic stun quic unknown quic, and ten bytes */
    bytes[28 * 4] = 0x33;
    send_to(&s, tl_endpoint_port(s.endpoint), bytes, sizeof bytes, 28);
    run_until(&s, 4);
    const tl_endpoint_counters *c = tl_endpoint_counters_of(s.endpoint);
    assert_int_equal(s.stuns, 1);
    assert_int_equal(s.trains, 3);
    assert_int_equal(s.train_n[0], 56);
    assert_int_equal(s.train_n[1], 28);
    assert_int_equal(s.train_n[2], 28);
    assert_int_equal(c->dropped_unknown, 1);
    assert_int_equal(c->dropped_short, 1);
    assert_int_equal(c->datagrams_in, 7);
    teardown(&s);
}

static void the_port_is_the_same_after_a_restart(void **state)
{
    (void)state;
    scene s;
    setup(&s);
    tl_why why = {""};
    uint16_t port = tl_endpoint_port(s.endpoint);
    assert_int_equal(tl_portfile_read(s.port_file), port);
    tl_endpoint_free(s.endpoint);
    assert_int_equal(open_endpoint(&s, 0, &why), TL_OK);
    assert_int_equal(tl_endpoint_port(s.endpoint), port);
    teardown(&s);
}

static void a_remembered_port_that_is_taken_gives_way_to_another(void **state)
{
    (void)state;
    scene s;
    setup(&s);
    tl_why why = {""};
    tl_endpoint_free(s.endpoint);
    uint16_t taken = tl_udp_local(s.peer).port;
    assert_int_equal(tl_portfile_write(s.port_file, taken, &why), TL_OK);
    assert_int_equal(open_endpoint(&s, 0, &why), TL_OK);
    assert_int_not_equal(tl_endpoint_port(s.endpoint), taken);
    assert_int_equal(tl_portfile_read(s.port_file), tl_endpoint_port(s.endpoint));
    teardown(&s);
}

static void a_configured_port_that_is_taken_is_an_error_that_names_it(void **state)
{
    (void)state;
    scene s;
    setup(&s);
    tl_why why = {""};
    uint16_t mine = tl_endpoint_port(s.endpoint);
    tl_endpoint_free(s.endpoint);
    s.endpoint = NULL;
    uint16_t taken = tl_udp_local(s.peer).port;
    char text[8];
    snprintf(text, sizeof text, "%u", taken);
    assert_int_equal(open_endpoint(&s, taken, &why), TL_ERR_EXISTS);
    assert_non_null(strstr(why.text, text));
    assert_non_null(strstr(why.text, "in use"));
    assert_int_equal(open_endpoint(&s, mine, &why), TL_OK); /* the twin, whose port is free */
    assert_int_equal(tl_endpoint_port(s.endpoint), mine);
    teardown(&s);
}

static void put(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void a_port_file_with_anything_but_a_port_is_ignored(void **state)
{
    (void)state;
    scene s;
    setup(&s);
    static const struct {
        const char *text;
        uint16_t port;
    } cases[] = {
        {"41820\n", 41820},
        {"41820", 41820},
        {"1024\n", 1024},
        {"65535\n", 65535},
        {"1023\n", 0},
        {"65536\n", 0},
        {"041820\n", 0},
        {"41820 \n", 0},
        {"", 0},
        {"\n", 0},
        {"-4182\n", 0},
        {"4182x\n", 0},
        {"41820\n\n", 0},
        {"418204182041", 0},
        {"0x1000\n", 0},
        {"4294967296\n", 0},
        {"0\n", 0},
        {"\xff\xfe", 0},
        {"41820\r\n", 0},
        {"41820\n41821\n", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        put(s.port_file, cases[i].text);
        assert_int_equal(tl_portfile_read(s.port_file), cases[i].port);
    }
    unlink(s.port_file);
    assert_int_equal(mkfifo(s.port_file, 0600), 0);
    assert_int_equal(tl_portfile_read(s.port_file), 0); /* and does not wait for a writer */
    teardown(&s);
}

static void a_port_file_that_says_so_already_is_left_alone(void **state)
{
    (void)state;
    scene s;
    setup(&s);
    tl_why why = {""};
    struct stat before, after;
    put(s.port_file, "41820\n");
    assert_int_equal(stat(s.port_file, &before), 0);
    assert_int_equal(tl_portfile_write(s.port_file, 41820, &why), TL_OK);
    assert_int_equal(stat(s.port_file, &after), 0);
    assert_int_equal(before.st_ino, after.st_ino);
    assert_int_equal(tl_portfile_write(s.port_file, 41821, &why), TL_OK);
    assert_int_equal(stat(s.port_file, &after), 0);
    assert_int_not_equal(before.st_ino, after.st_ino); /* the twin: renamed over */
    assert_int_equal(tl_portfile_read(s.port_file), 41821);
    teardown(&s);
}

static void a_port_file_that_cannot_be_written_stops_nothing(void **state)
{
    (void)state;
    scene s;
    setup(&s);
    tl_why why = {""};
    tl_endpoint_free(s.endpoint);
    unlink(s.port_file);
    snprintf(s.port_file, sizeof s.port_file, "%s/no/such/place", s.dir);
    assert_int_equal(tl_portfile_write(s.port_file, 41820, &why), TL_ERR_IO);
    assert_non_null(strstr(why.text, s.port_file));
    assert_int_equal(open_endpoint(&s, 0, &why), TL_OK);
    teardown(&s);
}

static void both_families_share_the_port(void **state)
{
    (void)state;
    scene s;
    setup(&s);
    tl_udp *peer6;
    tl_why why;
    tl_addr at = {.family = TL_ADDR_V6, .bytes = {[15] = 1}};
    if (!tl_endpoint_sock6(s.endpoint) || tl_udp_open(&at, 1 << 16, &peer6, &why)) {
        teardown(&s);
        skip_because("no IPv6 here");
    }
    uint8_t bytes[40];
    memset(bytes, 0x41, sizeof bytes);
    at.port = tl_endpoint_port(s.endpoint);
    assert_int_equal(tl_udp_send(peer6, &at, bytes, sizeof bytes, sizeof bytes), TL_OK);
    run_until(&s, 1);
    assert_int_equal(tl_sock_base(s.last_sock), tl_endpoint_sock6(s.endpoint));
    assert_int_equal(s.last_from.family, TL_ADDR_V6);
    assert_int_not_equal(tl_endpoint_sock6(s.endpoint), tl_endpoint_sock4(s.endpoint));
    tl_udp_close(peer6);
    teardown(&s);
}

static void what_cannot_be_sent_there_breaks_no_socket(void **state)
{
    (void)state;
    scene s;
    setup(&s);
    uint8_t bytes[30] = {0x40};
    tl_sock sock = tl_endpoint_sock4(s.endpoint);
    tl_addr v6 = {.family = TL_ADDR_V6, .port = 9, .bytes = {[15] = 1}};
    tl_addr no_port = loopback(0), good = tl_udp_local(s.peer);
    tl_addr broadcast = {.family = TL_ADDR_V4, .port = 9, .bytes = {255, 255, 255, 255}};
    assert_int_equal(tl_endpoint_send(s.endpoint, sock, &v6, bytes, 30, 30), TL_ERR_UNREACHABLE);
    assert_int_equal(tl_endpoint_send(s.endpoint, sock, &no_port, bytes, 30, 30),
                     TL_ERR_UNREACHABLE);
    assert_int_not_equal(tl_endpoint_send(s.endpoint, sock, &broadcast, bytes, 30, 30), TL_OK);
    assert_int_equal(tl_endpoint_send(s.endpoint, sock + 512, &good, bytes, 30, 30),
                     TL_ERR_NOT_FOUND);
    assert_int_equal(tl_endpoint_send(s.endpoint, 0, &good, bytes, 30, 30), TL_ERR_NOT_FOUND);
    assert_int_equal(tl_endpoint_send(s.endpoint, sock, &good, bytes, 30, 15), TL_OK);
    assert_int_equal(tl_endpoint_sock4(s.endpoint), sock);
    assert_int_equal(tl_endpoint_counters_of(s.endpoint)->send_errors, 3);
    assert_int_equal(tl_endpoint_counters_of(s.endpoint)->datagrams_out, 2);
    assert_int_equal(tl_endpoint_counters_of(s.endpoint)->bytes_out, 30);
    teardown(&s);
}

/* The descriptor of the IPv4 socket with this port, other than the peer's. */
static int descriptor_of(const scene *s, uint16_t port)
{
    for (int fd = 3; fd < 1024; fd++) {
        struct sockaddr_in in;
        socklen_t n = sizeof in;
        if (fd != tl_udp_fd(s->peer) && !getsockname(fd, (struct sockaddr *)&in, &n) &&
            in.sin_family == AF_INET && ntohs(in.sin_port) == port)
            return fd;
    }
    return -1;
}

static void a_socket_that_breaks_is_opened_anew_on_the_same_port(void **state)
{
    (void)state;
    scene s;
    setup(&s);
    uint16_t port = tl_endpoint_port(s.endpoint);
    tl_sock before = tl_endpoint_sock4(s.endpoint);
    int fd = descriptor_of(&s, port), null = open("/dev/null", O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0 && null >= 0);
    assert_int_equal(dup2(null, fd), fd); /* what was a socket is none any more */
    close(null);
    uint8_t bytes[30];
    memset(bytes, 0x42, sizeof bytes);
    tl_addr to = tl_udp_local(s.peer);
    assert_int_equal(tl_endpoint_send(s.endpoint, before, &to, bytes, 30, 30), TL_ERR_IO);
    run_until(&s, 1);
    assert_int_equal(s.rebuilt, 1);
    assert_int_equal(tl_endpoint_port(s.endpoint), port);
    tl_sock after = tl_endpoint_sock4(s.endpoint);
    assert_int_not_equal(after, before);
    assert_int_equal(tl_endpoint_send(s.endpoint, before, &to, bytes, 30, 30), TL_ERR_NOT_FOUND);
    assert_int_equal(tl_endpoint_send(s.endpoint, after, &to, bytes, 30, 30), TL_OK);
    send_to(&s, port, bytes, 30, 30);
    run_until(&s, 2);
    assert_int_equal(tl_sock_base(s.last_sock), after);
    teardown(&s);
}

static void further_sockets_are_opened_heard_and_closed_one_by_one(void **state)
{
    (void)state;
    scene s;
    setup(&s);
    tl_sock socks[TL_ENDPOINT_EXTRA_MAX + 10];
    size_t n = tl_endpoint_open(s.endpoint, socks, TL_ENDPOINT_EXTRA_MAX + 10);
    assert_int_equal(n, TL_ENDPOINT_EXTRA_MAX);
    assert_int_equal(tl_endpoint_open(s.endpoint, socks + n, 1), 0);
    uint8_t bytes[30];
    memset(bytes, 0x42, sizeof bytes);
    tl_addr to = tl_udp_local(s.peer);
    assert_int_equal(tl_endpoint_send(s.endpoint, socks[7], &to, bytes, 30, 30), TL_OK);
    tl_udp_train trains[TL_UDP_TRAINS_MAX];
    size_t got;
    assert_int_equal(tl_udp_receive(s.peer, trains, &got), TL_OK);
    assert_int_not_equal(trains[0].from.port, tl_endpoint_port(s.endpoint));
    send_to(&s, trains[0].from.port, bytes, 30, 30); /* back to the very socket */
    run_until(&s, 1);
    assert_int_equal(tl_sock_base(s.last_sock), socks[7]);
    tl_endpoint_close(s.endpoint, socks[7]);
    assert_int_equal(tl_endpoint_send(s.endpoint, socks[7], &to, bytes, 30, 30), TL_ERR_NOT_FOUND);
    assert_int_equal(tl_endpoint_send(s.endpoint, socks[8], &to, bytes, 30, 30), TL_OK);
    tl_endpoint_close(s.endpoint, tl_endpoint_sock4(s.endpoint)); /* not one of those */
    assert_int_not_equal(tl_endpoint_sock4(s.endpoint), 0);
    teardown(&s);
}

static void a_socket_may_be_closed_by_what_it_receives(void **state)
{
    (void)state;
    scene s;
    setup(&s);
    tl_sock sock;
    assert_int_equal(tl_endpoint_open(s.endpoint, &sock, 1), 1);
    uint8_t bytes[30];
    memset(bytes, 0x42, sizeof bytes);
    tl_addr to = tl_udp_local(s.peer);
    assert_int_equal(tl_endpoint_send(s.endpoint, sock, &to, bytes, 30, 30), TL_OK);
    tl_udp_train trains[TL_UDP_TRAINS_MAX];
    size_t got;
    assert_int_equal(tl_udp_receive(s.peer, trains, &got), TL_OK);
    for (size_t i = 0; i < 3; i++)
        send_to(&s, trains[0].from.port, bytes, 25 + i, 30);
    s.close_in_train = true;
    run_until(&s, 1);
    send_to(&s, tl_endpoint_port(s.endpoint), bytes, 30, 30);
    run_until(&s, 2);
    assert_int_equal(s.trains, 2); /* the other two were the closed socket's */
    assert_int_equal(tl_sock_base(s.last_sock), tl_endpoint_sock4(s.endpoint));
    teardown(&s);
}

static void on_clock(void *user)
{
    scene *s = user;
    s->trains_before_clock = s->trains;
}

static void a_flood_leaves_other_work_its_turn(void **state)
{
    (void)state;
    scene s;
    setup(&s);
    uint8_t bytes[400];
    memset(bytes, 0x42, sizeof bytes);
    tl_timer_init(&s.clock, s.loop, on_clock, &s);
    for (size_t i = 0; i < 200; i++)
        send_to(&s, tl_endpoint_port(s.endpoint), bytes, 100 + i, 400);
    run_until(&s, 200);
    assert_in_range(s.trains_before_clock, 1, 2 * TL_UDP_TRAINS_MAX);
    tl_timer_stop(&s.clock);
    teardown(&s);
}

static bool on_control(void *user, tl_sock sock, const tl_addr *from, tl_slice datagram)
{
    scene *s = user;
    (void)from;
    s->last_sock = sock;
    s->train_bytes += datagram.n;
    return datagram.p[1] == 7; /* RelayPath is for somebody here */
}

static void control_datagrams_are_told_and_counted_where_nobody_wants_them(void **state)
{
    (void)state;
    scene s;
    tl_why why;
    uint8_t bytes[64] = {0x0C, 7}, quic[21];
    setup(&s);
    tl_endpoint_free(s.endpoint);
    tl_endpoint_events with_control = events;
    with_control.on_control = on_control;
    tl_endpoint_config c = {.port_file = s.port_file};
    assert_int_equal(tl_endpoint_new(s.loop, &c, &with_control, &s, &s.endpoint, &why), TL_OK);
    uint16_t port = tl_endpoint_port(s.endpoint);
    memset(quic, 0xC3, sizeof quic);
    send_to(&s, port, bytes, 40, 64);
    bytes[1] = 9;
    send_to(&s, port, bytes, 30, 64);
    send_to(&s, port, bytes, 1, 64); /* no type */
    send_to(&s, port, quic, 21, 64);
    run_until(&s, 1);
    assert_int_equal(s.train_bytes, 40 + 30 + 21);
    assert_int_equal(tl_endpoint_counters_of(s.endpoint)->dropped_control, 1);
    assert_int_equal(tl_endpoint_counters_of(s.endpoint)->dropped_short, 1);
    teardown(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(control_datagrams_are_told_and_counted_where_nobody_wants_them),
        cmocka_unit_test(datagrams_are_told_apart_by_their_first_byte),
        cmocka_unit_test(a_train_is_handed_on_whole),
        cmocka_unit_test(what_is_mixed_into_a_train_does_not_pass_as_quic),
        cmocka_unit_test(the_port_is_the_same_after_a_restart),
        cmocka_unit_test(a_remembered_port_that_is_taken_gives_way_to_another),
        cmocka_unit_test(a_configured_port_that_is_taken_is_an_error_that_names_it),
        cmocka_unit_test(a_port_file_with_anything_but_a_port_is_ignored),
        cmocka_unit_test(a_port_file_that_says_so_already_is_left_alone),
        cmocka_unit_test(a_port_file_that_cannot_be_written_stops_nothing),
        cmocka_unit_test(both_families_share_the_port),
        cmocka_unit_test(what_cannot_be_sent_there_breaks_no_socket),
        cmocka_unit_test(a_socket_that_breaks_is_opened_anew_on_the_same_port),
        cmocka_unit_test(further_sockets_are_opened_heard_and_closed_one_by_one),
        cmocka_unit_test(a_socket_may_be_closed_by_what_it_receives),
        cmocka_unit_test(a_flood_leaves_other_work_its_turn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
