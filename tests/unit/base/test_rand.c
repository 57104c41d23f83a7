#include "base/rand.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void a_seed_always_gives_the_same_numbers(void **state)
{
    (void)state;
    tl_rand a = tl_rand_seeded(7), b = tl_rand_seeded(7), c = tl_rand_seeded(8);
    int same_as_c = 0;
    for (int i = 0; i < 1000; i++) {
        uint64_t v = tl_rand_u64(&a);
        assert_true(v == tl_rand_u64(&b));
        same_as_c += v == tl_rand_u64(&c);
    }
    assert_int_equal(same_as_c, 0);
}

/* From the authors' own programs: splitmix64 of 0, and xoshiro256** from that state. */
static void the_generator_is_xoshiro256_starstar(void **state)
{
    (void)state;
    tl_rand r = tl_rand_seeded(0);
    assert_true(r.state[0] == 0xE220A8397B1DCDAFu);
    assert_true(r.state[1] == 0x6E789E6AA1B965F4u);
    assert_true(r.state[2] == 0x06C45D188009454Fu);
    assert_true(r.state[3] == 0xF88BB8A8724C81ECu);
    r = (tl_rand){.state = {1, 2, 3, 4}};
    assert_true(tl_rand_u64(&r) == 11520);
    assert_true(tl_rand_u64(&r) == 0);
    assert_true(tl_rand_u64(&r) == 1509978240);
    assert_true(tl_rand_u64(&r) == 1215971899390074240);
}

static void every_length_of_bytes_is_filled_and_no_more(void **state)
{
    (void)state;
    tl_rand sources[] = {tl_rand_seeded(1), tl_rand_system()};
    for (size_t s = 0; s < 2; s++)
        for (size_t n = 0; n < 40; n++) {
            uint8_t seen[41] = {0}, bytes[41];
            for (int round = 0; round < 12; round++) { /* a zero may come up, not twelve times */
                memset(bytes, 0, sizeof bytes);
                tl_rand_bytes(&sources[s], bytes, n);
                for (size_t i = 0; i < sizeof bytes; i++)
                    seen[i] |= bytes[i];
            }
            for (size_t i = 0; i < sizeof seen; i++)
                assert_int_equal(seen[i] != 0, i < n);
        }
}

static void a_bounded_number_stays_below_and_reaches_all(void **state)
{
    (void)state;
    tl_rand r = tl_rand_seeded(3);
    unsigned count[6] = {0};
    for (int i = 0; i < 6000; i++) {
        uint64_t v = tl_rand_below(&r, 6);
        assert_true(v < 6);
        count[v]++;
    }
    for (int i = 0; i < 6; i++)
        assert_in_range(count[i], 850, 1150); /* about five standard deviations */
    assert_true(tl_rand_below(&r, 1) == 0);
    for (int i = 0; i < 100; i++)
        assert_true(tl_rand_below(&r, UINT64_MAX) < UINT64_MAX);
    unsigned high = 0; /* a modulo without rejection would give the lower half twice as often */
    uint64_t bound = (UINT64_C(1) << 63) + (UINT64_C(1) << 62);
    for (int i = 0; i < 6000; i++)
        high += tl_rand_below(&r, bound) >= UINT64_C(1) << 63;
    assert_in_range(high, 1800, 2200);
}

static void the_system_source_does_not_repeat(void **state)
{
    (void)state;
    tl_rand a = tl_rand_system(), b = tl_rand_system();
    for (int i = 0; i < 100; i++)
        assert_true(tl_rand_u64(&a) != tl_rand_u64(&b));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_seed_always_gives_the_same_numbers),
        cmocka_unit_test(the_generator_is_xoshiro256_starstar),
        cmocka_unit_test(every_length_of_bytes_is_filled_and_no_more),
        cmocka_unit_test(a_bounded_number_stays_below_and_reaches_all),
        cmocka_unit_test(the_system_source_does_not_repeat),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
