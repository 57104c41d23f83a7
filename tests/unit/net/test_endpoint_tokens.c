/* Relayed packets and KRPC at the node's port: told apart from QUIC, and relayed packets sent on in bursts. */
#include "io/udp.h"
#include "net/endpoint.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include <cmocka.h>

typedef struct {
    tl_loop *loop;
    tl_endpoint *endpoint;
    tl_udp *peer; /* on 127.0.0.1 */
    tl_timer deadline;
    bool takes, late;
    size_t quic, tokens, control, reads, krpc;
    size_t runs[8], n_runs; /* datagrams of each run of tokens */
    tl_burst_way way, control_way;
    bool has_way;
    size_t until; /* bytes of all kinds */
    tl_bursts bursts;
} scene;

static void seen(scene *s)
{
    if (s->quic + s->tokens + s->control + s->krpc >= s->until)
        tl_loop_stop(s->loop);
}

static void on_stun(void *user, tl_sock sock, const tl_addr *from, tl_slice datagram,
                    const tl_stun *stun)
{
    (void)user, (void)sock, (void)from, (void)datagram, (void)stun;
    fail();
}

static void on_train(void *user, tl_sock sock, const tl_addr *from, uint8_t *data, size_t n,
                     size_t segment)
{
    scene *s = user;
    (void)sock, (void)from;
    for (size_t at = 0; at < n; at += segment)
        assert_true(data[at] < 0x80 || data[at] > 0xBF);
    s->quic += n;
    seen(s);
}

static bool on_tokens(void *user, const tl_burst_way *way, uint8_t *data, size_t n, size_t segment)
{
    scene *s = user;
    if (!s->takes) {
        s->tokens += n;
        seen(s);
        return false;
    }
    for (size_t at = 0; at < n; at += segment) {
        assert_in_range(data[at], 0x80, 0xBF);
        size_t len = n - at < segment ? n - at : segment;
        if (len > 16) /* back to where it came from, without the token */
            assert_int_equal(tl_bursts_add(&s->bursts, way, tl_slice_of(data + at + 16, len - 16)),
                             TL_OK);
    }
    s->runs[s->n_runs++] = (n + segment - 1) / segment;
    s->way = *way;
    s->tokens += n;
    seen(s);
    return true;
}

static void on_read(void *user)
{
    scene *s = user;
    s->reads++;
    tl_endpoint_send_bursts(s->endpoint, &s->bursts);
    tl_bursts_reset(&s->bursts);
}

static bool on_control(void *user, tl_sock sock, const tl_addr *from, tl_slice datagram)
{
    scene *s = user;
    s->has_way = tl_endpoint_way(s->endpoint, sock, from, &s->control_way);
    s->control += datagram.n;
    seen(s);
    return true;
}

static bool on_krpc(void *user, tl_sock sock, const tl_addr *from, tl_slice datagram)
{
    scene *s = user;
    tl_burst_way way;
    assert_true(tl_endpoint_way(s->endpoint, sock, from, &way)); /* it came to the port */
    s->krpc += datagram.n;
    seen(s);
    return datagram.n > 4;
}

static void on_rebuilt(void *user)
{
    (void)user;
}

static void on_deadline(void *user)
{
    scene *s = user;
    s->late = true;
    tl_loop_stop(s->loop);
}

static void setup(scene *s)
{
    static const tl_endpoint_events events = {.on_stun = on_stun,
                                              .on_train = on_train,
                                              .on_rebuilt = on_rebuilt,
                                              .on_control = on_control,
                                              .on_krpc = on_krpc,
                                              .on_tokens = on_tokens,
                                              .on_read = on_read};
    tl_why why = {""};
    tl_endpoint_config c = {0};
    tl_addr any = {.family = TL_ADDR_V4, .bytes = {127, 0, 0, 1}};
    struct timeval patience = {10, 0};
    *s = (scene){.takes = true, .until = SIZE_MAX};
    assert_int_equal(tl_loop_new(&s->loop), TL_OK);
    tl_timer_init(&s->deadline, s->loop, on_deadline, s);
    assert_int_equal(tl_udp_open(&any, 1 << 20, &s->peer, &why), TL_OK);
    assert_int_equal(
        setsockopt(tl_udp_fd(s->peer), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
    assert_int_equal(tl_endpoint_new(s->loop, &c, &events, s, &s->endpoint, &why), TL_OK);
}

static void teardown(scene *s)
{
    tl_timer_stop(&s->deadline);
    tl_endpoint_free(s->endpoint);
    tl_udp_close(s->peer);
    tl_loop_free(s->loop);
    tl_bursts_clear(&s->bursts);
}

static void send_train(scene *s, const uint8_t *data, size_t n, size_t segment)
{
    tl_addr to = {
        .family = TL_ADDR_V4, .port = tl_endpoint_port(s->endpoint), .bytes = {127, 0, 0, 1}};
    assert_int_equal(tl_udp_send(s->peer, &to, data, n, segment), TL_OK);
}

static void run_until(scene *s, size_t bytes)
{
    s->until = bytes;
    tl_timer_set(&s->deadline, tl_loop_clock(s->loop) + 10 * TL_SEC);
    tl_loop_run(s->loop);
    assert_false(s->late);
}

static void relayed_packets_in_a_train_go_on_together_and_never_as_quic(void **state)
{
    (void)state;
    enum { SIZE = 40 };
    static const uint8_t firsts[] = {0x41, 0x80, 0xBF, 0x9A, 0xC3, 0x7F, 0xA0};
    scene s;
    uint8_t bytes[sizeof firsts * SIZE + 3];
    setup(&s);
    memset(bytes, 0x85, sizeof bytes);
    for (size_t i = 0; i < sizeof firsts; i++)
        bytes[i * SIZE] = firsts[i];
    send_train(&s, bytes, sizeof bytes, SIZE); /* the last is 3 bytes long */
    run_until(&s, sizeof bytes);
    assert_int_equal(s.quic, 3 * SIZE);
    assert_int_equal(s.tokens, 4 * SIZE + 3);
    assert_int_equal(s.n_runs, 2);
    assert_int_equal(s.runs[0], 3);
    assert_int_equal(s.runs[1], 2);
    tl_addr peer = tl_udp_local(s.peer);
    assert_true(tl_addr_eq(&s.way.remote, &peer));
    assert_true(tl_addr_is_loopback(&s.way.local));
    assert_int_equal(s.way.local.port, tl_endpoint_port(s.endpoint));
    assert_int_equal(s.way.socket, 0);
    teardown(&s);
}

static void what_was_gathered_leaves_after_each_read(void **state)
{
    (void)state;
    scene s;
    uint8_t bytes[5 * 116], got[2000];
    setup(&s);
    for (size_t i = 0; i < 5; i++) {
        memset(bytes + i * 116, 0x90, 16);
        memset(bytes + i * 116 + 16, (int)i + 1, 100);
    }
    send_train(&s, bytes, sizeof bytes, 116);
    run_until(&s, sizeof bytes);
    assert_true(s.reads >= 1);
    size_t n = 0;
    while (n < 500) { /* GRO may join them again */
        ssize_t k = recv(tl_udp_fd(s.peer), got + n, sizeof got - n, 0);
        if (k > 0)
            n += (size_t)k;
    }
    assert_int_equal(n, 500);
    for (size_t i = 0; i < 500; i++)
        assert_int_equal(got[i], i / 100 + 1);
    const tl_endpoint_counters *c = tl_endpoint_counters_of(s.endpoint);
    assert_int_equal(c->datagrams_out, 5);
    assert_int_equal(c->bytes_out, 500);
    teardown(&s);
}

static void where_nobody_relays_such_packets_are_dropped_and_counted(void **state)
{
    (void)state;
    scene s;
    uint8_t bytes[2 * 30 + 10];
    setup(&s);
    s.takes = false;
    memset(bytes, 0x91, sizeof bytes);
    send_train(&s, bytes, sizeof bytes, 30);
    bytes[0] = 0x41;
    send_train(&s, bytes, 30, 30);
    while (!s.quic)
        run_until(&s, s.quic + s.tokens + 1);
    const tl_endpoint_counters *c = tl_endpoint_counters_of(s.endpoint);
    assert_int_equal(c->dropped_unknown, 3);
    assert_int_equal(c->dropped_short, 0);
    assert_int_equal(s.quic, 30);
    teardown(&s);
}

static void a_control_datagram_says_to_which_address_of_ours_it_came(void **state)
{
    (void)state;
    scene s;
    uint8_t bytes[20] = {0x0C, 4};
    setup(&s);
    send_train(&s, bytes, sizeof bytes, 20);
    run_until(&s, 20);
    assert_true(s.has_way);
    assert_true(tl_addr_is_loopback(&s.control_way.local));
    assert_int_equal(s.control_way.local.port, tl_endpoint_port(s.endpoint));
    tl_addr peer = tl_udp_local(s.peer);
    assert_false(tl_endpoint_way(s.endpoint, 0, &peer, &s.control_way));
    tl_sock any;
    assert_int_equal(tl_endpoint_open(s.endpoint, &any, 1), 1);
    assert_false(tl_endpoint_way(s.endpoint, any, &peer, &s.control_way)); /* not of the port */
    teardown(&s);
}

static void krpc_is_told_and_nothing_else_takes_it(void **state)
{
    (void)state;
    scene s;
    uint8_t train[75];
    setup(&s);
    memset(train, 0xC3, sizeof train);
    memcpy(train + 25, "d1:y1:q1:xxxxxxxxxxxxxxxe", 25); /* between two QUIC packets */
    send_train(&s, train, sizeof train, 25);
    send_train(&s, (const uint8_t *)"d1:e", 4, 4); /* it is not wanted there */
    run_until(&s, sizeof train + 4);
    assert_int_equal(s.quic, 50);
    assert_int_equal(s.krpc, 25 + 4);
    assert_int_equal(tl_endpoint_counters_of(s.endpoint)->dropped_krpc, 1);
    teardown(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(relayed_packets_in_a_train_go_on_together_and_never_as_quic),
        cmocka_unit_test(what_was_gathered_leaves_after_each_read),
        cmocka_unit_test(where_nobody_relays_such_packets_are_dropped_and_counted),
        cmocka_unit_test(a_control_datagram_says_to_which_address_of_ours_it_came),
        cmocka_unit_test(krpc_is_told_and_nothing_else_takes_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
