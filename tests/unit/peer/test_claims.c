/* What nodes say of their networks, and what this node says. */
#include "peer/claims.h"

#include "ptn/groupkey.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define NOW 1800000000

typedef struct {
    tl_identity self, authority;
    tl_networks *book;
    tl_membership *lab;
    tl_peer_table table;
    tl_peer *peer;
} scene;

static tl_identity from_byte(int byte)
{
    uint8_t seed[32];
    tl_identity identity;
    memset(seed, byte, sizeof seed);
    assert_int_equal(tl_identity_from_seed(seed, &identity), TL_OK);
    return identity;
}

static void scene_init(scene *s, tl_unix expires_at)
{
    json_t *own;
    assert_int_equal(tl_crypto_init(), TL_OK);
    *s = (scene){.self = from_byte(1), .authority = from_byte(2)};
    tl_cert wish = {.network = s->authority.id,
                    .node = s->self.id,
                    .issuer = s->self.id,
                    .issued_at = NOW,
                    .expires_at = expires_at};
    assert_int_equal(tl_cert_make(&wish, &s->authority, NULL, &own), TL_OK);
    assert_int_equal(tl_networks_new(&s->self.id, &s->book), TL_OK);
    assert_int_equal(tl_networks_add(s->book, &s->authority.id, "lab", &s->lab), TL_OK);
    assert_int_equal(tl_networks_set_certificate(s->book, s->lab, own), TL_PTN_OK);
    json_decref(own);
    s->peer = tl_peer_table_get(&s->table, &(tl_node_id){.key = {5}});
    assert_non_null(s->peer);
}

static void scene_clear(scene *s)
{
    tl_networks_free(s->book);
    tl_peer_table_clear(&s->table);
}

static void new_group_key(scene *s, int64_t version, uint8_t byte)
{
    json_t *object;
    tl_ptn_groupkey key = {.head.network = s->authority.id,
                           .head.issuer = s->self.id,
                           .head.version = version,
                           .head.issued_at = NOW};
    memset(key.key, byte, sizeof key.key);
    assert_int_equal(tl_ptn_groupkey_make(&key, &s->authority, NULL, &object), TL_OK);
    assert_int_equal(tl_ptn_take_groupkey(s->lab->ptn, object, NOW), TL_PTN_OK);
    json_decref(object);
    tl_networks_changed(s->book);
}

/* The peer is listed with this value of ptnIDs, which it takes. */
static void lists(scene *s, json_t *ptns)
{
    json_t *capabilities = json_pack("{s:o}", "ptnIDs", ptns);
    (void)tl_peer_describe(s->peer, NULL, capabilities);
    json_decref(capabilities);
}

static json_t *id_of(const scene *s)
{
    char hex[TL_NODE_ID_HEX + 1];
    tl_node_id_write(hex, &s->authority.id);
    return json_string(hex);
}

static json_t *tag_by(uint8_t byte, const tl_node_id *node, tl_unix at)
{
    uint8_t group[TL_HIDE_KEY], tag[TL_HIDE_TAG];
    char hex[2 * TL_HIDE_TAG + 1];
    tl_hide_key key;
    memset(group, byte, sizeof group);
    tl_hide_prepare(&key, group);
    tl_hide_tag(&key, node, at, tag);
    tl_hex_write(hex, tag, sizeof tag);
    return json_string(hex);
}

static bool claims_at(scene *s, tl_unix now)
{
    bool any = tl_claims_has(s->book, s->peer, NULL, now);
    assert_int_equal(any, tl_claims_has(s->book, s->peer, &s->lab->id, now));
    return any;
}

static void a_listed_network_is_claimed_in_both_forms(void **state)
{
    (void)state;
    scene s;
    scene_init(&s, TL_PTN_NO_END);
    assert_false(claims_at(&s, NOW));
    lists(&s, json_pack("[o]", id_of(&s)));
    assert_true(claims_at(&s, NOW));
    new_group_key(&s, 1, 7);
    assert_false(tl_claims_by_tag(s.book, s.peer, NULL, NOW));    /* who knows the ID can list it */
    assert_false(tl_claims_has(s.book, s.peer, &s.self.id, NOW)); /* another network */
    lists(&s, json_array());
    assert_false(claims_at(&s, NOW));
    lists(&s, json_pack("[{s:o, s:s}]", "ptnID", id_of(&s), "ptnName", "x"));
    assert_true(claims_at(&s, NOW));
    assert_false(tl_claims_has(NULL, s.peer, NULL, NOW));
    scene_clear(&s);
}

static void nonsense_in_the_list_hides_nothing_else_and_the_list_is_bounded(void **state)
{
    (void)state;
    scene s;
    scene_init(&s, TL_PTN_NO_END);
    lists(&s, json_pack("[s, i, n, s, o]", "", 7, "abc", id_of(&s)));
    assert_int_equal(s.peer->n_ptns, 1);
    assert_true(claims_at(&s, NOW));
    json_t *many = json_array();
    for (unsigned i = 0; i < TL_PEER_PTNS_MAX + 5; i++) {
        char hex[65];
        snprintf(hex, sizeof hex, "%064x", i);
        json_array_append_new(many, json_string(hex));
    }
    json_array_append_new(many, id_of(&s));
    lists(&s, many);
    assert_int_equal(s.peer->n_ptns, TL_PEER_PTNS_MAX);
    assert_false(claims_at(&s, NOW));
    scene_clear(&s);
}

static void a_tag_is_recognised_by_its_group_key_in_its_hour(void **state)
{
    (void)state;
    scene s;
    scene_init(&s, TL_PTN_NO_END);
    lists(&s, json_pack("[o]", tag_by(7, &s.peer->id, NOW)));
    assert_false(claims_at(&s, NOW)); /* no group key yet */
    new_group_key(&s, 1, 7);
    assert_true(claims_at(&s, NOW)); /* the book has changed: it is looked at again */
    assert_true(tl_claims_by_tag(s.book, s.peer, &s.lab->id, NOW));
    assert_true(claims_at(&s, NOW + TL_HIDE_HOUR));
    assert_false(claims_at(&s, NOW + 2 * TL_HIDE_HOUR));
    assert_true(claims_at(&s, NOW)); /* the clock was set back */
    lists(&s, json_pack("[o]", tag_by(7, &s.self.id, NOW)));
    assert_false(claims_at(&s, NOW)); /* copied from another node */
    lists(&s, json_pack("[o]", tag_by(8, &s.peer->id, NOW)));
    assert_false(claims_at(&s, NOW));
    new_group_key(&s, 2, 8);
    assert_true(claims_at(&s, NOW));
    lists(&s, json_pack("[o]", tag_by(7, &s.peer->id, NOW)));
    assert_true(claims_at(&s, NOW)); /* it has not heard of the new key */
    scene_clear(&s);
}

/* Who was revoked knows the older keys and the ptnID: neither makes a node that hides connect or speak. */
static void a_node_that_hides_recognises_the_newest_key_alone(void **state)
{
    (void)state;
    for (int hide = 0; hide < 2; hide++) {
        scene s;
        scene_init(&s, TL_PTN_NO_END);
        tl_networks_set_hide(s.book, hide);
        new_group_key(&s, 1, 7);
        lists(&s, json_pack("[o]", tag_by(7, &s.peer->id, NOW)));
        assert_true(claims_at(&s, NOW));
        new_group_key(&s, 2, 8); /* somebody was revoked */
        assert_int_equal(claims_at(&s, NOW), !hide);
        assert_int_equal(tl_claims_by_tag(s.book, s.peer, NULL, NOW), !hide);
        lists(&s, json_pack("[o]", id_of(&s)));
        assert_int_equal(claims_at(&s, NOW), !hide);
        lists(&s, json_pack("[o]", tag_by(8, &s.peer->id, NOW)));
        assert_true(claims_at(&s, NOW));
        lists(&s, json_pack("[o]", tag_by(7, &s.peer->id, NOW)));
        tl_networks_set_hide(s.book, !hide); /* the setting is followed at once */
        assert_int_equal(claims_at(&s, NOW), hide);
        scene_clear(&s);
    }
}

static void a_network_that_was_left_is_claimed_in_vain(void **state)
{
    (void)state;
    scene s;
    scene_init(&s, TL_PTN_NO_END);
    lists(&s, json_pack("[o]", id_of(&s)));
    assert_true(claims_at(&s, NOW));
    tl_networks_leave(s.book, s.lab);
    assert_false(claims_at(&s, NOW));
    scene_clear(&s);
}

enum { STRANGERS = 1000 };

/* Each shows as many tags as it may, and none is of ours. */
static void strangers_list(scene *s, size_t n)
{
    for (unsigned i = 0; i < n; i++) {
        tl_node_id id = {.key = {9, (uint8_t)i, (uint8_t)(i >> 8)}};
        tl_peer *p = tl_peer_table_get(&s->table, &id);
        json_t *tags = json_array();
        for (unsigned k = 0; k < TL_PEER_PTNS_MAX; k++) {
            char hex[65];
            snprintf(hex, sizeof hex, "%032x%032x", i + 1, k + 1);
            json_array_append_new(tags, json_string(hex));
        }
        json_t *capabilities = json_pack("{s:o}", "ptnIDs", tags);
        assert_non_null(p);
        assert_true(tl_peer_describe(p, NULL, capabilities));
        json_decref(capabilities);
    }
}

/* Asks of all strangers what they claim: it is nothing. */
static void look_at_strangers(scene *s, tl_unix now)
{
    for (tl_peer *p = s->table.peers; p; p = p->hh.next)
        if (p != s->peer)
            assert_false(tl_claims_has(s->book, p, NULL, now));
}

static void made_up_tags_take_a_bounded_part_of_each_turn_and_all_are_looked_at(void **state)
{
    (void)state;
    scene s;
    scene_init(&s, TL_PTN_NO_END);
    for (int i = 1; i <= 3; i++)
        new_group_key(&s, i, (uint8_t)i);
    size_t each = 1 + 3 * TL_HIDE_HOURS, per_turn = TL_CLAIMS_PER_TURN / each, turns = 1;
    strangers_list(&s, STRANGERS);
    lists(&s, json_pack("[o]", tag_by(3, &s.peer->id, NOW)));
    look_at_strangers(&s, NOW);
    assert_false(claims_at(&s, NOW)); /* not known yet */
    assert_true(s.table.looks.behind);
    assert_int_equal(s.table.looks.spent, per_turn * each);
    for (; !tl_claims_go_on(s.book, &s.table, NOW); turns++)
        assert_true(s.table.looks.behind && s.table.looks.spent <= TL_CLAIMS_PER_TURN);
    assert_int_equal(turns, STRANGERS / per_turn);
    assert_true(claims_at(&s, NOW));
    size_t spent = s.table.looks.spent;
    look_at_strangers(&s, NOW); /* what is known costs nothing */
    assert_int_equal(s.table.looks.spent, spent);
    assert_false(s.table.looks.behind);
    scene_clear(&s);
}

static void few_nodes_are_looked_at_at_once(void **state)
{
    (void)state;
    scene s;
    scene_init(&s, TL_PTN_NO_END);
    new_group_key(&s, 1, 7);
    strangers_list(&s, 100);
    lists(&s, json_pack("[o]", tag_by(7, &s.peer->id, NOW)));
    look_at_strangers(&s, NOW);
    assert_true(claims_at(&s, NOW));
    assert_int_equal(s.table.looks.spent, 101 * (1 + TL_HIDE_HOURS));
    assert_false(tl_claims_go_on(s.book, &s.table, NOW)); /* nothing was left out */
    assert_int_equal(s.table.looks.spent, 0);
    scene_clear(&s);
}

static void what_was_known_counts_until_there_is_time_to_look_again(void **state)
{
    (void)state;
    scene s;
    scene_init(&s, TL_PTN_NO_END);
    new_group_key(&s, 1, 7);
    strangers_list(&s, STRANGERS);
    lists(&s, json_pack("[o]", tag_by(7, &s.peer->id, NOW)));
    assert_true(claims_at(&s, NOW));
    look_at_strangers(&s, NOW);
    assert_true(claims_at(&s, NOW + 5 * TL_HIDE_HOUR)); /* another hour */
    new_group_key(&s, 2, 8);
    assert_true(claims_at(&s, NOW));
    tl_membership *other;
    assert_int_equal(tl_networks_add(s.book, &s.self.id, "other", &other), TL_OK);
    assert_false(claims_at(&s, NOW)); /* what was known is of other networks */
    while (!tl_claims_go_on(s.book, &s.table, NOW))
        ;
    assert_true(claims_at(&s, NOW));
    lists(&s, json_pack("[o]", tag_by(9, &s.peer->id, NOW))); /* it says something else */
    assert_false(claims_at(&s, NOW));
    scene_clear(&s);
}

static void own(scene *s, bool hide, tl_unix now, const json_t *expected, tl_unix until)
{
    tl_unix made_until;
    json_t *list = tl_claims_own(s->book, &s->self.id, hide, now, &made_until);
    assert_true(json_equal(list, expected));
    assert_true(made_until == until);
    json_decref(list);
}

static void this_node_lists_its_networks_or_its_tags(void **state)
{
    (void)state;
    scene s;
    scene_init(&s, NOW + 5 * TL_HIDE_HOUR);
    json_t *none = json_array(), *open = json_pack("[o]", id_of(&s));
    own(&s, false, NOW, open, NOW + 5 * TL_HIDE_HOUR + 1);
    own(&s, true, NOW, none, tl_hide_until(NOW)); /* never the ID for want of a key */
    new_group_key(&s, 1, 7);
    json_t *hidden = json_pack("[o]", tag_by(7, &s.self.id, NOW));
    own(&s, true, NOW, hidden, tl_hide_until(NOW));
    own(&s, false, NOW, open, NOW + 5 * TL_HIDE_HOUR + 1);
    own(&s, false, NOW + 5 * TL_HIDE_HOUR + 1, none, TL_PTN_NO_END); /* expired */
    json_decref(hidden);
    new_group_key(&s, 2, 8);
    hidden = json_pack("[o]", tag_by(8, &s.self.id, NOW));
    own(&s, true, NOW, hidden, tl_hide_until(NOW));
    tl_networks_leave(s.book, s.lab);
    own(&s, false, NOW, none, TL_PTN_NO_END);
    json_decref(hidden);
    json_decref(none);
    json_decref(open);
    scene_clear(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_listed_network_is_claimed_in_both_forms),
        cmocka_unit_test(nonsense_in_the_list_hides_nothing_else_and_the_list_is_bounded),
        cmocka_unit_test(a_tag_is_recognised_by_its_group_key_in_its_hour),
        cmocka_unit_test(a_node_that_hides_recognises_the_newest_key_alone),
        cmocka_unit_test(a_network_that_was_left_is_claimed_in_vain),
        cmocka_unit_test(made_up_tags_take_a_bounded_part_of_each_turn_and_all_are_looked_at),
        cmocka_unit_test(few_nodes_are_looked_at_at_once),
        cmocka_unit_test(what_was_known_counts_until_there_is_time_to_look_again),
        cmocka_unit_test(this_node_lists_its_networks_or_its_tags),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
