#include "base/number.h"

#include "base/rand.h"
#include "ownnet.h"

#include <locale.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void assert_text(double value, const char *expected)
{
    char text[TL_NUMBER_TEXT_MAX];
    assert_int_equal(tl_number_write(text, value), strlen(expected));
    assert_string_equal(text, expected);
}

static void numbers_look_as_people_write_them(void **state)
{
    (void)state;
    assert_text(0, "0");
    assert_text(-0.0, "0");
    assert_text(0.1, "0.1");
    assert_text(0.1 + 0.2, "0.30000000000000004");
    assert_text(12.345, "12.345");
    assert_text(-1, "-1");
    assert_text(100, "100");
    assert_text(1e20, "100000000000000000000");
    assert_text(1e21, "1e+21");
    assert_text(0.000001, "0.000001");
    assert_text(0.0000001, "1e-7");
    assert_text(-1.2345678901234567e-6, "-0.0000012345678901234567");
    assert_text(-1.7976931348623157e308, "-1.7976931348623157e+308");
    assert_text(9007199254740993.0, "9007199254740992");
}

/* Digits from the first to the last that is not zero. */
static int significant(const char *text)
{
    int digits = 0, last = 0;
    for (const char *p = text; *p && *p != 'e'; p++) {
        if ((*p >= '1' && *p <= '9') || (*p == '0' && digits))
            digits++;
        if (*p >= '1' && *p <= '9')
            last = digits;
    }
    return last;
}

/* Every text reads back, and one digit fewer never would: tried on all sizes of double. */
static void the_text_is_the_shortest_that_reads_back(void **state)
{
    (void)state;
    tl_rand rand = tl_rand_seeded(1);
    for (int i = 0; i < 20000; i++) {
        uint64_t bits = tl_rand_u64(&rand);
        double value;
        char text[TL_NUMBER_TEXT_MAX], shorter[64];
        if (i < 2046)
            bits = (uint64_t)(i + 1) << 52; /* the powers of two */
        memcpy(&value, &bits, sizeof value);
        if (!isfinite(value) || value == 0)
            continue;
        size_t n = tl_number_write(text, value);
        assert_int_equal(n, strlen(text));
        assert_true(strtod(text, NULL) == value);
        int digits = significant(text);
        if (digits > 1) {
            snprintf(shorter, sizeof shorter, "%.*e", digits - 2, value);
            assert_true(strtod(shorter, NULL) != value);
        }
    }
}

static void a_locale_with_a_decimal_comma_changes_nothing(void **state)
{
    (void)state;
    static const char *const names[] = {"de_DE.UTF-8", "fr_FR.UTF-8", "de_DE", "fr_FR"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (setlocale(LC_NUMERIC, names[i]))
            break;
    if (strcmp(localeconv()->decimal_point, ",") != 0)
        skip_because("no locale with a decimal comma is installed");
    assert_text(12.345, "12.345");
    assert_text(1.5e-300, "1.5e-300");
    setlocale(LC_NUMERIC, "C");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_look_as_people_write_them),
        cmocka_unit_test(the_text_is_the_shortest_that_reads_back),
        cmocka_unit_test(a_locale_with_a_decimal_comma_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
