/* Introductions at direct/direct: how two nodes get a way to each other by them. */
#include "introduced_scene.h"

static void two_that_are_introduced_have_a_way(void **state)
{
    (void)state;
    tl_direct_report r;
    want(A);
    run_for(300 * TL_MS);
    assert_true(ways(A) && ways(B));
    assert_int_equal(ends[A].asked, 1);
    assert_int_equal(requests(B, TL_DIRECT_INTRO_TAKEN), 1);
    assert_int_equal(readies(A, TL_DIRECT_INTRO_TAKEN), 1);
    assert_int_equal(readies(A, TL_DIRECT_INTRO_FOREIGN), 1); /* the second, by the other way */
    assert_true(tl_direct_report_of(ends[A].direct, &ends[B].identity.id, &r) && r.introduced);
}

/* All attempts that this end counted, and all successes, are by A's NAT and B's. */
static void counted_once(int i, tl_control_nat a, tl_control_nat b)
{
    const tl_punch_counters *n = tl_direct_punches(ends[i].direct);
    for (int x = 0; x < TL_CONTROL_NATS; x++)
        for (int y = 0; y < TL_CONTROL_NATS; y++) {
            uint64_t count = x == (int)a && y == (int)b;
            assert_int_equal(n->attempts[x][y], count);
            assert_int_equal(n->successes[x][y], count);
        }
}

static void both_sides_count_an_introduction_by_the_nat_of_who_asked_for_it(void **state)
{
    (void)state;
    ends[A].facts.mapping = TL_MAPPING_ADDRESS_AND_PORT_DEPENDENT;
    ends[B].facts.mapping = TL_MAPPING_NONE;
    want(A);
    run_for(300 * TL_MS);
    assert_true(ways(A) && ways(B));
    counted_once(A, TL_CONTROL_NAT_SYMMETRIC, TL_CONTROL_NAT_PUBLIC);
    counted_once(B, TL_CONTROL_NAT_SYMMETRIC, TL_CONTROL_NAT_PUBLIC);
}

static bool pairs_with(int i, const tl_addr *addr)
{
    tl_direct_report r;
    assert_true(tl_direct_report_of(ends[i].direct, &ends[!i].identity.id, &r));
    for (size_t k = 0; k < r.n_pairs; k++)
        if (tl_addr_eq(&r.pairs[k].remote, addr))
            return true;
    return false;
}

/* B's NAT shows the STUN servers another address than A, to whom B is attached. */
static void who_introduces_needs_nobody_to_reach_who_is_attached_to_it(void **state)
{
    (void)state;
    tl_control c;
    ends[A].introduces = true;
    ends[B].facts.public4 = addr_of("45.13.2.99:1111");
    want(A);
    assert_int_equal(queued, 1);
    deliver();
    assert_int_equal(requests(B, TL_DIRECT_INTRO_TAKEN), 1);
    parcel first = queue[0];
    assert_int_equal(tl_control_parse(tl_slice_of(first.bytes, first.n), &c), TL_OK);
    assert_true(first.to == A && c.type == TL_CONTROL_PUNCH_READY);
    memmove(queue, queue + 1, --queued * sizeof *queue);
    assert_int_equal(give(A, &ends[B].addr, &c), TL_DIRECT_INTRO_TAKEN);
    assert_true(pairs_with(A, &ends[B].addr) && pairs_with(A, &ends[B].facts.public4));
    run_for(300 * TL_MS);
    assert_true(ways(A) && ways(B));
    assert_int_equal(readies(A, TL_DIRECT_INTRO_FOREIGN), 0); /* it is answered once */
}

static void an_introduction_is_asked_for_four_times_and_then_given_up(void **state)
{
    (void)state;
    carol_gone = true;
    want(A);
    run_for(900 * TL_MS);
    assert_int_equal(ends[A].asked, 1);
    run_for(200 * TL_MS);
    assert_int_equal(ends[A].asked, 2);
    run_for(1 * TL_SEC);
    assert_int_equal(ends[A].asked, 3);
    run_for(2 * TL_SEC);
    assert_int_equal(ends[A].asked, TL_DIRECT_INTRODUCTIONS);
    assert_int_equal(state_of(A), TL_DIRECT_OFFERED);
    run_for(2 * TL_SEC);
    assert_int_equal(state_of(A), TL_DIRECT_UNANSWERED);
    assert_int_equal(ends[A].asked, TL_DIRECT_INTRODUCTIONS);
    carol_gone = false;
    tl_direct_hurry(ends[A].direct, &ends[B].identity.id);
    run_for(TL_SEC);
    assert_true(ways(A));
}

static void a_lost_introduction_is_made_up_for(void **state)
{
    (void)state;
    carol_gone = true;
    want(A);
    run_for(500 * TL_MS);
    carol_gone = false;
    run_for(TL_SEC);
    assert_int_equal(ends[A].asked, 2);
    assert_true(ways(A) && ways(B));
}

static void who_has_nobody_to_ask_tries_when_somebody_was_found(void **state)
{
    (void)state;
    ends[A].alone = true;
    want(A);
    assert_int_equal(state_of(A), TL_DIRECT_NEVER);
    assert_false(tl_direct_is_on(ends[A].direct, &ends[B].identity.id));
    ends[A].alone = false;
    tl_direct_hurry(ends[A].direct, &ends[B].identity.id);
    assert_true(tl_direct_is_on(ends[A].direct, &ends[B].identity.id));
    run_for(300 * TL_MS);
    assert_true(ways(A));
}

static void both_may_ask_at_once(void **state)
{
    (void)state;
    want(A);
    want(B);
    run_for(2 * TL_SEC);
    assert_true(ways(A) && ways(B));
}

static void a_public_peer_introduces_itself(void **state)
{
    (void)state;
    uint8_t nonce[TL_CONTROL_NONCE_SIZE] = {1};
    const end *b = &ends[B];
    tl_control c = intro_of(&ends[A], b->identity.id.key, &b->identity.id, nonce);
    assert_int_equal(give(B, &carol, &c), TL_DIRECT_INTRO_FOREIGN); /* not from where it says */
    assert_int_equal(give(B, &ends[A].addr, &c), TL_DIRECT_INTRO_TAKEN);
    assert_true(queued && queue[0].to == A);
    assert_int_equal(give(B, &ends[A].addr, &c), TL_DIRECT_INTRO_REPLAYED);
}

static void after_a_move_both_are_introduced_anew_at_once(void **state)
{
    (void)state;
    want(A);
    run_for(300 * TL_MS);
    assert_true(ways(A) && ways(B));
    assert_int_equal(ends[A].asked, 1);
    ends[A].addr = ends[A].facts.public4 = addr_of("45.13.1.77:4000");
    ends[A].asked = 0;
    tl_direct_on_change(ends[A].direct, true);
    assert_int_equal(ends[A].asked, 1);
    run_for(300 * TL_MS);
    tl_direct_way list[TL_DIRECT_WAYS_MAX];
    size_t n = tl_direct_ways(ends[B].direct, &ends[A].identity.id, list), there = 0;
    for (size_t i = 0; i < n; i++)
        there += tl_addr_eq(&list[i].remote, &ends[A].addr);
    assert_int_equal(there, 1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, introduced_setup, introduced_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(two_that_are_introduced_have_a_way),
        TEST(both_sides_count_an_introduction_by_the_nat_of_who_asked_for_it),
        TEST(who_introduces_needs_nobody_to_reach_who_is_attached_to_it),
        TEST(an_introduction_is_asked_for_four_times_and_then_given_up),
        TEST(a_lost_introduction_is_made_up_for),
        TEST(who_has_nobody_to_ask_tries_when_somebody_was_found),
        TEST(both_may_ask_at_once),
        TEST(a_public_peer_introduces_itself),
        TEST(after_a_move_both_are_introduced_anew_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
