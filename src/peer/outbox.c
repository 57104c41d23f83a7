#include "peer/outbox.h"

static tl_err write_some(tl_outbox *o, tl_slice bytes, size_t *ret_n)
{
    tl_err e = tl_quic_stream_write(o->stream, bytes, false, ret_n);
    if (e == TL_ERR_CLOSED)
        *ret_n = bytes.n;
    return e == TL_ERR_CLOSED ? TL_OK : e;
}

static tl_err put(tl_outbox *o, tl_slice bytes)
{
    size_t n = 0;
    tl_err e = o->pending.len ? TL_OK : write_some(o, bytes, &n);
    if (!e)
        e = tl_buf_append(&o->pending, tl_slice_of(bytes.p + n, bytes.n - n));
    if (!e && o->sum)
        *o->sum += bytes.n - n;
    return e;
}

tl_err tl_outbox_put_frame(tl_outbox *o, tl_frame_kind kind, tl_slice bytes)
{
    uint8_t head[TL_FRAME_HEAD];
    tl_frame_head_write(head, kind, bytes.n);
    tl_err e = put(o, tl_slice_of(head, sizeof head));
    return e ? e : put(o, bytes);
}

tl_err tl_outbox_put_message(tl_outbox *o, const tl_cluster_message *m)
{
    tl_buf text = {0};
    tl_err e = tl_cluster_write(&text, m);
    if (!e)
        e = tl_outbox_put_frame(o, TL_FRAME_MESSAGE, tl_buf_slice(&text));
    tl_buf_clear(&text);
    return e;
}

tl_err tl_outbox_flush(tl_outbox *o, size_t *ret_n)
{
    size_t all = 0;
    while (o->pending.len) {
        size_t n = 0;
        tl_err e = write_some(o, tl_buf_slice(&o->pending), &n);
        if (e)
            return e;
        if (n == 0)
            break;
        tl_buf_consume(&o->pending, n);
        if (o->sum)
            *o->sum -= n;
        all += n;
    }
    *ret_n = all;
    return TL_OK;
}

void tl_outbox_clear(tl_outbox *o)
{
    if (o->sum)
        *o->sum -= o->pending.len;
    tl_buf_clear(&o->pending);
}
