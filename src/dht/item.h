/* item.h - items of the DHT (BEP 44): values under the hash of their bytes (immutable), or under a
 * key that signs them (mutable). Pure: keeps and sends nothing.
 *
 *   target of an immutable item = SHA-1(value)
 *   target of a mutable item    = SHA-1(key || salt)
 *   signed bytes                = "4:salt" LENGTH ":" SALT "3:seqi" SEQ "e1:v" VALUE
 *                                 (without a salt, from "3:seq" on)
 *
 * Keys are usable node IDs: of no small order, and in their one encoding. Signatures have their one
 * form. Other programs take more; what only they take does not exist for us (docs/adr/0030-what-of-the-dht-is-taken.md). */
#ifndef TL_DHT_ITEM_H
#define TL_DHT_ITEM_H

#include "crypto/sign.h"
#include "dht/id.h"
#include "wire/krpc.h"

#define TL_DHT_VALUE_MAX 1000 /* BEP 44: of the encoded value */
#define TL_DHT_SALT_MAX  64   /* BEP 44 */

/* Holds copies. */
typedef struct {
    bool is_mutable; /* else `value` is all there is */
    uint8_t key[32]; /* Ed25519 */
    uint8_t sig[64];
    int64_t seq; /* 0 or more; the higher one of a target replaces the lower one */
    uint8_t n_salt;
    uint8_t salt[TL_DHT_SALT_MAX];
    uint16_t n_value;
    uint8_t value[TL_DHT_VALUE_MAX]; /* one canonical bencoded value */
} tl_dht_item;

static inline tl_slice tl_dht_item_value(const tl_dht_item *item)
{
    return tl_slice_of(item->value, item->n_value);
}
static inline tl_slice tl_dht_item_salt(const tl_dht_item *item)
{
    return tl_slice_of(item->salt, item->n_salt);
}

/* Of the mutable item that `key` signs with this salt (at most TL_DHT_SALT_MAX bytes). */
tl_dht_id tl_dht_target_of_key(const uint8_t key[32], tl_slice salt);
/* Of the immutable item with this value. */
tl_dht_id tl_dht_target_of_value(tl_slice value);
tl_dht_id tl_dht_item_target(const tl_dht_item *item);

/* Makes a mutable item under the identity's key. Copies. TL_ERR_INVALID: salt or value is too long,
 * the value is no canonical bencoding, or `seq` is negative. */
TL_CHECK tl_err tl_dht_item_sign(const tl_identity *identity, tl_slice salt, int64_t seq,
                                 tl_slice value, tl_dht_item *ret_item);
/* Makes an immutable item. Copies. TL_ERR_INVALID as above. */
TL_CHECK tl_err tl_dht_item_of_value(tl_slice value, tl_dht_item *ret_item);
/* Is it right in form, and signed by its key? An immutable one costs nothing, a mutable one as much
 * as three checks of a signature. TL_ERR_INVALID: its form. TL_ERR_AUTH: key or signature. */
TL_CHECK tl_err tl_dht_item_verify(const tl_dht_item *item);

/* Takes the item from an answer to a `get` of `target`, with this salt (empty: none), and verifies
 * it. Copies. TL_ERR_NOT_FOUND: the answer has none. TL_ERR_AUTH: it is not the item of that target,
 * or key or signature is wrong. TL_ERR_INVALID: its form is wrong. */
TL_CHECK tl_err tl_dht_item_from_answer(const tl_krpc *answer, const tl_dht_id *target,
                                        tl_slice salt, tl_dht_item *ret_item);
/* Takes the item from a `put`. Does not verify it. Copies. TL_ERR_TOO_LARGE: the value is too long.
 * TL_ERR_INVALID: so is the salt, or something else of its form is wrong. */
TL_CHECK tl_err tl_dht_item_from_put(const tl_krpc *query, tl_dht_item *ret_item);
/* Sets what a `put` says of the item: key, salt, seq, sig and value, and its target, which BEP 44 does
 * not ask for, but the `mainline` crate does. Borrows from `item`. The caller adds the ID and the
 * token. */
void tl_dht_item_into_put(const tl_dht_item *item, tl_krpc *query);

#endif
