/* Relayed datagrams through a whole relay: who is offered tokens, and what goes from UDP to WebSocket
 * and back. */
#include "harness.h"

#include "relay/signed.h"

#include <stdlib.h>
#include <string.h>

#define TOKENS ",\"features\":[\"quiet\",\"relay-token\"]"
#define UA     "198.51.100.10:1000"
#define UB     "198.51.100.11:2000"

/* Two nodes with an open session and its tokens. */
typedef struct {
    world w;
    peer *a, *b;
    uint8_t token[2][16];
    tl_signal_relay_offer offer[2];
} pair;

static void take_offer(peer *p, uint8_t ret_token[16], tl_signal_relay_offer *ret)
{
    peer_expect(p, TL_SIGNAL_RELAY_OFFER);
    assert_int_equal(tl_signal_read_relay_offer(&p->signal, ret), TL_OK);
    assert_string_equal(ret->session, "s-1");
    memcpy(ret_token, ret->token, 16);
}

static void world_with_udp(world *w)
{
    tl_relay_config config = tl_relay_config_default();
    config.tokens.socket_count = 1;
    assert_int_equal(tl_addr_parse(TL_SLICE_LIT("192.0.2.1:3478"), &config.tokens.sockets[0]),
                     TL_OK);
    strcpy(config.udp, "192.0.2.1:3478");
    world_init(w, &config);
}

static void pair_init(pair *p)
{
    world_with_udp(&p->w);
    p->a = peer_join(&p->w, 1, TOKENS);
    p->b = peer_join(&p->w, 2, TOKENS);
    peers_open(p->a, p->b, "s-1");
    take_offer(p->a, p->token[0], &p->offer[0]);
    take_offer(p->b, p->token[1], &p->offer[1]);
}

/* A packet of that side. */
static size_t packet(const pair *p, int side, const char *payload, uint8_t ret[256])
{
    memcpy(ret, p->token[side], 16);
    memcpy(ret + 16, payload, strlen(payload));
    return 16 + strlen(payload);
}

static void by_udp(pair *p, int side, const char *from, const char *payload)
{
    uint8_t bytes[256];
    size_t n = packet(p, side, payload, bytes);
    world_datagrams(&p->w, from, bytes, n, n);
}

static void by_websocket(pair *p, int side, const char *payload)
{
    uint8_t bytes[256];
    size_t n = packet(p, side, payload, bytes);
    peer_send_frame(side ? p->b : p->a, TL_WS_BINARY, true, bytes, n);
}

static void expect_sent(pair *p, const char *to, const char *payload)
{
    world_datagram d;
    tl_addr a;
    assert_int_equal(tl_addr_parse(tl_slice_str(to), &a), TL_OK);
    assert_true(world_take_datagram(&p->w, &d));
    assert_true(tl_addr_eq(&d.to, &a));
    assert_int_equal(d.n, strlen(payload));
    assert_memory_equal(d.bytes, payload, d.n);
}

static void expect_nothing_sent(pair *p)
{
    world_datagram d;
    assert_false(world_take_datagram(&p->w, &d));
}

static void expect_binary(peer *p, const char *payload)
{
    tl_slice got = peer_take_binary(p);
    assert_int_equal(got.n, strlen(payload));
    assert_memory_equal(got.p, payload, got.n);
}

/* What waits for a slow reader comes a window at a time. */
static void read_all(pair *p)
{
    for (int i = 0; i < 100; i++)
        world_run(&p->w, TL_MS);
}

static uint64_t dropped(const pair *p, tl_tokens_drop why)
{
    return tl_relay_datagrams_of(p->w.relay)->dropped[why];
}

static void both_members_are_offered_a_token_of_their_own_behind_relay_ready(void **state)
{
    (void)state;
    pair p;
    pair_init(&p);
    assert_memory_not_equal(p.token[0], p.token[1], 16);
    for (int i = 0; i < 2; i++) {
        assert_true(tl_token_is_first(p.token[i][0]));
        assert_int_equal(p.offer[i].expires_at, 0);
        assert_int_equal(p.offer[i].limit_bytes_per_second, 0);
    }
    peer_expect_nothing(p.a);
    peer_expect_nothing(p.b);
    world_clear(&p.w);
}

static void where_one_member_does_not_understand_tokens_nobody_is_offered_one(void **state)
{
    (void)state;
    world w;
    world_with_udp(&w);
    peer *a = peer_join(&w, 1, TOKENS), *b = peer_join(&w, 2, ",\"features\":[\"quiet\"]");
    peers_open(a, b, "s-1");
    peers_open(b, a, "s-2");
    peer_expect_nothing(a);
    peer_expect_nothing(b);
    peer_send_frame(b, TL_WS_BINARY, true, "0123456789abcdef", 16);
    peer_expect_error(b, TL_SIGNAL_UNSUPPORTED_MESSAGE);
    peer_send_frame(a, TL_WS_BINARY, true, "0123456789abcdef", 16);
    peer_expect_nothing(a);
    assert_int_equal(tl_relay_datagrams_of(w.relay)->dropped[TL_TOKENS_DROP_TOKEN], 1);
    world_clear(&w);
}

static void a_relay_without_udp_offers_tokens_for_the_websocket(void **state)
{
    (void)state;
    world w;
    world_init(&w, NULL);
    peer *a = peer_join(&w, 1, TOKENS), *b = peer_join(&w, 2, TOKENS);
    tl_signal_relay_offer offer;
    uint8_t token[16], bytes[20] = "................data";
    peers_open(a, b, "s-1");
    take_offer(a, token, &offer);
    peer_expect(b, TL_SIGNAL_RELAY_OFFER);
    memcpy(bytes, token, 16);
    peer_send_frame(a, TL_WS_BINARY, true, bytes, sizeof bytes);
    expect_binary(b, "data");
    world_clear(&w);
}

static void the_relay_bridges_udp_and_websocket_in_all_four_ways(void **state)
{
    (void)state;
    pair p;
    pair_init(&p);
    by_websocket(&p, 0, "ws to ws");
    expect_binary(p.b, "ws to ws");
    by_udp(&p, 0, UA, "udp to ws");
    expect_binary(p.b, "udp to ws");
    by_websocket(&p, 1, "ws to udp");
    expect_sent(&p, UA, "ws to udp");
    by_udp(&p, 1, UB, "udp to udp");
    expect_sent(&p, UA, "udp to udp");
    by_udp(&p, 0, UA, "and back");
    expect_sent(&p, UB, "and back");
    by_websocket(&p, 1, ""); /* a token alone: from now on by WebSocket */
    by_udp(&p, 0, UA, "again");
    expect_binary(p.b, "again");
    expect_nothing_sent(&p);
    world_clear(&p.w);
}

static void a_message_in_fragments_is_a_packet_too(void **state)
{
    (void)state;
    pair p;
    uint8_t bytes[256];
    pair_init(&p);
    by_udp(&p, 1, UB, "");
    size_t n = packet(&p, 0, "in three parts", bytes);
    peer_send_frame(p.a, TL_WS_BINARY, false, bytes, 5);
    peer_send_frame(p.a, TL_WS_CONTINUATION, false, bytes + 5, 15);
    peer_send_frame(p.a, TL_WS_CONTINUATION, true, bytes + 20, n - 20);
    expect_sent(&p, UB, "in three parts");
    by_websocket(&p, 1, "");
    peer_send_frame(p.a, TL_WS_BINARY, false, bytes, 5);
    peer_send_frame(p.a, TL_WS_CONTINUATION, true, bytes + 5, n - 5);
    expect_binary(p.b, "in three parts");
    world_clear(&p.w);
}

/* The kernel joins what one sender sent, whatever sessions it is of. */
static void each_datagram_of_a_train_is_judged_by_its_own_token(void **state)
{
    (void)state;
    pair p;
    uint8_t train[5 * 20 + 10];
    pair_init(&p);
    by_udp(&p, 0, UA, "");
    by_udp(&p, 1, UB, "");
    for (int i = 0; i < 5; i++) {
        memcpy(train + i * 20, p.token[0], 16);
        memset(train + i * 20 + 16, 'a' + i, 4);
    }
    train[2 * 20 + 3] ^= 1;              /* the third is a guess */
    memcpy(train + 100, p.token[0], 10); /* and the last too short */
    world_datagrams(&p.w, UA, train, sizeof train, 20);
    expect_sent(&p, UB, "aaaa");
    expect_sent(&p, UB, "bbbb");
    expect_sent(&p, UB, "dddd");
    expect_sent(&p, UB, "eeee");
    expect_nothing_sent(&p);
    assert_int_equal(dropped(&p, TL_TOKENS_DROP_TOKEN), 1);
    assert_int_equal(dropped(&p, TL_TOKENS_DROP_SHORT), 1);
    world_clear(&p.w);
}

static void tokens_die_with_their_session(void **state)
{
    (void)state;
    pair p;
    pair_init(&p);
    by_udp(&p, 0, UA, "");
    by_udp(&p, 1, UB, "");
    peer_send_session(p.b, "relayClose", p.a, "s-1", NULL);
    by_udp(&p, 0, UA, "late");
    by_websocket(&p, 1, "late");
    expect_nothing_sent(&p);
    assert_int_equal(dropped(&p, TL_TOKENS_DROP_TOKEN), 2);
    peer_expect(p.a, TL_SIGNAL_RELAY_CLOSE);
    peer_expect_nothing(p.a);
    peers_open(p.a, p.b, "s-1"); /* a new session has new ones */
    uint8_t token[16];
    take_offer(p.a, token, &p.offer[0]);
    assert_memory_not_equal(token, p.token[0], 16);
    peer_drop_all(p.b);
    peer_disconnect(p.b);
    peer_expect(p.a, TL_SIGNAL_RELAY_CLOSE);
    assert_int_equal(tl_relay_datagrams_of(p.w.relay)->udp_sides, 0);
    world_clear(&p.w);
}

static void a_token_on_the_socket_of_another_node_moves_nothing(void **state)
{
    (void)state;
    pair p;
    uint8_t bytes[256];
    pair_init(&p);
    peer *thief = peer_join(&p.w, 3, TOKENS);
    size_t n = packet(&p, 0, "stolen", bytes);
    peer_send_frame(thief, TL_WS_BINARY, true, bytes, n);
    peer_expect_nothing(thief); /* dropped in silence, and it stays connected */
    assert_int_equal(thief->closed, 0);
    assert_int_equal(dropped(&p, TL_TOKENS_DROP_SOURCE), 1);
    by_websocket(&p, 0, "mine");
    expect_binary(p.b, "mine");
    world_clear(&p.w);
}

static void a_node_that_does_not_read_loses_datagrams_that_came_by_udp(void **state)
{
    (void)state;
    pair p;
    static uint8_t bytes[1216];
    pair_init(&p);
    memcpy(bytes, p.token[0], 16);
    p.b->reads = false;
    for (int i = 0; i < 2000; i++)
        world_datagrams(&p.w, UA, bytes, sizeof bytes, sizeof bytes);
    uint64_t lost = dropped(&p, TL_TOKENS_DROP_SLOW);
    assert_in_range(lost, 1500, 1999); /* 256 KiB and a window wait, not all of it */
    p.b->reads = true;
    read_all(&p);
    uint64_t got = 0;
    while (peer_take_binary(p.b).n == 1200)
        got++;
    assert_int_equal(got + lost, 2000);
    assert_int_equal(
        tl_relay_datagrams_of(p.w.relay)->packets[TL_TOKENS_BY_UDP][TL_TOKENS_BY_STREAM], got);
    world_clear(&p.w);
}

static void a_sender_by_websocket_waits_for_a_reader_by_websocket(void **state)
{
    (void)state;
    pair p;
    static uint8_t bytes[16000];
    pair_init(&p);
    memcpy(bytes, p.token[0], 16);
    p.b->reads = false;
    int sent = 0;
    while (!p.a->paused && sent++ < 500)
        peer_send_frame(p.a, TL_WS_BINARY, true, bytes, sizeof bytes);
    assert_in_range(sent, 60, 80); /* a quarter of 4 MiB */
    p.b->reads = true;
    read_all(&p);
    assert_false(p.a->paused);
    int got = 0;
    while (peer_take_binary(p.b).n)
        got++;
    assert_int_equal(got, sent);
    assert_int_equal(dropped(&p, TL_TOKENS_DROP_SLOW), 0);
    world_clear(&p.w);
}

static void a_side_moves_with_a_word_by_websocket(void **state)
{
    (void)state;
    pair p;
    uint8_t bytes[TL_CONTROL_MAX];
    world_datagram d;
    pair_init(&p);
    by_udp(&p, 0, UA, "");
    by_udp(&p, 1, UB, "");
    tl_control c = {.type = TL_CONTROL_RELAY_MIGRATE, .sequence = 1, .timestamp = 1700000000};
    assert_int_equal(tl_addr_parse(TL_SLICE_LIT("203.0.113.5:77"), &c.addr), TL_OK);
    memcpy(c.token, p.token[0], 16);
    assert_int_equal(tl_control_sign(&c, &p.a->identity), TL_OK);
    peer_send_frame(p.a, TL_WS_BINARY, true, bytes, tl_control_write(&c, bytes));
    assert_true(world_take_datagram(&p.w, &d));
    assert_int_equal(tl_control_parse(tl_slice_of(d.bytes, d.n), &c), TL_OK);
    assert_int_equal(c.type, TL_CONTROL_RELAY_PATH);
    world_run(&p.w, 600 * TL_MS);               /* the first is lost, */
    assert_true(world_take_datagram(&p.w, &d)); /* and a second follows */
    c.type = TL_CONTROL_RELAY_PATH_REPLY;
    memcpy(c.token, p.token[0], 16);
    size_t n = tl_control_write(&c, bytes);
    world_datagrams(&p.w, "203.0.113.5:77", bytes, n, n);
    assert_true(world_take_datagram(&p.w, &d));
    assert_int_equal(d.bytes[1], TL_CONTROL_RELAY_MIGRATED);
    by_udp(&p, 1, UB, "there");
    expect_sent(&p, "203.0.113.5:77", "there");
    world_clear(&p.w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_members_are_offered_a_token_of_their_own_behind_relay_ready),
        cmocka_unit_test(where_one_member_does_not_understand_tokens_nobody_is_offered_one),
        cmocka_unit_test(a_relay_without_udp_offers_tokens_for_the_websocket),
        cmocka_unit_test(the_relay_bridges_udp_and_websocket_in_all_four_ways),
        cmocka_unit_test(a_message_in_fragments_is_a_packet_too),
        cmocka_unit_test(each_datagram_of_a_train_is_judged_by_its_own_token),
        cmocka_unit_test(tokens_die_with_their_session),
        cmocka_unit_test(a_token_on_the_socket_of_another_node_moves_nothing),
        cmocka_unit_test(a_node_that_does_not_read_loses_datagrams_that_came_by_udp),
        cmocka_unit_test(a_sender_by_websocket_waits_for_a_reader_by_websocket),
        cmocka_unit_test(a_side_moves_with_a_word_by_websocket),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
