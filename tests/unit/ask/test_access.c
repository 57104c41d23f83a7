/* Who may ask, and whom this node may ask. Each refusal differs in one thing from what is allowed. */
#include "ask/access.h"
#include "fake_env.h"
#include "members.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define NOW 1700000000 /* of fake_env */

static tl_node_id member; /* a key that a signed list may name */
static const tl_node_id stranger = {.key = {2}}, consumer = {.key = {3}};

static const tl_access all_open = {
    .share_public = true, .ask_any = true, .sharing = true, .running = true};

typedef struct {
    members m;
    fake_env time;
    tl_env env;
    tl_access access; /* members only, in both directions */
} scene;

static void scene_init(scene *s, tl_role ours)
{
    members_init(&s->m, ours);
    member = s->m.authority.id;
    members_add(&s->m, &member, TL_ROLE_PROVIDER, NOW);
    members_add(&s->m, &consumer, TL_ROLE_CONSUMER, TL_PTN_NO_END);
    s->time = (fake_env){0};
    s->env = fake_env_of(&s->time);
    s->access = (tl_access){.sharing = true, .running = true, .book = s->m.book, .env = &s->env};
}

static int verdict_of(tl_may may)
{
    return TL_ACCESS_NETWORK + (int)may;
}

static void a_public_node_is_for_everybody(void **state)
{
    (void)state;
    assert_int_equal(tl_access_for_peer(&all_open, &stranger, NULL), TL_ACCESS_OK);
    assert_int_equal(tl_access_for_strangers(&all_open), TL_ACCESS_OK);
    assert_true(tl_access_welcomes(&all_open, &stranger));
    assert_true(tl_access_serves_others(&all_open));
    assert_string_equal(tl_access_words(TL_ACCESS_OK), "");
}

/* Each case differs from the open node, its twin, in one field. */
static void each_condition_alone_closes_the_node(void **state)
{
    (void)state;
    tl_access a = all_open;
    a.share_public = false;
    assert_int_equal(tl_access_for_peer(&a, &stranger, NULL), TL_ACCESS_NO_MEMBER);
    assert_int_equal(tl_access_for_strangers(&a), TL_ACCESS_NO_MEMBER);
    assert_false(tl_access_welcomes(&a, &stranger));
    a = all_open;
    a.sharing = false;
    assert_int_equal(tl_access_for_peer(&a, &stranger, NULL), TL_ACCESS_NOT_SHARED);
    a = all_open;
    a.running = false;
    assert_int_equal(tl_access_for_peer(&a, &stranger, NULL), TL_ACCESS_LEAVING);
    assert_false(tl_access_serves_others(&a));
    for (int v = TL_ACCESS_NOT_SHARED; v < TL_ACCESS_NETWORK + TL_MAY_VERDICTS; v++)
        if (v != TL_ACCESS_NETWORK)
            assert_true(strlen(tl_access_words((tl_access_verdict)v)) > 10);
}

static void a_member_asks_for_its_network_and_a_stranger_does_not(void **state)
{
    (void)state;
    scene s;
    scene_init(&s, TL_ROLE_PROVIDER);
    const tl_node_id *lab = &s.m.lab->id;
    tl_access *a = &s.access;
    assert_int_equal(tl_access_for_peer(a, &member, lab), TL_ACCESS_OK);
    assert_int_equal(tl_access_for_peer(a, &consumer, lab), TL_ACCESS_OK);
    assert_int_equal(tl_access_for_peer(a, &stranger, lab), TL_ACCESS_UNPROVEN);
    assert_int_equal(tl_access_for_peer(a, &member, NULL),
                     TL_ACCESS_NO_MEMBER); /* it must say so */
    assert_true(tl_access_welcomes(a, &member));
    assert_false(tl_access_welcomes(a, &stranger));
    assert_int_equal(tl_access_for_strangers(a), TL_ACCESS_NO_MEMBER);
    assert_true(tl_access_serves_others(a));
    a->running = false;
    assert_int_equal(tl_access_for_peer(a, &member, lab), TL_ACCESS_LEAVING);
    /* A private node does not tell strangers that it is shutting down. */
    assert_int_equal(tl_access_for_peer(a, &stranger, lab), TL_ACCESS_UNPROVEN);
    members_clear(&s.m);
}

/* A public node: what it is asked for a network is not let in as a public question. */
static void a_false_claim_is_refused_where_the_same_question_is_taken_without_it(void **state)
{
    (void)state;
    scene s;
    scene_init(&s, TL_ROLE_PROVIDER);
    s.access.share_public = true;
    tl_node_id foreign = {.key = {9}};
    assert_int_equal(tl_access_for_peer(&s.access, &stranger, NULL), TL_ACCESS_OK);
    assert_int_equal(tl_access_for_peer(&s.access, &stranger, &s.m.lab->id), TL_ACCESS_UNPROVEN);
    assert_int_equal(tl_access_for_peer(&s.access, &member, &foreign), TL_ACCESS_UNPROVEN);
    assert_int_equal(tl_access_for_peer(&all_open, &member, &foreign), TL_ACCESS_UNPROVEN);
    assert_int_equal(tl_access_for_peer(&s.access, &member, &s.m.lab->id), TL_ACCESS_OK);
    members_clear(&s.m);
}

/* An outsider must not find out who is a member by asking for the network here and there. */
static void an_outsider_hears_the_same_from_a_member_and_from_any_other_node(void **state)
{
    (void)state;
    scene in, expired, out;
    scene_init(&in, TL_ROLE_PROVIDER);
    scene_init(&expired, TL_ROLE_CONSUMER); /* which serves nobody, and tells nobody that */
    scene_init(&out, TL_ROLE_PROVIDER);
    tl_networks_remove(out.m.book, out.m.lab);
    const scene *const all[] = {&in, &expired, &out};
    tl_identity authority = in.m.authority;
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(tl_access_for_peer(&all[i]->access, &stranger, &authority.id),
                         TL_ACCESS_UNPROVEN);
    /* A member is told more. */
    assert_int_equal(tl_access_for_peer(&expired.access, &member, &authority.id),
                     verdict_of(TL_MAY_WE_ROLE));
    /* One that was a member is no outsider, but for a node that hides and never met it. */
    members_revoke(&in.m, &member);
    assert_int_equal(tl_access_for_peer(&in.access, &member, &authority.id),
                     verdict_of(TL_MAY_REVOKED));
    tl_networks_set_hide(in.m.book, true);
    assert_int_equal(tl_access_for_peer(&in.access, &member, &authority.id), TL_ACCESS_UNPROVEN);
    assert_int_equal(tl_access_for_peer(&in.access, &consumer, &authority.id), TL_ACCESS_OK);
    tl_networks_set_met(in.m.book, in.m.lab, &member);
    assert_int_equal(tl_access_for_peer(&in.access, &member, &authority.id),
                     verdict_of(TL_MAY_REVOKED));
    members_clear(&in.m);
    members_clear(&expired.m);
    members_clear(&out.m);
}

static void a_certificate_holds_to_its_last_second_and_until_it_is_revoked(void **state)
{
    (void)state;
    scene s;
    scene_init(&s, TL_ROLE_PROVIDER);
    const tl_node_id *lab = &s.m.lab->id;
    tl_node_id late = {.key = {4}};
    members_add(&s.m, &late, TL_ROLE_PROVIDER, NOW - 1);
    assert_int_equal(tl_access_for_peer(&s.access, &member, lab), TL_ACCESS_OK);
    assert_int_equal(tl_access_for_peer(&s.access, &late, lab), verdict_of(TL_MAY_EXPIRED));
    assert_int_equal(tl_access_to_peer(&s.access, &late, lab), verdict_of(TL_MAY_EXPIRED));
    assert_false(tl_access_welcomes(&s.access, &late));
    assert_false(tl_access_is_member(&s.access, &late));
    members_revoke(&s.m, &member);
    assert_int_equal(tl_access_for_peer(&s.access, &member, lab), verdict_of(TL_MAY_REVOKED));
    assert_int_equal(tl_access_to_peer(&s.access, &member, lab), verdict_of(TL_MAY_REVOKED));
    members_clear(&s.m);
}

static void whom_we_ask_follows_the_setting_the_networks_and_the_roles(void **state)
{
    (void)state;
    scene s;
    scene_init(&s, TL_ROLE_CONSUMER);
    const tl_node_id *lab = &s.m.lab->id;
    tl_access open = all_open, *a = &s.access;
    tl_node_id network;
    assert_int_equal(tl_access_to_peer(&open, &stranger, NULL), TL_ACCESS_OK);
    assert_true(tl_access_may_try(&open, &stranger));
    assert_true(tl_access_asks_others(&open));
    open.ask_any = false;
    assert_int_equal(tl_access_to_peer(&open, &stranger, NULL), TL_ACCESS_NO_MEMBER);
    assert_false(tl_access_may_try(&open, &stranger));
    assert_false(tl_access_asks_others(&open));

    assert_int_equal(tl_access_to_peer(a, &member, lab), TL_ACCESS_OK);
    assert_int_equal(tl_access_to_peer(a, &consumer, lab), verdict_of(TL_MAY_ROLE));
    assert_int_equal(tl_access_to_peer(a, &stranger, lab), verdict_of(TL_MAY_UNKNOWN));
    assert_true(tl_access_may_try(a, &member));
    assert_false(tl_access_may_try(a, &consumer));
    assert_true(tl_access_network_to(a, &member, &network) && tl_node_id_eq(&network, lab));
    assert_true(tl_access_asks_others(a));
    /* Asking does not depend on sharing, nor sharing on asking. */
    a->sharing = a->running = false;
    assert_int_equal(tl_access_to_peer(a, &member, lab), TL_ACCESS_OK);
    members_clear(&s.m);
}

static void a_connection_is_kept_where_one_of_both_may_ask_or_both_are_members(void **state)
{
    (void)state;
    scene s;
    scene_init(&s, TL_ROLE_CONSUMER); /* it serves nobody: a consumer there may do nothing here */
    assert_true(tl_access_keeps(&s.access, &member));
    assert_true(tl_access_keeps(&s.access, &consumer)); /* they tell each other who is revoked */
    assert_false(tl_access_keeps(&s.access, &stranger));
    s.access.ask_any = true;
    assert_true(tl_access_keeps(&s.access, &stranger));
    s.access.ask_any = false;
    s.access.share_public = true;
    assert_true(tl_access_keeps(&s.access, &stranger));
    s.access.share_public = false;
    members_revoke(&s.m, &member);
    assert_false(tl_access_keeps(&s.access, &member));
    members_clear(&s.m);
}

static void of_two_common_networks_the_cheaper_one_is_taken(void **state)
{
    (void)state;
    scene s;
    scene_init(&s, TL_ROLE_CONSUMER);
    tl_node_id network;
    tl_membership *home = members_also(&s.m, 1, "home");
    members_add_to(&s.m, home, &member, TL_ROLE_PROVIDER);
    assert_true(tl_access_network_to(&s.access, &member, &network));
    assert_true(tl_node_id_eq(&network, &s.m.lab->id)); /* both are free: the first */
    members_price(&s.m, s.m.lab, 20);
    members_price(&s.m, home, 10);
    assert_true(tl_access_network_to(&s.access, &member, &network));
    assert_true(tl_node_id_eq(&network, &home->id));
    assert_false(tl_access_network_to(&s.access, &stranger, &network));
    members_clear(&s.m);
}

static void without_a_network_nobody_is_a_member(void **state)
{
    (void)state;
    scene s;
    scene_init(&s, TL_ROLE_CONSUMER);
    assert_false(tl_access_is_member(&all_open, &member));
    assert_false(tl_access_in_network(&all_open));
    assert_int_equal(tl_access_in(&all_open, &s.m.lab->id), TL_MAY_NOT_OURS);
    assert_true(tl_access_is_member(&s.access, &member));
    assert_true(tl_access_is_member(&s.access, &consumer));
    assert_false(tl_access_is_member(&s.access, &stranger));
    assert_true(tl_access_in_network(&s.access));
    assert_int_equal(tl_access_in(&s.access, &s.m.lab->id), TL_MAY_OK);
    assert_string_equal(tl_access_name_of(&s.access, &s.m.lab->id), "lab");
    assert_string_equal(tl_access_name_of(&s.access, &stranger), "");
    tl_networks_leave(s.m.book, s.m.lab);
    assert_false(tl_access_in_network(&s.access));
    assert_int_equal(tl_access_in(&s.access, &s.m.lab->id), TL_MAY_NOT_OURS);
    members_clear(&s.m);
}

static void
the_old_protocol_is_spoken_only_where_the_setting_says_so_and_with_no_member(void **state)
{
    (void)state;
    scene s;
    scene_init(&s, TL_ROLE_PROVIDER);
    tl_access *a = &s.access;
    a->share_public = a->ask_any = true;
    assert_int_equal(tl_access_for_old(a), TL_ACCESS_ENCRYPTED);
    assert_int_equal(tl_access_to_old(a, &stranger), TL_ACCESS_ENCRYPTED);
    a->in_clear = true;
    assert_int_equal(tl_access_for_old(a), TL_ACCESS_OK);
    assert_int_equal(tl_access_to_old(a, &stranger), TL_ACCESS_OK);
    assert_int_equal(tl_access_to_old(a, &member), TL_ACCESS_ENCRYPTED);
    a->share_public = a->ask_any = false;
    assert_int_equal(tl_access_for_old(a), TL_ACCESS_NO_MEMBER);
    assert_int_equal(tl_access_to_old(a, &stranger), TL_ACCESS_NO_MEMBER);
    members_clear(&s.m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_public_node_is_for_everybody),
        cmocka_unit_test(each_condition_alone_closes_the_node),
        cmocka_unit_test(a_member_asks_for_its_network_and_a_stranger_does_not),
        cmocka_unit_test(a_false_claim_is_refused_where_the_same_question_is_taken_without_it),
        cmocka_unit_test(an_outsider_hears_the_same_from_a_member_and_from_any_other_node),
        cmocka_unit_test(a_certificate_holds_to_its_last_second_and_until_it_is_revoked),
        cmocka_unit_test(whom_we_ask_follows_the_setting_the_networks_and_the_roles),
        cmocka_unit_test(a_connection_is_kept_where_one_of_both_may_ask_or_both_are_members),
        cmocka_unit_test(of_two_common_networks_the_cheaper_one_is_taken),
        cmocka_unit_test(
            the_old_protocol_is_spoken_only_where_the_setting_says_so_and_with_no_member),
        cmocka_unit_test(without_a_network_nobody_is_a_member),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
