#include "relay/nonces.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum { MANY = 10000 };

static void make(uint32_t i, uint8_t ret_signer[32], uint8_t ret_nonce[16])
{
    memset(ret_signer, 1, 32);
    memset(ret_nonce, 2, 16);
    memcpy(i % 2 ? ret_signer : ret_nonce, &i, sizeof i);
}

static bool has(const tl_seen_nonces *s, uint32_t i)
{
    uint8_t signer[32], nonce[16];
    make(i, signer, nonce);
    return tl_seen_nonces_has(s, signer, nonce);
}

static bool keep(tl_seen_nonces *s, uint32_t i, tl_time now)
{
    uint8_t signer[32], nonce[16];
    make(i, signer, nonce);
    return tl_seen_nonces_keep(s, signer, nonce, now);
}

static void each_of_many_is_kept_for_61_seconds_and_no_longer(void **state)
{
    (void)state;
    tl_seen_nonces s = {.max = MANY};
    tl_time each = 61 * TL_SEC / MANY;
    for (uint32_t i = 1; i <= MANY; i++)
        assert_true(keep(&s, i, i * each));
    tl_seen_nonces_sweep(&s, each + 61 * TL_SEC - 1);
    assert_true(has(&s, 1));
    for (uint32_t i = 1; i <= MANY; i++) {
        tl_seen_nonces_sweep(&s, i * each + 61 * TL_SEC);
        assert_false(has(&s, i));
        assert_int_equal(has(&s, i + 1), i < MANY);
    }
    assert_int_equal(s.n, 0);
    tl_seen_nonces_clear(&s);
}

static void one_that_finds_no_room_is_refused_and_pushes_none_out(void **state)
{
    (void)state;
    tl_seen_nonces s = {.max = 3};
    for (uint32_t i = 1; i <= 4; i++)
        assert_int_equal(keep(&s, i, 0), i <= 3);
    for (uint32_t i = 1; i <= 4; i++)
        assert_int_equal(has(&s, i), i <= 3);
    tl_seen_nonces_sweep(&s, 61 * TL_SEC);
    assert_true(keep(&s, 4, 61 * TL_SEC));
    tl_seen_nonces_clear(&s);
    assert_false(has(&s, 4));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_of_many_is_kept_for_61_seconds_and_no_longer),
        cmocka_unit_test(one_that_finds_no_room_is_refused_and_pushes_none_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
