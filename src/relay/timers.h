/* timers.h - deadlines in a binary heap: it tells which is due next. Reads no clock. */
#ifndef TL_RELAY_TIMERS_H
#define TL_RELAY_TIMERS_H

#include "base/err.h"
#include "base/time.h"

#include <stddef.h>

/* Lies inside the object that it times. Begins zero-initialised. */
typedef struct {
    tl_time at;
    size_t place; /* its index in the heap, from 1; 0: not set */
} tl_relay_timer;

typedef struct {
    tl_time at; /* a copy of the timer's, here for the sake of the cache */
    tl_relay_timer *timer;
} tl_relay_heap_item;

typedef struct {
    tl_relay_heap_item *heap;
    size_t n, cap;
} tl_relay_timers;

/* Makes room for `n` timers to be set at the same time, so that setting one never fails.
 * TL_ERR_NOMEM. */
TL_CHECK tl_err tl_relay_timers_reserve(tl_relay_timers *h, size_t n);
void tl_relay_timers_clear(tl_relay_timers *h);

/* Sets or moves a timer; TL_NEVER unsets it. */
void tl_relay_timer_set(tl_relay_timers *h, tl_relay_timer *t, tl_time at);
/* When the next timer is due; TL_NEVER: none is set. */
tl_time tl_relay_timers_expiry(const tl_relay_timers *h);
/* Takes out a timer that is due; NULL: none is due. */
tl_relay_timer *tl_relay_timers_due(tl_relay_timers *h, tl_time now);

#endif
