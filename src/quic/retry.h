/* retry.h - the tokens of Retry. With a token, a client proves to a loaded server that it hears
 * answers, before the server keeps any state. Only seals and opens tokens; sends nothing.
 *
 *   token = nonce (24) | XChaCha20-Poly1305(key; time u64 | original DCID), over path, SCID and the
 *   new DCID as associated data */
#ifndef TL_QUIC_RETRY_H
#define TL_QUIC_RETRY_H

#include "base/rand.h"
#include "base/time.h"
#include "quic/quic_compat.h"

#include "base/slice.h"

#define TL_RETRY_TOKEN_MAX (24 + 8 + NGTCP2_MAX_CIDLEN + 16)
#define TL_RETRY_LIFETIME  (10 * TL_SEC) /* as long as a handshake may take */

typedef struct {
    uint8_t key[32];
} tl_retry_key;

/* The path and the connection IDs for which a token is good. */
typedef struct {
    uint32_t path;
    ngtcp2_cid client_scid;
    ngtcp2_cid new_dcid; /* the SCID of the Retry packet */
} tl_retry_context;

size_t tl_retry_token_write(const tl_retry_key *key, tl_rand *rand, const tl_retry_context *context,
                            const ngtcp2_cid *original_dcid, tl_time now,
                            uint8_t ret_token[TL_RETRY_TOKEN_MAX]);
/* TL_ERR_AUTH: not ours, or for another context. TL_ERR_TIMEOUT: too old. */
TL_CHECK tl_err tl_retry_token_open(const tl_retry_key *key, const tl_retry_context *context,
                                    tl_slice token, tl_time now, ngtcp2_cid *ret_original_dcid);

#endif
