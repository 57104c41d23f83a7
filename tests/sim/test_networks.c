/* Private networks of whole nodes at one relay: members, outsiders beside them, liars. */
#include "relayed_scene.h"
#include "whole_networks.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

enum { PROVIDER, CONSUMER, OUTSIDER, SECOND, NODES };

static tl_identity lab;

/* PROVIDER serves "m" to the members of lab alone, and CONSUMER is one. OUTSIDER is in no network, and
 * asks anybody. SECOND is for the test. All is known to all. */
static scene lab_new(uint64_t seed)
{
    uint8_t bytes[32];
    memset(bytes, 77, sizeof bytes);
    assert_int_equal(tl_identity_from_seed(bytes, &lab), TL_OK);
    scene s = scene_new(seed, NODES);
    s.nodes[PROVIDER]->access.share_public = false;
    s.nodes[CONSUMER]->access.ask_any = false;
    whole_node_join(s.nodes[PROVIDER], &lab, "lab", TL_ROLE_PROVIDER);
    whole_node_join(s.nodes[CONSUMER], &lab, "lab", TL_ROLE_CONSUMER);
    whole_node_serve(s.nodes[PROVIDER], "m");
    sim_run_for(s.sim, 1 * TL_SEC);
    return s;
}

static void ask_for_lab(scene *s, size_t who, question_record *q)
{
    whole_node_ask_for(s->nodes[who], q, &lab.id, "m");
}

static bool is_from(const scene *s, const question_record *q, size_t who)
{
    return tl_node_id_eq(&q->head.peer, &s->nodes[who]->identity.id);
}

static void a_member_is_served_for_its_network_however_it_asks(void **state)
{
    (void)state;
    scene s = lab_new(1);
    question_record scoped = {0}, plain = {0};
    ask_for_lab(&s, CONSUMER, &scoped);
    assert_answered(s.sim, &scoped, 5 * TL_SEC);
    assert_true(is_from(&s, &scoped, PROVIDER));
    assert_true(scoped.head.has_network && tl_node_id_eq(&scoped.head.network, &lab.id));
    whole_node_ask(s.nodes[CONSUMER], &plain, "m", "{\"model\":\"m\"}");
    assert_answered(s.sim, &plain, 5 * TL_SEC);
    assert_true(plain.head.has_network && tl_node_id_eq(&plain.head.network, &lab.id));
    assert_int_equal(tl_server_counters_of(s.nodes[PROVIDER]->server)->refused, 0);
    question_clear(&scoped);
    question_clear(&plain);
    scene_free(&s);
}

static void an_outsider_at_the_same_relay_is_refused_at_every_door(void **state)
{
    (void)state;
    scene s = lab_new(2);
    whole_node *provider = s.nodes[PROVIDER];
    question_record found = {0}, named = {0}, claimed = {0}, member = {0};
    whole_node_ask(s.nodes[OUTSIDER], &found, "m", "{\"model\":\"m\"}");
    assert_failed(s.sim, &found, TL_FAIL_MODEL_NOT_LOADED, 5 * TL_SEC); /* it asks nobody */
    whole_node_ask_peer(s.nodes[OUTSIDER], &named, provider, "m");
    assert_failed(s.sim, &named, TL_FAIL_FORBIDDEN, 5 * TL_SEC);
    whole_node_claim(s.nodes[OUTSIDER], &claimed, &lab.id, provider, "m");
    assert_failed(s.sim, &claimed, TL_FAIL_FORBIDDEN, 5 * TL_SEC);
    assert_int_equal(tl_server_counters_of(provider->server)->refused, 2);
    assert_int_equal(tl_server_counters_of(provider->server)->refused_claims, 1);
    assert_int_equal(provider->produced, 0);
    assert_false(tl_access_welcomes(&provider->access, &s.nodes[OUTSIDER]->identity.id));

    ask_for_lab(&s, CONSUMER, &member); /* the member beside it */
    assert_answered(s.sim, &member, 5 * TL_SEC);
    assert_true(tl_access_welcomes(&provider->access, &s.nodes[CONSUMER]->identity.id));
    question_clear(&found);
    question_clear(&named);
    question_clear(&claimed);
    question_clear(&member);
    scene_free(&s);
}

/* OUTSIDER lists the network, and serves the model in public. */
static void who_only_claims_to_be_a_member_gets_no_question_of_the_network(void **state)
{
    (void)state;
    for (int with_provider = 0; with_provider < 2; with_provider++) {
        scene s = lab_new(3 + (uint64_t)with_provider);
        question_record q = {0}, own = {0};
        whole_node *liar = s.nodes[OUTSIDER];
        char hex[TL_NODE_ID_HEX + 1];
        tl_node_id_write(hex, &lab.id);
        liar->lies = json_pack("[s]", hex);
        whole_node_serve(liar, "m");
        if (!with_provider)
            whole_node_disconnect(s.nodes[PROVIDER]);
        sim_run_for(s.sim, 1 * TL_SEC);
        ask_for_lab(&s, CONSUMER, &q);
        if (with_provider) {
            assert_answered(s.sim, &q, 10 * TL_SEC);
            assert_true(is_from(&s, &q, PROVIDER));
        } else {
            assert_failed(s.sim, &q, TL_FAIL_NO_PROVIDER, 15 * TL_SEC);
            assert_non_null(strstr(q.why, "network lab ("));
        }
        assert_int_equal(liar->produced, 0);
        assert_false(tl_access_is_member(&s.nodes[CONSUMER]->access, &liar->identity.id));
        if (with_provider) { /* nor does the claim open a door */
            whole_node_ask_peer(liar, &own, s.nodes[PROVIDER], "m");
            assert_failed(s.sim, &own, TL_FAIL_FORBIDDEN, 5 * TL_SEC);
        }
        question_clear(&q);
        question_clear(&own);
        scene_free(&s);
    }
}

static void a_consumer_that_serves_is_not_asked_for_the_network(void **state)
{
    (void)state;
    scene s = lab_new(5);
    question_record q = {0}, plain = {0};
    whole_node_join(s.nodes[SECOND], &lab, "lab", TL_ROLE_CONSUMER);
    whole_node_serve(s.nodes[SECOND], "other");
    sim_run_for(s.sim, 1 * TL_SEC);
    whole_node_ask_for(s.nodes[CONSUMER], &q, &lab.id, "other");
    assert_failed(s.sim, &q, TL_FAIL_NO_PROVIDER, 15 * TL_SEC);
    assert_non_null(strstr(q.why, "consumer"));
    assert_int_equal(s.nodes[SECOND]->produced, 0);
    whole_node_ask(s.nodes[OUTSIDER], &plain, "other", "{\"model\":\"other\"}");
    assert_answered(s.sim, &plain, 5 * TL_SEC); /* it serves the public */
    assert_false(plain.head.has_network);
    question_clear(&q);
    question_clear(&plain);
    scene_free(&s);
}

static const tl_peer *as_seen_by(const scene *s, size_t who, size_t by)
{
    const tl_peer *p = tl_peer_table_find(&s->nodes[by]->table, &s->nodes[who]->identity.id);
    assert_non_null(p);
    return p;
}

static void hidden_members_find_each_other_and_nobody_else_finds_them(void **state)
{
    (void)state;
    scene s = lab_new(6);
    question_record q = {0}, look = {0};
    whole_node_hide(s.nodes[PROVIDER], &lab, 9);
    whole_node_hide(s.nodes[CONSUMER], &lab, 9);
    whole_node_serve(s.nodes[CONSUMER], "c"); /* so that it is listed with something */
    sim_run_for(s.sim, 1 * TL_SEC);
    ask_for_lab(&s, CONSUMER, &q);
    assert_answered(s.sim, &q, 5 * TL_SEC);
    assert_true(is_from(&s, &q, PROVIDER));

    /* What the relay tells the outsider of the two: another tag for each, none of them the ptnID. */
    whole_node_ask(s.nodes[OUTSIDER], &look, TL_MODEL_AUTO, "{\"model\":\"teale-auto\"}");
    sim_run_for(s.sim, 5 * TL_SEC);
    const tl_peer *one = as_seen_by(&s, PROVIDER, OUTSIDER);
    const tl_peer *two = as_seen_by(&s, CONSUMER, OUTSIDER);
    assert_int_equal(one->n_ptns, 1);
    assert_int_equal(two->n_ptns, 1);
    assert_memory_not_equal(one->ptns[0], lab.id.key, 32);
    assert_memory_not_equal(two->ptns[0], lab.id.key, 32);
    assert_memory_not_equal(one->ptns[0], two->ptns[0], 32);
    question_clear(&q);
    question_clear(&look);
    scene_free(&s);
}

static void a_revoked_member_is_out_in_the_middle_of_its_answer(void **state)
{
    (void)state;
    scene s = lab_new(7);
    question_record gone = {0}, stays = {0}, again = {0};
    whole_node *provider = s.nodes[PROVIDER];
    whole_node_join(s.nodes[SECOND], &lab, "lab", TL_ROLE_CONSUMER);
    provider->pieces = 100;
    provider->piece_size = 100;
    provider->piece_every = 100 * TL_MS;
    sim_run_for(s.sim, 1 * TL_SEC);
    ask_for_lab(&s, CONSUMER, &gone);
    ask_for_lab(&s, SECOND, &stays);
    sim_run_for(s.sim, 4 * TL_SEC);
    assert_true(gone.bytes > 0 && stays.bytes > 0);
    whole_node_revoke(provider, &lab, s.nodes[CONSUMER]);
    assert_failed(s.sim, &gone, TL_FAIL_FORBIDDEN, 5 * TL_SEC);
    assert_int_equal(provider->cancelled, 1);
    assert_answered(s.sim, &stays, 15 * TL_SEC);
    assert_int_equal(stays.bytes, 100 * 100);
    ask_for_lab(&s, CONSUMER, &again);
    assert_failed(s.sim, &again, TL_FAIL_FORBIDDEN, 10 * TL_SEC);
    question_clear(&gone);
    question_clear(&stays);
    question_clear(&again);
    scene_free(&s);
}

/* The consumer hears of it: it leaves the answer of a provider that is out. */
static void an_answer_of_a_revoked_provider_is_left(void **state)
{
    (void)state;
    scene s = lab_new(8);
    question_record q = {0};
    whole_node *provider = s.nodes[PROVIDER];
    provider->pieces = 100;
    provider->piece_size = 100;
    provider->piece_every = 100 * TL_MS;
    ask_for_lab(&s, CONSUMER, &q);
    sim_run_for(s.sim, 3 * TL_SEC);
    assert_true(q.bytes > 0);
    whole_node_revoke(s.nodes[CONSUMER], &lab, provider);
    assert_failed(s.sim, &q, TL_FAIL_FORBIDDEN, 1 * TL_SEC);
    sim_run_for(s.sim, 1 * TL_SEC);
    assert_int_equal(provider->cancelled, 1);
    question_clear(&q);
    scene_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_member_is_served_for_its_network_however_it_asks),
        cmocka_unit_test(an_outsider_at_the_same_relay_is_refused_at_every_door),
        cmocka_unit_test(who_only_claims_to_be_a_member_gets_no_question_of_the_network),
        cmocka_unit_test(a_consumer_that_serves_is_not_asked_for_the_network),
        cmocka_unit_test(hidden_members_find_each_other_and_nobody_else_finds_them),
        cmocka_unit_test(a_revoked_member_is_out_in_the_middle_of_its_answer),
        cmocka_unit_test(an_answer_of_a_revoked_provider_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
