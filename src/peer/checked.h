/* checked.h - the node IDs whose keys were checked, with the Curve25519 image of each, so that a list of
 * nodes costs two point multiplications a node once, and not each time it comes. Pure memory. What is
 * kept was computed here: a relay can fill it, and make nothing in it false. */
#ifndef TL_PEER_CHECKED_H
#define TL_PEER_CHECKED_H

#include "crypto/identity.h"

/* About so many are remembered; a newer one then takes the place of an older. A relay lists fewer in one
 * discovery (TL_RELAY_PAGES_MAX pages). 128 bytes each, made as nodes come to be known. */
#define TL_CHECKED_MAX 8192

typedef struct {
    tl_node_id id;
    uint8_t image[32];
} tl_checked_key;

/* Zero-initialise to begin. */
typedef struct {
    tl_checked_key *slots; /* a power of two of them; an ID of zeros is a free one */
    size_t size, n;
} tl_checked;

/* NULL: it was not checked, or that is forgotten. Borrowed until the next call of tl_checked_add. */
const uint8_t *tl_checked_image(const tl_checked *t, const tl_node_id *id);
/* Where memory is out, it is not remembered. */
void tl_checked_add(tl_checked *t, const tl_node_id *id, const uint8_t image[32]);
void tl_checked_clear(tl_checked *t);

#endif
