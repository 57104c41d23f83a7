/* Introductions at direct/direct under a flood of forged ones: who still gets an answer. B is reached by strangers, and
 * its own introducer. */
#include "introduced_scene.h"

#include "direct/introbudget.h"

/* A PunchIntro of A for B, which introduces itself. */
static tl_control intro(void)
{
    uint8_t nonce[TL_CONTROL_NONCE_SIZE];
    tl_rand_bytes(&ends[A].rand, nonce, sizeof nonce);
    return intro_of(&ends[A], ends[B].identity.id.key, &ends[B].identity.id, nonce);
}

/* 500 a second, each from another address, for so long. In the name of A where `as_a`; else their initiators are no
 * keys that anybody has. */
static void forge(unsigned seconds, bool as_a, bool request)
{
    tl_control c = intro();
    tl_addr from = c.addr;
    if (request) {
        memcpy(c.introducer, introducer.id.key, sizeof c.introducer);
        c.type = TL_CONTROL_PUNCH_REQUEST;
        from = carol;
    }
    for (unsigned i = 0; i < seconds * 500; i++) {
        now += TL_SEC / 500;
        c.timestamp = (uint64_t)env_wall(NULL);
        if (!request) {
            from.bytes[0] = (uint8_t)(60 + i % 100);
            from.bytes[1] = (uint8_t)(i / 100);
            c.addr = from;
        }
        memcpy(c.initiator, as_a ? ends[A].identity.id.key : introducer.id.key, sizeof c.initiator);
        tl_rand_bytes(&ends[B].rand, c.nonce, sizeof c.nonce);
        tl_rand_bytes(&ends[B].rand, c.sig, sizeof c.sig);
        (void)give(B, &from, &c);
    }
    assert_true(requests(B, TL_DIRECT_INTRO_UNWELCOME) > 0); /* the budget of all is used up */
    assert_int_equal(queued, 0);
}

static void a_flood_uses_up_nothing_of_those_whose_address_is_proven(void **state)
{
    (void)state;
    forge(2, true, false);
    tl_control c = intro();
    assert_int_equal(give(B, &ends[A].addr, &c), TL_DIRECT_INTRO_UNWELCOME);
    proven = &ends[A].addr;
    c = intro();
    assert_int_equal(give(B, &ends[A].addr, &c), TL_DIRECT_INTRO_TAKEN);
}

static void a_flood_of_strangers_uses_up_nothing_of_nodes_that_are_known(void **state)
{
    (void)state;
    forge(2, false, false);
    tl_control c = intro();
    assert_int_equal(give(B, &ends[A].addr, &c), TL_DIRECT_INTRO_UNWELCOME);
    known = &ends[A].identity.id;
    c = intro();
    assert_int_equal(give(B, &ends[A].addr, &c), TL_DIRECT_INTRO_TAKEN);
}

static void a_flood_of_punch_intros_uses_up_nothing_of_an_introducers_requests(void **state)
{
    (void)state;
    forge(2, true, false);
    tl_control c = request();
    assert_int_equal(give(B, &carol, &c), TL_DIRECT_INTRO_TAKEN);
}

static void a_flood_as_from_an_introducer_uses_up_nothing_of_punch_intros_or_readies(void **state)
{
    (void)state;
    forge(2, true, true);
    tl_control c = request();
    assert_int_equal(give(B, &carol, &c), TL_DIRECT_INTRO_UNWELCOME);
    wire_cut = true;
    want(B);
    deliver();
    deliver();
    queued = 0;
    tl_control ready = last_intro;
    ready.type = TL_CONTROL_PUNCH_READY;
    ready.addr = ends[A].addr;
    sign(&ready, &ends[A].identity);
    assert_int_equal(give(B, &carol, &ready), TL_DIRECT_INTRO_TAKEN);
    c = intro();
    assert_int_equal(give(B, &ends[A].addr, &c), TL_DIRECT_INTRO_TAKEN);
}

static void the_signatures_that_are_checked_are_bounded(void **state)
{
    (void)state;
    known = &ends[A].identity.id;
    forge(4, true, false);
    forge(4, true, true);
    assert_true(requests(B, TL_DIRECT_INTRO_FORGED) <=
                (4 + 8 * 1) + (120 + 4 * 60) + (100 + 4 * 50));
}

static void forged_punch_readies_cost_eight_checks_of_one_session(void **state)
{
    (void)state;
    wire_cut = true;
    want(A);
    deliver();
    deliver();
    queued = 0;
    tl_control ready = last_intro;
    ready.type = TL_CONTROL_PUNCH_READY;
    ready.addr = ends[B].addr;
    for (int i = 0; i < 20; i++) {
        tl_rand_bytes(&ends[B].rand, ready.sig, sizeof ready.sig);
        assert_int_equal(give(A, &carol, &ready),
                         i < 8 ? TL_DIRECT_INTRO_FORGED : TL_DIRECT_INTRO_UNWELCOME);
    }
}

/* The nonces of all budgets, as fast as they may come, have room for 61 s. */
static void no_nonce_is_forgotten_before_its_time(void **state)
{
    (void)state;
    static tl_introbudget b;
    size_t taken = 0, strangers = 50 + 61 * 50, vouched = 200 + 61 * 100;
    tl_introbudget_init(&b, 0);
    for (unsigned i = 0; i < 61 * 1000; i++) {
        tl_node_id id = {.key = {(uint8_t)i, (uint8_t)(i >> 8)}};
        tl_addr from = carol;
        from.bytes[0] = (uint8_t)(i >> 8);
        from.bytes[1] = (uint8_t)i;
        taken += tl_introbudget_take(&b, &id, i % 2, &from, i * TL_MS);
        taken += tl_introbudget_take(&b, NULL, i % 2 == 0, &from, i * TL_MS);
    }
    assert_true(taken > 61 * 150);
    assert_true(taken + strangers + vouched <= TL_INTROBUDGET_NONCES_MAX);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, introduced_setup, introduced_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_flood_uses_up_nothing_of_those_whose_address_is_proven),
        TEST(a_flood_of_strangers_uses_up_nothing_of_nodes_that_are_known),
        TEST(a_flood_of_punch_intros_uses_up_nothing_of_an_introducers_requests),
        TEST(a_flood_as_from_an_introducer_uses_up_nothing_of_punch_intros_or_readies),
        TEST(the_signatures_that_are_checked_are_bounded),
        TEST(forged_punch_readies_cost_eight_checks_of_one_session),
        TEST(no_nonce_is_forgotten_before_its_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
