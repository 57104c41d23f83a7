/* frames.h - one side of a stream about a fragment: writes one message, the bytes that go with it, and the
 * end; reads the same of the other side. Knows no request, no peer and no clock. */
#ifndef TL_BACKUP_FRAMES_H
#define TL_BACKUP_FRAMES_H

#include "backup/talk.h"
#include "peer/peers.h"
#include "wire/streamframe.h"

/* A message that comes in pieces. */
#define TL_FRAMES_MESSAGE_MAX (16u << 10)
/* Frames, beside those that are worth their handling (wire/streamframe.h). */
#define TL_FRAMES_SPARE       256

/* Zero-initialise, and set `stream`. */
typedef struct {
    tl_quic_stream *stream; /* borrowed; NULL: it is over */
    /* out */
    tl_buf head;      /* the message, and heads of body frames, not yet taken */
    tl_slice body;    /* borrowed until all is sent */
    size_t body_sent; /* bytes of the body whose frame head was written */
    size_t body_left; /* of that frame, not yet taken by the stream */
    bool begun, sent; /* a message was given; the end is written, too */
    /* in */
    tl_frame_reader reader;
    bool has_message;
    tl_talk message;
    size_t body_max; /* bytes that may come after the message */
    tl_buf content;
} tl_frames;

/* The message goes, then `body`, then the end. TL_ERR_NOMEM: nothing is sent. */
TL_CHECK tl_err tl_frames_say(tl_frames *f, const tl_talk *m, tl_slice body);
/* Writes on, as far as the stream takes it. A peer that reads no more may have said why. TL_ERR_NOMEM:
 * the stream is good for nothing but a reset. */
TL_CHECK tl_err tl_frames_write_on(tl_frames *f);
/* Reads what is there. TL_ERR_AGAIN: more is to come. TL_OK: the message is here, with all its bytes and the
 * end. TL_ERR_EXISTS: the message alone is here, for the first time: set `body_max`, and read on.
 * TL_ERR_PROTO: nonsense, or more bytes than that. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_frames_read_on(tl_frames *f);
/* The stream keeps no owner; it is reset where it is not over. */
void tl_frames_clear(tl_frames *f, uint64_t code);

#endif
