/* deeds.h - the statement that one node signs of what another did for it. Makes, reads and checks it;
 * knows no table, no membership and no clock.
 *
 * {by, node, bytesRelayed, tokensServed, fragmentsHeld, sequence, issuedAt, expiresAt, signature}
 *
 * `signature` is by `by`, purpose `deeds`, over the canonical JSON (RFC 8785) of the object without it.
 * The counts are what `node` did for `by` itself, as they have fallen until `issuedAt`
 * (market/reciprocity.h); never what others told. Of one signer and node the statement with the highest
 * `sequence` replaces the others. */
#ifndef TL_MARKET_DEEDS_H
#define TL_MARKET_DEEDS_H

#include "base/number.h"
#include "base/time.h"
#include "crypto/sign.h"

#include <jansson.h>

#define TL_DEEDS_LIFE (30 * 24 * 3600) /* seconds: the counts are at half by then */

typedef enum {
    TL_DEED_RELAYED, /* bytes that came to the signer through the node as a relay */
    TL_DEED_SERVED,  /* tokens, of prompts and answers, for which the signer has signed receipts */
    TL_DEED_HELD,    /* fragments of the signer's that the node was last seen to hold */
    TL_DEED_KINDS
} tl_deed_kind;

typedef struct {
    tl_node_id by, node; /* never the same */
    int64_t count[TL_DEED_KINDS];
    int64_t sequence; /* from 1 */
    tl_unix issued_at, expires_at;
    tl_signature signature;
} tl_deeds;

/* TL_ERR_FORBIDDEN: `key` is not that of `by`. TL_ERR_INVALID: a field is out of its range: counts and
 * times are from 0 to TL_NUMBER_EXACT_MAX, and expires_at is 1 s to TL_DEEDS_LIFE after issued_at.
 * TL_ERR_NOMEM. */
TL_CHECK tl_err tl_deeds_sign(tl_deeds *d, const tl_identity *key);
/* TL_ERR_AUTH: the signature is wrong, or a field is out of its range. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_deeds_verify(const tl_deeds *d);
/* The caller frees it. TL_ERR_INVALID, TL_ERR_NOMEM. */
TL_CHECK tl_err tl_deeds_write(const tl_deeds *d, json_t **ret_object);
/* TL_ERR_PROTO: a field is missing, unknown, of another type (1.0 and "1" are no integers), or out of
 * its range. The signature is read, and not checked; nor are the keys. */
TL_CHECK tl_err tl_deeds_read(json_t *object, tl_deeds *ret_deeds);

#endif
