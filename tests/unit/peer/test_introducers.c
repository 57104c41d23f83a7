/* To which nodes that introduce a node attaches, and whom it asks to be introduced to a peer. */
#include "introducers_scene.h"

static void all_of_the_setting_are_attached_to_every_25_seconds(void **state)
{
    (void)state;
    tl_addr seen;
    give(0, 8);
    run_for(TL_SEC);
    assert_int_equal(attached(), 8);
    assert_true(tl_introducers_is(it, &nodes[3].identity.id, &nodes[3].addr, &seen));
    assert_true(tl_addr_eq(&seen, &seen_as));
    assert_false(tl_introducers_is(it, &nodes[3].identity.id, &nodes[4].addr, &seen));
    assert_false(tl_introducers_is(it, &nodes[9].identity.id, &nodes[9].addr, &seen));
    run_for(100 * TL_SEC);
    assert_int_equal(nodes[0].attaches, 5);
    give(4, 2);
    run_for(TL_SEC);
    assert_int_equal(attached(), 2);
    assert_true(changed >= 10);
}

static void one_of_the_setting_that_is_silent_is_asked_again_after_pauses_that_grow(void **state)
{
    (void)state;
    nodes[0].silent = true;
    give(0, 1);
    run_for(120 * TL_SEC);
    assert_int_equal(attached(), 0);
    assert_true(nodes[0].attaches > 8 && nodes[0].attaches <= 24);
    nodes[0].silent = false;
    run_for(70 * TL_SEC);
    assert_int_equal(attached(), 1);
}

static void who_is_reached_by_strangers_attaches_to_nobody(void **state)
{
    (void)state;
    give(0, 1);
    run_for(TL_SEC);
    assert_int_equal(attached(), 1);
    facts.mapping = TL_MAPPING_NONE;
    facts.filtering = TL_FILTERING_ENDPOINT_INDEPENDENT;
    tl_introducers_on_moved(it);
    run_for(TL_SEC);
    assert_int_equal(attached(), 0);
}

static void two_of_those_that_are_found_are_kept(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++) {
        tl_relayer_name name = name_of(i);
        tl_introducers_found(it, &name);
    }
    run_for(TL_SEC);
    assert_int_equal(attached(), TL_INTRODUCERS_FOUND);
    for (int i = 0; i < 5; i++)
        nodes[i].silent = nodes[i].attaches > 0; /* they die: others come */
    run_for(40 * TL_SEC);
    assert_int_equal(attached(), TL_INTRODUCERS_FOUND);
}

/* Invented peers name a victim as the address where they introduce. */
static void a_silent_address_that_peers_name_gets_few_datagrams(void **state)
{
    (void)state;
    for (int i = 0; i < NODES; i++) {
        nodes[i].silent = true;
        nodes[i].addr = addr_of("198.18.66.6:53");
        (void)peer_says(i, "{\"introduces\":{\"addresses\":[\"198.18.66.6:53\"]}}");
    }
    run_for(290 * TL_SEC);
    unsigned sent = 0;
    for (int i = 0; i < NODES; i++)
        sent += nodes[i].attaches;
    assert_true(sent >= 4 && sent <= 8); /* two places, four tries */
    assert_int_equal(strays, 0);
}

static void many_silent_addresses_are_tried_one_a_minute(void **state)
{
    (void)state;
    for (int i = 0; i < NODES; i++) {
        char text[80];
        nodes[i].silent = true;
        snprintf(text, sizeof text, "{\"introduces\":{\"addresses\":[\"198.18.%d.1:4000\"]}}",
                 i + 1);
        (void)peer_says(i, text);
    }
    run_for(100 * TL_SEC);
    unsigned tried = 0;
    for (int i = 0; i < NODES; i++)
        tried += nodes[i].attaches > 0;
    assert_true(tried >= 8 && tried <= 10);
}

static void one_that_served_is_tried_again(void **state)
{
    (void)state;
    tl_relayer_name name = name_of(0);
    tl_introducers_found(it, &name);
    run_for(TL_SEC);
    assert_int_equal(attached(), 1);
    nodes[0].silent = true;
    run_for(40 * TL_SEC);
    assert_int_equal(attached(), 0);
    nodes[0].silent = false;
    run_for(70 * TL_SEC);
    assert_int_equal(attached(), 1);
}

static void a_doubt_attaches_anew_at_most_once_in_a_second(void **state)
{
    (void)state;
    give(0, 1);
    run_for(TL_SEC);
    assert_int_equal(nodes[0].attaches, 1);
    for (int i = 0; i < 100; i++) {
        tl_introducers_doubt(it);
        run_for(30 * TL_MS);
    }
    assert_true(nodes[0].attaches >= 3 && nodes[0].attaches <= 5);
    assert_int_equal(attached(), 1);
}

static void who_asks_for_a_proof_gets_it_at_once_and_once(void **state)
{
    (void)state;
    nodes[0].asks_for_proof = true;
    give(0, 1);
    run_for(TL_SEC);
    assert_int_equal(nodes[0].attaches, 2);
    assert_memory_equal(nodes[0].last_attach.nonce + 13, scene_mark + 13, 3);
    run_for(25 * TL_SEC);
    assert_int_equal(nodes[0].attaches, 3);
    assert_memory_equal(nodes[0].last_attach.nonce + 13, scene_mark + 13, 3);
}

static void tries_of_one_question_have_nonces_of_their_own(void **state)
{
    (void)state;
    tl_leg leg = tl_leg_new(&nodes[0].addr);
    tl_attach_mark m = {0};
    uint8_t nonce[4][TL_CONTROL_NONCE_SIZE];
    tl_leg_want(&leg, now_at);
    for (int i = 0; i < 4; i++) {
        assert_true(tl_leg_is_due(&leg, &rng, now_at));
        tl_attach_nonce(&m, &leg, &rng, nonce[i]);
        now_at = tl_leg_expiry(&leg);
        for (int k = 0; k < i; k++)
            assert_memory_not_equal(nonce[i], nonce[k], sizeof nonce[i]);
        assert_memory_equal(nonce[i] + 13, nonce[0] + 13, 3);
    }
    assert_false(tl_attach_answered(&m, nonce[1], now_at));
    nonce[1][15] ^= 1;
    assert_true(tl_attach_answered(&m, nonce[1], now_at));
    nonce[1][15] ^= 2; /* another mark, and another: not each is a reason to attach at once */
    assert_false(tl_attach_answered(&m, nonce[1], now_at + TL_SEC));
    nonce[1][15] ^= 4;
    assert_true(tl_attach_answered(&m, nonce[1], now_at + TL_ATTACH_AGAIN_APART));
}

/* --- asking --- */

static const uint8_t nonce[TL_CONTROL_NONCE_SIZE] = {1, 2, 3};

static bool ask(int peer, unsigned nth)
{
    return tl_introducers_ask(it, &nodes[peer].identity.id, nonce, nth);
}

static void a_peer_of_which_nothing_is_known_cannot_be_asked_for(void **state)
{
    (void)state;
    assert_false(ask(0, 0));
    assert_false(tl_introducers_can_ask(it, &nodes[0].identity.id));
}

static void the_peer_itself_and_those_that_it_names_are_asked(void **state)
{
    (void)state;
    tl_whereabouts where = {.nat = TL_CONTROL_NAT_PUBLIC,
                            .n_addrs = 1,
                            .addrs = {nodes[0].addr},
                            .n_introducers = 2,
                            .introducers = {name_of(1), name_of(2)}};
    tl_introducers_know(it, &nodes[0].identity.id, &where);
    assert_true(ask(0, 0));
    const tl_control *c = &nodes[0].last_intro;
    assert_int_equal(nodes[0].intros + nodes[1].intros + nodes[2].intros, 3);
    assert_memory_equal(c->introducer, nodes[0].identity.id.key, 32);
    assert_memory_equal(c->target, nodes[0].identity.id.key, 32);
    assert_memory_equal(c->nonce, nonce, sizeof nonce);
    assert_true(tl_addr_eq(&c->addr, &seen_as));
    assert_memory_equal(nodes[1].last_intro.introducer, nodes[1].identity.id.key, 32);
    assert_memory_equal(nodes[1].last_intro.target, nodes[0].identity.id.key, 32);
}

static void at_most_four_are_asked_at_once_and_others_the_next_time(void **state)
{
    (void)state;
    tl_whereabouts where = {.nat = TL_CONTROL_NAT_CONE, .n_introducers = 8};
    for (int i = 0; i < 8; i++)
        where.introducers[i] = name_of(i + 1);
    tl_introducers_know(it, &nodes[0].identity.id, &where);
    unsigned asked = 0;
    assert_true(ask(0, 0));
    for (int i = 1; i <= 8; i++)
        asked += nodes[i].intros;
    assert_int_equal(asked, TL_INTRODUCTION_ASKED);
    assert_true(ask(0, 1));
    run_for(100 * TL_MS); /* the second time, each tells first how it sees us */
    for (int i = 1; i <= 8; i++)
        assert_int_equal(nodes[i].intros, 1);
}

static void behind_a_symmetric_nat_the_introducer_is_asked_first_how_it_sees_us(void **state)
{
    (void)state;
    facts.mapping = TL_MAPPING_ADDRESS_AND_PORT_DEPENDENT;
    seen_as = addr_of("198.18.77.1:6000");
    tl_whereabouts where = {.n_introducers = 1, .introducers = {name_of(1)}};
    tl_introducers_know(it, &nodes[0].identity.id, &where);
    assert_true(ask(0, 0));
    assert_int_equal(nodes[1].intros, 0);
    run_for(100 * TL_MS);
    assert_int_equal(nodes[1].intros, 1);
    assert_true(tl_addr_eq(&nodes[1].last_intro.addr, &seen_as));
    assert_int_equal(nodes[1].last_intro.nat, TL_CONTROL_NAT_SYMMETRIC);
}

static void those_that_the_peer_told_over_its_connection_and_our_own_are_asked_too(void **state)
{
    (void)state;
    char hex[TL_NODE_ID_HEX + 1], text[300];
    tl_node_id_write(hex, &nodes[1].identity.id);
    snprintf(text, sizeof text,
             "{\"introducedBy\":[{\"nodeID\":\"%s\",\"address\":\"198.18.2.1:4000\"}]}", hex);
    (void)peer_says(0, text);
    give(5, 1);
    run_for(TL_SEC);
    assert_true(ask(0, 0));
    assert_int_equal(nodes[1].intros, 1);
    assert_int_equal(nodes[5].intros, 1);
}

static void nothing_is_sent_where_no_peer_may_name(void **state)
{
    (void)state;
    static const char *const bad[] = {"127.0.0.1:4000", "10.0.0.1:4000",    "192.168.1.1:53",
                                      "224.0.0.1:4000", "198.18.99.1:3478", "198.18.77.1:5000",
                                      "100.64.0.1:9",   "[fe80::1]:9"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        tl_whereabouts where = {.nat = TL_CONTROL_NAT_PUBLIC, .n_addrs = 1};
        where.addrs[0] = addr_of(bad[i]);
        tl_introducers_know(it, &nodes[0].identity.id, &where);
        assert_false(ask(0, 0));
        tl_relayer_name name = {nodes[0].identity.id, where.addrs[0]};
        tl_introducers_found(it, &name);
        tl_introducers_give(it, &name, 1);
        run_for(TL_SEC);
    }
    tl_relayer_name me = {own.id, nodes[3].addr};
    tl_introducers_give(it, &me, 1);
    run_for(TL_SEC);
    assert_int_equal(strays + nodes[3].attaches, 0);
}

static void what_is_sent_is_bounded_for_all_wishes_together(void **state)
{
    (void)state;
    unsigned sent = 0;
    for (int i = 0; i < 600; i++) {
        tl_identity id;
        tl_whereabouts where = {.n_introducers = 4,
                                .introducers = {name_of(1), name_of(2), name_of(3), name_of(4)}};
        assert_int_equal(tl_identity_new(&rng, &id), TL_OK);
        tl_introducers_know(it, &id.id, &where);
        (void)tl_introducers_ask(it, &id.id, nonce, 0);
        now_at += TL_SEC / 100;
    }
    for (int i = 0; i < NODES; i++)
        sent += nodes[i].intros + nodes[i].attaches;
    assert_true(sent >= 32 && sent <= 32 + 16 * 6 + 1);
    assert_true(tl_introducers_counters_of(it)->limited);
}

static void names_of_introducers_are_read_strictly(void **state)
{
    (void)state;
    tl_relayer_name name;
    char hex[TL_NODE_ID_HEX + 1], text[200];
    tl_node_id_write(hex, &nodes[0].identity.id);
    static const char *const good[] = {"198.18.1.1:4000", "[2001:db8::1]:1"};
    static const char *const bad[] = {"", "198.18.1.1", "198.18.1.1:0", "name:4000",
                                      "2001:db8::1:5"};
    for (size_t i = 0; i < 2; i++) {
        snprintf(text, sizeof text, "%s@%s", hex, good[i]);
        assert_int_equal(tl_introducer_parse(tl_slice_str(text), &name), TL_OK);
    }
    for (size_t i = 0; i < 5; i++) {
        snprintf(text, sizeof text, "%s@%s", hex, bad[i]);
        assert_int_equal(tl_introducer_parse(tl_slice_str(text), &name), TL_ERR_PROTO);
    }
    snprintf(text, sizeof text, "%.63s@198.18.1.1:4000", hex);
    assert_int_equal(tl_introducer_parse(tl_slice_str(text), &name), TL_ERR_PROTO);
    assert_int_equal(tl_introducer_parse(tl_slice_str(hex), &name), TL_ERR_PROTO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(all_of_the_setting_are_attached_to_every_25_seconds),
        TEST(one_of_the_setting_that_is_silent_is_asked_again_after_pauses_that_grow),
        TEST(who_is_reached_by_strangers_attaches_to_nobody),
        TEST(two_of_those_that_are_found_are_kept),
        TEST(a_silent_address_that_peers_name_gets_few_datagrams),
        TEST(many_silent_addresses_are_tried_one_a_minute),
        TEST(one_that_served_is_tried_again),
        TEST(a_doubt_attaches_anew_at_most_once_in_a_second),
        TEST(who_asks_for_a_proof_gets_it_at_once_and_once),
        TEST(tries_of_one_question_have_nonces_of_their_own),
        TEST(a_peer_of_which_nothing_is_known_cannot_be_asked_for),
        TEST(the_peer_itself_and_those_that_it_names_are_asked),
        TEST(at_most_four_are_asked_at_once_and_others_the_next_time),
        TEST(behind_a_symmetric_nat_the_introducer_is_asked_first_how_it_sees_us),
        TEST(those_that_the_peer_told_over_its_connection_and_our_own_are_asked_too),
        TEST(nothing_is_sent_where_no_peer_may_name),
        TEST(what_is_sent_is_bounded_for_all_wishes_together),
        TEST(names_of_introducers_are_read_strictly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
