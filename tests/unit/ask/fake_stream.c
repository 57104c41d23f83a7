#include "fake_stream.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

tl_quic_stream *fake_stream_new(void)
{
    tl_quic_stream *s = calloc(1, sizeof *s);
    assert_non_null(s);
    s->room = SIZE_MAX;
    return s;
}

void fake_stream_free(tl_quic_stream *s)
{
    tl_buf_clear(&s->in);
    tl_buf_clear(&s->out);
    free(s);
}

/* --- in place of quic/stream.c --- */

tl_err tl_quic_stream_write(tl_quic_stream *s, tl_slice data, bool fin, size_t *ret_n)
{
    assert_false(s->reset);
    if (s->write_err && s->out.len >= s->err_from)
        return s->write_err;
    if (s->out_fin)
        return TL_ERR_CLOSED;
    size_t n = data.n < s->room ? data.n : s->room;
    assert_int_equal(tl_buf_append(&s->out, tl_slice_of(data.p, n)), TL_OK);
    s->room -= n;
    s->out_fin = fin && n == data.n;
    *ret_n = n;
    return TL_OK;
}

tl_slice tl_quic_stream_peek(const tl_quic_stream *s, bool *ret_fin)
{
    tl_slice all = tl_buf_slice(&s->in);
    size_t n = s->piece && s->piece < all.n ? s->piece : all.n;
    *ret_fin = s->in_fin && n == all.n && !s->reset;
    return tl_slice_of(all.p, n);
}

void tl_quic_stream_consume(tl_quic_stream *s, size_t n)
{
    tl_buf_consume(&s->in, n < s->in.len ? n : s->in.len);
}

void tl_quic_stream_reset(tl_quic_stream *s, uint64_t code)
{
    assert_false(s->reset);
    s->reset = true;
    s->code = code;
    tl_buf_clear(&s->in); /* freed, so that a sanitizer sees it used */
}

void tl_quic_stream_set_user(tl_quic_stream *s, void *user)
{
    s->user = user;
}

void *tl_quic_stream_user(const tl_quic_stream *s)
{
    return s->user;
}

/* --- the peer --- */

void fake_lay(tl_quic_stream *s, tl_slice bytes)
{
    assert_int_equal(tl_buf_append(&s->in, bytes), TL_OK);
}

void fake_lay_frame(tl_quic_stream *s, tl_frame_kind kind, tl_slice bytes)
{
    assert_int_equal(tl_frame_append(&s->in, kind, bytes), TL_OK);
}

void fake_lay_text(tl_quic_stream *s, tl_frame_kind kind, const char *text)
{
    fake_lay_frame(s, kind, tl_slice_str(text));
}

static tl_stream_owner *owner(tl_quic_stream *s)
{
    return s->user;
}

void fake_arrives(tl_quic_stream *s)
{
    if (owner(s))
        owner(s)->on_readable(owner(s));
}

void fake_ends(tl_quic_stream *s)
{
    s->in_fin = true;
    fake_arrives(s);
}

void fake_resets(tl_quic_stream *s)
{
    tl_buf_clear(&s->in);
    if (owner(s))
        owner(s)->on_reset(owner(s));
}

void fake_closes(tl_quic_stream *s, const char *why)
{
    if (owner(s))
        owner(s)->on_closed(owner(s), why);
}

void fake_makes_room(tl_quic_stream *s, size_t n)
{
    s->room += n;
    if (owner(s))
        owner(s)->on_writable(owner(s));
}

bool fake_next_said(tl_quic_stream *s, size_t *at, tl_frame_kind *ret_kind, tl_slice *ret_bytes)
{
    if (s->out.len - *at < TL_FRAME_HEAD)
        return false;
    const uint8_t *h = tl_buf_begin(&s->out) + *at;
    size_t n = (size_t)h[0] << 24 | (size_t)h[1] << 16 | (size_t)h[2] << 8 | h[3];
    if (s->out.len - *at < n + 4)
        return false;
    *ret_kind = h[4];
    *ret_bytes = tl_slice_of(h + TL_FRAME_HEAD, n - 1);
    *at += n + 4;
    return true;
}

void fake_next_message(tl_quic_stream *s, size_t *at, tl_cluster_type type,
                       tl_cluster_message *ret_message)
{
    tl_frame_kind kind;
    tl_slice bytes;
    assert_true(fake_next_said(s, at, &kind, &bytes));
    assert_int_equal(kind, TL_FRAME_MESSAGE);
    assert_int_equal(tl_cluster_parse(bytes, ret_message), TL_OK);
    assert_int_equal(ret_message->type, type);
}
