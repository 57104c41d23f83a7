/* phrase.h - 24 recovery words, of which a person keeps one copy on paper (BIP 39, English): 32 bytes
 * to words and back. Says which word is wrong, and which may be meant. Never prints or keeps one.
 *
 *   entropy, 256 bits || the first 8 bits of its SHA-256   =   24 numbers of 11 bits, each a word */
#ifndef TL_BACKUP_PHRASE_H
#define TL_BACKUP_PHRASE_H

#include "base/slice.h"

#define TL_PHRASE_ENTROPY 32
#define TL_PHRASE_WORDS   24
#define TL_PHRASE_LIST    2048
#define TL_PHRASE_LETTERS 8 /* of the longest word */
/* No two words of the list begin with the same four letters. So these stand for the word. */
#define TL_PHRASE_ENOUGH  4
#define TL_PHRASE_TEXT    (TL_PHRASE_WORDS * (TL_PHRASE_LETTERS + 1)) /* with blanks and the NUL */
#define TL_PHRASE_NEAR    3

/* In alphabetical order. */
extern const char *const tl_phrase_words[TL_PHRASE_LIST];

/* The words, in lower case, one blank between two. The caller wipes `ret_text`. */
void tl_phrase_write(const uint8_t entropy[TL_PHRASE_ENTROPY], char ret_text[TL_PHRASE_TEXT]);

/* Place of the word in the list, whatever its case; the first TL_PHRASE_ENOUGH letters, or more, of a
 * longer word stand for it. TL_ERR_NOT_FOUND. */
TL_CHECK tl_err tl_phrase_find(tl_slice word, unsigned *ret_number);
/* Up to TL_PHRASE_NEAR words that may be meant, the nearest first; static storage. Returns how many. */
size_t tl_phrase_near(tl_slice word, const char *ret_words[TL_PHRASE_NEAR]);

/* Reads 24 words, between which blanks, line ends, commas, and the numbers of a written list ("7." or
 * "7)") may stand. Each error sets `why`, which holds what the person typed: it is for the terminal
 * alone. TL_ERR_NOT_FOUND: a word is none of the list; `why` names it, its place, and the nearest.
 * TL_ERR_SHORT, TL_ERR_TOO_LARGE: less or more than 24. TL_ERR_AUTH: each is a word of the list, and
 * the checksum is wrong; where one exchange of a word for a similar one, or of two neighbours, makes it
 * right, `why` names it; with NULL none is looked for. The caller wipes `ret_entropy`. */
TL_CHECK tl_err tl_phrase_parse(tl_slice text, uint8_t ret_entropy[TL_PHRASE_ENTROPY], tl_why *why);

#endif
