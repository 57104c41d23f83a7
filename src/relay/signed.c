#include "relay/signed.h"

#include <assert.h>

static tl_sign_purpose purpose_of(tl_control_type type)
{
    switch (type) {
    case TL_CONTROL_PUNCH_INTRO:
    case TL_CONTROL_PUNCH_REQUEST: return TL_SIGN_PUNCH_INTRO;
    case TL_CONTROL_PUNCH_READY: return TL_SIGN_PUNCH_READY;
    case TL_CONTROL_RELAY_REQUEST: return TL_SIGN_RELAY_REQUEST;
    case TL_CONTROL_RELAY_OFFER:
    case TL_CONTROL_RELAY_WARNING: return TL_SIGN_RELAY_OFFER; /* the maps differ in their keys */
    case TL_CONTROL_RELAY_MIGRATE: return TL_SIGN_RELAY_MIGRATE;
    case TL_CONTROL_ATTACH: return TL_SIGN_ATTACH;
    case TL_CONTROL_ATTACHED: return TL_SIGN_ATTACHED;
    default: assert(!"a type that is signed"); return TL_SIGN_ATTACH;
    }
}

tl_err tl_control_sign(tl_control *c, const tl_identity *signer)
{
    uint8_t body[TL_CONTROL_MAX];
    tl_signature signature;
    assert(tl_control_is_signed(c->type));
    size_t n = tl_control_write_body(c, body);
    tl_err e = tl_sign(signer, purpose_of(c->type), tl_slice_of(body, n), &signature);
    if (!e)
        memcpy(c->sig, signature.bytes, sizeof c->sig);
    return e;
}

tl_err tl_control_verify(const tl_control *c, const tl_node_id *signer)
{
    uint8_t body[TL_CONTROL_MAX];
    tl_signature signature;
    if (!tl_control_is_signed(c->type))
        return TL_ERR_AUTH;
    size_t n = tl_control_write_body(c, body);
    memcpy(signature.bytes, c->sig, sizeof c->sig);
    return tl_sign_verify(signer, purpose_of(c->type), tl_slice_of(body, n), &signature);
}
