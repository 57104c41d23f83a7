/* initial.h - opens and reseals Initial packets, as anybody on the way can: their keys follow from
 * the connection ID alone. For hostile middles. */
#ifndef TEALE_SIM_INITIAL_H
#define TEALE_SIM_INITIAL_H

#include "base/slice.h"

#define INITIAL_PLAIN_MAX 1500

typedef struct {
    uint8_t dcid[20], scid[20];
    size_t dcid_n, scid_n;
    size_t head_n;   /* up to the packet number */
    size_t packet_n; /* of the datagram's first packet */
    uint64_t packet_number;
    uint8_t plain[INITIAL_PLAIN_MAX]; /* frames */
    size_t plain_n;
    tl_slice token; /* to seal */
} initial;
#define INITIAL_TOKEN_MAX 120

/* `key_dcid` is the client's first destination ID (or Retry's). False: not an Initial of that key.
 */
bool initial_open(const uint8_t *datagram, size_t n, tl_slice key_dcid, bool from_client,
                  initial *ret_initial);
/* Writes a datagram of one Initial packet with the frames and the token (borrowed) in `in`, of at least 1200 bytes. */
size_t initial_seal(const initial *in, tl_slice key_dcid, bool from_client, uint8_t *ret,
                    size_t cap);
/* The CRYPTO frame's bytes at offset 0 in in->plain. */
bool initial_crypto(initial *in, uint8_t **ret_data, size_t *ret_n);

#endif
