/* work.h - one long calculation in a thread of its own, while the loop goes on. The calculation must
 * not touch the loop, nor anything that another thread uses. */
#ifndef TL_IO_WORK_H
#define TL_IO_WORK_H

#include "io/loop.h"

/* In the whole process, those that nobody waits for any more included: each is a thread. */
#define TL_WORKS_MAX 4

typedef struct tl_work tl_work;

typedef struct {
    void (*run)(void *job); /* in the thread */
    /* In the loop's thread, once, when `run` is over: the job is the callee's. */
    void (*on_done)(void *user, void *job);
    /* The job of a work that was forgotten; in either thread, after `run`. */
    void (*free_job)(void *job);
} tl_work_calls;

/* Takes `job` where it succeeds. `calls` is borrowed for life. TL_ERR_BUSY: TL_WORKS_MAX run already.
 * TL_ERR_NOMEM. */
TL_CHECK tl_err tl_work_start(tl_loop *loop, const tl_work_calls *calls, void *job, void *user,
                              tl_work **ret_work);
/* Nobody waits any more: on_done is not called. Its thread runs to its end, and the job is freed then.
 * Not after on_done was called. */
void tl_work_forget(tl_work *w);

#endif
