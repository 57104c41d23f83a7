/* A search among honest nodes, silent ones, liars and a crowd. */
#include "dht/lookup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static tl_rand rand_of_test;
static tl_lookup l;
static tl_dht_id target;

static void begin_with(unsigned paths, unsigned usual)
{
    tl_lookup_init(&l, &target, paths, usual);
}

static int begin(void **state)
{
    (void)state;
    rand_of_test = tl_rand_seeded(1);
    target = tl_dht_id_random(&rand_of_test);
    begin_with(TL_LOOKUP_PATHS, 6);
    return 0;
}

static int finish(void **state)
{
    (void)state;
    tl_lookup_clear(&l);
    return 0;
}

/* Nodes in networks of their own; local ones, whose IDs always fit, where `fits`. */
static tl_dht_node node_at(unsigned number, unsigned common, bool fits)
{
    return (tl_dht_node){tl_dht_id_beside(&target, common, &rand_of_test),
                         {.family = TL_ADDR_V4,
                          .port = 6881,
                          .bytes = {fits ? 10 : 20, (uint8_t)(number >> 8), (uint8_t)number, 1}}};
}

static void seed(const tl_dht_node *n)
{
    tl_lookup_seed(&l, &n->id, &n->addr);
}

static void answer(tl_lookup_node *n)
{
    tl_dht_id id = n->id;
    tl_lookup_on_answer(&l, n, &id, TL_SLICE_LIT("token"));
}

static void three_nodes_are_asked_at_once_and_a_late_one_makes_room(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 10; i++) {
        tl_dht_node n = node_at(i, 2, true);
        seed(&n);
    }
    tl_lookup_node *asked[3];
    for (unsigned i = 0; i < 3; i++)
        assert_non_null(asked[i] = tl_lookup_next(&l));
    assert_null(tl_lookup_next(&l));
    tl_lookup_on_late(&l, asked[0]);
    assert_non_null(tl_lookup_next(&l));
    assert_null(tl_lookup_next(&l));
    assert_ptr_equal(tl_lookup_asked(&l, &asked[0]->addr), asked[0]);
    answer(asked[0]); /* late, and welcome */
    assert_int_equal(l.answered, 1);
}

static void it_is_done_when_the_nearest_have_answered(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 30; i++) {
        tl_dht_node n = node_at(i, i / 4, true);
        seed(&n);
    }
    tl_lookup_node *n, *rings[TL_LOOKUP_RINGS_MAX];
    while ((n = tl_lookup_next(&l)) != NULL)
        answer(n);
    assert_true(tl_lookup_is_done(&l));
    size_t found = tl_lookup_rings(&l, rings);
    assert_true(found >= TL_LOOKUP_K);
    for (size_t i = 0; i < TL_LOOKUP_K; i++) {
        assert_int_equal(rings[i]->state, TL_LOOKUP_ANSWERED);
        assert_ptr_equal(rings[i], l.nodes[i]);
        assert_int_equal(rings[i]->n_token, 5);
    }
}

static void what_is_silent_has_no_place_in_a_ring(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 20; i++) {
        tl_dht_node n = node_at(i, i < 10 ? 5 : 3, true);
        seed(&n);
    }
    tl_lookup_node *n, *rings[TL_LOOKUP_RINGS_MAX];
    while ((n = tl_lookup_next(&l)) != NULL)
        if (tl_dht_id_common(&n->id, &target) == 5)
            tl_lookup_on_silent(&l, n);
        else
            answer(n);
    assert_true(tl_lookup_is_done(&l));
    assert_int_equal(tl_lookup_rings(&l, rings), TL_LOOKUP_K);
    for (unsigned i = 0; i < TL_LOOKUP_K; i++)
        assert_int_equal(tl_dht_id_common(&rings[i]->id, &target), 3);
}

static void one_ip_is_asked_twice_at_most_and_port_by_port_where_it_is_local(void **state)
{
    (void)state;
    for (unsigned fits = 0; fits < 2; fits++) {
        tl_lookup_clear(&l);
        begin_with(1, TL_LOOKUP_NO_CROWD);
        for (unsigned i = 0; i < 10; i++) {
            tl_dht_node n = node_at(1, 3, fits == 1);
            n.addr.port = (uint16_t)(1000 + i);
            seed(&n);
        }
        assert_int_equal(l.n, fits ? 10 : TL_LOOKUP_PER_HOST);
    }
}

static void an_id_that_does_not_fit_and_is_nearer_than_by_chance_is_not_asked(void **state)
{
    (void)state;
    tl_dht_node near = node_at(1, 6 + TL_LOOKUP_TOO_NEAR, false),
                less = node_at(2, 5 + TL_LOOKUP_TOO_NEAR, false);
    tl_dht_node fit = node_at(3, 40, true);
    seed(&near);
    assert_int_equal(l.n, 0);
    seed(&less);
    seed(&fit);
    assert_int_equal(l.n, 2);
}

static void what_a_node_names_belongs_to_its_path_and_to_no_second_one(void **state)
{
    (void)state;
    tl_dht_node a = node_at(1, 1, true), b = node_at(2, 1, true), named = node_at(3, 4, true);
    seed(&a);
    seed(&b);
    tl_lookup_node *first = tl_lookup_next(&l), *second = tl_lookup_next(&l);
    assert_int_not_equal(first->path, second->path);
    answer(first);
    tl_lookup_named(&l, first, &named.id, &named.addr);
    answer(second);
    tl_lookup_named(&l, second, &named.id, &named.addr);
    assert_int_equal(l.n, 3);
    tl_lookup_node *third = tl_lookup_next(&l);
    assert_int_equal(third->path, first->path);
    assert_int_equal(third->hops, 2);
}

/* The world of the next two: 40 nodes of a crowd are nearer than all others. */
static unsigned others_in_rings(bool crowd_fits)
{
    for (unsigned i = 0; i < 40; i++) {
        tl_dht_node n = node_at(i, 14, crowd_fits);
        seed(&n);
    }
    for (unsigned i = 0; i < 20; i++) {
        tl_dht_node n = node_at(100 + i, 6, true);
        seed(&n);
    }
    tl_lookup_node *n, *rings[TL_LOOKUP_RINGS_MAX];
    while ((n = tl_lookup_next(&l)) != NULL)
        answer(n);
    unsigned others = 0;
    size_t found = tl_lookup_rings(&l, rings);
    for (size_t i = 0; i < found; i++)
        others += tl_dht_id_common(&rings[i]->id, &target) == 6;
    return others;
}

static void a_crowd_that_does_not_fit_keeps_nobody_out(void **state)
{
    (void)state;
    assert_int_equal(others_in_rings(false), TL_LOOKUP_K);
}

static void a_crowd_that_fits_keeps_nobody_out_but_one(void **state)
{
    (void)state;
    assert_int_equal(others_in_rings(true), TL_LOOKUP_K - 1);
}

static void a_network_has_two_places_in_the_careful_ring(void **state)
{
    (void)state;
    tl_rand r = tl_rand_seeded(5);
    begin_with(TL_LOOKUP_PATHS, TL_LOOKUP_NO_CROWD);
    for (unsigned i = 1; i < 100; i++) {
        tl_addr a = {.family = TL_ADDR_V4, .port = 1, .bytes = {20, 0, 0, (uint8_t)i}};
        tl_dht_id id = tl_dht_id_for(&a, &r);
        tl_lookup_seed(&l, &id, &a);
    }
    tl_lookup_node *n, *rings[TL_LOOKUP_RINGS_MAX];
    while ((n = tl_lookup_next(&l)) != NULL)
        answer(n);
    size_t found = tl_lookup_rings(&l, rings);
    unsigned careful = 0;
    for (size_t i = 0; i < found; i++)
        careful += (rings[i]->rings & TL_LOOKUP_CAREFUL) != 0;
    assert_int_equal(careful, TL_LOOKUP_PER_NETWORK);
    assert_true(found <= TL_LOOKUP_K + TL_LOOKUP_PER_NETWORK);
}

static void liars_who_name_new_nodes_for_ever_are_asked_128_times(void **state)
{
    (void)state;
    tl_dht_node first = node_at(0, 0, true);
    seed(&first);
    tl_lookup_node *n;
    for (unsigned k = 1; (n = tl_lookup_next(&l)) != NULL; k++) {
        answer(n);
        assert_true(k <= TL_LOOKUP_ASKED_MAX);
        for (unsigned i = 0; i < 8; i++) {
            tl_dht_node named = node_at(8 * k + i, k < 150 ? k : 150, true);
            tl_lookup_named(&l, n, &named.id, &named.addr);
        }
        assert_true(l.n <= TL_LOOKUP_NODES_MAX);
    }
    assert_true(tl_lookup_is_done(&l));
    assert_int_equal(l.asked, TL_LOOKUP_ASKED_MAX);
}

static void one_id_counts_once(void **state)
{
    (void)state;
    tl_dht_node a = node_at(1, 3, true), b = node_at(2, 4, true);
    seed(&a);
    seed(&b);
    tl_lookup_node *first = tl_lookup_next(&l), *second = tl_lookup_next(&l);
    tl_dht_id same = first->id;
    tl_lookup_on_answer(&l, first, &same, TL_SLICE_LIT(""));
    tl_lookup_on_answer(&l, second, &same, TL_SLICE_LIT(""));
    assert_int_equal(second->state, TL_LOOKUP_FAILED);
}

/* Two paths: one names a node at an address where nobody is, the other where it is. */
static void an_id_that_has_not_answered_keeps_no_other_address_out(void **state)
{
    (void)state;
    tl_dht_node a = node_at(1, 1, true), b = node_at(2, 1, true), right = node_at(3, 9, true);
    tl_dht_node wrong = right, again = right;
    wrong.addr.bytes[2] = 77;
    again.addr.bytes[2] = 78;
    seed(&a);
    seed(&b);
    tl_lookup_node *liar = tl_lookup_next(&l), *honest = tl_lookup_next(&l);
    answer(liar);
    tl_lookup_named(&l, liar, &wrong.id, &wrong.addr);
    tl_lookup_named(&l, liar, &again.id, &again.addr);
    assert_int_equal(l.n, 3); /* of one path, once */
    answer(honest);
    tl_lookup_named(&l, honest, &right.id, &right.addr);
    assert_int_equal(l.n, 4);
    for (tl_lookup_node *n; (n = tl_lookup_next(&l)) != NULL;)
        if (tl_addr_eq(&n->addr, &right.addr))
            answer(n);
        else
            tl_lookup_on_silent(&l, n);
    tl_lookup_node *rings[TL_LOOKUP_RINGS_MAX];
    assert_true(tl_lookup_rings(&l, rings) >= 1);
    assert_true(tl_addr_eq(&rings[0]->addr, &right.addr));
    /* and one that has answered does */
    tl_lookup_named(&l, honest, &again.id, &again.addr);
    assert_int_equal(l.n, 4);
}

static void of_two_that_answer_with_one_id_the_one_that_fits_counts(void **state)
{
    (void)state;
    tl_dht_node a = node_at(1, 3, false), b = node_at(2, 3, true);
    seed(&a);
    seed(&b);
    tl_lookup_node *first = tl_lookup_next(&l), *second = tl_lookup_next(&l);
    tl_lookup_node *thief = first->fits ? second : first, *owner = first->fits ? first : second;
    tl_dht_id id = owner->id;
    tl_lookup_on_answer(&l, thief, &id, TL_SLICE_LIT(""));
    tl_lookup_on_answer(&l, owner, &id, TL_SLICE_LIT(""));
    assert_int_equal(owner->state, TL_LOOKUP_ANSWERED);
    assert_int_equal(thief->state, TL_LOOKUP_FAILED);
}

static void one_that_fits_is_not_kept_out_by_one_of_its_path_that_does_not(void **state)
{
    (void)state;
    tl_dht_node a = node_at(1, 1, true), right = node_at(3, 9, true), wrong = right;
    wrong.addr.bytes[0] = 20; /* no ID fits there but by chance */
    seed(&a);
    tl_lookup_node *liar = tl_lookup_next(&l);
    answer(liar);
    tl_lookup_named(&l, liar, &wrong.id, &wrong.addr);
    tl_lookup_named(&l, liar, &right.id, &right.addr);
    assert_int_equal(l.n, 3);
    tl_lookup_named(&l, liar, &right.id, &wrong.addr); /* twice the same changes nothing */
    assert_int_equal(l.n, 3);
}

/* They know the target of a search that asks them. */
static void nodes_with_ids_of_their_choice_do_not_make_the_dht_denser(void **state)
{
    (void)state;
    unsigned bits;
    begin_with(1, TL_LOOKUP_NO_CROWD);
    for (unsigned i = 0; i < 20; i++) {
        tl_dht_node liar = node_at(i, 40, false), honest = node_at(100 + i, 6, true);
        seed(&liar);
        seed(&honest);
    }
    for (tl_lookup_node *n; (n = tl_lookup_next(&l)) != NULL;)
        answer(n);
    assert_true(tl_lookup_density(&l, &bits));
    assert_int_equal(bits, 6);
}

static void many_of_one_network_do_not_make_the_dht_denser(void **state)
{
    (void)state;
    unsigned bits;
    tl_rand r = tl_rand_seeded(6);
    begin_with(1, TL_LOOKUP_NO_CROWD);
    for (unsigned i = 1; i < 100; i++) {
        tl_addr addr = {.family = TL_ADDR_V4, .port = 1, .bytes = {20, 0, 0, (uint8_t)i}};
        tl_dht_id id = tl_dht_id_for(&addr, &r);
        tl_lookup_seed(&l, &id, &addr);
    }
    for (tl_lookup_node *n; (n = tl_lookup_next(&l)) != NULL;)
        answer(n);
    assert_false(tl_lookup_density(&l, &bits)); /* two nodes, and eight are wanted */
}

static void of_a_crowd_some_are_named_to_others(void **state)
{
    (void)state;
    tl_dht_node nodes[32];
    for (unsigned i = 0; i < 32; i++)
        nodes[i] = node_at(i, i < 16 ? 14 : 6, true);
    assert_int_equal(tl_lookup_without_crowd(&target, 6, nodes, 32, 8), 8);
    unsigned near = 0;
    for (unsigned i = 0; i < 8; i++)
        near += tl_dht_id_common(&nodes[i].id, &target) == 14;
    assert_int_equal(near, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, finish)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(three_nodes_are_asked_at_once_and_a_late_one_makes_room),
        TEST(it_is_done_when_the_nearest_have_answered),
        TEST(what_is_silent_has_no_place_in_a_ring),
        TEST(one_ip_is_asked_twice_at_most_and_port_by_port_where_it_is_local),
        TEST(an_id_that_does_not_fit_and_is_nearer_than_by_chance_is_not_asked),
        TEST(what_a_node_names_belongs_to_its_path_and_to_no_second_one),
        TEST(a_crowd_that_does_not_fit_keeps_nobody_out),
        TEST(a_crowd_that_fits_keeps_nobody_out_but_one),
        TEST(a_network_has_two_places_in_the_careful_ring),
        TEST(liars_who_name_new_nodes_for_ever_are_asked_128_times),
        TEST(one_id_counts_once),
        TEST(an_id_that_has_not_answered_keeps_no_other_address_out),
        TEST(of_two_that_answer_with_one_id_the_one_that_fits_counts),
        TEST(one_that_fits_is_not_kept_out_by_one_of_its_path_that_does_not),
        TEST(nodes_with_ids_of_their_choice_do_not_make_the_dht_denser),
        TEST(many_of_one_network_do_not_make_the_dht_denser),
        TEST(of_a_crowd_some_are_named_to_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
