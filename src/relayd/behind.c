#include "relayd/behind.h"

#include "io/tls.h"
#include "relayd/quote.h"
#include "wire/proxyhead.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

struct tl_relayd_door {
    tl_relayd_conn *conn;
    tl_poll *poll;
    tl_tls *tls; /* NULL: plain */
    int fd;
    size_t n; /* bytes of the header that were taken from the socket */
    uint8_t bytes[TL_PROXYHEAD_MAX];
};

/* Once a minute at most: strangers can cause it. */
static void tell(tl_relayd_hub *hub, const tl_addr *from, const char *why, const char *remedy)
{
    char remote[TL_ADDR_TEXT_MAX];
    tl_time now = tl_loop_now(hub->loop);
    if (hub->behind_told && now < hub->behind_told + TL_MIN)
        return;
    hub->behind_told = now;
    tl_addr_write(remote, from);
    tl_log(TL_LOG_WARN, "event=client_address_unusable from=%s why=%s remedy=%s", remote,
           tl_relayd_quote(why).text, tl_relayd_quote(remedy).text);
}

/* The machine is told whose the connection is. False: that address may have no more. */
static bool settle(tl_relayd_conn *c, const tl_addr *client, tl_relay_told told)
{
    tl_relay *relay = c->hub->relay;
    tl_relay_count_told(relay, told);
    c->untold = false;
    return tl_relay_on_told(relay, c->relay, client, tl_loop_now(c->hub->loop)) == TL_OK;
}

/* --- the PROXY header --- */

static void refuse(tl_relayd_door *d, const char *why)
{
    tl_relayd_conn *c = d->conn;
    tl_relay_count_told(c->hub->relay, TL_RELAY_TOLD_MALFORMED);
    tell(c->hub, &c->peer, why,
         "let that proxy send the PROXY protocol, or take it out of --trusted-proxy");
    tl_relayd_conn_doom(c);
}

/* The header is read, and the socket stands behind it. */
static void pass(tl_relayd_door *d, const tl_proxyhead *head)
{
    tl_relayd_conn *c = d->conn;
    int fd = d->fd;
    tl_tls *tls = d->tls;
    if (head->has_client)
        c->peer = head->client;
    bool may = !head->has_client || tl_proxies_has(c->hub->proxies, &c->peer) ||
               settle(c, &c->peer, TL_RELAY_TOLD_CLIENT);
    if (!may) {
        tl_relayd_conn_doom(c);
        return;
    }
    d->fd = -1;
    d->tls = NULL;
    c->door = NULL;
    tl_relayd_door_free(d);
    if (tl_relayd_conn_begin(c, fd, tls))
        tl_relayd_conn_doom(c);
    tl_tls_unref(tls);
}

static void take(tl_relayd_door *d)
{
    tl_proxyhead head;
    tl_slice all;
    ssize_t got = recv(d->fd, d->bytes + d->n, sizeof d->bytes - d->n, MSG_PEEK);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0) {
        tl_relayd_conn_doom(d->conn);
        return;
    }
    all = tl_slice_of(d->bytes, d->n + (size_t)got);
    tl_err e = tl_proxyhead_parse(all, &head);
    if (e && e != TL_ERR_SHORT) {
        refuse(d, e == TL_ERR_TOO_LARGE ? "its PROXY header is too long"
                  : tl_proxyhead_begins(all)
                      ? "its PROXY header is malformed"
                      : "it is trusted, and its connection begins with no PROXY header");
        return;
    }
    /* What belongs to the header leaves the socket, so that a slow sender does not wake us again. */
    size_t end = e ? all.n : head.n;
    if (recv(d->fd, d->bytes + d->n, end - d->n, 0) != (ssize_t)(end - d->n)) {
        tl_relayd_conn_doom(d->conn);
        return;
    }
    d->n = end;
    if (!e)
        pass(d, &head);
}

static void on_ready(void *user, int events)
{
    tl_relayd_door *d = user;
    tl_relayd_hub *hub = d->conn->hub;
    (void)events;
    if (!d->conn->is_doomed)
        take(d);
    tl_relayd_hub_pump(hub);
}

tl_err tl_relayd_door_new(tl_relayd_conn *c, int fd, tl_tls *tls)
{
    tl_relayd_door *d = calloc(1, sizeof *d);
    if (!d || tl_poll_new(c->hub->loop, fd, on_ready, d, &d->poll)) {
        free(d);
        return TL_ERR_NOMEM;
    }
    d->conn = c;
    d->fd = fd;
    d->tls = tls;
    if (tls)
        tl_tls_ref(tls);
    tl_poll_set(d->poll, TL_POLL_READ);
    tl_relay_on_held(c->hub->relay, c->relay, sizeof *d, tl_loop_now(c->hub->loop));
    c->door = d;
    return TL_OK;
}

void tl_relayd_door_free(tl_relayd_door *d)
{
    if (!d)
        return;
    tl_poll_free(d->poll);
    if (d->fd >= 0)
        close(d->fd);
    tl_tls_unref(d->tls);
    free(d);
}

void tl_relayd_behind_refused(tl_relayd_conn *c, tl_slice bytes)
{
    if (!tl_proxyhead_begins(bytes))
        return;
    tl_relay_count_told(c->hub->relay, TL_RELAY_TOLD_UNTRUSTED);
    tell(c->hub, &c->peer,
         c->untold ? "it sends the PROXY protocol, which is not switched on"
                   : "it sends the PROXY protocol, and is not trusted",
         c->untold ? "--proxy-protocol" : "--trusted-proxy with its address, if it is your proxy");
}

/* --- the request --- */

int tl_relayd_behind_request(tl_relayd_conn *c, const tl_http1_head *head)
{
    tl_addr client = c->peer;
    if (!c->untold) {
        size_t count;
        (void)tl_http1_header_find(head, TL_FORWARDED_HEADER, &count);
        if (count)
            tl_relay_count_told(c->hub->relay, TL_RELAY_TOLD_UNTRUSTED);
        return 0;
    }
    tl_err e = tl_forwarded_client(head, c->hub->proxies, &client);
    if (e && e != TL_ERR_NOT_FOUND)
        tell(c->hub, &c->peer,
             e == TL_ERR_PROTO ? "its X-Forwarded-For names no IP address"
                               : "its X-Forwarded-For names too many trusted proxies",
             "let that proxy add the address of its client; until then it counts as one node");
    return settle(c, &client,
                  e == TL_OK              ? TL_RELAY_TOLD_CLIENT
                  : e == TL_ERR_NOT_FOUND ? TL_RELAY_TOLD_NOTHING
                                          : TL_RELAY_TOLD_MALFORMED)
               ? 0
               : 503;
}
