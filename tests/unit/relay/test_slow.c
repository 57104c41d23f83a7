#include "harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DATA 60000 /* bytes of base64 in one message of these tests */
#define OFFER                                                                                      \
    "{\"offer\":{\"fromNodeID\":\"%s\",\"toNodeID\":\"%s\",\"sessionID\":\"x\","                   \
    "\"connectionInfo\":{}}}"

typedef struct {
    world w;
    peer *a, *b, *c;
    char *data;
} scene;

/* Sessions a-b and c-b, and one a-c; a sender may let one MB wait, to be reached in fewer messages. */
static void scene_init(scene *s)
{
    tl_relay_config config = tl_relay_config_default();
    config.queue_max = 4000000;
    config.message_max = 500000;
    world_init(&s->w, &config);
    s->a = peer_join(&s->w, 1, ",\"features\":[\"quiet\"]");
    s->b = peer_join(&s->w, 2, ",\"features\":[\"quiet\"]");
    s->c = peer_join(&s->w, 3, ",\"features\":[\"quiet\"]");
    peers_open(s->a, s->b, "ab");
    peers_open(s->c, s->b, "cb");
    peers_open(s->a, s->c, "ac");
    s->data = malloc(DATA + 1);
    assert_non_null(s->data);
    memset(s->data, 'A', DATA);
    s->data[DATA] = 0;
}

static void scene_clear(scene *s)
{
    free(s->data);
    world_clear(&s->w);
}

/* Sends until the relay pauses the sender; returns how many messages that took. */
static size_t send_until_paused(scene *s, peer *from, const char *session)
{
    size_t n = 0;
    while (!from->paused) {
        peer_send_session(from, "relayData", s->b, session, s->data);
        assert_true(++n < 1000);
    }
    return n;
}

static void a_full_line_pauses_its_sender_and_nobody_else(void **state)
{
    (void)state;
    scene s;
    scene_init(&s);
    s.b->reads = false;
    size_t n = send_until_paused(&s, s.a, "ab");
    assert_true(n * DATA < 1100000 && n * DATA > 900000);
    assert_false(s.c->paused);
    peer_send_session(s.c, "relayData", s.a, "ac", "QUJD"); /* others go on */
    peer_expect(s.a, TL_SIGNAL_RELAY_DATA);
    peer_send_session(s.c, "relayData", s.b, "cb", "QUJD"); /* also to the same node */
    assert_false(s.c->paused);
    scene_clear(&s);
}

static void a_reader_that_catches_up_loses_nothing(void **state)
{
    (void)state;
    scene s;
    scene_init(&s);
    s.b->reads = false;
    size_t n = send_until_paused(&s, s.a, "ab");
    world_run(&s.w, 2 * TL_SEC - 1);
    assert_true(s.a->paused);
    s.b->reads = true;
    peer_send_frame(s.b, TL_WS_PING, true, "", 0); /* anything that lets the harness write */
    assert_false(s.a->paused);
    for (size_t i = 0; i < n; i++)
        peer_expect(s.b, TL_SIGNAL_RELAY_DATA);
    peer_expect_nothing(s.b);
    world_run(&s.w, 10 * TL_SEC);
    peer_expect_nothing(s.a);
    peer_send_session(s.a, "relayData", s.b, "ab", "QUJD");
    peer_expect(s.b, TL_SIGNAL_RELAY_DATA);
    scene_clear(&s);
}

static void after_two_seconds_of_pause_the_session_ends_for_both(void **state)
{
    (void)state;
    scene s;
    scene_init(&s);
    s.b->reads = false;
    size_t n = send_until_paused(&s, s.a, "ab");
    world_run(&s.w, 2 * TL_SEC - 1);
    peer_expect_nothing(s.a);
    world_run(&s.w, 1);
    peer_expect_error(s.a, TL_SIGNAL_BUSY);
    peer_expect(s.a, TL_SIGNAL_RELAY_CLOSE);
    assert_false(s.a->paused); /* its other sessions go on */
    peer_send_session(s.a, "relayData", s.b, "ab", "QUJD");
    peer_expect_error(s.a, TL_SIGNAL_SESSION_NOT_FOUND);
    s.b->reads = true;
    world_run(&s.w, TL_SEC);
    peer_send_frame(s.b, TL_WS_PING, true, "", 0);
    for (size_t i = 0; i < n; i++)
        peer_expect(s.b, TL_SIGNAL_RELAY_DATA); /* what was taken arrives */
    peer_expect(s.b, TL_SIGNAL_RELAY_CLOSE);
    assert_true(tl_slice_eq(s.b->signal.session, TL_SLICE_LIT("ab")));
    assert_int_equal(tl_relay_counters_of(s.w.relay)->sessions_busy, 1);
    peer_send_session(s.c, "relayData", s.b, "cb", "QUJD"); /* c waited for nothing */
    peer_expect(s.b, TL_SIGNAL_RELAY_DATA);
    scene_clear(&s);
}

static void a_queue_without_progress_is_cut_after_five_seconds(void **state)
{
    (void)state;
    scene s;
    scene_init(&s);
    s.b->reads = false;
    peer_send_session(s.a, "relayData", s.b, "ab", "QUJD");
    world_run(&s.w, 5 * TL_SEC - 1);
    assert_false(s.b->cut);
    world_run(&s.w, 1);
    assert_true(s.b->cut);
    peer_expect(s.a, TL_SIGNAL_RELAY_CLOSE);
    peer_expect(s.c, TL_SIGNAL_RELAY_CLOSE);
    assert_int_equal(tl_relay_counters_of(s.w.relay)->cut_stalled, 1);
    assert_int_equal(tl_relay_counters_of(s.w.relay)->nodes_registered, 2);
    scene_clear(&s);
}

/* `b` reads `n` bytes every four seconds, twenty times or until it is cut. */
static void read_slowly(scene *s, size_t n)
{
    s->b->reads = false;
    for (int i = 0; i < 15; i++)
        peer_send_session(s->a, "relayData", s->b, "ab", s->data);
    for (int i = 0; i < 20 && !s->b->cut; i++) {
        world_run(&s->w, 4 * TL_SEC);
        if (s->b->cut)
            break;
        tl_buf_consume(&s->b->waiting, n);
        tl_relay_on_written(s->w.relay, s->b->conn, n, s->w.now);
        if (s->b->waiting.len < 600000) /* its queue never gets empty */
            peer_send_session(s->a, "relayData", s->b, "ab", s->data);
    }
}

static void a_slow_reader_that_makes_progress_is_kept(void **state)
{
    (void)state;
    scene s;
    scene_init(&s);
    read_slowly(&s, 40000); /* 10 KB a second */
    assert_false(s.b->cut);
    world_run(&s.w, 5 * TL_SEC);
    assert_true(s.b->cut);
    assert_int_equal(tl_relay_counters_of(s.w.relay)->cut_stalled, 1);
    scene_clear(&s);
}

static void a_reader_that_reads_hardly_anything_is_cut_after_thirty_seconds(void **state)
{
    (void)state;
    scene s;
    scene_init(&s);
    tl_time begin = s.w.now;
    read_slowly(&s, 1000);
    assert_true(s.b->cut);
    assert_int_equal(s.w.now - begin, 32 * TL_SEC); /* in steps of four */
    assert_int_equal(tl_relay_counters_of(s.w.relay)->cut_slow, 1);
    scene_clear(&s);
}

static void an_unfinished_message_ends_the_connection_after_thirty_seconds(void **state)
{
    (void)state;
    scene s;
    scene_init(&s);
    peer_send_frame(s.a, TL_WS_TEXT, false, s.data, DATA);
    for (int i = 0; i < 29; i++) {
        world_run(&s.w, TL_SEC);
        peer_send_frame(s.a, TL_WS_CONTINUATION, false, s.data, 1000);
        peer_send_frame(s.a, TL_WS_PING, true, "", 0); /* is no end of the message */
    }
    assert_false(s.a->cut || s.a->closed);
    world_run(&s.w, TL_SEC);
    peer_drop_all(s.a);
    assert_int_equal(s.a->closed, TL_WS_POLICY);
    assert_int_equal(tl_relay_counters_of(s.w.relay)->cut_unfinished, 1);
    scene_clear(&s);
}

static void messages_that_end_may_come_in_pieces_for_ever(void **state)
{
    (void)state;
    scene s;
    scene_init(&s);
    for (int i = 0; i < 100; i++) {
        peer_send_frame(s.a, TL_WS_TEXT, false, "{\"relay", 7);
        world_run(&s.w, TL_SEC);
        peer_send_frame(s.a, TL_WS_CONTINUATION, true, "X\":{}}", 6);
        peer_expect_error(s.a, TL_SIGNAL_UNSUPPORTED_MESSAGE);
    }
    assert_false(s.a->cut);
    scene_clear(&s);
}

static void a_sender_that_waits_for_two_readers_resumes_with_the_last(void **state)
{
    (void)state;
    scene s;
    scene_init(&s);
    s.b->reads = s.c->reads = false;
    send_until_paused(&s, s.a, "ab");
    s.a->paused = false; /* what was read already is still taken */
    for (int i = 0; i < 20; i++)
        peer_send_session(s.a, "relayData", s.c, "ac", s.data);
    assert_false(s.a->paused); /* not told twice */
    s.a->paused = true;
    s.b->reads = true;
    peer_send_frame(s.b, TL_WS_PING, true, "", 0);
    assert_true(s.a->paused);
    s.c->reads = true;
    peer_send_frame(s.c, TL_WS_PING, true, "", 0);
    assert_false(s.a->paused);
    scene_clear(&s);
}

static void what_was_in_flight_past_a_full_queue_ends_the_session_loudly(void **state)
{
    (void)state;
    scene s;
    scene_init(&s);
    s.b->reads = false;
    send_until_paused(&s, s.a, "ab");
    size_t n = 0;
    while (tl_relay_counters_of(s.w.relay)->sessions_busy == 0) { /* a driver that does not pause */
        s.a->paused = true;
        peer_send_session(s.a, "relayData", s.b, "ab", s.data);
        assert_true(++n < 100);
    }
    peer_expect_error(s.a, TL_SIGNAL_BUSY);
    peer_expect(s.a, TL_SIGNAL_RELAY_CLOSE);
    assert_true(tl_relay_counters_of(s.w.relay)->queue_bytes < 4600000);
    scene_clear(&s);
}

static void a_full_line_of_one_sender_keeps_no_other_out(void **state)
{
    (void)state;
    scene s;
    scene_init(&s);
    s.b->reads = false;
    send_until_paused(&s, s.a, "ab");
    peer_send_session(s.c, "relayOpen", s.b, "new", NULL);
    peer_expect_nothing(s.c);
    peer_send(s.a, OFFER, s.a->node, s.b->node); /* its own line is full, for offers too */
    peer_expect_error(s.a, TL_SIGNAL_BUSY);
    peer_send(s.c, OFFER, s.c->node, s.b->node);
    peer_expect_nothing(s.c);
    s.b->reads = true;
    world_run(&s.w, TL_SEC);
    bool asked = false, offered = false;
    for (const tl_signal *got; (got = peer_take(s.b));) {
        asked |= got->type == TL_SIGNAL_RELAY_OPEN;
        offered |= got->type == TL_SIGNAL_OFFER;
    }
    assert_true(asked && offered);
    scene_clear(&s);
}

static void whoever_asks_much_and_reads_nothing_is_cut(void **state)
{
    (void)state;
    scene s;
    scene_init(&s);
    char payload[125];
    memset(payload, 'p', sizeof payload);
    s.b->reads = false;
    for (int i = 0; i < 45000 && s.b->conn; i++) {
        peer_send_frame(s.b, TL_WS_PING, true, payload, sizeof payload);
        world_run(&s.w, 1);
    }
    assert_true(s.b->cut);
    assert_int_equal(tl_relay_counters_of(s.w.relay)->cut_overflow, 1);
    scene_clear(&s);
}

static void a_paused_sender_that_leaves_takes_its_pause_along(void **state)
{
    (void)state;
    scene s;
    scene_init(&s);
    s.b->reads = false;
    send_until_paused(&s, s.a, "ab");
    peer_disconnect(s.a);
    world_run(&s.w, 3 * TL_SEC);
    assert_int_equal(tl_relay_counters_of(s.w.relay)->sessions_busy, 0);
    assert_int_equal(tl_relay_counters_of(s.w.relay)->sessions_active, 1);
    scene_clear(&s);
}

static void a_closing_connection_that_does_not_drain_is_cut(void **state)
{
    (void)state;
    scene s;
    scene_init(&s);
    s.b->reads = false;
    peer_send_session(s.a, "relayData", s.b, "ab", "QUJD");
    peer_send_frame(s.b, TL_WS_CLOSE, true, "\x03\xE8", 2);
    world_run(&s.w, 2 * TL_SEC - 1);
    assert_false(s.b->cut);
    world_run(&s.w, 1);
    assert_true(s.b->cut);
    scene_clear(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_line_pauses_its_sender_and_nobody_else),
        cmocka_unit_test(a_reader_that_catches_up_loses_nothing),
        cmocka_unit_test(after_two_seconds_of_pause_the_session_ends_for_both),
        cmocka_unit_test(a_queue_without_progress_is_cut_after_five_seconds),
        cmocka_unit_test(a_slow_reader_that_makes_progress_is_kept),
        cmocka_unit_test(a_reader_that_reads_hardly_anything_is_cut_after_thirty_seconds),
        cmocka_unit_test(an_unfinished_message_ends_the_connection_after_thirty_seconds),
        cmocka_unit_test(messages_that_end_may_come_in_pieces_for_ever),
        cmocka_unit_test(a_sender_that_waits_for_two_readers_resumes_with_the_last),
        cmocka_unit_test(what_was_in_flight_past_a_full_queue_ends_the_session_loudly),
        cmocka_unit_test(a_full_line_of_one_sender_keeps_no_other_out),
        cmocka_unit_test(whoever_asks_much_and_reads_nothing_is_cut),
        cmocka_unit_test(a_paused_sender_that_leaves_takes_its_pause_along),
        cmocka_unit_test(a_closing_connection_that_does_not_drain_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
