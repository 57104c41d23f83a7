#include "quic/retry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

typedef struct {
    tl_retry_key key;
    tl_rand rand;
    tl_retry_context context;
    ngtcp2_cid odcid;
    uint8_t token[TL_RETRY_TOKEN_MAX];
    size_t n;
} fixture;

static fixture make(size_t odcid_n)
{
    fixture f = {.rand = tl_rand_seeded(3), .context = {.path = 5}};
    tl_rand_bytes(&f.rand, &f.key, sizeof f.key);
    ngtcp2_cid_init(&f.context.client_scid, (const uint8_t *)"clientid", 8);
    ngtcp2_cid_init(&f.context.new_dcid, (const uint8_t *)"serverid", 8);
    ngtcp2_cid_init(&f.odcid, (const uint8_t *)"original destination", odcid_n);
    f.n = tl_retry_token_write(&f.key, &f.rand, &f.context, &f.odcid, TL_SEC, f.token);
    return f;
}

static tl_err open_at(const fixture *f, tl_time now, ngtcp2_cid *ret_odcid)
{
    return tl_retry_token_open(&f->key, &f->context, tl_slice_of(f->token, f->n), now, ret_odcid);
}

static void a_token_gives_the_original_id_back(void **state)
{
    (void)state;
    for (size_t n = 8; n <= 20; n++) {
        fixture f = make(n);
        ngtcp2_cid cid;
        assert_int_equal(open_at(&f, 2 * TL_SEC, &cid), TL_OK);
        assert_true(ngtcp2_cid_eq(&cid, &f.odcid));
    }
}

static void a_token_expires(void **state)
{
    (void)state;
    fixture f = make(16);
    ngtcp2_cid cid;
    assert_int_equal(open_at(&f, TL_SEC + TL_RETRY_LIFETIME, &cid), TL_OK);
    assert_int_equal(open_at(&f, TL_SEC + TL_RETRY_LIFETIME + 1, &cid), TL_ERR_TIMEOUT);
    assert_int_equal(open_at(&f, TL_SEC - 1, &cid), TL_ERR_TIMEOUT); /* from the future */
}

static void a_token_opens_only_unchanged(void **state)
{
    (void)state;
    fixture f = make(16);
    ngtcp2_cid cid;
    for (size_t bit = 0; bit < 8 * f.n; bit++) {
        f.token[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(open_at(&f, TL_SEC, &cid), TL_ERR_AUTH);
        f.token[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    for (size_t n = f.n; n-- > 0;) {
        f.n = n;
        assert_int_equal(open_at(&f, TL_SEC, &cid), TL_ERR_AUTH);
    }
}

static void a_token_is_bound_to_path_and_ids_and_key(void **state)
{
    (void)state;
    ngtcp2_cid cid;
    fixture f = make(16);
    f.context.path++;
    assert_int_equal(open_at(&f, TL_SEC, &cid), TL_ERR_AUTH);
    f = make(16);
    f.context.client_scid.data[0]++;
    assert_int_equal(open_at(&f, TL_SEC, &cid), TL_ERR_AUTH);
    f = make(16);
    f.context.new_dcid.datalen--;
    assert_int_equal(open_at(&f, TL_SEC, &cid), TL_ERR_AUTH);
    f = make(16);
    f.key.key[31]++;
    assert_int_equal(open_at(&f, TL_SEC, &cid), TL_ERR_AUTH);
    f = make(16);
    assert_int_equal(open_at(&f, TL_SEC, &cid), TL_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_token_gives_the_original_id_back),
        cmocka_unit_test(a_token_expires),
        cmocka_unit_test(a_token_opens_only_unchanged),
        cmocka_unit_test(a_token_is_bound_to_path_and_ids_and_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
