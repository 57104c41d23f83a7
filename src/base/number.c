#include "base/number.h"

#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DIGITS_MAX 17 /* enough for every double to round-trip */

/* A positive double as 0.d1d2...dn * 10^point, in the fewest digits that read back as the same. */
typedef struct {
    char digit[DIGITS_MAX + 1];
    int n, point;
} decimal;

/* The nearest decimal of `n` digits. Takes digits only, so that no locale's point gets in. */
static decimal nearest(double value, int n)
{
    char text[DIGITS_MAX + 16];
    snprintf(text, sizeof text, "%.*e", n - 1, value);
    decimal d = {.n = n};
    char *exponent = strchr(text, 'e');
    int got = 0;
    for (const char *p = text; p < exponent; p++)
        if (*p >= '0' && *p <= '9')
            d.digit[got++] = *p;
    d.point = (int)strtol(exponent + 1, NULL, 10) + 1;
    return d;
}

/* Adds one to the last digit. */
static void increment(decimal *d)
{
    int i = d->n - 1;
    while (i >= 0 && d->digit[i] == '9')
        d->digit[i--] = '0';
    if (i >= 0) {
        d->digit[i]++;
        return;
    }
    d->digit[0] = '1'; /* 99..9 became 100..0 */
    d->point++;
}

static bool reads_back(const decimal *d, double value)
{
    char text[DIGITS_MAX + 16];
    snprintf(text, sizeof text, "%se%d", d->digit, d->point - d->n);
    return strtod(text, NULL) == value;
}

static decimal shortest(double value)
{
    decimal d = {0};
    for (int n = 1; n <= DIGITS_MAX; n++) {
        d = nearest(value, n);
        if (reads_back(&d, value))
            break;
        /* The doubles just above a power of two lie twice as far apart as those below it. So the
         * decimal above may read back as the same double where the nearer decimal below does not
         * (2^-44). */
        increment(&d);
        if (reads_back(&d, value))
            break;
    }
    while (d.n > 1 && d.digit[d.n - 1] == '0')
        d.digit[--d.n] = 0;
    return d;
}

size_t tl_number_write(char ret_text[TL_NUMBER_TEXT_MAX], double value)
{
    static const char zeros[] = "00000000000000000000";
    assert(isfinite(value));
    if (value == 0) { /* minus zero too */
        memcpy(ret_text, "0", 2);
        return 1;
    }
    decimal d = shortest(fabs(value));
    const char *sign = value < 0 ? "-" : "";
    size_t cap = TL_NUMBER_TEXT_MAX;
    int n;
    if (d.n <= d.point && d.point <= 21)
        n = snprintf(ret_text, cap, "%s%s%.*s", sign, d.digit, d.point - d.n, zeros);
    else if (0 < d.point && d.point <= 21)
        n = snprintf(ret_text, cap, "%s%.*s.%s", sign, d.point, d.digit, d.digit + d.point);
    else if (-6 < d.point && d.point <= 0)
        n = snprintf(ret_text, cap, "%s0.%.*s%s", sign, -d.point, zeros, d.digit);
    else
        n = snprintf(ret_text, cap, "%s%c%s%se%+d", sign, d.digit[0], d.n > 1 ? "." : "",
                     d.digit + 1, d.point - 1);
    return (size_t)n;
}
