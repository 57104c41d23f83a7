/* fragment.h - what a backup is cut into: addresses of fragments, the map that says which node holds
 * which, and what a holder signs. Pure: knows no connection, no store and no clock.
 *
 * A blob is encrypted before it comes here. So a fragment is noise to whoever holds it, and its name is
 * its content: the BLAKE2b-256 of its bytes. A fragment that was altered has another name. */
#ifndef TL_BACKUP_FRAGMENT_H
#define TL_BACKUP_FRAGMENT_H

#include "base/time.h"
#include "crypto/sign.h"

#include <jansson.h>

/* Fragments of one backup, and nodes that hold them. The map must fit the pointer, a DHT item of 1000
 * bytes, with a tag of 16 bytes a fragment and 32 bytes a node. */
#define TL_FRAGMENTS_MAX 16
/* An encrypted blob, and so a fragment where k is 1: what a member may store at a node of the default
 * store_quota, once while the last backup is still there. */
#define TL_BLOB_MAX      (8u << 20)

#define TL_FRAGMENT_ID  32
/* The first bytes of an address. Who alters a fragment must find a second preimage of 128 bits. */
#define TL_FRAGMENT_TAG 16

typedef struct {
    uint8_t bytes[TL_FRAGMENT_ID];
} tl_fragment_id;

void tl_fragment_id_of(tl_slice content, tl_fragment_id *ret_id);
bool tl_fragment_id_eq(const tl_fragment_id *a, const tl_fragment_id *b);

/* Which node holds which fragment of which blob. What is needed to get the blob back, but for its key. */
typedef struct {
    tl_fragment_id blob; /* of the encrypted blob, whole */
    uint32_t size;       /* of it; 1 to TL_BLOB_MAX */
    uint8_t k, n;      /* any k of the n fragments make the blob; 1 <= k <= n <= TL_FRAGMENTS_MAX */
    uint8_t holders_n; /* up to n */
    tl_node_id holder[TL_FRAGMENTS_MAX];
    struct {
        uint8_t tag[TL_FRAGMENT_TAG];
        uint8_t holder;           /* index; TL_FRAGMENT_NOWHERE: no node holds it now */
    } fragment[TL_FRAGMENTS_MAX]; /* n of them, in the code's order */
} tl_backup_map;
#define TL_FRAGMENT_NOWHERE 255

/* Within the bounds above, and no two holders the same. For one that came from elsewhere. */
bool tl_backup_map_is(const tl_backup_map *m);

/* What a holder signs when it has a fragment on its disk: `signature` is by `holder`, purpose
 * `fragment`, over the canonical JSON of the others. */
typedef struct {
    tl_fragment_id fragment;
    uint32_t size;
    tl_node_id owner, holder;
    tl_unix issued_at,
        expires_at; /* the holder drops it then, unless it hears of the owner before */
    tl_signature signature;
} tl_fragment_receipt;

/* TL_ERR_FORBIDDEN: `key` is not that of the holder. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_fragment_receipt_sign(tl_fragment_receipt *r, const tl_identity *key);
/* TL_ERR_AUTH: the signature is wrong, or a field is out of its range. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_fragment_receipt_verify(const tl_fragment_receipt *r);
/* The caller frees it. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_fragment_receipt_write(const tl_fragment_receipt *r, json_t **ret_object);
/* TL_ERR_PROTO: a field is missing, unknown, of another type or out of its range. The signature is read,
 * and not checked. */
TL_CHECK tl_err tl_fragment_receipt_read(json_t *object, tl_fragment_receipt *ret_receipt);

#endif
