#include "nat/candidate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static tl_addr ip(const char *text, uint16_t port)
{
    tl_addr a;
    if (tl_addr_parse_ip(tl_slice_str(text), &a))
        fail_msg("%s is no address", text);
    a.port = port;
    return a;
}

static tl_interface interface(const char *text, uint8_t prefix)
{
    return (tl_interface){.addr = ip(text, 0), .prefix = prefix, .name = "eth0"};
}

typedef struct {
    const char *text;
    tl_addr_kind kind;
} judged;

static void assert_judged(const judged *j, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        tl_addr a = ip(j[i].text, 7);
        if (tl_addr_kind_of(&a) != j[i].kind)
            fail_msg("%s is of kind %d, not %d", j[i].text, tl_addr_kind_of(&a), j[i].kind);
        if (tl_candidate_allowed(&a, NULL, 0, 0) != (j[i].kind != TL_ADDR_FORBIDDEN))
            fail_msg("%s is not judged by its kind", j[i].text);
    }
}

/* Each edge beside the first address beyond it. */
static void every_block_of_ipv4_begins_and_ends_where_it_should(void **state)
{
    (void)state;
    static const judged all[] = {
        {"0.0.0.0", TL_ADDR_FORBIDDEN},
        {"0.255.255.255", TL_ADDR_FORBIDDEN},
        {"1.0.0.0", TL_ADDR_GLOBAL},
        {"9.255.255.255", TL_ADDR_GLOBAL},
        {"10.0.0.0", TL_ADDR_PRIVATE},
        {"10.255.255.255", TL_ADDR_PRIVATE},
        {"11.0.0.0", TL_ADDR_GLOBAL},
        {"100.63.255.255", TL_ADDR_GLOBAL},
        {"100.64.0.0", TL_ADDR_SHARED},
        {"100.127.255.255", TL_ADDR_SHARED},
        {"100.128.0.0", TL_ADDR_GLOBAL},
        {"126.255.255.255", TL_ADDR_GLOBAL},
        {"127.0.0.0", TL_ADDR_FORBIDDEN},
        {"127.255.255.255", TL_ADDR_FORBIDDEN},
        {"128.0.0.0", TL_ADDR_GLOBAL},
        {"169.253.255.255", TL_ADDR_GLOBAL},
        {"169.254.0.0", TL_ADDR_FORBIDDEN},
        {"169.254.255.255", TL_ADDR_FORBIDDEN},
        {"169.255.0.0", TL_ADDR_GLOBAL},
        {"172.15.255.255", TL_ADDR_GLOBAL},
        {"172.16.0.0", TL_ADDR_PRIVATE},
        {"172.31.255.255", TL_ADDR_PRIVATE},
        {"172.32.0.0", TL_ADDR_GLOBAL},
        {"192.167.255.255", TL_ADDR_GLOBAL},
        {"192.168.0.0", TL_ADDR_PRIVATE},
        {"192.168.255.255", TL_ADDR_PRIVATE},
        {"192.169.0.0", TL_ADDR_GLOBAL},
        {"223.255.255.255", TL_ADDR_GLOBAL},
        {"224.0.0.0", TL_ADDR_FORBIDDEN},
        {"239.255.255.255", TL_ADDR_FORBIDDEN},
        {"240.0.0.0", TL_ADDR_FORBIDDEN},
        {"255.255.255.255", TL_ADDR_FORBIDDEN},
        {"169.254.169.254", TL_ADDR_FORBIDDEN},
        {"100.100.100.200", TL_ADDR_FORBIDDEN},
        {"100.100.100.201", TL_ADDR_SHARED},
        {"168.63.129.16", TL_ADDR_FORBIDDEN},
        {"168.63.129.17", TL_ADDR_GLOBAL},
        {"192.0.0.192", TL_ADDR_FORBIDDEN},
        {"192.0.0.193", TL_ADDR_GLOBAL},
    };
    assert_judged(all, sizeof all / sizeof *all);
}

static void every_block_of_ipv6_begins_and_ends_where_it_should(void **state)
{
    (void)state;
    static const judged all[] = {
        {"::", TL_ADDR_FORBIDDEN},
        {"::1", TL_ADDR_FORBIDDEN},
        {"::2", TL_ADDR_FORBIDDEN},
        {"100::1", TL_ADDR_FORBIDDEN},
        {"100:0:0:1::1", TL_ADDR_GLOBAL},
        {"2001:db8::1", TL_ADDR_GLOBAL},
        {"2a00:1450:4001:82a::200e", TL_ADDR_GLOBAL},
        {"fbff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", TL_ADDR_GLOBAL},
        {"fc00::", TL_ADDR_PRIVATE},
        {"fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", TL_ADDR_PRIVATE},
        {"fe00::1", TL_ADDR_GLOBAL},
        {"fe80::1", TL_ADDR_FORBIDDEN},
        {"febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", TL_ADDR_FORBIDDEN},
        {"fec0::1", TL_ADDR_PRIVATE},
        {"ff00::", TL_ADDR_FORBIDDEN},
        {"ff02::1", TL_ADDR_FORBIDDEN},
        {"fd00:ec2::254", TL_ADDR_FORBIDDEN},
        {"fd00:ec2::255", TL_ADDR_PRIVATE},
        {"fd20:ce::254", TL_ADDR_FORBIDDEN},
        {"fd20:ce::253", TL_ADDR_PRIVATE},
        {"fd00:42::42", TL_ADDR_FORBIDDEN},
        {"fd00:42::43", TL_ADDR_PRIVATE},
        {"fd00:c1::a9fe:a9fe", TL_ADDR_FORBIDDEN},
        {"fd00:c1::a9fe:a9ff", TL_ADDR_PRIVATE},
        {"fd00:a9fe:a9fe::1", TL_ADDR_FORBIDDEN},
        {"fd00:a9fe:a9fe::2", TL_ADDR_PRIVATE},
    };
    assert_judged(all, sizeof all / sizeof *all);
}

static void ipv4_in_ipv6_clothes_is_still_what_it_is(void **state)
{
    (void)state;
    static const judged all[] = {
        /* mapped */
        {"::ffff:127.0.0.1", TL_ADDR_FORBIDDEN},
        {"::ffff:169.254.169.254", TL_ADDR_FORBIDDEN},
        {"::ffff:255.255.255.255", TL_ADDR_FORBIDDEN},
        {"::ffff:0.0.0.0", TL_ADDR_FORBIDDEN},
        {"::ffff:10.0.0.1", TL_ADDR_PRIVATE},
        {"::ffff:8.8.8.8", TL_ADDR_GLOBAL},
        /* compatible, translated */
        {"::127.0.0.1", TL_ADDR_FORBIDDEN},
        {"::8.8.8.8", TL_ADDR_FORBIDDEN},
        {"::ffff:0:127.0.0.1", TL_ADDR_FORBIDDEN},
        /* 6to4 */
        {"2002:7f00:1::1", TL_ADDR_FORBIDDEN},
        {"2002:a9fe:a9fe::1", TL_ADDR_FORBIDDEN},
        {"2002:e000:1::1", TL_ADDR_FORBIDDEN},
        {"2002:a00:1::1", TL_ADDR_FORBIDDEN},
        {"2002:808:808::1", TL_ADDR_GLOBAL},
        /* NAT64, the well-known prefix and the local ones (RFC 8215) */
        {"64:ff9b::127.0.0.1", TL_ADDR_FORBIDDEN},
        {"64:ff9b::10.0.0.1", TL_ADDR_FORBIDDEN},
        {"64:ff9b::169.254.169.254", TL_ADDR_FORBIDDEN},
        {"64:ff9b::8.8.8.8", TL_ADDR_GLOBAL},
        {"64:ff9b:1::8.8.8.8", TL_ADDR_FORBIDDEN},
        {"64:ff9b::1:8.8.8.8", TL_ADDR_FORBIDDEN},
        /* Teredo: the client's address is inverted */
        {"2001:0:808:808::80ff:fffe", TL_ADDR_FORBIDDEN},
        {"2001:0:7f00:1::f7f7:f7f7", TL_ADDR_FORBIDDEN},
        {"2001:0:808:808::f7f7:f7f7", TL_ADDR_GLOBAL},
        /* ISATAP */
        {"2001:db8::5efe:127.0.0.1", TL_ADDR_FORBIDDEN},
        {"2001:db8::200:5efe:127.0.0.1", TL_ADDR_FORBIDDEN},
        {"2001:db8::5efe:10.0.0.1", TL_ADDR_GLOBAL},
        {"2001:db8::100:5efe:127.0.0.1", TL_ADDR_GLOBAL},
    };
    assert_judged(all, sizeof all / sizeof *all);
}

static void an_address_without_port_or_family_is_forbidden(void **state)
{
    (void)state;
    tl_addr a = ip("192.0.2.1", 0), b = ip("2001:db8::1", 0), none = {.port = 7};
    assert_int_equal(tl_addr_kind_of(&a), TL_ADDR_FORBIDDEN);
    assert_int_equal(tl_addr_kind_of(&b), TL_ADDR_FORBIDDEN);
    assert_int_equal(tl_addr_kind_of(&none), TL_ADDR_FORBIDDEN);
    a.port = b.port = 1;
    assert_int_equal(tl_addr_kind_of(&a), TL_ADDR_GLOBAL);
    assert_int_equal(tl_addr_kind_of(&b), TL_ADDR_GLOBAL);
}

static void an_address_with_a_zone_is_not_a_peers_to_name(void **state)
{
    (void)state;
    tl_addr a = ip("2001:db8::1", 7);
    assert_true(tl_candidate_allowed(&a, NULL, 0, 0));
    a.scope = 2;
    assert_false(tl_candidate_allowed(&a, NULL, 0, 0));
}

static void the_broadcast_address_of_a_subnet_of_ours_is_not_allowed(void **state)
{
    (void)state;
    const tl_interface own[] = {interface("192.168.1.10", 24), interface("172.20.5.1", 20),
                                interface("203.0.113.4", 31), interface("203.0.113.9", 32),
                                interface("2001:db8::10", 64)};
    static const struct {
        const char *text;
        bool allowed;
    } v[] = {
        {"192.168.1.255", false}, {"192.168.1.254", true},        {"192.168.2.255", true},
        {"192.168.1.0", false},   {"172.20.15.255", false},       {"172.20.14.255", true},
        {"172.20.0.0", false},    {"203.0.113.5", true},          {"::ffff:192.168.1.255", false},
        {"203.0.113.9", true},    {"2001:db8::ffff:ffff:1", true}};
    for (size_t i = 0; i < sizeof v / sizeof *v; i++) {
        tl_addr a = ip(v[i].text, 7);
        if (tl_candidate_allowed(&a, own, sizeof own / sizeof *own, 999) != v[i].allowed)
            fail_msg("%s", v[i].text);
        a.port = 7;
        assert_int_equal(tl_candidate_allowed(&a, NULL, 0, 0), true);
    }
}

static void our_own_address_is_allowed_with_another_port_only(void **state)
{
    (void)state;
    const tl_interface own[] = {interface("192.168.1.10", 24), interface("2001:db8::10", 64)};
    const char *const texts[] = {"192.168.1.10", "::ffff:192.168.1.10", "2001:db8::10"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        tl_addr a = ip(texts[i], 4000);
        assert_false(tl_candidate_allowed(&a, own, 2, 4000));
        assert_true(tl_candidate_allowed(&a, own, 2, 4001));
    }
    tl_addr other = ip("192.168.1.11", 4000);
    assert_true(tl_candidate_allowed(&other, own, 2, 4000));
}

static void on_link_means_within_the_prefix_of_an_interface(void **state)
{
    (void)state;
    const tl_interface own[] = {interface("192.168.1.10", 23), interface("2001:db8:0:1::1", 64),
                                interface("10.9.9.9", 0)};
    static const struct {
        const char *text;
        bool on;
    } v[] = {{"192.168.0.1", true},      {"192.168.1.254", true},      {"192.168.2.1", false},
             {"192.167.255.255", false}, {"::ffff:192.168.0.1", true}, {"2001:db8:0:1::ffff", true},
             {"2001:db8:0:2::1", false}, {"10.9.9.8", false}};
    for (size_t i = 0; i < sizeof v / sizeof *v; i++) {
        tl_addr a = ip(v[i].text, 7);
        if (tl_addr_on_link(&a, own, 3) != v[i].on)
            fail_msg("%s", v[i].text);
    }
    tl_addr a = ip("192.168.0.1", 7);
    assert_false(tl_addr_on_link(&a, NULL, 0));
}

static void what_a_tunnel_reaches_is_not_on_link(void **state)
{
    (void)state;
    tl_interface own[] = {interface("192.168.1.10", 24), interface("10.7.0.1", 24),
                          interface("192.168.1.129", 28), interface("10.7.0.9", 24)};
    own[1].tunnel = own[2].tunnel = true;
    static const struct {
        const char *text;
        size_t n_own;
        bool on;
    } v[] = {
        {"192.168.1.7", 3, true},   {"10.7.0.2", 3, false},      /* the tunnel's subnet */
        {"192.168.1.130", 1, true}, {"192.168.1.130", 3, false}, /* its longer prefix */
        {"192.168.1.200", 3, true}, {"10.7.0.2", 4, false},      /* it may be at either */
    };
    for (size_t i = 0; i < sizeof v / sizeof *v; i++) {
        tl_addr a = ip(v[i].text, 7);
        if (tl_addr_on_link(&a, own, v[i].n_own) != v[i].on)
            fail_msg("%s of %zu", v[i].text, v[i].n_own);
    }
    own[1].tunnel = false; /* the same subnet twice, and none a tunnel */
    tl_addr a = ip("10.7.0.2", 7);
    assert_true(tl_addr_on_link(&a, own, 4));
}

static void types_go_there_and_back_and_nothing_else_is_one(void **state)
{
    (void)state;
    static const tl_candidate_kind kinds[] = {TL_CANDIDATE_HOST, TL_CANDIDATE_SERVER_REFLEXIVE,
                                              TL_CANDIDATE_RELAYED};
    tl_candidate_kind k;
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(tl_candidate_type_parse(tl_candidate_type(kinds[i]), &k), TL_OK);
        assert_int_equal(k, kinds[i]);
    }
    assert_string_equal(tl_candidate_type(TL_CANDIDATE_MAPPED), "serverReflexive");
    static const char *const bad[] = {"",    "Host",  "host ",       "srflx",
                                      "hos", "hostt", "relayedHost", "peerReflexive"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(tl_candidate_type_parse(bad[i], &k), TL_ERR_PROTO);
}

static void every_kind_has_a_name_of_its_own(void **state)
{
    (void)state;
    for (int i = TL_CANDIDATE_HOST; i <= TL_CANDIDATE_RELAYED; i++)
        for (int j = TL_CANDIDATE_HOST; j < i; j++)
            assert_string_not_equal(tl_candidate_kind_name((tl_candidate_kind)i),
                                    tl_candidate_kind_name((tl_candidate_kind)j));
}

static void priorities_order_kinds_then_families_then_indices(void **state)
{
    (void)state;
    tl_addr v4 = ip("192.0.2.1", 7), v6 = ip("2001:db8::1", 7);
    /* RFC 8445 section 5.1.2.1, worked by hand */
    assert_int_equal(tl_candidate_priority(TL_CANDIDATE_HOST, &v6, 0), 2130706431);
    assert_int_equal(tl_candidate_priority(TL_CANDIDATE_SERVER_REFLEXIVE, &v6, 0), 1694498815);
    uint32_t last = UINT32_MAX;
    for (int k = TL_CANDIDATE_HOST; k <= TL_CANDIDATE_RELAYED; k++)
        for (int family = 0; family < 2; family++)
            for (unsigned i = 0; i < 40; i++) {
                uint32_t p = tl_candidate_priority((tl_candidate_kind)k, family ? &v4 : &v6, i);
                assert_true(p < last && p > 0);
                last = p;
            }
    /* RFC 8445 section 5.1.2: at most 2^31 - 1; and no index spills into another kind */
    assert_true(tl_candidate_priority(TL_CANDIDATE_HOST, &v6, 0) <= INT32_MAX);
    assert_true(tl_candidate_priority(TL_CANDIDATE_HOST, &v4, UINT32_MAX) >
                tl_candidate_priority(TL_CANDIDATE_MAPPED, &v6, 0));
}

static void what_we_tell_is_best_first_and_each_address_once(void **state)
{
    (void)state;
    const tl_interface interfaces[] = {interface("127.0.0.1", 8),    interface("192.168.1.10", 24),
                                       interface("fe80::1", 64),     interface("10.0.0.5", 8),
                                       interface("2001:db8::5", 64), interface("::1", 128),
                                       interface("169.254.1.1", 16)};
    tl_candidate_sources s = {.interfaces = interfaces,
                              .n_interfaces = sizeof interfaces / sizeof *interfaces,
                              .port4 = 4000,
                              .port6 = 4001,
                              .mapped = ip("203.0.113.1", 6000),
                              .reflexive4 = ip("203.0.113.1", 5000),
                              .reflexive6 = ip("2001:db8::5", 4001)};
    static const struct {
        const char *addr;
        tl_candidate_kind kind;
    } expected[] = {{"[2001:db8::5]:4001", TL_CANDIDATE_HOST},
                    {"192.168.1.10:4000", TL_CANDIDATE_HOST},
                    {"10.0.0.5:4000", TL_CANDIDATE_HOST},
                    {"203.0.113.1:6000", TL_CANDIDATE_MAPPED},
                    {"203.0.113.1:5000", TL_CANDIDATE_SERVER_REFLEXIVE}};
    tl_candidate got[TL_CANDIDATES_MAX];
    size_t n = tl_candidates_gather(&s, got);
    assert_int_equal(n, sizeof expected / sizeof *expected);
    for (size_t i = 0; i < n; i++) {
        char text[TL_ADDR_TEXT_MAX];
        tl_addr_write(text, &got[i].addr);
        assert_string_equal(text, expected[i].addr);
        assert_int_equal(got[i].kind, expected[i].kind);
        assert_true(i == 0 || got[i].priority < got[i - 1].priority);
    }
}

static void no_socket_of_a_family_means_no_host_candidate_of_it(void **state)
{
    (void)state;
    const tl_interface interfaces[] = {interface("192.168.1.10", 24), interface("2001:db8::5", 64)};
    tl_candidate_sources s = {.interfaces = interfaces, .n_interfaces = 2, .port4 = 4000};
    tl_candidate got[TL_CANDIDATES_MAX];
    assert_int_equal(tl_candidates_gather(&s, got), 1);
    assert_int_equal(got[0].addr.family, TL_ADDR_V4);
    s.port4 = 0;
    assert_int_equal(tl_candidates_gather(&s, got), 0);
    s.port6 = 4000;
    assert_int_equal(tl_candidates_gather(&s, got), 1);
    assert_int_equal(got[0].addr.family, TL_ADDR_V6);
}

/* A host full of containers: 32 interfaces, and the way from outside must still be told. */
static void many_interfaces_crowd_out_nothing_from_outside(void **state)
{
    (void)state;
    tl_interface interfaces[TL_INTERFACES_MAX];
    for (unsigned i = 0; i < TL_INTERFACES_MAX; i++) {
        char text[32];
        snprintf(text, sizeof text, "172.17.%u.1", i);
        interfaces[i] = interface(text, 24);
    }
    tl_candidate_sources s = {.interfaces = interfaces,
                              .n_interfaces = TL_INTERFACES_MAX,
                              .port4 = 4000,
                              .mapped = ip("203.0.113.1", 6000),
                              .reflexive4 = ip("203.0.113.1", 5000),
                              .reflexive6 = ip("2001:db8::5", 4001)};
    tl_candidate got[TL_CANDIDATES_MAX];
    assert_int_equal(tl_candidates_gather(&s, got), TL_CANDIDATES_MAX);
    unsigned outside = 0;
    for (size_t i = 0; i < TL_CANDIDATES_MAX; i++)
        outside += got[i].kind != TL_CANDIDATE_HOST;
    assert_int_equal(outside, 3);
    assert_int_equal(got[0].addr.bytes[2], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_block_of_ipv4_begins_and_ends_where_it_should),
        cmocka_unit_test(every_block_of_ipv6_begins_and_ends_where_it_should),
        cmocka_unit_test(ipv4_in_ipv6_clothes_is_still_what_it_is),
        cmocka_unit_test(an_address_without_port_or_family_is_forbidden),
        cmocka_unit_test(an_address_with_a_zone_is_not_a_peers_to_name),
        cmocka_unit_test(the_broadcast_address_of_a_subnet_of_ours_is_not_allowed),
        cmocka_unit_test(our_own_address_is_allowed_with_another_port_only),
        cmocka_unit_test(on_link_means_within_the_prefix_of_an_interface),
        cmocka_unit_test(what_a_tunnel_reaches_is_not_on_link),
        cmocka_unit_test(types_go_there_and_back_and_nothing_else_is_one),
        cmocka_unit_test(every_kind_has_a_name_of_its_own),
        cmocka_unit_test(priorities_order_kinds_then_families_then_indices),
        cmocka_unit_test(what_we_tell_is_best_first_and_each_address_once),
        cmocka_unit_test(no_socket_of_a_family_means_no_host_candidate_of_it),
        cmocka_unit_test(many_interfaces_crowd_out_nothing_from_outside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
