/* nonces.h - nonces of signed datagrams, kept for as long as a replay would be fresh. Pure; constant time. The owner
 * keeps a nonce only after its signature was checked, and bounds those checks: `max` is above what they make in
 * TL_CONTROL_NONCE_KEPT seconds, so none is forgotten too early. */
#ifndef TL_RELAY_NONCES_H
#define TL_RELAY_NONCES_H

#include "base/time.h"
#include "wire/control.h"

#include <stddef.h>

typedef struct tl_seen_nonce tl_seen_nonce;

/* Zero-initialise, but for `max`. */
typedef struct {
    size_t max, n;
    tl_seen_nonce *table, *first, *last; /* members are private */
} tl_seen_nonces;

bool tl_seen_nonces_has(const tl_seen_nonces *s, const uint8_t signer[TL_CONTROL_ID_SIZE],
                        const uint8_t nonce[TL_CONTROL_NONCE_SIZE]);
/* The nonce is new. False: there is no room, or no memory. */
TL_CHECK bool tl_seen_nonces_keep(tl_seen_nonces *s, const uint8_t signer[TL_CONTROL_ID_SIZE],
                                  const uint8_t nonce[TL_CONTROL_NONCE_SIZE], tl_time now);
/* Forgets those whose time is over. */
void tl_seen_nonces_sweep(tl_seen_nonces *s, tl_time now);
void tl_seen_nonces_clear(tl_seen_nonces *s);

#endif
