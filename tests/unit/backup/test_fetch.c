/* A restore: all of it, or a refusal with its reason. */
#include "backup_scene.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static scene s;

/* Ten nodes, five fragments needed. */
static void set_up_ten(uint64_t seed)
{
    scene_init(&s, seed, 10);
    scene_set(&s, 100000, 10, 5);
    scene_run_for(&s, TL_MIN);
    assert_int_equal(scene_status(&s).held, 10);
}

static scene_restore restore_whole(void)
{
    scene_restore r;
    scene_restore_now(&s, &r, 0);
    assert_int_equal(r.error, TL_OK);
    assert_string_equal(r.why, "");
    assert_true(tl_slice_eq(tl_buf_slice(&r.blob), tl_backup_blob(s.backup)));
    tl_buf_clear(&r.blob);
    return r;
}

static scene_restore restore_refused(tl_err e)
{
    scene_restore r;
    scene_restore_now(&s, &r, 0);
    assert_int_equal(r.error, e);
    assert_int_equal(r.blob.len, 0);
    assert_true(r.why[0]);
    return r;
}

static void a_restore_asks_for_no_more_than_it_needs(void **state)
{
    (void)state;
    set_up_ten(1);
    unsigned before = 0, after = 0;
    for (int i = 0; i < 10; i++)
        before += s.node[i].asked;
    scene_restore r = restore_whole();
    for (int i = 0; i < 10; i++)
        after += s.node[i].asked;
    assert_int_equal(after - before, 5);
    assert_true(r.took < TL_SEC);
    scene_clear(&s);
}

static void it_bears_the_loss_of_all_that_are_not_needed(void **state)
{
    (void)state;
    set_up_ten(2);
    for (int i = 0; i < 5; i++)
        scene_holder_of(&s, (unsigned)i)->away = true;
    scene_restore r = restore_whole();
    assert_true(r.took < 5 * TL_SEC);
    scene_clear(&s);
}

static void one_loss_more_and_it_is_refused_with_the_reason(void **state)
{
    (void)state;
    set_up_ten(3);
    for (int i = 0; i < 6; i++)
        scene_holder_of(&s, (unsigned)i)->away = true;
    scene_restore r = restore_refused(TL_ERR_NOT_FOUND);
    assert_non_null(strstr(r.why, "4 of the 5 fragments that are needed were found"));
    assert_non_null(strstr(r.why, "was not reached"));
    scene_clear(&s);
}

static void altered_fragments_are_noticed_and_fetched_elsewhere(void **state)
{
    (void)state;
    set_up_ten(4);
    for (int i = 0; i < 5; i++)
        scene_holder_of(&s, (unsigned)i)->alters = true;
    restore_whole();
    scene_holder_of(&s, 7)->alters = true;
    scene_restore r = restore_refused(TL_ERR_NOT_FOUND);
    assert_non_null(strstr(r.why, "sent other bytes than it was given"));
    scene_clear(&s);
}

static void withheld_fragments_are_fetched_elsewhere(void **state)
{
    (void)state;
    set_up_ten(5);
    for (int i = 3; i < 8; i++)
        scene_holder_of(&s, (unsigned)i)->withholds = true;
    restore_whole();
    scene_holder_of(&s, 0)->withholds = true;
    scene_restore r = restore_refused(TL_ERR_NOT_FOUND);
    assert_non_null(strstr(r.why, "does not give it"));
    scene_clear(&s);
}

static void a_mute_holder_is_not_waited_for(void **state)
{
    (void)state;
    set_up_ten(6);
    for (int i = 0; i < 5; i++)
        scene_holder_of(&s, (unsigned)i)->mute = true;
    assert_true(restore_whole().took < 3 * TL_SEC);
    scene_holder_of(&s, 9)->mute = true;
    scene_restore r = restore_refused(TL_ERR_TIMEOUT);
    assert_non_null(strstr(r.why, "did not answer in time"));
    scene_clear(&s);
}

static void a_holder_that_comes_late_is_asked_again(void **state)
{
    (void)state;
    set_up_ten(7);
    scene_restore r;
    for (int i = 0; i < 6; i++)
        scene_holder_of(&s, (unsigned)i)->disk_fails = true; /* "unavailable": for now */
    scene_restore_now(&s, &r, 0);
    assert_int_equal(r.error, TL_ERR_NOT_FOUND);
    scene_holder_of(&s, 0)->disk_fails = false;
    restore_whole();
    scene_clear(&s);
}

static void only_the_owner_and_the_recovery_identity_get_it(void **state)
{
    (void)state;
    set_up_ten(8);
    tl_identity right = s.recovery;
    assert_int_equal(tl_identity_new(&s.rand, &s.recovery), TL_OK);
    restore_refused(TL_ERR_NOT_FOUND);
    s.recovery = right;
    restore_whole();
    s.recovery = s.owner;
    restore_whole();
    scene_clear(&s);
}

static void a_map_of_other_fragments_makes_no_blob(void **state)
{
    (void)state;
    set_up_ten(9);
    s.map.blob.bytes[0] ^= 1;
    scene_restore r = restore_refused(TL_ERR_AUTH);
    assert_non_null(strstr(r.why, "do not make the backup"));
    s.map.blob.bytes[0] ^= 1;
    s.map.fragment[2].tag[0] ^= 1; /* nobody has it */
    restore_whole();
    s.map.n = 0;
    tl_fetch *f;
    tl_env env = {0};
    assert_int_equal(tl_fetch_new(&s.map, &s.for_recovery, &env, 0, NULL, NULL, &f),
                     TL_ERR_INVALID);
    scene_clear(&s);
}

static void one_that_is_given_up_calls_nobody(void **state)
{
    (void)state;
    set_up_ten(10);
    scene_restore r;
    scene_restore_now(&s, &r, 1); /* a nanosecond */
    assert_int_equal(r.error, TL_ERR_TIMEOUT);
    scene_run_for(&s, TL_MIN); /* what was under way is cancelled */
    scene_clear(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_restore_asks_for_no_more_than_it_needs),
        cmocka_unit_test(it_bears_the_loss_of_all_that_are_not_needed),
        cmocka_unit_test(one_loss_more_and_it_is_refused_with_the_reason),
        cmocka_unit_test(altered_fragments_are_noticed_and_fetched_elsewhere),
        cmocka_unit_test(withheld_fragments_are_fetched_elsewhere),
        cmocka_unit_test(a_mute_holder_is_not_waited_for),
        cmocka_unit_test(a_holder_that_comes_late_is_asked_again),
        cmocka_unit_test(only_the_owner_and_the_recovery_identity_get_it),
        cmocka_unit_test(a_map_of_other_fragments_makes_no_blob),
        cmocka_unit_test(one_that_is_given_up_calls_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
