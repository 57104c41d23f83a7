/* The table of nodes: who gets a place, who loses it, and which ones are nearest. */
#include "dht/table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static tl_rand rand_of_test;
static tl_table t;

static int begin(void **state)
{
    (void)state;
    rand_of_test = tl_rand_seeded(1);
    tl_dht_id self = {{0}};
    tl_table_init(&t, &self);
    return 0;
}

static int finish(void **state)
{
    (void)state;
    tl_table_clear(&t);
    return 0;
}

static tl_addr addr_of(unsigned net, unsigned host)
{
    return (tl_addr){.family = TL_ADDR_V4,
                     .port = 6881,
                     .bytes = {20, (uint8_t)(net >> 8), (uint8_t)net, (uint8_t)host}};
}

/* A node that has no bit in common with us, and an ID that fits its address or does not. */
static tl_dht_node far_node(unsigned net, unsigned host, bool fits)
{
    tl_dht_node n = {.addr = addr_of(net, host)};
    do
        n.id = fits ? tl_dht_id_for(&n.addr, &rand_of_test)
                    : tl_dht_id_beside(&t.self, 0, &rand_of_test);
    while (n.id.b[0] < 0x80 && fits && n.addr.bytes[3]++ < 255);
    if (fits && n.id.b[0] < 0x80)
        fail();
    return n;
}

static void answer(const tl_dht_node *n, tl_time now)
{
    tl_table_answered(&t, &n->id, &n->addr, now);
}

static bool has(const tl_dht_node *n)
{
    tl_dht_node all[512];
    size_t found = tl_table_list(&t, 512, all);
    for (size_t i = 0; i < found; i++)
        if (tl_dht_id_eq(&all[i].id, &n->id) && tl_addr_eq(&all[i].addr, &n->addr))
            return true;
    return false;
}

static void a_bucket_has_eight_nodes_and_who_came_first_stays(void **state)
{
    (void)state;
    tl_dht_node nodes[10];
    for (unsigned i = 0; i < 10; i++) {
        nodes[i] = far_node(i, 1, true);
        answer(&nodes[i], i);
    }
    assert_int_equal(t.n, 8);
    for (unsigned i = 0; i < 10; i++)
        assert_int_equal(has(&nodes[i]), i < 8);
}

static void a_node_that_is_silent_gives_its_place_to_a_spare_one(void **state)
{
    (void)state;
    tl_dht_node nodes[10];
    for (unsigned i = 0; i < 10; i++) {
        nodes[i] = far_node(i, 1, true);
        answer(&nodes[i], i);
    }
    tl_table_failed(&t, &nodes[3].id, &nodes[3].addr);
    assert_false(has(&nodes[3]));
    assert_true(has(&nodes[9])); /* the newest of the spares */
    assert_int_equal(t.n, 8);
}

static void without_a_spare_one_it_stays_until_the_third_silence(void **state)
{
    (void)state;
    tl_dht_node n = far_node(1, 1, true);
    answer(&n, 1);
    for (unsigned i = 0; i < 2; i++) {
        tl_table_failed(&t, &n.id, &n.addr);
        assert_int_equal(t.n, 1);
        assert_false(has(&n)); /* and is named to nobody */
    }
    answer(&n, 2);
    assert_true(has(&n));
    for (unsigned i = 0; i < 3; i++)
        tl_table_failed(&t, &n.id, &n.addr);
    assert_int_equal(t.n, 0);
}

static void a_whole_24_has_two_places_in_the_whole_table(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 8; i++) {
        tl_dht_node sybil = far_node(7, 1 + 30 * i, true);
        assert_int_equal(tl_table_wants(&t, &sybil.id, &sybil.addr), i < 2);
        answer(&sybil, i);
    }
    assert_int_equal(t.n, 2);
    for (unsigned i = 0; i < 6; i++) {
        tl_dht_node other = far_node(100 + i, 1, true);
        assert_true(tl_table_wants(&t, &other.id, &other.addr));
        answer(&other, 10 + i);
        assert_true(has(&other));
    }
}

static void an_ip_is_one_node_whatever_its_port_and_bucket(void **state)
{
    (void)state;
    tl_dht_node first = {.addr = addr_of(9, 9), .id = tl_dht_id_beside(&t.self, 3, &rand_of_test)};
    answer(&first, 1);
    for (unsigned bucket = 0; bucket < TL_TABLE_BUCKETS; bucket++) {
        tl_dht_node again = first;
        again.addr.port = (uint16_t)(7000 + bucket);
        again.id = tl_dht_id_beside(&t.self, bucket, &rand_of_test);
        assert_false(tl_table_wants(&t, &again.id, &again.addr));
        answer(&again, 2);
    }
    assert_int_equal(t.n, 1);
    /* Once the first is silent, another port of that IP may be the node that it was. */
    tl_dht_node after = first;
    after.addr.port = 9999;
    after.id = tl_dht_id_beside(&t.self, 5, &rand_of_test);
    tl_table_failed(&t, &first.id, &first.addr);
    assert_true(tl_table_wants(&t, &after.id, &after.addr));
    /* On a local network many nodes share an IP. */
    for (unsigned i = 0; i < 4; i++) {
        tl_dht_node local = {.id = tl_dht_id_beside(&t.self, 10 + i, &rand_of_test)};
        local.addr =
            (tl_addr){.family = TL_ADDR_V4, .port = (uint16_t)(100 + i), .bytes = {127, 0, 0, 1}};
        assert_true(tl_table_wants(&t, &local.id, &local.addr));
        answer(&local, 3);
        assert_true(has(&local));
    }
}

static void where_the_dht_has_hardly_a_node_an_id_must_fit(void **state)
{
    (void)state;
    t.deep = 10;
    tl_dht_node deep = {.addr = addr_of(1, 1), .id = tl_dht_id_beside(&t.self, 12, &rand_of_test)};
    assert_false(tl_table_wants(&t, &deep.id, &deep.addr));
    answer(&deep, 1);
    assert_int_equal(t.n, 0);
    tl_dht_node shallow = deep;
    shallow.id = tl_dht_id_beside(&t.self, 9, &rand_of_test);
    assert_true(tl_table_wants(&t, &shallow.id, &shallow.addr));
    /* The twin in the deep: an ID that fits. */
    tl_dht_node fits = {.addr = addr_of(2, 2)};
    fits.id = tl_dht_id_for(&fits.addr, &rand_of_test);
    tl_dht_id self = tl_dht_id_beside(&fits.id, 15, &rand_of_test);
    tl_table_set_self(&t, &self);
    assert_true(tl_table_wants(&t, &fits.id, &fits.addr));
}

static void what_is_saved_is_of_every_bucket(void **state)
{
    (void)state;
    for (unsigned bucket = 0; bucket < 8; bucket++)
        for (unsigned i = 0; i < 8; i++) {
            tl_dht_node n = {.addr = addr_of(bucket * 8 + i, 1),
                             .id = tl_dht_id_beside(&t.self, bucket, &rand_of_test)};
            answer(&n, bucket);
        }
    tl_dht_node saved[16];
    assert_int_equal(tl_table_list(&t, 16, saved), 16);
    unsigned of_bucket[8] = {0};
    for (unsigned i = 0; i < 16; i++)
        of_bucket[tl_dht_id_common(&t.self, &saved[i].id)]++;
    for (unsigned bucket = 0; bucket < 8; bucket++)
        assert_int_equal(of_bucket[bucket], 2);
    assert_int_equal(tl_table_networks(&t, 32), 32);
    assert_int_equal(tl_table_networks(&t, 8), 8);
}

static void an_id_that_fits_its_address_takes_the_place_of_one_that_does_not(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 8; i++) {
        tl_dht_node n = far_node(i, 1, false);
        answer(&n, i);
    }
    tl_dht_node unfit = far_node(20, 1, false), fit = far_node(21, 1, true);
    answer(&unfit, 20);
    assert_false(has(&unfit));
    answer(&fit, 21);
    assert_true(has(&fit));
    assert_int_equal(t.n, 8);
}

static void nobody_takes_the_id_of_a_node_that_answers(void **state)
{
    (void)state;
    tl_dht_node n = far_node(1, 1, true), thief = {n.id, addr_of(9, 9)};
    answer(&n, 1);
    answer(&thief, 2);
    assert_true(has(&n));
    assert_false(has(&thief));
    tl_table_failed(&t, &n.id, &n.addr);
    answer(&thief, 3);
    assert_true(has(&thief));
}

static void an_address_with_a_new_id_is_a_new_node(void **state)
{
    (void)state;
    tl_dht_node n = far_node(1, 1, true),
                again = {tl_dht_id_beside(&t.self, 0, &rand_of_test), n.addr};
    answer(&n, 1);
    answer(&again, 2);
    assert_false(has(&n));
    assert_true(has(&again));
    assert_int_equal(t.n, 1);
}

static void we_are_not_in_our_own_table(void **state)
{
    (void)state;
    tl_dht_node self = {t.self, addr_of(1, 1)};
    assert_false(tl_table_wants(&t, &self.id, &self.addr));
    answer(&self, 1);
    assert_int_equal(t.n, 0);
}

static void the_nearest_are_what_a_search_through_all_of_them_finds(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 3000; i++) {
        tl_dht_node n = {tl_dht_id_random(&rand_of_test), addr_of(i, 1)};
        if (i % 3 == 0)
            n.id = tl_dht_id_beside(&t.self, i % 40, &rand_of_test);
        answer(&n, i);
    }
    tl_dht_node all[512], nearest[8];
    size_t n = tl_table_list(&t, 512, all);
    assert_true(n > 80);
    for (unsigned k = 0; k < 500; k++) {
        tl_dht_id target = k % 2 ? tl_dht_id_random(&rand_of_test)
                                 : tl_dht_id_beside(&t.self, k % 45, &rand_of_test);
        assert_int_equal(tl_table_closest(&t, &target, 8, nearest), 8);
        for (unsigned i = 0; i < 8; i++) {
            unsigned nearer = 0;
            for (size_t j = 0; j < n; j++)
                nearer += tl_dht_id_cmp(&target, &all[j].id, &nearest[i].id) < 0;
            assert_int_equal(nearer, i);
        }
    }
}

static void with_another_id_of_ours_the_nodes_stay_in_a_new_order(void **state)
{
    (void)state;
    tl_dht_node nodes[8];
    for (unsigned i = 0; i < 8; i++) {
        nodes[i] = far_node(i, 1, true);
        answer(&nodes[i], i);
    }
    tl_dht_id self = nodes[0].id;
    self.b[19] ^= 1;
    tl_table_set_self(&t, &self);
    assert_int_equal(t.n, 8);
    for (unsigned i = 0; i < 8; i++)
        assert_true(has(&nodes[i]));
}

static void the_oldest_is_the_one_that_was_tended_longest_ago(void **state)
{
    (void)state;
    tl_dht_node nodes[4];
    assert_null(tl_table_oldest(&t));
    for (unsigned i = 0; i < 4; i++) {
        nodes[i] = far_node(i, 1, true);
        answer(&nodes[i], 10 + i);
    }
    answer(&nodes[0], 20);
    assert_true(tl_dht_id_eq(&tl_table_oldest(&t)->id, &nodes[1].id));
    tl_table_oldest(&t)->tended = 30;
    assert_true(tl_dht_id_eq(&tl_table_oldest(&t)->id, &nodes[2].id));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, finish)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_bucket_has_eight_nodes_and_who_came_first_stays),
        TEST(a_node_that_is_silent_gives_its_place_to_a_spare_one),
        TEST(without_a_spare_one_it_stays_until_the_third_silence),
        TEST(a_whole_24_has_two_places_in_the_whole_table),
        TEST(an_ip_is_one_node_whatever_its_port_and_bucket),
        TEST(where_the_dht_has_hardly_a_node_an_id_must_fit),
        TEST(what_is_saved_is_of_every_bucket),
        TEST(an_id_that_fits_its_address_takes_the_place_of_one_that_does_not),
        TEST(nobody_takes_the_id_of_a_node_that_answers),
        TEST(an_address_with_a_new_id_is_a_new_node),
        TEST(we_are_not_in_our_own_table),
        TEST(the_nearest_are_what_a_search_through_all_of_them_finds),
        TEST(with_another_id_of_ours_the_nodes_stay_in_a_new_order),
        TEST(the_oldest_is_the_one_that_was_tended_longest_ago),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
