#include "peer/peer_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static tl_node_id id_of(unsigned i)
{
    tl_node_id id = {{0}};
    memcpy(id.key, &i, sizeof i);
    return id;
}

static bool describe(tl_peer *p, const char *name, const char *capabilities)
{
    json_t *o = NULL;
    assert_int_equal(tl_json_parse(tl_slice_str(capabilities), 16, &o, NULL), TL_OK);
    bool changed = tl_peer_describe(p, name, o);
    json_decref(o);
    return changed;
}

static void a_peer_is_what_it_says_of_itself(void **state)
{
    (void)state;
    tl_peer_table t = {0};
    tl_node_id id = id_of(1);
    tl_peer *p = tl_peer_table_get(&t, &id);
    assert_true(describe(
        p, "gpu",
        "{\"hardware\":{\"tier\":1},\"loadedModels\":[\"a\",\"b\"],\"isAvailable\":true}"));
    assert_string_equal(p->name, "gpu");
    assert_int_equal(p->tier, 1);
    assert_true(p->available && tl_peer_serves(p, "a") && tl_peer_serves(p, "b"));
    assert_false(tl_peer_serves(p, "c"));
    assert_false(describe(p, "gpu", "{\"loadedModels\":[\"a\",\"b\"]}"));
    assert_true(describe(p, "gpu", "{\"loadedModels\":[\"b\"]}"));
    assert_false(tl_peer_serves(p, "a"));
    assert_ptr_equal(tl_peer_table_get(&t, &id), p);
    tl_peer_table_clear(&t);
}

static void bids_are_those_that_were_described_last(void **state)
{
    (void)state;
    tl_peer_table t = {0};
    tl_node_id id = id_of(1);
    tl_peer *p = tl_peer_table_get(&t, &id);
    describe(p, NULL,
             "{\"loadedModels\":[\"m\"],\"bids\":[{\"model\":\"m\",\"microPerKToken\":40,"
             "\"version\":3}]}");
    assert_int_equal(tl_bids_find(&p->bids, "m")->price, 40);
    assert_null(tl_bids_find(&p->bids, "n"));
    describe(p, NULL, "{\"loadedModels\":[\"m\"]}"); /* it has become free, or tells no price */
    assert_null(tl_bids_find(&p->bids, "m"));
    tl_peer_table_clear(&t);
}

static void nonsense_in_capabilities_is_left_out(void **state)
{
    (void)state;
    tl_peer_table t = {0};
    tl_node_id id = id_of(1);
    tl_peer *p = tl_peer_table_get(&t, &id);
    describe(
        p, "a\nb\x1b[2J",
        "{\"hardware\":3,\"loadedModels\":[1,\"\",null,\"ok\",[\"x\"]],\"isAvailable\":\"yes\"}");
    assert_string_equal(p->name, "ab[2J");
    assert_int_equal(p->n_models, 1);
    assert_true(tl_peer_serves(p, "ok"));
    describe(p, NULL, "{\"hardware\":{\"tier\":9},\"loadedModels\":\"ok\"}");
    assert_int_equal(p->tier, 4);
    assert_true(tl_peer_serves(p, "ok"));
    tl_peer_table_clear(&t);
}

static void a_pause_counts_only_where_no_questions_are_taken(void **state)
{
    (void)state;
    tl_peer_table t = {0};
    tl_node_id id = id_of(1);
    tl_peer *p = tl_peer_table_get(&t, &id);
    describe(p, NULL, "{\"isAvailable\":true,\"paused\":true}");
    assert_false(p->paused);
    describe(p, NULL, "{\"isAvailable\":false,\"paused\":true}");
    assert_true(p->paused && !p->available);
    describe(p, NULL, "{\"isAvailable\":false,\"paused\":1}");
    assert_false(p->paused || p->available);
    tl_peer_table_clear(&t);
}

static void a_long_name_is_cut_between_characters(void **state)
{
    (void)state;
    tl_peer_table t = {0};
    tl_node_id id = id_of(1);
    tl_peer *p = tl_peer_table_get(&t, &id);
    char name[200] = "x";
    for (int i = 0; i < 60; i++)
        strcat(name, "\xc3\xa4");
    describe(p, name, "{}");
    assert_int_equal(strlen(p->name), 63);
    assert_true(tl_utf8_is(tl_slice_str(p->name)));
    tl_peer_table_clear(&t);
}

static void what_nobody_may_see_is_in_no_name(void **state)
{
    (void)state;
    tl_peer_table t = {0};
    tl_node_id id = id_of(1);
    tl_peer *p = tl_peer_table_get(&t, &id);
    describe(
        p,
        "a\x1b[31m\xE2\x80\xAE"
        "b\xC2\x9B\n\x7F\xE2\x81\xA6"
        "caf\xC3\xA9",
        "{\"loadedModels\":[\"good\",\"exe.gpj\xE2\x80\xAE\",\"a\\u001b[1m\",\"caf\xC3\xA9\"]}");
    assert_string_equal(p->name, "a[31mbcaf\xC3\xA9");
    assert_int_equal(p->n_models, 2);
    assert_string_equal(p->models[0], "good");
    assert_string_equal(p->models[1], "caf\xC3\xA9");
    tl_peer_table_clear(&t);
}

static void who_is_not_listed_in_a_round_is_forgotten_unless_connected(void **state)
{
    (void)state;
    tl_peer_table t = {0};
    tl_node_id ids[3] = {id_of(1), id_of(2), id_of(3)};
    for (int i = 0; i < 3; i++)
        (void)tl_peer_table_get(&t, &ids[i]);
    tl_peer_table_find(&t, &ids[1])->contact = (struct tl_contact *)&t;
    tl_peer_table_begin_round(&t);
    for (int i = 0; i < 3; i++)
        tl_peer_table_find(&t, &ids[i])->listed = true;
    tl_peer_table_find(&t, &ids[0])->round = t.round;
    tl_peer_table_end_round(&t);
    assert_true(tl_peer_table_find(&t, &ids[0])->listed);
    assert_false(tl_peer_table_find(&t, &ids[1])->listed);
    assert_null(tl_peer_table_find(&t, &ids[2]));
    tl_peer_table_clear(&t);
}

static void who_came_by_itself_during_a_round_is_not_listed_for_it(void **state)
{
    (void)state;
    tl_peer_table t = {0};
    tl_node_id id = id_of(1);
    tl_peer_table_begin_round(&t);
    tl_peer_table_get(&t, &id)->contact = (struct tl_contact *)&t;
    tl_peer_table_end_round(&t);
    assert_false(tl_peer_table_find(&t, &id)->listed);
    tl_peer_table_clear(&t);
}

static void who_left_is_forgotten_unless_connected(void **state)
{
    (void)state;
    tl_peer_table t = {0};
    tl_node_id ids[3] = {id_of(1), id_of(2), id_of(3)};
    for (int i = 0; i < 3; i++)
        tl_peer_table_get(&t, &ids[i])->listed = true;
    tl_peer_table_find(&t, &ids[1])->contact = (struct tl_contact *)&t;
    tl_peer_table_left(&t, &ids[0]);
    tl_peer_table_left(&t, &ids[0]); /* whom we do not know */
    tl_peer_table_left(&t, &ids[1]);
    assert_null(tl_peer_table_find(&t, &ids[0]));
    assert_false(tl_peer_table_find(&t, &ids[1])->listed);
    assert_true(tl_peer_table_find(&t, &ids[2])->listed);
    tl_peer_table_clear(&t);
}

static void a_full_table_makes_room_but_not_at_a_connected_peers_cost(void **state)
{
    (void)state;
    tl_peer_table t = {0};
    for (unsigned i = 0; i < TL_PEERS_MAX; i++) {
        tl_node_id id = id_of(i);
        tl_peer *p = tl_peer_table_get(&t, &id);
        if (i != 7)
            p->contact = (struct tl_contact *)&t;
    }
    tl_node_id more = id_of(TL_PEERS_MAX), seven = id_of(7), again = id_of(TL_PEERS_MAX + 1);
    tl_peer *p = tl_peer_table_get(&t, &more);
    assert_non_null(p);
    assert_null(tl_peer_table_find(&t, &seven));
    p->contact = (struct tl_contact *)&t;
    assert_null(tl_peer_table_get(&t, &again));
    assert_int_equal(tl_peer_table_count(&t), TL_PEERS_MAX);
    tl_peer_table_clear(&t);
}

/* A relay that leaves out the key of a node must not make us speak to it in clear. */
static void a_node_that_was_seen_with_its_key_stays_one_that_speaks_noise(void **state)
{
    (void)state;
    tl_peer_table t = {0};
    tl_node_id a = id_of(1), b = id_of(2), c = id_of(3);
    tl_peer *listed = tl_peer_table_get(&t, &a), *old = tl_peer_table_get(&t, &b);
    tl_peer *connected = tl_peer_table_get(&t, &c);
    tl_peer_is_listed_as(&t, listed, false);
    tl_peer_is_listed_as(&t, old, true);
    tl_peer_is_listed_as(&t, connected, true);
    tl_peer_has_key(&t, connected);
    tl_peer_is_listed_as(&t, listed, true);
    tl_peer_is_listed_as(&t, connected, true);
    assert_false(listed->in_clear || connected->in_clear);
    assert_true(old->in_clear);
    /* It is not forgotten with the node, nor for all that a relay can list. */
    tl_peer_table_begin_round(&t);
    tl_peer_table_end_round(&t);
    assert_null(tl_peer_table_find(&t, &c));
    for (unsigned i = 10; i < 10 + TL_PEER_KEYED_MAX + 1; i++) {
        tl_node_id id = id_of(i);
        tl_peer_is_listed_as(&t, tl_peer_table_get(&t, &id), false);
    }
    connected = tl_peer_table_get(&t, &c);
    tl_peer_is_listed_as(&t, connected, true);
    assert_false(connected->in_clear);
    tl_peer_table_clear(&t);
}

/* A relay invents so many nodes that the key of one is forgotten, and then hides it. */
static void once_a_key_was_forgotten_no_new_node_speaks_in_clear(void **state)
{
    (void)state;
    tl_peer_table t = {0};
    tl_node_id victim = id_of(1), old = id_of(2), newer = id_of(3), newest = id_of(4);
    tl_peer_is_listed_as(&t, tl_peer_table_get(&t, &victim), false);
    tl_peer_is_listed_as(&t, tl_peer_table_get(&t, &old), true);
    tl_peer_table_left(&t, &victim);
    for (unsigned i = 10; i < 10 + TL_PEER_KEYED_MAX - 1; i++) {
        tl_node_id id = id_of(i);
        tl_peer_is_listed_as(&t, tl_peer_table_get(&t, &id), false);
        tl_peer_table_left(&t, &id);
    }
    tl_peer *p = tl_peer_table_get(&t, &newer); /* all are remembered: it may be old */
    tl_peer_is_listed_as(&t, p, true);
    assert_true(p->in_clear);
    tl_node_id last = id_of(9);
    tl_peer_is_listed_as(&t, tl_peer_table_get(&t, &last), false); /* one too many */
    p = tl_peer_table_get(&t, &victim);
    tl_peer_is_listed_as(&t, p, true);
    assert_false(p->in_clear);
    p = tl_peer_table_get(&t, &newest);
    tl_peer_is_listed_as(&t, p, true);
    assert_false(p->in_clear);
    p = tl_peer_table_find(&t, &old); /* that it is old was known before */
    tl_peer_is_listed_as(&t, p, true);
    assert_true(p->in_clear);
    tl_peer_table_clear(&t);
}

static void nodes_of_the_old_protocol_are_counted_while_they_are_listed(void **state)
{
    (void)state;
    tl_peer_table t = {0};
    for (unsigned i = 0; i < 5; i++) {
        tl_node_id id = id_of(i);
        tl_peer *p = tl_peer_table_get(&t, &id);
        tl_peer_is_listed_as(&t, p, i < 3);
        p->listed = i != 0;
    }
    assert_int_equal(tl_peer_table_in_clear(&t), 2);
    tl_peer_table_clear(&t);
}

/* What a node says of relaying is read as far as it can be used. */
static void who_relays_and_who_is_relayed_is_read_from_capabilities(void **state)
{
    (void)state;
    tl_peer p = {.tier = 4};
    static const char id[] = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
    json_t *c = json_pack("{s:{s:[s,s,s,s], s:s, s:i}, s:[{s:s,s:s},{s:s,s:s},{s:s,s:s}]}", "relay",
                          "addresses", "198.51.100.7:4433", "nonsense", "[2001:db8::1]:4433",
                          "198.51.100.8:1", "for", "networks", "free", 0, "relayedBy", "nodeID",
                          "zz", "address", "198.51.100.7:4433", "nodeID", id, "address",
                          "198.51.100.9", "nodeID", id, "address", "198.51.100.9:7");
    assert_non_null(c);
    (void)tl_peer_describe(&p, NULL, c);
    assert_int_equal(p.relaying.n_addrs, 2);
    assert_int_equal(p.relaying.addrs[0].port, 4433);
    assert_int_equal(p.relaying.addrs[1].family, TL_ADDR_V6);
    assert_true(p.relaying.fellows_only && p.relaying.full);
    assert_int_equal(p.relaying.n_by, 1);
    assert_int_equal(p.relaying.by[0].addr.port, 7);
    json_decref(c);
    c = json_pack("{s:{s:[s]}}", "relay", "addresses", "198.51.100.7:4433");
    (void)tl_peer_describe(&p, NULL, c); /* for anybody, and with room, where it does not say */
    assert_true(p.relaying.n_addrs == 1 && !p.relaying.fellows_only && !p.relaying.full);
    assert_int_equal(p.relaying.n_by, 0);
    json_decref(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_peer_is_what_it_says_of_itself),
        cmocka_unit_test(bids_are_those_that_were_described_last),
        cmocka_unit_test(nonsense_in_capabilities_is_left_out),
        cmocka_unit_test(who_relays_and_who_is_relayed_is_read_from_capabilities),
        cmocka_unit_test(a_pause_counts_only_where_no_questions_are_taken),
        cmocka_unit_test(a_long_name_is_cut_between_characters),
        cmocka_unit_test(what_nobody_may_see_is_in_no_name),
        cmocka_unit_test(who_is_not_listed_in_a_round_is_forgotten_unless_connected),
        cmocka_unit_test(who_came_by_itself_during_a_round_is_not_listed_for_it),
        cmocka_unit_test(who_left_is_forgotten_unless_connected),
        cmocka_unit_test(a_node_that_was_seen_with_its_key_stays_one_that_speaks_noise),
        cmocka_unit_test(once_a_key_was_forgotten_no_new_node_speaks_in_clear),
        cmocka_unit_test(nodes_of_the_old_protocol_are_counted_while_they_are_listed),
        cmocka_unit_test(a_full_table_makes_room_but_not_at_a_connected_peers_cost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
