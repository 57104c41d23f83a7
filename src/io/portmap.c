#include "io/portmap.h"

#include "base/log.h"
#include "io/gateway.h"
#include "io/httpclient.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define RECEIVE_MAX     2048 /* more than any of the protocols' datagrams */
#define READS_MAX       32   /* datagrams read in one turn: a flood does not hold the loop */
#define HTTP_CONNECT_NS (2 * TL_SEC)
#define HTTP_ANSWER_NS  (3 * TL_SEC)

typedef enum { SOCKET_PCP, SOCKET_SSDP, SOCKET_ANNOUNCE, SOCKETS } socket_kind;

typedef struct {
    tl_portmap *owner;
    socket_kind kind;
    int fd; /* -1: closed */
    tl_poll *poll;
} port_socket;

struct tl_portmap {
    tl_loop *loop;
    tl_portmap_events events;
    void *user;
    tl_mapper mapper;
    port_socket sockets[SOCKETS];
    tl_timer timer;
    tl_defer told;
    tl_http *http;
    tl_http_request *request; /* NULL: none is under way */
    uint32_t request_id;
    int status;
    tl_buf body;
    void (*on_stopped)(void *user);
    void *stopped_user;
};

static void pump(tl_portmap *m);

/* --- telling the owner: from the loop, when no machine is on the stack --- */

static void tell(void *user)
{
    tl_portmap *m = user;
    void (*stopped)(void *) = NULL;
    if (m->mapper.report.state == TL_MAPPER_IDLE) {
        stopped = m->on_stopped;
        m->on_stopped = NULL;
    }
    if (tl_mapper_take_change(&m->mapper) && m->events.on_change)
        m->events.on_change(m->user);
    if (stopped)
        stopped(m->stopped_user); /* the last thing here: the owner may free us in this call */
}

/* --- sockets --- */

static void close_socket(port_socket *s)
{
    tl_poll_free(s->poll);
    s->poll = NULL;
    if (s->fd >= 0)
        close(s->fd);
    s->fd = -1;
}

static void on_ready(void *user, int events)
{
    port_socket *s = user;
    tl_portmap *m = s->owner;
    uint8_t bytes[RECEIVE_MAX];
    (void)events;
    for (int i = 0; i < READS_MAX; i++) {
        struct sockaddr_storage ss;
        socklen_t ss_n = sizeof ss;
        ssize_t n = recvfrom(s->fd, bytes, sizeof bytes, MSG_TRUNC, (struct sockaddr *)&ss, &ss_n);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            if (errno == ECONNREFUSED)
                tl_mapper_on_unreachable(&m->mapper, tl_loop_now(m->loop));
            break;
        }
        /* if a datagram did not fit, n is its whole length; the reader refuses it for its size */
        tl_slice pkt = tl_slice_of(bytes, (size_t)n > sizeof bytes ? sizeof bytes : (size_t)n);
        tl_addr from = tl_addr_from_sockaddr((const struct sockaddr *)&ss);
        if (s->kind == SOCKET_PCP)
            tl_mapper_on_datagram(&m->mapper, &from, pkt, tl_loop_now(m->loop));
        else if (s->kind == SOCKET_SSDP)
            tl_mapper_on_ssdp(&m->mapper, &from, pkt, tl_loop_now(m->loop));
        else
            tl_mapper_on_announcement(&m->mapper, &from, pkt, tl_loop_now(m->loop));
    }
    pump(m);
}

/* The socket is connected: so the kernel lets through only what the gateway's port 5351 sent, and
 * tells us when nobody listens there. */
static bool prepare_pcp(int fd, const tl_addr *gateway)
{
    struct sockaddr_storage ss;
    tl_addr to = *gateway;
    to.port = TL_PCP_PORT;
    socklen_t n = tl_addr_to_sockaddr(&to, &ss);
    return connect(fd, (const struct sockaddr *)&ss, n) == 0;
}

static bool prepare_ssdp(int fd, const tl_addr *own)
{
    struct sockaddr_storage ss;
    struct in_addr interface;
    uint8_t ttl = 2; /* UPnP Device Architecture 1.1, 1.3.2 */
    socklen_t n = tl_addr_to_sockaddr(own, &ss);
    memcpy(&interface, own->bytes, sizeof interface);
    return bind(fd, (const struct sockaddr *)&ss, n) == 0 &&
           setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &interface, sizeof interface) == 0 &&
           setsockopt(fd, IPPROTO_IP, IP_MULTICAST_TTL, &ttl, sizeof ttl) == 0;
}

/* The socket is bound to the group's address, so that only multicast arrives. Other programs on
 * this machine may listen at the same address. */
static bool prepare_announce(int fd, const tl_addr *own)
{
    static const tl_addr all_hosts = {
        .family = TL_ADDR_V4, .port = TL_PCP_ANNOUNCE_PORT, .bytes = {224, 0, 0, 1}};
    struct sockaddr_storage ss;
    struct ip_mreq group;
    int on = 1;
    socklen_t n = tl_addr_to_sockaddr(&all_hosts, &ss);
    memcpy(&group.imr_multiaddr, all_hosts.bytes, 4);
    memcpy(&group.imr_interface, own->bytes, 4);
    return setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
           bind(fd, (const struct sockaddr *)&ss, n) == 0 &&
           setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &group, sizeof group) == 0;
}

/* A protocol whose socket cannot be opened is like one that gets no answer. */
static void open_socket(tl_portmap *m, socket_kind kind, const tl_addr *gateway, const tl_addr *own)
{
    port_socket *s = &m->sockets[kind];
    s->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    bool ok = s->fd >= 0 && (kind == SOCKET_PCP    ? prepare_pcp(s->fd, gateway)
                             : kind == SOCKET_SSDP ? prepare_ssdp(s->fd, own)
                                                   : prepare_announce(s->fd, own));
    if (ok && tl_poll_new(m->loop, s->fd, on_ready, s, &s->poll) == TL_OK) {
        tl_poll_set(s->poll, TL_POLL_READ);
    } else {
        tl_log(TL_LOG_DEBUG, "port mapping: a socket (%d): %s", (int)kind, strerror(errno));
        close_socket(s);
    }
}

static void look_at_network(tl_portmap *m)
{
    tl_addr gateway = {.family = TL_ADDR_NONE}, own = {.family = TL_ADDR_NONE};
    if (tl_gateway_find(&gateway, &own) != TL_OK)
        gateway = own = (tl_addr){.family = TL_ADDR_NONE};
    bool same = tl_addr_same_ip(&gateway, &m->mapper.report.gateway) &&
                tl_addr_same_ip(&own, &m->mapper.own) && m->sockets[SOCKET_PCP].fd >= 0;
    if (!same) {
        for (int i = 0; i < SOCKETS; i++)
            close_socket(&m->sockets[i]);
        for (int i = 0; i < SOCKETS && gateway.family != TL_ADDR_NONE; i++)
            open_socket(m, (socket_kind)i, &gateway, &own);
    }
    tl_mapper_set_network(&m->mapper, &gateway, &own, tl_loop_now(m->loop));
}

static void send_out(tl_portmap *m)
{
    tl_mapper_datagram d;
    while (tl_mapper_next_datagram(&m->mapper, &d)) {
        bool pcp = d.to.port == TL_PCP_PORT;
        port_socket *s = &m->sockets[pcp ? SOCKET_PCP : SOCKET_SSDP];
        struct sockaddr_storage ss;
        socklen_t n = tl_addr_to_sockaddr(&d.to, &ss);
        if (s->fd < 0)
            continue;
        ssize_t sent =
            sendto(s->fd, d.bytes, d.n, 0, pcp ? NULL : (struct sockaddr *)&ss, pcp ? 0 : n);
        if (sent < 0 && errno == ECONNREFUSED && pcp) /* this error belongs to an earlier
                                                         datagram */
            tl_mapper_on_unreachable(&m->mapper, tl_loop_now(m->loop));
    }
}

/* --- HTTP, to the gateway alone --- */

static void answer(tl_portmap *m, int status)
{
    m->request = NULL;
    tl_mapper_on_answer(&m->mapper, m->request_id, status, tl_buf_slice(&m->body),
                        tl_loop_now(m->loop));
    tl_buf_clear(&m->body);
    pump(m);
}

static void on_http_head(void *user, int status, const tl_http_head *head)
{
    tl_portmap *m = user;
    (void)head;
    m->status = status;
}

static void on_http_body(void *user, tl_slice bytes)
{
    tl_portmap *m = user;
    if (m->body.len + bytes.n > TL_UPNP_BODY_MAX || tl_buf_append(&m->body, bytes) != TL_OK) {
        tl_http_cancel(m->request);
        tl_buf_clear(&m->body);
        answer(m, 0);
    }
}

static void on_http_done(void *user, tl_err e, const char *why)
{
    tl_portmap *m = user;
    if (e)
        tl_log(TL_LOG_DEBUG, "port mapping: UPnP: %s", why);
    answer(m, e ? 0 : m->status);
}

static bool start_request(tl_portmap *m, const tl_igd_request *wanted)
{
    static const tl_http_events events = {on_http_head, on_http_body, on_http_done};
    tl_http_ask ask = tl_http_ask_default();
    tl_why why = {0};
    ask.method = wanted->action ? "POST" : "GET";
    ask.url = wanted->url;
    ask.body = wanted->body;
    ask.no_proxy = true;
    ask.connect = HTTP_CONNECT_NS;
    ask.first_byte = ask.silence = HTTP_ANSWER_NS;
    if (wanted->action) {
        ask.fields[0] = (tl_http_field){"SOAPAction", wanted->action};
        ask.fields[1] = (tl_http_field){"Content-Type", "text/xml; charset=\"utf-8\""};
    }
    m->status = 0;
    tl_buf_clear(&m->body);
    tl_err e = m->http ? TL_OK : tl_http_new(m->loop, &m->http);
    if (e == TL_OK)
        e = tl_http_start(m->http, &ask, &events, m, &m->request, &why);
    if (e)
        tl_log(TL_LOG_DEBUG, "port mapping: UPnP: %s", why.text);
    return e == TL_OK;
}

static void ask_http(tl_portmap *m)
{
    tl_igd_request wanted;
    for (;;) {
        bool wants = tl_mapper_wants(&m->mapper, &wanted);
        if (m->request && wants && wanted.id == m->request_id)
            return;
        if (m->request)
            tl_http_cancel(m->request);
        m->request = NULL;
        if (!wants)
            return;
        m->request_id = wanted.id;
        if (start_request(m, &wanted))
            return;
        tl_mapper_on_answer(&m->mapper, wanted.id, 0, (tl_slice){NULL, 0}, tl_loop_now(m->loop));
    }
}

/* Carries out what the mapper wants after any input. */
static void pump(tl_portmap *m)
{
    ask_http(m);
    send_out(m);
    ask_http(m); /* sending may have shown that nobody is there */
    tl_timer_set(&m->timer, tl_mapper_expiry(&m->mapper));
    if (m->mapper.changed || (m->on_stopped && m->mapper.report.state == TL_MAPPER_IDLE))
        tl_loop_defer(m->loop, &m->told, tell, m);
}

static void on_timer(void *user)
{
    tl_portmap *m = user;
    tl_mapper_on_timer(&m->mapper, tl_loop_now(m->loop));
    pump(m);
}

/* --- the owner's wishes --- */

tl_err tl_portmap_new(tl_loop *loop, tl_rand *rand, const tl_portmap_events *events, void *user,
                      tl_portmap **ret_portmap)
{
    tl_portmap *m = calloc(1, sizeof *m);
    if (!m)
        return TL_ERR_NOMEM;
    m->loop = loop;
    m->events = *events;
    m->user = user;
    for (int i = 0; i < SOCKETS; i++)
        m->sockets[i] = (port_socket){.owner = m, .kind = (socket_kind)i, .fd = -1};
    tl_mapper_init(&m->mapper, rand);
    tl_timer_init(&m->timer, loop, on_timer, m);
    *ret_portmap = m;
    return TL_OK;
}

void tl_portmap_free(tl_portmap *m)
{
    if (!m)
        return;
    tl_http_free(m->http);
    for (int i = 0; i < SOCKETS; i++)
        close_socket(&m->sockets[i]);
    tl_timer_stop(&m->timer);
    tl_defer_cancel(m->loop, &m->told);
    tl_mapper_clear(&m->mapper);
    tl_buf_clear(&m->body);
    free(m);
}

void tl_portmap_start(tl_portmap *m, uint16_t internal_port)
{
    if (m->mapper.report.state == TL_MAPPER_IDLE)
        look_at_network(m);
    tl_mapper_start(&m->mapper, internal_port, tl_loop_now(m->loop));
    pump(m);
}

void tl_portmap_restart(tl_portmap *m)
{
    if (m->mapper.report.state != TL_MAPPER_IDLE)
        look_at_network(m);
    pump(m);
}

void tl_portmap_stop(tl_portmap *m, void (*on_done)(void *user), void *user)
{
    m->on_stopped = on_done;
    m->stopped_user = user;
    tl_mapper_stop(&m->mapper, tl_loop_now(m->loop));
    pump(m);
}

const tl_mapper_report *tl_portmap_report(const tl_portmap *m)
{
    return &m->mapper.report;
}
