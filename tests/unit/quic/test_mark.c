#include "quic/mark.h"

#include "base/rand.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static void an_id_bears_the_mark_that_it_was_made_with_and_no_other(void **state)
{
    tl_rand rng = tl_rand_seeded(7);
    (void)state;
    for (int i = 0; i < 1000; i++) {
        uint8_t cid[TL_QUIC_CID_SIZE];
        tl_rand_bytes(&rng, cid, sizeof cid);
        assert_false(tl_quic_mark_is(TL_SLICE_LIT("one"), tl_slice_of(cid, sizeof cid)));
        tl_quic_mark_write(TL_SLICE_LIT("one"), cid);
        assert_true(tl_quic_mark_is(TL_SLICE_LIT("one"), tl_slice_of(cid, sizeof cid)));
        assert_false(tl_quic_mark_is(TL_SLICE_LIT("two"), tl_slice_of(cid, sizeof cid)));
        assert_false(tl_quic_mark_is(TL_SLICE_LIT("one"), tl_slice_of(cid, sizeof cid - 1)));
        cid[i % TL_QUIC_CID_SIZE] ^= 1;
        assert_false(tl_quic_mark_is(TL_SLICE_LIT("one"), tl_slice_of(cid, sizeof cid)));
    }
}

static void two_ids_with_one_mark_differ(void **state)
{
    tl_rand rng = tl_rand_seeded(8);
    uint8_t a[TL_QUIC_CID_SIZE], b[TL_QUIC_CID_SIZE];
    (void)state;
    tl_rand_bytes(&rng, a, sizeof a);
    tl_rand_bytes(&rng, b, sizeof b);
    tl_quic_mark_write(TL_SLICE_LIT("one"), a);
    tl_quic_mark_write(TL_SLICE_LIT("one"), b);
    assert_memory_not_equal(a, b, 4);
    assert_memory_not_equal(a + 4, b + 4, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_id_bears_the_mark_that_it_was_made_with_and_no_other),
        cmocka_unit_test(two_ids_with_one_mark_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
