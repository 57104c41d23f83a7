/* number.h - a double as the shortest text that reads back as the same double, in ECMAScript's form
 * (Number::toString, which RFC 8785 asks for). The locale never changes it. */
#ifndef TL_BASE_NUMBER_H
#define TL_BASE_NUMBER_H

#include <stddef.h>

#define TL_NUMBER_TEXT_MAX 32 /* the longest: -0.0000012345678901234567 and NUL */

/* `value` must be finite. Zero has no sign. Returns the length. */
size_t tl_number_write(char ret_text[TL_NUMBER_TEXT_MAX], double value);

#endif
