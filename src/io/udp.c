#include "io/udp.h"

#include "io/bound.h"

#include <assert.h>
#include <errno.h>
#include <linux/filter.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <unistd.h>

#define TRAIN_MAX    65535 /* GRO gathers no more than one IP datagram can hold */
#define SEGMENTS_MAX 64    /* Linux UDP_MAX_SEGMENTS */
#define SEND_MAX     65000 /* one sendmsg with its headers carries less than 64 KiB */

/* Room for the size of segments, and for the packet information of either family (IPv6's is the
 * longer one). */
typedef struct {
    _Alignas(struct cmsghdr) char bytes[CMSG_SPACE(sizeof(int)) +
                                        CMSG_SPACE(sizeof(struct in6_pktinfo))];
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
    bool v6 = local->family == TL_ADDR_V6;
    if (v6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on))
        return TL_ERR_IO;
    if (v6 ? setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof on)
           : setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof on))
        return TL_ERR_IO;
    return set_pmtu_mode(fd, local) ? TL_ERR_IO : TL_OK;
}

static tl_err open_failed(const tl_addr *local, int error, tl_why *why)
{
    return tl_bound_failed("use UDP", "-lunp", local, error, why);
}

static tl_err bind_to(tl_udp *u, const tl_addr *local, tl_why *why)
{
    struct sockaddr_storage ss;
    socklen_t n = tl_addr_to_sockaddr(local, &ss);
    if (bind(u->fd, (const struct sockaddr *)&ss, n))
        return open_failed(local, errno, why);
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
                        bool joins, tl_udp **ret_udp, tl_why *why)
{
    int on = 1;
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
    if (u->fd < 0 || set_options(u->fd, local, buffer_bytes) ||
        (joins && setsockopt(u->fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on)))
        e = open_failed(local, errno, why);
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
    return open_with(buffer_new(), local, buffer_bytes, false, ret_udp, why);
}

tl_err tl_udp_open_beside(const tl_addr *local, size_t buffer_bytes, const tl_udp *other,
                          tl_udp **ret_udp, tl_why *why)
{
    other->buffer->users++;
    return open_with(other->buffer, local, buffer_bytes, false, ret_udp, why);
}

tl_err tl_udp_share(tl_udp *u, tl_why *why)
{
    int on = 1;
    if (setsockopt(u->fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on))
        return tl_why_set(why, TL_ERR_IO, "cannot share a UDP port between loops: %s",
                          strerror(errno));
    return TL_OK;
}

/* The kernel shows the program the datagram's bytes from the first. One that is too short for a load
 * goes to the first socket. */
static tl_err steer(tl_udp *u, unsigned loops, tl_why *why)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 0),
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 0x80, 0, 4),
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 0xC0, 3, 0),
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 1),
        BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, loops),
        BPF_STMT(BPF_RET | BPF_A, 0),
        BPF_STMT(BPF_RET | BPF_K, 0),
    };
    struct sock_fprog program = {.len = sizeof code / sizeof *code, .filter = code};
    if (setsockopt(u->fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program, sizeof program))
        return tl_why_set(why, TL_ERR_IO, "cannot share a UDP port between loops: %s",
                          strerror(errno));
    return TL_OK;
}

tl_err tl_udp_open_joined(const tl_addr *local, size_t buffer_bytes, unsigned loops,
                          const tl_udp *other, tl_udp **ret_udp, tl_why *why)
{
    if (other)
        other->buffer->users++;
    tl_err e =
        open_with(other ? other->buffer : buffer_new(), local, buffer_bytes, true, ret_udp, why);
    if (e)
        return e;
    e = steer(*ret_udp, loops, why);
    if (e) {
        tl_udp_close(*ret_udp);
        *ret_udp = NULL;
    }
    return e;
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

static void read_v4(const struct cmsghdr *c, tl_addr *ret_to)
{
    struct in_pktinfo info;
    memcpy(&info, CMSG_DATA(c), sizeof info);
    if (info.ipi_addr.s_addr != info.ipi_spec_dst.s_addr)
        return; /* broadcast or multicast */
    ret_to->family = TL_ADDR_V4;
    memcpy(ret_to->bytes, &info.ipi_addr, 4);
}

static void read_v6(const struct cmsghdr *c, tl_addr *ret_to)
{
    struct in6_pktinfo info;
    memcpy(&info, CMSG_DATA(c), sizeof info);
    if (IN6_IS_ADDR_MULTICAST(&info.ipi6_addr))
        return;
    ret_to->family = TL_ADDR_V6;
    ret_to->scope = IN6_IS_ADDR_LINKLOCAL(&info.ipi6_addr) ? info.ipi6_ifindex : 0;
    memcpy(ret_to->bytes, &info.ipi6_addr, 16);
}

/* What the kernel tells beside the bytes. */
static void read_control(const tl_udp *u, struct msghdr *msg, tl_udp_train *train)
{
    train->to = (tl_addr){.family = TL_ADDR_NONE, .port = u->local.port};
    train->segment = train->n;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
        if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
            read_v4(c, &train->to);
        } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
            read_v6(c, &train->to);
        } else if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_GRO) {
            int size;
            memcpy(&size, CMSG_DATA(c), sizeof size);
            if (size > 0 && (size_t)size < train->n)
                train->segment = (size_t)size;
        }
    }
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
    for (int i = 0; i < n; i++) {
        ret_trains[i] =
            (tl_udp_train){.from = tl_addr_from_sockaddr((const struct sockaddr *)&b->from[i]),
                           .data = b->bytes[i],
                           .n = b->msgs[i].msg_len};
        read_control(u, &b->msgs[i].msg_hdr, &ret_trains[i]);
    }
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
    case EACCES: /* a broadcast address */
    case EPERM: return TL_ERR_UNREACHABLE;
    default: return TL_ERR_IO;
    }
}

/* Where a train goes, and from where. */
typedef struct {
    struct sockaddr_storage ss;
    socklen_t n;
    const tl_addr *local; /* NULL: the kernel chooses */
    tl_slice prefix;      /* goes in front of every datagram */
} destination;

/* Adds one item to the control messages of `msg`, which has room for it. */
static void put_control(struct msghdr *msg, control_buffer *room, int level, int type,
                        const void *data, size_t n)
{
    struct cmsghdr c = {.cmsg_len = CMSG_LEN(n), .cmsg_level = level, .cmsg_type = type};
    char *at = room->bytes + msg->msg_controllen;
    msg->msg_control = room->bytes;
    msg->msg_controllen += CMSG_SPACE(n);
    assert(msg->msg_controllen <= sizeof room->bytes);
    memcpy(at, &c, sizeof c);
    memcpy(at + CMSG_LEN(0), data, n);
}

static void put_local(struct msghdr *msg, control_buffer *room, const tl_addr *local)
{
    if (local->family == TL_ADDR_V6) {
        struct in6_pktinfo v6 = {.ipi6_ifindex = local->scope};
        memcpy(&v6.ipi6_addr, local->bytes, 16);
        put_control(msg, room, IPPROTO_IPV6, IPV6_PKTINFO, &v6, sizeof v6);
    } else {
        struct in_pktinfo v4 = {0};
        memcpy(&v4.ipi_spec_dst, local->bytes, 4);
        put_control(msg, room, IPPROTO_IP, IP_PKTINFO, &v4, sizeof v4);
    }
}

/* Lays out the next `count` datagrams of a train, with the prefix in front of each. Returns how many
 * pieces there are. */
static size_t lay_out(const destination *to, const uint8_t *data, size_t n, size_t segment,
                      struct iovec ret_iov[2 * SEGMENTS_MAX])
{
    size_t count = 0;
    if (!to->prefix.n) {
        ret_iov[0] = (struct iovec){(uint8_t *)(uintptr_t)data, n};
        return 1;
    }
    for (size_t at = 0; at < n; at += segment) {
        assert(count < 2 * SEGMENTS_MAX);
        ret_iov[count++] = (struct iovec){(uint8_t *)(uintptr_t)to->prefix.p, to->prefix.n};
        ret_iov[count++] =
            (struct iovec){(uint8_t *)(uintptr_t)data + at, n - at < segment ? n - at : segment};
    }
    return count;
}

/* Sends with one sendmsg, and with UDP_SEGMENT if there is more than one segment. Returns errno; 0:
 * sent. */
static int send_once(const tl_udp *u, destination *to, const uint8_t *data, size_t n,
                     size_t segment)
{
    struct iovec iov[2 * SEGMENTS_MAX];
    struct msghdr msg = {.msg_name = &to->ss, .msg_namelen = to->n, .msg_iov = iov};
    msg.msg_iovlen = lay_out(to, data, n, segment, iov);
    control_buffer control = {{0}};
    if (to->local)
        put_local(&msg, &control, to->local);
    if (n > segment) {
        uint16_t size = (uint16_t)(segment + to->prefix.n);
        put_control(&msg, &control, IPPROTO_UDP, UDP_SEGMENT, &size, sizeof size);
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
    struct iovec iov[2 * SEGMENTS_MAX];
    control_buffer control = {{0}};
    struct msghdr common = {.msg_name = &to->ss, .msg_namelen = to->n};
    if (to->local)
        put_local(&common, &control, to->local);
    unsigned count = 0;
    for (size_t at = 0; at < n && count < SEGMENTS_MAX; at += segment, count++) {
        msgs[count].msg_hdr = common;
        msgs[count].msg_hdr.msg_iov = &iov[(size_t)2 * count];
        msgs[count].msg_hdr.msg_iovlen = lay_out(to, data + at, n - at < segment ? n - at : segment,
                                                 segment, &iov[(size_t)2 * count]);
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

/* How many bytes of the train one UDP_SEGMENT call may carry: whole segments. */
static size_t batch_of(const destination *to, size_t n, size_t segment)
{
    size_t count = SEND_MAX / (segment + to->prefix.n);
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
    size_t batch = batch_of(to, n, segment);
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

/* What the kernel says when the machine does not have the address to send from: IPv4 that there is no
 * route. */
static bool may_be_gone(int error)
{
    return error == EINVAL || error == EADDRNOTAVAIL || error == ENETUNREACH ||
           error == EHOSTUNREACH;
}

/* Sends as tl_udp_send_some does. */
static tl_err send_all(tl_udp *u, const tl_addr *local, const tl_addr *to, tl_slice prefix,
                       const uint8_t *data, size_t n, size_t segment, size_t *ret_n)
{
    destination d = {.local = local && local->family == to->family ? local : NULL,
                     .prefix = prefix};
    d.n = tl_addr_to_sockaddr(to, &d.ss);
    assert(segment || n == 0);
    size_t at = 0;
    while (at < n) {
        size_t k = 0;
        int error = send_next(u, &d, data + at, n - at, segment, &k);
        if (d.local && may_be_gone(error)) {
            d.local = NULL;
            continue;
        }
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

tl_err tl_udp_send_some(tl_udp *u, const tl_addr *to, const uint8_t *data, size_t n, size_t segment,
                        size_t *ret_n)
{
    return send_all(u, NULL, to, tl_slice_of(NULL, 0), data, n, segment, ret_n);
}

tl_err tl_udp_send_from(tl_udp *u, const tl_addr *local, const tl_addr *to, const uint8_t *data,
                        size_t n, size_t segment)
{
    size_t gone;
    return send_all(u, local, to, tl_slice_of(NULL, 0), data, n, segment, &gone);
}

tl_err tl_udp_send_prefixed(tl_udp *u, const tl_addr *local, const tl_addr *to, tl_slice prefix,
                            const uint8_t *data, size_t n, size_t segment)
{
    size_t gone;
    return send_all(u, local, to, prefix, data, n, segment, &gone);
}

tl_err tl_udp_send(tl_udp *u, const tl_addr *to, const uint8_t *data, size_t n, size_t segment)
{
    return tl_udp_send_from(u, NULL, to, data, n, segment);
}

/* --- many messages --- */

/* Puts what the kernel is to send a message with into `ret`. */
static void prepare(const tl_udp_message *m, destination *to, control_buffer *control,
                    struct msghdr *ret)
{
    to->n = tl_addr_to_sockaddr(m->to, &to->ss);
    *ret = (struct msghdr){
        .msg_name = &to->ss, .msg_namelen = to->n, .msg_iov = m->pieces, .msg_iovlen = m->count};
    if (m->local && m->local->family == m->to->family)
        put_local(ret, control, m->local);
    if (m->count > 1) {
        uint16_t size = (uint16_t)m->segment;
        put_control(ret, control, IPPROTO_UDP, UDP_SEGMENT, &size, sizeof size);
    }
}

/* One call for each datagram, without UDP_SEGMENT. */
static void send_pieces(const tl_udp *u, const tl_udp_message *m)
{
    struct mmsghdr msgs[TL_UDP_PIECES_MAX];
    destination to;
    control_buffer control = {{0}};
    tl_udp_message one = *m;
    unsigned n = (unsigned)m->count, at = 0;
    one.count = 1;
    for (unsigned i = 0; i < n; i++) {
        if (i == 0)
            prepare(&one, &to, &control, &msgs[0].msg_hdr);
        else
            msgs[i].msg_hdr = msgs[0].msg_hdr;
        msgs[i].msg_hdr.msg_iov = &m->pieces[i];
    }
    while (at < n) {
        int sent = sendmmsg(u->fd, msgs + at, n - at, 0);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0 && (errno == EAGAIN || errno == ENOBUFS))
            return;
        at += sent > 0 ? (unsigned)sent : 1; /* the first of them is lost */
    }
}

void tl_udp_send_messages(tl_udp *u, const tl_udp_message *messages, size_t n)
{
    struct mmsghdr msgs[TL_UDP_MESSAGES_MAX];
    destination to[TL_UDP_MESSAGES_MAX];
    control_buffer control[TL_UDP_MESSAGES_MAX];
    assert(n <= TL_UDP_MESSAGES_MAX);
    for (size_t i = 0; i < n; i++)
        prepare(&messages[i], &to[i], &control[i], &msgs[i].msg_hdr);
    for (size_t at = 0; at < n;) {
        int sent = -1;
        errno = EIO;
        if (u->gso || messages[at].count == 1)
            sent = sendmmsg(u->fd, msgs + at, (unsigned)(n - at), 0);
        if (sent > 0) {
            at += (size_t)sent;
            continue;
        }
        if (errno == EINTR)
            continue;
        if (errno == EAGAIN || errno == ENOBUFS)
            return;
        /* Too long for the interface, no route, or no UDP_SEGMENT here: singly, some of it may go. */
        if (messages[at].count > 1) {
            u->gso = u->gso && errno != EIO && errno != EOPNOTSUPP;
            send_pieces(u, &messages[at]);
        }
        at++;
    }
}
