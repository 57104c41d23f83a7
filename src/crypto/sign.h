/* sign.h - domain-separated Ed25519 signatures (docs/protocol.md "Identity"): Ed25519("teale/v1/"
 * || purpose || 0x00 || body). Keeps no state. */
#ifndef TL_CRYPTO_SIGN_H
#define TL_CRYPTO_SIGN_H

#include "crypto/identity.h"

typedef enum {
    TL_SIGN_REGISTER,
    TL_SIGN_OFFER,
    TL_SIGN_ANSWER,
    TL_SIGN_CANDIDATE,
    TL_SIGN_PUNCH_INTRO,
    TL_SIGN_PUNCH_READY,
    TL_SIGN_RELAY_REQUEST,
    TL_SIGN_RELAY_OFFER,
    TL_SIGN_RELAY_MIGRATE,
    TL_SIGN_INVITE,
    TL_SIGN_JOIN,
    TL_SIGN_REVOCATION,
    TL_SIGN_RECEIPT,
    TL_SIGN_NAT_HINT,
    TL_SIGN_PRICE,
    TL_SIGN_SETTLEMENT,
    TL_SIGN_GROUP_KEY,
    TL_SIGN_ATTACH,
    TL_SIGN_ATTACHED,
    TL_SIGN_DEEDS,
    TL_SIGN_FRAGMENT,
} tl_sign_purpose;

#define TL_SIGNATURE_SIZE 64

typedef struct {
    uint8_t bytes[TL_SIGNATURE_SIZE];
} tl_signature;

/* TL_ERR_NOMEM: no room for prefix and body side by side. */
TL_CHECK tl_err tl_sign(const tl_identity *identity, tl_sign_purpose purpose, tl_slice body,
                        tl_signature *ret_signature);
/* TL_ERR_AUTH: it does not verify. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_sign_verify(const tl_node_id *id, tl_sign_purpose purpose, tl_slice body,
                               const tl_signature *signature);

/* Without our prefix: other programs fix the signed bytes of `register`, `offer`, `answer`
 * (docs/protocol.md) and of certificates. */
TL_CHECK tl_err tl_sign_bare(const tl_identity *identity, tl_slice body,
                             tl_signature *ret_signature);
TL_CHECK tl_err tl_sign_bare_verify(const tl_node_id *id, tl_slice body,
                                    const tl_signature *signature);

/* 128 hex digits, any case. TL_ERR_PROTO. */
TL_CHECK tl_err tl_signature_parse(tl_slice hex, tl_signature *ret_signature);
void tl_signature_write(char ret_hex[2 * TL_SIGNATURE_SIZE + 1], const tl_signature *signature);

#endif
