/* hide.h - the tag that a member shows instead of a network's ID (setting ptn.hide): makes it, and
 * recognises it. Knows no clock, and does not know who holds the key of a group.
 *
 *   tag = HMAC-SHA256(group key, nodeID || hour since 1970 as u64, big-endian)
 *
 * It looks like a ptnID, differs for each member and hour, and tells nothing to a node that lacks
 * the group key. A tag that was copied is of no use to another node. It proves no membership: it
 * only says whom it is worth to show a certificate to. */
#ifndef TL_PTN_HIDE_H
#define TL_PTN_HIDE_H

#include "base/time.h"
#include "crypto/identity.h"

#include <sodium.h>

#define TL_HIDE_KEY      32 /* bytes of a group key */
#define TL_HIDE_TAG      32 /* bytes; 64 hex digits on the wire */
#define TL_HIDE_HOUR     3600
/* Clocks may differ by so many hours. Each hour more is one HMAC more for each node that is listed:
 * three cost about 2 us. */
#define TL_HIDE_HOURS_BY 1
#define TL_HIDE_HOURS    (2 * TL_HIDE_HOURS_BY + 1) /* HMACs of one key for one node */

/* A group key, prepared: half of what a tag costs is done once. */
typedef struct {
    crypto_auth_hmacsha256_state state;
} tl_hide_key;

void tl_hide_prepare(tl_hide_key *ret_key, const uint8_t group[TL_HIDE_KEY]);
void tl_hide_clear(tl_hide_key *key);

/* What `node` shows at `now`. */
void tl_hide_tag(const tl_hide_key *key, const tl_node_id *node, tl_unix now,
                 uint8_t ret_tag[TL_HIDE_TAG]);
/* The tag is another from this second on. */
tl_unix tl_hide_until(tl_unix now);
/* Is one of the `n` tags that `node` shows made with this key, in this hour or in one
 * TL_HIDE_HOURS_BY from it? The HMACs do not grow with `n`. */
bool tl_hide_recognises(const tl_hide_key *key, const tl_node_id *node, tl_unix now,
                        const uint8_t (*tags)[TL_HIDE_TAG], size_t n);

#endif
