/* What strangers, and owners that mean ill, can take from others at a holder: places, memory, rates, room. */
#include "holder_scene.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define STRANGERS 36 /* people[4] and on */

static tl_talk put_of(size_t n, unsigned mark)
{
    return (tl_talk){
        .type = TL_TALK_PUT,
        .u.put = {.fragment = hold_id_of(n, mark), .size = (uint32_t)n, .recovery = recovery.id}};
}

static tl_talk get_of(size_t n, unsigned mark)
{
    tl_talk m = {.type = TL_TALK_GET};
    tl_fragment_id id = hold_id_of(n, mark);
    memcpy(m.u.get, id.bytes, sizeof m.u.get);
    return m;
}

static void take_body(call *c, size_t n, unsigned mark)
{
    tl_buf b = hold_content_of(n, mark);
    if (!c->answered)
        tl_holder_body(&c->op, tl_buf_slice(&b));
    hold_settle();
    tl_buf_clear(&b);
}

/* --- places --- */

static void strangers_that_store_something_are_strangers_still(void **state)
{
    (void)state;
    static call c[TL_HOLDER_OPS_MAX];
    unsigned n = 0;
    assert_int_equal(hold_put(&people[0], 5000, 500), TL_TALK_RECEIPT);
    for (unsigned i = 4; i < 4 + STRANGERS; i++)
        assert_int_equal(hold_put(&people[i], 5000, i), TL_TALK_RECEIPT);
    for (unsigned i = 4; i < 4 + STRANGERS; i++)
        for (unsigned j = 0; j < 16; j++) {
            tl_talk m = put_of(5000, i); /* what it has, once more, and no byte comes */
            if (tl_holder_may_begin(holder, &people[i].id, &m))
                hold_start(&c[n++], &people[i], &m);
        }
    assert_int_equal(n, TL_HOLDER_OPS_STRANGERS);
    /* members, and the restore of one, and even that of a stranger, find a place */
    assert_int_equal(hold_put(&people[1], 5000, 501), TL_TALK_RECEIPT);
    assert_int_equal(hold_ask(&people[0], TL_TALK_PROVE, 5000, 500), TL_TALK_PROOF);
    assert_int_equal(hold_get(&recovery, 5000, 500), TL_TALK_CONTENT);
    assert_int_equal(hold_get(&recovery, 5000, 20), TL_TALK_CONTENT);
    /* one that stores anew finds none */
    tl_talk m = put_of(5000, 600);
    assert_false(tl_holder_may_begin(holder, &people[39].id, &m));
    while (n)
        hold_stop(&c[--n]);
    assert_true(tl_holder_may_begin(holder, &people[39].id, &m));
}

static void what_strangers_get_leaves_places_for_members_and_their_restores(void **state)
{
    (void)state;
    static call c[TL_HOLDER_OPS_MAX];
    unsigned n = 0;
    assert_int_equal(hold_put(&people[0], 5000, 500), TL_TALK_RECEIPT);
    for (unsigned i = 4; i < 4 + STRANGERS; i++)
        assert_int_equal(hold_put(&people[i], 100, i), TL_TALK_RECEIPT);
    for (unsigned i = 4; i < 4 + STRANGERS; i++)
        for (unsigned j = 0; j < 16; j++) {
            tl_talk get = get_of(100, i), put = put_of(100, i);
            if (tl_holder_may_begin(holder, &people[i].id, &get))
                hold_start(&c[n++], &people[i], &get);
            if (tl_holder_may_begin(holder, &people[i].id, &put))
                hold_start(&c[n++], &people[i], &put);
        }
    assert_int_equal(n, TL_HOLDER_OPS_STRANGERS + TL_HOLDER_OPS_GETS);
    hold_settle();
    assert_int_equal(hold_get(&recovery, 5000, 500), TL_TALK_CONTENT);
    assert_int_equal(hold_put(&people[1], 5000, 501), TL_TALK_RECEIPT);
    while (n)
        hold_stop(&c[--n]);
}

static void one_peer_has_so_many_requests_at_once(void **state)
{
    (void)state;
    static call c[TL_HOLDER_OPS_MAX];
    const size_t most[] = {TL_HOLDER_OPS_OF_PEER, TL_HOLDER_OPS_OF_STRANGER};
    for (unsigned stranger = 0; stranger < 2; stranger++) {
        const tl_identity *by = &people[stranger ? 9 : 0];
        unsigned n = 0;
        tl_talk m = put_of(1, 1), get = get_of(5000, 7);
        for (; n < 30 && tl_holder_may_begin(holder, &by->id, &m); n++)
            hold_start(&c[n], by, &m);
        assert_int_equal(n, most[stranger]);
        while (n)
            hold_stop(&c[--n]);
        assert_int_equal(hold_counts().bytes, 0);
        for (; n < 30 && tl_holder_may_begin(holder, &by->id, &get); n++)
            hold_start(&c[n], by, &get);
        assert_int_equal(n, stranger ? TL_HOLDER_GETS_OF_PEER : TL_HOLDER_OPS_OF_PEER);
        while (n)
            hold_stop(&c[--n]);
    }
}

/* --- memory --- */

static void what_is_not_taken_is_one_fragment_of_a_peer(void **state)
{
    (void)state;
    call c[4] = {0};
    assert_int_equal(hold_put(&people[9], MIB, 1), TL_TALK_RECEIPT);
    tl_talk m = get_of(MIB, 1);
    for (unsigned i = 0; i < 4; i++)
        hold_start(&c[i], &people[9], &m);
    hold_settle();
    assert_true(c[0].answered);
    assert_false(c[1].answered);
    now += TL_SEC;
    tl_holder_on_timer(holder);
    hold_settle();
    assert_false(c[1].answered);
    hold_stop(&c[0]); /* it was taken */
    assert_true(tl_holder_expiry(holder) <= now);
    tl_holder_on_timer(holder);
    hold_settle();
    assert_int_equal(hold_result(&c[1]), TL_TALK_CONTENT);
    assert_false(c[2].answered);
    assert_int_equal(hold_ask(&people[9], TL_TALK_DELETE, MIB, 1), TL_TALK_DONE);
    hold_stop(&c[1]);
    tl_holder_on_timer(holder);
    assert_int_equal(hold_result(&c[2]), REFUSED(NOT_FOUND)); /* it is gone meanwhile */
    hold_stop(&c[2]);
    hold_stop(&c[3]);
}

static void strangers_that_take_nothing_leave_half_of_the_memory_to_members(void **state)
{
    (void)state;
    static call c[12];
    unsigned given = 0;
    tl_holder_set_quota(holder, 128 * MIB);
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(hold_put(&people[i], 8 * MIB, 500 + i), TL_TALK_RECEIPT);
    for (unsigned i = 0; i < 12; i++)
        assert_int_equal(hold_put(&people[4 + i], 2 * MIB, i), TL_TALK_RECEIPT);
    for (unsigned i = 0; i < 12; i++) {
        tl_talk m = get_of(2 * MIB, i);
        hold_start(&c[i], &people[4 + i], &m);
        hold_settle();
        given += hold_result(&c[i]) == TL_TALK_CONTENT;
    }
    assert_int_equal(given, 8); /* of 16 MiB */
    call member;
    tl_talk m = get_of(8 * MIB, 500);
    assert_false(hold_start(&member, &people[0], &m));
    hold_settle();
    assert_int_equal(hold_result(&member), TL_TALK_CONTENT);
    assert_int_equal(hold_get(&recovery, 8 * MIB, 501), TL_TALK_CONTENT); /* beside it */
    hold_stop(&member);
    for (unsigned i = 0; i < 12; i++)
        hold_stop(&c[i]);
}

static void puts_of_strangers_leave_memory_to_what_strangers_get(void **state)
{
    (void)state;
    static call c[16];
    unsigned n = 0;
    assert_int_equal(hold_put(&people[30], MIB, 77), TL_TALK_RECEIPT);
    for (unsigned i = 0; i < 15; i++) {
        tl_talk m = put_of(MIB, i);
        n += hold_start(&c[i], &people[4 + i], &m);
    }
    assert_int_equal(n, 8);
    assert_int_equal(hold_result(&c[14]), REFUSED(UNAVAILABLE));
    assert_int_equal(hold_get(&recovery, MIB, 77), TL_TALK_CONTENT);
    for (unsigned i = 0; i < 15; i++)
        hold_stop(&c[i]);
}

/* --- rates --- */

static void an_announcement_costs_others_nothing(void **state)
{
    (void)state;
    call c;
    tl_talk m = put_of(MIB, 1);
    for (unsigned i = 0; i < 500; i++) { /* 500 MiB, of which no byte comes */
        assert_true(hold_start(&c, &people[9], &m));
        hold_stop(&c);
    }
    assert_int_equal(hold_put(&people[10], MIB, 2), TL_TALK_RECEIPT);
    assert_int_equal(hold_put(&people[9], MIB, 1), TL_TALK_RECEIPT);
}

static void one_stranger_that_wears_out_its_own_rate_leaves_that_of_all_to_the_others(void **state)
{
    (void)state;
    unsigned taken = 0;
    while (hold_put(&people[9], MIB, 1) == TL_TALK_RECEIPT)
        taken++;
    assert_in_range(taken, 1, TL_HOLDER_STRANGER_BURST / MIB);
    for (unsigned i = 0; i < 1000; i++) /* what its own rate refuses is taken from nobody */
        assert_int_equal(hold_put(&people[9], MIB, 1), REFUSED(UNAVAILABLE));
    assert_int_equal(hold_put(&people[10], MIB, 2), TL_TALK_RECEIPT);
    now += 17 * TL_SEC; /* TL_HOLDER_STRANGER_RATE */
    assert_int_equal(hold_put(&people[9], MIB, 1), TL_TALK_RECEIPT);
}

static void who_keeps_nothing_here_takes_no_rate_of_strangers_that_do(void **state)
{
    (void)state;
    assert_int_equal(hold_put(&people[10], 5000, 2), TL_TALK_RECEIPT);
    while (hold_get(&people[9], 5000, 1) != REFUSED(UNAVAILABLE)) {
    }
    assert_int_equal(hold_ask(&people[10], TL_TALK_PROVE, 5000, 2), TL_TALK_PROOF);
    assert_int_equal(hold_get(&people[10], 5000, 2), TL_TALK_CONTENT);
    assert_int_equal(hold_put(&people[11], 5000, 3), TL_TALK_RECEIPT);
}

/* --- room --- */

/* Puts once more what it has, deletes it, fills the room anew, and lets the bytes come then. */
static uint64_t dance(const tl_identity *by, size_t size, unsigned n)
{
    static call c[TL_HOLDER_OPS_OF_PEER];
    unsigned begun = 0;
    for (unsigned i = 0; i < n; i++)
        assert_int_equal(hold_put(by, size, 1 + i), TL_TALK_RECEIPT);
    for (unsigned i = 0; i < n && begun < 7; i++) {
        tl_talk m = put_of(size, 1 + i);
        assert_true(hold_start(&c[begun++], by, &m));
    }
    for (unsigned i = 0; i < n; i++)
        assert_int_equal(hold_ask(by, TL_TALK_DELETE, size, 1 + i), TL_TALK_DONE);
    for (unsigned i = 0; i < n; i++)
        assert_int_equal(hold_put(by, size, 101 + i), TL_TALK_RECEIPT);
    for (unsigned i = 0; i < begun; i++) {
        take_body(&c[i], size, 1 + i);
        assert_int_equal(hold_result(&c[i]), REFUSED(FULL));
        hold_stop(&c[i]);
    }
    return hold_counts().bytes;
}

static void putting_again_what_was_deleted_meanwhile_passes_no_quota(void **state)
{
    (void)state;
    tl_holder_set_quota(holder, 4 * MIB);
    assert_int_equal(dance(&people[0], 64 << 10, 16), MIB);
}

static void nor_does_a_stranger_pass_its_own(void **state)
{
    (void)state;
    tl_holder_set_quota(holder, 16 * MIB);
    assert_int_equal(dance(&people[9], 16 << 10, 16), 256 << 10);
    assert_int_equal(hold_counts().stranger_bytes, 256 << 10);
}

static void what_is_deleted_while_the_disk_writes_it_again_needs_room_anew(void **state)
{
    (void)state;
    call c;
    tl_holder_set_quota(holder, MIB); /* 256 KiB for a member */
    assert_int_equal(hold_put(&people[0], 256 << 10, 1), TL_TALK_RECEIPT);
    tl_talk m = put_of(256 << 10, 1);
    assert_true(hold_start(&c, &people[0], &m));
    slow = true;
    take_body(&c, 256 << 10, 1);
    assert_int_equal(hold_ask(&people[0], TL_TALK_DELETE, 256 << 10, 1), TL_TALK_DONE);
    call other;
    tl_talk m2 = put_of(256 << 10, 2);
    assert_true(hold_start(&other, &people[0], &m2));
    slow = false;
    take_body(&other, 256 << 10, 2);
    assert_int_equal(hold_result(&other), TL_TALK_RECEIPT);
    assert_int_equal(hold_result(&c), REFUSED(UNAVAILABLE));
    hold_stop(&c);
    hold_stop(&other);
    assert_int_equal(hold_counts().bytes, 256 << 10);
    assert_int_equal(files_n, 1);
}

static void what_is_put_again_for_another_recovery_identity_is_that_ones(void **state)
{
    (void)state;
    call c;
    tl_talk m = put_of(5000, 1);
    assert_int_equal(hold_put(&people[0], 5000, 1), TL_TALK_RECEIPT);
    m.u.put.recovery = people[20].id;
    assert_true(hold_start(&c, &people[0], &m));
    take_body(&c, 5000, 1);
    assert_int_equal(hold_result(&c), TL_TALK_RECEIPT);
    hold_stop(&c);
    assert_int_equal(hold_get(&people[20], 5000, 1), TL_TALK_CONTENT);
    assert_int_equal(hold_get(&recovery, 5000, 1), REFUSED(NOT_FOUND));
    assert_false(tl_holder_knows(holder, &recovery.id));
    assert_int_equal(hold_counts().bytes, TL_HOLDER_BLOCK);
}

static void what_a_stranger_put_counts_as_a_members_once_it_is_one_and_puts_it_again(void **state)
{
    (void)state;
    tl_holder_entry e = {.key = {people[0].id, hold_id_of(5000, 1)},
                         .size = 5000,
                         .recovery = recovery.id,
                         .placed_at = EPOCH,
                         .stranger = true};
    assert_int_equal(tl_holder_load(holder, &e), TL_OK);
    assert_int_equal(hold_counts().stranger_bytes, TL_HOLDER_BLOCK);
    assert_int_equal(hold_put(&people[0], 5000, 1), TL_TALK_RECEIPT);
    assert_int_equal(hold_counts().stranger_bytes, 0);
    assert_int_equal(hold_counts().bytes, TL_HOLDER_BLOCK);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, hold_begin, hold_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(strangers_that_store_something_are_strangers_still),
        TEST(what_strangers_get_leaves_places_for_members_and_their_restores),
        TEST(one_peer_has_so_many_requests_at_once),
        TEST(what_is_not_taken_is_one_fragment_of_a_peer),
        TEST(strangers_that_take_nothing_leave_half_of_the_memory_to_members),
        TEST(puts_of_strangers_leave_memory_to_what_strangers_get),
        TEST(an_announcement_costs_others_nothing),
        TEST(one_stranger_that_wears_out_its_own_rate_leaves_that_of_all_to_the_others),
        TEST(who_keeps_nothing_here_takes_no_rate_of_strangers_that_do),
        TEST(putting_again_what_was_deleted_meanwhile_passes_no_quota),
        TEST(nor_does_a_stranger_pass_its_own),
        TEST(what_is_deleted_while_the_disk_writes_it_again_needs_room_anew),
        TEST(what_is_put_again_for_another_recovery_identity_is_that_ones),
        TEST(what_a_stranger_put_counts_as_a_members_once_it_is_one_and_puts_it_again),
    };
    return cmocka_run_group_tests(tests, hold_set_up, NULL);
}
