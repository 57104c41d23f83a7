/* QR codes for pages: /v1/app/qr finds the code in a picture, /v1/app/qr/draw makes one of a text. The
 * page decodes pictures: no file format is read here, only a byte a pixel. */
#include "api/app_body.h"
#include "io/work.h"
#include "ptn/invite.h"
#include "qr/code.h"
#include "qr/scan.h"

#include <stdlib.h>

/* Photos are shrunk by the page. A picture of this size that is nothing but lines costs zbar a second. */
#define SIDE_MAX   4096
#define PIXELS_MAX (4u << 20)

/* --- a code that is looked for --- */

/* What the thread looks at. */
typedef struct {
    tl_grey picture;
    tl_buf text;
    tl_err e;
    tl_why why;
} scan;

typedef struct {
    tl_api *api;
    tl_httpd_req *r;
    tl_work *work;
    tl_timer late;
} scanning;

static void free_scan(void *job)
{
    scan *s = job;
    free(s->picture.pixels);
    tl_buf_clear(&s->text);
    free(s);
}

static void run_scan(void *job)
{
    scan *s = job;
    s->e = tl_qr_find(&s->picture, TL_INVITE_PREFIX, &s->text, &s->why);
}

/* A picture without a code is no error: most of what a camera sees is none. A code may hold bytes that
 * are no text. */
static void answer_found(tl_api *api, tl_httpd_req *r, const scan *s)
{
    bool found = s->e != TL_ERR_NOT_FOUND;
    tl_slice t = tl_buf_slice(&s->text), prefix = TL_SLICE_LIT(TL_INVITE_PREFIX);
    bool is_text = tl_utf8_is(t) && !(t.n && memchr(t.p, 0, t.n));
    bool invite = t.n >= prefix.n && memcmp(t.p, prefix.p, prefix.n) == 0;
    tl_api_json(api, r, 200,
                json_pack("{s:b, s:o, s:b, s:s?}", "found", found, "text",
                          found && is_text ? json_stringn((const char *)t.p, t.n) : json_null(),
                          "invite", is_text && invite, "message", found ? NULL : s->why.text));
}

static void on_done(void *user, void *job)
{
    scanning *w = user;
    scan *s = job;
    tl_timer_stop(&w->late);
    tl_httpd_watch(w->r, NULL, NULL);
    if (!s->e || s->e == TL_ERR_NOT_FOUND)
        answer_found(w->api, w->r, s);
    else if (s->e == TL_ERR_UNREACHABLE)
        tl_api_error(w->api, w->r, 501, "not_supported", NULL, "%s", s->why.text);
    else
        tl_api_error(w->api, w->r, 500, "internal_error", NULL, "%s", s->why.text);
    free_scan(s);
    free(w);
}

static const tl_work_calls calls = {run_scan, on_done, free_scan};

static void on_gone(void *user)
{
    scanning *w = user;
    tl_timer_stop(&w->late);
    tl_work_forget(w->work);
    free(w);
}

static void on_late(void *user)
{
    scanning *w = user;
    tl_api *api = w->api;
    tl_httpd_req *r = w->r;
    tl_httpd_watch(r, NULL, NULL);
    on_gone(w);
    tl_api_error(api, r, 504, "timeout", NULL,
                 "no QR code was found in time: take the picture from the front, with little else "
                 "in it");
}

/* The body as a picture of this size; it is copied. NULL: out of memory. */
static scan *new_scan(size_t width, size_t height, tl_slice body)
{
    scan *s = calloc(1, sizeof *s);
    uint8_t *pixels = malloc(body.n);
    if (!s || !pixels) {
        free(s);
        free(pixels);
        return NULL;
    }
    memcpy(pixels, body.p, body.n);
    s->picture = (tl_grey){width, height, pixels};
    return s;
}

static void start(tl_api *api, tl_httpd_req *r, size_t width, size_t height)
{
    static const tl_httpd_watch_events watch = {.on_gone = on_gone};
    scan *s = new_scan(width, height, tl_httpd_body(r));
    scanning *w = calloc(1, sizeof *w);
    tl_err e = s && w ? TL_OK : TL_ERR_NOMEM;
    if (!e) {
        *w = (scanning){.api = api, .r = r};
        tl_timer_init(&w->late, api->loop, on_late, w);
        e = tl_work_start(api->loop, &calls, s, w, &w->work);
    }
    if (!e) {
        tl_httpd_drop_body(r);
        tl_timer_set(&w->late, tl_loop_now(api->loop) + api->config.scan_wait);
        tl_httpd_watch(r, &watch, w);
        return;
    }
    free(w);
    if (s)
        free_scan(s);
    if (e == TL_ERR_BUSY)
        tl_api_error(api, r, 429, "queue_full", NULL, "other pictures are being looked at");
    else
        tl_api_error(api, r, 500, "internal_error", NULL, "out of memory");
}

/* A whole number from 1 to SIDE_MAX in the query. False: 400 is answered. */
static bool take_side(tl_api *api, tl_httpd_req *r, const char *name, size_t *ret)
{
    char text[8];
    int64_t n;
    if (!tl_api_query_field(r, name, text, sizeof text) && tl_api_number(text, SIDE_MAX, &n)) {
        *ret = (size_t)n;
        return true;
    }
    tl_api_error(api, r, 400, "invalid_value", name, "'%s' is a number of pixels, 1 to %d", name,
                 SIDE_MAX);
    return false;
}

void tl_api_on_qr(tl_api *api, tl_httpd_req *r)
{
    size_t width, height;
    if (!take_side(api, r, "width", &width) || !take_side(api, r, "height", &height))
        return;
    if (width * height > PIXELS_MAX)
        tl_api_error(api, r, 413, "request_too_large", NULL,
                     "the picture has more than %u million pixels: shrink it", PIXELS_MAX >> 20);
    else if (tl_httpd_body(r).n != width * height)
        tl_api_error(api, r, 400, "invalid_value", NULL,
                     "the body must be one byte of brightness for each of the %zu pixels",
                     width * height);
    else
        start(api, r, width, height);
}

/* --- a code that is drawn --- */

/* A line for each row of modules, "1" where it is dark; without the white edge. */
static json_t *rows_of(const tl_qr *qr)
{
    json_t *rows = json_array();
    char line[TL_QR_SIDE_MAX];
    for (size_t y = 0; rows && y < qr->side; y++) {
        for (size_t x = 0; x < qr->side; x++)
            line[x] = qr->dark[y * qr->side + x] ? '1' : '0';
        rows = tl_json_append(rows, json_stringn(line, qr->side));
    }
    return rows;
}

void tl_api_on_qr_draw(tl_api *api, tl_httpd_req *r)
{
    static const tl_app_field fields[] = {
        {"text", .form = TL_APP_TEXT, .needed = true, .most = TL_QR_TEXT_MAX}, {NULL}};
    json_t *args = tl_app_body(api, r, fields);
    tl_qr *qr = malloc(sizeof *qr);
    if (args && (!qr || tl_qr_make(tl_json_string(args, "text", ""), qr)))
        tl_api_error(api, r, 500, "internal_error", NULL, "out of memory");
    else if (args)
        tl_api_json(api, r, 200,
                    json_pack("{s:I, s:i, s:o}", "side", (json_int_t)qr->side, "quiet", TL_QR_QUIET,
                              "rows", rows_of(qr)));
    free(qr);
    json_decref(args);
}
