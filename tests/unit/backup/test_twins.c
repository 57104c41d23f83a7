/* Two machines with one identity, and a backup that is withdrawn: who stays, who stands aside, and what each
 * is told. */
#include "keeper_scene.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static tl_pointer opened(const node *n, const tl_dht_item *item)
{
    tl_pointer p;
    assert_int_equal(tl_pointer_open(tl_dht_item_value(item), tl_keeper_keys(n->k), item->seq, &p),
                     TL_OK);
    return p;
}

/* A node that starts with what another one has on its disk. */
static node *started(uint64_t seed, const node *as, bool restored)
{
    node *n = node_new(seed);
    n->now = as->now;
    assert_int_equal(tl_keeper_load(n->k, &as->saved, restored), TL_OK);
    return n;
}

/* One that was restored from the copy of `old`, and has written its pointer; `old` knows nothing of it. */
static node *restored_from(node *old, uint64_t seed)
{
    node *n = started(seed, old, true);
    run_for(n, 10 * TL_SEC);
    old->now = n->now;
    answer_all(n, &old->item);
    place(n, 9);
    answer_all(n, &old->item);
    assert_int_equal(n->published, 1);
    return n;
}

static void a_node_that_starts_is_not_sure_before_it_has_looked(void **state)
{
    (void)state;
    node *n = kept_node(1), *again = started(2, n, false);
    assert_true(tl_keeper_is_sure(n->k)); /* it has made the backup itself */
    assert_false(tl_keeper_is_sure(again->k));
    run_for(again, TL_SEC / 2);
    answer_look(again, &n->item);
    assert_true(tl_keeper_is_sure(again->k));
    assert_int_equal(tl_keeper_state_of(again->k), TL_KEEPER_KEPT);
    node_free(n);
    node_free(again);
}

static void where_the_dht_is_silent_it_asks_again_and_waits_no_longer_than_it_says(void **state)
{
    (void)state;
    node *n = kept_node(1), *again = started(2, n, false);
    for (unsigned i = 1; i <= TL_KEEPER_UNSURE / TL_KEEPER_SOON; i++) {
        assert_false(tl_keeper_is_sure(again->k));
        tl_keeper_on_timer(again->k);
        assert_int_equal(again->looks, i);
        again->looking = false;
        tl_keeper_on_looked(again->k, NULL, 0);
        assert_true(tl_keeper_expiry(again->k) <= again->now + TL_KEEPER_SOON);
        run_for(again, TL_KEEPER_SOON);
    }
    assert_true(tl_keeper_is_sure(again->k));
    node_free(n);
    node_free(again);
}

static void the_old_machine_is_elsewhere_before_it_is_sure(void **state)
{
    (void)state;
    node *old = kept_node(1), *fresh = restored_from(old, 2), *back = started(3, old, false);
    assert_true(tl_keeper_is_sure(fresh->k)); /* somebody with the words wanted it */
    tl_keeper_on_timer(back->k);
    assert_false(tl_keeper_is_sure(back->k));
    answer_look(back, &fresh->item);
    assert_int_equal(tl_keeper_state_of(back->k), TL_KEEPER_ELSEWHERE);
    answer_save(back);
    node *later = started(4, back, false); /* and it knows that at its next start */
    assert_int_equal(tl_keeper_state_of(later->k), TL_KEEPER_ELSEWHERE);
    node_free(old);
    node_free(fresh);
    node_free(back);
    node_free(later);
}

static void a_restored_node_that_dies_before_its_first_pointer_takes_over_all_the_same(void **state)
{
    (void)state;
    node *old = kept_node(1), *fresh = started(2, old, true);
    fresh->saved.sequence -= 100;
    node *again = started(3, fresh, false);
    assert_true(tl_keeper_is_sure(again->k));
    run_for(again, TL_SEC);
    answer_all(again, &old->item);
    assert_int_equal(tl_keeper_state_of(again->k), TL_KEEPER_KEPT);
    place(again, 9);
    answer_all(again, &old->item);
    assert_true(again->item.seq > old->item.seq);
    assert_int_equal(again->saved.stage, TL_RECOVERY_USUAL);
    /* and once it has, it yields as everybody does */
    node *third = started(4, again, true);
    third->now = again->now += TL_MIN;
    run_for(third, TL_SEC);
    answer_all(third, &again->item);
    place(third, 8);
    answer_all(third, &again->item);
    run_for(again, TL_KEEPER_LOOK);
    answer_all(again, &third->item);
    assert_int_equal(tl_keeper_state_of(again->k), TL_KEEPER_ELSEWHERE);
    node_free(old);
    node_free(fresh);
    node_free(again);
    node_free(third);
}

static void what_hints_at_another_machine_has_it_look_now_and_again_soon(void **state)
{
    (void)state;
    node *n = kept_node(1);
    answer_all(n, &n->item);
    run_for(n, TL_MIN);
    unsigned before = n->looks;
    tl_keeper_doubt(n->k);
    for (unsigned i = 1; i <= TL_KEEPER_DOUBTS + 1; i++) {
        tl_keeper_on_timer(n->k);
        assert_int_equal(n->looks, before + i);
        answer_look(n, &n->item);
        run_for(n, TL_KEEPER_DOUBT + TL_SEC);
        if (n->looking)
            continue;
        assert_int_equal(i, TL_KEEPER_DOUBTS + 1);
    }
    assert_int_equal(tl_keeper_state_of(n->k), TL_KEEPER_KEPT);
    node_free(n);
}

static void of_two_pointers_of_one_second_one_stays(void **state)
{
    (void)state;
    node *a = kept_node(1), *b = kept_node(2); /* the same words and time, other instances */
    assert_int_equal(a->item.seq, b->item.seq);
    tl_keeper_doubt(a->k);
    tl_keeper_doubt(b->k);
    tl_keeper_on_timer(a->k);
    tl_keeper_on_timer(b->k);
    answer_look(a, &b->item);
    answer_look(b, &a->item);
    assert_int_equal((tl_keeper_state_of(a->k) == TL_KEEPER_KEPT) +
                         (tl_keeper_state_of(b->k) == TL_KEEPER_KEPT),
                     1);
    node_free(a);
    node_free(b);
}

static void who_stands_aside_leaves_a_notice_that_the_other_reads_once(void **state)
{
    (void)state;
    node *old = kept_node(1), *fresh = restored_from(old, 2);
    tl_dht_item notice;
    assert_int_equal(tl_keeper_notice(old->k, &notice), TL_ERR_INVALID);
    tl_keeper_doubt(old->k);
    tl_keeper_on_timer(old->k);
    answer_look(old, &fresh->item);
    assert_int_equal(tl_keeper_notice(old->k, &notice), TL_OK);
    assert_int_equal(tl_dht_item_verify(&notice), TL_OK);
    assert_true(tl_pointer_is_notice(&(tl_pointer){.made_at = 1}));
    assert_int_equal(tl_keeper_other_at(fresh->k), 0);
    assert_false(tl_keeper_on_noticed(fresh->k, &fresh->item)); /* no notice */
    assert_int_equal(tl_keeper_other_at(fresh->k), 0);
    assert_true(tl_keeper_on_noticed(fresh->k, &notice));
    assert_int_equal(tl_keeper_other_at(fresh->k), wall_of(old));
    assert_false(tl_keeper_on_noticed(fresh->k, &notice));
    assert_false(tl_keeper_on_noticed(old->k, &notice)); /* its own */
    node_free(old);
    node_free(fresh);
}

static void who_takes_over_again_stays_and_the_other_stands_aside(void **state)
{
    (void)state;
    node *old = kept_node(1), *fresh = restored_from(old, 2);
    tl_dht_item notice;
    assert_int_equal(tl_keeper_take_over(old->k), TL_ERR_INVALID); /* it is the node */
    tl_keeper_doubt(old->k);
    tl_keeper_on_timer(old->k);
    answer_look(old, &fresh->item);
    assert_int_equal(tl_keeper_notice(old->k, &notice), TL_OK);
    assert_int_equal(tl_keeper_take_over(old->k), TL_ERR_BUSY); /* its row is under way */
    answer_save(old);
    assert_int_equal(tl_keeper_take_over(old->k), TL_OK);
    assert_int_equal(tl_keeper_state_of(old->k), TL_KEEPER_KEPT);
    assert_true(tl_keeper_is_sure(old->k));
    assert_false(tl_keeper_on_noticed(old->k, &notice)); /* it was its own */
    answer_all(old, &fresh->item);
    place(old, 4);
    answer_all(old, &fresh->item);
    assert_true(old->item.seq > fresh->item.seq);
    assert_memory_equal(old->item.key, fresh->item.key, sizeof old->item.key); /* the same words */
    tl_keeper_doubt(fresh->k);
    tl_keeper_on_timer(fresh->k);
    answer_all(fresh, &old->item);
    assert_int_equal(tl_keeper_state_of(fresh->k), TL_KEEPER_ELSEWHERE);
    node_free(old);
    node_free(fresh);
}

static void a_withdrawn_backup_is_overwritten_with_a_notice_and_made_no_more(void **state)
{
    (void)state;
    node *n = kept_node(1);
    int64_t sequence = n->item.seq;
    assert_true(opened(n, &n->item).map.n > 0);
    assert_int_equal(tl_keeper_withdraw(n->k), TL_OK);
    assert_int_equal(tl_keeper_withdraw(n->k), TL_ERR_INVALID);
    assert_int_equal(n->withdrawn, 1); /* the pointer is not kept alive from now on */
    assert_int_equal(n->published, 1);
    answer_save(n);
    assert_int_equal(n->saved.stage, TL_RECOVERY_WITHDRAWN);
    answer_look(n, &n->item);
    answer_save(n);
    assert_int_equal(n->published, 2);
    assert_true(n->item.seq > sequence);
    tl_pointer p = opened(n, &n->item);
    assert_true(tl_pointer_is_notice(&p));
    assert_int_equal(p.relays_n, 0);
    unsigned copies = n->copies;
    tl_keeper_changed(n->k);
    run_for(n, TL_KEEPER_RENEW + TL_MIN);
    assert_int_equal(n->copies, copies);

    /* also over a restart, above what the DHT has */
    node *again = started(2, n, false);
    tl_keeper_on_timer(again->k);
    answer_all(again, &n->item);
    assert_int_equal(tl_keeper_state_of(again->k), TL_KEEPER_WITHDRAWN);
    assert_int_equal(again->published, 1);
    assert_true(again->item.seq > n->item.seq);
    p = opened(again, &again->item);
    assert_true(tl_pointer_is_notice(&p));

    /* until its holders have been told */
    assert_int_equal(tl_keeper_undo(again->k, NULL), TL_OK);
    assert_int_equal(tl_keeper_state_of(again->k), TL_KEEPER_NONE);
    assert_true(tl_keeper_expiry(again->k) == TL_NEVER);
    node_free(n);
    node_free(again);
}

static void new_words_may_follow_a_backup_that_was_withdrawn(void **state)
{
    (void)state;
    static const uint8_t others[TL_RECOVERY_KEY] = {8};
    node *n = kept_node(1);
    assert_int_equal(tl_keeper_withdraw(n->k), TL_OK);
    answer_all(n, &n->item);
    assert_int_equal(tl_keeper_create(n->k, others, 0, false), TL_OK);
    answer_all(n, NULL);
    assert_int_equal(tl_keeper_state_of(n->k), TL_KEEPER_KEPT);
    assert_int_equal(n->saved.stage, TL_RECOVERY_USUAL);
    place(n, 3);
    answer_all(n, NULL);
    tl_pointer p = opened(n, &n->item);
    assert_false(tl_pointer_is_notice(&p));
    node_free(n);
}

static void who_is_restored_meanwhile_is_left_alone_by_the_one_that_withdrew(void **state)
{
    (void)state;
    node *old = kept_node(1), *fresh = restored_from(old, 2);
    assert_int_equal(tl_keeper_withdraw(old->k), TL_OK);
    answer_save(old);
    answer_look(old, &fresh->item);
    assert_int_equal(tl_keeper_state_of(old->k), TL_KEEPER_ELSEWHERE);
    assert_int_equal(old->published, 1);
    node_free(old);
    node_free(fresh);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_node_that_starts_is_not_sure_before_it_has_looked),
        cmocka_unit_test(where_the_dht_is_silent_it_asks_again_and_waits_no_longer_than_it_says),
        cmocka_unit_test(the_old_machine_is_elsewhere_before_it_is_sure),
        cmocka_unit_test(
            a_restored_node_that_dies_before_its_first_pointer_takes_over_all_the_same),
        cmocka_unit_test(what_hints_at_another_machine_has_it_look_now_and_again_soon),
        cmocka_unit_test(of_two_pointers_of_one_second_one_stays),
        cmocka_unit_test(who_stands_aside_leaves_a_notice_that_the_other_reads_once),
        cmocka_unit_test(who_takes_over_again_stays_and_the_other_stands_aside),
        cmocka_unit_test(a_withdrawn_backup_is_overwritten_with_a_notice_and_made_no_more),
        cmocka_unit_test(new_words_may_follow_a_backup_that_was_withdrawn),
        cmocka_unit_test(who_is_restored_meanwhile_is_left_alone_by_the_one_that_withdrew),
    };
    return tl_crypto_init() ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
