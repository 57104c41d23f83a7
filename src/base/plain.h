/* plain.h - text that comes from others: which of its characters may be shown to a person. The one
 * place that knows. Pure: writes nothing. */
#ifndef TL_BASE_PLAIN_H
#define TL_BASE_PLAIN_H

#include "base/slice.h"

typedef enum {
    TL_PLAIN_SHOWN,  /* may be shown as it is */
    TL_PLAIN_HIDDEN, /* a terminal may obey it, or it changes the order of what stands around it */
    TL_PLAIN_BROKEN, /* one byte that is not UTF-8 */
} tl_plain;

/* Judges the first character of `text`, which is not empty. Newline and tab are hidden, too: a caller
 * that wants them asks before.
 *
 * Hidden are C0, DEL and C1 (a terminal obeys them), the bidirectional controls of Unicode (UAX 9:
 * with them "exe.gpj" reads "jpg.exe", and a whole line may read from right to left), the separators
 * of lines and paragraphs, and what was made to annotate text unseen (U+FFF9 to U+FFFB, tags). */
tl_plain tl_plain_next(tl_slice text, size_t *ret_n);

/* True: every character may be shown. */
bool tl_plain_is(tl_slice text);

#define TL_PLAIN_QUOTED_MAX 67 /* with the quotes and a NUL */

/* A name that another chose for itself, as it stands in a line: in quotes, 64 bytes of it at most. Each quote and bracket
 * in it becomes ', so that it neither ends the quotes nor passes for a word of the owner's, which stands in brackets. ""
 * stays "". */
void tl_plain_quote(char ret[TL_PLAIN_QUOTED_MAX], const char *name);

#endif
