/* out.h - output for a person: errors, aligned tables, progress, colour. Makes text from other
 * nodes harmless to a terminal. Writes only to stdout and stderr; never reads input. */
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

/* Looks at NO_COLOR, TERM and what stdout and stderr are. Call it before any other function
 * here. */
void tl_out_init(void);
/* True when `f` is a terminal on which a live line and colour may be used. */
bool tl_out_is_live(FILE *f);
/* The escape sequence for a colour, or "" where colour is not used. tl_out_end ends the colour. */
const char *tl_out_colour(FILE *f, tl_colour c);
const char *tl_out_end(FILE *f);

/* "teale: ..." on stderr. */
void tl_out_error(const char *fmt, ...) TL_PRINTF(1, 2);
/* A plain line on stderr, for notes that are not part of the answer. */
void tl_out_note(const char *fmt, ...) TL_PRINTF(1, 2);
/* One compact JSON object and a newline on stdout. What base/plain hides is escaped. */
void tl_out_json(const json_t *value);

/* Writes text that comes from others. If `f` is a terminal, leaves out what base/plain hides; with
 * `multi_line`, newline and tab stay. */
void tl_out_text(FILE *f, tl_slice text, bool multi_line);
/* Appends a copy without what base/plain hides; invalid UTF-8 becomes U+FFFD. */
TL_CHECK tl_err tl_out_clean(tl_buf *out, const char *text);

/* Writes such a copy to stdout. */
void tl_out_plain(const char *text);
/* Writes `key: value` to stdout, without padding: scripts look for it. The value is cleaned. */
void tl_out_line(const char *key, const char *value);

/* --- tables: cells are added row by row, then printed in columns that are wide enough --- */
#define TL_TABLE_COLUMNS_MAX 10
typedef struct {
    const char *const *heads; /* borrowed; NULL at the end */
    size_t columns;
    json_t *cells; /* array of strings, row after row */
} tl_table;

void tl_table_begin(tl_table *t, const char *const *heads);
/* Adds a copy, cleaned as by tl_out_clean. */
void tl_table_add(tl_table *t, const char *text);
/* Prints the table to stdout and frees it. If memory ran out in any call, prints nothing and
 * returns an error. */
TL_CHECK tl_err tl_table_end(tl_table *t);

/* --- progress on stderr --- */
/* From now on the next four print nothing: the answer is one JSON object. */
void tl_progress_silence(void);
/* "[2/5] backend    text" as a finished line. */
void tl_progress_done(unsigned step, unsigned steps, const char *name, const char *fmt, ...)
    TL_PRINTF(4, 5);
/* The same as a live line, which the next line replaces. Prints only on a terminal. */
void tl_progress_live(unsigned step, unsigned steps, const char *name, const char *fmt, ...)
    TL_PRINTF(4, 5);
/* A live line with any text, in place of the last live line. Prints only on a terminal. */
void tl_progress_note(const char *fmt, ...) TL_PRINTF(1, 2);
/* The same below the text that stdout has not ended yet: the cursor stays behind that text, and what is longer than
 * the terminal is cut. Where stdout is no terminal, as tl_progress_note. */
void tl_progress_below(const char *fmt, ...) TL_PRINTF(1, 2);
/* Removes a live line. */
void tl_progress_clear(void);

#endif
