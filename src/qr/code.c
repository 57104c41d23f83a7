#include "qr/code.h"

#include <assert.h>
#include <png.h>
#include <qrencode.h>
#include <stdlib.h>

#define BLACK_ON_WHITE "\x1b[38;5;16;48;5;231m" /* colours that no terminal theme changes */
#define AS_BEFORE      "\x1b[0m"

tl_err tl_qr_make(const char *text, tl_qr *ret_qr)
{
    size_t n = strlen(text);
    if (!n || n > TL_QR_TEXT_MAX)
        return TL_ERR_TOO_LARGE;
    /* The lowest correction: on a screen nothing is scratched, and fewer modules are larger ones. */
    QRcode *code = QRcode_encodeData((int)n, (const uint8_t *)text, 0, QR_ECLEVEL_L);
    if (!code)
        return TL_ERR_NOMEM;
    assert(code->width > 0 && code->width <= TL_QR_SIDE_MAX);
    ret_qr->side = (size_t)code->width;
    for (size_t i = 0; i < ret_qr->side * ret_qr->side; i++)
        ret_qr->dark[i] = code->data[i] & 1;
    QRcode_free(code);
    return TL_OK;
}

size_t tl_qr_columns(const tl_qr *qr)
{
    return qr->side + 2 * (size_t)TL_QR_QUIET;
}

/* `x` and `y` count from the corner of the quiet zone. */
static bool is_dark(const tl_qr *qr, size_t x, size_t y)
{
    size_t end = TL_QR_QUIET + qr->side;
    if (x < TL_QR_QUIET || y < TL_QR_QUIET || x >= end || y >= end)
        return false;
    return qr->dark[(y - TL_QR_QUIET) * qr->side + (x - TL_QR_QUIET)];
}

tl_err tl_qr_draw(const tl_qr *qr, bool colour, tl_buf *out)
{
    /* by the upper and the lower module that the character's ink shows */
    static const char *const ink[2][2] = {{" ", "\xE2\x96\x84"}, {"\xE2\x96\x80", "\xE2\x96\x88"}};
    size_t side = tl_qr_columns(qr);
    tl_err e = TL_OK;
    for (size_t y = 0; y < side && !e; y += 2) {
        e = tl_buf_append_str(out, colour ? BLACK_ON_WHITE : "");
        for (size_t x = 0; x < side && !e; x++) {
            bool upper = is_dark(qr, x, y), lower = y + 1 < side && is_dark(qr, x, y + 1);
            /* The last half row is below the code: it stays the terminal's. */
            bool outside = y + 1 == side;
            e = tl_buf_append_str(out,
                                  colour ? ink[upper][lower] : ink[!upper][!lower && !outside]);
        }
        if (!e)
            e = tl_buf_append_str(out, colour ? AS_BEFORE "\n" : "\n");
    }
    return e;
}

tl_err tl_qr_png(const tl_qr *qr, size_t scale, tl_buf *out)
{
    assert(scale >= 1 && scale <= 32);
    size_t side = tl_qr_columns(qr) * scale;
    uint8_t *pixels = malloc(side * side), *room;
    tl_err e = TL_ERR_NOMEM;
    if (!pixels)
        return e;
    for (size_t y = 0; y < side; y++)
        for (size_t x = 0; x < side; x++)
            pixels[y * side + x] = is_dark(qr, x / scale, y / scale) ? 0 : 255;
    png_image png = {.version = PNG_IMAGE_VERSION,
                     .width = (png_uint_32)side,
                     .height = (png_uint_32)side,
                     .format = PNG_FORMAT_GRAY};
    png_alloc_size_t n = 0;
    if (png_image_write_to_memory(&png, NULL, &n, 0, pixels, 0, NULL) &&
        !tl_buf_reserve(out, n, &room) &&
        png_image_write_to_memory(&png, room, &n, 0, pixels, 0, NULL)) {
        tl_buf_added(out, n);
        e = TL_OK;
    }
    png_image_free(&png);
    free(pixels);
    return e;
}
