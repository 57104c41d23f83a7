/* What strangers may cost a node that deals with them: sessions that wait, and words on the control
 * stream. */
#include "peers_scene.h"

static tl_node_id stranger(unsigned n)
{
    tl_node_id id = {0};
    memcpy(&id, &n, sizeof n);
    return id;
}

static void a_stranger_opens_sixteen_sessions_and_unused_ones_end_after_thirty_seconds(void **state)
{
    (void)state;
    tl_node_id s = stranger(1), other = stranger(2);
    for (int n = 0; n < TL_PATHS_OF_PEER_MAX; n++)
        assert_int_not_equal(tl_peers_on_asked(nodes[0].peers, &s), 0);
    assert_int_equal(tl_peers_on_asked(nodes[0].peers, &s), 0);
    assert_int_not_equal(tl_peers_on_asked(nodes[0].peers, &other), 0);
    run_for(TL_PATH_UNUSED_MAX - TL_SEC);
    assert_int_equal(sessions_of(0), TL_PATHS_OF_PEER_MAX + 1);
    run_for(2 * TL_SEC);
    assert_int_equal(sessions_of(0), 0);
    assert_null(nodes[0].peers->paths);
    assert_int_not_equal(tl_peers_on_asked(nodes[0].peers, &s), 0);
}

static void of_all_strangers_the_oldest_waiting_session_makes_room(void **state)
{
    (void)state;
    wisher w = {0};
    connect_from(&w, 1); /* one in use, older than all: it stays */
    tl_path_id used = conn_of(0)->path, first = 0;
    for (unsigned n = 0; n < TL_PATHS_WAITING_MAX + 10; n++) {
        tl_node_id s = stranger(n);
        tl_path_id id = tl_peers_on_asked(nodes[0].peers, &s);
        assert_int_not_equal(id, 0);
        first = first ? first : id;
    }
    run_for(10 * TL_MS);
    assert_int_equal(sessions_of(0), TL_PATHS_WAITING_MAX + 1);
    assert_null(tl_path_find(nodes[0].peers, first));
    assert_null(tl_path_find(nodes[0].peers, first + 9));
    assert_non_null(tl_path_find(nodes[0].peers, first + 10));
    assert_int_equal(tl_path_find(nodes[0].peers, used)->state, TL_PATH_OPEN);
}

static void know(const tl_node_id *id)
{
    assert_non_null(tl_peer_table_get(&nodes[0].table, id));
    tl_peers_prove(nodes[0].peers, id);
}

static bool stands(tl_path_id id)
{
    run_for(10 * TL_MS);
    const tl_path *path = tl_path_find(nodes[0].peers, id);
    return path && path->state == TL_PATH_OPEN;
}

static tl_path_id open_one(unsigned number)
{
    tl_node_id id = stranger(number);
    return tl_peers_on_asked(nodes[0].peers, &id);
}

static void who_waits_with_many_sessions_makes_room_first(void **state)
{
    (void)state;
    enum { GREEDY = TL_PATHS_WAITING_MAX / TL_PATHS_OF_PEER_MAX };
    tl_path_id honest = open_one(1000), last = 0; /* the oldest of all */
    for (unsigned n = 0; n + 1 < TL_PATHS_WAITING_MAX; n++)
        last = open_one(n % GREEDY);
    assert_true(stands(honest) && stands(last));
    for (unsigned n = 0; n < 100;
         n++) /* those who have many come again, and in the end it is their own */
        (void)open_one(n % GREEDY);
    assert_true(stands(honest));
    tl_path_id newcomer = open_one(1001); /* and there is room for one more who has none */
    assert_true(stands(newcomer));
    assert_true(stands(honest));
    assert_int_equal(sessions_of(0), TL_PATHS_WAITING_MAX);
}

static void strangers_keep_no_session_of_a_known_peer_waiting_outside(void **state)
{
    (void)state;
    tl_node_id friend = stranger(5000);
    know(&friend);
    tl_path_id first = tl_peers_on_asked(nodes[0].peers, &friend);
    for (unsigned n = 0; n < 2 * TL_PATHS_WAITING_MAX; n++)
        assert_int_not_equal(open_one(n), 0);
    assert_true(stands(first));
    for (unsigned n = 1; n < TL_PATHS_OF_PEER_MAX; n++)
        assert_true(stands(tl_peers_on_asked(nodes[0].peers, &friend)));
    assert_int_equal(sessions_of(0), TL_PATHS_WAITING_MAX);
}

static void where_all_are_known_a_stranger_is_declined(void **state)
{
    (void)state;
    for (unsigned n = 0; n < TL_PATHS_WAITING_MAX; n++) {
        tl_node_id friend = stranger(5000 + n);
        know(&friend);
        assert_int_not_equal(tl_peers_on_asked(nodes[0].peers, &friend), 0);
    }
    assert_int_equal(open_one(1), 0);
    tl_node_id one_more = stranger(5000 + TL_PATHS_WAITING_MAX);
    know(&one_more);
    assert_int_not_equal(tl_peers_on_asked(nodes[0].peers, &one_more), 0); /* its twin */
}

/* --- the control stream --- */

/* nodes[1] says that to nodes[0] `n` times at once. */
static void say_often(const char *message, size_t n)
{
    tl_buf frames = {0};
    for (size_t i = 0; i < n; i++)
        assert_int_equal(tl_frame_append(&frames, TL_FRAME_MESSAGE, tl_slice_str(message)), TL_OK);
    while (frames.len && conn_of(1) && conn_of(1)->control) {
        size_t sent = 0;
        tl_err e = tl_quic_stream_write(conn_of(1)->control, tl_buf_slice(&frames), false, &sent);
        assert_true(!e || e == TL_ERR_AGAIN);
        tl_buf_consume(&frames, sent);
        run_for(20 * TL_MS);
    }
    tl_buf_clear(&frames);
    run_for(200 * TL_MS);
}

static void meet(bool known)
{
    wisher w = {0};
    if (known)
        know(&nodes[1].identity.id);
    connect_from(&w, 1);
    finish(&w);
    run_for(TL_SEC);
    assert_non_null(conn_of(0));
}

static void assert_closed_for_talking(void)
{
    assert_null(conn_of(0));
    assert_int_equal(tl_peers_counters_of(nodes[0].peers)->control_errors, 1);
    assert_non_null(strstr(nodes[1].why, "too much is said on the control stream"));
}

#define GOODBYE "{\"goodbye\":{\"reason\":\"x\"}}"

static void a_flood_of_messages_ends_the_connection(void **state)
{
    (void)state;
    meet(false);
    say_often(GOODBYE, TL_CONTROL_BURST - 5); /* the hello counts, too */
    assert_non_null(conn_of(0));
    for (int i = 0; i < 60; i++) { /* as fast as the rate, for as long as one likes */
        run_for(TL_SEC - 220 * TL_MS);
        say_often(GOODBYE, TL_CONTROL_RATE - 1);
    }
    assert_non_null(conn_of(0));
    say_often(GOODBYE, 2 * TL_CONTROL_BURST);
    assert_closed_for_talking();
}

static void a_known_peer_may_say_ten_times_as_much(void **state)
{
    (void)state;
    meet(true);
    say_often(GOODBYE, TL_CONTROL_KNOWN * TL_CONTROL_BURST - 5);
    assert_non_null(conn_of(0));
    say_often(GOODBYE, 2 * TL_CONTROL_KNOWN * TL_CONTROL_BURST);
    assert_closed_for_talking();
}

/* A hello of nearly the largest size. */
static char *large_hello(void)
{
    static char text[TL_FRAME_MESSAGE_MAX - 1000];
    static const char head[] = "{\"hello\":{\"agent\":\"a\",\"displayName\":\"x\","
                               "\"capabilities\":{\"x\":\"";
    static const char tail[] = "\"}}}";
    memset(text, 'a', sizeof text);
    memcpy(text, head, sizeof head - 1);
    memcpy(text + sizeof text - sizeof tail, tail, sizeof tail);
    return text;
}

static void a_flood_of_bytes_ends_the_connection(void **state)
{
    (void)state;
    meet(false);
    say_often(large_hello(), 1);
    assert_int_equal(tl_peers_counters_of(nodes[0].peers)->control_errors, 0);
    assert_non_null(conn_of(0));
    say_often(large_hello(), 8);
    assert_closed_for_talking();
}

static void one_that_is_known_by_now_may_say_more_at_once(void **state)
{
    (void)state;
    meet(false);
    tl_peers_prove(nodes[0].peers, &nodes[1].identity.id);
    say_often(large_hello(), 9);
    assert_int_equal(tl_peers_counters_of(nodes[0].peers)->control_errors, 0);
    assert_non_null(conn_of(0));
}

/* Sessions that the old protocol has (legacy/). */
static void
a_session_is_lent_only_while_no_connection_is_on_it_and_then_it_is_its_owners(void **state)
{
    (void)state;
    wisher w = {0};
    tl_node_id s = stranger(1), peer;
    tl_path_id lent, ours;
    connect_from(&w, 1);
    assert_false(tl_peers_lend(nodes[0].peers, conn_of(0)->path, &peer)); /* QUIC is on it */
    assert_false(tl_peers_lend(nodes[1].peers, conn_of(1)->path, &peer)); /* and is ours */
    lent = tl_peers_on_asked(nodes[0].peers, &s);
    assert_true(tl_peers_lend(nodes[0].peers, lent, &peer));
    assert_true(tl_node_id_eq(&peer, &s) && tl_peers_is_lent(nodes[0].peers, lent));
    assert_false(tl_peers_lend(nodes[0].peers, lent, &peer)); /* once */
    run_for(2 * TL_PATH_UNUSED_MAX);
    assert_true(tl_peers_is_lent(nodes[0].peers, lent)); /* where another one would have ended */
    /* It counts as one of its peer's. */
    for (int n = 1; n < TL_PATHS_OF_PEER_MAX; n++)
        assert_int_not_equal(tl_peers_on_asked(nodes[0].peers, &s), 0);
    assert_int_equal(tl_peers_on_asked(nodes[0].peers, &s), 0);
    tl_peers_end_lent(nodes[0].peers, lent);
    assert_false(tl_peers_is_lent(nodes[0].peers, lent));
    assert_int_not_equal(tl_peers_on_asked(nodes[0].peers, &s), 0);
    assert_int_equal(tl_peers_lend_new(nodes[0].peers, &nodes[1].identity.id, &ours), TL_OK);
    assert_true(tl_peers_is_lent(nodes[0].peers, ours));
    relay_down(&nodes[0]);
    assert_false(tl_peers_is_lent(nodes[0].peers, ours));
    assert_int_equal(tl_peers_lend_new(nodes[0].peers, &nodes[1].identity.id, &ours),
                     TL_ERR_CLOSED);
}

static void an_idle_connection_of_no_use_ends_and_one_in_use_does_not(void **state)
{
    (void)state;
    wisher w = {0}, idle = {0};
    connect_from(&w, 1);
    say(&w);
    nodes[0].useless = true; /* the side that was dialled: it need not know the other */
    run_for(3 * TL_PEERS_IDLE_MAX);
    assert_int_equal(nodes[0].left, 0); /* a question is under way */
    finish(&w);
    run_for(TL_PEERS_IDLE_MAX - TL_SEC);
    assert_int_equal(nodes[0].left, 0);
    run_for(TL_PEERS_IDLE_MAX + 2 * TL_SEC);
    assert_int_equal(nodes[0].left, 1);
    assert_int_equal(nodes[1].left, 1);
    nodes[0].useless = false;
    connect_from(&idle, 1);
    say(&idle);
    finish(&idle);
    run_for(10 * TL_PEERS_IDLE_MAX);
    assert_int_equal(nodes[0].left, 1);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, scene_setup, scene_teardown)
    const struct CMUnitTest tests[] = {
        T(a_stranger_opens_sixteen_sessions_and_unused_ones_end_after_thirty_seconds),
        T(of_all_strangers_the_oldest_waiting_session_makes_room),
        T(who_waits_with_many_sessions_makes_room_first),
        T(strangers_keep_no_session_of_a_known_peer_waiting_outside),
        T(where_all_are_known_a_stranger_is_declined),
        T(a_session_is_lent_only_while_no_connection_is_on_it_and_then_it_is_its_owners),
        T(a_flood_of_messages_ends_the_connection),
        T(a_known_peer_may_say_ten_times_as_much),
        T(a_flood_of_bytes_ends_the_connection),
        T(one_that_is_known_by_now_may_say_more_at_once),
        T(an_idle_connection_of_no_use_ends_and_one_in_use_does_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
