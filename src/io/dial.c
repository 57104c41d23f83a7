#include "io/dial.h"

#include <assert.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

typedef struct {
    tl_dial *dial;
    tl_poll *poll;
    int fd; /* -1: this attempt has not begun, or is over */
} attempt;

struct tl_dial {
    tl_loop *loop;
    void (*on_done)(void *user, int fd, tl_err e, const char *why);
    void *user;
    tl_resolve *resolve;
    tl_timer next_due;
    tl_addr addrs[TL_RESOLVE_MAX];
    attempt attempts[TL_RESOLVE_MAX];
    size_t n, begun, failed;
    int last_errno;
    char target[TL_HOST_MAX + 16]; /* HOST:PORT, for messages */
};

static void attempt_end(attempt *a)
{
    if (a->fd < 0)
        return;
    tl_poll_free(a->poll);
    close(a->fd);
    a->poll = NULL;
    a->fd = -1;
}

static void stop_all(tl_dial *d)
{
    tl_resolve_free(d->resolve);
    d->resolve = NULL;
    tl_timer_stop(&d->next_due);
    for (size_t i = 0; i < d->begun; i++)
        attempt_end(&d->attempts[i]);
}

static void succeed(tl_dial *d, attempt *a)
{
    int fd = a->fd;
    tl_poll_free(a->poll);
    a->fd = -1;
    stop_all(d);
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    d->on_done(d->user, fd, TL_OK, NULL);
}

static void fail(tl_dial *d)
{
    stop_all(d);
    char why[sizeof d->target + 128];
    const char *hint = d->last_errno == ECONNREFUSED ? " (nothing listens there)" : "";
    snprintf(why, sizeof why, "cannot connect to %s: %s%s", d->target, strerror(d->last_errno),
             hint);
    d->on_done(d->user, -1, TL_ERR_UNREACHABLE, why);
}

static void on_next_due(void *user);

/* One address failed: the next attempt starts at once. If it was the last address, the dial has
 * failed. */
static void attempt_failed(tl_dial *d, attempt *a, int error)
{
    attempt_end(a);
    d->last_errno = error;
    d->failed++;
    if (d->begun < d->n)
        tl_timer_set(&d->next_due, tl_loop_now(d->loop));
    else if (d->failed == d->n)
        fail(d);
}

static void on_attempt_ready(void *user, int events)
{
    attempt *a = user;
    int error = 0;
    socklen_t len = sizeof error;
    if (getsockopt(a->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
        error = errno;
    if (error)
        attempt_failed(a->dial, a, error);
    else if (events & TL_POLL_WRITE)
        succeed(a->dial, a);
}

static int attempt_start(tl_dial *d, attempt *a, const tl_addr *to)
{
    struct sockaddr_storage ss;
    socklen_t len = tl_addr_to_sockaddr(to, &ss);
    int fd = socket(ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return errno;
    if (connect(fd, (struct sockaddr *)&ss, len) < 0 && errno != EINPROGRESS) {
        int error = errno;
        close(fd);
        return error;
    }
    if (tl_poll_new(d->loop, fd, on_attempt_ready, a, &a->poll)) {
        close(fd);
        return ENOMEM;
    }
    a->fd = fd;
    tl_poll_set(a->poll, TL_POLL_WRITE);
    return 0;
}

static void on_next_due(void *user)
{
    tl_dial *d = user;
    attempt *a = &d->attempts[d->begun];
    *a = (attempt){.dial = d, .fd = -1};
    int error = attempt_start(d, a, &d->addrs[d->begun++]);
    if (error)
        attempt_failed(d, a, error);
    else if (d->begun < d->n)
        tl_timer_set(&d->next_due, tl_loop_now(d->loop) + TL_DIAL_HEAD_START_NS);
}

/* Takes addresses of both families in turn, and begins with the family that the system prefers. So
 * a dead family costs one head start, not one for each of its addresses. */
static void take_addresses(tl_dial *d, const tl_addr *addrs, size_t n)
{
    bool taken[TL_RESOLVE_MAX] = {false};
    tl_addr_family want = addrs[0].family;
    for (d->n = 0; d->n < n;) {
        size_t i = 0;
        while (i < n && (taken[i] || addrs[i].family != want))
            i++;
        want = want == TL_ADDR_V4 ? TL_ADDR_V6 : TL_ADDR_V4;
        if (i == n)
            continue; /* this family has no more addresses */
        taken[i] = true;
        d->addrs[d->n++] = addrs[i];
    }
}

static void on_resolved(void *user, const tl_addr *addrs, size_t n, const char *why)
{
    tl_dial *d = user;
    if (n == 0) {
        d->on_done(d->user, -1, TL_ERR_UNREACHABLE, why);
        return;
    }
    take_addresses(d, addrs, n);
    on_next_due(d);
}

static tl_dial *dial_new(tl_loop *loop,
                         void (*on_done)(void *user, int fd, tl_err e, const char *why), void *user)
{
    tl_dial *d = calloc(1, sizeof *d);
    if (!d)
        return NULL;
    d->loop = loop;
    d->on_done = on_done;
    d->user = user;
    tl_timer_init(&d->next_due, loop, on_next_due, d);
    return d;
}

tl_err tl_dial_start(tl_loop *loop, const char *host, uint16_t port,
                     void (*on_done)(void *user, int fd, tl_err e, const char *why), void *user,
                     tl_dial **ret_dial)
{
    tl_dial *d = dial_new(loop, on_done, user);
    if (!d)
        return TL_ERR_NOMEM;
    snprintf(d->target, sizeof d->target, strchr(host, ':') ? "[%.250s]:%u" : "%.253s:%u", host,
             port);
    tl_err e = tl_resolve_start(loop, host, port, on_resolved, d, &d->resolve);
    if (e) {
        free(d);
        return e;
    }
    *ret_dial = d;
    return TL_OK;
}

tl_err tl_dial_start_at(tl_loop *loop, const tl_addr *addrs, size_t n,
                        void (*on_done)(void *user, int fd, tl_err e, const char *why), void *user,
                        tl_dial **ret_dial)
{
    assert(n >= 1 && n <= TL_RESOLVE_MAX);
    tl_dial *d = dial_new(loop, on_done, user);
    if (!d)
        return TL_ERR_NOMEM;
    char text[TL_ADDR_TEXT_MAX];
    tl_addr_write(text, &addrs[0]);
    snprintf(d->target, sizeof d->target, "%s", text);
    take_addresses(d, addrs, n);
    tl_timer_set(&d->next_due, tl_loop_now(loop));
    *ret_dial = d;
    return TL_OK;
}

void tl_dial_free(tl_dial *d)
{
    if (!d)
        return;
    stop_all(d);
    free(d);
}
