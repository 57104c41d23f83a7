/* slice.h - borrowed bytes (tl_slice), owned growing bytes (tl_buf), hex. No other state. */
#ifndef TL_BASE_SLICE_H
#define TL_BASE_SLICE_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Borrowed: valid while the bytes it points to are. `p` may be NULL only when `n` is 0. */
typedef struct {
    const uint8_t *p;
    size_t n;
} tl_slice;

#define TL_SLICE_LIT(s) ((tl_slice){(const uint8_t *)(s), sizeof(s) - 1})

static inline tl_slice tl_slice_of(const void *p, size_t n)
{
    return (tl_slice){p, n};
}
static inline tl_slice tl_slice_str(const char *s)
{
    return (tl_slice){(const uint8_t *)s, strlen(s)};
}
static inline bool tl_slice_eq(tl_slice a, tl_slice b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

/* Owned and growing. Zero-initialise to begin; tl_buf_clear to end. `head` bytes at the front are
 * consumed already, so the content is data[head .. head+len). */
typedef struct {
    uint8_t *data;
    size_t head, len, cap;
} tl_buf;

static inline uint8_t *tl_buf_begin(const tl_buf *b)
{
    return b->data ? b->data + b->head : NULL;
}
static inline tl_slice tl_buf_slice(const tl_buf *b)
{
    return b->len ? (tl_slice){b->data + b->head, b->len} : (tl_slice){NULL, 0};
}

/* Room for `n` more bytes behind the content; *ret_room points there (commit with tl_buf_added).
 * Moves the content to the front before it grows. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_buf_reserve(tl_buf *b, size_t n, uint8_t **ret_room);
static inline void tl_buf_added(tl_buf *b, size_t n)
{
    b->len += n;
}
/* Copies. TL_ERR_NOMEM, the buffer unchanged. */
TL_CHECK tl_err tl_buf_append(tl_buf *b, tl_slice s);
TL_CHECK tl_err tl_buf_append_str(tl_buf *b, const char *s);
TL_CHECK tl_err tl_buf_printf(tl_buf *b, const char *fmt, ...) TL_PRINTF(2, 3);
/* Drops `n` (at most len) bytes from the front; when nothing is left the memory stays for reuse. */
void tl_buf_consume(tl_buf *b, size_t n);
/* Frees the memory; the buffer is empty and usable again. */
void tl_buf_clear(tl_buf *b);

/* Lower-case hex with a terminating NUL: ret_hex holds 2*n+1 bytes. */
void tl_hex_write(char *ret_hex, const uint8_t *p, size_t n);
/* Exactly 2*n hex digits, lower case only unless `any_case`. TL_ERR_PROTO otherwise. */
TL_CHECK tl_err tl_hex_parse(tl_slice hex, bool any_case, uint8_t *ret, size_t n);

/* True for well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms, at most U+10FFFF). */
bool tl_utf8_is(tl_slice s);
/* Length (1 to 4) of the well-formed sequence at the front of `s`, which is not empty. 0: there is
 * none. */
size_t tl_utf8_next(tl_slice s);

#endif
