#include "relay_pair.h"

#include <errno.h>
#include <inttypes.h>
#include <netdb.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define SEQUENCE   LOAD_SEQUENCE
#define TRAIN_MAX  LOAD_TRAIN_MAX
#define LOST_AFTER 0.1 /* seconds in which none of what is under way has come */

const char *const load_carrier_names[LOAD_CARRIERS] = {"json", "binary", "udp", "trains"};
double load_rate;

static int udp_socket(const char *where, const uint8_t token[16])
{
    char host[TL_HOST_MAX], port_text[8];
    uint16_t port;
    int room = 4 << 20, on = 1;
    struct addrinfo hints = {.ai_socktype = SOCK_DGRAM}, *list = NULL;
    load_must(tl_hostport_parse(tl_slice_str(where), 3478, host, &port),
              *where ? where : "the relay has no --udp");
    snprintf(port_text, sizeof port_text, "%u", port);
    if (getaddrinfo(host, port_text, &hints, &list))
        load_die("%s: no such name", host);
    int fd = socket(list->ai_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || connect(fd, list->ai_addr, list->ai_addrlen) < 0 || send(fd, token, 16, 0) != 16)
        load_die("UDP to %s: %s", where, strerror(errno));
    freeaddrinfo(list);
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
    setsockopt(fd, SOL_UDP, UDP_GRO, &on, sizeof on);
    return fd;
}

static void session_message(load_node *from, const load_node *to, tl_signal_type type,
                            const char *session)
{
    tl_buf text = {0};
    load_must(tl_signal_write_session(&text, type, from->id, to->id, session), "session");
    load_send_text(from, tl_buf_slice(&text));
    tl_buf_clear(&text);
}

/* One message for all: only the digits at the front of its data change. */
static void prepare(load_pair *p, const char *session, size_t size)
{
    tl_buf text = {0};
    size_t token_n = p->by == LOAD_BY_JSON ? 0 : 16;
    tl_ws_opcode opcode = p->by == LOAD_BY_JSON ? TL_WS_TEXT : TL_WS_BINARY;
    uint8_t *data = calloc(1, size);
    load_must(data ? TL_OK : TL_ERR_NOMEM, "message");
    if (p->by == LOAD_BY_JSON) {
        load_must(
            tl_signal_write_data(&text, p->from.id, p->to.id, session, tl_slice_of(data, size)),
            "message");
    } else {
        load_must(tl_buf_append(&text, tl_slice_of(data, size)), "message");
    }
    free(data);
    p->n = text.len;
    p->plain = malloc(p->n);
    p->frame = malloc(p->n + token_n + TL_WS_HEADER_MAX);
    if (!p->plain || !p->frame)
        load_die("out of memory");
    memcpy(p->plain, tl_buf_begin(&text), p->n);
    tl_buf_clear(&text);
    p->sequence_at = 0;
    if (p->by == LOAD_BY_JSON)
        p->sequence_at =
            (size_t)((uint8_t *)memmem(p->plain, p->n, "AAAAAAAAAAAA", SEQUENCE) - p->plain);
    p->header_n = p->by >= LOAD_BY_UDP
                      ? 0
                      : tl_ws_header_write(p->frame, opcode, true, p->n + token_n, load_mask);
    uint8_t *body = p->frame + p->header_n;
    memcpy(body, p->from.offer.token, token_n);
    memcpy(body + token_n, p->plain, p->n);
    if (p->by < LOAD_BY_UDP)
        tl_ws_mask(body, p->n + token_n, load_mask, 0);
    p->header_n += token_n; /* from here on: what stands in front of the message */
}

static void write_sequence(uint8_t *at, uint64_t sequence)
{
    for (int i = SEQUENCE - 1; i >= 0; i--, sequence /= 10)
        at[i] = (uint8_t)('0' + sequence % 10);
}

void load_pair_begin(load_pair *p, load_carrier by, size_t size, int number)
{
    static int sessions;
    char session[32];
    snprintf(session, sizeof session, "load-%d-%d", ++sessions, number);
    p->by = by;
    session_message(&p->from, &p->to, TL_SIGNAL_RELAY_OPEN, session);
    load_await(&p->to, TL_SIGNAL_RELAY_OPEN);
    session_message(&p->to, &p->from, TL_SIGNAL_RELAY_READY, session);
    load_await(&p->from, TL_SIGNAL_RELAY_READY);
    if (by != LOAD_BY_JSON) {
        load_await(&p->from, TL_SIGNAL_RELAY_OFFER);
        load_await(&p->to, TL_SIGNAL_RELAY_OFFER);
    }
    if (by == LOAD_BY_BINARY)
        load_send_binary(&p->to, tl_slice_of(p->to.offer.token, 16));
    if (by >= LOAD_BY_UDP) {
        p->udp_to = udp_socket(p->to.offer_udp, p->to.offer.token);
        p->udp_from = udp_socket(p->from.offer_udp, p->from.offer.token);
    }
    prepare(p, session, size);
    p->sent = p->next = p->arrived = p->lost = 0;
    p->heard = p->began = load_seconds();
}

void load_pair_end(load_pair *p)
{
    free(p->frame);
    free(p->plain);
    tl_buf_clear(&p->out);
    if (p->by >= LOAD_BY_UDP) {
        close(p->udp_from);
        close(p->udp_to);
    }
}

/* --- sending --- */

static bool may_send(const load_pair *p, unsigned window)
{
    if (load_rate > 0 && (double)p->sent >= (load_seconds() - p->began) * load_rate)
        return false;
    return p->sent - p->next < window;
}

static void queue_message(load_pair *p)
{
    uint8_t *at = p->frame + p->header_n + p->sequence_at;
    size_t token_n = p->by == LOAD_BY_JSON ? 0 : 16;
    write_sequence(at, p->sent++);
    if (p->by < LOAD_BY_UDP)
        tl_ws_mask(at, SEQUENCE, load_mask, p->sequence_at + token_n);
    load_must(tl_buf_append(&p->out, tl_slice_of(p->frame, p->header_n + p->n)), "queue");
}

/* One datagram, or a train of equal ones. */
static bool send_train(load_pair *p, unsigned window, size_t most)
{
    union {
        struct cmsghdr head;
        char space[CMSG_SPACE(sizeof(uint16_t))];
    } control = {0};
    uint16_t segment = (uint16_t)(p->header_n + p->n);
    tl_buf_clear(&p->out);
    for (size_t i = 0; i < most && may_send(p, window); i++)
        queue_message(p);
    if (!p->out.len)
        return false;
    struct iovec v = {tl_buf_begin(&p->out), p->out.len};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
    if (p->out.len > segment) {
        m.msg_control = &control;
        m.msg_controllen = sizeof control;
        control.head = (struct cmsghdr){
            .cmsg_len = CMSG_LEN(sizeof segment), .cmsg_level = SOL_UDP, .cmsg_type = UDP_SEGMENT};
        memcpy(CMSG_DATA(&control.head), &segment, sizeof segment);
    }
    if (sendmsg(p->udp_from, &m, MSG_NOSIGNAL) < 0 && errno != EAGAIN && errno != ENOBUFS)
        load_die("UDP: %s", strerror(errno)); /* what did not go is lost, and counted as such */
    return true;
}

static void pump_out(load_pair *p, unsigned window)
{
    if (p->by >= LOAD_BY_UDP) {
        size_t fit = 65000 / (p->header_n + p->n);
        size_t most = p->by == LOAD_BY_UDP ? 1 : fit < TRAIN_MAX ? fit : TRAIN_MAX;
        while (send_train(p, window, most)) {
        }
        return;
    }
    while (may_send(p, window) && p->out.len < LOAD_READ_SIZE)
        queue_message(p);
    while (p->out.len) {
        size_t n = load_write(&p->from, tl_buf_begin(&p->out), p->out.len);
        if (!n)
            return;
        tl_buf_consume(&p->out, n);
    }
}

/* --- receiving --- */

static void check(load_pair *p, const uint8_t *message, size_t n)
{
    uint64_t sequence = 0;
    for (size_t i = 0; n == p->n && i < SEQUENCE; i++)
        sequence = 10 * sequence + (uint64_t)(message[p->sequence_at + i] - '0');
    if (p->by >= LOAD_BY_UDP && n == p->n && sequence < p->sent) {
        if (sequence < p->next)
            return; /* late: it is counted as lost */
        p->lost += sequence - p->next;
        p->next = sequence;
    }
    write_sequence(p->plain + p->sequence_at, p->next);
    if (n != p->n || memcmp(message, p->plain, n) != 0)
        load_die("message %" PRIu64 " did not arrive as it was sent (%zu bytes of %zu)", p->next, n,
                 p->n);
    p->next++;
    p->arrived++;
}

static bool receive_train(load_pair *p)
{
    static uint8_t bytes[65536];
    union {
        struct cmsghdr head;
        char space[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec v = {bytes, sizeof bytes};
    struct msghdr m = {
        .msg_iov = &v, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    ssize_t n = recvmsg(p->udp_to, &m, 0);
    if (n <= 0)
        return false;
    size_t segment = (size_t)n;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
        int size;
        if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO) {
            memcpy(&size, CMSG_DATA(c), sizeof size);
            segment = (size_t)size;
        }
    }
    for (size_t at = 0; at < (size_t)n; at += segment)
        check(p, bytes + at, segment < (size_t)n - at ? segment : (size_t)n - at);
    return true;
}

static void receive_frames(load_pair *p)
{
    load_node *to = &p->to;
    size_t used = 0;
    tl_ws_frame f;
    uint16_t code;
    while (tl_ws_frame_parse(tl_slice_of(to->in + used, to->in_n - used), false, LOAD_READ_SIZE, &f,
                             &code) == TL_OK &&
           to->in_n - used >= f.header_n + f.n) {
        /* relayOffers come as texts, too */
        bool is_offer = p->by == LOAD_BY_JSON
                            ? memmem(to->in + used + f.header_n, f.n < 200 ? f.n : 200,
                                     "relayOffer", 10) != NULL
                            : f.opcode != TL_WS_BINARY;
        if (!is_offer)
            check(p, to->in + used + f.header_n, (size_t)f.n);
        used += f.header_n + (size_t)f.n;
    }
    load_drop(to, used);
}

static void pump_in(load_pair *p)
{
    uint64_t before = p->next;
    if (p->by >= LOAD_BY_UDP) {
        while (receive_train(p)) {
        }
    } else {
        while (load_read(&p->to))
            receive_frames(p);
    }
    double now = load_seconds();
    if (p->next != before || p->sent == p->next)
        p->heard = now;
    if (p->by >= LOAD_BY_UDP && now - p->heard > LOST_AFTER) {
        p->lost += p->sent - p->next;
        p->next = p->sent;
    }
}

/* Runs until `until`, or until the first pair has received `count`. */
void load_pump(load_pair *pairs, int n, unsigned window, double until, uint64_t count)
{
    struct pollfd *fds = calloc(2 * (size_t)n, sizeof *fds);
    if (!fds)
        load_die("out of memory");
    while (load_seconds() < until && pairs[0].next < count) {
        for (int i = 0; i < n; i++) {
            load_pair *p = &pairs[i];
            bool udp = p->by >= LOAD_BY_UDP;
            pump_out(p, window);
            fds[2 * i] = (struct pollfd){udp ? p->udp_to : p->to.fd, POLLIN, 0};
            fds[2 * i + 1] =
                (struct pollfd){udp ? -1 : p->from.fd, (short)(p->out.len ? POLLOUT : 0), 0};
        }
        poll(fds, 2 * (nfds_t)n, load_rate > 0 ? 1 : 50);
        for (int i = 0; i < n; i++)
            pump_in(&pairs[i]);
    }
    free(fds);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void load_ways(load_pair *p, double every, double ret_us[LOAD_WAYS])
{
    double rate = load_rate;
    load_rate = 0;
    for (int i = 0; i < LOAD_WAYS; i++) {
        double began = load_seconds();
        load_pump(p, 1, 1, began + 5, p->next + 1);
        double took = load_seconds() - began;
        ret_us[i] = took * 1e6;
        if (took < every)
            usleep((useconds_t)((every - took) * 1e6));
    }
    load_rate = rate;
    qsort(ret_us, LOAD_WAYS, sizeof *ret_us, by_value);
}
