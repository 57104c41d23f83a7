#include "harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    world w;
    peer *a, *b, *c;
} trio;

static void trio_init(trio *t, const tl_relay_config *config)
{
    world_init(&t->w, config);
    t->a = peer_join(&t->w, 1, ",\"features\":[\"quiet\"]");
    t->b = peer_join(&t->w, 2, ",\"features\":[\"quiet\"]");
    t->c = peer_join(&t->w, 3, ",\"features\":[\"quiet\"]");
}

static void offers_answers_and_candidates_reach_their_node_byte_for_byte(void **state)
{
    (void)state;
    trio t;
    trio_init(&t, NULL);
    static const char *const types[] = {"offer", "answer", "iceCandidate"};
    for (int wrapped = 0; wrapped < 2; wrapped++) {
        for (int i = 0; i < 3; i++) {
            char *text;
            assert_true(
                asprintf(
                    &text,
                    "{ \"%s\" :%s {\"fromNodeID\":\"%s\",\"toNodeID\":\"%s\",\"sessionID\":\"s\", "
                    "\"%s\":{\"x\":1e0},\"signature\":\"ab\",\"new\":[1.50]}%s}",
                    types[i], wrapped ? "{\"_0\":" : "", t.a->node, t.b->node,
                    i < 2 ? "connectionInfo" : "candidate", wrapped ? "}" : "") > 0);
            peer_send(t.a, "%s", text);
            assert_non_null(peer_take(t.b));
            assert_string_equal((char *)t.b->frame, text);
            peer_expect_nothing(t.a);
            peer_expect_nothing(t.c);
            free(text);
        }
    }
    world_clear(&t.w);
}

static void nobody_speaks_in_anothers_name(void **state)
{
    (void)state;
    trio t;
    trio_init(&t, NULL);
    static const char *const types[] = {"relayOpen", "relayReady", "relayClose"};
    for (int i = 0; i < 3; i++) {
        char *real = strdup(t.c->node);
        memcpy(t.c->node, t.a->node, 64); /* c claims to be a */
        peer_send_session(t.c, types[i], t.b, "s", NULL);
        memcpy(t.c->node, real, 64);
        free(real);
        peer_expect_error(t.c, TL_SIGNAL_FORBIDDEN);
        peer_expect_nothing(t.b);
    }
    world_clear(&t.w);
}

static void a_session_carries_data_both_ways_once_it_is_answered(void **state)
{
    (void)state;
    trio t;
    trio_init(&t, NULL);
    peer_send_session(t.a, "relayData", t.b, "s", "QUJD");
    peer_expect_error(t.a, TL_SIGNAL_SESSION_NOT_FOUND);
    peer_send_session(t.a, "relayOpen", t.b, "s", NULL);
    peer_expect(t.b, TL_SIGNAL_RELAY_OPEN);
    peer_send_session(t.a, "relayData", t.b, "s", "QUJD");
    peer_expect_error(t.a, TL_SIGNAL_SESSION_NOT_FOUND);
    peer_send_session(t.b, "relayReady", t.a, "s", NULL);
    peer_expect(t.a, TL_SIGNAL_RELAY_READY);
    peer_send_session(t.a, "relayData", t.b, "s", "QUJD");
    peer_expect(t.b, TL_SIGNAL_RELAY_DATA);
    assert_true(tl_slice_eq(t.b->signal.data, TL_SLICE_LIT("QUJD")));
    peer_send_session(t.b, "relayData", t.a, "s", "REVG");
    peer_expect(t.a, TL_SIGNAL_RELAY_DATA);
    assert_int_equal(tl_relay_counters_of(t.w.relay)->sessions_active, 1);
    assert_int_equal(tl_relay_counters_of(t.w.relay)->bytes_forwarded, 6);
    peer_send_session(t.b, "relayClose", t.a, "s", NULL);
    peer_expect(t.a, TL_SIGNAL_RELAY_CLOSE);
    peer_expect_nothing(t.b);
    peer_send_session(t.a, "relayData", t.b, "s", "QUJD");
    peer_expect_error(t.a, TL_SIGNAL_SESSION_NOT_FOUND);
    assert_int_equal(tl_relay_counters_of(t.w.relay)->sessions_active, 0);
    world_clear(&t.w);
}

static void a_stranger_can_do_nothing_in_a_session_of_others(void **state)
{
    (void)state;
    trio t;
    trio_init(&t, NULL);
    peers_open(t.a, t.b, "s");
    static const char *const types[] = {"relayData", "relayClose", "relayReady"};
    for (int i = 0; i < 3; i++) {
        peer_send_session(t.c, types[i], t.b, "s", i ? NULL : "QUJD");
        peer_expect_error(t.c, TL_SIGNAL_FORBIDDEN);
        peer_send_session(t.c, types[i], t.a, "s", i ? NULL : "QUJD");
        peer_expect_error(t.c, TL_SIGNAL_FORBIDDEN);
    }
    peer_send_session(t.c, "relayOpen", t.b, "s", NULL); /* taking the id over */
    peer_expect_error(t.c, TL_SIGNAL_FORBIDDEN);
    /* a member cannot redirect it either */
    peer_send_session(t.a, "relayData", t.c, "s", "QUJD");
    peer_expect_error(t.a, TL_SIGNAL_FORBIDDEN);
    peer_expect_nothing(t.b);
    peer_expect_nothing(t.c);
    peer_send_session(t.a, "relayData", t.b, "s", "QUJD");
    peer_expect(t.b, TL_SIGNAL_RELAY_DATA);
    world_clear(&t.w);
}

static void only_the_one_that_was_asked_answers(void **state)
{
    (void)state;
    trio t;
    trio_init(&t, NULL);
    peer_send_session(t.a, "relayOpen", t.b, "s", NULL);
    peer_expect(t.b, TL_SIGNAL_RELAY_OPEN);
    peer_send_session(t.a, "relayReady", t.b, "s", NULL);
    peer_expect_error(t.a, TL_SIGNAL_FORBIDDEN);
    peer_send_session(t.c, "relayReady", t.a, "s", NULL);
    peer_expect_error(t.c, TL_SIGNAL_FORBIDDEN);
    peer_expect_nothing(t.a);
    peer_send_session(t.b, "relayReady", t.a, "s", NULL);
    peer_expect(t.a, TL_SIGNAL_RELAY_READY);
    peer_send_session(t.b, "relayReady", t.a, "s", NULL); /* twice */
    peer_expect_error(t.b, TL_SIGNAL_FORBIDDEN);
    peer_send_session(t.b, "relayReady", t.a, "other", NULL);
    peer_expect_error(t.b, TL_SIGNAL_SESSION_NOT_FOUND);
    world_clear(&t.w);
}

static void nodes_that_are_not_there_are_named_as_such(void **state)
{
    (void)state;
    trio t;
    trio_init(&t, NULL);
    peer_disconnect(t.c);
    peer_send_session(t.a, "relayOpen", t.c, "s", NULL);
    peer_expect_error(t.a, TL_SIGNAL_PEER_NOT_FOUND);
    memcpy(t.c->node, "zz", 2);
    peer_send_session(t.a, "relayOpen", t.c, "s", NULL);
    peer_expect_error(t.a, TL_SIGNAL_PEER_NOT_FOUND);
    peer_send_session(t.a, "relayOpen", t.a, "s", NULL);
    peer_expect_error(t.a, TL_SIGNAL_FORBIDDEN);
    world_clear(&t.w);
}

static void an_open_that_nobody_answers_ends_after_30_seconds(void **state)
{
    (void)state;
    trio t;
    trio_init(&t, NULL);
    peer_send_session(t.a, "relayOpen", t.b, "s", NULL);
    peer_expect(t.b, TL_SIGNAL_RELAY_OPEN);
    world_run(&t.w, 30 * TL_SEC - 1);
    peer_expect_nothing(t.a);
    world_run(&t.w, 1);
    peer_expect(t.a, TL_SIGNAL_RELAY_CLOSE);
    assert_true(tl_slice_eq(t.a->signal.from, tl_slice_str(t.b->node)));
    peer_expect(t.b, TL_SIGNAL_RELAY_CLOSE);
    peer_send_session(t.b, "relayReady", t.a, "s", NULL);
    peer_expect_error(t.b, TL_SIGNAL_SESSION_NOT_FOUND);
    peers_open(t.a, t.b, "s"); /* the id is free again */
    world_run(&t.w, 40 * TL_SEC);
    peer_expect_nothing(t.a);
    world_clear(&t.w);
}

static void a_session_ends_with_a_members_socket(void **state)
{
    (void)state;
    trio t;
    trio_init(&t, NULL);
    peers_open(t.a, t.b, "ab");
    peers_open(t.c, t.b, "cb");
    peer_disconnect(t.b);
    peer_expect(t.a, TL_SIGNAL_RELAY_CLOSE);
    assert_true(tl_slice_eq(t.a->signal.session, TL_SLICE_LIT("ab")));
    assert_true(tl_slice_eq(t.a->signal.from, tl_slice_str(t.b->node)));
    assert_true(tl_slice_eq(t.a->signal.to, tl_slice_str(t.a->node)));
    peer_expect(t.c, TL_SIGNAL_RELAY_CLOSE);
    peer_expect_nothing(t.a);
    world_clear(&t.w);
}

static void a_message_in_fragments_is_passed_on_whole(void **state)
{
    (void)state;
    trio t;
    trio_init(&t, NULL);
    peers_open(t.a, t.b, "s");
    char text[400];
    int n = snprintf(text, sizeof text,
                     "{\"relayData\":{\"fromNodeID\":\"%s\",\"toNodeID\":\"%s\",\"sessionID\":"
                     "\"s\",\"data\":\"QUJD\"}}",
                     t.a->node, t.b->node);
    peer_send_frame(t.a, TL_WS_TEXT, false, text, 50);
    peer_send_frame(t.a, TL_WS_PING, true, "hi", 2);
    peer_send_frame(t.a, TL_WS_CONTINUATION, false, text + 50, 60);
    peer_expect_nothing(t.b);
    peer_send_frame(t.a, TL_WS_CONTINUATION, true, text + 110, (size_t)n - 110);
    assert_non_null(peer_take(t.b));
    assert_string_equal((char *)t.b->frame, text);
    world_clear(&t.w);
}

static void many_frames_in_one_read_and_a_frame_in_many_reads_arrive_alike(void **state)
{
    (void)state;
    trio t;
    trio_init(&t, NULL);
    peers_open(t.a, t.b, "s");
    static const uint8_t mask[4] = {1, 2, 3, 4};
    tl_buf frames = {0};
    for (int i = 0; i < 20; i++) {
        char text[700];
        int n = snprintf(text, sizeof text,
                         "{\"relayData\":{\"fromNodeID\":\"%s\",\"toNodeID\":\"%s\",\"sessionID\":"
                         "\"s\",\"data\":\"%0*d\"}}",
                         t.a->node, t.b->node, 4 * (1 + i * 3), i);
        assert_int_equal(tl_ws_append(&frames, TL_WS_TEXT, tl_slice_of(text, (size_t)n), mask),
                         TL_OK);
    }
    tl_buf copy = {0};
    assert_int_equal(tl_buf_append(&copy, tl_buf_slice(&frames)), TL_OK);
    peer_send_bytes(t.a, tl_buf_begin(&frames), frames.len);
    for (int i = 0; i < 20; i++) {
        peer_expect(t.b, TL_SIGNAL_RELAY_DATA);
        assert_int_equal(t.b->signal.data.n, 4 * (1 + i * 3));
        assert_int_equal(atoi((const char *)t.b->signal.data.p), i);
    }
    /* byte by byte, the way a driver does: what is not consumed comes again with more */
    size_t have = 0, at = 0;
    for (size_t i = 0; i < copy.len; i++) {
        size_t used, need;
        have++;
        tl_relay_on_bytes(t.w.relay, t.a->conn, tl_buf_begin(&copy) + at, have, t.w.now, &used,
                          &need);
        assert_true(used == 0 || used == have);
        assert_true(used || need > have);
        tl_relay_output o;
        while (tl_relay_next_output(t.w.relay, &o)) {
            assert_int_equal(o.kind, TL_RELAY_SEND);
            assert_ptr_equal(o.user, t.b);
            tl_relay_on_written(t.w.relay, o.conn, o.bytes.n, t.w.now);
            tl_relay_chunk_unref(o.shared);
        }
        at += used;
        have -= used;
    }
    assert_int_equal(have, 0);
    assert_int_equal(tl_relay_counters_of(t.w.relay)->messages_forwarded, 42);
    tl_buf_clear(&frames);
    tl_buf_clear(&copy);
    world_clear(&t.w);
}

static void bad_messages_get_their_code_and_harm_nothing(void **state)
{
    (void)state;
    trio t;
    trio_init(&t, NULL);
    peers_open(t.a, t.b, "s");
    peer_send(t.a, "nonsense");
    peer_expect_error(t.a, TL_SIGNAL_INVALID_JSON);
    peer_send(t.a, "{}");
    peer_expect_error(t.a, TL_SIGNAL_INVALID_MESSAGE);
    peer_send(t.a, "{\"whatever\":{}}");
    peer_expect_error(t.a, TL_SIGNAL_UNSUPPORTED_MESSAGE);
    peer_send(t.a, "{\"registerAck\":{}}");
    peer_expect_error(t.a, TL_SIGNAL_UNSUPPORTED_MESSAGE);
    peer_send_frame(t.a, TL_WS_BINARY, true, "x", 1);
    peer_expect_error(t.a, TL_SIGNAL_UNSUPPORTED_MESSAGE);
    char *big = malloc(70000);
    assert_non_null(big);
    memset(big, ' ', 70000);
    memcpy(big, "{\"relayOpen\":{}}", 16);
    peer_send_frame(t.a, TL_WS_TEXT, true, big, 70000);
    peer_expect_error(t.a, TL_SIGNAL_TOO_LARGE);
    free(big);
    peer_send_session(t.a, "relayData", t.b, "s", "QUJD");
    peer_expect(t.b, TL_SIGNAL_RELAY_DATA);
    peer_expect_nothing(t.a);
    assert_int_equal(t.a->closed, 0);
    world_clear(&t.w);
}

static void illegal_frames_close_with_their_code(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t n;
        uint16_t code;
    } cases[] = {{"\x81\x01"
                  "a",
                  3, 1002},                                              /* not masked */
                 {"\xC1\x81\0\0\0\0a", 7, 1002},                         /* reserved bit */
                 {"\x81\x82\0\0\0\0\xC3\x28", 8, 1007},                  /* not UTF-8 */
                 {"\x81\xFF\0\0\0\0\x00\x40\x00\x01\0\0\0\0", 14, 1009}, /* 4 MiB and 1 */
                 {"\x88\x82\0\0\0\0\x03\xED", 8, 1002},                  /* close code 1005 */
                 {"\x80\x81\0\0\0\0a", 7, 1002}};                        /* continues nothing */
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        trio t;
        trio_init(&t, NULL);
        peers_open(t.a, t.b, "s");
        peer_send_bytes(t.a, cases[i].bytes, cases[i].n);
        peer_expect_nothing(t.a);
        assert_int_equal(t.a->closed, cases[i].code);
        peer_expect(t.b, TL_SIGNAL_RELAY_CLOSE);
        assert_int_equal(tl_relay_counters_of(t.w.relay)->closed_protocol, 1);
        peer_send_bytes(t.a, "\x81\x81\0\0\0\0a", 7); /* discarded from now on */
        world_clear(&t.w);
    }
}

static void a_close_is_answered_with_its_own_code(void **state)
{
    (void)state;
    trio t;
    trio_init(&t, NULL);
    peer_send_frame(t.a, TL_WS_CLOSE, true,
                    "\x0F\xA0"
                    "bye",
                    5);
    peer_expect_nothing(t.a);
    assert_int_equal(t.a->closed, 4000);
    peer_send_frame(t.b, TL_WS_CLOSE, true, "", 0);
    peer_expect_nothing(t.b);
    assert_int_equal(t.b->closed, TL_WS_NO_STATUS);
    assert_int_equal(tl_relay_counters_of(t.w.relay)->nodes_registered, 1);
    world_clear(&t.w);
}

static void an_unregistered_socket_may_not_announce_much(void **state)
{
    (void)state;
    world w;
    world_init(&w, NULL);
    peer *p = peer_connect(&w, 1);
    peer_send_bytes(p, "\x81\xFF\0\0\0\0\0\x04\0\x01", 10); /* 256 KiB and 1 */
    peer_expect_nothing(p);
    assert_int_equal(p->closed, TL_WS_TOO_BIG);
    world_clear(&w);
}

static void pings_are_answered_with_what_they_carry(void **state)
{
    (void)state;
    world w;
    world_init(&w, NULL);
    peer *p = peer_connect(&w, 1);
    char payload[125];
    memset(payload, 'p', sizeof payload);
    peer_send_frame(p, TL_WS_PING, true, payload, sizeof payload);
    assert_int_equal(p->received.len, 127);
    assert_memory_equal(tl_buf_begin(&p->received), "\x8A\x7D", 2);
    assert_memory_equal(tl_buf_begin(&p->received) + 2, payload, sizeof payload);
    world_clear(&w);
}

static void control_messages_are_limited_in_rate_and_data_is_not(void **state)
{
    (void)state;
    tl_relay_config config = tl_relay_config_default();
    config.control_burst = 10;
    config.control_per_sec = 1;
    trio t;
    trio_init(&t, &config);
    peers_open(t.a, t.b, "s");
    for (int i = 0; i < 100; i++)
        peer_send_session(t.a, "relayData", t.b, "s", "QUJD");
    peer_expect_nothing(t.a);
    for (int i = 0; i < 8; i++) { /* register and relayOpen took two */
        peer_send(t.a, "{\"x\":1}");
        peer_expect_error(t.a, TL_SIGNAL_UNSUPPORTED_MESSAGE);
    }
    peer_send(t.a, "{\"x\":1}");
    peer_expect_error(t.a, TL_SIGNAL_RATE_LIMITED);
    peer_drop_all(t.b);
    for (int i = 0; i < 100; i++)
        peer_send_session(t.a, "relayOpen", t.b, "t", NULL);
    peer_expect_nothing(t.b);
    peer_expect_nothing(t.a); /* it was told in this second */
    world_run(&t.w, TL_SEC);
    peer_send(t.a, "{\"x\":1}");
    peer_expect_error(t.a, TL_SIGNAL_UNSUPPORTED_MESSAGE);
    peer_send(t.a, "{\"x\":1}");
    peer_expect_error(t.a, TL_SIGNAL_RATE_LIMITED);
    world_clear(&t.w);
}

static void sessions_are_bounded(void **state)
{
    (void)state;
    tl_relay_config config = tl_relay_config_default();
    config.opening_per_node_max = 2;
    config.sessions_per_node_max = 3;
    trio t;
    trio_init(&t, &config);
    peer_send_session(t.a, "relayOpen", t.b, "1", NULL);
    peer_send_session(t.a, "relayOpen", t.b, "2", NULL);
    peer_expect_nothing(t.a);
    peer_send_session(t.a, "relayOpen", t.b, "3", NULL);
    peer_expect_error(t.a, TL_SIGNAL_BUSY);
    peer_send_session(t.b, "relayReady", t.a, "1", NULL);
    peer_expect(t.a, TL_SIGNAL_RELAY_READY);
    peer_send_session(t.a, "relayOpen", t.b, "3", NULL);
    peer_expect_nothing(t.a);
    peer_send_session(t.c, "relayOpen", t.b, "4", NULL); /* b is full */
    peer_expect_error(t.c, TL_SIGNAL_BUSY);
    peer_send_session(t.a, "relayClose", t.b, "3", NULL);
    peer_send_session(t.c, "relayOpen", t.b, "4", NULL);
    peer_expect_nothing(t.c);
    world_clear(&t.w);
}

static void shutting_down_tells_everyone(void **state)
{
    (void)state;
    trio t;
    trio_init(&t, NULL);
    peer *greeted = peer_connect(&t.w, 9);
    tl_relay_conn *c;
    tl_relay_shutdown(t.w.relay, t.w.now);
    world_run(&t.w, 0);
    peer_send_bytes(t.a, "x", 1); /* only to let the outputs out */
    peer_expect_nothing(t.a);
    peer_expect_nothing(greeted);
    assert_int_equal(t.a->closed, TL_WS_GOING_AWAY);
    assert_int_equal(greeted->closed, TL_WS_GOING_AWAY);
    assert_int_equal(tl_relay_accept(t.w.relay, &t.w.remote, &t.w.local, false, NULL, t.w.now, &c),
                     TL_ERR_BUSY);
    world_run(&t.w, 2 * TL_SEC);
    assert_true(t.b->cut);
    world_clear(&t.w);
}

/* Many strangers ask one node for sessions that it does not answer. */
static void a_flood_of_openings_keeps_nobody_from_a_node(void **state)
{
    (void)state;
    enum { STRANGERS = 40, EACH = 16 };
    world w;
    char name[32];
    world_init(&w, NULL);
    peer *victim = peer_join(&w, 1, ",\"features\":[\"quiet\"]");
    for (int i = 0; i < STRANGERS; i++) {
        peer *p = peer_join(&w, (uint8_t)(10 + i), ",\"features\":[\"quiet\"]");
        for (int k = 0; k <= EACH; k++) {
            snprintf(name, sizeof name, "f-%d-%d", i, k);
            peer_send_session(p, "relayOpen", victim, name, NULL);
        }
        bool busy = false;
        for (const tl_signal *s; (s = peer_take(p));)
            busy |= s->type == TL_SIGNAL_ERROR;
        assert_true(busy); /* the one beyond its share */
        peer_drop_all(victim);
    }
    peer *honest = peer_join(&w, 200, ",\"features\":[\"quiet\"]");
    peer_send_session(honest, "relayOpen", victim, "honest", NULL);
    bool asked = false;
    for (const tl_signal *s; (s = peer_take(victim));)
        asked |= s->type == TL_SIGNAL_RELAY_OPEN;
    assert_true(asked);
    peer_send_session(victim, "relayReady", honest, "honest", NULL);
    peer_expect(honest, TL_SIGNAL_RELAY_READY);
    world_clear(&w);
}

static void answers_to_openings_use_up_no_rate(void **state)
{
    (void)state;
    tl_relay_config config = tl_relay_config_default();
    config.control_burst = 10;
    config.control_per_sec = 1;
    char name[32];
    world w;
    world_init(&w, &config);
    peer *b = peer_join(&w, 1, NULL), *a = NULL;
    for (int i = 0; i < 30; i++) {
        if (i % 5 == 0)
            a = peer_join(&w, (uint8_t)(10 + i), NULL);
        peer_drop_all(b);
        snprintf(name, sizeof name, "s%d", i);
        peer_send_session(a, "relayOpen", b, name, NULL);
        peer_drop_all(b);
        peer_drop_all(a);
        peer_send_session(b, i % 2 ? "relayClose" : "relayReady", a, name, NULL);
        peer_expect(a, i % 2 ? TL_SIGNAL_RELAY_CLOSE : TL_SIGNAL_RELAY_READY);
    }
    peer_send_session(b, "relayClose", a, "s28", NULL); /* of an open one: it does */
    for (int i = 0; i < 10; i++)
        peer_send_session(b, "relayClose", a, "none", NULL);
    bool limited = false;
    for (const tl_signal *s; (s = peer_take(b));)
        limited |= s->type == TL_SIGNAL_ERROR;
    assert_true(limited);
    world_clear(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_flood_of_openings_keeps_nobody_from_a_node),
        cmocka_unit_test(answers_to_openings_use_up_no_rate),
        cmocka_unit_test(offers_answers_and_candidates_reach_their_node_byte_for_byte),
        cmocka_unit_test(nobody_speaks_in_anothers_name),
        cmocka_unit_test(a_session_carries_data_both_ways_once_it_is_answered),
        cmocka_unit_test(a_stranger_can_do_nothing_in_a_session_of_others),
        cmocka_unit_test(only_the_one_that_was_asked_answers),
        cmocka_unit_test(nodes_that_are_not_there_are_named_as_such),
        cmocka_unit_test(an_open_that_nobody_answers_ends_after_30_seconds),
        cmocka_unit_test(a_session_ends_with_a_members_socket),
        cmocka_unit_test(a_message_in_fragments_is_passed_on_whole),
        cmocka_unit_test(many_frames_in_one_read_and_a_frame_in_many_reads_arrive_alike),
        cmocka_unit_test(bad_messages_get_their_code_and_harm_nothing),
        cmocka_unit_test(illegal_frames_close_with_their_code),
        cmocka_unit_test(a_close_is_answered_with_its_own_code),
        cmocka_unit_test(an_unregistered_socket_may_not_announce_much),
        cmocka_unit_test(pings_are_answered_with_what_they_carry),
        cmocka_unit_test(control_messages_are_limited_in_rate_and_data_is_not),
        cmocka_unit_test(sessions_are_bounded),
        cmocka_unit_test(shutting_down_tells_everyone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
