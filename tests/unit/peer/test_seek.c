#include "peer/seek.h"

#include "base/rand.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define RELAY_URL "wss://relay.example.org/ws"

typedef struct {
    tl_seek *seek;
    tl_node_id own, peer, other;
    tl_control_nat nat;
    bool asks, visits; /* somebody can be asked; relays are visited */
    bool elsewhere;    /* at the relay of another peer */
    unsigned asked_for_relay, looks, unlooks, knows, relays, nodes, overs;
    tl_whereabouts known, last;
    size_t n_nodes;
    char url[300];
    const char *why;
} scene;

static tl_node_id node(uint64_t seed)
{
    tl_rand rand = tl_rand_seeded(seed);
    tl_identity identity;
    assert_int_equal(tl_identity_new(&rand, &identity), TL_OK);
    return identity.id;
}

static tl_addr addr(const char *text)
{
    tl_addr a;
    assert_int_equal(tl_addr_parse(tl_slice_str(text), &a), TL_OK);
    return a;
}

static bool on_look(void *user, const tl_node_id *peer)
{
    scene *s = user;
    (void)peer;
    s->looks += s->asks;
    return s->asks;
}

static void on_unlook(void *user, const tl_node_id *peer)
{
    (void)peer;
    ((scene *)user)->unlooks++;
}

static bool may_send(void *user, const tl_addr *a)
{
    (void)user;
    return tl_addr_kind_of(a) == TL_ADDR_GLOBAL;
}

static tl_control_nat own_nat(void *user)
{
    return ((scene *)user)->nat;
}

static void on_know(void *user, const tl_node_id *peer, const tl_whereabouts *where)
{
    scene *s = user;
    (void)peer;
    s->knows++;
    s->known = *where;
}

static tl_seek_visit on_relay(void *user, const tl_node_id *peer, const char *url)
{
    scene *s = user;
    (void)peer;
    s->asked_for_relay++;
    if (!s->visits || s->elsewhere)
        return s->elsewhere ? TL_SEEK_BUSY : TL_SEEK_REFUSES;
    s->relays++;
    snprintf(s->url, sizeof s->url, "%s", url);
    return TL_SEEK_VISITS;
}

static void on_nodes(void *user, const tl_node_id *peer, const tl_relayer_name *names, size_t n)
{
    scene *s = user;
    (void)peer, (void)names;
    s->nodes++;
    s->n_nodes = n;
}

static void on_over(void *user, const tl_node_id *peer, const tl_whereabouts *where,
                    const char *why)
{
    scene *s = user;
    (void)peer;
    s->overs++;
    s->why = why;
    if (where)
        s->last = *where;
}

static scene s;

static int setup(void **state)
{
    static const tl_seek_world world = {on_look, on_unlook, may_send, own_nat,
                                        on_know, on_relay,  on_nodes, on_over};
    (void)state;
    assert_int_equal(tl_crypto_init(), TL_OK);
    s = (scene){.own = node(1),
                .peer = node(2),
                .other = node(3),
                .nat = TL_CONTROL_NAT_CONE,
                .asks = true,
                .visits = true};
    assert_int_equal(tl_seek_new(&s.own, &world, &s, &s.seek), TL_OK);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    tl_seek_free(s.seek);
    return 0;
}

static tl_dht_record cone(void)
{
    tl_dht_record r = {.nat = TL_CONTROL_NAT_CONE, .n_introducers = 1, .n_relays = 1};
    memcpy(r.introducers[0].id, s.other.key, sizeof r.introducers[0].id);
    r.introducers[0].addr = addr("198.18.0.9:4000");
    snprintf(r.relays[0], sizeof r.relays[0], "%s", RELAY_URL);
    return r;
}

static tl_dht_record public(void)
{
    tl_dht_record r = {.nat = TL_CONTROL_NAT_PUBLIC, .n_addresses = 1};
    r.addresses[0] = addr("198.18.0.7:4000");
    return r;
}

static void found(const tl_dht_record *r, tl_time now)
{
    assert_true(tl_seek_start(s.seek, &s.peer));
    tl_seek_on_record(s.seek, &s.peer, r, NULL, now);
}

static void a_public_address_alone_is_tried_and_nothing_comes_after_it(void **state)
{
    (void)state;
    tl_dht_record r = public();
    found(&r, 5);
    assert_int_equal(s.knows, 1);
    assert_int_equal(s.overs, 1);
    assert_null(s.why);
    assert_int_equal(s.last.n_addrs, 1);
    assert_int_equal(s.last.nat, TL_CONTROL_NAT_PUBLIC);
    assert_int_equal(tl_seek_expiry(s.seek), TL_NEVER);
    assert_false(tl_seek_is_on(s.seek, &s.peer));
}

static void the_tiers_are_tried_in_order_the_cheapest_first(void **state)
{
    (void)state;
    tl_dht_record r = cone();
    found(&r, TL_SEC);
    assert_int_equal(s.knows, 1); /* introduced */
    assert_int_equal(s.known.n_introducers, 1);
    assert_int_equal(s.relays + s.nodes + s.overs, 0);
    assert_int_equal(tl_seek_expiry(s.seek), TL_SEC + TL_SEEK_RELAY_AFTER);
    tl_seek_on_timer(s.seek, TL_SEC + TL_SEEK_RELAY_AFTER - 1);
    assert_int_equal(s.relays, 0);
    tl_seek_on_timer(s.seek, TL_SEC + TL_SEEK_RELAY_AFTER);
    assert_int_equal(s.relays, 1); /* a relay of the peer */
    assert_string_equal(s.url, RELAY_URL);
    assert_int_equal(s.nodes, 0);
    tl_time at = tl_seek_expiry(s.seek);
    assert_int_equal(at, TL_SEC + TL_SEEK_RELAY_AFTER + TL_SEEK_RELAY_FOR);
    tl_seek_on_timer(s.seek, at);
    assert_int_equal(s.nodes, 1); /* the nodes that introduce it */
    assert_int_equal(s.n_nodes, 1);
    assert_int_equal(s.overs, 0);
    tl_seek_on_timer(s.seek, at + TL_SEEK_NODES_FOR);
    assert_int_equal(s.overs, 1);
    assert_non_null(s.why);
    assert_int_equal(tl_seek_counters_of(s.seek)->relays, 1);
    assert_int_equal(tl_seek_counters_of(s.seek)->nodes, 1);
}

static void an_unknown_nat_is_tried_on_top_of_the_relay(void **state)
{
    static const struct {
        tl_control_nat ours, theirs;
        bool at_once;
    } pairs[] = {{TL_CONTROL_NAT_CONE, TL_CONTROL_NAT_CONE, false},
                 {TL_CONTROL_NAT_SYMMETRIC, TL_CONTROL_NAT_CONE, false},
                 {TL_CONTROL_NAT_CONE, TL_CONTROL_NAT_SYMMETRIC, false},
                 {TL_CONTROL_NAT_SYMMETRIC, TL_CONTROL_NAT_SYMMETRIC, true},
                 {TL_CONTROL_NAT_UNKNOWN, TL_CONTROL_NAT_CONE, true},
                 {TL_CONTROL_NAT_PUBLIC, TL_CONTROL_NAT_UNKNOWN, true}};
    (void)state;
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        tl_dht_record r = cone();
        r.nat = pairs[i].theirs;
        s.nat = pairs[i].ours;
        s.relays = s.knows = 0;
        found(&r, TL_SEC);
        assert_int_equal(s.relays, pairs[i].at_once);
        assert_int_equal(s.knows, 1); /* and the NATs are tried all the same */
        tl_seek_end(s.seek, &s.peer);
    }
}

static void a_connection_ends_the_look(void **state)
{
    (void)state;
    tl_dht_record r = cone();
    found(&r, 0);
    tl_seek_end(s.seek, &s.peer);
    assert_int_equal(tl_seek_expiry(s.seek), TL_NEVER);
    tl_seek_on_timer(s.seek, TL_MIN);
    assert_int_equal(s.relays + s.nodes + s.overs + s.unlooks, 0);
    assert_true(tl_seek_start(s.seek, &s.peer)); /* while the DHT is being asked */
    tl_seek_end(s.seek, &s.peer);
    assert_int_equal(s.unlooks, 1);
    tl_seek_on_record(s.seek, &s.peer, &r, NULL, 0); /* it comes too late */
    assert_int_equal(s.knows, 1);
}

static void without_a_record_the_reason_is_told(void **state)
{
    (void)state;
    assert_true(tl_seek_start(s.seek, &s.peer));
    assert_true(tl_seek_start(s.seek, &s.peer)); /* one look serves both */
    assert_int_equal(s.looks, 1);
    tl_seek_on_record(s.seek, &s.peer, NULL, "no record", 0);
    assert_int_equal(s.overs, 1);
    assert_string_equal(s.why, "no record");
}

static void a_record_without_a_way_is_as_good_as_none(void **state)
{
    (void)state;
    tl_dht_record r = {.nat = TL_CONTROL_NAT_CONE};
    found(&r, 0);
    assert_int_equal(s.overs, 1);
    assert_non_null(strstr(s.why, "names no way"));
}

static void what_a_record_must_not_name_is_left_out_and_counted(void **state)
{
    (void)state;
    tl_dht_record r = cone();
    r.n_addresses = 3;
    r.addresses[0] = addr("127.0.0.1:4000");
    r.addresses[1] = addr("198.18.0.7:4000");
    r.addresses[2] = addr("192.168.1.1:53");
    r.n_introducers = 5;
    for (size_t i = 1; i < 5; i++)
        r.introducers[i] = r.introducers[0];
    memcpy(r.introducers[1].id, s.own.key, 32);  /* this node */
    memcpy(r.introducers[2].id, s.peer.key, 32); /* the peer itself */
    memset(r.introducers[3].id, 0, 32);          /* no key */
    r.introducers[4].addr = addr("10.0.0.1:4000");
    found(&r, 0);
    assert_int_equal(s.known.n_addrs, 1);
    assert_int_equal(s.known.addrs[0].bytes[3], 7);
    assert_int_equal(s.known.n_introducers, 1);
    assert_int_equal(tl_seek_counters_of(s.seek)->addrs_refused, 6);
}

static void a_peer_that_this_node_introduces_is_tried_by_this_node(void **state)
{
    (void)state;
    tl_dht_record r = cone();
    memcpy(r.introducers[0].id, s.own.key, sizeof r.introducers[0].id);
    r.introducers[0].addr = addr("10.0.0.1:4000"); /* this node knows better where it is */
    found(&r, 0);
    assert_int_equal(s.overs + s.relays, 0); /* a relay of the peer comes later */
    tl_seek_on_timer(s.seek, TL_SEEK_RELAY_AFTER);
    assert_int_equal(s.relays, 1);
    tl_seek_end(s.seek, &s.peer);
    r.n_relays = 0;
    found(&r, 0);
    assert_int_equal(s.overs, 1);
    assert_null(s.why); /* whoever tries it says how it ends */
    assert_int_equal(s.knows, 0);
    r.introducers[0].id[0] ^= 1; /* another node, which is not reached there */
    found(&r, 0);
    assert_int_equal(s.overs, 2);
    assert_non_null(strstr(s.why, "names no way"));
}

static void a_relay_that_is_not_visited_gives_way_to_the_next_tier(void **state)
{
    (void)state;
    tl_dht_record r = cone();
    s.visits = false;
    found(&r, 0);
    tl_seek_on_timer(s.seek, TL_SEEK_RELAY_AFTER);
    assert_int_equal(s.relays, 0);
    assert_int_equal(s.nodes, 1);
    tl_seek_end(s.seek, &s.peer);
    r.n_introducers = 0;
    found(&r, 0); /* nothing but that relay */
    assert_int_equal(s.overs, 1);
    assert_non_null(strstr(s.why, "this node visits none"));
}

/* Calls the timer each time it is due, up to that time. */
static void run_until(tl_time end)
{
    for (tl_time at = tl_seek_expiry(s.seek); at < end; at = tl_seek_expiry(s.seek))
        tl_seek_on_timer(s.seek, at);
}

static void while_the_relay_of_another_peer_is_visited_a_look_waits(void **state)
{
    (void)state;
    tl_dht_record r = cone();
    r.n_introducers = 0;
    s.elsewhere = true;
    found(&r, 0);
    run_until(TL_SEEK_RELAY_FOR);
    assert_int_equal(s.relays + s.overs, 0);
    assert_true(s.asked_for_relay > 4 && s.asked_for_relay < 20);
    s.elsewhere = false; /* that relay was silent, and gave its place back */
    run_until(TL_SEEK_RELAY_FOR + TL_SEC);
    assert_int_equal(s.relays, 1);
    assert_string_equal(s.url, RELAY_URL);
    run_until(TL_NEVER);
    assert_int_equal(s.overs, 1);
    assert_non_null(strstr(s.why, "could be reached"));
}

static void a_look_that_waits_in_vain_says_that_the_relay_was_not_tried(void **state)
{
    (void)state;
    tl_dht_record r = cone();
    s.elsewhere = true;
    found(&r, 0);
    run_until(TL_SEEK_RELAY_AFTER + TL_SEEK_RELAY_WAIT);
    assert_int_equal(s.nodes + s.overs, 0);
    run_until(TL_SEEK_RELAY_AFTER + TL_SEEK_RELAY_WAIT + 1);
    assert_int_equal(s.nodes, 1); /* those that introduce it may relay */
    run_until(TL_NEVER);
    assert_int_equal(s.overs, 1);
    r.n_introducers = 0;
    found(&r, 0);
    run_until(TL_NEVER);
    assert_int_equal(s.overs, 2);
    assert_non_null(strstr(s.why, "was not tried"));
    assert_int_equal(s.relays, 0);
}

/* A record with a victim in it, at a port for each place. */
static void of_one_ip_two_ways_are_taken_and_the_others_counted(void **state)
{
    (void)state;
    tl_dht_record r = {.nat = TL_CONTROL_NAT_CONE, .n_addresses = 8, .n_introducers = 8};
    for (uint16_t i = 0; i < 8; i++) {
        tl_node_id id = node(50 + i);
        r.addresses[i] = r.introducers[i].addr = addr("198.18.66.6:1");
        r.addresses[i].port = (uint16_t)(1 + i);
        r.introducers[i].addr.port = (uint16_t)(11 + i);
        memcpy(r.introducers[i].id, id.key, sizeof id.key);
    }
    r.introducers[7].addr = addr("198.18.66.7:1");
    found(&r, 0);
    assert_int_equal(s.known.n_addrs, TL_SEEK_PER_IP);
    assert_int_equal(s.known.n_introducers, 1);
    assert_int_equal(tl_seek_counters_of(s.seek)->addrs_refused, 16 - TL_SEEK_PER_IP - 1);
}

static void looks_are_bounded(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < TL_SEEKS_MAX; i++) {
        tl_node_id peer = node(100 + i);
        assert_true(tl_seek_start(s.seek, &peer));
    }
    assert_false(tl_seek_start(s.seek, &s.peer));
    tl_node_id first = node(100);
    tl_seek_end(s.seek, &first);
    assert_true(tl_seek_start(s.seek, &s.peer));
    s.asks = false;
    tl_seek_end(s.seek, &s.peer);
    assert_false(tl_seek_start(s.seek, &s.peer)); /* nobody can be asked */
    s.asks = true;
    assert_false(tl_seek_start(s.seek, &s.own));
    assert_int_equal(tl_seek_counters_of(s.seek)->refused, 3);
}

static void where_nobody_can_be_asked_any_more_each_look_is_told(void **state)
{
    (void)state;
    assert_true(tl_seek_start(s.seek, &s.peer));
    assert_true(tl_seek_start(s.seek, &s.other));
    tl_seek_end_all(s.seek, "off");
    assert_int_equal(s.overs, 2);
    assert_string_equal(s.why, "off");
    assert_false(tl_seek_is_on(s.seek, &s.peer));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_public_address_alone_is_tried_and_nothing_comes_after_it),
        TEST(the_tiers_are_tried_in_order_the_cheapest_first),
        TEST(an_unknown_nat_is_tried_on_top_of_the_relay),
        TEST(a_connection_ends_the_look),
        TEST(without_a_record_the_reason_is_told),
        TEST(a_record_without_a_way_is_as_good_as_none),
        TEST(what_a_record_must_not_name_is_left_out_and_counted),
        TEST(a_peer_that_this_node_introduces_is_tried_by_this_node),
        TEST(a_relay_that_is_not_visited_gives_way_to_the_next_tier),
        TEST(while_the_relay_of_another_peer_is_visited_a_look_waits),
        TEST(a_look_that_waits_in_vain_says_that_the_relay_was_not_tried),
        TEST(of_one_ip_two_ways_are_taken_and_the_others_counted),
        TEST(looks_are_bounded),
        TEST(where_nobody_can_be_asked_any_more_each_look_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
