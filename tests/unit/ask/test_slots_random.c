#include "slots_scene.h"

#include "base/rand.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

/* Questions come, stream, end, fail, are cancelled and paused, the number of slots changes, the owner
 * takes the machine back: in any order. After every step the promises of ask/slots.h hold. */

#define QUESTIONS 60
#define STEPS     6000

typedef struct {
    slots_scene s;
    tl_rand rand;
    listener l[QUESTIONS];
    bool waits[QUESTIONS]; /* as far as the test has seen it */
    tl_time asked_at[QUESTIONS];
    tl_slots_config config;
    unsigned asked, over;
    unsigned started_over; /* starts that the number of slots did not allow */
} world;

static unsigned below(world *w, unsigned n)
{
    return (unsigned)tl_rand_below(&w->rand, n);
}

static void ask(world *w, unsigned i)
{
    static char body[300];
    unsigned n = below(w, sizeof body - 1);
    memset(body, 'a', n);
    body[n] = 0;
    slots_question q = {.private = below(w, 2),
                        .network = below(w, 3),
                        .member = below(w, 5),
                        .bid = (int)below(w, 4) - 1,
                        .prompt = below(w, 40),
                        .generated = below(w, 30),
                        .body = body};
    listener_clear(&w->l[i]);
    w->l[i] = (listener){0};
    w->asked_at[i] = w->s.env.now;
    unsigned running = w->s.n_running, started = w->s.n_started;
    slots_scene_ask(&w->s, &q, &w->l[i]);
    w->started_over += w->s.n_started > started && running >= w->config.slots;
    w->asked++;
}

static void act_on(world *w, unsigned i)
{
    listener *l = &w->l[i];
    served *v = l->exchange ? slots_scene_served(&w->s, l) : NULL;
    switch (below(w, 6)) {
    case 0: listener_cancel(l); break;
    case 1: listener_pause(l, !l->paused); break;
    case 2:
        if (v)
            served_fail(v, TL_FAIL_BACKEND_ERROR);
        break;
    default:
        if (v && !v->headed)
            served_head(v, below(w, 8) ? 200 : 404);
        else if (v && v->left && !v->paused)
            served_tokens(v, 1 + below(w, v->left));
        else if (v && !v->left)
            served_end(v);
    }
}

static void change(world *w)
{
    listener_quiet = true;
    switch (below(w, 4)) {
    case 0: tl_slots_close(w->s.slots, "paused", below(w, 2)); break;
    case 1: tl_slots_open(w->s.slots); break;
    case 2:
        w->config.slots = 1 + below(w, 6);
        w->config.queue_max = 1 + below(w, 20);
        tl_slots_set_config(w->s.slots, &w->config);
        break;
    default: w->s.refuses = below(w, 3) ? TL_OK : TL_ERR_CLOSED;
    }
    listener_quiet = false;
}

static void promises_hold(world *w)
{
    tl_slots_facts f;
    unsigned waiting = 0, running = 0;
    unsigned started = w->s.n_started, before = w->s.n_running;
    slots_scene_pass(&w->s, below(w, 200) * TL_MS);
    tl_slots_facts_of(w->s.slots, &f);
    /* what began, began in a slot */
    if (w->s.n_started > started)
        assert_true(w->s.n_running <= w->config.slots ||
                    w->s.n_running - (w->s.n_started - started) <= before);
    for (unsigned i = 0; i < QUESTIONS; i++) {
        listener *l = &w->l[i];
        if (!l->exchange)
            continue;
        bool runs = slots_scene_served(&w->s, l) != NULL;
        running += runs;
        waiting += !runs;
        if (!runs) {
            tl_progress p = tl_exchange_progress(l->exchange);
            assert_in_range(p.position, 1, QUESTIONS);
            assert_in_range(p.wait_seconds, 1, 3600);
            assert_true(w->s.env.now - w->asked_at[i] < w->config.wait_max);
        }
    }
    /* nobody is lost: each is in the queue or at the model server */
    assert_int_equal(running, f.running);
    assert_int_equal(running, w->s.n_running);
    assert_int_equal(waiting, f.queued[TL_SCHED_PRIVATE] + f.queued[TL_SCHED_PUBLIC]);
    /* no slot is idle while somebody waits */
    if (waiting)
        assert_true(running >= w->config.slots);
    if (tl_slots_closed(w->s.slots))
        assert_int_equal(waiting, 0);
}

static void live(uint64_t seed)
{
    world w = {.rand = tl_rand_seeded(seed), .config = {2, 10, 8 * TL_SEC}};
    slots_scene_init(&w.s, 2, 10, 8 * TL_SEC);
    for (unsigned step = 0; step < STEPS; step++) {
        unsigned i = below(&w, QUESTIONS);
        if (below(&w, 40) == 0)
            change(&w);
        else if (w.l[i].exchange)
            act_on(&w, i);
        else
            ask(&w, i);
        promises_hold(&w);
    }
    assert_int_equal(w.started_over, 0);
    for (unsigned i = 0; i < QUESTIONS; i++) {
        if (w.l[i].exchange)
            listener_cancel(&w.l[i]);
        listener_clear(&w.l[i]);
    }
    slots_scene_clear(&w.s);
}

static void whatever_happens_no_slot_is_exceeded_and_no_question_lost(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        print_message("seed %d\n", (int)seed);
        live(seed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whatever_happens_no_slot_is_exceeded_and_no_question_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
