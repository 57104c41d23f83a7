/* Networks between nodes: joining, showing certificates, roles. Node 0 makes the network. */
#include "members_scene.h"

#include "base/log.h"

#include <stdio.h>

static void an_invited_node_joins_and_both_know_each_other(void **state)
{
    (void)state;
    scene_begin(2);
    found_lab();
    char *invite = invite_by(nodes[0], TL_ROLE_PROVIDER, 0);
    assert_int_equal(join(nodes[1], invite), 0);
    assert_string_equal(lab(nodes[1])->name, "lab");
    assert_int_equal(lab(nodes[1])->cert.role, TL_ROLE_PROVIDER);
    assert_true(may_serve(nodes[0], nodes[1]));
    assert_true(may_ask(nodes[1], nodes[0]));
    assert_true(may_serve(nodes[1], nodes[0]));
    assert_int_equal(nodes[0]->events[TL_MEMBERSHIP_JOINED], 2); /* itself, and the other */
    assert_int_equal(nodes[1]->events[TL_MEMBERSHIP_JOINED], 1);
    assert_int_equal(nodes[1]->saved_networks, 1);
    assert_string_equal(nodes[1]->saved_invite, "");
    free(invite);
    scene_end();
}

static void two_members_who_meet_know_each_other_without_an_admin(void **state)
{
    (void)state;
    scene_begin(3);
    all_join(TL_ROLE_PROVIDER);
    cut_all(nodes[0]);
    nodes[0]->down = true;
    assert_false(may_serve(nodes[1], nodes[2]));
    connect_nodes(nodes[1], nodes[2]);
    assert_true(may_serve(nodes[1], nodes[2]));
    assert_true(may_serve(nodes[2], nodes[1]));
    scene_end();
}

static void a_consumer_asks_and_does_not_serve(void **state)
{
    (void)state;
    scene_begin(2);
    all_join(TL_ROLE_CONSUMER);
    assert_true(may_ask(nodes[0], nodes[1]));
    assert_false(may_serve(nodes[0], nodes[1]));
    assert_false(may_ask(nodes[1], nodes[0]));
    assert_true(may_serve(nodes[1], nodes[0]));
    scene_end();
}

static void the_same_invite_gives_the_same_node_its_certificate_again(void **state)
{
    (void)state;
    scene_begin(3);
    found_lab();
    char *invite = invite_by(nodes[0], TL_ROLE_CONSUMER, 0);
    assert_int_equal(join(nodes[1], invite), 0);
    assert_int_equal(join(nodes[1], invite), 0);
    assert_int_equal(join(nodes[2], invite), TL_REFUSAL_INVITE_USED);
    assert_int_equal(tl_networks_count(nodes[2]->book), 0);
    run_for(3700 * TL_SEC); /* the invite has ended: a member gets it still, a stranger does not */
    assert_int_equal(join(nodes[1], invite), 0);
    assert_int_equal(join(nodes[2], invite), TL_REFUSAL_INVITE_EXPIRED);
    free(invite);
    scene_end();
}

static void a_member_joins_by_no_other_invite_that_has_ended(void **state)
{
    (void)state;
    scene_begin(2);
    found_lab();
    char *used = invite_by(nodes[0], TL_ROLE_CONSUMER, 0);
    char *unused = invite_by(nodes[0], TL_ROLE_PROVIDER, 0);
    assert_int_equal(join(nodes[1], used), 0);
    run_for(3700 * TL_SEC);
    assert_int_equal(join(nodes[1], unused), TL_REFUSAL_INVITE_EXPIRED);
    assert_int_equal(join(nodes[1], used), 0); /* it is a member as before */
    free(used);
    free(unused);
    scene_end();
}

static void a_new_invite_gives_a_member_its_role(void **state)
{
    (void)state;
    scene_begin(2);
    all_join(TL_ROLE_PROVIDER);
    assert_true(may_serve(nodes[0], nodes[1]));
    char *invite = invite_by(nodes[0], TL_ROLE_CONSUMER, 0);
    assert_int_equal(join(nodes[1], invite), 0);
    assert_int_equal(lab(nodes[1])->cert.role, TL_ROLE_CONSUMER);
    assert_false(may_serve(nodes[0], nodes[1]));
    assert_true(may_ask(nodes[0], nodes[1]));
    free(invite);
    scene_end();
}

static void of_fifty_that_use_one_invite_at_once_one_joins(void **state)
{
    (void)state;
    static ask asks[50];
    scene_begin(51);
    found_lab();
    char *invite = invite_by(nodes[0], TL_ROLE_CONSUMER, 0);
    for (size_t i = 0; i < 50; i++)
        tl_members_join(nodes[i + 1]->members, begin(&asks[i]), invite, "");
    settle();
    size_t joined = 0, used = 0;
    for (size_t i = 0; i < 50; i++) {
        assert_true(asks[i].done);
        joined += asks[i].op.refusal == TL_REFUSAL_NONE;
        used += asks[i].op.refusal == TL_REFUSAL_INVITE_USED;
    }
    assert_int_equal(joined, 1);
    assert_int_equal(used, 49);
    assert_int_equal(lab(nodes[0])->n_members, 1);
    free(invite);
    scene_end();
}

static void a_bound_invite_is_refused_before_anything_is_sent(void **state)
{
    (void)state;
    ask op;
    tl_buf text = {0};
    scene_begin(3);
    found_lab();
    tl_invite invite = {.role = TL_ROLE_CONSUMER,
                        .expires_at = NOW + 5000,
                        .bound = true,
                        .node = nodes[1]->identity.id};
    tl_members_invite(nodes[0]->members, begin(&op), lab(nodes[0]), &invite, &text);
    settle();
    char *copy = strndup((char *)tl_buf_begin(&text), text.len);
    assert_int_equal(join(nodes[2], copy), TL_REFUSAL_INVITE_OTHER_NODE);
    assert_int_equal(nodes[2]->told, 0);
    assert_int_equal(join(nodes[1], copy), 0);
    free(copy);
    tl_buf_clear(&text);
    scene_end();
}

static void an_altered_or_malformed_invite_is_refused_before_anything_is_sent(void **state)
{
    (void)state;
    scene_begin(2);
    found_lab();
    char *invite = invite_by(nodes[0], TL_ROLE_CONSUMER, 0);
    size_t n = strlen(invite);
    for (size_t i = 0; i < n; i++) {
        char kept = invite[i];
        invite[i] = kept == 'A' ? 'B' : 'A';
        tl_refusal r = join(nodes[1], invite);
        assert_true(r == TL_REFUSAL_INVITE_ALTERED || r == TL_REFUSAL_INVITE_MALFORMED);
        invite[i] = 0;
        assert_true(join(nodes[1], invite) == TL_REFUSAL_INVITE_MALFORMED);
        invite[i] = kept;
    }
    assert_int_equal(nodes[1]->told, 0);
    char around[TL_INVITE_MAX + 8];
    snprintf(around, sizeof around, " \n%s\r\n", invite);
    assert_int_equal(join(nodes[1], around), 0);
    free(invite);
    scene_end();
}

static void a_withdrawn_invite_admits_nobody_and_a_used_one_is_not_withdrawn(void **state)
{
    (void)state;
    ask op;
    tl_invite invite;
    scene_begin(2);
    found_lab();
    char *text = invite_by(nodes[0], TL_ROLE_CONSUMER, 0), *other;
    assert_int_equal(tl_invite_read(tl_slice_str(text), &invite), TL_PTN_OK);
    tl_members_withdraw(nodes[0]->members, begin(&op), lab(nodes[0]), invite.nonce);
    settle();
    assert_int_equal(op.op.refusal, 0);
    assert_int_equal(join(nodes[1], text), TL_REFUSAL_INVITE_WITHDRAWN);
    other = invite_by(nodes[0], TL_ROLE_CONSUMER, 0);
    assert_int_equal(join(nodes[1], other), 0);
    assert_int_equal(tl_invite_read(tl_slice_str(other), &invite), TL_PTN_OK);
    tl_members_withdraw(nodes[0]->members, begin(&op), lab(nodes[0]), invite.nonce);
    settle();
    assert_int_equal(op.op.refusal, TL_REFUSAL_INVITE_USED);
    memset(invite.nonce, 0, sizeof invite.nonce);
    tl_members_withdraw(nodes[0]->members, begin(&op), lab(nodes[0]), invite.nonce);
    settle();
    assert_int_equal(op.op.refusal, TL_REFUSAL_NOT_FOUND);
    free(text);
    free(other);
    scene_end();
}

/* A stranger makes an invite in the name of the network, and answers with a certificate of its own. */
static bool by_a_forger(const node *from, const node *to, const char *name, json_t *payload)
{
    (void)to;
    if (from != nodes[1] || strcmp(name, "ptnRefused") != 0)
        return true;
    json_object_set(payload, "certificate", lab(nodes[1])->certificate);
    tl_members_on_told(nodes[2]->members, &nodes[1]->identity.id, "ptnJoined", payload);
    return false;
}

static void an_invite_of_who_is_no_admin_of_that_network_is_foreign(void **state)
{
    (void)state;
    tl_buf text = {0};
    ask op;
    scene_begin(3);
    found_lab();
    tl_members_create(nodes[1]->members, begin(&op), "forged", false);
    settle();
    tl_invite invite = {.network = lab(nodes[0])->id,
                        .inviter = nodes[1]->identity.id,
                        .role = TL_ROLE_ADMIN,
                        .name = "lab",
                        .expires_at = NOW + 5000};
    assert_int_equal(tl_invite_write(&text, &invite, &nodes[1]->identity), TL_OK);
    char *copy = strndup((char *)tl_buf_begin(&text), text.len);
    assert_int_equal(join(nodes[2], copy), TL_REFUSAL_INVITE_FOREIGN);
    on_the_way = by_a_forger;
    assert_int_equal(join(nodes[2], copy), TL_REFUSAL_INVITE_FOREIGN);
    assert_int_equal(tl_networks_count(nodes[2]->book), 0);
    free(copy);
    tl_buf_clear(&text);
    scene_end();
}

/* --- the inviter is away --- */

static void a_join_finishes_by_itself_when_the_inviter_comes(void **state)
{
    (void)state;
    ask op;
    scene_begin(2);
    found_lab();
    char *invite = invite_by(nodes[0], TL_ROLE_CONSUMER, 0);
    nodes[0]->down = true;
    tl_members_join(nodes[1]->members, begin(&op), invite, "work");
    run_for(30 * TL_SEC);
    assert_false(op.done);
    tl_invite parsed;
    assert_int_equal(tl_invite_read(tl_slice_str(invite), &parsed), TL_PTN_OK);
    assert_non_null(strstr(tl_members_waiting(nodes[1]->members, &parsed.network), "not there"));
    tl_members_unwait(nodes[1]->members, &op.op);
    restart(nodes[1]); /* and it survives a restart */
    run_for(10 * TL_SEC);
    nodes[0]->down = false;
    run_for(61 * TL_SEC);
    assert_string_equal(lab(nodes[1])->name, "work");
    assert_true(may_ask(nodes[0], nodes[1]));
    assert_null(tl_members_waiting(nodes[1]->members, &parsed.network));
    assert_false(op.done);
    free(invite);
    scene_end();
}

static void a_join_is_tried_at_once_when_others_come_to_the_relay(void **state)
{
    (void)state;
    ask op;
    scene_begin(2);
    found_lab();
    char *invite = invite_by(nodes[0], TL_ROLE_CONSUMER, 0);
    nodes[0]->down = true;
    tl_members_join(nodes[1]->members, begin(&op), invite, "");
    run_for(120 * TL_SEC);
    nodes[0]->down = false;
    tl_members_on_present(nodes[1]->members);
    run_for(TL_MS);
    assert_true(op.done);
    assert_int_equal(op.op.refusal, 0);
    free(invite);
    scene_end();
}

static bool loses_answers(const node *from, const node *to, const char *name, json_t *payload)
{
    (void)from, (void)to, (void)payload;
    return strcmp(name, "ptnJoined") != 0;
}

static void an_answer_that_is_lost_is_asked_for_again(void **state)
{
    (void)state;
    ask op;
    scene_begin(2);
    found_lab();
    char *invite = invite_by(nodes[0], TL_ROLE_CONSUMER, 0);
    on_the_way = loses_answers;
    tl_members_join(nodes[1]->members, begin(&op), invite, "");
    run_for(5 * TL_SEC);
    assert_false(op.done);
    on_the_way = NULL;
    run_for(20 * TL_SEC);
    assert_true(op.done);
    assert_int_equal(op.op.refusal, 0);
    assert_int_equal(nodes[0]->events[TL_MEMBERSHIP_JOINED], 2);
    free(invite);
    scene_end();
}

static void who_may_never_join_is_told_so_though_the_invite_has_ended_meanwhile(void **state)
{
    (void)state;
    ask op;
    scene_begin(2);
    found_lab();
    char *invite = invite_by(nodes[0], TL_ROLE_CONSUMER, 0);
    nodes[0]->down = true;
    tl_members_join(nodes[1]->members, begin(&op), invite, "");
    run_for((3600 + TL_MEMBERS_JOIN_GRACE - 100) * TL_SEC);
    assert_false(op.done);
    run_for(300 * TL_SEC);
    assert_true(op.done);
    assert_int_equal(op.op.refusal, TL_REFUSAL_INVITE_EXPIRED);
    free(invite);
    scene_end();
}

/* --- the store --- */

static void nothing_is_acknowledged_before_it_is_stored(void **state)
{
    (void)state;
    ask op;
    scene_begin(2);
    found_lab();
    char *invite = invite_by(nodes[0], TL_ROLE_CONSUMER, 0);
    nodes[0]->disk_holds = true; /* the admin's */
    tl_members_join(nodes[1]->members, begin(&op), invite, "");
    run_for(5 * TL_SEC);
    assert_int_equal(tl_membership_state_of(nodes[1]->book, lab(nodes[1]), wall()),
                     TL_MEMBERSHIP_JOINING);
    nodes[0]->disk_holds = false;
    nodes[1]->disk_holds = true; /* its own */
    settle();
    assert_false(op.done);
    nodes[1]->disk_holds = false;
    settle();
    assert_true(op.done);
    assert_int_equal(op.op.refusal, 0);
    free(invite);
    scene_end();
}

static void a_full_disk_refuses_and_later_all_goes_on(void **state)
{
    (void)state;
    ask op;
    scene_begin(2);
    nodes[0]->disk = TL_ERR_IO;
    tl_members_create(nodes[0]->members, begin(&op), "lab", false);
    settle();
    assert_int_equal(op.op.refusal, TL_REFUSAL_STORE);
    assert_int_equal(tl_networks_count(nodes[0]->book), 0);
    nodes[0]->disk = TL_OK;
    found_lab();
    char *invite = invite_by(nodes[0], TL_ROLE_CONSUMER, 0);
    nodes[0]->disk = TL_ERR_IO;
    tl_members_join(nodes[1]->members, begin(&op), invite, "");
    run_for(5 * TL_SEC);
    assert_false(op.done); /* it tries on */
    nodes[0]->disk = TL_OK;
    run_for(30 * TL_SEC);
    assert_true(op.done);
    assert_int_equal(op.op.refusal, 0);
    free(invite);
    scene_end();
}

/* --- hiding --- */

static size_t hellos;
static bool counts_hellos(const node *from, const node *to, const char *name, json_t *payload)
{
    (void)from, (void)to, (void)payload;
    hellos += strncmp(name, "ptn", 3) == 0;
    return true;
}

static void a_stranger_is_not_told_which_networks_a_node_is_in(void **state)
{
    (void)state;
    ask op;
    scene_begin(4);
    all_join(TL_ROLE_PROVIDER);
    tl_members_leave(nodes[3]->members, begin(&op), lab(nodes[3]), false); /* now a stranger */
    cut_all(nodes[0]);
    for (size_t i = 0; i < 3; i++)
        nodes[i]->hidden = true;
    on_the_way = counts_hellos;
    hellos = 0;
    connect_nodes(nodes[1], nodes[3]);
    run_for(700 * TL_SEC);
    assert_int_equal(hellos, 0);
    /* nor does it learn so by naming the network: a certificate must be shown */
    json_t *fishing =
        json_pack("{s:[{s:o, s:{}, s:s}]}", "networks", "ptnID",
                  json_string("0000000000000000000000000000000000000000000000000000000000000000"),
                  "certificate", "revoked", "00000000000000000000000000000000");
    char hex[65];
    tl_node_id_write(hex, &lab(nodes[1])->id);
    json_object_set_new(json_array_get(json_object_get(fishing, "networks"), 0), "ptnID",
                        json_string(hex));
    tl_members_on_told(nodes[1]->members, &nodes[3]->identity.id, "ptnHello", fishing);
    settle();
    assert_int_equal(hellos, 0);
    json_decref(fishing);
    /* members that recognise each other's tags speak */
    nodes[1]->recognises = true;
    connect_nodes(nodes[1], nodes[2]);
    assert_true(hellos > 0);
    assert_true(may_serve(nodes[1], nodes[2]));
    assert_true(may_serve(nodes[2], nodes[1]));
    scene_end();
}

/* --- bounds --- */

static void a_stranger_has_only_so_many_requests_checked(void **state)
{
    (void)state;
    scene_begin(3);
    found_lab();
    char *invite = invite_by(nodes[0], TL_ROLE_CONSUMER, 0);
    connect_nodes(nodes[0], nodes[1]);
    json_t *garbage =
        json_pack("{s:s, s:s, s:s}", "invite", invite, "nodeID", "x", "signature", "y");
    for (size_t i = 0; i < 100000; i++)
        tl_members_on_told(nodes[0]->members, &nodes[1]->identity.id, "ptnJoin", garbage);
    assert_true(tl_members_counters_of(nodes[0]->members)->checks <= TL_MEMBERS_CHECKS_BURST + 2);
    settle();
    json_decref(garbage);
    assert_int_equal(join(nodes[2], invite), 0); /* another is not hindered */
    free(invite);
    scene_end();
}

static void a_thousand_nodes_join_at_one_admin(void **state)
{
    (void)state;
    static ask asks[1000];
    scene_begin(1001);
    found_lab();
    for (size_t i = 0; i < 1000; i++) {
        char *invite = invite_by(nodes[0], i % 2 ? TL_ROLE_CONSUMER : TL_ROLE_PROVIDER, 0);
        tl_members_join(nodes[i + 1]->members, begin(&asks[i]), invite, "");
        free(invite);
    }
    settle();
    run_for(9 * TL_SEC);
    size_t joined = 0;
    for (size_t i = 0; i < 1000; i++)
        joined += asks[i].done && !asks[i].op.refusal;
    assert_int_equal(joined, 1000);
    assert_int_equal(lab(nodes[0])->n_members, 1000);
    scene_end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_invited_node_joins_and_both_know_each_other),
        cmocka_unit_test(two_members_who_meet_know_each_other_without_an_admin),
        cmocka_unit_test(a_consumer_asks_and_does_not_serve),
        cmocka_unit_test(the_same_invite_gives_the_same_node_its_certificate_again),
        cmocka_unit_test(a_member_joins_by_no_other_invite_that_has_ended),
        cmocka_unit_test(a_new_invite_gives_a_member_its_role),
        cmocka_unit_test(of_fifty_that_use_one_invite_at_once_one_joins),
        cmocka_unit_test(a_bound_invite_is_refused_before_anything_is_sent),
        cmocka_unit_test(an_altered_or_malformed_invite_is_refused_before_anything_is_sent),
        cmocka_unit_test(a_withdrawn_invite_admits_nobody_and_a_used_one_is_not_withdrawn),
        cmocka_unit_test(an_invite_of_who_is_no_admin_of_that_network_is_foreign),
        cmocka_unit_test(a_join_finishes_by_itself_when_the_inviter_comes),
        cmocka_unit_test(a_join_is_tried_at_once_when_others_come_to_the_relay),
        cmocka_unit_test(an_answer_that_is_lost_is_asked_for_again),
        cmocka_unit_test(who_may_never_join_is_told_so_though_the_invite_has_ended_meanwhile),
        cmocka_unit_test(nothing_is_acknowledged_before_it_is_stored),
        cmocka_unit_test(a_full_disk_refuses_and_later_all_goes_on),
        cmocka_unit_test(a_stranger_is_not_told_which_networks_a_node_is_in),
        cmocka_unit_test(a_stranger_has_only_so_many_requests_checked),
        cmocka_unit_test(a_thousand_nodes_join_at_one_admin),
    };
    tl_log_set_level(TL_LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
