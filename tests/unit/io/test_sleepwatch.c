/* Did this machine sleep? The judgement, and the watch on a real loop. */
#include "io/sleepwatch.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define T0 (1000 * TL_SEC)

static const tl_sleep_clocks before = {.monotonic = T0, .boot = 5 * T0, .wall = 99 * T0};

/* All clocks go on by `ran`, then some of them by more. */
static tl_sleep_clocks after(tl_time ran, tl_time boot, tl_time wall)
{
    return (tl_sleep_clocks){before.monotonic + ran, before.boot + ran + boot,
                             before.wall + ran + wall};
}

static tl_sleep_verdict judge(tl_sleep_clocks now, tl_time alarm, tl_time *ret_slept)
{
    *ret_slept = 0;
    return tl_sleep_judge(&before, &now, alarm, ret_slept);
}

static void clocks_that_go_alike_say_nothing(void **state)
{
    (void)state;
    tl_time slept;
    assert_int_equal(judge(after(TL_SEC, 0, 0), TL_NEVER, &slept), TL_SLEEP_NONE);
    assert_int_equal(judge(after(TL_MIN, 0, 0), TL_NEVER, &slept), TL_SLEEP_NONE);
    assert_int_equal(judge(after(TL_MIN, TL_SLEEP_LEAST - 1, TL_SLEEP_LEAST - 1), TL_NEVER, &slept),
                     TL_SLEEP_NONE);
    assert_int_equal(slept, 0);
}

static void a_clock_that_counts_sleep_tells_of_a_suspension(void **state)
{
    (void)state;
    tl_time slept;
    tl_time hour = 60 * TL_MIN;
    assert_int_equal(judge(after(TL_SEC, hour, hour), TL_NEVER, &slept), TL_SLEEP_SLEPT);
    assert_int_equal(slept, hour);
    /* the wall clock of a machine without a battery stands still until somebody sets it */
    assert_int_equal(judge(after(TL_SEC, hour, 0), TL_NEVER, &slept), TL_SLEEP_SLEPT);
    assert_int_equal(judge(after(0, TL_SLEEP_LEAST, TL_SLEEP_LEAST), TL_NEVER, &slept),
                     TL_SLEEP_SLEPT);
    assert_int_equal(slept, TL_SLEEP_LEAST);
}

/* As the clock of a program under test, which only pretends to be the machine's, may. */
static void a_clock_that_goes_back_tells_of_no_sleep(void **state)
{
    (void)state;
    tl_time slept;
    tl_time hour = 60 * TL_MIN;
    assert_int_equal(judge(after(TL_SEC, -hour, 0), TL_NEVER, &slept), TL_SLEEP_NONE);
    assert_int_equal(judge(after(TL_SEC, -hour, -hour), TL_NEVER, &slept), TL_SLEEP_CLOCK_SET);
    assert_int_equal(slept, 0);
}

static void an_alarm_that_is_overdue_tells_of_a_process_that_was_stopped(void **state)
{
    (void)state;
    tl_time slept;
    tl_sleep_clocks now = after(20 * TL_SEC, 0, 0);
    assert_int_equal(judge(now, T0 + TL_SEC, &slept), TL_SLEEP_SLEPT);
    assert_int_equal(slept, 19 * TL_SEC);
    assert_int_equal(judge(now, T0 + 20 * TL_SEC - TL_SLEEP_LEAST, &slept), TL_SLEEP_SLEPT);
    assert_int_equal(judge(now, T0 + 20 * TL_SEC - TL_SLEEP_LEAST + 1, &slept), TL_SLEEP_NONE);
    assert_int_equal(judge(now, T0 + TL_MIN, &slept), TL_SLEEP_NONE);
}

static void a_wall_clock_alone_that_jumps_was_set(void **state)
{
    (void)state;
    tl_time slept;
    assert_int_equal(judge(after(TL_SEC, 0, TL_SLEEP_LEAST), TL_NEVER, &slept), TL_SLEEP_CLOCK_SET);
    assert_int_equal(judge(after(TL_SEC, 0, -(TL_SLEEP_LEAST + TL_SEC)), TL_NEVER, &slept),
                     TL_SLEEP_CLOCK_SET);
    assert_int_equal(slept, 0);
}

/* --- on a loop --- */

typedef struct {
    tl_loop *loop;
    tl_timer tick, end;
    unsigned ticks, woke;
    tl_sleep_verdict what;
    tl_time slept;
    int go; /* the loop turns: a byte is written there; 0: nobody waits for it */
} scene;

static void on_tick(void *user)
{
    scene *s = user;
    if (++s->ticks == 2 && s->go)
        assert_int_equal(write(s->go, "g", 1), 1);
    tl_timer_set(&s->tick, tl_loop_now(s->loop) + 20 * TL_MS);
}

static void on_end(void *user)
{
    tl_loop_stop(((scene *)user)->loop);
}

static void on_woke(void *user, tl_sleep_verdict what, tl_time slept)
{
    scene *s = user;
    s->woke++;
    s->what = what;
    s->slept = slept;
    tl_loop_stop(s->loop);
}

static void run(scene *s, tl_time span)
{
    tl_sleepwatch *w;
    assert_int_equal(tl_loop_new(&s->loop), TL_OK);
    assert_int_equal(tl_sleepwatch_new(s->loop, on_woke, s, &w), TL_OK);
    tl_timer_init(&s->tick, s->loop, on_tick, s);
    tl_timer_init(&s->end, s->loop, on_end, s);
    tl_timer_set(&s->tick, tl_loop_now(s->loop));
    tl_timer_set(&s->end, tl_loop_now(s->loop) + span);
    tl_loop_run(s->loop);
    tl_timer_stop(&s->tick);
    tl_timer_stop(&s->end);
    tl_sleepwatch_free(w);
    tl_loop_free(s->loop);
}

static void a_loop_that_turns_is_awake(void **state)
{
    (void)state;
    scene s = {.go = 0};
    run(&s, 1500 * TL_MS); /* more than one look */
    assert_true(s.ticks > 1);
    assert_int_equal(s.woke, 0);
}

/* A child stops this process while its loop turns, and has it go on later, as a terminal or a container would. How
 * long it stands still is what the watch is to see: no clock can be put in for that. */
static void a_process_that_was_stopped_notices_it_once(void **state)
{
    (void)state;
    int turns[2];
    assert_int_equal(pipe(turns), 0);
    scene s = {.go = turns[1]};
    pid_t us = getpid(), child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct timespec stopped = {.tv_sec = TL_SLEEP_LEAST / TL_SEC + 1};
        char byte;
        if (read(turns[0], &byte, 1) != 1)
            _exit(1);
        kill(us, SIGSTOP);
        nanosleep(&stopped, NULL);
        kill(us, SIGCONT);
        _exit(0);
    }
    run(&s, 30 * TL_SEC);
    waitpid(child, NULL, 0);
    close(turns[0]);
    close(turns[1]);
    assert_int_equal(s.woke, 1);
    assert_int_equal(s.what, TL_SLEEP_SLEPT);
    assert_true(s.slept >= TL_SLEEP_LEAST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clocks_that_go_alike_say_nothing),
        cmocka_unit_test(a_clock_that_counts_sleep_tells_of_a_suspension),
        cmocka_unit_test(a_clock_that_goes_back_tells_of_no_sleep),
        cmocka_unit_test(an_alarm_that_is_overdue_tells_of_a_process_that_was_stopped),
        cmocka_unit_test(a_wall_clock_alone_that_jumps_was_set),
        cmocka_unit_test(a_loop_that_turns_is_awake),
        cmocka_unit_test(a_process_that_was_stopped_notices_it_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
