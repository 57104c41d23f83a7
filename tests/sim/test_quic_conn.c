/* What a connection does, from its first message to its last, on an orderly network under a virtual
 * clock. */
#include "quic/quic_compat.h"
#include "quic_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

/* --- handshake --- */

static void both_ends_learn_who_the_other_is(void **state)
{
    (void)state;
    world w = world_new(NULL, NULL);
    world_connect(&w);
    assert_true(tl_node_id_eq(&w.a->connected_peer, &w.b->identity.id));
    assert_true(tl_node_id_eq(&w.b->connected_peer, &w.a->identity.id));
    assert_true(tl_quic_conn_is_client(quic_node_conn(w.a)));
    assert_false(tl_quic_conn_is_client(quic_node_conn(w.b)));
    assert_int_equal(tl_quic_conn_path(quic_node_conn(w.a)), PATH_A);
    assert_int_equal(tl_quic_conn_path(quic_node_conn(w.b)), PATH_B);
    world_free(&w);
}

static void the_client_is_connected_after_one_round_trip(void **state)
{
    (void)state;
    world w = world_new(NULL, NULL);
    tl_time start = sim_now(w.s);
    world_connect(&w);
    assert_int_equal(w.a->connected_at - start, 2 * DELAY);
    assert_int_equal(w.b->connected_at - start, 3 * DELAY);
    world_free(&w);
}

static void another_node_in_the_dialled_ones_place_stays_silent_and_is_refused(void **state)
{
    (void)state;
    world w = world_new(NULL, NULL);
    quic_node *other = quic_node_new(w.s, NULL);
    assert_non_null(quic_node_dial(w.a, other, PATH_A)); /* the link leads to b */
    assert_true(sim_run_while(w.s, quic_node_is_closed, w.a, 20 * TL_SEC));
    assert_int_equal(w.a->connected, 0);
    assert_int_equal(w.b->connected, 0);
    assert_int_equal(w.a->close_error, TL_ERR_TIMEOUT);
    assert_int_equal(counters(w.b)->datagrams_out, 0);
    assert_true(counters(w.b)->dropped_auth > 0);
    quic_node_free(other);
    world_free(&w);
}

static tl_suite suite_of(uint32_t client, uint32_t server)
{
    tl_quic_config ca = quic_node_config(), cb = quic_node_config();
    ca.suites = client;
    cb.suites = server;
    world w = world_new(&ca, &cb);
    world_connect(&w);
    tl_suite suite = tl_quic_conn_suite(quic_node_conn(w.a));
    assert_int_equal(suite, tl_quic_conn_suite(quic_node_conn(w.b)));
    quic_node_send(w.a, quic_node_conn(w.a), 100000);
    assert_true(sim_run_while(w.s, quic_node_all_done, w.a, 10 * TL_SEC));
    world_free(&w);
    return suite;
}

static void aes_is_used_where_both_have_it_and_chacha_otherwise(void **state)
{
    (void)state;
    const uint32_t aes = 1u << TL_SUITE_AES_128_GCM, chacha = 1u << TL_SUITE_CHACHA20_POLY1305;
    assert_int_equal(suite_of(aes | chacha, aes | chacha), TL_SUITE_AES_128_GCM);
    assert_int_equal(suite_of(aes | chacha, chacha), TL_SUITE_CHACHA20_POLY1305);
    assert_int_equal(suite_of(chacha, aes | chacha), TL_SUITE_CHACHA20_POLY1305);
    assert_int_equal(suite_of(chacha, chacha), TL_SUITE_CHACHA20_POLY1305);
}

static void nodes_without_a_common_suite_do_not_connect(void **state)
{
    (void)state;
    tl_quic_config ca = quic_node_config(), cb = quic_node_config();
    ca.suites = 1u << TL_SUITE_AES_128_GCM;
    cb.suites = 1u << TL_SUITE_CHACHA20_POLY1305;
    world w = world_new(&ca, &cb);
    assert_non_null(quic_node_dial(w.a, w.b, PATH_A));
    assert_true(sim_run_while(w.s, quic_node_is_closed, w.a, 20 * TL_SEC));
    assert_int_equal(w.a->close_error, TL_ERR_TIMEOUT);
    assert_int_equal(counters(w.b)->datagrams_out, 0);
    world_free(&w);
}

static void drop_all(void *user, sim_link *l, bool from_a, uint8_t *data, size_t *n, size_t cap)
{
    (void)user, (void)l, (void)from_a, (void)data, (void)cap;
    *n = 0;
}

static void a_dial_into_the_void_ends_after_the_handshake_timeout(void **state)
{
    (void)state;
    world w = world_new(NULL, NULL);
    sim_link_set_down(w.link, true);
    tl_time start = sim_now(w.s);
    assert_non_null(quic_node_dial(w.a, w.b, PATH_A));
    assert_true(sim_run_while(w.s, quic_node_is_closed, w.a, 20 * TL_SEC));
    assert_int_equal(w.a->close_error, TL_ERR_TIMEOUT);
    assert_in_range(sim_now(w.s) - start, 10 * TL_SEC, 10 * TL_SEC + 10 * TL_MS);
    assert_int_equal(counters(w.a)->handshakes_failed, 1);
    world_free(&w);
}

/* Lets one datagram of the client through: message 1. */
static void first_only(void *user, sim_link *l, bool from_a, uint8_t *data, size_t *n, size_t cap)
{
    (void)l, (void)data, (void)cap;
    unsigned *passed = user;
    if (from_a && (*passed)++ > 0)
        *n = 0;
}

static void the_server_shows_nothing_before_the_client_finished(void **state)
{
    (void)state;
    world w = world_new(NULL, NULL);
    unsigned passed = 0;
    sim_link_set_tap(w.link, first_only, &passed);
    assert_non_null(quic_node_dial(w.a, w.b, PATH_A));
    sim_run_for(w.s, 5 * TL_SEC);
    assert_int_equal(w.a->connected, 1); /* it has heard the server */
    quic_node_send(w.a, quic_node_conn(w.a), 1000);
    sim_run_for(w.s, 60 * TL_SEC);
    assert_true(passed > 1);
    assert_int_equal(w.b->connected, 0);
    assert_int_equal(w.b->opened, 0);
    assert_int_equal(w.b->closed, 0);
    assert_int_equal(counters(w.b)->handshakes_failed, 1);
    assert_int_equal(tl_quic_expiry(w.b->quic), TL_NEVER); /* and has forgotten it */
    world_free(&w);
}

static void two_nodes_that_dial_at_once_have_two_connections(void **state)
{
    (void)state;
    world w = world_new(NULL, NULL);
    assert_non_null(quic_node_dial(w.a, w.b, PATH_A));
    assert_non_null(quic_node_dial(w.b, w.a, PATH_B));
    sim_run_for(w.s, TL_SEC);
    assert_int_equal(w.a->conns_n, 2);
    assert_int_equal(w.b->conns_n, 2);
    world_free(&w);
}

static void a_restarted_node_is_dialled_anew(void **state)
{
    (void)state;
    world w = world_new(NULL, NULL);
    world_connect(&w);
    quic_node_restart(w.a);
    assert_non_null(quic_node_dial(w.a, w.b, PATH_A));
    sim_run_for(w.s, TL_SEC);
    assert_int_equal(w.a->connected, 2);
    assert_int_equal(w.b->connected, 2);
    world_free(&w);
}

static void dialling_stops_at_the_limit(void **state)
{
    (void)state;
    tl_quic_config c = quic_node_config();
    c.conns_max = 2;
    world w = world_new(&c, NULL);
    tl_quic_conn *conn;
    assert_non_null(quic_node_dial(w.a, w.b, PATH_A));
    assert_non_null(quic_node_dial(w.a, w.b, PATH_A));
    assert_int_equal(tl_quic_dial(w.a->quic, &w.b->identity.id, PATH_A, sim_now(w.s), 0, &conn),
                     TL_ERR_BUSY);
    world_free(&w);
}

/* --- time --- */

/* A ping and its acknowledgement; 1.x has every other acknowledgement acknowledged as well. */
#define KEEPALIVE_DATAGRAMS (NGTCP2_VERSION_NUM < 0x010000 ? 90 : 105)

static void keepalive_holds_an_idle_connection_at_little_cost(void **state)
{
    (void)state;
    world w = world_new(NULL, NULL);
    world_connect(&w);
    sim_run_for(w.s, 60 * TL_SEC);
    uint64_t timers = sim_timer_count(w.a->host) + sim_timer_count(w.b->host);
    uint64_t datagrams = counters(w.a)->datagrams_out + counters(w.b)->datagrams_out;
    sim_run_for(w.s, 1000 * TL_SEC); /* forty keepalives */
    assert_int_equal(w.a->closed + w.b->closed, 0);
    datagrams = counters(w.a)->datagrams_out + counters(w.b)->datagrams_out - datagrams;
    timers = sim_timer_count(w.a->host) + sim_timer_count(w.b->host) - timers;
    assert_in_range(datagrams, 78, KEEPALIVE_DATAGRAMS);
    assert_in_range(timers, 60, KEEPALIVE_DATAGRAMS); /* no more than one for each */
    world_free(&w);
}

static void without_keepalive_an_idle_connection_ends(void **state)
{
    (void)state;
    tl_quic_config c = quic_node_config();
    c.keepalive = 0;
    world w = world_new(&c, &c);
    world_connect(&w);
    tl_time start = sim_now(w.s);
    assert_true(sim_run_while(w.s, quic_node_is_closed, w.a, 100 * TL_SEC));
    assert_in_range(sim_now(w.s) - start, 59 * TL_SEC, 61 * TL_SEC);
    assert_int_equal(w.a->close_error, TL_ERR_TIMEOUT);
    sim_run_for(w.s, 5 * TL_SEC);
    assert_int_equal(w.b->closed, 1);
    assert_int_equal(tl_quic_expiry(w.a->quic), TL_NEVER);
    assert_int_equal(tl_quic_expiry(w.b->quic), TL_NEVER);
    world_free(&w);
}

static void a_dead_network_ends_the_connection_after_the_idle_timeout(void **state)
{
    (void)state;
    world w = world_new(NULL, NULL);
    world_connect(&w);
    sim_run_for(w.s, 10 * TL_SEC);
    sim_link_set_tap(w.link, drop_all, NULL);
    quic_job *j = quic_node_send(w.a, quic_node_conn(w.a), 1000);
    assert_true(sim_run_while(w.s, quic_node_is_closed, w.a, 100 * TL_SEC));
    assert_int_equal(w.a->close_error, TL_ERR_TIMEOUT);
    assert_true(j->closed); /* streams are told before */
    world_free(&w);
}

/* --- keys --- */

static void keys_change_under_way_and_nothing_is_lost(void **state)
{
    (void)state;
    tl_quic_config c = quic_node_config();
    c.key_update_packets = 3000;
    world w = world_new(&c, NULL);
    world_connect(&w);
    for (int i = 0; i < 10; i++) {
        quic_node_send(w.a, quic_node_conn(w.a), 2000000);
        assert_true(sim_run_while(w.s, quic_node_all_done, w.a, 60 * TL_SEC));
        sim_run_for(w.s, TL_SEC);
    }
    assert_true(counters(w.a)->key_updates >= 4);
    assert_in_range(counters(w.b)->key_updates, counters(w.a)->key_updates - 1,
                    counters(w.a)->key_updates + 1);
    assert_int_equal(w.a->closed + w.b->closed, 0);
    world_free(&w);
}

/* --- the end --- */

static void a_close_carries_code_and_reason(void **state)
{
    (void)state;
    world w = world_new(NULL, NULL);
    world_connect(&w);
    quic_job *j = quic_node_send(w.a, quic_node_conn(w.a), 5000000);
    sim_run_for(w.s, 30 * TL_MS);
    tl_quic_conn_close(quic_node_conn(w.a), 77, "going away\x1b[2J", sim_now(w.s));
    sim_wake(w.a->host);
    sim_run_for(w.s, DELAY);
    assert_int_equal(w.b->closed, 1);
    assert_int_equal(w.b->close_error, TL_OK);
    assert_int_equal(w.b->close_code, 77);
    assert_string_equal(w.b->close_why, "going away\\x1b[2J"); /* safe for a terminal */
    assert_int_equal(w.a->closed, 1);
    assert_int_equal(w.a->close_error, TL_OK);
    assert_true(j->closed);
    assert_true(only_job(w.b)->closed);
    sim_run_for(w.s, 10 * TL_SEC);
    assert_int_equal(tl_quic_expiry(w.a->quic), TL_NEVER);
    world_free(&w);
}

static void a_lost_close_is_repeated_when_the_peer_goes_on(void **state)
{
    (void)state;
    world w = world_new(NULL, NULL);
    world_connect(&w);
    sim_run_for(w.s, TL_SEC);
    sim_link_set_down(w.link, true);
    tl_quic_conn_close(quic_node_conn(w.a), 5, "bye", sim_now(w.s));
    sim_wake(w.a->host);
    sim_run_for(w.s, TL_MS);
    sim_link_set_down(w.link, false);
    quic_node_send(w.b, quic_node_conn(w.b), 1000);
    sim_run_for(w.s, 3 * DELAY);
    assert_int_equal(w.b->closed, 1);
    assert_int_equal(w.b->close_code, 5);
    world_free(&w);
}

static void what_arrived_before_the_close_can_still_be_read(void **state)
{
    (void)state;
    world w = world_new(NULL, NULL);
    world_connect(&w);
    quic_node_send(w.b, quic_node_conn(w.b), 3000);
    w.b->mute = true;
    sim_wake(w.b->host);
    sim_run_until(w.s, sim_now(w.s) + TL_MS);
    tl_quic_conn_close(quic_node_conn(w.b), 0, "", sim_now(w.s));
    sim_wake(w.b->host);
    sim_run_for(w.s, TL_SEC);
    assert_int_equal(only_job(w.a)->received, 3000);
    assert_true(only_job(w.a)->closed);
    assert_int_equal(w.a->closed, 1);
    world_free(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_ends_learn_who_the_other_is),
        cmocka_unit_test(the_client_is_connected_after_one_round_trip),
        cmocka_unit_test(another_node_in_the_dialled_ones_place_stays_silent_and_is_refused),
        cmocka_unit_test(aes_is_used_where_both_have_it_and_chacha_otherwise),
        cmocka_unit_test(nodes_without_a_common_suite_do_not_connect),
        cmocka_unit_test(a_dial_into_the_void_ends_after_the_handshake_timeout),
        cmocka_unit_test(the_server_shows_nothing_before_the_client_finished),
        cmocka_unit_test(two_nodes_that_dial_at_once_have_two_connections),
        cmocka_unit_test(a_restarted_node_is_dialled_anew),
        cmocka_unit_test(dialling_stops_at_the_limit),
        cmocka_unit_test(keepalive_holds_an_idle_connection_at_little_cost),
        cmocka_unit_test(without_keepalive_an_idle_connection_ends),
        cmocka_unit_test(a_dead_network_ends_the_connection_after_the_idle_timeout),
        cmocka_unit_test(keys_change_under_way_and_nothing_is_lost),
        cmocka_unit_test(a_close_carries_code_and_reason),
        cmocka_unit_test(a_lost_close_is_repeated_when_the_peer_goes_on),
        cmocka_unit_test(what_arrived_before_the_close_can_still_be_read),
    };
    sim_each_test(tests);
    return sim_result();
}
