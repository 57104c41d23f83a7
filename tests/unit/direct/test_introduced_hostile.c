/* Introductions at direct/direct: what others may not do with them, each beside what they may. */
#include "introduced_scene.h"

#include "direct/strangers.h"

#include <stdio.h>

static void a_request_counts_only_from_an_introducer_of_ours_and_for_us(void **state)
{
    (void)state;
    tl_control c = request();
    assert_int_equal(give(B, &victim, &c), TL_DIRECT_INTRO_FOREIGN);
    memcpy(c.introducer, ends[A].identity.id.key, sizeof c.introducer);
    sign(&c, &ends[A].identity);
    assert_int_equal(give(B, &carol, &c), TL_DIRECT_INTRO_FOREIGN);
    c = request();
    memcpy(c.target, introducer.id.key, sizeof c.target);
    sign(&c, &ends[A].identity);
    assert_int_equal(give(B, &carol, &c), TL_DIRECT_INTRO_FOREIGN);
    c = request();
    memcpy(c.initiator, ends[B].identity.id.key, sizeof c.initiator);
    sign(&c, &ends[B].identity);
    assert_int_equal(give(B, &carol, &c), TL_DIRECT_INTRO_FOREIGN);
    c = request();
    c.type = TL_CONTROL_PUNCH_INTRO; /* as if this node introduced others */
    assert_int_equal(give(B, &ends[A].addr, &c), TL_DIRECT_INTRO_FOREIGN);
    c = request();
    assert_int_equal(give(B, &carol, &c), TL_DIRECT_INTRO_TAKEN);
}

static void a_request_that_is_forged_late_or_replayed_makes_nothing_go_out(void **state)
{
    (void)state;
    tl_control c = request();
    sign(&c, &introducer);
    assert_int_equal(give(B, &carol, &c), TL_DIRECT_INTRO_FORGED);
    c = request();
    c.addr = victim; /* not what was signed */
    assert_int_equal(give(B, &carol, &c), TL_DIRECT_INTRO_FORGED);
    for (int by = -31; by <= 31; by += 62) {
        c = request();
        c.timestamp = (uint64_t)(env_wall(NULL) + by);
        sign(&c, &ends[A].identity);
        assert_int_equal(give(B, &carol, &c), TL_DIRECT_INTRO_LATE);
    }
    assert_int_equal(queued, 0);
    c = request();
    c.timestamp = (uint64_t)(env_wall(NULL) - 30);
    sign(&c, &ends[A].identity);
    assert_int_equal(give(B, &carol, &c), TL_DIRECT_INTRO_TAKEN);
    assert_true(queued);
    queued = 0;
    assert_int_equal(give(B, &carol, &c), TL_DIRECT_INTRO_REPLAYED);
    assert_int_equal(queued, 0);
}

static void who_may_not_ask_us_learns_nothing(void **state)
{
    (void)state;
    tl_control c = request();
    refuse = true;
    assert_int_equal(give(B, &carol, &c), TL_DIRECT_INTRO_UNWELCOME);
    assert_int_equal(queued, 0);
    refuse = false;
    assert_int_equal(give(B, &carol, &c), TL_DIRECT_INTRO_TAKEN);
}

static void who_nobody_knows_is_answered_where_strangers_may_come(void **state)
{
    (void)state;
    tl_control c = request();
    refuse = true;
    assert_int_equal(give(B, &carol, &c), TL_DIRECT_INTRO_UNWELCOME);
    greet = true;
    assert_int_equal(give(B, &carol, &c), TL_DIRECT_INTRO_TAKEN);
    assert_true(queued);
    assert_int_equal(tl_direct_counters_of(ends[B].direct)->strangers, 1);
    queued = 0;
    c = request();
    sign(&c, &introducer);
    assert_int_equal(give(B, &carol, &c), TL_DIRECT_INTRO_FORGED);
    assert_int_equal(give(B, &victim, &c), TL_DIRECT_INTRO_FOREIGN);
    assert_int_equal(queued, 0);
    want(A);
    run_for(300 * TL_MS);
    assert_true(ways(A) && ways(B));
}

/* Keys are free: each introduction is of another node. */
static tl_direct_intro_result give_stranger(const char *addr)
{
    end stranger = ends[A];
    uint8_t nonce[TL_CONTROL_NONCE_SIZE];
    assert_int_equal(tl_identity_new(&ends[A].rand, &stranger.identity), TL_OK);
    tl_rand_bytes(&ends[A].rand, nonce, sizeof nonce);
    stranger.addr = addr_of(addr);
    tl_control c = intro_of(&stranger, introducer.id.key, &ends[B].identity.id, nonce);
    c.type = TL_CONTROL_PUNCH_REQUEST;
    tl_direct_intro_result r = give(B, &carol, &c);
    queued = 0;
    return r;
}

static void strangers_of_one_network_leave_room_for_others_and_for_whom_we_know(void **state)
{
    (void)state;
    char addr[TL_ADDR_TEXT_MAX];
    refuse = greet = true;
    for (int i = 0; i < TL_STRANGERS_NETWORK_BURST; i++) {
        snprintf(addr, sizeof addr, "45.13.50.%d:4000", i + 1);
        assert_int_equal(give_stranger(addr), TL_DIRECT_INTRO_TAKEN);
    }
    assert_int_equal(give_stranger("45.13.50.99:4000"), TL_DIRECT_INTRO_UNWELCOME);
    assert_int_equal(give_stranger("45.13.51.1:4000"), TL_DIRECT_INTRO_TAKEN);
    for (int i = TL_STRANGERS_NETWORK_BURST + 1; i < TL_STRANGERS_BURST; i++) {
        snprintf(addr, sizeof addr, "45.14.%d.1:4000", i);
        (void)give_stranger(addr);
    }
    for (int i = 0; i < TL_STRANGERS_BURST; i++) { /* some share a place */
        snprintf(addr, sizeof addr, "45.15.%d.1:4000", i);
        (void)give_stranger(addr);
    }
    assert_int_equal(give_stranger("45.16.1.1:4000"), TL_DIRECT_INTRO_UNWELCOME);
    assert_true(tl_direct_counters_of(ends[B].direct)->strangers <= TL_STRANGERS_BURST);
    refuse = false;
    assert_int_equal(give_stranger("45.13.50.100:4000"), TL_DIRECT_INTRO_TAKEN);
}

static void an_address_that_stays_silent_gets_five_datagrams(void **state)
{
    (void)state;
    tl_control c = request();
    c.addr = victim;
    sign(&c, &ends[A].identity);
    assert_int_equal(give(B, &carol, &c), TL_DIRECT_INTRO_TAKEN);
    run_for(20 * TL_SEC);
    assert_true(to_victim > 1 && to_victim <= 5);
}

static void one_initiator_is_answered_some_times_in_ten_seconds(void **state)
{
    (void)state;
    tl_control c;
    for (int i = 0; i <= TL_DIRECT_ANSWERS; i++) {
        c = request();
        assert_int_equal(give(B, &carol, &c),
                         i < TL_DIRECT_ANSWERS ? TL_DIRECT_INTRO_TAKEN : TL_DIRECT_INTRO_UNWELCOME);
    }
    now += 10 * TL_SEC;
    c = request();
    assert_int_equal(give(B, &carol, &c), TL_DIRECT_INTRO_TAKEN);
}

static void addresses_to_which_nothing_is_sent_are_refused(void **state)
{
    (void)state;
    const char *const bad[] = {"127.0.0.1:80", "224.0.0.1:80", "169.254.169.254:80"};
    for (size_t i = 0; i < 3; i++) {
        tl_control c = request();
        c.addr = addr_of(bad[i]);
        sign(&c, &ends[A].identity);
        assert_int_equal(give(B, &carol, &c), TL_DIRECT_INTRO_ADDRESS);
        assert_int_equal(queued, 0);
    }
}

static void a_punch_ready_that_nobody_waits_for_is_dropped(void **state)
{
    (void)state;
    tl_control c = request();
    c.type = TL_CONTROL_PUNCH_READY;
    c.addr = victim;
    sign(&c, &ends[B].identity);
    assert_int_equal(give(A, &ends[B].addr, &c), TL_DIRECT_INTRO_FOREIGN);
    wire_cut = true; /* so that the answer is this one */
    want(A);
    deliver(); /* to carol, */
    deliver(); /* and to B */
    tl_control other = last_intro;
    other.type = TL_CONTROL_PUNCH_READY;
    other.addr = ends[B].addr;
    other.timestamp = (uint64_t)env_wall(NULL);
    queued = 0;
    tl_control wrong = other; /* another nonce */
    wrong.nonce[0] ^= 1;
    sign(&wrong, &ends[B].identity);
    assert_int_equal(give(A, &carol, &wrong), TL_DIRECT_INTRO_FOREIGN);
    wrong = other; /* of another target */
    memcpy(wrong.target, introducer.id.key, sizeof wrong.target);
    sign(&wrong, &introducer);
    assert_int_equal(give(A, &carol, &wrong), TL_DIRECT_INTRO_FOREIGN);
    wrong = other;
    sign(&wrong, &introducer);
    assert_int_equal(give(A, &carol, &wrong), TL_DIRECT_INTRO_FORGED);
    wrong = other;
    wrong.timestamp -= 31;
    sign(&wrong, &ends[B].identity);
    assert_int_equal(give(A, &carol, &wrong), TL_DIRECT_INTRO_LATE);
    sign(&other, &ends[B].identity);
    assert_int_equal(give(A, &carol, &other), TL_DIRECT_INTRO_TAKEN);
    assert_int_equal(give(A, &carol, &other), TL_DIRECT_INTRO_FOREIGN);
}

static void truncated_datagrams_and_other_types_do_nothing(void **state)
{
    (void)state;
    uint8_t bytes[TL_CONTROL_MAX];
    tl_control c = request();
    size_t n = tl_control_write(&c, bytes);
    for (size_t i = 2; i < n; i++)
        assert_true(tl_direct_on_control(ends[B].direct, 1, &carol, tl_slice_of(bytes, i)));
    assert_int_equal(requests(B, TL_DIRECT_INTRO_MALFORMED), n - 2);
    bytes[1] = TL_CONTROL_ATTACHED;
    assert_false(tl_direct_on_control(ends[B].direct, 1, &carol, tl_slice_of(bytes, n)));
    bytes[1] = TL_CONTROL_PUNCH_REQUEST;
    tl_direct_set_enabled(ends[B].direct, false);
    assert_int_equal(give(B, &carol, &c), TL_DIRECT_INTRO_USELESS);
    tl_direct_set_enabled(ends[B].direct, true);
    assert_int_equal(give(B, &carol, &c), TL_DIRECT_INTRO_TAKEN);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, introduced_setup, introduced_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_request_counts_only_from_an_introducer_of_ours_and_for_us),
        TEST(a_request_that_is_forged_late_or_replayed_makes_nothing_go_out),
        TEST(who_may_not_ask_us_learns_nothing),
        TEST(who_nobody_knows_is_answered_where_strangers_may_come),
        TEST(strangers_of_one_network_leave_room_for_others_and_for_whom_we_know),
        TEST(an_address_that_stays_silent_gets_five_datagrams),
        TEST(one_initiator_is_answered_some_times_in_ten_seconds),
        TEST(addresses_to_which_nothing_is_sent_are_refused),
        TEST(a_punch_ready_that_nobody_waits_for_is_dropped),
        TEST(truncated_datagrams_and_other_types_do_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
