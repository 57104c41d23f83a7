#include "cli/out.h"

#include "base/plain.h"

#include <assert.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* Of a terminal (ECMA-48, VT100): the cursor's place is kept, and it goes to the beginning of the next line; and back. */
#define BELOW                                                                                      \
    "\x1b"                                                                                         \
    "7\x1b[B\r"
#define BACK                                                                                       \
    "\x1b"                                                                                         \
    "8"
#define ROOM                                                                                       \
    "\x1b"                                                                                         \
    "D\x1b[A" /* there is a next line: at the bottom, all lines move up by one */

static struct {
    bool out_live, err_live;
    bool colour;
    bool line_open; /* stderr shows a live line */
    bool below;     /* which is below the cursor */
    bool silent;    /* no progress is shown */
} state;

void tl_out_init(void)
{
    const char *term = getenv("TERM"), *no = getenv("NO_COLOR");
    bool dumb = !term || !strcmp(term, "dumb");
    state.out_live = isatty(STDOUT_FILENO) && !dumb;
    state.err_live = isatty(STDERR_FILENO) && !dumb;
    state.colour = !(no && *no);
    state.line_open = state.below = false;
}

bool tl_out_is_live(FILE *f)
{
    return f == stderr ? state.err_live : state.out_live;
}

const char *tl_out_colour(FILE *f, tl_colour c)
{
    static const char *const codes[] = {"", "\x1b[32m", "\x1b[31m", "\x1b[2m", "\x1b[1m"};
    return state.colour && tl_out_is_live(f) ? codes[c] : "";
}

const char *tl_out_end(FILE *f)
{
    return state.colour && tl_out_is_live(f) ? "\x1b[0m" : "";
}

/* --- text of others --- */

/* Appends what may be shown. `multi_line`: newline and tab, too. */
static tl_err clean(tl_buf *out, tl_slice t, bool multi_line)
{
    tl_err e = TL_OK;
    size_t n;
    for (; !e && t.n; t = tl_slice_of(t.p + n, t.n - n)) {
        tl_plain plain = tl_plain_next(t, &n);
        bool layout = multi_line && (*t.p == '\n' || *t.p == '\t');
        if (plain == TL_PLAIN_BROKEN)
            e = tl_buf_append_str(out, "\xEF\xBF\xBD");
        else if (layout || plain == TL_PLAIN_SHOWN)
            e = tl_buf_append(out, tl_slice_of(t.p, n));
    }
    return e;
}

static void write_clean(FILE *f, tl_slice text, bool multi_line)
{
    tl_buf shown = {0};
    if (!clean(&shown, text, multi_line))
        fwrite(tl_buf_slice(&shown).p, 1, shown.len, f);
    tl_buf_clear(&shown);
}

void tl_out_text(FILE *f, tl_slice text, bool multi_line)
{
    if (isatty(fileno(f)))
        write_clean(f, text, multi_line);
    else
        fwrite(text.p, 1, text.n, f);
}

tl_err tl_out_clean(tl_buf *out, const char *text)
{
    return clean(out, tl_slice_str(text), false);
}

void tl_out_plain(const char *text)
{
    write_clean(stdout, tl_slice_str(text), false);
}

/* Any message may repeat words of others. */
static void say(bool multi_line, const char *fmt, va_list ap)
{
    char *text;
    if (vasprintf(&text, fmt, ap) < 0)
        return;
    write_clean(stderr, tl_slice_str(text), multi_line);
    free(text);
}

/* --- lines --- */

void tl_progress_clear(void)
{
    if (state.below)
        fputs(BELOW "\x1b[K" BACK, stderr);
    else if (state.line_open)
        fputs("\r\x1b[K", stderr);
    state.line_open = state.below = false;
}

void tl_out_error(const char *fmt, ...)
{
    va_list ap;
    tl_progress_clear();
    fprintf(stderr, "%steale:%s ", tl_out_colour(stderr, TL_COLOUR_BAD), tl_out_end(stderr));
    va_start(ap, fmt);
    say(true, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
}

void tl_out_note(const char *fmt, ...)
{
    va_list ap;
    tl_progress_clear();
    va_start(ap, fmt);
    say(true, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
}

/* Escapes what may not be shown: it stands only in strings, so the value stays the same. */
static void write_escaped(const char *json)
{
    tl_slice t = tl_slice_str(json), c;
    size_t n;
    for (; t.n; t = tl_slice_of(t.p + n, t.n - n)) {
        bool hidden = tl_plain_next(t, &n) == TL_PLAIN_HIDDEN;
        json_t *one = hidden ? json_stringn((const char *)t.p, n) : NULL;
        char *text = one ? json_dumps(one, JSON_ENCODE_ANY | JSON_ENSURE_ASCII) : NULL;
        c = text ? tl_slice_of(text + 1, strlen(text) - 2) : tl_slice_of(t.p, n);
        if (text && c.n == 1)
            printf("\\u%04X", c.p[0]); /* DEL, which is ASCII */
        else if (text || !hidden)
            fwrite(c.p, 1, c.n, stdout);
        free(text);
        json_decref(one);
    }
}

/* 15 digits: 0.266 stays 0.266. */
void tl_out_json(const json_t *value)
{
    char *text = json_dumps(value, JSON_COMPACT | JSON_REAL_PRECISION(15));
    if (text)
        write_escaped(text);
    fputc('\n', stdout);
    free(text);
}

void tl_out_line(const char *key, const char *value)
{
    printf("%s%s:%s ", tl_out_colour(stdout, TL_COLOUR_DIM), key, tl_out_end(stdout));
    tl_out_plain(value);
    putchar('\n');
}

/* --- tables --- */

void tl_table_begin(tl_table *t, const char *const *heads)
{
    *t = (tl_table){.heads = heads, .cells = json_array()};
    while (heads[t->columns])
        t->columns++;
}

void tl_table_add(tl_table *t, const char *text)
{
    tl_buf clean = {0};
    json_t *cell = NULL;
    if (!tl_out_clean(&clean, text))
        cell = json_stringn((const char *)tl_buf_slice(&clean).p, clean.len);
    if (!cell && !clean.len)
        cell = json_string("");
    tl_buf_clear(&clean);
    if (!cell || json_array_append_new(t->cells, cell)) {
        json_decref(t->cells);
        t->cells = NULL;
    }
}

/* Columns on the screen: one for each character. */
static size_t width(const char *text)
{
    size_t n = 0;
    for (; *text; text++)
        n += (*text & 0xC0) != 0x80;
    return n;
}

static void print_cell(const char *text, size_t wide, bool last)
{
    fputs(text, stdout);
    for (size_t n = width(text); !last && n < wide + 2; n++)
        fputc(' ', stdout);
    if (last)
        fputc('\n', stdout);
}

tl_err tl_table_end(tl_table *t)
{
    if (!t->cells)
        return TL_ERR_NOMEM;
    size_t wide[TL_TABLE_COLUMNS_MAX] = {0}, n = json_array_size(t->cells);
    assert(t->columns > 0 && t->columns <= TL_TABLE_COLUMNS_MAX);
    for (size_t i = 0; i < n + t->columns; i++) {
        const char *text = i < t->columns
                               ? t->heads[i]
                               : json_string_value(json_array_get(t->cells, i - t->columns));
        size_t w = width(text);
        if (w > wide[i % t->columns])
            wide[i % t->columns] = w;
    }
    fputs(tl_out_colour(stdout, TL_COLOUR_DIM), stdout);
    for (size_t i = 0; i < t->columns; i++)
        print_cell(t->heads[i], wide[i], i + 1 == t->columns);
    fputs(tl_out_end(stdout), stdout);
    for (size_t i = 0; i < n; i++)
        print_cell(json_string_value(json_array_get(t->cells, i)), wide[i % t->columns],
                   i % t->columns + 1 == t->columns);
    json_decref(t->cells);
    return TL_OK;
}

/* --- progress --- */

static void progress_line(unsigned step, unsigned steps, const char *name, const char *fmt,
                          va_list ap)
{
    tl_progress_clear();
    fprintf(stderr, "%s[%u/%u]%s %-10s ", tl_out_colour(stderr, TL_COLOUR_DIM), step, steps,
            tl_out_end(stderr), name);
    say(false, fmt, ap);
}

void tl_progress_silence(void)
{
    state.silent = true;
}

void tl_progress_done(unsigned step, unsigned steps, const char *name, const char *fmt, ...)
{
    va_list ap;
    if (state.silent)
        return;
    va_start(ap, fmt);
    progress_line(step, steps, name, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
}

void tl_progress_live(unsigned step, unsigned steps, const char *name, const char *fmt, ...)
{
    if (!state.err_live || state.silent)
        return;
    va_list ap;
    va_start(ap, fmt);
    progress_line(step, steps, name, fmt, ap);
    va_end(ap);
    fflush(stderr);
    state.line_open = true;
}

void tl_progress_note(const char *fmt, ...)
{
    if (!state.err_live || state.silent)
        return;
    va_list ap;
    fprintf(stderr, "\r\x1b[K%s", tl_out_colour(stderr, TL_COLOUR_DIM));
    va_start(ap, fmt);
    say(false, fmt, ap);
    va_end(ap);
    fputs(tl_out_end(stderr), stderr);
    fflush(stderr);
    state.line_open = true;
}

/* So many bytes of the text fit into a line of the terminal; a character beyond ASCII may take two columns. */
static size_t fitting(tl_slice text)
{
    struct winsize w = {0};
    size_t columns = ioctl(STDERR_FILENO, TIOCGWINSZ, &w) || !w.ws_col ? 80 : w.ws_col, n = 0;
    for (size_t used = 1; n < text.n; n++) {
        bool begins = (text.p[n] & 0xC0) != 0x80;
        used += begins ? 1 + (text.p[n] >= 0x80) : 0;
        if (begins && used > columns)
            break;
    }
    return n;
}

void tl_progress_below(const char *fmt, ...)
{
    va_list ap;
    char *text;
    tl_buf shown = {0};
    if (!state.err_live || state.silent)
        return;
    va_start(ap, fmt);
    int n = vasprintf(&text, fmt, ap);
    va_end(ap);
    if (n < 0)
        return;
    if (!state.out_live) {
        tl_progress_note("%s", text);
    } else if (!tl_out_clean(&shown, text)) {
        fflush(stdout);
        fprintf(stderr, "%s" BELOW "\x1b[K%s%.*s%s" BACK, state.below ? "" : ROOM,
                tl_out_colour(stderr, TL_COLOUR_DIM), (int)fitting(tl_buf_slice(&shown)),
                (const char *)tl_buf_slice(&shown).p, tl_out_end(stderr));
        state.line_open = state.below = true;
    }
    tl_buf_clear(&shown);
    free(text);
}
