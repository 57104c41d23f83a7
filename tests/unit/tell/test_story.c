#include "tell/story.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define NOW (100 * TL_SEC)

/* A relayed peer to which two addresses were tried in vain; every test changes what it is about. */
static tl_nat_facts nat;
static tl_pair pairs[2];
static tl_direct_report report;
static tl_story_facts facts;
static tl_story story;

static tl_addr addr(const char *text)
{
    tl_addr a;
    assert_int_equal(tl_addr_parse(tl_slice_str(text), &a), TL_OK);
    return a;
}

static int relayed(void **state)
{
    (void)state;
    nat = (tl_nat_facts){.mapping = TL_MAPPING_ENDPOINT_INDEPENDENT,
                         .filtering = TL_FILTERING_ADDRESS_AND_PORT_DEPENDENT,
                         .asked = 3,
                         .answered = 3,
                         .at = 1};
    pairs[0] = (tl_pair){.id = 1,
                         .remote = addr("192.168.1.2:5000"),
                         .kind = TL_CANDIDATE_HOST,
                         .state = TL_PAIR_FAILED,
                         .sent = 5};
    pairs[1] = (tl_pair){.id = 2,
                         .remote = addr("203.0.113.9:5000"),
                         .kind = TL_CANDIDATE_SERVER_REFLEXIVE,
                         .state = TL_PAIR_FAILED,
                         .sent = 5};
    report = (tl_direct_report){.state = TL_DIRECT_FAILED,
                                .session = "s",
                                .ours = true,
                                .began = NOW - 8 * TL_SEC,
                                .again_at = NOW + 12 * TL_SEC,
                                .attempts = 1,
                                .our_nat = TL_NAT_PORT_RESTRICTED,
                                .peer_nat = TL_NAT_PORT_RESTRICTED,
                                .pairs = pairs,
                                .n_pairs = 2};
    facts = (tl_story_facts){.connected = true,
                             .via = TL_VIA_RELAYED,
                             .wan_enabled = true,
                             .relay_connected = true,
                             .listed = true,
                             .direct_on = true,
                             .nat = &nat,
                             .listed_nat = TL_NAT_UNKNOWN,
                             .report = &report,
                             .now = NOW};
    return 0;
}

static void tells(const char *reason, const char *because, const char *remedy)
{
    tl_story_tell(&facts, &story);
    if (strcmp(story.reason, reason) != 0 || !strstr(story.because, because) ||
        !strstr(story.remedy, remedy) || (remedy[0] == 0) != (story.remedy[0] == 0))
        fail_msg("%s: \"%s\" / \"%s\"", story.reason, story.because, story.remedy);
}

static void set_valid(tl_via via)
{
    pairs[1].state = TL_PAIR_VALID;
    pairs[1].rtt = 18 * TL_MS;
    pairs[1].answered = 4;
    report.state = TL_DIRECT_STANDS;
    report.first_valid = report.began + 1400 * TL_MS;
    report.used = via == TL_VIA_RELAYED ? 0 : 2;
    facts.via = via;
}

static void a_direct_path_tells_its_address_and_how_fast_it_was_found(void **state)
{
    (void)state;
    set_valid(TL_VIA_DIRECT);
    tells("direct", "203.0.113.9:5000", "");
    assert_non_null(strstr(story.because, "1.40 s after the attempt began"));
    assert_non_null(strstr(story.because, "4 of 10 checks to 2 addresses"));
    facts.via = TL_VIA_LAN;
    tells("lan", "on the local network", "");
    facts.report = NULL;
    tells("lan", "local network", "");
    facts.via = TL_VIA_DIRECT;
    tells("direct", "answers", "");
}

static void a_peer_without_a_connection_tells_what_it_takes(void **state)
{
    (void)state;
    facts.connected = false;
    tells("not_connected", "nothing has been asked", "teale ping");
    facts.old = true;
    tells("old_protocol", "legacy_plaintext is false", "legacy_plaintext true");
    facts.speaks_old = true;
    tells("old_protocol", "relayed-plaintext", "newer program");
    facts.listed = false;
    tells("not_present", "does not list", "Start the node there");
    facts.relay_connected = false;
    tells("relay_down", "relay is not connected", "teale doctor");
    facts.wan_enabled = false;
    tells("wan_off", "wan_enabled is false", "wan_enabled true");
    tells("wan_off", "no peer can be reached", "lan_enabled");
    facts.self = true;
    tells("self", "this node itself", "");
}

static void without_a_relay_no_cause_is_a_relay(void **state)
{
    (void)state;
    facts.connected = facts.relay_connected = facts.listed = false;
    facts.no_relay = true;
    tells("no_way", "their NATs let nothing through", "Forward a UDP port");
    report.state = TL_DIRECT_UNANSWERED;
    tells("not_answered", "did not answer", "Start the node there");
    facts.report = NULL;
    tells("not_connected", "nothing has been asked", "all 64 digits");
    facts.network_error = "cannot bind";
    tells("no_udp", "cannot bind", "teale doctor");
    facts.network_error = NULL;
    facts.direct_on = false;
    tells("no_udp", "nat.direct is false", "teale doctor");
    facts.no_relay = false;
    tells("relay_down", "relay is not connected", "teale doctor");
}

static void direct_paths_switched_off_come_before_every_other_reason(void **state)
{
    (void)state;
    facts.direct_on = false;
    facts.nat = NULL;
    tells("switched_off", "nat.direct is false", "nat.direct true");
    facts.relayed_by_option = true;
    tells("switched_off", "switched off here: --relayed", "without --relayed");
    facts.relayed_by_option = false;
    facts.direct_on = true;
    tells("no_socket", "not known why", "teale doctor");
    facts.network_error = "cannot bind";
    tells("no_socket", "cannot bind", "teale doctor");
    facts.nat = &nat;
    report.state = TL_DIRECT_OFF;
    tells("switched_off", "nat.direct", "nat.direct true");
}

static void udp_blocked_here_is_told_but_not_of_a_path_that_stands(void **state)
{
    (void)state;
    nat = (tl_nat_facts){.udp_blocked = true, .asked = 4, .at = 1};
    tells("udp_blocked_here", "E_UDP_BLOCKED: 0 of 4", "Allow outgoing UDP");
    facts.relay_connected = false; /* a node relays; whether UDP is blocked, no relay shows */
    tells("no_answer", "none came back", "Allow UDP");
    facts.relay_connected = true;
    set_valid(TL_VIA_RELAYED);
    tells("held_back", "203.0.113.9:5000, 18.0 ms", "again");
}

static void udp_blocked_there_shows_in_a_peer_that_knows_no_public_address(void **state)
{
    (void)state;
    report.peer_nat = TL_NAT_UNKNOWN;
    tells("no_answer", "10 checks to 2 addresses", "teale doctor");
    pairs[1].kind = TL_CANDIDATE_HOST;
    pairs[1].remote = addr("10.0.0.5:5000");
    tells("udp_blocked_there", "probably blocked on its side", "on the other side");
    assert_non_null(strstr(story.because, "tried again in 12 s"));
    pairs[1].remote = addr("8.8.8.8:5000"); /* a public address of its own: no NAT to be asked of */
    tells("no_answer", "none came back", "teale doctor");
    pairs[1].remote = addr("10.0.0.5:5000");
    pairs[0].asked_by_peer = 1; /* something of it does arrive */
    tells("one_way", "1 checks of the peer arrived", "other side");
}

static void two_symmetric_nats_stay_relayed_until_a_port_is_mapped(void **state)
{
    (void)state;
    nat.mapping = TL_MAPPING_ADDRESS_AND_PORT_DEPENDENT;
    report.peer_nat = TL_NAT_SYMMETRIC;
    tells("both_symmetric", "both NATs are symmetric", "A port mapping");
    assert_null(strstr(story.because, "in vain"));
    facts.mapped_by = "PCP";
    tells("both_symmetric", "our own port mapping was tried too, in vain", "either side");
}

static void a_symmetric_nat_on_one_side_tells_of_the_search(void **state)
{
    (void)state;
    report.peer_nat = TL_NAT_SYMMETRIC;
    tells("symmetric", "the peer's NAT is symmetric and the other portRestricted", "other side");
    report.search_sent = 1024;
    report.search_sockets = 1;
    tells("search_failed", "1024 probes", "port mapping");
    nat.mapping = TL_MAPPING_ADDRESS_DEPENDENT;
    report.peer_nat = TL_NAT_PORT_RESTRICTED;
    tells("search_failed", "our NAT is symmetric and the other portRestricted", "either side");
}

static void the_peers_nat_is_what_it_told_else_what_the_relay_lists(void **state)
{
    (void)state;
    assert_int_equal(tl_story_peer_nat(&facts), TL_NAT_PORT_RESTRICTED);
    report.peer_nat = TL_NAT_UNKNOWN;
    assert_int_equal(tl_story_peer_nat(&facts), TL_NAT_UNKNOWN);
    facts.listed_nat = TL_NAT_SYMMETRIC;
    assert_int_equal(tl_story_peer_nat(&facts), TL_NAT_SYMMETRIC);
    report.peer_nat = TL_NAT_UNKNOWN;
    assert_int_equal(tl_story_peer_nat(&facts), TL_NAT_SYMMETRIC);
    facts.report = NULL;
    assert_int_equal(tl_story_peer_nat(&facts), TL_NAT_SYMMETRIC);
}

static void checks_that_arrive_but_are_never_answered_are_one_way(void **state)
{
    (void)state;
    pairs[1].asked_by_peer = 7;
    tells("one_way", "7 checks of the peer arrived here, and none of our 10", "other side");
    pairs[1].asked_by_peer = 0;
    tells("no_answer", "10 checks to 2 addresses", "forward a port");
}

static void a_peer_that_answers_no_offer_is_named(void **state)
{
    (void)state;
    report.state = TL_DIRECT_UNANSWERED;
    report.n_pairs = 0;
    tells("offers_unanswered", "answers no offer (1 so far)", "nat.direct");
    assert_non_null(strstr(story.because, "tried again in 12 s"));
    facts.clock_known = true;
    facts.clock_ahead = 29;
    tells("offers_unanswered", "its clock may be over 30 s apart", "nat.direct");
    facts.clock_ahead = 90;
    tells("offers_unanswered", "this machine's clock is 90 s ahead of the relay's", "Set this");
    facts.clock_ahead = -90;
    tells("offers_unanswered", "this machine's clock is 90 s behind the relay's", "Set this");
}

static void an_attempt_under_way_tells_how_far_it_is(void **state)
{
    (void)state;
    report.state = TL_DIRECT_OFFERED;
    tells("trying", "8.0 s ago", "--until-direct");
    report.state = TL_DIRECT_CHECKING;
    tells("trying", "10 checks to 2 addresses in 8.0 s, 0 answered", "--until-direct");
    report.state = TL_DIRECT_SEARCHING;
    report.search_sent = 300;
    report.search_sockets = 256;
    tells("trying", "300 probes over 256 sockets so far, 8.0 s of at most 12", "--until-direct");
}

static void what_was_lost_or_never_tried_is_told_apart(void **state)
{
    (void)state;
    report.state = TL_DIRECT_LOST;
    tells("lost", "stood and was lost; tried again in 12 s", "Nothing to do");
    report.again_at = TL_NEVER;
    tells("lost", "stood and was lost", "Nothing to do");
    assert_null(strstr(story.because, "again in"));
    report.state = TL_DIRECT_NEVER;
    tells("not_tried", "no direct path was tried", "--until-direct");
    report.again_at = facts.now + 12 * TL_SEC; /* the peer has left and come back since then */
    tells("backed_off", "held back after an earlier attempt; tried again in 12 s", "ping");
    facts.report = NULL;
    tells("not_tried", "no direct path was tried", "--until-direct");
}

static void a_direct_path_that_is_held_back_tells_the_rule(void **state)
{
    (void)state;
    set_valid(TL_VIA_RELAYED);
    facts.rule = "it was lost a moment ago";
    tells("held_back", "the relay is in use: it was lost a moment ago", "again");
}

static void addresses_that_nobody_may_name_are_a_reason_of_their_own(void **state)
{
    (void)state;
    report.refused = 3;
    tells("no_answer", "10 checks", "forward");
    report.n_pairs = 0;
    tells("addresses_refused", "(3)", "netcheck");
}

static void two_behind_one_nat_without_hairpin_are_told_so(void **state)
{
    (void)state;
    nat.public4 = addr("203.0.113.9:41000");
    tells("same_nat", "both are behind one NAT (203.0.113.9), which", "IPv6 on both");
    assert_non_null(strstr(story.because, "tried again in 12 s"));
    report.peer_nat = TL_NAT_SYMMETRIC;
    tells("same_nat", "no hairpin", "port mapping");
    pairs[1].asked_by_peer = 1; /* it does let something through */
    tells("symmetric", "the peer's NAT is symmetric", "other side");
    pairs[1].asked_by_peer = 0;
    nat.public4 = addr("203.0.113.8:41000"); /* a neighbour's NAT is another */
    tells("symmetric", "the peer's NAT is symmetric", "other side");
}

#define TEST(name) cmocka_unit_test_setup(name, relayed)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_direct_path_tells_its_address_and_how_fast_it_was_found),
        TEST(a_peer_without_a_connection_tells_what_it_takes),
        TEST(without_a_relay_no_cause_is_a_relay),
        TEST(direct_paths_switched_off_come_before_every_other_reason),
        TEST(udp_blocked_here_is_told_but_not_of_a_path_that_stands),
        TEST(udp_blocked_there_shows_in_a_peer_that_knows_no_public_address),
        TEST(two_symmetric_nats_stay_relayed_until_a_port_is_mapped),
        TEST(a_symmetric_nat_on_one_side_tells_of_the_search),
        TEST(the_peers_nat_is_what_it_told_else_what_the_relay_lists),
        TEST(checks_that_arrive_but_are_never_answered_are_one_way),
        TEST(a_peer_that_answers_no_offer_is_named),
        TEST(an_attempt_under_way_tells_how_far_it_is),
        TEST(what_was_lost_or_never_tried_is_told_apart),
        TEST(a_direct_path_that_is_held_back_tells_the_rule),
        TEST(two_behind_one_nat_without_hairpin_are_told_so),
        TEST(addresses_that_nobody_may_name_are_a_reason_of_their_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
