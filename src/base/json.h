/* json.h - strict reading and compact writing over jansson, for everything off the hot path. */
#ifndef TL_BASE_JSON_H
#define TL_BASE_JSON_H

#include "base/slice.h"
#include "base/time.h"

#include <jansson.h>

/* RFC 8259 to the letter: no duplicate keys, no trailing bytes, valid UTF-8, nested at most
 * `max_depth` (the outermost value is 1; the depth is checked before jansson recurses). jansson
 * also refuses integers beyond 64 bits, reals beyond a double, and a NUL in a key. The caller owns
 * *ret (json_decref). TL_ERR_PROTO with the position in `why`, TL_ERR_NOMEM. */
TL_CHECK tl_err tl_json_parse(tl_slice text, unsigned max_depth, json_t **ret, tl_why *why);

/* The same for what a stranger wrote: a text of more than `max_values` values is TL_ERR_PROTO, and
 * no tree is made of it. A value takes up to 100 bytes of memory, where "0," is two of text. */
#define TL_JSON_VALUES_MAX (64u << 10) /* far more than any message has */
TL_CHECK tl_err tl_json_parse_bounded(tl_slice text, unsigned max_depth, size_t max_values,
                                      json_t **ret, tl_why *why);
/* The text has no more values than this: its brackets and commas are counted, outside strings. */
size_t tl_json_count(tl_slice text);

/* Compact, keys in their order of insertion, reals as the shortest text that reads back the same;
 * appended to `out`. TL_ERR_NOMEM, `out` as before. */
TL_CHECK tl_err tl_json_write(tl_buf *out, const json_t *value);

/* Field getters: the default when the key is absent or of another type. Strings are borrowed. */
const char *tl_json_string(const json_t *object, const char *key, const char *fallback);
double tl_json_number(const json_t *object, const char *key, double fallback);
bool tl_json_bool(const json_t *object, const char *key, bool fallback);

/* A time in RFC 3339, as tl_when_write has it. NULL: out of memory, which json_pack and the json_*_new take. */
json_t *tl_json_time(tl_unix at);

/* Takes `value` and `list`, which may both be NULL: out of memory. Returns the list with the value at its end. NULL:
 * out of memory, and both are freed. */
json_t *tl_json_append(json_t *list, json_t *value);

/* Writes `text` as a JSON string with quotes, escaping what RFC 8259 asks for; invalid UTF-8
 * becomes U+FFFD, so that the result is always valid. */
TL_CHECK tl_err tl_json_append_string(tl_buf *out, tl_slice text);

#endif
