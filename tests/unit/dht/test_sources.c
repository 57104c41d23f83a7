#include "dht/sources.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define START (1000 * TL_SEC)

static tl_dht_sources sources;

static int begin(void **state)
{
    (void)state;
    tl_dht_sources_init(&sources, START);
    return 0;
}

static int end(void **state)
{
    (void)state;
    tl_dht_sources_clear(&sources);
    return 0;
}

static tl_addr addr(const char *text)
{
    tl_addr a;
    assert_int_equal(tl_addr_parse_ip(tl_slice_str(text), &a), TL_OK);
    a.port = 6881;
    return a;
}

/* The i-th address, each in a /24 of its own. */
static tl_addr far_apart(unsigned i)
{
    return (tl_addr){.family = TL_ADDR_V4,
                     .port = 1,
                     .bytes = {198, (uint8_t)(18 + i / 65536), (uint8_t)(i / 256), (uint8_t)i}};
}

/* How many queries of `from` are taken in `seconds`, when a thousand come a second. */
static size_t queries_taken(const tl_addr *from, unsigned seconds)
{
    size_t taken = 0;
    for (unsigned ms = 0; ms < seconds * 1000; ms++)
        taken += tl_dht_sources_on_query(&sources, from, START + ms * TL_MS) == TL_DHT_SOURCE_OK;
    return taken;
}

static size_t bytes_taken(const tl_addr *to, size_t n, unsigned seconds)
{
    size_t taken = 0;
    for (unsigned ms = 0; ms < seconds * 1000; ms++)
        if (tl_dht_sources_send(&sources, to, TL_DHT_SENDER_ANY, n, START + ms * TL_MS) ==
            TL_DHT_SOURCE_OK)
            taken += n;
    return taken;
}

static void an_address_asks_as_much_as_the_formula_says(void **state)
{
    (void)state;
    tl_addr a = addr("198.18.0.1");
    size_t taken = queries_taken(&a, 10);
    assert_true(taken <= TL_DHT_QUERIES_BURST + 10 * TL_DHT_QUERIES_RATE);
    assert_true(taken >= TL_DHT_QUERIES_BURST + 9 * TL_DHT_QUERIES_RATE);
}

static void an_address_is_sent_as_much_as_the_formula_says(void **state)
{
    (void)state;
    tl_addr a = addr("198.18.0.1");
    size_t taken = bytes_taken(&a, 333, 10);
    assert_true(taken <= TL_DHT_BYTES_BURST + 10 * TL_DHT_BYTES_RATE);
    assert_true(taken >= TL_DHT_BYTES_BURST + 9 * TL_DHT_BYTES_RATE);
}

static void the_port_makes_no_other_address(void **state)
{
    (void)state;
    tl_addr a = addr("198.18.0.1"), b = addr("198.19.0.1");
    assert_int_equal(
        tl_dht_sources_send(&sources, &a, TL_DHT_SENDER_ANY, TL_DHT_BYTES_BURST, START),
        TL_DHT_SOURCE_OK);
    a.port++;
    assert_int_equal(tl_dht_sources_send(&sources, &a, TL_DHT_SENDER_ANY, 1, START),
                     TL_DHT_SOURCE_OVER);
    assert_int_equal(tl_dht_sources_send(&sources, &b, TL_DHT_SENDER_ANY, 1, START),
                     TL_DHT_SOURCE_OK);
}

static void a_network_is_sent_no_more_than_an_address(void **state)
{
    (void)state;
    tl_addr a = addr("198.18.7.1"), b = addr("198.18.7.2"), c = addr("198.18.8.1");
    assert_int_equal(
        tl_dht_sources_send(&sources, &a, TL_DHT_SENDER_ANY, TL_DHT_BYTES_BURST, START),
        TL_DHT_SOURCE_OK);
    assert_int_equal(tl_dht_sources_send(&sources, &b, TL_DHT_SENDER_ANY, 100, START),
                     TL_DHT_SOURCE_OVER);
    assert_int_equal(tl_dht_sources_send(&sources, &c, TL_DHT_SENDER_ANY, 100, START),
                     TL_DHT_SOURCE_OK);
}

static void a_network_asks_four_times_as_much_as_an_address(void **state)
{
    (void)state;
    size_t taken = 0;
    for (unsigned i = 0; i < 256; i++) {
        tl_addr a = {.family = TL_ADDR_V4, .port = 1, .bytes = {198, 18, 9, (uint8_t)i}};
        for (int k = 0; k < 10; k++)
            taken += tl_dht_sources_on_query(&sources, &a, START) == TL_DHT_SOURCE_OK;
    }
    assert_int_equal(taken, TL_DHT_QUERIES_NET_FACTOR * TL_DHT_QUERIES_BURST);
}

static void of_ipv6_a_64_is_an_address_and_a_48_a_network(void **state)
{
    (void)state;
    tl_addr a = addr("2001:db8:0:100::1"), same64 = addr("2001:db8:0:100:ffff::9");
    tl_addr same48 = addr("2001:db8:0:ff00::1"), other = addr("2001:db8:1:100::1");
    assert_int_equal(
        tl_dht_sources_send(&sources, &a, TL_DHT_SENDER_ANY, TL_DHT_BYTES_BURST, START),
        TL_DHT_SOURCE_OK);
    assert_int_equal(tl_dht_sources_send(&sources, &same64, TL_DHT_SENDER_ANY, 1, START),
                     TL_DHT_SOURCE_OVER);
    assert_int_equal(tl_dht_sources_send(&sources, &same48, TL_DHT_SENDER_ANY, 1, START),
                     TL_DHT_SOURCE_OVER);
    assert_int_equal(tl_dht_sources_send(&sources, &other, TL_DHT_SENDER_ANY, 1, START),
                     TL_DHT_SOURCE_OK);
}

static void an_ipv4_address_is_no_ipv6_network(void **state)
{
    (void)state;
    tl_addr a = addr("32.1.13.184"), b = addr("2001:db8::1");
    assert_int_equal(
        tl_dht_sources_send(&sources, &a, TL_DHT_SENDER_ANY, TL_DHT_BYTES_BURST, START),
        TL_DHT_SOURCE_OK);
    assert_int_equal(tl_dht_sources_send(&sources, &b, TL_DHT_SENDER_ANY, 1, START),
                     TL_DHT_SOURCE_OK);
}

static void all_together_are_sent_as_much_as_the_formula_says(void **state)
{
    (void)state;
    size_t taken = 0;
    for (unsigned ms = 0; ms < 10000; ms++) {
        tl_addr a = far_apart(ms * 256);
        if (tl_dht_sources_send(&sources, &a, TL_DHT_SENDER_ANY, 1000, START + ms * TL_MS) ==
            TL_DHT_SOURCE_OK)
            taken += 1000;
    }
    assert_true(taken <= (TL_DHT_SUM_BURST + 10 * TL_DHT_SUM_RATE) / 8 * 3);
    assert_true(taken >= (TL_DHT_SUM_BURST + 9 * TL_DHT_SUM_RATE) / 8 * 3);
    tl_addr last = far_apart(9);
    while (tl_dht_sources_send(&sources, &last, TL_DHT_SENDER_ANY, 1, START + 10 * TL_SEC) ==
           TL_DHT_SOURCE_OK)
        taken++;
    assert_int_equal(
        tl_dht_sources_send(&sources, &last, TL_DHT_SENDER_ANY, 1, START + 10 * TL_SEC),
        TL_DHT_SOURCE_SUM);
}

static void what_is_refused_for_one_share_uses_up_no_other(void **state)
{
    (void)state;
    tl_addr a = addr("198.18.0.1"), b = addr("198.18.0.2");
    assert_int_equal(
        tl_dht_sources_send(&sources, &a, TL_DHT_SENDER_ANY, TL_DHT_BYTES_BURST - 100, START),
        TL_DHT_SOURCE_OK);
    /* refused for the network; b itself keeps its share */
    assert_int_equal(tl_dht_sources_send(&sources, &b, TL_DHT_SENDER_ANY, 200, START),
                     TL_DHT_SOURCE_OVER);
    assert_int_equal(tl_dht_sources_send(&sources, &b, TL_DHT_SENDER_ANY, 100, START),
                     TL_DHT_SOURCE_OK);
}

static void sources_are_forgotten_when_their_shares_are_full_again(void **state)
{
    (void)state;
    tl_addr a = addr("198.18.0.1");
    queries_taken(&a, 1);
    assert_int_equal(sources.n, 2);
    tl_dht_sources_prune(&sources, START + TL_SEC);
    assert_int_equal(sources.n, 2);
    tl_time later = START + TL_SEC + TL_DHT_SOURCE_KEPT;
    tl_dht_sources_prune(&sources, later);
    assert_int_equal(sources.n, 0);
    /* that it was forgotten makes no difference: by then a kept one would have as much */
    for (int i = 0; i < TL_DHT_QUERIES_BURST; i++)
        assert_int_equal(tl_dht_sources_on_query(&sources, &a, later), TL_DHT_SOURCE_OK);
    assert_int_equal(tl_dht_sources_on_query(&sources, &a, later), TL_DHT_SOURCE_OVER);
    assert_int_equal(tl_dht_sources_on_query(&sources, &a, later + TL_DHT_SOURCE_KEPT),
                     TL_DHT_SOURCE_OK);
}

static void a_flood_of_addresses_takes_bounded_memory_and_denies_nobody(void **state)
{
    (void)state;
    tl_addr honest = addr("203.0.113.1");
    for (unsigned i = 0; i < 3 * TL_DHT_SOURCES_MAX; i++) {
        tl_addr a = far_apart(i * 37);
        assert_int_equal(tl_dht_sources_on_query(&sources, &a, START + i), TL_DHT_SOURCE_OK);
        assert_true(sources.n <= TL_DHT_SOURCES_MAX);
    }
    assert_int_equal(sources.n, TL_DHT_SOURCES_MAX);
    assert_int_equal(tl_dht_sources_on_query(&sources, &honest, START + TL_MS), TL_DHT_SOURCE_OK);
}

static void the_oldest_source_makes_room(void **state)
{
    (void)state;
    tl_addr busy = addr("203.0.113.1");
    assert_int_equal(
        tl_dht_sources_send(&sources, &busy, TL_DHT_SENDER_ANY, TL_DHT_BYTES_BURST, START),
        TL_DHT_SOURCE_OK);
    for (unsigned i = 0; i < 3 * TL_DHT_SOURCES_MAX; i++) {
        tl_addr a = far_apart(i * 37);
        (void)tl_dht_sources_on_query(&sources, &a, START);
        if (i % 1000 == 0) /* it is heard of again and again, so it is not forgotten */
            assert_int_equal(tl_dht_sources_send(&sources, &busy, TL_DHT_SENDER_ANY, 1, START),
                             TL_DHT_SOURCE_OVER);
    }
}

static void what_forged_sources_may_have_leaves_pings_and_the_proven_theirs(void **state)
{
    (void)state;
    tl_addr a = far_apart(1), b = far_apart(2), c = far_apart(3);
    for (unsigned i = 0; i < 4096; i++) {
        tl_addr forged = far_apart(256 * (10 + i));
        (void)tl_dht_sources_send(&sources, &forged, TL_DHT_SENDER_ANY, 300, START);
    }
    assert_false(tl_dht_sources_has_room(&sources, TL_DHT_SENDER_ANY, 300, START));
    assert_int_equal(tl_dht_sources_send(&sources, &a, TL_DHT_SENDER_ANY, 300, START),
                     TL_DHT_SOURCE_SUM);
    assert_true(tl_dht_sources_has_room(&sources, TL_DHT_SENDER_PING, 100, START));
    assert_int_equal(tl_dht_sources_send(&sources, &b, TL_DHT_SENDER_PING, 100, START),
                     TL_DHT_SOURCE_OK);
    size_t proven = 0;
    for (unsigned i = 0; i < 4096; i++) {
        tl_addr one = far_apart(256 * (5000 + i));
        if (tl_dht_sources_send(&sources, &one, TL_DHT_SENDER_PROVEN, 300, START) ==
            TL_DHT_SOURCE_OK)
            proven += 300;
    }
    assert_true(proven <= TL_DHT_SUM_BURST / 2 + 300 && proven > TL_DHT_SUM_BURST / 2 - 300);
    /* A flood of pings takes nothing of what the proven have again with time. */
    for (unsigned i = 0; i < 4096; i++) {
        tl_addr forged = far_apart(256 * (10000 + i));
        (void)tl_dht_sources_send(&sources, &forged, TL_DHT_SENDER_PING, 100, START + TL_SEC);
    }
    assert_int_equal(tl_dht_sources_send(&sources, &c, TL_DHT_SENDER_PROVEN, 300, START + TL_SEC),
                     TL_DHT_SOURCE_OK);
}

#define with_sources(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_sources(an_address_asks_as_much_as_the_formula_says),
        with_sources(an_address_is_sent_as_much_as_the_formula_says),
        with_sources(the_port_makes_no_other_address),
        with_sources(a_network_is_sent_no_more_than_an_address),
        with_sources(a_network_asks_four_times_as_much_as_an_address),
        with_sources(of_ipv6_a_64_is_an_address_and_a_48_a_network),
        with_sources(an_ipv4_address_is_no_ipv6_network),
        with_sources(all_together_are_sent_as_much_as_the_formula_says),
        with_sources(what_forged_sources_may_have_leaves_pings_and_the_proven_theirs),
        with_sources(what_is_refused_for_one_share_uses_up_no_other),
        with_sources(sources_are_forgotten_when_their_shares_are_full_again),
        with_sources(a_flood_of_addresses_takes_bounded_memory_and_denies_nobody),
        with_sources(the_oldest_source_makes_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
