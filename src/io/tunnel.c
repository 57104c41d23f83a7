#include "io/tunnel.h"

#include "io/dial.h"
#include "wire/proxytalk.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define READ_SIZE 4096 /* bytes of one read; an answer is shorter, all but always */

/*  NAMING --addresses--> DIALLING --connected--> TALKING --tunnel--> OVER
 *    (socks5:// alone)        ^---next address---/
 *  OVER also from each of them. */
typedef enum {
    NAMING,   /* socks5://: this machine looks the host up */
    DIALLING, /* no connection to the proxy yet */
    TALKING,  /* the proxy is asked to connect */
    OVER,     /* on_done was called */
} tunnel_state;

struct tl_tunnel {
    tl_loop *loop;
    void (*on_done)(void *user, int fd, tl_err e, const char *why);
    void *user;
    tl_proxy proxy;
    char host[TL_HOST_MAX];
    uint16_t port;
    tunnel_state state;
    tl_resolve *resolve;
    tl_addr addrs[TL_RESOLVE_MAX]; /* of the host; with socks5:// alone */
    size_t n_addrs, at;
    tl_dial *dial;
    int fd; /* -1: none */
    tl_poll *poll;
    tl_proxytalk talk;
    bool talks; /* `talk` was begun */
    tl_buf out;
};

static void set_state(tl_tunnel *t, tunnel_state state)
{
    t->state = state;
}

/* Ends the connection to the proxy, whatever its state. */
static void hang_up(tl_tunnel *t)
{
    tl_dial_free(t->dial);
    t->dial = NULL;
    tl_poll_free(t->poll);
    t->poll = NULL;
    if (t->fd >= 0)
        close(t->fd);
    t->fd = -1;
    if (t->talks)
        tl_proxytalk_clear(&t->talk);
    t->talks = false;
    tl_buf_clear(&t->out);
}

/* The last thing that is done in a callback: the owner may free the tunnel. */
static void fail(tl_tunnel *t, tl_err e, const char *words)
{
    tl_why why;
    (void)tl_why_set(&why, e, "%s", words);
    hang_up(t);
    set_state(t, OVER);
    t->on_done(t->user, -1, e, why.text);
}

static void fail_at_proxy(tl_tunnel *t, tl_err e, const char *words)
{
    char shown[TL_PROXY_SHOWN_MAX];
    tl_why why;
    tl_proxy_show(shown, &t->proxy);
    (void)tl_why_set(&why, e, "the proxy %s: %s", shown, words);
    fail(t, e, why.text);
}

static void succeed(tl_tunnel *t)
{
    int fd = t->fd;
    tl_poll_free(t->poll);
    t->poll = NULL;
    t->fd = -1;
    hang_up(t);
    set_state(t, OVER);
    t->on_done(t->user, fd, TL_OK, NULL);
}

static tl_err send_some(tl_tunnel *t)
{
    while (t->out.len) {
        ssize_t n = send(t->fd, tl_buf_begin(&t->out), t->out.len, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno != EAGAIN)
            return TL_ERR_IO;
        if (n < 0)
            break;
        tl_buf_consume(&t->out, (size_t)n);
    }
    tl_poll_set(t->poll, t->out.len ? TL_POLL_READ | TL_POLL_WRITE : TL_POLL_READ);
    return TL_OK;
}

static void dial_proxy(tl_tunnel *t);

/* The proxy did not connect. It may reach another address of the host. */
static void refused(tl_tunnel *t, tl_err e, const char *words)
{
    if (e == TL_ERR_UNREACHABLE && t->at + 1 < t->n_addrs) {
        hang_up(t);
        t->at++;
        dial_proxy(t);
    } else {
        fail(t, e, words);
    }
}

static void on_ready(void *user, int events)
{
    tl_tunnel *t = user;
    uint8_t bytes[READ_SIZE];
    tl_why why = {""};
    (void)events;
    ssize_t n = recv(t->fd, bytes, sizeof bytes, 0);
    tl_err e = TL_ERR_AGAIN;
    if (n > 0)
        e = tl_proxytalk_on_bytes(&t->talk, tl_slice_of(bytes, (size_t)n), &t->out, &why);
    else if (n == 0)
        e = tl_proxytalk_on_end(&t->talk, &why);
    else if (errno != EAGAIN && errno != EINTR) {
        fail_at_proxy(t, TL_ERR_IO, strerror(errno));
        return;
    }
    if (!e)
        succeed(t);
    else if (e != TL_ERR_AGAIN)
        refused(t, e, why.text);
    else if (send_some(t))
        fail_at_proxy(t, TL_ERR_IO, strerror(errno));
}

static void on_dialled(void *user, int fd, tl_err e, const char *why)
{
    tl_tunnel *t = user;
    char host[TL_ADDR_TEXT_MAX];
    if (e) {
        fail_at_proxy(t, e, why);
        return;
    }
    t->fd = fd;
    if (t->n_addrs)
        tl_addr_write_ip(host, &t->addrs[t->at]);
    e = tl_poll_new(t->loop, fd, on_ready, t, &t->poll);
    if (!e)
        e = tl_proxytalk_start(&t->talk, &t->proxy, t->n_addrs ? host : t->host, t->port, &t->out);
    t->talks = !e;
    set_state(t, TALKING);
    if (e)
        fail(t, e, "out of memory");
    else if (send_some(t))
        fail_at_proxy(t, TL_ERR_IO, strerror(errno));
}

static void dial_proxy(tl_tunnel *t)
{
    set_state(t, DIALLING);
    if (tl_dial_start(t->loop, t->proxy.host, t->proxy.port, on_dialled, t, &t->dial))
        fail(t, TL_ERR_NOMEM, "out of memory");
}

static void on_resolved(void *user, const tl_addr *addrs, size_t n, const char *why)
{
    tl_tunnel *t = user;
    if (!n) {
        fail(t, TL_ERR_UNREACHABLE, why);
        return;
    }
    memcpy(t->addrs, addrs, n * sizeof *addrs);
    t->n_addrs = n;
    dial_proxy(t);
}

tl_err tl_tunnel_start(tl_loop *loop, const tl_proxy *proxy, const char *host, uint16_t port,
                       void (*on_done)(void *user, int fd, tl_err e, const char *why), void *user,
                       tl_tunnel **ret_tunnel)
{
    if (strlen(host) >= TL_HOST_MAX)
        return TL_ERR_TOO_LARGE;
    tl_tunnel *t = calloc(1, sizeof *t);
    if (!t)
        return TL_ERR_NOMEM;
    *t = (tl_tunnel){
        .loop = loop, .on_done = on_done, .user = user, .proxy = *proxy, .port = port, .fd = -1};
    memcpy(t->host, host, strlen(host) + 1);
    tl_err e;
    if (proxy->kind == TL_PROXY_SOCKS5) {
        set_state(t, NAMING);
        e = tl_resolve_start(loop, host, port, on_resolved, t, &t->resolve);
    } else {
        set_state(t, DIALLING);
        e = tl_dial_start(loop, proxy->host, proxy->port, on_dialled, t, &t->dial);
    }
    if (e) {
        free(t);
        return e;
    }
    *ret_tunnel = t;
    return TL_OK;
}

void tl_tunnel_late(const tl_tunnel *t, unsigned seconds, tl_why *why)
{
    char shown[TL_PROXY_SHOWN_MAX];
    tl_proxy_show(shown, &t->proxy);
    if (t->state == TALKING)
        tl_proxytalk_late(&t->talk, seconds, why);
    else if (t->state == NAMING)
        (void)tl_why_set(why, TL_ERR_TIMEOUT, "no name server told where %s is within %u s",
                         t->host, seconds);
    else
        (void)tl_why_set(why, TL_ERR_TIMEOUT, "the proxy %s did not answer within %u s", shown,
                         seconds);
}

void tl_tunnel_free(tl_tunnel *t)
{
    if (!t)
        return;
    tl_resolve_free(t->resolve);
    hang_up(t);
    free(t);
}
