#include "io/mdns_host.h"

#include <errno.h>
#include <ifaddrs.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <unistd.h>

#define DRAIN_MAX 64 /* datagrams at a time; the socket stays readable */

static bool counts(const struct ifaddrs *i)
{
    const unsigned must = IFF_UP | IFF_RUNNING | IFF_MULTICAST;
    return i->ifa_addr && (i->ifa_flags & must) == must &&
           !(i->ifa_flags & (IFF_LOOPBACK | IFF_POINTOPOINT));
}

size_t tl_mdns_host_look(tl_mdns_address ret_addresses[TL_MDNS_HOST_MAX])
{
    struct ifaddrs *list;
    size_t n = 0;
    if (getifaddrs(&list))
        return 0;
    for (struct ifaddrs *i = list; i && n < TL_MDNS_HOST_MAX; i = i->ifa_next) {
        if (!counts(i))
            continue;
        tl_addr a = tl_addr_from_sockaddr(i->ifa_addr);
        int index = (int)if_nametoindex(i->ifa_name);
        if (a.family != TL_ADDR_NONE && index > 0)
            ret_addresses[n++] = (tl_mdns_address){index, a};
    }
    freeifaddrs(list);
    return n;
}

bool tl_mdns_host_same(const tl_mdns_address *a, size_t n_a, const tl_mdns_address *b, size_t n_b)
{
    if (n_a != n_b)
        return false;
    for (size_t i = 0; i < n_a; i++)
        if (a[i].interface != b[i].interface || !tl_addr_same_ip(&a[i].addr, &b[i].addr))
            return false;
    return true;
}

int tl_mdns_host_watch(void)
{
    struct sockaddr_nl local = {.nl_family = AF_NETLINK,
                                .nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR};
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_ROUTE);
    if (fd >= 0 && bind(fd, (const struct sockaddr *)&local, sizeof local)) {
        close(fd);
        fd = -1;
    }
    return fd;
}

void tl_mdns_host_drain(int fd)
{
    char bytes[8192];
    for (int i = 0; i < DRAIN_MAX; i++)
        if (recv(fd, bytes, sizeof bytes, MSG_DONTWAIT) < 0 && errno != EINTR && errno != ENOBUFS)
            return;
}
