/* Nodes of the old protocol, which are asked in clear: when, and when not. */
#include "router_scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static router_scene s;
static listener l;

static int setup(void **state)
{
    (void)state;
    router_scene_init(&s);
    s.access.in_clear = true;
    l = (listener){0};
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    router_scene_clear(&s);
    listener_clear(&l);
    return 0;
}

static tl_peer *old_peer(unsigned who)
{
    tl_peer *p = router_scene_peer(&s, who, "m");
    s.facts[who].connected = false;
    p->in_clear = p->listed = true;
    return p;
}

static void an_old_node_is_asked_when_the_relay_knows_no_better_one(void **state)
{
    (void)state;
    old_peer(2);
    router_scene_ask(&s, &l, "m");
    assert_asked(&s, 0);
    assert_int_equal(s.discovers, 1);
    router_scene_discovered(&s, "m");
    provider *p = router_scene_at(&s, 2);
    assert_true(p->in_clear);
    provider_head(p);
    provider_body(p, "a");
    provider_end(p);
    assert_int_equal(l.calls[ON_END], 1);
}

static void the_relay_that_knows_a_better_one_keeps_it_from_being_asked(void **state)
{
    (void)state;
    old_peer(2);
    router_scene_ask(&s, &l, "m");
    router_scene_peer(&s, 3, "m");
    router_scene_discovered(&s, "m");
    provider *p = router_scene_at(&s, 3);
    assert_false(p->in_clear);
    provider_head(p);
    provider_end(p);
    assert_asked(&s, 1);
}

static void an_old_node_comes_after_everybody_even_those_that_failed(void **state)
{
    (void)state;
    tl_peer *bad = router_scene_peer(&s, 3, "m");
    tl_peer *old = old_peer(2);
    old->tier = 1;
    bad->unusable_until = s.env.now + TL_MIN;
    router_scene_ask(&s, &l, "m");
    router_scene_discovered(&s, "m");
    provider_fail(router_scene_at(&s, 3), TL_FAIL_INTERNAL, "no");
    provider *p = router_scene_at(&s, 2);
    assert_true(p->in_clear);
    provider_head(p);
    provider_end(p);
}

/* While one over Noise may still come, the question does not go in clear as early as it would go to
 * another one over Noise. */
static void beside_a_silent_one_an_old_node_is_asked_late(void **state)
{
    (void)state;
    router_scene_peer(&s, 3, "m");
    old_peer(2);
    router_scene_ask(&s, &l, "m");
    (void)router_scene_at(&s, 3);
    router_scene_discovered(&s, "m");
    router_scene_pass(&s, 4 * TL_SEC);
    assert_asked(&s, 1);
    router_scene_pass(&s, 1 * TL_SEC);
    assert_asked(&s, 2);
    provider *p = router_scene_at(&s, 2);
    provider_head(p);
    provider_body(p, "a");
    provider_end(p);
}

static void beside_a_silent_one_another_over_noise_is_asked_soon(void **state)
{
    (void)state;
    router_scene_peer(&s, 3, "m");
    router_scene_peer(&s, 4, "m");
    router_scene_ask(&s, &l, "m");
    router_scene_pass(&s, 4 * TL_SEC);
    assert_asked(&s, 2);
    listener_cancel(&l);
}

static void where_the_setting_is_off_nobody_is_asked_in_clear_and_the_reason_is_told(void **state)
{
    (void)state;
    s.access.in_clear = false;
    old_peer(2);
    router_scene_ask(&s, &l, "m");
    router_scene_discovered(&s, "m");
    assert_asked(&s, 0);
    assert_int_equal(l.fail, TL_FAIL_NO_PROVIDER);
    assert_non_null(strstr(l.message, "legacy_plaintext"));
    /* Nor by name. */
    listener named = {0};
    tl_ask ask = router_scene_question_to("m", 2);
    router_scene_ask_full(&s, &named, &ask);
    router_scene_discovered(&s, "m");
    assert_asked(&s, 0);
    assert_int_equal(named.calls[ON_FAIL], 1);
    assert_int_equal(named.fail, TL_FAIL_NO_PROVIDER);
    assert_non_null(strstr(named.message, "legacy_plaintext"));
}

static void an_old_node_that_is_named_is_asked_at_once(void **state)
{
    (void)state;
    old_peer(2);
    tl_ask ask = router_scene_question_to("m", 2);
    router_scene_ask_full(&s, &l, &ask);
    provider *p = router_scene_at(&s, 2);
    assert_true(p->in_clear);
    provider_head(p);
    provider_end(p);
}

static void the_old_protocol_carries_chats_alone(void **state)
{
    (void)state;
    old_peer(2);
    tl_ask ask = router_scene_question("m");
    snprintf(ask.path, sizeof ask.path, "/v1/embeddings");
    router_scene_ask_full(&s, &l, &ask);
    router_scene_discovered(&s, "m");
    assert_asked(&s, 0);
    assert_int_equal(l.calls[ON_FAIL], 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(an_old_node_is_asked_when_the_relay_knows_no_better_one),
        TEST(the_relay_that_knows_a_better_one_keeps_it_from_being_asked),
        TEST(an_old_node_comes_after_everybody_even_those_that_failed),
        TEST(beside_a_silent_one_an_old_node_is_asked_late),
        TEST(beside_a_silent_one_another_over_noise_is_asked_soon),
        TEST(where_the_setting_is_off_nobody_is_asked_in_clear_and_the_reason_is_told),
        TEST(an_old_node_that_is_named_is_asked_at_once),
        TEST(the_old_protocol_carries_chats_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
