/* toml_string.c - the four forms of a string in toml.h, decoded. */
#include "config/toml_state.h"

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static tl_err append_byte(tl_toml_reader *r, uint8_t c)
{
    return tl_buf_append(&r->scratch, tl_slice_of(&c, 1));
}

static tl_err append_code_point(tl_toml_reader *r, uint32_t c)
{
    uint8_t b[4];
    size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const uint8_t lead[] = {0, 0, 0xC0, 0xE0, 0xF0};
    for (size_t i = n; i-- > 1; c >>= 6)
        b[i] = (uint8_t)(0x80 | (c & 0x3F));
    b[0] = (uint8_t)(lead[n] | c);
    return tl_buf_append(&r->scratch, tl_slice_of(b, n));
}

/* \u and \U: `n` hex digits at r->at. */
static tl_err unicode_escape(tl_toml_reader *r, size_t n)
{
    uint32_t c = 0;
    size_t i = 0;
    for (int d; i < n && r->at + i < r->text.n && (d = hex_digit(r->text.p[r->at + i])) >= 0; i++)
        c = c << 4 | (uint32_t)d;
    if (i < n)
        return tl_toml_fail(r, r->at, TL_ERR_PROTO, "\\%c is followed by %zu hex digits",
                            n == 4 ? 'u' : 'U', n);
    if (c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF))
        return tl_toml_fail(r, r->at, TL_ERR_PROTO, "\\%c%0*X is no character", n == 4 ? 'u' : 'U',
                            (int)n, (unsigned)c);
    r->at += n;
    return append_code_point(r, c);
}

/* A backslash at the end of a line in """: it and all blanks and newlines behind it are left out.
 * False: the backslash is none of these. */
static bool skip_line_end(tl_toml_reader *r)
{
    size_t at = tl_toml_skip(r->text, r->at, false);
    if (at < r->text.n && r->text.p[at] == '\r')
        at++;
    if (at == r->text.n || r->text.p[at] != '\n')
        return false;
    while (at < r->text.n && strchr(" \t\r\n", r->text.p[at]))
        at++;
    r->at = at;
    return true;
}

/* r->at is behind the backslash. */
static tl_err escape(tl_toml_reader *r, bool lines)
{
    static const char from[] = "btnfr\"\\", to[] = "\b\t\n\f\r\"\\";
    int c = tl_toml_peek(r);
    const char *p = c > 0 ? strchr(from, c) : NULL;
    if (p) {
        r->at++;
        return append_byte(r, (uint8_t)to[p - from]);
    }
    if (c == 'u' || c == 'U') {
        r->at++;
        return unicode_escape(r, c == 'u' ? 4 : 8);
    }
    if (lines && skip_line_end(r))
        return TL_OK;
    return tl_toml_fail(r, r->at, TL_ERR_PROTO,
                        "a backslash in double quotes is written \\\\ (or put the text in single "
                        "quotes: 'C:\\dir')");
}

static tl_err copy_out(tl_toml_reader *r, tl_slice *ret_text)
{
    return tl_toml_copy(r, tl_buf_slice(&r->scratch), ret_text);
}

/* "…" and '…'; r->at is behind the opening quote. */
static tl_err one_line(tl_toml_reader *r, uint8_t quote, tl_slice *ret_text)
{
    size_t opened = r->at - 1;
    for (tl_err e = TL_OK;;) {
        int c = tl_toml_peek(r);
        if (c < 0 || c == '\n' || c == '\r')
            return tl_toml_fail(r, opened, TL_ERR_PROTO, "the closing %c of the text is missing",
                                quote);
        r->at++;
        if (c == quote)
            return copy_out(r, ret_text);
        e = c == '\\' && quote == '"' ? escape(r, false) : append_byte(r, (uint8_t)c);
        if (e)
            return e;
    }
}

/* How many of the quote stand at r->at. */
static size_t quotes(const tl_toml_reader *r, uint8_t quote)
{
    size_t n = 0;
    while (r->at + n < r->text.n && r->text.p[r->at + n] == quote)
        n++;
    return n;
}

/* The forms in three quotes; r->at is behind the opening ones. */
static tl_err many_lines(tl_toml_reader *r, uint8_t quote, tl_slice *ret_text)
{
    size_t opened = r->at - 3;
    if (tl_toml_starts(r, "\r\n"))
        r->at += 2;
    else if (tl_toml_peek(r) == '\n')
        r->at++;
    for (tl_err e = TL_OK;;) {
        int c = tl_toml_peek(r);
        if (c < 0)
            return tl_toml_fail(r, opened, TL_ERR_PROTO,
                                "the closing %c%c%c of the text is missing", quote, quote, quote);
        size_t n = quotes(r, quote);
        if (n >= 3) { /* one or two before the closing three belong to the text */
            size_t own = n - 3 < 2 ? n - 3 : 2;
            r->at += own + 3;
            e = tl_buf_append(&r->scratch, tl_slice_of(r->text.p + r->at - 3 - own, own));
            return e ? e : copy_out(r, ret_text);
        }
        if (tl_toml_starts(r, "\r\n")) /* TOML leaves it to the reader; a text has one form here */
            r->at++;
        c = tl_toml_peek(r);
        r->at++;
        e = c == '\\' && quote == '"' ? escape(r, true) : append_byte(r, (uint8_t)c);
        if (e)
            return e;
    }
}

tl_err tl_toml_string(tl_toml_reader *r, bool lines, tl_slice *ret_text)
{
    uint8_t quote = r->text.p[r->at];
    r->scratch.len = 0;
    if (lines && tl_toml_starts(r, quote == '"' ? "\"\"\"" : "'''")) {
        r->at += 3;
        return many_lines(r, quote, ret_text);
    }
    r->at++;
    return one_line(r, quote, ret_text);
}
