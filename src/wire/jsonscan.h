/* jsonscan.h - reads JSON in place, strictly (RFC 8259), without recursion, heap or copies. It
 * serves the relay's routed messages and a user's request body: we need a few of their fields and
 * must not touch their bytes. The caller looks for duplicates among the keys it wants. */
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
    bool halves;   /* see tl_jsonscan_begin_body */
    bool entered;  /* by tl_jsonscan_enter: what follows the closing brace is the outer object's */
    bool too_deep; /* why a value was refused: all is well up to the bracket that is one too many */
} tl_jsonscan;

/* `text` must begin (after white space) with '{'. `max_depth` counts that object as 1. 0: any depth
 * up to TL_JSONSCAN_DEPTH, since the scanner keeps one bit a level. */
#define TL_JSONSCAN_DEPTH 4096
TL_CHECK tl_err tl_jsonscan_begin(tl_jsonscan *s, tl_slice text, unsigned max_depth);
/* The same for a body that is handed on untouched. It may hold what real clients send and model
 * servers take: a byte order mark in front, and one half of a surrogate pair alone. */
TL_CHECK tl_err tl_jsonscan_begin_body(tl_jsonscan *s, tl_slice text, unsigned max_depth);
/* The next member; *ret_done at the closing brace, after which only white space may follow. Every
 * byte passed is checked (grammar, UTF-8 in strings, escapes, lone surrogates). TL_ERR_PROTO. */
TL_CHECK tl_err tl_jsonscan_next(tl_jsonscan *s, tl_json_member *ret_member, bool *ret_done);

/* The same in steps, to read objects inside objects in one pass: first the next key, then its
 * value. Where the value is an object, its members may be read instead: tl_jsonscan_enter, the
 * members through `ret_inner` until done, tl_jsonscan_leave. */
TL_CHECK tl_err tl_jsonscan_key(tl_jsonscan *s, tl_slice *ret_key, bool *ret_done);
TL_CHECK tl_err tl_jsonscan_value(tl_jsonscan *s, tl_slice *ret_value, tl_json_kind *ret_kind);
/* What the value after the key begins with; nothing of it is checked yet. */
TL_CHECK tl_err tl_jsonscan_peek(const tl_jsonscan *s, tl_json_kind *ret_kind);
/* TL_ERR_PROTO: not an object, or too deep. */
TL_CHECK tl_err tl_jsonscan_enter(tl_jsonscan *s, tl_jsonscan *ret_inner);
/* After the inner scanner was done. */
void tl_jsonscan_leave(tl_jsonscan *s, const tl_jsonscan *inner);

/* Checks one whole JSON value of any kind, white space around it allowed. TL_ERR_PROTO. */
TL_CHECK tl_err tl_jsonscan_check(tl_slice text, unsigned max_depth, tl_json_kind *ret_kind);

/* Undoes the escapes of a string value (with its quotes) or key: TL_ERR_TOO_LARGE over cap - 1
 * bytes, TL_ERR_PROTO. NUL-terminates; a string that contains U+0000 is TL_ERR_PROTO. */
TL_CHECK tl_err tl_jsonscan_string(tl_slice raw, char *ret_text, size_t cap, size_t *ret_n);

#endif
