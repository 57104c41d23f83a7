/* relay_node.h - a node that a load generator makes at a relay: one connection, plain or TLS, that
 * registered, and messages one after the other. Ends the program where anything fails, but for a node
 * that joins without waiting. */
#ifndef TEALE_BENCH_RELAY_NODE_H
#define TEALE_BENCH_RELAY_NODE_H

#include "base/addr.h"
#include "crypto/sign.h"
#include "wire/signalread.h"
#include "wire/signalwrite.h"
#include "wire/wsupgrade.h"

#include <openssl/ssl.h>

#define LOAD_READ_SIZE (512u << 10) /* the longest message that comes */

typedef struct load_relay load_relay;

/* LOAD_CONNECTING .. LOAD_JOINED in this order, by load_join_step; from each of them to LOAD_ENDED. */
typedef enum {
    LOAD_CONNECTING,
    LOAD_SHAKING_HANDS, /* TLS */
    LOAD_UPGRADING,
    LOAD_REGISTERING,
    LOAD_JOINED,
    LOAD_ENDED, /* the relay, or the way to it */
} load_joining;

typedef struct {
    const load_relay *at;
    int fd;
    SSL *ssl; /* NULL: plain */
    tl_identity identity;
    char id[TL_NODE_ID_HEX + 1], legacy[2 * TL_SIGNATURE_SIZE + 1];
    char key[TL_WS_KEY_SIZE]; /* of the upgrade */
    bool quiet;               /* it is not told who joins and who leaves */
    bool may_end;             /* its end is not the program's */
    bool asked;               /* an old node that sent its registration */
    bool may_fail;            /* an error is passed over */
    load_joining joining;     /* of a node that joins without waiting */
    double told;              /* when it heard last that nodes joined or left; 0: never */
    uint8_t *in;
    size_t in_n;
    tl_signal_relay_offer offer; /* of the last relayOffer; `udp` points to offer_udp */
    char offer_udp[TL_HOST_MAX + 6];
} load_node;

/* Where a relay is. `url`: ws://HOST[:PORT] or wss://HOST[:PORT]. `ca`: a PEM file, or NULL for those
 * of the system. Never freed. */
const load_relay *load_relay_at(const char *url, const char *ca);

_Noreturn void load_die(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void load_must(tl_err e, const char *what);
double load_seconds(void);
extern const uint8_t load_mask[4];

/* Connects and registers. Nodes of one program come from several addresses of loopback if the relay
 * is there, because a relay bounds what one address may have. */
void load_node_new(load_node *n, const load_relay *at, tl_rand *rand, int number);
void load_node_end(load_node *n);

/* From now on nodes are as those of the original protocol: they wait for no challenge, sign their name
 * alone, and understand nothing that came later. Only load_join_begin makes such nodes. */
void load_make_old_nodes(void);
/* Makes a node's key; then the same without waiting. Its descriptor is to be watched for both, edge by
 * edge, and load_join_step called at each; it also reads what comes after the node has joined. The
 * certificate is not looked at again: the caller makes one node by load_node_new before. */
void load_node_prepare(load_node *n, tl_rand *rand);
void load_join_begin(load_node *n, const load_relay *at, int number);
void load_join_step(load_node *n, tl_rand *rand);

/* Sends all of it. */
void load_send_text(load_node *n, tl_slice text);
void load_send_binary(load_node *n, tl_slice bytes);
/* Both never wait. Return how many bytes went or came, 0: none now. */
size_t load_write(load_node *n, const void *bytes, size_t size);
size_t load_read(load_node *n);
/* Forgets so many of the bytes in `in`. */
void load_drop(load_node *n, size_t size);
/* Reads what is there, and drops the frames that are whole. */
void load_skip(load_node *n);
/* Waits for the next message of `type`; others are passed over, an error is the end. */
void load_await(load_node *n, tl_signal_type type);
/* The same; afterwards the caller clears the signal and drops the frame. */
void load_await_signal(load_node *n, tl_signal_type type, tl_signal *ret, size_t *ret_frame_n);

#endif
