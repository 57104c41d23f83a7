#include "base/slice.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

tl_err tl_buf_reserve(tl_buf *b, size_t n, uint8_t **ret_room)
{
    if (n > SIZE_MAX / 2 - b->len) /* far beyond any memory; keeps the sums below from wrapping */
        return TL_ERR_NOMEM;
    if (b->head && n > b->cap - b->head - b->len) {
        memmove(b->data, b->data + b->head, b->len);
        b->head = 0;
    }
    if (!b->data || b->len + n > b->cap) {
        size_t cap = b->cap ? b->cap : 64;
        while (cap < b->len + n)
            cap *= 2;
        uint8_t *data = realloc(b->data, cap);
        if (!data)
            return TL_ERR_NOMEM;
        b->data = data;
        b->cap = cap;
    }
    *ret_room = b->data + b->head + b->len;
    return TL_OK;
}

tl_err tl_buf_append(tl_buf *b, tl_slice s)
{
    if (s.n == 0)
        return TL_OK;
    uint8_t *room;
    tl_err e = tl_buf_reserve(b, s.n, &room);
    if (e)
        return e;
    memcpy(room, s.p, s.n);
    b->len += s.n;
    return TL_OK;
}

tl_err tl_buf_append_str(tl_buf *b, const char *s)
{
    return tl_buf_append(b, tl_slice_str(s));
}

tl_err tl_buf_printf(tl_buf *b, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0)
        return TL_ERR_INVALID;
    uint8_t *room;
    tl_err e = tl_buf_reserve(b, (size_t)n + 1, &room);
    if (e)
        return e;
    va_start(ap, fmt);
    vsnprintf((char *)room, (size_t)n + 1, fmt, ap);
    va_end(ap);
    b->len += (size_t)n;
    return TL_OK;
}

void tl_buf_consume(tl_buf *b, size_t n)
{
    if (n > b->len)
        n = b->len;
    b->len -= n;
    b->head = b->len ? b->head + n : 0;
}

void tl_buf_clear(tl_buf *b)
{
    free(b->data);
    *b = (tl_buf){0};
}

void tl_hex_write(char *ret_hex, const uint8_t *p, size_t n)
{
    static const char digit[] = "0123456789abcdef";
    for (size_t i = 0; i < n; i++) {
        ret_hex[2 * i] = digit[p[i] >> 4];
        ret_hex[2 * i + 1] = digit[p[i] & 15];
    }
    ret_hex[2 * n] = 0;
}

#define HEX_NONE 16u

static unsigned hex_value(uint8_t c, bool any_case)
{
    if (c >= '0' && c <= '9')
        return c - (unsigned)'0';
    if (c >= 'a' && c <= 'f')
        return c - (unsigned)'a' + 10;
    if (any_case && c >= 'A' && c <= 'F')
        return c - (unsigned)'A' + 10;
    return HEX_NONE;
}

tl_err tl_hex_parse(tl_slice hex, bool any_case, uint8_t *ret, size_t n)
{
    if (hex.n != 2 * n)
        return TL_ERR_PROTO;
    for (size_t i = 0; i < hex.n; i++)
        if (hex_value(hex.p[i], any_case) == HEX_NONE)
            return TL_ERR_PROTO;
    for (size_t i = 0; i < n; i++)
        ret[i] = (uint8_t)(hex_value(hex.p[2 * i], any_case) << 4 |
                           hex_value(hex.p[2 * i + 1], any_case));
    return TL_OK;
}

size_t tl_utf8_next(tl_slice s) /* RFC 3629 section 4 */
{
    const uint8_t *p = s.p;
    uint8_t c = p[0];
    uint8_t low = 0x80, high = 0xBF; /* bounds of the second byte */
    size_t len;
    if (c < 0x80)
        return 1;
    if (c >= 0xC2 && c <= 0xDF)
        len = 2;
    else if (c >= 0xE0 && c <= 0xEF) {
        len = 3;
        if (c == 0xE0)
            low = 0xA0;
        if (c == 0xED)
            high = 0x9F;
    } else if (c >= 0xF0 && c <= 0xF4) {
        len = 4;
        if (c == 0xF0)
            low = 0x90;
        if (c == 0xF4)
            high = 0x8F;
    } else
        return 0;
    if (s.n < len || p[1] < low || p[1] > high)
        return 0;
    for (size_t i = 2; i < len; i++)
        if ((p[i] & 0xC0) != 0x80)
            return 0;
    return len;
}

bool tl_utf8_is(tl_slice s)
{
    size_t i = 0;
    while (i < s.n) {
        uint64_t word;
        if (s.n - i >= sizeof word) { /* eight ASCII bytes at a time */
            memcpy(&word, s.p + i, sizeof word);
            if (!(word & 0x8080808080808080u)) {
                i += sizeof word;
                continue;
            }
        }
        size_t k = tl_utf8_next(tl_slice_of(s.p + i, s.n - i));
        if (!k)
            return false;
        i += k;
    }
    return true;
}
