#include "backup/frames.h"

#define BODY_FRAME (256u << 10)

tl_err tl_frames_say(tl_frames *f, const tl_talk *m, tl_slice body)
{
    tl_buf text = {0};
    tl_err e = tl_talk_write(&text, m);
    if (!e)
        e = tl_frame_append(&f->head, TL_FRAME_MESSAGE, tl_buf_slice(&text));
    tl_buf_clear(&text);
    if (e)
        return e;
    f->body = body;
    f->begun = true;
    return TL_OK;
}

/* One step: heads first, then the part of the body that belongs to the last head, at last the end.
 * TL_ERR_AGAIN: the stream takes no more now. */
static tl_err write_some(tl_frames *f)
{
    size_t n = 0;
    tl_err e;
    if (f->head.len) {
        e = tl_quic_stream_write(f->stream, tl_buf_slice(&f->head), false, &n);
        tl_buf_consume(&f->head, n);
        return !e && f->head.len ? TL_ERR_AGAIN : e;
    }
    if (f->body_left) {
        const uint8_t *from = f->body.p + f->body_sent - f->body_left;
        e = tl_quic_stream_write(f->stream, tl_slice_of(from, f->body_left), false, &n);
        f->body_left -= n;
        return !e && f->body_left ? TL_ERR_AGAIN : e;
    }
    if (f->body_sent < f->body.n) {
        uint8_t head[TL_FRAME_HEAD];
        size_t more = f->body.n - f->body_sent;
        f->body_left = more < BODY_FRAME ? more : BODY_FRAME;
        f->body_sent += f->body_left;
        tl_frame_head_write(head, TL_FRAME_BODY, f->body_left);
        return tl_buf_append(&f->head, tl_slice_of(head, sizeof head));
    }
    e = tl_quic_stream_write(f->stream, tl_slice_of(NULL, 0), true, &n);
    f->sent = !e;
    return e;
}

tl_err tl_frames_write_on(tl_frames *f)
{
    tl_err e = TL_OK;
    while (!e && f->begun && !f->sent && f->stream)
        e = write_some(f);
    if (e == TL_ERR_CLOSED)
        f->sent = true;
    return e == TL_ERR_AGAIN || e == TL_ERR_CLOSED ? TL_OK : e;
}

/* TL_ERR_EXISTS: it was the message. */
static tl_err take(tl_frames *f, const tl_frame_piece *piece)
{
    if (piece->kind == TL_FRAME_BODY) {
        if (!f->has_message || f->content.len + piece->bytes.n > f->body_max)
            return TL_ERR_PROTO;
        return tl_buf_append(&f->content, piece->bytes);
    }
    if (f->has_message)
        return TL_ERR_PROTO;
    tl_err e = tl_talk_parse(piece->bytes, &f->message);
    f->has_message = !e;
    return e ? e : TL_ERR_EXISTS;
}

/* Everything that lies together in `in`, but no more than the message. */
static tl_err take_some(tl_frames *f, tl_slice *in)
{
    tl_frame_piece piece;
    tl_err e = TL_OK;
    while (!e) {
        e = tl_frame_next(&f->reader, in, &piece);
        if (tl_frame_is_flood(&f->reader, TL_FRAMES_SPARE, 0, 0) ||
            (!f->has_message && f->reader.message.len + f->reader.left > TL_FRAMES_MESSAGE_MAX))
            return TL_ERR_PROTO;
        if (!e)
            e = take(f, &piece);
    }
    return e == TL_ERR_SHORT ? TL_OK : e == TL_ERR_TOO_LARGE ? TL_ERR_PROTO : e;
}

tl_err tl_frames_read_on(tl_frames *f)
{
    bool fin = false;
    tl_slice in;
    while ((in = tl_quic_stream_peek(f->stream, &fin)).n) {
        tl_slice rest = in;
        tl_err e = take_some(f, &rest);
        tl_quic_stream_consume(f->stream, in.n - rest.n);
        if (e)
            return e;
    }
    if (!fin)
        return TL_ERR_AGAIN;
    return f->has_message && tl_frame_is_between(&f->reader) ? TL_OK : TL_ERR_PROTO;
}

void tl_frames_clear(tl_frames *f, uint64_t code)
{
    bool fin = false;
    if (f->stream) {
        tl_quic_stream_set_user(f->stream, NULL);
        if (!f->sent || tl_quic_stream_peek(f->stream, &fin).n || !fin)
            tl_quic_stream_reset(f->stream, code);
    }
    tl_frame_reader_clear(&f->reader);
    tl_buf_clear(&f->head);
    tl_buf_clear(&f->content);
    *f = (tl_frames){0};
}
