#include "tell/doctor.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* A healthy node behind a port-restricted NAT with a port mapping; every test spoils one thing. */
static tl_nat_facts nat;
static tl_stun_report stun[3];
static tl_interface interfaces[2];
static tl_doctor_facts facts;
static tl_finding found[TL_FINDINGS_MAX];
static size_t n_found;

static tl_addr addr(const char *text)
{
    tl_addr a;
    assert_int_equal(tl_addr_parse(tl_slice_str(text), &a), TL_OK);
    return a;
}

static tl_addr ip(const char *text)
{
    tl_addr a;
    assert_int_equal(tl_addr_parse_ip(tl_slice_str(text), &a), TL_OK);
    return a;
}

static int healthy(void **state)
{
    (void)state;
    nat = (tl_nat_facts){.mapping = TL_MAPPING_ENDPOINT_INDEPENDENT,
                         .filtering = TL_FILTERING_ADDRESS_AND_PORT_DEPENDENT,
                         .public4 = addr("203.0.113.7:41820"),
                         .asked = 3,
                         .answered = 3,
                         .at = 1};
    for (size_t i = 0; i < 3; i++) {
        stun[i] = (tl_stun_report){.answered = true, .sent = 1};
        snprintf(stun[i].server.name, sizeof stun[i].server.name, "stun%zu.example.org:3478", i);
        stun[i].server.addr = addr("198.51.100.1:3478");
    }
    interfaces[0] = (tl_interface){.addr = ip("192.168.1.2"), .prefix = 24, .name = "eth0"};
    interfaces[1] = (tl_interface){.addr = ip("fe80::1"), .prefix = 64, .name = "eth0"};
    facts = (tl_doctor_facts){.wan_enabled = true,
                              .relay = "wss://relay.example.org/ws",
                              .relay_connected = true,
                              .relay_rtt = 31 * TL_MS,
                              .relay_error = "",
                              .port = 41820,
                              .nat = &nat,
                              .stun = stun,
                              .n_stun = 3,
                              .interfaces = interfaces,
                              .n_interfaces = 2,
                              .port_mapping_on = true,
                              .mapped_by = "PCP",
                              .mapped = addr("203.0.113.7:41821"),
                              .direct_on = true,
                              .share = "http://127.0.0.1:11434",
                              .backend_up = true,
                              .backend_url = "http://127.0.0.1:11434",
                              .backend_error = "",
                              .models = 2,
                              .models_shared = 2};
    return 0;
}

static void examine(void)
{
    n_found = tl_doctor_examine(&facts, found);
    assert_true(n_found <= TL_FINDINGS_MAX);
    for (size_t i = 0; i < n_found; i++) {
        assert_true(found[i].evidence[0]);
        /* What is wrong comes with what to do about it. */
        assert_true(found[i].state == TL_FINDING_OK || found[i].remedy[0]);
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(found[i].id, found[k].id);
    }
}

static const tl_finding *find(const char *id)
{
    for (size_t i = 0; i < n_found; i++)
        if (strcmp(found[i].id, id) == 0)
            return &found[i];
    return NULL;
}

/* Exactly this finding is not in order, and it says so. */
static void alone(const char *id, tl_finding_state state, const char *evidence, const char *remedy)
{
    examine();
    const tl_finding *f = find(id);
    assert_non_null(f);
    assert_int_equal(f->state, state);
    if (!strstr(f->evidence, evidence) || !strstr(f->remedy, remedy))
        fail_msg("%s: \"%s\" / \"%s\"", id, f->evidence, f->remedy);
    for (size_t i = 0; i < n_found; i++)
        if (&found[i] != f && found[i].state != TL_FINDING_OK)
            fail_msg("%s is not in order either: %s", found[i].id, found[i].evidence);
}

static void a_healthy_node_has_nothing_in_its_way(void **state)
{
    (void)state;
    static const char *const ids[] = {"wan",     "relay",        "udp_port",  "udp",
                                      "nat",     "port_mapping", "ipv6",      "direct",
                                      "backend", "models",       "share_with"};
    alone("wan", TL_FINDING_OK, "true", "");
    assert_int_equal(n_found, sizeof ids / sizeof *ids);
    for (size_t i = 0; i < n_found; i++)
        assert_string_equal(found[i].id, ids[i]);
    assert_non_null(strstr(find("relay")->evidence, "31.0 ms"));
    assert_non_null(strstr(find("nat")->evidence, "portRestricted NAT"));
    assert_non_null(strstr(find("nat")->evidence, "203.0.113.7:41820"));
}

static void a_portal_and_a_proxy_before_the_relay_are_told(void **state)
{
    (void)state;
    facts.proxy = "http://proxy:3128";
    facts.proxy_source = "https_proxy";
    alone("proxy", TL_FINDING_OK, "through http://proxy:3128 (https_proxy); UDP goes through no",
          "");
    facts.proxy = NULL;
    facts.relay_connected = false;
    facts.relay_error =
        "E_CAPTIVE_PORTAL: this network asks you to log in: open http://a/ in a browser";
    facts.portal = "http://a/";
    n_found = tl_doctor_examine(&facts, found);
    assert_int_equal(find("portal")->state, TL_FINDING_PROBLEM);
    assert_non_null(strstr(find("portal")->remedy, "Open http://a/ in a browser"));
    assert_non_null(strstr(find("relay")->remedy, "Log in there."));
}

static void a_node_that_is_not_to_connect_is_told_so_and_nothing_else_of_the_network(void **state)
{
    (void)state;
    facts.wan_enabled = facts.relay_connected = false;
    facts.nat = NULL;
    facts.port = 0;
    alone("wan", TL_FINDING_PROBLEM, "and so is lan_enabled", "config set wan_enabled true");
    assert_non_null(strstr(find("wan")->remedy, "config set lan_enabled true"));
    assert_null(find("relay"));
    assert_null(find("udp"));
    assert_null(find("udp_port"));
}

static void a_relay_that_is_not_reached_has_the_remedy_of_its_error(void **state)
{
    (void)state;
    static const struct {
        const char *error, *remedy;
    } cases[] = {
        {"cannot look up relay.example.org: no such name in the DNS", "DNS"},
        {"cannot connect to relay.example.org:443: Connection refused (nothing listens there)",
         "Start teale-relay"},
        {"cannot connect to relay.example.org:443: Network is unreachable", "online"},
        {"no connection within 10 s", "firewall"},
        {"the certificate of relay.example.org is self-signed; if it is the right one, name its CA",
         "wan_relay_ca_file"},
        {"relay.example.org does not speak TLS on this port", "ws://"},
        {"it answered HTTP 404 where a WebSocket was expected", "/ws"},
        {"refused us (unauthorized): wrong authority", "--name"},
        {"refused us (busy): out of memory", "operator"},
        {"another process registered with this node's key at wss://x", "--home"},
        {"ws://a/ws is not encrypted: use wss://, or set wan_allow_insecure_relay = true",
         "wan_allow_insecure_relay true"},
        {"something new", "goes on trying"},
        {"", "goes on trying"},
    };
    facts.relay_connected = false;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        facts.relay_error = cases[i].error;
        alone("relay", TL_FINDING_PROBLEM, cases[i].error[0] ? cases[i].error : "not connected yet",
              cases[i].remedy);
    }
}

static void every_relay_is_told_with_its_own_cause(void **state)
{
    (void)state;
    tl_doctor_relay relays[] = {{"wss://a.example/ws", "refused us (unauthorized): no proof"},
                                {"wss://b.example/ws", "cannot connect: Connection refused"}};
    facts.relay_connected = false;
    facts.relays = relays;
    facts.n_relays = 2;
    facts.relay = relays[1].url;
    facts.relay_error = relays[1].cause;
    alone("relay", TL_FINDING_PROBLEM,
          "none of 2 relays: wss://a.example/ws: refused us (unauthorized): no proof; "
          "wss://b.example/ws: cannot connect: Connection refused",
          "For wss://b.example/ws: Start teale-relay");
    facts.n_relays = 1;
    facts.relay = relays[0].url;
    facts.relay_error = relays[0].cause;
    alone("relay", TL_FINDING_PROBLEM, "wss://a.example/ws: refused us", "The relay knows itself");
}

/* What an option fixes cannot be changed in the file. */
static void a_remedy_names_the_option_where_one_wins_over_the_file(void **state)
{
    (void)state;
    facts.direct_on = false;
    alone("direct", TL_FINDING_WARNING, "nat.direct is false", "config set nat.direct true");
    facts.by_option.relayed = true;
    alone("direct", TL_FINDING_WARNING, "--relayed:", "without --relayed");
    assert_null(strstr(find("direct")->remedy, "config set"));
    healthy(NULL);
    facts.relay_connected = false;
    facts.relay_error = "cannot look up relay.example: no such name in the DNS";
    alone("relay", TL_FINDING_PROBLEM, "no such name", "Check the name in wan_relay_url, ");
    facts.by_option.relay = true;
    alone("relay", TL_FINDING_PROBLEM, "no such name", "Check the name in --relay, and this");
    healthy(NULL);
    facts.wanted_port = 7;
    alone("udp_port", TL_FINDING_PROBLEM, "UDP port 7 is in use", "config set udp_port N");
    facts.by_option.udp = true;
    alone("udp_port", TL_FINDING_PROBLEM, "UDP port 7 is in use", "--udp N");
    assert_null(strstr(find("udp_port")->remedy, "config set"));
    healthy(NULL);
    facts.backend_up = false;
    facts.backend_error = "Connection refused";
    alone("backend", TL_FINDING_PROBLEM, "refused", "correct `share`");
    facts.by_option.share = true;
    alone("backend", TL_FINDING_PROBLEM, "refused", "correct --share");
    healthy(NULL);
    facts.models_shared = 0;
    facts.by_option.model = true;
    alone("models", TL_FINDING_PROBLEM, "names none", "Correct --model");
}

static void blocked_udp_is_named_with_the_relay_that_works_all_the_same(void **state)
{
    (void)state;
    nat = (tl_nat_facts){.udp_blocked = true, .asked = 4, .at = 1};
    for (size_t i = 0; i < 3; i++)
        stun[i].answered = false;
    alone("udp", TL_FINDING_PROBLEM,
          "E_UDP_BLOCKED: 0 of 4 STUN servers answered; the relay works over TCP 443",
          "Allow outgoing UDP, or go on relayed.");
    facts.relay = "ws://192.0.2.1:8080/ws";
    alone("udp", TL_FINDING_PROBLEM, "TCP 8080", "relayed");
    facts.relay_connected = false;
    facts.relay_error = "cannot connect to 192.0.2.1:8080: Connection refused";
    examine(); /* nothing shows that it is UDP alone */
    assert_int_equal(find("udp")->state, TL_FINDING_WARNING);
    assert_null(strstr(find("udp")->evidence, "E_UDP_BLOCKED"));
    assert_non_null(strstr(find("udp")->evidence, "0 of 4 STUN servers answered, and no relay"));
    assert_non_null(strstr(find("udp")->remedy, "the relay first"));
}

static void without_stun_servers_or_with_one_the_nat_cannot_be_told(void **state)
{
    (void)state;
    stun[1].answered = stun[2].answered = false;
    nat.answered = 1;
    nat.mapping = TL_MAPPING_UNKNOWN;
    examine();
    assert_int_equal(find("udp")->state, TL_FINDING_WARNING);
    assert_non_null(strstr(find("udp")->evidence, "stun1.example.org:3478, stun2.example.org"));
    assert_int_equal(find("nat")->state, TL_FINDING_WARNING);
    facts.n_stun = 0;
    nat = (tl_nat_facts){.at = 1};
    alone("udp", TL_FINDING_WARNING, "no STUN server is named", "config set nat.stun_servers");
    healthy(NULL);
    nat = (tl_nat_facts){.at = 1}; /* a round over nobody: their names are being looked up */
    alone("udp", TL_FINDING_WARNING, "still being asked", "few seconds");
    nat = (tl_nat_facts){.asked = 3};
    alone("udp", TL_FINDING_WARNING, "still being asked", "few seconds");
}

static void names_without_an_address_are_another_thing_than_servers_without_an_answer(void **state)
{
    (void)state;
    tl_doctor_name names[] = {{"stun.a.example:3478", NULL}, {"stun.b.example:3478", NULL}};
    facts.unnamed = names;
    facts.n_unnamed = 2;
    facts.n_stun = 0;
    nat = (tl_nat_facts){.at = 1};
    alone("udp", TL_FINDING_WARNING, "still being looked up", "few seconds");
    names[1].why = "cannot look up stun.b.example: no name server answered";
    alone("udp", TL_FINDING_WARNING,
          "the name of no STUN server can be looked up, so none was asked; stun.b.example:3478: "
          "cannot look up stun.b.example: no name server answered",
          "this machine's DNS");
    healthy(NULL);
    facts.unnamed = names;
    facts.n_unnamed = 2;
    alone("udp", TL_FINDING_OK, "3 of 3 STUN servers answered; stun.b.example:3478: cannot", "");
}

static void one_server_is_enough_where_there_is_no_nat(void **state)
{
    (void)state;
    facts.n_stun = nat.asked = nat.answered = 1;
    nat.mapping = TL_MAPPING_NONE;
    alone("udp", TL_FINDING_OK, "1 of 1", "");
    nat.mapping = TL_MAPPING_UNKNOWN;
    examine();
    assert_int_equal(find("udp")->state, TL_FINDING_WARNING);
}

static void one_silent_server_of_three_is_named_and_harms_nothing(void **state)
{
    (void)state;
    stun[2].answered = false;
    nat.answered = 2;
    alone("udp", TL_FINDING_OK, "2 of 3 STUN servers answered; silent: stun2.example.org", "");
}

static void a_symmetric_nat_is_an_obstacle_unless_a_port_is_mapped(void **state)
{
    (void)state;
    nat.mapping = TL_MAPPING_ADDRESS_AND_PORT_DEPENDENT;
    alone("nat", TL_FINDING_OK, "symmetric NAT", "makes up for it");
    facts.mapped_by = NULL;
    facts.mapped = (tl_addr){0};
    facts.mapping_error = "the gateway 192.168.1.1 refused (not authorized)";
    examine();
    assert_int_equal(find("nat")->state, TL_FINDING_WARNING);
    assert_non_null(strstr(find("nat")->remedy, "UDP port 41820"));
    assert_int_equal(find("port_mapping")->state, TL_FINDING_WARNING);
    assert_non_null(strstr(find("port_mapping")->evidence, "not authorized"));
    nat.mapping = TL_MAPPING_ADDRESS_DEPENDENT;
    examine();
    assert_int_equal(find("nat")->state, TL_FINDING_WARNING);
}

static void a_public_address_needs_no_port_mapping(void **state)
{
    (void)state;
    facts.mapped_by = NULL;
    alone("port_mapping", TL_FINDING_WARNING, "no answer yet", "forward UDP port 41820");
    nat.mapping = TL_MAPPING_NONE;
    alone("nat", TL_FINDING_OK, "no NAT", "");
    assert_non_null(strstr(find("port_mapping")->evidence, "not needed"));
}

static void a_port_mapping_that_is_switched_off_is_said(void **state)
{
    (void)state;
    facts.mapped_by = NULL;
    facts.port_mapping_on = false;
    alone("port_mapping", TL_FINDING_WARNING, "nat.port_mapping is false", "nat.port_mapping true");
}

static void a_second_nat_shows_in_the_routers_outer_address(void **state)
{
    (void)state;
    facts.mapped = addr("100.64.3.7:41820");
    alone("second_nat", TL_FINDING_WARNING, "100.64.3.7, seen from outside as 203.0.113.7",
          "public IPv4");
    facts.mapped = addr("192.168.0.5:41820");
    alone("second_nat", TL_FINDING_WARNING, "192.168.0.5", "bridge");
    facts.mapped = addr("198.51.100.9:41820");
    alone("second_nat", TL_FINDING_WARNING, "not the one the internet sees", "IPv6");
    facts.mapped = addr("203.0.113.7:9");
    alone("wan", TL_FINDING_OK, "", "");
}

static void an_address_of_the_carriers_nat_is_a_second_nat_but_tailscales_is_not(void **state)
{
    (void)state;
    facts.mapped_by = NULL;
    interfaces[0].addr = ip("100.64.0.9");
    examine();
    assert_non_null(find("second_nat"));
    snprintf(interfaces[0].name, sizeof interfaces[0].name, "tailscale0");
    examine();
    assert_null(find("second_nat"));
}

static void ipv6_that_leads_nowhere_is_an_obstacle_only_when_it_was_tried(void **state)
{
    (void)state;
    interfaces[1].addr = ip("2001:db8::5");
    alone("ipv6", TL_FINDING_OK, "eth0 has 2001:db8::5; no STUN server was asked over IPv6", "");
    stun[1].server.addr = addr("[2001:db8:1::1]:3478");
    alone("ipv6", TL_FINDING_WARNING, "no STUN server answered over IPv6", "firewall");
    nat.public6 = addr("[2001:db8::5]:41820");
    alone("ipv6", TL_FINDING_OK, "2001:db8::5", "");
}

static void a_port_that_is_taken_is_named(void **state)
{
    (void)state;
    facts.wanted_port = 4711;
    alone("udp_port", TL_FINDING_PROBLEM, "UDP port 4711 is in use; port 41820", "ss -ulpn");
    facts.wanted_port = 41820;
    alone("udp_port", TL_FINDING_OK, "41820", "");
    facts.nat = NULL;
    facts.port = 0;
    facts.network_error = "cannot bind UDP port 41820: Address already in use";
    alone("udp_port", TL_FINDING_PROBLEM, "Address already in use", "udp_port 0");
}

static void direct_paths_switched_off_is_said(void **state)
{
    (void)state;
    facts.direct_on = false;
    alone("direct", TL_FINDING_WARNING, "nat.direct is false", "nat.direct true");
}

static void relayed_peers_are_counted_and_lead_on(void **state)
{
    (void)state;
    facts.peers_direct = 2;
    facts.peers_relayed = 1;
    alone("direct", TL_FINDING_OK, "2 direct, 0 on the local network, 1 relayed", "teale why");
}

static void offers_refused_as_late_point_to_the_clock(void **state)
{
    (void)state;
    facts.offers_late = 1;
    alone("clock", TL_FINDING_WARNING, "1 offer from peers refused", "set-ntp");
    facts.offers_late = 3;
    alone("clock", TL_FINDING_WARNING, "3 offers", "on both machines");
    facts.late_ago = TL_DOCTOR_FRESH; /* the clocks were set */
    examine();
    assert_null(find("clock"));
}

static void whose_clock_is_wrong_is_told_as_far_as_the_relays_tells_it(void **state)
{
    (void)state;
    facts.clock_known = true;
    facts.clock_ahead = 2.5;
    examine();
    assert_null(find("clock"));
    facts.offers_late = 2; /* our clock agrees: it is the peer's */
    alone("clock", TL_FINDING_WARNING, "their clocks are over 30 s off; this machine's agrees",
          "machines of those peers");
    facts.clock_ahead = 90;
    alone("clock", TL_FINDING_WARNING, "this machine's clock is 90 s ahead of the relay's",
          "Set this machine's clock");
    facts.offers_late = 0; /* the other side refuses ours, and we do not see it */
    facts.clock_ahead = -90;
    alone("clock", TL_FINDING_WARNING, "this machine's clock is 90 s behind the relay's",
          "Set this machine's clock");
}

static void packets_that_vanish_for_their_size_point_to_icmp(void **state)
{
    (void)state;
    facts.black_holes = 1;
    alone("mtu", TL_FINDING_WARNING, "were lost 1 time on", "ICMP");
    facts.hole_ago = TL_DOCTOR_FRESH - 1;
    alone("mtu", TL_FINDING_WARNING, "were lost 1 time on", "ICMP");
    facts.hole_ago = TL_DOCTOR_FRESH; /* it happened once, and no more */
    examine();
    assert_null(find("mtu"));
}

static void a_model_server_that_is_down_or_empty_is_a_problem(void **state)
{
    (void)state;
    facts.models = facts.models_shared = 0;
    alone("models", TL_FINDING_PROBLEM, "no model", "ollama pull");
    facts.models = 1;
    alone("models", TL_FINDING_PROBLEM, "names none", "share_models '[]'");
    facts.backend_up = false;
    facts.backend_error = "Connection refused";
    alone("backend", TL_FINDING_PROBLEM, "http://127.0.0.1:11434: Connection refused", "share");
    facts.share = "";
    alone("backend", TL_FINDING_OK, "none is shared", "");
}

static void a_model_server_that_runs_is_not_to_be_started(void **state)
{
    (void)state;
    static const struct {
        const char *error, *remedy;
    } cases[] = {
        {"http://127.0.0.1:1 does not answer as a model server: it wants a key",
         "backend_key_file FILE"},
        {"http://127.0.0.1:1 does not answer as a model server: it refuses the key",
         "backend_key_file names"},
        {"http://127.0.0.1:1 does not answer as a model server: it answers /v1/models with status "
         "404",
         "correct `share`"},
        {"https://h does not answer as a model server: SSL certificate problem: self-signed",
         "SSL_CERT_FILE"},
    };
    facts.backend_up = false;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        facts.backend_error = cases[i].error;
        alone("backend", TL_FINDING_PROBLEM, cases[i].error, cases[i].remedy);
        assert_null(strstr(find("backend")->remedy, "Start"));
    }
    facts.backend_error =
        "http://127.0.0.1:1 does not answer as a model server: Connection refused";
    alone("backend", TL_FINDING_PROBLEM, "refused", "Start the model server");
}

static void the_relays_port_comes_from_its_url(void **state)
{
    (void)state;
    assert_int_equal(tl_doctor_relay_port("wss://relay.example.org/ws"), 443);
    assert_int_equal(tl_doctor_relay_port("ws://relay.example.org/ws"), 80);
    assert_int_equal(tl_doctor_relay_port("wss://relay.example.org:8443/ws"), 8443);
    assert_int_equal(tl_doctor_relay_port("ws://[2001:db8::1]:81/ws"), 81);
    assert_int_equal(tl_doctor_relay_port("nonsense"), 0);
}

static void the_longest_texts_fit(void **state)
{
    (void)state;
    static char longest[600];
    memset(longest, 'x', sizeof longest - 1);
    facts.relay = facts.relay_error = facts.backend_url = facts.backend_error = longest;
    facts.mapping_error = longest;
    facts.mapped_by = NULL;
    facts.relay_connected = facts.backend_up = false;
    examine();
    facts.relay_connected = true;
    examine();
    facts.nat = NULL;
    facts.network_error = longest;
    examine();
}

#define TEST(name) cmocka_unit_test_setup(name, healthy)

static void nodes_of_the_old_protocol_are_told_and_speaking_it_is_a_warning(void **state)
{
    (void)state;
    examine();
    assert_null(find("old_protocol"));
    facts.peers_in_clear = 3;
    examine();
    assert_int_equal(find("old_protocol")->state, TL_FINDING_OK);
    assert_string_equal(find("old_protocol")->evidence,
                        "3 nodes here speak only the old protocol, in clear through the relay");
    facts.in_clear = true;
    alone("old_protocol", TL_FINDING_WARNING, "3 nodes here", "legacy_plaintext false");
    facts.peers_in_clear = 0;
    alone("old_protocol", TL_FINDING_WARNING, "no node here", "legacy_plaintext false");
}

static void members_only_in_no_network_is_a_warning_for_sharing_and_for_asking(void **state)
{
    (void)state;
    facts.share_members = true;
    alone("share_with", TL_FINDING_WARNING, "nobody else is served", "share_with public");
    facts.by_option.private = true;
    alone("share_with", TL_FINDING_WARNING, "it is in none", "without --private");
    facts.share = ""; /* nothing is kept from anybody */
    examine();
    assert_null(find("share_with"));
    facts.ask_members = true;
    alone("ask", TL_FINDING_WARNING, "no other node", "teale config set ask any");
    facts.share = "http://127.0.0.1:11434";
    facts.in_network = true;
    examine();
    assert_null(find("ask"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_healthy_node_has_nothing_in_its_way),
        TEST(a_portal_and_a_proxy_before_the_relay_are_told),
        TEST(a_node_that_is_not_to_connect_is_told_so_and_nothing_else_of_the_network),
        TEST(a_relay_that_is_not_reached_has_the_remedy_of_its_error),
        TEST(every_relay_is_told_with_its_own_cause),
        TEST(a_remedy_names_the_option_where_one_wins_over_the_file),
        TEST(names_without_an_address_are_another_thing_than_servers_without_an_answer),
        TEST(whose_clock_is_wrong_is_told_as_far_as_the_relays_tells_it),
        TEST(a_model_server_that_runs_is_not_to_be_started),
        TEST(blocked_udp_is_named_with_the_relay_that_works_all_the_same),
        TEST(without_stun_servers_or_with_one_the_nat_cannot_be_told),
        TEST(one_server_is_enough_where_there_is_no_nat),
        TEST(one_silent_server_of_three_is_named_and_harms_nothing),
        TEST(a_symmetric_nat_is_an_obstacle_unless_a_port_is_mapped),
        TEST(a_public_address_needs_no_port_mapping),
        TEST(a_port_mapping_that_is_switched_off_is_said),
        TEST(a_second_nat_shows_in_the_routers_outer_address),
        TEST(an_address_of_the_carriers_nat_is_a_second_nat_but_tailscales_is_not),
        TEST(ipv6_that_leads_nowhere_is_an_obstacle_only_when_it_was_tried),
        TEST(a_port_that_is_taken_is_named),
        TEST(direct_paths_switched_off_is_said),
        TEST(relayed_peers_are_counted_and_lead_on),
        TEST(offers_refused_as_late_point_to_the_clock),
        TEST(packets_that_vanish_for_their_size_point_to_icmp),
        TEST(nodes_of_the_old_protocol_are_told_and_speaking_it_is_a_warning),
        TEST(members_only_in_no_network_is_a_warning_for_sharing_and_for_asking),
        TEST(a_model_server_that_is_down_or_empty_is_a_problem),
        TEST(the_relays_port_comes_from_its_url),
        TEST(the_longest_texts_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
