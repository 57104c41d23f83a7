/* sleepwatch.h - notices that this machine slept, or that this process was stopped for a while. Then
 * NATs have forgotten us, peers may have given us up, and the machine may be in another network,
 * although no interface changed.
 *
 * Linux has no event for it. What shows it, at the first turn of the loop after it:
 *   - the clock that counts sleep (CLOCK_BOOTTIME) is ahead of the one that does not
 *     (CLOCK_MONOTONIC), further than before: the machine was suspended;
 *   - the loop's alarm is long overdue: the process was stopped (SIGSTOP, a frozen cgroup) or starved;
 *   - the wall clock is elsewhere, and neither of the other two: somebody set it, or this is a virtual
 *     machine that was paused and learns the time from its host.
 * The kernel wakes the loop for the first and the third (a timer that is cancelled when the wall clock
 * is set, which is done after each suspension, too). */
#ifndef TL_IO_SLEEPWATCH_H
#define TL_IO_SLEEPWATCH_H

#include "io/loop.h"

#define TL_SLEEP_LEAST (3 * TL_SEC) /* less is a busy machine, or a clock that is kept in step */

/* The clocks at one moment. */
typedef struct {
    tl_time monotonic, boot, wall;
} tl_sleep_clocks;

typedef enum {
    TL_SLEEP_NONE,
    TL_SLEEP_SLEPT,    /* the machine or the process */
    TL_SLEEP_CLOCK_SET /* the wall clock alone */
} tl_sleep_verdict;

/* What happened between two moments. `alarm`: when the loop was to wake at the latest. `ret_slept`: of
 * SLEPT, for how long at least. Pure. */
tl_sleep_verdict tl_sleep_judge(const tl_sleep_clocks *before, const tl_sleep_clocks *now,
                                tl_time alarm, tl_time *ret_slept);

typedef struct tl_sleepwatch tl_sleepwatch;
/* on_woke is called from the loop, never from inside another call; not for TL_SLEEP_NONE. It may call
 * anything but tl_sleepwatch_free. One watch a loop. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_sleepwatch_new(tl_loop *loop,
                                  void (*on_woke)(void *user, tl_sleep_verdict what, tl_time slept),
                                  void *user, tl_sleepwatch **ret_watch);
void tl_sleepwatch_free(tl_sleepwatch *w);

#endif
