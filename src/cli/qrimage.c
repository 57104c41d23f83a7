#include "cli/qrimage.h"

#include "cli/files.h"

#include <dlfcn.h>
#include <png.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <zbar.h>

#include <jpeglib.h> /* wants FILE to be known */

#define SCANS_MAX 64   /* of a progressive JPEG: a camera's has 10, each is a pass over all of it */
#define SIDE_SEEN 4096 /* the longest side that is looked at: more shows the grain, not the code */
#define SIDE_LEFT 160  /* no smaller picture of a larger one is tried */

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

/* --- zbar --- */

/* The functions of zbar that are used, by the library's own types. */
typedef struct {
    __typeof__(zbar_image_scanner_create) *scanner_create;
    __typeof__(zbar_image_scanner_destroy) *scanner_destroy;
    __typeof__(zbar_image_scanner_set_config) *set_config;
    __typeof__(zbar_scan_image) *scan;
    __typeof__(zbar_image_create) *image_create;
    __typeof__(zbar_image_destroy) *image_destroy;
    __typeof__(zbar_image_set_format) *set_format;
    __typeof__(zbar_image_set_size) *set_size;
    __typeof__(zbar_image_set_data) *set_data;
    __typeof__(zbar_image_first_symbol) *first;
    __typeof__(zbar_symbol_next) *next;
    __typeof__(zbar_symbol_get_type) *type_of;
    __typeof__(zbar_symbol_get_data) *data_of;
    __typeof__(zbar_symbol_get_data_length) *length_of;
} zbar;

/* Each function goes where the struct has it. */
static const struct {
    const char *name;
    size_t at;
} symbols[] = {
    {"zbar_image_scanner_create", offsetof(zbar, scanner_create)},
    {"zbar_image_scanner_destroy", offsetof(zbar, scanner_destroy)},
    {"zbar_image_scanner_set_config", offsetof(zbar, set_config)},
    {"zbar_scan_image", offsetof(zbar, scan)},
    {"zbar_image_create", offsetof(zbar, image_create)},
    {"zbar_image_destroy", offsetof(zbar, image_destroy)},
    {"zbar_image_set_format", offsetof(zbar, set_format)},
    {"zbar_image_set_size", offsetof(zbar, set_size)},
    {"zbar_image_set_data", offsetof(zbar, set_data)},
    {"zbar_image_first_symbol", offsetof(zbar, first)},
    {"zbar_symbol_next", offsetof(zbar, next)},
    {"zbar_symbol_get_type", offsetof(zbar, type_of)},
    {"zbar_symbol_get_data", offsetof(zbar, data_of)},
    {"zbar_symbol_get_data_length", offsetof(zbar, length_of)},
};

static tl_err load(zbar *z, tl_why *why)
{
    void *library = dlopen("libzbar.so.0", RTLD_NOW | RTLD_LOCAL);
    if (!library)
        return tl_why_set(why, TL_ERR_UNREACHABLE,
                          "pictures are read by the library zbar, which is not installed here: apt "
                          "install libzbar0");
    for (size_t i = 0; i < sizeof symbols / sizeof *symbols; i++) {
        void *function = dlsym(library, symbols[i].name);
        if (!function)
            return tl_why_set(why, TL_ERR_UNREACHABLE,
                              "the library zbar of this machine is too old: it has no %s",
                              symbols[i].name);
        memcpy((char *)z + symbols[i].at, &function, sizeof function);
    }
    return TL_OK;
}

/* The symbol that is wanted, or another QR code, or NULL. */
static const zbar_symbol_t *choose(const zbar *z, const zbar_image_t *image, const char *prefix)
{
    const zbar_symbol_t *any = NULL;
    for (const zbar_symbol_t *s = z->first(image); s; s = z->next(s)) {
        if (z->type_of(s) != ZBAR_QRCODE)
            continue;
        if (!strncmp(z->data_of(s), prefix, strlen(prefix)))
            return s;
        any = any ? any : s;
    }
    return any;
}

/* TL_ERR_NOT_FOUND: no code in it. */
static tl_err look(const zbar *z, zbar_image_scanner_t *scanner, const tl_grey *g,
                   const char *prefix, tl_buf *out)
{
    zbar_image_t *image = z->image_create();
    if (!image)
        return TL_ERR_NOMEM;
    z->set_format(image, 'Y' | '8' << 8 | '0' << 16 | '0' << 24);
    z->set_size(image, (unsigned)g->width, (unsigned)g->height);
    z->set_data(image, g->pixels, g->width * g->height, NULL);
    tl_err e = TL_ERR_NOT_FOUND;
    const zbar_symbol_t *s = z->scan(scanner, image) > 0 ? choose(z, image, prefix) : NULL;
    if (s)
        e = tl_buf_append(out, tl_slice_of(z->data_of(s), z->length_of(s)));
    z->image_destroy(image);
    return e;
}

/* A picture of 1/by the size: each pixel the mean of a square. */
static bool shrink(const tl_grey *g, size_t by, tl_grey *ret)
{
    tl_grey small = {g->width / by, g->height / by, NULL};
    if (!small.width || !small.height)
        return false;
    small.pixels = calloc(small.width, small.height);
    if (!small.pixels)
        return false;
    for (size_t y = 0; y < small.height; y++)
        for (size_t x = 0; x < small.width; x++) {
            unsigned sum = 0;
            for (size_t j = 0; j < by; j++)
                for (size_t i = 0; i < by; i++)
                    sum += g->pixels[(y * by + j) * g->width + x * by + i];
            small.pixels[y * small.width + x] = (uint8_t)(sum / (by * by));
        }
    *ret = small;
    return true;
}

static size_t longest(const tl_grey *g)
{
    return g->width > g->height ? g->width : g->height;
}

/* The code may be the whole picture or a corner of it, sharp or grainy: larger pictures show small
 * codes, smaller ones have less grain. */
static tl_err look_at_sizes(const zbar *z, zbar_image_scanner_t *scanner, const tl_grey *picture,
                            const char *prefix, tl_buf *out)
{
    size_t by = (longest(picture) + SIDE_SEEN - 1) / SIDE_SEEN;
    if (!by)
        return TL_ERR_NOT_FOUND; /* nothing in the picture */
    tl_err e = by == 1 ? look(z, scanner, picture, prefix, out) : TL_ERR_NOT_FOUND;
    by += by == 1;
    for (; e == TL_ERR_NOT_FOUND && longest(picture) / by >= SIDE_LEFT; by += (by + 1) / 2) {
        tl_grey small;
        if (!shrink(picture, by, &small))
            return TL_ERR_NOMEM;
        e = look(z, scanner, &small, prefix, out);
        free(small.pixels);
    }
    return e;
}

tl_err tl_qrimage_find(const tl_grey *picture, const char *prefix, tl_buf *out, tl_why *why)
{
    zbar z = {NULL};
    tl_err e = load(&z, why);
    if (e)
        return e;
    /* NOLINTNEXTLINE(clang-analyzer-core.CallAndMessage): load() has set every function */
    zbar_image_scanner_t *scanner = z.scanner_create();
    if (!scanner)
        return no_memory(why);
    z.set_config(scanner, ZBAR_NONE, ZBAR_CFG_ENABLE, 0);
    z.set_config(scanner, ZBAR_QRCODE, ZBAR_CFG_ENABLE, 1);
    z.set_config(scanner, ZBAR_NONE, ZBAR_CFG_TEST_INVERTED, 1);
    e = look_at_sizes(&z, scanner, picture, prefix, out);
    z.scanner_destroy(scanner);
    if (e == TL_ERR_NOT_FOUND)
        return tl_why_set(why, e,
                          "no QR code is found in the picture: take it straight from the front, "
                          "sharp, with the white edge around the code");
    return e ? no_memory(why) : TL_OK;
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
            e = tl_qrimage_find(&picture, prefix, out, &cause);
        if (e)
            tl_why_set(why, e, "%s: %s", path, cause.text);
    }
    tl_buf_clear(&file);
    free(picture.pixels);
    return e;
}
