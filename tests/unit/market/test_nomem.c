#include "support/failalloc.h"

#include "market/reciprocity.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define NOW 1800000000

static tl_identity self, anna, helper;

static bool is_member(void *user, const tl_node_id *node, tl_unix now)
{
    (void)user, (void)now;
    return tl_node_id_eq(node, &anna.id);
}

static void on_forgotten(void *user, const tl_node_id *signer)
{
    (void)user, (void)signer;
}

static const tl_reciprocity_world world = {is_member, on_forgotten};
static tl_deeds praise;

/* What has no memory is forgotten, and leaves nothing half done: the same again finds its place. */
static tl_err use_a_table(void *user)
{
    tl_reciprocity *t;
    tl_deeds told;
    tl_reciprocity_kept kept;
    bool is_new;
    (void)user;
    tl_err e = tl_reciprocity_new(&self.id, &world, NULL, &t);
    if (e)
        return e;
    tl_deeds_verdict v = tl_reciprocity_take(t, &praise, NOW);
    assert_true(v == TL_DEEDS_TAKEN || failalloc_failed());
    assert_int_equal(tl_reciprocity_count(t), v == TL_DEEDS_TAKEN);
    assert_int_equal(tl_reciprocity_is(t, &helper.id, NOW), v == TL_DEEDS_TAKEN);
    tl_reciprocity_add_relayed(t, &helper.id, TL_RECIPROCITY_BYTES, NOW);
    e = tl_reciprocity_tell(t, &helper.id, &self, NOW, &told, &is_new);
    assert_true(!e || failalloc_failed());
    assert_int_equal(tl_reciprocity_count(t), (v == TL_DEEDS_TAKEN) + !e);
    if (failalloc_failed()) { /* only once */
        assert_int_equal(tl_reciprocity_take(t, &praise, NOW),
                         v == TL_DEEDS_TAKEN ? TL_DEEDS_OLD : TL_DEEDS_TAKEN);
        tl_reciprocity_add_relayed(t, &helper.id, TL_RECIPROCITY_BYTES, NOW);
        assert_int_equal(tl_reciprocity_tell(t, &helper.id, &self, NOW, &told, &is_new), TL_OK);
    }
    assert_true(tl_reciprocity_is(t, &helper.id, NOW));
    assert_true(tl_reciprocity_next_changed(t, &kept));
    assert_int_equal(tl_reciprocity_count(t), 2);
    tl_reciprocity_free(t);
    return failalloc_failed() ? TL_ERR_NOMEM : TL_OK;
}

static void a_table_of_deeds_survives_every_failed_allocation(void **state)
{
    (void)state;
    assert_true(failalloc_sweep(use_a_table, NULL) > 8);
}

static tl_err write_and_read(void *user)
{
    json_t *o;
    tl_deeds d = praise, read;
    (void)user;
    tl_err e = tl_deeds_sign(&d, &anna);
    if (!e)
        e = tl_deeds_verify(&d);
    if (!e)
        e = tl_deeds_write(&d, &o);
    if (e)
        return e;
    e = tl_deeds_read(o, &read);
    json_decref(o);
    return e == TL_ERR_PROTO && failalloc_failed() ? TL_ERR_NOMEM : e;
}

static void a_statement_that_has_no_memory_says_so(void **state)
{
    (void)state;
    assert_true(failalloc_sweep(write_and_read, NULL) > 8);
}

static int set_up(void **state)
{
    (void)state;
    tl_identity *const all[] = {&self, &anna, &helper};
    assert_int_equal(tl_crypto_init(), TL_OK);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        uint8_t seed[32];
        memset(seed, (int)i + 1, sizeof seed);
        assert_int_equal(tl_identity_from_seed(seed, all[i]), TL_OK);
    }
    praise = (tl_deeds){.by = anna.id,
                        .node = helper.id,
                        .count = {0, TL_RECIPROCITY_TOKENS, 0},
                        .sequence = 5,
                        .issued_at = NOW,
                        .expires_at = NOW + 1000};
    assert_int_equal(tl_deeds_sign(&praise, &anna), TL_OK);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_table_of_deeds_survives_every_failed_allocation),
        cmocka_unit_test(a_statement_that_has_no_memory_says_so),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
