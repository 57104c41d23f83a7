/* invite.h - an invitation to a network, as text: makes, reads and checks it. That a nonce is spent
 * once is the store's to say. */
#ifndef TL_PTN_INVITE_H
#define TL_PTN_INVITE_H

#include "ptn/cert.h"

#define TL_INVITE_PREFIX    "teale:inv1:"
#define TL_INVITE_NONCE     16               /* bytes */
#define TL_INVITE_MAX       2048             /* characters of the whole text */
#define TL_INVITE_RELAY_MAX 512              /* bytes of the relay's URL */
#define TL_INVITE_LIFE_MAX  (30 * 24 * 3600) /* seconds */

typedef struct {
    tl_node_id network, inviter;
    char name[TL_PTN_NAME_MAX + 1];      /* the network's, as its maker calls it */
    char relay[TL_INVITE_RELAY_MAX + 1]; /* where the inviter is met; "" where there is none */
    tl_role role;
    uint8_t nonce[TL_INVITE_NONCE];
    tl_unix expires_at;
    int64_t valid_seconds; /* of the certificate; 0: no end */
    bool bound;            /* to `node` alone */
    tl_node_id node;
} tl_invite;

/* The text, signed by the inviter's own key (`key->id` is the inviter). Appended to `out`.
 * TL_ERR_INVALID: a field out of its range, or not UTF-8. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_invite_write(tl_buf *out, const tl_invite *invite, const tl_identity *key);
/* MALFORMED: no invite; nothing about it can be trusted. SIGNATURE: it was altered. White space
 * around the text is ignored: people copy it. */
tl_ptn_verdict tl_invite_read(tl_slice text, tl_invite *ret_invite);
/* OK, EXPIRED, or FOREIGN: bound to another node than `self`. To the second, the last included. */
tl_ptn_verdict tl_invite_at(const tl_invite *invite, const tl_node_id *self, tl_unix now);

#endif
