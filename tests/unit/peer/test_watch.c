/* Is a peer alive? The guarantees of peer/watch.h. */
#include "peer/watch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define T0 (50 * TL_SEC)
#define E  TL_WATCH_EVERY

static void a_new_watch_rests_and_trusts(void **state)
{
    (void)state;
    tl_watch w = tl_watch_new(T0);
    assert_int_equal(w.sign_at, T0);
    assert_false(tl_watch_doubts(&w));
    assert_int_equal(tl_watch_expiry(&w), TL_NEVER);
    assert_int_equal(tl_watch_on_timer(&w, 0, true, false, T0 + TL_MIN), TL_WATCH_RESTING);
}

static void a_question_begins_to_look_once(void **state)
{
    (void)state;
    tl_watch w = tl_watch_new(T0);
    assert_true(tl_watch_begin(&w, 7, T0));
    assert_int_equal(tl_watch_expiry(&w), T0 + E);
    assert_false(tl_watch_begin(&w, 9, T0 + 1));
    assert_int_equal(tl_watch_expiry(&w), T0 + E);
    assert_int_equal(w.heard, 7);
}

/* The looks come in time; a packet comes just before look `last`, and none after it. */
static void a_peer_that_falls_silent_is_found_after_five_looks_without_a_packet(void **state)
{
    (void)state;
    for (unsigned last = 0; last < 4; last++) {
        tl_watch w = tl_watch_new(T0);
        (void)tl_watch_begin(&w, 7, T0);
        for (unsigned n = 1; n < last + TL_WATCH_QUIET; n++) {
            uint64_t heard = 7 + (n < last ? n : last);
            assert_int_equal(tl_watch_on_timer(&w, heard, true, false, T0 + n * E - 1),
                             TL_WATCH_LOOKING);
            assert_int_equal(tl_watch_expiry(&w), T0 + n * E); /* that was no look */
            assert_int_equal(tl_watch_on_timer(&w, heard, true, false, T0 + n * E),
                             TL_WATCH_LOOKING);
            assert_false(tl_watch_doubts(&w));
        }
        tl_time at = T0 + (last + TL_WATCH_QUIET) * E;
        assert_int_equal(tl_watch_on_timer(&w, 7 + last, true, false, at), TL_WATCH_SILENT);
        assert_int_equal(tl_watch_expiry(&w), TL_NEVER);
        assert_true(tl_watch_doubts(&w));
    }
}

static void without_a_question_the_looks_end_and_begin_afresh(void **state)
{
    (void)state;
    tl_watch w = tl_watch_new(T0);
    (void)tl_watch_begin(&w, 7, T0);
    for (unsigned n = 1; n < TL_WATCH_QUIET; n++)
        (void)tl_watch_on_timer(&w, 7, true, false, T0 + n * E);
    assert_int_equal(tl_watch_on_timer(&w, 7, false, false, T0 + TL_MIN), TL_WATCH_RESTING);
    assert_int_equal(tl_watch_expiry(&w), TL_NEVER);
    assert_true(tl_watch_begin(&w, 7, T0 + TL_MIN));
    for (unsigned n = 1; n < TL_WATCH_QUIET; n++)
        assert_int_equal(tl_watch_on_timer(&w, 7, true, false, T0 + TL_MIN + n * E),
                         TL_WATCH_LOOKING);
}

static void silence_with_another_reason_does_not_count(void **state)
{
    (void)state;
    tl_watch w = tl_watch_new(T0);
    (void)tl_watch_begin(&w, 7, T0);
    for (unsigned n = 1; n <= 20; n++)
        assert_int_equal(tl_watch_on_timer(&w, 7, true, true, T0 + n * E), TL_WATCH_LOOKING);
    for (unsigned n = 21; n < 20 + TL_WATCH_QUIET; n++)
        assert_int_equal(tl_watch_on_timer(&w, 7, true, false, T0 + n * E), TL_WATCH_LOOKING);
    assert_int_equal(tl_watch_on_timer(&w, 7, true, false, T0 + 25 * E), TL_WATCH_SILENT);
}

static void a_doubt_without_a_sign_of_life_is_silence_when_its_time_is_over(void **state)
{
    (void)state;
    tl_watch w = tl_watch_new(T0);
    assert_true(tl_watch_doubt(&w, 2 * TL_SEC, 0, T0));
    assert_true(tl_watch_doubts(&w));
    assert_int_equal(tl_watch_expiry(&w), T0 + 2 * TL_SEC);
    assert_int_equal(tl_watch_on_timer(&w, 0, false, false, T0 + 2 * TL_SEC - 1), TL_WATCH_RESTING);
    assert_int_equal(tl_watch_on_timer(&w, 0, false, false, T0 + 2 * TL_SEC), TL_WATCH_SILENT);
    assert_true(tl_watch_doubts(&w));
    assert_int_equal(tl_watch_expiry(&w), TL_NEVER);
    assert_false(tl_watch_doubt(&w, 1, 0, T0 + 3 * TL_SEC)); /* too late to ask */
}

static void to_ask_again_may_shorten_the_time_and_never_lengthens_it(void **state)
{
    (void)state;
    tl_watch w = tl_watch_new(T0);
    assert_true(tl_watch_doubt(&w, 10 * TL_SEC, 0, T0));
    assert_false(tl_watch_doubt(&w, 10 * TL_SEC, 0, T0 + 1));
    assert_false(tl_watch_doubt(&w, 10 * TL_SEC, 0, T0));
    assert_int_equal(tl_watch_expiry(&w), T0 + 10 * TL_SEC);
    assert_true(tl_watch_doubt(&w, 2 * TL_SEC, 0, T0 + 1));
    assert_int_equal(tl_watch_expiry(&w), T0 + 2 * TL_SEC + 1);
}

static void an_excuse_ends_the_doubt_and_the_next_has_its_own_time(void **state)
{
    (void)state;
    tl_watch w = tl_watch_new(T0);
    assert_true(tl_watch_doubt(&w, 2 * TL_SEC, 5, T0));
    tl_watch_excuse(&w);
    assert_false(tl_watch_doubts(&w));
    assert_int_equal(tl_watch_on_timer(&w, 5, true, false, T0 + TL_MIN), TL_WATCH_RESTING);
    assert_true(tl_watch_doubt(&w, 2 * TL_SEC, 5, T0 + TL_MIN));
    assert_int_equal(tl_watch_expiry(&w), T0 + TL_MIN + 2 * TL_SEC);
    assert_int_equal(tl_watch_on_timer(&w, 5, true, false, T0 + TL_MIN + 2 * TL_SEC),
                     TL_WATCH_SILENT);
    tl_watch_excuse(&w); /* too late */
    assert_true(tl_watch_doubts(&w));
}

static void a_sign_of_life_ends_the_doubt(void **state)
{
    (void)state;
    tl_watch w = tl_watch_new(T0);
    (void)tl_watch_doubt(&w, 2 * TL_SEC, 0, T0);
    tl_watch_sign(&w, T0 + TL_SEC);
    assert_int_equal(w.sign_at, T0 + TL_SEC);
    assert_false(tl_watch_doubts(&w));
    assert_int_equal(tl_watch_on_timer(&w, 0, false, false, T0 + TL_MIN), TL_WATCH_RESTING);
    assert_true(tl_watch_doubt(&w, 2 * TL_SEC, 0, T0 + TL_MIN));
}

static void a_packet_after_the_question_is_a_sign_and_one_before_it_is_none(void **state)
{
    (void)state;
    tl_watch w = tl_watch_new(T0);
    (void)tl_watch_doubt(&w, 2 * TL_SEC, 5, T0);
    assert_int_equal(tl_watch_on_timer(&w, 6, false, false, T0 + 2 * TL_SEC), TL_WATCH_RESTING);
    assert_false(tl_watch_doubts(&w));
    assert_int_equal(w.sign_at, T0 + 2 * TL_SEC);
    (void)tl_watch_doubt(&w, 2 * TL_SEC, 6, T0 + TL_MIN);
    (void)tl_watch_doubt(&w, TL_SEC, 7, T0 + TL_MIN); /* asked again: what came between is none */
    assert_int_equal(tl_watch_on_timer(&w, 7, false, false, T0 + TL_MIN + TL_SEC), TL_WATCH_SILENT);
}

static void both_machines_run_at_once_and_the_earlier_decides(void **state)
{
    (void)state;
    tl_watch w = tl_watch_new(T0);
    (void)tl_watch_begin(&w, 7, T0);
    (void)tl_watch_doubt(&w, E / 2, 8, T0);
    assert_int_equal(tl_watch_expiry(&w), T0 + E / 2);
    assert_int_equal(tl_watch_on_timer(&w, 8, true, false, T0 + E / 2), TL_WATCH_SILENT);
    assert_int_equal(tl_watch_expiry(&w), TL_NEVER);

    w = tl_watch_new(T0);
    (void)tl_watch_begin(&w, 7, T0);
    (void)tl_watch_doubt(&w, TL_MIN, 7, T0);
    for (unsigned n = 1; n <= TL_WATCH_QUIET; n++)
        (void)tl_watch_on_timer(&w, 7, true, false, T0 + n * E);
    assert_int_equal(w.state, TL_WATCH_SILENT);
    assert_int_equal(tl_watch_expiry(&w), TL_NEVER); /* the doubt is over, too */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_watch_rests_and_trusts),
        cmocka_unit_test(a_question_begins_to_look_once),
        cmocka_unit_test(a_peer_that_falls_silent_is_found_after_five_looks_without_a_packet),
        cmocka_unit_test(without_a_question_the_looks_end_and_begin_afresh),
        cmocka_unit_test(silence_with_another_reason_does_not_count),
        cmocka_unit_test(a_doubt_without_a_sign_of_life_is_silence_when_its_time_is_over),
        cmocka_unit_test(to_ask_again_may_shorten_the_time_and_never_lengthens_it),
        cmocka_unit_test(an_excuse_ends_the_doubt_and_the_next_has_its_own_time),
        cmocka_unit_test(a_sign_of_life_ends_the_doubt),
        cmocka_unit_test(a_packet_after_the_question_is_a_sign_and_one_before_it_is_none),
        cmocka_unit_test(both_machines_run_at_once_and_the_earlier_decides),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
