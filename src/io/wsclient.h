/* wsclient.h - a WebSocket client (RFC 6455) over io/stream: handshake, frames, a bounded queue
 * that tells when it is full, batched writes. Never interprets messages, and never reconnects. */
#ifndef TL_IO_WSCLIENT_H
#define TL_IO_WSCLIENT_H

#include "base/rand.h"
#include "io/stream.h"
#include "wire/ws.h"
#include "wire/wsurl.h"

#define TL_WSCLIENT_MESSAGE_MAX  (4u << 20) /* docs/protocol.md "Relay signalling" */
/* With this many bytes waiting for the socket, tl_wsclient_is_full says true. It is enough to fill
 * the kernel's buffer in one write, and little enough to cause only milliseconds of delay. */
#define TL_WSCLIENT_FULL         (256u << 10)
/* Bound of the queue, even for a caller that never asks tl_wsclient_is_full: room for one largest
 * message and more. */
#define TL_WSCLIENT_QUEUE_MAX    (TL_WSCLIENT_MESSAGE_MAX + (2u << 20))
#define TL_WSCLIENT_OPEN_WITHIN  (10 * TL_SEC) /* connection, TLS and upgrade together */
#define TL_WSCLIENT_CLOSE_WITHIN (1 * TL_SEC)  /* to wait for the peer's close frame after ours */

typedef struct tl_wsclient tl_wsclient;

/* Each callback may call any function of this header, also tl_wsclient_free. */
typedef struct {
    void (*on_open)(void *user);
    /* Text is valid UTF-8. The bytes may be changed, and are gone after the call. */
    void (*on_message)(void *user, tl_ws_opcode opcode, uint8_t *bytes, size_t n);
    void (*on_pong)(void *user, tl_slice payload);
    /* The queue was full and has half emptied. */
    void (*on_writable)(void *user);
    /* The connection is over. Comes once; afterwards only tl_wsclient_free may be called. `code` is
     * the relay's close code, or 0 if there was none. `why` is for a person and safe to print. */
    void (*on_closed)(void *user, tl_err e, unsigned code, const char *why);
} tl_wsclient_events;

/* Copies the URL and `proxy` (NULL or none: straight to the relay); borrows `tls` (NULL for ws://) and
 * `rand` for its life. Callbacks come later, never from inside this call. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_wsclient_connect(tl_loop *loop, const tl_wsurl *url, const tl_proxy *proxy,
                                    tl_tls *tls, tl_rand *rand, const tl_wsclient_events *events,
                                    void *user, tl_wsclient **ret_ws);
/* Drops the connection and its queue at once. */
void tl_wsclient_free(tl_wsclient *ws);

/* Gives room in the queue for a message of `n` bytes. The caller writes all of them, and calls
 * tl_wsclient_commit before any other call. TL_ERR_BUSY: the queue is full to its bound.
 * TL_ERR_CLOSED: not open. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_wsclient_begin(tl_wsclient *ws, tl_ws_opcode opcode, size_t n,
                                  uint8_t **ret_room);
void tl_wsclient_commit(tl_wsclient *ws);
/* Does both in one call; copies `payload`. Errors as tl_wsclient_begin. */
TL_CHECK tl_err tl_wsclient_send(tl_wsclient *ws, tl_ws_opcode opcode, tl_slice payload);
/* True: the caller should send no more until on_writable. */
bool tl_wsclient_is_full(const tl_wsclient *ws);
/* True: whoever answers has shown a certificate for the URL's host. */
bool tl_wsclient_is_authentic(const tl_wsclient *ws);
size_t tl_wsclient_queued(const tl_wsclient *ws);
/* Sends what is queued, then closes orderly. on_closed follows within a second. */
void tl_wsclient_close(tl_wsclient *ws, uint16_t code, const char *reason);

#endif
