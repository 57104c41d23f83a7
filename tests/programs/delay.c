/* delay.c - holds every packet of one netfilter queue for a fixed time: the lab's long lines. Takes
 * packets as numbers only, never their bytes, and lets all that are due go with one verdict.
 *
 *   delay QUEUE MILLISECONDS      prints "ready" once packets are held; ends on a signal */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_queue.h>
#include <linux/netlink.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define HELD_MAX (1u << 16) /* a power of two; at 1400 bytes and 50 ms this is 14 Gbit/s */
#define NS_PER_S 1000000000LL
#define RCVBUF   (32 << 20) /* a message a packet, before it is known that it is due */

typedef struct {
    struct {
        uint32_t id;
        int64_t due;
    } held[HELD_MAX];
    uint32_t first, end; /* of the ring; end - first are held */
    int64_t delay;
    uint16_t queue;
    int fd;
} delayer;

static int64_t clock_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * NS_PER_S + t.tv_nsec;
}

static void give_up(const char *what)
{
    fprintf(stderr, "delay: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* One netlink message to the queue with one attribute. */
static void tell(const delayer *d, uint8_t type, uint16_t attr, const void *value, size_t size,
                 bool ack)
{
    struct {
        struct nlmsghdr head;
        struct nfgenmsg body;
        struct nlattr attr;
        char value[32];
    } m = {.body = {.nfgen_family = AF_UNSPEC, .res_id = htons(d->queue)},
           .attr = {.nla_len = (uint16_t)(NLA_HDRLEN + size), .nla_type = attr}};
    m.head.nlmsg_len = (uint32_t)(NLMSG_LENGTH(sizeof m.body) + NLA_HDRLEN + NLA_ALIGN(size));
    m.head.nlmsg_type = NFNL_SUBSYS_QUEUE << 8 | type;
    m.head.nlmsg_flags = NLM_F_REQUEST | (ack ? NLM_F_ACK : 0);
    memcpy(m.value, value, size);
    if (send(d->fd, &m, m.head.nlmsg_len, 0) < 0)
        give_up("send");
    if (!ack)
        return;
    char answer[4096];
    if (recv(d->fd, answer, sizeof answer, 0) < 0)
        give_up("recv");
    int error;
    memcpy(&error, answer + NLMSG_HDRLEN, sizeof error);
    errno = -error;
    if (error)
        give_up("netfilter queue");
}

static void open_queue(delayer *d)
{
    d->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
    if (d->fd < 0)
        give_up("socket");
    int size = RCVBUF, on = 1;
    setsockopt(d->fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
    setsockopt(d->fd, SOL_NETLINK, NETLINK_NO_ENOBUFS, &on, sizeof on);
    struct nfqnl_msg_config_cmd bind_it = {.command = NFQNL_CFG_CMD_BIND};
    tell(d, NFQNL_MSG_CONFIG, NFQA_CFG_CMD, &bind_it, sizeof bind_it, true);
    uint32_t most = htonl(HELD_MAX - 1);
    tell(d, NFQNL_MSG_CONFIG, NFQA_CFG_QUEUE_MAXLEN, &most, sizeof most, true);
    struct nfqnl_msg_config_params numbers_only = {.copy_mode = NFQNL_COPY_META};
    tell(d, NFQNL_MSG_CONFIG, NFQA_CFG_PARAMS, &numbers_only, sizeof numbers_only, true);
}

static void hold(delayer *d, uint32_t id, int64_t now)
{
    if (d->end - d->first == HELD_MAX) /* cannot be: the kernel's own limit is lower */
        abort();
    d->held[d->end % HELD_MAX].id = id;
    d->held[d->end % HELD_MAX].due = now + d->delay;
    d->end++;
}

static void read_packets(delayer *d)
{
    static _Alignas(struct nlmsghdr) char buf[1 << 16];
    ssize_t n;
    while ((n = recv(d->fd, buf, sizeof buf, MSG_DONTWAIT)) > 0) {
        int64_t now = clock_ns();
        int left = (int)n;
        for (struct nlmsghdr *m = (struct nlmsghdr *)buf; NLMSG_OK(m, (unsigned)left);
             m = NLMSG_NEXT(m, left)) {
            if (m->nlmsg_type != (NFNL_SUBSYS_QUEUE << 8 | NFQNL_MSG_PACKET))
                continue;
            const char *at = (const char *)m + NLMSG_SPACE(sizeof(struct nfgenmsg));
            const char *end = (const char *)m + m->nlmsg_len;
            struct nlattr a;
            for (; at + sizeof a <= end; at += NLA_ALIGN(a.nla_len)) {
                memcpy(&a, at, sizeof a);
                if (a.nla_len < NLA_HDRLEN)
                    break;
                if (a.nla_type != NFQA_PACKET_HDR)
                    continue;
                uint32_t id;
                memcpy(&id, at + NLA_HDRLEN + offsetof(struct nfqnl_msg_packet_hdr, packet_id),
                       sizeof id);
                hold(d, ntohl(id), now);
                break;
            }
        }
    }
    if (n < 0 && errno != EAGAIN && errno != EINTR)
        give_up("recv");
}

static void release_due(delayer *d)
{
    int64_t now = clock_ns();
    bool any = false;
    struct nfqnl_msg_verdict_hdr up_to = {.verdict = htonl(NF_ACCEPT)};
    while (d->first != d->end && d->held[d->first % HELD_MAX].due <= now) {
        up_to.id = htonl(d->held[d->first % HELD_MAX].id);
        d->first++;
        any = true;
    }
    if (any)
        tell(d, NFQNL_MSG_VERDICT_BATCH, NFQA_VERDICT_HDR, &up_to, sizeof up_to, false);
}

int main(int argc, char **argv)
{
    static delayer d;
    if (argc != 3) {
        fprintf(stderr, "usage: delay QUEUE MILLISECONDS\n");
        return 2;
    }
    d.queue = (uint16_t)strtoul(argv[1], NULL, 10);
    d.delay = (int64_t)(strtod(argv[2], NULL) * 1e6);
    open_queue(&d);
    puts("ready");
    fflush(stdout);
    for (;;) {
        struct pollfd p = {.fd = d.fd, .events = POLLIN};
        struct timespec left = {0};
        if (d.first != d.end) {
            int64_t ns = d.held[d.first % HELD_MAX].due - clock_ns();
            ns = ns < 0 ? 0 : ns;
            left = (struct timespec){ns / NS_PER_S, ns % NS_PER_S};
        }
        if (ppoll(&p, 1, d.first != d.end ? &left : NULL, NULL) < 0 && errno != EINTR)
            give_up("ppoll");
        if (p.revents)
            read_packets(&d);
        release_due(&d);
    }
}
