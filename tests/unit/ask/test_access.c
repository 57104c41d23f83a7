#include "ask/access.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static tl_node_id member = {.key = {1}}, stranger = {.key = {2}};

static bool is_member(void *user, const tl_node_id *peer)
{
    return tl_node_id_eq(user, peer);
}

static const tl_access all_open = {
    .share_public = true, .ask_any = true, .sharing = true, .running = true};

static tl_access with_network(tl_access a)
{
    a.is_member = is_member;
    a.user = &member;
    return a;
}

static void a_public_node_is_for_everybody(void **state)
{
    (void)state;
    assert_int_equal(tl_access_for_peer(&all_open, &stranger), TL_ACCESS_OK);
    assert_int_equal(tl_access_for_strangers(&all_open), TL_ACCESS_OK);
    assert_string_equal(tl_access_words(TL_ACCESS_OK), "");
}

/* Each case differs from the open node, its twin, in one field. */
static void each_condition_alone_closes_the_node(void **state)
{
    (void)state;
    tl_access a = all_open;
    a.share_public = false;
    assert_int_equal(tl_access_for_peer(&a, &stranger), TL_ACCESS_NO_MEMBER);
    assert_int_equal(tl_access_for_strangers(&a), TL_ACCESS_NO_MEMBER);
    a = all_open;
    a.sharing = false;
    assert_int_equal(tl_access_for_peer(&a, &stranger), TL_ACCESS_NOT_SHARED);
    a = all_open;
    a.running = false;
    assert_int_equal(tl_access_for_peer(&a, &stranger), TL_ACCESS_LEAVING);
    for (int v = TL_ACCESS_NOT_SHARED; v <= TL_ACCESS_ENCRYPTED; v++)
        assert_true(strlen(tl_access_words((tl_access_verdict)v)) > 10);
}

static void a_member_asks_a_private_node_and_a_stranger_does_not(void **state)
{
    (void)state;
    tl_access a = with_network(all_open);
    a.share_public = false;
    assert_int_equal(tl_access_for_peer(&a, &member), TL_ACCESS_OK);
    assert_int_equal(tl_access_for_peer(&a, &stranger), TL_ACCESS_NO_MEMBER);
    assert_int_equal(tl_access_for_strangers(&a), TL_ACCESS_NO_MEMBER);
    a.running = false;
    assert_int_equal(tl_access_for_peer(&a, &member), TL_ACCESS_LEAVING);
    /* A private node does not tell strangers that it is shutting down. */
    assert_int_equal(tl_access_for_peer(&a, &stranger), TL_ACCESS_NO_MEMBER);
}

static void whom_we_ask_follows_the_setting_and_the_networks(void **state)
{
    (void)state;
    tl_access a = all_open;
    assert_int_equal(tl_access_to_peer(&a, &stranger), TL_ACCESS_OK);
    assert_true(tl_access_asks_others(&a));
    a.ask_any = false;
    assert_int_equal(tl_access_to_peer(&a, &stranger), TL_ACCESS_NO_MEMBER);
    assert_false(tl_access_asks_others(&a));
    a = with_network(a);
    assert_int_equal(tl_access_to_peer(&a, &member), TL_ACCESS_OK);
    assert_int_equal(tl_access_to_peer(&a, &stranger), TL_ACCESS_NO_MEMBER);
    assert_true(tl_access_asks_others(&a));
    /* Asking does not depend on sharing, nor sharing on asking. */
    a.sharing = a.running = false;
    assert_int_equal(tl_access_to_peer(&a, &member), TL_ACCESS_OK);
}

static void without_a_network_nobody_is_a_member(void **state)
{
    (void)state;
    tl_access a = with_network(all_open);
    assert_false(tl_access_is_member(&all_open, &member));
    assert_true(tl_access_is_member(&a, &member));
    assert_false(tl_access_is_member(&a, &stranger));
}

static void
the_old_protocol_is_spoken_only_where_the_setting_says_so_and_with_no_member(void **state)
{
    (void)state;
    tl_access a = with_network(all_open);
    assert_int_equal(tl_access_for_old(&a), TL_ACCESS_ENCRYPTED);
    assert_int_equal(tl_access_to_old(&a, &stranger), TL_ACCESS_ENCRYPTED);
    a.in_clear = true;
    assert_int_equal(tl_access_for_old(&a), TL_ACCESS_OK);
    assert_int_equal(tl_access_to_old(&a, &stranger), TL_ACCESS_OK);
    assert_int_equal(tl_access_to_old(&a, &member), TL_ACCESS_ENCRYPTED);
    a.share_public = a.ask_any = false;
    assert_int_equal(tl_access_for_old(&a), TL_ACCESS_NO_MEMBER);
    assert_int_equal(tl_access_to_old(&a, &stranger), TL_ACCESS_NO_MEMBER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_public_node_is_for_everybody),
        cmocka_unit_test(each_condition_alone_closes_the_node),
        cmocka_unit_test(a_member_asks_a_private_node_and_a_stranger_does_not),
        cmocka_unit_test(whom_we_ask_follows_the_setting_and_the_networks),
        cmocka_unit_test(
            the_old_protocol_is_spoken_only_where_the_setting_says_so_and_with_no_member),
        cmocka_unit_test(without_a_network_nobody_is_a_member),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
