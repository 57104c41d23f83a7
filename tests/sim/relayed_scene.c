#include "relayed_scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

scene scene_new(uint64_t seed, size_t n)
{
    scene s = {.sim = sim_new(sim_seed(seed)), .n = n};
    s.relay = relay_host_new(s.sim);
    for (size_t i = 0; i < n; i++) {
        s.nodes[i] = whole_node_new(s.sim, s.relay, DELAY);
        whole_node_connect(s.nodes[i]);
    }
    sim_run_for(s.sim, 1 * TL_SEC);
    for (size_t i = 0; i < n; i++)
        assert_true(tl_relay_link_is_registered(s.nodes[i]->link));
    return s;
}

void scene_free(scene *s)
{
    for (size_t i = 0; i < s->n; i++)
        whole_node_free(s->nodes[i]);
    relay_host_free(s->relay);
    sim_free(s->sim);
}

void assert_answered(sim *s, question_record *q, tl_time limit)
{
    assert_true(sim_run_while(s, question_is_over, q, limit));
    if (q->failed)
        print_error("failed: %s: %s\n", tl_fail_name(q->fail), q->why);
    assert_true(q->ended);
}

void assert_failed(sim *s, question_record *q, tl_fail fail, tl_time limit)
{
    assert_true(sim_run_while(s, question_is_over, q, limit));
    assert_true(q->failed);
    assert_string_equal(tl_fail_name(q->fail), tl_fail_name(fail));
    assert_true(q->why[0]);
}
