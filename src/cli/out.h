/* out.h - what a person sees: errors, aligned tables, progress, colour where it belongs. Text from
 * elsewhere is made harmless to a terminal. Writes to stdout and stderr alone. */
#ifndef TL_CLI_OUT_H
#define TL_CLI_OUT_H

#include "base/json.h"

#include <stdio.h>

typedef enum {
    TL_COLOUR_NONE,
    TL_COLOUR_GOOD,
    TL_COLOUR_BAD,
    TL_COLOUR_DIM,
    TL_COLOUR_BOLD
} tl_colour;

/* Looks at NO_COLOR, TERM and what stdout and stderr are. Before anything else of this module. */
void tl_out_init(void);
/* True when `f` is a terminal on which a live line and colour may be used. */
bool tl_out_is_live(FILE *f);
/* The escape sequence, or "" where colour does not belong; tl_out_end ends it. */
const char *tl_out_colour(FILE *f, tl_colour c);
const char *tl_out_end(FILE *f);

/* "teale: ..." on stderr. */
void tl_out_error(const char *fmt, ...) TL_PRINTF(1, 2);
/* A plain line on stderr, for notes that are no answer. */
void tl_out_note(const char *fmt, ...) TL_PRINTF(1, 2);
/* One compact JSON object and a newline on stdout. */
void tl_out_json(const json_t *value);

/* Writes text that somebody else chose; without control characters when `f` is a terminal, but for
 * newline and tab when `multi_line`. */
void tl_out_text(FILE *f, tl_slice text, bool multi_line);
/* Appends a copy without any control character; invalid UTF-8 becomes U+FFFD. */
TL_CHECK tl_err tl_out_clean(tl_buf *out, const char *text);

/* That copy, on stdout. */
void tl_out_plain(const char *text);
/* `key: value`, unpadded, on stdout: what scripts look for. The value is cleaned. */
void tl_out_line(const char *key, const char *value);

/* --- tables: cells are added row by row, then printed with columns as wide as they must be --- */
#define TL_TABLE_COLUMNS_MAX 8
typedef struct {
    const char *const *heads; /* borrowed; NULL at the end */
    size_t columns;
    json_t *cells; /* array of strings, row after row */
} tl_table;

void tl_table_begin(tl_table *t, const char *const *heads);
/* Copies, cleaned as by tl_out_clean. */
void tl_table_add(tl_table *t, const char *text);
/* Prints to stdout and frees. Out of memory anywhere ends in an error instead of half a table. */
TL_CHECK tl_err tl_table_end(tl_table *t);

/* --- progress on stderr --- */
/* "[2/5] backend    text" as a finished line. */
void tl_progress_done(unsigned step, unsigned steps, const char *name, const char *fmt, ...)
    TL_PRINTF(4, 5);
/* The same, replaced by what comes next; only on a terminal, nothing elsewhere. */
void tl_progress_live(unsigned step, unsigned steps, const char *name, const char *fmt, ...)
    TL_PRINTF(4, 5);
/* A live line of its own, in place of the last; only on a terminal. */
void tl_progress_note(const char *fmt, ...) TL_PRINTF(1, 2);
/* Removes a live line. */
void tl_progress_clear(void);

#endif
