#include "qr/scan.h"

#include <dlfcn.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <zbar.h>

#define SIDE_SEEN 4096 /* the longest side that is looked at: more shows the grain, not the code */
#define SIDE_LEFT 160  /* no smaller picture of a larger one is tried */

static tl_err no_memory(tl_why *why)
{
    return tl_why_set(why, TL_ERR_NOMEM, "out of memory");
}

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

static bool begins_with(const zbar *z, const zbar_symbol_t *s, const char *prefix)
{
    size_t n = strlen(prefix);
    return z->length_of(s) >= n && memcmp(z->data_of(s), prefix, n) == 0;
}

/* The symbol that is wanted, or another QR code, or NULL. */
static const zbar_symbol_t *choose(const zbar *z, const zbar_image_t *image, const char *prefix)
{
    const zbar_symbol_t *any = NULL;
    for (const zbar_symbol_t *s = z->first(image); s; s = z->next(s)) {
        if (z->type_of(s) != ZBAR_QRCODE)
            continue;
        if (begins_with(z, s, prefix))
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

/* A picture of 1/by the size: each pixel the mean of a square. False: out of memory. */
static bool shrink(const tl_grey *g, size_t by, tl_grey *ret)
{
    tl_grey small = {g->width / by, g->height / by, NULL};
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

static size_t shortest(const tl_grey *g)
{
    return g->width < g->height ? g->width : g->height;
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
    for (; e == TL_ERR_NOT_FOUND && longest(picture) / by >= SIDE_LEFT && shortest(picture) >= by;
         by += (by + 1) / 2) {
        tl_grey small;
        if (!shrink(picture, by, &small))
            return TL_ERR_NOMEM;
        e = look(z, scanner, &small, prefix, out);
        free(small.pixels);
    }
    return e;
}

tl_err tl_qr_find(const tl_grey *picture, const char *prefix, tl_buf *out, tl_why *why)
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
    /* Else zbar guesses a charset, also for what is UTF-8. */
    z.set_config(scanner, ZBAR_QRCODE, ZBAR_CFG_BINARY, 1);
    e = look_at_sizes(&z, scanner, picture, prefix, out);
    z.scanner_destroy(scanner);
    if (e == TL_ERR_NOT_FOUND)
        return tl_why_set(why, e,
                          "no QR code is found in the picture: take it straight from the front, "
                          "sharp, with the white edge around the code");
    return e ? no_memory(why) : TL_OK;
}
