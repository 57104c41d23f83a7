#include "crypto/sign.h"

#include <assert.h>
#include <sodium.h>

static const char *purpose_name(tl_sign_purpose purpose)
{
    switch (purpose) {
    case TL_SIGN_REGISTER: return "register";
    case TL_SIGN_OFFER: return "offer";
    case TL_SIGN_ANSWER: return "answer";
    case TL_SIGN_CANDIDATE: return "candidate";
    case TL_SIGN_PUNCH_INTRO: return "punch-intro";
    case TL_SIGN_PUNCH_READY: return "punch-ready";
    case TL_SIGN_RELAY_REQUEST: return "relay-request";
    case TL_SIGN_RELAY_OFFER: return "relay-offer";
    case TL_SIGN_RELAY_MIGRATE: return "relay-migrate";
    case TL_SIGN_INVITE: return "invite";
    case TL_SIGN_JOIN: return "join";
    case TL_SIGN_REVOCATION: return "revocation";
    case TL_SIGN_RECEIPT: return "receipt";
    case TL_SIGN_NAT_HINT: return "nat-hint";
    case TL_SIGN_PRICE: return "price";
    case TL_SIGN_SETTLEMENT: return "settlement";
    case TL_SIGN_GROUP_KEY: return "group-key";
    case TL_SIGN_ATTACH: return "attach";
    case TL_SIGN_ATTACHED: return "attached";
    case TL_SIGN_DEEDS: return "deeds";
    case TL_SIGN_FRAGMENT: return "fragment";
    }
    assert(!"a purpose of the list");
    return "";
}

/* "teale/v1/" || purpose || 0x00 || body */
static tl_err prefixed(tl_sign_purpose purpose, tl_slice body, tl_buf *ret_message)
{
    const char *name = purpose_name(purpose);
    tl_buf message = {0};
    tl_err e = tl_buf_append_str(&message, "teale/v1/");
    if (!e)
        e = tl_buf_append(&message, tl_slice_of(name, strlen(name) + 1));
    if (!e)
        e = tl_buf_append(&message, body);
    if (e) {
        tl_buf_clear(&message);
        return e;
    }
    *ret_message = message;
    return TL_OK;
}

tl_err tl_sign(const tl_identity *identity, tl_sign_purpose purpose, tl_slice body,
               tl_signature *ret_signature)
{
    tl_buf message;
    tl_err e = prefixed(purpose, body, &message);
    if (e)
        return e;
    e = tl_sign_bare(identity, tl_buf_slice(&message), ret_signature);
    tl_buf_clear(&message);
    return e;
}

tl_err tl_sign_verify(const tl_node_id *id, tl_sign_purpose purpose, tl_slice body,
                      const tl_signature *signature)
{
    tl_buf message;
    tl_err e = prefixed(purpose, body, &message);
    if (e)
        return e;
    e = tl_sign_bare_verify(id, tl_buf_slice(&message), signature);
    tl_buf_clear(&message);
    return e;
}

tl_err tl_sign_bare(const tl_identity *identity, tl_slice body, tl_signature *ret_signature)
{
    static const uint8_t nothing[1];
    if (crypto_sign_detached(ret_signature->bytes, NULL, body.n ? body.p : nothing, body.n,
                             identity->sign_key) != 0)
        return TL_ERR_INVALID;
    return TL_OK;
}

tl_err tl_sign_bare_verify(const tl_node_id *id, tl_slice body, const tl_signature *signature)
{
    static const uint8_t nothing[1];
    if (crypto_sign_verify_detached(signature->bytes, body.n ? body.p : nothing, body.n, id->key) !=
        0)
        return TL_ERR_AUTH;
    return TL_OK;
}

tl_err tl_signature_parse(tl_slice hex, tl_signature *ret_signature)
{
    return tl_hex_parse(hex, true, ret_signature->bytes, sizeof ret_signature->bytes);
}

void tl_signature_write(char ret_hex[2 * TL_SIGNATURE_SIZE + 1], const tl_signature *signature)
{
    tl_hex_write(ret_hex, signature->bytes, sizeof signature->bytes);
}
