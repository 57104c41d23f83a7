#include "market/receipt.h"

#include "base/json.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static tl_identity consumer, provider, other;

static int set_up(void **state)
{
    (void)state;
    tl_identity *const all[] = {&consumer, &provider, &other};
    assert_int_equal(tl_crypto_init(), TL_OK);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        uint8_t seed[32];
        memset(seed, (int)i + 1, sizeof seed);
        assert_int_equal(tl_identity_from_seed(seed, all[i]), TL_OK);
    }
    return 0;
}

static tl_receipt usual(void)
{
    return (tl_receipt){.request = "q-1",
                        .consumer = consumer.id,
                        .provider = provider.id,
                        .has_network = true,
                        .network = other.id,
                        .model = "llama",
                        .tokens_in = 12,
                        .tokens_out = 34,
                        .amount = 46,
                        .at = 1800000000};
}

static tl_receipt by_both(void)
{
    tl_receipt r = usual();
    assert_int_equal(tl_receipt_sign(&r, &provider), TL_OK);
    assert_int_equal(tl_receipt_sign(&r, &consumer), TL_OK);
    return r;
}

static json_t *written(const tl_receipt *r)
{
    json_t *o;
    assert_int_equal(tl_receipt_write(r, &o), TL_OK);
    return o;
}

static void a_receipt_that_both_signed_reads_back_and_verifies(void **state)
{
    (void)state;
    tl_receipt r = by_both(), read;
    json_t *o = written(&r);
    assert_int_equal(json_object_size(o), 11);
    assert_int_equal(tl_receipt_read(o, &read), TL_OK);
    assert_true(tl_receipt_eq(&r, &read));
    assert_true(read.by_consumer && read.by_provider);
    assert_int_equal(tl_receipt_verify(&read), TL_OK);
    json_decref(o);
}

static void either_side_may_sign_first_and_nobody_else_at_all(void **state)
{
    (void)state;
    tl_receipt r = usual();
    assert_int_equal(tl_receipt_verify(&r), TL_ERR_AUTH); /* nobody has */
    assert_int_equal(tl_receipt_sign(&r, &other), TL_ERR_FORBIDDEN);
    assert_int_equal(tl_receipt_sign(&r, &consumer), TL_OK);
    assert_true(r.by_consumer && !r.by_provider);
    assert_int_equal(tl_receipt_verify(&r), TL_OK);
    assert_int_equal(tl_receipt_sign(&r, &provider), TL_OK);
    assert_int_equal(tl_receipt_verify(&r), TL_OK);
}

/* The bytes themselves, so that another program can check them. */
static void the_signed_bytes_are_the_canonical_json_without_signatures(void **state)
{
    (void)state;
    char c[65], p[65], n[65];
    tl_receipt r = by_both();
    tl_buf body = {0};
    tl_node_id_write(c, &consumer.id);
    tl_node_id_write(p, &provider.id);
    tl_node_id_write(n, &other.id);
    assert_int_equal(
        tl_buf_printf(&body,
                      "{\"amount\":46,\"at\":1800000000,\"consumer\":\"%s\",\"model\":\"llama\","
                      "\"provider\":\"%s\",\"ptnID\":\"%s\",\"requestID\":\"q-1\","
                      "\"tokens_in\":12,\"tokens_out\":34}",
                      c, p, n),
        TL_OK);
    assert_int_equal(
        tl_sign_verify(&consumer.id, TL_SIGN_RECEIPT, tl_buf_slice(&body), &r.consumer_signature),
        TL_OK);
    tl_buf_clear(&body);
}

static bool is_accepted(const json_t *o)
{
    tl_receipt r;
    return !tl_receipt_read(o, &r) && !tl_receipt_verify(&r) && r.by_consumer && r.by_provider;
}

static void no_field_can_be_altered(void **state)
{
    (void)state;
    tl_receipt r = by_both();
    json_t *good = written(&r);
    const char *key;
    json_t *value;
    assert_true(is_accepted(good));
    json_object_foreach (good, key, value) {
        json_t *bad = json_copy(good);
        if (json_is_integer(value)) {
            json_object_set_new(bad, key, json_integer(json_integer_value(value) + 1));
            assert_false(is_accepted(bad));
            json_object_set_new(bad, key, json_integer(json_integer_value(value) - 1));
        } else {
            char text[256];
            assert_true(json_string_length(value) < sizeof text);
            for (size_t i = 0; i < json_string_length(value); i++) {
                memcpy(text, json_string_value(value), json_string_length(value) + 1);
                text[i] = text[i] == '1' ? '2' : '1';
                json_object_set_new(bad, key, json_string(text));
                assert_false(is_accepted(bad));
            }
        }
        assert_false(is_accepted(bad));
        json_object_del(bad, key);
        assert_false(is_accepted(bad));
        json_decref(bad);
    }
    json_decref(good);
}

static void every_bit_of_a_signature_counts(void **state)
{
    (void)state;
    for (size_t bit = 0; bit < 8 * TL_SIGNATURE_SIZE; bit++) {
        tl_receipt r = by_both();
        r.consumer_signature.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(tl_receipt_verify(&r), TL_ERR_AUTH);
        r = by_both();
        r.provider_signature.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(tl_receipt_verify(&r), TL_ERR_AUTH);
    }
}

static tl_err read_text(const char *amount, const char *more)
{
    char c[65], p[65];
    tl_buf text = {0};
    json_t *o = NULL;
    tl_receipt r;
    tl_node_id_write(c, &consumer.id);
    tl_node_id_write(p, &provider.id);
    assert_int_equal(tl_buf_printf(&text,
                                   "{\"requestID\":\"q\",\"consumer\":\"%s\",\"provider\":\"%s\","
                                   "\"model\":\"m\",\"tokens_in\":1,\"tokens_out\":2,"
                                   "\"amount\":%s,\"at\":5%s}",
                                   c, p, amount, more),
                     TL_OK);
    tl_err e = tl_json_parse(tl_buf_slice(&text), 16, &o, NULL);
    if (!e)
        e = tl_receipt_read(o, &r);
    json_decref(o);
    tl_buf_clear(&text);
    return e;
}

static void amounts_are_whole_numbers_that_a_double_holds(void **state)
{
    (void)state;
    static const char *const bad[] = {"-1",
                                      "1.5",
                                      "1.0",
                                      "1e3",
                                      "\"1\"",
                                      "null",
                                      "true",
                                      "[1]",
                                      "NaN",
                                      "9007199254740992",
                                      "1e99",
                                      "-0.5e0",
                                      "{}",
                                      "9223372036854775808",
                                      "18446744073709551616"};
    static const char *const good[] = {"0", "1", "9007199254740991"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(read_text(bad[i], ""), TL_ERR_PROTO);
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_int_equal(read_text(good[i], ""), TL_OK);
    assert_int_equal(read_text("1", ",\"amount\":1"), TL_ERR_PROTO); /* twice */
    assert_int_equal(read_text("1", ",\"tip\":1"), TL_ERR_PROTO);
}

static void what_cannot_be_a_receipt_is_not_signed(void **state)
{
    (void)state;
    tl_receipt r = usual();
    r.amount = -1;
    assert_int_equal(tl_receipt_sign(&r, &provider), TL_ERR_INVALID);
    r.amount = TL_MONEY_MAX + 1;
    assert_int_equal(tl_receipt_sign(&r, &provider), TL_ERR_INVALID);
    r.amount = TL_MONEY_MAX;
    assert_int_equal(tl_receipt_sign(&r, &provider), TL_OK);
    r.consumer = provider.id; /* with itself */
    assert_int_equal(tl_receipt_sign(&r, &provider), TL_ERR_INVALID);
    r = usual();
    memcpy(r.model, "\xff", 2);
    assert_int_equal(tl_receipt_sign(&r, &provider), TL_ERR_INVALID);
}

static void the_id_of_a_request_has_64_plain_characters_at_most(void **state)
{
    (void)state;
    char id[TL_REQUEST_ID_MAX + 1];
    memset(id, 'a', sizeof id);
    id[64] = 0;
    assert_true(tl_request_id_is(id));
    id[64] = 'a';
    id[65] = 0;
    assert_false(tl_request_id_is(id));
    assert_true(tl_request_id_is("A.b_c-9"));
    static const char *const bad[] = {"", "a b", "a/b", "a\"b", "\xc3\xa9", "a\n"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(tl_request_id_is(bad[i]));
}

/* --- settlements --- */

static tl_settlement settled(void)
{
    tl_settlement s = {
        .id = "s-1", .creditor = provider.id, .debtor = consumer.id, .amount = 5, .at = 1800000000};
    assert_int_equal(tl_settlement_sign(&s, &provider), TL_OK);
    assert_int_equal(tl_settlement_sign(&s, &consumer), TL_OK);
    return s;
}

static void a_settlement_that_both_signed_reads_back_and_verifies(void **state)
{
    (void)state;
    tl_settlement s = settled(), read;
    json_t *o;
    assert_int_equal(tl_settlement_write(&s, &o), TL_OK);
    assert_int_equal(tl_settlement_read(o, &read), TL_OK);
    assert_true(tl_settlement_eq(&s, &read) && read.by_creditor && read.by_debtor);
    assert_int_equal(tl_settlement_verify(&read), TL_OK);
    read.amount++;
    assert_int_equal(tl_settlement_verify(&read), TL_ERR_AUTH);
    json_object_set_new(o, "amount", json_integer(0));
    assert_int_equal(tl_settlement_read(o, &read), TL_ERR_PROTO);
    json_object_set_new(o, "amount", json_integer(5));
    json_object_set_new(o, "note", json_string("thanks"));
    assert_int_equal(tl_settlement_read(o, &read), TL_ERR_PROTO);
    json_decref(o);
}

/* Who is owed and who pays cannot be turned round: their signatures stay the same bytes. */
static void a_settlement_cannot_be_turned_round(void **state)
{
    (void)state;
    tl_settlement s = settled(), turned = s;
    turned.creditor = s.debtor;
    turned.debtor = s.creditor;
    turned.creditor_signature = s.debtor_signature;
    turned.debtor_signature = s.creditor_signature;
    assert_int_equal(tl_settlement_verify(&turned), TL_ERR_AUTH);
    assert_int_equal(tl_settlement_verify(&s), TL_OK);
    assert_int_equal(tl_settlement_sign(&s, &other), TL_ERR_FORBIDDEN);
    s.amount = 0;
    assert_int_equal(tl_settlement_sign(&s, &provider), TL_ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_receipt_that_both_signed_reads_back_and_verifies),
        cmocka_unit_test(either_side_may_sign_first_and_nobody_else_at_all),
        cmocka_unit_test(the_signed_bytes_are_the_canonical_json_without_signatures),
        cmocka_unit_test(no_field_can_be_altered),
        cmocka_unit_test(every_bit_of_a_signature_counts),
        cmocka_unit_test(amounts_are_whole_numbers_that_a_double_holds),
        cmocka_unit_test(what_cannot_be_a_receipt_is_not_signed),
        cmocka_unit_test(the_id_of_a_request_has_64_plain_characters_at_most),
        cmocka_unit_test(a_settlement_that_both_signed_reads_back_and_verifies),
        cmocka_unit_test(a_settlement_cannot_be_turned_round),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
