/* number.h - whole numbers that may be absent, and a double as the shortest text that reads back as the
 * same double, in ECMAScript's form (Number::toString, which RFC 8785 asks for). The locale never
 * changes it. */
#ifndef TL_BASE_NUMBER_H
#define TL_BASE_NUMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* 2^53 - 1: whole numbers up to this are exact in every program that reads JSON. */
#define TL_NUMBER_EXACT_MAX ((INT64_C(1) << 53) - 1)

/* A number that may be absent. Zero-initialised: absent. */
typedef struct {
    bool given;
    int64_t value;
} tl_maybe;

static inline tl_maybe tl_maybe_of(int64_t value)
{
    return (tl_maybe){true, value};
}

#define TL_NUMBER_TEXT_MAX 32 /* the longest: -0.0000012345678901234567 and NUL */

/* `value` must be finite. Zero has no sign. Returns the length. */
size_t tl_number_write(char ret_text[TL_NUMBER_TEXT_MAX], double value);

#endif
