/* Memory that runs out as a question joins the queue leaves nothing behind. */
#include "../support/failalloc.h"
#include "slots_scene.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

typedef struct {
    slots_scene s;
    listener running, waiting;
} world;

static tl_err join(void *user)
{
    static const slots_question question = {
        .private = true, .network = 3, .member = 4, .prompt = 1, .generated = 1};
    world *w = user;
    w->waiting = (listener){0};
    return slots_scene_try(&w->s, &question, &w->waiting);
}

static void a_question_that_cannot_be_kept_is_not_in_the_queue(void **state)
{
    (void)state;
    static world w;
    slots_question first = {.member = 9, .bid = 1, .prompt = 1, .generated = 1};
    tl_slots_facts f;
    slots_scene_init(&w.s, 1, 4, 300 * TL_SEC);
    slots_scene_ask(&w.s, &first, &w.running);
    assert_true(failalloc_sweep(join, &w) >= 3);
    tl_slots_facts_of(w.s.slots, &f);
    assert_int_equal(f.queued[TL_SCHED_PRIVATE], 1); /* the one that got through */
    listener_cancel(&w.running);
    slots_scene_pass(&w.s, 0);
    slots_scene_stream(&w.s, TL_MS, 1);
    assert_int_equal(w.waiting.calls[ON_END], 1);
    listener_clear(&w.waiting);
    slots_scene_clear(&w.s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_question_that_cannot_be_kept_is_not_in_the_queue),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
