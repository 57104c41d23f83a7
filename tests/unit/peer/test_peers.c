/* The connections to other nodes over the relay: made when wanted, one to each peer, found again,
 * told of, and closed. */
#include "peers_scene.h"

#include <stdio.h>
#include <stdlib.h>

/* --- dial --- */

static void a_wish_dials_and_is_served_once(void **state)
{
    (void)state;
    wisher w = {0};
    connect_from(&w, 0);
    say(&w);
    run_for(50 * TL_MS);
    assert_int_equal(w.served, 1);
    assert_non_null(w.stream);
    assert_int_equal(nodes[1].streams, 1);
    assert_int_equal(nodes[1].readable, 1);
    assert_int_equal(nodes[0].joined, 1);
    assert_int_equal(nodes[1].joined, 1);
    assert_int_equal(tl_peers_counters_of(nodes[0].peers)->dials, 1);
    assert_int_equal(tl_peers_counters_of(nodes[1].peers)->accepted, 1);
    assert_int_equal(via_of(0), TL_VIA_RELAYED);
    assert_int_equal(contact_of(0)->dial, TL_DIAL_NONE);
    assert_int_equal(sessions_of(0), 1);
    assert_int_equal(sessions_of(1), 1);
}

static void a_second_wish_uses_the_connection_that_stands(void **state)
{
    (void)state;
    wisher w = {0}, x = {0}, only = {.wish = {.connection_only = true}};
    connect_from(&w, 0);
    wish(&x, 0);
    wish(&only, 0);
    tl_peers_run(nodes[0].peers);
    assert_int_equal(x.served, 1);
    assert_non_null(x.stream);
    assert_int_equal(only.served, 1);
    assert_null(only.stream);
    assert_int_equal(conn_of(0)->streams, 2);
    assert_int_equal(tl_peers_counters_of(nodes[0].peers)->dials, 1);
}

static void a_wish_taken_back_is_not_served_and_its_contact_goes(void **state)
{
    (void)state;
    wisher w = {0};
    wish(&w, 0);
    assert_true(tl_peers_deals_with(nodes[0].peers, &nodes[1].identity.id));
    tl_peers_unwish(nodes[0].peers, &w.wish);
    run_for(TL_SEC);
    assert_int_equal(w.served + w.failed, 0);
    assert_false(tl_peers_deals_with(nodes[0].peers, &nodes[1].identity.id));
}

static void a_peer_that_does_not_answer_fails_the_wish_within_ten_seconds(void **state)
{
    (void)state;
    wisher w = {0};
    relay_mute = true;
    wish(&w, 0);
    tl_peers_run(nodes[0].peers);
    run_for(10 * TL_SEC - 100 * TL_MS);
    assert_int_equal(w.failed, 0);
    assert_int_equal(contact_of(0)->dial, TL_DIAL_OPENING);
    run_for(200 * TL_MS);
    assert_int_equal(w.failed, 1);
    assert_int_equal(w.error, TL_ERR_TIMEOUT);
    assert_string_equal(w.why, "the peer did not answer through the relay");
    assert_null(contact_of(0));
    assert_int_equal(sessions_of(0), 0);
    assert_int_equal(tl_peers_counters_of(nodes[0].peers)->dial_failures, 1);
}

static void a_refused_session_fails_the_wish_at_once_and_the_next_is_tried(void **state)
{
    (void)state;
    wisher w = {0};
    tl_peers_say_goodbye(nodes[1].peers, "ends"); /* it takes no new sessions */
    wish(&w, 0);
    run_for(TL_SEC);
    assert_int_equal(w.failed, 1);
    assert_int_equal(w.error, TL_ERR_UNREACHABLE);
    assert_int_equal(w.served, 0);
    nodes[1].peers->goodbye = false;
    connect_from(&w, 0);
}

static void without_a_relay_a_wish_waits_for_it_until_its_deadline(void **state)
{
    (void)state;
    wisher w = {0};
    relay_down(&nodes[0]);
    wish(&w, 0);
    run_for(5 * TL_SEC);
    assert_int_equal(contact_of(0)->dial, TL_DIAL_RELAY);
    assert_true(nodes[0].wanted > 0);
    assert_int_equal(w.failed, 0);
    relay_up(&nodes[0]);
    run_for(TL_SEC);
    assert_int_equal(w.served, 1);

    relay_down(&nodes[1]);
    run_for(100 * TL_MS);
    wish(&w, 1); /* its connection is lost, and the relay away: it is served all the same */
    run_for(100 * TL_MS);
    assert_int_equal(w.served, 1);
}

static void a_relay_that_will_not_come_fails_the_wish_at_once(void **state)
{
    (void)state;
    wisher w = {0};
    relay_down(&nodes[0]);
    nodes[0].hopeless = "the relay refused us";
    wish(&w, 0);
    tl_peers_run(nodes[0].peers);
    assert_int_equal(w.failed, 1);
    assert_string_equal(w.why, "the relay refused us");
    nodes[0].hopeless = NULL; /* its twin waits */
    wish(&w, 0);
    tl_peers_run(nodes[0].peers);
    assert_int_equal(w.failed, 0);
    run_for(11 * TL_SEC);
    assert_int_equal(w.failed, 1);
    assert_string_equal(w.why, "the relay cannot be reached");
}

static void the_relay_may_be_lost_in_the_middle_of_dialling(void **state)
{
    (void)state;
    wisher w = {0};
    relay_mute = true;
    wish(&w, 0);
    tl_peers_run(nodes[0].peers);
    assert_int_equal(contact_of(0)->dial, TL_DIAL_OPENING);
    relay_down(&nodes[0]);
    run_for(100 * TL_MS);
    assert_int_equal(contact_of(0)->dial, TL_DIAL_RELAY);
    relay_mute = false;
    relay_up(&nodes[0]);
    run_for(TL_SEC);
    assert_int_equal(w.served, 1);
}

/* --- one connection --- */

static size_t conns_of(int i)
{
    const tl_contact *c = contact_of(i);
    const tl_peer_conn *conn;
    size_t n = 0;
    if (c)
        DL_FOREACH (c->conns, conn)
            n++;
    return n;
}

/* The connection stays whose client has the smaller node ID. */
static void when_both_dial_at_once_both_are_served_and_one_connection_stays(void **state)
{
    (void)state;
    wisher a = {0}, b = {0};
    wish(&a, 0);
    wish(&b, 1);
    run_for(TL_SEC);
    assert_int_equal(a.served, 1);
    assert_int_equal(b.served, 1);
    say(&a);
    say(&b);
    run_for(3 * TL_SEC);
    assert_int_equal(a.closed + b.closed, 0); /* whichever connection they are on */
    finish(&a);
    finish(&b);
    run_for(3 * TL_SEC);
    assert_int_equal(conns_of(0), 1);
    assert_int_equal(conns_of(1), 1);
    assert_true(conn_of(0)->client);
    assert_false(conn_of(1)->client);
    assert_int_equal(nodes[0].joined, 1);
    assert_int_equal(nodes[0].left, 0);
    assert_int_equal(sessions_of(0), 1);
    assert_int_equal(sessions_of(1), 1);
}

static void an_idle_connection_of_the_larger_id_stays_while_it_is_the_only_one(void **state)
{
    (void)state;
    wisher b = {0};
    connect_from(&b, 1);
    say(&b);
    run_for(TL_SEC);
    finish(&b);
    run_for(TL_MIN);
    assert_int_equal(conns_of(1), 1);
    assert_true(conn_of(1)->client);
    assert_int_equal(nodes[0].left + nodes[1].left, 0);
}

/* --- control --- */

typedef struct {
    tl_peer_pong pong; /* first */
    unsigned heard;
    tl_time rtt;
} pinger;

static void ponged(tl_peer_pong *g, tl_time rtt)
{
    pinger *x = (pinger *)g;
    x->heard++;
    x->rtt = rtt;
}

static tl_err ping(pinger *x, int from)
{
    *x = (pinger){.pong.on_pong = ponged};
    return tl_peers_ping(nodes[from].peers, &nodes[!from].identity.id, &x->pong);
}

static void a_ping_measures_the_round_trip_of_a_connection_that_stands(void **state)
{
    (void)state;
    wisher w = {0};
    pinger g, gone;
    assert_int_equal(ping(&g, 0), TL_ERR_NOT_FOUND);
    connect_from(&w, 0);
    run_for(TL_SEC);
    for (int i = 0; i < 2; i++) { /* from the server, too */
        assert_int_equal(ping(&g, i), TL_OK);
        assert_int_equal(ping(&gone, i), TL_OK);
        tl_peers_unping(&gone.pong);
        tl_peers_unping(&gone.pong);
        run_for(TL_SEC);
        assert_int_equal(g.heard, 1);
        assert_in_range(g.rtt, 5 * TL_MS, 40 * TL_MS);
        assert_int_equal(gone.heard, 0);
    }
}

static void a_ping_under_way_ends_with_the_connection(void **state)
{
    (void)state;
    wisher w = {0};
    pinger g;
    connect_from(&w, 0);
    relay_mute = true;
    assert_int_equal(ping(&g, 0), TL_OK);
    tl_peers_close_all(nodes[0].peers, "bye");
    run_for(TL_SEC);
    assert_int_equal(g.heard, 1);
    assert_int_equal(g.rtt, 0);
}

static tl_peer *peer_at(int i)
{
    return tl_peer_table_find(&nodes[i].table, &nodes[!i].identity.id);
}

static void heartbeats_tell_how_many_questions_each_side_answers(void **state)
{
    (void)state;
    wisher w = {0};
    connect_from(&w, 0);
    run_for(TL_PEERS_HEARTBEAT - TL_SEC);
    assert_int_equal(peer_at(0)->running, 0);
    run_for(2 * TL_SEC);
    assert_int_equal(peer_at(0)->running, 3);
    assert_int_equal(peer_at(1)->running, 1);
}

static void capabilities_are_told_when_they_change_and_goodbye_ends_them(void **state)
{
    (void)state;
    wisher w = {0};
    tl_peers_set_capabilities(nodes[1].peers, json_pack("{s:b}", "isAvailable", 1));
    connect_from(&w, 0);
    assert_true(peer_at(0)->available);
    assert_string_equal(peer_at(0)->name, "node");
    tl_peers_set_capabilities(nodes[1].peers, json_pack("{s:b}", "isAvailable", 0));
    run_for(100 * TL_MS);
    assert_false(peer_at(0)->available);
    tl_peers_set_capabilities(nodes[1].peers, json_pack("{s:b}", "isAvailable", 1));
    run_for(100 * TL_MS);
    assert_true(peer_at(0)->available);
    tl_peers_say_goodbye(nodes[1].peers, "ends");
    run_for(100 * TL_MS);
    assert_false(peer_at(0)->available);
    assert_int_equal(tl_peers_counters_of(nodes[0].peers)->goodbyes_in, 1);
    assert_int_equal(w.closed, 0); /* what is under way goes on */
}

/* What a peer says on the control stream, `message` in a frame. */
static void say_on_control(const char *message)
{
    tl_buf frame = {0};
    size_t n;
    assert_int_equal(tl_frame_append(&frame, TL_FRAME_MESSAGE, tl_slice_str(message)), TL_OK);
    assert_int_equal(tl_quic_stream_write(conn_of(0)->control, tl_buf_slice(&frame), false, &n),
                     TL_OK);
    assert_int_equal(n, frame.len);
    tl_buf_clear(&frame);
    run_for(100 * TL_MS);
}

static void nonsense_on_the_control_stream_ends_the_connection(void **state)
{
    (void)state;
    wisher w = {0};
    connect_from(&w, 0);
    say_on_control("{\"aWordOfALaterVersion\":{}}"); /* its twin */
    assert_int_equal(tl_peers_counters_of(nodes[1].peers)->control_errors, 0);
    assert_non_null(conn_of(1));
    say_on_control("{\"heartbeat\":7}");
    assert_int_equal(tl_peers_counters_of(nodes[1].peers)->control_errors, 1);
    assert_null(conn_of(1));
    assert_int_equal(w.closed, 1);
    assert_int_equal(nodes[0].left, 1);
}

static void a_control_stream_that_is_not_read_costs_bounded_memory(void **state)
{
    (void)state;
    wisher w = {0};
    connect_from(&w, 0);
    relay_mute = true;
    tl_peer_conn *conn = conn_of(0);
    char big[50000];
    memset(big, 'a', sizeof big - 1);
    big[sizeof big - 1] = 0;
    size_t most = 0;
    for (int n = 0; n < 1000 && !conn->closing; n++) {
        json_t *j = json_pack("{s:s,s:i}", "x", big, "n", n);
        assert_non_null(j);
        tl_peers_set_capabilities(nodes[0].peers, j);
        most = conn->out.pending.len > most ? conn->out.pending.len : most;
    }
    assert_string_equal(conn->closing, "the control stream is not read");
    assert_true(most <= TL_CONTROL_PENDING_MAX + sizeof big + 1000);
}

/* --- ending --- */

static void closing_all_tells_the_peer_and_the_owners_of_streams(void **state)
{
    (void)state;
    wisher w = {0};
    connect_from(&w, 0);
    say(&w);
    run_for(100 * TL_MS);
    tl_peers_close_all(nodes[1].peers, "the node stops");
    run_for(100 * TL_MS);
    assert_int_equal(w.closed, 1);
    assert_int_equal(nodes[1].closed, 1);
    assert_int_equal(nodes[0].left, 1);
    assert_int_equal(nodes[1].left, 1);
    run_for(TL_SEC);
    assert_int_equal(sessions_of(0), 0);
    assert_int_equal(sessions_of(1), 0);
    assert_false(tl_peers_deals_with(nodes[0].peers, &nodes[1].identity.id));
}

/* --- watch --- */

static void while_a_stream_is_open_silence_ends_the_connection_in_twelve_seconds(void **state)
{
    (void)state;
    wisher w = {0};
    connect_from(&w, 0);
    say(&w);
    run_for(TL_SEC);
    relay_mute = true;
    run_for(4 * TL_SEC);
    relay_mute = false; /* in time */
    run_for(20 * TL_SEC);
    assert_int_equal(w.closed, 0);
    relay_mute = true;
    run_for((TL_WATCH_QUIET + 1) * TL_WATCH_EVERY + 100 * TL_MS);
    assert_int_equal(w.closed, 1);
    assert_string_equal(w.why, "nothing passes between the peer and us any more");
    assert_int_equal(nodes[0].left, 1);
}

static void an_idle_connection_may_be_silent(void **state)
{
    (void)state;
    wisher w = {.wish = {.connection_only = true}};
    connect_from(&w, 0);
    relay_mute = true;
    run_for(20 * TL_SEC);
    assert_non_null(conn_of(0));
    assert_non_null(conn_of(1));
}

static void a_stale_connection_is_asked_for_life_when_it_is_wanted(void **state)
{
    (void)state;
    wisher w = {.wish = {.connection_only = true}};
    connect_from(&w, 0);
    run_for(TL_PEERS_STALE_AFTER + TL_SEC);
    wish(&w, 0); /* the peer lives */
    run_for(TL_PROBE_STALE + TL_SEC);
    assert_int_equal(w.served, 1);
    assert_non_null(conn_of(0));
    relay_mute = true;
    wish(&w, 0); /* it was heard just now */
    run_for(TL_MS);
    assert_int_equal(conn_of(0)->watch.doubt_at != TL_NEVER,
                     now - conn_of(0)->watch.sign_at >= TL_PEERS_STALE_AFTER);
    run_for(TL_PEERS_STALE_AFTER + TL_SEC);
    wish(&w, 0);
    run_for(TL_PROBE_STALE + 100 * TL_MS);
    assert_null(conn_of(0));
    assert_int_equal(nodes[0].left, 1);
    assert_string_equal(nodes[0].why, "the peer no longer answers");
}

/* --- outage --- */

static void a_lost_session_is_replaced_by_another_and_streams_go_on(void **state)
{
    (void)state;
    wisher w = {0};
    connect_from(&w, 0);
    say(&w);
    run_for(TL_SEC);
    tl_path_id before = conn_of(0)->path;
    relay_down(&nodes[0]);
    run_for(5 * TL_SEC);
    assert_true(tl_conn_is_lost(conn_of(0)));
    assert_int_equal(w.closed, 0);
    relay_up(&nodes[0]);
    run_for(2 * TL_SEC);
    assert_false(tl_conn_is_lost(conn_of(0)));
    assert_true(conn_of(0)->path != before);
    unsigned readable = nodes[1].readable;
    say(&w);
    run_for(100 * TL_MS);
    assert_int_equal(nodes[1].readable, readable + 1);
    assert_int_equal(tl_peers_counters_of(nodes[0].peers)->outages, 1);
    assert_int_equal(tl_peers_counters_of(nodes[0].peers)->recovered, 1);
    assert_int_equal(sessions_of(0), 1);
    assert_int_equal(sessions_of(1), 1); /* the old one is not kept */
}

/* The client asks for the session, but both must be at the relay for it. */
static void with_a_question_under_way_both_sides_want_the_relay_back(void **state)
{
    (void)state;
    for (int busy = 0; busy < 2; busy++) {
        wisher w = {0};
        connect_from(&w, 0);
        say(&w);
        run_for(TL_SEC);
        if (!busy)
            finish(&w);
        run_for(TL_SEC);
        unsigned client = nodes[0].wanted, server = nodes[1].wanted;
        relay_down(&nodes[0]);
        relay_down(&nodes[1]);
        run_for(3 * TL_SEC);
        assert_true(nodes[0].wanted > client + 1);
        if (busy)
            assert_true(nodes[1].wanted > server + 1);
        else
            assert_int_equal(nodes[1].wanted, server);
        relay_up(&nodes[0]);
        relay_up(&nodes[1]);
        run_for(2 * TL_SEC);
        assert_non_null(conn_of(1)); /* it goes on */
    }
}

static void a_path_that_is_not_found_again_ends_the_connection_after_ten_seconds(void **state)
{
    (void)state;
    wisher w = {0};
    connect_from(&w, 0);
    say(&w);
    run_for(TL_SEC);
    relay_down(&nodes[0]);
    run_for(TL_PEERS_OUTAGE_MAX - 100 * TL_MS);
    assert_int_equal(w.closed, 0);
    run_for(200 * TL_MS);
    assert_int_equal(w.closed, 1);
    assert_string_equal(w.why, "the connection through the relay was lost");
    assert_int_equal(nodes[0].left, 1);
}

/* --- sessions --- */

static tl_node_id stranger(unsigned n)
{
    tl_node_id id = {0};
    memcpy(&id, &n, sizeof n);
    return id;
}

static void path_ids_are_never_zero_nor_in_use(void **state)
{
    (void)state;
    tl_node_id s = stranger(1);
    nodes[0].peers->next_path = UINT32_MAX;
    tl_path_id a = tl_peers_new_path(nodes[0].peers, &s), b = tl_peers_new_path(nodes[0].peers, &s);
    assert_int_equal(a, UINT32_MAX);
    assert_int_equal(b, 1);
    nodes[0].peers->next_path = UINT32_MAX;
    assert_int_equal(tl_peers_new_path(nodes[0].peers, &s), 2);
    tl_peers_free_path(nodes[0].peers, a);
    tl_peers_free_path(nodes[0].peers, a); /* said twice */
    tl_peers_run(nodes[0].peers);
    assert_null(tl_path_find(nodes[0].peers, a));
    assert_non_null(tl_path_find(nodes[0].peers, b));
}

/* --- traffic --- */

static void nothing_leaves_through_a_relay_that_is_full(void **state)
{
    (void)state;
    wisher w = {0};
    pinger g;
    connect_from(&w, 0);
    run_for(TL_SEC);
    uint64_t sent = tl_relay_link_counters_of(nodes[0].link)->datagrams_out;
    nodes[0].full = true;
    assert_int_equal(ping(&g, 0), TL_OK);
    run_for(100 * TL_MS);
    assert_int_equal(tl_relay_link_counters_of(nodes[0].link)->datagrams_out, sent);
    assert_int_equal(g.heard, 0);
    nodes[0].full = false;
    run_for(100 * TL_MS);
    assert_int_equal(g.heard, 1); /* it was kept, not lost */
}

static void facts_tell_of_a_connection_that_stands(void **state)
{
    (void)state;
    wisher w = {0};
    tl_peer_facts f;
    wish(&w, 0);
    tl_peers_run(nodes[0].peers);
    assert_false(tl_peers_facts(nodes[0].peers, peer_at(0), &f));
    run_for(TL_SEC);
    assert_true(tl_peers_facts(nodes[0].peers, peer_at(0), &f));
    assert_int_equal(f.via, TL_VIA_RELAYED);
    assert_int_equal(f.streams, 1);
    assert_int_equal(f.remote.family, TL_ADDR_NONE);
    assert_in_range(f.rtt, 5 * TL_MS, 40 * TL_MS);
    assert_in_range(f.connected_at, now - TL_SEC, now);
    assert_int_equal(tl_peers_via(nodes[0].peers, w.stream), TL_VIA_RELAYED);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, scene_setup, scene_teardown)
    const struct CMUnitTest tests[] = {
        T(a_wish_dials_and_is_served_once),
        T(a_second_wish_uses_the_connection_that_stands),
        T(a_wish_taken_back_is_not_served_and_its_contact_goes),
        T(a_peer_that_does_not_answer_fails_the_wish_within_ten_seconds),
        T(a_refused_session_fails_the_wish_at_once_and_the_next_is_tried),
        T(without_a_relay_a_wish_waits_for_it_until_its_deadline),
        T(a_relay_that_will_not_come_fails_the_wish_at_once),
        T(the_relay_may_be_lost_in_the_middle_of_dialling),
        T(when_both_dial_at_once_both_are_served_and_one_connection_stays),
        T(an_idle_connection_of_the_larger_id_stays_while_it_is_the_only_one),
        T(a_ping_measures_the_round_trip_of_a_connection_that_stands),
        T(a_ping_under_way_ends_with_the_connection),
        T(heartbeats_tell_how_many_questions_each_side_answers),
        T(capabilities_are_told_when_they_change_and_goodbye_ends_them),
        T(nonsense_on_the_control_stream_ends_the_connection),
        T(a_control_stream_that_is_not_read_costs_bounded_memory),
        T(closing_all_tells_the_peer_and_the_owners_of_streams),
        T(while_a_stream_is_open_silence_ends_the_connection_in_twelve_seconds),
        T(an_idle_connection_may_be_silent),
        T(a_stale_connection_is_asked_for_life_when_it_is_wanted),
        T(a_lost_session_is_replaced_by_another_and_streams_go_on),
        T(with_a_question_under_way_both_sides_want_the_relay_back),
        T(a_path_that_is_not_found_again_ends_the_connection_after_ten_seconds),
        T(path_ids_are_never_zero_nor_in_use),
        T(nothing_leaves_through_a_relay_that_is_full),
        T(facts_tell_of_a_connection_that_stands),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    reads_first = true; /* and all of it holds where the handshake begins in the relayOpen */
    return failed + cmocka_run_group_tests(tests, NULL, NULL);
}
