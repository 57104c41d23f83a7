#include "io/loop.h"

#include "io/loop_uv.h"
#include "io/timers.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

/* One turn: libuv sleeps, then calls back for descriptors, look-ups and signals. Then `prepare`
 * runs, as the last thing before libuv sleeps again: it fires the timers that are due, runs what
 * was deferred, and sets the alarm to the next timer that will be due.
 *
 * The alarm is either the timeout of the sleep itself, which costs nothing to set and is whole
 * milliseconds, or for the last of them a kernel timer, which is exact and costs two system calls and a
 * turn. Most timers are moved on before they are due (the retransmission of a packet that is
 * acknowledged). A timer that is FAR when the alarm is set may be a millisecond late: it needs no
 * kernel timer. */

#define NEAR (3 * TL_MS)  /* from here on the kernel timer */
#define FAR  (10 * TL_MS) /* so a wait is at most a tenth longer than it should be */

#define DEFER_ROUNDS_MAX                                                                           \
    8 /* rounds of deferred calls that defer again, before the sockets get a turn */

struct tl_loop {
    uv_loop_t uv;
    uv_prepare_t prepare;
    uv_idle_t awake; /* active while something is deferred: keeps the loop alive and awake */
    uv_timer_t
        sleep; /* ends a millisecond before or after the next timer is due; never keeps the loop alive */
    uv_poll_t timer_poll;
    int timer_fd;
    bool rang; /* the kernel timer went off, and was not set since */
    tl_timers timers;
    tl_time now;
    bool now_is_fresh; /* `now` was read since the loop last slept */
    void (*on_turn)(void *user, tl_time now, tl_time alarm);
    void *turn_user;
    tl_defer *defer_first, **defer_last;
};

/* --- time --- */

static tl_time clock_read(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (tl_time)t.tv_sec * TL_SEC + (tl_time)t.tv_nsec;
}

tl_time tl_loop_now(const tl_loop *loop)
{
    return loop->now;
}

tl_time tl_loop_clock(tl_loop *loop)
{
    (void)loop;
    return clock_read();
}

tl_unix tl_loop_unix(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return t.tv_sec;
}

uv_loop_t *tl_loop_uv(tl_loop *loop)
{
    return &loop->uv;
}

void tl_loop_woke(tl_loop *loop)
{
    if (loop->now_is_fresh)
        return;
    loop->now = clock_read();
    loop->now_is_fresh = true;
    if (loop->on_turn)
        loop->on_turn(loop->turn_user, loop->now, loop->timers.alarm);
}

void tl_loop_on_turn(tl_loop *loop, void (*fn)(void *user, tl_time now, tl_time alarm), void *user)
{
    loop->on_turn = fn;
    loop->turn_user = user;
}

/* --- timers --- */

void tl_timer_init(tl_timer *t, tl_loop *loop, void (*on_due)(void *user), void *user)
{
    *t = (tl_timer){.loop = loop, .on_due = on_due, .user = user, .at = TL_NEVER};
}

void tl_timer_set(tl_timer *t, tl_time at)
{
    tl_loop *loop = t->loop;
    tl_timers_set(&loop->timers, t, at, loop->now);
    if (tl_timers_any(&loop->timers))
        uv_ref((uv_handle_t *)&loop->timer_poll);
    else
        uv_unref((uv_handle_t *)&loop->timer_poll);
}

void tl_timer_stop(tl_timer *t)
{
    if (t->loop)
        tl_timer_set(t, TL_NEVER);
}

/* Timers set from now on wait for the next turn, even if their time is past: a timer that sets
 * itself to "at once" must not lock the sockets out. */
static void fire_due(tl_loop *loop)
{
    tl_timer *t;
    tl_timers_begin_turn(&loop->timers);
    while ((t = tl_timers_take_due(&loop->timers, loop->now)))
        t->on_due(t->user);
    if (!tl_timers_any(&loop->timers))
        uv_unref((uv_handle_t *)&loop->timer_poll);
}

/* Setting it also makes its descriptor unreadable. */
static void kernel_timer_set(tl_loop *loop, tl_time at)
{
    struct itimerspec spec = {0}; /* all zero would be off */
    spec.it_value.tv_sec = (time_t)(at / TL_SEC);
    spec.it_value.tv_nsec = (long)(at % TL_SEC) + (at == 0);
    int e = timerfd_settime(loop->timer_fd, TFD_TIMER_ABSTIME, &spec, NULL);
    assert(e == 0); /* a loop without its kernel timer would sleep for ever */
    (void)e;
    loop->rang = false;
}

/* It went off and is not to be set again now: makes its descriptor unreadable. */
static void kernel_timer_read(tl_loop *loop)
{
    uint64_t times;
    ssize_t n = read(loop->timer_fd, &times, sizeof times);
    assert(n == (ssize_t)sizeof times || errno == EAGAIN);
    (void)n;
    loop->rang = false;
}

/* Only wakes the loop: `prepare` fires what is due and sets the alarm anew. */
static void on_sleep_over(uv_timer_t *handle)
{
    tl_loop *loop = handle->data;
    tl_loop_woke(loop);
    tl_timers_on_alarm(&loop->timers);
}

static void on_timer_fd(uv_poll_t *handle, int status, int events)
{
    (void)status, (void)events;
    tl_loop *loop = handle->data;
    tl_loop_woke(loop);
    tl_timers_on_alarm(&loop->timers);
    loop->rang = true;
}

/* A kernel timer that was set for a timer which has moved on since stays set: it costs one turn. */
static void alarm_set(tl_loop *loop, tl_time at)
{
    tl_time now = clock_read();
    if (at == TL_NEVER) {
        uv_timer_stop(&loop->sleep);
    } else if (at < now + NEAR) {
        uv_timer_stop(&loop->sleep);
        kernel_timer_set(loop, at);
    } else {
        uv_update_time(&loop->uv); /* it counts from there, in milliseconds of the same clock */
        uint64_t here = uv_now(&loop->uv), wake = at / TL_MS + (at < now + FAR ? -1 : 1);
        uv_timer_start(&loop->sleep, on_sleep_over, wake > here ? wake - here : 0, 0);
    }
}

static void arm(tl_loop *loop)
{
    tl_time at;
    if (tl_timers_next_alarm(&loop->timers, loop->now, &at))
        alarm_set(loop, at);
    if (loop->rang)
        kernel_timer_read(loop);
}

/* --- defer --- */

static void on_idle(uv_idle_t *handle)
{
    (void)handle;
}

void tl_loop_defer(tl_loop *loop, tl_defer *d, void (*fn)(void *user), void *user)
{
    if (d->set)
        return;
    *d = (tl_defer){.fn = fn, .user = user, .set = true};
    *loop->defer_last = d;
    loop->defer_last = &d->next;
    uv_idle_start(&loop->awake, on_idle);
}

void tl_defer_cancel(tl_loop *loop, tl_defer *d)
{
    if (!d->set)
        return;
    for (tl_defer **at = &loop->defer_first; *at; at = &(*at)->next) {
        if (*at != d)
            continue;
        *at = d->next;
        if (loop->defer_last == &d->next)
            loop->defer_last = at;
        break;
    }
    d->set = false;
    d->next = NULL;
    if (!loop->defer_first)
        uv_idle_stop(&loop->awake);
}

static tl_defer *take_deferred(tl_loop *loop)
{
    tl_defer *d = loop->defer_first;
    if (!d)
        return NULL;
    loop->defer_first = d->next;
    if (!loop->defer_first)
        loop->defer_last = &loop->defer_first;
    d->set = false;
    d->next = NULL;
    return d;
}

static void run_deferred(tl_loop *loop)
{
    /* Takes the calls off one at a time, because a call may cancel those behind it. In each round a
     * stop is put behind the present calls, so that a call that defers again waits for the next
     * round. */
    for (int round = 0; round < DEFER_ROUNDS_MAX && loop->defer_first; round++) {
        tl_defer stop = {.set = true}, *d;
        *loop->defer_last = &stop;
        loop->defer_last = &stop.next;
        while ((d = take_deferred(loop)) && d != &stop)
            d->fn(d->user);
    }
    if (!loop->defer_first)
        uv_idle_stop(&loop->awake);
}

static void on_prepare(uv_prepare_t *handle)
{
    tl_loop *loop = handle->data;
    tl_loop_woke(loop);
    fire_due(loop);
    run_deferred(loop);
    arm(loop);
    loop->now_is_fresh = false;
}

/* --- the loop --- */

tl_err tl_loop_new(tl_loop **ret_loop)
{
    tl_loop *loop = calloc(1, sizeof *loop);
    if (!loop)
        return TL_ERR_NOMEM;
    loop->defer_last = &loop->defer_first;
    tl_timers_init(&loop->timers);
    loop->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (loop->timer_fd < 0)
        goto no_fd;
    if (uv_loop_init(&loop->uv))
        goto no_loop;
    if (uv_poll_init(&loop->uv, &loop->timer_poll, loop->timer_fd))
        goto no_poll;
    uv_prepare_init(&loop->uv, &loop->prepare);
    uv_prepare_start(&loop->prepare, on_prepare);
    uv_unref((uv_handle_t *)&loop->prepare);
    uv_idle_init(&loop->uv, &loop->awake);
    uv_timer_init(&loop->uv, &loop->sleep);
    uv_unref((uv_handle_t *)&loop->sleep);
    uv_poll_start(&loop->timer_poll, UV_READABLE, on_timer_fd);
    uv_unref((uv_handle_t *)&loop->timer_poll);
    loop->prepare.data = loop->timer_poll.data = loop->sleep.data = loop;
    loop->now = clock_read();
    *ret_loop = loop;
    return TL_OK;
no_poll:
    uv_loop_close(&loop->uv);
no_loop:
    close(loop->timer_fd);
no_fd:
    free(loop);
    return TL_ERR_IO;
}

void tl_loop_free(tl_loop *loop)
{
    if (!loop)
        return;
    assert(!tl_timers_any(&loop->timers));
    assert(!loop->defer_first);
    uv_close((uv_handle_t *)&loop->prepare, NULL);
    uv_close((uv_handle_t *)&loop->awake, NULL);
    uv_close((uv_handle_t *)&loop->sleep, NULL);
    uv_close((uv_handle_t *)&loop->timer_poll, NULL);
    while (uv_run(&loop->uv, UV_RUN_DEFAULT))
        ; /* a tl_loop_stop from before may end the first run early */
    int left = uv_loop_close(&loop->uv);
    assert(left == 0);
    (void)left;
    close(loop->timer_fd);
    free(loop);
}

void tl_loop_run(tl_loop *loop)
{
    tl_loop_woke(loop);
    uv_run(&loop->uv, UV_RUN_DEFAULT);
}

void tl_loop_stop(tl_loop *loop)
{
    uv_stop(&loop->uv);
}

/* --- descriptors --- */

struct tl_poll {
    uv_poll_t uv;
    tl_loop *loop;
    void (*on_ready)(void *user, int events);
    void *user;
    int events;
};

static void on_poll(uv_poll_t *handle, int status, int events);

static void poll_apply(tl_poll *p)
{
    int events = (p->events & TL_POLL_READ ? UV_READABLE : 0) |
                 (p->events & TL_POLL_WRITE ? UV_WRITABLE : 0) |
                 /* the kernel tells errors and hang-ups unasked, libuv only if some event is
                  * watched */
                 (p->events == TL_POLL_GONE ? UV_PRIORITIZED : 0);
    if (events)
        uv_poll_start(&p->uv, events, on_poll);
    else
        uv_poll_stop(&p->uv);
}

static void on_poll_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void on_poll(uv_poll_t *handle, int status, int events)
{
    tl_poll *p = handle->data;
    tl_loop_woke(p->loop);
    int out = 0;
    if (status < 0) {
        /* The descriptor has an error to tell. libuv has stopped watching, but we are
         * level-triggered: watch again. */
        poll_apply(p);
        out = TL_POLL_READ | TL_POLL_WRITE | TL_POLL_GONE;
    }
    if (events & UV_READABLE)
        out |= TL_POLL_READ;
    if (events & UV_WRITABLE)
        out |= TL_POLL_WRITE;
    if (events & UV_PRIORITIZED)
        out |= TL_POLL_READ | TL_POLL_WRITE | TL_POLL_GONE;
    p->on_ready(p->user, out);
}

tl_err tl_poll_new(tl_loop *loop, int fd, void (*on_ready)(void *user, int events), void *user,
                   tl_poll **ret_poll)
{
    tl_poll *p = calloc(1, sizeof *p);
    if (!p)
        return TL_ERR_NOMEM;
    if (uv_poll_init(&loop->uv, &p->uv, fd)) {
        free(p);
        return TL_ERR_IO;
    }
    p->uv.data = p;
    p->loop = loop;
    p->on_ready = on_ready;
    p->user = user;
    *ret_poll = p;
    return TL_OK;
}

void tl_poll_set(tl_poll *p, int events)
{
    if (events == p->events)
        return;
    p->events = events;
    poll_apply(p);
}

void tl_poll_free(tl_poll *p)
{
    if (p)
        uv_close((uv_handle_t *)&p->uv, on_poll_closed);
}

/* --- signals --- */

struct tl_sigwatch {
    uv_signal_t uv;
    tl_loop *loop;
    void (*on_signal)(void *user, int signo);
    void *user;
};

static void on_uv_signal(uv_signal_t *handle, int signo)
{
    tl_sigwatch *s = handle->data;
    tl_loop_woke(s->loop);
    s->on_signal(s->user, signo);
}

static void on_signal_closed(uv_handle_t *handle)
{
    free(handle->data);
}

tl_err tl_sigwatch_new(tl_loop *loop, int signo, void (*on_signal)(void *user, int signo),
                       void *user, tl_sigwatch **ret_signal)
{
    tl_sigwatch *s = calloc(1, sizeof *s);
    if (!s)
        return TL_ERR_NOMEM;
    *s = (tl_sigwatch){.loop = loop, .on_signal = on_signal, .user = user};
    if (uv_signal_init(&loop->uv, &s->uv)) {
        free(s);
        return TL_ERR_IO;
    }
    s->uv.data = s;
    if (uv_signal_start(&s->uv, on_uv_signal, signo)) {
        tl_sigwatch_free(s);
        return TL_ERR_INVALID;
    }
    *ret_signal = s;
    return TL_OK;
}

void tl_sigwatch_free(tl_sigwatch *s)
{
    if (s)
        uv_close((uv_handle_t *)&s->uv, on_signal_closed);
}
