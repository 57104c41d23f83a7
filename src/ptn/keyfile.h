/* keyfile.h - the key of a network's authority, encrypted with a passphrase, as bytes of a file:
 * makes and reads them. Never touches a file or a terminal.
 *
 *   "teale CA key\n"  version u8  total u32  passes u32  KiB u32  salt[16]  header[24]
 *   message       of libsodium's secretstream, the only one: seed[32]  length u8  name  JSON
 *   checksum[32]  BLAKE2b of all before it: tells damage from a wrong passphrase
 *
 * Numbers are big-endian. The message's key comes from the passphrase by Argon2id (version 1.3, one
 * lane); what stands before the header is authenticated with the message. */
#ifndef TL_PTN_KEYFILE_H
#define TL_PTN_KEYFILE_H

#include "ptn/cert.h"

/* Signed lists of a whole network fit: 600 kB of revocations. */
#define TL_KEYFILE_MAX (2u << 20)

/* How dear one guess of the passphrase is. */
typedef struct {
    uint32_t passes, kib;
} tl_keyfile_cost;
/* libsodium's MODERATE: 256 MiB, about a second. */
#define TL_KEYFILE_COST       ((tl_keyfile_cost){3, 256u << 10})
/* Of a file that is read: a file must not fill memory, or keep a processor for minutes. */
#define TL_KEYFILE_PASSES_MAX 16
#define TL_KEYFILE_KIB_MAX    (1u << 20)

/* What the file keeps. The lists go with the key: an authority on a new machine that knew no list
 * would sign one with a sequence that members refuse as old. */
typedef struct {
    uint8_t seed[32];               /* of the authority */
    char name[TL_PTN_NAME_MAX + 1]; /* the network's, as this node calls it */
    json_t *revocations, *price;    /* signed objects; NULL: none yet */
} tl_keyfile;
/* Wipes, and frees the lists. */
void tl_keyfile_clear(tl_keyfile *k);

/* Appends the bytes to `out`. Takes TL_KEYFILE_COST of memory and time: not on the loop's thread.
 * TL_ERR_INVALID: the passphrase is empty, or a cost is out of its bounds. TL_ERR_TOO_LARGE.
 * TL_ERR_NOMEM: also where the cost's memory is not to be had. */
TL_CHECK tl_err tl_keyfile_write(tl_buf *out, const tl_keyfile *k, tl_slice passphrase,
                                 tl_keyfile_cost cost, tl_why *why);
/* TL_ERR_PROTO: no such file, or altered. TL_ERR_INVALID: of another version, or its cost is beyond
 * the bounds. TL_ERR_SHORT: cut off. TL_ERR_AUTH: the passphrase is wrong. TL_ERR_NOMEM. Each sets
 * `why`, which names the remedy. The lists are not verified. The caller clears *ret. */
TL_CHECK tl_err tl_keyfile_read(tl_slice file, tl_slice passphrase, tl_keyfile *ret, tl_why *why);

#endif
