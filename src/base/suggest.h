/* suggest.h - "did you mean ...?": the known name nearest to a mistyped word. Pure comparison of
 * short words; never touches where the names come from. */
#ifndef TL_BASE_SUGGEST_H
#define TL_BASE_SUGGEST_H

#include <stddef.h>

#define TL_SUGGEST_WORD_MAX 64 /* a longer word is no mistyped name: nothing is suggested for it */

typedef struct {
    const char *word; /* borrowed */
    const char *best; /* borrowed from the offers; NULL while nothing is near */
    size_t distance;
} tl_suggest;

tl_suggest tl_suggest_begin(const char *word);
/* Compares `name` with the word. Letter case does not count, nor `-` in place of `_`; two
 * neighbours swapped count as one change. Near means one change in three letters, and at most
 * three. */
void tl_suggest_offer(tl_suggest *s, const char *name);
/* Compares `alias`, but suggests `name`. */
void tl_suggest_offer_as(tl_suggest *s, const char *alias, const char *name);

#endif
