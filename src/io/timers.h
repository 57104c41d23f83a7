/* timers.h - the order in which a loop's timers are due, and the time to which the one kernel timer
 * below them is set. A pairing heap whose links lie in the timers themselves, so that setting a
 * timer can never fail. Reads no clock and owns no descriptor: time comes in, the alarm goes out.
 *
 * What holds, whatever times are set (0, past, TL_NEVER - 1), and is tested with a virtual clock
 * and with the kernel's:
 *   - a timer set to `at` fires in the first turn that begins at or after `at`;
 *   - a timer set during a turn, even to a time past, fires in the next turn at the earliest;
 *   - when the loop goes to sleep, the alarm is set to the earliest of them (loop.c tells how exactly it
 *     goes off). */
#ifndef TL_IO_TIMERS_H
#define TL_IO_TIMERS_H

#include "io/loop.h"

/* The kernel timer is set no farther ahead than this, so that the kernel takes every value of `at`.
 * A loop whose timers are all far away therefore wakes once an hour and does nothing. */
#define TL_TIMERS_AHEAD_MAX (60 * TL_MIN)

typedef struct {
    tl_timer *root;
    uint64_t seq;
    uint64_t turn; /* timers set since this turn began have this `seq` or a later one */
    tl_time alarm; /* when the kernel timer goes off; TL_NEVER: it is off */
} tl_timers;

void tl_timers_init(tl_timers *h);

/* Sets a timer, or moves it; TL_NEVER unsets it. A past time counts as `now`, so that a timer that
 * is set to 0 again and again stands behind the timers that were due before it. */
void tl_timers_set(tl_timers *h, tl_timer *t, tl_time at, tl_time now);

/* A turn: begin it, then take due timers until NULL. A timer that was taken is no longer set. */
void tl_timers_begin_turn(tl_timers *h);
tl_timer *tl_timers_take_due(tl_timers *h, tl_time now);

static inline bool tl_timers_any(const tl_timers *h)
{
    return h->root;
}

/* To call before sleeping. True: the kernel timer must be set to *ret_at (TL_NEVER: switched
 * off). */
TL_CHECK bool tl_timers_next_alarm(tl_timers *h, tl_time now, tl_time *ret_at);
/* The kernel timer went off, and is off now. */
void tl_timers_on_alarm(tl_timers *h);

#endif
