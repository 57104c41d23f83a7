/* state.h - what the signed objects of this room share: strict fields, and who may sign for a
 * network. Only this room includes it. */
#ifndef TL_PTN_STATE_H
#define TL_PTN_STATE_H

#include "base/json.h"
#include "crypto/sign.h"
#include "ptn/cert.h"

/* An object whose fields are taken one by one. A field that is missing or of another form, and a
 * field that nobody takes, make the whole object malformed: what is signed has one meaning. */
typedef struct {
    const json_t *object;
    size_t taken;
    bool bad;
} tl_fields;

tl_fields tl_fields_of(const json_t *value);
bool tl_field_is_there(const tl_fields *f, const char *key);
/* 64 lower-case hex digits of a usable key. */
void tl_field_id(tl_fields *f, const char *key, tl_node_id *ret);
/* The same without a look at the key (tl_node_id_parse_form): whoever signs the object answers for
 * it, and a list may hold thousands. */
void tl_field_signed_id(tl_fields *f, const char *key, tl_node_id *ret);
/* 0 to 2^53 - 1, written as an integer. */
void tl_field_count(tl_fields *f, const char *key, int64_t *ret);
/* Borrowed; 1 to `max` bytes. */
void tl_field_text(tl_fields *f, const char *key, size_t max, const char **ret);
void tl_field_signature(tl_fields *f, tl_signature *ret);
/* Borrowed: any value. */
void tl_field_any(tl_fields *f, const char *key, const json_t **ret);
/* True when every field of the object was taken, and each had its form. */
bool tl_fields_end(const tl_fields *f);

/* A failing `set` frees the value and leaves the object as it was. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_field_set(json_t *object, const char *key, json_t *value);
TL_CHECK tl_err tl_field_set_id(json_t *object, const char *key, const tl_node_id *id);

/* Who signed an object for a network: the authority's key itself, or the issuer, an admin whose
 * certificate `chain` holds. */
typedef struct {
    tl_node_id network, issuer;
    const json_t *chain; /* NULL: the authority signed */
    tl_signature signature;
} tl_signer;

/* `purpose`: TL_PTN_BARE, or one of tl_sign_purpose. `body` is signed in its canonical form.
 * `ret_admin` is filled where `chain` is there: the issuer's certificate, whose time is not looked
 * at. */
#define TL_PTN_BARE (-1)
tl_ptn_verdict tl_signer_check(const tl_signer *s, int purpose, const json_t *body,
                               tl_cert *ret_admin);
/* The hex of the signature by `key`, over the canonical form of `body`. */
TL_CHECK tl_err tl_signer_sign(const tl_identity *key, int purpose, const json_t *body,
                               char ret_hex[2 * TL_SIGNATURE_SIZE + 1]);
/* What every signed list says of its signer: ptnID, issuerNodeID, signature, and chain. */
void tl_signer_take(tl_fields *f, tl_signer *ret_signer);
/* Of an object that holds its own signature: the body is all but `signature` and `chain`. */
tl_ptn_verdict tl_signer_check_object(const tl_signer *s, int purpose, const json_t *object,
                                      tl_cert *ret_admin);
/* Adds ptnID and issuerNodeID, signs, and adds `signature`; and `chain`, where the key is not the
 * network's own. TL_ERR_FORBIDDEN: the key is neither the network's nor that of an admin whom
 * `chain` shows. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_signer_author(json_t *object, const tl_node_id *network,
                                 const tl_node_id *issuer, const tl_identity *key, int purpose,
                                 const json_t *chain);
/* Adds what `head` says to `object`, which has its own fields, and signs it as tl_signer_author does. Takes
 * the reference; NULL: TL_ERR_NOMEM. TL_ERR_INVALID: a number out of its range. */
TL_CHECK tl_err tl_numbered_make(const tl_numbered *head, json_t *object, const tl_identity *key,
                                 int purpose, const json_t *chain, json_t **ret_object);
/* Takes the fields of the head from `f`, whose own fields were taken before, and checks the signature. */
tl_ptn_verdict tl_numbered_read(tl_fields *f, int purpose, tl_numbered *ret_head);

/* Is `chain` the certificate of an admin of the network, signed by the authority, for `issuer`,
 * whose key is `key`? `ret_admin` is filled where it is. */
bool tl_signer_is_admin(const tl_node_id *network, const tl_node_id *issuer, const tl_identity *key,
                        const json_t *chain, tl_cert *ret_admin);

#endif
