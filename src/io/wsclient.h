/* wsclient.h - a WebSocket client (RFC 6455) over io/stream: handshake, frames, a bounded queue
 * with back-pressure, batched writes. Never touches what the messages mean, and never reconnects.
 */
#ifndef TL_IO_WSCLIENT_H
#define TL_IO_WSCLIENT_H

#include "base/rand.h"
#include "io/stream.h"
#include "wire/ws.h"
#include "wire/wsurl.h"

#define TL_WSCLIENT_MESSAGE_MAX  (4u << 20) /* PROTOCOL section 2 "Sizes" */
/* Bytes that wait for the socket before tl_wsclient_is_full: enough to fill the kernel's buffer in
 * one write, little enough to be only milliseconds of delay. */
#define TL_WSCLIENT_FULL         (256u << 10)
/* What is refused even to a caller who does not look: one message more than the largest. */
#define TL_WSCLIENT_QUEUE_MAX    (TL_WSCLIENT_MESSAGE_MAX + (2u << 20))
#define TL_WSCLIENT_OPEN_WITHIN  (10 * TL_SEC) /* connection, TLS and upgrade together */
#define TL_WSCLIENT_CLOSE_WITHIN (1 * TL_SEC)  /* for the peer's close frame after ours */

typedef struct tl_wsclient tl_wsclient;

/* Every one may call any function of this header, tl_wsclient_free too. */
typedef struct {
    void (*on_open)(void *user);
    /* Text is valid UTF-8. The bytes may be changed, and are gone after the call. */
    void (*on_message)(void *user, tl_ws_opcode opcode, uint8_t *bytes, size_t n);
    void (*on_pong)(void *user, tl_slice payload);
    /* The queue was full and has half emptied. */
    void (*on_writable)(void *user);
    /* Over, once; only tl_wsclient_free may follow. `code` is the relay's close code or 0 when
     * there was none; `why` is for a person, already safe to print. */
    void (*on_closed)(void *user, tl_err e, unsigned code, const char *why);
} tl_wsclient_events;

/* Copies the URL; borrows `tls` (NULL for ws://) and `rand` for life. Events come later, never from
 * inside this call. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_wsclient_connect(tl_loop *loop, const tl_wsurl *url, tl_tls *tls, tl_rand *rand,
                                    const tl_wsclient_events *events, void *user,
                                    tl_wsclient **ret_ws);
/* Drops everything at once. */
void tl_wsclient_free(tl_wsclient *ws);

/* Room for a message of `n` bytes in the queue; write all of them, then tl_wsclient_commit before
 * any other call. TL_ERR_BUSY: the queue is over its bound. TL_ERR_CLOSED: not open. TL_ERR_NOMEM.
 */
TL_CHECK tl_err tl_wsclient_begin(tl_wsclient *ws, tl_ws_opcode opcode, size_t n,
                                  uint8_t **ret_room);
void tl_wsclient_commit(tl_wsclient *ws);
/* Both in one; copies. Errors as tl_wsclient_begin. */
TL_CHECK tl_err tl_wsclient_send(tl_wsclient *ws, tl_ws_opcode opcode, tl_slice payload);
/* True: produce no more until on_writable. */
bool tl_wsclient_is_full(const tl_wsclient *ws);
size_t tl_wsclient_queued(const tl_wsclient *ws);
/* Sends what is queued, then closes in order; on_closed follows within a second. */
void tl_wsclient_close(tl_wsclient *ws, uint16_t code, const char *reason);

#endif
