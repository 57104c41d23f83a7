#include "backup/fragment.h"

#include "base/number.h"
#include "crypto/canonical.h"

#include <sodium.h>

void tl_fragment_id_of(tl_slice content, tl_fragment_id *ret_id)
{
    crypto_generichash(ret_id->bytes, sizeof ret_id->bytes, content.p, content.n, NULL, 0);
}

bool tl_fragment_id_eq(const tl_fragment_id *a, const tl_fragment_id *b)
{
    return memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

bool tl_backup_map_is(const tl_backup_map *m)
{
    if (m->k < 1 || m->n < m->k || m->n > TL_FRAGMENTS_MAX || m->holders_n > m->n || m->size < 1 ||
        m->size > TL_BLOB_MAX)
        return false;
    for (unsigned i = 0; i < m->n; i++)
        if (m->fragment[i].holder >= m->holders_n && m->fragment[i].holder != TL_FRAGMENT_NOWHERE)
            return false;
    for (unsigned i = 0; i < m->holders_n; i++)
        for (unsigned j = 0; j < i; j++)
            if (tl_node_id_eq(&m->holder[i], &m->holder[j]))
                return false;
    return true;
}

/* --- receipts --- */

static bool is_time(int64_t t)
{
    return t >= 0 && t <= TL_NUMBER_EXACT_MAX;
}

static bool is_right(const tl_fragment_receipt *r)
{
    return r->size >= 1 && r->size <= TL_BLOB_MAX && is_time(r->issued_at) &&
           is_time(r->expires_at) && r->expires_at > r->issued_at;
}

/* What is signed. */
static tl_err body_of(const tl_fragment_receipt *r, json_t **ret)
{
    char fragment[2 * TL_FRAGMENT_ID + 1], owner[TL_NODE_ID_HEX + 1], holder[TL_NODE_ID_HEX + 1];
    if (!is_right(r))
        return TL_ERR_INVALID;
    tl_hex_write(fragment, r->fragment.bytes, sizeof r->fragment.bytes);
    tl_node_id_write(owner, &r->owner);
    tl_node_id_write(holder, &r->holder);
    json_t *o = json_pack("{s:s, s:I, s:s, s:s, s:I, s:I}", "fragment", fragment, "size",
                          (json_int_t)r->size, "owner", owner, "holder", holder, "issuedAt",
                          (json_int_t)r->issued_at, "expiresAt", (json_int_t)r->expires_at);
    if (!o)
        return TL_ERR_NOMEM;
    *ret = o;
    return TL_OK;
}

static tl_err bytes_of(const tl_fragment_receipt *r, tl_buf *ret)
{
    json_t *body;
    tl_err e = body_of(r, &body);
    if (e)
        return e;
    e = tl_canonical_write(ret, body);
    json_decref(body);
    return e;
}

tl_err tl_fragment_receipt_sign(tl_fragment_receipt *r, const tl_identity *key)
{
    tl_buf bytes = {0};
    tl_signature signature;
    tl_err e = tl_node_id_eq(&r->holder, &key->id) ? bytes_of(r, &bytes) : TL_ERR_FORBIDDEN;
    if (!e)
        e = tl_sign(key, TL_SIGN_FRAGMENT, tl_buf_slice(&bytes), &signature);
    tl_buf_clear(&bytes);
    if (!e)
        r->signature = signature;
    return e;
}

tl_err tl_fragment_receipt_verify(const tl_fragment_receipt *r)
{
    tl_buf bytes = {0};
    tl_err e = bytes_of(r, &bytes);
    if (!e)
        e = tl_sign_verify(&r->holder, TL_SIGN_FRAGMENT, tl_buf_slice(&bytes), &r->signature);
    tl_buf_clear(&bytes);
    return e == TL_ERR_INVALID ? TL_ERR_AUTH : e;
}

tl_err tl_fragment_receipt_write(const tl_fragment_receipt *r, json_t **ret_object)
{
    char hex[2 * TL_SIGNATURE_SIZE + 1];
    json_t *o;
    tl_err e = body_of(r, &o);
    if (e)
        return e;
    tl_signature_write(hex, &r->signature);
    if (json_object_set_new(o, "signature", json_string(hex))) {
        json_decref(o);
        return TL_ERR_NOMEM;
    }
    *ret_object = o;
    return TL_OK;
}

static bool read_id(const char *hex, tl_node_id *ret)
{
    return !tl_node_id_parse_form(tl_slice_str(hex), ret);
}

tl_err tl_fragment_receipt_read(json_t *object, tl_fragment_receipt *ret_receipt)
{
    const char *fragment, *owner, *holder, *signature;
    json_int_t size, issued, expires;
    if (json_unpack(object, "{s:s, s:I, s:s, s:s, s:I, s:I, s:s !}", "fragment", &fragment, "size",
                    &size, "owner", &owner, "holder", &holder, "issuedAt", &issued, "expiresAt",
                    &expires, "signature", &signature))
        return TL_ERR_PROTO;
    tl_fragment_receipt r = {.issued_at = issued, .expires_at = expires};
    if (size < 1 || size > TL_BLOB_MAX)
        return TL_ERR_PROTO;
    r.size = (uint32_t)size;
    if (tl_hex_parse(tl_slice_str(fragment), false, r.fragment.bytes, sizeof r.fragment.bytes) ||
        !read_id(owner, &r.owner) || !read_id(holder, &r.holder) ||
        tl_signature_parse(tl_slice_str(signature), &r.signature) || !is_right(&r))
        return TL_ERR_PROTO;
    *ret_receipt = r;
    return TL_OK;
}
