#include "relayd/udp.h"

#include "base/log.h"
#include "io/udp.h"
#include "relayd/hub.h"

#include <assert.h>
#include <stdlib.h>

#define FAMILIES      2
#define BUFFER_BYTES  (4u << 20) /* asked of the kernel: 30 ms of datagrams at 1 Gbit/s */
#define ROUNDS_MAX    4  /* batches of one socket before the WebSocket connections get their turn */
#define PORT_TRIES    16 /* a port the kernel chose may be in use on the other address */
#define SOCKETS_OF(s) ((s)->site.n)
#define SITE_SOCKETS  4

typedef struct relayd_site relayd_site;

typedef struct {
    relayd_site *site;
    tl_udp *udp;
    tl_poll *poll;
    bool wildcard; /* it must say from which address it answers */
} relayd_socket;

struct relayd_site {
    tl_relayd_udp *owner;
    tl_stun_site site; /* n 0: there is no address of this family */
    relayd_socket sockets[SITE_SOCKETS];
};

struct tl_relayd_udp {
    tl_loop *loop;
    tl_relayd_hub *hub; /* NULL: not attached yet */
    tl_stunserver *stun;
    unsigned index, loops;       /* which of the loops that share the addresses */
    relayd_site sites[FAMILIES]; /* the family that was named first comes first */
    struct iovec pieces[TL_UDP_MESSAGES_MAX][TL_BURST_SEGMENTS_MAX]; /* of what is being sent */
};

/* --- traffic --- */

/* The number that tells a socket in a tl_burst_way. */
static uint8_t number_of(const relayd_socket *u)
{
    size_t site = (size_t)(u->site - u->site->owner->sites);
    return (uint8_t)(site * SITE_SOCKETS + (size_t)(u - u->site->sockets));
}

static relayd_socket *socket_of(tl_relayd_udp *s, uint8_t number)
{
    return &s->sites[number / SITE_SOCKETS].sockets[number % SITE_SOCKETS];
}

static void ask_stun(relayd_socket *u, const tl_udp_train *t, tl_slice datagram)
{
    relayd_site *site = u->site;
    tl_relayd_udp *s = site->owner;
    size_t index = (size_t)(u - site->sockets);
    tl_stun_answer answer;
    if (!tl_stunserver_on_datagram(s->stun, &site->site, index, &t->from, &t->to, datagram,
                                   tl_loop_now(s->loop), &answer))
        return;
    relayd_socket *from = &site->sockets[answer.socket];
    tl_err e = tl_udp_send_from(from->udp, from->wildcard ? &t->to : NULL, &t->from,
                                answer.message.bytes, answer.message.n, answer.message.n);
    tl_stunserver_on_sent(s->stun, &answer, e == TL_OK);
}

/* The loop that a datagram is for, by its token. The kernel steers by the first datagram of a train, and
 * does not find the token of a control datagram. */
static unsigned loop_of(const tl_relayd_udp *s, tl_slice datagram)
{
    tl_control c;
    if (datagram.n >= TL_TOKEN_SIZE && tl_token_is_first(datagram.p[0]))
        return datagram.p[1] % s->loops;
    if (!tl_control_is(datagram) || tl_control_parse(datagram, &c) ||
        (c.type != TL_CONTROL_RELAY_MIGRATE && c.type != TL_CONTROL_RELAY_PATH_REPLY))
        return s->index;
    return c.token[1] % s->loops;
}

/* What is for another loop goes there. False: it is for this one. */
static bool pass_on(const relayd_socket *u, const tl_burst_way *way, tl_slice datagram)
{
    const tl_relayd_udp *s = u->site->owner;
    if (s->loops < 2 || !s->hub->pass)
        return false;
    unsigned loop = loop_of(s, datagram);
    if (loop == s->index)
        return false;
    s->hub->pass(s->hub->fed_user, loop, way, datagram);
    return true;
}

/* Does the datagram at the front belong to a run of them for this relay? `is_first`: pass_on has looked at it. */
static bool goes_on(const tl_relayd_udp *s, tl_slice datagram, bool is_first)
{
    return tl_relay_takes(datagram.p[0]) &&
           (is_first || s->loops < 2 || loop_of(s, datagram) == s->index);
}

/* The kernel joins datagrams of one sender whatever they hold, so each is looked at. Those for the
 * relay that stand together go to it together. */
static void take(relayd_socket *u, const tl_udp_train *t)
{
    tl_relayd_udp *s = u->site->owner;
    tl_burst_way way = {.remote = t->from, .local = t->to, .socket = number_of(u)};
    size_t at = 0, segment = t->segment ? t->segment : 1;
    if (t->n == 0)
        ask_stun(u, t, tl_slice_of(NULL, 0));
    while (at < t->n) {
        size_t end = at, alone = t->n - at < segment ? t->n - at : segment;
        if (pass_on(u, &way, tl_slice_of(t->data + at, alone))) {
            at += alone;
            continue;
        }
        while (end < t->n) {
            size_t n = t->n - end < segment ? t->n - end : segment;
            if (!goes_on(s, tl_slice_of(t->data + end, n), end == at))
                break;
            end += segment;
        }
        if (end > t->n)
            end = t->n;
        if (end > at) {
            tl_relay_on_datagrams(s->hub->relay, &way, t->data + at, end - at, segment,
                                  tl_loop_now(s->loop));
            at = end;
        } else {
            size_t n = t->n - at < segment ? t->n - at : segment;
            ask_stun(u, t, tl_slice_of(t->data + at, n));
            at += n;
        }
    }
}

static void on_ready(void *user, int events)
{
    (void)events;
    relayd_socket *u = user;
    tl_relayd_hub *hub = u->site->owner->hub;
    tl_udp_train trains[TL_UDP_TRAINS_MAX];
    size_t n;
    tl_err e = TL_OK;
    for (int round = 0; round < ROUNDS_MAX && u->udp; round++) {
        e = tl_udp_receive(u->udp, trains, &n);
        if (e)
            break;
        for (size_t i = 0; i < n; i++)
            take(u, &trains[i]);
        tl_relayd_hub_pump(hub);
        if (n < TL_UDP_TRAINS_MAX)
            break; /* the socket is empty, or the loop will call again */
    }
    if (e == TL_ERR_IO) {
        char text[TL_ADDR_TEXT_MAX];
        tl_addr local = tl_udp_local(u->udp);
        tl_addr_write(text, &local);
        tl_log(TL_LOG_ERROR, "event=udp_broken udp=%s remedy=\"restart the relay\"", text);
        tl_poll_set(u->poll, 0);
    }
}

/* Sends those of the bursts from `at` on that leave by one socket. Returns how many. */
static size_t send_some(tl_relayd_udp *s, const tl_bursts *bursts, size_t at)
{
    tl_udp_message messages[TL_UDP_MESSAGES_MAX];
    uint8_t number = bursts->items[at].way.socket;
    relayd_socket *u = socket_of(s, number);
    size_t n = 0;
    for (; n < TL_UDP_MESSAGES_MAX && at + n < bursts->n; n++) {
        const tl_burst *b = &bursts->items[at + n];
        if (b->way.socket != number)
            break;
        messages[n] = (tl_udp_message){.to = &b->way.remote,
                                       .local = u->wildcard ? &b->way.local : NULL,
                                       .pieces = s->pieces[n],
                                       .count = tl_bursts_gather(bursts, b, s->pieces[n]),
                                       .segment = b->size};
    }
    if (u->udp)
        tl_udp_send_messages(u->udp, messages, n);
    return n;
}

void tl_relayd_udp_send(tl_relayd_udp *s, const tl_bursts *bursts)
{
    for (size_t at = 0; at < bursts->n;)
        at += send_some(s, bursts, at);
}

/* --- opening --- */

static void close_socket(relayd_socket *u)
{
    if (u->poll)
        tl_poll_free(u->poll);
    tl_udp_close(u->udp);
    u->poll = NULL;
    u->udp = NULL;
}

static tl_err open_socket(relayd_site *site, size_t index, tl_addr local, tl_why *why)
{
    relayd_socket *u = &site->sockets[index];
    const tl_udp *first = site->owner->sites[0].sockets[0].udp; /* they share one buffer */
    const tl_relayd_udp *s = site->owner;
    tl_err e = s->index ? tl_udp_open_joined(&local, BUFFER_BYTES, s->loops, first, &u->udp, why)
               : first  ? tl_udp_open_beside(&local, BUFFER_BYTES, first, &u->udp, why)
                        : tl_udp_open(&local, BUFFER_BYTES, &u->udp, why);
    if (!e && s->index == 0 && s->loops > 1)
        e = tl_udp_share(u->udp, why);
    if (e)
        return e == TL_ERR_NOMEM ? tl_why_set(why, e, "out of memory") : e;
    u->wildcard = tl_addr_is_unspecified(&local);
    site->site.addr[index] = tl_udp_local(u->udp);
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
        relayd_socket *u = &site->sockets[i];
        tl_err e = tl_poll_new(site->owner->loop, tl_udp_fd(u->udp), on_ready, u, &u->poll);
        if (e)
            return e;
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

static tl_err open_family(tl_relayd_udp *s, size_t at, tl_addr_family family, const tl_addr *udp,
                          size_t n, tl_why *why)
{
    tl_addr of_family[2];
    size_t count = 0;
    for (size_t i = 0; i < n && count < 2; i++)
        if (udp[i].family == family)
            of_family[count++] = udp[i];
    return count ? open_site(&s->sites[at], of_family, count, why) : TL_OK;
}

tl_err tl_relayd_udp_new(tl_loop *loop, const tl_addr *udp, size_t n, unsigned index,
                         unsigned loops, tl_relayd_udp **ret_udp, tl_why *why)
{
    tl_relayd_udp *s = calloc(1, sizeof *s);
    if (!s || tl_stunserver_new(&s->stun)) {
        free(s);
        return tl_why_set(why, TL_ERR_NOMEM, "out of memory");
    }
    s->loop = loop;
    s->index = index;
    s->loops = loops;
    for (size_t i = 0; i < FAMILIES; i++) {
        s->sites[i].owner = s;
        for (size_t k = 0; k < SITE_SOCKETS; k++)
            s->sites[i].sockets[k].site = &s->sites[i];
    }
    tl_addr_family first = udp[0].family;
    tl_err e = open_family(s, 0, first, udp, n, why);
    if (!e)
        e = open_family(s, 1, first == TL_ADDR_V4 ? TL_ADDR_V6 : TL_ADDR_V4, udp, n, why);
    if (e) {
        tl_relayd_udp_free(s);
        return e;
    }
    *ret_udp = s;
    return TL_OK;
}

void tl_relayd_udp_attach(tl_relayd_udp *s, tl_relayd_hub *hub)
{
    s->hub = hub;
    for (size_t i = 0; i < FAMILIES; i++)
        for (size_t k = 0; k < SITE_SOCKETS; k++)
            if (s->sites[i].sockets[k].poll)
                tl_poll_set(s->sites[i].sockets[k].poll, TL_POLL_READ);
}

void tl_relayd_udp_stop(tl_relayd_udp *s)
{
    for (size_t i = 0; i < FAMILIES; i++)
        for (size_t k = 0; k < SITE_SOCKETS; k++)
            close_socket(&s->sites[i].sockets[k]);
}

void tl_relayd_udp_free(tl_relayd_udp *s)
{
    if (!s)
        return;
    tl_relayd_udp_stop(s);
    tl_stunserver_free(s->stun);
    free(s);
}

/* --- what others want to know --- */

const tl_stunserver *tl_relayd_udp_stun(const tl_relayd_udp *s)
{
    return s->stun;
}

void tl_relayd_udp_config(const tl_relayd_udp *s, tl_tokens_config *config)
{
    static_assert(FAMILIES * SITE_SOCKETS <= TL_TOKENS_SOCKETS_MAX, "each socket has a number");
    config->loop = s->index;
    config->loops = s->loops;
    config->socket_count = FAMILIES * SITE_SOCKETS;
    for (size_t i = 0; i < FAMILIES; i++)
        for (size_t k = 0; k < SOCKETS_OF(&s->sites[i]); k++)
            config->sockets[i * SITE_SOCKETS + k] = s->sites[i].site.addr[k];
}

tl_addr tl_relayd_udp_addr(const tl_relayd_udp *s)
{
    return s->sites[0].site.addr[0];
}

tl_err tl_relayd_udp_write_ready(const tl_relayd_udp *s, tl_buf *out)
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
