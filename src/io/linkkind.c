#include "io/linkkind.h"

#include <errno.h>
#include <linux/if_arp.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define RECEIVE    32768 /* the kernel writes a dump in pieces of at most this size */
#define PIECES_MAX 256   /* some thousand interfaces */

/* --- reading --- */

/* By the type of its hardware. A link without link-layer addresses has nobody beside the other end:
 * ARPHRD_NONE is WireGuard's, OpenVPN's and every TUN device's. */
static bool is_tunnel_type(unsigned short type)
{
    switch (type) {
    case ARPHRD_NONE:
    case ARPHRD_PPP:
    case ARPHRD_SLIP:
    case ARPHRD_CSLIP:
    case ARPHRD_RAWIP:
    case ARPHRD_TUNNEL:
    case ARPHRD_TUNNEL6:
    case ARPHRD_SIT:
    case ARPHRD_IPGRE:
    case ARPHRD_IP6GRE:
    case ARPHRD_IPDDP: return true;
    default: return false;
    }
}

/* By the driver, for those that look like Ethernet, and for those that may. "tun" names TAP devices
 * too: a TAP device with an address is a VPN's. */
static bool is_tunnel_kind(tl_slice kind)
{
    static const char *const kinds[] = {"tun",    "wireguard", "amneziawg", "ovpn",   "ovpn-dco",
                                        "ppp",    "ipip",      "ip6tnl",    "sit",    "gre",
                                        "ip6gre", "gretap",    "ip6gretap", "erspan", "vti",
                                        "vti6",   "xfrm",      "vxlan",     "geneve", "bareudp",
                                        "gtp",    "l2tp",      "l2tpeth",   "pptp",   "ip6erspan"};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (kind.n == strlen(kinds[i]) && !memcmp(kind.p, kinds[i], kind.n))
            return true;
    return false;
}

/* The attribute of that type among `n` bytes of attributes; NULL: none. */
static const struct rtattr *attribute(const struct rtattr *a, size_t n, unsigned short type)
{
    for (; RTA_OK(a, n); a = RTA_NEXT(a, n))
        if ((a->rta_type & NLA_TYPE_MASK) == type)
            return a;
    return NULL;
}

static tl_slice kind_of(const struct nlmsghdr *h)
{
    const struct rtattr *info = attribute(IFLA_RTA(NLMSG_DATA(h)), IFLA_PAYLOAD(h), IFLA_LINKINFO);
    const struct rtattr *kind =
        info ? attribute(RTA_DATA(info), RTA_PAYLOAD(info), IFLA_INFO_KIND) : NULL;
    if (!kind)
        return tl_slice_of(NULL, 0);
    return tl_slice_of(RTA_DATA(kind), strnlen(RTA_DATA(kind), RTA_PAYLOAD(kind)));
}

static bool is_tunnel(const struct nlmsghdr *h)
{
    const struct ifinfomsg *link = NLMSG_DATA(h);
    if (link->ifi_flags & IFF_LOOPBACK)
        return false;
    return (link->ifi_flags & IFF_POINTOPOINT) || is_tunnel_type(link->ifi_type) ||
           is_tunnel_kind(kind_of(h));
}

bool tl_linkkind_read(tl_linkkind *k, tl_slice bytes)
{
    size_t n = bytes.n;
    for (const struct nlmsghdr *h = (const void *)bytes.p; NLMSG_OK(h, n); h = NLMSG_NEXT(h, n)) {
        if (h->nlmsg_type == NLMSG_DONE || h->nlmsg_type == NLMSG_ERROR)
            return true;
        if (h->nlmsg_type != RTM_NEWLINK || h->nlmsg_len < NLMSG_LENGTH(sizeof(struct ifinfomsg)))
            continue;
        const struct ifinfomsg *link = NLMSG_DATA(h);
        if (is_tunnel(h) && k->n < TL_LINKKIND_TUNNELS_MAX)
            k->index[k->n++] = (unsigned)link->ifi_index;
    }
    return false;
}

/* --- asking --- */

static int ask(void)
{
    struct {
        struct nlmsghdr h;
        struct ifinfomsg link;
    } request = {.h = {.nlmsg_len = sizeof request,
                       .nlmsg_type = RTM_GETLINK,
                       .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
                 .link = {.ifi_family = AF_UNSPEC}};
    struct timeval patience = {.tv_sec = 1}; /* the kernel answers at once, or never */
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    if (fd < 0)
        return -1;
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (send(fd, &request, sizeof request, 0) == (ssize_t)sizeof request)
        return fd;
    close(fd);
    return -1;
}

tl_linkkind tl_linkkind_look(void)
{
    tl_linkkind k = {.n = 0};
    int fd = ask();
    for (int i = 0; fd >= 0 && i < PIECES_MAX; i++) {
        _Alignas(struct nlmsghdr) uint8_t bytes[RECEIVE];
        ssize_t n = recv(fd, bytes, sizeof bytes, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0 || tl_linkkind_read(&k, tl_slice_of(bytes, (size_t)n)))
            break;
    }
    if (fd >= 0)
        close(fd);
    return k;
}

bool tl_linkkind_is_tunnel(const tl_linkkind *k, unsigned index)
{
    for (size_t i = 0; i < k->n; i++)
        if (k->index[i] == index)
            return true;
    return false;
}
