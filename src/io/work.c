#include "io/work.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

/* Libraries that look at pictures use less than a quarter. */
#define STACK_SIZE (1u << 20)

static atomic_int works;

/* What the loop and the thread share. Who lets go of it last frees it, and the job with it. */
typedef struct {
    atomic_int holders;
    const tl_work_calls *calls;
    void *job; /* NULL: it was handed to on_done */
    int fd;    /* the thread's: closed when `run` is over */
} shared;

struct tl_work {
    tl_loop *loop;
    void *user;
    shared *shared;
    tl_poll *poll;
    int fd;
};

static void let_go(shared *s)
{
    if (atomic_fetch_sub(&s->holders, 1) > 1)
        return;
    if (s->job)
        s->calls->free_job(s->job);
    free(s);
}

static void *run_thread(void *user)
{
    shared *s = user;
    s->calls->run(s->job);
    ssize_t n = write(s->fd, "", 1); /* fails if nobody waits any more */
    (void)n;
    close(s->fd);
    let_go(s);
    atomic_fetch_sub(&works, 1);
    return NULL;
}

static tl_err start_thread(shared *s)
{
    pthread_attr_t attr;
    pthread_t thread;
    sigset_t all, before;
    tl_err e = TL_ERR_NOMEM;
    if (pthread_attr_init(&attr))
        return e;
    sigfillset(&all); /* signals are for the loop's thread */
    if (!pthread_attr_setstacksize(&attr, STACK_SIZE) &&
        !pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED) &&
        !pthread_sigmask(SIG_SETMASK, &all, &before)) {
        if (!pthread_create(&thread, &attr, run_thread, s))
            e = TL_OK;
        pthread_sigmask(SIG_SETMASK, &before, NULL);
    }
    pthread_attr_destroy(&attr);
    return e;
}

static void free_work(tl_work *w)
{
    tl_poll_free(w->poll);
    if (w->fd >= 0)
        close(w->fd);
    free(w);
}

static void on_ready(void *user, int events)
{
    tl_work *w = user;
    shared *s = w->shared;
    char byte;
    (void)events;
    if (read(w->fd, &byte, 1) < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    void *job = s->job, *whose = w->user;
    const tl_work_calls *calls = s->calls;
    s->job = NULL; /* the thread has written its byte, and touches it no more */
    free_work(w);
    let_go(s);
    calls->on_done(whose, job);
}

/* TL_OK: the thread runs. Else what was opened is closed by the caller. */
static tl_err begin(tl_work *w)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK))
        return TL_ERR_NOMEM;
    w->fd = ends[0];
    w->shared->fd = ends[1];
    tl_err e = tl_poll_new(w->loop, w->fd, on_ready, w, &w->poll);
    if (!e)
        e = start_thread(w->shared);
    if (e)
        close(ends[1]);
    else
        tl_poll_set(w->poll, TL_POLL_READ);
    return e;
}

tl_err tl_work_start(tl_loop *loop, const tl_work_calls *calls, void *job, void *user,
                     tl_work **ret_work)
{
    if (atomic_fetch_add(&works, 1) >= TL_WORKS_MAX) {
        atomic_fetch_sub(&works, 1);
        return TL_ERR_BUSY;
    }
    tl_work *w = calloc(1, sizeof *w);
    shared *s = calloc(1, sizeof *s);
    tl_err e = w && s ? TL_OK : TL_ERR_NOMEM;
    if (!e) {
        *s = (shared){.calls = calls, .job = job};
        atomic_init(&s->holders, 2);
        *w = (tl_work){.loop = loop, .user = user, .shared = s, .fd = -1};
        e = begin(w);
    }
    if (e) {
        if (w && s)
            free_work(w);
        else
            free(w);
        free(s);
        atomic_fetch_sub(&works, 1);
        return e;
    }
    *ret_work = w;
    return TL_OK;
}

void tl_work_forget(tl_work *w)
{
    shared *s = w->shared;
    free_work(w);
    let_go(s);
}
