/* Frames that nobody asked for cost their address; who sends too many of them is not read for a
 * while, and neighbours at the same address are. */
#include "harness.h"

#include <string.h>

#define MANY 20000 /* tiny frames in one read */

typedef struct {
    world w;
    peer *flood, *a, *b; /* all of one address */
} scene;

static void scene_init(scene *s)
{
    world_init(&s->w, NULL);
    s->flood = peer_join(&s->w, 1, ",\"features\":[\"quiet\"]");
    s->a = peer_join(&s->w, 2, ",\"features\":[\"quiet\"]");
    s->b = peer_join(&s->w, 3, ",\"features\":[\"quiet\"]");
    peers_open(s->a, s->b, "s");
}

static uint64_t rests(const scene *s)
{
    return tl_relay_counters_of(s->w.relay)->rests;
}

/* The `n` bytes of a frame, MANY times in one read. */
static void send_many(peer *p, const char *frame, size_t n)
{
    tl_buf all = {0};
    for (int i = 0; i < MANY; i++)
        assert_int_equal(tl_buf_append(&all, tl_slice_of(frame, n)), TL_OK);
    peer_send_bytes(p, tl_buf_begin(&all), all.len);
    tl_buf_clear(&all);
}

/* Sends them until the connection rests; the number of reads. */
static size_t flood_until_paused(scene *s, const char *frame, size_t n)
{
    for (size_t reads = 1; reads <= 200; reads++) {
        send_many(s->flood, frame, n);
        peer_drop_all(s->flood);
        if (s->flood->paused)
            return reads;
    }
    fail_msg("it was never paused");
    return 0;
}

/* The flood rests, its neighbours do not, and after the rest it is read again. */
static void check_rest(const char *frame, size_t n, size_t least, size_t most)
{
    scene s;
    scene_init(&s);
    size_t reads = flood_until_paused(&s, frame, n);
    assert_in_range(reads, least, most);
    assert_int_equal(rests(&s), 1);
    peer_send_frame(s.a, TL_WS_PING, true, "hi", 2);
    assert_int_equal(s.a->received.len, 4);
    peer_drop_all(s.a);
    for (int i = 0; i < 5000; i++)
        peer_send_session(s.a, "relayData", s.b, "s", "QUJD");
    for (int i = 0; i < 5000; i++)
        peer_expect(s.b, TL_SIGNAL_RELAY_DATA);
    assert_false(s.a->paused);
    world_run(&s.w, 2 * TL_SEC);
    assert_false(s.flood->paused);
    peer_send_frame(s.flood, TL_WS_PING, true, "hi", 2);
    assert_int_equal(s.flood->received.len, 4);
    assert_int_equal(s.flood->closed, 0);
    world_clear(&s.w);
}

static void empty_pings_cost_two_seconds_of_work_then_their_sender_rests(void **state)
{
    (void)state;
    check_rest("\x89\x80\0\0\0\0", 6, 90, 101);
}

static void so_do_pongs(void **state)
{
    (void)state;
    check_rest("\x8A\x80\0\0\0\0", 6, 90, 101);
}

static void so_do_empty_fragments(void **state)
{
    (void)state;
    scene s;
    scene_init(&s);
    peer_send_frame(s.flood, TL_WS_TEXT, false, "", 0);
    assert_in_range(flood_until_paused(&s, "\0\x80\0\0\0\0", 6), 90, 101);
    world_clear(&s.w);
}

static void so_do_messages_beyond_the_rate(void **state)
{
    (void)state;
    check_rest("\x81\x82\0\0\0\0{}", 8, 30, 35);
}

static void so_does_data_for_a_session_that_is_none(void **state)
{
    (void)state;
    scene s;
    scene_init(&s);
    for (size_t i = 0; !s.flood->paused; i++) {
        assert_true(i < 800000);
        peer_send_session(s.flood, "relayData", s.b, "none", "QUJD");
        peer_drop_all(s.flood);
    }
    assert_false(s.b->paused);
    assert_int_equal(rests(&s), 1);
    world_clear(&s.w);
}

static void data_in_a_session_costs_nothing_however_much_it_is(void **state)
{
    (void)state;
    scene s;
    scene_init(&s);
    for (int i = 0; i < 800000; i++) {
        peer_send_session(s.a, "relayData", s.b, "s", "QUJD");
        peer_drop_all(s.b);
    }
    assert_false(s.a->paused);
    assert_int_equal(rests(&s), 0);
    send_many(s.flood, "\x89\x80\0\0\0\0", 6); /* nothing is owed at this address */
    assert_false(s.flood->paused);
    world_clear(&s.w);
}

static void a_node_that_rests_may_leave_and_its_sessions_end(void **state)
{
    (void)state;
    scene s;
    scene_init(&s);
    peers_open(s.flood, s.b, "t");
    flood_until_paused(&s, "\x89\x80\0\0\0\0", 6);
    peer_disconnect(s.flood);
    peer_expect(s.b, TL_SIGNAL_RELAY_CLOSE);
    world_run(&s.w, 5 * TL_SEC);
    world_clear(&s.w);
}

static void of_the_pings_of_one_read_the_newest_is_answered(void **state)
{
    (void)state;
    scene s;
    scene_init(&s);
    peer_send_bytes(s.a, "\x89\x81\0\0\0\0x\x89\x81\0\0\0\0y\x8A\x80\0\0\0\0", 20);
    assert_int_equal(s.a->received.len, 3);
    assert_memory_equal(tl_buf_begin(&s.a->received), "\x8A\x01y", 3);
    peer_drop_all(s.a);
    peer_send_bytes(s.a, "\x89\x81\0\0\0\0x", 7);
    peer_send_bytes(s.a, "\x89\x81\0\0\0\0y", 7);
    assert_int_equal(s.a->received.len, 6); /* of two reads, both */
    peer_drop_all(s.a);
    peer_send_bytes(s.a, "\x89\x81\0\0\0\0z\x88\x80\0\0\0\0", 13);
    assert_memory_equal(tl_buf_begin(&s.a->received), "\x8A\x01z\x88\x00", 5); /* before the end */
    world_clear(&s.w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty_pings_cost_two_seconds_of_work_then_their_sender_rests),
        cmocka_unit_test(so_do_pongs),
        cmocka_unit_test(so_do_empty_fragments),
        cmocka_unit_test(so_do_messages_beyond_the_rate),
        cmocka_unit_test(so_does_data_for_a_session_that_is_none),
        cmocka_unit_test(data_in_a_session_costs_nothing_however_much_it_is),
        cmocka_unit_test(a_node_that_rests_may_leave_and_its_sessions_end),
        cmocka_unit_test(of_the_pings_of_one_read_the_newest_is_answered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
