/* The holder's side: what it takes, from whom, and what it gives back to whom. */
#include "holder_scene.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void what_is_put_is_given_back_to_its_owner_and_the_recovery_identity_alone(void **state)
{
    (void)state;
    assert_int_equal(hold_put(&people[0], 5000, 1), TL_TALK_RECEIPT);
    assert_int_equal(hold_get(&people[0], 5000, 1), TL_TALK_CONTENT);
    assert_int_equal(hold_get(&recovery, 5000, 1), TL_TALK_CONTENT);
    assert_int_equal(hold_get(&people[1], 5000, 1), REFUSED(NOT_FOUND));
    assert_int_equal(hold_get(&people[9], 5000, 1), REFUSED(NOT_FOUND));
    assert_int_equal(hold_get(&people[0], 5000, 2), REFUSED(NOT_FOUND));
    assert_true(tl_holder_knows(holder, &recovery.id));
    assert_false(tl_holder_is_owner(holder, &recovery.id));
    assert_false(tl_holder_knows(holder, &people[1].id));
}

static void the_recovery_identity_may_get_and_nothing_else(void **state)
{
    (void)state;
    assert_int_equal(hold_put(&people[0], 5000, 1), TL_TALK_RECEIPT);
    assert_int_equal(hold_ask(&recovery, TL_TALK_DELETE, 5000, 1), TL_TALK_DONE);
    assert_int_equal(hold_ask(&recovery, TL_TALK_PROVE, 5000, 1), -1);
    assert_int_equal(hold_get(&people[0], 5000, 1), TL_TALK_CONTENT); /* it is there as before */
}

static void bytes_of_another_address_are_refused(void **state)
{
    (void)state;
    call c;
    tl_buf b = hold_content_of(5000, 2);
    tl_talk m = {.type = TL_TALK_PUT,
                 .u.put = {.fragment = hold_id_of(5000, 1), .size = 5000, .recovery = recovery.id}};
    assert_true(hold_start(&c, &people[0], &m));
    tl_holder_body(&c.op, tl_buf_slice(&b));
    assert_int_equal(hold_result(&c), REFUSED(INVALID));
    hold_stop(&c);
    assert_true(hold_start(&c, &people[0], &m));
    tl_holder_body(&c.op, tl_slice_of(b.data, 4999)); /* cut */
    assert_int_equal(hold_result(&c), REFUSED(INVALID));
    hold_stop(&c);
    tl_buf_clear(&b);
    assert_int_equal(hold_counts().bytes, 0);
    assert_int_equal(hold_put(&people[0], 5000, 1), TL_TALK_RECEIPT);
}

static void one_owner_has_a_quarter_and_a_stranger_a_sixty_fourth(void **state)
{
    (void)state;
    assert_int_equal(hold_put(&people[0], 8 * MIB, 1), TL_TALK_RECEIPT);
    assert_int_equal(hold_put(&people[0], 8 * MIB, 2), TL_TALK_RECEIPT);
    assert_int_equal(hold_put(&people[0], 100, 3), REFUSED(FULL));
    assert_int_equal(hold_put(&people[1], 100, 3), TL_TALK_RECEIPT); /* another one's place */
    assert_int_equal(hold_put(&people[9], MIB, 4), TL_TALK_RECEIPT);
    assert_int_equal(hold_put(&people[9], 100, 5), REFUSED(FULL));
    assert_int_equal(hold_ask(&people[9], TL_TALK_DELETE, MIB, 4), TL_TALK_DONE);
    assert_int_equal(hold_put(&people[9], 100, 5), TL_TALK_RECEIPT);
}

static void all_strangers_together_have_a_quarter_and_members_the_rest(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 16; i++)
        assert_int_equal(hold_put(&people[4 + i], MIB, i), TL_TALK_RECEIPT);
    assert_int_equal(hold_put(&people[20], 100, 77), REFUSED(FULL));
    assert_int_equal(hold_counts().stranger_bytes, 16 * MIB);
    now += 100 * TL_SEC; /* the rate is another bound */
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(hold_put(&people[i], 8 * MIB, 100 + 2 * i), TL_TALK_RECEIPT);
        assert_int_equal(hold_put(&people[i], 8 * MIB, 101 + 2 * i), TL_TALK_RECEIPT);
    }
    assert_int_equal(hold_put(&people[3], 100, 200), REFUSED(FULL)); /* the quota */
    assert_int_equal(hold_counts().bytes, 64 * MIB);
    assert_int_equal(hold_counts().refused_full, 2);
}

static void a_fragment_on_its_way_counts_as_if_it_were_here(void **state)
{
    (void)state;
    call c[3];
    tl_holder_set_quota(holder, 32 * MIB);
    for (unsigned i = 0; i < 2; i++) {
        tl_talk m = {.type = TL_TALK_PUT,
                     .u.put = {.fragment = hold_id_of(4 * MIB, i), .size = 4 * MIB}};
        m.u.put.recovery = recovery.id;
        assert_true(hold_start(&c[i], &people[0], &m));
    }
    assert_int_equal(hold_put(&people[0], 100, 7), REFUSED(FULL));
    hold_stop(&c[0]); /* it broke off */
    assert_int_equal(hold_put(&people[0], 100, 7), TL_TALK_RECEIPT);
    hold_stop(&c[1]);
    assert_int_equal(hold_counts().bytes, TL_HOLDER_BLOCK);
}

static void the_same_again_takes_no_more_room(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++)
        assert_int_equal(hold_put(&people[9], MIB, 1), TL_TALK_RECEIPT);
    assert_int_equal(hold_counts().bytes, MIB);
    assert_int_equal(hold_counts().fragments, 1);
}

static void with_a_quota_of_none_nothing_is_taken(void **state)
{
    (void)state;
    assert_int_equal(hold_put(&people[0], 100, 1), TL_TALK_RECEIPT);
    tl_holder_set_quota(holder, 0);
    assert_int_equal(hold_counts().fragments, 0);
    assert_int_equal(files_n, 0);
    assert_int_equal(hold_put(&people[0], 100, 1), REFUSED(FULL));
    tl_holder_set_quota(holder, 64 * MIB);
    assert_int_equal(hold_put(&people[0], 100, 1), TL_TALK_RECEIPT);
}

static void where_the_quota_shrinks_strangers_go_first(void **state)
{
    (void)state;
    assert_int_equal(hold_put(&people[0], MIB, 1), TL_TALK_RECEIPT);
    assert_int_equal(hold_put(&people[9], MIB, 2), TL_TALK_RECEIPT);
    tl_holder_set_quota(holder, MIB);
    assert_int_equal(hold_get(&people[0], MIB, 1), TL_TALK_CONTENT);
    assert_int_equal(hold_get(&people[9], MIB, 2), REFUSED(NOT_FOUND));
    assert_int_equal(hold_counts().evicted, 1);
}

static void a_proof_is_right_and_a_lost_file_has_none(void **state)
{
    (void)state;
    call c;
    uint8_t right[TL_TALK_PROOF_SIZE];
    tl_buf b = hold_content_of(5000, 1);
    tl_talk m = {.type = TL_TALK_PROVE, .u.prove = {.nonce = {9}, .n = 3}};
    assert_int_equal(hold_put(&people[0], 5000, 1), TL_TALK_RECEIPT);
    assert_int_equal(hold_put(&people[0], 5000, 2), TL_TALK_RECEIPT);
    for (unsigned i = 0; i < 3; i++)
        m.u.prove.fragment[i] = hold_id_of(5000, i);
    tl_holder_key lost = {people[0].id, m.u.prove.fragment[2]};
    hold_remove_file(hold_file_of(&lost));
    assert_false(hold_start(&c, &people[0], &m));
    hold_settle();
    assert_int_equal(hold_result(&c), TL_TALK_PROOF);
    assert_false(c.answer.u.proof.has[0]); /* never had */
    assert_true(c.answer.u.proof.has[1]);
    assert_false(c.answer.u.proof.has[2]);
    tl_talk_proof_of(m.u.prove.nonce, &self.id, tl_buf_slice(&b), right);
    assert_memory_equal(c.answer.u.proof.proof[1], right, sizeof right);
    hold_stop(&c);
    tl_buf_clear(&b);
    assert_int_equal(hold_counts().lost, 1);
    assert_int_equal(hold_counts().fragments, 1);
}

static void a_file_that_rotted_is_given_to_nobody(void **state)
{
    (void)state;
    assert_int_equal(hold_put(&people[0], 5000, 1), TL_TALK_RECEIPT);
    files[0].content.data[100] ^= 1;
    assert_int_equal(hold_get(&people[0], 5000, 1), REFUSED(NOT_FOUND));
    assert_int_equal(hold_counts().lost, 1);
    assert_int_equal(hold_put(&people[0], 5000, 1), TL_TALK_RECEIPT); /* and may come anew */
    assert_int_equal(hold_get(&people[0], 5000, 1), TL_TALK_CONTENT);
}

static void a_disk_that_fails_loses_nothing(void **state)
{
    (void)state;
    assert_int_equal(hold_put(&people[0], 5000, 1), TL_TALK_RECEIPT);
    disk_fails = true;
    assert_int_equal(hold_put(&people[0], 5000, 2), REFUSED(UNAVAILABLE));
    assert_int_equal(hold_get(&people[0], 5000, 1), REFUSED(UNAVAILABLE));
    assert_int_equal(hold_ask(&people[0], TL_TALK_PROVE, 5000, 1), REFUSED(UNAVAILABLE));
    disk_fails = false;
    no_memory = true;
    assert_int_equal(hold_put(&people[0], 5000, 2), REFUSED(UNAVAILABLE));
    assert_int_equal(hold_get(&people[0], 5000, 1), REFUSED(UNAVAILABLE));
    assert_int_equal(hold_ask(&people[0], TL_TALK_PROVE, 5000, 1), REFUSED(UNAVAILABLE));
    no_memory = false;
    assert_int_equal(hold_get(&people[0], 5000, 1), TL_TALK_CONTENT);
    assert_int_equal(hold_counts().bytes, TL_HOLDER_BLOCK);
}

static void who_is_not_heard_of_for_half_a_year_is_forgotten(void **state)
{
    (void)state;
    assert_int_equal(hold_put(&people[0], 5000, 1), TL_TALK_RECEIPT);
    assert_int_equal(hold_put(&people[1], 5000, 1), TL_TALK_RECEIPT);
    now += 179 * DAY;
    tl_holder_on_timer(holder);
    assert_int_equal(hold_counts().fragments, 2);
    assert_int_equal(hold_ask(&people[0], TL_TALK_PROVE, 5000, 1), TL_TALK_PROOF);
    now += 2 * DAY;
    tl_holder_on_timer(holder);
    assert_int_equal(hold_counts().fragments, 1);
    assert_int_equal(hold_counts().expired, 1);
    assert_int_equal(forgotten, 1);
    assert_int_equal(hold_get(&people[0], 5000, 1), TL_TALK_CONTENT);
}

static void a_clock_that_jumps_and_a_year_in_a_drawer_are_no_owners_silence(void **state)
{
    (void)state;
    assert_int_equal(hold_put(&people[0], 5000, 1), TL_TALK_RECEIPT);
    wall_step = 10 * 365 * 24 * 3600;
    now += 2 * 3600 * TL_SEC;
    tl_holder_on_timer(holder);
    assert_int_equal(hold_counts().fragments, 1);
    assert_int_equal(ran, 1 + 2 * 3600); /* what the next run begins with */
    hold_again();                        /* another run, ten years later */
    assert_int_equal(tl_holder_load_owner(holder, &people[0].id, 1), TL_OK);
    assert_int_equal(tl_holder_load_owner(holder, &self.id, ran), TL_OK);
    tl_holder_entry e = {.key = {people[0].id, hold_id_of(5000, 1)},
                         .size = 5000,
                         .recovery = recovery.id,
                         .placed_at = EPOCH};
    assert_int_equal(tl_holder_load(holder, &e), TL_OK);
    now += 179 * DAY;
    tl_holder_on_timer(holder);
    assert_int_equal(hold_counts().fragments, 1);
    now += DAY; /* and two hours before */
    tl_holder_on_timer(holder);
    assert_int_equal(hold_counts().expired, 1);
}

static void an_owner_is_told_to_the_disk_once_a_day(void **state)
{
    (void)state;
    assert_int_equal(hold_put(&people[0], 5000, 1), TL_TALK_RECEIPT);
    assert_int_equal(hold_ask(&people[0], TL_TALK_PROVE, 5000, 1), TL_TALK_PROOF);
    assert_int_equal(heard_times, 1);
    now += DAY;
    assert_int_equal(hold_ask(&people[0], TL_TALK_PROVE, 5000, 1), TL_TALK_PROOF);
    assert_int_equal(heard_times, 2);
}

static void a_pointer_is_kept_for_an_owner_where_the_recovery_identity_signed_it(void **state)
{
    (void)state;
    assert_int_equal(hold_point(&people[0], &recovery.id, 'p'), REFUSED(FORBIDDEN));
    assert_int_equal(hold_put(&people[0], 5000, 1), TL_TALK_RECEIPT);
    assert_int_equal(hold_point(&people[0], &recovery.id, 'x'), REFUSED(INVALID));
    assert_int_equal(hold_point(&people[0], &people[1].id, 'p'), REFUSED(INVALID));
    assert_int_equal(pointers, 0);
    assert_int_equal(hold_point(&people[0], &recovery.id, 'p'), TL_TALK_DONE);
    assert_int_equal(pointers, 1);
}

static void a_pointer_for_which_there_is_no_room_is_not_said_to_be_kept(void **state)
{
    (void)state;
    assert_int_equal(hold_put(&people[0], 5000, 1), TL_TALK_RECEIPT);
    pointer_error = TL_ERR_BUSY;
    assert_int_equal(hold_point(&people[0], &recovery.id, 'p'), REFUSED(FULL));
    assert_int_equal(hold_counts().refused_full, 1);
    pointer_error = TL_ERR_REPLAY; /* a newer one is there: as good */
    assert_int_equal(hold_point(&people[0], &recovery.id, 'p'), TL_TALK_DONE);
    pointer_error = TL_OK;
    assert_int_equal(hold_point(&people[0], &recovery.id, 'p'), TL_TALK_DONE);
    assert_int_equal(pointers, 1);
}

static void work_for_one_owner_has_a_rate(void **state)
{
    (void)state;
    unsigned given = 0;
    assert_int_equal(hold_put(&people[0], 8 * MIB, 1), TL_TALK_RECEIPT);
    while (hold_get(&people[0], 8 * MIB, 1) == TL_TALK_CONTENT)
        given++;
    /* bytes <= burst + rate x seconds, and the put was some of it */
    assert_in_range(given, 1, TL_HOLDER_BURST / (8 * MIB) - 1);
    assert_int_equal(hold_get(&people[0], 8 * MIB, 1), REFUSED(UNAVAILABLE));
    assert_int_equal(hold_put(&people[1], 100, 1), TL_TALK_RECEIPT); /* others do not wait for it */
    now += 9 * TL_SEC;
    assert_int_equal(hold_get(&people[0], 8 * MIB, 1), TL_TALK_CONTENT);
}

static void a_request_that_is_given_up_at_the_disk_ends_by_itself(void **state)
{
    (void)state;
    call c;
    tl_buf b = hold_content_of(5000, 1);
    tl_talk m = {.type = TL_TALK_PUT,
                 .u.put = {.fragment = hold_id_of(5000, 1), .size = 5000, .recovery = recovery.id}};
    slow = true;
    assert_true(hold_start(&c, &people[0], &m));
    tl_holder_body(&c.op, tl_buf_slice(&b));
    assert_false(c.answered);
    hold_stop(&c);
    slow = false;
    hold_settle();
    assert_false(c.answered);
    assert_int_equal(hold_get(&people[0], 5000, 1), TL_TALK_CONTENT); /* it came to be there */
    assert_int_equal(hold_counts().bytes, TL_HOLDER_BLOCK);
    tl_buf_clear(&b);
}

static void what_an_earlier_run_kept_is_there(void **state)
{
    (void)state;
    tl_buf b = hold_content_of(5000, 1);
    tl_holder_entry e = {.key = {people[9].id, hold_id_of(5000, 1)},
                         .size = 5000,
                         .recovery = recovery.id,
                         .placed_at = EPOCH,
                         .stranger = true};
    files[files_n++] = (struct file){e.key, b};
    assert_int_equal(tl_holder_load_owner(holder, &people[9].id, 1), TL_OK);
    assert_int_equal(tl_holder_load(holder, &e), TL_OK);
    assert_int_equal(hold_counts().stranger_bytes, TL_HOLDER_BLOCK);
    assert_int_equal(hold_get(&recovery, 5000, 1), TL_TALK_CONTENT);
    assert_int_equal(hold_ask(&people[9], TL_TALK_DELETE, 5000, 1), TL_TALK_DONE);
    assert_int_equal(hold_counts().stranger_bytes, 0);
    assert_int_equal(dropped, 1);
    assert_int_equal(forgotten, 1);
    assert_false(tl_holder_knows(holder, &recovery.id));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, hold_begin, hold_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_put_is_given_back_to_its_owner_and_the_recovery_identity_alone),
        TEST(the_recovery_identity_may_get_and_nothing_else),
        TEST(bytes_of_another_address_are_refused),
        TEST(one_owner_has_a_quarter_and_a_stranger_a_sixty_fourth),
        TEST(all_strangers_together_have_a_quarter_and_members_the_rest),
        TEST(a_fragment_on_its_way_counts_as_if_it_were_here),
        TEST(the_same_again_takes_no_more_room),
        TEST(with_a_quota_of_none_nothing_is_taken),
        TEST(where_the_quota_shrinks_strangers_go_first),
        TEST(a_proof_is_right_and_a_lost_file_has_none),
        TEST(a_file_that_rotted_is_given_to_nobody),
        TEST(a_disk_that_fails_loses_nothing),
        TEST(who_is_not_heard_of_for_half_a_year_is_forgotten),
        TEST(a_clock_that_jumps_and_a_year_in_a_drawer_are_no_owners_silence),
        TEST(an_owner_is_told_to_the_disk_once_a_day),
        TEST(a_pointer_is_kept_for_an_owner_where_the_recovery_identity_signed_it),
        TEST(a_pointer_for_which_there_is_no_room_is_not_said_to_be_kept),
        TEST(work_for_one_owner_has_a_rate),
        TEST(a_request_that_is_given_up_at_the_disk_ends_by_itself),
        TEST(what_an_earlier_run_kept_is_there),
    };
    return cmocka_run_group_tests(tests, hold_set_up, NULL);
}
