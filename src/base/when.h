/* when.h - times and durations as text: RFC 3339, and "24h" as people type it. Reads no clock and
 * knows no time zone but those written down. */
#ifndef TL_BASE_WHEN_H
#define TL_BASE_WHEN_H

#include "base/slice.h"
#include "base/time.h"

#define TL_WHEN_TEXT_MAX 32
#define TL_WHEN_YEAR_MAX 9999 /* RFC 3339 has four digits */
#define TL_SPAN_MAX      ((INT64_C(1) << 53) - 1)

/* "2026-11-29T16:00:00Z"; a time beyond the years 0 to 9999 becomes the nearest that is within. */
void tl_when_write(char ret_text[TL_WHEN_TEXT_MAX], tl_unix t);
/* RFC 3339 with any offset; a fraction of a second is dropped, a leap second counts as the second
 * after it. TL_ERR_PROTO. */
TL_CHECK tl_err tl_when_parse(tl_slice text, tl_unix *ret_time);

/* "30s", "5m", "24h" or "7d": 1 to TL_SPAN_MAX seconds. TL_ERR_PROTO; TL_ERR_INVALID: out of range. */
TL_CHECK tl_err tl_span_parse(tl_slice text, int64_t *ret_seconds);
/* For a person, rounded down: "45 s", "3 min", "5 h", "2 d"; "0 s" below 1. */
void tl_span_write(char ret_text[TL_WHEN_TEXT_MAX], int64_t seconds);

#endif
