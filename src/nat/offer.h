/* offer.h - signed offers, answers and candidates (docs/protocol.md "Direct paths"): makes them,
 * and reads them with every signature, time and key checked. Knows no relay and keeps no state but
 * the nonces seen. */
#ifndef TL_NAT_OFFER_H
#define TL_NAT_OFFER_H

#include "base/json.h"
#include "base/time.h"
#include "crypto/identity.h"
#include "nat/candidate.h"
#include "nat/type.h"

#define TL_OFFER_SKEW_SECONDS 30 /* between two clocks */
/* Each is kept for at most twice the skew; the oldest make room. */
#define TL_NONCES_MAX         4096
#define TL_NONCES_NODE_MAX    256 /* of one node: above it, its own oldest make room */
#define TL_SESSION_TEXT       36  /* a UUID */

/* The field connectionInfo. An address that is not known has the family NONE, and is "" and 0 on
 * the wire. One that cannot be read becomes NONE, too, and is counted; the rest still counts. */
typedef struct {
    tl_addr public_addr, local_addr; /* after tl_addr_normal; may be FORBIDDEN ones */
    tl_nat_type nat_type;
    unsigned unreadable; /* addresses; of an offer read */
} tl_connection_info;

typedef enum { TL_OFFER_OFFER, TL_OFFER_ANSWER, TL_OFFER_CANDIDATE } tl_offer_type;

typedef struct {
    tl_offer_type type;
    tl_node_id from;
    char session[65];
    tl_connection_info info; /* offer, answer */
    tl_candidate candidate;  /* candidate; the caller refuses FORBIDDEN ones */
} tl_offer;

/* A fresh session ID (RFC 9562 version 4). */
void tl_session_new(tl_rand *rand, char ret_session[TL_SESSION_TEXT + 1]);

/* The payload, signed by `self`; the caller frees it (json_decref). `type` is OFFER or ANSWER.
 * TL_ERR_NOMEM. */
TL_CHECK tl_err tl_offer_make(tl_offer_type type, const tl_identity *self, const tl_node_id *to,
                              const char *session, const tl_connection_info *info, tl_rand *rand,
                              tl_unix wall, json_t **ret_payload);
TL_CHECK tl_err tl_candidate_make(const tl_identity *self, const tl_node_id *to,
                                  const char *session, const tl_candidate *c, tl_rand *rand,
                                  tl_unix wall, json_t **ret_payload);

/* Nonces seen, so that a replay does nothing. Zero-initialise; then only through tl_offer_read. */
typedef struct {
    size_t n, cap;
    struct tl_nonce *seen;
} tl_nonces;
void tl_nonces_clear(tl_nonces *m);
#define TL_NONCE_SIZE 16
bool tl_nonces_has(const tl_nonces *m, const tl_node_id *from, const uint8_t nonce[TL_NONCE_SIZE]);
/* Remembers the nonce until then. False: it is known, or out of memory. */
bool tl_nonces_take(tl_nonces *m, const tl_node_id *from, const uint8_t nonce[TL_NONCE_SIZE],
                    tl_unix until, tl_unix wall);

typedef enum {
    TL_OFFER_OK,
    TL_OFFER_MALFORMED, /* a field is missing, of a wrong type or out of range */
    TL_OFFER_NOT_OURS,  /* toNodeID is another node */
    TL_OFFER_KEY,       /* fromNodeID is no usable key, or wgPublicKey not its image */
    TL_OFFER_SIGNATURE,
    TL_OFFER_LATE, /* issuedAt is more than the skew away */
    TL_OFFER_REPLAYED,
    TL_OFFER_NO_MEMORY,
    TL_OFFER_VERDICTS
} tl_offer_verdict;
const char *tl_offer_verdict_name(tl_offer_verdict v);

/* `payload` is the message's object (without "_0"). Cheap checks come before signatures. A nonce is
 * remembered only when the payload's signature is right. `ret_offer` is filled on OK only. */
tl_offer_verdict tl_offer_read(tl_offer_type type, tl_slice payload, const tl_identity *self,
                               tl_nonces *nonces, tl_unix wall, tl_offer *ret_offer);

#endif
