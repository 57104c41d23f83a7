/* Limits of nodes through a whole relay: bytes a second, time, sessions. */
#include "harness.h"

#include <stdlib.h>
#include <string.h>

#define TOKENS ",\"features\":[\"quiet\",\"relay-token\"]"
#define QUIET  ",\"features\":[\"quiet\"]"
#define UA     "198.51.100.10:1000"
#define KB     1024u

static tl_relay_config limited(void)
{
    tl_relay_config c = tl_relay_config_default();
    c.tokens.socket_count = 1;
    assert_int_equal(tl_addr_parse(TL_SLICE_LIT("192.0.2.1:3478"), &c.tokens.sockets[0]), TL_OK);
    c.limits.on = true;
    return c;
}

static tl_node_id id_of(uint8_t seed)
{
    uint8_t bytes[32];
    tl_identity id;
    memset(bytes, seed, sizeof bytes);
    assert_int_equal(tl_identity_from_seed(bytes, &id), TL_OK);
    return id.id;
}

static void take_offer(peer *p, tl_signal_relay_offer *ret)
{
    peer_expect(p, TL_SIGNAL_RELAY_OFFER);
    assert_int_equal(tl_signal_read_relay_offer(&p->signal, ret), TL_OK);
}

static void expect_close(peer *p, const char *reason)
{
    peer_expect(p, TL_SIGNAL_RELAY_CLOSE);
    assert_true(tl_slice_eq(p->signal.reason, tl_slice_str(reason)));
}

/* A session that neither idleness nor the network ends. */
static void keep_alive_for(world *w, peer *a, peer *b, const char *session, unsigned seconds)
{
    for (unsigned s = 0; s < seconds; s += 20) {
        peer_send_session(a, "relayData", b, session, "QUJD");
        peer_send_frame(b, TL_WS_PING, true, "", 0);
        world_run(w, 20 * TL_SEC);
    }
}

static void nothing_is_limited_where_limits_are_off(void **state)
{
    (void)state;
    world w;
    world_init(&w, NULL);
    peer *a = peer_join(&w, 1, QUIET), *b = peer_join(&w, 2, QUIET);
    peers_open(a, b, "s");
    static char data[40000];
    memset(data, 'A', sizeof data - 1);
    for (int i = 0; i < 100; i++)
        peer_send_session(a, "relayData", b, "s", data);
    assert_false(a->paused);
    world_run(&w, 250 * TL_SEC);
    peer_drop_all(b);
    peer_expect_nothing(a);
    world_clear(&w);
}

/* Sends as fast as the relay reads for that time; returns the bytes that came through. */
static uint64_t pump_json(world *w, peer *a, peer *b, tl_time span, size_t n)
{
    char *data = malloc(n + 1);
    assert_non_null(data);
    memset(data, 'A', n);
    data[n] = 0;
    uint64_t bytes = 0;
    const tl_signal *s;
    for (tl_time end = w->now + span; w->now < end;) {
        while (!a->paused)
            peer_send_session(a, "relayData", b, "s", data);
        world_run(w, 5 * TL_MS);
        while ((s = peer_take(b)))
            bytes += s->data.n / 4 * 3;
    }
    free(data);
    return bytes;
}

static void the_sender_of_relay_data_is_not_read_while_it_has_had_its_bytes(void **state)
{
    (void)state;
    tl_relay_config c = limited();
    tl_node_id friends[] = {id_of(3)};
    c.limits.reciprocal = friends;
    c.limits.reciprocal_count = 1;
    for (uint8_t seed = 1; seed <= 3; seed += 2) {
        world w;
        world_init(&w, &c);
        peer *a = peer_join(&w, seed, QUIET), *b = peer_join(&w, 2, QUIET);
        peers_open(a, b, "s");
        uint64_t rate = (seed == 3 ? 256 : 64) * KB, got = pump_json(&w, a, b, 10 * TL_SEC, 4000);
        assert_in_range(got, 10 * rate * 95 / 100, 10 * rate + rate / 2);
        assert_true(tl_relay_counters_of(w.relay)->waits > 10);
        peer_expect_nothing(a); /* nothing was refused */
        world_clear(&w);
    }
}

static void a_message_longer_than_the_burst_waits_and_is_paid_for(void **state)
{
    (void)state;
    tl_relay_config c = limited();
    world w;
    world_init(&w, &c);
    peer *a = peer_join(&w, 1, QUIET), *b = peer_join(&w, 2, QUIET);
    peers_open(a, b, "s");
    uint64_t got = pump_json(&w, a, b, 60 * TL_SEC, 400000); /* 300 KB each */
    assert_in_range(got, 60 * 64 * KB * 90 / 100, 60 * 64 * KB + 300 * 1000);
    peer_expect_nothing(a);
    world_clear(&w);
}

static void ten_sessions_of_one_node_have_its_rate_together(void **state)
{
    (void)state;
    tl_relay_config c = limited();
    world w;
    tl_signal_relay_offer offer[10], other;
    uint8_t token[10][16], packet[1016];
    world_datagram d;
    world_init(&w, &c);
    peer *a = peer_join(&w, 1, TOKENS);
    for (int i = 0; i < 10; i++) {
        char name[8];
        peer *b = peer_join(&w, (uint8_t)(10 + i), TOKENS);
        snprintf(name, sizeof name, "s-%d", i);
        peers_open(a, b, name);
        take_offer(a, &offer[i]);
        take_offer(b, &other);
        assert_int_equal(offer[i].limit_bytes_per_second, 64 * KB);
        memcpy(token[i], offer[i].token, 16);
        world_datagrams(&w, "198.51.100.11:2000", other.token, 16, 16);
    }
    uint64_t passed = 0;
    memset(packet, 'x', sizeof packet);
    for (int i = 0; i < 60000; i++) { /* 2 MB/s for 30 s */
        memcpy(packet, token[i % 10], 16);
        world_datagrams(&w, UA, packet, sizeof packet, sizeof packet);
        w.now += 500 * TL_US;
        while (world_take_datagram(&w, &d))
            passed += d.n;
    }
    assert_in_range(passed, 30 * 64 * KB * 98 / 100, 30 * 64 * KB * 105 / 100);
    assert_true(tl_relay_datagrams_of(w.relay)->dropped[TL_TOKENS_DROP_RATE] > 50000);
    world_clear(&w);
}

static void coming_back_brings_no_new_burst(void **state)
{
    (void)state;
    tl_relay_config c = limited();
    world w;
    world_init(&w, &c);
    peer *b = peer_join(&w, 2, QUIET);
    uint64_t got = 0;
    tl_time began = w.now;
    for (int i = 0; i < 50; i++) {
        peer *a = peer_join(&w, 1, QUIET);
        peers_open(a, b, "s");
        got += pump_json(&w, a, b, 20 * TL_MS, 2000);
        peer_disconnect(a);
        world_drop_last(&w);
        world_run(&w, TL_MS);
        peer_drop_all(b);
    }
    assert_true(got <= 64 * KB * (w.now - began) / TL_SEC);
    world_clear(&w);
}

static void an_idle_session_ends_and_keep_alives_keep_it(void **state)
{
    (void)state;
    tl_relay_config c = limited();
    world w;
    tl_signal_relay_offer offer;
    world_init(&w, &c);
    peer *a = peer_join(&w, 1, TOKENS), *b = peer_join(&w, 2, TOKENS);
    peers_open(a, b, "s");
    take_offer(a, &offer);
    peer_drop_all(b);
    for (int i = 0; i < 10; i++) { /* a token alone every 20 s */
        world_datagrams(&w, UA, offer.token, 16, 16);
        world_run(&w, 20 * TL_SEC);
        peer_send_frame(a, TL_WS_PING, true, "", 0);
        peer_send_frame(b, TL_WS_PING, true, "", 0);
    }
    peer_expect_nothing(b);
    world_run(&w, 39 * TL_SEC);
    peer_expect_nothing(b);
    world_run(&w, 2 * TL_SEC);
    expect_close(a, "idle");
    expect_close(b, "idle");
    assert_int_equal(tl_relay_counters_of(w.relay)->sessions_idle, 1);
    peers_open(a, b, "s"); /* it may begin again at once */
    world_clear(&w);
}

static void after_ten_minutes_a_session_ends_with_a_warning_and_a_pause(void **state)
{
    (void)state;
    tl_relay_config c = limited();
    world w;
    tl_signal_relay_offer offer;
    tl_signal_relay_warning warning;
    world_init(&w, &c);
    peer *a = peer_join(&w, 1, TOKENS), *b = peer_join(&w, 2, TOKENS);
    peers_open(a, b, "s");
    take_offer(a, &offer);
    take_offer(b, &offer);
    assert_int_equal(offer.expires_at, 1700000000 + 600);
    keep_alive_for(&w, a, b, "s", 560);
    peer_expect_nothing(a);
    peer_drop_all(b);
    world_run(&w, 11 * TL_SEC);
    peer_expect(a, TL_SIGNAL_RELAY_WARNING);
    assert_int_equal(tl_signal_read_relay_warning(&a->signal, &warning), TL_OK);
    assert_string_equal(warning.session, "s");
    assert_string_equal(warning.reason, "session_max");
    assert_int_equal(warning.ends_at, 1700000000 + 600);
    peer_expect(b, TL_SIGNAL_RELAY_WARNING);
    peer_expect_nothing(a);
    world_run(&w, 30 * TL_SEC);
    expect_close(a, "session_max");
    expect_close(b, "session_max");
    assert_int_equal(tl_relay_counters_of(w.relay)->sessions_timed_out, 1);
    peer_send_session(b, "relayOpen", a, "s2", NULL);
    peer_expect_error(b, TL_SIGNAL_RATE_LIMITED);
    peer *other = peer_join(&w, 3, TOKENS);
    peers_open(a, other, "s3"); /* with others each may go on */
    world_run(&w, 60 * TL_SEC);
    peer_drop_all(a);
    peer_drop_all(b);
    peers_open(a, b, "s2");
    world_clear(&w);
}

static void reopening_in_time_does_not_escape_the_end(void **state)
{
    (void)state;
    tl_relay_config c = limited();
    world w;
    world_init(&w, &c);
    peer *a = peer_join(&w, 1, QUIET), *b = peer_join(&w, 2, QUIET);
    for (int i = 0; i < 5; i++) {
        peers_open(a, b, "s");
        keep_alive_for(&w, a, b, "s", 100);
        peer_drop_all(b);
        peer_send_session(a, "relayClose", b, "s", NULL);
        peer_expect(b, TL_SIGNAL_RELAY_CLOSE);
    }
    peers_open(a, b, "s");
    keep_alive_for(&w, a, b, "s", 80);
    peer_expect_nothing(a);
    world_run(&w, 21 * TL_SEC);
    expect_close(a, "session_max"); /* and no warning: they do not know it */
    peer_send_session(a, "relayOpen", b, "s", NULL);
    peer_expect_error(a, TL_SIGNAL_RATE_LIMITED);
    world_clear(&w);
}

static void a_session_with_a_reciprocal_node_has_no_end(void **state)
{
    (void)state;
    tl_relay_config c = limited();
    tl_node_id friends[] = {id_of(2)};
    world w;
    tl_signal_relay_offer offer;
    c.limits.reciprocal = friends;
    c.limits.reciprocal_count = 1;
    world_init(&w, &c);
    peer *a = peer_join(&w, 1, TOKENS), *b = peer_join(&w, 2, TOKENS);
    peers_open(a, b, "s");
    take_offer(a, &offer);
    assert_int_equal(offer.expires_at, 0);
    assert_int_equal(offer.limit_bytes_per_second,
                     64 * KB); /* what it may send is its own matter */
    take_offer(b, &offer);
    assert_int_equal(offer.limit_bytes_per_second, 256 * KB);
    for (int i = 0; i < 10; i++) {
        keep_alive_for(&w, a, b, "s", 200);
        peer_send_session(b, "relayData", a, "s", "QUJD");
        peer_drop_all(b);
        peer_expect(a, TL_SIGNAL_RELAY_DATA);
        peer_expect_nothing(a);
    }
    world_clear(&w);
}

typedef struct {
    unsigned taken, most;
} places;

static bool take_place(void *shared)
{
    places *p = shared;
    return p->taken < p->most ? ++p->taken : 0;
}

static void give_place(void *shared)
{
    ((places *)shared)->taken--;
}

static void relays_of_one_process_share_the_bound_of_sessions(void **state)
{
    (void)state;
    places p = {.most = 3};
    tl_relay_config c = limited();
    c.limits.max_sessions = 1000;
    c.limits.take = take_place;
    c.limits.give = give_place;
    c.limits.shared = &p;
    world w[2];
    peer *peers[2][6];
    for (int i = 0; i < 2; i++) {
        world_init(&w[i], &c);
        for (int k = 0; k < 6; k++)
            peers[i][k] = peer_join(&w[i], (uint8_t)(10 * i + k + 1), QUIET);
    }
    peers_open(peers[0][0], peers[0][1], "a");
    peers_open(peers[0][2], peers[0][3], "b");
    peers_open(peers[1][0], peers[1][1], "a");
    for (int i = 0; i < 2; i++) {
        peer_send_session(peers[i][4], "relayOpen", peers[i][5], "more", NULL);
        peer_expect_error(peers[i][4], TL_SIGNAL_BUSY);
    }
    assert_int_equal(p.taken, 3);
    peer_send_session(peers[0][0], "relayClose", peers[0][1], "a", NULL);
    assert_int_equal(p.taken, 2);
    peers_open(peers[1][4], peers[1][5], "more");
    for (int i = 0; i < 2; i++)
        world_clear(&w[i]); /* who leaves gives it back, too */
    assert_int_equal(p.taken, 0);
}

static void session_51_is_busy_until_one_of_the_others_ends(void **state)
{
    (void)state;
    tl_relay_config c = limited();
    world w;
    tl_signal_error e;
    world_init(&w, &c);
    peer *a = peer_join(&w, 1, QUIET), *b[52];
    for (int i = 0; i < 52; i++)
        b[i] = peer_join(&w, (uint8_t)(10 + i), QUIET);
    for (int i = 0; i < 49; i++) {
        char name[8];
        snprintf(name, sizeof name, "s-%d", i);
        peers_open(a, b[i], name);
    }
    /* two are asked for while there is room for one: who answers last is late */
    peer_send_session(a, "relayOpen", b[49], "s-49", NULL);
    peer_send_session(a, "relayOpen", b[50], "s-50", NULL);
    peer_expect(b[49], TL_SIGNAL_RELAY_OPEN);
    peer_expect(b[50], TL_SIGNAL_RELAY_OPEN);
    peer_send_session(b[49], "relayReady", a, "s-49", NULL);
    peer_expect(a, TL_SIGNAL_RELAY_READY);
    peer_send_session(b[50], "relayReady", a, "s-50", NULL);
    peer_expect_error(a, TL_SIGNAL_BUSY);
    assert_int_equal(tl_signal_read_error(&a->signal, &e), TL_OK);
    assert_string_equal(e.about, "relayOpen");
    assert_string_equal(e.session, "s-50");
    peer_expect(a, TL_SIGNAL_RELAY_CLOSE);
    peer_expect(b[50], TL_SIGNAL_RELAY_CLOSE);
    peer_send_session(a, "relayOpen", b[51], "s-51", NULL);
    peer_expect_error(a, TL_SIGNAL_BUSY);
    peer_expect_nothing(b[51]);
    peer_send_session(a, "relayClose", b[0], "s-0", NULL);
    peers_open(a, b[51], "s-51");
    world_clear(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_limited_where_limits_are_off),
        cmocka_unit_test(the_sender_of_relay_data_is_not_read_while_it_has_had_its_bytes),
        cmocka_unit_test(a_message_longer_than_the_burst_waits_and_is_paid_for),
        cmocka_unit_test(ten_sessions_of_one_node_have_its_rate_together),
        cmocka_unit_test(coming_back_brings_no_new_burst),
        cmocka_unit_test(an_idle_session_ends_and_keep_alives_keep_it),
        cmocka_unit_test(after_ten_minutes_a_session_ends_with_a_warning_and_a_pause),
        cmocka_unit_test(reopening_in_time_does_not_escape_the_end),
        cmocka_unit_test(a_session_with_a_reciprocal_node_has_no_end),
        cmocka_unit_test(relays_of_one_process_share_the_bound_of_sessions),
        cmocka_unit_test(session_51_is_busy_until_one_of_the_others_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
