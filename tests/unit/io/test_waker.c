#include "io/waker.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define THREADS 8
#define WAKES   1000

static struct {
    tl_loop *loop;
    tl_waker *waker;
    pthread_mutex_t lock;
    unsigned written, seen, calls;
    pthread_t thread;
    bool right_thread, stays;
} t;

static void on_wake(void *user)
{
    assert_ptr_equal(user, &t);
    t.right_thread = pthread_equal(t.thread, pthread_self());
    t.calls++;
    pthread_mutex_lock(&t.lock);
    t.seen = t.written;
    pthread_mutex_unlock(&t.lock);
    if (t.seen == THREADS * WAKES && !t.stays) {
        tl_waker_free(t.waker);
        t.waker = NULL;
    }
}

static void *wake_often(void *user)
{
    for (int i = 0; i < WAKES; i++) {
        pthread_mutex_lock(&t.lock);
        t.written++;
        pthread_mutex_unlock(&t.lock);
        tl_waker_wake(user);
    }
    return NULL;
}

static int begin(void **state)
{
    (void)state;
    t.written = t.seen = t.calls = 0;
    t.thread = pthread_self();
    t.stays = false;
    pthread_mutex_init(&t.lock, NULL);
    assert_int_equal(tl_loop_new(&t.loop), TL_OK);
    assert_int_equal(tl_waker_new(t.loop, on_wake, &t, &t.waker), TL_OK);
    return 0;
}

static int end(void **state)
{
    (void)state;
    tl_waker_free(t.waker);
    tl_loop_free(t.loop);
    pthread_mutex_destroy(&t.lock);
    return 0;
}

/* The loop runs until the waker is freed, which is when all was seen: a wake that is lost hangs it. */
static void no_wake_of_any_thread_is_lost(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, wake_often, t.waker), 0);
    t.stays = true; /* until every thread has ended */
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    t.stays = false;
    tl_loop_run(t.loop);
    assert_int_equal(t.seen, THREADS * WAKES);
    assert_true(t.right_thread);
    assert_true(t.calls >= 1);
    assert_true(t.calls < THREADS * WAKES); /* many wakes are one call */
}

static void *wake_when_the_loop_sleeps(void *user)
{
    t.written = THREADS * WAKES;
    tl_waker_wake(user);
    return NULL;
}

static void a_sleeping_loop_wakes(void **state)
{
    (void)state;
    pthread_t thread;
    tl_waker *w = t.waker;
    assert_int_equal(pthread_create(&thread, NULL, wake_when_the_loop_sleeps, w), 0);
    tl_loop_run(t.loop); /* ends when on_wake has freed the waker */
    pthread_join(thread, NULL);
    assert_int_equal(t.calls, 1);
}

static void a_freed_waker_does_not_call(void **state)
{
    (void)state;
    tl_waker_wake(t.waker);
    tl_waker_free(t.waker);
    t.waker = NULL;
    tl_loop_run(t.loop);
    assert_int_equal(t.calls, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(no_wake_of_any_thread_is_lost, begin, end),
        cmocka_unit_test_setup_teardown(a_sleeping_loop_wakes, begin, end),
        cmocka_unit_test_setup_teardown(a_freed_waker_does_not_call, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
