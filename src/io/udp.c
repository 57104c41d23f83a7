#include "io/udp.h"

#include <assert.h>
#include <errno.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <unistd.h>

#define TRAIN_MAX    65535 /* GRO gathers no more than one IP datagram can hold */
#define SEGMENTS_MAX 64    /* Linux UDP_MAX_SEGMENTS */
#define SEND_MAX     65000 /* one sendmsg with its headers carries less than 64 KiB */

typedef struct {
    _Alignas(struct cmsghdr) char bytes[CMSG_SPACE(sizeof(int))];
} control_buffer;

/* What recvmmsg receives into, filled in once. */
typedef struct {
    unsigned users;
    struct mmsghdr msgs[TL_UDP_TRAINS_MAX];
    struct iovec iov[TL_UDP_TRAINS_MAX];
    struct sockaddr_storage from[TL_UDP_TRAINS_MAX];
    control_buffer control[TL_UDP_TRAINS_MAX];
    uint8_t bytes[TL_UDP_TRAINS_MAX][TRAIN_MAX];
} receive_buffer;

struct tl_udp {
    int fd;
    bool gso; /* true until the kernel or the interface refuses it */
    tl_addr local;
    receive_buffer *buffer;
};

/* Turns fragmentation off, and the kernel's own path MTU too: IP_PMTUDISC_DO would believe any ICMP
 * message that names our ports. */
static int set_pmtu_mode(int fd, const tl_addr *local)
{
    int mode = IP_PMTUDISC_PROBE, mode6 = IPV6_PMTUDISC_PROBE;
    if (local->family == TL_ADDR_V6)
        return setsockopt(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &mode6, sizeof mode6);
    return setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &mode, sizeof mode);
}

static tl_err set_options(int fd, const tl_addr *local, size_t buffer_bytes)
{
    int bytes = (int)buffer_bytes, on = 1;
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
    (void)setsockopt(fd, IPPROTO_UDP, UDP_GRO, &on,
                     sizeof on); /* kernels before 5.0 give single datagrams */
    if (local->family == TL_ADDR_V6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on))
        return TL_ERR_IO;
    return set_pmtu_mode(fd, local) ? TL_ERR_IO : TL_OK;
}

static tl_err bind_to(tl_udp *u, const tl_addr *local, tl_why *why)
{
    struct sockaddr_storage ss;
    socklen_t n = tl_addr_to_sockaddr(local, &ss);
    if (bind(u->fd, (const struct sockaddr *)&ss, n)) {
        char text[TL_ADDR_TEXT_MAX];
        tl_addr_write(text, local);
        return tl_why_set(why, errno == EADDRINUSE ? TL_ERR_EXISTS : TL_ERR_IO,
                          "cannot use UDP %s: %s", text, strerror(errno));
    }
    n = sizeof ss;
    if (getsockname(u->fd, (struct sockaddr *)&ss, &n))
        return tl_why_set(why, TL_ERR_IO, "UDP socket: %s", strerror(errno));
    u->local = tl_addr_from_sockaddr((const struct sockaddr *)&ss);
    return TL_OK;
}

static receive_buffer *buffer_new(void)
{
    receive_buffer *b = malloc(sizeof *b);
    if (!b)
        return NULL;
    b->users = 1;
    for (int i = 0; i < TL_UDP_TRAINS_MAX; i++) {
        b->iov[i] = (struct iovec){b->bytes[i], TRAIN_MAX};
        b->msgs[i].msg_hdr =
            (struct msghdr){.msg_name = &b->from[i], .msg_iov = &b->iov[i], .msg_iovlen = 1};
    }
    return b;
}

static void buffer_release(receive_buffer *b)
{
    if (b && --b->users == 0)
        free(b);
}

/* Takes over one use of `buffer`. NULL: there was no memory for it. */
static tl_err open_with(receive_buffer *buffer, const tl_addr *local, size_t buffer_bytes,
                        tl_udp **ret_udp, tl_why *why)
{
    tl_udp *u = calloc(1, sizeof *u);
    if (!u || !buffer) {
        buffer_release(buffer);
        free(u);
        return TL_ERR_NOMEM;
    }
    u->gso = true;
    u->buffer = buffer;
    u->fd = socket(local->family == TL_ADDR_V6 ? AF_INET6 : AF_INET,
                   SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    tl_err e;
    if (u->fd < 0 || set_options(u->fd, local, buffer_bytes))
        e = tl_why_set(why, TL_ERR_IO, "UDP socket: %s", strerror(errno));
    else
        e = bind_to(u, local, why);
    if (e) {
        tl_udp_close(u);
        return e;
    }
    *ret_udp = u;
    return TL_OK;
}

tl_err tl_udp_open(const tl_addr *local, size_t buffer_bytes, tl_udp **ret_udp, tl_why *why)
{
    return open_with(buffer_new(), local, buffer_bytes, ret_udp, why);
}

tl_err tl_udp_open_beside(const tl_addr *local, size_t buffer_bytes, const tl_udp *other,
                          tl_udp **ret_udp, tl_why *why)
{
    other->buffer->users++;
    return open_with(other->buffer, local, buffer_bytes, ret_udp, why);
}

void tl_udp_close(tl_udp *u)
{
    if (!u)
        return;
    if (u->fd >= 0)
        close(u->fd);
    buffer_release(u->buffer);
    free(u);
}

int tl_udp_fd(const tl_udp *u)
{
    return u->fd;
}

tl_addr tl_udp_local(const tl_udp *u)
{
    return u->local;
}

/* --- receiving --- */

static size_t segment_of(struct msghdr *msg, size_t n)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
        if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_GRO) {
            int size;
            memcpy(&size, CMSG_DATA(c), sizeof size);
            if (size > 0 && (size_t)size < n)
                return (size_t)size;
        }
    }
    return n;
}

static bool is_icmp_echo(int error)
{
    return error == ECONNREFUSED || error == EHOSTUNREACH || error == ENETUNREACH ||
           error == EMSGSIZE;
}

tl_err tl_udp_receive(tl_udp *u, tl_udp_train ret_trains[TL_UDP_TRAINS_MAX], size_t *ret_n)
{
    receive_buffer *b = u->buffer;
    for (int i = 0; i < TL_UDP_TRAINS_MAX; i++) { /* undo what the kernel wrote: how much it used */
        b->msgs[i].msg_hdr.msg_namelen = sizeof b->from[i];
        b->msgs[i].msg_hdr.msg_control = b->control[i].bytes;
        b->msgs[i].msg_hdr.msg_controllen = sizeof b->control[i].bytes;
    }
    int n;
    do
        n = recvmmsg(u->fd, b->msgs, TL_UDP_TRAINS_MAX, 0, NULL);
    while (n < 0 && (errno == EINTR || is_icmp_echo(errno)));
    if (n <= 0)
        return n == 0 || errno == EAGAIN || errno == EWOULDBLOCK ? TL_ERR_AGAIN : TL_ERR_IO;
    for (int i = 0; i < n; i++)
        ret_trains[i] =
            (tl_udp_train){.from = tl_addr_from_sockaddr((const struct sockaddr *)&b->from[i]),
                           .data = b->bytes[i],
                           .n = b->msgs[i].msg_len,
                           .segment = segment_of(&b->msgs[i].msg_hdr, b->msgs[i].msg_len)};
    *ret_n = (size_t)n;
    return TL_OK;
}

/* --- sending --- */

static tl_err error_of(int error)
{
    switch (error) {
    case EAGAIN:
    case ENOBUFS: return TL_ERR_AGAIN;
    case EMSGSIZE: return TL_ERR_TOO_LARGE;
    case ENETUNREACH:
    case EHOSTUNREACH:
    case ECONNREFUSED:
    case EADDRNOTAVAIL:
    case EPERM: return TL_ERR_UNREACHABLE;
    default: return TL_ERR_IO;
    }
}

/* Where a train goes. */
typedef struct {
    struct sockaddr_storage ss;
    socklen_t n;
} destination;

/* Sends with one sendmsg, and with UDP_SEGMENT if there is more than one segment. Returns errno; 0:
 * sent. */
static int send_once(const tl_udp *u, destination *to, const uint8_t *data, size_t n,
                     size_t segment)
{
    struct iovec iov = {(uint8_t *)(uintptr_t)data, n};
    struct msghdr msg = {
        .msg_name = &to->ss, .msg_namelen = to->n, .msg_iov = &iov, .msg_iovlen = 1};
    control_buffer control;
    if (n > segment) {
        msg.msg_control = control.bytes;
        msg.msg_controllen = CMSG_SPACE(sizeof(uint16_t));
        struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
        c->cmsg_level = IPPROTO_UDP;
        c->cmsg_type = UDP_SEGMENT;
        c->cmsg_len = CMSG_LEN(sizeof(uint16_t));
        uint16_t size = (uint16_t)segment;
        memcpy(CMSG_DATA(c), &size, sizeof size);
    }
    ssize_t sent;
    do
        sent = sendmsg(u->fd, &msg, 0);
    while (sent < 0 && errno == EINTR);
    return sent < 0 ? errno : 0;
}

/* Sends with one sendmmsg, without UDP_SEGMENT. Returns errno; 0: *ret_n bytes in whole datagrams
 * are sent. */
static int send_singly(const tl_udp *u, destination *to, const uint8_t *data, size_t n,
                       size_t segment, size_t *ret_n)
{
    struct mmsghdr msgs[SEGMENTS_MAX];
    struct iovec iov[SEGMENTS_MAX];
    unsigned count = 0;
    for (size_t at = 0; at < n && count < SEGMENTS_MAX; at += segment, count++) {
        iov[count] =
            (struct iovec){(uint8_t *)(uintptr_t)data + at, n - at < segment ? n - at : segment};
        msgs[count].msg_hdr = (struct msghdr){
            .msg_name = &to->ss, .msg_namelen = to->n, .msg_iov = &iov[count], .msg_iovlen = 1};
    }
    int sent;
    do
        sent = sendmmsg(u->fd, msgs, count, 0);
    while (sent < 0 && errno == EINTR);
    if (sent < 0)
        return errno;
    size_t bytes = (size_t)sent * segment;
    *ret_n = bytes < n ? bytes : n;
    return 0;
}

static bool is_refusal_of_gso(int error)
{
    return error == EIO || error == EINVAL || error == EOPNOTSUPP;
}

/* How many bytes one UDP_SEGMENT call may carry: whole segments. */
static size_t batch_of(size_t n, size_t segment)
{
    size_t count = SEND_MAX / segment;
    size_t most = (count > SEGMENTS_MAX ? SEGMENTS_MAX : count ? count : 1) * segment;
    return n < most ? n : most;
}

/* Sends as many datagrams as one call takes. Returns errno. */
static int send_next(tl_udp *u, destination *to, const uint8_t *data, size_t n, size_t segment,
                     size_t *ret_n)
{
    if (n <= segment) {
        *ret_n = n;
        return send_once(u, to, data, n, segment);
    }
    if (!u->gso)
        return send_singly(u, to, data, n, segment, ret_n);
    size_t batch = batch_of(n, segment);
    int error = send_once(u, to, data, batch, segment);
    if (!error)
        *ret_n = batch;
    if (!is_refusal_of_gso(error))
        return error;
    /* The kernel is old, or the interface has no checksum offload, or a segment is larger than the
     * interface carries. Only in the first two cases UDP_SEGMENT must be given up. Sending one
     * datagram alone shows which case it is. */
    error = send_once(u, to, data, segment, segment);
    if (!error) {
        u->gso = false;
        *ret_n = segment;
    }
    return error;
}

tl_err tl_udp_send_some(tl_udp *u, const tl_addr *to, const uint8_t *data, size_t n, size_t segment,
                        size_t *ret_n)
{
    destination d;
    d.n = tl_addr_to_sockaddr(to, &d.ss);
    assert(segment || n == 0);
    size_t at = 0;
    while (at < n) {
        size_t k = 0;
        int error = send_next(u, &d, data + at, n - at, segment, &k);
        tl_err e = error ? error_of(error) : TL_OK;
        if (e == TL_ERR_AGAIN && at)
            break;
        if (e)
            return e; /* the rest has the same destination and the same size */
        at += k;
    }
    *ret_n = at;
    return TL_OK;
}

tl_err tl_udp_send(tl_udp *u, const tl_addr *to, const uint8_t *data, size_t n, size_t segment)
{
    size_t gone;
    return tl_udp_send_some(u, to, data, n, segment, &gone);
}
