#include "io/udpserver.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define BUFFER_BYTES                                                                               \
    (1 << 20) /* asked of the kernel: for bursts of some thousand small datagrams */

/* Room for the packet information of either family; IPv6's is the longer one. */
typedef struct {
    _Alignas(struct cmsghdr) char bytes[CMSG_SPACE(sizeof(struct in6_pktinfo))];
} control_buffer;

struct tl_udpserver {
    int fd;
    bool wildcard;
    tl_addr local;
    uint8_t buffers[TL_UDPSERVER_BATCH][TL_UDPSERVER_DATAGRAM_MAX];
    struct sockaddr_storage from[TL_UDPSERVER_BATCH];
    control_buffer control[TL_UDPSERVER_BATCH];
};

/* --- opening --- */

static tl_err open_failed(const tl_addr *local, int error, tl_why *why)
{
    char text[TL_ADDR_TEXT_MAX];
    tl_addr_write(text, local);
    switch (error) {
    case EADDRINUSE:
        return tl_why_set(why, TL_ERR_EXISTS,
                          "cannot use UDP %s: another program uses that port; see which one with "
                          "`ss -lunp 'sport = :%u'`, or choose another",
                          text, local->port);
    case EADDRNOTAVAIL:
        return tl_why_set(why, TL_ERR_IO,
                          "cannot use UDP %s: this machine does not have that address", text);
    case EACCES:
        return tl_why_set(why, TL_ERR_IO,
                          "cannot use UDP %s: ports below 1024 need the capability "
                          "CAP_NET_BIND_SERVICE; choose another or grant it",
                          text);
    case EAFNOSUPPORT:
        return tl_why_set(why, TL_ERR_IO, "cannot use UDP %s: this machine has no IPv%d", text,
                          local->family == TL_ADDR_V6 ? 6 : 4);
    default: return tl_why_set(why, TL_ERR_IO, "cannot use UDP %s: %s", text, strerror(error));
    }
}

static bool set_options(const tl_udpserver *u)
{
    int on = 1, bytes = BUFFER_BYTES;
    bool v6 = u->local.family == TL_ADDR_V6;
    (void)setsockopt(u->fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    (void)setsockopt(u->fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
    if (v6 && setsockopt(u->fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on))
        return false;
    if (!u->wildcard)
        return true;
    return v6 ? !setsockopt(u->fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof on)
              : !setsockopt(u->fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof on);
}

/* False: errno tells why. */
static bool bind_to(tl_udpserver *u)
{
    struct sockaddr_storage ss;
    socklen_t n = tl_addr_to_sockaddr(&u->local, &ss);
    u->fd = socket(ss.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (u->fd < 0 || !set_options(u) || bind(u->fd, (struct sockaddr *)&ss, n))
        return false;
    n = sizeof ss;
    if (getsockname(u->fd, (struct sockaddr *)&ss, &n))
        return false;
    u->local = tl_addr_from_sockaddr((struct sockaddr *)&ss);
    return true;
}

tl_err tl_udpserver_open(const tl_addr *local, tl_udpserver **ret_server, tl_why *why)
{
    tl_udpserver *u = calloc(1, sizeof *u);
    if (!u)
        return tl_why_set(why, TL_ERR_NOMEM, "out of memory");
    u->local = *local;
    u->wildcard = tl_addr_is_unspecified(local);
    if (!bind_to(u)) {
        int error = errno;
        tl_udpserver_close(u);
        return open_failed(local, error, why);
    }
    *ret_server = u;
    return TL_OK;
}

void tl_udpserver_close(tl_udpserver *u)
{
    if (!u)
        return;
    if (u->fd >= 0)
        close(u->fd);
    free(u);
}

int tl_udpserver_fd(const tl_udpserver *u)
{
    return u->fd;
}

tl_addr tl_udpserver_local(const tl_udpserver *u)
{
    return u->local;
}

/* --- receiving --- */

/* The destination in the header, if it is one of this machine's own addresses. */
static tl_addr v4_destination(const struct cmsghdr *c, uint16_t port)
{
    struct in_pktinfo info;
    tl_addr a = {.family = TL_ADDR_NONE};
    memcpy(&info, CMSG_DATA(c), sizeof info);
    if (info.ipi_addr.s_addr != info.ipi_spec_dst.s_addr)
        return a; /* broadcast or multicast: the kernel would answer from ipi_spec_dst */
    a.family = TL_ADDR_V4;
    a.port = port;
    memcpy(a.bytes, &info.ipi_addr, 4);
    return a;
}

static tl_addr v6_destination(const struct cmsghdr *c, uint16_t port)
{
    struct in6_pktinfo info;
    tl_addr a = {.family = TL_ADDR_NONE};
    memcpy(&info, CMSG_DATA(c), sizeof info);
    if (IN6_IS_ADDR_MULTICAST(&info.ipi6_addr))
        return a;
    a.family = TL_ADDR_V6;
    a.port = port;
    a.scope = IN6_IS_ADDR_LINKLOCAL(&info.ipi6_addr) ? info.ipi6_ifindex : 0;
    memcpy(a.bytes, &info.ipi6_addr, 16);
    return a;
}

static tl_addr destination(const tl_udpserver *u, struct msghdr *msg)
{
    if (!u->wildcard)
        return u->local;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
        if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO)
            return v4_destination(c, u->local.port);
        if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO)
            return v6_destination(c, u->local.port);
    }
    return (tl_addr){.family = TL_ADDR_NONE};
}

static bool is_icmp_echo(int error)
{
    return error == ECONNREFUSED || error == EHOSTUNREACH || error == ENETUNREACH ||
           error == EMSGSIZE;
}

tl_err tl_udpserver_receive(tl_udpserver *u,
                            tl_udpserver_datagram ret_datagrams[TL_UDPSERVER_BATCH], size_t *ret_n)
{
    struct mmsghdr msgs[TL_UDPSERVER_BATCH];
    struct iovec iov[TL_UDPSERVER_BATCH];
    for (int i = 0; i < TL_UDPSERVER_BATCH; i++) {
        iov[i] = (struct iovec){u->buffers[i], TL_UDPSERVER_DATAGRAM_MAX};
        msgs[i].msg_hdr = (struct msghdr){.msg_name = &u->from[i],
                                          .msg_namelen = sizeof u->from[i],
                                          .msg_iov = &iov[i],
                                          .msg_iovlen = 1,
                                          .msg_control = &u->control[i],
                                          .msg_controllen = sizeof u->control[i]};
    }
    int n;
    do
        n = recvmmsg(u->fd, msgs, TL_UDPSERVER_BATCH, 0, NULL);
    while (n < 0 && (errno == EINTR || is_icmp_echo(errno)));
    if (n <= 0)
        return n == 0 || errno == EAGAIN || errno == EWOULDBLOCK ? TL_ERR_AGAIN : TL_ERR_IO;
    for (int i = 0; i < n; i++) {
        struct msghdr *msg = &msgs[i].msg_hdr;
        ret_datagrams[i] = (tl_udpserver_datagram){
            .from = tl_addr_from_sockaddr((struct sockaddr *)&u->from[i]),
            .to = destination(u, msg),
            .bytes = tl_slice_of(u->buffers[i], msg->msg_flags & MSG_TRUNC ? 0 : msgs[i].msg_len)};
    }
    *ret_n = (size_t)n;
    return TL_OK;
}

/* --- sending --- */

/* Tells the kernel which address to send from. */
static void set_source(struct msghdr *msg, control_buffer *control, const tl_addr *source)
{
    struct in_pktinfo v4 = {0};
    struct in6_pktinfo v6 = {.ipi6_ifindex = source->scope};
    bool is_v6 = source->family == TL_ADDR_V6;
    memset(control, 0, sizeof *control);
    msg->msg_control = control;
    msg->msg_controllen = is_v6 ? CMSG_SPACE(sizeof v6) : CMSG_SPACE(sizeof v4);
    struct cmsghdr *c = CMSG_FIRSTHDR(msg);
    c->cmsg_level = is_v6 ? IPPROTO_IPV6 : IPPROTO_IP;
    c->cmsg_type = is_v6 ? IPV6_PKTINFO : IP_PKTINFO;
    c->cmsg_len = is_v6 ? CMSG_LEN(sizeof v6) : CMSG_LEN(sizeof v4);
    if (is_v6) {
        memcpy(&v6.ipi6_addr, source->bytes, 16);
        memcpy(CMSG_DATA(c), &v6, sizeof v6);
    } else {
        memcpy(&v4.ipi_spec_dst, source->bytes, 4);
        memcpy(CMSG_DATA(c), &v4, sizeof v4);
    }
}

tl_err tl_udpserver_send(tl_udpserver *u, const tl_addr *source, const tl_addr *to, tl_slice bytes)
{
    struct sockaddr_storage ss;
    control_buffer control;
    struct iovec iov = {(uint8_t *)(uintptr_t)bytes.p, bytes.n};
    struct msghdr msg = {.msg_name = &ss,
                         .msg_namelen = tl_addr_to_sockaddr(to, &ss),
                         .msg_iov = &iov,
                         .msg_iovlen = 1};
    if (u->wildcard)
        set_source(&msg, &control, source);
    ssize_t sent;
    do
        sent = sendmsg(u->fd, &msg, 0);
    while (sent < 0 && (errno == EINTR || errno == ECONNREFUSED)); /* such an error belongs to an
                                                                      earlier datagram */
    if (sent >= 0)
        return TL_OK;
    return errno == EAGAIN || errno == ENOBUFS ? TL_ERR_AGAIN : TL_ERR_UNREACHABLE;
}
