/* payload.h - what a backup holds, as one encrypted blob: makes and reads it. Pure: the caller brings the
 * database and the settings as bytes, and puts them back.
 *
 *   nonce[24]  XChaCha20-Poly1305 of (length u32, zlib of the plain form), "teale backup 1" authenticated
 *
 *   plain form   version u8 = 1   made_at u64   seed[32] of the node's identity
 *                then sections: kind u8  length u32  bytes; each kind once, an unknown one is skipped
 *
 * Numbers are big-endian. Nothing of the blob tells what it is: to its holders it is noise. */
#ifndef TL_BACKUP_PAYLOAD_H
#define TL_BACKUP_PAYLOAD_H

#include "backup/recovery.h"
#include "base/time.h"

/* Plain. The blob itself has the bound of fragments (backup/fragment.h). */
#define TL_PAYLOAD_MAX          (128u << 20)
#define TL_PAYLOAD_SETTINGS_MAX (1u << 20)

typedef struct {
    tl_unix made_at;
    uint8_t seed[32];
    tl_slice database; /* the file of store/, of one moment */
    tl_slice settings; /* teale.toml; empty: there was none */
} tl_payload;

/* Appends the blob. TL_ERR_TOO_LARGE: over TL_PAYLOAD_MAX, or the blob over `blob_max`. TL_ERR_INVALID:
 * there is no database. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_payload_seal(const tl_payload *p, const uint8_t blob_key[TL_RECOVERY_KEY],
                                tl_rand *rand, size_t blob_max, tl_buf *out);
/* `ret` borrows from `ret_plain`, which the caller gives to tl_payload_clear. TL_ERR_AUTH: it was not made
 * with these words, or it was altered. TL_ERR_INVALID: of a newer version. TL_ERR_PROTO: it does not hold
 * what it should. TL_ERR_TOO_LARGE, TL_ERR_NOMEM. */
TL_CHECK tl_err tl_payload_open(tl_slice blob, const uint8_t blob_key[TL_RECOVERY_KEY],
                                tl_buf *ret_plain, tl_payload *ret);
/* Wipes and frees the plain form. */
void tl_payload_clear(tl_buf *plain, tl_payload *p);

#endif
