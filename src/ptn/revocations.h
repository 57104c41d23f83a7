/* revocations.h - the signed list of a network's revoked nodes: makes and checks one list. What a
 * node makes of many lists is ptn.h's. */
#ifndef TL_PTN_REVOCATIONS_H
#define TL_PTN_REVOCATIONS_H

#include "ptn/cert.h"

#define TL_REVOCATIONS_MAX       4096 /* entries: 600 kB of JSON, below a control message's 1 MiB */
/* As many may be revoked when an admin's own key adds a node; the rest is the authority's, so that an
 * admin that fills the list can still be revoked. */
#define TL_REVOCATIONS_ADMIN_MAX (TL_REVOCATIONS_MAX - 512)

typedef struct {
    tl_node_id node;
    tl_unix at;
} tl_revocation;

/* Zero-initialise; tl_revocations_clear frees the entries. */
typedef struct {
    tl_node_id network, issuer;
    int64_t sequence; /* from 1; grows with each list */
    tl_unix issued_at;
    size_t n;
    tl_revocation *entries; /* each node once */
    bool delegated;         /* signed by an admin, not by the authority */
    tl_unix issuer_expires_at;
} tl_revocations;

void tl_revocations_clear(tl_revocations *r);
/* NULL: not in the list. */
const tl_revocation *tl_revocations_find(const tl_revocations *r, const tl_node_id *node);

/* As tl_cert_make. TL_ERR_INVALID: too many entries, or a node twice. */
TL_CHECK tl_err tl_revocations_make(const tl_revocations *list, const tl_identity *key,
                                    const json_t *chain, json_t **ret_list);
/* Form and signatures. The caller clears *ret_list, which is filled on TL_PTN_OK only. */
tl_ptn_verdict tl_revocations_read(const json_t *value, tl_revocations *ret_list);

#endif
