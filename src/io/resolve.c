/* Looks host names up in a thread, while the loop goes on (io/loop.h). */
#include "io/loop_uv.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* The look-ups under way in this process. Each has a thread of its own: where no name server
 * answers, a look-up hangs for many seconds, and in a small pool of threads it would keep names
 * waiting that need no server (in /etc/hosts, say). */
#define LOOK_UPS_MAX 64
#define STACK_SIZE   (256u << 10) /* glibc and its modules for names use less than half */

static atomic_int look_ups;

/* What the thread writes into the pipe, in one piece: it is below PIPE_BUF. */
typedef struct {
    int status, error; /* of getaddrinfo; errno */
    size_t n;
    tl_addr addrs[TL_RESOLVE_MAX];
} answer;

/* The thread's own: it shares no memory with the loop, so that either may end first. */
typedef struct {
    int fd;
    char host[TL_HOST_MAX];
} job;

struct tl_resolve {
    tl_loop *loop;
    void (*on_done)(void *user, const tl_addr *addrs, size_t n, const char *why);
    void *user;
    tl_defer literal_done; /* an IP literal needs no look-up; its on_done is only called later */
    tl_addr literal;
    uint16_t port;
    tl_poll *poll; /* NULL: of a literal, or answered */
    int fd;        /* -1: none */
    bool in_done;  /* on_done is running */
    bool freed;    /* its owner freed it in on_done */
    char host[TL_HOST_MAX];
};

static void stop_waiting(tl_resolve *r)
{
    tl_poll_free(r->poll);
    r->poll = NULL;
    if (r->fd >= 0)
        close(r->fd);
    r->fd = -1;
}

static void finish(tl_resolve *r, const tl_addr *addrs, size_t n, const char *why)
{
    r->in_done = true;
    r->on_done(r->user, addrs, n, why);
    r->in_done = false;
    if (r->freed)
        free(r);
}

static const char *reason(const answer *a)
{
    switch (a->status) {
    case 0: return "it has no address";
    case EAI_NONAME:
#ifdef EAI_NODATA
    case EAI_NODATA:
#endif
        return "no such name in the DNS";
    case EAI_AGAIN: return "no name server answered (is this machine online?)";
    case EAI_FAIL: return "the name server refused to answer";
    case EAI_SYSTEM: return strerror(a->error);
    default: return gai_strerror(a->status);
    }
}

/* --- the thread --- */

static void look_up(const char *host, answer *ret_answer)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG}, *list = NULL;
    ret_answer->status = getaddrinfo(host, NULL, &hints, &list);
    ret_answer->error = errno;
    for (struct addrinfo *i = list; i && ret_answer->n < TL_RESOLVE_MAX; i = i->ai_next) {
        tl_addr a = tl_addr_from_sockaddr(i->ai_addr);
        if (a.family != TL_ADDR_NONE)
            ret_answer->addrs[ret_answer->n++] = a;
    }
    if (list)
        freeaddrinfo(list);
}

static void *work(void *user)
{
    job *j = user;
    answer a;
    memset(&a, 0, sizeof a);
    look_up(j->host, &a);
    ssize_t n = write(j->fd, &a, sizeof a); /* fails if nobody waits any more */
    (void)n;
    close(j->fd);
    free(j);
    atomic_fetch_sub(&look_ups, 1);
    return NULL;
}

/* Takes `fd` and closes it. */
static tl_err start_thread(const char *host, int fd)
{
    pthread_attr_t attr;
    pthread_t thread;
    sigset_t all, before;
    job *j = calloc(1, sizeof *j);
    tl_err e = TL_ERR_NOMEM;
    if (!j || pthread_attr_init(&attr)) {
        free(j);
        close(fd);
        return e;
    }
    j->fd = fd;
    memcpy(j->host, host, strlen(host) + 1);
    sigfillset(&all); /* signals are for the loop's thread */
    if (!pthread_attr_setstacksize(&attr, STACK_SIZE) &&
        !pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED) &&
        !pthread_sigmask(SIG_SETMASK, &all, &before)) {
        if (!pthread_create(&thread, &attr, work, j))
            e = TL_OK;
        pthread_sigmask(SIG_SETMASK, &before, NULL);
    }
    pthread_attr_destroy(&attr);
    if (e) {
        free(j);
        close(fd);
    }
    return e;
}

/* --- the loop --- */

static void on_answer(void *user, int events)
{
    tl_resolve *r = user;
    answer a;
    (void)events;
    ssize_t got = read(r->fd, &a, sizeof a);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got != (ssize_t)sizeof a)
        a = (answer){.status = EAI_SYSTEM, .error = EIO};
    stop_waiting(r);
    for (size_t i = 0; i < a.n; i++)
        a.addrs[i].port = r->port;
    char why[TL_HOST_MAX + 128];
    snprintf(why, sizeof why, "cannot look up %s: %s", r->host, reason(&a));
    finish(r, a.addrs, a.n, a.n ? NULL : why);
}

static tl_err begin(tl_resolve *r)
{
    int ends[2];
    if (atomic_fetch_add(&look_ups, 1) >= LOOK_UPS_MAX) {
        atomic_fetch_sub(&look_ups, 1);
        return TL_ERR_BUSY;
    }
    tl_err e = pipe2(ends, O_CLOEXEC | O_NONBLOCK) ? TL_ERR_NOMEM : TL_OK;
    if (!e) {
        r->fd = ends[0];
        e = tl_poll_new(r->loop, r->fd, on_answer, r, &r->poll);
        if (e)
            close(ends[1]);
        else
            e = start_thread(r->host, ends[1]);
    }
    if (e)
        atomic_fetch_sub(&look_ups, 1);
    else
        tl_poll_set(r->poll, TL_POLL_READ);
    return e;
}

static void on_literal(void *user)
{
    tl_resolve *r = user;
    finish(r, &r->literal, 1, NULL);
}

tl_err tl_resolve_start(tl_loop *loop, const char *host, uint16_t port,
                        void (*on_done)(void *user, const tl_addr *addrs, size_t n,
                                        const char *why),
                        void *user, tl_resolve **ret_resolve)
{
    if (strlen(host) >= TL_HOST_MAX)
        return TL_ERR_TOO_LARGE;
    tl_resolve *r = calloc(1, sizeof *r);
    if (!r)
        return TL_ERR_NOMEM;
    r->loop = loop;
    r->on_done = on_done;
    r->user = user;
    r->port = port;
    r->fd = -1;
    memcpy(r->host, host, strlen(host) + 1);
    if (tl_addr_parse_ip(tl_slice_str(host), &r->literal) == TL_OK) {
        r->literal.port = port;
        tl_loop_defer(loop, &r->literal_done, on_literal, r);
    } else {
        tl_err e = begin(r);
        if (e) {
            stop_waiting(r);
            free(r);
            return e;
        }
    }
    *ret_resolve = r;
    return TL_OK;
}

void tl_resolve_free(tl_resolve *r)
{
    if (!r)
        return;
    tl_defer_cancel(r->loop, &r->literal_done);
    stop_waiting(r); /* if the look-up runs still, its answer is thrown away */
    if (r->in_done)
        r->freed = true;
    else
        free(r);
}
