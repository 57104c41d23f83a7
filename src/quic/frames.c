#include "quic/frames.h"

enum { /* RFC 9000 section 19, RFC 9221 */
       FRAME_PADDING = 0x00,
       FRAME_PING = 0x01,
       FRAME_ACK = 0x02,
       FRAME_ACK_ECN = 0x03,
       FRAME_RESET_STREAM = 0x04,
       FRAME_STOP_SENDING = 0x05,
       FRAME_CRYPTO = 0x06,
       FRAME_NEW_TOKEN = 0x07,
       FRAME_STREAM = 0x08, /* to 0x0f */
       FRAME_STREAM_LAST = 0x0f,
       FRAME_MAX_DATA = 0x10,
       FRAME_MAX_STREAM_DATA = 0x11,
       FRAME_MAX_STREAMS_BIDI = 0x12,
       FRAME_MAX_STREAMS_UNI = 0x13,
       FRAME_DATA_BLOCKED = 0x14,
       FRAME_STREAM_DATA_BLOCKED = 0x15,
       FRAME_STREAMS_BLOCKED_BIDI = 0x16,
       FRAME_STREAMS_BLOCKED_UNI = 0x17,
       FRAME_NEW_CONNECTION_ID = 0x18,
       FRAME_RETIRE_CONNECTION_ID = 0x19,
       FRAME_PATH_CHALLENGE = 0x1a,
       FRAME_PATH_RESPONSE = 0x1b,
       FRAME_CONNECTION_CLOSE = 0x1c,
       FRAME_CONNECTION_CLOSE_APP = 0x1d,
       FRAME_HANDSHAKE_DONE = 0x1e,
};
#define STREAM_HAS_LENGTH 0x02
#define STREAM_HAS_OFFSET 0x04

/* Each of these functions takes its bytes off the front of *s. False: truncated. */
static bool skip(tl_slice *s, uint64_t n)
{
    if (n > s->n)
        return false;
    s->p += n;
    s->n -= (size_t)n;
    return true;
}

static bool take_varint(tl_slice *s, uint64_t *ret)
{
    if (s->n == 0)
        return false;
    size_t n = (size_t)1 << (s->p[0] >> 6);
    if (s->n < n)
        return false;
    uint64_t v = s->p[0] & 0x3F;
    for (size_t i = 1; i < n; i++)
        v = v << 8 | s->p[i];
    *ret = v;
    return skip(s, n);
}

static bool skip_varints(tl_slice *s, unsigned count)
{
    uint64_t ignored;
    while (count--)
        if (!take_varint(s, &ignored))
            return false;
    return true;
}

/* Skips a length and that many bytes. */
static bool skip_data(tl_slice *s)
{
    uint64_t n;
    return take_varint(s, &n) && skip(s, n);
}

static bool skip_ack(tl_slice *s, bool ecn)
{
    uint64_t ranges;
    if (!skip_varints(s, 2) || !take_varint(s, &ranges) || !skip_varints(s, 1))
        return false;
    for (; ranges; ranges--) /* ends when the packet ends, at the latest */
        if (!skip_varints(s, 2))
            return false;
    return !ecn || skip_varints(s, 3);
}

static bool take_stream(tl_slice *s, uint8_t type, tl_frames_streams *list)
{
    uint64_t id, begin = 0, n = 0;
    if (!take_varint(s, &id) || (type & STREAM_HAS_OFFSET && !take_varint(s, &begin)))
        return false;
    if (!(type & STREAM_HAS_LENGTH))
        n = s->n;
    else if (!take_varint(s, &n))
        return false;
    if (!skip(s, n))
        return false;
    if (n && list->n < TL_FRAMES_STREAMS_MAX)
        list->v[list->n++] = (tl_frames_stream){id, begin, begin + n};
    return true;
}

/* Skips what follows the type byte. False: truncated, or the type is unknown. */
static bool skip_body(tl_slice *s, uint8_t type, tl_frames_streams *list)
{
    if (type >= FRAME_STREAM && type <= FRAME_STREAM_LAST)
        return take_stream(s, type, list);
    switch (type) {
    case FRAME_PADDING:
    case FRAME_PING:
    case FRAME_HANDSHAKE_DONE: return true;
    case FRAME_ACK: return skip_ack(s, false);
    case FRAME_ACK_ECN: return skip_ack(s, true);
    case FRAME_RESET_STREAM: return skip_varints(s, 3);
    case FRAME_STOP_SENDING:
    case FRAME_MAX_STREAM_DATA:
    case FRAME_STREAM_DATA_BLOCKED: return skip_varints(s, 2);
    case FRAME_CRYPTO: return skip_varints(s, 1) && skip_data(s);
    case FRAME_NEW_TOKEN: return skip_data(s);
    case FRAME_MAX_DATA:
    case FRAME_MAX_STREAMS_BIDI:
    case FRAME_MAX_STREAMS_UNI:
    case FRAME_DATA_BLOCKED:
    case FRAME_STREAMS_BLOCKED_BIDI:
    case FRAME_STREAMS_BLOCKED_UNI:
    case FRAME_RETIRE_CONNECTION_ID: return skip_varints(s, 1);
    case FRAME_PATH_CHALLENGE:
    case FRAME_PATH_RESPONSE: return skip(s, 8);
    case FRAME_CONNECTION_CLOSE: return skip_varints(s, 2) && skip_data(s);
    case FRAME_CONNECTION_CLOSE_APP: return skip_varints(s, 1) && skip_data(s);
    default: return false;
    }
}

bool tl_frames_are_bearable(tl_slice s, tl_frames_streams *ret_streams)
{
    ret_streams->n = 0;
    while (s.n) {
        uint8_t type = s.p[0];
        skip(&s, 1);
        if (type == FRAME_NEW_CONNECTION_ID) {
            uint64_t retire_prior_to;
            if (!skip_varints(&s, 1) || !take_varint(&s, &retire_prior_to))
                return true;
            if (retire_prior_to != 0)
                return false;
            if (s.n == 0 || !skip(&s, (uint64_t)1 + s.p[0] + 16)) /* the length of the ID, the ID,
                                                                     its reset token */
                return true;
        } else if (!skip_body(&s, type, ret_streams)) {
            return true;
        }
    }
    return true;
}
