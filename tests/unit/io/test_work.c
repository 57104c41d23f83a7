#include "io/work.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <pthread.h>

/* One job: it may wait until the test lets it go on. */
typedef struct {
    pthread_t ran_in;
    atomic_bool *may_end; /* NULL: at once */
    int result;
} job;

static struct {
    tl_loop *loop;
    unsigned done, wanted;
    atomic_uint freed;
    pthread_t done_in;
    tl_timer guard;
} t;

static void run(void *user)
{
    job *j = user;
    j->ran_in = pthread_self();
    while (j->may_end && !atomic_load(j->may_end))
        sched_yield();
    j->result = 42;
}

static void on_done(void *user, void *of)
{
    job *j = of;
    assert_ptr_equal(user, &t);
    assert_int_equal(j->result, 42);
    t.done_in = pthread_self();
    assert_false(pthread_equal(j->ran_in, t.done_in));
    free(j);
    if (++t.done == t.wanted)
        tl_loop_stop(t.loop);
}

static void free_job(void *of)
{
    free(of);
    atomic_fetch_add(&t.freed, 1);
}

static const tl_work_calls calls = {run, on_done, free_job};

static void too_late(void *user)
{
    (void)user;
    fail_msg("nothing happened for 20 s");
}

static job *new_job(atomic_bool *may_end)
{
    job *j = calloc(1, sizeof *j);
    assert_non_null(j);
    j->may_end = may_end;
    return j;
}

static int begin(void **state)
{
    (void)state;
    t.done = 0;
    atomic_store(&t.freed, 0);
    assert_int_equal(tl_loop_new(&t.loop), TL_OK);
    tl_timer_init(&t.guard, t.loop, too_late, NULL);
    tl_timer_set(&t.guard, tl_loop_now(t.loop) + 20 * TL_SEC);
    return 0;
}

static int end(void **state)
{
    (void)state;
    tl_timer_stop(&t.guard);
    tl_loop_free(t.loop);
    return 0;
}

static void the_job_is_run_elsewhere_and_comes_back_to_the_loop(void **state)
{
    (void)state;
    tl_work *w;
    t.wanted = 1;
    assert_int_equal(tl_work_start(t.loop, &calls, new_job(NULL), &t, &w), TL_OK);
    assert_int_equal(t.done, 0);
    tl_loop_run(t.loop);
    assert_int_equal(t.done, 1);
    assert_true(pthread_equal(t.done_in, pthread_self()));
    assert_int_equal(atomic_load(&t.freed), 0);
}

/* A thread leaves its place a moment after its job came back. */
static void start_when_there_is_room(atomic_bool *may_end, tl_work **ret)
{
    job *j = new_job(may_end);
    tl_err e;
    while ((e = tl_work_start(t.loop, &calls, j, &t, ret)) == TL_ERR_BUSY)
        sched_yield();
    assert_int_equal(e, TL_OK);
}

static void no_more_than_its_bound_run_at_once_and_then_others_may(void **state)
{
    (void)state;
    atomic_bool may_end = false;
    tl_work *w;
    t.wanted = TL_WORKS_MAX;
    for (size_t i = 0; i < TL_WORKS_MAX; i++)
        start_when_there_is_room(&may_end, &w);
    job *j = new_job(NULL);
    assert_int_equal(tl_work_start(t.loop, &calls, j, &t, &w), TL_ERR_BUSY);
    free(j); /* it stayed ours */
    atomic_store(&may_end, true);
    tl_loop_run(t.loop);
    assert_int_equal(t.done, TL_WORKS_MAX);
    t.wanted++;
    start_when_there_is_room(NULL, &w);
    tl_loop_run(t.loop);
    assert_int_equal(t.done, TL_WORKS_MAX + 1);
}

static void a_job_that_was_forgotten_is_freed_at_its_end_and_nobody_is_told(void **state)
{
    (void)state;
    atomic_bool may_end = false;
    tl_work *w;
    start_when_there_is_room(&may_end, &w);
    tl_work_forget(w);
    assert_int_equal(atomic_load(&t.freed), 0);
    atomic_store(&may_end, true);
    while (!atomic_load(&t.freed))
        sched_yield();
    assert_int_equal(t.done, 0);
}

static void a_job_that_is_over_may_still_be_forgotten(void **state)
{
    (void)state;
    tl_work *w;
    for (unsigned i = 1; i <= 50; i++) { /* the thread's end meets the loop's at some moment */
        start_when_there_is_room(NULL, &w);
        for (unsigned k = 0; k < i; k++)
            sched_yield();
        tl_work_forget(w);
        while (atomic_load(&t.freed) < i)
            sched_yield();
    }
    assert_int_equal(t.done, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_job_is_run_elsewhere_and_comes_back_to_the_loop, begin,
                                        end),
        cmocka_unit_test_setup_teardown(no_more_than_its_bound_run_at_once_and_then_others_may,
                                        begin, end),
        cmocka_unit_test_setup_teardown(
            a_job_that_was_forgotten_is_freed_at_its_end_and_nobody_is_told, begin, end),
        cmocka_unit_test_setup_teardown(a_job_that_is_over_may_still_be_forgotten, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
