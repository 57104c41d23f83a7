/* In a network namespace of its own, which ends with the process; skipped where none can be made.
 */
#include "io/netmon.h"
#include "ownnet.h"

#include <net/if.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include <cmocka.h>

static bool have_namespace;

typedef struct {
    tl_loop *loop;
    tl_netmon *netmon;
    tl_timer deadline;
    unsigned told, wanted;
    tl_time told_at;
    bool late;
} scene;

static void ip(const char *command)
{
    char text[256];
    snprintf(text, sizeof text, "ip %s", command);
    if (system(text)) {
        print_error("failed: %s\n", text);
        fail();
    }
}

static void on_change(void *user)
{
    scene *s = user;
    s->told++;
    s->told_at = tl_loop_now(s->loop);
    if (s->told >= s->wanted)
        tl_loop_stop(s->loop);
}

static void on_deadline(void *user)
{
    scene *s = user;
    s->late = true;
    tl_loop_stop(s->loop);
}

/* v0 with 192.0.2.10/24, its other end v1, and a way out through it. */
static void setup(scene *s)
{
    memset(s, 0, sizeof *s);
    if (!have_namespace)
        skip_because("no network namespace can be made");
    ip("link add v0 type veth peer name v1");
    ip("link set v1 up");
    ip("link set v0 up");
    ip("address add 192.0.2.10/24 dev v0");
    ip("route add default via 192.0.2.1");
    assert_int_equal(tl_loop_new(&s->loop), TL_OK);
    tl_timer_init(&s->deadline, s->loop, on_deadline, s);
    assert_int_equal(tl_netmon_new(s->loop, on_change, s, &s->netmon), TL_OK);
}

static void teardown(scene *s)
{
    tl_timer_stop(&s->deadline);
    tl_netmon_free(s->netmon);
    tl_loop_free(s->loop);
    ip("link del v0");
}

/* Until told `more` times, at most 5 s. */
static void wait_told(scene *s, unsigned more)
{
    s->wanted = s->told + more;
    s->late = false;
    tl_timer_set(&s->deadline, tl_loop_clock(s->loop) + 5 * TL_SEC);
    while (s->told < s->wanted && !s->late)
        tl_loop_run(s->loop);
    assert_false(s->late);
}

/* Listens for a while; returns how often something was told. */
static unsigned listen_for(scene *s, tl_time how_long)
{
    unsigned before = s->told;
    s->wanted = UINT32_MAX;
    s->late = false;
    tl_timer_set(&s->deadline, tl_loop_clock(s->loop) + how_long);
    while (!s->late)
        tl_loop_run(s->loop);
    return s->told - before;
}

/* What making the link set going: until nothing was told for as long as three signs may take. */
static void let_settle(scene *s)
{
    while (listen_for(s, 3 * TL_NETMON_QUIET))
        ;
}

static const tl_interface *find(const scene *s, const char *text)
{
    tl_addr a;
    size_t n;
    assert_int_equal(tl_addr_parse_ip(tl_slice_str(text), &a), TL_OK);
    const tl_interface *at = tl_netmon_interfaces(s->netmon, &n);
    for (size_t i = 0; i < n; i++)
        if (tl_addr_same_ip(&at[i].addr, &a))
            return &at[i];
    return NULL;
}

static void addresses_are_listed_with_interface_and_prefix(void **state)
{
    (void)state;
    scene s;
    setup(&s);
    const tl_interface *i = find(&s, "192.0.2.10");
    assert_non_null(i);
    assert_string_equal(i->name, "v0");
    assert_int_equal(i->index, if_nametoindex("v0"));
    assert_int_equal(i->prefix, 24);
    assert_int_equal(i->addr.port, 0);
    assert_null(find(&s, "127.0.0.1"));
    teardown(&s);
}

static void tunnels_are_told_from_networks(void **state)
{
    (void)state;
    static const struct {
        const char *make, *name, *address;
        bool tunnel;
    } v[] = {
        {"link add v2 type dummy", "v2", "203.0.113.1", false},
        {"link add v2 type bridge", "v2", "203.0.113.1", false},
        {"link add v2 link v0 type vlan id 7", "v2", "203.0.113.1", false},
        {"tuntap add v2 mode tun", "v2", "203.0.113.1", true},
        {"tuntap add v2 mode tap", "v2", "203.0.113.1", true}, /* it looks like Ethernet */
        {"link add v2 type vxlan id 5 dstport 4789 remote 192.0.2.1", "v2", "203.0.113.1", true},
    };
    unsigned seen = 0;
    scene s;
    setup(&s);
    for (size_t i = 0; i < sizeof v / sizeof *v; i++) {
        char command[256];
        snprintf(command, sizeof command,
                 "ip %s 2>/dev/null && ip address add %s/24 dev v2 && ip link set v2 up", v[i].make,
                 v[i].address);
        if (system(command))
            continue; /* this kernel has no such interfaces */
        wait_told(&s, 1);
        let_settle(&s);
        const tl_interface *at = find(&s, v[i].address);
        assert_non_null(at);
        assert_string_equal(at->name, v[i].name);
        if (at->tunnel != v[i].tunnel)
            fail_msg("%s", v[i].make);
        assert_false(find(&s, "192.0.2.10")->tunnel);
        ip("link del v2");
        wait_told(&s, 1);
        let_settle(&s);
        seen |= 1u << v[i].tunnel;
    }
    if (seen != 3)
        print_message("this kernel makes only one kind of the two\n");
    teardown(&s);
}

static void an_address_that_comes_or_goes_is_told_once_and_soon(void **state)
{
    (void)state;
    scene s;
    setup(&s);
    let_settle(&s);
    tl_time began = tl_loop_clock(s.loop);
    ip("address add 203.0.113.5/28 dev v0");
    wait_told(&s, 1);
    assert_true(s.told_at - began < TL_NETMON_AT_LATEST + 2 * TL_SEC);
    assert_non_null(find(&s, "203.0.113.5"));
    assert_int_equal(find(&s, "203.0.113.5")->prefix, 28);
    assert_int_equal(listen_for(&s, 2 * TL_NETMON_QUIET), 0);
    ip("address del 203.0.113.5/28 dev v0");
    wait_told(&s, 1);
    assert_null(find(&s, "203.0.113.5"));
    teardown(&s);
}

static void a_burst_of_changes_is_told_together(void **state)
{
    (void)state;
    scene s;
    setup(&s);
    let_settle(&s);
    char command[2048] = "-batch - <<'END'\n";
    for (int i = 0; i < 20; i++) {
        size_t n = strlen(command);
        snprintf(command + n, sizeof command - n, "address add 203.0.113.%d/32 dev v0\n", i + 1);
    }
    strcat(command, "END\n");
    char text[2100];
    snprintf(text, sizeof text, "ip %s", command);
    assert_int_equal(system(text), 0);
    wait_told(&s, 1);
    assert_non_null(find(&s, "203.0.113.20"));
    assert_int_equal(listen_for(&s, 2 * TL_NETMON_QUIET), 0);
    teardown(&s);
}

static void another_default_route_is_told_and_other_routes_are_not(void **state)
{
    (void)state;
    scene s;
    setup(&s);
    let_settle(&s);
    ip("route add 198.51.100.0/24 via 192.0.2.1");
    ip("route del 198.51.100.0/24 via 192.0.2.1");
    assert_int_equal(listen_for(&s, 3 * TL_NETMON_QUIET), 0);
    ip("route replace default via 192.0.2.1"); /* the same once more */
    assert_int_equal(listen_for(&s, 3 * TL_NETMON_QUIET), 0);
    ip("route replace default via 192.0.2.2");
    wait_told(&s, 1);
    teardown(&s);
}

/* The cable into another network may bring the same private address. */
static void a_link_that_went_and_came_back_is_told(void **state)
{
    (void)state;
    scene s;
    setup(&s);
    let_settle(&s);
    if (system("ip link set v1 down && ip link set v1 up"))
        fail();
    wait_told(&s, 1);
    assert_non_null(find(&s, "192.0.2.10"));
    teardown(&s);
}

static void the_address_the_system_sends_from_comes_first(void **state)
{
    (void)state;
    scene s;
    setup(&s);
    size_t n;
    ip("address add 203.0.113.5/24 dev v0");
    ip("route replace default via 203.0.113.1 src 203.0.113.5");
    wait_told(&s, 1);
    let_settle(&s);
    const tl_interface *first = tl_netmon_interfaces(s.netmon, &n);
    assert_ptr_equal(first, find(&s, "203.0.113.5"));
    ip("route replace default via 192.0.2.1 src 192.0.2.10");
    wait_told(&s, 1);
    first = tl_netmon_interfaces(s.netmon, &n);
    assert_ptr_equal(first, find(&s, "192.0.2.10"));
    teardown(&s);
}

static void more_addresses_than_there_is_room_for_are_cut(void **state)
{
    (void)state;
    scene s;
    setup(&s);
    let_settle(&s);
    if (system(
            "for i in $(seq 1 60); do echo address add 203.0.113.$i/32 dev v0; done | ip -batch -"))
        fail();
    wait_told(&s, 1);
    size_t n;
    ip("route replace default via 192.0.2.1 src 203.0.113.60"); /* the last of them */
    wait_told(&s, 1);
    (void)tl_netmon_interfaces(s.netmon, &n);
    assert_int_equal(n, TL_INTERFACES_MAX);
    assert_non_null(find(&s, "203.0.113.60")); /* the address we send from is never cut off */
    teardown(&s);
}

static void without_netlink_it_starts_all_the_same(void **state)
{
    (void)state;
    scene s;
    setup(&s);
    tl_netmon *blind;
    struct rlimit was, none = {.rlim_cur = 0};
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
    none.rlim_max = was.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0); /* no socket can be had */
    tl_err e = tl_netmon_new(s.loop, on_change, &s, &blind);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
    assert_int_equal(e, TL_OK);
    size_t n;
    (void)tl_netmon_interfaces(blind, &n);
    assert_int_equal(n, 0);
    tl_netmon_free(blind);
    teardown(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_listed_with_interface_and_prefix),
        cmocka_unit_test(tunnels_are_told_from_networks),
        cmocka_unit_test(an_address_that_comes_or_goes_is_told_once_and_soon),
        cmocka_unit_test(a_burst_of_changes_is_told_together),
        cmocka_unit_test(another_default_route_is_told_and_other_routes_are_not),
        cmocka_unit_test(a_link_that_went_and_came_back_is_told),
        cmocka_unit_test(the_address_the_system_sends_from_comes_first),
        cmocka_unit_test(more_addresses_than_there_is_room_for_are_cut),
        cmocka_unit_test(without_netlink_it_starts_all_the_same),
    };
    have_namespace = own_network() &&
                     !system("ip link add v0 type veth peer name v1 2>/dev/null && ip link del v0");
    /* IPv6 addresses are valid at once, not a second or two later */
    if (have_namespace && system("echo 0 2>/dev/null >/proc/sys/net/ipv6/conf/default/accept_dad"))
        print_message("IPv6 addresses take their time here\n");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
