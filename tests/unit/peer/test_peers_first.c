/* The handshake's first datagram rides in the relayOpen. (test_peers.c runs all of its tests that way,
 * too.) */
#include "peers_scene.h"

#include "base/base64.h"

static int setup(void **state)
{
    reads_first = true;
    return scene_setup(state);
}

static const tl_relay_link_counters *link_of(int i)
{
    return tl_relay_link_counters_of(nodes[i].link);
}

static void the_handshake_begins_with_the_question_for_the_session(void **state)
{
    (void)state;
    wisher w = {0};
    wish(&w, 0);
    tl_peers_run(nodes[0].peers);
    assert_int_equal(contact_of(0)->dial, TL_DIAL_OPENING);
    assert_non_null(contact_of(0)->dial_conn);
    assert_int_equal(link_of(0)->datagrams_out, 1);
    run_for(TL_SEC);
    assert_int_equal(w.served, 1);
    assert_int_equal(link_of(0)->datagrams_dropped, 0);
    assert_int_equal(tl_peers_counters_of(nodes[0].peers)->dials, 1);
    assert_int_equal(tl_peers_counters_of(nodes[1].peers)->accepted, 1);
}

static void a_peer_that_does_not_say_that_it_reads_it_gets_none(void **state)
{
    (void)state;
    wisher w = {0};
    tl_peer_table_find(&nodes[0].table, &nodes[1].identity.id)->reads_first = false;
    wish(&w, 0);
    tl_peers_run(nodes[0].peers);
    assert_null(contact_of(0)->dial_conn);
    assert_int_equal(link_of(0)->datagrams_out, 0);
    run_for(TL_SEC);
    assert_int_equal(w.served, 1);
}

static void a_relay_that_is_full_takes_no_first_datagram(void **state)
{
    (void)state;
    wisher w = {0};
    nodes[0].full = true;
    wish(&w, 0);
    tl_peers_run(nodes[0].peers);
    assert_int_equal(contact_of(0)->dial, TL_DIAL_OPENING);
    assert_null(contact_of(0)->dial_conn);
    nodes[0].full = false;
    run_for(TL_SEC);
    assert_int_equal(w.served, 1);
}

static void a_relay_lost_on_the_way_ends_the_handshake_and_another_begins(void **state)
{
    (void)state;
    wisher w = {0};
    relay_mute = true;
    wish(&w, 0);
    tl_peers_run(nodes[0].peers);
    assert_non_null(contact_of(0)->dial_conn);
    relay_down(&nodes[0]);
    relay_mute = false;
    run_for(100 * TL_MS);
    assert_int_equal(contact_of(0)->dial, TL_DIAL_RELAY);
    assert_null(contact_of(0)->dial_conn);
    relay_up(&nodes[0]);
    run_for(TL_SEC);
    assert_int_equal(w.served, 1);
    assert_int_equal(w.failed, 0);
}

/* --- what a stranger may send --- */

/* nodes[1] hears a relayOpen of nodes[0], with `n` characters of base64. */
static void open_with(const char *session, size_t n)
{
    char hex[2][TL_NODE_ID_HEX + 1], text[4096];
    for (int i = 0; i < 2; i++)
        tl_node_id_write(hex[i], &nodes[i].identity.id);
    int len = snprintf(text, sizeof text,
                       "{\"relayOpen\":{\"fromNodeID\":\"%s\",\"toNodeID\":\"%s\",\"sessionID\":"
                       "\"%s\",\"data\":\"%0*d\"}}",
                       hex[0], hex[1], session, (int)n, 0);
    tl_relay_link_on_text(nodes[1].link, (uint8_t *)text, (size_t)len, now);
}

static void one_larger_than_a_packet_is_left_out_and_its_session_stands(void **state)
{
    (void)state;
    size_t most = tl_base64_size(TL_RELAY_FIRST_MAX);
    open_with("S-1", most);
    assert_int_equal(link_of(1)->datagrams_in, 1);
    assert_int_equal(sessions_of(1), 1);
    open_with("S-2", most + 4);
    assert_int_equal(link_of(1)->datagrams_in, 1);
    assert_int_equal(link_of(1)->malformed, 1);
    assert_int_equal(sessions_of(1), 2);
    open_with("S-3", 3); /* no base64 */
    assert_int_equal(link_of(1)->datagrams_in, 1);
    assert_int_equal(link_of(1)->malformed, 2);
    assert_int_equal(sessions_of(1), 3);
}

static void one_of_a_session_that_is_refused_or_in_use_is_not_read(void **state)
{
    (void)state;
    open_with("S-1", 8);
    assert_int_equal(link_of(1)->datagrams_in, 1);
    open_with("S-1", 8);
    assert_int_equal(link_of(1)->datagrams_in, 1);
    tl_peers_say_goodbye(nodes[1].peers, "ends");
    open_with("S-2", 8);
    assert_int_equal(link_of(1)->datagrams_in, 1);
    assert_int_equal(sessions_of(1), 1);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, scene_teardown)
    const struct CMUnitTest tests[] = {
        T(the_handshake_begins_with_the_question_for_the_session),
        T(a_peer_that_does_not_say_that_it_reads_it_gets_none),
        T(a_relay_that_is_full_takes_no_first_datagram),
        T(a_relay_lost_on_the_way_ends_the_handshake_and_another_begins),
        T(one_larger_than_a_packet_is_left_out_and_its_session_stands),
        T(one_of_a_session_that_is_refused_or_in_use_is_not_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
