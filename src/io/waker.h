/* waker.h - another thread wakes the loop. The loop's thread owns the waker; the only call for other
 * threads is tl_waker_wake. */
#ifndef TL_IO_WAKER_H
#define TL_IO_WAKER_H

#include "io/loop.h"

typedef struct tl_waker tl_waker;

/* `on_wake` is called on the loop's thread after one or more calls of tl_waker_wake; what a thread
 * wrote before its call is seen there. The waker keeps the loop running. TL_ERR_NOMEM, TL_ERR_IO. */
TL_CHECK tl_err tl_waker_new(tl_loop *loop, void (*on_wake)(void *user), void *user,
                             tl_waker **ret_waker);
/* From any thread, and in any number. Never waits. */
void tl_waker_wake(tl_waker *w);
/* on_wake is not called again. By then no thread may call tl_waker_wake any more. NULL is allowed. */
void tl_waker_free(tl_waker *w);

#endif
