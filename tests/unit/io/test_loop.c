#include "io/loop.h"

#include "base/rand.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static tl_loop *new_loop(void)
{
    tl_loop *loop;
    assert_int_equal(tl_loop_new(&loop), TL_OK);
    return loop;
}

/* --- timers --- */

static struct {
    char log[64];
    size_t n;
    tl_loop *loop;
    tl_timer again;
    int left;
    tl_time fired_at;
} seen;

static void note(char c)
{
    if (seen.n + 1 < sizeof seen.log)
        seen.log[seen.n++] = c;
}

static void note_timer(void *user)
{
    note(*(const char *)user);
}

static void reset(void)
{
    memset(&seen, 0, sizeof seen);
    seen.loop = new_loop();
}

static void timers_fire_in_order_of_time_then_of_setting(void **state)
{
    (void)state;
    reset();
    static const char name[] = "abcde";
    tl_timer t[5];
    tl_time now = tl_loop_now(seen.loop);
    const tl_time at[5] = {3 * TL_MS, TL_MS, 2 * TL_MS, TL_MS, 0};
    for (int i = 0; i < 5; i++) {
        tl_timer_init(&t[i], seen.loop, note_timer, (void *)(uintptr_t)&name[i]);
        tl_timer_set(&t[i], now + at[i]);
    }
    tl_loop_run(seen.loop);
    assert_string_equal(seen.log, "ebdca");
    tl_loop_free(seen.loop);
}

static void a_timer_moved_fires_once_and_one_stopped_never(void **state)
{
    (void)state;
    reset();
    tl_timer moved, stopped, last;
    tl_time now = tl_loop_now(seen.loop);
    tl_timer_init(&moved, seen.loop, note_timer, (void *)(uintptr_t) "m");
    tl_timer_init(&stopped, seen.loop, note_timer, (void *)(uintptr_t) "s");
    tl_timer_init(&last, seen.loop, note_timer, (void *)(uintptr_t) "l");
    tl_timer_set(&moved, now + TL_MS);
    tl_timer_set(&stopped, now + TL_MS);
    tl_timer_set(&last, now + 2 * TL_MS);
    tl_timer_set(&moved, now + 3 * TL_MS);
    tl_timer_stop(&stopped);
    tl_loop_run(seen.loop);
    assert_string_equal(seen.log, "lm");
    tl_loop_free(seen.loop);
}

static struct {
    tl_timer t;
    tl_time at;
} many[1000];
static size_t many_fired;
static tl_time many_last;

static void fired_sorted(void *user)
{
    size_t i = (size_t)(uintptr_t)user;
    assert_true(many[i].at >= many_last);
    many_last = many[i].at;
    many_fired++;
}

static void a_thousand_timers_set_moved_and_stopped_at_random_fire_sorted(void **state)
{
    (void)state;
    const size_t n = sizeof many / sizeof *many;
    reset();
    many_fired = many_last = 0;
    uint32_t seed = 12345;
    tl_time now = tl_loop_now(seen.loop);
    for (size_t i = 0; i < n; i++)
        tl_timer_init(&many[i].t, seen.loop, fired_sorted, (void *)(uintptr_t)i);
    for (size_t i = 0; i < 10 * n; i++) {
        seed = seed * 1103515245u + 12345u;
        size_t k = (seed >> 8) % n;
        many[k].at = i % 3 ? now + (seed >> 4) % 3000 * TL_US : TL_NEVER;
        tl_timer_set(&many[k].t, many[k].at);
    }
    size_t set = 0;
    for (size_t i = 0; i < n; i++)
        set += many[i].t.at != TL_NEVER;
    assert_true(set > n / 3);
    tl_loop_run(seen.loop);
    assert_int_equal(many_fired, set);
    tl_loop_free(seen.loop);
}

static void record_time(void *user)
{
    (void)user;
    seen.fired_at = tl_loop_clock(seen.loop);
}

static void a_timer_of_300_microseconds_never_comes_early_and_not_a_millisecond_late(void **state)
{
    (void)state;
    reset();
    tl_time late_least = TL_NEVER;
    for (int i = 0; i < 20; i++) { /* the machine may be busy: the best of twenty counts */
        tl_timer t;
        tl_timer_init(&t, seen.loop, record_time, NULL);
        tl_time at = tl_loop_clock(seen.loop) + 300 * TL_US;
        tl_timer_set(&t, at);
        tl_loop_run(seen.loop);
        assert_true(seen.fired_at >= at);
        late_least = tl_time_min(late_least, seen.fired_at - at);
    }
    assert_true(late_least < 700 * TL_US);
    tl_loop_free(seen.loop);
}

static void set_again(void *user)
{
    (void)user;
    note('t');
    if (--seen.left)
        tl_timer_set(&seen.again, tl_loop_now(seen.loop));
}

static void one_byte(void *user, int events)
{
    tl_poll **p = user;
    assert_true(events & TL_POLL_READ);
    note('r');
    tl_poll_free(*p);
}

static void a_timer_that_sets_itself_for_now_does_not_lock_sockets_out(void **state)
{
    (void)state;
    reset();
    int fd[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
    assert_int_equal(write(fd[1], "x", 1), 1);
    tl_poll *p;
    assert_int_equal(tl_poll_new(seen.loop, fd[0], one_byte, &p, &p), TL_OK);
    tl_poll_set(p, TL_POLL_READ);
    seen.left = 20;
    tl_timer_init(&seen.again, seen.loop, set_again, NULL);
    tl_timer_set(&seen.again, tl_loop_now(seen.loop));
    tl_loop_run(seen.loop);
    const char *r = strchr(seen.log, 'r');
    assert_non_null(r);
    assert_true(r - seen.log < 5);
    assert_int_equal(seen.n, 21);
    tl_loop_free(seen.loop);
    close(fd[0]);
    close(fd[1]);
}

/* With the kernel's clock and timer what test_timers.c tries with models of them. A loop that sleeps
 * with a timer due has nothing else to wake it: the alarm then ends the test. */
#define RESTLESS 16
static struct {
    tl_timer t;
    tl_time wanted;
} restless[RESTLESS];
static tl_rand restless_rand;
static unsigned restless_left;

static void set_restless(size_t i)
{
    tl_time now = tl_loop_clock(seen.loop), at = TL_NEVER;
    switch (tl_rand_below(&restless_rand, 7)) {
    case 0: at = 0; break;
    case 1: at = tl_rand_below(&restless_rand, now); break;
    case 2: at = now; break;
    case 3: at = TL_NEVER - tl_rand_below(&restless_rand, 3); break;
    case 4: at = tl_rand_u64(&restless_rand); break;
    default: at = now + tl_rand_below(&restless_rand, TL_MS); break;
    }
    restless[i].wanted = at;
    tl_timer_set(&restless[i].t, at);
}

static void on_restless(void *user)
{
    size_t i = (size_t)(uintptr_t)user;
    assert_true(restless[i].wanted <= tl_loop_clock(seen.loop)); /* never early */
    restless[i].wanted = TL_NEVER;
    if (--restless_left == 0) {
        for (i = 0; i < RESTLESS; i++)
            tl_timer_stop(&restless[i].t);
        return;
    }
    set_restless(i);
    set_restless(tl_rand_below(&restless_rand, RESTLESS));
    if (restless[0].wanted > tl_loop_clock(seen.loop) + TL_SEC) { /* one always comes soon */
        restless[0].wanted = tl_loop_clock(seen.loop) + TL_MS;
        tl_timer_set(&restless[0].t, restless[0].wanted);
    }
}

static void no_time_whatever_that_a_timer_is_set_to_puts_the_loop_to_sleep(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        reset();
        restless_rand = tl_rand_seeded(seed);
        restless_left = 1000;
        for (size_t i = 0; i < RESTLESS; i++) {
            tl_timer_init(&restless[i].t, seen.loop, on_restless, (void *)(uintptr_t)i);
            set_restless(i);
        }
        restless[0].wanted = 0;
        tl_timer_set(&restless[0].t, 0);
        alarm(30);
        tl_loop_run(seen.loop);
        alarm(0);
        assert_int_equal(restless_left, 0);
        tl_loop_free(seen.loop);
    }
}

static void again_at_zero(void *user)
{
    (void)user;
    note('z');
    if (seen.n < 5)
        tl_timer_set(&seen.again, 0);
}

static void a_lone_timer_that_answers_with_zero_fires_again_without_other_input(void **state)
{
    (void)state;
    reset();
    tl_timer_init(&seen.again, seen.loop, again_at_zero, NULL);
    tl_timer_set(&seen.again, tl_loop_now(seen.loop) + TL_MS);
    alarm(30);
    tl_loop_run(seen.loop);
    alarm(0);
    assert_string_equal(seen.log, "zzzzz");
    tl_loop_free(seen.loop);
}

/* --- defer --- */

static tl_defer d1, d2, d3;

static void defer_note(void *user)
{
    note(*(const char *)user);
}

static void defer_more(void *user)
{
    (void)user;
    note('1');
    tl_loop_defer(seen.loop, &d3, defer_note, (void *)(uintptr_t) "3");
    tl_loop_defer(seen.loop, &d3, defer_note, (void *)(uintptr_t) "!"); /* set already: ignored */
}

static void defer_from_timer(void *user)
{
    (void)user;
    note('t');
    tl_loop_defer(seen.loop, &d1, defer_more, NULL);
    tl_loop_defer(seen.loop, &d2, defer_note, (void *)(uintptr_t) "2");
}

static void deferred_calls_run_in_order_each_once_before_the_next_timer_turn(void **state)
{
    (void)state;
    reset();
    tl_timer a, b;
    tl_timer_init(&a, seen.loop, defer_from_timer, NULL);
    tl_timer_init(&b, seen.loop, note_timer, (void *)(uintptr_t) "b");
    tl_timer_set(&a, tl_loop_now(seen.loop));
    tl_timer_set(&b, tl_loop_now(seen.loop) + TL_MS);
    tl_loop_run(seen.loop);
    assert_string_equal(seen.log, "t123b");
    tl_loop_free(seen.loop);
}

static void cancel_second(void *user)
{
    (void)user;
    note('1');
    tl_defer_cancel(seen.loop, &d2);
}

static void a_deferred_call_can_be_cancelled_by_one_before_it(void **state)
{
    (void)state;
    reset();
    tl_loop_defer(seen.loop, &d1, cancel_second, NULL);
    tl_loop_defer(seen.loop, &d2, defer_note, (void *)(uintptr_t) "2");
    tl_loop_defer(seen.loop, &d3, defer_note, (void *)(uintptr_t) "3");
    tl_loop_run(seen.loop);
    assert_string_equal(seen.log, "13");
    tl_loop_free(seen.loop);
}

static void defer_for_ever(void *user)
{
    (void)user;
    tl_loop_defer(seen.loop, &d1, defer_for_ever, NULL);
}

static void stop_all(void *user)
{
    (void)user;
    tl_defer_cancel(seen.loop, &d1);
    note('s');
}

static void a_call_that_defers_itself_for_ever_does_not_lock_timers_out(void **state)
{
    (void)state;
    reset();
    tl_timer t;
    tl_timer_init(&t, seen.loop, stop_all, NULL);
    tl_timer_set(&t, tl_loop_now(seen.loop) + TL_MS);
    tl_loop_defer(seen.loop, &d1, defer_for_ever, NULL);
    tl_loop_run(seen.loop);
    assert_string_equal(seen.log, "s");
    tl_loop_free(seen.loop);
}

/* --- descriptors, signals, names --- */

static void gone(void *user, int events)
{
    tl_poll **p = user;
    assert_true(events & TL_POLL_GONE);
    note('g');
    tl_poll_free(*p);
}

static void a_hang_up_shows_to_one_who_watches_neither_reading_nor_writing(void **state)
{
    (void)state;
    reset();
    int fd[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
    tl_poll *p;
    assert_int_equal(tl_poll_new(seen.loop, fd[0], gone, &p, &p), TL_OK);
    tl_poll_set(p, TL_POLL_GONE);
    assert_int_equal(write(fd[1], "unread", 6), 6);
    close(fd[1]);
    tl_loop_run(seen.loop);
    assert_string_equal(seen.log, "g");
    tl_loop_free(seen.loop);
    close(fd[0]);
}

static tl_sigwatch *sig;

static void on_usr1(void *user, int signo)
{
    (void)user;
    assert_int_equal(signo, SIGUSR1);
    note('u');
    tl_sigwatch_free(sig);
}

static void a_signal_reaches_the_loop(void **state)
{
    (void)state;
    reset();
    assert_int_equal(tl_sigwatch_new(seen.loop, SIGUSR1, on_usr1, NULL, &sig), TL_OK);
    kill(getpid(), SIGUSR1);
    tl_loop_run(seen.loop);
    assert_string_equal(seen.log, "u");
    tl_loop_free(seen.loop);
}

static struct {
    tl_addr first;
    size_t n;
    char why[400];
    tl_resolve *r;
} found;

static void on_found(void *user, const tl_addr *addrs, size_t n, const char *why)
{
    (void)user;
    found.n = n;
    if (n)
        found.first = addrs[0];
    snprintf(found.why, sizeof found.why, "%s", why ? why : "");
    tl_resolve_free(found.r);
}

static void resolve(const char *host)
{
    reset();
    memset(&found, 0, sizeof found);
    assert_int_equal(tl_resolve_start(seen.loop, host, 80, on_found, NULL, &found.r), TL_OK);
    tl_loop_run(seen.loop);
    tl_loop_free(seen.loop);
}

static void a_literal_resolves_to_itself_with_the_port(void **state)
{
    (void)state;
    resolve("2001:db8::7");
    assert_int_equal(found.n, 1);
    char text[TL_ADDR_TEXT_MAX];
    tl_addr_write(text, &found.first);
    assert_string_equal(text, "[2001:db8::7]:80");
}

static void localhost_resolves_to_loopback(void **state)
{
    (void)state;
    resolve("localhost");
    assert_true(found.n >= 1);
    assert_true(tl_addr_is_loopback(&found.first));
    assert_int_equal(found.first.port, 80);
}

static void a_name_that_cannot_be_gives_a_reason_that_names_it(void **state)
{
    (void)state;
    resolve("no..such..name"); /* empty labels: refused without asking any server */
    assert_int_equal(found.n, 0);
    assert_non_null(strstr(found.why, "no..such..name"));
}

static void a_look_up_freed_at_once_never_calls_back(void **state)
{
    (void)state;
    reset();
    memset(&found, 0, sizeof found);
    tl_resolve *a, *b;
    assert_int_equal(tl_resolve_start(seen.loop, "127.0.0.1", 80, on_found, NULL, &a), TL_OK);
    assert_int_equal(tl_resolve_start(seen.loop, "localhost", 80, on_found, NULL, &b), TL_OK);
    tl_resolve_free(a);
    tl_resolve_free(b);
    tl_loop_run(seen.loop);
    tl_loop_free(seen.loop);
    assert_int_equal(found.n, 0);
    assert_string_equal(found.why, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timers_fire_in_order_of_time_then_of_setting),
        cmocka_unit_test(a_timer_moved_fires_once_and_one_stopped_never),
        cmocka_unit_test(a_thousand_timers_set_moved_and_stopped_at_random_fire_sorted),
        cmocka_unit_test(a_timer_of_300_microseconds_never_comes_early_and_not_a_millisecond_late),
        cmocka_unit_test(a_timer_that_sets_itself_for_now_does_not_lock_sockets_out),
        cmocka_unit_test(no_time_whatever_that_a_timer_is_set_to_puts_the_loop_to_sleep),
        cmocka_unit_test(a_lone_timer_that_answers_with_zero_fires_again_without_other_input),
        cmocka_unit_test(deferred_calls_run_in_order_each_once_before_the_next_timer_turn),
        cmocka_unit_test(a_deferred_call_can_be_cancelled_by_one_before_it),
        cmocka_unit_test(a_call_that_defers_itself_for_ever_does_not_lock_timers_out),
        cmocka_unit_test(a_hang_up_shows_to_one_who_watches_neither_reading_nor_writing),
        cmocka_unit_test(a_signal_reaches_the_loop),
        cmocka_unit_test(a_literal_resolves_to_itself_with_the_port),
        cmocka_unit_test(localhost_resolves_to_loopback),
        cmocka_unit_test(a_name_that_cannot_be_gives_a_reason_that_names_it),
        cmocka_unit_test(a_look_up_freed_at_once_never_calls_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
