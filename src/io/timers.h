/* timers.h - the order in which a loop's timers are due: a pairing heap threaded through the timers
 * themselves, so that setting one can never fail. Knows no clock. */
#ifndef TL_IO_TIMERS_H
#define TL_IO_TIMERS_H

#include "io/loop.h"

typedef struct {
    tl_timer *root;
    uint64_t seq;
} tl_timers;

/* `t` must not be in the heap; its `at` is its key and stays as it is while it is in. */
void tl_timers_add(tl_timers *h, tl_timer *t);
/* `t` must be in the heap. */
void tl_timers_remove(tl_timers *h, tl_timer *t);
/* The earliest, or NULL. */
static inline tl_timer *tl_timers_first(const tl_timers *h)
{
    return h->root;
}

#endif
