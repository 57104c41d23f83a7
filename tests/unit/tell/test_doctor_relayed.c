/* What the doctor says of UDP to the relay, and `why` of what carries a relayed connection. */
#include "tell/doctor.h"
#include "tell/story.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static tl_nat_facts nat;
static tl_stun_report stun[2];
static tl_doctor_facts facts;

static int setup(void **state)
{
    (void)state;
    nat = (tl_nat_facts){.asked = 2, .answered = 2, .at = 1};
    for (size_t i = 0; i < 2; i++)
        stun[i] = (tl_stun_report){.answered = true, .sent = 1};
    snprintf(stun[0].server.name, sizeof stun[0].server.name, "relay.example:3478");
    snprintf(stun[1].server.name, sizeof stun[1].server.name, "stun.example:3478");
    facts = (tl_doctor_facts){.wan_enabled = true,
                              .relay = "wss://relay.example/ws",
                              .relay_connected = true,
                              .relay_error = "",
                              .relay_udp = "relay.example:3478",
                              .port = 41820,
                              .nat = &nat,
                              .stun = stun,
                              .n_stun = 2,
                              .direct_on = true,
                              .share = "",
                              .backend_url = "",
                              .backend_error = ""};
    return 0;
}

static const tl_finding *find_id(const char *id)
{
    static tl_finding found[TL_FINDINGS_MAX];
    size_t n = tl_doctor_examine(&facts, found);
    for (size_t i = 0; i < n; i++)
        if (!strcmp(found[i].id, id))
            return &found[i];
    return NULL;
}

static const tl_finding *find(void)
{
    return find_id("relay_udp");
}

static void expect(tl_finding_state state, const char *part)
{
    const tl_finding *f = find();
    assert_non_null(f);
    assert_int_equal(f->state, state);
    assert_non_null(strstr(f->evidence, part));
    assert_int_equal(f->remedy[0] != 0, state != TL_FINDING_OK);
}

static void a_relay_whose_port_answers_is_well(void **state)
{
    (void)state;
    expect(TL_FINDING_OK, "UDP passes to the relay (relay.example:3478)");
    stun[0].answered = false;
    facts.relay_leg = TL_LEG_OPEN; /* what a session found out is newer */
    expect(TL_FINDING_OK, "UDP passes to the relay");
}

static void a_relay_whose_port_is_silent_is_told_with_the_port_to_open(void **state)
{
    (void)state;
    stun[0].answered = false;
    expect(TL_FINDING_WARNING, "does not answer");
    assert_non_null(strstr(find()->remedy, "UDP to relay.example:3478"));
    stun[0].answered = true;
    facts.relay_leg = TL_LEG_SHUT;
    expect(TL_FINDING_WARNING, "does not answer");
}

static void what_is_not_asked_yet_is_no_trouble(void **state)
{
    (void)state;
    nat.at = 0;
    expect(TL_FINDING_OK, "is being asked");
}

static void a_relay_without_a_port_and_a_node_without_one_are_told_apart(void **state)
{
    (void)state;
    facts.relay_udp = "";
    expect(TL_FINDING_OK, "the relay has no UDP port");
    facts.relay_udp = "relay.example:3478";
    facts.nat = NULL;
    facts.network_error = "UDP port 41820 is in use";
    expect(TL_FINDING_WARNING, "this node has no UDP port");
}

static void without_a_relay_nothing_is_said(void **state)
{
    (void)state;
    facts.relay_connected = false;
    assert_null(find());
}

static void a_node_that_is_to_relay_and_cannot_is_a_problem_with_its_remedy(void **state)
{
    (void)state;
    tl_relaying r = {.state = TL_RELAYING_OFF};
    assert_null(find_id("relaying"));
    facts.relaying = &r;
    assert_null(find_id("relaying"));
    r = (tl_relaying){TL_RELAYING_CLOSED, .reason = "strangers do not reach it", .remedy = "let"};
    const tl_finding *f = find_id("relaying");
    assert_int_equal(f->state, TL_FINDING_PROBLEM);
    assert_non_null(strstr(f->evidence, "strangers do not reach it"));
    assert_string_equal(f->remedy, "let");
    r = (tl_relaying){TL_RELAYING_ASKING, .reason = "not told yet", .remedy = "wait"};
    assert_int_equal(find_id("relaying")->state, TL_FINDING_OK);
    r = (tl_relaying){.state = TL_RELAYING_SERVING};
    assert_int_equal(tl_addr_parse(tl_slice_str("192.0.2.7:41820"), &r.address), TL_OK);
    f = find_id("relaying");
    assert_int_equal(f->state, TL_FINDING_OK);
    assert_non_null(strstr(f->evidence, "192.0.2.7:41820"));
    tl_relaying_for_nobody(&r);
    f = find_id("relaying");
    assert_int_equal(f->state, TL_FINDING_PROBLEM);
    assert_non_null(strstr(f->evidence, "this node is in none"));
    assert_non_null(strstr(f->remedy, "teale config set nat.relay_for any"));
}

static void introducers_that_do_not_answer_are_told_of_with_what_helps(void **state)
{
    (void)state;
    assert_null(find_id("introducers")); /* there is a relay, and nobody was named */
    facts.no_relay = true;
    const tl_finding *f = find_id("introducers");
    assert_int_equal(f->state, TL_FINDING_WARNING);
    assert_non_null(strstr(f->remedy, "nat.introducers"));
    facts.introducers.needless = true;
    assert_null(find_id("introducers"));
    facts.introducers.needless = false;
    facts.introducers.others = 2;
    assert_int_equal(find_id("introducers")->state, TL_FINDING_OK);
    facts.introducers.given = 3;
    f = find_id("introducers");
    assert_int_equal(f->state, TL_FINDING_WARNING);
    assert_non_null(strstr(f->evidence, "none of the 3"));
    facts.introducers.answering = 1;
    f = find_id("introducers");
    assert_int_equal(f->state, TL_FINDING_OK);
    assert_non_null(strstr(f->evidence, "1 of the 3"));
    nat.at = 0; /* it is too early to say */
    assert_null(find_id("introducers"));
}

static void two_relays_that_act_as_one_are_not_a_missing_relay(void **state)
{
    (void)state;
    static const tl_doctor_relay relays[] = {
        {"wss://a.example/ws", ""}, {"wss://b.example/ws", ""}, {"wss://c.example/ws", ""}};
    facts.relays = relays;
    facts.n_relays = 2;
    facts.relays_connected = 1;
    assert_int_equal(find_id("second_relay")->state, TL_FINDING_WARNING);
    facts.relays_are_one = true;
    const tl_finding *f = find_id("second_relay");
    assert_int_equal(f->state, TL_FINDING_OK);
    assert_non_null(strstr(f->evidence, "act as one"));
    facts.n_relays = 3; /* another relay could be the second */
    f = find_id("second_relay");
    assert_int_equal(f->state, TL_FINDING_WARNING);
    assert_non_null(strstr(f->remedy, "Name one of these two"));
    facts.relays_connected = 2;
    assert_null(find_id("second_relay"));
}

static void a_web_server_without_its_relay_is_told_apart_from_a_wrong_path(void **state)
{
    (void)state;
    facts.relay_connected = false;
    facts.relay_error = "it answered HTTP 502 where a WebSocket was expected";
    assert_non_null(strstr(find_id("relay")->remedy, "does not reach its relay"));
    facts.relay_error = "it answered HTTP 404 where a WebSocket was expected";
    assert_non_null(strstr(find_id("relay")->remedy, "Check the path"));
}

static void what_carries_a_relayed_connection_is_told_with_its_reason(void **state)
{
    (void)state;
    static const struct {
        bool has_port, by_udp;
        tl_udp_state udp;
        tl_leg_state leg;
        const char *part;
    } rows[] = {
        {true, true, TL_UDP_STANDS, TL_LEG_OPEN, "from end to end"},
        {true, false, TL_UDP_NONE, TL_LEG_RESTING, "offers no UDP"},
        {true, false, TL_UDP_RESTING, TL_LEG_RESTING, "nothing has tried"},
        {true, false, TL_UDP_WAITING, TL_LEG_SHUT, "between this node and the relay"},
        {true, false, TL_UDP_WAITING, TL_LEG_OPEN, "the peer did not answer"},
        {true, false, TL_UDP_MOVING, TL_LEG_OPEN, "our new address"},
        {true, false, TL_UDP_PROVING, TL_LEG_OPEN, "being tried"},
        {true, false, TL_UDP_STANDS, TL_LEG_OPEN, "the side that dialled chooses"},
        {false, false, TL_UDP_WAITING, TL_LEG_OPEN, "this node has no UDP port"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *text =
            tl_story_carrier(rows[i].has_port, rows[i].by_udp, rows[i].udp, rows[i].leg);
        const char *carrier = tl_relay_carrier_name(rows[i].by_udp);
        assert_non_null(strstr(text, rows[i].part));
        assert_int_equal(strncmp(text, carrier, strlen(carrier)), 0);
    }
}

int main(void)
{
#define T(name) cmocka_unit_test_setup(name, setup)
    const struct CMUnitTest tests[] = {
        T(a_relay_whose_port_answers_is_well),
        T(a_relay_whose_port_is_silent_is_told_with_the_port_to_open),
        T(what_is_not_asked_yet_is_no_trouble),
        T(a_relay_without_a_port_and_a_node_without_one_are_told_apart),
        T(without_a_relay_nothing_is_said),
        T(a_node_that_is_to_relay_and_cannot_is_a_problem_with_its_remedy),
        T(introducers_that_do_not_answer_are_told_of_with_what_helps),
        T(two_relays_that_act_as_one_are_not_a_missing_relay),
        T(a_web_server_without_its_relay_is_told_apart_from_a_wrong_path),
        T(what_carries_a_relayed_connection_is_told_with_its_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
