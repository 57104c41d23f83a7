#include "peer/checked.h"

#include "base/rand.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static tl_node_id random_id(tl_rand *rng)
{
    tl_node_id id;
    tl_rand_bytes(rng, id.key, sizeof id.key);
    return id;
}

static void what_was_added_is_found_with_its_image_and_nothing_else_is(void **state)
{
    (void)state;
    tl_checked t = {0};
    tl_rand rng = tl_rand_seeded(1);
    tl_node_id ids[500], other = random_id(&rng);
    uint8_t image[32];
    assert_null(tl_checked_image(&t, &other));
    for (size_t i = 0; i < 500; i++) {
        ids[i] = random_id(&rng);
        memset(image, (int)i, sizeof image);
        tl_checked_add(&t, &ids[i], image);
    }
    size_t found = 0;
    for (size_t i = 0; i < 500; i++) {
        const uint8_t *is = tl_checked_image(&t, &ids[i]);
        if (!is)
            continue;
        found++;
        assert_int_equal(is[0], (uint8_t)i);
        assert_int_equal(is[31], (uint8_t)i);
    }
    assert_in_range(found, 490, 500);
    assert_null(tl_checked_image(&t, &other));
    tl_checked_clear(&t);
    assert_null(tl_checked_image(&t, &ids[0]));
}

/* Also of IDs that were made to meet in one place. */
static void it_stays_bounded_whatever_comes(void **state)
{
    (void)state;
    tl_checked t = {0};
    tl_rand rng = tl_rand_seeded(2);
    uint8_t image[32] = {0};
    for (size_t i = 0; i < 5 * TL_CHECKED_MAX; i++) {
        tl_node_id id = random_id(&rng);
        if (i % 2)
            memset(id.key + 8, 7, 8);
        image[0] = (uint8_t)i;
        tl_checked_add(&t, &id, image);
        assert_non_null(tl_checked_image(&t, &id)); /* the newest is always there */
    }
    assert_int_equal(t.size, 2 * TL_CHECKED_MAX);
    assert_true(t.n <= t.size);
    tl_checked_clear(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_added_is_found_with_its_image_and_nothing_else_is),
        cmocka_unit_test(it_stays_bounded_whatever_comes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
