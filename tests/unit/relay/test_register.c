#include "harness.h"

#include "crypto/sign.h"

#include <stdio.h>
#include <string.h>

static void a_right_proof_registers(void **state)
{
    (void)state;
    world w;
    world_init(&w, NULL);
    peer *p = peer_connect(&w, 1);
    tl_signal_ack ack;
    peer_register_as(p, NULL, NULL, NULL, NULL);
    peer_expect(p, TL_SIGNAL_REGISTER_ACK);
    assert_int_equal(tl_signal_read_ack(&p->signal, &ack), TL_OK);
    assert_string_equal(ack.node_id, p->node);
    assert_int_equal(ack.ttl_seconds, 300);
    assert_string_equal(ack.observed, "198.51.100.7:40000");
    assert_true(ack.registered_at == 1700000000.0 - 978307200.0);
    assert_int_equal(tl_relay_counters_of(w.relay)->nodes_registered, 1);
    world_clear(&w);
}

static void expect_refused(peer *p, tl_signal_code code)
{
    peer_expect_error(p, code);
    peer_expect_nothing(p);
    assert_int_equal(p->closed, TL_WS_POLICY);
    assert_int_equal(tl_relay_counters_of(p->w->relay)->nodes_registered, 0);
}

static void a_proof_for_another_relay_is_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {"192.0.2.2:8080",    "192.0.2.1",      "192.0.2.1:80",
                                        "relay.example.org", "localhost:8080", ""};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        world w;
        world_init(&w, NULL);
        peer *p = peer_connect(&w, 1);
        peer_register_as(p, wrong[i], NULL, NULL, NULL);
        expect_refused(p, TL_SIGNAL_UNAUTHORIZED);
        world_clear(&w);
    }
}

static void a_proof_with_the_nonce_of_another_socket_is_refused(void **state)
{
    (void)state;
    world w;
    world_init(&w, NULL);
    peer *one = peer_connect(&w, 1), *two = peer_connect(&w, 1);
    assert_string_not_equal(one->nonce, two->nonce);
    peer_register_as(two, NULL, one->nonce, NULL, NULL);
    expect_refused(two, TL_SIGNAL_UNAUTHORIZED);
    peer_register_as(one, NULL, one->nonce, NULL, NULL);
    peer_expect(one, TL_SIGNAL_REGISTER_ACK);
    world_clear(&w);
}

static void a_configured_name_is_the_only_one(void **state)
{
    (void)state;
    tl_relay_config config = tl_relay_config_default();
    assert_int_equal(tl_relay_config_add_name(&config, "Relay.Example.org"), TL_OK);
    assert_int_equal(tl_relay_config_add_name(&config, "other:9000"), TL_OK);
    assert_int_equal(tl_relay_config_add_name(&config, "a b"), TL_ERR_PROTO);
    static const struct {
        const char *authority;
        bool good;
    } cases[] = {{"relay.example.org", true},
                 {"other:9000", true},
                 {"other", false},
                 {"relay.example.org:443", false},
                 {"192.0.2.1:8080", false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        world w;
        world_init(&w, &config);
        peer *p = peer_connect(&w, 1);
        peer_register_as(p, cases[i].authority, NULL, NULL, NULL);
        if (cases[i].good)
            peer_expect(p, TL_SIGNAL_REGISTER_ACK);
        else
            expect_refused(p, TL_SIGNAL_UNAUTHORIZED);
        world_clear(&w);
    }
}

static void the_default_port_is_left_out_and_localhost_means_loopback(void **state)
{
    (void)state;
    static const struct {
        const char *local, *authority;
        bool tls, good;
    } cases[] = {{"192.0.2.1:80", "192.0.2.1", false, true},
                 {"192.0.2.1:443", "192.0.2.1", true, true},
                 {"192.0.2.1:443", "192.0.2.1", false, false},
                 {"192.0.2.1:443", "192.0.2.1:443", false, true},
                 {"[2001:db8::1]:443", "[2001:db8::1]", true, true},
                 {"[2001:db8::1]:8443", "[2001:db8::1]:8443", true, true},
                 {"[::ffff:192.0.2.1]:80", "192.0.2.1", false, true},
                 {"127.0.0.1:8080", "localhost:8080", false, true},
                 {"127.0.0.1:8080", "127.0.0.1:8080", false, true},
                 {"127.0.0.1:8080", "localhost", false, false},
                 {"127.0.0.1:80", "localhost", false, true},
                 {"192.0.2.1:8080", "localhost:8080", false, false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        world w;
        world_init(&w, NULL);
        peer *p = peer_connect(&w, 1);
        tl_relay_on_gone(w.relay, p->conn, w.now); /* again, accepted on another address */
        assert_int_equal(tl_addr_parse(tl_slice_str(cases[i].local), &w.local), TL_OK);
        assert_int_equal(
            tl_relay_accept(w.relay, &w.remote, &w.local, cases[i].tls, p, w.now, &p->conn), TL_OK);
        tl_relay_output o;
        tl_relay_on_upgraded(w.relay, p->conn, w.now);
        assert_true(tl_relay_next_output(w.relay, &o));
        const char *nonce = strstr((const char *)o.bytes.p + 4, "nonce\":\"");
        memcpy(p->nonce, nonce + 8, 64);
        tl_relay_on_written(w.relay, p->conn, o.bytes.n, w.now);
        tl_relay_chunk_unref(o.shared);
        peer_register_as(p, cases[i].authority, NULL, NULL, NULL);
        if (cases[i].good)
            peer_expect(p, TL_SIGNAL_REGISTER_ACK);
        else
            expect_refused(p, TL_SIGNAL_UNAUTHORIZED);
        world_clear(&w);
    }
}

static void keys_of_small_order_never_register(void **state)
{
    (void)state;
    static const char *const keys[] = {
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        world w;
        world_init(&w, NULL);
        peer *p = peer_connect(&w, 1);
        /* R = the neutral element, S = 0: verifies under lax rules for such a key */
        peer_send(p,
                  "{\"register\":{\"nodeID\":\"%s\",\"publicKey\":\"%s\",\"displayName\":\"\","
                  "\"capabilities\":{},"
                  "\"challengeSignature\":\"01%0126d\"}}",
                  keys[i], keys[i], 0);
        expect_refused(p, TL_SIGNAL_UNAUTHORIZED);
        world_clear(&w);
    }
}

static void malformed_registrations_close_the_socket(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        tl_signal_code code;
    } cases[] = {{"{\"register\":{}}", TL_SIGNAL_INVALID_REGISTER},
                 {"{\"register\":5}", TL_SIGNAL_INVALID_REGISTER},
                 {"{\"register\":{\"_0\":[]}}", TL_SIGNAL_INVALID_REGISTER}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        world w;
        world_init(&w, NULL);
        peer *p = peer_connect(&w, 1);
        peer_send(p, "%s", cases[i].text);
        expect_refused(p, cases[i].code);
        world_clear(&w);
    }
}

static void send_legacy(peer *p, bool right)
{
    char hex[2 * TL_SIGNATURE_SIZE + 1];
    tl_signature signature;
    assert_int_equal(tl_sign_bare(&p->identity, tl_slice_str(p->node), &signature), TL_OK);
    signature.bytes[3] ^= !right;
    tl_signature_write(hex, &signature);
    peer_send(p,
              "{\"register\":{\"nodeID\":\"%s\",\"publicKey\":\"%s\",\"displayName\":\"\","
              "\"capabilities\":{},"
              "\"signature\":\"%s\"}}",
              p->node, p->node, hex);
}

static void old_clients_come_in_only_where_they_are_allowed(void **state)
{
    (void)state;
    for (int allowed = 0; allowed < 2; allowed++) {
        for (int right = 0; right < 2; right++) {
            tl_relay_config config = tl_relay_config_default();
            config.legacy_clients = allowed;
            world w;
            world_init(&w, &config);
            peer *p = peer_connect(&w, 1);
            send_legacy(p, right);
            if (allowed && right)
                peer_expect(p, TL_SIGNAL_REGISTER_ACK);
            else
                expect_refused(p, TL_SIGNAL_UNAUTHORIZED);
            world_clear(&w);
        }
    }
}

static void a_wrong_proof_is_not_saved_by_an_old_signature(void **state)
{
    (void)state;
    tl_relay_config config = tl_relay_config_default();
    char hex[2 * TL_SIGNATURE_SIZE + 1], extra[200];
    tl_signature signature;
    config.legacy_clients = true;
    world w;
    world_init(&w, &config);
    peer *p = peer_connect(&w, 1);
    assert_int_equal(tl_sign_bare(&p->identity, tl_slice_str(p->node), &signature), TL_OK);
    tl_signature_write(hex, &signature);
    snprintf(extra, sizeof extra, ",\"signature\":\"%s\"", hex);
    peer_register_as(p, "elsewhere", NULL, NULL, extra);
    expect_refused(p, TL_SIGNAL_UNAUTHORIZED);
    world_clear(&w);
}

static void a_socket_may_register_again_as_itself_and_never_as_another(void **state)
{
    (void)state;
    world w;
    world_init(&w, NULL);
    peer *a = peer_join(&w, 1, NULL), *b = peer_join(&w, 2, NULL);
    world_run(&w, TL_SEC);
    peer_drop_all(a);
    peer_register_as(a, NULL, NULL, "{\"new\":1}", NULL);
    peer_expect(a, TL_SIGNAL_REGISTER_ACK);
    world_run(&w, TL_SEC);
    peer_expect_nothing(b); /* it did not join a second time */
    assert_int_equal(tl_relay_counters_of(w.relay)->nodes_registered, 2);
    tl_identity own = a->identity;
    a->identity = b->identity;
    memcpy(a->node, b->node, sizeof a->node);
    peer_register_as(a, NULL, NULL, NULL, NULL);
    peer_expect_error(a, TL_SIGNAL_FORBIDDEN);
    assert_int_equal(a->closed, 0);
    a->identity = own;
    assert_int_equal(tl_relay_counters_of(w.relay)->nodes_registered, 2);
    world_clear(&w);
}

static void a_second_socket_of_a_node_wins(void **state)
{
    (void)state;
    world w;
    world_init(&w, NULL);
    peer *old = peer_join(&w, 1, NULL), *other = peer_join(&w, 2, NULL);
    peers_open(old, other, "s");
    world_run(&w, TL_SEC);
    peer_drop_all(old);
    peer_drop_all(other);
    peer *new = peer_join(&w, 1, NULL);
    peer_expect_error(old, TL_SIGNAL_REPLACED);
    peer_expect_nothing(old);
    assert_int_equal(old->closed, TL_WS_SERVICE_RESTART);
    peer_expect(other, TL_SIGNAL_RELAY_CLOSE); /* the session's socket went */
    world_run(&w, TL_SEC);
    peer_expect_nothing(other); /* the node neither left nor joined */
    assert_int_equal(tl_relay_counters_of(w.relay)->nodes_registered, 2);
    peers_open(other, new, "s");
    peer_disconnect(old);
    assert_int_equal(tl_relay_counters_of(w.relay)->nodes_registered, 2);
    world_clear(&w);
}

static void nothing_but_registering_is_allowed_before(void **state)
{
    (void)state;
    world w;
    world_init(&w, NULL);
    peer *in = peer_join(&w, 1, NULL), *p = peer_connect(&w, 2);
    peer_send(p, "{\"discover\":{\"requestingNodeID\":\"%s\"}}", p->node);
    peer_expect_error(p, TL_SIGNAL_NOT_REGISTERED);
    peer_send_session(p, "relayOpen", in, "s", NULL);
    peer_expect_error(p, TL_SIGNAL_NOT_REGISTERED);
    peer_send_session(p, "relayData", in, "s", "QUJD");
    peer_expect_error(p, TL_SIGNAL_NOT_REGISTERED);
    peer_send(p, "{\"peerJoined\":{}}");
    peer_expect_error(p, TL_SIGNAL_NOT_REGISTERED);
    peer_register_as(p, NULL, NULL, NULL, NULL);
    peer_expect(p, TL_SIGNAL_REGISTER_ACK);
    world_run(&w, TL_SEC);
    peer_expect(in, TL_SIGNAL_PEER_JOINED);
    peer_expect_nothing(in);
    world_clear(&w);
}

static void whoever_does_not_register_in_time_is_closed(void **state)
{
    (void)state;
    world w;
    world_init(&w, NULL);
    peer *p = peer_connect(&w, 1);
    world_run(&w, 9 * TL_SEC);
    peer_send(p, "{\"x\":{}}"); /* frames do not help */
    peer_drop_all(p);
    world_run(&w, TL_SEC - 1);
    peer_expect_nothing(p);
    assert_int_equal(p->closed, 0);
    world_run(&w, 1);
    peer_expect_nothing(p);
    assert_int_equal(p->closed, TL_WS_POLICY);
    assert_false(p->cut);
    world_run(&w, 2 * TL_SEC);
    assert_true(p->cut); /* it did not go by itself */
    world_clear(&w);
}

static void whoever_does_not_finish_the_upgrade_is_cut(void **state)
{
    (void)state;
    world w;
    world_init(&w, NULL);
    peer *p = peer_connect(&w, 1);
    peer_disconnect(p);
    assert_int_equal(tl_relay_accept(w.relay, &w.remote, &w.local, false, p, w.now, &p->conn),
                     TL_OK);
    world_run(&w, 10 * TL_SEC - 1);
    assert_false(p->cut);
    world_run(&w, 1);
    assert_true(p->cut);
    world_clear(&w);
}

static void a_node_that_falls_silent_expires_and_any_frame_keeps_it(void **state)
{
    (void)state;
    world w;
    world_init(&w, NULL);
    peer *a = peer_join(&w, 1, NULL), *b = peer_join(&w, 2, NULL);
    for (int i = 0; i < 4; i++) {
        world_run(&w, 200 * TL_SEC);
        peer_send_frame(a, i % 2 ? TL_WS_PING : TL_WS_PONG, true, "", 0);
        if (i == 0)
            peer_send_frame(b, TL_WS_PING, true, "x", 1);
    }
    peer_drop_all(a);
    peer_drop_all(b);
    assert_int_equal(a->closed, 0);
    assert_int_equal(b->closed, TL_WS_GOING_AWAY); /* 300 s after its only ping */
    assert_int_equal(tl_relay_counters_of(w.relay)->nodes_registered, 1);
    assert_int_equal(tl_relay_counters_of(w.relay)->expired_ttl, 1);
    world_run(&w, 300 * TL_SEC - 1);
    assert_int_equal(tl_relay_counters_of(w.relay)->nodes_registered, 1);
    world_run(&w, 1);
    assert_int_equal(tl_relay_counters_of(w.relay)->nodes_registered, 0);
    world_clear(&w);
}

static void connections_are_bounded_by_address_and_in_all(void **state)
{
    (void)state;
    tl_relay_config config = tl_relay_config_default();
    config.conns_per_address_max = 5;
    config.unregistered_per_address_max = 3;
    config.conns_max = 7;
    world w;
    world_init(&w, &config);
    tl_relay_conn *c;
    peer *p[7];
    for (int i = 0; i < 3; i++)
        p[i] = peer_connect(&w, 0);
    assert_int_equal(tl_relay_accept(w.relay, &w.remote, &w.local, false, NULL, w.now, &c),
                     TL_ERR_BUSY);
    for (int i = 0; i < 3; i++)
        peer_register_as(p[i], NULL, NULL, NULL, NULL);
    p[3] = peer_connect(&w, 0);
    p[4] = peer_connect(&w, 0);
    assert_int_equal(tl_relay_accept(w.relay, &w.remote, &w.local, false, NULL, w.now, &c),
                     TL_ERR_BUSY);
    peer_disconnect(p[0]);
    p[0] = peer_connect(&w, 0);
    /* the addresses of one IPv6 /64 are one */
    assert_int_equal(tl_addr_parse(TL_SLICE_LIT("[2001:db8::1]:1"), &w.remote), TL_OK);
    p[5] = peer_connect(&w, 0);
    assert_int_equal(tl_addr_parse(TL_SLICE_LIT("[2001:db8::ffff:2]:1"), &w.remote), TL_OK);
    p[6] = peer_connect(&w, 0);
    assert_int_equal(tl_relay_accept(w.relay, &w.remote, &w.local, false, NULL, w.now, &c),
                     TL_ERR_BUSY);
    assert_int_equal(tl_relay_counters_of(w.relay)->conns_refused, 3);
    world_clear(&w);
}

static void connect_from(world *w, const char *address, bool welcome)
{
    tl_relay_conn *c;
    assert_int_equal(tl_addr_parse(tl_slice_str(address), &w->remote), TL_OK);
    if (welcome)
        peer_connect(w, 0);
    else
        assert_int_equal(tl_relay_accept(w->relay, &w->remote, &w->local, false, NULL, w->now, &c),
                         TL_ERR_BUSY);
}

static void unregistered_connections_of_one_site_are_bounded(void **state)
{
    (void)state;
    tl_relay_config config = tl_relay_config_default();
    config.unregistered_per_address_max = 2;
    config.unregistered_per_site_max = 3;
    world w;
    world_init(&w, &config);
    connect_from(&w, "[2001:db8:0:1::1]:1", true);
    connect_from(&w, "[2001:db8:0:2::1]:1", true);
    connect_from(&w, "[2001:db8:0:ffff::1]:1", true);
    connect_from(&w, "[2001:db8:0:3::1]:1", false);
    connect_from(&w, "[2001:db8:1:3::1]:1", true); /* another /48 */
    connect_from(&w, "192.0.2.77:1", true);
    connect_from(&w, "192.0.2.78:1", true); /* addresses of IPv4 are no site */
    connect_from(&w, "192.0.2.79:1", true);
    connect_from(&w, "192.0.2.80:1", true);
    peer_register_as(w.peers[0], NULL, NULL, NULL, NULL); /* it counts no more */
    connect_from(&w, "[2001:db8:0:3::1]:1", true);
    connect_from(&w, "[2001:db8:0:3::1]:1", false);
    peer_disconnect(w.peers[1]);
    connect_from(&w, "[2001:db8:0:4::1]:1", true);
    world_clear(&w);
}

/* It connects and goes away again, as often as it can in a second. Returns how often it could. */
static size_t knock(world *w, bool tls)
{
    tl_relay_conn *c;
    size_t n = 0;
    for (int i = 0; i < 1000; i++, w->now += TL_MS)
        for (int k = 0; k < 100; k++)
            if (!tl_relay_accept(w->relay, &w->remote, &w->local, tls, NULL, w->now, &c)) {
                tl_relay_on_gone(w->relay, c, w->now);
                n++;
            }
    return n;
}

static void who_only_knocks_gets_an_eighth_of_the_processor(void **state)
{
    (void)state;
    for (int tls = 0; tls < 2; tls++) {
        world w;
        world_init(&w, NULL);
        size_t a_second = tls ? 250 : 2500, burst = 20 * a_second;
        size_t first = knock(&w, tls);
        assert_true(first >= burst && first <= burst + a_second + 1);
        size_t second = knock(&w, tls);
        assert_true(second >= a_second - 1 && second <= a_second + 1);
        w.remote.bytes[3]++;
        assert_true(knock(&w, tls) >= burst); /* others do not pay for it */
        world_clear(&w);
    }
}

static void beyond_the_bound_the_oldest_unregistered_connection_makes_room(void **state)
{
    (void)state;
    tl_relay_config config = tl_relay_config_default();
    config.unregistered_max = 3;
    world w;
    world_init(&w, &config);
    peer *member = peer_join(&w, 1, NULL), *p[4];
    for (int i = 0; i < 4; i++)
        p[i] = peer_connect(&w, 0);
    world_run(&w, 0);
    assert_true(p[0]->cut && !p[1]->cut && !p[2]->cut && !p[3]->cut && !member->cut);
    peer_register_as(p[1], NULL, NULL, NULL, NULL);
    peer_connect(&w, 0);
    world_run(&w, 0);
    assert_true(!p[1]->cut && !p[2]->cut);
    assert_int_equal(tl_relay_counters_of(w.relay)->cut_unregistered, 1);
    world_clear(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_right_proof_registers),
        cmocka_unit_test(a_proof_for_another_relay_is_refused),
        cmocka_unit_test(a_proof_with_the_nonce_of_another_socket_is_refused),
        cmocka_unit_test(a_configured_name_is_the_only_one),
        cmocka_unit_test(the_default_port_is_left_out_and_localhost_means_loopback),
        cmocka_unit_test(keys_of_small_order_never_register),
        cmocka_unit_test(malformed_registrations_close_the_socket),
        cmocka_unit_test(old_clients_come_in_only_where_they_are_allowed),
        cmocka_unit_test(a_wrong_proof_is_not_saved_by_an_old_signature),
        cmocka_unit_test(a_socket_may_register_again_as_itself_and_never_as_another),
        cmocka_unit_test(a_second_socket_of_a_node_wins),
        cmocka_unit_test(nothing_but_registering_is_allowed_before),
        cmocka_unit_test(whoever_does_not_register_in_time_is_closed),
        cmocka_unit_test(whoever_does_not_finish_the_upgrade_is_cut),
        cmocka_unit_test(a_node_that_falls_silent_expires_and_any_frame_keeps_it),
        cmocka_unit_test(connections_are_bounded_by_address_and_in_all),
        cmocka_unit_test(unregistered_connections_of_one_site_are_bounded),
        cmocka_unit_test(who_only_knocks_gets_an_eighth_of_the_processor),
        cmocka_unit_test(beyond_the_bound_the_oldest_unregistered_connection_makes_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
