#include "tell/relaying.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static tl_addr addr_of(const char *text)
{
    tl_addr a;
    assert_int_equal(tl_addr_parse(tl_slice_str(text), &a), TL_OK);
    return a;
}

/* A node with its own public address, which strangers reach. */
static tl_relaying_facts facts_of(tl_nat_facts *nat)
{
    *nat = (tl_nat_facts){.mapping = TL_MAPPING_NONE,
                          .filtering = TL_FILTERING_ENDPOINT_INDEPENDENT,
                          .public4 = addr_of("198.51.100.7:4433"),
                          .at = 1};
    return (tl_relaying_facts){
        .enabled = true, .wan_enabled = true, .direct_on = true, .port = 4433, .nat = nat};
}

static void a_node_serves_at_its_own_address_and_where_a_stranger_has_reached_it(void **state)
{
    (void)state;
    tl_nat_facts nat;
    tl_relaying r;
    tl_relaying_facts f = facts_of(&nat);
    tl_relaying_judge(&f, &r);
    assert_int_equal(r.state, TL_RELAYING_SERVING);
    assert_true(tl_addr_eq(&r.address, &nat.public4));
    assert_string_equal(r.reason, "");
    nat.filtering =
        TL_FILTERING_UNKNOWN; /* its own public address, and no server tests firewalls */
    tl_relaying_judge(&f, &r);
    assert_int_equal(r.state, TL_RELAYING_SERVING);
    nat.filtering = TL_FILTERING_ENDPOINT_INDEPENDENT;
    nat.mapping = TL_MAPPING_ENDPOINT_INDEPENDENT; /* behind a router that forwards the port */
    f.mapped = true;
    tl_relaying_judge(&f, &r);
    assert_int_equal(r.state, TL_RELAYING_SERVING);
    nat.public4 = addr_of("198.18.0.9:1"); /* counts as public, for tests */
    tl_relaying_judge(&f, &r);
    assert_int_equal(r.state, TL_RELAYING_SERVING);
}

static void without_the_proof_it_serves_nobody_and_says_what_helps(void **state)
{
    (void)state;
    static const struct {
        tl_nat_mapping mapping;
        tl_nat_filtering filtering;
        bool mapped;
        const char *at;
        tl_relaying_state expected;
        const char *reason, *remedy;
    } cases[] = {
        {TL_MAPPING_ENDPOINT_INDEPENDENT, TL_FILTERING_UNKNOWN, true, "198.51.100.7:4433",
         TL_RELAYING_UNPROVEN, "198.51.100.7:4433", "RFC 5780"},
        {TL_MAPPING_NONE, TL_FILTERING_ADDRESS_AND_PORT_DEPENDENT, false, "198.51.100.7:4433",
         TL_RELAYING_CLOSED, "a firewall", "UDP port 4433 through the firewall"},
        {TL_MAPPING_ENDPOINT_INDEPENDENT, TL_FILTERING_ADDRESS_DEPENDENT, false,
         "198.51.100.7:4433", TL_RELAYING_CLOSED, "a NAT", "forward UDP port 4433"},
        {TL_MAPPING_ENDPOINT_INDEPENDENT, TL_FILTERING_ADDRESS_DEPENDENT, true, "198.51.100.7:4433",
         TL_RELAYING_CLOSED, "a NAT", "by hand"},
        {TL_MAPPING_ADDRESS_DEPENDENT, TL_FILTERING_ENDPOINT_INDEPENDENT, false,
         "198.51.100.7:4433", TL_RELAYING_CLOSED, "symmetric", "forward UDP port 4433"},
        {TL_MAPPING_ENDPOINT_INDEPENDENT, TL_FILTERING_ENDPOINT_INDEPENDENT, false,
         "192.168.1.7:4433", TL_RELAYING_CLOSED, "192.168.1.7:4433, is not a public one",
         "on the internet"},
        {TL_MAPPING_UNKNOWN, TL_FILTERING_UNKNOWN, false, "198.51.100.7:4433", TL_RELAYING_ASKING,
         "not told", "netcheck"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tl_nat_facts nat;
        tl_relaying r;
        tl_relaying_facts f = facts_of(&nat);
        nat.mapping = cases[i].mapping;
        nat.filtering = cases[i].filtering;
        nat.public4 = addr_of(cases[i].at);
        f.mapped = cases[i].mapped;
        tl_relaying_judge(&f, &r);
        assert_int_equal(r.state, cases[i].expected);
        assert_int_equal(r.address.family, TL_ADDR_NONE);
        assert_non_null(strstr(r.reason, cases[i].reason));
        assert_non_null(strstr(r.remedy, cases[i].remedy));
    }
}

static void what_stands_in_the_way_of_the_port_is_said_first(void **state)
{
    (void)state;
    tl_nat_facts nat;
    tl_relaying r;
    tl_relaying_facts f = facts_of(&nat);
    f.leaving = true;
    tl_relaying_judge(&f, &r);
    assert_int_equal(r.state, TL_RELAYING_LEAVING);
    f = facts_of(&nat);
    f.wan_enabled = false;
    tl_relaying_judge(&f, &r);
    assert_int_equal(r.state, TL_RELAYING_CLOSED);
    assert_non_null(strstr(r.remedy, "wan_enabled true"));
    f = facts_of(&nat);
    f.direct_on = false;
    tl_relaying_judge(&f, &r);
    assert_non_null(strstr(r.remedy, "nat.direct true"));
    f = facts_of(&nat);
    f.port = 0;
    f.network_error = "UDP port 4433 is in use by another program";
    tl_relaying_judge(&f, &r);
    assert_string_equal(r.reason, f.network_error);
    f.network_error = NULL;
    tl_relaying_judge(&f, &r);
    assert_string_equal(r.reason, "there is no UDP port");
    f = facts_of(&nat);
    nat.udp_blocked = true;
    tl_relaying_judge(&f, &r);
    assert_non_null(strstr(r.reason, "no STUN server answers"));
    nat.udp_blocked = false;
    nat.public4 = (tl_addr){0};
    tl_relaying_judge(&f, &r);
    assert_int_equal(r.state, TL_RELAYING_ASKING);
    f.enabled = false;
    tl_relaying_judge(&f, &r);
    assert_int_equal(r.state, TL_RELAYING_OFF);
    assert_string_equal(r.reason, "");
    assert_string_equal(tl_relaying_state_name(r.state), "off");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_node_serves_at_its_own_address_and_where_a_stranger_has_reached_it),
        cmocka_unit_test(without_the_proof_it_serves_nobody_and_says_what_helps),
        cmocka_unit_test(what_stands_in_the_way_of_the_port_is_said_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
