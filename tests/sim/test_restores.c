/* A thousand restores after random losses: each is whole, or refused with its reason; none is half. And it is
 * whole exactly where at least k holders are there and honest. */
#include "backup_scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static scene s;

/* What becomes of a holder. */
static void harm(scene_node *n, tl_rand *rand)
{
    switch (tl_rand_below(rand, 9)) {
    case 0: n->away = true; break;
    case 1: n->alters = true; break;
    case 2: n->withholds = true; break;
    case 3: n->mute = true; break;
    case 4: n->disk_fails = true; break;
    default: break; /* it is honest, and there */
    }
}

static bool is_good(const scene_node *n)
{
    return !n->away && !n->alters && !n->withholds && !n->mute && !n->disk_fails;
}

/* True: the backup came back. */
static bool one_restore(uint64_t seed)
{
    tl_rand rand = tl_rand_seeded(seed);
    uint8_t n = (uint8_t)(1 + tl_rand_below(&rand, TL_FRAGMENTS_MAX));
    uint8_t k = (uint8_t)(1 + tl_rand_below(&rand, n));
    unsigned good = 0;
    scene_restore r;
    scene_init(&s, seed, n);
    scene_set(&s, 1 + tl_rand_below(&rand, 20000), n, k);
    scene_run_for(&s, TL_MIN);
    assert_int_equal(scene_status(&s).held, n);
    for (unsigned i = 0; i < n; i++) {
        harm(scene_holder_of(&s, i), &rand);
        good += is_good(scene_holder_of(&s, i));
    }
    scene_restore_now(&s, &r, 0);
    assert_int_equal(r.error == TL_OK, good >= k);
    if (r.error)
        assert_true(r.why[0] && r.blob.len == 0);
    else
        assert_true(tl_slice_eq(tl_buf_slice(&r.blob), tl_backup_blob(s.backup)));
    tl_buf_clear(&r.blob);
    scene_clear(&s);
    return r.error == TL_OK;
}

static void a_thousand_restores_are_whole_or_refused_with_the_reason(void **state)
{
    unsigned whole = 0;
    (void)state;
    for (uint64_t seed = 1; seed <= 1000; seed++)
        whole += one_restore(seed);
    printf("1000 restores: %u whole, %u refused with the reason\n", whole, 1000 - whole);
    assert_in_range(whole, 100, 900); /* both happened often */
}

/* Losses come one after the other, with time to repair between them: the backup outlives all its first
 * holders. */
static void a_backup_outlives_each_of_its_first_holders(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        tl_node_id first[5];
        scene_restore r;
        scene_init(&s, seed, 20);
        scene_set(&s, 10000, 5, 2);
        scene_run_for(&s, TL_MIN);
        for (unsigned i = 0; i < 5; i++)
            first[i] = scene_holder_of(&s, i)->identity.id;
        for (unsigned i = 0; i < 5; i++) {
            for (size_t j = 0; j < s.nodes; j++)
                if (tl_node_id_eq(&s.node[j].identity.id, &first[i]))
                    s.node[j].away = true;
            scene_run_for(&s, 10 * 24 * 3600 * TL_SEC);
            assert_int_equal(scene_status(&s).held, 5);
        }
        scene_restore_now(&s, &r, 0);
        assert_int_equal(r.error, TL_OK);
        tl_buf_clear(&r.blob);
        scene_clear(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_thousand_restores_are_whole_or_refused_with_the_reason),
        cmocka_unit_test(a_backup_outlives_each_of_its_first_holders),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
