/* When a backup is made anew, and which pointer is written. */
#include "keeper_scene.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void the_row_is_saved_before_the_copy_that_shall_hold_it(void **state)
{
    (void)state;
    node *n = node_new(1);
    assert_int_equal(tl_keeper_state_of(n->k), TL_KEEPER_NONE);
    assert_true(tl_keeper_expiry(n->k) == TL_NEVER);
    assert_int_equal(tl_keeper_create(n->k, root, 5, true), TL_OK);
    assert_int_equal(tl_keeper_create(n->k, root, 5, true), TL_ERR_BUSY);
    assert_int_equal(n->copies, 0);
    assert_memory_equal(n->saved.root, root, sizeof root);
    assert_int_equal(n->saved.holders, 5);
    assert_true(n->saved.strangers);
    answer_save(n);
    assert_int_equal(n->copies, 1);
    assert_int_equal(tl_keeper_state_of(n->k), TL_KEEPER_KEPT);
    node_free(n);
}

static void no_pointer_is_written_before_the_dht_was_asked_and_the_row_saved(void **state)
{
    (void)state;
    node *n = node_new(1);
    assert_int_equal(tl_keeper_create(n->k, root, 0, false), TL_OK);
    answer_save(n);
    answer_copy(n);
    place(n, 1);
    assert_int_equal(n->published, 0);
    assert_true(n->looking);
    answer_look(n, NULL);
    assert_int_equal(n->published, 0);
    answer_save(n);
    assert_int_equal(n->published, 1);
    assert_int_equal(n->item.seq, wall_of(n));
    assert_int_equal(n->saved.sequence, n->item.seq);
    tl_pointer p;
    assert_int_equal(
        tl_pointer_open(tl_dht_item_value(&n->item), tl_keeper_keys(n->k), n->item.seq, &p), TL_OK);
    assert_memory_equal(p.instance, n->saved.instance, sizeof p.instance);
    assert_int_equal(p.map.n, 1);
    assert_string_equal(p.relays[0], "ws://relay.example");
    node_free(n);
}

static void sequences_grow_within_a_second_and_when_the_clock_is_set_back(void **state)
{
    (void)state;
    node *n = kept_node(1);
    int64_t last = n->item.seq;
    for (uint8_t i = 2; i < 6; i++) {
        n->wall_ahead -= 1000;
        place(n, i);
        answer_all(n, &n->item);
        assert_int_equal(n->item.seq, last + 1);
        last = n->item.seq;
    }
    node_free(n);
}

static void a_sequence_that_leaves_no_room_is_not_continued(void **state)
{
    (void)state;
    node *n = kept_node(1);
    tl_dht_item last = n->item, highest = {0};
    uint8_t value[TL_POINTER_VALUE];
    tl_pointer p;
    assert_int_equal(tl_pointer_open(tl_dht_item_value(&last), tl_keeper_keys(n->k), last.seq, &p),
                     TL_OK);
    assert_int_equal(tl_pointer_seal(&p, tl_keeper_keys(n->k), INT64_MAX, &n->rand, value), TL_OK);
    assert_int_equal(tl_dht_item_sign(&tl_keeper_keys(n->k)->identity,
                                      tl_slice_str(TL_RECOVERY_SALT), INT64_MAX,
                                      tl_slice_of(value, sizeof value), &highest),
                     TL_OK);
    for (int i = 0; i < 3; i++) {
        run_for(n, TL_KEEPER_LOOK + TL_SEC);
        answer_all(n, &highest);
        assert_true(n->item.seq > last.seq);
        assert_true(n->item.seq <= wall_of(n) + TL_KEEPER_AHEAD + 3);
        last = n->item;
    }
    node_free(n);
}

static void words_that_nobody_was_shown_are_known_as_such_until_they_are(void **state)
{
    (void)state;
    node *n = kept_node(1);
    assert_true(n->saved.unshown);
    tl_keeper_shown(n->k);
    answer_save(n);
    assert_false(n->saved.unshown);
    unsigned saves = n->saves;
    tl_keeper_shown(n->k);
    assert_int_equal(n->saves, saves);
    node_free(n);
}

static void no_copy_is_made_of_words_that_are_not_on_the_disk(void **state)
{
    (void)state;
    node *n = node_new(1);
    assert_int_equal(tl_keeper_create(n->k, root, 0, false), TL_OK);
    n->saving = false;
    tl_keeper_on_saved(n->k, TL_ERR_IO);
    run_for(n, TL_SEC);
    assert_int_equal(n->copies, 0);
    assert_int_equal(tl_keeper_undo(n->k, NULL), TL_OK);
    assert_int_equal(tl_keeper_state_of(n->k), TL_KEEPER_NONE);
    node_free(n);
}

static void changed_networks_are_one_copy_after_a_while(void **state)
{
    (void)state;
    node *n = kept_node(1);
    unsigned before = n->copies;
    tl_keeper_changed(n->k);
    run_for(n, TL_KEEPER_SETTLE / 2);
    tl_keeper_changed(n->k);
    assert_int_equal(n->copies, before);
    run_for(n, TL_KEEPER_SETTLE / 2 + TL_SEC);
    assert_int_equal(n->copies, before + 1);
    tl_keeper_changed(n->k); /* while it is made */
    run_for(n, TL_MIN);
    assert_int_equal(n->copies, before + 1);
    answer_copy(n);
    run_for(n, TL_SEC);
    assert_int_equal(n->copies, before + 2);
    node_free(n);
}

static void without_changes_a_copy_is_made_each_day(void **state)
{
    (void)state;
    node *n = kept_node(1);
    unsigned before = n->copies;
    for (int hour = 0; hour < 3 * 24 + 2; hour++) {
        run_for(n, 3600 * TL_SEC);
        answer_all(n, &n->item);
    }
    assert_int_equal(n->copies, before + 3);
    assert_int_equal(tl_keeper_state_of(n->k), TL_KEEPER_KEPT);
    node_free(n);
}

static void a_copy_that_fails_is_tried_again(void **state)
{
    (void)state;
    node *n = node_new(1);
    assert_int_equal(tl_keeper_create(n->k, root, 0, false), TL_OK);
    answer_save(n);
    n->copying = false;
    tl_keeper_on_copy(n->k, TL_ERR_IO, 0);
    answer_look(n, NULL);
    run_for(n, TL_KEEPER_AGAIN - TL_SEC);
    assert_int_equal(n->copies, 1);
    run_for(n, 2 * TL_SEC);
    assert_int_equal(n->copies, 2);
    node_free(n);
}

static void who_is_restored_takes_over_and_the_old_machine_writes_no_more(void **state)
{
    (void)state;
    node *old = kept_node(1), *fresh = node_new(2);
    tl_recovery_row copy_of_row = old->saved;
    copy_of_row.sequence -= 100; /* the copy is older than the pointer */
    fresh->now = old->now;
    assert_int_equal(tl_keeper_load(fresh->k, &copy_of_row, true), TL_OK);
    assert_memory_not_equal(fresh->saved.instance, old->saved.instance, sizeof old->saved.instance);
    run_for(fresh, 2 * TL_KEEPER_START);
    answer_all(fresh, &old->item);
    run_for(fresh, TL_SEC);
    answer_all(fresh, &old->item);
    place(fresh, 9);
    answer_all(fresh, &old->item);
    assert_int_equal(tl_keeper_state_of(fresh->k), TL_KEEPER_KEPT);
    assert_int_equal(fresh->published, 1);
    assert_true(fresh->item.seq > old->item.seq);

    run_for(old, TL_KEEPER_LOOK + TL_SEC);
    answer_all(old, &fresh->item);
    assert_int_equal(tl_keeper_state_of(old->k), TL_KEEPER_ELSEWHERE);
    assert_int_equal(old->withdrawn, 1);
    assert_true(old->saved.elsewhere);
    assert_int_equal(old->published, 1);
    tl_keeper_changed(old->k);
    place(old, 3);
    assert_true(tl_keeper_expiry(old->k) == TL_NEVER);
    assert_int_equal(old->published, 1);

    /* and the restored one goes on */
    place(fresh, 4);
    answer_all(fresh, &fresh->item);
    assert_int_equal(fresh->published, 2);
    node_free(old);
    node_free(fresh);
}

static void the_old_machine_looks_before_it_writes(void **state)
{
    (void)state;
    node *old = kept_node(1), *fresh = kept_node(2); /* the same words, another instance */
    run_for(old, 10 * TL_MIN);
    run_for(fresh, 5 * TL_MIN);
    place(fresh, 5);
    answer_all(fresh, &fresh->item);
    assert_true(fresh->item.seq > old->item.seq);
    place(old, 6);
    answer_all(old, &fresh->item);
    assert_int_equal(old->published, 1);
    assert_int_equal(tl_keeper_state_of(old->k), TL_KEEPER_ELSEWHERE);
    node_free(old);
    node_free(fresh);
}

static void its_own_newer_pointer_is_no_other_machine(void **state)
{
    (void)state;
    node *n = kept_node(1), *again = node_new(3);
    tl_recovery_row row = n->saved;
    row.sequence -= 5; /* it crashed before the row was on the disk */
    again->now = n->now;
    again->wall_ahead = -5000;
    assert_int_equal(tl_keeper_load(again->k, &row, false), TL_OK);
    run_for(again, TL_SEC);
    answer_all(again, &n->item);
    assert_int_equal(tl_keeper_state_of(again->k), TL_KEEPER_KEPT);
    place(again, 1);
    answer_all(again, &n->item);
    assert_int_equal(again->item.seq, n->item.seq + 1);
    node_free(n);
    node_free(again);
}

static void without_a_dht_the_holders_get_the_pointer(void **state)
{
    (void)state;
    node *n = node_new(1);
    assert_int_equal(tl_keeper_create(n->k, root, 0, false), TL_OK);
    answer_save(n);
    answer_copy(n);
    place(n, 1);
    n->looking = false;
    tl_keeper_on_looked(n->k, NULL, 0);
    answer_save(n);
    assert_int_equal(n->published, 1);
    run_for(n, TL_KEEPER_AGAIN + TL_SEC);
    assert_true(n->looking); /* it asks again soon */
    node_free(n);
}

static void words_that_could_not_be_placed_are_taken_back(void **state)
{
    (void)state;
    static const uint8_t others[TL_RECOVERY_KEY] = {8};
    node *n = kept_node(1), *first = node_new(2);
    tl_recovery_row before = n->saved;
    assert_int_equal(tl_keeper_create(n->k, others, 0, false), TL_OK);
    assert_int_equal(n->withdrawn, 1);
    answer_all(n, NULL);
    assert_int_equal(tl_keeper_undo(n->k, &before), TL_OK);
    answer_all(n, NULL);
    place(n, 2);
    answer_all(n, NULL);
    assert_memory_equal(n->item.key, tl_keeper_keys(n->k)->identity.id.key, 32);
    assert_memory_equal(n->saved.root, root, sizeof root);

    assert_int_equal(tl_keeper_create(first->k, others, 0, false), TL_OK);
    answer_all(first, NULL);
    assert_int_equal(tl_keeper_undo(first->k, NULL), TL_OK);
    assert_int_equal(tl_keeper_state_of(first->k), TL_KEEPER_NONE);
    assert_true(tl_keeper_expiry(first->k) == TL_NEVER);
    node_free(n);
    node_free(first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_row_is_saved_before_the_copy_that_shall_hold_it),
        cmocka_unit_test(no_pointer_is_written_before_the_dht_was_asked_and_the_row_saved),
        cmocka_unit_test(sequences_grow_within_a_second_and_when_the_clock_is_set_back),
        cmocka_unit_test(a_sequence_that_leaves_no_room_is_not_continued),
        cmocka_unit_test(words_that_nobody_was_shown_are_known_as_such_until_they_are),
        cmocka_unit_test(no_copy_is_made_of_words_that_are_not_on_the_disk),
        cmocka_unit_test(changed_networks_are_one_copy_after_a_while),
        cmocka_unit_test(without_changes_a_copy_is_made_each_day),
        cmocka_unit_test(a_copy_that_fails_is_tried_again),
        cmocka_unit_test(who_is_restored_takes_over_and_the_old_machine_writes_no_more),
        cmocka_unit_test(the_old_machine_looks_before_it_writes),
        cmocka_unit_test(its_own_newer_pointer_is_no_other_machine),
        cmocka_unit_test(without_a_dht_the_holders_get_the_pointer),
        cmocka_unit_test(words_that_could_not_be_placed_are_taken_back),
    };
    return tl_crypto_init() ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
