/* A relay that refuses sessions, because it is too busy or the two nodes have had their time, is not
 * asked by every question anew. */
#include "relayed_scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define EVERY     (200 * TL_MS) /* somebody asks so often */
#define QUESTIONS 150           /* so for 30 s */

static void limit(scene *s, tl_relay_limits limits)
{
    for (size_t i = 0; i < 2; i++)
        whole_node_disconnect(s->nodes[i]);
    s->relay->limits = limits;
    relay_host_restart(s->relay);
    for (size_t i = 0; i < 2; i++)
        whole_node_connect(s->nodes[i]);
    sim_run_for(s->sim, 1 * TL_SEC);
}

static uint64_t refused(const scene *s, tl_signal_code code)
{
    return tl_relay_counters_of(s->relay->relay)->errors[code];
}

/* All of them fail, and none waits for it. */
static void ask_many(scene *s)
{
    for (int i = 0; i < QUESTIONS; i++) {
        question_record q = {0};
        whole_node_ask(s->nodes[0], &q, "m", "{\"model\":\"m\"}");
        sim_run_for(s->sim, EVERY);
        assert_true(q.failed);
        question_clear(&q);
    }
}

static bool is_answered(scene *s)
{
    question_record q = {0};
    whole_node_ask(s->nodes[0], &q, "m", "{\"model\":\"m\"}");
    assert_true(sim_run_while(s->sim, question_is_over, &q, 60 * TL_SEC));
    bool ended = q.ended;
    question_clear(&q);
    return ended;
}

static tl_relay_limits limits_on(void)
{
    tl_relay_limits l = tl_relay_limits_default();
    l.on = true;
    l.bootstrap_kbps = 100000;
    return l;
}

static void a_relay_that_is_too_busy_is_asked_less_and_less_often(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed < 11; seed++) {
        scene s = scene_new(seed, 2);
        whole_node_serve(s.nodes[1], "m");
        tl_relay_limits none = limits_on();
        none.max_sessions = 0;
        limit(&s, none);
        ask_many(&s);
        /* At 0, 2, 6 and 14 s, and not before 30. */
        assert_in_range(refused(&s, TL_SIGNAL_BUSY), 3, 5);
        limit(&s, limits_on()); /* the twin: it has room again, and the pause ends */
        sim_run_for(s.sim, 30 * TL_SEC);
        assert_true(is_answered(&s));
        assert_true(is_answered(&s));
        assert_int_equal(refused(&s, TL_SIGNAL_BUSY), 0);
        scene_free(&s);
    }
}

static void two_nodes_that_had_their_time_ask_less_and_less_often(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed < 11; seed++) {
        scene s = scene_new(seed, 2);
        whole_node_serve(s.nodes[1], "m");
        tl_relay_limits l = limits_on();
        l.session_max = 3 * TL_SEC;
        l.session_warn = 1 * TL_SEC;
        l.pause = 90 * TL_SEC;
        limit(&s, l);
        assert_true(is_answered(&s));
        sim_run_for(s.sim, 15 * TL_SEC); /* its session ends, and what the connection tried since */
        assert_int_equal(tl_relay_counters_of(s.relay->relay)->sessions_timed_out, 1);
        uint64_t before = refused(&s, TL_SIGNAL_RATE_LIMITED);
        assert_in_range(before, 1, 5); /* each 5 s at most: see TL_REOPEN_REFUSED */
        ask_many(&s);
        assert_in_range(refused(&s, TL_SIGNAL_RATE_LIMITED) - before, 1, 8);
        sim_run_for(s.sim, 90 * TL_SEC); /* the twin */
        assert_true(is_answered(&s));
        scene_free(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_relay_that_is_too_busy_is_asked_less_and_less_often),
        cmocka_unit_test(two_nodes_that_had_their_time_ask_less_and_less_often),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
