/* What strangers can make a node of the DHT send, and to whom. */
#include "dht/dht.h"

#include "dht/queries.h"
#include "dht/server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define HEADERS 28
#define PING    100 /* bytes, as dht.h says */

static tl_rand rand_of_test;
static tl_dht *dht;
static tl_time now;
/* What was sent. */
static size_t pings, bytes, longest_ping;

static void wake(void *user)
{
    (void)user;
}

static void on_send(void *user, const tl_addr *to, tl_slice datagram)
{
    tl_krpc m;
    (void)user, (void)to;
    assert_int_equal(tl_krpc_parse(datagram, &m), TL_OK);
    bytes += HEADERS + datagram.n;
    if (m.kind != TL_KRPC_QUERY)
        return;
    assert_int_equal(m.method, TL_KRPC_PING);
    pings++;
    longest_ping = HEADERS + datagram.n > longest_ping ? HEADERS + datagram.n : longest_ping;
}

static int begin(void **state)
{
    static const tl_env env = {.wake = wake};
    (void)state;
    now = 1000 * TL_SEC;
    rand_of_test = tl_rand_seeded(3);
    pings = bytes = longest_ping = 0;
    tl_dht_config config = {.rand = &rand_of_test,
                            .env = &env,
                            .has4 = true,
                            .serves = true,
                            .republish_secs = 3600,
                            .send = on_send};
    return tl_dht_new(&config, now, &dht);
}

static int finish(void **state)
{
    (void)state;
    tl_dht_free(dht);
    return 0;
}

/* One from a node that nobody knows. Returns how many bytes it has. */
static size_t forge_as(tl_addr from, bool read_only)
{
    uint8_t datagram[TL_KRPC_MAX];
    size_t n;
    tl_krpc query = {.kind = TL_KRPC_QUERY,
                     .method = TL_KRPC_PING,
                     .tid = TL_SLICE_LIT("aa"),
                     .has_id = true,
                     .read_only = read_only};
    tl_rand_bytes(&rand_of_test, query.id, sizeof query.id);
    assert_int_equal(tl_krpc_write(&query, sizeof datagram, datagram, &n), TL_OK);
    tl_dht_on_datagram(dht, &from, tl_slice_of(datagram, n), now, 0);
    return HEADERS + n;
}

static size_t forge(tl_addr from)
{
    return forge_as(from, false);
}

static tl_addr addr_of(unsigned network, unsigned port)
{
    return (tl_addr){.family = TL_ADDR_V4,
                     .port = (uint16_t)port,
                     .bytes = {20, (uint8_t)(network / 256), (uint8_t)network, 1}};
}

static void who_asks_is_answered_and_pinged(void **state)
{
    (void)state;
    forge(addr_of(1, 1000));
    assert_int_equal(pings, 1);
    assert_true(bytes > longest_ping && longest_ping <= PING);
}

/* The formula of dht.h, over twenty minutes. */
static void a_victim_gets_three_times_what_was_forged_and_four_pings(void **state)
{
    (void)state;
    size_t forged = 0;
    for (unsigned i = 0; i < 1200; i++) {
        forged += forge(addr_of(1, 1000 + i));
        now += TL_SEC;
        tl_dht_on_timer(dht, now, 0);
        size_t may = TL_QUERIES_PINGS * (1 + i * TL_SEC / TL_QUERIES_PINGS_FOR);
        assert_true(pings <= may && longest_ping <= PING);
        assert_true(bytes <= TL_DHT_SERVER_FACTOR * forged + may * PING);
    }
    assert_int_equal(pings, 2 * TL_QUERIES_PINGS); /* the bound is met */
}

static void who_is_refused_is_not_pinged(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 1000; i++) /* read-only ones: they would not be pinged in any case */
        forge_as(addr_of(1, 1000), true);
    assert_int_equal(pings, 0);
    forge(addr_of(1, 1000));
    assert_int_equal(pings, 0);
    forge(addr_of(2, 1000)); /* one who has asked nothing so far */
    assert_int_equal(pings, 1);
}

static void a_burst_from_many_networks_is_pinged_back_a_little(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 500; i++)
        forge(addr_of(i, 1000));
    assert_int_equal(pings, 8);
    now += 10 * TL_SEC;
    for (unsigned i = 500; i < 1000; i++)
        forge(addr_of(i, 1000));
    assert_int_equal(pings, 16);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, finish)

int main(void)
{
    if (tl_crypto_init())
        return 1;
    const struct CMUnitTest tests[] = {
        TEST(who_asks_is_answered_and_pinged),
        TEST(a_victim_gets_three_times_what_was_forged_and_four_pings),
        TEST(who_is_refused_is_not_pinged),
        TEST(a_burst_from_many_networks_is_pinged_back_a_little),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
