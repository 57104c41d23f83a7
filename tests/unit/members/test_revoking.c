/* Networks between nodes: who is revoked is out, everywhere and for good. Node 0 made the network. */
#include "members_scene.h"

#include "base/log.h"

static void a_revoked_node_is_out_at_every_connected_member_at_once(void **state)
{
    (void)state;
    scene_begin(5);
    all_join(TL_ROLE_PROVIDER);
    connect_nodes(nodes[1], nodes[2]);
    connect_nodes(nodes[1], nodes[3]);
    assert_true(may_ask(nodes[1], nodes[3]));
    assert_true(may_serve(nodes[1], nodes[3]));
    assert_int_equal(revoke(nodes[0], nodes[3], TL_REFUSAL_NONE), 4); /* the revoked one, too */
    for (size_t i = 0; i < 5; i++)
        assert_true(is_out(nodes[i], nodes[3]));
    assert_false(may_ask(nodes[1], nodes[3]));
    assert_false(may_serve(nodes[1], nodes[3]));
    assert_true(may_ask(nodes[1], nodes[2]));
    /* each ended what it had with the node, and the node knows that it is out */
    assert_int_equal(nodes[1]->revoked, 1);
    assert_true(tl_node_id_eq(&nodes[1]->last_revoked, &nodes[3]->identity.id));
    assert_int_equal(state_of(nodes[3]), TL_MEMBERSHIP_REVOKED);
    assert_int_equal(nodes[3]->events[TL_MEMBERSHIP_WAS_REVOKED], 1);
    scene_end();
}

static void members_that_are_present_are_dialled_and_told_within_five_seconds(void **state)
{
    (void)state;
    scene_begin(60);
    all_join(TL_ROLE_PROVIDER);
    for (size_t i = 0; i < 60; i++)
        cut_all(nodes[i]);
    run_for(TL_SEC);
    for (size_t i = 0; i < 60; i++)
        cut_all(nodes[i]);
    nodes[59]->down = true;
    (void)revoke(nodes[0], nodes[7], TL_REFUSAL_NONE);
    run_for(5 * TL_SEC);
    for (size_t i = 0; i < 59; i++)
        assert_true(is_out(nodes[i], nodes[7]));
    assert_int_equal(state_of(nodes[7]), TL_MEMBERSHIP_REVOKED); /* it is told, too */
    assert_false(is_out(nodes[59], nodes[7]));
    nodes[59]->down = false; /* it hears of it from any member */
    nodes[0]->down = true;
    cut_all(nodes[0]);
    connect_nodes(nodes[59], nodes[30]);
    assert_true(is_out(nodes[59], nodes[7]));
    scene_end();
}

static void a_new_invite_does_not_bring_the_revoked_back(void **state)
{
    (void)state;
    scene_begin(3);
    all_join(TL_ROLE_PROVIDER);
    char *before = invite_by(nodes[0], TL_ROLE_PROVIDER, 0);
    (void)revoke(nodes[0], nodes[1], TL_REFUSAL_NONE);
    char *after = invite_by(nodes[0], TL_ROLE_PROVIDER, 0);
    assert_int_equal(join(nodes[1], before), TL_REFUSAL_REVOKED);
    restart(nodes[1]); /* also where it has forgotten that it is */
    json_decref(nodes[1]->saved_lists);
    nodes[1]->saved_lists = NULL;
    restart(nodes[1]);
    assert_int_equal(join(nodes[1], after), TL_REFUSAL_REVOKED);
    assert_int_equal(join(nodes[2], after), TL_REFUSAL_NONE);
    free(before);
    free(after);
    scene_end();
}

static void revocations_survive_a_restart(void **state)
{
    (void)state;
    scene_begin(3);
    all_join(TL_ROLE_PROVIDER);
    (void)revoke(nodes[0], nodes[1], TL_REFUSAL_NONE);
    restart(nodes[0]);
    restart(nodes[2]);
    assert_true(is_out(nodes[0], nodes[1]));
    assert_true(is_out(nodes[2], nodes[1]));
    connect_nodes(nodes[1], nodes[2]);
    assert_false(may_ask(nodes[2], nodes[1]));
    scene_end();
}

/* A store that was set back: its node takes the newer list before it is believed again. */
static void a_node_whose_store_was_set_back_takes_the_newer_list_from_any_member(void **state)
{
    (void)state;
    scene_begin(4);
    all_join(TL_ROLE_PROVIDER);
    (void)revoke(nodes[0], nodes[3], TL_REFUSAL_NONE);
    json_decref(nodes[0]->saved_lists);
    nodes[0]->saved_lists = json_array();
    restart(nodes[0]);
    assert_false(is_out(nodes[0], nodes[3]));
    connect_nodes(nodes[0], nodes[2]);
    assert_true(is_out(nodes[0], nodes[3]));
    (void)revoke(nodes[0], nodes[1], TL_REFUSAL_NONE); /* with a sequence that all take */
    assert_true(is_out(nodes[2], nodes[1]));
    assert_true(is_out(nodes[2], nodes[3]));
    scene_end();
}

static void an_old_list_is_refused_and_counted_and_its_holder_gets_the_new_one(void **state)
{
    (void)state;
    scene_begin(3);
    all_join(TL_ROLE_PROVIDER);
    (void)revoke(nodes[0], nodes[1], TL_REFUSAL_NONE);
    json_t *old = json_deep_copy(tl_ptn_list(lab(nodes[2])->ptn));
    run_for(2 * TL_SEC);
    char *invite = invite_by(nodes[0], TL_ROLE_CONSUMER, 0);
    free(invite);
    ask op;
    tl_node_id other = nodes[1]->identity.id;
    other.key[0] ^= 1;
    tl_members_revoke(nodes[0]->members, begin(&op), lab(nodes[0]), &other, false);
    settle();
    assert_int_equal(tl_ptn_sequence(lab(nodes[2])->ptn), 2);
    uint64_t before = tl_members_counters_of(nodes[0]->members)->old_lists;
    json_t *payload = json_pack("{s:o, s:s, s:i}", "list", old, "revoked",
                                "00000000000000000000000000000000", "sequence", 1);
    size_t told = nodes[0]->told;
    tl_members_on_told(nodes[0]->members, &nodes[2]->identity.id, "ptnList", payload);
    assert_int_equal(tl_members_counters_of(nodes[0]->members)->old_lists, before + 1);
    assert_int_equal(tl_ptn_sequence(lab(nodes[0])->ptn), 2);
    (void)told;
    json_decref(payload);
    scene_end();
}

/* Two admins, each of whom has not heard of what the other does. */
static void two_admins_that_revoke_at_once_agree_in_the_end(void **state)
{
    (void)state;
    scene_begin(5);
    all_join(TL_ROLE_PROVIDER);
    assert_int_equal(promote(nodes[0], nodes[1]), TL_REFUSAL_NONE);
    for (size_t i = 0; i < 5; i++)
        cut_all(nodes[i]);
    for (size_t i = 0; i < 5; i++)
        nodes[i]->down = true;
    (void)revoke(nodes[0], nodes[2], TL_REFUSAL_NONE);
    (void)revoke(nodes[1], nodes[3], TL_REFUSAL_NONE);
    assert_int_equal(tl_ptn_sequence(lab(nodes[0])->ptn), tl_ptn_sequence(lab(nodes[1])->ptn));
    for (size_t i = 0; i < 5; i++)
        nodes[i]->down = false;
    /* a member hears of both, and passes both on */
    connect_nodes(nodes[4], nodes[0]);
    connect_nodes(nodes[4], nodes[1]);
    for (size_t i = 0; i < 5; i += i == 1 ? 3 : 1) {
        assert_true(is_out(nodes[i], nodes[2]));
        assert_true(is_out(nodes[i], nodes[3]));
    }
    restart(nodes[4]);
    assert_true(is_out(nodes[4], nodes[2]));
    assert_true(is_out(nodes[4], nodes[3]));
    connect_nodes(nodes[4], nodes[0]);
    run_for(10 * TL_SEC); /* an admin signs one list of all */
    assert_int_equal(tl_ptn_list_count(lab(nodes[0])->ptn), 1);
    assert_int_equal(tl_ptn_list_count(lab(nodes[4])->ptn), 1);
    assert_int_equal(tl_ptn_sequence(lab(nodes[4])->ptn), tl_ptn_sequence(lab(nodes[0])->ptn));
    scene_end();
}

static bool is_disputed(const node *a)
{
    return tl_membership_is_disputed(lab(a));
}

/* Nodes 1 and 2 are admins; 3 hears of the one's list first, 4 of the other's. */
static void two_admins_that_revoke_each_other_are_told_of_and_the_authority_ends_it(void **state)
{
    (void)state;
    scene_begin(5);
    all_join(TL_ROLE_PROVIDER);
    assert_int_equal(promote(nodes[0], nodes[1]), TL_REFUSAL_NONE);
    assert_int_equal(promote(nodes[0], nodes[2]), TL_REFUSAL_NONE);
    connect_nodes(nodes[3], nodes[4]);
    for (size_t i = 0; i < 5; i++)
        cut_all(nodes[i]);
    for (size_t i = 0; i < 5; i++)
        nodes[i]->down = true;
    (void)revoke(nodes[1], nodes[2], TL_REFUSAL_NONE);
    (void)revoke(nodes[2], nodes[1], TL_REFUSAL_NONE);
    for (size_t i = 0; i < 5; i++)
        nodes[i]->down = false;
    connect_nodes(nodes[1], nodes[3]);
    connect_nodes(nodes[2], nodes[4]);
    cut_all(nodes[1]);
    cut_all(nodes[2]);
    nodes[1]->down = nodes[2]->down = true;
    assert_true(is_out(nodes[3], nodes[2]) && !is_out(nodes[3], nodes[1]));
    assert_true(is_out(nodes[4], nodes[1]) && !is_out(nodes[4], nodes[2]));
    assert_false(is_disputed(nodes[3]) || is_disputed(nodes[4]));
    connect_nodes(nodes[3], nodes[4]);
    assert_true(is_disputed(nodes[3]) && is_disputed(nodes[4]));
    assert_true(tl_node_id_eq(&lab(nodes[3])->dispute.by, &nodes[2]->identity.id));
    assert_true(tl_node_id_eq(&lab(nodes[3])->dispute.node, &nodes[1]->identity.id));
    connect_nodes(nodes[0], nodes[3]);
    connect_nodes(nodes[0], nodes[4]);
    assert_true(is_disputed(nodes[0]));
    (void)revoke(nodes[0], nodes[1], TL_REFUSAL_NONE);
    for (size_t i = 0; i < 5; i += i ? 1 : 3) {
        assert_true(is_out(nodes[i], nodes[1]) && is_out(nodes[i], nodes[2]));
        assert_false(is_disputed(nodes[i]));
    }
    scene_end();
}

/* A revoked admin can always write another list: that is no dispute among members. */
static void what_a_revoked_admin_signs_and_brings_itself_is_no_dispute(void **state)
{
    (void)state;
    scene_begin(4);
    all_join(TL_ROLE_PROVIDER);
    assert_int_equal(promote(nodes[0], nodes[1]), TL_REFUSAL_NONE);
    cut_all(nodes[1]);
    nodes[1]->down = true;
    (void)revoke(nodes[0], nodes[1], TL_REFUSAL_NONE);
    (void)revoke(nodes[1], nodes[0], TL_REFUSAL_NONE);
    nodes[1]->down = false;
    connect_nodes(nodes[1], nodes[2]);
    assert_false(is_out(nodes[2], nodes[0]));
    assert_false(is_disputed(nodes[2]));
    scene_end();
}

static void a_list_that_no_admin_signed_changes_nothing(void **state)
{
    (void)state;
    scene_begin(4);
    all_join(TL_ROLE_PROVIDER);
    ask op;
    tl_members_revoke(nodes[1]->members, begin(&op), lab(nodes[1]), &nodes[2]->identity.id, false);
    assert_int_equal(op.op.refusal, TL_REFUSAL_NOT_ADMIN);
    tl_revocation entry = {nodes[2]->identity.id, NOW};
    tl_revocations list = {.network = lab(nodes[0])->id,
                           .issuer = nodes[0]->identity.id,
                           .sequence = 1,
                           .issued_at = wall(),
                           .n = 1,
                           .entries = &entry};
    json_t *signed_list, *payload;
    assert_int_equal(tl_revocations_make(&list, &lab(nodes[0])->ca, NULL, &signed_list), TL_OK);
    payload = json_pack("{s:O, s:s, s:i}", "list", signed_list, "revoked",
                        "00000000000000000000000000000000", "sequence", 1);
    json_object_set_new(signed_list, "sequence", json_integer(2)); /* altered */
    connect_nodes(nodes[1], nodes[3]);
    tl_members_on_told(nodes[3]->members, &nodes[1]->identity.id, "ptnList", payload);
    settle();
    assert_false(is_out(nodes[3], nodes[2]));
    assert_int_equal(tl_members_counters_of(nodes[3]->members)->bad_lists, 1);
    json_object_set_new(signed_list, "sequence", json_integer(1)); /* the twin */
    tl_members_on_told(nodes[3]->members, &nodes[1]->identity.id, "ptnList", payload);
    settle();
    assert_true(is_out(nodes[3], nodes[2]));
    json_decref(payload);
    json_decref(signed_list);
    scene_end();
}

static void a_revocation_that_is_not_stored_holds_and_is_stored_later(void **state)
{
    (void)state;
    ask op;
    scene_begin(3);
    all_join(TL_ROLE_PROVIDER);
    nodes[0]->disk = TL_ERR_IO;
    tl_members_revoke(nodes[0]->members, begin(&op), lab(nodes[0]), &nodes[1]->identity.id, false);
    settle();
    assert_int_equal(op.op.refusal, TL_REFUSAL_STORE);
    assert_true(is_out(nodes[0], nodes[1]));
    assert_false(is_out(nodes[2], nodes[1])); /* not told before it is stored */
    nodes[0]->disk = TL_OK;
    run_for(16 * TL_SEC);
    assert_true(is_out(nodes[2], nodes[1]));
    restart(nodes[0]);
    assert_true(is_out(nodes[0], nodes[1]));
    scene_end();
}

static void the_group_key_changes_with_a_revocation_and_the_revoked_does_not_get_it(void **state)
{
    (void)state;
    scene_begin(4);
    all_join(TL_ROLE_PROVIDER);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(tl_ptn_groupkey_version(lab(nodes[i])->ptn), 1);
    (void)revoke(nodes[0], nodes[3], TL_REFUSAL_NONE);
    run_for(20 * TL_SEC);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(tl_ptn_groupkey_version(lab(nodes[i])->ptn), i == 3 ? 1 : 2);
    scene_end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_revoked_node_is_out_at_every_connected_member_at_once),
        cmocka_unit_test(members_that_are_present_are_dialled_and_told_within_five_seconds),
        cmocka_unit_test(a_new_invite_does_not_bring_the_revoked_back),
        cmocka_unit_test(revocations_survive_a_restart),
        cmocka_unit_test(a_node_whose_store_was_set_back_takes_the_newer_list_from_any_member),
        cmocka_unit_test(an_old_list_is_refused_and_counted_and_its_holder_gets_the_new_one),
        cmocka_unit_test(two_admins_that_revoke_at_once_agree_in_the_end),
        cmocka_unit_test(two_admins_that_revoke_each_other_are_told_of_and_the_authority_ends_it),
        cmocka_unit_test(what_a_revoked_admin_signs_and_brings_itself_is_no_dispute),
        cmocka_unit_test(a_list_that_no_admin_signed_changes_nothing),
        cmocka_unit_test(a_revocation_that_is_not_stored_holds_and_is_stored_later),
        cmocka_unit_test(the_group_key_changes_with_a_revocation_and_the_revoked_does_not_get_it),
    };
    tl_log_set_level(TL_LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
