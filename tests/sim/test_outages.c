/* Whole nodes under the virtual clock, with no way but the relay, and what happens to answers when the
 * relay is away, or mute. */
#include "relayed_scene.h"

#include "peer/watch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void an_answer_goes_on_when_the_relay_comes_back(void **state)
{
    (void)state;
    for (uint64_t seed = 30; seed < 36; seed++) {
        scene s = scene_new(seed, 2);
        question_record q = {0};
        s.nodes[1]->pieces = 400;
        s.nodes[1]->piece_every = 25 * TL_MS;
        whole_node_serve(s.nodes[1], "m");
        whole_node_ask(s.nodes[0], &q, "m", "{\"model\":\"m\"}");
        sim_run_for(s.sim, 2 * TL_SEC);
        assert_true(q.bytes > 0);
        /* The relay restarts; or only one of the two loses its connection for a while. */
        bool both = seed % 3 == 0, asker = seed % 3 == 1;
        if (both)
            relay_host_restart(s.relay);
        if (both || asker)
            whole_node_disconnect(s.nodes[0]);
        if (both || !asker)
            whole_node_disconnect(s.nodes[1]);
        sim_run_for(s.sim, 3 * TL_SEC);
        uint64_t before = q.bytes;
        for (size_t i = 0; i < 2; i++)
            if (!s.nodes[i]->connected)
                whole_node_connect(s.nodes[i]);
        sim_run_for(s.sim, 3 * TL_SEC);
        assert_true(q.bytes > before);
        assert_answered(s.sim, &q, 60 * TL_SEC);
        assert_int_equal(q.bytes, 400 * 13);
        assert_int_equal(s.nodes[0]->joined, 1);
        question_clear(&q);
        scene_free(&s);
    }
}

static void without_a_relay_a_question_under_way_fails_within_10_s(void **state)
{
    (void)state;
    scene s = scene_new(6, 2);
    question_record q = {0}, later = {0};
    s.nodes[1]->pieces = 100000;
    s.nodes[1]->piece_every = 25 * TL_MS;
    whole_node_serve(s.nodes[1], "m");
    whole_node_ask(s.nodes[0], &q, "m", "{\"model\":\"m\"}");
    sim_run_for(s.sim, 2 * TL_SEC);
    whole_node_disconnect(s.nodes[0]);
    assert_failed(s.sim, &q, TL_FAIL_PEER_FAILED, 11 * TL_SEC);
    assert_non_null(strstr(q.why, "relay"));
    whole_node_ask(s.nodes[0], &later, "m", "{\"model\":\"m\"}");
    assert_true(sim_run_while(s.sim, question_is_over, &later, 11 * TL_SEC));
    assert_true(later.failed);
    sim_run_for(s.sim, 70 * TL_SEC);
    assert_int_equal(whole_node_jobs(s.nodes[1]), 0); /* the provider gave up too */
    question_clear(&q);
    question_clear(&later);
    scene_free(&s);
}

/* Every frame, the relay's pings too. */
static void swallow(void *user, uint8_t *text, size_t *n, size_t cap)
{
    (void)user, (void)text, (void)cap;
    *n = 0;
}

static void a_relay_that_stops_carrying_without_a_word_ends_an_answer_at_both_ends(void **state)
{
    (void)state;
    scene s = scene_new(16, 2);
    question_record q = {0};
    s.nodes[1]->pieces = 1000000;
    s.nodes[1]->piece_every = 10 * TL_MS;
    whole_node_serve(s.nodes[1], "m");
    whole_node_ask(s.nodes[0], &q, "m", "{\"model\":\"m\"}");
    sim_run_for(s.sim, 2 * TL_SEC);
    assert_true(q.bytes > 0);
    s.relay->tamper = swallow;
    sim_run_for(s.sim, 9 * TL_SEC);
    assert_false(question_is_over(&q)); /* it may yet come back */
    assert_failed(s.sim, &q, TL_FAIL_PEER_FAILED, 4 * TL_SEC);
    sim_run_for(s.sim, 4 * TL_SEC);
    assert_int_equal(whole_node_jobs(s.nodes[1]), 0);
    s.relay->tamper = NULL;
    s.nodes[1]->pieces = 1;
    question_clear(&q);
    whole_node_ask(s.nodes[0], &q, "m", "{\"model\":\"m\"}");
    assert_answered(s.sim, &q, 5 * TL_SEC);
    question_clear(&q);
    scene_free(&s);
}

/* Its silence costs the time that it lasts and one more look, not the back-off of QUIC's timers. */
static void an_answer_outlives_a_relay_that_is_mute_for_eight_seconds(void **state)
{
    (void)state;
    static const tl_time mute[] = {1 * TL_SEC, 3 * TL_SEC, 5 * TL_SEC, 8 * TL_SEC, 8 * TL_SEC};
    for (uint64_t i = 0; i < 10; i++) {
        scene s = scene_new(160 + i, 2);
        question_record q = {0};
        s.nodes[1]->pieces = 2000;
        s.nodes[1]->piece_every = 10 * TL_MS;
        whole_node_serve(s.nodes[1], "m");
        whole_node_ask(s.nodes[0], &q, "m", "{\"model\":\"m\"}");
        sim_run_for(s.sim, 2 * TL_SEC + i * 100 * TL_MS);
        s.relay->tamper = swallow;
        sim_run_for(s.sim, mute[i % 5]);
        s.relay->tamper = NULL;
        assert_answered(s.sim, &q, 60 * TL_SEC);
        assert_int_equal(q.bytes, 2000 * 13);
        assert_int_equal(s.nodes[0]->joined, 1); /* the same connection */
        assert_true(q.longest_gap < mute[i % 5] + TL_WATCH_EVERY + 100 * TL_MS);
        question_clear(&q);
        scene_free(&s);
    }
}

static bool is_silent(const scene *s)
{
    tl_peer_facts facts;
    const tl_peer *p = tl_peer_table_find(&s->nodes[0]->table, &s->nodes[1]->identity.id);
    assert_true(p && tl_peers_facts(s->nodes[0]->peers, p, &facts));
    return facts.silent;
}

/* In an answer whose pieces come seldom: a peer that is there has said something each TL_WATCH_EVERY. */
static void
a_peer_that_thinks_is_not_silent_and_one_that_is_cut_off_is_after_two_and_a_half_seconds(
    void **state)
{
    (void)state;
    for (uint64_t seed = 60; seed < 66; seed++) {
        scene s = scene_new(seed, 2);
        question_record q = {0};
        s.nodes[1]->pieces = 100;
        s.nodes[1]->piece_every = 15 * TL_SEC;
        whole_node_serve(s.nodes[1], "m");
        whole_node_ask(s.nodes[0], &q, "m", "{\"model\":\"m\"}");
        sim_run_for(s.sim, 20 * TL_SEC);
        for (int i = 0; i < 400; i++) {
            sim_run_for(s.sim, 100 * TL_MS);
            assert_false(is_silent(&s));
        }
        s.relay->tamper = swallow;
        sim_run_for(s.sim, 400 * TL_MS);
        assert_false(is_silent(&s));
        tl_time waited = 0;
        for (; !is_silent(&s) && waited < 10 * TL_SEC; waited += 100 * TL_MS)
            sim_run_for(s.sim, 100 * TL_MS);
        assert_in_range(waited, 0, TL_PEERS_SILENT + 300 * TL_MS);
        s.relay->tamper = NULL;
        sim_run_for(s.sim, TL_WATCH_EVERY + TL_SEC);
        assert_false(is_silent(&s));
        assert_false(question_is_over(&q));
        question_clear(&q);
        scene_free(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_goes_on_when_the_relay_comes_back),
        cmocka_unit_test(without_a_relay_a_question_under_way_fails_within_10_s),
        cmocka_unit_test(a_relay_that_stops_carrying_without_a_word_ends_an_answer_at_both_ends),
        cmocka_unit_test(an_answer_outlives_a_relay_that_is_mute_for_eight_seconds),
        cmocka_unit_test(
            a_peer_that_thinks_is_not_silent_and_one_that_is_cut_off_is_after_two_and_a_half_seconds),
    };
    sim_each_test(tests);
    return sim_result();
}
