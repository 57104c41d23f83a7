#include "io/gateway.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <sys/time.h>
#include <unistd.h>

#define ANSWER_MAX 4096
/* An address that is surely not ours (a.root-servers.net). The kernel is asked for its route; no
 * packet is sent to it. */
static const uint8_t far_away[4] = {198, 41, 0, 4};

typedef struct {
    struct nlmsghdr head;
    struct rtmsg route;
    struct rtattr attribute;
    uint8_t destination[4];
} question;

static tl_err exchange(int fd, uint8_t *answer, size_t *ret_n)
{
    question q = {
        .head = {.nlmsg_len = sizeof q, .nlmsg_type = RTM_GETROUTE, .nlmsg_flags = NLM_F_REQUEST},
        .route = {.rtm_family = AF_INET, .rtm_dst_len = 32},
        .attribute = {.rta_len = RTA_LENGTH(4), .rta_type = RTA_DST}};
    memcpy(q.destination, far_away, sizeof far_away);
    struct sockaddr_nl kernel = {.nl_family = AF_NETLINK}, from = {0};
    struct iovec iov = {answer, ANSWER_MAX};
    struct msghdr msg = {
        .msg_name = &from, .msg_namelen = sizeof from, .msg_iov = &iov, .msg_iovlen = 1};
    if (sendto(fd, &q, sizeof q, 0, (const struct sockaddr *)&kernel, sizeof kernel) < 0)
        return TL_ERR_IO;
    ssize_t n;
    do
        n = recvmsg(fd, &msg, 0);
    while ((n < 0 && errno == EINTR) || (n >= 0 && from.nl_pid != 0)); /* nl_pid 0 is the kernel */
    if (n < 0 || (msg.msg_flags & MSG_TRUNC))
        return TL_ERR_IO;
    *ret_n = (size_t)n;
    return TL_OK;
}

static void read_attributes(struct rtmsg *route, size_t n, tl_addr *gateway, tl_addr *own)
{
    for (struct rtattr *a = RTM_RTA(route); RTA_OK(a, n); a = RTA_NEXT(a, n)) {
        tl_addr *into = a->rta_type == RTA_GATEWAY   ? gateway
                        : a->rta_type == RTA_PREFSRC ? own
                                                     : NULL;
        if (!into || RTA_PAYLOAD(a) != 4)
            continue;
        into->family = TL_ADDR_V4;
        memcpy(into->bytes, RTA_DATA(a), 4);
    }
}

tl_err tl_gateway_find(tl_addr *ret_gateway, tl_addr *ret_own)
{
    _Alignas(struct nlmsghdr) uint8_t answer[ANSWER_MAX];
    struct timeval patience = {.tv_sec = 1}; /* far more than needed: the kernel answers within the
                                                call that asks */
    size_t n = 0;
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    if (fd < 0)
        return TL_ERR_IO;
    tl_err e =
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) ? TL_ERR_IO : TL_OK;
    if (e == TL_OK)
        e = exchange(fd, answer, &n);
    close(fd);
    if (e)
        return e;
    struct nlmsghdr *h = (struct nlmsghdr *)answer;
    if (!NLMSG_OK(h, n) || h->nlmsg_type == NLMSG_ERROR)
        return TL_ERR_UNREACHABLE;
    if (h->nlmsg_type != RTM_NEWROUTE || h->nlmsg_len < NLMSG_LENGTH(sizeof(struct rtmsg)))
        return TL_ERR_IO;
    struct rtmsg *route = NLMSG_DATA(h);
    if (route->rtm_type != RTN_UNICAST)
        return TL_ERR_UNREACHABLE;
    tl_addr gateway = {.family = TL_ADDR_NONE}, own = {.family = TL_ADDR_NONE};
    read_attributes(route, RTM_PAYLOAD(h), &gateway, &own);
    if (own.family == TL_ADDR_NONE)
        return TL_ERR_UNREACHABLE;
    *ret_gateway = gateway;
    *ret_own = own;
    return TL_OK;
}
