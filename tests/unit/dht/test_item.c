#include "dht/item.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* The test vectors of BEP 44: this key signed seq 1 and "Hello World!". */
static const char *const vector_key =
    "77ff84905a91936367c01360803104f92432fcd904a43511876df5cdf3e7e548";
static const struct {
    const char *salt, *sig, *target;
} vectors[] = {
    {"",
     "305ac8aeb6c9c151fa120f120ea2cfb923564e11552d06a5d856091e5e853cff"
     "1260d3f39e4999684aa92eb73ffd136e6f4f3ecbfda0ce53a1608ecd7ae21f01",
     "4a533d47ec9c7d95b1ad75f576cffc641853b750"},
    {"foobar",
     "6834284b6b24c3204eb2fea824d82f88883a3d95e8b4a21b8c0ded553d17d17d"
     "df9a8a7104b1258f30bed3787e6cb896fca78c58f8e03b5f18f14951a87d9a08",
     "411eba73b6f087ca51a3795d9c8c938d365e32c1"},
};
#define HELLO TL_SLICE_LIT("12:Hello World!")

static tl_identity identity;

static int make_identity(void **state)
{
    (void)state;
    tl_rand rand = tl_rand_seeded(44);
    assert_int_equal(tl_crypto_init(), TL_OK);
    assert_int_equal(tl_identity_new(&rand, &identity), TL_OK);
    return 0;
}

static void unhex(const char *hex, uint8_t *ret, size_t n)
{
    assert_int_equal(tl_hex_parse(tl_slice_str(hex), false, ret, n), TL_OK);
}

static tl_dht_id target_of(const char *hex)
{
    tl_dht_id target;
    unhex(hex, target.b, sizeof target.b);
    return target;
}

static tl_dht_item vector_item(size_t i)
{
    tl_dht_item item = {.is_mutable = true, .seq = 1};
    unhex(vector_key, item.key, sizeof item.key);
    unhex(vectors[i].sig, item.sig, sizeof item.sig);
    item.n_salt = (uint8_t)strlen(vectors[i].salt);
    memcpy(item.salt, vectors[i].salt, item.n_salt);
    item.n_value = (uint16_t)HELLO.n;
    memcpy(item.value, HELLO.p, HELLO.n);
    return item;
}

/* An answer to `get` that has the item. Borrows from it. */
static tl_krpc answer_with(const tl_dht_item *item)
{
    tl_krpc answer = {.kind = TL_KRPC_RESPONSE};
    tl_dht_item_into_put(item, &answer);
    answer.salt = (tl_slice){0}; /* answers have none */
    return answer;
}

static void the_mutable_items_of_bep_44_verify(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        tl_dht_item item = vector_item(i);
        assert_int_equal(tl_dht_item_verify(&item), TL_OK);
        tl_dht_id target = tl_dht_item_target(&item), expected = target_of(vectors[i].target);
        assert_true(tl_dht_id_eq(&target, &expected));
        target = tl_dht_target_of_key(item.key, tl_dht_item_salt(&item));
        assert_true(tl_dht_id_eq(&target, &expected));
    }
}

static void the_immutable_item_of_bep_44_has_its_target(void **state)
{
    (void)state;
    tl_dht_item item;
    assert_int_equal(tl_dht_item_of_value(HELLO, &item), TL_OK);
    tl_dht_id target = tl_dht_item_target(&item);
    tl_dht_id expected = target_of("e5f96f6f38320f0f33959cb4d3d656452117aadb");
    assert_true(tl_dht_id_eq(&target, &expected));
    assert_int_equal(tl_dht_item_verify(&item), TL_OK);
}

static void an_item_that_differs_in_anything_signed_does_not_verify(void **state)
{
    (void)state;
    tl_dht_item item = vector_item(1);
    item.seq = 2;
    assert_int_equal(tl_dht_item_verify(&item), TL_ERR_AUTH);
    item = vector_item(1);
    item.salt[0] ^= 1;
    assert_int_equal(tl_dht_item_verify(&item), TL_ERR_AUTH);
    item = vector_item(1);
    item.n_salt = 0;
    assert_int_equal(tl_dht_item_verify(&item), TL_ERR_AUTH);
    item = vector_item(1);
    item.value[4] ^= 1;
    assert_int_equal(tl_dht_item_verify(&item), TL_ERR_AUTH);
    item = vector_item(1);
    item.key[0] ^= 1;
    assert_int_equal(tl_dht_item_verify(&item), TL_ERR_AUTH);
    item = vector_item(1);
    item.sig[0] ^= 1;
    assert_int_equal(tl_dht_item_verify(&item), TL_ERR_AUTH);
}

/* S + L is the same number modulo the order of the group (RFC 8032 5.1.7 refuses it). */
static void a_signature_has_one_form(void **state)
{
    (void)state;
    static const uint8_t order[32] = {0xED, 0xD3, 0xF5, 0x5C, 0x1A, 0x63, 0x12, 0x58,       0xD6,
                                      0x9C, 0xF7, 0xA2, 0xDE, 0xF9, 0xDE, 0x14, [31] = 0x10};
    tl_dht_item item = vector_item(0);
    unsigned carry = 0;
    for (int i = 0; i < 32; i++) {
        carry += (unsigned)item.sig[32 + i] + order[i];
        item.sig[32 + i] = (uint8_t)carry;
        carry >>= 8;
    }
    assert_int_equal(carry, 0);
    assert_int_equal(tl_dht_item_verify(&item), TL_ERR_AUTH);
}

/* With the neutral point as key, R = S * B is a signature of anything. */
static void a_key_of_small_order_signs_nothing(void **state)
{
    (void)state;
    tl_dht_item item = vector_item(0);
    memset(item.key, 0, sizeof item.key);
    memset(item.sig, 0, sizeof item.sig);
    item.key[0] = item.sig[0] = 1;
    assert_int_equal(tl_dht_item_verify(&item), TL_ERR_AUTH);
}

static void what_we_sign_verifies(void **state)
{
    (void)state;
    tl_dht_item item;
    assert_int_equal(tl_dht_item_sign(&identity, TL_SLICE_LIT("teale"), 7, HELLO, &item), TL_OK);
    assert_int_equal(tl_dht_item_verify(&item), TL_OK);
    assert_memory_equal(item.key, identity.id.key, 32);
    assert_int_equal(tl_dht_item_sign(&identity, (tl_slice){0}, 0, HELLO, &item), TL_OK);
    assert_int_equal(tl_dht_item_verify(&item), TL_OK);
    assert_int_equal(tl_dht_item_sign(&identity, (tl_slice){0}, INT64_MAX, HELLO, &item), TL_OK);
    assert_int_equal(tl_dht_item_verify(&item), TL_OK);
}

static void what_others_would_refuse_is_not_signed(void **state)
{
    (void)state;
    tl_dht_item item;
    uint8_t value[1001];
    memset(value, 'x', sizeof value);
    memcpy(value, "996:", 4);
    assert_int_equal(tl_dht_item_sign(&identity, (tl_slice){0}, 1, tl_slice_of(value, 1000), &item),
                     TL_OK);
    assert_int_equal(tl_dht_item_verify(&item), TL_OK);
    memcpy(value, "997:", 4);
    assert_int_equal(tl_dht_item_sign(&identity, (tl_slice){0}, 1, tl_slice_of(value, 1001), &item),
                     TL_ERR_INVALID);
    assert_int_equal(tl_dht_item_of_value(tl_slice_of(value, 1001), &item), TL_ERR_INVALID);
    uint8_t salt[65] = {0};
    assert_int_equal(tl_dht_item_sign(&identity, tl_slice_of(salt, 64), 1, HELLO, &item), TL_OK);
    assert_int_equal(tl_dht_item_sign(&identity, tl_slice_of(salt, 65), 1, HELLO, &item),
                     TL_ERR_INVALID);
    assert_int_equal(tl_dht_item_sign(&identity, (tl_slice){0}, -1, HELLO, &item), TL_ERR_INVALID);
    assert_int_equal(tl_dht_item_sign(&identity, (tl_slice){0}, 1, TL_SLICE_LIT("i01e"), &item),
                     TL_ERR_INVALID);
    assert_int_equal(tl_dht_item_sign(&identity, (tl_slice){0}, 1, (tl_slice){0}, &item),
                     TL_ERR_INVALID);
    assert_int_equal(tl_dht_item_of_value(TL_SLICE_LIT("d1:bi1e1:ai1ee"), &item), TL_ERR_INVALID);
    assert_int_equal(tl_dht_item_of_value(TL_SLICE_LIT("d1:ai1e1:bi1ee"), &item), TL_OK);
}

static void an_answer_gives_the_item_that_was_asked_for(void **state)
{
    (void)state;
    tl_dht_item item = vector_item(1), got;
    tl_dht_id target = tl_dht_item_target(&item);
    tl_krpc answer = answer_with(&item);
    assert_int_equal(tl_dht_item_from_answer(&answer, &target, TL_SLICE_LIT("foobar"), &got),
                     TL_OK);
    assert_true(tl_slice_eq(tl_dht_item_value(&got), HELLO) && got.seq == 1 && got.is_mutable);

    assert_int_equal(tl_dht_item_from_answer(&answer, &target, TL_SLICE_LIT("foobaz"), &got),
                     TL_ERR_AUTH);
    target.b[19] ^= 1;
    assert_int_equal(tl_dht_item_from_answer(&answer, &target, TL_SLICE_LIT("foobar"), &got),
                     TL_ERR_AUTH);
}

static void an_answer_with_a_wrong_signature_gives_nothing(void **state)
{
    (void)state;
    tl_dht_item item = vector_item(0), got;
    tl_dht_id target = tl_dht_item_target(&item);
    tl_krpc answer = answer_with(&item);
    assert_int_equal(tl_dht_item_from_answer(&answer, &target, (tl_slice){0}, &got), TL_OK);
    answer.seq = tl_maybe_of(2);
    assert_int_equal(tl_dht_item_from_answer(&answer, &target, (tl_slice){0}, &got), TL_ERR_AUTH);
    answer.seq = (tl_maybe){0};
    assert_int_equal(tl_dht_item_from_answer(&answer, &target, (tl_slice){0}, &got),
                     TL_ERR_INVALID);
    answer.key = NULL; /* it is no immutable item of that target either */
    assert_int_equal(tl_dht_item_from_answer(&answer, &target, (tl_slice){0}, &got), TL_ERR_AUTH);
    answer.value = (tl_slice){0};
    assert_int_equal(tl_dht_item_from_answer(&answer, &target, (tl_slice){0}, &got),
                     TL_ERR_NOT_FOUND);
}

static void an_answer_with_an_immutable_item_needs_no_signature(void **state)
{
    (void)state;
    tl_dht_item got;
    tl_krpc answer = {.kind = TL_KRPC_RESPONSE, .value = HELLO};
    tl_dht_id target = tl_dht_target_of_value(HELLO);
    assert_int_equal(tl_dht_item_from_answer(&answer, &target, (tl_slice){0}, &got), TL_OK);
    assert_false(got.is_mutable);
    answer.value = TL_SLICE_LIT("12:Hello world!");
    assert_int_equal(tl_dht_item_from_answer(&answer, &target, (tl_slice){0}, &got), TL_ERR_AUTH);
}

static void a_value_that_is_not_canonical_is_no_item(void **state)
{
    (void)state;
    tl_dht_item got;
    tl_krpc answer = {.kind = TL_KRPC_RESPONSE, .value = TL_SLICE_LIT("d1:bi1e1:ai1ee")};
    tl_dht_id target = tl_dht_target_of_value(answer.value);
    assert_int_equal(tl_dht_item_from_answer(&answer, &target, (tl_slice){0}, &got),
                     TL_ERR_INVALID);
    answer.kind = TL_KRPC_QUERY;
    assert_int_equal(tl_dht_item_from_put(&answer, &got), TL_ERR_INVALID);
}

static void a_put_says_the_whole_item(void **state)
{
    (void)state;
    tl_dht_item item = vector_item(1), got;
    tl_krpc put = {.kind = TL_KRPC_QUERY, .method = TL_KRPC_PUT};
    tl_dht_item_into_put(&item, &put);
    assert_int_equal(tl_dht_item_from_put(&put, &got), TL_OK);
    assert_memory_equal(&item, &got, sizeof item);
    tl_dht_id target = tl_dht_item_target(&item);
    assert_true(put.has_target && memcmp(put.target, target.b, sizeof target.b) == 0);

    tl_dht_item plain;
    assert_int_equal(tl_dht_item_of_value(HELLO, &plain), TL_OK);
    put = (tl_krpc){.kind = TL_KRPC_QUERY, .method = TL_KRPC_PUT};
    tl_dht_item_into_put(&plain, &put);
    assert_null(put.key);
    assert_int_equal(tl_dht_item_from_put(&put, &got), TL_OK);
    assert_memory_equal(&plain, &got, sizeof plain);
}

static void a_put_that_is_too_long_is_told_from_one_that_is_wrong(void **state)
{
    (void)state;
    tl_dht_item item = vector_item(1), got;
    uint8_t value[1001], salt[65] = {0};
    memset(value, 'x', sizeof value);
    memcpy(value, "997:", 4);
    tl_krpc put = {.kind = TL_KRPC_QUERY, .method = TL_KRPC_PUT};
    tl_dht_item_into_put(&item, &put);
    put.value = tl_slice_of(value, sizeof value);
    assert_int_equal(tl_dht_item_from_put(&put, &got), TL_ERR_TOO_LARGE);
    tl_dht_item_into_put(&item, &put);
    put.salt = tl_slice_of(salt, sizeof salt);
    assert_int_equal(tl_dht_item_from_put(&put, &got), TL_ERR_INVALID);
    tl_dht_item_into_put(&item, &put);
    put.seq = tl_maybe_of(-1);
    assert_int_equal(tl_dht_item_from_put(&put, &got), TL_ERR_INVALID);
    put.seq = tl_maybe_of(0);
    assert_int_equal(tl_dht_item_from_put(&put, &got), TL_OK);
    put.sig = NULL;
    assert_int_equal(tl_dht_item_from_put(&put, &got), TL_ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_mutable_items_of_bep_44_verify),
        cmocka_unit_test(the_immutable_item_of_bep_44_has_its_target),
        cmocka_unit_test(an_item_that_differs_in_anything_signed_does_not_verify),
        cmocka_unit_test(a_signature_has_one_form),
        cmocka_unit_test(a_key_of_small_order_signs_nothing),
        cmocka_unit_test(what_we_sign_verifies),
        cmocka_unit_test(what_others_would_refuse_is_not_signed),
        cmocka_unit_test(an_answer_gives_the_item_that_was_asked_for),
        cmocka_unit_test(an_answer_with_a_wrong_signature_gives_nothing),
        cmocka_unit_test(an_answer_with_an_immutable_item_needs_no_signature),
        cmocka_unit_test(a_value_that_is_not_canonical_is_no_item),
        cmocka_unit_test(a_put_says_the_whole_item),
        cmocka_unit_test(a_put_that_is_too_long_is_told_from_one_that_is_wrong),
    };
    return cmocka_run_group_tests(tests, make_identity, NULL);
}
