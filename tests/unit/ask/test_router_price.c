/* Prices in the router: whom they lead to, what is agreed on, and what a refusal for a price does. And
 * what a question teaches for the next one: speed, and whose cache holds a conversation. */
#include "router_scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static router_scene s;
static listener l;

static int begin(void **state)
{
    (void)state;
    router_scene_init(&s);
    l = (listener){0};
    return 0;
}

static int done(void **state)
{
    (void)state;
    router_scene_clear(&s);
    return 0;
}

static void ask_within(int64_t maximum)
{
    tl_ask ask = router_scene_question("m");
    ask.max_price = tl_maybe_of(maximum);
    router_scene_ask_full(&s, &l, &ask);
}

static tl_peer *bidder(unsigned who, int64_t price)
{
    tl_peer *p = router_scene_peer(&s, who, "m");
    router_scene_bids(p, price, 5);
    return p;
}

/* --- the order --- */

static void the_lowest_bid_is_asked_then_the_next_and_each_hears_the_price_it_bid(void **state)
{
    (void)state;
    (void)bidder(2, 120);
    (void)bidder(3, 100);
    s.facts[3].rtt = 300 * TL_MS; /* quality comes second */
    router_scene_ask(&s, &l, "m");
    provider *p = router_scene_at(&s, 3);
    assert_int_equal(p->ask.price.value, 100);
    assert_int_equal(p->ask.price_version.value, 5);
    assert_false(p->ask.max_price.given);
    provider_fail(p, TL_FAIL_QUEUE_FULL, "full");
    assert_int_equal(router_scene_at(&s, 2)->ask.price.value, 120);
}

static void a_bid_that_is_not_known_is_taken_for_none_until_the_provider_says_more(void **state)
{
    (void)state;
    (void)router_scene_peer(&s, 2, "m");
    router_scene_ask(&s, &l, "m");
    provider *p = router_scene_at(&s, 2);
    assert_true(p->ask.price.given);
    assert_int_equal(p->ask.price.value, 0);
    assert_false(p->ask.price_version.given);
}

/* --- a price that has risen --- */

static void a_provider_whose_bid_has_risen_is_asked_once_more_at_the_new_price(void **state)
{
    (void)state;
    (void)bidder(2, 100);
    router_scene_ask(&s, &l, "m");
    provider_asks(router_scene_at(&s, 2), 130);
    provider *p = router_scene_at(&s, 2);
    assert_asked(&s, 2);
    assert_int_equal(p->ask.price.value, 130);
    assert_int_equal(p->ask.price_version.value, 9);
    assert_int_equal(tl_router_counters_of(s.router)->repriced, 1);
    provider_asks(p, 140); /* and not a third time */
    assert_asked(&s, 2);
    router_scene_discovered(&s, "m");
    assert_int_equal(l.fail, TL_FAIL_PAYMENT_REQUIRED);
    assert_non_null(strstr(l.message, "the price is another one now"));
}

static void nothing_more_is_said_where_the_price_is_as_it_was(void **state)
{
    (void)state;
    (void)bidder(2, 100);
    router_scene_ask(&s, &l, "m");
    provider *p = router_scene_at(&s, 2);
    provider_head(p);
    provider_end(p);
    assert_asked(&s, 1);
    assert_int_equal(l.calls[ON_END], 1);
}

static void one_that_has_become_dearer_than_another_is_left_for_it(void **state)
{
    (void)state;
    tl_peer *two = bidder(2, 100);
    (void)bidder(3, 120);
    router_scene_ask(&s, &l, "m");
    provider_asks(router_scene_at(&s, 2), 130);
    assert_int_equal(router_scene_at(&s, 3)->ask.price.value, 120);
    assert_int_equal(tl_bids_find(&two->bids, "m")->price, 130);
    provider_fail(router_scene_at(&s, 3), TL_FAIL_QUEUE_FULL, "full");
    assert_int_equal(router_scene_at(&s, 2)->ask.price.value, 130); /* then it is the best again */
}

static void a_risen_price_is_no_failure_of_the_provider(void **state)
{
    (void)state;
    listener next = {0};
    (void)bidder(2, 100);
    (void)bidder(3, 130);
    s.facts[3].rtt = 300 * TL_MS;
    router_scene_ask(&s, &l, "m");
    provider_asks(router_scene_at(&s, 2), 130);
    provider *p = router_scene_at(&s, 2); /* equal now, and nearer */
    provider_head(p);
    provider_end(p);
    router_scene_ask(&s, &next, "m");
    (void)router_scene_at(&s, 2);
}

static void credit_that_is_used_up_leads_to_the_next_provider(void **state)
{
    (void)state;
    (void)bidder(2, 100);
    (void)bidder(3, 120);
    router_scene_ask(&s, &l, "m");
    provider_fail(router_scene_at(&s, 2), TL_FAIL_PAYMENT_REQUIRED, "settle first");
    provider *p = router_scene_at(&s, 3);
    provider_fail(p, TL_FAIL_PAYMENT_REQUIRED, "settle first, too");
    router_scene_discovered(&s, "m");
    assert_int_equal(l.fail, TL_FAIL_PAYMENT_REQUIRED);
    assert_non_null(strstr(l.message, "settle first, too"));
}

/* --- the maximum --- */

static void a_price_above_the_maximum_is_not_asked_and_the_message_tells_it(void **state)
{
    (void)state;
    (void)bidder(2, 130);
    (void)bidder(3, 120);
    ask_within(119);
    router_scene_discovered(&s, "m");
    assert_asked(&s, 0);
    assert_int_equal(l.fail, TL_FAIL_PAYMENT_REQUIRED);
    assert_string_equal(l.message,
                        "the lowest price is 120 micro-credits for 1000 tokens (peer "
                        "0300000000000000), above the maximum of 119 (X-Teale-Max-Price; setting: "
                        "price.max_micro)");
    assert_int_equal(tl_router_counters_of(s.router)->too_dear, 1);
}

static void a_price_that_is_the_maximum_is_asked(void **state)
{
    (void)state;
    (void)bidder(2, 120);
    ask_within(120);
    assert_int_equal(router_scene_at(&s, 2)->ask.max_price.value, 120);
}

static void the_setting_is_the_maximum_of_questions_that_say_none(void **state)
{
    (void)state;
    (void)bidder(2, 120);
    tl_router_set_price_max(s.router, tl_maybe_of(119));
    ask_within(120);
    (void)router_scene_at(&s, 2);
    listener other = {0};
    router_scene_ask(&s, &other, "m");
    router_scene_discovered(&s, "m");
    assert_asked(&s, 1);
    assert_int_equal(other.fail, TL_FAIL_PAYMENT_REQUIRED);
}

static void a_maximum_of_nothing_asks_who_is_free_and_takes_no_price(void **state)
{
    (void)state;
    (void)bidder(2, 1);
    (void)router_scene_peer(&s, 3, "m");
    ask_within(0);
    provider_asks(router_scene_at(&s, 3), 7); /* not free after all */
    router_scene_discovered(&s, "m");
    assert_asked(&s, 1);
    assert_int_equal(l.fail, TL_FAIL_PAYMENT_REQUIRED);
}

static void a_named_peer_is_not_asked_above_the_maximum_either(void **state)
{
    (void)state;
    for (int64_t maximum = 99; maximum <= 100; maximum++) {
        listener mine = {0};
        tl_ask ask = router_scene_question_to("m", 2);
        if (maximum == 99)
            (void)bidder(2, 100);
        ask.max_price = tl_maybe_of(maximum);
        router_scene_ask_full(&s, &mine, &ask);
        router_scene_discovered(&s, "m");
        assert_asked(&s, maximum == 100);
        if (maximum == 99)
            assert_int_equal(mine.fail, TL_FAIL_PAYMENT_REQUIRED);
    }
}

static void this_machines_own_model_server_costs_nothing(void **state)
{
    (void)state;
    s.models[0] = "m";
    (void)bidder(2, 100);
    ask_within(0);
    provider *p = router_scene_at(&s, OWN);
    provider_head(p);
    provider_end(p);
    assert_true(l.head.price.given);
    assert_int_equal(l.head.price.value, 0);
}

/* --- a network's price --- */

static void a_network_has_its_own_price_whatever_its_members_bid(void **state)
{
    (void)state;
    router_scene_join(&s, TL_ROLE_CONSUMER);
    members_price(&s.members, s.members.lab, 50);
    (void)bidder(2, 7);
    router_scene_member(&s, 2);
    (void)bidder(3, 1); /* of the public: cheaper, and after the members */
    router_scene_ask(&s, &l, "m");
    provider *p = router_scene_at(&s, 2);
    assert_int_equal(p->ask.price.value, 50);
    assert_int_equal(p->ask.price_version.value, 1);
    provider_fail(p, TL_FAIL_QUEUE_FULL, "full");
    assert_int_equal(router_scene_at(&s, 3)->ask.price.value, 1);
}

static void a_new_price_of_the_network_is_paid_when_the_book_has_it_and_not_before(void **state)
{
    (void)state;
    router_scene_join(&s, TL_ROLE_CONSUMER);
    members_price(&s.members, s.members.lab, 50);
    (void)router_scene_peer(&s, 2, "m");
    router_scene_member(&s, 2);
    router_scene_ask(&s, &l, "m");
    provider_asks(router_scene_at(&s, 2), 60); /* its word alone changes nothing */
    assert_int_equal(router_scene_at(&s, 2)->ask.price.value, 50);
    members_price(&s.members, s.members.lab, 60); /* what its admin signed does */
    provider_asks(router_scene_at(&s, 2), 60);
    assert_int_equal(router_scene_at(&s, 2)->ask.price.value, 60);
    provider_asks(router_scene_at(&s, 2), 60);
    router_scene_discovered(&s, "m");
    assert_asked(&s, 3);
    assert_int_equal(l.fail, TL_FAIL_PAYMENT_REQUIRED);
}

/* --- what is learnt --- */

static void answer_with(unsigned who, uint64_t tokens, tl_time time, bool held_up)
{
    listener one = {0};
    tl_ask ask = router_scene_question_to("m", who);
    router_scene_ask_full(&s, &one, &ask);
    provider *p = router_scene_at(&s, who);
    router_scene_pass(&s, 3 * TL_SEC); /* the prompt */
    provider_head_of(p, 200, "text/event-stream");
    provider_body(p, "x");
    if (held_up) {
        listener_pause(&one, true);
        router_scene_pass(&s, 10 * TL_SEC);
        listener_pause(&one, false);
    }
    router_scene_pass(&s, time);
    provider_end_with(p, tokens);
    listener_clear(&one);
    s.n_providers--;
}

static void the_faster_of_two_that_served_is_asked(void **state)
{
    (void)state;
    (void)router_scene_peer(&s, 2, "m");
    (void)router_scene_peer(&s, 3, "m");
    s.facts[3].connected = false; /* which speed outweighs */
    answer_with(2, 100, 10 * TL_SEC, false);
    answer_with(3, 300, 10 * TL_SEC, false);
    tl_node_id two = router_scene_id(2), three = router_scene_id(3);
    assert_int_equal(tl_paces_speed(tl_router_paces(s.router), &two, "m"), 10000);
    assert_int_equal(tl_paces_speed(tl_router_paces(s.router), &three, "m"), 30000);
    router_scene_ask(&s, &l, "m");
    (void)router_scene_at(&s, 3);
}

static void a_stream_that_its_reader_held_up_tells_no_speed(void **state)
{
    (void)state;
    (void)router_scene_peer(&s, 2, "m");
    answer_with(2, 100, 10 * TL_SEC, true);
    tl_node_id two = router_scene_id(2);
    assert_int_equal(tl_paces_speed(tl_router_paces(s.router), &two, "m"), 0);
}

/* The text of one message of 40 KB: 10 000 tokens, which save five questions. */
static const char *long_talk(const char *more)
{
    static char body[48 << 10];
    snprintf(body, sizeof body, "{\"messages\":[\"%040000d\"%s]}", 7, more);
    return body;
}

static void ask_talk(listener *who, const char *body)
{
    tl_ask ask = router_scene_question("m");
    ask.body = tl_slice_str(body);
    router_scene_ask_full(&s, who, &ask);
}

static void the_same_conversation_goes_back_while_its_peer_is_not_too_busy(void **state)
{
    (void)state;
    listener next[3] = {0};
    (void)router_scene_peer(&s, 2, "m");
    tl_peer *warm = router_scene_peer(&s, 3, "m");
    router_scene_served(&s, 2);
    router_scene_served(&s, 3);
    s.facts[3].rtt = 1 * TL_MS;
    ask_talk(&l, long_talk(""));
    provider *p = router_scene_at(&s, 3); /* the nearer one */
    provider_head(p);
    provider_body(p, "x");
    provider_end(p);
    s.facts[3].rtt = 300 * TL_MS;
    warm->running = 4;
    ask_talk(&next[0], long_talk(",\"and\""));
    (void)router_scene_at(&s, 3);
    listener_cancel(&next[0]);
    warm->running = 6;
    ask_talk(&next[1], long_talk(",\"and\""));
    (void)router_scene_at(&s, 2);
    listener_cancel(&next[1]);
    warm->running = 1;
    ask_talk(&next[2], "{\"messages\":[\"another one\"]}");
    (void)router_scene_at(&s, 2);
    listener_clear(&l);
}

/* --- the ranking for people --- */

static void the_ranking_tells_the_order_in_which_they_are_asked_and_why(void **state)
{
    (void)state;
    (void)bidder(2, 120);
    (void)bidder(3, 100);
    tl_peer *closed = bidder(4, 1);
    (void)router_scene_peer(&s, 5, "n");
    closed->available = false;
    s.models[0] = "m";
    tl_ask ask = router_scene_question("m");
    ask.max_price = tl_maybe_of(110);
    tl_ranked *list;
    size_t n;
    assert_int_equal(tl_router_rank(s.router, &ask, &list, &n), TL_OK);
    assert_int_equal(n, 4);
    static const struct {
        unsigned who;
        bool may;
        const char *reason;
    } rows[] = {
        {0, true, "this machine's own model server has the model"},
        {3, true, "nobody else may be asked"},
        {4, false, "not asked: it takes no questions now"},
        {2, false, "not asked: its price, 120, is above the maximum, 110"},
    };
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(list[i].peer ? list[i].peer->id.key[0] : 0, rows[i].who);
        assert_int_equal(list[i].may, rows[i].may);
        assert_string_equal(list[i].reason, rows[i].reason);
    }
    free(list);
    s.models[0] = NULL;
    router_scene_ask_full(&s, &l, &ask); /* and so it is */
    (void)router_scene_at(&s, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            the_lowest_bid_is_asked_then_the_next_and_each_hears_the_price_it_bid, begin, done),
        cmocka_unit_test_setup_teardown(
            a_bid_that_is_not_known_is_taken_for_none_until_the_provider_says_more, begin, done),
        cmocka_unit_test_setup_teardown(
            a_provider_whose_bid_has_risen_is_asked_once_more_at_the_new_price, begin, done),
        cmocka_unit_test_setup_teardown(nothing_more_is_said_where_the_price_is_as_it_was, begin,
                                        done),
        cmocka_unit_test_setup_teardown(one_that_has_become_dearer_than_another_is_left_for_it,
                                        begin, done),
        cmocka_unit_test_setup_teardown(a_risen_price_is_no_failure_of_the_provider, begin, done),
        cmocka_unit_test_setup_teardown(credit_that_is_used_up_leads_to_the_next_provider, begin,
                                        done),
        cmocka_unit_test_setup_teardown(
            a_price_above_the_maximum_is_not_asked_and_the_message_tells_it, begin, done),
        cmocka_unit_test_setup_teardown(a_price_that_is_the_maximum_is_asked, begin, done),
        cmocka_unit_test_setup_teardown(the_setting_is_the_maximum_of_questions_that_say_none,
                                        begin, done),
        cmocka_unit_test_setup_teardown(a_maximum_of_nothing_asks_who_is_free_and_takes_no_price,
                                        begin, done),
        cmocka_unit_test_setup_teardown(a_named_peer_is_not_asked_above_the_maximum_either, begin,
                                        done),
        cmocka_unit_test_setup_teardown(this_machines_own_model_server_costs_nothing, begin, done),
        cmocka_unit_test_setup_teardown(a_network_has_its_own_price_whatever_its_members_bid, begin,
                                        done),
        cmocka_unit_test_setup_teardown(
            a_new_price_of_the_network_is_paid_when_the_book_has_it_and_not_before, begin, done),
        cmocka_unit_test_setup_teardown(the_faster_of_two_that_served_is_asked, begin, done),
        cmocka_unit_test_setup_teardown(a_stream_that_its_reader_held_up_tells_no_speed, begin,
                                        done),
        cmocka_unit_test_setup_teardown(
            the_same_conversation_goes_back_while_its_peer_is_not_too_busy, begin, done),
        cmocka_unit_test_setup_teardown(the_ranking_tells_the_order_in_which_they_are_asked_and_why,
                                        begin, done),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
