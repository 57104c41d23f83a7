/* The owner's side: placing, challenging, repairing. */
#include "backup_scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define HOUR (3600 * TL_SEC)
#define DAY  (24 * HOUR)

static scene s;

static unsigned held(void)
{
    return scene_status(&s).held;
}

static void a_backup_goes_to_as_many_nodes_as_it_has_fragments(void **state)
{
    (void)state;
    scene_init(&s, 1, 6);
    scene_set(&s, 100000, 6, 3);
    scene_run_for(&s, TL_MIN);
    tl_backup_status st = scene_status(&s);
    assert_int_equal(st.held, 6);
    assert_int_equal(st.may_lose, 3);
    assert_int_equal(s.maps, 1);
    assert_int_equal(s.map.holders_n, 6);
    for (size_t i = 0; i < 6; i++) {
        assert_true(s.told_held[i]);
        assert_int_equal(s.held[i], 1);
        assert_int_equal(s.node[i].pointers, 1);
    }
    scene_clear(&s);
}

static void a_holder_without_room_for_the_pointer_is_named_and_asked_again(void **state)
{
    (void)state;
    scene_init(&s, 1, 3);
    s.node[1].pointer_error = TL_ERR_BUSY;
    scene_set(&s, 5000, 3, 1);
    scene_run_for(&s, TL_MIN);
    tl_backup_status st = scene_status(&s);
    assert_int_equal(st.held, 3);
    assert_non_null(strstr(st.words, "does not keep the pointer"));
    assert_int_equal(s.node[0].pointers, 1);
    assert_int_equal(s.node[1].pointers, 0);
    s.node[1].pointer_error = TL_OK;
    scene_run_for(&s, 2 * 60 * TL_MIN);
    assert_int_equal(s.node[1].pointers, 1);
    assert_string_equal(scene_status(&s).words, "");
    scene_clear(&s);
}

static void numbers_that_are_not_said_follow_from_the_nodes(void **state)
{
    static const struct {
        size_t nodes;
        uint8_t n, k;
    } cases[] = {{0, 1, 1}, {1, 1, 1}, {2, 2, 1}, {3, 3, 1}, {5, 5, 2}, {30, 10, 5}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        scene_init(&s, i, cases[i].nodes);
        scene_set(&s, 5000, 0, 0);
        assert_int_equal(scene_status(&s).kept.n, cases[i].n);
        assert_int_equal(scene_status(&s).kept.k, cases[i].k);
        scene_run_for(&s, TL_MIN);
        assert_int_equal(held(), cases[i].nodes ? cases[i].n : 0);
        scene_clear(&s);
    }
}

static void strangers_hold_nothing_unless_they_may(void **state)
{
    (void)state;
    scene_init(&s, 2, 4);
    s.node[1].stranger = s.node[2].stranger = true;
    scene_set(&s, 5000, 4, 2);
    scene_run_for(&s, TL_MIN);
    assert_int_equal(held(), 2);
    assert_int_equal(s.node[1].asked + s.node[2].asked, 0);
    tl_backup_spec spec = {.blob = tl_backup_blob(s.backup),
                           .recovery = s.recovery.id,
                           .n = 4,
                           .k = 2,
                           .strangers = true};
    assert_int_equal(tl_backup_set(s.backup, &spec), TL_OK);
    scene_run_for(&s, 2 * TL_MIN);
    assert_int_equal(held(), 4);
    scene_clear(&s);
}

static void a_node_that_is_full_or_signs_wrong_is_passed_over(void **state)
{
    (void)state;
    scene_init(&s, 3, 5);
    tl_holder_set_quota(s.node[0].holder, 0);
    s.node[1].forges = true;
    s.node[2].disk_fails = true;
    scene_set(&s, 5000, 2, 1);
    scene_run_for(&s, TL_MIN);
    assert_int_equal(held(), 2);
    assert_int_equal(s.held[0] + s.held[1] + s.held[2], 0);
    assert_int_equal(s.held[3] + s.held[4], 2);
    assert_int_equal(tl_backup_counters_of(s.backup)->refused, 3);
    scene_clear(&s);
}

static void without_enough_nodes_the_status_says_why(void **state)
{
    (void)state;
    scene_init(&s, 4, 2);
    tl_holder_set_quota(s.node[0].holder, 0);
    scene_set(&s, 5000, 3, 2);
    scene_run_for(&s, TL_MIN);
    tl_backup_status st = scene_status(&s);
    assert_int_equal(st.held, 1);
    assert_int_equal(st.may_lose, -1);
    assert_int_equal(s.maps, 0); /* no pointer to what cannot be restored */
    assert_non_null(strstr(st.words, "2 of 3 fragments are with no node"));
    assert_non_null(strstr(st.words, "store_quota is 0"));
    scene_clear(&s);
}

static void challenges_come_at_random_times_and_are_passed(void **state)
{
    (void)state;
    scene_init(&s, 5, 4);
    scene_set(&s, 50000, 4, 2);
    scene_run_for(&s, TL_MIN);
    scene_run_for(&s, 40 * DAY);
    const tl_backup_counters *c = tl_backup_counters_of(s.backup);
    /* 40 days, 6 a day, 4 holders: 960 in the mean, give or take some thirty. */
    assert_in_range(c->challenges_passed, 800, 1120);
    assert_int_equal(c->challenges_failed, 0);
    assert_int_equal(held(), 4);
    scene_clear(&s);
}

static void what_was_deleted_after_the_receipt_is_noticed_and_placed_elsewhere(void **state)
{
    (void)state;
    scene_init(&s, 61, 5);
    s.node[0].forgets = true;
    scene_set(&s, 50000, 3, 2);
    scene_run_for(&s, TL_MIN);
    assert_int_equal(held(), 3); /* it has signed */
    assert_int_equal(s.held[0], 1);
    scene_run_for(&s, 3 * DAY);
    assert_int_equal(held(), 3);
    assert_int_equal(s.held[0], 0); /* and counts for nothing any more */
    assert_true(tl_backup_counters_of(s.backup)->challenges_failed >= 1);
    assert_true(tl_backup_counters_of(s.backup)->repaired >= 1);
    assert_true(s.maps >= 2);
    scene_restore r;
    scene_restore_now(&s, &r, 0);
    assert_int_equal(r.error, TL_OK);
    assert_true(tl_slice_eq(tl_buf_slice(&r.blob), tl_backup_blob(s.backup)));
    tl_buf_clear(&r.blob);
    scene_clear(&s);
}

static void a_holder_that_is_away_is_waited_for_and_at_last_replaced(void **state)
{
    (void)state;
    scene_init(&s, 7, 4);
    scene_set(&s, 50000, 3, 1);
    scene_run_for(&s, TL_MIN);
    scene_node *gone = scene_holder_of(&s, 1);
    gone->away = true;
    scene_run_for(&s, 3 * DAY);
    assert_int_equal(scene_status(&s).silent, 1);
    assert_true(scene_holder_of(&s, 1) == gone); /* it may be on a holiday */
    scene_run_for(&s, 5 * DAY);
    assert_int_equal(scene_status(&s).silent, 0);
    assert_int_equal(held(), 3);
    assert_true(scene_holder_of(&s, 1) != gone);
    assert_non_null(gone->files);
    gone->away = false; /* back again: it need not keep it */
    tl_backup_repair(s.backup);
    scene_run_for(&s, TL_MIN);
    assert_null(gone->files);
    scene_clear(&s);
}

static void a_holder_that_comes_back_is_asked_at_once(void **state)
{
    (void)state;
    scene_init(&s, 8, 3);
    scene_set(&s, 50000, 3, 1);
    scene_run_for(&s, TL_MIN);
    s.node[0].away = true;
    scene_run_for(&s, DAY);
    assert_int_equal(scene_status(&s).silent, 1);
    s.node[0].away = false;
    tl_backup_on_peer(s.backup, &s.node[0].identity.id);
    scene_run_for(&s, TL_SEC);
    assert_int_equal(scene_status(&s).silent, 0);
    scene_clear(&s);
}

static void where_all_are_silent_the_fault_is_taken_for_our_own(void **state)
{
    (void)state;
    scene_init(&s, 9, 3);
    scene_set(&s, 50000, 3, 1);
    scene_run_for(&s, TL_MIN);
    for (int i = 0; i < 3; i++)
        s.node[i].away = true;
    scene_run_for(&s, 20 * DAY);
    assert_int_equal(scene_status(&s).silent, 3);
    for (int i = 0; i < 3; i++)
        s.node[i].away = false;
    scene_run_for(&s, 2 * HOUR);
    assert_int_equal(held(), 3);
    scene_clear(&s);
}

static void a_new_backup_takes_the_place_of_the_old_one_when_it_stands(void **state)
{
    (void)state;
    scene_init(&s, 10, 4);
    scene_set(&s, 50000, 4, 2);
    scene_run_for(&s, TL_MIN);
    scene_set(&s, 60000, 4, 2);
    scene_run_for(&s, TL_MIN);
    assert_int_equal(held(), 4);
    assert_int_equal(scene_status(&s).kept.old_n, 4); /* until the pointer is known everywhere */
    scene_run_for(&s, 2 * HOUR);
    assert_int_equal(scene_status(&s).kept.old_n, 0);
    for (int i = 0; i < 4; i++) {
        assert_non_null(s.node[i].files);
        assert_null(s.node[i].files->next);
        assert_int_equal(s.node[i].files->entry.size, 30000);
    }
    scene_clear(&s);
}

static void old_fragments_stay_while_the_new_backup_cannot_be_restored(void **state)
{
    (void)state;
    scene_init(&s, 11, 4);
    scene_set(&s, 50000, 4, 2);
    scene_run_for(&s, TL_MIN);
    for (int i = 0; i < 4; i++)
        tl_holder_set_quota(s.node[i].holder, 64u << 10); /* 16 KiB for an owner: no place */
    scene_set(&s, 500000, 4, 2);
    scene_run_for(&s, DAY);
    assert_int_equal(held(), 0);
    assert_int_equal(s.maps, 1);
    scene_restore r;
    scene_restore_now(&s, &r, 0); /* from the map before */
    assert_int_equal(r.error, TL_OK);
    assert_int_equal(r.blob.len, 50000);
    tl_buf_clear(&r.blob);
    scene_clear(&s);
}

static void the_same_blob_again_moves_nothing(void **state)
{
    (void)state;
    scene_init(&s, 12, 3);
    scene_set(&s, 50000, 3, 2);
    scene_run_for(&s, TL_MIN);
    unsigned asked = s.node[0].asked;
    tl_backup_spec spec = {
        .blob = tl_backup_blob(s.backup), .recovery = s.recovery.id, .n = 3, .k = 2};
    assert_int_equal(tl_backup_set(s.backup, &spec), TL_OK);
    scene_run_for(&s, TL_SEC);
    assert_int_equal(s.node[0].asked, asked);
    assert_int_equal(held(), 3);
    scene_clear(&s);
}

static void after_a_restart_all_is_as_it_was(void **state)
{
    (void)state;
    scene_init(&s, 13, 4);
    scene_set(&s, 50000, 4, 2);
    scene_run_for(&s, TL_MIN);
    scene_set(&s, 60000, 4, 2);
    scene_run_for(&s, TL_MIN);
    scene_restart(&s);
    assert_int_equal(held(), 4);
    assert_int_equal(scene_status(&s).kept.old_n, 4);
    unsigned maps = s.maps;
    scene_run_for(&s, DAY);
    assert_int_equal(s.maps, maps);
    assert_int_equal(held(), 4);
    assert_int_equal(scene_status(&s).kept.old_n, 0);
    scene_clear(&s);
}

static void what_was_kept_of_another_blob_is_refused(void **state)
{
    (void)state;
    scene_init(&s, 14, 4);
    scene_set(&s, 5000, 4, 2);
    scene_run_for(&s, TL_MIN);
    tl_backup_kept kept = s.kept;
    tl_slice blob = tl_buf_slice(&s.blob);
    assert_int_equal(tl_backup_load(s.backup, &kept, blob), TL_OK);
    tl_buf_begin(&s.blob)[7] ^= 1;
    assert_int_equal(tl_backup_load(s.backup, &kept, blob), TL_ERR_PROTO);
    tl_buf_begin(&s.blob)[7] ^= 1;
    kept.k = 5;
    assert_int_equal(tl_backup_load(s.backup, &kept, blob), TL_ERR_PROTO);
    kept = s.kept;
    kept.old_n = TL_BACKUP_OLD_MAX + 1;
    assert_int_equal(tl_backup_load(s.backup, &kept, blob), TL_ERR_PROTO);
    scene_clear(&s);
}

static void a_backup_that_is_dropped_leaves_nothing_behind(void **state)
{
    (void)state;
    scene_init(&s, 15, 4);
    scene_set(&s, 50000, 4, 2);
    scene_run_for(&s, TL_MIN);
    tl_backup_drop(s.backup);
    scene_run_for(&s, TL_MIN);
    assert_false(scene_status(&s).kept.any);
    for (int i = 0; i < 4; i++)
        assert_null(s.node[i].files);
    scene_clear(&s);
}

static void what_a_restore_found_is_kept_on(void **state)
{
    (void)state;
    scene_init(&s, 16, 4);
    scene_set(&s, 50000, 4, 2);
    scene_run_for(&s, TL_MIN);
    tl_backup_kept kept;
    assert_true(tl_backup_kept_of(&s.map, &s.recovery.id, SCENE_EPOCH, &kept));
    s.kept = kept; /* a new laptop: nothing else is known */
    scene_restart(&s);
    assert_int_equal(held(), 4);
    tl_backup_repair(s.backup);
    scene_run_for(&s, TL_MIN);
    assert_int_equal(tl_backup_counters_of(s.backup)->challenges_passed, 4);
    assert_int_equal(held(), 4);
    s.map.k = 0;
    assert_false(tl_backup_kept_of(&s.map, &s.recovery.id, SCENE_EPOCH, &kept));
    scene_clear(&s);
}

static void a_mute_holder_ends_nothing_else(void **state)
{
    (void)state;
    scene_init(&s, 17, 4);
    s.node[0].mute = true;
    scene_set(&s, 50000, 3, 2);
    scene_run_for(&s, TL_MIN);
    assert_int_equal(held(),
                     2); /* the third waits for its answer, which the stream's time limit ends */
    scene_clear(&s);
}

static void bounds_of_a_backup_hold(void **state)
{
    (void)state;
    scene_init(&s, 18, 2);
    uint8_t *blob = calloc(1, TL_BLOB_MAX + 1);
    tl_backup_spec spec = {.blob = tl_slice_of(blob, TL_BLOB_MAX), .recovery = s.recovery.id};
    spec.n = TL_FRAGMENTS_MAX + 1;
    assert_int_equal(tl_backup_set(s.backup, &spec), TL_ERR_INVALID);
    spec.n = 2;
    spec.k = 3;
    assert_int_equal(tl_backup_set(s.backup, &spec), TL_ERR_INVALID);
    spec.k = 2;
    spec.blob.n = 0;
    assert_int_equal(tl_backup_set(s.backup, &spec), TL_ERR_INVALID);
    spec.blob.n = TL_BLOB_MAX + 1;
    assert_int_equal(tl_backup_set(s.backup, &spec), TL_ERR_INVALID);
    spec.blob.n = TL_BLOB_MAX;
    assert_int_equal(tl_backup_set(s.backup, &spec), TL_OK);
    scene_run_for(&s, TL_MIN);
    assert_int_equal(held(), 2);
    uint8_t item[TL_POINTER_MAX + 1] = {0};
    assert_int_equal(tl_backup_set_pointer(s.backup, tl_slice_of(item, sizeof item)),
                     TL_ERR_TOO_LARGE);
    assert_int_equal(tl_backup_set_pointer(s.backup, tl_slice_of(item, sizeof item - 1)), TL_OK);
    free(blob);
    scene_clear(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_backup_goes_to_as_many_nodes_as_it_has_fragments),
        cmocka_unit_test(a_holder_without_room_for_the_pointer_is_named_and_asked_again),
        cmocka_unit_test(numbers_that_are_not_said_follow_from_the_nodes),
        cmocka_unit_test(strangers_hold_nothing_unless_they_may),
        cmocka_unit_test(a_node_that_is_full_or_signs_wrong_is_passed_over),
        cmocka_unit_test(without_enough_nodes_the_status_says_why),
        cmocka_unit_test(challenges_come_at_random_times_and_are_passed),
        cmocka_unit_test(what_was_deleted_after_the_receipt_is_noticed_and_placed_elsewhere),
        cmocka_unit_test(a_holder_that_is_away_is_waited_for_and_at_last_replaced),
        cmocka_unit_test(a_holder_that_comes_back_is_asked_at_once),
        cmocka_unit_test(where_all_are_silent_the_fault_is_taken_for_our_own),
        cmocka_unit_test(a_new_backup_takes_the_place_of_the_old_one_when_it_stands),
        cmocka_unit_test(old_fragments_stay_while_the_new_backup_cannot_be_restored),
        cmocka_unit_test(the_same_blob_again_moves_nothing),
        cmocka_unit_test(after_a_restart_all_is_as_it_was),
        cmocka_unit_test(what_was_kept_of_another_blob_is_refused),
        cmocka_unit_test(a_backup_that_is_dropped_leaves_nothing_behind),
        cmocka_unit_test(what_a_restore_found_is_kept_on),
        cmocka_unit_test(a_mute_holder_ends_nothing_else),
        cmocka_unit_test(bounds_of_a_backup_hold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
