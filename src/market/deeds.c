#include "market/deeds.h"

#include "crypto/canonical.h"

static const char *const fields[TL_DEED_KINDS] = {"bytesRelayed", "tokensServed", "fragmentsHeld"};

static bool is_count(int64_t n)
{
    return n >= 0 && n <= TL_NUMBER_EXACT_MAX;
}

static bool is_right(const tl_deeds *d)
{
    for (int i = 0; i < TL_DEED_KINDS; i++)
        if (!is_count(d->count[i]))
            return false;
    return !tl_node_id_eq(&d->by, &d->node) && is_count(d->sequence) && d->sequence >= 1 &&
           is_count(d->issued_at) && is_count(d->expires_at) && d->expires_at > d->issued_at &&
           d->expires_at - d->issued_at <= TL_DEEDS_LIFE;
}

/* What is signed. */
static tl_err body_of(const tl_deeds *d, json_t **ret)
{
    char by[TL_NODE_ID_HEX + 1], node[TL_NODE_ID_HEX + 1];
    if (!is_right(d))
        return TL_ERR_INVALID;
    tl_node_id_write(by, &d->by);
    tl_node_id_write(node, &d->node);
    json_t *o =
        json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I}", "by", by, "node", node, fields[0],
                  (json_int_t)d->count[0], fields[1], (json_int_t)d->count[1], fields[2],
                  (json_int_t)d->count[2], "sequence", (json_int_t)d->sequence, "issuedAt",
                  (json_int_t)d->issued_at, "expiresAt", (json_int_t)d->expires_at);
    if (!o)
        return TL_ERR_NOMEM;
    *ret = o;
    return TL_OK;
}

static tl_err bytes_of(const tl_deeds *d, tl_buf *ret)
{
    json_t *body;
    tl_err e = body_of(d, &body);
    if (e)
        return e;
    e = tl_canonical_write(ret, body);
    json_decref(body);
    return e;
}

tl_err tl_deeds_sign(tl_deeds *d, const tl_identity *key)
{
    tl_buf bytes = {0};
    tl_signature signature;
    tl_err e = tl_node_id_eq(&d->by, &key->id) ? bytes_of(d, &bytes) : TL_ERR_FORBIDDEN;
    if (!e)
        e = tl_sign(key, TL_SIGN_DEEDS, tl_buf_slice(&bytes), &signature);
    tl_buf_clear(&bytes);
    if (!e)
        d->signature = signature;
    return e;
}

tl_err tl_deeds_verify(const tl_deeds *d)
{
    tl_buf bytes = {0};
    tl_err e = bytes_of(d, &bytes);
    if (!e)
        e = tl_sign_verify(&d->by, TL_SIGN_DEEDS, tl_buf_slice(&bytes), &d->signature);
    tl_buf_clear(&bytes);
    return e == TL_ERR_INVALID ? TL_ERR_AUTH : e;
}

tl_err tl_deeds_write(const tl_deeds *d, json_t **ret_object)
{
    char hex[2 * TL_SIGNATURE_SIZE + 1];
    json_t *o;
    tl_err e = body_of(d, &o);
    if (e)
        return e;
    tl_signature_write(hex, &d->signature);
    if (json_object_set_new(o, "signature", json_string(hex))) {
        json_decref(o);
        return TL_ERR_NOMEM;
    }
    *ret_object = o;
    return TL_OK;
}

tl_err tl_deeds_read(json_t *object, tl_deeds *ret_deeds)
{
    tl_deeds d = {0};
    const char *by, *node, *signature;
    size_t by_n, node_n, signature_n;
    json_int_t count[TL_DEED_KINDS], sequence, issued, expires;
    json_error_t error;
    if (json_unpack_ex(object, &error, 0, "{s:s%, s:s%, s:I, s:I, s:I, s:I, s:I, s:I, s:s% !}",
                       "by", &by, &by_n, "node", &node, &node_n, fields[0], &count[0], fields[1],
                       &count[1], fields[2], &count[2], "sequence", &sequence, "issuedAt", &issued,
                       "expiresAt", &expires, "signature", &signature, &signature_n))
        return TL_ERR_PROTO;
    /* By their form: the caller compares them with nodes that it knows. */
    if (tl_node_id_parse_form(tl_slice_of(by, by_n), &d.by) ||
        tl_node_id_parse_form(tl_slice_of(node, node_n), &d.node) ||
        tl_hex_parse(tl_slice_of(signature, signature_n), false, d.signature.bytes,
                     sizeof d.signature.bytes))
        return TL_ERR_PROTO;
    for (int i = 0; i < TL_DEED_KINDS; i++)
        d.count[i] = count[i];
    d.sequence = sequence;
    d.issued_at = issued;
    d.expires_at = expires;
    if (!is_right(&d))
        return TL_ERR_PROTO;
    *ret_deeds = d;
    return TL_OK;
}
