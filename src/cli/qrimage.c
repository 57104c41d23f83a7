#include "cli/qrimage.h"

#include "cli/files.h"

#include <png.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

#include <jpeglib.h> /* wants FILE to be known */

#define SCANS_MAX 64 /* of a progressive JPEG: a camera's has 10, each is a pass over all of it */

static tl_err check_size(size_t width, size_t height, tl_why *why)
{
    bool fits = width && height && width <= TL_QRIMAGE_SIDE_MAX && height <= TL_QRIMAGE_SIDE_MAX &&
                width * height <= TL_QRIMAGE_PIXELS_MAX;
    return fits ? TL_OK
                : tl_why_set(why, TL_ERR_TOO_LARGE,
                             "the picture has %zu x %zu pixels, more than %u million: cut the code "
                             "out of it",
                             width, height, TL_QRIMAGE_PIXELS_MAX >> 20);
}

static tl_err no_memory(tl_why *why)
{
    return tl_why_set(why, TL_ERR_NOMEM, "out of memory");
}

/* --- PNG --- */

static tl_err decode_png(tl_slice file, tl_grey *ret, tl_why *why)
{
    png_image png = {.version = PNG_IMAGE_VERSION};
    const png_color white = {255, 255, 255};
    if (!png_image_begin_read_from_memory(&png, file.p, file.n))
        return tl_why_set(why, TL_ERR_PROTO, "the PNG picture is broken: %s", png.message);
    tl_err e = check_size(png.width, png.height, why);
    uint8_t *pixels = NULL;
    png.format = PNG_FORMAT_GRAY;
    if (!e && !(pixels = calloc(png.width, png.height)))
        e = no_memory(why);
    if (!e && !png_image_finish_read(&png, &white, pixels, 0, NULL))
        e = tl_why_set(why, TL_ERR_PROTO, "the PNG picture is broken: %s", png.message);
    if (e)
        free(pixels);
    else
        *ret = (tl_grey){png.width, png.height, pixels};
    png_image_free(&png);
    return e;
}

/* --- JPEG: the library ends a broken picture by a jump --- */

typedef struct {
    struct jpeg_error_mgr errors; /* first: the library knows only this */
    struct jpeg_progress_mgr progress;
    jmp_buf back;
    char text[JMSG_LENGTH_MAX];
} jpeg_run;

static void on_jpeg_error(j_common_ptr c)
{
    jpeg_run *run = (jpeg_run *)c->err;
    c->err->format_message(c, run->text);
    longjmp(run->back, 1);
}

static void on_jpeg_message(j_common_ptr c)
{
    (void)c; /* a warning: the rest of the picture may do */
}

static void on_jpeg_progress(j_common_ptr c)
{
    j_decompress_ptr d = (j_decompress_ptr)c;
    jpeg_run *run = (jpeg_run *)c->err;
    if (d->input_scan_number <= SCANS_MAX)
        return;
    snprintf(run->text, sizeof run->text, "more than %d scans", SCANS_MAX);
    longjmp(run->back, 1);
}

static void read_rows(struct jpeg_decompress_struct *d, uint8_t *pixels)
{
    while (d->output_scanline < d->output_height) {
        JSAMPROW row = pixels + (size_t)d->output_scanline * d->output_width;
        jpeg_read_scanlines(d, &row, 1);
    }
}

/* Everything that must survive the jump is in the caller's memory. */
static tl_err run_jpeg(struct jpeg_decompress_struct *d, jpeg_run *run, tl_slice file, tl_grey *g,
                       tl_why *why)
{
    if (setjmp(run->back))
        return tl_why_set(why, TL_ERR_PROTO, "the JPEG picture is broken: %s", run->text);
    jpeg_create_decompress(d);
    d->progress = &run->progress;
    jpeg_mem_src(d, file.p, file.n);
    jpeg_read_header(d, TRUE);
    tl_err e = check_size(d->image_width, d->image_height, why);
    if (e)
        return e;
    d->out_color_space = JCS_GRAYSCALE;
    jpeg_start_decompress(d);
    g->pixels = calloc(d->output_width, d->output_height);
    if (!g->pixels)
        return no_memory(why);
    g->width = d->output_width;
    g->height = d->output_height;
    read_rows(d, g->pixels);
    return TL_OK;
}

static tl_err decode_jpeg(tl_slice file, tl_grey *ret, tl_why *why)
{
    struct jpeg_decompress_struct d = {.err = NULL};
    jpeg_run run = {.text = ""};
    tl_grey g = {0};
    d.err = jpeg_std_error(&run.errors);
    run.errors.error_exit = on_jpeg_error;
    run.errors.output_message = on_jpeg_message;
    run.progress.progress_monitor = on_jpeg_progress;
    tl_err e = run_jpeg(&d, &run, file, &g, why);
    jpeg_destroy_decompress(&d);
    if (e)
        free(g.pixels);
    else
        *ret = g;
    return e;
}

tl_err tl_qrimage_decode(tl_slice file, tl_grey *ret_picture, tl_why *why)
{
    static const uint8_t png[] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'},
                         jpeg[] = {0xFF, 0xD8, 0xFF};
    if (file.n >= sizeof png && !memcmp(file.p, png, sizeof png))
        return decode_png(file, ret_picture, why);
    if (file.n >= sizeof jpeg && !memcmp(file.p, jpeg, sizeof jpeg))
        return decode_jpeg(file, ret_picture, why);
    return tl_why_set(why, TL_ERR_PROTO, "it is neither a PNG nor a JPEG picture");
}

tl_err tl_qrimage_read(const char *path, const char *prefix, tl_buf *out, tl_why *why)
{
    tl_buf file = {0};
    tl_grey picture = {0};
    tl_why cause;
    tl_err e = tl_file_read(path, TL_QRIMAGE_FILE_MAX, &file, why);
    if (!e) {
        e = tl_qrimage_decode(tl_buf_slice(&file), &picture, &cause);
        tl_buf_clear(&file);
        if (!e)
            e = tl_qr_find(&picture, prefix, out, &cause);
        if (e)
            tl_why_set(why, e, "%s: %s", path, cause.text);
    }
    tl_buf_clear(&file);
    free(picture.pixels);
    return e;
}
