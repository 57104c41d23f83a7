/* raw_peer.h - a client made by hand: it holds a key and finishes the handshake, and then puts
 * whatever frames a test likes into its packets. What libngtcp2 would never write comes from here.
 * Speaks to a quic_node's tl_quic directly, without the network, and hears it both ways. */
#ifndef TEALE_SIM_RAW_PEER_H
#define TEALE_SIM_RAW_PEER_H

#include "quic/handshake.h"
#include "quic_node.h"

#define RAW_CIDS_MAX  64
#define RAW_PATHS_MAX 64 /* from that of the handshake on */

typedef struct {
    quic_node *server;
    tl_path_id path;
    sim_host *host; /* where the server's later answers arrive */
    uint64_t links; /* a bit for each path that has one */
    tl_identity identity;
    tl_handshake handshake;
    uint8_t dcid[8], scid[8];                  /* the server's in use, ours */
    uint8_t original[8];                       /* the server's ID in message 1 */
    uint8_t message[TL_HANDSHAKE_MESSAGE_MAX]; /* message 1 */
    size_t message_n;
    uint64_t next_number;
    uint8_t server_cids[RAW_CIDS_MAX]
                       [8]; /* that NEW_CONNECTION_ID frames gave, by sequence number */
    unsigned server_cids_n; /* the highest number and one more */
    uint8_t challenge[8];   /* of the last PATH_CHALLENGE */
    bool challenged;        /* since this was last cleared */
} raw_peer;

/* Handshakes with `server` by its path `path`. The simulator borrows `p` until it is freed. Aborts
 * when the server does not like an honest client. */
void raw_peer_connect(raw_peer *p, quic_node *server, tl_path_id path);
/* A first message of a fresh identity, and no more: it leaves a handshake unfinished. Answers a
 * Retry. */
void raw_peer_knock(quic_node *server, tl_path_id path);
/* One packet with these frames, by `path`, to the server's connection ID `dcid` (NULL: the first).
 * What the server answers is read for its connection IDs and challenges and otherwise ignored. */
void raw_peer_send(raw_peer *p, tl_path_id path, const uint8_t *dcid, tl_slice frames);

/* RFC 9000 16, in the shortest form; returns the bytes written. */
size_t raw_varint(uint8_t *ret, uint64_t value);

#endif
