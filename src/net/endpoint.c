#include "net/endpoint.h"

#include "base/log.h"
#include "net/burstsend.h"
#include "net/kinds.h"
#include "net/portfile.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define BUFFER       (4u << 20)  /* of each socket of the port: 4 MiB wait for a busy loop */
#define BUFFER_EXTRA (16u << 10) /* of each socket of the search: it carries some hundred bytes */
#define PORT_TRIES   16          /* tries of any port, until one is free in both families */
#define BURSTS_MAX   16          /* in one call: their pieces are on the stack, 16 KiB */
#define BATCHES_MAX  2 /* receive calls in one turn, 1 MiB each; then others have theirs */
#define REBUILD_PACE (1 * TL_SEC) /* between two attempts to open a socket that works */

#define FAMILIES 2 /* slot 0: IPv4; slot 1: IPv6; the others are the search's */
#define SLOTS    (FAMILIES + TL_ENDPOINT_EXTRA_MAX)
#define SLOT_BITS                                                                                  \
    9 /* the slot in a tl_sock; the other bits count, so that an old tl_sock never names a new
         socket */
#define GENERATIONS ((UINT32_C(1) << (TL_SOCK_LOCAL_SHIFT - SLOT_BITS)) - 1)
_Static_assert(SLOTS < 1 << SLOT_BITS, "a tl_sock names its slot");

/* An address of this machine that was not used for this long may be forgotten when there are more
 * than TL_SOCK_LOCALS_MAX: a way in use is asked far more often. IPv6 takes a new one each day. */
#define LOCAL_UNUSED (60 * TL_MIN)

typedef struct {
    tl_addr addr; /* without a port */
    tl_time used_at;
} local_address;

typedef struct {
    tl_endpoint *endpoint;
    tl_sock sock; /* 0: there is none; `udp` may still wait to be closed */
    tl_udp *udp;
    tl_poll *poll;
    tl_addr_family family;
} slot;

struct tl_endpoint {
    tl_loop *loop;
    tl_endpoint_events events;
    void *user;
    const char *port_file;
    uint16_t port;
    bool configured; /* the user chose the port */
    tl_defer sweep_soon;
    tl_timer rebuild_due;
    tl_time rebuilt_at[FAMILIES];
    bool rebuild[FAMILIES];
    bool told_family[FAMILIES]; /* it was logged why there is no such socket */
    uint32_t generation;
    tl_endpoint_counters counters;
    size_t n_locals;
    local_address locals[TL_SOCK_LOCALS_MAX];
    slot slots[SLOTS];
};

static slot *slot_of(tl_endpoint *e, tl_sock sock)
{
    size_t i = sock & ((1u << SLOT_BITS) - 1);
    return sock && i < SLOTS && e->slots[i].sock == tl_sock_base(sock) ? &e->slots[i] : NULL;
}

/* --- the addresses of this machine --- */

/* The place of a new address; NULL: all are in use. */
static local_address *local_room(tl_endpoint *e, tl_time now)
{
    local_address *oldest = &e->locals[0];
    if (e->n_locals < TL_SOCK_LOCALS_MAX)
        return &e->locals[e->n_locals++];
    for (size_t i = 1; i < e->n_locals; i++)
        if (e->locals[i].used_at < oldest->used_at)
            oldest = &e->locals[i];
    return now >= oldest->used_at + LOCAL_UNUSED ? oldest : NULL;
}

/* The socket, with the address that a datagram came to. */
static tl_sock sock_at(slot *s, const tl_addr *to)
{
    tl_endpoint *e = s->endpoint;
    tl_time now = tl_loop_now(e->loop);
    local_address *l = NULL;
    if (s - e->slots >= FAMILIES || to->family != s->family)
        return s->sock;
    for (size_t i = 0; i < e->n_locals && !l; i++)
        if (tl_addr_same_ip(&e->locals[i].addr, to) && e->locals[i].addr.scope == to->scope)
            l = &e->locals[i];
    if (!l) {
        l = local_room(e, now);
        if (!l)
            return s->sock;
        l->addr = *to;
        l->addr.port = 0;
    }
    l->used_at = now;
    return s->sock | (tl_sock)(l - e->locals + 1) << TL_SOCK_LOCAL_SHIFT;
}

/* The address to send from; NULL: the kernel chooses. */
static const tl_addr *local_of(tl_endpoint *e, tl_sock sock)
{
    size_t i = sock >> TL_SOCK_LOCAL_SHIFT;
    if (i == 0 || i > e->n_locals)
        return NULL;
    e->locals[i - 1].used_at = tl_loop_now(e->loop);
    return &e->locals[i - 1].addr;
}

/* --- telling datagrams apart --- */

static void take_stun(slot *s, tl_sock sock, const tl_addr *from, tl_slice datagram)
{
    tl_endpoint *e = s->endpoint;
    tl_stun stun;
    if (!tl_stun_is(datagram))
        e->counters.dropped_unknown++;
    else if (tl_stun_read(datagram, &stun))
        e->counters.dropped_malformed++;
    else
        e->events.on_stun(e->user, sock, from, datagram, &stun);
}

static bool take_control(slot *s, tl_sock sock, const tl_addr *from, tl_slice datagram)
{
    tl_endpoint *e = s->endpoint;
    return e->events.on_control && e->events.on_control(e->user, sock, from, datagram);
}

/* The DHT knows us by the port. */
static bool take_krpc(slot *s, tl_sock sock, const tl_addr *from, tl_slice datagram)
{
    tl_endpoint *e = s->endpoint;
    return s - e->slots < FAMILIES && e->events.on_krpc &&
           e->events.on_krpc(e->user, sock, from, datagram);
}

static void take_other(slot *s, tl_sock sock, const tl_addr *from, tl_slice datagram)
{
    tl_endpoint_counters *c = &s->endpoint->counters;
    switch (tl_datagram_kind_of(datagram.p, datagram.n)) {
    case TL_DATAGRAM_SHORT: c->dropped_short++; break;
    case TL_DATAGRAM_STUN: take_stun(s, sock, from, datagram); break;
    case TL_DATAGRAM_CONTROL: c->dropped_control += !take_control(s, sock, from, datagram); break;
    case TL_DATAGRAM_KRPC: c->dropped_krpc += !take_krpc(s, sock, from, datagram); break;
    case TL_DATAGRAM_TOKEN: /* nobody takes them */
    case TL_DATAGRAM_QUIC:  /* it went on with its train */
    case TL_DATAGRAM_UNKNOWN: c->dropped_unknown++; break;
    }
}

/* How many bytes from the front are datagrams of this kind. */
static size_t run_of(const uint8_t *data, size_t n, size_t step, tl_datagram_kind kind)
{
    size_t end = 0;
    while (end < n && tl_datagram_kind_of(data + end, n - end < step ? n - end : step) == kind)
        end += step;
    return end < n ? end : n;
}

/* True: these relayed packets are somebody's. */
static bool take_tokens(slot *s, const tl_udp_train *t, const tl_addr *from, size_t at, size_t n)
{
    tl_endpoint *e = s->endpoint;
    size_t family = (size_t)(s - e->slots);
    tl_burst_way way = {.remote = *from, .local = t->to, .socket = (uint8_t)family};
    way.local.port = e->port;
    return n && family < FAMILIES && e->events.on_tokens &&
           e->events.on_tokens(e->user, &way, t->data + at, n, t->segment);
}

/* Hands a train on. Nearly always it is of one kind and goes on whole. But anybody may have sent
 * it, and a datagram of another kind inside it must not pass as the wrong kind. */
static void take_train(slot *s, const tl_udp_train *t)
{
    tl_endpoint *e = s->endpoint;
    tl_sock base = s->sock, sock = sock_at(s, &t->to);
    tl_addr from = tl_addr_normal(t->from);
    size_t step = t->segment ? t->segment : 1;
    e->counters.bytes_in += t->n;
    e->counters.datagrams_in += t->n ? (t->n + step - 1) / step : 1;
    if (t->n == 0)
        take_other(s, sock, &from, tl_slice_of(t->data, 0));
    for (size_t at = 0; at < t->n && s->sock == base;) {
        size_t n = run_of(t->data + at, t->n - at, step, TL_DATAGRAM_QUIC);
        if (n) {
            e->events.on_train(e->user, sock, &from, t->data + at, n, step);
            at += n;
            continue;
        }
        n = run_of(t->data + at, t->n - at, step, TL_DATAGRAM_TOKEN);
        if (take_tokens(s, t, &from, at, n)) {
            at += n;
            continue;
        }
        n = t->n - at < step ? t->n - at : step;
        take_other(s, sock, &from, tl_slice_of(t->data + at, n));
        at += n;
    }
}

/* --- sockets that come and go --- */

static void sweep(void *user)
{
    tl_endpoint *e = user;
    for (size_t i = 0; i < SLOTS; i++)
        if (!e->slots[i].sock && e->slots[i].udp) {
            tl_poll_free(e->slots[i].poll);
            tl_udp_close(e->slots[i].udp);
            e->slots[i].poll = NULL;
            e->slots[i].udp = NULL;
        }
}

/* Takes a socket out of use. Its trains may still be in use now, so it is closed after the input of
 * this turn has been handled. */
static void retire(slot *s)
{
    s->sock = 0;
    if (s->poll)
        tl_poll_set(s->poll, 0);
    tl_loop_defer(s->endpoint->loop, &s->endpoint->sweep_soon, sweep, s->endpoint);
}

static void want_rebuilt(tl_endpoint *e, size_t family)
{
    e->rebuild[family] = true;
    tl_time now = tl_loop_now(e->loop);
    tl_time at = e->rebuilt_at[family] ? e->rebuilt_at[family] + REBUILD_PACE : now;
    tl_timer_set(&e->rebuild_due, tl_time_min(e->rebuild_due.at, at > now ? at : now));
}

static void broke(slot *s)
{
    tl_endpoint *e = s->endpoint;
    size_t i = (size_t)(s - e->slots);
    tl_log(TL_LOG_WARN, "the UDP socket of port %u broke (%s)%s", tl_udp_local(s->udp).port,
           strerror(errno), i < FAMILIES ? "; opening it anew" : "");
    retire(s);
    if (i < FAMILIES)
        want_rebuilt(e, i);
}

static void on_ready(void *user, int events)
{
    slot *s = user;
    tl_sock sock = s->sock;
    (void)events;
    for (int batch = 0; batch < BATCHES_MAX && sock && s->sock == sock; batch++) {
        tl_udp_train trains[TL_UDP_TRAINS_MAX];
        size_t n;
        tl_err e = tl_udp_receive(s->udp, trains, &n);
        if (e == TL_ERR_IO && errno != ENOMEM && errno != ENETDOWN)
            broke(s);
        if (e)
            return;
        tl_endpoint *endpoint = s->endpoint;
        for (size_t i = 0; i < n && s->sock == sock; i++)
            take_train(s, &trains[i]);
        if (endpoint->events.on_read)
            endpoint->events.on_read(endpoint->user);
        if (n < TL_UDP_TRAINS_MAX)
            return;
    }
}

/* Any open socket. All share one receive buffer: no socket is read while the trains of another are
 * in use. */
static const tl_udp *any_udp(const tl_endpoint *e)
{
    for (size_t i = 0; i < SLOTS; i++)
        if (e->slots[i].udp)
            return e->slots[i].udp;
    return NULL;
}

/* Opens a socket into an empty slot. TL_ERR_EXISTS, TL_ERR_IO (with `why`), TL_ERR_NOMEM. */
static tl_err slot_open(tl_endpoint *e, size_t i, uint16_t port, tl_why *why)
{
    slot *s = &e->slots[i];
    tl_addr any = {.family = i == 1 ? TL_ADDR_V6 : TL_ADDR_V4, .port = port};
    size_t bytes = i < FAMILIES ? BUFFER : BUFFER_EXTRA;
    const tl_udp *other = any_udp(e);
    tl_err err = other ? tl_udp_open_beside(&any, bytes, other, &s->udp, why)
                       : tl_udp_open(&any, bytes, &s->udp, why);
    if (err)
        return err;
    err = tl_poll_new(e->loop, tl_udp_fd(s->udp), on_ready, s, &s->poll);
    if (err) {
        tl_udp_close(s->udp);
        s->udp = NULL;
        return err;
    }
    tl_poll_set(s->poll, TL_POLL_READ);
    s->endpoint = e;
    s->family = any.family;
    e->generation = e->generation % GENERATIONS + 1;
    s->sock = (tl_sock)(e->generation << SLOT_BITS | i);
    return TL_OK;
}

/* --- the port --- */

static void told_none(tl_endpoint *e, size_t family, const tl_why *why)
{
    if (!e->told_family[family])
        tl_log(TL_LOG_INFO, "no %s socket: %s", family ? "IPv6" : "IPv4", why->text);
    e->told_family[family] = true;
}

/* Opens both families on one port, or one family if the machine has no other. `port` 0: any. */
static tl_err open_both(tl_endpoint *e, uint16_t port, tl_why *why)
{
    tl_why why4 = {""}, why6 = {""};
    tl_err e4 = slot_open(e, 0, port, &why4);
    if (e4 && e4 != TL_ERR_IO) {
        *why = why4;
        return e4;
    }
    if (!e4)
        port = tl_udp_local(e->slots[0].udp).port;
    tl_err e6 = slot_open(e, 1, port, &why6);
    if (e6 && (e4 || e6 != TL_ERR_IO)) {
        retire(&e->slots[0]);
        sweep(e);
        *why = why6;
        return e6;
    }
    if (e4)
        told_none(e, 0, &why4);
    if (e6)
        told_none(e, 1, &why6);
    e->port = e4 ? tl_udp_local(e->slots[1].udp).port : port;
    return TL_OK;
}

static tl_err open_any(tl_endpoint *e, tl_why *why)
{
    tl_err err = TL_ERR_EXISTS;
    for (int i = 0; i < PORT_TRIES && err == TL_ERR_EXISTS; i++)
        err = open_both(e, 0, why);
    return err;
}

static void keep_port(tl_endpoint *e)
{
    tl_why why;
    if (e->port_file && tl_portfile_write(e->port_file, e->port, &why))
        tl_log(TL_LOG_WARN, "%s", why.text);
}

static tl_err open_port(tl_endpoint *e, uint16_t configured, tl_why *why)
{
    if (configured) {
        tl_err err = open_both(e, configured, why);
        if (err == TL_ERR_EXISTS)
            return tl_why_set(why, err,
                              "UDP port %u is in use by another program; choose another "
                              "(udp_port), or 0 for any",
                              configured);
        return err;
    }
    uint16_t kept = e->port_file ? tl_portfile_read(e->port_file) : 0;
    tl_err err = kept ? open_both(e, kept, why) : TL_ERR_EXISTS;
    if (err != TL_OK) {
        err = open_any(e, why);
        if (!err && kept)
            tl_log(TL_LOG_WARN, "UDP port %u of last time is not available; now it is %u", kept,
                   e->port);
    }
    if (!err)
        keep_port(e);
    return err;
}

/* --- rebuilding --- */

static void rebuild_one(tl_endpoint *e, size_t family)
{
    tl_why why = {""};
    e->rebuilt_at[family] = tl_loop_now(e->loop);
    tl_err err = slot_open(e, family, e->port, &why);
    if (err == TL_ERR_EXISTS && !e->configured && !e->slots[!family].sock) {
        err = slot_open(e, family, 0, &why); /* another program took the port, and we may use any
                                                other */
        if (!err) {
            e->port = tl_udp_local(e->slots[family].udp).port;
            keep_port(e);
        }
    }
    if (!err) {
        e->rebuild[family] = false;
        e->told_family[family] = false;
        e->counters.rebuilt++;
        return;
    }
    told_none(e, family, &why);
    want_rebuilt(e, family);
}

static void on_rebuild_due(void *user)
{
    tl_endpoint *e = user;
    uint64_t before = e->counters.rebuilt;
    sweep(e);
    for (size_t i = 0; i < FAMILIES; i++)
        if (e->rebuild[i])
            rebuild_one(e, i);
    if (e->counters.rebuilt != before)
        e->events.on_rebuilt(e->user);
}

void tl_endpoint_refresh(tl_endpoint *e)
{
    for (size_t i = 0; i < FAMILIES; i++)
        if (!e->slots[i].sock && !e->slots[i].udp && !e->rebuild[i]) {
            tl_why why = {""};
            if (slot_open(e, i, e->port, &why))
                continue; /* it still fails: the next change of the network tries again */
            e->told_family[i] = false;
            e->counters.rebuilt++;
            e->events.on_rebuilt(e->user);
        }
}

/* --- life --- */

tl_err tl_endpoint_new(tl_loop *loop, const tl_endpoint_config *config,
                       const tl_endpoint_events *events, void *user, tl_endpoint **ret_endpoint,
                       tl_why *why)
{
    tl_endpoint *e = calloc(1, sizeof *e);
    if (!e)
        return tl_why_set(why, TL_ERR_NOMEM, "out of memory");
    e->loop = loop;
    e->events = *events;
    e->user = user;
    e->port_file = config->port_file;
    e->configured = config->port != 0;
    for (size_t i = 0; i < SLOTS; i++)
        e->slots[i].endpoint = e;
    tl_timer_init(&e->rebuild_due, loop, on_rebuild_due, e);
    tl_err err = open_port(e, config->port, why);
    if (err) {
        tl_endpoint_free(e);
        return err;
    }
    *ret_endpoint = e;
    return TL_OK;
}

void tl_endpoint_free(tl_endpoint *e)
{
    if (!e)
        return;
    tl_timer_stop(&e->rebuild_due);
    tl_defer_cancel(e->loop, &e->sweep_soon);
    for (size_t i = 0; i < SLOTS; i++)
        e->slots[i].sock = 0;
    sweep(e);
    free(e);
}

/* --- sending --- */

/* Is the socket broken, or is only the address of this datagram wrong? */
static bool is_broken(int error)
{
    return error == EBADF || error == ENOTSOCK || error == ECONNABORTED || error == EPIPE ||
           error == ENOTCONN;
}

tl_err tl_endpoint_send(tl_endpoint *e, tl_sock sock, const tl_addr *to, const uint8_t *data,
                        size_t n, size_t segment)
{
    return tl_endpoint_send_prefixed(e, sock, to, tl_slice_of(NULL, 0), data, n, segment);
}

tl_err tl_endpoint_send_prefixed(tl_endpoint *e, tl_sock sock, const tl_addr *to, tl_slice prefix,
                                 const uint8_t *data, size_t n, size_t segment)
{
    slot *s = slot_of(e, sock);
    if (!s)
        return TL_ERR_NOT_FOUND;
    if (n == 0)
        return TL_OK;
    tl_err err = TL_ERR_UNREACHABLE;
    if (to->family == s->family && to->port)
        err = tl_udp_send_prefixed(s->udp, local_of(e, sock), to, prefix, data, n, segment);
    if (!err) {
        size_t count = (n + segment - 1) / segment;
        e->counters.datagrams_out += count;
        e->counters.bytes_out += n + count * prefix.n;
    } else if (err == TL_ERR_TOO_LARGE)
        e->counters.too_large++;
    else if (err != TL_ERR_AGAIN)
        e->counters.send_errors++;
    if (err == TL_ERR_IO && is_broken(errno))
        broke(s);
    return err;
}

bool tl_endpoint_way(tl_endpoint *e, tl_sock sock, const tl_addr *from, tl_burst_way *ret_way)
{
    const slot *s = slot_of(e, sock);
    const tl_addr *local = local_of(e, sock);
    if (!s || s - e->slots >= FAMILIES || !local)
        return false;
    *ret_way = (tl_burst_way){.remote = *from, .local = *local, .socket = (uint8_t)(s - e->slots)};
    ret_way->local.port = e->port;
    return true;
}

void tl_endpoint_send_bursts(tl_endpoint *e, const tl_bursts *bursts)
{
    tl_udp *udp[FAMILIES];
    for (size_t i = 0; i < FAMILIES; i++)
        udp[i] = e->slots[i].sock ? e->slots[i].udp : NULL;
    e->counters.bytes_out += tl_burstsend(udp, FAMILIES, bursts, &e->counters.datagrams_out);
}

/* --- the search's sockets --- */

size_t tl_endpoint_open(tl_endpoint *e, tl_sock *ret_socks, size_t n)
{
    size_t count = 0;
    for (size_t i = FAMILIES; i < SLOTS && count < n; i++) {
        tl_why why;
        if (e->slots[i].sock || e->slots[i].udp)
            continue;
        if (slot_open(e, i, 0, &why)) {
            tl_log(TL_LOG_DEBUG, "only %zu of %zu sockets: %s", count, n, why.text);
            break;
        }
        ret_socks[count++] = e->slots[i].sock;
    }
    return count;
}

void tl_endpoint_close(tl_endpoint *e, tl_sock sock)
{
    slot *s = slot_of(e, sock);
    if (s && s - e->slots >= FAMILIES)
        retire(s);
}

/* --- asked --- */

tl_sock tl_endpoint_sock4(const tl_endpoint *e)
{
    return e->slots[0].sock;
}

tl_sock tl_endpoint_sock6(const tl_endpoint *e)
{
    return e->slots[1].sock;
}

uint16_t tl_endpoint_port(const tl_endpoint *e)
{
    return e->port;
}

const tl_endpoint_counters *tl_endpoint_counters_of(const tl_endpoint *e)
{
    return &e->counters;
}
