/* What strangers cost a node that may be introduced to them, and what they learn of it. */
#include "direct/direct.h"
#include "introduced_scene.h"

/* A PunchRequest for B by somebody new, who says that he is there. */
static tl_control request_by(tl_identity *id, const tl_addr *addr)
{
    tl_control c = request();
    assert_int_equal(tl_identity_new(&ends[A].rand, id), TL_OK);
    memcpy(c.initiator, id->id.key, sizeof c.initiator);
    c.addr = *addr;
    sign(&c, id);
    return c;
}

static bool is_remembered(const tl_identity *id)
{
    tl_direct_report r;
    return tl_direct_report_of(ends[B].direct, &id->id, &r);
}

static tl_addr victim_of(unsigned i)
{
    tl_addr a = victim;
    a.bytes[1] = (uint8_t)(14 + i / 250);
    a.bytes[2] = (uint8_t)(1 + i % 250);
    return a;
}

static void a_stranger_who_does_not_come_is_forgotten_and_one_we_know_is_not(void **state)
{
    (void)state;
    tl_identity id;
    tl_control c = request_by(&id, &victim);
    assert_int_equal(give(B, &carol, &c), TL_DIRECT_INTRO_TAKEN);
    assert_true(is_remembered(&id));
    wire_cut = true;
    known = &ends[A].identity.id;
    c = request();
    assert_int_equal(give(B, &carol, &c), TL_DIRECT_INTRO_TAKEN);
    run_for(10 * TL_SEC);
    assert_false(is_remembered(&id));
    assert_true(is_remembered(&ends[A].identity));
}

static void strangers_at_once_are_few_and_the_last_ones_have_their_turn(void **state)
{
    (void)state;
    static tl_identity ids[3 * TL_DIRECT_STRANGERS_MAX];
    size_t n = sizeof ids / sizeof *ids, left = 0;
    for (size_t i = 0; i < n; i++) {
        tl_addr at = victim_of((unsigned)i);
        tl_control c = request_by(&ids[i], &at);
        assert_int_equal(give(B, &carol, &c), TL_DIRECT_INTRO_TAKEN);
        now += 30 * TL_MS;
        queued = 0;
    }
    for (size_t i = 0; i < n; i++)
        left += is_remembered(&ids[i]);
    assert_true(left > 0 && left <= TL_DIRECT_STRANGERS_MAX);
    assert_true(is_remembered(&ids[n - 1]));
}

static void a_stranger_with_a_way_and_no_connection_is_forgotten_later(void **state)
{
    (void)state;
    want(A); /* B knows nobody, and A makes no connection */
    run_for(20 * TL_SEC);
    assert_int_equal(ways(B), 1);
    run_for(20 * TL_SEC);
    assert_false(is_remembered(&ends[A].identity));
}

static void a_stranger_does_not_learn_where_we_move(void **state)
{
    (void)state;
    tl_identity id;
    for (int us = 0; us < 2; us++) /* the twin is known */ {
        tl_control c = request_by(&id, &victim);
        known = us ? &id.id : NULL;
        assert_int_equal(give(B, &carol, &c), TL_DIRECT_INTRO_TAKEN);
        run_for(100 * TL_MS);
        assert_true(to_victim > 0);
        to_victim = 0;
        tl_direct_on_change(ends[B].direct, true);
        run_for(4 * TL_SEC);
        assert_int_equal(to_victim > 0, us);
        now += 10 * TL_SEC;
    }
}

static void a_false_address_gets_fewer_bytes_than_the_forger_sent(void **state)
{
    (void)state;
    tl_identity id;
    uint8_t bytes[TL_CONTROL_MAX];
    tl_control c = request_by(&id, &victim);
    size_t sent = tl_control_write(&c, bytes) + 28;
    assert_int_equal(give(B, &carol, &c), TL_DIRECT_INTRO_TAKEN);
    assert_int_equal(queued, 1); /* the PunchReady, which the introducer hands on to the victim */
    size_t through = queue[0].n + 28;
    run_for(20 * TL_SEC);
    assert_true(to_victim >= 4);
    assert_true(bytes_to_victim + through <= sent);
}

/* The nearest introducer keeps the answer to itself. */
static void each_introducer_that_was_asked_gets_the_answer_once(void **state)
{
    (void)state;
    tl_control first = request(), second = first;
    memcpy(second.introducer, introducer2.id.key, sizeof second.introducer);
    sign(&second, &ends[A].identity);
    carol_gone = true;
    assert_int_equal(give(B, &carol, &first), TL_DIRECT_INTRO_TAKEN);
    size_t before = to_dave;
    tl_control forged = second;
    forged.sig[0] ^= 1;
    assert_int_equal(give(B, &dave, &forged), TL_DIRECT_INTRO_FORGED);
    assert_int_equal(to_dave, before);
    assert_int_equal(give(B, &dave, &second), TL_DIRECT_INTRO_AGAIN);
    assert_int_equal(to_dave, before + 1);
    assert_int_equal(give(B, &dave, &second), TL_DIRECT_INTRO_REPLAYED);
    assert_int_equal(give(B, &carol, &first), TL_DIRECT_INTRO_REPLAYED);
    assert_int_equal(to_dave, before + 1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, introduced_setup, introduced_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_stranger_who_does_not_come_is_forgotten_and_one_we_know_is_not),
        TEST(strangers_at_once_are_few_and_the_last_ones_have_their_turn),
        TEST(a_stranger_with_a_way_and_no_connection_is_forgotten_later),
        TEST(a_stranger_does_not_learn_where_we_move),
        TEST(a_false_address_gets_fewer_bytes_than_the_forger_sent),
        TEST(each_introducer_that_was_asked_gets_the_answer_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
