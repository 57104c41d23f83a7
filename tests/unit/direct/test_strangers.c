#include "direct/strangers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static tl_strangers strangers;

static int setup(void **state)
{
    (void)state;
    tl_strangers_init(&strangers, false, TL_SEC);
    return 0;
}

static tl_addr addr_of(const char *text)
{
    tl_addr a;
    assert_int_equal(tl_addr_parse(tl_slice_str(text), &a), TL_OK);
    return a;
}

static bool asks(const char *from, tl_time now)
{
    tl_addr a = addr_of(from);
    return tl_strangers_may_ask(&strangers, &a, now) && tl_strangers_take(&strangers, &a, now);
}

/* Each way to write it is of the one network of `first`. */
static void one_network(const char *first, const char *second, const char *other)
{
    unsigned taken = 0;
    for (int i = 0; i < 2 * TL_STRANGERS_NETWORK_BURST; i++)
        taken += asks(i % 2 ? first : second, TL_SEC);
    assert_int_equal(taken, TL_STRANGERS_NETWORK_BURST);
    assert_true(asks(other, TL_SEC));
    assert_false(asks(first, TL_SEC + TL_SEC / TL_STRANGERS_NETWORK_SECOND - 1));
    assert_true(asks(first, TL_SEC + TL_SEC / TL_STRANGERS_NETWORK_SECOND));
}

static void a_slash_24_is_one_network(void **state)
{
    (void)state;
    one_network("45.13.1.2:4000", "45.13.1.254:1", "45.13.2.2:4000");
}

static void a_slash_48_is_one_network(void **state)
{
    (void)state;
    one_network("[2a00:1:2:3::4]:4000", "[2a00:1:2:ffff::1]:1", "[2a00:1:3:3::4]:4000");
}

static void all_networks_together_get_no_more_than_the_sum(void **state)
{
    (void)state;
    const unsigned seconds = 7;
    unsigned taken = 0;
    for (tl_time now = TL_SEC; now < (1 + seconds) * TL_SEC; now += 10 * TL_MS) {
        char text[TL_ADDR_TEXT_MAX];
        snprintf(text, sizeof text, "45.%u.%u.1:4000", (unsigned)(now / TL_SEC),
                 (unsigned)(now / (10 * TL_MS) % 250));
        taken += asks(text, now);
    }
    assert_true(taken <= TL_STRANGERS_BURST + seconds * TL_STRANGERS_SECOND);
    assert_true(taken >= seconds * TL_STRANGERS_SECOND);
}

static void false_signatures_waste_nothing_of_what_is_answered(void **state)
{
    (void)state;
    tl_addr liar = addr_of("45.13.1.2:4000");
    unsigned looked = 0;
    for (int i = 0; i < 1000; i++)
        looked += tl_strangers_may_ask(&strangers, &liar, TL_SEC);
    assert_int_equal(looked, TL_STRANGERS_LOOKED_SECOND);
    assert_false(asks("45.13.1.3:4000", TL_SEC));
    assert_true(asks("45.13.1.3:4000", TL_SEC + TL_SEC / TL_STRANGERS_LOOKED_SECOND));
}

#define TEST(f) cmocka_unit_test_setup(f, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_slash_24_is_one_network),
        TEST(a_slash_48_is_one_network),
        TEST(all_networks_together_get_no_more_than_the_sum),
        TEST(false_signatures_waste_nothing_of_what_is_answered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
