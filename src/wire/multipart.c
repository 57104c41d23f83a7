#include "wire/multipart.h"

#include <stdio.h>
#include <strings.h>

static bool begins_with(tl_slice s, const char *text)
{
    size_t n = strlen(text);
    return s.n >= n && memcmp(s.p, text, n) == 0;
}

static tl_slice behind(tl_slice s, size_t n)
{
    return tl_slice_of(s.p + n, s.n - n);
}

static tl_slice without_blanks(tl_slice s)
{
    while (s.n && (s.p[0] == ' ' || s.p[0] == '\t'))
        s = behind(s, 1);
    while (s.n && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
        s.n--;
    return s;
}

static bool is_word(tl_slice s, const char *word)
{
    return s.n == strlen(word) && strncasecmp((const char *)s.p, word, s.n) == 0;
}

/* --- parameters of a header: `; name=token` or `; name="quoted"` --- */

static bool is_token(uint8_t c)
{
    return c > 0x20 && c < 0x7f && !strchr("()<>@,;:\\\"/[]?={}", c);
}

/* A backslash in a quoted value escapes the byte behind it, which is neither undone nor checked
 * here. */
static tl_err next_quoted(tl_slice *rest, tl_slice *ret_value)
{
    size_t i = 1;
    while (i < rest->n && rest->p[i] != '"')
        i += rest->p[i] == '\\' ? 2 : 1;
    if (i >= rest->n)
        return TL_ERR_PROTO;
    *ret_value = tl_slice_of(rest->p + 1, i - 1);
    *rest = behind(*rest, i + 1);
    return TL_OK;
}

/* `name*`, `name*0`, `name*0*` (RFC 2231): some readers take them for `name`, and others do not. */
static bool is_extended(tl_slice name)
{
    return memchr(name.p, '*', name.n) != NULL;
}

/* TL_ERR_NOT_FOUND: there is no further one. */
static tl_err next_parameter(tl_slice *rest, tl_slice *ret_name, tl_slice *ret_value)
{
    *rest = without_blanks(*rest);
    if (rest->n == 0)
        return TL_ERR_NOT_FOUND;
    if (rest->p[0] != ';')
        return TL_ERR_PROTO;
    *rest = without_blanks(behind(*rest, 1));
    size_t n = 0;
    while (n < rest->n && is_token(rest->p[n]))
        n++;
    if (n == 0 || n == rest->n || rest->p[n] != '=')
        return TL_ERR_PROTO;
    *ret_name = tl_slice_of(rest->p, n);
    *rest = behind(*rest, n + 1);
    if (rest->n && rest->p[0] == '"')
        return next_quoted(rest, ret_value);
    n = 0;
    while (n < rest->n && rest->p[n] && (is_token(rest->p[n]) || strchr("/:?=()@,", rest->p[n])))
        n++;
    if (n == 0)
        return TL_ERR_PROTO;
    *ret_value = tl_slice_of(rest->p, n);
    *rest = behind(*rest, n);
    return TL_OK;
}

/* --- the boundary --- */

static const char form[] = "multipart/form-data";

bool tl_multipart_is(const char *content_type)
{
    size_t n = sizeof form - 1;
    return strncasecmp(content_type, form, n) == 0 && strchr("; \t", content_type[n]);
}

/* RFC 2046 5.1.1, without its space: no client uses it, and readers differ in what they do to it. */
static bool is_boundary(tl_slice s)
{
    static const char marks[] = "'()+_,-./:=?";
    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = s.p[i];
        bool ok = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
                  (c && strchr(marks, c));
        if (!ok)
            return false;
    }
    return s.n > 0 && s.n <= TL_MULTIPART_BOUNDARY_MAX;
}

static tl_err find_boundary(const char *content_type, tl_slice *ret_boundary)
{
    tl_slice found = {NULL, 0}, name, value;
    tl_err e;
    if (!tl_multipart_is(content_type))
        return TL_ERR_PROTO;
    tl_slice rest = tl_slice_str(content_type + sizeof form - 1);
    while (!(e = next_parameter(&rest, &name, &value))) {
        if (is_extended(name))
            return TL_ERR_PROTO;
        if (!is_word(name, "boundary"))
            continue;
        if (found.p || !is_boundary(value))
            return TL_ERR_PROTO;
        found = value;
    }
    if (e != TL_ERR_NOT_FOUND || !found.p)
        return TL_ERR_PROTO;
    *ret_boundary = found;
    return TL_OK;
}

tl_err tl_multipart_type(const char *content_type, char *ret_type, size_t cap)
{
    tl_slice b;
    tl_err e = find_boundary(content_type, &b);
    if (e)
        return e;
    const char *quote = "";
    for (size_t i = 0; i < b.n; i++)
        if (!is_token(b.p[i]))
            quote = "\"";
    if (sizeof form - 1 + sizeof "; boundary=" - 1 + b.n + 2 * strlen(quote) >= cap)
        return TL_ERR_TOO_LARGE;
    snprintf(ret_type, cap, "%s; boundary=%s%.*s%s", form, quote, (int)b.n, (const char *)b.p,
             quote);
    return TL_OK;
}

tl_err tl_multipart_begin(tl_multipart *m, const char *content_type, tl_slice body)
{
    tl_slice boundary;
    tl_multipart begun = {.mark = "\n--"};
    tl_err e = find_boundary(content_type, &boundary);
    if (e)
        return e;
    memcpy(begun.mark + 3, boundary.p, boundary.n);
    begun.mark_n = 3 + boundary.n;
    if (!begins_with(body, begun.mark + 1)) /* nothing stands before the first part */
        return TL_ERR_PROTO;
    begun.p = body.p + begun.mark_n - 1;
    begun.end = body.p + body.n;
    *m = begun;
    return TL_OK;
}

/* --- parts --- */

/* `form-data; name="..."`. A name with an escape is refused: readers differ in what it means. */
static tl_err read_disposition(tl_slice value, tl_multipart_part *ret_part)
{
    static const char kind[] = "form-data";
    tl_multipart_part part = {0};
    tl_slice name, text;
    tl_err e;
    if (value.n < sizeof kind - 1 || !is_word(tl_slice_of(value.p, sizeof kind - 1), kind))
        return TL_ERR_PROTO;
    tl_slice rest = behind(value, sizeof kind - 1);
    while (!(e = next_parameter(&rest, &name, &text))) {
        if (is_word(name, "name")) {
            if (part.name.p || memchr(text.p, '\\', text.n) || !tl_utf8_is(text))
                return TL_ERR_PROTO;
            part.name = text;
        } else if (is_word(name, "filename") || is_word(name, "filename*")) {
            part.is_file = true;
        } else if (is_extended(name)) {
            return TL_ERR_PROTO;
        }
    }
    if (e != TL_ERR_NOT_FOUND || !part.name.p)
        return TL_ERR_PROTO;
    *ret_part = part;
    return TL_OK;
}

static bool is_plain_coding(tl_slice value)
{
    return is_word(value, "binary") || is_word(value, "8bit") || is_word(value, "7bit");
}

/* One header line without its end. */
static tl_err read_header(tl_slice line, tl_multipart_part *part)
{
    const uint8_t *colon = memchr(line.p, ':', line.n);
    size_t n = colon ? (size_t)(colon - line.p) : 0;
    if (n == 0)
        return TL_ERR_PROTO;
    for (size_t i = 0; i < line.n; i++)
        if (i < n ? !is_token(line.p[i]) : line.p[i] < 0x20 && line.p[i] != '\t')
            return TL_ERR_PROTO;
    tl_slice name = tl_slice_of(line.p, n), value = without_blanks(behind(line, n + 1));
    if (is_word(name, "content-disposition"))
        return part->name.p ? TL_ERR_PROTO : read_disposition(value, part);
    if (is_word(name, "content-transfer-encoding") && !is_plain_coding(value))
        return TL_ERR_PROTO; /* RFC 7578 4.7: not in use; it would hide what the value says */
    return TL_OK;
}

/* The headers, and the empty line behind them. */
static tl_err read_head(tl_slice *rest, tl_multipart_part *ret_part)
{
    tl_multipart_part part = {0};
    size_t left = TL_MULTIPART_HEAD_MAX;
    for (;;) {
        size_t within = rest->n < left ? rest->n : left;
        const uint8_t *lf = memchr(rest->p, '\n', within);
        size_t n = lf ? (size_t)(lf - rest->p) : 0;
        if (n == 0 || lf[-1] != '\r')
            return TL_ERR_PROTO;
        tl_slice line = tl_slice_of(rest->p, n - 1);
        *rest = behind(*rest, n + 1);
        left -= n + 1;
        if (line.n == 0)
            break;
        tl_err e = read_header(line, &part);
        if (e)
            return e;
    }
    if (!part.name.p)
        return TL_ERR_PROTO;
    *ret_part = part;
    return TL_OK;
}

tl_err tl_multipart_next(tl_multipart *m, tl_multipart_part *ret_part, bool *ret_done)
{
    tl_multipart_part part;
    tl_slice rest = tl_slice_of(m->p, (size_t)(m->end - m->p));
    if (begins_with(rest, "--")) {
        rest = behind(rest, 2);
        if (rest.n && !(rest.n == 2 && begins_with(rest, "\r\n")))
            return TL_ERR_PROTO;
        *ret_done = true;
        return TL_OK;
    }
    if (!begins_with(rest, "\r\n"))
        return TL_ERR_PROTO;
    rest = behind(rest, 2);
    tl_err e = read_head(&rest, &part);
    if (e)
        return e;
    /* A delimiter behind a bare LF, or right behind the empty line, is one for some readers, and
     * content for others. */
    const uint8_t *mark = rest.n ? memmem(rest.p, rest.n, m->mark, m->mark_n) : NULL;
    if (!mark || mark == rest.p || mark[-1] != '\r' || begins_with(rest, m->mark + 1))
        return TL_ERR_PROTO;
    part.value = tl_slice_of(rest.p, (size_t)(mark - 1 - rest.p));
    m->p = mark + m->mark_n;
    *ret_part = part;
    *ret_done = false;
    return TL_OK;
}
