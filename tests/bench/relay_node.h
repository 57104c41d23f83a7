/* relay_node.h - a node that a load generator makes at a relay: one connection, plain or TLS, that
 * registered, and messages one after the other. Ends the program where anything fails. */
#ifndef TEALE_BENCH_RELAY_NODE_H
#define TEALE_BENCH_RELAY_NODE_H

#include "base/addr.h"
#include "crypto/sign.h"
#include "wire/signalread.h"
#include "wire/signalwrite.h"
#include "wire/wsupgrade.h"

#include <openssl/ssl.h>

#define LOAD_READ_SIZE (512u << 10) /* the longest message that comes */

typedef struct {
    int fd;
    SSL *ssl; /* NULL: plain */
    char id[TL_NODE_ID_HEX + 1];
    uint8_t *in;
    size_t in_n;
    tl_signal_relay_offer offer; /* of the last relayOffer; `udp` points to offer_udp */
    char offer_udp[TL_HOST_MAX + 6];
} load_node;

/* Where the relay is: set once, before the first node. `url`: ws://HOST[:PORT] or
 * wss://HOST[:PORT]. `ca`: a PEM file, or NULL for those of the system. */
void load_target(const char *url, const char *ca);

_Noreturn void load_die(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void load_must(tl_err e, const char *what);
double load_seconds(void);
extern const uint8_t load_mask[4];

/* Connects and registers. Nodes of one program come from several addresses of loopback if the relay
 * is there, because a relay bounds what one address may have. */
void load_node_new(load_node *n, tl_rand *rand, int number);
void load_node_end(load_node *n);

/* Sends all of it. */
void load_send_text(load_node *n, tl_slice text);
void load_send_binary(load_node *n, tl_slice bytes);
/* Both never wait. Return how many bytes went or came, 0: none now. */
size_t load_write(load_node *n, const void *bytes, size_t size);
size_t load_read(load_node *n);
/* Forgets so many of the bytes in `in`. */
void load_drop(load_node *n, size_t size);
/* Waits for the next message of `type`; others are passed over, an error is the end. */
void load_await(load_node *n, tl_signal_type type);

#endif
