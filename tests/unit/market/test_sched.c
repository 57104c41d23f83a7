#include "market/sched.h"

#include "base/rand.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* --- a model server in virtual time: each running answer gets a token a tick --- */

#define JOBS_MAX 40

typedef struct {
    tl_job *job;
    uint64_t prompt, left;
    int client;
    bool running;
} answer;

typedef struct {
    tl_sched *s;
    tl_time now;
    answer answers[JOBS_MAX];
    size_t done[TL_SCHED_CLASSES];
} world;

static world w;

static void world_new(unsigned slots, unsigned queue_max)
{
    tl_sched_config config = {slots, queue_max};
    w = (world){.now = TL_SEC};
    assert_int_equal(tl_sched_new(&config, &w.s), TL_OK);
}

static void world_end(void)
{
    for (size_t i = 0; i < JOBS_MAX; i++) {
        if (w.answers[i].job)
            tl_sched_done(w.answers[i].job, w.now);
    }
    tl_sched_free(w.s);
}

static tl_node_id node(int number)
{
    tl_node_id id = {{0}};
    memcpy(id.key, &number, sizeof number);
    return id;
}

/* `client` is a member: its network is client / 100. Negative: the public, with that bid. */
static tl_err ask(int client, uint64_t prompt, uint64_t generated, answer **ret)
{
    tl_job_wish wish = {.class = client < 0 ? TL_SCHED_PUBLIC : TL_SCHED_PRIVATE,
                        .network = node(client / 100),
                        .member = node(client),
                        .bid = -client};
    for (size_t i = 0; i < JOBS_MAX; i++) {
        answer *a = &w.answers[i];
        if (a->job)
            continue;
        *a = (answer){.prompt = prompt, .left = generated, .client = client};
        wish.user = a;
        tl_err e = tl_sched_add(w.s, &wish, w.now, &a->job);
        if (e)
            a->job = NULL;
        else if (ret)
            *ret = a;
        return e;
    }
    return TL_ERR_BUSY;
}

static answer *start_one(void)
{
    tl_job *job = tl_sched_next(w.s, w.now);
    if (!job)
        return NULL;
    answer *a = tl_job_user(job);
    a->running = true;
    tl_sched_charge(job, a->prompt, 0);
    return a;
}

/* Fills the slots, then gives every running answer a token. How many ended. */
static unsigned tick(void)
{
    unsigned ended = 0;
    while (start_one())
        ;
    w.now += 10 * TL_MS;
    for (size_t i = 0; i < JOBS_MAX; i++) {
        answer *a = &w.answers[i];
        if (!a->job || !a->running)
            continue;
        if (a->left) {
            tl_sched_charge(a->job, 0, 1);
            a->left--;
        }
        if (!a->left) {
            w.done[a->client < 0]++;
            tl_sched_done(a->job, w.now);
            a->job = NULL;
            ended++;
        }
    }
    return ended;
}

static unsigned waiting_of(int client)
{
    unsigned n = 0;
    for (size_t i = 0; i < JOBS_MAX; i++)
        n += w.answers[i].job && w.answers[i].client == client && !w.answers[i].running;
    return n;
}

/* --- shares --- */

typedef struct {
    uint64_t private, all;
} mark; /* units so far, as an answer ended */

static mark mark_now(void)
{
    uint64_t p = tl_sched_served(w.s, TL_SCHED_PRIVATE);
    return (mark){p, p + tl_sched_served(w.s, TL_SCHED_PUBLIC)};
}

/* The largest distance from 70% over any `n` answers in a row, in percent. */
static double worst(const mark *m, size_t count, size_t n)
{
    double worst = 0;
    for (size_t i = n; i < count; i++) {
        double share =
            100.0 * (double)(m[i].private - m[i - n].private) / (double)(m[i].all - m[i - n].all);
        double off = share > 70 ? share - 70 : 70 - share;
        worst = off > worst ? off : worst;
    }
    return worst;
}

/* Both classes always have a question waiting, with answers of 10 to 4000 tokens. */
static void saturate(tl_rand *rand, mark *marks, size_t count)
{
    size_t n = 0;
    marks[n++] = mark_now();
    while (n < count) {
        for (int client = 0; client < 3; client++) {
            if (!waiting_of(client))
                assert_int_equal(
                    ask(client, tl_rand_below(rand, 200), 10 + tl_rand_below(rand, 3991), NULL),
                    TL_OK);
        }
        if (!waiting_of(-1))
            assert_int_equal(
                ask(-1, tl_rand_below(rand, 200), 10 + tl_rand_below(rand, 3991), NULL), TL_OK);
        unsigned ended = tick();
        while (ended-- && n < count)
            marks[n++] = mark_now();
    }
}

#define MARKS 4001

static void seventy_of_a_hundred_units_are_private(void **state)
{
    (void)state;
    static mark marks[MARKS];
    double worst_1000 = 0, worst_100 = 0;
    for (uint64_t seed = 1; seed <= 2; seed++) {
        tl_rand rand = tl_rand_seeded(seed);
        world_new(4, 64);
        saturate(&rand, marks, MARKS);
        double a = worst(marks, MARKS, 1000), b = worst(marks, MARKS, 100);
        worst_1000 = a > worst_1000 ? a : worst_1000;
        worst_100 = b > worst_100 ? b : worst_100;
        world_end();
    }
    print_message("over any 1000 answers 70 +- %.2f%%, over any 100 70 +- %.2f%%\n", worst_1000,
                  worst_100);
    assert_true(worst_1000 <= 1);
    assert_true(worst_100 <= 3);
}

static void an_hour_alone_costs_nothing_later(void **state)
{
    (void)state;
    static mark marks[MARKS];
    for (int alone = 0; alone < 2; alone++) {
        tl_rand rand = tl_rand_seeded(7);
        world_new(4, 64);
        tl_time until = w.now + 3600 * TL_SEC;
        while (w.now < until) {
            while (waiting_of(alone ? -1 : 0) < 2)
                assert_int_equal(ask(alone ? -1 : 0, 10, 10 + tl_rand_below(&rand, 3991), NULL),
                                 TL_OK);
            tick();
        }
        saturate(&rand, marks, 1101);
        double a = worst(marks, 1101, 1000), b = worst(marks, 1101, 100);
        print_message(
            "after an hour of class %d alone: 1000 answers 70 +- %.2f%%, 100 70 +- %.2f%%\n", alone,
            a, b);
        assert_true(a <= 1);
        assert_true(b <= 3);
        world_end();
    }
}

/* --- the bound that sched.h states --- */

/* Random slots, answers and pauses between questions; two members of one network that both wait. */
static void two_members_that_wait_differ_by_no_more_than_the_bound(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        tl_rand rand = tl_rand_seeded(seed);
        unsigned slots = 1 + (unsigned)tl_rand_below(&rand, 6);
        uint64_t longest[2] = {10 + tl_rand_below(&rand, 400), 10 + tl_rand_below(&rand, 400)};
        uint64_t largest = 2 * (longest[0] > longest[1] ? longest[0] : longest[1]) + 50;
        if (largest < TL_SCHED_FIRST)
            largest = TL_SCHED_FIRST;
        int64_t bound = (int64_t)(slots * largest), begun[2] = {0}, served[2] = {0};
        bool both = false;
        world_new(slots, 64);
        for (unsigned t = 0; t < 20000; t++) {
            for (int m = 0; m < 2; m++) {
                if (waiting_of(m) < 3 && tl_rand_below(&rand, 4) == 0)
                    assert_int_equal(ask(m, tl_rand_below(&rand, 50),
                                         1 + tl_rand_below(&rand, longest[m]), NULL),
                                     TL_OK);
            }
            answer *a;
            while ((a = start_one()))
                served[a->client] += (int64_t)a->prompt;
            for (size_t i = 0; i < JOBS_MAX; i++)
                if (w.answers[i].job && w.answers[i].running)
                    served[w.answers[i].client] += 2;
            tick();
            if (!waiting_of(0) || !waiting_of(1)) {
                both = false;
                continue;
            }
            if (!both) {
                both = true;
                memcpy(begun, served, sizeof begun);
            }
            int64_t off = (served[0] - begun[0]) - (served[1] - begun[1]);
            if ((off < 0 ? -off : off) >
                2 * bound) /* v differed by at most the bound when it began */
                fail_msg("seed %d: %d units apart, bound %d", (int)seed, (int)off,
                         (int)(2 * bound));
        }
        world_end();
    }
}

static void a_member_with_long_answers_gets_no_more_than_one_with_short(void **state)
{
    (void)state;
    uint64_t served[3] = {0};
    world_new(4, 64);
    for (unsigned t = 0; t < 60000; t++) {
        static const uint64_t length[3] = {2000, 20, 300};
        for (int m = 0; m < 3; m++) {
            while (waiting_of(m) < 6)
                assert_int_equal(ask(m, 10, length[m], NULL), TL_OK);
        }
        answer *a;
        while ((a = start_one()))
            served[a->client] += a->prompt;
        for (size_t i = 0; i < JOBS_MAX; i++)
            if (w.answers[i].job && w.answers[i].running)
                served[w.answers[i].client] += 2;
        tick();
    }
    world_end();
    for (int m = 1; m < 3; m++) {
        int64_t off = (int64_t)served[m] - (int64_t)served[0];
        assert_true((off < 0 ? -off : off) <= 4 * 4010);
    }
}

static void idleness_banks_nothing(void **state)
{
    (void)state;
    uint64_t served[2] = {0};
    world_new(1, 64);
    for (unsigned t = 0; t < 30000; t++) { /* member 0 alone; member 1 comes at 10000 */
        while (waiting_of(0) < 2)
            assert_int_equal(ask(0, 0, 50, NULL), TL_OK);
        while (t >= 10000 && waiting_of(1) < 2)
            assert_int_equal(ask(1, 0, 50, NULL), TL_OK);
        while (start_one())
            ;
        for (size_t i = 0; i < JOBS_MAX && t >= 10000; i++)
            if (w.answers[i].job && w.answers[i].running)
                served[w.answers[i].client] += 2;
        tick();
    }
    world_end();
    int64_t off = (int64_t)served[0] - (int64_t)served[1];
    assert_true((off < 0 ? -off : off) <= 200);
}

static void a_free_slot_is_given_to_whoever_waits(void **state)
{
    (void)state;
    world_new(2, 8);
    assert_int_equal(ask(-5, 0, 3, NULL), TL_OK);
    assert_int_equal(ask(-5, 0, 3, NULL), TL_OK);
    assert_int_equal(ask(-5, 0, 3, NULL), TL_OK);
    assert_non_null(start_one());
    assert_non_null(start_one());
    assert_null(start_one());
    assert_int_equal(tl_sched_running(w.s), 2);
    assert_int_equal(tl_sched_waiting(w.s, TL_SCHED_PUBLIC), 1);
    tl_sched_set_config(w.s, &(tl_sched_config){3, 8});
    assert_non_null(start_one());
    world_end();
}

static void the_public_goes_by_bid_and_then_by_age(void **state)
{
    (void)state;
    answer *low, *high, *later, *a;
    world_new(1, 8);
    assert_int_equal(ask(-1, 0, 1, &low), TL_OK);
    assert_int_equal(ask(-9, 0, 1, &high), TL_OK);
    assert_int_equal(ask(-9, 0, 1, &later), TL_OK);
    assert_int_equal(tl_job_place(high->job), 1);
    assert_int_equal(tl_job_place(later->job), 2);
    assert_int_equal(tl_job_place(low->job), 3);
    answer *const order[] = {high, later, low};
    for (size_t i = 0; i < 3; i++) {
        a = start_one();
        assert_ptr_equal(a, order[i]);
        assert_int_equal(tl_job_place(a->job), 0);
        tick();
    }
    world_end();
}

static void a_full_queue_says_so_and_a_cancelled_question_leaves_at_once(void **state)
{
    (void)state;
    answer *first, *second;
    world_new(1, 2);
    assert_int_equal(ask(-1, 0, 9, &first), TL_OK);
    assert_int_equal(ask(-1, 0, 9, &second), TL_OK);
    assert_int_equal(ask(-1, 0, 9, NULL), TL_ERR_BUSY);
    assert_int_equal(ask(1, 0, 9, NULL), TL_OK); /* each class has its own */
    tl_sched_done(first->job, w.now);
    first->job = NULL;
    assert_int_equal(tl_job_place(second->job), 1);
    assert_int_equal(ask(-1, 0, 9, NULL), TL_OK);
    world_end();
}

/* As ask/slots does: a full queue is shared with who has fewer questions in it. */
static bool gets_a_place(int client)
{
    tl_err e = ask(client, 0, 9, NULL);
    if (e != TL_ERR_BUSY)
        return !e;
    tl_job_wish wish = {.class = client < 0 ? TL_SCHED_PUBLIC : TL_SCHED_PRIVATE,
                        .network = node(client / 100),
                        .member = node(client),
                        .bid = client < -10 ? -client : 0}; /* the others bid alike here */
    tl_job *last = tl_sched_yields(w.s, &wish);
    if (!last)
        return false;
    ((answer *)tl_job_user(last))->job = NULL;
    tl_sched_done(last, w.now);
    assert_int_equal(ask(client, 0, 9, NULL), TL_OK);
    return true;
}

static unsigned waiting(int client)
{
    unsigned n = 0;
    for (size_t i = 0; i < JOBS_MAX; i++)
        n += w.answers[i].job && w.answers[i].client == client;
    return n;
}

static void a_full_queue_is_shared_alike_by_all_that_want_it(void **state)
{
    (void)state;
    world_new(1, 12);
    for (int i = 0; i < 12; i++)
        assert_true(gets_a_place(-1)); /* alone, all of it is its own */
    assert_false(gets_a_place(-1));
    for (int i = 0; i < 12; i++)
        (void)gets_a_place(-2);
    (void)gets_a_place(-3);
    assert_int_equal(waiting(-1) + waiting(-2), 11);
    assert_in_range(waiting(-1), 5, 6);
    assert_int_equal(waiting(-3), 1);
    for (int i = 0; i < 12; i++)
        (void)gets_a_place(-3);
    assert_in_range(waiting(-3), 3, 5);
    for (int i = 0; i < 12; i++)
        assert_true(gets_a_place(100)); /* one member, the other class */
    for (int i = 0; i < 12; i++) {
        (void)gets_a_place(101); /* of the same network */
        (void)gets_a_place(200); /* of another one */
    }
    assert_int_equal(waiting(200), 6);
    assert_int_equal(waiting(100) + waiting(101), 6);
    assert_in_range(waiting(100), 2, 4);
    assert_false(gets_a_place(200));
    world_end();
}

static void
a_full_queue_gives_way_to_a_higher_bid_but_not_the_place_of_whose_turn_is_first(void **state)
{
    (void)state;
    world_new(1, 8);
    for (int i = 11; i < 19; i++)
        assert_true(gets_a_place(-i)); /* eight keys, a question each; -i bids i */
    assert_true(gets_a_place(-30));
    assert_int_equal(waiting(-12), 0); /* the lowest bid but that of whose turn is first */
    assert_int_equal(waiting(-11), 1);
    assert_false(gets_a_place(-12)); /* nobody bids less */
    for (int i = 31; i < 37; i++)
        assert_true(gets_a_place(-i));
    assert_int_equal(waiting(-18), 0);
    assert_int_equal(waiting(-11), 1);
    assert_int_equal(waiting(-30), 1);
    assert_false(gets_a_place(-20));
    world_end();
}

static void a_paused_machine_gives_no_slot(void **state)
{
    (void)state;
    world_new(1, 2);
    assert_int_equal(ask(1, 0, 9, NULL), TL_OK);
    tl_sched_pause(w.s, true);
    assert_null(start_one());
    tl_sched_pause(w.s, false);
    assert_non_null(start_one());
    world_end();
}

static void the_wait_is_told_from_what_the_last_answers_took(void **state)
{
    (void)state;
    world_new(2, 64);
    for (unsigned i = 0; i < 400; i++) { /* answers of 5 s */
        while (waiting_of(-1) < 2)
            assert_int_equal(ask(-1, 0, 500, NULL), TL_OK);
        for (unsigned t = 0; t < 500; t++)
            tick();
    }
    assert_in_range(tl_sched_wait_seconds(w.s, TL_SCHED_PUBLIC, 2), 4, 6);
    assert_in_range(tl_sched_wait_seconds(w.s, TL_SCHED_PUBLIC, 20), 45, 55);
    assert_int_equal(tl_sched_wait_seconds(w.s, TL_SCHED_PUBLIC, 1000000), 3600);
    assert_int_equal(ask(1, 0, 500, NULL), TL_OK); /* now the others have their part, too */
    assert_in_range(tl_sched_wait_seconds(w.s, TL_SCHED_PUBLIC, 20), 150, 180);
    world_end();
}

/* A thousand members come and go; what is kept of them is bounded. */
static void members_that_left_are_forgotten(void **state)
{
    (void)state;
    world_new(1, 8);
    for (int i = 0; i < 5000; i++) {
        assert_int_equal(ask(i, 0, 1 + (uint64_t)(i % 7), NULL), TL_OK);
        for (int t = 0; t < 10; t++)
            tick();
    }
    assert_int_equal(tl_sched_running(w.s), 0);
    world_end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(seventy_of_a_hundred_units_are_private),
        cmocka_unit_test(an_hour_alone_costs_nothing_later),
        cmocka_unit_test(two_members_that_wait_differ_by_no_more_than_the_bound),
        cmocka_unit_test(a_member_with_long_answers_gets_no_more_than_one_with_short),
        cmocka_unit_test(idleness_banks_nothing),
        cmocka_unit_test(a_free_slot_is_given_to_whoever_waits),
        cmocka_unit_test(the_public_goes_by_bid_and_then_by_age),
        cmocka_unit_test(a_full_queue_says_so_and_a_cancelled_question_leaves_at_once),
        cmocka_unit_test(a_full_queue_is_shared_alike_by_all_that_want_it),
        cmocka_unit_test(
            a_full_queue_gives_way_to_a_higher_bid_but_not_the_place_of_whose_turn_is_first),
        cmocka_unit_test(a_paused_machine_gives_no_slot),
        cmocka_unit_test(the_wait_is_told_from_what_the_last_answers_took),
        cmocka_unit_test(members_that_left_are_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
