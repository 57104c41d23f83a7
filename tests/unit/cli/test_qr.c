/* QR codes: drawn, and read back from pictures that look like photos. */
#include "cli/qrimage.h"
#include "qr/code.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <jpeglib.h>
#include <png.h>

#define PREFIX "teale:inv1:"

static char invite[900]; /* as long as a real one */
static tl_qr qr;
static tl_why why;

static int make_code(void **state)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    (void)state;
    strcpy(invite, PREFIX);
    uint32_t x = 1;
    for (size_t n = strlen(invite); n < 830; n++) {
        x = x * 1664525 + 1013904223;
        invite[n] = letters[x >> 26];
    }
    return tl_qr_make(invite, &qr);
}

/* --- pictures --- */

/* How a photo was taken. */
typedef struct {
    size_t width, height;
    double module;   /* pixels */
    double turned;   /* degrees */
    double tilt;     /* 0: straight from the front */
    unsigned noise;  /* the largest step of a pixel */
    unsigned blur;   /* passes of a 3 x 3 mean */
    double darkness; /* 0: evenly lit; 1: one corner is black */
    bool inverted;
} shot;

static double module_at(double x, double y)
{
    if (x < 0 || y < 0 || x >= (double)qr.side || y >= (double)qr.side)
        return 1;
    return qr.dark[(size_t)y * qr.side + (size_t)x] ? 0 : 1;
}

/* How light the code is there, in modules from its middle as the camera sees it. */
static double seen(const shot *s, double x, double y)
{
    double a = s->turned * M_PI / 180, depth = 1 + s->tilt * x / (double)qr.side;
    double u = x / s->module * depth, v = y / s->module * depth;
    double mx = u * cos(a) + v * sin(a) + (double)qr.side / 2;
    double my = -u * sin(a) + v * cos(a) + (double)qr.side / 2;
    bool edge = mx < -6 || my < -6 || mx > (double)qr.side + 6 || my > (double)qr.side + 6;
    return edge ? 0.35 : module_at(mx, my); /* a grey table around the white paper */
}

static void blur_once(tl_grey *g)
{
    uint8_t *to = malloc(g->width * g->height);
    assert_non_null(to);
    memcpy(to, g->pixels, g->width * g->height);
    for (size_t y = 1; y + 1 < g->height; y++)
        for (size_t x = 1; x + 1 < g->width; x++) {
            unsigned sum = 0;
            for (size_t k = 0; k < 9; k++)
                sum += g->pixels[(y + k / 3 - 1) * g->width + x + k % 3 - 1];
            to[y * g->width + x] = (uint8_t)(sum / 9);
        }
    free(g->pixels);
    g->pixels = to;
}

static tl_grey photograph(const shot *s)
{
    tl_grey g = {s->width, s->height, malloc(s->width * s->height)};
    uint32_t seed = 7;
    assert_non_null(g.pixels);
    for (size_t y = 0; y < g.height; y++)
        for (size_t x = 0; x < g.width; x++) {
            double light = 0;
            for (unsigned k = 0; k < 4; k++) /* a pixel sees more than a point */
                light += seen(s, (double)x + 0.25 + k % 2 * 0.5 - (double)g.width / 2,
                              (double)y + 0.25 + (k >> 1) * 0.5 - (double)g.height / 2);
            double shade = 1 - s->darkness * (double)(x + y) / (double)(g.width + g.height);
            double value = (20 + light / 4 * 220) * shade;
            seed = seed * 1664525 + 1013904223;
            if (s->noise)
                value += (double)((seed >> 16) % (2 * s->noise + 1)) - (double)s->noise;
            value = s->inverted ? 255 - value : value;
            g.pixels[y * g.width + x] = (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
        }
    for (unsigned i = 0; i < s->blur; i++)
        blur_once(&g);
    return g;
}

static void write_png(const tl_grey *g, tl_buf *out)
{
    png_image png = {.version = PNG_IMAGE_VERSION,
                     .width = (png_uint_32)g->width,
                     .height = (png_uint_32)g->height,
                     .format = PNG_FORMAT_GRAY};
    png_alloc_size_t n = 0;
    uint8_t *room;
    assert_int_not_equal(png_image_write_to_memory(&png, NULL, &n, 0, g->pixels, 0, NULL), 0);
    assert_int_equal(tl_buf_reserve(out, n, &room), TL_OK);
    assert_int_not_equal(png_image_write_to_memory(&png, room, &n, 0, g->pixels, 0, NULL), 0);
    tl_buf_added(out, n);
}

static void write_jpeg(const tl_grey *g, int quality, bool progressive, tl_buf *out)
{
    struct jpeg_compress_struct c;
    struct jpeg_error_mgr errors;
    unsigned char *bytes = NULL;
    unsigned long n = 0;
    c.err = jpeg_std_error(&errors);
    jpeg_create_compress(&c);
    jpeg_mem_dest(&c, &bytes, &n);
    c.image_width = (JDIMENSION)g->width;
    c.image_height = (JDIMENSION)g->height;
    c.input_components = 1;
    c.in_color_space = JCS_GRAYSCALE;
    jpeg_set_defaults(&c);
    jpeg_set_quality(&c, quality, TRUE);
    if (progressive)
        jpeg_simple_progression(&c);
    jpeg_start_compress(&c, TRUE);
    while (c.next_scanline < c.image_height) {
        JSAMPROW row = g->pixels + c.next_scanline * g->width;
        jpeg_write_scanlines(&c, &row, 1);
    }
    jpeg_finish_compress(&c);
    jpeg_destroy_compress(&c);
    assert_int_equal(tl_buf_append(out, tl_slice_of(bytes, n)), TL_OK);
    free(bytes);
}

/* Reads the code from a file's bytes. */
static tl_err read_file(const tl_buf *file, tl_buf *text)
{
    tl_grey g;
    tl_err e = tl_qrimage_decode(tl_buf_slice(file), &g, &why);
    if (e)
        return e;
    e = tl_qr_find(&g, PREFIX, text, &why);
    free(g.pixels);
    return e;
}

static void expect_invite(const tl_buf *file, const char *what)
{
    tl_buf text = {0};
    why.text[0] = 0;
    if (read_file(file, &text) || !tl_slice_eq(tl_buf_slice(&text), tl_slice_str(invite)))
        fail_msg("%s: %s", what, why.text);
    tl_buf_clear(&text);
}

static void expect_seen(const shot *s, bool jpeg, const char *what)
{
    tl_grey g = photograph(s);
    tl_buf file = {0};
    if (jpeg)
        write_jpeg(&g, 70, false, &file);
    else
        write_png(&g, &file);
    expect_invite(&file, what);
    tl_buf_clear(&file);
    free(g.pixels);
}

/* --- what is drawn --- */

static void a_png_of_the_code_reads_back(void **state)
{
    (void)state;
    for (size_t scale = 2; scale <= 8; scale += 3) {
        tl_buf file = {0};
        assert_int_equal(tl_qr_png(&qr, scale, &file), TL_OK);
        expect_invite(&file, "png");
        tl_buf_clear(&file);
    }
}

/* What a terminal shows for the drawing: a pixel square of `dot` for each half of a character. */
static tl_grey screen_of(const tl_buf *drawing, uint8_t paper, uint8_t ink)
{
    enum { DOT = 5 };
    size_t side = tl_qr_columns(&qr), rows = (side + 1) / 2 * 2;
    tl_grey g = {side * DOT, rows * DOT, malloc(side * rows * DOT * DOT)};
    assert_non_null(g.pixels);
    const char *p = (const char *)tl_buf_slice(drawing).p;
    assert_non_null(p);
    for (size_t row = 0; row < rows; row += 2, p += strcspn(p, "\n") + 1)
        for (size_t x = 0, at = 0; x < side; x++) {
            while (p[at] == '\x1b')
                at += strcspn(p + at, "m") + 1;
            bool upper = !strncmp(p + at, "\xE2\x96\x80", 3) || !strncmp(p + at, "\xE2\x96\x88", 3);
            bool lower = !strncmp(p + at, "\xE2\x96\x84", 3) || !strncmp(p + at, "\xE2\x96\x88", 3);
            at += p[at] == ' ' ? 1 : 3;
            for (size_t k = 0; k < 2 * DOT * DOT; k++)
                g.pixels[(row * DOT + k / DOT) * g.width + x * DOT + k % DOT] =
                    (k < DOT * DOT ? upper : lower) ? ink : paper;
        }
    return g;
}

static void expect_on_screen(bool colour, uint8_t paper, uint8_t ink)
{
    tl_buf drawing = {0}, text = {0};
    assert_int_equal(tl_qr_draw(&qr, colour, &drawing), TL_OK);
    assert_int_equal(tl_buf_append(&drawing, tl_slice_of("", 1)), TL_OK);
    tl_grey g = screen_of(&drawing, paper, ink);
    assert_int_equal(tl_qr_find(&g, PREFIX, &text, &why), TL_OK);
    assert_true(tl_slice_eq(tl_buf_slice(&text), tl_slice_str(invite)));
    free(g.pixels);
    tl_buf_clear(&text);
    tl_buf_clear(&drawing);
}

static void a_drawing_with_colour_is_black_on_white_on_every_terminal(void **state)
{
    (void)state;
    tl_buf drawing = {0};
    assert_int_equal(tl_qr_draw(&qr, true, &drawing), TL_OK);
    assert_true(drawing.len > 19);
    assert_memory_equal(tl_buf_begin(&drawing), "\x1b[38;5;16;48;5;231m", 19);
    tl_buf_clear(&drawing);
    expect_on_screen(true, 255, 0);
}

static void a_drawing_without_colour_reads_on_dark_and_on_light_terminals(void **state)
{
    (void)state;
    tl_buf drawing = {0};
    assert_int_equal(tl_qr_draw(&qr, false, &drawing), TL_OK);
    tl_slice drawn = tl_buf_slice(&drawing);
    assert_non_null(drawn.p);
    assert_null(memchr(drawn.p, '\x1b', drawn.n));
    tl_buf_clear(&drawing);
    expect_on_screen(false, 20, 230);
    expect_on_screen(false, 240, 10);
}

static void the_drawing_has_as_many_columns_as_it_says_and_half_as_many_lines(void **state)
{
    (void)state;
    tl_buf drawing = {0};
    size_t lines = 0, columns = 0;
    assert_int_equal(tl_qr_draw(&qr, false, &drawing), TL_OK);
    tl_slice t = tl_buf_slice(&drawing);
    for (size_t i = 0; i < t.n; i++) {
        lines += t.p[i] == '\n';
        columns += !lines && (t.p[i] & 0xC0) != 0x80;
    }
    assert_int_equal(columns, tl_qr_columns(&qr));
    assert_int_equal(lines, (tl_qr_columns(&qr) + 1) / 2);
    tl_buf_clear(&drawing);
}

static void a_text_that_is_too_long_or_empty_makes_no_code_and_the_longest_does(void **state)
{
    (void)state;
    static char text[TL_QR_TEXT_MAX + 2];
    static tl_qr large;
    memset(text, 'a', TL_QR_TEXT_MAX);
    assert_int_equal(tl_qr_make(text, &large), TL_OK);
    assert_true(large.side <= TL_QR_SIDE_MAX);
    text[TL_QR_TEXT_MAX] = 'a';
    assert_int_equal(tl_qr_make(text, &large), TL_ERR_TOO_LARGE);
    assert_int_equal(tl_qr_make("", &large), TL_ERR_TOO_LARGE);
}

/* --- photos --- */

static void photos_of_any_size_and_angle_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        shot s;
        bool jpeg;
    } shots[] = {
        {"small and straight", {400, 400, 3, 0, 0, 0, 0, 0, false}, false},
        {"upside down", {700, 700, 4, 180, 0, 0, 0, 0, false}, false},
        {"on its side", {900, 700, 5, 90, 0, 10, 0, 0, false}, true},
        {"a little turned", {900, 900, 6, 7, 0, 10, 0, 0, false}, true},
        {"turned by half a right angle", {1200, 1200, 7, 45, 0, 10, 0, 0, false}, true},
        {"tilted", {1000, 1000, 7, 4, 0.005, 10, 0, 0, false}, true},
        {"noisy", {1000, 1000, 7, 2, 0, 60, 0, 0, false}, true},
        {"not sharp", {1000, 1000, 7, 3, 0, 8, 3, 0, false}, true},
        {"dark in a corner", {1000, 1000, 7, 3, 0, 8, 1, 0.6, false}, true},
        {"light on dark", {900, 900, 6, 1, 0, 10, 0, 0, true}, true},
        {"a phone's photo, the code in the middle of it",
         {4000, 3000, 15, 3, 0, 40, 2, 0.3, false},
         true},
    };
    for (size_t i = 0; i < sizeof shots / sizeof *shots; i++)
        expect_seen(&shots[i].s, shots[i].jpeg, shots[i].what);
}

static void a_progressive_jpeg_is_read(void **state)
{
    (void)state;
    const shot s = {800, 800, 6, 0, 0, 5, 0, 0, false};
    tl_grey g = photograph(&s);
    tl_buf file = {0};
    write_jpeg(&g, 85, true, &file);
    expect_invite(&file, "progressive");
    tl_buf_clear(&file);
    free(g.pixels);
}

static void a_picture_without_a_code_says_so(void **state)
{
    (void)state;
    tl_grey g = {300, 300, malloc(90000)};
    tl_buf text = {0};
    assert_non_null(g.pixels);
    memset(g.pixels, 200, 90000);
    assert_int_equal(tl_qr_find(&g, PREFIX, &text, &why), TL_ERR_NOT_FOUND);
    assert_non_null(strstr(why.text, "no QR code"));
    assert_int_equal(text.len, 0);
    free(g.pixels);
}

/* Two codes in one picture, the wanted one below or above. */
static void of_two_codes_the_invite_is_taken(void **state)
{
    (void)state;
    static tl_qr other;
    assert_int_equal(tl_qr_make("https://example.org/menu", &other), TL_OK);
    for (int order = 0; order < 2; order++) {
        const size_t side = 700;
        tl_grey g = {side, 2 * side, malloc(2 * side * side)};
        tl_buf text = {0};
        assert_non_null(g.pixels);
        memset(g.pixels, 255, 2 * side * side);
        for (int which = 0; which < 2; which++) {
            const tl_qr *c = which ? &qr : &other;
            size_t top = (size_t)(which ^ order) * side + 60, scale = which ? 5 : 10;
            for (size_t i = 0; i < c->side * scale * c->side * scale; i++) {
                size_t y = i / (c->side * scale), x = i % (c->side * scale);
                if (c->dark[y / scale * c->side + x / scale])
                    g.pixels[(top + y) * side + 60 + x] = 0;
            }
        }
        assert_int_equal(tl_qr_find(&g, PREFIX, &text, &why), TL_OK);
        assert_true(tl_slice_eq(tl_buf_slice(&text), tl_slice_str(invite)));
        tl_buf_clear(&text);
        free(g.pixels);
    }
}

/* --- bad files --- */

static void put32(uint8_t *p, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> (24 - 8 * i));
}

/* Writes another width and height into a PNG's header, with its checksum. */
static void claim_size(tl_buf *png, uint32_t width, uint32_t height)
{
    uint8_t *p = tl_buf_begin(png);
    uint32_t crc = 0xFFFFFFFF;
    put32(p + 16, width);
    put32(p + 20, height);
    for (size_t i = 12; i < 29; i++) {
        crc ^= p[i];
        for (int k = 0; k < 8; k++)
            crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320 : 0);
    }
    put32(p + 29, ~crc);
}

static void a_picture_that_claims_to_be_giant_is_refused_before_it_is_unpacked(void **state)
{
    (void)state;
    tl_buf png = {0}, text = {0}, jpeg = {0};
    assert_int_equal(tl_qr_png(&qr, 2, &png), TL_OK);
    claim_size(&png, 30000, 30000);
    assert_int_equal(read_file(&png, &text), TL_ERR_TOO_LARGE);
    assert_non_null(strstr(why.text, "30000 x 30000"));
    claim_size(&png, 1, 900000);
    assert_int_equal(read_file(&png, &text), TL_ERR_TOO_LARGE);
    size_t real = 2 * tl_qr_columns(&qr);
    claim_size(&png, (uint32_t)real, (uint32_t)real);
    assert_int_equal(read_file(&png, &text), TL_OK);
    tl_buf_clear(&text);
    const shot s = {800, 800, 6, 0, 0, 5, 0, 0, false};
    tl_grey g = photograph(&s);
    write_jpeg(&g, 80, false, &jpeg);
    uint8_t *p = tl_buf_begin(&jpeg), *frame = p;
    while (frame[0] != 0xFF || frame[1] != 0xC0)
        frame++;
    memset(frame + 5, 0x60, 4); /* 24672 x 24672 */
    assert_int_equal(read_file(&jpeg, &text), TL_ERR_TOO_LARGE);
    free(g.pixels);
    tl_buf_clear(&jpeg);
    tl_buf_clear(&png);
}

static void a_file_cut_at_any_place_is_refused_or_shows_what_came(void **state)
{
    (void)state;
    const shot s = {420, 420, 3, 0, 0, 5, 0, 0, false};
    tl_grey g = photograph(&s);
    tl_buf files[2] = {{0}, {0}};
    write_png(&g, &files[0]);
    write_jpeg(&g, 40, false, &files[1]);
    for (size_t k = 0; k < 2; k++) {
        size_t n = files[k].len, step = n / 60;
        for (size_t cut = 0; cut < n; cut += cut < 64 ? 1 : step) {
            uint8_t *copy = malloc(cut ? cut : 1); /* of that size: a read behind it is seen */
            tl_grey out;
            assert_non_null(copy);
            memcpy(copy, tl_buf_begin(&files[k]), cut);
            if (!tl_qrimage_decode(tl_slice_of(copy, cut), &out, &why))
                free(out.pixels);
            else if (cut > 8)
                assert_non_null(strstr(why.text, "picture"));
            free(copy);
        }
        tl_buf_clear(&files[k]);
    }
    free(g.pixels);
}

static void what_is_no_picture_is_refused(void **state)
{
    (void)state;
    tl_grey g;
    assert_int_equal(tl_qrimage_decode(TL_SLICE_LIT("GIF89a"), &g, &why), TL_ERR_PROTO);
    assert_non_null(strstr(why.text, "neither a PNG nor a JPEG"));
    assert_int_equal(tl_qrimage_decode(tl_slice_of(NULL, 0), &g, &why), TL_ERR_PROTO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_png_of_the_code_reads_back),
        cmocka_unit_test(a_drawing_with_colour_is_black_on_white_on_every_terminal),
        cmocka_unit_test(a_drawing_without_colour_reads_on_dark_and_on_light_terminals),
        cmocka_unit_test(the_drawing_has_as_many_columns_as_it_says_and_half_as_many_lines),
        cmocka_unit_test(a_text_that_is_too_long_or_empty_makes_no_code_and_the_longest_does),
        cmocka_unit_test(photos_of_any_size_and_angle_are_read),
        cmocka_unit_test(a_progressive_jpeg_is_read),
        cmocka_unit_test(a_picture_without_a_code_says_so),
        cmocka_unit_test(of_two_codes_the_invite_is_taken),
        cmocka_unit_test(a_picture_that_claims_to_be_giant_is_refused_before_it_is_unpacked),
        cmocka_unit_test(a_file_cut_at_any_place_is_refused_or_shows_what_came),
        cmocka_unit_test(what_is_no_picture_is_refused),
    };
    return cmocka_run_group_tests(tests, make_code, NULL);
}
