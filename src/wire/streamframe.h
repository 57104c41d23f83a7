/* streamframe.h - frames on a stream between peers (docs/protocol.md "Streams"). Pure codec: takes
 * the bytes in any pieces, and knows nothing of what a message says.
 *
 *     0        4      5
 *     +--------+------+----------------- - -
 *     | length | kind | length - 1 bytes        length: u32 big-endian, counts kind and bytes
 *     +--------+------+----------------- - -
 *
 * Kind 0 is a cluster message and is handed over whole; kind 1 is body bytes and is handed over in
 * the pieces it came in, so that an answer's first byte never waits for the rest of its frame. */
#ifndef TL_WIRE_STREAMFRAME_H
#define TL_WIRE_STREAMFRAME_H

#include "base/slice.h"
#include "base/time.h"

#define TL_FRAME_HEAD        5
#define TL_FRAME_MAX         (16u << 20) /* docs/protocol.md "Streams" */
/* A cluster message is buffered whole. This is far above a hello with hundreds of models, and far
 * below what a body may be. */
#define TL_FRAME_MESSAGE_MAX (1u << 20)

typedef enum { TL_FRAME_MESSAGE = 0, TL_FRAME_BODY = 1 } tl_frame_kind;

/* Zero-initialise to begin. */
typedef struct {
    uint8_t head[TL_FRAME_HEAD];
    uint8_t head_n;
    bool broken;            /* an error was returned: nothing after it can be trusted */
    uint32_t left;          /* bytes of the present frame still to come */
    tl_buf message;         /* a message that has come only in part */
    bool handed;            /* `message` was handed out and is dropped at the next call */
    uint64_t frames, bytes; /* that came until now: heads, empty ones too, and what follows them */
} tl_frame_reader;

typedef struct {
    tl_frame_kind kind;
    tl_slice bytes; /* a whole message, or a piece (never empty) of a body */
} tl_frame_piece;

/* Takes the next piece from the front of *in and moves *in behind it. The piece borrows from *in,
 * or from the reader until its next call. TL_ERR_SHORT: *in is used up, come back with more.
 * TL_ERR_PROTO: a length of 0 or an unknown kind. TL_ERR_TOO_LARGE: over the bounds above, decided
 * from the head alone. TL_ERR_NOMEM. After any but TL_ERR_SHORT the reader repeats TL_ERR_PROTO. */
TL_CHECK tl_err tl_frame_next(tl_frame_reader *r, tl_slice *in, tl_frame_piece *ret_piece);
/* Have more frames come than in good faith? A frame costs us its handling however little is in it:
 *     frames <= burst + bytes / TL_FRAME_FAIR + per_sec * age
 * where `age` is that of the stream. */
#define TL_FRAME_FAIR 64 /* bytes of a frame that is worth its handling */
bool tl_frame_is_flood(const tl_frame_reader *r, uint64_t burst, uint64_t per_sec, tl_time age);
/* True between frames. A stream that ends inside a frame was cut. */
bool tl_frame_is_between(const tl_frame_reader *r);
void tl_frame_reader_clear(tl_frame_reader *r);

/* The head of a frame of `n` bytes; n < TL_FRAME_MAX. */
void tl_frame_head_write(uint8_t ret_head[TL_FRAME_HEAD], tl_frame_kind kind, size_t n);
/* Appends head and bytes. TL_ERR_TOO_LARGE, TL_ERR_NOMEM: `out` is as before. */
TL_CHECK tl_err tl_frame_append(tl_buf *out, tl_frame_kind kind, tl_slice bytes);

#endif
