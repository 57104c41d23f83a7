/* Prices between whole nodes: bids are told by heartbeats, a price is agreed on before any work, and a
 * price that is as it was costs no time. */
#include "relayed_scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define TRIP (2 * 2 * DELAY) /* to a peer and back */

static void set_price(whole_node *n, int64_t price)
{
    n->price = price;
    n->price_version++;
}

static tl_maybe known_bid(const whole_node *n, const whole_node *of)
{
    const tl_peer *p = tl_peer_table_find(&n->table, &of->identity.id);
    const tl_bid *bid = p ? tl_bids_find(&p->bids, "m") : NULL;
    return (tl_maybe){bid != NULL, bid ? bid->price : 0};
}

/* Two questions: the connection stands, and the bid is known. */
static scene with_a_provider(uint64_t seed, int64_t price)
{
    scene s = scene_new(seed, 2);
    question_record q = {0};
    set_price(s.nodes[1], price);
    whole_node_serve(s.nodes[1], "m");
    sim_run_for(s.sim, 1 * TL_SEC);
    whole_node_ask(s.nodes[0], &q, "m", "{\"model\":\"m\"}");
    assert_answered(s.sim, &q, 5 * TL_SEC);
    assert_int_equal(q.head.price.value, price);
    question_clear(&q);
    sim_run_for(s.sim, 1 * TL_SEC);
    return s;
}

static void a_provider_that_nobody_knew_tells_its_price_before_it_works(void **state)
{
    (void)state;
    scene s = with_a_provider(1, 120);
    assert_int_equal(known_bid(s.nodes[0], s.nodes[1]).value, 120);
    assert_int_equal(s.nodes[1]->answered, 1);
    assert_true(tl_server_counters_of(s.nodes[1]->server)->refused <= 1);
    scene_free(&s);
}

static void a_price_that_is_known_costs_no_round_trip(void **state)
{
    (void)state;
    for (int64_t price = 0; price <= 120; price += 120) {
        scene s = with_a_provider(2, price);
        question_record q = {0};
        uint64_t refused = tl_server_counters_of(s.nodes[1]->server)->refused;
        whole_node_ask(s.nodes[0], &q, "m", "{\"model\":\"m\"}");
        assert_answered(s.sim, &q, 5 * TL_SEC);
        assert_int_equal(q.head.price.value, price);
        assert_true(q.first_byte_at - q.asked_at <= TRIP + 5 * TL_MS);
        assert_int_equal(tl_server_counters_of(s.nodes[1]->server)->refused, refused);
        question_clear(&q);
        scene_free(&s);
    }
}

static void a_price_that_has_risen_is_told_once_and_paid_one_round_trip_later(void **state)
{
    (void)state;
    scene s = with_a_provider(3, 120);
    question_record q = {0};
    unsigned answered = s.nodes[1]->answered;
    uint64_t refused = tl_server_counters_of(s.nodes[1]->server)->refused;
    set_price(s.nodes[1], 150); /* no heartbeat has told it yet */
    whole_node_ask(s.nodes[0], &q, "m", "{\"model\":\"m\"}");
    assert_answered(s.sim, &q, 5 * TL_SEC);
    assert_int_equal(q.head.price.value, 150);
    assert_int_equal(tl_server_counters_of(s.nodes[1]->server)->refused, refused + 1);
    assert_int_equal(s.nodes[1]->answered, answered + 1);
    assert_true(q.first_byte_at - q.asked_at >= 2 * TRIP);
    assert_true(q.first_byte_at - q.asked_at <= 2 * TRIP + 5 * TL_MS);
    question_clear(&q);
    scene_free(&s);
}

static void a_price_that_has_fallen_is_paid_as_it_is_now(void **state)
{
    (void)state;
    scene s = with_a_provider(4, 120);
    question_record q = {0};
    set_price(s.nodes[1], 90);
    whole_node_ask(s.nodes[0], &q, "m", "{\"model\":\"m\"}");
    assert_answered(s.sim, &q, 5 * TL_SEC);
    assert_int_equal(q.head.price.value, 90);
    assert_true(q.first_byte_at - q.asked_at <= TRIP + 5 * TL_MS);
    question_clear(&q);
    scene_free(&s);
}

static void beyond_the_maximum_nothing_is_worked(void **state)
{
    (void)state;
    for (int64_t maximum = 149; maximum <= 150; maximum++) {
        scene s = with_a_provider(5, 120);
        question_record q = {0};
        unsigned answered = s.nodes[1]->answered;
        set_price(s.nodes[1], 150);
        whole_node_ask_within(s.nodes[0], &q, "m", maximum);
        if (maximum == 150) {
            assert_answered(s.sim, &q, 5 * TL_SEC);
            assert_int_equal(q.head.price.value, 150);
        } else {
            assert_failed(s.sim, &q, TL_FAIL_PAYMENT_REQUIRED, 5 * TL_SEC);
            assert_non_null(strstr(q.why, "150"));
            assert_int_equal(s.nodes[1]->answered, answered);
        }
        question_clear(&q);
        scene_free(&s);
    }
}

static void a_heartbeat_tells_a_new_bid_so_that_the_next_question_is_not_refused(void **state)
{
    (void)state;
    scene s = with_a_provider(6, 120);
    question_record q = {0};
    uint64_t refused = tl_server_counters_of(s.nodes[1]->server)->refused;
    set_price(s.nodes[1], 150);
    tl_peers_beat(s.nodes[1]->peers);
    sim_wake(s.nodes[1]->host);
    sim_run_for(s.sim, 1 * TL_SEC);
    assert_int_equal(known_bid(s.nodes[0], s.nodes[1]).value, 150);
    whole_node_ask(s.nodes[0], &q, "m", "{\"model\":\"m\"}");
    assert_answered(s.sim, &q, 5 * TL_SEC);
    assert_int_equal(q.head.price.value, 150);
    assert_int_equal(tl_server_counters_of(s.nodes[1]->server)->refused, refused);
    question_clear(&q);
    scene_free(&s);
}

static void of_two_providers_the_cheaper_one_answers_and_the_other_when_it_is_gone(void **state)
{
    (void)state;
    scene s = scene_new(7, 3);
    question_record q = {0};
    set_price(s.nodes[1], 120);
    set_price(s.nodes[2], 100);
    for (size_t i = 1; i < 3; i++) {
        whole_node_serve(s.nodes[i], "m");
        sim_run_for(s.sim, 1 * TL_SEC);
    }
    for (size_t i = 1; i < 3; i++) { /* both are asked once, and tell their bids */
        whole_node_ask_peer(s.nodes[0], &q, s.nodes[i], "m");
        assert_answered(s.sim, &q, 5 * TL_SEC);
        question_clear(&q);
    }
    for (int gone = 0; gone < 2; gone++) {
        if (gone)
            s.nodes[2]->fail_with = TL_FAIL_QUEUE_FULL;
        whole_node_ask(s.nodes[0], &q, "m", "{\"model\":\"m\"}");
        assert_answered(s.sim, &q, 5 * TL_SEC);
        assert_int_equal(q.head.price.value, gone ? 120 : 100);
        assert_true(tl_node_id_eq(&q.head.peer, &s.nodes[gone ? 1 : 2]->identity.id));
        question_clear(&q);
    }
    scene_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_provider_that_nobody_knew_tells_its_price_before_it_works),
        cmocka_unit_test(a_price_that_is_known_costs_no_round_trip),
        cmocka_unit_test(a_price_that_has_risen_is_told_once_and_paid_one_round_trip_later),
        cmocka_unit_test(a_price_that_has_fallen_is_paid_as_it_is_now),
        cmocka_unit_test(beyond_the_maximum_nothing_is_worked),
        cmocka_unit_test(a_heartbeat_tells_a_new_bid_so_that_the_next_question_is_not_refused),
        cmocka_unit_test(of_two_providers_the_cheaper_one_answers_and_the_other_when_it_is_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
