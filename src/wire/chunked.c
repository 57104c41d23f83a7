#include "wire/chunked.h"

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

static tl_err on_size(tl_chunked *c, uint8_t byte)
{
    int digit = hex_digit(byte);
    if (digit >= 0) {
        if (++c->digits > TL_CHUNKED_DIGITS_MAX)
            return TL_ERR_TOO_LARGE;
        c->left = c->left << 4 | (uint64_t)digit;
        return TL_OK;
    }
    if (c->digits == 0)
        return TL_ERR_PROTO;
    if (byte == '\r')
        c->state = TL_CHUNKED_SIZE_LF;
    else if (byte == ';')
        c->state = TL_CHUNKED_EXTENSION;
    else
        return TL_ERR_PROTO;
    return TL_OK;
}

/* A byte in the text of an extension or trailer. CR ends that text and leads to `after`. */
static tl_err on_text(tl_chunked *c, uint8_t byte, tl_chunked_state inside, tl_chunked_state after)
{
    if (byte == '\r') {
        c->state = after;
        return TL_OK;
    }
    if ((byte < 0x20 && byte != '\t') || byte == 0x7F)
        return TL_ERR_PROTO;
    if (++c->extra > TL_CHUNKED_EXTRA_MAX)
        return TL_ERR_TOO_LARGE;
    c->state = inside;
    return TL_OK;
}

static tl_err expect(tl_chunked *c, uint8_t byte, uint8_t wanted, tl_chunked_state next)
{
    if (byte != wanted)
        return TL_ERR_PROTO;
    c->state = next;
    return TL_OK;
}

/* One byte outside the data. */
static tl_err on_byte(tl_chunked *c, uint8_t byte)
{
    switch (c->state) {
    case TL_CHUNKED_SIZE: return on_size(c, byte);
    case TL_CHUNKED_EXTENSION: return on_text(c, byte, TL_CHUNKED_EXTENSION, TL_CHUNKED_SIZE_LF);
    case TL_CHUNKED_SIZE_LF:
        return expect(c, byte, '\n', c->left ? TL_CHUNKED_DATA : TL_CHUNKED_TRAILER);
    case TL_CHUNKED_DATA_CR: return expect(c, byte, '\r', TL_CHUNKED_DATA_LF);
    case TL_CHUNKED_DATA_LF: c->digits = 0; return expect(c, byte, '\n', TL_CHUNKED_SIZE);
    case TL_CHUNKED_TRAILER: return on_text(c, byte, TL_CHUNKED_TRAILER_IN, TL_CHUNKED_END_LF);
    case TL_CHUNKED_TRAILER_IN:
        return on_text(c, byte, TL_CHUNKED_TRAILER_IN, TL_CHUNKED_TRAILER_LF);
    case TL_CHUNKED_TRAILER_LF: return expect(c, byte, '\n', TL_CHUNKED_TRAILER);
    case TL_CHUNKED_END_LF: return expect(c, byte, '\n', TL_CHUNKED_DONE);
    case TL_CHUNKED_DATA:
    case TL_CHUNKED_DONE: break;
    }
    return TL_ERR_PROTO;
}

tl_err tl_chunked_next(tl_chunked *c, tl_slice in, size_t *ret_used, tl_slice *ret_data)
{
    size_t i = 0;
    while (i < in.n && c->state != TL_CHUNKED_DATA && c->state != TL_CHUNKED_DONE) {
        tl_err e = on_byte(c, in.p[i]);
        if (e)
            return e;
        i++;
    }
    size_t n = 0;
    if (c->state == TL_CHUNKED_DATA) {
        n = in.n - i < c->left ? in.n - i : (size_t)c->left;
        c->left -= n;
        if (c->left == 0)
            c->state = TL_CHUNKED_DATA_CR;
    }
    *ret_data = n ? tl_slice_of(in.p + i, n) : (tl_slice){NULL, 0};
    *ret_used = i + n;
    return TL_OK;
}
