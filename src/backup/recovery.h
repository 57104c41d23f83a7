/* recovery.h - the keys that come from the recovery words, and from nothing else. Pure: never touches a
 * file or a terminal.
 *
 *   words = entropy --> root --> identity   signs the pointer, and shows to holders that a fragment is ours
 *                         |----> blob key    encrypts the backup itself
 *                         \----> pointer key encrypts what the DHT keeps: who holds what
 *
 * Each arrow is BLAKE2b with a number of its own (libsodium's crypto_kdf), and leads one way: a node keeps
 * the root to renew the backup, and cannot tell the words from it. 256 bits of entropy need no stretching. */
#ifndef TL_BACKUP_RECOVERY_H
#define TL_BACKUP_RECOVERY_H

#include "backup/phrase.h"
#include "crypto/identity.h"

#define TL_RECOVERY_KEY 32

/* The salt of the pointer's DHT item. */
#define TL_RECOVERY_SALT      "teale-backup"
/* Of the notice by which a machine that stands aside tells the restored one that it runs. */
#define TL_RECOVERY_TWIN_SALT "teale-twin"

typedef struct {
    uint8_t root[TL_RECOVERY_KEY];
    tl_identity identity;
    uint8_t blob_key[TL_RECOVERY_KEY], pointer_key[TL_RECOVERY_KEY];
} tl_recovery;

/* The caller wipes `ret_root`. */
void tl_recovery_root(const uint8_t entropy[TL_PHRASE_ENTROPY], uint8_t ret_root[TL_RECOVERY_KEY]);
/* The caller clears *ret. */
TL_CHECK tl_err tl_recovery_of(const uint8_t root[TL_RECOVERY_KEY], tl_recovery *ret);
/* Wipes. */
void tl_recovery_clear(tl_recovery *r);

#endif
