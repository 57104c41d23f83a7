#include "io/linkkind.h"

#include <linux/if_arp.h>
#include <linux/rtnetlink.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

typedef struct {
    _Alignas(struct nlmsghdr) uint8_t bytes[4096];
    size_t n;
} messages;

static void put(messages *m, unsigned short type, const void *data, size_t n)
{
    struct rtattr a = {.rta_type = type, .rta_len = (unsigned short)RTA_LENGTH(n)};
    memcpy(m->bytes + m->n, &a, sizeof a);
    memcpy(m->bytes + m->n + RTA_LENGTH(0), data, n);
    m->n += RTA_SPACE(n);
}

/* As the kernel writes one: a name before the kind, and more after it. */
static void add_link(messages *m, int index, unsigned short hardware, unsigned flags,
                     const char *kind)
{
    messages info = {.n = 0};
    size_t begin = m->n;
    struct ifinfomsg link = {.ifi_index = index, .ifi_type = hardware, .ifi_flags = flags | IFF_UP};
    memcpy(m->bytes + begin + NLMSG_HDRLEN, &link, sizeof link);
    m->n += NLMSG_SPACE(sizeof link);
    put(m, IFLA_IFNAME, "x0", 3);
    if (kind) {
        put(&info, IFLA_INFO_KIND, kind, strlen(kind) + 1);
        put(&info, IFLA_INFO_DATA, "12345678", 8);
        put(m, IFLA_LINKINFO | NLA_F_NESTED, info.bytes, info.n);
    }
    struct nlmsghdr h = {.nlmsg_len = (uint32_t)(m->n - begin), .nlmsg_type = RTM_NEWLINK};
    memcpy(m->bytes + begin, &h, sizeof h);
}

static void end(messages *m)
{
    struct nlmsghdr h = {.nlmsg_len = NLMSG_LENGTH(0), .nlmsg_type = NLMSG_DONE};
    memcpy(m->bytes + m->n, &h, sizeof h);
    m->n += h.nlmsg_len;
}

static const struct {
    unsigned short hardware;
    unsigned flags;
    const char *kind;
    bool tunnel;
} links[] = {
    {ARPHRD_ETHER, IFF_BROADCAST, NULL, false}, /* a network card */
    {ARPHRD_ETHER, IFF_BROADCAST, "veth", false},
    {ARPHRD_ETHER, IFF_BROADCAST, "bridge", false},
    {ARPHRD_ETHER, IFF_BROADCAST, "bond", false},
    {ARPHRD_ETHER, IFF_BROADCAST, "vlan", false},
    {ARPHRD_ETHER, IFF_BROADCAST, "macvlan", false},
    {ARPHRD_ETHER, IFF_BROADCAST, "tunnel", false}, /* a word that only begins like one */
    {ARPHRD_IEEE80211, 0, NULL, false},
    {ARPHRD_INFINIBAND, IFF_BROADCAST, "ipoib", false},
    {ARPHRD_LOOPBACK, IFF_LOOPBACK, NULL, false},
    {ARPHRD_NONE, IFF_POINTOPOINT, "tun", true},
    {ARPHRD_NONE, 0, "wireguard", true},
    {ARPHRD_NONE, 0, "wireguard-of-tomorrow", true}, /* no link-layer address is enough */
    {ARPHRD_ETHER, IFF_POINTOPOINT, NULL, true},     /* or two ends only */
    {ARPHRD_PPP, IFF_POINTOPOINT, "ppp", true},
    {ARPHRD_TUNNEL, 0, "ipip", true},
    {ARPHRD_TUNNEL6, 0, "ip6tnl", true},
    {ARPHRD_SIT, 0, "sit", true},
    {ARPHRD_IPGRE, 0, "gre", true},
    {ARPHRD_IP6GRE, 0, "ip6gre", true},
    {ARPHRD_ETHER, IFF_BROADCAST, "tun", true}, /* a TAP device */
    {ARPHRD_ETHER, IFF_BROADCAST, "gretap", true},
    {ARPHRD_ETHER, IFF_BROADCAST, "vxlan", true},
    {ARPHRD_ETHER, IFF_BROADCAST, "geneve", true},
};
#define LINKS (sizeof links / sizeof *links)

static void make(messages *m)
{
    m->n = 0;
    for (size_t i = 0; i < LINKS; i++)
        add_link(m, (int)i + 1, links[i].hardware, links[i].flags, links[i].kind);
    end(m);
}

static void tunnels_are_known_by_hardware_flag_or_driver(void **state)
{
    (void)state;
    static messages m;
    tl_linkkind k = {.n = 0};
    make(&m);
    assert_true(tl_linkkind_read(&k, tl_slice_of(m.bytes, m.n)));
    for (size_t i = 0; i < LINKS; i++)
        if (tl_linkkind_is_tunnel(&k, (unsigned)i + 1) != links[i].tunnel)
            fail_msg("hardware %u, kind %s", links[i].hardware, links[i].kind);
    assert_false(tl_linkkind_is_tunnel(&k, 0));
    assert_false(tl_linkkind_is_tunnel(&k, LINKS + 1));
}

static void a_list_cut_anywhere_is_read_as_far_as_it_goes(void **state)
{
    (void)state;
    static messages m;
    make(&m);
    for (size_t n = 0; n < m.n; n++) {
        tl_linkkind k = {.n = 0};
        bool ends = tl_linkkind_read(&k, tl_slice_of(m.bytes, n));
        assert_false(ends);
        assert_in_range(k.n, 0, LINKS);
        for (size_t i = 0; i < k.n; i++)
            assert_true(links[k.index[i] - 1].tunnel);
    }
}

static void lengths_that_lie_are_survived(void **state)
{
    (void)state;
    static messages m;
    make(&m);
    size_t size = m.n;
    for (size_t at = 0; at < size; at++)
        for (unsigned bit = 0; bit < 8; bit++) {
            uint8_t copy[sizeof m.bytes] __attribute__((aligned(8)));
            memcpy(copy, m.bytes, size);
            copy[at] ^= (uint8_t)(1u << bit);
            tl_linkkind k = {.n = 0};
            (void)tl_linkkind_read(&k, tl_slice_of(copy, size));
            assert_in_range(k.n, 0, LINKS);
        }
}

static void more_tunnels_than_there_is_room_for_are_cut(void **state)
{
    (void)state;
    static messages m;
    tl_linkkind k = {.n = 0};
    for (int i = 1; i <= TL_LINKKIND_TUNNELS_MAX + 1; i++) {
        m.n = 0;
        add_link(&m, i, ARPHRD_NONE, 0, "wireguard");
        assert_false(tl_linkkind_read(&k, tl_slice_of(m.bytes, m.n)));
    }
    assert_true(tl_linkkind_is_tunnel(&k, TL_LINKKIND_TUNNELS_MAX));
    assert_false(tl_linkkind_is_tunnel(&k, TL_LINKKIND_TUNNELS_MAX + 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tunnels_are_known_by_hardware_flag_or_driver),
        cmocka_unit_test(a_list_cut_anywhere_is_read_as_far_as_it_goes),
        cmocka_unit_test(lengths_that_lie_are_survived),
        cmocka_unit_test(more_tunnels_than_there_is_room_for_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
