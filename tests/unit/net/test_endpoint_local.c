/* An endpoint on a machine with several addresses: all of 127/8. */
#include "io/udp.h"
#include "net/endpoint.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define SIZE 40

typedef struct {
    tl_loop *loop;
    tl_endpoint *endpoint;
    tl_udp *peer; /* on 127.0.0.1 */
    tl_timer deadline;
    tl_sock sock; /* 0: nothing came */
    tl_addr from;
} scene;

static void on_stun(void *user, tl_sock sock, const tl_addr *from, tl_slice datagram,
                    const tl_stun *stun)
{
    scene *s = user;
    (void)datagram;
    (void)stun;
    s->sock = sock;
    s->from = *from;
    tl_loop_stop(s->loop);
}

static void on_train(void *user, tl_sock sock, const tl_addr *from, uint8_t *data, size_t n,
                     size_t segment)
{
    (void)data;
    (void)n;
    (void)segment;
    on_stun(user, sock, from, tl_slice_of(NULL, 0), NULL);
}

static void on_rebuilt(void *user)
{
    (void)user;
}

static void on_deadline(void *user)
{
    tl_loop_stop(((scene *)user)->loop);
}

static tl_addr ours(uint8_t third, uint8_t fourth, uint16_t port)
{
    return (tl_addr){.family = TL_ADDR_V4, .port = port, .bytes = {127, 0, third, fourth}};
}

static void setup(scene *s)
{
    static const tl_endpoint_events events = {on_stun, on_train, on_rebuilt};
    tl_endpoint_config config = {.port = 0};
    tl_addr any = ours(0, 1, 0);
    tl_why why = {""};
    *s = (scene){.sock = 0};
    assert_int_equal(tl_loop_new(&s->loop), TL_OK);
    tl_timer_init(&s->deadline, s->loop, on_deadline, s);
    assert_int_equal(tl_udp_open(&any, 1 << 20, &s->peer, &why), TL_OK);
    assert_int_equal(tl_endpoint_new(s->loop, &config, &events, s, &s->endpoint, &why), TL_OK);
}

static void teardown(scene *s)
{
    tl_timer_stop(&s->deadline);
    tl_endpoint_free(s->endpoint);
    tl_udp_close(s->peer);
    tl_loop_free(s->loop);
}

/* Sends to that address of the endpoint; s->sock and s->from tell what came. */
static void send_to(scene *s, const tl_addr *to, const uint8_t *bytes, size_t n)
{
    assert_int_equal(tl_udp_send(s->peer, to, bytes, n, n), TL_OK);
    s->sock = 0;
    tl_timer_set(&s->deadline, tl_loop_clock(s->loop) + 10 * TL_SEC);
    tl_loop_run(s->loop);
    assert_true(s->sock != 0);
    assert_int_equal(tl_sock_base(s->sock), tl_endpoint_sock4(s->endpoint));
}

static void an_answer_leaves_from_the_address_that_was_asked(void **state)
{
    (void)state;
    scene s;
    setup(&s);
    tl_sock seen[4] = {0};
    uint8_t quic[SIZE];
    tl_stun_writer w;
    tl_stun_id id = {{1, 2, 3}};
    tl_stun_begin(&w, TL_STUN_REQUEST, &id);
    tl_stun_finish(&w);
    memset(quic, 0x41, sizeof quic);
    for (uint8_t i = 0; i < 4; i++) { /* 127.0.0.1, 127.0.0.2, and both again */
        tl_addr to = ours(0, i % 2 + 1, tl_endpoint_port(s.endpoint));
        send_to(&s, &to, i < 2 ? w.bytes : quic, i < 2 ? w.n : sizeof quic);
        seen[i] = s.sock;
        assert_int_equal(tl_endpoint_send(s.endpoint, s.sock, &s.from, quic, SIZE, SIZE), TL_OK);
        tl_udp_train trains[TL_UDP_TRAINS_MAX];
        size_t got;
        assert_int_equal(tl_udp_receive(s.peer, trains, &got), TL_OK);
        assert_true(tl_addr_eq(&trains[0].from, &to));
    }
    assert_int_not_equal(seen[0], seen[1]);
    assert_int_equal(seen[0], seen[2]);
    assert_int_equal(seen[1], seen[3]);
    teardown(&s);
}

static void more_addresses_of_ours_than_there_is_room_for_are_told_without_their_name(void **state)
{
    (void)state;
    scene s;
    setup(&s);
    uint8_t quic[SIZE];
    memset(quic, 0x41, sizeof quic);
    for (unsigned i = 1; i <= TL_SOCK_LOCALS_MAX + 2; i++) {
        tl_addr to = ours(7, (uint8_t)i, tl_endpoint_port(s.endpoint));
        send_to(&s, &to, quic, sizeof quic);
        assert_int_equal(s.sock != tl_endpoint_sock4(s.endpoint), i <= TL_SOCK_LOCALS_MAX);
    }
    teardown(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_leaves_from_the_address_that_was_asked),
        cmocka_unit_test(more_addresses_of_ours_than_there_is_room_for_are_told_without_their_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
