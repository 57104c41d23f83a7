/* timers.h - deadlines in a binary heap: which is due next. Reads no clock. */
#ifndef TL_RELAY_TIMERS_H
#define TL_RELAY_TIMERS_H

#include "base/err.h"
#include "base/time.h"

#include <stddef.h>

/* Embedded in what it times; zero-initialise. */
typedef struct {
    tl_time at;
    size_t place; /* in the heap, from 1; 0: not set */
} tl_relay_timer;

typedef struct {
    tl_time at; /* the timer's own, here for the sake of the cache */
    tl_relay_timer *timer;
} tl_relay_heap_item;

typedef struct {
    tl_relay_heap_item *heap;
    size_t n, cap;
} tl_relay_timers;

/* Memory for `n` timers set at once, so that setting one never fails. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_relay_timers_reserve(tl_relay_timers *h, size_t n);
void tl_relay_timers_clear(tl_relay_timers *h);

/* Sets, or moves; TL_NEVER unsets. */
void tl_relay_timer_set(tl_relay_timers *h, tl_relay_timer *t, tl_time at);
/* TL_NEVER: none is set. */
tl_time tl_relay_timers_expiry(const tl_relay_timers *h);
/* Takes out one that is due; NULL: none. */
tl_relay_timer *tl_relay_timers_due(tl_relay_timers *h, tl_time now);

#endif
