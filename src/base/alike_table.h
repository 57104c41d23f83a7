/* alike_table.h - what the Unicode Character Database says of characters, as far as names that look alike need it.
 * The tables are made at build time by alike_table.py; all are in the order of the characters. */
#ifndef TL_BASE_ALIKE_TABLE_H
#define TL_BASE_ALIKE_TABLE_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
    uint32_t first, last;
} tl_alike_range;

/* What the character is without accents, costume (full width, circles, letters of mathematics) and letter case.
 * A base letter may have a letter case of its own still. */
typedef struct {
    uint32_t c;
    uint8_t as[4]; /* UTF-8 of one character, or 1 to 4 of ASCII; NUL after it, if there is room */
} tl_alike_fold;

/* Nothing is seen of them: general category Cf, Default_Ignorable_Code_Point, and what fonts draw as nothing. */
extern const tl_alike_range tl_alike_unseen[];
extern const size_t tl_alike_unseen_n;
/* They sit on the character before: general categories Mn and Me. */
extern const tl_alike_range tl_alike_marks[];
extern const size_t tl_alike_marks_n;
extern const tl_alike_fold tl_alike_folds[];
extern const size_t tl_alike_folds_n;

#endif
