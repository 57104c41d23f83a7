/* alike.h - which names look alike to a person, and which look like something else than they are. Pure: a
 * table of characters, no locale.
 *
 * Two names look alike where their keys are equal: letter case, accents, invisible characters and the usual
 * disguises of Latin letters and digits (Cyrillic, Greek, full width, "0" for "o", "1" for "l", "rn" for "m")
 * do not count. Keys may be equal where a careful eye sees a difference; the reverse is rare. After the idea
 * of Unicode's UTS 39, with a small table of its own (docs/adr/0035). */
#ifndef TL_BASE_ALIKE_H
#define TL_BASE_ALIKE_H

#include "base/slice.h"

#define TL_ALIKE_TEXT_MAX 255 /* bytes of a name */
#define TL_ALIKE_KEY_MAX  (2 * TL_ALIKE_TEXT_MAX + 1)

/* The key of well-formed UTF-8 of at most TL_ALIKE_TEXT_MAX bytes; of a longer text, of its beginning. */
void tl_alike_key(tl_slice text, char ret_key[TL_ALIKE_KEY_MAX]);
/* True: the text has an invisible character, or letters of two alphabets of which one can pass for the
 * other. A name that is honest has neither. */
bool tl_alike_is_disguised(tl_slice text);

#endif
