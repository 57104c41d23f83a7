/* Networks between nodes over time: renewing, promoting, leaving, prices. Node 0 made the
 * network. */
#include "members_scene.h"

#include "base/log.h"

#include <stdio.h>

/* --- renewing --- */

static void certificates_are_renewed_when_a_third_of_their_life_is_left(void **state)
{
    (void)state;
    scene_begin(2);
    found_lab();
    char *invite = invite_by(nodes[0], TL_ROLE_PROVIDER, 300);
    assert_int_equal(join(nodes[1], invite), 0);
    tl_unix first = lab(nodes[1])->cert.expires_at;
    run_for(190 * TL_SEC);
    assert_int_equal(lab(nodes[1])->cert.expires_at, first);
    run_for(15 * TL_SEC);
    assert_true(lab(nodes[1])->cert.expires_at > first);
    assert_int_equal(tl_authority_lifetime(&lab(nodes[1])->cert), 300);
    assert_int_equal(nodes[1]->events[TL_MEMBERSHIP_RENEWED], 1);
    run_for(3000 * TL_SEC);
    assert_true(may_ask(nodes[1], nodes[0]));
    assert_true(may_serve(nodes[0], nodes[1]));
    assert_int_equal(nodes[1]->events[TL_MEMBERSHIP_HAS_EXPIRED], 0);
    free(invite);
    scene_end();
}

static void any_admin_renews_and_not_only_the_one_that_invited(void **state)
{
    (void)state;
    scene_begin(3);
    found_lab();
    char *invite = invite_by(nodes[0], TL_ROLE_PROVIDER, 300);
    char *second = invite_by(nodes[0], TL_ROLE_ADMIN, 0);
    assert_int_equal(join(nodes[1], invite), 0);
    assert_int_equal(join(nodes[2], second), 0);
    cut_all(nodes[0]);
    nodes[0]->down = true;
    tl_members_on_present(nodes[1]->members);
    run_for(280 * TL_SEC);
    assert_true(lab(nodes[1])->cert.delegated);
    assert_true(tl_node_id_eq(&lab(nodes[1])->cert.issuer, &nodes[2]->identity.id));
    assert_true(may_ask(nodes[2], nodes[1]));
    free(invite);
    free(second);
    scene_end();
}

static void without_an_admin_a_certificate_ends_to_the_second_and_a_person_renews_it(void **state)
{
    (void)state;
    ask op;
    scene_begin(3);
    found_lab();
    char *invite = invite_by(nodes[0], TL_ROLE_PROVIDER, 300);
    assert_int_equal(join(nodes[1], invite), 0);
    tl_unix end = lab(nodes[1])->cert.expires_at;
    cut_all(nodes[0]);
    nodes[0]->down = true;
    run_for((tl_time)(end - wall()) * TL_SEC);
    assert_int_equal(state_of(nodes[1]), TL_MEMBERSHIP_VALID);
    tl_members_renew(nodes[1]->members, begin(&op), lab(nodes[1]), &nodes[1]->identity.id, -1);
    run_for(12 * TL_SEC);
    assert_true(op.done);
    assert_int_equal(op.op.refusal, TL_REFUSAL_AWAY);
    assert_int_equal(state_of(nodes[1]), TL_MEMBERSHIP_EXPIRED);
    assert_int_equal(nodes[1]->events[TL_MEMBERSHIP_HAS_EXPIRED], 1);
    /* once it has ended, an admin that comes back does not renew it by itself */
    nodes[0]->down = false;
    connect_nodes(nodes[0], nodes[1]);
    run_for(60 * TL_SEC);
    assert_int_equal(state_of(nodes[1]), TL_MEMBERSHIP_EXPIRED);
    assert_false(may_ask(nodes[0], nodes[1]));
    tl_members_renew(nodes[1]->members, begin(&op), lab(nodes[1]), &nodes[1]->identity.id, -1);
    assert_int_equal(op.op.refusal, TL_REFUSAL_DENIED);
    tl_members_renew(nodes[0]->members, begin(&op), lab(nodes[0]), &nodes[1]->identity.id, 600);
    settle();
    assert_int_equal(op.op.refusal, 0);
    assert_int_equal(state_of(nodes[1]), TL_MEMBERSHIP_VALID);
    assert_int_equal(tl_authority_lifetime(&lab(nodes[1])->cert), 600);
    assert_true(may_ask(nodes[0], nodes[1]));
    free(invite);
    scene_end();
}

static void a_member_asks_to_be_renewed_by_hand(void **state)
{
    (void)state;
    ask op;
    scene_begin(2);
    found_lab();
    char *invite = invite_by(nodes[0], TL_ROLE_CONSUMER, 3000);
    assert_int_equal(join(nodes[1], invite), 0);
    run_for(10 * TL_SEC);
    tl_unix before = lab(nodes[1])->cert.issued_at;
    tl_members_renew(nodes[1]->members, begin(&op), lab(nodes[1]), &nodes[1]->identity.id, -1);
    run_for(2 * TL_SEC);
    assert_true(op.done);
    assert_int_equal(op.op.refusal, 0);
    assert_true(op.op.cert.issued_at > before);
    tl_members_renew(nodes[1]->members, begin(&op), lab(nodes[1]), &nodes[1]->identity.id, 9999);
    assert_int_equal(op.op.refusal, TL_REFUSAL_NOT_ADMIN);
    free(invite);
    scene_end();
}

/* --- promoting --- */

static void a_promoted_member_invites_and_revokes_but_makes_no_admin(void **state)
{
    (void)state;
    scene_begin(5);
    all_join(TL_ROLE_PROVIDER);
    assert_int_equal(promote(nodes[1], nodes[2]), TL_REFUSAL_NOT_CA);
    assert_int_equal(promote(nodes[0], nodes[1]), TL_REFUSAL_NONE);
    assert_int_equal(lab(nodes[1])->cert.role, TL_ROLE_ADMIN);
    assert_int_equal(nodes[1]->events[TL_MEMBERSHIP_PROMOTED], 1);
    cut_all(nodes[0]);
    nodes[0]->down = true;
    char *invite = invite_by(nodes[1], TL_ROLE_CONSUMER, 0);
    assert_int_equal(join(nodes[4], invite), 0);
    assert_true(lab(nodes[4])->cert.delegated);
    assert_int_equal(promote(nodes[1], nodes[2]), TL_REFUSAL_NOT_CA);
    (void)revoke(nodes[1], nodes[3], TL_REFUSAL_NONE);
    connect_nodes(nodes[2], nodes[1]);
    connect_nodes(nodes[2], nodes[3]);
    assert_false(may_ask(nodes[2], nodes[3]));
    /* an admin that was made while the authority is away is known to it later */
    nodes[0]->down = false;
    connect_nodes(nodes[0], nodes[4]);
    assert_true(may_ask(nodes[0], nodes[4]));
    assert_true(is_out(nodes[0], nodes[3]));
    free(invite);
    scene_end();
}

static void a_member_that_was_away_gets_its_new_role_when_it_comes(void **state)
{
    (void)state;
    scene_begin(2);
    all_join(TL_ROLE_CONSUMER);
    cut_all(nodes[1]);
    nodes[1]->down = true;
    run_for(5 * TL_SEC);
    assert_int_equal(promote(nodes[0], nodes[1]), TL_REFUSAL_NONE);
    assert_int_equal(lab(nodes[1])->cert.role, TL_ROLE_CONSUMER);
    nodes[1]->down = false;
    connect_nodes(nodes[0], nodes[1]);
    assert_int_equal(lab(nodes[1])->cert.role, TL_ROLE_ADMIN);
    assert_true(may_serve(nodes[0], nodes[1]));
    scene_end();
}

static void nobody_is_promoted_who_was_never_met(void **state)
{
    (void)state;
    scene_begin(2);
    found_lab();
    assert_int_equal(promote(nodes[0], nodes[1]), TL_REFUSAL_NOT_FOUND);
    scene_end();
}

/* --- the roll --- */

static void admins_know_of_the_members_that_another_admitted(void **state)
{
    (void)state;
    scene_begin(6);
    all_join(TL_ROLE_CONSUMER);
    assert_int_equal(promote(nodes[0], nodes[1]), TL_REFUSAL_NONE);
    run_for(TL_SEC);
    assert_int_equal(lab(nodes[1])->n_members, 5); /* all but itself, though it met but one */
    /* who is admitted while the other is away is told at the next hello */
    cut_all(nodes[0]);
    nodes[0]->down = true;
    ask op;
    tl_members_leave(nodes[5]->members, begin(&op), lab(nodes[5]), false);
    settle();
    char *invite = invite_by(nodes[1], TL_ROLE_PROVIDER, 0);
    assert_int_equal(join(nodes[5], invite), 0);
    nodes[0]->down = false;
    cut_all(nodes[5]);
    nodes[5]->down = true;
    connect_nodes(nodes[0], nodes[1]);
    assert_int_equal(
        tl_networks_cert_of(nodes[0]->book, lab(nodes[0]), &nodes[5]->identity.id)->role,
        TL_ROLE_PROVIDER);
    free(invite);
    scene_end();
}

static size_t rolls;
static bool counts_rolls(const node *from, const node *to, const char *name, json_t *payload)
{
    (void)from, (void)to, (void)payload;
    rolls += strcmp(name, "ptnMembers") == 0;
    return true;
}

static void the_roll_is_no_business_of_other_members_and_nobody_adds_to_it(void **state)
{
    (void)state;
    scene_begin(3);
    all_join(TL_ROLE_PROVIDER);
    rolls = 0;
    on_the_way = counts_rolls;
    connect_nodes(nodes[1], nodes[2]);
    run_for(700 * TL_SEC);
    assert_int_equal(rolls, 0);
    json_t *payload = json_pack("{s:[O]}", "certificates", lab(nodes[0])->certificate);
    char hex[TL_NODE_ID_HEX + 1];
    tl_node_id_write(hex, &lab(nodes[0])->id);
    json_object_set_new(payload, "ptnID", json_string(hex));
    tl_networks_forget(nodes[1]->book, lab(nodes[1]), &nodes[0]->identity.id);
    tl_members_on_told(nodes[1]->members, &nodes[2]->identity.id, "ptnMembers", payload);
    assert_null(tl_networks_cert_of(nodes[1]->book, lab(nodes[1]), &nodes[0]->identity.id));
    json_decref(payload);
    scene_end();
}

/* --- leaving --- */

static void who_leaves_is_forgotten_and_may_come_back_by_invite(void **state)
{
    (void)state;
    ask op;
    scene_begin(3);
    all_join(TL_ROLE_PROVIDER);
    connect_nodes(nodes[1], nodes[2]);
    tl_members_leave(nodes[1]->members, begin(&op), lab(nodes[1]), false);
    settle();
    assert_int_equal(op.op.refusal, 0);
    assert_int_equal(state_of(nodes[1]), TL_MEMBERSHIP_LEFT);
    assert_false(may_ask(nodes[0], nodes[1]));
    assert_false(may_ask(nodes[2], nodes[1]));
    assert_int_equal(nodes[0]->events[TL_MEMBERSHIP_HAS_LEFT], 1);
    char *invite = invite_by(nodes[0], TL_ROLE_CONSUMER, 0);
    assert_int_equal(join(nodes[1], invite), 0);
    assert_int_equal(state_of(nodes[1]), TL_MEMBERSHIP_VALID);
    assert_true(may_ask(nodes[0], nodes[1]));
    free(invite);
    scene_end();
}

static void a_network_is_left_before_it_was_joined(void **state)
{
    (void)state;
    ask op, leaving;
    scene_begin(2);
    found_lab();
    char *invite = invite_by(nodes[0], TL_ROLE_CONSUMER, 0);
    nodes[0]->down = true;
    tl_members_join(nodes[1]->members, begin(&op), invite, "");
    run_for(5 * TL_SEC);
    assert_int_equal(state_of(nodes[1]), TL_MEMBERSHIP_JOINING);
    tl_members_leave(nodes[1]->members, begin(&leaving), lab(nodes[1]), false);
    settle();
    assert_true(op.done);
    assert_int_equal(op.op.refusal, TL_REFUSAL_NOT_FOUND);
    assert_int_equal(leaving.op.refusal, 0);
    assert_string_equal(nodes[1]->saved_invite, "");
    nodes[0]->down = false;
    run_for(100 * TL_SEC);
    assert_int_equal(tl_networks_count(nodes[1]->book), 0);
    assert_int_equal(join(nodes[1], invite), 0); /* the invite is good still */
    free(invite);
    scene_end();
}

/* A node that left, and whose program was changed, shows the certificate that it had. */
static void show_again(node *to, const node *from, const json_t *certificate)
{
    char hex[TL_NODE_ID_HEX + 1];
    tl_node_id_write(hex, &lab(to)->id);
    json_t *hello =
        json_pack("{s:[{s:s, s:O, s:i, s:s, s:i, s:i}]}", "networks", "ptnID", hex, "certificate",
                  certificate, "sequence", 0, "revoked", "00000000000000000000000000000000",
                  "priceVersion", 0, "keyVersion", 0);
    tl_members_on_told(to->members, &from->identity.id, "ptnHello", hello);
    json_decref(hello);
    settle();
}

static void who_left_is_known_over_a_restart_until_it_is_invited_anew(void **state)
{
    (void)state;
    ask op;
    scene_begin(3);
    all_join(TL_ROLE_PROVIDER);
    connect_nodes(nodes[1], nodes[2]);
    json_t *certificate = json_deep_copy(lab(nodes[1])->certificate);
    tl_members_leave(nodes[1]->members, begin(&op), lab(nodes[1]), false);
    settle();
    for (size_t i = 0; i < 3; i += 2) { /* the admin, and another member */
        restart(nodes[i]);
        connect_nodes(nodes[i], nodes[1]);
        show_again(nodes[i], nodes[1], certificate);
        assert_false(may_ask(nodes[i], nodes[1]));
    }
    json_decref(certificate);
    run_for(TL_SEC);
    char *invite = invite_by(nodes[0], TL_ROLE_PROVIDER, 0);
    assert_int_equal(join(nodes[1], invite), TL_REFUSAL_NONE);
    free(invite);
    assert_true(may_ask(nodes[0], nodes[1]));
    scene_end();
}

static void the_authority_is_not_left_by_mistake(void **state)
{
    (void)state;
    ask op;
    scene_begin(1);
    found_lab();
    tl_members_leave(nodes[0]->members, begin(&op), lab(nodes[0]), false);
    assert_int_equal(op.op.refusal, TL_REFUSAL_INVALID);
    assert_true(lab(nodes[0])->has_ca);
    tl_members_leave(nodes[0]->members, begin(&op), lab(nodes[0]), true);
    settle();
    assert_int_equal(op.op.refusal, 0);
    assert_false(lab(nodes[0])->has_ca);
    scene_end();
}

/* --- prices, keys --- */

static void a_price_reaches_all_members_and_only_admins_set_it(void **state)
{
    (void)state;
    ask op;
    int64_t version;
    scene_begin(4);
    all_join(TL_ROLE_PROVIDER);
    tl_members_price(nodes[1]->members, begin(&op), lab(nodes[1]), 7);
    assert_int_equal(op.op.refusal, TL_REFUSAL_NOT_ADMIN);
    tl_members_price(nodes[0]->members, begin(&op), lab(nodes[0]), -7);
    assert_int_equal(op.op.refusal, TL_REFUSAL_INVALID);
    tl_members_price(nodes[0]->members, begin(&op), lab(nodes[0]), 1500);
    settle();
    assert_int_equal(op.op.refusal, 0);
    assert_int_equal(op.op.number, 1);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(tl_ptn_price_of(lab(nodes[i])->ptn, &version), 1500);
        assert_int_equal(version, 1);
    }
    cut_all(nodes[3]);
    tl_members_price(nodes[0]->members, begin(&op), lab(nodes[0]), 2500);
    settle();
    connect_nodes(nodes[3], nodes[2]); /* from a member that is no admin */
    assert_int_equal(tl_ptn_price_of(lab(nodes[3])->ptn, NULL), 2500);
    scene_end();
}

static void an_api_key_is_random_and_of_one_form(void **state)
{
    (void)state;
    ask op;
    char first[TL_NETWORK_KEY_MAX + 1];
    scene_begin(1);
    found_lab();
    tl_members_new_api_key(nodes[0]->members, begin(&op), lab(nodes[0]));
    settle();
    assert_int_equal(op.op.refusal, 0);
    snprintf(first, sizeof first, "%s", lab(nodes[0])->api_key);
    assert_int_equal(strlen(first), 46);
    assert_memory_equal(first, "tl-", 3);
    tl_members_new_api_key(nodes[0]->members, begin(&op), lab(nodes[0]));
    settle();
    assert_string_not_equal(first, lab(nodes[0])->api_key);
    scene_end();
}

static void the_authority_goes_on_at_a_new_machine_with_its_key(void **state)
{
    (void)state;
    ask op;
    scene_begin(4);
    found_lab();
    char *invite = invite_by(nodes[0], TL_ROLE_CONSUMER, 0);
    assert_int_equal(join(nodes[1], invite), 0);
    (void)revoke(nodes[0], nodes[3], TL_REFUSAL_NONE);
    tl_membership *n = lab(nodes[0]);
    tl_members_import(nodes[2]->members, begin(&op), &n->ca, "lab", tl_ptn_list(n->ptn), NULL);
    settle();
    assert_int_equal(op.op.refusal, 0);
    assert_int_equal(lab(nodes[2])->cert.role, TL_ROLE_ADMIN);
    assert_true(is_out(nodes[2], nodes[3]));
    cut_all(nodes[0]);
    nodes[0]->down = true;
    connect_nodes(nodes[1], nodes[2]);
    assert_true(may_ask(nodes[2], nodes[1]));
    assert_int_equal(promote(nodes[2], nodes[1]), TL_REFUSAL_NONE);
    assert_int_equal(lab(nodes[1])->cert.role, TL_ROLE_ADMIN);
    free(invite);
    scene_end();
}

/* --- clocks, staleness --- */

static void clocks_an_hour_off_hinder_nothing(void **state)
{
    (void)state;
    for (int off = -3600; off <= 3600; off += 7200) {
        scene_begin(3);
        nodes[1]->clock_off = off;
        found_lab();
        for (size_t i = 1; i < 3; i++) {
            char *invite = invite_by(nodes[0], TL_ROLE_PROVIDER, 86400);
            assert_int_equal(join(nodes[i], invite), 0);
            free(invite);
        }
        connect_nodes(nodes[1], nodes[2]);
        assert_true(may_ask(nodes[1], nodes[2]));
        assert_true(may_ask(nodes[2], nodes[1]));
        (void)revoke(nodes[0], nodes[2], TL_REFUSAL_NONE);
        assert_true(is_out(nodes[1], nodes[2]));
        scene_end();
    }
}

static void an_admin_that_is_met_keeps_a_list_from_becoming_too_old(void **state)
{
    (void)state;
    scene_begin(3);
    all_join(TL_ROLE_PROVIDER);
    tl_networks_set_max_age(nodes[1]->book, 1800);
    connect_nodes(nodes[1], nodes[2]);
    run_for(7200 * TL_SEC);
    connect_nodes(nodes[1], nodes[2]);
    assert_true(may_ask(nodes[1], nodes[2]));
    cut_all(nodes[0]);
    nodes[0]->down = true;
    run_for(1900 * TL_SEC);
    connect_nodes(nodes[1], nodes[2]);
    assert_false(may_ask(nodes[1], nodes[2]));
    assert_true(may_serve(nodes[1], nodes[2]));
    nodes[0]->down = false;
    connect_nodes(nodes[0], nodes[1]);
    assert_true(may_ask(nodes[1], nodes[2]));
    scene_end();
}

static void an_admin_signs_a_list_anew_once_a_day(void **state)
{
    (void)state;
    scene_begin(2);
    all_join(TL_ROLE_PROVIDER);
    tl_node_id nobody = nodes[1]->identity.id;
    ask op;
    nobody.key[3] ^= 1;
    tl_members_revoke(nodes[0]->members, begin(&op), lab(nodes[0]), &nobody, false);
    settle();
    tl_unix at = tl_ptn_listed_at(lab(nodes[0])->ptn);
    run_for(86000 * TL_SEC);
    assert_int_equal(tl_ptn_listed_at(lab(nodes[1])->ptn), at);
    run_for(600 * TL_SEC);
    assert_true(tl_ptn_listed_at(lab(nodes[1])->ptn) > at);
    assert_int_equal(tl_ptn_sequence(lab(nodes[1])->ptn), 2);
    scene_end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(admins_know_of_the_members_that_another_admitted),
        cmocka_unit_test(the_roll_is_no_business_of_other_members_and_nobody_adds_to_it),
        cmocka_unit_test(certificates_are_renewed_when_a_third_of_their_life_is_left),
        cmocka_unit_test(any_admin_renews_and_not_only_the_one_that_invited),
        cmocka_unit_test(without_an_admin_a_certificate_ends_to_the_second_and_a_person_renews_it),
        cmocka_unit_test(a_member_asks_to_be_renewed_by_hand),
        cmocka_unit_test(a_promoted_member_invites_and_revokes_but_makes_no_admin),
        cmocka_unit_test(a_member_that_was_away_gets_its_new_role_when_it_comes),
        cmocka_unit_test(nobody_is_promoted_who_was_never_met),
        cmocka_unit_test(who_leaves_is_forgotten_and_may_come_back_by_invite),
        cmocka_unit_test(a_network_is_left_before_it_was_joined),
        cmocka_unit_test(who_left_is_known_over_a_restart_until_it_is_invited_anew),
        cmocka_unit_test(the_authority_is_not_left_by_mistake),
        cmocka_unit_test(a_price_reaches_all_members_and_only_admins_set_it),
        cmocka_unit_test(an_api_key_is_random_and_of_one_form),
        cmocka_unit_test(the_authority_goes_on_at_a_new_machine_with_its_key),
        cmocka_unit_test(clocks_an_hour_off_hinder_nothing),
        cmocka_unit_test(an_admin_that_is_met_keeps_a_list_from_becoming_too_old),
        cmocka_unit_test(an_admin_signs_a_list_anew_once_a_day),
    };
    tl_log_set_level(TL_LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
