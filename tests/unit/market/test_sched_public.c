/* test_sched_public.c - who goes first among the public: the bid, then each peer in turn, and nobody is
 * passed for ever. */
#include "market/sched.h"

#include "base/rand.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define QUEUE_MAX 64
#define K         (TL_SCHED_PASSED_MAX + 1)

static tl_sched *sched_new(void)
{
    tl_sched *s;
    assert_int_equal(tl_sched_new(&(tl_sched_config){1, QUEUE_MAX}, &s), TL_OK);
    return s;
}

static tl_job *ask(tl_sched *s, unsigned peer, int64_t bid)
{
    tl_job_wish wish = {.class = TL_SCHED_PUBLIC, .bid = bid};
    tl_job *job;
    memcpy(wish.member.key, &peer, sizeof peer);
    assert_int_equal(tl_sched_add(s, &wish, 0, &job), TL_OK);
    return job;
}

/* The next question gets the slot, and is answered at once. */
static tl_job *serve(tl_sched *s)
{
    tl_job *job = tl_sched_next(s, 0);
    assert_non_null(job);
    tl_sched_done(job, 0);
    return job;
}

static void in_one_bid_each_peer_has_its_turn(void **state)
{
    (void)state;
    tl_sched *s = sched_new();
    tl_job *first[3], *other, *dear;
    for (int i = 0; i < 3; i++)
        first[i] = ask(s, 1, 5);
    other = ask(s, 2, 5);
    dear = ask(s, 3, 6);
    tl_job *const order[] = {dear, first[0], other, first[1], first[2]};
    for (unsigned i = 0; i < 5; i++)
        assert_int_equal(tl_job_place(order[i]), i + 1);
    for (unsigned i = 0; i < 5; i++)
        assert_ptr_equal(serve(s), order[i]);
    tl_sched_free(s);
}

/* How many slots others get before the question of a peer that bids 1, while `rivals` others always have
 * `each` questions of a higher bid waiting, which all came before. */
static unsigned passed(unsigned rivals, unsigned each, bool own_too)
{
    tl_sched *s = sched_new();
    unsigned n = 0, of[QUEUE_MAX];
    tl_job *job[QUEUE_MAX], *got, *low;
    for (unsigned i = 0; i < rivals * each; i++)
        job[i] = ask(s, of[i] = 2 + i % rivals, 1000000);
    low = ask(s, 1, 1);
    if (own_too) /* later questions of its own bid more */
        job[rivals * each] = ask(s, of[rivals * each] = 1, 2000000);
    while ((got = serve(s)) != low) {
        unsigned i = 0;
        while (job[i] != got)
            i++;
        job[i] = ask(s, of[i], of[i] == 1 ? 2000000 : 1000000); /* always anew */
        assert_in_range(++n, 1, K * K * QUEUE_MAX);
    }
    while (tl_sched_waiting(s, TL_SCHED_PUBLIC))
        (void)serve(s);
    tl_sched_free(s);
    return n;
}

static void a_higher_bid_passes_no_one_for_ever(void **state)
{
    (void)state;
    /* The twin: a higher bid does go first: by turn, and then as often as may be. */
    assert_int_equal(passed(1, 3, false), 1 + TL_SCHED_PASSED_MAX);
    assert_in_range(passed(1, QUEUE_MAX - 2, false), TL_SCHED_PASSED_MAX, 2 * K);
    for (unsigned rivals = 2; rivals < QUEUE_MAX - 1; rivals += 3)
        assert_in_range(passed(rivals, 1, false), TL_SCHED_PASSED_MAX, K * (rivals + 1) - 1);
    for (unsigned rivals = 1; rivals < QUEUE_MAX - 2; rivals += 4)
        assert_in_range(passed(rivals, 1, true), TL_SCHED_PASSED_MAX, K * K * (rivals + 1) - 1);
}

/* --- whatever is bid, and whoever comes and goes --- */

#define PEERS 12

static struct {
    tl_sched *s;
    struct {
        tl_job *job;
        unsigned peer;
    } q[QUEUE_MAX];
    unsigned waiting[PEERS];
    unsigned slots;         /* given so far */
    unsigned latest[PEERS]; /* by which slot the peer has its turn, by the header */
} w;

static unsigned peers_waiting(void)
{
    unsigned n = 0;
    for (unsigned p = 0; p < PEERS; p++)
        n += w.waiting[p] != 0;
    return n;
}

static void come_or_go(tl_rand *rand)
{
    unsigned i = (unsigned)tl_rand_below(rand, QUEUE_MAX);
    unsigned p = w.q[i].job ? w.q[i].peer : (unsigned)tl_rand_below(rand, PEERS);
    if (!w.q[i].job) {
        w.q[i].peer = p;
        w.q[i].job = ask(w.s, p, (int64_t)1 << tl_rand_below(rand, 50));
        if (w.waiting[p]++ == 0)
            w.latest[p] = w.slots + K * peers_waiting();
    } else if (tl_rand_below(rand, 8) == 0) { /* given up */
        tl_sched_done(w.q[i].job, 0);
        w.q[i].job = NULL;
        w.waiting[p]--;
    }
}

static void serve_one(void)
{
    unsigned i = 0;
    const tl_job *got = serve(w.s);
    while (w.q[i].job != got)
        i++;
    unsigned p = w.q[i].peer;
    w.q[i].job = NULL;
    w.waiting[p]--;
    assert_in_range(++w.slots, 1, w.latest[p]);
    w.latest[p] = w.slots + K * (peers_waiting() + (w.waiting[p] == 0));
    for (unsigned k = 0; k < PEERS; k++)
        if (w.waiting[k])
            assert_in_range(w.slots, 0, w.latest[k] - 1);
}

static void each_peer_has_its_turn_within_the_bound_of_the_header(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 100; seed++) {
        tl_rand rand = tl_rand_seeded(seed);
        memset(&w, 0, sizeof w);
        w.s = sched_new();
        for (unsigned step = 0; step < 2000; step++) {
            come_or_go(&rand);
            if (tl_sched_waiting(w.s, TL_SCHED_PUBLIC) && tl_rand_below(&rand, 2))
                serve_one();
        }
        while (tl_sched_waiting(w.s, TL_SCHED_PUBLIC))
            serve_one();
        tl_sched_free(w.s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_one_bid_each_peer_has_its_turn),
        cmocka_unit_test(a_higher_bid_passes_no_one_for_ever),
        cmocka_unit_test(each_peer_has_its_turn_within_the_bound_of_the_header),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
