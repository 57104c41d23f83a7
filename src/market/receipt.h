/* receipt.h - what two nodes sign of a question that one answered for the other (a receipt), and of
 * money that changed hands outside this program (a settlement). Makes, reads and checks them; knows
 * no ledger, no store and no clock.
 *
 * Receipt:    {requestID, consumer, provider, ptnID?, model, tokens_in, tokens_out, amount, at,
 *              consumerSignature?, providerSignature?}          purpose `receipt`
 * Settlement: {settlementID, creditor, debtor, amount, at,
 *              creditorSignature?, debtorSignature?}            purpose `settlement`
 * Each signature covers the canonical JSON (RFC 8785) of the object without the signatures. */
#ifndef TL_MARKET_RECEIPT_H
#define TL_MARKET_RECEIPT_H

#include "base/time.h"
#include "crypto/sign.h"
#include "wire/codes.h"

#include <jansson.h>

#define TL_MONEY_MAX      ((INT64_C(1) << 53) - 1) /* every amount, count and time: a whole double */
#define TL_REQUEST_ID_MAX 65                       /* 1 to 64 of [A-Za-z0-9._-], and NUL */

/* 1 to 64 of [A-Za-z0-9._-]. */
bool tl_request_id_is(const char *id);

typedef struct {
    char request[TL_REQUEST_ID_MAX];
    tl_node_id consumer, provider; /* never the same */
    bool has_network;
    tl_node_id network;
    char model[TL_MODEL_MAX];
    int64_t tokens_in, tokens_out;
    int64_t amount; /* micro-credits */
    tl_unix at;     /* the provider's clock */
    bool by_consumer, by_provider;
    tl_signature consumer_signature, provider_signature; /* where the flag beside it is set */
} tl_receipt;

/* Adds the signature of `key`, which is the consumer's or the provider's: TL_ERR_FORBIDDEN else.
 * TL_ERR_INVALID: a field out of its range. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_receipt_sign(tl_receipt *r, const tl_identity *key);
/* Checks the signatures that are there. TL_ERR_AUTH: one is wrong, or there is none. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_receipt_verify(const tl_receipt *r);
/* The object, with the signatures that are there; the caller frees it. TL_ERR_INVALID: a field is
 * out of its range. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_receipt_write(const tl_receipt *r, json_t **ret_object);
/* TL_ERR_PROTO: a field is missing, unknown, of another type (1.0 and "1" are no integers), or out
 * of its range. Signatures are read, and not checked. */
TL_CHECK tl_err tl_receipt_read(const json_t *object, tl_receipt *ret_receipt);
/* They say the same; whoever has signed. */
bool tl_receipt_eq(const tl_receipt *a, const tl_receipt *b);

/* The debtor gave the creditor so much, by a way that this program does not see. */
typedef struct {
    char id[TL_REQUEST_ID_MAX];
    tl_node_id creditor, debtor; /* never the same */
    int64_t amount;              /* micro-credits, from 1 */
    tl_unix at;
    bool by_creditor, by_debtor;
    tl_signature creditor_signature, debtor_signature;
} tl_settlement;

/* As those of the receipt. */
TL_CHECK tl_err tl_settlement_sign(tl_settlement *s, const tl_identity *key);
TL_CHECK tl_err tl_settlement_verify(const tl_settlement *s);
TL_CHECK tl_err tl_settlement_write(const tl_settlement *s, json_t **ret_object);
TL_CHECK tl_err tl_settlement_read(const json_t *object, tl_settlement *ret_settlement);
bool tl_settlement_eq(const tl_settlement *a, const tl_settlement *b);

#endif
