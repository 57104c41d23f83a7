#include "io/netmon.h"

#include "base/log.h"
#include "io/linkkind.h"

#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define RECEIVE     16384      /* one netlink datagram is at most a page or two */
#define RECEIVE_MAX 64         /* datagrams in one turn; the rest in the next */
#define ROUTES_MAX  (64 << 10) /* bytes read of the routing table */

typedef struct {
    size_t n;
    tl_interface at[TL_INTERFACES_MAX];
    uint64_t routes; /* hash of the default routes */
} snapshot;

struct tl_netmon {
    tl_loop *loop;
    void (*on_change)(void *user);
    void *user;
    int fd; /* -1: netlink is denied */
    tl_poll *poll;
    tl_timer due;
    tl_time first_sign; /* 0: nothing happened since the last look */
    bool flapped;       /* one of our links went down, even if it is up again */
    snapshot now;
};

/* --- looking --- */

static uint8_t prefix_of(const struct sockaddr *mask)
{
    if (!mask)
        return 0;
    const uint8_t *p = (const uint8_t *)mask;
    size_t n = 4, bits = 0;
    if (mask->sa_family == AF_INET6) {
        p += offsetof(struct sockaddr_in6, sin6_addr);
        n = 16;
    } else
        p += offsetof(struct sockaddr_in, sin_addr);
    for (size_t i = 0; i < n; i++)
        bits += (size_t)__builtin_popcount(p[i]);
    return (uint8_t)bits;
}

/* The address from which the system would send. Sends nothing to find it. */
static tl_addr preferred(int family)
{
    tl_addr none = {.family = TL_ADDR_NONE}, to = none;
    /* a.root-servers.net: far away from every node, so the system takes the default route */
    const char *text = family == AF_INET ? "198.41.0.4" : "2001:503:ba3e::2:30";
    struct sockaddr_storage ss;
    int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return none;
    if (tl_addr_parse_ip(tl_slice_str(text), &to) == TL_OK) {
        to.port = 9;
        socklen_t n = tl_addr_to_sockaddr(&to, &ss);
        to = none;
        if (!connect(fd, (const struct sockaddr *)&ss, n)) {
            n = sizeof ss;
            if (!getsockname(fd, (struct sockaddr *)&ss, &n))
                to = tl_addr_from_sockaddr((const struct sockaddr *)&ss);
        }
    }
    close(fd);
    to.port = 0;
    return to;
}

static void prefer(snapshot *s, const tl_addr *a)
{
    for (size_t i = 1; i < s->n; i++)
        if (tl_addr_same_ip(&s->at[i].addr, a)) {
            tl_interface one = s->at[i];
            memmove(&s->at[1], &s->at[0], i * sizeof s->at[0]);
            s->at[0] = one;
        }
}

static void put_address(snapshot *s, size_t k, const struct ifaddrs *i, const tl_addr *a)
{
    s->at[k] = (tl_interface){.addr = *a,
                              .prefix = prefix_of(i->ifa_netmask),
                              .tunnel = i->ifa_flags & IFF_POINTOPOINT,
                              .index = if_nametoindex(i->ifa_name)};
    snprintf(s->at[k].name, sizeof s->at[k].name, "%s", i->ifa_name);
}

static void look_at_kinds(snapshot *s)
{
    tl_linkkind kinds = tl_linkkind_look();
    for (size_t i = 0; i < s->n; i++)
        s->at[i].tunnel |= tl_linkkind_is_tunnel(&kinds, s->at[i].index);
}

static void look_at_addresses(snapshot *s)
{
    struct ifaddrs *list;
    if (getifaddrs(&list))
        return;
    tl_addr v4 = preferred(AF_INET), v6 = preferred(AF_INET6);
    for (struct ifaddrs *i = list; i; i = i->ifa_next) {
        if (!i->ifa_addr || !(i->ifa_flags & IFF_UP) || (i->ifa_flags & IFF_LOOPBACK))
            continue;
        tl_addr a = tl_addr_from_sockaddr(i->ifa_addr);
        if (a.family == TL_ADDR_NONE)
            continue;
        if (s->n < TL_INTERFACES_MAX)
            put_address(s, s->n++, i, &a);
        else if (tl_addr_same_ip(&a, &v4)) /* if there are too many, the address we send from
                                              replaces the last */
            put_address(s, TL_INTERFACES_MAX - 1, i, &a);
        else if (tl_addr_same_ip(&a, &v6))
            put_address(s, TL_INTERFACES_MAX - 2, i, &a);
    }
    freeifaddrs(list);
    prefer(s, &v6);
    prefer(s, &v4);
}

static uint64_t hash(uint64_t h, const char *text)
{
    for (; *text; text++)
        h = (h ^ (uint8_t)*text) * UINT64_C(0x100000001B3); /* FNV-1a */
    return h;
}

/* Hashes only what names the route: counts of use and metrics change all the time. */
static uint64_t hash_route4(uint64_t h, const char *line)
{
    char name[32], to[16], gateway[16], mask[16];
    if (sscanf(line, "%31s %15s %15s %*s %*s %*s %*s %15s", name, to, gateway, mask) == 4 &&
        !strcmp(to, "00000000") && !strcmp(mask, "00000000"))
        h = hash(hash(h, name), gateway);
    return h;
}

static uint64_t hash_route6(uint64_t h, const char *line)
{
    char to[40], bits[8], gateway[40], name[32];
    if (sscanf(line, "%39s %7s %*s %*s %39s %*s %*s %*s %*s %31s", to, bits, gateway, name) == 4 &&
        !strcmp(bits, "00") && strspn(to, "0") == 32 && strcmp(name, "lo") != 0)
        h = hash(hash(h, name), gateway);
    return h;
}

static uint64_t look_at_routes(const char *path, uint64_t (*one)(uint64_t h, const char *line))
{
    char line[512];
    uint64_t sum = 0;
    size_t seen = 0;
    FILE *f = fopen(path, "re");
    while (f && seen < ROUTES_MAX && fgets(line, sizeof line, f)) {
        seen += strlen(line);
        uint64_t h = one(0, line);
        sum += h; /* a sum does not depend on the order */
    }
    if (f)
        fclose(f);
    return sum;
}

static snapshot look(void)
{
    snapshot s = {.n = 0};
    look_at_addresses(&s);
    look_at_kinds(&s);
    s.routes = look_at_routes("/proc/net/route", hash_route4) +
               look_at_routes("/proc/net/ipv6_route", hash_route6);
    return s;
}

static bool same(const snapshot *a, const snapshot *b)
{
    if (a->n != b->n || a->routes != b->routes)
        return false;
    for (size_t i = 0; i < a->n; i++)
        if (!tl_addr_same_ip(&a->at[i].addr, &b->at[i].addr) ||
            a->at[i].prefix != b->at[i].prefix || a->at[i].tunnel != b->at[i].tunnel ||
            a->at[i].index != b->at[i].index || strcmp(a->at[i].name, b->at[i].name) != 0)
            return false;
    return true;
}

static void on_due(void *user)
{
    tl_netmon *m = user;
    snapshot s = look();
    bool changed = m->flapped || !same(&s, &m->now);
    m->now = s;
    m->first_sign = 0;
    m->flapped = false;
    if (m->fd < 0)
        tl_timer_set(&m->due, tl_loop_now(m->loop) + TL_NETMON_LOOK_EVERY);
    if (changed)
        m->on_change(m->user);
}

/* --- netlink --- */

static void sign(tl_netmon *m)
{
    tl_time now = tl_loop_now(m->loop);
    if (!m->first_sign)
        m->first_sign = now;
    tl_timer_set(&m->due, tl_time_min(now + TL_NETMON_QUIET, m->first_sign + TL_NETMON_AT_LATEST));
}

/* A link that lost its carrier may come back on another network with the same address. */
static void see_link(tl_netmon *m, const struct ifinfomsg *link)
{
    if ((link->ifi_flags & IFF_UP) && (link->ifi_flags & IFF_RUNNING))
        return;
    for (size_t i = 0; i < m->now.n; i++)
        m->flapped |= m->now.at[i].index == (unsigned)link->ifi_index;
}

static void see(tl_netmon *m, struct nlmsghdr *h, size_t n)
{
    for (; NLMSG_OK(h, n); h = NLMSG_NEXT(h, n)) {
        if (h->nlmsg_type == RTM_NEWLINK && h->nlmsg_len >= NLMSG_LENGTH(sizeof(struct ifinfomsg)))
            see_link(m, NLMSG_DATA(h));
        sign(m);
    }
}

static void on_netlink(void *user, int events)
{
    tl_netmon *m = user;
    (void)events;
    for (int i = 0; i < RECEIVE_MAX; i++) {
        _Alignas(struct nlmsghdr) char bytes[RECEIVE];
        ssize_t n = recv(m->fd, bytes, sizeof bytes, MSG_DONTWAIT);
        if (n > 0)
            see(m, (struct nlmsghdr *)bytes, (size_t)n);
        else if (n < 0 && errno == ENOBUFS)
            sign(m); /* some messages were lost: the look will find what changed */
        else if (!(n < 0 && errno == EINTR))
            return;
    }
}

static int open_netlink(void)
{
    struct sockaddr_nl local = {.nl_family = AF_NETLINK,
                                .nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR |
                                             RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE};
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_ROUTE);
    if (fd >= 0 && bind(fd, (const struct sockaddr *)&local, sizeof local)) {
        close(fd);
        fd = -1;
    }
    if (fd < 0)
        tl_log(
            TL_LOG_INFO,
            "changes of the network are noticed only after up to 30 s, because netlink failed: %s",
            strerror(errno));
    return fd;
}

tl_err tl_netmon_new(tl_loop *loop, void (*on_change)(void *user), void *user,
                     tl_netmon **ret_netmon)
{
    tl_netmon *m = calloc(1, sizeof *m);
    if (!m)
        return TL_ERR_NOMEM;
    m->loop = loop;
    m->on_change = on_change;
    m->user = user;
    tl_timer_init(&m->due, loop, on_due, m);
    m->fd = open_netlink();
    if (m->fd >= 0 && tl_poll_new(loop, m->fd, on_netlink, m, &m->poll)) {
        tl_netmon_free(m);
        return TL_ERR_NOMEM;
    }
    if (m->fd >= 0)
        tl_poll_set(m->poll, TL_POLL_READ);
    else
        tl_timer_set(&m->due, tl_loop_now(loop) + TL_NETMON_LOOK_EVERY);
    m->now = look(); /* after the watch began, so that no change is missed */
    *ret_netmon = m;
    return TL_OK;
}

void tl_netmon_free(tl_netmon *m)
{
    if (!m)
        return;
    tl_timer_stop(&m->due);
    if (m->poll)
        tl_poll_free(m->poll);
    if (m->fd >= 0)
        close(m->fd);
    free(m);
}

const tl_interface *tl_netmon_interfaces(const tl_netmon *m, size_t *ret_n)
{
    *ret_n = m->now.n;
    return m->now.at;
}
