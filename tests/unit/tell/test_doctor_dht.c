#include "tell/doctor.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* A node without a relay that is well; every test spoils one thing. */
static tl_doctor_facts facts;
static tl_finding found[TL_FINDINGS_MAX];
static size_t n_found;

static int healthy(void **state)
{
    (void)state;
    facts = (tl_doctor_facts){.wan_enabled = true,
                              .relay = "",
                              .relay_error = "",
                              .no_relay = true,
                              .direct_on = true,
                              .dht_enabled = true,
                              .dht = {.on = true, .ready = true, .nodes = 90, .doors = 4},
                              .share = "",
                              .backend_url = "",
                              .backend_error = ""};
    return 0;
}

static const tl_finding *finding(const char *id)
{
    n_found = tl_doctor_examine(&facts, found);
    for (size_t i = 0; i < n_found; i++)
        if (!strcmp(found[i].id, id))
            return &found[i];
    return NULL;
}

static void expect(const char *id, tl_finding_state state, const char *evidence, const char *remedy)
{
    const tl_finding *f = finding(id);
    assert_non_null(f);
    assert_int_equal(f->state, state);
    assert_non_null(strstr(f->evidence, evidence));
    assert_non_null(strstr(f->remedy, remedy));
}

static void no_relay_is_right_where_the_dht_finds_peers(void **state)
{
    (void)state;
    expect("relay", TL_FINDING_OK, "found through the DHT", "");
    expect("dht", TL_FINDING_OK, "90 nodes of the DHT are known; nothing is published", "");
}

static void without_relay_and_dht_nobody_is_found(void **state)
{
    (void)state;
    facts.dht_enabled = facts.dht.on = false;
    expect("relay", TL_FINDING_WARNING, "dht.enabled is false", "config set dht.enabled true");
    assert_null(finding("dht"));
}

static void without_relay_and_udp_port_nobody_is_reached(void **state)
{
    (void)state;
    facts.direct_on = facts.dht.on = false;
    expect("relay", TL_FINDING_PROBLEM, "nat.direct is false", "config set nat.direct true");
}

static void it_tells_how_many_nodes_have_what_is_published(void **state)
{
    (void)state;
    facts.dht.publishes = true;
    facts.dht.holders = 8;
    expect("dht", TL_FINDING_OK, "stands at 8 of them", "");
    facts.dht.holders = 0;
    expect("dht", TL_FINDING_WARNING, "stands at none of them", "online");
}

static void a_machine_without_a_network_is_told_so(void **state)
{
    static const tl_nat_facts silent = {.asked = 3, .at = 1, .udp_blocked = true};
    static const tl_stun_report server;
    static const tl_interface one = {.prefix = 24, .name = "eth0"};
    (void)state;
    facts.nat = &silent;
    facts.stun = &server;
    facts.n_stun = 1;
    facts.port = 4433;
    expect("dht", TL_FINDING_PROBLEM, "this machine has no network", "Connect this machine");
    expect("udp", TL_FINDING_PROBLEM, "this machine has no network", "Connect this machine");
    facts.interfaces = &one;
    facts.n_interfaces = 1;
    expect("dht", TL_FINDING_OK, "90 nodes of the DHT are known", "");
    expect("udp", TL_FINDING_WARNING, "may be offline", "allow outgoing UDP");
    assert_null(strstr(finding("udp")->remedy, "relay"));
}

static void a_dht_that_does_not_answer_is_an_obstacle_only_without_a_relay(void **state)
{
    (void)state;
    facts.dht.ready = false;
    facts.dht.nodes = 0;
    expect("dht", TL_FINDING_WARNING, "no node of the DHT has answered", "allow outgoing UDP");
    facts.dht.doors = 0;
    expect("dht", TL_FINDING_WARNING, "no node of the DHT has answered", "dht.bootstrap is empty");
    facts.dht.nodes = 3;
    expect("dht", TL_FINDING_WARNING, "being entered: 3 nodes", "");
    facts.no_relay = false;
    facts.relay = "wss://relay.example.org/ws";
    facts.relay_connected = true;
    expect("dht", TL_FINDING_OK, "being entered", "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(no_relay_is_right_where_the_dht_finds_peers, healthy),
        cmocka_unit_test_setup(without_relay_and_dht_nobody_is_found, healthy),
        cmocka_unit_test_setup(without_relay_and_udp_port_nobody_is_reached, healthy),
        cmocka_unit_test_setup(it_tells_how_many_nodes_have_what_is_published, healthy),
        cmocka_unit_test_setup(a_machine_without_a_network_is_told_so, healthy),
        cmocka_unit_test_setup(a_dht_that_does_not_answer_is_an_obstacle_only_without_a_relay,
                               healthy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
