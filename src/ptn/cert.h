/* cert.h - certificates of a private TealeNet (seed 002): makes and
 * checks them. Knows no clock and no store; nothing here reads a connection.
 *
 * A network is the Ed25519 key of its authority: the key's hex is the ptnID. The authority signs
 * certificates itself, or signs an admin's, and the admin signs members': two links at most. */
#ifndef TL_PTN_CERT_H
#define TL_PTN_CERT_H

#include "base/number.h"
#include "base/time.h"
#include "crypto/identity.h"

#include <jansson.h>

#define TL_PTN_NAME_MAX         64        /* bytes of a network's name */
#define TL_PTN_NO_END           INT64_MAX /* of a time: never */
#define TL_PTN_TIME_MAX         TL_NUMBER_EXACT_MAX
/* Sequences and versions of what an admin signs with its own key end here, years of millions a day
 * away. What is above is the authority's: no admin can make a number that the authority cannot
 * exceed. */
#define TL_PTN_ADMIN_NUMBER_MAX ((int64_t)1 << 40)
/* A clock may be this much behind the one that signed: laptops are an hour off after a change of
 * time zone. */
#define TL_PTN_AHEAD_MAX        7200

typedef enum { TL_ROLE_CONSUMER, TL_ROLE_PROVIDER, TL_ROLE_ADMIN, TL_ROLES } tl_role;
/* The wire's name; static storage. */
const char *tl_role_name(tl_role role);
/* False: no role of that name. */
bool tl_role_parse(const char *name, tl_role *ret_role);
/* The table of the seed: an admin invites; admins and providers serve; every member asks. */
bool tl_role_may_invite(tl_role role);
bool tl_role_may_serve(tl_role role);

/* Why a signed object is not believed. */
typedef enum {
    TL_PTN_OK,
    TL_PTN_MALFORMED, /* a field is missing, unknown, of a wrong type or out of range */
    TL_PTN_SIGNATURE,
    TL_PTN_CHAIN,   /* the issuer's certificate is missing, of another node or network, not an
                       admin's, or not signed by the authority */
    TL_PTN_FOREIGN, /* another network, or another node than the one that shows it */
    TL_PTN_EARLY,   /* issued further ahead than a clock may be wrong */
    TL_PTN_EXPIRED,
    TL_PTN_REVOKED, /* the node, or the admin that signed for it */
    TL_PTN_OLD,     /* a newer one is known */
    TL_PTN_NO_MEMORY,
    TL_PTN_VERDICTS
} tl_ptn_verdict;
/* For a person: "signature wrong"; static storage. */
const char *tl_ptn_verdict_words(tl_ptn_verdict v);

/* A certificate whose form and signatures are right. It holds for `node` alone, in time, and while
 * neither `node` nor, where it is delegated, `issuer` is revoked: `tl_ptn_judge`. */
typedef struct tl_cert {
    tl_node_id network, node, issuer;
    tl_role role;
    tl_unix issued_at, expires_at; /* the first second of it, and the last; TL_PTN_NO_END */
    bool delegated;                /* signed by the issuer's own key, not by the authority's */
    tl_unix issuer_expires_at;     /* of the issuer's certificate, where it is delegated */
} tl_cert;

/* What a price and a group key have in common: of each, all members of a network hold the one of the
 * highest version. */
typedef struct {
    tl_node_id network, issuer;
    int64_t version; /* from 1; grows with each */
    tl_unix issued_at;
    bool delegated;
    tl_unix issuer_expires_at; /* of the issuer's certificate, where it is delegated */
} tl_numbered;

/* `key`: the authority's, or the issuer's own; then `chain` is the issuer's certificate. What must
 * not be signed is refused: TL_ERR_FORBIDDEN (an admin makes no admin; the key is neither the
 * network's nor the issuer's) or TL_ERR_INVALID (times out of range, or an end after the issuer's
 * own). The caller frees *ret (json_decref). TL_ERR_NOMEM. */
TL_CHECK tl_err tl_cert_make(const tl_cert *wish, const tl_identity *key, const json_t *chain,
                             json_t **ret_certificate);
/* Form and signatures; the signature covers the canonical form of what was read (RFC 8785). Whole
 * seconds are integers. A time with a fraction, as the original programs write it, counts as its
 * second. */
tl_ptn_verdict tl_cert_read(const json_t *value, tl_cert *ret_cert);
/* OK, EARLY or EXPIRED; to the second, the last one included. */
tl_ptn_verdict tl_cert_at(const tl_cert *cert, tl_unix now);

#endif
