/* Questions of private networks: to whom they go, to whom they never go, and who is met first. */
#include "ask/meet.h"
#include "router_scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static bool is_of_lab(const router_scene *s, const provider *p)
{
    return p->ask.has_network && tl_node_id_eq(&p->ask.network, &s->members.lab->id);
}

static void a_private_question_goes_to_a_member_and_never_to_the_public(void **state)
{
    (void)state;
    router_scene s;
    listener l = {0};
    router_scene_init(&s);
    router_scene_join(&s, TL_ROLE_CONSUMER);
    (void)router_scene_peer(&s, 3, "m"); /* known first, nearer, and a stranger */
    s.facts[3].rtt = 1;
    (void)router_scene_peer(&s, 2, "m");
    router_scene_member(&s, 2);
    tl_ask ask = router_scene_private(&s, "m");
    router_scene_ask_full(&s, &l, &ask);
    provider *p = router_scene_at(&s, 2);
    assert_true(is_of_lab(&s, p));
    provider_fail(p, TL_FAIL_QUEUE_FULL, "full");
    assert_asked(&s, 1);
    router_scene_discovered(&s, "m");
    assert_asked(&s, 1);
    assert_int_equal(l.fail, TL_FAIL_QUEUE_FULL);
    router_scene_clear(&s);
}

static void any_other_question_goes_to_a_member_for_its_network_and_then_to_the_public(void **state)
{
    (void)state;
    for (int any = 0; any < 2; any++) {
        router_scene s;
        listener l = {0};
        router_scene_init(&s);
        router_scene_join(&s, TL_ROLE_CONSUMER);
        s.access.ask_any = any;
        (void)router_scene_peer(&s, 3, "m");
        (void)router_scene_peer(&s, 2, "m");
        router_scene_member(&s, 2);
        router_scene_ask(&s, &l, "m");
        provider *p = router_scene_at(&s, 2);
        assert_true(is_of_lab(&s, p));
        provider_fail(p, TL_FAIL_QUEUE_FULL, "full");
        if (any) {
            assert_false(router_scene_at(&s, 3)->ask.has_network);
            provider_head(router_scene_at(&s, 3));
            provider_end(router_scene_at(&s, 3));
            assert_false(l.head.has_network);
        } else {
            assert_asked(&s, 1);
            router_scene_discovered(&s, "m");
            assert_int_equal(l.calls[ON_FAIL], 1);
        }
        router_scene_clear(&s);
    }
}

static void the_answer_tells_the_network(void **state)
{
    (void)state;
    router_scene s;
    listener l = {0};
    router_scene_init(&s);
    router_scene_join(&s, TL_ROLE_CONSUMER);
    (void)router_scene_peer(&s, 2, "m");
    router_scene_member(&s, 2);
    tl_ask ask = router_scene_private(&s, "m");
    router_scene_ask_full(&s, &l, &ask);
    provider_head(router_scene_at(&s, 2));
    provider_end(&s.providers[0]);
    assert_true(l.head.has_network && tl_node_id_eq(&l.head.network, &s.members.lab->id));
    router_scene_clear(&s);
}

static void who_claims_to_be_a_member_is_met_and_asked_only_with_its_certificate(void **state)
{
    (void)state;
    router_scene s;
    listener l = {0};
    router_scene_init(&s);
    router_scene_join(&s, TL_ROLE_CONSUMER);
    router_scene_claims(&s, router_scene_peer(&s, 2, "m"));
    router_scene_claims(&s, router_scene_peer(&s, 4, "n")); /* has another model */
    (void)router_scene_peer(&s, 3, "m");                    /* claims nothing */
    tl_ask ask = router_scene_private(&s, "m");
    router_scene_ask_full(&s, &l, &ask);
    assert_int_equal(s.n_wishes, 1);
    assert_true(router_scene_meets(&s, 2));
    router_scene_discovered(&s, "m");
    router_scene_connects(&s, 2);
    assert_asked(&s, 0); /* no word of the question before the certificate */
    router_scene_shows(&s, 2, TL_ROLE_PROVIDER);
    assert_true(is_of_lab(&s, router_scene_at(&s, 2)));
    provider_head(router_scene_at(&s, 2));
    provider_end(&s.providers[0]);
    assert_int_equal(l.calls[ON_END], 1);
    router_scene_clear(&s);
}

static void who_claims_and_shows_nothing_is_not_asked_and_left_alone_for_a_while(void **state)
{
    (void)state;
    for (int connects = 0; connects < 2; connects++) {
        router_scene s;
        listener l = {0}, again = {0}, later = {0};
        router_scene_init(&s);
        router_scene_join(&s, TL_ROLE_CONSUMER);
        router_scene_claims(&s, router_scene_peer(&s, 2, "m"));
        tl_ask ask = router_scene_private(&s, "m");
        router_scene_ask_full(&s, &l, &ask);
        router_scene_discovered(&s, "m");
        if (connects) {
            router_scene_connects(&s, 2);
            router_scene_pass(&s, TL_MEET_SHOW_WITHIN);
            tl_router_run(s.router);
        } else {
            router_scene_connects_not(&s, 2);
        }
        assert_int_equal(l.fail, TL_FAIL_NO_PROVIDER);
        assert_non_null(strstr(l.message, "network lab ("));
        assert_non_null(strstr(l.message, "has shown no certificate"));
        router_scene_ask_full(&s, &again, &ask);
        router_scene_discovered(&s, "m");
        assert_int_equal(again.fail, TL_FAIL_NO_PROVIDER);
        assert_int_equal(s.n_wishes, 0);
        router_scene_pass(&s, TL_MEET_AGAIN_ASKED);
        router_scene_ask_full(&s, &later, &ask);
        assert_true(router_scene_meets(&s, 2));
        listener_cancel(&later);
        assert_asked(&s, 0);
        router_scene_clear(&s);
    }
}

static void who_has_shown_a_certificate_that_does_not_suffice_is_not_met_again(void **state)
{
    (void)state;
    for (int named = 0; named < 2; named++) {
        router_scene s;
        listener l = {0}, again = {0};
        router_scene_init(&s);
        router_scene_join(&s, TL_ROLE_CONSUMER);
        router_scene_claims(&s, router_scene_peer(&s, 2, "m"));
        tl_ask ask = router_scene_private(&s, "m");
        ask.has_peer = named;
        ask.peer = router_scene_id(2);
        router_scene_ask_full(&s, &l, &ask);
        router_scene_connects(&s, 2);
        router_scene_shows(&s, 2, TL_ROLE_CONSUMER);
        router_scene_discovered(&s, "m");
        assert_int_equal(l.fail, TL_FAIL_NO_PROVIDER);
        router_scene_ask_full(&s, &again, &ask);
        router_scene_discovered(&s, "m");
        assert_int_equal(again.fail, TL_FAIL_NO_PROVIDER);
        assert_int_equal(s.n_wishes, 0);
        assert_asked(&s, 0);
        router_scene_clear(&s);
    }
}

static void a_question_does_not_wait_for_ever_for_one_that_dials(void **state)
{
    (void)state;
    router_scene s;
    listener l = {0};
    router_scene_init(&s);
    router_scene_join(&s, TL_ROLE_CONSUMER);
    router_scene_claims(&s, router_scene_peer(&s, 2, "m"));
    tl_ask ask = router_scene_private(&s, "m");
    router_scene_ask_full(&s, &l, &ask);
    router_scene_discovered(&s, "m");
    router_scene_pass(&s, TL_ROUTE_FIND_WITHIN - 1);
    assert_true(listener_heard_nothing(&l));
    router_scene_pass(&s, 1);
    assert_int_equal(l.fail, TL_FAIL_NO_PROVIDER);
    router_scene_clear(&s);
}

static void without_a_member_the_failure_names_the_network_and_the_reason(void **state)
{
    (void)state;
    enum { NOBODY, STRANGER, CONSUMER, BUSY, PAUSED, NO_RELAY, WAYS };
    static const struct {
        tl_fail fail;
        const char *words;
    } told[WAYS] = {
        [NOBODY] = {TL_FAIL_MODEL_NOT_LOADED, "no member in reach serves \"m\""},
        [STRANGER] = {TL_FAIL_MODEL_NOT_LOADED, "no member in reach serves \"m\""},
        [CONSUMER] = {TL_FAIL_NO_PROVIDER, "is a consumer"},
        [BUSY] = {TL_FAIL_NO_PROVIDER, "no member that serves \"m\" takes questions"},
        [PAUSED] = {TL_FAIL_NO_PROVIDER, "takes questions now: 1 of 1 is paused by the owner"},
        [NO_RELAY] = {TL_FAIL_NO_PROVIDER, "the cable is cut"},
    };
    for (int way = 0; way < WAYS; way++) {
        router_scene s;
        listener l = {0};
        router_scene_init(&s);
        router_scene_join(&s, TL_ROLE_CONSUMER);
        tl_peer *p = way == NOBODY || way == NO_RELAY ? NULL : router_scene_peer(&s, 2, "m");
        if (way == CONSUMER)
            router_scene_shows(&s, 2, TL_ROLE_CONSUMER);
        if (way == BUSY || way == PAUSED) {
            router_scene_member(&s, 2);
            p->available = false;
            p->paused = way == PAUSED;
        }
        s.relay_hopeless = way == NO_RELAY ? "the cable is cut" : NULL;
        tl_ask ask = router_scene_private(&s, "m");
        router_scene_ask_full(&s, &l, &ask);
        if (way != NO_RELAY)
            router_scene_discovered(&s, "m");
        assert_int_equal(l.calls[ON_FAIL], 1);
        assert_int_equal(l.fail, told[way].fail);
        assert_non_null(strstr(l.message, "network lab ("));
        assert_non_null(strstr(l.message, told[way].words));
        assert_int_equal(strstr(l.message, "paused") != NULL, way == PAUSED);
        assert_asked(&s, 0);
        router_scene_clear(&s);
    }
}

static void a_network_that_this_node_has_left_is_asked_for_in_vain(void **state)
{
    (void)state;
    router_scene s;
    listener l = {0};
    router_scene_init(&s);
    router_scene_join(&s, TL_ROLE_CONSUMER);
    (void)router_scene_peer(&s, 2, "m");
    router_scene_member(&s, 2);
    tl_ask ask = router_scene_private(&s, "m");
    tl_networks_leave(s.members.book, s.members.lab);
    router_scene_ask_full(&s, &l, &ask);
    assert_int_equal(l.fail, TL_FAIL_FORBIDDEN);
    assert_non_null(strstr(l.message, "network lab: "));
    router_scene_clear(&s);
}

static void where_only_members_are_asked_the_failure_says_so(void **state)
{
    (void)state;
    for (int any = 0; any < 2; any++) {
        router_scene s;
        listener l = {0};
        router_scene_init(&s);
        router_scene_join(&s, TL_ROLE_CONSUMER);
        s.access.ask_any = any;
        router_scene_ask(&s, &l, "m");
        router_scene_discovered(&s, "m");
        assert_int_equal(l.fail, TL_FAIL_MODEL_NOT_LOADED);
        assert_int_equal(strstr(l.message, "setting: ask") != NULL, !any);
        router_scene_clear(&s);
    }
}

static void a_node_that_serves_members_alone_is_not_asked_in_public(void **state)
{
    (void)state;
    for (int members_only = 0; members_only < 2; members_only++) {
        router_scene s;
        listener l = {0};
        router_scene_init(&s);
        router_scene_peer(&s, 2, "m")->members_only = members_only;
        router_scene_ask(&s, &l, "m");
        assert_asked(&s, (size_t)!members_only);
        listener_cancel(&l);
        router_scene_clear(&s);
    }
}

static void an_answer_ends_with_the_certificate_of_who_gives_it(void **state)
{
    (void)state;
    router_scene s;
    listener l = {0}, goes_on = {0};
    router_scene_init(&s);
    router_scene_join(&s, TL_ROLE_CONSUMER);
    tl_node_id good = router_scene_id(5),
               gone = s.members.authority.id; /* a key that a list names */
    (void)router_scene_peer(&s, 5, "other");
    router_scene_member(&s, 5);
    tl_peer *p = router_scene_peer(&s, gone.key[0], "x");
    assert_true(p->id.key[0] != good.key[0]);
    tl_peer *q = tl_peer_table_get(&s.table, &gone);
    q->available = true;
    q->models = p->models, q->n_models = 1;
    p->models = NULL, p->n_models = 0;
    members_add(&s.members, &gone, TL_ROLE_PROVIDER, TL_PTN_NO_END);
    tl_ask ask = router_scene_private(&s, "x"), other = router_scene_private(&s, "other");
    router_scene_ask_full(&s, &l, &ask);
    provider *bad = router_scene_at(&s, gone.key[0]);
    provider_head_of(bad, 200, "text/event-stream");
    provider_body(bad, "data: 1\n\n");
    router_scene_ask_full(&s, &goes_on, &other);
    members_revoke(&s.members, &gone);
    tl_router_on_book(s.router);
    assert_true(bad->cancelled);
    assert_int_equal(l.fail, TL_FAIL_FORBIDDEN);
    assert_non_null(strstr(l.message, "revoked"));
    provider_head(router_scene_at(&s, 5));
    provider_end(router_scene_at(&s, 5));
    assert_int_equal(goes_on.calls[ON_END], 1);
    listener_clear(&l);
    router_scene_clear(&s);
}

static void a_question_that_overtook_our_certificate_is_asked_once_more(void **state)
{
    (void)state;
    router_scene s;
    listener l = {0};
    router_scene_init(&s);
    router_scene_join(&s, TL_ROLE_CONSUMER);
    (void)router_scene_peer(&s, 2, "m");
    router_scene_member(&s, 2);
    tl_ask ask = router_scene_private(&s, "m");
    router_scene_ask_full(&s, &l, &ask);
    provider_fail(router_scene_at(&s, 2), TL_FAIL_FORBIDDEN, "no certificate");
    assert_asked(&s, 2);
    provider_fail(router_scene_at(&s, 2), TL_FAIL_FORBIDDEN, "no certificate");
    router_scene_discovered(&s, "m");
    assert_asked(&s, 2);
    assert_int_equal(l.fail, TL_FAIL_FORBIDDEN);
    router_scene_clear(&s);
}

static void the_own_model_server_answers_for_a_network_only_where_its_role_serves(void **state)
{
    (void)state;
    for (int role = 0; role < TL_ROLES; role++) {
        router_scene s;
        listener l = {0};
        router_scene_init(&s);
        router_scene_join(&s, (tl_role)role);
        s.models[0] = "m";
        tl_ask ask = router_scene_private(&s, "m");
        router_scene_ask_full(&s, &l, &ask);
        assert_asked(&s, (size_t)(role != TL_ROLE_CONSUMER));
        listener_cancel(&l);
        router_scene_clear(&s);
    }
}

static void a_named_peer_is_met_when_a_network_is_asked_for(void **state)
{
    (void)state;
    router_scene s;
    listener l = {0};
    router_scene_init(&s);
    router_scene_join(&s, TL_ROLE_CONSUMER);
    tl_ask ask = router_scene_private(&s, "m");
    ask.has_peer = true;
    ask.peer = router_scene_id(7); /* nothing is known of it */
    router_scene_ask_full(&s, &l, &ask);
    router_scene_connects(&s, 7);
    router_scene_shows(&s, 7, TL_ROLE_ADMIN);
    assert_true(is_of_lab(&s, router_scene_at(&s, 7)));
    provider_head(router_scene_at(&s, 7));
    provider_end(&s.providers[0]);
    router_scene_clear(&s);
}

static void those_that_are_listed_as_members_are_met_a_few_at_a_time(void **state)
{
    (void)state;
    router_scene s;
    router_scene_init(&s);
    router_scene_join(&s, TL_ROLE_CONSUMER);
    for (unsigned who = 10; who < 20; who++)
        router_scene_claims(&s, router_scene_peer(&s, who, "m"));
    router_scene_claims(&s, router_scene_peer(&s, 20, NULL)); /* serves nothing */
    (void)router_scene_peer(&s, 21, "m");                     /* claims nothing */
    router_scene_claims(&s, router_scene_peer(&s, 22, "m"));
    router_scene_member(&s, 22); /* was met before */
    tl_router_on_listed(s.router);
    assert_int_equal(s.n_wishes, TL_MEET_IDLE);
    for (unsigned who = 10; who < 20; who++) {
        router_scene_connects(&s, who);
        router_scene_shows(&s, who, TL_ROLE_PROVIDER);
    }
    assert_int_equal(s.n_wishes, 0);
    tl_router_on_listed(s.router);
    assert_int_equal(s.n_wishes, 0);
    router_scene_clear(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_private_question_goes_to_a_member_and_never_to_the_public),
        cmocka_unit_test(
            any_other_question_goes_to_a_member_for_its_network_and_then_to_the_public),
        cmocka_unit_test(the_answer_tells_the_network),
        cmocka_unit_test(who_claims_to_be_a_member_is_met_and_asked_only_with_its_certificate),
        cmocka_unit_test(who_claims_and_shows_nothing_is_not_asked_and_left_alone_for_a_while),
        cmocka_unit_test(who_has_shown_a_certificate_that_does_not_suffice_is_not_met_again),
        cmocka_unit_test(a_question_does_not_wait_for_ever_for_one_that_dials),
        cmocka_unit_test(without_a_member_the_failure_names_the_network_and_the_reason),
        cmocka_unit_test(a_network_that_this_node_has_left_is_asked_for_in_vain),
        cmocka_unit_test(where_only_members_are_asked_the_failure_says_so),
        cmocka_unit_test(a_node_that_serves_members_alone_is_not_asked_in_public),
        cmocka_unit_test(an_answer_ends_with_the_certificate_of_who_gives_it),
        cmocka_unit_test(a_question_that_overtook_our_certificate_is_asked_once_more),
        cmocka_unit_test(the_own_model_server_answers_for_a_network_only_where_its_role_serves),
        cmocka_unit_test(a_named_peer_is_met_when_a_network_is_asked_for),
        cmocka_unit_test(those_that_are_listed_as_members_are_met_a_few_at_a_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
