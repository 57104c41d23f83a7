/* Copies that are made while those who would hold them are off. */
#include "backup_scene.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define HOUR (3600 * TL_SEC)
#define DAY  (24 * HOUR)

static scene s;

static void all_but(unsigned awake, bool away)
{
    for (size_t i = awake; i < s.nodes; i++)
        s.node[i].away = away;
}

/* Six friends hold a backup of 50000 bytes; then all but so many sleep, and there is a new copy. */
static void copy_at_night(unsigned awake)
{
    scene_init(&s, 1, 6);
    scene_set(&s, 50000, 0, 0);
    scene_run_for(&s, TL_MIN);
    assert_int_equal(scene_status(&s).may_lose, 3);
    all_but(awake, true);
    scene_set(&s, 60000, 0, 0);
    scene_run_for(&s, TL_MIN);
}

static size_t restored_size(void)
{
    scene_restore r;
    scene_restore_now(&s, &r, 0);
    size_t n = r.error ? 0 : r.blob.len;
    tl_buf_clear(&r.blob);
    return n;
}

static void the_number_of_fragments_follows_from_who_was_seen_within_a_week(void **state)
{
    (void)state;
    copy_at_night(1);
    assert_int_equal(scene_status(&s).kept.n, 6);
    assert_int_equal(scene_status(&s).kept.k, 1); /* so that who is there can bring it back */
    scene_run_for(&s, 8 * DAY);
    scene_set(&s, 70000, 0, 0);
    assert_int_equal(scene_status(&s).kept.n, 1); /* five are gone */
    scene_clear(&s);
}

static void over_a_restart_it_is_no_fewer_than_before(void **state)
{
    (void)state;
    scene_init(&s, 2, 6);
    scene_set(&s, 50000, 0, 0);
    scene_run_for(&s, TL_MIN);
    all_but(0, true); /* no network at all */
    scene_restart(&s);
    scene_set(&s, 60000, 0, 0);
    scene_run_for(&s, TL_MIN);
    assert_int_equal(scene_status(&s).kept.n, 6);
    assert_true(scene_status(&s).kept.before.since > 0);
    scene_restart(&s);
    assert_true(scene_status(&s).kept.before.since > 0);
    scene_set(&s, 70000, 0, 0); /* and of what was never told of nothing counts */
    assert_int_equal(scene_status(&s).kept.n, 6);
    assert_int_equal(scene_status(&s).kept.before.may_lose, 3);
    all_but(0, false);
    scene_run_for(&s, TL_MIN * 10);
    assert_int_equal(scene_status(&s).kept.before.since, 0);
    assert_int_equal(restored_size(), 70000);
    scene_clear(&s);
}

static void the_copy_before_stays_until_the_new_one_is_as_safe(void **state)
{
    (void)state;
    copy_at_night(1);
    assert_int_equal(s.maps, 1);
    scene_run_for(&s, 8 * HOUR);
    assert_int_equal(s.maps, 1);
    all_but(1, false);
    s.node[0].away = true; /* the only one that was awake dies, and so does the laptop */
    assert_int_equal(restored_size(), 50000);
    s.node[0].away = false;
    scene_run_for(&s, 10 * TL_MIN);
    assert_int_equal(s.map.n, 6);
    assert_int_equal(scene_status(&s).kept.before.since, 0);
    assert_true(scene_status(&s).may_lose >= 3);
    assert_int_equal(restored_size(), 60000);
    scene_run_for(&s, 2 * HOUR);
    assert_int_equal(scene_status(&s).kept.old_n, 0); /* and then the old fragments go */
    scene_clear(&s);
}

static void of_many_copies_of_one_night_only_the_last_stays_at_a_holder(void **state)
{
    (void)state;
    copy_at_night(1);
    for (size_t i = 0; i < 5; i++) {
        scene_set(&s, 61000 + i, 0, 0);
        scene_run_for(&s, 10 * TL_MIN);
    }
    unsigned files = 0;
    for (const scene_file *f = s.node[0].files; f; f = f->next)
        files++;
    assert_int_equal(files, 2); /* with that of the copy which the pointer names */
    all_but(1, false);
    s.node[0].away = true;
    assert_int_equal(restored_size(), 50000);
    scene_clear(&s);
}

static void after_most_of_a_day_half_as_safe_is_enough_and_after_a_week_any(void **state)
{
    (void)state;
    copy_at_night(3); /* k = 1: two of these three may be lost */
    assert_int_equal(s.maps, 1);
    scene_run_for(&s, (tl_time)TL_BACKUP_PATIENCE * TL_SEC - 2 * TL_MIN);
    assert_int_equal(s.maps, 1);
    scene_run_for(&s, 5 * TL_MIN);
    assert_int_equal(s.maps, 2);
    scene_clear(&s);
    copy_at_night(1);
    scene_run_for(&s, 6 * DAY);
    assert_int_equal(s.maps, 1);
    scene_run_for(&s, 2 * DAY);
    assert_true(s.maps >= 2);
    scene_clear(&s);
}

static void who_comes_later_makes_the_next_copy_larger(void **state)
{
    (void)state;
    scene_init(&s, 3, 5);
    all_but(1, true);
    scene_set(&s, 50000, 0, 0);
    scene_run_for(&s, TL_MIN);
    assert_int_equal(scene_status(&s).kept.n, 1);
    assert_false(tl_backup_could_grow(s.backup));
    all_but(1, false);
    tl_backup_on_candidates(s.backup);
    assert_true(tl_backup_could_grow(s.backup));
    scene_set(&s, 50000, 0, 0);
    assert_int_equal(scene_status(&s).kept.n, 5);
    assert_false(tl_backup_could_grow(s.backup));
    scene_clear(&s);
}

static void other_words_wait_for_nothing(void **state)
{
    (void)state;
    copy_at_night(1);
    const tl_backup_spec spec = {.blob = TL_SLICE_LIT("new words"),
                                 .recovery = s.node[5].identity.id};
    assert_int_equal(tl_backup_set(s.backup, &spec), TL_OK);
    assert_int_equal(scene_status(&s).kept.before.since, 0);
    scene_run_for(&s, TL_MIN);
    assert_int_equal(s.maps, 2);
    scene_clear(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_number_of_fragments_follows_from_who_was_seen_within_a_week),
        cmocka_unit_test(over_a_restart_it_is_no_fewer_than_before),
        cmocka_unit_test(the_copy_before_stays_until_the_new_one_is_as_safe),
        cmocka_unit_test(of_many_copies_of_one_night_only_the_last_stays_at_a_holder),
        cmocka_unit_test(after_most_of_a_day_half_as_safe_is_enough_and_after_a_week_any),
        cmocka_unit_test(who_comes_later_makes_the_next_copy_larger),
        cmocka_unit_test(other_words_wait_for_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
