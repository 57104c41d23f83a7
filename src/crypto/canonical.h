/* canonical.h - JSON Canonicalization Scheme (RFC 8785): the bytes that signatures cover. Signs and
 * reads nothing. */
#ifndef TL_CRYPTO_CANONICAL_H
#define TL_CRYPTO_CANONICAL_H

#include "base/json.h"

/* Appends the canonical bytes of `value`: keys sorted by UTF-16 code units, no white space,
 * shortest numbers as ECMAScript writes them. TL_ERR_INVALID: NaN, infinity, invalid UTF-8, nested
 * deeper than 64, or an integer that no double holds (RFC 7493 forbids it, and rounding would let
 * two documents share a signature). TL_ERR_NOMEM. On failure `out` is as before. */
TL_CHECK tl_err tl_canonical_write(tl_buf *out, const json_t *value);

#endif
