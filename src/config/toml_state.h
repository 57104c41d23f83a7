/* toml_state.h - what the files of toml.h share: the reader with its place in the text, its memory,
 * and the rules of tables. Never touches a file. */
#ifndef TL_CONFIG_TOML_STATE_H
#define TL_CONFIG_TOML_STATE_H

#include "config/toml.h"

typedef struct {
    tl_slice text;
    size_t at; /* the next byte to read */
    const char *name;
    tl_why *why;
    tl_toml_doc doc;
    tl_buf scratch;        /* a string while it is decoded */
    unsigned scope;        /* the header or inline table that is being read */
    unsigned scopes;       /* how many there were */
    unsigned depth;        /* of values in values */
    tl_slice value_of;     /* the name whose value is being read, as it is written; else empty */
    size_t counted_at;     /* `counted_line` is the line of this position */
    unsigned counted_line; /* from 1 */
} tl_toml_reader;

/* A name with dots, in parts. */
typedef struct {
    size_t n;
    tl_slice part[TL_TOML_DEPTH_MAX]; /* decoded, in the memory of the tree */
    size_t start, end;                /* as it is written: text[start, end) */
} tl_toml_name;

static inline int tl_toml_peek(const tl_toml_reader *r)
{
    return r->at < r->text.n ? r->text.p[r->at] : -1;
}
static inline bool tl_toml_starts(const tl_toml_reader *r, const char *with)
{
    size_t n = strlen(with);
    return r->text.n - r->at >= n && !memcmp(r->text.p + r->at, with, n);
}

/* The line of a position, from 1. */
unsigned tl_toml_line(tl_toml_reader *r, size_t at);
/* Sets `why` to "NAME:LINE: ..." for the position, with the name whose value is wrong; returns
 * `e`. */
tl_err tl_toml_fail(tl_toml_reader *r, size_t at, tl_err e, const char *fmt, ...) TL_PRINTF(4, 5);

/* --- toml_tree.c: memory and tables --- */

/* A zeroed node, not yet in the tree. TL_ERR_NOMEM, TL_ERR_TOO_LARGE. */
TL_CHECK tl_err tl_toml_node(tl_toml_reader *r, tl_toml_type type, size_t at, tl_toml **ret_node);
/* Copies into the memory of the tree. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_toml_copy(tl_toml_reader *r, tl_slice bytes, tl_slice *ret_copy);
void tl_toml_add(tl_toml *parent, tl_toml *node);
/* Finds or makes the tables that `name = value` goes into, and refuses a name that is taken.
 * TL_ERR_EXISTS, TL_ERR_PROTO, TL_ERR_NOMEM, TL_ERR_TOO_LARGE. */
TL_CHECK tl_err tl_toml_open_dotted(tl_toml_reader *r, tl_toml *table, const tl_toml_name *name,
                                    tl_toml **ret_table);
/* Enters the table of [name], or with `list` a new one of [[name]]; the header is
 * text[start, end). The same errors. */
TL_CHECK tl_err tl_toml_open_header(tl_toml_reader *r, const tl_toml_name *name, bool list,
                                    size_t start, size_t end, tl_toml **ret_table);

/* --- toml_string.c --- */

/* Reads "…", '…', and with `lines` also the forms in three quotes. TL_ERR_PROTO, TL_ERR_NOMEM. */
TL_CHECK tl_err tl_toml_string(tl_toml_reader *r, bool lines, tl_slice *ret_text);

/* --- toml_scalar.c --- */

/* Reads a number, boolean, date or time into `node`. TL_ERR_PROTO, TL_ERR_NOMEM. */
TL_CHECK tl_err tl_toml_scalar(tl_toml_reader *r, tl_toml *node);

#endif
