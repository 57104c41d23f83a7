/* timers.h - the order in which a loop's timers are due, and what the one kernel timer below them
 * is set to: a pairing heap threaded through the timers themselves, so that setting one can never
 * fail. Reads no clock and owns no descriptor: time comes in, the alarm goes out.
 *
 * What holds, whatever times are set (0, past, TL_NEVER - 1), and is tested with a virtual clock
 * and with the kernel's:
 *   - a timer set to `at` fires in the first turn that begins at or after `at`;
 *   - a timer set during a turn, even to a time past, fires in the next turn at the earliest;
 *   - when the loop goes to sleep, the kernel timer goes off no later than the earliest of them. */
#ifndef TL_IO_TIMERS_H
#define TL_IO_TIMERS_H

#include "io/loop.h"

/* The kernel timer is set no farther ahead than that: every value of `at` is then one the kernel
 * takes, and a loop whose timers are all far away wakes for nothing once an hour. */
#define TL_TIMERS_AHEAD_MAX (60 * TL_MIN)

typedef struct {
    tl_timer *root;
    uint64_t seq;
    uint64_t turn; /* timers set since the turn began have this number or a later one */
    tl_time alarm; /* when the kernel timer goes off; TL_NEVER: it is off */
} tl_timers;

void tl_timers_init(tl_timers *h);

/* Sets, or moves; TL_NEVER unsets. A time past counts as `now`, so that a timer which is set to 0
 * over and over stands behind those that were due before, not before them. */
void tl_timers_set(tl_timers *h, tl_timer *t, tl_time at, tl_time now);

/* A turn: begin, then take what is due until NULL. What is taken is no longer set. */
void tl_timers_begin_turn(tl_timers *h);
tl_timer *tl_timers_take_due(tl_timers *h, tl_time now);

static inline bool tl_timers_any(const tl_timers *h)
{
    return h->root;
}

/* True: the kernel timer must be set, to *ret_at (TL_NEVER: switched off). Call before sleeping. */
TL_CHECK bool tl_timers_next_alarm(tl_timers *h, tl_time now, tl_time *ret_at);
/* The kernel timer went off, and is off now. */
void tl_timers_on_alarm(tl_timers *h);

#endif
