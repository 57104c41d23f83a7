#include "io/sleepwatch.h"

#include "io/loop_uv.h"

#include <stdlib.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define LOOK_EVERY TL_SEC /* a busy loop turns many thousand times in that time */

struct tl_sleepwatch {
    tl_loop *loop;
    void (*on_woke)(void *user, tl_sleep_verdict what, tl_time slept);
    void *user;
    tl_sleep_clocks seen;
    tl_sleep_verdict verdict; /* what `woke` is to tell */
    tl_time slept;
    tl_defer woke;
    int fd; /* -1: there is none, and the next turn of the loop finds it out */
    tl_poll *poll;
};

/* --- the judgement --- */

static tl_time distance(tl_time a, tl_time b)
{
    return a > b ? a - b : b - a;
}

tl_sleep_verdict tl_sleep_judge(const tl_sleep_clocks *before, const tl_sleep_clocks *now,
                                tl_time alarm, tl_time *ret_slept)
{
    tl_time ran = now->monotonic - before->monotonic;
    tl_time late = now->monotonic > alarm ? now->monotonic - alarm : 0;
    tl_time passed = tl_time_max(ran, now->boot > before->boot ? now->boot - before->boot : 0);
    tl_time slept = passed - ran;
    if (slept >= TL_SLEEP_LEAST || late >= TL_SLEEP_LEAST) {
        *ret_slept = slept + late;
        return TL_SLEEP_SLEPT;
    }
    bool set = distance(now->wall, before->wall + passed) >= TL_SLEEP_LEAST;
    return set ? TL_SLEEP_CLOCK_SET : TL_SLEEP_NONE;
}

/* --- the watch --- */

static tl_time clock_of(clockid_t id)
{
    struct timespec t = {0};
    clock_gettime(id, &t);
    return (tl_time)t.tv_sec * TL_SEC + (tl_time)t.tv_nsec;
}

static tl_sleep_clocks clocks(tl_time monotonic)
{
    return (tl_sleep_clocks){
        .monotonic = monotonic, .boot = clock_of(CLOCK_BOOTTIME), .wall = clock_of(CLOCK_REALTIME)};
}

static void tell(void *user)
{
    tl_sleepwatch *w = user;
    tl_sleep_verdict what = w->verdict;
    tl_time slept = w->slept;
    w->verdict = TL_SLEEP_NONE;
    w->slept = 0;
    w->on_woke(w->user, what, slept);
}

static void look(tl_sleepwatch *w, tl_time now, tl_time alarm)
{
    tl_time slept = 0;
    tl_sleep_clocks here = clocks(now);
    tl_sleep_verdict what = tl_sleep_judge(&w->seen, &here, alarm, &slept);
    w->seen = here;
    if (what == TL_SLEEP_NONE)
        return;
    if (w->verdict != TL_SLEEP_SLEPT)
        w->verdict = what;
    w->slept += slept;
    tl_loop_defer(w->loop, &w->woke, tell, w);
}

static void on_turn(void *user, tl_time now, tl_time alarm)
{
    tl_sleepwatch *w = user;
    bool late = now >= TL_SLEEP_LEAST && now - TL_SLEEP_LEAST > alarm;
    if (late || now >= w->seen.monotonic + LOOK_EVERY)
        look(w, now, alarm);
}

/* It never goes off by itself: it is far away, and cancelled when the wall clock is set. */
static void arm(const tl_sleepwatch *w)
{
    struct itimerspec far = {.it_value.tv_sec = (time_t)1 << 33};
    (void)timerfd_settime(w->fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &far, NULL);
}

static void on_cancelled(void *user, int events)
{
    tl_sleepwatch *w = user;
    uint64_t times;
    (void)events;
    ssize_t n = read(w->fd, &times, sizeof times); /* ECANCELED */
    (void)n;
    arm(w);
    look(w, tl_loop_now(w->loop), TL_NEVER);
}

tl_err tl_sleepwatch_new(tl_loop *loop,
                         void (*on_woke)(void *user, tl_sleep_verdict what, tl_time slept),
                         void *user, tl_sleepwatch **ret_watch)
{
    tl_sleepwatch *w = calloc(1, sizeof *w);
    if (!w)
        return TL_ERR_NOMEM;
    w->loop = loop;
    w->on_woke = on_woke;
    w->user = user;
    w->seen = clocks(tl_loop_clock(loop));
    w->fd = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC);
    if (w->fd >= 0 && tl_poll_new(loop, w->fd, on_cancelled, w, &w->poll)) {
        close(w->fd);
        free(w);
        return TL_ERR_NOMEM;
    }
    if (w->fd >= 0) {
        arm(w);
        tl_poll_set(w->poll, TL_POLL_READ);
    }
    tl_loop_on_turn(loop, on_turn, w);
    *ret_watch = w;
    return TL_OK;
}

void tl_sleepwatch_free(tl_sleepwatch *w)
{
    if (!w)
        return;
    tl_loop_on_turn(w->loop, NULL, NULL);
    tl_defer_cancel(w->loop, &w->woke);
    if (w->poll)
        tl_poll_free(w->poll);
    if (w->fd >= 0)
        close(w->fd);
    free(w);
}
