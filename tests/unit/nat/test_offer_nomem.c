#include "support/failalloc.h"

#include "nat/offer.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define WALL 1700000000

typedef struct {
    tl_identity alice, bob;
    tl_offer_type type;
} pair;

static tl_err read_text(const pair *p, tl_slice text)
{
    tl_nonces nonces = {0};
    tl_offer offer;
    tl_offer_verdict v = tl_offer_read(p->type, text, &p->bob, &nonces, WALL, &offer);
    assert_true(v == TL_OFFER_OK || v == TL_OFFER_NO_MEMORY);
    /* what was not read was not seen: it may come again */
    assert_int_equal(nonces.n, v == TL_OFFER_OK);
    tl_nonces_clear(&nonces);
    return v == TL_OFFER_OK ? TL_OK : TL_ERR_NOMEM;
}

/* Made, written, read. */
static tl_err there_and_back(void *user)
{
    const pair *p = user;
    tl_rand rand = tl_rand_seeded(1);
    tl_connection_info info = {.nat_type = TL_NAT_FULL_CONE};
    tl_candidate c = {TL_CANDIDATE_HOST, {TL_ADDR_V4, 7, 0, {192, 0, 2, 1}}, 1};
    json_t *payload;
    tl_buf text = {0};
    tl_err e =
        p->type == TL_OFFER_CANDIDATE
            ? tl_candidate_make(&p->alice, &p->bob.id, "S", &c, &rand, WALL, &payload)
            : tl_offer_make(p->type, &p->alice, &p->bob.id, "S", &info, &rand, WALL, &payload);
    if (e)
        return e;
    e = tl_json_write(&text, payload);
    json_decref(payload);
    if (!e)
        e = read_text(p, tl_buf_slice(&text));
    tl_buf_clear(&text);
    return e;
}

static void memory_that_runs_out_anywhere_is_told_and_nothing_leaks(void **state)
{
    (void)state;
    tl_rand rand = tl_rand_seeded(2);
    for (int type = TL_OFFER_OFFER; type <= TL_OFFER_CANDIDATE; type++) {
        pair p = {.type = (tl_offer_type)type};
        assert_int_equal(tl_identity_new(&rand, &p.alice), TL_OK);
        assert_int_equal(tl_identity_new(&rand, &p.bob), TL_OK);
        assert_true(failalloc_sweep(there_and_back, &p) > 50);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_that_runs_out_anywhere_is_told_and_nothing_leaks),
    };
    if (tl_crypto_init())
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
