#include "relayd/stun.h"

#include "base/log.h"
#include "io/udpserver.h"

#include <stdlib.h>

#define FAMILIES      2
#define ROUNDS_MAX    4  /* batches of one socket before the WebSocket connections get their turn */
#define PORT_TRIES    16 /* a port the kernel chose may be in use on the other address */
#define SOCKETS_OF(s) ((s)->site.n)

typedef struct relayd_site relayd_site;

typedef struct {
    relayd_site *site;
    tl_udpserver *udp;
    tl_poll *poll;
} relayd_udp;

struct relayd_site {
    tl_relayd_stun *stun;
    tl_stun_site site; /* n 0: there is no address of this family */
    relayd_udp sockets[4];
};

struct tl_relayd_stun {
    tl_loop *loop;
    tl_stunserver *server;
    relayd_site sites[FAMILIES]; /* the family that was named first comes first */
};

/* --- traffic --- */

static void handle(relayd_udp *u, const tl_udpserver_datagram *d)
{
    relayd_site *site = u->site;
    tl_relayd_stun *s = site->stun;
    size_t index = (size_t)(u - site->sockets);
    tl_stun_answer answer;
    if (!tl_stunserver_on_datagram(s->server, &site->site, index, &d->from, &d->to, d->bytes,
                                   tl_loop_now(s->loop), &answer))
        return;
    tl_slice bytes = tl_slice_of(answer.message.bytes, answer.message.n);
    tl_err e = tl_udpserver_send(site->sockets[answer.socket].udp, &d->to, &d->from, bytes);
    tl_stunserver_on_sent(s->server, &answer, e == TL_OK);
}

static void on_ready(void *user, int events)
{
    (void)events;
    relayd_udp *u = user;
    tl_udpserver_datagram datagrams[TL_UDPSERVER_BATCH];
    size_t n;
    tl_err e = TL_OK;
    for (int round = 0; round < ROUNDS_MAX; round++) {
        e = tl_udpserver_receive(u->udp, datagrams, &n);
        if (e)
            break;
        for (size_t i = 0; i < n; i++)
            handle(u, &datagrams[i]);
        if (n < TL_UDPSERVER_BATCH)
            break; /* the socket is empty, or the loop will call again */
    }
    if (e == TL_ERR_IO) {
        char text[TL_ADDR_TEXT_MAX];
        tl_addr local = tl_udpserver_local(u->udp);
        tl_addr_write(text, &local);
        tl_log(TL_LOG_ERROR, "UDP %s is broken and not served any more; restart the relay", text);
        tl_poll_set(u->poll, 0);
    }
}

/* --- opening --- */

static void close_socket(relayd_udp *u)
{
    if (u->poll)
        tl_poll_free(u->poll);
    tl_udpserver_close(u->udp);
    *u = (relayd_udp){0};
}

static tl_err open_socket(relayd_site *site, size_t index, tl_addr local, tl_why *why)
{
    relayd_udp *u = &site->sockets[index];
    u->site = site;
    tl_err e = tl_udpserver_open(&local, &u->udp, why);
    if (e)
        return e;
    site->site.addr[index] = tl_udpserver_local(u->udp);
    return TL_OK;
}

/* Opens the same port on both addresses, as sockets `index` and `index` + TL_STUN_OTHER_ADDRESS. */
static tl_err open_pair(relayd_site *site, size_t index, const tl_addr addr[2], uint16_t port,
                        tl_why *why)
{
    tl_err e = TL_ERR_EXISTS;
    for (int i = 0; i < PORT_TRIES && e == TL_ERR_EXISTS; i++) {
        tl_addr a = addr[0], b = addr[1];
        a.port = port;
        e = open_socket(site, index, a, why);
        if (e)
            break;
        b.port = site->site.addr[index].port;
        e = open_socket(site, index + TL_STUN_OTHER_ADDRESS, b, why);
        if (e)
            close_socket(&site->sockets[index]);
        if (port)
            break;
    }
    return e;
}

static tl_err watch(relayd_site *site)
{
    for (size_t i = 0; i < SOCKETS_OF(site); i++) {
        relayd_udp *u = &site->sockets[i];
        tl_err e = tl_poll_new(site->stun->loop, tl_udpserver_fd(u->udp), on_ready, u, &u->poll);
        if (e)
            return e;
        tl_poll_set(u->poll, TL_POLL_READ);
    }
    return TL_OK;
}

static tl_err open_site(relayd_site *site, const tl_addr *addr, size_t n, tl_why *why)
{
    tl_err e;
    if (n == 1) {
        e = open_socket(site, 0, addr[0], why);
    } else {
        uint16_t first = addr[0].port, second = addr[1].port;
        if (first == second && first)
            second++;
        e = open_pair(site, 0, addr, first, why);
        if (!e)
            e = open_pair(site, TL_STUN_OTHER_PORT, addr, second, why);
    }
    if (e)
        return e;
    site->site.n = n == 1 ? 1 : 4;
    e = watch(site);
    return e ? tl_why_set(why, e, "out of memory") : TL_OK;
}

static tl_err open_family(tl_relayd_stun *s, size_t at, tl_addr_family family, const tl_addr *udp,
                          size_t n, tl_why *why)
{
    tl_addr of_family[2];
    size_t count = 0;
    for (size_t i = 0; i < n && count < 2; i++)
        if (udp[i].family == family)
            of_family[count++] = udp[i];
    return count ? open_site(&s->sites[at], of_family, count, why) : TL_OK;
}

tl_err tl_relayd_stun_new(tl_loop *loop, const tl_addr *udp, size_t n, tl_relayd_stun **ret_stun,
                          tl_why *why)
{
    tl_relayd_stun *s = calloc(1, sizeof *s);
    if (!s || tl_stunserver_new(&s->server)) {
        free(s);
        return tl_why_set(why, TL_ERR_NOMEM, "out of memory");
    }
    s->loop = loop;
    for (size_t i = 0; i < FAMILIES; i++)
        s->sites[i].stun = s;
    tl_addr_family first = udp[0].family;
    tl_err e = open_family(s, 0, first, udp, n, why);
    if (!e)
        e = open_family(s, 1, first == TL_ADDR_V4 ? TL_ADDR_V6 : TL_ADDR_V4, udp, n, why);
    if (e) {
        tl_relayd_stun_free(s);
        return e;
    }
    *ret_stun = s;
    return TL_OK;
}

void tl_relayd_stun_stop(tl_relayd_stun *s)
{
    for (size_t i = 0; i < FAMILIES; i++)
        for (size_t k = 0; k < 4; k++)
            close_socket(&s->sites[i].sockets[k]);
}

void tl_relayd_stun_free(tl_relayd_stun *s)
{
    if (!s)
        return;
    tl_relayd_stun_stop(s);
    tl_stunserver_free(s->server);
    free(s);
}

/* --- what others want to know --- */

const tl_stunserver *tl_relayd_stun_server(const tl_relayd_stun *s)
{
    return s->server;
}

tl_addr tl_relayd_stun_addr(const tl_relayd_stun *s)
{
    return s->sites[0].site.addr[0];
}

tl_err tl_relayd_stun_write_ready(const tl_relayd_stun *s, tl_buf *out)
{
    tl_err e = tl_buf_append_str(out, " udp=");
    for (size_t i = 0; i < FAMILIES; i++) {
        for (size_t k = 0; !e && k < SOCKETS_OF(&s->sites[i]); k++) {
            char text[TL_ADDR_TEXT_MAX];
            tl_addr_write(text, &s->sites[i].site.addr[k]);
            e = tl_buf_printf(out, "%s%s", i || k ? "," : "", text);
        }
    }
    return e;
}
