/* IDs of the DHT: their distances, and the vectors of BEP 42. */
#include "dht/id.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static tl_addr ip(const char *text)
{
    tl_addr a;
    assert_int_equal(tl_addr_parse_ip(tl_slice_str(text), &a), TL_OK);
    return a;
}

static tl_dht_id id_of(const char *hex)
{
    tl_dht_id id;
    assert_int_equal(tl_hex_parse(tl_slice_str(hex), false, id.b, sizeof id.b), TL_OK);
    return id;
}

static const struct {
    const char *ip, *id;
} vectors[] = {
    {"124.31.75.21", "5fbfbff10c5d6a4ec8a88e4c6ab4c28b95eee401"},
    {"21.75.31.124", "5a3ce9c14e7a08645677bbd1cfe7d8f956d53256"},
    {"65.23.51.170", "a5d43220bc8f112a3d426c84764f8c2a1150e616"},
    {"84.124.73.14", "1b0321dd1bb1fe518101ceef99462b947a01ff41"},
    {"43.213.53.83", "e56f6cbf5b7c4be0237986d5243b87aa6d51305a"},
};

static void the_ids_of_bep_42_fit_their_addresses_and_no_other(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++)
        for (size_t j = 0; j < sizeof vectors / sizeof *vectors; j++) {
            tl_dht_id id = id_of(vectors[i].id);
            tl_addr a = ip(vectors[j].ip);
            assert_int_equal(tl_dht_id_fits(&id, &a), i == j);
        }
}

static void one_bit_of_the_first_21_or_of_the_last_3_makes_an_id_unfit(void **state)
{
    (void)state;
    tl_addr a = ip(vectors[0].ip);
    for (unsigned bit = 0; bit < TL_DHT_ID_BITS; bit++) {
        tl_dht_id id = id_of(vectors[0].id);
        id.b[bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
        assert_int_equal(tl_dht_id_fits(&id, &a), bit >= 21 && bit < 157);
    }
}

static void an_id_made_for_an_address_fits_it(void **state)
{
    (void)state;
    tl_rand rand = tl_rand_seeded(42);
    const char *of[] = {"198.18.0.1", "1.2.3.4", "2001:db8::1", "2a02:8108:1::7"};
    for (size_t i = 0; i < sizeof of / sizeof *of; i++)
        for (unsigned n = 0; n < 100; n++) {
            tl_addr a = ip(of[i]), other = ip(i < 2 ? "1.2.3.5" : "2001:db8:0:1::1");
            tl_dht_id id = tl_dht_id_for(&a, &rand);
            assert_true(tl_dht_id_fits(&id, &a));
            assert_false(tl_dht_id_fits(&id, &other));
        }
}

static void an_address_has_no_more_than_eight_prefixes(void **state)
{
    (void)state;
    tl_rand rand = tl_rand_seeded(1);
    tl_addr a = ip("1.2.3.4");
    uint32_t seen[16];
    unsigned n = 0;
    for (unsigned i = 0; i < 1000; i++) {
        tl_dht_id id = tl_dht_id_for(&a, &rand);
        uint32_t prefix = (uint32_t)id.b[0] << 16 | (uint32_t)id.b[1] << 8 | (id.b[2] & 0xF8);
        unsigned j = 0;
        while (j < n && seen[j] != prefix)
            j++;
        if (j == n) {
            assert_true(n < 8);
            seen[n++] = prefix;
        }
    }
    assert_int_equal(n, 8);
}

static void addresses_of_local_networks_have_any_id(void **state)
{
    (void)state;
    tl_rand rand = tl_rand_seeded(3);
    const char *local[] = {"10.1.2.3",    "172.16.0.1",  "172.31.255.255",
                           "192.168.1.1", "169.254.1.1", "127.0.0.1",
                           "::1",         "fe80::1",     "fd00::1"};
    const char *others[] = {"11.1.2.3",  "172.15.0.1", "172.32.0.1", "192.169.1.1", "169.253.1.1",
                            "128.0.0.1", "::2",        "fec0::1",    "2001::1"};
    for (size_t i = 0; i < sizeof local / sizeof *local; i++) {
        tl_dht_id id = tl_dht_id_random(&rand);
        tl_addr in = ip(local[i]), out = ip(others[i]);
        assert_true(tl_dht_id_fits(&id, &in));
        assert_false(tl_dht_id_fits(&id, &out));
    }
}

static void the_nearer_id_is_the_one_with_the_smaller_xor(void **state)
{
    (void)state;
    tl_dht_id target = {{0x80}}, a = {{0x00}}, b = {{0x81}}, c = {{0x80, 0, 1}};
    assert_true(tl_dht_id_cmp(&target, &b, &a) < 0);
    assert_true(tl_dht_id_cmp(&target, &a, &b) > 0);
    assert_true(tl_dht_id_cmp(&target, &c, &b) < 0);
    assert_int_equal(tl_dht_id_cmp(&target, &c, &c), 0);
    assert_int_equal(tl_dht_id_common(&target, &a), 0);
    assert_int_equal(tl_dht_id_common(&target, &b), 7);
    assert_int_equal(tl_dht_id_common(&target, &c), 23);
    assert_int_equal(tl_dht_id_common(&c, &c), 160);
}

static void an_id_beside_another_parts_from_it_at_the_bit_that_was_asked_for(void **state)
{
    (void)state;
    tl_rand rand = tl_rand_seeded(5);
    for (unsigned common = 0; common < TL_DHT_ID_BITS; common++) {
        tl_dht_id of = tl_dht_id_random(&rand), id = tl_dht_id_beside(&of, common, &rand);
        assert_int_equal(tl_dht_id_common(&of, &id), common);
    }
}

static void a_network_is_a_24_or_a_48_and_each_local_address_is_one(void **state)
{
    (void)state;
    tl_addr a = ip("198.51.100.1"), b = ip("198.51.100.200"), c = ip("198.51.101.1");
    assert_true(tl_dht_addr_network(&a) == tl_dht_addr_network(&b));
    assert_false(tl_dht_addr_network(&a) == tl_dht_addr_network(&c));
    a = ip("2001:db8:1:2::1"), b = ip("2001:db8:1:3::1"), c = ip("2001:db8:2::1");
    assert_true(tl_dht_addr_network(&a) == tl_dht_addr_network(&b));
    assert_false(tl_dht_addr_network(&a) == tl_dht_addr_network(&c));
    a = ip("127.0.0.1"), b = ip("127.0.0.1");
    a.port = 1, b.port = 2;
    assert_false(tl_dht_addr_network(&a) == tl_dht_addr_network(&b));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_ids_of_bep_42_fit_their_addresses_and_no_other),
        cmocka_unit_test(one_bit_of_the_first_21_or_of_the_last_3_makes_an_id_unfit),
        cmocka_unit_test(an_id_made_for_an_address_fits_it),
        cmocka_unit_test(an_address_has_no_more_than_eight_prefixes),
        cmocka_unit_test(addresses_of_local_networks_have_any_id),
        cmocka_unit_test(the_nearer_id_is_the_one_with_the_smaller_xor),
        cmocka_unit_test(an_id_beside_another_parts_from_it_at_the_bit_that_was_asked_for),
        cmocka_unit_test(a_network_is_a_24_or_a_48_and_each_local_address_is_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
