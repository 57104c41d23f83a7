/* harness.h - a relay with connections that exist only in this test: frames in, frames out, a clock
 * that the test turns. Every connection has a receive window that the test can close. */
#ifndef TL_TESTS_RELAY_HARNESS_H
#define TL_TESTS_RELAY_HARNESS_H

#include "crypto/identity.h"
#include "relay/relay.h"
#include "wire/signalread.h"
#include "wire/ws.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

typedef struct world world;

typedef struct peer {
    world *w;
    tl_relay_conn *conn; /* NULL: gone */
    tl_identity identity;
    char node[TL_NODE_ID_HEX + 1];
    char nonce[65];
    bool reads;      /* false: its window is closed, the relay's queue fills */
    bool paused;     /* the relay does not read from it */
    bool cut;        /* the relay dropped it */
    uint16_t closed; /* the code of the relay's close frame; 0: none */
    tl_buf kept;     /* sent, and not taken by the relay yet: it rests */
    tl_buf waiting;  /* output for it, not written yet */
    tl_buf received; /* written to it, not looked at yet */
    tl_ws_reader reader;
    tl_signal signal; /* of the last take() */
    bool has_signal;
    uint8_t *frame; /* the last frame taken: the signal borrows from it */
} peer;

#define PEERS_MAX 1100

/* What the relay sent by UDP. */
typedef struct {
    tl_addr to;
    size_t n;
    uint8_t bytes[2048];
} world_datagram;

struct world {
    tl_relay *relay;
    tl_relay_config config;
    tl_rand rand;
    tl_time now;
    tl_addr local, remote;
    tl_buf sent; /* world_datagrams, not looked at yet */
    size_t n;
    peer *peers[PEERS_MAX];
};

/* A relay at 192.0.2.1:8080 with the default configuration, but for what `config` (may be NULL)
 * says. */
void world_init(world *w, const tl_relay_config *config);
void world_clear(world *w);
/* Forgets the peer that connected last. */
void world_drop_last(world *w);
/* Moves the clock on, with every timer on the way. */
void world_run(world *w, tl_time span);

/* A train of datagrams comes by UDP to the first of the configured sockets. */
void world_datagrams(world *w, const char *from, const void *bytes, size_t n, size_t segment);
/* The next datagram that was sent. False: none was. */
bool world_take_datagram(world *w, world_datagram *ret);

/* A connection that is upgraded; its challenge is read into `nonce`. Its key is made from `seed`.
 */
peer *peer_connect(world *w, uint8_t seed);
/* As before, and registered; the ack is taken. */
peer *peer_join(world *w, uint8_t seed, const char *extra);
void peer_disconnect(peer *p);

/* `authority` NULL: the right one. `extra` is added to the payload (",\"key\":…"). */
void peer_register_as(peer *p, const char *authority, const char *nonce, const char *capabilities,
                      const char *extra);
void peer_send_bytes(peer *p, const void *bytes, size_t n);
void peer_send_frame(peer *p, tl_ws_opcode opcode, bool fin, const void *payload, size_t n);
void peer_send(peer *p, const char *fmt, ...) TL_PRINTF(2, 3);
/* relayOpen and its kin, or relayData with `data`. */
void peer_send_session(peer *p, const char *type, const peer *to, const char *session,
                       const char *data);

/* The next text message it received, scanned; NULL: none. Valid until the next call. */
const tl_signal *peer_take(peer *p);
/* The next binary message; empty: there is none. Valid until the next call. */
tl_slice peer_take_binary(peer *p);
void peer_expect(peer *p, tl_signal_type type);
void peer_expect_error(peer *p, tl_signal_code code);
void peer_expect_nothing(peer *p);
void peer_drop_all(peer *p);

/* An open session between the two. */
void peers_open(peer *a, peer *b, const char *session);

#endif
