/* identity.h - a node's Ed25519 key pair and its Curve25519 image (docs/protocol.md "Identity").
 * Never
 * touches files: io/keychain keeps the seed. */
#ifndef TL_CRYPTO_IDENTITY_H
#define TL_CRYPTO_IDENTITY_H

#include "base/rand.h"
#include "base/slice.h"

#define TL_NODE_ID_HEX 64

/* The Ed25519 public key. Only functions that refuse small-order and non-canonical keys fill it, so
 * every tl_node_id is a usable key; but for tl_node_id_parse_form, which says so. */
typedef struct {
    uint8_t key[32];
} tl_node_id;

typedef struct {
    uint8_t seed[32];     /* RFC 8032 private key; what the key file holds */
    uint8_t sign_key[64]; /* libsodium's form: seed || public */
    tl_node_id id;
    uint8_t noise_key[32];    /* Curve25519 private image */
    uint8_t noise_public[32]; /* and public; `wgPublicKey` on the wire */
} tl_identity;

/* Call it before anything else of this room; more calls do no harm. Starts libsodium and gives the
 * tables of base/table.h their random key. TL_ERR_IO: no source of randomness. */
TL_CHECK tl_err tl_crypto_init(void);

TL_CHECK tl_err tl_identity_from_seed(const uint8_t seed[32], tl_identity *ret_identity);
TL_CHECK tl_err tl_identity_new(tl_rand *rand, tl_identity *ret_identity);
/* Wipes. */
void tl_identity_clear(tl_identity *identity);

/* 64 lower-case hex digits. TL_ERR_PROTO: not that. TL_ERR_AUTH: small order, or not canonical. */
TL_CHECK tl_err tl_node_id_parse(tl_slice hex, tl_node_id *ret_id);
/* The form alone, without a look at the key, which costs as much as two checks of a signature. For
 * an id that is only compared with usable ones, as those of a list. A connection to any other fails
 * in the handshake, and no signature verifies with a key of small order. TL_ERR_PROTO. */
TL_CHECK tl_err tl_node_id_parse_form(tl_slice hex, tl_node_id *ret_id);
/* 32 raw bytes. TL_ERR_AUTH as above. */
TL_CHECK tl_err tl_node_id_from_bytes(const uint8_t key[32], tl_node_id *ret_id);
void tl_node_id_write(char ret_hex[TL_NODE_ID_HEX + 1], const tl_node_id *id);
bool tl_node_id_eq(const tl_node_id *a, const tl_node_id *b);
/* memcmp order of the keys. It decides which of two simultaneous connections stays. */
int tl_node_id_cmp(const tl_node_id *a, const tl_node_id *b);
/* The Curve25519 public key a peer with this id must use as its Noise static key. */
TL_CHECK tl_err tl_node_id_noise_public(const tl_node_id *id, uint8_t ret_public[32]);

#endif
