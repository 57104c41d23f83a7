#include "slots_load.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

/* The promises of issue and docs/protocol.md "Scheduling", with whole streams of answers. */

#define MARKS 2301
static load_mark marks[MARKS];

/* Both classes always have questions that wait, with answers of 10 to 4000 tokens. */
static const load_client mixed[] = {{true, 1, 1, 3, 2000, 10, 4000},
                                    {true, 1, 2, 3, 20, 10, 4000},
                                    {true, 2, 3, 3, 200, 10, 4000},
                                    {false, 0, 4, 3, 2000, 10, 4000},
                                    {false, 0, 5, 3, 20, 10, 4000}};

static void take(slots_load *w, const load_client *clients, size_t n)
{
    w->n_clients = n;
    memcpy(w->clients, clients, n * sizeof *clients);
}

static void both_classes(slots_load *w)
{
    take(w, mixed, sizeof mixed / sizeof *mixed);
}

static void
seventy_of_a_hundred_units_are_private_from_the_first_contested_question_on(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 2; seed++) {
        slots_load w;
        slots_load_init(&w, seed, 4, TL_NEVER);
        both_classes(&w);
        w.marks = marks;
        w.marks_max = MARKS;
        while (!slots_load_is_full(&w))
            slots_load_tick(&w);
        double a = slots_load_worst(marks, MARKS, 1000), b = slots_load_worst(marks, MARKS, 100);
        print_message("seed %d: over any 1000 answers 70 +- %.2f%%, over any 100 70 +- %.2f%%\n",
                      (int)seed, a, b);
        assert_true(a <= 1);
        assert_true(b <= 3);
        slots_load_clear(&w);
    }
}

static void an_hour_of_one_class_alone_costs_it_nothing_later(void **state)
{
    (void)state;
    for (int public = 0; public < 2; public ++) {
        slots_load w;
        slots_load_init(&w, 7, 4, TL_NEVER);
        both_classes(&w);
        for (size_t c = 0; c < w.n_clients; c++)
            if (w.clients[c].private == public)
                w.clients[c].at_once = 0;
        while (w.s.env.now < 3600 * TL_SEC)
            slots_load_tick(&w);
        both_classes(&w);
        w.marks = marks;
        w.marks_max = 1201;
        while (!slots_load_is_full(&w))
            slots_load_tick(&w);
        double a = slots_load_worst(marks, 1201, 1000), b = slots_load_worst(marks, 1201, 100);
        print_message("an hour of the %s alone: 1000 answers 70 +- %.2f%%, 100 70 +- %.2f%%\n",
                      public ? "public" : "private", a, b);
        assert_true(a <= 1);
        assert_true(b <= 3);
        slots_load_clear(&w);
    }
}

/* J of market/sched.h: a whole question, whose prompt may have been taken for a quarter more. */
#define J(longest, prompt) ((longest)*TL_SCHED_GENERATED + (prompt)*5 / 4)

/* The bound of market/sched.h, twice: v may have differed by as much when the window began. */
static void classes_with_unlike_answers_differ_by_no_more_than_the_bound(void **state)
{
    (void)state;
    static const unsigned slots = 4;
    static const load_client unlike[] = {{true, 1, 1, 3, 2000, 10, 4000},
                                         {true, 2, 2, 6, 20, 10, 40},
                                         {false, 0, 3, 3, 20, 10, 60},
                                         {false, 0, 4, 3, 2000, 10, 4000}};
    double bound = 2.0 * slots * J(4000, 2000) / TL_SCHED_PUBLIC_WEIGHT, most = 0;
    slots_load w;
    slots_load_init(&w, 11, slots, TL_NEVER);
    take(&w, unlike, sizeof unlike / sizeof *unlike);
    w.marks = marks;
    w.marks_max = MARKS;
    while (!slots_load_is_full(&w))
        slots_load_tick(&w);
    for (size_t n = 1; n < MARKS; n++)
        for (size_t i = n; i < MARKS; i += 7) {
            const uint64_t *from = marks[i - n].served, *to = marks[i].served;
            double private = (double)to[TL_SCHED_PRIVATE] - (double)from[TL_SCHED_PRIVATE];
            double public = (double)to[TL_SCHED_PUBLIC] - (double)from[TL_SCHED_PUBLIC];
            double off = private / TL_SCHED_PRIVATE_WEIGHT - public / TL_SCHED_PUBLIC_WEIGHT;
            off = off < 0 ? -off : off;
            most = off > most ? off : most;
            assert_true(off <= bound);
        }
    double a = slots_load_worst(marks, MARKS, 1000);
    print_message("unlike answers: %.0f apart at most, bound %.0f; 1000 answers 70 +- %.2f%%\n",
                  most, bound, a);
    slots_load_clear(&w);
}

static void two_members_of_one_network_differ_by_no_more_than_the_bound(void **state)
{
    (void)state;
    static const unsigned slots = 4;
    /* of six questions of a member two wait at least */
    static const load_client unlike[] = {{true, 1, 1, 6, 2000, 1000, 4000},
                                         {true, 1, 2, 6, 10, 10, 30},
                                         {false, 0, 3, 6, 100, 10, 1000}};
    slots_load w;
    uint64_t most = 0, bound = (uint64_t)slots * J(4000, 2000);
    slots_load_init(&w, 3, slots, TL_NEVER);
    take(&w, unlike, 3);
    for (unsigned t = 0; t < 30000; t++) {
        slots_load_tick(&w);
        uint64_t a = w.units[0], b = w.units[1], off = a > b ? a - b : b - a;
        most = off > most ? off : most;
        assert_true(off <= bound);
    }
    print_message("two members: %d units apart at most, bound %d, %d units each\n", (int)most,
                  (int)bound, (int)w.units[0]);
    assert_true(w.units[1] > 20 * bound); /* long enough to tell */
    slots_load_clear(&w);
}

static void no_question_of_either_class_waits_beyond_its_bound(void **state)
{
    (void)state;
    static const tl_time bound = 60 * TL_SEC;
    slots_load w;
    size_t late[2] = {0}, answered[2] = {0};
    slots_load_init(&w, 5, 1, bound); /* far too few slots */
    both_classes(&w);
    w.marks = marks;
    w.marks_max = 1000;
    while (!slots_load_is_full(&w))
        slots_load_tick(&w);
    for (size_t i = 0; i < w.n_marks; i++) {
        assert_true(marks[i].waited <= bound);
        (marks[i].answered ? answered : late)[marks[i].private]++;
    }
    for (int c = 0; c < 2; c++) {
        assert_true(answered[c] > 0);
        assert_true(late[c] > 0);
    }
    slots_load_clear(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            seventy_of_a_hundred_units_are_private_from_the_first_contested_question_on),
        cmocka_unit_test(an_hour_of_one_class_alone_costs_it_nothing_later),
        cmocka_unit_test(classes_with_unlike_answers_differ_by_no_more_than_the_bound),
        cmocka_unit_test(two_members_of_one_network_differ_by_no_more_than_the_bound),
        cmocka_unit_test(no_question_of_either_class_waits_beyond_its_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
