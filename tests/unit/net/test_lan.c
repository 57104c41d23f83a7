#include "net/lan.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define PORT  40000
#define CABLE 3 /* the index of the interface that hears, where no other is named */
#define RADIO 4

static tl_rand rand_;
static tl_lan *lan;
static tl_node_id us;
static tl_time now;
static tl_interface own[8];
static size_t n_own;

static tl_addr at(const char *text, uint16_t port)
{
    tl_addr a;
    assert_int_equal(tl_addr_parse_ip(tl_slice_str(text), &a), TL_OK);
    a.port = port;
    return a;
}

static tl_addr scoped(const char *text, uint16_t port, uint32_t scope)
{
    tl_addr a = at(text, port);
    a.scope = scope;
    return a;
}

/* As the cable's interface heard it. */
static tl_addr at_cable(const char *text, uint16_t port)
{
    return scoped(text, port, CABLE);
}

static tl_node_id node(uint64_t seed)
{
    tl_rand r = tl_rand_seeded(seed);
    tl_node_id id; /* the table compares IDs and does not use them */
    tl_rand_bytes(&r, id.key, sizeof id.key);
    return id;
}

static void put_interface_of(unsigned index, const char *text, uint8_t prefix, bool tunnel)
{
    bool link_local = !strncmp(text, "fe80", 4);
    own[n_own++] = (tl_interface){.addr = scoped(text, 0, link_local ? index : 0),
                                  .prefix = prefix,
                                  .name = "eth0",
                                  .tunnel = tunnel,
                                  .index = index};
}

static void put_interface(const char *text, uint8_t prefix)
{
    put_interface_of(CABLE, text, prefix, false);
}

static int setup(void **state)
{
    (void)state;
    rand_ = tl_rand_seeded(1);
    us = node(0);
    now = 100 * TL_SEC;
    n_own = 0;
    put_interface("192.168.1.2", 24);
    put_interface("fe80::2", 64);
    put_interface("fd00:1::2", 64);
    return tl_lan_new(&us, &rand_, now, &lan);
}

static int teardown(void **state)
{
    (void)state;
    tl_lan_free(lan);
    return 0;
}

static bool found_all(const tl_node_id *id, bool known, const tl_addr *addrs, size_t n)
{
    return tl_lan_on_found(lan, id, known, addrs, n, own, n_own, PORT, now);
}

static bool found(uint64_t seed, bool known, tl_addr a)
{
    tl_node_id id = node(seed);
    return found_all(&id, known, &a, 1);
}

/* At a port of its own. */
static bool found_somewhere(uint64_t seed, bool known)
{
    return found(seed, known, at_cable("192.168.1.7", (uint16_t)(2000 + seed)));
}

static const tl_lan_node *entry(uint64_t seed)
{
    tl_node_id id = node(seed);
    return tl_lan_find(lan, &id);
}

static void a_node_is_kept_with_its_addresses_until_nobody_announces_it(void **state)
{
    (void)state;
    tl_node_id id = node(1);
    tl_addr addrs[] = {scoped("fe80::7", 5001, CABLE), at_cable("192.168.1.7", 5001),
                       at_cable("fd00:1::7", 5001)};
    assert_true(found_all(&id, true, addrs, 3));
    assert_false(found_all(&id, true, addrs, 3)); /* nothing new */
    const tl_lan_node *n = entry(1);
    assert_non_null(n);
    assert_true(n->known);
    assert_int_equal(n->n_addrs, 3);
    assert_true(tl_addr_eq(&n->addrs[2], &addrs[0])); /* link-local comes last */
    assert_true(found_all(&id, true, addrs + 1, 1));
    assert_int_equal(entry(1)->n_addrs, 1);
    assert_true(found_all(&id, true, NULL, 0));
    assert_null(entry(1));
    assert_false(found_all(&id, true, NULL, 0));
    assert_int_equal(tl_lan_counted(lan)->found, 1);
    assert_int_equal(tl_lan_counted(lan)->gone, 1);
}

/* Each beside one that differs in one thing and is taken. */
static void only_neighbours_are_knocked_at(void **state)
{
    (void)state;
    put_interface_of(7, "10.8.0.2", 24, true); /* a VPN */
    put_interface_of(7, "fe80::9", 64, true);
    put_interface("169.254.3.3", 16);
    const tl_addr good[] = {at_cable("192.168.1.7", 5000),       at_cable("192.168.1.7", 1024),
                            scoped("fe80::7", 5000, 3),          at_cable("fd00:1::7", 5000),
                            at_cable("192.168.1.2", 5000),       at_cable("169.254.7.7", 5000),
                            at_cable("::ffff:192.168.1.7", 5000)};
    const tl_addr bad[] = {at_cable("192.168.2.7", 5000),     at_cable("192.168.1.7", 1023),
                           at_cable("192.168.1.7", 0),        scoped("fe80::7", 5000, 0),
                           scoped("fe80::7", 5000, 4),        scoped("fe80::7", 5000, 7),
                           at_cable("fd00:2::7", 5000),       at_cable("192.168.1.2", PORT),
                           at_cable("192.168.1.255", 5000),   at_cable("10.8.0.7", 5000),
                           at_cable("127.0.0.1", 5000),       at_cable("::1", 5000),
                           at_cable("8.8.8.8", 5000),         at_cable("169.254.169.254", 5000),
                           at_cable("169.254.255.255", 5000), at_cable("224.0.0.251", 5353),
                           at_cable("ff02::fb", 5353),        at_cable("0.0.0.0", 5000)};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        if (!found(100 + i, false, good[i]))
            fail_msg("good address %zu is refused", i);
        assert_non_null(entry(100 + i));
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (found(200 + i, true, bad[i]) || entry(200 + i))
            fail_msg("bad address %zu is kept", i);
    assert_int_equal(tl_lan_counted(lan)->off_link + tl_lan_counted(lan)->own,
                     sizeof bad / sizeof *bad);
}

/* The kernel sends by the longest prefix: whoever is heard by one interface names nobody behind another. */
static void who_is_heard_by_one_interface_names_nobody_of_another(void **state)
{
    (void)state;
    put_interface_of(RADIO, "10.0.0.2", 8, false);
    put_interface_of(RADIO, "192.168.1.3", 24, false); /* into the same network as the cable */
    put_interface_of(RADIO, "fe80::3", 64, false);
    put_interface_of(9, "10.17.0.1", 16, false); /* a bridge of containers */
    static const struct {
        const char *text;
        uint32_t heard;
        bool kept;
    } v[] = {
        {"10.0.0.7", RADIO, true},
        {"10.0.0.7", CABLE, false},
        {"10.0.0.7", 9, false},
        {"10.17.0.7", 9, true},
        {"10.17.0.7", RADIO, false},
        {"10.17.0.7", CABLE, false},
        {"192.168.1.7", CABLE, true},
        {"192.168.1.7", RADIO, true},
        {"192.168.1.7", 9, false},
        {"192.168.1.7", 0, false},
        {"fd00:1::7", CABLE, true},
        {"fd00:1::7", RADIO, false},
        {"fe80::7", CABLE, true},
        {"fe80::7", RADIO, true},
        {"fe80::7", 9, false},
        {"::ffff:10.0.0.7", RADIO, true},
        {"::ffff:10.0.0.7", CABLE, false},
    };
    uint64_t refused = 0;
    for (size_t i = 0; i < sizeof v / sizeof *v; i++) {
        if (found(300 + i, false, scoped(v[i].text, 5000, v[i].heard)) != v[i].kept)
            fail_msg("%s, heard by %u", v[i].text, (unsigned)v[i].heard);
        refused += !v[i].kept;
        const tl_lan_node *n = entry(300 + i);
        if (n)
            assert_int_equal(n->addrs[0].scope,
                             tl_addr_is_link_local(&n->addrs[0]) ? v[i].heard : 0);
    }
    assert_int_equal(tl_lan_counted(lan)->off_link, refused);
}

static void an_address_that_two_interfaces_hear_is_kept_once(void **state)
{
    (void)state;
    tl_node_id id = node(1);
    put_interface_of(RADIO, "192.168.1.3", 24, false);
    put_interface_of(RADIO, "10.0.0.2", 24, false);
    tl_addr addrs[] = {scoped("192.168.1.7", 5000, CABLE), scoped("192.168.1.7", 5000, RADIO),
                       scoped("10.0.0.7", 5000, RADIO), scoped("10.0.0.8", 5000, CABLE)};
    assert_true(found_all(&id, false, addrs, 4));
    assert_int_equal(entry(1)->n_addrs, 2);
    assert_int_equal(tl_lan_counted(lan)->off_link, 1);
    assert_false(
        found_all(&id, false, addrs + 1, 2)); /* the cable heard nothing that the radio did not */
}

static void few_strangers_are_believed_to_be_at_one_address(void **state)
{
    (void)state;
    tl_addr a = at_cable("192.168.1.7", 9100);
    for (uint64_t i = 1; i <= 100; i++)
        assert_int_equal(found(i, false, a), i <= TL_LAN_STRANGERS_AT);
    assert_int_equal(tl_lan_count(lan), TL_LAN_STRANGERS_AT);
    assert_true(found(200, true, a)); /* a node that we know is asked there all the same */
    assert_true(found(201, false, at_cable("192.168.1.7", 9101)));
    assert_false(found(1, false, a)); /* it is there already: nothing new */
    assert_non_null(entry(1));
    tl_node_id gone = node(1);
    assert_true(found_all(&gone, false, NULL, 0));
    assert_true(found(50, false, a));
    assert_false(found(51, false, a));
    tl_node_id id = node(52);
    const tl_addr two[] = {a, at_cable("192.168.1.8", 9100)};
    assert_true(found_all(&id, false, two, 2)); /* its other address counts */
    assert_int_equal(entry(52)->n_addrs, 1);
    assert_int_equal(tl_lan_counted(lan)->refused, 100 - TL_LAN_STRANGERS_AT + 2);
}

static void an_address_is_known_where_a_known_node_is_announced(void **state)
{
    (void)state;
    assert_true(found(1, true, at_cable("192.168.1.7", 5000)));
    assert_true(found(2, false, at_cable("192.168.1.8", 5000))); /* a stranger */
    assert_true(found(3, true, at_cable("fe80::7", 5000)));
    tl_addr a[] = {at("192.168.1.7", 9),        at("::ffff:192.168.1.7", 9),
                   scoped("fe80::7", 9, CABLE), at("192.168.1.8", 5000),
                   at("192.168.1.9", 5000),     scoped("fe80::7", 9, RADIO)};
    for (size_t i = 0; i < sizeof a / sizeof *a; i++)
        if (tl_lan_knows_at(lan, &a[i]) != (i < 3))
            fail_msg("address %zu", i);
}

static void whoever_announces_our_own_id_is_passed_over(void **state)
{
    (void)state;
    tl_addr a = at_cable("192.168.1.7", 5000);
    assert_false(found_all(&us, true, &a, 1));
    assert_int_equal(tl_lan_count(lan), 0);
    assert_int_equal(tl_lan_counted(lan)->own, 1);
}

static void one_address_is_kept_once_and_a_node_has_few(void **state)
{
    (void)state;
    tl_node_id id = node(1);
    tl_addr addrs[20];
    addrs[0] = scoped("fe80::7", 5000, 3);
    addrs[1] = addrs[2] = at_cable("192.168.1.7", 5000);
    for (size_t i = 3; i < 20; i++) {
        addrs[i] = at_cable("192.168.1.7", 5000);
        addrs[i].bytes[3] = (uint8_t)(10 + i);
    }
    assert_true(found_all(&id, false, addrs, 20));
    const tl_lan_node *n = entry(1);
    assert_int_equal(n->n_addrs, TL_LAN_ADDRS_MAX);
    addrs[1].scope = 0; /* an IPv4 address has none */
    assert_true(tl_addr_eq(&n->addrs[0], &addrs[1]));
    for (size_t i = 0; i < n->n_addrs; i++)
        assert_int_equal(n->addrs[i].family, TL_ADDR_V4);
}

static void strangers_never_take_the_room_of_nodes_that_are_known(void **state)
{
    (void)state;
    size_t taken = 0;
    for (uint64_t i = 1; i <= 1000; i++)
        taken += found_somewhere(i, false);
    assert_int_equal(taken, TL_LAN_STRANGERS_MAX);
    assert_int_equal(tl_lan_counted(lan)->refused, 1000 - TL_LAN_STRANGERS_MAX);
    for (uint64_t i = 2001; i <= 2000 + TL_LAN_NODES_MAX; i++)
        assert_true(found_somewhere(i, true)); /* strangers make room, one by one */
    assert_int_equal(tl_lan_count(lan), TL_LAN_NODES_MAX);
    for (size_t i = 0; i < tl_lan_count(lan); i++)
        assert_true(tl_lan_at(lan, i)->known);
    assert_false(found_somewhere(3000, true));
    assert_false(found_somewhere(3001, false));
}

/* In t seconds at most burst + rate x t. */
static void new_strangers_come_at_a_bounded_rate(void **state)
{
    (void)state;
    tl_addr a = at_cable("192.168.1.7", 5000);
    const size_t secs = 20;
    size_t taken = 0;
    for (uint64_t i = 0; i < secs * 100; i++) { /* each goes again at once */
        taken += found(i + 1, false, a);
        if (entry(i + 1)) {
            tl_node_id id = node(i + 1);
            assert_true(found_all(&id, false, NULL, 0));
        }
        now += 10 * TL_MS;
    }
    assert_true(taken >= TL_LAN_NEW_BURST);
    assert_true(taken <= TL_LAN_NEW_BURST + TL_LAN_NEW_PER_SEC * secs + 1);
}

static void who_becomes_known_or_a_stranger_keeps_a_place_if_there_is_room(void **state)
{
    (void)state;
    tl_node_id id = node(1);
    assert_true(found(1, false, at_cable("192.168.1.7", 5000)));
    tl_lan_set_known(lan, &id, true);
    assert_true(entry(1)->known);
    assert_true(found(1, false, at_cable("192.168.1.7", 5000))); /* and is one again */
    assert_false(entry(1)->known);
    tl_lan_forget_all(lan);
    assert_int_equal(tl_lan_count(lan), 0);
    tl_lan_set_known(lan, &id, true); /* nobody: nothing happens */
    for (uint64_t i = 1; i <= TL_LAN_STRANGERS_MAX - 1; i++)
        assert_true(found_somewhere(i, false));
    for (uint64_t i = 501; i <= 503; i++)
        assert_true(found_somewhere(i, true));
    id = node(501);
    tl_lan_set_known(lan, &id, false); /* the last stranger for whom there is room */
    assert_non_null(entry(501));
    id = node(502);
    tl_lan_set_known(lan, &id, false);
    assert_null(entry(502));
    assert_true(found_somewhere(503, false));
    assert_null(entry(503));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
        T(a_node_is_kept_with_its_addresses_until_nobody_announces_it),
        T(only_neighbours_are_knocked_at),
        T(who_is_heard_by_one_interface_names_nobody_of_another),
        T(an_address_that_two_interfaces_hear_is_kept_once),
        T(few_strangers_are_believed_to_be_at_one_address),
        T(an_address_is_known_where_a_known_node_is_announced),
        T(whoever_announces_our_own_id_is_passed_over),
        T(one_address_is_kept_once_and_a_node_has_few),
        T(strangers_never_take_the_room_of_nodes_that_are_known),
        T(new_strangers_come_at_a_bounded_rate),
        T(who_becomes_known_or_a_stranger_keeps_a_place_if_there_is_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
