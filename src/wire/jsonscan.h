/* jsonscan.h - reads JSON in place, strictly (RFC 8259), without recursion, heap or copies: for the
 * relay's routed messages and for a user's request body, whose few fields we need and whose bytes
 * we must not touch. Duplicate keys are the caller's to find among the keys it looks for. */
#ifndef TL_WIRE_JSONSCAN_H
#define TL_WIRE_JSONSCAN_H

#include "base/slice.h"

typedef enum {
    TL_JSON_OBJECT,
    TL_JSON_ARRAY,
    TL_JSON_STRING,
    TL_JSON_NUMBER,
    TL_JSON_TRUE,
    TL_JSON_FALSE,
    TL_JSON_NULL,
} tl_json_kind;

/* One member of an object. Both slices borrow from the text. */
typedef struct {
    tl_slice key;   /* between the quotes, escapes not undone */
    tl_slice value; /* the whole value as it stands; of a string, with its quotes */
    tl_json_kind kind;
} tl_json_member;

/* Walks the members of one object. */
typedef struct {
    const uint8_t *p, *end;
    unsigned max_depth;
    bool first;
} tl_jsonscan;

/* `text` must begin (after white space) with '{'. `max_depth` counts that object as 1; 0 = any
 * depth (bounded by the text alone: the scanner keeps one bit a level, at most TL_JSONSCAN_DEPTH
 * levels). */
#define TL_JSONSCAN_DEPTH 4096
TL_CHECK tl_err tl_jsonscan_begin(tl_jsonscan *s, tl_slice text, unsigned max_depth);
/* The next member; *ret_done at the closing brace, after which only white space may follow. Every
 * byte passed is checked (grammar, UTF-8 in strings, escapes, lone surrogates). TL_ERR_PROTO. */
TL_CHECK tl_err tl_jsonscan_next(tl_jsonscan *s, tl_json_member *ret_member, bool *ret_done);

/* Undoes the escapes of a string value (with its quotes) or key: TL_ERR_TOO_LARGE over cap - 1
 * bytes, TL_ERR_PROTO. NUL-terminates; a string that contains U+0000 is TL_ERR_PROTO. */
TL_CHECK tl_err tl_jsonscan_string(tl_slice raw, char *ret_text, size_t cap, size_t *ret_n);

#endif
