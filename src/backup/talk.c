#include "backup/talk.h"

#include <sodium.h>
#include <stdio.h>

static const char *const names[] = {
    [TL_TALK_PUT] = "fragmentPut",       [TL_TALK_RECEIPT] = "fragmentReceipt",
    [TL_TALK_GET] = "fragmentGet",       [TL_TALK_CONTENT] = "fragmentContent",
    [TL_TALK_PROVE] = "fragmentProve",   [TL_TALK_PROOF] = "fragmentProof",
    [TL_TALK_DELETE] = "fragmentDelete", [TL_TALK_POINTER] = "fragmentPointer",
    [TL_TALK_DONE] = "fragmentDone",     [TL_TALK_ERROR] = "fragmentError",
};
#define NAMES (sizeof names / sizeof *names)

static const char *const codes[] = {
    [TL_TALK_NOT_FOUND] = "not_found",
    [TL_TALK_FORBIDDEN] = "forbidden",
    [TL_TALK_FULL] = "full",
    [TL_TALK_INVALID] = "invalid",
    [TL_TALK_UNAVAILABLE] = "unavailable",
};
#define CODES (sizeof codes / sizeof *codes)

const char *tl_talk_code_name(tl_talk_code c)
{
    return codes[c];
}

bool tl_talk_is_request(const char *name)
{
    static const tl_talk_type requests[] = {TL_TALK_PUT, TL_TALK_GET, TL_TALK_PROVE, TL_TALK_DELETE,
                                            TL_TALK_POINTER};
    for (size_t i = 0; i < sizeof requests / sizeof *requests; i++)
        if (!strcmp(name, names[requests[i]]))
            return true;
    return false;
}

void tl_talk_proof_of(const uint8_t nonce[TL_TALK_NONCE], const tl_node_id *holder,
                      tl_slice fragment, uint8_t ret_proof[TL_TALK_PROOF_SIZE])
{
    uint8_t key[TL_TALK_NONCE + sizeof holder->key];
    memcpy(key, nonce, TL_TALK_NONCE);
    memcpy(key + TL_TALK_NONCE, holder->key, sizeof holder->key);
    crypto_generichash(ret_proof, TL_TALK_PROOF_SIZE, fragment.p, fragment.n, key, sizeof key);
}

/* --- reading: each is false for a field that is missing, of another type or out of its bounds --- */

static bool get_bytes(const json_t *value, uint8_t *ret, size_t n)
{
    return json_is_string(value) &&
           !tl_hex_parse(tl_slice_of(json_string_value(value), json_string_length(value)), false,
                         ret, n);
}

static bool get_size(const json_t *o, uint32_t *ret)
{
    const json_t *v = json_object_get(o, "size");
    json_int_t i = json_integer_value(v); /* 0 of what is none */
    if (i < 1 || i > TL_BLOB_MAX)
        return false;
    *ret = (uint32_t)i;
    return true;
}

static bool get_node(const json_t *o, const char *key, tl_node_id *ret)
{
    const json_t *v = json_object_get(o, key);
    return json_is_string(v) &&
           !tl_node_id_parse_form(tl_slice_of(json_string_value(v), json_string_length(v)), ret);
}

/* 1 to TL_FRAGMENTS_MAX of them. */
static bool get_count(const json_t *array, size_t *ret)
{
    size_t n = json_array_size(array); /* 0 of what is none */
    if (n < 1 || n > TL_FRAGMENTS_MAX)
        return false;
    *ret = n;
    return true;
}

static bool get_fragments(const json_t *o, tl_talk *m)
{
    const json_t *array = json_object_get(o, "fragments");
    if (!get_count(array, &m->u.prove.n))
        return false;
    for (size_t i = 0; i < m->u.prove.n; i++)
        if (!get_bytes(json_array_get(array, i), m->u.prove.fragment[i].bytes, TL_FRAGMENT_ID))
            return false;
    return true;
}

static bool get_proofs(const json_t *o, tl_talk *m)
{
    const json_t *array = json_object_get(o, "proofs");
    if (!get_count(array, &m->u.proof.n))
        return false;
    for (size_t i = 0; i < m->u.proof.n; i++) {
        const json_t *v = json_array_get(array, i);
        m->u.proof.has[i] = !json_is_null(v);
        if (m->u.proof.has[i] && !get_bytes(v, m->u.proof.proof[i], TL_TALK_PROOF_SIZE))
            return false;
    }
    return true;
}

static bool get_pointer(const json_t *o, tl_talk *m)
{
    const json_t *item = json_object_get(o, "item");
    size_t n = json_string_length(item) / 2;
    m->u.pointer.n = n;
    return n >= 1 && n <= TL_POINTER_MAX && get_bytes(item, m->u.pointer.item, n) &&
           get_node(o, "recovery", &m->u.pointer.recovery);
}

/* A code of a later version is one that says to try elsewhere. The words are cut to what fits. */
static bool get_error(const json_t *o, tl_talk *m)
{
    const char *code = tl_json_string(o, "code", NULL);
    m->u.error.code = TL_TALK_UNAVAILABLE;
    for (size_t i = 0; code && i < CODES; i++)
        if (!strcmp(code, codes[i]))
            m->u.error.code = (tl_talk_code)i;
    snprintf(m->u.error.message, sizeof m->u.error.message, "%s", tl_json_string(o, "message", ""));
    return code;
}

static bool get_fields(json_t *o, tl_talk *m)
{
    switch (m->type) {
    case TL_TALK_PUT:
        return get_bytes(json_object_get(o, "fragment"), m->u.put.fragment.bytes, TL_FRAGMENT_ID) &&
               get_size(o, &m->u.put.size) && get_node(o, "recovery", &m->u.put.recovery);
    case TL_TALK_RECEIPT: return !tl_fragment_receipt_read(o, &m->u.receipt);
    case TL_TALK_GET: return get_bytes(json_object_get(o, "fragment"), m->u.get, sizeof m->u.get);
    case TL_TALK_CONTENT: return get_size(o, &m->u.content);
    case TL_TALK_PROVE:
        return get_bytes(json_object_get(o, "nonce"), m->u.prove.nonce, TL_TALK_NONCE) &&
               get_fragments(o, m);
    case TL_TALK_PROOF: return get_proofs(o, m);
    case TL_TALK_DELETE: return get_fragments(o, m);
    case TL_TALK_POINTER: return get_pointer(o, m);
    case TL_TALK_DONE: return true;
    case TL_TALK_ERROR: return get_error(o, m);
    }
    return false;
}

tl_err tl_talk_read(const char *name, json_t *payload, tl_talk *ret_talk)
{
    tl_talk m = {0};
    size_t i = 0;
    while (i < NAMES && strcmp(name, names[i]) != 0)
        i++;
    m.type = (tl_talk_type)i;
    if (i == NAMES || !get_fields(payload, &m))
        return TL_ERR_PROTO;
    *ret_talk = m;
    return TL_OK;
}

tl_err tl_talk_parse(tl_slice text, tl_talk *ret_talk)
{
    tl_cluster_message m;
    tl_err e = tl_cluster_parse(text, &m);
    if (e)
        return e;
    e = m.type == TL_CLUSTER_OTHER ? tl_talk_read(m.u.other.name, m.u.other.payload, ret_talk)
                                   : TL_ERR_PROTO;
    tl_cluster_message_clear(&m);
    return e;
}

/* --- writing --- */

static json_t *hex_of(const uint8_t *p, size_t n)
{
    char hex[2 * TL_POINTER_MAX + 1];
    tl_hex_write(hex, p, n);
    return json_string(hex);
}

static json_t *fragments_of(const tl_talk *m)
{
    json_t *array = json_array();
    for (size_t i = 0; array && i < m->u.prove.n; i++)
        array = tl_json_append(array, hex_of(m->u.prove.fragment[i].bytes, TL_FRAGMENT_ID));
    return array;
}

static json_t *proofs_of(const tl_talk *m)
{
    json_t *array = json_array();
    for (size_t i = 0; array && i < m->u.proof.n; i++)
        array = tl_json_append(array, m->u.proof.has[i]
                                          ? hex_of(m->u.proof.proof[i], TL_TALK_PROOF_SIZE)
                                          : json_null());
    return array;
}

static json_t *id_of(const tl_node_id *id)
{
    return hex_of(id->key, sizeof id->key);
}

/* NULL: out of memory. (json_pack frees what it was given.) */
static json_t *payload_of(const tl_talk *m)
{
    json_t *o = NULL;
    switch (m->type) {
    case TL_TALK_PUT:
        return json_pack("{s:o, s:I, s:o}", "fragment",
                         hex_of(m->u.put.fragment.bytes, TL_FRAGMENT_ID), "size",
                         (json_int_t)m->u.put.size, "recovery", id_of(&m->u.put.recovery));
    case TL_TALK_RECEIPT: return tl_fragment_receipt_write(&m->u.receipt, &o) ? NULL : o;
    case TL_TALK_GET: return json_pack("{s:o}", "fragment", hex_of(m->u.get, sizeof m->u.get));
    case TL_TALK_CONTENT: return json_pack("{s:I}", "size", (json_int_t)m->u.content);
    case TL_TALK_PROVE:
        return json_pack("{s:o, s:o}", "nonce", hex_of(m->u.prove.nonce, TL_TALK_NONCE),
                         "fragments", fragments_of(m));
    case TL_TALK_PROOF: return json_pack("{s:o}", "proofs", proofs_of(m));
    case TL_TALK_DELETE: return json_pack("{s:o}", "fragments", fragments_of(m));
    case TL_TALK_POINTER:
        return json_pack("{s:o, s:o}", "recovery", id_of(&m->u.pointer.recovery), "item",
                         hex_of(m->u.pointer.item, m->u.pointer.n));
    case TL_TALK_DONE: return json_object();
    case TL_TALK_ERROR:
        return json_pack("{s:s, s:s}", "code", codes[m->u.error.code], "message",
                         m->u.error.message);
    }
    return NULL;
}

tl_err tl_talk_write(tl_buf *out, const tl_talk *m)
{
    tl_cluster_message c = {.type = TL_CLUSTER_OTHER, .u.other.payload = payload_of(m)};
    if (!c.u.other.payload)
        return TL_ERR_NOMEM;
    snprintf(c.u.other.name, sizeof c.u.other.name, "%s", names[m->type]);
    tl_err e = tl_cluster_write(out, &c);
    tl_cluster_message_clear(&c);
    return e;
}
