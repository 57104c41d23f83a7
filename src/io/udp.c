#include "io/udp.h"

#include <errno.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <unistd.h>

#define TRAIN_MAX    65535 /* GRO gathers up to one IP datagram's worth */
#define SEGMENTS_MAX 64    /* Linux UDP_MAX_SEGMENTS */
#define SEND_MAX     65000 /* and one sendmsg carries less than 64 KiB with its headers */

struct tl_udp {
    int fd;
    bool gso; /* until the kernel or the interface refuses it */
    tl_addr local;
    uint8_t *buffer; /* TL_UDP_TRAINS_MAX times TRAIN_MAX */
};

static tl_err set_options(int fd, const tl_addr *local, size_t buffer_bytes)
{
    int bytes = (int)buffer_bytes, on = 1;
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
    (void)setsockopt(fd, IPPROTO_UDP, UDP_GRO, &on,
                     sizeof on); /* kernels before 5.0: single ones */
    int discover = IP_PMTUDISC_DO, discover6 = IPV6_PMTUDISC_DO;
    if (local->family == TL_ADDR_V6) {
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
        return setsockopt(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &discover6, sizeof discover6)
                   ? TL_ERR_IO
                   : TL_OK;
    }
    return setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &discover, sizeof discover) ? TL_ERR_IO
                                                                                   : TL_OK;
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

tl_err tl_udp_open(const tl_addr *local, size_t buffer_bytes, tl_udp **ret_udp, tl_why *why)
{
    tl_udp *u = calloc(1, sizeof *u);
    if (!u)
        return TL_ERR_NOMEM;
    u->gso = true;
    u->buffer = malloc((size_t)TL_UDP_TRAINS_MAX * TRAIN_MAX);
    u->fd = socket(local->family == TL_ADDR_V6 ? AF_INET6 : AF_INET,
                   SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    tl_err e = TL_OK;
    if (!u->buffer)
        e = TL_ERR_NOMEM;
    else if (u->fd < 0 || set_options(u->fd, local, buffer_bytes))
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

void tl_udp_close(tl_udp *u)
{
    if (!u)
        return;
    if (u->fd >= 0)
        close(u->fd);
    free(u->buffer);
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

typedef struct {
    _Alignas(struct cmsghdr) char bytes[CMSG_SPACE(sizeof(int))];
} control_buffer;

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
    struct mmsghdr msgs[TL_UDP_TRAINS_MAX];
    struct iovec iov[TL_UDP_TRAINS_MAX];
    struct sockaddr_storage from[TL_UDP_TRAINS_MAX];
    control_buffer control[TL_UDP_TRAINS_MAX];
    for (int i = 0; i < TL_UDP_TRAINS_MAX; i++) {
        iov[i] = (struct iovec){u->buffer + (size_t)i * TRAIN_MAX, TRAIN_MAX};
        msgs[i].msg_hdr = (struct msghdr){.msg_name = &from[i],
                                          .msg_namelen = sizeof from[i],
                                          .msg_iov = &iov[i],
                                          .msg_iovlen = 1,
                                          .msg_control = control[i].bytes,
                                          .msg_controllen = sizeof control[i].bytes};
    }
    int n;
    do
        n = recvmmsg(u->fd, msgs, TL_UDP_TRAINS_MAX, 0, NULL);
    while (n < 0 && (errno == EINTR || is_icmp_echo(errno)));
    if (n <= 0)
        return n == 0 || errno == EAGAIN || errno == EWOULDBLOCK ? TL_ERR_AGAIN : TL_ERR_IO;
    for (int i = 0; i < n; i++)
        ret_trains[i] =
            (tl_udp_train){.from = tl_addr_from_sockaddr((const struct sockaddr *)&from[i]),
                           .data = iov[i].iov_base,
                           .n = msgs[i].msg_len,
                           .segment = segment_of(&msgs[i].msg_hdr, msgs[i].msg_len)};
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

/* One sendmsg; with more than one segment through UDP_SEGMENT. Returns errno, 0 when sent. */
static int send_once(tl_udp *u, const struct sockaddr_storage *to, socklen_t to_n,
                     const uint8_t *data, size_t n, size_t segment)
{
    struct iovec iov = {(uint8_t *)(uintptr_t)data, n};
    struct msghdr msg = {
        .msg_name = (void *)(uintptr_t)to, .msg_namelen = to_n, .msg_iov = &iov, .msg_iovlen = 1};
    control_buffer control = {{0}};
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

/* Datagrams a single call may carry. */
static size_t batch_of(const tl_udp *u, size_t segment)
{
    if (!u->gso)
        return 1;
    size_t count = SEND_MAX / segment;
    return count > SEGMENTS_MAX ? SEGMENTS_MAX : count ? count : 1;
}

tl_err tl_udp_send(tl_udp *u, const tl_addr *to, const uint8_t *data, size_t n, size_t segment)
{
    struct sockaddr_storage ss;
    socklen_t ss_n = tl_addr_to_sockaddr(to, &ss);
    size_t at = 0;
    tl_err lost = TL_OK;
    while (at < n) {
        size_t k = batch_of(u, segment) * segment;
        if (k > n - at)
            k = n - at;
        int error = send_once(u, &ss, ss_n, data + at, k, segment);
        if (error && k > segment && (error == EIO || error == EINVAL || error == EOPNOTSUPP)) {
            u->gso =
                false; /* an interface without checksum offload, or an old kernel: one by one */
            continue;
        }
        tl_err e = error ? error_of(error) : TL_OK;
        if (e == TL_ERR_AGAIN && at)
            return lost; /* the rest is lost, as it might be anywhere on the way */
        if (e == TL_ERR_IO || e == TL_ERR_AGAIN)
            return e;
        if (e)
            lost = e;
        at += k;
    }
    return lost;
}
