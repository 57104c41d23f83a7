/* A question that waits in a provider's queue: another is asked beside it, and nobody is blamed. */
#include "router_scene.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define ALONE (2500 * TL_MS)

/* Peers 2, 3, ... that serve "m", asked in this order. */
static void begin(router_scene *s, listener *l, unsigned n)
{
    router_scene_init(s);
    *l = (listener){0};
    for (unsigned who = 2; who < 2 + n; who++)
        router_scene_peer(s, who, "m")->tier = (int)who;
    router_scene_ask(s, l, "m");
    (void)router_scene_at(s, 2);
}

static void finish(router_scene *s, listener *l)
{
    if (l->exchange)
        listener_cancel(l);
    listener_clear(l);
    router_scene_clear(s);
}

/* So long, while those that have the question say every two seconds how far it is. */
static void wait_queued(router_scene *s, tl_time time)
{
    for (tl_time t = 0; t < time; t += 500 * TL_MS) {
        router_scene_pass(s, 500 * TL_MS);
        for (size_t i = 0; t % (2 * TL_SEC) == 0 && i < s->n_providers; i++)
            if (!s->providers[i].over)
                provider_queued(&s->providers[i], 3, 60);
    }
}

static void a_question_that_waits_is_asked_of_another_beside_and_keeps_its_place(void **state)
{
    (void)state;
    router_scene s;
    listener l;
    begin(&s, &l, 4);
    provider_queued(&s.providers[0], 5, 40);
    router_scene_pass(&s, ALONE - 1);
    assert_asked(&s, 1);
    router_scene_pass(&s, 1);
    (void)router_scene_at(&s, 3);
    assert_false(s.providers[0].over);
    wait_queued(&s, 20 * TL_SEC); /* two queues, and no third one */
    assert_asked(&s, 2);
    assert_int_equal(l.calls[ON_FAIL], 0);
    finish(&s, &l);
}

static void the_first_that_works_at_it_takes_it_out_of_the_other_queue_without_blame(void **state)
{
    (void)state;
    router_scene s;
    listener l, next = {0};
    begin(&s, &l, 2);
    provider_queued(&s.providers[0], 5, 40);
    router_scene_pass(&s, ALONE);
    provider *second = router_scene_at(&s, 3);
    provider_progress(second);
    assert_true(s.providers[0].cancelled);
    provider_head(second);
    provider_body(second, "x");
    provider_end(second);
    assert_int_equal(l.calls[ON_END], 1);
    router_scene_ask(&s, &next, "m");        /* who was left is as good as before */
    assert_int_equal(s.providers[2].who, 3); /* but the one that served is no stranger any more */
    provider_fail(&s.providers[2], TL_FAIL_QUEUE_FULL, "full");
    (void)router_scene_at(&s, 2);
    listener_cancel(&next);
    listener_clear(&next);
    finish(&s, &l);
}

static void one_that_works_is_not_left_for_one_whose_queue_is_shorter(void **state)
{
    (void)state;
    router_scene s;
    listener l;
    begin(&s, &l, 2);
    for (int i = 0; i < 10; i++) {
        provider_progress(&s.providers[0]);
        router_scene_pass(&s, 2 * TL_SEC);
    }
    assert_asked(&s, 1);
    finish(&s, &l);
}

static void the_place_of_the_shorter_wait_is_told_until_somebody_works(void **state)
{
    (void)state;
    router_scene s;
    listener l;
    begin(&s, &l, 2);
    assert_int_equal(tl_exchange_progress(l.exchange).position, 0);
    assert_int_equal(tl_exchange_progress(l.exchange).waits_for, TL_WAITS_ANSWER);
    provider_queued(&s.providers[0], 5, 40);
    assert_int_equal(tl_exchange_progress(l.exchange).position, 5);
    assert_int_equal(tl_exchange_progress(l.exchange).wait_seconds, 40);
    router_scene_pass(&s, ALONE);
    provider_queued(router_scene_at(&s, 3), 2, 12);
    assert_int_equal(tl_exchange_progress(l.exchange).position, 2);
    assert_int_equal(tl_exchange_progress(l.exchange).wait_seconds, 12);
    provider_progress(router_scene_at(&s, 3));
    assert_int_equal(tl_exchange_progress(l.exchange).position, 0);
    assert_int_equal(tl_exchange_progress(l.exchange).waits_for, TL_WAITS_MODEL);
    finish(&s, &l);
}

static tl_waits_for waits_for(const listener *l)
{
    return tl_exchange_progress(l->exchange).waits_for;
}

static void a_node_that_falls_silent_is_told_before_and_in_the_middle_of_its_answer(void **state)
{
    (void)state;
    router_scene s;
    listener l;
    begin(&s, &l, 1);
    for (int words = 0; words < 2; words++) { /* none yet, then some */
        assert_int_equal(waits_for(&l), words ? TL_WAITS_MODEL : TL_WAITS_ANSWER);
        s.facts[2].silent = true;
        assert_int_equal(waits_for(&l), TL_WAITS_PATH);
        s.facts[2].silent = false;
        if (words == 0) {
            provider_head(&s.providers[0]);
            provider_body(&s.providers[0], "x");
        }
    }
    finish(&s, &l);
}

static void of_two_that_have_the_question_the_one_that_is_there_is_told(void **state)
{
    (void)state;
    router_scene s;
    listener l;
    begin(&s, &l, 2);
    router_scene_pass(&s, ALONE);
    assert_asked(&s, 2);
    for (unsigned silent = 2; silent <= 3; silent++) {
        s.facts[silent].silent = true;
        assert_int_equal(waits_for(&l), TL_WAITS_ANSWER);
        s.facts[silent].silent = false;
    }
    s.facts[2].silent = s.facts[3].silent = true;
    assert_int_equal(waits_for(&l), TL_WAITS_PATH);
    provider_queued(&s.providers[1], 2, 12); /* it was heard, if not for long */
    s.facts[3].silent = false;
    assert_int_equal(tl_exchange_progress(l.exchange).position, 2);
    finish(&s, &l);
}

static void full_queues_are_told_with_the_least_time_to_wait(void **state)
{
    (void)state;
    static const unsigned after[3] = {90, 30, 0};
    router_scene s;
    listener l;
    begin(&s, &l, 3);
    for (unsigned i = 0; i < 3; i++) {
        provider *p = router_scene_at(&s, 2 + i);
        p->over = true;
        p->sink.on_fail(
            p->user,
            &(tl_failure){.fail = TL_FAIL_QUEUE_FULL, .message = "full", .retry_after = after[i]});
        router_scene_pass(&s, 0);
    }
    if (l.exchange) /* the relay knows nobody else */
        router_scene_discovered(&s, "m");
    assert_int_equal(l.fail, TL_FAIL_QUEUE_FULL);
    assert_int_equal(l.retry_after, 30);
    finish(&s, &l);
}

static void where_all_have_paused_the_question_is_told_so(void **state)
{
    (void)state;
    static const struct {
        unsigned away, paused;
        tl_fail fail;
        const char *words;
        bool auto_model;
    } rows[] = {
        {1, 1, TL_FAIL_UNAVAILABLE, "a model is served by 1 node, but it takes", true},
        {0, 0, TL_FAIL_MODEL_NOT_LOADED, "nobody at the relay serves \"m\" now"},
        {1, 0, TL_FAIL_UNAVAILABLE, "served by 1 node, but it takes no questions of others now"},
        {1, 1, TL_FAIL_UNAVAILABLE, "others now: 1 of 1 is paused by the owner"},
        {3, 2, TL_FAIL_UNAVAILABLE,
         "served by 3 nodes, but they take no questions of others now: "
         "2 of 3 are paused by the owner"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        router_scene s;
        listener l = {0};
        router_scene_init(&s);
        for (unsigned k = 0; k < rows[i].away; k++) {
            tl_peer *p = router_scene_peer(&s, 2 + k, "m");
            p->available = false;
            p->paused = k < rows[i].paused;
        }
        router_scene_ask(&s, &l, rows[i].auto_model ? TL_MODEL_AUTO : "m");
        router_scene_discovered(&s, rows[i].auto_model ? "" : "m");
        assert_asked(&s, 0);
        assert_int_equal(l.fail, rows[i].fail);
        assert_non_null(strstr(l.message, rows[i].words));
        assert_int_equal(strstr(l.message, "paused") != NULL, rows[i].paused != 0);
        finish(&s, &l);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_question_that_waits_is_asked_of_another_beside_and_keeps_its_place),
        cmocka_unit_test(the_first_that_works_at_it_takes_it_out_of_the_other_queue_without_blame),
        cmocka_unit_test(one_that_works_is_not_left_for_one_whose_queue_is_shorter),
        cmocka_unit_test(the_place_of_the_shorter_wait_is_told_until_somebody_works),
        cmocka_unit_test(a_node_that_falls_silent_is_told_before_and_in_the_middle_of_its_answer),
        cmocka_unit_test(of_two_that_have_the_question_the_one_that_is_there_is_told),
        cmocka_unit_test(full_queues_are_told_with_the_least_time_to_wait),
        cmocka_unit_test(where_all_have_paused_the_question_is_told_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
