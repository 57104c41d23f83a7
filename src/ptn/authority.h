/* authority.h - what an admin of a network decides and signs: networks, invites, certificates, lists
 * of revoked nodes, prices, group keys. Pure: never touches a clock, a store or a connection. That a
 * nonce is spent once is the store's to say; nothing that is made here counts before it is stored. */
#ifndef TL_PTN_AUTHORITY_H
#define TL_PTN_AUTHORITY_H

#include "ptn/invite.h"
#include "ptn/networks.h"

/* Why something that was asked for is refused: to a person, and on the wire by its code. */
typedef enum {
    TL_REFUSAL_NONE,
    TL_REFUSAL_INVITE_MALFORMED,
    TL_REFUSAL_INVITE_ALTERED, /* its signature is wrong */
    TL_REFUSAL_INVITE_EXPIRED,
    TL_REFUSAL_INVITE_USED,       /* by another node */
    TL_REFUSAL_INVITE_WITHDRAWN,  /* or its maker does not know it any more */
    TL_REFUSAL_INVITE_OTHER_NODE, /* it is bound to another */
    TL_REFUSAL_INVITE_FOREIGN,    /* its maker is no admin of that network */
    TL_REFUSAL_REVOKED,
    TL_REFUSAL_NOT_ADMIN, /* this node is no admin of the network, or no longer */
    TL_REFUSAL_NOT_CA,    /* the authority's own key is needed, and is elsewhere */
    TL_REFUSAL_DENIED,    /* the certificate has expired, or is not there */
    TL_REFUSAL_NOT_FOUND, /* no such member, invite or network */
    TL_REFUSAL_EXISTS,
    TL_REFUSAL_INVALID, /* a value out of its range */
    TL_REFUSAL_AWAY,    /* nobody is there whom one could ask */
    TL_REFUSAL_BUSY,    /* too much at once: asking later helps */
    TL_REFUSAL_STORE,   /* the disk took nothing */
    TL_REFUSAL_INTERNAL,
    TL_REFUSALS
} tl_refusal;
/* "E_INVITE_USED"; "" for NONE. */
const char *tl_refusal_code(tl_refusal r);
/* False: no code of the list. */
bool tl_refusal_parse(const char *code, tl_refusal *ret);
/* One sentence with cause and remedy, without a full stop. */
const char *tl_refusal_words(tl_refusal r);
/* Does asking again later make sense? */
bool tl_refusal_is_passing(tl_refusal r);

/* Is this node an admin of the network, at `now`? NONE, NOT_ADMIN, REVOKED, NOT_FOUND, DENIED. */
tl_refusal tl_authority_may(const tl_networks *b, const tl_membership *n, tl_unix now);

/* A new network: its authority, and the certificate of its first admin, `self`, whose role is signed
 * by the authority. The caller wipes *ret_ca and frees *ret_certificate. */
TL_CHECK tl_err tl_authority_found(const tl_identity *self, tl_rand *rand, tl_unix now,
                                   tl_identity *ret_ca, json_t **ret_certificate);
/* The certificate of an admin for `self`, who holds the authority's key. */
TL_CHECK tl_err tl_authority_certify_self(const tl_identity *self, const tl_identity *ca,
                                          tl_unix now, json_t **ret_certificate);

/* An invite that `self`, an admin, makes: nonce, network and inviter are filled in. INVALID: it lasts
 * longer than TL_INVITE_LIFE_MAX or has ended. NOT_CA: an admin's, where the key is not. The text is
 * appended to `out`. */
tl_refusal tl_authority_invite(const tl_networks *b, const tl_membership *n,
                               const tl_identity *self, tl_rand *rand, tl_unix now,
                               tl_invite *invite, tl_buf *out);

/* Who asks to join: `peer`, as the connection proves, with the message ptnJoin. Judges all but the
 * nonce. EXPIRED stays open: a node that used the invite in time may ask for its certificate again.
 * *ret_network and *ret_invite are filled on NONE and INVITE_EXPIRED. */
tl_refusal tl_authority_judge_join(const tl_networks *b, const tl_identity *self,
                                   const tl_node_id *peer, const json_t *join, tl_unix now,
                                   tl_membership **ret_network, tl_invite *ret_invite);
/* The message ptnJoin of the node `self`. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_authority_write_join(const tl_identity *self, const char *invite,
                                        json_t **ret_join);

/* A certificate for `node`, newer than the one that is known. `lifetime`: seconds, 0: no end; it ends with our own where we sign with
 * our own key. NOT_CA, REVOKED, INVALID, and those of tl_authority_may. */
tl_refusal tl_authority_certify(const tl_networks *b, const tl_membership *n,
                                const tl_identity *self, const tl_node_id *node, tl_role role,
                                int64_t lifetime, tl_unix now, json_t **ret_certificate);
/* Seconds from issue to end; 0: no end. */
int64_t tl_authority_lifetime(const tl_cert *cert);

/* The next list of revoked nodes, with `node` in it, too (NULL: nobody else). EXISTS: it is revoked
 * already. INVALID: there is no room for more. NOT_CA: there is, but for the authority's key alone. */
tl_refusal tl_authority_revoke(const tl_networks *b, const tl_membership *n,
                               const tl_identity *self, const tl_node_id *node, tl_unix now,
                               json_t **ret_list);
tl_refusal tl_authority_price(const tl_networks *b, const tl_membership *n, const tl_identity *self,
                              int64_t micro, tl_unix now, json_t **ret_price);
tl_refusal tl_authority_groupkey(const tl_networks *b, const tl_membership *n,
                                 const tl_identity *self, tl_rand *rand, tl_unix now,
                                 json_t **ret_object);

#endif
