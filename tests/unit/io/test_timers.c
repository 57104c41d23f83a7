/* The promises of io/timers.h, with a virtual clock and a model of the kernel timer: whatever times
 * are set, nothing that is due is slept over, comes early, or keeps another from coming. */
#include "io/timers.h"

#include "base/rand.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define TIMERS 24

typedef struct {
    tl_timer t;
    tl_time wanted; /* what it was last set to; TL_NEVER: unset */
    uint64_t turn;  /* in which it was set */
    uint64_t fired;
} one;

/* A loop of which only the clock and the kernel timer are models. */
typedef struct {
    tl_timers timers;
    one all[TIMERS];
    tl_time now;    /* as the loop read it at the begin of the turn */
    tl_time clock;  /* as it is */
    tl_time kernel; /* when the kernel timer goes off; TL_NEVER: off */
    uint64_t turn, slept;
    tl_rand rand;
} world;

static tl_time random_time(world *w)
{
    switch (tl_rand_below(&w->rand, 8)) {
    case 0: return 0;
    case 1: return TL_NEVER;
    case 2: return TL_NEVER - 1 - tl_rand_below(&w->rand, 3);
    case 3: return tl_rand_u64(&w->rand);
    case 4: return w->clock - tl_rand_below(&w->rand, tl_time_min(w->clock, TL_SEC));
    case 5: return w->clock;
    case 6: return w->clock + tl_rand_below(&w->rand, 10 * TL_TIMERS_AHEAD_MAX);
    default: return w->clock + tl_rand_below(&w->rand, 10 * TL_MS);
    }
}

static void set(world *w, size_t i, tl_time at)
{
    one *o = &w->all[i];
    bool was_due = o->t.at <= w->now;
    tl_timers_set(&w->timers, &o->t, at, w->now);
    o->wanted = at;
    if (!was_due || at > w->now)
        o->turn = w->turn;
}

static void set_some(world *w)
{
    for (size_t n = tl_rand_below(&w->rand, 4); n; n--)
        set(w, tl_rand_below(&w->rand, TIMERS), random_time(w));
}

static void fire(world *w, tl_timer *t)
{
    one *o = (one *)t;
    assert_true(o->wanted <= w->now); /* never early */
    assert_true(o->turn < w->turn);   /* never in the turn in which it was set */
    assert_true(t->at == TL_NEVER);
    o->fired++;
    o->wanted = TL_NEVER;
    if (tl_rand_below(&w->rand, 2)) /* machines answer their timers with another expiry */
        set(w, (size_t)(o - w->all), random_time(w));
    set_some(w);
}

static void turn(world *w)
{
    tl_timer *t;
    tl_time at;
    w->turn++;
    w->now = w->clock;
    tl_timers_begin_turn(&w->timers);
    while ((t = tl_timers_take_due(&w->timers, w->now)))
        fire(w, t);
    for (size_t i = 0; i < TIMERS; i++) /* what was due and is older than this turn has fired */
        assert_true(w->all[i].wanted > w->now || w->all[i].turn == w->turn);
    if (tl_timers_next_alarm(&w->timers, w->now, &at))
        w->kernel = at;
}

/* Sleeps until the kernel timer goes off or, at random, other input comes before it. The clock may
 * move on between any two steps. */
static void sleep_now(world *w)
{
    tl_time due = TL_NEVER;
    for (size_t i = 0; i < TIMERS; i++)
        due = tl_time_min(due, w->all[i].wanted);
    assert_true(due == TL_NEVER || w->kernel <= due || w->kernel <= w->now + 1);
    if (due != TL_NEVER)
        assert_true(w->kernel <= w->now + TL_TIMERS_AHEAD_MAX);
    bool input = w->kernel == TL_NEVER || tl_rand_below(&w->rand, 3) == 0;
    if (input) {
        w->now = w->clock += tl_rand_below(&w->rand, 20 * TL_MS);
        set_some(w); /* what the input's callbacks set, before `prepare` runs */
        return;      /* the kernel timer may have gone off meanwhile: it stays readable */
    }
    w->slept++;
    if (w->clock < w->kernel)
        w->clock = w->kernel;
    w->clock += tl_rand_below(&w->rand, 2) ? tl_rand_below(&w->rand, TL_MS) : 0;
    w->kernel = TL_NEVER;
    tl_timers_on_alarm(&w->timers);
}

static void begin(world *w, uint64_t seed)
{
    memset(w, 0, sizeof *w);
    tl_timers_init(&w->timers);
    w->kernel = TL_NEVER;
    w->now = w->clock = 1000 * TL_SEC;
    w->rand = tl_rand_seeded(seed);
    for (size_t i = 0; i < TIMERS; i++) {
        w->all[i].t.at = w->all[i].wanted = TL_NEVER;
        set(w, i, random_time(w));
    }
}

static void no_expiry_whatever_is_slept_over_comes_early_or_keeps_others_waiting(void **state)
{
    (void)state;
    uint64_t fired = 0, slept = 0;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        static world w;
        begin(&w, seed);
        for (int i = 0; i < 500; i++) {
            turn(&w);
            sleep_now(&w);
        }
        for (size_t i = 0; i < TIMERS; i++)
            fired += w.all[i].fired;
        slept += w.slept;
    }
    assert_true(fired > 100000); /* else nothing was tried */
    assert_true(slept > 10000);
}

static void one_that_is_always_due_does_not_keep_another_from_firing(void **state)
{
    (void)state;
    static world w;
    begin(&w, 1);
    tl_timers_init(&w.timers);
    for (size_t i = 0; i < TIMERS; i++)
        w.all[i].t.at = TL_NEVER;
    tl_timer *greedy = &w.all[0].t, *other = &w.all[1].t, *t;
    tl_timers_set(&w.timers, other, w.now + TL_MS, w.now);
    tl_timers_set(&w.timers, greedy, 0, w.now);
    bool fired = false;
    for (int i = 0; i < 10; i++) {
        w.now += TL_MS;
        tl_timers_begin_turn(&w.timers);
        while ((t = tl_timers_take_due(&w.timers, w.now))) {
            fired |= t == other;
            if (t == greedy)
                tl_timers_set(&w.timers, greedy, 0, w.now);
        }
    }
    assert_true(fired);
}

static void a_loop_whose_timers_are_far_away_wakes_once_an_hour(void **state)
{
    (void)state;
    static world w;
    begin(&w, 1);
    tl_timers_init(&w.timers);
    tl_timer t = {.at = TL_NEVER};
    tl_time at = 0;
    tl_timers_set(&w.timers, &t, TL_NEVER - 1, w.now);
    assert_true(tl_timers_next_alarm(&w.timers, w.now, &at));
    assert_int_equal(at, w.now + TL_TIMERS_AHEAD_MAX);
    /* turns for other reasons do not put it off */
    assert_false(tl_timers_next_alarm(&w.timers, w.now + TL_SEC, &at));
    tl_timers_on_alarm(&w.timers);
    w.now = at;
    assert_true(tl_timers_next_alarm(&w.timers, w.now, &at));
    assert_int_equal(at, w.now + TL_TIMERS_AHEAD_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_expiry_whatever_is_slept_over_comes_early_or_keeps_others_waiting),
        cmocka_unit_test(one_that_is_always_due_does_not_keep_another_from_firing),
        cmocka_unit_test(a_loop_whose_timers_are_far_away_wakes_once_an_hour),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
