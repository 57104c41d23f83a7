/* alike.h - which names look alike to a person, and which look like something else than they are. Pure: tables of
 * characters, no locale.
 *
 * Two names look alike where their keys are equal: letter case, accents and other combining marks, invisible characters,
 * how many blanks there are, and the usual disguises of Latin letters and digits (Cyrillic, Greek, Lisu, full width, "0"
 * for "o", "1" for "l", "rn" for "m") do not count. Keys may be equal where a careful eye sees a difference: vowel signs
 * of some scripts are combining marks; the reverse is rare. After the idea of Unicode's UTS 39, with a small table of its
 * own besides the Unicode Character Database (docs/adr/0035). */
#ifndef TL_BASE_ALIKE_H
#define TL_BASE_ALIKE_H

#include "base/slice.h"

#define TL_ALIKE_TEXT_MAX 255 /* bytes of a name */
#define TL_ALIKE_KEY_MAX  (2 * TL_ALIKE_TEXT_MAX + 1)

/* The key of well-formed UTF-8 of at most TL_ALIKE_TEXT_MAX bytes; of a longer text, of its beginning. */
void tl_alike_key(tl_slice text, char ret_key[TL_ALIKE_KEY_MAX]);
/* True: the text has an invisible character, letters of two alphabets of which one can pass for the other, letters in
 * costume (in circles, of mathematics) or of a script whose letters look like Latin ones, or nothing that is
 * seen. A name that is honest has none of these, but for names in Lisu and the like. "" is not disguised. */
bool tl_alike_is_disguised(tl_slice text);

#endif
