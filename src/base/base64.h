/* base64.h - RFC 4648 section 4 with padding, at memory speed: every relayed datagram passes here.
 * Not for secrets (the tables are indexed by data); libsodium serves those. */
#ifndef TL_BASE_BASE64_H
#define TL_BASE_BASE64_H

#include "base/slice.h"

static inline size_t tl_base64_size(size_t n)
{
    return (n + 2) / 3 * 4;
}
/* Writes exactly tl_base64_size(s.n) characters, no NUL. */
void tl_base64_write(uint8_t *ret, tl_slice s);
/* Canonical only (length a multiple of 4, right padding, zero spare bits): TL_ERR_PROTO otherwise.
 * `ret` holds text.n / 4 * 3 bytes; *ret_n tells how many were written. `ret` may be text.p. */
TL_CHECK tl_err tl_base64_parse(tl_slice text, uint8_t *ret, size_t *ret_n);

#endif
