/* ws.h - WebSocket frames (RFC 6455), both sides, strictly: headers, masking, close payloads, the
 * handshake's key, and whole messages out of a buffer of bytes. Never touches a socket, and knows
 * nothing of what messages mean. No extensions, hence no reserved bits.
 *
 *    0 1 2 3 4 5 6 7   0 1 2 3 4 5 6 7
 *   |F|R|R|R|opcode | |M| length 0-125 |  126: 2 more bytes of length, 127: 8 more
 *   |I|S|S|S|       | |A|              |  then, if MASK, 4 bytes of key; then the payload
 *   |N|V|V|V|       | |S|              |
 *   | |1|2|3|       | |K|              |
 */
#ifndef TL_WIRE_WS_H
#define TL_WIRE_WS_H

#include "base/slice.h"

typedef enum {
    TL_WS_CONTINUATION = 0,
    TL_WS_TEXT = 1,
    TL_WS_BINARY = 2,
    TL_WS_CLOSE = 8,
    TL_WS_PING = 9,
    TL_WS_PONG = 10,
} tl_ws_opcode;

/* Close codes (RFC 6455 7.4.1; 1012 and 1013 from IANA's registry). */
#define TL_WS_NORMAL           1000
#define TL_WS_GOING_AWAY       1001
#define TL_WS_PROTOCOL_ERROR   1002
#define TL_WS_UNSUPPORTED_DATA 1003
#define TL_WS_NO_STATUS        1005 /* never on the wire: the close frame had no payload */
#define TL_WS_INVALID_DATA     1007
#define TL_WS_POLICY           1008
#define TL_WS_TOO_BIG          1009
#define TL_WS_SERVICE_RESTART  1012
#define TL_WS_TRY_LATER        1013

#define TL_WS_HEADER_MAX  14  /* 2 + 8 of length + 4 of mask */
#define TL_WS_CONTROL_MAX 125 /* RFC 6455 5.5 */

/* --- frames --- */
typedef struct {
    tl_ws_opcode opcode;
    bool fin;
    bool masked;
    uint8_t mask[4];
    uint8_t header_n; /* bytes of the header */
    uint64_t n;       /* bytes of the payload */
} tl_ws_frame;

/* The header at the beginning of `bytes`. Frames from a client must be masked, from a server not.
 * TL_ERR_SHORT: more bytes are needed, nothing wrong so far. TL_ERR_PROTO, TL_ERR_TOO_LARGE (a data
 * frame announces more than `payload_max`): *ret_close is the code to close with. */
TL_CHECK tl_err tl_ws_frame_parse(tl_slice bytes, bool from_client, uint64_t payload_max,
                                  tl_ws_frame *ret_frame, uint16_t *ret_close);

/* Length of the header for a payload of `n` bytes: 2, 4 or 10, and 4 more when masked. */
size_t tl_ws_header_size(uint64_t n, bool masked);
/* Writes the shortest header; `mask` NULL: unmasked. Returns its length. */
size_t tl_ws_header_write(uint8_t ret_header[TL_WS_HEADER_MAX], tl_ws_opcode opcode, bool fin,
                          uint64_t n, const uint8_t mask[4]);
/* Masks or unmasks in place; `phase` is the place of bytes[0] in the payload. Returns all resulting
 * bytes or-ed together, so that a value below 0x80 means: all ASCII. */
uint8_t tl_ws_mask(uint8_t *bytes, size_t n, const uint8_t mask[4], size_t phase);

/* Appends one whole unfragmented frame. Masked with `mask` unless NULL. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_ws_append(tl_buf *out, tl_ws_opcode opcode, tl_slice payload,
                             const uint8_t mask[4]);

/* --- close --- */
/* True for a code that may stand in a close frame. */
bool tl_ws_close_code_is(unsigned code);
/* An empty payload is TL_WS_NO_STATUS. The reason borrows. TL_ERR_PROTO: *ret_close as above. */
TL_CHECK tl_err tl_ws_close_parse(tl_slice payload, uint16_t *ret_code, tl_slice *ret_reason,
                                  uint16_t *ret_close);
/* Returns the payload's length. `reason` is cut (between characters) to what fits. */
size_t tl_ws_close_write(uint8_t ret_payload[TL_WS_CONTROL_MAX], uint16_t code, const char *reason);

/* --- handshake --- */
#define TL_WS_ACCEPT_SIZE 29 /* 28 characters of base64, NUL */
/* Sec-WebSocket-Accept for a Sec-WebSocket-Key (RFC 6455 4.2.2). TL_ERR_PROTO: the key is not
 * base64 of 16 bytes. */
TL_CHECK tl_err tl_ws_accept_key(tl_slice key, char ret_accept[TL_WS_ACCEPT_SIZE]);

/* --- messages out of a stream of bytes --- */
typedef struct {
    size_t message_max; /* may be changed between messages */
    bool from_client;
    uint8_t opcode; /* of the fragmented message under way; 0: none */
    bool delivered; /* `parts` was handed out, and is dropped at the next call */
    tl_buf parts;   /* its fragments so far */
} tl_ws_reader;

typedef enum {
    TL_WS_EVENT_MORE,    /* the frame at the front is not complete; see `need` */
    TL_WS_EVENT_PART,    /* a fragment was taken; go on */
    TL_WS_EVENT_MESSAGE, /* text (valid UTF-8) or binary */
    TL_WS_EVENT_PING,
    TL_WS_EVENT_PONG,
    TL_WS_EVENT_CLOSE, /* the peer closes: `close_code`, the reason in payload */
    TL_WS_EVENT_FAIL,  /* illegal: close with `close_code`, read no more */
} tl_ws_event_kind;

typedef struct {
    tl_ws_event_kind kind;
    tl_ws_opcode opcode; /* of MESSAGE */
    /* unmasked, writable: in the buffer handed in, or in the reader's memory if the message came in
     * fragments; valid until the next call */
    uint8_t *payload;
    size_t n;
    bool in_place; /* it lies in the buffer handed in, its frame's header right before it */
    size_t used;   /* bytes consumed of the buffer */
    size_t need;   /* MORE: length of the whole frame as far as it is known, at least 2 */
    uint16_t close_code;
} tl_ws_event;

void tl_ws_reader_init(tl_ws_reader *r, bool from_client, size_t message_max);
void tl_ws_reader_clear(tl_ws_reader *r);
/* The last event is done with: frees the message, if it came in fragments, before the next call
 * would. */
void tl_ws_reader_done(tl_ws_reader *r);
/* Takes at most one frame from the front of `bytes` (which it unmasks in place). Out of memory is a
 * FAIL with 1013. */
void tl_ws_reader_next(tl_ws_reader *r, uint8_t *bytes, size_t n, tl_ws_event *ret_event);

#endif
