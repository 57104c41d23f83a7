/* groupkey.h - the signed, versioned group key of a network, from which its members make the tags
 * that hide them (ptn/hide.h): makes and checks it. It is a secret of the members: the caller gives
 * it to none else. */
#ifndef TL_PTN_GROUPKEY_H
#define TL_PTN_GROUPKEY_H

#include "ptn/cert.h"
#include "ptn/hide.h"

typedef struct {
    tl_numbered head; /* a new version with each revocation */
    uint8_t key[TL_HIDE_KEY];
} tl_ptn_groupkey;

/* As tl_cert_make. TL_ERR_INVALID: a number out of its range. */
TL_CHECK tl_err tl_ptn_groupkey_make(const tl_ptn_groupkey *key, const tl_identity *signer,
                                     const json_t *chain, json_t **ret_object);
tl_ptn_verdict tl_ptn_groupkey_read(const json_t *value, tl_ptn_groupkey *ret_key);

#endif
