/* What the slots tell of each question that runs or waits. */
#include "slots_scene.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define WAIT_MAX (300 * TL_SEC)

static const slots_question a_private = {
    .private = true, .network = 1, .member = 1, .bid = -1, .prompt = 3, .generated = 4};
static const slots_question a_public = {.member = 9, .bid = 5, .prompt = 3, .generated = 4};

static uint64_t streamed(const slots_scene *s)
{
    tl_slots_facts f;
    tl_slots_facts_of(s->slots, &f);
    return f.streamed;
}

typedef struct {
    tl_slots_question q[4];
    size_t n, most;
} told;

static bool note_question(void *user, const tl_slots_question *q)
{
    told *all = user;
    all->q[all->n++] = *q;
    return all->n < all->most;
}

static told tell_all(const slots_scene *s, size_t most)
{
    told all = {.most = most};
    tl_slots_each(s->slots, note_question, &all);
    return all;
}

static void each_question_tells_who_asks_since_when_and_how_far_it_is(void **state)
{
    (void)state;
    slots_scene s;
    listener l[3] = {{0}};
    slots_scene_init(&s, 1, 4, WAIT_MAX);
    assert_int_equal(tell_all(&s, 4).n, 0);
    for (unsigned i = 0; i < 3; i++)
        slots_scene_ask(&s, &a_private, &l[i]);
    slots_scene_pass(&s, TL_SEC);
    told all = tell_all(&s, 4);
    assert_int_equal(all.n, 3);
    assert_true(all.q[0].running && !all.q[0].answering && !all.q[0].generated);
    assert_int_equal(all.q[0].asked, TL_SEC);
    assert_int_equal(all.q[0].began, TL_SEC);
    for (unsigned i = 1; i < 3; i++) {
        assert_false(all.q[i].running);
        assert_int_equal(all.q[i].progress.position, i);
    }
    assert_int_equal(all.q[2].ask->requester.key[0], a_private.member);
    assert_true(all.q[2].ask->has_network);

    served *v = slots_scene_served(&s, &l[0]);
    served_head(v, 200);
    served_tokens(v, 3);
    all = tell_all(&s, 4);
    assert_true(all.q[0].answering);
    assert_int_equal(all.q[0].first, 2 * TL_SEC);
    assert_int_equal(all.q[0].generated, 3);
    assert_int_equal(streamed(&s), 3);
    assert_int_equal(tell_all(&s, 2).n, 2); /* no more are wanted */

    while (l[2].exchange)
        slots_scene_stream(&s, TL_MS, 4);
    assert_int_equal(streamed(&s), 12);
    assert_int_equal(tell_all(&s, 4).n, 0);
    for (size_t i = 0; i < 3; i++)
        listener_clear(&l[i]);
    slots_scene_clear(&s);
}

static void what_a_refusal_says_is_no_token(void **state)
{
    (void)state;
    slots_scene s;
    listener l = {0};
    slots_scene_init(&s, 1, 4, WAIT_MAX);
    slots_scene_ask(&s, &a_public, &l);
    served *v = slots_scene_served(&s, &l);
    served_head(v, 429);
    served_tokens(v, 2);
    assert_int_equal(streamed(&s), 0);
    served_end(v);
    listener_clear(&l);
    slots_scene_clear(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_question_tells_who_asks_since_when_and_how_far_it_is),
        cmocka_unit_test(what_a_refusal_says_is_no_token),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
