#include "base/origin.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static tl_addr addr(const char *text)
{
    tl_addr a;
    assert_int_equal(tl_addr_parse(tl_slice_str(text), &a), TL_OK);
    return a;
}

static bool same(tl_origin (*of)(const tl_addr *), const char *a, const char *b)
{
    tl_addr x = addr(a), y = addr(b);
    tl_origin i = of(&x), k = of(&y);
    return memcmp(&i, &k, sizeof i) == 0;
}

static void an_address_is_one_of_ipv4_or_a_64_of_ipv6(void **state)
{
    (void)state;
    assert_true(same(tl_origin_address, "192.0.2.1:1", "192.0.2.1:2"));
    assert_true(same(tl_origin_address, "192.0.2.1:1", "[::ffff:192.0.2.1]:1"));
    assert_false(same(tl_origin_address, "192.0.2.1:1", "192.0.2.2:1"));
    assert_true(same(tl_origin_address, "[2001:db8:0:1::1]:1", "[2001:db8:0:1:ff::2]:1"));
    assert_false(same(tl_origin_address, "[2001:db8:0:1::1]:1", "[2001:db8:0:2::1]:1"));
}

static void a_network_is_a_24_of_ipv4_or_a_48_of_ipv6(void **state)
{
    (void)state;
    assert_true(same(tl_origin_network, "192.0.2.1:1", "192.0.2.200:2"));
    assert_false(same(tl_origin_network, "192.0.2.1:1", "192.0.3.1:1"));
    assert_true(same(tl_origin_network, "[2001:db8:0:1::1]:1", "[2001:db8:0:2::1]:1"));
    assert_false(same(tl_origin_network, "[2001:db8:0:1::1]:1", "[2001:db8:1:1::1]:1"));
    tl_addr a = addr("192.0.2.0:1");
    tl_origin address = tl_origin_address(&a), network = tl_origin_network(&a);
    assert_memory_not_equal(&address, &network, sizeof address);
}

static void a_block_is_a_16_of_ipv4_or_a_32_of_ipv6(void **state)
{
    (void)state;
    assert_true(same(tl_origin_block, "192.0.2.1:1", "192.0.200.1:2"));
    assert_false(same(tl_origin_block, "192.0.2.1:1", "192.1.2.1:1"));
    assert_true(same(tl_origin_block, "[2001:db8:1::1]:1", "[2001:db8:2::1]:1"));
    assert_false(same(tl_origin_block, "[2001:db8::1]:1", "[2001:db9::1]:1"));
    tl_addr a = addr("192.0.0.0:1");
    tl_origin network = tl_origin_network(&a), block = tl_origin_block(&a);
    assert_false(tl_origin_eq(&network, &block));
}

static void whether_one_could_be_taken_is_asked_without_taking_it(void **state)
{
    (void)state;
    static tl_origin_budgets b;
    tl_slice key = TL_SLICE_LIT("one");
    for (int i = 0; i < 3; i++)
        assert_true(tl_origin_could(&b, key, 1, 1, TL_SEC));
    assert_true(tl_origin_take(&b, key, 1, 1, TL_SEC));
    assert_false(tl_origin_could(&b, key, 1, 1, TL_SEC));
    assert_false(tl_origin_take(&b, key, 1, 1, TL_SEC));
    assert_true(tl_origin_could(&b, key, 1, 1, 2 * TL_SEC));
}

/* In any time: no more than the burst and the rate; and no less, to who asks all the time. */
static void what_one_takes_is_the_burst_and_then_the_rate(void **state)
{
    (void)state;
    tl_origin_budgets *b = calloc(1, sizeof *b);
    tl_slice key = tl_slice_str("somebody");
    unsigned taken = 0;
    assert_non_null(b);
    for (unsigned i = 0; i < 10; i++)
        taken += tl_origin_take(b, key, 4, 8, 5 * TL_SEC);
    assert_int_equal(taken, 8);
    for (unsigned ms = 1; ms <= 10000; ms++)
        taken += tl_origin_take(b, key, 4, 8, 5 * TL_SEC + ms * TL_MS);
    assert_int_equal(taken, 8 + 10 * 4);
    for (unsigned i = 0; i < 20; i++) /* and after a pause the burst again, and no more */
        taken += tl_origin_take(b, key, 4, 8, 100 * TL_SEC);
    assert_int_equal(taken, 8 + 10 * 4 + 8);
    free(b);
}

static void few_of_many_share_a_budget_with_one(void **state)
{
    (void)state;
    tl_origin_budgets *b = calloc(1, sizeof *b);
    unsigned kept = 0;
    assert_non_null(b);
    for (uint32_t i = 0; i < 50; i++)
        (void)tl_origin_take(b, tl_slice_of((uint8_t *)&i, sizeof i), 1, 1, 0);
    for (uint32_t i = 1000; i < 1100; i++)
        kept += tl_origin_take(b, tl_slice_of((uint8_t *)&i, sizeof i), 1, 1, 0);
    assert_true(kept > 60);
    free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_is_one_of_ipv4_or_a_64_of_ipv6),
        cmocka_unit_test(a_network_is_a_24_of_ipv4_or_a_48_of_ipv6),
        cmocka_unit_test(a_block_is_a_16_of_ipv4_or_a_32_of_ipv6),
        cmocka_unit_test(whether_one_could_be_taken_is_asked_without_taking_it),
        cmocka_unit_test(what_one_takes_is_the_burst_and_then_the_rate),
        cmocka_unit_test(few_of_many_share_a_budget_with_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
