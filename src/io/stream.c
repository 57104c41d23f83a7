#include "io/stream.h"

#include "io/dial.h"
#include "io/tls.h"
#include "io/tunnel.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/*  DIALLING --connected--> HANDSHAKE --TLS done--> OPEN --broken--> BROKEN
 *      (accepted, plain, Unix: straight to)---------^
 *  BROKEN also from DIALLING and HANDSHAKE; it is told once and stays until freed. */
typedef enum {
    STREAM_DIALLING,  /* there is no descriptor yet */
    STREAM_HANDSHAKE, /* connected; the TLS handshake goes on */
    STREAM_STARTING,  /* connected; on_open is deferred */
    STREAM_OPEN,
    STREAM_BROKEN,
} stream_state;

/* What only the opening of a stream needs; freed once the stream is open. */
typedef struct {
    tl_dial *dial;
    tl_tunnel *tunnel; /* through a proxy, in place of `dial` */
    tl_tls *tls;
    tl_timer deadline;
    tl_err error; /* an error found at once and told later */
    tl_why why;
    char host[TL_HOST_MAX];
    char proxy[TL_PROXY_SHOWN_MAX]; /* "": there is none */
} opening;

struct tl_stream {
    tl_loop *loop;
    tl_poll *poll;
    tl_tls_session *tls;
    tl_stream_events events;
    void *user;
    opening *opening;
    tl_defer later; /* tells on_open, an error found at once, or TLS input of which the kernel does
                       not tell */
    int fd;
    stream_state state;
    unsigned depth; /* callbacks that are running: the memory is kept until they end */
    bool freed;
    bool want_read, want_write;
    bool read_ended; /* the peer's orderly end was read */
    bool shut;       /* close the sending half as soon as TLS has flushed */
    bool gone_deaf;  /* after urgent data, a hang-up can no longer be watched for */
};

static void enter(tl_stream *s)
{
    s->depth++;
}

static void leave(tl_stream *s)
{
    if (--s->depth == 0 && s->freed)
        free(s);
}

static void set_state(tl_stream *s, stream_state state)
{
    s->state = state;
}

static bool is_open(const tl_stream *s)
{
    return s->state == STREAM_OPEN && !s->freed;
}

/* Sets what the kernel is to tell us. */
static void watch(tl_stream *s)
{
    if (!s->poll)
        return;
    int events = 0;
    if (s->state != STREAM_BROKEN && s->tls && tl_tls_has_output(s->tls))
        events |= TL_POLL_WRITE;
    if (s->state == STREAM_HANDSHAKE)
        events |= TL_POLL_READ;
    if (s->state == STREAM_OPEN) {
        if (s->want_read && !s->read_ended)
            events |= TL_POLL_READ;
        if (s->want_write)
            events |= TL_POLL_WRITE;
        if (!events && !s->gone_deaf)
            events = TL_POLL_GONE;
    }
    tl_poll_set(s->poll, events);
}

static void opening_end(tl_stream *s)
{
    opening *o = s->opening;
    if (!o)
        return;
    s->opening = NULL;
    tl_dial_free(o->dial);
    tl_tunnel_free(o->tunnel);
    tl_tls_unref(o->tls);
    tl_timer_stop(&o->deadline);
    free(o);
}

/* Tells the owner of the failure, once. Called between `enter` and `leave`. */
static void fail(tl_stream *s, tl_err e, const char *why)
{
    tl_why copy;
    bool through = s->state == STREAM_HANDSHAKE && s->opening && s->opening->proxy[0];
    (void)tl_why_set(&copy, e, "%s%s%s%s", why, through ? " (through the proxy " : "",
                     through ? s->opening->proxy : "", through ? ")" : "");
    set_state(s, STREAM_BROKEN);
    opening_end(s);
    watch(s);
    if (s->events.on_error)
        s->events.on_error(s->user, e, copy.text);
}

static void on_later(void *user);

static void give_readable(tl_stream *s)
{
    if (!is_open(s) || !s->want_read || s->read_ended)
        return;
    if (s->events.on_readable)
        s->events.on_readable(s->user);
    if (is_open(s) && s->want_read && s->tls && tl_tls_has_input(s->tls))
        tl_loop_defer(s->loop, &s->later, on_later, s);
}

static void open_now(tl_stream *s)
{
    opening_end(s);
    set_state(s, STREAM_OPEN);
    watch(s);
    if (s->events.on_open)
        s->events.on_open(s->user);
    if (is_open(s) && s->tls && tl_tls_has_input(s->tls))
        tl_loop_defer(s->loop, &s->later, on_later, s);
}

static void on_later(void *user)
{
    tl_stream *s = user;
    enter(s);
    if (s->opening && s->opening->error)
        fail(s, s->opening->error, s->opening->why.text);
    else if (s->state == STREAM_STARTING)
        open_now(s);
    else
        give_readable(s);
    leave(s);
}

static void step_handshake(tl_stream *s)
{
    tl_why why = {""};
    tl_err e = tl_tls_handshake(s->tls, &why);
    if (!e)
        open_now(s);
    else if (e == TL_ERR_AGAIN)
        watch(s);
    else
        fail(s, e, why.text);
}

/* Sends TLS output that waited. False: the stream is broken, and the owner was told. */
static bool flush(tl_stream *s)
{
    if (!s->tls || !tl_tls_has_output(s->tls))
        return true;
    tl_err e = tl_tls_flush(s->tls);
    if (e && e != TL_ERR_AGAIN) {
        fail(s, e, strerror(errno));
        return false;
    }
    if (!e && s->shut)
        shutdown(s->fd, SHUT_WR);
    if (!e)
        watch(s);
    return true;
}

/* Something happened while reading and writing were off: the peer is gone, or it sent urgent data.
 * No node of ours sends urgent data, and it would wake us again and again. */
static void on_gone(tl_stream *s)
{
    struct pollfd p = {.fd = s->fd};
    if (poll(&p, 1, 0) == 1 && p.revents & (POLLERR | POLLHUP)) {
        int error = 0;
        socklen_t len = sizeof error;
        getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &len);
        fail(s, TL_ERR_CLOSED, error ? strerror(error) : "the peer closed the connection");
        return;
    }
    s->gone_deaf = true;
    watch(s);
}

static void on_ready(void *user, int events)
{
    tl_stream *s = user;
    enter(s);
    if (s->state == STREAM_HANDSHAKE) {
        if (flush(s))
            step_handshake(s);
    } else if (is_open(s)) {
        bool idle = !s->want_write && !(s->want_read && !s->read_ended);
        if (events & TL_POLL_GONE && idle)
            on_gone(s);
        if (is_open(s) && events & TL_POLL_WRITE && flush(s) && s->want_write &&
            !(s->tls && tl_tls_has_output(s->tls)) && s->events.on_writable)
            s->events.on_writable(s->user);
        if (events & TL_POLL_READ)
            give_readable(s);
    }
    leave(s);
}

/* --- opening --- */

static tl_err stream_new(tl_loop *loop, const tl_stream_events *events, void *user,
                         tl_stream **ret_stream)
{
    tl_stream *s = calloc(1, sizeof *s);
    if (!s)
        return TL_ERR_NOMEM;
    s->loop = loop;
    s->fd = -1;
    s->want_read = true;
    tl_stream_set_events(s, events, user);
    *ret_stream = s;
    return TL_OK;
}

/* Takes over the connected `fd` if the call succeeds; on_open comes later. `host` is NULL for a
 * server. */
static tl_err attach(tl_stream *s, int fd, tl_tls *tls, const char *host)
{
    if (tls) {
        tl_err e = tl_tls_session_new(tls, fd, host, &s->tls);
        if (e)
            return e;
    }
    tl_err e = tl_poll_new(s->loop, fd, on_ready, s, &s->poll);
    if (e)
        return e;
    s->fd = fd;
    set_state(s, tls ? STREAM_HANDSHAKE : STREAM_STARTING);
    if (!tls)
        tl_loop_defer(s->loop, &s->later, on_later, s);
    watch(s);
    return TL_OK;
}

static void on_deadline(void *user)
{
    tl_stream *s = user;
    tl_why why;
    enter(s);
    (void)tl_why_set(&why, TL_ERR_TIMEOUT,
                     s->state == STREAM_DIALLING ? "no answer to the connection attempt within 10 s"
                                                 : "the TLS handshake took longer than 10 s");
    if (s->state == STREAM_DIALLING && s->opening->tunnel)
        tl_tunnel_late(s->opening->tunnel, TL_STREAM_OPEN_MAX_NS / TL_SEC, &why);
    fail(s, TL_ERR_TIMEOUT, why.text);
    leave(s);
}

static void on_dialled(void *user, int fd, tl_err e, const char *why)
{
    tl_stream *s = user;
    enter(s);
    if (e) {
        fail(s, e, why);
    } else {
        e = attach(s, fd, s->opening->tls, s->opening->host);
        if (e) {
            close(fd);
            fail(s, e, "out of memory");
        } else if (s->tls) {
            step_handshake(s); /* sends the ClientHello */
        }
    }
    leave(s);
}

static tl_err opening_new(tl_stream *s)
{
    s->opening = calloc(1, sizeof *s->opening);
    if (!s->opening)
        return TL_ERR_NOMEM;
    tl_timer_init(&s->opening->deadline, s->loop, on_deadline, s);
    return TL_OK;
}

tl_err tl_stream_connect(tl_loop *loop, const char *host, uint16_t port, tl_tls *tls,
                         const tl_stream_events *events, void *user, tl_stream **ret_stream)
{
    return tl_stream_connect_by(loop, NULL, host, port, tls, events, user, ret_stream);
}

tl_err tl_stream_connect_by(tl_loop *loop, const tl_proxy *proxy, const char *host, uint16_t port,
                            tl_tls *tls, const tl_stream_events *events, void *user,
                            tl_stream **ret_stream)
{
    if (strlen(host) >= TL_HOST_MAX)
        return TL_ERR_TOO_LARGE;
    tl_stream *s;
    tl_err e = stream_new(loop, events, user, &s);
    if (e)
        return e;
    e = opening_new(s);
    if (!e) {
        opening *o = s->opening;
        memcpy(o->host, host, strlen(host) + 1);
        if (proxy && proxy->kind != TL_PROXY_NONE) {
            tl_proxy_show(o->proxy, proxy);
            e = tl_tunnel_start(loop, proxy, host, port, on_dialled, s, &o->tunnel);
        } else {
            e = tl_dial_start(loop, host, port, on_dialled, s, &o->dial);
        }
    }
    if (e) {
        tl_stream_free(s);
        return e;
    }
    if (tls) {
        s->opening->tls = tls;
        tl_tls_ref(tls);
    }
    tl_timer_set(&s->opening->deadline, tl_loop_now(loop) + TL_STREAM_OPEN_MAX_NS);
    *ret_stream = s;
    return TL_OK;
}

static tl_err connect_unix(const char *path, int *ret_fd, tl_why *why)
{
    struct sockaddr_un sun = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof sun.sun_path)
        return tl_why_set(why, TL_ERR_TOO_LARGE, "the socket path %s is longer than %zu characters",
                          path, sizeof sun.sun_path - 1);
    memcpy(sun.sun_path, path, strlen(path));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return tl_why_set(why, TL_ERR_IO, "no socket: %s", strerror(errno));
    if (connect(fd, (struct sockaddr *)&sun, sizeof sun) < 0) {
        int error = errno;
        close(fd);
        return tl_why_set(why, TL_ERR_UNREACHABLE, "cannot connect to %s: %s", path,
                          strerror(error));
    }
    *ret_fd = fd;
    return TL_OK;
}

tl_err tl_stream_connect_unix(tl_loop *loop, const char *path, const tl_stream_events *events,
                              void *user, tl_stream **ret_stream)
{
    tl_stream *s;
    tl_err e = stream_new(loop, events, user, &s);
    if (e)
        return e;
    e = opening_new(s);
    if (e) {
        tl_stream_free(s);
        return e;
    }
    int fd = -1;
    e = connect_unix(path, &fd, &s->opening->why);
    if (!e && (e = attach(s, fd, NULL, NULL)) != TL_OK) {
        close(fd);
        (void)tl_why_set(&s->opening->why, e, "out of memory");
    }
    if (e) {
        s->opening->error = e;
        tl_loop_defer(loop, &s->later, on_later, s);
    }
    *ret_stream = s;
    return TL_OK;
}

tl_err tl_stream_accepted(tl_loop *loop, int fd, tl_tls *tls, const tl_stream_events *events,
                          void *user, tl_stream **ret_stream)
{
    tl_stream *s = NULL;
    tl_err e = stream_new(loop, events, user, &s);
    if (!e)
        e = attach(s, fd, tls, NULL);
    if (e) {
        close(fd);
        tl_stream_free(s);
        return e;
    }
    *ret_stream = s;
    return TL_OK;
}

void tl_stream_set_events(tl_stream *s, const tl_stream_events *events, void *user)
{
    s->events = *events;
    s->user = user;
}

void tl_stream_free(tl_stream *s)
{
    if (!s || s->freed)
        return;
    s->freed = true;
    tl_defer_cancel(s->loop, &s->later);
    opening_end(s);
    if (s->tls && s->state == STREAM_OPEN && !s->shut)
        tl_tls_end(s->tls);
    tl_tls_session_free(s->tls);
    tl_poll_free(s->poll);
    if (s->fd >= 0)
        close(s->fd);
    s->tls = NULL;
    s->poll = NULL;
    s->fd = -1;
    enter(s);
    leave(s);
}

/* --- reading and writing --- */

tl_err tl_stream_read(tl_stream *s, uint8_t *buf, size_t cap, size_t *ret_n)
{
    assert(cap > 0);
    if (!is_open(s) || s->read_ended)
        return s->read_ended ? TL_ERR_CLOSED : TL_ERR_IO;
    if (s->tls) {
        tl_err e = tl_tls_read(s->tls, buf, cap, ret_n);
        s->read_ended = e == TL_ERR_CLOSED;
        if (e || tl_tls_has_output(s->tls))
            watch(s); /* the peer ended, or TLS has an answer of its own to send */
        return e;
    }
    ssize_t n;
    do
        n = recv(s->fd, buf, cap, 0);
    while (n < 0 && errno == EINTR);
    if (n > 0) {
        *ret_n = (size_t)n;
        return TL_OK;
    }
    if (n < 0)
        return errno == EAGAIN ? TL_ERR_AGAIN : TL_ERR_IO;
    s->read_ended = true;
    watch(s);
    return TL_ERR_CLOSED;
}

tl_err tl_stream_writev(tl_stream *s, const struct iovec *iov, int iovcnt, size_t *ret_n)
{
    if (!is_open(s) || s->shut)
        return TL_ERR_IO;
    if (s->tls) {
        tl_err e = tl_tls_writev(s->tls, iov, iovcnt, ret_n);
        watch(s);
        return e;
    }
    struct msghdr m = {.msg_iov = (struct iovec *)(uintptr_t)iov,
                       .msg_iovlen = (size_t)(iovcnt < IOV_MAX ? iovcnt : IOV_MAX)};
    ssize_t n;
    do
        n = sendmsg(s->fd, &m, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    if (n < 0) /* if the kernel is short of memory, this passes, like a full buffer */
        return errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM ? TL_ERR_AGAIN : TL_ERR_IO;
    *ret_n = (size_t)n;
    return TL_OK;
}

size_t tl_stream_held(const tl_stream *s)
{
    return s->tls ? tl_tls_held(s->tls) : 0;
}

void tl_stream_shutdown(tl_stream *s)
{
    if (!is_open(s) || s->shut)
        return;
    s->shut = true;
    if (s->tls)
        tl_tls_end(s->tls);
    if (!s->tls || !tl_tls_has_output(s->tls))
        shutdown(s->fd, SHUT_WR);
    watch(s);
}

void tl_stream_want_read(tl_stream *s, bool on)
{
    if (s->want_read == on)
        return;
    s->want_read = on;
    watch(s);
    if (on && is_open(s) && s->tls && tl_tls_has_input(s->tls))
        tl_loop_defer(s->loop, &s->later, on_later, s);
}

void tl_stream_want_write(tl_stream *s, bool on)
{
    if (s->want_write == on)
        return;
    s->want_write = on;
    watch(s);
}

static tl_addr address(const tl_stream *s, int (*get)(int, struct sockaddr *, socklen_t *))
{
    struct sockaddr_storage ss = {.ss_family = AF_UNSPEC};
    socklen_t len = sizeof ss;
    if (s->fd < 0 || get(s->fd, (struct sockaddr *)&ss, &len) < 0)
        ss.ss_family = AF_UNSPEC;
    return tl_addr_normal(tl_addr_from_sockaddr((struct sockaddr *)&ss));
}

tl_addr tl_stream_local(const tl_stream *s)
{
    return address(s, getsockname);
}

tl_addr tl_stream_remote(const tl_stream *s)
{
    return address(s, getpeername);
}

int tl_stream_fd(const tl_stream *s)
{
    return s->fd;
}
