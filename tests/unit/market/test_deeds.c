#include "market/deeds.h"

#include "base/json.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define NOW 1800000000

static tl_identity signer, node, other;

static int set_up(void **state)
{
    (void)state;
    tl_identity *const all[] = {&signer, &node, &other};
    assert_int_equal(tl_crypto_init(), TL_OK);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        uint8_t seed[32];
        memset(seed, (int)i + 1, sizeof seed);
        assert_int_equal(tl_identity_from_seed(seed, all[i]), TL_OK);
    }
    return 0;
}

static tl_deeds usual(void)
{
    return (tl_deeds){.by = signer.id,
                      .node = node.id,
                      .count = {1048576, 12345, 2},
                      .sequence = 7,
                      .issued_at = NOW,
                      .expires_at = NOW + TL_DEEDS_LIFE};
}

static json_t *written(tl_deeds *d)
{
    json_t *o;
    assert_int_equal(tl_deeds_sign(d, &signer), TL_OK);
    assert_int_equal(tl_deeds_write(d, &o), TL_OK);
    return o;
}

static bool is_accepted(json_t *o)
{
    tl_deeds d;
    return !tl_deeds_read(o, &d) && !tl_deeds_verify(&d);
}

static void a_statement_reads_back_and_verifies(void **state)
{
    (void)state;
    tl_deeds d = usual(), read;
    json_t *o = written(&d);
    assert_int_equal(json_object_size(o), 9);
    assert_int_equal(tl_deeds_read(o, &read), TL_OK);
    assert_memory_equal(&read, &d, sizeof d);
    assert_int_equal(tl_deeds_verify(&read), TL_OK);
    json_decref(o);
}

/* The bytes themselves, so that another program can check them. */
static void the_signed_bytes_are_the_canonical_json_without_the_signature(void **state)
{
    (void)state;
    char by[65], on[65];
    tl_deeds d = usual();
    tl_buf body = {0};
    json_decref(written(&d));
    tl_node_id_write(by, &signer.id);
    tl_node_id_write(on, &node.id);
    assert_int_equal(tl_buf_printf(&body,
                                   "{\"by\":\"%s\",\"bytesRelayed\":1048576,\"expiresAt\":%d,"
                                   "\"fragmentsHeld\":2,\"issuedAt\":%d,\"node\":\"%s\","
                                   "\"sequence\":7,\"tokensServed\":12345}",
                                   by, NOW + TL_DEEDS_LIFE, NOW, on),
                     TL_OK);
    assert_int_equal(tl_sign_verify(&signer.id, TL_SIGN_DEEDS, tl_buf_slice(&body), &d.signature),
                     TL_OK);
    assert_int_equal(tl_sign_verify(&signer.id, TL_SIGN_RECEIPT, tl_buf_slice(&body), &d.signature),
                     TL_ERR_AUTH);
    tl_buf_clear(&body);
}

static void only_who_is_named_as_its_signer_signs_it(void **state)
{
    (void)state;
    tl_deeds d = usual();
    assert_int_equal(tl_deeds_sign(&d, &other), TL_ERR_FORBIDDEN);
    assert_int_equal(tl_deeds_sign(&d, &node), TL_ERR_FORBIDDEN);
    assert_int_equal(tl_deeds_sign(&d, &signer), TL_OK);
    d.by = other.id;
    assert_int_equal(tl_deeds_verify(&d), TL_ERR_AUTH);
    d.by = signer.id;
    assert_int_equal(tl_deeds_verify(&d), TL_OK);
}

static void nobody_makes_or_reads_a_statement_on_itself(void **state)
{
    (void)state;
    tl_deeds d = usual(), read;
    char hex[65];
    json_t *o = written(&d);
    tl_node_id_write(hex, &signer.id);
    json_object_set_new(o, "node", json_string(hex));
    assert_int_equal(tl_deeds_read(o, &read), TL_ERR_PROTO);
    tl_node_id_write(hex, &node.id);
    json_object_set_new(o, "node", json_string(hex));
    assert_int_equal(tl_deeds_read(o, &read), TL_OK);
    json_decref(o);
    d.node = signer.id;
    assert_int_equal(tl_deeds_sign(&d, &signer), TL_ERR_INVALID);
}

static void no_field_can_be_altered_or_left_out_or_added(void **state)
{
    (void)state;
    tl_deeds d = usual();
    json_t *good = written(&d), *value;
    const char *key;
    assert_true(is_accepted(good));
    json_object_foreach (good, key, value) {
        json_t *bad = json_copy(good);
        if (json_is_integer(value)) {
            json_object_set_new(bad, key, json_integer(json_integer_value(value) - 1));
            assert_false(is_accepted(bad));
            json_object_set_new(bad, key, json_real((double)json_integer_value(value)));
            assert_false(is_accepted(bad));
            json_object_set_new(bad, key, json_string("7"));
        } else {
            char text[256];
            memcpy(text, json_string_value(value), json_string_length(value) + 1);
            text[5] = text[5] == '1' ? '2' : '1';
            json_object_set_new(bad, key, json_string(text));
        }
        assert_false(is_accepted(bad));
        json_object_del(bad, key);
        assert_false(is_accepted(bad));
        json_decref(bad);
    }
    json_object_set_new(good, "more", json_true());
    assert_false(is_accepted(good));
    json_decref(good);
}

static void every_number_has_its_range(void **state)
{
    (void)state;
    static const struct {
        size_t at;
        int64_t bad, good;
    } cases[] = {
        {offsetof(tl_deeds, count[TL_DEED_RELAYED]), -1, 0},
        {offsetof(tl_deeds, count[TL_DEED_SERVED]), TL_NUMBER_EXACT_MAX + 1, TL_NUMBER_EXACT_MAX},
        {offsetof(tl_deeds, count[TL_DEED_HELD]), INT64_MIN, 0},
        {offsetof(tl_deeds, sequence), 0, 1},
        {offsetof(tl_deeds, issued_at), -1, NOW + 1},
        {offsetof(tl_deeds, issued_at), NOW - 1, NOW}, /* then it would live too long */
        {offsetof(tl_deeds, expires_at), NOW, NOW + 1},
        {offsetof(tl_deeds, expires_at), NOW + TL_DEEDS_LIFE + 1, NOW + TL_DEEDS_LIFE},
        {offsetof(tl_deeds, expires_at), INT64_MAX, NOW + 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tl_deeds d = usual();
        memcpy((char *)&d + cases[i].at, &cases[i].bad, sizeof cases[i].bad);
        assert_int_equal(tl_deeds_sign(&d, &signer), TL_ERR_INVALID);
        assert_int_equal(tl_deeds_verify(&d), TL_ERR_AUTH);
        memcpy((char *)&d + cases[i].at, &cases[i].good, sizeof cases[i].good);
        json_t *o = written(&d);
        assert_true(is_accepted(o));
        json_decref(o);
    }
}

static void what_is_no_statement_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "[]", "{}", "7", "null", "\"x\"", "{\"by\": 1}", "{\"by\": \"\", \"node\": \"\"}"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        json_t *o = json_loads(bad[i], JSON_DECODE_ANY, NULL);
        tl_deeds d;
        assert_non_null(o);
        assert_int_equal(tl_deeds_read(o, &d), TL_ERR_PROTO);
        json_decref(o);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_statement_reads_back_and_verifies),
        cmocka_unit_test(the_signed_bytes_are_the_canonical_json_without_the_signature),
        cmocka_unit_test(only_who_is_named_as_its_signer_signs_it),
        cmocka_unit_test(nobody_makes_or_reads_a_statement_on_itself),
        cmocka_unit_test(no_field_can_be_altered_or_left_out_or_added),
        cmocka_unit_test(every_number_has_its_range),
        cmocka_unit_test(what_is_no_statement_is_refused),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
