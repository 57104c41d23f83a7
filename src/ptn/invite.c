#include "ptn/invite.h"

#include "crypto/canonical.h"
#include "ptn/state.h"

#include <assert.h>
#include <sodium.h>
#include <stdio.h>

#define JSON_DEPTH 2

static bool name_is_right(const char *name, size_t max)
{
    size_t n = strlen(name);
    return n > 0 && n <= max && tl_utf8_is(tl_slice_of(name, n));
}

/* `object` but the signature. NULL: no memory. */
static json_t *body_new(const tl_invite *invite)
{
    char nonce[2 * TL_INVITE_NONCE + 1];
    tl_hex_write(nonce, invite->nonce, sizeof invite->nonce);
    json_t *body = json_pack("{s:s, s:s, s:s, s:s, s:I}", "ptnName", invite->name, "relay",
                             invite->relay, "role", tl_role_name(invite->role), "nonce", nonce,
                             "expiresAt", (json_int_t)invite->expires_at);
    tl_err e = body ? tl_field_set_id(body, "ptnID", &invite->network) : TL_ERR_NOMEM;
    if (!e)
        e = tl_field_set_id(body, "inviterNodeID", &invite->inviter);
    if (!e && invite->valid_seconds)
        e = tl_field_set(body, "validSeconds", json_integer(invite->valid_seconds));
    if (!e && invite->bound)
        e = tl_field_set_id(body, "nodeID", &invite->node);
    if (!e)
        return body;
    json_decref(body);
    return NULL;
}

static tl_err append_base64url(tl_buf *out, tl_slice bytes)
{
    uint8_t *room;
    size_t n = sodium_base64_encoded_len(bytes.n, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    tl_err e = tl_buf_reserve(out, n, &room);
    if (e)
        return e;
    sodium_bin2base64((char *)room, n, bytes.p, bytes.n, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    tl_buf_added(out, n - 1); /* without the NUL */
    return TL_OK;
}

tl_err tl_invite_write(tl_buf *out, const tl_invite *invite, const tl_identity *key)
{
    assert(tl_node_id_eq(&key->id, &invite->inviter));
    if (!name_is_right(invite->name, TL_PTN_NAME_MAX) ||
        (*invite->relay && !name_is_right(invite->relay, TL_INVITE_RELAY_MAX)) ||
        invite->expires_at < 0 || invite->expires_at > TL_PTN_TIME_MAX ||
        invite->valid_seconds < 0 || invite->valid_seconds > TL_PTN_TIME_MAX)
        return TL_ERR_INVALID;
    json_t *object = body_new(invite);
    tl_buf bytes = {0};
    char hex[2 * TL_SIGNATURE_SIZE + 1];
    tl_err e = object ? tl_signer_sign(key, TL_SIGN_INVITE, object, hex) : TL_ERR_NOMEM;
    if (!e)
        e = tl_field_set(object, "signature", json_string(hex));
    if (!e)
        e = tl_canonical_write(&bytes, object);
    json_decref(object);
    size_t before = out->len;
    if (!e)
        e = tl_buf_append_str(out, TL_INVITE_PREFIX);
    if (!e)
        e = append_base64url(out, tl_buf_slice(&bytes));
    tl_buf_clear(&bytes);
    if (e)
        out->len = before;
    return e;
}

static void take_text(tl_fields *f, const char *key, size_t max, char *ret)
{
    const char *text = "";
    tl_field_text(f, key, max, &text);
    if (!f->bad)
        snprintf(ret, max + 1, "%s", text);
}

static bool read_fields(const json_t *object, tl_invite *invite, tl_signature *ret_signature)
{
    tl_fields f = tl_fields_of(object);
    const char *role = "", *nonce = "";
    const json_t *relay = json_object_get(object, "relay");
    tl_field_id(&f, "ptnID", &invite->network);
    tl_field_id(&f, "inviterNodeID", &invite->inviter);
    take_text(&f, "ptnName", TL_PTN_NAME_MAX, invite->name);
    if (json_is_string(relay) && json_string_length(relay) == 0)
        tl_field_any(&f, "relay", &relay);
    else
        take_text(&f, "relay", TL_INVITE_RELAY_MAX, invite->relay);
    tl_field_text(&f, "role", 16, &role);
    tl_field_text(&f, "nonce", 2 * TL_INVITE_NONCE, &nonce);
    tl_field_count(&f, "expiresAt", &invite->expires_at);
    tl_field_signature(&f, ret_signature);
    if (tl_field_is_there(&f, "validSeconds"))
        tl_field_count(&f, "validSeconds", &invite->valid_seconds);
    invite->bound = tl_field_is_there(&f, "nodeID");
    if (invite->bound)
        tl_field_id(&f, "nodeID", &invite->node);
    return tl_fields_end(&f) && tl_role_parse(role, &invite->role) &&
           !tl_hex_parse(tl_slice_str(nonce), false, invite->nonce, sizeof invite->nonce);
}

static bool is_space(uint8_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* The JSON inside, in `room` of TL_INVITE_MAX bytes. */
static tl_err decode(tl_slice text, uint8_t *room, size_t *ret_n)
{
    size_t prefix = strlen(TL_INVITE_PREFIX);
    while (text.n && is_space(text.p[0])) {
        text.p++;
        text.n--;
    }
    while (text.n && is_space(text.p[text.n - 1]))
        text.n--;
    if (text.n <= prefix || text.n > TL_INVITE_MAX || memcmp(text.p, TL_INVITE_PREFIX, prefix) != 0)
        return TL_ERR_PROTO;
    if (sodium_base642bin(room, TL_INVITE_MAX, (const char *)text.p + prefix, text.n - prefix, NULL,
                          ret_n, NULL, sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0)
        return TL_ERR_PROTO;
    return TL_OK;
}

tl_ptn_verdict tl_invite_read(tl_slice text, tl_invite *ret_invite)
{
    uint8_t room[TL_INVITE_MAX];
    size_t n;
    json_t *object;
    if (decode(text, room, &n))
        return TL_PTN_MALFORMED;
    tl_err e = tl_json_parse(tl_slice_of(room, n), JSON_DEPTH, &object, NULL);
    if (e)
        return e == TL_ERR_NOMEM ? TL_PTN_NO_MEMORY : TL_PTN_MALFORMED;
    tl_invite invite = {0};
    tl_signer signer = {0};
    tl_ptn_verdict v = TL_PTN_MALFORMED;
    if (read_fields(object, &invite, &signer.signature)) {
        signer.network = invite.inviter; /* the inviter signs with its own key */
        v = tl_signer_check_object(&signer, TL_SIGN_INVITE, object, NULL);
    }
    json_decref(object);
    if (!v)
        *ret_invite = invite;
    return v;
}

tl_ptn_verdict tl_invite_at(const tl_invite *invite, const tl_node_id *self, tl_unix now)
{
    if (invite->bound && !tl_node_id_eq(&invite->node, self))
        return TL_PTN_FOREIGN;
    return now > invite->expires_at ? TL_PTN_EXPIRED : TL_PTN_OK;
}
