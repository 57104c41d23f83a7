/* Which way a connection goes: up to a direct one, back to the relay, and what is kept meanwhile. */
#include "peers_scene.h"

#include <stdio.h>
#include <stdlib.h>

/* A stream from the first node, and a direct way under it. */
static void connect_direct(wisher *w)
{
    connect_from(w, 0);
    say(w);
    run_for(4 * TL_SEC);
    assert_int_equal(via_of(0), TL_VIA_DIRECT);
    assert_int_equal(via_of(1), TL_VIA_DIRECT);
}

static const tl_peers_counters *count(int i)
{
    return tl_peers_counters_of(nodes[i].peers);
}

/* What the wisher says arrives. */
static void expect_carried(wisher *w)
{
    unsigned before = nodes[1].readable;
    say(w);
    run_for(500 * TL_MS);
    assert_int_equal(nodes[1].readable, before + 1);
    assert_int_equal(w->closed, 0);
}

static void a_connection_moves_to_the_direct_way_and_keeps_a_session_warm(void **state)
{
    (void)state;
    wisher w = {0};
    tl_peer_facts f;
    connect_direct(&w);
    assert_int_equal(count(0)->upgrades, 1);
    assert_int_equal(count(0)->fallbacks + count(0)->switches, 0);
    assert_int_equal(count(1)->upgrades, 0); /* the client alone moves */
    assert_true(nodes[0].paths == 1 && nodes[1].paths == 1);
    run_for(TL_MIN);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(sessions_of(i), 1);
        assert_true(conn_of(i)->relayed != 0 && conn_of(i)->relayed != conn_of(i)->path);
        assert_true(tl_peers_facts(nodes[i].peers, contact_of(i)->peer, &f));
        assert_int_equal(f.via, TL_VIA_DIRECT);
        assert_true(tl_addr_eq(&f.remote, &nodes[!i].addr));
    }
    expect_carried(&w);
}

static void direct_datagrams_bypass_the_relay(void **state)
{
    (void)state;
    wisher w = {0};
    connect_direct(&w);
    uint64_t before = tl_relay_link_counters_of(nodes[0].link)->datagrams_out;
    nodes[0].full = true; /* which holds back what goes there alone */
    expect_carried(&w);
    assert_int_equal(tl_relay_link_counters_of(nodes[0].link)->datagrams_out, before);
}

static void when_udp_dies_the_connection_goes_back_to_the_relay_and_up_again(void **state)
{
    (void)state;
    wisher w = {0};
    connect_direct(&w);
    udp_cut = true;
    run_for(4 * TL_SEC);
    assert_int_equal(via_of(0), TL_VIA_RELAYED);
    assert_int_equal(via_of(1), TL_VIA_RELAYED);
    assert_int_equal(count(0)->fallbacks, 1);
    expect_carried(&w);
    udp_cut = false;
    run_for(TL_MIN);
    assert_int_equal(via_of(0), TL_VIA_DIRECT);
    assert_int_equal(count(0)->upgrades, 2);
    expect_carried(&w);
}

/* Checks are answered, and nothing else passes (peer/proof). */
static void a_way_that_carries_checks_alone_is_left_while_questions_are_under_way(void **state)
{
    (void)state;
    wisher w = {0};
    connect_direct(&w);
    run_for(5 * TL_SEC);
    quic_cut = true;
    run_for((TL_PROOF_QUIET + 2) * TL_PROOF_EVERY + 100 * TL_MS);
    assert_int_equal(via_of(0), TL_VIA_RELAYED);
    assert_int_equal(count(0)->fallbacks, 1);
    expect_carried(&w);
}

static void a_way_that_carries_all_is_never_barren(void **state)
{
    (void)state;
    wisher w = {0};
    connect_direct(&w);
    for (int n = 0; n < 600; n++) {
        run_for(100 * TL_MS);
        assert_int_not_equal(conn_of(0)->proof.state, TL_PROOF_BARREN);
        assert_int_equal(via_of(0), TL_VIA_DIRECT);
    }
    assert_int_equal(conn_of(0)->proof.state, TL_PROOF_LOOKING);
    assert_int_equal(conn_of(1)->proof.state, TL_PROOF_RESTING); /* a server cannot leave */
    finish(&w);
    run_for(TL_SEC);
    assert_int_equal(conn_of(0)->proof.state, TL_PROOF_RESTING); /* nobody needs it */
}

static void a_direct_connection_outlives_the_relay_and_gets_a_session_when_it_is_back(void **state)
{
    (void)state;
    wisher w = {0};
    connect_direct(&w);
    relay_down(&nodes[0]);
    relay_down(&nodes[1]);
    run_for(TL_MIN);
    assert_int_equal(via_of(0), TL_VIA_DIRECT);
    assert_int_equal(count(0)->outages, 0);
    assert_int_equal(sessions_of(0), 0);
    assert_int_equal(conn_of(0)->relayed, 0);
    expect_carried(&w);
    relay_up(&nodes[0]);
    relay_up(&nodes[1]);
    run_for(TL_SEC);
    assert_int_equal(sessions_of(0), 1);
    assert_int_equal(sessions_of(1), 1);
    assert_true(conn_of(0)->relayed != 0);
    assert_int_equal(via_of(0), TL_VIA_DIRECT);
}

static void without_any_way_a_connection_ends_in_ten_seconds(void **state)
{
    (void)state;
    wisher w = {0};
    connect_direct(&w);
    relay_down(&nodes[0]);
    run_for(TL_SEC);
    udp_cut = true;
    run_for(3 * TL_SEC); /* the checks find that out */
    assert_true(tl_conn_is_lost(conn_of(0)));
    assert_int_equal(count(0)->outages, 1);
    assert_int_equal(w.closed, 0);
    run_for(TL_PEERS_OUTAGE_MAX);
    assert_int_equal(w.closed, 1);
    assert_string_equal(w.why, "the direct connection was lost, and no other way was found");
}

static void the_relay_back_in_time_saves_a_connection_without_a_way(void **state)
{
    (void)state;
    wisher w = {0};
    connect_direct(&w);
    relay_down(&nodes[0]);
    run_for(TL_SEC);
    udp_cut = true;
    run_for(5 * TL_SEC);
    assert_true(tl_conn_is_lost(conn_of(0)));
    relay_up(&nodes[0]);
    run_for(2 * TL_SEC);
    assert_false(tl_conn_is_lost(conn_of(0)));
    assert_int_equal(via_of(0), TL_VIA_RELAYED);
    assert_int_equal(count(0)->recovered, 1);
    expect_carried(&w);
}

/* UDP dies, and just then the relay says that the peer's session ended. */
static void both_ways_go(void)
{
    udp_cut = true;
    relay_down(&nodes[0]);
    tl_peers_on_ended(nodes[1].peers, conn_of(1)->relayed, "the peer left");
    assert_int_equal(conn_of(1)->watch.doubt_at, now + TL_PROBE_ENDED);
}

static void an_answer_outlives_seconds_in_which_neither_way_is_there(void **state)
{
    (void)state;
    wisher w = {0};
    connect_direct(&w);
    both_ways_go();
    run_for(6 * TL_SEC);
    assert_true(tl_conn_is_lost(conn_of(0)));
    assert_int_equal(conn_of(1)->watch.doubt_at, TL_NEVER); /* it cannot be asked */
    relay_up(&nodes[0]);
    run_for(2 * TL_SEC);
    assert_int_equal(via_of(0), TL_VIA_RELAYED);
    expect_carried(&w);
    run_for(TL_MIN);
    expect_carried(&w);
}

/* It goes sooner than that where no answer would be lost: who comes back is asked anew. */
static void a_connection_without_questions_is_not_kept_for_that(void **state)
{
    (void)state;
    wisher w = {0};
    connect_direct(&w);
    finish(&w);
    run_for(TL_SEC);
    both_ways_go();
    run_for(TL_PROBE_ENDED + TL_SEC);
    assert_null(contact_of(1));
}

static void a_peer_that_is_gone_for_good_costs_an_answer_a_bounded_time(void **state)
{
    (void)state;
    wisher w = {0};
    connect_direct(&w);
    both_ways_go();
    run_for((TL_WATCH_QUIET + 2) * TL_WATCH_EVERY);
    assert_null(contact_of(1));
    assert_int_equal(w.closed, 1);
}

static void a_node_that_moved_asks_its_peers_for_a_sign_of_life(void **state)
{
    (void)state;
    wisher w = {0};
    connect_direct(&w);
    assert_int_equal(conn_of(0)->watch.doubt_at, TL_NEVER);
    tl_peers_on_moved(nodes[0].peers);
    tl_peers_on_moved(nodes[1].peers);
    assert_int_equal(conn_of(0)->watch.doubt_at, now + TL_PROBE_STALE);
    assert_int_equal(conn_of(1)->watch.doubt_at, TL_NEVER); /* its client asks */
    run_for(TL_SEC);
    assert_int_equal(conn_of(0)->watch.doubt_at, TL_NEVER);
    assert_int_equal(w.closed, 0);
}

static void the_last_connection_takes_its_direct_ways_with_it(void **state)
{
    (void)state;
    wisher w = {0};
    connect_direct(&w);
    tl_peers_close_all(nodes[0].peers, "bye");
    run_for(2 * TL_SEC);
    assert_null(contact_of(0));
    assert_null(contact_of(1));
    for (int i = 0; i < 2; i++) {
        tl_direct_way ways[TL_DIRECT_WAYS_MAX];
        assert_int_equal(tl_direct_ways(nodes[i].direct, &nodes[!i].identity.id, ways), 0);
        assert_null(nodes[i].peers->paths); /* no path id is left over */
    }
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, scene_setup_direct, scene_teardown)
    const struct CMUnitTest tests[] = {
        T(a_connection_moves_to_the_direct_way_and_keeps_a_session_warm),
        T(direct_datagrams_bypass_the_relay),
        T(when_udp_dies_the_connection_goes_back_to_the_relay_and_up_again),
        T(a_way_that_carries_checks_alone_is_left_while_questions_are_under_way),
        T(a_way_that_carries_all_is_never_barren),
        T(a_direct_connection_outlives_the_relay_and_gets_a_session_when_it_is_back),
        T(without_any_way_a_connection_ends_in_ten_seconds),
        T(the_relay_back_in_time_saves_a_connection_without_a_way),
        T(an_answer_outlives_seconds_in_which_neither_way_is_there),
        T(a_connection_without_questions_is_not_kept_for_that),
        T(a_peer_that_is_gone_for_good_costs_an_answer_a_bounded_time),
        T(a_node_that_moved_asks_its_peers_for_a_sign_of_life),
        T(the_last_connection_takes_its_direct_ways_with_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
