#include "crypto/canonical.h"
#include "crypto/idjson.h"
#include "ptn/state.h"

#include <string.h>

tl_fields tl_fields_of(const json_t *value)
{
    return (tl_fields){.object = value, .bad = !json_is_object(value)};
}

bool tl_field_is_there(const tl_fields *f, const char *key)
{
    return json_object_get(f->object, key) != NULL;
}

/* NULL: not there. */
static const json_t *take(tl_fields *f, const char *key)
{
    const json_t *value = f->bad ? NULL : json_object_get(f->object, key);
    if (value)
        f->taken++;
    else
        f->bad = true;
    return value;
}

void tl_field_id(tl_fields *f, const char *key, tl_node_id *ret)
{
    const json_t *v = take(f, key);
    if (!json_is_string(v) ||
        tl_node_id_parse(tl_slice_of(json_string_value(v), json_string_length(v)), ret))
        f->bad = true;
}

void tl_field_signed_id(tl_fields *f, const char *key, tl_node_id *ret)
{
    const json_t *v = take(f, key);
    if (!json_is_string(v) ||
        tl_node_id_parse_form(tl_slice_of(json_string_value(v), json_string_length(v)), ret))
        f->bad = true;
}

void tl_field_count(tl_fields *f, const char *key, int64_t *ret)
{
    const json_t *v = take(f, key);
    if (!json_is_integer(v) || json_integer_value(v) < 0 || json_integer_value(v) > TL_PTN_TIME_MAX)
        f->bad = true;
    else
        *ret = json_integer_value(v);
}

void tl_field_text(tl_fields *f, const char *key, size_t max, const char **ret)
{
    const json_t *v = take(f, key);
    size_t n = json_string_length(v);
    if (!json_is_string(v) || n == 0 || n > max || memchr(json_string_value(v), 0, n))
        f->bad = true;
    else
        *ret = json_string_value(v);
}

void tl_field_signature(tl_fields *f, tl_signature *ret)
{
    const json_t *v = take(f, "signature");
    if (!json_is_string(v) || tl_hex_parse(tl_slice_of(json_string_value(v), json_string_length(v)),
                                           false, ret->bytes, sizeof ret->bytes))
        f->bad = true;
}

void tl_field_any(tl_fields *f, const char *key, const json_t **ret)
{
    const json_t *v = take(f, key);
    if (v)
        *ret = v;
}

bool tl_fields_end(const tl_fields *f)
{
    return !f->bad && f->taken == json_object_size(f->object);
}

tl_err tl_field_set(json_t *object, const char *key, json_t *value)
{
    return json_object_set_new(object, key, value) ? TL_ERR_NOMEM : TL_OK;
}

tl_err tl_field_set_id(json_t *object, const char *key, const tl_node_id *id)
{
    return tl_field_set(object, key, tl_node_id_json(id));
}

/* --- signatures --- */

static tl_err verify(const tl_node_id *key, int purpose, tl_slice body, const tl_signature *s)
{
    return purpose == TL_PTN_BARE ? tl_sign_bare_verify(key, body, s)
                                  : tl_sign_verify(key, (tl_sign_purpose)purpose, body, s);
}

static tl_ptn_verdict verdict_of(tl_err e)
{
    return e == TL_ERR_NOMEM ? TL_PTN_NO_MEMORY : e ? TL_PTN_SIGNATURE : TL_PTN_OK;
}

/* The issuer's own certificate: exactly one, of an admin, signed by the authority. */
static tl_ptn_verdict check_chain(const tl_signer *s, tl_cert *ret_admin)
{
    if (!json_is_array(s->chain) || json_array_size(s->chain) != 1)
        return TL_PTN_CHAIN;
    const json_t *one = json_array_get(s->chain, 0);
    if (json_object_get(one, "chain")) /* before it is read: the depth stays two */
        return TL_PTN_CHAIN;
    tl_cert admin;
    tl_ptn_verdict v = tl_cert_read(one, &admin);
    if (v == TL_PTN_NO_MEMORY)
        return v;
    if (v || admin.role != TL_ROLE_ADMIN || !tl_node_id_eq(&admin.node, &s->issuer) ||
        !tl_node_id_eq(&admin.network, &s->network))
        return TL_PTN_CHAIN;
    *ret_admin = admin;
    return TL_PTN_OK;
}

tl_ptn_verdict tl_signer_check(const tl_signer *s, int purpose, const json_t *body,
                               tl_cert *ret_admin)
{
    tl_buf bytes = {0};
    tl_err e = tl_canonical_write(&bytes, body);
    if (!e)
        e = verify(s->chain ? &s->issuer : &s->network, purpose, tl_buf_slice(&bytes),
                   &s->signature);
    tl_buf_clear(&bytes);
    if (e || !s->chain)
        return verdict_of(e);
    return check_chain(s, ret_admin);
}

tl_err tl_signer_sign(const tl_identity *key, int purpose, const json_t *body,
                      char ret_hex[2 * TL_SIGNATURE_SIZE + 1])
{
    tl_buf bytes = {0};
    tl_signature signature;
    tl_err e = tl_canonical_write(&bytes, body);
    if (!e && purpose == TL_PTN_BARE)
        e = tl_sign_bare(key, tl_buf_slice(&bytes), &signature);
    else if (!e)
        e = tl_sign(key, (tl_sign_purpose)purpose, tl_buf_slice(&bytes), &signature);
    tl_buf_clear(&bytes);
    if (!e)
        tl_signature_write(ret_hex, &signature);
    return e;
}

void tl_signer_take(tl_fields *f, tl_signer *ret_signer)
{
    tl_field_signed_id(f, "ptnID", &ret_signer->network);
    tl_field_signed_id(f, "issuerNodeID", &ret_signer->issuer);
    tl_field_signature(f, &ret_signer->signature);
    if (tl_field_is_there(f, "chain"))
        tl_field_any(f, "chain", &ret_signer->chain);
}

/* All but `signature` and `chain`. NULL: no memory. */
static json_t *body_of(const json_t *object)
{
    /* json_copy takes no const, and changes nothing */
    union {
        const json_t *in;
        json_t *out;
    } unconst = {object};
    json_t *body = json_copy(unconst.out);
    if (body) {
        json_object_del(body, "signature");
        json_object_del(body, "chain");
    }
    return body;
}

tl_ptn_verdict tl_signer_check_object(const tl_signer *s, int purpose, const json_t *object,
                                      tl_cert *ret_admin)
{
    json_t *body = body_of(object);
    if (!body)
        return TL_PTN_NO_MEMORY;
    tl_ptn_verdict v = tl_signer_check(s, purpose, body, ret_admin);
    json_decref(body);
    return v;
}

bool tl_signer_is_admin(const tl_node_id *network, const tl_node_id *issuer, const tl_identity *key,
                        const json_t *chain, tl_cert *ret_admin)
{
    tl_cert own;
    if (!chain || json_object_get(chain, "chain") || !tl_node_id_eq(&key->id, issuer) ||
        tl_cert_read(chain, &own) || own.role != TL_ROLE_ADMIN ||
        !tl_node_id_eq(&own.node, issuer) || !tl_node_id_eq(&own.network, network))
        return false;
    *ret_admin = own;
    return true;
}

tl_err tl_signer_author(json_t *object, const tl_node_id *network, const tl_node_id *issuer,
                        const tl_identity *key, int purpose, const json_t *chain)
{
    tl_cert own;
    bool authority = tl_node_id_eq(&key->id, network);
    char hex[2 * TL_SIGNATURE_SIZE + 1];
    if (!authority && !tl_signer_is_admin(network, issuer, key, chain, &own))
        return TL_ERR_FORBIDDEN;
    tl_err e = tl_field_set_id(object, "ptnID", network);
    if (!e)
        e = tl_field_set_id(object, "issuerNodeID", issuer);
    if (!e)
        e = tl_signer_sign(key, purpose, object, hex);
    if (!e)
        e = tl_field_set(object, "signature", json_string(hex));
    if (!e && !authority)
        e = tl_field_set(object, "chain", json_pack("[O]", chain));
    return e;
}

/* --- what is numbered --- */

tl_err tl_numbered_make(const tl_numbered *head, json_t *object, const tl_identity *key,
                        int purpose, const json_t *chain, json_t **ret_object)
{
    bool in_range = head->version >= 1 && head->version <= TL_PTN_TIME_MAX &&
                    head->issued_at >= 0 && head->issued_at <= TL_PTN_TIME_MAX;
    tl_err e = !object ? TL_ERR_NOMEM : in_range ? TL_OK : TL_ERR_INVALID;
    if (!e)
        e = tl_field_set(object, "version", json_integer(head->version));
    if (!e)
        e = tl_field_set(object, "issuedAt", json_integer(head->issued_at));
    if (!e)
        e = tl_signer_author(object, &head->network, &head->issuer, key, purpose, chain);
    if (e) {
        json_decref(object);
        return e;
    }
    *ret_object = object;
    return TL_OK;
}

tl_ptn_verdict tl_numbered_read(tl_fields *f, int purpose, tl_numbered *ret_head)
{
    tl_numbered head = {.version = 0};
    tl_signer signer = {0};
    tl_cert admin;
    tl_signer_take(f, &signer);
    tl_field_count(f, "version", &head.version);
    tl_field_count(f, "issuedAt", &head.issued_at);
    if (!tl_fields_end(f) || head.version < 1 ||
        (signer.chain && head.version > TL_PTN_ADMIN_NUMBER_MAX))
        return TL_PTN_MALFORMED;
    tl_ptn_verdict v = tl_signer_check_object(&signer, purpose, f->object, &admin);
    if (v)
        return v;
    head.network = signer.network;
    head.issuer = signer.issuer;
    head.delegated = signer.chain != NULL;
    head.issuer_expires_at = head.delegated ? admin.expires_at : TL_PTN_NO_END;
    *ret_head = head;
    return TL_PTN_OK;
}
