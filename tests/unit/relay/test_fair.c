/* What one node may make another wait for: nodes whose queue is full of what others sent. */
#include "harness.h"

#include <stdlib.h>
#include <string.h>

#define DATA  15000 /* bytes of base64 in one message */
#define QUIET ",\"features\":[\"quiet\"]"
#define CANDIDATE                                                                                  \
    "{\"iceCandidate\":{\"fromNodeID\":\"%s\",\"toNodeID\":\"%s\",\"sessionID\":\"x\","            \
    "\"candidate\":{\"x\":\"%s\"}}}"

typedef struct {
    world w;
    peer *victim, *honest; /* with the session "h" */
    char *data;
} scene;

static peer *join_from(scene *s, uint8_t at, uint8_t seed)
{
    s->w.remote.bytes[3] = at;
    return peer_join(&s->w, seed, QUIET);
}

static void scene_init(scene *s)
{
    tl_relay_config config = tl_relay_config_default();
    config.message_max = 500000;
    config.conns_per_address_max = 2000;
    world_init(&s->w, &config);
    s->victim = join_from(s, 1, 1);
    s->honest = join_from(s, 2, 2);
    peers_open(s->honest, s->victim, "h");
    s->data = malloc(DATA + 1);
    assert_non_null(s->data);
    memset(s->data, 'A', DATA);
    s->data[DATA] = 0;
    s->victim->reads = false;
}

static void scene_clear(scene *s)
{
    free(s->data);
    world_clear(&s->w);
}

static const tl_relay_counters *counters(const scene *s)
{
    return tl_relay_counters_of(s->w.relay);
}

/* Its window lets so many bytes through. */
static void read_some(peer *p, size_t n)
{
    if (n > p->waiting.len)
        n = p->waiting.len;
    assert_int_equal(tl_buf_append(&p->received, tl_slice_of(tl_buf_begin(&p->waiting), n)), TL_OK);
    tl_buf_consume(&p->waiting, n);
    tl_relay_on_written(p->w->relay, p->conn, n, p->w->now);
    world_run(p->w, 0);
}

static bool is_from(const tl_signal *got, const peer *p)
{
    return tl_slice_eq(got->from, tl_slice_str(p->node));
}

/* How many bytes the victim reads until the message of that type comes from `from`. */
static size_t bytes_until(scene *s, const peer *from, tl_signal_type type)
{
    for (size_t n = 0;; n += 1000) {
        for (const tl_signal *got; (got = peer_take(s->victim));)
            if (is_from(got, from) && got->type == type)
                return n;
        assert_true(n < 10000000);
        read_some(s->victim, 1000);
    }
}

/* Sends data until the relay pauses the sender. */
static void fill(scene *s, peer *from, const char *session)
{
    for (int n = 0; !from->paused; n++) {
        peer_send_session(from, "relayData", s->victim, session, s->data);
        assert_true(n < 1000);
    }
}

/* A node with a session that the victim agreed to. */
static peer *join_accepted(scene *s, uint8_t at, const char *session)
{
    peer *p = join_from(s, at, 0);
    s->victim->reads = true;
    peers_open(p, s->victim, session);
    s->victim->reads = false;
    return p;
}

/* `n` nodes with a session each, from addresses that differ by `step`; then each sends `count`
 * messages. Returns the second: of the first, one message more is written at once. */
static peer *crowd(scene *s, int n, int step, int count)
{
    char name[16];
    peer *p[32];
    for (int i = 0; i < n; i++) {
        snprintf(name, sizeof name, "flood%d", i);
        p[i] = join_accepted(s, (uint8_t)(3 + i * step), name);
    }
    for (int i = 0; i < n * count; i++) {
        snprintf(name, sizeof name, "flood%d", i / count);
        peer_send_session(p[i / count], "relayData", s->victim, name, s->data);
    }
    return p[1];
}

static void who_fills_a_nodes_queue_makes_others_wait_for_a_turn_only(void **state)
{
    (void)state;
    for (uint8_t at = 2; at <= 3; at++) { /* also from the honest node's own address */
        scene s;
        scene_init(&s);
        fill(&s, join_accepted(&s, at, "flood"), "flood");
        assert_true(counters(&s)->queue_bytes > 1000000);
        peer_send_session(s.honest, "relayData", s.victim, "h", "QUJD");
        assert_false(s.honest->paused);
        assert_true(bytes_until(&s, s.honest, TL_SIGNAL_RELAY_DATA) < 80000);
        scene_clear(&s);
    }
}

static void many_senders_of_one_address_get_no_more_than_one_of_another(void **state)
{
    (void)state;
    scene s;
    size_t of_honest = 0, of_others = 0;
    scene_init(&s);
    crowd(&s, 30, 0, 6);
    for (int i = 0; i < 50; i++)
        peer_send_session(s.honest, "relayData", s.victim, "h", s.data);
    while (of_honest + of_others < 1000000) {
        read_some(s.victim, 1000);
        for (const tl_signal *got; (got = peer_take(s.victim));)
            *(is_from(got, s.honest) ? &of_honest : &of_others) += got->data.n;
    }
    assert_true(of_honest > 440000 && of_honest < 560000);
    scene_clear(&s);
}

static void a_relay_close_comes_behind_the_data(void **state)
{
    (void)state;
    scene s;
    scene_init(&s);
    for (int i = 0; i < 10; i++)
        peer_send_session(s.honest, "relayData", s.victim, "h", s.data);
    peer_send_session(s.honest, "relayClose", s.victim, "h", NULL);
    peer *gone = join_from(&s, 3, 0);
    s.victim->reads = true;
    world_run(&s.w, TL_SEC);
    for (int i = 0; i < 10; i++)
        peer_expect(s.victim, TL_SIGNAL_RELAY_DATA);
    peer_expect(s.victim, TL_SIGNAL_RELAY_CLOSE);
    /* the same when the sender's socket is gone */
    peers_open(gone, s.victim, "g");
    s.victim->reads = false;
    for (int i = 0; i < 10; i++)
        peer_send_session(gone, "relayData", s.victim, "g", s.data);
    peer_disconnect(gone);
    s.victim->reads = true;
    world_run(&s.w, TL_SEC);
    for (int i = 0; i < 10; i++)
        peer_expect(s.victim, TL_SIGNAL_RELAY_DATA);
    peer_expect(s.victim, TL_SIGNAL_RELAY_CLOSE);
    scene_clear(&s);
}

static void a_long_relay_close_is_told_in_the_relays_own_words(void **state)
{
    (void)state;
    scene s;
    scene_init(&s);
    s.victim->reads = true;
    peer_send_session(s.honest, "relayClose", s.victim, "h", s.data);
    peer_expect(s.victim, TL_SIGNAL_RELAY_CLOSE);
    assert_true(is_from(&s.victim->signal, s.honest));
    assert_true(strlen((char *)s.victim->frame) < 300);
    scene_clear(&s);
}

/* Senders that are not paused, as those whose frames were under way already. */
static void the_longest_line_goes_when_all_is_full_and_no_other(void **state)
{
    (void)state;
    scene s;
    scene_init(&s);
    peer *longest = crowd(&s, 12, 1, 30);
    assert_true(counters(&s)->queue_bytes < (4u << 20) + 600000);
    assert_true(counters(&s)->sessions_busy > 0);
    peer_send_session(s.honest, "relayData", s.victim, "h", "QUJD");
    peer_expect_nothing(s.honest);
    peer_expect_error(longest, TL_SIGNAL_BUSY);
    peer_expect(longest, TL_SIGNAL_RELAY_CLOSE);
    assert_true(bytes_until(&s, s.honest, TL_SIGNAL_RELAY_DATA) < 600000); /* of 4.6 MB */
    s.victim->reads = true;
    world_run(&s.w, TL_SEC);
    scene_clear(&s);
}

/* --- strangers --- */

static size_t candidate_until_refused(scene *s, peer *p, tl_signal_code code)
{
    size_t n = 0;
    while (!peer_take(p)) {
        peer_send(p, CANDIDATE, p->node, s->victim->node, s->data);
        assert_true(++n < 1000);
    }
    tl_signal_error e;
    assert_int_equal(tl_signal_read_error(&p->signal, &e), TL_OK);
    assert_int_equal(e.code, code);
    return n - 1;
}

static void signalling_has_a_rate_in_bytes_from_one_node_to_another(void **state)
{
    (void)state;
    scene s;
    scene_init(&s);
    s.victim->reads = true;
    peer *p = join_from(&s, 3, 0), *other = join_from(&s, 4, 0);
    assert_int_equal(candidate_until_refused(&s, p, TL_SIGNAL_RATE_LIMITED), 4); /* of 15 KB */
    peer_send(p, CANDIDATE, p->node, other->node, s.data); /* to others it may still send */
    peer_expect(other, TL_SIGNAL_ICE_CANDIDATE);
    world_run(&s.w, TL_SEC);
    assert_int_equal(candidate_until_refused(&s, p, TL_SIGNAL_RATE_LIMITED), 1);
    assert_int_equal(candidate_until_refused(&s, s.honest, TL_SIGNAL_RATE_LIMITED), 4);
    scene_clear(&s);
}

static void strangers_of_one_address_share_a_rate_and_accepted_nodes_do_not(void **state)
{
    (void)state;
    scene s;
    char name[16];
    size_t of_strangers = 0, of_accepted = 0;
    scene_init(&s);
    s.victim->reads = true;
    for (int i = 0; i < 10; i++)
        of_strangers += candidate_until_refused(&s, join_from(&s, 3, 0), TL_SIGNAL_RATE_LIMITED);
    for (int i = 0; i < 10; i++) {
        snprintf(name, sizeof name, "s%d", i);
        peer_drop_all(s.victim);
        peer *p = join_accepted(&s, 4, name);
        s.victim->reads = true;
        of_accepted += candidate_until_refused(&s, p, TL_SIGNAL_RATE_LIMITED);
    }
    assert_int_equal(of_strangers, 17);
    assert_int_equal(of_accepted, 40);
    scene_clear(&s);
}

static void a_message_of_signalling_is_at_most_16_kib(void **state)
{
    (void)state;
    scene s;
    scene_init(&s);
    s.victim->reads = true;
    char *data = calloc(1, TL_RELAY_SIGNAL_MAX + 1);
    assert_non_null(data);
    size_t frame = (size_t)snprintf(NULL, 0, CANDIDATE, s.honest->node, s.victim->node, "");
    memset(data, 'A', TL_RELAY_SIGNAL_MAX - frame);
    peer_send(s.honest, CANDIDATE, s.honest->node, s.victim->node, data);
    peer_expect(s.victim, TL_SIGNAL_ICE_CANDIDATE);
    data[TL_RELAY_SIGNAL_MAX - frame] = 'A';
    peer_send(s.honest, CANDIDATE, s.honest->node, s.victim->node, data);
    peer_expect_error(s.honest, TL_SIGNAL_TOO_LARGE);
    free(data);
    scene_clear(&s);
}

/* Forty addresses, and each sends what its rate allows. */
static void strangers_get_an_eighth_beside_a_node_that_was_accepted(void **state)
{
    (void)state;
    scene s;
    size_t of_honest = 0, of_strangers = 0;
    scene_init(&s);
    fill(&s, s.honest, "h");
    peer *p = NULL;
    for (uint8_t i = 0; i < 40; i++) {
        p = join_from(&s, (uint8_t)(3 + i), 0);
        for (int k = 0; k < 5; k++)
            peer_send(p, CANDIDATE, p->node, s.victim->node, s.data);
    }
    peer_expect_error(p, TL_SIGNAL_BUSY); /* the strangers' part of the queue is full */
    peer *asker = join_from(&s, 99, 0);
    peer_send_session(asker, "relayOpen", s.victim, "ask", NULL);
    peer_expect_nothing(asker); /* there is room for one of whom nothing waits */
    assert_true(bytes_until(&s, asker, TL_SIGNAL_RELAY_OPEN) < 100000);
    while (of_honest + of_strangers < 800000) {
        read_some(s.victim, 1000);
        for (const tl_signal *got; (got = peer_take(s.victim));) {
            bool data = got->type == TL_SIGNAL_RELAY_DATA;
            *(data ? &of_honest : &of_strangers) += strlen((char *)s.victim->frame);
        }
    }
    assert_true(of_strangers > 50000 && of_strangers < 140000);
    scene_clear(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_fills_a_nodes_queue_makes_others_wait_for_a_turn_only),
        cmocka_unit_test(many_senders_of_one_address_get_no_more_than_one_of_another),
        cmocka_unit_test(a_relay_close_comes_behind_the_data),
        cmocka_unit_test(a_long_relay_close_is_told_in_the_relays_own_words),
        cmocka_unit_test(the_longest_line_goes_when_all_is_full_and_no_other),
        cmocka_unit_test(signalling_has_a_rate_in_bytes_from_one_node_to_another),
        cmocka_unit_test(strangers_of_one_address_share_a_rate_and_accepted_nodes_do_not),
        cmocka_unit_test(a_message_of_signalling_is_at_most_16_kib),
        cmocka_unit_test(strangers_get_an_eighth_beside_a_node_that_was_accepted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
