#include "wire/streamframe.h"

static tl_err broken(tl_frame_reader *r, tl_err e)
{
    r->broken = true;
    return e;
}

/* Collects the five bytes of the head. TL_ERR_SHORT until they are there. */
static tl_err read_head(tl_frame_reader *r, tl_slice *in)
{
    size_t n = TL_FRAME_HEAD - r->head_n;
    if (n > in->n)
        n = in->n;
    if (n)
        memcpy(r->head + r->head_n, in->p, n);
    r->head_n = (uint8_t)(r->head_n + n);
    *in = tl_slice_of(in->p + n, in->n - n);
    if (r->head_n < TL_FRAME_HEAD)
        return TL_ERR_SHORT;

    const uint8_t *h = r->head;
    uint32_t length = (uint32_t)h[0] << 24 | (uint32_t)h[1] << 16 | (uint32_t)h[2] << 8 | h[3];
    if (length == 0 || h[4] > TL_FRAME_BODY)
        return broken(r, TL_ERR_PROTO);
    if (length > TL_FRAME_MAX || (h[4] == TL_FRAME_MESSAGE && length - 1 > TL_FRAME_MESSAGE_MAX))
        return broken(r, TL_ERR_TOO_LARGE);
    r->left = length - 1;
    r->frames++;
    return TL_OK;
}

static tl_slice take(tl_frame_reader *r, tl_slice *in)
{
    size_t n = in->n < r->left ? in->n : r->left;
    tl_slice got = tl_slice_of(in->p, n);
    *in = tl_slice_of(in->p + n, in->n - n);
    r->left -= (uint32_t)n;
    r->bytes += n;
    if (r->left == 0)
        r->head_n = 0;
    return got;
}

static tl_err next_message(tl_frame_reader *r, tl_slice *in, tl_frame_piece *ret_piece)
{
    bool whole_here = r->message.len == 0 && in->n >= r->left;
    tl_slice got = take(r, in);
    if (whole_here) {
        *ret_piece = (tl_frame_piece){TL_FRAME_MESSAGE, got};
        return TL_OK;
    }
    if (tl_buf_append(&r->message, got))
        return broken(r, TL_ERR_NOMEM);
    if (r->left)
        return TL_ERR_SHORT;
    r->handed = true;
    *ret_piece = (tl_frame_piece){TL_FRAME_MESSAGE, tl_buf_slice(&r->message)};
    return TL_OK;
}

tl_err tl_frame_next(tl_frame_reader *r, tl_slice *in, tl_frame_piece *ret_piece)
{
    if (r->broken)
        return TL_ERR_PROTO;
    if (r->handed) {
        tl_buf_clear(&r->message);
        r->handed = false;
    }
    for (;;) {
        if (r->head_n < TL_FRAME_HEAD) {
            tl_err e = read_head(r, in);
            if (e)
                return e;
        }
        if (r->head[4] == TL_FRAME_MESSAGE)
            return next_message(r, in, ret_piece);
        if (r->left == 0) { /* an empty body frame says nothing */
            r->head_n = 0;
            continue;
        }
        if (in->n == 0)
            return TL_ERR_SHORT;
        *ret_piece = (tl_frame_piece){TL_FRAME_BODY, take(r, in)};
        return TL_OK;
    }
}

bool tl_frame_is_flood(const tl_frame_reader *r, uint64_t burst, uint64_t per_sec, tl_time age)
{
    uint64_t fair = burst + r->bytes / TL_FRAME_FAIR + age / TL_SEC * per_sec;
    return r->frames > fair;
}

bool tl_frame_is_between(const tl_frame_reader *r)
{
    return r->head_n == 0 && !r->broken;
}

void tl_frame_reader_clear(tl_frame_reader *r)
{
    tl_buf_clear(&r->message);
    *r = (tl_frame_reader){0};
}

void tl_frame_head_write(uint8_t ret_head[TL_FRAME_HEAD], tl_frame_kind kind, size_t n)
{
    uint32_t length = (uint32_t)n + 1;
    ret_head[0] = (uint8_t)(length >> 24);
    ret_head[1] = (uint8_t)(length >> 16);
    ret_head[2] = (uint8_t)(length >> 8);
    ret_head[3] = (uint8_t)length;
    ret_head[4] = (uint8_t)kind;
}

tl_err tl_frame_append(tl_buf *out, tl_frame_kind kind, tl_slice bytes)
{
    if (bytes.n >= TL_FRAME_MAX || (kind == TL_FRAME_MESSAGE && bytes.n > TL_FRAME_MESSAGE_MAX))
        return TL_ERR_TOO_LARGE;
    uint8_t *room;
    tl_err e = tl_buf_reserve(out, TL_FRAME_HEAD + bytes.n, &room);
    if (e)
        return e;
    tl_frame_head_write(room, kind, bytes.n);
    if (bytes.n)
        memcpy(room + TL_FRAME_HEAD, bytes.p, bytes.n);
    tl_buf_added(out, TL_FRAME_HEAD + bytes.n);
    return TL_OK;
}
