/* pointer.h - what the DHT keeps of a backup: which nodes hold which fragments, encrypted, as the value of
 * a BEP 44 item under the recovery key, with the salt TL_RECOVERY_SALT. Pure codec.
 *
 *   "996:"  nonce[24]  XChaCha20-Poly1305 of the 956 bytes below; "teale pointer 1" and the item's sequence
 *           (8 bytes) are authenticated with them
 *
 *   version u8 = 1   instance[8]   made_at u64
 *   blob[32]   size u32   k u8   n u8   holders u8
 *   holders x  node ID[32]
 *   n x        tag[16]   holder u8 (its place above; 255: nobody)
 *   relays u8,  each  length u8  URL
 *   zeros up to 956 bytes: the value's size does not tell how many hold something
 *
 * Numbers are big-endian. A pointer with blob, size, k, n and holders of 0 is a notice, made at `made_at` by
 * the life of that instance. Under TL_RECOVERY_SALT it says that the backup was withdrawn; under
 * TL_RECOVERY_TWIN_SALT, that a machine runs which has been replaced by a restore, and stands aside. */
#ifndef TL_BACKUP_POINTER_H
#define TL_BACKUP_POINTER_H

#include "backup/fragment.h"
#include "backup/recovery.h"
#include "dht/item.h"

#define TL_POINTER_VALUE      1000 /* bytes of the item's value, the most that BEP 44 allows */
#define TL_POINTER_INSTANCE   8
#define TL_POINTER_RELAYS_MAX 4
#define TL_POINTER_URL_MAX    255

typedef struct {
    /* Random: which life of the node made it. Two machines that run with one identity, after a restore,
     * know by it that the other one writes, too. */
    uint8_t instance[TL_POINTER_INSTANCE];
    tl_unix made_at; /* the backup's, not the pointer's */
    tl_backup_map map;
    size_t relays_n; /* through which the owner was connected: its friends may be there */
    char relays[TL_POINTER_RELAYS_MAX][TL_POINTER_URL_MAX + 1];
} tl_pointer;

/* It points at nothing: a notice. */
bool tl_pointer_is_notice(const tl_pointer *p);
/* Relays for which there is no room are left out, the last first. TL_ERR_INVALID: the map is none, and not
 * empty. */
TL_CHECK tl_err tl_pointer_seal(const tl_pointer *p, const tl_recovery *keys, int64_t sequence,
                                tl_rand *rand, uint8_t ret_value[TL_POINTER_VALUE]);
/* TL_ERR_AUTH: not made with these words, or altered, or of another sequence. TL_ERR_INVALID: of a newer
 * version. TL_ERR_PROTO: it does not hold what it should. */
TL_CHECK tl_err tl_pointer_open(tl_slice value, const tl_recovery *keys, int64_t sequence,
                                tl_pointer *ret);

/* --- the signed item, as nodes hand it to each other ---
 *
 *   key[32]   sequence u64   sig[64]   value: the rest; the salt is TL_RECOVERY_SALT */

#define TL_POINTER_PACKED (32 + 8 + 64 + TL_POINTER_VALUE)

void tl_pointer_pack(const tl_dht_item *item, uint8_t ret[TL_POINTER_PACKED]);
/* Verifies it. TL_ERR_PROTO: its form. TL_ERR_AUTH: key or signature. */
TL_CHECK tl_err tl_pointer_unpack(tl_slice packed, tl_dht_item *ret_item);

#endif
