#include "backup/talk.h"

#include "base/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define NOW 1800000000

static tl_identity owner, holder, recovery;

static int set_up(void **state)
{
    (void)state;
    tl_identity *const all[] = {&owner, &holder, &recovery};
    assert_int_equal(tl_crypto_init(), TL_OK);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        uint8_t seed[32];
        memset(seed, (int)i + 1, sizeof seed);
        assert_int_equal(tl_identity_from_seed(seed, all[i]), TL_OK);
    }
    return 0;
}

static tl_fragment_id id_of(int i)
{
    tl_fragment_id id;
    memset(id.bytes, i, sizeof id.bytes);
    return id;
}

static tl_fragment_receipt receipt(void)
{
    tl_fragment_receipt r = {.fragment = id_of(9),
                             .size = 4096,
                             .owner = owner.id,
                             .holder = holder.id,
                             .issued_at = NOW,
                             .expires_at = NOW + 1000};
    assert_int_equal(tl_fragment_receipt_sign(&r, &holder), TL_OK);
    return r;
}

/* One message of each type. */
static tl_talk usual(tl_talk_type type)
{
    tl_talk m = {.type = type};
    switch (type) {
    case TL_TALK_PUT:
        m.u.put.fragment = id_of(1);
        m.u.put.size = TL_BLOB_MAX;
        m.u.put.recovery = recovery.id;
        break;
    case TL_TALK_RECEIPT: m.u.receipt = receipt(); break;
    case TL_TALK_GET: memset(m.u.get, 7, sizeof m.u.get); break;
    case TL_TALK_CONTENT: m.u.content = 1; break;
    case TL_TALK_PROVE:
    case TL_TALK_DELETE:
        if (type == TL_TALK_PROVE)
            memset(m.u.prove.nonce, 3, sizeof m.u.prove.nonce);
        m.u.prove.n = TL_FRAGMENTS_MAX;
        for (int i = 0; i < TL_FRAGMENTS_MAX; i++)
            m.u.prove.fragment[i] = id_of(i);
        break;
    case TL_TALK_PROOF:
        m.u.proof.n = 3;
        m.u.proof.has[0] = m.u.proof.has[2] = true;
        memset(m.u.proof.proof[0], 4, TL_TALK_PROOF_SIZE);
        memset(m.u.proof.proof[2], 5, TL_TALK_PROOF_SIZE);
        break;
    case TL_TALK_POINTER:
        m.u.pointer.recovery = recovery.id;
        m.u.pointer.n = TL_POINTER_MAX;
        memset(m.u.pointer.item, 'x', TL_POINTER_MAX);
        break;
    case TL_TALK_DONE: break;
    case TL_TALK_ERROR:
        m.u.error.code = TL_TALK_FULL;
        snprintf(m.u.error.message, sizeof m.u.error.message, "no room");
        break;
    }
    return m;
}

static void every_message_reads_back(void **state)
{
    (void)state;
    for (int type = 0; type <= TL_TALK_ERROR; type++) {
        tl_talk m = usual((tl_talk_type)type), back;
        tl_buf text = {0};
        assert_int_equal(tl_talk_write(&text, &m), TL_OK);
        assert_int_equal(tl_talk_parse(tl_buf_slice(&text), &back), TL_OK);
        assert_memory_equal(&back, &m, sizeof m);
        tl_buf_clear(&text);
    }
}

static void a_message_cut_at_any_length_is_refused(void **state)
{
    (void)state;
    for (int type = 0; type <= TL_TALK_ERROR; type++) {
        tl_talk m = usual((tl_talk_type)type), back;
        tl_buf text = {0};
        assert_int_equal(tl_talk_write(&text, &m), TL_OK);
        for (size_t n = 0; n < text.len; n++)
            assert_int_equal(tl_talk_parse(tl_slice_of(text.data, n), &back), TL_ERR_PROTO);
        tl_buf_clear(&text);
    }
}

/* Reads the message of the type after `edit` has changed its payload. */
static tl_err edited(tl_talk_type type, const char *key, json_t *value)
{
    tl_talk m = usual(type), back;
    tl_buf text = {0};
    json_t *o;
    assert_int_equal(tl_talk_write(&text, &m), TL_OK);
    assert_int_equal(tl_json_parse(tl_buf_slice(&text), 16, &o, NULL), TL_OK);
    json_t *payload = json_object_iter_value(json_object_iter(o));
    if (value)
        json_object_set_new(payload, key, value);
    else
        json_object_del(payload, key);
    tl_buf_clear(&text);
    assert_int_equal(tl_json_write(&text, o), TL_OK);
    tl_err e = tl_talk_parse(tl_buf_slice(&text), &back);
    tl_buf_clear(&text);
    json_decref(o);
    return e;
}

static void no_field_may_be_left_out_or_of_another_type(void **state)
{
    (void)state;
    for (int type = 0; type < TL_TALK_DONE; type++) {
        tl_talk m = usual((tl_talk_type)type);
        tl_buf text = {0};
        json_t *o, *value;
        const char *key;
        assert_int_equal(tl_talk_write(&text, &m), TL_OK);
        assert_int_equal(tl_json_parse(tl_buf_slice(&text), 16, &o, NULL), TL_OK);
        json_object_foreach (json_object_iter_value(json_object_iter(o)), key, value) {
            assert_int_equal(edited((tl_talk_type)type, key, NULL), TL_ERR_PROTO);
            assert_int_equal(edited((tl_talk_type)type, key, json_true()), TL_ERR_PROTO);
            assert_int_equal(edited((tl_talk_type)type, key, json_string("")), TL_ERR_PROTO);
            assert_int_equal(edited((tl_talk_type)type, key, json_real(1)), TL_ERR_PROTO);
            assert_int_equal(edited((tl_talk_type)type, key, json_array()), TL_ERR_PROTO);
        }
        json_decref(o);
        tl_buf_clear(&text);
    }
}

static void sizes_and_counts_have_bounds(void **state)
{
    (void)state;
    assert_int_equal(edited(TL_TALK_PUT, "size", json_integer(TL_BLOB_MAX)), TL_OK);
    assert_int_equal(edited(TL_TALK_PUT, "size", json_integer(TL_BLOB_MAX + 1)), TL_ERR_PROTO);
    assert_int_equal(edited(TL_TALK_PUT, "size", json_integer(0)), TL_ERR_PROTO);
    assert_int_equal(edited(TL_TALK_CONTENT, "size", json_integer(-1)), TL_ERR_PROTO);
    json_t *many = json_array();
    for (int i = 0; i < TL_FRAGMENTS_MAX; i++)
        json_array_append_new(many, json_null());
    assert_int_equal(edited(TL_TALK_PROOF, "proofs", json_copy(many)), TL_OK);
    json_array_append_new(many, json_null());
    assert_int_equal(edited(TL_TALK_PROOF, "proofs", many), TL_ERR_PROTO);
    char item[2 * TL_POINTER_MAX + 3];
    memset(item, 'a', sizeof item);
    item[2 * TL_POINTER_MAX + 2] = 0;
    assert_int_equal(edited(TL_TALK_POINTER, "item", json_string(item)), TL_ERR_PROTO);
    item[2 * TL_POINTER_MAX] = 0;
    assert_int_equal(edited(TL_TALK_POINTER, "item", json_string(item)), TL_OK);
    item[2 * TL_POINTER_MAX - 1] = 0; /* half a byte */
    assert_int_equal(edited(TL_TALK_POINTER, "item", json_string(item)), TL_ERR_PROTO);
    assert_int_equal(edited(TL_TALK_GET, "fragment", json_string("AA")), TL_ERR_PROTO);
}

static void what_a_later_version_adds_passes_but_in_what_is_signed(void **state)
{
    (void)state;
    tl_talk m;
    assert_int_equal(edited(TL_TALK_PUT, "more", json_true()), TL_OK);
    assert_int_equal(edited(TL_TALK_RECEIPT, "more", json_true()), TL_ERR_PROTO);
    assert_int_equal(tl_talk_parse(TL_SLICE_LIT("{\"fragmentDance\":{}}"), &m), TL_ERR_PROTO);
    assert_int_equal(tl_talk_parse(TL_SLICE_LIT("{\"goodbye\":{\"reason\":\"\"}}"), &m),
                     TL_ERR_PROTO);
    assert_int_equal(
        tl_talk_parse(TL_SLICE_LIT("{\"fragmentError\":{\"code\":\"tired\",\"message\":\"\"}}"),
                      &m),
        TL_OK);
    assert_int_equal(m.u.error.code, TL_TALK_UNAVAILABLE);
}

static void only_requests_begin_a_stream(void **state)
{
    (void)state;
    assert_true(tl_talk_is_request("fragmentPut"));
    assert_true(tl_talk_is_request("fragmentPointer"));
    assert_false(tl_talk_is_request("fragmentReceipt"));
    assert_false(tl_talk_is_request("fragment"));
    assert_false(tl_talk_is_request("inferenceRequest"));
}

static void a_receipt_verifies_as_it_was_signed_and_not_otherwise(void **state)
{
    (void)state;
    const tl_fragment_receipt good = receipt();
    tl_fragment_receipt r = good;
    assert_int_equal(tl_fragment_receipt_verify(&r), TL_OK);
    r.fragment = id_of(8);
    assert_int_equal(tl_fragment_receipt_verify(&r), TL_ERR_AUTH);
    r = good;
    r.size++;
    assert_int_equal(tl_fragment_receipt_verify(&r), TL_ERR_AUTH);
    r = good;
    r.owner = recovery.id;
    assert_int_equal(tl_fragment_receipt_verify(&r), TL_ERR_AUTH);
    r = good;
    r.holder = recovery.id;
    assert_int_equal(tl_fragment_receipt_verify(&r), TL_ERR_AUTH);
    r = good;
    r.expires_at++;
    assert_int_equal(tl_fragment_receipt_verify(&r), TL_ERR_AUTH);
    r = good;
    r.expires_at = r.issued_at;
    assert_int_equal(tl_fragment_receipt_verify(&r), TL_ERR_AUTH);
    r = good;
    assert_int_equal(tl_fragment_receipt_sign(&r, &owner), TL_ERR_FORBIDDEN);
    r.size = 0;
    assert_int_equal(tl_fragment_receipt_sign(&r, &holder), TL_ERR_INVALID);
}

static void a_proof_depends_on_nonce_holder_and_every_byte(void **state)
{
    (void)state;
    uint8_t nonce[TL_TALK_NONCE] = {1}, other[TL_TALK_NONCE] = {2}, content[300] = {0};
    uint8_t a[TL_TALK_PROOF_SIZE], b[TL_TALK_PROOF_SIZE];
    tl_talk_proof_of(nonce, &holder.id, tl_slice_of(content, sizeof content), a);
    tl_talk_proof_of(nonce, &holder.id, tl_slice_of(content, sizeof content), b);
    assert_memory_equal(a, b, sizeof a);
    tl_talk_proof_of(other, &holder.id, tl_slice_of(content, sizeof content), b);
    assert_memory_not_equal(a, b, sizeof a);
    tl_talk_proof_of(nonce, &owner.id, tl_slice_of(content, sizeof content), b);
    assert_memory_not_equal(a, b, sizeof a);
    tl_talk_proof_of(nonce, &holder.id, tl_slice_of(content, sizeof content - 1), b);
    assert_memory_not_equal(a, b, sizeof a);
    content[299] = 1;
    tl_talk_proof_of(nonce, &holder.id, tl_slice_of(content, sizeof content), b);
    assert_memory_not_equal(a, b, sizeof a);
}

static void a_map_that_names_what_it_does_not_have_is_none(void **state)
{
    (void)state;
    tl_backup_map m = {.size = 100, .k = 2, .n = 3, .holders_n = 2};
    m.holder[0] = owner.id;
    m.holder[1] = holder.id;
    m.fragment[1].holder = 1;
    m.fragment[2].holder = TL_FRAGMENT_NOWHERE;
    assert_true(tl_backup_map_is(&m));
    m.fragment[2].holder = 2;
    assert_false(tl_backup_map_is(&m));
    m.fragment[2].holder = 0;
    m.holder[1] = owner.id;
    assert_false(tl_backup_map_is(&m));
    m.holder[1] = holder.id;
    m.k = 4;
    assert_false(tl_backup_map_is(&m));
    m.k = 0;
    assert_false(tl_backup_map_is(&m));
    m.k = 2;
    m.size = 0;
    assert_false(tl_backup_map_is(&m));
    m.size = TL_BLOB_MAX + 1;
    assert_false(tl_backup_map_is(&m));
    m.size = TL_BLOB_MAX;
    assert_true(tl_backup_map_is(&m));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_message_reads_back),
        cmocka_unit_test(a_message_cut_at_any_length_is_refused),
        cmocka_unit_test(no_field_may_be_left_out_or_of_another_type),
        cmocka_unit_test(sizes_and_counts_have_bounds),
        cmocka_unit_test(what_a_later_version_adds_passes_but_in_what_is_signed),
        cmocka_unit_test(only_requests_begin_a_stream),
        cmocka_unit_test(a_receipt_verifies_as_it_was_signed_and_not_otherwise),
        cmocka_unit_test(a_proof_depends_on_nonce_holder_and_every_byte),
        cmocka_unit_test(a_map_that_names_what_it_does_not_have_is_none),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
