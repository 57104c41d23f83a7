/* handshake.h - the Noise handshake as it travels in QUIC's CRYPTO frames (docs/protocol.md
 * "Between two nodes"): its messages, their payloads, and the secrets it yields. Knows nothing of
 * ngtcp2, packets or time.
 *
 *   level      direction  bytes
 *   Initial    ->         u16 n | mac1 (16) | Noise IK message 1 (n - 16)
 *                           its payload: node ID (32) | timestamp u64 | u8 k | k suites |
 *                                        transport parameters
 *   Initial    <-         u16 n | Noise IK message 2
 *                           its payload: the chosen suite (1)
 *   Handshake  <-         u16 n | the server's transport parameters
 *   Handshake  ->         finished (32)
 *
 * The node ID in message 1 must map to the static key. A point and its negative map to the same
 * static key, so the holder of a key may show either of two IDs. Both belong to that holder alone.
 *
 *   client:  NEW --write_msg1--> WAIT_MSG2 --on_msg2--> KEYED
 *   server:  NEW --on_msg1--> GOT_MSG1 --write_msg2--> KEYED --check_finished--> DONE */
#ifndef TL_QUIC_HANDSHAKE_H
#define TL_QUIC_HANDSHAKE_H

#include "crypto/identity.h"
#include "crypto/noise.h"

#define TL_HANDSHAKE_MAC1_SIZE     16
#define TL_HANDSHAKE_FINISHED_SIZE 32
#define TL_HANDSHAKE_SUITES_MAX    8   /* that a peer may offer; two are defined */
#define TL_HANDSHAKE_PARAMS_MAX    512 /* ours take about 80 bytes */
#define TL_HANDSHAKE_MESSAGE_MAX   768 /* message 1 and its frame; one Initial packet holds 1100 */

typedef enum {
    TL_HANDSHAKE_NEW,       /* nothing written or read */
    TL_HANDSHAKE_WAIT_MSG2, /* client: message 1 is written */
    TL_HANDSHAKE_GOT_MSG1,  /* server: the client's static key and offer are known, not yet proven
                               fresh */
    TL_HANDSHAKE_KEYED,     /* both messages are done: secrets may be taken */
    TL_HANDSHAKE_DONE,      /* server: the client proved that it holds the keys now */
} tl_handshake_state;

typedef struct {
    tl_handshake_state state;
    tl_noise noise;
    const tl_identity *identity; /* borrows */
    tl_node_id peer;             /* the node dialled, or the one that message 1 named */
    uint64_t timestamp;          /* of message 1: seconds since 1970 by the client's clock */
    uint32_t suites;             /* bit mask of 1 << suite: those offered (client) or accepted
                                    (server) */
    uint8_t suite;               /* chosen; 0 before */
} tl_handshake;

/* `suites` is a mask of 1 << suite with suites 1 to 8. TL_ERR_AUTH: the peer's key is unusable. */
TL_CHECK tl_err tl_handshake_init_client(tl_handshake *h, const tl_identity *identity,
                                         const tl_node_id *peer, uint32_t suites);
void tl_handshake_init_server(tl_handshake *h, const tl_identity *identity, uint32_t suites);
/* Wipes. */
void tl_handshake_clear(tl_handshake *h);

/* --- the messages: `write` adds the u16 in front, `on` takes a message without it --- */
TL_CHECK tl_err tl_handshake_write_msg1(tl_handshake *h, tl_rand *rand, uint64_t timestamp,
                                        tl_slice params, uint8_t ret[TL_HANDSHAKE_MESSAGE_MAX],
                                        size_t *ret_n);
/* Checks mac1 before any Diffie-Hellman. ret_params holds TL_HANDSHAKE_MESSAGE_MAX bytes.
 * TL_ERR_AUTH: mac1 or Noise failed, or the node ID does not belong to the static key.
 * TL_ERR_SHORT, TL_ERR_PROTO: malformed, or no suite in common. On any error no answer may be
 * sent. */
TL_CHECK tl_err tl_handshake_on_msg1(tl_handshake *h, tl_slice message, uint8_t *ret_params,
                                     size_t *ret_params_n);
TL_CHECK tl_err tl_handshake_write_msg2(tl_handshake *h, tl_rand *rand,
                                        uint8_t ret[TL_HANDSHAKE_MESSAGE_MAX], size_t *ret_n);
/* TL_ERR_AUTH: not from the dialled peer. TL_ERR_PROTO: a suite that was not offered. */
TL_CHECK tl_err tl_handshake_on_msg2(tl_handshake *h, tl_slice message);
void tl_handshake_write_finished(const tl_handshake *h, uint8_t ret[TL_HANDSHAKE_FINISHED_SIZE]);
/* TL_ERR_AUTH. */
TL_CHECK tl_err tl_handshake_check_finished(tl_handshake *h, tl_slice message);

/* Puts the u16 in front. TL_ERR_TOO_LARGE. */
TL_CHECK tl_err tl_handshake_frame(tl_slice message, uint8_t ret[TL_HANDSHAKE_MESSAGE_MAX],
                                   size_t *ret_n);

/* --- secrets, one per level and direction; from KEYED on --- */
typedef enum {
    TL_SECRET_CLIENT_HANDSHAKE,
    TL_SECRET_SERVER_HANDSHAKE,
    TL_SECRET_CLIENT_APPLICATION,
    TL_SECRET_SERVER_APPLICATION,
} tl_handshake_secret_id;
void tl_handshake_secret(const tl_handshake *h, tl_handshake_secret_id id, uint8_t ret_secret[32]);

/* --- taking messages out of a CRYPTO byte stream, which may cut them anywhere --- */
typedef struct {
    uint8_t data[TL_HANDSHAKE_MESSAGE_MAX];
    size_t n;
} tl_handshake_inbox;

/* Adds the bytes. TL_ERR_TOO_LARGE: more than any message has. */
TL_CHECK tl_err tl_handshake_inbox_add(tl_handshake_inbox *in, tl_slice bytes);
/* Gives the message when all of it is there; *ret_message borrows the inbox and is without the u16.
 * TL_ERR_AGAIN: a part is missing. TL_ERR_PROTO: something follows the message. TL_ERR_TOO_LARGE:
 * the message can never fit. */
TL_CHECK tl_err tl_handshake_inbox_message(const tl_handshake_inbox *in, tl_slice *ret_message);

#endif
