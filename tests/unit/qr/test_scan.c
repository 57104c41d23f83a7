/* The code in a picture of shades of grey. Photos are in unit/cli/test_qr.c, which decodes them. */
#include "qr/code.h"
#include "qr/scan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define SCALE 4

/* A picture with this text's code in its middle; the caller frees the pixels. */
static tl_grey picture_of(const char *text)
{
    static tl_qr qr;
    assert_int_equal(tl_qr_make(text, &qr), TL_OK);
    size_t side = tl_qr_columns(&qr) * SCALE, quiet = (size_t)TL_QR_QUIET * SCALE;
    tl_grey g = {side, side, malloc(side * side)};
    assert_non_null(g.pixels);
    memset(g.pixels, 255, side * side);
    for (size_t y = 0; y < qr.side * SCALE; y++)
        for (size_t x = 0; x < qr.side * SCALE; x++)
            g.pixels[(y + quiet) * side + x + quiet] =
                qr.dark[y / SCALE * qr.side + x / SCALE] ? 0 : 255;
    return g;
}

static void expect_found(const tl_grey *g, const char *prefix, const char *wanted)
{
    tl_buf text = {0};
    tl_why why = {""};
    if (tl_qr_find(g, prefix, &text, &why))
        fail_msg("%s", why.text);
    assert_true(tl_slice_eq(tl_buf_slice(&text), tl_slice_str(wanted)));
    tl_buf_clear(&text);
}

static void the_text_of_a_code_is_found_also_of_another_kind_than_wanted(void **state)
{
    (void)state;
    tl_grey g = picture_of("https://example.org/a");
    expect_found(&g, "teale:", "https://example.org/a");
    free(g.pixels);
}

static void of_two_codes_the_wanted_one_is_taken(void **state)
{
    (void)state;
    for (int wanted_first = 0; wanted_first < 2; wanted_first++) {
        tl_grey a = picture_of(wanted_first ? "teale:x" : "https:x");
        tl_grey b = picture_of(wanted_first ? "https:x" : "teale:x");
        assert_int_equal(a.height, b.height);
        tl_grey both = {a.width + b.width, a.height, malloc((a.width + b.width) * a.height)};
        assert_non_null(both.pixels);
        for (size_t y = 0; y < a.height; y++) {
            memcpy(both.pixels + y * both.width, a.pixels + y * a.width, a.width);
            memcpy(both.pixels + y * both.width + a.width, b.pixels + y * b.width, b.width);
        }
        expect_found(&both, "teale:", "teale:x");
        free(a.pixels);
        free(b.pixels);
        free(both.pixels);
    }
}

static void pictures_without_a_code_have_none_whatever_their_size(void **state)
{
    (void)state;
    static const size_t sides[][2] = {{1, 1}, {1, 4000}, {4000, 1}, {200, 300}, {5000, 20}};
    for (size_t i = 0; i < sizeof sides / sizeof *sides; i++) {
        tl_grey g = {sides[i][0], sides[i][1], calloc(sides[i][0], sides[i][1])};
        tl_buf text = {0};
        tl_why why = {""};
        uint32_t x = 7;
        assert_non_null(g.pixels);
        for (size_t k = 0; k < g.width * g.height; k++)
            g.pixels[k] = (uint8_t)((x = x * 1664525 + 1013904223) >> 24);
        assert_int_equal(tl_qr_find(&g, "teale:", &text, &why), TL_ERR_NOT_FOUND);
        assert_true(why.text[0] != 0);
        assert_int_equal(text.len, 0);
        free(g.pixels);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_text_of_a_code_is_found_also_of_another_kind_than_wanted),
        cmocka_unit_test(of_two_codes_the_wanted_one_is_taken),
        cmocka_unit_test(pictures_without_a_code_have_none_whatever_their_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
