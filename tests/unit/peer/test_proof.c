/* Does a direct way carry anything? The guarantees of peer/proof.h. */
#include "peer/proof.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define T0 (50 * TL_SEC)
#define E  TL_PROOF_EVERY

static tl_proof looking(uint64_t heard)
{
    tl_proof f = tl_proof_new();
    tl_proof_begin(&f, heard, T0);
    return f;
}

static void without_a_begin_nothing_is_due(void **state)
{
    (void)state;
    tl_proof f = tl_proof_new();
    assert_int_equal(f.state, TL_PROOF_RESTING);
    assert_int_equal(tl_proof_expiry(&f), TL_NEVER);
    assert_false(tl_proof_is_due(&f, T0));
    tl_proof_begin(&f, 7, T0);
    assert_int_equal(f.state, TL_PROOF_LOOKING);
    assert_int_equal(tl_proof_expiry(&f), T0 + E);
    assert_false(tl_proof_is_due(&f, T0 + E - 1));
    assert_true(tl_proof_is_due(&f, T0 + E));
}

static void a_second_begin_puts_nothing_off(void **state)
{
    (void)state;
    tl_proof f = looking(7);
    tl_proof_begin(&f, 9, T0 + E / 2);
    assert_int_equal(tl_proof_expiry(&f), T0 + E);
    assert_int_equal(f.heard, 7);
}

static void an_end_rests_from_either_state_and_a_begin_starts_afresh(void **state)
{
    (void)state;
    tl_proof f = looking(7);
    for (unsigned n = 1; n <= TL_PROOF_QUIET; n++)
        (void)tl_proof_look(&f, 7, false, 0, T0 + n * E);
    assert_int_equal(f.state, TL_PROOF_BARREN);
    (void)tl_proof_look(&f, 7, false, 0, T0 + 10 * E);
    tl_proof_end(&f);
    assert_int_equal(f.state, TL_PROOF_RESTING);
    assert_int_equal(tl_proof_expiry(&f), TL_NEVER);
    tl_proof_begin(&f, 7, T0);
    assert_int_equal(f.state, TL_PROOF_LOOKING);
    assert_int_equal(f.quiet, 0);
    tl_proof_end(&f);
    assert_int_equal(f.state, TL_PROOF_RESTING);
}

/* Looks in vain until a way is found barren, all at once after the last packet. */
static unsigned looks_until_barren(tl_time rtt, bool unanswered)
{
    tl_proof f = looking(7);
    unsigned n = 1;
    for (tl_time at = T0 + E; !tl_proof_look(&f, unanswered ? 7 + n : 7, unanswered, rtt, at);
         n++) {
        assert_int_equal(f.state, TL_PROOF_LOOKING);
        assert_int_equal(tl_proof_expiry(&f), at + E);
        at += E;
        assert_true(n < 100);
    }
    assert_int_equal(f.state, TL_PROOF_BARREN);
    assert_int_equal(tl_proof_expiry(&f), T0 + (n + 1) * E);
    return n;
}

/* The first look may come right after a packet that was counted before it, hence one more in the
 * header's formula. */
static void a_silent_way_is_barren_after_three_looks_and_those_of_a_round_trip(void **state)
{
    (void)state;
    assert_int_equal(looks_until_barren(0, false), TL_PROOF_QUIET);
    assert_int_equal(looks_until_barren(E - 1, false), TL_PROOF_QUIET);
    assert_int_equal(looks_until_barren(E, false), TL_PROOF_QUIET + 1);
    assert_int_equal(looks_until_barren(5 * E, false), TL_PROOF_QUIET + 5);
}

static void what_comes_does_not_count_while_nothing_of_ours_is_acknowledged(void **state)
{
    (void)state;
    assert_int_equal(looks_until_barren(0, true), TL_PROOF_QUIET);
}

static void a_packet_between_any_two_looks_keeps_a_way(void **state)
{
    (void)state;
    tl_proof f = looking(7);
    for (unsigned n = 1; n <= 100; n++) {
        assert_false(tl_proof_look(&f, 7 + n, false, 0, T0 + n * E));
        assert_int_equal(f.state, TL_PROOF_LOOKING);
    }
    /* and one in time begins the count anew */
    for (unsigned n = 101; n <= 200; n++)
        assert_false(tl_proof_look(&f, 107 + n / TL_PROOF_QUIET, false, 0, T0 + n * E));
    assert_int_equal(f.state, TL_PROOF_LOOKING);
}

static void a_barren_way_is_told_again_and_forgiven_at_a_packet(void **state)
{
    (void)state;
    tl_proof f = looking(7);
    unsigned told = 0;
    for (unsigned n = 1; n <= 3 * TL_PROOF_QUIET; n++) {
        bool tells = tl_proof_look(&f, 7, false, 0, T0 + n * E);
        assert_int_equal(tells, n % TL_PROOF_QUIET == 0);
        told += tells;
        if (told)
            assert_int_equal(f.state, TL_PROOF_BARREN);
    }
    assert_int_equal(told, 3);
    assert_false(tl_proof_look(&f, 8, false, 0, T0 + TL_SEC));
    assert_int_equal(f.state, TL_PROOF_LOOKING);
    assert_false(tl_proof_look(&f, 8, false, 0, T0 + TL_SEC));
    assert_int_equal(f.quiet, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_begin_nothing_is_due),
        cmocka_unit_test(a_second_begin_puts_nothing_off),
        cmocka_unit_test(an_end_rests_from_either_state_and_a_begin_starts_afresh),
        cmocka_unit_test(a_silent_way_is_barren_after_three_looks_and_those_of_a_round_trip),
        cmocka_unit_test(what_comes_does_not_count_while_nothing_of_ours_is_acknowledged),
        cmocka_unit_test(a_packet_between_any_two_looks_keeps_a_way),
        cmocka_unit_test(a_barren_way_is_told_again_and_forgiven_at_a_packet),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
