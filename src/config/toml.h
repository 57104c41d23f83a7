/* toml.h - TOML 1.0 (https://toml.io/en/v1.0.0): reads a text into a tree whose nodes know their
 * place in the text. Never touches a file, and knows no setting. */
#ifndef TL_CONFIG_TOML_H
#define TL_CONFIG_TOML_H

#include "base/slice.h"

#define TL_TOML_TEXT_MAX (256u << 10) /* far more than any file that a person writes */
#define TL_TOML_NODES_MAX                                                                          \
    4096                     /* names and values: ten times what all settings need at their most */
#define TL_TOML_DEPTH_MAX 32 /* parts of a name, and values in values; the settings need three */

typedef enum {
    TL_TOML_TABLE,
    TL_TOML_ARRAY,
    TL_TOML_STRING,
    TL_TOML_INTEGER,
    TL_TOML_FLOAT,
    TL_TOML_BOOL,
    TL_TOML_DATETIME, /* with an offset from UTC */
    TL_TOML_DATETIME_LOCAL,
    TL_TOML_DATE_LOCAL,
    TL_TOML_TIME_LOCAL,
} tl_toml_type;

/* What made a table or an array; it decides what may be added later. */
typedef enum {
    TL_TOML_BY_PATH,   /* it stands in the header of a table below it: its own header may follow */
    TL_TOML_BY_HEADER, /* [table], or the [[list]] of tables */
    TL_TOML_BY_DOTS,   /* a.b = 1 makes the table a; more of a may follow in the same table only */
    TL_TOML_BY_VALUE,  /* { } or [ ]: complete */
} tl_toml_how;

typedef struct tl_toml tl_toml;
struct tl_toml {
    tl_toml_type type;
    tl_toml_how how; /* of a table or an array */
    unsigned scope;  /* of a table BY_DOTS: the header or inline table below which it was made */
    tl_slice key;    /* decoded; empty for an item of an array */
    tl_slice text;   /* a string, decoded; a float without `_`; a date or time as it is written */
    int64_t integer; /* also 0 or 1 of a boolean */
    unsigned line;   /* of the name; of the value of an item */
    size_t start;    /* the value is text[start, end); of a table BY_HEADER: its header is */
    size_t end;
    size_t n; /* members or items: the list from `first` by `next`, in order of the text */
    tl_toml *parent, *first, *last, *next;
};

/* All memory of one tree. Zero-initialise to begin; tl_toml_clear to end. */
typedef struct {
    struct tl_toml_block *blocks;
    tl_toml *root; /* a table; it and all below it live until tl_toml_clear */
    size_t nodes;
    size_t first_header; /* where the first header begins; the size of the text without any */
} tl_toml_doc;

/* Reads the whole text; the tree borrows nothing of it. On failure `why` begins with `NAME:LINE: `
 * and tells the remedy. TL_ERR_PROTO: no TOML. TL_ERR_EXISTS: a name twice. TL_ERR_TOO_LARGE: over
 * a limit above. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_toml_read(tl_slice text, const char *name, tl_toml_doc *ret_doc, tl_why *why);
void tl_toml_clear(tl_toml_doc *doc);

/* The member of a table; NULL: it has none of this name. */
tl_toml *tl_toml_member(const tl_toml *table, tl_slice key);
/* "a list", "a date": for a message. */
const char *tl_toml_type_name(tl_toml_type type);

/* The size of the byte-order mark in front of the text: 0 or 3. */
size_t tl_toml_mark_size(tl_slice text);
/* The first position at or behind `at` that is no blank, and with `lines` also no newline and no
 * comment; the size of the text if there is none. */
size_t tl_toml_skip(tl_slice text, size_t at, bool lines);
/* Where the next line begins; the size of the text on the last line. */
size_t tl_toml_next_line(tl_slice text, size_t at);

#endif
