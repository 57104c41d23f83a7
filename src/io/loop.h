/* loop.h - the event loop (libuv): time, timers of microsecond precision, descriptors, name
 * look-ups, signals. The only module that reads a clock. One loop belongs to one thread, and never
 * touches another's. */
#ifndef TL_IO_LOOP_H
#define TL_IO_LOOP_H

#include "base/addr.h"
#include "base/time.h"

typedef struct tl_loop tl_loop;

TL_CHECK tl_err tl_loop_new(tl_loop **ret_loop);
/* Everything attached must be closed first. Runs the loop until its close callbacks are done, and
 * waits for look-ups that were cancelled while they ran. */
void tl_loop_free(tl_loop *loop);
/* Runs until tl_loop_stop or until nothing is attached. */
void tl_loop_run(tl_loop *loop);
void tl_loop_stop(tl_loop *loop);

/* The time, read once at the start of each turn of the loop. */
tl_time tl_loop_now(const tl_loop *loop);
/* The time, read afresh: for measuring inside a long callback. */
tl_time tl_loop_clock(tl_loop *loop);
tl_unix tl_loop_unix(void);

/* --- Timers: any number of them, in the caller's memory, on one kernel timer --- */
typedef struct tl_timer {
    tl_loop *loop;
    void (*on_due)(void *user);
    void *user;
    tl_time at;                           /* TL_NEVER: not set */
    uint64_t seq;                         /* equal times fire in the order they were set */
    struct tl_timer *child, *next, *prev; /* its place in the loop's heap (io/timers.h) */
} tl_timer;

void tl_timer_init(tl_timer *t, tl_loop *loop, void (*on_due)(void *user), void *user);
/* The timer fires once, at `at` (at once if that is past). Setting it again moves it; TL_NEVER
 * unsets it. */
void tl_timer_set(tl_timer *t, tl_time at);
/* Unsets the timer; then its memory may be freed. */
void tl_timer_stop(tl_timer *t);

/* Calls `fn` once when the input of this turn has been handled, before the loop sleeps. This is the
 * place to flush what many events produced. `d` is the caller's memory; zero it first. If `d` is
 * set already, the call does nothing. */
typedef struct tl_defer {
    void (*fn)(void *user);
    void *user;
    struct tl_defer *next;
    bool set;
} tl_defer;
void tl_loop_defer(tl_loop *loop, tl_defer *d, void (*fn)(void *user), void *user);
void tl_defer_cancel(tl_loop *loop, tl_defer *d);

/* --- descriptors --- */
#define TL_POLL_READ  1
#define TL_POLL_WRITE 2
#define TL_POLL_GONE  4 /* error or hang-up only: for a caller that watches neither of the above */
typedef struct tl_poll tl_poll;
/* Prepares to watch `fd`, which stays the caller's; tl_poll_set says for what. Level-triggered. An
 * error or hang-up shows as readable and writable. */
TL_CHECK tl_err tl_poll_new(tl_loop *loop, int fd, void (*on_ready)(void *user, int events),
                            void *user, tl_poll **ret_poll);
void tl_poll_set(tl_poll *p, int events);
/* After this on_ready is not called again, and the descriptor may be closed. */
void tl_poll_free(tl_poll *p);

/* --- names --- */
#define TL_RESOLVE_MAX 16 /* addresses kept from one answer */
typedef struct tl_resolve tl_resolve;
/* Looks `host` (name or literal) up on a helper thread. on_done gets the addresses with `port` set,
 * or n = 0 and a reason. It may be freed at any time (also inside on_done); this cancels the
 * look-up. */
TL_CHECK tl_err tl_resolve_start(tl_loop *loop, const char *host, uint16_t port,
                                 void (*on_done)(void *user, const tl_addr *addrs, size_t n,
                                                 const char *why),
                                 void *user, tl_resolve **ret_resolve);
void tl_resolve_free(tl_resolve *r);

/* --- signals --- */
typedef struct tl_sigwatch tl_sigwatch;
TL_CHECK tl_err tl_sigwatch_new(tl_loop *loop, int signo, void (*on_signal)(void *user, int signo),
                                void *user, tl_sigwatch **ret_signal);
void tl_sigwatch_free(tl_sigwatch *s);

#endif
