/* What a stranger, or the relay, or the wire itself can send: nothing of it is answered, believed,
 * or costs anyone else more than the budget. */
#include "checks_scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static uint64_t dropped(const tl_checks *c)
{
    const tl_checks_counters *k = tl_checks_counters_of(c);
    return k->forged + k->strays;
}

static size_t pairs_of(const tl_checks *c)
{
    size_t n;
    tl_checks_pairs(c, &n);
    return n;
}

static void a_check_with_any_bit_altered_is_dropped_in_silence(void **state)
{
    (void)state;
    scene s;
    scene_init(&s);
    tl_checks_output check = a_check(&s);
    for (size_t bit = 0; bit < 8 * check.n; bit++) {
        tl_checks_output o = check;
        o.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        give(&s, s.b, SOCK4, &s.at_a, &o);
        expect_silent(&s, s.b);
    }
    for (size_t n = 0; n < check.n; n++) {
        tl_checks_output o = check;
        o.n = n;
        give(&s, s.b, SOCK4, &s.at_a, &o);
        expect_silent(&s, s.b);
    }
    assert_int_equal(pairs_of(s.b), 0);
    assert_int_equal(tl_checks_counters_of(s.b)->asked, 0);
    give(&s, s.b, SOCK4, &s.at_a, &check); /* unaltered */
    take(&s, s.b);
    scene_clear(&s);
}

/* A request as a's checks write it, but for what the test changes. */
typedef struct {
    const char *username;
    bool priority, fingerprint, key_of_b;
    uint64_t id;
} recipe;

static tl_checks_output cook(const scene *s, recipe r)
{
    uint8_t send[32], receive[32];
    tl_stun_id id = {{0xA0, 0xA1, 0xA2, 0xA3}};
    tl_stun_writer w;
    tl_checks_output o = {0};
    assert_int_equal(tl_check_keys(&s->a_identity, &s->b_identity.id, SESSION, send, receive),
                     TL_OK);
    memcpy(id.bytes + 4, &r.id, sizeof r.id);
    tl_stun_begin(&w, TL_STUN_REQUEST, &id);
    tl_stun_put_username(&w, tl_slice_str(r.username));
    if (r.priority)
        tl_stun_put_priority(&w, 1);
    assert_int_equal(tl_stun_put_integrity(&w, tl_slice_of(r.key_of_b ? receive : send, 32)),
                     TL_OK);
    if (r.fingerprint)
        tl_stun_finish(&w);
    memcpy(o.bytes, w.bytes, w.n);
    o.n = w.n;
    return o;
}

static void a_request_must_be_whole(void **state)
{
    (void)state;
    static const struct {
        recipe r;
        bool good;
    } rows[] = {
        {{"3f2504e04f8941d3", true, true, false, 1}, true},
        {{"3f2504e04f8941d3", false, true, false, 2}, false},
        {{"3f2504e04f8941d3", true, false, false, 3}, false},
        {{"3f2504e04f8941d3", true, true, true, 4}, false}, /* reflected to its maker */
        {{"3f2504e04f8941d4", true, true, false, 5}, false},
        {{"3f2504e04f8941d", true, true, false, 6}, false},
        {{"", true, true, false, 7}, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        scene s;
        scene_init(&s);
        tl_checks_output o = cook(&s, rows[i].r);
        give(&s, s.b, SOCK4, &s.at_a, &o);
        assert_int_equal(drain(&s, s.b) > 0, rows[i].good);
        assert_int_equal(dropped(s.b), rows[i].good ? 0 : 1);
        scene_clear(&s);
    }
}

static void a_check_sent_back_to_its_sender_is_a_forgery(void **state)
{
    (void)state;
    scene s;
    scene_init(&s);
    tl_checks_output check = a_check(&s);
    give(&s, s.a, SOCK4, &s.at_b, &check);
    expect_silent(&s, s.a);
    assert_int_equal(tl_checks_counters_of(s.a)->forged, 1);
    scene_clear(&s);
}

static void a_check_over_a_foreign_socket_or_from_a_forbidden_address_is_dropped(void **state)
{
    (void)state;
    scene s;
    scene_init(&s);
    static const char *forbidden[] = {"127.0.0.1",       "0.0.0.0",         "224.0.0.1",
                                      "255.255.255.255", "169.254.169.254", "::1",
                                      "fe80::1",         "::ffff:127.0.0.1"};
    tl_checks_output check = a_check(&s);
    for (size_t i = 0; i < sizeof forbidden / sizeof *forbidden; i++) {
        tl_addr from = addr(forbidden[i], 1001);
        give(&s, s.b, SOCK4, &from, &check);
        expect_silent(&s, s.b);
    }
    tl_addr no_port = addr("198.51.100.1", 0);
    give(&s, s.b, SOCK4, &no_port, &check);
    give(&s, s.b, 99, &s.at_a, &check);
    give(&s, s.b, 0, &s.at_a, &check);
    expect_silent(&s, s.b);
    assert_int_equal(pairs_of(s.b), 0);
    give(&s, s.b, SOCK4, &s.at_a, &check);
    take(&s, s.b);
    scene_clear(&s);
}

static void a_check_comes_true_once(void **state)
{
    (void)state;
    scene s;
    scene_init(&s);
    tl_checks_output check = a_check(&s);
    tl_addr stranger = addr("192.0.2.66", 66);
    give(&s, s.b, SOCK4, &s.at_a, &check);
    assert_int_equal(drain(&s, s.b), 2);
    give(&s, s.b, SOCK4, &s.at_a, &check);
    give(&s, s.b, SOCK4, &stranger, &check);
    expect_silent(&s, s.b);
    assert_int_equal(pairs_of(s.b), 1);
    assert_int_equal(tl_checks_counters_of(s.b)->asked, 1);
    assert_int_equal(dropped(s.b), 2);
    scene_clear(&s);
}

/* Whoever sits on the path may hold a genuine check back and send it from a victim's address. */
static void a_check_diverted_to_a_stranger_costs_him_five_packets(void **state)
{
    (void)state;
    scene s;
    scene_init(&s);
    tl_checks_output check = a_check(&s);
    tl_addr stranger = addr("192.0.2.66", 66);
    give(&s, s.b, SOCK4, &stranger, &check);
    assert_int_equal(pass(&s, s.b, 10 * TL_MIN), TL_CHECKS_UNHEARD_MAX);
    assert_int_equal(tl_checks_find(s.b, SOCK4, &stranger)->state, TL_PAIR_FAILED);
    assert_int_equal(events_of(s.b, TL_CHECKS_VALID), 0);
    scene_clear(&s);
}

/* ... and if he diverts all of them, two for each, and no more than one check in 50 ms. */
static void a_flood_of_diverted_checks_is_not_amplified(void **state)
{
    (void)state;
    scene s;
    scene_init(&s);
    tl_addr stranger = addr("192.0.2.66", 66);
    size_t sent = 0, given = 0;
    for (uint64_t i = 1; i <= 1000; i++) {
        tl_checks_output o = cook(&s, (recipe){"3f2504e04f8941d3", true, true, false, i});
        give(&s, s.b, SOCK4, &stranger, &o);
        given++;
        sent += pass(&s, s.b, TL_MS);
    }
    assert_true(sent <= 2 * given);
    assert_true(tl_checks_find(s.b, SOCK4, &stranger)->sent <= 1 + TL_SEC / (50 * TL_MS));
    scene_clear(&s);
}

/* Checks diverted to ever new addresses: a bounded table, a bounded number of packets. */
static void learned_addresses_do_not_crowd_out_candidates(void **state)
{
    (void)state;
    scene s;
    scene_init(&s);
    tl_checks_start(s.b, s.now);
    size_t sent = 0;
    for (uint16_t i = 1; i <= 500; i++) {
        tl_addr stranger = addr("192.0.2.66", i);
        tl_checks_output o = cook(&s, (recipe){"3f2504e04f8941d3", true, true, false, i});
        give(&s, s.b, SOCK4, &stranger, &o);
        sent += drain(&s, s.b);
    }
    sent += pass(&s, s.b, 2 * TL_SEC);
    assert_int_equal(pairs_of(s.b), TL_CHECKS_PAIRS_MAX - TL_CANDIDATES_MAX);
    assert_true(sent <= TL_CHECKS_ATTEMPT_MAX);
    for (uint16_t i = 1; i <= TL_CANDIDATES_MAX; i++) {
        tl_addr a = addr("198.51.100.1", i);
        add(&s, s.b, TL_CANDIDATE_HOST, &a);
        assert_non_null(tl_checks_find(s.b, SOCK4, &a));
    }
    /* Once they have come to nothing they make room for a peer that moves. */
    tl_addr moved = addr("198.51.100.1", 5005);
    tl_checks_output o = cook(&s, (recipe){"3f2504e04f8941d3", true, true, false, 501});
    give(&s, s.b, SOCK4, &moved, &o);
    assert_null(tl_checks_find(s.b, SOCK4, &moved));
    pass(&s, s.b, 30 * TL_SEC);
    o = cook(&s, (recipe){"3f2504e04f8941d3", true, true, false, 502});
    give(&s, s.b, SOCK4, &moved, &o);
    assert_int_equal(drain(&s, s.b), 2);
    scene_clear(&s);
}

/* Honest for once: the table does not fill up with where the peer was. */
static void a_peer_that_moves_forty_times_is_found_each_time(void **state)
{
    (void)state;
    scene s;
    scene_init(&s);
    tl_checks_start(s.b, s.now);
    for (uint16_t i = 1; i <= 40; i++) {
        tl_addr at = addr("198.51.100.1", i);
        tl_checks_output o = cook(&s, (recipe){"3f2504e04f8941d3", true, true, false, i});
        give(&s, s.b, SOCK4, &at, &o);
        take(&s, s.b);
        o = take(&s, s.b);
        give(&s, s.a, SOCK4, &s.at_b, &o);
        o = take(&s, s.a);
        drain(&s, s.a);
        give(&s, s.b, SOCK4, &at, &o);
        const tl_pair *p = tl_checks_find(s.b, SOCK4, &at);
        assert_int_equal(p->state, TL_PAIR_VALID);
        pass(&s, s.b, 12 * TL_SEC); /* and gone */
        assert_int_equal(p->state, TL_PAIR_LOST);
    }
    assert_true(pairs_of(s.b) <= TL_CHECKS_PAIRS_MAX - TL_CANDIDATES_MAX);
    scene_clear(&s);
}

/* --- answers --- */

typedef struct {
    scene s;
    tl_checks_output answer; /* of b, to a's one question */
} question;

static void ask(question *q)
{
    scene_init(&q->s);
    tl_checks_output check = a_check(&q->s);
    give(&q->s, q->s.b, SOCK4, &q->s.at_a, &check);
    q->answer = take(&q->s, q->s.b);
}

static tl_pair_state state_at_a(const question *q)
{
    return tl_checks_find(q->s.a, SOCK4, &q->s.at_b)->state;
}

static void an_answer_with_any_bit_altered_is_not_believed(void **state)
{
    (void)state;
    question q;
    ask(&q);
    for (size_t bit = 0; bit < 8 * q.answer.n; bit++) {
        tl_checks_output o = q.answer;
        o.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        give(&q.s, q.s.a, SOCK4, &q.s.at_b, &o);
        assert_int_equal(state_at_a(&q), TL_PAIR_PROBING);
    }
    for (size_t n = 0; n < q.answer.n; n++) {
        tl_checks_output o = q.answer;
        o.n = n;
        give(&q.s, q.s.a, SOCK4, &q.s.at_b, &o);
        assert_int_equal(state_at_a(&q), TL_PAIR_PROBING);
    }
    give(&q.s, q.s.a, SOCK4, &q.s.at_b, &q.answer); /* no forgery used the question up */
    assert_int_equal(state_at_a(&q), TL_PAIR_VALID);
    scene_clear(&q.s);
}

static void an_answer_counts_from_the_address_asked_over_the_socket_asked(void **state)
{
    (void)state;
    question q;
    ask(&q);
    tl_addr port = q.s.at_b, ip = addr("203.0.113.3", q.s.at_b.port);
    port.port++;
    give(&q.s, q.s.a, SOCK4, &port, &q.answer);
    give(&q.s, q.s.a, SOCK4, &ip, &q.answer);
    give(&q.s, q.s.a, SOCK6, &q.s.at_b, &q.answer);
    assert_int_equal(state_at_a(&q), TL_PAIR_PROBING);
    assert_int_equal(dropped(q.s.a), 3);
    assert_int_equal(pairs_of(q.s.a), 1);
    give(&q.s, q.s.a, SOCK4, &q.s.at_b, &q.answer);
    assert_int_equal(state_at_a(&q), TL_PAIR_VALID);
    scene_clear(&q.s);
}

static void an_answer_counts_once(void **state)
{
    (void)state;
    question q;
    ask(&q);
    q.s.now += 20 * TL_MS;
    give(&q.s, q.s.a, SOCK4, &q.s.at_b, &q.answer);
    q.s.now += TL_SEC;
    give(&q.s, q.s.a, SOCK4, &q.s.at_b, &q.answer);
    const tl_pair *p = tl_checks_find(q.s.a, SOCK4, &q.s.at_b);
    assert_int_equal(p->answered, 1);
    assert_int_equal(p->rtt, 20 * TL_MS);
    assert_int_equal(dropped(q.s.a), 1);
    scene_clear(&q.s);
}

static void an_answer_of_another_session_is_none(void **state)
{
    (void)state;
    question q;
    ask(&q);
    scene *s = &q.s;
    tl_checks *other = scene_checks(s, &s->b_identity, &s->a_identity, SESSION "x", 1);
    tl_checks *asks = scene_checks(s, &s->a_identity, &s->b_identity, SESSION "x", 0xA0A1A2A3);
    add(s, asks, TL_CANDIDATE_HOST, &s->at_b);
    tl_checks_start(asks, s->now);
    tl_checks_output check = take(s, asks);
    give(s, other, SOCK4, &s->at_a, &check);
    tl_checks_output answer = take(s, other);
    give(s, s->a, SOCK4, &s->at_b, &answer); /* the tag is right, the question is not ours */
    assert_int_equal(state_at_a(&q), TL_PAIR_PROBING);
    give(s, asks, SOCK4, &s->at_b, &answer);
    assert_int_equal(tl_checks_find(asks, SOCK4, &s->at_b)->state, TL_PAIR_VALID);
    tl_checks_free(asks);
    tl_checks_free(other);
    scene_clear(s);
}

static void indications_and_errors_do_nothing(void **state)
{
    (void)state;
    question q;
    ask(&q);
    uint8_t send[32], receive[32];
    assert_int_equal(tl_check_keys(&q.s.b_identity, &q.s.a_identity.id, SESSION, send, receive),
                     TL_OK);
    tl_stun asked;
    assert_int_equal(tl_stun_read(tl_slice_of(q.answer.bytes, q.answer.n), &asked), TL_OK);
    static const tl_stun_class classes[] = {TL_STUN_INDICATION, TL_STUN_ERROR, TL_STUN_SUCCESS};
    for (size_t i = 0; i < 3; i++) {
        tl_stun_writer w;
        tl_stun_begin(&w, classes[i], &asked.id);
        if (classes[i] == TL_STUN_ERROR)
            tl_stun_put_error(&w, 400, "no");
        else if (classes[i] == TL_STUN_SUCCESS)
            tl_stun_put_xor_mapped(&w, &q.s.at_a);
        assert_int_equal(tl_stun_put_integrity(&w, tl_slice_of(send, 32)), TL_OK);
        tl_stun_finish(&w);
        give_bytes(&q.s, q.s.a, SOCK4, &q.s.at_b, tl_slice_of(w.bytes, w.n));
        assert_int_equal(state_at_a(&q), i < 2 ? TL_PAIR_PROBING : TL_PAIR_VALID);
    }
    assert_int_equal(dropped(q.s.a), 2);
    scene_clear(&q.s);
}

/* Nobody drains: nothing overflows, nothing is sent twice. */
static void an_owner_that_never_drains_harms_itself_alone(void **state)
{
    (void)state;
    scene s;
    scene_init(&s);
    tl_checks_start(s.b, s.now);
    for (uint16_t i = 1; i <= 1000; i++) {
        tl_addr from = addr("192.0.2.66", (uint16_t)(1 + i % 40));
        tl_checks_output o = cook(&s, (recipe){"3f2504e04f8941d3", true, true, false, i});
        give(&s, s.b, SOCK4, &from, &o);
        tl_checks_restart(s.b, SOCK4, SOCK6, s.now);
        s.now += 4 * TL_SEC;
        tl_checks_on_timer(s.b, s.now);
    }
    assert_true(drain(&s, s.b) <= TL_CHECKS_ATTEMPT_MAX);
    events_of(s.b, TL_CHECKS_DONE);
    tl_checks_restart(s.b, SOCK4, SOCK6, s.now);
    pass(&s, s.b, 4 * TL_SEC);
    assert_int_equal(events_of(s.b, TL_CHECKS_DONE), 1);
    scene_clear(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_check_with_any_bit_altered_is_dropped_in_silence),
        cmocka_unit_test(a_request_must_be_whole),
        cmocka_unit_test(a_check_sent_back_to_its_sender_is_a_forgery),
        cmocka_unit_test(a_check_over_a_foreign_socket_or_from_a_forbidden_address_is_dropped),
        cmocka_unit_test(a_check_comes_true_once),
        cmocka_unit_test(a_check_diverted_to_a_stranger_costs_him_five_packets),
        cmocka_unit_test(a_flood_of_diverted_checks_is_not_amplified),
        cmocka_unit_test(learned_addresses_do_not_crowd_out_candidates),
        cmocka_unit_test(a_peer_that_moves_forty_times_is_found_each_time),
        cmocka_unit_test(an_answer_with_any_bit_altered_is_not_believed),
        cmocka_unit_test(an_answer_counts_from_the_address_asked_over_the_socket_asked),
        cmocka_unit_test(an_answer_counts_once),
        cmocka_unit_test(an_answer_of_another_session_is_none),
        cmocka_unit_test(indications_and_errors_do_nothing),
        cmocka_unit_test(an_owner_that_never_drains_harms_itself_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
