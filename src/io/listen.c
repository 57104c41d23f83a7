/* Listening sockets, TCP and Unix: binds them, and hands over what connects (io/stream.h). */
#include "io/bound.h"
#include "io/stream.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define ACCEPT_ROUND_MAX 64            /* accepted in one turn; then they get their turn */
#define ACCEPT_REST_NS   (100 * TL_MS) /* without descriptors: some may be closed meanwhile */

struct tl_listener {
    tl_loop *loop;
    tl_poll *poll;
    void (*on_accept)(void *user, int fd, const tl_addr *remote);
    void *user;
    tl_timer rest;
    int fd;
    bool in_accept, freed;
    char *path; /* of a Unix socket; removed at the end if it is still our socket */
    dev_t dev;
    ino_t ino;
};

static void on_rested(void *user)
{
    tl_listener *l = user;
    tl_poll_set(l->poll, TL_POLL_READ);
}

/* True: accepting may go on at once. */
static bool accept_one(tl_listener *l)
{
    struct sockaddr_storage ss = {.ss_family = AF_UNSPEC};
    socklen_t len = sizeof ss;
    int fd = accept4(l->fd, (struct sockaddr *)&ss, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            tl_poll_set(l->poll, 0);
            tl_timer_set(&l->rest, tl_loop_now(l->loop) + ACCEPT_REST_NS);
            return false;
        }
        return errno != EAGAIN; /* other errors belong to that one connection, which is over */
    }
    tl_addr remote = tl_addr_normal(tl_addr_from_sockaddr((struct sockaddr *)&ss));
    if (remote.family != TL_ADDR_NONE) {
        int on = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }
    l->on_accept(l->user, fd, &remote);
    return !l->freed;
}

static void on_ready(void *user, int events)
{
    (void)events;
    tl_listener *l = user;
    l->in_accept = true;
    for (int i = 0; i < ACCEPT_ROUND_MAX && accept_one(l); i++)
        ;
    l->in_accept = false;
    if (l->freed)
        free(l);
}

/* Takes over `fd`, which is bound, even when the call fails. */
static tl_err start(tl_loop *loop, int fd, int backlog,
                    void (*on_accept)(void *user, int fd, const tl_addr *remote), void *user,
                    tl_listener **ret_listener, tl_why *why)
{
    tl_listener *l = calloc(1, sizeof *l);
    if (l && listen(fd, backlog) < 0) {
        int error = errno;
        close(fd);
        free(l);
        return tl_why_set(why, error == EADDRINUSE ? TL_ERR_EXISTS : TL_ERR_IO, "cannot listen: %s",
                          strerror(error));
    }
    if (!l || tl_poll_new(loop, fd, on_ready, l, &l->poll)) {
        close(fd);
        free(l);
        return tl_why_set(why, TL_ERR_NOMEM, "out of memory");
    }
    l->loop = loop;
    l->on_accept = on_accept;
    l->user = user;
    l->fd = fd;
    tl_timer_init(&l->rest, loop, on_rested, l);
    tl_poll_set(l->poll, TL_POLL_READ);
    *ret_listener = l;
    return TL_OK;
}

static tl_err bind_failed(const tl_addr *addr, int error, tl_why *why)
{
    return tl_bound_failed("listen on", "-ltnp", addr, error, why);
}

static tl_err listen_tcp(tl_loop *loop, const tl_addr *addr, int backlog, bool shared,
                         void (*on_accept)(void *user, int fd, const tl_addr *remote), void *user,
                         tl_listener **ret_listener, tl_why *why)
{
    struct sockaddr_storage ss;
    socklen_t len = tl_addr_to_sockaddr(addr, &ss);
    int on = 1, fd = socket(ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return bind_failed(addr, errno, why);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (shared)
        setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    if (ss.ss_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&ss, len) < 0) {
        int error = errno;
        close(fd);
        return bind_failed(addr, error, why);
    }
    tl_err e = start(loop, fd, backlog, on_accept, user, ret_listener, why);
    return e == TL_ERR_EXISTS ? bind_failed(addr, EADDRINUSE, why) : e;
}

tl_err tl_listen(tl_loop *loop, const tl_addr *addr, int backlog,
                 void (*on_accept)(void *user, int fd, const tl_addr *remote), void *user,
                 tl_listener **ret_listener, tl_why *why)
{
    return listen_tcp(loop, addr, backlog, false, on_accept, user, ret_listener, why);
}

tl_err tl_listen_shared(tl_loop *loop, const tl_addr *addr, int backlog, bool again,
                        void (*on_accept)(void *user, int fd, const tl_addr *remote), void *user,
                        tl_listener **ret_listener, tl_why *why)
{
    if (!again) { /* the kernel would let another process of this user have the port, too */
        tl_listener *alone = NULL;
        tl_err e = listen_tcp(loop, addr, backlog, false, on_accept, user, &alone, why);
        if (e)
            return e;
        tl_listener_free(alone);
    }
    return listen_tcp(loop, addr, backlog, true, on_accept, user, ret_listener, why);
}

/* --- Unix sockets --- */

/* True: nobody answers at the socket. */
static bool is_stale(const struct sockaddr_un *sun)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    bool stale =
        connect(fd, (const struct sockaddr *)sun, sizeof *sun) < 0 && errno == ECONNREFUSED;
    close(fd);
    return stale;
}

static tl_err bind_unix(int fd, const struct sockaddr_un *sun, tl_why *why)
{
    struct stat st;
    if (bind(fd, (const struct sockaddr *)sun, sizeof *sun) == 0)
        return TL_OK;
    if (errno != EADDRINUSE)
        return tl_why_file(why, "make the socket", sun->sun_path, errno);
    if (lstat(sun->sun_path, &st) == 0 && !S_ISSOCK(st.st_mode))
        return tl_why_set(why, TL_ERR_EXISTS, "%s exists and is not a socket; it was left alone",
                          sun->sun_path);
    if (!is_stale(sun))
        return tl_why_set(why, TL_ERR_EXISTS, "another process answers at %s", sun->sun_path);
    if (unlink(sun->sun_path) < 0 || bind(fd, (const struct sockaddr *)sun, sizeof *sun) < 0)
        return tl_why_file(why, "replace the socket", sun->sun_path, errno);
    return TL_OK;
}

tl_err tl_listen_unix(tl_loop *loop, const char *path, int backlog,
                      void (*on_accept)(void *user, int fd, const tl_addr *remote), void *user,
                      tl_listener **ret_listener, tl_why *why)
{
    struct sockaddr_un sun = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof sun.sun_path)
        return tl_why_set(
            why, TL_ERR_INVALID,
            "the socket path %s is longer than %zu characters; choose a shorter directory", path,
            sizeof sun.sun_path - 1);
    memcpy(sun.sun_path, path, strlen(path));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return tl_why_set(why, TL_ERR_IO, "no socket: %s", strerror(errno));
    fchmod(
        fd,
        0600); /* Linux gives the socket's file this mode, so there is no moment in which others can
                  connect */
    tl_err e = bind_unix(fd, &sun, why);
    if (e) {
        close(fd);
        return e;
    }
    struct stat st;
    char *copy = strdup(path);
    if (!copy || lstat(path, &st) < 0) {
        close(fd);
        unlink(path);
        free(copy);
        return tl_why_set(why, TL_ERR_IO, "cannot make the socket %s", path);
    }
    tl_listener *l = NULL;
    e = start(loop, fd, backlog, on_accept, user, &l, why);
    if (e || !l) {
        unlink(path);
        free(copy);
        return e;
    }
    l->path = copy;
    l->dev = st.st_dev;
    l->ino = st.st_ino;
    *ret_listener = l;
    return TL_OK;
}

/* --- both --- */

tl_addr tl_listener_addr(const tl_listener *l)
{
    struct sockaddr_storage ss = {.ss_family = AF_UNSPEC};
    socklen_t len = sizeof ss;
    if (getsockname(l->fd, (struct sockaddr *)&ss, &len) < 0)
        ss.ss_family = AF_UNSPEC;
    return tl_addr_from_sockaddr((struct sockaddr *)&ss);
}

void tl_listener_free(tl_listener *l)
{
    struct stat st;
    if (!l || l->freed)
        return;
    tl_timer_stop(&l->rest);
    tl_poll_free(l->poll);
    close(l->fd);
    if (l->path && lstat(l->path, &st) == 0 && st.st_dev == l->dev && st.st_ino == l->ino)
        unlink(l->path);
    free(l->path);
    l->freed = true;
    if (!l->in_accept)
        free(l);
}
